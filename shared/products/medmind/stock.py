"""What is left of a medicine, and when it is used up: the job of each medicine.

    left         what was counted, less the amounts of the doses taken since it was counted. Worked out anew
                 of all of them each time: an event that comes twice, late, or is undone counts as it should
    refill_on    the day of the first dose to come that what is left is not enough for, by the plans as they
                 are; what is taken as needed is not foreseen

A dose without an amount counts as one. Amounts in different units cannot be added up: then nothing is left
to be said, and both are null. `refill_days` before it is used up an alert is raised, once a count; counting
it anew ends that.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from shared.jobs.job import Job
from shared.jobs.runner import Again, Finish, Task
from shared.products.medmind import alerts, items
from shared.products.medmind.alert_tables import LOW_STOCK, NOTICE
from shared.products.medmind.doses import DUE
from shared.products.medmind.plans import doses
from shared.products.medmind.tables import COUNTED, DOSES, ITEMS, MEDICATIONS, PATIENTS, PLANS
from shared.records import record
from shared.records.store import Document, Key, Query, RecordStore, StoredCollection, Write
from shared.records.wall_time import instant, zone_named

#: Days that are looked ahead.
AHEAD_DAYS = 180

#: The subject of the alert that was raised of a medicine and is not over. Never sent to phones.
TOLD = "_low"

#: Values of one `in`: Firestore's bound.
_AT_ONCE = 30

STORED = (StoredCollection(PLANS, (("medication_id",),)), StoredCollection(ITEMS, (("plan_id",),)))


class Stocktaking(Task):
    """The task of kind `stock`."""

    longest_seconds = 20.0

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def work(self, job: Job) -> Finish:
        """Nothing is done outside of the commit."""
        return lambda now_ms: self._finish(job, now_ms)

    def _finish(self, job: Job, now_ms: int) -> Sequence[Write] | Again | None:
        key, about = Key(MEDICATIONS, job.subject_id), Key(PATIENTS, job.scope_id)
        read = self._store.read([key, about]).documents
        medicine, patient = read.get(key), read.get(about)
        if medicine is None or medicine.fields[record.SCOPE] != job.scope_id:
            return None
        if medicine.fields.get(record.DELETED) is not None:
            return None
        zone = zone_named(patient and patient.fields.get("time_zone"))
        found = list(self._items(medicine))
        units = {str(each.fields.get("unit") or "").strip().casefold() for each in found} - {""}
        stock, left, refill = medicine.fields.get("stock"), None, None
        if stock is not None and len(units) < 2:
            since_ms = int(medicine.fields.get(COUNTED) or now_ms)
            left = max(0.0, round(float(stock) - self._taken(found, since_ms), 6))
            refill = self._refill_ms(found, left, now_ms)
        fields: dict[str, Any] = {
            "left": int(left) if left is not None and left.is_integer() else left,
            "refill_on": None if refill is None else items.today(refill, zone).isoformat(),
        }
        also = tuple(self._told(medicine, refill, zone, fields, now_ms))
        writes: list[Write] = [*also]
        if any(medicine.fields.get(name) != value for name, value in fields.items()):
            fields[record.MODIFIED] = now_ms
            writes.append(record.server_patch(medicine, fields))
        if stock is None:
            return writes
        tomorrow = items.today(now_ms, zone) + timedelta(1)
        return Again(instant(datetime.combine(tomorrow, time(0)), zone), writes)

    def _told(
        self,
        medicine: Document,
        refill: int | None,
        zone: ZoneInfo,
        fields: dict[str, Any],
        now_ms: int,
    ) -> Iterator[Write]:
        """The alert of what is soon used up, or its end; notes in `fields` which there is."""
        have, scope = medicine.fields, str(medicine.fields[record.SCOPE])
        before, days = have.get(TOLD), have.get("refill_days")
        last = items.today(now_ms, zone) + timedelta(7 if days is None else int(days))
        low = refill is not None and items.today(refill, zone) <= last
        subject = f"{medicine.key.id}~{have.get(COUNTED)}"
        if before is not None and before != subject:  # it was counted since
            yield from alerts.ended(LOW_STOCK, before, scope, now_ms)
            before = None
        if low and before is None:
            yield from alerts.raised(LOW_STOCK, subject, scope, now_ms, NOTICE)
            before = subject
        fields[TOLD] = before

    def _items(self, medicine: Document) -> Iterator[Document]:
        """Items of all plans of a medicine, of those that are over, too."""
        query = Query(
            PLANS, where=(("medication_id", "==", medicine.key.id),), fields=(record.SCOPE,)
        )
        plans = [each.key.id for each in self._store.query(query)]
        for at in range(0, len(plans), _AT_ONCE):
            some = tuple(plans[at : at + _AT_ONCE])
            yield from self._store.query(Query(ITEMS, where=(("plan_id", "in", some),)))

    def _taken(self, found: Sequence[Document], since_ms: int) -> float:
        """Amounts of the doses that were taken at a time or later."""
        total = 0.0
        for item in found:
            query = Query(
                DOSES,
                where=(("item_id", "==", item.key.id), ("taken_at", ">=", since_ms)),
                order=(("taken_at", "asc"),),
                fields=("taken_amount",),
            )
            for each in self._store.query(query):
                amount = each.fields.get("taken_amount")
                total += 1.0 if amount is None else float(amount)
        return total

    def _refill_ms(self, found: Sequence[Document], left: float, now_ms: int) -> int | None:
        """When the first dose is due that so much is not enough for (Unix ms); None: none soon."""
        due = sorted(
            (at_ms, 1.0 if item.fields.get("amount") is None else float(item.fields["amount"]))
            for item in found
            if item.fields.get(record.DELETED) is None and item.fields.get(items.VERSIONS)
            for at_ms in (*self._waiting(item), *_coming(item, now_ms))
        )
        for at_ms, amount in due:
            left = round(left - amount, 6)
            if left < 0:
                return at_ms
        return None

    def _waiting(self, item: Document) -> Iterator[int]:
        """When doses were due of which nobody has said anything yet: they will be taken, too."""
        where = (("item_id", "==", item.key.id), ("state", "==", DUE))
        for each in self._store.query(Query(DOSES, where=where, fields=("due_at",))):
            yield int(each.fields["due_at"])


def _coming(item: Document, now_ms: int) -> Iterator[int]:
    kept = item.fields[items.VERSIONS]
    zone = items.zone_of(kept[-1])
    today = items.today(now_ms, zone)
    ahead = doses(items.versions_of(kept), zone, today, today + timedelta(AHEAD_DAYS))
    return (each.at_ms for each in ahead if each.at_ms > now_ms)
