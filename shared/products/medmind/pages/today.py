"""The doses of a day: what became of each, what was said of it, and saying it in the patient's place."""

from __future__ import annotations

import secrets
from datetime import date, time, timedelta
from typing import Annotated, Any, Literal

from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_, Act, Page, Response
from shared.console.visit import Visit, address
from shared.errors import InvalidRequest, NotFound
from shared.products.medmind.doses import DUE, MISSED, PLANNED, SKIPPED, TAKEN, UNDONE
from shared.products.medmind.pages.circle import append, circle_of, clock_of, may_write, people
from shared.products.medmind.pages.words import KINDS, MEALS, MENU, STATES
from shared.products.medmind.tables import EVENTS

_Id = Annotated[str, Meta(max_length=128)]
_Short = Annotated[str, Meta(max_length=40)]


class TodayAsked(Struct):
    """Of which circle, and which day; empty: today."""

    scope: Annotated[str, Meta(max_length=2000)] = ""
    day: _Short = ""


class SayForm(Struct):
    """What became of a dose. `id` is the event's: a form that is sent twice is one event."""

    dose: _Id
    id: _Id
    kind: Literal["taken", "skipped"]
    time: _Short = ""
    reason: Annotated[str, Meta(max_length=1000)] = ""


class NeedForm(Struct):
    """Which item was taken, as needed; `id` is the event's."""

    item: _Id
    id: _Id


class UndoForm(Struct):
    """Which event never happened."""

    dose: _Id
    id: _Id
    event: _Id


def show_today(visit: Visit, asked: TodayAsked) -> Response:
    """The doses of a day. Who is in several circles chooses one first."""
    mine = visit.scopes(Action.READ)
    if not asked.scope and len(mine) > 1:
        return visit.go(address("circles"))
    scope = circle_of(visit, asked.scope)
    found = visit.api.get("/api/v1/circle/doses", scope=scope, first_day=asked.day)
    devices = visit.api.get("/api/v1/circle/devices", scope=scope)["devices"]
    plan = visit.api.get("/api/v1/circle/plan", scope=scope)["medicines"]
    calls = visit.api.get("/api/v1/circle/alerts", scope=scope)["open"]
    clock = clock_of(visit, found["time_zone"])
    today = date.fromisoformat(found["today"])
    day = date.fromisoformat(asked.day) if asked.day else today
    coming = [each for each in found["doses"] if each["due_at"] > visit.now_ms]
    return visit.show(
        "medmind/today.html",
        scope=scope,
        several=len(mine) > 1,
        patient=found["patient"],
        doses=found["doses"],
        following=coming[0] if coming else None,
        day=day,
        today=today,
        before=day - timedelta(1),
        after=day + timedelta(1),
        moves=[
            (each, clock.hour_moves(each))
            for each in (day, day + timedelta(1))
            if clock.hour_moves(each)
        ],
        clock=clock,
        needed=_needed(plan, found["doses"]),
        devices=devices,
        calls=calls,
        names={**people(visit, scope), **_called(visit, devices)},
        may_write=may_write(visit, scope, EVENTS),
        states=STATES,
        kinds=KINDS,
        meals=MEALS,
        open_states=(PLANNED, DUE, MISSED),
        new_id=lambda: secrets.token_urlsafe(16),
    )


def _needed(plan: list[Any], doses: list[Any]) -> list[tuple[Any, Any, int]]:
    """Items that are taken as needed: with their medicines, and how often they were taken that day."""
    taken = [each["item_id"] for each in doses if each["as_needed"] and each["state"] != MISSED]
    return [
        (item["record"], each["medication"], taken.count(item["record"]["id"]))
        for each in plan
        for item in each["items"]
        if item["record"]["frequency"] == "as_needed" and not item["record"]["paused"]
    ]


def need(visit: Visit, asked: TodayAsked, form: NeedForm) -> Response:
    """What is taken as needed was taken now."""
    scope = circle_of(visit, asked.scope, Action.WRITE)
    event = {"dose_id": form.item, "kind": TAKEN, "at": visit.now_ms}
    append(visit, scope, EVENTS, {"id": form.id, **event})
    return visit.again(N_("It is noted. It shows here within a minute."))


def _called(visit: Visit, devices: list[dict[str, Any]]) -> dict[str, str]:
    """What the circle's devices are called."""
    said = visit.words.said
    if len(devices) == 1:
        return {devices[0]["user_id"]: said(N_("the device"))}
    return {
        each["user_id"]: said(N_("device %(number)s"), number=at)
        for at, each in enumerate(devices, 1)
    }


def say(visit: Visit, asked: TodayAsked, form: SayForm) -> Response:
    """Note what became of a dose, as a phone does."""
    scope = circle_of(visit, asked.scope, Action.WRITE)
    found = visit.api.get("/api/v1/circle/doses", scope=scope, first_day=asked.day)
    dose = next((each for each in found["doses"] if each["id"] == form.dose), None)
    if dose is None:
        raise NotFound("There is no such dose.", field="dose")
    at_ms = visit.now_ms
    if form.time:
        clock = clock_of(visit, found["time_zone"])
        try:
            at_ms = clock.at(clock.day_of(dose["due_at"]), time.fromisoformat(form.time))
        except ValueError:
            raise InvalidRequest(N_("This must be a time, as 08:30."), field="time") from None
        if at_ms > visit.now_ms:
            raise InvalidRequest(N_("This time has not come yet."), field="time")
    if form.kind == SKIPPED and not form.reason.strip():
        raise InvalidRequest(N_("Say why it was skipped."), field="reason")
    kind = SKIPPED if form.kind == SKIPPED else TAKEN
    event = {"id": form.id, "dose_id": form.dose, "kind": kind, "at": at_ms}
    if kind == SKIPPED:
        event["reason"] = form.reason.strip()
    append(visit, scope, EVENTS, event)
    return visit.again(N_("It is noted."))


def undo(visit: Visit, asked: TodayAsked, form: UndoForm) -> Response:
    """An event never happened."""
    scope = circle_of(visit, asked.scope, Action.WRITE)
    event = {"dose_id": form.dose, "kind": UNDONE, "at": visit.now_ms, "undoes": form.event}
    append(visit, scope, EVENTS, {"id": form.id, **event})
    return visit.again(N_("It is noted."))


PAGES = (
    Page(
        path="today",
        shows=show_today,
        title=N_("Today"),
        asks=TodayAsked,
        acts={"say": Act(say, SayForm), "need": Act(need, NeedForm), "undo": Act(undo, UndoForm)},
        right=Action.READ,
        menu=MENU,
    ),
)
