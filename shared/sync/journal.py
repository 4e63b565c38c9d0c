"""What is kept beside the records: values that lost, and records that were refused.

    conflicts    both sides of each conflict, for people to look at
    quarantine   each refused record as it came; `open` entries wait in the inbox for a person. It ends
                 after `KEPT_MS`, but for what waits and came from a member: that, once it was looked at

The id of an entry is a hash of what makes it itself: written twice, it is there once. Limits are bytes.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import orjson

from shared.access.membership import Caller
from shared.records import record
from shared.records.collection import MAX_RECORD_BYTES, RecordFault
from shared.records.store import MAX_COMMIT_BYTES, Key, Write, put
from shared.sync.dialects.reading import Unreadable
from shared.sync.exchange import Conflict, Refusal

CONFLICTS = "conflicts"
QUARANTINE = "quarantine"

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


def size_of(write: Write) -> int:
    """Bytes that a write takes in a commit, about."""
    return len(orjson.dumps(dict(write.fields))) + WRITE_OVERHEAD


def conflict(item: Conflict, scope_id: str, caller: Caller, now_ms: int) -> list[Write]:
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
