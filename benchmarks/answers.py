"""How many bytes answer a push of new cases, plain and gzip: on a 2G line an answer should cost its news.

    python -m benchmarks.answers

Cases are as forms fill them: twenty answers, a score, a note of seventy words. Nothing is timed, so the
numbers are the same on every machine, but for ids and times. Beside the usual answer the brief one
(`brief` in the request), and the brief one to a phone that sends the server's columns as it shows them.
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


#: What a phone shows of its new case, before the server has seen it.
SHOWN = {"chw_id": "chw1", "status": "TRIAGED", "scope_id": "team1"}

#: Whether the answer is asked for brief, and whether the phone sends what it shows.
WAYS = {"": (False, False), "brief": (True, False), "brief, columns sent": (True, True)}


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


def answered(count: int, brief: bool = False, shown: bool = False) -> tuple[int, int]:
    """Bytes of the answer to so many new cases, plain and gzip, in a store of its own."""
    with tempfile.TemporaryDirectory() as folder:
        clinic = Clinic(SqliteStore(Path(folder) / "store"))
        clinic.join("chw1")
        at = time.time() - 60
        patient = {"id": "patient-1", "sync_status": "new", "last_modified_at": at}
        phone, cursor = clinic.phone(), 0.0
        for table, rows in (
            ("patients", [patient]),
            ("cases", [case(n, at) | (SHOWN if shown else {}) for n in range(count)]),
        ):
            body = {"last_sync_timestamp": cursor, "device_id": "d", "changes": {table: rows}}
            body |= {"brief": True} if brief else {}
            answer = clinic.answer(body, phone)
            cursor = answer["new_sync_timestamp"]
        clinic.store.close()
    data = orjson.dumps(answer)
    return len(data), len(gzip.compress(data, 5))


def main() -> None:
    """Print the table."""
    for count in SIZES:
        for name, way in WAYS.items():
            plain, packed = answered(count, *way)
            print(f"{count:5} new cases: {plain:8,} bytes, {packed:7,} gzip  {name}")


if __name__ == "__main__":
    main()
