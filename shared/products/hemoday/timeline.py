"""A family's records as pages show them: what happened, the newest first; one table; one record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, Literal

from msgspec import UNSET, Struct, UnsetType

from shared.access import audit
from shared.api.fields import Id, Limit, names, says
from shared.api.routes import Route
from shared.api.web import Call, Response, answer
from shared.errors import NotFound, StoreUnavailable
from shared.products.hemoday.asked import Scope, family_of, shown
from shared.products.hemoday.household import Household, Households
from shared.products.hemoday.tables import BLOOD_TESTS, CATALOG, DOCUMENTS, RESULTS, TRANSFUSIONS
from shared.products.product import Parts
from shared.records import record
from shared.records.store import Document
from shared.sync import paging

#: Tables whose records have a day of their own.
DATED = (TRANSFUSIONS, BLOOD_TESTS, DOCUMENTS)

#: Entries of one page.
PAGE = 50

TABLES = tuple(each.name for each in CATALOG.collections)


class TimelineAsked(Struct):
    """Of which family, which tables, and where the list goes on."""

    scope: Scope = UNSET
    table: Annotated[
        Literal["transfusions", "blood_tests", "documents"] | UnsetType, says("One table alone.")
    ] = UNSET
    limit: Annotated[Limit, says(f"Most entries of one answer; {PAGE} at most.")] = PAGE
    page: Annotated[str | UnsetType, says("`next_page` of the answer before.")] = UNSET


class TableAsked(Struct):
    """Which table of which family."""

    table: Annotated[str, names("There is no such table."), says("Its table.")]
    scope: Scope = UNSET
    limit: Annotated[Limit, says(f"Most entries of one answer; {PAGE} at most.")] = PAGE
    page: Annotated[str | UnsetType, says("`next_page` of the answer before.")] = UNSET


class RecordAsked(Struct):
    """Which record."""

    table: Annotated[str, names("There is no such table."), says("Its table.")]
    id: Annotated[Id, names("There is no such record, or none that you may see."), says("Its id.")]
    scope: Scope = UNSET


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


def page(household: Household, tables: Sequence[str], token: str | None, limit: int) -> Timeline:
    """A page of some tables, the newest first. Raises `InvalidCursor`."""
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


class _Shown:
    """Answers who looks at a family's records."""

    def __init__(self, parts: Parts, households: Households) -> None:
        self._parts, self._households = parts, households

    def timeline(self, call: Call, asked: TimelineAsked) -> Response:
        """What happened, the newest first.

        Transfusions, blood tests with their results, documents.
        """
        scope = family_of(self._parts.store(), call.caller, asked.scope)
        tables = (asked.table,) if isinstance(asked.table, str) else DATED
        return self._page(call, scope, tables, asked.page, asked.limit)

    def table(self, call: Call, asked: TableAsked) -> Response:
        """The records of a table, the newest first."""
        scope = family_of(self._parts.store(), call.caller, asked.scope)
        if asked.table not in TABLES:
            raise NotFound("There is no such table.", field="table")
        return self._page(call, scope, (asked.table,), asked.page, asked.limit)

    def record(self, call: Call, asked: RecordAsked) -> Response:
        """One record; a blood test with its results."""
        scope = family_of(self._parts.store(), call.caller, asked.scope)
        household = self._households.of(scope)
        document = household.tables.get(asked.table, {}).get(asked.id)
        if document is None:
            raise NotFound("There is no such record, or none that you may see.", field="id")
        found = results_of(household).get(asked.id, []) if asked.table == BLOOD_TESTS else []
        results = [shown(each) for each in found]
        entry = TimelineEntry(asked.table, asked.id, day_of(document), shown(document), results)
        self._note(call, scope, "read_record", [entry])
        return answer(entry, call=call)

    def _page(
        self, call: Call, scope: str, tables: Sequence[str], token: str | UnsetType, limit: int
    ) -> Response:
        behind = token if isinstance(token, str) else None
        found = page(self._households.of(scope), tables, behind, min(limit, PAGE))
        self._note(call, scope, "read_timeline", found.entries)
        return answer(found, call=call)

    def _note(self, call: Call, scope: str, action: str, entries: Sequence[TimelineEntry]) -> None:
        touched: dict[str, list[str]] = {}
        for entry in entries:
            touched.setdefault(entry.table, []).append(entry.id)
            for result in entry.results:
                touched.setdefault(RESULTS, []).append(result["id"])
        now_ms = self._parts.clock_ms()
        audit.reading(self._parts.store(), call.caller, action, {scope: touched}, now_ms)
        call.notes["entries"] = len(entries)


def routes(parts: Parts, households: Households) -> tuple[Route, ...]:
    """What shows records."""
    shows = _Shown(parts, households)
    listed = ("invalid_request", "invalid_cursor", NotFound, StoreUnavailable)
    return (
        Route(
            "GET",
            "/api/v1/timeline",
            shows.timeline,
            name="getTimeline",
            asks=TimelineAsked,
            gives=Timeline,
            names=(TimelineEntry,),
            faults=listed,
        ),
        Route(
            "GET",
            "/api/v1/records/{table}",
            shows.table,
            name="listRecords",
            asks=TableAsked,
            gives=Timeline,
            names=(TimelineEntry,),
            faults=listed,
        ),
        Route(
            "GET",
            "/api/v1/records/{table}/{id}",
            shows.record,
            name="getRecord",
            asks=RecordAsked,
            gives=TimelineEntry,
            faults=("invalid_request", NotFound, StoreUnavailable),
        ),
    )
