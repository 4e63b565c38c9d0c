"""The stage `diff`: which sheets belong together, then a pair in each go."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import orjson

from shared.errors import FileRefused
from shared.files.file import original_name
from shared.files.made import Kept, MadeFile, beside, keep
from shared.jobs.job import Job
from shared.jobs.runner import Again, Finish
from shared.products.buildtrace import processing
from shared.products.buildtrace.processing import PairFound
from shared.products.buildtrace.stages import CONTENT, FACTS, DrawingStage
from shared.products.buildtrace.tables import (
    CHANGES,
    DIFF,
    PAIRS,
    PENDING,
    REVISIONS,
    SHEETS,
    SUMMARY,
    UNREADABLE,
    made_id,
)
from shared.records import record
from shared.records.killpoints import reach
from shared.records.store import (
    Document,
    Key,
    Query,
    Write,
    put,
)

#: Changes of one pair: what the commit that stores them can hold.
MOST_CHANGES = 400


class DiffStage(DrawingStage):
    """The task of kind `diff`."""

    name = DIFF
    longest_seconds = 180.0

    def work(self, job: Job) -> Finish:
        """Match the sheets, or compare the next pair. Raises `FilesUnavailable`."""
        comparison = self._running(job)
        if comparison is None:
            return lambda _now: None
        pairs = self.rows(PAIRS, "comparison_id", comparison.key.id)
        if not pairs:
            return lambda now_ms: self._matched(job, now_ms)
        pending = [each for each in pairs if each.fields["outcome"] == PENDING]
        if not pending:
            return lambda now_ms: self._over(job, now_ms)
        pair = pending[0]
        found, copied = self._known(pair), True
        if found is None:
            found, copied = self._compared(comparison, pair), False
        kept = self._overlay(pair, found, copied=copied)
        reach("diff.compared")
        return lambda now_ms: self._kept(job, pair.key, found, kept, now_ms)

    def _sheets(self, comparison: Document, side: str) -> list[Document]:
        return self.rows(SHEETS, "revision_id", str(comparison.fields[f"{side}_revision_id"]))

    def _matched(self, job: Job, now_ms: int) -> Sequence[Write] | Again | None:
        """Which sheets belong together."""
        comparison = self._running(job)
        if comparison is None:
            return None
        old, new = (self._sheets(comparison, side) for side in ("old", "new"))
        keys = [Key(FACTS, each.key.id) for each in (*old, *new)]
        texts = self.store.read(keys).documents
        facts = {key.id: str(found.fields["facts"]) for key, found in texts.items()}
        found = processing.matched(
            [(each.key.id, each.fields, facts.get(each.key.id, "{}")) for each in old],
            [(each.key.id, each.fields, facts.get(each.key.id, "{}")) for each in new],
        )
        contents = {each.key.id: str(each.fields[CONTENT]) for each in (*old, *new)}
        name, scope_id = comparison.key.id, str(comparison.fields[record.SCOPE])
        writes: list[Write] = []
        for place, pair in enumerate(found, 1):
            columns = {
                "comparison_id": name,
                "place": place,
                **pair,
                CONTENT: made_id(
                    *(
                        contents.get(str(pair.get(f"{side}_sheet_id")), "")
                        for side in ("old", "new")
                    ),
                    processing.COMPARER,
                ),
                record.SCOPE: scope_id,
                record.CREATED: now_ms,
                record.MODIFIED: now_ms,
            }
            at = Key(PAIRS, made_id(name, pair.get("old_sheet_id"), pair.get("new_sheet_id")))
            writes.append(put(at, columns, None))
        ready = sum(pair["outcome"] != PENDING for pair in found)
        return self._again(
            job, now_ms, [*writes, *self._moved(comparison, now_ms, ready, len(found))]
        )

    def _compared(self, comparison: Document, pair: Document) -> PairFound:
        sides = []
        for side in ("old", "new"):
            at = [
                Key(SHEETS, str(pair.fields[f"{side}_sheet_id"])),
                Key(REVISIONS, str(comparison.fields[f"{side}_revision_id"])),
            ]
            read = self.store.read(at).documents
            if any(key not in read for key in at):
                words = "A sheet is not there any more. Compare again."
                return PairFound(
                    UNREADABLE, {"fault": "sheet_gone", "message": words}, (), None, {}
                )
            try:
                data, type_, _ = self.source(read[at[1]])
            except FileRefused as fault:
                return PairFound(
                    UNREADABLE, {"fault": fault.code, "message": fault.message}, (), None, {}
                )
            sides.append((data, type_, int(read[at[0]].fields["place"]) - 1))
        return processing.compared(sides[0], sides[1])

    def _known(self, pair: Document) -> PairFound | None:
        """What the same two sheets gave before, in this project."""
        query = Query(PAIRS, where=((CONTENT, "==", pair.fields[CONTENT]),), limit=10)
        for each in self.store.query(query):
            have = each.fields
            if have["outcome"] in (PENDING, UNREADABLE) or have.get(record.DELETED) is not None:
                continue
            rows = self.rows(CHANGES, "pair_id", each.key.id)
            changes = tuple(
                {name: row.fields.get(name) for name in processing.CHANGE_COLUMNS} for row in rows
            )
            columns = {name: have.get(name) for name in processing.PAIR_COLUMNS}
            overlay, tiles = self._overlay_of(have)
            if have.get("overlay_url") and overlay is None:
                continue
            return PairFound(str(have["outcome"]), columns, changes, overlay, tiles)
        return None

    def _overlay_of(self, have: Mapping[str, Any]) -> tuple[bytes | None, dict[str, bytes]]:
        """The overlay of a pair as it is kept; its pictures are beside it already."""
        url = have.get("overlay_url")
        found = beside(self.store, str(url).rpartition("/")[2]) if url else None
        if found is None:
            return None, {}
        return b"".join(self.files().read(original_name(found[1]))), {}

    def _overlay(self, pair: Document, found: PairFound, *, copied: bool) -> Kept | None:
        if found.overlay is None:
            return None
        number = str(pair.fields.get("number") or pair.fields["place"])
        safe = "".join(sign if sign.isalnum() or sign in "-_." else "_" for sign in number)
        made = MadeFile(
            PAIRS,
            pair.key.id,
            "overlay",
            f"overlay-{safe[:60]}.pdf",
            "application/pdf",
            found.overlay,
            {} if copied else found.pictures,
        )
        return keep(self.files(), str(pair.fields[record.SCOPE]), made)

    def _kept(
        self, job: Job, key: Key, found: PairFound, kept: Kept | None, now_ms: int
    ) -> Sequence[Write] | Again | None:
        comparison = self._running(job)
        pair = self.store.read([key]).documents.get(key)
        if comparison is None or pair is None:
            return None
        if pair.fields["outcome"] != PENDING:
            return self._again(job, now_ms)
        scope_id = str(comparison.fields[record.SCOPE])
        base = {record.SCOPE: scope_id, record.CREATED: now_ms, record.MODIFIED: now_ms}
        writes: list[Write] = []
        for place, change in enumerate(found.changes[:MOST_CHANGES], 1):
            columns = {"pair_id": key.id, "comparison_id": comparison.key.id, "place": place}
            at = Key(
                CHANGES, made_id(key.id, place, orjson.dumps(change, option=orjson.OPT_SORT_KEYS))
            )
            writes.append(put(at, {**columns, **change, **base}, None))
        columns = {**found.columns, "outcome": found.outcome, record.MODIFIED: now_ms}
        columns["counts"] = dict(Counter(str(each["kind"]) for each in found.changes)) or None
        if len(found.changes) > MOST_CHANGES:
            columns |= {
                "fault": "many_changes",
                "message": f"{len(found.changes)} changes; the first {MOST_CHANGES} are listed. "
                "The overlay shows all.",
            }
        if kept is not None:
            columns["overlay_url"] = f"/api/v1/files/{kept.made.id}"
            writes += kept.writes(self.store, now_ms)
        writes.append(record.server_patch(pair, columns))
        pairs = self.rows(PAIRS, "comparison_id", comparison.key.id)
        done = 1 + sum(each.fields["outcome"] != PENDING for each in pairs)
        return self._again(
            job, now_ms, [*writes, *self._moved(comparison, now_ms, done, len(pairs))]
        )

    def _over(self, job: Job, now_ms: int) -> Sequence[Write] | None:
        comparison = self._running(job)
        if comparison is None:
            return None
        pairs = self.rows(PAIRS, "comparison_id", comparison.key.id)
        counts: Counter[str] = Counter()
        for each in pairs:
            counts.update(each.fields.get("counts") or {})
        outcomes = Counter(str(each.fields["outcome"]) for each in pairs)
        return self._passed(
            job,
            comparison,
            now_ms,
            len(pairs),
            SUMMARY,
            (),
            sheets=dict(outcomes),
            counts=dict(counts) or None,
        )
