"""`python -m infra.ci.smoke URL`: is a deployment up, does it run this release, is it closed?

Asks what everybody may ask, and one thing that nobody may without a token. Changes nothing. New
instances take a moment, so it asks again for a while. `--log-in EMAIL` then syncs once as a new phone:
that makes a session and an entry in the list of devices.

`--red-case` pushes a red case as that person and waits for its `ai_analysis`. One answer then says that
Firestore and its indexes, Pub/Sub, its tokens, the job, the model and the way back all work. The case is a
real one to those who see that team, so the person should be in a team of its own: `smoke-team`.
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

#: The phone that the smoke test is, the same in each run.
_DEVICE = "smoke-test"


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


def log_in(accounts_url: str, email: str, password: str) -> tuple[str, str]:
    """User id and access token. Raises `SystemExit` if the log-in is refused."""
    login = json.dumps({"email": email, "password": password, "device_id": _DEVICE}).encode()
    status, said = ask(f"{accounts_url.rstrip('/')}/api/v1/auth/login", login)
    if status != 200:
        raise SystemExit(f"log-in: {status} {said['error']['code']}")
    return said["user_id"], said["access_token"]


def sync(sync_url: str, token: str, since: int = 0, changes: Any = None) -> Any:
    """One sync of the smoke test's phone. Raises `SystemExit` if it is refused."""
    body = {"last_sync_timestamp": since, "device_id": _DEVICE, "changes": changes or {}}
    status, got = ask(f"{sync_url.rstrip('/')}/api/sync", json.dumps(body).encode(), token)
    if status != 200:
        raise SystemExit(f"sync: {status} {got['error']['code']}")
    return got


def first_sync(accounts_url: str, sync_url: str, email: str, password: str) -> str:
    """Log in and sync as a new phone would, changing no record. Raises `SystemExit` if it cannot."""
    user, token = log_in(accounts_url, email, password)
    rows = sum(len(table) for table in sync(sync_url, token)["server_updates"].values())
    return f"{user} has synced: {rows} rows"


def red_case(sync_url: str, token: str, wait_seconds: float, pause_seconds: float) -> str:
    """Push a red case, wait for its analysis. Raises `SystemExit` saying how far it came."""
    now = int(time.time())
    case, patient = f"smoke-{now}", f"smoke-patient-{now}"
    new = {"sync_status": "new", "last_modified_at": now}
    red = {"patient_id": patient, "risk_level": "red", "triage_data": {"site": "smoke test"}}
    changes = {
        "patients": [{"id": patient, "demographics": {"name": "Smoke Test"}, **new}],
        "cases": [{"id": case, **red, **new}],
    }
    begun = time.monotonic()
    got = sync(sync_url, token, 0, changes)
    if case not in got["accepted"]["cases"]:
        raise SystemExit(f"red case: not accepted: {got['rejected']}")
    while True:
        rows = sync(sync_url, token)["server_updates"].get("cases", ())
        found: dict[str, Any] = next((row for row in rows if row["id"] == case), {})
        if analysis := found.get("ai_analysis"):
            return f"{case} was read after {time.monotonic() - begun:.0f} s: {analysis['status']}"
        if time.monotonic() - begun >= wait_seconds:
            raise SystemExit(
                f"red case: {case} has no analysis after {wait_seconds:.0f} s, it is "
                f"{found.get('status')}: infra/runbooks/ai-endpoint-down.md"
            )
        time.sleep(pause_seconds)


def problems(url: str, sync_url: str, release: str | None) -> list[str]:
    """What is wrong with a deployment; empty: nothing."""

    def wrong(name: str, check: Callable[[], bool]) -> str | None:
        try:
            return None if check() else f"{name}: wrong answer"
        except (OSError, ValueError, KeyError, TypeError) as error:
            return f"{name}: {type(error).__name__}"

    checks: dict[str, Callable[[], bool]] = {
        "/health": lambda: (found := ask(f"{url}/health"))[0] == 200 and found[1]["status"] == "ok",
        "/ready": lambda: ask(f"{url}/ready") == (200, {"status": "ready"}),
        "/version": lambda: release in (None, ask(f"{url}/version")[1]["commit"]),
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
    parser.add_argument(
        "--red-case", action="store_true", help="also push a red case and wait for its analysis"
    )
    parser.add_argument("--wait", type=float, default=180.0, help="seconds to wait for it")
    chosen = parser.parse_args(arguments)
    if chosen.terraform:
        outputs = deployed(chosen.terraform)
        chosen.url, chosen.sync_url, chosen.accounts_url, chosen.release = outputs
    if not chosen.url:
        parser.error("say where it is: a URL, or --terraform")
    if chosen.red_case and not chosen.log_in:
        parser.error("a red case is somebody's: --log-in EMAIL")
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
        accounts_url, sync_url = chosen.accounts_url or url, chosen.sync_url or url
        print(first_sync(accounts_url, sync_url, chosen.log_in, password))
        if chosen.red_case:
            _, token = log_in(accounts_url, chosen.log_in, password)
            print(red_case(sync_url, token, max(chosen.wait, 1.0), _PAUSE_SECONDS))
    return 0


if __name__ == "__main__":
    sys.exit(main())
