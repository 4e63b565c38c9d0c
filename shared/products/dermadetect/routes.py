"""What doctors' screens call: the work list, a case with all that is known of it, claims, diagnoses."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.access import audit
from shared.api.bodies import PAGE, Limits
from shared.api.routes import Route
from shared.api.web import Call, Response, answer, tagged
from shared.errors import (
    Contended,
    FilesUnavailable,
    Forbidden,
    InvalidRequest,
    KeyReused,
    NotFound,
    ParentDeleted,
    StoreUnavailable,
)
from shared.files.links import small_links
from shared.products.dermadetect import numbers, product, screen, worklist_query
from shared.products.dermadetect.faults import (
    AlreadyDiagnosed,
    CaseChanged,
    Claimed,
    NotSeen,
    TooLate,
    TooMuchToCount,
    Withdrawn,
)
from shared.products.dermadetect.quality import QualityAsked, ReviewQuality
from shared.products.dermadetect.review import parse_signature, readings
from shared.products.product import Parts
from shared.support.inbox import LONGEST_WORD

log = logging.getLogger(__name__)

_BASE = "/api/v1/review"
_HOME = f"{_BASE}/cases"
_TEXTS = f"{_BASE}/texts"

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

        Filters may be joined. Links of `thumbnails=1` are no part of the `ETag`: ask without
        `If-None-Match` when they have expired.
        """
        found = product.worklist(self._parts)
        query = worklist_query.parse(asked)
        value = found.cases(call.caller, query, self._parts.clock_ms())
        call.notes |= {"cases": len(value["cases"]), "changed": value["changed"]}
        # Only a list has a tag: "nothing changed" says nothing of what the screen shows.
        if not value["changed"]:
            return answer(value, call=call)
        seen: dict[str, dict[str, list[str]]] = {}
        for entry in value["cases"]:
            there = seen.setdefault(
                entry["scope_id"], {"cases": [], "patients": [], "accounts": []}
            )
            there["cases"].append(entry["id"])
            if entry["patient"] is not None:
                there["patients"].append(entry["patient_id"])
            if entry["worker"] is not None:
                there["accounts"].append(entry["chw_id"])
            if entry["claimed_name"] is not None:
                there["accounts"].append(entry["claimed_by"])
        rows = [(entry, entry["scope_id"]) for entry in value["cases"]] if query.thumbnails else []
        return self._shown(call, "list_cases", _each_once(seen), value, rows)

    def get_case(self, call: Call, asked: screen.OneCase) -> Response:
        """Everything about a case.

        Case and patient with all columns, the whole analysis, every version of the diagnosis, what doctors
        and jobs did, values that lost a conflict or were refused, and the patient's other cases.
        """
        found, case_id = product.worklist(self._parts), asked.id
        value = found.case(call.caller, case_id, self._parts.clock_ms())
        call.notes["case"] = case_id
        patient, case = value["patient"], value["case"]
        # who may see the case here may see what was read of it: the same roles
        value["readings"] = readings(self._parts.store(), case["id"], case["scope_id"])
        touched = {
            "cases": [case["id"], *(item["id"] for item in value["patient_cases"])],
            "patients": [] if patient is None else [patient["id"]],
            "diagnoses": [
                *(item["id"] for item in value["diagnoses"]),
                *_diagnoses_in(value["patient_cases"]),
            ],
            "accounts": [] if value["worker"] is None else [case["chw_id"]],
        }
        return self._shown(call, "read_case", _each_once({case["scope_id"]: touched}), value)

    def list_patient_cases(self, call: Call, asked: screen.OtherCasesAsked) -> Response:
        """The other cases of a case's patient.

        Those of the same team, the newest first, with the diagnosis that counts and their photos.
        """
        behind = worklist_query.behind(asked.page, worklist_query.OF_PATIENT)
        found, most = product.worklist(self._parts), min(asked.limit, screen.MOST)
        value = found.patient_cases(call.caller, asked.id, most, behind)
        call.notes |= {"case": asked.id, "cases": len(value["cases"])}
        scope_id, cases = value["scope_id"], value["cases"]
        touched = {
            "cases": [asked.id, *(item["id"] for item in cases)],
            "diagnoses": _diagnoses_in(cases),
        }
        rows = [(item, scope_id) for item in cases] if asked.thumbnails == "1" else []
        return self._shown(call, "list_patient_cases", {scope_id: touched}, value, rows)

    def totals(self, call: Call, asked: screen.TotalsAsked) -> Response:
        """How much waits.

        Of the work list in all scopes where the caller reviews, or in one. Counted, not read: ten reads for
        thirty scopes, however much waits.
        """
        found = product.worklist(self._parts)
        value = found.totals(call.caller, asked.scope or None, self._parts.clock_ms())
        return tagged(value, call, of=_lasting(value), version=None)

    def numbers(self, call: Call, asked: screen.NumbersAsked) -> Response:
        """Numbers by week.

        Cases that arrived by risk, how long they waited for their first diagnosis, and what doctors said of
        the analysis: of all scopes whose numbers the caller may see, or of one, or with `own=1` of what the
        caller signed. Weeks begin on Monday (ISO 8601) at midnight of `zone`.
        """
        query = numbers.parse(asked, self._parts.clock_ms())
        value = product.numbers(self._parts).of(call.caller, query)
        call.notes |= {"weeks": len(value["weeks"]), "cases": value["all"]["signed"]["total"]}
        return tagged(value, call, of=value, version=None)

    def quality(self, call: Call, asked: QualityAsked) -> Response:
        """How good the weeks were.

        Photos worth taking again, and red cases that the phone had called red, by what doctors said of the
        analysis: of all scopes whose numbers the caller may see, or of one. Days and weeks are as in the
        numbers.
        """
        query = asked.query(self._parts.clock_ms())
        value = product.quality(self._parts).of(call.caller, query)
        call.notes["weeks"] = len(value["weeks"])
        return tagged(value, call, of=value, version=None)

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

    def withdraw(
        self, call: Call, asked: screen.OneCase, body: screen.ReviewWithdrawRequest
    ) -> Response:
        """Take a signature back.

        By the doctor who gave it, for ten seconds. The case is as it was before: an earlier diagnosis
        counts again, phones that have this one drop it. Sent again it gets the same answer.
        """
        review, case_id = product.review(self._parts), asked.id
        now_ms = self._parts.clock_ms()
        value = review.withdraw(call.caller, case_id, body.diagnosis_id, now_ms)
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

    def list_texts(self, call: Call) -> Response:
        """The texts that the caller keeps for diagnoses.

        Nobody else sees them, and they end with the account.
        """
        return answer({"texts": product.saved_texts(self._parts).of(call.caller)}, call=call)

    def save_text(
        self, call: Call, asked: screen.OneText, body: screen.SavedTextRequest
    ) -> Response:
        """Keep a text, or change it.

        Under an id of your own making; sent again it changes nothing.
        """
        kept = product.saved_texts(self._parts)
        return answer(kept.save(call.caller, asked.id, body.name, body.text), call=call)

    def remove_text(self, call: Call, asked: screen.OneText) -> Response:
        """Remove a text."""
        product.saved_texts(self._parts).remove(call.caller, asked.id)
        return answer({"id": asked.id}, call=call)

    def _shown(
        self,
        call: Call,
        action: str,
        seen: Mapping[str, Mapping[str, list[str]]],
        value: dict[str, Any],
        rows: Sequence[tuple[dict[str, Any], str]] = (),
    ) -> Response:
        """A tagged answer, noted in the audit trail if it shows anything anew.

        `rows`, each with its scope, get links to their thumbnails, of which the tag knows nothing.
        """
        # A signature names the version: the rest of the tag may change without the case.
        response = tagged(value, call, of=_lasting(value), version=value.get("version"))
        if response.status_code != 304:
            if shown := self._link(rows):
                response = answer(value, call=call)
                seen = {
                    scope_id: {**touched, "files": shown.get(scope_id, [])}
                    for scope_id, touched in seen.items()
                }
            audit.reading(self._parts.store(), call.caller, action, seen, self._parts.clock_ms())
        return response

    def _link(self, rows: Iterable[tuple[dict[str, Any], str]]) -> dict[str, list[str]]:
        """Put links into rows that have a thumbnail: scope → files that they lead to.

        A list never waits for its pictures: where links cannot be signed, rows stay without.
        """
        pictures = [
            (row["thumbnail"], scope) for row, scope in rows if row["thumbnail"] is not None
        ]
        seconds, now_ms = self._parts.settings.link_seconds, self._parts.clock_ms()
        wanted = {picture["id"]: scope for picture, scope in pictures}
        try:
            links = small_links(
                self._parts.store(), self._parts.files, wanted, seconds=seconds, now_ms=now_ms
            )
        except (FilesUnavailable, StoreUnavailable) as fault:
            log.warning("thumbnails left out", extra={"code": fault.code})
            return {}
        found: dict[str, list[str]] = {}
        for picture, scope in pictures:
            if picture["id"] in links:
                picture |= {"url": links[picture["id"]], "expires_at": now_ms + seconds * 1000}
                found.setdefault(scope, []).append(picture["id"])
        return found


def _lasting(value: Mapping[str, Any]) -> dict[str, Any]:
    """What of an answer a tag is made of: when it was asked does not count."""
    return {name: part for name, part in value.items() if name != "timestamp"}


def _diagnoses_in(rows: Iterable[Mapping[str, Any]]) -> list[str]:
    """Ids of the diagnoses that rows of a patient's cases show."""
    return [row["diagnosis_id"] for row in rows if row["diagnosis"] is not None]


def _each_once(
    seen: Mapping[str, Mapping[str, Sequence[str]]],
) -> dict[str, dict[str, list[str]]]:
    """Ids by scope and table, none twice; tables of which nothing is shown are left out."""
    return {
        scope_id: {table: list(dict.fromkeys(ids)) for table, ids in touched.items() if ids}
        for scope_id, touched in seen.items()
    }


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
            "GET",
            f"{_HOME}/{{id}}/patient-cases",
            doctors.list_patient_cases,
            name="listReviewPatientCases",
            asks=screen.OtherCasesAsked,
            gives=screen.PatientCases,
            faults=("invalid_request", "invalid_cursor", "forbidden", StoreUnavailable),
            headers=("IfNoneMatch",),
            answer_headers=(*_SHOWN, "ETag"),
            unchanged=True,
        ),
        Route(
            "GET",
            f"{_BASE}/totals",
            doctors.totals,
            name="getReviewTotals",
            asks=screen.TotalsAsked,
            gives=screen.ReviewTotals,
            faults=("invalid_request", "forbidden", StoreUnavailable),
            headers=("IfNoneMatch",),
            answer_headers=(*_SHOWN, "ETag"),
            unchanged=True,
        ),
        Route(
            "GET",
            f"{_BASE}/numbers",
            doctors.numbers,
            name="getReviewNumbers",
            asks=screen.NumbersAsked,
            gives=screen.ReviewNumbers,
            faults=("invalid_request", TooMuchToCount, "forbidden", StoreUnavailable),
            headers=("IfNoneMatch",),
            answer_headers=(*_SHOWN, "ETag"),
            unchanged=True,
        ),
        Route(
            "GET",
            f"{_BASE}/quality",
            doctors.quality,
            name="getReviewQuality",
            asks=QualityAsked,
            gives=ReviewQuality,
            faults=("invalid_request", "forbidden", StoreUnavailable),
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
                *(KeyReused, Withdrawn, ParentDeleted, *_STORE),
            ),
            refusals=dict.fromkeys((Claimed.status, CaseChanged.status), screen.ReviewConflict),
            headers=("IdempotencyKey", "IfMatch"),
            answer_headers=_SHOWN,
        ),
        Route(
            "POST",
            f"{_HOME}/{{id}}/withdraw",
            doctors.withdraw,
            PAGE,
            name="withdrawReviewCase",
            asks=screen.OneCase,
            takes=screen.ReviewWithdrawRequest,
            gives=screen.ReviewWithdrawn,
            faults=(Forbidden, AlreadyDiagnosed, TooLate, ParentDeleted, *_STORE),
            refusals={AlreadyDiagnosed.status: screen.ReviewConflict},
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
        Route(
            "GET",
            _TEXTS,
            doctors.list_texts,
            name="listReviewTexts",
            gives=screen.SavedTextList,
            faults=(StoreUnavailable,),
            answer_headers=_SHOWN,
        ),
        Route(
            "PUT",
            f"{_TEXTS}/{{id}}",
            doctors.save_text,
            PAGE,
            name="saveReviewText",
            asks=screen.OneText,
            takes=screen.SavedTextRequest,
            gives=screen.SavedText,
            faults=_STORE,
            answer_headers=_SHOWN,
        ),
        Route(
            "DELETE",
            f"{_TEXTS}/{{id}}",
            doctors.remove_text,
            name="removeReviewText",
            asks=screen.OneText,
            gives=screen.TextRemoved,
            faults=(NotFound, *_STORE),
            answer_headers=_SHOWN,
        ),
    )
