"""The end of an account, by its owner or by an operator."""

from __future__ import annotations

from dataclasses import dataclass

from shared.access import audit, membership
from shared.access.audit import OPERATOR
from shared.access.membership import Caller, Memberships
from shared.accounts import account as accounts
from shared.accounts import session as sessions
from shared.accounts.account import Account
from shared.accounts.caller import Origin
from shared.accounts.contention import retried
from shared.accounts.credentials import Credentials
from shared.accounts.members import Members
from shared.records.store import Key, RecordStore, Snapshot, Write, delete


@dataclass(frozen=True, slots=True)
class Deletion:
    """Deletes accounts. All times are server ms; threads may share it."""

    store: RecordStore
    credentials: Credentials
    members: Members
    of_users: tuple[str, ...] = ()  #: collections with a document a user, under the user's id

    def delete_own(self, caller: Caller, password: str, origin: Origin, now_ms: int) -> None:
        """The end of the caller's account: see `delete`. Raises as `Sessions.end`.

        Nor may the last keeper of a scope go while others are in it: `Forbidden` (hand_over_first).
        """
        # of this person the trail gets the id alone
        who = Caller(caller.user_id, "", caller.device)

        def writes(present: Account, reading: Snapshot) -> list[Write]:
            held = membership.of(reading, caller.user_id)
            ends = self._ends(present, held, reading, now_ms)
            kept = {
                write.key: write
                for scope, role in held.roles.items()
                if len(membership.members(self.store, scope, limit=2)) > 1
                for write in self.members.kept(scope, caller.user_id, role)
            }
            return [*ends, *kept.values(), *_ended_by(who, held, now_ms, "delete-account", "leave")]

        self.credentials.prove(caller, password, origin, now_ms, writes)

    def delete(self, who: str, now_ms: int, by: Caller = OPERATOR) -> str:
        """The end of an account: e-mail, name, hash and sessions go, memberships end; the user id stays.

        What was written under the id stays, and nobody acts as it any more: its access tokens are
        refused at the next request. The e-mail may register again, as another user. Harmless if
        repeated. Raises `NotFound`.
        """

        def attempt() -> str:
            account, held = accounts.named(self.store, who)
            if not account.version and held.disabled_ms is not None:
                return held.user_id
            reading = self.store.read([membership.key(held.user_id)])
            ends = self._ends(account, held, reading, now_ms)
            noted = _ended_by(by, held, now_ms, "delete-user", "revoke")
            self.store.commit([*ends, *noted])
            return held.user_id

        return retried(attempt)

    def _ends(
        self, account: Account, held: Memberships, reading: Snapshot, now_ms: int
    ) -> list[Write]:
        writes = membership.ending(held, reading, now_ms)
        if account.version:
            writes.append(delete(accounts.key(account.user_id), account.version))
        if account.email is not None:
            writes.append(delete(accounts.login_key(account.email)))
        # Guarded by the membership: who writes one there verifies it.
        writes += [delete(Key(name, held.user_id)) for name in self.of_users]
        live = sessions.live(self.store, held.user_id)
        return [*writes, *(delete(each.key, each.version) for each in live)]


def _ended_by(
    who: Caller, held: Memberships, now_ms: int, action: str, in_scope: str
) -> list[Write]:
    """The entries of a deleted account, and of each membership that ended with it."""
    return [
        audit.right(who, action, now_ms, of=held.user_id),
        *(audit.right(who, in_scope, now_ms, scope, of=held.user_id) for scope in held.scopes),
    ]
