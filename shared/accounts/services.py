"""All services about accounts, put together for one deployment.

Every operation reads, decides and makes one commit (`contention.py`); nothing can be left half done by
a crash.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from shared.accounts.administration import Administration
from shared.accounts.credentials import Credentials
from shared.accounts.deletion import Deletion
from shared.accounts.forgotten import Forgotten, Letter
from shared.accounts.invites import Invites
from shared.accounts.keys import SigningKeys, TokenPolicy
from shared.accounts.login import Login
from shared.accounts.members import Members
from shared.accounts.passkeys import PasskeyHost
from shared.accounts.passwords import Passwords
from shared.accounts.policy import AccountPolicy
from shared.accounts.profile import Profile
from shared.accounts.registration import Registration
from shared.accounts.scopes import Scopes
from shared.accounts.second_factor import SecondFactor
from shared.accounts.session import Life
from shared.accounts.sessions import Sessions
from shared.accounts.team_users import TeamUsers
from shared.accounts.token_issuer import TokenIssuer
from shared.records.store import RecordStore


@dataclass(frozen=True, slots=True)
class AccountServices:
    """One of each. Threads may share them."""

    registration: Registration
    login: Login
    sessions: Sessions
    second_factor: SecondFactor
    members: Members
    invites: Invites
    scopes: Scopes
    administration: Administration
    deletion: Deletion
    profile: Profile
    forgotten: Forgotten
    team_users: TeamUsers


def account_services(
    store: RecordStore,
    *,
    policy: AccountPolicy,
    passwords: Passwords,
    keys: SigningKeys,
    token_policy: TokenPolicy,
    secret: bytes,
    life: Life,
    factor_roles: frozenset[str] = frozenset(),
    post: Callable[[Letter | None], None] | None = None,
    address: str = "",
    administrators: frozenset[str] = frozenset(),
    of_users: tuple[str, ...] = (),
    tables: tuple[str, ...] = (),
    host: PasskeyHost | None = None,
) -> AccountServices:
    """The services on a store. `secret` keys their hashes and is the same in every instance; `post` and
    `address` are of `Forgotten`, `administrators` of `TeamUsers`, `tables` of `Invites`, `host` of `Login`.
    """
    credentials = Credentials(store, passwords, secret, policy.words)
    issuer = TokenIssuer(keys, token_policy, policy, life, factor_roles)
    members = Members(store, policy)
    invites = Invites(store, members, secret, tables)
    return AccountServices(
        Registration(store, policy, passwords, credentials, invites, issuer, secret),
        Login(store, passwords, credentials, issuer, host),
        Sessions(store, credentials, issuer, secret),
        SecondFactor(store, credentials, token_policy.issuer, host),
        members,
        invites,
        Scopes(store, policy),
        Administration(store, passwords, credentials),
        Deletion(store, credentials, members, of_users),
        Profile(store),
        Forgotten(store, passwords, credentials, secret, post, address),
        TeamUsers(store, policy, passwords, credentials, administrators),
    )
