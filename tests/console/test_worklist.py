"""The list of what waits, in a doctor's browser: filters, what is new, claims, hostile texts, rights."""

from __future__ import annotations

import re
from collections.abc import Callable
from html import unescape
from typing import Any
from urllib.parse import urlencode

import pytest
from werkzeug.test import Client, TestResponse

from shared import wiring
from shared.products.dermadetect.pages import worklist
from shared.products.dermadetect.signal import RANKS
from shared.records import record
from shared.records.store import Key, patch, put
from tests.api.conftest import Api, StartApi, api, start_api

__all__ = ["StartApi", "api", "start_api"]

PASSWORD = "a rather long pass phrase"
HOUR = 3_600_000
LIST = "/console/cases"

HOSTILE = "<script>alert(1)</script>\"'>\u202e\u200f{{ 7*7 }} 👩🏽\u200d🌾 " + "x" * 5000


class Browser:
    """Somebody logged in."""

    def __init__(self, api: Api, user: str) -> None:
        self.client: Client = api.client("console")
        self.user = user
        page = self.get("/console/login")
        form = {"act": "log-in", "email": f"{user}@example.org", "password": PASSWORD}
        assert self.post("/console/login", form, page).status_code == 303

    def get(self, path: str, **headers: str) -> str:
        return self.ask(path, **headers).get_data(as_text=True)

    def ask(self, path: str, **headers: str) -> TestResponse:
        return self.client.get(path, base_url="https://localhost", headers=headers)

    def post(self, path: str, form: dict[str, str], page: str) -> TestResponse:
        """Send a form with the token of a page."""
        (token, *_) = re.findall(r'name="token" value="([^"]+)"', page)
        return self.client.post(
            path,
            base_url="https://localhost",
            data=urlencode({"token": token, **form}),
            content_type="application/x-www-form-urlencoded",
        )

    def act(self, name: str, case: str, path: str = LIST) -> TestResponse:
        """Press a button of a row."""
        return self.post(path, {"act": name, "case": case}, self.get(LIST))


Enter = Callable[..., Browser]


@pytest.fixture
def enter(api: Api) -> Enter:
    """Makes an account with a role in team1, and logs it in."""

    def made(user: str, role: str = "doctor", *scopes: str) -> Browser:
        name = f"Dr. {user.title()}"
        now_ms = wiring.clock_ms()
        wiring.accounts().administration.create(
            f"{user}@example.org", PASSWORD, now_ms, user_id=user, name=name
        )
        for scope in scopes or ("team1",):
            api.join(user, scope, role)
        # a client of its own: two people share no cookies
        api._clients.pop("console", None)
        return Browser(api, user)

    return made


def stored(name: str, rank: str = "yellow", scope: str = "team1", /, **more: Any) -> None:
    """A case that waits, as it stands in the store."""
    now_ms = wiring.clock_ms()
    fields = {
        record.SCOPE: scope,
        record.CREATED: now_ms - 2 * HOUR,
        record.MODIFIED: now_ms,
        record.WAITS: True,
        "_rank": RANKS[rank],
        "status": "PENDING_DIAGNOSIS",
        "patient_id": "p1",
        "chw_id": "chw1",
        "risk_level": "red",
        **more,
    }
    wiring.store().commit([put(Key("cases", name), fields, None)])


def person(name: str = "p1", scope: str = "team1", /, **demographics: Any) -> None:
    fields = {record.SCOPE: scope, "demographics": demographics}
    wiring.store().commit([put(Key("patients", name), fields, None)])


def rows(page: str) -> list[str]:
    return re.findall(r'<tr id="case-([^"]+)"', page)


def row(page: str, name: str) -> str:
    (found,) = re.findall(rf'<tr id="case-{name}".*?</tr>', page, re.DOTALL)
    return str(found)


def news(page: str) -> str:
    """Where a browser asks for what is new."""
    (found,) = re.findall(r'hx-get="([^"]+)"', page)
    return unescape(found)


def told(part: str) -> str:
    """What is read out."""
    found = re.findall(r'<div hx-swap-oob="innerHTML:#news">(.*?)</div>', part, re.DOTALL)
    return " ".join(re.sub(r"<[^>]+>", " ", "".join(found)).split())


def text(page: str) -> str:
    return " ".join(unescape(re.sub(r"<[^>]+>", " ", page)).split())


# --- what a row says


def test_a_row_says_who_waits_why_and_whom_to_call(enter: Enter) -> None:
    doctor = enter("neema")
    enter("chw1", "chw")
    store = wiring.store()
    (account,) = store.read([Key("accounts", "chw1")]).documents.values()
    store.commit([patch(account.key, {"phone": "+255712345678"}, account.version)])
    person(name="Juma Okello", age=34, sex="male", village="Kito")
    reading = {"status": "ok", "urgency": "soon", "triage_final": "yellow"}
    reading["provenance"] = {"read_at": wiring.clock_ms() - 5 * HOUR}  # type: ignore[assignment]
    stored("c1", "emergency", image_keys=["a", "b"], ai_analysis=reading)
    found = text(row(doctor.get(LIST), "c1"))
    for said in (
        "Emergency", "2 photos", "Juma Okello", "34 years, male, Kito", "2 hours", "Dr. Chw1",
        "+255712345678", "Soon: within 14 days", "read 5 hours ago", "Take",
    ):  # fmt: skip
        assert said in found, said
    assert f'href="{LIST}/c1"' in doctor.get(LIST)
    assert 'href="tel:+255712345678"' in doctor.get(LIST)


def test_a_row_says_what_changed_since_whose_signature(enter: Enter) -> None:
    doctor = enter("neema")
    for name, by in (("c1", "neema"), ("c2", "ali")):
        stored(name, status="DIAGNOSED", _changed_since=["risk_level", "image_keys", "new"])
        signed = {"signed_by": by, "signed_at": 1, record.SCOPE: "team1"}
        wiring.store().commit([put(Key("reviews", name), signed, None)])
    stored("c3", **{record.DELETED: wiring.clock_ms() - 3 * HOUR, record.DELETED_BY: "chw1"})
    page = doctor.get(LIST)
    assert "Changed since you signed: colour, photos" in text(row(page, "c1"))
    assert "Changed since it was signed: colour, photos" in text(row(page, "c2"))
    gone = text(row(page, "c3"))
    assert "Deleted 3 hours ago, while it waited, chw1" in gone
    assert "Take" not in gone


def test_texts_of_people_are_texts(enter: Enter) -> None:
    doctor = enter("neema")
    person(name=HOSTILE, village=HOSTILE, age=10**6, sex=HOSTILE)
    stored("c1", chw_id=HOSTILE, ai_analysis={"status": HOSTILE, "urgency": HOSTILE},
           _changed_since=[HOSTILE], _deleted_by=HOSTILE, status="DIAGNOSED")  # fmt: skip
    stored("c2", patient_id=HOSTILE, chw_id=None)
    page = doctor.get(LIST)
    assert rows(page) == ["c1", "c2"]
    assert "<script>alert" not in page
    assert "{{ 7*7 }}" in unescape(page)
    assert "style=" not in page
    # each stands in an element of its own direction
    for name in re.findall(r".{60}&lt;script&gt;", page, re.DOTALL):
        assert '<bdi class="theirs">' in name or "alert" not in name, name


# --- filters


def test_chips_count_and_lead_to_what_they_count(enter: Enter) -> None:
    doctor = enter("neema")
    for number, word in enumerate(("emergency", "red", "red", "look", "yellow", "green")):
        stored(f"c{number}", word, **{record.CREATED: wiring.clock_ms() - HOUR + number})
    stored("c6", "yellow", status="DIAGNOSED", _changed_since=["risk_level"])
    assert doctor.act("claim", "c3").status_code == 303
    page = doctor.get(LIST)
    assert rows(page) == ["c0", "c1", "c2", "c3", "c6", "c4", "c5"]
    chips = re.findall(r'<a id="chip-(\w+)" class="[^"]*" href="([^"]+)"[^>]*>[^<]*<b>(\d+)', page)
    assert len(chips) == 8
    for word, where, count in chips:
        shown = doctor.get(unescape(where))
        assert len(rows(shown)) == int(count) > 0, word
        assert re.search(rf'id="chip-{word}"[^>]*aria-current="true"', shown), word


def test_filters_ask_the_api_and_stay_in_links(enter: Enter) -> None:
    doctor = enter("neema", "doctor", "team1", "team2")
    stored("c1", chw_id="chw2", patient_id="p2")
    stored("c2", "yellow", "team2")
    stored("c3", status="DIAGNOSED", **{record.WAITS: None})
    stored("c4", **{record.CREATED: 1_772_366_400_000})  # 2026-03-01
    for query, expected in (
        ("scope=team2", ["c2"]),
        ("worker=chw2", ["c1"]),
        ("patient=p2", ["c1"]),
        ("status=DIAGNOSED", ["c3"]),
        ("last_day=2026-03-01", ["c4"]),
        ("first_day=2026-03-02&last_day=", ["c1", "c2"]),
        ("risk=&worker=&first_day=&last_day=&status=PENDING_DIAGNOSIS", ["c4", "c1", "c2"]),
    ):
        page = doctor.get(f"{LIST}?{query}")
        assert rows(page) == expected, query
        # the form of the row leads back to the same list
        for where in re.findall(r'<form method="post" class="inline" action="([^"]+)"', page):
            assert rows(doctor.get(unescape(where))) == expected, query


@pytest.mark.parametrize(
    "query",
    ["risk=purple", "status=x", "first_day=yesterday", "scope=a%20b", "page=x", "mine=2",
     "worker=%3Cscript%3E", "first_day=2026-03-02&last_day=2026-03-01", "unknown=1",
     "changed=1&status=DIAGNOSED"],
)  # fmt: skip
def test_a_crooked_filter_gets_a_clear_answer(enter: Enter, query: str) -> None:
    answer = enter("neema").ask(f"{LIST}?{query}")
    assert answer.status_code == 400
    assert 'role="alert"' in answer.get_data(as_text=True)
    assert "<script>" not in answer.get_data(as_text=True)


def test_pages_go_on_where_the_last_one_ended(enter: Enter) -> None:
    doctor = enter("neema")
    for number in range(53):
        stored(f"c{number:02}", **{record.CREATED: number + 1})
    page = doctor.get(LIST)
    assert rows(page) == [f"c{number:02}" for number in range(50)]
    (more,) = re.findall(r'<p class="more"><a class="button" href="([^"]+)"', page)
    assert rows(doctor.get(unescape(more))) == ["c50", "c51", "c52"]


# --- what is new


def ask_news(doctor: Browser, page: str) -> TestResponse:
    return doctor.client.get(
        news(page), base_url="https://localhost", headers={"HX-Request": "true"}
    )


def test_what_did_not_change_is_not_shown_again(enter: Enter) -> None:
    doctor = enter("neema")
    stored("c1")
    page = doctor.get(LIST)
    for _ in range(2):
        answer = ask_news(doctor, page)
        assert (answer.status_code, answer.get_data()) == (204, b"")


def test_a_new_case_comes_by_itself_and_is_told(enter: Enter) -> None:
    doctor = enter("neema")
    stored("c1")
    page = doctor.get(LIST)
    stored("c2", "green")
    part = ask_news(doctor, page).get_data(as_text=True)
    assert rows(part) == ["c1", "c2"]
    assert told(part) == "1 new case"
    assert ("New" in row(part, "c2"), "New" in row(part, "c1")) == (True, False)
    # once: what it brought is known from then on
    assert ask_news(doctor, part).status_code == 204
    stored("c3", "red")
    stored("c4", "emergency")
    stored("c5", "green")
    part = ask_news(doctor, part).get_data(as_text=True)
    assert told(part) == "2 new urgent cases 1 new case"
    # a case that somebody takes is no new one
    assert doctor.act("claim", "c3").status_code == 303
    part = ask_news(doctor, part).get_data(as_text=True)
    assert (told(part), "You" in row(part, "c3")) == ("", True)


def test_what_moves_up_from_the_next_page_is_not_new(enter: Enter) -> None:
    doctor = enter("neema")
    for number in range(52):
        stored(f"c{number:02}", **{record.CREATED: 1000 * number + 1000})
    page = doctor.get(LIST)
    store = wiring.store()
    store.commit([patch(Key("cases", "c00"), {record.WAITS: None}, None)])
    part = ask_news(doctor, page).get_data(as_text=True)
    assert rows(part)[-1] == "c50"
    assert told(part) == ""
    # but what comes in the middle is
    stored("d1", **{record.CREATED: 5500})
    part = ask_news(doctor, part).get_data(as_text=True)
    assert (rows(part)[4], told(part)) == ("d1", "1 new case")


@pytest.mark.parametrize("of", ["mine=1", "risk=green", "page"])
def test_an_urgent_case_is_told_where_it_is_not_shown(enter: Enter, of: str) -> None:
    doctor = enter("neema")
    for number in range(51):
        stored(f"c{number:02}", "green", **{record.CREATED: number + 1})
    page = doctor.get(f"{LIST}?{of}" if of != "page" else LIST)
    if of == "page":
        (more,) = re.findall(r'<p class="more"><a class="button" href="([^"]+)"', page)
        page = doctor.get(unescape(more))
        assert ask_news(doctor, page).status_code == 204
    shown = rows(page)
    stored("d1", "red")
    part = ask_news(doctor, page).get_data(as_text=True)
    assert rows(part) == shown
    assert told(part).startswith("A new urgent case waits that is not shown here.")
    assert "(1)" in part.partition("</title>")[0]


def test_a_list_is_shown_anew_before_its_times_are_wrong(
    enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    doctor = enter("neema")
    stored("c1")
    page = doctor.get(LIST)
    monkeypatch.setattr(worklist, "_STALE_MS", 0)
    answer = ask_news(doctor, page)
    assert (answer.status_code, told(answer.get_data(as_text=True))) == (200, "")


def test_who_comes_to_the_part_by_a_link_gets_the_list(enter: Enter) -> None:
    doctor = enter("neema")
    stored("c1", "red")
    page = doctor.get(f"{LIST}?risk=red")
    answer = doctor.ask(news(page))
    assert (answer.status_code, answer.headers["Location"]) == (303, f"{LIST}?risk=red")


@pytest.mark.parametrize(
    "query",
    ["since=x", "since=-1", "end=1", "end=1-x", "urgent=-1", "shown=" + "x" * 5000, "since=5"],
)
def test_a_crooked_question_for_news_is_refused(enter: Enter, query: str) -> None:
    doctor = enter("neema")
    path = f"/console/cases-news?{query}"
    answer = doctor.client.get(path, base_url="https://localhost", headers={"HX-Request": "1"})
    assert answer.status_code == (200 if query == "since=5" else 400)


# --- claims


def test_of_two_doctors_the_second_is_told_who_was_first(enter: Enter) -> None:
    neema, ali = enter("neema"), enter("ali")
    stored("c1")
    first = neema.act("claim", "c1", f"{LIST}?risk=yellow")
    assert (first.status_code, first.headers["Location"]) == (303, f"{LIST}?risk=yellow#case-c1")
    page = neema.get(LIST)
    assert "You have this case in hand until" in text(page)
    assert "You until" in text(row(page, "c1"))
    second = ali.act("claim", "c1")
    assert second.status_code == 409
    page = second.get_data(as_text=True)
    assert "Another doctor has this case in hand." in page
    assert text(page).count("Dr. Neema") == 2
    assert "Take" not in row(page, "c1")
    # she gives it back, and he takes it
    assert ali.act("release", "c1").status_code == 409
    assert neema.act("release", "c1").status_code == 303
    assert ali.act("claim", "c1").status_code == 303
    assert "Dr. Ali" in row(neema.get(LIST), "c1")


def test_a_supervisor_sees_the_list_and_takes_nothing(enter: Enter) -> None:
    boss = enter("boss", "supervisor")
    stored("c1")
    assert "Take" not in row(boss.get(LIST), "c1")
    assert boss.act("claim", "c1").status_code == 403


@pytest.mark.parametrize("case", ["c9", "../../auth/me", "a b", "x" * 200])
def test_a_case_that_is_not_there_is_refused(enter: Enter, case: str) -> None:
    assert enter("neema").act("claim", case).status_code in (400, 404)


@pytest.mark.parametrize("page", ["cases", "cases-news", "unread", "my-numbers"])
def test_no_health_worker_and_no_stranger_opens_a_doctor_s_page(enter: Enter, page: str) -> None:
    stored("c1")
    for role in ("chw", "member"):
        answer = enter(role, role).ask(f"/console/{page}")
        assert answer.status_code == 403
        assert "case-c1" not in answer.get_data(as_text=True)
    stranger = enter("other")
    stranger.client.delete_cookie("__Host-session", domain="localhost")
    answer = stranger.ask(f"/console/{page}")
    assert (answer.status_code, answer.headers["Location"].partition("?")[0]) == (
        303,
        "/console/login",
    )


def test_a_doctor_of_another_team_sees_nothing_of_this_one(enter: Enter) -> None:
    stored("c1")
    other = enter("zainab", "doctor", "team2")
    assert rows(other.get(LIST)) == []
    assert other.act("claim", "c1").status_code == 404
    assert other.ask(f"{LIST}?scope=team1").status_code == 404
