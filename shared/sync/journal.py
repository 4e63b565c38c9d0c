"""What a push leaves beside the records: values that lost, and records that were refused.

    conflicts    both sides of each conflict, for people to look at
    quarantine   each refused record as it came; `open` entries wait in the inbox for a person. It ends
                 after `KEPT_MS`, but for what waits and came from a member: that, once it was looked at

The id of an entry is a hash of what makes it itself: written twice, it is there once. Limits are bytes.

`Journal` collects them for one push while `Decision` goes through its records. Nothing that a phone sent
is thrown away in silence: it is stored, or stands here, or stays on the phone, and the answer says which.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from shared.access.membership import Caller, Memberships
from shared.records import record
from shared.records.collection import MAX_RECORD_BYTES, Catalog, RecordFault
from shared.records.store import (
    MAX_COMMIT_BYTES,
    STAMP,
    Document,
    Key,
    RecordStore,
    StoredCollection,
    Write,
    put,
)
from shared.sync.conflict import is_higher
from shared.sync.dialects.reading import Unreadable
from shared.sync.exchange import Conflict, Entry, Outcome, Refusal
from shared.sync.quota import Quota

CONFLICTS = "conflicts"
QUARANTINE = "quarantine"

STORED = (
    StoredCollection(CONFLICTS, (("record_id",), (record.SCOPE, "at desc", "__name__"))),
    StoredCollection(
        QUARANTINE,
        (
            (record.SCOPE, "open", "urgent desc", "at"),
            (record.SCOPE, STAMP),
            ("record_id",),
            ("expires_at",),
        ),
    ),
)

#: `open` of an entry of somebody who is in no scope (any more); a member's is true.
OTHERS = "others"

_DAY_MS = 86_400_000

#: How long a refused record is kept, ms: half a year, as deleted ones are by default.
KEPT_MS = 180 * _DAY_MS

#: Bytes of a write beside its content: names, bookkeeping, protocol. An estimate on the safe side.
WRITE_OVERHEAD = 900

#: Longest copy of a refused record that is kept, bytes. The record stays on the phone anyway.
_MAX_KEPT = 500_000

#: Entries of a commit that holds nothing else.
_MOST_ENTRIES = 50


class Step:
    """The writes that belong together for one record, and what guards them."""

    __slots__ = ("guard", "size", "writes")

    def __init__(self, writes: list[Write], size: int, guard: Key | None = None) -> None:
        self.writes, self.size, self.guard = writes, size, guard


def size_of(write: Write) -> int:
    """Bytes that a write takes in a commit, about."""
    return len(orjson.dumps(dict(write.fields))) + WRITE_OVERHEAD


def logged(item: Conflict, scope_id: str, caller: Caller, now_ms: int) -> list[Write]:
    """The entry of a conflict; two entries, a side each, if both would be too much for one document.

    Raises `RecordFault` if one side alone is.
    """
    yours, theirs = (record.canonical(item.of(side)) for side in (item.yours, item.theirs))
    sizes = len(yours.encode()), len(theirs.encode())
    if max(sizes) > MAX_RECORD_BYTES:
        raise RecordFault(None, "record_too_large", f"A record may have {MAX_RECORD_BYTES} bytes")
    fields = {
        record.SCOPE: scope_id,
        "table": item.table,
        "record_id": item.id,
        "winner": item.winner,
        "reason": item.reason,
        "yours": yours,
        "theirs": theirs,
        "device": caller.device,
        record.AUTHOR: caller.user_id,
    }
    if sum(sizes) <= MAX_RECORD_BYTES:
        return [_entry(CONFLICTS, fields, tuple(fields), now_ms)]
    sides = ({**fields, "theirs": "{}"}, {**fields, "yours": "{}"})
    return [_entry(CONFLICTS, side, tuple(fields), now_ms) for side in sides]


def ends(now_ms: int) -> int:
    """Until when an entry is kept that nobody has to look at: a whole day (see `ledger`)."""
    return (now_ms + KEPT_MS) // _DAY_MS * _DAY_MS + _DAY_MS


def refused(refusal: Refusal, place: Mapping[str, Any], caller: Caller, now_ms: int) -> Write:
    """The copy of a refused record. `place` says whose it is, and whether somebody should look."""
    text, whole = _as_sent(refusal.raw)
    waits = place["open"] is True
    fields = {
        **place,
        "expires_at": None if waits else ends(now_ms),
        record.AUTHOR: caller.user_id,
        "device": caller.device,
        "table": refusal.table,
        "record_id": refusal.id,
        "code": refusal.code,
        "field": refusal.field,
        "raw": text,
        "raw_whole": whole,
    }
    # The same for several teams is an entry each; with one team its id stays what it always was.
    identity = ["table", "record_id", "raw", record.AUTHOR]
    if fields.get("unfiled"):
        identity.append(record.SCOPE)
    return _entry(QUARANTINE, fields, identity, now_ms)


def _as_sent(raw: Any) -> tuple[str, bool]:
    """A record as JSON text, and whether it is whole; one that could not be read is one JSON string."""
    if isinstance(raw, Unreadable):
        text = raw.text[: _MAX_KEPT // 2].decode("utf-8", "backslashreplace")
        return orjson.dumps(text).decode(), len(raw.text) <= _MAX_KEPT // 2
    data = orjson.dumps(raw)
    return data[:_MAX_KEPT].decode("utf-8", "ignore"), len(data) <= _MAX_KEPT


def _entry(collection: str, fields: dict[str, Any], identity: Sequence[str], now_ms: int) -> Write:
    known = record.canonical([fields.get(name) for name in identity])
    entry_id = hashlib.sha256(known.encode()).hexdigest()
    return put(Key(collection, entry_id), {**fields, "at": now_ms}, None)


def commits(writes: Iterable[Write]) -> Iterator[list[Write]]:
    """Entries in commits that a store takes."""
    batch: dict[Key, Write] = {}
    size = 0
    for write in writes:
        if batch and (len(batch) == _MOST_ENTRIES or size + size_of(write) > MAX_COMMIT_BYTES // 2):
            yield list(batch.values())
            batch, size = {}, 0
        batch[write.key] = write
        size += size_of(write)
    if batch:
        yield list(batch.values())


class Journal:
    """What one push leaves beside its records, while `Decision` goes through them.

    Fills `rejected` and `conflicts` of the outcome, and adds its writes to `steps`. `tried` are conflicts
    of earlier attempts of the push that may have been committed; those of this attempt are added.
    """

    def __init__(
        self,
        store: RecordStore,
        catalog: Catalog,
        caller: Caller,
        members: Memberships,
        outcome: Outcome,
        steps: list[Step],
        tried: dict[Key, Conflict],
        now_ms: int,
    ) -> None:
        self.store, self.catalog = store, catalog
        self.caller, self.members, self.now_ms = caller, members, now_ms
        self.outcome, self.steps, self.tried = outcome, steps, tried
        self.quota = Quota(store, caller, bool(members.roles), now_ms, refused)

    # --- records that are refused

    def refuse(
        self,
        refusal: Refusal,
        address: str | None = None,
        place: str | None = None,
        *,
        kept: bool = True,
        unless_kept: Refusal | None = None,
    ) -> None:
        """A record that is not stored: the answer names it, and a copy is kept.

        Without `kept` there is no copy, since the conflict log has one. `unless_kept` is what the phone
        is told instead if there is no room for the copy.
        """
        self.outcome.rejected.append(refusal)
        if kept:
            self.keep(refusal, address, place, unless_kept)

    def keep(
        self,
        refusal: Refusal,
        address: str | None,
        place: str | None = None,
        unless_kept: Refusal | None = None,
    ) -> None:
        """Keep a copy of what is not stored; one with an urgent signal, or for others, waits for a person.

        `address` is the scope that the record has moved to, if it has; `place` the caller's own scope
        that it is about, if that is known. An urgent one about no known scope goes to all of the
        caller's scopes, or to the admins if there is none. Of a caller who is in no scope only what is
        urgent or for others is kept. All of it as far as `quota` has room.
        """
        raw = refusal.raw.value if isinstance(refusal.raw, Unreadable) else refusal.raw
        urgent = isinstance(raw, Mapping) and self.catalog.urgent(refusal.table, raw)
        self.outcome.urgent += urgent
        other = not self.members.roles
        if other and not (urgent or address):
            return
        known = address or place or self._only_scope()
        scopes: Sequence[str | None] = (known,)
        if urgent and known is None:
            scopes = self.members.scopes or (record.UNFILED,)
        for scope_id in scopes:
            whose = {
                record.SCOPE: scope_id,
                "late": True if address else None,
                "open": (OTHERS if other else True) if address or urgent else None,
                "unfiled": True if urgent and known is None else None,
                "urgent": urgent,
            }
            told = None if unless_kept is None else (len(self.outcome.rejected) - 1, unless_kept)
            self.quota.ask(refusal, whose, told)

    def keep_unread(self, copy: Refusal, scope_id: str) -> None:
        """Keep what was sent of a record that is stored with a column that could not be read."""
        whose = {record.SCOPE: scope_id, "open": None, "late": None, "urgent": False}
        self.quota.ask(copy, whose)

    def keep_superseded(self, entry: Entry, place: str | None) -> None:
        """Keep an urgent signal that a later edit of the same push takes back.

        Had the two come in two pushes, people would have seen it.
        """
        values = entry.coerced.values if entry.coerced is not None else {}
        spec, urgent = entry.collection, self.catalog.urgent
        for earlier in entry.earlier:
            less = any(
                is_higher(spec.by_name[name], values.get(name), it) for name, it in earlier.items()
            )
            if urgent(spec.name, earlier) and (less or not urgent(spec.name, values)):
                code = "deleted" if entry.deleting else "merged"
                message = "Its phone took these values back before they were stored"
                raw = {"id": entry.id, **earlier, "last_modified_at": entry.raw_ms}
                refusal = Refusal(entry.collection.name, entry.id, None, code, message, raw)
                self.keep(refusal, None, place)

    # --- values that lose

    def name(
        self,
        entry: Entry,
        have: Document,
        winner: str,
        reason: str,
        yours: Mapping[str, Any],
    ) -> None:
        """A conflict between what is stored and `yours`: for the answer, and for the log."""
        stored = {name: have.fields.get(name) for name in entry.collection.client_fields}
        sent = {} if entry.coerced is None else {**stored, **entry.coerced.values}
        table, columns = entry.collection.name, tuple(yours)
        conflict = Conflict(table, entry.id, winner, reason, {**sent, **yours}, stored, columns)
        if winner == "client":
            self.tried[entry.key] = conflict
        self._conflict(conflict, have.fields[record.SCOPE], entry)

    def name_overtaken(self, entry: Entry, after: Mapping[str, Any]) -> None:
        """A conflict of a phone with itself: its clock was set back between two edits of one push.

        The first of them has the later time and wins; the values of the second are named.
        """
        if not entry.overtaken:
            return
        yours = {name: it for name, it in entry.overtaken.items() if it != after.get(name)}
        if yours:
            theirs = {name: after.get(name) for name in entry.collection.client_fields}
            table, columns = entry.collection.name, tuple(yours)
            sent = {**theirs, **yours}
            conflict = Conflict(table, entry.id, "server", "older", sent, theirs, columns)
            self._conflict(conflict, after[record.SCOPE], entry)
            self.outcome.show[entry.key] = None

    def name_again(self, entry: Entry, scope_id: str) -> None:
        """Name again what an earlier attempt of this push has named: it may have been committed, and only
        its answer lost, so that this attempt finds nothing to do.
        """
        if entry.key in self.tried:
            self._conflict(self.tried[entry.key], scope_id, entry)

    def _conflict(self, conflict: Conflict, scope_id: str, entry: Entry) -> None:
        # The entry belongs to the scope in which the record is at the commit, not before a move.
        guard = Key(conflict.table, conflict.id)
        for write in logged(conflict, scope_id, self.caller, self.now_ms):
            self._log(write, guard)
        self.outcome.conflicts.append(conflict)
        lost = conflict.lost
        if self.catalog.urgent(conflict.table, lost):
            message = "These values were not taken, or were overwritten unseen"
            # With its time: the same colour lost once more is a signal once more.
            raw = {**lost, "last_modified_at": entry.raw_ms}
            refusal = Refusal(conflict.table, conflict.id, None, conflict.reason, message, raw)
            self.keep(refusal, None, scope_id)

    def _log(self, write: Write, guard: Key | None = None) -> None:
        self.steps.append(Step([write], size_of(write), guard))

    # --- writing

    def settle(self) -> None:
        """Put the copies of refused records before the other steps, as far as there is room."""
        writes = self.quota.settle(self.outcome.rejected)
        self.steps[:0] = [Step([write], size_of(write)) for write in writes]

    def store_of_stale_push(self) -> None:
        """Store what must outlive a push that is refused whole.

        The pull that follows drops the phone's edits of deleted and moved records without a word.
        """
        kept = [*self.quota.settle(self.outcome.rejected, stale=True)]
        lost = (step.writes[0] for step in self.steps)
        kept += [write for write in lost if write.key.collection == CONFLICTS]
        for writes in commits(kept):
            self.store.commit(writes)

    def _only_scope(self) -> str | None:
        return self.members.scopes[0] if len(self.members.scopes) == 1 else None
