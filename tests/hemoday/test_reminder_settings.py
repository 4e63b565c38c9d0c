"""How somebody is reminded: the routes, and quiet hours against a clock that is watched."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from shared import wiring
from shared.privacy.export import export
from shared.products.hemoday.reminder_settings import Choice
from shared.products.hemoday.tables import REMINDER_SETTINGS as COLLECTION
from shared.records.store import Key
from tests.api.conftest import Api, StartApi
from tests.hemoday.reminding import DAY, MINUTE, at

PATH = "/api/v1/reminders/settings"

NIGHT = {"from": "22:00", "to": "07:00", "time_zone": "Asia/Kolkata"}


@pytest.fixture
def api(start_api: StartApi) -> Api:
    api = start_api(product="hemoday")
    api.join("anna", "f1", "owner")
    return api


def test_a_choice_is_kept_for_its_owner_alone_and_ends_with_the_account(api: Api) -> None:
    token = api.token("anna", device="annas-phone")
    body = {"token": "push-token-of-anna"}
    assert api.ask("POST", "/api/v1/devices/token", body, token=token).status_code == 200
    before = api.ask("GET", PATH, token=token).json
    assert before is not None
    [phone] = before.pop("phones")
    assert (phone["device"], phone["reachable"]) == ("annas-phone", True)
    assert before == {
        "devices": None,
        "mail": False,
        "quiet_hours": None,
        "language": "en",
        "mail_is_sent": False,
    }
    said = {"devices": ["annas-phone"], "mail": True, "quiet_hours": NIGHT, "language": "ar"}
    saved = api.ask("PUT", PATH, said, token=token)
    assert saved.status_code == 200
    for answer in (saved, api.ask("GET", PATH, token=token)):
        assert answer.json is not None
        assert {name: answer.json[name] for name in said} == said
    other = api.ask("GET", PATH, token=api.token("carl")).json
    assert other is not None
    assert (other["quiet_hours"], other["phones"]) == (None, [])
    store, catalog = wiring.store(), wiring.catalog()
    assert export(store, catalog, "anna", wiring.clock_ms())["user"][COLLECTION]["language"] == "ar"
    assert COLLECTION in catalog.of_users
    wiring.accounts().deletion.delete("anna", wiring.clock_ms())
    assert Key(COLLECTION, "anna") not in store.read([Key(COLLECTION, "anna")]).documents


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({"language": "fr"}, "language"),
        ({"devices": "all"}, "devices"),
        ({"devices": [7]}, "devices"),
        ({"devices": ["x"] * 51}, "devices"),
        ({"mail": "yes"}, "mail"),
        ({"quiet_hours": {"from": "22:00", "to": "07:00"}}, "quiet_hours"),
        ({"quiet_hours": {**NIGHT, "from": "25:00"}}, "quiet_hours"),
        ({"quiet_hours": {**NIGHT, "to": "7"}}, "quiet_hours"),
        ({"quiet_hours": {**NIGHT, "to": "22:00"}}, "quiet_hours"),
        ({"quiet_hours": {**NIGHT, "to": "21:59"}}, "quiet_hours"),
        ({"quiet_hours": {**NIGHT, "time_zone": "Mars/Base"}}, "quiet_hours"),
        ({"quiet_hours": {**NIGHT, "time_zone": "../etc/passwd"}}, "quiet_hours"),
    ],
)
def test_a_choice_that_cannot_be_is_refused_by_its_field(
    api: Api, body: dict[str, Any], field: str
) -> None:
    answer = api.ask("PUT", PATH, body, token=api.token("anna"))
    assert answer.json is not None
    error = answer.json["error"]
    assert (answer.status_code, error["code"]) == (400, "invalid_request")
    assert error["field"].startswith(field)
    assert not wiring.store().read([Key(COLLECTION, "anna")]).documents


# --- quiet hours


def quiet(begins: str, ends: str, zone: str) -> Choice:
    return Choice(quiet=(begins, ends, zone))


@pytest.mark.parametrize(
    ("hours", "due", "sent"),
    [
        (("22:00", "07:00"), "2027-03-18T21:59", "2027-03-18T21:59"),
        (("22:00", "07:00"), "2027-03-18T22:00", "2027-03-19T07:00"),
        (("22:00", "07:00"), "2027-03-19T06:59", "2027-03-19T07:00"),
        (("22:00", "07:00"), "2027-03-19T07:00", "2027-03-19T07:00"),
        (("13:00", "15:00"), "2027-03-18T14:00", "2027-03-18T15:00"),
        (("13:00", "15:00"), "2027-03-18T12:59", "2027-03-18T12:59"),
        # summer time begins: the end never comes, and is an hour later
        (("22:00", "02:30"), "2027-03-28T01:50", "2027-03-28T03:30"),
        (("22:00", "07:00"), "2027-03-28T03:10", "2027-03-28T07:00"),
    ],
)
def test_quiet_hours_over_midnight_and_over_a_change_of_the_clock(
    hours: tuple[str, str], due: str, sent: str
) -> None:
    assert quiet(*hours, "Europe/Berlin").quiet_until(at(due)) == at(sent)


def test_an_hour_that_comes_twice_is_quiet_once() -> None:
    until = quiet("22:00", "02:30", "Europe/Berlin").quiet_until
    assert until(at("2027-10-31T02:10")) == at("2027-10-31T02:30")
    assert until(at("2027-10-31T02:10", fold=1)) == at("2027-10-31T02:10", fold=1)


ZONES = (
    *("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago"),
    *("Asia/Kolkata", "Africa/Casablanca", "Africa/Cairo", "Antarctica/Troll", "Pacific/Apia"),
)


def watched(begins: str, ends: str, zone: str, start_ms: int, days: int) -> dict[int, bool]:
    """By minute: whether it is quiet, as somebody sees it who watches the clock without a pause.

    It becomes quiet when the clock reaches the beginning, or has skipped it, and ends in the same way; what
    the clock shows again does not begin it again.
    """
    where, found, now_quiet = ZoneInfo(zone), {}, False
    highest: datetime | None = None
    for minute in range(days * 1440):
        moment = start_ms + minute * MINUTE
        shown = datetime.fromtimestamp(moment / 1000, UTC).astimezone(where).replace(tzinfo=None)
        if highest is not None:
            wall = highest
            while wall < shown:  # each minute that the clock has passed since, skipped or not
                wall += timedelta(minutes=1)
                clock = f"{wall:%H:%M}"
                if clock == ends:
                    now_quiet = False
                elif clock == begins:
                    now_quiet = True
        highest = shown if highest is None else max(highest, shown)
        found[moment] = now_quiet
    return found


@pytest.mark.parametrize("zone", ZONES)
def test_quiet_hours_are_what_somebody_sees_who_watches_the_clock(zone: str) -> None:
    dice = random.Random(zone)
    for begins, ends in (("22:00", "07:00"), ("13:15", "14:45"), ("20:30", "00:00")):
        # around each change of the offset in two years, and on any day
        starts = [at("2027-01-01T12:00", zone) + dice.randrange(600) * DAY]
        for day in range(730):
            noon = datetime(2027, 1, 1, 12, tzinfo=UTC) + timedelta(days=day)
            here = noon.astimezone(ZoneInfo(zone)).utcoffset()
            if here != (noon + timedelta(days=1)).astimezone(ZoneInfo(zone)).utcoffset():
                starts.append(round((noon - timedelta(days=1)).timestamp() * 1000))
        choice = quiet(begins, ends, zone)
        for start in starts:
            seen = watched(begins, ends, zone, start, 4)
            for moment in [each for each in seen if each >= start + DAY][::7]:
                until = choice.quiet_until(moment)
                assert (until > moment) == seen[moment], (zone, begins, moment)
                if until in seen and until > moment:
                    assert not seen[until]
                    assert seen[until - MINUTE]
