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
from shared.products.dermadetect.saved_texts import MOST as MOST_TEXTS
from shared.products.dermadetect.saved_texts import NAME_CHARS, TEXT_CHARS
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


_Scope = Annotated[Id | UnsetType, says("Only cases of this scope.")]
_Page = Annotated[str | UnsetType, says("`next_page` of the answer before.")]
_FirstDay = Annotated[
    str | UnsetType, says("Only from this day on, like 2026-03-02.", format="date")
]
_LastDay = Annotated[
    str | UnsetType, says("Only until this day, which is still in.", format="date")
]
_Zone = Annotated[
    str,
    says("Whose midnight begins a day: a name of the IANA time zone database, as Africa/Nairobi."),
]
_Flag = Annotated[str, one_of(("0", "1")), schema(default=None)]
_Thumbnails = Annotated[
    _Flag,
    says(
        "1: with a link to the smallest version of each case's first photo, good for some minutes and for "
        "whoever has it.",
    ),
]


class OtherCasesAsked(Struct):
    """Of which case's patient."""

    id: Annotated[str, says("The case.")]
    limit: Annotated[Limit, says(f"Most cases of one answer; {MOST} at most.")] = PAGE
    page: _Page = UNSET
    thumbnails: _Thumbnails = "0"


class TotalsAsked(Struct):
    """Of which cases."""

    scope: _Scope = UNSET


class NumbersAsked(Struct):
    """Which weeks, and whose; `numbers.parse` reads them."""

    scope: _Scope = UNSET
    first_day: Annotated[
        str | UnsetType,
        says(
            "The first day, like 2026-03-02; the Monday eleven weeks before the last day.",
            format="date",
        ),
    ] = UNSET
    last_day: Annotated[
        str | UnsetType, says("The last day, which is still in; today.", format="date")
    ] = UNSET
    zone: _Zone = "UTC"
    own: Annotated[_Flag, says("1: only what the caller signed; `arrived` is null then.")] = "0"


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
            "1: diagnoses that did not reach a phone. `status`, `risk` and `since` do not count then; "
            "further filters are refused.",
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
    mine: Annotated[_Flag, says("1: only cases that the caller has in hand.")] = "0"
    changed: Annotated[_Flag, says("1: only cases that changed since they were signed.")] = "0"
    worker: Annotated[Id | UnsetType, says("Only cases that this health worker created.")] = UNSET
    patient: Annotated[Id | UnsetType, says("Only cases of this patient.")] = UNSET
    first_day: Annotated[_FirstDay, says("By when phones made the cases.")] = UNSET
    last_day: _LastDay = UNSET
    zone: _Zone = "UTC"
    thumbnails: _Thumbnails = "0"


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


class ReviewWithdrawRequest(Struct, forbid_unknown_fields=True):
    """Which signature."""

    diagnosis_id: Annotated[Id, says("The diagnosis that counts; the caller signed it.")]


class ReviewCloseRequest(Struct, forbid_unknown_fields=True):
    """Why it needs nobody any more."""

    word: Annotated[
        str,
        must("a word why it needs nobody any more", min_length=1, pattern=r"\S"),
        schema(maxLength=LONGEST_WORD),
    ]


class OneText(Struct):
    """Which text."""

    id: Annotated[Id, says("The text: an id of your own making.")]


class SavedTextRequest(Struct, forbid_unknown_fields=True):
    """A text to keep."""

    name: Annotated[
        str,
        must(f"a text of up to {NAME_CHARS} characters", min_length=1, max_length=NAME_CHARS),
        says("What it is found by, on one line."),
    ]
    text: Annotated[
        str, must(f"a text of up to {TEXT_CHARS} characters", min_length=1, max_length=TEXT_CHARS)
    ]


# --- what is answered


class SavedText(Struct):
    """A text that a doctor keeps."""

    id: Id
    name: str
    text: str


class SavedTextList(Struct):
    """What a doctor keeps."""

    texts: Annotated[list[SavedText], says(f"By name, at most {MOST_TEXTS}.")]


class TextRemoved(Struct):
    """It is gone."""

    id: Id


class _Listed(Struct, kw_only=True):
    reason: Annotated[
        Literal["waits", "changed_since_signed", "deleted_while_waiting"] | None,
        says("Why it is in the list; null: it is not.", **NULL),
    ]
    changed: Annotated[list[str], says("Columns that changed since it was signed.")]
    deleted_at: Annotated[_MsOrNull, says("When it was deleted while it waited.")]
    deleted_by: Annotated[TextOrNull, says("By whom; itself, or its patient.")]


_ReadAt = Annotated[
    _MsOrNull,
    says(
        "When a phone of the health worker was given the diagnosis that counts, ms; null: not yet."
    ),
]


class ReadingInBrief(Struct):
    """The analysis."""

    status: TextOrNull
    urgency: TextOrNull
    read_at: Annotated[_MsOrNull, says("When the model read the case, ms.")]


class JobInBrief(Struct):
    """The job of the analysis."""

    state: TextOrNull
    attempts: Count


class ReviewWorker(Struct):
    """The health worker of a case, as long as she is in its team."""

    name: TextOrNull
    phone: Annotated[TextOrNull, says("Where she can be called.")]


class PatientInBrief(Struct):
    """A patient in a row. What the record does not say, or not so that it can be read, is null."""

    name: TextOrNull
    age: Annotated[float | None, says("Years.", **NULL, minimum=0)]
    sex: Annotated[TextOrNull, schema(enum=["male", "female", "other"])]
    village: TextOrNull


class Thumbnail(Struct):
    """The first photo of a case that is ready."""

    id: Annotated[str, says("Its file: `GET /api/v1/files/{id}` has the larger versions.")]
    url: Annotated[
        TextOrNull,
        says(
            "Where its smallest version is, for whoever has the link; null: not asked for, or it cannot be "
            "signed now."
        ),
    ]
    expires_at: Annotated[_MsOrNull, says("Until when, ms.")]


_Worker = Annotated[
    ReviewWorker | None, says("Who created it; null: somebody who is not in its team now.", **NULL)
]


_Rank = Annotated[
    int,
    says(
        ", ".join(f"{rank} {word}" for word, rank in RANKS.items())
        + ": at worst, whatever came later.",
        minimum=0,
        maximum=max(RANKS.values()),
    ),
]


class _Row(_Listed, kw_only=True):
    id: Id
    status: Annotated[str, schema(enum=list(STATUSES))]
    risk_level: Annotated[TextOrNull, says("The phone's own triage, as it is now.")]
    triage_final: Annotated[TextOrNull, says("The worst of phone, rules and analysis.")]
    rank: _Rank
    created_at: _MsOrNull
    ai: Annotated[ReadingInBrief | None, schema(**NULL)]
    images: Annotated[Count, says("Photos that its row names, and others that are ready.")]
    thumbnail: Annotated[Thumbnail | None, says("Null: no photo is ready.", **NULL)]
    signed_by: _SignedBy
    signed_at: _MsOrNull
    diagnosis_id: _DiagnosisId
    read_at: _ReadAt


class ReviewEntry(_Row, kw_only=True):
    """A case as the list shows it."""

    scope_id: _IdOrNull
    patient_id: _IdOrNull
    patient: Annotated[
        PatientInBrief | None, says("Null: deleted, or on the way to another team.", **NULL)
    ]
    chw_id: Annotated[TextOrNull, says("The health worker who created it.")]
    worker: _Worker
    last_modified_at: _MsOrNull
    job: Annotated[JobInBrief | None, schema(**NULL)]
    claimed_by: _ClaimedBy
    claimed_name: Annotated[
        TextOrNull, says("The name of that doctor, if it is known in the team.")
    ]
    claimed_until: _MsOrNull


class DiagnosisInBrief(Struct):
    """The diagnosis that counts."""

    diagnosis_text: str
    prescription: TextOrNull


class PatientCase(_Row, kw_only=True):
    """Another case of the same patient."""

    diagnosis: Annotated[DiagnosisInBrief | None, schema(**NULL)]
    site: Annotated[
        TextOrNull, says("Where on the body, as its answers say it; null: they do not.")
    ]
    image_urls: Annotated[list[str], says("Photos that are ready, as `image_urls` of a case.")]


class PatientCases(Struct):
    """A page of the other cases of a case's patient."""

    scope_id: Id
    cases: Annotated[list[PatientCase], says("The newest first.")]
    next_page: Annotated[TextOrNull, says("Opaque; null on the last page.")]


class ReviewTotals(Struct):
    """How much waits for the caller. A number of 1000 may be more: then `at_least` names it."""

    timestamp: Annotated[_Ms, says("When it was counted, ms.")]
    emergency: Count
    red: Count
    look: Count
    yellow: Count
    green: Count
    waiting: Annotated[Count, says("All of these: what the work list holds.")]
    changed: Annotated[Count, says("Those of them that changed since they were signed.")]
    claimed: Annotated[Count, says("Cases that a doctor has in hand.")]
    mine: Annotated[Count, says("Cases that the caller has in hand.")]
    cannot_be_filed: Annotated[Count, says("Urgent records that are no cases; the inbox has them.")]
    at_least: Annotated[list[str], says("Which of these may be more.")]


class CasesByRisk(Struct):
    """Cases by what phone, rules or analysis said of them at worst."""

    emergency: Count
    red: Count
    look: Count
    yellow: Count
    green: Count
    total: Count


class Verdicts(Struct):
    """What doctors said of the analysis, in the diagnosis that counts."""

    agree: Count
    edit: Count
    reject: Count
    none: Annotated[Count, says("There was none to judge, or nothing was said of it.")]
    agreement: Annotated[
        float | None, says("`agree` of those that say something; null: none does.", **NULL)
    ]


class Waits(Struct):
    """From the arrival of a case at the server to its first diagnosis."""

    median_ms: Annotated[_Ms, says("Half of them took so long or less, ms.")]
    p90_ms: Annotated[_Ms, says("Nine of ten took so long or less, ms.")]
    p95_ms: Annotated[_Ms, says("Nineteen of twenty took so long or less, ms.")]


class NumbersOfDays(Struct):
    """Numbers of some days."""

    first_day: Annotated[str, schema(format="date")]
    last_day: Annotated[str, says("Still in.", format="date")]
    arrived: Annotated[
        CasesByRisk | None, says("By the day when phones made them; null: with `own`.", **NULL)
    ]
    signed: Annotated[CasesByRisk, says("By the day of their first diagnosis.")]
    waits: Annotated[Waits | None, says("Of those that were signed; null: none was.", **NULL)]
    verdicts: Verdicts


class NumbersOfWeek(NumbersOfDays):
    """Numbers of a week, or of the part of it that was asked for."""

    week: Annotated[str, says("By ISO 8601, from Monday: 2026-W10.")]


class ReviewNumbers(Struct):
    """Numbers by week, and of all days together."""

    zone: Annotated[str, says("Whose days they are.")]
    weeks: Annotated[list[NumbersOfWeek], says("The first one first, empty ones too.")]
    all: NumbersOfDays


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
    read_at: _ReadAt
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
    rank: _Rank
    patient: Annotated[dict[str, Any], _named("ReviewPatient")] | None
    worker: _Worker
    patient_cases: Annotated[
        list[PatientCase],
        says("Other cases of the patient in this team, the newest first, ten at most."),
    ]
    patient_cases_next: Annotated[
        TextOrNull, says("`page` of `patient-cases`, where the others are; null: these are all.")
    ]
    diagnoses: Annotated[
        list[Annotated[dict[str, Any], _named("ReviewDiagnosis")]],
        says("All versions, the oldest first."),
    ]
    review: ReviewState
    people: Annotated[
        dict[str, str],
        says("Names of those who did something here and are in the team: by user id."),
    ]
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


class ReviewWithdrawn(Struct):
    """A diagnosis that was taken back."""

    id: Id
    case_id: Id
    withdrawn_at: _Ms
    counts: Annotated[_IdOrNull, says("The earlier diagnosis, which counts again.")]


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
