"""What `shared.api.openapi.document` says of the doctors' side: operations, parameters and schemas.

Times are milliseconds here, JSON columns are what they hold.
"""

from __future__ import annotations

from typing import Any

from shared import errors
from shared.api.openapi.parts import Operation, Schema
from shared.api.openapi.records import received_column
from shared.products.dermadetect import review, worklist
from shared.products.dermadetect.signal import RANKS
from shared.products.dermadetect.tables import DIAGNOSED, PENDING
from shared.records import record
from shared.records.collection import DEFAULT_LENGTH, Catalog
from shared.support.inbox import LONGEST_WORD

_TEXT: Schema = {"type": "string"}
_ID: Schema = {"type": "string", "pattern": f"^(?!__.*__$){record.ID.pattern}$"}
_KEY: Schema = {"type": "string", "pattern": f"^{record.ID.pattern}$"}
_COUNT: Schema = {"type": "integer", "minimum": 0}
_MS: Schema = {"type": "integer", "minimum": 0, "description": "Unix milliseconds."}
_LONG: Schema = {"type": ["string", "null"], "maxLength": DEFAULT_LENGTH}

_ACCESS = (errors.Unauthenticated, errors.Forbidden)
_STORE = (errors.Contended, errors.StoreUnavailable)
_BODY = (
    errors.InvalidJson,
    errors.InvalidRequest,
    errors.RequestTooLarge,
    errors.UnsupportedEncoding,
)
_NO_TIMES = ("time_in_seconds", "time_in_milliseconds")


def _said(method: str, path: str, name: str, summary: str, doc: str, **more: Any) -> Operation:
    more = {"answer_headers": ("Cache-Control", "Content-Encoding"), **more}
    return Operation(method, f"/api/v1/review/cases{path}", name, "review", summary, doc, **more)


OPERATIONS: tuple[Operation, ...] = (
    _said(
        "GET",
        "",
        "listReviewCases",
        "The cases that wait for a doctor",
        "The most urgent first, the oldest of them first, in all scopes where the caller reviews. "
        "Urgent is what phone or analysis said at worst; an edit never makes it less.\n\n"
        "To poll, send `since` or `If-None-Match`. With `unread=1`: diagnoses that no phone of the "
        "case's health worker was given for a day, the oldest first.",
        answers="A page of the list.",
        answer="ReviewList",
        faults=(errors.InvalidRequest, errors.InvalidCursor, *_ACCESS, errors.StoreUnavailable),
        parameters=(
            "ReviewScope",
            "ReviewStatus",
            "ReviewRisk",
            "ReviewUnread",
            "ReviewLimit",
            "ReviewPage",
            "ReviewSince",
            "IfNoneMatch",
            "RequestId",
        ),
        answer_headers=("Cache-Control", "Content-Encoding", "ETag"),
        unchanged=True,
        never=("time_in_milliseconds",),
    ),
    _said(
        "GET",
        "/{id}",
        "getReviewCase",
        "Everything about a case",
        "Case and patient with all columns, the whole analysis, every version of the diagnosis, what "
        "doctors and jobs did, and values that lost a conflict or were refused.",
        answers="The case.",
        answer="ReviewDetail",
        faults=(*_ACCESS, errors.StoreUnavailable),
        parameters=("CaseId", "IfNoneMatch", "RequestId"),
        answer_headers=("Cache-Control", "Content-Encoding", "ETag"),
        unchanged=True,
    ),
    _said(
        "POST",
        "/{id}/claim",
        "claimReviewCase",
        "Take a case in hand",
        "Until `claimed_until` no other doctor can claim or diagnose it. Again: it holds longer. A "
        "supervisor gives it to a doctor with `doctor_id`, whoever has it.",
        answers="Who has the case, and until when.",
        answer="ReviewClaim",
        body="ReviewClaimRequest",
        body_needed=False,
        faults=(*_BODY, *_ACCESS, errors.Claimed, errors.ParentDeleted, *_STORE),
        parameters=("CaseId", "RequestId", "ContentEncoding"),
        never=_NO_TIMES,
    ),
    _said(
        "POST",
        "/{id}/release",
        "releaseReviewCase",
        "Give a case back",
        "By the doctor who has it, or a supervisor. A case that nobody has stays as it is.",
        answers="Nobody has the case.",
        answer="ReviewClaim",
        faults=(*_BODY, *_ACCESS, errors.Claimed, *_STORE),
        parameters=("CaseId", "RequestId", "ContentEncoding"),
        never=_NO_TIMES,
    ),
    _said(
        "POST",
        "/{id}/diagnosis",
        "diagnoseReviewCase",
        "Sign a diagnosis",
        "Stores it, moves the case to `DIAGNOSED` and sends both to the phones, in one step. Needs "
        "an idempotency key: sent again with the same key, the same content gets the same answer "
        "and is stored once. Needs `If-Match` with the `ETag` of the case that the doctor looked at: a "
        "signature never covers what she has not seen.\n\n"
        "To correct a diagnosis, name the one that counts in `amends`. Both are kept.",
        answers="The signed diagnosis.",
        answer="ReviewSigned",
        body="ReviewDiagnosisRequest",
        faults=(
            *_BODY,
            *_ACCESS,
            errors.Claimed,
            errors.AlreadyDiagnosed,
            errors.NotSeen,
            errors.CaseChanged,
            errors.KeyReused,
            errors.ParentDeleted,
            *_STORE,
        ),
        parameters=("CaseId", "IdempotencyKey", "IfMatch", "RequestId", "ContentEncoding"),
        never=_NO_TIMES,
    ),
    _said(
        "POST",
        "/{id}/close",
        "closeReviewCase",
        "Take a case off the list with a word",
        "A case that was deleted while it waited, or that changed since it was signed and needs no new "
        "diagnosis. One that waits for its diagnosis stays: sign it. Needs `If-Match`, as a diagnosis.",
        answers="It is off the list.",
        answer="ReviewClosed",
        body="ReviewCloseRequest",
        faults=(*_BODY, *_ACCESS, errors.NotSeen, errors.CaseChanged, *_STORE),
        parameters=("CaseId", "IfMatch", "RequestId", "ContentEncoding"),
        never=_NO_TIMES,
    ),
)


def _parameter(place: str, name: str, schema: Schema, text: str, **more: Any) -> Schema:
    return {"name": name, "in": place, "description": text, "schema": schema, **more}


PARAMETERS: dict[str, Schema] = {
    "CaseId": _parameter("path", "id", dict(_TEXT), "The case.", required=True),
    "IfNoneMatch": _parameter(
        "header", "If-None-Match", dict(_TEXT), "`ETag` of the answer that the screen shows."
    ),
    "IfMatch": _parameter(
        "header", "If-Match", dict(_TEXT), "`ETag` of the case that the doctor looked at."
    ),
    "IdempotencyKey": _parameter(
        "header",
        "Idempotency-Key",
        dict(_KEY),
        "Made by the screen when the doctor presses the button; the same in every repetition.",
    ),
    "ReviewScope": _parameter("query", "scope", dict(_ID), "Only cases of this scope."),
    "ReviewStatus": _parameter(
        "query",
        "status",
        {"type": "string", "enum": list(worklist.STATUSES), "default": PENDING},
        "Only cases of this status.",
    ),
    "ReviewRisk": _parameter(
        "query",
        "risk",
        {"type": "string", "enum": list(worklist.RISKS)},
        "Only cases that phone or analysis called this at worst.",
    ),
    "ReviewUnread": _parameter(
        "query",
        "unread",
        {"type": "string", "enum": ["0", "1"]},
        "1: diagnoses that did not reach a phone. `status`, `risk` and `since` do not count then.",
    ),
    "ReviewLimit": _parameter(
        "query",
        "limit",
        {"type": "integer", "minimum": 1, "default": worklist.PAGE},
        f"Most cases of one answer; {worklist.MOST} at most.",
    ),
    "ReviewPage": _parameter("query", "page", dict(_TEXT), "`next_page` of the answer before."),
    "ReviewSince": _parameter(
        "query",
        "since",
        dict(_MS),
        "`timestamp` of an earlier answer. If nothing changed after it, `changed` is false and "
        "`cases` is empty. A claim that ends by itself is no change.",
    ),
}

HEADERS: dict[str, Schema] = {
    "ETag": {
        "description": "Names what the answer shows; there unless `changed` is false.",
        "required": False,
        "schema": dict(_TEXT),
    }
}


def _or_null(schema: Schema) -> Schema:
    kinds = schema["type"]
    return {**schema, "type": [*([kinds] if isinstance(kinds, str) else kinds), "null"]}


def _says(schema: Schema, text: str) -> Schema:
    return {**schema, "description": text}


def _fixed(text: str, **words: Schema) -> Schema:
    return {
        "type": "object",
        "description": text,
        "properties": words,
        "required": list(words),
    }


def _list(items: Schema, text: str) -> Schema:
    return {"type": "array", "items": items, "description": text}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}


_CLAIM = {
    "claimed_by": _says(_or_null(_TEXT), "The doctor who has it in hand; null: nobody."),
    "claimed_until": _or_null(_MS),
}
_SIGNED = {
    "signed_by": _says(_or_null(_TEXT), "The doctor whose diagnosis counts."),
    "signed_at": _or_null(_MS),
    "diagnosis_id": _says(_or_null(_TEXT), "The diagnosis that counts."),
}
_VERDICT = {
    "verdict": {
        "type": ["string", "null"],
        "enum": [*review.VERDICTS, None],
        "description": "What the doctor says of the analysis; null: there was none to judge.",
    },
    "verdict_text": _says(_LONG, "A remark on the verdict. Not for phones."),
}


def schemas(catalog: Catalog) -> dict[str, Schema]:
    """The schemas of these operations."""

    def row(table: str, text: str, **more: Schema) -> Schema:
        spec = catalog.by_name.get(table)
        columns = {} if spec is None else {item.name: received_column(item) for item in spec.fields}
        times = dict.fromkeys((record.CREATED, record.MODIFIED), _or_null(_MS))
        return _fixed(
            text, id=_ID, **columns, scope_id=_or_null(_ID), **times, updated_at=_MS, **more
        )

    columns = [] if "cases" not in catalog.by_name else catalog.by_name["cases"].fields
    analysed = any(column.name == "ai_analysis" for column in columns)
    steps = _list({"type": "object", "additionalProperties": True}, "Step by step, oldest first.")
    return {
        "ReviewList": {
            **_fixed(
                "A page of the work list.",
                changed={"type": "boolean", "description": "False: nothing is new since `since`."},
                timestamp=_says(_MS, "For `since` of the next request, ms."),
                cases=_list(_ref("ReviewEntry"), "In the order in which to look at them."),
                next_page=_says(_or_null(_TEXT), "Opaque; null on the last page."),
                cannot_be_filed=_list(
                    _ref("InboxEntry"),
                    "On the first page: urgent records that are no cases (refused, late, lost), before "
                    "all cases. The inbox has them all, and closes them.",
                ),
            ),
            "required": ["changed", "timestamp", "cases", "next_page"],
        },
        "ReviewEntry": _entry(),
        "ReviewCase": row("cases", "A case with all columns."),
        "ReviewPatient": row("patients", "A patient with all columns."),
        "ReviewDiagnosis": row("diagnoses", "One version of the diagnosis.", **_VERDICT),
        "ReviewDetail": _fixed(
            "Everything about a case.",
            case=_ref("ReviewCase"),
            version=_says(_COUNT, "What `If-Match` names: the `ETag` begins with it."),
            **_LISTED,
            patient={"anyOf": [_ref("ReviewPatient"), {"type": "null"}]},
            diagnoses=_list(_ref("ReviewDiagnosis"), "All versions, the oldest first."),
            review=_fixed(
                "What doctors did.",
                **_CLAIM,
                **_SIGNED,
                **_VERDICT,
                read_at=_says(_or_null(_MS), "When it was found that a phone was given it, ms."),
                history=steps,
            ),
            job={"anyOf": [_job(steps), {"type": "null"}]},
            photos=_list(
                _photo(),
                "Every photo that a phone announced: the ready ones in the order of `image_urls`, then "
                "those under way and those refused.",
            ),
            readings=_list(
                _fixed(
                    "One reading.",
                    at=_says(_MS, "When it was made, ms."),
                    job_id=_says(_TEXT, "By which job."),
                    analysis=_ref("AiAnalysis") if analysed else {"type": "object"},
                ),
                "What the model read of it each time, latest first. `ai_analysis` joins them: the most "
                "urgent counts.",
            ),
            conflicts=_list(_conflict(), "Values of case and patient that lost."),
            refused=_list(_refused(), "What phones sent of them and could not be stored."),
        ),
        "ReviewClaimRequest": {
            "type": "object",
            "description": "May be left out.",
            "properties": {
                "doctor_id": _says(_or_null(_ID), "To whom a supervisor gives the case.")
            },
            "additionalProperties": False,
        },
        "ReviewClaim": _fixed("Who has a case in hand.", case_id=_ID, **_CLAIM),
        "ReviewDiagnosisRequest": _request(),
        "ReviewCloseRequest": {
            "type": "object",
            "description": "Why it needs nobody any more.",
            "properties": {
                "word": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": LONGEST_WORD,
                    "pattern": "\\S",
                }
            },
            "required": ["word"],
            "additionalProperties": False,
        },
        "ReviewClosed": _fixed(
            "Whether the case is in the list.", case_id=_ID, waits={"type": "boolean"}
        ),
        "ReviewSigned": _fixed(
            "A signed diagnosis.",
            id=_ID,
            case_id=_ID,
            status={"type": "string", "const": DIAGNOSED},
            doctor_id=_ID,
            diagnosis_text=_TEXT,
            prescription=_or_null(_TEXT),
            amends=_or_null(_ID),
            **_VERDICT,
            signed_at=_MS,
        ),
        "ReviewConflict": {
            "type": "object",
            "description": "Who was faster.",
            "properties": {
                "error": _ref("Error/properties/error"),
                "by": _says(_TEXT, "Who has the case, or signed its diagnosis."),
                "until": _says(_MS, "`claimed`: until when, ms."),
                "at": _says(_MS, "`already_diagnosed`: since when, ms."),
                "diagnosis_id": _says(_TEXT, "`already_diagnosed`: the diagnosis that counts."),
                "changed": _list(dict(_TEXT), "`case_changed`: columns that are others by now."),
            },
            "required": ["error"],
        },
    }


_LISTED: dict[str, Schema] = {
    "reason": {
        "type": ["string", "null"],
        "enum": ["waits", "changed_since_signed", "deleted_while_waiting", None],
        "description": "Why it is in the list; null: it is not.",
    },
    "changed": _list(dict(_TEXT), "Columns that changed since it was signed."),
    "deleted_at": _says(_or_null(_MS), "When it was deleted while it waited."),
    "deleted_by": _says(_or_null(_TEXT), "By whom; itself, or its patient."),
}


def _entry() -> Schema:
    return _fixed(
        "A case as the list shows it.",
        id=_ID,
        scope_id=_or_null(_ID),
        patient_id=_or_null(_ID),
        chw_id=_says(_or_null(_TEXT), "The health worker who created it."),
        status={"type": "string", "enum": list(worklist.STATUSES)},
        risk_level=_says(_or_null(_TEXT), "The phone's own triage, as it is now."),
        triage_final=_says(_or_null(_TEXT), "The worst of phone, rules and analysis."),
        rank={
            "type": "integer",
            "minimum": 0,
            "maximum": max(RANKS.values()),
            "description": ", ".join(f"{rank} {word}" for word, rank in RANKS.items())
            + ": at worst, whatever came later.",
        },
        **_LISTED,
        created_at=_or_null(_MS),
        last_modified_at=_or_null(_MS),
        ai={
            **_fixed("The analysis.", status=_or_null(_TEXT), urgency=_or_null(_TEXT)),
            "type": ["object", "null"],
        },
        job={
            **_fixed("The job of the analysis.", state=_or_null(_TEXT), attempts=_COUNT),
            "type": ["object", "null"],
        },
        images=_says(_COUNT, "Photos that its row names, and others that are ready."),
        **_CLAIM,
        **_SIGNED,
    )


def _job(steps: Schema) -> Schema:
    return _fixed(
        "The job of the analysis.",
        state=_TEXT,
        attempts=_COUNT,
        due_at=_or_null(_MS),
        created_at=_or_null(_MS),
        history=steps,
    )


def _photo() -> Schema:
    return _fixed(
        "A photo, or why there is none.",
        id=_TEXT,
        key=_says(_TEXT, "Its name on the phone, as `image_keys` has it."),
        name=_says(_or_null(_TEXT), "What the phone calls it."),
        state={"type": "string", "enum": ["upload", "checking", "ready", "refused"]},
        code=_says(_or_null(_TEXT), "Why it was refused: a code of files."),
        message=_says(_or_null(_TEXT), "The same as a sentence, with what to do."),
        type=_or_null(_TEXT),
        bytes=_or_null(_COUNT),
        width=_or_null(_COUNT),
        height=_or_null(_COUNT),
        quality={
            **_fixed(
                "What may be wrong with it.",
                verdict={"type": "string", "enum": ["good", "retake"]},
                reasons=_list(dict(_TEXT), "The most serious first."),
            ),
            "type": ["object", "null"],
        },
        incomplete={
            "type": ["boolean", "null"],
            "description": "True: it breaks off; what is missing is grey. Null until it is ready.",
        },
        url=_says(_or_null(_TEXT), "Where it can be looked at; null: nowhere."),
        named={"type": "boolean", "description": "Whether the case's row names it now."},
        user_id=_or_null(_TEXT),
        device=_or_null(_TEXT),
        at=_says(_or_null(_MS), "When it was announced first, ms."),
    )


def _conflict() -> Schema:
    return _fixed(
        "A value that lost, or was overwritten unseen.",
        table=_TEXT,
        record_id=_TEXT,
        winner={"type": "string", "enum": ["server", "client"]},
        reason=_TEXT,
        device=_or_null(_TEXT),
        user_id=_or_null(_TEXT),
        at=_or_null(_MS),
        yours=_says({"type": "object"}, "What was sent; JSON columns are text."),
        theirs=_says({"type": "object"}, "What was stored; JSON columns are text."),
    )


def _refused() -> Schema:
    return _fixed(
        "A refused version.",
        table=_TEXT,
        record_id=_TEXT,
        code=_says(_TEXT, "A code of `rejected`."),
        field=_or_null(_TEXT),
        device=_or_null(_TEXT),
        user_id=_or_null(_TEXT),
        at=_or_null(_MS),
        sent={"description": "As it was sent; null if it was too long to keep whole."},
    )


def _request() -> Schema:
    return {
        "type": "object",
        "description": "A diagnosis to sign. Unknown fields are refused.",
        "properties": {
            "diagnosis_text": {
                "type": "string",
                "minLength": 1,
                "maxLength": DEFAULT_LENGTH,
                "description": "The finding.",
            },
            "prescription": _says(_LONG, "What to take or do."),
            **_VERDICT,
            "amends": _says(_or_null(_ID), "The diagnosis that counts until now, to correct it."),
            "idempotency_key": _says(_or_null(_KEY), "Instead of the header `Idempotency-Key`."),
        },
        "required": ["diagnosis_text"],
        "additionalProperties": False,
    }
