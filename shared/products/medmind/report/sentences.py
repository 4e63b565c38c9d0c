"""What is said of a day or a week, a sentence a fact: the fixed text, and what a model's is held against.

Everything that is said stands here, in the languages of `locales`. There is no sentence about health, and
none that says what to do.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from shared.console.page import N_
from shared.console.words import Words, words_of
from shared.products.medmind.summary import SummaryNumbers

#: Languages of all that is told of a patient; others get the first.
LANGUAGES = ("en", "hi", "ar", "ru")

#: Symptoms by their codes (`symptoms.py`).
SYMPTOM_NAMES = {
    "pain": N_("pain"),
    "headache": N_("headache"),
    "dizziness": N_("dizziness"),
    "nausea": N_("nausea"),
    "vomiting": N_("vomiting"),
    "diarrhoea": N_("diarrhoea"),
    "constipation": N_("constipation"),
    "fever": N_("fever"),
    "cough": N_("cough"),
    "breathlessness": N_("breathlessness"),
    "tiredness": N_("tiredness"),
    "sleeplessness": N_("sleeplessness"),
    "swelling": N_("swelling"),
    "itching": N_("itching"),
    "fall": N_("fall"),
    "other": N_("another complaint"),
}

#: Hours from which a delay is said in hours.
_HOURS_FROM = 2

_NUMBER = re.compile(r"\d+")


_OF_CHANGE = ("recent_hits", "recent_days", "before_hits", "before_days")

_CHANGES = {
    "more_missed": N_(
        "More days with a missed dose: %(recent_hits)s of %(recent_days)s, before %(before_hits)s of "
        "%(before_days)s."
    ),
    "fewer_missed": N_(
        "More days without a missed dose: %(recent_hits)s of %(recent_days)s, before %(before_hits)s of "
        "%(before_days)s."
    ),
    "later": N_(
        "Doses are taken later. Minutes after their time: %(recent_median)s, before %(before_median)s."
    ),
    "earlier": N_(
        "Doses are taken earlier. Minutes after their time: %(recent_median)s, before %(before_median)s."
    ),
    "symptom_more": N_(
        "More days with this told: %(symptom)s. %(recent_hits)s of %(recent_days)s, before %(before_hits)s "
        "of %(before_days)s."
    ),
}


class ToldFact(NamedTuple):
    """One fact of a summary, the sentence that says it, and the numbers in that, in their order."""

    name: str
    sentence: str
    numbers: tuple[int, ...]


def words_in(language: str | None, zone: str = "UTC") -> Words:
    """How things are said in a language; in English, if it is none of ours."""
    code = str(language or "").split("-")[0].split("_")[0].casefold()
    chosen = code if code in LANGUAGES else LANGUAGES[0]
    return words_of(chosen, (Path(__file__).parent,), zone)


def facts(found: SummaryNumbers, words: Words) -> Iterator[ToldFact]:
    """What is to be said, the most important first: nothing that is not in the numbers, nothing missing.

    A count of nothing is left out, but not what was taken.
    """

    def many(one: str, more: str, count: int, **values: str) -> tuple[int, str]:
        return count, words.many(one, more, count, num=str(count), **values)

    if not found.due:
        yield ToldFact("nothing", words.said("Nothing was planned."), ())
    hours = (found.delay_minutes or 0) // 60
    minutes = 0 if hours >= _HOURS_FROM else max(0, found.delay_minutes or 0)
    told = {
        "taken": many(
            "%(taken)s of the %(num)s dose due was taken.",
            "%(taken)s of the %(num)s doses due were taken.",
            found.due,
            taken=str(found.taken),
        ),
        "missed": many("%(num)s dose was missed.", "%(num)s doses were missed.", found.missed),
        "late": many("%(num)s dose was taken late.", "%(num)s doses were taken late.", found.late),
        "skipped": many("%(num)s dose was skipped.", "%(num)s doses were skipped.", found.skipped),
        "open": many("%(num)s dose is still open.", "%(num)s doses are still open.", found.open),
        "as_needed": many(
            "Taken as needed: %(num)s time.", "Taken as needed: %(num)s times.", found.as_needed
        ),
    }
    for code, count in sorted(found.symptoms.items(), key=lambda each: (-each[1], each[0])):
        told[f"symptom_{code}"] = many(
            "Told of %(symptom)s: %(num)s time.",
            "Told of %(symptom)s: %(num)s times.",
            count,
            symptom=words.said(SYMPTOM_NAMES[code]),
        )
    told["delay"] = many(
        "Half of these were taken at most %(num)s minute after their time.",
        "Half of these were taken at most %(num)s minutes after their time.",
        minutes,
    )
    told["delay_hours"] = many(
        "Half of these were taken at most %(num)s hour after their time.",
        "Half of these were taken at most %(num)s hours after their time.",
        # rounded up: at most so many
        -(-(found.delay_minutes or 0) // 60) if hours >= _HOURS_FROM else 0,
    )
    for name, (count, text) in told.items():
        if count:
            yield ToldFact(name, text, numbers_in(text))


def numbers_in(text: str) -> tuple[int, ...]:
    """The numbers of a text, in whatever digits, in their order."""
    return tuple(int(each) for each in _NUMBER.findall(text))


def changed(insight: Mapping[str, Any], words: Words) -> str:
    """An insight in words: its numbers, and no reason for them."""
    symptom = words.said(SYMPTOM_NAMES.get(str(insight.get("symptom")), SYMPTOM_NAMES["other"]))
    values = {name: insight.get(name) for name in _OF_CHANGE}
    for name in ("recent_median", "before_median"):
        values[name] = round(float(insight.get(name) or 0))
    return words.said(_CHANGES[str(insight["kind"])], symptom=symptom, **values)


def fixed(found: SummaryNumbers, words: Words) -> str:
    """The text that needs no model."""
    return " ".join(each.sentence for each in facts(found, words))
