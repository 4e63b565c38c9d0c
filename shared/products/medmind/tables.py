"""MedMind: an elder patient's medicines, the plan of them, and what became of each dose.

The scope is the care circle. Phones and devices write plans and events; doses and their states are the
server's, made ahead from the plan (`dosing.py`) and settled by events in any order (`doses.py`).
"""

from __future__ import annotations

import hashlib

from shared.jobs import job as jobs
from shared.jobs.cascade import cascade
from shared.products.medmind import alert_tables, items, summary_tables, voice_tables
from shared.products.medmind.doses import KINDS, STATES, UNDONE
from shared.products.medmind.plans import FREQUENCIES, MOST_EVERY
from shared.products.medmind.rights import CARERS, RIGHTS
from shared.products.medmind.summary_tables import SUMMARIES, summaries_job
from shared.records import record
from shared.records.collection import Catalog, Collection, Effects, Field, Merge, Owner, Turn, Type
from shared.records.store import Key, Write, put

PATIENTS = "patients"
MEDICATIONS = "medications"
PLANS = "medication_plans"
ITEMS = "medication_plan_items"
DOSES = "dose_occurrences"
EVENTS = "dose_events"

#: The kind of job that makes and settles the doses of an item, one an item.
DOSING = "dosing"

#: Events that no job has seen yet: a document an event, under its id.
NEWS = "dose_news"

_NAME, _TEXT = 200, 5000


#: The kind of job that counts what is left of a medicine, one a medicine.
STOCK = "stock"

#: What the server keeps of a medicine: since when its stock is counted down (Unix ms).
COUNTED = "_counted"

_AS_NEEDED = "00000000"  #: the day in the names of doses that no plan made


def dosing_job(item_id: str, scope_id: str) -> str:
    """The job of an item: of its own circle. What others say of it is a job that does nothing."""
    return f"{DOSING}~{scope_id}~{item_id}"


def dosing(item_id: str, scope_id: str, now_ms: int) -> Write:
    """The write that has the job of an item look at it now."""
    return jobs.create(dosing_job(item_id, scope_id), DOSING, ITEMS, item_id, scope_id, now_ms)


def stocktaking(medication_id: str, scope_id: str, now_ms: int) -> Write:
    """The write that has the job of a medicine count it now."""
    name = f"{STOCK}~{scope_id}~{medication_id}"
    return jobs.create(name, STOCK, MEDICATIONS, medication_id, scope_id, now_ms)


def item_of(dose_id: str) -> str:
    """The item of a dose, by its id; empty: it is no dose's."""
    parts = dose_id.rsplit("_", 2)
    if len(parts) < 3 or len(parts[1]) != 8 or not (parts[1] + parts[2]).isascii():
        return ""
    return parts[0] if parts[1].isdecimal() and parts[2].isdecimal() else ""


def dose_of(dose_id: str, kind: str, event_id: str, undoes: str = "") -> str:
    """The dose that an event is of: the one it names, or of an item's one of its own, named by its event.

    What was taken as needed, or beside the plan, is no dose that the plan has made: its event names the
    item.
    """
    if item_of(dose_id):
        return dose_id
    event = undoes if kind == UNDONE else event_id
    number = int(hashlib.sha256(event.encode()).hexdigest(), 16) % 10**12
    return f"{dose_id}_{_AS_NEEDED}_{number:012}"


def as_needed(dose_id: str) -> bool:
    """Whether it is a dose that no plan made, by its id."""
    return dose_id.rsplit("_", 2)[-2:][0] == _AS_NEEDED


def _text(name: str, doc: str, length: int = _TEXT, *, required: bool = False) -> Field:
    return Field(name, Type.STRING, doc, required=required, max_length=length)


_MADE_BY = Field("made_by", Type.STRING, "The user who made the record.", Owner.SERVER)


def _made(turn: Turn) -> Effects:
    return Effects() if turn.before is not None else Effects({"made_by": turn.author_id})


def _patient(turn: Turn) -> Effects:
    """The job that sums up the patient's days, by the clock that the row says."""
    job = jobs.create(
        summaries_job(turn.scope_id), SUMMARIES, PATIENTS, turn.scope_id, turn.scope_id, turn.now_ms
    )
    return Effects(_made(turn).fields, (job,) if turn.id == turn.scope_id else ())


def _item(turn: Turn) -> Effects:
    """Another version if days or times changed, and the job that makes doses of it."""
    before, values = turn.before or {}, turn.values
    fields: dict[str, object] = {"unread": items.unread(values) or None}
    if turn.before is None:
        fields["made_by"] = turn.author_id
    if items.changed(turn.before, values):
        kept = [*(before.get(items.VERSIONS) or ()), items.version(values, turn.now_ms)]
        fields[items.VERSIONS] = kept[-items.MOST_VERSIONS :]
    elif all(before.get(name) == values.get(name) for name in items.OF_DOSES):
        return Effects(fields)
    return Effects(fields, (dosing(turn.id, turn.scope_id, turn.now_ms),))


def _item_back(turn: Turn) -> Effects:
    """A deleted item comes back: what was to come is to come again."""
    return Effects({}, (dosing(turn.id, turn.scope_id, turn.now_ms),))


def _medication(turn: Turn) -> Effects:
    """Since when its stock is counted down: when it was counted, or when another number was heard of."""
    before, fields = turn.before or {}, dict(_made(turn).fields)
    counted_ms, stock = turn.values.get("counted_at"), turn.values.get("stock")
    if counted_ms is not None and counted_ms != before.get("counted_at"):
        fields[COUNTED] = min(int(counted_ms), turn.now_ms)
    elif stock != before.get("stock") or before.get(COUNTED) is None:
        fields[COUNTED] = turn.now_ms
    return Effects(fields, (stocktaking(turn.id, turn.scope_id, turn.now_ms),))


def _medication_back(turn: Turn) -> Effects:
    """A deleted medicine comes back: it is counted again."""
    return Effects({}, (stocktaking(turn.id, turn.scope_id, turn.now_ms),))


def _plan(turn: Turn) -> Effects:
    """The medicine is counted anew; the one before, too, if it is another."""
    named = turn.values.get("medication_id"), (turn.before or {}).get("medication_id")
    several = sorted({str(each) for each in named if each})
    writes = (stocktaking(each, turn.scope_id, turn.now_ms) for each in several)
    return Effects(_made(turn).fields, tuple(writes))


def _event(turn: Turn) -> Effects:
    """The item's job hears of the event."""
    values, fields = turn.values, dict(_made(turn).fields)
    named, kind, undoes = (str(values.get(each) or "") for each in ("dose_id", "kind", "undoes"))
    dose = dose_of(named, kind, turn.id, undoes)
    item = item_of(dose)
    if not record.valid_id(item):
        return Effects(fields)
    fields |= {"item_id": item, "dose": dose}
    if (turn.before or {}).get("heard_at") is None:
        fields["heard_at"] = turn.now_ms
    news = {"item_id": item, "dose_id": dose, "scope_id": turn.scope_id}
    job = dosing(item, turn.scope_id, turn.now_ms)
    return Effects(fields, (put(Key(NEWS, turn.id), news, None), job))


CATALOG = Catalog(
    name="medmind",
    scope_word="circle",
    cascade=cascade,
    roles=RIGHTS.roles,
    may=RIGHTS.may,
    maker="made_by",
    people=PATIENTS,
    person_word="patient",
    of_users=(alert_tables.CHANNELS,),
    collections=(
        Collection(
            PATIENTS,
            "Whom a circle cares for. A circle has one: its id is the circle's.",
            (
                _text("name", "What the patient is called.", _NAME),
                _text("birth_date", "YYYY-MM-DD.", 30),
                _text("language", "What the device speaks, as `en`.", 20),
                _text("time_zone", "Where the patient is, as Asia/Kolkata.", 60),
                _text("note", "What else is to be remembered."),
                _MADE_BY,
            ),
            writers=CARERS,
            effects=_patient,
            restored=_patient,
            label=lambda fields: str(fields.get("name") or ""),
        ),
        Collection(
            MEDICATIONS,
            "A medicine as its box says it.",
            (
                _text("name", "What it is called.", _NAME, required=True),
                _text("strength", "As the box says: `500 mg`.", 60),
                _text("form", "Tablet, drops, inhaler.", 60),
                Field(
                    "stock",
                    Type.NUMBER,
                    "How much there was when it was counted, in units of the amounts.",
                    low=0,
                    high=1e9,
                ),
                Field(
                    "counted_at",
                    Type.TIME,
                    "When it was counted; null: when the server heard of another number.",
                ),
                Field(
                    "refill_days",
                    Type.INTEGER,
                    "So many days before it is used up the carers are told.",
                    default=7,
                    low=0,
                    high=90,
                ),
                Field(
                    "left",
                    Type.NUMBER,
                    "How much is left: what was counted less what was taken since; null: not counted.",
                    Owner.SERVER,
                ),
                Field(
                    "refill_on",
                    Type.STRING,
                    "The day of the first dose that it is not enough for, YYYY-MM-DD; null: none soon.",
                    Owner.SERVER,
                ),
                _text("note", "What else is to be remembered."),
                _MADE_BY,
            ),
            writers=CARERS,
            context=("stock", "counted_at", COUNTED),
            effects=_medication,
            restored=_medication_back,
            label=lambda fields: str(fields.get("name") or ""),
        ),
        Collection(
            PLANS,
            "Why and by whom a medicine is taken; its items say when.",
            (
                Field(
                    "medication_id",
                    Type.STRING,
                    "The medicine.",
                    required=True,
                    references=MEDICATIONS,
                ),
                _text("reason", "What it is for."),
                _text("prescribed_by", "Who prescribed it.", _NAME),
                _text("comment", "What else is to be remembered."),
                _MADE_BY,
            ),
            writers=CARERS,
            context=("medication_id",),
            effects=_plan,
        ),
        Collection(
            ITEMS,
            "Doses of a plan at times of the day. A taper is several items, one after the other.",
            (
                Field("plan_id", Type.STRING, "The plan.", required=True, references=PLANS),
                Field("amount", Type.NUMBER, "How much, in `unit`.", low=0, high=1e6),
                _text("unit", "Tablets, drops, ml.", 40),
                _text("starts_on", "The first day, YYYY-MM-DD.", 30, required=True),
                _text("ends_on", "The last day, inclusive; null: no end.", 30),
                Field(
                    "times",
                    Type.STRINGS,
                    "Times of the day, as `08:00`; of every_n_hours that of the first dose.",
                    merge=Merge.LAST,
                ),
                Field(
                    "frequency",
                    Type.STRING,
                    "On which days; what cannot be read is `as_needed`, which has no times.",
                    default="daily",
                    choices=FREQUENCIES,
                    unreadable="as_needed",
                ),
                Field(
                    "every",
                    Type.INTEGER,
                    "Days between, of every_n_days; hours between, of every_n_hours.",
                    low=1,
                    high=MOST_EVERY,
                ),
                Field("weekdays", Type.STRINGS, "Of weekly: `monday`, …"),
                _text("rrule", "A rule of RFC 5545 instead of frequency, every and weekdays.", 200),
                Field("paused", Type.BOOLEAN, "Not taken for now.", default=False),
                _text("time_zone", "Of the clock that it goes by, as Asia/Kolkata.", 60),
                Field(
                    "grace_minutes",
                    Type.INTEGER,
                    "How long after its time a dose is on time; then it is missed until somebody says.",
                    default=60,
                    low=1,
                    high=1440,
                ),
                _text("with_meal", "Before, with or after a meal.", 60),
                Field("most_a_day", Type.INTEGER, "Of as_needed: at most.", low=1, high=50),
                Field(
                    "unread",
                    Type.STRINGS,
                    "Columns that cannot be read; null: none. There are no doses meanwhile.",
                    Owner.SERVER,
                ),
                _MADE_BY,
            ),
            writers=CARERS,
            context=(items.VERSIONS, *items.OF_DOSES),
            effects=_item,
            restored=_item_back,
        ),
        Collection(
            DOSES,
            "One dose, made ahead: when it is due, and what became of it.",
            (
                Field(
                    "item_id",
                    Type.STRING,
                    "The item; what was taken stays when it goes.",
                    Owner.SERVER,
                ),
                Field("due_at", Type.TIME, "When it is due.", Owner.SERVER),
                Field("grace_minutes", Type.INTEGER, "How long it is on time.", Owner.SERVER),
                Field("amount", Type.NUMBER, "How much, in `unit`.", Owner.SERVER),
                Field("unit", Type.STRING, "Tablets, drops, ml.", Owner.SERVER),
                Field(
                    "state",
                    Type.STRING,
                    "What became of it.",
                    Owner.SERVER,
                    choices=STATES,
                ),
                Field("event_id", Type.STRING, "The event that decides.", Owner.SERVER),
                Field("taken_at", Type.TIME, "When it was taken; null: it was not.", Owner.SERVER),
                Field(
                    "taken_amount", Type.NUMBER, "How much of it; null: it was not.", Owner.SERVER
                ),
                Field("reason", Type.STRING, "Why it was skipped.", Owner.SERVER),
                Field(
                    "amended_at",
                    Type.TIME,
                    "When a missed dose turned out not to be; null: it never was missed.",
                    Owner.SERVER,
                ),
            ),
            pushable=False,
        ),
        Collection(
            EVENTS,
            "What somebody or a device said of a dose.",
            (
                _text(
                    "dose_id",
                    "The dose: `ITEM_20260329_1`; or the item, of what was taken as needed.",
                    160,
                    required=True,
                ),
                Field(
                    "kind",
                    Type.STRING,
                    "What happened.",
                    required=True,
                    choices=KINDS,
                ),
                Field("at", Type.TIME, "When it happened.", required=True),
                Field(
                    "amount", Type.NUMBER, "How much, if not what the plan says.", low=0, high=1e6
                ),
                _text("reason", "Why it was skipped."),
                _text("undoes", "Of `undone`: the event that never happened.", 128),
                Field("item_id", Type.STRING, "The item.", Owner.SERVER),
                Field("dose", Type.STRING, "The dose that it is of.", Owner.SERVER),
                Field("heard_at", Type.TIME, "When the server first heard of it.", Owner.SERVER),
                _MADE_BY,
            ),
            appended=True,
            context=("heard_at",),
            effects=_event,
        ),
        *alert_tables.TABLES,
        *summary_tables.TABLES,
        *voice_tables.TABLES,
    ),
)
