"""The Firestore emulator for benchmarks: one for all parts of a run, emptied between repetitions.

The emulator is not Firestore. Its queries look at every document of a collection, and our adapter takes
a lock with each commit and reading that Firestore does not need (`shared/adapters/firestore.py`).
Ratios to the bare client tell something, milliseconds do not.
"""

from __future__ import annotations

import http.client
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from infra.local.emulators import FIRESTORE, EmulatorMissing, start

#: The project of benchmarks; the emulator makes any project on first use.
PROJECT = "demo-benchmark"


class Absent(Exception):
    """A part that is not installed; the message says how it would be."""


@contextmanager
def firestore() -> Iterator[str]:
    """A Firestore emulator for the length of the block: its "127.0.0.1:port". Raises `Absent`."""
    try:
        emulator = start(FIRESTORE)
    except EmulatorMissing as error:
        raise Absent(f"Firestore emulator: {error}") from error
    try:
        yield emulator.address
    finally:
        emulator.stop()


def clear(address: str, project: str = PROJECT) -> None:
    """Remove every document."""
    connection = http.client.HTTPConnection(address, timeout=60)
    try:
        connection.request(
            "DELETE", f"/emulator/v1/projects/{project}/databases/(default)/documents"
        )
        answer = connection.getresponse()
        answer.read()
        if answer.status != 200:
            raise RuntimeError(f"the emulator was not emptied: {answer.status}")
    finally:
        connection.close()


def bare_client(project: str = PROJECT) -> Any:
    """Google's own client, as an application would make it; FIRESTORE_EMULATOR_HOST must be set."""
    from google.cloud import firestore as library

    return library.Client(project=project)
