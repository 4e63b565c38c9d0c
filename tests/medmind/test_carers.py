"""What people said in public of pages for medicines, each tried on ours; the story is named there."""

from __future__ import annotations

from pathlib import Path

import pytest

from shared.console.page import HOME
from tests.api.conftest import StartApi
from tests.console.browser_in_process import Seen
from tests.medmind.at_home import Home, home
from tests.medmind.test_pages import METFORMIN, at, looked


@pytest.fixture
def circle(start_api: StartApi, tmp_path: Path) -> Home:
    """Monday, 9 March 2037, ten past eight in the evening in Kolkata: both doses of the day came."""
    made = home(start_api, tmp_path, at("2037-03-09T07:30"))
    made.move(at("2037-03-09T20:10"))
    made.run()
    return made


def noted(circle: Home, dose: str, day: str = "", **fields: str) -> Seen:
    """The form of a dose on the page of its day."""
    page = f"today?scope=demo&day={day}"
    forms = circle.open(page).forms("say")
    form = next(f for f in forms if f.fields["dose"].endswith(dose) and "time" in f.names)
    return circle.browser("demo-daughter").post(f"{HOME}/{page}", {**form.fields, **fields})


def states(circle: Home, day: str) -> list[str]:
    found = circle.doses(first_day=day)
    return [each["state"] for each in found if each["item_id"] == METFORMIN]


def test_a_time_is_the_one_that_was_typed(circle: Home) -> None:
    """DanielVolz/medassist-ng#64: whatever is entered comes an hour later."""
    seen = looked(circle, f"plan/{METFORMIN}?scope=demo", times="06:15")
    assert "06:15" in seen.text
    assert "07:15" not in seen.text


def test_times_are_those_of_the_patients_clock(circle: Home) -> None:
    """DMJoh/Mediqux#14, afairgiant/MediKeep#1018: the reader's clock, or the server's, is shown."""
    seen = circle.open("today")
    assert "08:00" in seen.text
    assert 'title="Mon, Mar 9, 08:00, Asia/Kolkata"' in seen.html


def test_what_was_pressed_by_mistake_is_taken_back(circle: Home) -> None:
    """Futsch1/medTimer#341, jclehner/rxdroid#35: a dose that is marked cannot be unmarked."""
    circle.act("undo", noted(circle, "_20370309_1"))
    assert states(circle, "2037-03-09") == ["missed", "due"]


def test_the_time_at_which_it_was_taken_is_beside_the_button(circle: Home) -> None:
    """Futsch1/medTimer#518, CorruptedArk/did-i-take-my-meds#26: only now can be said."""
    noted(circle, "_20370309_0", time="08:20")
    assert states(circle, "2037-03-09") == ["on_time", "due"]


def test_yesterdays_dose_is_not_todays(circle: Home) -> None:
    """CorruptedArk/did-i-take-my-meds#42: noting an old dose takes the one of today."""
    noted(circle, "_20370308_1", "2037-03-08", time="20:30")
    assert states(circle, "2037-03-08")[1] == "on_time"
    assert states(circle, "2037-03-09") == ["missed", "due"]


def test_two_doses_at_once_are_both_noted(circle: Home) -> None:
    """CorruptedArk/did-i-take-my-meds#48: the second of a day is refused."""
    for dose in ("_20370309_0", "_20370309_1"):
        noted(circle, dose)
    assert states(circle, "2037-03-09") == ["late", "on_time"]


def test_what_is_taken_beside_the_plan_is_noted_and_counted(circle: Home) -> None:
    """CorruptedArk/did-i-take-my-meds#59 and #87: nothing unplanned can be entered."""
    seen = circle.act("need", circle.open("today"))
    circle.run()
    seen = circle.open("today")
    assert "taken 1 of at most 3 times today" in seen.text
    assert "Paracetamol" in circle.open("week").text


def test_days_in_cycles_are_seen_before_they_are_kept(circle: Home) -> None:
    """Futsch1/medTimer#1344: nobody knows whether a cycle is set up right."""
    fields = {"frequency": "every_n_days", "every": "5", "starts_on": "2037-03-10"}
    seen = looked(circle, f"plan/{METFORMIN}?scope=demo", **fields)
    assert "6 doses would come." in seen.text
    for day in ("Tue, Mar 10", "Sun, Mar 15", "Fri, Mar 20"):
        assert day in seen.text


def test_tomorrow_holds_every_medicine_that_comes(circle: Home) -> None:
    """Futsch1/medTimer#1241: the next day leaves medicines out, and boxes are filled by it."""
    seen = circle.open("today?scope=demo&day=2037-03-16")
    assert seen.html.count("<article") == 3  # metformin twice, and the vitamin of Mondays


def test_what_was_taken_stays_when_a_medicine_ends(circle: Home) -> None:
    """Futsch1/medTimer#137: with the medicine its history goes."""
    noted(circle, "_20370309_0", time="08:20")
    circle.act("remove", circle.open(f"plan/{METFORMIN}?scope=demo"))
    circle.run()
    assert states(circle, "2037-03-09")[0] == "on_time"
    assert states(circle, "2037-03-10") == []
    assert "Metformin" in circle.open("week").text


def test_what_became_of_it_is_said_by_a_sign_and_a_word(circle: Home) -> None:
    """Futsch1/medTimer#1670: taken and missed look the same in a long list."""
    noted(circle, "_20370309_0", time="08:20")
    text = circle.open("week").text
    assert "✓ on time" in text
    assert "✗ missed" in text


def test_a_medicine_is_paused_without_being_deleted(circle: Home) -> None:
    """cliambrown/PillTime#28: to stop for a while is to delete."""
    circle.act("pause", circle.open("plan"))
    circle.run()
    assert states(circle, "2037-03-10") == []
    assert "paused" in circle.open("plan").text
