"""`python -m infra.ci.smoke URL`: is a deployment up, does it run this release, is it closed?

Asks what everybody may ask, and one thing that nobody may without a token. Changes nothing. New
instances take a moment, so it asks again for a while.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from typing import Any

#: Between two rounds, seconds.
_PAUSE_SECONDS = 5.0

#: Longest wait for one answer, seconds: a cold start is in it.
_TIMEOUT_SECONDS = 30


def ask(url: str, body: bytes | None = None) -> tuple[int, Any]:
    """Status and JSON body of an answer, of a refusal too. Raises `OSError` if there is none."""
    request = urllib.request.Request(url, body, {"Accept": "application/json"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


def problems(url: str, sync_url: str, release: str | None) -> list[str]:
    """What is wrong with a deployment; empty: nothing."""

    def wrong(name: str, check: Callable[[], bool]) -> str | None:
        try:
            return None if check() else f"{name}: wrong answer"
        except (OSError, ValueError, KeyError, TypeError) as error:
            return f"{name}: {type(error).__name__}"

    checks: dict[str, Callable[[], bool]] = {
        "/health": lambda: ask(f"{url}/health") == (200, {"status": "ok"}),
        "/ready": lambda: ask(f"{url}/ready") == (200, {"status": "ready"}),
        "/version": lambda: release in (None, ask(f"{url}/version")[1]["version"]),
        "/openapi.json": lambda: "/api/sync" in ask(f"{url}/openapi.json")[1]["paths"],
        "/api/sync without a token": lambda: ask(f"{sync_url}/api/sync", b"{}")[0] == 401,
    }
    return [found for name, check in checks.items() if (found := wrong(name, check))]


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask until everything is right or the time is over."""
    parser = argparse.ArgumentParser(prog="python -m infra.ci.smoke", description=__doc__)
    parser.add_argument("url", help="where /health answers")
    parser.add_argument("--sync-url", help="where /api/sync answers, if elsewhere")
    parser.add_argument("--release", help="the release that must answer")
    parser.add_argument("--wait", type=float, default=180.0, help="seconds to wait for it")
    chosen = parser.parse_args(arguments)
    url = chosen.url.rstrip("/")
    end = time.monotonic() + chosen.wait
    while found := problems(url, (chosen.sync_url or url).rstrip("/"), chosen.release):
        if time.monotonic() >= end:
            print("\n".join(found))
            return 1
        time.sleep(min(_PAUSE_SECONDS, max(end - time.monotonic(), 0)))
    print(f"{url} is up")
    return 0


if __name__ == "__main__":
    sys.exit(main())
