"""The record store in one SQLite file: the `local` profile, and servers of one site.

Promises of the port (`shared/records/store.py`), kept like this:

- A table a collection, made when its first document comes, the fields as JSON text: so a write looks at
  its own collection's indexes alone. `version` and `updated_at` are the same number. The view `documents`
  shows all of them; nothing can be written through it, as releases would that know one table for all.
- A commit takes SQLite's write lock (BEGIN IMMEDIATE), checks every precondition, writes, and is on
  disk (WAL, synchronous=FULL) before it returns. Its version is the wall clock rounded up to whole
  milliseconds, at least one more than the last one: versions rise strictly, in the order of the
  commits, even if the clock is set back.
- Commits of one process that wait for the lock go to disk together, each as a savepoint of its own:
  one that is refused leaves the others alone, and all wait for the same sync of the disk.
- `read_at` is the version of the newest commit in the snapshot, never the wall clock: a commit that
  comes later has a later version, so nothing slips in behind a cursor.
- There is no history: `read_at` in `read` and `query` is ignored, the newest state is read. A
  document that is written again while a listing runs leaves that listing and stands in the next;
  a query of more than a page (500) may meet it twice or not at all.
- What is deleted or overwritten is overwritten in the file too (secure_delete), but for copies: the
  write-ahead log keeps one until the next checkpoint and the writes behind it, and SQLite leaves one
  in a page's unused bytes when it moves a row to another page. `forget_deleted` writes the file anew.

Any number of threads and processes may share the file. Nothing is opened before the first use, and
a forked process opens its own connections.
"""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import msgspec
import orjson

from shared.adapters.sqlite_queries import (
    TABLES,
    collection_of,
    declared_indexes,
    nearest,
    select,
    sql_of,
    table_of,
    tally,
)
from shared.adapters.store_rules import (
    check_commit_bytes,
    check_count,
    check_fields,
    check_keys,
    check_query,
    check_scopes,
    check_writes,
)
from shared.errors import CommitTooBig, Contended, Fault, StoreUnavailable
from shared.records.store import (
    ABSENT,
    STAMP,
    Change,
    Document,
    Key,
    Kind,
    Position,
    Query,
    RecordStore,
    Snapshot,
    Write,
)

#: The one list of composite indexes, shared with Firestore and Terraform.
INDEXES = Path(__file__).resolve().parents[2] / "infra" / "firestore.indexes.json"

#: How long a commit waits for other writers before it gives up, seconds.
TIMEOUT_SECONDS = 10.0

#: Documents fetched at a time: a listing holds no lock and no snapshot between two pages, so that a
#: phone on a slow line cannot keep the write-ahead log from being emptied.
PAGE = 500

#: Connections kept open while idle. More threads open more and give them back at once.
IDLE_CONNECTIONS = 16

#: Pages that each connection keeps, KiB; the operating system keeps the rest for all of them.
CACHE_KIB = 4096

#: Time between two tries for a write lock that another process holds, seconds.
_POLL_SECONDS = 0.001

#: Most bytes of commits that go to disk together: nobody waits long for the others.
GROUP_BYTES = 8 * 2**20

#: Pages of 4 KiB after which a commit empties the log (16 MiB): fewer syncs of the main file.
CHECKPOINT_PAGES = 4096

_SCHEMA = """
CREATE TABLE IF NOT EXISTS newest (
    one     INTEGER PRIMARY KEY CHECK (one = 1),
    version INTEGER NOT NULL
);
INSERT OR IGNORE INTO newest VALUES (1, 0)
"""
_TABLE = """
CREATE TABLE {table} (
    id         TEXT NOT NULL PRIMARY KEY,
    scope      TEXT,              -- the field scope_id
    version    INTEGER NOT NULL,  -- commit time, microseconds; also the field updated_at
    data       TEXT NOT NULL      -- the fields as JSON, without updated_at
)
"""
#: What every collection's changes are read along.
_CHANGES = "CREATE INDEX {name} ON {table} (scope, version, id) WHERE scope IS NOT NULL"
#: What `documents` shows of no collection: its columns.
_NOTHING = "SELECT NULL AS collection, NULL AS id, NULL AS scope, NULL AS version, NULL AS data WHERE FALSE"

#: A version that no commit will have.
_FOR_EVER = 2**62

_NEWEST = "SELECT version FROM newest"
# CROSS JOIN fixes the order: walk the list of ids, look each one up.
_FIND = (
    "SELECT found.id, version{data} FROM json_each(?) AS wanted CROSS JOIN {table} AS found"
    " WHERE found.id = wanted.value"
)
_PUT = (
    "INSERT INTO {table} (scope, version, data, id) VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE"
    " SET scope = excluded.scope, version = excluded.version, data = excluded.data"
)
_DELETE = "DELETE FROM {table} WHERE id = ?"

#: What SQLite's faults mean to a caller; anything else is a fault of this module and stays itself.
_FAULTS: dict[int, tuple[type[Fault], str]] = {
    sqlite3.SQLITE_BUSY: (StoreUnavailable, "other writers held the database for too long"),
    sqlite3.SQLITE_LOCKED: (StoreUnavailable, "other writers held the database for too long"),
    sqlite3.SQLITE_CANTOPEN: (StoreUnavailable, "the database file cannot be opened"),
    sqlite3.SQLITE_PERM: (StoreUnavailable, "the database file may not be opened"),
    sqlite3.SQLITE_AUTH: (StoreUnavailable, "the database file may not be opened"),
    sqlite3.SQLITE_READONLY: (StoreUnavailable, "the database file may not be written"),
    sqlite3.SQLITE_NOTADB: (StoreUnavailable, "the file is not a SQLite database"),
    sqlite3.SQLITE_CORRUPT: (StoreUnavailable, "the database file is damaged: restore a backup"),
    sqlite3.SQLITE_IOERR: (StoreUnavailable, "the disk failed"),
    sqlite3.SQLITE_FULL: (StoreUnavailable, "the disk is full"),
    sqlite3.SQLITE_NOMEM: (StoreUnavailable, "out of memory"),
    sqlite3.SQLITE_PROTOCOL: (StoreUnavailable, "the database file's locks do not work"),
    sqlite3.SQLITE_INTERRUPT: (StoreUnavailable, "the statement was interrupted"),
    sqlite3.SQLITE_TOOBIG: (CommitTooBig, "a document is too big for SQLite"),
}


def wall_clock() -> int:
    """Now, in microseconds since 1970."""
    return time.time_ns() // 1000


class SqliteStore(RecordStore):
    """Documents in the SQLite file at `path`, which is made on first use; its folder must exist."""

    def __init__(
        self,
        path: Path | str,
        *,
        indexes: Path | None = None,
        clock: Callable[[], int] = wall_clock,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        if str(path) == ":memory:":
            raise ValueError("the store needs a file: its connections share one database")
        self._path = Path(path)
        self._indexes = indexes or INDEXES
        self._clock = clock
        self._timeout = timeout_seconds
        self._process = _Process()
        self._closed = False

    # -- reading ---------------------------------------------------------------------------------

    def read(
        self,
        keys: Sequence[Key],
        fields: Sequence[str] | None = None,
        read_at: int | None = None,
    ) -> Snapshot:
        check_keys(keys)
        check_fields(fields or ())
        versions_suffice = fields is not None and set(fields) <= {STAMP}
        documents: dict[Key, Document] = {}
        with self._connection() as db, _snapshot(db):
            newest: int = db.execute(_NEWEST).fetchone()[0]
            for collection, ids in _by_collection(keys).items():
                for row in _found(db, collection, ids, data=not versions_suffice):
                    document = _document(collection, row, fields)
                    documents[document.key] = document
        return Snapshot(newest, documents)

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
        scopes = check_scopes(scopes)
        check_fields(fields or ())
        if even_if_newer:
            read_at = _FOR_EVER
        # One branch a scope: each walks the index in order and SQLite merges them as they run. A
        # plain `scope IN (…) ORDER BY version` would sort everything before its first row.
        branch = (
            f"SELECT id, version, data FROM {table_of(collection)} WHERE scope = ?"  # noqa: S608
            " AND (version, id) > (?, ?) AND version <= ?"
        )
        statement = " UNION ALL ".join([branch] * len(scopes)) + " ORDER BY version, id LIMIT ?"
        # No id is as long as "~" * 301: the first page starts behind all of version `after`.
        position = max(behind or Position(after, ""), Position(after, "~" * 301))
        full = bool(scopes)
        while full:
            bounds = (*position, read_at)
            values = [value for scope in scopes for value in (scope, *bounds)]
            with self._connection() as db:
                rows = _rows(db, statement, (*values, PAGE))
            full = len(rows) == PAGE
            for row in rows:
                position = Position(row[1], row[0])
                yield Change(_document(collection, row, fields), position)

    def query(self, query: Query) -> Iterator[Document]:
        check_query(query)
        if query.near is None:
            yield from self._found(query)
            return
        mask = query.fields
        wanted = None if mask is None else (*mask, query.near.field)
        among = self._found(replace(query, near=None, limit=None, fields=wanted))
        for each in nearest(among, query.near, query.limit or 0):
            kept = {name: it for name, it in each.fields.items() if mask is None or name in mask}
            yield Document(each.key, kept, each.version)

    def _found(self, query: Query) -> Iterator[Document]:
        columns = [sql_of(field) for field, _ in query.order]
        left = query.limit
        behind = query.start_after
        full = True
        while full and (left is None or left > 0):
            size = PAGE if left is None else min(PAGE, left)
            statement, values = select(query, behind)
            with self._connection() as db:
                rows = _rows(db, statement, (*values, size))
            full = len(rows) == size
            left = None if left is None else left - len(rows)
            for row in rows:
                behind = (*row[3 : 3 + len(columns)], row[0])
                yield _document(query.collection, row[:3], query.fields)

    def count(self, query: Query) -> int:
        most = check_count(query)
        statement, values = tally(query)
        with self._connection() as db:
            rows = _rows(db, statement, (*values, most))
        return int(rows[0][0]) if rows else 0

    # -- writing ---------------------------------------------------------------------------------

    def commit(self, writes: Sequence[Write]) -> int:
        check_writes(writes)
        # Whatever needs no lock is done before it is taken: above all the JSON.
        mine = _Commit(writes)
        check_commit_bytes(mine.size)
        process = self._process_here()
        process.waiting.append(mine)
        if not process.turn.acquire(timeout=self._timeout):
            with suppress(ValueError):  # somebody is at it: nobody knows what will become of it
                process.waiting.remove(mine)
            raise StoreUnavailable("other writers held the database for too long")
        try:
            while not mine.ended:  # whoever had the turn may have written it
                self._write(process.next_group())
        finally:
            process.turn.release()
        if mine.fault is not None:
            raise mine.fault
        return mine.version

    def _write(self, group: Sequence[_Commit]) -> None:
        """Write commits in one transaction; each ends with its version or its fault."""
        process = self._process_here()
        try:
            collections = {each for commit in group for each in commit.collections}
            with self._connection() as db, _write_lock(db, self._timeout):
                unknown = collections - process.collections
                if unknown and _make_tables(db, unknown, process.indexes):
                    _show_all(db)
                newest = before = db.execute(_NEWEST).fetchone()[0]
                for commit in group:
                    with _apart(db, commit):
                        newest = commit.apply(db, newest, self._clock)
                if newest > before:
                    db.execute("UPDATE newest SET version = ?", (newest,))
            process.collections |= unknown
        except BaseException as error:
            process.collections = set()
            for commit in group:
                commit.fault = commit.fault or _again(error)
            if not isinstance(error, Exception):
                raise
        finally:
            for commit in group:
                commit.ended = True

    def forget_deleted(self) -> None:
        until = time.monotonic() + self._timeout
        with self._connection() as db:
            # The copy that it makes meanwhile stays on the disk of the records, which may be encrypted.
            folder = str(self._path.resolve().parent).replace("'", "''")
            db.execute(f"PRAGMA temp_store_directory = '{folder}'")
            db.execute("VACUUM")  # 0.6 s for 100 MB; writers wait meanwhile, readers do not
            # Others who read or write just now hold pages of the log.
            while db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()[0]:
                if time.monotonic() > until:
                    raise StoreUnavailable("other readers held the database for too long")
                time.sleep(_POLL_SECONDS)

    def copy_to(self, path: Path) -> None:
        """Write the store as it is at this moment to a new file, while others read and write."""
        with self._connection() as db:
            db.execute("VACUUM INTO ?", (str(path),))

    def close(self) -> None:
        self._closed = True
        self._process_here().close()

    # -- connections -----------------------------------------------------------------------------

    def _process_here(self) -> _Process:
        if self._process.pid != os.getpid():
            # SQLite's connections must not cross a fork, not even to be closed: leave them alone.
            self._process = _Process(left_behind=self._process)
        return self._process

    @contextmanager
    def _connection(self) -> Iterator[sqlite3.Connection]:
        """A connection of the pool for one operation; SQLite's faults become ours."""
        if self._closed:
            raise StoreUnavailable("the record store was closed")
        process = self._process_here()
        try:
            db = process.take() or self._open(process)
            try:
                yield db
            finally:
                process.give_back(db, keep=not self._closed)
        except sqlite3.Error as error:
            fault = _meaning(error)
            if fault is None:
                raise
            raise fault from error

    def _open(self, process: _Process) -> sqlite3.Connection:
        db = sqlite3.connect(
            self._path,
            timeout=self._timeout,
            isolation_level=None,
            check_same_thread=False,  # the pool hands a connection to one thread at a time
        )
        try:
            db.execute("PRAGMA synchronous = FULL")
            db.execute("PRAGMA secure_delete = ON")
            db.execute(f"PRAGMA wal_autocheckpoint = {CHECKPOINT_PAGES}")
            db.execute(f"PRAGMA cache_size = -{CACHE_KIB}")
            with process.opening:
                if not process.prepared:
                    process.indexes = declared_indexes(self._indexes)
                    _turn_on_wal(db, self._timeout)
                    _prepare(db, process.indexes, self._timeout)
                    process.prepared = True
        except BaseException:
            db.close()
            raise
        return db


class _Commit:
    """The writes of a commit, ready for the lock, and what became of them."""

    __slots__ = (
        *("_deletes", "_patches", "_puts", "_writes", "collections", "ended"),
        *("fault", "size", "version"),
    )

    def __init__(self, writes: Sequence[Write]) -> None:
        self._writes = writes
        self._puts = {
            write.key: _stored(write.fields) for write in writes if write.kind is Kind.PUT
        }
        self._patches = [write for write in writes if write.kind is Kind.PATCH]
        self._deletes = [write.key for write in writes if write.kind is Kind.DELETE]
        self.collections = {write.key.collection for write in writes}
        self.size = (
            sum(len(data) for _, data in self._puts.values())
            + sum(len(_json(dict(write.fields))) for write in self._patches)
            + sum(len(write.key.id) for write in writes)
        )
        self.ended = False
        self.version = 0
        self.fault: BaseException | None = None

    def apply(self, db: sqlite3.Connection, newest: int, clock: Callable[[], int]) -> int:
        """Check and write, after a commit of version `newest`; the newest version then."""
        _check_preconditions(db, self._writes)
        if not self._puts and not self._patches and not self._deletes:
            self.version = newest
            return newest
        self.version = max(-(-clock() // 1000) * 1000, newest + 1000)
        puts: dict[str, list[tuple[str | None, int, str, str]]] = {}
        for key, (scope, data) in (self._puts | _patched(db, self._patches)).items():
            row = (scope, self.version, data.decode(), key.id)
            puts.setdefault(key.collection, []).append(row)
        for collection, rows in puts.items():
            db.executemany(_PUT.format(table=table_of(collection)), rows)
        for collection, ids in _by_collection(self._deletes).items():
            db.executemany(_DELETE.format(table=table_of(collection)), [(id,) for id in ids])
        return self.version


class _Process:
    """One process's idle connections, and the queue of its writers.

    Threads queue for SQLite's write lock here, and whoever has the `turn` writes for those who wait.
    Between processes nobody queues: `_lock` tries again and again.
    """

    def __init__(self, left_behind: _Process | None = None) -> None:
        self.pid = os.getpid()
        self.opening = threading.Lock()
        self.prepared = False
        self.indexes: Mapping[str, Mapping[str, str]] = {}
        self.collections: set[str] = set()  #: that have their tables
        self.waiting: deque[_Commit] = deque()
        self.turn = threading.Lock()
        self._idle: deque[sqlite3.Connection] = deque()
        self._left_behind = left_behind

    def next_group(self) -> list[_Commit]:
        """Who is written next, in the order of their coming; only for who has the turn."""
        group: list[_Commit] = []
        size = 0
        with suppress(IndexError):
            while not group or size + self.waiting[0].size <= GROUP_BYTES:
                group.append(self.waiting.popleft())
                size += group[-1].size
        return group

    def take(self) -> sqlite3.Connection | None:
        try:
            return self._idle.pop()
        except IndexError:
            return None

    def give_back(self, db: sqlite3.Connection, *, keep: bool) -> None:
        if keep and not db.in_transaction and len(self._idle) < IDLE_CONNECTIONS:
            self._idle.append(db)
        else:
            db.close()

    def close(self) -> None:
        while db := self.take():
            db.close()


# -- statements ----------------------------------------------------------------------------------


@contextmanager
def _snapshot(db: sqlite3.Connection) -> Iterator[None]:
    db.execute("BEGIN")
    try:
        yield
    finally:
        db.execute("ROLLBACK")


@contextmanager
def _write_lock(db: sqlite3.Connection, timeout: float) -> Iterator[None]:
    _lock(db, timeout)
    try:
        yield
        db.execute("COMMIT")
    finally:
        if db.in_transaction:  # something was raised, perhaps by COMMIT itself
            db.execute("ROLLBACK")


@contextmanager
def _apart(db: sqlite3.Connection, commit: _Commit) -> Iterator[None]:
    """A commit's fault is its own, unless it ended the transaction of them all."""
    db.execute("SAVEPOINT own")
    try:
        yield
    except Exception as error:
        if not db.in_transaction:
            raise
        db.execute("ROLLBACK TO own")
        commit.fault = _meaning(error) or error
    db.execute("RELEASE own")


def _meaning(error: BaseException) -> Fault | None:
    """What a fault of SQLite means to a caller; None: it is none, or one of this module's own."""
    if isinstance(error, sqlite3.Error):
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code in _FAULTS:
            kind, message = _FAULTS[code]
            return kind(f"{message} ({error})")
    return None


def _again(error: BaseException) -> BaseException:
    """The fault that ended a transaction, anew for each of its commits."""
    if isinstance(error, Fault):
        return type(error)(str(error))
    if isinstance(error, Exception):
        return error
    return StoreUnavailable("the process ends")


def _lock(db: sqlite3.Connection, timeout: float) -> None:
    """Take the write lock, which another process may hold.

    SQLite itself would sleep longer and longer between two tries, up to 100 ms.
    """
    until = time.monotonic() + timeout
    db.execute("PRAGMA busy_timeout = 0")
    try:
        while True:
            try:
                db.execute("BEGIN IMMEDIATE")
                return
            except sqlite3.OperationalError as error:
                busy = error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY
                if not busy or time.monotonic() > until:
                    raise
            time.sleep(_POLL_SECONDS)
    finally:
        db.execute(f"PRAGMA busy_timeout = {int(timeout * 1000)}")


def _rows(db: sqlite3.Connection, statement: str, values: Sequence[Any]) -> list[Any]:
    """What a statement finds in a collection: nothing, if nothing was ever stored there."""
    try:
        return db.execute(statement, values).fetchall()
    except sqlite3.OperationalError as error:
        if str(error).startswith(f"no such table: {TABLES}"):
            return []
        raise


def _found(db: sqlite3.Connection, collection: str, ids: Sequence[str], *, data: bool) -> list[Any]:
    """(id, version), with `data` also the fields, of those documents that are there."""
    find = _FIND.format(table=table_of(collection), data=", data" if data else "")
    return _rows(db, find, (orjson.dumps(ids).decode(),))


def _by_collection(keys: Sequence[Key]) -> dict[str, list[str]]:
    ids: dict[str, list[str]] = {}
    for collection, id in dict.fromkeys(keys):
        ids.setdefault(collection, []).append(id)
    return ids


def _document(collection: str, row: Sequence[Any], fields: Sequence[str] | None) -> Document:
    """A document from (id, version, data), or (id, version) if the mask names nothing else."""
    if fields is None:
        stored: dict[str, Any] = orjson.loads(row[2])
        stored[STAMP] = row[1]
    else:
        stored = _masked(tuple(fields))(row[2]) if len(row) > 2 else {}
        if STAMP in fields:
            stored[STAMP] = row[1]
    return Document(Key(collection, row[0]), stored, row[1])


@lru_cache(maxsize=256)
def _masked(names: tuple[str, ...]) -> Callable[[str], dict[str, Any]]:
    """What reads some fields of a document's JSON and makes nothing of the others: twice as fast."""
    kept = tuple(dict.fromkeys(names))
    spelt = {f"f{n}": name for n, name in enumerate(kept)}
    try:
        kind = msgspec.defstruct("Masked", [(f, Any, msgspec.UNSET) for f in spelt], rename=spelt)
    except ValueError:  # a name that JSON has to escape
        return lambda data: _picked(kept, orjson.loads(data))
    decode = msgspec.json.Decoder(kind).decode

    def read(data: str) -> dict[str, Any]:
        found = zip(kept, msgspec.structs.astuple(decode(data)), strict=True)
        return {name: value for name, value in found if value is not msgspec.UNSET}

    return read


def _picked(names: Sequence[str], stored: Mapping[str, Any]) -> dict[str, Any]:
    return {name: stored[name] for name in names if name in stored}


def _json(fields: Mapping[str, Any]) -> bytes:
    try:
        return orjson.dumps(
            fields, option=orjson.OPT_PASSTHROUGH_DATETIME | orjson.OPT_PASSTHROUGH_DATACLASS
        )
    except TypeError as error:
        raise ValueError(f"not a JSON value: {error}") from error


def _stored(fields: Mapping[str, Any]) -> tuple[str | None, bytes]:
    """What the columns `scope` and `data` hold: no nulls, no stamp of the caller's own."""
    kept = {name: value for name, value in fields.items() if value is not None and name != STAMP}
    scope = kept.get("scope_id")
    return scope if isinstance(scope, str) else None, _json(kept)


def _check_preconditions(db: sqlite3.Connection, writes: Sequence[Write]) -> None:
    guarded = [w for w in writes if w.expect is not None or w.kind is Kind.PATCH]
    versions: dict[Key, int] = {}
    for collection, ids in _by_collection([write.key for write in guarded]).items():
        for id, version in _found(db, collection, ids, data=False):
            versions[Key(collection, id)] = version
    for kind, key, _, expect in guarded:
        found = versions.get(key, ABSENT)
        if found != expect and not (kind is Kind.PATCH and expect is None and found):
            raise Contended(f"{key.collection}/{key.id} changed since it was read")


def _patched(
    db: sqlite3.Connection, patches: Sequence[Write]
) -> dict[Key, tuple[str | None, bytes]]:
    data: dict[Key, str] = {}
    for collection, ids in _by_collection([write.key for write in patches]).items():
        for id, _, stored in _found(db, collection, ids, data=True):
            data[Key(collection, id)] = stored
    return {key: _stored(orjson.loads(data[key]) | fields) for _, key, fields, _ in patches}


# -- the file ------------------------------------------------------------------------------------


def _prepare(
    db: sqlite3.Connection, wanted: Mapping[str, Mapping[str, str]], timeout: float
) -> None:
    """Make what every file has, and exactly the wanted indexes; take no lock when all is there."""

    def lacking() -> tuple[set[str], dict[str, str]]:
        """The indexes that are too many, or others than they should be, and those that are missing."""
        kept = {n: s for each in _collections(db) for n, s in wanted.get(each, {}).items()}
        made = dict(
            db.execute(
                "SELECT name, sql FROM sqlite_master WHERE type = 'index' AND name GLOB 'q__*'"
            )
        )
        return (
            {name for name, sql in made.items() if kept.get(name) != sql},
            {name: sql for name, sql in kept.items() if made.get(name) != sql},
        )

    if _kind(db, "documents") == "view" and lacking() == (set(), {}):
        return
    with _write_lock(db, timeout):
        for statement in _SCHEMA.split(";\n"):
            db.execute(statement)
        if _kind(db, "documents") == "table":
            _take_apart(db)
        _show_all(db)
        more, missing = lacking()
        for name in more:
            db.execute(f'DROP INDEX "{name}"')
        for statement in missing.values():
            db.execute(statement)


def _take_apart(db: sqlite3.Connection) -> None:
    """Make a table of each collection of the one table that older releases had.

    100,000 cases take ten seconds, and meanwhile three times the room that they have on the disk.
    """
    found = db.execute("SELECT DISTINCT collection FROM documents").fetchall()
    _make_tables(db, {collection for (collection,) in found}, {})
    for (collection,) in found:
        db.execute(
            f"INSERT INTO {table_of(collection)} (id, scope, version, data)"  # noqa: S608
            " SELECT id, scope, version, data FROM documents WHERE collection = ? ORDER BY id",
            (collection,),
        )
    db.execute("DROP TABLE documents")  # with its indexes


def _kind(db: sqlite3.Connection, name: str) -> str | None:
    """Whether something is a table, a view or not there."""
    row = db.execute("SELECT type FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    return None if row is None else str(row[0])


def _collections(db: sqlite3.Connection) -> set[str]:
    """Those that have tables."""
    tables = db.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall()
    return {each for (name,) in tables if (each := collection_of(name)) is not None}


def _make_tables(
    db: sqlite3.Connection, collections: set[str], wanted: Mapping[str, Mapping[str, str]]
) -> bool:
    """See that these collections have their tables, in a transaction; whether any was missing."""
    missing = sorted(collections - _collections(db))
    for collection in missing:
        table = table_of(collection)
        db.execute(_TABLE.format(table=table))
        db.execute(_CHANGES.format(name=table.replace(TABLES, "changes__", 1), table=table))
        for statement in wanted.get(collection, {}).values():
            db.execute(statement)
    return bool(missing)


def _show_all(db: sqlite3.Connection) -> None:
    """Let the view `documents` show every collection."""
    db.execute("DROP VIEW IF EXISTS documents")
    arms = [
        f"SELECT '{each}', id, scope, version, data FROM {table_of(each)}"  # noqa: S608
        for each in sorted(_collections(db))
    ]
    db.execute(f"CREATE VIEW documents AS {' UNION ALL '.join([_NOTHING, *arms])}")


def _turn_on_wal(db: sqlite3.Connection, timeout: float) -> None:
    """Write-ahead logging is a property of the file; switching it on fails while others use it."""
    until = time.monotonic() + timeout
    while True:
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError as error:
            if "locked" not in str(error) or time.monotonic() > until:
                raise
            time.sleep(0.01)
