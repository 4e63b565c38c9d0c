"""A club with workers on each store: time is a value that tests move by hand."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar

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
from shared.notify.notice import Message
from shared.records import record
from shared.records.store import Key, RecordStore, patch
from tests import stores
from tests.neutral.scripted import ScriptedModel
from tests.neutral.summarise import Summarise
from tests.neutral.tables import QUEUE, SUMMARISE
from tests.sync.clinic import Clinic, pass_millisecond

LEASE_MS = 600_000


class Workplace(Clinic):
    """A clinic whose jobs can be run, by workers that may see the store through another one."""

    child: ClassVar[str] = "notes"
    queue: ClassVar[str] = QUEUE

    def __init__(self, store: RecordStore) -> None:
        super().__init__(store)
        self.time = wall_ms()
        self.now_ms = lambda: self.time

    def tasks(self, store: RecordStore, terms: Terms) -> Mapping[str, Task]:
        """The product's own."""
        return {SUMMARISE: Summarise(store, lambda: terms, self.now_ms)}

    def worker(
        self,
        model: Model | None = None,
        store: RecordStore | None = None,
        attempts: int = 3,
        **more: Any,
    ) -> Runner:
        seen = store or self.store
        tasks: dict[str, Task] = {
            **self.tasks(seen, Terms(model or self.model(), 1024, 30, **more)),
            KIND: Cascade(seen, self.catalog, self.now_ms),
            RESTORE: Restore(seen, self.catalog, self.now_ms),
            TRANSFER: Transfer(seen, self.catalog, self.now_ms),
        }
        return Runner(
            seen,
            tasks,
            policy=RetryPolicy(attempts, 20.0, 3600.0),
            lease_ms=LEASE_MS,
            clock=self.now_ms,
        )

    def model(self) -> Model:
        """One that answers as the contract asks."""
        return ScriptedModel()

    def follow(self) -> None:
        """Run what follows a deletion, a move or an undelete, as the sweeper does."""
        for kind in (KIND, TRANSFER, RESTORE):
            self.worker().run_due(kind, 120)
        pass_millisecond()

    def revive(self, *names: str) -> None:
        """These children and their queue rows live, though their parent is deleted.

        As if they had been stored while the push that deleted the parent was between its look at
        the children and its commit: what the cascade is for.
        """
        alive = {record.DELETED: None, record.KEPT: None, record.DELETED_WITH: None}
        for table in (self.child, self.queue):
            keys = [Key(table, name) for name in names]
            found = self.store.read(keys).documents
            self.store.commit([patch(key, alive, None) for key in keys if key in found])

    def red_note(self, name: str = "c1", **more: object) -> str:
        """A red note arrives from a phone; returns its job's id."""
        phone = self.phone()
        if self.get("notebooks", "p1") is None:
            phone.save("notebooks", "p1", at=1000, cover={"age": 30, "sex": "f"})
        fields = {"body": {"site": "arm"}, "mark": "red", **more}
        phone.save("notes", name, at=1000, notebook_id="p1", **fields)
        phone.sync()
        return self.waiting(name)

    def waiting(self, name: str) -> str:
        """The job of a record that waits to be done."""
        waits = ("queued", "awaiting_files")
        (job,) = (job for job in self.jobs() if job.subject_id == name and job.state in waits)
        return job.id

    def state(self, job_id: str) -> str:
        return str(self.fields("jobs", job_id)["state"])

    def row(self, name: str = "c1") -> tuple[str, int]:
        fields = self.fields(self.queue, name)
        return fields["status"], fields["attempts"]


class Phones:
    """A notifier that writes down whom it told."""

    def __init__(self) -> None:
        self.sent: list[Message] = []

    def send(self, message: Message) -> bool:
        self.sent.append(message)
        return True


@pytest.fixture(params=stores.BOTH)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Workplace]:
    """A workplace with one team and its member member1."""
    store = stores.fresh(request.param, request, tmp_path)
    made = Workplace(store)
    made.join("member1")
    yield made
    store.close()
