"""The job of a circle: at the patient's midnight it sums up the day that is over, and on Mondays the week.

    a day is over            its row is made; a week's when its Sunday is
    something comes late     days and weeks that it is of are made anew, up to `BACK_DAYS` back
    nothing is new           nothing is written

What is new it asks of the stores as phones do: what was committed since it looked last, so that nothing is
missed. The job of an item calls it when it settles a dose of a day that is over (`dosing.py`). Rows and how
far it has looked are one commit: killed anywhere, the job is due again and finds the same.

A row comes with fixed words. Those of the newest day and week a language model may put otherwise, in a job
of its own (`report/told.py`): if it is down, or says anything but the facts, the fixed words stay.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING, Any

from shared.errors import ModelFault
from shared.jobs import job as jobs
from shared.jobs.job import Job
from shared.jobs.runner import Again, Finish, Task
from shared.products.medmind import insights
from shared.products.medmind.patient_days import (
    DAY,
    PatientClock,
    ZoneSince,
    monday,
    runs,
    span,
    week_name,
)
from shared.products.medmind.summary import DoseFact, Happened, numbers, numbers_of
from shared.products.medmind.summary_tables import (
    BY_MODEL,
    BY_WORDS,
    DAILY,
    INSIGHTS,
    PROGRESS,
    SUMMARIES,
    WEEKLY,
    summaries_job,
)
from shared.products.medmind.symptoms import symptom
from shared.products.medmind.tables import DOSES, PATIENTS, as_needed
from shared.products.medmind.voice_tables import SYMPTOMS
from shared.records import record
from shared.records.store import (
    ABSENT,
    Document,
    Key,
    Query,
    RecordStore,
    Snapshot,
    StoredCollection,
    Write,
    patch,
    put,
)
from shared.records.wall_time import zone_named

if TYPE_CHECKING:
    from shared.ai.conversation import Terms
    from shared.console.words import Words

log = logging.getLogger(__name__)

#: Days back that something late still changes: two months. What is older stays as it was.
BACK_DAYS = 62

#: Zones of one patient that are kept, the newest.
_MOST_ZONES = 100

_WEEK = timedelta(days=7)

#: Days that a look takes.
_LOOKED_AT = insights.RECENT + insights.BEFORE

#: Tables that days are made of, and their moments.
_MOMENTS = {DOSES: "due_at", SYMPTOMS: "at"}

STORED = (
    StoredCollection(PROGRESS),
    *(StoredCollection(table, ((record.SCOPE, at),)) for table, at in _MOMENTS.items()),
)


class Summarise(Task):
    """The task of kind `summaries`; `terms`: how a language model is asked."""

    longest_seconds = 45.0
    awaited = False

    def __init__(self, store: RecordStore, terms: Callable[[], Terms]) -> None:
        self._store, self._terms = store, terms

    def work(self, job: Job) -> Finish:
        """Of numbers nothing is done outside of the commit; a text is asked for before."""
        if job.table == PATIENTS:
            return lambda now_ms: self._finish(job, now_ms)
        key = Key(job.table, job.subject_id)
        row = self._store.read([key]).documents.get(key)
        text = None if row is None else self._worded(row)
        return lambda now_ms: self._told(key, row, text, now_ms)

    def _worded(self, row: Document) -> str | None:
        """A model's text of a row; None: there is none that is held to the facts."""
        from shared.products.medmind.report import told

        found, language = numbers_of(row.fields), str(row.fields.get("language"))
        try:
            with self._terms().begin(1) as conversation:
                question = told.asked(found, language)
                return conversation.ask(
                    told.SYSTEM, question, (), lambda said: told.parsed(said, found, language)
                )
        except ModelFault as fault:
            log.info("summary keeps its fixed words", extra={"fault": fault.code})
            return None

    def _told(
        self, key: Key, asked: Document | None, text: str | None, now_ms: int
    ) -> Sequence[Write]:
        row = self._store.read([key]).documents.get(key)
        if asked is None or row is None or text is None:
            return ()
        if numbers_of(row.fields) != numbers_of(asked.fields):
            return ()  # it was made anew meanwhile, and so was its job
        worded = {"text": text, "told_by": BY_MODEL, record.MODIFIED: now_ms}
        return [record.server_patch(row, worded)]

    def _finish(self, job: Job, now_ms: int) -> Sequence[Write] | Again:
        scope = job.subject_id
        about, seen = Key(PATIENTS, scope), Key(PROGRESS, scope)
        reading = self._store.read([about, seen])
        patient, progress = reading.documents.get(about), reading.documents.get(seen)
        if patient is None or patient.fields.get(record.DELETED) is not None:
            return ()
        before = {} if progress is None else progress.fields
        zones = _zones(before.get("zones") or (), patient, now_ms)
        clock = PatientClock([ZoneSince(at, zone_named(name)) for at, name in zones])
        today = clock.day_of(now_ms)
        days = self._days(scope, clock, today, before, reading)
        from shared.products.medmind.report.sentences import words_in

        words = words_in(patient.fields.get("language"))
        rows = self._rows(scope, clock, days, today)
        writes = self._writes(scope, rows, today, words, now_ms)
        open_insights = dict(before.get("insights") or {})
        if days and before.get("next_day") != today.isoformat():  # one look a day
            writes += self._look(scope, rows, open_insights, today, words, now_ms)
        after = {
            record.SCOPE: scope,
            "zones": [{"since": at, "zone": name} for at, name in zones],
            "cursor": reading.read_at,
            "begun": bool(before.get("begun") or days),
            "next_day": today.isoformat(),
            "until": clock.starts_ms(today),
            "insights": open_insights,
        }
        writes.append(put(seen, after, ABSENT if progress is None else progress.version))
        return Again(clock.starts_ms(today + DAY), writes)

    def _days(
        self,
        scope: str,
        clock: PatientClock,
        today: date,
        before: Mapping[str, Any],
        reading: Snapshot,
    ) -> set[date]:
        """Days that are over, and are to be made, or made anew."""
        oldest, yesterday = today - timedelta(BACK_DAYS), today - DAY
        if not before.get("begun"):
            # the first day is that of the first thing that happened, or nobody has been here
            begun = self._first_day(scope, clock, oldest, today)
            return set() if begun is None else set(span(begun, yesterday))
        days = {clock.day_of(each) for each in self._news(scope, before, reading)}
        days |= set(span(date.fromisoformat(before["next_day"]), yesterday))
        return {each for each in days if oldest <= each <= yesterday}

    def _news(self, scope: str, before: Mapping[str, Any], reading: Snapshot) -> Iterator[int]:
        """Moments (Unix ms) of what was committed since the last look, also of what is gone."""
        since = int(before["cursor"])
        for table, at in _MOMENTS.items():
            for each in self._store.changes(
                table, [scope], since, reading.read_at, even_if_newer=True
            ):
                yield int(each.document.fields[at])

    def _first_day(self, scope: str, clock: PatientClock, oldest: date, today: date) -> date | None:
        firsts = [
            clock.day_of(int(each.fields[at]))
            for table, at in _MOMENTS.items()
            for each in self._store.query(
                between(table, scope, clock.starts_ms(oldest), clock.starts_ms(today), 1)
            )
        ]
        return min(firsts, default=None)

    def _rows(
        self, scope: str, clock: PatientClock, days: set[date], today: date
    ) -> dict[Key, dict[str, Any]]:
        """Rows of days, and of weeks that they are of, as far as these are over."""
        mondays = {first for each in days if (first := monday(each)) + _WEEK <= today}
        wanted = days.union(*(span(first, first + _WEEK - DAY) for first in mondays))
        found: dict[date, Happened] = {}
        for first, last in runs(wanted):
            found |= happened(self._store, scope, clock, first, last)
        rows: dict[Key, dict[str, Any]] = {}
        for day in sorted(days):
            if clock.starts_ms(day) < clock.starts_ms(day + DAY):
                columns = numbers(found[day]).columns()
                rows[_daily(scope, day)] = {
                    "day": day.isoformat(),
                    **_when(clock, day, day + DAY),
                    **columns,
                }
        for first in sorted(mondays):
            week = sum((found[each] for each in span(first, first + _WEEK - DAY)), Happened())
            rows[_weekly(scope, first)] = {
                "week": week_name(first),
                "first_day": first.isoformat(),
                **_when(clock, first, first + _WEEK),
                **numbers(week).columns(),
            }
        return rows

    def _writes(
        self,
        scope: str,
        rows: Mapping[Key, Mapping[str, Any]],
        today: date,
        words: Words,
        now_ms: int,
    ) -> list[Write]:
        """What is to be written of rows, and the jobs that have the newest worded."""
        have = self._store.read(sorted(rows)).documents if rows else {}
        writes = list(_written(scope, rows, have, words, now_ms))
        newest = (
            _daily(scope, today - DAY),
            _weekly(scope, monday(today) - _WEEK),
        )
        for key in newest:
            if any(each.key == key for each in writes):
                name = f"{summaries_job(scope)}~{key.collection}"
                writes.append(jobs.create(name, SUMMARIES, key.collection, key.id, scope, now_ms))
        return writes

    def _look(
        self,
        scope: str,
        rows: Mapping[Key, Mapping[str, Any]],
        open_insights: dict[str, str],
        today: date,
        words: Words,
        now_ms: int,
    ) -> Iterator[Write]:
        """Insights that begin and end with the day that is over; `open_insights`: ids by name."""
        from shared.products.medmind.report.sentences import changed

        keys = [_daily(scope, today - timedelta(n)) for n in range(1, _LOOKED_AT + 1)]
        there = {Key(INSIGHTS, each) for each in open_insights.values()}
        stored = self._store.read([*there, *(key for key in keys if key not in rows)]).documents
        have = {**{key: each.fields for key, each in stored.items()}, **rows}
        recent, before = (
            [numbers_of(have[key]) for key in span if key in have]
            for span in (keys[: insights.RECENT], keys[insights.RECENT :])
        )
        asked = list(insights.questions(recent, before))
        yesterday = (today - DAY).isoformat()
        for name in [each for each in open_insights if not insights.holds(each, asked)]:
            key = Key(INSIGHTS, open_insights.pop(name))
            if key in stored:  # else somebody's data was erased
                ended = {"ended_on": yesterday, record.MODIFIED: now_ms}
                yield patch(key, ended, stored[key].version)
        for each, threshold in insights.found(asked):
            if each.name in open_insights:
                continue
            key = Key(INSIGHTS, f"{scope}_{today - DAY:%Y%m%d}_{each.name}")
            open_insights[each.name] = key.id
            row = insights.columns(each, threshold, len(asked))
            more = {"found_on": yesterday, "text": changed(row, words), "language": words.language}
            times = {record.SCOPE: scope, record.CREATED: now_ms, record.MODIFIED: now_ms}
            yield put(key, {**row, **more, **times}, None)


def happened(
    store: RecordStore, scope: str, clock: PatientClock, first: date, last: date
) -> dict[date, Happened]:
    """What happened to a patient on some days, both inclusive."""
    found = {day: Happened() for day in span(first, last)}
    start_ms, end_ms = clock.starts_ms(first), clock.starts_ms(last + DAY)
    for each in store.query(between(DOSES, scope, start_ms, end_ms)):
        have, due_ms = each.fields, int(each.fields["due_at"])
        if have.get(record.DELETED) is not None:
            continue
        day = found[clock.day_of(due_ms)]
        if as_needed(each.key.id):
            day.as_needed.append(due_ms)
        else:
            reason = str(have.get("reason") or "")
            fact = DoseFact(each.key.id, due_ms, str(have["state"]), have.get("taken_at"), reason)
            day.doses.append(fact)
    for each in store.query(between(SYMPTOMS, scope, start_ms, end_ms)):
        if each.fields.get(record.DELETED) is None:
            day = found[clock.day_of(int(each.fields["at"]))]
            day.symptoms.append(symptom(each.fields.get("what")))
    return found


def _daily(scope: str, day: date) -> Key:
    return Key(DAILY, f"{scope}_{day:%Y%m%d}")


def _weekly(scope: str, day: date) -> Key:
    return Key(WEEKLY, f"{scope}_{week_name(day).replace('-', '')}")


def _zones(
    kept: Iterable[Mapping[str, Any]], patient: Document, now_ms: int
) -> list[tuple[int, str]]:
    """Where the patient was, and since when; a new zone counts from now on."""
    found = [(int(each["since"]), str(each["zone"])) for each in kept]
    name = zone_named(patient.fields.get("time_zone")).key
    if not found or found[-1][1] != name:
        found.append((now_ms, name))
    return found[-_MOST_ZONES:]


def _when(clock: PatientClock, first: date, end: date) -> dict[str, Any]:
    ends_ms = clock.starts_ms(end)
    return {
        "time_zone": clock.zone_at(ends_ms - 1).key,
        "starts_at": clock.starts_ms(first),
        "ends_at": ends_ms,
    }


def _written(
    scope: str,
    rows: Mapping[Key, Mapping[str, Any]],
    have: Mapping[Key, Document],
    words: Words,
    now_ms: int,
) -> Iterator[Write]:
    """New rows, and what differs of those that there are."""
    from shared.products.medmind.report.sentences import fixed

    for key, row in rows.items():
        there = have.get(key)
        if there is not None and all(there.fields.get(name) == row[name] for name in row):
            continue
        text = fixed(numbers_of(row), words)
        row = {**row, "text": text, "language": words.language, "told_by": BY_WORDS}
        if there is None:
            times = {record.CREATED: now_ms, record.MODIFIED: now_ms}
            yield put(key, {record.SCOPE: scope, **row, **times}, ABSENT)
        else:
            # what was open and is settled in its time is no amendment
            late = {} if there.fields.get("open") else {"amended_at": now_ms}
            yield record.server_patch(there, {**row, **late, record.MODIFIED: now_ms})


def between(table: str, scope: str, start_ms: int, end_ms: int, limit: int | None = None) -> Query:
    """Doses that were due, or symptoms that were told, from one moment on and before another, in order."""
    at = _MOMENTS[table]
    where = ((record.SCOPE, "==", scope), (at, ">=", start_ms), (at, "<", end_ms))
    return Query(table, where=where, order=((at, "asc"),), limit=limit)
