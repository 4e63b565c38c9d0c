"""The part of `python -m infra.admin` that knows accounts: users, invites, signing keys.

    user create EMAIL [--id ID] [--name NAME] [--scope S --role R]   make an account
    user reset EMAIL                                                 another password; sessions end
    user disable WHO                                                 nobody acts as this user; sessions end
    user enable WHO                                                  the user may log in again
    user take-factor WHO                                             no second factor; sessions end
    user delete WHO                                                  its end; the trail keeps the id
    user list                                                        ids, e-mails, scopes
    invite SCOPE [--role chw] [--days 7] [--uses 1]                  make an invite code
    keys list                                                        signing keys and their times
    keys rotate [--now]                                              begin with the next key
    keys drop KID                                                    forget a key that leaked

WHO is an e-mail address or a user id. A password is read from standard input if something is piped there,
else made and printed once.
"""

from __future__ import annotations

import argparse
import secrets
import sys
import time
from typing import Any

from shared.errors import Fault, InvalidRequest, NotFound

#: Bytes of a password that is made here: 96 bits.
_PASSWORD_BYTES = 12


def add_commands(commands: Any) -> None:
    """Add our commands to the parser of `infra.admin`."""
    from shared.products.dermadetect.rights import ROLES

    users = commands.add_parser("user", help="accounts").add_subparsers(dest="what", required=True)
    create = users.add_parser("create", help="make an account")
    create.add_argument("email")
    create.add_argument("--id", dest="user_id", help="the user's id; else one is made")
    create.add_argument("--name", help="what others in the scope see")
    create.add_argument("--scope", help="also make the user a member of it")
    create.add_argument("--role", choices=ROLES, default="chw")
    users.add_parser("reset", help="another password").add_argument("email")
    for what, text in (
        ("disable", "nobody acts as this user"),
        ("enable", "may log in again"),
        ("take-factor", "no second factor any more"),
        ("delete", "the account's end"),
    ):
        users.add_parser(what, help=text).add_argument("who", help="e-mail or user id")
    users.add_parser("list", help="ids, e-mails, scopes")
    invite = commands.add_parser("invite", help="make an invite code")
    invite.add_argument("scope")
    invite.add_argument("--role", choices=ROLES, default="chw")
    invite.add_argument("--days", type=float, default=7)
    invite.add_argument("--uses", type=int, default=1)
    keys = commands.add_parser("keys", help="signing keys").add_subparsers(
        dest="what", required=True
    )
    keys.add_parser("list", help="signing keys and their times")
    rotate = keys.add_parser("rotate", help="begin with the next key")
    rotate.add_argument("--now", action="store_true", help="sign with it at once: a key leaked")
    keys.add_parser("drop", help="forget a key that leaked").add_argument("kid")


def run(chosen: argparse.Namespace) -> str | None:
    """Run one of our commands and say what was done; None if it is none of ours."""
    if chosen.command == "user":
        run = {"create": _create, "reset": _reset, "list": _list}
        run |= {
            "disable": _disable,
            "enable": _enable,
            "delete": _delete,
            "take-factor": _take_factor,
        }
        return run[chosen.what](chosen)
    if chosen.command == "invite":
        return _invite(chosen)
    if chosen.command == "keys":
        return {"list": _keys, "rotate": _rotate, "drop": _drop}[chosen.what](chosen)
    return None


def _create(chosen: argparse.Namespace) -> str:
    from infra.admin import grant
    from shared import wiring
    from shared.accounts.oidc import OUTSIDE
    from shared.records.record import valid_id

    named = chosen.user_id
    if named is not None and (not valid_id(named) or named.startswith(OUTSIDE)):
        raise InvalidRequest("An id is 1 to 128 of A-Z a-z 0-9 _ - and does not begin with o-.")
    password, said = _password()
    user = wiring.accounts().administration.create(
        chosen.email,
        password,
        wiring.clock_ms(),
        user_id=named,
        name=chosen.name,
        by=wiring.operator(),
    )
    if chosen.scope is not None:
        grant(user, chosen.scope, chosen.role)
    return f"made {user}{said}"


def _reset(chosen: argparse.Namespace) -> str:
    from shared import wiring

    password, said = _password()
    user = wiring.accounts().administration.reset(
        chosen.email, password, wiring.clock_ms(), wiring.operator()
    )
    return f"reset {user}; all its sessions are over{said}"


def _disable(chosen: argparse.Namespace) -> str:
    from shared import wiring

    user = wiring.accounts().administration.disable(
        chosen.who, wiring.clock_ms(), wiring.operator()
    )
    return f"{user} is disabled; all its sessions are over"


def _enable(chosen: argparse.Namespace) -> str:
    from shared import wiring

    user = wiring.accounts().administration.enable(chosen.who, wiring.clock_ms(), wiring.operator())
    return f"{user} may log in again"


def _delete(chosen: argparse.Namespace) -> str:
    from shared import wiring

    user = wiring.accounts().deletion.delete(chosen.who, wiring.clock_ms(), wiring.operator())
    return f"{user} is deleted: e-mail, name, password, sessions; all memberships are over"


def _take_factor(chosen: argparse.Namespace) -> str:
    from shared import wiring

    user = wiring.accounts().administration.take_factor(
        chosen.who, wiring.clock_ms(), wiring.operator()
    )
    return f"{user} logs in by password alone; all sessions are over"


def _list(_: argparse.Namespace) -> str:
    from shared import wiring
    from shared.access import membership
    from shared.accounts import account
    from shared.records.store import Query

    lines = []
    for document in wiring.store().query(Query("accounts")):
        known = account.parse(document.key.id, document)
        where = membership.key(known.user_id)
        held = membership.known(known.user_id, wiring.store().read([where]).documents.get(where))
        scopes = " ".join(f"{scope}:{role}" for scope, role in sorted(held.roles.items()))
        disabled = "" if held.disabled_ms is None else "  disabled"
        lines.append(f"{known.user_id:<28} {known.email or '-':<32} {scopes or '-'}{disabled}")
    return "\n".join(lines) or "no accounts"


def _invite(chosen: argparse.Namespace) -> str:
    from shared import wiring
    from shared.accounts.invite import MOST_DAYS, MOST_USES
    from shared.records.record import valid_id

    if not valid_id(chosen.scope):
        raise InvalidRequest("A scope is 1 to 128 of A-Z a-z 0-9 _ -.")
    if not (0 < chosen.days <= MOST_DAYS and 1 <= chosen.uses <= MOST_USES):
        raise InvalidRequest(f"At most {MOST_DAYS} days and {MOST_USES} uses.")
    code, invite = wiring.accounts().invites.make(
        wiring.operator(), chosen.scope, chosen.role, chosen.days, chosen.uses, wiring.clock_ms()
    )
    return (
        f"{code} admits {invite.most_uses} as {invite.role} until {_at(invite.expires_ms / 1000)}"
    )


def _keys(_: argparse.Namespace) -> str:
    from shared import wiring

    now = time.time()
    ring, _version = wiring.key_store().load()
    signing = ring.signing(now)
    lines = []
    for key in ring.keys:
        end = ring.ends_s(key)
        state = "next" if key.signs_from_s > now else "ending"
        state = "signs" if key is signing else state
        state = "ended" if key not in ring.published(now) else state
        until = "-" if end is None else _at(end)
        lines.append(
            f"{key.kid} {key.algorithm} {state:<6} from {_at(key.signs_from_s)} to {until}"
        )
    return "\n".join(lines) or "no keys"


def _rotate(chosen: argparse.Namespace) -> str:
    from shared import wiring

    store = wiring.key_store()
    ring, version = store.load()
    rotated = ring.rotated(time.time(), at_once=chosen.now)
    newest = rotated.keys[-1]
    if rotated != ring:
        _note_key("rotate-keys", newest.kid)
        store.save(rotated, version)
    return f"{newest.kid} signs from {_at(newest.signs_from_s)}"


def _drop(chosen: argparse.Namespace) -> str:
    from shared import wiring

    store = wiring.key_store()
    ring, version = store.load()
    if all(each.kid != chosen.kid for each in ring.keys):
        raise NotFound("There is no such key.")
    try:
        left = ring.without(chosen.kid, time.time())
    except ValueError:
        raise Fault("This key signs now: rotate with --now first.") from None
    _note_key("drop-key", chosen.kid)
    store.save(left, version)
    return f"{chosen.kid} is forgotten; tokens it has signed are refused"


def _note_key(action: str, kid: str) -> None:
    """Before the change, which is made in another store: an entry too many is better than none."""
    from shared import wiring
    from shared.access import audit

    wiring.store().commit([audit.right(wiring.operator(), action, wiring.clock_ms(), key=kid)])


def _password() -> tuple[str, str]:
    """A password, and what to say about it."""
    if not sys.stdin.isatty() and (given := sys.stdin.readline().rstrip("\r\n")):
        return given, ""
    made = secrets.token_urlsafe(_PASSWORD_BYTES)
    return made, f"; its password, shown only here: {made}"


def _at(seconds: float) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(seconds))
