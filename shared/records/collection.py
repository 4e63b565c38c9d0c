"""Collections, declared: what a product's records are made of, who owns each field, what refers to what.

A product is a frozen value (`Product`) of collections (`Collection`) of fields (`Field`).
Validation, both wire dialects, OpenAPI and the schema of the phones' database read the same
declaration. Behaviour that differs by product is a plain function listed beside the fields.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from functools import cached_property
from typing import Any, NamedTuple

import orjson

from shared.records import record
from shared.records.bell import Bell
from shared.records.store import Key, Write

#: Longest string of a field unless it says otherwise, characters.
DEFAULT_LENGTH = 10_000

#: Largest JSON column or text, bytes; Firestore's document cap is 1 MiB for everything.
MAX_JSON_BYTES = 500_000

#: Most client-owned bytes of one record.
MAX_RECORD_BYTES = 900_000

#: Most strings in a list, longest each.
MAX_STRINGS = 100
MAX_STRING_OF_LIST = 1_024


class Type(Enum):
    """The type of a field, as stored and as phones see it."""

    # By identity, which is what equality of members is: Enum's own is Python code, asked for each value.
    __hash__ = object.__hash__

    STRING = "string"
    NUMBER = "number"
    INTEGER = "integer"
    BOOLEAN = "boolean"
    TIME = "time"  #: stored in ms; on the wire in the dialect's unit
    JSON = "json"  #: an object or array of the phone; stored as canonical JSON text
    MAP = "map"  #: an object of the server, stored as it is
    STRINGS = "strings"  #: a list of strings


class Owner(Enum):
    """Who may write a field. What others send in it is ignored, never a conflict."""

    CLIENT = "client"
    SERVER = "server"
    SIGNER = "signer"  #: whoever signs it, once, through an operation of the product


class Merge(Enum):
    """How two edits of a column meet that did not know of each other (`shared.sync.conflict`)."""

    LAST = "last"  #: the later one stays
    MOST = "most"  #: the later one in the order of its choices stays
    UNION = "union"  #: both lists stay


@dataclass(frozen=True)
class Field:
    """One declared field.

    `aliases` maps accepted spellings to the stored one, in lower case; case and blanks never count.
    `unreadable` is the choice of a value that cannot be read or is missing: such a record is stored,
    and what was sent is kept beside it. `references` names the parent collection.
    """

    name: str
    type: Type
    doc: str
    owner: Owner = Owner.CLIENT
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()
    aliases: Mapping[str, str] = field(default_factory=dict)
    unreadable: str | None = None
    references: str | None = None
    low: float | None = None
    high: float | None = None
    max_length: int = DEFAULT_LENGTH
    merge: Merge = Merge.LAST
    shape: Mapping[str, Any] | None = None  #: JSON Schema of a map, where it is published

    def choice(self, value: Any) -> str | None:
        """The declared choice that a value means; None if it means none."""
        if isinstance(value, list) and len(value) == 1:
            value = value[0]
        if not isinstance(value, str):
            return None
        return self._words.get(" ".join(value.split()).casefold())

    @cached_property
    def _words(self) -> dict[str, str]:
        return {**self.aliases, **{choice.casefold(): choice for choice in self.choices}}


class Turn(NamedTuple):
    """A record about to be written by a phone, as `Collection.effects` sees it."""

    table: str
    id: str
    scope_id: str
    author_id: str
    values: Mapping[str, Any]  #: client-owned fields after the write
    before: Mapping[str, Any] | None  #: bookkeeping and `context` fields of the stored version
    parent: Mapping[str, Any] | None  #: the same of the parent it refers to
    now_ms: int


class Effects(NamedTuple):
    """What else belongs in the commit that stores a record, and what to ring after it."""

    fields: Mapping[str, Any] = {}  #: server-owned fields of the record itself
    writes: tuple[Write, ...] = ()  #: other documents
    bells: tuple[Bell, ...] = ()  #: rung after the commit, by the caller of the engine


#: What a column's times may be, ms: the years 1970 to 5138.
MAX_TIME_MS = 10**14


class RecordFault(Exception):
    """One record cannot be stored: (field, stable code, what to do). Never the whole request's fault."""

    def __init__(self, field_name: str | None, code: str, message: str) -> None:
        super().__init__(message)
        self.field, self.code, self.message = field_name, code, message


class Coerced(NamedTuple):
    """A phone's record, checked.

    `values` holds the client-owned fields that were sent, at their stored types (None clears).
    `sent` holds every declared field that was sent, as the server would store it, so that it can be
    compared with what is stored afterwards; `altered` tells that a client-owned value was sent in
    another spelling. `unknown` names columns that no declaration knows, `unread` those whose value could
    not be read (`Field.unreadable`).
    """

    values: dict[str, Any]
    sent: dict[str, Any]
    altered: bool
    unknown: tuple[str, ...]
    unread: tuple[str, ...] = ()


class Wire(NamedTuple):
    """How a dialect writes values: JSON columns as text or not, times in units of so many ms."""

    json_as_text: bool = False
    ms_per_unit: int = 1


_NOTHING = Effects()

#: Columns of the protocol itself: neither declared fields nor unknown.
PROTOCOL_COLUMNS = frozenset(
    ("id", "sync_status", "last_modified_at", "created_at", "received_at", "updated_at", "deleted_at",
     "scope_id", "changed", "_status", "_changed")
)  # fmt: skip


@dataclass(frozen=True)
class Collection:
    """One table of a product.

    `pushable` says whether phones may write it at all, `writers` which roles of those that may write do
    (None: all). Phones add rows to an `appended` one, and neither change nor delete any. `effects` is
    called once for every record that a push is about to write, and must be a pure function of the turn;
    `restored` is the same for a deleted record that comes back (`before` is all that is stored of it).
    `redact` hides parts of a row from a role: (fields, role) → fields. `context` names stored fields
    that `effects`, or the effects of children, want to see.
    """

    name: str
    doc: str
    fields: tuple[Field, ...]
    pushable: bool = True
    writers: frozenset[str] | None = None
    appended: bool = False
    context: tuple[str, ...] = ()
    effects: Callable[[Turn], Effects] = lambda _turn: _NOTHING
    restored: Callable[[Turn], Effects] = lambda _turn: _NOTHING
    redact: Callable[[dict[str, Any], str], dict[str, Any]] = lambda row, _role: row
    #: A few words by which people know a record, of its fields; empty: there are none.
    label: Callable[[Mapping[str, Any]], str] = lambda _fields: ""

    def open_to(self, role: str | None) -> bool:
        """Whether a role that may write in a scope may write this table there."""
        return self.writers is None or role in self.writers

    @cached_property
    def by_name(self) -> dict[str, Field]:
        return {item.name: item for item in self.fields}

    @cached_property
    def client_fields(self) -> tuple[str, ...]:
        return tuple(item.name for item in self.fields if item.owner is Owner.CLIENT)

    @cached_property
    def phone_fields(self) -> frozenset[str]:
        """What a phone holds of a record besides its times: every column, and its scope."""
        return frozenset((*self.by_name, record.SCOPE))

    @cached_property
    def server_scalars(self) -> tuple[str, ...]:
        """Small server-owned fields: read with the bookkeeping, to see whether a phone's copy is stale."""
        return tuple(
            item.name
            for item in self.fields
            if item.owner is not Owner.CLIENT and item.type not in (Type.MAP, Type.JSON)
        )

    @cached_property
    def parent(self) -> Field | None:
        """The field that refers to another collection, if there is one."""
        return next((item for item in self.fields if item.references), None)

    @cached_property
    def columns(self) -> tuple[tuple[str, Type], ...]:
        """Name and type of every field, in their order."""
        return tuple((item.name, item.type) for item in self.fields)

    @cached_property
    def defaults(self) -> dict[str, Any]:
        """Client-owned values of a new record for the fields that were not sent."""
        return self._defaults(client=True)

    @cached_property
    def server_defaults(self) -> dict[str, Any]:
        """Server-owned values that every new record starts with."""
        return self._defaults(client=False)

    def _defaults(self, *, client: bool) -> dict[str, Any]:
        return {
            item.name: stored(item, item.default)
            for item in self.fields
            if item.default is not None and (item.owner is Owner.CLIENT) is client
        }

    @cached_property
    def required(self) -> tuple[str, ...]:
        return tuple(item.name for item in self.fields if item.required)

    def coerce(self, raw: Mapping[str, Any], wire: Wire = Wire()) -> Coerced:  # noqa: B008
        """Check a phone's record against the declaration; `wire` is how its dialect writes values.

        Raises `RecordFault` for the first field that cannot be stored.
        """
        values: dict[str, Any] = {}
        sent: dict[str, Any] = {}
        unknown: list[str] = []
        unread: list[str] = []
        altered = False
        declared = self.by_name
        for name, value in raw.items():
            spec = declared.get(name)
            if spec is None:
                if name not in PROTOCOL_COLUMNS:
                    unknown.append(name)
                continue
            if spec.owner is not Owner.CLIENT:
                sent[name] = value
                continue
            if value is None:
                if spec.required:
                    raise RecordFault(name, "missing_field", f"{name} must not be null")
                values[name] = spec.unreadable
                altered = altered or spec.unreadable is not None
                continue
            if spec.choices and value in spec.choices:
                values[name] = value
                continue
            if spec.unreadable is not None and spec.choice(value) is None:
                accepted = spec.unreadable
                unread.append(name)
            else:
                accepted = stored(spec, value, wire)
            if spec.choices and accepted != value:
                altered = True
            values[name] = accepted
        return Coerced(values, sent, altered, tuple(unknown), tuple(unread))

    def check_complete(self, values: Mapping[str, Any]) -> None:
        """Refuse a record that lacks a required field. Raises `RecordFault`."""
        for name in self.required:
            if values.get(name) is None:
                raise RecordFault(name, "missing_field", f"{name} is needed for a new record")


def stored(spec: Field, value: Any, wire: Wire = Wire()) -> Any:  # noqa: B008  it is frozen
    """A value as it is stored. Raises `RecordFault` when it is not of the declared type."""
    return _COERCE[spec.type](spec, value, wire)


def _wrong(spec: Field, expected: str) -> RecordFault:
    return RecordFault(spec.name, "wrong_type", f"{spec.name} must be {expected}")


def _string(spec: Field, value: Any, _: Wire) -> str:
    text = spec.choice(value) if spec.choices else value
    if text is None and isinstance(value, str):
        raise RecordFault(
            spec.name, "invalid_choice", f"{spec.name} must be one of {', '.join(spec.choices)}"
        )
    if not isinstance(text, str):
        raise _wrong(spec, "a string")
    if len(text) > spec.max_length:
        raise RecordFault(
            spec.name, "too_long", f"{spec.name} may have {spec.max_length} characters"
        )
    if spec.references and not record.valid_id(text):
        raise RecordFault(spec.name, "invalid_id", f"{spec.name} must be a record id")
    return text


def _number(spec: Field, value: Any, _: Wire) -> int | float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _wrong(spec, "a number")
    low = -record.MAX_INTEGER if spec.low is None else spec.low
    high = record.MAX_INTEGER if spec.high is None else spec.high
    if isinstance(value, int) or value.is_integer():
        if not low <= value <= high:
            raise RecordFault(
                spec.name, "number_out_of_range", f"{spec.name} must be from {low} to {high}"
            )
        return int(value)
    if not low <= value <= high:
        raise RecordFault(
            spec.name, "number_out_of_range", f"{spec.name} must be from {low} to {high}"
        )
    return value


def _integer(spec: Field, value: Any, wire: Wire) -> int:
    number = _number(spec, value, wire)
    if not isinstance(number, int):
        raise _wrong(spec, "a whole number")
    return number


def _time(spec: Field, value: Any, wire: Wire) -> int:
    """Any moment that a phone can mean: the years 1678 to 9999 and a little before."""
    moment = round(_number(spec, value, wire) * wire.ms_per_unit)
    if not -(10**13) < moment < 10**15:
        raise RecordFault(spec.name, "number_out_of_range", f"{spec.name} is no time")
    return moment


def _boolean(spec: Field, value: Any, _: Wire) -> bool:
    if not isinstance(value, bool):
        raise _wrong(spec, "true or false")
    return value


def _json(spec: Field, value: Any, wire: Wire) -> str:
    if wire.json_as_text and isinstance(value, str):
        value = parsed_column(spec.name, value)
    if not isinstance(value, dict | list):
        raise _wrong(spec, "an object or an array")
    try:
        canonical = record.canonical(value)
    except record.NotCanonical:
        raise RecordFault(
            spec.name, "number_out_of_range", f"{spec.name} holds a number beyond ±(2^53 − 1)"
        ) from None
    if len(canonical.encode()) > MAX_JSON_BYTES:
        raise RecordFault(spec.name, "too_long", f"{spec.name} may have {MAX_JSON_BYTES} bytes")
    return canonical


def parsed_column(name: str, text: str) -> Any:
    """The value of a column that holds JSON as text. Raises `RecordFault`."""
    try:
        data = text.encode()
        value = orjson.loads(data)
    except ValueError:
        raise RecordFault(name, "invalid_json_column", f"{name} must be JSON text") from None
    if record.too_deep(data):
        raise RecordFault(name, "too_deep", f"{name} is nested too deeply")
    if record.long_integer(data):
        raise RecordFault(name, "number_out_of_range", f"{name} holds a number beyond ±(2^53 − 1)")
    return value


def _map(spec: Field, value: Any, _: Wire) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise _wrong(spec, "an object")
    return value


def _strings(spec: Field, value: Any, _: Wire) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
        raise _wrong(spec, "a list of strings")
    if len(value) > MAX_STRINGS or any(len(item) > MAX_STRING_OF_LIST for item in value):
        raise RecordFault(
            spec.name,
            "too_long",
            f"{spec.name} may have {MAX_STRINGS} strings of {MAX_STRING_OF_LIST} characters",
        )
    return value


_COERCE: dict[Type, Callable[[Field, Any, Wire], Any]] = {
    Type.STRING: _string,
    Type.NUMBER: _number,
    Type.INTEGER: _integer,
    Type.BOOLEAN: _boolean,
    Type.TIME: _time,
    Type.JSON: _json,
    Type.MAP: _map,
    Type.STRINGS: _strings,
}


@dataclass(frozen=True)
class Catalog:
    """One product: its tables, parents before children, and what its words are."""

    name: str
    scope_word: str  #: what a scope is called: team, family, circle, project
    collections: tuple[Collection, ...]
    #: Document that makes the children of a deleted record follow: (table, id, scope, now_ms) → write.
    cascade: Callable[[str, str, str, int], Write]
    roles: tuple[str, ...]  #: what people are in a scope
    #: Whether a role in a scope (None: not a member) allows something there: (role, right) → bool.
    may: Callable[[str | None, Enum], bool]
    job_rows: str | None = (
        None  #: the table whose rows tell phones where jobs stand, if there is one
    )
    #: Rows that tell of the stages of the work on a record, in their order: (table, id) → addresses.
    stages: Callable[[str, str], tuple[Key, ...]] = lambda _table, _id: ()
    people: str | None = None  #: the table of the people whose data is given out and erased, if any
    person_word: str = "person"  #: what one of them is called
    maker: str | None = None  #: the server's column that says which user made a record, if any
    #: Collections beside the tables that hold one document a user, under the user's id. Each is given out
    #: with what is stored about the user, and ends with the account.
    of_users: tuple[str, ...] = ()
    #: Whether values carry what a person must see whatever becomes of them: (table, values) → bool.
    urgent: Callable[[str, Mapping[str, Any]], bool] = lambda _table, _raw: False

    @cached_property
    def by_name(self) -> dict[str, Collection]:
        return {item.name: item for item in self.collections}

    def children(self, table: str) -> tuple[tuple[Collection, str], ...]:
        """Collections that refer to `table`, with the field that does."""
        return tuple(
            (item, spec.name)
            for item in self.collections
            for spec in item.fields
            if spec.references == table
        )
