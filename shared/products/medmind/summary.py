"""The numbers of a patient's day or week: a function of what was due, said and told in it.

A dose counts on the day on which it was due, whenever it was taken and whenever that became known. What is
taken as needed is counted by itself: it is never due, so never missed.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from statistics import median_low
from typing import Any, NamedTuple

from shared.products.medmind.doses import LATE, MISSED, ON_TIME, SKIPPED

#: Reasons of one summary, and characters of each.
_MOST_REASONS, _REASON = 50, 200


class DoseFact(NamedTuple):
    """A dose that was due, and what became of it. Times in Unix ms."""

    id: str
    due_ms: int
    state: str
    taken_ms: int | None = None
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Happened:
    """What happened in some time."""

    doses: list[DoseFact] = field(default_factory=list)
    as_needed: list[int] = field(default_factory=list)  #: when each was taken, Unix ms
    symptoms: list[str] = field(default_factory=list)  #: one for each time that it was told

    def __add__(self, other: Happened) -> Happened:
        return Happened(
            self.doses + other.doses,
            self.as_needed + other.as_needed,
            self.symptoms + other.symptoms,
        )


@dataclass(frozen=True, slots=True)
class SummaryNumbers:
    """The numbers of a day or a week."""

    due: int = 0
    on_time: int = 0
    late: int = 0
    missed: int = 0
    skipped: int = 0
    open: int = 0
    as_needed: int = 0
    delay_minutes: int | None = None
    skip_reasons: tuple[str, ...] = ()
    symptoms: Mapping[str, int] = field(default_factory=dict)

    @property
    def taken(self) -> int:
        """Doses that were taken, on time or late."""
        return self.on_time + self.late

    @property
    def percent_taken(self) -> int | None:
        """Of those of which it is known, rounded down: 100 says all. None: there are none."""
        known = self.due - self.open
        return self.taken * 100 // known if known else None

    def columns(self) -> dict[str, Any]:
        """As the tables have them; an empty map is none."""
        return {
            "due": self.due,
            "on_time": self.on_time,
            "late": self.late,
            "missed": self.missed,
            "skipped": self.skipped,
            "open": self.open,
            "percent_taken": self.percent_taken,
            "as_needed": self.as_needed,
            "delay_minutes": self.delay_minutes,
            "skip_reasons": list(self.skip_reasons) or None,
            "symptoms": dict(self.symptoms) or None,
        }


def numbers_of(columns: Mapping[str, Any]) -> SummaryNumbers:
    """The numbers of a stored summary."""
    counts = ("due", "on_time", "late", "missed", "skipped", "open", "as_needed")
    return SummaryNumbers(
        **{name: int(columns.get(name) or 0) for name in counts},
        delay_minutes=columns.get("delay_minutes"),
        skip_reasons=tuple(columns.get("skip_reasons") or ()),
        symptoms=columns.get("symptoms") or {},
    )


def numbers(happened: Happened) -> SummaryNumbers:
    """The numbers of what happened."""
    states = Counter(each.state for each in happened.doses)
    settled = {name: states[name] for name in (ON_TIME, LATE, MISSED, SKIPPED)}
    delays = [
        (each.taken_ms - each.due_ms) // 60_000
        for each in happened.doses
        if each.state in (ON_TIME, LATE) and each.taken_ms is not None
    ]
    return SummaryNumbers(
        due=len(happened.doses),
        **settled,
        open=len(happened.doses) - sum(settled.values()),
        as_needed=len(happened.as_needed),
        delay_minutes=median_low(delays) if delays else None,
        skip_reasons=tuple(sorted(_lines(happened.doses)))[:_MOST_REASONS],
        symptoms=dict(sorted(Counter(happened.symptoms).items())),
    )


def _lines(doses: Iterable[DoseFact]) -> Iterator[str]:
    """Why doses were skipped, each on one line."""
    for each in doses:
        if each.state == SKIPPED and (text := " ".join(each.reason.split())):
            yield text[:_REASON]
