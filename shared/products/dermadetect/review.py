"""What doctors do with a case: claim it, release it, sign its diagnosis, amend one, take one back at once.

Who has a case in hand and who signed stands in `reviews/{case_id}`, not in the case: a claim is no
news for phones. It holds `table`, `record_id` and `scope_id` like the logs (it moves and goes with
its case), `chw_id`, the claim (`claimed_by`, `claimed_until`), the signature that counts
(`signed_by`, `signed_at`, `diagnosis_id`, `verdict`, `verdict_text`), `first_signed_at`, `unread` while no
phone of the health worker was given the diagnosis, `read_at` from then on, and a `history`.

A signature is one commit: the `diagnoses` row, the case's status, `reviews`, and the row that is
amended. It is guarded by the versions that were read and by the doctor's membership, so of two
doctors one signs, and an analysis that ends meanwhile keeps the status (it patches other fields).
The row's id is a hash of doctor and idempotency key: a repetition finds it.

Whoever signed may take it back for `WITHDRAW_MS`. For that the signature leaves in `reviews` what it put an
end to (`before_signature`); one commit puts it back, and makes the diagnosis a tombstone that nobody
undeletes.
"""

from __future__ import annotations

import hashlib
import random
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Any, NamedTuple, NoReturn, TypeVar

import orjson

from shared.access import audit, membership
from shared.access.membership import Caller, Memberships
from shared.access.rights import Action
from shared.errors import Contended, Forbidden, InvalidRequest, KeyReused, NotFound, ParentDeleted
from shared.products.dermadetect.analysis.vocabulary import READINGS
from shared.products.dermadetect.events import DIAGNOSIS_READY, DIAGNOSIS_WITHDRAWN
from shared.products.dermadetect.faults import (
    AlreadyDiagnosed,
    CaseChanged,
    Claimed,
    NotSeen,
    TooLate,
    Withdrawn,
)
from shared.products.dermadetect.rights import ReviewAction, may
from shared.products.dermadetect.screen import KEY_WORDS, ReviewDiagnosisRequest
from shared.products.dermadetect.signal import CHANGED, LOOK, RANK, SIGNED, judged
from shared.products.dermadetect.tables import DIAGNOSED, PENDING, PHOTOS, WITHDRAWN
from shared.records import record
from shared.records.collection import Catalog
from shared.records.insist import insist
from shared.records.migration import Migration
from shared.records.store import (
    ABSENT,
    STAMP,
    Document,
    Key,
    Query,
    RecordStore,
    StoredCollection,
    Write,
    patch,
    put,
    verify,
)
from shared.sync.conflict import History

COLLECTION = "reviews"

#: When the case got its first diagnosis, ms; amendments leave it.
FIRST_SIGNED = "first_signed_at"
CASES = "cases"
DIAGNOSES = "diagnoses"

STORED = (
    StoredCollection(READINGS, (("record_id",),)),
    StoredCollection(COLLECTION, (("record_id",),)),
)

#: Readings of a case that are shown.
MOST_READINGS = 100

#: What stands in a diagnosis beside its columns: what was asked for, and the verdict on the analysis.
REQUEST, VERDICT, VERDICT_TEXT = "_request", "_verdict", "_verdict_text"

#: How long a signature can be taken back, ms, and what is added to it for a slow network.
WITHDRAW_MS, _GRACE_MS = 10_000, 5_000

#: What a signature puts an end to, in `reviews`, and of which fields.
BEFORE = "before_signature"
_ENDED = (
    "claimed_by",
    "claimed_until",
    "signed_by",
    "signed_at",
    FIRST_SIGNED,
    "diagnosis_id",
    "verdict",
    "verdict_text",
    "unread",
    "read_at",
)
_JUDGED = ("status", record.WAITS, CHANGED, SIGNED)

#: The device that diagnoses are written on, where phones name theirs.
_DEVICE = "review"

#: Steps kept in a case's history; the oldest go first.
_MAX_HISTORY = 100

#: An unreachable store is asked this often; somebody is waiting at a screen.
_UNREACHABLE_ATTEMPTS = 2

_Answer = TypeVar("_Answer")


class Signature(NamedTuple):
    """A diagnosis that a doctor wants to sign. `key` makes its repetition harmless."""

    key: str
    diagnosis_text: str
    prescription: str | None
    verdict: str | None
    verdict_text: str | None
    amends: str | None

    def fingerprint(self, case_id: str) -> str:
        """What makes two requests the same."""
        return hashlib.sha256(record.canonical([case_id, *self[1:]]).encode()).hexdigest()


def parse_signature(body: ReviewDiagnosisRequest, header: str | None) -> Signature:
    """What is to be signed; the key is in the header or in the body. Raises `InvalidRequest`."""
    named = body.idempotency_key
    if header is not None and named is not None and header != named:
        raise InvalidRequest(
            "Idempotency-Key and idempotency_key differ. Send one.", field="idempotency_key"
        )
    key = named if header is None else header
    if key is None or record.ID.fullmatch(key) is None:
        raise InvalidRequest(
            f"Send a key of your own making in Idempotency-Key, {KEY_WORDS}, and the same one when you "
            "send this again.",
            field="idempotency_key",
        )
    text, remark = body.diagnosis_text.strip(), (body.verdict_text or "").strip() or None
    if not text:
        raise InvalidRequest("Say what you found.", field="diagnosis_text")
    if remark is not None and body.verdict is None:
        raise InvalidRequest("verdict_text needs a verdict.", field="verdict_text")
    prescription = (body.prescription or "").strip() or None
    return Signature(key, text, prescription, body.verdict, remark, body.amends)


def diagnosis_key(user_id: str, idempotency_key: str) -> Key:
    """The address of the diagnosis that a doctor signs with a key."""
    text = f"{user_id}\n{idempotency_key}"
    return Key(DIAGNOSES, hashlib.sha256(text.encode()).hexdigest()[:40])


def key_of(case_id: str) -> Key:
    """The address of what doctors did with a case."""
    return Key(COLLECTION, case_id)


def claim_of(review: Mapping[str, Any], now_ms: int) -> tuple[str, int] | None:
    """Who has a case in hand, and until when; None if nobody has."""
    until = int(review.get("claimed_until", 0))
    return (str(review["claimed_by"]), until) if until > now_ms else None


def first_signed_ms(review: Mapping[str, Any]) -> int | None:
    """When a case got its first diagnosis; None: it has none."""
    if review.get(FIRST_SIGNED) is not None:
        return int(review[FIRST_SIGNED])
    steps = (each["at"] for each in review.get("history") or () if each["step"] == "signed")
    found = next(steps, review.get("signed_at"))
    return None if found is None else int(found)


def with_first_signature(document: Document) -> Mapping[str, Any] | None:
    """Migration: what was signed before `first_signed_at` was kept gets it."""
    found = first_signed_ms(document.fields)
    if found is None or document.fields.get(FIRST_SIGNED) is not None:
        return None
    return {FIRST_SIGNED: found}


MIGRATIONS = (
    Migration(
        "first-signatures",
        "signed cases get the time of their first diagnosis, by which they are counted",
        COLLECTION,
        with_first_signature,
    ),
)


def readings(store: RecordStore, case_id: str, scope_id: str) -> list[dict[str, Any]]:
    """What the model read of a case each time it was asked, the latest first, at most `MOST_READINGS`.

    For those who may see an unsigned analysis. Each is `{"at": ms, "job_id", "analysis"}`; the analysis
    names model and photos. Attempts that brought nothing stand in the job's history.
    """
    query = Query(READINGS, where=(("record_id", "==", case_id),))
    found = [
        entry.fields
        for entry in store.query(query)
        if entry.fields.get("table") == CASES and entry.fields.get(record.SCOPE) == scope_id
    ]
    found.sort(key=lambda have: -int(have["at"]))
    return [
        {
            "at": have["at"],
            "job_id": have["job_id"],
            "analysis": orjson.loads(have["analysis"]),
        }
        for have in found[:MOST_READINGS]
    ]


def allowed_role(members: Memberships, scope_id: object, action: ReviewAction) -> str:
    """The caller's role in a scope, if it allows the action.

    Raises `NotFound` for a scope that the caller is not in, `Forbidden` for a role that may not.
    """
    role = members.roles.get(str(scope_id))
    if role is None or not may(role, Action.READ):
        raise unknown()
    if not may(role, action):
        raise Forbidden("Your role does not allow this in this scope.")
    return role


def scopes_for(members: Memberships, scope_id: str | None, action: ReviewAction) -> list[str]:
    """The scopes in which the caller may do something; of one that is named, that one.

    Raises `NotFound` and `Forbidden`.
    """
    if scope_id is not None:
        allowed_role(members, scope_id, action)
        return [scope_id]
    return members.scopes_where(lambda role: may(role, action))


def unknown() -> NotFound:
    """The one answer for what is not there and for what the caller may not see."""
    return NotFound("There is no such case, or none that you may see.")


@dataclass(frozen=True, slots=True)
class _Scene:
    """A case and what decides about it, as one read found them."""

    case: Document
    review: Document | None
    members: Memberships
    role: str
    documents: Mapping[Key, Document]

    @property
    def scope_id(self) -> str:
        return str(self.case.fields[record.SCOPE])

    @property
    def have(self) -> Mapping[str, Any]:
        return {} if self.review is None else self.review.fields

    @property
    def membership(self) -> Write:
        """The answer rests on the caller's role: it must still hold."""
        return verify(membership.key(self.members.user_id), self.members.version)

    @property
    def same_case(self) -> Write:
        """The case must neither move nor go meanwhile."""
        return verify(self.case.key, self.case.version)

    def reviewed(self, fields: Mapping[str, Any], **step: Any) -> Write:
        """The write of `reviews`: what was there, these fields, and the step in its history."""
        history = [*self.have.get("history", ()), *([step] if step else ())][-_MAX_HISTORY:]
        whole = {
            **{name: value for name, value in self.have.items() if name != STAMP},
            "table": CASES,
            "record_id": self.case.key.id,
            record.SCOPE: self.scope_id,
            "chw_id": self.case.fields.get("chw_id"),
            **fields,
            "history": history,
        }
        expect = ABSENT if self.review is None else self.review.version
        return put(key_of(self.case.key.id), whole, expect)

    def trail(
        self, caller: Caller, action: str, now_ms: int, **more: Sequence[str]
    ) -> Sequence[Write]:
        """The audit's entries for a step, in its own commit. `more`: table → ids beside the case."""
        touched = {CASES: [self.case.key.id], **more}
        return audit.entries(caller, action, self.scope_id, touched, now_ms)

    def check_alive(self) -> None:
        """Raises `ParentDeleted`."""
        if self.case.fields.get(record.DELETED) is not None:
            raise ParentDeleted("The case was deleted. A supervisor can bring it back.")

    def check_unclaimed(self, caller: Caller, now_ms: int) -> None:
        """Raises `Claimed` if another doctor has the case in hand."""
        held = claim_of(self.have, now_ms)
        if held is not None and held[0] != caller.user_id:
            raise Claimed("Another doctor has this case in hand.", by=held[0], until=held[1])


class Review:
    """Writes of doctors and supervisors. Safe to share between threads.

    `claim_ms` is how long a claim holds. `wait` sleeps between attempts (a parameter, so that tests
    need not). Every method may be called again after any fault: nothing is done twice.
    """

    def __init__(
        self,
        store: RecordStore,
        catalog: Catalog,
        *,
        claim_ms: int,
        attempts: int = 8,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store, self.catalog = store, catalog
        self._claim_ms, self._attempts, self._wait = claim_ms, attempts, wait

    # --- claims

    def claim(
        self, caller: Caller, case_id: str, doctor_id: str | None, now_ms: int
    ) -> dict[str, Any]:
        """Take a case in hand, or keep it longer; with another `doctor_id` give it to that doctor.

        Raises `NotFound`, `Forbidden`, `Claimed`, `ParentDeleted`, `InvalidRequest` (no such doctor
        in the case's scope), `Contended` and `StoreUnavailable`.
        """
        doctor = doctor_id or caller.user_id
        assigning = doctor != caller.user_id

        def step() -> dict[str, Any]:
            theirs = membership.key(doctor)
            action = ReviewAction.ASSIGN if assigning else ReviewAction.DIAGNOSE
            scene = self._scene(caller, case_id, action, theirs)
            scene.check_alive()
            guards = [scene.membership, scene.same_case]
            if assigning:
                found = scene.documents.get(theirs)
                role = membership.role_of(doctor, found, scene.scope_id)
                if found is None or not may(role, ReviewAction.DIAGNOSE):
                    raise InvalidRequest(
                        "There is no such doctor in the scope of this case.", field="doctor_id"
                    )
                guards.append(verify(theirs, found.version))
            else:
                scene.check_unclaimed(caller, now_ms)
            held = claim_of(scene.have, now_ms)
            until = now_ms + self._claim_ms
            said: dict[str, Any] = {}
            if held is None or held[0] != doctor:
                said = {"step": "assigned" if assigning else "claimed", "by": caller.user_id}
                said |= {"doctor_id": doctor, "at": now_ms}
            claim = {"claimed_by": doctor, "claimed_until": until}
            trail = scene.trail(caller, "claim", now_ms)
            self._store.commit([scene.reviewed(claim, **said), *guards, *trail])
            return {"case_id": case_id, **claim}

        return self._insist(step)

    def release(self, caller: Caller, case_id: str, now_ms: int) -> dict[str, Any]:
        """Give a case back to the others. A case that nobody has in hand stays as it is.

        Raises `NotFound`, `Forbidden`, `Claimed` (it is another doctor's, and the caller is none who
        assigns cases), `Contended` and `StoreUnavailable`.
        """

        def step() -> dict[str, Any]:
            scene = self._scene(caller, case_id, ReviewAction.REVIEW)
            free = {"claimed_by": None, "claimed_until": None}
            if claim_of(scene.have, now_ms) is None:
                return {"case_id": case_id, **free}
            if not may(scene.role, ReviewAction.ASSIGN):
                scene.check_unclaimed(caller, now_ms)
            released = scene.reviewed(free, step="released", by=caller.user_id, at=now_ms)
            trail = scene.trail(caller, "release", now_ms)
            self._store.commit([released, scene.membership, scene.same_case, *trail])
            return {"case_id": case_id, **free}

        return self._insist(step)

    # --- signatures

    def diagnose(
        self, caller: Caller, case_id: str, signature: Signature, seen: int | None, now_ms: int
    ) -> dict[str, Any]:
        """Sign a diagnosis, or amend the one that counts. The same request gets the same answer.

        `seen` is the version of the case that the doctor judges (`WorkList.case`).
        Raises `NotFound`, `Forbidden`, `KeyReused`, `ParentDeleted`, `AlreadyDiagnosed`, `Claimed`,
        `InvalidRequest` (nothing to amend), `NotSeen`, `CaseChanged`, `Contended` and
        `StoreUnavailable`.
        """
        key = diagnosis_key(caller.user_id, signature.key)
        fingerprint = signature.fingerprint(case_id)
        wanted = [key] if signature.amends is None else [key, Key(DIAGNOSES, signature.amends)]

        def step() -> dict[str, Any]:
            scene = self._scene(caller, case_id, ReviewAction.DIAGNOSE, *wanted)
            earlier = scene.documents.get(key)
            if earlier is not None:
                if earlier.fields.get(REQUEST) != fingerprint:
                    raise KeyReused("This key came before with other content. Make a new one.")
                if earlier.fields.get(WITHDRAWN) is not None:
                    raise Withdrawn("This diagnosis was taken back. Sign again with a new key.")
                return _signed(key.id, earlier.fields)
            scene.check_alive()
            _check_current(scene.have, signature)
            scene.check_unclaimed(caller, now_ms)
            self._check_seen(scene.case, seen)
            row = self._row(scene, caller, signature, fingerprint, now_ms)
            trail = scene.trail(caller, "diagnose", now_ms, diagnoses=[key.id])
            self._store.commit(
                [put(key, row, ABSENT), *_around(scene, key, row, wanted[1:]), *trail]
            )
            return _signed(key.id, row)

        return self._insist(step)

    def _check_seen(self, case: Document, seen: int | None) -> None:
        if seen is None:
            raise NotSeen("Say in If-Match which version of the case you judge: its ETag.")
        if seen == case.version:
            return
        history = History(case, self.catalog.by_name[CASES].client_fields)
        changed = [name for name in history.names if history.stamp(name).version > seen]
        if not changed or case.fields.get(record.EDITED):
            # The server's own columns have no times of their own.
            changed += ["ai_analysis", "image_urls"]
        raise CaseChanged("The case changed after you looked at it. Look again.", changed=changed)

    def withdraw(
        self, caller: Caller, case_id: str, diagnosis_id: str, now_ms: int
    ) -> dict[str, Any]:
        """Take back the signature that counts, within `WITHDRAW_MS`: the case is as it was before.

        Phones that have the diagnosis drop it with their next sync; of an amendment the earlier diagnosis
        counts again. What came to the case meanwhile stays, and asks for a doctor. Repeated it changes
        nothing. Raises `NotFound`, `Forbidden` (somebody else signed it), `ParentDeleted`,
        `AlreadyDiagnosed` (it was amended), `TooLate`, `Contended` and `StoreUnavailable`.
        """
        key = Key(DIAGNOSES, diagnosis_id)

        def step() -> dict[str, Any]:
            scene = self._scene(caller, case_id, ReviewAction.DIAGNOSE, key)
            row = scene.documents.get(key)
            if row is None or row.fields.get("case_id") != case_id:
                raise NotFound("This case has no such diagnosis.")
            if row.fields["doctor_id"] != caller.user_id:
                raise Forbidden("Only who signed a diagnosis may take it back.")
            if row.fields.get(WITHDRAWN) is None:
                scene.check_alive()
                self._check_withdrawable(scene, row, now_ms)
                earlier = self._earlier(row)
                self._store.commit(_without(scene, row, earlier, caller, now_ms))
                return _withdrawn(row, now_ms)
            return _withdrawn(row, int(row.fields[WITHDRAWN]))

        return self._insist(step)

    def _earlier(self, row: Document) -> Document | None:
        """The diagnosis that this one amends."""
        amends = row.fields.get("amends")
        key = Key(DIAGNOSES, amends or "none")
        return self._store.read([key]).documents.get(key) if amends else None

    @staticmethod
    def _check_withdrawable(scene: _Scene, row: Document, now_ms: int) -> None:
        have = scene.have
        if have.get("diagnosis_id") != row.key.id:
            _refuse_amended(have)
        if have.get(BEFORE) is None or now_ms > have["signed_at"] + WITHDRAW_MS + _GRACE_MS:
            raise TooLate("It is too late to take this diagnosis back. Amend it.")

    def close(
        self, caller: Caller, case_id: str, word: str, seen: int | None, now_ms: int
    ) -> dict[str, Any]:
        """Take a case off the list that was deleted while it waited, or changed since it was signed.

        `seen` is the version that the caller judges. Raises `NotFound`, `Forbidden`, `InvalidRequest`
        (it waits for its diagnosis), `NotSeen`, `CaseChanged`, `Contended` and `StoreUnavailable`. A
        case that is in no list stays as it is.
        """

        def step() -> dict[str, Any]:
            scene = self._scene(caller, case_id, ReviewAction.REVIEW)
            have = scene.case.fields
            if not have.get(record.WAITS):
                return {"case_id": case_id, "waits": False}
            if have.get(record.DELETED) is None and not have.get(CHANGED):
                raise InvalidRequest("This case waits for its diagnosis: sign it.", field="word")
            self._check_seen(scene.case, seen)
            off = {record.WAITS: None, CHANGED: None, SIGNED: judged(have, have.get(PHOTOS) or {})}
            step = scene.reviewed({}, step="closed", by=caller.user_id, at=now_ms, word=word)
            trail = scene.trail(caller, "close_case", now_ms)
            own = record.server_patch(scene.case, off)
            self._store.commit([own, step, scene.membership, *trail])
            return {"case_id": case_id, "waits": False}

        return self._insist(step)

    @staticmethod
    def _row(
        scene: _Scene, caller: Caller, signature: Signature, fingerprint: str, now_ms: int
    ) -> dict[str, Any]:
        key = diagnosis_key(caller.user_id, signature.key)
        return {
            "case_id": scene.case.key.id,
            "doctor_id": caller.user_id,
            "diagnosis_text": signature.diagnosis_text,
            "prescription": signature.prescription,
            "amends": signature.amends,
            record.SCOPE: scene.scope_id,
            record.AUTHOR: caller.user_id,
            record.CREATED: now_ms,
            record.MODIFIED: now_ms,
            record.RAW_MODIFIED: now_ms,
            record.DEVICE: _DEVICE,
            record.HASH: record.content_hash(key.id, scene.scope_id, {})[0],
            REQUEST: fingerprint,
            VERDICT: signature.verdict,
            VERDICT_TEXT: signature.verdict_text,
            record.FOR: scene.case.fields.get("chw_id"),
        }

    # --- delivery

    def delivered(self, caller: Caller, diagnoses: Sequence[Document], now_ms: int) -> None:
        """A phone of the caller was given these diagnoses: those that count are read from now on.

        Raises `StoreUnavailable`; what is not noted here is found by `WorkList.unread`.
        """
        case_of = {each.key.id: str(each.fields["case_id"]) for each in diagnoses}
        found = self._store.read([key_of(each) for each in case_of.values()]).documents
        read = [
            patch(each.key, {"unread": None, "read_at": now_ms}, each.version)
            for each in found.values()
            if each.fields.get("diagnosis_id") in case_of
            and each.fields.get("chw_id") == caller.user_id
            and each.fields.get("unread")
        ]
        if not read:
            return
        try:
            self._store.commit(read)
        except Contended:  # somebody does something with one of them
            for write in read:
                with suppress(Contended):
                    self._store.commit([write])

    # --- both

    def _scene(self, caller: Caller, case_id: str, action: ReviewAction, *more: Key) -> _Scene:
        """Read a case with what decides about it. Raises `NotFound` and `Forbidden`."""
        if not record.valid_id(case_id):
            raise unknown()
        case, own = Key(CASES, case_id), membership.key(caller.user_id)
        more = tuple(each for each in more if record.valid_id(each.id))
        documents = self._store.read([case, key_of(case_id), own, *more]).documents
        if case not in documents:
            raise unknown()
        members = membership.parse(caller.user_id, documents.get(own))
        role = allowed_role(members, documents[case].fields.get(record.SCOPE), action)
        return _Scene(documents[case], documents.get(key_of(case_id)), members, role, documents)

    def _insist(self, step: Callable[[], _Answer]) -> _Answer:
        """Take a step until nobody is faster. An answer that was lost is settled by reading again."""
        return insist(
            step,
            self._attempts,
            busy="This case is being changed by others right now. Send the same request again.",
            retry_after_s=round(random.uniform(1, 5), 1),  # noqa: S311  spreads screens
            unreachable=_UNREACHABLE_ATTEMPTS,
            wait=self._wait,
        )


def _check_current(have: Mapping[str, Any], signature: Signature) -> None:
    """A case has one diagnosis that counts: only who names it may replace it."""
    current = have.get("diagnosis_id")
    if current is None and signature.amends is not None:
        raise InvalidRequest("This case has no diagnosis to amend.", field="amends")
    if current != signature.amends:
        _refuse_amended(have)


def _refuse_amended(have: Mapping[str, Any]) -> NoReturn:
    raise AlreadyDiagnosed(
        "This case has a diagnosis. To correct it, name it in amends.",
        by=str(have["signed_by"]),
        at=int(have["signed_at"]),
        diagnosis_id=str(have["diagnosis_id"]),
    )


def _around(
    scene: _Scene, key: Key, row: Mapping[str, Any], amended: Sequence[Key]
) -> Sequence[Write]:
    """What belongs in the commit of a new diagnosis beside its row."""
    now_ms = row[record.CREATED]
    signed = {
        "claimed_by": None,
        "claimed_until": None,
        "signed_by": row["doctor_id"],
        "signed_at": now_ms,
        FIRST_SIGNED: first_signed_ms(scene.have) or now_ms,
        "diagnosis_id": key.id,
        "verdict": row[VERDICT],
        "verdict_text": row[VERDICT_TEXT],
        "unread": True,
        "read_at": None,
        BEFORE: {
            "review": {name: scene.have.get(name) for name in _ENDED},
            "case": {name: scene.case.fields.get(name) for name in _JUDGED},
        },
    }
    said = {"by": row["doctor_id"], "at": now_ms, "diagnosis_id": key.id}
    have = scene.case.fields
    judges = {
        "status": DIAGNOSED,
        record.WAITS: None,
        CHANGED: None,
        SIGNED: judged(have, have.get(PHOTOS) or {}),
    }
    older = [scene.documents[name] for name in amended if name in scene.documents]
    return (
        record.server_patch(scene.case, judges),
        scene.reviewed(signed, step="amended" if amended else "signed", **said),
        *(record.server_patch(document, {"amended_by": key.id}) for document in older),
        DIAGNOSIS_READY.happened(
            scene.scope_id,
            {"case_id": scene.case.key.id, "diagnosis_id": key.id},
            now_ms,
            once=key.id,
        ),
        scene.membership,
    )


def _without(
    scene: _Scene, row: Document, earlier: Document | None, caller: Caller, now_ms: int
) -> Sequence[Write]:
    """The commit that takes a diagnosis back."""
    before, have = scene.have[BEFORE], scene.case.fields
    known, news = before["case"].get(CHANGED) or (), have.get(CHANGED) or ()
    case = dict(before["case"])
    if case["status"] == DIAGNOSED:
        case[CHANGED] = sorted({*known, *news}) or None
        case[record.WAITS] = True if case[CHANGED] else None
    elif news or have.get(RANK, LOOK) <= LOOK:
        # Whatever it was: what came meanwhile is for a doctor.
        case |= {"status": PENDING, record.WAITS: True}
    review = dict(before["review"])
    if claim_of(scene.have, now_ms) is not None:
        del review["claimed_by"], review["claimed_until"]  # a colleague took it in hand meanwhile
    said = {"by": caller.user_id, "at": now_ms, "diagnosis_id": row.key.id}
    if scene.have.get("read_at") is not None:
        said["read_at"] = scene.have["read_at"]  # a phone had it already
    gone = {
        WITHDRAWN: now_ms,
        record.DELETED: now_ms,
        record.KEPT: now_ms,
        record.DELETED_BY: caller.user_id,
    }
    again = [] if earlier is None else [record.server_patch(earlier, {"amended_by": None})]
    ids = [row.key.id, *(write.key.id for write in again)]
    return (
        record.server_patch(row, gone),
        record.server_patch(scene.case, case),
        scene.reviewed({**review, BEFORE: None}, step="withdrawn", **said),
        *again,
        DIAGNOSIS_WITHDRAWN.happened(
            scene.scope_id,
            {"case_id": scene.case.key.id, "diagnosis_id": row.key.id},
            now_ms,
            once=row.key.id,
        ),
        scene.membership,
        *scene.trail(caller, "withdraw", now_ms, diagnoses=ids),
    )


def _withdrawn(row: Document, at_ms: int) -> dict[str, Any]:
    """The answer, made of the row alone: a repetition gets the same."""
    return {
        "id": row.key.id,
        "case_id": row.fields["case_id"],
        "withdrawn_at": at_ms,
        "counts": row.fields.get("amends"),
    }


def _signed(diagnosis_id: str, row: Mapping[str, Any]) -> dict[str, Any]:
    """The answer to a signature, made of the row alone: a repetition gets the same."""
    return {
        "id": diagnosis_id,
        "case_id": row["case_id"],
        "status": DIAGNOSED,
        "doctor_id": row["doctor_id"],
        "diagnosis_text": row["diagnosis_text"],
        "prescription": row.get("prescription"),
        "amends": row.get("amends"),
        "verdict": row.get(VERDICT),
        "verdict_text": row.get(VERDICT_TEXT),
        "signed_at": row[record.CREATED],
    }
