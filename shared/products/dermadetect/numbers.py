"""Numbers of a team by week: cases by risk, their wait for a diagnosis, what doctors said of the AI.

A case counts in the week in which a phone made it, as in the work list's days and in exports; its diagnosis
in the week in which the first one was signed. It waits from its arrival at the server. What was amended
counts once, with the verdict of the diagnosis that counts. Deleted cases count nowhere. Percentiles are
those that came about: the smallest time that so many in a hundred did not exceed (nearest rank).

What an answer costs in reads: for each 30 scopes five a week (cases are counted by the index, a read for
each thousand), one a deleted case that is not purged yet, and two a signature of these days; of those
`MOST_SIGNED` at most, else the request is refused. Nothing is kept between answers. On Firestore all is of
one moment; on SQLite a case that is deleted or signed meanwhile may count as before or as after.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import date, timedelta, tzinfo
from itertools import chain, islice
from typing import Any, NamedTuple

from shared.access import membership
from shared.access.membership import Caller
from shared.errors import InvalidRequest
from shared.products.dermadetect import days, review
from shared.products.dermadetect.days import Week
from shared.products.dermadetect.faults import TooMuchToCount
from shared.products.dermadetect.review import CASES, COLLECTION, FIRST_SIGNED
from shared.products.dermadetect.rights import ReviewAction
from shared.products.dermadetect.screen import VERDICTS, NumbersAsked
from shared.products.dermadetect.signal import LOOK, RANK, RANKS
from shared.records import record
from shared.records.store import Document, Key, Query, RecordStore, StoredCollection
from shared.sync.pull import SCOPES_A_QUERY

STORED = (
    StoredCollection(CASES, ((record.SCOPE, RANK, record.CREATED), (record.SCOPE, record.KEPT))),
    StoredCollection(
        COLLECTION, ((record.SCOPE, FIRST_SIGNED), (record.SCOPE, "signed_by", FIRST_SIGNED))
    ),
)

#: Weeks of one answer, unless days are named and at most.
_USUAL_WEEKS, MOST_WEEKS = 12, 53

#: Signatures that one answer looks at. Ten doctors sign as many in a quarter of a year.
MOST_SIGNED = 10_000

#: More cases than a team has in a week; the price of a count does not depend on it.
_MOST_CASES = 1_000_000

#: Counts that are asked for side by side, and cases read at once.
_SIDE_BY_SIDE = 8
_A_READING = 500


class NumbersQuery(NamedTuple):
    """Which days, both inclusive, whose, and of which scope (None: of all)."""

    first_day: date
    last_day: date
    zone: tzinfo
    zone_name: str = "UTC"
    scope_id: str | None = None
    own: bool = False


def parse(asked: NumbersAsked, now_ms: int) -> NumbersQuery:
    """What a query string asks for. Raises `InvalidRequest`."""
    zone, first, last = days.zone_of(asked.zone), asked.first_day, asked.last_day
    last_day = days.day_of(last, "last_day") if last else days.day_at(now_ms, zone)
    usual = days.monday_of(last_day) - timedelta(weeks=_USUAL_WEEKS - 1)
    first_day = days.day_of(first, "first_day") if first else usual
    if last_day < first_day:
        raise InvalidRequest("last_day must not be before first_day.", field="last_day")
    if (last_day - first_day).days >= MOST_WEEKS * 7:
        raise InvalidRequest(f"Ask for {MOST_WEEKS} weeks at most.", field="first_day")
    own = asked.own == "1"
    return NumbersQuery(first_day, last_day, zone, asked.zone, asked.scope or None, own)


@dataclass
class _Tally:
    """What is counted of some days."""

    arrived: dict[int, int] = field(default_factory=lambda: dict.fromkeys(RANKS.values(), 0))
    signed: dict[int, int] = field(default_factory=lambda: dict.fromkeys(RANKS.values(), 0))
    waits: list[int] = field(default_factory=list)
    verdicts: dict[str | None, int] = field(
        default_factory=lambda: dict.fromkeys((*VERDICTS, None), 0)
    )

    def sign(self, case: Mapping[str, Any], done: Mapping[str, Any]) -> None:
        """A case that was signed."""
        self.signed[case.get(RANK, LOOK)] += 1
        signed_ms = int(done[FIRST_SIGNED])
        arrived_ms = case.get(record.RECEIVED) or case.get(record.CREATED) or signed_ms
        self.waits.append(max(signed_ms - int(arrived_ms), 0))
        verdict = done.get("verdict")
        self.verdicts[verdict if verdict in VERDICTS else None] += 1

    def add(self, other: _Tally) -> None:
        """The days of another tally."""
        for mine, theirs in ((self.arrived, other.arrived), (self.signed, other.signed)):
            for rank, count in theirs.items():
                mine[rank] += count
        for verdict, count in other.verdicts.items():
            self.verdicts[verdict] += count
        self.waits += other.waits

    def told(self, first_day: date, last_day: date, *, own: bool) -> dict[str, Any]:
        """As it is answered."""
        judged = sum(self.verdicts[word] for word in VERDICTS)
        return {
            "first_day": first_day.isoformat(),
            "last_day": last_day.isoformat(),
            "arrived": None if own else _by_risk(self.arrived),
            "signed": _by_risk(self.signed),
            "waits": {
                "median_ms": nearest_rank(self.waits, 50),
                "p90_ms": nearest_rank(self.waits, 90),
                "p95_ms": nearest_rank(self.waits, 95),
            }
            if self.waits
            else None,
            "verdicts": {
                **{word: self.verdicts[word] for word in VERDICTS},
                "none": self.verdicts[None],
                "agreement": round(self.verdicts["agree"] / judged, 4) if judged else None,
            },
        }


def _by_risk(ranks: Mapping[int, int]) -> dict[str, int]:
    return {**{word: ranks[rank] for word, rank in RANKS.items()}, "total": sum(ranks.values())}


def nearest_rank(values: Sequence[int], percent: int) -> int:
    """The smallest of some values that so many in a hundred do not exceed."""
    return sorted(values)[-(-percent * len(values) // 100) - 1]


class Numbers:
    """Counts for those who may see it. Safe to share between threads."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def of(self, caller: Caller, asked: NumbersQuery) -> dict[str, Any]:
        """The numbers of some days.

        Raises `NotFound` (a scope that the caller is not in), `Forbidden`, `TooMuchToCount`,
        `StoreUnavailable`.
        """
        own = membership.key(caller.user_id)
        reading = self._store.read([own])
        members = membership.of(reading, caller.user_id)
        scopes = review.scopes_for(members, asked.scope_id, ReviewAction.NUMBERS)
        weeks = list(days.weeks(asked.first_day, asked.last_day, asked.zone))
        tallies = [_Tally() for _ in weeks]
        groups = [
            (record.SCOPE, "in", scopes[at : at + SCOPES_A_QUERY])
            for at in range(0, len(scopes), SCOPES_A_QUERY)
        ]
        at = _Moment(self._store, reading.read_at, groups)
        if not asked.own:
            self._arrived(at, weeks, tallies)
        self._signed(at, weeks, tallies, caller.user_id if asked.own else None)
        whole = _Tally()
        for tally in tallies:
            whole.add(tally)
        return {
            "zone": asked.zone_name,
            "weeks": [
                {
                    "week": week.name,
                    **tally.told(week.first_day, week.last_day, own=asked.own),
                }
                for week, tally in zip(weeks, tallies, strict=True)
            ],
            "all": whole.told(asked.first_day, asked.last_day, own=asked.own),
        }

    def _arrived(self, at: _Moment, weeks: Sequence[Week], tallies: Sequence[_Tally]) -> None:
        """Cases by the day when phones made them."""
        # First those that are gone: one that is deleted a moment later is counted as it was then.
        gone = at.listed(CASES, ((record.KEPT, ">", 0),), record.KEPT, (RANK, record.CREATED))
        for case in gone:
            week, rank = _week_of(case.get(record.CREATED), weeks), case.get(RANK)
            if week is not None and rank is not None:
                tallies[week].arrived[rank] -= 1

        def count(asked: tuple[int, int]) -> int:
            week, rank = asked
            where = (
                (RANK, "==", rank),
                (record.CREATED, ">=", weeks[week].from_ms),
                (record.CREATED, "<", weeks[week].until_ms),
            )
            return at.counted(CASES, where, record.CREATED)

        cells = [(week, rank) for week in range(len(weeks)) for rank in RANKS.values()]
        with ThreadPoolExecutor(_SIDE_BY_SIDE) as pool:
            for (week, rank), found in zip(cells, pool.map(count, cells), strict=True):
                tallies[week].arrived[rank] += found

    def _signed(
        self, at: _Moment, weeks: Sequence[Week], tallies: Sequence[_Tally], by: str | None
    ) -> None:
        """Cases by the day of their first diagnosis."""
        where: tuple[tuple[str, str, Any], ...] = (
            (FIRST_SIGNED, ">=", weeks[0].from_ms),
            (FIRST_SIGNED, "<", weeks[-1].until_ms),
        )
        if by is not None:
            where = (("signed_by", "==", by), *where)
        wanted = ("record_id", record.SCOPE, FIRST_SIGNED, "verdict")
        found = list(islice(at.listed(COLLECTION, where, FIRST_SIGNED, wanted), MOST_SIGNED + 1))
        if len(found) > MOST_SIGNED:
            raise TooMuchToCount(
                f"More than {MOST_SIGNED} diagnoses were signed on these days. Ask for fewer days, or "
                "for one team."
            )
        for start in range(0, len(found), _A_READING):
            part = found[start : start + _A_READING]
            cases = at.read([Key(CASES, done["record_id"]) for done in part])
            for done in part:
                case = cases.get(Key(CASES, done["record_id"]))
                week = _week_of(done[FIRST_SIGNED], weeks)
                if case is not None and week is not None and _there(case, done[record.SCOPE]):
                    tallies[week].sign(case.fields, done)


def _week_of(at_ms: object, weeks: Sequence[Week]) -> int | None:
    """Which of these weeks a moment is in."""
    if not isinstance(at_ms, int) or not weeks[0].from_ms <= at_ms < weeks[-1].until_ms:
        return None
    return bisect_right(weeks, at_ms, key=lambda week: week.from_ms) - 1


def _there(case: Document, scope_id: object) -> bool:
    """Whether a case lives in a scope; one that moves is neither here nor there for a moment."""
    return case.fields.get(record.SCOPE) == scope_id and case.fields.get(record.DELETED) is None


class _Moment(NamedTuple):
    """A store at one moment, as far as it keeps history, and the conditions that name the scopes."""

    store: RecordStore
    read_at: int
    groups: Sequence[tuple[str, str, Any]]

    def listed(
        self,
        collection: str,
        where: tuple[tuple[str, str, Any], ...],
        by: str,
        fields: tuple[str, ...],
    ) -> chain[dict[str, Any]]:
        """Fields of what is found, group by group in the order of a field."""
        query: Callable[[tuple[str, str, Any]], Query] = lambda group: Query(  # noqa: E731
            collection, (group, *where), ((by, "asc"),), None, fields, read_at=self.read_at
        )
        return chain.from_iterable(
            (found.fields for found in self.store.query(query(group))) for group in self.groups
        )

    def counted(self, collection: str, where: tuple[tuple[str, str, Any], ...], by: str) -> int:
        """How many there are."""
        return sum(
            self.store.count(
                Query(
                    collection,
                    (group, *where),
                    ((by, "asc"),),
                    _MOST_CASES,
                    read_at=self.read_at,
                )
            )
            for group in self.groups
        )

    def read(self, keys: Sequence[Key]) -> Mapping[Key, Document]:
        """Cases, as far as they are looked at."""
        fields = (record.SCOPE, record.DELETED, record.RECEIVED, record.CREATED, RANK)
        return self.store.read(keys, fields, self.read_at).documents
