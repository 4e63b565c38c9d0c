"""What people reported of on-call tools, monitors and alarms of others, tried here."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.adapters.sqlite import SqliteStore
from shared.errors import NotifyFault
from shared.products.medmind.alert_tables import DELIVERIES, EMERGENCY, NOTICE, URGENT
from tests.medmind.alerting import DAY, HOUR, MINUTE, Circle, at

NOON = at("2027-07-05T12:00")
NIGHT = ("22:00", "07:00", "Europe/Berlin")


@pytest.fixture
def circle(tmp_path: Path) -> Circle:
    return Circle(SqliteStore(tmp_path / "records.db"), NOON)


def names(circle: Circle) -> list[str]:
    return [token.removesuffix("-phone") for _, token in circle.told()]


def test_goalert_4548_a_step_with_nobody_is_not_waited_out(circle: Circle) -> None:
    """On weekends nobody is on call for the first step, and alerts wait for its delay all the same."""
    circle.leave("kamala")
    circle.leave("boris")
    circle.raises(EMERGENCY)
    circle.until(NOON + 3 * MINUTE)
    assert circle.told(NOON) == [(0, "anna-phone"), (2, "rao-phone")]


def test_oncall_4654_who_has_acknowledged_gets_no_further_way(circle: Circle) -> None:
    """The page was acknowledged on the phone, and the text message came nevertheless."""
    circle.mails = True
    circle.account("anna")
    circle.post.answers["anna-phone"] = NotifyFault("lost")

    def acknowledges() -> None:
        circle.post.meanwhile = lambda: None
        circle.act("boris", "a1", alert)

    circle.post.meanwhile = acknowledges  # while kamala's phone is told
    alert = circle.raises(URGENT)
    circle.until(NOON + HOUR)
    assert (names(circle), circle.post.mails) == (["kamala"], [])


def test_oncall_1326_somebody_without_any_way_is_passed_over_and_it_shows(circle: Circle) -> None:
    """The second line had set no way for important messages, and nobody noticed before the directors."""
    circle.choose("anna", ways=[])
    alert = circle.raises(EMERGENCY)
    circle.until(NOON + MINUTE)
    assert names(circle) == ["kamala", "boris"]
    assert {user for user, _ in circle.deliveries(alert)} == {"kamala", "boris"}


def test_oncall_1503_one_whose_way_fails_keeps_nobody_else_from_being_told(circle: Circle) -> None:
    """A shadow's messenger was not connected, and the primary was not notified either."""
    circle.post.answers["kamala-phone"] = NotifyFault("no such app")
    circle.raises(URGENT)
    circle.until(NOON + 31 * MINUTE)
    assert names(circle) == ["anna", "boris"]


def test_oncall_934_a_next_step_takes_nothing_from_who_waits(circle: Circle) -> None:
    """A user's own waits were dropped as soon as the chain went on."""
    circle.time = at("2027-07-05T23:00")
    circle.choose("anna", NIGHT)
    circle.raises(URGENT)
    circle.until(circle.time + 3 * HOUR)
    assert names(circle) == ["kamala", "boris", "anna"]


def test_goalert_912_a_step_of_several_people_is_one_step(circle: Circle) -> None:
    """With two users on call the escalation was logged twice."""
    circle.come("cleo", "caregiver")
    alert = circle.raises(EMERGENCY)
    circle.until(NOON + 4 * MINUTE)
    rows = [each.fields for each in circle.all(DELIVERIES) if each.fields["alert_id"] == alert]
    assert sorted((each["user_id"], each["step"]) for each in rows) == [
        ("anna", "caregiver"),
        ("boris", "others"),
        ("cleo", "others"),
        ("kamala", "patient"),
    ]


def test_nightscout_5180_what_is_acknowledged_is_not_raised_again(circle: Circle) -> None:
    """Acknowledged in the app, the alarm came again with the next value."""
    alert = circle.raises(URGENT)
    circle.sweep()
    circle.act("anna", "a1", alert)
    for _ in range(20):
        circle.raises(URGENT)
        circle.until(circle.time + 30 * MINUTE)
    assert len(names(circle)) == 2


def test_pulse_1068_what_takes_it_back_makes_no_sound_at_night(circle: Circle) -> None:
    """38 messages said at night that all was well again."""
    alert = circle.raises(URGENT)
    circle.until(NOON + 5 * MINUTE)
    for user in ("anna", "kamala"):
        circle.choose(user, NIGHT)
    circle.time = at("2027-07-05T23:30")
    before = len(circle.post.sent)
    circle.act("rao", "a1", alert)
    circle.sweep()
    later = [message for _, message in circle.post.sent[before:]]
    assert {message.token for message in later} >= {"anna-phone", "kamala-phone"}
    assert not any(message.alert for message in later)


def test_uptime_kuma_2846_what_is_over_by_morning_is_not_told_in_the_morning(
    circle: Circle,
) -> None:
    """After each maintenance window came messages of what was known before it."""
    circle.time = at("2027-07-05T23:00")
    for user in ("anna", "boris", "kamala"):
        circle.choose(user, NIGHT)
    circle.raises(NOTICE)
    circle.sweep()
    circle.ends()
    circle.until(at("2027-07-06T08:00"), 10 * MINUTE)
    assert circle.post.sent == []


def test_goalert_4545_what_begins_and_ends_within_a_second_pages_nobody(circle: Circle) -> None:
    circle.raises(EMERGENCY)
    circle.ends()
    circle.until(NOON + 10 * MINUTE)
    assert circle.post.sent == []


def test_xdrip_247_a_confirmation_counts_the_first_time(circle: Circle) -> None:
    """An alert had to be confirmed several times, and came back each minute."""
    alert = circle.raises(EMERGENCY)
    circle.sweep()
    circle.act("anna", "a1", alert)
    circle.until(NOON + DAY // 8)
    assert names(circle) == ["kamala", "anna"]
    assert circle.row(alert)["acknowledged_at"] == NOON


def test_medtimer_772_carers_hear_of_what_was_missed_and_of_nothing_before(circle: Circle) -> None:
    """Carers want to be alerted without getting the patient's reminders."""
    circle.until(NOON + 2 * HOUR, 10 * MINUTE)
    assert circle.post.sent == []
    circle.raises(URGENT)
    circle.sweep()
    assert [message.kind for _, message in circle.post.sent] == ["alert"] * 2
