"""Whoever makes a request: from where, and who they are at this moment."""

from __future__ import annotations

from dataclasses import dataclass

from shared.access import membership
from shared.access.membership import Caller, Memberships
from shared.accounts import account as accounts
from shared.accounts import session as sessions
from shared.accounts.account import Account
from shared.accounts.session import Session
from shared.errors import Unauthenticated
from shared.records.store import RecordStore


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


def check(store: RecordStore, caller: Caller) -> Me:
    """Who the caller is now. Raises `Unauthenticated` (account_disabled; session_ended if the
    log-in is over).
    """
    keys = [accounts.key(caller.user_id), membership.key(caller.user_id)]
    own = sessions.key(caller.session) if caller.session else None
    reading = store.read([*keys, own] if own else keys)
    account = accounts.of(reading, caller.user_id)
    held = membership.of(reading, caller.user_id)
    if own is not None:
        if own not in reading.documents:
            raise session_ended()
        demand_alive(sessions.parse(reading.documents[own]), account)
    return Me(account, held)


def demand_alive(session: Session, account: Account) -> None:
    """Raises `Unauthenticated` if a session is over."""
    if session.user_id != account.user_id or not account.version:
        raise session_ended()
    if session.ended == sessions.REUSED:
        raise refresh_reused()
    if session.ended is not None or session.generation != account.generation:
        raise session_ended()


def noted(account: Account, device: str | None) -> Caller:
    """Somebody as the trail names them."""
    return Caller(
        account.user_id, "", device or "", name=account.name or account.email or account.user_id
    )


def refresh_reused() -> Unauthenticated:
    """The refusal of a refresh token that was used up before."""
    return Unauthenticated(
        "An old refresh token was used: it may have been stolen. This session is over. Log in.",
        code="refresh_reused",
    )


def session_ended() -> Unauthenticated:
    """The refusal of a log-in session that is over."""
    return Unauthenticated("This session is over. Log in.", code="session_ended")
