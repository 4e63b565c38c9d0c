"""What happened in a family, the newest first: transfusions, blood tests with their results, documents."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Struct, UnsetType

from shared.access import audit
from shared.api.fields import Limit, says
from shared.api.routes import Route
from shared.api.web import Call, Response, answer
from shared.errors import NotFound, StoreUnavailable
from shared.products.hemoday.asked import UNSET, Scope, family_of, shown
from shared.products.hemoday.household import Household, Households
from shared.products.hemoday.tables import BLOOD_TESTS, DOCUMENTS, RESULTS, TRANSFUSIONS
from shared.products.product import Parts
from shared.records import record
from shared.records.store import Document
from shared.sync import paging

#: Tables whose records have a day of their own.
DATED = (TRANSFUSIONS, BLOOD_TESTS, DOCUMENTS)

#: Entries of one page.
PAGE = 50


class TimelineAsked(Struct):
    """Of which family, which tables, and where the list goes on."""

    scope: Scope = UNSET
    table: Annotated[
        Literal["transfusions", "blood_tests", "documents"] | UnsetType, says("One table alone.")
    ] = UNSET
    limit: Annotated[Limit, says(f"Most entries of one answer; {PAGE} at most.")] = PAGE
    page: Annotated[str | UnsetType, says("`next_page` of the answer before.")] = UNSET


class TimelineEntry(Struct):
    """One record with its day."""

    table: str
    id: str
    date: Annotated[int, says("Unix ms; when it was entered, if it has no day.")]
    record: Annotated[dict[str, Any], says("All columns; JSON columns are opened.")]
    results: Annotated[
        list[dict[str, Any]], says("Of a blood test: its results, in the order of their names.")
    ]


class Timeline(Struct):
    """A page of it."""

    scope_id: str
    entries: list[TimelineEntry]
    next_page: Annotated[str | None, says("Send as `page`; null: that was all.")]


def day_of(document: Document) -> int:
    """The day of a record, Unix ms: its own, else when it was made."""
    fields = document.fields
    return int(fields.get("date") or fields.get(record.CREATED) or 0)


def results_of(household: Household) -> dict[str, list[Document]]:
    """The results of each blood test, by their names."""
    found: dict[str, list[Document]] = {}
    for result in household.of(RESULTS):
        found.setdefault(str(result.fields["blood_test_id"]), []).append(result)
    for results in found.values():
        results.sort(key=lambda each: (str(each.fields["name"]).casefold(), each.key.id))
    return found


def page(household: Household, tables: tuple[str, ...], token: str | None, limit: int) -> Timeline:
    """A page of a family's timeline. Raises `InvalidCursor`."""
    rows = [document for table in tables for document in household.of(table)]
    placed = sorted((-day_of(row), row.key.collection, row.key.id, row) for row in rows)
    if token is not None:
        _, _, at, name = paging.opened(token)
        table, _, id = name.partition("/")
        placed = [each for each in placed if each[:3] > (at, table, id)]
    results = results_of(household)
    taken = placed[:limit]
    entries = [
        TimelineEntry(table, id, -at, shown(row), [shown(each) for each in results.get(id, ())])
        for at, table, id, row in taken
    ]
    more = len(placed) > limit
    last = (
        paging.sealed((False, False, taken[-1][0], f"{taken[-1][1]}/{taken[-1][2]}"))
        if more
        else None
    )
    return Timeline(household.scope_id, entries, last)


def routes(parts: Parts, households: Households) -> tuple[Route, ...]:
    """The timeline's route."""

    def show_timeline(call: Call, asked: TimelineAsked) -> Response:
        """What happened, the newest first.

        Transfusions, blood tests with their results, documents.
        """
        scope = family_of(parts.store(), call.caller, asked.scope)
        token = asked.page if isinstance(asked.page, str) else None
        tables = (asked.table,) if isinstance(asked.table, str) else DATED
        found = page(households.of(scope), tables, token, min(asked.limit, PAGE))
        touched: dict[str, list[str]] = {}
        for entry in found.entries:
            touched.setdefault(entry.table, []).append(entry.id)
            for result in entry.results:
                touched.setdefault(RESULTS, []).append(result["id"])
        audit.reading(
            parts.store(), call.caller, "read_timeline", {scope: touched}, parts.clock_ms()
        )
        call.notes["entries"] = len(found.entries)
        return answer(found, call=call)

    return (
        Route(
            "GET",
            "/api/v1/timeline",
            show_timeline,
            name="getTimeline",
            asks=TimelineAsked,
            gives=Timeline,
            names=(TimelineEntry,),
            faults=("invalid_request", "invalid_cursor", NotFound, StoreUnavailable),
        ),
    )
