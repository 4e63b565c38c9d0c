"""The conflict rule: last write wins by `last_modified_at`, per record; equal times: the stored one.

The cases, in the order in which they are asked (S stored, I incoming, both of client-owned fields):

    1. S is missing                       → NEW
    2. S has I's content                  → SAME: nothing is written, so any replay is harmless
    3. S is a tombstone, I an edit        → GONE: refused, the values are kept in the conflict log
    4. same device, same author           → its own raw clock decides: later NEWER, else OLDER
    5. I is later by corrected time       → NEWER
    6. equal                              → EQUAL: the stored one stays
    7. I is earlier                       → OLDER: the stored one stays

NEWER overwrites a version that its writer had not seen if another device committed it after the
writer's cursor. That is not an error, but the value must not vanish: it goes to the conflict log.
"""

from __future__ import annotations

from enum import Enum

from shared.sync import record
from shared.sync.store import Document


class Verdict(Enum):
    """What happens to an incoming record."""

    NEW = "new"
    SAME = "same"
    NEWER = "newer"
    EQUAL = "equal"
    OLDER = "older"
    GONE = "gone"


def judge(
    stored: Document | None,
    *,
    content_hash: str,
    deleting: bool,
    modified_ms: int,
    raw_ms: int,
    device: str,
    author: str,
) -> Verdict:
    """Apply the rule. `modified_ms` is corrected, `raw_ms` is what the phone's clock said."""
    if stored is None:
        return Verdict.NEW
    have = stored.fields
    if have.get(record.HASH) == content_hash:
        return Verdict.SAME
    if have.get(record.DELETED) is not None and not deleting:
        return Verdict.GONE
    if same_writer(stored, device=device, author=author):
        mine, theirs = raw_ms, have.get(record.RAW_MODIFIED, 0)
    else:
        mine, theirs = modified_ms, have.get(record.MODIFIED, 0)
    if mine == theirs:
        return Verdict.EQUAL
    return Verdict.NEWER if mine > theirs else Verdict.OLDER


def same_writer(stored: Document, *, device: str, author: str) -> bool:
    """Whether the stored version was written by this very device. Unnamed devices are all strangers."""
    have = stored.fields
    return (
        device != record.UNNAMED
        and have.get(record.DEVICE) == device
        and have.get(record.AUTHOR) == author
    )


def unseen(stored: Document, *, device: str, author: str, cursor_ms: int) -> bool:
    """Whether the stored version is another device's, committed after this phone's cursor."""
    if same_writer(stored, device=device, author=author):
        return False
    return record.client_version(stored) > cursor_ms * 1000
