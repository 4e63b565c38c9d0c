"""What questions about a family have in common: which family, whether one may, how a record is shown."""

from __future__ import annotations

from typing import Any

import orjson
from msgspec import UnsetType

from shared.access.membership import Caller
from shared.access.rights import Action
from shared.api.scopes import AskedScope, scope_asked
from shared.products.hemoday.rights import RIGHTS
from shared.products.hemoday.tables import CATALOG
from shared.records import record
from shared.records.collection import Type
from shared.records.store import Document, RecordStore

#: The family that is asked about, in a query.
Scope = AskedScope


def family_of(
    store: RecordStore, caller: Caller, scope: str | UnsetType, right: Action = Action.READ
) -> str:
    """The family that is asked about. Raises as `scope_asked`."""
    return scope_asked(store, caller, scope, lambda role: RIGHTS.may(role, right), "family")


def shown(document: Document) -> dict[str, Any]:
    """A record with all its columns; JSON columns are opened, times are Unix ms."""
    fields = document.fields
    table = CATALOG.by_name[document.key.collection]
    values = {name: fields.get(name) for name, _ in table.columns}
    for name, kind in table.columns:
        text = values[name]
        if kind is Type.JSON and isinstance(text, str):
            values[name] = orjson.loads(text)
    return {
        "id": document.key.id,
        **values,
        record.MODIFIED: fields.get(record.MODIFIED),
        record.CREATED: fields.get(record.CREATED),
    }
