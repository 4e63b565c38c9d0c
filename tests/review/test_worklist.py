"""What doctors see, on both stores: order, filters, pages, what changed, what nobody has read."""

from __future__ import annotations

import base64
import itertools
import json
from dataclasses import dataclass
from typing import Any

import pytest

from shared.adapters.sqlite import SqliteStore
from shared.adapters.sqlite_queries import table_of
from shared.errors import Forbidden, InvalidCursor, InvalidRequest, NotFound
from shared.jobs import transfer
from shared.products.dermadetect import worklist_query
from shared.products.dermadetect.analyse import Analyse
from shared.products.dermadetect.analysis.document import unavailable
from shared.products.dermadetect.screen import MOST
from shared.products.dermadetect.tables import CATALOG
from shared.products.dermadetect.waiting_for_photos import PHOTOS_WAIT_MS
from shared.products.dermadetect.worklist import WorkList
from shared.records.store import Key, Query, RecordStore, patch, put
from shared.sync.pull import EPOCH
from shared.sync.retention import Purger
from tests.review.conftest import CLAIM_MS, HOUR, UNREAD_MS, Practice, doctor, place_of, query_of
from tests.stores import Interrupted
from tests.sync.clinic import pass_millisecond

RED, LOOK, YELLOW, GREEN = range(1, 5)


def rank(practice: Practice, case: str = "c0") -> int:
    return int(practice.fields("cases", case)["_rank"])


def every_page(practice: Practice, **asked: Any) -> list[str]:
    found: list[str] = []
    behind = None
    for _ in range(20):
        page = practice.listed(behind=behind, **asked)
        found += [entry["id"] for entry in page["cases"]]
        if page["next_page"] is None:
            return found
        behind = place_of(page["next_page"], unread=asked.get("unread", False))
    raise AssertionError("pages without an end")


# --- order


def test_red_cases_come_first_and_the_oldest_of_them(practice: Practice) -> None:
    practice.cases("green", "red", None, "yellow", "red", "green")
    assert practice.ids(status="TRIAGED") == ["c3", "c0", "c5"]
    assert practice.ids() == ["c1", "c4", "c2"]  # and what has no colour is looked at


def test_pages_bring_every_case_once_in_order(practice: Practice) -> None:
    practice.cases("green", "yellow", None, "yellow", "green", "yellow", "green")
    whole = practice.ids(status="TRIAGED")
    assert whole == ["c1", "c3", "c5", "c0", "c4", "c6"]
    for limit in (1, 2, 3, 6, 7):
        assert every_page(practice, status="TRIAGED", limit=limit) == whole
        assert every_page(practice, status="TRIAGED", limit=limit, risk="yellow") == whole[:3]


def test_deleted_cases_are_not_listed_and_do_not_shorten_a_page(practice: Practice) -> None:
    practice.cases(*["green"] * 6)
    phone = practice.phone()
    phone.sync()
    for name in ("c0", "c1", "c3"):
        phone.delete("cases", name)
    phone.sync()
    assert practice.ids(status="TRIAGED", limit=2) == ["c2", "c4"]
    assert every_page(practice, status="TRIAGED", limit=2) == ["c2", "c4", "c5"]


def test_the_list_of_more_than_thirty_teams_is_one_list(practice: Practice) -> None:
    # given a doctor of 33 teams, with cases in the first and the last
    teams = [f"team{number:02}" for number in range(33)]
    for team in teams:
        practice.join("doc3", team, "doctor")
    for number, team in enumerate((teams[32], teams[0], teams[32], teams[0])):
        practice.join(f"chw-{number}", team)
        phone = practice.phone(f"chw-{number}")
        phone.save("patients", f"p{number}", at=1000, demographics={})
        phone.save(
            "cases", f"c{number}", at=1000, patient_id=f"p{number}",
            risk_level="yellow" if number == 3 else "green",
        )  # fmt: skip
        phone.sync()
        practice.time += 1000
    whole = ["c3", "c0", "c1", "c2"]
    assert practice.ids("doc3", status="TRIAGED") == whole
    first = practice.listed("doc3", status="TRIAGED", limit=2)
    rest = practice.ids("doc3", status="TRIAGED", behind=place_of(first["next_page"]))
    assert [entry["id"] for entry in first["cases"]] + rest == whole


# --- how urgent


def test_an_edit_raises_the_urgency_and_never_lowers_it(practice: Practice) -> None:
    (name,) = practice.cases("yellow")
    phone = practice.phone()
    phone.sync()
    for risk, expected in (("green", YELLOW), (None, LOOK), ("red", RED), ("green", RED)):
        practice.time += 1000
        phone.save("cases", name, at=practice.time // 1000, risk_level=risk)
        phone.sync()
        assert practice.fields("cases", name).get("risk_level") == (risk or "unknown")
        assert rank(practice) == expected


@pytest.mark.parametrize(("risk", "expected"), [("red", RED), (None, LOOK), ("green", GREEN)])
def test_a_new_case_has_the_urgency_of_its_risk(
    practice: Practice, risk: str | None, expected: int
) -> None:
    practice.cases(risk)
    assert rank(practice) == expected


@pytest.mark.parametrize(
    ("stored", "final", "expected"),
    [(GREEN, "red", RED), (LOOK, "yellow", LOOK), (RED, "green", RED), (None, "red", RED)],
)
def test_an_analysis_raises_the_urgency_and_never_lowers_it(
    practice: Practice, stored: int | None, final: str, expected: int
) -> None:
    # given a case that counts as so urgent when its analysis ends
    practice.red_case()
    practice.store.commit([patch(Key("cases", "c1"), {"_rank": stored}, None)])
    (job,), case = practice.jobs(), practice.get("cases", "c1")
    assert case is not None
    # when the analysis says this
    writes = Analyse._patch(job, case, unavailable("model_busy", final), "done", practice.time)
    practice.store.commit(list(writes))
    # then the worse of both counts
    assert rank(practice, "c1") == expected


def test_phones_never_see_how_urgent_a_case_is_for_doctors(practice: Practice) -> None:
    practice.cases("red")
    for user in ("chw1", "doc1"):
        answer = practice.phone(user, "fresh").sync()
        assert "_rank" not in answer["server_updates"]["cases"][0]


# --- filters and access


def test_a_list_can_be_narrowed_to_a_team_a_status_and_an_urgency(practice: Practice) -> None:
    practice.join("doc1", "team2", "doctor")
    practice.join("chw2", "team2")
    practice.cases("red", "yellow")
    other = practice.phone("chw2")
    other.save("patients", "q1", at=1000, demographics={})
    other.save("cases", "d1", at=1000, patient_id="q1", risk_level="red")
    other.sync()
    assert practice.ids() == ["c0", "d1"]
    assert practice.ids(scope_id="team2") == ["d1"]
    assert practice.ids(status="TRIAGED") == ["c1"]
    assert practice.ids(status="TRIAGED", risk="green") == []
    assert practice.ids(status="TRIAGED", risk="yellow") == ["c1"]
    practice.sign(case="d1")
    assert practice.ids() == ["c0"]
    assert practice.ids(status="DIAGNOSED") == ["d1"]


def test_nobody_sees_cases_of_a_team_where_the_role_does_not_allow_it(practice: Practice) -> None:
    practice.cases("red")
    practice.join("doc3", "team9", "doctor")
    # a doctor of one team who is a health worker in another
    practice.join("doc3", "team1", "chw")
    assert practice.ids("doc3") == []
    with pytest.raises(Forbidden):
        practice.listed("doc3", scope_id="team1")
    with pytest.raises(NotFound):
        practice.listed("doc3", scope_id="team2")
    for user in ("chw1", "nobody"):
        with pytest.raises(Forbidden):
            practice.listed(user)


def test_an_entry_says_what_a_doctor_chooses_by(practice: Practice) -> None:
    job = practice.red_case("c1", image_keys=["a", "b"])
    before = practice.listed()["cases"][0]
    assert before["ai"] is None
    assert before["job"] == {"state": "awaiting_files", "attempts": 0}
    practice.time += PHOTOS_WAIT_MS  # the photos do not come
    practice.worker().run(job)
    practice.claim("doc2")
    (entry,) = practice.listed()["cases"]
    stored = practice.fields("cases", "c1")
    assert entry == {
        "id": "c1",
        "scope_id": "team1",
        "patient_id": "p1",
        "chw_id": "chw1",
        "status": "PENDING_DIAGNOSIS",
        "risk_level": "red",
        "triage_final": "red",
        "reason": "waits",
        "changed": [],
        "deleted_at": None,
        "deleted_by": None,
        "rank": RED,
        "created_at": stored["created_at"],
        "last_modified_at": 1_000_000,
        "ai": {
            "status": "ok",
            "urgency": stored["ai_analysis"]["urgency"],
            "read_at": practice.time,
        },
        "job": {"state": "done", "attempts": 1},
        "images": 2,
        "thumbnail": None,
        "read_at": None,
        "patient": {"name": None, "age": 30, "sex": "female", "village": None},
        "worker": {"name": None, "phone": None},
        "claimed_by": "doc2",
        "claimed_name": None,
        "claimed_until": practice.time + CLAIM_MS,
        "signed_by": None,
        "signed_at": None,
        "diagnosis_id": None,
    }
    practice.time += CLAIM_MS
    assert practice.listed()["cases"][0]["claimed_by"] is None


# --- what changed


@dataclass
class Counted:
    """A store that counts its queries."""

    inner: RecordStore
    queries: int = 0

    def __getattr__(self, name: str) -> Any:
        return getattr(self.inner, name)

    def query(self, query: Query) -> Any:
        self.queries += 1
        return self.inner.query(query)


def test_an_idle_poll_reads_no_list(practice: Practice) -> None:
    practice.cases("red")
    since = practice.listed()["timestamp"]
    counted = Counted(practice.store)
    seen = WorkList(counted, CATALOG, unread_ms=UNREAD_MS)  # type: ignore[arg-type]
    answer = seen.cases(doctor(), worklist_query.WorklistQuery(since_ms=since), practice.time)
    assert (answer["changed"], answer["cases"], counted.queries) == (False, [], 0)
    assert answer["timestamp"] >= since


def changes(practice: Practice, what: str, job: str) -> None:
    if what == "edit":
        phone = practice.phone(device="other")
        phone.sync()
        phone.save("cases", "c1", at=practice.time // 1000, triage_data={"site": "leg"})
        phone.sync()
    elif what == "claim":
        practice.claim("doc2")
    elif what == "attempt":
        practice.worker().run(job)
    elif what == "diagnosis":
        practice.sign("doc2")
    else:
        practice.join("doc1", "team7", "doctor")


@pytest.mark.parametrize("what", ["edit", "claim", "attempt", "diagnosis", "membership"])
def test_a_poll_hears_of_everything_that_the_list_shows(practice: Practice, what: str) -> None:
    job = practice.red_case()
    pass_millisecond()
    since = practice.listed()["timestamp"]
    assert practice.listed(since_ms=since)["changed"] is False
    changes(practice, what, job)
    answer = practice.listed(since_ms=since)
    assert answer["changed"] is True
    assert [entry["id"] for entry in answer["cases"]] == ([] if what == "diagnosis" else ["c1"])


def test_changes_of_other_teams_are_none(practice: Practice) -> None:
    practice.cases("red")
    practice.join("chw2", "team2")
    since = practice.listed()["timestamp"]
    phone = practice.phone("chw2")
    phone.save("patients", "q1", at=1000, demographics={})
    phone.save("cases", "d1", at=1000, patient_id="q1", risk_level="red")
    phone.sync()
    assert practice.listed(since_ms=since)["changed"] is False


def test_a_time_of_a_history_that_is_gone_gets_the_whole_list(practice: Practice) -> None:
    practice.cases("red")
    since = practice.listed()["timestamp"]
    assert practice.listed(since_ms=since + 10**9)["changed"] is True
    practice.store.commit([put(EPOCH, {"started_at": since + 1}, None)])
    assert practice.listed(since_ms=since)["changed"] is True


# --- diagnoses that nobody has read


def signed_and_waiting(practice: Practice) -> int:
    """A signed case; when its diagnosis was committed, ms rounded up."""
    practice.red_case()
    practice.sign()
    version = practice.get("diagnoses", practice.sign()["id"])
    assert version is not None
    return -(-version.version // 1000)


def test_a_diagnosis_that_no_phone_was_given_is_listed_after_a_day(practice: Practice) -> None:
    signed_and_waiting(practice)
    practice.time += UNREAD_MS - 1
    assert practice.ids(unread=True) == []
    practice.time += 1
    assert practice.ids(unread=True) == ["c1"]


def test_a_diagnosis_that_a_phone_was_given_is_not_listed_and_is_not_asked_for_again(
    practice: Practice,
) -> None:
    at = signed_and_waiting(practice)
    practice.time += UNREAD_MS
    practice.handed_out("chw1", at - 2, "old")
    practice.handed_out("other", at + 10)
    assert practice.ids(unread=True) == ["c1"]
    practice.handed_out("chw1", at, "new")
    assert practice.ids(unread=True) == []
    have = practice.fields("reviews", "c1")
    assert (have.get("unread"), have["read_at"]) == (None, practice.time)


def test_diagnoses_that_no_phone_was_given_are_counted_over_all_teams(practice: Practice) -> None:
    at = signed_and_waiting(practice)
    practice.time += UNREAD_MS - 1
    assert practice.worklist().unread(practice.time) == 0
    practice.time += 1
    assert practice.worklist().unread(practice.time) == 1
    assert practice.worklist().unread(practice.time + 60 * 86_400_000) == 0
    practice.handed_out("chw1", at)
    assert practice.worklist().unread(practice.time) == 0


def test_pulls_of_other_teams_deliver_nothing_to_whom_left_the_team(practice: Practice) -> None:
    at = signed_and_waiting_for(practice, "chw1")
    practice.time += UNREAD_MS
    # given pulls of another team, before and after the health worker comes back
    practice.handed_out("chw1", at + 1)
    assert practice.ids(unread=True) == ["c1"]
    practice.join("chw1")
    assert practice.ids(unread=True) == ["c1"]
    # when a pull brings the team whole
    practice.handed_out("chw1", practice.time + 1)
    assert practice.ids(unread=True) == []


def signed_and_waiting_for(practice: Practice, chw: str) -> int:
    """The same, of a case whose health worker has left."""
    practice.red_case()
    practice.leave(chw)
    pass_millisecond()
    version = practice.get("diagnoses", practice.sign()["id"])
    assert version is not None
    return -(-version.version // 1000)


def test_a_delivery_stays_known_when_later_syncs_bring_nothing(practice: Practice) -> None:
    at = signed_and_waiting(practice)
    practice.handed_out("chw1", at)
    practice.time += 2 * UNREAD_MS
    practice.handed_out("chw1", None)
    assert practice.fields("devices", "chw1~phone")["attempt_at"] == practice.time
    assert practice.ids(unread=True) == []


@pytest.mark.parametrize("practice", ["sqlite"], indirect=True)  # the emulator needs no indexes
def test_the_lists_are_read_along_their_indexes(practice: Practice) -> None:
    assert isinstance(practice.store, SqliteStore)
    practice.red_case()
    # of several teams, too: SQLite would rather read whole teams and sort them
    for scope in ("team2", "team3", "team4", "team5"):
        practice.join("doc1", scope, "doctor")
    for table in ("reviews", "quarantine"):  # so that they are there
        practice.store.commit([put(Key(table, "another"), {}, None)])
    statements: list[str] = []
    with practice.store._connection() as db:
        db.set_trace_callback(statements.append)
    for asked in ({}, {"risk": "red"}, {"unread": True}):
        practice.listed(**asked)
    practice.worklist().totals(doctor("doc1"), None, practice.time)
    with practice.store._connection() as db:
        db.set_trace_callback(None)
        for index in ("q__cases__scope_id_asc__waits_asc", "q__reviews__scope_id_asc__unread_asc"):
            name = index.split("__")[1]
            queries = [s for s in statements if f"FROM {table_of(name)}" in s and "ORDER BY" in s]
            assert len(queries) == (2 if name == "cases" else 1)
            assert all(query.count(" UNION ALL ") == 4 for query in queries)
            for query in queries:
                plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}")]
                assert any(index in line for line in plan), plan
                assert not any("TEMP B-TREE" in line for line in plan), plan
        counts = [s for s in statements if s.startswith("SELECT count(*)")]
        assert len(counts) == 10
        for query in counts:
            plan = [row[3] for row in db.execute(f"EXPLAIN QUERY PLAN {query}")]
            searched = [line for line in plan if line.startswith(("SEARCH", "SCAN c__"))]
            assert searched, plan
            assert all(" INDEX q__" in line for line in searched), plan


def test_an_amended_diagnosis_is_unread_again(practice: Practice) -> None:
    at = signed_and_waiting(practice)
    practice.handed_out("chw1", at)
    practice.time += UNREAD_MS
    assert practice.ids(unread=True) == []
    first = practice.fields("reviews", "c1")["diagnosis_id"]
    practice.sign(key="k2", amends=first)
    practice.time += UNREAD_MS
    assert practice.ids(unread=True) == ["c1"]


def test_an_unread_diagnosis_is_not_shown_to_the_team_that_its_case_has_left(
    practice: Practice,
) -> None:
    signed_and_waiting(practice)
    practice.time += UNREAD_MS
    assert practice.ids(unread=True) == ["c1"]
    # its log entries follow a moment later
    practice.store.commit([patch(Key("cases", "c1"), {"scope_id": "team2"}, None)])
    assert practice.fields("reviews", "c1")["scope_id"] == "team1"
    assert practice.ids(unread=True) == []


def test_unread_diagnoses_come_in_pages_the_oldest_first(practice: Practice) -> None:
    for number in range(5):
        practice.red_case(f"c{number}")
        practice.time += HOUR
    for number in (3, 1, 4, 0, 2):
        practice.sign(case=f"c{number}", key=f"k{number}")
        practice.time += HOUR
    practice.time += UNREAD_MS
    assert every_page(practice, unread=True, limit=2) == ["c3", "c1", "c4", "c0", "c2"]


def test_marking_as_read_gives_way_to_whoever_works_on_the_case(practice: Practice) -> None:
    at = signed_and_waiting(practice)
    practice.time += UNREAD_MS
    practice.handed_out("chw1", at)
    first = itertools.count()

    def meanwhile(_writes: object) -> None:
        if next(first) == 0:
            practice.claim("doc2")

    seen = WorkList(Interrupted(practice.store, before=meanwhile), CATALOG, unread_ms=UNREAD_MS)
    assert (
        seen.cases(doctor(), worklist_query.WorklistQuery(unread=True), practice.time)["cases"]
        == []
    )
    assert practice.fields("reviews", "c1")["claimed_by"] == "doc2"
    assert practice.ids(unread=True) == []
    assert practice.fields("reviews", "c1").get("unread") is None


# --- one case


def test_a_case_shows_everything_about_it(practice: Practice) -> None:
    # given a case that was analysed, edited twice at once, and signed
    job = practice.red_case("c1", image_keys=["i1"])
    practice.time += PHOTOS_WAIT_MS
    practice.worker().run(job)
    one, two = practice.phone(device="one"), practice.phone(device="two")
    one.sync()
    two.sync()
    one.save("cases", "c1", at=3000, image_keys=["i1", "i2"], triage_data={"site": "arm", "n": 1})
    one.sync()
    two.save("cases", "c1", at=2000, image_keys=["i1", "i9"], triage_data={"site": "leg"})
    two.sync()
    practice.claim("doc1")
    signed = practice.sign(verdict="edit", verdict_text="Ring-shaped, so tinea")
    # then the doctor sees it whole
    shown = practice.detail("doc2")
    assert shown["case"]["triage_data"] == {"site": "arm", "n": 1}
    assert shown["case"]["image_keys"] == ["i1", "i2", "i9"]
    assert shown["case"]["ai_analysis"]["differential"]
    assert shown["patient"]["demographics"] == {"age": 30, "sex": "f"}
    (row,) = shown["diagnoses"]
    assert (row["id"], row["doctor_id"], row["verdict"]) == (signed["id"], "doc1", "edit")
    assert row["verdict_text"] == "Ring-shaped, so tinea"
    assert [entry["step"] for entry in shown["review"]["history"]] == ["claimed", "signed"]
    assert shown["review"]["claimed_by"] is None
    states = [entry["state"] for entry in shown["job"]["history"]]
    assert (shown["job"]["state"], states[0]) == (states[-1], "awaiting_files")
    (conflict,) = shown["conflicts"]
    assert conflict["yours"] == {"triage_data": '{"site":"leg"}'}
    assert conflict["theirs"] == {"triage_data": '{"n":1,"site":"arm"}'}


def test_a_case_shows_refused_versions_of_its_own_team_only(practice: Practice) -> None:
    practice.red_case()
    phone = practice.phone()
    phone.save("cases", "c1", at=5000, risk_level="red", image_keys=["k"] * 101)
    phone.sync()
    practice.join("chw2", "team2")
    stranger = practice.phone("chw2")
    stranger.save("cases", "c1", at=5000, patient_id="p1", triage_data={"site": "stranger"})
    stranger.sync()
    shown = practice.detail()["refused"]
    assert [entry["code"] for entry in shown] == ["too_long"]
    assert shown[0]["sent"]["image_keys"] == ["k"] * 101
    assert len(practice.all("quarantine")) == 2


def test_a_patient_of_another_team_is_not_shown(practice: Practice) -> None:
    practice.red_case()
    transfer.move(practice.store, CATALOG, Key("patients", "p1"), "team2", practice.time)
    assert practice.detail()["patient"] is None


@pytest.mark.parametrize("case", ["nobody", "__c1__", "a b", "c" * 129, "ü"])
def test_a_case_that_is_not_there_is_not_found(practice: Practice, case: str) -> None:
    with pytest.raises(NotFound):
        practice.detail(case=case)


def test_a_deleted_case_is_not_found(practice: Practice) -> None:
    practice.cases("green")
    phone = practice.phone()
    phone.sync()
    phone.delete("cases", "c0")
    phone.sync()
    with pytest.raises(NotFound):
        practice.detail(case="c0")


# --- what follows its case


def test_what_doctors_did_moves_with_the_case(practice: Practice) -> None:
    practice.red_case()
    practice.claim("doc1")
    transfer.move(practice.store, CATALOG, Key("patients", "p1"), "team2", practice.time)
    practice.follow()
    assert practice.fields("reviews", "c1")["scope_id"] == "team2"
    assert practice.fields("reviews", "c1")["claimed_by"] == "doc1"


def test_what_doctors_did_is_purged_with_the_case(practice: Practice) -> None:
    practice.red_case()
    practice.sign()
    phone = practice.phone()
    phone.sync()
    phone.delete("cases", "c1")
    phone.sync()
    Purger(practice.store, CATALOG, keep_days=180).purge(practice.time + 181 * 24 * HOUR)
    assert practice.all("reviews") == []


# --- what is asked


def sealed(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")


#: Page tokens that no list gave out.
FORGED = [
    "", "!", "ü", "AAAA", "===", "x" * 5000, sealed(None), sealed([]), sealed({}), sealed("cases"),
    sealed(["cases"]), sealed(["cases", 0, 1]), sealed(["cases", 0, 1, None]),
    sealed(["cases", "0", 1, "c1"]), sealed(["cases", True, 1, "c1"]), sealed(["cases", 0.5, 1, "c1"]),
    sealed(["cases", 0, 2**70, "c1"]), sealed(["cases", -1, 1, "c1"]), sealed(["cases", 0, 1, "__a__"]),
    sealed(["cases", 0, 1, 1, "c1"]), sealed(["unread", 1, "c1"]), sealed([["cases"], 0, 1, "c1"]),
    sealed(["cases", 0, 1, ["c1"]]), sealed(["cases", [0], 1, "c1"]),
]  # fmt: skip


@pytest.mark.parametrize("page", FORGED, ids=lambda text: text[:24])
def test_a_page_that_is_none_of_ours_is_refused_by_name(page: str) -> None:
    with pytest.raises(InvalidCursor) as caught:
        query_of({"page": page})
    assert caught.value.field == "page"


def test_a_page_of_one_list_is_none_of_the_other() -> None:
    good = sealed(["unread", 1, "c1"])
    assert query_of({"page": good, "unread": "1"}).behind == (1, "c1")
    with pytest.raises(InvalidCursor):
        query_of({"page": sealed(["cases", 0, 1, "c1"]), "unread": "1"})


@pytest.mark.parametrize(
    ("name", "value"),
    [("scope", "a b"), ("scope", ""), ("status", "pending"), ("status", ""), ("risk", "high"),
     ("unread", "yes"), ("limit", "0"), ("limit", "-1"), ("limit", "1.5"), ("limit", "٣"),
     ("limit", "9" * 30)],
)  # fmt: skip
def test_a_filter_that_makes_no_sense_is_refused_by_name(name: str, value: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        query_of({name: value})
    assert caught.value.field == name


@pytest.mark.parametrize(
    ("value", "code"),
    [("now", "invalid_cursor"), ("-1", "invalid_cursor"), ("1e12", "invalid_cursor"),
     ("9" * 30, "invalid_cursor"), ("1700000000", "time_in_seconds")],
)  # fmt: skip
def test_a_since_that_is_no_time_in_ms_is_refused_by_name(value: str, code: str) -> None:
    with pytest.raises(InvalidCursor) as caught:
        query_of({"since": value})
    assert (caught.value.field, caught.value.code) == ("since", code)


def test_a_list_is_never_longer_than_its_bound() -> None:
    assert query_of({"limit": "100000"}).limit == MOST
    assert query_of({}) == worklist_query.WorklistQuery()
