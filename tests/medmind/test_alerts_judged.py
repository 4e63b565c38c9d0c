"""Whatever happens to an alert: whom it reaches, and when, is what a second implementation says.

The judge knows the whole story beforehand and reads no code of ours: its table is written down here, it
finds quiet hours by looking at a clock, and keeps lists where the server keeps documents and jobs. With
kills it says that nobody is told twice, nobody who must not be, and that what is lost is named.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.sqlite import SqliteStore
from shared.errors import NotifyFault
from shared.notify.notice import NOT_TAKEN
from tests import stores
from tests.conftest import SEED
from tests.hemoday.test_reminder_settings import watched
from tests.hemoday.test_reminders_judged import Disturbance
from tests.medmind.alerting import DAY, HOUR, MINUTE, Circle, at

SEVERITIES = ("notice", "urgent", "emergency")

#: Minutes after the alert: patient, first caregiver, others, doctors; and how long quiet hours hold it up.
AFTER = {
    "emergency": (0, 0, 2, 5),
    "urgent": (0, 0, 30, 240),
    "notice": (0, 0, 24 * 60, 72 * 60),
}
HELD = {"emergency": 0, "urgent": 2 * HOUR, "notice": None}

ZONES = ("Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "Asia/Kolkata", "Africa/Cairo")
DAYS = ("2027-03-13", "2027-03-27", "2027-10-30", "2027-07-01", "2027-04-02")
QUIET = (None, None, ("22:00", "07:00"), ("01:30", "03:30"), ("12:00", "20:00"))

ROLES = {
    **dict.fromkeys(("anna", "boris", "cleo"), "caregiver"),
    **dict.fromkeys(("rao", "shah"), "doctor"),
    "kamala": "patient",
}


@dataclass
class Person:
    """Somebody of the circle. Times in ms; `leaves` and `comes` may lie outside of the story."""

    comes: int
    leaves: int
    quiet: tuple[str, str] | None
    turn: int | None
    mute: bool  #: has chosen no way
    dead: bool  #: removed the app: the first message finds out


@dataclass
class AlertStory:
    """What happens; `sweeps` are the moments at which the sweeper runs."""

    zone: str
    raised: int
    heard: int  #: when the server hears of it
    severity: str
    people: dict[str, Person]
    sweeps: list[int]
    acts: list[tuple[int, int, str]] = field(default_factory=list)  #: arrived, made, user
    ends: int | None = None
    worse: tuple[int, str] | None = None
    outage: tuple[int, int] = (0, 0)  #: in which FCM takes nothing

    def inside(self, user: str, now: int) -> bool:
        return self.people[user].comes <= now < self.people[user].leaves


def told(dice: random.Random) -> AlertStory:
    """A random story: around a change of the clock, or not."""
    zone, begins = dice.choice(ZONES), at(f"{dice.choice(DAYS)}T00:00", "UTC")
    begins += dice.randrange(24 * 60) * MINUTE
    severity = dice.choice(("urgent", "urgent", "emergency", "notice"))
    every, last = {"notice": (20, 100), "urgent": (3, 7), "emergency": (1, 1)}[severity]
    minutes = range(begins, begins + last * HOUR, every * MINUTE)
    pause, since = dice.choice((0, 0, 0, 40, 200)) * MINUTE, dice.choice(minutes)
    up = [each for each in minutes if not since <= each < since + pause]
    sweeps = sorted({minutes[0], *up, minutes[-1]})
    people = {}
    for user in ROLES:
        if user != "anna" and dice.random() < 0.25:
            continue
        comes, leaves = begins - DAY, begins + 30 * DAY
        if user != "anna" and dice.random() < 0.2:
            comes = dice.choice(minutes) + 10_000
        if user != "anna" and dice.random() < 0.25:
            leaves = max(dice.choice(minutes) + 20_000, comes + MINUTE)
        turn, alone = dice.choice((None, None, 1, 2)), dice.random()
        mute, dead = alone < 0.15, 0.15 < alone < 0.3
        people[user] = Person(comes, leaves, dice.choice(QUIET), turn, mute, dead)
    heard = begins + dice.randrange(0, 5 * every) * MINUTE + 30_000
    raised = heard - dice.choice((0, 0, 20_000, 50_000, 10 * MINUTE))
    story = AlertStory(zone, raised, heard, severity, people, sweeps)
    there = next(each for each in sweeps if each >= heard)  # nobody acknowledges what no phone has
    for _ in range(dice.choice((0, 0, 1, 2))):
        arrived = dice.choice(minutes) + 30_000
        made = arrived - dice.choice((0, 0, 5, 90)) * MINUTE
        if arrived > there:
            story.acts.append((arrived, made, dice.choice(sorted(people))))
    if dice.random() < 0.15:
        story.ends = dice.choice(minutes) + 40_000
    if dice.random() < 0.2:
        worse = dice.choice(SEVERITIES)
        story.worse = (dice.choice(minutes) + 45_000, worse)
    if dice.random() < 0.25:
        from_ms = dice.choice(minutes)
        story.outage = (from_ms, from_ms + dice.choice((5, 60)) * MINUTE)
    return story


@dataclass
class Way:
    """What became of somebody's phone."""

    step: int
    ready: int
    due: int
    state: str = "waits"


@dataclass
class AlertJudge:
    """What must come of a story."""

    story: AlertStory
    sent: list[tuple[int, str]] = field(default_factory=list)  #: moment, user
    state: str = ""
    acknowledged: int | None = None
    rounds: int = 1

    def __post_init__(self) -> None:
        story = self.story
        start = story.sweeps[0] - 2 * DAY
        self.shown = {
            user: watched(*each.quiet, story.zone, start, 9)
            for user, each in story.people.items()
            if each.quiet is not None
        }
        self.ways: dict[str, Way] = {}
        self.begun: set[int] = set()
        self.gone: set[str] = set()  #: apps that are known to be removed

    def quiet_end(self, user: str, moment: int) -> int:
        while user in self.shown and self.shown[user][moment]:
            moment += MINUTE
        return moment

    def awake(self, severity: str, user: str, moment: int) -> int:
        end, held = self.quiet_end(user, moment), HELD[severity]
        return end if held is None else min(end, moment + held)

    def run(self) -> AlertJudge:
        story, base, looked, severity = self.story, 0, 0, self.story.severity
        for now in story.sweeps:
            if now < story.heard:
                continue
            if not self.state:
                self.state, looked = "open", now
                base = story.raised if now - story.raised <= 2 * MINUTE else now
            if story.worse and story.worse[0] <= now and severity != story.worse[1]:
                ranks = [SEVERITIES.index(each) for each in (severity, story.worse[1])]
                if ranks[1] > ranks[0]:
                    severity = story.worse[1]
                    if not self.over(now):
                        base = looked = now
                        self.ways, self.begun = {}, set()
                        self.rounds += 1
            if self.over(now):
                break
            while self.move(severity, base, now):
                pass
            if len(self.begun) == 4 and not self.reached() and now - looked >= 5 * MINUTE:
                looked, self.begun = now, set()
                while self.move(severity, base, now):
                    pass
        if self.state:
            self.over(story.sweeps[-1])
        return self

    def over(self, now: int) -> bool:
        story = self.story
        acts = [
            made
            for arrived, made, user in story.acts
            if arrived <= now and ROLES[user] != "patient" and story.inside(user, arrived)
        ]
        if acts:
            self.acknowledged = min(acts)
        if story.ends is not None and story.ends <= now:
            self.state = "ended"
        elif acts:
            self.state = "acknowledged"
        return self.state != "open"

    def reached(self, step: int | None = None) -> set[str]:
        return {
            user
            for user, way in self.ways.items()
            if way.state != "gone" and step in (None, way.step)
        }

    def move(self, severity: str, base: int, now: int) -> bool:
        """Begin what is to be begun, then tell who is to be told; whether anything has changed."""
        step = next((each for each in range(4) if each not in self.begun), None)
        if step is not None:
            after = AFTER[severity][step] * MINUTE
            due = base + max(after - 30_000, 0)
            if step and not self.reached(step - 1):
                due = min(due, now)
            if due <= now:
                self.begin(step, severity, now)
                return True
        for user, way in self.ways.items():
            if way.state != "waits" or way.ready > now:
                continue
            if not self.story.inside(user, now) or user in self.gone:
                way.state = "gone"
                return True
            if severity == "notice":
                soon = now - way.due <= 2 * MINUTE and self.quiet_end(user, way.due) == way.due
                end = self.quiet_end(user, now)
                if not soon and end > now:
                    way.ready = way.due = end
                    return True
            if self.story.people[user].dead:
                way.state = "gone"
                self.gone.add(user)
            elif self.story.outage[0] <= now < self.story.outage[1]:
                way.ready = now + 2 * MINUTE
            else:
                way.state = "sent"
                self.sent.append((now, user))
            return True
        return False

    def begin(self, step: int, severity: str, now: int) -> None:
        story = self.story
        here = [user for user in story.people if story.inside(user, now)]

        def rank(user: str) -> tuple[int, int, str]:
            person = story.people[user]
            return (person.turn or 99, person.comes, user)

        carers = sorted((user for user in here if ROLES[user] == "caregiver"), key=rank)
        chosen = {
            0: [user for user in here if ROLES[user] == "patient"],
            1: carers[:1],
            2: [user for user in carers if user not in self.reached()],
            3: [user for user in here if ROLES[user] == "doctor"],
        }[step]
        self.begun.add(step)
        for user in chosen:
            if story.people[user].mute or user in self.gone:
                continue
            if user not in self.ways or self.ways[user].state == "gone":
                ready = self.awake(severity, user, now)
                self.ways[user] = Way(step, ready, ready)


def live(circle: Circle, story: AlertStory, disturbance: Disturbance) -> str:
    """Let it happen; the alert."""
    happen: list[tuple[int, int, Any]] = [(each, 9, None) for each in story.sweeps]
    for user, person in story.people.items():
        happen += [(person.comes, 0, user), (person.leaves, 1, user)]
    happen.append((story.heard, 2, None))
    happen += [(act[0], 3, act) for act in story.acts]
    happen += [(story.ends, 4, None)] if story.ends is not None else []
    happen += [(story.worse[0], 5, None)] if story.worse else []
    down, alert = NotifyFault("down", code=NOT_TAKEN), ""
    for number, (moment, kind, what) in enumerate(sorted(happen, key=lambda each: each[:2])):
        if moment > story.sweeps[-1]:
            break
        circle.time = moment
        if kind == 0:
            person = story.people[what]
            quiet = (*person.quiet, story.zone) if person.quiet else None
            ways = [] if person.mute else ["phone"]
            circle.come(what, ROLES[what])
            circle.choose(what, quiet, ways=ways, turn=person.turn)
        elif kind == 1:
            circle.leave(what)
        elif kind == 2:
            alert = circle.raises(story.severity, at_ms=story.raised)
        elif kind == 3:
            _, made, user = what
            circle.act(user, f"a{number}", alert, made)
        elif kind == 4:
            circle.ends()
        elif kind == 5 and story.worse and alert:
            circle.raises(story.worse[1], at_ms=story.raised)
        else:
            for user, person in story.people.items():
                out = story.outage[0] <= moment < story.outage[1]
                circle.post.answers[f"{user}-phone"] = (not person.dead) if not out else down
                if person.dead:
                    circle.post.answers[f"{user}-phone"] = False
            disturbance.sweep(circle)  # type: ignore[arg-type]
    return alert


def shown(circle: Circle) -> list[tuple[int, str]]:
    return [
        (moment, message.token.removesuffix("-phone"))
        for moment, message in circle.post.sent
        if message.alert
    ]


def judged(folder: Path, seed: int, others: float = 0.3) -> int:
    """A story without kills is what the judge says, to the sweep; how many messages it had."""
    dice = random.Random(seed)
    story = told(dice)
    # who makes worse what was never raised, raises it: that is another story
    if story.worse and story.worse[0] < story.heard:
        story.worse = None
    # and an end that comes before is of nothing: what becomes true later is told
    if story.ends is not None and story.ends < story.heard:
        story.ends = None
    circle = Circle(SqliteStore(folder / f"{seed}.db"), story.sweeps[0], family=False)
    alert = live(circle, story, Disturbance(dice, 0, others))
    judge = AlertJudge(story).run()
    assert sorted(shown(circle)) == sorted(judge.sent), f"seed {seed}: {story}"
    row = circle.row(alert)
    assert row.get("state", "") == judge.state, f"seed {seed}: {story}"
    assert row.get("acknowledged_at") == judge.acknowledged, f"seed {seed}: {story}"
    if judge.state == "open":
        assert bool(row.get("unreached")) == (not judge.reached()), f"seed {seed}: {story}"
    circle.store.close()
    return len(judge.sent)


def judged_with_kills(circle: Circle, seed: int) -> int:
    """A story with kills: nobody twice, nobody who must not be, and what is missing is named."""
    dice = random.Random(seed)
    story = told(dice)
    story.worse, story.outage = None, (0, 0)
    circle.time = story.sweeps[0]
    disturbance = Disturbance(dice, 0.5, 0.2)
    alert = live(circle, story, disturbance)
    # whoever was killed leaves a lease behind
    for _ in range(16):
        circle.time += 20 * MINUTE
        circle.sweep()
    got = Counter(user for _, user in shown(circle))
    assert all(count == 1 for count in got.values()), f"seed {seed}: {got}"
    for moment, user in shown(circle):
        assert story.inside(user, moment), f"seed {seed}: {user}"
    row = circle.row(alert)
    assert row["state"] in ("open", "acknowledged", "ended")
    assert circle.all("alert_news") == []
    if row["state"] == "open" and story.severity != "notice":
        named = {user for user, _ in circle.deliveries(alert)}
        for user, person in story.people.items():
            always = person.comes < story.sweeps[0] and person.leaves > circle.time
            if always and not person.mute and not person.dead:
                assert got[user] or user in named, f"seed {seed}: {user} {story}"
    return disturbance.killed


#: How many stories are many.
MANY = (pytest.param(80, marks=pytest.mark.proof), pytest.param(400, marks=pytest.mark.soak))


def seeds(count: int) -> Sequence[int]:
    return range(SEED * 1000, SEED * 1000 + count)


@pytest.mark.parametrize("number", range(12))
def test_a_circle_is_told_as_the_judge_says(tmp_path: Path, number: int) -> None:
    judged(tmp_path, SEED * 1000 + number)


@pytest.mark.parametrize("count", MANY)
def test_a_circle_is_told_as_the_judge_says_in_many_stories(tmp_path: Path, count: int) -> None:
    assert sum(judged(tmp_path, seed) for seed in seeds(count)) > count


@pytest.mark.parametrize("kind", stores.BOTH)
def test_killed_anywhere_nobody_is_told_twice_and_what_is_lost_is_named(
    kind: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    circle = Circle(stores.fresh(kind, request, tmp_path), 0, family=False)
    judged_with_kills(circle, SEED)
    circle.store.close()


@pytest.mark.parametrize("count", MANY)
def test_killed_anywhere_in_many_stories(tmp_path: Path, count: int) -> None:
    killed = 0
    for seed in seeds(count // 2):
        circle = Circle(SqliteStore(tmp_path / f"{seed}.db"), 0, family=False)
        killed += judged_with_kills(circle, seed)
        circle.store.close()
    assert killed > count // 4
