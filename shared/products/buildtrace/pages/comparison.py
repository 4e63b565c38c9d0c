"""A comparison: its stages while they run, its sheets, what changed in sentences, and as a table."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import quote

from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_, Act, Page, Response
from shared.console.visit import Visit
from shared.products.buildtrace.looking import total
from shared.products.buildtrace.pages.words import FAULTS, KINDS, OUTCOMES, STAGES, STATES

#: How often a page asks where a comparison stands, seconds: at work; while it waits for a file.
_EVERY, _RARELY = 2, 30


class ComparisonPageAsked(Struct):
    """Which comparison."""

    id: Annotated[str, Meta(max_length=128)]


def show_comparison(visit: Visit, asked: ComparisonPageAsked) -> Response:
    """Where it stands, and what it found."""
    found = comparison_of(visit, asked.id)
    have, parts = found["record"], found["parts"]
    stages = parts.get("job_stages", [])
    paragraphs = parts.get("summaries", [])
    over = have["state"] not in ("waiting", "running")
    idle = any(each["fault"] == "file_missing" for each in stages)
    return visit.show(
        "buildtrace/comparison.html",
        comparison=have,
        labels=labels_of(visit, have),
        stages=stages,
        pairs=parts.get("sheet_pairs", []),
        paragraphs={
            about: [each for each in paragraphs if each["about"] == about]
            for about in ("all", "trade", "sheet")
        },
        every=0 if over else _RARELY if idle else _EVERY,
        may_write=may_write(visit, have),
        states=STATES,
        stage_names=STAGES,
        outcomes=OUTCOMES,
        kinds=KINDS,
        faults=FAULTS,
        total=total,
    )


def show_table(visit: Visit, asked: ComparisonPageAsked) -> Response:
    """What changed, as CSV."""
    answer = visit.api.file(f"{comparison_path(asked.id)}/changes.csv")
    return visit.download(answer.get_data(), "changes.csv", "text/csv; charset=utf-8")


def show_summary(visit: Visit, asked: ComparisonPageAsked) -> Response:
    """What changed, as a PDF in the language of the page."""
    path, language = f"{comparison_path(asked.id)}/summary.pdf", visit.words.language
    answer = visit.api.file(path, language=language)
    return visit.download(answer.get_data(), "summary.pdf", "application/pdf")


def comparison_path(name: str) -> str:
    """Of the API."""
    return f"/api/v1/comparisons/{quote(name, safe='')}"


def comparison_of(visit: Visit, name: str) -> Any:
    """A comparison with what belongs to it. Raises `NotFound`."""
    return visit.api.get(comparison_path(name))


def labels_of(visit: Visit, comparison: Mapping[str, Any]) -> tuple[str, str]:
    """What its two revisions are called; a page that a clock asks for does without."""
    if visit.page.quiet:
        return "", ""
    listed = visit.api.get("/api/v1/drawings", scope=comparison["scope_id"])["drawings"]
    known = {
        each["id"]: each["label"] or each["issued_on"] or "–"
        for drawing in listed
        for each in drawing["parts"].get("revisions", ())
    }
    old, new = (known.get(comparison[side], "–") for side in ("old_revision_id", "new_revision_id"))
    return old, new


def may_write(visit: Visit, record: Mapping[str, Any]) -> bool:
    """Whether whoever looks may change what belongs to a record's project."""
    return record["scope_id"] in visit.scopes(Action.WRITE)


def cancel(visit: Visit, asked: ComparisonPageAsked) -> Response:
    """Stop it where it is."""
    visit.api.post(f"{comparison_path(asked.id)}/cancel")
    return visit.again(N_("It is stopped. What was found so far is kept."))


def retry(visit: Visit, asked: ComparisonPageAsked) -> Response:
    """Go on where it ended."""
    visit.api.post(f"{comparison_path(asked.id)}/retry")
    return visit.again(N_("It is tried again."))


PAGES = (
    Page(
        path="comparisons/{id}",
        shows=show_comparison,
        title=N_("Comparison"),
        asks=ComparisonPageAsked,
        acts={"cancel": Act(cancel), "retry": Act(retry)},
        right=Action.READ,
    ),
    Page(
        path="comparisons/{id}/now",
        shows=show_comparison,
        title=N_("Comparison"),
        asks=ComparisonPageAsked,
        right=Action.READ,
        quiet=True,
    ),
    Page(
        path="comparisons/{id}/changes.csv",
        shows=show_table,
        title="",
        asks=ComparisonPageAsked,
        right=Action.READ,
    ),
    Page(
        path="comparisons/{id}/summary.pdf",
        shows=show_summary,
        title="",
        asks=ComparisonPageAsked,
        right=Action.READ,
    ),
)
