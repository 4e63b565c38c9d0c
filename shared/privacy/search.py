"""What is stored about somebody, found: records with what hangs on them, and what logs say of them.

Whole logs are read, since nobody searches them otherwise: on a large deployment that takes minutes.
What was refused is found by any id of the family that it names, whatever its table and its own id say.
"""

from __future__ import annotations

import json
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Any

from shared.access import audit
from shared.access.membership import Caller
from shared.records import record
from shared.records.collection import Catalog
from shared.records.store import Document, Key, Query, RecordStore

#: Logs with values of records, and where in an entry the values are (JSON text).
LOGS: dict[str, tuple[str, ...]] = {
    "conflicts": ("yours", "theirs"),
    "quarantine": ("raw",),
    "readings": (),  # of a record that is there, or was
    "reviews": (),
    "notices": (),
    "hook_events": (),
}


def person(catalog: Catalog, named: str) -> Key:
    """The key of a person of this id. Nothing is stored under one that `may_be_stored` denies."""
    return Key(catalog.people or "", named)


def may_be_stored(key: Key) -> bool:
    """Whether a person may have this key: the product has people, and the id is one."""
    return bool(key.collection) and record.valid_id(key.id)


def family(store: RecordStore, catalog: Catalog, named: str) -> dict[Key, Document]:
    """The person of this id and everything below it, parents first."""
    key = person(catalog, named)
    if not may_be_stored(key):
        return {}
    found = dict(store.read([key]).documents)
    waiting = [*found]
    while waiting:
        parent = waiting.pop(0)
        for collection, field in catalog.children(parent.collection):
            for child in store.query(Query(collection.name, where=((field, "==", parent.id),))):
                if child.key not in found:
                    found[child.key] = child
                    waiting.append(child.key)
    return found


def entries_about(
    store: RecordStore, catalog: Catalog, named: Collection[Key]
) -> Iterator[Document]:
    for name in LOGS:
        yield from mentions(store, catalog, name, named)


def mentions(
    store: RecordStore, catalog: Catalog, log: str, named: Collection[Key]
) -> Iterator[Document]:
    """Entries of a log that are about one of the records, or that name one in what they hold."""
    ids = {key.id for key in named}
    for entry in store.query(Query(log)):
        have = entry.fields
        # Notices of early releases say `case_id`.
        table, about = str(have.get("table")), str(have.get("record_id", have.get("case_id")))
        if table in catalog.by_name:
            # An id is one of its table. What names another record in other columns hangs on it.
            meant = Key(table, about) in named
            texts = [_without_id(opened(have.get(name))) for name in LOGS[log]]
        else:
            meant = about in ids or entry.key.id in ids
            texts = [opened(have.get(name)) for name in LOGS[log]]
        if meant or entry.key.id in ids or any(_names(text, ids) for text in texts):
            yield entry


def files_of(store: RecordStore, records: Iterable[Key]) -> Iterator[Document]:
    """The files of records."""
    for key in records:
        for each in store.query(Query("files", where=(("record_id", "==", key.id),))):
            if each.fields.get("table") == key.collection:
                yield each


def jobs_about(store: RecordStore, named: Collection[Key]) -> Iterator[Document]:
    """Jobs about the records: the name of one holds a hash of what the model looked at."""
    for job in store.query(Query("jobs", fields=("table", "subject_id"))):
        if Key(str(job.fields.get("table")), str(job.fields.get("subject_id"))) in named:
            yield job


def by_scope(
    records: Mapping[Key, Document], logged: Iterable[Document]
) -> dict[str, dict[str, list[str]]]:
    """Scope → table → ids, of records and of what was refused: that one by its entry's own id."""
    seen: dict[str, dict[str, list[str]]] = {}
    refused = [entry for entry in logged if entry.key.collection == "quarantine"]
    for document in (*records.values(), *refused):
        scope_id = str(document.fields.get(record.SCOPE) or audit.DEPLOYMENT)
        tables = seen.setdefault(scope_id, {})
        tables.setdefault(document.key.collection, []).append(document.key.id)
    return seen


def note(
    store: RecordStore,
    by: Caller,
    action: str,
    seen: Mapping[str, Mapping[str, list[str]]],
    now_ms: int,
) -> None:
    """Who did what to which records, by scope; ids alone."""
    for scope_id, touched in seen.items():
        store.commit(audit.entries(by, action, scope_id, touched, now_ms))


def opened(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


def _without_id(said: Any) -> Any:
    return {k: v for k, v in said.items() if k != "id"} if isinstance(said, dict) else said


def _names(said: Any, ids: Collection[str]) -> bool:
    """Whether a value, or any inside it, is one of the ids; text that is no JSON may quote one."""
    waiting = [said]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
        elif isinstance(each, str):
            if each in ids:
                return True
            try:
                waiting.append(json.loads(each) if each[:1] in ("{", "[", '"') else None)
            except (ValueError, RecursionError):
                if any(json.dumps(name) in each for name in ids):
                    return True
    return False
