"""The members of a scope: who they are, who may manage them, how they leave."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.access import audit, membership
from shared.access.membership import Caller
from shared.accounts import account as accounts
from shared.accounts.caller import Me, check, noted
from shared.accounts.contention import retried
from shared.accounts.policy import AccountPolicy
from shared.errors import Forbidden, NotFound
from shared.records.store import RecordStore, verify


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of a scope's list."""

    user_id: str
    role: str
    since_ms: int
    name: str | None
    email: str | None


@dataclass(frozen=True, slots=True)
class Members:
    """Lists members and ends memberships. All times are server ms; threads may share it."""

    store: RecordStore
    policy: AccountPolicy

    def managing(self, caller: Caller, scope_id: str, role: str | None = None) -> Me:
        """The caller, who may see and invite members. Raises `NotFound` (not a member), `Forbidden`."""
        me = check(self.store, caller)
        held = me.memberships.roles.get(scope_id)
        if held is None:
            raise NotFound("There is no such scope, or you are not in it.")
        if not self.policy.may_manage(held):
            raise Forbidden("Your role may not do this. Ask an admin.")
        if role is not None and not self.policy.may_invite(held, role):
            raise Forbidden("Your role may not give this role away.", field="role")
        return me

    def listed(self, caller: Caller, scope_id: str, after: str | None, limit: int) -> list[Member]:
        """Members of a scope, by user id. Raises `NotFound` (not a member), `Forbidden`."""
        self.managing(caller, scope_id)
        listed = membership.members(self.store, scope_id, after, limit)
        keys = [accounts.key(user_id) for user_id, _, _ in listed]
        known = self.store.read(keys, ["name", "email"]).documents if keys else {}
        found = []
        for (user_id, role, since), each in zip(listed, keys, strict=True):
            said: Any = known[each].fields if each in known else {}
            found.append(Member(user_id, role, since, said.get("name"), said.get("email")))
        return found

    def leave(self, caller: Caller, scope_id: str, now_ms: int) -> Me:
        """End the caller's own membership; harmless if there is none."""
        who = noted(check(self.store, caller).account, caller.device)
        entry = audit.right(who, "leave", now_ms, scope_id, of=caller.user_id)
        retried(lambda: membership.revoke(self.store, caller.user_id, scope_id, now_ms, [entry]))
        return check(self.store, caller)

    def put_out(self, caller: Caller, scope_id: str, user_id: str, now_ms: int) -> None:
        """End somebody's membership; harmless if it has ended.

        Of a role that the caller may give away; of oneself only by `leave`: so whoever puts people out
        stays. Raises `NotFound` (no such scope or member), `Forbidden`.
        """

        def attempt() -> None:
            me = self.managing(caller, scope_id)
            mine = me.memberships
            where = membership.key(user_id)
            reading = self.store.read([where])
            held = membership.known(user_id, reading.documents.get(where))
            if scope_id in held.left_ms:
                return
            theirs = held.roles.get(scope_id)
            if theirs is None:
                raise NotFound("There is no such member.")
            if user_id == caller.user_id:
                raise Forbidden("Nobody puts themselves out: leave instead.", field="user_id")
            if not self.policy.may_invite(mine.roles[scope_id], theirs):
                raise Forbidden("Your role may not end this membership. Ask an admin.")
            who = noted(me.account, caller.device)
            entry = audit.right(who, "put-out", now_ms, scope_id, of=user_id, role=theirs)
            still = verify(membership.key(caller.user_id), mine.version)
            ends = membership.revoking(reading, user_id, scope_id, now_ms)
            self.store.commit([*ends, entry, still])

        retried(attempt)
