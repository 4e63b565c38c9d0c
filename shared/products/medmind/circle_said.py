"""What the patient said, as people of the circle read it: utterances with their symptoms and questions."""

from __future__ import annotations

from typing import Any

from msgspec import Struct

from shared.access import audit
from shared.api.routes import Route
from shared.api.web import Call, Response, answer
from shared.errors import NotFound, StoreUnavailable
from shared.products.medmind.circle import CircleAsked, circle_asked
from shared.products.medmind.tables import CATALOG
from shared.products.medmind.voice_tables import INTERACTIONS, QUESTIONS, SYMPTOMS
from shared.products.product import Parts
from shared.records import record
from shared.records.store import Query, RecordStore, StoredCollection

#: Rows of each table in one answer, the newest.
_MOST = 60

_NEWEST = (record.SCOPE, "at desc", "__name__")

STORED = tuple(StoredCollection(each, (_NEWEST,)) for each in (INTERACTIONS, SYMPTOMS, QUESTIONS))


class CircleSaid(Struct):
    """The newest of each, all columns; times are Unix ms."""

    scope_id: str
    interactions: list[dict[str, Any]]
    symptoms: list[dict[str, Any]]
    questions: list[dict[str, Any]]


class _Said:
    """Answers people of circles."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def said(self, call: Call, asked: CircleAsked) -> Response:
        """What the patient said, the newest first, and what was answered."""
        store, now_ms = self._parts.store(), self._parts.clock_ms()
        scope = circle_asked(store, call.caller, asked.scope)
        rows = {
            table: _newest(store, scope, table) for table in (INTERACTIONS, SYMPTOMS, QUESTIONS)
        }
        seen = {scope: {table: [each["id"] for each in found] for table, found in rows.items()}}
        audit.reading(store, call.caller, "read_said", seen, now_ms)
        return answer(CircleSaid(scope, *rows.values()), call=call)


def _newest(store: RecordStore, scope: str, table: str) -> list[dict[str, Any]]:
    query = Query(table, ((record.SCOPE, "==", scope),), (("at", "desc"),), _MOST)
    columns = [name for name, _ in CATALOG.by_name[table].columns]
    return [
        {"id": each.key.id, **{name: each.fields.get(name) for name in columns}}
        for each in store.query(query)
        if each.fields.get(record.DELETED) is None
    ]


def routes(parts: Parts) -> tuple[Route, ...]:
    """What people of circles ask of what was said."""
    return (
        Route(
            "GET",
            "/api/v1/circle/said",
            _Said(parts).said,
            name="listSaid",
            asks=CircleAsked,
            gives=CircleSaid,
            faults=("invalid_request", NotFound, StoreUnavailable),
        ),
    )
