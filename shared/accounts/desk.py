"""The front desk: registers people, logs them in, keeps their sessions, lets them in and out of scopes.

Every operation reads, decides and makes one commit; nothing can be left half done by a crash. The
commit carries the version of all that the decision rests on, tallies of wrong tries included; if
something changed, the operation reads and decides again. So tries made side by side are judged one
after the other, and a code for one person admits one.

Faults say what to do next and never whether an account exists, except to somebody who registers: there
a taken e-mail cannot be hidden. (With registration by invite, that takes a good invite.)
"""

from __future__ import annotations

import random
import secrets
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from shared.access import audit, membership
from shared.access.audit import OPERATOR
from shared.access.membership import Caller, Memberships
from shared.accounts import account as accounts
from shared.accounts import invites, passwords, sessions, throttle, tokens, totp
from shared.accounts.account import Account
from shared.accounts.invites import Invite
from shared.accounts.keys import SigningKeys, TokenPolicy
from shared.accounts.oidc import OUTSIDE
from shared.accounts.passwords import Passwords
from shared.accounts.policy import AccountPolicy
from shared.accounts.sessions import Life, Session
from shared.accounts.throttle import Backoff, Gate, Window
from shared.errors import (
    Contended,
    Forbidden,
    NotFound,
    Taken,
    Unauthenticated,
)
from shared.records.record import valid_id
from shared.records.store import (
    ABSENT,
    Key,
    RecordStore,
    Snapshot,
    Write,
    delete,
    patch,
    put,
    verify,
)

#: Wrong passwords: of one account from anywhere, of one address for any account, and of an account from
#: an address or device that it logged in from before. After the last free one waits double from two
#: seconds to a quarter of an hour: some 100 tries a day. An address stands for many phones.
ACCOUNT_TRIES = Backoff(free=5)
ADDRESS_TRIES = Backoff(free=20)
FAMILIAR_TRIES = Backoff(free=5)

#: Accounts that one address may make without a code, and e-mails that it may find taken: 30 an hour.
NEWCOMERS = Window(most=30, span_ms=3_600_000)

#: How often an operation is decided again when others write the same documents.
_ATTEMPTS = 12

#: Whose account is looked up for an e-mail that nobody has. No user can be called so.
NOBODY = "~nobody"

#: Scopes that a token names; a hint, so it may be cut.
_MOST_SCOPES = 30

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a log-in gives: both tokens and their ends (Unix seconds)."""

    user_id: str
    access: str
    access_seconds: int
    refresh: str
    refresh_ends_s: int
    set_up_needed: bool = False  #: whether the access token is good for setting up a factor alone


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a request comes from: an address, and the device's id if it named one."""

    address: str
    device: str | None = None


@dataclass(frozen=True, slots=True)
class Me:
    """What somebody may know about themselves."""

    account: Account
    memberships: Memberships


@dataclass(frozen=True, slots=True)
class Member:
    """An entry of a scope's list."""

    user_id: str
    role: str
    since_ms: int
    name: str | None
    email: str | None


class Desk:
    """See the module's docstring. All times are server ms. Threads may share it."""

    def __init__(
        self,
        store: RecordStore,
        *,
        policy: AccountPolicy,
        passwords: Passwords,
        keys: SigningKeys,
        token_policy: TokenPolicy,
        secret: bytes,
        life: Life,
        factor_roles: frozenset[str] = frozenset(),
        pause: Callable[[float], None] = time.sleep,
    ) -> None:
        self._store, self._policy, self._passwords = store, policy, passwords
        self._keys, self._token_policy = keys, token_policy
        self._secret, self._life, self._pause = secret, life, pause
        self._factor_roles, self._seal = factor_roles, totp.sealing_key(secret)

    # --- coming in

    def register(
        self,
        email: str,
        password: str,
        origin: Origin,
        now_ms: int,
        *,
        code: str | None = None,
        name: str | None = None,
    ) -> Tokens:
        """A new account, its membership if a code is given, and its first session.

        Raises `InvalidRequest` (invalid_email, password_length, password_guessable), `Forbidden`
        (invite_needed, invite_invalid), `Taken`, `TooManyTries`.
        """
        email = accounts.normal_email(email)
        password = self._checked(password, "password", email, name)
        if code is None and self._policy.registration != "open":
            raise Forbidden(
                "Registration is by invitation: ask your supervisor for a code.",
                code="invite_needed",
                field="invite_code",
            )
        user_id = accounts.new_user_id()
        login = accounts.login_key(email)
        gates = [
            self._gate("invite-login", invites.TRIES, email),
            self._gate("invite-address", invites.TRIES, origin.address),
        ]
        slow = self._gate("register-address", NEWCOMERS, origin.address)
        known: list[str] = []  # the hash, made once, and only for somebody who may register

        def attempt() -> Tokens:
            keys = [login, *self._invite_keys(code), slow.key]
            reading = self._read(gates, keys)
            throttle.demand([*gates, slow], reading, now_ms)
            joining = self._admitted(reading, code, gates, now_ms) if code is not None else None
            if login in reading.documents:
                self._store.commit(throttle.count([slow], reading, now_ms))
                raise Taken("There is an account of this e-mail address: log in.", field="email")
            if not known:
                known.append(self._passwords.hash(password))
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
                writes += [*use, *self._grant(reading, user_id, invite, now_ms)]
            session, refresh = self._begin(account, origin, roles, now_ms)
            who = _who(account, session.device)
            writes.append(audit.right(who, "register", now_ms, of=user_id))
            if joining is not None:
                writes.append(_joined(who, joining[0], now_ms))
            familiar = self._familiar(email, origin)
            fresh = self._store.read([each.key for each in familiar])
            writes += [
                put(sessions.key(session.sid), session.fields, ABSENT),
                *throttle.forgive(familiar, fresh, now_ms),
            ]
            self._store.commit(writes)
            return self._tokens(account, session, roles, refresh, now_ms)

        return self._again(attempt)

    def login(
        self, email: str, password: str, origin: Origin, now_ms: int, otp: str | None = None
    ) -> Tokens:
        """A new session. `otp` is a code of the second factor, where there is one, or a recovery code.

        Raises `Unauthenticated` (credentials_wrong, account_disabled, totp_required, totp_wrong),
        `TooManyTries`.

        One verification of argon2, whether the account exists or not, and none while a gate waits.
        """
        email = accounts.normal_email(email)
        password = passwords.normal(password)
        account = self._find(email)
        gates = self._login_gates(email, origin)
        self._passed(gates, self._read(gates, []), now_ms)
        right = self._passwords.fits(account.password, password)
        better = (
            self._passwords.hash(password)
            if right and account.password and self._passwords.outdated(account.password)
            else None
        )

        def attempt() -> Tokens:
            keys = [accounts.key(account.user_id), membership.key(account.user_id)]
            reading = self._read(gates, keys)
            passed = self._passed(gates, reading, now_ms)
            if not right:
                self._store.commit(throttle.count(passed, reading, now_ms))
                raise _wrong()
            present = self._account(reading, account.user_id)
            if present.password not in (account.password, better):
                raise Contended("the password was changed at this moment")
            held = self._held(reading, present.user_id)
            known = replace(present, password=better) if better else present
            known = self._past_factor(known, otp, passed, reading, now_ms)
            session, refresh = self._begin(present, origin, held.roles, now_ms)
            session = replace(session, factor=present.factor is not None)
            others = sessions.live(self._store, present.user_id)
            self._store.commit(
                [
                    self._kept(present) if known == present else self._written(known),
                    put(sessions.key(session.sid), session.fields, ABSENT),
                    *sessions.displaced(others, present.generation, now_ms),
                    *self._forgiven(gates, passed, reading, now_ms),
                    audit.right(
                        _who(present, session.device), "log-in", now_ms, of=present.user_id
                    ),
                ]
            )
            return self._tokens(present, session, held.roles, refresh, now_ms)

        return self._again(attempt)

    # --- staying

    def refresh(self, token: str, now_ms: int) -> Tokens:
        """Both tokens anew. Asking again with the same token gives the same refresh token, until that
        is used. Raises `Unauthenticated` (refresh_invalid, refresh_reused, session_ended,
        account_disabled).
        """

        def attempt() -> Tokens:
            session, account, reading = self._session_of(token)
            if session is None or account is None or now_ms >= session.expires_ms:
                raise _no_refresh()
            roles = self._held(reading, session.user_id).roles
            _demand_alive(session, account)
            moved, successor = sessions.refreshed(
                session, token, self._secret, now_ms, self._life_of(roles)
            )
            if successor == "":
                raise _no_refresh()
            version = reading.documents[sessions.key(session.sid)].version
            if moved is not session:
                self._store.commit(
                    [put(sessions.key(session.sid), moved.fields, version), self._kept(account)]
                )
            if successor is None:
                raise _reused()
            return self._tokens(account, moved, roles, successor, now_ms)

        return self._again(attempt)

    def logout(self, token: str, now_ms: int) -> None:
        """End the session of a refresh token, whichever of its tokens it is. Always succeeds."""

        def attempt() -> None:
            session, account, reading = self._session_of(token)
            if session is None or account is None or session.ended is not None:
                return
            ended = session.over(sessions.LOGGED_OUT)
            where = sessions.key(session.sid)
            who = _who(account, session.device)
            self._store.commit(
                [
                    put(where, ended.fields, reading.documents[where].version),
                    audit.right(who, "log-out", now_ms, of=session.user_id),
                ]
            )

        self._again(attempt)

    def check(self, caller: Caller) -> Me:
        """Who the caller is now. Raises `Unauthenticated` (account_disabled; session_ended if the
        log-in is over).
        """
        keys = [accounts.key(caller.user_id), membership.key(caller.user_id)]
        own = sessions.key(caller.session) if caller.session else None
        reading = self._store.read([*keys, own] if own else keys)
        account = self._account(reading, caller.user_id)
        held = self._held(reading, caller.user_id)
        if own is not None:
            if own not in reading.documents:
                raise _ended()
            _demand_alive(sessions.parse(reading.documents[own]), account)
        return Me(account, held)

    def change_password(
        self, caller: Caller, old: str, new: str, origin: Origin, now_ms: int
    ) -> None:
        """A new password; every session but the caller's ends.

        Raises `Unauthenticated` (credentials_wrong, session_ended), `InvalidRequest`
        (password_length, password_guessable), `TooManyTries`.
        """
        account = self.check(caller).account
        new = self._checked(new, "new_password", account.email, account.name)
        fresh: list[str] = []  # the hash, made once, and only if the old password is right

        def writes(present: Account, reading: Snapshot) -> list[Write]:
            if not fresh:
                fresh.append(self._passwords.hash(new))
            who = _who(present, caller.device)
            return [
                self._replaced(present, fresh[0]),
                *self._kept_session(caller, present, reading),
                audit.right(who, "change-password", now_ms, of=caller.user_id),
            ]

        self._proven(caller, old, origin, now_ms, writes)

    # --- the second factor

    def begin_factor(
        self, caller: Caller, password: str, otp: str | None, origin: Origin, now_ms: int
    ) -> tuple[str, str]:
        """A secret for an authenticator app, and the URI that it reads; good once `confirm_factor` was.

        Who has a factor shows it, too. Raises `Unauthenticated` (credentials_wrong, totp_required,
        totp_wrong, session_ended), `TooManyTries`.
        """
        made: list[tuple[str, str]] = []

        def writes(present: Account, _reading: Snapshot) -> list[Write]:
            factor, secret = totp.begun(present.user_id, self._seal, now_ms)
            name = present.email or present.user_id
            made[:] = [(secret, totp.uri(secret, self._token_policy.issuer, name))]
            return [self._written(replace(present, set_up=factor))]

        self._proven(caller, password, origin, now_ms, writes, otp=otp, factor=True)
        return made[0]

    def confirm_factor(self, caller: Caller, otp: str, origin: Origin, now_ms: int) -> list[str]:
        """The factor is in use from now on, and all other sessions end; recovery codes, shown once.

        Raises `Unauthenticated` (totp_wrong, session_ended), `TooManyTries`.
        """
        account = self.check(caller).account
        gates = self._login_gates(account.email or caller.user_id, origin)

        def attempt() -> list[str]:
            mine, own = accounts.key(caller.user_id), sessions.key(caller.session or "none")
            reading = self._read(gates, [mine, own])
            passed = self._passed(gates, reading, now_ms)
            present = self._account(reading, caller.user_id)
            if own in reading.documents:
                _demand_alive(sessions.parse(reading.documents[own]), present)
            waiting = present.set_up
            first = None
            if waiting is not None and now_ms < waiting.begun_ms + totp.SET_UP_MS:
                first = totp.used(waiting, otp, present.user_id, self._seal, now_ms)
            if first is None:
                self._store.commit(throttle.count(passed, reading, now_ms))
                raise _wrong_code()
            factor, codes = totp.with_recovery(first)
            raised = present.generation + 1
            changed = replace(present, factor=factor, set_up=None, generation=raised)
            who = _who(present, caller.device)
            self._store.commit(
                [
                    self._written(changed),
                    *self._kept_session(caller, present, reading, factor=True),
                    *self._forgiven(gates, passed, reading, now_ms),
                    audit.right(who, "set-up-factor", now_ms, of=caller.user_id),
                ]
            )
            return codes

        return self._again(attempt)

    def remove_factor(
        self, caller: Caller, password: str, otp: str | None, origin: Origin, now_ms: int
    ) -> None:
        """Log in by password alone again. Raises as `begin_factor`."""

        def writes(present: Account, _reading: Snapshot) -> list[Write]:
            if present.factor is None:
                return []
            who = _who(present, caller.device)
            return [
                self._written(replace(present, factor=None, set_up=None)),
                audit.right(who, "remove-factor", now_ms, of=caller.user_id),
            ]

        self._proven(caller, password, origin, now_ms, writes, otp=otp, factor=True)

    # --- sessions

    def sessions(self, caller: Caller, now_ms: int) -> list[Session]:
        """The caller's sessions, the one that was used last first."""
        account = self.check(caller).account
        found = map(sessions.parse, sessions.live(self._store, caller.user_id))
        alive = [
            each
            for each in found
            if each.generation == account.generation and now_ms < each.expires_ms
        ]
        return sorted(alive, key=lambda each: each.used_ms, reverse=True)

    def end_session(
        self, caller: Caller, sid: str, password: str, origin: Origin, now_ms: int
    ) -> None:
        """End one of the caller's sessions; harmless if it has ended.

        Raises `Unauthenticated` (credentials_wrong, session_ended), `NotFound`, `TooManyTries`.
        """
        where = sessions.key(sid)

        def writes(present: Account, _reading: Snapshot) -> list[Write]:
            found = self._store.read([where]).documents.get(where)
            session = None if found is None else sessions.parse(found)
            if found is None or session is None or session.user_id != caller.user_id:
                raise NotFound("You have no such session.")
            if session.ended is not None:
                return []
            who = _who(present, caller.device)
            return [
                put(where, session.over(sessions.LOGGED_OUT).fields, found.version),
                audit.right(who, "end-session", now_ms, of=caller.user_id),
            ]

        self._proven(caller, password, origin, now_ms, writes)

    def end_sessions(self, caller: Caller, password: str, origin: Origin, now_ms: int) -> None:
        """End all of the caller's sessions, this one, too. Raises as `end_session`."""

        def writes(present: Account, _reading: Snapshot) -> list[Write]:
            who = _who(present, caller.device)
            return [_raised(present), audit.right(who, "end-sessions", now_ms, of=caller.user_id)]

        self._proven(caller, password, origin, now_ms, writes)

    def delete_own(self, caller: Caller, password: str, origin: Origin, now_ms: int) -> None:
        """The end of the caller's account: see `delete`. Raises as `end_session`."""
        # of this person the trail gets the id alone
        who = Caller(caller.user_id, "", caller.device)

        def writes(present: Account, reading: Snapshot) -> list[Write]:
            held = self._held(reading, caller.user_id)
            ends = self._deleted(present, held, reading, now_ms)
            return [*ends, *_ended_by(who, held, now_ms, "delete-account", "leave")]

        self._proven(caller, password, origin, now_ms, writes)

    # --- scopes

    def join(self, caller: Caller, code: str, origin: Origin, now_ms: int) -> Me:
        """Make the caller a member by a code. A member stays what they are, and uses nothing up.

        Raises `Forbidden` (invite_invalid), `TooManyTries`.
        """
        gates = [
            self._gate("invite-account", invites.TRIES, caller.user_id),
            self._gate("invite-address", invites.TRIES, origin.address),
        ]

        def attempt() -> None:
            mine = accounts.key(caller.user_id)
            reading = self._read(
                gates, [mine, membership.key(caller.user_id), *self._invite_keys(code)]
            )
            throttle.demand(gates, reading, now_ms)
            # a repetition whose answer was lost finds the code used up, by this very user
            held = self._held(reading, caller.user_id)
            invite = self._invite(reading, code)
            if invite is not None and invite.scope_id in held.roles:
                return
            invite, use = self._admitted(reading, code, gates, now_ms)
            writes = [
                *use,
                *self._grant(reading, caller.user_id, invite, now_ms),
                *throttle.unchanged(gates, reading),
                _joined(who, invite, now_ms),
            ]
            if mine not in reading.documents:
                writes.append(put(mine, self._unknown(caller.user_id, now_ms), ABSENT))
            self._store.commit(writes)

        who = _who(self.check(caller).account, caller.device)
        self._again(attempt)
        return self.check(caller)

    def leave(self, caller: Caller, scope_id: str, now_ms: int) -> Me:
        """End the caller's own membership; harmless if there is none."""
        who = _who(self.check(caller).account, caller.device)
        entry = audit.right(who, "leave", now_ms, scope_id, of=caller.user_id)
        self._again(
            lambda: membership.revoke(self._store, caller.user_id, scope_id, now_ms, [entry])
        )
        return self.check(caller)

    def invite(
        self, caller: Caller, scope_id: str, role: str, days: float, uses: int, now_ms: int
    ) -> tuple[str, Invite]:
        """A new code for a scope. Raises `NotFound` (not a member), `Forbidden`."""
        who = _who(self._managing(caller, scope_id, role).account, caller.device)
        return self.make_invite(who, scope_id, role, days, uses, now_ms)

    def make_invite(
        self, who: Caller, scope_id: str, role: str, days: float, uses: int, now_ms: int
    ) -> tuple[str, Invite]:
        """A new code, whoever asks: for operators."""
        ends = now_ms + round(days * 86_400_000)
        invite = Invite(scope_id, role, who.user_id, now_ms, ends, uses)
        # The code itself stays unsaid: whoever reads the trail must not get in by it.
        entry = audit.right(who, "invite", now_ms, scope_id, role=role, uses=uses, expires_at=ends)

        def attempt() -> str:
            code = invites.new_code()
            # an expired invite of the same code may still be there: another code is made then
            made = put(invites.key(code, self._secret), invite.fields, ABSENT)
            self._store.commit([made, entry])
            return code

        return self._again(attempt), invite

    def members(self, caller: Caller, scope_id: str, after: str | None, limit: int) -> list[Member]:
        """Members of a scope, by user id. Raises `NotFound` (not a member), `Forbidden`."""
        self._managing(caller, scope_id)
        listed = membership.members(self._store, scope_id, after, limit)
        keys = [accounts.key(user_id) for user_id, _, _ in listed]
        known = self._store.read(keys, ["name", "email"]).documents if keys else {}
        found = []
        for (user_id, role, since), each in zip(listed, keys, strict=True):
            said: Any = known[each].fields if each in known else {}
            found.append(Member(user_id, role, since, said.get("name"), said.get("email")))
        return found

    def put_out(self, caller: Caller, scope_id: str, user_id: str, now_ms: int) -> None:
        """End somebody's membership; harmless if it has ended.

        Of a role that the caller may give away; of oneself only by `leave`: so whoever puts people out
        stays. Raises `NotFound` (no such scope or member), `Forbidden`.
        """

        def attempt() -> None:
            me = self._managing(caller, scope_id)
            mine = me.memberships
            where = membership.key(user_id)
            reading = self._store.read([where])
            held = membership.known(user_id, reading.documents.get(where))
            if scope_id in held.left_ms:
                return
            theirs = held.roles.get(scope_id)
            if theirs is None:
                raise NotFound("There is no such member.")
            if user_id == caller.user_id:
                raise Forbidden("Nobody puts themselves out: leave instead.", field="user_id")
            if not self._policy.may_invite(mine.roles[scope_id], theirs):
                raise Forbidden("Your role may not end this membership. Ask an admin.")
            who = _who(me.account, caller.device)
            entry = audit.right(who, "put-out", now_ms, scope_id, of=user_id, role=theirs)
            still = verify(membership.key(caller.user_id), mine.version)
            ends = membership.revoking(reading, user_id, scope_id, now_ms)
            self._store.commit([*ends, entry, still])

        self._again(attempt)

    def invites(self, caller: Caller, scope_id: str, now_ms: int) -> list[tuple[str, Invite]]:
        """Codes of a scope that still admit somebody, the newest first: ids and what they promise.

        The codes themselves are not stored. Raises `NotFound` (not a member), `Forbidden`.
        """
        self._managing(caller, scope_id)
        found = [
            (each.key.id, invites.parse(each)) for each in invites.of_scope(self._store, scope_id)
        ]
        good = [each for each in found if each[1].holds(now_ms)]
        return sorted(good, key=lambda each: each[1].made_ms, reverse=True)

    def void_invite(self, caller: Caller, scope_id: str, invite_id: str, now_ms: int) -> None:
        """A code admits nobody any more, whoever made it; harmless if it does not. Raises as `invites`."""
        where = invites.key_of(invite_id)

        def attempt() -> None:
            me = self._managing(caller, scope_id)
            found = self._store.read([where]).documents.get(where)
            invite = None if found is None else invites.parse(found)
            if found is None or invite is None or invite.scope_id != scope_id:
                raise NotFound("There is no such code.")
            if not invite.holds(now_ms):
                return
            who = _who(me.account, caller.device)
            self._store.commit(
                [
                    put(where, invite.void().fields, found.version),
                    verify(membership.key(caller.user_id), me.memberships.version),
                    audit.right(who, "void-invite", now_ms, scope_id, role=invite.role),
                ]
            )

        self._again(attempt)

    def make_scope(
        self, caller: Caller, scope_id: str | None, name: str, now_ms: int
    ) -> tuple[str, Me]:
        """A new scope with the caller as its first member. Repeating it with the same id is harmless.

        Raises `Forbidden`, `Taken` (scope_taken).
        """
        me = self.check(caller)
        makers = self._policy.scope_makers
        if makers is not None and makers.isdisjoint(me.memberships.roles.values()):
            raise Forbidden("Your role may not do this. Ask an admin.")
        named = scope_id or new_scope_id()
        about, mine = accounts.scope_key(named), accounts.key(caller.user_id)

        def attempt() -> None:
            listed = membership.member_key(named, caller.user_id)
            reading = self._store.read([about, mine, membership.key(caller.user_id), listed])
            known = reading.documents.get(about)
            # a scope that everybody has left still has its records: who takes its id must not get them
            if (
                known is not None
                or membership.has_members(self._store, named)
                or audit.is_known(self._store, named)
            ):
                if known is not None and known.fields.get("made_by") == caller.user_id:
                    return
                raise Taken(
                    "This id is taken. Make another one.", code="scope_taken", field="scope_id"
                )
            founder = self._policy.founder
            writes = [
                put(about, {"name": name, "made_by": caller.user_id, "made_at": now_ms}, ABSENT),
                *membership.granting(reading, caller.user_id, named, founder, now_ms),
                audit.right(
                    _who(me.account, caller.device),
                    *("found", now_ms, named),
                    of=caller.user_id,
                    role=founder,
                ),
            ]
            if mine not in reading.documents:
                writes.append(put(mine, self._unknown(caller.user_id, now_ms), ABSENT))
            self._store.commit(writes)

        self._again(attempt)
        return named, self.check(caller)

    # --- operators

    def create(
        self,
        email: str,
        password: str,
        now_ms: int,
        *,
        user_id: str | None,
        name: str | None,
        by: Caller = OPERATOR,
    ) -> str:
        """An account made by hand; its user id.

        Raises `Taken` if e-mail or id is in use, `InvalidRequest` as `register`.
        """
        email = accounts.normal_email(email)
        stored = self._passwords.hash(self._checked(password, "password", email, name))
        user_id = user_id or accounts.new_user_id()
        login, mine = accounts.login_key(email), accounts.key(user_id)
        known = self._store.read([login, mine]).documents
        if known:
            raise Taken("There is an account of this e-mail address or id.", field="email")
        account = Account(user_id, email, name, stored, 0, now_ms)
        self._store.commit(
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
        known = self._find(email)
        stored = self._passwords.hash(self._checked(password, "password", email, known.name))

        def attempt() -> str:
            account = self._find(email)
            if not account.version:
                raise NotFound("There is no account of this e-mail address.")
            entry = audit.right(by, "reset-password", now_ms, of=account.user_id)
            self._store.commit([self._replaced(account, stored), entry])
            return account.user_id

        return self._again(attempt)

    def disable(self, who: str, now_ms: int, by: Caller = OPERATOR) -> str:
        """Nobody acts as this user from the next request on; all sessions end. The user id.

        `who` is an e-mail or a user id. Memberships stay, for `enable`. Harmless if repeated. Raises
        `NotFound`.
        """
        return self._again(lambda: self._switch(who, now_ms, by, now_ms))

    def enable(self, who: str, now_ms: int, by: Caller = OPERATOR) -> str:
        """The user may log in again, with the memberships from before. The user id."""
        return self._again(lambda: self._switch(who, now_ms, by, None))

    def take_factor(self, who: str, now_ms: int, by: Caller = OPERATOR) -> str:
        """For somebody who lost phone and recovery codes: no second factor; all sessions end. The user id.

        Harmless if there is none. Raises `NotFound`.
        """

        def attempt() -> str:
            account, held = self._named(who)
            if account.factor is None:
                return held.user_id
            raised = account.generation + 1
            changed = replace(account, factor=None, set_up=None, generation=raised)
            entry = audit.right(by, "take-factor", now_ms, of=held.user_id)
            self._store.commit([self._written(changed), entry])
            return held.user_id

        return self._again(attempt)

    def delete(self, who: str, now_ms: int, by: Caller = OPERATOR) -> str:
        """The end of an account: e-mail, name, hash and sessions go, memberships end; the user id stays.

        What was written under the id stays, and nobody acts as it any more: its access tokens are
        refused at the next request. The e-mail may register again, as another user. Harmless if
        repeated. Raises `NotFound`.
        """

        def attempt() -> str:
            account, held = self._named(who)
            if not account.version and held.disabled_ms is not None:
                return held.user_id
            reading = self._store.read([membership.key(held.user_id)])
            ends = self._deleted(account, held, reading, now_ms)
            noted = _ended_by(by, held, now_ms, "delete-user", "revoke")
            self._store.commit([*ends, *noted])
            return held.user_id

        return self._again(attempt)

    # --- parts

    def _deleted(
        self, account: Account, held: Memberships, reading: Snapshot, now_ms: int
    ) -> list[Write]:
        writes = membership.ending(held, reading, now_ms)
        if account.version:
            writes.append(delete(accounts.key(account.user_id), account.version))
        if account.email is not None:
            writes.append(delete(accounts.login_key(account.email)))
        live = sessions.live(self._store, held.user_id)
        return [*writes, *(delete(each.key, each.version) for each in live)]

    def _proven(
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
        account = self.check(caller).account
        gates = self._login_gates(account.email or caller.user_id, origin)
        self._passed(gates, self._read(gates, []), now_ms)
        right = self._passwords.fits(account.password, password)

        def attempt() -> None:
            own = sessions.key(caller.session or "none")
            mine, held = accounts.key(caller.user_id), membership.key(caller.user_id)
            reading = self._read(gates, [mine, held, own])
            passed = self._passed(gates, reading, now_ms)
            if not right:
                self._store.commit(throttle.count(passed, reading, now_ms))
                raise _wrong()
            present = self._account(reading, caller.user_id)
            if present.password != account.password:
                raise Contended("the password was changed at this moment")
            if own in reading.documents:
                _demand_alive(sessions.parse(reading.documents[own]), present)
            if factor:
                present = self._past_factor(present, otp, passed, reading, now_ms)
            made = writes(present, reading)
            self._store.commit([*made, *self._forgiven(gates, passed, reading, now_ms)])

        self._again(attempt)

    def _past_factor(
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
        after = totp.used(account.factor, otp, account.user_id, self._seal, now_ms)
        if after is None:
            self._store.commit(throttle.count(passed, reading, now_ms))
            raise _wrong_code()
        return replace(account, factor=after)

    def _kept_session(
        self, caller: Caller, account: Account, reading: Snapshot, *, factor: bool = False
    ) -> list[Write]:
        """Writes that keep the caller's session where all others end."""
        own = sessions.key(caller.session or "none")
        if own not in reading.documents:
            return []
        kept = sessions.parse(reading.documents[own])
        kept = replace(kept, generation=account.generation + 1, factor=kept.factor or factor)
        return [put(own, kept.fields, reading.documents[own].version)]

    def _switch(self, who: str, now_ms: int, by: Caller, disabled_ms: int | None) -> str:
        account, held = self._named(who)
        if (held.disabled_ms is None) == (disabled_ms is None):
            return held.user_id
        action = "enable-user" if disabled_ms is None else "disable-user"
        writes = [
            membership.disabling(held, disabled_ms),
            audit.right(by, action, now_ms, of=held.user_id),
        ]
        if account.version and disabled_ms is not None:
            writes.append(_raised(account))
        self._store.commit(writes)
        return held.user_id

    def _named(self, who: str) -> tuple[Account, Memberships]:
        """Somebody by e-mail or user id. Raises `NotFound`."""
        user_id = who
        if "@" in who:
            login = accounts.login_key(accounts.normal_email(who))
            known = self._store.read([login]).documents.get(login)
            user_id = "" if known is None else str(known.fields["user_id"])
        if not valid_id(user_id):
            raise NotFound("There is no such account.")
        reading = self._store.read([accounts.key(user_id), membership.key(user_id)])
        if not reading.documents:
            raise NotFound("There is no such account.")
        held = membership.known(user_id, reading.documents.get(membership.key(user_id)))
        return self._account(reading, user_id), held

    def _checked(self, password: str, field: str, *known: str | None) -> str:
        """A new password of somebody about whom this is known."""
        texts = [each for each in known if each is not None]
        return passwords.checked(password, field, [*texts, *self._policy.words])

    def _again(self, attempt: Callable[[], T]) -> T:
        for number in range(_ATTEMPTS):
            try:
                return attempt()
            except Contended:
                if number == _ATTEMPTS - 1:
                    raise
                # jitter, not security
                self._pause(random.uniform(0, 0.01 * 2 ** min(number, 5)))  # noqa: S311
        raise AssertionError("unreachable")

    def _gate(self, kind: str, rule: throttle.Rule, *parts: str, familiar: bool = False) -> Gate:
        return throttle.gate(kind, rule, self._secret, *parts, familiar=familiar)

    def _login_gates(self, email: str, origin: Origin) -> list[Gate]:
        return [
            self._gate("account", ACCOUNT_TRIES, email),
            self._gate("address", ADDRESS_TRIES, origin.address),
            *self._familiar(email, origin),
        ]

    def _familiar(self, email: str, origin: Origin) -> list[Gate]:
        places = [("at", origin.address), *([("on", origin.device)] if origin.device else [])]
        return [
            self._gate(kind, FAMILIAR_TRIES, email, place, familiar=True) for kind, place in places
        ]

    def _passed(self, gates: Sequence[Gate], reading: Snapshot, now_ms: int) -> list[Gate]:
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

    def _forgiven(
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

    def _read(self, gates: Sequence[Gate], keys: Sequence[Key]) -> Snapshot:
        return self._store.read([*(each.key for each in gates), *keys])

    def _find(self, email: str) -> Account:
        """The account of an e-mail; an empty one takes as many reads."""
        where = accounts.login_key(email)
        known = self._store.read([where]).documents.get(where)
        user_id = NOBODY if known is None else str(known.fields["user_id"])
        return self._account(self._store.read([accounts.key(user_id)]), user_id)

    def _account(self, reading: Snapshot, user_id: str) -> Account:
        return accounts.parse(user_id, reading.documents.get(accounts.key(user_id)))

    def _held(self, reading: Snapshot, user_id: str) -> Memberships:
        return membership.parse(user_id, reading.documents.get(membership.key(user_id)))

    def _kept(self, account: Account) -> Write:
        return verify(accounts.key(account.user_id), account.version or ABSENT)

    def _replaced(self, account: Account, password: str) -> Write:
        return self._written(replace(account, password=password, generation=account.generation + 1))

    def _written(self, account: Account) -> Write:
        return put(accounts.key(account.user_id), account.fields, account.version)

    def _unknown(self, user_id: str, now_ms: int) -> dict[str, Any]:
        """The account document of somebody who comes with a token and has none yet."""
        return {"created_at": now_ms, "outside": user_id.startswith(OUTSIDE)}

    def _session_of(self, token: str) -> tuple[Session | None, Account | None, Snapshot]:
        sid = sessions.sid_of(token)
        if sid is None:
            return None, None, Snapshot(0, {})
        where = sessions.key(sid)
        first = self._store.read([where])
        if where not in first.documents:
            return None, None, first
        user_id = sessions.parse(first.documents[where]).user_id
        keys = [where, accounts.key(user_id), membership.key(user_id)]
        reading = self._store.read(keys)  # all of it at one moment
        if where not in reading.documents:
            return None, None, reading
        return sessions.parse(reading.documents[where]), self._account(reading, user_id), reading

    def _begin(
        self, account: Account, origin: Origin, roles: Mapping[str, str], now_ms: int
    ) -> tuple[Session, str]:
        life = self._life_of(roles)
        return sessions.begin(account.user_id, origin.device, account.generation, now_ms, life)

    def _life_of(self, roles: Mapping[str, str]) -> Life:
        """The life of a session of somebody who holds these roles, by scope: the shortest of them."""
        days = [self._policy.idle_days.get(role) for role in roles.values()]
        idle = [each * 86_400_000 for each in days if each is not None]
        return replace(self._life, idle_ms=min([self._life.idle_ms, *idle]))

    def _tokens(
        self, account: Account, session: Session, roles: Any, refresh: str, now_ms: int
    ) -> Tokens:
        scopes = sorted(roles)
        shown = session.factor and account.factor is not None
        set_up = not shown and not self._factor_roles.isdisjoint(roles.values())
        access = tokens.issue(
            self._keys.current(),
            self._token_policy,
            user_id=session.user_id,
            role=roles[scopes[0]] if scopes else self._policy.newcomer,
            now_s=now_ms / 1000,
            device=session.device,
            session=session.sid,
            scopes=scopes[:_MOST_SCOPES],
            only=tokens.SET_UP if set_up else "",
        )
        ends = session.expires_ms // 1000
        return Tokens(session.user_id, access, tokens.ACCESS_SECONDS, refresh, ends, set_up)

    # --- parts: scopes and invites

    def _managing(self, caller: Caller, scope_id: str, role: str | None = None) -> Me:
        """The caller, who may see and invite members. Raises `NotFound` (not a member), `Forbidden`."""
        me = self.check(caller)
        held = me.memberships.roles.get(scope_id)
        if held is None:
            raise NotFound("There is no such scope, or you are not in it.")
        if not self._policy.may_manage(held):
            raise Forbidden("Your role may not do this. Ask a supervisor.")
        if role is not None and not self._policy.may_invite(held, role):
            raise Forbidden("Your role may not give this role away.", field="role")
        return me

    def _invite_keys(self, code: str | None) -> list[Key]:
        normal = None if code is None else invites.normal_code(code)
        return [] if normal is None else [invites.key(normal, self._secret)]

    def _invite(self, reading: Snapshot, code: str | None) -> Invite | None:
        for where in self._invite_keys(code):
            if where in reading.documents:
                return invites.parse(reading.documents[where])
        return None

    def _admitted(
        self, reading: Snapshot, code: str | None, gates: Sequence[Gate], now_ms: int
    ) -> tuple[Invite, list[Write]]:
        """The invite of a good code, and the writes that use it. Counts a wrong one."""
        invite = self._invite(reading, code)
        backing = None if invite is None else self._backing(invite)
        if invite is None or not invite.holds(now_ms) or backing is None:
            self._store.commit(throttle.count(gates, reading, now_ms))
            raise Forbidden(
                "This code admits nobody: mistyped, expired or used up. Ask for another one.",
                code="invite_invalid",
                field="invite_code",
            )
        [where] = self._invite_keys(code)
        return invite, [
            put(where, invite.used().fields, reading.documents[where].version),
            *backing,
        ]

    def _backing(self, invite: Invite) -> list[Write] | None:
        """What must still hold for a code to be good: whoever made it may still give the role away.

        So codes end with the rights of their maker: somebody who was put out, or whose phone was
        stolen, lets nobody in any more. None: it holds no more.
        """
        if invite.made_by == OPERATOR.user_id:
            return []
        where = membership.key(invite.made_by)
        found = self._store.read([where]).documents.get(where)
        role = membership.role_of(invite.made_by, found, invite.scope_id)
        if found is None or not self._policy.may_invite(role, invite.role):
            return None
        return [verify(where, found.version)]

    def _grant(self, reading: Snapshot, user_id: str, invite: Invite, now_ms: int) -> list[Write]:
        return membership.granting(reading, user_id, invite.scope_id, invite.role, now_ms)


def _raised(account: Account) -> Write:
    """The write that ends all sessions of an account."""
    raised = {"generation": account.generation + 1}
    return patch(accounts.key(account.user_id), raised, account.version)


def _ended_by(
    who: Caller, held: Memberships, now_ms: int, action: str, in_scope: str
) -> list[Write]:
    """The entries of a deleted account, and of each membership that ended with it."""
    return [
        audit.right(who, action, now_ms, of=held.user_id),
        *(audit.right(who, in_scope, now_ms, scope, of=held.user_id) for scope in held.scopes),
    ]


def _who(account: Account, device: str | None) -> Caller:
    """Somebody as the trail names them."""
    return Caller(
        account.user_id, "", device or "", name=account.name or account.email or account.user_id
    )


def _joined(who: Caller, invite: Invite, now_ms: int) -> Write:
    said = {"role": invite.role, "invited_by": invite.made_by}
    return audit.right(who, "join", now_ms, invite.scope_id, of=who.user_id, **said)


def new_scope_id() -> str:
    """An id for a new scope."""
    return f"s-{secrets.token_hex(12)}"


def _demand_alive(session: Session, account: Account) -> None:
    """Raises `Unauthenticated` if a session is over."""
    if session.user_id != account.user_id or not account.version:
        raise _ended()
    if session.ended == sessions.REUSED:
        raise _reused()
    if session.ended is not None or session.generation != account.generation:
        raise _ended()


def _wrong() -> Unauthenticated:
    return Unauthenticated("E-mail or password is wrong.", code="credentials_wrong")


def _wrong_code() -> Unauthenticated:
    return Unauthenticated(
        "This code is wrong, was used before, or is of another time.",
        code="totp_wrong",
        field="otp",
    )


def _no_refresh() -> Unauthenticated:
    return Unauthenticated("This refresh token cannot be used. Log in.", code="refresh_invalid")


def _reused() -> Unauthenticated:
    return Unauthenticated(
        "An old refresh token was used: it may have been stolen. This session is over. Log in.",
        code="refresh_reused",
    )


def _ended() -> Unauthenticated:
    return Unauthenticated("This session is over. Log in.", code="session_ended")
