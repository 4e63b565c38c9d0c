"""A first sync of any size: the server's memory stays flat, in both dialects, on both stores."""

from __future__ import annotations

import gc
import hashlib
import tracemalloc
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from shared.access.membership import Caller
from shared.records import record
from shared.records.store import ABSENT, Key, put
from shared.sync.dialects import batch, watermelon
from shared.sync.exchange import Outcome
from shared.sync.pull import Start
from tests.neutral.tables import CATALOG
from tests.sync.clinic import Clinic

CALLER = Caller("member1", "member", "new phone")

#: Rows of the smaller and the larger first sync; each row is about a kilobyte.
FEW, MANY = 1_500, 6_000


def fill(clinic: Clinic, first: int, last: int) -> None:
    """Store notebooks as pushes would have left them."""
    for start in range(first, last, 400):
        writes = []
        for number in range(start, min(start + 400, last)):
            text = orjson.dumps({"n": number, "note": f"{number:04d}" * 200}).decode()
            name = f"p{number:06d}"
            fields: dict[str, Any] = {
                "cover": text,
                "maker_id": "member1",
                record.SCOPE: "team1",
                record.AUTHOR: "member1",
                record.MODIFIED: 1000,
                record.CREATED: 1000,
                record.HASH: hashlib.sha256(name.encode()).hexdigest(),
            }
            writes.append(put(Key("notebooks", name), fields, ABSENT))
        clinic.store.commit(writes)


def by_watermelon(clinic: Clinic) -> int:
    """Rows of a first pull; its pieces are dropped as they come, as a server sends them."""
    asked = watermelon.parse_pull({"last_pulled_at": "null"}, CATALOG)
    pull = clinic.puller.start(CALLER, Start(0, hold=True), clinic.now_ms())
    return sum(piece.count(b'"id"') for piece in watermelon.render_pull(CATALOG, asked, pull))


def by_batch(clinic: Clinic) -> int:
    """Rows of a first sync, page after page of the size that the settings allow."""
    limits = {"rows": 500, "size": 2 * 2**20}
    pull = clinic.puller.start(CALLER, Start(0), clinic.now_ms(), **limits)
    rows = 0
    while True:
        answer = batch.render(CATALOG, Outcome(""), pull, None)
        rows += orjson.dumps(answer).count(b'"id"')
        if not answer["has_more"]:
            return rows
        pull = clinic.puller.resume(CALLER, answer["next_page"], clinic.now_ms(), **limits)


@pytest.mark.proof
@pytest.mark.parametrize("read", [by_watermelon, by_batch])
def test_four_times_the_records_take_no_more_memory(
    clinic: Clinic, read: Callable[[Clinic], int]
) -> None:
    def peak(expected: int) -> int:
        gc.collect()
        tracemalloc.start()
        try:
            assert read(clinic) == expected
            return tracemalloc.get_traced_memory()[1]
        finally:
            tracemalloc.stop()

    fill(clinic, 0, FEW)
    peak(FEW)  # what is made once, is made now
    few = peak(FEW)
    fill(clinic, FEW, MANY)
    many = peak(MANY)
    assert many < few * 1.5 + 500_000, f"{few:,} bytes for {FEW} rows, {many:,} for {MANY}"
