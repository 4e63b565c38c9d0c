"""Tables of alerts: what happened, what people did about it, and whom it was told.

The server writes alerts; people write actions (`alert_actions`), offline too. `alerts.py` says what
becomes of an alert.
"""

from __future__ import annotations

import hashlib

from shared.jobs import job as jobs
from shared.records.collection import Collection, Effects, Field, Owner, Turn, Type
from shared.records.store import Write

ALERTS = "alert_logs"
ACTIONS = "alert_actions"

#: The kind of job that looks after an alert, one an alert.
ALERT = "alert"

MISSED_DOSE, DANGER_WORDS, SILENT_DEVICE = "missed_dose", "danger_words", "silent_device"
LOW_STOCK, TOO_MANY_DOSES, CALL_FOR_HELP = "low_stock", "too_many_doses", "call_for_help"
KINDS = (MISSED_DOSE, DANGER_WORDS, SILENT_DEVICE, LOW_STOCK, TOO_MANY_DOSES, CALL_FOR_HELP)

#: The less severe first.
NOTICE, URGENT, EMERGENCY = "notice", "urgent", "emergency"
SEVERITIES = (NOTICE, URGENT, EMERGENCY)

OPEN, ACKNOWLEDGED, ENDED = "open", "acknowledged", "ended"
STATES = (OPEN, ACKNOWLEDGED, ENDED)

_NOTE = 2000


def alert_id(kind: str, subject: str, scope: str) -> str:
    """The id of the one alert of a kind about a subject of a circle."""
    mark = hashlib.sha256(f"{scope}\n{subject}".encode()).hexdigest()
    return f"{kind}-{mark[:32]}"


def look(alert: str, scope: str, now_ms: int, due_ms: int | None = None) -> Write:
    """The write that has the job of an alert look at it: now, or at `due_ms` (Unix ms)."""
    return jobs.create(f"{ALERT}~{alert}", ALERT, ALERTS, alert, scope, now_ms, due_ms=due_ms)


def _action(turn: Turn) -> Effects:
    """The alert's job hears of it."""
    writes = (look(str(turn.values["alert_id"]), turn.scope_id, turn.now_ms),)
    if turn.before is not None:
        return Effects({}, writes)
    return Effects({"made_by": turn.author_id}, writes)


def _own(name: str, kind: Type, doc: str, choices: tuple[str, ...] = ()) -> Field:
    return Field(name, kind, doc, Owner.SERVER, choices=choices)


TABLES: tuple[Collection, ...] = (
    Collection(
        ALERTS,
        "Something that people of the circle must know of.",
        (
            _own("kind", Type.STRING, "What happened.", KINDS),
            _own("severity", Type.STRING, "How bad it is.", SEVERITIES),
            _own("subject", Type.STRING, "What it is about: of a missed dose the dose's id."),
            _own("state", Type.STRING, "What became of it.", STATES),
            _own("raised_at", Type.TIME, "When it happened."),
            _own("acknowledged_by", Type.STRING, "The user who looks after it."),
            _own("acknowledged_at", Type.TIME, "Since when, by the phone's corrected clock."),
            _own("note", Type.STRING, "What was done, in that user's words."),
            _own("ended_at", Type.TIME, "When it was over by itself, as by a dose taken late."),
        ),
        pushable=False,
    ),
    Collection(
        ACTIONS,
        "What somebody did about an alert.",
        (
            Field("alert_id", Type.STRING, "The alert.", required=True, references=ALERTS),
            Field(
                "action",
                Type.STRING,
                "What was done; what cannot be read is `other`, which does nothing.",
                default="acknowledge",
                choices=("acknowledge", "other"),
                aliases={"acknowledged": "acknowledge", "ack": "acknowledge"},
                unreadable="other",
            ),
            Field("at", Type.TIME, "When it was done.", required=True),
            Field("note", Type.STRING, "What was done, in words.", max_length=_NOTE),
            Field("made_by", Type.STRING, "The user who made the record.", Owner.SERVER),
        ),
        appended=True,
        effects=_action,
    ),
)
