"""What doctors see: the cases that wait, the most urgent first, and everything about one of them.

The list is ordered by `_rank` (emergency, red, what somebody must look at, yellow, green: at worst) and
by how long the patient waits, by the phone's time. It is read by one query for 30 scopes; pages go on
behind a position, so a case that moves up meanwhile may come twice or not, never another one in its place.

`since` asks first whether anything of the caller's scopes changed, by commit time: exact, and the
price of an idle poll is one read and a few empty listings. A claim that ends by itself is no change.
"""

from __future__ import annotations

import base64
import heapq
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice
from typing import Any, NamedTuple

import orjson

from shared.access import membership
from shared.access.membership import Caller, Memberships
from shared.access.rights import Action
from shared.errors import Contended, Forbidden, InvalidCursor
from shared.jobs import job as jobs
from shared.products.dermadetect import review
from shared.products.dermadetect.photos import photos_of
from shared.products.dermadetect.review import CASES, COLLECTION, DIAGNOSES, VERDICT, VERDICT_TEXT
from shared.products.dermadetect.rights import ReviewAction, may
from shared.products.dermadetect.screen import MOST, PAGE, CasesAsked
from shared.products.dermadetect.signal import CHANGED, LOOK, RANK, RANKS
from shared.products.dermadetect.tables import (
    JOB,
    PENDING,
    PHOTOS,
    QUEUE,
    known_photos,
)
from shared.records import record
from shared.records.collection import Catalog, Type
from shared.records.store import STAMP, Document, Key, Query, RecordStore, StoredCollection, patch
from shared.support import inbox, ledger
from shared.sync.pull import EPOCH, SCOPES_A_QUERY

STORED = (
    StoredCollection(
        CASES,
        (
            (record.SCOPE, "status", RANK, record.CREATED),
            (record.SCOPE, record.WAITS, RANK, record.CREATED),
        ),
    ),
    StoredCollection(
        COLLECTION,
        (
            (record.SCOPE, STAMP),
            (record.SCOPE, "unread", "signed_at"),
            ("unread", "signed_at"),
        ),
    ),
)

#: Log entries of one record that are shown.
_MOST_LOGGED = 100

#: How long operators are told of an unread diagnosis after it was signed, ms.
_WATCHED_MS = 60 * 86_400_000

#: Tables whose changes a work list shows.
_WATCHED = (CASES, COLLECTION, QUEUE, inbox.COLLECTION)

#: Urgent entries of the inbox at the head of the list; the inbox itself has all.
_MOST_UNFILED = 20

_LISTED = (
    record.SCOPE,
    record.CREATED,
    record.MODIFIED,
    record.DELETED,
    record.DELETED_BY,
    record.WAITS,
    CHANGED,
    "patient_id",
    "chw_id",
    "status",
    "risk_level",
    "ai_analysis",
    "image_keys",
    PHOTOS,
    RANK,
    JOB,
)
_BESIDE = (
    "state",
    "attempts",
    "claimed_by",
    "claimed_until",
    "signed_by",
    "signed_at",
    "diagnosis_id",
)

#: Where a page ended: the place of its last entry in the list.
Place = tuple[int | str, ...]


class WorklistQuery(NamedTuple):
    """What a screen asks for."""

    scope_id: str | None = None
    status: str = PENDING
    risk: str | None = None
    unread: bool = False
    limit: int = PAGE
    behind: Place | None = None
    since_ms: int | None = None


def parse(asked: CasesAsked) -> WorklistQuery:
    """What a query string asks for. Raises `InvalidCursor` for a page or a time that is none of ours."""
    unread = asked.unread == "1"
    return WorklistQuery(
        asked.scope or None,
        asked.status,
        asked.risk or None,
        unread,
        min(asked.limit, MOST),
        _open(asked.page, unread) if isinstance(asked.page, str) else None,
        _since(asked.since) if isinstance(asked.since, str) else None,
    )


def _since(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 16):
        raise InvalidCursor("since must be the timestamp of an earlier answer.", field="since")
    if 0 < int(text) < record.LEAST_MS:
        raise InvalidCursor(
            "since is in seconds; this endpoint counts milliseconds.",
            code="time_in_seconds",
            field="since",
        )
    return int(text)


def _seal(unread: bool, place: Place) -> str:
    text = orjson.dumps(["unread" if unread else "cases", *place])
    return base64.urlsafe_b64encode(text).decode().rstrip("=")


def _open(token: str, unread: bool) -> Place:
    """The place that a page token names. It may be forged: it only says where a list goes on."""
    try:
        data = base64.b64decode(token.encode() + b"=" * (-len(token) % 4), b"-_", validate=True)
        kind, *place = orjson.loads(data)
    except (ValueError, TypeError):
        kind, place = None, []
    *numbers, last = place or [None]
    known = kind == ("unread" if unread else "cases") and len(numbers) == (1 if unread else 2)
    whole = all(type(n) is int and 0 <= n <= record.MAX_INTEGER for n in numbers)
    if not (known and whole and record.valid_id(last)):
        raise InvalidCursor("page is none of this list. Start it again.", field="page")
    return tuple(place)


class WorkList:
    """Reads for doctors' screens. Safe to share between threads.

    `unread_ms`: a diagnosis that no phone was given after this time is listed as unread.
    """

    def __init__(self, store: RecordStore, catalog: Catalog, *, unread_ms: int) -> None:
        self._store, self.catalog, self._unread_ms = store, catalog, unread_ms

    # --- the list

    def cases(self, caller: Caller, asked: WorklistQuery, now_ms: int) -> dict[str, Any]:
        """A page of the work list, or of unread diagnoses.

        Raises `NotFound` (a scope that the caller is not in), `Forbidden`, `StoreUnavailable`.
        """
        own = membership.key(caller.user_id)
        reading = self._store.read([own, EPOCH])
        members = membership.parse(caller.user_id, reading.documents.get(own))
        scopes = _scopes(members, asked.scope_id)
        answer: dict[str, Any] = {"changed": True, "timestamp": max(reading.read_at // 1000, 1)}
        began_ms = _began(reading.documents.get(EPOCH))
        fresh = asked.since_ms is not None and began_ms <= asked.since_ms
        if fresh and not asked.unread and asked.behind is None:
            after = (asked.since_ms or 0) * 1000
            if not self._changed(members, scopes, after, reading.read_at):
                return {**answer, "changed": False, "cases": [], "next_page": None}
        found = (
            self._unread(scopes, asked, now_ms) if asked.unread else self._waiting(scopes, asked)
        )
        listed = list(islice(found, asked.limit + 1))
        more, listed = len(listed) > asked.limit, listed[: asked.limit]
        page = _seal(asked.unread, listed[-1][0]) if more else None
        entries = self._entries([document for _, document in listed], now_ms)
        answer |= {"cases": entries, "next_page": page}
        if asked.behind is None and not asked.unread:
            # What carries a signal and is no case: before everything else.
            found_urgent = inbox.entries(self._store, scopes, urgent=True)
            head = islice(found_urgent, _MOST_UNFILED)
            answer["cannot_be_filed"] = [inbox.shown_entry(entry) for entry in head]
        return answer

    def _changed(
        self, members: Memberships, scopes: Sequence[str], after: int, read_at: int
    ) -> bool:
        """Whether anything that the list shows changed after a version (µs)."""
        if after > read_at or members.version > after:
            return True
        return any(
            next(self._store.changes(name, group, after, read_at, fields=(record.SCOPE,)), None)
            for group in _groups(scopes)
            for name in _WATCHED
        )

    def _waiting(
        self, scopes: Sequence[str], asked: WorklistQuery
    ) -> Iterator[tuple[Place, Document]]:
        """Live cases in the order of the list, with their places."""
        where: tuple[tuple[str, str, Any], ...] = (("status", "==", asked.status),)
        if asked.status == PENDING:
            # Not the status: what changed since it was signed, or was deleted while it waited, waits too.
            where = ((record.WAITS, "==", True),)
        order: tuple[tuple[str, str], ...] = ((RANK, "asc"), (record.CREATED, "asc"))
        behind = asked.behind
        if asked.risk is not None:
            where, order = (*where, (RANK, "==", RANKS[asked.risk])), order[1:]
            behind = None if behind is None else behind[1:]
        query = Query(CASES, where, order, asked.limit + 1, _LISTED, behind)
        for document in self._merged(query, scopes):
            if document.fields.get(record.DELETED) is None or asked.status == PENDING:
                have = document.fields
                yield (have[RANK], have[record.CREATED], document.key.id), document

    def unread(self, now_ms: int) -> int:
        """How many diagnosed cases of the last `_WATCHED_MS` are unread, in all scopes; up to `MOST`.

        Older ones stay in the doctors' list: a case that was deleted unread would be counted for ever.
        """
        found = self._unread(None, WorklistQuery(limit=MOST), now_ms, now_ms - _WATCHED_MS)
        return sum(1 for _ in islice(found, MOST))

    def _unread(
        self,
        scopes: Sequence[str] | None,
        asked: WorklistQuery,
        now_ms: int,
        signed_from_ms: int = 0,
    ) -> Iterator[tuple[Place, Document]]:
        """Diagnosed cases whose health worker has no phone that was given the diagnosis."""
        query = Query(
            COLLECTION,
            (("unread", "==", True), ("signed_at", "<=", now_ms - self._unread_ms)),
            (("signed_at", "asc"),),
            asked.limit + 1,
            None,
            asked.behind,
        )
        if signed_from_ms:
            query = replace(query, where=(*query.where, ("signed_at", ">=", signed_from_ms)))
        known: dict[tuple[str, str], int] = {}
        listed = self._merged(query, scopes)
        while batch := list(islice(listed, asked.limit + 1)):
            keys = [(Key(CASES, e.key.id), Key(DIAGNOSES, e.fields["diagnosis_id"])) for e in batch]
            documents = self._store.read([*chain(*keys)], _LISTED).documents
            waiting, read = [], []
            for entry, (case, diagnosis) in zip(batch, keys, strict=True):
                whom = (str(entry.fields.get("chw_id", "")), entry.fields[record.SCOPE])
                if whom not in known:
                    known[whom] = self._handed_out_ms(*whom)
                version = documents[diagnosis].version if diagnosis in documents else 0
                if version and known[whom] * 1000 >= version:
                    mark = {"unread": None, "read_at": now_ms}
                    read.append(patch(entry.key, mark, entry.version))
                elif case in documents and _of(entry.fields[record.SCOPE], documents[case]):
                    waiting.append(((entry.fields["signed_at"], entry.key.id), documents[case]))
            if read:
                with suppress(Contended):  # somebody does something with one of them: next time
                    self._store.commit(read)
            yield from waiting

    def _handed_out_ms(self, chw_id: str, scope_id: str) -> int:
        """Up to when a health worker's phones were given what happens in a scope, ms; 0: not at all.

        What they were given before she joined it, or after she left, had nothing of this scope.
        """
        if not record.valid_id(chw_id):
            return 0
        own = membership.key(chw_id)
        members = membership.known(chw_id, self._store.read([own]).documents.get(own))
        handed_out = ledger.handed_out_ms(self._store, chw_id)
        if not may(members.roles.get(scope_id), Action.READ):
            return 0
        return handed_out if handed_out >= members.since_ms[scope_id] else 0

    def _merged(self, query: Query, scopes: Sequence[str] | None) -> Iterator[Document]:
        """A query over any number of scopes (None: all there are), in its order."""

        def place(document: Document) -> Place:
            return (*(document.fields[name] for name, _ in query.order), document.key.id)

        def stream(group: Sequence[str] | None) -> Iterator[Document]:
            asked = query
            if group is not None:
                asked = replace(query, where=((record.SCOPE, "in", list(group)), *query.where))
            while True:
                found = list(self._store.query(asked))
                yield from found
                if len(found) < (query.limit or 0):
                    return
                asked = replace(asked, start_after=place(found[-1]))

        if scopes is None:
            return stream(None)
        return heapq.merge(*map(stream, _groups(scopes)), key=place)

    def _entries(self, cases: Sequence[Document], now_ms: int) -> list[dict[str, Any]]:
        keys = [review.key_of(case.key.id) for case in cases]
        keys += [jobs.key(case.fields[JOB]) for case in cases if case.fields.get(JOB)]
        beside = self._store.read(keys, _BESIDE).documents if keys else {}
        return [_entry(case, beside, now_ms) for case in cases]

    # --- one case

    def case(self, caller: Caller, case_id: str, now_ms: int) -> dict[str, Any]:
        """Everything about a case. Raises `NotFound`, `Forbidden` and `StoreUnavailable`."""
        if not record.valid_id(case_id):
            raise review.unknown()
        key, own = Key(CASES, case_id), membership.key(caller.user_id)
        documents = self._store.read([key, own, review.key_of(case_id)]).documents
        case = documents.get(key)
        if case is None:
            raise review.unknown()
        if case.fields.get(record.DELETED) is not None and not case.fields.get(record.WAITS):
            raise review.unknown()
        scope_id = case.fields[record.SCOPE]
        members = membership.parse(caller.user_id, documents.get(own))
        role = review.allowed_role(members, scope_id, ReviewAction.REVIEW)
        patient_key = Key("patients", case.fields["patient_id"])
        job_key = jobs.key(case.fields.get(JOB) or "none")
        beside = self._store.read([patient_key, job_key]).documents
        patient, job = beside.get(patient_key), beside.get(job_key)
        if patient is not None and not _of(scope_id, patient):
            patient = None  # it is on its way to another scope, or gone
        signed = documents.get(review.key_of(case_id))
        photos = photos_of(self._store, case)
        urls = [each["url"] for each in photos if each["url"]] or None

        def logged(name: str) -> list[Document]:
            return [*self._log(name, key, scope_id), *self._log(name, patient_key, scope_id)]

        return {
            "case": {**self._row(case, role), "image_urls": urls},
            "version": case.version,
            "reason": _reason(case.fields),
            "changed": list(case.fields.get(CHANGED) or ()),
            "deleted_at": case.fields.get(record.DELETED),
            "deleted_by": case.fields.get(record.DELETED_BY),
            "patient": None if patient is None else self._row(patient, role),
            "diagnoses": self._diagnoses(case, role),
            "review": _reviewed({} if signed is None else signed.fields, now_ms),
            "job": None if job is None else _job(job.fields),
            "photos": photos,
            "conflicts": [_conflict(entry) for entry in logged("conflicts")],
            "refused": [_refused(entry) for entry in logged("quarantine")],
        }

    def _diagnoses(self, case: Document, role: str) -> list[dict[str, Any]]:
        """All versions, the oldest first."""
        found = self._store.query(Query(DIAGNOSES, where=(("case_id", "==", case.key.id),)))
        scope_id = case.fields[record.SCOPE]
        rows = [
            {
                **self._row(document, role),
                "verdict": document.fields.get(VERDICT),
                "verdict_text": document.fields.get(VERDICT_TEXT),
            }
            for document in found
            if _of(scope_id, document)
        ]
        return sorted(rows, key=lambda row: (row[record.CREATED] or 0, row["id"]))

    def _log(self, name: str, key: Key, scope_id: str) -> list[Document]:
        """Entries of a log about a record, the oldest first."""
        query = Query(name, where=(("record_id", "==", key.id),), limit=_MOST_LOGGED)
        about = [
            entry
            for entry in self._store.query(query)
            if entry.fields.get("table") == key.collection
            and entry.fields.get(record.SCOPE) == scope_id
        ]
        return sorted(about, key=lambda entry: int(entry.fields.get("at", 0)))

    def _row(self, document: Document, role: str) -> dict[str, Any]:
        """A record with every declared column; times in ms, JSON columns as what they hold."""
        spec = self.catalog.by_name[document.key.collection]
        have = spec.redact(document.fields, role)
        shown: dict[str, Any] = {"id": document.key.id}
        for column in spec.fields:
            value = have.get(column.name)
            if column.type is Type.JSON and isinstance(value, str):
                value = orjson.loads(value)
            shown[column.name] = value
        for name in (record.SCOPE, record.CREATED, record.MODIFIED):
            shown[name] = have.get(name)
        return {**shown, STAMP: document.version // 1000}


def _groups(scopes: Sequence[str]) -> list[Sequence[str]]:
    return [scopes[at : at + SCOPES_A_QUERY] for at in range(0, len(scopes), SCOPES_A_QUERY)]


def _scopes(members: Memberships, scope_id: str | None) -> list[str]:
    """The scopes whose cases the caller reviews; of one that is named, that one."""
    if scope_id is not None:
        review.allowed_role(members, scope_id, ReviewAction.REVIEW)
        return [scope_id]
    scopes = [name for name in members.scopes if may(members.roles[name], ReviewAction.REVIEW)]
    if not scopes:
        raise Forbidden("Your role does not allow this in any of your scopes.")
    return scopes


def _began(epoch: Document | None) -> int:
    """When this store's history began: what was seen before may have been taken back."""
    return 0 if epoch is None else int(epoch.fields.get("started_at", 0))


def _of(scope_id: str, document: Document) -> bool:
    have = document.fields
    return have.get(record.SCOPE) == scope_id and have.get(record.DELETED) is None


def _entry(case: Document, beside: Mapping[Key, Document], now_ms: int) -> dict[str, Any]:
    have = case.fields
    analysis = have.get("ai_analysis")
    job = beside.get(jobs.key(have.get(JOB) or "none"))
    signed = beside.get(review.key_of(case.key.id))
    done = {} if signed is None else signed.fields
    held = review.claim_of(done, now_ms)
    return {
        "id": case.key.id,
        "scope_id": have.get(record.SCOPE),
        "patient_id": have.get("patient_id"),
        "chw_id": have.get("chw_id"),
        "status": have.get("status"),
        "risk_level": have.get("risk_level"),
        "triage_final": None if analysis is None else analysis.get("triage_final"),
        "rank": have.get(RANK, LOOK),
        "reason": _reason(have),
        "changed": list(have.get(CHANGED) or ()),
        "deleted_at": have.get(record.DELETED),
        "deleted_by": have.get(record.DELETED_BY),
        "created_at": have.get(record.CREATED),
        "last_modified_at": have.get(record.MODIFIED),
        "ai": None
        if analysis is None
        else {"status": analysis.get("status"), "urgency": analysis.get("urgency")},
        "job": None
        if job is None
        else {"state": job.fields.get("state"), "attempts": job.fields.get("attempts", 0)},
        "images": known_photos(have.get("image_keys") or (), have.get(PHOTOS) or {}),
        "claimed_by": held and held[0],
        "claimed_until": held and held[1],
        "signed_by": done.get("signed_by"),
        "signed_at": done.get("signed_at"),
        "diagnosis_id": done.get("diagnosis_id"),
    }


def _reason(have: Mapping[str, Any]) -> str | None:
    """Why a case is in the list; None if it is not."""
    if not have.get(record.WAITS):
        return None
    if have.get(record.DELETED) is not None:
        return "deleted_while_waiting"
    return "changed_since_signed" if have.get(CHANGED) else "waits"


def _reviewed(have: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    held = review.claim_of(have, now_ms)
    names = ("signed_by", "signed_at", "diagnosis_id", "verdict", "verdict_text", "read_at")
    return {
        "claimed_by": held and held[0],
        "claimed_until": held and held[1],
        **{name: have.get(name) for name in names},
        "history": list(have.get("history", ())),
    }


def _job(have: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "state": have["state"],
        "attempts": have.get("attempts", 0),
        "due_at": have.get("due_at"),
        "created_at": have.get("created_at"),
        "history": list(have.get("history") or ()),
    }


def _conflict(entry: Document) -> dict[str, Any]:
    have = entry.fields
    return {
        **{name: have.get(name) for name in ("table", "record_id", "winner", "reason", "device")},
        "user_id": have.get(record.AUTHOR),
        "at": have.get("at"),
        "yours": orjson.loads(have["yours"]),
        "theirs": orjson.loads(have["theirs"]),
    }


def _refused(entry: Document) -> dict[str, Any]:
    have = entry.fields
    return {
        **{name: have.get(name) for name in ("table", "record_id", "code", "field", "device")},
        "user_id": have.get(record.AUTHOR),
        "at": have.get("at"),
        "sent": orjson.loads(str(have["raw"])) if have.get("raw_whole") else None,
    }
