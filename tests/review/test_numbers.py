"""Numbers by week are what a plain count of everything gives, on both stores, for one's own teams alone."""

from __future__ import annotations

import itertools
import random
from collections import Counter
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from infra.cli.migrator import Migrator
from shared.errors import Forbidden, InvalidRequest, NotFound
from shared.products.dermadetect import days, numbers
from shared.products.dermadetect.faults import TooMuchToCount
from shared.products.dermadetect.numbers import Numbers, NumbersQuery, nearest_rank
from shared.products.dermadetect.product import DERMADETECT
from shared.products.dermadetect.signal import RANKS
from shared.products.dermadetect.tables import CATALOG
from shared.records import record
from shared.records.store import Key, Write, put
from tests.review.conftest import Practice, doctor, numbers_of
from tests.review.test_filters import NOON, stored

DAY = 86_400_000
WORD = {rank: word for word, rank in RANKS.items()}
MARCH = NumbersQuery(date(2026, 3, 1), date(2026, 3, 31), UTC)


def of(practice: Practice, user: str = "doc1", **asked: Any) -> dict[str, Any]:
    return Numbers(practice.store).of(doctor(user), MARCH._replace(**asked))


def signed(name: str, at_ms: int, scope: str = "team1", **more: Any) -> Write:
    fields = {"table": "cases", "record_id": name, record.SCOPE: scope, "signed_at": at_ms}
    return put(Key("reviews", name), {**fields, "first_signed_at": at_ms, **more}, None)


@pytest.fixture
def season(practice: Practice) -> Practice:
    """Three hundred cases from February to April, in two teams of hers and one of others."""
    practice.join("doc1", "team2", "doctor")
    dice = random.Random(11)
    writes: list[Write] = []
    for number in range(300):
        name, scope = f"c{number}", dice.choice(("team1", "team1", "team2", "team9"))
        made = NOON + dice.randrange(-20 * DAY, 50 * DAY)
        gone = dice.random() < 0.1
        fields: dict[str, Any] = {
            record.SCOPE: scope,
            record.CREATED: made,
            record.RECEIVED: made + dice.randrange(DAY),
            "_rank": dice.randrange(5),
            "patient_id": "p1",
            **({record.DELETED: made + DAY, record.KEPT: made + DAY} if gone else {}),
        }
        writes.append(put(Key("cases", name), fields, None))
        if dice.random() < 0.6:
            by, verdict = (
                dice.choice(("doc1", "doc2")),
                dice.choice(("agree", "edit", "reject", None)),
            )
            at_ms = fields[record.RECEIVED] + dice.randrange(5 * DAY)
            writes.append(signed(name, at_ms, scope, signed_by=by, verdict=verdict))
    # what was purged has no data any more, and what moves is neither here nor there
    purged = {record.SCOPE: "team1", record.DELETED: NOON, record.MODIFIED: NOON}
    writes += [put(Key("cases", "purged"), purged, None), signed("purged", NOON)]
    moving = {record.SCOPE: "team9", record.CREATED: NOON, "_rank": 1}
    writes += [put(Key("cases", "moving"), moving, None), signed("moving", NOON, verdict="agree")]
    for at in range(0, len(writes), 400):
        practice.store.commit(writes[at : at + 400])
    practice.time = NOON + 60 * DAY
    return practice


def plainly(practice: Practice, scopes: set[str], by: str | None, zone: Any) -> dict[str, Any]:
    """The same, by looking at everything."""
    from shared.records.store import Query

    cases = {
        each.key.id: each.fields
        for each in practice.store.query(Query("cases"))
        if each.fields[record.SCOPE] in scopes and record.DELETED not in each.fields
    }
    done = {
        each.key.id: each.fields
        for each in practice.store.query(Query("reviews"))
        if each.key.id in cases
        and each.fields[record.SCOPE] == cases[each.key.id][record.SCOPE]
        and by in (None, each.fields.get("signed_by"))
    }

    def day(at_ms: int) -> date:
        return datetime.fromtimestamp(at_ms / 1000, zone).date()

    found: dict[str, Any] = {}
    for week in days.weeks(MARCH.first_day, MARCH.last_day, zone):
        arrived = Counter(
            WORD[have["_rank"]]
            for have in cases.values()
            if week.first_day <= day(have[record.CREATED]) <= week.last_day
        )
        here = {
            name: have
            for name, have in done.items()
            if week.first_day <= day(have["first_signed_at"]) <= week.last_day
        }
        waits = sorted(
            have["first_signed_at"] - cases[name][record.RECEIVED] for name, have in here.items()
        )
        found[week.name] = {
            "arrived": dict(arrived),
            "signed": dict(Counter(WORD[cases[name]["_rank"]] for name in here)),
            "waits": waits,
            "verdicts": dict(Counter(str(have.get("verdict", "none")) for have in here.values())),
        }
    return found


def some(counts: dict[str, Any]) -> dict[str, Any]:
    """The counts that are not 0."""
    left_out = ("total", "agreement")
    return {name: count for name, count in counts.items() if count and name not in left_out}


@pytest.mark.parametrize("zone", ["UTC", "Africa/Nairobi", "America/New_York"])
@pytest.mark.parametrize("own", [False, True])
def test_numbers_are_what_a_look_at_everything_gives(
    season: Practice, zone: str, own: bool
) -> None:
    there = days.zone_of(zone)
    found = of(season, zone=there, zone_name=zone, own=own)
    plain = plainly(season, {"team1", "team2"}, "doc1" if own else None, there)
    assert [week["week"] for week in found["weeks"]] == list(plain)
    waits: list[int] = []
    for week in found["weeks"]:
        expected = plain[week["week"]]
        waits += expected["waits"]
        assert (None if own else some(week["arrived"])) == (None if own else expected["arrived"])
        assert some(week["signed"]) == expected["signed"]
        assert some(week["verdicts"]) == expected["verdicts"]
        assert week["signed"]["total"] == len(expected["waits"])
        if expected["waits"]:
            assert week["waits"]["median_ms"] in expected["waits"]
    # and all days together are those of the weeks
    whole = found["all"]
    assert (whole["first_day"], whole["last_day"]) == ("2026-03-01", "2026-03-31")
    assert whole["signed"]["total"] == len(waits) > (10 if own else 50)
    waits.sort()
    assert whole["waits"]["median_ms"] == waits[(len(waits) - 1) // 2]
    beyond = [each for each in waits if each > whole["waits"]["p90_ms"]]
    assert len(beyond) <= len(waits) / 10 < len(beyond) + 1
    said = whole["verdicts"]
    judged = said["agree"] + said["edit"] + said["reject"]
    assert said["agreement"] == pytest.approx(said["agree"] / judged, abs=1e-4)


def test_numbers_of_another_team_are_nobody_s(season: Practice) -> None:
    season.join("doc9", "team9", "doctor")
    mine, theirs = of(season), of(season, "doc9")
    one, two = of(season, scope_id="team1"), of(season, scope_id="team2")
    total = mine["all"]["arrived"]["total"]
    assert total == one["all"]["arrived"]["total"] + two["all"]["arrived"]["total"]
    assert theirs["all"]["arrived"]["total"] not in (0, total)
    with pytest.raises(NotFound):
        of(season, scope_id="team9")
    for user in ("chw1", "nobody"):
        with pytest.raises(Forbidden):
            of(season, user)
    # nor does she keep those of a team that she has left
    season.leave("doc1", "team2")
    assert of(season)["all"] == one["all"]
    assert of(season, own=True)["all"]["signed"]["total"] < mine["all"]["signed"]["total"]


def test_more_than_one_answer_counts_is_refused_with_what_to_do(
    season: Practice, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numbers, "MOST_SIGNED", 20)
    with pytest.raises(TooMuchToCount, match="fewer days"):
        of(season)
    assert of(season, last_day=date(2026, 3, 2))["all"]["signed"]["total"] < 20


def test_an_amended_diagnosis_counts_once_where_it_was_first_signed(practice: Practice) -> None:
    practice.time = NOON
    practice.red_case("c1")
    first = practice.sign(key="k1", verdict="reject")["id"]
    began = practice.fields("reviews", "c1")["first_signed_at"]
    practice.time += 8 * DAY
    practice.sign("doc2", key="k2", verdict="agree", amends=first)
    have = practice.fields("reviews", "c1")
    assert (have["first_signed_at"], have["signed_at"]) == (began, began + 8 * DAY)
    found = of(practice)
    assert [week["signed"]["total"] for week in found["weeks"]] == [1, 0, 0, 0, 0, 0]
    assert found["all"]["verdicts"] == {
        "agree": 1, "edit": 0, "reject": 0, "none": 0, "agreement": 1.0
    }  # fmt: skip
    assert of(practice, own=True)["all"]["signed"]["total"] == 0
    assert of(practice, "doc2", own=True)["all"]["signed"]["total"] == 1


def test_what_was_signed_before_this_was_kept_is_counted_after_its_migration(
    practice: Practice,
) -> None:
    stored(practice, "c1")
    old = signed("c1", NOON + 9 * DAY, signed_by="doc1").fields
    steps = [{"step": "claimed", "at": NOON - 5}, {"step": "signed", "at": NOON},
             {"step": "amended", "at": NOON + 9 * DAY}]  # fmt: skip
    have = {**old, "history": steps, "first_signed_at": None}
    practice.store.commit([put(Key("reviews", "c1"), have, None)])
    practice.store.commit([put(Key("reviews", "c2"), {"claimed_by": "doc1"}, None)])
    assert of(practice)["all"]["signed"]["total"] == 0
    [migration] = [each for each in DERMADETECT.migrations() if each.name == "first-signatures"]
    assert Migrator(practice.store, CATALOG, migration).run().changed == 1
    assert of(practice)["weeks"][0]["signed"]["total"] == 1
    assert Migrator(practice.store, CATALOG, migration).would_change() == []


def test_numbers_without_words_are_those_of_twelve_weeks_until_today() -> None:
    asked = numbers_of({}, NOON)
    assert (asked.first_day, asked.last_day) == (date(2025, 12, 8), date(2026, 3, 1))
    # today is the caller's
    late = NOON + 11 * 3_600_000
    assert numbers_of({"zone": "Africa/Nairobi"}, late).last_day == date(2026, 3, 2)


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"first_day": "2026-03-02", "last_day": "2026-03-01"}, "last_day"),
        ({"first_day": "2025-02-01", "last_day": "2026-03-01"}, "first_day"),
        ({"first_day": "2026-W10"}, "first_day"),
        ({"zone": "right/UTC"}, "zone"),
        ({"scope": "~x"}, "scope"),
        ({"own": "2"}, "own"),
    ],
)
def test_crooked_days_are_named(arguments: dict[str, str], field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        numbers_of(arguments, NOON)
    assert refused.value.field == field


@pytest.mark.parametrize(
    ("values", "median", "p90"),
    [([7], 7, 7), ([1, 2], 1, 2), ([3, 1, 2], 2, 3), (list(range(1, 11)), 5, 9), ([5] * 11, 5, 5)],
)
def test_percentiles_are_values_that_came_about(values: list[int], median: int, p90: int) -> None:
    assert (nearest_rank(values, 50), nearest_rank(values, 90)) == (median, p90)


@pytest.mark.parametrize(
    "zone", ["UTC", "Africa/Nairobi", "Africa/Cairo", "America/Sao_Paulo", "Asia/Kathmandu"]
)
def test_weeks_neither_overlap_nor_leave_a_gap(zone: str) -> None:
    there = days.zone_of(zone)
    first, last = date(2017, 12, 27), date(2019, 1, 2)
    weeks = list(days.weeks(first, last, there))
    assert (weeks[0].first_day, weeks[-1].last_day) == (first, last)
    for one, two in itertools.pairwise(weeks):
        assert one.until_ms == two.from_ms
        assert two.first_day == one.last_day + timedelta(days=1)
        assert two.first_day.isoweekday() == 1
    names = [week.name for week in weeks]
    assert len(set(names)) == len(names)
    assert (names[0], names[-1]) == ("2017-W52", "2019-W01")
    # each moment is of the day that a clock on the wall there shows
    dice = random.Random(3)
    for _ in range(300):
        at_ms = dice.randrange(weeks[0].from_ms, weeks[-1].until_ms)
        [week] = [each for each in weeks if each.from_ms <= at_ms < each.until_ms]
        wall = datetime.fromtimestamp(at_ms / 1000, ZoneInfo(zone)).date()
        assert week.first_day <= wall <= week.last_day
