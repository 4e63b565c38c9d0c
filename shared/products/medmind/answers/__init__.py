"""What the device says: fixed sentences in each language, with values from the plan; nothing else.

A model's words are in none of them. `locales/LANGUAGE.po` translates them as the console's.
"""

from __future__ import annotations

from pathlib import Path

from shared.console.words import LANGUAGES, SOURCE, Words, words_of


def N_(text: str) -> str:
    """Marks a text for the translators."""
    return text


DANGER = N_(
    "This may be an emergency. Call the emergency number now, or have somebody call it. "
    "I am telling your caregivers."
)
NOT_UNDERSTOOD = N_("I did not understand you. I am telling your caregivers that you spoke to me.")
HELP = N_("I am telling your caregivers that you need them.")
ASKED = N_("I have asked your caregivers. They will answer you.")
TOOK = N_("Did you take %(medicine)s that was due at %(time)s? Press the button if you did.")
SKIPPED = N_("Will you not take %(medicine)s that is due at %(time)s? Press the button if so.")
NO_DOSE = N_("I find no dose that this could be. I have asked your caregivers.")
NEXT = N_("Next is %(medicine)s: %(amount)s, on %(day)s at %(time)s.")
NEXT_TODAY = N_("Next is %(medicine)s: %(amount)s, at %(time)s.")
NOTHING_NEXT = N_("There is nothing to take in the next days.")
SYMPTOM = N_("I have written that down for your caregivers and your doctor.")
CONFIRMED = N_("Thank you. I have noted it.")
NOT_CONFIRMED = N_("All right. I have noted nothing.")
WHAT_FOR = N_("%(medicine)s: your plan says it is for %(reason)s.")
HOW_MUCH = N_("%(medicine)s: your plan says %(amount)s.")
WHEN = N_("%(medicine)s: your plan says at %(times)s.")
WITH_MEAL = N_("%(medicine)s: your plan says %(meal)s.")


def spoken_language(*wanted: str | None) -> str:
    """The first of some languages that the device speaks: `en-GB` is `en`."""
    for each in wanted:
        code = (each or "").replace("_", "-").partition("-")[0].strip().lower()
        if code in LANGUAGES:
            return code
    return SOURCE


def voice(language: str, zone: str) -> Words:
    """How things are said in one language, by the patient's clock."""
    return words_of(language, (Path(__file__).parent,), zone)


def amount(words: Words, value: float | None, unit: str | None) -> str:
    """How much, as the plan has it."""
    said = "" if value is None else words.number(value)
    return " ".join(part for part in (said, unit or "") if part)
