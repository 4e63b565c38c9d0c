"""Access tokens for the local stack: what `token` of `infra.cli` and `infra.local` prints."""

from __future__ import annotations

from shared import wiring
from shared.accounts import tokens

#: What a demo token lives: a working day, seconds.
_DAY_SECONDS = 12 * 3600


def token_for(
    user: str, *, role: str | None = None, device: str | None = None, seconds: int = _DAY_SECONDS
) -> str:
    """An access token signed with the keys that the settings name; no role: that of newcomers."""
    return tokens.issue(
        wiring.signing_keys().current(),
        wiring.token_policy(),
        user_id=user,
        role=role or wiring.account_policy().newcomer,
        device=device,
        now_s=wiring.clock_ms() / 1000,
        seconds=seconds,
    )
