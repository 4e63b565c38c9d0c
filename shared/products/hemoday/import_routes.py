"""A CSV file into a family, after it was looked at: `POST /api/v1/import/preview`, `POST /api/v1/import`.

The preview says what each row would be, and its token stands for exactly that. The import reads the file
anew, compares, and pushes the records as a phone of the caller would: by the same rules, with the same
questions. A record that is there is left as it is, so the same import again, or one that broke off, adds
what is missing and nothing twice.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Literal

from msgspec import UNSET, Meta, Struct, UnsetType

from shared.access.membership import Caller
from shared.access.rights import Action
from shared.api.bodies import Limits
from shared.api.fields import says
from shared.api.routes import Route
from shared.api.web import Call, Response, answer
from shared.errors import Contended, InvalidRequest, NotFound, StoreUnavailable
from shared.products.hemoday import sheet
from shared.products.hemoday.asked import Scope, family_of
from shared.products.hemoday.household import Household, Households
from shared.products.hemoday.importing import Answers, FileRecord, GivenBack, Plan, checked, planned
from shared.products.hemoday.series import Period, Zone
from shared.products.hemoday.tables import CATALOG
from shared.products.product import Parts
from shared.records.collection import RecordFault, Turn
from shared.sync.exchange import Entry, Push
from shared.sync.push import ONE_COMMIT_ENTRIES, Pusher

#: A file of `sheet.MOST_CHARACTERS` as JSON or base64.
_FILE = Limits(6 * 2**20, 6 * 2**20, 2_000)

#: What was not taken, of one answer.
_MOST_GIVEN_BACK = 1_000


class ImportAsked(Struct):
    """A file, and what a person says about it."""

    scope: Scope = UNSET
    text: Annotated[str | UnsetType, says("The file's text.")] = UNSET
    base64: Annotated[
        str | UnsetType, says("Or its bytes, in base64: then the encoding is seen.")
    ] = UNSET
    encoding: Annotated[
        Literal["utf-8", "utf-16", "cp1251", "cp1252", "cp1256"] | UnsetType,
        says("Of `base64`, if it is not the one that the preview found."),
    ] = UNSET
    delimiter: Annotated[
        Literal["comma", "semicolon", "tab"] | UnsetType, says("If not as found.")
    ] = UNSET
    date_order: Annotated[
        Literal["day_first", "month_first"] | UnsetType, says("What 03/04/2026 is, if it is asked.")
    ] = UNSET
    time_zone: Annotated[Zone | UnsetType, says("Whose days the file has. Absent: UTC.")] = UNSET
    units: Annotated[
        dict[str, Annotated[str, Meta(max_length=60)]] | UnsetType,
        says('Units of columns that name none, by the column\'s number: `{"3": "g/L"}`.'),
    ] = UNSET


class ImportConfirmed(ImportAsked):
    """The same as was previewed, with the preview's token."""

    token: Annotated[str, Meta(max_length=64)] = ""


class ImportColumn(Struct):
    """What a column was taken for."""

    number: int
    header: str
    means: Annotated[str, says("A column of ours, or the name of an indicator.")]
    unit: str


class ImportedRecord(Struct):
    """A record of the file."""

    line: int
    table: str
    id: str
    there: Annotated[bool, says("It is in the family already, and stays as it is.")]
    values: Annotated[dict[str, Any], says("As they will be stored.")]
    questions: Annotated[
        dict[str, Any] | None,
        says("What will be asked about it, as records have it; null: nothing."),
    ]


class NotTaken(Struct):
    """A row or cell that is not taken."""

    line: int
    column: Annotated[int | None, says("From 1; null: the whole row.")]
    header: str
    code: str
    message: str


class ImportPreview(Struct):
    """What an import would do."""

    scope_id: str
    token: Annotated[str | None, says("Send it with the import; null: something is asked first.")]
    ask: Annotated[
        str | None, says("`date_order`: say which, and preview again; null: nothing is asked.")
    ]
    kind: Annotated[str, says("`export`, `wide`, `long` or `transfusions`.")]
    encoding: str
    delimiter: str
    columns: list[ImportColumn]
    records: list[ImportedRecord]
    new: Annotated[int, says("Records that would be added.")]
    refused: Annotated[list[NotTaken], says(f"The first {_MOST_GIVEN_BACK}.")]
    refused_count: int


class Imported(Struct):
    """What an import did."""

    scope_id: str
    added: int
    there: Annotated[int, says("Records that were in the family before.")]
    refused: list[NotTaken]
    refused_count: int


def routes(parts: Parts, households: Households) -> tuple[Route, ...]:
    """The preview and the import."""

    def preview_import(call: Call, asked: ImportAsked) -> Response:
        """Look at a CSV file.

        Nothing is stored. Says what every row would be, what would be asked about it, and what cannot be
        taken, with line and column. For owners and members.
        """
        scope = family_of(parts.store(), call.caller, asked.scope, Action.WRITE)
        found, plan, token = _read(asked, scope)
        records = list(_records(plan, households.of(scope), call.caller, parts.clock_ms()))
        call.notes["records"] = len(records)
        shown = ImportPreview(
            scope,
            None if plan.ask else token,
            plan.ask,
            plan.kind,
            found.encoding,
            found.delimiter,
            [
                ImportColumn(one.number, one.header[:200], one.means, one.unit)
                for one in plan.columns
            ],
            records,
            sum(not each.there for each in records),
            *_not_taken(plan.given_back),
        )
        return answer(shown, call=call)

    def import_file(call: Call, asked: ImportConfirmed) -> Response:
        """Take a CSV file that was previewed.

        Stores exactly what the preview with this token showed; what is there stays. May be repeated. For
        owners and members.
        """
        scope = family_of(parts.store(), call.caller, asked.scope, Action.WRITE)
        _, plan, token = _read(asked, scope)
        if plan.ask:
            raise InvalidRequest("Say what is asked, and preview again.", field=plan.ask)
        if asked.token != token:
            raise InvalidRequest(
                "The file or an answer is another than in the preview. Preview it again.",
                field="token",
            )
        now_ms = parts.clock_ms()
        records = list(_records(plan, households.of(scope), call.caller, now_ms))
        new = [plan.taken[one.table, one.id] for one in records if not one.there]
        added = _push(parts.pusher(), call.caller, scope, plan, new, now_ms)
        call.notes["records"] = added
        there = len(records) - len(new)
        return answer(Imported(scope, added, there, *_not_taken(plan.given_back)), call=call)

    shared: dict[str, Any] = {
        "limits": _FILE,
        "faults": ("invalid_request", NotFound, Contended, StoreUnavailable),
        "names": (ImportColumn, ImportedRecord, NotTaken),
    }
    return (
        Route(
            "POST",
            "/api/v1/import/preview",
            preview_import,
            name="previewImport",
            takes=ImportAsked,
            gives=ImportPreview,
            **shared,
        ),
        Route(
            "POST",
            "/api/v1/import",
            import_file,
            name="importFile",
            takes=ImportConfirmed,
            gives=Imported,
            **shared,
        ),
    )


def _read(asked: ImportAsked, scope: str) -> tuple[sheet.Sheet, Plan, str]:
    """The file as rows, what they mean, and the token of that. Raises `InvalidRequest`."""
    encoding = ""
    if isinstance(asked.base64, str):
        try:
            data = base64.b64decode(asked.base64, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidRequest("This is not base64.", field="base64") from None
        text, encoding = sheet.decoded(data, _said(asked.encoding))
    elif isinstance(asked.text, str):
        text = asked.text
    else:
        raise InvalidRequest("Send the file as text or base64.", field="text")
    found = sheet.sheet(text, encoding, _said(asked.delimiter))
    zone = Period.of(UNSET, UNSET, asked.time_zone).zone
    units = asked.units if isinstance(asked.units, dict) else {}
    plan = planned(found, scope, Answers(zone, _said(asked.date_order), units))
    return found, plan, plan.token(scope)


def _said(value: str | UnsetType) -> str | None:
    return value if isinstance(value, str) else None


def _records(
    plan: Plan, household: Household, caller: Caller, now_ms: int
) -> Iterator[ImportedRecord]:
    """The records that can be stored, and what will be asked; the others go to what is given back."""
    for one in plan.taken.values():
        table = CATALOG.by_name[one.table]
        try:
            values = checked(one)
        except RecordFault as fault:
            plan.given_back.append(
                GivenBack(one.line, None, fault.field or "", fault.code, fault.message)
            )
            continue
        have = household.tables[one.table].get(one.id)
        if (
            have is not None
            and one.own_id
            and any(have.fields.get(name) != value for name, value in values.items())
        ):
            message = "The record is in the family with other values. Change it in the app."
            plan.give_back(one.line, None, "differs", message)
            continue
        turn = Turn(
            one.table, one.id, household.scope_id, caller.user_id, values, None, None, now_ms
        )
        asked = table.effects(turn).fields.get("questions")
        yield ImportedRecord(one.line, one.table, one.id, have is not None, one.values, asked)


def _push(
    pusher: Pusher, caller: Caller, scope: str, plan: Plan, new: Sequence[FileRecord], now_ms: int
) -> int:
    """Store records, parents first, a commit's worth at a time; how many were. What was refused is given
    back."""
    order = {each.name: place for place, each in enumerate(CATALOG.collections)}
    added = 0
    placed = sorted(new, key=lambda one: order[one.table])
    for at in range(0, len(placed), ONE_COMMIT_ENTRIES):
        some = placed[at : at + ONE_COMMIT_ENTRIES]
        entries = [_entry(one, scope, now_ms) for one in some]
        fingerprint = hashlib.sha256(repr([(one.table, one.id, now_ms) for one in some]).encode())
        outcome = pusher.push(caller, Push(entries, [], 0, fingerprint.hexdigest()), now_ms)
        lines = {(one.table, one.id): one.line for one in some}
        left = {
            **{(each.table, each.id): (each.code, each.message) for each in outcome.rejected},
            **{
                (each.table, each.id): (each.reason, "A later change of it is stored.")
                for each in outcome.conflicts
                if each.winner == "server"
            },
        }
        for key, (code, message) in left.items():
            plan.give_back(lines.get(key, 0), None, code, message)
        added += len(some) - len(left)
    return added


def _entry(one: FileRecord, scope: str, now_ms: int) -> Entry:
    table = CATALOG.by_name[one.table]
    return Entry(
        table,
        one.id,
        {"id": one.id, **one.values},
        coerced=table.coerce(one.values),
        raw_ms=one.modified_ms or now_ms,
        scope_id=scope,
        created_ms=one.created_ms,
        fresh=True,
    )


def _not_taken(given_back: Sequence[GivenBack]) -> tuple[list[NotTaken], int]:
    shown = sorted(given_back, key=lambda one: (one.line, one.column or 0))[:_MOST_GIVEN_BACK]
    return [NotTaken(*one) for one in shown], len(given_back)
