"""Events: what other systems hear of. A product declares them; each is stored with what makes it true.

An event that happened is a document of `hook_events`, written with the change itself (`Event.happened`):
there is one exactly if the change is stored. `shared/hooks/fan_out.py` makes a delivery of it for each
endpoint that wants it. It holds ids and times, nothing of the record.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import orjson

from shared.records import record
from shared.records.store import Key, StoredCollection, Write, put

COLLECTION = "hook_events"

STORED = (StoredCollection(COLLECTION, (("due_at",), (record.SCOPE, "at"), ("expires_at",))),)

#: How long an event and its deliveries are kept after it happened, ms: to look into a complaint, and to
#: deliver again what an endpoint has missed.
KEPT_MS = 30 * 86_400_000


@dataclass(frozen=True, slots=True)
class Event:
    """One kind of event. `ids` names what its data holds beside the scope; the first is the record's id.

    `path` is where the API shows more, with an id's name in braces.
    """

    name: str  #: words with full stops between them, the subject first
    doc: str
    table: str  #: of the record that it is about
    ids: tuple[str, ...]
    path: str

    def happened(self, scope_id: str, ids: Mapping[str, str], now_ms: int, *, once: str) -> Write:
        """The write that makes it known; it belongs in the guarded commit of the change.

        `once` tells it from other events of this kind about the same record. Written twice it is delivered
        twice under the same id; nothing in it can refuse the commit.
        """
        record_id = ids[self.ids[0]]
        fields = {
            "type": self.name,
            "table": self.table,
            "record_id": record_id,
            record.SCOPE: scope_id,
            "ids": {name: ids[name] for name in self.ids},
            "path": self.path.format_map(ids),
            "at": now_ms,
            "due_at": now_ms,
            "expires_at": now_ms + KEPT_MS,
        }
        return put(Key(COLLECTION, event_id(self.name, record_id, once)), fields, None)


def event_id(*parts: str) -> str:
    """The id that receivers know an event by; no full stop is in it, so that a signature is exact."""
    text = "\n".join(parts)
    return f"msg_{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def body_of(name: str, have: Mapping[str, Any]) -> bytes:
    """What is sent of an event with this id: the same bytes in every attempt."""
    at = datetime.fromtimestamp(have["at"] / 1000, UTC)
    data = {record.SCOPE: have[record.SCOPE], **have["ids"], "path": have["path"]}
    said = {
        "id": name,
        "type": have["type"],
        "timestamp": at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        "data": data,
    }
    return orjson.dumps(said)
