"""Which record wins: last write wins, column by column, corrected by what each writer had seen. Whoever saw
a value may overwrite it; of two edits that did not know of each other the later one counts; an edit of
one column never undoes an edit of another; and no value is lost in silence.

Several edits of one record in one push become one edit first (`fold`), applied in the order of their times
as if each had come in a push of its own. A deletion ends the record: an edit behind it is refused.

Then S, what is stored, meets I, what comes in; both are the columns that phones own. Of the record:

    1. S is missing               all of I is stored
    2. S is deleted               an edit is refused and its values are kept in the conflict log; another
                                  deletion changes nothing
    3. the phone must pull first  a WatermelonDB phone merges what it pulls, so it may not push over what
                                  it has not pulled: its whole push is refused (`must_pull`), unless I
                                  brings nothing that S does not hold
    4. I is a deletion            judged as one column, whose last change is the last of the record
                                  (`deletion_wins`)
    5. I is an edit               judged column by column (`merge`)

Of each column that I carries:

    a. S holds the same value     nothing to do. If I came later, the time of the column moves on: somebody
                                  chose this value again, and an older edit must not win afterwards
    b. I did not change it        S stays. The phone named other columns; or it repeats what S was when it
                                  last looked (but if it made S itself, its user went back to that value:
                                  `_went_back`); or this very change was stored before, its answer was
                                  lost, and somebody has changed the column since
    c. I's writer had seen S      I wins, whatever the clocks say
    d. neither knew the other     as the column declares: `most` keeps the higher value, `union` joins both
                                  lists, `last` takes the later by corrected time, S if they are equal.
                                  Between edits of one device its own clock decides, I if they are equal

Named in the answer, and kept in the conflict log (`shared/sync/journal.py`): what loses or is overwritten
in d, what in b may have been an edit after all, and what in c a WatermelonDB phone lowers or drops without
its user having looked (`Writer.is_blind`).

What a phone has seen: what was committed before its cursor, and the version whose `updated_at` it sends
back. Of a record that it calls new it has seen only the latter. A device that was restored from a backup,
or cloned, has not seen what its other life wrote; that is named like anybody else's.

Who changed a column last: a record carries `_columns`, with a stamp of each column that its last write left
alone, and hashes of what columns held before. A record that was never edited carries none.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import orjson

from shared.records import record
from shared.records.collection import MAX_STRINGS, Collection, Field, Merge
from shared.records.store import STAMP, Document, Key
from shared.sync.exchange import Entry, Refusal

#: Earlier values of a column that are known by their hash, the newest. A phone that looked before
#: them is judged by its clock.
_MOST_KNOWN = 3


def fold(entries: Iterable[Entry]) -> tuple[list[Entry], list[Refusal]]:
    """One entry a record; and refusals of edits of what the same push deletes before them.

    Several edits of a record add up in the order of their times, at equality in that of the push, as they
    would in requests of their own. What stands later in the push and has an earlier time, since the
    phone's clock was set back in between, is overtaken (`Entry.overtaken`).
    """
    copies_of: dict[Key, list[Entry]] = {}
    for entry in entries:
        copies_of.setdefault(entry.key, []).append(entry)
    folded: list[Entry] = []
    refusals: list[Refusal] = []
    for copies in copies_of.values():
        first, *later = in_order = sorted(copies, key=_moment)
        for entry in later:
            if first.coerced is None:
                if not entry.deleting:
                    refusals.append(_after_its_deletion(entry))
            elif entry.deleting:
                entry.earlier = (*first.earlier, first.coerced.values)
                first = entry
            else:
                first = first.then(entry)
        if in_order != copies and first.coerced is not None:
            first.overtaken = _overtaken(copies, first.coerced.values)
        folded.append(first)
    return folded, refusals


def _moment(entry: Entry) -> float:
    return float("inf") if entry.raw_ms is None else entry.raw_ms


def _overtaken(copies: Iterable[Entry], values: Mapping[str, Any]) -> dict[str, Any]:
    """What the edits would have made of a record in the order of the push, where that differs."""
    last: dict[str, Any] = {}
    for entry in copies:
        last.update(entry.changes_of(last))
    return {name: value for name, value in last.items() if value != values[name]}


def _after_its_deletion(entry: Entry) -> Refusal:
    message = "This record was deleted. Your values are kept."
    return Refusal(entry.collection.name, entry.id, None, "deleted", message, entry.raw)


class Stamp(NamedTuple):
    """The last change of a column. `version` is its commit (µs), times are ms."""

    version: int
    modified_ms: int  #: by the corrected clock
    raw_ms: int  #: by the phone's
    offset_ms: int  #: how far that clock was off when it was sent; 0: right, or not known
    device: str
    author: str


@dataclass(frozen=True, slots=True)
class Writer:
    """Who pushes, and what of the store he knows. `shift_ms` corrects his clock."""

    device: str
    author: str
    cursor_ms: int
    now_ms: int
    shift_ms: int
    offset_ms: int  #: the phone's clock minus ours; 0: right, or not known
    tolerance_ms: int
    pulled_first: bool

    def corrected(self, raw_ms: int) -> int:
        """A time of this phone in ours. Nothing is ever stored from the future."""
        return max(0, min(raw_ms - self.shift_ms, self.now_ms))

    def stamp(self, raw_ms: int) -> Stamp:
        """Of a change that this push brings; its version is not known before the commit."""
        off = self.offset_ms if abs(self.offset_ms) > self.tolerance_ms else 0
        return Stamp(0, self.corrected(raw_ms), raw_ms, off, self.device, self.author)

    def is_later(self, mine: Stamp, theirs: Stamp) -> bool | None:
        """Whether `mine` was made after `theirs`; None: at the same moment."""
        if not self.is_own(theirs):
            mine_ms, theirs_ms = mine.modified_ms, theirs.modified_ms
            return None if mine_ms == theirs_ms else mine_ms > theirs_ms
        mine_ms, theirs_ms = mine.raw_ms, theirs.raw_ms
        if abs(mine.offset_ms - theirs.offset_ms) > self.tolerance_ms:
            # The clock was set in between: neither reading is comparable with the other.
            mine_ms, theirs_ms = mine_ms - mine.offset_ms, theirs_ms - theirs.offset_ms
        return mine_ms >= theirs_ms

    def has_seen(self, stamp: Stamp, until: int) -> bool:
        """Whether a change is known to one who has seen what was committed up to `until` (µs).

        Cursors are whole ms: what this device itself wrote in the ms of its cursor it has seen.
        """
        return stamp.version <= until or (
            stamp.version // 1000 * 1000 == until and self.is_own(stamp)
        )

    def is_blind(self, mine: Stamp, theirs: Stamp) -> bool:
        """Whether an edit was made before a version that its phone has seen, as a cursor says.

        WatermelonDB lays a phone's own columns over those it pulls, and nobody looks: not even at
        what it wrote itself, in the life before a backup was restored.
        """
        made_ms = mine.raw_ms - self.offset_ms
        return self.pulled_first and made_ms < theirs.version // 1000

    def is_own(self, stamp: Stamp) -> bool:
        """Whether a change was made on this very device, by the same person."""
        return self.device != record.UNNAMED and stamp[4:] == (self.device, self.author)


def must_pull(document: Document, writer: Writer) -> bool:
    """Whether a phone that pulls before it pushes has not pulled the record's last edit yet.

    It pulls its own pushes too. If it has not pulled its last one, this push is one that the network held
    back, and it would undo what came after it.
    """
    return writer.pulled_first and record.client_version(document) > writer.cursor_ms * 1000


class History:
    """What is known of the columns of a stored record."""

    __slots__ = ("_known", "last", "names")

    def __init__(self, document: Document, names: Sequence[str]) -> None:
        have = document.fields
        self.names = names
        self.last = Stamp(
            record.client_version(document),
            int(have.get(record.MODIFIED, 0)),
            int(have.get(record.RAW_MODIFIED, 0)),
            int(have.get(record.OFFSET, 0)),
            str(have.get(record.DEVICE, "")),
            str(have.get(record.AUTHOR, "")),
        )
        text = have.get(record.COLUMNS)
        self._known: dict[str, dict[str, Any]] = orjson.loads(text) if text else {}

    def stamp(self, name: str) -> Stamp:
        """The last change of a column."""
        kept = self._known.get(name, {}).get("stamp")
        if kept is None:
            return self.last
        stamp = Stamp(*kept)
        return stamp if stamp.version else stamp._replace(version=self.last.version)

    def is_offered_again(self, entry: Entry) -> bool:
        """Whether an edit that brings no other value has in all its columns the time of the record.

        Then it moves no column's time either (`_moved_on`): most of what a phone sends once more.
        """
        return (
            entry.raw_ms in (self.last.raw_ms, self.last.modified_ms)
            and not entry.has_moments
            and not any("stamp" in each for each in self._known.values())
        )

    def held_since(self, name: str, cursor_ms: int) -> Iterator[str]:
        """Hashes of what a column held at the cursor or after it, as far as they are known."""
        for digest, version, _ in self._known.get(name, {}).get("was", ()):
            if (version or self.last.version) > cursor_ms * 1000:
                yield digest

    def is_replayed(self, name: str, value: Any, raw_ms: int) -> bool:
        """Whether this very change of a column was stored before, and another has replaced it."""
        was = self._known.get(name, {}).get("was", ())
        return any(at == raw_ms and digest == digest_of(value) for digest, _, at in was)

    def after(self, changed: Mapping[str, Stamp], before: Mapping[str, Any]) -> str | None:
        """`_columns` of the record after a write that changes these columns.

        `before` holds the replaced values of those whose value changes. The write's own stamp is that
        of the record: a column that carries it needs no entry.
        """
        newest = max(changed.values(), key=lambda stamp: stamp.modified_ms)
        known: dict[str, dict[str, Any]] = {}
        for name in self.names:
            entry: dict[str, Any] = {}
            was = [
                [digest, version or self.last.version, at]
                for digest, version, at in self._known.get(name, {}).get("was", ())
            ]
            if name in before:
                held = [digest_of(before[name]), 0, self.stamp(name).raw_ms]
                was = [*was, held][-_MOST_KNOWN:]
            if was:
                entry["was"] = was
            if name not in changed:
                entry["stamp"] = tuple(self.stamp(name))
            elif changed[name] != newest or changed[name].modified_ms < self.last.modified_ms:
                entry["stamp"] = tuple(changed[name])
            if entry:
                known[name] = entry
        return orjson.dumps(known, option=orjson.OPT_SORT_KEYS).decode() if known else None


def digest_of(value: Any) -> str:
    """A value in twelve characters; enough to tell one column's few values apart."""
    return hashlib.blake2b(orjson.dumps(value), digest_size=6).hexdigest()


@dataclass(slots=True)
class Merged:
    """What an edit makes of a stored record."""

    values: dict[str, Any]  #: all client-owned columns afterwards
    changed: dict[str, Stamp] = field(default_factory=dict)  #: columns that are this edit's now
    replaced: dict[str, Any] = field(default_factory=dict)  #: what those held whose value changes
    overwritten: dict[str, Any] = field(default_factory=dict)  #: the part of it that was unseen
    lost: dict[str, Any] = field(default_factory=dict)  #: the edit's values that were not taken
    reason: str = ""  #: why they were not: "older", "equal" or "merged"
    differs: bool = False  #: the edit's record is not S; else it brings nothing but a time
    columns: str | None = None  #: `_columns` of the record afterwards


def merge(spec: Collection, document: Document, entry: Entry, writer: Writer) -> Merged:
    """Apply the rule to an edit of a live record, both with all of their content."""
    have, coerced = document.fields, entry.coerced
    if coerced is None:
        raise TypeError("a deletion has no columns")
    merged = Merged({name: have.get(name) for name in spec.client_fields})
    history = History(document, spec.client_fields)
    cursor_us = _seen_until(document, entry, writer)
    knew_ms = 0 if entry.fresh else writer.cursor_ms
    brings = {name: it for name, it in coerced.values.items() if it != have.get(name)}
    merged.differs = bool(brings)
    if not brings and history.is_offered_again(entry):
        return merged
    if entry.named is not None:
        brings = {
            name: it
            for name, it in brings.items()
            if name in entry.named or _rises(spec.by_name[name], have.get(name), it, history)
        }
    old = {
        name
        for name, value in brings.items()
        if not writer.has_seen(history.stamp(name), cursor_us)
        and digest_of(value) in history.held_since(name, knew_ms)
    }
    for name, value in brings.items():
        stored, stamp = merged.values[name], history.stamp(name)
        mine = writer.stamp(entry.moment(name))
        if history.is_replayed(name, value, mine.raw_ms):
            continue  # its answer was lost, and somebody has changed it since
        seen = writer.has_seen(stamp, cursor_us)
        blind = seen and writer.is_blind(mine, stamp)
        later = writer.is_own(stamp) and mine.raw_ms > stamp.raw_ms
        held = blind and not later and digest_of(value) in history.held_since(name, 0)
        if name in old or held:
            seen = False
            back = _went_back(entry, writer, mine, stamp, alone=len(old) == len(brings))
            at_cursor = next(history.held_since(name, knew_ms), None) == digest_of(value)
            if back is None and (entry.named is not None or not at_cursor):
                back = False  # sent before with another time, or chosen anew
            if back is False and _adds(spec.by_name[name], stored, value):
                back = True  # chosen, whenever: never smaller
            if back is False:
                merged.lost[name], merged.reason = value, "older"
            if not back:
                continue
        taken = _meet(spec.by_name[name], stored, value, mine, stamp, seen, blind, writer)
        if taken.value != stored:
            merged.values[name], merged.replaced[name] = taken.value, stored
            merged.changed[name] = _after_seen(mine, stamp) if seen else mine
        if taken.overwrites:
            merged.overwritten[name] = stored
        if taken.loses is not None:
            merged.lost[name], merged.reason = value, taken.loses
    if not merged.differs or entry.named is not None:
        same = {name: it for name, it in coerced.values.items() if it == have.get(name)}
        merged.changed |= _moved_on(same, entry, history, writer, cursor_us)
    if merged.changed:
        merged.columns = history.after(merged.changed, merged.replaced)
    return merged


def _rises(spec: Field, stored: Any, value: Any, history: History) -> bool:
    """Whether a column that the phone did not name holds more than anybody ever stored in it.

    That is no copy: an app that names its columns wrongly must not silence the highest of them.
    """
    old = history.held_since(spec.name, 0)
    return is_higher(spec, stored, value) and digest_of(value) not in old


def _adds(spec: Field, stored: Any, value: Any) -> bool:
    """Whether a value joins what is stored without taking anything from it."""
    return spec.merge is Merge.UNION or is_higher(spec, stored, value)


def is_higher(spec: Field, stored: Any, value: Any) -> bool:
    """Whether a value is more than what is stored, in a column that keeps the most."""
    return spec.merge is Merge.MOST and _combined(spec, stored, value) == value


def _went_back(
    entry: Entry, writer: Writer, mine: Stamp, theirs: Stamp, *, alone: bool
) -> bool | None:
    """Whether a value that the column held before is an edit; None: the phone only repeats it.

    A device knows its own change of the column, also where its cursor does not say so, since a sync
    broke off: what it sends later by its clock, it went back to. Yet a clone of it may repeat what its
    twin has changed. So a whole row counts as an edit only if it brings nothing else (`alone`); what
    may have been one and is not taken (False) is named.
    """
    if not writer.is_own(theirs):
        return None
    later = mine.raw_ms != theirs.raw_ms and bool(writer.is_later(mine, theirs))
    if entry.named is not None:
        return later
    if not later and mine.raw_ms > theirs.raw_ms:
        return False  # its clock was set in between: perhaps later
    return alone if later else None


class _Taken(NamedTuple):
    value: Any
    overwrites: bool = False
    loses: str | None = None


def _meet(
    spec: Field,
    stored: Any,
    value: Any,
    mine: Stamp,
    theirs: Stamp,
    seen: bool,
    blind: bool,
    writer: Writer,
) -> _Taken:
    """One column that both changed. What a `blind` edit lowers or drops is named."""
    if seen:
        drops = blind and spec.merge is not Merge.LAST
        return _Taken(value, overwrites=drops and _combined(spec, stored, value) != value)
    if spec.merge is not Merge.LAST:
        both = _combined(spec, stored, value)
        if both is not None:
            most = spec.merge is Merge.MOST
            return _Taken(
                both,
                overwrites=most and both == value and stored is not None,
                loses="merged" if most and both == stored and value is not None else None,
            )
    later = writer.is_later(mine, theirs)
    if later:
        return _Taken(value, overwrites=True)
    return _Taken(stored, loses="equal" if later is None else "older")


def _combined(spec: Field, stored: Any, value: Any) -> Any:
    """What two unseen values make together; None if the declaration cannot say."""
    if spec.merge is Merge.MOST:
        order = (None, *spec.choices)
        return max((stored, value), key=order.index)
    both = list(dict.fromkeys([*(stored or ()), *(value or ())]))
    return both if len(both) <= MAX_STRINGS else None


def _after_seen(mine: Stamp, theirs: Stamp) -> Stamp:
    """An edit of what one has seen is later than it, also where a clock says otherwise."""
    return mine._replace(modified_ms=max(mine.modified_ms, theirs.modified_ms + 1))


def _moved_on(
    values: Mapping[str, Any], entry: Entry, history: History, writer: Writer, cursor_us: int
) -> dict[str, Stamp]:
    """The columns whose time moves on, since an edit restored what is stored.

    The very same edit again (a replay, a row that is offered again) moves nothing.
    """
    changed: dict[str, Stamp] = {}
    last = history.last
    for name in values:
        mine, theirs = writer.stamp(entry.moment(name)), history.stamp(name)
        if entry.named is not None and name not in entry.named:
            continue
        if mine.raw_ms in (theirs.raw_ms, theirs.modified_ms, last.raw_ms, last.modified_ms):
            continue
        if writer.has_seen(theirs, cursor_us):
            changed[name] = _after_seen(mine, theirs)
        elif not writer.pulled_first and writer.is_later(mine, theirs):
            changed[name] = mine
    return changed


def _seen_until(document: Document, entry: Entry, writer: Writer) -> int:
    """Up to which version (µs) the writer knows this record."""
    # What the server itself wrote since changes nothing that phones write.
    stamps = (document.fields.get(STAMP) or 0, record.client_version(document))
    if entry.version_ms in [stamp // 1000 for stamp in stamps]:
        return document.version
    return 0 if entry.fresh else writer.cursor_ms * 1000


def deletion_wins(document: Document, entry: Entry, writer: Writer) -> str | None:
    """Whether a deletion applies to a live record: None if it does, else why not."""
    last = History(document, ()).last
    if entry.raw_ms is None or writer.has_seen(last, _seen_until(document, entry, writer)):
        return None
    later = writer.is_later(writer.stamp(entry.raw_ms), last)
    return None if later else ("equal" if later is None else "older")


def unseen_columns(document: Document, entry: Entry, writer: Writer) -> dict[str, Any]:
    """The stored values of the columns whose last change the writer has not seen."""
    spec = entry.collection
    history, until = History(document, spec.client_fields), _seen_until(document, entry, writer)
    return {
        name: document.fields.get(name)
        for name in spec.client_fields
        if not writer.has_seen(history.stamp(name), until)
    }
