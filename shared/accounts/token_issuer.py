"""The tokens of a log-in session: an access token of minutes, and the refresh token that renews it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

from shared.accounts import session as sessions
from shared.accounts import tokens
from shared.accounts.account import Account
from shared.accounts.caller import Origin
from shared.accounts.keys import SigningKeys, TokenPolicy
from shared.accounts.policy import AccountPolicy
from shared.accounts.session import Life, Session

#: Scopes that a token names; a hint, so it may be cut.
_MOST_SCOPES = 30


@dataclass(frozen=True, slots=True)
class Tokens:
    """What a log-in gives: both tokens, and how long they are good."""

    user_id: str
    access: str
    access_seconds: int
    refresh: str
    refresh_ends_ms: int
    set_up_needed: bool = False  #: whether the access token is good for setting up a factor alone


@dataclass(frozen=True, slots=True)
class TokenIssuer:
    """Begins sessions and signs their access tokens. Threads may share it."""

    keys: SigningKeys
    token_policy: TokenPolicy
    policy: AccountPolicy
    life: Life
    factor_roles: frozenset[str] = frozenset()  #: those that must set up a second factor

    def begin(
        self, account: Account, origin: Origin, roles: Mapping[str, str], now_ms: int
    ) -> tuple[Session, str]:
        """A new session of somebody with these roles, by scope, and its refresh token."""
        life = self.life_of(roles)
        return sessions.begin(account.user_id, origin.device, account.generation, now_ms, life)

    def life_of(self, roles: Mapping[str, str]) -> Life:
        """The life of a session of somebody who holds these roles, by scope: the shortest of them."""
        days = [self.policy.idle_days.get(role) for role in roles.values()]
        idle = [each * 86_400_000 for each in days if each is not None]
        return replace(self.life, idle_ms=min([self.life.idle_ms, *idle]))

    def set_up_needed(self, account: Account, session: Session, roles: Mapping[str, str]) -> bool:
        """Whether this person must set up a second factor before anything else."""
        shown = session.factor and account.factor is not None
        return not shown and not self.factor_roles.isdisjoint(roles.values())

    def tokens(
        self,
        account: Account,
        session: Session,
        roles: Mapping[str, str],
        refresh: str,
        now_ms: int,
    ) -> Tokens:
        """A signed access token beside a session's refresh token."""
        scopes = sorted(roles)
        set_up = self.set_up_needed(account, session, roles)
        access = tokens.issue(
            self.keys.current(),
            self.token_policy,
            user_id=session.user_id,
            role=roles[scopes[0]] if scopes else self.policy.newcomer,
            now_s=now_ms / 1000,
            device=session.device,
            session=session.sid,
            scopes=scopes[:_MOST_SCOPES],
            only=tokens.SET_UP if set_up else "",
        )
        return Tokens(
            session.user_id, access, tokens.ACCESS_SECONDS, refresh, session.expires_ms, set_up
        )
