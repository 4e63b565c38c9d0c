"""Receipts of pushes: what was answered, so that the very same push sent again is answered the same.

Every push writes one, and each expires by the clock. An index on the time alone would grow at one
place, where Firestore takes some 500 writes a second from all teams together; so it begins with a
shard, which spreads receipts evenly.
"""

from __future__ import annotations

import hashlib

from shared.accounts.membership import Caller
from shared.sync.exchange import Push
from shared.sync.store import Document, Key, Query, Write, put

COLLECTION = "receipts"

#: The first digit of an id, which is a SHA-256 in hexadecimal: sixteen shards, equally likely.
_SHARDS = tuple("0123456789abcdef")


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
    """What a receipt of an earlier release lacks; None: nothing. For `infra.migrate`."""
    return None if "shard" in document.fields else {"shard": document.key.id[0]}


def expired(now_ms: int, limit: int) -> Query:
    """Receipts that are of no more use."""
    return Query(
        COLLECTION,
        where=(("shard", "in", _SHARDS), ("expires_at", "<=", now_ms)),
        order=(("expires_at", "asc"),),
        limit=limit,
        fields=("expires_at",),
    )
