"""Filters of the work list, its totals, and the patient's other cases: right, and of one's own teams."""

from __future__ import annotations

import random
from itertools import product
from typing import Any

import pytest

from shared.errors import Forbidden, InvalidCursor, InvalidRequest, NotFound
from shared.products.dermadetect import worklist_query
from shared.products.dermadetect.signal import RANKS
from shared.products.dermadetect.worklist_query import WorklistQuery
from shared.records import record
from shared.records.store import Key, patch, put
from tests.review.conftest import CLAIM_MS, Practice, doctor, place_of, query_of
from tests.stores import Asked

DAY = 86_400_000
NOON = 1_772_366_400_000  # 2026-03-01 12:00 UTC


def stored(practice: Practice, name: str, scope: str = "team1", /, **more: Any) -> None:
    """A case as it stands in the store."""
    fields = {
        record.SCOPE: scope,
        record.CREATED: NOON,
        record.MODIFIED: NOON,
        record.WAITS: True,
        "_rank": RANKS["red"],
        "status": "PENDING_DIAGNOSIS",
        "patient_id": "p1",
        "chw_id": "chw1",
        "risk_level": "red",
        "triage_data": "{}",
        **more,
    }
    practice.store.commit([put(Key("cases", name), fields, None)])


@pytest.fixture
def full(practice: Practice) -> Practice:
    """Sixty cases of all kinds, of two workers and two patients; ten more in a team of others."""
    dice = random.Random(7)
    practice.join("chw2", role="chw")
    for number in range(60):
        kind = number % 4
        status = ("PENDING_DIAGNOSIS", "DIAGNOSED", "PENDING_DIAGNOSIS", "TRIAGED")[kind]
        stored(
            practice,
            f"c{number:02}",
            status=status,
            chw_id=f"chw{dice.choice('12')}",
            patient_id=f"p{dice.choice('12')}",
            _rank=dice.randrange(5),
            created_at=NOON + dice.randrange(-3, 4) * DAY,
            **{record.WAITS: True if kind in (0, 2) else None},
            **{record.DELETED: NOON if dice.random() < 0.15 else None},
        )
    for number in range(10):
        stored(practice, f"x{number}", "team9")
    return practice


def every_page(practice: Practice, limit: int = 3, user: str = "doc1", **asked: Any) -> list[str]:
    found: list[str] = []
    behind = None
    while True:
        page = practice.listed(user, behind=behind, limit=limit, **asked)
        found += [entry["id"] for entry in page["cases"]]
        if page["next_page"] is None:
            return found
        behind = place_of(page["next_page"])


FILTERS: list[dict[str, Any]] = [
    dict(zip(("status", "risk", "worker", "patient", "days", "mine"), each, strict=True))
    for each in product(
        ("PENDING_DIAGNOSIS", "DIAGNOSED"),
        (None, "red"),
        (None, "chw2"),
        (None, "p2"),
        (None, (NOON - DAY, NOON + DAY)),
        (False, True),
    )
]


def test_every_join_of_filters_lists_what_it_says_in_the_order_of_the_list(full: Practice) -> None:
    # given a doctor who has some of the waiting ones in hand
    for name in full.ids(limit=200)[::3]:
        if full.get("cases", name).fields.get(record.DELETED) is None:  # type: ignore[union-attr]
            full.claim("doc1", name)
    whole = {
        status: [
            (full.fields("cases", entry["id"]), entry)
            for entry in full.listed(status=status, limit=200)["cases"]
        ]
        for status in ("PENDING_DIAGNOSIS", "DIAGNOSED")
    }
    assert all(len(each) > 10 for each in whole.values())
    met = 0
    for asked in FILTERS:
        days = asked["days"] or (0, 2 * NOON)
        expected = [
            entry["id"]
            for have, entry in whole[asked["status"]]
            if (asked["risk"] is None or have["_rank"] == RANKS[asked["risk"]])
            and (asked["worker"] is None or have["chw_id"] == asked["worker"])
            and (asked["patient"] is None or have["patient_id"] == asked["patient"])
            and days[0] <= have["created_at"] < days[1]
            and (not asked["mine"] or entry["claimed_by"] == "doc1")
        ]
        wanted = {name: asked[name] for name in ("status", "risk", "worker", "patient", "mine")}
        span: dict[str, Any] = (
            {} if asked["days"] is None else {"from_ms": days[0], "until_ms": days[1]}
        )
        assert every_page(full, **wanted, **span) == expected, asked
        met += bool(expected)
    assert met > 15


def test_what_changed_since_it_was_signed_is_a_list_of_its_own(full: Practice) -> None:
    for number in range(7):
        more = {"status": "DIAGNOSED", "chw_id": f"chw{number % 2 + 1}", "_rank": number % 3}
        gone = {record.DELETED: NOON} if number == 5 else {}
        stored(full, f"s{number}", _changed_since=["risk_level"], **more, **gone)
    stored(full, "x10", "team9", status="DIAGNOSED", _changed_since=["risk_level"])
    full.claim("doc1", "s4")
    names = ["s0", "s3", "s6", "s1", "s4", "s2", "s5"]
    assert every_page(full, changed=True) == names
    assert every_page(full, changed=True, worker="chw1") == ["s0", "s6", "s4", "s2"]
    assert every_page(full, changed=True, risk="red") == ["s1", "s4"]
    assert every_page(full, changed=True, patient="p1", mine=True) == ["s4"]
    assert every_page(full, changed=True, from_ms=NOON + 1) == []
    assert totals(full)["changed"] == len(names)


def test_who_has_a_case_in_hand_is_named_to_the_team_of_the_case(practice: Practice) -> None:
    stored(practice, "c1")
    practice.store.commit([put(Key("accounts", "doc2"), {"name": "Dr. Ali"}, None)])
    assert practice.listed()["cases"][0]["claimed_name"] is None
    practice.claim("doc2", "c1")
    (entry,) = practice.listed()["cases"]
    assert (entry["claimed_by"], entry["claimed_name"]) == ("doc2", "Dr. Ali")
    # who has left is an id, and so is nobody after the claim has ended
    practice.leave("doc2")
    assert practice.listed()["cases"][0]["claimed_name"] is None
    practice.time += CLAIM_MS
    (entry,) = practice.listed()["cases"]
    assert (entry["claimed_by"], entry["claimed_name"]) == (None, None)


def test_a_filter_shows_nothing_of_another_team(full: Practice) -> None:
    full.join("doc9", "team9", "doctor")
    full.review().claim(doctor("doc9"), "x0", None, full.time)
    for asked in ({"worker": "chw1"}, {"patient": "p1"}, {"mine": True}, {"from_ms": 0}):
        assert not {name for name in full.ids("doc1", limit=200, **asked) if name[0] == "x"}
        assert all(name[0] == "x" for name in full.ids("doc9", limit=200, **asked))
    # nor does a claim from before she left
    full.claim("doc1", full.ids()[0])
    full.leave("doc1")
    full.join("doc1", "team9", "doctor")
    assert full.ids("doc1", mine=True) == []


def test_a_claim_of_mine_ends_by_itself_and_by_a_signature(practice: Practice) -> None:
    for name in practice.cases("red", "red", "yellow"):
        if practice.fields("cases", name).get(record.WAITS):
            practice.claim("doc1", name)
    assert practice.ids(mine=True) == ["c0", "c1"]
    assert practice.ids("doc2", mine=True) == []
    practice.sign(case="c0")
    assert practice.ids(mine=True) == ["c1"]
    practice.claim("boss", "c1", to="doc2")
    assert (practice.ids(mine=True), practice.ids("doc2", mine=True)) == ([], ["c1"])
    practice.time += CLAIM_MS
    assert practice.ids("doc2", mine=True) == []


def test_a_page_of_a_filter_reads_what_it_shows(full: Practice) -> None:
    asked = Asked(full.store)
    full.store = asked
    full.listed(worker="chw2", limit=3, from_ms=NOON - DAY)
    keys = [key for key in asked.keys if key.collection == "reviews"]
    assert len(keys) == 3
    # and all that is shown beside them comes in one reading: of a patient and a worker once
    beside = {(key.collection, key.id) for key in asked.keys}
    assert {("accounts", "chw2"), ("memberships", "chw2")} <= beside
    assert len([key for key in asked.keys if key.collection == "accounts"]) == 1


def test_a_page_goes_on_in_the_list_that_it_is_of(full: Practice) -> None:
    page = full.listed(limit=2, worker="chw2")["next_page"]
    good = {"worker": "chw2", "page": page}
    assert query_of(good).behind == place_of(page)
    assert query_of({**good, "limit": "9", "thumbnails": "1"}).behind is not None
    for other in ({}, {"worker": "chw1"}, {"worker": "chw2", "risk": "red"}):
        with pytest.raises(InvalidCursor):
            query_of({**other, "page": page})


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"mine": "yes"}, "mine"),
        ({"worker": "a b"}, "worker"),
        ({"patient": ""}, "patient"),
        ({"first_day": "2026-3-1"}, "first_day"),
        ({"first_day": "20260301"}, "first_day"),
        ({"first_day": "2026-02-30"}, "first_day"),
        ({"last_day": "0001-01-01"}, "last_day"),
        ({"last_day": "٢٠٢٦-٠٣-٠١"}, "last_day"),
        ({"first_day": "2026-03-02", "last_day": "2026-03-01"}, "last_day"),
        ({"zone": "Africa/Atlantis"}, "zone"),
        ({"zone": "../../etc/passwd"}, "zone"),
        ({"zone": ""}, "zone"),
        ({"unread": "1", "worker": "chw1"}, "worker"),
        ({"thumbnails": "x"}, "thumbnails"),
        ({"changed": "x"}, "changed"),
        ({"changed": "1", "status": "DIAGNOSED"}, "changed"),
        ({"changed": "1", "unread": "1"}, "changed"),
    ],
)
def test_a_crooked_filter_is_named(arguments: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        query_of(arguments)
    assert refused.value.field == field


# --- totals


def totals(practice: Practice, user: str = "doc1", scope: str | None = None) -> dict[str, Any]:
    return practice.worklist().totals(doctor(user), scope, practice.time)


def test_totals_are_the_lengths_of_the_lists(full: Practice) -> None:
    for number, name in enumerate(full.ids(limit=200)[::4]):
        if full.get("cases", name).fields.get(record.DELETED) is None:  # type: ignore[union-attr]
            full.claim(f"doc{number % 2 + 1}", name)
    found = totals(full)
    whole = full.listed(limit=200)
    for word in RANKS:
        assert found[word] == len(every_page(full, risk=word)), word
    assert found["waiting"] == len(whole["cases"]) > 20
    held = [entry["claimed_by"] for entry in whole["cases"] if entry["claimed_by"]]
    assert (found["claimed"], found["mine"]) == (len(held), held.count("doc1"))
    assert found["cannot_be_filed"] == len(whole["cannot_be_filed"]) == 0
    assert found["at_least"] == []


def test_totals_count_nothing_of_another_team_and_nobody_sees_those_of_strangers(
    full: Practice,
) -> None:
    full.join("doc9", "team9", "doctor")
    assert totals(full, "doc9")["waiting"] == 10
    full.join("doc1", "team9", "supervisor")
    assert totals(full)["waiting"] == totals(full, scope="team1")["waiting"] + 10
    with pytest.raises(NotFound):
        totals(full, "doc9", "team1")
    with pytest.raises(Forbidden):
        totals(full, "chw1")


def test_a_bounded_total_says_so(practice: Practice, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.products.dermadetect.worklist._MOST_COUNTED", 3)
    for number in range(4):
        stored(practice, f"c{number}", _rank=RANKS["red"] if number else RANKS["green"])
    found = totals(practice)
    assert (found["red"], found["green"], found["waiting"]) == (3, 1, 3)
    assert found["at_least"] == ["red", "waiting"]


# --- the patient's other cases


def others(practice: Practice, name: str, limit: int = 50, **more: Any) -> dict[str, Any]:
    return practice.worklist().patient_cases(doctor(), name, limit, more.get("behind"))


def test_a_case_shows_the_patient_s_other_cases_the_newest_first(practice: Practice) -> None:
    for number in range(14):
        stored(practice, f"c{number:02}", created_at=NOON + number // 2 * DAY)
    stored(practice, "gone", **{record.DELETED: NOON})
    stored(practice, "stranger", patient_id="p2")
    stored(practice, "away", "team9")
    practice.sign(case="c03")
    detail = practice.detail(case="c05")
    order = [
        "c12",
        "c13",
        "c10",
        "c11",
        "c08",
        "c09",
        "c06",
        "c07",
        "c04",
        "c02",
        "c03",
        "c00",
        "c01",
    ]
    assert [each["id"] for each in detail["patient_cases"]] == order[:10]
    # and goes on behind them
    token = detail["patient_cases_next"]
    behind = worklist_query.opened(token, worklist_query.OF_PATIENT)
    rest = others(practice, "c05", behind=behind)
    assert [each["id"] for each in rest["cases"]] == order[10:]
    assert rest["next_page"] is None
    signed = rest["cases"][0]
    assert (signed["id"], signed["signed_by"], signed["status"]) == ("c03", "doc1", "DIAGNOSED")
    assert signed["diagnosis"] == {
        "diagnosis_text": "Tinea corporis",
        "prescription": "Clotrimazole",
    }
    assert rest["cases"][1]["diagnosis"] is None


def test_pages_of_other_cases_stay_right_while_cases_come_and_go(practice: Practice) -> None:
    for number in range(9):
        stored(practice, f"c{number}", created_at=NOON + number * DAY)
    page = others(practice, "c0", 3)
    assert [each["id"] for each in page["cases"]] == ["c8", "c7", "c6"]
    practice.store.commit([patch(Key("cases", "c6"), {record.DELETED: NOON}, None)])
    stored(practice, "new", created_at=NOON + 20 * DAY)
    behind = worklist_query.opened(page["next_page"], worklist_query.OF_PATIENT)
    page = others(practice, "c0", 3, behind=behind)
    assert [each["id"] for each in page["cases"]] == ["c5", "c4", "c3"]


def test_other_cases_are_shown_to_who_may_see_the_case(practice: Practice) -> None:
    stored(practice, "c1")
    lists = practice.worklist()
    for name, kind in (("stranger", NotFound), ("chw1", Forbidden)):
        with pytest.raises(kind):
            lists.patient_cases(doctor(name), "c1", 5, None)
    for case in ("none", "no id!"):
        with pytest.raises(NotFound):
            lists.patient_cases(doctor(), case, 5, None)


def test_the_default_query_is_the_plain_list() -> None:
    assert query_of({"zone": "Africa/Nairobi"}) == WorklistQuery()
    assert WorklistQuery().kind == worklist_query.CASES
