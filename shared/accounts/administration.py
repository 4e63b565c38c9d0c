"""What operators do about accounts by hand: make them, help out, disable them."""

from __future__ import annotations

from dataclasses import dataclass, replace

from shared.access import audit, membership
from shared.access.audit import OPERATOR
from shared.access.membership import Caller
from shared.accounts import account as accounts
from shared.accounts.account import Account
from shared.accounts.contention import retried
from shared.accounts.credentials import Credentials
from shared.accounts.passwords import Passwords
from shared.accounts.people import normal_phone
from shared.errors import NotFound, Taken
from shared.records.store import ABSENT, RecordStore, put


@dataclass(frozen=True, slots=True)
class Administration:
    """Acts for an operator, whom the trail names. All times are server ms."""

    store: RecordStore
    passwords: Passwords
    credentials: Credentials

    def create(
        self,
        email: str,
        password: str,
        now_ms: int,
        *,
        user_id: str | None,
        name: str | None,
        phone: str | None = None,
        by: Caller = OPERATOR,
    ) -> str:
        """An account made by hand; its user id.

        Raises `Taken` if e-mail or id is in use, `InvalidRequest` as `register`.
        """
        email = accounts.normal_email(email)
        stored = self.passwords.hash(self.credentials.checked(password, "password", email, name))
        user_id = user_id or accounts.new_user_id()
        login, mine = accounts.login_key(email), accounts.key(user_id)
        known = self.store.read([login, mine]).documents
        if known:
            raise Taken("There is an account of this e-mail address or id.", field="email")
        said = None if phone is None else normal_phone(phone)
        account = Account(user_id, email, name, stored, 0, now_ms, phone=said)
        self.store.commit(
            [
                put(mine, account.fields, ABSENT),
                put(login, {"user_id": user_id}, ABSENT),
                audit.right(by, "create-user", now_ms, of=user_id),
            ]
        )
        return user_id

    def reset(self, email: str, password: str, now_ms: int, by: Caller = OPERATOR) -> str:
        """Another password for somebody who lost theirs; all their sessions end. The user id."""
        email = accounts.normal_email(email)
        known = accounts.find(self.store, email)
        stored = self.passwords.hash(
            self.credentials.checked(password, "password", email, known.name)
        )

        def attempt() -> str:
            account = accounts.find(self.store, email)
            if not account.version:
                raise NotFound("There is no account of this e-mail address.")
            entry = audit.right(by, "reset-password", now_ms, of=account.user_id)
            self.store.commit([accounts.with_password(account, stored), entry])
            return account.user_id

        return retried(attempt)

    def disable(self, who: str, now_ms: int, by: Caller = OPERATOR) -> str:
        """Nobody acts as this user from the next request on; all sessions end. The user id.

        `who` is an e-mail or a user id. Memberships stay, for `enable`. Harmless if repeated. Raises
        `NotFound`.
        """
        return retried(lambda: self._switch(who, now_ms, by, now_ms))

    def enable(self, who: str, now_ms: int, by: Caller = OPERATOR) -> str:
        """The user may log in again, with the memberships from before. The user id."""
        return retried(lambda: self._switch(who, now_ms, by, None))

    def take_factor(self, who: str, now_ms: int, by: Caller = OPERATOR) -> str:
        """For somebody who lost phone and recovery codes: no second factor, no passkeys; all sessions end.

        The user id. Harmless if there is none. Raises `NotFound`.
        """

        def attempt() -> str:
            account, held = accounts.named(self.store, who)
            if account.factor is None:
                return held.user_id
            raised = account.generation + 1
            changed = replace(account, factor=None, set_up=None, passkeys=(), generation=raised)
            entry = audit.right(by, "take-factor", now_ms, of=held.user_id)
            self.store.commit([accounts.written(changed), entry])
            return held.user_id

        return retried(attempt)

    def _switch(self, who: str, now_ms: int, by: Caller, disabled_ms: int | None) -> str:
        account, held = accounts.named(self.store, who)
        if (held.disabled_ms is None) == (disabled_ms is None):
            return held.user_id
        action = "enable-user" if disabled_ms is None else "disable-user"
        writes = [
            membership.disabling(held, disabled_ms),
            audit.right(by, action, now_ms, of=held.user_id),
        ]
        if account.version and disabled_ms is not None:
            writes.append(accounts.raised(account))
        self.store.commit(writes)
        return held.user_id
