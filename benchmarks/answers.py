"""How many bytes answer a push of new cases, plain and gzip: on a 2G line an answer should cost its news.

    python -m benchmarks.answers

Cases are as forms fill them: twenty answers, a score, a note of seventy words. Nothing is timed, so the
numbers are the same on every machine, but for ids and times.
"""

from __future__ import annotations

import gzip
import tempfile
import time
from pathlib import Path
from typing import Any

import orjson

from shared.adapters.sqlite import SqliteStore
from tests.ai.workplace import Clinic

SIZES = (1, 10, 100, 500)


def case(number: int, at: float) -> dict[str, Any]:
    """A green case of about 1.2 kB."""
    answers: dict[str, Any] = {
        f"question_{each}": ("yes", "no", "unsure")[(number * each) % 3] for each in range(20)
    }
    answers |= {"score": 0.123456789 + number / 7}
    answers |= {"note": " ".join(f"word{(number * each) % 97}" for each in range(70))}
    return {
        "id": f"case-{number:032d}",
        "patient_id": "patient-1",
        "sync_status": "new",
        "last_modified_at": at,
        "risk_level": "green",
        "image_keys": [f"photo-{number}-1.jpg"],
        "triage_data": answers,
    }


def answered(count: int) -> tuple[int, int]:
    """Bytes of the answer to so many new cases, plain and gzip, in a store of its own."""
    with tempfile.TemporaryDirectory() as folder:
        clinic = Clinic(SqliteStore(Path(folder) / "store"))
        clinic.join("chw1")
        at = time.time() - 60
        patient = {"id": "patient-1", "sync_status": "new", "last_modified_at": at}
        phone, cursor = clinic.phone(), 0.0
        for table, rows in (
            ("patients", [patient]),
            ("cases", [case(number, at) for number in range(count)]),
        ):
            body = {"last_sync_timestamp": cursor, "device_id": "d", "changes": {table: rows}}
            answer = clinic.answer(body, phone)
            cursor = answer["new_sync_timestamp"]
        clinic.store.close()
    data = orjson.dumps(answer)
    return len(data), len(gzip.compress(data, 5))


def main() -> None:
    """Print the table."""
    for count in SIZES:
        plain, packed = answered(count)
        print(f"{count:5} new cases: {plain:8,} bytes, {packed:7,} gzip")


if __name__ == "__main__":
    main()
