"""All medicines with their plans, in words."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any

from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_, Act, Page, Response
from shared.console.push import push
from shared.console.visit import Visit
from shared.errors import InvalidRequest
from shared.products.medmind.items import rule_of, today
from shared.products.medmind.pages.circle import (
    CirclePageAsked,
    circle_of,
    clock_of,
    may_write,
)
from shared.products.medmind.pages.words import FREQUENCIES, MEALS, MENU
from shared.products.medmind.tables import ITEMS

#: Between them a text has its own direction, whatever stands around it (Unicode, UAX 9).
_ISOLATE, _END = "\u2068", "\u2069"


class CountForm(Struct):
    """How much of which medicine there is."""

    id: Annotated[str, Meta(max_length=128)]
    stock: Annotated[str, Meta(max_length=20)]


def show_plan(visit: Visit, asked: CirclePageAsked) -> Response:
    """Medicines by their names."""
    scope = circle_of(visit, asked.scope)
    found = visit.api.get("/api/v1/circle/plan", scope=scope)
    clock = clock_of(visit, found["time_zone"])
    day = today(visit.now_ms, clock.zone)
    return visit.show(
        "medmind/plan.html",
        scope=scope,
        patient=found["patient"],
        medicines=found["medicines"],
        worded=lambda item: in_words(visit, item),
        day_of=lambda text: visit.words.whole_day(date.fromisoformat(text)),
        past=lambda item: is_past(item, day),
        clock=clock,
        may_write=may_write(visit, scope, ITEMS),
        meals=MEALS,
    )


def is_past(item: Mapping[str, Any], day: date) -> bool:
    """Whether an item's last day is over."""
    last = rule_of(item).last
    return last is not None and last < day


def in_words(visit: Visit, item: Mapping[str, Any]) -> str:
    """An item's days and times, as its columns or one of its versions says them."""
    words, rule = visit.words, rule_of(item)
    parts = []
    if rule.frequency == "every_n_days":
        parts.append(words.many("Every %(num)s day", "Every %(num)s days", rule.every))
    elif rule.frequency == "every_n_hours" or rule.frequency == "every_n_hours":
        parts.append(words.many("Every %(num)s hour", "Every %(num)s hours", rule.every))
    elif rule.frequency == "weekly":
        days = sorted(rule.weekdays) or [rule.first.weekday()]
        parts.append(", ".join(words.weekday(each) for each in days))
    else:
        parts.append(words.said(FREQUENCIES.get(rule.frequency, rule.frequency)))
    if rule.frequency == "as_needed" and item.get("most_a_day"):
        said = words.many("at most once a day", "at most %(num)s times a day", item["most_a_day"])
        parts.append(said)
    if rule.times and rule.frequency != "as_needed":
        parts.append(", ".join(f"{each:%H:%M}" for each in rule.times))
    if rule.first not in (date.min, date.max):
        parts.append(words.said(N_("from %(day)s"), day=words.whole_day(rule.first)))
    if rule.last is not None:
        parts.append(words.said(N_("until %(day)s"), day=words.whole_day(rule.last)))
    if item.get("paused"):
        parts.append(words.said(N_("paused")))
    return " · ".join(f"{_ISOLATE}{each}{_END}" for each in parts)


def count(visit: Visit, asked: CirclePageAsked, form: CountForm) -> Response:
    """How much of a medicine is there now."""
    scope = circle_of(visit, asked.scope, Action.WRITE)
    try:
        stock = float(form.stock.strip().replace(",", "."))
    except ValueError:
        raise InvalidRequest(N_("This must be a number."), field="stock") from None
    row = {"id": form.id, "stock": stock, "counted_at": visit.now_ms}
    push(visit, scope, {"medications": [row]}, ("counted_at",))
    return visit.again(N_("It is counted."))


def pause(visit: Visit, asked: CirclePageAsked) -> Response:
    """Not taken for now, or taken again."""
    scope = circle_of(visit, asked.scope, Action.WRITE)
    paused = visit.sent.get("paused") == "1"
    push(visit, scope, {"medication_plan_items": [{"id": visit.sent["id"], "paused": paused}]})
    return visit.again(N_("It is paused.") if paused else N_("It goes on."))


PAGES = (
    Page(
        path="plan",
        shows=show_plan,
        title=N_("Medicines"),
        asks=CirclePageAsked,
        acts={"pause": Act(pause), "count": Act(count, CountForm)},
        right=Action.READ,
        menu=MENU,
    ),
)
