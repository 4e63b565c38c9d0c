"""The circles that somebody is in, those first that need them; one patient as a doctor looks at them."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated, Any

from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_, Act, Page, Response
from shared.console.visit import Visit
from shared.products.medmind.pages.circle import (
    CirclePageAsked,
    adherence,
    circle_of,
    clock_of,
)
from shared.products.medmind.pages.circle import in_words as weeks_in_words
from shared.products.medmind.pages.plan import in_words
from shared.products.medmind.pages.week import drawn, of_days, two_spans
from shared.products.medmind.pages.words import MENU, STATES

#: Circles that one page shows.
MOST_CIRCLES = 30

#: Days that are compared with those before, and days of the doctor's picture of a patient.
_WEEK, _MONTH = 7, 28

#: A share of doses taken that is lower by so much than the week before needs somebody.
FALLEN = 0.15


class PatientReportForm(Struct):
    """Which days, and in which language: the doctor's may be another than the reader's."""

    first_day: Annotated[str, Meta(max_length=20)]
    last_day: Annotated[str, Meta(max_length=20)]
    language: Annotated[str, Meta(max_length=16)] = "en"


def show_circles(visit: Visit) -> Response:
    """Each circle with what needs somebody, those first."""
    mine = visit.scopes(Action.READ)
    shown = [_summed(visit, scope) for scope in mine[:MOST_CIRCLES]]
    shown.sort(key=lambda each: (not each["needs"], (each["patient"] or each["scope"]).casefold()))
    return visit.show("medmind/circles.html", circles=shown, more=len(mine) - len(shown))


def _summed(visit: Visit, scope: str) -> dict[str, Any]:
    found, before, _ = two_spans(visit, scope, "", _WEEK)
    numbers, earlier = adherence(found["doses"]), adherence(before["doses"])
    devices = visit.api.get("/api/v1/circle/devices", scope=scope)["devices"]
    fallen = (
        numbers.share is not None
        and earlier.share is not None
        and earlier.share - numbers.share >= FALLEN
    )
    silent = any(each["silent"] for each in devices)
    opened = visit.api.get("/api/v1/circle/alerts", scope=scope)["open"]
    return {
        "scope": scope,
        "patient": found["patient"],
        "role": visit.roles[scope],
        "numbers": numbers,
        "before": earlier,
        "fallen": fallen,
        "silent": silent,
        "open": opened,
        "needs": bool(opened) or fallen or silent,
    }


def show_patient(visit: Visit, asked: CirclePageAsked) -> Response:
    """Four weeks of doses, and the plan with its changes."""
    scope = circle_of(visit, asked.scope)
    found, before, last = two_spans(visit, scope, "", _MONTH)
    clock = clock_of(visit, found["time_zone"])
    plan = visit.api.get("/api/v1/circle/plan", scope=scope)
    summaries, insights = weeks_in_words(visit, scope, 4)
    by_day = of_days(found["doses"], clock)
    days = [last - timedelta(at) for at in range(_MONTH)]
    changes = sorted(
        (
            (version["since"], each["medication"], in_words(visit, version), number == 0)
            for each in plan["medicines"]
            for item in each["items"]
            for number, version in enumerate(item["versions"])
        ),
        key=lambda each: -each[0],
    )
    return visit.show(
        "medmind/patient.html",
        scope=scope,
        patient=plan["patient"] or {},
        numbers=adherence(found["doses"]),
        before=adherence(before["doses"]),
        drawn=drawn(visit, {day: adherence(by_day.get(day, ())) for day in days}),
        medicines=plan["medicines"],
        worded=lambda item: in_words(visit, item),
        changes=changes[:50],
        states=STATES,
        skipped=[each for each in reversed(found["doses"]) if each["reason"]][:20],
        clock=clock,
        first=(last - timedelta(_MONTH - 1)).isoformat(),
        last=last.isoformat(),
        may_report=scope in visit.scopes(Action.EXPORT),
        summaries=summaries,
        insights=insights,
        symptoms=visit.api.get("/api/v1/circle/said", scope=scope)["symptoms"][:20],
    )


def report(visit: Visit, asked: CirclePageAsked, form: PatientReportForm) -> Response:
    """The report of some days, as a file."""
    wanted = {"scope": circle_of(visit, asked.scope, Action.EXPORT), "language": form.language}
    days = {"first_day": form.first_day, "last_day": form.last_day}
    made = visit.api.post("/api/v1/reports", {**wanted, **days})
    found = visit.api.file(f"/api/v1/reports/{made['id']}")
    name = f"medmind-{form.first_day}-{form.last_day}.pdf"
    return visit.download(found.get_data(), name, "application/pdf")


PAGES = (
    Page(
        path="circles",
        shows=show_circles,
        title=N_("My circles"),
        right=Action.READ,
        menu=MENU,
    ),
    Page(
        path="patient",
        shows=show_patient,
        title=N_("The patient"),
        asks=CirclePageAsked,
        acts={"report": Act(report, PatientReportForm)},
        right=Action.READ,
        menu=MENU,
    ),
)
