"""What the pages about a team have in common: which team, whose names, which records."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum
from typing import Annotated

from msgspec import Meta, Struct

from shared.console.page import N_
from shared.console.visit import Visit
from shared.errors import Forbidden, NotFound

#: The group of the navigation.
MENU = N_("Team")

#: A team in the path of a page, and the token of a page of a list.
Scope = Annotated[str, Meta(max_length=128)]
Token = Annotated[str, Meta(max_length=2000)]

#: Teams, and pages of their members, that are read for names: who is not in them is shown by their id.
_MOST_SCOPES, _MOST_PAGES = 10, 3


class TeamAsked(Struct):
    """Which team, and where its list goes on."""

    scope: Scope = ""
    page: Token = ""


def chosen(visit: Visit, right: Enum, scope: str) -> str:
    """The team that a page is about: the one that was asked for, else the first.

    Raises `NotFound`, and `Forbidden` for who may do this in none.
    """
    scopes = visit.scopes(right)
    if not scopes:
        raise Forbidden("Your role does not allow this in any of your scopes.")
    if scope and scope not in scopes:
        raise NotFound("There is no such team, or none of yours.")
    return scope or scopes[0]


def names(visit: Visit, scopes: Iterable[str]) -> dict[str, str]:
    """User id → name of the members of some teams, as far as the caller may see them."""
    found: dict[str, str] = {}
    policy = visit.frame.accounts().members.policy
    managed = {scope for scope in scopes if policy.may_manage(visit.roles.get(scope))}
    for scope in sorted(managed)[:_MOST_SCOPES]:
        after = ""
        for _ in range(_MOST_PAGES):
            listed = visit.api.get("/api/v1/auth/members", scope_id=scope, after=after)
            for each in listed["members"]:
                found[each["user_id"]] = each["name"] or each["email"] or each["user_id"]
            after = listed["next_after"] or ""
            if not after:
                break
    return found


#: Why a record of a phone was not stored, and what to do, for people who look after phones.
RECORD_REASONS = {
    "missing_field": N_("Something that must be filled in is missing. Update the app."),
    "wrong_type": N_("A value cannot be read. Update the app."),
    "invalid_choice": N_("A value is none of those to choose from. Update the app."),
    "invalid_id": N_("The record's number cannot be used. Update the app."),
    "too_long": N_("A text is too long. Shorten it on the phone."),
    "number_out_of_range": N_("A number is too large or too small. Correct it on the phone."),
    "invalid_text": N_("A text holds a broken character. Type it again on the phone."),
    "invalid_json_record": N_("The record cannot be read. Update the app."),
    "unknown_column": N_("The app is newer than this service. Ask whoever runs the service."),
    "time_in_milliseconds": N_("The app counts time in another unit. Update the app."),
    "time_in_seconds": N_("The app counts time in another unit. Update the app."),
    "invalid_json_column": N_("A value cannot be read. Update the app."),
    "too_deep": N_("The record is too nested. Update the app."),
    "record_too_large": N_("The record is too large. Remove a part of it on the phone."),
    "unknown_table": N_("The app is newer than this service. Ask whoever runs the service."),
    "read_only_table": N_("The app sends what only the server writes. Update the app."),
    "scope_required": N_(
        "The user is in several teams, and the app does not say which. Update the app."
    ),
    "unknown_scope": N_("The user is not in the team that the record names."),
    "unknown_parent": N_("The record that it belongs to never arrived. Sync that phone again."),
    "parent_deleted": N_(
        "The record that it belongs to was deleted. Bring that back, then sync again."
    ),
    "deleted": N_("Somebody else had deleted the record, so the edit was not stored."),
    "id_unavailable": N_("The record's number is taken. The app must give it a new one."),
    "moved": N_("The record is in another team by now, or the user has left this one."),
    "not_allowed": N_("The user's role may not change records of this team."),
    "older": N_("A newer edit was there already, so this one was not taken."),
    "equal": N_("Two edits came at the same time, and the other one was kept."),
    "merged": N_("The higher value was kept."),
    "unseen_overwrite": N_("Somebody wrote over this value without having seen it."),
}


def reason(code: str) -> str:
    """The message of a code of a record; of an unknown one the code itself."""
    return RECORD_REASONS.get(code, code)
