"""Writers and readers at once: nothing is missed, nothing is lost, everybody ends with the same.

The slices of `campaigns` that every test run takes, with a fixed seed and one that differs each
time (it is in the test's name), and properties over any content and any order of two devices.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.local.phone import Json, Phone
from shared.adapters.sqlite import SqliteStore
from shared.errors import StoreUnavailable
from shared.records.record import MAX_INTEGER
from shared.records.store import RecordStore
from tests import stores
from tests.conftest import SEED
from tests.reliability import campaigns
from tests.reliability.campaigns import JumpingClock, Reader, Report, differences, server_rows
from tests.sync.clinic import Clinic

HOUR = 3_600_000

SEEDS = (1, SEED)

#: Versions that a campaign commits here; some commit a quarter.
SLICE = {"sqlite": 400, "firestore": 400}


@pytest.fixture(params=stores.BOTH)
def kind(request: pytest.FixtureRequest) -> str:
    """Which store; the emulator is there if it is needed."""
    if request.param == "firestore":
        request.getfixturevalue("firestore_emulator")
    return str(request.param)


@pytest.fixture
def store(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[RecordStore]:
    place = stores.fresh(kind, request, tmp_path)
    yield place
    place.close()


# --- nothing missed


@pytest.mark.parametrize("seed", SEEDS)
def test_a_cursor_never_passes_a_version_that_did_not_come(
    kind: str, store: RecordStore, seed: int
) -> None:
    campaigns.nothing_missed(store, seed, SLICE[kind])


@pytest.mark.parametrize("seed", SEEDS)
def test_nothing_is_missed_while_the_wall_clock_jumps(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, seed: int
) -> None:
    clock = JumpingClock(seed)
    store: RecordStore
    if kind == "sqlite":
        store = SqliteStore(tmp_path / "records.db", clock=clock)
    else:  # Firestore's own time is Google's; the engine's still jumps
        store = stores.fresh(kind, request, tmp_path)
    campaigns.nothing_missed(store, seed, SLICE[kind] // 4, now_ms=clock.ms)
    store.close()


def test_a_reader_in_more_than_thirty_teams_misses_nothing(kind: str, store: RecordStore) -> None:
    campaigns.nothing_missed(store, SEEDS[1], SLICE[kind] // 4, teams=33)


def test_a_new_epoch_in_the_middle_leaves_every_reader_with_everything(
    kind: str, store: RecordStore
) -> None:
    campaigns.nothing_missed(store, SEEDS[1], SLICE[kind] // 4, new_epoch=True)


@pytest.mark.parametrize("seed", SEEDS)
def test_records_that_move_while_they_are_edited_end_up_where_they_belong(
    store: RecordStore, seed: int
) -> None:
    campaigns.moved_about(store, seed, 20)


def test_empty_answers_lose_nothing_that_comes_after_them(store: RecordStore) -> None:
    clinic = Clinic(store)
    report = Report("empty answers", 0)
    reader = Reader(clinic.answer, "reader", "reader")
    # given answers of a store with nothing in it, and of a team with nothing in it
    reader.pull(store, report)
    clinic.join("reader")
    clinic.join("member1")
    writer = clinic.phone("member1")
    for number in range(4):
        for _ in range(3):
            reader.pull(store, report)
        # when something comes after them
        writer.save("notebooks", f"p{number}", cover={"tag": str(number)})
        writer.sync()
        # then it arrives
        reader.pull(store, report)
        assert differences(reader, server_rows(store, ["team1"])) == []
    assert report.faults == []


@pytest.mark.parametrize("back_ms", [0, 120_000, HOUR, 24 * HOUR])
def test_a_team_joined_or_left_after_the_clock_fell_back_is_not_missed(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, back_ms: int
) -> None:
    # given phones that know the time before the clock fell back
    off = [0]
    store: RecordStore
    if kind == "sqlite":
        store = SqliteStore(
            tmp_path / "records.db", clock=lambda: (campaigns.wall_ms() - off[0]) * 1000
        )
    else:
        store = stores.fresh(kind, request, tmp_path)
    clinic = Clinic(store)
    clinic.now_ms = lambda: campaigns.wall_ms() - off[0]
    clinic.join("member1", "team1")
    for name in ("joiner", "leaver"):
        clinic.join(name, "team2")
    clinic.join("leaver", "team1")
    writer, joiner, leaver = (clinic.phone(name) for name in ("member1", "joiner", "leaver"))
    writer.save("notebooks", "p1", cover={"tag": "old"})
    writer.sync()
    joiner.sync()
    leaver.sync()
    assert leaver.row("notebooks", "p1") is not None
    # when one joins a team afterwards and the other leaves it
    off[0] = back_ms
    clinic.join("joiner", "team1")
    clinic.leave("leaver", "team1")
    joiner.sync()
    leaver.sync()
    # then they hold what they may, and nothing else
    assert joiner.row("notebooks", "p1") is not None
    assert leaver.row("notebooks", "p1") is None
    store.close()


# --- writers at once


@pytest.mark.parametrize("seed", SEEDS)
def test_of_values_written_at_once_the_latest_wins_and_none_vanishes(
    kind: str, store: RecordStore, seed: int
) -> None:
    report = campaigns.writers_at_once(store, seed, {"sqlite": 20, "firestore": 8}[kind])
    assert report.conflicts, "nobody was in anybody's way: the campaign tested nothing"


# --- properties: any content


@contextmanager
def clinic_of(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, *users: str
) -> Iterator[Clinic]:
    """A clinic of its own for an example."""
    place = Clinic(stores.fresh(kind, request, Path(tempfile.mkdtemp(dir=tmp_path))))
    for user in users:
        place.join(user)
    try:
        yield place
    finally:
        place.store.close()


#: One example in so many is tried by each `make test`, all by `make proof`.
SHARE = 5


def examples(sqlite: int, firestore: int) -> Any:
    """The number of examples by store, as a parameter."""
    most = {"sqlite": sqlite, "firestore": firestore}
    few = {kind: max(2, number // SHARE) for kind, number in most.items()}
    long = pytest.param(most, marks=pytest.mark.proof)
    return pytest.mark.parametrize("number", [few, long], ids=["few", "many"])


def unhurried(number: int) -> settings:
    return settings(
        max_examples=number,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )


#: Whatever JSON can say, within what every platform reads the same: numbers of whole value beyond
#: 2^53 − 1 are refused when they come as integers, so a phone that has floats is not tried with them.
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
_floats = st.floats(allow_nan=False, allow_infinity=False).filter(
    lambda number: not number.is_integer() or abs(number) <= MAX_INTEGER
)
_leaves = st.none() | st.booleans() | st.integers(-MAX_INTEGER, MAX_INTEGER) | _floats | _texts
_inner = st.recursive(
    _leaves,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(_texts, inner, max_size=4),
    max_leaves=12,
)
columns = st.lists(_inner, max_size=4) | st.dictionaries(_texts, _inner, max_size=5)


@examples(sqlite=100, firestore=10)
def test_what_is_stored_is_what_is_read_back(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, number: dict[str, int]
) -> None:
    @unhurried(number[kind])
    @given(cover=columns, triage=columns)
    def holds(cover: Any, triage: Any) -> None:
        with clinic_of(kind, request, tmp_path, "one", "two") as clinic:
            one, two = clinic.phone("one"), clinic.phone("two")
            one.save("notebooks", "p1", cover=cover)
            one.save("notes", "c1", notebook_id="p1", body=triage)
            answer = one.sync()
            assert answer["accepted"] == {"notebooks": ["p1"], "notes": ["c1"]}
            two.sync()
            for phone in (one, two):
                assert phone.rows["notebooks", "p1"]["cover"] == cover
                assert phone.rows["notes", "c1"]["body"] == triage
            # what was read can be sent again, and changes nothing
            stored = clinic.get("notes", "c1")
            for table, name in (("notebooks", "p1"), ("notes", "c1")):
                two.save(table, name)
            answer = two.sync()
            assert answer["accepted"] == {"notebooks": ["p1"], "notes": ["c1"]}
            assert answer["conflicts"] == answer["rejected"] == []
            assert clinic.get("notes", "c1") == stored

    holds()


# --- properties: any order


#: What happens: a device (0, 1) saves, deletes or syncs; an answer to it may get lost. Few records,
#: values and times, so that equal contents and equal times are common.
steps = st.lists(
    st.tuples(
        st.integers(0, 1),
        st.one_of(
            st.tuples(
                st.just("save"),
                st.sampled_from(("p1", "p2", "c1", "c2")),
                st.integers(0, 2),
                st.integers(1, 9),
            ),
            st.tuples(
                st.just("delete"),
                st.sampled_from(("p1", "p2", "c1", "c2")),
                st.none(),
                st.integers(1, 9),
            ),
            st.tuples(st.just("sync"), st.none(), st.none(), st.none()),
            st.tuples(st.just("lose"), st.none(), st.none(), st.none()),
        ),
    ),
    max_size=16,
)


def act(phone: Phone, what: str, name: str | None, value: int | None, at: int | None) -> None:
    """Take one step of `steps`. Cases belong to p0, which nobody deletes.

    An id that was deleted offline is not used again before the deletion was sent: such a row would
    lack the server's columns, and if it is otherwise as it was, no sync completes it.
    """
    table = "notebooks" if str(name)[0] == "p" else "notes"
    if what == "save" and phone.dirty.get((table, str(name)), {}).get("sync_status") == "deleted":
        return
    if what == "sync":
        phone.sync()
    elif what == "lose":  # the server works, its answer never arrives
        phone.send(phone.request(), phone)
    elif what == "delete":
        phone.delete(table, str(name), at=at)
    elif table == "notebooks":
        phone.save(table, str(name), at=at, cover={"value": value})
    else:
        content = {
            "body": {"value": value},
            "mark": (None, "green", "high")[value or 0],
        }
        phone.save(table, str(name), at=at, notebook_id="p0", **content)


@examples(sqlite=150, firestore=12)
@pytest.mark.parametrize("users", [("one", "two"), ("one", "one")])
def test_any_interleaving_of_two_devices_converges(
    kind: str,
    request: pytest.FixtureRequest,
    tmp_path: Path,
    users: tuple[str, str],
    number: dict[str, int],
) -> None:
    @unhurried(number[kind])
    @given(taken=steps)
    def holds(taken: list[Any]) -> None:
        with clinic_of(kind, request, tmp_path, *users, "reader") as clinic:
            phones = [clinic.phone(user, f"device{n}") for n, user in enumerate(users)]
            reader = clinic.phone("reader")
            phones[0].save("notebooks", "p0", at=1, cover={})
            phones[0].sync()
            phones[1].sync()
            for which, step in taken:
                act(phones[which], *step)
            for phone in (*phones, *phones, reader):
                phone.sync()
            wanted = server_rows(clinic.store, ["team1"], times=False)
            for phone in (*phones, reader):
                assert phone.dirty == {}
                assert differences(phone, wanted, times=False) == []

    holds()


@examples(sqlite=100, firestore=10)
def test_pushing_twice_is_pushing_once(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, number: dict[str, int]
) -> None:
    """The same request again, at once or after the device's other work: it changes nothing."""

    def everything(clinic: Clinic) -> dict[Any, Any]:
        names = ("notebooks", "notes", "summary_queue", "jobs", "conflicts", "quarantine")
        return {
            document.key: (document.version, document.fields)
            for name in names
            for document in clinic.all(name)
        }

    @unhurried(number[kind])
    @given(taken=steps)
    def holds(taken: list[Any]) -> None:
        with clinic_of(kind, request, tmp_path, "one", "two") as clinic:
            phones = [clinic.phone(user) for user in ("one", "two")]
            phones[0].save("notebooks", "p0", at=1, cover={})
            phones[0].sync()
            for which, (what, *rest) in taken:
                phone = phones[which]
                if what not in ("sync", "lose"):
                    act(phone, what, *rest)
                    continue
                body = phone.request()
                first = phone.send(body, phone)
                before = everything(clinic)
                again = phone.send(body, phone)
                assert everything(clinic) == before
                for part in ("accepted", "conflicts", "rejected"):
                    assert _sorted(again[part]) == _sorted(first[part])
                phone.apply(again)

    holds()


def _sorted(part: Any) -> Any:
    if isinstance(part, dict):
        return {table: sorted(names) for table, names in part.items() if names}
    return sorted(orjson.dumps(item, option=orjson.OPT_SORT_KEYS) for item in part)


@examples(sqlite=50, firestore=8)
def test_a_push_cut_off_anywhere_and_sent_again_is_a_push(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path, number: dict[str, int]
) -> None:
    """Two clinics take the same steps; in one, every commit's answer is lost once."""

    def outcome(cut: bool, taken: list[Any]) -> tuple[dict[Any, Any], list[Json]]:
        with clinic_of(kind, request, tmp_path, "one", "two") as clinic:
            now = campaigns.wall_ms()
            clinic.now_ms = lambda: now
            lost: set[bytes] = set()

            def lose(writes: Any) -> None:
                seen = orjson.dumps(sorted(str(write.key) for write in writes))
                if cut and seen not in lost:
                    lost.add(seen)
                    raise StoreUnavailable("the answer was lost")

            server = clinic.on(stores.Interrupted(clinic.store, after=lose))
            phones = [server.phone(user) for user in ("one", "two")]
            phones[0].save("notebooks", "p0", at=1, cover={})
            phones[0].sync()
            for which, step in taken:
                act(phones[which], *step)
            for phone in (*phones, *phones):
                phone.sync()
            rows = server_rows(clinic.store, ["team1"], times=False)
            for phone in phones:
                assert differences(phone, rows, times=False) == []
            return rows, [entry.fields for entry in clinic.all("conflicts")]

    @unhurried(number[kind])
    @given(taken=steps)
    def holds(taken: list[Any]) -> None:
        plain, plain_log = outcome(False, taken)
        cut, cut_log = outcome(True, taken)
        assert plain == cut

        def told(log: list[Json]) -> set[tuple[str, ...]]:
            return {(each["record_id"], each["yours"], each["theirs"]) for each in log}

        assert told(plain_log) == told(cut_log)

    holds()
