"""Who is in a team, as what, and the codes that let others in."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from flask import Response
from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.accounts.invite import MOST_DAYS, MOST_USES
from shared.console.page import N_, Act, Page
from shared.console.pages.team import MENU, Scope, Token, chosen
from shared.console.qr import qr_code
from shared.console.visit import Visit

#: Words for roles that many products have; others are shown as they are called.
ROLES = {
    "chw": N_("Health worker"),
    "doctor": N_("Doctor"),
    "supervisor": N_("Supervisor"),
    "admin": N_("Admin"),
    "owner": N_("Owner"),
    "member": N_("Member"),
    "viewer": N_("Viewer"),
}

_Id = Annotated[str, Meta(max_length=128)]


class MembersPageAsked(Struct):
    """Which team, and behind which member the list goes on."""

    scope: Scope = ""
    after: Token = ""


class InviteForm(Struct):
    """What a code gives away."""

    role: Annotated[str, Meta(max_length=64)]
    uses: Annotated[int, Meta(ge=1, le=MOST_USES)] = 1
    days: Annotated[int, Meta(ge=1, le=MOST_DAYS)] = 7


class OneForm(Struct):
    """A member, or a code."""

    id: _Id


class RoleForm(Struct):
    """A member, and what they shall be."""

    id: _Id
    role: Annotated[str, Meta(max_length=64)]


def show_members(visit: Visit, asked: MembersPageAsked, made: Any = None) -> Response:
    """Members and open codes; `made` is a code that was made just now."""
    scope = chosen(visit, Action.SUPERVISE, asked.scope)
    policy, role = visit.frame.accounts().members.policy, visit.roles[scope]
    manages = policy.may_manage(role)
    listed: Any = {"members": [], "next_after": None}
    invites: Any = []
    if manages:
        listed = visit.api.get("/api/v1/auth/members", scope_id=scope, after=asked.after)
        invites = visit.api.get("/api/v1/auth/invites", scope_id=scope)["invites"]
    return visit.show(
        "console/members.html",
        members=listed["members"],
        next_after=listed["next_after"],
        names={each["user_id"]: each["name"] for each in listed["members"] if each["name"]},
        invites=invites,
        made=made,
        code=None if made is None else qr_code(made["invite_code"]),
        scope=scope,
        scopes=visit.scopes(Action.SUPERVISE),
        manages=manages,
        giving=[each for each in ROLES if policy.may_invite(role, each)]
        + sorted(each for each in policy.invitable.get(role, ()) if each not in ROLES),
        roles=ROLES,
        most_uses=MOST_USES,
        most_days=MOST_DAYS,
    )


def invite(visit: Visit, asked: MembersPageAsked, form: InviteForm) -> Response:
    """Make a code, and show it: this once."""
    scope = chosen(visit, Action.SUPERVISE, asked.scope)
    body = {
        "scope_id": scope,
        "role": form.role,
        "max_uses": form.uses,
        "expires_in_days": form.days,
    }
    return show_members(visit, asked, visit.api.post("/api/v1/auth/invites", body))


def void(visit: Visit, asked: MembersPageAsked, form: OneForm) -> Response:
    """Make a code admit nobody any more."""
    scope = chosen(visit, Action.SUPERVISE, asked.scope)
    visit.api.post(f"/api/v1/auth/invites/{quote(form.id, safe='')}/void", {"scope_id": scope})
    return visit.again(N_("This code admits nobody any more."))


def change_role(visit: Visit, asked: MembersPageAsked, form: RoleForm) -> Response:
    """Give a member another role."""
    scope = chosen(visit, Action.SUPERVISE, asked.scope)
    where = f"/api/v1/auth/members/{quote(form.id, safe='')}/role"
    visit.api.post(where, {"scope_id": scope, "role": form.role})
    return visit.again(N_("The role is changed. Their phone loads the records anew."))


def put_out(visit: Visit, asked: MembersPageAsked, form: OneForm) -> Response:
    """End a membership."""
    scope = chosen(visit, Action.SUPERVISE, asked.scope)
    visit.api.post(f"/api/v1/auth/members/{quote(form.id, safe='')}/remove", {"scope_id": scope})
    said = N_("They are out. Their phone drops the team's records with its next sync.")
    return visit.again(said)


PAGES = (
    Page(
        path="members",
        shows=show_members,
        title=N_("Members"),
        asks=MembersPageAsked,
        acts={
            "invite": Act(invite, InviteForm),
            "void": Act(void, OneForm),
            "change-role": Act(change_role, RoleForm),
            "put-out": Act(put_out, OneForm),
        },
        right=Action.SUPERVISE,
        menu=MENU,
    ),
)
