"""What was written, what the server said to it, and who had seen what: kept beside the phones.

Every edit puts a mark of its own, `<seed.phone.number>`, into one column of one record, so that a
value can be searched for wherever it may have gone. `before` are the marks that stood in that column
on the writer's screen: they were seen. `laid_over` are marks that a WatermelonDB phone pulled while it
held an edit of its own in that column: its merge keeps its own. The user did not look at them, but the
protocol counts them as seen; they are kept apart so that a report can count them.

A user who undoes an edit writes an earlier value again: that has no mark of its own, so it is noted as
an `Undo`. `risk_level` has no room for marks either: a `Shade` notes who chose which colour over which.
Phones that are copies of one another, or of what they were, are one device: its marks are all its own.
"""

from __future__ import annotations

import json
import re
import threading
from collections import defaultdict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

Json = dict[str, Any]

_MARK = re.compile(r"<[0-9A-Za-z_.-]+>")

#: Columns that carry marks, by table. Each edit writes at least one of them.
MARKED = {"patients": ("demographics",), "cases": ("triage_data", "image_keys")}

#: The columns that phones own and that are compared at the end.
CLIENT_COLUMNS = {
    "patients": ("demographics",),
    "cases": ("patient_id", "triage_data", "risk_level", "image_keys"),
}


class Key(NamedTuple):
    """A record's address, as phones see it."""

    table: str
    id: str

    def __str__(self) -> str:
        return f"{self.table}/{self.id}"


def marks_in(value: Any) -> set[str]:
    """The marks in a value, whichever way it is packed."""
    text = value if isinstance(value, str) else json.dumps(value)
    return set(_MARK.findall(text))


def plain(value: Any) -> Any:
    """A column's value free of dialect: JSON text is parsed, what is empty counts as none."""
    if isinstance(value, str) and value[:1] in ("{", "["):
        value = json.loads(value)
    return None if value in ("", [], {}) else value


@dataclass
class Mark:
    """One value that a user wrote into one column."""

    tag: str
    key: Key
    column: str
    phone: str
    before: set[str]
    laid_over: set[str] = field(default_factory=set)
    sent: bool = False
    again: bool = False  #: sent in another request, too, with a later time: as an undo would be
    #: whether its phone could say that it had seen `before`: by its cursor, or by the row's version,
    proven: bool = True
    by_version: bool = False  #: which says so until anybody writes another column of the record
    accepted: bool = False
    refused: str | None = None  #: the code
    dropped: bool = False  #: a pulled deletion took the row with it (WatermelonDB)
    rightly: bool = False  #: since its user had lost the record then
    restored: bool = False  #: its phone was set back to what it was before it wrote it


@dataclass
class Deletion:
    """One deletion of a record by a user."""

    key: Key
    phone: str
    accepted: bool = False
    refused: str | None = None
    dropped: bool = False
    void: bool = False  #: its user had lost the record when it was accepted: it changes nothing


@dataclass
class Undo:
    """A user wrote an earlier value of a column again. `before` and `after` are the column's marks."""

    key: Key
    column: str
    phone: str
    before: frozenset[str]
    after: frozenset[str]
    number: int
    accepted: bool = False


@dataclass
class Shade:
    """One choice of `risk_level`. Numbers are those of events.

    What the user saw was sent by the server before `seen`, and was all that the server had at `sure`.
    """

    key: Key
    phone: str
    before: str | None
    value: str
    number: int
    seen: int
    sure: int
    again: bool = (
        False  #: the phone had it from the server, or gave it: whole rows do not show a change
    )
    proven: bool = True  #: as for a mark
    sent: int | None = None
    accepted: int | None = None
    refused: bool = False


class Event(NamedTuple):
    """A line of the story of a record."""

    number: int
    phone: str
    text: str


class Ledger:
    """Safe to share between threads. `name` is the seed, part of every mark."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.marks: dict[str, Mark] = {}
        self.deletions: list[Deletion] = []
        self.red: dict[Key, str] = {}  #: cases that were accepted and stored as red, by whom
        self.revoked: set[str] = set()  #: users who have lost a team
        self.moved: set[Key] = set()  #: records that have changed their team
        self.undos: list[Undo] = []
        self.shades: list[Shade] = []
        self.spoiled: set[Key] = set()  #: records that no server can read; nobody edits them again
        self.devices: dict[str, str] = {}  #: of each phone
        self.merging: set[str] = set()  #: devices whose phones pull and merge before they push
        self.copied: set[str] = set()  #: devices that were set back, or are two by now
        self.set_clocks: set[str] = set()  #: devices whose clock was set
        self.violations: list[tuple[Key | None, str]] = []
        self.counts: dict[str, int] = defaultdict(int)
        self._events: dict[Key | None, list[Event]] = defaultdict(list)
        self._lock = threading.RLock()
        self._number = 0

    def note(self, phone: str, key: Key | None, text: str) -> int:
        """Add to the story of a record; None is everybody's. The event's number."""
        with self._lock:
            self._number += 1
            self._events[key].append(Event(self._number, phone, text))
            return self._number

    @property
    def now(self) -> int:
        """The number of the last event."""
        return self._number

    def count(self, what: str, by: int = 1) -> None:
        with self._lock:
            self.counts[what] += by

    def violated(self, key: Key | None, text: str) -> None:
        """Something that must not happen has happened."""
        with self._lock:
            if (key, text) not in self.violations:
                self.violations.append((key, text))

    def wrote(self, phone: str, key: Key, column: str, before: Iterable[str]) -> str:
        """A new mark for an edit; `before` stood in the column until now."""
        with self._lock:
            tag = f"<{self.name}.{phone}.{len(self.marks)}>"
            self.marks[tag] = Mark(tag, key, column, phone, set(before))
            self.count("edits")
        self.note(phone, key, f"wrote {tag} into {column} over {_list(before)}")
        return tag

    def deleted(self, phone: str, key: Key) -> Deletion:
        deletion = Deletion(key, phone)
        with self._lock:
            self.deletions.append(deletion)
            self.count("deletions")
        self.note(phone, key, "deleted it")
        return deletion

    def undid(
        self, phone: str, key: Key, column: str, before: Iterable[str], after: Iterable[str]
    ) -> None:
        """An edit back to an earlier value."""
        over, back = frozenset(before), frozenset(after)
        number = self.note(phone, key, f"undid {_list(over)} in {column}: {_list(back)}")
        with self._lock:
            self.undos.append(Undo(key, column, phone, over, back, number))
        self.count("undos")

    def shaded(
        self,
        phone: str,
        key: Key,
        before: str | None,
        value: str,
        seen: int,
        sure: int,
        *,
        again: bool = False,
    ) -> None:
        """A choice of `risk_level`."""
        number = self.note(phone, key, f"chose {value} over {before}")
        with self._lock:
            given = [
                shade.value
                for shade in self.shades
                if shade.key == key and shade.sent and self.is_same_device(shade.phone, phone)
            ]
            again = again or given[-1:] == [value]
            self.shades.append(Shade(key, phone, before, value, number, seen, sure, again))

    def is_same_device(self, one: str, other: str) -> bool:
        """Whether two phones are one, or copies of one."""
        return self.devices.get(one, one) == self.devices.get(other, other)

    def own(self, phone: str, row: Any) -> list[Mark]:
        """This phone's marks in a row."""
        found = (self.marks.get(tag) for tag in sorted(marks_in(row)))
        return [mark for mark in found if mark and self.is_same_device(mark.phone, phone)]

    def own_undos(self, phone: str, key: Key, sent: Sequence[Json]) -> list[Undo]:
        """This phone's undos of a record whose values are the last ones in what it sends."""
        last = {name: marks_in(value) for row in sent for name, value in row.items()}
        return [
            undo
            for undo in self.undos
            if undo.key == key
            and last.get(undo.column, set()) == set(undo.after)
            and self.is_same_device(undo.phone, phone)
        ]

    def own_shades(self, phone: str, key: Key, values: Sequence[Any]) -> list[Shade]:
        """This phone's choices of these colours for a record."""
        return [
            shade
            for shade in self.shades
            if shade.key == key
            and shade.value in values
            and self.is_same_device(shade.phone, phone)
        ]

    def merged(self, phone: str, key: Key, column: str, mine: Any, theirs: Any) -> None:
        """A WatermelonDB phone kept its own value of a column over one that it pulled."""
        kept, over = marks_in(mine), marks_in(theirs) - marks_in(mine)
        if not over:
            return
        for tag in kept & self.marks.keys():
            self.marks[tag].laid_over |= over
        self.count("merges")
        self.note(phone, key, f"merged: {_list(kept)} stays over {_list(over)} in {column}")

    def story(self, key: Key | None) -> list[str]:
        """The events about a record and about everybody, in their order."""
        with self._lock:
            events = list(self._events[key])
            if key is not None:
                events += self._events[None]
        return [f"{event.number:5} {event.phone:8} {event.text}" for event in sorted(events)]


def _list(tags: Iterable[str]) -> str:
    return ", ".join(sorted(tags)) or "nothing"
