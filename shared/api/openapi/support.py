"""What hangs on syncing, in the API's description: digest, devices, inbox, undelete. Times in ms."""

from __future__ import annotations

from shared import errors
from shared.api.codes import RECORD_CODES
from shared.api.openapi.parts import (
    BODY,
    COUNT,
    ID,
    MS,
    NOTHING,
    TEXT,
    Operation,
    Schema,
    fixed,
    list_of,
    or_null,
    query,
    ref,
    says,
    segment,
)
from shared.jobs.job import STATES
from shared.records.collection import Catalog
from shared.settings import Settings
from shared.support import devices, inbox, ledger

_KNOWN = (errors.Unauthenticated, errors.StoreUnavailable)
_ALLOWED = (*_KNOWN, errors.Forbidden)
_OF_AN_ANSWER = ("Cache-Control", "Content-Encoding")

OPERATIONS: tuple[Operation, ...] = (
    Operation(
        "GET",
        "/api/v1/sync/digest",
        "syncDigest",
        "sync",
        "What the phone should hold, as a count and a hash a table",
        "For a phone that wants to know whether it holds what the server holds. Sync until nothing "
        "new comes, ask with the cursor of that sync, and compare. Reads every record of the user's "
        "teams on the server: once a day is often enough.",
        answers="The digest, or `current: false` if the phone has to pull first.",
        answer="SyncDigest",
        faults=(errors.InvalidCursor, *_KNOWN),
        parameters=("DigestCursor", "RequestId"),
        answer_headers=_OF_AN_ANSWER,
        never=("time_in_milliseconds",),
    ),
    Operation(
        "GET",
        "/api/v1/devices",
        "listDevices",
        "support",
        "Phones of the caller's teams: when they last synced, what is wrong",
        "For roles that supervise. Those with a problem come first, then those that were silent the "
        f"longest; phones of people who have left come last. Of each user the {ledger.MOST_OF_A_USER} "
        "phones are kept that were heard of last, each for half a year. Ids and codes only, nothing of "
        "records.",
        answers="The phones of every team that the caller supervises.",
        answer="Devices",
        faults=(errors.InvalidRequest, errors.InvalidCursor, *_ALLOWED),
        parameters=("Failing", "DevicesLimit", "DevicesPage", "RequestId"),
        never=("time_in_milliseconds", "time_in_seconds"),
        answer_headers=_OF_AN_ANSWER,
    ),
    Operation(
        "POST",
        "/api/v1/devices/token",
        "registerToken",
        "sync",
        "Say where the phone can be woken",
        "The push token of Firebase Cloud Messaging, at each start of the app and whenever it changes; "
        "null when the user logs out. When a result is there, the phone is poked once to sync, and "
        "shows a notification to roles that are alerted, without a word about the record. Syncing by "
        "itself brings the same news, so nothing depends on it.",
        answers="It is kept with the phone's entry.",
        answer="TokenRegistered",
        body="TokenRequest",
        faults=(errors.InvalidJson, errors.InvalidRequest, *_KNOWN, *BODY, errors.Contended),
        parameters=("DeviceId", "RequestId", "ContentEncoding"),
        answer_headers=_OF_AN_ANSWER,
        never=("time_in_milliseconds", "time_in_seconds"),
    ),
    Operation(
        "GET",
        "/api/v1/jobs/{id}",
        "getJob",
        "sync",
        "Where a job stands",
        "For those who may read the record that it is about; everybody else gets 404. Syncing brings "
        "the same: this is for a screen that waits.",
        answers="The job.",
        answer="Job",
        faults=(*_KNOWN, errors.NotFound),
        parameters=("JobId", "RequestId"),
        answer_headers=_OF_AN_ANSWER,
    ),
    Operation(
        "GET",
        "/api/v1/inbox",
        "listInbox",
        "support",
        "What could not be stored and somebody should look at",
        "For roles that see the inbox: late edits of records that moved here or of people who left, "
        "and refused, late or lost records with a red signal. The urgent come first, then the oldest. "
        "Admins also see urgent ones of people who are in no team (`scope_id` is `~unfiled`).",
        answers="What waits in the caller's teams.",
        answer="Inbox",
        faults=(errors.InvalidRequest, errors.InvalidCursor, *_ALLOWED),
        parameters=("InboxLimit", "InboxPage", "RequestId"),
        never=("time_in_milliseconds", "time_in_seconds"),
        answer_headers=_OF_AN_ANSWER,
    ),
    Operation(
        "POST",
        "/api/v1/inbox/{id}/close",
        "closeInboxEntry",
        "support",
        "Take an entry off the inbox",
        "Somebody has looked at it. What was sent is kept. Doing it again changes nothing.",
        answers="It is off the list.",
        answer="InboxClosed",
        body="InboxClose",
        body_needed=False,
        faults=(errors.InvalidJson, errors.InvalidRequest, *_ALLOWED, *BODY, errors.Contended),
        parameters=("EntryId", "RequestId", "ContentEncoding"),
        never=("time_in_milliseconds", "time_in_seconds"),
        answer_headers=_OF_AN_ANSWER,
    ),
    Operation(
        "POST",
        "/api/v1/undelete",
        "undelete",
        "support",
        "Bring a deleted record back",
        "For roles that undelete. What was deleted along with the record follows soon. Phones get all of "
        "it with their next sync. A record that is not deleted is left as it is, so doing it again "
        "changes nothing.",
        answers="The record is there.",
        answer="Undeleted",
        body="UndeleteRequest",
        faults=(
            errors.InvalidJson,
            errors.InvalidRequest,
            *_ALLOWED,
            errors.ParentDeleted,
            errors.Purged,
            *BODY,
            errors.Contended,
        ),
        parameters=("RequestId", "ContentEncoding"),
        answer_headers=_OF_AN_ANSWER,
        never=("time_in_milliseconds", "time_in_seconds"),
    ),
)

PARAMETERS: dict[str, Schema] = {
    "DigestCursor": query(
        "last_pulled_at",
        {"anyOf": [MS, NOTHING]},
        "The cursor of the phone's last sync, ms (`new_sync_timestamp` × 1000). Without it there is "
        "a digest whatever the phone has pulled.",
    ),
    "Failing": query(
        "failing",
        {"type": "string", "enum": ["1", "true", "0", "false"]},
        "1: only phones with a problem.",
    ),
    "DevicesLimit": query(
        "limit",
        {"type": "integer", "minimum": 1, "default": devices.PAGE},
        f"Most phones of one answer; {devices.PAGE} at most.",
    ),
    "DevicesPage": query("page", dict(TEXT), "`next_page` of the answer before."),
    "JobId": segment(
        "id",
        {"type": "string", "minLength": 1, "maxLength": 300},
        "Of the job, or of its row in a table of jobs.",
    ),
    "InboxLimit": query(
        "limit",
        {"type": "integer", "minimum": 1, "default": inbox.PAGE},
        f"Most entries of one answer; {inbox.PAGE} at most.",
    ),
    "InboxPage": query("page", dict(TEXT), "`next_page` of the answer before."),
    "EntryId": segment("id", dict(ID), "`id` of the entry, as the inbox lists it."),
}

_MOMENT: Schema = {**MS, "type": "integer"}
_FLAG: Schema = {"type": "boolean"}


def schemas(catalog: Catalog) -> dict[str, Schema]:
    """Schemas of these operations."""
    return {
        "SyncDigest": _digest(catalog),
        "Devices": {
            **fixed(
                devices=list_of(ref("Device"), "Those with a problem first."),
                next_page=says(or_null(TEXT), "Opaque; null on the last page."),
                timestamp=says(_MOMENT, "Now, by the server's clock, ms."),
            ),
            "description": "Phones of the teams that the caller supervises.",
        },
        "Device": _device(catalog),
        "TokenRequest": {
            **fixed(
                token=says(
                    or_null({"type": "string", "minLength": 1, "maxLength": ledger.LONGEST_TOKEN}),
                    "The phone's push token; null: do not wake it.",
                )
            ),
            "description": "Where the phone can be woken.",
        },
        "TokenRegistered": {
            **fixed(device=dict(ID), registered=says(_FLAG, "Whether the phone can be woken.")),
            "description": "What is kept of the phone.",
        },
        "Job": _job(),
        "Inbox": {
            **fixed(
                entries=list_of(ref("InboxEntry"), "The urgent first, then the oldest."),
                next_page=says(or_null(TEXT), "Opaque; null on the last page."),
                count=says(
                    fixed(open=COUNT, urgent=COUNT, at_least=_FLAG),
                    "On the first page: how many wait. `at_least`: or more.",
                ),
            ),
            "required": ["entries", "next_page"],
            "description": "What waits for somebody to look at it.",
        },
        "InboxClose": {
            "type": "object",
            "description": "May be left out.",
            "properties": {
                "word": {
                    "type": ["string", "null"],
                    "minLength": 1,
                    "maxLength": inbox.LONGEST_WORD,
                    "description": "Why it needs nobody any more.",
                }
            },
        },
        "InboxEntry": _entry(catalog),
        "InboxClosed": {
            **fixed(id=dict(ID), open={"type": "boolean", "const": False}),
            "description": "An entry that is off the list.",
        },
        "UndeleteRequest": {
            **fixed(
                table=says(TEXT, "Its table."), id=says(ID, "Its id. An unknown one gets 404.")
            ),
            "description": "The record to bring back.",
        },
        "Undeleted": {
            **fixed(table=TEXT, id=dict(ID), deleted={"type": "boolean", "const": False}),
            "description": "A record that is not deleted any more.",
        },
    }


def _digest(catalog: Catalog) -> Schema:
    names = [item.name for item in catalog.collections]
    return {
        **fixed(
            timestamp=says(_MOMENT, "The moment that the digest speaks of, ms."),
            current=says(
                _FLAG,
                "Whether nothing changed since `last_pulled_at`. If false, pull and ask again; the "
                "phone's own last push counts as a change too.",
            ),
            tables={
                "type": "object",
                "description": "By table; empty unless `current`.",
                "properties": dict.fromkeys(names, ref("Digest")),
            },
        ),
        "description": "What the caller's phone should hold.",
        "if": {"properties": {"current": {"const": True}}},
        "then": {"properties": {"tables": {"required": names}}},
        "else": {"properties": {"tables": {"maxProperties": 0}}},
    }


def _device(catalog: Catalog) -> Schema:
    word = catalog.scope_word

    def counts(*names: str) -> Schema:
        return {"type": "object", "properties": dict.fromkeys(names, COUNT)}

    refused = fixed(table=TEXT, id=TEXT, code={"type": "string", "enum": list(RECORD_CODES)})
    return {
        **fixed(
            user_id=dict(ID),
            device=says(ID, "`unnamed` if the phone does not say."),
            scopes=list_of(ID, f"Each {word} of the user that the caller supervises."),
            problem=says(or_null(TEXT), "What is wrong, in a line for people; null if nothing is."),
            dialect={"type": "string", "enum": ["batch", "watermelon"]},
            attempt_at=says(
                _MOMENT, "When it last tried, ms. Attempts in which nothing happened count daily."
            ),
            ok_at=says(or_null(_MOMENT), "When a sync last succeeded, ms; null: never yet."),
            outcome=says(
                TEXT,
                "Of the last attempt: `ok`, the code of the error, or `interrupted` if the answer "
                "did not get through whole.",
            ),
            failures=says(COUNT, "Failed attempts in a row; one fault counts once in ten minutes."),
            app_version=says(or_null(TEXT), "As `X-App-Version` last said."),
            clock_offset_ms={
                "type": ["integer", "null"],
                "description": "How far its clock is ahead (negative: behind), ms, as it last said.",
            },
            bytes_in=says(COUNT, "Size of the last request."),
            bytes_out=says(COUNT, "Size of its answer."),
            pulled=says(counts("rows", "deletions"), "What it last got."),
            pushed=says(
                counts("accepted", "written", "conflicts", "rejected"), "What it last sent."
            ),
            rejected=list_of(refused, "What could not be stored of it; the first 20."),
            unknown_columns={
                "type": ["object", "null"],
                "description": "Columns that the app sent and the server does not know, by table: "
                "the app is newer than the server.",
                "additionalProperties": {"type": "array", "items": TEXT},
            },
        ),
        "description": "A phone, as the server last met it. It counts as a problem if it failed, "
        f"was silent for {Settings().silent_days} days, could not deliver a record, or has a wrong "
        "clock.",
    }


def _job() -> Schema:
    state: Schema = {"type": "string", "enum": list(STATES)}
    step = fixed(
        state=state, at=_MOMENT, fault=says(or_null(TEXT), "Code of what went wrong before it.")
    )
    return {
        **fixed(
            id=says(TEXT, "The job's id."),
            kind=says(TEXT, "What it does: a task of the product, or a chore of the server."),
            table=says(TEXT, "The table of the record that it is about."),
            record_id=says(TEXT, "The record's id."),
            state=says(
                state,
                "`parked` and `failed`: no result; people go on without one. `stale`: the "
                "record changed, another job reads it.",
            ),
            final=says(_FLAG, "Whether nothing more will happen by itself."),
            attempts=says(COUNT, "Attempts so far."),
            created_at=says(_MOMENT, "When it was stored, ms."),
            next_attempt_at=says(
                or_null(_MOMENT), "When it is tried next, ms; null unless queued."
            ),
            history={
                "type": ["array", "null"],
                "items": step,
                "description": "Each step; null for roles that do not see them.",
            },
        ),
        "description": "A job, as the caller may see it.",
    }


def _entry(catalog: Catalog) -> Schema:
    return {
        **fixed(
            id=dict(ID),
            scope_id=says(
                TEXT, f"The {catalog.scope_word} that should look at it; `~unfiled`: nobody's."
            ),
            table=says(TEXT, "The table of the record that was sent."),
            record_id=says(TEXT, "Its id, as sent."),
            code={
                "type": "string",
                "enum": [*RECORD_CODES, "older", "equal", "merged", "unseen_overwrite"],
                "description": "Why it is not stored: a code of `rejected`, or the reason of a conflict.",
            },
            late=says(_FLAG, "The phone did not know yet that the record moved, or its user left."),
            urgent=says(_FLAG, "It carries a red signal."),
            unfiled=says(_FLAG, "Nobody can tell whose it is: every team of its sender has it."),
            user_id=says(ID, "Who sent it."),
            device=says(ID, "From which phone."),
            at=says(_MOMENT, "When it was sent, ms."),
            sent={"description": "The record as it was sent; null if it was too large to keep."},
        ),
        "description": "Something that could not be stored.",
    }
