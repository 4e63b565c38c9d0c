"""What is left of a medicine: a function of the count and the doses since, whatever order they come in."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from shared.products.medmind.alert_tables import ALERTS
from shared.products.medmind.tables import CATALOG
from shared.records.store import Key
from shared.support.undelete import undelete
from tests.medmind.test_dosing import DAY, MINUTE, Circle, ms

HOUR = 60 * MINUTE


class Cupboard(Circle):
    """A circle with one medicine that is counted."""

    def count(self, stock: float | None, **more: Any) -> None:
        row = {"id": "m1", "name": "Metformin", "stock": stock}
        self.push(medications=[{**row, **more}])

    @property
    def medicine(self) -> dict[str, Any]:
        return self.fields("medications", "m1")

    @property
    def left(self) -> Any:
        return self.medicine.get("left")

    @property
    def low(self) -> list[str]:
        """States of the alerts of what is soon used up, the oldest first."""
        found = [each.fields for each in self.all(ALERTS) if each.fields["kind"] == "low_stock"]
        return [each["state"] for each in sorted(found, key=lambda each: each["raised_at"])]


@pytest.fixture
def circle(tmp_path: Path) -> Iterator[Cupboard]:
    place = Cupboard(tmp_path)
    place.push(patients=[{"id": "team1", "name": "Kamala", "time_zone": "Asia/Kolkata"}])
    place.count(30)
    place.push(medication_plans=[{"id": "p1", "medication_id": "m1"}])
    yield place
    place.store.close()


def test_what_is_taken_is_gone_and_what_is_undone_is_back(circle: Cupboard) -> None:
    circle.item(times=["08:00", "20:00"], amount=1.5)
    circle.go(ms(DAY, 8, 5))
    circle.says("e1", "i1_20260302_0", "taken", circle.at)
    assert circle.left == 28.5
    circle.says("e2", "i1_20260302_0", "taken", circle.at + MINUTE)  # said twice
    assert circle.left == 28.5
    circle.says("e3", "i1_20260302_0", "undone", circle.at, undoes="e1")
    circle.says("e4", "i1_20260302_0", "undone", circle.at, undoes="e2")
    assert circle.left == 30
    circle.says("e5", "i1_20260302_0", "skipped", circle.at, reason="sick")
    assert circle.left == 30


def test_an_event_says_how_much_it_was(circle: Cupboard) -> None:
    circle.item(times=[], frequency="as_needed", amount=1)
    circle.says("e1", "i1", "taken", circle.at, amount=2)
    circle.says("e2", "i1", "taken", circle.at)
    assert circle.left == 27


def test_what_was_taken_before_the_count_is_in_the_count(circle: Cupboard) -> None:
    """MedTimer #892: doses that were told late were taken off a count that knew of them."""
    circle.item(times=["08:00", "20:00"])
    circle.go(ms(DAY, 12))
    circle.count(10, counted_at=ms(DAY, 11))
    circle.says("e1", "i1_20260302_0", "taken", ms(DAY, 8))  # of the morning, told at noon
    assert circle.left == 10
    circle.go(ms(DAY, 20, 5))
    circle.says("e2", "i1_20260302_1", "taken", circle.at)
    assert circle.left == 9


def test_the_same_number_counted_again_is_a_new_count(circle: Cupboard) -> None:
    circle.item(times=["08:00"])
    circle.go(ms(DAY, 8, 5))
    circle.says("e1", "i1_20260302_0", "taken", circle.at)
    assert circle.left == 29
    circle.at += MINUTE
    circle.count(30, counted_at=circle.at)  # a box of thirty again
    assert circle.left == 30


def test_another_name_is_no_count(circle: Cupboard) -> None:
    circle.item(times=["08:00"])
    circle.go(ms(DAY, 8, 5))
    circle.says("e1", "i1_20260302_0", "taken", circle.at)
    circle.at += MINUTE
    circle.count(30, name="Metformin 500")
    assert circle.left == 29


def test_two_plans_of_a_medicine_share_its_stock(circle: Cupboard) -> None:
    circle.push(medication_plans=[{"id": "p2", "medication_id": "m1"}])
    circle.item(id="i1", times=["08:00"])
    circle.item(id="i2", plan_id="p2", times=["08:00"], amount=2)
    circle.go(ms(DAY, 8, 5))
    for name in ("i1", "i2"):
        circle.says(f"e-{name}", f"{name}_20260302_0", "taken", circle.at)
    assert circle.left == 27
    circle.delete("medication_plans", "p2")  # what was taken of it stays taken
    circle.go(ms(DAY, 8, 30))
    assert circle.left == 27


def test_units_that_differ_are_not_added_up(circle: Cupboard) -> None:
    circle.item(id="i1", times=["08:00"], unit="tablet")
    assert circle.left == 30
    circle.item(id="i2", times=["08:00"], unit="ml")
    assert circle.left is None
    assert circle.medicine.get("refill_on") is None


@pytest.mark.parametrize(
    ("stock", "amount", "refill_on"),
    [
        (30, 1, "2026-03-17"),  # fifteen days of two
        (31, 1, "2026-03-17"),  # the evening's
        (3, 2, "2026-03-02"),
        (0, 1, "2026-03-02"),
        (363, 1, None),  # more than is looked ahead
    ],
)
def test_the_day_of_refill_is_that_of_the_first_dose_it_does_not_reach(
    circle: Cupboard, stock: float, amount: float, refill_on: str | None
) -> None:
    """MedTimer #479: a forecast of the day on which one runs out."""
    circle.count(stock, refill_days=0)
    circle.item(times=["08:00", "20:00"], amount=amount)
    assert circle.medicine.get("refill_on") == refill_on


def test_the_forecast_follows_the_plan(circle: Cupboard) -> None:
    circle.item(times=["08:00"])
    assert circle.medicine.get("refill_on") == "2026-04-01"
    circle.item(times=["08:00"], frequency="every_n_days", every=2)
    assert circle.medicine.get("refill_on") == "2026-05-01"
    circle.item(times=["08:00"], paused=True)
    assert circle.medicine.get("refill_on") is None


def test_it_is_told_once_a_count_and_counting_enough_ends_it(circle: Cupboard) -> None:
    circle.count(10)
    circle.item(times=["08:00"])
    assert circle.low == []
    for day in range(5):
        circle.go(ms(DAY + timedelta(days=day), 8, 5))
        circle.says(f"e{day}", f"i1_2026030{2 + day}_0", "taken", circle.at)
        assert circle.medicine.get("refill_on") == "2026-03-12"
        assert circle.low == ([] if day < 3 else ["open"])  # seven days before
    circle.at += MINUTE
    circle.count(30, counted_at=circle.at)
    assert circle.low == ["ended"]
    circle.count(5, counted_at=circle.at + MINUTE)
    assert circle.low == ["ended", "open"]


def test_what_is_not_counted_is_not_guessed(circle: Cupboard) -> None:
    circle.count(None)
    circle.item(times=["08:00"])
    circle.go(ms(DAY, 8, 5))
    circle.says("e1", "i1_20260302_0", "taken", circle.at)
    assert (circle.left, circle.medicine.get("refill_on"), circle.low) == (None, None, [])


@pytest.mark.parametrize("seed", [0, *(pytest.param(n, marks=pytest.mark.proof) for n in (1, 2))])
def test_for_any_order_what_is_left_is_what_a_clerk_counts(circle: Cupboard, seed: int) -> None:
    """A clerk with a list of what was said, who adds it up at the end."""
    rng = random.Random(seed)
    circle.item(times=["08:00", "20:00"], amount=1.25)
    names = [f"i1_2026030{2 + n}_{place}" for n in range(4) for place in (0, 1)]
    said: list[tuple[str, str, str, int, str]] = []
    counted, stock = circle.medicine["_counted"], 30.0
    for number in range(20):
        circle.go(circle.at + rng.randrange(1, 6) * HOUR)
        if rng.random() < 0.15:
            stock, counted = rng.choice([20.0, 40.5]), circle.at - rng.randrange(0, 5) * HOUR
            circle.count(stock, counted_at=counted)
            continue
        kind = rng.choice(["taken", "taken", "skipped", "undone"])
        undoes = rng.choice([each[0] for each in said] or [""]) if kind == "undone" else ""
        of = next((each[1] for each in said if each[0] == undoes), rng.choice(names))
        at = circle.at - rng.randrange(0, 30) * HOUR
        said.append((f"e{number}", of, kind, at, undoes))
        circle.says(f"e{number}", of, kind, at, undoes=undoes)
    gone = {undoes for _, _, _, _, undoes in said if undoes}
    first: dict[str, int] = {}
    for name, of, kind, at, _ in said:
        if kind == "taken" and name not in gone:
            first[of] = min(at, first.get(of, at))
    assert circle.left == max(0, stock - 1.25 * sum(at >= counted for at in first.values()))


def test_a_medicine_that_comes_back_is_counted_again(circle: Cupboard) -> None:
    circle.item(times=["08:00"])
    circle.delete("medications", "m1")
    circle.go(ms(DAY + timedelta(days=2), 1))
    key = Key("medications", "m1")
    undelete(circle.store, CATALOG, None, key, circle.at)
    assert circle.medicine["refill_on"] == "2026-04-01"  # as it was
    circle.sweep()
    assert circle.medicine.get("refill_on") is None  # its plan is not back yet
    assert circle.left == 30
