"""Search over everything of a family: what people type, in any language of the product, with slips.

An index of a family stands in memory, made of its `Household` and brought up to date by it: the words of a
record that did not change are not read again. It holds records of that family and nothing else. What is
found are the records with most words of the question, those first in which they fit best, then the newest.
"""

from __future__ import annotations

import heapq
import threading
from array import array
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, NamedTuple

import orjson

from shared.products.hemoday.household import Household, Households
from shared.products.hemoday.indicators import named
from shared.products.hemoday.meanings import MEANINGS, NAMES, month
from shared.products.hemoday.reading import TEXTS
from shared.products.hemoday.tables import (
    ACTIONS,
    BLOOD_TESTS,
    CATALOG,
    DOCUMENTS,
    PROFILES,
    REMINDERS,
    RESULTS,
    TRANSFUSIONS,
)
from shared.products.hemoday.timeline import day_of
from shared.products.hemoday.vocabulary import NONE, Vocabulary
from shared.products.hemoday.words import words
from shared.records.collection import Owner, Type
from shared.records.store import Document

#: Tables that are searched; what was done with a reminder says nothing of its own.
SEARCHED = tuple(name for name in CATALOG.by_name if name != ACTIONS)

#: Texts that nobody looks for.
_UNSAID = ("time_zone",)

#: Words of a question that count.
MOST_WORDS = 12

#: Different words of all records that the indexes of this process hold: about 150 bytes each.
_MOST_HELD = 1_500_000

#: Characters of a record that are read, those of its PDFs too.
_READ = 400_000

#: What a word of a question is worth: more than all of them can lose by fitting badly.
_A_WORD = (NONE + 1) * MOST_WORDS

#: A date is a moment, and nobody knows of which time zone: it is found by the days of both, ms.
_HALF_A_DAY = 43_200_000

_WORDS_OF_MEANINGS = Vocabulary(MEANINGS)


class Hit(NamedTuple):
    """A record that was found: how well (more is better), its day (Unix ms), and where it is."""

    score: int
    day: int
    table: str
    id: str

    @property
    def place(self) -> tuple[int, int, str, str]:
        """Its place in the list: the smallest first."""
        return -self.score, -self.day, self.table, self.id


class Text(NamedTuple):
    """A record as it is searched: its day, its text, and what it is found by besides."""

    day: int
    text: str
    besides: frozenset[str]


class Meant(NamedTuple):
    """What a question may mean: words of records and how well each fits, and meanings."""

    words: dict[str, int]
    meanings: set[str]

    def has(self, form: str) -> bool:
        """Whether a word of a text is one that was meant."""
        return form in self.words or not self.meanings.isdisjoint(MEANINGS.get(form, ()))


@dataclass(slots=True)
class _Entry:
    """`forms` are the words of a record in their order, then what it is found by besides; `starts`: where
    the words begin in its text, characters."""

    number: int
    stamp: tuple[int, ...]  #: versions of what it was made of
    forms: tuple[str, ...]
    starts: array[int]


class Index:
    """What a family has, by words. Used by one thread at a time."""

    def __init__(self) -> None:
        self._tables: Mapping[str, Mapping[str, Document]] = {}
        self._epoch = -1
        self._clear()

    def _clear(self) -> None:
        self._entries: dict[tuple[str, str], _Entry] = {}
        self._places: list[tuple[str, str]] = []  #: by number: table and id
        self._days: array[int] = array("q")
        self._free: list[int] = []
        self._having: dict[str, int | set[int]] = {}  #: one, or several
        self._known = Vocabulary()
        self.size = 0

    def renew(self, household: Household) -> None:
        """Bring it to the state of the household."""
        if household.epoch != self._epoch:
            self._clear()
            self._tables, self._epoch = {}, household.epoch
        now, before = household.tables, self._tables
        changed = {name for name in now if now[name] is not before.get(name)}
        for table in SEARCHED:
            if table in changed or _BESIDE.get(table) in changed:
                self._renew(household, table)
        self._tables = now

    def _renew(self, household: Household, table: str) -> None:
        rows, parts = household.tables[table], _parts(household, table)
        for id in self._tables.get(table, {}).keys() - rows.keys():
            self._drop((table, id))
        for id, row in rows.items():
            own = (row, *parts(row))
            stamp = tuple(each.version for each in own)
            had = self._entries.get((table, id))
            if had is None or had.stamp != stamp:
                self._drop((table, id))
                self._add((table, id), stamp, text_of(*own))

    def _add(self, place: tuple[str, str], stamp: tuple[int, ...], made: Text) -> None:
        if self._free:
            number = self._free.pop()
            self._places[number], self._days[number] = place, made.day
        else:
            number = len(self._days)
            self._places.append(place)
            self._days.append(made.day)
        starts: dict[str, int] = {}
        for word in words(made.text):
            starts.setdefault(word.form, word.start)
        besides = made.besides | {NAMES[form] for form in starts.keys() & NAMES.keys()}
        forms = (*starts, *(besides - starts.keys()))
        for form in forms:
            having = self._having.setdefault(form, number)
            if isinstance(having, set):
                having.add(number)
            elif having != number:
                self._having[form] = {having, number}
            elif not form.startswith("~"):
                self._known.add(form)
        self._entries[place] = _Entry(number, stamp, forms, array("I", starts.values()))
        self.size += len(forms)

    def _drop(self, place: tuple[str, str]) -> None:
        entry = self._entries.pop(place, None)
        if entry is None:
            return
        for form in entry.forms:
            having = self._having[form]
            if not isinstance(having, set):
                del self._having[form]
                self._known.discard(form)
                continue
            having.discard(entry.number)
            if len(having) == 1:
                [self._having[form]] = having
        self._free.append(entry.number)
        self.size -= len(entry.forms)

    def find(self, asked: Sequence[str]) -> tuple[dict[int, int], Meant]:
        """How well which records fit words (number → score), and what was meant."""
        scores: dict[int, int] = {}
        meant = Meant({}, set())
        for place, word in enumerate(asked, 1):
            typing = place == len(asked)
            levels: list[set[int]] = [set() for _ in range(NONE)]
            for form, level in self._known.meant(word, typing=typing):
                self._into(levels[level], form)
                if meant.words.get(form, NONE) > level:
                    meant.words[form] = level
            for said, level in _WORDS_OF_MEANINGS.meant(word, typing=typing):
                for meaning in MEANINGS[said] & self._having.keys():
                    self._into(levels[level], meaning)
                    meant.meanings.add(meaning)
            seen: set[int] = set()
            for level, found in enumerate(levels):
                gain = _A_WORD - level
                for number in found - seen:
                    scores[number] = scores.get(number, 0) + gain
                seen |= found
        return scores, meant

    def _into(self, found: set[int], form: str) -> None:
        """Add the records that have a form."""
        having = self._having[form]
        if isinstance(having, set):
            found |= having
        else:
            found.add(having)

    def best(
        self,
        scores: Mapping[int, int],
        most: int,
        after: Hit | None = None,
        fits: Callable[[int, str], bool] | None = None,
    ) -> list[Hit]:
        """The first records of the list behind `after`, at most so many. `fits`: by day and table.

        Only those that have as many words as the best: else long questions would find nearly everything.
        """
        groups: dict[int, list[int]] = {}
        for number, score in scores.items():
            if fits is None or fits(self._days[number], self._places[number][0]):
                groups.setdefault(score, []).append(number)
        least = (max(groups, default=1) - 1) // _A_WORD * _A_WORD
        found: list[Hit] = []
        for score in sorted(groups, reverse=True):
            if len(found) >= most or score <= least:
                break
            if after is not None and score > after.score:
                continue
            numbers = groups[score]
            hits = [
                Hit(score, self._days[n], *self._places[n])
                for n in self._newest(numbers, after, score, most)
            ]
            found += sorted(hits, key=lambda hit: hit.place)
        return found[:most]

    def _newest(self, numbers: list[int], after: Hit | None, score: int, most: int) -> list[int]:
        """Those of equal score that can be among the first: all of the days of the newest."""
        days, places = self._days, self._places
        if after is not None and score == after.score:
            day, place = after.day, (after.table, after.id)
            numbers = [
                n for n in numbers if days[n] < day or (days[n] == day and places[n] > place)
            ]
        if len(numbers) <= most:
            return numbers
        least = heapq.nlargest(most, map(days.__getitem__, numbers))[-1]
        return [n for n in numbers if days[n] >= least]

    def about(self, hit: Hit, meant: Meant) -> int:
        """Where in a record's text the best word that was meant begins, characters; 0: it is in none."""
        entry = self._entries[hit.table, hit.id]
        best, start = NONE, 0
        for form, at in zip(entry.forms, entry.starts, strict=False):
            if meant.has(form) and (level := meant.words.get(form, NONE - 1)) < best:
                best, start = level, at
        return start


@dataclass(slots=True)
class _IndexSlot:
    lock: threading.Lock = field(default_factory=threading.Lock)
    index: Index = field(default_factory=Index)


class FoundRecord(NamedTuple):
    """A record that was found, with its text and the start of the snippet in it."""

    hit: Hit
    document: Document
    text: str
    start: int


class Search:
    """The indexes of the families that were asked about lately. Safe to share between threads."""

    def __init__(self, households: Households, most: int = _MOST_HELD) -> None:
        self._households, self._most = households, most
        self._slots: OrderedDict[str, _IndexSlot] = OrderedDict()
        self._lock = threading.Lock()

    def ask(
        self,
        scope_id: str,
        question: str,
        most: int,
        after: Hit | None = None,
        fits: Callable[[int, str], bool] | None = None,
    ) -> tuple[list[FoundRecord], Meant]:
        """The first records of a family that fit, those behind `after`; whether somebody may see them
        was asked before. Raises `StoreUnavailable`."""
        asked = list(dict.fromkeys(word.form for word in words(question)))[:MOST_WORDS]
        with self._lock:
            slot = self._slots.setdefault(scope_id, _IndexSlot())
            self._slots.move_to_end(scope_id)
        with slot.lock:
            household = self._households.of(scope_id)
            slot.index.renew(household)
            scores, meant = slot.index.find(asked)
            hits = slot.index.best(scores, most, after, fits)
            parts = {table: _parts(household, table) for table in {hit.table for hit in hits}}
            found = [
                FoundRecord(
                    hit,
                    document,
                    text_of(document, *parts[hit.table](document)).text,
                    slot.index.about(hit, meant),
                )
                for hit in hits
                if (document := household.tables[hit.table][hit.id])
            ]
        self._forget()
        return found, meant

    def _forget(self) -> None:
        with self._lock:
            held = [(scope, slot.index.size) for scope, slot in self._slots.items()]
            over = sum(size for _, size in held) - self._most
            for scope, size in held[:-1]:
                if over <= 0:
                    return
                del self._slots[scope]
                over -= size


# --- what a record says

#: Tables whose records are made of others as well: results of their blood test, documents of their texts.
_BESIDE = {RESULTS: BLOOD_TESTS, DOCUMENTS: TEXTS}


def _parts(household: Household, table: str) -> Callable[[Document], tuple[Document, ...]]:
    """What belongs to a record of a table."""
    tests = household.tables[BLOOD_TESTS]

    def of_result(row: Document) -> tuple[Document, ...]:
        test = tests.get(str(row.fields["blood_test_id"]))
        return () if test is None else (test,)

    texts: dict[str, list[Document]] = {}
    if table == DOCUMENTS:
        for _, text in sorted(household.tables.get(TEXTS, {}).items()):
            texts.setdefault(str(text.fields["record_id"]), []).append(text)
    return of_result if table == RESULTS else lambda row: tuple(texts.get(row.key.id, ()))


def text_of(row: Document, *parts: Document) -> Text:
    """A record as it is searched, with what belongs to it."""
    table, have = row.key.collection, row.fields
    lines = [*_lines(row), *(str(part.fields["text"]) for part in parts if table == DOCUMENTS)]
    besides = {f"~{table}", f"~{have.get('category')}"}
    for line in _names(row):
        if (known := named(line)) is not None:
            besides.add(f"~{known.loinc}")
    day = day_of(parts[0]) if table == RESULTS and parts else day_of(row)
    if table == REMINDERS:
        day = int(have.get("remind_at") or day)
    for moment in (day, day + _HALF_A_DAY):
        date = _date(moment)
        if date is not None:
            besides |= {date.strftime("%Y-%m-%d"), month(date.month)}
    return Text(day, "\n".join(lines)[:_READ], frozenset(besides))


def title_of(row: Document) -> str:
    """A few words by which people know a record; empty: there are none."""
    return CATALOG.by_name[row.key.collection].label(row.fields) or next(_lines(row), "")


def _lines(row: Document) -> Iterator[str]:
    """The text of a record, what it is called first."""
    table, have = row.key.collection, row.fields
    if table == RESULTS:
        yield _value(have)
        return
    if table == TRANSFUSIONS and (volume := have.get("volume_ml")) is not None:
        yield f"{_number(volume)} ml"
    for spec in CATALOG.by_name[table].fields:
        value = have.get(spec.name)
        if spec.owner is not Owner.CLIENT or spec.name in _UNSAID:
            continue
        if not isinstance(value, str) or not value:
            continue
        if spec.type is Type.STRING and not (spec.choices or spec.references):
            yield value
        elif spec.type is Type.JSON and table != PROFILES:
            yield from map(_value, _items(value))


def _names(row: Document) -> Iterator[str]:
    """The indicators that a record names."""
    if row.key.collection == RESULTS:
        yield str(row.fields["name"])
    for name in ("indicators_before", "indicators_after", "indicators"):
        if isinstance(text := row.fields.get(name), str):
            yield from (str(each.get("name") or "") for each in _items(text))


def _items(text: str) -> Iterator[Mapping[str, Any]]:
    """The entries of a list of indicators: objects, or names alone."""
    value = orjson.loads(text)
    for each in value if isinstance(value, list) else ():
        if isinstance(each, dict):
            yield each
        elif isinstance(each, str):
            yield {"name": each}


def _value(have: Mapping[str, Any]) -> str:
    """A value as a line: name, number, unit."""
    value = have.get("value")
    said = have.get("value_text") if value is None else _number(value)
    return " ".join(str(part) for part in (have.get("name"), said, have.get("unit")) if part)


def _number(value: object) -> str:
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _date(moment: int) -> datetime | None:
    try:
        return datetime.fromtimestamp(moment / 1000, UTC)
    except (ValueError, OverflowError, OSError):
        return None
