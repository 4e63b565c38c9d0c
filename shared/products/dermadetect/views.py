"""DermaDetect's numbers for analysts: how many cases, how fast, do doctor and AI agree, which photos.

No name, no text, no photo is in the tables. Times are milliseconds since 1970 in tables, UTC in views; a
week is named by its Monday. A person who is registered twice counts twice.
"""

from __future__ import annotations

from shared.export.views import Fact, Facts, View, Views
from shared.files.file import BLOBS, FILES
from shared.products.dermadetect.review import CASES, DIAGNOSES, VERDICT
from shared.records import record

_OF_A_CASE = "case_id IN (SELECT id FROM cases)"

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
            Fact("created_at", record.CREATED, "When the phone made it."),
            Fact("received_at", record.RECEIVED, "When the server first had it."),
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
            Fact("created_at", record.CREATED, "When it was signed."),
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
            Fact("announced_at", "at", "When the phone first spoke of it."),
        ),
        keep=_OF_A_CASE,
    ),
    Facts(
        "photo_quality",
        BLOBS,
        "What the server said of a photo's bytes.",
        (
            Fact("verdict", "quality.verdict", "good or retake; empty: not checked."),
            Fact("reasons", "quality.reasons", "Why to take it again, a JSON list."),
        ),
        keep="id IN (SELECT bytes_id FROM photos)",
    ),
)

_VIEWS = (
    View(
        "case_risk",
        "The colour of each case: the worst that phone, rules or model said; unknown asks for a person.",
        """
        SELECT id AS case_id, scope_id, status, phone_said,
            date(created_at / 1000, 'unixepoch', 'weekday 0', '-6 days') AS week,
            CASE
                WHEN 'red' IN (phone_said, rules_said, ai_said) THEN 'red'
                WHEN phone_said = 'unknown' THEN 'unknown'
                WHEN 'yellow' IN (phone_said, rules_said, ai_said) THEN 'yellow'
                ELSE 'green'
            END AS risk
        FROM cases""",
    ),
    View(
        "cases_by_week_and_risk",
        "How many cases phones made in a week, by colour; how many of them wait, how many are diagnosed, "
        "and how many the phone itself called less.",
        """
        SELECT week, scope_id, risk, count(*) AS cases,
            sum(status = 'PENDING_DIAGNOSIS') AS waiting,
            sum(status = 'DIAGNOSED') AS diagnosed,
            sum(phone_said <> risk) AS phone_said_less
        FROM case_risk GROUP BY week, scope_id, risk""",
    ),
    View(
        "time_to_diagnosis",
        "Hours from when a phone made a case, and from its arrival here, to the first signature.",
        """
        SELECT case_risk.case_id, case_risk.scope_id, week, risk,
            round((first.at - created_at) / 3600000.0, 2) AS hours,
            round((first.at - received_at) / 3600000.0, 2) AS hours_since_received
        FROM case_risk
        JOIN cases ON cases.id = case_risk.case_id
        JOIN (SELECT case_id, min(created_at) AS at FROM diagnoses GROUP BY case_id) AS first
            ON first.case_id = cases.id""",
    ),
    View(
        "time_to_diagnosis_by_week",
        "Of the cases that phones made in a week and that are diagnosed: median and 90th percentile of the "
        "hours (nearest rank), and the longest.",
        """
        SELECT week, scope_id, risk, count(*) AS diagnosed,
            min(CASE WHEN 2 * place >= cases THEN hours END) AS median_hours,
            min(CASE WHEN 10 * place >= 9 * cases THEN hours END) AS p90_hours,
            max(hours) AS longest_hours
        FROM (
            SELECT *, row_number() OVER (PARTITION BY week, scope_id, risk ORDER BY hours) AS place,
                count(*) OVER (PARTITION BY week, scope_id, risk) AS cases
            FROM time_to_diagnosis
        ) GROUP BY week, scope_id, risk""",
    ),
    View(
        "agreement",
        "What doctors said of the analysis, by the week of the signature that counts. `agreed` is the "
        "share of those who said something.",
        """
        SELECT date(created_at / 1000, 'unixepoch', 'weekday 0', '-6 days') AS week,
            scope_id, count(*) AS diagnoses,
            count(*) FILTER (WHERE verdict = 'agree') AS agree,
            count(*) FILTER (WHERE verdict = 'edit') AS edit,
            count(*) FILTER (WHERE verdict = 'reject') AS reject,
            count(*) FILTER (WHERE verdict IS NULL) AS not_said,
            round(1.0 * count(*) FILTER (WHERE verdict = 'agree') / count(verdict), 3) AS agreed
        FROM diagnoses WHERE amended_by IS NULL GROUP BY week, scope_id""",
    ),
    View(
        "photo_retakes",
        "Photos that were checked, by the week in which they were announced: how many were worth taking "
        "again, and after how many of these another photo of the case came.",
        """
        SELECT date(announced_at / 1000, 'unixepoch', 'weekday 0', '-6 days') AS week,
            scope_id, count(*) AS photos,
            sum(verdict = 'retake') AS to_retake,
            sum(verdict = 'retake' AND announced_at < latest) AS taken_again,
            round(1.0 * sum(verdict = 'retake') / count(*), 3) AS to_retake_share
        FROM (
            SELECT photos.*, verdict, max(announced_at) OVER (PARTITION BY case_id) AS latest
            FROM photos LEFT JOIN photo_quality ON photo_quality.id = bytes_id
        ) WHERE verdict IS NOT NULL GROUP BY week, scope_id""",
    ),
    View(
        "photo_retake_reasons",
        "Why photos were worth taking again; a photo may have several reasons.",
        """
        SELECT photos.scope_id, reason.value AS reason, count(*) AS photos
        FROM photos JOIN photo_quality ON photo_quality.id = bytes_id, json_each(reasons) AS reason
        GROUP BY photos.scope_id, reason.value""",
    ),
)

VIEWS = Views(_TABLES, _VIEWS)
