"""What is said to the device on the table, in pieces: `POST /devices/{id}/voice`, and the answer by poll.

A device makes an id for each utterance and sends its recording in numbered pieces, in any order, each as
often as it likes; the piece that is marked as the last says how many there are. Text that was typed comes
the same way, as `text/plain`. When all are there, the job `voice` (`hearing.py`) is due and rung for.

    voice_utterances/{id}    open → received → answered | not_understood | refused; or → expired
    incoming/{id}/voice/…    pieces in the file store; gone so many hours after they were understood

The document comes before its first piece and goes after its last: no piece is ever without one. What is
left all the same goes with what files leave (`shared/files/cleaning.py`), after two days.
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Annotated, Any

from msgspec import Meta, Struct

from shared.access import audit
from shared.ai.speech import AUDIO_TYPES, audio_type, is_of_type, seconds
from shared.api.bodies import Limits
from shared.api.fields import Id, TextOrNull, names, says
from shared.api.routes import Route
from shared.api.web import Call, Response, answer
from shared.errors import Contended, FilesUnavailable, InvalidRequest, NotFound, StoreUnavailable
from shared.files.file import INCOMING
from shared.files.store import FileStore
from shared.jobs import job as jobs
from shared.products.medmind.device import NO_DEVICE, circle_of
from shared.products.medmind.rights import CAREGIVER, DOCTOR
from shared.products.medmind.voice_tables import INTERACTIONS, VOICE
from shared.products.product import Parts
from shared.records import record
from shared.records.bell import Bell
from shared.records.insist import insist
from shared.records.store import (
    ABSENT,
    Document,
    Key,
    Query,
    RecordStore,
    StoredCollection,
    delete,
    patch,
    put,
)

log = logging.getLogger(__name__)

UTTERANCES = "voice_utterances"

#: When the text of an interaction is forgotten, server ms. Never sent to phones.
FORGET_TEXT = "_forget_at"

STORED = (
    StoredCollection(UTTERANCES, (("forget_at",), ("expires_at",))),
    StoredCollection(INTERACTIONS, ((FORGET_TEXT,),)),
)

OPEN, RECEIVED, REFUSED, EXPIRED = "open", "received", "refused", "expired"

TEXT = "text/plain"

#: Bytes of a piece, pieces of an utterance, and bytes of all of them: a minute of 48,000 samples a second
#: has 5.8 MB, and Speech-to-Text takes 10 MB.
PIECE_BYTES, MOST_PIECES, MOST_BYTES = 2**20, 32, 10 * 2**20

#: Bytes of types whose length is not read: a minute at the highest rates of speech.
MOST_PACKED_BYTES = 4 * 2**20

#: Longest utterance, seconds: what Speech-to-Text takes in one call. Longest typed text, characters.
MOST_SECONDS, MOST_TYPED = 60, 2000

#: How long an utterance may stay incomplete, and how long its id is remembered, ms.
_OPEN_MS, _KEPT_MS = 86_400_000, 90 * 86_400_000

_A_ROUND = 100
_ATTEMPTS = 8
_PIECE = Limits(PIECE_BYTES, PIECE_BYTES, 2**31)


class PieceAsked(Struct):
    """Which device, which utterance, which piece of it."""

    id: Annotated[Id, names(NO_DEVICE), says("The device: its user id.")]
    utterance: Annotated[Id, says("Made by the device, once an utterance.")]
    part: Annotated[
        Annotated[int, Meta(ge=0, le=MOST_PIECES - 1)], says("The piece's number, from 0.")
    ]
    last: Annotated[bool, says("Whether no piece has a higher number.")] = False
    type: Annotated[
        Annotated[str, Meta(max_length=100)],
        says(f"What it is: {', '.join(AUDIO_TYPES)}, or {TEXT} for what was typed."),
    ] = "audio/wav"
    language: Annotated[
        Annotated[str, Meta(max_length=20)],
        says("In which it is said, as `en`; empty: the patient's."),
    ] = ""
    answers: Annotated[
        Annotated[str, Meta(max_length=128)],
        says("The utterance whose answer asked something that this one answers; empty: none."),
    ] = ""


class UtteranceAsked(Struct):
    """Which device, which utterance."""

    id: Annotated[Id, names(NO_DEVICE), says("The device: its user id.")]
    utterance: Annotated[Id, names("There is no such utterance."), says("Its id.")]


class Confirmation(Struct):
    """What the device asks: press the button, and send this as an event of the dose."""

    dose_id: str
    kind: Annotated[str, says("`taken` or `skipped`, as an event has it.")]
    confirmed: Annotated[bool, says("A yes was heard: send the event without asking again.")]


class Utterance(Struct):
    """What became of an utterance."""

    utterance: str
    state: Annotated[
        str,
        says(
            "`open`: pieces are missing. `received`: ask again in a second. `answered`, `not_understood`: "
            "say what `say` says. `refused`: see `code`. `expired`: it was never complete."
        ),
    ]
    missing: Annotated[list[int], says("Pieces that are known to be missing.")]
    say: Annotated[TextOrNull, says("What the device says, in `language`.")] = None
    language: TextOrNull = None
    asks: Annotated[Confirmation | None, says("What it asks; null: nothing.")] = None
    code: TextOrNull = None
    message: TextOrNull = None


#: The code of a piece, or of a number of the last one, that came before otherwise.
DIFFERS = "piece_differs"

#: Why an utterance is refused, and what to do.
REFUSALS = {
    DIFFERS: "The piece came before with other bytes, or another piece is the last one. It was not kept. "
    "Make a new utterance.",
    "wrong_type": "The bytes are of another type than was said. Send `type` as the recording is.",
    "too_long": f"At most {MOST_SECONDS} seconds are heard. Ask for a shorter sentence.",
    "too_large": "The recording is too large. Record at 16,000 samples a second, one channel.",
    "not_text": f"The text is no UTF-8, empty, or over {MOST_TYPED} characters.",
}


class Voices:
    """Takes utterances, and says what became of them."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def receive(self, call: Call, asked: PieceAsked) -> Response:
        """Send a piece of what was said.

        In any order, each as often as you like. When all are there it is understood within seconds: ask
        for the answer with the utterance's id. For the device itself.
        """
        store, now_ms = self._parts.store(), self._parts.clock_ms()
        scope = circle_of(store, call.caller, asked.id, ())
        data = call.body()
        if not data:
            raise InvalidRequest(
                "The piece has no bytes. Send those that were recorded.", field="part"
            )
        said_type = audio_type(asked.type)
        if said_type not in (*AUDIO_TYPES, TEXT):
            raise InvalidRequest(
                f"type must be one of {', '.join(AUDIO_TYPES)}, {TEXT}.", field="type"
            )
        key = utterance_key(asked.id, asked.utterance)
        about = {"type": said_type, "language": asked.language, "answers": asked.answers}
        document = insist(lambda: self._opened(key, asked, scope, about, now_ms), _ATTEMPTS)
        if document.fields["state"] == OPEN:
            name = f"{_folder(key)}{asked.part:02d}-{hashlib.sha256(data).hexdigest()[:32]}"
            self._parts.files().put(name, [data], "application/octet-stream")
            document = insist(lambda: self._added(key, asked, name, data, now_ms), _ATTEMPTS)
        elif document.fields["state"] == RECEIVED:  # who sends again may ring again
            self._ring(key)
        return self._answer(call, document)

    def show(self, call: Call, asked: UtteranceAsked) -> Response:
        """What became of an utterance, and what the device says.

        Ask each second until it is neither `open` nor `received`. For the device itself, and for
        caregivers and doctors of its circle.
        """
        store = self._parts.store()
        scope = circle_of(store, call.caller, asked.id, (CAREGIVER, DOCTOR))
        key = utterance_key(asked.id, asked.utterance)
        document = store.read([key]).documents.get(key)
        if document is None or document.fields[record.SCOPE] != scope:
            raise NotFound("There is no such utterance.", field="utterance")
        seen = {scope: {INTERACTIONS: [key.id]}}
        audit.reading(store, call.caller, "read_answer", seen, self._parts.clock_ms())
        return self._answer(call, document)

    def _opened(
        self, key: Key, asked: PieceAsked, scope: str, about: Mapping[str, Any], now_ms: int
    ) -> Document:
        store = self._parts.store()
        found = store.read([key]).documents.get(key)
        if found is not None:
            if found.fields[record.SCOPE] != scope:
                raise NotFound("There is no such utterance.", field="utterance")
            return found
        fields = {
            record.SCOPE: scope,
            "device_id": asked.id,
            "utterance": asked.utterance,
            **about,
            "state": OPEN,
            "parts": {},
            "at": now_ms,
            "forget_at": now_ms + _OPEN_MS,
            "expires_at": now_ms + _KEPT_MS,
        }
        version = store.commit([put(key, fields, ABSENT)])
        return Document(key, fields, version)

    def _added(self, key: Key, asked: PieceAsked, name: str, data: bytes, now_ms: int) -> Document:
        """The document with the piece counted."""
        store = self._parts.store()
        document = store.read([key]).documents[key]
        have = document.fields
        parts, last = dict(have["parts"]), have.get("last")
        entry = f"{len(data)}:{name}"
        if have["state"] != OPEN:
            if entry not in parts.values():  # it came too late to be part of it
                self._parts.files().delete([name])
            return document
        wrong_last = asked.last and last not in (None, asked.part)
        last = asked.part if asked.last and not wrong_last else last
        known = {*map(int, parts), asked.part}
        if (
            wrong_last
            or parts.get(str(asked.part), entry) != entry
            or (last is not None and max(known) > last)
        ):
            if entry not in parts.values():
                self._parts.files().delete([name])
            return Document(key, {**have, "code": DIFFERS}, document.version)
        parts[str(asked.part)] = entry
        fields: dict[str, Any] = {"parts": parts, "last": last}
        writes = []
        code = _refusal(str(have["type"]), asked, data, parts)
        if code:
            fields |= {"state": REFUSED, "code": code, "forget_at": now_ms}
        elif last is not None and len(parts) == last + 1:
            fields |= {"state": RECEIVED, "received_at": now_ms, "forget_at": None}
            writes = [voice_job(key, str(have[record.SCOPE]), now_ms)]
        version = store.commit([patch(key, fields, document.version), *writes])
        if writes:
            self._ring(key)
        return Document(key, {**have, **fields}, version)

    def _ring(self, key: Key) -> None:
        self._parts.ring([Bell(VOICE, f"{VOICE}~{key.id}", key.id)])

    def _answer(self, call: Call, document: Document) -> Response:
        have = document.fields
        row_key = Key(INTERACTIONS, document.key.id)
        row = self._parts.store().read([row_key]).documents.get(row_key)
        said: Mapping[str, Any] = {}
        if row is not None and row.fields.get(record.DELETED) is None:
            said = row.fields
        state, parts, last = str(have["state"]), have["parts"], have.get("last")
        known = max(map(int, parts), default=-1) if last is None else int(last)
        missing = [number for number in range(known + 1) if str(number) not in parts]
        asks = None
        if said.get("dose_id") and said.get("confirms"):
            asks = Confirmation(
                str(said["dose_id"]), str(said["confirms"]), bool(said.get("confirmed"))
            )
        code = have.get("code")
        call.notes |= {"state": state, "pieces": len(parts)}
        return answer(
            Utterance(
                str(have["utterance"]),
                state,
                missing if state == OPEN else [],
                said.get("said"),
                said.get("language"),
                asks,
                code,
                REFUSALS.get(str(code)) if code else None,
            ),
            call=call,
        )


def utterance_key(device: str, utterance: str) -> Key:
    """The address of an utterance; its id is that of its row in `interaction_logs`, too."""
    return Key(UTTERANCES, hashlib.sha256(f"{device}\n{utterance}".encode()).hexdigest()[:32])


def voice_job(key: Key, scope: str, now_ms: int) -> Any:
    """The write that makes the job of an utterance due."""
    return jobs.create(f"{VOICE}~{key.id}", VOICE, UTTERANCES, key.id, scope, now_ms, priority=0)


def recording(document: Document, files: FileStore) -> bytes:
    """What was sent, whole. Raises `FileMissing`, `FilesUnavailable`."""
    entries = sorted(document.fields["parts"].items(), key=lambda each: int(each[0]))
    return b"".join(piece for _, entry in entries for piece in files.read(entry.partition(":")[2]))


def forget(files: Callable[[], FileStore], key: Key) -> None:
    """Remove the pieces of an utterance. Raises `FilesUnavailable`."""
    store = files()
    while found := store.list(_folder(key)):
        store.delete([each.name for each in found])


def forgotten(store: RecordStore, files: Callable[[], FileStore], now_ms: int) -> int:
    """Remove recordings whose time is over, texts, and utterances that are long past; how many."""
    done = 0
    for each in _due(store, UTTERANCES, "forget_at", now_ms):
        try:
            done += _forget_recording(store, files, each)
        except Contended:
            continue  # a piece came at this moment
        except FilesUnavailable as fault:
            log.warning("recordings are removed later", extra={"code": fault.code})
            break
    for each in _due(store, INTERACTIONS, FORGET_TEXT, now_ms):
        fields = {"heard": None, FORGET_TEXT: None, record.MODIFIED: now_ms}
        with suppress(Contended):
            store.commit([record.server_patch(each, fields)])
            done += 1
    for each in _due(store, UTTERANCES, "expires_at", now_ms):
        store.commit([delete(each.key)])
        done += 1
    return done


def _due(store: RecordStore, table: str, field: str, now_ms: int) -> list[Document]:
    found = Query(table, where=((field, "<=", now_ms),), order=((field, "asc"),), limit=_A_ROUND)
    return list(store.query(found))


def _forget_recording(store: RecordStore, files: Callable[[], FileStore], each: Document) -> int:
    version = each.version
    if each.fields["state"] == OPEN:  # first nobody adds to it any more
        version = store.commit([patch(each.key, {"state": EXPIRED}, version)])
    forget(files, each.key)
    store.commit([patch(each.key, {"forget_at": None}, version)])
    return 1


def _folder(key: Key) -> str:
    return f"{INCOMING}/{key.id}/voice/"


def _refusal(type: str, asked: PieceAsked, data: bytes, parts: Mapping[str, str]) -> str:
    """Why what is there so far cannot be taken; empty: it can."""
    size = sum(int(entry.partition(":")[0]) for entry in parts.values())
    if type == TEXT:
        return "not_text" if size > 4 * MOST_TYPED else ""
    if asked.part == 0 and not is_of_type(data, type):
        return "wrong_type"
    if size > (MOST_BYTES if type == "audio/wav" else MOST_PACKED_BYTES):
        return "too_large"
    return ""


def too_long(data: bytes, type: str) -> bool:
    """Whether a recording is longer than is heard."""
    length = seconds(data, type)
    return length is not None and length > MOST_SECONDS


def routes(parts: Parts) -> tuple[Route, ...]:
    """What devices that listen call."""
    voices = Voices(parts)
    return (
        Route(
            "POST",
            "/devices/{id}/voice",
            voices.receive,
            _PIECE,
            name="sendVoice",
            asks=PieceAsked,
            takes=bytes,
            gives=Utterance,
            names=(Confirmation,),
            faults=(
                *("invalid_request", NotFound),
                *(Contended, StoreUnavailable, FilesUnavailable),
            ),
        ),
        Route(
            "GET",
            "/devices/{id}/voice/{utterance}",
            voices.show,
            name="getAnswer",
            asks=UtteranceAsked,
            gives=Utterance,
            faults=("invalid_request", NotFound, StoreUnavailable),
        ),
    )
