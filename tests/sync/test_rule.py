"""The conflict rule by itself, on values: each line of its list of cases, and where each of them ends.

Times are minutes of one day, by the right clock unless a row says more. The stored note was written by the
phone "two" of member2 at minute 40 and committed in minute 50; member1's phone "one" pushes at minute 90.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from shared.records import record
from shared.records.collection import MAX_STRINGS, Coerced
from shared.records.store import STAMP, Document, Key
from shared.sync.conflict import (
    History,
    Merged,
    Stamp,
    Writer,
    deletion_wins,
    digest_of,
    fold,
    is_higher,
    merge,
    must_pull,
    unseen_columns,
)
from shared.sync.exchange import Entry, Refusal
from tests.neutral.tables import CATALOG

NOTES = CATALOG.by_name["notes"]

#: Of the text "1", the list of "a", and nothing. A release that hashed otherwise would know no old value.
DIGESTS = ["e4600a72dcc9", "5153fd05f520", "df75a12623cb"]
MINUTE = 60_000
TOLERANCE = 2 * MINUTE
WRITTEN, COMMITTED, NOW = 40, 50, 90


def stamp(
    at: float = WRITTEN,
    raw: float | None = None,
    *,
    committed: float = COMMITTED,
    offset_ms: int = 0,
    device: str = "two",
    author: str = "member2",
) -> Stamp:
    """A change that was made at a minute, by the phone's clock at `raw`."""
    raw_ms = round((at if raw is None else raw) * MINUTE)
    return Stamp(
        round(committed * MINUTE) * 1000, round(at * MINUTE), raw_ms, offset_ms, device, author
    )


def own(at: float = WRITTEN, raw: float | None = None, **more: Any) -> Stamp:
    """A change of the phone that pushes."""
    return stamp(at, raw, device="one", author="member1", **more)


def stored(last: Stamp | None = None, columns: Any = None, **values: Any) -> Document:
    """The note as it is, its last change, and what is known of its columns."""
    last = last or stamp()
    fields = {
        **values,
        record.MODIFIED: last.modified_ms,
        record.RAW_MODIFIED: last.raw_ms,
        record.OFFSET: last.offset_ms,
        record.DEVICE: last.device,
        record.AUTHOR: last.author,
        record.COLUMNS: json.dumps(columns) if columns else None,
    }
    return Document(Key("notes", "c1"), fields, last.version)


def edit(at: float, named: tuple[str, ...] | None = None, **values: Any) -> Entry:
    """An edit at a minute of the phone's clock; `fresh` and `version_ms` as of an entry."""
    more = {name: values.pop(name) for name in ("fresh", "version_ms") if name in values}
    return Entry(
        NOTES,
        "c1",
        {"id": "c1", **values},
        coerced=Coerced(values, values, False, ()),
        raw_ms=round(at * MINUTE),
        named=None if named is None else frozenset(named),
        **more,
    )


def deletion(at: float | None, **more: Any) -> Entry:
    raw_ms = None if at is None else round(at * MINUTE)
    return Entry(NOTES, "c1", {"id": "c1", "deleted": True}, coerced=None, raw_ms=raw_ms, **more)


def writer(
    cursor: float = 0,
    *,
    offset_ms: int = 0,
    shift_ms: int = 0,
    first: bool = False,
    device: str = "one",
) -> Writer:
    """Member1's phone, which has seen what was committed up to the minute of its cursor."""
    return Writer(
        device,
        "member1",
        round(cursor * MINUTE),
        NOW * MINUTE,
        shift_ms,
        offset_ms,
        TOLERANCE,
        pulled_first=first,
    )


def merging(have: Document, sent: Entry, by: Writer | None = None) -> Merged:
    return merge(NOTES, have, sent, by or writer())


def was(value: Any, committed: float, raw: float) -> list[Any]:
    """A value that a column held before: when it was committed, and changed by its phone's clock."""
    return [digest_of(value), round(committed * MINUTE) * 1000, round(raw * MINUTE)]


# --- several edits in one push


def test_a_deletion_keeps_what_it_takes_back_of_the_same_push() -> None:
    first, second = edit(50, mark="red", body="1"), edit(60, body="2")
    [left], refused = fold([first, second, deletion(70)])
    assert (left.deleting, refused) == (True, [])
    assert left.earlier == ({"body": "1"}, {"mark": "red", "body": "2"})


@pytest.mark.parametrize("at", [60, None])
def test_a_deletion_that_is_later_is_last_wherever_it_stands_in_the_push(at: float | None) -> None:
    [left], refused = fold([deletion(at), edit(50, mark="red")])
    assert (left.deleting, refused) == (True, [])
    assert left.earlier == ({"mark": "red"},)
    assert left.overtaken == {}


def test_an_edit_behind_a_deletion_is_refused_with_what_it_brought() -> None:
    late = edit(60, mark="red")
    [left], refused = fold([deletion(50), late])
    assert left.deleting
    message = "This record was deleted. Your values are kept."
    assert refused == [Refusal("notes", "c1", None, "deleted", message, late.raw)]


def test_what_the_clock_puts_behind_is_overtaken() -> None:
    [left], _ = fold([edit(60, body="2"), edit(50, body="1", mark="red")])
    assert left.coerced is not None
    assert left.coerced.values == {"body": "2", "mark": "red"}
    assert left.overtaken == {"body": "1"}
    [left], _ = fold([edit(50, body="1"), edit(60, body="2")])
    assert left.overtaken == {}


def test_what_an_edit_only_repeats_is_not_overtaken() -> None:
    sent = [
        edit(60, ("body",), body="2", mark="red"),
        edit(50, ("mark",), body="1", mark="green"),
    ]
    [left], _ = fold(sent)
    assert left.coerced is not None
    assert left.coerced.values == {"body": "2", "mark": "green"}
    assert left.overtaken == {}


def test_edits_of_several_records_are_not_mixed() -> None:
    other = Entry(
        NOTES, "c2", {}, coerced=Coerced({"body": "9"}, {}, False, ()), raw_ms=50 * MINUTE
    )
    folded, _ = fold([edit(60, body="1"), other, edit(70, mark="red")])
    values = [each.coerced.values for each in folded if each.coerced is not None]
    assert values == [{"body": "1", "mark": "red"}, {"body": "9"}]


# --- who pushes


@pytest.mark.parametrize(
    ("raw_ms", "shift_ms", "corrected"),
    [
        (5, 0, 5),
        (5, 2, 3),
        (5, -2, 7),
        (5, 9, 0),
        (0, 0, 0),
        (NOW * MINUTE, 0, NOW * MINUTE),
        (NOW * MINUTE + 1, 0, NOW * MINUTE),
    ],
)
def test_a_corrected_time_is_none_of_the_future_and_none_below_zero(
    raw_ms: int, shift_ms: int, corrected: int
) -> None:
    by = writer(shift_ms=shift_ms)
    assert by.corrected(raw_ms) == corrected
    assert by.stamp(raw_ms) == Stamp(0, corrected, raw_ms, 0, "one", "member1")


@pytest.mark.parametrize(
    ("offset_ms", "kept"),
    [
        (TOLERANCE, 0),
        (TOLERANCE + 1, TOLERANCE + 1),
        (-TOLERANCE, 0),
        (-TOLERANCE - 1, -TOLERANCE - 1),
    ],
)
def test_a_clock_that_is_right_within_the_tolerance_counts_as_right(
    offset_ms: int, kept: int
) -> None:
    assert writer(offset_ms=offset_ms).stamp(7).offset_ms == kept


#: Both were off by so much, ms; readings of mine and theirs; whether mine is later. Of one device.
CLOCKS: tuple[tuple[int, int, int, int, bool], ...] = (
    (0, 0, 8, 7, True),
    (0, 0, 7, 7, True),  # the one that comes in, at equality
    (0, 0, 6, 7, False),
    # the clock was not set in between: its readings are comparable, however wrong
    (5 * MINUTE, 5 * MINUTE, 8, 7, True),
    (5 * MINUTE, 5 * MINUTE, 6, 7, False),
    (-5 * MINUTE, -5 * MINUTE, 6, 7, False),
    (TOLERANCE, 0, 7, 7, True),
    # it was: both are brought to ours
    (TOLERANCE + 1, 0, 7, 7, False),
    (TOLERANCE + 1, 0, TOLERANCE + 8, 7, True),
    (TOLERANCE + 1, 0, TOLERANCE + 7, 7, False),
    (0, TOLERANCE + 1, 7, TOLERANCE + 8, True),
    (0, TOLERANCE + 1, 6, TOLERANCE + 8, False),
    (-TOLERANCE, TOLERANCE, 7, 7, True),
    (TOLERANCE, -TOLERANCE, 7, 7, False),
    (TOLERANCE, -TOLERANCE, 7 + 2 * TOLERANCE, 7, True),
)


@pytest.mark.parametrize(("mine_off", "theirs_off", "mine", "theirs", "later"), CLOCKS)
def test_between_edits_of_one_device_its_own_clock_decides(
    mine_off: int, theirs_off: int, mine: int, theirs: int, later: bool
) -> None:
    one = Stamp(0, 1, mine, mine_off, "one", "member1")
    two = Stamp(1, 9, theirs, theirs_off, "one", "member1")
    assert writer().is_later(one, two) is later


@pytest.mark.parametrize(("mine", "later"), [(8, True), (7, None), (6, False)])
@pytest.mark.parametrize("whose", ["two/member2", "one/member2", "two/member1"])
def test_between_devices_the_corrected_time_decides(
    mine: int, later: bool | None, whose: str
) -> None:
    device, _, author = whose.partition("/")
    theirs = Stamp(1, 7, 99, 0, device, author)
    assert writer().is_later(Stamp(0, mine, 50, 0, "one", "member1"), theirs) is later


def test_a_phone_that_gives_no_name_is_nobody_s_own() -> None:
    nameless = own()._replace(device=record.UNNAMED)
    assert not writer(device=record.UNNAMED).is_own(nameless)
    assert writer().is_own(own())
    assert not writer().is_own(stamp())


@pytest.mark.parametrize(
    ("until_ms", "of_own", "of_others"),
    [(5, False, False), (6, True, False), (7, True, True)],
)
def test_what_was_committed_up_to_the_cursor_is_seen(
    until_ms: int, of_own: bool, of_others: bool
) -> None:
    late = 6_001 if until_ms == 6 else 6_000
    for change, seen in ((own(), of_own), (stamp(), of_others)):
        assert writer().has_seen(change._replace(version=late), until_ms * 1000) is seen
    assert writer().has_seen(stamp()._replace(version=6_000), 6_000)


#: When the edit was made, and how far the clock was off, against a version of 6.5 ms.
@pytest.mark.parametrize(
    ("raw_ms", "offset_ms", "blind"),
    [(5, 0, True), (6, 0, False), (7, 0, False), (7, 2, True), (5, -1, False), (8, 2, False)],
)
def test_an_edit_from_before_a_version_that_watermelon_laid_it_over_is_blind(
    raw_ms: int, offset_ms: int, blind: bool
) -> None:
    mine = Stamp(0, raw_ms, raw_ms, 0, "one", "member1")
    theirs = stamp()._replace(version=6_500)
    assert writer(offset_ms=offset_ms, first=True).is_blind(mine, theirs) is blind
    assert not writer(offset_ms=offset_ms).is_blind(mine, theirs)
    for early in (1, 0):
        mine = mine._replace(raw_ms=COMMITTED * MINUTE - early)
        assert writer(first=True).is_blind(mine, stamp()) is bool(early)


@pytest.mark.parametrize(("cursor", "must"), [(COMMITTED - 1 / MINUTE, True), (COMMITTED, False)])
def test_who_merges_what_it_pulls_must_have_pulled_the_last_edit(cursor: float, must: bool) -> None:
    assert must_pull(stored(), writer(cursor, first=True)) is must
    assert not must_pull(stored(), writer(cursor))
    # what the server wrote since is no edit
    later = stored()._replace(version=80 * MINUTE * 1000)
    later.fields[record.EDITED] = COMMITTED * MINUTE * 1000
    assert must_pull(later, writer(cursor, first=True)) is must


# --- what is known of columns


def test_a_column_that_nobody_wrote_apart_has_the_stamp_of_the_record() -> None:
    have = stored(columns={"body": {"stamp": list(stamp(20, committed=30))}})
    history = History(have, NOTES.client_fields)
    assert history.last == stamp()
    assert history.stamp("body") == stamp(20, committed=30)
    assert history.stamp("mark") == stamp()


def test_a_record_that_says_nothing_of_its_last_change_is_older_than_any() -> None:
    history = History(Document(Key("notes", "c1"), {"body": "1"}, 7), NOTES.client_fields)
    assert history.last == Stamp(7, 0, 0, 0, "", "")


def test_the_version_of_the_last_commit_is_that_of_the_record() -> None:
    columns = {"body": {"stamp": [0, *stamp(20)[1:]], "was": [[digest_of("0"), 0, 5]]}}
    history = History(stored(columns=columns), NOTES.client_fields)
    assert history.stamp("body") == stamp(20)
    assert list(history.held_since("body", COMMITTED - 1)) == [digest_of("0")]
    assert list(history.held_since("body", COMMITTED * MINUTE)) == []


def test_what_a_column_held_since_a_cursor_is_what_was_committed_after_it() -> None:
    columns = {"body": {"was": [was("1", 20, 19), was("2", 30, 29)]}}
    history = History(stored(columns=columns), NOTES.client_fields)
    for cursor, held in ((0, "12"), (19, "12"), (20, "2"), (29, "2"), (30, "")):
        found = list(history.held_since("body", cursor * MINUTE))
        assert found == [digest_of(each) for each in held]
    assert list(history.held_since("mark", 0)) == []


def test_a_change_is_replayed_if_value_and_time_are_those_of_one_before() -> None:
    history = History(
        stored(columns={"body": {"was": [was("1", 20, 19), was("2", 30, 29)]}}), NOTES.client_fields
    )
    seen = {
        (value, at): history.is_replayed("body", value, at * MINUTE)
        for value in ("1", "2", "3")
        for at in (19, 29, 39)
    }
    assert {each for each, replayed in seen.items() if replayed} == {("1", 19), ("2", 29)}
    assert not history.is_replayed("mark", "1", 19 * MINUTE)


def test_the_hash_of_a_value_is_that_of_records_that_are_stored() -> None:
    assert [digest_of(each) for each in ("1", ["a"], None)] == DIGESTS


def after(have: Document, changed: dict[str, Stamp], before: dict[str, Any]) -> Any:
    names = ("body", "mark", "page")
    text = History(have, names).after(changed, before)
    return None if text is None else json.loads(text)


def test_a_record_whose_columns_changed_together_needs_no_history() -> None:
    mine = Stamp(0, 60, 60, 0, "one", "member1")
    every = dict.fromkeys(("body", "mark", "page"), mine)
    assert after(stored(stamp()._replace(modified_ms=50)), every, {}) is None


def test_what_a_write_leaves_alone_keeps_its_stamp() -> None:
    earlier = stamp(20, committed=30)
    mine = Stamp(0, 60 * MINUTE, 60 * MINUTE, 0, "one", "member1")
    have = stored(columns={"page": {"stamp": list(earlier)}})
    assert after(have, {"body": mine}, {}) == {
        "mark": {"stamp": list(stamp())},
        "page": {"stamp": list(earlier)},
    }


def test_of_several_changes_the_latest_is_the_record_s_and_the_others_are_kept() -> None:
    late, early = (Stamp(0, at, at, 0, "one", "member1") for at in (60 * MINUTE, 55 * MINUTE))
    have = stored()
    changed = {"body": early, "mark": late, "page": late}
    assert after(have, changed, {}) == {"body": {"stamp": list(early)}}
    # at one moment the first is the record's, whatever the phone's clock said of it
    first, second = (
        Stamp(0, 60 * MINUTE, raw, 0, "one", "member1") for raw in (61 * MINUTE, 62 * MINUTE)
    )
    changed = {"body": first, "mark": second, "page": first}
    assert after(have, changed, {}) == {"mark": {"stamp": list(second)}}
    # a change from before the record's last one does not get that one's time
    old = Stamp(0, 30 * MINUTE, 30 * MINUTE, 0, "one", "member1")
    same = Stamp(0, WRITTEN * MINUTE, 30 * MINUTE, 0, "one", "member1")
    assert after(have, dict.fromkeys(("body", "mark", "page"), old), {}) == {
        name: {"stamp": list(old)} for name in ("body", "mark", "page")
    }
    assert after(have, dict.fromkeys(("body", "mark", "page"), same), {}) is None


def test_what_a_column_held_is_known_with_its_own_version_and_time() -> None:
    mine = Stamp(0, 60 * MINUTE, 60 * MINUTE, 0, "one", "member1")
    every = dict.fromkeys(("body", "mark", "page"), mine)
    columns = {
        "body": {
            "stamp": list(stamp(35, 36, committed=37)),
            "was": [[digest_of("0"), 0, 5], was("1", 20, 19)],
        }
    }
    known = after(stored(columns=columns), every, {"body": "2"})
    assert known == {
        "body": {
            "was": [
                [digest_of("0"), COMMITTED * MINUTE * 1000, 5],
                was("1", 20, 19),
                [digest_of("2"), 0, 36 * MINUTE],
            ]
        }
    }
    # the newest three are known
    known = after(
        stored(columns={"body": {"was": [was(str(each), each, each) for each in (1, 2, 3)]}}),
        every,
        {"body": "4"},
    )
    assert known["body"]["was"] == [
        was("2", 2, 2),
        was("3", 3, 3),
        [digest_of("4"), 0, WRITTEN * MINUTE],
    ]
    # and stay known where nothing changes
    known = after(stored(columns={"body": {"was": [was("1", 1, 1)]}}), every, {})
    assert known == {"body": {"was": [was("1", 1, 1)]}}


# --- case d and c: a column that both changed

#: When the edit was made, whose the stored change is, what the phone has seen.
HOW: dict[str, tuple[float, Stamp, Writer]] = {
    "seen": (30, stamp(), writer(COMMITTED)),
    "blind": (30, stamp(), writer(COMMITTED, first=True)),
    "looked": (60, stamp(), writer(COMMITTED, first=True)),
    "older": (39, stamp(), writer(COMMITTED - 1)),
    "equal": (40, stamp(), writer(COMMITTED - 1)),
    "later": (41, stamp(), writer(COMMITTED - 1)),
    "own older": (39, own(), writer(COMMITTED - 1)),
    "own equal": (40, own(), writer(COMMITTED - 1)),
    "own later": (41, own(), writer(COMMITTED - 1)),
}

KEPT, TAKEN, NAMED = "kept", "taken", "taken and named"
FULL = [f"k{number}" for number in range(MAX_STRINGS)]

#: What is stored, what comes in, and what becomes of it: the edit's value, the stored one (with the
#: reason why), or another. Where a row does not say, it is as in "unseen".
MEET: tuple[tuple[str, Any, Any, dict[str, Any]], ...] = (
    ("body", "1", "2", {
        "seen": TAKEN, "blind": TAKEN, "looked": TAKEN, "older": "older", "equal": "equal",
        "later": NAMED, "own older": "older", "own equal": NAMED, "own later": NAMED,
    }),
    ("body", None, "2", {
        "seen": TAKEN, "blind": TAKEN, "looked": TAKEN, "older": "older", "equal": "equal",
        "later": NAMED, "own older": "older", "own equal": NAMED, "own later": NAMED,
    }),
    # a number is no list
    ("page", 5, 7, {
        "seen": TAKEN, "blind": TAKEN, "looked": TAKEN, "older": "older", "equal": "equal",
        "later": NAMED, "own older": "older", "own equal": NAMED, "own later": NAMED,
    }),
    ("mark", "red", "green", {"seen": TAKEN, "looked": TAKEN, "blind": NAMED, "unseen": "merged"}),
    ("mark", "yellow", "unknown", {"seen": TAKEN, "looked": TAKEN, "blind": TAKEN, "unseen": NAMED}),
    ("mark", "green", "red", {"seen": TAKEN, "looked": TAKEN, "blind": TAKEN, "unseen": NAMED}),
    ("mark", None, "red", {"seen": TAKEN, "looked": TAKEN, "blind": TAKEN, "unseen": TAKEN}),
    ("mark", "red", None, {"seen": TAKEN, "looked": TAKEN, "blind": NAMED, "unseen": KEPT}),
    ("picture_keys", ["a"], ["b"], {
        "seen": TAKEN, "looked": TAKEN, "blind": NAMED, "unseen": ["a", "b"]}),
    ("picture_keys", ["a"], ["b", "a"], {
        "seen": TAKEN, "looked": TAKEN, "blind": NAMED, "unseen": ["a", "b"]}),
    ("picture_keys", ["a"], ["a", "b"], {
        "seen": TAKEN, "looked": TAKEN, "blind": TAKEN, "unseen": TAKEN}),
    ("picture_keys", ["a"], None, {"seen": TAKEN, "looked": TAKEN, "blind": NAMED, "unseen": KEPT}),
    ("picture_keys", None, ["b"], {"seen": TAKEN, "looked": TAKEN, "blind": TAKEN, "unseen": TAKEN}),
    ("picture_keys", FULL[1:], ["b"], {
        "seen": TAKEN, "looked": TAKEN, "blind": NAMED, "unseen": [*FULL[1:], "b"]}),
    # more than a record holds: by the clock, and named
    ("picture_keys", FULL, ["b"], {
        "seen": TAKEN, "looked": TAKEN, "blind": NAMED, "older": "older", "equal": "equal",
        "later": NAMED, "own older": "older", "own equal": NAMED, "own later": NAMED,
    }),
)  # fmt: skip


@pytest.mark.parametrize("how", HOW)
@pytest.mark.parametrize(
    ("column", "have", "sent", "verdicts"),
    MEET,
    ids=[f"{each[0]} {str(each[1])[:9]} {str(each[2])[:9]}" for each in MEET],
)
@pytest.mark.parametrize("naming", [True, False], ids=["named", "whole"])
def test_of_two_edits_of_a_column_each_is_taken_joined_or_named(
    column: str, have: Any, sent: Any, verdicts: dict[str, Any], how: str, naming: bool
) -> None:
    at, last, by = HOW[how]
    verdict = verdicts[how] if how in verdicts else verdicts["unseen"]
    named = (column,) if naming else None
    found = merging(stored(last, **{column: have}), edit(at, named, **{column: sent}), by)
    took = verdict in (TAKEN, NAMED)
    value = sent if took else verdict if isinstance(verdict, list) else have
    assert found.values[column] == value
    assert set(found.values) == set(NOTES.client_fields)
    assert found.differs
    assert found.overwritten == ({column: have} if verdict == NAMED else {})
    refused = verdict in ("older", "equal", "merged")
    assert (found.lost, found.reason) == (({column: sent}, verdict) if refused else ({}, ""))
    assert found.replaced == ({column: have} if value != have else {})
    mine = by.stamp(round(at * MINUTE))
    if how in ("seen", "blind"):  # whatever the clock says
        mine = mine._replace(modified_ms=last.modified_ms + 1)
    assert found.changed == ({column: mine} if value != have else {})
    assert (found.columns is None) is (value == have)


def test_an_edit_of_what_one_has_seen_is_later_than_it() -> None:
    for at, modified in ((30, WRITTEN * MINUTE + 1), (60, 60 * MINUTE)):
        found = merging(stored(body="1"), edit(at, body="2"), writer(COMMITTED))
        assert found.changed["body"].modified_ms == modified
    # and its version is not known before the commit
    assert found.changed["body"].version == 0


def test_each_column_is_judged_by_its_own_stamp() -> None:
    # given a body from minute 20 in a note whose mark was changed in minute 40
    columns = {"body": {"stamp": list(stamp(20, committed=30))}}
    have = stored(columns=columns, body="1", mark="green", page=5)
    found = merging(have, edit(25, body="2", page=6))
    assert (found.values["body"], found.values["page"]) == ("2", 5)
    assert (found.overwritten, found.lost) == ({"body": "1"}, {"page": 6})
    # who has seen one of them has not seen the other
    found = merging(have, edit(10, body="2", page=6), writer(30))
    assert (found.values["body"], found.overwritten) == ("2", {})
    assert found.lost == {"page": 6}


def test_each_column_of_edits_that_added_up_has_its_own_time() -> None:
    [both], _ = fold([edit(30, body="2"), edit(60, page=6)])
    found = merging(stored(body="1", page=5), both)
    assert (found.values["body"], found.values["page"]) == ("1", 6)
    assert (found.lost, found.overwritten) == ({"body": "2"}, {"page": 5})


def test_a_deletion_has_no_columns() -> None:
    with pytest.raises(TypeError, match=r"^a deletion has no columns$"):
        merging(stored(), deletion(60))


# --- what a writer has seen


@pytest.mark.parametrize(
    ("sent", "seen"),
    [
        ({}, True),
        ({"fresh": True}, False),
        ({"fresh": True, "version_ms": COMMITTED * MINUTE}, True),
        ({"version_ms": COMMITTED * MINUTE + 1}, True),
    ],
)
def test_of_a_record_that_it_calls_new_a_phone_has_seen_the_version_it_names_alone(
    sent: dict[str, Any], seen: bool
) -> None:
    found = merging(stored(body="1"), edit(60, body="2", **sent), writer(COMMITTED))
    assert (found.overwritten == {}) is seen


@pytest.mark.parametrize("version_ms", [COMMITTED * MINUTE, 80 * MINUTE])
def test_what_the_server_wrote_since_changes_nothing_that_phones_write(version_ms: int) -> None:
    edited, written = COMMITTED * MINUTE * 1000 + 7, 80 * MINUTE * 1000 + 7
    have = stored(body="1")._replace(version=written)
    have.fields.update({record.EDITED: edited, STAMP: written})
    found = merging(have, edit(30, body="2", version_ms=version_ms), writer(0))
    assert (found.values["body"], found.overwritten) == ("2", {})
    other = merging(have, edit(30, body="2", version_ms=60 * MINUTE), writer(0))
    assert other.lost == {"body": "2"}


# --- case a: the same value again

#: Minute of the edit, what the phone has seen, whether it names the column; the column's new minute.
AGAIN: tuple[tuple[float, Writer, tuple[str, ...] | None, float | None], ...] = (
    (60, writer(COMMITTED), None, 60),
    (30, writer(COMMITTED), None, WRITTEN + 1 / MINUTE),
    (60, writer(), None, 60),
    (30, writer(), None, None),
    (60, writer(first=True), None, None),
    (60, writer(COMMITTED, first=True), None, 60),
    (60, writer(), ("body",), 60),
    (60, writer(), ("mark",), None),
    # the very same edit again: by our clock, or by the phone's
    (WRITTEN, writer(COMMITTED), None, None),
    (45, writer(COMMITTED), None, None),
)


@pytest.mark.parametrize(("at", "by", "named", "moved"), AGAIN)
def test_a_value_that_somebody_chose_again_is_newer(
    at: float, by: Writer, named: tuple[str, ...] | None, moved: float | None
) -> None:
    have = stored(stamp(WRITTEN, 45), body="1")
    found = merging(have, edit(at, named, body="1"), by)
    assert (found.differs, found.values["body"], found.replaced) == (False, "1", {})
    assert (found.lost, found.overwritten) == ({}, {})
    assert {name: each.modified_ms for name, each in found.changed.items()} == (
        {} if moved is None else {"body": round(moved * MINUTE)}
    )


def test_of_a_row_in_which_another_column_is_new_nothing_else_was_chosen_again() -> None:
    have = stored(body="1", mark="green", page=5)
    found = merging(have, edit(60, body="1", mark="green", page=6))
    assert set(found.changed) == {"page"}
    # unless the phone says so: of each column
    found = merging(have, edit(60, ("mark", "page"), body="1", mark="green", page=6))
    assert set(found.changed) == {"mark", "page"}
    found = merging(have, edit(60, ("mark",), body="1", mark="green"))
    assert set(found.changed) == {"mark"}


def test_each_column_that_was_chosen_again_has_its_own_times() -> None:
    # of two edits in one push, the first chose the body again and the second the mark
    [both], _ = fold([edit(60, body="1"), edit(70, mark="green")])
    columns = {"body": {"stamp": list(stamp(20, 21, committed=30))}}
    have = stored(stamp(WRITTEN, 45), columns, body="1", mark="green")
    found = merging(have, both)
    assert {name: each.modified_ms for name, each in found.changed.items()} == {
        "body": 60 * MINUTE,
        "mark": 70 * MINUTE,
    }
    # one of which was there before
    [both], _ = fold([edit(WRITTEN, body="1"), edit(70, mark="green")])
    assert set(merging(have, both).changed) == {"mark"}
    # a column that was changed before the record's last edit is judged by its own stamp
    for at, chosen in ((25, True), (20, False), (21, False), (40, False), (45, False)):
        found = merging(have, edit(at, body="1"))
        assert set(found.changed) == ({"body"} if chosen else set())


# --- case b: what the edit did not change


@pytest.mark.parametrize("by", [writer(), writer(COMMITTED)], ids=["unseen", "seen"])
def test_a_column_that_the_phone_does_not_name_stays(by: Writer) -> None:
    have = stored(body="1", mark="yellow", picture_keys=["a"], page=5)
    sent = edit(60, ("body",), body="2", mark="green", picture_keys=["b"], page=6)
    found = merging(have, sent, by)
    assert found.values["body"] == "2"
    assert [found.values[name] for name in ("mark", "picture_keys", "page")] == ["yellow", ["a"], 5]
    assert (set(found.changed), found.lost) == ({"body"}, {})


def test_a_higher_value_that_the_phone_does_not_name_counts_unless_it_is_an_old_copy() -> None:
    sent = edit(60, ("body",), body="2", mark="red")
    assert merging(stored(body="1", mark="yellow"), sent).values["mark"] == "red"
    columns = {"mark": {"was": [was("red", 20, 19)]}}
    found = merging(stored(columns=columns, body="1", mark="yellow"), sent)
    assert (found.values["mark"], found.values["body"]) == ("yellow", "2")


@pytest.mark.parametrize(
    ("column", "have", "value", "higher"),
    [
        ("mark", "green", "red", True),
        ("mark", "green", "green", True),
        ("mark", "red", "green", False),
        ("mark", None, "green", True),
        ("mark", "green", None, False),
        ("picture_keys", ["a"], ["a", "b"], False),
        ("body", "1", "2", False),
        ("page", 1, 2, False),
    ],
)
def test_higher_is_asked_of_columns_that_keep_the_most(
    column: str, have: Any, value: Any, higher: bool
) -> None:
    assert is_higher(NOTES.by_name[column], have, value) is higher


def repeated(
    value: Any,
    at: float,
    *,
    last: Stamp | None = None,
    cursor: float = 25,
    named: bool = False,
    first: bool = False,
    beside: bool = False,
    column: str = "body",
    now: Any = "3",
    before: tuple[Any, Any] = ("1", "2"),
) -> Merged:
    """A phone sends a value that a column held before.

    The body was "1", was made "2" in minute 20 (commit 30) and "3" in minute 40 (commit 50). The phone's
    cursor lies between: it has seen the first. `beside`: it also changed the page.
    """
    old = [was(before[0], 30, 10), was(before[1], COMMITTED, 20)]
    have = stored(last, {column: {"was": old}}, **{column: now, "page": 5})
    more = {"page": 6} if beside else {}
    names = (column, *more) if named else None
    return merging(have, edit(at, names, **{column: value}, **more), writer(cursor, first=first))


def test_a_row_that_repeats_what_the_phone_had_seen_changes_nothing_and_loses_nothing() -> None:
    for at in (15, 60):
        found = repeated("1", at)
        assert (found.values["body"], found.lost, found.overwritten) == ("3", {}, {})
        assert found.changed == {}
    found = repeated("1", 60, beside=True)
    assert (found.values["body"], found.values["page"], found.lost) == ("3", 6, {})


def test_an_old_value_that_the_phone_cannot_have_seen_there_is_named() -> None:
    found = repeated("2", 60)
    assert (found.values["body"], found.lost, found.reason) == ("3", {"body": "2"}, "older")


def test_an_old_value_that_the_phone_says_it_chose_is_named() -> None:
    found = repeated("1", 60, named=True)
    assert (found.values["body"], found.lost, found.reason) == ("3", {"body": "1"}, "older")


def test_a_change_whose_answer_was_lost_is_no_edit() -> None:
    for named in (True, False):
        found = repeated("2", 20, named=named)
        assert (found.values["body"], found.lost, found.changed) == ("3", {}, {})
        # beside others, which are judged all the same
        found = repeated("2", 20, named=named, beside=True, last=stamp(15))
        assert (found.values["body"], found.values["page"]) == ("3", 6)


def test_what_the_column_held_before_the_cursor_is_an_edit_like_any_other() -> None:
    found = repeated("1", 60, cursor=35)
    assert (found.values["body"], found.overwritten) == ("1", {"body": "3"})
    found = repeated("1", 60, cursor=COMMITTED)
    assert (found.values["body"], found.overwritten) == ("1", {})


def test_a_user_who_goes_back_to_what_his_own_phone_had_changed_is_heard() -> None:
    last = own()
    # the whole row brings nothing else, or the phone names the column
    for named in (True, False):
        found = repeated("1", 60, last=last, named=named)
        assert (found.values["body"], found.overwritten) == ("1", {"body": "3"})
    assert repeated("1", 60, last=last, named=True, beside=True).values["body"] == "1"
    # not alone: it may be a clone that repeats what its twin changed
    found = repeated("1", 60, last=last, beside=True)
    assert (found.values["body"], found.lost) == ("3", {"body": "1"})
    # not later: a copy of it that was sent late
    for at in (35, WRITTEN):
        found = repeated("1", at, last=last)
        assert (found.values["body"], found.lost) == ("3", {})
        found = repeated("1", at, last=last, named=True)
        assert (found.values["body"], found.lost) == ("3", {"body": "1"})


def test_an_undo_from_before_the_own_clock_was_set_is_named() -> None:
    # the phone's clock was 30 minutes behind when it changed the body, and is right now
    behind = own(WRITTEN, 10, offset_ms=-30 * MINUTE)
    found = repeated("1", 35, last=behind)
    assert (found.values["body"], found.lost, found.reason) == ("3", {"body": "1"}, "older")
    assert repeated("1", 45, last=behind).values["body"] == "1"
    marks: dict[str, Any] = {"column": "mark", "now": "red", "before": ("green", "yellow")}
    found = repeated("green", 35, last=behind, **marks)
    assert (found.values["mark"], found.lost, found.reason) == ("red", {"mark": "green"}, "older")


def test_an_old_value_that_is_more_is_chosen_whenever() -> None:
    marks: dict[str, Any] = {"column": "mark", "now": "yellow", "before": ("red", "green")}
    found = repeated("red", 60, named=True, **marks)
    assert (found.values["mark"], found.overwritten, found.lost) == ("red", {"mark": "yellow"}, {})
    found = repeated("green", 60, named=True, **marks)
    assert (found.values["mark"], found.lost, found.reason) == (
        "yellow",
        {"mark": "green"},
        "older",
    )
    keys: dict[str, Any] = {"column": "picture_keys", "now": ["b"], "before": (["a"], ["c"])}
    found = repeated(["a"], 60, named=True, **keys)
    assert (found.values["picture_keys"], found.lost) == (["b", "a"], {})


def test_what_watermelon_laid_blindly_over_an_own_older_change_is_no_edit() -> None:
    # seen by its cursor, and made before that version: nobody looked
    for at, last in ((35, stamp()), (45, stamp()), (WRITTEN, own())):
        found = repeated("1", at, last=last, cursor=COMMITTED, first=True)
        assert (found.values["body"], found.lost) == ("3", {"body": "1"})
    # looked at, or later by its own clock
    for last, at in ((stamp(), 60), (own(20), 35)):
        found = repeated("1", at, last=last, cursor=COMMITTED, first=True)
        assert (found.values["body"], found.lost, found.overwritten) == ("1", {}, {})
    # a value that the column never held is an edit
    assert repeated("9", 35, last=stamp(), cursor=COMMITTED, first=True).values["body"] == "9"


def test_who_goes_back_on_a_change_in_the_ms_of_the_cursor_has_seen_it() -> None:
    # given the phone's own body, in the ms of its cursor, and another's page after it
    mine = own(20)._replace(version=30 * MINUTE * 1000 + 1)
    columns = {"body": {"stamp": list(mine), "was": [[digest_of("1"), mine.version, 5]]}}
    have = stored(columns=columns, body="2", page=5)
    # when its user takes the body back
    found = merging(have, edit(35, ("body",), body="1"), writer(30))
    assert (found.values["body"], found.overwritten, found.lost) == ("1", {}, {})


def test_a_phone_that_calls_the_record_new_repeats_whatever_it_ever_held() -> None:
    columns = {"body": {"was": [was("1", 30, 10), was("2", COMMITTED, 20)]}}
    have = stored(columns=columns, body="3")
    found = merging(have, edit(60, body="1", fresh=True), writer(80))
    assert (found.values["body"], found.overwritten, found.lost) == ("3", {}, {})
    found = merging(have, edit(60, body="2", fresh=True), writer(80))
    assert (found.values["body"], found.lost) == ("3", {"body": "2"})


# --- case 4: a deletion


@pytest.mark.parametrize(
    ("at", "last", "by", "verdict"),
    [
        (30, stamp(), writer(COMMITTED), None),
        (None, stamp(), writer(), None),
        (39, stamp(), writer(), "older"),
        (40, stamp(), writer(), "equal"),
        (41, stamp(), writer(), None),
        (39, own(), writer(), "older"),
        (40, own(), writer(), None),
        (41, own(), writer(), None),
    ],
)
def test_a_deletion_is_judged_as_one_column(
    at: float | None, last: Stamp, by: Writer, verdict: str | None
) -> None:
    assert deletion_wins(stored(last, body="1"), deletion(at), by) == verdict
    # the record's last change counts, whatever its columns are
    columns = {"body": {"stamp": list(stamp(80, committed=85))}}
    assert deletion_wins(stored(last, columns, body="1"), deletion(at), by) == verdict


def test_a_deletion_of_the_version_that_the_phone_names_applies() -> None:
    named = deletion(30, version_ms=COMMITTED * MINUTE)
    assert deletion_wins(stored(), named, writer()) is None
    assert deletion_wins(stored(), deletion(30, fresh=True), writer(COMMITTED)) == "older"


def test_what_a_deletion_takes_unseen_is_known_column_by_column() -> None:
    columns = {"body": {"stamp": list(stamp(20, committed=30))}}
    have = stored(columns=columns, body="1", mark="red")
    others = {name: have.fields.get(name) for name in NOTES.client_fields}
    assert unseen_columns(have, deletion(60), writer()) == others
    del others["body"]
    assert unseen_columns(have, deletion(60), writer(30)) == others
    assert unseen_columns(have, deletion(60), writer(COMMITTED)) == {}


# --- the same row once more


class Examined(Entry):
    """An edit whose columns are looked at one by one, as those with times of their own."""

    @property
    def has_moments(self) -> bool:
        return True


@pytest.mark.parametrize("by", [writer(), writer(COMMITTED), writer(first=True)])
@pytest.mark.parametrize("last", [stamp(), own(), own(45, 20), stamp(30, 50)])
@pytest.mark.parametrize("named", [None, ("body",), ()])
@pytest.mark.parametrize(
    "columns",
    [
        None,
        {"body": {"was": [was("0", 20, 10)]}},
        {"body": {"stamp": tuple(own(30, committed=30))}},
        {"mark": {"stamp": tuple(stamp(60, committed=70)), "was": [was("red", 20, 10)]}},
    ],
)
@pytest.mark.parametrize("values", [{"body": "1", "mark": "red"}, {"body": "1"}, {"body": "2"}])
def test_a_row_that_is_offered_again_is_judged_as_any_other(
    by: Writer, last: Stamp, named: Any, columns: Any, values: dict[str, Any]
) -> None:
    have = stored(last, columns, body="1", mark="red")
    for at in (20, 30, WRITTEN, 45, 50, 60, 85):
        sent = edit(at, named, **values)
        looked_at = Examined(
            NOTES, "c1", sent.raw, coerced=sent.coerced, raw_ms=sent.raw_ms, named=sent.named
        )
        assert merging(have, sent, by) == merging(have, looked_at, by)
