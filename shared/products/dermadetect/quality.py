"""How good a team's weeks were: photos worth taking again, and red cases that phones had called red.

A photo counts in the week in which its phone first spoke of it, once the server has judged it. A red case
counts in the week of its first diagnosis.

Nobody asks doctors how urgent a case was. What is stored of their word is what they said of the analysis.
So a case counts as confirmed red if the analysis says red or emergency and the doctor whose signature
counts agreed with it; of these it is counted how many the phone itself had called red when it was signed.
A case that phone and analysis both took for harmless is in neither number, whatever the doctor found: the
real sensitivity cannot be known from what is stored.

What an answer costs: for each 30 scopes two queries, two reads a photo and one or two an agreement, of the
`MOST` newest of each. `photos_whole` and `red_whole` say whether that was all.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from itertools import chain, islice
from typing import Annotated, Any

from msgspec import UNSET, Struct, UnsetType

from shared.access import membership
from shared.access.membership import Caller
from shared.api.fields import Count, Id, says
from shared.files.file import BLOBS, FILES, NO_BLOB
from shared.products.dermadetect import days, review
from shared.products.dermadetect.days import Week
from shared.products.dermadetect.numbers import NumbersQuery, parse
from shared.products.dermadetect.review import CASES, COLLECTION, FIRST_SIGNED
from shared.products.dermadetect.rights import ReviewAction
from shared.products.dermadetect.screen import NumbersAsked
from shared.products.dermadetect.signal import RANK, RANKS, SIGNED, rank_of_reading
from shared.records import record
from shared.records.store import Document, Key, Query, RecordStore, StoredCollection
from shared.sync.pull import SCOPES_A_QUERY

STORED = (
    StoredCollection(FILES, ((record.SCOPE, "at desc", "__name__"),)),
    StoredCollection(COLLECTION, ((record.SCOPE, "verdict", f"{FIRST_SIGNED} desc", "__name__"),)),
)

#: Photos, and agreements, that one answer looks at: the newest.
MOST = 2_000

#: Documents read at once.
_A_READING = 500


# --- what is asked and answered


class QualityAsked(Struct):
    """Which weeks, and whose."""

    scope: Annotated[Id | UnsetType, says("Only of this scope.")] = UNSET
    first_day: Annotated[
        str | UnsetType,
        says(
            "The first day, like 2026-03-02; the Monday eleven weeks before the last day.",
            format="date",
        ),
    ] = UNSET
    last_day: Annotated[
        str | UnsetType, says("The last day, which is still in; today.", format="date")
    ] = UNSET
    zone: Annotated[str, says("Days of this zone, by its name of the IANA database.")] = "UTC"

    def query(self, now_ms: int) -> NumbersQuery:
        """The days and scopes, as the numbers have them. Raises `InvalidRequest`."""
        asked = NumbersAsked(
            scope=self.scope, first_day=self.first_day, last_day=self.last_day, zone=self.zone
        )
        return parse(asked, now_ms)


class JudgedPhotos(Struct):
    """Photos that the server has judged."""

    checked: Count
    retake: Annotated[Count, says("Of these: worth taking again.")]


class ConfirmedRed(Struct):
    """Cases whose analysis says red or emergency, and with which the doctor agreed."""

    confirmed: Count
    phone_red: Annotated[Count, says("Of these: the phone itself had called them red.")]


class QualityOfDays(Struct):
    """Numbers of some days."""

    first_day: Annotated[str, says("The first of these days.", format="date")]
    last_day: Annotated[str, says("The last of these days.", format="date")]
    photos: JudgedPhotos
    red: ConfirmedRed


class QualityOfWeek(QualityOfDays):
    """Numbers of a week, or of the part of it that was asked for."""

    week: Annotated[str, says("By ISO 8601, from Monday: 2026-W10.")]


class ReviewQuality(Struct):
    """Numbers by week, and of all days together."""

    zone: Annotated[str, says("Whose days they are.")]
    weeks: Annotated[list[QualityOfWeek], says("The first one first, empty ones too.")]
    all: QualityOfDays
    photos_whole: Annotated[bool, says(f"False: only the {MOST} newest photos were looked at.")]
    red_whole: Annotated[bool, says(f"False: only the {MOST} newest agreements were looked at.")]


# --- how it is counted


class WeeklyQuality:
    """Counts for those who may see numbers. Safe to share between threads."""

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def of(self, caller: Caller, asked: NumbersQuery) -> dict[str, Any]:
        """The numbers of some days.

        Raises `NotFound` (a scope that the caller is not in), `Forbidden`, `StoreUnavailable`.
        """
        reading = self._store.read([membership.key(caller.user_id)])
        members = membership.of(reading, caller.user_id)
        scopes = review.scopes_for(members, asked.scope_id, ReviewAction.NUMBERS)
        weeks = list(days.weeks(asked.first_day, asked.last_day, asked.zone))
        photos, photos_whole = self._photos(scopes, weeks)
        red, red_whole = self._red(scopes, weeks)
        whole = {
            "photos": {"checked": sum(p for p, _ in photos), "retake": sum(r for _, r in photos)},
            "red": {"confirmed": sum(c for c, _ in red), "phone_red": sum(r for _, r in red)},
        }
        return {
            "zone": asked.zone_name,
            "weeks": [
                {
                    "week": week.name,
                    "first_day": week.first_day.isoformat(),
                    "last_day": week.last_day.isoformat(),
                    "photos": {"checked": photos[at][0], "retake": photos[at][1]},
                    "red": {"confirmed": red[at][0], "phone_red": red[at][1]},
                }
                for at, week in enumerate(weeks)
            ],
            "all": {
                "first_day": asked.first_day.isoformat(),
                "last_day": asked.last_day.isoformat(),
                **whole,
            },
            "photos_whole": photos_whole,
            "red_whole": red_whole,
        }

    def _photos(self, scopes: Sequence[str], weeks: Sequence[Week]) -> tuple[list[list[int]], bool]:
        """By week: photos that were judged, and those worth taking again."""
        counts = [[0, 0] for _ in weeks]
        found, whole = self._newest(scopes, weeks, FILES, "at", (), ("blob", "at"))
        blobs = self._read(
            (Key(BLOBS, str(each.get("blob"))) for each in found if each.get("blob") != NO_BLOB),
            ("quality",),
        )
        for each in found:
            blob = blobs.get(Key(BLOBS, str(each.get("blob"))))
            said = None if blob is None else blob.fields.get("quality")
            if said is not None:
                here = counts[_week_of(each["at"], weeks)]
                here[0] += 1
                here[1] += said.get("verdict") == "retake"
        return counts, whole

    def _red(self, scopes: Sequence[str], weeks: Sequence[Week]) -> tuple[list[list[int]], bool]:
        """By week: red cases that a doctor confirmed, and those that the phone had called red."""
        counts = [[0, 0] for _ in weeks]
        agreed = (("verdict", "==", "agree"),)
        wanted = ("record_id", record.SCOPE, FIRST_SIGNED)
        found, whole = self._newest(scopes, weeks, COLLECTION, FIRST_SIGNED, agreed, wanted)
        keys = [Key(CASES, str(each["record_id"])) for each in found]
        ranked = self._read(keys, (record.SCOPE, record.DELETED, RANK))
        urgent = [key for key, case in ranked.items() if case.fields.get(RANK, 9) <= RANKS["red"]]
        cases = self._read(urgent, (SIGNED, "risk_level", "ai_analysis"))
        for each in found:
            key = Key(CASES, str(each["record_id"]))
            about, case = ranked.get(key), cases.get(key)
            if about is None or case is None or about.fields.get(record.DELETED) is not None:
                continue
            reading = case.fields.get("ai_analysis") or {}
            if (
                about.fields.get(record.SCOPE) == each[record.SCOPE]
                and rank_of_reading(reading) <= RANKS["red"]
            ):
                here = counts[_week_of(each[FIRST_SIGNED], weeks)]
                here[0] += 1
                here[1] += _called_red(case.fields)
        return counts, whole

    def _newest(
        self,
        scopes: Sequence[str],
        weeks: Sequence[Week],
        collection: str,
        by: str,
        where: tuple[tuple[str, str, Any], ...],
        fields: tuple[str, ...],
    ) -> tuple[list[dict[str, Any]], bool]:
        """The newest documents of these weeks, and whether that is all of them."""
        span = ((by, ">=", weeks[0].from_ms), (by, "<", weeks[-1].until_ms))
        queries = (
            Query(
                collection,
                ((record.SCOPE, "in", tuple(scopes[at : at + SCOPES_A_QUERY])), *where, *span),
                ((by, "desc"),),
                MOST + 1,
                fields,
            )
            for at in range(0, len(scopes), SCOPES_A_QUERY)
        )
        listed = chain.from_iterable(map(self._store.query, queries))
        found = [each.fields for each in islice(listed, MOST + 1)]
        return found[:MOST], len(found) <= MOST

    def _read(self, keys: Iterable[Key], fields: tuple[str, ...]) -> dict[Key, Document]:
        wanted = list(dict.fromkeys(keys))
        found: dict[Key, Document] = {}
        for at in range(0, len(wanted), _A_READING):
            found |= self._store.read(wanted[at : at + _A_READING], fields).documents
        return found


def _week_of(at_ms: int, weeks: Sequence[Week]) -> int:
    return bisect_right(weeks, at_ms, key=lambda week: week.from_ms) - 1


def _called_red(case: Mapping[str, Any]) -> bool:
    """Whether the phone's own colour was red when the case was signed."""
    signed = case.get(SIGNED)
    if signed is not None:
        return bool(signed.get("colour") == RANKS["red"])
    return case.get("risk_level") == "red"
