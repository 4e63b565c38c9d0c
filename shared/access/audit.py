"""The audit trail: who read or wrote which records, when and with which phone, and what came of it.

One entry a request and scope, without content of records; a request that touches very many records
has several. Whatever changes who may do what (`RIGHTS`) leaves one too, in the commit that changes it
and with the name of the human who did it: in the scope that it is about, else in `DEPLOYMENT`.

Entries are stored unchained, so that no request waits on a document that all share. The sweeper seals
them: it gives each the next number of its scope and a hash over its content and the hash before it, and
keeps number and hash in the scope's head. An entry that is altered, removed or slipped in afterwards
breaks the chain (`verify`).
"""

from __future__ import annotations

import hashlib
import json
import logging
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any, NamedTuple

from shared.access.membership import Caller
from shared.errors import Contended, Fault
from shared.records.record import SCOPE, canonical
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
)

log = logging.getLogger(__name__)

COLLECTION = "audit"
HEADS = "audit_heads"

STORED = (
    StoredCollection(
        COLLECTION,
        (
            *((SCOPE, "number"), (SCOPE, "sealed"), ("sealed",)),
            # what somebody did, and what was done in a team: the newest first (`trail.py`)
            *(("user_id", "at desc", "__name__"), (SCOPE, "at desc", "__name__")),
        ),
    ),
    StoredCollection(HEADS),
)

#: Ids of records in one entry.
MOST_IDS = 1000

#: Entries sealed in one round, and in one commit; rounds in a minute.
_A_ROUND = 400
_A_COMMIT = 200
_ROUNDS = 10

#: What the chain adds to an entry; everything else is its content.
_CHAIN = ("sealed", "number", "before", "hash", STAMP)

#: The first entry of a chain follows this.
_ORIGIN = "0" * 64

#: The scope of what is about no team. No record's scope can be called so.
DEPLOYMENT = "~deployment"

#: Every change of who may do what, and every copy or end of what is stored.
RIGHTS: Mapping[str, str] = {
    "grant": "an operator made somebody a member, or gave another role",
    "revoke": "an operator ended a membership",
    "create-user": "an operator made an account",
    "reset-password": "an operator, or an admin of the user's teams, set another password; sessions ended",
    "disable-user": "an operator, or an admin of the user's teams, disabled an account; sessions ended",
    "enable-user": "an operator, or an admin of the user's teams, let a disabled account in again",
    "end-user-sessions": "an admin of the user's teams ended all of their sessions",
    "recover-password": "somebody who forgot their password set another one by mail; sessions ended",
    "delete-user": "an operator deleted an account; sessions and memberships ended",
    "delete-account": "somebody deleted their own account; the entry has no name",
    "invite": "somebody made an invite code",
    "void-invite": "somebody made a code admit nobody any more",
    "change-role": "a member gave somebody in their team another role",
    "put-out": "a member ended somebody else's membership",
    "register": "somebody made an account for themselves",
    "join": "somebody became a member by a code",
    "leave": "somebody ended their own membership",
    "found": "somebody made a team",
    "log-in": "a session began",
    "log-out": "a session was ended by whoever had it",
    "end-session": "somebody ended another session of theirs",
    "end-sessions": "somebody ended all of their sessions",
    "change-password": "somebody set another password; other sessions ended",
    "set-up-factor": "somebody set up a second factor; other sessions ended",
    "remove-factor": "somebody went back to the password alone",
    "add-passkey": "somebody added a passkey",
    "remove-passkey": "somebody removed a passkey of theirs",
    "take-factor": "an operator took a second factor off; sessions ended",
    "rotate-keys": "an operator made the next signing key",
    "drop-key": "an operator forgot a signing key",
    "export": "somebody gave out what is stored about a record, a team or a user",
    "erase": "an operator erased a record and what belongs to it",
    "back-up": "an operator copied the store to a file",
    "bring-back": "an operator put a copy back",
    "epoch": "an operator began a new epoch",
}

#: Whoever works at the command line; `shared.wiring.operator` knows the name. No user can be called so.
OPERATOR = Caller("~operator", "admin", "command-line")

#: Table → ids of its records.
Touched = Mapping[str, Sequence[str]]


def entries(
    caller: Caller,
    action: str,
    scope_id: str,
    touched: Touched,
    at_ms: int,
    *,
    identity: str | None = None,
) -> list[Write]:
    """The entries of one request in one scope.

    `identity` makes repetitions of a commit write the same entries: with it their ids are hashes.
    """
    writes = []
    for part, ids in enumerate(_parts(touched)):
        if identity is None:
            name, expect = uuid.uuid4().hex, ABSENT
        else:
            text = f"{identity}\n{scope_id}\n{part}"
            name, expect = hashlib.sha256(text.encode()).hexdigest(), None
        fields = _fields(caller, action, scope_id, ids, at_ms)
        writes.append(put(Key(COLLECTION, name), fields, expect))
    return writes


def right(
    caller: Caller,
    action: str,
    at_ms: int,
    scope_id: str = DEPLOYMENT,
    *,
    of: str | None = None,
    **said: str | int,
) -> Write:
    """The entry of a change of rights, for the commit that makes it. `of`: whose rights.

    Raises `KeyError` for an action that is not declared.
    """
    fields = _fields(caller, action, scope_id, {} if of is None else {"accounts": [of]}, at_ms)
    fields["said"] = said
    if action not in RIGHTS:
        raise KeyError(action)
    return put(Key(COLLECTION, uuid.uuid4().hex), fields, ABSENT)


def _fields(
    caller: Caller, action: str, scope_id: str, ids: Mapping[str, Sequence[str]], at_ms: int
) -> dict[str, Any]:
    return {
        SCOPE: scope_id,
        "user_id": caller.user_id,
        **({"name": caller.name} if caller.name else {}),
        "device": caller.device,
        "action": action,
        "at": at_ms,
        "ids": ids,
        "sealed": False,
    }


def _parts(touched: Touched) -> Iterator[dict[str, list[str]]]:
    part: dict[str, list[str]] = {}
    room = MOST_IDS
    for table, ids in touched.items():
        left = list(ids)
        while left:
            part.setdefault(table, []).extend(left[:room])
            taken = len(left[:room])
            left, room = left[taken:], room - taken
            if room == 0:
                yield part
                part, room = {}, MOST_IDS
    if part:
        yield part


def note(store: RecordStore, writes: Sequence[Write]) -> None:
    """Store the entries of a request that reads. Never raises a `Fault`.

    What cannot be stored goes to the log, whole: it holds ids, no content of records.
    """
    if not writes:
        return
    try:
        store.commit(writes)
    except Fault as fault:
        lost = [{"id": write.key.id, **write.fields} for write in writes]
        log.error("audit entries not stored", extra={"code": fault.code, "entries": lost})


def reading(
    store: RecordStore, caller: Caller, action: str, seen: Mapping[str, Touched], at_ms: int
) -> None:
    """Note what an answer shows, by scope. Never raises a `Fault`."""
    writes = [
        write
        for scope_id, touched in seen.items()
        for write in entries(caller, action, scope_id, touched, at_ms)
    ]
    note(store, writes)


class Sealer:
    """Chains new entries, scope by scope. `keep` takes each new head to a place outside the store."""

    def __init__(
        self, store: RecordStore, keep: Callable[[Anchor], None] = lambda _head: None
    ) -> None:
        self._store, self._keep = store, keep

    def seal(self, now_ms: int) -> int:
        """Some rounds; how many entries were sealed. May be repeated, killed and run twice at once.

        Entries are asked for in no order: an index that ends in the time would grow at one place, and
        Firestore bounds that at 500 writes a second for the whole deployment. Those of one round are
        chained by their time; if more wait than a round takes, later ones may come before earlier ones.
        """
        sealed = 0
        for _ in range(_ROUNDS):
            done, found = self._round(now_ms)
            sealed += done
            if done < found or found < _A_ROUND:  # no more wait, or another sweeper is at them
                break
        return sealed

    def _round(self, now_ms: int) -> tuple[int, int]:
        """How many were sealed, of how many."""
        query = Query(COLLECTION, where=(("sealed", "==", False),), limit=_A_ROUND)
        found = sorted(self._store.query(query), key=lambda each: each.fields["at"])
        found.sort(key=lambda each: str(each.fields[SCOPE]))
        parts = (found[at : at + _A_COMMIT] for at in range(0, len(found), _A_COMMIT))
        return sum(self._seal(part, now_ms) for part in parts), len(found)

    def _seal(self, documents: Sequence[Document], now_ms: int) -> int:
        """In one commit; scope by scope, if something of it changes at this very moment."""
        scopes = {
            scope: list(each) for scope, each in groupby(documents, lambda each: each.fields[SCOPE])
        }
        heads = _heads(self._store, scopes)
        writes, chained = [], []
        for scope_id, own in scopes.items():
            number, before, version = heads[scope_id]
            for document in own:
                number += 1
                link = _link(document.key.id, document.fields, number, before)
                fields = {"sealed": True, "number": number, "before": before, "hash": link}
                writes.append(patch(document.key, fields, document.version))
                before = link
            fields = {SCOPE: scope_id, "number": number, "hash": before, "at": now_ms}
            writes.append(put(Key(HEADS, scope_id), fields, version))
            chained.append(Anchor(scope_id, number, before))
        try:
            self._store.commit(writes)
        except Contended:
            if len(scopes) == 1:
                return 0  # another sweeper was at it
            return sum(self._seal(own, now_ms) for own in scopes.values())
        for head in chained:
            # The log is another place, with other keepers: a chain made anew would not match it.
            log.info("audit sealed", extra=_said(head))
            self._keep(head)
        return len(documents)


class _ChainHead(NamedTuple):
    number: int
    hash: str
    version: int


def _head(store: RecordStore, scope_id: str) -> _ChainHead:
    return _heads(store, [scope_id])[scope_id]


def _heads(store: RecordStore, scope_ids: Iterable[str]) -> dict[str, _ChainHead]:
    heads = {scope_id: _ChainHead(0, _ORIGIN, ABSENT) for scope_id in scope_ids}
    for key, found in store.read([Key(HEADS, each) for each in heads]).documents.items():
        have = found.fields
        heads[key.id] = _ChainHead(have["number"], have["hash"], found.version)
    return heads


def _link(entry_id: str, fields: Mapping[str, Any], number: int, before: str) -> str:
    content = {name: value for name, value in fields.items() if name not in _CHAIN}
    text = canonical({"before": before, "content": content, "id": entry_id, "number": number})
    return hashlib.sha256(text.encode()).hexdigest()


class Verified(NamedTuple):
    """What checking a scope's chain found. `faults` is empty if every entry is there, unaltered."""

    entries: int
    waiting: int  #: not sealed yet
    faults: list[str]


class Anchor(NamedTuple):
    """What stood in a place outside the store: at this number a scope's chain had this hash."""

    scope_id: str
    number: int
    hash: str


def verify(store: RecordStore, scope_id: str, anchors: Iterable[Anchor] = ()) -> Verified:
    """Check a scope's chain from its first entry to its head, and against what was kept outside.

    `stray` finds what is in no chain. Alone the chain cannot tell that its end was cut off together
    with its head, or that it was made anew: the anchors can.
    """
    faults: list[str] = []
    before, number = _ORIGIN, 0
    query = Query(
        COLLECTION, where=((SCOPE, "==", scope_id), ("number", ">", 0)), order=(("number", "asc"),)
    )
    wanted = {(each.number, each.hash) for each in anchors if each.scope_id == scope_id}
    numbers = {at for at, _ in wanted}
    head = _head(store, scope_id)
    for document in store.query(query):
        have = document.fields
        if not isinstance(have["number"], int):
            continue  # in no chain: `stray`
        if have["number"] > head.number:
            if _head(store, scope_id).number < have["number"]:
                faults.append(f"entry {have['number']} stands behind the head")
            break  # else it was sealed while we look
        if have["number"] != number + 1:
            faults.append(f"entries {number + 1} to {have['number'] - 1} are missing or repeated")
        elif have.get("before") != before:
            faults.append(f"entry {have['number']} does not follow the one before it")
        number, before = have["number"], str(have.get("hash"))
        if _link(document.key.id, have, number, str(have.get("before"))) != before:
            faults.append(f"entry {number} was altered")
        if number in numbers:
            wanted.discard((number, before))
    if (number, before) != (head.number, head.hash):
        faults.append(f"the chain ends at {number}, its head says {head.number}")
    # One that is newer than the head we read was kept while we look.
    newest = _head(store, scope_id).number if wanted else 0
    for at, _ in sorted(wanted):
        if not head.number < at <= newest:
            faults.append(f"the chain is not the one that was kept outside, from {at} or before")
            break
    unsealed = Query(COLLECTION, where=((SCOPE, "==", scope_id), ("sealed", "==", False)))
    return Verified(number, sum(1 for _ in store.query(unsealed)), faults)


def stray(store: RecordStore) -> dict[str, list[str]]:
    """Every scope that has entries or a head, and what is wrong with entries that are in no chain.

    An entry waits, or has its number: one that does neither was slipped in where nobody looks.
    """
    found: dict[str, list[str]] = {name: [] for name in scopes(store)}
    for entry in store.query(Query(COLLECTION, fields=(SCOPE, "sealed", "number"))):
        have = entry.fields
        faults = found.setdefault(str(have.get(SCOPE)), [])
        sealed, number = have.get("sealed"), have.get("number")
        whole = isinstance(number, int) and number > 0 if sealed is True else number is None
        if not isinstance(sealed, bool) or not whole:
            faults.append(f"entry {entry.key.id} is in no chain")
    return found


def anchors(lines: Iterable[str]) -> Iterator[Anchor]:
    """Heads that were kept: lines of `told`, or of logs as they are written or as Google exports them."""
    for line in lines:
        try:
            said = json.loads(line)
        except ValueError:
            continue
        for have in said if isinstance(said, list) else [said]:
            if isinstance(have, dict):
                have = have.get("jsonPayload", have)
                scope, number, link = (have.get(name) for name in ("scope", "number", "hash"))
                if isinstance(scope, str) and isinstance(number, int) and isinstance(link, str):
                    yield Anchor(scope, number, link)


def heads(store: RecordStore) -> Iterator[Anchor]:
    """The heads of now, to be kept elsewhere."""
    for each in store.query(Query(HEADS)):
        yield Anchor(each.key.id, int(each.fields["number"]), str(each.fields["hash"]))


def told(anchor: Anchor) -> str:
    """A head as one line."""
    return json.dumps(_said(anchor)) + "\n"


def _said(anchor: Anchor) -> dict[str, str | int]:
    return {"scope": anchor.scope_id, "number": anchor.number, "hash": anchor.hash}


def is_known(store: RecordStore, scope_id: str) -> bool:
    """Whether records of a scope were ever read or written."""
    unsealed = Query(COLLECTION, where=((SCOPE, "==", scope_id), ("sealed", "==", False)), limit=1)
    return _head(store, scope_id).version != ABSENT or any(store.query(unsealed))


def scopes(store: RecordStore) -> list[str]:
    """Every scope that has a chain."""
    return sorted(document.key.id for document in store.query(Query(HEADS)))
