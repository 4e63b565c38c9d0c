"""Registration: somebody makes themselves an account, openly or by an invite code.

To somebody who registers a taken e-mail cannot be hidden. (With registration by invite, that takes a
good invite.) No other operation says whether an account exists.
"""

from __future__ import annotations

from dataclasses import dataclass

from shared.access import audit
from shared.accounts import account as accounts
from shared.accounts import invite as invites
from shared.accounts import session as sessions
from shared.accounts import throttle
from shared.accounts.account import Account
from shared.accounts.caller import Origin, noted
from shared.accounts.contention import retried
from shared.accounts.credentials import Credentials
from shared.accounts.invites import Invites, joined
from shared.accounts.passwords import Passwords
from shared.accounts.policy import AccountPolicy
from shared.accounts.scopes import founding, new_scope_id
from shared.accounts.throttle import Window
from shared.accounts.token_issuer import TokenIssuer, Tokens
from shared.errors import Forbidden, Taken
from shared.records.store import ABSENT, RecordStore, Write, put

#: Accounts that one address may make without a code, and e-mails that it may find taken: 30 an hour.
NEWCOMERS = Window(most=30, span_ms=3_600_000)


@dataclass(frozen=True, slots=True)
class Registration:
    """Makes accounts for those who ask. All times are server ms; threads may share it."""

    store: RecordStore
    policy: AccountPolicy
    passwords: Passwords
    credentials: Credentials
    invites: Invites
    issuer: TokenIssuer
    secret: bytes  #: keys the names of gates

    def register(
        self,
        email: str,
        password: str,
        origin: Origin,
        now_ms: int,
        *,
        code: str | None = None,
        name: str | None = None,
        scope_name: str | None = None,
    ) -> Tokens:
        """A new account, its first session, and its membership: by a code, or of a scope that it makes.

        A scope is made where the product says so, and called `scope_name`.

        Raises `InvalidRequest` (invalid_email, password_length, password_guessable), `Forbidden`
        (invite_needed, invite_invalid), `Taken`, `TooManyTries`.
        """
        email = accounts.normal_email(email)
        password = self.credentials.checked(password, "password", email, name)
        if code is None and self.policy.registration != "open":
            raise Forbidden(
                "Registration is by invitation: ask whoever leads your team for a code.",
                code="invite_needed",
                field="invite_code",
            )
        user_id, made_id = accounts.new_user_id(), new_scope_id()
        login = accounts.login_key(email)
        gates = [
            throttle.gate("invite-login", invites.TRIES, self.secret, email),
            throttle.gate("invite-address", invites.TRIES, self.secret, origin.address),
        ]
        slow = throttle.gate("register-address", NEWCOMERS, self.secret, origin.address)
        known: list[str] = []  # the hash, made once, and only for somebody who may register

        def attempt() -> Tokens:
            keys = [login, *self.invites.keys(code), slow.key]
            reading = throttle.read(self.store, gates, keys)
            throttle.demand([*gates, slow], reading, now_ms)
            joining = (
                self.invites.admitted(reading, code, gates, now_ms) if code is not None else None
            )
            if login in reading.documents:
                self.store.commit(throttle.count([slow], reading, now_ms))
                raise Taken("There is an account of this e-mail address: log in.", field="email")
            if not known:
                known.append(self.passwords.hash(password))
            account = Account(user_id, email, name, known[0], 0, now_ms)
            roles: dict[str, str] = {}
            writes: list[Write] = [
                put(accounts.key(user_id), account.fields, ABSENT),
                put(login, {"user_id": user_id}, ABSENT),
                *throttle.unchanged(gates, reading),
                *(
                    throttle.unchanged([slow], reading)
                    if joining is not None
                    else throttle.count([slow], reading, now_ms)
                ),
            ]
            if joining is not None:
                invite, use = joining
                roles[invite.scope_id] = invite.role
                writes += [*use, *invites.granting(reading, user_id, invite, now_ms)]
            elif self.policy.founds:
                roles[made_id] = self.policy.founder
            session, refresh = self.issuer.begin(account, origin, roles, now_ms)
            who = noted(account, session.device)
            if joining is None and roles:
                called = scope_name or name or ""
                writes += founding(reading, who, made_id, called, roles[made_id], now_ms)
            writes.append(audit.right(who, "register", now_ms, of=user_id))
            if joining is not None:
                writes.append(joined(who, joining[0], now_ms))
            familiar = self.credentials.familiar(email, origin)
            fresh = self.store.read([each.key for each in familiar])
            writes += [
                put(sessions.key(session.sid), session.fields, ABSENT),
                *throttle.forgive(familiar, fresh, now_ms),
            ]
            self.store.commit(writes)
            return self.issuer.tokens(account, session, roles, refresh, now_ms)

        return retried(attempt)
