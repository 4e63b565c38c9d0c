"""Every code that a phone may meet with a file, with what to do about it."""

from __future__ import annotations

from shared.files.file import REFUSALS

#: Every code of a file in the answer to tickets, or of one that was refused: what happened, what to do.
FILE_CODES: dict[str, str] = {
    **REFUSALS,
    "too_many_at_once": "Only so many photos are answered at once. Ask for this one with the next sync.",
    "unknown_table": "Records of this table have no files.",
    "invalid_id": "`record_id` is no record's id.",
    "unknown_record": "The record is not known here. Send it first, or in the same request.",
    "deleted": "The record was deleted.",
    "not_allowed": "The user's role may not add files here.",
    "key_in_use": "The key belongs to another photo of this record. Give the new one a key of its own.",
    "sha256_in_use": "A file of this hash is here with another size or type. Compute the hash again.",
    "too_many_files": "The record has as many files as it may have.",
}
