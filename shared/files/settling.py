"""Settling: a file is ready, or will not come; the record it belongs to hears of it in the same commit."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from shared.files.file import Attachment, Settled
from shared.records import record
from shared.records.bell import Bell
from shared.records.store import Document, RecordStore, Write


class News(NamedTuple):
    """Writes of the record and what hangs on it, and what to ring after their commit."""

    writes: tuple[Write, ...] = ()
    bells: tuple[Bell, ...] = ()


def settle(
    store: RecordStore,
    attachment: Attachment,
    subject: Document,
    files: Mapping[str, str],
    now_ms: int,
) -> News:
    """What follows for a record when files of it are ready (key → id) or refused (key → "")."""
    purged = subject.fields.get(record.DELETED) and subject.fields.get(record.KEPT) is None
    if purged:
        return News()
    effects = attachment.settled(Settled(store, subject, files, now_ms))
    own = (record.server_patch(subject, effects.fields),) if effects.fields else ()
    return News((*own, *effects.writes), tuple(effects.bells))
