"""The alerts of a circle as people look at them: those that are open first, each with what it is about."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any

from msgspec import Struct

from shared.access import audit
from shared.api.fields import TextOrNull, says
from shared.api.routes import Route
from shared.api.web import Call, Response, answer
from shared.errors import NotFound, StoreUnavailable
from shared.products.medmind.alert_tables import ALERTS, DELIVERIES, ENDED, OPEN
from shared.products.medmind.circle import CircleAsked, circle_asked
from shared.products.medmind.tables import CATALOG, DOSES, ITEMS, MEDICATIONS, PLANS
from shared.products.product import Parts
from shared.records import record
from shared.records.store import Document, Key, Query, RecordStore, StoredCollection

#: Alerts of one answer: of those that are open, and of all.
_MOST_OPEN, _MOST = 100, 50

#: Values of one `in`: Firestore's bound.
_AT_ONCE = 30

STORED = (
    StoredCollection(DELIVERIES, (("alert_id",),)),
    StoredCollection(
        ALERTS,
        (
            (record.SCOPE, "state", "raised_at desc", "__name__"),
            (record.SCOPE, "raised_at desc", "__name__"),
        ),
    ),
)


class CircleAlert(Struct):
    """An alert, and the medicine or the dose that it is about."""

    alert: Annotated[dict[str, Any], says("All columns.")]
    medicine: TextOrNull
    due_at: Annotated[int | None, says("Of a dose: when it was due, Unix ms.")]
    told: Annotated[list[dict[str, Any]], says("Rows of `notification_deliveries`, all columns.")]


class CircleAlerts(Struct):
    """Alerts, those that are open first, then the newest."""

    scope_id: str
    open: Annotated[int, says(f"How many are open; {_MOST_OPEN} at most are counted.")]
    alerts: list[CircleAlert]


class _Alerts:
    """Answers people of circles."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def alerts(self, call: Call, asked: CircleAsked) -> Response:
        """What people of the circle must know of."""
        store, now_ms = self._parts.store(), self._parts.clock_ms()
        scope = circle_asked(store, call.caller, asked.scope)
        mine = ((record.SCOPE, "==", scope),)
        newest = (("raised_at", "desc"),)
        opened = Query(ALERTS, (*mine, ("state", "==", OPEN)), newest, _MOST_OPEN)
        found = {each.key: each for each in store.query(opened)}
        count = len(found)
        for each in store.query(Query(ALERTS, mine, newest, _MOST)):
            found.setdefault(each.key, each)
        rows = [each for each in found.values() if each.fields.get(record.DELETED) is None]
        rows.sort(key=lambda each: each.fields.get("state") == ENDED)
        rows.sort(key=lambda each: each.fields.get("state") != OPEN)
        seen = {scope: {ALERTS: [each.key.id for each in rows]}}
        audit.reading(store, call.caller, "read_alerts", seen, now_ms)
        return answer(CircleAlerts(scope, count, _shown(store, rows)), call=call)


def _shown(store: RecordStore, rows: Sequence[Document]) -> list[CircleAlert]:
    """Alerts with the words of what they are about, read in four steps whatever their number."""
    subjects = {str(each.fields["subject"]) for each in rows}
    doses = _read(store, DOSES, subjects)
    items = _read(store, ITEMS, {*subjects, *_named(doses, "item_id")})
    plans = _read(store, PLANS, _named(items, "plan_id"))
    counted = {each.partition("~")[0] for each in subjects}
    medicines = _read(store, MEDICATIONS, {*counted, *_named(plans, "medication_id")})
    told = _told(store, [each.key.id for each in rows])
    shown = []
    for each in rows:
        subject = str(each.fields["subject"])
        dose = doses.get(subject, {})
        item = items.get(str(dose.get("item_id") or subject), {})
        plan = plans.get(str(item.get("plan_id")), {})
        medicine = medicines.get(str(plan.get("medication_id") or subject.partition("~")[0]), {})
        name = medicine.get("name")
        shown.append(CircleAlert(_row(each), name, dose.get("due_at"), told.get(each.key.id, [])))
    return shown


def _told(store: RecordStore, alerts: Sequence[str]) -> dict[str, list[dict[str, Any]]]:
    """Who was told of alerts, in the order in which they were to be told."""
    found: dict[str, list[dict[str, Any]]] = {}
    for at in range(0, len(alerts), _AT_ONCE):
        some = tuple(alerts[at : at + _AT_ONCE])
        for each in store.query(Query(DELIVERIES, where=(("alert_id", "in", some),))):
            if each.fields.get(record.DELETED) is None:
                found.setdefault(str(each.fields["alert_id"]), []).append(_row(each))
    for several in found.values():
        several.sort(key=lambda row: (row["due_at"] or 0, row["id"]))
    return found


def _row(document: Document) -> dict[str, Any]:
    columns = CATALOG.by_name[document.key.collection].columns
    return {"id": document.key.id, **{name: document.fields.get(name) for name, _ in columns}}


def _named(rows: dict[str, Any], column: str) -> set[str]:
    return {str(each[column]) for each in rows.values() if each.get(column)}


def _read(store: RecordStore, table: str, ids: set[str]) -> dict[str, Any]:
    keys = sorted(Key(table, each) for each in ids if record.valid_id(each))
    documents = store.read(keys).documents if keys else {}
    return {key.id: document.fields for key, document in documents.items()}


def routes(parts: Parts) -> tuple[Route, ...]:
    """What people of circles ask of alerts."""
    return (
        Route(
            "GET",
            "/api/v1/circle/alerts",
            _Alerts(parts).alerts,
            name="listAlerts",
            asks=CircleAsked,
            gives=CircleAlerts,
            names=(CircleAlert,),
            faults=("invalid_request", NotFound, StoreUnavailable),
        ),
    )
