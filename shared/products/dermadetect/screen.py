"""What doctors' screens send and get, as types. Times are milliseconds, JSON columns are what they hold."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal, get_args

from msgspec import UNSET, Meta, Struct, UnsetType

from shared.api.fields import (
    NULL,
    REF,
    Count,
    CountOrNull,
    Error,
    Id,
    Limit,
    TextOrNull,
    must,
    one_of,
    says,
    schema,
)
from shared.products.dermadetect.signal import RANKS
from shared.products.dermadetect.tables import DIAGNOSED, PENDING, TRIAGED
from shared.records import record
from shared.records.collection import DEFAULT_LENGTH, Catalog
from shared.support.inbox import LONGEST_WORD

#: Entries of a page unless the request says otherwise, and at most.
PAGE = 50
MOST = 200

STATUSES = (TRIAGED, PENDING, DIAGNOSED)
RISKS = tuple(RANKS)

#: What a doctor may say about the analysis.
Verdict = Literal["agree", "edit", "reject"]
VERDICTS: tuple[str, ...] = get_args(Verdict)

#: Words for one key of the screen's own making.
KEY_WORDS = "1 to 128 of A-Z a-z 0-9 _ -"

_Ms = Annotated[int, says("Unix milliseconds.", minimum=0)]
_MsOrNull = Annotated[int | None, says("Unix milliseconds.", **NULL, minimum=0)]
_IdOrNull = Annotated[Id | None, schema(**NULL)]
_Key = Annotated[str, must(KEY_WORDS, pattern=rf"^{record.ID.pattern}\Z")]
_Long = Annotated[
    Annotated[str, must(f"a text of up to {DEFAULT_LENGTH} characters", max_length=DEFAULT_LENGTH)]
    | None,
    schema(**NULL),
]
_Verdict = Annotated[
    Verdict | None,
    says("What the doctor says of the analysis; null: there was none to judge.", **NULL),
]
_Remark = Annotated[_Long, says("A remark on the verdict. Not for phones.")]
_ClaimedBy = Annotated[TextOrNull, says("The doctor who has it in hand; null: nobody.")]
_SignedBy = Annotated[TextOrNull, says("The doctor whose diagnosis counts.")]
_DiagnosisId = Annotated[TextOrNull, says("The diagnosis that counts.")]
_Steps = Annotated[
    list[Any],
    says("Step by step, oldest first.", items={"type": "object", "additionalProperties": True}),
]


def _named(name: str, text: str = "") -> Meta:
    """A schema that is made of the tables."""
    return Meta(
        description=text or None, extra_json_schema={"type": None, "$ref": REF.format(name=name)}
    )


# --- what is asked


class OneCase(Struct):
    """Which case."""

    id: Annotated[str, says("The case.")]


class CasesAsked(Struct):
    """Which cases."""

    scope: Annotated[Id | UnsetType, says("Only cases of this scope.")] = UNSET
    status: Annotated[str, one_of(STATUSES), says("Only cases of this status.")] = PENDING
    risk: Annotated[
        Annotated[str, one_of(RISKS)] | UnsetType,
        says("Only cases that phone or analysis called this at worst."),
    ] = UNSET
    unread: Annotated[
        str,
        one_of(("0", "1")),
        says(
            "1: diagnoses that did not reach a phone. `status`, `risk` and `since` do not count then.",
            default=None,
        ),
    ] = "0"
    limit: Annotated[Limit, says(f"Most cases of one answer; {MOST} at most.")] = PAGE
    page: Annotated[str | UnsetType, says("`next_page` of the answer before.")] = UNSET
    since: Annotated[
        str | UnsetType,
        says(
            "`timestamp` of an earlier answer. If nothing changed after it, `changed` is false and "
            "`cases` is empty. A claim that ends by itself is no change.",
            type="integer",
            minimum=0,
        ),
    ] = UNSET


class ReviewClaimRequest(Struct, forbid_unknown_fields=True):
    """May be left out."""

    doctor_id: Annotated[_IdOrNull, says("To whom a supervisor gives the case.")] = None


class ReviewReleaseRequest(Struct, forbid_unknown_fields=True):
    """Nothing."""


class ReviewDiagnosisRequest(Struct, forbid_unknown_fields=True):
    """A diagnosis to sign. Unknown fields are refused."""

    diagnosis_text: Annotated[
        str,
        must(
            f"a text of up to {DEFAULT_LENGTH} characters", min_length=1, max_length=DEFAULT_LENGTH
        ),
        says("The finding."),
    ]
    prescription: Annotated[_Long, says("What to take or do.")] = None
    verdict: _Verdict = None
    verdict_text: _Remark = None
    amends: Annotated[_IdOrNull, says("The diagnosis that counts until now, to correct it.")] = None
    idempotency_key: Annotated[
        _Key | None, says("Instead of the header `Idempotency-Key`.", **NULL)
    ] = None


class ReviewCloseRequest(Struct, forbid_unknown_fields=True):
    """Why it needs nobody any more."""

    word: Annotated[
        str,
        must("a word why it needs nobody any more", min_length=1, pattern=r"\S"),
        schema(maxLength=LONGEST_WORD),
    ]


# --- what is answered


class _Listed(Struct, kw_only=True):
    reason: Annotated[
        Literal["waits", "changed_since_signed", "deleted_while_waiting"] | None,
        says("Why it is in the list; null: it is not.", **NULL),
    ]
    changed: Annotated[list[str], says("Columns that changed since it was signed.")]
    deleted_at: Annotated[_MsOrNull, says("When it was deleted while it waited.")]
    deleted_by: Annotated[TextOrNull, says("By whom; itself, or its patient.")]


class ReadingInBrief(Struct):
    """The analysis."""

    status: TextOrNull
    urgency: TextOrNull


class JobInBrief(Struct):
    """The job of the analysis."""

    state: TextOrNull
    attempts: Count


class ReviewEntry(_Listed, kw_only=True):
    """A case as the list shows it."""

    id: Id
    scope_id: _IdOrNull
    patient_id: _IdOrNull
    chw_id: Annotated[TextOrNull, says("The health worker who created it.")]
    status: Annotated[str, schema(enum=list(STATUSES))]
    risk_level: Annotated[TextOrNull, says("The phone's own triage, as it is now.")]
    triage_final: Annotated[TextOrNull, says("The worst of phone, rules and analysis.")]
    rank: Annotated[
        int,
        says(
            ", ".join(f"{rank} {word}" for word, rank in RANKS.items())
            + ": at worst, whatever came later.",
            minimum=0,
            maximum=max(RANKS.values()),
        ),
    ]
    created_at: _MsOrNull
    last_modified_at: _MsOrNull
    ai: Annotated[ReadingInBrief | None, schema(**NULL)]
    job: Annotated[JobInBrief | None, schema(**NULL)]
    images: Annotated[Count, says("Photos that its row names, and others that are ready.")]
    claimed_by: _ClaimedBy
    claimed_until: _MsOrNull
    signed_by: _SignedBy
    signed_at: _MsOrNull
    diagnosis_id: _DiagnosisId


class ReviewList(Struct):
    """A page of the work list."""

    changed: Annotated[bool, says("False: nothing is new since `since`.")]
    timestamp: Annotated[_Ms, says("For `since` of the next request, ms.")]
    cases: Annotated[list[ReviewEntry], says("In the order in which to look at them.")]
    next_page: Annotated[TextOrNull, says("Opaque; null on the last page.")]
    cannot_be_filed: Annotated[
        list[Any] | UnsetType,
        says(
            "On the first page: urgent records that are no cases (refused, late, lost), before all "
            "cases. The inbox has them all, and closes them.",
            items={"$ref": REF.format(name="InboxEntry")},
        ),
    ] = UNSET


class ReviewState(Struct):
    """What doctors did."""

    claimed_by: _ClaimedBy
    claimed_until: _MsOrNull
    signed_by: _SignedBy
    signed_at: _MsOrNull
    diagnosis_id: _DiagnosisId
    verdict: _Verdict
    verdict_text: _Remark
    read_at: Annotated[_MsOrNull, says("When it was found that a phone was given it, ms.")]
    history: _Steps


class ReviewJob(Struct):
    """The job of the analysis."""

    state: str
    attempts: Count
    due_at: _MsOrNull
    created_at: _MsOrNull
    history: _Steps


class PhotoQuality(Struct):
    """What may be wrong with it."""

    verdict: Annotated[str, schema(enum=["good", "retake"])]
    reasons: Annotated[list[str], says("The most serious first.")]


class ReviewPhoto(Struct):
    """A photo, or why there is none."""

    id: str
    key: Annotated[str, says("Its name on the phone, as `image_keys` has it.")]
    name: Annotated[TextOrNull, says("What the phone calls it.")]
    state: Annotated[str, schema(enum=["upload", "checking", "ready", "refused"])]
    code: Annotated[TextOrNull, says("Why it was refused: a code of files.")]
    message: Annotated[TextOrNull, says("The same as a sentence, with what to do.")]
    type: TextOrNull
    bytes: CountOrNull
    width: CountOrNull
    height: CountOrNull
    quality: Annotated[PhotoQuality | None, schema(**NULL)]
    incomplete: Annotated[
        bool | None,
        says("True: it breaks off; what is missing is grey. Null until it is ready.", **NULL),
    ]
    url: Annotated[TextOrNull, says("Where it can be looked at; null: nowhere.")]
    named: Annotated[bool, says("Whether the case's row names it now.")]
    user_id: TextOrNull
    device: TextOrNull
    at: Annotated[_MsOrNull, says("When it was announced first, ms.")]


class ReviewReading(Struct):
    """One reading."""

    at: Annotated[_Ms, says("When it was made, ms.")]
    job_id: Annotated[str, says("By which job.")]
    analysis: Annotated[dict[str, Any], _named("AiAnalysis")]


class LostValue(Struct):
    """A value that lost, or was overwritten unseen."""

    table: str
    record_id: str
    winner: Annotated[str, schema(enum=["server", "client"])]
    reason: str
    device: TextOrNull
    user_id: TextOrNull
    at: _MsOrNull
    yours: Annotated[dict[str, Any], says("What was sent; JSON columns are text.")]
    theirs: Annotated[dict[str, Any], says("What was stored; JSON columns are text.")]


class RefusedVersion(Struct):
    """A refused version."""

    table: str
    record_id: str
    code: Annotated[str, says("A code of `rejected`.")]
    field: TextOrNull
    device: TextOrNull
    user_id: TextOrNull
    at: _MsOrNull
    sent: Annotated[Any, says("As it was sent; null if it was too long to keep whole.")]


class ReviewDetail(_Listed, kw_only=True):
    """Everything about a case."""

    case: Annotated[dict[str, Any], _named("ReviewCase")]
    version: Annotated[Count, says("What `If-Match` names: the `ETag` begins with it.")]
    patient: Annotated[dict[str, Any], _named("ReviewPatient")] | None
    diagnoses: Annotated[
        list[Annotated[dict[str, Any], _named("ReviewDiagnosis")]],
        says("All versions, the oldest first."),
    ]
    review: ReviewState
    job: ReviewJob | None
    photos: Annotated[
        list[ReviewPhoto],
        says(
            "Every photo that a phone announced: the ready ones in the order of `image_urls`, then those "
            "under way and those refused."
        ),
    ]
    readings: Annotated[
        list[ReviewReading],
        says(
            "What the model read of it each time, latest first. `ai_analysis` joins them: the most "
            "urgent counts."
        ),
    ]
    conflicts: Annotated[list[LostValue], says("Values of case and patient that lost.")]
    refused: Annotated[
        list[RefusedVersion], says("What phones sent of them and could not be stored.")
    ]


class ReviewClaim(Struct):
    """Who has a case in hand."""

    case_id: Id
    claimed_by: _ClaimedBy
    claimed_until: _MsOrNull


class ReviewSigned(Struct):
    """A signed diagnosis."""

    id: Id
    case_id: Id
    status: Annotated[str, schema(const=DIAGNOSED)]
    doctor_id: Id
    diagnosis_text: str
    prescription: TextOrNull
    amends: _IdOrNull
    verdict: _Verdict
    verdict_text: _Remark
    signed_at: _Ms


class ReviewClosed(Struct):
    """Whether the case is in the list."""

    case_id: Id
    waits: bool


class ReviewConflict(Struct):
    """Who was faster."""

    error: Error
    by: Annotated[str | UnsetType, says("Who has the case, or signed its diagnosis.")] = UNSET
    until: Annotated[_Ms | UnsetType, says("`claimed`: until when, ms.")] = UNSET
    at: Annotated[_Ms | UnsetType, says("`already_diagnosed`: since when, ms.")] = UNSET
    diagnosis_id: Annotated[
        str | UnsetType, says("`already_diagnosed`: the diagnosis that counts.")
    ] = UNSET
    changed: Annotated[
        list[str] | UnsetType, says("`case_changed`: columns that are others by now.")
    ] = UNSET


def schemas(catalog: Catalog) -> Mapping[str, dict[str, Any]]:
    """What is made of the tables: their rows as a screen gets them, by name."""
    from shared.api.openapi.parts import ID, fixed, or_null
    from shared.api.openapi.records import received_column

    ms = {"type": "integer", "minimum": 0, "description": "Unix milliseconds."}

    def row(table: str, text: str) -> dict[str, Any]:
        columns = {item.name: received_column(item) for item in catalog.by_name[table].fields}
        times = dict.fromkeys((record.CREATED, record.MODIFIED), or_null(ms))
        return {
            **fixed(id=ID, **columns, scope_id=or_null(ID), **times, updated_at=ms),
            "description": text,
        }

    diagnosis = row("diagnoses", "One version of the diagnosis.")
    diagnosis["properties"] |= {
        "verdict": {
            "type": ["string", "null"],
            "enum": [*VERDICTS, None],
            "description": "What the doctor said of the analysis; null: there was none to judge.",
        },
        "verdict_text": {
            "type": ["string", "null"],
            "maxLength": DEFAULT_LENGTH,
            "description": "A remark on the verdict. Not for phones.",
        },
    }
    diagnosis["required"] += ["verdict", "verdict_text"]
    return {
        "ReviewCase": row("cases", "A case with all columns."),
        "ReviewPatient": row("patients", "A patient with all columns."),
        "ReviewDiagnosis": diagnosis,
    }
