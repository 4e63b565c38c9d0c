"""What clients of the function `support` send and get, as types. Times are Unix milliseconds."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Struct, UnsetType

from shared.api.fields import (
    NULL,
    Count,
    CountOrNull,
    Id,
    IdOrEmpty,
    Limit,
    Moment,
    MomentOrNull,
    TextOrNull,
    must,
    names,
    one_of,
    says,
    schema,
)
from shared.api.record_codes import RECORD_CODES
from shared.errors import InvalidRequest, NotFound
from shared.export import stream
from shared.jobs.job import STATES
from shared.records import record
from shared.settings import Settings
from shared.support import conflicts, deleted, devices, inbox, ledger, moves

_Page = Annotated[str | UnsetType, says("`next_page` of the answer before.")]
_NextPage = Annotated[TextOrNull, says("Opaque; null on the last page.")]
_Columns = dict[str, list[str]]
Since = Annotated[int, must("Unix milliseconds", ge=0, lt=record.MOST_MS)]
_Token = Annotated[
    str,
    must("the phone's push token, or null", min_length=1, max_length=ledger.LONGEST_TOKEN),
]
_Word = Annotated[
    str,
    must(
        f"a text of 1 to {inbox.LONGEST_WORD} characters",
        min_length=1,
        max_length=inbox.LONGEST_WORD,
    ),
]


# --- what is asked


class DevicesAsked(Struct):
    """Which phones."""

    failing: Annotated[
        str | UnsetType,
        says("1: only phones with a problem.", enum=["1", "true", "0", "false"]),
    ] = UNSET
    limit: Annotated[Limit, says(f"Most phones of one answer; {devices.PAGE} at most.")] = (
        devices.PAGE
    )
    page: _Page = UNSET


class OneDevice(Struct):
    """Which phone."""

    device_id: Annotated[
        Id | UnsetType, says("Names this phone among the user's: keep one per installation.")
    ] = UNSET


class OneJob(Struct):
    """Which job."""

    id: Annotated[
        str, says("Of the job, or of its row in a table of jobs.", minLength=1, maxLength=300)
    ]


class InboxAsked(Struct):
    """Which entries."""

    limit: Annotated[Limit, says(f"Most entries of one answer; {inbox.PAGE} at most.")] = inbox.PAGE
    page: _Page = UNSET


class OneEntry(Struct):
    """Which entry."""

    id: Annotated[Id, names(inbox.NO_ENTRY), says("`id` of the entry, as the inbox lists it.")]


class TokenRequest(Struct):
    """Where the phone can be woken."""

    token: Annotated[_Token | None, says("The phone's push token; null: do not wake it.", **NULL)]

    def __post_init__(self) -> None:
        if self.token is not None and not self.token.isprintable():
            raise InvalidRequest("token must be the phone's push token, or null.", field="token")


class InboxClose(Struct):
    """May be left out."""

    word: Annotated[_Word | None, says("Why it needs nobody any more.", **NULL)] = None


class UndeleteRequest(Struct):
    """The record to bring back."""

    table: Annotated[str, must("a text, beside id", at="id"), says("Its table.")]
    id: Annotated[
        str,
        says("Its id. An unknown one gets 404.", pattern=rf"^(?!__.*__\Z){record.ID.pattern}\Z"),
    ]


class DeletedAsked(Struct):
    """Which deleted records."""

    scope: Annotated[Id, says("Of which team.")]
    table: Annotated[str | UnsetType, says("Of which table; the first one if absent.")] = UNSET
    limit: Annotated[Limit, says(f"Most records of one answer; {deleted.PAGE} at most.")] = (
        deleted.PAGE
    )
    page: _Page = UNSET


class ConflictsAsked(Struct):
    """Which conflicts."""

    scope: Annotated[Id, says("Of which team.")]
    limit: Annotated[Limit, says(f"Most entries of one answer; {conflicts.PAGE} at most.")] = (
        conflicts.PAGE
    )
    page: _Page = UNSET


class MoveRequest(Struct):
    """A record, and where it goes."""

    id: Annotated[
        str,
        says("Its id. An unknown one gets 404.", pattern=rf"^(?!__.*__\Z){record.ID.pattern}\Z"),
    ]
    to_scope_id: Annotated[Id, says("The team that it moves to.")]
    table: Annotated[str | None, says("Its table; that of people if absent.", **NULL)] = None
    dry_run: Annotated[bool, says("True: count what would move, and change nothing.")] = False

    def __post_init__(self) -> None:
        if not record.valid_id(self.id):
            raise NotFound("There is no such record, or none that you may see.", field="id")


class ExportAsked(Struct):
    """Which file."""

    scope: Annotated[Id, says("Of which team.")]
    format: Annotated[str, one_of(tuple(stream.KINDS)), says("How it is written.")]
    table: Annotated[
        str | UnsetType,
        says("One table. CSV and Parquet need it, Excel takes all without it, FHIR has no tables."),
    ] = UNSET
    since: Annotated[
        Since | UnsetType, says("Only records that phones made at this time or later, ms.")
    ] = UNSET
    until: Annotated[
        Since | UnsetType, says("Only records that phones made before this time, ms.")
    ] = UNSET


class TrailAsked(Struct):
    """Which entries."""

    scope_id: Annotated[
        IdOrEmpty, says("A team whose trail the caller may see; empty: what the caller did.")
    ] = ""
    user_id: Annotated[IdOrEmpty, says("Only what this user did in the team.")] = ""
    action: Annotated[
        str,
        must("a word of up to 64 characters", max_length=64),
        says("Only what was done so; empty: all."),
    ] = ""
    from_ms: Annotated[Moment | UnsetType, says("Not before, ms.")] = UNSET
    to_ms: Annotated[Moment | UnsetType, says("Before, ms.")] = UNSET
    page: _Page = UNSET


class TrailCheckAsked(Struct):
    """Which team."""

    scope_id: Annotated[Id, says("The team.")]


# --- what is answered


class TrailEntry(Struct):
    """Something that somebody did."""

    id: str
    at: Moment
    action: Annotated[str, says("What was done: a request, or a change of rights.")]
    user_id: Annotated[str, says("Who; `~operator`: whoever runs the service.")]
    name: TextOrNull
    device: TextOrNull
    scope_id: Annotated[TextOrNull, says("In which team; null: in none.")]
    of: Annotated[list[str], says("Whose rights, where it changed some.")]
    records: Annotated[dict[str, int], says("How many records of which table.")]
    said: Annotated[dict[str, str], says("More of a change of rights.")]
    sealed: Annotated[bool, says("Whether it is in the chain yet; the sweeper seals.")]


class Trail(Struct):
    """Entries of the audit trail."""

    entries: Annotated[list[TrailEntry], says("The newest first.")]
    next_page: _NextPage
    names: Annotated[
        dict[str, str], says("Of a team's: what its members among those named are called, by id.")
    ]


class TrailChecked(Struct):
    """What a check of a team's trail found."""

    scope_id: Id
    entries: Annotated[Count, says("Entries of the chain.")]
    waiting: Annotated[Count, says("Entries that are not sealed yet.")]
    compared: Annotated[
        bool, says("Whether there are heads outside the store to compare the chain with.")
    ]
    faults: Annotated[list[str], says("What is wrong; empty: the trail is whole.")]


class StuckJob(Struct):
    """A job that somebody should look at."""

    id: str
    kind: str
    state: Annotated[str, schema(enum=list(STATES))]
    late: Annotated[bool, says("It waits for more than an hour; else it failed or was parked.")]
    scope_id: Id
    table: str
    record_id: str
    attempts: Count
    fault: Annotated[TextOrNull, says("Code of what went wrong last.")]
    created_at: Moment
    moved_at: Moment
    next_attempt_at: MomentOrNull


class StuckJobs(Struct):
    """Jobs of the caller's teams that failed, were parked or are late."""

    jobs: Annotated[list[StuckJob], says("Those that moved last first.")]
    more: bool


class Redriven(Struct):
    """A job that is queued again."""

    id: str
    queued: Annotated[bool, says("False: it had neither failed nor been parked.")]


class SettingShown(Struct):
    """A setting of this deployment."""

    name: str
    doc: str
    secret: bool
    value: Annotated[TextOrNull, says("Of a secret: `set` or `not set`.")]


class PublicKeyShown(Struct):
    """A public key of access tokens."""

    kid: str
    algorithm: str
    since: Annotated[MomentOrNull, says("From when it signs, ms.")]
    until: Annotated[MomentOrNull, says("Until when it is published, ms.")]


class SettingsShown(Struct):
    """What this deployment is set to, as far as it concerns its teams."""

    release: str
    settings: list[SettingShown]
    keys: Annotated[
        list[PublicKeyShown] | None,
        says("Public keys of access tokens; null: they cannot be had now.", **NULL),
    ]


class PulledCounts(Struct):
    """What a phone got."""

    rows: Count | UnsetType = UNSET
    deletions: Count | UnsetType = UNSET


class PushedCounts(Struct):
    """What a phone sent."""

    accepted: Count | UnsetType = UNSET
    written: Count | UnsetType = UNSET
    conflicts: Count | UnsetType = UNSET
    rejected: Count | UnsetType = UNSET


class RefusedRecord(Struct):
    """A record that was not stored."""

    table: str
    id: str
    code: Annotated[str, schema(enum=list(RECORD_CODES))]


class Device(Struct):
    """A phone, as the server last met it."""

    user_id: Id
    device: Annotated[Id, says("`unnamed` if the phone does not say.")]
    scopes: Annotated[list[Id], says("Each team of the user that the caller supervises.")]
    problem: Annotated[
        TextOrNull,
        says(
            "What is wrong, in a line for people; null if nothing is. It counts as a problem if the phone "
            f"failed, was silent for {Settings().silent_days} days, could not deliver a record, or has a "
            "wrong clock."
        ),
    ]
    dialect: Annotated[str, schema(enum=["batch", "watermelon"])]
    attempt_at: Annotated[
        Moment,
        says("When it last tried, ms. Attempts in which nothing happened count daily."),
    ]
    ok_at: Annotated[MomentOrNull, says("When a sync last succeeded, ms; null: never yet.")]
    outcome: Annotated[
        str,
        says(
            "Of the last attempt: `ok`, the code of the error, or `interrupted` if the answer did not get "
            "through whole."
        ),
    ]
    failures: Annotated[
        Count, says("Failed attempts in a row; one fault counts once in ten minutes.")
    ]
    app_version: Annotated[TextOrNull, says("As `X-App-Version` last said.")]
    clock_offset_ms: Annotated[
        int | None,
        says("How far its clock is ahead (negative: behind), ms, as it last said.", **NULL),
    ]
    bytes_in: Annotated[Count, says("Size of the last request.")]
    bytes_out: Annotated[Count, says("Size of its answer.")]
    pulled: Annotated[PulledCounts, says("What it last got.")]
    pushed: Annotated[PushedCounts, says("What it last sent.")]
    rejected: Annotated[list[RefusedRecord], says("What could not be stored of it; the first 20.")]
    unknown_columns: Annotated[
        _Columns | None,
        says(
            "Columns that the app sent and the server does not know, by table: the app is newer than the "
            "server.",
            **NULL,
        ),
    ]


class Devices(Struct):
    """Phones of the teams that the caller supervises."""

    devices: Annotated[list[Device], says("Those with a problem first.")]
    next_page: _NextPage
    timestamp: Annotated[Moment, says("Now, by the server's clock, ms.")]


class TokenRegistered(Struct):
    """What is kept of the phone."""

    device: Id
    registered: Annotated[bool, says("Whether the phone can be woken.")]


class JobStep(Struct):
    """A step of a job."""

    state: Annotated[str, schema(enum=list(STATES))]
    at: Moment
    fault: Annotated[TextOrNull, says("Code of what went wrong before it.")]


class JobStage(Struct):
    """A stage of longer work. Times in ms."""

    stage: str
    state: Annotated[str, schema(enum=["waiting", "running", "done", "failed", "cancelled"])]
    done: Annotated[CountOrNull, says("So many parts are done.")]
    total: Annotated[CountOrNull, says("Of so many; null: not known yet.")]
    started_at: MomentOrNull
    ended_at: MomentOrNull
    fault: Annotated[TextOrNull, says("A stable code; null: none.")]
    message: Annotated[TextOrNull, says("What it means, and what to do.")]


class JobAnswer(Struct):
    """A job, as the caller may see it."""

    id: Annotated[str, says("The job's id.")]
    kind: Annotated[str, says("What it does: a task of the product, or a chore of the server.")]
    table: Annotated[str, says("The table of the record that it is about.")]
    record_id: Annotated[str, says("The record's id.")]
    state: Annotated[
        str,
        says(
            "`parked` and `failed`: no result; people go on without one. `stale`: the record changed, "
            "another job reads it.",
            enum=list(STATES),
        ),
    ]
    final: Annotated[bool, says("Whether nothing more will happen by itself.")]
    attempts: Annotated[Count, says("Attempts so far.")]
    created_at: Annotated[Moment, says("When it was stored, ms.")]
    next_attempt_at: Annotated[MomentOrNull, says("When it is tried next, ms; null unless queued.")]
    history: Annotated[
        list[JobStep] | None, says("Each step; null for roles that do not see them.", **NULL)
    ]
    stages: Annotated[
        list[JobStage] | None, says("Of work that has several; null: it has one.", **NULL)
    ] = None


class InboxEntry(Struct):
    """Something that could not be stored."""

    id: Id
    scope_id: Annotated[str, says("The team that should look at it; `~unfiled`: nobody's.")]
    table: Annotated[str, says("The table of the record that was sent.")]
    record_id: Annotated[str, says("Its id, as sent.")]
    code: Annotated[
        str,
        says(
            "Why it is not stored: a code of `rejected`, or the reason of a conflict.",
            enum=[*RECORD_CODES, "older", "equal", "merged", "unseen_overwrite"],
        ),
    ]
    late: Annotated[
        bool, says("The phone did not know yet that the record moved, or its user left.")
    ]
    urgent: Annotated[bool, says("It carries a red signal.")]
    unfiled: Annotated[bool, says("Nobody can tell whose it is: every team of its sender has it.")]
    user_id: Annotated[Id, says("Who sent it.")]
    device: Annotated[Id, says("From which phone.")]
    at: Annotated[Moment, says("When it was sent, ms.")]
    sent: Annotated[Any, says("The record as it was sent; null if it was too large to keep.")]


class InboxCount(Struct):
    """How many entries wait."""

    open: Count
    urgent: Count
    at_least: bool


class Inbox(Struct):
    """What waits for somebody to look at it."""

    entries: Annotated[list[InboxEntry], says("The urgent first, then the oldest.")]
    next_page: _NextPage
    count: Annotated[
        InboxCount | UnsetType, says("On the first page: how many wait. `at_least`: or more.")
    ] = UNSET


class InboxClosed(Struct):
    """An entry that is off the list."""

    id: Id
    open: Annotated[bool, schema(const=False)]


class Undeleted(Struct):
    """A record that is not deleted any more."""

    table: str
    id: Id
    deleted: Annotated[bool, schema(const=False)]


class DeletedRecord(Struct):
    """A record that can come back."""

    id: Id
    label: Annotated[str, says("A few words by which people know it; may be empty.")]
    deleted_at: Moment
    deleted_by: Annotated[TextOrNull, says("The user who deleted it.")]
    deleted_with: Annotated[
        TextOrNull,
        says("`table/id` of the record with which it was deleted: bring that back instead."),
    ]


class Deleted(Struct):
    """What was deleted in a team, and can come back."""

    scope_id: Id
    table: str
    tables: Annotated[list[str], says("Tables that may be asked for.")]
    records: Annotated[list[DeletedRecord], says("The newest deletion first.")]
    next_page: _NextPage


class LoggedConflict(Struct):
    """Values of a record that were not taken, or were overwritten unseen."""

    id: Id
    table: str
    record_id: Id
    at: Annotated[Moment, says("When it was found, ms.")]
    reason: Annotated[str, schema(enum=["older", "equal", "merged", "unseen_overwrite", "deleted"])]
    winner: Annotated[
        str,
        says(
            "`server`: what was stored stayed. `client`: what came was taken.",
            enum=["server", "client"],
        ),
    ]
    won: Annotated[dict[str, Any], says("The columns that it is about, as they were kept.")]
    lost: Annotated[dict[str, Any], says("The same columns, as they were not kept.")]
    user_id: Annotated[TextOrNull, says("Who sent the push that met the other values.")]
    device: Annotated[TextOrNull, says("From which phone.")]


class Conflicts(Struct):
    """The conflict log of a team."""

    scope_id: Id
    conflicts: Annotated[list[LoggedConflict], says("The newest first.")]
    next_page: _NextPage


class Moved(Struct):
    """What moved, or would move."""

    table: str
    id: Id
    from_scope_id: Id
    to_scope_id: Id
    moved: Annotated[
        bool,
        says("Whether this request moved it. What hangs on it follows within about a minute."),
    ]
    counts: Annotated[dict[str, Count], says("Living records by table, itself among them.")]
    at_least: Annotated[bool, says(f"Whether there may be more: {moves.MOST_COUNTED} are counted.")]


class ExportTable(Struct):
    """A table that can be exported."""

    name: str
    doc: str


class Exports(Struct):
    """What can be exported, and of which teams."""

    scopes: list[Id]
    tables: list[ExportTable]
    formats: Annotated[
        list[str], says("Of this deployment: `parquet` only where pyarrow is installed.")
    ]
