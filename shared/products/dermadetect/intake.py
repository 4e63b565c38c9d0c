"""What of a case and its patient may leave for a model, and what makes an analysis out of date.

Only what is on a list goes out: age band, sex, the answers of the triage under known keys, and the
CHW's notes after scrubbing. Names, ids, telephone numbers, addresses, places and every key that is
not on the list stay here. Both dictionaries come from phones; nothing in them is trusted to have a
shape, and odd values are left out rather than refused.

Limit: a name that a CHW misspells inside a note, or that the record does not hold, is not
recognised and is sent (`shared/ai/identifiers.py`).
"""

from __future__ import annotations

import json
import math
import re
import unicodedata
from collections.abc import Callable, Iterator, Mapping
from datetime import date
from functools import lru_cache
from typing import Any

import orjson

from shared.ai.identifiers import Known, known, removed
from shared.products.dermadetect.analysis.clean_text import clean
from shared.products.dermadetect.analysis.vocabulary import (
    ABCDE,
    BORDERS,
    COLOURS,
    DISTRIBUTIONS,
    MISSING_INFORMATION,
    PRIMARY_LESIONS,
    RED_FLAGS,
    triage_colour,
)
from shared.products.dermadetect.answers.ages import age, born
from shared.products.dermadetect.answers.wording import OPEN, Measurement
from shared.products.dermadetect.questions import gather


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


#: First year of each band and its name; only a band is ever sent.
_BANDS = (
    (65, "65+"),
    (40, "40-64"),
    (18, "18-39"),
    (13, "13-17"),
    (6, "6-12"),
    (2, "2-5"),
    (0, "0-1"),
)
#: Units of an age, the one to trust first.
_AGES = ("", "year", "month", "week", "day")

_SEXES = {
    **dict.fromkeys(("m", "male", "man", "boy"), "male"),
    **dict.fromkeys(("f", "female", "woman", "girl"), "female"),
    **dict.fromkeys(("o", "x", "other", "intersex"), "other"),
}

#: Keys of `triage_data` (in snake_case) whose values are answers about the skin.
ANSWERS = _words(
    "site sites body_site body_sites lesion_site anatomical_site body_part body_parts "
    "body_location lesion_location side duration duration_days duration_weeks duration_months "
    "duration_years onset started_days_ago course symptoms symptom itch itching itchy pruritus "
    "pain painful pain_score burning tender tenderness numbness sensation_loss bleeding bleeds "
    "oozing discharge pus crusting scaling ulcer ulcerated ulceration blister blisters "
    "blistering swelling fever temperature temperature_c chills weight_loss malaise fatigue "
    "joint_pain breathing_difficulty growth growing rapid_growth grew change changed changing "
    "change_over_time colour_change color_change spreading spread recurrent recurring "
    "first_time seasonal previous_episodes size size_mm size_cm diameter diameter_mm "
    "diameter_cm number_of_lesions lesion_count count shape surface texture raised flat colour "
    "color colours colors border asymmetry evolution abcde distribution primary_lesion "
    "lesion_type mucosa mucosal_involvement mouth_involved eye_involved genital_involved "
    "palms_soles_involved nails_involved scalp_involved purpura necrosis severity worsening "
    "improving aggravating relieving sun_exposure sun_exposed exposure insect_bite bite "
    "animal_contact plant_contact chemical_contact wound injury trauma burn contacts_with_same "
    "household_contacts contact_with_same family_history skin_tone fitzpatrick fitzpatrick_type "
    "immunosuppressed immune_status hiv_positive diabetes diabetic pregnant pregnancy "
    "breastfeeding atopy asthma allergies allergy eczema_history skin_cancer_history "
    "earlier_skin_disease earlier_treatment previous_treatment treatment_tried travel red_flags "
    "urgent"
)
#: Keys that hold further answers when their value is an object or a list of question and answer.
_CONTAINERS = _words(
    "answers triage triage_answers questionnaire questions responses form symptoms lesion "
    "lesions history exam examination findings observations abcde red_flags medical_history"
)
#: Inside an answer that is an object, also these.
_PARTS = _words("value unit amount present severity side score")
#: Keys of free text; their texts are scrubbed and sent as notes.
_NOTES = _words(
    "notes note chw_notes comment comments remark remarks description free_text history "
    "complaint chief_complaint presenting_complaint observations other_symptoms"
)
_QUESTION = ("key", "id", "question", "name", "field")
_ANSWER = ("answer", "value", "response")

#: Entries, characters, and the largest number that an answer may hold (a telephone number typed
#: into a duration is larger).
_MAX_ANSWERS = 60
_MAX_ENTRIES = 12
_ANSWER_CHARS = 120
_NOTES_CHARS = 1000
_LARGEST_NUMBER = 100_000
_MAX_DEPTH = 4
_MAX_IDENTIFIERS = 200


def age_band(demographics: object, today: date) -> str | None:
    """0-1, 2-5, 6-12, 13-17, 18-39, 40-64 or 65+, in completed years; None when not known.

    See `age_years` for where it comes from.
    """
    years = age_years(demographics, today)
    return None if years is None else next(name for start, name in _BANDS if years >= start)


def age_years(demographics: object, today: date) -> float | None:
    """Years; None when not known or absurd. Completed years from a day of birth, but parts of the first."""
    return age_reading(demographics, today).amount


def age_reading(demographics: object, today: date) -> Measurement:
    """The age as the patient's record says it: years, or why there are none.

    From an age in years, months, weeks or days, in words or with its unit in a question of its own,
    else from a day or a year of birth; keys as `questions` knows them. Of several the first
    that can be read counts, ages in years first.
    """
    found, _ = gather(parsed(demographics))
    ages = [answer for answer in found if answer.to.name == "age"]
    ages.sort(key=lambda answer: _AGES.index(answer.unit) if answer.unit in _AGES else 0)
    read = [
        age(answer.given, answer.unit, today)
        for answer in ages
        if not isinstance(answer.given, list)
    ]
    read += [born(answer.given, today) for answer in found if answer.to.name == "birth_date"]
    known = next((each for each in read if each.amount is not None and each.amount > 0), None)
    known = known or next((each for each in read if each.amount is not None), None)
    return known or max(read, key=lambda each: each.says, default=Measurement(None, OPEN))


def sex(demographics: object) -> str | None:
    """male, female or other from `sex` or `gender`; None when not known."""
    known = _snake_keys(demographics)
    for name in ("sex", "gender"):
        value = known.get(name)
        if isinstance(value, str) and value.strip().lower() in _SEXES:
            return _SEXES[value.strip().lower()]
    return None


def analysis_input(
    case_fields: Mapping[str, Any], patient_fields: Mapping[str, Any], today: date
) -> dict[str, Any]:
    """What an analysis depends on; when its hash changes, the analysis is stale.

    `triage_data` and `demographics` are parsed (JSON text is parsed here too). Values are those
    given, not copies. Limit: a patient who grows into the next age band makes a new input.
    """
    triage = parsed(case_fields.get("triage_data"))
    keys = case_fields.get("image_keys")
    demographics = parsed(patient_fields.get("demographics"))
    return {
        "triage_data": triage if isinstance(triage, dict | list) else {},
        "risk_level": triage_colour(case_fields.get("risk_level")),
        "image_keys": [key for key in keys if isinstance(key, str)]
        if isinstance(keys, list | tuple)
        else [],
        "age_band": age_band(demographics, today),
        "sex": sex(demographics),
    }


def clinical_facts(
    case: Mapping[str, Any], patient: Mapping[str, Any], today: date
) -> dict[str, Any]:
    """What the model is told: `age_band`, `sex`, `answers`, `notes`. Depends on nothing else than
    `analysis_input` does, except that identifiers are taken out. JSON values only, bounded.
    """
    triage = parsed(case.get("triage_data"))
    demographics = parsed(patient.get("demographics"))
    identifiers = _identifiers(case, patient, triage, demographics)
    answers: dict[str, Any] = {}
    notes: list[str] = []
    for key, value in entries(triage):
        if key in _NOTES and isinstance(value, str):
            notes.append(scrub(value, identifiers, _NOTES_CHARS))
        elif key in ANSWERS and key not in answers and len(answers) < _MAX_ANSWERS:
            answer = _answer(value, identifiers)
            if answer not in (None, "", [], {}):
                answers[key] = answer
    return {
        "age_band": age_band(demographics, today),
        "sex": sex(demographics),
        "answers": dict(sorted(answers.items())),
        "notes": clean(" ".join(filter(None, notes)), _NOTES_CHARS),
    }


# --- reading odd dictionaries ------------------------------------------------------------------


def parsed(value: object) -> object:
    """A JSON column's value: text is parsed, anything unreadable is None."""
    if not isinstance(value, str):
        return value
    try:
        result: object = orjson.loads(value)
    except ValueError:
        return _parsed_leniently(value)
    return result


def _parsed_leniently(text: str) -> object:
    """What the quick parser refuses and the standard library takes: NaN, lone surrogates, deep nesting."""
    try:
        result: object = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return result


def snake(key: object) -> str:
    """A key or word in snake_case; empty for anything else."""
    return _snake(key) if isinstance(key, str) and len(key) <= 64 else ""


@lru_cache(maxsize=4096)
def _snake(key: str) -> str:
    spaced = re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", key)
    return re.sub(r"[\W_]+", "_", spaced).strip("_").lower()


def _snake_keys(value: object) -> dict[str, Any]:
    found = parsed(value)
    return {snake(key): item for key, item in found.items()} if isinstance(found, dict) else {}


def entries(value: object) -> list[tuple[str, Any]]:
    """Key and value of everything that may be an answer, containers opened.

    In the order of the keys, so that equal cases give equal questions whatever order a phone wrote.
    """
    found: list[tuple[str, Any]] = []
    _gather(value, 0, found)
    return found


def _gather(value: object, depth: int, found: list[tuple[str, Any]]) -> None:
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, dict):
        for key in sorted(value, key=str):
            item, name = value[key], snake(key)
            if name in _CONTAINERS and _holds_entries(item):
                _gather(item, depth + 1, found)
            else:
                found.append((name, item))
    elif isinstance(value, list):
        for item in value[: 4 * _MAX_ANSWERS]:
            if isinstance(item, dict):
                question, answer = _asked(item), _answered(item)
                if question is None or answer is None:
                    _gather(item, depth + 1, found)
                else:
                    found.append((snake(question), answer))


def _asked(item: Mapping[Any, Any]) -> str | None:
    for key in _QUESTION:
        question = item.get(key)
        if isinstance(question, str):
            return question
    return None


def _answered(item: Mapping[Any, Any]) -> object:
    for key in _ANSWER:
        if key in item:
            return item[key]
    return None


def _holds_entries(value: object) -> bool:
    if isinstance(value, list):
        return dict in map(type, value)
    return isinstance(value, dict)


def _answer(value: object, identifiers: Known | None) -> Any:
    """A bounded, scrubbed copy of an answer; None when nothing of it may go out."""
    if isinstance(value, dict):
        parts = {
            name: _scalar(item, identifiers)
            for name, item in ((snake(key), item) for key, item in value.items())
            if name in ANSWERS or name in _PARTS
        }
        kept = {name: item for name, item in parts.items() if item not in (None, "")}
        return dict(sorted(kept.items())[:_MAX_ENTRIES])
    if isinstance(value, list | tuple):
        scalars = (_scalar(item, identifiers) for item in value[:_MAX_ENTRIES])
        return [item for item in scalars if item not in (None, "")]
    return _scalar(value, identifiers)


def _scalar(value: object, identifiers: Known | None) -> str | int | float | bool | None:
    if isinstance(value, str):
        return scrub(value, identifiers, _ANSWER_CHARS)
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < _LARGEST_NUMBER else None
    if isinstance(value, float) and math.isfinite(value) and abs(value) < _LARGEST_NUMBER:
        return round(value, 2)  # two decimals hold a size or a temperature, not a position
    return None


# --- scrubbing ---------------------------------------------------------------------------------


def scrub(text: str, what: Known | None, limit: int) -> str:
    """`text` as one bounded line without what identifies somebody (`shared/ai/identifiers.py`)."""
    line = clean(unicodedata.normalize("NFKC", clean(text, 2 * limit)), 2 * limit)
    return clean(removed(line, what), limit)


#: Keys of demographics that identify nobody, so their words stay in notes.
_HARMLESS = _words(
    "age age_years age_months age_band sex gender skin_tone fitzpatrick fitzpatrick_type pregnant "
    "pregnancy consent language weight weight_kg height height_cm bmi blood_group"
)
#: Parts of keys of `triage_data` that say "this is about a person or a place".
_PERSONAL = re.compile(
    "name|phone|mobile|mail|address|village|guardian|mother|father|parent|contact_|gps|lat|lon|"
    "location|national|insurance|record_number|(^|_)id(_|$)|nom|nombre|telefon|adres"
)
#: Words that stay in notes although a name or an address holds them.
_CLINICAL = frozenset(
    word
    for term in (
        *ABCDE,
        *BORDERS,
        *COLOURS,
        *DISTRIBUTIONS,
        *MISSING_INFORMATION,
        *PRIMARY_LESIONS,
        *RED_FLAGS,
        *ANSWERS,
        "head face neck chest back arm arms hand hands leg legs foot feet skin left right upper",
        "lower inner outer front near with from and the not for has had was are yes none true",
        "false unknown male female day days week weeks month months year years old new",
    )
    for word in re.split(r"[_\s]", term)
)


def _identifiers(
    case: Mapping[str, Any], patient: Mapping[str, Any], triage: object, demographics: object
) -> Known | None:
    """The ids, names, places and other personal words that the records themselves hold."""
    ids = {
        value
        for record in (case, patient)
        for name, value in record.items()
        if isinstance(value, str) and (name == "id" or name.endswith("_id"))
    }
    texts = [
        *_personal(demographics, 0, lambda key: key not in _HARMLESS),
        *_personal(triage, 0, lambda key: key not in ANSWERS and bool(_PERSONAL.search(key))),
    ]
    lines = (clean(unicodedata.normalize("NFKC", clean(text, 200)), 200) for text in texts)
    return known(lines, ids, _CLINICAL, _MAX_IDENTIFIERS)


def _personal(
    value: object, depth: int, wanted: Callable[[str], bool], within: bool = False
) -> Iterator[str]:
    """The texts and numbers under wanted keys, at any depth."""
    if depth > _MAX_DEPTH + 2:
        return
    if isinstance(value, dict):
        for key, item in value.items():
            yield from _personal(item, depth + 1, wanted, within or wanted(snake(key)))
    elif isinstance(value, list):
        for item in value[:100]:
            yield from _personal(item, depth + 1, wanted, within)
    elif within and isinstance(value, str):
        yield value
    elif within and isinstance(value, int) and not isinstance(value, bool) and abs(value) < 1e18:
        yield str(value)
