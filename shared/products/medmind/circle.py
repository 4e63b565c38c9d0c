"""What people of a circle look at: doses of some days, the plan, its devices, and what a change would do.

For pages and web apps. Days are those of the patient's clock. All of it is asked of the store at each
request, and leaves its line in the trail.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

from msgspec import UNSET, Meta, Struct, UnsetType

from shared.access import audit, membership
from shared.access.membership import Caller
from shared.access.rights import Action
from shared.api.fields import TextOrNull, says
from shared.api.routes import Route
from shared.api.scopes import AskedScope, scope_asked
from shared.api.web import Call, Response, answer
from shared.errors import InvalidRequest, NotFound, StoreUnavailable
from shared.products.medmind import items
from shared.products.medmind.device import HEARTBEATS, SILENT_MS
from shared.products.medmind.doses import DoseEvent, state
from shared.products.medmind.dosing import AHEAD_DAYS
from shared.products.medmind.plans import RuleVersion, doses
from shared.products.medmind.rights import DEVICE, RIGHTS
from shared.products.medmind.tables import (
    CATALOG,
    DOSES,
    EVENTS,
    ITEMS,
    MEDICATIONS,
    PATIENTS,
    PLANS,
    as_needed,
)
from shared.products.product import Parts
from shared.records import record
from shared.records.store import Document, Key, Query, RecordStore
from shared.records.wall_time import instant, zone_named

#: Most days, and doses, of one answer; values of one `in`: Firestore's bound.
MOST_DAYS, _MOST_DOSES, _AT_ONCE = 31, 1_500, 30

_Day = Annotated[str, Meta(max_length=10)]


class CircleAsked(Struct):
    """Of which circle."""

    scope: AskedScope = UNSET


class DosesAsked(Struct):
    """Of which circle, and which days of the patient's clock."""

    scope: AskedScope = UNSET
    first_day: Annotated[_Day, says("YYYY-MM-DD; today, if there is none.")] = ""
    last_day: Annotated[_Day, says(f"YYYY-MM-DD, inclusive; {MOST_DAYS} days at most.")] = ""


class DoseSaid(Struct):
    """What somebody or a device said of a dose."""

    id: str
    kind: str
    at: Annotated[int, says("When it happened, Unix ms.")]
    heard_at: Annotated[int, says("When the server first heard of it, Unix ms.")]
    by: Annotated[str, says("The user, or the device.")]
    reason: TextOrNull
    undoes: TextOrNull


class CircleDose(Struct):
    """A dose, what became of it, and what was said of it."""

    id: str
    item_id: str
    due_at: Annotated[int, says("Unix ms.")]
    until: Annotated[int, says("The end of its grace, Unix ms.")]
    state: str
    medicine: str
    strength: TextOrNull
    amount: float | None
    unit: TextOrNull
    with_meal: TextOrNull
    reason: TextOrNull
    amended_at: int | None
    event_id: Annotated[str | None, says("The event that decides.")]
    as_needed: Annotated[bool, says("Taken as needed, or beside the plan: it was never due.")]
    said: Annotated[list[DoseSaid], says("In the order in which it happened.")]


class CircleDoses(Struct):
    """Doses of some days, in their order."""

    scope_id: str
    patient: TextOrNull
    time_zone: str
    today: Annotated[str, says("By the patient's clock.")]
    doses: list[CircleDose]


class PlannedItem(Struct):
    """An item of a plan, and how its days and times changed."""

    record: Annotated[dict[str, Any], says("All columns.")]
    versions: Annotated[
        list[dict[str, Any]], says("Days and times, the oldest first; `since` is Unix ms.")
    ]


class PlannedMedicine(Struct):
    """A medicine with one of its plans; without one, if nobody has planned it."""

    medication: Annotated[dict[str, Any], says("All columns.")]
    plan: Annotated[dict[str, Any] | None, says("All columns.")]
    items: list[PlannedItem]


class CirclePlan(Struct):
    """Who is cared for, and all medicines."""

    scope_id: str
    patient: Annotated[dict[str, Any] | None, says("All columns.")]
    time_zone: str
    medicines: list[PlannedMedicine]


class PreviewAsked(Struct):
    """An item as it is to be."""

    columns: Annotated[
        dict[str, Any], says("Columns of `medication_plan_items`; absent: as it is.")
    ]
    item_id: Annotated[
        str, Meta(max_length=128), says("Which one changes; empty: it is a new one.")
    ] = ""
    scope: AskedScope = UNSET


class PreviewedDose(Struct):
    """A dose to come."""

    at: Annotated[int | None, says("When it is due, Unix ms; null: it does not come any more.")]
    was: Annotated[int | None, says("When it was to be due; null: it is a new one.")]
    clock: Annotated[
        str, says("`left_out`, `twice`: what the clock does to its time that night; else empty.")
    ]


class Preview(Struct):
    """What the next days would hold."""

    scope_id: str
    time_zone: str
    doses: list[PreviewedDose]
    unread: Annotated[list[str], says("Columns that cannot be read: then there are no doses.")]


class CircleDevice(Struct):
    """A device of the circle, and when it was heard of."""

    user_id: str
    heard_at: Annotated[int | None, says("Unix ms; null: never.")]
    silent: Annotated[bool, says("For longer than carers are told after.")]
    battery_percent: int | None
    firmware: TextOrNull
    clock_offset_ms: int | None


class CircleDevices(Struct):
    """The devices of a circle."""

    scope_id: str
    devices: list[CircleDevice]


class _Circle:
    """Answers people of circles."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def doses(self, call: Call, asked: DosesAsked) -> Response:
        """Doses of some days, with what was said of each."""
        store, now_ms = self._parts.store(), self._parts.clock_ms()
        scope = self._scope(call, asked.scope)
        about, zone = _patient(store, scope)
        today = items.today(now_ms, zone)
        first = _day("first_day", asked.first_day, today)
        last = _day("last_day", asked.last_day, first)
        if not 0 <= (last - first).days < MOST_DAYS:
            raise InvalidRequest(f"Ask for 1 to {MOST_DAYS} days.", field="last_day")
        found = list(_doses(store, scope, _midnight(first, zone), _midnight(last, zone, 1)))
        said = _said(store, scope, [each.key.id for each in found])
        table = _all(store, scope, ITEMS, gone=True) | _all(store, scope, PLANS, gone=True)
        table |= _all(store, scope, MEDICATIONS, gone=True)  # what was taken keeps its name
        shown = [_dose(each, table, said.get(each.key.id, []), now_ms) for each in found]
        ids = {DOSES: [each.id for each in shown], EVENTS: [e.id for d in shown for e in d.said]}
        audit.reading(store, call.caller, "read_doses", {scope: ids}, now_ms)
        call.notes["doses"] = len(shown)
        name = about.get("name")
        return answer(CircleDoses(scope, name, zone.key, today.isoformat(), shown), call=call)

    def plan(self, call: Call, asked: CircleAsked) -> Response:
        """All medicines with their plans, and how those changed."""
        store, now_ms = self._parts.store(), self._parts.clock_ms()
        scope = self._scope(call, asked.scope)
        about, zone = _patient(store, scope)
        rows = {table: _all(store, scope, table) for table in (MEDICATIONS, PLANS, ITEMS)}
        medicines = list(_medicines(rows[MEDICATIONS], rows[PLANS], rows[ITEMS]))
        ids = {table: [key.id for key in found] for table, found in rows.items()}
        audit.reading(store, call.caller, "read_plan", {scope: ids}, now_ms)
        patient = _row(PATIENTS, scope, about) if about else None
        return answer(CirclePlan(scope, patient, zone.key, medicines), call=call)

    def preview(self, call: Call, body: PreviewAsked) -> Response:
        """What a change of an item would do in the next days. Nothing is stored."""
        store, now_ms = self._parts.store(), self._parts.clock_ms()
        scope = self._scope(call, body.scope)
        have: Mapping[str, Any] = {}
        if body.item_id:
            key = Key(ITEMS, body.item_id)
            item = _all(store, scope, ITEMS).get(key)
            if item is None:
                raise NotFound("There is no such item of a plan.", field="item_id")
            have = item
        columns = {**have, **body.columns}
        shown = _previewed(have, columns, now_ms)
        seen = {scope: {ITEMS: [body.item_id]}} if body.item_id else {}
        audit.reading(store, call.caller, "read_plan", seen, now_ms)
        zone = items.zone_of(columns)
        return answer(Preview(scope, zone.key, shown, items.unread(columns)), call=call)

    def devices(self, call: Call, asked: CircleAsked) -> Response:
        """The circle's devices, and when each was last heard of."""
        store, now_ms = self._parts.store(), self._parts.clock_ms()
        scope = self._scope(call, asked.scope)
        devices = [user for user, role, _ in membership.everybody(store, scope) if role == DEVICE]
        heard = store.read([Key(HEARTBEATS, each) for each in devices]).documents
        shown = [_device(each, heard.get(Key(HEARTBEATS, each)), now_ms) for each in devices]
        audit.reading(store, call.caller, "read_devices", {scope: {HEARTBEATS: devices}}, now_ms)
        return answer(CircleDevices(scope, shown), call=call)

    def _scope(self, call: Call, scope: Any) -> str:
        return circle_asked(self._parts.store(), call.caller, scope)


def circle_asked(store: RecordStore, caller: Caller, scope: str | UnsetType) -> str:
    """The circle that a person asks about; none for a device. Raises as `scope_asked`."""
    return scope_asked(
        store,
        caller,
        scope,
        lambda role: role != DEVICE and RIGHTS.may(role, Action.READ),
        CATALOG.scope_word,
    )


def _patient(store: RecordStore, scope: str) -> tuple[Mapping[str, Any], ZoneInfo]:
    """Whom a circle cares for (empty: nobody has said), and the clock of their place."""
    key = Key(PATIENTS, scope)
    found = store.read([key]).documents.get(key)
    about = found.fields if found and found.fields.get(record.DELETED) is None else {}
    return about, zone_named(about.get("time_zone"))


def _all(
    store: RecordStore, scope: str, table: str, *, gone: bool = False
) -> dict[Key, Mapping[str, Any]]:
    """The living rows of a table; with `gone` those that are deleted, too."""
    now = store.read([Key(PATIENTS, scope)]).read_at
    return {
        each.document.key: each.document.fields
        for each in store.changes(table, [scope], 0, now, even_if_newer=True)
        if gone or each.document.fields.get(record.DELETED) is None
    }


def _doses(store: RecordStore, scope: str, from_ms: int, until_ms: int) -> Iterator[Document]:
    query = Query(
        DOSES,
        where=((record.SCOPE, "==", scope), ("due_at", ">=", from_ms), ("due_at", "<", until_ms)),
        order=(("due_at", "asc"),),
        limit=_MOST_DOSES,
    )
    return (each for each in store.query(query) if each.fields.get(record.DELETED) is None)


def _said(store: RecordStore, scope: str, names: Sequence[str]) -> dict[str, list[DoseSaid]]:
    """What was said of doses in their circle."""
    found: dict[str, list[DoseSaid]] = {}
    for at in range(0, len(names), _AT_ONCE):
        some = list(names[at : at + _AT_ONCE])
        for each in store.query(Query(EVENTS, where=(("dose", "in", some),))):
            have = each.fields
            if have.get(record.DELETED) is None and have[record.SCOPE] == scope:
                said = DoseSaid(
                    each.key.id,
                    str(have["kind"]),
                    int(have["at"]),
                    int(have.get("heard_at") or have["at"]),
                    str(have.get("made_by") or ""),
                    have.get("reason"),
                    have.get("undoes"),
                )
                found.setdefault(str(have["dose"]), []).append(said)
    for several in found.values():
        several.sort(key=lambda each: (each.at, each.id))
    return found


def _dose(
    dose: Document, table: Mapping[Key, Mapping[str, Any]], said: list[DoseSaid], now_ms: int
) -> CircleDose:
    """A dose as it is now: who just said something need not wait for the job that notes it."""
    have = dose.fields
    due_ms, grace_ms = int(have["due_at"]), int(have["grace_minutes"]) * 60_000
    events = (
        DoseEvent(
            each.id,
            each.kind,
            min(each.at, each.heard_at),
            each.heard_at,
            each.reason or "",
            each.undoes or "",
        )
        for each in said
    )
    became = state(due_ms, grace_ms, events, now_ms)
    item = table.get(Key(ITEMS, str(have["item_id"])), {})
    plan = table.get(Key(PLANS, str(item.get("plan_id"))), {})
    medicine = table.get(Key(MEDICATIONS, str(plan.get("medication_id"))), {})
    return CircleDose(
        dose.key.id,
        str(have["item_id"]),
        due_ms,
        due_ms + grace_ms,
        became.name,
        str(medicine.get("name") or ""),
        medicine.get("strength"),
        have.get("amount"),
        have.get("unit"),
        item.get("with_meal"),
        (became.event.reason or None) if became.event else None,
        became.amended_ms,
        became.event.id if became.event else None,
        as_needed(dose.key.id),
        said,
    )


def _row(table: str, name: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    columns = {column: fields.get(column) for column, _ in CATALOG.by_name[table].columns}
    return {"id": name, **columns}


def _medicines(
    medicines: Mapping[Key, Mapping[str, Any]],
    plans: Mapping[Key, Mapping[str, Any]],
    planned: Mapping[Key, Mapping[str, Any]],
) -> Iterator[PlannedMedicine]:
    """By their names; a plan whose medicine is gone is not shown."""
    of_plan: dict[str, list[PlannedItem]] = {}
    for key, have in sorted(
        planned.items(), key=lambda each: (str(each[1].get("starts_on")), each[0])
    ):
        item = PlannedItem(_row(ITEMS, key.id, have), list(have.get(items.VERSIONS) or ()))
        of_plan.setdefault(str(have.get("plan_id")), []).append(item)
    of_medicine: dict[str, list[tuple[Key, Mapping[str, Any]]]] = {}
    for key, have in sorted(plans.items()):
        of_medicine.setdefault(str(have.get("medication_id")), []).append((key, have))
    by_name = sorted(medicines.items(), key=lambda each: (str(each[1]["name"]).casefold(), each[0]))
    for key, have in by_name:
        medicine = _row(MEDICATIONS, key.id, have)
        for plan, columns in of_medicine.get(key.id, ()):
            row = _row(PLANS, plan.id, columns)
            yield PlannedMedicine(medicine, row, of_plan.get(plan.id, []))
        if key.id not in of_medicine:
            yield PlannedMedicine(medicine, None, [])


def _previewed(
    have: Mapping[str, Any], columns: Mapping[str, Any], now_ms: int
) -> list[PreviewedDose]:
    """Doses from now on, as they are and as they would be."""
    kept = list(have.get(items.VERSIONS) or ())
    try:
        after = items.versions_of([*kept, items.version(columns, now_ms)])
    except (TypeError, ValueError):
        raise InvalidRequest("columns are those of a plan's item.", field="columns") from None
    was = _due(items.versions_of(kept), items.zone_of(kept[-1]), now_ms) if kept else {}
    zone = items.zone_of(columns)
    now = _due(after, zone, now_ms)
    times = after[-1].rule.times
    found = [
        PreviewedDose(now.get(name), was.get(name), _clock(now.get(name), name, times, zone))
        for name in was.keys() | now.keys()
    ]
    return sorted(found, key=lambda each: (each.at or each.was or 0, each.was or 0))


def _due(versions: Iterable[RuleVersion], zone: ZoneInfo, now_ms: int) -> dict[str, int]:
    """Doses that are not due yet, by their names."""
    today = items.today(now_ms, zone)
    ahead = doses(list(versions), zone, today, today + timedelta(AHEAD_DAYS))
    return {each.name: each.at_ms for each in ahead if each.at_ms >= now_ms}


def _clock(at_ms: int | None, name: str, times: Sequence[time], zone: ZoneInfo) -> str:
    """What a change of the clock does to the wall time of a dose."""
    place = int(name.rpartition("_")[2])
    if at_ms is None or place >= len(times):
        return ""
    shown = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(zone)
    if shown.utcoffset() != shown.replace(fold=1).utcoffset() and shown.time() == times[place]:
        return "twice"
    meant = datetime.combine(shown.date(), times[place], zone)
    left_out = (
        meant.utcoffset() != meant.replace(fold=1).utcoffset() and shown.time() != times[place]
    )
    return "left_out" if left_out else ""


def _device(user: str, heard: Document | None, now_ms: int) -> CircleDevice:
    have = {} if heard is None else heard.fields
    at = have.get("heard_at")
    silent = at is not None and now_ms - int(at) >= SILENT_MS
    return CircleDevice(
        user,
        at,
        silent,
        have.get("battery_percent"),
        have.get("firmware"),
        have.get("clock_offset_ms"),
    )


def _day(field: str, text: str, otherwise: date) -> date:
    if not text:
        return otherwise
    try:
        found = date.fromisoformat(text)
    except ValueError:
        raise InvalidRequest("This must be a day: YYYY-MM-DD.", field=field) from None
    if not 1970 < found.year < 5000:
        raise InvalidRequest("There is no such day here.", field=field)
    return found


def _midnight(day: date, zone: ZoneInfo, later: int = 0) -> int:
    return instant(datetime.combine(day + timedelta(later), time(0)), zone)


def routes(parts: Parts) -> tuple[Route, ...]:
    """What people of circles ask."""
    circle = _Circle(parts)
    faults = ("invalid_request", NotFound, StoreUnavailable)
    return (
        Route(
            "GET",
            "/api/v1/circle/doses",
            circle.doses,
            name="listDoses",
            asks=DosesAsked,
            gives=CircleDoses,
            names=(CircleDose, DoseSaid),
            faults=faults,
        ),
        Route(
            "GET",
            "/api/v1/circle/plan",
            circle.plan,
            name="getPlan",
            asks=CircleAsked,
            gives=CirclePlan,
            names=(PlannedMedicine, PlannedItem),
            faults=faults,
        ),
        Route(
            "POST",
            "/api/v1/circle/plan/preview",
            circle.preview,
            name="previewPlan",
            takes=PreviewAsked,
            gives=Preview,
            names=(PreviewedDose,),
            faults=faults,
        ),
        Route(
            "GET",
            "/api/v1/circle/devices",
            circle.devices,
            name="listCircleDevices",
            asks=CircleAsked,
            gives=CircleDevices,
            names=(CircleDevice,),
            faults=faults,
        ),
    )
