"""`GET /api/v1/comparisons/{id}/summary.pdf`: what changed, to be printed and handed round."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

from msgspec import UNSET, Struct, UnsetType

from shared.access import audit
from shared.api.fields import Id, names, says
from shared.api.routes import Route
from shared.api.web import Call, Response, download
from shared.errors import FilesUnavailable, NotFound, StoreUnavailable
from shared.files.store import FileStore
from shared.products.buildtrace import told
from shared.products.buildtrace.looking import Project, picture
from shared.products.buildtrace.tables import (
    COMPARISONS,
    DRAWINGS,
    PAIRS,
    REVISIONS,
    SHEETS,
    SUMMARIES,
)
from shared.products.product import Parts
from shared.records import record
from shared.records.store import Document, Key

if TYPE_CHECKING:
    from shared.products.buildtrace.report.content import Compared

#: What Typst sets.
SOURCE = Path(__file__).with_name("report.typ")

#: Packages whose messages it says: its own, and those of pages, which name the same things.
SPOKEN = (Path(__file__).parent, Path(__file__).parents[1] / "pages")

LANGUAGES = ("en", "ru", "ar", "hi")


class SummaryAsked(Struct):
    """Of which comparison, in which language."""

    id: Annotated[
        Id,
        names("There is no such comparison, or none that you may see."),
        says("The comparison."),
    ]
    language: Annotated[Literal["en", "ru", "ar", "hi"] | UnsetType, says("Absent: English.")] = (
        UNSET
    )


def routes(parts: Parts) -> Sequence[Route]:
    """The report's route."""

    def get_summary(call: Call, asked: SummaryAsked) -> Response:
        """What changed, as a PDF.

        A4, tagged for screen readers (PDF/UA-1): counts by trade and by sheet, then each sheet with its
        clouds and a row a change, with what people remarked. It says how things stand when it is made.
        """
        from shared.console.words import words_of
        from shared.export.pdf import pdf
        from shared.products.buildtrace.report.content import content

        project, now_ms = Project(parts.store(), call.caller), parts.clock_ms()
        found = compared(project, project.record(COMPARISONS, asked.id), parts.files)
        language = asked.language if isinstance(asked.language, str) else LANGUAGES[0]
        made = pdf(SOURCE, content(found, words_of(language, SPOKEN, "UTC"), now_ms), now_ms)
        audit.reading(project.store, call.caller, "export_summary", project.seen, now_ms)
        call.notes["bytes"] = len(made)
        return download(made, "summary.pdf", "application/pdf")

    return (
        Route(
            "GET",
            "/api/v1/comparisons/{id}/summary.pdf",
            get_summary,
            name="exportSummary",
            asks=SummaryAsked,
            gives=bytes,
            media="application/pdf",
            faults=("invalid_request", NotFound, StoreUnavailable),
        ),
    )


def compared(project: Project, comparison: Document, files: Callable[[], FileStore]) -> Compared:
    """What a report is made of, as it is stored now."""
    from shared.products.buildtrace.report.content import MOST_CHANGES, MOST_PICTURES, Compared

    have = comparison.fields
    drawing, old, new = (
        Key(table, str(have[column]))
        for table, column in (
            (DRAWINGS, "drawing_id"),
            (REVISIONS, "old_revision_id"),
            (REVISIONS, "new_revision_id"),
        )
    )
    pairs = project.rows(PAIRS, "comparison_id", comparison.key.id)
    sheet_of = {
        each.key.id: Key(
            SHEETS, str(each.fields.get("new_sheet_id") or each.fields.get("old_sheet_id"))
        )
        for each in pairs
    }
    rows = project.store.read([drawing, old, new, *sheet_of.values()]).documents
    own = {
        key: row.fields
        for key, row in rows.items()
        if row.fields[record.SCOPE] == have[record.SCOPE]
    }
    project.note(rows[key] for key in own)
    changes = told.changes(project, comparison.key.id)
    ids = [each.key.id for each in changes[:MOST_CHANGES]]
    shown = {str(each.fields["pair_id"]) for each in changes[:MOST_CHANGES]}
    summaries = project.rows(SUMMARIES, "comparison_id", comparison.key.id)
    return Compared(
        str(own.get(drawing, {}).get("name") or ""),
        _called(own.get(old, {})),
        _called(own.get(new, {})),
        have,
        [_row(each) for each in pairs],
        {
            name: (float(own[key]["width_mm"]), float(own[key]["height_mm"]))
            for name, key in sheet_of.items()
            if key in own and own[key].get("width_mm") and own[key].get("height_mm")
        },
        [_row(each) for each in changes],
        told.remarks(project, ids),
        {
            str(each.fields["subject"]): str(each.fields["text"])
            for each in summaries
            if each.fields["about"] == "sheet" and each.fields["writer"] != "rules"
        },
        dict(
            _pictures(
                project, [each for each in pairs if each.key.id in shown][:MOST_PICTURES], files
            )
        ),
    )


def _pictures(
    project: Project, pairs: Sequence[Document], files: Callable[[], FileStore]
) -> Iterator[tuple[str, bytes]]:
    """Overlays as one small picture each; a report is made without those that cannot be had."""
    with suppress(FilesUnavailable):
        for each in pairs:
            if each.fields.get("overlay_url"):
                data = picture(project.store, files(), each.fields, "overlay-0-0-0")
                if data is not None:
                    yield each.key.id, data


def _row(document: Document) -> dict[str, Any]:
    return {**document.fields, "id": document.key.id}


def _called(revision: Any) -> tuple[str, str]:
    """A revision's label and day."""
    label, day = str(revision.get("label") or ""), str(revision.get("issued_on") or "")
    return (label, day) if label else (day or "–", "")
