"""The job of a plan item: makes its doses ahead, and settles them by what was said of them.

    before their time    doses are made for `AHEAD_DAYS`, moved and taken back as the plan changes
    from then on         only the state changes: a dose that came to be due is never moved, nor made again
    at the end of grace  a dose of which nobody said anything is missed; that raises an alert, once
    an event, ever       the states of its dose are worked out anew: late proof amends, and ends the alert
    of a day that is over    its summary is made anew, too (`summarising.py`)

Each finish is one commit: the doses, and the events that they are settled by, and when to look again.
Killed anywhere, the job is due again and finds the same.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime, time, timedelta
from typing import Any

from shared.jobs import job as jobs
from shared.jobs.job import Job
from shared.jobs.runner import Again, Finish, Task
from shared.products.medmind import alerts, items
from shared.products.medmind.alert_tables import MISSED_DOSE, URGENT
from shared.products.medmind.doses import DUE, MISSED, PLANNED, DoseEvent, state
from shared.products.medmind.plans import doses
from shared.products.medmind.summary_tables import PROGRESS, SUMMARIES, summaries_job
from shared.products.medmind.tables import DOSES, EVENTS, ITEMS, NEWS, PATIENTS
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

#: Events that one finish takes.
_MOST_NEWS = 50

#: Values of one `in`: Firestore's bound.
_AT_ONCE = 30

STORED = (
    StoredCollection(NEWS, (("item_id",),)),
    StoredCollection(EVENTS, (("dose_id",),)),
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
        living = item.fields.get(record.DELETED) is None
        news = list(
            self._store.query(
                Query(NEWS, where=(("item_id", "==", item.key.id),), limit=_MOST_NEWS)
            )
        )
        wanted = dict(self._planned(item, now_ms)) if living else {}
        names = {
            *wanted,
            *self._near(item, now_ms),
            *(str(each.fields["dose_id"]) for each in news),
        }
        have = self._store.read([Key(DOSES, name) for name in sorted(names)]).documents
        said = self._events(sorted(names))
        writes: list[Write] = [verify(item.key, item.version)]
        new = {str(each.fields["dose_id"]) for each in news}
        again_ms = _tomorrow(item, now_ms)
        for name in sorted(names):
            dose = have.get(Key(DOSES, name))
            some, next_ms = self._dose(
                item, name, dose, wanted.get(name), said.get(name, ()), now_ms
            )
            writes += some
            new |= {name} if some else set()
            if next_ms is not None:
                again_ms = min(again_ms, next_ms)
        writes += [delete(each.key) for each in news]
        moments = [
            int(have[key].fields["due_at"]) for name in new if (key := Key(DOSES, name)) in have
        ]
        moments += [each.at_ms for name in new for each in said.get(name, ())]
        writes += self._summed_up(str(item.fields[record.SCOPE]), moments, now_ms)
        if len(news) == _MOST_NEWS:
            again_ms = now_ms
        return Again(again_ms, writes) if living or len(news) == _MOST_NEWS else writes

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
        said: Sequence[DoseEvent],
        now_ms: int,
    ) -> tuple[list[Write], int | None]:
        """What is to be written of a dose, and when it must be looked at again."""
        if dose is None or dose.fields.get(record.DELETED) is not None:
            if due_ms is None:
                return [], None
            return _new(item, name, dose, due_ms, said, now_ms)
        ended_ms = min(int(item.fields.get(record.DELETED) or now_ms), now_ms)
        if due_ms is None and not said and int(dose.fields["due_at"]) > ended_ms:
            gone = {record.DELETED: now_ms, record.MODIFIED: now_ms}
            return [record.server_patch(dose, gone)], None
        have = dose.fields
        at_ms, moved = int(have["due_at"]), {}
        if have["state"] == PLANNED and at_ms > now_ms and due_ms not in (None, at_ms):
            at_ms = int(due_ms or at_ms)
            moved = {"due_at": at_ms}
        grace_ms = int(have["grace_minutes"]) * 60_000
        fields = {**moved, **_state(at_ms, grace_ms, said, now_ms)}
        following = _next(at_ms, grace_ms, str(fields["state"]))
        if all(have.get(each) == value for each, value in fields.items()):
            return [], following
        told: tuple[Write, ...] = ()
        scope = str(have[record.SCOPE])
        if fields["state"] == MISSED and not have.get(TOLD):
            fields[TOLD] = now_ms
            told = alerts.raised(MISSED_DOSE, name, scope, at_ms + grace_ms, URGENT)
        elif fields["state"] != MISSED and have["state"] == MISSED:
            told = alerts.ended(MISSED_DOSE, name, scope, now_ms)
        patched = record.server_patch(dose, {**fields, record.MODIFIED: now_ms})
        return [patched, *told], following

    def _planned(self, item: Document, now_ms: int) -> Iterator[tuple[str, int]]:
        """Doses of the days that are looked at, with when they are due."""
        kept = item.fields[items.VERSIONS]
        zone = items.zone_of(kept[-1])
        today = items.today(now_ms, zone)
        first, last = today - timedelta(BACK_DAYS), today + timedelta(AHEAD_DAYS)
        for each in doses(items.versions_of(kept), zone, first, last):
            yield f"{item.key.id}_{each.name}", each.at_ms

    def _near(self, item: Document, now_ms: int) -> Iterator[str]:
        """Names of every dose that the days looked at may hold, whatever the plan says now."""
        most = max(
            (len(each.get("times") or ()) for each in item.fields[items.VERSIONS]), default=0
        )
        today = items.today(now_ms, items.zone_of(item.fields[items.VERSIONS][-1]))
        for number in range(-BACK_DAYS, AHEAD_DAYS + 1):
            for place in range(most):
                yield f"{item.key.id}_{today + timedelta(number):%Y%m%d}_{place}"

    def _events(self, names: Sequence[str]) -> dict[str, list[DoseEvent]]:
        """What was said of doses, by their names."""
        found: dict[str, list[DoseEvent]] = {}
        for at in range(0, len(names), _AT_ONCE):
            some = list(names[at : at + _AT_ONCE])
            for each in self._store.query(Query(EVENTS, where=(("dose_id", "in", some),))):
                have = each.fields
                if have.get(record.DELETED) is None:
                    found.setdefault(str(have["dose_id"]), []).append(_heard(each.key.id, have))
        return found


def _heard(name: str, have: Mapping[str, Any]) -> DoseEvent:
    return DoseEvent(
        name,
        str(have["kind"]),
        int(have["at"]),
        int(have.get("heard_at") or have["at"]),
        str(have.get("reason") or ""),
        str(have.get("undoes") or ""),
    )


def _new(
    item: Document,
    name: str,
    before: Document | None,
    due_ms: int,
    said: Sequence[DoseEvent],
    now_ms: int,
) -> tuple[list[Write], int | None]:
    grace = int(item.fields.get("grace_minutes") or 60)
    fields = {
        "item_id": item.key.id,
        "due_at": due_ms,
        "grace_minutes": grace,
        "amount": item.fields.get("amount"),
        "unit": item.fields.get("unit"),
        **_state(due_ms, grace * 60_000, said, now_ms),
        record.SCOPE: item.fields[record.SCOPE],
        record.CREATED: now_ms,
        record.MODIFIED: now_ms,
    }
    expect = ABSENT if before is None else before.version
    made = put(Key(DOSES, name), fields, expect)
    return [made], _next(due_ms, grace * 60_000, fields["state"])


def _state(due_ms: int, grace_ms: int, said: Sequence[DoseEvent], now_ms: int) -> dict[str, Any]:
    found = state(due_ms, grace_ms, said, now_ms)
    return {
        "state": found.name,
        "event_id": None if found.event is None else found.event.id,
        "reason": (found.event.reason or None) if found.event else None,
        "amended_at": found.amended_ms,
    }


def _next(due_ms: int, grace_ms: int, name: str) -> int | None:
    """When a dose becomes another by time alone; None: it does not."""
    if name == PLANNED:
        return due_ms
    return due_ms + grace_ms + 1 if name == DUE else None


def _tomorrow(item: Document, now_ms: int) -> int:
    """The next midnight of the patient's clock: then another day comes within reach."""
    zone = items.zone_of(item.fields[items.VERSIONS][-1])
    return instant(datetime.combine(items.today(now_ms, zone) + timedelta(1), time(0)), zone)
