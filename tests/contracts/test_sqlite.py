"""What the SQLite store promises beyond the contract: its clock, its file, its processes and indexes."""

from __future__ import annotations

import json
import multiprocessing
import os
import random
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from contextlib import closing, suppress
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.sqlite import (
    GROUP_BYTES,
    INDEXES,
    SqliteStore,
    _Commit,
    wall_clock,
)
from shared.adapters.sqlite_queries import declared_indexes
from shared.errors import CommitTooBig, Contended, StoreUnavailable
from shared.records.store import ABSENT, Key, Query, Write, delete, patch, put, verify
from tests.patience import PATIENCE_SECONDS, until

A = Key("notes", "a")
NOW = 1_795_000_000_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "records.db"


def ticking(*times: int) -> Callable[[], int]:
    left = iter(times)
    return lambda: next(left)


# -- what was deleted ----------------------------------------------------------------------------


def _bytes(path: Path) -> bytes:
    return b"".join(each.read_bytes() for each in path.parent.iterdir())


def _leave(store: SqliteStore, secret: str) -> None:
    """Values that were deleted, overwritten, big and small, in a file with others."""
    for at in range(40):
        store.commit([put(Key("notes", f"{at}"), {"note": secret * (1 + at * 40)}, None)])
        store.commit([put(Key("notebooks", f"{at}"), {"note": "stays " * at}, None)])
    for at in range(40):
        key = Key("notes", f"{at}")
        store.commit([delete(key) if at % 2 else put(key, {"note": "other"}, None)])


def test_what_was_deleted_is_in_no_file_while_others_use_the_store(path: Path) -> None:
    store, other = SqliteStore(path), SqliteStore(path)
    _leave(store, "a-secret-")
    assert list(other.query(Query("notes")))
    assert b"a-secret-" in _bytes(path)
    store.forget_deleted()
    assert b"a-secret-" not in _bytes(path)
    assert b"stays " in _bytes(path)
    store.close()
    other.close()


def test_what_moved_between_pages_before_it_was_deleted_is_in_no_file(path: Path) -> None:
    # given rows of many sizes that grow and shrink: SQLite moves them from page to page
    store, rng = SqliteStore(path), random.Random(5)
    for at in range(600):
        fields = {"note": f"a-secret-{at}" + "x" * rng.randrange(1500)}
        store.commit([put(Key("notes", f"{rng.randrange(200)}"), fields, None)])
    for at in range(200):
        store.commit([put(Key("notes", f"{at}"), {"note": "other"}, None)])
    # when the log is emptied, then copies are left; when the store forgets, then none
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"a-secret-" in _bytes(path)
    store.forget_deleted()
    assert b"a-secret-" not in _bytes(path)
    store.close()


def test_the_copy_made_meanwhile_is_in_the_folder_of_the_records(tmp_path: Path) -> None:
    path = tmp_path / "the clinic's" / "records.db"
    path.parent.mkdir()
    store = SqliteStore(path)
    for at in range(200):
        store.commit([put(Key("notes", f"{at}"), {"note": "x" * 20_000}, None)])
    opened = set()

    def look() -> int:
        for number in os.listdir("/proc/self/fd"):
            with suppress(OSError):
                opened.add(Path(os.readlink(f"/proc/self/fd/{number}")))
        return 0

    with store._connection() as db:  # the one that is idle now is taken next
        db.set_progress_handler(look, 100)
    store.forget_deleted()
    drafts = {file.parent for file in opened if file.name.startswith("etilqs_")}
    assert drafts == {path.parent.resolve()}
    store.close()


#: What releases made that kept all documents in one table.
ONE_TABLE = """
CREATE TABLE documents (
    collection TEXT NOT NULL, id TEXT NOT NULL, scope TEXT, version INTEGER NOT NULL,
    data TEXT NOT NULL, PRIMARY KEY (collection, id)
);
CREATE INDEX changes ON documents (collection, scope, version, id) WHERE scope IS NOT NULL;
CREATE INDEX "q__jobs__state_asc__due_asc__name_asc" ON documents
    (json_extract(data, '$.state') asc, json_extract(data, '$.due') asc, id asc)
    WHERE collection = 'jobs';
CREATE TABLE newest (one INTEGER PRIMARY KEY CHECK (one = 1), version INTEGER NOT NULL);
INSERT INTO newest VALUES (1, 7000);
PRAGMA journal_mode = WAL;
"""


def _of_an_older_release(path: Path, rows: Sequence[tuple[str, str, str | None, int, str]]) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(ONE_TABLE)
        db.executemany("INSERT INTO documents VALUES (?, ?, ?, ?, ?)", rows)


def test_what_an_older_release_deleted_is_in_no_file_either(path: Path) -> None:
    # given a file of a release that did not overwrite
    data = json.dumps({"note": "a-secret-" * 900})
    _of_an_older_release(path, [("notes", str(at), None, 1, data) for at in range(20)])
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("PRAGMA secure_delete = OFF")
        db.execute("DELETE FROM documents WHERE id <> '3'")
        db.execute("UPDATE documents SET data = '{}'")
        db.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"a-secret-" in _bytes(path)
    # when, then
    store = SqliteStore(path)
    store.forget_deleted()
    assert b"a-secret-" not in _bytes(path)
    assert [each.key.id for each in store.query(Query("notes"))] == ["3"]
    store.close()


def test_a_reader_who_stays_is_told_instead_of_forgotten(path: Path) -> None:
    store = SqliteStore(path, timeout_seconds=0.2)
    _leave(store, "a-secret-")
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.execute("BEGIN")
        db.execute("SELECT count(*) FROM documents").fetchone()
        store.commit([delete(Key("notebooks", "1"))])
        with pytest.raises(StoreUnavailable):
            store.forget_deleted()
    store.forget_deleted()
    store.close()


# -- files of other releases ---------------------------------------------------------------------


def test_the_documents_of_one_table_are_found_in_their_collections(path: Path) -> None:
    rows = [
        ("jobs", "a", "team", 3000, '{"state":"queued","due":2,"scope_id":"team"}'),
        ("jobs", "b", None, 5000, '{"state":"queued","due":1}'),
        ("notes", "a", "team", 7000, '{"scope_id":"team","n":1}'),
        ("Notes", "a", None, 6000, '{"n":2}'),
    ]
    _of_an_older_release(path, rows)
    # when it is opened, then all is there with its versions, and the newest goes on
    store = SqliteStore(path, clock=lambda: 0)
    reading = store.read([Key("jobs", "a"), Key("jobs", "b"), A, Key("Notes", "a")])
    assert reading.read_at == 7000
    assert [each.version for each in reading.documents.values()] == [3000, 5000, 7000, 6000]
    assert reading.documents[A].fields == {"scope_id": "team", "n": 1, "updated_at": 7000}
    assert reading.documents[Key("Notes", "a")].fields["n"] == 2
    queued = Query("jobs", (("state", "==", "queued"),), (("due", "asc"),))
    assert [each.key.id for each in store.query(queued)] == ["b", "a"]
    listed = store.changes("jobs", ["team"], 0, 9000)
    assert [each.document.key.id for each in listed] == ["a"]
    assert store.commit([patch(A, {"n": 3}, 7000)]) == 8000
    store.close()
    # and whoever looks into the file sees them in one list, as before
    with closing(sqlite3.connect(path)) as db:
        seen = db.execute("SELECT collection, id, scope, version FROM documents ORDER BY version")
        assert [each[:4] for each in rows[:2]] == seen.fetchmany(2)
        assert seen.fetchall() == [rows[3][:4], ("notes", "a", "team", 8000)]


def test_many_who_open_an_older_file_at_once_lose_nothing(path: Path) -> None:
    rows = [("notes", f"{n}", None, 7000, json.dumps({"n": n})) for n in range(2000)]
    _of_an_older_release(path, [*rows, ("counters", "c", None, 7000, '{"n":0}')])
    starters = multiprocessing.get_context("spawn")
    counter = Key("counters", "c")
    _run([starters.Process(target=_increment, args=(path, counter, 5)) for _ in range(3)])
    store = SqliteStore(path)
    assert store.read([counter]).documents[counter].fields["n"] == 15
    assert store.count(Query("notes", limit=5000)) == 2000


def test_an_older_release_cannot_write_into_a_newer_file(path: Path) -> None:
    """It would keep its records in a table that nobody reads."""
    store = SqliteStore(path)
    store.commit([put(A, {"n": 1}, ABSENT)])
    store.close()
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        with pytest.raises(sqlite3.OperationalError, match="views may not be indexed"):
            db.executescript(ONE_TABLE.replace("CREATE TABLE", "CREATE TABLE IF NOT EXISTS"))
        with pytest.raises(sqlite3.OperationalError, match="it is a view"):
            db.execute("INSERT INTO documents VALUES ('notes', 'b', NULL, 1, '{}')")
    assert SqliteStore(path).read([A]).documents[A].fields["n"] == 1


def test_a_collection_has_its_table_from_the_first_commit_on_in_every_process(path: Path) -> None:
    store, other = SqliteStore(path), SqliteStore(path)
    assert other.read([A]).documents == {}
    assert list(other.query(Query("notes", order=(("n", "asc"),)))) == []
    assert list(other.changes("notes", ["team"], 0, NOW)) == []
    assert other.count(Query("notes", limit=5)) == 0
    with pytest.raises(Contended):
        other.commit([patch(A, {"n": 1}, None)])
    store.commit([put(A, {"n": 1, "scope_id": "team"}, ABSENT)])
    assert other.read([A]).documents[A].fields["n"] == 1
    assert other.count(Query("notes", limit=5)) == 1
    other.commit([patch(A, {"n": 2}, None), put(Key("others", "b"), {}, ABSENT)])
    assert store.read([A, Key("others", "b")]).documents.keys() == {A, Key("others", "b")}


def test_collections_may_differ_by_a_capital_alone(path: Path) -> None:
    store = SqliteStore(path)
    store.commit([put(Key("notes", "a"), {"n": 1}, None), put(Key("Notes", "a"), {"n": 2}, None)])
    store.close()
    store = SqliteStore(path)
    assert [each.fields["n"] for each in store.query(Query("notes"))] == [1]
    assert [each.fields["n"] for each in store.query(Query("Notes"))] == [2]


# -- the clock -----------------------------------------------------------------------------------


def test_a_version_is_the_clock_rounded_up_to_whole_milliseconds(path: Path) -> None:
    store = SqliteStore(path, clock=ticking(NOW, NOW + 1_001, NOW + 2_999))
    versions = [store.commit([put(A, {"n": n}, None)]) for n in range(3)]
    assert versions == [NOW, NOW + 2_000, NOW + 3_000]


def test_versions_rise_by_a_millisecond_while_the_clock_stands_or_goes_back(path: Path) -> None:
    hour = 3_600_000_000
    store = SqliteStore(path, clock=ticking(NOW, NOW, NOW - hour, NOW + 1, NOW + 10_000))
    versions = [store.commit([put(A, {"n": n}, None)]) for n in range(5)]
    assert versions == [NOW, NOW + 1_000, NOW + 2_000, NOW + 3_000, NOW + 10_000]


def test_versions_rise_after_reopening_with_a_clock_that_was_set_back(path: Path) -> None:
    first = SqliteStore(path, clock=lambda: NOW)
    version = first.commit([put(A, {"n": 1}, ABSENT)])
    first.close()
    again = SqliteStore(path, clock=lambda: NOW - 86_400_000_000)
    assert again.read([A]).read_at == version
    assert again.commit([put(A, {"n": 2}, version)]) == version + 1_000


def test_a_reading_is_at_the_newest_commit_never_at_the_wall_clock(path: Path) -> None:
    store = SqliteStore(path, clock=lambda: NOW)
    assert store.read([A]).read_at == 0
    version = store.commit([put(A, {"n": 1}, ABSENT)])
    assert store.read([]).read_at == version == NOW


def test_the_stamp_is_the_version(path: Path) -> None:
    store = SqliteStore(path)
    version = store.commit([put(A, {"updated_at": 5}, ABSENT)])
    assert store.read([A]).documents[A].fields == {"updated_at": version}
    assert version - wall_clock() < 1_000


def test_a_listing_gives_documents_in_the_order_of_their_commits(path: Path) -> None:
    store = SqliteStore(path)
    for id in "cab":
        store.commit([put(Key("notes", f"{id}{n}"), {"scope_id": n}, None) for n in "10"])
    store.commit([patch(Key("notes", "a1"), {"new": 1}, None)])
    changes = store.changes("notes", ["0", "1"], 0, store.read([A]).read_at)
    ids = [change.document.key.id for change in changes]
    assert ids == ["c0", "c1", "a0", "b0", "b1", "a1"]


# -- the file ------------------------------------------------------------------------------------


def test_a_commit_is_on_disk_when_it_returns(path: Path) -> None:
    """Write-ahead log, synced in full: the settings without which a power cut loses a commit."""
    store = SqliteStore(path)
    store.commit([put(A, {"n": 1}, ABSENT)])
    with store._connection() as db:
        assert db.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        assert db.execute("PRAGMA synchronous").fetchone() == (2,)


@pytest.mark.parametrize(
    "content", [b"this is no database, but long enough to be read as one" * 99]
)
def test_a_file_that_is_no_database_is_unavailable_and_left_alone(
    path: Path, content: bytes
) -> None:
    path.write_bytes(content)
    with pytest.raises(StoreUnavailable, match="not a SQLite database"):
        SqliteStore(path).read([A])
    assert path.read_bytes() == content


def test_a_store_that_another_program_keeps_locked_is_unavailable(path: Path) -> None:
    store = SqliteStore(path, timeout_seconds=0.05)
    version = store.commit([put(A, {"n": 1}, ABSENT)])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(StoreUnavailable, match="other writers"):
        store.commit([put(A, {"n": 2}, version)])
    assert store.read([A]).documents[A].fields["n"] == 1  # readers are never locked out
    other.execute("ROLLBACK")
    store.commit([put(A, {"n": 2}, version)])
    other.close()


def test_a_disk_that_is_full_leaves_the_commit_before_it(path: Path) -> None:
    store = SqliteStore(path)
    version = store.commit([put(A, {"n": 1}, ABSENT)])
    with store._connection() as db:
        db.execute("PRAGMA max_page_count = 20")
    big = [put(Key("notes", f"{n}"), {"big": "x" * 10_000}, ABSENT) for n in range(50)]
    with pytest.raises(StoreUnavailable, match="full"):
        store.commit([patch(A, {"n": 2}, version), *big])
    assert store.read([A]).documents[A].fields["n"] == 1
    assert store.commit([patch(A, {"n": 3}, version)]) > version


# -- commits that wait for each other --------------------------------------------------------------


class Watched(SqliteStore):
    """Notes how many commits go to disk together."""

    def __init__(self, path: Path, **more: Any) -> None:
        super().__init__(path, **more)
        self.groups: list[int] = []

    def _write(self, group: Sequence[_Commit]) -> None:
        self.groups.append(len(group))
        super()._write(group)


def _together(store: Watched, commits: Sequence[Sequence[Write]]) -> list[int | Exception]:
    """Let these commits wait until the last is there; each one's version or fault, in their order."""
    process = store._process_here()
    ended: dict[int, int | Exception] = {}

    def commit(at: int) -> None:
        try:
            ended[at] = store.commit(commits[at])
        except Exception as error:
            ended[at] = error

    threads = []
    with process.turn:
        for at in range(len(commits)):
            threads.append(threading.Thread(target=commit, args=(at,)))
            threads[-1].start()
            until(lambda at=at: len(process.waiting) > at, "a commit waits", 0.001)
        store.groups.clear()
    for thread in threads:
        thread.join()
    return [ended[at] for at in range(len(commits))]


def test_commits_that_wait_go_to_disk_together_with_versions_of_their_own(path: Path) -> None:
    store = Watched(path)
    keys = [Key("notes", f"{n}") for n in range(8)]
    versions = _together(store, [[put(key, {"n": 1}, ABSENT)] for key in keys])
    assert store.groups == [8]
    assert versions == sorted(set(versions))  # type: ignore[type-var]
    reading = store.read(keys)
    assert [reading.documents[key].version for key in keys] == versions
    assert reading.read_at == versions[-1]
    assert store.commit([put(A, {"n": 1}, ABSENT)]) > versions[-1]  # type: ignore[operator]


def test_a_commit_that_is_refused_leaves_those_that_it_waited_with(path: Path) -> None:
    store = Watched(path)
    version = store.commit([put(A, {"n": 1}, ABSENT)])
    b, c = Key("notes", "b"), Key("notes", "c")
    found = _together(
        store,
        [
            [put(b, {"n": 1}, ABSENT)],
            [patch(A, {"n": 2}, version)],
            [put(c, {"n": 1}, ABSENT), patch(A, {"n": 3}, version)],  # somebody was faster
            [verify(A, version)],
            [put(c, {"n": 4}, ABSENT)],
        ],
    )
    assert store.groups == [5]
    assert [type(each) for each in found] == [int, int, Contended, Contended, int]
    documents = store.read([A, b, c]).documents
    assert [documents[key].fields["n"] for key in (A, b, c)] == [2, 1, 4]
    assert [documents[key].version for key in (b, A, c)] == [found[0], found[1], found[4]]


def test_a_commit_that_breaks_half_way_leaves_nothing_and_those_that_it_waited_with(
    path: Path,
) -> None:
    store = Watched(path)
    store.commit([put(A, {"n": 1}, ABSENT)])
    with store._connection() as db:
        db.setlimit(sqlite3.SQLITE_LIMIT_LENGTH, 20_000)
    b, c, d, e = (Key("notes", name) for name in "bcde")
    found = _together(
        store,
        [
            [put(b, {"n": 1}, ABSENT)],
            [put(c, {"n": 1}, ABSENT), put(d, {"big": "x" * 30_000}, ABSENT)],
            [put(e, {"n": 1}, ABSENT)],
        ],
    )
    assert [type(each) for each in found] == [int, CommitTooBig, int]
    assert store.read([b, c, d, e]).documents.keys() == {b, e}


def test_a_disk_that_is_full_refuses_whom_it_has_no_room_for(path: Path) -> None:
    store = Watched(path)
    version = store.commit([put(A, {"n": 1}, ABSENT)])
    with store._connection() as db:
        # room for the tables, and for some records
        pages = db.execute("PRAGMA page_count").fetchone()[0]
        db.execute(f"PRAGMA max_page_count = {pages + 8}")
    big = [put(Key("notes", f"{n}"), {"big": "x" * 10_000}, ABSENT) for n in range(50)]
    found = _together(store, [[patch(A, {"n": 2}, version)], big, [put(A, {"n": 3}, None)]])
    assert isinstance(found[1], StoreUnavailable)
    assert store.read([write.key for write in big]).documents == {}
    document = store.read([A]).documents[A]
    taken = {n: each for n, each in ((2, found[0]), (3, found[2])) if isinstance(each, int)}
    assert {document.fields["n"]: document.version}.items() <= (taken or {1: version}).items()


def test_a_file_that_stays_locked_refuses_all_who_wait(path: Path) -> None:
    store = Watched(path, timeout_seconds=0.5)
    version = store.commit([put(A, {"n": 1}, ABSENT)])
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    found = _together(store, [[put(Key("notes", f"{n}"), {}, ABSENT)] for n in range(3)])
    other.execute("ROLLBACK")
    assert [type(each) for each in found] == [StoreUnavailable] * 3
    assert store.read([A]).read_at == version
    assert store.commit([patch(A, {"n": 2}, version)]) > version


_WRITERS = """
import os, sys, threading
from pathlib import Path
from shared.adapters.sqlite import SqliteStore
from shared.records.store import Key, put

store = SqliteStore(Path(sys.argv[1]))

def write(name):
    for n in range(1, 10**6):
        keys = Key("notes", name), Key("notes", f"{name}-too")
        store.commit([put(key, {"n": n}, None) for key in keys])
        os.write(1, f"{name} {n}\\n".encode())

for at in range(8):
    threading.Thread(target=write, args=(f"w{at}",)).start()
"""


def test_what_was_acknowledged_to_eight_writers_outlives_sigkill(path: Path) -> None:
    child = subprocess.Popen([sys.executable, "-c", _WRITERS, str(path)], stdout=subprocess.PIPE)
    assert child.stdout is not None
    told: dict[str, int] = {}
    with child.stdout as lines:
        for count, line in enumerate(lines):
            name, said = line.split()
            told[name.decode()] = int(said)
            if count == 400:
                child.kill()
    child.wait()
    assert len(told) == 8
    documents = (
        SqliteStore(path)
        .read([Key("notes", f"{name}{end}") for name in told for end in ("", "-too")])
        .documents
    )
    for noted, n in told.items():
        stored, too = (documents[Key("notes", f"{noted}{end}")] for end in ("", "-too"))
        assert stored.fields["n"] in (n, n + 1)  # one more may be stored and untold
        assert (too.fields["n"], too.version) == (stored.fields["n"], stored.version)


def test_a_commit_that_gave_up_waiting_is_not_written_later(path: Path) -> None:
    store = Watched(path, timeout_seconds=0.05)
    version = store.commit([put(A, {"n": 1}, ABSENT)])
    with store._process_here().turn, pytest.raises(StoreUnavailable, match="other writers"):
        store.commit([patch(A, {"n": 2}, version)])
    assert store.commit([put(Key("notes", "b"), {}, ABSENT)]) > version
    assert store.read([A]).documents[A].fields["n"] == 1


def test_commits_beyond_the_bytes_of_a_group_wait_for_the_next(path: Path) -> None:
    store = Watched(path)
    large = "x" * (GROUP_BYTES // 3)
    found = _together(
        store, [[put(Key("notes", f"{n}"), {"large": large}, ABSENT)] for n in range(5)]
    )
    assert all(isinstance(each, int) for each in found)
    assert store.groups == [2, 2, 1]


# -- processes -----------------------------------------------------------------------------------


def _increment(path: Path, key: Key, times: int) -> None:
    store = SqliteStore(path)
    done = 0
    while done < times:
        document = store.read([key]).documents[key]
        with suppress(Contended):
            store.commit([patch(key, {"n": document.fields["n"] + 1}, document.version)])
            done += 1
    store.close()


def test_processes_on_one_new_file_lose_no_increment(path: Path) -> None:
    """They also race for making the tables and turning on the log."""
    starters = multiprocessing.get_context("spawn")
    keys = [Key("notes", f"{n}") for n in range(2)]
    makers = [starters.Process(target=_make, args=(path, key)) for key in keys]
    _run(makers)
    workers = [starters.Process(target=_increment, args=(path, keys[n % 2], 25)) for n in range(4)]
    _run(workers)
    documents = SqliteStore(path).read(keys).documents
    assert [documents[key].fields["n"] for key in keys] == [50, 50]


def _make(path: Path, key: Key) -> None:
    SqliteStore(path).commit([put(key, {"n": 0}, ABSENT)])


def _run(processes: list[Any]) -> None:
    for process in processes:
        process.start()
    for process in processes:
        process.join(PATIENCE_SECONDS)
        assert process.exitcode == 0


def test_a_forked_worker_opens_its_own_connections(path: Path) -> None:
    # Given a server that used its store, and forks while one of its threads commits
    store = SqliteStore(path, timeout_seconds=2)
    version = store.commit([put(A, {"n": 1}, ABSENT)])
    with store._process_here().turn:
        worker = os.fork()
    # When the worker uses and closes the store it inherited
    if worker == 0:
        try:
            store.commit([patch(A, {"n": 2}, version)])
            store.close()
            os._exit(0)
        except BaseException:
            os._exit(1)
    assert os.waitpid(worker, 0)[1] == 0
    # Then both work on
    reading = store.read([A])
    assert reading.documents[A].fields["n"] == 2
    store.commit([patch(A, {"n": 3}, reading.documents[A].version)])


def test_a_database_in_memory_is_refused() -> None:
    """Each connection would have a database of its own."""
    with pytest.raises(ValueError, match="file"):
        SqliteStore(":memory:")


# -- indexes -------------------------------------------------------------------------------------


@pytest.fixture
def own_indexes(tmp_path: Path) -> Callable[..., Path]:
    def write(*fields: str) -> Path:
        """A Firebase file with one index over `fields`: "due" ascending, "-due" descending."""
        index = {
            "collectionGroup": "jobs",
            "queryScope": "COLLECTION",
            "fields": [
                {"fieldPath": f.lstrip("-"), "order": "DESCENDING" if f[0] == "-" else "ASCENDING"}
                for f in fields
            ],
        }
        path = tmp_path / "indexes.json"
        path.write_text(json.dumps({"indexes": [index], "fieldOverrides": []}))
        return path

    return write


def plan(store: SqliteStore, query: Query) -> str:
    """SQLite's plan for the statements that a query runs."""
    statements: list[str] = []
    with store._connection() as db:
        db.set_trace_callback(statements.append)
    list(store.query(query))
    with store._connection() as db:
        db.set_trace_callback(None)
        return "\n".join(
            row[3]
            for statement in statements
            if statement.startswith("SELECT")
            for row in db.execute(f"EXPLAIN QUERY PLAN {statement}")
        )


@pytest.mark.parametrize(
    ("index", "query"),
    [
        (
            ["state", "due"],
            Query("jobs", (("state", "==", "queued"), ("due", "<=", 9)), (("due", "asc"),)),
        ),
        (
            ["state", "-urgency", "due", "__name__"],
            Query("jobs", (("state", "==", "queued"),), (("urgency", "desc"), ("due", "asc"))),
        ),
        (
            ["scope_id", "-updated_at", "__name__"],
            Query("jobs", (("scope_id", "==", "team-1"),), (("updated_at", "desc"),)),
        ),
        (
            ["state", "due"],
            Query(
                "jobs",
                (("state", "==", "queued"),),
                (("due", "asc"),),
                limit=10,
                start_after=(5, "x"),
            ),
        ),
        (
            ["scope_id", "state", "due"],
            Query(
                "jobs",
                (("scope_id", "in", list("abcde")), ("state", "==", "queued"), ("due", ">", 5)),
                (("due", "asc"),),
                limit=10,
                start_after=(7, "x"),
            ),
        ),
    ],
)
def test_a_composite_index_serves_its_query_without_sorting(
    path: Path, own_indexes: Callable[..., Path], index: list[str], query: Query
) -> None:
    store = SqliteStore(path, indexes=own_indexes(*index))
    store.commit([put(Key("jobs", "a"), {}, None)])
    used = plan(store, query)
    assert "USING INDEX q__jobs" in used
    assert "TEMP B-TREE" not in used


def test_a_late_page_costs_what_the_first_one_costs(
    path: Path, own_indexes: Callable[..., Path]
) -> None:
    store = SqliteStore(path, indexes=own_indexes("scope_id", "due"))
    for start in range(0, 3000, 500):
        store.commit(
            [
                put(Key("jobs", f"{n}"), {"scope_id": "abc"[n % 3], "due": n + 2}, None)
                for n in range(start, start + 500)
            ]
        )

    def steps(behind: tuple[Any, ...] | None) -> int:
        taken = 0

        def count() -> int:
            nonlocal taken
            taken += 1
            return 0

        where = (("scope_id", "in", list("abc")), ("due", ">=", 2), ("due", "<", 9999))
        with store._connection() as db:
            db.set_progress_handler(count, 50)
        page = list(store.query(Query("jobs", where, (("due", "asc"),), 50, start_after=behind)))
        with store._connection() as db:
            db.set_progress_handler(None, 50)
        assert len(page) == 50
        return taken

    assert steps((2900, "2898")) <= 2 * steps(None)


def test_indexes_follow_the_file(path: Path, own_indexes: Callable[..., Path]) -> None:
    def made() -> set[str]:
        store = SqliteStore(path, indexes=own_indexes(*fields))
        store.commit([put(Key("jobs", "a"), {"state": "queued", "due": 1}, None)])
        with store._connection() as db:
            names = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
        store.close()
        return {name for name in names if name.startswith("q__")}

    fields = ["state", "due"]
    assert made() == {"q__jobs__state_asc__due_asc__name_asc"}
    fields = ["state", "-due"]
    assert made() == {"q__jobs__state_asc__due_desc__name_desc"}
    # The index that every collection's changes use is always there.
    fields = ["scope_id", "updated_at"]
    assert made() == set()


def test_an_index_has_only_documents_with_all_of_its_fields(
    path: Path, own_indexes: Callable[..., Path]
) -> None:
    name = "q__jobs__scope_id_asc__state_asc__due_asc__name_asc"
    fields = {"scope_id": "team", "state": "queued", "due": 1}
    store = SqliteStore(path, indexes=own_indexes("scope_id", "state", "due"))
    for at in range(4):
        store.commit([put(Key("jobs", f"whole{at}"), fields, None)])
        store.commit([put(Key("jobs", f"other{at}"), {**fields, "due": None}, None)])
    query = Query(
        "jobs", (("scope_id", "==", "team"), ("state", "==", "queued")), (("due", "asc"),)
    )
    assert len(list(store.query(query))) == 4
    assert f"USING INDEX {name}" in plan(store, query)
    store.close()
    # an index of the same name that an older release made over everything is made anew
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        (made,) = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
        db.execute(f'DROP INDEX "{name}"')
        db.execute(made.partition(" WHERE ")[0])
    store = SqliteStore(path, indexes=own_indexes("scope_id", "state", "due"))
    assert len(list(store.query(query))) == 4
    with closing(sqlite3.connect(path)) as db:
        again = db.execute("SELECT sql FROM sqlite_master WHERE name = ?", (name,)).fetchone()
    assert again == (made,)
    assert made.count(" IS NOT NULL") == 2


def test_the_changes_of_thirty_scopes_are_merged_without_sorting(path: Path) -> None:
    store = SqliteStore(path)
    store.commit([put(A, {"scope_id": "team-1"}, None)])
    statements: list[str] = []
    with store._connection() as db:
        db.set_trace_callback(statements.append)
    list(store.changes("notes", [f"team-{n}" for n in range(30)], 0, NOW))
    with store._connection() as db:
        db.set_trace_callback(None)
        rows = db.execute(f"EXPLAIN QUERY PLAN {statements[0]}").fetchall()
    used = [row[3] for row in rows]
    assert "USE TEMP B-TREE FOR ORDER BY" not in used
    assert sum("USING INDEX changes" in line for line in used) == 30


def test_every_index_of_the_deployment_can_be_made(path: Path) -> None:
    wanted = declared_indexes(INDEXES)
    store = SqliteStore(path)
    store.commit([put(Key(collection, "a"), {}, None) for collection in wanted])
    with store._connection() as db:
        made = {name for (name,) in db.execute("SELECT name FROM sqlite_master")}
    names = [name for indexes in wanted.values() for name in indexes]
    assert len(names) == len(set(names)) > 150
    assert set(names) <= made


def test_pages_follow_each_other_in_order(path: Path) -> None:
    store = SqliteStore(path)
    for start in range(0, 1500, 500):
        store.commit(
            [put(Key("notes", f"{n}"), {"n": n % 7}, None) for n in range(start, start + 500)]
        )
    listed = list(store.query(Query("notes", order=(("n", "desc"),))))
    keys = [(-document.fields["n"], document.key.id) for document in listed]
    assert len(keys) == 1500
    assert all(first < second for first, second in pairwise(keys))
