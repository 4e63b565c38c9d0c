"""Hours of a clock, in the nights in which clocks change and in others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest

from shared.notify.choice import next_clock
from shared.notify.telling import user_of

BERLIN = "Europe/Berlin"

#: A time of day, a zone, a moment, and when the clock shows that time next; all in UTC.
CASES = (
    ("18:00", BERLIN, "2027-07-05T10:00", "2027-07-05T16:00"),
    ("18:00", BERLIN, "2027-07-05T16:00", "2027-07-06T16:00"),
    ("00:15", "Asia/Kolkata", "2027-07-05T18:44", "2027-07-05T18:45"),
    # left out in spring: an hour later
    ("02:30", BERLIN, "2027-03-27T12:00", "2027-03-28T01:30"),
    # twice in autumn: the first
    ("02:30", BERLIN, "2027-10-30T12:00", "2027-10-31T00:30"),
    ("02:30", BERLIN, "2027-10-31T00:30", "2027-11-01T01:30"),
)


@pytest.mark.parametrize(("shows", "zone", "after", "next_"), CASES)
def test_the_next_time_that_a_clock_shows(shows: str, zone: str, after: str, next_: str) -> None:
    moment = round(datetime.fromisoformat(after).replace(tzinfo=UTC).timestamp() * 1000)
    found = datetime.fromtimestamp(next_clock(shows, zone, moment) / 1000, UTC)
    assert found == datetime.fromisoformat(next_).replace(tzinfo=UTC)


@pytest.mark.parametrize("zone", [BERLIN, "Australia/Lord_Howe", "America/New_York"])
def test_every_day_of_a_year_has_it_once(zone: str) -> None:
    moment = round(datetime(2027, 1, 1, 12, tzinfo=ZoneInfo(zone)).timestamp() * 1000)
    days = []
    for _ in range(366):
        moment = next_clock("02:30", zone, moment)
        days.append(datetime.fromtimestamp(moment / 1000, ZoneInfo(zone)).date())
    assert days == [days[0] + timedelta(days=number) for number in range(366)]


@pytest.mark.parametrize("name", ["anna~phone", "anna~a@b", "anna@mail", "anna@webhook"])
def test_a_way_names_its_user(name: str) -> None:
    assert user_of(name) == "anna"
