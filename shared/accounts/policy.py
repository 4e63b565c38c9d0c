"""What a product decides about its accounts: who may register, make scopes, and which roles exist."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from shared.errors import ConfigurationFault


@dataclass(frozen=True, slots=True)
class AccountPolicy:
    """One product's declaration.

    `registration` is "open", or "invited": by invite code (or by an operator's command) only.
    `scope_makers` are the roles, in any scope, that may make another scope; None: everybody.
    `founder` is the role of a scope's maker in it. `invitable` says for the roles that may see and
    invite members which roles they may give away: nobody gives away more than they hold. `words` are
    those that its people would make passwords of. `idle_days` are for roles whose sessions shall
    live shorter without use than REFRESH_DAYS. `factor_roles` may have to set up a second factor; the
    phones of all others must sync whatever was set up.

    `founds`: who registers without a code makes a scope along, and gives it up unwritten when they enter
    another. `keepers` are the roles of whom a scope always keeps one: the last hands over before they
    leave. Who has a role that is `alone`, as a machine, is in one scope: they enter and make no other
    before they left it. `aliases` are names that its apps have for operations: "enter-club" for "join".
    """

    registration: str
    scope_makers: frozenset[str] | None
    founder: str
    newcomer: str  #: the role named in the tokens of somebody who is in no scope
    invitable: dict[str, frozenset[str]]
    words: tuple[str, ...] = ()
    idle_days: Mapping[str, int] = field(default_factory=dict)
    factor_roles: frozenset[str] = frozenset()
    founds: bool = False
    keepers: frozenset[str] = frozenset()
    alone: frozenset[str] = frozenset()
    aliases: Mapping[str, str] = field(default_factory=dict)

    def demand_factor_roles(self, asked: frozenset[str]) -> None:
        """Raises `ConfigurationFault` if TOTP_ROLES names a role that is never asked for a factor."""
        if not asked <= self.factor_roles:
            known = ", ".join(sorted(self.factor_roles)) or "nobody"
            raise ConfigurationFault(f"TOTP_ROLES may name {known}", field="TOTP_ROLES")

    def may_manage(self, role: str | None) -> bool:
        """Whether a role in a scope may see its members and invite others."""
        return role in self.invitable

    def must_leave_first(self, roles: Iterable[str], role: str) -> bool:
        """Whether somebody with these roles in scopes may not have one in another scope, too."""
        held = set(roles)
        return bool(held) and not self.alone.isdisjoint({*held, role})

    def may_invite(self, role: str | None, invited: str) -> bool:
        """Whether a role in a scope may invite somebody as `invited`."""
        return role is not None and invited in self.invitable.get(role, frozenset())
