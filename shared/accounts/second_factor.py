"""The second factor: an authenticator app (`totp.py`) that somebody sets up for their own account.

Where it is asked for: `credentials.py`. Who must have one: the setting FACTOR_ROLES.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.access import audit
from shared.access.membership import Caller
from shared.accounts import account as accounts
from shared.accounts import session as sessions
from shared.accounts import throttle, totp
from shared.accounts.account import Account
from shared.accounts.caller import Origin, check, demand_alive, noted
from shared.accounts.contention import retried
from shared.accounts.credentials import Credentials, code_wrong
from shared.records.store import RecordStore, Snapshot, Write


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """Sets second factors up and takes them away. All times are server ms."""

    store: RecordStore
    credentials: Credentials
    name: str  #: of this service, as an authenticator app shows it

    def begin(
        self, caller: Caller, password: str, otp: str | None, origin: Origin, now_ms: int
    ) -> tuple[str, str]:
        """A secret for an authenticator app, and the URI that it reads; good once `confirm` was.

        Who has a factor shows it, too. Raises `Unauthenticated` (credentials_wrong, totp_required,
        totp_wrong, session_ended), `TooManyTries`.
        """
        made: list[tuple[str, str]] = []

        def writes(present: Account, _reading: Snapshot) -> list[Write]:
            factor, secret = totp.begun(present.user_id, self.credentials.seal, now_ms)
            name = present.email or present.user_id
            made[:] = [(secret, totp.uri(secret, self.name, name))]
            return [accounts.written(replace(present, set_up=factor))]

        self.credentials.prove(caller, password, origin, now_ms, writes, otp=otp, factor=True)
        return made[0]

    def confirm(self, caller: Caller, otp: str, origin: Origin, now_ms: int) -> list[str]:
        """The factor is in use from now on, and all other sessions end; recovery codes, shown once.

        Raises `Unauthenticated` (totp_wrong, session_ended), `TooManyTries`.
        """
        account = check(self.store, caller).account
        gates = self.credentials.gates(account.email or caller.user_id, origin)

        def attempt() -> list[str]:
            mine, own = accounts.key(caller.user_id), sessions.key(caller.session or "none")
            reading = throttle.read(self.store, gates, [mine, own])
            passed = self.credentials.passed(gates, reading, now_ms)
            present = accounts.of(reading, caller.user_id)
            if own in reading.documents:
                demand_alive(sessions.parse(reading.documents[own]), present)
            waiting = present.set_up
            first = None
            if waiting is not None and now_ms < waiting.begun_ms + totp.SET_UP_MS:
                first = totp.used(waiting, otp, present.user_id, self.credentials.seal, now_ms)
            if first is None:
                self.store.commit(throttle.count(passed, reading, now_ms))
                raise code_wrong()
            factor, codes = totp.with_recovery(first)
            raised = present.generation + 1
            changed = replace(present, factor=factor, set_up=None, generation=raised)
            who = noted(present, caller.device)
            self.store.commit(
                [
                    accounts.written(changed),
                    *sessions.kept(caller, present.generation, reading, factor=True),
                    *self.credentials.forgiven(gates, passed, reading, now_ms),
                    audit.right(who, "set-up-factor", now_ms, of=caller.user_id),
                ]
            )
            return codes

        return retried(attempt)

    def remove(
        self, caller: Caller, password: str, otp: str | None, origin: Origin, now_ms: int
    ) -> None:
        """Log in by password alone again. Raises as `begin`."""

        def writes(present: Account, _reading: Snapshot) -> list[Write]:
            if present.factor is None:
                return []
            who = noted(present, caller.device)
            return [
                accounts.written(replace(present, factor=None, set_up=None)),
                audit.right(who, "remove-factor", now_ms, of=caller.user_id),
            ]

        self.credentials.prove(caller, password, origin, now_ms, writes, otp=otp, factor=True)
