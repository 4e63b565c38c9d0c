"""BuildTrace as one value: its tables, its people, its drawings, the stages of comparing them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from shared.notify.notice import AlertWords
from shared.products.buildtrace.rights import ACCOUNTS, RIGHTS
from shared.products.buildtrace.tables import CATALOG, DIFF, OCR, STAGE_NAMES, SUMMARY
from shared.products.product import Parts, Product, Seed, Stage

if TYPE_CHECKING:
    from shared.api.routes import Route
    from shared.console.page import Pages
    from shared.files.file import Attachment
    from shared.jobs.runner import Task
    from shared.records.store import StoredCollection


def _attachments() -> Mapping[str, Attachment]:
    from shared.products.buildtrace.files import attachments

    return attachments()


def _tasks(parts: Parts) -> Mapping[str, Task]:
    from shared.products.buildtrace.diff import DiffStage
    from shared.products.buildtrace.ocr import OcrStage
    from shared.products.buildtrace.summarise import SummaryStage

    store, files, ring = parts.store(), parts.files, parts.ring
    # the scripted model looks at nothing: then rules tell
    terms = None if parts.settings.model == "scripted" else parts.terms
    return {
        OCR: OcrStage(store, files, ring),
        DIFF: DiffStage(store, files, ring),
        SUMMARY: SummaryStage(store, files, ring, terms),
    }


def _stored() -> Sequence[StoredCollection]:
    from shared.products.buildtrace.stages import STORED

    return STORED


def _routes(parts: Parts) -> Sequence[Route]:
    from shared.products.buildtrace import routes
    from shared.products.buildtrace.report import routes as report

    return (*routes.routes(parts), *report.routes(parts))


def _pages(parts: Parts) -> Pages:
    from shared.products.buildtrace.pages import pages

    return pages(parts)


def _story(stage: Stage) -> None:
    from shared.products.buildtrace.story import story

    story(stage)


def _seed(scope: str) -> Seed:
    from shared.products.buildtrace.seed import seed

    return seed(scope)


BUILDTRACE = Product(
    name="buildtrace",
    title="BuildTrace",
    catalog=lambda _settings: CATALOG,
    rights=RIGHTS,
    accounts=ACCOUNTS,
    attachments=_attachments,
    tasks=_tasks,
    rung=STAGE_NAMES,
    routes=_routes,
    pages=_pages,
    stored=_stored,
    seed=_seed,
    story=_story,
    alert=AlertWords("A comparison is done", "Open the app to see it."),
)
