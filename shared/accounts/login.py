"""Log-in with a password and, where there is one, a second factor; and another password.

Faults say what to do next and never whether an account exists.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple, TypeVar

from shared.access import audit, membership
from shared.access.membership import Caller
from shared.accounts import account as accounts
from shared.accounts import passkeys, passwords, throttle
from shared.accounts import session as sessions
from shared.accounts.account import Account
from shared.accounts.caller import Origin, check, noted
from shared.accounts.contention import retried
from shared.accounts.credentials import Credentials, credentials_wrong
from shared.accounts.passkeys import PasskeyHost, SecondStepRefused
from shared.accounts.passwords import Passwords
from shared.accounts.session import Session
from shared.accounts.throttle import Gate
from shared.accounts.token_issuer import TokenIssuer, Tokens
from shared.errors import Contended
from shared.records.record import valid_id
from shared.records.store import ABSENT, RecordStore, Snapshot, Write, put

T = TypeVar("T")


class _Gated(NamedTuple):
    """The gates of a try, those of them that it passed, and what was read of all."""

    gates: Sequence[Gate]
    passed: Sequence[Gate]
    reading: Snapshot


@dataclass(frozen=True, slots=True)
class Begun:
    """A session that has just begun: whose it is, their roles by scope, and its refresh token."""

    account: Account
    session: Session
    roles: Mapping[str, str]
    refresh: str


@dataclass(frozen=True, slots=True)
class HalfBegun:
    """A log-in whose password was right and whose second factor is awaited.

    `ticket` is good for `Login.finish`, once and for minutes; `asks` is what a browser is asked for a
    passkey (JSON; empty: there is none).
    """

    ticket: str
    asks: str


@dataclass(frozen=True, slots=True)
class Login:
    """Logs people in. All times are server ms; threads may share it. Without `host` nobody has passkeys."""

    store: RecordStore
    passwords: Passwords
    credentials: Credentials
    issuer: TokenIssuer
    host: PasskeyHost | None = None

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

        def go_on(known: Account, at: _Gated) -> Begun:
            known = self.credentials.past_factor(known, otp, at.passed, at.reading, now_ms)
            return self._enter(known, origin, at, now_ms)

        return self._past_password(email, password, origin, now_ms, go_on)

    def begin_in_steps(
        self, email: str, password: str, origin: Origin, now_ms: int
    ) -> Begun | HalfBegun:
        """A new session, or half of one where there is a second factor. Raises what `begin` does."""

        def go_on(known: Account, at: _Gated) -> Begun | HalfBegun:
            if known.factor is None:
                return self._enter(known, origin, at, now_ms)
            challenge, asked = passkeys.new_challenge(passkeys.LOG_IN, known.generation, now_ms)
            self.store.commit([accounts.written(replace(known, asked=asked))])
            return HalfBegun(f"{known.user_id}.{challenge}", self._asks(known, challenge))

        return self._past_password(email, password, origin, now_ms, go_on)

    def finish(
        self, ticket: str, origin: Origin, now_ms: int, *, otp: str = "", answer: str = ""
    ) -> Begun:
        """The session of a log-in that was half done, by a code (`otp`) or a passkey's `answer`.

        A wrong code leaves the ticket good, a wrong answer does not: its challenge may be known. Both count
        as a wrong try. Raises `SecondStepRefused` (login_late, passkey_wrong), `Unauthenticated`
        (totp_wrong, account_disabled), `TooManyTries`.
        """
        user_id, challenge = _opened(ticket)

        def attempt() -> Begun:
            account = accounts.of(self.store.read([accounts.key(user_id)]), user_id)
            gates = self.credentials.gates(account.email or user_id, origin)
            keys = [accounts.key(user_id), membership.key(user_id)]
            reading = throttle.read(self.store, gates, keys)
            present = accounts.of(reading, user_id)
            if not passkeys.is_open(
                present.asked, challenge, passkeys.LOG_IN, present.generation, now_ms
            ):
                raise _late()
            passed = self.credentials.passed(gates, reading, now_ms)
            if not answer:
                known = self.credentials.past_factor(present, otp, passed, reading, now_ms)
                return self._enter(known, origin, _Gated(gates, passed, reading), now_ms)
            used = None
            if self.host is not None:
                used = passkeys.shown(self.host, present.passkeys, challenge, answer, now_ms)
            if used is None:
                counted = throttle.count(passed, reading, now_ms)
                self.store.commit([accounts.written(replace(present, asked=None)), *counted])
                raise passkey_wrong()
            held = {each.key_id: each for each in present.passkeys} | {used.key_id: used}
            known = replace(present, passkeys=tuple(held.values()))
            return self._enter(known, origin, _Gated(gates, passed, reading), now_ms)

        return retried(attempt)

    def asked(self, ticket: str) -> str:
        """What a browser is asked for a passkey in a log-in that is half done, as JSON; empty: nothing."""
        user_id, challenge = _opened(ticket)
        return self._asks(accounts.of(self.store.read([accounts.key(user_id)]), user_id), challenge)

    def _asks(self, account: Account, challenge: str) -> str:
        if self.host is None or not account.passkeys:
            return ""
        return passkeys.to_show(self.host, account.passkeys, challenge)

    def _past_password(
        self,
        email: str,
        password: str,
        origin: Origin,
        now_ms: int,
        go_on: Callable[[Account, _Gated], T],
    ) -> T:
        """What `go_on` makes of an account whose password was right."""
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

        def attempt() -> T:
            keys = [accounts.key(account.user_id), membership.key(account.user_id)]
            reading = throttle.read(self.store, gates, keys)
            passed = self.credentials.passed(gates, reading, now_ms)
            if not right:
                self.store.commit(throttle.count(passed, reading, now_ms))
                raise credentials_wrong()
            present = accounts.of(reading, account.user_id)
            if present.password not in (account.password, better):
                raise Contended("the password was changed at this moment")
            membership.of(reading, present.user_id)  # not of a disabled account
            known = replace(present, password=better) if better else present
            return go_on(known, _Gated(gates, passed, reading))

        return retried(attempt)

    def _enter(self, known: Account, origin: Origin, at: _Gated, now_ms: int) -> Begun:
        """The session of somebody who has shown all there is, with the account as it must be stored."""
        present = accounts.of(at.reading, known.user_id)
        held = membership.of(at.reading, present.user_id)
        known = replace(known, asked=None)
        session, refresh = self.issuer.begin(present, origin, held.roles, now_ms)
        session = replace(session, factor=present.factor is not None)
        others = sessions.live(self.store, present.user_id)
        self.store.commit(
            [
                accounts.kept(present) if known == present else accounts.written(known),
                put(sessions.key(session.sid), session.fields, ABSENT),
                *sessions.displaced(others, present.generation, now_ms),
                *self.credentials.forgiven(*at, now_ms),
                audit.right(noted(present, session.device), "log-in", now_ms, of=present.user_id),
            ]
        )
        return Begun(present, session, held.roles, refresh)

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


def passkey_wrong() -> SecondStepRefused:
    """The refusal of what a browser says that an authenticator signed."""
    return SecondStepRefused("This passkey was not accepted. Begin again.", code="passkey_wrong")


def _late() -> SecondStepRefused:
    return SecondStepRefused("This log-in took too long, or went on elsewhere.", code="login_late")


def _opened(ticket: str) -> tuple[str, str]:
    """User and challenge of a ticket. Raises `SecondStepRefused` (login_late)."""
    user_id, _, challenge = ticket.rpartition(".")
    if not valid_id(user_id):
        raise _late()
    return user_id, challenge
