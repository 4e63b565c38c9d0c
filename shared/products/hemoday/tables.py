"""HemoDay: families of a child with thalassaemia track transfusions, blood tests and documents.

The scope is the family. Whatever a person enters is stored as it was entered; what it is in an indicator's
own unit stands beside it in columns of the server, and what looks odd is asked about (`questions.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from shared.jobs.cascade import cascade
from shared.products.hemoday import questions, schedule
from shared.products.hemoday.documents import FILES, PAGES, URL, URLS, urls
from shared.products.hemoday.questions import Questions
from shared.products.hemoday.recurrence import is_occurrence
from shared.products.hemoday.rights import RIGHTS
from shared.records.collection import Catalog, Collection, Effects, Field, Merge, Owner, Turn, Type

PROFILES = "family_profiles"
TRANSFUSIONS = "transfusions"
BLOOD_TESTS = "blood_tests"
RESULTS = "blood_test_results"
TEMPLATES = "analysis_templates"
REMINDERS = "reminders"
ACTIONS = "reminder_actions"

#: How people want to be reminded, a document each (`reminder_settings.py`).
REMINDER_SETTINGS = "reminder_settings"

DOCUMENTS = "documents"

#: Beyond this no number is one that a person typed; what is odd below it is asked about.
_LIMIT = 1e9

_NAME, _TEXT = 200, 5000


def _number(name: str, doc: str) -> Field:
    return Field(name, Type.NUMBER, doc, low=-_LIMIT, high=_LIMIT)


def _text(name: str, doc: str, length: int = _TEXT, *, required: bool = False) -> Field:
    return Field(name, Type.STRING, doc, required=required, max_length=length)


def _date(doc: str) -> Field:
    return Field("date", Type.TIME, doc, required=True)


#: What every table has besides: who made a record, what is asked about it, and the answers.
_ASKED = (
    Field("made_by", Type.STRING, "The user who made the record.", Owner.SERVER),
    Field(
        "questions",
        Type.MAP,
        "What looks odd, by field, with what to do about it; null: nothing. The record is stored "
        "nevertheless.",
        Owner.SERVER,
        shape=questions.SHAPE,
    ),
    Field(
        "confirmed",
        Type.STRINGS,
        "`confirm` of questions whose value is right as it is.",
        merge=Merge.UNION,
    ),
)


def _effects(
    ask: Callable[[Turn], tuple[Questions, Mapping[str, Any]]],
) -> Callable[[Turn], Effects]:
    """Effects that store the questions about a record, and what they found."""

    def effects(turn: Turn) -> Effects:
        asked, found = ask(turn)
        fields = {**found, "questions": asked.stored()}
        return Effects(fields if turn.before is not None else {**fields, "made_by": turn.author_id})

    return effects


def _profile(turn: Turn) -> tuple[Questions, Mapping[str, Any]]:
    return questions.of_profile(turn.values, turn.now_ms), {}


def _transfusion(turn: Turn) -> tuple[Questions, Mapping[str, Any]]:
    asked = questions.of_transfusion(turn.values, turn.now_ms)
    sides = {
        side: questions.indicators(
            asked, f"indicators_{side}", turn.values.get(f"indicators_{side}")
        )
        for side in ("before", "after")
    }
    return asked, {"indicators": {side: found for side, found in sides.items() if found} or None}


def _dated(turn: Turn) -> tuple[Questions, Mapping[str, Any]]:
    return questions.of_dated(turn.values, turn.now_ms), {}


def _result(turn: Turn) -> tuple[Questions, Mapping[str, Any]]:
    asked = Questions(turn.values)
    return asked, questions.indicator(asked, "value", turn.values)


def _template(turn: Turn) -> tuple[Questions, Mapping[str, Any]]:
    return Questions(turn.values), {}


def _reminder(turn: Turn) -> tuple[Questions, Mapping[str, Any]]:
    return questions.of_reminder(turn.values), {}


def _reminder_effects(turn: Turn) -> Effects:
    asked, (found, writes) = _effects(_reminder)(turn), schedule.scheduled(turn)
    return Effects({**asked.fields, **found}, writes)


def _reminder_restored(turn: Turn) -> Effects:
    return Effects(*schedule.scheduled(turn, back=True))


def _action(turn: Turn) -> tuple[Questions, Mapping[str, Any]]:
    return questions.of_action(turn.values), {}


def _action_effects(turn: Turn) -> Effects:
    values, asked = turn.values, _effects(_action)(turn)
    if not is_occurrence(values["occurrence"]):
        return asked
    told = schedule.tell_job(
        values["reminder_id"], values["occurrence"], turn.scope_id, turn.now_ms
    )
    return Effects(asked.fields, (told,))


def _document(turn: Turn) -> tuple[Questions, Mapping[str, Any]]:
    files = (turn.before or {}).get(FILES)
    found = urls(turn.values.get(PAGES) or (), files) if files else {}
    return questions.of_dated(turn.values, turn.now_ms), found


_INDICATORS = (
    "A list of `{name, value, unit}` (or `value_text`, as a report prints it), as entered."
)

CATALOG = Catalog(
    name="hemoday",
    scope_word="family",
    cascade=cascade,
    roles=RIGHTS.roles,
    may=RIGHTS.may,
    maker="made_by",
    of_users=(REMINDER_SETTINGS,),
    collections=(
        Collection(
            PROFILES,
            "The child whom a family cares for. A family has one: its id is the family's.",
            (
                _text("patient_name", "What the child is called.", _NAME),
                Field("sex", Type.STRING, "For ranges.", choices=("female", "male")),
                _text("birth_date", "YYYY-MM-DD.", 30),
                _number("weight_kg", "The last known weight, kg."),
                _text("diagnosis", "As the doctors call it.", _NAME),
                _text("blood_group", "As on the card.", 40),
                Field(
                    "ranges",
                    Type.JSON,
                    "The family's own ranges: LOINC code → `{low, high}`, in the indicator's own unit.",
                ),
                *_ASKED,
            ),
            effects=_effects(_profile),
            label=lambda fields: str(fields.get("patient_name") or ""),
        ),
        Collection(
            TRANSFUSIONS,
            "One transfusion.",
            (
                _date("When it was given."),
                _number("volume_ml", "How much was given, ml."),
                _number("weight_kg", "The child's weight on that day, kg."),
                _text("medication", "What was given along: chelation, premedication."),
                Field("indicators_before", Type.JSON, f"Before it. {_INDICATORS}"),
                Field("indicators_after", Type.JSON, f"After it. {_INDICATORS}"),
                Field(
                    "indicators",
                    Type.MAP,
                    "Both in the indicators' own units: `before` and `after`, lists as entered.",
                    Owner.SERVER,
                ),
                _text("comment", "What else is to be remembered."),
                *_ASKED,
            ),
            effects=_effects(_transfusion),
        ),
        Collection(
            BLOOD_TESTS,
            "One taking of blood; its results refer to it.",
            (
                _date("When the blood was taken."),
                _text("laboratory", "Who examined it.", _NAME),
                _text("comment", "What else is to be remembered."),
                *_ASKED,
            ),
            effects=_effects(_dated),
            label=lambda fields: str(fields.get("laboratory") or ""),
        ),
        Collection(
            RESULTS,
            "One value of a blood test, as its report says it and in the indicator's own unit.",
            (
                Field(
                    "blood_test_id",
                    Type.STRING,
                    "The blood test it is of.",
                    required=True,
                    references=BLOOD_TESTS,
                ),
                _text("name", "The indicator, in any language.", _NAME, required=True),
                _number("value", "The number, in `unit`."),
                _text(
                    "value_text", "What the report says where it is no plain number: `> 59`.", _NAME
                ),
                _text("unit", "The unit as the report says it.", 60),
                _number("range_low", "The report's own range, in `unit`."),
                _number("range_high", "The report's own range, in `unit`."),
                Field("loinc", Type.STRING, "The indicator; null: one's own.", Owner.SERVER),
                Field(
                    "canonical_value",
                    Type.NUMBER,
                    "The value in `canonical_unit`; null: not known.",
                    Owner.SERVER,
                ),
                Field("canonical_unit", Type.STRING, "A UCUM unit.", Owner.SERVER),
                Field(
                    "comparator",
                    Type.STRING,
                    "`<`, `<=`, `>` or `>=`: the value is beyond what could be measured.",
                    Owner.SERVER,
                ),
                *_ASKED,
            ),
            effects=_effects(_result),
            label=lambda fields: str(fields.get("name") or ""),
        ),
        Collection(
            TEMPLATES,
            "Indicators that a family looks at together.",
            (
                _text("name", "What it is called.", _NAME, required=True),
                Field(
                    "indicators", Type.JSON, "A list of names, or of `{name, unit}`.", default=[]
                ),
                *_ASKED,
            ),
            effects=_effects(_template),
            label=lambda fields: str(fields.get("name") or ""),
        ),
        Collection(
            REMINDERS,
            "Something to be reminded of.",
            (
                _text("title", "What to do.", _NAME, required=True),
                Field("remind_at", Type.TIME, "The first time.", required=True),
                _text("time_zone", "Of the clock that it goes by, as Asia/Kolkata.", 60),
                Field(
                    "frequency",
                    Type.STRING,
                    "How often; what cannot be read is once.",
                    default="once",
                    choices=("once", "daily", "weekly", "monthly", "every_n_days"),
                    aliases={"none": "once", "never": "once", "day": "daily", "week": "weekly"},
                    unreadable="once",
                ),
                Field("every", Type.INTEGER, "Days between two times.", default=1, low=1, high=366),
                Field("ends_at", Type.TIME, "The last moment that it may be; null: no end."),
                Field("completed", Type.BOOLEAN, "Whether it is done for good.", default=False),
                Field(
                    "who",
                    Type.STRINGS,
                    "Ids of the users who are reminded; null, or none in the family: everybody who reads.",
                ),
                Field("next_at", Type.TIME, "Its next time; null: there is none.", Owner.SERVER),
                Field("next_occurrence", Type.STRING, "What that time is called.", Owner.SERVER),
                Field("last_due", Type.TIME, "The last time that it was due.", Owner.SERVER),
                Field("last_occurrence", Type.STRING, "What that time is called.", Owner.SERVER),
                Field(
                    "missed",
                    Type.STRINGS,
                    "Times of which somebody could not be told, until somebody did it; null: none.",
                    Owner.SERVER,
                ),
                *_ASKED,
            ),
            context=schedule.CONTEXT,
            effects=_reminder_effects,
            restored=_reminder_restored,
            label=lambda fields: str(fields.get("title") or ""),
        ),
        Collection(
            ACTIONS,
            "What somebody did with one time of a reminder. Rows are added, not changed.",
            (
                Field(
                    "reminder_id",
                    Type.STRING,
                    "The reminder it is of.",
                    required=True,
                    references=REMINDERS,
                ),
                _text("occurrence", "The time, as the server calls it.", 60, required=True),
                Field(
                    "action",
                    Type.STRING,
                    "What was done; what cannot be read is `other`, which does nothing.",
                    default="other",
                    choices=("done", "snooze", "other"),
                    aliases={"taken": "done", "completed": "done", "snoozed": "snooze"},
                    unreadable="other",
                ),
                Field("until", Type.TIME, "Of a snooze: when to remind again."),
                *_ASKED,
            ),
            effects=_action_effects,
        ),
        Collection(
            DOCUMENTS,
            "A report, a prescription, a picture: of one or several pages.",
            (
                _text("name", "What it is.", _NAME, required=True),
                Field(
                    "category",
                    Type.STRING,
                    "What kind of document it is; what cannot be read is `other`.",
                    default="other",
                    choices=(
                        *("blood_test", "transfusion", "prescription", "imaging", "discharge"),
                        *("genetics", "vaccination", "insurance", "other"),
                    ),
                    unreadable="other",
                ),
                Field("date", Type.TIME, "Of the document."),
                Field(
                    PAGES,
                    Type.STRINGS,
                    "Names of its files on the phone, in their order.",
                    merge=Merge.UNION,
                ),
                Field(URL, Type.STRING, "Where its first page is, when it is there.", Owner.SERVER),
                Field(
                    URLS, Type.STRINGS, "Where its pages are, those that are there.", Owner.SERVER
                ),
                *_ASKED,
            ),
            context=(FILES,),
            effects=_effects(_document),
            label=lambda fields: str(fields.get("name") or ""),
        ),
    ),
)
