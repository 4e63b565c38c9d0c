"""Tables of alerts: what happened, what people did about it, and whom it was told.

The server writes alerts; people write actions (`alert_actions`), offline too. `alerts.py` says what
becomes of an alert.
"""

from __future__ import annotations

import hashlib

from shared.jobs import job as jobs
from shared.notify.telling import GONE, MISSED, SENT, TAKEN, WAITING
from shared.products.medmind.rights import CARERS
from shared.products.medmind.voice_tables import VOICE
from shared.records.bell import Bell
from shared.records.collection import Collection, Effects, Field, Owner, Turn, Type
from shared.records.store import Write

ALERTS = "alert_logs"
ACTIONS = "alert_actions"
DELIVERIES = "notification_deliveries"

#: By which ways people want to be told, a document each (`alert_settings.py`).
CHANNELS = "notification_channels"

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


#: What becomes of a way of telling somebody (`shared.notify.telling`), and besides: it waits in a digest,
#: and nobody needed to be told any more.
GATHERED, STOPPED = "gathered", "stopped"

DELIVERY_STATES = (WAITING, TAKEN, SENT, MISSED, GONE, GATHERED, STOPPED)

#: The ways: phones by push, mail, a webhook of one's own; a digest goes by these, later.
PHONE, BY_MAIL, WEBHOOK, DIGEST = "phone", "mail", "webhook", "digest"
WAYS = (PHONE, BY_MAIL, WEBHOOK, DIGEST)

#: The steps of an alert, in their order.
PATIENT_STEP, FIRST_STEP, OTHERS_STEP, DOCTOR_STEP = "patient", "caregiver", "others", "doctor"
STEPS = (PATIENT_STEP, FIRST_STEP, OTHERS_STEP, DOCTOR_STEP)


def alert_id(kind: str, subject: str, scope: str) -> str:
    """The id of the one alert of a kind about a subject of a circle."""
    mark = hashlib.sha256(f"{scope}\n{subject}".encode()).hexdigest()
    return f"{kind}-{mark[:32]}"


def bell(alert: str) -> Bell:
    """What is rung after a commit that had the job of an alert look at it, where a minute is too long.

    The subscriber of recordings takes it. The sweeper runs all other jobs of alerts itself, right after
    those of doses, so that what is missed is told in the same minute.
    """
    return Bell(VOICE, f"{ALERT}~{alert}", alert)


def look(alert: str, scope: str, now_ms: int) -> Write:
    """The write that has the job of an alert look at it now."""
    return jobs.create(f"{ALERT}~{alert}", ALERT, ALERTS, alert, scope, now_ms)


def _action(turn: Turn) -> Effects:
    """The alert's job hears of it."""
    alert = str(turn.values["alert_id"])
    made_by = {} if turn.before is not None else {"made_by": turn.author_id}
    return Effects(made_by, (look(alert, turn.scope_id, turn.now_ms),), (bell(alert),))


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
            _own("step", Type.STRING, "Whom it has reached: the last step that was begun.", STEPS),
            _own("unreached", Type.BOOLEAN, "Nobody could be told of it so far."),
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
        writers=CARERS,
        effects=_action,
    ),
    Collection(
        DELIVERIES,
        "Who was told of an alert, by which way, and what became of it.",
        (
            _own("alert_id", Type.STRING, "The alert."),
            _own("user_id", Type.STRING, "Who was told."),
            _own("way", Type.STRING, "How.", WAYS),
            _own("step", Type.STRING, "The step of the alert.", STEPS),
            _own("state", Type.STRING, "What became of it.", DELIVERY_STATES),
            _own("due_at", Type.TIME, "When it was to be told."),
            _own("at", Type.TIME, "Since when it is so, or when it is tried again."),
        ),
        pushable=False,
    ),
)
