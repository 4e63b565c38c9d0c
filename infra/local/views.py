"""A product's numbers of a data folder, for analysts: a SQLite file of their own.

It is made of a copy that is one moment, so the server goes on meanwhile and nobody holds a lock on it.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import IO

from shared.access import audit
from shared.access.membership import Caller
from shared.adapters import sqlite_views
from shared.adapters.sqlite import SqliteStore
from shared.errors import InvalidRequest
from shared.export.views import Views

#: Entries of the audit trail that are stored in one commit.
_A_COMMIT = 100


def write(
    data: Path, to: IO[bytes], views: Views, scopes: Sequence[str] | None, by: Caller, now_ms: int
) -> int:
    """Write the file of these scopes, of all if None; returns its rows.

    The audit trail notes each before it is given out.

    Raises `InvalidRequest` for a folder without records, `StoreUnavailable`, `OSError`.
    """
    if not (data / "records.db").exists():
        raise InvalidRequest("There are no records in this folder.", code="not_found", field="data")
    with tempfile.TemporaryDirectory(prefix=".views-", dir=data) as draft:
        copy, made = Path(draft) / "records.db", Path(draft) / "views.db"
        store = SqliteStore(data / "records.db")
        try:
            store.copy_to(copy)
            given = sqlite_views.write(copy, made, views, scopes)
            entries = [
                entry
                for scope, touched in given.items()
                for entry in audit.entries(by, "export", scope, touched, now_ms)
            ]
            for start in range(0, len(entries), _A_COMMIT):
                store.commit(entries[start : start + _A_COMMIT])
        finally:
            store.close()
        with made.open("rb") as whole:
            shutil.copyfileobj(whole, to)
    return sum(len(ids) for touched in given.values() for ids in touched.values())
