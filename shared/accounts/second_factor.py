"""The second factor: an authenticator app (`totp.py`) that somebody sets up for their own account, and
passkeys (`passkeys.py`) beside it: in browsers they stand in for its codes.

Where it is asked for: `credentials.py`. Who must have one: the setting FACTOR_ROLES.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.access import audit
from shared.access.membership import Caller
from shared.accounts import account as accounts
from shared.accounts import passkeys, throttle, totp
from shared.accounts import session as sessions
from shared.accounts.account import Account
from shared.accounts.caller import Origin, check, demand_alive, noted
from shared.accounts.contention import retried
from shared.accounts.credentials import Credentials, code_wrong
from shared.accounts.login import passkey_wrong
from shared.accounts.passkeys import PasskeyForbidden, PasskeyHost
from shared.records.store import RecordStore, Snapshot, Write


@dataclass(frozen=True, slots=True)
class SecondFactor:
    """Sets second factors up and takes them away. All times are server ms."""

    store: RecordStore
    credentials: Credentials
    name: str  #: of this service, as an authenticator app shows it
    host: PasskeyHost | None = None  #: for whom passkeys are made; None: for nobody

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
        """Log in by password alone again; passkeys go, too. Raises as `begin`."""

        def writes(present: Account, _reading: Snapshot) -> list[Write]:
            if present.factor is None:
                return []
            who = noted(present, caller.device)
            return [
                accounts.written(replace(present, factor=None, set_up=None, passkeys=())),
                audit.right(who, "remove-factor", now_ms, of=caller.user_id),
            ]

        self.credentials.prove(caller, password, origin, now_ms, writes, otp=otp, factor=True)

    # --- passkeys

    def ask_passkey(
        self, caller: Caller, password: str, otp: str | None, origin: Origin, now_ms: int
    ) -> tuple[str, str]:
        """A challenge for a new passkey, and what the browser is asked (JSON); good for `add_passkey` once.

        Raises as `begin`, and `PasskeyForbidden` (passkeys_off, factor_needed, passkeys_full).
        """
        host = self._host()
        made: list[tuple[str, str]] = []

        def writes(present: Account, _reading: Snapshot) -> list[Write]:
            if present.factor is None:
                raise PasskeyForbidden("Set up an authenticator app before.", code="factor_needed")
            if len(present.passkeys) >= passkeys.MOST:
                raise PasskeyForbidden(
                    f"{passkeys.MOST} passkeys are enough. Remove one.", code="passkeys_full"
                )
            challenge, asked = passkeys.new_challenge(passkeys.ADD, present.generation, now_ms)
            name = present.email or present.user_id
            options = passkeys.to_add(host, present.user_id, name, present.passkeys, challenge)
            made[:] = [(challenge, options)]
            return [accounts.written(replace(present, asked=asked))]

        self.credentials.prove(caller, password, origin, now_ms, writes, otp=otp, factor=True)
        return made[0]

    def add_passkey(
        self, caller: Caller, challenge: str, answer: str, name: str, now_ms: int
    ) -> None:
        """The key that a browser made for a challenge may be used from now on.

        Raises `PasskeyForbidden` (passkeys_off), `SecondStepRefused` (passkey_wrong: also for a challenge
        that was answered before), `Unauthenticated` (session_ended).
        """
        host = self._host()
        name = " ".join(name.split())[: passkeys.LONGEST_NAME]

        def attempt() -> None:
            check(self.store, caller)
            present = accounts.of(self.store.read([accounts.key(caller.user_id)]), caller.user_id)
            if not passkeys.is_open(
                present.asked, challenge, passkeys.ADD, present.generation, now_ms
            ):
                raise passkey_wrong()
            made = passkeys.made(host, challenge, answer, name, now_ms)
            asked_no_more = replace(present, asked=None)
            if made is None or made.key_id in {each.key_id for each in present.passkeys}:
                self.store.commit([accounts.written(asked_no_more)])
                raise passkey_wrong()
            changed = replace(asked_no_more, passkeys=(*present.passkeys, made))
            who = noted(present, caller.device)
            self.store.commit(
                [
                    accounts.written(changed),
                    audit.right(who, "add-passkey", now_ms, of=caller.user_id),
                ]
            )

        retried(attempt)

    def remove_passkey(
        self,
        caller: Caller,
        key_id: str,
        password: str,
        otp: str | None,
        origin: Origin,
        now_ms: int,
    ) -> None:
        """This key is of no use any more; harmless if there is none. Raises as `begin`."""

        def writes(present: Account, _reading: Snapshot) -> list[Write]:
            left = tuple(each for each in present.passkeys if each.key_id != key_id)
            if left == present.passkeys:
                return [accounts.written(present)]
            who = noted(present, caller.device)
            return [
                accounts.written(replace(present, passkeys=left)),
                audit.right(who, "remove-passkey", now_ms, of=caller.user_id),
            ]

        self.credentials.prove(caller, password, origin, now_ms, writes, otp=otp, factor=True)

    def _host(self) -> PasskeyHost:
        if self.host is None:
            raise PasskeyForbidden("This service takes no passkeys.", code="passkeys_off")
        return self.host
