"""What clients of devices, jobs, inbox and undelete send and get, as types. Times are Unix milliseconds."""

from __future__ import annotations

from typing import Annotated, Any

from msgspec import UNSET, Struct, UnsetType

from shared.api.fields import (
    NULL,
    Count,
    Id,
    IdOrEmpty,
    Limit,
    Moment,
    MomentOrNull,
    TextOrNull,
    must,
    names,
    says,
    schema,
)
from shared.api.record_codes import RECORD_CODES
from shared.errors import InvalidRequest
from shared.jobs.job import STATES
from shared.records import record
from shared.settings import Settings
from shared.support import devices, inbox, ledger

_Page = Annotated[str | UnsetType, says("`next_page` of the answer before.")]
_NextPage = Annotated[TextOrNull, says("Opaque; null on the last page.")]
_Columns = dict[str, list[str]]
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


class TrailAsked(Struct):
    """Which entries."""

    scope_id: Annotated[
        IdOrEmpty, says("A team that the caller administers; empty: what the caller did.")
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


class TeamAsked(Struct):
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
