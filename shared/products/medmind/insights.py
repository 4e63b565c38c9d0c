"""Changes that are more than noise: a patient's last 14 days against the 28 before, with the arithmetic.

Days are counted, not doses: who is away for a day misses all of its doses together. Each question is on how
many days of each span something was so, and is answered by Fisher's exact test, one-sided:

    more_missed, fewer_missed    a dose was missed
    later, earlier               the day's median delay was beyond that of all days together (Mood's median
                                 test), and the medians of the spans are `LEAST_MINUTES` apart
    symptom_more                 a symptom was told; asked only if somebody told of any symptom before

A look is taken once a day, so a patient who is as ever is asked several questions 365 times a year. One
look is wrong at most once in `1 / PER_LOOK` looks: the threshold of each question is `PER_LOOK` divided by
their number (Bonferroni). Looks of days that follow each other share most of their days, so a false insight
lasts for some of them and counts once: simulated, stable patients of thirty kinds get 0.3 to 0.7 a year
(`tests/medmind/test_insights.py`). An insight ends when its question, asked again, is no longer answered
with `STILL`: the change is over, or it is the usual by now. That a bad day follows a bad day is no noise
for this test: it finds bad weeks.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from math import comb
from statistics import median

from shared.products.medmind.summary import SummaryNumbers

#: Days of the two spans, and how many of each must be known.
RECENT, BEFORE = 14, 28
LEAST_RECENT, LEAST_BEFORE = 10, 20

#: How often one look may be wrong, and what keeps an open insight open.
PER_LOOK, STILL = 0.01, 0.05

#: Minutes that medians must be apart.
LEAST_MINUTES = 15

METHOD = "fisher_exact_one_sided"

MORE_MISSED, FEWER_MISSED, LATER, EARLIER, SYMPTOM_MORE = KINDS = (
    *("more_missed", "fewer_missed", "later", "earlier"),
    "symptom_more",
)


@dataclass(frozen=True, slots=True)
class SpanQuestion:
    """A question, and its numbers: on how many of the days that are known it was so."""

    kind: str
    symptom: str | None
    recent_hits: int
    recent_days: int
    before_hits: int
    before_days: int
    recent_median: float | None = None  #: minutes
    before_median: float | None = None

    @property
    def p(self) -> float:
        """How likely so many or more of the hits fall into the recent days by chance."""
        return fisher(self.recent_hits, self.recent_days, self.before_hits, self.before_days)

    @property
    def matters(self) -> bool:
        """Whether the change is large enough to be told."""
        if self.recent_median is None or self.before_median is None:
            return True
        return abs(self.recent_median - self.before_median) >= LEAST_MINUTES

    @property
    def name(self) -> str:
        """What an insight of it is called: there is one open at a time."""
        return self.kind if self.symptom is None else f"{self.kind}-{self.symptom}"


@lru_cache(100_000)
def fisher(hits: int, days: int, hits_before: int, days_before: int) -> float:
    """P(X ≥ hits), X hypergeometric: Fisher's exact test of a table, one-sided. From 0 to 1."""
    of, all_hits = days + days_before, hits + hits_before
    ways = sum(
        comb(days, more) * comb(days_before, all_hits - more)
        for more in range(hits, min(days, all_hits) + 1)
    )
    return ways / comb(of, all_hits)


def questions(
    recent: Sequence[SummaryNumbers], before: Sequence[SummaryNumbers]
) -> Iterator[SpanQuestion]:
    """The questions of a look, as far as enough days are known. Rows are days, in any order."""
    spans = [[_missed(each) for each in span] for span in (recent, before)]
    known = [[each for each in span if each is not None] for span in spans]
    if len(known[0]) >= LEAST_RECENT and len(known[1]) >= LEAST_BEFORE:
        for kind, hit in ((MORE_MISSED, True), (FEWER_MISSED, False)):
            counts = [n for span in known for n in (span.count(hit), len(span))]
            yield SpanQuestion(kind, None, *counts)
    yield from _shifts(recent, before)
    enough = len(recent) >= LEAST_RECENT and len(before) >= LEAST_BEFORE
    if enough and any(each.symptoms for each in before):
        for code in sorted({code for each in recent for code in each.symptoms}):
            hits = [sum(code in each.symptoms for each in span) for span in (recent, before)]
            yield SpanQuestion(SYMPTOM_MORE, code, hits[0], len(recent), hits[1], len(before))


def found(asked: Sequence[SpanQuestion]) -> Iterator[tuple[SpanQuestion, float]]:
    """Those of one look that are more than noise, each with its threshold."""
    threshold = PER_LOOK / max(1, len(asked))
    for each in asked:
        if each.matters and each.p <= threshold:
            yield each, threshold


def holds(name: str, asked: Sequence[SpanQuestion]) -> bool:
    """Whether an open insight still does."""
    return any(each.name == name and each.matters and each.p <= STILL for each in asked)


def _missed(day: SummaryNumbers) -> bool | None:
    """Whether a dose was missed; None: nothing was due, or it is not known yet."""
    if day.missed:
        return True
    return False if day.due and not day.open else None


def _shifts(
    recent: Sequence[SummaryNumbers], before: Sequence[SummaryNumbers]
) -> Iterator[SpanQuestion]:
    delays = [
        [each.delay_minutes for each in span if each.delay_minutes is not None]
        for span in (recent, before)
    ]
    if len(delays[0]) < LEAST_RECENT or len(delays[1]) < LEAST_BEFORE:
        return
    middle = median([*delays[0], *delays[1]])
    medians = [float(median(span)) for span in delays]
    for kind, sign in ((LATER, 1), (EARLIER, -1)):
        counts = [
            n
            for span in delays
            for n in (sum(sign * (each - middle) > 0 for each in span), len(span))
        ]
        yield SpanQuestion(kind, None, *counts, *medians)


def columns(asked: SpanQuestion, threshold: float, tests: int) -> Mapping[str, object]:
    """An insight as its table has it."""
    return {
        "kind": asked.kind,
        "symptom": asked.symptom,
        "recent_hits": asked.recent_hits,
        "recent_days": asked.recent_days,
        "before_hits": asked.before_hits,
        "before_days": asked.before_days,
        "recent_median": asked.recent_median,
        "before_median": asked.before_median,
        "p_value": asked.p,
        "threshold": threshold,
        "questions": tests,
        "method": METHOD,
    }
