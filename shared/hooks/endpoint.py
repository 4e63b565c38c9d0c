"""Endpoints: where a scope's events are sent. One document a scope holds all of its endpoints.

So their number is bounded by one commit, a fan-out costs one read, and what ends with the scope is one
document.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from shared.hooks.signature import secret_of
from shared.records import record
from shared.records.store import ABSENT, Document, Key, StoredCollection, Write, put

COLLECTION = "hooks"

STORED = (StoredCollection(COLLECTION),)

#: Endpoints of one scope: what an event fans out to at most.
MOST = 10

#: How long the secret before the last rotation signs along, ms.
BOTH_MS = 24 * 3_600_000

#: Why an endpoint is sent nothing.
GONE, FAILING, SWITCHED_OFF = "gone", "failing", "switched_off"


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One endpoint as it is stored. Times in server ms."""

    id: str
    url: str
    events: tuple[str, ...]
    created_at: int
    created_by: str
    generation: int = 0  #: how often its secret was rotated
    rotated_at: int = 0
    failing_since: int | None = None  #: of the first failure after the last success
    disabled_at: int | None = None
    disabled_for: str | None = None  #: GONE, FAILING or SWITCHED_OFF

    def wants(self, event: str) -> bool:
        """Whether it is sent events of this name."""
        return self.disabled_at is None and event in self.events

    def secrets(self, deployment: bytes, now_ms: int) -> list[str]:
        """The secrets that are good now, the newest first."""
        oldest = self.generation - (self.previous_until(now_ms) is not None)
        return [secret_of(deployment, self.id, g) for g in range(self.generation, oldest - 1, -1)]

    def previous_until(self, now_ms: int) -> int | None:
        """When the secret before the last rotation ends, ms; None if it has."""
        ends = self.rotated_at + BOTH_MS
        return ends if self.generation and now_ms < ends else None


def key(scope_id: str) -> Key:
    """Where the endpoints of a scope are."""
    return Key(COLLECTION, scope_id)


def endpoints(document: Document | None) -> dict[str, Endpoint]:
    """The endpoints of a scope by their id, the oldest first."""
    stored: Mapping[str, Mapping[str, Any]] = document.fields["endpoints"] if document else {}
    read = [
        Endpoint(**{**have, "id": name, "events": tuple(have["events"])})
        for name, have in stored.items()
    ]
    return {each.id: each for each in sorted(read, key=lambda each: (each.created_at, each.id))}


def stored(scope_id: str, kept: Iterable[Endpoint], document: Document | None) -> Write:
    """The write of a scope's endpoints, guarded by what was read."""
    fields = {
        each.id: {
            name: list(value) if isinstance(value, tuple) else value
            for name, value in asdict(each).items()
            if value is not None and name != "id"
        }
        for each in kept
    }
    expect = ABSENT if document is None else document.version
    return put(key(scope_id), {record.SCOPE: scope_id, "endpoints": fields}, expect)
