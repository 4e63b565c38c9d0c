"""`python -m tests.infra.operations`: what syncs, analyses and photos cost in Firestore, as counted.

Counted at the port. Firestore bills documents: each one that is read, also a missing one; at least one a
query; each write, also one that only verifies; each delete. The functions run as deployed, but on SQLite:
the port's calls are the same. What Firestore reads again of the last minutes (OVERLAP_SECONDS) is not in
these numbers.

Prints a line of JSON: situation → {"reads", "writes", "deletes"}.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from shared.records.store import Change, Document, Key, Kind, Query, RecordStore, Snapshot, Write

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
    ) -> Snapshot:
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

    def count(self, query: Query) -> int:
        found = self.inner.count(query)
        self.reads += max(-(-found // 1000), 1)
        return found

    def _counted(self, found: Iterator[Any]) -> Iterator[Any]:
        count = 0
        try:
            for each in found:
                count += 1
                yield each
        finally:
            self.reads += max(count, 1)

    def forget_deleted(self) -> None:
        self.inner.forget_deleted()

    def close(self) -> None:
        self.inner.close()


def count() -> dict[str, dict[str, int]]:
    """Every situation of docs/capacity.md."""
    from functions_framework import create_app

    from infra.local.phone import Phone, wall_ms
    from shared import wiring
    from shared.access import membership
    from shared.accounts import tokens
    from shared.adapters.file_keys import FileKeys
    from shared.ai.spending import SpendingCap
    from shared.files.file import CHECK
    from shared.files.reading import Photos
    from shared.products.dermadetect.tables import ANALYSE
    from tests.files.conftest import photo

    store = Counting(wiring.store())
    wiring.store = lambda: store  # type: ignore[assignment]
    client = create_app("sync", "main.py", "http").test_client()
    keys = FileKeys(wiring.settings().data_path / "keys")

    def authorised(user: str) -> dict[str, str]:
        token = tokens.issue(
            keys.current(), wiring.token_policy(), user_id=user, role="chw", now_s=wall_ms() / 1000
        )
        return {"Authorization": f"Bearer {token}"}

    def phone(user: str) -> Phone:
        headers = authorised(user)

        def send(body: Any, _: Phone) -> Any:
            said = client.post("/api/sync", json=body, headers=headers)
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
        done = wiring.runner().run_due(ANALYSE, 3600)
        assert len(done.states) == number, done
        found[f"analyse {number}"] = store.taken()
        assert wiring.deliveries().deliver() == number
        found[f"tell {number}"] = store.taken()
        spending_cap = SpendingCap(store, 1000.0, wiring.clock_ms)
        for _ in range(number):
            spending_cap.settle(spending_cap.take(10), 10, 5)
        found[f"cap {number}"] = store.taken()
        for who in (amina, bahati):
            settle(who)
            who.sync()
    wiring.sweeper().sweep()
    store.taken()
    wiring.sweeper().sweep()
    found["sweep nothing"] = store.taken()

    # --- photos of a red case that waits for one more
    files = create_app("files", "functions/files.py", "http").test_client()
    headers = authorised("amina")

    def ask(case: str, photos: Sequence[bytes]) -> list[Any]:
        asks = [
            {
                "table": "cases",
                "record_id": case,
                "key": f"{at}.jpg",
                "type": "image/jpeg",
                "bytes": len(data),
                "sha256": hashlib.sha256(data).hexdigest(),
            }
            for at, data in enumerate(photos)
        ]
        said = files.post("/api/v1/files", json={"files": asks}, headers=headers)
        assert said.status_code == 200, said.text
        return list(said.json["files"])

    def send(ticket: Any, data: bytes, pieces: int) -> None:
        size = -(-len(data) // pieces)
        for at in range(0, len(data), size):
            part = data[at : at + size]
            span = f"bytes {at}-{at + len(part) - 1}/{len(data)}"
            said = files.put(
                ticket["upload"]["url"], data=part, headers={**headers, "Content-Range": span}
            )
            assert said.status_code in (200, 308), said.text

    for number in (ONE, MANY):
        photos = [photo(100 * number + at, (96, 72)) for at in range(number)]
        keys_named = [f"{at}.jpg" for at in range(number)] + ["never.jpg"]
        amina.save(
            "cases",
            f"p{number}",
            patient_id="p1",
            risk_level="red",
            triage_data={},
            image_keys=keys_named,
        )
        amina.save("cases", f"q{number}", patient_id="p1", risk_level="green")
        amina.sync()
        store.taken()
        tickets = ask(f"p{number}", photos)
        found[f"ask {number}"] = store.taken()
        for ticket, data in zip(tickets, photos, strict=True):
            send(ticket, data, 1)
        due = [job.id for job in wiring.runner().due(CHECK, 100)]
        assert len(due) == number, due
        store.taken()
        for job in due:
            assert wiring.runner().run(job) == "done"
        found[f"check {number}"] = store.taken()
        for ticket in tickets:
            said = files.get(f"/api/v1/files/{ticket['id']}", headers=headers)
            assert set(said.json["links"]) > {"original"}, said.text
        found[f"look {number}"] = store.taken()
        wiring.cleaner().clean(wiring.clock_ms() + 2 * 3_600_000)
        found[f"tidy {number}"] = store.taken()
        # one photo in so many pieces
        large = photo(number, (1200, 900))
        [ticket] = ask(f"q{number}", [large])
        store.taken()
        send(ticket, large, number)
        found[f"pieces {number}"] = store.taken()
        for job in [job.id for job in wiring.runner().due(CHECK, 100)]:
            assert wiring.runner().run(job) == "done"
        wiring.cleaner().clean(wiring.clock_ms() + 2 * 3_600_000)
        # what an analysis reads of its photos
        ready = [ticket["id"] for ticket in tickets]
        store.taken()
        shown = Photos(store, wiring.files, most_bytes=1_000_000).of(ready, 896)
        assert len(shown) == number
        found[f"read {number}"] = store.taken()
    return found


@contextmanager
def _own_folder() -> Iterator[None]:
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            DATA_FOLDER=folder,
            FUNCTION_TARGET="sync",
            LOG_LEVEL="ERROR",
            CHECK_INLINE_BYTES="0",  # checks are counted apart
        )
        yield


if __name__ == "__main__":
    with _own_folder():
        print(json.dumps(count()))
