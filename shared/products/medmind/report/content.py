"""What the report for the doctor says of some days: a circle's records in one language, as plain data.

Numbers are counted of the doses themselves, at the moment that it is made. Nothing is left out without a
word: a list that is longer than its bound says how many there are. It says what was told, and concludes
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import Any, NamedTuple

from shared.console.page import N_
from shared.console.words import Words
from shared.export.letters import ltr, own
from shared.products.medmind.doses import SKIPPED
from shared.products.medmind.patient_days import PatientClock, monday, week_name
from shared.products.medmind.report.sentences import SYMPTOM_NAMES, changed
from shared.products.medmind.summary import DoseFact, Happened, SummaryNumbers, numbers
from shared.products.medmind.symptoms import symptom

#: Longest lists of one report: what is beyond is counted.
MOST_ROWS, _MOST_INSIGHTS = 120, 12

_HEAD = (N_("Due"), N_("Taken"), N_("Late"), N_("Missed"), N_("Skipped"), N_("As needed"))

_HOW = {"as_needed": N_("As needed"), "paused": N_("Paused")}


class ReportedDose(NamedTuple):
    """A dose, and the medicine it is of."""

    fact: DoseFact
    medicine: str
    needed: bool  #: taken as needed


class ReportedSymptom(NamedTuple):
    """What the patient said of how they are."""

    at_ms: int
    what: str
    severity: str


class Reported(NamedTuple):
    """All that a report is made of."""

    patient: str
    first: date
    last: date
    clock: PatientClock
    doses: Sequence[ReportedDose]
    symptoms: Sequence[ReportedSymptom]
    insights: Sequence[Mapping[str, Any]]
    plans: Sequence[
        tuple[str, str, str, str]
    ]  #: medicine, amount, when; `as_needed`, `paused` or ""


def content(found: Reported, words: Words, now_ms: int) -> dict[str, Any]:
    """The report as data."""
    said = words.said
    whole = numbers(_happened(found.doses))
    name = found.patient or said("No name entered")
    span = said(
        "%(first)s to %(last)s", first=_day(found.first, words), last=_day(found.last, words)
    )
    made = said("Made on %(day)s", day=words.day(now_ms))
    nothing = said("There are no records of these days.")
    return {
        "language": words.language,
        "direction": words.direction,
        "title": said("Report for the doctor"),
        "name": own(name, 80),
        "short_name": own(name, 30),
        "subtitle": f"{span} · {made}",
        "facts": [],
        "page": said("Page"),
        "note": said("Made of what was told. Nobody has checked it."),
        "empty": None if found.doses or found.symptoms else nothing,
        "cards": _cards(whole, words),
        "lists": [_plans(found.plans, words), _insights(found.insights, words)],
        "tables": [
            _medicines(found.doses, words),
            _weeks(found, words),
            _skipped(found, words),
            _symptoms(found, words),
        ],
    }


def _cards(whole: SummaryNumbers, words: Words) -> list[dict[str, Any]]:
    said = words.said
    percent = "–" if whole.percent_taken is None else words.percent(whole.percent_taken / 100)
    delay = "–" if whole.delay_minutes is None else ltr(str(whole.delay_minutes))
    of = said("%(part)s of %(whole)s doses", part=whole.taken, whole=whole.due - whole.open)
    return [
        {"label": said("Taken"), "value": percent, "unit": "", "lines": [of]},
        {"label": said("Missed"), "value": str(whole.missed), "unit": said("doses"), "lines": []},
        {"label": said("Skipped"), "value": str(whole.skipped), "unit": said("doses"), "lines": []},
        {"label": said("Late"), "value": str(whole.late), "unit": said("doses"), "lines": []},
        {
            "label": said("Median delay"),
            "value": delay,
            "unit": said("minutes"),
            "lines": [said("From due to taken.")],
        },
        {
            "label": said("As needed"),
            "value": str(whole.as_needed),
            "unit": said("doses"),
            "lines": [said("Not among the others.")],
        },
    ]


def _plans(plans: Sequence[tuple[str, str, str, str]], words: Words) -> dict[str, Any]:
    rows = []
    for medicine, amount, when, how in plans:
        said = [amount, when, words.said(_HOW[how])] if how else [amount, when]
        rows.append([own(medicine, 100), own(" · ".join(filter(None, said)), 160)])
    return _list(words.said("Plan, as it is now"), rows, MOST_ROWS, words)


def _insights(insights: Sequence[Mapping[str, Any]], words: Words) -> dict[str, Any]:
    rows = [
        [
            changed(each, words),
            words.said(
                "Found on %(day)s. Fisher's exact test, p = %(p)s",
                day=_day(date.fromisoformat(str(each["found_on"])), words),
                p=ltr(f"{each['p_value']:.2g}"),
            ),
        ]
        for each in insights
    ]
    return _list(words.said("Changes that are more than noise"), rows, _MOST_INSIGHTS, words)


def _medicines(doses: Sequence[ReportedDose], words: Words) -> dict[str, Any]:
    by: dict[str, list[ReportedDose]] = {}
    for each in doses:
        by.setdefault(each.medicine, []).append(each)
    rows = [[own(name, 80), *_counts(numbers(_happened(by[name])))] for name in sorted(by)]
    return _table(N_("Medicines"), (N_("Medicine"), *_HEAD), (1, *(0,) * 6), rows, words)


def _weeks(found: Reported, words: Words) -> dict[str, Any]:
    by: dict[date, list[ReportedDose]] = {}
    for each in found.doses:
        by.setdefault(monday(found.clock.day_of(each.fact.due_ms)), []).append(each)
    rows = [
        [
            f"{ltr(week_name(first))} · {_day(max(first, found.first), words)}",
            *_counts(numbers(_happened(by[first]))),
        ]
        for first in sorted(by, reverse=True)
    ]
    return _table(N_("Weeks"), (N_("Week"), *_HEAD), (1, *(0,) * 6), rows, words)


def _skipped(found: Reported, words: Words) -> dict[str, Any]:
    rows = [
        [
            _day(found.clock.day_of(each.fact.due_ms), words),
            own(each.medicine, 60),
            own(each.fact.reason, 200) if each.fact.reason else words.said("No reason was given"),
        ]
        for each in sorted(found.doses, key=lambda each: -each.fact.due_ms)
        if each.fact.state == SKIPPED
    ]
    head = (N_("Day"), N_("Medicine"), N_("Reason"))
    return _table(N_("Skipped doses"), head, (0, 0, 1), rows, words)


def _symptoms(found: Reported, words: Words) -> dict[str, Any]:
    rows = [
        [
            _day(found.clock.day_of(each.at_ms), words),
            words.said(SYMPTOM_NAMES[symptom(each.what)]),
            own(" · ".join(filter(None, (each.what, each.severity))), 200),
        ]
        for each in sorted(found.symptoms, key=lambda each: -each.at_ms)
    ]
    head = (N_("Day"), N_("Kind"), N_("In the patient's words"))
    return _table(N_("Symptoms that were told"), head, (0, 0, 1), rows, words)


def _counts(found: SummaryNumbers) -> list[str]:
    return [
        str(each)
        for each in (
            *(found.due, found.taken, found.late, found.missed, found.skipped, found.as_needed),
        )
    ]


def _happened(doses: Iterable[ReportedDose]) -> Happened:
    found = Happened()
    for each in doses:
        if each.needed:
            found.as_needed.append(each.fact.due_ms)
        else:
            found.doses.append(each.fact)
    return found


def _day(day: date, words: Words) -> str:
    return f"{words.short_day(day)} {day.year}"


def _list(title: str, rows: list[list[str]], most: int, words: Words) -> dict[str, Any]:
    none = "" if rows else words.said("None.")
    return {"title": title, "none": none, "rows": rows[:most], "more": _more(rows, most, words)}


def _table(
    title: str,
    head: Sequence[str],
    widths: Sequence[int],
    rows: list[list[str]],
    words: Words,
) -> dict[str, Any]:
    return {
        "title": words.said(title),
        "text": "" if rows else words.said("None."),
        "head": [words.said(each) for each in head],
        "widths": list(widths),
        "rows": rows[:MOST_ROWS],
        "more": _more(rows, MOST_ROWS, words),
    }


def _more(rows: Sequence[object], most: int, words: Words) -> str:
    over = len(rows) - most
    if over <= 0:
        return ""
    return words.many("%(num)s more is not shown.", "%(num)s more are not shown.", over)
