"""The job of a plan item: makes its doses ahead, and settles them by what was said of them.

    before their time    doses are made for `AHEAD_DAYS`, moved and taken back as the plan changes
    from then on         only the state changes: a dose that came to be due is never moved, nor made again
    at the end of grace  a dose of which nobody said anything is missed; that raises an alert, once
    an event, ever       the states of its dose are worked out anew: late proof amends, and ends the alert
    of a day that is over    its summary is made anew, too (`summarising.py`)

What was taken as needed is a dose of its own, made of its event, and gone when that is undone. More than
the item's daily most is kept, and raises an alert.

Each finish is one commit: the doses, and the events that they are settled by, and when to look again.
Killed anywhere, the job is due again and finds the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from shared.access import audit
from shared.access.membership import Caller
from shared.jobs import job as jobs
from shared.jobs.job import Job
from shared.jobs.runner import Again, Finish, Task
from shared.products.medmind import alerts, items
from shared.products.medmind.alert_tables import MISSED_DOSE, TOO_MANY_DOSES, URGENT
from shared.products.medmind.doses import DUE, MISSED, PLANNED, TAKEN, DoseEvent, state
from shared.products.medmind.plans import doses
from shared.products.medmind.summary_tables import PROGRESS, SUMMARIES, summaries_job
from shared.products.medmind.tables import (
    DOSES,
    EVENTS,
    ITEMS,
    NEWS,
    PATIENTS,
    PLANS,
    as_needed,
    stocktaking,
)
from shared.records import record
from shared.records.store import (
    ABSENT,
    Document,
    Key,
    Query,
    RecordStore,
    StoredCollection,
    Write,
    delete,
    put,
    verify,
)
from shared.records.wall_time import instant

#: Doses are there for so many days ahead, and looked at again for so many days back.
AHEAD_DAYS, BACK_DAYS = 14, 2

#: When the alert of a missed dose was raised, server ms. Never sent to phones.
TOLD = "_told"

#: Of a dose that was not taken.
_NOT_TAKEN = {"taken_at": None, "taken_amount": None}

_DAY_MS = 86_400_000

#: Events that one finish takes.
_MOST_NEWS = 50

#: Writes of doses after which the rest is left to the next finish: a commit takes 500.
_MOST_WRITES = 300

#: Values of one `in`: Firestore's bound.
_AT_ONCE = 30

STORED = (
    StoredCollection(NEWS, (("item_id",),)),
    StoredCollection(EVENTS, (("dose",),)),
    StoredCollection(DOSES, (("item_id", "state"), ("item_id", "taken_at"))),
)


class Dosing(Task):
    """The task of kind `dosing`."""

    longest_seconds = 20.0

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def work(self, job: Job) -> Finish:
        """Nothing is done outside of the commit."""
        return lambda now_ms: self._finish(job, now_ms)

    def _finish(self, job: Job, now_ms: int) -> Sequence[Write] | Again | None:
        key = Key(ITEMS, job.subject_id)
        item = self._store.read([key]).documents.get(key)
        if item is None or not item.fields.get(items.VERSIONS):
            return None
        if item.fields[record.SCOPE] != job.scope_id:  # what others say of it is nobody's
            return None
        living = item.fields.get(record.DELETED) is None
        where = (("item_id", "==", item.key.id),)
        news = list(self._store.query(Query(NEWS, where=where, limit=_MOST_NEWS)))
        wanted = dict(self._planned(item, now_ms)) if living else {}
        have = self._open(item)
        heard = {str(each.fields["dose_id"]) for each in news}
        unread = {Key(DOSES, name) for name in (*wanted, *heard)} - set(have)
        have |= self._store.read(sorted(unread)).documents if unread else {}
        # what was said comes first: its news are taken with it
        several = {*wanted, *heard, *(each.id for each in have)}
        names = sorted(several, key=lambda each: (each not in heard, each))
        said = self._events(item, names)
        writes: list[Write] = []
        new = set(heard)
        again_ms, more = _tomorrow(item, now_ms), len(news) == _MOST_NEWS
        for name in names:
            if len(writes) >= _MOST_WRITES:  # after a long rest, or of a plan of very many doses
                more = True
                break
            dose = have.get(Key(DOSES, name))
            some, next_ms = self._dose(
                item, name, dose, wanted.get(name), said.get(name, {}), now_ms
            )
            writes += some
            new |= {name} if some else set()
            if next_ms is not None:
                again_ms = min(again_ms, next_ms)
        if writes:
            writes += self._too_many(item, writes, now_ms)
            writes += self._stock(item, now_ms)
        writes += [verify(item.key, item.version), *(delete(each.key) for each in news)]
        moments = [
            int(have[key].fields["due_at"]) for name in new if (key := Key(DOSES, name)) in have
        ]
        moments += [int(each.fields["at"]) for name in new for each in said.get(name, {}).values()]
        writes += self._summed_up(str(item.fields[record.SCOPE]), moments, now_ms)
        return Again(now_ms if more else again_ms, writes) if living or more else writes

    def _summed_up(self, scope: str, moments: Sequence[int], now_ms: int) -> list[Write]:
        """The job of summaries, if something is new of a day that they have."""
        key = Key(PROGRESS, scope)
        progress = self._store.read([key]).documents.get(key) if moments else None
        if progress is None or min(moments) >= progress.fields["until"]:
            return []
        name = summaries_job(scope)
        return [jobs.create(name, SUMMARIES, PATIENTS, scope, scope, now_ms)]

    def _dose(
        self,
        item: Document,
        name: str,
        dose: Document | None,
        due_ms: int | None,
        events: Mapping[str, Document],
        now_ms: int,
    ) -> tuple[list[Write], int | None]:
        """What is to be written of a dose, and when it must be looked at again."""
        said = [_heard(each) for each in events.values()]
        free = as_needed(name)
        if free:  # it is what its event says, and nothing without one
            taken = state(0, 0, said, now_ms)
            due_ms = taken.event.at_ms if taken.event and taken.event.kind == TAKEN else None
        if dose is None or dose.fields.get(record.DELETED) is not None:
            if due_ms is None:
                return [], None
            return _new(item, name, dose, due_ms, said, now_ms)
        have = dose.fields
        open_still = not said and int(have["due_at"]) >= _since(item, now_ms)
        if due_ms is None and (free or open_still):
            gone = {record.DELETED: now_ms, record.MODIFIED: now_ms, "state": None}
            return [record.server_patch(dose, {**gone, **_NOT_TAKEN})], None
        at_ms, moved = int(have["due_at"]), {}
        if due_ms is not None and (free or (have["state"] in (PLANNED, DUE) and open_still)):
            at_ms = due_ms
            moved = {"due_at": at_ms, **_of_item(item)}
        planned = {**have, **moved}
        grace_ms = int(planned["grace_minutes"]) * 60_000
        fields = {**moved, **_state(at_ms, grace_ms, planned["amount"], said, now_ms)}
        following = _next(at_ms, grace_ms, str(fields["state"]))
        if all(have.get(each) == value for each, value in fields.items()):
            return [], following
        also: Sequence[Write] = ()
        scope = str(have[record.SCOPE])
        if fields["state"] == MISSED and not have.get(TOLD):
            fields[TOLD] = now_ms
            also = alerts.raised(MISSED_DOSE, name, scope, at_ms + grace_ms, URGENT)
        elif have["state"] == MISSED and (proof := events.get(str(fields["event_id"]))):
            also = (*alerts.ended(MISSED_DOSE, name, scope, now_ms), *_amended(name, proof, now_ms))
        patched = record.server_patch(dose, {**fields, record.MODIFIED: now_ms})
        return [patched, *also], following

    def _too_many(self, item: Document, writes: Sequence[Write], now_ms: int) -> Iterator[Write]:
        """Alerts of days on which more was taken than the item's daily most; of others that are over."""
        most = item.fields.get("most_a_day")
        if most is None:
            return
        zone, scope = items.zone_of(item.fields), str(item.fields[record.SCOPE])
        taken = {
            each.key.id: each.fields.get("taken_at")
            for each in writes
            if each.key.collection == DOSES
        }
        for day in sorted({items.today(int(at), zone) for at in taken.values() if at is not None}):
            midnight, next_one = (
                instant(datetime.combine(day + timedelta(more), time(0)), zone) for more in (0, 1)
            )
            query = Query(
                DOSES,
                where=(
                    ("item_id", "==", item.key.id),
                    ("taken_at", ">=", midnight),
                    ("taken_at", "<", next_one),
                ),
                order=(("taken_at", "asc"),),
                fields=("taken_at",),
            )
            stored = {each.key.id for each in self._store.query(query)} - set(taken)
            new = [at for at in taken.values() if at is not None and midnight <= at < next_one]
            subject = f"{item.key.id}_{day:%Y%m%d}"
            if len(stored) + len(new) > int(most):
                yield from alerts.raised(TOO_MANY_DOSES, subject, scope, now_ms, URGENT)

    def _stock(self, item: Document, now_ms: int) -> Sequence[Write]:
        """The medicine is counted anew."""
        plan = Key(PLANS, str(item.fields.get("plan_id")))
        found = self._store.read([plan], ("medication_id",)).documents.get(plan)
        if found is None:
            return ()
        scope = str(item.fields[record.SCOPE])
        return (stocktaking(str(found.fields["medication_id"]), scope, now_ms),)

    def _planned(self, item: Document, now_ms: int) -> Iterator[tuple[str, int]]:
        """Doses of the days that are looked at, with when they are due."""
        kept = item.fields[items.VERSIONS]
        zone = items.zone_of(kept[-1])
        today = items.today(now_ms, zone)
        first, last = today - timedelta(BACK_DAYS), today + timedelta(AHEAD_DAYS)
        for each in doses(items.versions_of(kept), zone, first, last):
            yield f"{item.key.id}_{each.name}", each.at_ms

    def _open(self, item: Document) -> dict[Key, Document]:
        """Every dose of the item that waits for its time or for somebody, whatever the plan says now."""
        where = (("item_id", "==", item.key.id), ("state", "in", (PLANNED, DUE)))
        return {each.key: each for each in self._store.query(Query(DOSES, where=where))}

    def _events(self, item: Document, names: Sequence[str]) -> dict[str, dict[str, Document]]:
        """What was said of doses in the item's circle: dose → id → event."""
        found: dict[str, dict[str, Document]] = {}
        for at in range(0, len(names), _AT_ONCE):
            some = list(names[at : at + _AT_ONCE])
            for each in self._store.query(Query(EVENTS, where=(("dose", "in", some),))):
                have = each.fields
                if (
                    have.get(record.DELETED) is None
                    and have[record.SCOPE] == item.fields[record.SCOPE]
                ):
                    found.setdefault(str(have["dose"]), {})[each.key.id] = each
        return found


def _heard(event: Document) -> DoseEvent:
    have = event.fields
    heard_ms = int(have.get("heard_at") or have["at"])
    return DoseEvent(
        event.key.id,
        str(have["kind"]),
        min(int(have["at"]), heard_ms),  # nothing happens after it was told
        heard_ms,
        str(have.get("reason") or ""),
        str(have.get("undoes") or ""),
        have.get("amount"),
    )


def _new(
    item: Document,
    name: str,
    before: Document | None,
    due_ms: int,
    said: Sequence[DoseEvent],
    now_ms: int,
) -> tuple[list[Write], int | None]:
    own = _of_item(item)
    grace_ms = own["grace_minutes"] * 60_000
    fields = {
        "item_id": item.key.id,
        "due_at": due_ms,
        **own,
        **_state(due_ms, grace_ms, own["amount"], said, now_ms),
        record.SCOPE: item.fields[record.SCOPE],
        record.CREATED: now_ms,
        record.MODIFIED: now_ms,
    }
    expect = ABSENT if before is None else before.version
    made = put(Key(DOSES, name), fields, expect)
    return [made], _next(due_ms, grace_ms, fields["state"])


def _of_item(item: Document) -> dict[str, Any]:
    """What a dose to come has of its item."""
    have = item.fields
    grace = int(have.get("grace_minutes") or 60)
    return {"grace_minutes": grace, "amount": have.get("amount"), "unit": have.get("unit")}


def _since(item: Document, now_ms: int) -> int:
    """From when on the plan as it is decides what is due: a dose that came before stays as it was.

    That is the last change, however late this looks at it; of a plan that goes on a day at most, for which
    its doses are worked out surely.
    """
    deleted_ms = item.fields.get(record.DELETED)
    if deleted_ms is not None:
        return int(deleted_ms)
    return max(int(item.fields[items.VERSIONS][-1]["since"]), now_ms - _DAY_MS)


def _state(
    due_ms: int, grace_ms: int, amount: float | None, said: Sequence[DoseEvent], now_ms: int
) -> dict[str, Any]:
    found = state(due_ms, grace_ms, said, now_ms)
    fields: dict[str, Any] = {
        "state": found.name,
        "event_id": None if found.event is None else found.event.id,
        "reason": (found.event.reason or None) if found.event else None,
        "amended_at": found.amended_ms,
        **_NOT_TAKEN,
    }
    if found.event is not None and found.event.kind == TAKEN:
        fields["taken_at"] = found.event.at_ms
        fields["taken_amount"] = amount if found.event.amount is None else found.event.amount
    return fields


def _amended(name: str, proof: Document, now_ms: int) -> Sequence[Write]:
    """The trail's entry of a missed dose that was none: whose proof it was, and when it came."""
    have = proof.fields
    by = Caller(str(have[record.AUTHOR]), "", str(have.get(record.DEVICE) or ""))
    touched = {DOSES: [name], EVENTS: [proof.key.id]}
    identity = f"amend {name} {proof.key.id} {now_ms}"
    return audit.entries(by, "amend", str(have[record.SCOPE]), touched, now_ms, identity=identity)


def _next(due_ms: int, grace_ms: int, name: str) -> int | None:
    """When a dose becomes another by time alone; None: it does not."""
    if name == PLANNED:
        return due_ms
    return due_ms + grace_ms + 1 if name == DUE else None


def _tomorrow(item: Document, now_ms: int) -> int:
    """The next midnight of the patient's clock: then another day comes within reach."""
    zone = items.zone_of(item.fields[items.VERSIONS][-1])
    return instant(datetime.combine(items.today(now_ms, zone) + timedelta(1), time(0)), zone)
