"""A clinic with workers on each store: time is a value that tests move by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local.phone import wall_ms
from shared.ai.conversation import Terms
from shared.ai.model import Model
from shared.jobs.cascade import KIND, Cascade
from shared.jobs.job import RetryPolicy
from shared.jobs.restore import KIND as RESTORE
from shared.jobs.restore import Restore
from shared.jobs.runner import Runner, Task
from shared.jobs.transfer import KIND as TRANSFER
from shared.jobs.transfer import Transfer
from shared.products.dermadetect.analyse import Analyse
from shared.products.dermadetect.gateway import Gateway
from shared.products.dermadetect.tables import ANALYSE, CATALOG
from shared.records import record
from shared.records.store import Key, RecordStore, patch
from tests import stores
from tests.scripted import ScriptedModel
from tests.sync.clinic import Clinic, pass_millisecond

LEASE_MS = 600_000


class Workplace(Clinic):
    """A clinic whose jobs can be run, by workers that may see the store through another one."""

    def __init__(self, store: RecordStore) -> None:
        super().__init__(store)
        self.time = wall_ms()
        self.now_ms = lambda: self.time

    def worker(
        self,
        model: Model | None = None,
        store: RecordStore | None = None,
        attempts: int = 3,
        **more: Any,
    ) -> Runner:
        seen = store or self.store
        gateway = Gateway(Terms(model or ScriptedModel(), 1024, 30, **more))
        tasks: dict[str, Task] = {
            ANALYSE: Analyse(seen, lambda: gateway, longest_seconds=0.0, clock=self.now_ms),
            KIND: Cascade(seen, CATALOG, self.now_ms),
            RESTORE: Restore(seen, CATALOG, self.now_ms),
            TRANSFER: Transfer(seen, CATALOG, self.now_ms),
        }
        return Runner(
            seen,
            tasks,
            policy=RetryPolicy(attempts, 20.0, 3600.0),
            lease_ms=LEASE_MS,
            clock=self.now_ms,
        )

    def follow(self) -> None:
        """Run what follows a deletion, a move or an undelete, as the sweeper does."""
        for kind in (KIND, TRANSFER, RESTORE):
            self.worker().answer(kind, None, 120)
        pass_millisecond()

    def revive(self, *names: str) -> None:
        """These cases and their queue rows live, though their patient is deleted.

        As if they had been stored while the push that deleted the patient was between its look at
        the children and its commit: what the cascade is for.
        """
        alive = {record.DELETED: None, record.KEPT: None, record.DELETED_WITH: None}
        for table in ("cases", "medgemma_queue"):
            keys = [Key(table, name) for name in names]
            found = self.store.read(keys).documents
            self.store.commit([patch(key, alive, None) for key in keys if key in found])

    def red_case(self, name: str = "c1", **more: object) -> str:
        """A red case arrives from a phone; returns its job's id."""
        phone = self.phone()
        if self.get("patients", "p1") is None:
            phone.save("patients", "p1", at=1000, demographics={"age": 30, "sex": "f"})
        fields = {"triage_data": {"site": "arm"}, "risk_level": "red", **more}
        phone.save("cases", name, at=1000, patient_id="p1", **fields)
        phone.sync()
        waits = ("queued", "awaiting_files")
        (job,) = (job for job in self.jobs() if job.subject_id == name and job.state in waits)
        return job.id

    def state(self, job_id: str) -> str:
        return str(self.fields("jobs", job_id)["state"])

    def row(self, case_id: str = "c1") -> tuple[str, int]:
        fields = self.fields("medgemma_queue", case_id)
        return fields["status"], fields["attempts"]


@pytest.fixture(params=stores.BOTH)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace with one team and its health worker chw1."""
    store = stores.fresh(request.param, request, tmp_path)
    made = Workplace(store)
    made.join("chw1")
    yield made
    store.close()
