"""An alert is one whatever is repeated, goes from step to step, and ends when somebody looks after it."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path

import pytest

from shared.adapters.sqlite import SqliteStore
from shared.errors import HookFault, MailFault, NotifyFault
from shared.jobs import job as jobs
from shared.notify.notice import NOT_TAKEN
from shared.products.medmind import alert_settings
from shared.products.medmind.alert_sending import SHOW
from shared.products.medmind.alert_tables import (
    ALERTS,
    DELIVERIES,
    EMERGENCY,
    NOTICE,
    SEVERITIES,
    STEPS,
    URGENT,
)
from shared.products.medmind.escalation import LEAD_MS, TABLE, due_ms
from tests import stores
from tests.hooks.conftest import Seen
from tests.hooks.test_deliver import is_signed
from tests.medmind.alerting import DAY, HOUR, MINUTE, Circle, at
from tests.notify.post import Killed
from tests.stores import Interrupted

NOON = at("2027-07-05T12:00")
NIGHT = ("22:00", "07:00", "Europe/Berlin")


@pytest.fixture(params=stores.BOTH)
def anywhere(request: pytest.FixtureRequest, tmp_path: Path) -> Circle:
    """On both stores."""
    return Circle(stores.fresh(request.param, request, tmp_path), NOON)


@pytest.fixture
def circle(tmp_path: Path) -> Circle:
    return Circle(SqliteStore(tmp_path / "records.db"), NOON)


# --- the row


def test_raised_twice_it_is_one_alert(anywhere: Circle) -> None:
    circle = anywhere
    alert = circle.raises(NOTICE)
    circle.sweep()
    circle.time += MINUTE
    assert circle.raises(NOTICE) == alert
    circle.sweep()
    [row] = circle.all(ALERTS)
    assert row.fields["raised_at"] == NOON
    assert circle.all("alert_news") == []
    assert sorted(token for _, token in circle.told()) == ["anna-phone", "kamala-phone"]


def test_what_has_become_worse_is_told_anew_and_never_gets_better(circle: Circle) -> None:
    alert = circle.raises(NOTICE)
    circle.until(NOON + 10 * MINUTE)
    circle.raises(EMERGENCY)
    circle.until(NOON + 11 * MINUTE)
    circle.raises(NOTICE)
    circle.until(NOON + 20 * MINUTE)
    assert circle.row(alert)["severity"] == EMERGENCY
    assert circle.told(NOON) == [
        *[(0, "kamala-phone"), (0, "anna-phone")],
        *[(10, "kamala-phone"), (10, "anna-phone"), (12, "boris-phone"), (15, "rao-phone")],
    ]


@pytest.mark.parametrize("order", [(EMERGENCY, NOTICE), (NOTICE, EMERGENCY)])
def test_what_was_raised_twice_before_anybody_looked_is_as_bad_as_the_worst(
    circle: Circle, order: tuple[str, str]
) -> None:
    for severity in order:
        alert = circle.raises(severity)
    circle.sweep()
    assert circle.row(alert)["severity"] == EMERGENCY
    assert circle.all("alert_news") == []


def test_the_earliest_acknowledgement_counts_in_any_order(anywhere: Circle) -> None:
    circle = anywhere
    alert = circle.raises()
    circle.sweep()
    circle.time += HOUR
    assert circle.act("rao", "a1", alert, NOON + 40 * MINUTE, note="called her") == []
    circle.sweep()
    assert circle.row(alert)["acknowledged_by"] == "rao"
    circle.act("anna", "a2", alert, NOON + 20 * MINUTE, note="went there")
    circle.act("boris", "a3", alert, NOON + 50 * MINUTE)
    circle.sweep()
    row = circle.row(alert)
    assert (row["state"], row["acknowledged_by"], row["note"]) == (
        "acknowledged",
        "anna",
        "went there",
    )
    assert row["acknowledged_at"] == NOON + 20 * MINUTE
    circle.raises(EMERGENCY)
    circle.sweep()
    assert circle.row(alert)["state"] == "acknowledged"


def test_a_patient_does_not_call_off_what_carers_are_told(circle: Circle) -> None:
    alert = circle.raises(EMERGENCY, "call_for_help")
    circle.sweep()
    assert circle.act("kamala", "a1", alert) == ["a1"]
    assert circle.act("anna", "a2", alert, action="looked at it") == []
    circle.sweep()
    assert circle.row(alert)["state"] == "open"


def test_what_was_never_raised_cannot_end(circle: Circle) -> None:
    circle.ends()
    circle.sweep()
    assert circle.all(ALERTS) == circle.all("alert_news") == []


# --- the table of steps

#: Severity: minutes after the alert at which each is told, with a sweep each minute, and nobody answers.
STORIES = {
    EMERGENCY: {"kamala-phone": 0, "anna-phone": 0, "boris-phone": 2, "rao-phone": 5},
    URGENT: {"kamala-phone": 0, "anna-phone": 0, "boris-phone": 30, "rao-phone": 240},
    NOTICE: {"kamala-phone": 0, "anna-phone": 0, "boris-phone": 1440, "rao-phone": 4320},
}


@pytest.mark.parametrize("severity", SEVERITIES)
def test_each_step_comes_once_and_at_its_time(circle: Circle, severity: str) -> None:
    alert = circle.raises(severity)
    every = MINUTE if severity != NOTICE else 30 * MINUTE
    for _ in range(2):
        circle.sweep()
        circle.until(circle.time + 80 * HOUR, every if circle.time < NOON + DAY else 4 * HOUR)
    assert {token: minute for minute, token in circle.told(NOON)} == STORIES[severity]
    assert len(circle.told()) == 4
    row = circle.row(alert)
    assert (row["state"], row["step"], row.get("unreached")) == ("open", "doctor", None)
    assert set(circle.deliveries(alert).values()) == {"sent"}


@pytest.mark.parametrize("severity", SEVERITIES)
@pytest.mark.parametrize("second", range(0, 60, 7))
def test_no_step_is_more_than_half_a_minute_off(severity: str, second: int) -> None:
    """The sweeper's look that begins a step lies within half a minute of it."""
    raised = NOON + second * 1000
    for step in STEPS:
        wanted = raised + TABLE[severity].after_ms[step]
        due = due_ms(severity, step, raised)
        begun = -(-due // MINUTE) * MINUTE
        late = begun - wanted
        assert -LEAD_MS <= late <= (LEAD_MS if TABLE[severity].after_ms[step] else MINUTE)


def test_the_first_step_of_a_missed_dose_is_in_the_sweep_that_finds_it(circle: Circle) -> None:
    circle.raises(at_ms=NOON)
    circle.time = NOON + 59_000
    circle.sweep()
    assert circle.told(NOON) == [(0, "kamala-phone"), (0, "anna-phone")]


@pytest.mark.parametrize("who", ["anna", "boris", "rao"])
def test_an_acknowledgement_by_anybody_entitled_stops_it_at_once(circle: Circle, who: str) -> None:
    alert = circle.raises(EMERGENCY)
    circle.until(NOON + MINUTE)
    circle.act(who, "a1", alert, note="on my way")
    circle.until(NOON + DAY // 4)
    assert [token for _, token in circle.told()] == ["kamala-phone", "anna-phone"]
    assert circle.cleared() == ["anna-phone", "kamala-phone"]
    assert circle.row(alert)["note"] == "on my way"
    assert all(job.state == jobs.DONE for job in circle.jobs("alert"))


def test_a_dose_that_is_taken_late_ends_its_alert(circle: Circle) -> None:
    alert = circle.raises()
    circle.until(NOON + 20 * MINUTE)
    circle.ends()
    circle.until(NOON + 6 * HOUR)
    assert circle.row(alert)["state"] == "ended"
    assert len(circle.told()) == 2
    circle.raises()
    circle.until(NOON + 7 * HOUR)
    assert circle.row(alert)["state"] == "ended"
    assert len(circle.told()) == 2


def test_who_acknowledges_while_a_message_is_being_sent_is_heard_before_the_next(
    circle: Circle,
) -> None:
    alert = circle.raises(EMERGENCY)

    def meanwhile() -> None:
        circle.post.meanwhile = lambda: None
        circle.act("rao", "a1", alert)

    circle.post.meanwhile = meanwhile
    circle.sweep()
    circle.until(NOON + 10 * MINUTE)
    assert [token for _, token in circle.told()] == ["kamala-phone"]
    assert circle.deliveries(alert)["anna", "phone"] == "stopped"


# --- circles that lack somebody


def test_without_a_second_caregiver_the_doctor_is_next(circle: Circle) -> None:
    circle.leave("boris")
    circle.raises()
    circle.until(NOON + 5 * HOUR)
    assert circle.told(NOON) == [(0, "kamala-phone"), (0, "anna-phone"), (30, "rao-phone")]


def test_a_step_whose_ways_have_all_failed_goes_over_to_the_next(circle: Circle) -> None:
    circle.post.answers["anna-phone"] = False  # an app that was removed
    alert = circle.raises()
    circle.until(NOON + 5 * HOUR)
    assert circle.told(NOON) == [(0, "kamala-phone"), (0, "boris-phone"), (240, "rao-phone")]
    assert circle.deliveries(alert)["anna", "phone"] == "gone"


def test_nobody_with_any_way_leaves_it_open_and_it_is_said_once_there_is_somebody(
    anywhere: Circle,
) -> None:
    circle = anywhere
    for user in ("anna", "boris", "rao", "kamala"):
        circle.choose(user, ways=[])
    alert = circle.raises(EMERGENCY)
    circle.until(NOON + 20 * MINUTE)
    row = circle.row(alert)
    assert (row["state"], row["unreached"], circle.told()) == ("open", True, [])
    circle.choose("boris", ways=["phone"])
    circle.until(NOON + 26 * MINUTE)
    assert [token for _, token in circle.told()] == ["boris-phone"]
    assert circle.row(alert).get("unreached") is None
    circle.until(NOON + HOUR)
    assert len(circle.told()) == 1


def test_who_was_put_out_of_the_circle_is_not_told_any_more(circle: Circle) -> None:
    circle.choose("anna", ("11:00", "13:00", "Europe/Berlin"))
    alert = circle.raises()
    circle.sweep()
    circle.leave("anna")
    circle.until(NOON + 5 * HOUR)
    assert "anna-phone" not in [token for _, token in circle.told()]
    assert circle.deliveries(alert)["anna", "phone"] == "gone"
    assert "boris-phone" in [token for _, token in circle.told()]


def test_two_circles_never_meet(circle: Circle) -> None:
    circle.come("carla", "caregiver", "team2")
    ours = circle.raises(EMERGENCY)
    theirs = circle.raises(EMERGENCY, team="team2")
    assert ours != theirs
    circle.until(NOON + 10 * MINUTE)
    told = [(m.token, m.record_id) for _, m in circle.post.sent if m.kind == SHOW]
    assert {token for token, alert in told if alert == theirs} == {"carla-phone"}
    assert "carla-phone" not in {token for token, alert in told if alert == ours}
    assert circle.act("carla", "a1", ours) == ["a1"]
    circle.sweep()
    assert circle.row(ours)["state"] == "open"
    assert {each.fields["scope_id"] for each in circle.all(DELIVERIES)} == {"team1", "team2"}


def test_caregivers_say_in_which_turn_they_are_told(circle: Circle) -> None:
    circle.choose("boris", turn=1)
    circle.raises()
    circle.until(NOON + 31 * MINUTE)
    assert circle.told(NOON) == [(0, "kamala-phone"), (0, "boris-phone"), (30, "anna-phone")]


# --- quiet hours and digests

#: Severity, when it is raised, when anna is told, whose quiet hours are from ten to seven.
QUIET = (
    (EMERGENCY, "2027-07-05T23:00", "2027-07-05T23:00"),
    (URGENT, "2027-07-05T23:00", "2027-07-06T01:00"),
    (URGENT, "2027-07-06T05:30", "2027-07-06T07:00"),
    (NOTICE, "2027-07-05T23:00", "2027-07-06T07:00"),
    (NOTICE, "2027-07-05T21:59", "2027-07-05T21:59"),
    # the night in which spring takes an hour, and the one in which autumn gives one
    (URGENT, "2027-03-28T01:30", "2027-03-28T04:30"),
    (NOTICE, "2027-10-30T23:00", "2027-10-31T07:00"),
)


@pytest.mark.parametrize(("severity", "raised", "told"), QUIET)
def test_quiet_hours(circle: Circle, severity: str, raised: str, told: str) -> None:
    circle.time = at(raised)
    circle.choose("anna", NIGHT)
    circle.raises(severity)
    circle.sweep()
    circle.until(at(told) + 5 * MINUTE)
    [when] = [t for t, m in circle.post.sent if m.token == "anna-phone"]
    assert when == at(told)


def test_while_one_sleeps_the_others_are_told_at_their_times(circle: Circle) -> None:
    circle.time = at("2027-07-05T23:00")
    circle.choose("anna", NIGHT)
    circle.raises()
    circle.sweep()
    circle.until(at("2027-07-06T08:00"))
    assert circle.told(at("2027-07-05T23:00")) == [
        (0, "kamala-phone"),
        (30, "boris-phone"),
        (120, "anna-phone"),
        (240, "rao-phone"),
    ]


def test_notices_come_together_at_the_hour_of_the_digest(anywhere: Circle) -> None:
    circle = anywhere
    circle.choose("anna", digest=("18:00", "Europe/Berlin"))
    first = circle.raises(NOTICE, "low_stock", "m1")
    circle.until(NOON + HOUR, 30 * MINUTE)
    second = circle.raises(NOTICE, "low_stock", "m2")
    answered = circle.raises(NOTICE, "silent_device", "s1")
    circle.raises(EMERGENCY, "call_for_help", "h1")
    circle.until(NOON + 2 * HOUR, 30 * MINUTE)
    circle.act("anna", "a1", answered)
    circle.until(NOON + 10 * HOUR, 30 * MINUTE)
    anna = [(t, m) for t, m in circle.post.sent if m.token == "anna-phone" and m.kind == SHOW]
    assert [t for t, _ in anna] == [NOON + HOUR, at("2027-07-05T18:00")]
    assert anna[1][1].data["severity"] == "digest"
    assert circle.deliveries(first)["anna", "digest"] == "sent"
    assert circle.deliveries(second)["anna", "digest"] == "sent"
    assert circle.deliveries(answered)["anna", "digest"] == "stopped"


def test_a_digest_of_which_all_was_looked_after_is_not_sent(circle: Circle) -> None:
    circle.choose("anna", digest=("18:00", "Europe/Berlin"))
    alert = circle.raises(NOTICE)
    circle.sweep()
    circle.act("rao", "a1", alert)
    circle.until(NOON + DAY, HOUR)
    assert [token for _, token in circle.told()] == ["kamala-phone"]


# --- ways


def test_the_next_way_is_taken_when_the_one_before_has_failed(circle: Circle) -> None:
    circle.mails = True
    circle.account("anna")
    circle.post.answers["anna-phone"] = NotifyFault("lost")
    alert = circle.raises()
    circle.sweep()
    [(_, mail)] = circle.post.mails
    assert (mail.to, mail.subject) == ("anna@example.org", "You are needed")
    assert f"https://circle.example/console/calls?scope=team1#{alert}" in mail.text
    assert circle.deliveries(alert)["anna", "phone"] == "missed"
    assert circle.deliveries(alert)["anna", "mail"] == "sent"


def test_an_emergency_takes_all_ways(circle: Circle) -> None:
    circle.mails = True
    circle.account("anna")
    circle.choose("anna", ways=["webhook", "mail", "phone"], hook="https://sms.example/send")
    circle.raises(EMERGENCY)
    circle.sweep()
    assert [mail.to for _, mail in circle.post.mails] == ["anna@example.org"]
    assert [url for _, url, _, _ in circle.post.posts] == ["https://sms.example/send"]
    assert "anna-phone" in [token for _, token in circle.told()]


def test_a_webhook_is_signed_and_says_nothing_of_the_patient(circle: Circle) -> None:
    hook = circle.choose("anna", ways=["webhook"], hook="https://sms.example/send", language="hi")
    alert = circle.raises(EMERGENCY, "danger_words", "voice-7")
    circle.sweep()
    [(_, url, headers, raw)] = circle.post.posts
    assert hook is not None
    secret = alert_settings.hook_secret(b"a deployment's secret", hook)
    assert is_signed(Seen(url, headers, raw), secret)
    body = json.loads(raw)
    assert set(body["data"]) == {"alert_id", "severity", "to", "text", "link"}
    assert body["data"]["alert_id"] == alert
    assert body["data"]["text"].startswith("अभी मदद चाहिए")


#: What the receiver does, and what becomes of the way at once.
ANSWERS: tuple[tuple[int | HookFault, str], ...] = (
    (204, "sent"),
    (503, "waiting"),
    (429, "waiting"),
    (HookFault("", code="timeout"), "waiting"),
    (400, "missed"),
    (410, "missed"),
    (302, "missed"),
)


@pytest.mark.parametrize(("answer", "state"), ANSWERS)
def test_answers_of_a_webhook(circle: Circle, answer: int | HookFault, state: str) -> None:
    circle.choose("anna", ways=["webhook"], hook="https://sms.example/send")
    circle.post.endpoints["https://sms.example/send"] = answer
    alert = circle.raises()
    circle.sweep()
    assert circle.deliveries(alert)["anna", "webhook"] == state
    if state == "waiting":
        circle.post.endpoints.clear()
        circle.until(NOON + 3 * MINUTE)
        assert circle.deliveries(alert)["anna", "webhook"] == "sent"
        assert len({headers["webhook-id"] for _, _, headers, _ in circle.post.posts}) == 1


def test_all_providers_down_for_an_hour_lose_nothing_and_repeat_nothing(circle: Circle) -> None:
    circle.mails = True
    for user in ("anna", "boris", "rao"):
        circle.account(user)
        circle.post.answers[f"{user}-phone"] = NotifyFault("down", code=NOT_TAKEN)
    circle.post.answers["kamala-phone"] = NotifyFault("down", code=NOT_TAKEN)
    down = MailFault("down")
    down.retryable = True
    circle.post.mail_fault = down
    alert = circle.raises(EMERGENCY)
    circle.until(NOON + HOUR)
    assert (circle.post.sent, circle.post.mails) == ([], [])
    assert circle.row(alert)["state"] == "open"
    circle.post.answers.clear()
    circle.post.mail_fault = None
    circle.until(NOON + HOUR + 10 * MINUTE)
    assert sorted(token for _, token in circle.told()) == [
        "anna-phone",
        "boris-phone",
        "kamala-phone",
        "rao-phone",
    ]
    assert sorted(mail.to for _, mail in circle.post.mails) == [
        "anna@example.org",
        "boris@example.org",
        "rao@example.org",
    ]


def test_one_that_is_heard_of_late_begins_its_steps_then(circle: Circle) -> None:
    """A device that was without a network calls for help; a sweeper that was down for two days."""
    circle.raises(EMERGENCY, "call_for_help", at_ms=NOON - 20 * HOUR)
    old = circle.raises(URGENT, at_ms=NOON - 20 * HOUR)
    circle.until(NOON + 10 * MINUTE)
    assert circle.told(NOON) == [
        (0, "kamala-phone"),
        (0, "anna-phone"),
        (2, "boris-phone"),
        (5, "rao-phone"),
    ]
    assert (circle.row(old)["state"], circle.row(old)["unreached"]) == ("open", True)


def test_nothing_that_is_sent_names_a_medicine_or_what_happened(circle: Circle) -> None:
    circle.mails = True
    for user in ("anna", "boris", "rao"):
        circle.account(user)
        circle.choose(user, ways=["phone", "mail", "webhook"], hook="https://sms.example/x")
    circle.raises(EMERGENCY, "danger_words", "metformin-chest-pain")
    circle.until(NOON + 10 * MINUTE)
    shown = [(m.words, m.record_id, dict(m.data), m.about) for _, m in circle.post.sent]
    everything = repr((shown, circle.post.mails, [each[3] for each in circle.post.posts]))
    assert len(shown) + len(circle.post.mails) + len(circle.post.posts) == 10
    for word in ("metformin", "chest", "Kamala", "danger_words'"):
        assert word not in everything


# --- several at once


def test_sweepers_side_by_side_tell_each_once(anywhere: Circle) -> None:
    circle = anywhere
    circle.raises(EMERGENCY)
    left = 12

    def another(_writes: object) -> None:
        nonlocal left
        left -= 1
        if left > 0:
            circle.sweep()

    for minute in range(8):
        left = 12
        circle.time = NOON + minute * MINUTE
        circle.sweep(Interrupted(circle.store, before=another))
    assert sorted(token for _, token in circle.told()) == [
        "anna-phone",
        "boris-phone",
        "kamala-phone",
        "rao-phone",
    ]


@pytest.mark.parametrize("side", ["before", "after"])
@pytest.mark.parametrize("number", range(5))
def test_a_digest_is_told_once_wherever_a_sweeper_dies(
    circle: Circle, side: str, number: int
) -> None:
    # given two notices that wait for the evening
    circle.choose("anna", digest=("18:00", "Europe/Berlin"))
    alerts = [circle.raises(NOTICE, "low_stock", each) for each in ("m1", "m2")]
    circle.sweep()
    circle.time, left = at("2027-07-05T18:00"), number

    def die(_writes: object) -> None:
        nonlocal left
        left -= 1
        if left < 0:
            raise Killed

    # when a sweeper dies at one of its commits, and others follow
    with suppress(Killed):
        circle.sweep(Interrupted(circle.store, **{side: die}))
    assert left < 0
    circle.until(circle.time + HOUR, 20 * MINUTE)
    # then it came once, or both alerts say that nobody knows
    came = [m for _, m in circle.post.sent if m.token == "anna-phone"]
    states = {circle.deliveries(each)["anna", "digest"] for each in alerts}
    assert (len(came), states) in ((1, {"sent"}), (0, {"missed"}), (1, {"missed"}))
