"""What a push brings and what becomes of it, free of dialect: plain values, no rules."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from shared.records import record
from shared.records.bell import Bell
from shared.records.collection import Coerced, Collection
from shared.records.store import Document, Key, Write


class Entry:
    """One record of a push, checked by its dialect. `raw` is what the phone sent.

    `named` are the columns that the phone says it changed; None: it did not say. `version_ms` is the
    `updated_at` of the row that it edited, if it sent that back. Times are the phone's, ms.
    `fresh`: the phone calls the record new, so it has seen nothing of what is stored, whatever its
    cursor says: a copy that it offers again after a restore is no edit of what was written since.
    `overtaken` are values that another entry of the record, earlier in the push, replaced by its time;
    `earlier` those that this edit or deletion replaces of edits before it in the same push.
    """

    __slots__ = (
        "_hashes",
        "_moments",
        "coerced",
        "collection",
        "complete",
        "created_ms",
        "deleting",
        "earlier",
        "fresh",
        "id",
        "key",
        "named",
        "overtaken",
        "raw",
        "raw_ms",
        "scope_id",
        "version_ms",
    )

    def __init__(
        self,
        collection: Collection,
        record_id: str,
        raw: Mapping[str, Any],
        *,
        coerced: Coerced | None,
        raw_ms: int | None,
        scope_id: str | None = None,
        named: frozenset[str] | None = None,
        version_ms: int | None = None,
        created_ms: int | None = None,
        fresh: bool = False,
    ) -> None:
        self.collection = collection
        self.id = record_id
        self.key = Key(collection.name, record_id)
        self.raw = raw
        self.coerced = coerced
        self.deleting = coerced is None
        #: Whether the phone sent every client-owned field, so that nothing stored fills a gap.
        self.complete = coerced is not None and len(coerced.values) == len(collection.client_fields)
        self.raw_ms = raw_ms  #: None: now
        self.scope_id = scope_id  #: as the request names it, for a new record
        self.named, self.version_ms, self.created_ms = named, version_ms, created_ms
        self.fresh = fresh
        self.overtaken: dict[str, Any] = {}
        self.earlier: tuple[Mapping[str, Any], ...] = ()
        self._moments: dict[str, int] = {}
        self._hashes: dict[tuple[str, bool], tuple[str, int]] = {}

    @property
    def has_moments(self) -> bool:
        """Whether some columns were changed at a time of their own."""
        return bool(self._moments)

    def moment(self, column: str) -> int:
        """When the phone changed a column."""
        return self._moments.get(column, self.raw_ms or 0)

    def hash(self, scope_id: str, values: Mapping[str, Any] | None) -> tuple[str, int]:
        """Content hash and size; kept for entries that carry every field themselves."""
        sent = self.coerced.values if self.coerced is not None else None
        if values is not None and not (self.complete and values == sent):
            return record.content_hash(self.id, scope_id, values)
        known = self._hashes.get((scope_id, values is None))
        if known is None:
            known = record.content_hash(self.id, scope_id, values)
            self._hashes[scope_id, values is None] = known
        return known

    def changes_of(self, values: Mapping[str, Any]) -> Mapping[str, Any]:
        """What this edit makes of these values: what it repeats without having changed it is no news."""
        mine = {} if self.coerced is None else self.coerced.values
        named = self.named
        if named is None:
            return mine
        return {name: it for name, it in mine.items() if name in named or name not in values}

    def then(self, later: Entry) -> Entry:
        """This edit and a later one of the same record in one: column by column, as two requests."""
        first, second = self.coerced, later.coerced
        if first is None or second is None:
            raise TypeError("a deletion adds up with nothing")
        changes = later.changes_of(first.values)
        both = Entry(
            self.collection,
            self.id,
            {**self.raw, **later.raw},
            coerced=Coerced(
                {**first.values, **changes},
                {**first.sent, **second.sent},
                first.altered or second.altered,
                tuple(dict.fromkeys((*first.unknown, *second.unknown))),
                tuple(dict.fromkeys((*first.unread, *second.unread))),
            ),
            raw_ms=later.raw_ms,
            scope_id=self.scope_id or later.scope_id,
            named=None if self.named is None or later.named is None else self.named | later.named,
            version_ms=self.version_ms,
            created_ms=self.created_ms if later.created_ms is None else later.created_ms,
            fresh=self.fresh or later.fresh,
        )
        both.earlier = (
            *self.earlier,
            {name: it for name, it in first.values.items() if changes.get(name, it) != it},
        )
        # A whole row repeats what it did not change: such a column keeps the time of its change.
        both._moments = later._moments | {
            name: self.moment(name)
            for name, value in first.values.items()
            if changes.get(name, value) == value
        }
        return both


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that cannot be stored: the record's own fault, never the request's."""

    table: str
    id: str
    field: str | None
    code: str
    message: str
    raw: Any = None


class Ignored(NamedTuple):
    """A part of a request that was left out, since it makes no sense or is not known here."""

    table: str | None
    field: str
    code: str
    message: str


@dataclass(slots=True)
class Push:
    """A phone's changes, free of dialect. `fingerprint` is a hash of the body as it came.

    `echo` names the exchange whose pull need not repeat rows that are exactly as they were sent. It
    must be one in which the phone is sure to hold them: the same request (None: this push and its
    replays), or the pull that follows a push in a protocol that pulls first.
    """

    entries: Sequence[Entry]
    refusals: Sequence[Refusal]
    cursor_ms: int
    fingerprint: str
    #: The phone's clock minus ours, ms; None: the phone did not say.
    clock_offset_ms: int | None = None
    echo: str | None = None
    #: The phone has pulled and merged before it pushes (WatermelonDB): what it has seen it may
    #: overwrite whatever the clocks say, and one record it has not seen refuses the whole push.
    pulled_first: bool = False
    size: int = 0  #: bytes of the body
    ignored: Sequence[Ignored] = ()
    #: Fields of other documents that the same read should bring (`Outcome.also`).
    also: Mapping[Key, Sequence[str]] = field(default_factory=dict)
    #: Writes for the push's own last commit, from what becomes of it, if its first attempt gets through
    #: (`Outcome.added`).
    adds: Callable[[Outcome], Sequence[Write]] | None = None


@dataclass(frozen=True, slots=True)
class Conflict:
    """A value that lost, or was overwritten unseen. Kept in the conflict log; named in the answer."""

    table: str
    id: str
    winner: str  #: "server" | "client"
    reason: str  #: "older" | "equal" | "merged" | "unseen_overwrite" | "deleted"
    yours: Mapping[str, Any]  #: the record as it was sent; or only that it was to be deleted
    theirs: Mapping[str, Any]  #: as it was stored
    columns: Sequence[str]  #: those that the conflict is about; a deletion is about all

    @property
    def lost(self) -> dict[str, Any]:
        """The values that are not there any more."""
        return self.of(self.yours if self.winner == "server" else self.theirs)

    def of(self, side: Mapping[str, Any]) -> dict[str, Any]:
        """Of one side what the conflict is about."""
        return {name: value for name, value in side.items() if name in self.columns} or dict(side)


class Held(NamedTuple):
    """What a phone holds of a record after its push: what it `sent` (columns as they are stored), and
    `kept`, columns that it did not send and that nobody changed up to `version` (0: none is known).
    """

    sent: Entry
    kept: frozenset[str] = frozenset()
    version: int = 0


@dataclass(slots=True)
class Outcome:
    """What became of a push. `show` names rows that the phone must get back and that no listing brings."""

    receipt_id: str
    accepted: dict[str, list[str]] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)
    rejected: list[Refusal] = field(default_factory=list)
    show: dict[Key, None] = field(default_factory=dict)
    #: Columns that the phone holds as they are stored, of records that it sent: they are no news.
    held: dict[Key, Held] = field(default_factory=dict)
    bells: list[Bell] = field(default_factory=list)
    #: What the server now holds of the accepted records that live, by table.
    digest: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    urgent: int = 0  #: refused records that a person must see all the same
    written: int = 0  #: records stored
    attempts: int = 1
    replayed: bool = False  #: answered from the receipt of an earlier attempt
    #: The caller's memberships and what else was asked for, as it was before; None: nothing was read.
    also: Mapping[Key, Document] | None = None
    added: bool = False  #: whether what the push adds (`Push.adds`) is stored with it

    def receipt(self) -> dict[str, Any]:
        """What the phone can keep as a proof of delivery."""
        return {
            "id": self.receipt_id,
            "accepted": sum(len(ids) for ids in self.accepted.values()),
            "conflicts": len(self.conflicts),
            "rejected": len(self.rejected),
            "digest": self.digest,
        }
