"""Changes stored documents to a new form while everything runs: what `migrate` runs.

A migration is a function from a document to a patch, for one collection. The engine's are registered in
`MIGRATIONS`, those of a product in `Product.migrations`. It must give the same patch for the same document,
and none for one that is in the new form.

What is promised:

- One batch is one commit: its patches, each guarded by the version that was read, and the cursor.
  Killed anywhere, the next run goes on behind the last batch; nothing is done twice or left out.
- Writers go on. A document that somebody writes meanwhile is read again; a batch that stays contended
  is done in smaller ones.
- What was made behind the cursor's back is found: passes are repeated until one finds nothing to
  change. So release first the code that reads both forms and writes the new one, then migrate.
- Records of phones are stamped, and go to every phone again, the last writer's too; what their phones
  wrote last stays known, and the content hash is made anew.
- Two runs side by side do no harm: the cursor is guarded, one of them stops.

A dry run writes nothing and prints ids, never content. There is no way back but another migration,
or a restore (infra/runbooks/restore.md): try it in dev.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import CommitTooBig, Contended, Fault
from shared.records import record
from shared.records.collection import Catalog, Collection
from shared.records.migration import Migration
from shared.records.store import (
    ABSENT,
    Document,
    Key,
    Query,
    RecordStore,
    StoredCollection,
    Write,
    patch,
    put,
)
from shared.sync import receipts

#: Where the cursors are, a document a migration.
COLLECTION = "migrations"

STORED = (StoredCollection(COLLECTION),)

#: Documents of one batch. Each commit also waits for phones that write the same documents.
BATCH = 100

#: Most documents of a batch: the cursor is one more write of its commit.
MOST_BATCH = 400

#: Passes before a migration gives up: it would go on for ever if its patches never settle.
MOST_PASSES = 20

#: How often one document is tried while somebody else writes it.
_TRIES = 8

#: Fields that say what a record is and where; another tool moves and deletes.
_FIXED = {record.SCOPE, record.AUTHOR, record.DELETED, record.HASH, record.ECHO, record.EDITED}


def restamp(collection: str) -> Migration:
    """Writes every document as it is, so that it goes to all its phones again."""
    doc = f"every record of {collection} goes to its phones again"
    return Migration(f"restamp-{collection}", doc, collection, lambda _: {}, repeat=False)


#: The engine's migrations of this release, the newest last. One that has run everywhere is taken out.
MIGRATIONS: tuple[Migration, ...] = (
    Migration(
        "shard-receipts",
        "receipts of pushes get the shard by which they are found when they expire",
        receipts.COLLECTION,
        receipts.in_a_shard,
    ),
)


def known(catalog: Catalog, of_product: Sequence[Migration] = ()) -> dict[str, Migration]:
    """Everything that can be run, by name."""
    stamps = tuple(restamp(collection.name) for collection in catalog.collections)
    return {each.name: each for each in (*MIGRATIONS, *of_product, *stamps)}


@dataclass(frozen=True, slots=True)
class MigrationProgress:
    """How far a migration has come; stored, so that any machine can go on."""

    behind: str = ""  #: id of the last document that was looked at in this pass
    passes: int = 0  #: passes that have ended
    seen: int = 0  #: documents looked at, over all passes
    changed: int = 0  #: documents changed, over all passes
    changed_here: int = 0  #: documents changed in this pass
    done: bool = False
    version: int = ABSENT  #: of the stored document

    def fields(self) -> dict[str, Any]:
        """As it is stored."""
        return {
            "behind": self.behind,
            "passes": self.passes,
            "seen": self.seen,
            "changed": self.changed,
            "changed_here": self.changed_here,
            "done": self.done,
        }


class Migrator:
    """Runs one migration on a store. `pause_seconds` between batches leaves room for phones."""

    def __init__(
        self,
        store: RecordStore,
        catalog: Catalog,
        migration: Migration,
        *,
        batch: int = BATCH,
        pause_seconds: float = 0.0,
    ) -> None:
        if not 1 <= batch <= MOST_BATCH:
            raise ValueError(f"a batch has 1 to {MOST_BATCH} documents")
        self._store, self._migration = store, migration
        self._collection = {each.name: each for each in catalog.collections}.get(
            migration.collection
        )
        self._batch, self._pause_seconds = batch, pause_seconds
        self.key = Key(COLLECTION, migration.name)

    def progress(self) -> MigrationProgress:
        """How far it has come."""
        found = self._store.read([self.key]).documents.get(self.key)
        if found is None:
            return MigrationProgress()
        have = {name: found.fields[name] for name in MigrationProgress().fields()}
        return MigrationProgress(**have, version=found.version)

    def would_change(self) -> list[str]:
        """Ids of all documents that a run would change now. Writes nothing."""
        found, behind = [], ""
        while batch := self._listing(behind, self._batch):
            found += [each.key.id for each in batch if self._write(each) is not None]
            behind = batch[-1].key.id
        return found

    def run(
        self, report: Callable[[MigrationProgress], None] = lambda _: None
    ) -> MigrationProgress:
        """Run to the end, from wherever the last run stopped. A migration that is done begins anew.

        Raises `Contended` if another run of it is at work, `StoreUnavailable`; run it again.
        """
        at = self.progress()
        if at.done:
            at = self._keep(at, [], MigrationProgress(version=at.version))
        while not at.done:
            at = self._step(at, self._batch)
            report(at)
            if self._pause_seconds and not at.done:
                time.sleep(self._pause_seconds)
        return at

    def _step(self, at: MigrationProgress, size: int) -> MigrationProgress:
        """One batch; a smaller one where others write, or where the documents are large."""
        for attempt in range(_TRIES):
            documents = self._listing(at.behind, size)
            writes = [write for each in documents if (write := self._write(each)) is not None]
            try:
                return self._keep(at, writes, self._after(at, documents, len(writes), size))
            except (Contended, CommitTooBig) as error:
                mine = self.progress()
                if mine.version != at.version:
                    if mine.fields() == self._after(at, documents, len(writes), size).fields():
                        return mine  # our own commit got through although its answer was lost
                    raise Contended("another run of this migration is at work") from error
                if isinstance(error, CommitTooBig) and size == 1:
                    raise
            size = max(1, size // 2)
            time.sleep(random.uniform(0, 0.02) * 2**attempt)  # noqa: S311  spreads retries
        raise Contended("a document is written all the time; run the migration again")

    def _after(
        self, at: MigrationProgress, documents: Sequence[Document], changed: int, size: int
    ) -> MigrationProgress:
        """Where it stands behind a batch."""
        seen, here = at.seen + len(documents), at.changed_here + changed
        total = at.changed + changed
        if len(documents) == size:
            behind = documents[-1].key.id
            return MigrationProgress(behind, at.passes, seen, total, here, done=False)
        passes = at.passes + 1
        done = not self._migration.repeat or here == 0
        if not done and passes >= MOST_PASSES:
            raise Fault(
                f"{passes} passes, and each finds something to change: is the migration's function "
                "stable, and does the released code write the new form?",
                code="never_settles",
            )
        return MigrationProgress("", passes, seen, total, 0, done)

    def _keep(
        self, at: MigrationProgress, writes: Sequence[Write], after: MigrationProgress
    ) -> MigrationProgress:
        version = self._store.commit([*writes, put(self.key, after.fields(), at.version)])
        return MigrationProgress(**after.fields(), version=version)

    def _listing(self, behind: str, limit: int) -> list[Document]:
        return list(
            self._store.query(
                Query(
                    self._migration.collection,
                    limit=limit,
                    start_after=(behind,) if behind else None,
                )
            )
        )

    def _write(self, document: Document) -> Write | None:
        change = self._migration.change(document)
        if change is None:
            return None
        if self._collection is None:
            return patch(document.key, change, document.version)
        if wrong := sorted(_FIXED & set(change)):
            raise ValueError(f"a migration may not set {', '.join(wrong)}")
        return record.server_patch(
            document, {**change, **_hash(self._collection, document, change)}
        )


def _hash(collection: Collection, document: Document, change: Mapping[str, Any]) -> dict[str, str]:
    """The content hash anew, if a field of phones changed: else the same content would conflict."""
    if not set(change) & set(collection.client_fields):
        return {}
    have = {**document.fields, **change}
    deleted = have.get(record.DELETED) is not None
    values = None if deleted else {name: have.get(name) for name in collection.client_fields}
    return {
        record.HASH: record.content_hash(document.key.id, str(have.get(record.SCOPE)), values)[0]
    }
