"""A team with a health worker, doctors and a supervisor, on each store; time is moved by hand."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from infra.local.phone import Json
from shared.access.membership import Caller
from shared.api.routes import decode
from shared.products.dermadetect import numbers, worklist_query
from shared.products.dermadetect.numbers import NumbersQuery
from shared.products.dermadetect.review import Review, Signature
from shared.products.dermadetect.screen import CasesAsked, NumbersAsked
from shared.products.dermadetect.tables import CATALOG
from shared.products.dermadetect.worklist import WorkList
from shared.products.dermadetect.worklist_query import WorklistQuery
from shared.records import record
from shared.records.store import Key, RecordStore
from shared.support import ledger
from shared.support.ledger import Attempt
from tests import stores
from tests.ai.workplace import Workplace

MINUTE = 60_000
HOUR = 60 * MINUTE
CLAIM_MS = 30 * MINUTE
UNREAD_MS = 24 * HOUR


def doctor(name: str = "doc1") -> Caller:
    return Caller(name, "doctor", "screen")


class Screen(Review):
    """A screen that has just shown the case, and names that version when the doctor signs."""

    def diagnose(  # type: ignore[override]
        self,
        caller: Caller,
        case_id: str,
        signature: Signature,
        now_ms: int,
        seen: int | None = None,
    ) -> dict[str, Any]:
        if seen is None:
            found = (
                self._store.read([Key("cases", case_id)]).documents
                if record.valid_id(case_id)
                else {}
            )
            seen = next((case.version for case in found.values()), 1)
        return super().diagnose(caller, case_id, signature, seen, now_ms)


class Practice(Workplace):
    """A workplace with doctors."""

    def review(self, store: RecordStore | None = None) -> Screen:
        return Screen(store or self.store, CATALOG, claim_ms=CLAIM_MS, wait=lambda _seconds: None)

    def sign(
        self, name: str = "doc1", case: str = "c1", key: str = "k1", **more: Any
    ) -> dict[str, Any]:
        return self.review().diagnose(doctor(name), case, signature(key, **more), self.time)

    def claim(self, name: str, case: str = "c1", to: str | None = None) -> dict[str, Any]:
        return self.review().claim(doctor(name), case, to, self.time)

    def listed(self, name: str = "doc1", **asked: Any) -> Json:
        return self.worklist().cases(doctor(name), WorklistQuery(**asked), self.time)

    def ids(self, name: str = "doc1", **asked: Any) -> list[str]:
        return [entry["id"] for entry in self.listed(name, **asked)["cases"]]

    def worklist(self) -> WorkList:
        return WorkList(self.store, CATALOG, unread_ms=UNREAD_MS)

    def detail(self, name: str = "doc1", case: str = "c1") -> Json:
        return self.worklist().case(doctor(name), case, self.time)

    def handed_out(self, user: str, cursor_ms: int | None, device: str = "phone") -> None:
        """What the function notes after a sync of a phone."""
        caller = Caller(user, "chw", device)
        before = self.get(*ledger.key(caller))
        attempt = Attempt(caller, "batch", self.time, ("team1",), before=before)
        attempt.cursor_ms = cursor_ms
        ledger.note(self.store, attempt)

    def cases(self, *risks: str | None) -> list[str]:
        """Cases c0, c1 … of these risks, stored one after the other."""
        phone = self.phone()
        phone.save("patients", "p1", at=1000, demographics={"age": 30})
        for number, risk in enumerate(risks):
            phone.save("cases", f"c{number}", at=1000, patient_id="p1", risk_level=risk)
            phone.sync()
            self.time += 1000
        return [f"c{number}" for number in range(len(risks))]


def signature(key: str = "k1", **more: Any) -> Signature:
    said: dict[str, Any] = {
        "diagnosis_text": "Tinea corporis",
        "prescription": "Clotrimazole",
        "verdict": "agree",
        "verdict_text": None,
        "amends": None,
    }
    return Signature(key, **{**said, **more})


def query_of(arguments: Mapping[str, str]) -> WorklistQuery:
    """What a query string asks of the list."""
    return worklist_query.parse(decode(arguments, CasesAsked, strict=False))


def numbers_of(arguments: Mapping[str, str], now_ms: int) -> NumbersQuery:
    """What a query string asks of the numbers."""
    return numbers.parse(decode(arguments, NumbersAsked, strict=False), now_ms)


def place_of(token: str | None, *, unread: bool = False) -> worklist_query.Place:
    """Where a page token goes on, whatever its filters."""
    data = (token or "").encode() + b"=" * (-len(token or "") % 4)
    kind, *place = json.loads(base64.urlsafe_b64decode(data))
    assert kind.partition(".")[0] == ("unread" if unread else "cases")
    return tuple(place)


@pytest.fixture(params=stores.BOTH)
def practice(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Practice]:
    """A practice with chw1, doc1, doc2 and boss (a supervisor) in team1."""
    store = stores.fresh(request.param, request, tmp_path)
    made = Practice(store)
    for user, role in (("chw1", "chw"), ("doc1", "doctor"), ("doc2", "doctor")):
        made.join(user, role=role)
    made.join("boss", role="supervisor")
    yield made
    store.close()
