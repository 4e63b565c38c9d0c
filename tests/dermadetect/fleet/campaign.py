"""One seed: a fleet of phones at work behind a bad network, then silence, then the auditor.

What happens is decided by `random.Random(seed)` alone: who the phones are, which of their users does
what at which step, which request suffers what. When the server does what is not decided, so two runs
of a seed may differ where syncs overlap.

Every step, one phone's user does something, or it syncs, alone or with the others at once; some steps
happen to the server: it is killed at a named point or by a power cut in the middle of a request, the
sweeper runs, people join and leave teams, patients move. A phone may be set back to its backup, or go
on as two. A phone's clock may be minutes or years off, drifts, and is put right. Edits pretend to lie
in the past, half a minute a step, so that they are not all of the same second.

Afterwards the network is good, what it held back is delivered, and all phones sync until nobody has
anything to say.
"""

from __future__ import annotations

import copy
import threading
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from random import Random
from typing import Any

from shared.access import membership
from shared.errors import Contended, Fault
from shared.jobs import transfer
from shared.products.dermadetect.tables import CATALOG
from shared.records.store import Key as StoreKey
from shared.records.store import Query, RecordStore
from tests.dermadetect.fleet import checks, proxy
from tests.dermadetect.fleet.ledger import MARKED, Key, Ledger, marks_in
from tests.dermadetect.fleet.phones import SPOILT, BatchPhone, Line, Phone, WatermelonPhone
from tests.dermadetect.fleet.proxy import Fate, Proxy
from tests.dermadetect.fleet.server import POINTS, Server

#: How far apart the steps of a campaign pretend to be, ms.
STEP_MS = 30_000

#: Rounds of syncs after which a fleet that still has something to say never will be silent.
MOST_ROUNDS = 40

#: Share of requests that suffer something.
FAULT_RATE = 0.3

#: Time of a slow line is cut by this, or a campaign would take minutes.
PACE = 0.02

#: How many events tell enough of a violation, unless somebody wants all.
BRIEF = 30

#: What clocks say: right, ahead, behind by little and by much. 1970 is that of a battery that died.
_CLOCKS = ("right", "right", "hours", "days", "ahead", "10 minutes", "2 years", "1970")

_DAY_MS = 86_400_000

#: Values of tens of kilobytes, and letters of more than one byte.
_WORDS = (
    "",
    "",
    "",
    "",
    "",
    "",
    "खुजली और लाल चकत्ते, तीन दिन से बुखार",
    "बुखार " * 4000,
    "scaly " * 9000,
)

#: What may happen in a step, and how often.
_STEPS = {
    "edit": 30.0,
    "create patient": 9.0,
    "create case": 12.0,
    "delete": 5.0,
    "sync": 26.0,
    "sync at once": 8.0,
    "offline": 4.0,
    "sweep": 2.0,
    "set clock": 0.9,
    "undo": 4.0,
    "spoil": 0.8,
    "back up": 1.5,
    "restore": 0.5,
    "clone": 0.3,
}
#: In every third seed, where few records are edited by all, mostly unseen: how much rarer these are.
_RARER = {"create patient": 0.15, "create case": 0.25, "delete": 0.15, "sync": 0.5}
_TRANSFERS = {"grant": 1.5, "revoke": 1.5, "move": 3.0}
_KILLS = {"kill": 1.2, "power cut": 0.25}


@dataclass(frozen=True)
class Plan:
    """What a campaign is made of. `ops` are steps of each phone.

    `careful` as in `BatchPhone`. `kills`: none without faults. `late_pushes`: also WatermelonDB
    pushes may arrive after later ones of the same phone; without, their answers are lost instead.
    """

    seed: int
    phones: int = 3
    ops: int = 60
    faults: bool = True
    kills: bool = True
    transfers: bool = False
    careful: bool = True
    late_pushes: bool = True


@dataclass
class Report:
    """What one seed did, and what was wrong."""

    plan: Plan
    counts: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0
    violations: list[str] = field(default_factory=list)
    stories: list[list[str]] = field(default_factory=list)

    def line(self) -> str:
        """One line for people."""
        said = ", ".join(f"{name} {count}" for name, count in sorted(self.counts.items()))
        faults = " ".join(f"{name}={count}" for name, count in sorted(self.faults.items()))
        return (
            f"seed {self.plan.seed}: {len(self.violations)} violations; {said}; "
            f"faults {sum(self.faults.values())} ({faults or 'none'}); {self.seconds:.1f} s"
        )

    def text(self, last: int | None = BRIEF) -> str:
        """The line, and each violation with the last events about its record (None: all)."""
        out = [self.line()]
        for violation, story in zip(self.violations, self.stories, strict=True):
            told = story if last is None else story[-last:]
            out += [f"  VIOLATION {violation}", *(f"    {event}" for event in told)]
        return "\n".join(out)


class PhoneClock:
    """What a phone believes is now, ms: `off_ms` away from the truth, and drifting by `ppm`."""

    def __init__(self, off_ms: int, ppm: float) -> None:
        self.off_ms, self._ppm = off_ms, ppm
        self.step = 0

    def __call__(self) -> int:
        drift = round(self.step * STEP_MS * self._ppm / 1_000_000)
        return time.time_ns() // 1_000_000 + self.off_ms + drift

    def at(self, ago_ms: int) -> int:
        """What it said so long ago."""
        return self() - ago_ms


class Campaign:
    """Plays one plan on a running server, through a proxy that others may use after it."""

    def __init__(self, plan: Plan, server: Server, line: Proxy) -> None:
        self.plan, self.server, self.proxy = plan, server, line
        self.random = Random(plan.seed)
        self.ledger = Ledger(str(plan.seed))
        self.report = Report(plan)
        self.teams = [f"t{plan.seed}a", f"t{plan.seed}b"]
        self.members: dict[str, set[str]] = {}
        self.clocks: dict[str, PhoneClock] = {}
        self.backups: dict[str, dict[str, Any]] = {}
        self.steps_left = plan.ops * plan.phones
        self._made = 0
        self._crowded = plan.seed % 3 == 0
        self.phones = [self._phone(number) for number in range(plan.phones)]

    # --- who is there

    def _phone(self, number: int) -> Phone:
        random, seed = self.random, self.plan.seed
        # The first two share a team, the third is in two; now and then two phones have one user.
        user = f"u{seed}-{number}"
        if number == 1 and random.random() < 0.25:
            user = f"u{seed}-0"
        teams = [self.teams[:1], self.teams[:1], self.teams, self.teams[1:]][number % 4]
        if user not in self.members:
            self.members[user] = set()
            for team in teams:
                self._grant(user, team)
        clock = PhoneClock(self._off_ms(), random.uniform(-2000, 2000))
        name = f"p{number}"
        self.clocks[name] = clock
        watermelon = (number + seed) % 2 == 0 if number < 2 else random.random() < 0.5
        kind: type[BatchPhone | WatermelonPhone] = WatermelonPhone if watermelon else BatchPhone
        more: dict[str, Any] = {}
        if not watermelon:
            more = {
                "partial": random.random() < 0.5,
                "names": random.random() < 0.5,
                "versions": random.random() < 0.5,
                "separate": random.random() < 0.4,
                "dates": random.random() < 0.3,
                "limit": random.choice((None, None, 1, 5)),
                "careful": self.plan.careful,
            }
        return kind(
            name,
            user,
            self.server.token(user),
            Line("127.0.0.1", self.proxy.port),
            self.ledger,
            device=f"d{seed}-{number}",
            clock=clock,
            scopes=lambda: self.members[user],
            home=random.choice(teams) if len(teams) > 1 else None,
            **more,
        )

    def _off_ms(self) -> int:
        """How far a clock is off."""
        random = self.random
        match random.choice(_CLOCKS):
            case "hours":
                return round(random.uniform(-6, 6) * 3_600_000)
            case "days":
                return round(random.uniform(-2, 2) * _DAY_MS)
            case "ahead":
                return round(random.choice((5 / 1440, 30, 730)) * _DAY_MS)
            case "10 minutes":
                return -600_000
            case "2 years":
                return -730 * _DAY_MS
            case "1970":
                return 2 * _DAY_MS - _now_ms()
        return 0

    def _clone(self, phone: Phone) -> None:
        """The phone goes on as two, with one device id."""
        name = f"p{len(self.phones)}"
        twin = copy.copy(phone)
        twin.name, twin.clock = name, PhoneClock(self._off_ms(), 0.0)
        self.clocks[name] = twin.clock
        self.ledger.devices[name] = twin.device
        self.ledger.copied.add(twin.device)
        twin._deleting = dict(phone._deleting)
        twin.restore(phone.backup())
        self.ledger.note(phone.name, None, f"is cloned: {name}")
        self.phones.append(twin)

    def _grant(self, user: str, team: str) -> None:
        _insist(lambda: membership.grant(self.server.store, user, team, "chw", _now_ms()))
        self.members[user].add(team)

    def _revoke(self, user: str, team: str) -> None:
        _insist(lambda: membership.revoke(self.server.store, user, team, _now_ms()))
        self.members[user].discard(team)
        self.ledger.revoked.add(user)

    # --- playing

    def play(self) -> Report:
        """Everything; the report says what was wrong."""
        began = time.monotonic()
        deaths = self.server.deaths()
        self.proxy.forget()
        self.proxy.watch = self._watch
        if self.plan.faults:
            self.proxy.decide = self._fate
        weights = self._weights()
        names, chances = list(weights), list(weights.values())
        while self.steps_left:
            self.steps_left -= 1
            phone = self.random.choice(self.phones)
            self.clocks[phone.name].step += 1
            self._step(self.random.choices(names, chances)[0], phone)
        self.proxy.decide = proxy.fair
        self.server.disarm()
        self.report.faults = Counter(self.proxy.counts)
        self.proxy.release()
        self._fall_silent()
        self._audit()
        self.report.counts.update(self.ledger.counts)
        self.report.counts["killed workers"] = self.server.deaths() - deaths
        self._tell()
        self.report.seconds = time.monotonic() - began
        return self.report

    def _weights(self) -> dict[str, float]:
        """What may happen in a step, and how often."""
        weights = dict(_STEPS)
        if self._crowded:
            weights |= {name: weights[name] * share for name, share in _RARER.items()}
        if self.plan.transfers:
            weights |= _TRANSFERS
        if self.plan.faults and self.plan.kills:
            weights |= _KILLS
        return weights

    def _audit(self) -> None:
        checks.audit(self.phones, self.ledger, self.server, self.members)

    def _fate(self, phone: str, number: int, what: str) -> Fate:
        fate = proxy.seeded(self.plan.seed, FAULT_RATE)(phone, number, what)
        late = fate.fault in ("late", "hold") and what == "POST /api/v1/sync"
        return fate._replace(fault="lose_answer") if late and not self.plan.late_pushes else fate

    def _watch(self, phone: str, what: str, body: bytes) -> None:
        """What the network did, for the story of each record that it did it to."""
        marks = (self.ledger.marks.get(tag) for tag in marks_in(body.decode("utf-8", "replace")))
        for key in {mark.key for mark in marks if mark is not None}:
            self.ledger.note("network", key, f"{phone.rpartition('.')[2]}'s request: {what}")

    def _tell(self) -> None:
        for key, text in self.ledger.violations:
            self.report.violations.append(text)
            self.report.stories.append(self.ledger.story(key))

    def _step(self, what: str, phone: Phone) -> None:
        self.report.counts["ops"] += 1
        match what:
            case "sync":
                self._sync([phone])
            case "sync at once":
                self._sync(self.phones)
            case "offline":
                phone.online = not phone.online
            case "sweep":
                self.server.sweep()
            case "set clock":
                self.clocks[phone.name].off_ms = off_ms = self._off_ms()
                self.ledger.set_clocks.add(phone.device)
                self.ledger.note(
                    phone.name, None, f"its clock is set: {off_ms / 60_000:.0f} min off"
                )
            case "back up":
                self.backups[phone.name] = phone.backup()
                self.ledger.note(phone.name, None, "is backed up")
            case "restore":
                if phone.name in self.backups:
                    phone.set_back(self.backups[phone.name])
                    self.report.counts["restored"] += 1
            case "clone":
                if len(self.phones) == self.plan.phones:
                    self._clone(phone)
                    self.report.counts["cloned"] += 1
            case "kill":
                self.server.aim(self.random.choice(POINTS))
                self._sync([phone])
            case "power cut":
                self._power_cut(phone)
            case "grant" | "revoke":
                self._change_teams(what, phone)
            case "move":
                self._move()
            case _:
                self._work(what, phone)

    def _sync(self, phones: list[Phone]) -> None:
        """One after the other, or all at once; whoever is offline cannot."""
        online = [phone for phone in phones if phone.online]
        self.report.counts["syncs tried"] += len(online)
        # Decided before the threads start: they draw from nothing that is shared.
        doing = [self._meanwhile(phone) for phone in online]
        if len(online) == 1:
            online[0].sync(doing[0])
            return
        threads = [
            threading.Thread(target=phone.sync, args=(do,))
            for phone, do in zip(online, doing, strict=True)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _meanwhile(self, phone: Phone) -> Callable[[], None]:
        """What the phone's user does while a sync is on its way."""
        if self.random.random() > 0.25:
            return lambda: None
        what = self.random.choice(("edit", "edit", "create case", "delete"))
        random = Random(self.random.random())
        return lambda: self._work(what, phone, random)

    def _power_cut(self, phone: Phone) -> None:
        """In the middle of a sync, or a moment before or after it."""
        wait = self.random.uniform(0, 0.04)
        syncing = threading.Thread(target=phone.sync)
        syncing.start()
        time.sleep(wait)
        self.server.power_cut()
        syncing.join()
        self.server.restart()
        self.report.counts["power cuts"] += 1
        self.ledger.note("server", None, "lost its power and came back")

    # --- what users do

    def _work(self, what: str, phone: Phone, random: Random | None = None) -> None:
        random = random or self.random
        edited_ms = self.clocks[phone.name].at(self.steps_left * STEP_MS)
        keys = [Key(table, name) for table in MARKED for name in phone.live(table)]
        keys = [key for key in keys if key not in self.ledger.spoiled]
        patients = [key.id for key in keys if key.table == "patients"]
        if what == "create case" and patients:
            self._create_case(phone, random, random.choice(patients), edited_ms)
        elif what == "spoil":
            phone.spoil(self._new("patients", phone), random.choice(sorted(SPOILT)), edited_ms)
        elif what == "undo" and any(
            phone.undo(key, column, edited_ms)
            for key in random.sample(keys, len(keys))
            for column in MARKED[key.table]
        ):
            return
        elif what in ("edit", "undo", "delete") and keys:
            cases = [key for key in keys if key.table == "cases"]
            keys = cases if cases and self._crowded and random.random() < 0.7 else keys
            self._change(what, phone, random, random.choice(keys), edited_ms)
        else:
            phone.edit(
                self._new("patients", phone),
                ("demographics",),
                edited_ms,
                words=random.choice(_WORDS),
            )

    def _new(self, table: str, phone: Phone) -> Key:
        self._made += 1
        return Key(table, f"{table[0]}{self.plan.seed}-{phone.name}-{self._made}")

    def _create_case(self, phone: Phone, random: Random, patient: str, edited_ms: int) -> None:
        key = self._new("cases", phone)
        columns = random.choice((("triage_data",), ("triage_data", "image_keys")))
        risk = random.choice(checks.COLOURS)
        phone.edit(key, columns, edited_ms, patient_id=patient, risk_level=risk)

    def _change(self, what: str, phone: Phone, random: Random, key: Key, edited_ms: int) -> None:
        if what == "delete":
            phone.delete(key, edited_ms)
            return
        columns = MARKED[key.table]
        if len(columns) > 1:
            columns = random.choice((columns, columns[:1], columns[1:]))
        more: dict[str, Any] = {"words": random.choice(_WORDS), "adds": random.random() < 0.6}
        if key.table == "cases" and random.random() < 0.35:
            more["risk_level"] = random.choice(checks.COLOURS)
            if random.random() < 0.4:
                columns = ()
        phone.edit(key, columns, edited_ms, **more)

    # --- what happens to teams

    def _change_teams(self, what: str, phone: Phone) -> None:
        held = self.members[phone.user]
        team = self.random.choice(self.teams)
        if what == "grant" and team not in held:
            self._grant(phone.user, team)
        elif what == "revoke" and team in held and len(held) > 1:
            self._revoke(phone.user, team)
        else:
            return
        self.report.counts[f"{what}s"] += 1
        self.ledger.note("office", None, f"{what}s {phone.user} {team}")

    def _move(self) -> None:
        patients = sorted({mark.key for mark in self.ledger.marks.values()})
        patients = [key for key in patients if key.table == "patients"]
        if not patients:
            return
        key, team = self.random.choice(patients), self.random.choice(self.teams)
        if move_patient(self.server.store, key.id, team):
            self.report.counts["moves"] += 1
            cases = Query("cases", where=(("patient_id", "==", key.id),))
            self.ledger.moved |= {key, *(Key(*c.key) for c in self.server.store.query(cases))}
            self.ledger.note("office", key, f"moves it to {team}")

    # --- the end

    def _fall_silent(self) -> None:
        for phone in self.phones:
            phone.online = True
        for _ in range(MOST_ROUNDS):
            self.server.sweep()
            before = [checks.content(phone.rows()) for phone in self.phones]
            unsent = any(phone.unsent() for phone in self.phones)  # the others have not heard of it
            done = [phone.sync() for phone in self.phones]
            self.report.counts["last syncs"] += len(done)
            after = [checks.content(phone.rows()) for phone in self.phones]
            unsent = unsent or any(phone.unsent() for phone in self.phones)
            if all(done) and before == after and not unsent and not self._cascading():
                return
            if self._cascading():  # a worker that was killed holds it for the rest of its lease
                time.sleep(0.25)
        waiting = {str(key) for phone in self.phones for key in phone.unsent()}
        self.ledger.violated(None, f"no silence after {MOST_ROUNDS} rounds; unsent: {waiting}")

    def _cascading(self) -> bool:
        return checks.unfinished_cascades(self.server.store, self.teams)


def move_patient(store: RecordStore, patient_id: str, to_scope: str) -> bool:
    """Move a patient with its cases to another team; False if there is nothing to move."""
    key = StoreKey("patients", patient_id)
    if key not in store.read([key]).documents:
        return False
    try:
        transfer.move(store, CATALOG, key, to_scope, _now_ms())
    except Fault:  # overtaken, or there is nothing to move
        return False
    return True


def _now_ms() -> int:
    return time.time_ns() // 1_000_000


def _insist(act: Callable[[], None]) -> None:
    for _ in range(20):
        try:
            return act()
        except Contended:
            time.sleep(0.01)
    return act()


def run(
    server: Server, plan: Plan, line: Proxy | None = None, kind: type[Campaign] = Campaign
) -> Report:
    """Play one plan on a running server."""
    own = line or Proxy(server.address, pace=PACE)
    try:
        return kind(plan, server, own).play()
    finally:
        if line is None:
            own.close()
