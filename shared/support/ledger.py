"""The device ledger: one entry a phone, so that support sees phones that do not sync.

An entry says when the phone last tried and last succeeded, what came of it, and what it could not
deliver. Ids and codes only, no content. Written after the answer is made, when something
happened, when the outcome changed, and once a day; an idle pull writes nothing. A ledger that cannot
be written never fails a sync.

Of a user's phones the `MOST_OF_A_USER` are kept that were heard of last, and each for `KEPT_MS` after
that: so a team's ledger is bounded by its members. A phone that was forgotten is there again with its
next sync, and where it can be woken, with the next start of its app.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from shared.access import audit, membership
from shared.access.membership import Caller
from shared.errors import Fault, StoreUnavailable
from shared.records.insist import insist
from shared.records.store import (
    ABSENT,
    Document,
    Key,
    Query,
    RecordStore,
    StoredCollection,
    Write,
    delete,
    patch,
    put,
)
from shared.sync.exchange import Ignored, Outcome, Refusal
from shared.sync.session import Synced

log = logging.getLogger(__name__)

COLLECTION = "devices"

STORED = (StoredCollection(COLLECTION, (("user_id",), ("scopes contains",), ("expires_at",))),)

OK = "ok"

#: Where a phone can be woken, as it said itself; nobody is shown it.
PUSH_TOKEN = "push_token"  # noqa: S105  a field's name

#: Longest push token, characters; those of FCM have some 160.
LONGEST_TOKEN = 4096

#: Phones of one user; a team may share an account.
MOST_OF_A_USER = 50

#: How long a phone is kept that is not heard of, ms.
KEPT_MS = 180 * 86_400_000

#: An entry of a phone that is only idle is renewed this often; a failure that repeats, this often.
_IDLE_MS = 86_400_000
_FAILING_MS = 600_000

#: What the next entry of a phone takes over from the one before, or is compared with.
CARRIED = (
    *("app_version", "attempt_at", "clock_offset_ms", "cursor_ms", "failures", "ok_at", "outcome"),
    *("pulled", "pushed", "rejected", "scopes"),
)

#: Refused records and unknown columns named in an entry.
_MOST_NAMED = 20

_MOST_CHARACTERS = 128

#: How often a token is kept that meets the phone's first sync.
_ATTEMPTS = 3


@dataclass(slots=True)
class Attempt:
    """One attempt at a sync, as far as it got."""

    caller: Caller
    dialect: str  #: "batch" | "watermelon"
    at_ms: int
    scopes: Sequence[str] = ()
    outcome: str = OK  #: or the code of the answer
    app_version: str = ""
    clock_offset_ms: int | None = None
    bytes_in: int = 0
    bytes_out: int = 0
    pushed: dict[str, int] = field(default_factory=dict)
    pulled: dict[str, int] = field(default_factory=dict)
    rejected: Sequence[Refusal] = ()
    unknown: Mapping[str, Sequence[str]] = field(default_factory=dict)
    before: Document | None = None  #: the phone's entry until now
    cursor_ms: int | None = None  #: handed out by a complete pull that brought something

    @property
    def idle(self) -> bool:
        """Whether nothing went either way."""
        happened = (*self.pushed.values(), *self.pulled.values())
        return self.outcome == OK and not any(happened) and self.cursor_ms is None

    def take(self, outcome: Outcome) -> None:
        """Take over what became of the push."""
        self.pushed = {
            "accepted": sum(len(ids) for ids in outcome.accepted.values()),
            "written": outcome.written,
            "conflicts": len(outcome.conflicts),
            "rejected": len(outcome.rejected),
        }
        self.rejected = outcome.rejected


def unknown_columns(ignored: Sequence[Ignored]) -> dict[str, list[str]]:
    """Columns and tables that phones sent and no declaration knows: an app newer than the server."""
    named: dict[str, list[str]] = {}
    for item in ignored:
        if item.table is not None and item.code.startswith("unknown_"):
            columns = named.setdefault(item.table[:_MOST_CHARACTERS], [])
            if item.field and len(columns) < _MOST_NAMED:
                columns.append(item.field[:_MOST_CHARACTERS])
    return named


def key(caller: Caller) -> Key:
    """The address of a phone's entry."""
    return Key(COLLECTION, f"{caller.user_id}~{caller.device}")


def phone_of(caller: Caller, named: str | None) -> Caller:
    """The caller as the phone that a request names; phones that are not named cannot be told apart."""
    return caller if named is None else replace(caller, device=named)


def settle(store: RecordStore, attempt: Attempt, synced: Synced) -> None:
    """Write down an attempt whose pull has read its phone's entry (`Start.also`), once it is answered."""
    pull = synced.pull
    attempt.before, attempt.scopes = pull.also.get(key(attempt.caller)), pull.scopes
    note(store, attempt, synced.handed_out.entries())


def remember(
    store: RecordStore, attempt: Attempt, documents: Mapping[Key, Document] | None = None
) -> None:
    """Write down an attempt; what it was read with, if it was (`Push.also`). Never raises a `Fault`."""
    own, member = key(attempt.caller), membership.key(attempt.caller.user_id)
    try:
        if documents is None:
            documents = store.read([own, member]).documents
    except StoreUnavailable as error:
        log.warning("device ledger not written", extra={"code": error.code})
        return
    _look_back(attempt, documents)
    note(store, attempt)


def with_push(store: RecordStore, attempt: Attempt, outcome: Outcome) -> list[Write]:
    """The entry, for the commit of a push that has read it (`Push.also`, `Push.adds`)."""
    attempt.take(outcome)
    _look_back(attempt, outcome.also or {})
    return _news(store, attempt)


def _look_back(attempt: Attempt, documents: Mapping[Key, Document]) -> None:
    """Take over what was read with an attempt: its phone's entry until now, and the memberships."""
    user = attempt.caller.user_id
    attempt.before = documents.get(key(attempt.caller))
    attempt.scopes = membership.known(user, documents.get(membership.key(user))).scopes


def watched(
    store: RecordStore, attempt: Attempt, synced: Synced, pieces: Iterator[bytes]
) -> Iterator[bytes]:
    """The pieces of a streamed answer; when it ends, or breaks off, the attempt is written down.

    Only what is handed on to the end counts as delivered.
    """
    seen = synced.handed_out
    attempt.pulled = seen.counts
    attempt.outcome = "interrupted"
    try:
        for piece in pieces:
            attempt.bytes_out += len(piece)
            yield piece
            if seen.waiting >= audit.MOST_IDS:
                audit.note(store, seen.entries())
        attempt.outcome = OK
        attempt.cursor_ms = synced.pull.cursor_ms if any(attempt.pulled.values()) else None
    except Fault as fault:
        attempt.outcome = fault.code
        raise
    finally:
        settle(store, attempt, synced)


def note(store: RecordStore, attempt: Attempt, also: Sequence[Write] = ()) -> None:
    """Write the entry, if it says anything new, and in the same commit `also` (the audit's entries).

    Never raises a `Fault`: `also` goes to the log when it cannot be stored.
    """
    own = _news(store, attempt)
    if also:
        audit.note(store, [*also, *own])
    elif own:
        try:
            store.commit(own)
        except Fault as fault:
            log.warning("device ledger not written", extra={"code": fault.code})


def _news(store: RecordStore, attempt: Attempt) -> list[Write]:
    """The entry, if it says anything new."""
    before = {} if attempt.before is None else attempt.before.fields
    since = attempt.at_ms - int(before.get("attempt_at", 0))
    if attempt.idle and before.get("outcome") == OK and since < _IDLE_MS:
        return []
    failed = attempt.outcome != OK
    if failed and before.get("outcome") == attempt.outcome and since < _FAILING_MS:
        return []
    entry = _entry(attempt, before)
    if attempt.before is None:
        return [put(key(attempt.caller), entry, None), *_room_for(store, attempt.caller)]
    # Field by field: the phone may say at this very moment where it can be woken.
    return [patch(key(attempt.caller), {"unknown_columns": None, **entry}, None)]


def _room_for(store: RecordStore, caller: Caller) -> list[Write]:
    """What makes room for a phone that is new: those of its user that were silent the longest go."""
    query = Query(COLLECTION, where=(("user_id", "==", caller.user_id),), fields=("attempt_at",))
    try:
        others = [entry for entry in store.query(query) if entry.key != key(caller)]
    except Fault as fault:
        log.warning("device ledger not bounded", extra={"code": fault.code})
        return []
    others.sort(key=lambda entry: int(entry.fields.get("attempt_at", 0)))
    return [delete(entry.key) for entry in others[: max(0, len(others) + 1 - MOST_OF_A_USER)]]


def register(
    store: RecordStore, caller: Caller, scopes: Sequence[str], token: str | None, now_ms: int
) -> None:
    """Keep where the caller's phone can be woken (None: nowhere any more).

    Raises `Contended` if the entry appears and goes again and again.
    """
    own = key(caller)

    def attempt() -> None:
        if store.read([own], ("user_id",)).documents:
            store.commit([patch(own, {PUSH_TOKEN: token, "expires_at": ends(now_ms)}, None)])
        elif token is not None:
            met = Attempt(caller, "batch", now_ms, scopes)
            entry = {**_entry(met, {}), "ok_at": None, PUSH_TOKEN: token}
            store.commit([put(own, entry, ABSENT), *_room_for(store, caller)])

    insist(attempt, _ATTEMPTS)


def _entry(attempt: Attempt, before: Mapping[str, Any]) -> dict[str, Any]:
    failed = attempt.outcome != OK
    pushed, pulled = any(attempt.pushed.values()), any(attempt.pulled.values())
    fields: dict[str, Any] = {
        "user_id": attempt.caller.user_id,
        "device": attempt.caller.device,
        "scopes": list(attempt.scopes),
        "dialect": attempt.dialect,
        "attempt_at": attempt.at_ms,
        "expires_at": ends(attempt.at_ms),
        "ok_at": before.get("ok_at") if failed else attempt.at_ms,
        "outcome": attempt.outcome,
        "failures": int(before.get("failures", 0)) + 1 if failed else 0,
        "app_version": attempt.app_version[:_MOST_CHARACTERS] or before.get("app_version"),
        # WatermelonDB's pulls say nothing of the clock: what its last push said still holds.
        "clock_offset_ms": before.get("clock_offset_ms")
        if attempt.clock_offset_ms is None
        else attempt.clock_offset_ms,
        "bytes_in": attempt.bytes_in,
        "bytes_out": attempt.bytes_out,
        # What the last eventful push and pull were stays in sight.
        "pulled": attempt.pulled if pulled else before.get("pulled", {}),
        "pushed": attempt.pushed if pushed else before.get("pushed", {}),
        "cursor_ms": before.get("cursor_ms") if attempt.cursor_ms is None else attempt.cursor_ms,
        "rejected": _rejected(attempt.rejected) if pushed else _still_theirs(attempt, before),
    }
    if attempt.unknown:
        fields["unknown_columns"] = {table: list(n) for table, n in attempt.unknown.items()}
    return fields


def ends(at_ms: int) -> int:
    """Until when a phone is kept: a whole day, so that a day's syncs do not crowd one place of an index."""
    return (at_ms + KEPT_MS) // _IDLE_MS * _IDLE_MS + _IDLE_MS


def _still_theirs(attempt: Attempt, before: Mapping[str, Any]) -> Any:
    """What could not be delivered before, unless its scope may be one that the user has left: the
    people of the scopes of now must not learn ids of that one.
    """
    left = set(before.get("scopes", ())) - set(attempt.scopes)
    return [] if left else before.get("rejected", [])


def _rejected(refusals: Sequence[Refusal]) -> list[dict[str, str]]:
    return [
        {
            "table": item.table[:_MOST_CHARACTERS],
            "id": item.id[:_MOST_CHARACTERS],
            "code": item.code,
        }
        for item in refusals[:_MOST_NAMED]
    ]


def devices(
    store: RecordStore, scope_id: str, fields: tuple[str, ...] | None = None
) -> Iterator[Document]:
    """The entries of a scope's phones; `fields` masks them."""
    return store.query(Query(COLLECTION, where=(("scopes", "contains", scope_id),), fields=fields))


def handed_out_ms(store: RecordStore, user_id: str) -> int:
    """The newest cursor that any of a user's phones was given with changes, ms; 0 if none was.

    Everything that was committed before it, and that the user may read, was in an answer to a phone.
    """
    query = Query(COLLECTION, where=(("user_id", "==", user_id),), fields=("cursor_ms",))
    return max((int(entry.fields.get("cursor_ms", 0)) for entry in store.query(query)), default=0)


def problem(
    entry: Mapping[str, Any], now_ms: int, silent_ms: int, clock_tolerance_ms: int
) -> str | None:
    """What is wrong with a phone, in a line for support; None if nothing is."""
    if entry["outcome"] != OK:
        return f"the last {entry['failures']} syncs failed: {entry['outcome']}"
    if now_ms - int(entry["attempt_at"]) > silent_ms:
        return f"has not been heard of for {(now_ms - int(entry['attempt_at'])) // 86_400_000} days"
    if entry.get("rejected"):
        codes = sorted({item["code"] for item in entry["rejected"]})
        return f"could not deliver {len(entry['rejected'])} records: {', '.join(codes)}"
    if unknown := entry.get("unknown_columns"):
        named = ", ".join(
            f"{table}.{name}" if name else table
            for table, columns in sorted(unknown.items())
            for name in columns or ("",)
        )
        return f"sends what this server does not know and did not store: {named}"
    if abs(int(entry.get("clock_offset_ms") or 0)) > clock_tolerance_ms:
        return f"its clock is off by {int(entry['clock_offset_ms']) // 1000} seconds"
    return None
