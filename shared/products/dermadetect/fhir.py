"""DermaDetect's records as FHIR R4 resources, for other systems of a hospital or a ministry.

    patients     Patient; its age as an Observation
    cases        Condition, QuestionnaireResponse (the answers), Observation (the colour), Media (photos)
    ai_analysis  DiagnosticReport, Device (the model), Provenance; labelled as asserted by AI
    diagnoses    DiagnosticReport of the doctor; CarePlan for what to do
    people       Practitioner, by their id alone; Organization for a team

What software said is `preliminary`, carries the security label AIAST (artificial intelligence asserted) of
HL7's v3-ObservationValue, has a device as its author, and its conclusion begins with the disclaimer: it
cannot be taken for a doctor's report. A diagnosis that another one corrects is left out, the correcting
one is `amended`. Answers stay as the phone's form has them, without codes: we know of no code system for
its questions.
"""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

from shared.export.fhir import Resource
from shared.records import record
from shared.records.store import Document

#: Identifiers of ours, one system a table.
SYSTEM = "urn:dermadetect"

#: Labels what software asserted.
AI_ASSERTED = {
    "system": "http://terminology.hl7.org/CodeSystem/v3-ObservationValue",
    "code": "AIAST",
    "display": "Artificial Intelligence asserted",
}

_SNOMED, _LOINC = "http://snomed.info/sct", "http://loinc.org"
_SEX = {"female": "female", "male": "male", "f": "female", "m": "male", "other": "other"}


class Mapper:
    """Resources of records, one by one. Parents come before children: a diagnosis knows its case alone.

    A record whose parent was not told, since it was deleted or came after the list of parents was read, is
    left out: no reference leads nowhere. Tells each person, team and model once. Keeps an id a patient
    and two a case: flat enough for millions.
    """

    def __init__(self) -> None:
        self._patients: set[str] = set()
        self._patient_of: dict[str, str] = {}
        self._told: set[tuple[str, str]] = set()

    def resources(self, document: Document) -> Iterator[Resource]:
        """What a record is in FHIR; nothing for a deleted one, and for tables without a meaning there."""
        if document.fields.get(record.DELETED) is not None:
            return
        match document.key.collection:
            case "patients":
                yield from self._patient(document)
            case "cases":
                yield from self._case(document)
            case "diagnoses":
                yield from self._diagnosis(document)

    def _patient(self, document: Document) -> Iterator[Resource]:
        fields = document.fields
        said = _opened(fields.get("demographics"))
        self._patients.add(document.key.id)
        yield from self._team(fields)
        yield from self._person(fields.get("chw_id"))
        name, sex = said.get("name"), said.get("sex")
        yield _made(
            document,
            "Patient",
            identifier=[_identifier("patients", document.key.id)],
            name=[{"text": name}] if isinstance(name, str) and name.strip() else None,
            gender=_SEX.get(str(sex).strip().lower(), "unknown") if sex is not None else None,
            managingOrganization=_reference("Organization", fields.get(record.SCOPE)),
        )
        age = said.get("age")
        if isinstance(age, int | float) and not isinstance(age, bool) and 0 <= age <= 130:
            yield _made(
                document,
                "Observation",
                id=_id(document.key.id, "age"),
                status="final",
                code=_concept("Age", _LOINC, "30525-0"),
                subject=_reference("Patient", document.key.id),
                effectiveDateTime=_time(fields.get(record.CREATED)),
                valueQuantity={
                    "value": age,
                    "unit": "years",
                    "system": "http://unitsofmeasure.org",
                    "code": "a",
                },
            )

    def _case(self, document: Document) -> Iterator[Resource]:
        fields, case = document.fields, document.key.id
        patient = str(fields.get("patient_id", ""))
        if patient not in self._patients:
            return
        self._patient_of[case] = patient
        subject, made = _reference("Patient", patient), _time(fields.get(record.CREATED))
        answers = _opened(fields.get("triage_data"))
        yield from self._person(fields.get("chw_id"))
        author = _reference("Practitioner", fields.get("chw_id"))
        media = [
            _made(
                document,
                "Media",
                id=_id(case, f"photo-{number}"),
                status="completed",
                subject=subject,
                createdDateTime=made,
                operator=author,
                content={"contentType": "image/jpeg", "url": url},
            )
            for number, url in enumerate(fields.get("image_urls") or (), 1)
        ]
        yield from media
        site = answers.get("site")
        yield _made(
            document,
            "Condition",
            identifier=[_identifier("cases", case)],
            clinicalStatus=_concept(
                None, "http://terminology.hl7.org/CodeSystem/condition-clinical", "active"
            ),
            verificationStatus=_concept(
                None,
                "http://terminology.hl7.org/CodeSystem/condition-ver-status",
                "confirmed" if fields.get("status") == "DIAGNOSED" else "unconfirmed",
            ),
            code=_concept("Skin problem", _SNOMED, "95320005"),
            bodySite=[{"text": site}] if isinstance(site, str) and site.strip() else None,
            subject=subject,
            recordedDate=made,
            recorder=author,
            evidence=[{"detail": [_reference("Media", each["id"]) for each in media]}]
            if media
            else None,
        )
        items = [item for key, value in answers.items() if (item := _item(key, value))]
        if items:
            yield _made(
                document,
                "QuestionnaireResponse",
                id=_id(case, "answers"),
                status="completed",
                subject=subject,
                authored=made,
                author=author,
                item=items,
            )
        if colour := fields.get("risk_level"):
            yield _made(
                document,
                "Observation",
                id=_id(case, "triage"),
                status="final",
                code={"text": "Triage by the health worker's phone"},
                subject=subject,
                focus=[_reference("Condition", case)],
                effectiveDateTime=made,
                valueCodeableConcept={"text": colour},
            )
        if analysis := fields.get("ai_analysis"):
            yield from self._analysis(document, analysis, subject)

    def _analysis(
        self, document: Document, analysis: Mapping[str, Any], subject: Resource | None
    ) -> Iterator[Resource]:
        case, provenance = document.key.id, analysis.get("provenance") or {}
        model = str(provenance.get("model") or "unknown")
        device = hashlib.sha256(f"{model}\n{provenance.get('version')}".encode()).hexdigest()[:32]
        if self._first("Device", device):
            yield {
                "resourceType": "Device",
                "id": device,
                "deviceName": [{"name": model, "type": "model-name"}],
                "version": [{"value": str(provenance["version"])}]
                if provenance.get("version")
                else None,
            }
        label = {"security": [AI_ASSERTED]}
        report = _id(case, "ai")
        opinions = [each["label"] for each in analysis.get("differential") or ()]
        said = [
            str(analysis.get("disclaimer", "")),
            f"Urgency: {analysis.get('urgency')}.",
            *(
                [f"Red flags: {', '.join(analysis['red_flags'])}."]
                if analysis.get("red_flags")
                else ()
            ),
            *([f"Considered: {'; '.join(opinions)}."] if opinions else ()),
        ]
        yield _made(
            document,
            "DiagnosticReport",
            meta=label,
            id=report,
            status="preliminary",
            code={"text": "Reading of a skin problem by software"},
            subject=subject,
            issued=_time(document.version // 1000),
            conclusion=" ".join(filter(None, said)),
            presentedForm=[
                {
                    "contentType": "application/json",
                    "data": base64.b64encode(
                        json.dumps(analysis, sort_keys=True, ensure_ascii=False).encode()
                    ).decode(),
                    "title": "ai_analysis",
                }
            ],
        )
        yield _made(
            document,
            "Provenance",
            meta=label,
            id=_id(case, "ai-provenance"),
            target=[_reference("DiagnosticReport", report)],
            recorded=_time(document.version // 1000),
            agent=[
                {
                    "type": _concept(
                        None,
                        "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
                        "assembler",
                    ),
                    "who": _reference("Device", device),
                }
            ],
        )

    def _diagnosis(self, document: Document) -> Iterator[Resource]:
        fields, case = document.fields, str(document.fields.get("case_id", ""))
        if fields.get("amended_by") or case not in self._patient_of:
            return
        subject = _reference("Patient", self._patient_of[case])
        doctor = fields.get("doctor_id")
        yield from self._person(doctor)
        performer = _reference("Practitioner", doctor)
        yield _made(
            document,
            "DiagnosticReport",
            identifier=[_identifier("diagnoses", document.key.id)],
            status="amended" if fields.get("amends") else "final",
            code={"text": "Diagnosis of a skin problem"},
            subject=subject,
            issued=_time(fields.get(record.CREATED)),
            performer=[performer] if performer else None,
            conclusion=fields.get("diagnosis_text"),
        )
        if what := fields.get("prescription"):
            yield _made(
                document,
                "CarePlan",
                id=_id(document.key.id, "plan"),
                status="active",
                intent="plan",
                subject=subject,
                author=performer,
                created=_time(fields.get(record.CREATED)),
                addresses=[_reference("Condition", case)],
                description=what,
            )

    def _team(self, fields: Mapping[str, Any]) -> Iterator[Resource]:
        scope = fields.get(record.SCOPE)
        if scope and self._first("Organization", str(scope)):
            yield {"resourceType": "Organization", "id": _id(str(scope)), "name": scope}

    def _person(self, user_id: Any) -> Iterator[Resource]:
        if user_id and self._first("Practitioner", str(user_id)):
            yield {
                "resourceType": "Practitioner",
                "id": _id(str(user_id)),
                "identifier": [_identifier("users", str(user_id))],
            }

    def _first(self, kind: str, name: str) -> bool:
        if (kind, name) in self._told:
            return False
        self._told.add((kind, name))
        return True


def _made(document: Document, kind: str, **fields: Any) -> Resource:
    meta = {"lastUpdated": _time(document.version // 1000), **(fields.pop("meta", None) or {})}
    name = fields.pop("id", None) or _id(document.key.id)
    return {"resourceType": kind, "id": name, "meta": meta, **fields}


def _id(name: str, part: str = "") -> str:
    """An id as FHIR allows it (64 of A-Z a-z 0-9 - .): ours, if it is one, else its hash."""
    whole = f"{name}.{part}" if part else name
    if len(whole) <= 64 and "_" not in whole:
        return whole
    return hashlib.sha256(whole.encode()).hexdigest()


def _reference(kind: str, name: Any) -> Resource | None:
    return {"reference": f"{kind}/{_id(str(name))}"} if name else None


def _identifier(table: str, name: str) -> Resource:
    return {"system": f"{SYSTEM}:{table}", "value": name}


def _concept(text: str | None, system: str, code: str) -> Resource:
    coded: Resource = {"coding": [{"system": system, "code": code}]}
    return {**coded, "text": text} if text else coded


def _item(key: str, value: Any) -> Resource | None:
    """An answer of the form under its key; what is no plain value is JSON text."""
    match value:
        case None:
            return None
        case bool():
            answer: Resource = {"valueBoolean": value}
        case int() | float():
            answer = {"valueDecimal": value}
        case str():
            if not value.strip():
                return None
            answer = {"valueString": value}
        case _:
            answer = {"valueString": json.dumps(value, ensure_ascii=False)}
    return {"linkId": key, "answer": [answer]}


def _opened(value: Any) -> Mapping[str, Any]:
    try:
        said = json.loads(value) if isinstance(value, str) else value
    except ValueError:
        return {}
    return said if isinstance(said, dict) else {}


def _time(ms: Any) -> str | None:
    if not isinstance(ms, int):
        return None
    try:
        return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds")
    except (OverflowError, ValueError):
        return None
