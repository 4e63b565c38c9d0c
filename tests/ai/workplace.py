"""The workplace of the engine's suites, with DermaDetect's tables and its job."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from shared.ai.conversation import Terms
from shared.ai.model import Model
from shared.jobs.runner import Task
from shared.products.dermadetect.analyse import Analyse
from shared.products.dermadetect.gateway import Gateway
from shared.products.dermadetect.tables import ANALYSE, CATALOG, QUEUE
from shared.records.store import RecordStore
from tests import stores
from tests.jobs import conftest as jobs
from tests.scripted import ScriptedModel
from tests.sync import clinic as sync


class Clinic(sync.Clinic):
    """The engine with DermaDetect's tables."""

    catalog, member, kind = CATALOG, "chw", ANALYSE


class Workplace(jobs.Workplace):
    """Health workers, their patients and cases, and the analysis of the red ones."""

    catalog, member, kind = CATALOG, "chw", ANALYSE
    child, queue = "cases", QUEUE

    def tasks(self, store: RecordStore, terms: Terms) -> Mapping[str, Task]:
        gateway = Gateway(terms)
        return {ANALYSE: Analyse(store, lambda: gateway, longest_seconds=0.0, clock=self.now_ms)}

    def model(self) -> Model:
        return ScriptedModel()

    def red_case(self, name: str = "c1", **more: object) -> str:
        """A red case arrives from a phone; returns its job's id."""
        phone = self.phone()
        if self.get("patients", "p1") is None:
            phone.save("patients", "p1", at=1000, demographics={"age": 30, "sex": "f"})
        fields = {"triage_data": {"site": "arm"}, "risk_level": "red", **more}
        phone.save("cases", name, at=1000, patient_id="p1", **fields)
        phone.sync()
        return self.waiting(name)


@pytest.fixture(params=stores.BOTH)
def clinic(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Clinic]:
    """A clinic with one team, team1, and one health worker in it, chw1."""
    store = stores.fresh(request.param, request, tmp_path)
    made = Clinic(store)
    made.join("chw1")
    yield made
    store.close()


@pytest.fixture(params=stores.BOTH)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace with one team and its health worker chw1."""
    store = stores.fresh(request.param, request, tmp_path)
    made = Workplace(store)
    made.join("chw1")
    yield made
    store.close()
