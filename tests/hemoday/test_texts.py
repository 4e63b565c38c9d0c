"""Texts of documents on both stores: where their document is, whatever happens while one is read."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.folder import FolderFiles
from shared.files.file import BLOBS, FILES, original_name
from shared.jobs.job import RetryPolicy
from shared.jobs.runner import Runner
from shared.jobs.transfer import Transfer, move
from shared.products.hemoday.household import Households
from shared.products.hemoday.reading import KIND, TEXTS, ReadDocument, due
from shared.products.hemoday.search import Search
from shared.products.hemoday.tables import CATALOG, DOCUMENTS
from shared.records.store import Document, Key, Query, RecordStore, Write, patch, put
from shared.sync.retention import Purger
from tests import stores
from tests.hemoday.pdfs import by_hand

NOW, LATER = 1_772_323_200_000, 4_000_000_000_000

DOCUMENT, FILE, BLOB = Key(DOCUMENTS, "d1"), Key(FILES, "x1"), Key(BLOBS, "b1")


class Place:
    """A store with a document of f1, its PDF that is ready, and the job that reads it."""

    def __init__(self, store: RecordStore, folder: Path) -> None:
        self.store = store
        self.files = FolderFiles(folder / "files", secret=b"x" * 32)
        about = {"scope_id": "f1", "table": DOCUMENTS, "record_id": DOCUMENT.id}
        file = {**about, "state": "ready", "type": "application/pdf", "blob": BLOB.id, "key": "p"}
        blob = {"scope_id": "f1", "state": "ready", "upload": "u1"}
        named = {"scope_id": "f1", "name": "Letter"}
        writes = [put(FILE, file, None), put(BLOB, blob, None), put(DOCUMENT, named, None)]
        store.commit([*writes, *due(store, Document(DOCUMENT, named, 1), {"p": FILE.id}, NOW)])
        self.files.put(original_name(Document(BLOB, blob, 1)), [by_hand()], "application/pdf")

    def work(self, meanwhile: Callable[[], object] = lambda: None) -> None:
        """Run what is due; `meanwhile`: what happens just before a text is stored, the first time."""
        waiting = [meanwhile]

        def before(writes: Sequence[Write]) -> None:
            if waiting and any(each.key.collection == TEXTS for each in writes):
                waiting.pop()()

        store = stores.Interrupted(self.store, before=before)
        tasks: dict[str, Any] = {
            KIND: ReadDocument(store, lambda: self.files),
            "transfer": Transfer(self.store, CATALOG, lambda: LATER),
        }
        policy = RetryPolicy()
        runner = Runner(store, tasks, policy=policy, lease_ms=60_000, clock=lambda: LATER)
        for kind in tasks:
            runner.run_due(kind, 600)

    def texts(self) -> list[str]:
        """The families that texts are of."""
        return [each.fields["scope_id"] for each in self.store.query(Query(TEXTS))]

    def found(self, search: Search) -> dict[str, int]:
        """In how many records of each family the PDF's word is."""
        return {scope: len(search.ask(scope, "ferritin", 9)[0]) for scope in ("f1", "f2")}

    def purge(self) -> None:
        gone = {"deleted_at": NOW, "_kept_since": NOW}
        self.store.commit([patch(DOCUMENT, gone, None)])
        assert Purger(self.store, CATALOG, keep_days=0).purge(LATER) == 1

    def search(self) -> Search:
        return Search(Households(self.store, CATALOG, beside={TEXTS: DOCUMENTS}))


@pytest.fixture(params=stores.BOTH)
def place(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Place]:
    made = Place(stores.fresh(request.param, request, tmp_path), tmp_path)
    yield made
    made.store.close()


def test_a_text_is_found_from_the_commit_that_stores_it(place: Place) -> None:
    search = place.search()
    assert place.found(search) == {"f1": 0, "f2": 0}
    place.work()
    assert place.found(search) == place.found(place.search()) == {"f1": 1, "f2": 0}


def test_nothing_is_stored_of_a_document_that_is_purged_meanwhile(place: Place) -> None:
    place.work(meanwhile=place.purge)
    assert place.texts() == []


def test_what_moves_while_it_is_read_is_the_new_family_s(place: Place) -> None:
    search = place.search()
    place.found(search)

    def moves() -> None:
        move(place.store, CATALOG, DOCUMENT, "f2", LATER)
        place.store.commit([patch(FILE, {"scope_id": "f2"}, None)])  # what its job begins with

    place.work(meanwhile=moves)
    assert place.texts() == ["f2"]
    assert place.found(search) == place.found(place.search()) == {"f1": 0, "f2": 1}


def test_what_goes_and_comes_back_is_found_again(place: Place) -> None:
    search = place.search()
    place.work()
    for to, found in (("f2", {"f1": 0, "f2": 1}), ("f1", {"f1": 1, "f2": 0})):
        move(place.store, CATALOG, DOCUMENT, to, LATER)
        place.found(search)  # the text is still the other family's
        place.work()
        assert place.found(search) == place.found(place.search()) == found


def test_what_is_purged_is_in_no_memory(place: Place) -> None:
    search = place.search()
    place.work()
    place.found(search)
    place.purge()
    place.found(search)
    held = search._households._slots["f1"].held
    assert held is not None
    assert not held.tables[TEXTS]
    assert search._slots["f1"].index.size == 0
