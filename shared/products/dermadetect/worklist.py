"""What doctors see: the cases that wait, the most urgent first, and everything about one of them.

The list is ordered by `_rank` (emergency, red, what somebody must look at, yellow, green: at worst) and
by how long the patient waits, by the phone's time. It is read by one query for 30 scopes; pages go on
behind a position, so a case that moves up meanwhile may come twice or not, never another one in its place.
Each filter has an index, so that a page costs what it shows. Two lists are read whole: the caller's claims,
which end by themselves, and the cases of one patient. What changed since it was signed is little: cases of
one worker are picked out of it.

`since` asks first whether anything of the caller's scopes changed, by commit time: exact, and the
price of an idle poll is one read and a few empty listings. A claim that ends by itself is no change.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import chain, islice
from typing import Any

import orjson

from shared.access import membership
from shared.access.membership import Caller, Memberships
from shared.access.rights import Action
from shared.accounts import people
from shared.errors import Contended
from shared.jobs import job as jobs
from shared.products.dermadetect import case_rows, review, worklist_query
from shared.products.dermadetect.photos import photos_of
from shared.products.dermadetect.review import CASES, COLLECTION, DIAGNOSES, VERDICT, VERDICT_TEXT
from shared.products.dermadetect.rights import ReviewAction, may
from shared.products.dermadetect.screen import MOST
from shared.products.dermadetect.signal import CHANGED, LOOK, RANK, RANKS
from shared.products.dermadetect.tables import DIAGNOSED, JOB, PENDING, QUEUE
from shared.products.dermadetect.worklist_query import Place, WorklistQuery, sealed
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
            (record.SCOPE, record.WAITS, "status", RANK, record.CREATED),
            (record.SCOPE, "status", "chw_id", RANK, record.CREATED),
            (record.SCOPE, record.WAITS, "chw_id", RANK, record.CREATED),
            (record.SCOPE, "patient_id", f"{record.CREATED} desc", "__name__"),
        ),
    ),
    StoredCollection(
        COLLECTION,
        (
            (record.SCOPE, STAMP),
            (record.SCOPE, "unread", "signed_at"),
            ("unread", "signed_at"),
            (record.SCOPE, "claimed_until"),
            (record.SCOPE, "claimed_by", "claimed_until"),
        ),
    ),
)

#: Log entries of one record that are shown.
_MOST_LOGGED = 100

#: How long operators are told of an unread diagnosis after it was signed, ms.
_WATCHED_MS = 60 * 86_400_000

#: Tables whose changes a work list shows.
_WATCHED = (CASES, COLLECTION, QUEUE, inbox.COLLECTION)

#: Cases of the patient that come with a case; a page of them has the others.
_MOST_BESIDE = 10

#: Documents that are read at once where a list is put together here.
_A_READING = 200

#: What is counted of one kind, at most: Firestore counts so many for the price of one read.
_MOST_COUNTED = 1000

#: Urgent entries of the inbox at the head of the list; the inbox itself has all.
_MOST_UNFILED = 20

#: Of what waits: it was signed before, and changed since.
_SIGNED = ("status", "==", DIAGNOSED)

#: A case with its place in a list.
_Placed = tuple[Place, Document]


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
        scopes = review.scopes_for(members, asked.scope_id, ReviewAction.REVIEW)
        answer: dict[str, Any] = {"changed": True, "timestamp": max(reading.read_at // 1000, 1)}
        began_ms = _began(reading.documents.get(EPOCH))
        fresh = asked.since_ms is not None and began_ms <= asked.since_ms
        if fresh and not asked.unread and asked.behind is None:
            after = (asked.since_ms or 0) * 1000
            if not self._changed(members, scopes, after, reading.read_at):
                return {**answer, "changed": False, "cases": [], "next_page": None}
        listed, more = _page(self._listed(caller, scopes, asked, now_ms), asked.limit)
        entries = self._entries([document for _, document in listed], now_ms)
        answer |= {
            "cases": entries,
            "next_page": sealed(asked.kind, listed[-1][0]) if more else None,
        }
        if asked.behind is None and not asked.unread:
            # What carries a signal and is no case: before everything else.
            found_urgent = inbox.entries(self._store, scopes, urgent=True)
            head = islice(found_urgent, _MOST_UNFILED)
            answer["cannot_be_filed"] = [inbox.shown_entry(entry) for entry in head]
        return answer

    def _listed(
        self, caller: Caller, scopes: Sequence[str], asked: WorklistQuery, now_ms: int
    ) -> Iterator[tuple[Place, Document]]:
        """Cases in the order of the list that is asked for, with their places."""
        if asked.unread:
            return self._unread(scopes, asked, now_ms)
        if asked.mine:
            return _in_order(self._claimed(caller, scopes, now_ms), asked)
        if asked.patient is not None:
            return _in_order(self._of_patient(asked.patient, scopes), asked)
        return self._waiting(scopes, asked)

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
        for query in _queries(asked):
            for document in self._merged(query, scopes):
                if _wanted(document.fields, asked):
                    yield _place(document), document

    def _claimed(self, caller: Caller, scopes: Sequence[str], now_ms: int) -> Iterator[Document]:
        """Cases that the caller has in hand."""
        query = Query(
            COLLECTION,
            (("claimed_by", "==", caller.user_id), ("claimed_until", ">", now_ms)),
            (("claimed_until", "asc"),),
            _A_READING,
            (record.SCOPE, "claimed_until"),
        )
        held = self._merged(query, scopes)
        while batch := list(islice(held, _A_READING)):
            scope_of = {Key(CASES, each.key.id): each.fields[record.SCOPE] for each in batch}
            found = self._store.read(list(scope_of), case_rows.LISTED).documents
            yield from (
                case for key, case in found.items() if case.fields[record.SCOPE] == scope_of[key]
            )

    def _of_patient(self, patient_id: str, scopes: Sequence[str]) -> Iterator[Document]:
        """Cases of a patient in these scopes, deleted ones too; of each scopes' group the newest first."""
        query = Query(
            CASES,
            (("patient_id", "==", patient_id),),
            ((record.CREATED, "desc"),),
            _A_READING,
            case_rows.LISTED,
        )
        return chain.from_iterable(self._stream(query, group) for group in _groups(scopes))

    def totals(self, caller: Caller, scope_id: str | None, now_ms: int) -> dict[str, Any]:
        """How much waits in the scopes where the caller reviews, counted and not read.

        Each number is `_MOST_COUNTED` at most; `at_least` names those that may be more. Raises as `cases`.
        """
        own = membership.key(caller.user_id)
        reading = self._store.read([own])
        members = membership.of(reading, caller.user_id)
        scopes = review.scopes_for(members, scope_id, ReviewAction.REVIEW)
        held = ("claimed_until", ">", now_ms)

        def count(name: str, *where: tuple[str, str, Any], by: Sequence[str]) -> int:
            query = Query(name, where, tuple((each, "asc") for each in by), _MOST_COUNTED)
            return self._counted(query, scopes)

        waits = (record.WAITS, "==", True)
        ranks = {
            word: count(CASES, waits, (RANK, "==", rank), by=[record.CREATED])
            for word, rank in RANKS.items()
        }
        found = {
            **ranks,
            "waiting": min(sum(ranks.values()), _MOST_COUNTED),
            "changed": count(CASES, waits, _SIGNED, by=[RANK, record.CREATED]),
            "claimed": count(COLLECTION, held, by=["claimed_until"]),
            "mine": count(
                COLLECTION, ("claimed_by", "==", caller.user_id), held, by=["claimed_until"]
            ),
            "cannot_be_filed": inbox.count_urgent(self._store, scopes, _MOST_COUNTED),
        }
        capped = [name for name, number in found.items() if number >= _MOST_COUNTED]
        return {"timestamp": max(reading.read_at // 1000, 1), **found, "at_least": capped}

    def _counted(self, query: Query, scopes: Sequence[str]) -> int:
        """What a query counts in any number of scopes, its limit at most."""
        found = 0
        for group in _groups(scopes):
            asked = replace(query, where=((record.SCOPE, "in", list(group)), *query.where))
            found += self._store.count(asked)
        return min(found, query.limit or 0)

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
            documents = self._store.read([*chain(*keys)], case_rows.LISTED).documents
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
        """A query over any number of scopes (None: all there are), in its order, which rises."""
        if scopes is None:
            return self._stream(query, None)
        streams = (self._stream(query, group) for group in _groups(scopes))
        return heapq.merge(*streams, key=lambda document: _behind(query, document))

    def _stream(self, query: Query, group: Sequence[str] | None) -> Iterator[Document]:
        """A query over up to 30 scopes, past its limit."""
        asked = query
        if group is not None:
            asked = replace(query, where=((record.SCOPE, "in", list(group)), *query.where))
        while True:
            found = list(self._store.query(asked))
            yield from found
            if len(found) < (query.limit or 0):
                return
            asked = replace(asked, start_after=_behind(query, found[-1]))

    def _entries(self, cases: Sequence[Document], now_ms: int) -> list[dict[str, Any]]:
        if not cases:
            return []
        beside = self._store.read(case_rows.keys_beside(cases), case_rows.BESIDE)
        holders = case_rows.holders(cases, beside, now_ms)
        doctors = self._store.read(people.keys(holders), people.FIELDS) if holders else None
        return [case_rows.entry(case, beside, doctors, now_ms) for case in cases]

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
        worker = str(case.fields.get("chw_id") or "")
        beside = self._store.read([patient_key, job_key]).documents
        patient, job = beside.get(patient_key), beside.get(job_key)
        others, next_others = self._others(case, _MOST_BESIDE, None)
        if patient is not None and not _of(scope_id, patient):
            patient = None  # it is on its way to another scope, or gone
        signed = documents.get(review.key_of(case_id))
        done = {} if signed is None else signed.fields
        acted = _acted(done)
        who = self._store.read(people.keys([worker, *acted]), people.FIELDS)
        photos = photos_of(self._store, case)
        urls = [each["url"] for each in photos if each["url"]] or None

        def logged(name: str) -> list[Document]:
            return [*self._log(name, key, scope_id), *self._log(name, patient_key, scope_id)]

        return {
            "case": {**self._row(case, role), "image_urls": urls},
            "version": case.version,
            "rank": case.fields.get(RANK, LOOK),
            "reason": case_rows.reason(case.fields),
            "changed": list(case.fields.get(CHANGED) or ()),
            "deleted_at": case.fields.get(record.DELETED),
            "deleted_by": case.fields.get(record.DELETED_BY),
            "patient": None if patient is None else self._row(patient, role),
            "worker": case_rows.worker(who, worker, scope_id),
            "patient_cases": others,
            "patient_cases_next": next_others,
            "diagnoses": self._diagnoses(case, role),
            "review": _reviewed(done, now_ms),
            "people": {
                user_id: found.name
                for user_id in (worker, *acted)
                if (found := people.in_scope(who, user_id, scope_id)) is not None and found.name
            },
            "job": None if job is None else _job(job.fields),
            "photos": photos,
            "conflicts": [_conflict(entry) for entry in logged("conflicts")],
            "refused": [_refused(entry) for entry in logged("quarantine")],
        }

    def patient_cases(
        self, caller: Caller, case_id: str, limit: int, behind: Place | None
    ) -> dict[str, Any]:
        """A page of the other cases of a case's patient. Raises as `case`."""
        if not record.valid_id(case_id):
            raise review.unknown()
        key, own = Key(CASES, case_id), membership.key(caller.user_id)
        reading = self._store.read([key, own])
        case = reading.documents.get(key)
        if case is None or (case.fields.get(record.DELETED) and not case.fields.get(record.WAITS)):
            raise review.unknown()
        members = membership.of(reading, caller.user_id)
        review.allowed_role(members, case.fields[record.SCOPE], ReviewAction.REVIEW)
        rows, page = self._others(case, limit, behind)
        return {"scope_id": case.fields[record.SCOPE], "cases": rows, "next_page": page}

    def _others(
        self, case: Document, limit: int, behind: Place | None
    ) -> tuple[list[dict[str, Any]], str | None]:
        """Other cases of the same patient and scope that are there, the newest first; the next page."""
        query = Query(
            CASES,
            (("patient_id", "==", case.fields["patient_id"]),),
            ((record.CREATED, "desc"),),
            limit + 2,  # this one, and one more than is shown
            (*case_rows.LISTED, "triage_data"),
            behind,
        )
        found = (
            (_behind(query, each), each)
            for each in self._stream(query, [case.fields[record.SCOPE]])
            if each.key != case.key and each.fields.get(record.DELETED) is None
        )
        listed, more = _page(found, limit)
        cases = [each for _, each in listed]
        if not cases:
            return [], None
        reviews = self._store.read([review.key_of(each.key.id) for each in cases], case_rows.BESIDE)
        signed = [
            Key(DIAGNOSES, found.fields["diagnosis_id"])
            for found in reviews.documents.values()
            if found.fields.get("diagnosis_id")
        ]
        diagnoses = self._store.read(signed, case_rows.DIAGNOSIS) if signed else None
        page = sealed(worklist_query.OF_PATIENT, listed[-1][0]) if more else None
        return [case_rows.of_patient(each, reviews, diagnoses) for each in cases], page

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


def _began(epoch: Document | None) -> int:
    """When this store's history began: what was seen before may have been taken back."""
    return 0 if epoch is None else int(epoch.fields.get("started_at", 0))


def _of(scope_id: str, document: Document) -> bool:
    have = document.fields
    return have.get(record.SCOPE) == scope_id and have.get(record.DELETED) is None


def _page(found: Iterable[_Placed], limit: int) -> tuple[list[_Placed], bool]:
    """The first of a list, and whether there are more."""
    listed = list(islice(found, limit + 1))
    return listed[:limit], len(listed) > limit


def _place(case: Document) -> Place:
    return case.fields[RANK], case.fields[record.CREATED], case.key.id


def _behind(query: Query, document: Document) -> Place:
    """Where a document stands in the order of a query."""
    return (*(document.fields[name] for name, _ in query.order), document.key.id)


def _queries(asked: WorklistQuery) -> Iterator[Query]:
    """What together lists the cases that are asked for, in the order of the list.

    One query for all ranks; one a rank if only some days are asked for: then a range of times is one of
    an index.
    """
    where: tuple[tuple[str, str, Any], ...] = (("status", "==", asked.status),)
    if asked.status == PENDING:
        # Not the status: what changed since it was signed, or was deleted while it waited, waits too.
        where = ((record.WAITS, "==", True),)
    if asked.changed:
        where = (*where, _SIGNED)
    elif asked.worker is not None:
        where = (*where, ("chw_id", "==", asked.worker))
    some_days = [
        (record.CREATED, operator, at_ms)
        for operator, at_ms in ((">=", asked.from_ms), ("<", asked.until_ms))
        if at_ms is not None
    ]
    by_time, most = ((record.CREATED, "asc"),), asked.limit + 1
    if asked.risk is None and not some_days:
        order = ((RANK, "asc"), *by_time)
        yield Query(CASES, where, order, most, case_rows.LISTED, asked.behind)
        return
    ranks = RANKS.values() if asked.risk is None else [RANKS[asked.risk]]
    for rank in sorted(ranks):
        behind = asked.behind or (rank,)
        if rank >= int(behind[0]):
            start = behind[1:] if asked.behind and rank == behind[0] else None
            of_rank = (*where, (RANK, "==", rank), *some_days)
            yield Query(CASES, of_rank, by_time, most, case_rows.LISTED, start)


def _in_order(cases: Iterable[Document], asked: WorklistQuery) -> Iterator[_Placed]:
    """Those of these cases that are asked for, in the order of the list, with their places."""
    placed = sorted((_place(each), each) for each in cases if _wanted(each.fields, asked))
    return (item for item in placed if asked.behind is None or item[0] > asked.behind)


def _wanted(have: Mapping[str, Any], asked: WorklistQuery) -> bool:
    """Whether a case is one that is asked for, by what `_queries` asks of an index."""
    made, rank = have.get(record.CREATED), have.get(RANK)
    if made is None or rank is None:
        return False
    if asked.status == PENDING:
        here = bool(have.get(record.WAITS))
    else:
        here = have.get("status") == asked.status and have.get(record.DELETED) is None
    return (
        here
        and (not asked.changed or have.get("status") == DIAGNOSED)
        and (asked.risk is None or rank == RANKS[asked.risk])
        and (asked.worker is None or have.get("chw_id") == asked.worker)
        and (asked.patient is None or have.get("patient_id") == asked.patient)
        and (asked.from_ms is None or made >= asked.from_ms)
        and (asked.until_ms is None or made < asked.until_ms)
    )


def _reviewed(have: Mapping[str, Any], now_ms: int) -> dict[str, Any]:
    held = review.claim_of(have, now_ms)
    names = ("signed_by", "signed_at", "diagnosis_id", "verdict", "verdict_text", "read_at")
    return {
        "claimed_by": held and held[0],
        "claimed_until": held and held[1],
        **{name: have.get(name) for name in names},
        "history": list(have.get("history", ())),
    }


def _acted(have: Mapping[str, Any]) -> list[str]:
    """Who did something with a case, and whom it was given to."""
    steps = have.get("history") or ()
    named = [
        have.get("claimed_by"),
        *(step.get(who) for step in steps for who in ("by", "doctor_id")),
    ]
    return list(dict.fromkeys(str(each) for each in named if each))


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
