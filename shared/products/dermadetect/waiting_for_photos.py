"""A red case waits for the photos that it names, half an hour at most; then it is read with what is there.

A photo is settled when it is ready or refused. The last one to settle makes the job due at once
(`shared/products/dermadetect/photos.py`); one that comes after the wait makes the case be read once more. A
case that names no photo waits for nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shared.files.file import plain_key
from shared.jobs import job as jobs

#: How long the analysis of a red case waits for its photos, unless settings say otherwise, ms.
PHOTOS_WAIT_MS = 30 * 60_000


def still_awaited(keys: Sequence[str], photos: Mapping[str, str]) -> bool:
    """Whether a photo that the case names may still come; `photos` are those that are settled."""
    settled = set(map(plain_key, photos))
    return any(plain_key(key) not in settled for key in keys)


def begins(
    keys: Sequence[str], photos: Mapping[str, str], now_ms: int, wait_ms: int
) -> tuple[str, int]:
    """In which state the job of a red case is made, and when it is due, ms."""
    if still_awaited(keys, photos):
        return jobs.AWAITING_FILES, now_ms + wait_ms
    return jobs.QUEUED, now_ms
