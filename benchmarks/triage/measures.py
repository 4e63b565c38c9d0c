"""From readings and labels to counted shares, each with its 95 % confidence interval.

The interval is Wilson's score interval without continuity correction (E. B. Wilson, JASA 22 (1927)
209–212; method 3 of R. G. Newcombe, Statistics in Medicine 17 (1998) 857–872): right also for small
counts and for shares near 0 and 1.

A case about which somebody has no opinion counts as wrong for them in every share that it belongs to,
so nobody gets better by staying silent (intention to diagnose: Schuetz, Schlattmann, Dewey, BMJ 345
(2012) e6717). The rules are the exception: their silence means "no flag", which is their answer.
"""

from __future__ import annotations

import math
import statistics
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from benchmarks.triage.cases import SKIN_TYPES, Case
from benchmarks.triage.reading import BROKEN, FIRST, Reading
from shared.ai.spending import MICRO
from shared.products.dermadetect.analysis.vocabulary import TRIAGES

#: Quantile 0.975 of the normal distribution.
_Z = statistics.NormalDist().inv_cdf(0.975)
#: Fewer cases than this are called small: at 30 the interval of a share of 90 % is 22 points wide.
SMALL = 30

RED = "red"
NO_OPINION = "none"


class Share(NamedTuple):
    """`hits` of `n`."""

    hits: int
    n: int

    @property
    def value(self) -> float | None:
        """From 0 to 1; None without cases."""
        return self.hits / self.n if self.n else None

    @property
    def interval(self) -> tuple[float, float]:
        """The 95 % interval; everything is possible without cases."""
        return wilson(self.hits, self.n)

    def as_json(self) -> dict[str, Any]:
        """Value, counts and interval."""
        low, high = self.interval
        return {
            "value": self.value,
            "hits": self.hits,
            "n": self.n,
            "low": low,
            "high": high,
            "small": self.n < SMALL,
        }


def wilson(hits: int, n: int) -> tuple[float, float]:
    """Wilson's 95 % interval of `hits` of `n`, within 0 to 1; (0, 1) without cases."""
    if not 0 <= hits <= n:
        raise ValueError("hits must be from 0 to n")
    if n == 0:
        return 0.0, 1.0
    middle = hits + _Z**2 / 2
    reach = _Z * math.sqrt(hits * (n - hits) / n + _Z**2 / 4)
    # at the ends rounding would leave 1e-17 where the formula gives 0 or 1
    low = 0.0 if hits == 0 else (middle - reach) / (n + _Z**2)
    high = 1.0 if hits == n else (middle + reach) / (n + _Z**2)
    return low, high


class Opinion(NamedTuple):
    """Somebody's triage of a case. `graded` is false for who only ever says red."""

    name: str
    colour: Callable[[Reading], str | None]
    graded: bool = True


def _phone(reading: Reading) -> str:
    return reading.phone or RED  # as the contract has it: what is not known counts as red


def _without_model(reading: Reading) -> str:
    return RED if reading.rules == RED else _phone(reading)


#: In the order of the report.
AI = Opinion("AI alone", lambda reading: reading.ai)
RULES = Opinion("rules alone", lambda reading: reading.rules or "green", graded=False)
PHONE = Opinion("phone alone", _phone)
WITHOUT_MODEL = Opinion("phone and rules", _without_model)
FINAL = Opinion("final", lambda reading: reading.final)
OPINIONS = (AI, RULES, PHONE, WITHOUT_MODEL, FINAL)


class Verdicts(NamedTuple):
    """How one opinion did. Over- and under-triage are None for who only ever says red."""

    red_sensitivity: Share  #: called red, of the red
    specificity: Share  #: not called red, of the not red
    over_triage: Share | None  #: called worse than they are, of those that can be (green, yellow)
    under_triage: Share | None  #: called milder than they are, of those that can be (yellow, red)


class Cost(NamedTuple):
    """What the answers took."""

    answered: int  #: cases with an answer that was read
    calls: int
    latency_ms_median: int | None
    latency_ms_p95: int | None
    prompt_tokens: int | None  #: None when an answer came without a count
    completion_tokens: int | None
    price_estimate: float
    photos_shown: int
    photos_skipped: int


@dataclass(frozen=True, slots=True)
class Measures:
    """Everything that is reported of a set of cases."""

    cases: int
    triages: dict[str, int]  #: truth → cases
    opinions: dict[str, Verdicts]
    top_1: Share
    top_3: Share
    valid_first: Share  #: schema-valid at the first answer, of the cases that were answered
    valid_repaired: Share  #: the same after the repair
    statuses: dict[str, int]
    no_answer: dict[str, int]  #: code of the fault → cases
    second_looks: dict[str, int]  #: status of the second look → cases
    no_opinion: int  #: cases about which the model said nothing that can be used
    phone_silent: int  #: cases without the phone's triage: red whatever anybody says
    read_in_service: int  #: cases that phone or rules call red, which the server has read
    caught: (
        Share  #: red cases that only model or second look saw, of those that phone and rules missed
    )
    alarms: Share  #: cases that are not red and only they called red
    confusion: dict[str, dict[str, dict[str, int]]]  #: opinion → truth → colour → cases
    missed_red: tuple[str, ...]  #: ids of red cases that the final triage does not call red
    cost: Cost


Pair = tuple[Case, Reading]


def measure(pairs: Sequence[Pair]) -> Measures:
    """Count."""
    readings = [reading for _, reading in pairs]
    labelled = [reading for case, reading in pairs if case.diagnosis is not None]
    answered = [reading for reading in readings if reading.contract is not None]
    red = [pair for pair in pairs if pair[0].triage == RED]
    other = [pair for pair in pairs if pair[0].triage != RED]
    return Measures(
        cases=len(pairs),
        triages={colour: sum(case.triage == colour for case, _ in pairs) for colour in TRIAGES},
        opinions={each.name: _verdicts(pairs, each) for each in OPINIONS},
        top_1=_share(labelled, lambda reading: reading.rank == 1),
        top_3=_share(labelled, lambda reading: reading.rank is not None and reading.rank <= 3),
        valid_first=_share(answered, lambda reading: reading.contract == FIRST),
        valid_repaired=_share(answered, lambda reading: reading.contract != BROKEN),
        statuses=_counted(reading.status for reading in readings),
        no_answer=_counted(reading.fault for reading in readings if reading.fault),
        second_looks=_counted(reading.second_look for reading in readings),
        no_opinion=sum(reading.ai is None for reading in readings),
        phone_silent=sum(reading.phone is None for reading in readings),
        read_in_service=sum(RED in (reading.phone, reading.rules) for reading in readings),
        caught=_only_model(red),
        alarms=_only_model(other),
        confusion={each.name: _confusion(pairs, each) for each in (FINAL, AI)},
        missed_red=tuple(case.id for case, reading in red if reading.final != RED),
        cost=_cost(readings, answered),
    )


def by_skin_type(pairs: Sequence[Pair]) -> dict[str, Measures]:
    """Every group, the empty ones too."""
    return {
        skin_type: measure([pair for pair in pairs if pair[0].skin_type == skin_type])
        for skin_type in SKIN_TYPES
    }


def _share(readings: Sequence[Reading], holds: Callable[[Reading], bool]) -> Share:
    return Share(sum(map(holds, readings)), len(readings))


def _counted(words: Iterable[str]) -> dict[str, int]:
    return dict(sorted(Counter(words).items()))


def _only_model(pairs: Sequence[Pair]) -> Share:
    left = [reading for _, reading in pairs if _without_model(reading) != RED]
    return _share(left, lambda reading: reading.final == RED)


def _verdicts(pairs: Sequence[Pair], who: Opinion) -> Verdicts:
    called = [(case.triage, who.colour(reading)) for case, reading in pairs]

    def share(of: set[str], holds: Callable[[str, str], bool], silent: bool) -> Share:
        judged = [(truth, colour) for truth, colour in called if truth in of]
        hits = sum(silent if colour is None else holds(truth, colour) for truth, colour in judged)
        return Share(hits, len(judged))

    def step(colour: str) -> int:
        return TRIAGES.index(colour)

    over = share({"green", "yellow"}, lambda truth, colour: step(colour) > step(truth), True)
    under = share({"yellow", RED}, lambda truth, colour: step(colour) < step(truth), True)
    return Verdicts(
        red_sensitivity=share({RED}, lambda _, colour: colour == RED, False),
        specificity=share({"green", "yellow"}, lambda _, colour: colour != RED, False),
        over_triage=over if who.graded else None,
        under_triage=under if who.graded else None,
    )


def _confusion(pairs: Sequence[Pair], who: Opinion) -> dict[str, dict[str, int]]:
    table = {truth: dict.fromkeys((*TRIAGES, NO_OPINION), 0) for truth in TRIAGES}
    for case, reading in pairs:
        table[case.triage][who.colour(reading) or NO_OPINION] += 1
    return table


def _cost(readings: Sequence[Reading], answered: Sequence[Reading]) -> Cost:
    latencies = sorted(reading.latency_ms for reading in answered)
    return Cost(
        answered=len(answered),
        calls=sum(reading.calls for reading in readings),
        latency_ms_median=percentile(latencies, 50),
        latency_ms_p95=percentile(latencies, 95),
        prompt_tokens=_sum([reading.prompt_tokens for reading in answered]),
        completion_tokens=_sum([reading.completion_tokens for reading in answered]),
        price_estimate=sum(reading.price_micros for reading in readings) / MICRO,
        photos_shown=sum(reading.photos_shown for reading in readings),
        photos_skipped=sum(reading.photos_skipped for reading in readings),
    )


def percentile(ordered: Sequence[int], percent: int) -> int | None:
    """The nearest-rank percentile of sorted values; None of none."""
    if not ordered:
        return None
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _sum(counts: Sequence[int | None]) -> int | None:
    known = [each for each in counts if each is not None]
    return sum(known) if known and len(known) == len(counts) else None
