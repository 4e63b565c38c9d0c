"""What the device on the table asks: its schedule, and what it tells: events and that it lives.

A device is a member of one circle with a role of its own. It comes in by a code that a caregiver makes,
as any member does (`POST /api/v1/auth/register` with `invite_code`, which a QR code may carry), and who
puts it out puts an end to it: each request asks the store whether it is in.

It may be offline for weeks. Its events keep their ids, so sending all of them again is safe; one that
cannot be taken is named and stops no other; its clock is corrected by what it says the time is.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from msgspec import Meta, Struct, to_builtins

from shared.access import audit, membership
from shared.access.membership import Caller
from shared.api.bodies import Limits
from shared.api.fields import Id, TextOrNull, must, names, says
from shared.api.routes import Route
from shared.api.web import Call, Response, answer, tagged
from shared.errors import Contended, NotFound, StoreUnavailable
from shared.products.medmind import alerts, items
from shared.products.medmind.alert_tables import (
    ALERTS,
    CALL_FOR_HELP,
    EMERGENCY,
    NOTICE,
    OPEN,
    SILENT_DEVICE,
    alert_id,
    bell,
)
from shared.products.medmind.doses import PLANNED
from shared.products.medmind.rights import CAREGIVER, DEVICE, DOCTOR
from shared.products.medmind.tables import (
    CATALOG,
    DOSES,
    EVENTS,
    ITEMS,
    MEDICATIONS,
    PATIENTS,
    PLANS,
)
from shared.products.product import Parts
from shared.records import record
from shared.records.collection import RecordFault
from shared.records.insist import insist
from shared.records.store import (
    ABSENT,
    Document,
    Key,
    Query,
    RecordStore,
    StoredCollection,
    delete,
    patch,
    put,
)
from shared.records.wall_time import known_zone
from shared.sync.exchange import Entry, Push

HEARTBEATS = "device_heartbeats"

STORED = (
    StoredCollection(HEARTBEATS, (("told", "heard_at"),)),
    StoredCollection(DOSES, ((record.SCOPE, "due_at"),)),
    StoredCollection(ITEMS, ((record.SCOPE, "frequency"),)),
)

#: Days of a schedule, unless it is asked otherwise, and at most; days before now that it still shows.
DAYS, MOST_DAYS, BACK_DAYS = 7, 14, 1

#: A device that was heard of and then is silent for so long is told of, ms; so many in one round.
SILENT_MS, _A_ROUND = 30 * 60_000, 100

#: Longest day of a clock that is set back, beyond 24 hours, ms: taken today is looked for so far back.
_LONGEST_MS = 2 * 3_600_000

#: Events of one request.
MOST_EVENTS = 200

#: Doses of one answer: three items at four times of the day, for fifteen days, and as much again.
_MOST_DOSES = 400

_DAY_MS, _ATTEMPTS = 86_400_000, 8

#: What is said of a device of others, or of none.
NO_DEVICE = "There is no such device, or none of yours."
_EVENTS = Limits(2**18, 2**18, 5_000)
_Moment = Annotated[int, must("Unix milliseconds", ge=0, le=10**14)]


class DeviceAsked(Struct):
    """Which device."""

    id: Annotated[Id, names(NO_DEVICE), says("The device: its user id.")]


class ScheduleAsked(Struct):
    """Which device, and how many days ahead."""

    id: Annotated[Id, names(NO_DEVICE), says("The device: its user id.")]
    days: Annotated[
        Annotated[int, Meta(ge=1, le=MOST_DAYS)], says(f"Days ahead; {MOST_DAYS} at most.")
    ] = DAYS


class ScheduledDose(Struct):
    """A dose as a device shows and says it."""

    id: str
    due_at: Annotated[int, says("Unix ms.")]
    until: Annotated[int, says("The end of its grace, Unix ms.")]
    state: str
    medicine: str
    strength: TextOrNull
    amount: Annotated[float | None, says("How much, in `unit`.")]
    unit: TextOrNull
    with_meal: TextOrNull


class AsNeeded(Struct):
    """What may be taken when it is needed: tell `taken` of the item, and it is a dose of its own."""

    item_id: str
    medicine: str
    strength: TextOrNull
    amount: Annotated[float | None, says("How much, in `unit`.")]
    unit: TextOrNull
    with_meal: TextOrNull
    most_a_day: Annotated[int | None, says("Doses of a day; null: no bound.")]
    left_today: Annotated[
        int | None, says("Of these, by the item's clock. More is kept, and alerts the carers.")
    ]
    taken_at: Annotated[list[int], says("Doses of the last day, Unix ms: to count on, offline.")]


class OtherClock(Struct):
    """An item whose clock shows another time than the patient's, as after a journey: ask what is meant.

    It goes by its own until a carer gives the item the other `time_zone`; then the wall times stay.
    """

    item_id: str
    medicine: str
    time_zone: TextOrNull


class Schedule(Struct):
    """What a device shows for the next days."""

    device_id: str
    patient: TextOrNull
    language: TextOrNull
    time_zone: TextOrNull
    doses: list[ScheduledDose]
    as_needed: list[AsNeeded]
    other_clocks: list[OtherClock]


class DeviceEvent(Struct):
    """What happened to a dose."""

    id: Annotated[Id, says("Made by the device, once an event.")]
    dose_id: Annotated[
        str,
        Meta(max_length=160),
        says("Of what was taken as needed: the item's id."),
    ]
    kind: Annotated[str, Meta(max_length=20), says("`taken`, `skipped` or `undone`.")]
    at: Annotated[_Moment, says("When, by the device's clock, Unix ms.")]
    reason: Annotated[str, Meta(max_length=1000)] = ""
    undoes: Annotated[str, Meta(max_length=128)] = ""
    amount: Annotated[float | None, says("How much, if not what the plan says.")] = None


class DeviceEvents(Struct):
    """Events, and what the device takes for now."""

    now: Annotated[_Moment, says("What the device's clock says, Unix ms.")]
    events: Annotated[
        list[dict[str, Any]], Meta(max_length=MOST_EVENTS), says("Each as `DeviceEvent`.")
    ]


class EventRefused(Struct):
    """An event that was not taken: keep it, and show it to whoever looks after the device."""

    id: str
    code: str
    message: str


class EventsTaken(Struct):
    """What became of events."""

    taken: list[str]
    refused: list[EventRefused]
    clock_offset_ms: Annotated[int, says("The device's clock minus ours.")]


class Heartbeat(Struct):
    """The device lives."""

    now: Annotated[_Moment, says("What the device's clock says, Unix ms.")]
    battery_percent: Annotated[int, Meta(ge=0, le=100)] | None = None
    firmware: Annotated[str, Meta(max_length=100)] = ""


class HeartbeatTaken(Struct):
    """It was heard."""

    now: Annotated[int, says("Our clock, Unix ms: set yours by it.")]


class CallForHelp(Struct):
    """Somebody at the device asks for help."""

    id: Annotated[Id, says("Made by the device, once a call.")]
    now: Annotated[_Moment, says("What the device's clock says, Unix ms.")]
    at: Annotated[_Moment | None, says("When help was asked for, by that clock; null: now.")] = None


class HelpCalled(Struct):
    """The circle is being told."""

    alert_id: str
    state: Annotated[str, says("`open`; `acknowledged`: somebody looks after it; `ended`.")]
    acknowledged_by: Annotated[TextOrNull, says("The user who looks after it.")]


class _Devices:
    """Answers devices, and the circle that looks at theirs."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def schedule(self, call: Call, asked: ScheduleAsked) -> Response:
        """What to show and say in the next days.

        Small, and the same until something changes: send `If-None-Match`. Keep it for when there is no
        network. For the device itself, and for caregivers and doctors of its circle.
        """
        store, now_ms = self._parts.store(), self._parts.clock_ms()
        scope = circle_of(store, call.caller, asked.id, (CAREGIVER, DOCTOR))
        query = Query(
            DOSES,
            where=(
                (record.SCOPE, "==", scope),
                ("due_at", ">=", now_ms - BACK_DAYS * _DAY_MS - _LONGEST_MS),
                ("due_at", "<=", now_ms + asked.days * _DAY_MS),
            ),
            order=(("due_at", "asc"),),
            limit=_MOST_DOSES,
        )
        found = [each for each in store.query(query) if each.fields.get(record.DELETED) is None]
        words = _Words(store, scope, found)
        since_ms = now_ms - BACK_DAYS * _DAY_MS
        shown = [words.dose(each) for each in found if words.is_shown(each, since_ms)]
        patient = store.read([Key(PATIENTS, scope)]).documents.get(Key(PATIENTS, scope))
        about = {} if patient is None else patient.fields
        value = Schedule(
            asked.id,
            about.get("name"),
            about.get("language"),
            about.get("time_zone"),
            shown,
            [words.needed(item, found, now_ms) for item in words.as_needed],
            list(words.other_clocks(about.get("time_zone"), now_ms)),
        )
        seen = {scope: {DOSES: [each.id for each in shown], ITEMS: words.as_needed}}
        audit.reading(store, call.caller, "read_schedule", seen, now_ms)
        call.notes["doses"] = len(shown)
        return tagged(value, call, of=to_builtins(value))

    def events(self, call: Call, asked: DeviceAsked, body: DeviceEvents) -> Response:
        """Tell what happened to doses.

        Safe to repeat, in any order, weeks late. Each event is taken or refused by itself. For the device
        itself.
        """
        store, now_ms = self._parts.store(), self._parts.clock_ms()
        scope = circle_of(store, call.caller, asked.id, ())
        offset_ms = body.now - now_ms
        refused: list[EventRefused] = []
        entries = list(_entries(body.events, scope, offset_ms, refused))
        known = _known(store, scope, entries)
        # sent again, its time may have been corrected by another difference: the first one counts
        new = [each for each in entries if each.id not in known]
        mark = hashlib.sha256(repr((asked.id, body.events, offset_ms // 1000)).encode())
        push = Push(new, [], 0, mark.hexdigest())
        caller = Caller(call.caller.user_id, DEVICE, asked.id)
        outcome = self._parts.pusher().push(caller, push, now_ms)
        refused += [EventRefused(each.id, each.code, each.message) for each in outcome.rejected]
        left = {each.id for each in refused}
        taken = [each.id for each in entries if each.id not in left]
        call.notes |= {"taken": len(taken), "refused": len(refused)}
        return answer(EventsTaken(taken, refused, offset_ms), call=call)

    def heartbeat(self, call: Call, asked: DeviceAsked, body: Heartbeat) -> Response:
        """Say that the device lives.

        Every few minutes; the answer has our clock. For the device itself.
        """
        store, now_ms = self._parts.store(), self._parts.clock_ms()
        scope = circle_of(store, call.caller, asked.id, ())
        key = Key(HEARTBEATS, asked.id)
        fields = {
            record.SCOPE: scope,
            "heard_at": now_ms,
            "clock_offset_ms": body.now - now_ms,
            "battery_percent": body.battery_percent,
            "firmware": body.firmware or None,
            "told": False,
        }

        def step() -> None:
            before = store.read([key], ("silence",)).documents.get(key)
            silence = None if before is None else before.fields.get("silence")
            over = alerts.ended(SILENT_DEVICE, silence, scope, now_ms) if silence else ()
            store.commit([put(key, fields, ABSENT if before is None else before.version), *over])

        insist(step, _ATTEMPTS)
        return answer(HeartbeatTaken(now_ms), call=call)

    def help(self, call: Call, asked: DeviceAsked, body: CallForHelp) -> Response:
        """Call for help.

        The circle is told at once, step by step, until somebody acknowledges it. Send it until there is an
        answer, and again to see whether somebody looks after it: one `id` is one call. For the device
        itself.
        """
        store, now_ms = self._parts.store(), self._parts.clock_ms()
        scope = circle_of(store, call.caller, asked.id, ())
        at_ms = now_ms if body.at is None else min(body.at - (body.now - now_ms), now_ms)
        subject = f"{asked.id}~{body.id}"
        alert = alert_id(CALL_FOR_HELP, subject, scope)
        store.commit(alerts.raised(CALL_FOR_HELP, subject, scope, max(at_ms, 0), EMERGENCY))
        self._parts.ring((bell(alert),))
        row = store.read([Key(ALERTS, alert)]).documents.get(Key(ALERTS, alert))
        have = {} if row is None else row.fields
        said = HelpCalled(alert, str(have.get("state") or OPEN), have.get("acknowledged_by"))
        call.notes["alert"] = alert
        return answer(said, call=call)


def silent(store: RecordStore, now_ms: int) -> int:
    """Tell the carers of devices that have fallen silent, once each silence; how many were.

    A device that is in no circle any more is forgotten.
    """
    query = Query(
        HEARTBEATS,
        where=(("told", "==", False), ("heard_at", "<=", now_ms - SILENT_MS)),
        order=(("heard_at", "asc"),),
        limit=_A_ROUND,
    )
    told = 0
    for each in list(store.query(query)):
        device, scope = each.key.id, str(each.fields[record.SCOPE])
        own = membership.key(device)
        role = membership.role_of(device, store.read([own]).documents.get(own), scope)
        writes = [delete(each.key, each.version)]
        if role == DEVICE:
            silence = f"{device}~{each.fields['heard_at']}"
            writes = [
                patch(each.key, {"told": True, "silence": silence}, each.version),
                *alerts.raised(SILENT_DEVICE, silence, scope, now_ms, NOTICE),
            ]
        try:
            store.commit(writes)
        except Contended:  # it was heard of at this moment
            continue
        told += role == DEVICE
    return told


def circle_of(store: RecordStore, caller: Caller, device: str, also: Sequence[str]) -> str:
    """The circle of a device, for the device itself and for roles of its circle.

    Raises `NotFound`: a device of others is as one that there is not.
    """
    own, asking = membership.key(device), membership.key(caller.user_id)
    reading = store.read([own, asking])
    there = membership.known(device, reading.documents.get(own))
    mine = membership.of(reading, caller.user_id)
    circles = [scope for scope, role in there.roles.items() if role == DEVICE]
    if len(circles) == 1 and there.disabled_ms is None:
        [scope] = circles
        if caller.user_id == device or mine.roles.get(scope) in also:
            return scope
    raise NotFound(NO_DEVICE, field="id")


class _Words:
    """Items of a circle with the words of their medicines, read in a few steps whatever their number."""

    def __init__(self, store: RecordStore, scope: str, found: Sequence[Document]) -> None:
        needed = Query(
            ITEMS,
            where=((record.SCOPE, "==", scope), ("frequency", "==", "as_needed")),
            limit=_MOST_DOSES,
        )
        free = {each.key.id: each.fields for each in store.query(needed)}
        self._items = _read(store, ITEMS, (each.fields["item_id"] for each in found)) | free
        self._plans = _read(store, PLANS, (each.get("plan_id") for each in self._items.values()))
        named = (each.get("medication_id") for each in self._plans.values())
        self._medicines = _read(store, MEDICATIONS, named)
        self.as_needed = [
            name
            for name, each in sorted(free.items())
            if each.get(record.DELETED) is None and not items.rule_of(each).paused
        ]

    def is_shown(self, dose: Document, since_ms: int) -> bool:
        """Whether it is of the days that are shown, and not of an item that has just gone."""
        item = self._items.get(str(dose.fields["item_id"]), {})
        gone = item.get(record.DELETED) is not None and dose.fields["state"] == PLANNED
        return int(dose.fields["due_at"]) >= since_ms and not gone

    def dose(self, dose: Document) -> ScheduledDose:
        have = dose.fields
        name = str(have["item_id"])
        medicine, due_ms = self._medicine(name), int(have["due_at"])
        return ScheduledDose(
            dose.key.id,
            due_ms,
            due_ms + int(have["grace_minutes"]) * 60_000,
            str(have["state"]),
            str(medicine.get("name") or ""),
            medicine.get("strength"),
            have.get("amount"),
            have.get("unit"),
            self._items.get(name, {}).get("with_meal"),
        )

    def needed(self, name: str, found: Sequence[Document], now_ms: int) -> AsNeeded:
        item, medicine = self._items[name], self._medicine(name)
        zone, most = items.zone_of(item), item.get("most_a_day")
        taken = [
            int(each.fields["taken_at"])
            for each in found
            if each.fields["item_id"] == name and each.fields.get("taken_at") is not None
        ]
        today = sum(items.today(at, zone) == items.today(now_ms, zone) for at in taken)
        return AsNeeded(
            name,
            str(medicine.get("name") or ""),
            medicine.get("strength"),
            item.get("amount"),
            item.get("unit"),
            item.get("with_meal"),
            most,
            None if most is None else max(0, int(most) - today),
            sorted(taken),
        )

    def other_clocks(self, of_patient: str | None, now_ms: int) -> Iterator[OtherClock]:
        """Living items whose clock shows another time than the patient's does now."""
        for name, item in sorted(self._items.items()):
            zones = items.zone_of({"time_zone": of_patient}), items.zone_of(item)
            here, there = (datetime.fromtimestamp(now_ms / 1000, each) for each in zones)
            differ = here.utcoffset() != there.utcoffset()
            if known_zone(of_patient or "") and differ and item.get(record.DELETED) is None:
                medicine = str(self._medicine(name).get("name") or "")
                yield OtherClock(name, medicine, item.get("time_zone"))

    def _medicine(self, item: str) -> Mapping[str, Any]:
        plan = self._plans.get(str(self._items.get(item, {}).get("plan_id")), {})
        return self._medicines.get(str(plan.get("medication_id")), {})


def _known(store: RecordStore, scope: str, entries: Sequence[Entry]) -> set[str]:
    """Events that the circle has as they are sent, whatever their time."""
    have = store.read([each.key for each in entries]).documents if entries else {}
    return {
        each.id
        for each in entries
        if (there := have.get(each.key)) is not None
        and there.fields[record.SCOPE] == scope
        and all(
            there.fields.get(name) == each.raw.get(name) for name in ("dose_id", "kind", "undoes")
        )
    }


def _read(store: RecordStore, table: str, ids: Iterator[Any]) -> dict[str, Mapping[str, Any]]:
    keys = sorted({Key(table, str(each)) for each in ids if each})
    documents = store.read(keys).documents if keys else {}
    return {key.id: document.fields for key, document in documents.items()}


def _entries(
    sent: Sequence[Mapping[str, Any]], scope: str, offset_ms: int, refused: list[EventRefused]
) -> Iterator[Entry]:
    """Events as records, each once; those that are none go to `refused`."""
    table, seen = CATALOG.by_name[EVENTS], set[str]()
    for each in sent:
        name = str(each.get("id") or "")[:128]
        if name in seen:
            continue
        seen.add(name)
        try:
            if not record.valid_id(each.get("id")):
                raise RecordFault("id", "invalid_id", "id must be 1 to 128 of A-Z a-z 0-9 _ -.")
            at = each.get("at")
            corrected = at - offset_ms if type(at) is int else at
            values = {
                **{name: each.get(name) for name in _COLUMNS if name in each},
                "at": corrected,
            }
            coerced = table.coerce(values)
            table.check_complete(coerced.values)
        except RecordFault as fault:
            refused.append(EventRefused(name, fault.code, fault.message))
            continue
        yield Entry(
            table,
            name,
            {"id": name, **values},
            coerced=coerced,
            raw_ms=corrected,
            scope_id=scope,
            fresh=True,
        )


_COLUMNS = ("dose_id", "kind", "reason", "undoes", "amount")


def routes(parts: Parts) -> tuple[Route, ...]:
    """What devices call."""
    devices = _Devices(parts)
    return (
        Route(
            "GET",
            "/devices/{id}/schedule",
            devices.schedule,
            name="getSchedule",
            asks=ScheduleAsked,
            gives=Schedule,
            names=(ScheduledDose, AsNeeded, OtherClock),
            faults=("invalid_request", NotFound, StoreUnavailable),
            answer_headers=("Cache-Control", "ETag"),
            unchanged=True,
        ),
        Route(
            "POST",
            "/devices/{id}/events",
            devices.events,
            _EVENTS,
            name="sendDeviceEvents",
            asks=DeviceAsked,
            takes=DeviceEvents,
            gives=EventsTaken,
            names=(EventRefused, DeviceEvent),
            faults=("invalid_request", NotFound, Contended, StoreUnavailable),
        ),
        Route(
            "POST",
            "/devices/{id}/heartbeats",
            devices.heartbeat,
            name="sendHeartbeat",
            asks=DeviceAsked,
            takes=Heartbeat,
            gives=HeartbeatTaken,
            faults=("invalid_request", NotFound, Contended, StoreUnavailable),
        ),
        Route(
            "POST",
            "/devices/{id}/help",
            devices.help,
            name="callForHelp",
            asks=DeviceAsked,
            takes=CallForHelp,
            gives=HelpCalled,
            faults=("invalid_request", NotFound, Contended, StoreUnavailable),
        ),
    )
