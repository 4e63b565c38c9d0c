"""Scale by simulation: a hundred, ten thousand and a million phones after a day offline.

    python -m benchmarks.scale --quick

All phones come online within one hour, most of them early: the day after a holiday, or a network that
is back. Each pushes ten records, one case in twenty of them red, and pulls what its team wrote. The
models are in `simulate.py`; what goes in:

- processor time of a sync: `benchmarks/results/load.json`, by kind; else the defaults below;
- reads and writes of a sync, and its calls to Firestore: `benchmarks/ledger.json`, exact;
- instances, slots: `infra/functions.yaml`; rounds of the sealer: `shared/access/audit.py`;
- time of one call to Firestore, of a model's answer, of an instance's start: assumptions, below.

The same models must also predict the load test that was measured, or nothing that they say counts.
Bounds are Google's documented ones; what happens beyond them is theirs, so where a bound is passed the
report says by how much, and what a hard bound would do.
"""

from __future__ import annotations

import json
import math
import random
import statistics
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from typing import Any

from benchmarks import ledger, simulate
from benchmarks.charts import Lines, draw
from benchmarks.load import CONNECTIONS, FIRESTORE, MIX, SQLITE, percentile
from benchmarks.measure import RESULTS, Report, main
from benchmarks.simulate import Course, Demand, Service
from infra.local.table import load
from shared.access import audit
from shared.sync import receipts

SIZES = (100, 10_000, 1_000_000)

#: Beyond this many phones, the fluid; before, every phone by itself.
_MOST_EVENTS = 100_000

#: Processor milliseconds of a sync on Firestore where nothing was measured: by kind of load.py.
DEFAULT_MS = {"idle": 10.0, "small": 11.0, "large": 35.0}

#: Assumptions, seconds: a call to Firestore in its own region; one analysis.
CALL_SECONDS, ANALYSIS_SECONDS = 0.015, 10.0

#: What a phone brings, and what its team of five wrote meanwhile.
PUSHED, PULLED, RED = 10, 40, 0.5

#: Ranges that receipts are spread over.
SHARDS = len(receipts._SHARDS)

#: Entries of the audit in a sync that pushes and pulls.
AUDITED = 2

HOUR = 3600

#: Firestore's bounds: writes a second into one rising index range; writes a second to one document
#: (guidance, sustained); traffic to a database at rest, and its growth each five minutes ("500/50/5").
RANGE, DOCUMENT, COLD, GROWTH, STEP_SECONDS = 500.0, 1.0, 500.0, 1.5, 300

#: How close the model must come to the measured load.
NEAR = 0.4

_SEED = 20


def density(second: float) -> float:
    """Share of the phones that come in this second of the hour: Beta(2, 5), its peak after 12 minutes."""
    x = (second + 0.5) / HOUR
    return 30 * x * (1 - x) ** 4 / HOUR if 0 < x < 1 else 0.0


def ramp(second: int) -> float:
    """Operations a second that a database at rest is sure to take, by Google's rule."""
    return COLD * GROWTH ** (second // STEP_SECONDS)


def measured() -> tuple[dict[str, dict[str, Any]], str]:
    """Rows of the newest load test by case, and the file's name; ({}, "") without one."""
    for name in ("load.json", "load.quick.json"):
        if (path := RESULTS / name).exists():
            rows = json.loads(path.read_text("utf-8"))["rows"]
            return {row["case"]: row for row in rows}, name
    return {}, ""


def sync_demand(rows: dict[str, dict[str, Any]]) -> Demand:
    """What the morning's sync takes on Firestore, seconds."""
    ms = dict(DEFAULT_MS)
    for kind in ms:
        if row := rows.get(f"{FIRESTORE}: {kind} sync alone, processor"):
            ms[kind] = row["values"][0]
    a_record = max(0.0, ms["large"] - ms["idle"]) / 100
    calls = ledger.known()["client"][f"batch: push {PUSHED} new"]["rpcs"]
    processor = ms["idle"] + (PUSHED + PULLED) * a_record
    return Demand(processor=processor / 1000, waiting=calls * CALL_SECONDS)


def run(quick: bool) -> Report:
    """Validate against the load test, then the three mornings, hot spots, and what lags behind."""
    report = Report("scale")
    rows, source = measured()
    if rows:
        for profile in (SQLITE, FIRESTORE):
            _validate(report, rows, source, profile, 5_000 if quick else 20_000)
    else:
        report.absent.append("the model against the load test: run benchmarks.load; defaults used")
    demand = sync_demand(rows)
    report.row("a sync: processor", "model", "ms", [demand.processor * 1000], source or "default")
    report.row("a sync: alone", "model", "ms", [demand.alone * 1000])
    row = load()["sync"]
    service = Service(row.max_instances, row.concurrency, row.min_instances)
    for phones in SIZES:
        _morning(report, phones, service, demand, draw=not quick)
        _hot_spots(report, phones)
        _behind(report, phones)
    return report


# --- the model against what was measured


def _validate(
    report: Report, rows: dict[str, dict[str, Any]], source: str, profile: str, requests: int
) -> None:
    def value(case: str) -> float:
        return float(rows[case]["values"][0])

    crowd = f"{profile}, {CONNECTIONS} at once"
    together = f"{profile}: mixed syncs alone"
    if f"{crowd}: throughput" not in rows or together not in rows:
        report.absent.append(f"the model against the load test on {profile}: not in {source}")
        return
    alone = {kind: rows[f"{profile}: {kind} sync alone"]["values"] for kind in MIX}

    def of_the_mix(times: Mapping[str, float]) -> float:
        return sum(share * times[kind] for kind, share in MIX.items())

    def scaled(what: str) -> dict[str, float]:
        """What each kind takes alone, so that together they take what the mix did."""
        each = {kind: value(f"{profile}: {kind} sync alone, {what}") for kind in MIX}
        times = value(f"{together}, {what}") / of_the_mix(each)
        return {kind: times * one for kind, one in each.items()}

    # An idle sync of the mix is not idle: it brings what others of the team pushed.
    means = {kind: statistics.mean(values) for kind, values in alone.items()}
    longer = statistics.mean(rows[together]["values"]) / of_the_mix(means)
    processor = scaled("processor")
    emulator = scaled("processor of the emulator") if profile == FIRESTORE else {}

    def draw(dice: random.Random) -> tuple[str, Demand]:
        kind = dice.choices(list(MIX), list(MIX.values()))[0]
        wall = dice.choice(alone[kind]) * longer
        rest = max(0.0, wall - processor[kind])
        store = rest  # SQLite: one writer at a time
        if profile == FIRESTORE:  # the emulator: what it works, for all
            store = min(rest, emulator[kind])
        own = min(wall, processor[kind])
        return kind, Demand(own / 1000, store / 1000, (rest - store) / 1000)

    rate, took = simulate.closed(
        clients=CONNECTIONS,
        servers=2 if profile == SQLITE else 1,
        slots=16,
        one_writer=profile == SQLITE,
        draw=draw,
        requests=requests,
        seed=_SEED,
    )
    far = [_compare(report, f"{crowd}: throughput", "syncs/s", value, rate)]
    for share in (0.5, 0.95):
        case = f"{crowd}: idle sync, p{share * 100:.0f}"
        found = percentile(took["idle"], share) * 1000
        far.append(_compare(report, case, "ms", value, found))
    who, what = "server", "processor"
    because = "the model knows no disk and no client beside it"
    if profile == FIRESTORE:
        who, what = "emulator", "processor of the emulator"
        because = "it looks through more documents"
    crowded = value(f"{crowd}: processor of the {who}") / value(f"{crowd}: throughput") * 1000
    why = (
        f"The {who} takes {crowded:.3g} ms of processor a sync in the crowd, "
        f"{value(f'{together}, {what}'):.3g} ms alone: {because}."
    )
    report.goal(
        f"{profile}: the model predicts throughput, p50 and p95 of the load test ({source}) "
        f"within {NEAR:.0%}",
        ", ".join(f"{each:+.0%}" for each in far),
        all(abs(each) <= NEAR for each in far),
        why,
    )


def _compare(
    report: Report, case: str, unit: str, value: Callable[[str], float], found: float
) -> float:
    report.row(case, "floor", unit, [value(case)], "measured")
    report.row(case, "model", unit, [found])
    return found / value(case) - 1


# --- the morning


def _morning(report: Report, phones: int, service: Service, demand: Demand, *, draw: bool) -> None:
    arriving = [phones * density(second) for second in range(HOUR)]
    if phones <= _MOST_EVENTS:
        dice = random.Random(_SEED)
        at = sorted(dice.betavariate(2, 5) * HOUR for _ in range(phones))
        course = simulate.events(at, service, demand, _SEED)
        _tell(report, f"{phones:,} phones", course)
        return
    counts = ledger.known()["client"][f"batch: push {PUSHED} new"]
    a_sync = counts["documents"] + PULLED + counts["writes"]
    course = simulate.fluid(arriving, service, demand)
    bounds: dict[str, Callable[[int], float]] = {
        "if 500/50/5 were a hard bound": lambda second: ramp(second) / a_sync,
        # a job for every red case: the range that a morning fills first
        "if one rising index were a hard bound": lambda _second: RANGE / RED,
    }
    _tell(report, f"{phones:,} phones", course)
    bound_courses = {}
    for name, bound in bounds.items():
        bound_courses[name] = simulate.fluid(arriving, service, demand, bound)
        _tell(report, f"{phones:,} phones, {name}", bound_courses[name])
    offered = [each * a_sync for each in arriving]
    beyond = sum(each > ramp(second) for second, each in enumerate(offered)) / 60
    report.row(f"{phones:,} phones: beyond 500/50/5 from rest", "model", "minutes", [beyond])
    report.goal(
        f"{phones:,} phones: 99 % have synced within 5 minutes of coming online",
        f"{_clock(course.percentile(0.99))}; with Firestore cold "
        f"{_clock(bound_courses['if 500/50/5 were a hard bound'].percentile(0.99))}",
        course.percentile(0.99) <= 300,
        "The model's number, with its assumptions.",
    )
    if draw:
        _draw(course, bound_courses["if 500/50/5 were a hard bound"], offered)


def _tell(report: Report, case: str, course: Course) -> None:
    for share in (0.5, 0.95, 0.99):
        name = f"{case}: synced after coming online, p{share * 100:.0f}"
        report.row(name, "model", "s", [course.percentile(share)])
    report.row(f"{case}: instances at most", "model", "instances", [max(course.instances)])
    report.row(f"{case}: answers 429", "model", "syncs", [course.refused])


def _clock(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def _draw(course: Course, cold: Course, offered: Sequence[float]) -> None:
    """The curves of benchmarks/README.md, each with what it says as its title."""
    RESULTS.mkdir(exist_ok=True)

    def line(name: str, values: Sequence[float]) -> tuple[str, list[float], list[float]]:
        return name, [second / 60 for second in range(len(values))], list(values)

    allowed = [ramp(second) for second in range(len(offered))]
    beyond = sum(each > ramp(second) for second, each in enumerate(offered)) / 60
    red = [RED * each for each in course.done]
    waiting = {count: backlog(red, count / ANALYSIS_SECONDS) for count in (20, 200, 1400)}
    charts = {
        "scale_syncs.svg": Lines(
            f"Of a million phones 99 % are synced {_clock(course.percentile(0.99))} after they come "
            f"online; {_clock(cold.percentile(0.99))} if Firestore kept to its rule for cold databases",
            "minutes",
            "phones a second",
            (
                line("come online", course.arrived),
                line("are synced", course.done),
                line("are synced, Firestore cold", cold.done),
            ),
        ),
        "scale_firestore.svg": Lines(
            f"A million phones ask a database at rest for more than is sure for {beyond:.0f} minutes",
            "minutes",
            "operations a second",
            (line("asked for", offered), line("sure from rest (500/50/5)", allowed)),
            dashed=("sure from rest (500/50/5)",),
            least=100,
        ),
        "scale_analyses.svg": Lines(
            f"Of a million phones' red cases {max(waiting[20]):,.0f} wait for the model after an hour with "
            f"20 analyses at once, {max(waiting[1400]):,.0f} at most with 1,400",
            "minutes",
            "cases that wait",
            tuple(line(f"{count:,} analyses at once", each) for count, each in waiting.items()),
        ),
    }
    for name, content in draw(charts).items():
        (RESULTS / name).write_text(content, "utf-8")


# --- hot spots


def _hot_spots(report: Report, phones: int) -> None:
    """Writes a second at the peak into what all phones share, against Firestore's bound."""
    peak = phones * max(density(second) for second in range(HOUR))
    analyses = min(peak * RED, _analyses_a_second())
    spots = (
        # Index ranges that rise: a constant first value does not spread them. Audit entries wait for their
        # seal in the order of their ids; sessions, phones and tallies end on whole days: no range of these.
        ("receipts (shard, expires_at): every push", peak / SHARDS, RANGE),
        ("jobs (kind, due_at): every red case, and its claim", peak * RED + analyses, RANGE),
        ("jobs (late_at): every red case", peak * RED, RANGE),
        ("notices (due_at, expires_at): every analysis", analyses, RANGE),
        ("a team of five (scope_id, updated_at)", 5 * PUSHED / 60, RANGE),
        ("document spending/<day>, with a daily cap: twice an analysis", 2 * analyses, DOCUMENT),
    )
    for name, rate, bound in spots:
        case = f"{phones:,} phones, hot spot {name}"
        report.row(case, "floor", "writes/s", [bound], "Firestore's bound")
        report.row(case, "model", "writes/s", [rate])
    beyond = [f"{rate / bound:.1f} × at {name}" for name, rate, bound in spots if rate > bound]
    report.goal(
        f"{phones:,} phones: nothing is written faster than Firestore's bounds",
        "; ".join(beyond) or "none beyond",
        not beyond,
    )


# --- what lags behind: the model, the seals


def _analyses_a_second() -> float:
    row = load()["analyse"]
    return row.max_instances * row.concurrency / ANALYSIS_SECONDS


def backlog(arriving: Sequence[float], rate: float) -> list[float]:
    """How many wait after each second, if so many a second are done."""
    waiting, found = 0.0, []
    for came in arriving:
        waiting = max(0.0, waiting + came - rate)
        found.append(waiting)
    return found


def drained_after(arriving: Sequence[float], rate: float) -> float:
    """Seconds from the beginning until nothing waits any more."""
    waiting = backlog(arriving, rate)
    if waiting[-1] > 0:
        return len(waiting) + waiting[-1] / rate
    busy = [second for second, (a, b) in enumerate(pairwise([0.0, *waiting])) if a > 0 or b > 0]
    return float(busy[-1] + 1) if busy else 0.0


def _behind(report: Report, phones: int) -> None:
    red = [phones * RED * density(second) for second in range(HOUR)]
    rate = _analyses_a_second()
    case = f"{phones:,} phones: until none waits for the model"
    report.row(case, "model", "hours", [drained_after(red, rate) / HOUR])
    needed = math.ceil(sum(red) * ANALYSIS_SECONDS / HOUR)
    report.row(f"{phones:,} phones: analyses at once to keep up", "model", "analyses", [needed])
    entries = [AUDITED * phones * density(second) for second in range(HOUR)]
    sealed = drained_after(entries, audit._ROUNDS * audit._A_ROUND / 60)
    report.row(
        f"{phones:,} phones: until no audit entry waits for its seal",
        "model",
        "hours",
        [sealed / HOUR],
    )


main(__name__, run)
