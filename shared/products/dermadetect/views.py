"""DermaDetect's numbers for analysts: how many cases, how fast, do doctor and AI agree, which photos.

No name, no text, no photo is in the tables. Times are ms since 1970; a week is named by its Monday, UTC. A
person who is registered twice counts twice.
"""

from __future__ import annotations

from shared.export.views import Fact, Facts, View, Views
from shared.files.file import BLOBS, FILES
from shared.products.dermadetect.review import CASES, DIAGNOSES, VERDICT
from shared.records import record
from shared.records.collection import Type

_OF_A_CASE = "case_id IN (SELECT id FROM {cases})"

_TABLES = (
    Facts(
        "cases",
        CASES,
        "Skin problems.",
        (
            Fact("patient_id", "patient_id", "Whose it is."),
            Fact("chw_id", "chw_id", "The health worker who made it."),
            Fact("status", "status", "TRIAGED, PENDING_DIAGNOSIS or DIAGNOSED."),
            Fact("phone_said", "risk_level", "The phone's own colour."),
            Fact("rules_said", "rules.triage", "What the red-flag rules said; empty: nothing."),
            Fact("ai_status", "ai_analysis.status", "How the analysis went; empty: none yet."),
            Fact("ai_said", "ai_analysis.triage_ai", "What the model said; empty: nothing."),
            Fact("created_at", record.CREATED, "When the phone made it.", Type.TIME),
            Fact("received_at", record.RECEIVED, "When the server first had it.", Type.TIME),
        ),
    ),
    Facts(
        "diagnoses",
        DIAGNOSES,
        "Signatures of doctors.",
        (
            Fact("case_id", "case_id", "What it is about."),
            Fact("doctor_id", "doctor_id", "Who signed."),
            Fact("verdict", VERDICT, "On the analysis: agree, edit or reject; empty: not said."),
            Fact("amends", "amends", "The diagnosis that it corrects."),
            Fact("amended_by", "amended_by", "The diagnosis that corrects it."),
            Fact("signed_at", record.CREATED, "When it was signed.", Type.TIME),
        ),
        keep=_OF_A_CASE,
    ),
    Facts(
        "photos",
        FILES,
        "Photos of cases.",
        (
            Fact("case_id", "record_id", "What it shows."),
            Fact("state", "state", "awaiting, ready or refused."),
            Fact("refusal", "code", "Why it was refused."),
            Fact("bytes_id", "blob", "Its bytes, in photo_quality."),
            Fact("announced_at", "at", "When the phone first spoke of it.", Type.TIME),
        ),
        keep=_OF_A_CASE,
    ),
    Facts(
        "photo_quality",
        BLOBS,
        "What the server said of a photo's bytes.",
        (
            Fact("advice", "quality.verdict", "good or retake; empty: not checked."),
            Fact("reasons", "quality.reasons", "Why to take it again: a JSON list.", Type.STRINGS),
        ),
        keep="id IN (SELECT bytes_id FROM {photos})",
    ),
)

_VIEWS = (
    View(
        "case_risk",
        "The colour of each case: the worst that phone, rules or model said; unknown asks for a person.",
        """
        SELECT id AS case_id, scope_id, created_week AS week, status, phone_said,
            CASE
                WHEN 'red' IN (phone_said, rules_said, ai_said) THEN 'red'
                WHEN phone_said = 'unknown' THEN 'unknown'
                WHEN 'yellow' IN (phone_said, rules_said, ai_said) THEN 'yellow'
                ELSE 'green'
            END AS risk
        FROM {cases}""",
    ),
    View(
        "cases_by_week_and_risk",
        "How many cases phones made in a week, by colour; how many of them wait, how many are diagnosed, "
        "and how many the phone itself called less.",
        """
        SELECT week, scope_id, risk, count(*) AS cases,
            sum(CASE WHEN status = 'PENDING_DIAGNOSIS' THEN 1 ELSE 0 END) AS waiting,
            sum(CASE WHEN status = 'DIAGNOSED' THEN 1 ELSE 0 END) AS diagnosed,
            sum(CASE WHEN phone_said <> risk THEN 1 ELSE 0 END) AS phone_said_less
        FROM {case_risk} GROUP BY week, scope_id, risk""",
    ),
    View(
        "time_to_diagnosis",
        "Hours from when a phone made a case, and from its arrival here, to the first signature.",
        """
        SELECT risks.case_id, risks.scope_id, risks.week, risks.risk,
            round((earliest.signed_at - made.created_at) / 3600000.0, 2) AS hours,
            round((earliest.signed_at - made.received_at) / 3600000.0, 2) AS hours_since_received
        FROM {case_risk} AS risks
        JOIN {cases} AS made ON made.id = risks.case_id
        JOIN (
            SELECT case_id, min(signed_at) AS signed_at FROM {diagnoses} GROUP BY case_id
        ) AS earliest ON earliest.case_id = made.id""",
    ),
    View(
        "time_to_diagnosis_by_week",
        "Of the cases that phones made in a week and that are diagnosed: median and 90th percentile of the "
        "hours (nearest rank), and the longest.",
        """
        SELECT week, scope_id, risk, count(*) AS diagnosed,
            min(CASE WHEN 2 * place >= among THEN hours END) AS median_hours,
            min(CASE WHEN 10 * place >= 9 * among THEN hours END) AS p90_hours,
            max(hours) AS longest_hours
        FROM (
            SELECT week, scope_id, risk, hours,
                row_number() OVER (PARTITION BY week, scope_id, risk ORDER BY hours) AS place,
                count(*) OVER (PARTITION BY week, scope_id, risk) AS among
            FROM {time_to_diagnosis}
        ) AS placed GROUP BY week, scope_id, risk""",
    ),
    View(
        "agreement",
        "What doctors said of the analysis, by the week of the signature that counts. `agreed` is the "
        "share of those who said something.",
        """
        SELECT signed_week AS week, scope_id, count(*) AS diagnoses,
            sum(CASE WHEN verdict = 'agree' THEN 1 ELSE 0 END) AS agree,
            sum(CASE WHEN verdict = 'edit' THEN 1 ELSE 0 END) AS edit,
            sum(CASE WHEN verdict = 'reject' THEN 1 ELSE 0 END) AS reject,
            sum(CASE WHEN verdict IS NULL THEN 1 ELSE 0 END) AS not_said,
            round(sum(CASE WHEN verdict = 'agree' THEN 1.0 ELSE 0 END) / nullif(count(verdict), 0), 3)
                AS agreed
        FROM {diagnoses} WHERE amended_by IS NULL GROUP BY signed_week, scope_id""",
    ),
    View(
        "photo_retakes",
        "Photos that were checked, by the week in which they were announced: how many were worth taking "
        "again, and after how many of these another photo of the case came.",
        """
        SELECT announced_week AS week, scope_id, count(*) AS photos,
            sum(CASE WHEN advice = 'retake' THEN 1 ELSE 0 END) AS to_retake,
            sum(CASE WHEN advice = 'retake' AND announced_at < latest THEN 1 ELSE 0 END) AS taken_again,
            round(sum(CASE WHEN advice = 'retake' THEN 1.0 ELSE 0 END) / count(*), 3) AS to_retake_share
        FROM (
            SELECT shown.announced_week, shown.scope_id, shown.announced_at, said.advice,
                max(shown.announced_at) OVER (PARTITION BY shown.case_id) AS latest
            FROM {photos} AS shown JOIN {photo_quality} AS said ON said.id = shown.bytes_id
        ) AS checked WHERE advice IS NOT NULL GROUP BY announced_week, scope_id""",
    ),
    View(
        "photo_retake_reasons",
        "Why photos were worth taking again; a photo may have several reasons.",
        """
        SELECT shown.scope_id, count(*) AS to_retake,
            sum(CASE WHEN said.reasons LIKE '%"incomplete"%' THEN 1 ELSE 0 END) AS incomplete,
            sum(CASE WHEN said.reasons LIKE '%"blurred"%' THEN 1 ELSE 0 END) AS blurred,
            sum(CASE WHEN said.reasons LIKE '%"too_dark"%' THEN 1 ELSE 0 END) AS too_dark,
            sum(CASE WHEN said.reasons LIKE '%"too_bright"%' THEN 1 ELSE 0 END) AS too_bright,
            sum(CASE WHEN said.reasons LIKE '%"glare"%' THEN 1 ELSE 0 END) AS glare,
            sum(CASE WHEN said.reasons LIKE '%"low_resolution"%' THEN 1 ELSE 0 END) AS low_resolution,
            sum(CASE WHEN said.reasons LIKE '%"framing"%' THEN 1 ELSE 0 END) AS framing
        FROM {photos} AS shown JOIN {photo_quality} AS said ON said.id = shown.bytes_id
        WHERE said.advice = 'retake' GROUP BY shown.scope_id""",
    ),
)

VIEWS = Views(_TABLES, _VIEWS)
