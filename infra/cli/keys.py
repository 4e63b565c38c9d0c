"""The keys that sign access tokens."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import click

from infra.cli.command import Group, as_json, iso, show
from shared import wiring
from shared.access import audit
from shared.errors import Fault, NotFound


def keys() -> Iterator[dict[str, Any]]:
    """Every signing key: kid, algorithm, state, times."""
    now = time.time()
    ring, _version = wiring.key_store().load()
    signing = ring.signing(now)
    for key in ring.keys:
        end = ring.ends_s(key)
        state = "next" if key.signs_from_s > now else "ending"
        state = "signs" if key is signing else state
        state = "ended" if key not in ring.published(now) else state
        yield {
            "kid": key.kid,
            "algorithm": key.algorithm,
            "state": state,
            "from": iso(key.signs_from_s * 1000),
            "to": None if end is None else iso(end * 1000),
        }


@click.group("keys", cls=Group)
def group() -> None:
    """Signing keys."""


@group.command("list", example="python -m infra.cli keys list")
@as_json
def list_keys(as_json: bool) -> None:
    """List the signing keys and their times."""
    show(keys(), "{kid:<16} {algorithm:<9} {state:<6} {from:<20} {to}", "no keys", as_json)


@group.command("rotate", example="python -m infra.cli keys rotate")
@click.option("--now", "at_once", is_flag=True, help="Sign with it at once: a key leaked.")
def rotate(at_once: bool) -> None:
    """Begin with the next key; harmless if repeated."""
    store = wiring.key_store()
    ring, version = store.load()
    rotated = ring.rotated(time.time(), at_once=at_once)
    newest = rotated.keys[-1]
    if rotated != ring:
        _note("rotate-keys", newest.kid)
        store.save(rotated, version)
    click.echo(f"{newest.kid} signs from {iso(newest.signs_from_s * 1000)}")


@group.command("drop", example="python -m infra.cli keys drop KID")
@click.argument("kid")
def drop(kid: str) -> None:
    """Forget the key KID, which leaked: tokens that it signed are refused."""
    store = wiring.key_store()
    ring, version = store.load()
    if all(each.kid != kid for each in ring.keys):
        raise NotFound("There is no such key.")
    try:
        left = ring.without(kid, time.time())
    except ValueError:
        raise Fault("This key signs now: rotate with --now first.", code="key_signs") from None
    _note("drop-key", kid)
    store.save(left, version)
    click.echo(f"{kid} is forgotten; tokens it has signed are refused")


def _note(action: str, kid: str) -> None:
    """Before the change, which is made in another store: an entry too many is better than none."""
    wiring.store().commit([audit.right(wiring.operator(), action, wiring.clock_ms(), key=kid)])
