"""Phones: who does not sync, why, and what to do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from flask import Response
from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_, Page
from shared.console.pages.team import MENU, Token, names, reason
from shared.console.visit import Visit

#: Phones of one page.
_PAGE = 50

_DAY_MS = 86_400_000

#: What the last attempt met: what happened, and what to do.
OUTCOMES = {
    "interrupted": (
        N_("The answer did not get through whole."),
        N_("Sync where the network is better, near a window or on Wi-Fi."),
    ),
    "app_too_old": (N_("The app is too old."), N_("Update the app; nothing is lost.")),
    "too_many_tries": (
        N_("The phone asks too often."),
        N_("Leave it alone for an hour. If it goes on, update the app."),
    ),
    "request_too_large": (
        N_("The phone sends too much at once."),
        N_("Update the app: a newer one sends its records in parts."),
    ),
    "request_timeout": (
        N_("Sending took too long."),
        N_("Sync where the network is better, near a window or on Wi-Fi."),
    ),
    "stale_push": (
        N_("Others had changed the same records."),
        N_("Sync once more on that phone: it fetches first, then sends."),
    ),
    "account_disabled": (N_("The account is closed."), N_("Ask an admin to open it again.")),
    "page_expired": (N_("A sync was begun long ago and never ended."), N_("Sync once more.")),
    "invalid_cursor": (
        N_("The phone does not know where it had stopped."),
        N_("Let the app fetch everything anew. What was not sent stays on the phone."),
    ),
    "store_unavailable": (
        N_("The service could not reach its records."),
        N_("Sync once more. If others have it too, ask whoever runs the service."),
    ),
    "busy": (N_("Too many were writing at that moment."), N_("Sync once more.")),
    "forbidden": (
        N_("The user is in no team, or may not do this."),
        N_("Look at the members of the team, and invite the user again if needed."),
    ),
}
_APP_FAULTS = ("invalid_json", "invalid_request", "time_in_milliseconds", "time_in_seconds")
_OF_THE_APP = (N_("The service does not understand the app."), N_("Update the app."))
_OTHERS = (
    N_("The last sync failed."),
    N_("Sync once more. If it goes on, ask whoever runs the service, and say the code."),
)


class DevicesPageAsked(Struct):
    """Which phones."""

    failing: Annotated[str, Meta(max_length=8)] = ""
    page: Token = ""


def show_devices(visit: Visit, asked: DevicesPageAsked) -> Response:
    """The phones of all supervised teams, those with a problem first."""
    failing = "1" if asked.failing == "1" else ""
    found = visit.api.get("/api/v1/devices", failing=failing, page=asked.page, limit=_PAGE)
    scopes = visit.scopes(Action.SUPERVISE)
    return visit.show(
        "console/devices.html",
        devices=[(each, problems(visit, each)) for each in found["devices"]],
        next_page=found["next_page"],
        failing=failing,
        names=names(visit, (scope for each in found["devices"] for scope in each["scopes"])),
        several=len(scopes) > 1,
        asked=asked,
    )


def problems(visit: Visit, device: Mapping[str, Any]) -> list[tuple[str, str, str]]:
    """Everything that is wrong with a phone: what (in words), what to do, and the code to name."""
    said, settings = visit.words.said, visit.call.settings
    found: list[tuple[str, str, str]] = []
    code = device["outcome"]
    if code != "ok":
        what, act = OUTCOMES.get(code, _OF_THE_APP if code in _APP_FAULTS else _OTHERS)
        times = visit.words.many("%(num)s time", "%(num)s times", device["failures"])
        found.append((f"{said(what)} ({times})", said(act), code))
    silent_ms = visit.now_ms - device["attempt_at"]
    if silent_ms > settings.silent_days * _DAY_MS:
        what = said(N_("Not heard of for %(long)s."), long=visit.words.duration(silent_ms))
        act = N_("Call the user: is the phone lost, off, or never near a network?")
        found.append((what, said(act), ""))
    counts: dict[str, int] = {}
    for each in device["rejected"]:
        counts[each["code"]] = counts.get(each["code"], 0) + 1
    for name, count in sorted(counts.items()):
        what = visit.words.many(
            "%(num)s record was not taken.", "%(num)s records were not taken.", count
        )
        found.append((what, said(reason(name)), name))
    if device["unknown_columns"]:
        columns = ", ".join(
            f"{table}.{name}" if name else table
            for table, listed in sorted(device["unknown_columns"].items())
            for name in listed or ("",)
        )
        act = N_("Ask whoever runs the service to update it. The phone keeps what was left out.")
        what = said(N_("The app knows more than this service: some values were left out."))
        found.append((what, said(act), columns))
    offset_ms = device["clock_offset_ms"] or 0
    if abs(offset_ms) > settings.clock_tolerance_seconds * 1000:
        span = visit.words.duration(abs(offset_ms))
        ahead = N_("The phone's clock is %(long)s ahead.")
        behind = N_("The phone's clock is %(long)s behind.")
        act = N_("Let the phone set date and time by itself, in its settings.")
        found.append((said(ahead if offset_ms > 0 else behind, long=span), said(act), ""))
    return found


PAGES = (
    Page(
        path="devices",
        shows=show_devices,
        title=N_("Phones"),
        asks=DevicesPageAsked,
        right=Action.SUPERVISE,
        menu=MENU,
    ),
)
