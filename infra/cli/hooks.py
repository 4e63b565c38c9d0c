"""Endpoints of other systems, which hear of the events of a scope."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import click

from infra.cli.command import Group, as_json, iso, show
from shared import wiring
from shared.errors import InvalidRequest
from shared.hooks.hooks import Access
from shared.records.record import valid_id

_DAY_MS = 86_400_000


def access(scope: str) -> Access:
    """An operator may do everything in any scope."""
    if not valid_id(scope):
        raise InvalidRequest("A scope is 1 to 128 of A-Z a-z 0-9 _ -.")
    return Access(wiring.operator(), [scope])


def endpoints(scope: str) -> Iterator[dict[str, Any]]:
    """The endpoints of a scope: id, state, events, address."""
    for place in wiring.hooks().listed(access(scope)):
        have = place.endpoint
        state = have.disabled_for or ("failing" if have.failing_since else "good")
        yield {"id": have.id, "state": state, "events": ",".join(have.events), "url": have.url}


@click.group("hooks", cls=Group)
def group() -> None:
    """Endpoints of other systems."""


@group.command("list", example="python -m infra.cli hooks list kito-team")
@click.argument("scope")
@as_json
def list_hooks(scope: str, as_json: bool) -> None:
    """List the endpoints of SCOPE, without their secrets."""
    show(endpoints(scope), "{id:<30} {state:<12} {events} {url}", "no endpoints", as_json)


@group.command(
    "add",
    example="python -m infra.cli hooks add kito-team https://his.example.org/in --event EVENT",
)
@click.argument("scope")
@click.argument("url")
@click.option("--event", "wanted", multiple=True, help="What it hears of; all, if none is named.")
def add(scope: str, url: str, wanted: tuple[str, ...]) -> None:
    """Send the events of SCOPE to URL. Prints the secret, which is shown this once."""
    names = wanted or tuple(each.name for each in wiring.product().events)
    place, secret = wiring.hooks().add(access(scope), scope, url, names, wiring.clock_ms())
    click.echo(f"{place.endpoint.id} {secret}")


@group.command("remove", example="python -m infra.cli hooks remove kito-team hook_0f3a…")
@click.argument("scope")
@click.argument("hook")
def remove(scope: str, hook: str) -> None:
    """Send HOOK of SCOPE nothing any more, what waits included."""
    wiring.hooks().remove(access(scope), hook, wiring.clock_ms())
    click.echo(f"{hook} is removed")


@group.command("enable", example="python -m infra.cli hooks enable kito-team hook_0f3a…")
@click.argument("scope")
@click.argument("hook")
def enable(scope: str, hook: str) -> None:
    """Send to HOOK of SCOPE again; `redeliver` sends what it missed."""
    wiring.hooks().change(access(scope), hook, wiring.clock_ms(), enabled=True)
    click.echo(f"{hook} is enabled")


@group.command("rotate", example="python -m infra.cli hooks rotate kito-team hook_0f3a…")
@click.argument("scope")
@click.argument("hook")
def rotate(scope: str, hook: str) -> None:
    """Make a new secret for HOOK of SCOPE and print it; the one before is good for a day."""
    _, secret = wiring.hooks().rotate(access(scope), hook, wiring.clock_ms())
    click.echo(secret)


@group.command("test", example="python -m infra.cli hooks test kito-team hook_0f3a…")
@click.argument("scope")
@click.argument("hook")
def send_test(scope: str, hook: str) -> None:
    """Send a test to HOOK of SCOPE; `deliveries` says what came of it."""
    name, bell = wiring.hooks().test(access(scope), hook, wiring.clock_ms())
    wiring.ring([bell])
    click.echo(f"{name} is on its way")


@group.command("deliveries", example="python -m infra.cli hooks deliveries kito-team hook_0f3a…")
@click.argument("scope")
@click.argument("hook")
@as_json
def deliveries(scope: str, hook: str, as_json: bool) -> None:
    """List what was sent to HOOK of SCOPE, the newest first: state, attempts, last fault."""
    rows = (
        {
            "at": iso(each.at),
            "type": each.type,
            "state": each.state,
            "attempts": each.attempts,
            "fault": each.last_fault,
            "event": each.event_id,
        }
        for each in wiring.hooks().deliveries(access(scope), hook)
    )
    line = "{at:<20} {state:<10} {attempts:>8} {fault:<16} {type:<16} {event}"
    show(rows, line, "no deliveries", as_json)


@group.command("redeliver", example="python -m infra.cli hooks redeliver kito-team hook_0f3a…")
@click.argument("scope")
@click.argument("hook")
@click.option("--days", type=float, default=7, show_default=True, help="How far to go back.")
def redeliver(scope: str, hook: str, days: float) -> None:
    """Send HOOK of SCOPE what it did not take, and what happened while it was disabled."""
    now_ms = wiring.clock_ms()
    count = 0
    for bells in wiring.hooks().again(access(scope), hook, now_ms - round(days * _DAY_MS), now_ms):
        wiring.ring(bells)
        count += len(bells)
    click.echo(f"{count} events are sent again")
