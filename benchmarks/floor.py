"""The floor: Google's own client, doing by hand the guarded work of one sync, and nothing else.

    read     the bookkeeping of the records in one `get_all`
    write    one atomic commit (each 500 writes), with a precondition on every write
    query    what the pull asks: documents of the team that changed, in the order of their change

No validation, no rules, no conflict rule, no audit, no receipt, no HTTP. Documents have the fields that
ours have, so that the bytes are the same.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from typing import Any

import orjson

from benchmarks.corpus import Row
from shared.adapters.firestore import OVERLAP_SECONDS
from shared.products.dermadetect.signal import RANK
from shared.products.dermadetect.tables import CATALOG
from shared.records import record

#: The most writes in a commit, ours and the floor's.
_A_COMMIT = 500

#: What a pull asks: every table, and the ids that left the team.
TABLES = (*(item.name for item in CATALOG.collections), record.REVOCATIONS)

_HASH = "0" * 64


class Floor:
    """Guarded work with the bare client. One team, one process, as many threads as queries."""

    def __init__(self, client: Any, team: str) -> None:
        self._client, self._team = client, team
        self._cases = client.collection("cases")
        self._pool = ThreadPoolExecutor(len(TABLES))

    def push(self, body: bytes) -> None:
        """Store a push of the WatermelonDB dialect: unknown ids are new, known ones are replaced."""
        rows = _rows(body)
        found = self._versions(rows)
        self._commit(
            [(self._cases.document(row["id"]), fields(row, self._team), row["id"]) for row in rows],
            found,
        )

    def unchanged(self, body: bytes) -> None:
        """A push of what is there already: looked at, nothing to write."""
        found = self._versions(_rows(body))
        if not found:
            raise RuntimeError("the records should be there")

    def half(self, body: bytes) -> None:
        """Every second record loses: both its values go into a log, also guarded."""
        rows = _rows(body)
        found = self._versions(rows)
        losers = rows[1::2]
        stored = {
            each.id: each.to_dict()
            for each in self._client.get_all([self._cases.document(row["id"]) for row in losers])
        }
        log = self._client.collection("conflicts")
        writes = [
            (self._cases.document(row["id"]), fields(row, self._team), row["id"])
            for row in rows[::2]
        ]
        for row in losers:
            theirs = stored[row["id"]]
            both = {
                name: {"yours": row.get(name), "theirs": theirs.get(name)}
                for name in ("patient_id", "triage_data", "risk_level", "image_keys")
            }
            entry = {"scope_id": self._team, "table": "cases", "record_id": row["id"], **both}
            writes.append((log.document(f"{row['id']}-{_HASH[:32]}"), entry, ""))
        self._commit(writes, found)

    def query(self, table: str, cursor_ms: int) -> Iterator[Any]:
        """What of a table changed since a cursor, as the pull must ask for it; 0: everything."""
        from google.cloud.firestore import FieldFilter

        asked = self._client.collection(table).where(
            filter=FieldFilter("scope_id", "==", self._team)
        )
        if cursor_ms:
            after = datetime.fromtimestamp(cursor_ms / 1000, UTC) - timedelta(
                seconds=OVERLAP_SECONDS
            )
            asked = asked.where(filter=FieldFilter("updated_at", ">", after))
        stream: Iterator[Any] = asked.order_by("updated_at").stream()
        return stream

    def pull(self, cursor_ms: int, met: Callable[[], None] = lambda: None) -> None:
        """One pull: the membership, then every query, side by side; `met` is told of each document."""
        self._client.collection("memberships").document("amina").get()

        def listen(table: str) -> None:
            for each in self.query(table, cursor_ms):
                each.to_dict()
                met()

        list(self._pool.map(listen, TABLES))

    def write(self, documents: Sequence[tuple[str, dict[str, Any]]]) -> None:
        """Store cases as they are, at most 500, without looking: to fill a database."""
        batch = self._client.batch()
        for name, content in documents:
            batch.set(self._cases.document(name), content)
        batch.commit()

    def _versions(self, rows: Sequence[Row]) -> dict[str, Any]:
        references = [self._cases.document(row["id"]) for row in rows]
        found = self._client.get_all(references, field_paths=record.META)
        return {each.id: each.update_time for each in found if each.exists}

    def _commit(
        self, writes: Sequence[tuple[Any, dict[str, Any], str]], found: dict[str, Any]
    ) -> None:
        for start in range(0, len(writes), _A_COMMIT):
            batch = self._client.batch()
            for reference, content, known in writes[start : start + _A_COMMIT]:
                version = found.get(known)
                if version is None:
                    batch.create(reference, content)
                else:
                    option = self._client.write_option(last_update_time=version)
                    batch.update(reference, content, option=option)
            batch.commit()


def fields(row: Row, team: str) -> dict[str, Any]:
    """A case as it is stored, ours and the floor's."""
    from google.cloud import firestore

    return {
        "patient_id": row["patient_id"],
        "chw_id": "amina",
        "triage_data": row["triage_data"],
        "risk_level": row["risk_level"],
        "image_keys": orjson.loads(row["image_keys"]),
        "status": "TRIAGED",
        record.SCOPE: team,
        record.AUTHOR: "amina",
        record.MODIFIED: row["last_modified_at"],
        record.RAW_MODIFIED: row["last_modified_at"],
        record.CREATED: row["last_modified_at"],
        record.DEVICE: "amina-phone",
        record.HASH: _HASH,
        record.ECHO: _HASH,
        RANK: 1,
        "updated_at": firestore.SERVER_TIMESTAMP,
    }


def _rows(body: bytes) -> list[Row]:
    sets = orjson.loads(body)["cases"]
    rows: list[Row] = [*sets["created"], *sets["updated"]]
    return rows
