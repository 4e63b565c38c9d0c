"""Pages for a circle: what they show, what they write, and who may; in a browser without script."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from infra import messages
from shared import wiring
from shared.console.page import HOME
from shared.products.medmind import alerts
from shared.products.medmind.pages.words import INSTEAD
from shared.records.store import Key, put
from tests.api.conftest import StartApi
from tests.console.browser_in_process import Seen
from tests.medmind.at_home import Home, home

KOLKATA = ZoneInfo("Asia/Kolkata")

PAGES = (
    "today",
    "today?day=2037-03-10",
    "week",
    "plan",
    "plan/new",
    "people",
    "circles",
    "patient",
)

METFORMIN = "demo-metformin-plan-item"


def at(text: str) -> int:
    """A moment of the patient's clock, Unix ms."""
    return round(datetime.fromisoformat(text).replace(tzinfo=KOLKATA).timestamp() * 1000)


@pytest.fixture
def circle(start_api: StartApi, tmp_path: Path) -> Home:
    """Monday, 9 March 2037, half past seven in the morning."""
    return home(start_api, tmp_path, at("2037-03-09T07:30"))


@pytest.mark.parametrize("user", ["demo-daughter", "demo-doctor", "demo-grandmother"])
def test_every_page_is_shown_to_everybody_of_the_circle(circle: Home, user: str) -> None:
    for page in PAGES:
        seen = circle.open(page, user)
        assert seen.status == 200, (page, seen.text)
        assert "team" not in seen.text.casefold(), page


@pytest.mark.parametrize("language", ["ru", "ar", "hi"])
def test_every_page_speaks_the_language_that_is_chosen(circle: Home, language: str) -> None:
    circle.move(at("2037-03-09T09:05"))
    circle.run()
    circle.act("choose", circle.open("today"), language=language)
    for page in (*PAGES, f"plan/{METFORMIN}"):
        seen = circle.open(page)
        assert seen.status == 200, (page, seen.text)
        assert f'<html lang="{language}"' in seen.html
        for english in ("Care", "Today", "missed", "tablets", "The patient", "circle"):
            assert english not in seen.text.replace("Demo", ""), (page, english)


def test_a_patient_notes_doses_and_changes_no_plan(circle: Home) -> None:
    assert circle.open("today", "demo-grandmother").forms("say")
    seen = circle.open(f"plan/{METFORMIN}?scope=demo", "demo-grandmother")
    assert [each.act for each in seen.forms()] == ["choose", "log-out"]
    assert [each.act for each in circle.open("plan", "demo-grandmother").forms()] == [
        "choose",
        "log-out",
    ]


def test_a_stranger_sees_nothing_of_a_circle(circle: Home) -> None:
    for page in PAGES:
        seen = circle.open(page, "carl")
        assert "Kamala" not in seen.text, page
        assert "Metformin" not in seen.text, page
    item = f"plan/{METFORMIN}"
    for page in ("today", "week", "calls", "said", "plan", "people", "patient", "plan/new", item):
        assert circle.open(f"{page}?scope=demo", "carl").status == 404, page
    for path in ("doses", "plan", "devices", "alerts", "said"):
        assert circle.ask(f"/api/v1/circle/{path}?scope=demo", "carl") == 404
    body = {"columns": {}, "item_id": METFORMIN}
    assert circle.ask("/api/v1/circle/plan/preview", "carl", body) == 404


def test_a_device_is_shown_no_pages_data(circle: Home) -> None:
    circle.api.join("table-1", "demo", "device")
    assert circle.ask("/api/v1/circle/doses?scope=demo", "table-1") == 404


def test_a_dose_is_noted_as_taken_and_taken_back(circle: Home) -> None:
    circle.move(at("2037-03-09T08:10"))
    seen = circle.open("today")
    assert "Next: Metformin" in seen.text
    seen = circle.act("say", seen)  # the first: 08:00
    assert "on time" in seen.text
    assert "you : taken 08:10" in seen.text
    circle.run()
    [dose] = [each for each in circle.doses() if each["id"] == f"{METFORMIN}_20370309_0"]
    assert (dose["state"], dose["said"][0]["by"]) == ("on_time", "demo-daughter")
    seen = circle.act("undo", seen)
    assert "(taken back)" in seen.text
    assert "due now" in seen.text


def test_a_form_that_is_sent_twice_is_one_event(circle: Home) -> None:
    circle.move(at("2037-03-09T08:10"))
    form = circle.open("today")
    for _ in range(2):
        assert "It is noted." in circle.act("say", form).text
    assert sum(len(each["said"]) for each in circle.doses()) == 1


def test_she_took_it_on_time_though_it_counts_as_missed(circle: Home) -> None:
    circle.move(at("2037-03-09T11:00"))
    circle.run()
    seen = circle.open("today")
    assert "missed" in seen.text
    form = next(each for each in seen.forms("say") if "time" in each.names)
    fields = {**form.fields, "time": "08:20"}
    seen = circle.browser("demo-daughter").post(f"{HOME}/today", fields)
    assert "It counted as missed until" in seen.text
    [dose] = [each for each in circle.doses() if each["id"] == fields["dose"]]
    assert (dose["state"], dose["amended_at"] is not None) == ("on_time", True)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"kind": "skipped", "reason": " "}, "reason"),
        ({"time": "23:00"}, "time"),
        ({"time": "yesterday"}, "time"),
        ({"dose": f"{METFORMIN}_20370301_0"}, "dose"),
        ({"kind": "thrown away"}, "kind"),
    ],
)
def test_what_cannot_be_noted_is_said(circle: Home, fields: dict[str, str], field: str) -> None:
    circle.move(at("2037-03-09T08:10"))
    form = next(each for each in circle.open("today").forms("say") if "time" in each.names)
    seen = circle.browser("demo-daughter").post(f"{HOME}/today", {**form.fields, **fields})
    assert seen.status in (400, 404)
    assert field in seen.text
    assert not [each for each in circle.doses() if each["said"]]


def test_the_week_says_its_states_in_words_and_counts(circle: Home) -> None:
    circle.move(at("2037-03-09T08:10"))
    circle.act("say", circle.open("today"))
    circle.move(at("2037-03-10T12:00"))
    circle.run()
    seen = circle.open("week")
    for words in ("on time", "missed", "to come", "Metformin 500 mg", "The week before"):
        assert words in seen.text, words
    # metformin of Saturday on time and late, of Sunday skipped and missed, of Monday on time and missed, of
    # today missed; the vitamin of Monday taken
    assert "3 of 8 taken" in seen.text
    assert "skipped: 1" in seen.text
    assert 'class="chart"' in seen.html
    assert circle.open("week?last=2037-03-01").status == 200
    assert circle.open("week?last=tomorrow").status == 400


CHANGE = {"times": "09:00, 20:00"}


def test_nothing_is_kept_that_was_not_looked_at(circle: Home) -> None:
    page = f"plan/{METFORMIN}?scope=demo"
    form = next(each for each in circle.open(page).parsed.forms if "times" in each.names)
    fields = {**form.fields, **CHANGE}
    browser = circle.browser("demo-daughter")
    where = f"{HOME}/{page}"
    before = circle.ask("/api/v1/circle/plan?scope=demo")
    # kept without a look: it is shown first
    seen = browser.post(where, {**fields, "act": "save"})
    assert "The next 14 days, if you keep this" in seen.text
    assert circle.ask("/api/v1/circle/plan?scope=demo") == before
    shown = next(each for each in seen.parsed.forms if "seen" in each.fields)
    # changed after the look: it is shown again
    other = browser.post(where, {**shown.fields, "act": "save", "times": "10:00"})
    assert "The next 14 days, if you keep this" in other.text
    assert circle.ask("/api/v1/circle/plan?scope=demo") == before
    kept = browser.post(where, {**shown.fields, "act": "save"})
    assert "It is kept." in kept.text
    assert "09:00, 20:00" in kept.text


def test_a_medicine_is_paused_and_goes_on(circle: Home) -> None:
    for words, doses in (("It is paused.", 0), ("It goes on.", 2)):
        seen = circle.act("pause", circle.open("plan"))
        assert words in seen.text
        circle.run()
        found = [each for each in circle.doses() if each["item_id"] == METFORMIN]
        assert len(found) == doses


def test_a_change_shows_which_doses_come_and_go(circle: Home) -> None:
    columns = {"times": ["09:00"]}
    body = {"columns": columns, "item_id": METFORMIN}
    found = circle.ask("/api/v1/circle/plan/preview", body=body)
    moved = [each for each in found["doses"] if each["at"] and each["at"] != each["was"]]
    gone = [each for each in found["doses"] if each["at"] is None]
    assert (len(moved), len(gone)) == (15, 15)
    assert moved[0]["at"] == at("2037-03-09T09:00")
    assert moved[0]["was"] == at("2037-03-09T08:00")


def test_the_preview_is_what_then_comes(circle: Home) -> None:
    """The job makes the doses that the preview showed, for every kind of days."""
    kinds: list[dict[str, Any]] = [
        {"frequency": "daily", "times": ["09:00", "13:00"]},
        {"frequency": "every_n_days", "every": 2},
        {"frequency": "weekly", "weekdays": ["monday", "thursday"]},
        {"frequency": "monthly", "starts_on": "2037-01-31"},
        {"paused": True},
        {"frequency": "as_needed", "most_a_day": 4},
        {"ends_on": "2037-03-12", "paused": False, "frequency": "daily"},
    ]
    for columns in kinds:
        body = {"columns": columns, "item_id": METFORMIN}
        shown = circle.ask("/api/v1/circle/plan/preview", body=body)["doses"]
        circle.push(medication_plan_items=[{"id": METFORMIN, "changed": [*columns], **columns}])
        circle.run()
        days = {"first_day": "2037-03-09", "last_day": "2037-03-23"}
        have = [each["due_at"] for each in circle.doses(**days) if each["item_id"] == METFORMIN]
        assert have == [each["at"] for each in shown if each["at"]], columns


def test_a_new_medicine_and_the_next_step_of_its_taper(circle: Home) -> None:
    browser = circle.browser("demo-daughter")
    fields = {
        "name": "Prednisolone",
        "amount": "10,5",
        "unit": "mg",
        "times": "8.30",
        "starts_on": "2037-03-10",
        "ends_on": "2037-03-14",
    }
    seen = looked(circle, "plan/new?scope=demo", **fields)
    assert "5 doses would come." in seen.text
    shown = next(each for each in seen.parsed.forms if "seen" in each.fields)
    seen = browser.post(f"{HOME}/plan/new?scope=demo", {**shown.fields, "act": "save"})
    assert "Prednisolone" in seen.text
    [link] = [each for each in seen.parsed.links if "plan=" in each and shown.fields["id"] in each]
    step = {"name": "Prednisolone", "amount": "5", "times": "8:30", "starts_on": "2037-03-15"}
    seen = looked(circle, link.removeprefix(f"{HOME}/"), **step)
    shown = next(each for each in seen.parsed.forms if "seen" in each.fields)
    seen = browser.post(f"{HOME}/{link.removeprefix(f'{HOME}/')}", {**shown.fields, "act": "save"})
    plan = circle.ask("/api/v1/circle/plan?scope=demo")["medicines"]
    [made] = [each for each in plan if each["medication"]["name"] == "Prednisolone"]
    assert [each["record"]["amount"] for each in made["items"]] == [10.5, 5]


def looked(circle: Home, page: str, **fields: str) -> Seen:
    """The form of an item, filled in, and what it would do."""
    form = next(each for each in circle.open(page).parsed.forms if "times" in each.names)
    sent = {**form.fields, **fields, "act": "look"}
    return circle.browser("demo-daughter").post(f"{HOME}/{page}", sent)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"times": "25:00"}, "times"),
        ({"times": ""}, "times"),
        ({"starts_on": "soon"}, "starts_on"),
        ({"amount": "two"}, "amount"),
        ({"frequency": "hourly"}, "frequency"),
        ({"every": "1e9"}, "every"),
    ],
)
def test_a_plan_that_cannot_be_read_is_said_and_what_was_typed_stays(
    circle: Home, fields: dict[str, str], field: str
) -> None:
    page = f"plan/{METFORMIN}?scope=demo"
    seen = looked(circle, page, **{"reason": "typed words", **fields})
    assert seen.status == 400
    assert field in seen.text
    assert "typed words" in seen.html


def test_a_device_is_let_in_by_a_picture_and_put_out(circle: Home) -> None:
    seen = circle.act("invite", circle.open("people"))
    assert "It is shown only now." in seen.text
    assert "<svg" in seen.html
    circle.api.join("table-1", "demo", "device")
    seen = circle.open("people")
    assert "never heard of" in seen.text
    for left in (1, 0):
        seen = circle.act("replace", circle.open("people"))
        assert "It is shown only now." in seen.text
        assert len(circle.ask("/api/v1/circle/devices?scope=demo")["devices"]) == left
    token = seen.form("invite").fields["token"]
    forged = {"token": token, "act": "put-out", "id": "demo-doctor"}
    assert circle.browser("demo-daughter").post(f"{HOME}/people", forged).status == 404


def test_who_is_in_several_circles_chooses_one(circle: Home) -> None:
    circle.api.join("demo-daughter", "others", "caregiver")
    seen = circle.open("today")
    assert seen.where.endswith("/circles")
    assert "Kamala" in seen.text
    assert any("today?scope=others" in each for each in seen.parsed.links)


def test_those_whose_doses_are_fewer_come_first(circle: Home) -> None:
    circle.move(at("2037-03-09T08:10"))
    for _ in range(2):
        circle.act("say", circle.open("today"))
    circle.move(at("2037-03-18T09:30"))
    circle.run()
    seen = circle.open("circles", "demo-doctor")
    assert "needs somebody" in seen.text
    assert "That is less than the week before" in seen.text


def test_what_was_looked_at_is_in_the_trail(circle: Home) -> None:
    circle.open("today", "demo-doctor")
    circle.open("plan", "demo-doctor")
    trail = circle.open("account/trail", "demo-doctor").text
    assert "looked at doses" in trail
    assert "looked at the plan" in trail


def raised(circle: Home, kind: str, subject: str, severity: str = "urgent") -> None:
    store = wiring.store()
    store.commit(alerts.raised(kind, subject, "demo", wiring.clock_ms(), severity))
    circle.run()


def test_who_looks_after_a_call_says_so_with_one_click(circle: Home) -> None:
    circle.move(at("2037-03-09T09:05"))
    circle.run()
    raised(circle, "low_stock", "demo-vitamin-d", "notice")
    assert "calls for help are open" in circle.open("today").text
    seen = circle.open("calls", "demo-doctor")
    assert "A dose was missed: Metformin" in seen.text
    assert "due at Mon, Mar 9, 08:00" in seen.text
    assert "A medicine runs low: Vitamin D" in seen.text
    before = circle.ask("/api/v1/circle/alerts?scope=demo")["open"]
    for _ in range(2):  # sent twice
        again = circle.act("look-after", seen, "demo-doctor")
    circle.run()
    assert "Noted: you look after it." in again.text
    found = circle.ask("/api/v1/circle/alerts?scope=demo")
    [mine] = [each["alert"] for each in found["alerts"] if each["alert"]["acknowledged_by"]]
    assert (found["open"], mine["acknowledged_by"]) == (before - 1, "demo-doctor")
    assert "Demo-Doctor looks after it since" in circle.open("calls").text
    # nobody has a phone, and no mail is sent
    assert "Nobody could be told of it so far." in circle.open("calls").text
    assert not circle.open("calls", "demo-grandmother").forms("look-after")


def test_a_doctor_takes_a_report_along(circle: Home) -> None:
    page = circle.open("patient?scope=demo", "demo-doctor")
    seen = circle.act("report", page, "demo-doctor", language="ru")
    assert seen.response.data.startswith(b"%PDF-")
    assert seen.response.headers["Content-Type"] == "application/pdf"
    again = circle.act("report", page, "demo-doctor", first_day="soon")
    assert again.status == 400
    assert not circle.open("patient", "demo-grandmother").forms("report")


def test_how_one_is_told_is_chosen(circle: Home) -> None:
    form = circle.open("telling")
    seen = circle.act("save", form, quiet_from="22:00", quiet_to="07:00", digest="18:00", turn="2")
    assert "It is kept." in seen.text
    said = circle.ask("/api/v1/notifications/settings")
    assert (said["ways"], said["turn"], said["digest"]["at"]) == (["phone", "mail"], 2, "18:00")
    assert said["quiet_hours"]["from"] == "22:00"
    again = circle.act("save", seen, quiet_from="22:00", quiet_to="")
    assert again.status == 400
    assert 'value="22:00"' in again.html


def test_what_was_said_is_shown_in_the_patients_words(circle: Home) -> None:
    at_ms = wiring.clock_ms()
    about = {"scope_id": "demo", "at": at_ms}
    symptom = {"what": "dizzy", "severity": "very", "since": "yesterday", "quote": HOSTILE}
    question = {"question": "with milk?", "answered_from": "carer", "said": "I ask your daughter"}
    uttered = {"heard": "I am dizzy", "danger": ["fall"], "said": "I tell your daughter"}
    rows: dict[str, Any] = {"symptom_logs": symptom, "medication_question_logs": question}
    rows["interaction_logs"] = uttered
    wiring.store().commit(
        [put(Key(table, "x1"), {**about, **row}, None) for table, row in rows.items()]
    )
    seen = circle.open("said", "demo-doctor")
    for words in ("dizzy · very · since: yesterday", "with milk?", "answer it, please", "danger"):
        assert words in seen.text, (words, seen.text)
    assert "<script>alert" not in seen.html
    assert "dizzy" in circle.open("patient", "demo-doctor").text
    assert "looked at what the patient said" in circle.open("account/trail", "demo-doctor").text


HOSTILE = "<script>alert(1)</script>\u202e" + "a\u0301" * 40 + "%(num)s {{7*7}}"


def test_hostile_texts_break_no_page(circle: Home) -> None:
    circle.push(
        patients=[{"id": "demo", "name": HOSTILE, "time_zone": "Nowhere/At all", "note": HOSTILE}],
        medications=[{"id": "demo-metformin", "name": HOSTILE, "strength": HOSTILE[:60]}],
        medication_plan_items=[
            {"id": METFORMIN, "unit": HOSTILE[:40], "with_meal": HOSTILE[:60], "every": 366}
        ],
        dose_events=[
            {
                "id": "e1",
                "dose_id": f"{METFORMIN}_20370309_0",
                "kind": "skipped",
                "at": 1,
                "reason": HOSTILE,
            }
        ],
    )
    circle.run()
    for page in (*PAGES, f"plan/{METFORMIN}"):
        seen = circle.open(page)
        assert seen.status == 200, (page, seen.text)
        assert "<script>alert" not in seen.html
        assert "{{7*7}}" in seen.text or "alert(1)" not in seen.text


def test_the_frame_says_circle_where_it_says_team_elsewhere() -> None:
    known = {each.id for each in messages.gathered(next(messages.folders()))}
    assert set(INSTEAD) <= known
