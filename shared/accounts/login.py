"""Log-in with a password and, where there is one, a second factor; and another password.

Faults say what to do next and never whether an account exists.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from shared.access import audit, membership
from shared.access.membership import Caller
from shared.accounts import account as accounts
from shared.accounts import passwords, throttle
from shared.accounts import session as sessions
from shared.accounts.account import Account
from shared.accounts.caller import Origin, check, noted
from shared.accounts.contention import retried
from shared.accounts.credentials import Credentials, credentials_wrong
from shared.accounts.passwords import Passwords
from shared.accounts.session import Session
from shared.accounts.token_issuer import TokenIssuer, Tokens
from shared.errors import Contended
from shared.records.store import ABSENT, RecordStore, Snapshot, Write, put


@dataclass(frozen=True, slots=True)
class Begun:
    """A session that has just begun: whose it is, their roles by scope, and its refresh token."""

    account: Account
    session: Session
    roles: Mapping[str, str]
    refresh: str


@dataclass(frozen=True, slots=True)
class Login:
    """Logs people in. All times are server ms; threads may share it."""

    store: RecordStore
    passwords: Passwords
    credentials: Credentials
    issuer: TokenIssuer

    def log_in(
        self, email: str, password: str, origin: Origin, now_ms: int, otp: str | None = None
    ) -> Tokens:
        """The tokens of a new session. Takes and raises what `begin` does."""
        begun = self.begin(email, password, origin, now_ms, otp)
        return self.issuer.tokens(begun.account, begun.session, begun.roles, begun.refresh, now_ms)

    def begin(
        self, email: str, password: str, origin: Origin, now_ms: int, otp: str | None = None
    ) -> Begun:
        """A new session. `otp` is a code of the second factor, where there is one, or a recovery code.

        Raises `Unauthenticated` (credentials_wrong, account_disabled, totp_required, totp_wrong),
        `TooManyTries`.

        One verification of argon2, whether the account exists or not, and none while a gate waits.
        """
        email = accounts.normal_email(email)
        password = passwords.normal(password)
        account = accounts.find(self.store, email)
        gates = self.credentials.gates(email, origin)
        self.credentials.passed(gates, throttle.read(self.store, gates, []), now_ms)
        right = self.passwords.fits(account.password, password)
        better = (
            self.passwords.hash(password)
            if right and account.password and self.passwords.outdated(account.password)
            else None
        )

        def attempt() -> Begun:
            keys = [accounts.key(account.user_id), membership.key(account.user_id)]
            reading = throttle.read(self.store, gates, keys)
            passed = self.credentials.passed(gates, reading, now_ms)
            if not right:
                self.store.commit(throttle.count(passed, reading, now_ms))
                raise credentials_wrong()
            present = accounts.of(reading, account.user_id)
            if present.password not in (account.password, better):
                raise Contended("the password was changed at this moment")
            held = membership.of(reading, present.user_id)
            known = replace(present, password=better) if better else present
            known = self.credentials.past_factor(known, otp, passed, reading, now_ms)
            session, refresh = self.issuer.begin(present, origin, held.roles, now_ms)
            session = replace(session, factor=present.factor is not None)
            others = sessions.live(self.store, present.user_id)
            self.store.commit(
                [
                    accounts.kept(present) if known == present else accounts.written(known),
                    put(sessions.key(session.sid), session.fields, ABSENT),
                    *sessions.displaced(others, present.generation, now_ms),
                    *self.credentials.forgiven(gates, passed, reading, now_ms),
                    audit.right(
                        noted(present, session.device), "log-in", now_ms, of=present.user_id
                    ),
                ]
            )
            return Begun(present, session, held.roles, refresh)

        return retried(attempt)

    def change_password(
        self, caller: Caller, old: str, new: str, origin: Origin, now_ms: int
    ) -> None:
        """A new password; every session but the caller's ends.

        Raises `Unauthenticated` (credentials_wrong, session_ended), `InvalidRequest`
        (password_length, password_guessable), `TooManyTries`.
        """
        account = check(self.store, caller).account
        new = self.credentials.checked(new, "new_password", account.email, account.name)
        fresh: list[str] = []  # the hash, made once, and only if the old password is right

        def writes(present: Account, reading: Snapshot) -> list[Write]:
            if not fresh:
                fresh.append(self.passwords.hash(new))
            who = noted(present, caller.device)
            return [
                accounts.with_password(present, fresh[0]),
                *sessions.kept(caller, present.generation, reading),
                audit.right(who, "change-password", now_ms, of=caller.user_id),
            ]

        self.credentials.prove(caller, old, origin, now_ms, writes)
