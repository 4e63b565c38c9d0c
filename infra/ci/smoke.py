"""`python -m infra.ci.smoke URL`: is a deployment up, does it run this release, is it closed?

Asks what everybody may ask, and one thing that nobody may without a token. Changes nothing. New
instances take a moment, so it asks again for a while. `--log-in EMAIL` then syncs once as a new phone:
that makes a session and an entry in the list of devices.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Sequence
from getpass import getpass
from typing import Any

#: Between two rounds, seconds.
_PAUSE_SECONDS = 5.0

#: Longest wait for one answer, seconds: a cold start is in it.
_TIMEOUT_SECONDS = 30


def ask(url: str, body: bytes | None = None, token: str = "") -> tuple[int, Any]:
    """Status and JSON body of an answer, of a refusal too. Raises `OSError` if there is none."""
    headers = {"Accept": "application/json", "Content-Type": "application/json"}
    if token:
        headers["Authorization"] = f"Bearer {token}"
    request = urllib.request.Request(url, body, headers)  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refusal:
        with refusal:
            return refusal.code, json.load(refusal)


def deployed(folder: str) -> tuple[str, str, str, str]:
    """URL, URLs of sync and accounts, and release, as Terraform's outputs in a folder say."""
    said = subprocess.run(  # noqa: S603  a program of ours
        ["terraform", f"-chdir={folder}", "output", "-json"],  # noqa: S607  found on the PATH
        capture_output=True,
        text=True,
        check=True,
    )
    outputs = {name: each["value"] for name, each in json.loads(said.stdout).items()}
    urls = outputs["api_urls"]
    return outputs["status_url"], urls["/api/sync"], urls["/api/v1/auth/*"], outputs["release"]


def first_sync(accounts_url: str, sync_url: str, email: str, password: str) -> str:
    """Log in and sync as a new phone would, changing no record. Raises `SystemExit` if it cannot."""
    device = "smoke-test"
    login = json.dumps({"email": email, "password": password, "device_id": device}).encode()
    status, said = ask(f"{accounts_url.rstrip('/')}/api/v1/auth/login", login)
    if status != 200:
        raise SystemExit(f"log-in: {status} {said['error']['code']}")
    body = json.dumps({"last_sync_timestamp": 0, "device_id": device}).encode()
    status, got = ask(f"{sync_url.rstrip('/')}/api/sync", body, said["access_token"])
    if status != 200:
        raise SystemExit(f"sync: {status} {got['error']['code']}")
    rows = sum(len(table) for table in got["server_updates"].values())
    return f"{said['user_id']} has synced: {rows} rows"


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
    parser.add_argument("url", nargs="?", help="where /health answers")
    parser.add_argument("--terraform", metavar="FOLDER", help="ask its outputs for the addresses")
    parser.add_argument("--sync-url", help="where /api/sync answers, if elsewhere")
    parser.add_argument("--accounts-url", help="where /api/v1/auth answers, if elsewhere")
    parser.add_argument("--release", help="the release that must answer")
    parser.add_argument(
        "--log-in", metavar="EMAIL", help="also sync as somebody; asks the password"
    )
    parser.add_argument("--wait", type=float, default=180.0, help="seconds to wait for it")
    chosen = parser.parse_args(arguments)
    if chosen.terraform:
        outputs = deployed(chosen.terraform)
        chosen.url, chosen.sync_url, chosen.accounts_url, chosen.release = outputs
    if not chosen.url:
        parser.error("say where it is: a URL, or --terraform")
    url = chosen.url.rstrip("/")
    end = time.monotonic() + chosen.wait
    while found := problems(url, (chosen.sync_url or url).rstrip("/"), chosen.release):
        if time.monotonic() >= end:
            print("\n".join(found))
            return 1
        time.sleep(min(_PAUSE_SECONDS, max(end - time.monotonic(), 0)))
    print(f"{url} is up")
    if chosen.log_in:
        password = sys.stdin.readline().rstrip("\n") if not sys.stdin.isatty() else getpass()
        print(
            first_sync(chosen.accounts_url or url, chosen.sync_url or url, chosen.log_in, password)
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
