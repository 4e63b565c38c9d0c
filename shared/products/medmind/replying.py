"""What the device says to what was wanted: a sentence of the plan, or that a carer was asked."""

from __future__ import annotations

from typing import NamedTuple

from shared.console.words import Words
from shared.products.medmind import answers, items
from shared.products.medmind.alert_tables import NOTICE, URGENT
from shared.products.medmind.plan_facts import PlanFacts
from shared.products.medmind.understanding import Meaning
from shared.products.medmind.voice_tables import (
    HELP,
    NEXT,
    NO,
    QUESTION,
    SKIPPED,
    SYMPTOM,
    TAKEN,
    YES,
)
from shared.records.store import Document

#: How long a yes may come after what was asked, ms.
_YES_MS = 10 * 60_000


class Reply(NamedTuple):
    """What is said, and what else follows of it."""

    text: str
    dose_id: str | None = None
    confirms: str | None = None  #: what a yes would mean of the dose
    confirmed: bool = False  #: it was said: the device sends the event
    answered_from: str | None = None  #: of a question: `plan` or `carer`
    severity: str | None = None  #: of the call for help that it is; None: none


def reply(
    meaning: Meaning, facts: PlanFacts, words: Words, earlier: Document | None, now_ms: int
) -> Reply:
    """The answer to a meaning, as at `now_ms`; `earlier` is the answer that this one answers."""
    medicine = None if meaning.medicine is None else facts.medicines[meaning.medicine]
    if meaning.intent in (TAKEN, SKIPPED):
        return _claim(meaning.intent, medicine, facts, words, now_ms)
    if meaning.intent in (YES, NO):
        return _yes_or_no(meaning.intent, earlier, words, now_ms)
    if meaning.intent == NEXT:
        return _next(facts, words, now_ms)
    if meaning.intent == QUESTION:
        return _question(meaning.about, medicine, facts, words)
    if meaning.intent == HELP:
        return Reply(words.text(answers.HELP), severity=URGENT)
    if meaning.intent == SYMPTOM or meaning.symptoms:
        return Reply(words.text(answers.SYMPTOM))
    return Reply(words.text(answers.ASKED), severity=NOTICE)


def _claim(
    intent: str, medicine: Document | None, facts: PlanFacts, words: Words, now_ms: int
) -> Reply:
    dose = facts.claimed(medicine, now_ms)
    of = None if dose is None else facts.medicine_of(dose)
    if dose is None or of is None:
        return Reply(words.text(answers.NO_DOSE), severity=NOTICE)
    sentence = answers.TOOK if intent == TAKEN else answers.SKIPPED
    said = words.said(sentence, medicine=_name(of), time=words.time(int(dose.fields["due_at"])))
    return Reply(said, dose.key.id, "taken" if intent == TAKEN else "skipped")


def _yes_or_no(intent: str, earlier: Document | None, words: Words, now_ms: int) -> Reply:
    have = {} if earlier is None else earlier.fields
    dose, confirms = have.get("dose_id"), have.get("confirms")
    if not dose or not confirms or now_ms - int(have["at"]) > _YES_MS:
        return Reply(words.text(answers.ASKED), severity=NOTICE)
    if intent == NO:
        return Reply(words.text(answers.NOT_CONFIRMED))
    return Reply(words.text(answers.CONFIRMED), str(dose), str(confirms), confirmed=True)


def _next(facts: PlanFacts, words: Words, now_ms: int) -> Reply:
    dose = facts.next(now_ms)
    medicine = None if dose is None else facts.medicine_of(dose)
    if dose is None or medicine is None:
        return Reply(words.text(answers.NOTHING_NEXT))
    at_ms = int(dose.fields["due_at"])
    amount = answers.amount(words, dose.fields.get("amount"), dose.fields.get("unit"))
    values = {"medicine": _name(medicine), "amount": amount, "time": words.time(at_ms)}
    if words.day(at_ms) == words.day(now_ms):
        return Reply(words.said(answers.NEXT_TODAY, **values))
    return Reply(
        words.said(answers.NEXT, day=words.long_day(items.today(at_ms, words.zone)), **values)
    )


def _question(
    about: str | None, medicine: Document | None, facts: PlanFacts, words: Words
) -> Reply:
    """From the plan alone: of one medicine, and only what all its items say alike."""
    carer = Reply(words.text(answers.ASKED), answered_from="carer", severity=NOTICE)
    if medicine is None:
        return carer
    name, rows = _name(medicine), facts.of_medicine(medicine)
    reasons = {str(plan.get("reason") or "") for plan, _ in rows}
    amounts = {answers.amount(words, item.get("amount"), item.get("unit")) for _, item in rows}
    times = {", ".join(item.get("times") or ()) for _, item in rows}
    meals = {str(item.get("with_meal") or "") for _, item in rows}
    found = {
        "what_for": (answers.WHAT_FOR, "reason", reasons),
        "how_much": (answers.HOW_MUCH, "amount", amounts),
        "when": (answers.WHEN, "times", times),
        "with_meal": (answers.WITH_MEAL, "meal", meals),
    }.get(str(about))
    if found is None:
        return carer
    sentence, value, said = found
    if len(said) != 1 or not (only := said.pop()):
        return carer
    text = words.said(sentence, **{"medicine": name, value: only})
    return Reply(text, answered_from="plan")


def _name(medicine: Document) -> str:
    parts = (medicine.fields.get("name"), medicine.fields.get("strength"))
    return " ".join(str(each) for each in parts if each)
