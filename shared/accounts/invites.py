"""Invites: members of a scope let others in by codes (`invite.py`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from shared.access import audit, membership
from shared.access.audit import OPERATOR
from shared.access.membership import Caller
from shared.accounts import account as accounts
from shared.accounts import invite as invites
from shared.accounts import throttle
from shared.accounts.caller import Me, Origin, check, noted
from shared.accounts.contention import retried
from shared.accounts.invite import Invite
from shared.accounts.members import Members
from shared.accounts.throttle import Gate
from shared.errors import Forbidden, NotFound
from shared.records.store import ABSENT, Key, RecordStore, Snapshot, Write, put, verify


@dataclass(frozen=True, slots=True)
class Invites:
    """Makes codes and lets people in by them. All times are server ms; threads may share it."""

    store: RecordStore
    members: Members
    secret: bytes  #: keys the names of codes and gates
    tables: tuple[str, ...] = ()  #: those that hold the records of scopes

    def give(
        self, caller: Caller, scope_id: str, role: str, days: float, uses: int, now_ms: int
    ) -> tuple[str, Invite]:
        """A new code for a scope. Raises `NotFound` (not a member), `Forbidden`."""
        who = noted(self.members.managing(caller, scope_id, role).account, caller.device)
        return self.make(who, scope_id, role, days, uses, now_ms)

    def make(
        self, who: Caller, scope_id: str, role: str, days: float, uses: int, now_ms: int
    ) -> tuple[str, Invite]:
        """A new code, whoever asks: for operators."""
        ends = now_ms + round(days * 86_400_000)
        invite = Invite(scope_id, role, who.user_id, now_ms, ends, uses)
        # The code itself stays unsaid: whoever reads the trail must not get in by it.
        entry = audit.right(who, "invite", now_ms, scope_id, role=role, uses=uses, expires_at=ends)

        def attempt() -> str:
            code = invites.new_code()
            # an expired invite of the same code may still be there: another code is made then
            made = put(invites.key(code, self.secret), invite.fields, ABSENT)
            self.store.commit([made, entry])
            return code

        return retried(attempt), invite

    def listed(self, caller: Caller, scope_id: str, now_ms: int) -> list[tuple[str, Invite]]:
        """Codes of a scope that still admit somebody, the newest first: ids and what they promise.

        The codes themselves are not stored. Raises `NotFound` (not a member), `Forbidden`.
        """
        self.members.managing(caller, scope_id)
        found = [
            (each.key.id, invites.parse(each)) for each in invites.of_scope(self.store, scope_id)
        ]
        good = [each for each in found if each[1].holds(now_ms)]
        return sorted(good, key=lambda each: each[1].made_ms, reverse=True)

    def void(self, caller: Caller, scope_id: str, invite_id: str, now_ms: int) -> None:
        """A code admits nobody any more, whoever made it; harmless if it does not. Raises as `listed`."""
        where = invites.key_of(invite_id)

        def attempt() -> None:
            me = self.members.managing(caller, scope_id)
            found = self.store.read([where]).documents.get(where)
            invite = None if found is None else invites.parse(found)
            if found is None or invite is None or invite.scope_id != scope_id:
                raise NotFound("There is no such code.")
            if not invite.holds(now_ms):
                return
            who = noted(me.account, caller.device)
            self.store.commit(
                [
                    put(where, invite.void().fields, found.version),
                    verify(membership.key(caller.user_id), me.memberships.version),
                    audit.right(who, "void-invite", now_ms, scope_id, role=invite.role),
                ]
            )

        retried(attempt)

    def join(self, caller: Caller, code: str, origin: Origin, now_ms: int) -> Me:
        """Make the caller a member by a code. A member stays what they are, and uses nothing up.

        A scope of the caller's own that came with the account (`AccountPolicy.founds`), in which nobody
        else is and nothing was written, ends in the same commit: the caller's phones know one scope.

        Raises `Forbidden` (invite_invalid), `TooManyTries`.
        """
        gates = [
            throttle.gate("invite-account", invites.TRIES, self.secret, caller.user_id),
            throttle.gate("invite-address", invites.TRIES, self.secret, origin.address),
        ]

        def attempt() -> list[str]:
            mine = accounts.key(caller.user_id)
            keys = [mine, membership.key(caller.user_id), *self.keys(code)]
            reading = throttle.read(self.store, gates, keys)
            throttle.demand(gates, reading, now_ms)
            # a repetition whose answer was lost finds the code used up, by this very user
            held = membership.of(reading, caller.user_id)
            invite = self._known(reading, code)
            if invite is not None and invite.scope_id in held.roles:
                return []
            invite, use = self.admitted(reading, code, gates, now_ms)
            empty = [each for each in held.scopes if self._is_unused(each, caller.user_id)]
            kept = [held.roles[each] for each in held.scopes if each not in empty]
            if self.members.policy.must_leave_first(kept, invite.role):
                raise Forbidden(
                    "This account is in one place at a time. Leave the other one before.",
                    code="invite_invalid",
                    field="invite_code",
                )
            writes = [
                *use,
                *invites.granting(reading, caller.user_id, invite, now_ms, empty),
                *(audit.right(who, "leave", now_ms, each, of=caller.user_id) for each in empty),
                *throttle.unchanged(gates, reading),
                joined(who, invite, now_ms),
            ]
            if mine not in reading.documents:
                writes.append(put(mine, accounts.first_fields(caller.user_id, now_ms), ABSENT))
            self.store.commit(writes)
            return empty

        who = noted(check(self.store, caller).account, caller.device)
        for scope in retried(attempt):
            if has_records(self.store, self.tables, scope):
                # A phone wrote in between. Nobody can from now on: the scope stays the caller's.
                founder = self.members.policy.founder
                entry = audit.right(who, "found", now_ms, scope, of=caller.user_id, role=founder)
                membership.grant(self.store, caller.user_id, scope, founder, now_ms, [entry])
        return check(self.store, caller)

    def _is_unused(self, scope_id: str, user_id: str) -> bool:
        """Whether a scope came with somebody's account, and nobody ever used it."""
        if not self.members.policy.founds:
            return False
        about = accounts.scope_key(scope_id)
        made = self.store.read([about]).documents.get(about)
        if made is None or made.fields.get("made_by") != user_id:
            return False
        alone = len(membership.members(self.store, scope_id, limit=2)) == 1
        return alone and not has_records(self.store, self.tables, scope_id)

    def admitted(
        self, reading: Snapshot, code: str | None, gates: Sequence[Gate], now_ms: int
    ) -> tuple[Invite, list[Write]]:
        """The invite of a good code, and the writes that use it. Counts a wrong one."""
        invite = self._known(reading, code)
        backing = None if invite is None else self._backing(invite)
        if invite is None or not invite.holds(now_ms) or backing is None:
            self.store.commit(throttle.count(gates, reading, now_ms))
            raise Forbidden(
                "This code admits nobody: mistyped, expired or used up. Ask for another one.",
                code="invite_invalid",
                field="invite_code",
            )
        [where] = self.keys(code)
        return invite, [
            put(where, invite.used().fields, reading.documents[where].version),
            *backing,
        ]

    def keys(self, code: str | None) -> list[Key]:
        """What must be read to know a code; nothing where there is none, or it can be none."""
        normal = None if code is None else invites.normal_code(code)
        return [] if normal is None else [invites.key(normal, self.secret)]

    def _known(self, reading: Snapshot, code: str | None) -> Invite | None:
        for where in self.keys(code):
            if where in reading.documents:
                return invites.parse(reading.documents[where])
        return None

    def _backing(self, invite: Invite) -> list[Write] | None:
        """What must still hold for a code to be good: whoever made it may still give the role away.

        So codes end with the rights of their maker: somebody who was put out, or whose phone was
        stolen, lets nobody in any more. None: it holds no more.
        """
        if invite.made_by == OPERATOR.user_id:
            return []
        where = membership.key(invite.made_by)
        found = self.store.read([where]).documents.get(where)
        role = membership.role_of(invite.made_by, found, invite.scope_id)
        if found is None or not self.members.policy.may_invite(role, invite.role):
            return None
        return [verify(where, found.version)]


def has_records(store: RecordStore, tables: Sequence[str], scope_id: str) -> bool:
    """Whether anything was ever stored in a scope, deleted records included."""
    read_at = store.read([accounts.scope_key(scope_id)]).read_at
    return any(True for table in tables for _ in store.changes(table, (scope_id,), 0, read_at))


def joined(who: Caller, invite: Invite, now_ms: int) -> Write:
    """The entry of the trail about somebody who came in by an invite."""
    said = {"role": invite.role, "invited_by": invite.made_by}
    return audit.right(who, "join", now_ms, invite.scope_id, of=who.user_id, **said)
