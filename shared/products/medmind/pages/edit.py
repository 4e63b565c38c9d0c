"""An item of a plan: made and changed, with the doses of the next 14 days shown before it is kept.

The form carries what was shown of it (`seen`): what is kept is what somebody has looked at. A taper is
several items of one plan, one after the other; a change in the middle is a change of the item, and what
came to be due before it stays as it was.
"""

from __future__ import annotations

import hashlib
import json
import re
import secrets
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_, Act, Page, Response
from shared.console.push import push
from shared.console.visit import Visit, address
from shared.errors import InvalidRequest, NotFound
from shared.products.medmind import items
from shared.products.medmind.pages.circle import circle_of, clock_of, may_write
from shared.products.medmind.pages.plan import in_words
from shared.products.medmind.pages.words import CLOCK, FREQUENCIES, MEALS, WEEKDAYS
from shared.products.medmind.tables import ITEMS

_Id = Annotated[str, Meta(max_length=128)]

#: Columns of the medicine and of the plan that the form writes, and those of the item that are texts.
_MEDICINE = ("name", "strength", "form")
_PLAN = ("reason", "prescribed_by")
_TEXTS = ("unit", "starts_on", "ends_on", "frequency", "with_meal")

_NUMBERS = {"amount": float, "every": int, "grace_minutes": int, "most_a_day": int}


class ItemAsked(Struct):
    """Which item of which circle: `new`, or an id. `plan`: a further item of a plan."""

    item: _Id
    scope: Annotated[str, Meta(max_length=2000)] = ""
    plan: _Id = ""


def show_item(visit: Visit, asked: ItemAsked, preview: Any = None, seen: str = "") -> Response:
    """The form; `preview` is of what it holds, and `seen` its mark."""
    scope = circle_of(visit, asked.scope)
    found = visit.api.get("/api/v1/circle/plan", scope=scope)
    medicine, plan, item = _there(found["medicines"], asked)
    clock = clock_of(visit, found["time_zone"])
    values = visit.typed or _shown(medicine, plan, item, items.today(visit.now_ms, clock.zone))
    return visit.show(
        "medmind/item.html",
        scope=scope,
        medicine=medicine,
        plan=plan,
        item=item,
        values=values,
        preview=preview,
        seen=seen,
        summary=None if preview is None else in_words(visit, columns(visit.typed)),
        changes=[] if item is None else _changes(visit, item["versions"]),
        clock=clock if preview is None else clock_of(visit, preview["time_zone"]),
        may_write=may_write(visit, scope, ITEMS),
        frequencies=FREQUENCIES,
        weekdays=WEEKDAYS,
        meals=MEALS,
        notes=CLOCK,
        new_id=lambda: secrets.token_urlsafe(16),
    )


def look(visit: Visit, asked: ItemAsked) -> Response:
    """The doses that the form would make, beside those that there are."""
    visit.typed = {"act": "look", **visit.sent}
    found = _previewed(visit, asked)
    return show_item(visit, asked, found, _mark(visit.sent))


def save(visit: Visit, asked: ItemAsked) -> Response:
    """Keep it, if it is what was looked at."""
    if visit.sent.get("seen") != _mark(visit.sent):
        return look(visit, asked)
    scope = circle_of(visit, asked.scope, Action.WRITE)
    sent = visit.sent
    found = visit.api.get("/api/v1/circle/plan", scope=scope)
    medicine, plan, item = _there(found["medicines"], asked)
    name = item["record"]["id"] if item else sent.get("id", "")
    rows: dict[str, list[dict[str, Any]]] = {}
    medicine_id = medicine["id"] if medicine else f"{name}-m"
    plan_id = plan["id"] if plan else f"{name}-p"
    about = {column: sent.get(column, "").strip() or None for column in _MEDICINE}
    if not about["name"]:
        raise InvalidRequest(N_("Say what the medicine is called."), field="name")
    if changed := _changed(medicine, about):
        rows["medications"] = [{"id": medicine_id, **changed}]
    why = {column: sent.get(column, "").strip() or None for column in _PLAN}
    if (changed := _changed(plan, why)) or plan is None:
        rows["medication_plans"] = [{"id": plan_id, **changed, "medication_id": medicine_id}]
    now = columns(sent)
    if item is None:
        now |= {"plan_id": plan_id, "time_zone": found["time_zone"]}
    if changed := _changed(item and item["record"], now):
        rows["medication_plan_items"] = [{"id": name, **changed}]
    push(visit, scope, rows)
    return visit.go(address("plan", scope=scope), N_("It is kept."))


def remove(visit: Visit, asked: ItemAsked) -> Response:
    """Doses to come go; what was taken stays."""
    scope = circle_of(visit, asked.scope, Action.WRITE)
    push(visit, scope, {"medication_plan_items": [{"id": asked.item, "deleted": True}]})
    said = N_("It is ended. Doses to come are gone, what was taken stays.")
    return visit.go(address("plan", scope=scope), said)


def columns(sent: Mapping[str, str]) -> dict[str, Any]:
    """The columns of an item that a form holds. Raises `InvalidRequest`, which names the field."""
    found: dict[str, Any] = {name: sent.get(name, "").strip() or None for name in _TEXTS}
    if found["frequency"] not in FREQUENCIES:
        raise InvalidRequest(N_("There is no such choice."), field="frequency")
    for name, kind in _NUMBERS.items():
        text = sent.get(name, "").strip().replace(",", ".")
        try:
            found[name] = kind(text) if text else None
        except ValueError:
            raise InvalidRequest(N_("This must be a number."), field=name) from None
    found["times"] = [each for each in re.split(r"[\s,;]+", sent.get("times", "")) if each]
    found["weekdays"] = [each for each in WEEKDAYS if sent.get(each)]
    found["paused"] = bool(sent.get("paused"))
    return found


def _previewed(visit: Visit, asked: ItemAsked) -> Any:
    """What the form would do. Raises `InvalidRequest` for what cannot be read."""
    scope = circle_of(visit, asked.scope, Action.WRITE)
    zone = visit.api.get("/api/v1/circle/plan", scope=scope)["time_zone"]
    now = columns(visit.sent)
    if not now["starts_on"]:
        raise InvalidRequest(N_("Say from which day."), field="starts_on")
    if not now["times"] and now["frequency"] != "as_needed":
        raise InvalidRequest(N_("Say at which times, as 08:00, 20:00."), field="times")
    if asked.item == "new":
        now["time_zone"] = zone
    name = "" if asked.item == "new" else asked.item
    body = {"scope": scope, "columns": now, "item_id": name}
    found = visit.api.post("/api/v1/circle/plan/preview", body)
    for each in found["unread"]:
        raise InvalidRequest(N_("This cannot be read as a day or a time."), field=each)
    return found


def _there(medicines: list[Any], asked: ItemAsked) -> tuple[Any, Any, Any]:
    """Medicine, plan and item; None for what is new. Raises `NotFound`."""
    if asked.item == "new" and not asked.plan:
        return None, None, None
    for each in medicines:
        if asked.item == "new" and each["plan"] and each["plan"]["id"] == asked.plan:
            return each["medication"], each["plan"], None
        for item in each["items"]:
            if item["record"]["id"] == asked.item:
                return each["medication"], each["plan"], item
    raise NotFound("There is no such item of a plan, or none that you may see.", field="item")


def _shown(medicine: Any, plan: Any, item: Any, today: date) -> dict[str, str]:
    """What the fields of the form hold."""
    have: Mapping[str, Any] = {
        "frequency": "daily",
        "grace_minutes": 60,
        "starts_on": today.isoformat(),
    }
    if item is not None:
        have = item["record"]
    found = {name: _text((medicine or {}).get(name)) for name in _MEDICINE}
    found |= {name: _text((plan or {}).get(name)) for name in _PLAN}
    found |= {name: _text(have.get(name)) for name in (*_TEXTS, *_NUMBERS)}
    found["times"] = ", ".join(have.get("times") or ())
    found |= dict.fromkeys(have.get("weekdays") or (), "1")
    return {**found, "paused": "1" if have.get("paused") else ""}


def _text(value: Any) -> str:
    return "" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _changed(have: Mapping[str, Any] | None, now: Mapping[str, Any]) -> dict[str, Any]:
    """Columns that are to be another value; None and nothing are the same."""
    was = have or {}
    return {
        name: value for name, value in now.items() if (was.get(name) or None) != (value or None)
    }


def _mark(sent: Mapping[str, str]) -> str:
    """The mark of what a form says of days and times."""
    text = json.dumps(columns(sent), sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _changes(visit: Visit, versions: list[Any]) -> list[tuple[int, str]]:
    """When an item changed, and to what, the newest first."""
    return [(each["since"], in_words(visit, each)) for each in reversed(versions)]


PAGES = (
    Page(
        path="plan/{item}",
        shows=show_item,
        title=N_("Plan of a medicine"),
        asks=ItemAsked,
        acts={"look": Act(look), "save": Act(save), "remove": Act(remove)},
        right=Action.READ,
    ),
)
