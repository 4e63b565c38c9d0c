"""Every code that a phone may meet with a record, with what to do about it."""

from __future__ import annotations

from shared.records import record
from shared.records.collection import MAX_RECORD_BYTES

#: Every code of a record in `rejected`: what happened, what to do.
RECORD_CODES: dict[str, str] = {
    "missing_field": "A required field is absent or null; `field` names it.",
    "wrong_type": "A value is not of the declared type, or the record is not an object.",
    "invalid_choice": "A value is not among the declared ones.",
    "invalid_id": "An id is not 1 to 128 of `A-Z a-z 0-9 _ -`, or has the form `__…__`.",
    "too_long": "A text, list or JSON column is longer than declared.",
    "number_out_of_range": "A number is out of its range, beyond ±(2^53 − 1) in a JSON column, or none "
    "that JSON knows (NaN, 1e400).",
    "invalid_text": "A text holds half a character (an emoji that was cut) or a wrong byte.",
    "invalid_json_record": "The record is not valid JSON.",
    "unknown_column": "This server refuses columns that it does not know (`STRICT_COLUMNS`): the app is "
    "newer than the server.",
    "time_in_milliseconds": "`last_modified_at` is in milliseconds; seconds are counted here.",
    "time_in_seconds": "`last_modified_at` is in seconds; milliseconds are counted here.",
    "invalid_json_column": "A column that holds JSON is not JSON text.",
    "too_deep": f"A column nests deeper than {record.MAX_DEPTH} levels.",
    "record_too_large": f"The record has more than {MAX_RECORD_BYTES} bytes.",
    "unknown_table": "This server does not know the table: the app is newer than the server.",
    "read_only_table": "Only the server writes this table. Do not send it.",
    "scope_required": "The user is in several scopes, or in none: say `scope_id`.",
    "unknown_scope": "The user is not in the scope that `scope_id` names.",
    "unknown_parent": "The record it refers to is not known here. Send it in the same request.",
    "parent_deleted": "The record it refers to was deleted.",
    "deleted": "The record was deleted by somebody else, so the edit was not stored. Its values are "
    "kept in the conflict log; drop the record on the phone.",
    "id_unavailable": "The id cannot be used. Give the record, and what refers to it, a new one.",
    "moved": "The record belongs to another scope by now, or the user left its scope. What was sent is "
    "kept for the people who care for it now. Drop the record on the phone.",
    "not_allowed": "The user's role may not change records in this scope, or not in this table; or rows of "
    "the table are added, and never changed.",
}

#: Record codes that only one of the dialects has.
BATCH_ONLY = frozenset({"time_in_milliseconds"})
WATERMELON_ONLY = frozenset({"time_in_seconds", "invalid_json_column"})
