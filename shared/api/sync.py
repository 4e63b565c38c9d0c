"""What phones that sync say in a query string, as types. Times are Unix milliseconds, as texts."""

from __future__ import annotations

from typing import Annotated

from msgspec import UNSET, Struct, UnsetType

from shared.api.fields import Id, says, schema
from shared.records import record

#: A time, or what phones send for "none"; the dialect reads it.
_Cursor = Annotated[
    str | UnsetType,
    schema(
        type=None,
        anyOf=[
            {
                "type": "number",
                "minimum": record.LEAST_MS,
                "exclusiveMaximum": record.MOST_MS,
                "description": "Unix milliseconds.",
            },
            {"type": "string", "enum": ["null", "undefined", "0", ""]},
        ],
    ),
]
_LastPulledAt = Annotated[
    _Cursor,
    says("`timestamp` of the last pull, ms; null, undefined, 0, empty or absent at first."),
]
_DeviceId = Annotated[
    Id | UnsetType, says("Names this phone among the user's: keep one per installation.")
]
_SchemaVersion = Annotated[
    str | UnsetType,
    says("The version of the phone's schema, as WatermelonDB sends it. Not used today."),
]


class PullAsked(Struct):
    """What a pull of WatermelonDB asks for; the dialect reads it."""

    last_pulled_at: _LastPulledAt = UNSET
    device_id: _DeviceId = UNSET
    schema_version: _SchemaVersion = UNSET
    migration: Annotated[
        str | UnsetType,
        says(
            "`{from, tables, columns}` as JSON, as `pullChanges` gets it, or null. Tables that are new, or "
            "have new columns, are sent whole."
        ),
    ] = UNSET
    created_as_updated: Annotated[
        str | UnsetType,
        says(
            "1: a first pull fills `updated` too, for apps with `sendCreatedAsUpdated: true`.",
            enum=["1", "true", "0", "false"],
        ),
    ] = UNSET
    strategy: Annotated[
        str | UnsetType,
        says(
            "`replacement`: send everything; the phone drops what is not in it and keeps what it has not "
            "sent.",
            enum=["incremental", "replacement"],
        ),
    ] = UNSET
    receipt: Annotated[
        str | UnsetType,
        says(
            "`receipt.id` of the last push's answer, kept in memory only: rows that are exactly as that "
            "push sent them stay out of the answer."
        ),
    ] = UNSET
    limit: Annotated[
        str | UnsetType,
        says(
            "Most rows of the answer, for a first pull over a bad line.", type="integer", minimum=1
        ),
    ] = UNSET
    page: Annotated[str | UnsetType, says("`next_page` of the answer before.")] = UNSET


class PushAsked(Struct):
    """What a push of WatermelonDB says beside its body."""

    last_pulled_at: _LastPulledAt = UNSET
    device_id: _DeviceId = UNSET
    schema_version: _SchemaVersion = UNSET
    migration: Annotated[str | UnsetType, says("As with a pull. Not used here.")] = UNSET


class DigestAsked(Struct):
    """Of which moment a digest is."""

    last_pulled_at: Annotated[
        _Cursor,
        says(
            "The cursor of the phone's last sync, ms (`new_sync_timestamp` × 1000). Without it there is a "
            "digest whatever the phone has pulled."
        ),
    ] = UNSET
