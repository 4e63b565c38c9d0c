"""What questions about a family have in common: which family, whether one may, how a record is shown."""

from __future__ import annotations

from typing import Annotated, Any

import orjson
from msgspec import UnsetType

from shared.access import membership
from shared.access.membership import Caller
from shared.access.rights import Action
from shared.api.fields import Id, says
from shared.errors import InvalidRequest, NotFound
from shared.products.hemoday.rights import RIGHTS
from shared.products.hemoday.tables import CATALOG
from shared.records import record
from shared.records.collection import Type
from shared.records.store import Document, RecordStore

#: The family that is asked about, in a query.
Scope = Annotated[Id | UnsetType, says("The family. Who is in one family alone need not name it.")]


def family_of(
    store: RecordStore, caller: Caller, scope: str | UnsetType, right: Action = Action.READ
) -> str:
    """The family that is asked about. Raises `NotFound` for one in which the caller may not do that, and
    `InvalidRequest` if it must be named. A family of others is as one that there is not."""
    members = membership.of(store.read([membership.key(caller.user_id)]), caller.user_id)
    allowed = [each for each in members.scopes if RIGHTS.may(members.roles[each], right)]
    if isinstance(scope, str):
        if scope not in allowed:
            raise NotFound("There is no such family, or your role in it does not allow this.")
        return scope
    if not allowed:
        raise NotFound("You are in no family, or your role in it does not allow this.")
    if len(allowed) > 1:
        raise InvalidRequest("You are in several families: say which one.", field="scope")
    return allowed[0]


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
