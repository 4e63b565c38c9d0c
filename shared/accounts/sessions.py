"""The sessions of a user: renewed by refresh tokens, listed, ended one by one or all at once."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, replace

from shared.access import audit, membership
from shared.access.membership import Caller, Memberships
from shared.accounts import account as accounts
from shared.accounts import session as sessions
from shared.accounts.account import Account
from shared.accounts.caller import (
    Origin,
    check,
    demand_alive,
    noted,
    refresh_reused,
    session_ended,
)
from shared.accounts.contention import retried
from shared.accounts.credentials import Credentials
from shared.accounts.session import Session
from shared.accounts.token_issuer import TokenIssuer, Tokens
from shared.errors import Contended, NotFound, Unauthenticated
from shared.records.store import RecordStore, Snapshot, Write, put

#: How exactly it is kept when a session was used, ms: a page has many requests.
_USED_MS = 60_000


@dataclass(frozen=True, slots=True)
class Holder:
    """Who holds a session's token, as they are now."""

    account: Account
    session: Session
    memberships: Memberships
    set_up_needed: bool  #: a second factor, before anything else


@dataclass(frozen=True, slots=True)
class Sessions:
    """Keeps people logged in. All times are server ms; threads may share it."""

    store: RecordStore
    credentials: Credentials
    issuer: TokenIssuer
    secret: bytes  #: from which successors of refresh tokens are made

    def refresh(self, token: str, now_ms: int) -> Tokens:
        """Both tokens anew. Asking again with the same token gives the same refresh token, until that
        is used. Raises `Unauthenticated` (refresh_invalid, refresh_reused, session_ended,
        account_disabled).
        """

        def attempt() -> Tokens:
            session, account, reading = self._of(token)
            if session is None or account is None or now_ms >= session.expires_ms:
                raise _no_refresh()
            roles = membership.of(reading, session.user_id).roles
            demand_alive(session, account)
            moved, successor = sessions.refreshed(
                session, token, self.secret, now_ms, self.issuer.life_of(roles)
            )
            if successor == "":
                raise _no_refresh()
            version = reading.documents[sessions.key(session.sid)].version
            if moved is not session:
                self.store.commit(
                    [put(sessions.key(session.sid), moved.fields, version), accounts.kept(account)]
                )
            if successor is None:
                raise refresh_reused()
            return self.issuer.tokens(account, moved, roles, successor, now_ms)

        return retried(attempt)

    def holder(self, token: str, now_ms: int, *, used: bool = True) -> Holder:
        """Who holds a token that is shown again and again: a browser's, in a cookie.

        Unlike `refresh` it gives no other token. `used` puts off the session's end, where the caller is a
        person and not a clock. Raises `Unauthenticated` (session_ended, account_disabled).
        """
        session, account, reading = self._of(token)
        if session is None or account is None or now_ms >= session.expires_ms:
            raise session_ended()
        held = membership.of(reading, session.user_id)
        demand_alive(session, account)
        if not sessions.is_current(session, token):
            raise session_ended()
        if used and now_ms - session.used_ms > _USED_MS:
            ends = self.issuer.life_of(held.roles).ends_ms(session.began_ms, now_ms)
            session = replace(session, used_ms=now_ms, expires_ms=ends)
            where = sessions.key(session.sid)
            with suppress(Contended):  # another request of the same page, or its end
                self.store.commit([put(where, session.fields, reading.documents[where].version)])
        needed = self.issuer.set_up_needed(account, session, held.roles)
        return Holder(account, session, held, needed)

    def whose(self, token: str) -> str | None:
        """Whose session a token is of, also one that is over; None: of nobody's."""
        session, _, _ = self._of(token)
        return None if session is None else session.user_id

    def logout(self, token: str, now_ms: int) -> None:
        """End the session of a refresh token, whichever of its tokens it is. Always succeeds."""

        def attempt() -> None:
            session, account, reading = self._of(token)
            if session is None or account is None or session.ended is not None:
                return
            ended = session.over(sessions.LOGGED_OUT)
            where = sessions.key(session.sid)
            who = noted(account, session.device)
            self.store.commit(
                [
                    put(where, ended.fields, reading.documents[where].version),
                    audit.right(who, "log-out", now_ms, of=session.user_id),
                ]
            )

        retried(attempt)

    def live(self, caller: Caller, now_ms: int) -> list[Session]:
        """The caller's sessions, the one that was used last first."""
        return sessions.in_use(self.store, check(self.store, caller).account, now_ms)

    def end(self, caller: Caller, sid: str, password: str, origin: Origin, now_ms: int) -> None:
        """End one of the caller's sessions; harmless if it has ended.

        Raises `Unauthenticated` (credentials_wrong, session_ended), `NotFound`, `TooManyTries`.
        """
        where = sessions.key(sid)

        def writes(present: Account, _reading: Snapshot) -> list[Write]:
            found = self.store.read([where]).documents.get(where)
            session = None if found is None else sessions.parse(found)
            if found is None or session is None or session.user_id != caller.user_id:
                raise NotFound("You have no such session.")
            if session.ended is not None:
                return []
            who = noted(present, caller.device)
            return [
                put(where, session.over(sessions.LOGGED_OUT).fields, found.version),
                audit.right(who, "end-session", now_ms, of=caller.user_id),
            ]

        self.credentials.prove(caller, password, origin, now_ms, writes)

    def end_all(self, caller: Caller, password: str, origin: Origin, now_ms: int) -> None:
        """End all of the caller's sessions, this one, too. Raises as `end`."""

        def writes(present: Account, _reading: Snapshot) -> list[Write]:
            who = noted(present, caller.device)
            return [
                accounts.raised(present),
                audit.right(who, "end-sessions", now_ms, of=caller.user_id),
            ]

        self.credentials.prove(caller, password, origin, now_ms, writes)

    def _of(self, token: str) -> tuple[Session | None, Account | None, Snapshot]:
        sid = sessions.sid_of(token)
        if sid is None:
            return None, None, Snapshot(0, {})
        where = sessions.key(sid)
        first = self.store.read([where])
        if where not in first.documents:
            return None, None, first
        user_id = sessions.parse(first.documents[where]).user_id
        keys = [where, accounts.key(user_id), membership.key(user_id)]
        reading = self.store.read(keys)  # all of it at one moment
        if where not in reading.documents:
            return None, None, reading
        return sessions.parse(reading.documents[where]), accounts.of(reading, user_id), reading


def _no_refresh() -> Unauthenticated:
    return Unauthenticated("This refresh token cannot be used. Log in.", code="refresh_invalid")
