"""What is stored of a project, as routes and pages read it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import suppress
from datetime import UTC, date, datetime
from typing import Any

from shared.access import membership
from shared.access.membership import Caller
from shared.access.rights import Action
from shared.errors import FileMissing, Forbidden, NotFound
from shared.files.file import derived_name
from shared.files.made import beside
from shared.files.store import FileStore
from shared.products.buildtrace.processing import unpacked
from shared.products.buildtrace.rights import RIGHTS
from shared.products.buildtrace.tables import CATALOG
from shared.records import record
from shared.records.store import Document, Key, Query, RecordStore


class Project:
    """Reads a project's records for somebody. One a request."""

    def __init__(self, store: RecordStore, caller: Caller) -> None:
        self.store = store
        own = membership.key(caller.user_id)
        self.roles = membership.of(store.read([own]), caller.user_id).roles
        self.seen: dict[str, dict[str, list[str]]] = {}  #: scope → table → ids, for the trail

    def record(self, table: str, name: str, right: Action = Action.READ) -> Document:
        """A living record that the caller may see. Raises `NotFound`, and `Forbidden` if more is asked."""
        key = Key(table, name)
        found = self.store.read([key]).documents.get(key)
        role = None if found is None else self.roles.get(str(found.fields[record.SCOPE]))
        gone = found is None or found.fields.get(record.DELETED) is not None
        if found is None or gone or not RIGHTS.may(role, Action.READ):
            raise NotFound("There is no such record, or none that you may see.", field="id")
        if not RIGHTS.may(role, right):
            raise Forbidden("Your role in this project does not allow this.")
        self.note([found])
        return found

    def rows(self, table: str, field: str, value: str | list[str]) -> list[Document]:
        """Living rows that belong to a record, or to some of at most 30, in their order."""
        query = Query(table, where=((field, "in" if isinstance(value, list) else "==", value),))
        found = [
            each for each in self.store.query(query) if each.fields.get(record.DELETED) is None
        ]
        self.note(found)
        return sorted(found, key=lambda each: (each.fields.get("place") or 0, each.key.id))

    def all(self, table: str, scope_id: str) -> list[Document]:
        """All living records of a table, by name of their maker's time."""
        snapshot = self.store.read([Key(table, "-")]).read_at
        changes = self.store.changes(table, [scope_id], 0, snapshot)
        found = [
            each.document for each in changes if each.document.fields.get(record.DELETED) is None
        ]
        self.note(found)
        return sorted(found, key=lambda each: (each.fields.get(record.CREATED) or 0, each.key.id))

    def note(self, documents: Iterable[Document]) -> None:
        """They were shown."""
        for each in documents:
            tables = self.seen.setdefault(str(each.fields[record.SCOPE]), {})
            tables.setdefault(each.key.collection, []).append(each.key.id)


def shown(document: Document) -> dict[str, Any]:
    """A record with all its columns; times are Unix ms."""
    fields = document.fields
    columns = CATALOG.by_name[document.key.collection].columns
    return {
        "id": document.key.id,
        record.SCOPE: fields[record.SCOPE],
        **{name: fields.get(name) for name, _ in columns},
        record.CREATED: fields.get(record.CREATED),
        record.MODIFIED: fields.get(record.MODIFIED),
    }


def picture(
    store: RecordStore, files: FileStore, pair: Mapping[str, Any], name: str
) -> bytes | None:
    """A tile of a pair's pictures (`overlay-0-0-0`: layer, zoom, column, row) as PNG; None: there is none.

    Raises `FilesUnavailable`.
    """
    url = str(pair.get("overlay_url") or "")
    found = beside(store, url.rpartition("/")[2]) if url else None
    if found is None:
        return None
    layer, zoom, place = name.split("-", 2)
    with suppress(FileMissing):
        return unpacked(b"".join(files.read(derived_name(found[1], f"{layer}-{zoom}"))), place)
    return None


def issue_order(revision: Mapping[str, Any]) -> tuple[str, float]:
    """What revisions are sorted by, the oldest first: the day of issue, else the day when it was made.

    A revision without a day, or with one that cannot be read, is as new as its row.
    """
    made_ms = float(revision.get(record.CREATED) or 0)
    said = str(revision.get("issued_on") or "")[:10]
    try:
        day = date.fromisoformat(said)
    except ValueError:
        day = datetime.fromtimestamp(made_ms / 1000, UTC).date()
    return day.isoformat(), made_ms


def total(counts: Mapping[str, Any] | None) -> int:
    """How many changes."""
    return sum(int(each) for each in (counts or {}).values())
