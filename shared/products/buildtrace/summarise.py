"""The stage `summary`: what changed, in sentences that name the changes."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import orjson

from shared.ai.conversation import Terms
from shared.files.store import FileStore
from shared.jobs.job import Job
from shared.jobs.runner import Finish
from shared.products.buildtrace import processing
from shared.products.buildtrace.stages import DrawingStage
from shared.products.buildtrace.tables import (
    CHANGES,
    DONE,
    PAIRS,
    SUMMARIES,
    SUMMARY,
    made_id,
)
from shared.products.buildtrace.told import summary
from shared.records import record
from shared.records.bell import Bell
from shared.records.killpoints import reach
from shared.records.store import (
    Document,
    Key,
    RecordStore,
    Write,
    put,
)


class SummaryStage(DrawingStage):
    """The task of kind `summary`. `terms`: how the model is asked; None: there is none."""

    name = SUMMARY

    def __init__(
        self,
        store: RecordStore,
        files: Callable[[], FileStore],
        ring: Callable[[Sequence[Bell]], None],
        terms: Callable[[], Terms] | None,
    ) -> None:
        super().__init__(store, files, ring)
        self._terms = terms

    def work(self, job: Job) -> Finish:
        """Say what changed: a model that does not answer is not waited for."""
        comparison = self._running(job)
        if comparison is None:
            return lambda _now: None
        pairs, changes = self._found(comparison)
        told = summary(pairs, changes, self._terms)
        reach("summary.told")
        return lambda now_ms: self._kept(job, pairs, changes, told, now_ms)

    def _found(self, comparison: Document) -> tuple[list[dict[str, Any]], list[dict[str, Any]]]:
        name = comparison.key.id
        pairs = [
            {**each.fields, "id": each.key.id} for each in self.rows(PAIRS, "comparison_id", name)
        ]
        order = {each["id"]: each["place"] for each in pairs}
        changes = [
            {**each.fields, "id": each.key.id} for each in self.rows(CHANGES, "comparison_id", name)
        ]
        changes.sort(key=lambda each: (order.get(each["pair_id"], 0), each["place"]))
        return pairs, changes

    def _kept(
        self,
        job: Job,
        pairs: Sequence[Mapping[str, Any]],
        changes: Sequence[Mapping[str, Any]],
        told: Sequence[Mapping[str, Any]],
        now_ms: int,
    ) -> Sequence[Write] | None:
        comparison = self._running(job)
        if comparison is None:
            return None
        name, scope_id = comparison.key.id, str(comparison.fields[record.SCOPE])
        base = {record.SCOPE: scope_id, record.CREATED: now_ms, record.MODIFIED: now_ms}
        writes: list[Write] = []
        for place, each in enumerate(told, 1):
            at = Key(SUMMARIES, made_id(name, each["about"], each.get("subject")))
            columns = {"comparison_id": name, "place": place, **each}
            writes.append(put(at, {**columns, **base}, None))
        _, row = self._moved(comparison, now_ms, len(told), len(told), state=DONE, ended_at=now_ms)
        over = {
            "state": DONE,
            "ended_at": now_ms,
            "result": result_of(pairs, changes),
            record.MODIFIED: now_ms,
        }
        return [*writes, row, record.server_patch(comparison, over)]


def result_of(pairs: Sequence[Mapping[str, Any]], changes: Sequence[Mapping[str, Any]]) -> str:
    """The SHA-256 of what was found: of two projects with equal files it is the same."""
    place = {each["id"]: each["place"] for each in pairs}
    told = [
        [
            {name: each.get(name) for name in (*processing.PAIR_COLUMNS, "outcome", "number")}
            for each in pairs
        ],
        [
            {
                "pair": place.get(each["pair_id"]),
                **{name: each.get(name) for name in processing.CHANGE_COLUMNS},
            }
            for each in changes
        ],
    ]
    return hashlib.sha256(orjson.dumps(told, option=orjson.OPT_SORT_KEYS)).hexdigest()
