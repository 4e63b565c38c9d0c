"""Scopes: made by a user, who is their first member."""

from __future__ import annotations

import secrets
from dataclasses import dataclass

from shared.access import audit, membership
from shared.access.membership import Caller
from shared.accounts import account as accounts
from shared.accounts.caller import Me, check, noted
from shared.accounts.contention import retried
from shared.accounts.policy import AccountPolicy
from shared.errors import Forbidden, Taken
from shared.records.store import ABSENT, RecordStore, Snapshot, Write, put


@dataclass(frozen=True, slots=True)
class Scopes:
    """Makes scopes. All times are server ms; threads may share it."""

    store: RecordStore
    policy: AccountPolicy

    def make(self, caller: Caller, scope_id: str | None, name: str, now_ms: int) -> tuple[str, Me]:
        """A new scope with the caller as its first member. Repeating it with the same id is harmless.

        Raises `Forbidden`, `Taken` (scope_taken).
        """
        me = check(self.store, caller)
        makers = self.policy.scope_makers
        if makers is not None and makers.isdisjoint(me.memberships.roles.values()):
            raise Forbidden("Your role may not do this. Ask an admin.")
        if self.policy.must_leave_first(me.memberships.roles.values(), self.policy.founder):
            raise Forbidden("This account is in one place at a time. Leave the other one before.")
        named = scope_id or new_scope_id()
        about, mine = accounts.scope_key(named), accounts.key(caller.user_id)

        def attempt() -> None:
            listed = membership.member_key(named, caller.user_id)
            reading = self.store.read([about, mine, membership.key(caller.user_id), listed])
            known = reading.documents.get(about)
            # a scope that everybody has left still has its records: who takes its id must not get them
            if (
                known is not None
                or membership.has_members(self.store, named)
                or audit.is_known(self.store, named)
            ):
                if known is not None and known.fields.get("made_by") == caller.user_id:
                    return
                raise Taken(
                    "This id is taken. Make another one.", code="scope_taken", field="scope_id"
                )
            who = noted(me.account, caller.device)
            writes = founding(reading, who, named, name, self.policy.founder, now_ms)
            if mine not in reading.documents:
                writes.append(put(mine, accounts.first_fields(caller.user_id, now_ms), ABSENT))
            self.store.commit(writes)

        retried(attempt)
        return named, check(self.store, caller)


def founding(
    reading: Snapshot, who: Caller, scope_id: str, name: str, role: str, now_ms: int
) -> list[Write]:
    """Writes that make a scope with its first member, given the member's documents."""
    about = {"name": name, "made_by": who.user_id, "made_at": now_ms}
    return [
        put(accounts.scope_key(scope_id), about, ABSENT),
        *membership.granting(reading, who.user_id, scope_id, role, now_ms),
        audit.right(who, "found", now_ms, scope_id, of=who.user_id, role=role),
    ]


def new_scope_id() -> str:
    """An id for a new scope."""
    return f"s-{secrets.token_hex(12)}"
