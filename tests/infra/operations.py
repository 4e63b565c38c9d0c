"""`python -m tests.infra.operations`: what syncs and analyses cost in Firestore, counted at the port.

Firestore bills documents: each one that is read, also a missing one; at least one a query; each write,
also one that only verifies; each delete. The functions run as deployed, but on SQLite: the port's calls are
the same. What Firestore reads again of the last minutes (OVERLAP_SECONDS) is not in these numbers.

Prints a line of JSON: situation → {"reads", "writes", "deletes"}.
"""

from __future__ import annotations

import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from shared.sync.store import Change, Document, Key, Kind, Query, Reading, RecordStore, Write

#: Two sizes of each situation: what a further record costs is their difference.
ONE, MANY = 1, 21


class Counting(RecordStore):
    """A store in front of another that counts what Firestore would bill."""

    def __init__(self, inner: RecordStore) -> None:
        self.inner = inner
        self.reads = self.writes = self.deletes = 0

    def taken(self) -> dict[str, int]:
        """What was counted since the last time."""
        found = {"reads": self.reads, "writes": self.writes, "deletes": self.deletes}
        self.reads = self.writes = self.deletes = 0
        return found

    def read(
        self,
        keys: Sequence[Key],
        fields: Sequence[str] | None = None,
        read_at: int | None = None,
    ) -> Reading:
        self.reads += len(set(keys))
        return self.inner.read(keys, fields, read_at)

    def commit(self, writes: Sequence[Write]) -> int:
        deleted = sum(write.kind is Kind.DELETE for write in writes)
        self.deletes += deleted
        self.writes += len(writes) - deleted
        return self.inner.commit(writes)

    def changes(self, *arguments: Any, **named: Any) -> Iterator[Change]:
        return self._counted(self.inner.changes(*arguments, **named))

    def query(self, query: Query) -> Iterator[Document]:
        return self._counted(self.inner.query(query))

    def _counted(self, found: Iterator[Any]) -> Iterator[Any]:
        count = 0
        try:
            for each in found:
                count += 1
                yield each
        finally:
            self.reads += max(count, 1)

    def close(self) -> None:
        self.inner.close()


def count() -> dict[str, dict[str, int]]:
    """Every situation of docs/capacity.md."""
    from functions_framework import create_app

    from infra.local.phone import Phone, wall_ms
    from shared import wiring
    from shared.accounts import membership, tokens
    from shared.adapters.file_keys import FileKeys
    from shared.ai.spending import Purse
    from shared.products.dermadetect import ANALYSE

    store = Counting(wiring.store())
    wiring.store = lambda: store  # type: ignore[assignment]
    client = create_app("sync", "main.py", "http").test_client()
    keys = FileKeys(wiring.settings().data_path / "keys")

    def phone(user: str) -> Phone:
        token = tokens.issue(
            keys.current(), wiring.token_policy(), user_id=user, role="chw", now_s=wall_ms() / 1000
        )

        def send(body: Any, _: Phone) -> Any:
            said = client.post("/api/sync", json=body, headers={"Authorization": f"Bearer {token}"})
            assert said.status_code == 200, said.text
            return said.json

        return Phone(send, user, f"{user}-phone")

    membership.grant(store, "amina", "team1", "chw", wall_ms())
    membership.grant(store, "bahati", "team1", "chw", wall_ms())
    amina, bahati = phone("amina"), phone("bahati")
    found: dict[str, dict[str, int]] = {}

    def sync(name: str, who: Phone) -> None:
        settle(who)
        store.taken()
        who.sync()
        found[name] = store.taken()

    def settle(who: Phone) -> None:
        """Let the millisecond of the last commit pass: a record of it would come twice."""
        began = wall_ms()
        while wall_ms() <= began + 1:
            pass

    amina.save("patients", "p1", demographics={"age": 30})
    amina.sync()
    bahati.sync()
    for who in (amina, bahati):
        settle(who)
        who.sync()
    sync("nothing new", amina)
    for number in (ONE, MANY):
        for at in range(number):
            amina.save("cases", f"g{number}-{at}", patient_id="p1", risk_level="green")
        sync(f"send {number}", amina)
        sync(f"receive {number}", bahati)
        settle(amina)
        amina.sync()
    for number in (ONE, MANY):
        for at in range(number):
            amina.save(
                "cases", f"r{number}-{at}", patient_id="p1", risk_level="red", triage_data={}
            )
        sync(f"send {number} red", amina)
        store.taken()
        done = wiring.runner().answer(ANALYSE, None, 3600)
        assert len(done.states) == number, done
        found[f"analyse {number}"] = store.taken()
        assert wiring.courier().deliver() == number
        found[f"tell {number}"] = store.taken()
        purse = Purse(store, 1000.0, wiring.clock_ms)
        for _ in range(number):
            purse.settle(purse.take(10), 10, 5)
        found[f"cap {number}"] = store.taken()
        for who in (amina, bahati):
            settle(who)
            who.sync()
    wiring.sweeper().sweep()
    store.taken()
    wiring.sweeper().sweep()
    found["sweep nothing"] = store.taken()
    return found


@contextmanager
def _own_folder() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(DATA_FOLDER=folder, FUNCTION_TARGET="sync", LOG_LEVEL="ERROR")
        yield


if __name__ == "__main__":
    with _own_folder():
        print(json.dumps(count()))
