"""Doctors: the work list, a case with all that is known of it, claims, diagnoses."""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from typing import Any

import orjson
from flask import Request, Response

from shared import wiring
from shared.access import audit
from shared.access.membership import Caller
from shared.api.bodies import PAGE, Limits
from shared.api.web import Call, Route, answer, serve
from shared.errors import InvalidRequest
from shared.products.dermadetect import product, worklist
from shared.products.dermadetect.review import parse_signature, readings
from shared.records import record
from shared.support.inbox import LONGEST_WORD

SETTINGS = wiring.begin()

#: A diagnosis: as much text as a record holds.
_DIAGNOSIS = Limits(2**20, 2**20, 500)


def list_cases(call: Call) -> Response:
    """The cases that wait for a doctor, or whose diagnosis no phone has fetched."""
    caller = _caller(call)
    asked = worklist.parse(call.request.args)
    value = product.worklist(wiring.parts()).cases(caller, asked, wiring.clock_ms())
    call.notes |= {"cases": len(value["cases"]), "changed": value["changed"]}
    # Only a list has a tag: "nothing changed" says nothing of what the screen shows.
    if not value["changed"]:
        return answer(value, call=call)
    seen: dict[str, dict[str, list[str]]] = {}
    for entry in value["cases"]:
        seen.setdefault(entry["scope_id"], {"cases": []})["cases"].append(entry["id"])
    return _shown(call, caller, "list_cases", seen, value)


def get_case(call: Call) -> Response:
    """Everything about one case."""
    caller = _caller(call)
    value = product.worklist(wiring.parts()).case(caller, call.arguments["id"], wiring.clock_ms())
    call.notes |= {"case": call.arguments["id"]}
    patient, case = value["patient"], value["case"]
    # who may see the case here may see what was read of it: the same roles
    value["readings"] = readings(wiring.store(), case["id"], case["scope_id"])
    touched = {
        "cases": [case["id"]],
        "patients": [] if patient is None else [patient["id"]],
        "diagnoses": [item["id"] for item in value["diagnoses"]],
    }
    return _shown(call, caller, "read_case", {case["scope_id"]: touched}, value)


def claim(call: Call) -> Response:
    """Take a case in hand, or give it to a doctor."""
    caller = _caller(call)
    doctor_id = _fields(call, "doctor_id").get("doctor_id")
    if doctor_id is not None and not record.valid_id(doctor_id):
        raise InvalidRequest("doctor_id must be a user's id.", field="doctor_id")
    value = product.review(wiring.parts()).claim(
        caller, call.arguments["id"], doctor_id, wiring.clock_ms()
    )
    return answer(value, call=call)


def release(call: Call) -> Response:
    """Give a case back to the others."""
    caller = _caller(call)
    _fields(call)
    value = product.review(wiring.parts()).release(caller, call.arguments["id"], wiring.clock_ms())
    return answer(value, call=call)


def diagnose(call: Call) -> Response:
    """Sign a diagnosis, or amend the one that counts."""
    caller = _caller(call)
    body, _ = call.json()
    signature = parse_signature(body, call.request.headers.get("Idempotency-Key"), wiring.catalog())
    now_ms = wiring.clock_ms()
    seen = _version(call.request.headers.get("If-Match"))
    value = product.review(wiring.parts()).diagnose(
        caller, call.arguments["id"], signature, seen, now_ms
    )
    call.notes |= {"case": value["case_id"], "diagnosis": value["id"]}
    return answer(value, call=call)


def close(call: Call) -> Response:
    """Take a case off the list that was deleted while it waited, or changed since it was signed."""
    caller = _caller(call)
    word = _fields(call, "word").get("word")
    if not isinstance(word, str) or not 0 < len(word.strip()) <= LONGEST_WORD:
        raise InvalidRequest("Say in a word why it needs nobody any more.", field="word")
    seen = _version(call.request.headers.get("If-Match"))
    value = product.review(wiring.parts()).close(
        caller, call.arguments["id"], word.strip(), seen, wiring.clock_ms()
    )
    call.notes |= {"case": value["case_id"]}
    return answer(value, call=call)


def _version(tag: str | None) -> int | None:
    """The version that an `If-Match` names; None if it names none of ours."""
    found = re.fullmatch(r'\s*(?:W/)?"?(\d{1,19})(?:\.[0-9a-f]+)?"?\s*', tag or "")
    return None if found is None else int(found[1])


def _caller(call: Call) -> Caller:
    """Who asks. Raises `Unauthenticated`."""
    caller = wiring.caller(call)
    call.notes |= {"user": caller.user_id}
    return caller


def _fields(call: Call, *known: str) -> dict[str, Any]:
    """The body's fields; no body has none. Raises `InvalidRequest`."""
    if not call.request.content_length and "Transfer-Encoding" not in call.request.headers:
        return {}
    body, _ = call.json()
    if not isinstance(body, dict) or set(body) - set(known):
        fields = ", ".join(known) or "no fields"
        raise InvalidRequest(f"The body must be an object with {fields}, or left out.")
    return body


def _shown(
    call: Call,
    caller: Caller,
    action: str,
    seen: Mapping[str, audit.Touched],
    value: dict[str, Any],
) -> Response:
    """A tagged answer, noted in the audit trail if it shows anything anew."""
    response = _tagged(call, value)
    if response.status_code != 304:
        audit.reading(wiring.store(), caller, action, seen, wiring.clock_ms())
    return response


def _tagged(call: Call, value: dict[str, Any]) -> Response:
    """The answer with its tag; 304 if the screen has it already. When it was asked does not count."""
    content = {name: part for name, part in value.items() if name != "timestamp"}
    tag = hashlib.sha256(orjson.dumps(content)).hexdigest()[:32]
    if (
        "version" in value
    ):  # what a signature names: the rest of the tag may change without the case
        tag = f"{value['version']}.{tag}"
    call.headers["ETag"] = f'W/"{tag}"'
    if call.request.if_none_match.contains_weak(tag):
        response = Response(status=304)
        response.headers["Cache-Control"] = "no-store"
        return response
    return answer(value, call=call)


ROUTES = (
    Route("GET", "/api/v1/review/cases", list_cases),
    Route("GET", "/api/v1/review/cases/{id}", get_case),
    Route("POST", "/api/v1/review/cases/{id}/claim", claim),
    Route("POST", "/api/v1/review/cases/{id}/release", release),
    Route("POST", "/api/v1/review/cases/{id}/diagnosis", diagnose, _DIAGNOSIS),
    Route("POST", "/api/v1/review/cases/{id}/close", close, PAGE),
)


def review(request: Request) -> Response:
    """Entry point of the function."""
    return serve(request, ROUTES, SETTINGS)
