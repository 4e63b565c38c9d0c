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
from shared.records.store import RecordStore, Write, verify


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
        """End the caller's own membership; harmless if there is none.

        Raises `Forbidden` (hand_over_first).
        """

        def attempt() -> None:
            me = check(self.store, caller)
            who = noted(me.account, caller.device)
            entry = audit.right(who, "leave", now_ms, scope_id, of=caller.user_id)
            kept = self.kept(scope_id, caller.user_id, me.memberships.roles.get(scope_id))
            membership.revoke(self.store, caller.user_id, scope_id, now_ms, [entry, *kept])

        retried(attempt)
        return check(self.store, caller)

    def change_role(
        self, caller: Caller, scope_id: str, user_id: str, role: str, now_ms: int
    ) -> None:
        """Give a member, or oneself, another role; harmless if it is theirs already.

        The caller may give away both roles. The member's phones get the scope anew. Raises `NotFound` (no
        such scope or member), `Forbidden` (hand_over_first: the last keeper of a scope makes another one
        before).
        """

        def attempt() -> None:
            me = self.managing(caller, scope_id, role)
            mine = me.memberships
            where = [membership.key(user_id), membership.member_key(scope_id, user_id)]
            reading = self.store.read(where)
            theirs = membership.role_of(user_id, reading.documents.get(where[0]), scope_id)
            if theirs is None:
                raise NotFound("There is no such member.")
            if theirs == role:
                return
            if not self.policy.may_invite(mine.roles[scope_id], theirs):
                raise Forbidden("Your role may not change this membership. Ask an admin.")
            who = noted(me.account, caller.device)
            writes = [
                *membership.granting(reading, user_id, scope_id, role, now_ms),
                audit.right(
                    who, "change-role", now_ms, scope_id, of=user_id, role=role, before=theirs
                ),
            ]
            still = [] if role in self.policy.keepers else self.kept(scope_id, user_id, theirs)
            own = verify(membership.key(caller.user_id), mine.version)
            if user_id != caller.user_id and own not in still:
                still.append(own)
            self.store.commit([*writes, *still])

        retried(attempt)

    def kept(self, scope_id: str, user_id: str, role: str | None) -> list[Write]:
        """What must still hold when a member's role ends: a scope that has keepers keeps another one.

        Raises `Forbidden` (hand_over_first).
        """
        if role not in self.policy.keepers:
            return []
        for other, listed, _ in membership.everybody(self.store, scope_id):
            if other == user_id or listed not in self.policy.keepers:
                continue
            key = membership.key(other)
            document = self.store.read([key]).documents.get(key)
            if document and membership.role_of(other, document, scope_id) in self.policy.keepers:
                return [verify(key, document.version)]
        raise Forbidden(
            "You are the last who looks after this scope: give somebody in it your role first.",
            code="hand_over_first",
            field="scope_id",
        )

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
