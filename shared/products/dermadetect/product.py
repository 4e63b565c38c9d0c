"""DermaDetect as one value: its tables, its people, its photos, its jobs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from shared.notify.notice import AlertWords
from shared.products.dermadetect import rejudge
from shared.products.dermadetect.events import EVENTS
from shared.products.dermadetect.photo_limits import PHOTO_LIMITS
from shared.products.dermadetect.rights import RIGHTS
from shared.products.dermadetect.settings import DermaDetectSettings
from shared.products.dermadetect.tables import ACCOUNTS, ANALYSE, catalog
from shared.products.product import Parts, Product, Round, Seed
from shared.settings import own

if TYPE_CHECKING:
    from shared.access.membership import Caller
    from shared.ai.model import ChatRequest
    from shared.api.routes import Route
    from shared.console.page import Pages
    from shared.export.fhir import FhirMapping
    from shared.export.views import Views
    from shared.files.file import Attachment
    from shared.jobs.runner import Task
    from shared.products.dermadetect.gateway import Gateway
    from shared.products.dermadetect.numbers import Numbers
    from shared.products.dermadetect.quality import WeeklyQuality
    from shared.products.dermadetect.review import Review
    from shared.products.dermadetect.saved_texts import SavedTexts
    from shared.products.dermadetect.triage import ZeroShot
    from shared.products.dermadetect.worklist import WorkList
    from shared.records.collection import Catalog
    from shared.records.migration import Migration
    from shared.records.store import Document, StoredCollection
    from shared.settings import Settings

#: Largest photo for a model, bytes: with base64 and the question it fits into Vertex AI's 1.5 MB.
_MODEL_PHOTO_BYTES = 1_000_000

#: Calls to the model that one attempt may make: the question and one repair.
_CALLS_AN_ATTEMPT = 2


def review(parts: Parts) -> Review:
    """What doctors do."""
    from shared.products.dermadetect.review import Review

    return Review(
        parts.store(), parts.catalog(), claim_ms=own(DermaDetectSettings).claim_minutes * 60_000
    )


def worklist(parts: Parts) -> WorkList:
    """What doctors see."""
    from shared.products.dermadetect.worklist import WorkList

    unread_ms = own(DermaDetectSettings).unread_hours * 3_600_000
    return WorkList(parts.store(), parts.catalog(), unread_ms=unread_ms)


def numbers(parts: Parts) -> Numbers:
    """What is counted of it by week."""
    from shared.products.dermadetect.numbers import Numbers

    return Numbers(parts.store())


def quality(parts: Parts) -> WeeklyQuality:
    """Its photos and its red cases by week."""
    from shared.products.dermadetect.quality import WeeklyQuality

    return WeeklyQuality(parts.store())


def saved_texts(parts: Parts) -> SavedTexts:
    """What doctors keep to put into diagnoses."""
    from shared.products.dermadetect.saved_texts import SavedTexts

    return SavedTexts(parts.store())


def gateway(parts: Parts) -> Gateway:
    """The way to the model."""
    from shared.products.dermadetect.gateway import Gateway

    return Gateway(parts.terms())


def second_look(parts: Parts) -> ZeroShot:
    """The zero-shot triage; without an endpoint it says so."""
    from shared.products.dermadetect.triage import ZeroShot

    thresholds = {
        "red": own(DermaDetectSettings).triage_red_from,
        "yellow": own(DermaDetectSettings).triage_yellow_from,
    }
    return ZeroShot(parts.embedder(), {name: low for name, low in thresholds.items() if low})


def _catalog(settings: Settings) -> Catalog:
    return catalog(settings.photos_wait_minutes * 60_000)


def _stored() -> tuple[StoredCollection, ...]:
    from shared.products.dermadetect import numbers, quality, review, saved_texts, worklist

    return (
        *review.STORED,
        *worklist.STORED,
        *numbers.STORED,
        *quality.STORED,
        *saved_texts.STORED,
    )


def _attachments() -> Mapping[str, Attachment]:
    from shared.products.dermadetect.photos import ATTACHMENTS

    return ATTACHMENTS


def _tasks(parts: Parts) -> Mapping[str, Task]:
    from shared.files.reading import Photos
    from shared.products.dermadetect.analyse import Analyse

    photos = Photos(parts.store(), parts.files, most_bytes=_MODEL_PHOTO_BYTES)
    return {
        ANALYSE: Analyse(
            parts.store(),
            lambda: gateway(parts),
            longest_seconds=parts.settings.model_timeout_seconds * _CALLS_AN_ATTEMPT,
            clock=parts.clock_ms,
            second_look=lambda: second_look(parts),
            photos=photos.of,
        ),
        rejudge.KIND: rejudge.Rejudge(parts.store(), parts.catalog(), parts.clock_ms),
    }


def _rounds(parts: Parts) -> Mapping[str, Round]:
    return {"unread": worklist(parts).unread}


def _delivered(parts: Parts, caller: Caller, documents: Sequence[Document], now_ms: int) -> None:
    review(parts).delivered(caller, documents, now_ms)


def _draft(question: ChatRequest) -> Mapping[str, Any]:
    from shared.products.dermadetect.scripted import draft

    return draft(question)


def _routes(parts: Parts) -> Sequence[Route]:
    from shared.products.dermadetect.routes import routes

    return routes(parts)


def _pages(parts: Parts) -> Pages:
    from shared.products.dermadetect.pages import pages

    return pages(parts)


def _schemas(catalog: Catalog) -> Mapping[str, dict[str, Any]]:
    from shared.products.dermadetect import screen
    from shared.products.dermadetect.analysis.schema import schemas

    return {**schemas(), **screen.schemas(catalog)}


def _examples() -> Mapping[str, dict[str, Any]]:
    from shared.products.dermadetect.examples import EXAMPLES

    return EXAMPLES


def _seed(scope: str) -> Seed:
    from shared.products.dermadetect.seed import seed

    return seed(scope)


def _migrations() -> Sequence[Migration]:
    from shared.products.dermadetect.review import MIGRATIONS

    return MIGRATIONS


def _fhir() -> FhirMapping:
    from shared.products.dermadetect.fhir import Mapper

    return Mapper()


def _views() -> Views:
    from shared.products.dermadetect.views import VIEWS

    return VIEWS


DERMADETECT = Product(
    name="dermadetect",
    title="DermaDetect",
    catalog=_catalog,
    rights=RIGHTS,
    user_claim="chw_id",
    accounts=ACCOUNTS,
    attachments=_attachments,
    photo_limits=PHOTO_LIMITS,
    tasks=_tasks,
    rung=(ANALYSE,),
    rounds=_rounds,
    events=EVENTS,
    delivered=_delivered,
    alert=AlertWords("A case waits for you", "Open the app to see it."),
    routes=_routes,
    pages=_pages,
    schemas=_schemas,
    fhir=_fhir,
    seed=_seed,
    migrations=_migrations,
    views=_views,
    examples=_examples,
    draft=_draft,
    stored=_stored,
)
