"""The contract of the record store (`shared/records/store.py`), kept by SQLite and by Firestore.

Each test has a database of its own: a SQLite file, or a project of the emulator, where an unknown
project is an empty database. `open_store()` opens one more client of the same database.
"""

from __future__ import annotations

import dataclasses
import json
import math
import socket
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.adapters.firestore import FirestoreStore
from shared.adapters.sqlite import SqliteStore
from shared.errors import CommitTooBig, Contended, StoreUnavailable
from shared.records.store import (
    ABSENT,
    MAX_COMMIT_WRITES,
    STAMP,
    Change,
    Document,
    Key,
    Near,
    Position,
    Query,
    RecordStore,
    Write,
    delete,
    patch,
    put,
    verify,
)

Opener = Callable[[], RecordStore]

A = Key("notes", "a")
B = Key("notes", "b")
C = Key("notes", "c")


@pytest.fixture(params=["sqlite", "firestore"])
def open_store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Opener]:
    opened: list[RecordStore] = []
    project = f"contract-{uuid.uuid4().hex[:12]}"
    if request.param == "firestore":
        request.getfixturevalue("firestore_emulator")

    def open_one() -> RecordStore:
        if request.param == "firestore":
            opened.append(FirestoreStore(project))
        else:
            opened.append(SqliteStore(tmp_path / "records.db"))
        return opened[-1]

    yield open_one
    for store in opened:
        store.close()


@pytest.fixture
def store(open_store: Opener) -> RecordStore:
    return open_store()


def one(store: RecordStore, key: Key) -> Document | None:
    return store.read([key]).documents.get(key)


def fields(store: RecordStore, key: Key) -> dict[str, Any]:
    """The fields as stored, without the stamp."""
    document = one(store, key)
    assert document is not None
    return {name: value for name, value in document.fields.items() if name != STAMP}


def record(scope: str = "team-1", **more: Any) -> dict[str, Any]:
    return {"scope_id": scope, "status": "KEPT", **more}


def fill(store: RecordStore, ids: Iterable[str], scope: str = "team-1", **more: Any) -> int:
    return store.commit([put(Key("notes", id), record(scope, **more), ABSENT) for id in ids])


def listed(changes: Iterable[Change]) -> list[str]:
    return [change.document.key.id for change in changes]


def found(documents: Iterable[Document]) -> list[str]:
    return [document.key.id for document in documents]


def together(*jobs: Callable[[], Any]) -> list[Any]:
    """Run side by side, starting at one moment; the results, or what was raised."""
    start = threading.Barrier(len(jobs))

    def run(job: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return job()
        except Contended as error:
            return error

    with ThreadPoolExecutor(len(jobs)) as pool:
        return list(pool.map(run, jobs))


# -- values --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "value",
    [
        "",
        "plain",
        "Ärztin in Zürich — 診断 🩺 \u0000 \u2028 \" ' ` \\",
        0,
        -1,
        2**53,
        -(2**53),
        2**63 - 1,
        -(2**63),
        0.0,
        1.0,
        -0.1,
        1e300,
        5e-324,
        True,
        False,
        [],
        {},
        [1, "two", 3.0, None, True, {"deep": [1, {"deeper": []}]}],
        {"lists": [{"of": ["maps"]}], "null": None, "a.b": 1, "`": 2, "_hash": 3, "ü": 4},
    ],
    ids=repr,
)
def test_a_value_is_read_as_it_was_written(store: RecordStore, value: Any) -> None:
    store.commit([put(A, {"value": value}, ABSENT)])
    # As JSON, because True == 1 == 1.0 in Python.
    assert _canonical(fields(store, A)["value"]) == _canonical(value)


_text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
_names = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12).filter(
    lambda name: not (name.startswith("__") and name.endswith("__"))
)
_scalars = (
    st.none()
    | st.booleans()
    | st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | _text
)
_values = st.recursive(
    _scalars,
    # Firestore takes no list directly in a list; the engine stores such columns as text.
    lambda inner: (
        st.dictionaries(_names, inner, max_size=4)
        | st.lists(_scalars | st.dictionaries(_names, inner, max_size=3), max_size=4)
    ),
    max_leaves=12,
)


@settings(
    max_examples=40,
    deadline=None,
    suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow],
)
@given(first=st.dictionaries(_names, _values, max_size=5), second=_values)
def test_any_fields_are_read_as_they_were_written(
    store: RecordStore, first: dict[str, Any], second: Any
) -> None:
    key = Key("notes", uuid.uuid4().hex)
    name = next(iter(first), "name")
    store.commit([put(key, first, ABSENT)])
    written = {each: value for each, value in first.items() if value is not None and each != STAMP}
    assert _canonical(fields(store, key)) == _canonical(written)
    store.commit([patch(key, {name: second}, None)])
    if name != STAMP:
        written[name] = second
    if second is None:
        written.pop(name, None)
    assert _canonical(fields(store, key)) == _canonical(written)
    masked = store.read([key], list(first)).documents[key].fields
    masked.pop(STAMP, None)
    assert _canonical(masked) == _canonical(
        {each: value for each, value in written.items() if each in first}
    )


def _canonical(value: Any) -> str:
    return json.dumps(value, sort_keys=True)


@pytest.mark.parametrize("value", [2**64, {1, 2}, object(), b"bytes", {"a": {1: 2}}, "\ud800"])
def test_what_is_no_json_value_is_refused_before_anything_is_stored(
    store: RecordStore, value: Any
) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  no match: the messages are the libraries'
        store.commit([put(B, {"fine": 1}, None), put(A, {"value": value}, None)])
    assert store.read([A, B]).documents == {}


def test_a_null_is_not_stored(store: RecordStore) -> None:
    store.commit([put(A, {"kept": 1, "gone": None, "map": {"null": None}}, ABSENT)])
    assert fields(store, A) == {"kept": 1, "map": {"null": None}}


@pytest.mark.parametrize("id", ["a", "~._-", "Z" * 300, "2026-11-20T08.00.00.000~x", "...", "__a"])
def test_ids_of_the_stated_alphabet_are_taken(store: RecordStore, id: str) -> None:
    key = Key("notes", id)
    store.commit([put(key, record(), ABSENT)])
    read_at = store.read([key]).read_at
    assert one(store, key) is not None
    assert listed(store.changes("notes", ["team-1"], 0, read_at)) == [id]


@pytest.mark.parametrize("id", ["", ".", "..", "__a__", "a/b", "ü", "a b", "a\n", "x" * 301])
def test_other_ids_are_refused(store: RecordStore, id: str) -> None:
    with pytest.raises(ValueError, match="address"):
        store.commit([put(Key("notes", id), {}, None)])
    with pytest.raises(ValueError, match="address"):
        store.read([Key("notes", id)])


# -- put, patch, delete --------------------------------------------------------------------------


def test_a_put_replaces_the_whole_document(store: RecordStore) -> None:
    version = store.commit([put(A, {"old": 1, "both": 1}, ABSENT)])
    version = store.commit([put(A, {"both": 2, "new": 2}, version)])
    assert fields(store, A) == {"both": 2, "new": 2}
    store.commit([put(A, {"newest": 3}, None)])
    assert fields(store, A) == {"newest": 3}


def test_a_patch_leaves_other_fields_alone(store: RecordStore) -> None:
    store.commit([put(A, {"status": "KEPT", "_hash": "x", "a.b": 1}, ABSENT)])
    store.commit([patch(A, {"_hash": "y", "a.b": 2, "new": 3}, None)])
    assert fields(store, A) == {"status": "KEPT", "_hash": "y", "a.b": 2, "new": 3}


def test_a_patch_with_null_removes_the_field(store: RecordStore) -> None:
    store.commit([put(A, {"kept": 1, "gone": 2, "_odd.name": 3}, ABSENT)])
    store.commit([patch(A, {"gone": None, "_odd.name": None, "never there": None}, None)])
    assert fields(store, A) == {"kept": 1}


def test_a_patch_replaces_a_map_whole(store: RecordStore) -> None:
    store.commit([put(A, {"map": {"one": 1, "two": {"three": 3}}}, ABSENT)])
    store.commit([patch(A, {"map": {"two": {"four": 4}, "null": None}}, None)])
    assert fields(store, A) == {"map": {"two": {"four": 4}, "null": None}}
    store.commit([patch(A, {"map": {}}, None)])
    assert fields(store, A) == {"map": {}}


def test_a_patch_of_no_field_only_stamps(store: RecordStore) -> None:
    first = store.commit([put(A, {"kept": 1}, ABSENT)])
    second = store.commit([patch(A, {}, first)])
    document = one(store, A)
    assert document is not None
    assert fields(store, A) == {"kept": 1}
    assert document.version == second > first


def test_a_patch_needs_a_document(store: RecordStore) -> None:
    with pytest.raises(Contended):
        store.commit([patch(A, {"a": 1}, None)])
    assert one(store, A) is None


def test_deleting_removes_the_document_for_good(store: RecordStore) -> None:
    version = fill(store, ["a", "b"])
    store.commit([delete(A), delete(B, version)])
    assert store.read([A, B]).documents == {}
    store.commit([put(A, {"again": 1}, ABSENT)])
    assert fields(store, A) == {"again": 1}


def test_deleting_what_does_not_exist_is_no_fault(store: RecordStore) -> None:
    store.commit([delete(A)])
    assert one(store, A) is None


def test_a_document_has_one_write_in_a_commit(store: RecordStore) -> None:
    with pytest.raises(ValueError, match="once"):
        store.commit([put(A, {"a": 1}, None), patch(A, {"a": 2}, None)])
    assert one(store, A) is None


def test_equal_ids_in_two_collections_are_two_documents(store: RecordStore) -> None:
    notebook = Key("notebooks", "a")
    store.commit([put(A, {"a": "note"}, ABSENT), put(notebook, {"a": "notebook"}, ABSENT)])
    assert (fields(store, A), fields(store, notebook)) == ({"a": "note"}, {"a": "notebook"})


# -- the stamp and the version -------------------------------------------------------------------


def test_a_stamp_cannot_be_forged(store: RecordStore) -> None:
    version = store.commit([put(A, {"a": 1, STAMP: 1}, ABSENT)])
    first = one(store, A)
    assert first is not None
    assert abs(first.fields[STAMP] - version) < 60_000_000
    store.commit([patch(A, {"a": 2, STAMP: 1}, version)])
    store.commit([patch(A, {"a": 3, STAMP: None}, None)])
    second = one(store, A)
    assert second is not None
    assert second.fields[STAMP] > first.fields[STAMP]


def test_a_document_copied_with_its_old_stamp_gets_a_new_one(store: RecordStore) -> None:
    store.commit([put(A, {"a": 1}, ABSENT)])
    old = one(store, A)
    assert old is not None
    store.commit([put(A, {**old.fields, "a": 2}, old.version)])
    new = one(store, A)
    assert new is not None
    assert new.fields[STAMP] > old.fields[STAMP]


def test_a_document_has_the_version_that_its_commit_returned(store: RecordStore) -> None:
    version = fill(store, ["a", "b"])
    assert {d.version for d in store.read([A, B]).documents.values()} == {version}
    later = store.commit([patch(A, {"a": 1}, version)])
    documents = store.read([A, B]).documents
    assert (documents[A].version, documents[B].version) == (later, version)


def test_versions_rise_from_commit_to_commit(store: RecordStore) -> None:
    versions = [store.commit([put(A, {"n": n}, None)]) for n in range(20)]
    assert versions == sorted(set(versions))


def test_a_deleted_and_recreated_document_has_a_later_version(store: RecordStore) -> None:
    first = store.commit([put(A, {"a": 1}, ABSENT)])
    store.commit([delete(A)])
    assert store.commit([put(A, {"a": 1}, ABSENT)]) > first
    with pytest.raises(Contended):
        store.commit([put(A, {"a": 2}, first)])


# -- preconditions and atomicity -----------------------------------------------------------------

# Every kind of write × what it expects × what is there. Not in the table: VERIFY without an
# expectation, PATCH and DELETE of what must be absent (they make no sense and raise ValueError).
PRECONDITIONS = [
    # write                              there      holds
    (lambda v: put(A, {"new": 1}, None), "missing", True),
    (lambda v: put(A, {"new": 1}, None), "same", True),
    (lambda v: put(A, {"new": 1}, ABSENT), "missing", True),
    (lambda v: put(A, {"new": 1}, ABSENT), "same", False),
    (lambda v: put(A, {"new": 1}, v), "missing", False),
    (lambda v: put(A, {"new": 1}, v), "same", True),
    (lambda v: put(A, {"new": 1}, v), "changed", False),
    (lambda v: patch(A, {"new": 1}, None), "missing", False),
    (lambda v: patch(A, {"new": 1}, None), "changed", True),
    (lambda v: patch(A, {"new": 1}, v), "missing", False),
    (lambda v: patch(A, {"new": 1}, v), "same", True),
    (lambda v: patch(A, {"new": 1}, v), "changed", False),
    (lambda v: verify(A, ABSENT), "missing", True),
    (lambda v: verify(A, ABSENT), "same", False),
    (lambda v: verify(A, v), "missing", False),
    (lambda v: verify(A, v), "same", True),
    (lambda v: verify(A, v), "changed", False),
    (lambda v: delete(A), "missing", True),
    (lambda v: delete(A), "changed", True),
    (lambda v: delete(A, v), "missing", False),
    (lambda v: delete(A, v), "same", True),
    (lambda v: delete(A, v), "changed", False),
]


@pytest.mark.parametrize(("write", "there", "holds"), PRECONDITIONS)
def test_a_precondition_decides_about_the_whole_commit(
    store: RecordStore, write: Callable[[int], Write], there: str, holds: bool
) -> None:
    # Given a document that was read at some version
    version = store.commit([put(A, {"old": 0}, ABSENT)])
    if there == "missing":
        store.commit([delete(A)])
    if there == "changed":
        store.commit([put(A, {"old": 1}, version)])
    before = one(store, A)
    # When a commit expects something of it, between two writes that expect nothing
    commit = [put(B, {"b": 1}, None), write(version), put(C, {"c": 1}, None)]
    if holds:
        # Then all of it is applied
        store.commit(commit)
        assert set(store.read([B, C]).documents) == {B, C}
    else:
        # or nothing
        with pytest.raises(Contended):
            store.commit(commit)
        assert store.read([A, B, C]).documents == ({A: before} if before else {})


@pytest.mark.parametrize(
    "write",
    [
        Write(verify(A, 1).kind, A, {}, None),
        patch(A, {"a": 1}, ABSENT),
        delete(A, ABSENT),
        put(A, {}, -1),
    ],
)
def test_a_senseless_precondition_is_refused(store: RecordStore, write: Write) -> None:
    with pytest.raises(ValueError, match="cannot expect"):
        store.commit([write])


def test_verifying_changes_neither_fields_nor_version(store: RecordStore) -> None:
    version = fill(store, ["a"], note="as it was")
    before = one(store, A)
    after = store.commit([verify(A, version), put(B, {"b": 1}, ABSENT)])
    assert one(store, A) == before
    read_at = store.read([A]).read_at
    assert listed(store.changes("notes", ["team-1"], version, read_at)) == []
    store.commit([verify(A, version)])
    store.commit([put(A, {"a": 2}, version)])
    assert after > version


def test_verifying_absence_creates_nothing(store: RecordStore) -> None:
    store.commit([verify(A, ABSENT), put(B, {"b": 1}, ABSENT)])
    assert set(store.read([A, B]).documents) == {B}
    assert found(store.query(Query("notes"))) == ["b"]
    store.commit([verify(A, ABSENT)])
    store.commit([put(A, {"a": 1}, ABSENT)])


def test_a_commit_of_nothing_is_a_commit(store: RecordStore) -> None:
    version = fill(store, ["a"])
    assert store.commit([]) >= version
    assert one(store, A) is not None


def test_a_commit_may_mix_kinds_and_collections(store: RecordStore) -> None:
    version = fill(store, ["a", "b", "c"])
    job = Key("jobs", "job-1")
    later = store.commit(
        [
            patch(A, {"status": "WAITING"}, version),
            put(B, record(status="SIGNED"), version),
            delete(C, version),
            put(job, {"state": "queued"}, ABSENT),
            verify(Key("jobs", "job-2"), ABSENT),
        ]
    )
    documents = store.read([A, B, C, job]).documents
    assert {key: document.version for key, document in documents.items()} == {
        A: later,
        B: later,
        job: later,
    }


def test_of_two_racing_commits_with_one_expectation_exactly_one_wins(store: RecordStore) -> None:
    version = store.commit([put(A, {"n": 0}, ABSENT)])
    for n in range(1, 11):
        results = together(
            lambda v=version, n=n: store.commit([put(B, {"n": n}, None), put(A, {"n": n}, v)]),
            lambda v=version, n=n: store.commit([put(A, {"n": -n}, v), put(C, {"n": -n}, None)]),
        )
        versions = [result for result in results if not isinstance(result, Contended)]
        assert len(versions) == 1
        version = versions[0]
        assert fields(store, A) == {"n": n if results[0] == version else -n}


def test_of_two_racing_creations_exactly_one_wins(store: RecordStore) -> None:
    for n in range(10):
        key = Key("notes", f"new-{n}")
        results = together(*[lambda w=w, k=key: store.commit([put(k, w, ABSENT)]) for w in WHO])
        winners = [who for who, result in zip(WHO, results, strict=True) if isinstance(result, int)]
        assert [fields(store, key)] == winners


WHO = [{"who": "first"}, {"who": "second"}]


def test_eight_writers_lose_no_increment(open_store: Opener) -> None:
    store = open_store()
    store.commit([put(A, {"n": 0}, ABSENT)])

    def increment(own: RecordStore) -> None:
        done = 0
        while done < 10:
            document = one(own, A)
            assert document is not None
            try:
                own.commit([patch(A, {"n": document.fields["n"] + 1}, document.version)])
                done += 1
            except Contended:
                pass

    # Half of them through a client of their own, as other processes would.
    other = open_store()
    results = together(*[lambda s=s: increment(s) for s in [store, other] * 4])
    assert results == [None] * 8
    assert fields(store, A) == {"n": 80}


def test_a_verified_document_cannot_change_under_a_commit(store: RecordStore) -> None:
    """Write skew: each of two commits verifies what the other one changes."""
    for n in range(10):
        a, b = Key("notes", f"a{n}"), Key("notes", f"b{n}")
        version = store.commit([put(a, {"on": True}, ABSENT), put(b, {"on": True}, ABSENT)])
        results = together(
            lambda a=a, b=b, v=version: store.commit([put(a, {"on": False}, v), verify(b, v)]),
            lambda a=a, b=b, v=version: store.commit([put(b, {"on": False}, v), verify(a, v)]),
        )
        assert sum(isinstance(result, int) for result in results) <= 1
        assert [d.fields["on"] for d in store.read([a, b]).documents.values()].count(True) >= 1


# -- limits --------------------------------------------------------------------------------------


def test_a_commit_at_the_limits_is_taken(store: RecordStore) -> None:
    keys = [Key("notes", f"{n}") for n in range(MAX_COMMIT_WRITES)]
    store.commit([put(key, record(n=n), ABSENT) for n, key in enumerate(keys)])
    reading = store.read(keys)
    assert [reading.documents[key].fields["n"] for key in keys] == list(range(MAX_COMMIT_WRITES))
    big = "x" * 1_000_000
    store.commit([put(Key("notes", f"big-{n}"), {"big": big}, ABSENT) for n in range(3)])


@pytest.mark.parametrize(
    "writes",
    [
        [put(Key("notes", f"{n}"), {}, ABSENT) for n in range(MAX_COMMIT_WRITES + 1)],
        [put(Key("notes", f"{n}"), {"big": "x" * 950_000}, ABSENT) for n in range(4)],
        [put(Key("notes", f"{n}"), {"big": "é" * 475_000}, ABSENT) for n in range(4)],
        [put(Key("notes", "a"), {}, None)]
        + [patch(Key("notes", f"{n}"), {"big": "x" * 950_000}, None) for n in range(4)],
    ],
    ids=["writes", "bytes", "bytes, not characters", "patches"],
)
def test_a_commit_over_the_limits_is_refused_whole(store: RecordStore, writes: list[Write]) -> None:
    with pytest.raises(CommitTooBig):
        store.commit(writes)
    assert store.read([write.key for write in writes[:4]]).documents == {}


# -- read ----------------------------------------------------------------------------------------


def test_a_reading_says_when_even_if_nothing_exists(store: RecordStore) -> None:
    empty = store.read([A])
    assert empty.documents == {}
    version = fill(store, ["a"])
    assert empty.read_at < version <= store.read([B]).read_at
    assert store.read([]).read_at >= version


def test_what_was_committed_before_a_reading_is_not_later_than_it(store: RecordStore) -> None:
    for n in range(20):
        version = store.commit([put(A, {"n": n}, None)])
        reading = store.read([A])
        assert reading.documents[A].version == version <= reading.read_at


def test_what_is_committed_after_a_reading_is_later_than_it(store: RecordStore) -> None:
    for n in range(20):
        read_at = store.read([A]).read_at
        assert store.commit([put(A, {"n": n}, None)]) > read_at


def test_missing_keys_are_absent_and_duplicates_are_one(store: RecordStore) -> None:
    fill(store, ["a", "b"])
    reading = store.read([B, A, Key("notes", "nope"), A, Key("notebooks", "a"), B])
    assert set(reading.documents) == {A, B}
    assert all(key == document.key for key, document in reading.documents.items())


def test_a_mask_gives_the_named_fields_that_exist(store: RecordStore) -> None:
    version = store.commit([put(A, {"a": 1, "b": {"c": 2}, "_hash": "x", "o.d d": 3}, ABSENT)])
    names = ["b", "_hash", "o.d d", "nope", "b"]
    document = store.read([A], names).documents[A]
    assert document == Document(A, {"b": {"c": 2}, "_hash": "x", "o.d d": 3}, version)


def test_a_mask_can_ask_for_the_stamp(store: RecordStore) -> None:
    store.commit([put(A, {"a": 1}, ABSENT)])
    whole = one(store, A)
    assert whole is not None
    assert store.read([A], [STAMP]).documents[A].fields == {STAMP: whole.fields[STAMP]}
    assert isinstance(whole.fields[STAMP], int)


@pytest.mark.parametrize("mask", [[], ["nope"]])
def test_a_document_without_the_masked_fields_is_found(store: RecordStore, mask: list[str]) -> None:
    version = fill(store, ["a"])
    assert store.read([A, B], mask).documents == {A: Document(A, {}, version)}


def test_more_keys_than_one_request_takes_are_one_reading(store: RecordStore) -> None:
    fill(store, [f"{n}" for n in range(100)])
    keys = [Key("notes", f"{n}") for n in range(2500)]
    assert set(store.read(keys, []).documents) == set(keys[:100])


def test_a_reading_can_be_repeated_at_its_time(store: RecordStore) -> None:
    version = fill(store, ["a"])
    read_at = store.read([A]).read_at
    store.commit([patch(A, {"a": 1}, None)])
    again = store.read([A], read_at=read_at)
    # SQLite has no history and may answer with the newest state, but says so.
    assert again.documents[A].version >= version
    assert again.documents[A].version <= again.read_at
    assert again.read_at >= read_at


def test_a_reading_never_shows_half_a_commit(store: RecordStore) -> None:
    keys = [A, B, Key("notebooks", "p")]
    store.commit([put(key, {"n": 0}, None) for key in keys])
    running = threading.Event()
    running.set()

    def write() -> None:
        for n in range(60):
            store.commit([put(key, {"n": n}, None) for key in keys])
        running.clear()

    def watch() -> int:
        torn = 0
        while running.is_set():
            documents = store.read(keys).documents.values()
            torn += len({(d.fields["n"], d.version) for d in documents}) != 1
        return torn

    assert together(write, watch, watch)[1:] == [0, 0]


# -- changes -------------------------------------------------------------------------------------


def test_changes_are_those_after_and_not_later_than_the_reading(store: RecordStore) -> None:
    versions = {id: fill(store, [id]) for id in "abcde"}
    reads = {id: listed_between(store, versions["b"], versions[id]) for id in "bcde"}
    assert reads == {"b": [], "c": ["c"], "d": ["c", "d"], "e": ["c", "d", "e"]}
    assert listed_between(store, versions["b"] - 1, versions["c"]) == ["b", "c"]
    assert listed_between(store, 0, versions["e"]) == list("abcde")


def listed_between(store: RecordStore, after: int, read_at: int) -> list[str]:
    # Scopes in a list with an empty one: the shape that a caller with two scopes uses.
    return sorted(listed(store.changes("notes", ["team-1", "team-2"], after, read_at)))


def test_an_updated_document_is_a_change_and_an_untouched_one_is_not(store: RecordStore) -> None:
    version = fill(store, ["a", "b"])
    store.commit([patch(A, {"note": "new"}, version)])
    read_at = store.read([A]).read_at
    (change,) = store.changes("notes", ["team-1"], version, read_at)
    assert change.document == one(store, A)


def test_documents_that_one_commit_wrote_are_all_listed(store: RecordStore) -> None:
    ids = [f"{n:03}" for n in range(200)]
    version = fill(store, ids)
    changes = store.changes("notes", ["team-1"], version - 1, store.read([A]).read_at)
    assert sorted(listed(changes)) == ids


def test_changes_keep_to_the_scopes_and_the_collection(store: RecordStore) -> None:
    for n in range(1, 4):
        fill(store, [f"{n}-x", f"{n}-y"], scope=f"team-{n}")
    store.commit(
        [
            put(Key("notebooks", "p"), record("team-1"), ABSENT),
            put(Key("notes", "nobody"), {"status": "KEPT"}, ABSENT),
        ]
    )
    read_at = store.read([A]).read_at

    def ids(*scopes: str) -> list[str]:
        return sorted(listed(store.changes("notes", scopes, 0, read_at)))

    assert ids("team-1") == ["1-x", "1-y"]
    assert ids("team-3", "team-1", "team-1") == ["1-x", "1-y", "3-x", "3-y"]
    assert ids("team-4") == []
    assert ids() == []


def test_a_document_that_moved_is_in_its_new_scope(store: RecordStore) -> None:
    version = fill(store, ["a"])
    store.commit([patch(A, {"scope_id": "team-2"}, version)])
    read_at = store.read([A]).read_at
    assert listed(store.changes("notes", ["team-1"], 0, read_at)) == []
    assert listed(store.changes("notes", ["team-2"], version, read_at)) == ["a"]


def test_thirty_scopes_are_listed_together_and_no_more(store: RecordStore) -> None:
    scopes = [f"team-{n}" for n in range(30)]
    store.commit(
        [put(Key("notes", f"{s}-{n}"), record(s), ABSENT) for s in scopes for n in range(3)]
    )
    read_at = store.read([A]).read_at
    changes = listed(store.changes("notes", scopes, 0, read_at))
    assert sorted(changes) == sorted(f"{scope}-{n}" for scope in scopes for n in range(3))
    with pytest.raises(ValueError, match="scopes"):
        next(store.changes("notes", [*scopes, "one-more"], 0, read_at))


def test_changes_come_with_the_masked_fields_only(store: RecordStore) -> None:
    version = fill(store, ["a"], _hash="x", note="long")
    read_at = store.read([A]).read_at

    def masked(*names: str) -> dict[str, Any]:
        (change,) = store.changes("notes", ["team-1"], 0, read_at, fields=names)
        assert change.document.version == version
        return change.document.fields

    whole = one(store, A)
    assert whole is not None
    assert masked("_hash", "nope") == {"_hash": "x"}
    assert masked("scope_id", STAMP) == {"scope_id": "team-1", STAMP: whole.fields[STAMP]}
    assert masked() == {}


def test_a_listing_resumes_behind_any_position(store: RecordStore) -> None:
    for n in range(4):
        fill(store, [f"{id}{n}" for id in "abc"], scope=f"team-{n % 2}")
    read_at = store.read([A]).read_at
    scopes = ["team-0", "team-1"]
    whole = list(store.changes("notes", scopes, 0, read_at))
    assert len(whole) == 12
    for n, change in enumerate(whole):
        position = Position(*change.position)
        rest = store.changes("notes", scopes, 0, read_at, behind=position)
        assert list(rest) == whole[n + 1 :]


def test_a_listing_longer_than_a_page_is_whole_and_may_be_abandoned(store: RecordStore) -> None:
    ids = [f"{n:04}" for n in range(1250)]
    for start in range(0, len(ids), 250):
        fill(store, ids[start : start + 250], scope=f"team-{start % 500}")
    read_at = store.read([A]).read_at
    scopes = ["team-0", "team-250"]

    whole = list(store.changes("notes", scopes, 0, read_at, fields=["status"]))
    assert sorted(listed(whole)) == ids

    begun = store.changes("notes", scopes, 0, read_at)
    first = list(islice(begun, 700))
    del begun
    fill(store, ["later"], scope="team-0")  # an abandoned listing is in nobody's way
    rest = store.changes("notes", scopes, 0, read_at, behind=first[-1].position)
    assert listed(first) + listed(rest) == listed(whole)
    assert found(store.query(Query("notes", where=(("status", "==", "KEPT"),)))) == [
        *ids,
        "later",
    ]


def test_a_listing_of_large_documents_is_whole(store: RecordStore) -> None:
    ids = [f"{n:02}" for n in range(12)]
    for start in range(0, len(ids), 3):
        fill(store, ids[start : start + 3], photo="x" * 900_000)
    read_at = store.read([A]).read_at
    changes = store.changes("notes", ["team-1"], 0, read_at)
    assert [(c.document.key.id, len(c.document.fields["photo"])) for c in changes] == [
        (id, 900_000) for id in ids
    ]
    assert found(store.query(Query("notes", limit=11))) == ids[:11]


def test_writers_do_not_disturb_a_listing_that_is_under_way(store: RecordStore) -> None:
    # Given a listing that stopped in the middle
    for n in range(10):
        fill(store, [f"{n}-{m}" for m in range(10)])
    reading = store.read([A])
    listing = store.changes("notes", ["team-1"], 0, reading.read_at)
    first = list(islice(listing, 50))
    # When documents on both sides of its position are written again, and new ones come
    touched = {first[0].document.key.id, first[-1].document.key.id, "9-9"}
    store.commit([patch(Key("notes", id), {"note": "new"}, None) for id in touched])
    fill(store, ["new"])
    # Then it goes on, here or in another process: nothing twice, and nothing of later
    for rest in (
        list(listing),
        list(store.changes("notes", ["team-1"], 0, reading.read_at, behind=first[-1].position)),
    ):
        ids = Counter(listed(first) + listed(rest))
        assert set(ids.values()) == {1}
        assert set(ids) | touched == {f"{n}-{m}" for n in range(10) for m in range(10)}
        assert all(change.document.version <= reading.read_at for change in rest)
    # and what was written meanwhile is in the next one.
    read_at = store.read([A]).read_at
    following = listed(store.changes("notes", ["team-1"], reading.read_at, read_at))
    assert sorted(following) == sorted([*touched, "new"])


def test_a_polling_reader_misses_nothing_that_four_writers_commit(open_store: Opener) -> None:
    store = open_store()
    scopes = ["team-0", "team-1", "team-2"]
    writing = threading.Event()
    writing.set()

    def write(own: RecordStore, writer: int) -> dict[Key, set[int]]:
        """75 commits: two new documents each, and one that is written again and again."""
        versions: dict[Key, set[int]] = {}
        for n in range(75):
            news = [Key("notes", f"w{writer}-{n}-{m}") for m in range(2)]
            again = Key("notes", f"w{writer}-again")
            scope = scopes[n % 3]
            version = own.commit([put(key, record(scope, n=n), None) for key in (*news, again)])
            for key in (*news, again):
                versions.setdefault(key, set()).add(version)
        return versions

    def poll() -> list[tuple[Key, int]]:
        seen: list[tuple[Key, int]] = []
        cursor, last = 0, False
        while not last:
            last = not writing.is_set()
            read_at = store.read([A]).read_at
            for change in store.changes("notes", scopes, cursor, read_at, fields=["n"]):
                seen.append((change.document.key, change.document.version))
            cursor = read_at
        return seen

    def write_all() -> list[dict[Key, set[int]]]:
        try:
            other = open_store()
            return together(
                *[lambda s=s, w=w: write(s, w) for w, s in enumerate([store, other] * 2)]
            )
        finally:
            writing.clear()

    written, seen = together(write_all, poll)
    committed = {key: versions for each in written for key, versions in each.items()}
    # Nothing comes twice, nothing was made up, and every document came at its last version.
    assert len(seen) == len(set(seen))
    assert {key for key, _ in seen} == set(committed)
    assert all(version in committed[key] for key, version in seen)
    assert {(key, max(versions)) for key, versions in committed.items()} <= set(seen)


def test_a_listing_may_ask_for_what_is_written_meanwhile_too(store: RecordStore) -> None:
    names = "abcd"
    store.commit([put(Key("notes", name), {"scope_id": "s", "n": 1}, ABSENT) for name in names])
    read_at = store.read([A]).read_at
    store.commit([patch(Key("notes", "b"), {"n": 2}, None)])
    plain = {change.document.key.id for change in store.changes("notes", ["s"], 0, read_at)}
    every = store.changes("notes", ["s"], 0, read_at, even_if_newer=True)
    assert {change.document.key.id for change in every} == set(names)
    assert plain >= set("acd")


# -- query ---------------------------------------------------------------------------------------


@pytest.fixture
def notes(store: RecordStore) -> RecordStore:
    """Six notes: ids a to f. c has no due time, f's is a text; a and b have lists of teams."""
    rows: list[dict[str, Any]] = [
        {"status": "queued", "due": 10, "urgent": True, "risk": "red", "teams": ["t1", "t2", 3]},
        {"status": "queued", "due": 30, "urgent": False, "risk": "green", "teams": ["t2"]},
        {"status": "queued", "urgent": True, "risk": "red", "map": {"a": 1}, "teams": "t1"},
        {"status": "done", "due": 20.5, "urgent": True, "risk": "yellow"},
        {"status": "done", "due": -5, "urgent": False, "risk": "red"},
        {"status": "failed", "due": "never", "urgent": 1, "risk": "green"},
    ]
    store.commit(
        [
            put(Key("notes", id), record(**row), ABSENT)
            for id, row in zip("abcdef", rows, strict=True)
        ]
    )
    store.commit([put(Key("jobs", "a"), {"status": "queued", "due": 10}, ABSENT)])
    return store


QUERIES = [
    # where                                                    order                 ids
    ([], [], "abcdef"),
    ([("status", "==", "queued")], [], "abc"),
    ([("status", "==", "nope")], [], ""),
    ([("status", "==", "queued"), ("risk", "==", "red")], [], "ac"),
    ([("status", "in", ["done", "failed", "done"])], [], "def"),
    ([("due", "in", [10, "never", 20.5])], [], "adf"),
    ([("teams", "contains", "t1")], [], "a"),
    ([("teams", "contains", "t2"), ("status", "==", "queued")], [], "ab"),
    ([("teams", "contains", 3)], [], "a"),
    ([("teams", "contains", "3")], [], ""),
    ([("urgent", "==", True)], [], "acd"),
    ([("urgent", "==", 1)], [], "f"),
    ([("due", "==", 10.0)], [], "a"),
    ([("map", "==", '{"a":1}')], [], ""),
    ([], [("due", "asc")], "eadbf"),
    ([], [("due", "desc")], "fbdae"),
    ([], [("status", "asc"), ("due", "desc")], "defba"),
    ([("due", "<", 20.5)], [("due", "asc")], "ea"),
    ([("due", "<=", 20.5)], [("due", "desc")], "dae"),
    ([("due", ">", 10)], [("due", "asc")], "db"),
    ([("due", ">=", 10), ("due", "<", 30)], [("due", "asc")], "ad"),
    ([("due", ">=", "a")], [("due", "asc")], "f"),
    ([("status", "==", "queued"), ("due", "<=", 10)], [("due", "asc")], "a"),
    ([("status", "in", ["queued", "done"]), ("due", ">", 0)], [("due", "desc")], "bda"),
    ([("risk", "==", "red")], [("status", "desc")], "ace"),
    ([("due", "<", 100)], [("status", "asc"), ("due", "asc")], "edab"),
]


@pytest.mark.parametrize(("where", "order", "ids"), QUERIES)
def test_a_query_finds_what_it_asks_for_in_its_order(
    notes: RecordStore, where: list[Any], order: list[Any], ids: str
) -> None:
    query = Query("notes", where=tuple(where), order=tuple(order))
    assert "".join(found(notes.query(query))) == ids


@pytest.mark.parametrize(("where", "order", "ids"), QUERIES)
def test_a_query_goes_on_behind_any_document(
    notes: RecordStore, where: list[Any], order: list[Any], ids: str
) -> None:
    query = Query("notes", where=tuple(where), order=tuple(order))
    for n, last in enumerate(notes.query(query)):
        behind = (*(last.fields[field] for field, _ in order), last.key.id)
        rest = notes.query(Query("notes", tuple(where), tuple(order), start_after=behind))
        assert "".join(found(rest)) == ids[n + 1 :]


def test_a_query_keeps_to_its_limit(notes: RecordStore) -> None:
    for limit in range(1, 8):
        query = Query("notes", order=(("due", "asc"),), limit=limit)
        assert "".join(found(notes.query(query))) == "eadbf"[:limit]
    with pytest.raises(ValueError, match="limit"):
        next(notes.query(Query("notes", limit=0)))


@pytest.mark.parametrize(("where", "order", "ids"), QUERIES)
def test_a_count_is_the_length_of_its_listing(
    notes: RecordStore, where: list[Any], order: list[Any], ids: str
) -> None:
    for most in (1, 3, 100):
        assert notes.count(Query("notes", tuple(where), tuple(order), most)) == min(len(ids), most)


@pytest.mark.parametrize(
    "query",
    [
        Query("notes"),
        Query("notes", limit=0),
        Query("notes", limit=3, start_after=("a",)),
        Query("notes", (("due", ">", 1),), limit=3),
    ],
)
def test_a_count_without_a_bound_is_refused(notes: RecordStore, query: Query) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  each has words of its own
        notes.count(query)


def test_a_count_of_numbers_takes_nothing_else_for_one(store: RecordStore) -> None:
    values = [5, 5.0, "5", True, [5], {"n": 5}, None, 1, 7]
    store.commit(
        [put(Key("notes", f"n{n}"), record(due=value), ABSENT) for n, value in enumerate(values)]
    )
    for where in (
        [("due", "==", 5)],
        [("due", "==", 1)],
        [("due", ">=", 2), ("due", "<", 7)],
        [("due", ">=", 0), ("due", "<=", 9)],
        [("due", ">", 2)],
        [("due", "<", 9)],
    ):
        query = Query("notes", tuple(where), (("due", "asc"),), 20)
        assert store.count(query) == len(found(store.query(query))) > 0, where


def test_a_count_sees_every_commit(store: RecordStore) -> None:
    query = Query("notes", (("scope_id", "==", "team-1"),), limit=10)
    for number in range(4):
        assert store.count(query) == number
        fill(store, [f"n{number}"])


def test_several_scopes_are_listed_in_one_order(store: RecordStore) -> None:
    scopes = [f"team-{number}" for number in range(5)]
    store.commit(
        [
            put(Key("notes", f"n{number:02}"), record(scope_id=scope, due=number * 7 % 11), ABSENT)
            for number in range(30)
            for scope in [scopes[number % 5]]
        ]
    )
    asked = (("scope_id", "in", [*scopes[:4], "nobody's", scopes[0]]), ("due", ">=", 2))
    expected = [
        f"n{number:02}"
        for _, number in sorted((number * 7 % 11, number) for number in range(30))
        if number % 5 < 4 and number * 7 % 11 >= 2
    ]
    query = Query("notes", asked, (("due", "asc"),))
    listed = list(store.query(query))
    assert found(listed) == expected
    assert store.count(Query("notes", asked, (("due", "asc"),), 100)) == len(expected)
    assert store.count(Query("notes", asked, (("due", "asc"),), 7)) == 7
    for at, last in enumerate(listed):
        behind = (last.fields["due"], last.key.id)
        page = Query("notes", asked, (("due", "asc"),), 3, start_after=behind)
        assert found(store.query(page)) == expected[at + 1 : at + 4]
    # a place before the bound does not take the bound away, one at it neither
    for bound, place in ((2, 0), (2, 2), (5, 2)):
        for operator in (">", ">="):
            where = (asked[0], ("due", operator, bound))
            page = Query("notes", where, (("due", "asc"),), start_after=(place, "n"))
            least = bound + (operator == ">")
            dues = [document.fields["due"] for document in store.query(page)]
            assert dues, where
            assert min(dues) == max(least, place), (where, place)


def test_equal_values_are_ordered_by_id(notes: RecordStore) -> None:
    for direction, ids in (("asc", "defabc"), ("desc", "abcfde")):
        query = Query("notes", order=(("status", direction),))
        assert "".join(found(notes.query(query))) == ids
        pages: list[str] = []
        behind: tuple[Any, ...] | None = None
        while page := list(
            notes.query(Query("notes", order=(("status", direction),), limit=2, start_after=behind))
        ):
            pages += found(page)
            behind = (page[-1].fields["status"], page[-1].key.id)
        assert "".join(pages) == ids


def test_a_query_masks_what_comes_back(notes: RecordStore) -> None:
    def masked(*names: str) -> list[dict[str, Any]]:
        query = Query(
            "notes", (("status", "==", "queued"),), (("due", "asc"),), limit=2, fields=names
        )
        return [document.fields for document in notes.query(query)]

    assert masked("risk", "nope") == [{"risk": "red"}, {"risk": "green"}]
    assert masked("due") == [{"due": 10}, {"due": 30}]
    assert masked() == [{}, {}]
    assert [document.fields for document in notes.query(Query("jobs", fields=()))] == [{}]


def test_documents_of_a_query_have_their_versions(notes: RecordStore) -> None:
    for document in notes.query(Query("notes", fields=("risk",))):
        assert document.version == notes.read([document.key]).documents[document.key].version


def test_the_stamp_and_the_scope_can_be_queried(store: RecordStore) -> None:
    fill(store, ["a"])
    fill(store, ["b"], scope="team-2")
    fill(store, ["c"])
    stamps = {
        key: document.fields[STAMP] for key, document in store.read([A, B, C]).documents.items()
    }
    newer = Query("notes", where=((STAMP, ">", stamps[A]),), order=((STAMP, "desc"),))
    # two commits may have one time; then ids decide, upwards
    ordered = sorted("bc", key=lambda name: (-stamps[Key("notes", name)], name))
    assert found(store.query(newer)) == ordered
    older = Query(
        "notes", (("scope_id", "==", "team-1"), (STAMP, "<=", stamps[B])), ((STAMP, "asc"),)
    )
    assert found(store.query(older)) == [n for n in "ac" if stamps[Key("notes", n)] <= stamps[B]]
    exactly = Query("notes", ((STAMP, "in", [stamps[A], stamps[C]]),))
    assert found(store.query(exactly)) == ["a", "c"]
    behind = Query("notes", order=((STAMP, "asc"),), start_after=(stamps[A], "a"))
    assert found(store.query(behind)) == ["b", "c"]


def test_a_query_takes_names_and_values_literally(store: RecordStore) -> None:
    strange = "x' OR 1=1 --\"$.ü"
    store.commit(
        [put(A, {"_hash": strange}, ABSENT), put(B, {"_hash": "", "Status_2": "y"}, ABSENT)]
    )
    assert found(store.query(Query("notes", (("_hash", "==", strange),)))) == ["a"]
    assert found(store.query(Query("notes", (("_hash", "==", ""),)))) == ["b"]
    assert found(store.query(Query("notes", (("Status_2", "==", "y"),)))) == ["b"]


@pytest.mark.parametrize(
    "query",
    [
        Query("notes", where=(("a", "!=", 1),)),
        Query("notes", where=(("a", "in", list(range(31))),)),
        Query("notes", where=(("a", "in", []),)),
        Query("notes", where=(("a", "in", "text"),)),
        Query("notes", where=(("a", "==", None),)),
        Query("notes", where=(("a", "==", {"b": 1}),)),
        Query("notes", where=(("a') --", "==", 1),)),
        Query("notes", where=(("a.b", "==", 1),)),
        Query("notes", where=(("a", "<", 1),)),
        Query("notes", where=(("a", "<", 1),), order=(("b", "asc"),)),
        Query("notes", order=(("a", "up"),)),
        Query("notes'", order=(("a", "asc"),)),
        Query("notes", order=(("a", "asc"),), start_after=("id-alone",)),
    ],
    ids=repr,
)
def test_a_query_that_the_stores_would_answer_differently_is_refused(
    store: RecordStore, query: Query
) -> None:
    with pytest.raises(ValueError):  # noqa: PT011  each has its own words
        list(store.query(query))


def test_up_to_thirty_values_may_be_asked_for(store: RecordStore) -> None:
    fill(store, ["a"], n=29)
    assert found(store.query(Query("notes", (("n", "in", list(range(30))),)))) == ["a"]


# -- opening and closing -------------------------------------------------------------------------


def test_another_client_of_the_database_sees_every_commit(open_store: Opener) -> None:
    first, second = open_store(), open_store()
    version = fill(first, ["a"])
    assert one(second, A) == one(first, A)
    second.commit([patch(A, {"note": "new"}, version)])
    assert fields(first, A)["note"] == "new"


def test_what_was_committed_outlives_the_store(open_store: Opener) -> None:
    store = open_store()
    version = fill(store, ["a"])
    store.close()
    again = open_store()
    reading = again.read([A])
    assert reading.documents[A].version == version <= reading.read_at


def test_a_closed_store_is_unavailable(store: RecordStore) -> None:
    fill(store, ["a"])
    store.close()
    store.close()
    assert_unavailable(store)


@pytest.mark.parametrize("kind", ["sqlite", "firestore"])
def test_a_store_out_of_reach_is_unavailable(
    kind: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if kind == "sqlite":
        store: RecordStore = SqliteStore(tmp_path / "no such folder" / "records.db")
    else:
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            monkeypatch.setenv("FIRESTORE_EMULATOR_HOST", f"127.0.0.1:{closed.getsockname()[1]}")
        store = FirestoreStore("nowhere", timeout_seconds=0.2)
    assert_unavailable(store)
    store.close()


def assert_unavailable(store: RecordStore) -> None:
    for attempt in (
        lambda: store.read([A]),
        lambda: store.commit([put(A, {}, None)]),
        lambda: list(store.changes("notes", ["team-1"], 0, 1)),
        lambda: list(store.query(Query("notes"))),
        lambda: store.count(Query("notes", limit=1)),
    ):
        with pytest.raises(StoreUnavailable):
            attempt()


# -- what no other test would notice ---------------------------------------------------------------


def test_deleting_keeps_to_the_collection(store: RecordStore) -> None:
    notebook = Key("notebooks", "a")
    store.commit([put(A, {"a": "note"}, ABSENT), put(notebook, {"a": "notebook"}, ABSENT)])
    store.commit([delete(A)])
    assert set(store.read([A, notebook]).documents) == {notebook}


@pytest.mark.parametrize("forged", [1, 2**60])
def test_no_write_takes_its_stamp_or_version_from_the_caller(
    store: RecordStore, forged: int
) -> None:
    first = store.commit([put(B, {"b": 1}, ABSENT)])
    for write in (put(A, {"a": 1, STAMP: forged}, ABSENT), patch(A, {"a": 2, STAMP: forged}, None)):
        version = store.commit([write])
        document = one(store, A)
        assert document is not None
        assert document.version == version
        for time in (version, document.fields[STAMP]):
            assert abs(time - first) < 60_000_000


def test_forgetting_what_was_deleted_changes_nothing_that_is_there(store: RecordStore) -> None:
    version = store.commit([put(A, {"a": 1}, ABSENT), put(B, {"b": 1}, ABSENT)])
    store.commit([delete(B)])
    store.forget_deleted()
    document = one(store, A)
    assert document is not None
    assert (document.version, one(store, B)) == (version, None)
    store.commit([patch(A, {"a": 2}, version)])
    assert fields(store, A) == {"a": 2}


# -- what is near --------------------------------------------------------------------------------

PLACES: dict[str, list[float]] = {
    "a": [1.0, 0.0],
    "b": [0.8, 0.6],
    "c": [30.0, 1],
    "d": [0.0, 1.0],
    "e": [-1.0, 0.0],
    "f": [0.0, 0.0],
}


@pytest.fixture
def places(store: RecordStore) -> RecordStore:
    """Notes with places; g has none, h is of another team, i was replaced, j lost it."""
    rows: dict[str, dict[str, Any]] = {
        name: {"team": "t1", "_near_it": place} for name, place in PLACES.items()
    }
    rows |= {"g": {"team": "t1"}, "h": {"team": "t2", "_near_it": [1.0, 0.0]}}
    rows |= {name: {"team": "t1", "_near_it": [1.0, 0.0]} for name in "ij"}
    store.commit([put(Key("notes", name), record(**row), ABSENT) for name, row in rows.items()])
    store.commit([patch(Key("notes", "i"), {"_near_it": [0.0, -1.0]}, None)])
    store.commit([patch(Key("notes", "j"), {"_near_it": None}, None)])
    return store


@pytest.mark.parametrize(
    ("place", "least", "limit", "ids"),
    [
        ([1.0, 0.0], 0.5, 10, "acb"),
        ([7, 0], 0.9, 10, "ac"),
        ([1.0, 0.0], 0.5, 2, "ac"),
        ([0.0, 1.0], 0.5, 1000, "db"),
        ([-0.6, -0.8], 0.99, 10, ""),
        ([0.0, -2.0], 0.999, 10, "i"),
    ],
)
def test_what_is_near_comes_first(
    places: RecordStore, place: list[float], least: float, limit: int, ids: str
) -> None:
    near = Near("_near_it", place, least)
    query = Query("notes", (("team", "==", "t1"),), limit=limit, near=near)
    assert "".join(found(places.query(query))) == ids
    masked = places.query(dataclasses.replace(query, fields=("team",)))
    assert [(each.key.id, each.fields) for each in masked] == [(id, {"team": "t1"}) for id in ids]


def test_a_place_is_read_as_it_was_written(places: RecordStore) -> None:
    keys = [Key("notes", name) for name in PLACES]
    read = places.read(keys).documents
    assert {key.id: document.fields["_near_it"] for key, document in read.items()} == PLACES


@pytest.mark.parametrize("place", [[], [0.0] * 2049, "near", [math.nan], [math.inf], ["1"], {}])
def test_what_is_no_place_is_refused(store: RecordStore, place: Any) -> None:
    with pytest.raises(ValueError, match="a place has"):
        store.commit([put(Key("notes", "a"), record(_near_it=place), ABSENT)])


@pytest.mark.parametrize(
    "query",
    [
        Query("notes", near=Near("_near_it", [1.0], 0.5)),
        Query("notes", near=Near("_near_it", [1.0], 0.5), limit=1001),
        Query("notes", near=Near("_near_it", [0.0], 0.5), limit=3),
        Query("notes", near=Near("it", [1.0], 0.5), limit=3),
        Query("notes", (), (("at", "asc"),), near=Near("_near_it", [1.0], 0.5), limit=3),
        Query("notes", (("t", "contains", 1),), near=Near("_near_it", [1.0], 0.5), limit=3),
    ],
)
def test_what_cannot_be_asked_of_places_is_refused(store: RecordStore, query: Query) -> None:
    for ask in (lambda: list(store.query(query)), lambda: store.count(query)):
        with pytest.raises(ValueError):  # noqa: PT011  each has words of its own
            ask()
