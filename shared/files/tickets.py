"""Tickets: a phone says which photo of which record it has, and hears whether and how to send it.

Only documents are read and written here, never bytes: tickets may be asked for inside a sync, in a
function that does not know the file store. Asking again is safe, answers where an upload stands, and
opens it anew if it had expired or failed.
"""

from __future__ import annotations

import re
import secrets
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from shared.access import membership
from shared.access.membership import Caller, Memberships
from shared.access.rights import Action
from shared.errors import InvalidRequest
from shared.files.file import (
    AWAITING,
    BLOBS,
    FILES,
    NO_BLOB,
    OPEN,
    PASSING,
    READY,
    RECEIVED,
    REFUSED,
    Attachment,
    blob_key,
    file_key,
    media_type,
    shown,
)
from shared.files.settling import settle
from shared.records import record
from shared.records.bell import Bell
from shared.records.collection import Catalog
from shared.records.insist import insist
from shared.records.store import (
    ABSENT,
    Document,
    Key,
    Query,
    RecordStore,
    Write,
    patch,
    put,
    verify,
)

#: Files that one request may ask for.
MOST_ASKED = 50

#: Entries of a list inside a sync that are answered at all, the rest only by being left out.
_MOST_ANSWERED = 10 * MOST_ASKED

#: Longest key and name, characters: those of a string in a list of a record.
_MOST_KEY = 1024
_MOST_NAME = 255

#: Refused files that a record may have beside its others: each says why until its key is used again.
MOST_REFUSED = 50

_SHA256 = re.compile(r"[0-9a-f]{64}")
_ATTEMPTS = 12


class Ask(NamedTuple):
    """One file that a phone has."""

    table: str
    record_id: str
    key: str
    type: str
    bytes: int
    sha256: str
    name: str | None


class IssuedTickets(NamedTuple):
    """The answers, one for each file, and what to ring for: a file that was here may be the last."""

    answers: list[dict[str, Any]]
    bells: Sequence[Bell]


class Announced(NamedTuple):
    """What a phone announces beside something more important: its asks, and a code of what was left out.

    `note` is None (all was read), `files_no_list` or `too_many_at_once`.
    """

    asks: list[Ask | Refused]
    note: str | None = None


class Place(NamedTuple):
    """Where a file belongs, and what it is called on the phone."""

    table: str
    record_id: str
    key: str
    name: str | None = None


class Refused(Exception):
    """One file cannot be taken: (field, stable code, what to do). Never the whole request's fault."""

    def __init__(self, field: str | None, code: str, message: str) -> None:
        super().__init__(message)
        self.field, self.code, self.message = field, code, message
        self.named: Mapping[str, Any] = {}  #: what the phone sent
        self.place: Place | None = None  #: where it would belong, if it said that soundly


class Tickets:
    """Answers asks. `keep_ms`: how long an upload may take. `most_bytes`: how large a file may be, if its
    attachment says nothing.
    """

    def __init__(
        self,
        store: RecordStore,
        attachments: Mapping[str, Attachment],
        catalog: Catalog,
        *,
        most_bytes: int,
        keep_ms: int,
    ) -> None:
        self._store, self._attachments, self._catalog = store, attachments, catalog
        self._most_bytes, self._keep_ms = most_bytes, keep_ms

    def parse(self, files: Any) -> list[Ask | Refused]:
        """What a phone asks, each file by itself.

        Raises `InvalidRequest` if it is no list, or too long a one.
        """
        if not isinstance(files, list):
            raise InvalidRequest("files must be a list.", field="files")
        if len(files) > MOST_ASKED:
            raise InvalidRequest(f"Ask for at most {MOST_ASKED} files at once.", field="files")
        return [self._parsed(value) for value in files]

    def announced(self, files: Any) -> Announced | None:
        """What a phone announces along with a sync, which no such list holds up. None: nothing.

        Good entries get tickets, the others an answer with `error` each. Of a list that is too long the
        first `MOST_ASKED` are read and the others told to come again; what is no list is left out.
        """
        if files is None:
            return None
        if not isinstance(files, list):
            return Announced([], "files_no_list")
        asks = [self._parsed(value) for value in files[:MOST_ASKED]]
        for value in files[MOST_ASKED:_MOST_ANSWERED]:
            later = Refused(
                None, "too_many_at_once", f"Ask for at most {MOST_ASKED} files at once."
            )
            later.named = value if isinstance(value, dict) else {}
            asks.append(later)
        return Announced(asks, "too_many_at_once" if len(files) > MOST_ASKED else None)

    def ask(self, caller: Caller, asks: Sequence[Ask | Refused], now_ms: int) -> IssuedTickets:
        """An answer for each file, in order: what `shown` says, or an `error`.

        Raises `Contended` and `StoreUnavailable`.
        """

        def attempt() -> IssuedTickets:
            turn = _Turn(self, caller, asks, now_ms)
            answers = [
                turn.answer(ask) if isinstance(ask, Ask) else turn.refusal(ask) for ask in asks
            ]
            return IssuedTickets(answers, turn.commit())

        busy = "These records are being changed by others right now. Try again."
        return insist(attempt, _ATTEMPTS, busy=busy)

    def _parsed(self, value: Any) -> Ask | Refused:
        place: Place | None = None
        try:
            place = self._placed(value)
            return self._parse(value, place)
        except Refused as refused:
            refused.named = value if isinstance(value, dict) else {}
            refused.place = place
            return refused

    def _placed(self, value: Any) -> Place:
        if not isinstance(value, dict):
            raise Refused(None, "wrong_type", "A file must be an object.")
        table = value.get("table")
        if not isinstance(table, str) or table not in self._attachments:
            raise Refused("table", "unknown_table", "Records of this table have no files.")
        if not record.valid_id(value.get("record_id")):
            raise Refused("record_id", "invalid_id", "record_id must be a record's id.")
        key, name = value.get("key"), value.get("name")
        if not isinstance(key, str) or not 0 < len(key) <= _MOST_KEY or not _writable(key):
            raise Refused(
                "key", "wrong_type", f"key must be a string of 1 to {_MOST_KEY} characters."
            )
        if name is not None and (
            not isinstance(name, str) or len(name) > _MOST_NAME or not _writable(name)
        ):
            raise Refused(
                "name", "wrong_type", f"name must be a string of up to {_MOST_NAME} characters."
            )
        return Place(table, str(value["record_id"]), key, name)

    def _parse(self, value: Mapping[str, Any], place: Place) -> Ask:
        attachment = self._attachments[place.table]
        said, types = value.get("type"), attachment.types
        type_ = media_type(said) if isinstance(said, str) else ""
        if type_ not in types:
            raise Refused("type", "type_not_allowed", f"type must be one of {', '.join(types)}.")
        size = value.get("bytes")
        if size == 0 and size is not False:
            raise Refused("bytes", "empty_file", "The file has no bytes. Take the photo again.")
        if isinstance(size, bool) or not isinstance(size, int) or size < 1:
            raise Refused("bytes", "wrong_type", "bytes must be a whole number from 1.")
        most = attachment.most_bytes or self._most_bytes
        if size > most:
            raise Refused(
                "bytes",
                "file_too_large",
                f"A file may have {most} bytes. Make it smaller on the phone.",
            )
        sha256 = value.get("sha256")
        if not isinstance(sha256, str) or not _SHA256.fullmatch(sha256):
            raise Refused(
                "sha256", "invalid_sha256", "sha256 must be 64 hexadecimal digits, in lower case."
            )
        return Ask(place.table, place.record_id, place.key, type_, size, sha256, place.name)


def _writable(text: str) -> bool:
    """Whether every store can write it: no lone surrogate, no NUL."""
    return "\0" not in text and not any(0xD800 <= ord(sign) <= 0xDFFF for sign in text)


def _refusal(named: Mapping[str, Any], refused: Refused) -> dict[str, Any]:
    """The answer to a file that cannot be taken: what names it, as far as that is sound."""
    answer = {
        name: named[name][:_MOST_KEY]
        for name in ("table", "record_id", "key")
        if isinstance(named.get(name), str) and _writable(named[name])
    }
    error = {"code": refused.code, "message": refused.message}
    if refused.field is not None:
        error["field"] = refused.field
    return {**answer, "error": error}


class _Turn:
    """One attempt at the asks of a request, on what is stored now."""

    def __init__(
        self, tickets: Tickets, caller: Caller, asked: Sequence[Ask | Refused], now_ms: int
    ) -> None:
        self._store, self._tickets = tickets._store, tickets
        self._catalog = tickets._catalog
        self._caller, self._now_ms = caller, now_ms
        own = membership.key(caller.user_id)
        wanted = {own}
        asks = [ask for ask in asked if isinstance(ask, Ask)]
        refused = [ask.place for ask in asked if isinstance(ask, Refused) and ask.place]
        places = [Place(*ask[:3]) for ask in asks] + refused
        for place in places:
            wanted |= {Key(place.table, place.record_id), file_key(*place[:3])}
        self._have = dict(self._store.read(sorted(wanted)).documents)
        self._members: Memberships = membership.parse(caller.user_id, self._have.get(own))
        blobs = {
            blob_key(str(have.fields[record.SCOPE]), ask.sha256)
            for ask in asks
            if (have := self._have.get(Key(ask.table, ask.record_id))) is not None
        }
        blobs |= {
            Key(BLOBS, str(have.fields["blob"]))
            for key, have in self._have.items()
            if key.collection == FILES
        }
        self._have |= self._store.read(sorted(blobs)).documents if blobs else {}
        self._made: dict[Key, dict[str, Any]] = {}
        self._touched: set[Key] = set()  #: blobs that a file is added to: `Check` must see it
        self._relied: set[Key] = set()  #: records that must not be deleted or moved meanwhile
        self._counts: dict[Key, tuple[int, int]] = {}  #: files that are not refused, and all
        self._settled: dict[Key, dict[str, str]] = {}

    def answer(self, ask: Ask) -> dict[str, Any]:
        """Decide on one ask."""
        try:
            return self._decide(ask)
        except Refused as refused:
            return _refusal(ask._asdict(), refused)

    def refusal(self, refused: Refused) -> dict[str, Any]:
        """The answer to a file that is refused before a byte is sent. Its record hears of it.

        So people see which photo is missing and why, and an urgent job does not wait for it.
        """
        answer = _refusal(refused.named, refused)
        file = None if refused.place is None else self._kept(refused, refused.place)
        return answer if file is None else {"id": file.key.id, **answer}

    def _kept(self, refused: Refused, place: Place) -> Document | None:
        """The file of a refusal; None if another one has its key, or nobody may know."""
        key, subject = file_key(*place[:3]), Key(place.table, place.record_id)
        file = self._now(key)
        try:
            scope_id = self._allowed(subject)
            if file is None:
                self._room_for_another(subject, refused=True)
        except Refused:
            return None
        if file is not None:
            return file if file.fields["state"] == REFUSED else None
        said = refused.named
        type_, size, sha256 = said.get("type"), said.get("bytes"), said.get("sha256")
        self._made[key] = {
            record.SCOPE: scope_id,
            **place._asdict(),
            "type": type_[:_MOST_NAME] if isinstance(type_, str) and _writable(type_) else None,
            "bytes": size if type(size) is int and 0 <= size <= record.MAX_INTEGER else None,
            "sha256": sha256 if isinstance(sha256, str) and _SHA256.fullmatch(sha256) else None,
            "blob": NO_BLOB,
            "state": REFUSED,
            "code": refused.code,
            record.AUTHOR: self._caller.user_id,
            "device": self._caller.device,
            "at": self._now_ms,
        }
        self._relied.add(subject)
        self._settled.setdefault(subject, {})[place.key] = ""
        return self._now(key)

    def commit(self) -> Sequence[Bell]:
        """Store what was decided; what to ring. Raises `Contended`."""
        writes: list[Write] = [
            put(key, fields, self._version(key)) for key, fields in self._made.items()
        ]
        bells: list[Bell] = []
        for key, files in self._settled.items():
            attachment = self._tickets._attachments[key.collection]
            news = settle(self._store, attachment, self._have[key], files, self._now_ms)
            writes += news.writes
            bells += news.bells
        written = {write.key for write in writes}
        mark = {"asked": secrets.token_hex(4)}
        writes += [patch(key, mark, self._version(key)) for key in self._touched - written]
        if writes:
            relied = [verify(key, self._version(key)) for key in self._relied - written]
            self._store.commit([*writes, *relied])
        return bells

    def _version(self, key: Key) -> int:
        have = self._have.get(key)
        return ABSENT if have is None else have.version

    def _now(self, key: Key) -> Document | None:
        """A document as this turn leaves it."""
        made = self._made.get(key)
        return self._have.get(key) if made is None else Document(key, made, self._version(key))

    def _decide(self, ask: Ask) -> dict[str, Any]:
        subject = Key(ask.table, ask.record_id)
        scope_id = self._allowed(subject)
        key = file_key(ask.table, ask.record_id, ask.key)
        file = self._now(key)
        if file is None or file.fields["state"] == REFUSED:
            refused = self._known_refused(ask, scope_id)
            self._room_for_another(subject, refused=refused, fresh=file is None)
        elif file.fields.get("sha256") != ask.sha256 and file.fields["state"] == READY:
            raise Refused("key", "key_in_use", "Give another photo a key of its own.")
        blob = self._blob(ask, scope_id)
        state, code = AWAITING, None
        if blob.fields["state"] in (READY, REFUSED):
            state, code = blob.fields["state"], blob.fields.get("code")
        fields: dict[str, Any] = {
            record.SCOPE: scope_id,
            "table": ask.table,
            "record_id": ask.record_id,
            "key": ask.key if file is None else file.fields["key"],  # the first one's spelling
            "name": ask.name,
            "type": ask.type,
            "bytes": ask.bytes,
            "sha256": ask.sha256,
            "blob": blob.key.id,
            "state": state,
            "code": code,
            record.AUTHOR: self._caller.user_id,
            "device": self._caller.device,
            "at": self._now_ms if file is None else file.fields["at"],
        }
        # A replay changes nothing.
        same = ("blob", "state", "code", record.SCOPE, "type", "bytes")
        if file is None or any(file.fields.get(name) != fields[name] for name in same):
            self._made[key] = fields
            self._relied.add(subject)
            self._touched.add(blob.key)
            if state == AWAITING:
                self._settled.get(subject, {}).pop(fields["key"], None)  # refused a moment ago
            else:
                news = fields["key"], (key.id if state == READY else "")
                self._settled.setdefault(subject, {}).update([news])
        now = self._now(key)
        assert now is not None  # noqa: S101  it was there, or was just made
        return {**shown(now, blob), "key": ask.key}  # the phone finds its photo by its own spelling

    def _allowed(self, subject: Key) -> str:
        """The scope of a record to which the caller may add files. Raises `Refused`."""
        have = self._have.get(subject)
        role = None if have is None else self._members.roles.get(have.fields[record.SCOPE])
        if have is None or not self._catalog.may(role, Action.READ):
            raise Refused("record_id", "unknown_record", "Send the record first, then its files.")
        table = self._catalog.by_name[subject.collection]
        if not self._catalog.may(role, Action.WRITE) or not table.open_to(role):
            raise Refused(None, "not_allowed", "Your role may not add files here.")
        if have.fields.get(record.DELETED) is not None:
            raise Refused("record_id", "deleted", "The record was deleted.")
        return str(have.fields[record.SCOPE])

    def _known_refused(self, ask: Ask, scope_id: str) -> bool:
        """Whether these bytes were refused for what they are: asking opens them no more."""
        blob = self._now(blob_key(scope_id, ask.sha256))
        return blob is not None and self._lasting(ask, blob)

    @staticmethod
    def _lasting(ask: Ask, blob: Document) -> bool:
        have = blob.fields
        same = (have["bytes"], have["type"]) == (ask.bytes, ask.type)
        return bool(same and have["state"] == REFUSED and have.get("code") not in PASSING)

    def _blob(self, ask: Ask, scope_id: str) -> Document:
        """The blob of an ask, opened if nothing, or nothing usable, is known of it."""
        key = blob_key(scope_id, ask.sha256)
        blob = self._now(key)
        if blob is not None:
            have = blob.fields
            told = have["state"] in (RECEIVED, READY)
            if told and (have["bytes"], have["type"]) != (ask.bytes, ask.type):
                name = "bytes" if have["bytes"] != ask.bytes else "type"
                raise Refused(name, "sha256_in_use", f"A file of this hash has another {name}.")
            same = (have["bytes"], have["type"]) == (ask.bytes, ask.type)
            running = have["state"] == OPEN and have["look_at"] > self._now_ms
            if told or (same and running) or self._lasting(ask, blob):
                return blob
        self._made[key] = {
            record.SCOPE: scope_id,
            "sha256": ask.sha256,
            "bytes": ask.bytes,
            "type": ask.type,
            "state": OPEN,
            "upload": secrets.token_hex(8),
            "pieces": [],
            "received": 0,
            "at": self._now_ms,
            "look_at": self._now_ms + self._tickets._keep_ms,
        }
        made = self._now(key)
        assert made is not None  # noqa: S101
        return made

    def _room_for_another(self, subject: Key, *, refused: bool, fresh: bool = True) -> None:
        """Take a place for a file of a record. A refused one takes none of those that may be ready.

        Raises `Refused`.
        """
        most = self._tickets._attachments[subject.collection].most
        if subject not in self._counts:
            query = Query(
                FILES,
                where=(("record_id", "==", subject.id),),
                fields=("table", "state"),
                limit=most + MOST_REFUSED + 1,
            )
            found = [each.fields for each in self._store.query(query)]
            mine = [each["state"] for each in found if each.get("table") == subject.collection]
            self._counts[subject] = sum(state != REFUSED for state in mine), len(mine)
        taken, whole = self._counts[subject]
        if (not refused and taken >= most) or (fresh and whole >= most + MOST_REFUSED):
            raise Refused("record_id", "too_many_files", f"A record may have {most} files.")
        self._counts[subject] = taken + (not refused), whole + fresh
