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
from typing import Any

from shared.export.fhir import Resource, concept, fhir_id, made, moment, reference
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
        yield made(
            document,
            "Patient",
            identifier=[_identifier("patients", document.key.id)],
            name=[{"text": name}] if isinstance(name, str) and name.strip() else None,
            gender=_SEX.get(str(sex).strip().lower(), "unknown") if sex is not None else None,
            managingOrganization=reference("Organization", fields.get(record.SCOPE)),
        )
        age = said.get("age")
        if isinstance(age, int | float) and not isinstance(age, bool) and 0 <= age <= 130:
            yield made(
                document,
                "Observation",
                id=fhir_id(document.key.id, "age"),
                status="final",
                code=concept("Age", _LOINC, "30525-0"),
                subject=reference("Patient", document.key.id),
                effectiveDateTime=moment(fields.get(record.CREATED)),
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
        subject, entered = reference("Patient", patient), moment(fields.get(record.CREATED))
        answers = _opened(fields.get("triage_data"))
        yield from self._person(fields.get("chw_id"))
        author = reference("Practitioner", fields.get("chw_id"))
        media = [
            made(
                document,
                "Media",
                id=fhir_id(case, f"photo-{number}"),
                status="completed",
                subject=subject,
                createdDateTime=entered,
                operator=author,
                content={"contentType": "image/jpeg", "url": url},
            )
            for number, url in enumerate(fields.get("image_urls") or (), 1)
        ]
        yield from media
        site = answers.get("site")
        yield made(
            document,
            "Condition",
            identifier=[_identifier("cases", case)],
            clinicalStatus=concept(
                None, "http://terminology.hl7.org/CodeSystem/condition-clinical", "active"
            ),
            verificationStatus=concept(
                None,
                "http://terminology.hl7.org/CodeSystem/condition-ver-status",
                "confirmed" if fields.get("status") == "DIAGNOSED" else "unconfirmed",
            ),
            code=concept("Skin problem", _SNOMED, "95320005"),
            bodySite=[{"text": site}] if isinstance(site, str) and site.strip() else None,
            subject=subject,
            recordedDate=entered,
            recorder=author,
            evidence=[{"detail": [reference("Media", each["id"]) for each in media]}]
            if media
            else None,
        )
        items = [item for key, value in answers.items() if (item := _item(key, value))]
        if items:
            yield made(
                document,
                "QuestionnaireResponse",
                id=fhir_id(case, "answers"),
                status="completed",
                subject=subject,
                authored=entered,
                author=author,
                item=items,
            )
        if colour := fields.get("risk_level"):
            yield made(
                document,
                "Observation",
                id=fhir_id(case, "triage"),
                status="final",
                code={"text": "Triage by the health worker's phone"},
                subject=subject,
                focus=[reference("Condition", case)],
                effectiveDateTime=entered,
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
        report = fhir_id(case, "ai")
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
        yield made(
            document,
            "DiagnosticReport",
            meta=label,
            id=report,
            status="preliminary",
            code={"text": "Reading of a skin problem by software"},
            subject=subject,
            issued=moment(document.version // 1000),
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
        yield made(
            document,
            "Provenance",
            meta=label,
            id=fhir_id(case, "ai-provenance"),
            target=[reference("DiagnosticReport", report)],
            recorded=moment(document.version // 1000),
            agent=[
                {
                    "type": concept(
                        None,
                        "http://terminology.hl7.org/CodeSystem/provenance-participant-type",
                        "assembler",
                    ),
                    "who": reference("Device", device),
                }
            ],
        )

    def _diagnosis(self, document: Document) -> Iterator[Resource]:
        fields, case = document.fields, str(document.fields.get("case_id", ""))
        if fields.get("amended_by") or case not in self._patient_of:
            return
        subject = reference("Patient", self._patient_of[case])
        doctor = fields.get("doctor_id")
        yield from self._person(doctor)
        performer = reference("Practitioner", doctor)
        yield made(
            document,
            "DiagnosticReport",
            identifier=[_identifier("diagnoses", document.key.id)],
            status="amended" if fields.get("amends") else "final",
            code={"text": "Diagnosis of a skin problem"},
            subject=subject,
            issued=moment(fields.get(record.CREATED)),
            performer=[performer] if performer else None,
            conclusion=fields.get("diagnosis_text"),
        )
        if what := fields.get("prescription"):
            yield made(
                document,
                "CarePlan",
                id=fhir_id(document.key.id, "plan"),
                status="active",
                intent="plan",
                subject=subject,
                author=performer,
                created=moment(fields.get(record.CREATED)),
                addresses=[reference("Condition", case)],
                description=what,
            )

    def _team(self, fields: Mapping[str, Any]) -> Iterator[Resource]:
        scope = fields.get(record.SCOPE)
        if scope and self._first("Organization", str(scope)):
            yield {"resourceType": "Organization", "id": fhir_id(str(scope)), "name": scope}

    def _person(self, user_id: Any) -> Iterator[Resource]:
        if user_id and self._first("Practitioner", str(user_id)):
            yield {
                "resourceType": "Practitioner",
                "id": fhir_id(str(user_id)),
                "identifier": [_identifier("users", str(user_id))],
            }

    def _first(self, kind: str, name: str) -> bool:
        if (kind, name) in self._told:
            return False
        self._told.add((kind, name))
        return True


def _identifier(table: str, name: str) -> Resource:
    return {"system": f"{SYSTEM}:{table}", "value": name}


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
