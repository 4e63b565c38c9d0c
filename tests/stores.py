"""Stores for tests: a fresh SQLite file, or a fresh database of the real Firestore emulator."""

from __future__ import annotations

import uuid
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.firestore import FirestoreStore
from shared.adapters.sqlite import SqliteStore
from shared.records.store import (
    Change,
    Document,
    Key,
    Position,
    Query,
    RecordStore,
    Snapshot,
    Write,
)

BOTH = ("sqlite", "firestore")


def fresh(kind: str, request: pytest.FixtureRequest, folder: Path) -> RecordStore:
    """An empty store of that kind; the emulator is started if it is needed."""
    if kind == "sqlite":
        return SqliteStore(folder / "records.db")
    request.getfixturevalue("firestore_emulator")
    return FirestoreStore(f"test-{uuid.uuid4().hex[:12]}")


class Interrupted(RecordStore):
    """A store in front of another, with something happening around its commits.

    `before` runs just before a commit is sent on, `after` just after it got through; either may
    raise. This is how tests put another writer, a kill or a lost answer between any two steps.
    """

    def __init__(
        self,
        inner: RecordStore,
        *,
        before: Callable[[Sequence[Write]], None] = lambda _writes: None,
        after: Callable[[Sequence[Write]], None] = lambda _writes: None,
    ) -> None:
        self.inner, self.before, self.after = inner, before, after

    def read(
        self,
        keys: Sequence[Key],
        fields: Sequence[str] | None = None,
        read_at: int | None = None,
    ) -> Snapshot:
        return self.inner.read(keys, fields, read_at)

    def commit(self, writes: Sequence[Write]) -> int:
        self.before(writes)
        version = self.inner.commit(writes)
        self.after(writes)
        return version

    def changes(
        self,
        collection: str,
        scopes: Sequence[str],
        after: int,
        read_at: int,
        *,
        behind: Position | None = None,
        fields: Sequence[str] | None = None,
        even_if_newer: bool = False,
    ) -> Iterator[Change]:
        return self.inner.changes(
            collection,
            scopes,
            after,
            read_at,
            behind=behind,
            fields=fields,
            even_if_newer=even_if_newer,
        )

    def query(self, query: Query) -> Iterator[Document]:
        return self.inner.query(query)

    def count(self, query: Query) -> int:
        return self.inner.count(query)

    def forget_deleted(self) -> None:
        self.inner.forget_deleted()

    def close(self) -> None:
        self.inner.close()


class Asked(Interrupted):
    """A store in front of another that notes which keys are read and which collections are listed."""

    def __init__(self, inner: RecordStore) -> None:
        super().__init__(inner)
        self.keys: list[Key] = []
        self.listed: list[str] = []

    def read(
        self,
        keys: Sequence[Key],
        fields: Sequence[str] | None = None,
        read_at: int | None = None,
    ) -> Snapshot:
        self.keys += keys
        return super().read(keys, fields, read_at)

    def changes(self, collection: str, *arguments: Any, **named: Any) -> Iterator[Change]:
        self.listed.append(collection)
        return super().changes(collection, *arguments, **named)
