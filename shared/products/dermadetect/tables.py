"""DermaDetect: community health workers register patients, photograph skin lesions and triage them.

The scope is the team. A red case becomes a job of kind `analyse` in the commit that stores it, and
moves to PENDING_DIAGNOSIS; a doctor moves it to DIAGNOSED.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import lru_cache, partial
from typing import Any

from shared.accounts.policy import AccountPolicy
from shared.errors import InvalidRequest
from shared.files.file import plain_key
from shared.jobs import job as jobs
from shared.jobs.cascade import cascade
from shared.jobs.tree_walk import due
from shared.products.dermadetect import rules, who_sees_analysis
from shared.products.dermadetect.events import became_red
from shared.products.dermadetect.intake import analysis_input, parsed
from shared.products.dermadetect.rejudge import KIND as REJUDGE
from shared.products.dermadetect.rights import RIGHTS
from shared.products.dermadetect.signal import (
    CHANGED,
    LOOK,
    RANK,
    RISK_WORDS,
    RISKS,
    SIGNED,
    UNKNOWN,
    judged,
    listed_again,
    news,
    raised,
    rank_of,
)
from shared.products.dermadetect.waiting_for_photos import PHOTOS_WAIT_MS, begins
from shared.records import record
from shared.records.bell import Bell
from shared.records.collection import Catalog, Collection, Effects, Field, Merge, Owner, Turn, Type
from shared.records.store import Key, Write, put

TRIAGED = "TRIAGED"
PENDING = "PENDING_DIAGNOSIS"
DIAGNOSED = "DIAGNOSED"

ANALYSE = "analyse"

#: The job that analyses the case's present content; results of any other are stale.
JOB = "_job"

#: Photos of a case that are settled: key → file id, "" for one that will not come. Never sent to phones.
PHOTOS = "_photos"

#: When whoever signed a diagnosis took it back, ms. Never sent to phones.
WITHDRAWN = "_withdrawn_at"

#: What the red-flag rules say of a case's answers.
RULES = "rules"

#: Texts that a doctor keeps, a document each (`saved_texts.py`).
SAVED_TEXTS = "saved_texts"

#: The table that mirrors the jobs for the phones.
QUEUE = "medgemma_queue"

#: How long a case waits before the sweeper marks it as one that has no analysis yet, ms. A usual
#: analysis is quicker.
LATE_AFTER_MS = 20_000


def _patient_effects(turn: Turn) -> Effects:
    if turn.before is None:
        return Effects({"chw_id": turn.author_id})
    if turn.before.get("demographics") == turn.values.get("demographics"):
        return Effects()
    # Rules count the age: open cases are judged again.
    return Effects({}, (due(REJUDGE, Key(turn.table, turn.id), turn.scope_id, turn.now_ms),))


def _case_effects(turn: Turn, photos_wait_ms: int = PHOTOS_WAIT_MS) -> Effects:
    before = turn.before or {}
    fields: dict[str, Any] = {} if turn.before is not None else {"chw_id": turn.author_id}
    status = before.get("status", TRIAGED)
    said = _rules_of(turn)
    if said.stored() is not None or before.get(RULES) is not None:
        fields[RULES] = said.stored()
    # What a rule calls red is red, whatever the phone says; what nobody can read asks for a person.
    rank = raised(before.get(RANK), rank_of(turn.values.get("risk_level"), said))
    fields[RANK] = rank
    told = became_red(turn.id, turn.scope_id, before.get(RANK), rank, turn.now_ms)
    keys, photos = turn.values.get("image_keys") or (), before.get(PHOTOS) or {}
    if photos:
        fields["image_urls"] = image_urls(keys, photos)
    if status == DIAGNOSED:
        now = judged({**turn.values, RULES: said.stored()}, photos)
        signed = before.get(SIGNED) or now
        since = news(signed, now)
        if not since:
            if now["colour"] > signed["colour"]:
                # Lowered since: raised again it is news.
                fields[SIGNED] = {**signed, "colour": now["colour"]}
            return Effects(fields, told)
        fields |= listed_again(before, since)
    elif rank > LOOK and status != PENDING:
        return Effects(fields, told)
    else:
        fields |= {"status": PENDING, record.WAITS: True}
    job_id = analysis_job_id(turn)
    present = str(before.get(JOB))
    if present == job_id or present.startswith(f"{job_id}~"):  # a second reading, with late photos
        return Effects(fields, told)
    fields[JOB] = job_id
    state, due_ms = begins(keys, photos, turn.now_ms, photos_wait_ms)
    bells = (Bell(ANALYSE, job_id, turn.id),) if state == jobs.QUEUED else ()
    writes = (
        *told,
        analysis_job(job_id, turn.id, turn.scope_id, turn.now_ms, rank, state, due_ms),
        queue_row(turn.id, turn.scope_id, job_id, "queued", 0, turn.now_ms, turn.now_ms),
    )
    return Effects(fields, writes, bells)


def ready_photos(keys: Sequence[str], photos: Mapping[str, str]) -> list[str]:
    """File ids of all photos of a case that are ready, each once.

    Those that its row names come first, in the row's order. The others follow by key: a colleague's
    phone that sends an older list of photos hides none.
    """
    ready = {plain_key(key): file for key, file in sorted(photos.items()) if file}
    named = [ready.pop(key) for key in map(plain_key, keys) if key in ready]
    return [*named, *ready.values()]


def known_photos(keys: Sequence[str], photos: Mapping[str, str]) -> int:
    """How many photos a case has: those that its row names, and those that are ready."""
    return len({*map(plain_key, keys), *(plain_key(key) for key in photos if photos[key])})


def image_urls(keys: Sequence[str], photos: Mapping[str, str]) -> list[str] | None:
    """Where the photos of a case are (`ready_photos`); None if none is there."""
    return list(map(image_url, ready_photos(keys, photos))) or None


def image_url(file_id: str) -> str:
    """Where a photo can be looked at."""
    return f"/api/v1/files/{file_id}"


def analysis_job(
    job_id: str,
    case_id: str,
    scope_id: str,
    now_ms: int,
    priority: int,
    state: str,
    due_ms: int,
) -> Write:
    """The job that has a case read."""
    return jobs.create(
        job_id,
        ANALYSE,
        "cases",
        case_id,
        scope_id,
        now_ms,
        priority=priority,
        state=state,
        due_ms=due_ms,
        late_after_ms=LATE_AFTER_MS,
    )


def _rules_of(turn: Turn) -> rules.Verdict:
    demographics = (turn.parent or {}).get("demographics")
    return rules.judge(turn.values.get("triage_data"), demographics, _day(turn.now_ms))


@lru_cache(maxsize=16)
def _day(at_ms: int) -> date:
    """The date in UTC; every record of a push asks with the same time."""
    return datetime.fromtimestamp(at_ms / 1000, UTC).date()


def _case_restored(turn: Turn, photos_wait_ms: int = PHOTOS_WAIT_MS) -> Effects:
    """Its job may have ended as stale while it was deleted: it is read again, with a doctor to follow."""
    before = {name: value for name, value in (turn.before or {}).items() if name != JOB}
    return _case_effects(turn._replace(before=before), photos_wait_ms)


def _diagnosis_restored(turn: Turn) -> Effects:
    """What was taken back stays so: another diagnosis may count by now."""
    if turn.before and turn.before.get(WITHDRAWN) is not None:
        raise InvalidRequest("A doctor took this diagnosis back. It can only be signed again.")
    return Effects()


def analysis_job_id(turn: Turn) -> str:
    """A job's identity: the case and what the analysis would look at."""
    looked_at = analysis_input(turn.values, turn.parent or {}, _day(turn.now_ms))
    text = record.canonical(looked_at)
    return f"{ANALYSE}~{turn.id}~{hashlib.sha256(text.encode()).hexdigest()[:32]}"


def queue_row(
    case_id: str,
    scope_id: str,
    job_id: str,
    status: str,
    attempts: int,
    created_ms: int,
    now_ms: int,
    expect: int | None = None,
) -> Write:
    """The row of `medgemma_queue` that tells the phones where a case stands. One a case.

    It speaks of one job; only that job's worker, or a newer job, may write it again.
    """
    return put(
        Key(QUEUE, case_id),
        {
            "case_id": case_id,
            "status": status,
            "attempts": attempts,
            JOB: job_id,
            record.SCOPE: scope_id,
            record.CREATED: created_ms,
            record.MODIFIED: now_ms,
        },
        expect,
    )


def _redact_case(row: dict[str, Any], role: str) -> dict[str, Any]:
    analysis, signed = row.get("ai_analysis"), row.get("status") == DIAGNOSED
    seen = who_sees_analysis.as_seen_by(role, analysis, signed=signed)
    return row if seen is analysis else {**row, "ai_analysis": seen}


def _urgent(table: str, values: Mapping[str, Any]) -> bool:
    """Red by its colour or by a rule, or a colour or an answer that nobody can read."""
    if table != "cases":
        return False
    colour = values.get("risk_level")
    spec = CATALOG.by_name["cases"].by_name["risk_level"]
    if colour is not None and spec.choice(colour) in (None, UNKNOWN, "red"):
        return True
    said = rules.judge(values.get("triage_data"), None, datetime.now(UTC).date())
    return said.triage is not None or bool(said.look)


def _patient_label(fields: Mapping[str, Any]) -> str:
    """What people call her."""
    said = parsed(fields.get("demographics"))
    known = said if isinstance(said, dict) else {}
    parts = (
        [known.get("name")] if known.get("name") else map(known.get, ("first_name", "last_name"))
    )
    return " ".join(part for part in parts if isinstance(part, str))


def _case_label(fields: Mapping[str, Any]) -> str:
    """Where on the body it is."""
    said = parsed(fields.get("triage_data"))
    site = said.get("site") if isinstance(said, dict) else None
    return site if isinstance(site, str) else ""


def _chw() -> Field:
    return Field("chw_id", Type.STRING, "Who created it: from the token, for good.", Owner.SERVER)


#: Only whom somebody has invited gets in; only an admin makes another team.
ACCOUNTS = AccountPolicy(
    registration="invited",
    scope_makers=frozenset({"admin"}),
    founder="admin",
    newcomer="chw",
    invitable={
        "admin": frozenset({"chw", "doctor", "supervisor", "admin"}),
        "supervisor": frozenset({"chw", "doctor", "supervisor"}),
    },
    words=("dermadetect", "derma", "detect"),
    # They read what a whole team wrote, and are at a network every week; health workers may not be.
    idle_days={"doctor": 30, "supervisor": 30, "admin": 30},
    factor_roles=frozenset({"doctor", "supervisor", "admin"}),
)


def catalog(photos_wait_ms: int) -> Catalog:
    """DermaDetect, whose red cases wait so long for their photos."""
    cases = replace(
        CATALOG.by_name["cases"],
        effects=partial(_case_effects, photos_wait_ms=photos_wait_ms),
        restored=partial(_case_restored, photos_wait_ms=photos_wait_ms),
    )
    tables = (cases if item.name == "cases" else item for item in CATALOG.collections)
    return replace(CATALOG, collections=tuple(tables))


CATALOG = Catalog(
    name="dermadetect",
    scope_word="team",
    cascade=cascade,
    roles=RIGHTS.roles,
    may=RIGHTS.may,
    job_rows=QUEUE,
    people="patients",
    person_word="patient",
    maker="chw_id",
    of_users=(SAVED_TEXTS,),
    urgent=_urgent,
    collections=(
        Collection(
            "patients",
            "People who were registered by a community health worker.",
            (
                Field(
                    "demographics",
                    Type.JSON,
                    "Name, age, sex, village … as the app collects them.",
                    default={},
                ),
                _chw(),
            ),
            context=("demographics",),
            effects=_patient_effects,
            label=_patient_label,
        ),
        Collection(
            "cases",
            "One skin problem of a patient, with its triage, analysis and status.",
            (
                Field(
                    "patient_id",
                    Type.STRING,
                    "The patient it belongs to.",
                    required=True,
                    references="patients",
                ),
                _chw(),
                Field("triage_data", Type.JSON, "Answers of the triage questions.", default={}),
                Field(
                    "ai_analysis",
                    Type.MAP,
                    "MedGemma's reading; before a doctor signed, phones see a part of it.",
                    Owner.SERVER,
                    shape=who_sees_analysis.SHAPE,
                ),
                Field(
                    "status",
                    Type.STRING,
                    "Only moves forward; the server and doctors move it. Steps: "
                    "`TRIAGED` → `PENDING_DIAGNOSIS`, `TRIAGED` → `DIAGNOSED`, "
                    "`PENDING_DIAGNOSIS` → `DIAGNOSED`. Back from `DIAGNOSED` only when a doctor takes a "
                    "signature back, within seconds.",
                    Owner.SERVER,
                    default=TRIAGED,
                    choices=(TRIAGED, PENDING, DIAGNOSED),
                ),
                Field(
                    "risk_level",
                    Type.STRING,
                    "The phone's own triage, in any case and many words. Red is analysed at once; what "
                    "cannot be read, or is missing, is `unknown`: a person must look.",
                    default=UNKNOWN,
                    choices=RISKS,
                    aliases=RISK_WORDS,
                    unreadable=UNKNOWN,
                    merge=Merge.MOST,
                ),
                Field(
                    RULES,
                    Type.MAP,
                    "What the red-flag rules found in the answers (triage, flags, version); null: nothing.",
                    Owner.SERVER,
                    shape=rules.SCHEMA,
                ),
                Field(
                    "image_keys",
                    Type.STRINGS,
                    "Names of the photos on the phone.",
                    merge=Merge.UNION,
                ),
                Field(
                    "image_urls",
                    Type.STRINGS,
                    "Where its photos are, all that are ready.",
                    Owner.SERVER,
                ),
            ),
            context=(JOB, RANK, RULES, PHOTOS, SIGNED, CHANGED, record.WAITS),
            effects=_case_effects,
            restored=_case_restored,
            redact=_redact_case,
            label=_case_label,
        ),
        Collection(
            "diagnoses",
            "What a doctor found.",
            (
                Field(
                    "case_id",
                    Type.STRING,
                    "The case it is about.",
                    Owner.SIGNER,
                    references="cases",
                ),
                Field("doctor_id", Type.STRING, "Who signed it.", Owner.SERVER),
                Field("diagnosis_text", Type.STRING, "The finding.", Owner.SIGNER),
                Field("prescription", Type.STRING, "What to take or do.", Owner.SIGNER),
                Field("amends", Type.STRING, "The diagnosis that it corrects.", Owner.SERVER),
                Field(
                    "amended_by",
                    Type.STRING,
                    "The diagnosis that corrects it; null in the one that counts.",
                    Owner.SERVER,
                ),
            ),
            pushable=False,
            restored=_diagnosis_restored,
        ),
        Collection(
            "medgemma_queue",
            "Where the analysis of a case stands.",
            (
                Field("case_id", Type.STRING, "The case.", Owner.SERVER, references="cases"),
                Field(
                    "status",
                    Type.STRING,
                    "Where the analysis stands.",
                    Owner.SERVER,
                    choices=("queued", "processing", "done", "failed"),
                ),
                Field("attempts", Type.INTEGER, "Attempts so far.", Owner.SERVER),
            ),
            pushable=False,
        ),
    ),
)
