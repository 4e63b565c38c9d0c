"""The write path: a phone's changes become one atomic commit, without locks.

    fold    several edits of one record become one (`conflict.fold`)
    read    touched records, their parents, the memberships, the receipt: one snapshot
    decide  per record whether it is stored, merged, left or refused (`decision`, by the rule in `conflict`)
    commit  every accepted write with a precondition; what was only looked at gets a verify write

A precondition that fails means that somebody was faster, or that our own first attempt got through
and its answer was lost. Either way: read again and decide anew. Everything beside the records
(conflict log, quarantine, receipt) has an id that is a hash of its content, so that repeating it is
harmless. A push too big for one commit is decided whole, then applied in several, parents first; if
one of them fails, the same push sent again completes it.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain

import orjson

from shared.access import audit, membership
from shared.access.membership import Caller
from shared.access.rights import Action
from shared.errors import CommitTooBig, Contended
from shared.records import record
from shared.records.collection import MAX_RECORD_BYTES, Catalog
from shared.records.insist import insist
from shared.records.killpoints import reach
from shared.records.store import (
    ABSENT,
    MAX_COMMIT_BYTES,
    MAX_COMMIT_WRITES,
    STAMP,
    Document,
    Key,
    RecordStore,
    Snapshot,
    Write,
    verify,
)
from shared.sync import receipts
from shared.sync.conflict import fold
from shared.sync.decision import Decision
from shared.sync.exchange import Conflict, Entry, Held, Outcome, Push, Refusal
from shared.sync.journal import Step, size_of

#: A push beyond either of these may take several commits, bytes and records.
ONE_COMMIT_BYTES = 1_000_000
ONE_COMMIT_ENTRIES = 150

#: An unreachable store is asked this often; a phone is better told soon.
_UNREACHABLE_ATTEMPTS = 2


class _Limits:
    """How much goes into one commit; halved when the store says that it was too much."""

    def __init__(self) -> None:
        # Room is left for the receipt and the verify write of the memberships.
        self.writes = MAX_COMMIT_WRITES - 10
        self.size = MAX_COMMIT_BYTES - 300_000

    def halve(self) -> None:
        if self.writes < 8:
            raise CommitTooBig("One record with its effects is larger than a commit may be.")
        self.writes //= 2
        self.size //= 2


@dataclass(slots=True)
class _Pending:
    """A push on its way: what its attempts share."""

    caller: Caller
    push: Push
    now_ms: int
    entries: Sequence[Entry]
    receipt: Key
    keys: list[Key]
    part: Key | None = None  #: where a push that may take several commits keeps its verdicts so far
    tried: dict[Key, Conflict] = field(default_factory=dict)
    limits: _Limits = field(default_factory=_Limits)
    attempts: int = 0


class Pusher:
    """Applies pushes. Safe to share between threads.

    `clock_tolerance_ms`: a phone's clock may be ahead this much before its times are shifted.
    `wait` sleeps between attempts (a parameter, so that tests need not).
    """

    def __init__(
        self,
        store: RecordStore,
        catalog: Catalog,
        *,
        attempts: int = 8,
        clock_tolerance_ms: int = 120_000,
        receipt_days: int = 7,
        wait: Callable[[float], None] = time.sleep,
    ) -> None:
        self.store = store
        self.catalog = catalog
        self.attempts = attempts
        self.clock_tolerance_ms = clock_tolerance_ms
        self.receipt_days = receipt_days
        self._wait = wait
        self._order = {item.name: place for place, item in enumerate(catalog.collections)}
        wanted = {*record.META, STAMP, *membership.FIELDS, "verdicts"}
        for item in catalog.collections:
            wanted.update(item.context, item.client_fields, item.server_scalars)
        self._mask = tuple(sorted(wanted))

    def push(self, caller: Caller, push: Push, now_ms: int) -> Outcome:
        """Store what can be stored; say what became of the rest.

        Raises `StalePush` (only with `pulled_first`; nothing was applied), `Contended` (with
        `retry_after_s`) when others were faster in every attempt, and `StoreUnavailable`. After any
        of them the same push may be sent again without harm.
        """
        entries, gone = fold(push.entries)
        entries.sort(key=lambda entry: self._order[entry.collection.name])  # parents first
        if gone:
            push = replace(push, refusals=[*push.refusals, *gone])
        receipt = receipts.key(caller, push)
        if not entries and not push.refusals:
            return Outcome(receipt.id)
        pending = _Pending(
            caller, push, now_ms, entries, receipt, self._keys(caller, receipt, entries, push.also)
        )
        if len(entries) > ONE_COMMIT_ENTRIES or push.size > ONE_COMMIT_BYTES:
            pending.part = receipts.part_of(receipt)
            pending.keys.append(pending.part)
        return insist(
            lambda: self._attempt(pending),
            self.attempts,
            busy="These records are being changed by others right now. Send the same request again.",
            retry_after_s=round(random.uniform(1, 5), 1),  # noqa: S311  spreads phones
            unreachable=_UNREACHABLE_ATTEMPTS,
            wait=self._wait,
        )

    def _attempt(self, pending: _Pending) -> Outcome:
        """Read, decide and commit once. Raises `Contended` when it is worth another attempt."""
        pending.attempts += 1
        caller, push, receipt, part = pending.caller, pending.push, pending.receipt, pending.part
        entries = pending.entries
        if part is not None:
            # A big one that was answered already must not read all of its records again.
            earlier = self.store.read([receipt]).documents.get(receipt)
            if earlier is not None:
                return self._replay(caller, entries, earlier, None)
        mask: Sequence[str] = self._mask
        if push.also:
            mask = sorted({*mask, *chain.from_iterable(push.also.values())})
        reading = self.store.read(pending.keys, mask)
        earlier = reading.documents.get(receipt)
        asked = (membership.key(caller.user_id), *push.also)
        also = {key: reading.documents[key] for key in asked if key in reading.documents}
        if earlier is not None:
            return replace(self._replay(caller, entries, earlier, reading), also=also)
        if part in reading.documents:
            pending.tried.update(_tried(reading.documents[part]))
        decision = Decision(
            self.store,
            self.catalog,
            caller,
            push,
            pending.now_ms,
            reading,
            keys=pending.keys,
            tried=pending.tried,
            echo=push.echo or receipt.id,
            clock_tolerance_ms=self.clock_tolerance_ms,
        )
        decision.outcome.attempts, decision.outcome.also = pending.attempts, also
        try:
            decision.load(entries)
            decision.decide(entries)
            decision.leave_to_listing()
            self._apply(decision, receipt, part, pending.limits)
        except CommitTooBig as error:
            pending.limits.halve()
            raise Contended("Too much for one commit: make smaller ones.") from error
        return decision.outcome

    def _replay(
        self,
        caller: Caller,
        entries: Sequence[Entry],
        receipt: Document,
        reading: Snapshot | None,
    ) -> Outcome:
        """The verdicts of an earlier attempt of the very same push. Updates are read afresh.

        Values of records that the caller may no longer read are not told again. `reading` is of all
        records, if they were read.
        """
        kept = orjson.loads(receipt.fields["verdicts"])
        outcome = Outcome(receipt.key.id, replayed=True)
        found = [Conflict(**item) for item in kept["conflicts"]]
        if found:
            if reading is None:
                told = [Key(item.table, item.id) for item in found]
                reading = self.store.read([membership.key(caller.user_id), *told], self._mask)
            readable = _readable(self.catalog, caller, reading)
            outcome.conflicts = [item for item in found if Key(item.table, item.id) in readable]
        outcome.rejected = [Refusal(**item) for item in kept["rejected"]]
        outcome.show = {Key(*item): None for item in kept["show"]}
        outcome.digest = kept.get("digest", {})
        taken = {Key(*item) for item in kept["taken"]}  # of what was refused in another copy
        refused = {Key(item.table, item.id) for item in outcome.rejected} - taken
        for entry in entries:
            if entry.key not in refused:
                outcome.accepted.setdefault(entry.collection.name, []).append(entry.id)
                outcome.held[entry.key] = Held(entry)
        return outcome

    def _keys(
        self, caller: Caller, receipt: Key, entries: Sequence[Entry], also: Iterable[Key]
    ) -> list[Key]:
        keys = dict.fromkeys((membership.key(caller.user_id), receipt, *also))
        for entry in entries:
            keys[entry.key] = None
            parent = entry.collection.parent
            if parent is not None and entry.coerced is not None:
                parent_id = entry.coerced.values.get(parent.name)
                if parent_id is not None:
                    keys[Key(str(parent.references), parent_id)] = None
        return list(keys)

    def _apply(self, decision: Decision, receipt: Key, part: Key | None, limits: _Limits) -> None:
        """Apply the steps, in one commit if they fit, the receipt in the last one.

        Each commit before the last keeps the verdicts so far in `part`, so that the same push sent
        again names the same conflicts.
        """
        reach("push.read")
        outcome = decision.outcome
        outcome.receipt_id = receipt.id
        outcome.digest = {table: tally.value() for table, tally in decision.tallies.items()}
        decision.journal.settle()
        if not decision.steps:
            return  # every record was there already: a replay writes nothing
        adds = decision.request.adds
        # Only once: what a push brings along must not keep it from being stored.
        added = adds(outcome) if adds is not None and outcome.attempts == 1 else ()
        steps = [
            *decision.steps,
            *_audited(decision, receipt),
            *(Step([write], size_of(write)) for write in added),
            self._receipt(receipt, decision),
        ]
        versions: dict[Key, int] = {}
        batch: dict[Key, Write] = {}
        guards: dict[Key, None] = {}
        size = 0
        for step in steps:
            full = len(batch) + len(guards) + len(step.writes) + 1 > limits.writes
            if batch and (full or size + step.size > limits.size):
                if part is not None:
                    batch.update(
                        (write.key, write) for write in self._receipt(part, decision).writes
                    )
                self._commit(decision, batch, guards, versions)
                reach("push.committed_part")
                batch, guards, size = {}, {}, 0
            for write in step.writes:
                batch[write.key] = write
            if step.guard is not None:
                guards[step.guard] = None
            size += step.size
        self._commit(decision, batch, guards, versions)
        outcome.added = bool(added)
        reach("push.committed")
        for key, held in outcome.held.items():
            if not held.version and key in versions:
                outcome.held[key] = held._replace(version=versions[key])

    def _commit(
        self,
        decision: Decision,
        batch: Mapping[Key, Write],
        guards: Iterable[Key],
        versions: dict[Key, int],
    ) -> None:
        writes = list(batch.values())
        for key in guards:
            if key not in batch:
                document = decision.documents.get(key)
                version = versions.get(key) or (document.version if document else ABSENT)
                writes.append(verify(key, version))
        # The answer rests on the memberships that were read: they must still hold.
        writes.append(verify(membership.key(decision.caller.user_id), decision.members.version))
        version = self.store.commit(writes)
        versions.update(dict.fromkeys(batch, version))

    def _receipt(self, key: Key, decision: Decision) -> Step:
        outcome = decision.outcome
        accepted = {Key(table, name) for table, ids in outcome.accepted.items() for name in ids}
        verdicts = {
            "conflicts": [
                {
                    "table": item.table,
                    "id": item.id,
                    "winner": item.winner,
                    "reason": item.reason,
                    "yours": dict(item.yours),
                    "theirs": dict(item.theirs),
                    "columns": list(item.columns),
                }
                for item in outcome.conflicts
            ],
            "rejected": [
                {
                    "table": item.table,
                    "id": item.id,
                    "field": item.field,
                    "code": item.code,
                    "message": item.message,
                }
                for item in outcome.rejected
            ],
            "show": [list(item) for item in outcome.show],
            "taken": [
                [item.table, item.id]
                for item in outcome.rejected
                if (item.table, item.id) in accepted
            ],
            "digest": outcome.digest,
        }
        data = orjson.dumps(verdicts)
        if len(data) > MAX_RECORD_BYTES:
            # Too many verdicts to keep: a replay decides anew, and finds everything in place.
            return Step([], 0)
        expires_at = decision.now_ms + self.receipt_days * 86_400_000
        write = receipts.keep(key, data.decode(), expires_at)
        return Step([write], size_of(write))


def _audited(decision: Decision, receipt: Key) -> list[Step]:
    """The audit entries of a push: in its last commit, with its receipt."""
    identity = f"push\n{receipt.id}\n{decision.now_ms}"
    return [
        Step([write], size_of(write))
        for scope_id, ids in decision.touched.items()
        for write in audit.entries(
            decision.caller, "push", scope_id, ids, decision.now_ms, identity=identity
        )
    ]


def _readable(catalog: Catalog, caller: Caller, reading: Snapshot) -> set[Key]:
    """The records of a reading that the caller may read at that moment."""
    own = membership.key(caller.user_id)
    roles = membership.parse(caller.user_id, reading.documents.get(own)).roles
    return {
        key
        for key, document in reading.documents.items()
        if catalog.may(roles.get(str(document.fields.get(record.SCOPE))), Action.READ)
    }


def _tried(part: Document) -> dict[Key, Conflict]:
    """Verdicts of a push that got no further than some of its commits."""
    kept = [Conflict(**item) for item in orjson.loads(part.fields["verdicts"])["conflicts"]]
    return {Key(item.table, item.id): item for item in kept if item.winner == "client"}
