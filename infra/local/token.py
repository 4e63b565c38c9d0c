"""`python -m infra.local token --chw ID`: an access token for the local stack, and its membership.

Prints the token alone, so that a shell can take it. Signed with the stack's own key, which no other
deployment trusts.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from pathlib import Path

from infra import admin
from shared import wiring
from shared.accounts import tokens
from shared.errors import Fault
from shared.products.dermadetect.rights import ROLES

#: What a demo token lives: a working day, seconds.
_DAY_SECONDS = 12 * 3600


def token_for(
    user: str, *, role: str = "chw", device: str | None = None, seconds: int = _DAY_SECONDS
) -> str:
    """An access token signed with the keys that the settings name."""
    return tokens.issue(
        wiring.signing_keys().current(),
        wiring.token_policy(),
        user_id=user,
        role=role,
        device=device,
        now_s=time.time(),
        seconds=seconds,
    )


def main(arguments: Sequence[str]) -> int:
    """Print a token; the exit code: 0, or 2 if it cannot be made like this."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.local token", description="A token for the local stack."
    )
    parser.add_argument("--chw", required=True, help="user id")
    parser.add_argument("--role", choices=ROLES, default="chw")
    parser.add_argument("--scope", help="also make the user a member of this team")
    parser.add_argument("--device", help="the phone's id")
    parser.add_argument("--data", type=Path, help="data folder of the running stack")
    chosen = parser.parse_args(arguments)
    if chosen.data is not None:
        admin.use_stack(chosen.data)
    try:
        if chosen.scope is not None:
            admin.grant(chosen.chw, chosen.scope, chosen.role)
        print(token_for(chosen.chw, role=chosen.role, device=chosen.device))
    except Fault as fault:
        print(f"{fault.code}: {fault.message}", file=sys.stderr)
        return 2
    return 0
