"""`/api/v1/reports`: a carer asks for a report of some days; it is kept with its range, and made when read.

The row of `health_reports` says who asked for which days in which language. Its PDF is made of the records
as they are at that moment, so what came late is in it.
"""

from __future__ import annotations

import uuid
from collections.abc import Iterator, Mapping
from datetime import date, timedelta
from pathlib import Path
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from shared.access import audit
from shared.access.rights import Action
from shared.api.fields import Id, Limit, names, says
from shared.api.routes import Route
from shared.api.scopes import AskedScope, scope_asked
from shared.api.web import Call, Response, answer, download
from shared.errors import InvalidRequest, NotFound, StoreUnavailable
from shared.products.medmind.patient_days import DAY
from shared.products.medmind.report.content import (
    Reported,
    ReportedDose,
    ReportedSymptom,
    content,
)
from shared.products.medmind.report.sentences import words_in
from shared.products.medmind.rights import DEVICE, RIGHTS
from shared.products.medmind.summarising import between
from shared.products.medmind.summary import DoseFact
from shared.products.medmind.summary_routes import clock_of
from shared.products.medmind.summary_tables import INSIGHTS, REPORTS
from shared.products.medmind.tables import (
    CATALOG,
    DOSES,
    ITEMS,
    MEDICATIONS,
    PATIENTS,
    PLANS,
    as_needed,
)
from shared.products.medmind.voice_tables import SYMPTOMS
from shared.products.product import Parts
from shared.records import record
from shared.records.store import ABSENT, Document, Key, Query, RecordStore, StoredCollection, put

#: Days of one report, reports of one answer.
MOST_DAYS, MOST_REPORTS = 366, 50

#: What Typst sets.
SOURCE = Path(__file__).with_name("report.typ")

STORED = (StoredCollection(REPORTS, ((record.SCOPE, "asked_at desc", "__name__"),)),)

_NONE = "There is no such report, or none of yours."
_DayText = Annotated[str, Meta(pattern=r"^\d{4}-\d{2}-\d{2}$")]


class ReportWanted(Struct):
    """Which days of which circle."""

    first_day: Annotated[_DayText, says("By the patient's clock.")]
    last_day: Annotated[_DayText, says(f"Inclusive; {MOST_DAYS} days at most.")]
    scope: AskedScope = UNSET
    language: Literal["en", "hi", "ar", "ru"] | UnsetType = UNSET


class ReportsAsked(Struct):
    """Of which circle."""

    scope: AskedScope = UNSET
    limit: Annotated[Limit, says(f"The newest; {MOST_REPORTS} at most.")] = MOST_REPORTS


class ReportOfDays(Struct):
    """Which report."""

    id: Annotated[Id, names(_NONE), says("Its id.")]


class HealthReport(Struct):
    """A report that was asked for."""

    id: str
    scope_id: str
    first_day: str
    last_day: str
    language: str
    asked_by: str
    asked_at: Annotated[int, says("Unix ms.")]


class HealthReports(Struct):
    """Reports of a circle, the newest first."""

    reports: list[HealthReport]


class _Reports:
    """Answers people of circles."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def ask(self, call: Call, body: ReportWanted) -> Response:
        """Ask for a report of some days. For caregivers and doctors."""
        store, now_ms = self._parts.store(), self._parts.clock_ms()
        scope = self._scope(call, body.scope, Action.EXPORT)
        first, last = _day("first_day", body.first_day), _day("last_day", body.last_day)
        if not 0 <= (last - first).days < MOST_DAYS:
            raise InvalidRequest(f"Ask for 1 to {MOST_DAYS} days.", field="last_day")
        patient = store.read([Key(PATIENTS, scope)]).documents.get(Key(PATIENTS, scope))
        own = patient.fields.get("language") if patient is not None else None
        language = words_in(body.language if isinstance(body.language, str) else own).language
        report = HealthReport(
            uuid.uuid4().hex,
            scope,
            first.isoformat(),
            last.isoformat(),
            language,
            call.caller.user_id,
            now_ms,
        )
        fields = {name: getattr(report, name) for name in HealthReport.__struct_fields__[1:]}
        times = {record.CREATED: now_ms, record.MODIFIED: now_ms}
        store.commit([put(Key(REPORTS, report.id), {**fields, **times}, ABSENT)])
        audit.reading(store, call.caller, "ask_report", {scope: {REPORTS: [report.id]}}, now_ms)
        return answer(report, call=call)

    def reports(self, call: Call, asked: ReportsAsked) -> Response:
        """Reports that were asked for, the newest first."""
        store, scope = self._parts.store(), self._scope(call, asked.scope, Action.READ)
        query = Query(
            REPORTS,
            where=((record.SCOPE, "==", scope),),
            order=(("asked_at", "desc"),),
            limit=min(asked.limit, MOST_REPORTS),
        )
        found = [_report(each) for each in store.query(query) if _living(each)]
        seen = {scope: {REPORTS: [each.id for each in found]}}
        audit.reading(store, call.caller, "list_reports", seen, self._parts.clock_ms())
        return answer(HealthReports(found), call=call)

    def read(self, call: Call, asked: ReportOfDays) -> Response:
        """The report as a PDF, made of the records as they are now; for screen readers, too (PDF/UA-1)."""
        from shared.export.pdf import pdf

        store, now_ms = self._parts.store(), self._parts.clock_ms()
        row = store.read([Key(REPORTS, asked.id)]).documents.get(Key(REPORTS, asked.id))
        if row is None or not _living(row):
            raise NotFound(_NONE, field="id")
        report = _report(row)
        try:
            self._scope(call, report.scope_id, Action.READ)
        except NotFound:
            raise NotFound(_NONE, field="id") from None
        found, touched = _reported(store, report, now_ms)
        words = words_in(report.language, found.clock.zone_at(now_ms).key)
        made = pdf(SOURCE, content(found, words, now_ms), now_ms)
        audit.reading(store, call.caller, "read_report", {report.scope_id: touched}, now_ms)
        call.notes["bytes"] = len(made)
        return download(
            made, f"medmind-{report.first_day}-{report.last_day}.pdf", "application/pdf"
        )

    def _scope(self, call: Call, scope: Any, right: Action) -> str:
        return scope_asked(
            self._parts.store(),
            call.caller,
            scope,
            lambda role: role != DEVICE and RIGHTS.may(role, right),
            CATALOG.scope_word,
        )


def _reported(
    store: RecordStore, report: HealthReport, now_ms: int
) -> tuple[Reported, Mapping[str, list[str]]]:
    """What a report is made of, and the records that it shows, by table."""
    scope = report.scope_id
    clock, _ = clock_of(store, scope, now_ms)
    first, last = date.fromisoformat(report.first_day), date.fromisoformat(report.last_day)
    start_ms, end_ms = clock.starts_ms(first), min(clock.starts_ms(last + DAY), now_ms)
    rows = {table: _all(store, scope, table) for table in (MEDICATIONS, PLANS, ITEMS)}
    doses = [each for each in store.query(between(DOSES, scope, start_ms, end_ms)) if _living(each)]
    told = [
        each for each in store.query(between(SYMPTOMS, scope, start_ms, end_ms)) if _living(each)
    ]
    insights = [
        each
        for each in _all(store, scope, INSIGHTS).values()
        if report.first_day <= str(each.fields["found_on"]) <= report.last_day
    ]
    patient = store.read([Key(PATIENTS, scope)]).documents.get(Key(PATIENTS, scope))
    found = Reported(
        str((patient.fields if patient else {}).get("name") or ""),
        first,
        last,
        clock,
        [_dose(each, rows) for each in doses],
        [
            ReportedSymptom(
                int(each.fields["at"]),
                str(each.fields.get("what") or ""),
                str(each.fields.get("severity") or ""),
            )
            for each in told
        ],
        sorted((each.fields for each in insights), key=lambda each: str(each["found_on"])),
        sorted(_plans(rows)),
    )
    seen = {table: list(several.values()) for table, several in rows.items()}
    seen |= {DOSES: doses, SYMPTOMS: told, INSIGHTS: insights}
    touched = {table: [each.key.id for each in several] for table, several in seen.items()}
    return found, {table: ids for table, ids in touched.items() if ids}


def _plans(
    rows: Mapping[str, Mapping[str, Document]],
) -> Iterator[tuple[str, str, str, str]]:
    """Items as the family has them: medicine, amount, when, how."""
    for each in rows[ITEMS].values():
        have = each.fields
        amount = have.get("amount")
        much = f"{amount:g} {have.get('unit') or ''}".strip() if amount is not None else ""
        times = ", ".join(str(at) for at in have.get("times") or ())
        days = f"{have.get('starts_on') or ''} – {have.get('ends_on') or ''}"
        how = "as_needed" if have.get("frequency") == "as_needed" else ""
        when = " · ".join(filter(None, (times, have.get("rrule"), days)))
        yield _medicine(each.key.id, rows), much, when, "paused" if have.get("paused") else how


def _dose(dose: Document, rows: Mapping[str, Mapping[str, Document]]) -> ReportedDose:
    have = dose.fields
    reason = str(have.get("reason") or "")
    fact = DoseFact(
        dose.key.id, int(have["due_at"]), str(have["state"]), have.get("taken_at"), reason
    )
    return ReportedDose(fact, _medicine(str(have.get("item_id")), rows), as_needed(dose.key.id))


def _medicine(item_id: str, rows: Mapping[str, Mapping[str, Document]]) -> str:
    item = rows[ITEMS].get(item_id)
    plan = rows[PLANS].get(str(item.fields.get("plan_id"))) if item else None
    medicine = rows[MEDICATIONS].get(str(plan.fields.get("medication_id"))) if plan else None
    have = medicine.fields if medicine else {}
    return f"{have.get('name') or '–'} {have.get('strength') or ''}".strip()


def _all(store: RecordStore, scope: str, table: str) -> dict[str, Document]:
    """The living rows of a table."""
    now = store.read([Key(PATIENTS, scope)]).read_at
    listing = store.changes(table, [scope], 0, now, even_if_newer=True)
    return {each.document.key.id: each.document for each in listing if _living(each.document)}


def _living(row: Document) -> bool:
    return row.fields.get(record.DELETED) is None


def _report(row: Document) -> HealthReport:
    have: dict[str, Any] = {name: row.fields.get(name) for name in HealthReport.__struct_fields__}
    return HealthReport(**{**have, "id": row.key.id})


def _day(name: str, text: str) -> date:
    try:
        found = date.fromisoformat(text)
    except ValueError:
        found = date.min
    if not date(1970, 1, 2) <= found <= date(2999, 12, 30) - timedelta(1):
        raise InvalidRequest("This must be a day: YYYY-MM-DD.", field=name)
    return found


def routes(parts: Parts) -> tuple[Route, ...]:
    """What asks for reports."""
    answers = _Reports(parts)
    faults = ("invalid_request", NotFound, StoreUnavailable)
    return (
        Route(
            "POST",
            "/api/v1/reports",
            answers.ask,
            name="askReport",
            takes=ReportWanted,
            gives=HealthReport,
            faults=faults,
        ),
        Route(
            "GET",
            "/api/v1/reports",
            answers.reports,
            name="listReports",
            asks=ReportsAsked,
            gives=HealthReports,
            names=(HealthReport,),
            faults=faults,
        ),
        Route(
            "GET",
            "/api/v1/reports/{id}",
            answers.read,
            name="readReport",
            asks=ReportOfDays,
            gives=bytes,
            media="application/pdf",
            faults=faults,
        ),
    )
