"""Admins' pages: the accounts of their teams, stuck jobs, the audit trail, how the service is set up."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from urllib.parse import quote
from zoneinfo import ZoneInfo

from flask import Response
from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_, Act, Page
from shared.console.pages.members import ROLES
from shared.console.visit import Visit
from shared.errors import InvalidRequest, NotFound

_SERVICE = N_("Service")

_Scope = Annotated[str, Meta(max_length=128)]
_Search = Annotated[str, Meta(max_length=100)]
_Day = Annotated[str, Meta(max_length=10)]

#: Why an admin may not act on an account.
HINDERED = {
    "elsewhere": N_(
        "This person is in other teams, too, so only an operator of the service may change the account."
    ),
    "yourself": N_("This is your own account. Change it on its own page."),
    "above": N_("Your role may not change accounts of this role."),
}

#: What can be done about an account, and what that means.
DEEDS = {
    "end-sessions": (
        N_("Log out everywhere"),
        N_("All sessions end: of phones and of browsers. The password stays."),
    ),
    "reset": (
        N_("Give another password"),
        N_("It is made here and shown once: tell it yourself. All sessions end."),
    ),
    "disable": (
        N_("Close the account"),
        N_("Nobody can act as this person. Memberships and records stay."),
    ),
    "enable": (
        N_("Open the account again"),
        N_("The person can log in again, with the memberships from before."),
    ),
}

#: What states of jobs mean.
STATES = {
    "failed": N_("Failed"),
    "parked": N_("Given up"),
    "queued": N_("Waits"),
    "running": N_("Runs"),
    "awaiting_files": N_("Waits for photos"),
}

#: What the engine's jobs do; those of products are shown by their own word.
KINDS = {
    "images": N_("Check a photo"),
    "hooks": N_("Tell another system"),
    "cascade": N_("Delete what belongs to a record"),
    "restore": N_("Bring back what belongs to a record"),
    "transfer": N_("Move what belongs to a record"),
}

#: Why jobs fail, in words, by the code that stands below them.
FAULTS = {
    "model_busy": N_("The AI is overloaded or slow."),
    "model_failed": N_("The AI gave no answer."),
    "model_unreadable": N_("The AI's answer could not be read."),
    "model_misconfigured": N_("The AI is set up wrongly. Tell whoever runs the service."),
    "model_resting": N_("The AI is left alone for a while after failures."),
    "model_refused": N_("The AI declined to answer."),
    "contract_broken": N_("The AI's answer was not of the form that was asked for."),
    "worker_lost": N_("No attempt came to an end."),
    "store_unavailable": N_("The records could not be reached."),
    "files_unavailable": N_("The photos could not be reached."),
    "file_missing": N_("The photo is gone."),
    "file_refused": N_("The photo is not what it says."),
    "internal": N_("A fault on our side. Tell whoever runs the service."),
}

#: What a check of the trail can find is said by the engine in English; it stands below these words.
WHOLE = N_("The trail is whole: every entry is there and unaltered.")
BROKEN = N_("The trail is damaged: entries were altered, removed or slipped in. Call an operator.")


class UsersPageAsked(Struct):
    """Whose accounts."""

    scope: _Scope = ""
    search: _Search = ""
    after: _Scope = ""


class UserPageAsked(Struct):
    """Which account."""

    id: Annotated[str, Meta(max_length=300)]


class DeedForm(Struct):
    """What to do, and the admin's own password."""

    deed: Annotated[str, Meta(max_length=32)] = ""
    password: Annotated[str, Meta(max_length=1024)] = ""


class AuditPageAsked(Struct):
    """Filters of the trail."""

    scope: _Scope = ""
    user: _Scope = ""
    action: Annotated[str, Meta(max_length=64)] = ""
    day: _Day = ""
    page: Annotated[str, Meta(max_length=2000)] = ""


class CheckForm(Struct):
    """Of which team."""

    scope: _Scope = ""


class RedriveForm(Struct):
    """Which job."""

    id: Annotated[str, Meta(max_length=300)]


def _chosen(visit: Visit, wanted: str, right: Action = Action.ADMINISTER) -> str:
    """The team that is looked at: the one that is asked for, else the first. Raises `NotFound`."""
    scopes = visit.scopes(right)
    if wanted and wanted not in scopes:
        raise NotFound("There is no such team, or your role in it does not allow this.")
    return wanted or scopes[0]


def _teams(visit: Visit, right: Action = Action.ADMINISTER) -> list[tuple[str, str]]:
    """The teams to choose from: values and labels."""
    return [(scope, scope) for scope in visit.scopes(right)]


def _kinds(visit: Visit, wanted: str) -> list[tuple[str, str]]:
    """What can have been done: values and labels; also a word of a product that somebody asks for."""
    words = visit.frame.actions
    known = sorted(((name, visit.words.said(each)) for name, each in words.items()), key=_second)
    return known if not wanted or wanted in words else [*known, (wanted, wanted)]


def _second(pair: tuple[str, str]) -> str:
    return pair[1].casefold()


# --- accounts


def show_users(visit: Visit, asked: UsersPageAsked) -> Response:
    """The accounts of a team."""
    scope = _chosen(visit, asked.scope)
    found = visit.api.get(
        "/api/v1/auth/users", scope_id=scope, search=asked.search.strip(), after=asked.after
    )
    return visit.show(
        "console/users.html",
        found=found,
        scope=scope,
        teams=_teams(visit),
        asked=asked,
        roles=ROLES,
    )


def show_user(visit: Visit, asked: UserPageAsked, password: str = "") -> Response:
    """One account, and what can be done about it."""
    user = visit.api.get(f"/api/v1/auth/users/{quote(asked.id, safe='')}")
    closed = user["disabled_ms"] is not None
    deeds = {
        name: words for name, words in DEEDS.items() if name != ("disable" if closed else "enable")
    }
    return visit.show(
        "console/user.html", user=user, deeds=deeds, why=HINDERED, password=password, roles=ROLES
    )


def do(visit: Visit, asked: UserPageAsked, form: DeedForm) -> Response:
    """Do it."""
    if form.deed not in DEEDS:
        raise InvalidRequest("Choose what to do.")
    where = f"/api/v1/auth/users/{quote(asked.id, safe='')}/{form.deed}"
    made: dict[str, Any] = visit.api.post(where, {"password": form.password or "-"})
    if form.deed == "reset":
        return show_user(visit, asked, made["password"])
    return visit.again(_DONE[form.deed])


_DONE = {
    "end-sessions": N_("All sessions of this person are over."),
    "disable": N_("The account is closed."),
    "enable": N_("The account is open again."),
}


# --- jobs


def show_jobs(visit: Visit) -> Response:
    """Jobs that failed, were given up, or are late."""
    found = visit.api.get("/api/v1/jobs")
    return visit.show("console/jobs.html", found=found, states=STATES, kinds=KINDS, faults=FAULTS)


def redrive(visit: Visit, form: RedriveForm) -> Response:
    """Queue one again."""
    answer = visit.api.post(f"/api/v1/jobs/{quote(form.id, safe='')}/redrive")
    if answer["queued"]:
        return visit.again(N_("The job is queued again. It begins within a minute."))
    return visit.again(N_("This job is neither failed nor given up any more."))


# --- the trail


def show_audit(
    visit: Visit, asked: AuditPageAsked, checked: dict[str, Any] | None = None
) -> Response:
    """What was done in a team."""
    scope = _chosen(visit, asked.scope, Action.TRAIL)
    begins, ends = _day(visit, asked.day)
    found = visit.api.get(
        "/api/v1/trail",
        scope_id=scope,
        user_id=asked.user.strip(),
        action=asked.action.strip(),
        from_ms=begins,
        to_ms=ends,
        page=asked.page,
    )
    return visit.show(
        "console/audit.html",
        found=found,
        scope=scope,
        teams=_teams(visit, Action.TRAIL),
        asked=asked,
        actions=visit.frame.actions,
        kinds=[("", visit.words.said(N_("Everything"))), *_kinds(visit, asked.action)],
        checked=checked,
        verdict="" if checked is None else BROKEN if checked["faults"] else WHOLE,
    )


def check(visit: Visit, asked: AuditPageAsked, form: CheckForm) -> Response:
    """Whether a team's trail is whole."""
    scope = _chosen(visit, form.scope or asked.scope, Action.TRAIL)
    checked = visit.api.get("/api/v1/trail/check", scope_id=scope)
    return show_audit(visit, AuditPageAsked(scope=scope), checked)


def _day(visit: Visit, day: str) -> tuple[int | None, int | None]:
    """The moments in which a day of the console's time zone begins and ends, ms."""
    if not day:
        return None, None
    zone: ZoneInfo = visit.words.zone
    try:
        begins = datetime.strptime(day, "%Y-%m-%d").replace(tzinfo=zone)
        ends = begins + timedelta(days=1)
        spans = [int(each.astimezone(UTC).timestamp() * 1000) for each in (begins, ends)]
    except (ValueError, OverflowError):
        raise InvalidRequest("day must be like 2026-03-01.", field="day") from None
    return spans[0], spans[1]


# --- the service


def show_service(visit: Visit) -> Response:
    """Settings that concern teams, and public keys."""
    return visit.show("console/service.html", found=visit.api.get("/api/v1/settings"))


PAGES = (
    Page(
        path="users",
        shows=show_users,
        title=N_("Accounts"),
        asks=UsersPageAsked,
        right=Action.ADMINISTER,
        menu=_SERVICE,
    ),
    Page(
        path="users/{id}",
        shows=show_user,
        title=N_("Account"),
        asks=UserPageAsked,
        right=Action.ADMINISTER,
        acts={"do": Act(do, DeedForm)},
    ),
    Page(
        path="jobs",
        shows=show_jobs,
        title=N_("Jobs"),
        right=Action.ADMINISTER,
        menu=_SERVICE,
        acts={"redrive": Act(redrive, RedriveForm)},
    ),
    Page(
        path="audit",
        shows=show_audit,
        title=N_("Audit trail"),
        asks=AuditPageAsked,
        right=Action.TRAIL,
        menu=_SERVICE,
        acts={"check": Act(check, CheckForm)},
    ),
    Page(
        path="service",
        shows=show_service,
        title=N_("Settings"),
        right=Action.ADMINISTER,
        menu=_SERVICE,
    ),
)
