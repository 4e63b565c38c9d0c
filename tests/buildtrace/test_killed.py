"""Killed anywhere, a comparison ends as one that was not; what is stored is not looked for again.

On both stores: a worker dies before or after any of its commits, its lease runs out, another one goes on.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from infra.local.phone import wall_ms
from shared.adapters.folder import FolderFiles
from shared.files.file import FILES
from shared.files.made import MadeFile, keep
from shared.jobs.job import RetryPolicy
from shared.jobs.runner import Runner
from shared.products.buildtrace.example import house, sheets
from shared.products.buildtrace.product import BUILDTRACE
from shared.products.buildtrace.tables import (
    COMPARISONS,
    OCR,
    PAIRS,
    PENDING,
    READING,
    REVISIONS,
    STAGE_NAMES,
    begin,
    begun,
)
from shared.products.product import Parts
from shared.records.store import Document, Key, Query, RecordStore, Write, put
from shared.settings import Settings
from tests.stores import BOTH, Interrupted, fresh

LEASE_MS = 60_000

#: Commits of a comparison of two sheets each: claims and finishes of two readings, of the gathering, of the
#: matching, of a pair, of the end of `diff`, of `summary`.
COMMITS = 16


class Killed(BaseException):
    """The worker is gone."""


class Works:
    """A project's comparison on a store, and workers that die."""

    def __init__(self, store: RecordStore, folder: Path) -> None:
        self.inner, self.now = store, wall_ms()
        self.files = FolderFiles(folder / "files", b"s" * 32, lambda: self.now)
        self.commits, self.fatal, self.after = 0, -1, False
        self.store = Interrupted(store, before=self._before, after=self._after)
        scope = "house"
        for name, plans in (("v1", house("C1")[:2]), ("v2", house("C2")[:2])):
            made = MadeFile(
                REVISIONS, name, "set.pdf", "set.pdf", "application/pdf", sheets(plans), {}
            )
            kept = keep(self.files, scope, made)
            held = {"scope_id": scope, "drawing_id": "w1", "state": READING, "_file": made.id}
            revision = put(Key(REVISIONS, name), {**held, "label": name}, None)
            store.commit([revision, *kept.writes(store, self.now)])
        sides = {"drawing_id": "w1", "old_revision_id": "v1", "new_revision_id": "v2"}
        row = {"scope_id": scope, **sides, **begun("k1", OCR)}
        store.commit([put(Key(COMPARISONS, "k1"), row, None), *begin("k1", scope, self.now)])

    def _count(self, *, after: bool) -> None:
        if self.commits == self.fatal and self.after == after:
            self.fatal = -1
            raise Killed

    def _before(self, _writes: Sequence[Write]) -> None:
        self.commits += 1
        self._count(after=False)

    def _after(self, _writes: Sequence[Write]) -> None:
        self._count(after=True)

    def work(self) -> None:
        """One worker, until nothing is due or it dies."""

        def nothing(*_: object) -> Any:
            raise AssertionError("it is not asked for")

        given: dict[str, Any] = {each.name: nothing for each in fields(Parts)}
        given |= {"settings": Settings(), "clock_ms": lambda: self.now, "ring": _silent}
        parts = Parts(**{**given, "store": lambda: self.store, "files": lambda: self.files})
        runner = Runner(
            self.store,
            BUILDTRACE.tasks(parts),
            policy=RetryPolicy(),
            lease_ms=LEASE_MS,
            clock=lambda: self.now,
        )
        while due := [job for kind in STAGE_NAMES for job in runner.due(kind)]:
            runner.run(due[0].id)

    def of(self, table: str, name: str) -> Document:
        key = Key(table, name)
        return self.inner.read([key]).documents[key]

    def found(self) -> tuple[Any, ...]:
        """What came out: the result, outcomes, overlays."""
        pairs = sorted(self.inner.query(Query(PAIRS)), key=lambda each: each.fields["place"])
        overlays = [
            self.of(FILES, str(each.fields["overlay_url"]).rpartition("/")[2]).fields["sha256"]
            for each in pairs
        ]
        return self.of(COMPARISONS, "k1").fields["result"], overlays

    def finished(self) -> dict[str, int]:
        """Pairs that are done, with the version at which they were."""
        pairs = self.inner.query(Query(PAIRS))
        return {each.key.id: each.version for each in pairs if each.fields["outcome"] != PENDING}


def _silent(_bells: object) -> None:
    """Nobody hears the bells: the sweeper's turn."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Any, ...]:
    folder = tmp_path_factory.mktemp("undisturbed")
    from shared.adapters.sqlite import SqliteStore

    works = Works(SqliteStore(folder / "records.db"), folder)
    works.work()
    assert works.commits == COMMITS
    return works.found()


def _kill(kind: str, point: int, *, after: bool) -> Any:
    """The kill of `make test`: as a pair was compared. The others are proof, on the emulator soak."""
    more = (pytest.mark.proof,) if kind == "sqlite" else (pytest.mark.soak,)
    return pytest.param(kind, point, after, marks=() if (point, after) == (10, False) else more)


@pytest.mark.parametrize(
    ("kind", "point", "after"),
    [
        _kill(kind, point, after=after)
        for kind in BOTH
        for point in range(1, COMMITS + 1)
        for after in (False, True)
    ],
)
def test_a_worker_that_dies_costs_one_go(
    kind: str,
    point: int,
    after: bool,
    tmp_path: Path,
    request: pytest.FixtureRequest,
    undisturbed: tuple[Any, ...],
) -> None:
    # given a worker that dies at one of its commits
    works = Works(fresh(kind, request, tmp_path), tmp_path)
    works.fatal, works.after = point, after
    with pytest.raises(Killed):
        works.work()
    done = works.finished()
    # when its lease has run out, and another one goes on
    works.now += LEASE_MS + 1
    works.work()
    # then all is as it would have been, and what was done then was not done again
    assert works.found() == undisturbed
    assert done.items() <= works.finished().items()
