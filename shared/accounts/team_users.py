"""What admins of teams do about the accounts of their people.

An account is its owner's in every team. So an admin acts only on somebody who is in no other team than
those that this admin administers, and whose role this admin may give away; everybody else is for an
operator. The admin shows their password, and each of the user's teams gets an entry in its trail.

A second factor is never taken off here: with another password it would be the whole account.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from shared.access import audit, membership
from shared.access.membership import Caller, Memberships
from shared.accounts import account as accounts
from shared.accounts import session as sessions
from shared.accounts.account import Account
from shared.accounts.caller import Origin, check, noted
from shared.accounts.credentials import Credentials
from shared.accounts.oidc import OUTSIDE
from shared.accounts.passwords import Passwords
from shared.accounts.policy import AccountPolicy
from shared.accounts.session import Session
from shared.errors import Forbidden, NotFound
from shared.records.store import RecordStore, Snapshot, Write, verify

#: Bytes of a password that is made here: 96 bits.
_PASSWORD_BYTES = 12

#: Members read at a time, and looked at in one search.
_BATCH, _LOOKED_AT = 200, 2_000

#: Why an admin may not act on somebody.
ELSEWHERE, YOURSELF, ABOVE = "elsewhere", "yourself", "above"
HINDRANCES = (ELSEWHERE, YOURSELF, ABOVE)


@dataclass(frozen=True, slots=True)
class TeamUser:
    """Somebody in a team, as its admin sees them. `hindered`: why the admin may not act; None: they may."""

    account: Account
    roles: dict[str, str]  #: in the teams that the admin administers
    since_ms: int
    disabled_ms: int | None
    hindered: str | None


@dataclass(frozen=True, slots=True)
class TeamUsers:
    """Acts of admins. All times are server ms; threads may share it."""

    store: RecordStore
    policy: AccountPolicy
    passwords: Passwords
    credentials: Credentials
    administrators: frozenset[str]  #: the roles that administer

    def listed(
        self, caller: Caller, scope_id: str, search: str, after: str | None, limit: int
    ) -> tuple[list[TeamUser], str | None]:
        """Members of a team by user id, those alone that a search fits; and behind whom to go on.

        A search is part of a name, an e-mail address or an id. Raises `NotFound` (not a member),
        `Forbidden`.
        """
        mine = check(self.store, caller).memberships
        if scope_id not in mine.roles:
            raise NotFound("There is no such scope, or you are not in it.")
        if scope_id not in self._mine(mine):
            raise Forbidden("Your role may not do this. Ask an admin.")
        found: list[TeamUser] = []
        looked = 0
        for user in self._members(mine, scope_id, after):
            if len(found) == limit or looked == _LOOKED_AT:
                return found, after
            looked, after = looked + 1, user.account.user_id
            if _fits(user.account, search):
                found.append(user)
        return found, None

    def one(self, caller: Caller, user_id: str) -> TeamUser:
        """Somebody in a team that the caller administers. Raises `NotFound`, `Forbidden`."""
        mine = check(self.store, caller).memberships
        return self._known(mine, *self._read(user_id))

    def sessions(self, caller: Caller, user_id: str, now_ms: int) -> list[Session]:
        """Where somebody is logged in, the last used first; of those alone on whom the caller may act.

        Raises `NotFound`, `Forbidden`.
        """
        user = self.one(caller, user_id)
        if user.hindered is not None:
            return []
        return sessions.in_use(self.store, user.account, now_ms)

    def disable(
        self, caller: Caller, user_id: str, password: str, origin: Origin, now_ms: int
    ) -> None:
        """Nobody acts as this user from the next request on; harmless if repeated.

        This and the next ones raise `NotFound`, `Forbidden`, and what `Credentials.prove` does.
        """
        self._act(
            "disable-user",
            lambda account, held: [
                membership.disabling(held, now_ms),
                *([accounts.raised(account)] if account.version else []),
            ],
            *(caller, user_id, password, origin, now_ms),
            done=lambda held: held.disabled_ms is not None,
        )

    def enable(
        self, caller: Caller, user_id: str, password: str, origin: Origin, now_ms: int
    ) -> None:
        """The user may log in again; harmless if repeated."""
        self._act(
            "enable-user",
            lambda _account, held: [membership.disabling(held, None)],
            *(caller, user_id, password, origin, now_ms),
            done=lambda held: held.disabled_ms is None,
        )

    def end_sessions(
        self, caller: Caller, user_id: str, password: str, origin: Origin, now_ms: int
    ) -> None:
        """All sessions of the user end."""
        self._act(
            "end-user-sessions",
            lambda account, held: [
                verify(membership.key(held.user_id), held.version),
                accounts.raised(account),
            ],
            *(caller, user_id, password, origin, now_ms),
        )

    def reset(
        self, caller: Caller, user_id: str, password: str, origin: Origin, now_ms: int
    ) -> str:
        """Another password for the user, made here, to be told once; all their sessions end."""
        made = secrets.token_urlsafe(_PASSWORD_BYTES)
        fresh: list[str] = []  # the hash, made once, and only if the admin's password is right

        def writes(account: Account, held: Memberships) -> list[Write]:
            if account.email is None or account.user_id.startswith(OUTSIDE):
                raise Forbidden("This user logs in elsewhere and has no password here.")
            if not fresh:
                fresh.append(self.passwords.hash(made))
            return [
                verify(membership.key(held.user_id), held.version),
                accounts.with_password(account, fresh[0]),
            ]

        self._act("reset-password", writes, caller, user_id, password, origin, now_ms)
        return made

    def _act(
        self,
        action: str,
        change: Callable[[Account, Memberships], list[Write]],
        caller: Caller,
        user_id: str,
        password: str,
        origin: Origin,
        now_ms: int,
        done: Callable[[Memberships], bool] = lambda _held: False,
    ) -> None:
        self.one(caller, user_id)  # before a password is asked about who cannot be acted on

        def writes(present: Account, reading: Snapshot) -> list[Write]:
            mine = membership.of(reading, caller.user_id)
            account, held = self._read(user_id)
            user = self._known(mine, account, held)
            if user.hindered is not None:
                raise Forbidden(_WHY[user.hindered], field="id")
            if done(held):
                return []
            who = noted(present, caller.device)
            return [
                accounts.kept(present),
                verify(membership.key(caller.user_id), mine.version),
                *change(account, held),
                *(audit.right(who, action, now_ms, scope, of=user_id) for scope in held.scopes),
            ]

        self.credentials.prove(caller, password, origin, now_ms, writes)

    def _members(self, mine: Memberships, scope_id: str, after: str | None) -> Iterator[TeamUser]:
        while True:
            batch = membership.members(self.store, scope_id, after, _BATCH)
            if not batch:
                return
            ids = [user_id for user_id, _, _ in batch]
            keys = [key for each in ids for key in (accounts.key(each), membership.key(each))]
            reading = self.store.read(keys)
            for user_id in ids:
                known = reading.documents.get(membership.key(user_id))
                held = membership.known(user_id, known)
                if scope_id in held.roles:
                    yield self._known(mine, accounts.of(reading, user_id), held)
            after = ids[-1]

    def _read(self, user_id: str) -> tuple[Account, Memberships]:
        where = membership.key(user_id)
        reading = self.store.read([accounts.key(user_id), where])
        held = membership.known(user_id, reading.documents.get(where))
        return accounts.of(reading, user_id), held

    def _mine(self, mine: Memberships) -> list[str]:
        return [scope for scope, role in mine.roles.items() if role in self.administrators]

    def _known(self, mine: Memberships, account: Account, held: Memberships) -> TeamUser:
        """Somebody as the holder of `mine` sees them. Raises `Forbidden`, `NotFound`."""
        administered = self._mine(mine)
        if not administered:
            raise Forbidden("Your role does not allow this in any of your scopes.")
        shared = {scope: held.roles[scope] for scope in held.scopes if scope in administered}
        if not shared:
            raise NotFound("There is no such user in your teams.")
        hindered = None
        if held.user_id == mine.user_id:
            hindered = YOURSELF
        elif len(shared) < len(held.roles):
            hindered = ELSEWHERE
        elif not all(
            self.policy.may_invite(mine.roles[scope], role) for scope, role in shared.items()
        ):
            hindered = ABOVE
        since = min(held.since_ms[scope] for scope in shared)
        return TeamUser(account, shared, since, held.disabled_ms, hindered)


_WHY = {
    YOURSELF: "Change your own account on its own page.",
    ELSEWHERE: "This user is in other teams, too. Only an operator may do this.",
    ABOVE: "Your role may not do this to somebody of this role.",
}


def _fits(account: Account, search: str) -> bool:
    wanted = search.strip().casefold()
    texts = (account.name, account.email, account.user_id)
    return any(wanted in text.casefold() for text in texts if text)
