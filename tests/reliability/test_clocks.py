"""Phones' clocks lie, uploads are slow and queues are long: nothing is shifted that was right."""

from __future__ import annotations

import json
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from infra.local.phone import Json, Phone
from tests import stores
from tests.reliability.campaigns import differences, server_rows
from tests.sync.clinic import Clinic

SECOND, MINUTE, HOUR, DAY = 1_000, 60_000, 3_600_000, 86_400_000

#: A phone's clock may be ahead this much before its times are shifted (`Pusher`).
TOLERANCE = 2 * MINUTE


class Ward(Clinic):
    """A clinic whose time is a number."""

    now = 1_790_000_000_000

    def at(self, later_ms: int) -> None:
        self.now += later_ms

    def clock(self) -> int:
        return self.now

    def device(self, name: str, offset_ms: Callable[[], int] = lambda: 0) -> Phone:
        return self.phone(name, clock=lambda: self.now + offset_ms())

    def value(self, name: str = "p1") -> Json:
        value: Json = json.loads(self.fields("notebooks", name)["cover"])
        return value

    def modified(self, name: str = "p1") -> int:
        return int(self.fields("notebooks", name)["last_modified_at"])


def opened(kind: str, request: pytest.FixtureRequest, folder: Path) -> Ward:
    ward = Ward(stores.fresh(kind, request, folder))
    ward.now_ms = ward.clock
    for user in ("one", "two"):
        ward.join(user)
    return ward


@pytest.fixture(params=stores.BOTH)
def ward(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ward]:
    place = opened(request.param, request, tmp_path)
    yield place
    place.store.close()


def edit(phone: Phone, word: str, ago_ms: int = 0) -> None:
    """An edit made some time ago by the phone's own clock."""
    phone.save("notebooks", "p1", at=phone.now() - ago_ms / 1000, cover={"by": word})


# Sent at once by a clock that is off by so much; the edit is a minute old. Which time is stored, as
# an age? Ahead beyond the tolerance: shifted back. Ahead within it: as it is, but never from the
# future. Behind: as it is, since a slow upload looks the same.
@pytest.mark.parametrize(
    ("offset_ms", "stored_ago_ms"),
    [
        (0, MINUTE),
        (30 * SECOND, 30 * SECOND),
        (TOLERANCE, 0),
        (TOLERANCE + 1, MINUTE),
        (HOUR, MINUTE),
        (400 * DAY, MINUTE),
        (-MINUTE, 2 * MINUTE),
        (-HOUR, HOUR + MINUTE),
        (-400 * DAY, 400 * DAY + MINUTE),
    ],
)
def test_the_time_of_an_edit_by_a_clock_that_is_off(
    ward: Ward, offset_ms: int, stored_ago_ms: int
) -> None:
    phone = ward.device("one", lambda: offset_ms)
    edit(phone, "one", ago_ms=MINUTE)
    assert phone.sync()["clock_offset_ms"] == offset_ms
    assert ward.modified() == ward.now - stored_ago_ms
    row = phone.row("notebooks", "p1")
    assert row is not None
    assert round(row["last_modified_at"] * 1000) == ward.modified()


@pytest.mark.parametrize("late_ms", [MINUTE, 10 * MINUTE, 2 * DAY])
def test_a_slow_upload_shifts_no_edit_forward(ward: Ward, late_ms: int) -> None:
    # given a request that said its time when it began to travel
    slow = ward.device("one", lambda: -late_ms)
    slow.save("notebooks", "p1", at=slow.now(), cover={"by": "slow"})
    made_at = ward.now - late_ms
    # and an edit made meanwhile, which arrived first
    fast = ward.device("two")
    edit(fast, "fast", ago_ms=late_ms // 2)
    fast.sync()
    # when the slow one arrives
    answer = slow.sync()
    # then it is as old as it is
    assert [item["reason"] for item in answer["conflicts"]] == ["older"]
    assert ward.value() == {"by": "fast"}
    (kept,) = ward.all("conflicts")
    assert json.loads(json.loads(kept.fields["yours"])["cover"]) == {"by": "slow"}
    assert made_at < ward.modified()
    row = slow.row("notebooks", "p1")
    assert row is not None
    assert row["cover"] == {"by": "fast"}


@pytest.mark.parametrize("offset_ms", [0, 3 * HOUR])
def test_a_queued_request_sent_two_days_late_keeps_its_age(ward: Ward, offset_ms: int) -> None:
    queued = ward.device("one", lambda: offset_ms)
    edit(queued, "queued")
    made_at = ward.now
    ward.at(2 * DAY)
    answer = queued.sync()  # X-Client-Time is of now, the edit is two days old
    assert answer["clock_offset_ms"] == offset_ms
    assert ward.modified() == made_at


@pytest.mark.parametrize(("other_ago_ms", "winner"), [(DAY, "other"), (3 * DAY, "queued")])
def test_a_queued_edit_wins_over_what_is_older_and_loses_to_what_is_newer(
    ward: Ward, other_ago_ms: int, winner: str
) -> None:
    queued, other = ward.device("one", lambda: HOUR), ward.device("two")
    edit(queued, "queued")
    ward.at(2 * DAY)
    edit(other, "other", ago_ms=other_ago_ms)
    other.sync()
    queued.sync()
    assert ward.value() == {"by": winner}
    assert len(ward.all("conflicts")) == 1  # either way a value was not seen by its overwriter


def test_the_later_edit_of_a_device_wins_though_its_clock_is_corrected_between(
    ward: Ward,
) -> None:
    offset = [2 * HOUR]
    phone = ward.device("one", lambda: offset[0])
    raw_s = phone.now() - 60
    phone.save("notebooks", "p1", at=raw_s, cover={"by": "first"})
    phone.sync()
    # The clock is put right after the second edit: its raw time is not shifted any more, and would
    # be from the future; the device's own order still holds.
    phone.save("notebooks", "p1", at=raw_s + 1, cover={"by": "second"})
    offset[0] = 0
    phone.sync()
    assert ward.value() == {"by": "second"}
    assert ward.modified() == ward.now


def test_an_edit_of_what_the_device_has_seen_counts_though_its_clock_fell_back(
    ward: Ward,
) -> None:
    offset = [0]
    phone = ward.device("one", lambda: offset[0])
    edit(phone, "before", ago_ms=SECOND)
    phone.sync()
    stored = ward.modified()
    offset[0] = -HOUR
    edit(phone, "after")
    assert phone.sync()["conflicts"] == []
    assert ward.value() == {"by": "after"}
    assert ward.modified() == stored + 1  # never earlier than what it replaces
    assert ward.all("conflicts") == []


@pytest.mark.parametrize("says_its_time", [True, False])
def test_nothing_from_the_future_sticks(ward: Ward, says_its_time: bool) -> None:
    liar = ward.device("one", lambda: 900 * DAY) if says_its_time else ward.phone("one")
    liar.save("notebooks", "p1", at=(ward.now + 1000 * DAY) / 1000, cover={"by": "liar"})
    liar.sync()
    assert ward.modified() == ward.now
    ward.at(SECOND)
    honest = ward.device("two")
    edit(honest, "honest")
    honest.sync()
    assert ward.value() == {"by": "honest"}


def test_a_server_whose_clock_falls_back_still_lets_the_later_edit_of_a_device_win(
    ward: Ward,
) -> None:
    phone = ward.device("one")
    edit(phone, "before")
    phone.sync()
    stored = ward.modified()
    ahead = ward.now
    ward.at(-HOUR)
    # the phone's clock did not fall back with the server's: it is an hour ahead of it now
    phone.clock = lambda: ahead + MINUTE
    edit(phone, "after")
    phone.sync()
    assert ward.value() == {"by": "after"}
    assert ward.modified() == stored + 1  # later than the version that it replaces


# --- any clock


#: What one device does: time passes, its clock is set to some offset, it edits, it syncs.
steps = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.integers(0, 3 * DAY)),
        st.tuples(st.just("set"), st.sampled_from((0, TOLERANCE)) | st.integers(-3 * DAY, 3 * DAY)),
        st.tuples(st.just("edit"), st.sampled_from((0, 1, SECOND))),
        st.tuples(st.just("sync"), st.none()),
        st.tuples(st.just("other"), st.sampled_from((0, SECOND, HOUR))),
    ),
    max_size=14,
)


def any_clock(ward: Ward, taken: list[tuple[str, int]]) -> None:
    """One device takes these steps, another with a right clock edits now and then.

    As long as only the first writes, its last edit is the stored one, whatever its clock said: it
    had seen the one before. Whoever
    writes: every answered value is current, kept, or overwritten by its own device or one that had
    seen it; times neither fall nor come from the future.
    """
    offset = [0]
    phone, other = ward.device("one", lambda: offset[0]), ward.device("two")
    writers: dict[int, Phone] = {}  # of each value
    seen: dict[str, int] = {}  # the value that a device held after its last sync
    expected: dict[int, float] = {}  # value: time by the clock of the only device
    fair: set[int] = set()  # overwritten by their own device or by one that held them
    modified = 0

    def write(device: Phone, ago_ms: int) -> None:
        value = len(writers) + 1
        writers[value] = device
        at = device.now() - ago_ms / 1000
        device.save("notebooks", "p1", at=at, cover={"n": value})

    def sync(device: Phone) -> None:
        nonlocal modified
        sent = device.dirty.get(("notebooks", "p1"))
        before = None if ward.get("notebooks", "p1") is None else ward.value()["n"]
        device.sync()
        if sent is not None:
            expected[sent["cover"]["n"]] = round(sent["last_modified_at"] * 1000)
        if ward.get("notebooks", "p1") is None:
            return
        after = ward.value()["n"]
        held = (before is not None and device is writers.get(before)) or seen.get(
            device.user
        ) == before
        if before is not None and before != after and held:
            fair.add(before)
        seen[device.user] = after
        # an edit of what was seen counts as a millisecond later than that, within one moment too
        assert modified <= ward.modified() <= ward.now + len(writers)
        modified = ward.modified()

    for what, amount in taken:
        if what == "wait":
            ward.at(amount)
        elif what == "set":
            offset[0] = amount
        elif what == "edit":
            write(phone, amount)
        elif what == "other":
            write(other, amount)
            sync(other)
        else:
            sync(phone)
    for device in (phone, other, phone, other):
        sync(device)
    for device in (phone, other):
        wanted = server_rows(ward.store, ["team1"], times=False)
        assert differences(device, wanted, times=False) == []
    if not expected:
        return
    current = ward.value()["n"]
    if all(writers[value] is phone for value in expected):
        assert current == max(expected)
    kept = {
        json.loads(json.loads(entry.fields[side])["cover"])["n"]
        for entry in ward.all("conflicts")
        for side in ("yours", "theirs")
    }
    assert set(expected) <= kept | fair | {current}


@contextmanager
def opened_in(kind: str, request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Ward]:
    """A ward of its own for an example."""
    place = opened(kind, request, Path(tempfile.mkdtemp(dir=tmp_path)))
    try:
        yield place
    finally:
        place.store.close()


@pytest.mark.parametrize(
    ("kind", "examples"),
    [
        ("sqlite", 30),
        ("firestore", 3),
        pytest.param("sqlite", 150, marks=pytest.mark.proof),
        pytest.param("firestore", 15, marks=pytest.mark.proof),
    ],
)
def test_whatever_the_clocks_say(
    request: pytest.FixtureRequest, tmp_path: Path, kind: str, examples: int
) -> None:
    if kind == "firestore":
        request.getfixturevalue("firestore_emulator")

    @settings(
        max_examples=examples,
        deadline=None,
        database=None,
        print_blob=True,
        suppress_health_check=list(HealthCheck),
    )
    @given(taken=steps)
    def holds(taken: list[tuple[str, int]]) -> None:
        with opened_in(kind, request, tmp_path) as place:
            any_clock(place, taken)

    holds()
