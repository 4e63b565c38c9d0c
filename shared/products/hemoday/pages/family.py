"""The family's timeline, and its lists of reminders and templates."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_, Page, Response
from shared.console.pages.team import chosen
from shared.console.visit import Visit
from shared.errors import Forbidden, NotFound
from shared.products.hemoday.pages import forms
from shared.products.hemoday.pages.words import CATEGORIES, FREQUENCIES, MANY, ONE, PLACES
from shared.products.hemoday.ranges import applied
from shared.products.hemoday.timeline import DATED

MENU = N_("Records")

_Text = Annotated[str, Meta(max_length=2000)]


class FamilyAsked(Struct):
    """Which family, which table alone, and where the list goes on."""

    scope: _Text = ""
    table: Annotated[str, Meta(max_length=64)] = ""
    page: _Text = ""


def show_family(visit: Visit, asked: FamilyAsked) -> Response:
    """What happened, the newest first."""
    scope = family_of(visit, Action.READ, asked.scope)
    if asked.table and asked.table not in MANY:
        raise NotFound("There is no such table.", field="table")
    profile = profile_of(visit, scope)
    path = f"/api/v1/records/{asked.table}" if asked.table else "/api/v1/timeline"
    found = visit.api.get(path, scope=scope, page=asked.page)
    return visit.show(
        "hemoday/family.html",
        scope=scope,
        scopes=visit.scopes(Action.READ),
        asked=asked,
        profile=profile,
        entries=[_entry(each, profile) for each in found["entries"]],
        next_page=found["next_page"],
        may_write=scope in visit.scopes(Action.WRITE),
        one=ONE,
        many=MANY,
        categories=CATEGORIES,
        frequencies=FREQUENCIES,
        places=PLACES,
        amount_of=forms.amount,
        named=forms.named,
    )


def family_of(visit: Visit, right: Action, scope: str) -> str:
    """The family that a page is about. Raises `NotFound`; `Forbidden` for who may do it in none."""
    if not visit.scopes(right):
        raise Forbidden(N_("Your role does not allow this in any of your families."))
    return chosen(visit, right, scope)


def profile_of(visit: Visit, scope: str) -> dict[str, Any]:
    """The child of a family; empty if nobody has said anything of it."""
    try:
        found: dict[str, Any] = visit.api.get(
            f"/api/v1/records/family_profiles/{scope}", scope=scope
        )["record"]
    except NotFound:
        return {}
    return found


def _entry(entry: dict[str, Any], profile: dict[str, Any]) -> dict[str, Any]:
    """An entry with what its line says: amounts for the weight, values with their places in ranges."""
    record = entry["record"]
    weight = record.get("weight_kg") or profile.get("weight_kg")
    volume = record.get("volume_ml")
    entry["per_kg"] = round(volume / weight, 1) if volume and weight else None
    entry["before"] = _side(record, "before", profile)
    entry["after"] = _side(record, "after", profile)
    named = record.get("indicators") if entry["table"] == "analysis_templates" else None
    entry["names"] = [
        forms.named(each) if isinstance(each, dict) else str(each)
        for each in (named if isinstance(named, list) else ())
    ]
    entry["opens"], entry["dated"] = entry["table"] in forms.FORMS, entry["table"] in DATED
    for result in entry["results"]:
        result["place"] = place(result, profile)
    entry["asked"] = any(bool(each.get("questions")) for each in (record, *entry["results"]))
    entry["label"] = str(record.get("name") or record.get("title") or "")
    return entry


def _side(record: dict[str, Any], side: str, profile: dict[str, Any]) -> list[dict[str, Any]]:
    """Indicators before or after a transfusion as they were entered.

    Those before it have their place: a family's range of haemoglobin is what it should be then.
    """
    entered = record.get(f"indicators_{side}")
    found = record.get("indicators")
    canonical = (found.get(side) or []) if isinstance(found, dict) else []
    known = {forms.named(each): each for each in canonical}
    return [
        {
            **each,
            "name": forms.named(each),
            "place": place(
                {
                    name: known.get(forms.named(each), {}).get(name)
                    for name in ("loinc", "canonical_value")
                },
                profile,
            )
            if side == "before"
            else "",
        }
        for each in (entered if isinstance(entered, list) else ())
        if isinstance(each, dict)
    ]


def place(result: dict[str, Any], profile: dict[str, Any]) -> str:
    """Where a result lies in the range that decides: "low", "high", "in"; empty: there is none."""
    reported = (result.get("range_low"), result.get("range_high"))
    value = result.get("value") if reported != (None, None) else result.get("canonical_value")
    held = applied(reported, result.get("loinc"), profile.get("ranges") or {})
    return held.place(value) if held is not None and value is not None else ""


PAGES = (
    Page(
        path="family",
        shows=show_family,
        title=N_("Timeline"),
        asks=FamilyAsked,
        right=Action.READ,
        menu=MENU,
    ),
)
