"""Which scope a question is about, and whether the caller may ask it there."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from msgspec import UnsetType

from shared.access import membership
from shared.access.membership import Caller
from shared.api.fields import Id, says
from shared.errors import InvalidRequest, NotFound
from shared.records.store import RecordStore

#: The scope that is asked about, in a query.
AskedScope = Annotated[Id | UnsetType, says("Which one. Who is in one alone need not name it.")]


def scope_asked(
    store: RecordStore,
    caller: Caller,
    scope: str | UnsetType,
    may: Callable[[str], bool],
    word: str,
) -> str:
    """The scope that is asked about; `may` says whether a role may ask, `word` what scopes are called.

    Raises `NotFound` for one in which the caller may not: a scope of others is as one that there is not.
    Raises `InvalidRequest` if it must be named.
    """
    members = membership.of(store.read([membership.key(caller.user_id)]), caller.user_id)
    allowed = [each for each in members.scopes if may(members.roles[each])]
    if isinstance(scope, str):
        if scope not in allowed:
            raise NotFound(f"There is no such {word}, or your role in it does not allow this.")
        return scope
    if not allowed:
        raise NotFound(f"You are in no {word}, or your role in it does not allow this.")
    if len(allowed) > 1:
        raise InvalidRequest(f"You are in more than one {word}: say which.", field="scope")
    return allowed[0]
