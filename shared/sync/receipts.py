"""Receipts of pushes: what was answered, so that the very same push sent again is answered the same.

Every push writes one, and each expires by the clock. An index on the time alone would grow at one
place, where Firestore takes some 500 writes a second from all teams together; so it begins with a
shard, which spreads receipts evenly.
"""

from __future__ import annotations

import hashlib

from shared.access.membership import Caller
from shared.records.store import (
    Document,
    Key,
    Query,
    RecordStore,
    StoredCollection,
    Write,
    put,
    remove_found,
)
from shared.sync.exchange import Push

COLLECTION = "receipts"

STORED = (StoredCollection(COLLECTION, (("shard", "expires_at"),)),)

#: The first digit of an id, which is a SHA-256 in hexadecimal: sixteen shards, equally likely.
_SHARDS = tuple("0123456789abcdef")

#: Receipts removed at a time.
_MOST_REMOVED = 400


def key(caller: Caller, push: Push) -> Key:
    """Where the receipt of a push is: the same for the same content of the same phone."""
    text = f"{caller.user_id}\n{caller.device}\n{push.cursor_ms}\n{push.fingerprint}"
    return Key(COLLECTION, hashlib.sha256(text.encode()).hexdigest())


def part_of(receipt: Key) -> Key:
    """Where the verdicts of the first commits of a big push are, until its last one."""
    return Key(COLLECTION, f"{receipt.id}~part")


def keep(receipt: Key, verdicts: str, expires_at: int) -> Write:
    """The write of a receipt; `verdicts` is JSON, `expires_at` in server ms."""
    fields = {"verdicts": verdicts, "expires_at": expires_at, "shard": receipt.id[0]}
    return put(receipt, fields, None)


def in_a_shard(document: Document) -> dict[str, str] | None:
    """What a receipt of an earlier release lacks; None: nothing. For `infra.cli migrate`."""
    return None if "shard" in document.fields else {"shard": document.key.id[0]}


def remove_expired(store: RecordStore, now_ms: int) -> int:
    """Remove receipts that are of no more use, some at a time; how many. A round of the sweeper."""
    query = Query(
        COLLECTION,
        where=(("shard", "in", _SHARDS), ("expires_at", "<=", now_ms)),
        order=(("expires_at", "asc"),),
        limit=_MOST_REMOVED,
        fields=("expires_at",),
    )
    return remove_found(store, query)
