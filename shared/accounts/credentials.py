"""Proof of who somebody is: password and second factor, and how often a wrong one may be tried.

Whoever logs in shows them, and whoever changes something of their account shows them again: a stolen
access token alone changes nothing of it. Wrong tries are counted at gates (`throttle.py`): of the
account, of the address, and of a place from which the account logged in before. A person who types
their password well gets in while a stranger tries it from elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from shared.access import membership
from shared.access.membership import Caller
from shared.accounts import account as accounts
from shared.accounts import passwords, throttle, totp
from shared.accounts import session as sessions
from shared.accounts.account import Account
from shared.accounts.caller import Origin, check, demand_alive
from shared.accounts.contention import retried
from shared.accounts.passwords import Passwords
from shared.accounts.throttle import Backoff, Gate
from shared.errors import Contended, Unauthenticated
from shared.records.store import RecordStore, Snapshot, Write

#: Wrong passwords: of one account from anywhere, of one address for any account, and of an account from
#: an address or device that it logged in from before. After the last free one waits double from two
#: seconds to a quarter of an hour: some 100 tries a day. An address stands for many phones.
ACCOUNT_TRIES = Backoff(free=5)
ADDRESS_TRIES = Backoff(free=20)
FAMILIAR_TRIES = Backoff(free=5)


@dataclass(frozen=True, slots=True)
class Credentials:
    """Checks passwords and codes, and counts wrong ones. Threads may share it."""

    store: RecordStore
    passwords: Passwords
    secret: bytes  #: keys the names of gates, and seals the factors' secrets
    words: tuple[str, ...] = ()  #: those that the product's people would make passwords of

    @property
    def seal(self) -> bytes:
        """The key under which the secrets of second factors are stored."""
        return totp.sealing_key(self.secret)

    def checked(self, password: str, field: str, *known: str | None) -> str:
        """A new password of somebody about whom this is known. Raises `InvalidRequest`
        (password_length, password_guessable).
        """
        texts = [each for each in known if each is not None]
        return passwords.checked(password, field, [*texts, *self.words])

    def prove(
        self,
        caller: Caller,
        password: str,
        origin: Origin,
        now_ms: int,
        writes: Callable[[Account, Snapshot], list[Write]],
        *,
        otp: str | None = None,
        factor: bool = False,
    ) -> None:
        """Commit what `writes` makes of the caller's account, if the password is theirs.

        With `factor` the second factor must be shown, too, where there is one. A stolen access token alone
        changes nothing of an account. Raises `Unauthenticated` (credentials_wrong, session_ended,
        account_disabled, totp_required, totp_wrong), `TooManyTries`.
        """
        password = passwords.normal(password)
        account = check(self.store, caller).account
        gates = self.gates(account.email or caller.user_id, origin)
        self.passed(gates, throttle.read(self.store, gates, []), now_ms)
        right = self.passwords.fits(account.password, password)

        def attempt() -> None:
            own = sessions.key(caller.session or "none")
            mine, held = accounts.key(caller.user_id), membership.key(caller.user_id)
            reading = throttle.read(self.store, gates, [mine, held, own])
            passed = self.passed(gates, reading, now_ms)
            if not right:
                self.store.commit(throttle.count(passed, reading, now_ms))
                raise credentials_wrong()
            present = accounts.of(reading, caller.user_id)
            if present.password != account.password:
                raise Contended("the password was changed at this moment")
            if own in reading.documents:
                demand_alive(sessions.parse(reading.documents[own]), present)
            if factor:
                present = self.past_factor(present, otp, passed, reading, now_ms)
            made = writes(present, reading)
            self.store.commit([*made, *self.forgiven(gates, passed, reading, now_ms)])

        retried(attempt)

    def past_factor(
        self,
        account: Account,
        otp: str | None,
        passed: Sequence[Gate],
        reading: Snapshot,
        now_ms: int,
    ) -> Account:
        """The account after its factor was shown, as it must be stored; a wrong code counts as a wrong try.

        Raises `Unauthenticated` (totp_required, totp_wrong).
        """
        if account.factor is None:
            return account
        if otp is None:
            raise Unauthenticated(
                "A code of the authenticator app is needed, or a recovery code.",
                code="totp_required",
                field="otp",
            )
        after = totp.used(account.factor, otp, account.user_id, self.seal, now_ms)
        if after is None:
            self.store.commit(throttle.count(passed, reading, now_ms))
            raise code_wrong()
        return replace(account, factor=after)

    def gates(self, email: str, origin: Origin) -> list[Gate]:
        """Where wrong tries of this account from there are counted: account, address, familiar places."""
        return [
            throttle.gate("account", ACCOUNT_TRIES, self.secret, email),
            throttle.gate("address", ADDRESS_TRIES, self.secret, origin.address),
            *self.familiar(email, origin),
        ]

    def familiar(self, email: str, origin: Origin) -> list[Gate]:
        """The gates of the places from which this account logs in."""
        places = [("at", origin.address), *([("on", origin.device)] if origin.device else [])]
        return [
            throttle.gate(kind, FAMILIAR_TRIES, self.secret, email, place, familiar=True)
            for kind, place in places
        ]

    def passed(self, gates: Sequence[Gate], reading: Snapshot, now_ms: int) -> list[Gate]:
        """The gates at which a try is counted. Raises `TooManyTries` if there is no way through.

        The usual way is past account and address. Where somebody else keeps one of them waiting, an
        address passes by the account's, and a device by both, if the account logged in from there.
        """
        account, address, at, *on = gates
        waits = {each: throttle.wait_ms(each, reading, now_ms) for each in gates}
        if not waits[account] and not waits[address]:
            return [account, address]
        for device in on:
            if throttle.is_there(device, reading) and not waits[device]:
                return [device]
        if not waits[address] and throttle.is_there(at, reading) and not waits[at]:
            return [at, address]
        raise throttle.too_many(max(waits[account], waits[address]))

    def forgiven(
        self, gates: Sequence[Gate], passed: Sequence[Gate], reading: Snapshot, now_ms: int
    ) -> list[Write]:
        """Writes after a right password: this place is familiar from now on, and what was counted at
        the gates that were passed is forgotten. Not an address's: one good account there must not
        clear the way for tries at others.
        """
        account, address, *familiar = gates
        writes = throttle.forgive(familiar, reading, now_ms)
        if account in passed:
            writes += throttle.forgive([account], reading, now_ms)
        if address in passed:
            writes += throttle.unchanged([address], reading)
        return writes


def credentials_wrong() -> Unauthenticated:
    """The refusal that does not say whether the account exists."""
    return Unauthenticated("E-mail or password is wrong.", code="credentials_wrong")


def code_wrong() -> Unauthenticated:
    """The refusal of a code of the second factor."""
    return Unauthenticated(
        "This code is wrong, was used before, or is of another time.",
        code="totp_wrong",
        field="otp",
    )
