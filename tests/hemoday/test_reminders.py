"""Reminders fire once each on every chosen phone; what people complain about elsewhere does not happen."""

from __future__ import annotations

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest

from shared.errors import MailFault, NotifyFault, StoreUnavailable
from shared.jobs import job as jobs
from shared.notify.notice import NOT_TAKEN
from shared.products.hemoday.reminder_words import WORDS
from shared.records.store import Key
from shared.support import stuck_jobs
from shared.support.undelete import undelete
from tests import stores
from tests.hemoday.reminding import DAY, HOUR, MINUTE, Home, Killed, at, touches
from tests.stores import Interrupted

#: Ten days before summer time begins in Berlin.
BEGIN = at("2027-03-18T12:00")


@pytest.fixture(params=stores.BOTH)
def home(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Home]:
    """Anna with two phones, Boris with one, Vera who only reads."""
    place = Home(stores.fresh(request.param, request, tmp_path), BEGIN)
    for user, role in (("anna", "owner"), ("boris", "member"), ("vera", "viewer")):
        place.join(user, "team1", role)
        place.reach(user)
    place.reach("anna", "tablet")
    yield place
    place.store.close()


ALL = ("anna-phone", "anna-tablet", "boris-phone", "vera-phone")


def tokens(home: Home, name: str) -> list[str]:
    """Who was sent a time, each as often as it was."""
    return sorted(token for token, occurrence in home.post.shown() if occurrence == name)


def test_each_time_comes_once_to_every_phone_of_who_reads(home: Home) -> None:
    home.join("carl", "team2")
    home.reach("carl")
    home.remind(remind_at=at("2027-03-18T18:00"))
    assert (home.row()["next_at"], home.row()["next_occurrence"]) == (
        at("2027-03-18T18:00"),
        "2027-03-18T18:00",
    )
    home.until(at("2027-03-18T17:59"), HOUR)
    assert home.post.sent == []
    home.until(at("2027-03-18T18:02"))
    assert tokens(home, "2027-03-18T18:00") == sorted(ALL)
    home.until(at("2027-03-20T18:05"), 20 * MINUTE)
    assert [occurrence for token, occurrence in home.post.shown() if token == "anna-phone"] == [
        *("2027-03-18T18:00", "2027-03-19T18:00", "2027-03-20T18:00")
    ]
    have = home.row()
    assert (have["last_occurrence"], have["next_occurrence"]) == (
        "2027-03-20T18:00",
        "2027-03-21T18:00",
    )
    assert have.get("missed") is None


def test_a_message_says_nothing_of_the_record_and_in_whose_language(home: Home) -> None:
    home.choose("boris", language="ru")
    home.remind(remind_at=BEGIN + HOUR, title="Exjade 500 mg")
    home.until(BEGIN + HOUR)
    by_token = {message.token: message for _, message in home.post.sent}
    assert by_token["boris-phone"].words == (WORDS["ru"].title, WORDS["ru"].body)
    anna = by_token["anna-phone"]
    assert anna.words == (WORDS["en"].title, WORDS["en"].body)
    assert "Exjade" not in str(by_token)
    assert (anna.alert, anna.kind, anna.data["reminder_id"]) == (True, "reminder", "r1")
    assert anna.data["occurrence"] == "2027-03-18T13:00"
    assert "late" not in anna.data


def test_who_is_chosen_is_reminded_and_if_they_all_left_everybody_is(home: Home) -> None:
    home.remind(remind_at=BEGIN + HOUR, who='["boris"]')
    home.until(BEGIN + HOUR)
    assert tokens(home, "2027-03-18T13:00") == ["boris-phone"]
    home.leave("boris")
    home.until(BEGIN + HOUR + DAY, HOUR)
    assert tokens(home, "2027-03-19T13:00") == ["anna-phone", "anna-tablet", "vera-phone"]


def test_of_ones_phones_those_are_told_that_one_chose(home: Home) -> None:
    home.choose("anna", devices=["tablet"])
    home.choose("vera", devices=[])
    home.remind(remind_at=BEGIN + HOUR)
    home.until(BEGIN + HOUR)
    assert tokens(home, "2027-03-18T13:00") == ["anna-tablet", "boris-phone"]


def test_a_mail_is_sent_to_who_chose_it_and_says_nothing_either(home: Home) -> None:
    home.account("vera")
    home.choose("vera", devices=[], mail=True, language="hi")
    home.choose("anna", mail=True)  # has no account here: from another issuer
    home.remind(remind_at=BEGIN + HOUR, title="Exjade 500 mg")
    home.until(BEGIN + HOUR + 5 * MINUTE)
    [(_, mail)] = home.post.mails
    assert (mail.to, mail.subject) == ("vera@example.org", WORDS["hi"].title)
    assert "https://x.y/c" in mail.text
    assert "Exjade" not in mail.text
    assert home.row().get("missed") is None


# --- done and snooze


def test_done_on_one_phone_silences_the_others(home: Home) -> None:
    """tasks#3089: marked as done elsewhere, and the notification stays."""
    home.choose("boris", ("12:30", "15:00", "Europe/Berlin"))
    home.remind(remind_at=BEGIN + HOUR)
    home.until(BEGIN + HOUR)
    name = "2027-03-18T13:00"
    assert tokens(home, name) == ["anna-phone", "anna-tablet", "vera-phone"]
    home.act("a1", "done", name)
    home.until(BEGIN + 4 * HOUR, 20 * MINUTE)
    # what was shown is taken off the screens, but not of the phone that said so
    assert sorted(home.post.cleared()) == [("anna-tablet", name), ("vera-phone", name)]
    # Boris's phone, for which it was quiet, is not told any more
    assert "boris-phone" not in tokens(home, name)
    silent = [message for _, message in home.post.sent if message.kind == "reminder_clear"]
    assert all(not message.alert and message.words is None for message in silent)
    assert {message.about for _, message in home.post.sent} == {silent[0].about}
    # again and late, by others, it changes nothing
    home.act("a2", "done", name, user="boris", made=BEGIN)
    home.act("a3", "snooze", name, user="boris", until=home.time + HOUR)
    home.until(home.time + 3 * HOUR, 20 * MINUTE)
    assert len(home.post.cleared()) == 2
    assert len(tokens(home, name)) == 3


def test_done_before_it_was_due_means_that_nobody_is_told(home: Home) -> None:
    home.remind(remind_at=BEGIN + HOUR)
    home.act("a1", "done", "2027-03-18T13:00")
    home.until(BEGIN + 3 * HOUR, 20 * MINUTE)
    assert home.post.sent == []
    home.until(BEGIN + DAY + HOUR, HOUR)
    assert len(tokens(home, "2027-03-19T13:00")) == 4


def test_snooze_makes_it_due_again_once(home: Home) -> None:
    """kraigsandroid#54, SlowClock#177: a restart forgets it; here every sweep is a new process's."""
    home.remind(remind_at=BEGIN + HOUR)
    home.until(BEGIN + HOUR)
    name = "2027-03-18T13:00"
    home.act("a1", "snooze", name, until=BEGIN + 2 * HOUR)
    home.until(BEGIN + HOUR + 30 * MINUTE)
    assert sorted(token for token, _ in home.post.cleared()) == sorted({*ALL} - {"anna-phone"})
    assert len(tokens(home, name)) == 4
    home.until(BEGIN + 5 * HOUR, 10 * MINUTE)
    assert tokens(home, name) == sorted([*ALL, *ALL])
    again = [message for at_ms, message in home.post.sent if at_ms >= BEGIN + 2 * HOUR]
    assert all("late" not in message.data for message in again)  # it comes when it was put off to
    home.act("a2", "done", name)
    home.until(home.time + 2 * MINUTE)
    assert len(home.post.cleared()) == 6


def test_the_last_word_of_several_snoozes_counts_whatever_order_they_come_in(home: Home) -> None:
    home.remind(remind_at=BEGIN + HOUR)
    home.until(BEGIN + HOUR)
    name = "2027-03-18T13:00"
    later = {"until": BEGIN + 3 * HOUR, "made": BEGIN + HOUR + 2 * MINUTE}
    earlier = {"until": BEGIN + 2 * HOUR, "made": BEGIN + HOUR + MINUTE, "user": "boris"}
    home.time = BEGIN + HOUR + 3 * MINUTE
    home.act("a1", "snooze", name, **later)
    home.until(home.time + MINUTE)
    home.act("a2", "snooze", name, **earlier)
    home.until(BEGIN + 3 * HOUR - MINUTE, 10 * MINUTE)
    assert len(tokens(home, name)) == 4
    home.until(BEGIN + 6 * HOUR, 10 * MINUTE)
    assert len(tokens(home, name)) == 8


def test_a_snooze_that_is_taken_back_leaves_an_earlier_one_asleep(home: Home) -> None:
    home.remind(remind_at=BEGIN + HOUR)
    home.until(BEGIN + HOUR)
    name = "2027-03-18T13:00"
    home.act("a1", "snooze", name, until=BEGIN + 2 * HOUR)
    home.until(BEGIN + 2 * HOUR, 10 * MINUTE)
    home.act("a2", "snooze", name, until=BEGIN + 4 * HOUR)
    home.until(BEGIN + 2 * HOUR + 10 * MINUTE)
    home.delete("reminder_actions", "a2")
    home.act("a3", "paused", name)  # has it look
    home.until(BEGIN + 6 * HOUR, 10 * MINUTE)
    hours = [
        (at_ms - BEGIN) // HOUR
        for at_ms, m in home.post.sent
        if m.token == "vera-phone" and m.alert
    ]
    assert hours == [1, 2, 4]


def test_a_snooze_that_arrives_after_its_time_is_late_and_one_of_yesterday_is_missed(
    home: Home,
) -> None:
    home.remind(remind_at=BEGIN + HOUR, frequency="once")
    home.until(BEGIN + HOUR)
    name = "2027-03-18T13:00"
    home.time = BEGIN + 3 * HOUR
    home.act("a1", "snooze", name, until=BEGIN + 2 * HOUR, made=BEGIN + HOUR + MINUTE)
    home.sweep()
    assert len(tokens(home, name)) == 8
    assert {message.data.get("late") for _, message in home.post.sent[-4:]} == {"60"}
    home.time = BEGIN + DAY + 8 * HOUR
    home.act("a2", "snooze", name, until=BEGIN + 4 * HOUR, made=BEGIN + 3 * HOUR + MINUTE)
    home.sweep()
    assert len(tokens(home, name)) == 8
    assert home.row()["missed"] == [name]
    home.act("a3", "snooze", name, until=home.time + HOUR, made=home.time)
    home.until(home.time + 2 * MINUTE)
    assert home.row().get("missed") is None  # somebody is at it
    home.act("a4", "done", name)
    home.until(home.time + 2 * MINUTE)
    assert home.row().get("missed") is None  # somebody did it after all


def test_an_action_that_says_nothing_useful_is_stored_and_asked_about(home: Home) -> None:
    home.remind(remind_at=BEGIN + HOUR)
    home.until(BEGIN + HOUR)
    home.act("a1", "done", "yesterday")
    home.act("a2", "snooze", "2027-03-18T13:00")
    home.act("a3", "paused", "2027-03-18T13:00")
    home.act("a4", "snooze", "2027-03-18T13:00", until=10**14)
    home.until(home.time + 2 * MINUTE)
    assert [*home.stored("reminder_actions", "a1")["questions"]] == ["occurrence"]
    assert [*home.stored("reminder_actions", "a2")["questions"]] == ["until"]
    assert home.stored("reminder_actions", "a3")["action"] == "other"
    assert home.post.cleared() == []


# --- quiet hours


def test_what_falls_into_quiet_hours_comes_at_their_end_and_says_that_it_is_late(
    home: Home,
) -> None:
    """CalendarNotification#58: after quiet hours nothing comes; tasks#282: it rings within them."""
    home.choose("boris", ("22:00", "07:00", "Europe/Berlin"))
    home.remind(remind_at=at("2027-03-18T23:30"), frequency="once")
    home.until(at("2027-03-19T06:59"), 30 * MINUTE)
    name = "2027-03-18T23:30"
    assert "boris-phone" not in tokens(home, name)
    home.until(at("2027-03-19T07:00"))
    assert tokens(home, name) == sorted(ALL)
    [late] = [m for _, m in home.post.sent if m.token == "boris-phone"]
    assert late.data["late"] == str(7 * 60 + 30)
    assert late.words == (WORDS["en"].title, WORDS["en"].late)
    assert home.row().get("missed") is None


def test_a_snooze_into_ones_own_quiet_hours_is_meant(home: Home) -> None:
    for user in ("boris", "vera"):
        home.choose(user, ("22:00", "07:00", "Europe/Berlin"))
    home.remind(remind_at=at("2027-03-18T21:50"), frequency="once")
    home.until(at("2027-03-18T21:50"), HOUR)
    home.act(
        "a1",
        "snooze",
        "2027-03-18T21:50",
        user="boris",
        until=at("2027-03-18T22:30"),
        made=home.time,
    )
    home.until(at("2027-03-18T22:31"))
    again = [m.token for at_ms, m in home.post.sent if at_ms >= at("2027-03-18T22:30")]
    assert sorted(again) == ["anna-phone", "anna-tablet", "boris-phone"]


def test_a_sweep_that_comes_just_after_quiet_hours_began_does_not_wait_until_morning(
    home: Home,
) -> None:
    home.choose("boris", ("22:00", "07:00", "Europe/Berlin"))
    home.remind(remind_at=at("2027-03-18T21:59"))
    home.time = at("2027-03-18T22:00") + 30_000
    home.sweep()
    assert "boris-phone" in tokens(home, "2027-03-18T21:59")


def test_quiet_hours_that_grow_meanwhile_hold(home: Home) -> None:
    home.choose("boris", ("22:00", "07:00", "Europe/Berlin"))
    home.remind(remind_at=at("2027-03-18T23:30"), frequency="once")
    home.until(at("2027-03-19T01:00"), HOUR)
    home.choose("boris", ("22:00", "09:00", "Europe/Berlin"))
    home.until(at("2027-03-19T08:59"), 30 * MINUTE)
    assert "boris-phone" not in tokens(home, "2027-03-18T23:30")
    home.until(at("2027-03-19T09:00"))
    assert "boris-phone" in tokens(home, "2027-03-18T23:30")


# --- late, missed, failing


def test_after_a_pause_it_comes_late_and_after_half_a_day_it_is_marked_as_missed(
    home: Home,
) -> None:
    """medTimer#1136: nothing is ever marked as missed; alarm-clock#84: it rings hours later as if new."""
    home.remind(remind_at=at("2027-03-18T18:00"))
    home.time = at("2027-03-20T08:00")
    home.sweep()
    assert tokens(home, "2027-03-18T18:00") == []
    assert home.row()["missed"] == ["2027-03-18T18:00", "2027-03-19T18:00"]
    home.time = at("2027-03-20T23:00")
    home.sweep()
    assert tokens(home, "2027-03-20T18:00") == sorted(ALL)
    assert {message.data["late"] for _, message in home.post.sent} == {"300"}
    home.act("a1", "done", "2027-03-19T18:00")
    home.sweep()
    assert home.row()["missed"] == ["2027-03-18T18:00"]


def test_what_was_done_while_the_sweeper_stood_still_is_not_missed(home: Home) -> None:
    home.remind(remind_at=at("2027-03-18T18:00"), frequency="once")
    home.time = at("2027-03-20T08:00")
    home.act("a1", "done", "2027-03-18T18:00", made=at("2027-03-18T18:05"))
    home.sweep()
    assert (home.post.sent, home.row().get("missed")) == ([], None)


def test_a_year_without_a_sweeper_loses_none(home: Home) -> None:
    home.remind(remind_at=at("2027-03-18T18:00"), frequency="weekly")
    home.time = at("2028-03-18T08:00")
    for _ in range(5):
        home.sweep()
    known = {each.fields["name"] for each in home.all("reminded")}
    assert len(known) == 53
    assert (len(home.row()["missed"]), home.post.sent) == (20, [])


def test_what_was_not_taken_is_sent_again_and_what_is_unknown_is_missed(home: Home) -> None:
    home.post.answers["anna-phone"] = NotifyFault("busy", code=NOT_TAKEN)
    home.post.answers["boris-phone"] = NotifyFault("no answer")
    home.remind(remind_at=BEGIN + HOUR)
    home.until(BEGIN + HOUR + 5 * MINUTE)
    name = "2027-03-18T13:00"
    assert tokens(home, name) == ["anna-tablet", "vera-phone"]
    assert home.row().get("missed") is None  # Anna's phone is still tried
    home.post.answers.clear()
    home.until(BEGIN + HOUR + 10 * MINUTE)
    assert tokens(home, name) == ["anna-phone", "anna-tablet", "vera-phone"]
    assert home.row()["missed"] == [name]


def test_a_service_that_is_down_all_day_is_given_up(home: Home) -> None:
    for token in ALL:
        home.post.answers[token] = NotifyFault("busy", code=NOT_TAKEN)
    home.remind(remind_at=BEGIN + HOUR, frequency="once")
    home.until(BEGIN + 14 * HOUR, 10 * MINUTE)
    assert home.row()["missed"] == ["2027-03-18T13:00"]
    [job] = home.jobs("tell")
    assert job.state == jobs.DONE


def test_a_mail_server_that_fails_is_a_missed_one(home: Home) -> None:
    home.account("vera")
    home.choose("vera", devices=[], mail=True)
    home.post.mail_fault = MailFault("down")
    home.remind(remind_at=BEGIN + HOUR)
    home.until(BEGIN + HOUR + MINUTE)
    assert home.row()["missed"] == ["2027-03-18T13:00"]


def test_a_dead_token_is_forgotten_and_if_nobody_else_is_there_it_is_missed(home: Home) -> None:
    for token in ALL:
        home.post.answers[token] = False
    home.remind(remind_at=BEGIN + HOUR)
    home.until(BEGIN + HOUR)
    assert home.row()["missed"] == ["2027-03-18T13:00"]
    home.until(BEGIN + HOUR + DAY, HOUR)
    assert home.row()["missed"] == ["2027-03-18T13:00"]  # nobody can be told: nothing is missed


def test_who_leaves_before_it_is_sent_is_not_told(home: Home) -> None:
    home.choose("boris", ("12:30", "15:00", "Europe/Berlin"))
    home.remind(remind_at=BEGIN + HOUR)
    home.until(BEGIN + HOUR)
    home.leave("boris")
    home.until(BEGIN + 5 * HOUR, 10 * MINUTE)
    assert "boris-phone" not in tokens(home, "2027-03-18T13:00")


def test_who_is_chosen_no_more_before_it_is_sent_is_not_told(home: Home) -> None:
    home.choose("boris", ("12:30", "15:00", "Europe/Berlin"))
    home.choose("vera", ("12:30", "15:00", "Europe/Berlin"))
    home.remind(remind_at=BEGIN + HOUR)
    home.until(BEGIN + HOUR)
    home.write("reminders", "r1", who='["anna","vera"]')
    home.until(BEGIN + 5 * HOUR, 10 * MINUTE)
    assert tokens(home, "2027-03-18T13:00") == ["anna-phone", "anna-tablet", "vera-phone"]


def test_a_store_that_does_not_answer_after_a_message_costs_no_second_one(home: Home) -> None:
    home.remind(remind_at=BEGIN + HOUR)
    home.time = BEGIN + HOUR
    lost = [2]

    def no_answer(writes: Any) -> None:
        if lost[0] and "'sent'" in str(writes) and "'taken'" not in str(writes):
            lost[0] -= 1
            raise StoreUnavailable("no answer")

    home.sweep(Interrupted(home.store, after=no_answer))
    home.until(BEGIN + 2 * HOUR)
    assert tokens(home, "2027-03-18T13:00") == sorted(ALL)
    assert (lost, home.row().get("missed")) == ([0], None)


# --- what belongs in the commit that stores the row


def test_the_job_is_made_renewed_and_ended_with_the_row(home: Home) -> None:
    def due() -> int | None:
        found = home.get(jobs.COLLECTION, "remind~r1")
        return None if found is None else found.fields.get("due_at")

    home.remind(remind_at=at("2027-03-18T18:00"))
    assert due() == at("2027-03-18T18:00")
    home.write("reminders", "r1", title="Another title")
    assert due() == at("2027-03-18T18:00")
    home.write("reminders", "r1", remind_at=at("2027-03-18T19:30"))
    assert due() == at("2027-03-18T19:30")
    home.write("reminders", "r1", completed=True)
    assert due() is None
    assert "next_at" not in home.row()
    home.until(at("2027-03-18T20:00"), HOUR)
    home.write("reminders", "r1", completed=False)
    assert due() == at("2027-03-19T19:30")
    home.delete("reminders", "r1")
    home.until(at("2027-03-20T20:00"), 6 * HOUR)
    assert (due(), home.post.sent) == (None, [])
    undelete(home.store, home.catalog, None, Key("reminders", "r1"), home.time)
    assert due() == at("2027-03-21T19:30")
    home.until(at("2027-03-21T19:31"), 4 * HOUR)
    assert len(tokens(home, "2027-03-21T19:30")) == 4
    assert home.row().get("missed") is None  # nothing of the time while it was deleted


def test_one_that_is_completed_for_good_leaves_the_screens(home: Home) -> None:
    home.remind(remind_at=BEGIN + HOUR)
    home.until(BEGIN + HOUR)
    home.write("reminders", "r1", completed=True)
    home.until(BEGIN + HOUR + 2 * MINUTE)
    assert sorted(home.post.cleared()) == [(token, "2027-03-18T13:00") for token in sorted(ALL)]


def test_a_family_that_nobody_is_in_any_more_is_not_reminded(home: Home) -> None:
    home.remind(remind_at=BEGIN + HOUR)
    for user in ("anna", "boris", "vera"):
        home.leave(user)
    home.until(BEGIN + 2 * DAY, 6 * HOUR)
    assert home.post.sent == []
    assert home.fields(jobs.COLLECTION, "remind~r1")["state"] == jobs.DONE


def test_one_that_ends_has_no_next_time(home: Home) -> None:
    home.remind(remind_at=BEGIN + HOUR, ends_at=BEGIN + HOUR + DAY)
    home.until(BEGIN + 4 * DAY, HOUR)
    assert {name for _, name in home.post.shown()} == {"2027-03-18T13:00", "2027-03-19T13:00"}
    assert "next_at" not in home.row()


@pytest.mark.parametrize(
    "odd",
    [
        {"remind_at": 10**15 - 1},
        {"remind_at": -(10**13) + 1},
        {"time_zone": "Mars/Base"},
        {"frequency": "every_n_days", "every": 366},
        {"ends_at": 0},
    ],
)
def test_an_odd_reminder_is_stored_and_harms_nobody(home: Home, odd: dict[str, Any]) -> None:
    home.remind("odd", **{"remind_at": BEGIN + HOUR, **odd})
    home.remind(remind_at=BEGIN + HOUR)
    home.until(BEGIN + HOUR)
    told = [m.token for _, m in home.post.sent if m.data["reminder_id"] == "r1"]
    assert sorted(told) == sorted(ALL)
    assert {job.state for job in home.jobs("remind")} <= {jobs.QUEUED, jobs.DONE}


# --- killed, twice at once


@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("number", range(12))
def test_killed_around_any_commit_nobody_is_told_twice_and_what_is_lost_is_missed(
    home: Home, when: str, number: int
) -> None:
    home.remind(remind_at=BEGIN + HOUR)
    home.time = BEGIN + HOUR
    left = [number]

    def die(_writes: object) -> None:
        left[0] -= 1
        if left[0] < 0:
            raise Killed

    with pytest.raises(Killed):
        home.sweep(Interrupted(home.store, **{when: die}))
    home.until(BEGIN + 3 * HOUR, 10 * MINUTE)
    told = tokens(home, "2027-03-18T13:00")
    assert len(told) == len(set(told))
    assert set(told) == set(ALL) or home.row()["missed"] == ["2027-03-18T13:00"]
    home.until(BEGIN + HOUR + DAY, HOUR)
    assert tokens(home, "2027-03-19T13:00") == sorted(ALL)


def test_a_job_whose_every_attempt_dies_names_what_it_owes_and_the_next_time_comes(
    home: Home,
) -> None:
    home.remind(remind_at=BEGIN + HOUR)
    home.time = BEGIN + HOUR

    def die(writes: Any) -> None:
        if touches(writes, "reminded"):
            raise Killed

    for kind in ("remind", "tell"):
        for _ in range(3):  # as often as a job may be tried
            with suppress(Killed):
                home.runner(Interrupted(home.store, before=die)).run_due(kind, 600)
            home.time += 20 * MINUTE
        home.runner().run_due(kind, 600)
        home.time += HOUR
        home.runner().run_due("remind", 600)
    [told] = home.jobs("tell")
    assert told.state == jobs.PARKED
    assert (home.post.sent, home.row()["missed"]) == ([], ["2027-03-18T13:00"])
    home.until(BEGIN + HOUR + DAY, HOUR)
    assert tokens(home, "2027-03-19T13:00") == sorted(ALL)


def test_killed_after_sending_it_is_not_sent_again(home: Home) -> None:
    home.post.answers["anna-phone"] = Killed()
    home.remind(remind_at=BEGIN + HOUR)
    home.time = BEGIN + HOUR
    with pytest.raises(Killed):
        home.sweep()
    home.post.answers.clear()
    home.until(BEGIN + 3 * HOUR, 10 * MINUTE)
    assert tokens(home, "2027-03-18T13:00") == sorted(ALL)


def test_a_snooze_while_a_message_is_on_its_way_begins_a_round_of_its_own(home: Home) -> None:
    home.remind(remind_at=BEGIN + HOUR, who='["vera"]')
    home.time = BEGIN + HOUR

    def snoozed() -> None:
        home.post.meanwhile = lambda: None
        home.act("a1", "snooze", "2027-03-18T13:00", until=home.time)
        home.time += 1  # the first look begins the round, and finds its phone quiet until the next
        home.choose("vera", ("12:00", "14:00", "Europe/Berlin"))
        home.sweep()

    home.post.meanwhile = snoozed
    home.sweep()
    home.until(BEGIN + 4 * HOUR, 10 * MINUTE)
    assert tokens(home, "2027-03-18T13:00") == ["vera-phone", "vera-phone"]


def test_sweepers_at_once_tell_once(home: Home) -> None:
    for name in ("r1", "r2", "r3"):
        home.remind(name, remind_at=BEGIN + HOUR)
    home.time = BEGIN + HOUR
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: home.sweep(), range(8)))
    home.until(home.time + 10 * MINUTE)
    assert tokens(home, "2027-03-18T13:00") == sorted([*ALL] * 3)


def test_many_at_once_are_told_once_each_by_a_sweeper_with_several_hands(home: Home) -> None:
    for number in range(12):
        home.remind(f"r{number}", remind_at=BEGIN + HOUR)
    home.time = BEGIN + HOUR
    runner = home.runner()
    for _ in range(2):
        for kind in runner.kinds:
            runner.drain(kind, 600)
    assert tokens(home, "2027-03-18T13:00") == sorted([*ALL] * 12)


def test_one_that_is_planned_is_no_job_that_is_stuck(home: Home) -> None:
    home.choose("boris", ("12:30", "20:00", "Europe/Berlin"))
    home.remind(remind_at=BEGIN + HOUR)
    home.until(BEGIN + 4 * HOUR, HOUR)
    assert {job.state for job in home.jobs("tell")} == {jobs.QUEUED}
    assert stuck_jobs.listed(home.store, ["team1"], home.time) == ([], False)


def test_a_deletion_at_the_moment_of_sending_is_heard(home: Home) -> None:
    home.remind(remind_at=BEGIN + HOUR)
    home.time = BEGIN + HOUR
    once = [True]

    def meanwhile(writes: Any) -> None:
        took = any("told" in write.fields and "taken" in str(write.fields) for write in writes)
        if took and touches(writes, "reminders") and once:
            once.clear()
            home.delete("reminders", "r1", user="boris")

    home.sweep(Interrupted(home.store, before=meanwhile))
    assert not once
    assert home.post.sent == []


# --- what people complain about elsewhere


def test_rescheduled_before_its_time_only_the_new_time_comes(home: Home) -> None:
    """medTimer#1487, #1143, MediTrak#130: the former time fires, too."""
    home.remind(remind_at=at("2027-03-18T16:00"))
    home.until(at("2027-03-18T15:50"), HOUR)
    home.write("reminders", "r1", remind_at=at("2027-03-18T17:50"))
    home.until(at("2027-03-19T17:00"), 10 * MINUTE)
    assert {name for _, name in home.post.shown()} == {"2027-03-18T17:50"}
    assert len(home.post.shown()) == 4


def test_rescheduled_back_and_forth_a_time_that_was_told_is_not_told_again(home: Home) -> None:
    """medTimer#1077: a time that was dealt with comes back by an edit."""
    home.remind(remind_at=at("2027-03-18T16:00"))
    home.until(at("2027-03-18T16:01"), HOUR)
    for time in ("2027-03-18T17:00", "2027-03-18T16:00"):
        home.write("reminders", "r1", remind_at=at(time))
        home.until(home.time + 2 * MINUTE)
    home.until(at("2027-03-18T20:00"), 10 * MINUTE)
    assert tokens(home, "2027-03-18T16:00") == sorted(ALL)
    assert tokens(home, "2027-03-18T17:00") == []


def test_a_time_moved_to_an_hour_ago_does_not_ring_at_once(home: Home) -> None:
    """It means from tomorrow on."""
    home.remind(remind_at=at("2027-03-18T16:00"))
    home.until(at("2027-03-18T18:00"), HOUR)
    home.write("reminders", "r1", remind_at=at("2027-03-18T17:00"))
    home.until(at("2027-03-18T23:00"), 10 * MINUTE)
    assert tokens(home, "2027-03-18T17:00") == []
    home.until(at("2027-03-19T17:00"), HOUR)
    assert tokens(home, "2027-03-19T17:00") == sorted(ALL)


def test_one_set_without_a_network_is_told_to_the_others_late(home: Home) -> None:
    home.time = at("2027-03-18T14:20")
    home.remind(remind_at=at("2027-03-18T14:00"), made=at("2027-03-18T13:55"))
    home.write("reminders", "r1", title="Another title", made=at("2027-03-18T14:10"))
    home.sweep()
    assert tokens(home, "2027-03-18T14:00") == sorted(ALL)
    assert {message.data["late"] for _, message in home.post.sent} == {"20"}


def test_one_moved_without_a_network_counts_from_then_though_others_wrote_later(
    home: Home,
) -> None:
    home.remind(remind_at=at("2027-03-19T09:00"))
    home.time = at("2027-03-18T14:10")
    home.write("reminders", "r1", user="boris", title="Another title")
    home.time = at("2027-03-18T14:20")
    home.write("reminders", "r1", remind_at=at("2027-03-18T14:00"), made=at("2027-03-18T13:55"))
    home.sweep()
    assert tokens(home, "2027-03-18T14:00") == sorted(ALL)


def test_what_was_due_when_its_rule_was_changed_is_told_all_the_same(home: Home) -> None:
    home.remind(remind_at=at("2027-03-18T16:00"))
    home.time = at("2027-03-18T16:00") + 20_000  # nobody has swept yet
    home.write("reminders", "r1", remind_at=at("2027-03-18T17:00"))
    home.write("reminders", "r1", frequency="weekly")
    home.until(at("2027-03-18T18:00"), 10 * MINUTE)
    assert tokens(home, "2027-03-18T16:00") == sorted(ALL)
    assert tokens(home, "2027-03-18T17:00") == sorted(ALL)


def test_the_day_on_which_summer_time_begins_or_ends_rings_once(home: Home) -> None:
    """medTimer#56: without end on that day; tasks and calendars: an hour off from then on."""
    home.remind(remind_at=at("2027-03-27T02:30"))
    home.remind("r2", remind_at=at("2027-03-27T18:00"))
    home.time = at("2027-03-27T00:00")
    home.until(at("2027-03-29T23:00"), 30 * MINUTE)
    anna = [(at_ms, m.data["occurrence"]) for at_ms, m in home.post.sent if m.token == "anna-phone"]
    assert anna == [
        (at("2027-03-27T02:30"), "2027-03-27T02:30"),
        (at("2027-03-27T18:00"), "2027-03-27T18:00"),
        (at("2027-03-28T03:30"), "2027-03-28T02:30"),
        (at("2027-03-28T18:00"), "2027-03-28T18:00"),
        (at("2027-03-29T02:30"), "2027-03-29T02:30"),
        (at("2027-03-29T18:00"), "2027-03-29T18:00"),
    ]


def test_travelling_west_the_same_time_of_a_day_does_not_ring_twice(home: Home) -> None:
    """uhabits#525, Habitica#1678: reminders stay where they were set, or ring again on arrival."""
    home.remind(remind_at=at("2027-03-18T18:00"))
    home.until(at("2027-03-18T18:05"), HOUR)
    zone = "America/New_York"
    home.write("reminders", "r1", remind_at=at("2027-03-18T18:00", zone), time_zone=zone)
    home.until(at("2027-03-19T18:05", zone), 30 * MINUTE)
    assert tokens(home, "2027-03-18T18:00") == sorted(ALL)
    assert tokens(home, "2027-03-19T18:00") == sorted(ALL)


def test_a_new_phone_is_told_from_its_next_time_on(home: Home) -> None:
    """Not of what is over: tasks#237, weeks-old reminders after each start."""
    home.remind(remind_at=BEGIN + HOUR)
    home.until(BEGIN + HOUR + 2 * MINUTE)
    home.reach("boris", "new")
    home.until(BEGIN + HOUR + DAY, HOUR)
    assert [name for token, name in home.post.shown() if token == "boris-new"] == [
        "2027-03-19T13:00"
    ]


def test_two_installations_with_one_token_ring_once(home: Home) -> None:
    home.reach("boris", "old", token="boris-phone")
    home.remind(remind_at=BEGIN + HOUR)
    home.until(BEGIN + HOUR + 2 * MINUTE)
    assert tokens(home, "2027-03-18T13:00").count("boris-phone") == 1
