"""All cases through the path, some at a time; what is done can be kept in a file and is not asked again.

The file has one line of JSON a case: a key and the reading. The key is a hash of all that an answer
depends on (case, photos, labels, prompt, model, parameters, rules): a run with another of them asks
anew. So is asked what failed in a passing way (busy, resting). A line that a crash cut is asked again.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from benchmarks.triage.cases import BadInput, Case
from benchmarks.triage.measures import Pair
from benchmarks.triage.reading import Reading


class Ledger:
    """Readings by key, in a file when there is one. Safe to write from several threads."""

    def __init__(self, path: Path | None, conditions: Mapping[str, Any]) -> None:
        """`conditions` is what the answers depend on besides the case. Raises `BadInput`."""
        self._path, self._lock = path, threading.Lock()
        self._conditions = json.dumps(conditions, sort_keys=True)
        self._known: dict[str, Reading] = {}
        if path is None:
            return
        try:
            with path.open("ab+") as file:
                file.seek(0)
                text = file.read()
                if text and not text.endswith(b"\n"):
                    file.write(b"\n")  # a crash cut the last line; ours must not join it
        except OSError:
            raise BadInput([f"{path}: cannot be written"]) from None
        self._known = dict(_lines(text))

    def known(self, case: Case) -> Reading | None:
        """The reading of a case, unless asking again can give a better one."""
        reading = self._known.get(self._key(case))
        return None if reading is None or reading.again else reading

    def add(self, case: Case, reading: Reading) -> None:
        """Keep a reading; it is on its way to the disk when this returns."""
        line = json.dumps({"key": self._key(case), **reading.line()}, sort_keys=True)
        with self._lock:
            if self._path is not None:
                with self._path.open("a", encoding="utf-8") as file:
                    file.write(line + "\n")

    def _key(self, case: Case) -> str:
        return hashlib.sha256(f"{case.id}\n{case.sha256}\n{self._conditions}".encode()).hexdigest()


def _lines(text: bytes) -> Iterator[tuple[str, Reading]]:
    """Keys and readings; of one key the last counts. What is not of this form is left alone."""
    for line in text.splitlines():
        try:
            found = json.loads(line)
            key = found.pop("key")
            yield str(key), Reading.of(found)
        except (ValueError, TypeError, KeyError, AttributeError):
            continue


def run(
    cases: Sequence[Case],
    read: Callable[[Case], Reading],
    ledger: Ledger,
    concurrency: int = 1,
    told: Callable[[int, int], None] = lambda _done, _all: None,
) -> list[Pair]:
    """Every case with its reading, in the order of `cases`; `told` hears how many are done.

    An exception of `read` ends the run after the questions that are under way; what was read before
    is in the ledger.
    """
    found = {case.id: known for case in cases if (known := ledger.known(case))}
    left = [case for case in cases if case.id not in found]

    def one(case: Case) -> Reading:
        reading = read(case)
        ledger.add(case, reading)
        return reading

    with _workers(concurrency) as pool:
        asked = {pool.submit(one, case): case for case in left}
        for each in as_completed(asked):
            found[asked[each].id] = each.result()
            told(len(found), len(cases))
    return [(case, found[case.id]) for case in cases]


@contextmanager
def _workers(concurrency: int) -> Iterator[ThreadPoolExecutor]:
    pool = ThreadPoolExecutor(concurrency)
    try:
        yield pool
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def cases_sha256(cases: Iterable[Case]) -> str:
    """One hash of all cases, labels and photos included, so that reports can be compared."""
    text = "\n".join(f"{case.id} {case.sha256}" for case in sorted(cases, key=lambda each: each.id))
    return hashlib.sha256(text.encode()).hexdigest()
