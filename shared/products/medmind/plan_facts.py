"""What the plan of a circle holds, for answers: medicines, why, how much, when; doses of these days."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from shared.products.medmind import items
from shared.products.medmind.doses import DUE, MISSED, PLANNED
from shared.products.medmind.tables import DOSES, ITEMS, MEDICATIONS, PATIENTS, PLANS
from shared.records import record
from shared.records.store import Document, Key, Query, RecordStore
from shared.records.wall_time import zone_named

#: How far back a dose may be that is said to have been taken, and how far ahead "next" looks, ms.
_BACK_MS, _AHEAD_MS = 12 * 3_600_000, 7 * 86_400_000

#: A dose that is further ahead is not the one that was taken, ms.
SOON_MS = 2 * 3_600_000

_MOST_DOSES = 200


@dataclass(frozen=True, slots=True)
class PlanFacts:
    """Rows of one circle that are not deleted, in an order that stays."""

    medicines: tuple[Document, ...]
    plans: Mapping[str, Mapping[str, Any]]
    items: tuple[Document, ...]
    doses: tuple[Document, ...]  #: by when they are due
    people: tuple[str, ...]  #: names that nobody outside need know
    zone: str
    today: str  #: by the patient's clock, YYYY-MM-DD

    @classmethod
    def of(cls, store: RecordStore, scope: str, now_ms: int) -> PlanFacts:
        """As it is now."""
        read_at = store.read([]).read_at

        def rows(table: str) -> tuple[Document, ...]:
            found = (each.document for each in store.changes(table, [scope], 0, read_at))
            living = (each for each in found if each.fields.get(record.DELETED) is None)
            return tuple(sorted(living, key=lambda each: each.key.id))

        query = Query(
            DOSES,
            where=(
                (record.SCOPE, "==", scope),
                ("due_at", ">=", now_ms - _BACK_MS),
                ("due_at", "<=", now_ms + _AHEAD_MS),
            ),
            order=(("due_at", "asc"),),
            limit=_MOST_DOSES,
        )
        doses = (each for each in store.query(query) if each.fields.get(record.DELETED) is None)
        key = Key(PATIENTS, scope)
        patient = store.read([key]).documents.get(key)
        about = {} if patient is None else patient.fields
        plans = rows(PLANS)
        people = [str(about.get("name") or "")]
        people += [str(each.fields.get("prescribed_by") or "") for each in plans]
        zone = str(about.get("time_zone") or "")
        today = items.today(now_ms, zone_named(zone)).isoformat()
        return cls(
            rows(MEDICATIONS),
            {each.key.id: each.fields for each in plans},
            rows(ITEMS),
            tuple(doses),
            tuple(each for each in people if each),
            zone,
            today,
        )

    @property
    def names(self) -> tuple[str, ...]:
        """What the medicines are called."""
        return tuple(str(each.fields.get("name") or "") for each in self.medicines)

    def medicine_of(self, dose: Document) -> Document | None:
        """The medicine of a dose."""
        item = next((each for each in self.items if each.key.id == dose.fields["item_id"]), None)
        plan = self.plans.get(str(item.fields.get("plan_id")), {}) if item else {}
        wanted = plan.get("medication_id")
        return next((each for each in self.medicines if each.key.id == wanted), None)

    def claimed(self, medicine: Document | None, now_ms: int) -> Document | None:
        """The dose that somebody may mean who says that they took it: the nearest nobody spoke of."""
        return min(
            (
                each
                for each in self.doses
                if each.fields["state"] in (PLANNED, DUE, MISSED)
                and int(each.fields["due_at"]) <= now_ms + SOON_MS
                and (medicine is None or self.medicine_of(each) == medicine)
                and self.medicine_of(each) is not None
            ),
            key=lambda each: (abs(int(each.fields["due_at"]) - now_ms), each.key.id),
            default=None,
        )

    def next(self, now_ms: int) -> Document | None:
        """The next dose that is still to be taken."""
        return next(
            (
                each
                for each in self.doses
                if each.fields["state"] in (PLANNED, DUE)
                and self.medicine_of(each) is not None
                and (each.fields["state"] == DUE or int(each.fields["due_at"]) >= now_ms)
            ),
            None,
        )

    def of_medicine(self, medicine: Document) -> list[tuple[Mapping[str, Any], Mapping[str, Any]]]:
        """The plans of a medicine with each of their items that counts today: not paused, not over."""
        found: list[tuple[Mapping[str, Any], Mapping[str, Any]]] = []
        for item in self.items:
            have = item.fields
            plan = self.plans.get(str(have.get("plan_id")), {})
            begun = str(have.get("starts_on") or "") <= self.today
            over = str(have.get("ends_on") or "9999") < self.today
            counts = begun and not over and not have.get("paused")
            if counts and plan.get("medication_id") == medicine.key.id:
                found.append((plan, have))
        return found
