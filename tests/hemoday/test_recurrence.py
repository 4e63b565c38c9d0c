"""Reminders fire neither twice nor never, in any zone; the second implementation asks the clock itself."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo, available_timezones

import pytest

from shared.products.hemoday.recurrence import NoRule, Recurrence, of_reminder, parse

MINUTE, DAY = timedelta(minutes=1), timedelta(days=1)
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

#: Zones that change at odd hours, by half an hour, at midnight, in winter, or by a whole day.
ODD = (
    *(
        "Europe/Berlin",
        "America/New_York",
        "Australia/Lord_Howe",
        "America/Santiago",
        "Asia/Tehran",
    ),
    *("Africa/Casablanca", "Pacific/Apia", "Europe/Dublin", "Asia/Kolkata", "Antarctica/Troll"),
    *("Africa/Cairo", "America/Godthab"),
)


def ms(moment: datetime) -> int:
    return (moment - EPOCH) // timedelta(milliseconds=1)


def shows(zone: ZoneInfo, moment: datetime) -> datetime:
    """What the clock on the wall shows at a moment in UTC."""
    return moment.astimezone(zone).replace(tzinfo=None, fold=0)


def seen(zone: ZoneInfo, wall: datetime) -> datetime:
    """The first moment at which a clock shows a wall time, or would without the change it fell in.

    By looking at the clock minute by minute, and never at what Python says of gaps and folds.
    """
    moment = wall.replace(tzinfo=UTC) - timedelta(hours=27)
    while shows(zone, moment) < wall:
        ahead = wall - shows(zone, moment)
        # a clock is set on by no more than a day: nearer than that it is looked at each quarter of an hour
        moment += ahead - DAY if ahead > DAY + MINUTE else min(ahead, 15 * MINUTE)
    if shows(zone, moment) == wall:
        return moment
    before = moment
    while shows(zone, before) > wall:
        before -= MINUTE
    return before + (wall - shows(zone, before))


def due(zone: ZoneInfo, start: datetime, until: datetime) -> Iterator[tuple[datetime, bool]]:
    """Every wall time of a daily rule, with whether the zone's offset changes around it."""
    days = range((until - start).days)
    offsets = [
        (start + (day - 2) * DAY).replace(tzinfo=UTC).astimezone(zone).utcoffset()
        for day in range(len(days) + 4)
    ]
    for day in days:
        yield start + day * DAY, len(set(offsets[day : day + 5])) > 1


def held_against_the_clock(name: str, start: datetime, until: datetime) -> None:
    """A daily rule over years: every day's time once, at the moment at which the clock shows it."""
    zone = ZoneInfo(name)
    rule = Recurrence(start, zone, "DAILY")
    found = list(
        rule.between(ms(start.replace(tzinfo=UTC) - 3 * DAY), ms(until.replace(tzinfo=UTC)))
    )
    instants = [each.at_ms for each in found]
    assert instants == sorted(set(instants)), f"{name}: twice"
    by_wall = {each.wall: each.at_ms for each in found}
    last = None
    for wall, changes in due(zone, start, until - 3 * DAY):
        if changes:
            expected = ms(seen(zone, wall))
        else:
            offset = wall.replace(tzinfo=UTC).astimezone(zone).utcoffset()
            assert offset is not None
            expected = ms(wall.replace(tzinfo=UTC) - offset)
        if wall in by_wall:
            assert by_wall[wall] == expected, f"{name}: {wall}"
        else:  # a day that never comes falls on the next one's instant
            assert expected == last or expected in instants, f"{name}: {wall} never"
        last = expected


@pytest.mark.parametrize("name", ODD)
def test_a_daily_reminder_comes_once_a_day(name: str) -> None:
    held_against_the_clock(name, datetime(2011, 9, 1, 2, 30), datetime(2012, 12, 1))


@pytest.mark.proof
def test_a_daily_reminder_comes_once_a_day_in_every_zone_for_ten_years() -> None:
    rules: dict[bytes, str] = {}
    for name in sorted(available_timezones()):
        file = next(Path(folder, name) for folder in TZPATH if Path(folder, name).is_file())
        rules.setdefault(file.read_bytes(), name)  # many zones are other names of one
    for number, name in enumerate(rules.values()):
        start = datetime(2025, 1, 1, (0, 1, 2, 3, 23)[number % 5], (30, 0)[number % 2])
        weeks = (start.replace(tzinfo=UTC) + week * 7 * DAY for week in range(53 * 10))
        changes = len({moment.astimezone(ZoneInfo(name)).utcoffset() for moment in weeks}) > 1
        held_against_the_clock(name, start, datetime(2035 if changes else 2026, 1, 1))


def walls(rule: Recurrence, count: int = 6) -> list[str]:
    found = rule.between(ms(rule.start.replace(tzinfo=UTC) - 3 * DAY), 10**15)
    return [each.name for each, _ in zip(found, range(count), strict=False)]


def test_the_31st_is_the_last_day_of_a_shorter_month() -> None:
    rule = parse("FREQ=MONTHLY", datetime(2026, 12, 31, 9), ZoneInfo("Asia/Kolkata"))
    assert [name[:10] for name in walls(rule)] == [
        *("2026-12-31", "2027-01-31", "2027-02-28", "2027-03-31", "2027-04-30", "2027-05-31")
    ]
    assert walls(
        parse("FREQ=MONTHLY;INTERVAL=12", datetime(2024, 2, 29, 9), ZoneInfo("UTC")), 2
    ) == [*("2024-02-29T09:00", "2025-02-28T09:00")]


def test_spring_and_autumn_in_berlin() -> None:
    berlin = ZoneInfo("Europe/Berlin")
    spring = Recurrence(datetime(2026, 3, 28, 2, 30), berlin, "DAILY", count=3)
    hours = [
        shows(berlin, EPOCH + timedelta(milliseconds=each.at_ms))
        for each in spring.between(0, 10**14)
    ]
    assert [each.hour for each in hours] == [2, 3, 2]
    autumn = Recurrence(datetime(2026, 10, 25, 2, 30), berlin)
    [once] = autumn.between(0, 10**14)
    assert once.at_ms == ms(datetime(2026, 10, 25, 0, 30, tzinfo=UTC))
    second = ms(datetime(2026, 10, 25, 1, 30, tzinfo=UTC))
    set_for_it = {"remind_at": second, "time_zone": "Europe/Berlin", "frequency": "daily"}
    following = [each.at_ms - second for each in of_reminder(set_for_it).between(0, second + 10**8)]
    assert following == [0, 86_400_000]


def test_a_day_that_never_came_does_not_fire_twice() -> None:
    rule = Recurrence(datetime(2011, 12, 28, 9), ZoneInfo("Pacific/Apia"), "DAILY", count=5)
    assert [name[8:10] for name in walls(rule)] == ["28", "29", "30", "01"]


def test_a_window_far_away_is_what_walking_there_finds() -> None:
    for text in ("FREQ=DAILY;INTERVAL=3", "FREQ=WEEKLY;INTERVAL=2", "FREQ=MONTHLY;INTERVAL=5"):
        rule = parse(text, datetime(2020, 1, 31, 23, 45), ZoneInfo("Pacific/Kiritimati"))
        all_of_it = list(rule.between(0, 2 * 10**12))
        for cut in range(0, len(all_of_it) - 1, 97):
            at_ms = all_of_it[cut].at_ms
            assert rule.next(at_ms) == all_of_it[cut + 1]
            assert list(rule.between(at_ms, 2 * 10**12)) == all_of_it[cut:]


@pytest.mark.parametrize(
    "text",
    [
        *("", "FREQ=HOURLY", "FREQ=DAILY;BYDAY=MO", "FREQ=DAILY;FREQ=DAILY", "INTERVAL=2"),
        *("FREQ=DAILY;INTERVAL=0", "FREQ=DAILY;COUNT=10001", "FREQ=DAILY;UNTIL=20270131"),
        "FREQ=DAILY;COUNT=2;UNTIL=20270131T180000Z",
    ],
)
def test_a_rule_beyond_the_subset_is_refused(text: str) -> None:
    with pytest.raises(NoRule):
        parse(text, datetime(2026, 1, 1), ZoneInfo("UTC"))


def test_a_row_of_the_table_is_a_rule_and_a_rule_is_what_a_calendar_reads() -> None:
    begins = ms(datetime(2026, 6, 1, 3, 30, tzinfo=UTC))
    row = {
        "remind_at": begins,
        "time_zone": "Asia/Kolkata",
        "frequency": "every_n_days",
        "every": 3,
    }
    rule = of_reminder({**row, "ends_at": begins + 7 * 86_400_000})
    assert walls(rule) == ["2026-06-01T09:00", "2026-06-04T09:00", "2026-06-07T09:00"]
    text = rule.rrule()
    assert text == "FREQ=DAILY;INTERVAL=3;UNTIL=20260608T033000Z"
    assert parse(text, rule.start, rule.zone) == rule
    once = of_reminder({"remind_at": begins, "time_zone": "Mars/Base", "frequency": "once"})
    assert (once.rrule(), once.next(0), once.next(begins)) == (None, *once.between(0, 10**14), None)
