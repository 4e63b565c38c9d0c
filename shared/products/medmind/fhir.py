"""MedMind's records as FHIR R4 resources, for systems of hospitals.

    patients                   Patient
    medication_plan_items      MedicationRequest: Timing, as needed with its most a day
    dose_occurrences           MedicationAdministration: completed, or not-done with why; a dose that is not
                               settled yet is none
      taken as needed          MedicationStatement: it was not planned, somebody reports it
    symptom_logs               Observation, preliminary: what the patient said, and nothing made of it

A plan that cannot be read has no Timing; one by a rule of RFC 5545 has the rule as text. Medicines are
texts, as their boxes say them: nobody has coded them. Summaries and alerts are no matter of a hospital's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from shared.export.fhir import Resource, concept, fhir_id, made, moment, reference
from shared.products.medmind.doses import LATE, MISSED, ON_TIME, SKIPPED
from shared.products.medmind.symptoms import symptom
from shared.products.medmind.tables import DOSES, ITEMS, MEDICATIONS, PATIENTS, PLANS, as_needed
from shared.products.medmind.voice_tables import SYMPTOMS
from shared.records import record
from shared.records.store import Document

#: Identifiers of ours, one system a table.
SYSTEM = "urn:medmind"

_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"
_UCUM = "http://unitsofmeasure.org"

#: Period and unit of frequencies (FHIR R4, Timing.repeat).
_PERIODS = {
    "daily": "d",
    "every_n_days": "d",
    "weekly": "wk",
    "monthly": "mo",
    "every_n_hours": "h",
}


class CircleMapper:
    """Resources of a circle's records, one by one, parents before children. Keeps medicines and plans.

    A circle without its patient's row has a patient without a name: every record is somebody's.
    """

    def __init__(self) -> None:
        self._patients: set[str] = set()
        self._rows: dict[tuple[str, str], Mapping[str, Any]] = {}

    def resources(self, document: Document) -> Iterator[Resource]:
        """What a record is in FHIR; nothing for a deleted one, and for tables without a meaning there."""
        fields, table = document.fields, document.key.collection
        if fields.get(record.DELETED) is not None:
            return
        scope = str(fields.get(record.SCOPE) or "")
        if table in (MEDICATIONS, PLANS, ITEMS):
            self._rows[table, document.key.id] = fields
        if table == PATIENTS and scope not in self._patients:
            self._patients.add(scope)
            yield _patient(document, scope)
        elif table in (ITEMS, DOSES, SYMPTOMS):
            if scope not in self._patients:
                self._patients.add(scope)
                yield {"resourceType": "Patient", "id": fhir_id(scope)}
            found = self._record(document, table, reference("Patient", scope))
            if found is not None:
                yield found

    def _record(self, document: Document, table: str, subject: Resource | None) -> Resource | None:
        if table == SYMPTOMS:
            return _observation(document, subject)
        if table == ITEMS:
            medicine, plan = self._medicine(document.fields)
            return _request(document, subject, medicine, plan)
        item_id = str(document.fields.get("item_id"))
        item = self._rows.get((ITEMS, item_id))
        medicine, _ = self._medicine(item or {})
        request = reference("MedicationRequest", item_id) if item is not None else None
        if as_needed(document.key.id):
            return _statement(document, subject, medicine, request)
        return _administration(document, subject, medicine, request)

    def _medicine(self, item: Mapping[str, Any]) -> tuple[Resource, Mapping[str, Any]]:
        """The medicine of an item as a text, and its plan."""
        plan = self._rows.get((PLANS, str(item.get("plan_id"))), {})
        have = self._rows.get((MEDICATIONS, str(plan.get("medication_id"))), {})
        named = " ".join(
            each for name in ("name", "strength", "form") if (each := _said(have.get(name)))
        )
        return {"text": named or "Medicine"}, plan


def _patient(document: Document, scope: str) -> Resource:
    fields = document.fields
    name = _said(fields.get("name"))
    return made(
        document,
        "Patient",
        id=fhir_id(scope),
        identifier=[_identifier(PATIENTS, document.key.id)],
        name=[{"text": name}] if name else None,
        birthDate=_day(fields.get("birth_date")),
    )


def _request(
    document: Document, subject: Resource | None, medicine: Resource, plan: Mapping[str, Any]
) -> Resource:
    fields = document.fields
    reason, by = _said(plan.get("reason")), _said(plan.get("prescribed_by"))
    return made(
        document,
        "MedicationRequest",
        identifier=[_identifier(ITEMS, document.key.id)],
        status="on-hold" if fields.get("paused") else "active",
        intent="plan",
        medicationCodeableConcept=medicine,
        subject=subject,
        requester={"display": by} if by else None,
        reasonCode=[{"text": reason}] if reason else None,
        dosageInstruction=[_dosage(fields)],
    )


def _dosage(fields: Mapping[str, Any]) -> Resource:
    """How an item is taken."""
    found: Resource = {}
    if meal := _said(fields.get("with_meal")):
        found["additionalInstruction"] = [{"text": meal}]
    amount = _quantity(fields.get("amount"), fields.get("unit"))
    if amount is not None:
        found["doseAndRate"] = [{"doseQuantity": amount}]
    if fields.get("frequency") == "as_needed" and not fields.get("rrule"):
        found["asNeededBoolean"] = True
        most = fields.get("most_a_day")
        if most and amount is not None:
            whole = {**amount, "value": amount["value"] * most}
            day = {"value": 1, "unit": "day", "system": _UCUM, "code": "d"}
            found["maxDosePerPeriod"] = {"numerator": whole, "denominator": day}
    elif not fields.get("unread") and (timing := _timing(fields)):
        found["timing"] = timing
    return found or {"text": "As the family has it"}


def _timing(fields: Mapping[str, Any]) -> Resource:
    bounds = {
        end: day
        for end, name in (("start", "starts_on"), ("end", "ends_on"))
        if (day := _day(fields.get(name)))
    }
    repeat: Resource = {"boundsPeriod": bounds} if bounds else {}
    if rule := _said(fields.get("rrule")):
        return {"code": {"text": rule}, **({"repeat": repeat} if repeat else {})}
    times = sorted({_time(each) for each in fields.get("times") or ()})
    frequency = str(fields.get("frequency") or "daily")
    by_hours = frequency == "every_n_hours"
    counted = frequency in ("every_n_days", "every_n_hours")
    repeat |= {
        "frequency": 1 if by_hours else max(1, len(times)),
        "period": int(fields.get("every") or 1) if counted else 1,
        "periodUnit": _PERIODS.get(frequency, "d"),
    }
    if times and not by_hours:
        repeat["timeOfDay"] = times
    days = [str(each).strip().casefold()[:3] for each in fields.get("weekdays") or ()]
    if frequency == "weekly" and days:
        repeat["dayOfWeek"] = days
    return {"repeat": repeat}


def _administration(
    document: Document, subject: Resource | None, medicine: Resource, request: Resource | None
) -> Resource | None:
    """What became of a planned dose; None: nothing is known yet."""
    fields, state = document.fields, document.fields.get("state")
    if state not in (ON_TIME, LATE, MISSED, SKIPPED):
        return None
    taken = state in (ON_TIME, LATE)
    why = {
        MISSED: "Nobody said anything of it until the end of its time",
        SKIPPED: _said(fields.get("reason")) or "Skipped, no reason was given",
    }
    due = moment(fields.get("due_at"))
    return made(
        document,
        "MedicationAdministration",
        identifier=[_identifier(DOSES, document.key.id)],
        status="completed" if taken else "not-done",
        statusReason=None if taken else [{"text": why[str(state)]}],
        medicationCodeableConcept=medicine,
        subject=subject,
        effectiveDateTime=(moment(fields.get("taken_at")) or due) if taken else due,
        request=request,
        dosage=_taken(fields) if taken else None,
        note=[{"text": f"Due {due}; taken late"}] if state == LATE else None,
    )


def _statement(
    document: Document, subject: Resource | None, medicine: Resource, request: Resource | None
) -> Resource:
    """What somebody took as needed, or beside the plan."""
    fields, dose = document.fields, _taken(document.fields)
    return made(
        document,
        "MedicationStatement",
        identifier=[_identifier(DOSES, document.key.id)],
        status="completed",
        medicationCodeableConcept=medicine,
        subject=subject,
        effectiveDateTime=moment(fields.get("taken_at") or fields.get("due_at")),
        basedOn=[request] if request else None,
        dosage=[{"doseAndRate": [{"doseQuantity": dose["dose"]}]}] if dose else None,
    )


def _observation(document: Document, subject: Resource | None) -> Resource:
    """What the patient said of how they are, in their own words."""
    fields = document.fields
    more = (("How bad", "severity"), ("Since", "since"), ("Said", "quote"))
    notes = [f"{title}: {text}" for title, name in more if (text := _said(fields.get(name)))]
    what = _said(fields.get("what"))
    absent = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
    return made(
        document,
        "Observation",
        identifier=[_identifier(SYMPTOMS, document.key.id)],
        status="preliminary",
        category=[concept(None, _CATEGORY, "survey")],
        code={"text": f"Symptom told by the patient: {symptom(what)}"},
        subject=subject,
        effectiveDateTime=moment(fields.get("at")),
        valueString=what,
        dataAbsentReason=None if what else concept(None, absent, "unknown"),
        note=[{"text": each} for each in notes] or None,
    )


def _taken(fields: Mapping[str, Any]) -> Resource | None:
    amount = fields.get("taken_amount")
    dose = _quantity(fields.get("amount") if amount is None else amount, fields.get("unit"))
    return {"dose": dose} if dose else None


def _quantity(value: Any, unit: Any) -> Resource | None:
    if value is None:
        return None
    said = _said(unit)
    return {"value": value, **({"unit": said} if said else {})}


def _identifier(table: str, name: str) -> Resource:
    return {"system": f"{SYSTEM}:{table}", "value": name}


def _said(text: Any) -> str | None:
    """A text that says something: FHIR has no empty one."""
    return text if isinstance(text, str) and text.strip() else None


def _day(text: Any) -> str | None:
    try:
        return date.fromisoformat(str(text).strip()).isoformat()
    except ValueError:
        return None


def _time(text: Any) -> str:
    hour, _, minute = str(text).strip().replace(".", ":").partition(":")
    return f"{int(hour):02d}:{int(minute):02d}:00"
