"""The circle's people and its devices: a code for a new device, another key for one, putting one out."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import quote

from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_, Act, Page, Response
from shared.console.pages.team import names
from shared.console.qr import qr_code
from shared.console.visit import Visit
from shared.errors import NotFound
from shared.products.medmind.pages.circle import CirclePageAsked, circle_of
from shared.products.medmind.pages.words import MENU, ROLES
from shared.products.medmind.rights import DEVICE

#: A code for a device is good for one, and for a day.
_USES, _DAYS = 1, 1


class DeviceForm(Struct):
    """Which device."""

    id: Annotated[str, Meta(max_length=128)]


def show_people(visit: Visit, asked: CirclePageAsked, made: Any = None) -> Response:
    """Devices and people; `made` is a code that was made just now."""
    scope = circle_of(visit, asked.scope)
    manages = visit.frame.accounts().members.policy.may_manage(visit.roles[scope])
    members: Any = []
    if manages:
        members = visit.api.get("/api/v1/auth/members", scope_id=scope)["members"]
    return visit.show(
        "medmind/people.html",
        scope=scope,
        devices=visit.api.get("/api/v1/circle/devices", scope=scope)["devices"],
        members=[each for each in members if each["role"] != DEVICE],
        names=names(visit, [scope]),
        manages=manages,
        made=made,
        code=None if made is None else qr_code(made["invite_code"]),
        roles=ROLES,
    )


def invite(visit: Visit, asked: CirclePageAsked) -> Response:
    """A code that lets one device in, shown this once."""
    scope = circle_of(visit, asked.scope, Action.SUPERVISE)
    return show_people(visit, asked, _code(visit, scope))


def replace(visit: Visit, asked: CirclePageAsked, form: DeviceForm) -> Response:
    """The device's key is worth nothing any more; a code lets it in again with another one."""
    scope = circle_of(visit, asked.scope, Action.SUPERVISE)
    _out(visit, scope, form.id)
    return show_people(visit, asked, _code(visit, scope))


def put_out(visit: Visit, asked: CirclePageAsked, form: DeviceForm) -> Response:
    """The device knows nothing of the circle any more, at once."""
    _out(visit, circle_of(visit, asked.scope, Action.SUPERVISE), form.id)
    return visit.again(N_("The device is out. It is told nothing any more."))


def _code(visit: Visit, scope: str) -> Any:
    body = {"scope_id": scope, "role": DEVICE, "max_uses": _USES, "expires_in_days": _DAYS}
    return visit.api.post("/api/v1/auth/invites", body)


def _out(visit: Visit, scope: str, device: str) -> None:
    devices = visit.api.get("/api/v1/circle/devices", scope=scope)["devices"]
    if device not in {each["user_id"] for each in devices}:
        raise NotFound("There is no such device, or none of yours.", field="id")
    path = f"/api/v1/auth/members/{quote(device, safe='')}/remove"
    visit.api.post(path, {"scope_id": scope})


PAGES = (
    Page(
        path="people",
        shows=show_people,
        title=N_("People and device"),
        asks=CirclePageAsked,
        acts={
            "invite": Act(invite),
            "replace": Act(replace, DeviceForm),
            "put-out": Act(put_out, DeviceForm),
        },
        right=Action.READ,
        menu=MENU,
    ),
)
