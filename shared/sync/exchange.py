"""What a push brings and what becomes of it, free of dialect: plain values, no rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.sync import record
from shared.sync.collection import Coerced, Collection
from shared.sync.store import Key


class Entry:
    """One record of a push, checked by its dialect. `raw` is what the phone sent."""

    __slots__ = (
        "_hashes",
        "coerced",
        "collection",
        "complete",
        "deleting",
        "id",
        "key",
        "raw",
        "raw_ms",
        "scope_id",
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
    ) -> None:
        self.collection = collection
        self.id = record_id
        self.key = Key(collection.name, record_id)
        self.raw = raw
        self.coerced = coerced
        self.deleting = coerced is None
        #: Whether the phone sent every client-owned field, so that nothing stored fills a gap.
        self.complete = coerced is not None and len(coerced.values) == len(collection.client_fields)
        self.raw_ms = raw_ms  #: the phone's clock; None: now
        self.scope_id = scope_id  #: as the request names it, for a new record
        self._hashes: dict[tuple[str, bool], tuple[str, int]] = {}

    def hash(self, scope_id: str, values: Mapping[str, Any] | None) -> tuple[str, int]:
        """Content hash and size; kept for entries that carry every field themselves."""
        if values is not None and not self.complete:
            return record.content_hash(self.id, scope_id, values)
        known = self._hashes.get((scope_id, values is None))
        if known is None:
            known = record.content_hash(self.id, scope_id, values)
            self._hashes[scope_id, values is None] = known
        return known


@dataclass(frozen=True, slots=True)
class Refusal:
    """A record that cannot be stored: the record's own fault, never the request's."""

    table: str
    id: str
    field: str | None
    code: str
    message: str
    raw: Any = None


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


@dataclass(frozen=True, slots=True)
class Conflict:
    """A value that lost, or was overwritten unseen. Kept in the conflict log; named in the answer."""

    table: str
    id: str
    winner: str  #: "server" | "client"
    reason: str  #: "older" | "equal" | "unseen_overwrite" | "deleted"
    yours: Mapping[str, Any]
    theirs: Mapping[str, Any]


@dataclass(slots=True)
class Outcome:
    """What became of a push. `show` names rows that the phone must get back and that no listing brings."""

    receipt_id: str
    accepted: dict[str, list[str]] = field(default_factory=dict)
    conflicts: list[Conflict] = field(default_factory=list)
    rejected: list[Refusal] = field(default_factory=list)
    show: dict[Key, None] = field(default_factory=dict)
    bells: list[Any] = field(default_factory=list)
    #: What the server now holds of the accepted records that live, by table.
    digest: Mapping[str, Mapping[str, object]] = field(default_factory=dict)
    urgent: int = 0  #: refused records that a doctor must see all the same
    written: int = 0  #: records stored
    attempts: int = 1
    replayed: bool = False  #: answered from the receipt of an earlier attempt

    def receipt(self) -> dict[str, Any]:
        """What the phone can keep as a proof of delivery."""
        return {
            "id": self.receipt_id,
            "accepted": sum(len(ids) for ids in self.accepted.values()),
            "conflicts": len(self.conflicts),
            "rejected": len(self.rejected),
            "digest": self.digest,
        }
