"""What doctors' screens call: the work list, a case with all that is known of it, claims, diagnoses."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from shared.access import audit
from shared.api.bodies import PAGE, Limits
from shared.api.routes import Route
from shared.api.web import Call, Response, answer, tagged
from shared.errors import (
    Contended,
    Forbidden,
    InvalidRequest,
    KeyReused,
    ParentDeleted,
    StoreUnavailable,
)
from shared.products.dermadetect import product, screen, worklist
from shared.products.dermadetect.faults import AlreadyDiagnosed, CaseChanged, Claimed, NotSeen
from shared.products.dermadetect.review import parse_signature, readings
from shared.products.product import Parts
from shared.support.inbox import LONGEST_WORD

_HOME = "/api/v1/review/cases"

#: A diagnosis: as much text as a record holds.
_DIAGNOSIS = Limits(2**20, 2**20, 500)


class DoctorsScreen:
    """Answers what a screen asks."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def list_cases(self, call: Call, asked: screen.CasesAsked) -> Response:
        """The cases that wait for a doctor.

        The most urgent first, the oldest of them first, in all scopes where the caller reviews. Urgent is
        what phone or analysis said at worst; an edit never makes it less.

        To poll, send `since` or `If-None-Match`. With `unread=1`: diagnoses that no phone of the case's
        health worker was given for a day, the oldest first.
        """
        found = product.worklist(self._parts)
        value = found.cases(call.caller, worklist.parse(asked), self._parts.clock_ms())
        call.notes |= {"cases": len(value["cases"]), "changed": value["changed"]}
        # Only a list has a tag: "nothing changed" says nothing of what the screen shows.
        if not value["changed"]:
            return answer(value, call=call)
        seen: dict[str, dict[str, list[str]]] = {}
        for entry in value["cases"]:
            seen.setdefault(entry["scope_id"], {"cases": []})["cases"].append(entry["id"])
        return self._shown(call, "list_cases", seen, value)

    def get_case(self, call: Call, asked: screen.OneCase) -> Response:
        """Everything about a case.

        Case and patient with all columns, the whole analysis, every version of the diagnosis, what doctors
        and jobs did, and values that lost a conflict or were refused.
        """
        found, case_id = product.worklist(self._parts), asked.id
        value = found.case(call.caller, case_id, self._parts.clock_ms())
        call.notes["case"] = case_id
        patient, case = value["patient"], value["case"]
        # who may see the case here may see what was read of it: the same roles
        value["readings"] = readings(self._parts.store(), case["id"], case["scope_id"])
        touched = {
            "cases": [case["id"]],
            "patients": [] if patient is None else [patient["id"]],
            "diagnoses": [item["id"] for item in value["diagnoses"]],
        }
        return self._shown(call, "read_case", {case["scope_id"]: touched}, value)

    def claim(self, call: Call, asked: screen.OneCase, body: screen.ReviewClaimRequest) -> Response:
        """Take a case in hand.

        Until `claimed_until` no other doctor can claim or diagnose it. Again: it holds longer. A supervisor
        gives it to a doctor with `doctor_id`, whoever has it.
        """
        review, case_id = product.review(self._parts), asked.id
        now_ms = self._parts.clock_ms()
        return answer(review.claim(call.caller, case_id, body.doctor_id, now_ms), call=call)

    def release(
        self, call: Call, asked: screen.OneCase, _: screen.ReviewReleaseRequest
    ) -> Response:
        """Give a case back.

        By the doctor who has it, or a supervisor. A case that nobody has stays as it is.
        """
        review, case_id = product.review(self._parts), asked.id
        return answer(review.release(call.caller, case_id, self._parts.clock_ms()), call=call)

    def diagnose(
        self, call: Call, asked: screen.OneCase, body: screen.ReviewDiagnosisRequest
    ) -> Response:
        """Sign a diagnosis.

        Stores it, moves the case to `DIAGNOSED` and sends both to the phones, in one step. Needs an
        idempotency key: sent again with the same key, the same content gets the same answer and is stored
        once. Needs `If-Match` with the `ETag` of the case that the doctor looked at: a signature never
        covers what she has not seen.

        To correct a diagnosis, name the one that counts in `amends`. Both are kept.
        """
        signature = parse_signature(body, call.request.headers.get("Idempotency-Key"))
        review, case_id = product.review(self._parts), asked.id
        now_ms = self._parts.clock_ms()
        value = review.diagnose(call.caller, case_id, signature, _version(call), now_ms)
        call.notes |= {"case": value["case_id"], "diagnosis": value["id"]}
        return answer(value, call=call)

    def close(self, call: Call, asked: screen.OneCase, body: screen.ReviewCloseRequest) -> Response:
        """Take a case off the list with a word.

        A case that was deleted while it waited, or that changed since it was signed and needs no new
        diagnosis. One that waits for its diagnosis stays: sign it. Needs `If-Match`, as a diagnosis.
        """
        word = body.word.strip()
        if len(word) > LONGEST_WORD:
            raise InvalidRequest(f"word may have {LONGEST_WORD} characters.", field="word")
        review, case_id = product.review(self._parts), asked.id
        now_ms = self._parts.clock_ms()
        value = review.close(call.caller, case_id, word, _version(call), now_ms)
        call.notes["case"] = value["case_id"]
        return answer(value, call=call)

    def _shown(
        self, call: Call, action: str, seen: Mapping[str, audit.Touched], value: dict[str, Any]
    ) -> Response:
        """A tagged answer, noted in the audit trail if it shows anything anew."""
        # When it was asked does not count. A signature names the version: the rest of the tag may change
        # without the case.
        content = {name: part for name, part in value.items() if name != "timestamp"}
        response = tagged(value, call, of=content, version=value.get("version"))
        if response.status_code != 304:
            audit.reading(self._parts.store(), call.caller, action, seen, self._parts.clock_ms())
        return response


def _version(call: Call) -> int | None:
    """The version that `If-Match` names; None if it names none of ours."""
    tag = call.request.headers.get("If-Match", "")
    found = re.fullmatch(r'\s*(?:W/)?"?(\d{1,19})(?:\.[0-9a-f]+)?"?\s*', tag)
    return None if found is None else int(found[1])


_SHOWN = ("Cache-Control", "Content-Encoding")
_STORE = (Contended, StoreUnavailable)


def routes(parts: Parts) -> Sequence[Route]:
    """The routes of the function `review`."""
    doctors = DoctorsScreen(parts)
    return (
        Route(
            "GET",
            _HOME,
            doctors.list_cases,
            name="listReviewCases",
            asks=screen.CasesAsked,
            gives=screen.ReviewList,
            faults=("invalid_cursor", "time_in_seconds", "forbidden", StoreUnavailable),
            headers=("IfNoneMatch",),
            answer_headers=(*_SHOWN, "ETag"),
            unchanged=True,
        ),
        Route(
            "GET",
            f"{_HOME}/{{id}}",
            doctors.get_case,
            name="getReviewCase",
            asks=screen.OneCase,
            gives=screen.ReviewDetail,
            faults=(Forbidden, StoreUnavailable),
            headers=("IfNoneMatch",),
            answer_headers=(*_SHOWN, "ETag"),
            unchanged=True,
        ),
        Route(
            "POST",
            f"{_HOME}/{{id}}/claim",
            doctors.claim,
            name="claimReviewCase",
            asks=screen.OneCase,
            takes=screen.ReviewClaimRequest,
            body_needed=False,
            gives=screen.ReviewClaim,
            faults=(Forbidden, Claimed, ParentDeleted, *_STORE),
            refusals={Claimed.status: screen.ReviewConflict},
            answer_headers=_SHOWN,
        ),
        Route(
            "POST",
            f"{_HOME}/{{id}}/release",
            doctors.release,
            name="releaseReviewCase",
            asks=screen.OneCase,
            takes=screen.ReviewReleaseRequest,
            body_needed=False,
            gives=screen.ReviewClaim,
            faults=(Forbidden, Claimed, *_STORE),
            refusals={Claimed.status: screen.ReviewConflict},
            answer_headers=_SHOWN,
        ),
        Route(
            "POST",
            f"{_HOME}/{{id}}/diagnosis",
            doctors.diagnose,
            _DIAGNOSIS,
            name="diagnoseReviewCase",
            asks=screen.OneCase,
            takes=screen.ReviewDiagnosisRequest,
            gives=screen.ReviewSigned,
            faults=(
                *(Forbidden, Claimed, AlreadyDiagnosed, NotSeen, CaseChanged),
                *(KeyReused, ParentDeleted, *_STORE),
            ),
            refusals=dict.fromkeys((Claimed.status, CaseChanged.status), screen.ReviewConflict),
            headers=("IdempotencyKey", "IfMatch"),
            answer_headers=_SHOWN,
        ),
        Route(
            "POST",
            f"{_HOME}/{{id}}/close",
            doctors.close,
            PAGE,
            name="closeReviewCase",
            asks=screen.OneCase,
            takes=screen.ReviewCloseRequest,
            body_needed=False,
            gives=screen.ReviewClosed,
            faults=(Forbidden, NotSeen, CaseChanged, *_STORE),
            refusals={CaseChanged.status: screen.ReviewConflict},
            headers=("IfMatch",),
            answer_headers=_SHOWN,
        ),
    )
