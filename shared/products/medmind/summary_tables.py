"""What the server writes of a patient's days, weeks and changes; phones read it.

A day's row is named by its circle and its local date (`CIRCLE_20260329`), a week's by its ISO week
(`CIRCLE_2026W13`): however often they are made, there is one of each.
"""

from __future__ import annotations

from shared.products.medmind import insights
from shared.records.collection import Collection, Field, Owner, Type

DAILY = "daily_patient_summaries"
WEEKLY = "weekly_patient_summaries"
INSIGHTS = "health_insights"
REPORTS = "health_reports"

#: The kind of job that makes them, one a circle, and has their newest texts worded.
SUMMARIES = "summaries"

#: How far a circle is summed up: a document a circle, under its id. `until`: everything before (Unix ms).
PROGRESS = "summary_progress"

#: Who worded a summary: fixed words, or a language model that was held to them.
BY_WORDS, BY_MODEL = TOLD_BY = ("words", "model")


def summaries_job(scope: str) -> str:
    """The job of a circle."""
    return f"{SUMMARIES}~{scope}"


def _server(name: str, type: Type, doc: str) -> Field:
    return Field(name, type, doc, Owner.SERVER)


def _count(name: str, doc: str) -> Field:
    return _server(name, Type.INTEGER, doc)


_WHEN = (
    _server("time_zone", Type.STRING, "The patient's clock at its end."),
    _server("starts_at", Type.TIME, "Its first moment."),
    _server("ends_at", Type.TIME, "The first moment after it."),
)

_NUMBERS = (
    _count("due", "Doses that were due. As needed is not among them, nor what was paused."),
    _count("on_time", "Of those: taken until the end of their grace."),
    _count("late", "Of those: taken after it."),
    _count("missed", "Of those: nobody said anything of them."),
    _count("skipped", "Of those: not taken, and somebody said so."),
    _count("open", "Of those: their grace was not over when this was made."),
    _count("percent_taken", "Of those that are not open, rounded down; null: there are none."),
    _count("as_needed", "Taken as needed."),
    _count(
        "delay_minutes", "From due to taken, the median of what was taken; before its time: < 0."
    ),
    _server("skip_reasons", Type.STRINGS, "Why doses were skipped: one for each, as it was said."),
    _server("symptoms", Type.MAP, "Symptoms that were told: how often each."),
    _server("text", Type.STRING, "The same in words."),
    _server("language", Type.STRING, "Of the text: the patient's, if it is one of ours."),
    Field("told_by", Type.STRING, "Who worded it.", Owner.SERVER, choices=TOLD_BY),
    _server("amended_at", Type.TIME, "When something late changed it; null: nothing did."),
)

TABLES = (
    Collection(
        DAILY,
        "A patient's day, from midnight to midnight of the patient's clock.",
        (_server("day", Type.STRING, "YYYY-MM-DD."), *_WHEN, *_NUMBERS),
        pushable=False,
    ),
    Collection(
        WEEKLY,
        "A patient's week, Monday to Sunday, when it is over.",
        (
            _server("week", Type.STRING, "ISO 8601: 2026-W13."),
            _server("first_day", Type.STRING, "Its Monday, YYYY-MM-DD."),
            *_WHEN,
            *_NUMBERS,
        ),
        pushable=False,
    ),
    Collection(
        INSIGHTS,
        "A change that is more than noise: the last days against those before, with its arithmetic.",
        (
            Field("kind", Type.STRING, "What changed.", Owner.SERVER, choices=insights.KINDS),
            _server("symptom", Type.STRING, "Of `symptom_more`: which one."),
            _server("found_on", Type.STRING, "The last day that was looked at, YYYY-MM-DD."),
            _server(
                "ended_on", Type.STRING, "The day from which it no longer holds; null: it does."
            ),
            _count("recent_days", "Days that are known, of the last 14."),
            _count("recent_hits", "Days of those on which it was so."),
            _count("before_days", "Days that are known, of the 28 before."),
            _count("before_hits", "Days of those on which it was so."),
            _server(
                "recent_median", Type.NUMBER, "Of `later`, `earlier`: the median delay, minutes."
            ),
            _server("before_median", Type.NUMBER, "The same of the days before."),
            _server("p_value", Type.NUMBER, "How likely chance alone does so much or more."),
            _server("threshold", Type.NUMBER, "At most this counts as more than noise."),
            _count(
                "questions", "Questions that were asked at once; the threshold is divided by them."
            ),
            _server("method", Type.STRING, "How it is tested."),
            _server("text", Type.STRING, "The same in words."),
            _server("language", Type.STRING, "Of the text."),
        ),
        pushable=False,
    ),
    Collection(
        REPORTS,
        "A report that a carer asked for; its PDF is made when it is read.",
        (
            _server("first_day", Type.STRING, "YYYY-MM-DD."),
            _server("last_day", Type.STRING, "YYYY-MM-DD, inclusive."),
            _server("language", Type.STRING, "In which it is made."),
            _server("asked_by", Type.STRING, "Who asked for it."),
            _server("asked_at", Type.TIME, "When."),
        ),
        pushable=False,
    ),
)
