"""Back ends to be measured: functions started as deployed, on emulators or on SQLite."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

import yaml

from infra.local import emulators
from infra.local.table import TABLE

#: Where the emulators are said to be.
FIRESTORE, PUBSUB = "FIRESTORE_EMULATOR_HOST", "PUBSUB_EMULATOR_HOST"

#: Settings of a stack whose functions are processes of their own, as deployed, but on SQLite.
ON_SQLITE = {"RECORD_STORE": "sqlite", "JOB_QUEUE": "sqlite"}


@contextmanager
def emulated() -> Iterator[None]:
    """Both emulators run, and this process and its children know where. Raises `EmulatorMissing`."""
    before = dict(os.environ)
    with ExitStack() as stack:
        for kind, variable in (
            (emulators.FIRESTORE, FIRESTORE),
            (emulators.PUBSUB, PUBSUB),
        ):
            if not os.environ.get(variable):
                emulator = emulators.start(kind)
                stack.callback(emulator.stop)
                os.environ[variable] = emulator.address
        try:
            yield
        finally:
            os.environ.clear()
            os.environ.update(before)


def table(folder: Path, *names: str, concurrency: Mapping[str, int] | None = None) -> Path:
    """A table of only these functions, some with another concurrency, written to `folder`."""
    rows = yaml.safe_load(TABLE.read_text("utf-8"))
    rows = {name: rows[name] for name in names}
    for name, wanted in (concurrency or {}).items():
        rows[name]["concurrency"] = wanted
    path = folder / "functions.yaml"
    path.write_text(yaml.safe_dump(rows))
    return path
