"""HemoDay as one value: its tables, its people, its documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from shared.notify.notice import AlertWords
from shared.products.hemoday.rights import ACCOUNTS, RIGHTS
from shared.products.hemoday.tables import CATALOG
from shared.products.product import Parts, Product, Round, Seed, Stage

if TYPE_CHECKING:
    from shared.api.routes import Route
    from shared.console.page import Pages
    from shared.export.fhir import FhirMapping
    from shared.files.file import Attachment
    from shared.jobs.runner import Task
    from shared.records.store import StoredCollection


def _attachments() -> Mapping[str, Attachment]:
    from shared.products.hemoday.documents import ATTACHMENTS

    return ATTACHMENTS


def _fhir() -> FhirMapping:
    from shared.products.hemoday.fhir import FamilyMapper

    return FamilyMapper()


def _seed(scope: str) -> Seed:
    from shared.products.hemoday.seed import seed

    return seed(scope)


def _tasks(parts: Parts) -> Mapping[str, Task]:
    from shared.products.hemoday.reading import KIND, ReadDocument
    from shared.products.hemoday.reminders import Remind, Tell
    from shared.products.hemoday.schedule import REMIND, TELL

    link = f"{parts.settings.public_url}/console"
    tell = Tell(parts.store(), parts.catalog(), parts.notifier, parts.mailer, parts.clock_ms, link)
    # the sweeper runs them in this order: a reminder waits behind no document
    return {
        REMIND: Remind(parts.store()),
        TELL: tell,
        KIND: ReadDocument(parts.store(), parts.files),
    }


def _rounds(parts: Parts) -> Mapping[str, Round]:
    from shared.products.hemoday.reminders import remove_expired

    return {"reminded": partial(remove_expired, parts.store())}


def _stored() -> Sequence[StoredCollection]:
    from shared.products.hemoday import reading, reminder_settings, reminders

    return (*reading.STORED, *reminders.STORED, *reminder_settings.STORED)


def _routes(parts: Parts) -> Sequence[Route]:
    from shared.products.hemoday.routes import routes

    return routes(parts)


def _pages(parts: Parts) -> Pages:
    from shared.products.hemoday.pages import pages

    return pages(parts)


def _story(stage: Stage) -> None:
    from shared.products.hemoday.week import week

    week(stage)


HEMODAY = Product(
    name="hemoday",
    title="HemoDay",
    catalog=lambda _settings: CATALOG,
    rights=RIGHTS,
    accounts=ACCOUNTS,
    attachments=_attachments,
    tasks=_tasks,
    rounds=_rounds,
    routes=_routes,
    pages=_pages,
    seed=_seed,
    fhir=_fhir,
    stored=_stored,
    story=_story,
    alert=AlertWords("Something is to be done", "Open the app to see it."),
)
