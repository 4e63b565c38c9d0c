"""The record store port: documents, one atomic commit with preconditions, reads at a snapshot.

Everything lives here as documents in flat root collections: records of phones, jobs, memberships,
logs. Two adapters keep the same contract (`tests/contracts/test_store.py`): SQLite and Firestore.

Promises of every adapter:

- `commit` applies all of its writes or none, and refuses with `Contended` when a precondition fails.
- Every put and patch stamps `updated_at`; no caller can set or keep it.
- A document's `version` is its commit time in whole microseconds since 1970. It never falls for a
  document, and a write that finds nothing to change may leave it as it was.
- `read` is one consistent snapshot and says when (`read_at`), also when no document exists.
- `changes(..., after, read_at)` gives exactly the documents whose version is later than `after` and
  not later than `read_at`: none missing whatever writers do meanwhile.

Field values are JSON values (null, bool, int, float, str, list, dict with str keys). A null is not
stored: writing None removes the field. A field called `_near_…` holds a place (`Near`). Times are
integers; only the adapter knows `updated_at` as a timestamp type, and hands it out in microseconds.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, NamedTuple, Protocol

#: Stamped by the store on each put and patch: the server's time of the write, microseconds.
STAMP = "updated_at"

#: Most writes in one commit. Firestore's own cap has gone; 500 keeps a commit short.
MAX_COMMIT_WRITES = 500

#: Most bytes in one commit (3.5 MiB): the emulator refuses gRPC messages over 4 MiB.
MAX_COMMIT_BYTES = 3_670_016


class Key(NamedTuple):
    """A document's address. `id` matches [A-Za-z0-9_~.-]{1,300}; records of phones are stricter."""

    collection: str
    id: str


class Document(NamedTuple):
    """A stored document. `fields` holds only those asked for; `version` is its commit time in µs."""

    key: Key
    fields: dict[str, Any]
    version: int


class Kind(Enum):
    """What a write does."""

    PUT = "put"  #: replace the whole document, or create it
    PATCH = "patch"  #: set the named fields (None removes one), leave the others; the document must exist
    VERIFY = "verify"  #: change nothing, but refuse the commit if the precondition does not hold
    DELETE = (
        "delete"  #: remove the document; a missing one is no fault unless a version is expected
    )


#: Precondition: the document must not exist.
ABSENT = 0


class Write(NamedTuple):
    """One write of a commit.

    `expect` is None (no precondition; for entries whose id is a hash of their content), `ABSENT`,
    or the `version` that was read. VERIFY needs a version; PATCH needs a version or None (exists).
    """

    kind: Kind
    key: Key
    fields: Mapping[str, Any]
    expect: int | None


def put(key: Key, fields: Mapping[str, Any], expect: int | None) -> Write:
    """Replace or create the document at `key`."""
    return Write(Kind.PUT, key, fields, expect)


def patch(key: Key, fields: Mapping[str, Any], expect: int | None) -> Write:
    """Set some fields of an existing document; None removes a field, a dict replaces a dict whole."""
    return Write(Kind.PATCH, key, fields, expect)


def verify(key: Key, expect: int) -> Write:
    """Refuse the whole commit if the document at `key` is no longer at version `expect`.

    With `ABSENT`: refuse it if the document exists.
    """
    return Write(Kind.VERIFY, key, {}, expect)


def delete(key: Key, expect: int | None = None) -> Write:
    """Remove the document for good. Records of phones get tombstones instead."""
    return Write(Kind.DELETE, key, {}, expect)


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Documents at one moment. A key that does not exist is absent from `documents`."""

    read_at: int  #: the snapshot, microseconds; safe to pass to `changes` and `query`
    documents: dict[Key, Document]


#: Fields that begin so hold places: lists of 1 to 2,048 numbers.
NEAR = "_near_"


@dataclass(frozen=True, slots=True)
class Near:
    """Asks for documents whose place in `field` has a cosine of `least` or more with `place`.

    All places of a field have one length, that of its index. A place of zeros is near none.
    """

    field: str
    place: Sequence[float]
    least: float


@dataclass(frozen=True, slots=True)
class Query:
    """A query over one collection.

    `where` holds (field, operator, value) with operators ==, in (at most 30 values), contains (the
    field is a list that holds the value), <, <=, >, >=.
    `order` holds (field, "asc" | "desc"); the document id breaks ties, ascending. Every shape that
    the code can issue has an index in `infra/firestore.indexes.json`, from which the SQLite adapter
    makes its own. `fields` masks what comes back (None: everything). `start_after` is the order
    fields' values and the id of the last document seen. `read_at` reads at a past snapshot, at most
    an hour old (Firestore); SQLite reads the newest state. With `near` the nearest come first: then
    `limit` is needed (at most 1,000), `where` takes == and in, and there is no order to go on behind.
    """

    collection: str
    where: tuple[tuple[str, str, Any], ...] = ()
    order: tuple[tuple[str, str], ...] = ()
    limit: int | None = None
    fields: tuple[str, ...] | None = None
    start_after: tuple[Any, ...] | None = None
    read_at: int | None = None
    near: Near | None = None


@dataclass(frozen=True, slots=True)
class StoredCollection:
    """A collection and the indexes that queries of it need, declared by the module that owns it.

    An index is a tuple of fields in the words of `Query`: "at", "urgent desc", "scopes contains",
    "_near_x 256" (places of that length; it stands last). One field
    alone is an index of that field. Nothing else is indexed: an index is written with each document. Of
    the records of phones, `infra.indexes` knows what the engine asks. A collection may be declared
    by several modules, each with the indexes of its own queries.
    """

    name: str
    indexes: tuple[tuple[str, ...], ...] = ()


class Position(NamedTuple):
    """Where a `changes` listing stopped: pass it on to go on behind that document."""

    order: int
    id: str


class Change(NamedTuple):
    """A document of a `changes` listing with the position behind it."""

    document: Document
    position: Position


class RecordStore(Protocol):
    """See the module's docstring for what every adapter promises.

    All methods raise `StoreUnavailable` when the store does not answer; after that of a `commit`
    nobody knows whether it was applied: read again and decide anew.
    """

    def read(
        self,
        keys: Sequence[Key],
        fields: Sequence[str] | None = None,
        read_at: int | None = None,
    ) -> Snapshot:
        """Read documents by key in one snapshot; `fields` masks them (None: everything).

        Duplicate keys are allowed; no keys gives an empty reading of now.
        """
        ...

    def commit(self, writes: Sequence[Write]) -> int:
        """Apply all writes or none; returns the commit's version (µs). One write a document.

        Raises `Contended` (a precondition failed, or another commit was in the way: nothing was
        applied), `CommitTooBig`.
        """
        ...

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
        """Documents of up to 30 scopes (`scope_id`) with after < version <= read_at, in a stable order.

        `after` 0 lists everything. `even_if_newer`: every document that is there at `read_at` comes,
        also one that is written again before the listing reaches it; a store without history gives
        it as it is then. A document may come twice over two listings, never be missed.
        The iterator may be abandoned at any point; its memory is flat.
        """
        ...

    def query(self, query: Query) -> Iterator[Document]:
        """Documents that match; lazily, in the query's order."""
        ...

    def count(self, query: Query) -> int:
        """How many documents match, at most `limit` (which must be given), without reading them.

        Firestore bills one read for every thousand that it counts, and at least one; SQLite walks the
        index. `fields` says nothing here, `start_after` is not taken.
        """
        ...

    def forget_deleted(self) -> None:
        """What was deleted or overwritten leaves no copy in this store's own files.

        For erasures, after the last commit: it may take as long as writing the whole store. Nothing
        to do for a store whose files are not ours. Raises `StoreUnavailable` when others read or
        write all the while: call again.
        """
        ...

    def close(self) -> None:
        """Give back connections. The store is unusable afterwards."""
        ...


def remove_found(store: RecordStore, query: Query) -> int:
    """Remove for good what a query finds, in one commit; how much it was. Bound it by `limit`."""
    found = [delete(document.key) for document in store.query(query)]
    if found:
        store.commit(found)
    return len(found)
