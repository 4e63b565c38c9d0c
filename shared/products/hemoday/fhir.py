"""HemoDay's records as FHIR R4 resources, for systems of hospitals.

    family_profiles      Patient
    transfusions         Procedure; Observation of the volume, the weight and each indicator
    blood_tests          DiagnosticReport: laboratory and comment
    blood_test_results   Observation
    documents            DocumentReference

An indicator that is known has its LOINC code, its value in the code's own unit (UCUM), its comparator and
the range that it is held against; how it was entered stands in a note. A family's own indicator is a text,
its value as it was entered. What is asked about and not answered is `preliminary`. Reminders and templates
are no matter of a hospital's. SNOMED CT 116859006, transfusion of blood product: as HL7's guides have it
(fhir-bfdr, ProcedureBloodTransfusion); which product was given is not entered.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any

from shared.export.fhir import Resource, concept, fhir_id, made, moment, reference
from shared.products.hemoday.indicators import BY_LOINC
from shared.products.hemoday.ranges import AppliedRange
from shared.products.hemoday.series import (
    IndicatorValue,
    entered,
    number_of,
    question,
    range_of,
    ranges_of,
    value_of_result,
    values_of_transfusion,
)
from shared.products.hemoday.tables import (
    BLOOD_TESTS,
    DOCUMENTS,
    PROFILES,
    RESULTS,
    TRANSFUSIONS,
)
from shared.products.hemoday.timeline import day_of
from shared.products.hemoday.units import ucum
from shared.records import record
from shared.records.store import Document

#: Identifiers of ours, one system a table.
SYSTEM = "urn:hemoday"

_LOINC, _UCUM, _SNOMED = "http://loinc.org", "http://unitsofmeasure.org", "http://snomed.info/sct"
_CATEGORY = "http://terminology.hl7.org/CodeSystem/observation-category"


class FamilyMapper:
    """Resources of a family's records, one by one, parents before children. Keeps the days of its tests.

    A family without a profile has a patient without a name: every record is somebody's.
    """

    def __init__(self) -> None:
        self._patients: set[str] = set()
        self._ranges: dict[str, dict[str, dict[str, float]]] = {}
        self._tests: dict[str, Document] = {}

    def resources(self, document: Document) -> Iterator[Resource]:
        """What a record is in FHIR; nothing for a deleted one, and for tables without a meaning there."""
        fields, table = document.fields, document.key.collection
        if fields.get(record.DELETED) is not None:
            return
        scope = str(fields.get(record.SCOPE) or "")
        if table == PROFILES and scope not in self._patients:
            self._patients.add(scope)
            self._ranges[scope] = ranges_of(fields)
            yield _patient(document, scope)
        elif table in (TRANSFUSIONS, BLOOD_TESTS, RESULTS, DOCUMENTS):
            if scope not in self._patients:
                self._patients.add(scope)
                yield {"resourceType": "Patient", "id": fhir_id(scope)}
            yield from self._record(document, table, reference("Patient", scope), scope)

    def _record(
        self, document: Document, table: str, subject: Resource | None, scope: str
    ) -> Iterator[Resource]:
        ranges = self._ranges.get(scope, {})
        if table == TRANSFUSIONS:
            yield from _transfusion(document, subject, ranges)
        elif table == BLOOD_TESTS:
            self._tests[document.key.id] = document
            yield _test(document, subject)
        elif table == RESULTS:
            test = self._tests.get(str(document.fields.get("blood_test_id")))
            if test is not None:
                value = value_of_result(document, test)
                performer = _performer(test)
                yield _observation(document, value, subject, ranges, performer=performer)
        else:
            yield _document(document, subject)


def _patient(document: Document, scope: str) -> Resource:
    fields = document.fields
    return made(
        document,
        "Patient",
        id=fhir_id(scope),
        identifier=[_identifier(PROFILES, document.key.id)],
        name=_worded(fields.get("patient_name")),
        gender=fields.get("sex"),
        birthDate=_born(fields.get("birth_date")),
    )


def _transfusion(
    document: Document, subject: Resource | None, ranges: Mapping[str, Any]
) -> Iterator[Resource]:
    fields, id = document.fields, document.key.id
    notes = [fields.get("medication"), fields.get("comment")]
    yield made(
        document,
        "Procedure",
        identifier=[_identifier(TRANSFUSIONS, id)],
        status="completed",
        code=concept("Transfusion of blood product", _SNOMED, "116859006"),
        subject=subject,
        performedDateTime=moment(day_of(document)),
        note=[one for text in notes for one in _worded(text) or ()] or None,
    )
    part = [reference("Procedure", id)]
    weight = concept("Body weight", _LOINC, "29463-7")
    for name, code, unit in (
        ("volume_ml", {"text": "Volume transfused"}, "mL"),
        ("weight_kg", weight, "kg"),
    ):
        if (value := fields.get(name)) is not None:
            yield made(
                document,
                "Observation",
                id=fhir_id(id, name.replace("_", "-")),
                status="preliminary" if question(document, name) else "final",
                code=code,
                subject=subject,
                partOf=part,
                effectiveDateTime=moment(day_of(document)),
                valueQuantity=_quantity(value, unit),
            )
    for at, value in enumerate(values_of_transfusion(document)):
        found = _observation(document, value, subject, ranges, part=f"indicator-{at}")
        side = {"text": f"{value.side} the transfusion"}
        yield {**found, "partOf": part, "note": [side, *(found.get("note") or ())]}


def _test(document: Document, subject: Resource | None) -> Resource:
    return made(
        document,
        "DiagnosticReport",
        identifier=[_identifier(BLOOD_TESTS, document.key.id)],
        status="final",
        code={"text": "Blood test"},
        subject=subject,
        effectiveDateTime=moment(day_of(document)),
        performer=_performer(document),
        conclusion=_said(document.fields.get("comment")),
    )


def _observation(
    document: Document,
    value: IndicatorValue,
    subject: Resource | None,
    ranges: Mapping[str, Any],
    *,
    part: str = "",
    performer: list[Resource] | None = None,
) -> Resource:
    loinc, name = value.found.get("loinc"), _said(value.name) or "Indicator"
    typed = entered(value.said)
    return made(
        document,
        "Observation",
        id=fhir_id(document.key.id, part),
        identifier=None if part else [_identifier(RESULTS, document.key.id)],
        status="preliminary" if value.question else "final",
        category=[concept(None, _CATEGORY, "laboratory")],
        code=concept(name, _LOINC, loinc) if loinc else {"text": name},
        subject=subject,
        performer=performer,
        effectiveDateTime=moment(value.at),
        note=[{"text": f"Entered: {typed}"}] if typed.strip() else None,
        **_value(value, ranges),
    )


def _value(value: IndicatorValue, ranges: Mapping[str, Any]) -> Resource:
    """The value, and the range that it is held against, in one unit."""
    loinc, known = value.found.get("loinc"), value.found.get("canonical_value")
    if loinc and known is not None:
        unit = BY_LOINC[loinc].unit or "1"
        return {
            "valueQuantity": _quantity(known, unit, value.found.get("comparator")),
            "referenceRange": _range(range_of(value, ranges), unit),
        }
    number = number_of(value.said.get("value"))
    if number is not None:
        return {"valueQuantity": _quantity(number, _said(value.said.get("unit")))}
    if text := _said(value.said.get("value_text") or value.said.get("value")):
        return {"valueString": text}
    missing = "http://terminology.hl7.org/CodeSystem/data-absent-reason"
    return {"dataAbsentReason": concept(None, missing, "unknown")}


def _quantity(value: float, unit: str | None, comparator: str | None = None) -> Resource:
    """A number with its unit; coded, if the unit is one of UCUM."""
    code = unit if unit in ("1", "kg") else ucum(unit or "") or None
    return {
        "value": value,
        **({"comparator": comparator} if comparator else {}),
        **({"unit": unit} if unit else {}),
        **({"system": _UCUM, "code": code} if code else {}),
    }


def _range(held: AppliedRange | None, unit: str) -> list[Resource] | None:
    if held is None:
        return None
    ends = {
        end: _quantity(value, unit)
        for end, value in (("low", held.low), ("high", held.high))
        if value is not None
    }
    whose = "of its report" if held.whose == "report" else "set by the family"
    return [{**ends, "text": whose}]


def _document(document: Document, subject: Resource | None) -> Resource:
    fields = document.fields
    title = _said(fields.get("name")) or "Document"
    when = moment(day_of(document))
    urls = fields.get("file_urls") or ()
    return made(
        document,
        "DocumentReference",
        identifier=[_identifier(DOCUMENTS, document.key.id)],
        status="current",
        type={"text": str(fields.get("category") or "other")},
        subject=subject,
        date=when,
        content=[{"attachment": {"title": title, "url": url}} for url in urls]
        or [{"attachment": {"title": title}}],
    )


def _performer(test: Document) -> list[Resource] | None:
    name = _said(test.fields.get("laboratory"))
    return [{"display": name}] if name else None


def _identifier(table: str, name: str) -> Resource:
    return {"system": f"{SYSTEM}:{table}", "value": name}


def _worded(text: Any) -> list[Resource] | None:
    said = _said(text)
    return [{"text": said}] if said else None


def _said(text: Any) -> str | None:
    """A text that says something: FHIR has no empty one."""
    return text if isinstance(text, str) and text.strip() else None


def _born(text: Any) -> str | None:
    try:
        return date.fromisoformat(str(text)).isoformat()
    except ValueError:
        return None
