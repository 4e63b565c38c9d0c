"""What every page of the console takes, with 100,000 cases in ten teams on SQLite.

    python -m benchmarks.console --quick      # 5,000 cases

The console runs in this process, on the SQLite file that it would have on a clinic's server: what is
measured is a page from its request to its last byte, without the network. Whoever looks is in all ten
teams, which is as bad as it gets. One case in twenty is red and waits, one in fifty was signed. Files
(exports) are left out: they take as long as they are large, and are sent while they are made.
"""

from __future__ import annotations

import importlib
import os
import tempfile
import time
from typing import Any

import orjson
from flask import Request
from werkzeug.datastructures import Headers
from werkzeug.test import EnvironBuilder

from benchmarks import corpus
from benchmarks.load import percentile
from benchmarks.measure import Report, main

CASES, QUICK_CASES = 100_000, 5_000
TEAMS = 10
REPETITIONS, QUICK_REPETITIONS = 40, 8

#: The goal: 95 of 100 requests of each page, ms.
MOST_MS = 300

#: Cases of one push.
_PIECE = 1000

_PASSWORD = "a rather long pass phrase"
_ROLES = ("doctor", "supervisor", "admin")


def run(quick: bool) -> Report:
    """Every page, one after the other."""
    report = Report("console")
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(DATA_FOLDER=folder, RATE_LIMITS="requests=0/60", LOG_LEVEL="ERROR")
        cases = QUICK_CASES if quick else CASES
        _fill(cases)
        slowest: dict[str, float] = {}
        for name, values in _pages(QUICK_REPETITIONS if quick else REPETITIONS).items():
            report.row(f"SQLite, {cases:,} cases: {name}", "ours", "ms", values)
            slowest[name] = percentile(values, 0.95)
    worst = max(slowest, key=lambda name: slowest[name])
    report.goal(
        f"Each page in at most {MOST_MS} ms, 95 of 100 times, at {CASES:,} cases",
        f"{slowest[worst]:.0f} ms: {worst}",
        slowest[worst] <= MOST_MS,
        ", ".join(f"{name} {took:.0f}" for name, took in slowest.items() if took > MOST_MS),
    )
    return report


def _ask(function: str, method: str, path: str, token: str, body: Any, **headers: str) -> Any:
    """What a function in this process answers."""
    sent = {"Authorization": f"Bearer {token}", "Content-Type": "application/json"}
    sent |= {name.replace("_", "-"): value for name, value in headers.items()}
    data = None if body is None else orjson.dumps(body)
    builder = EnvironBuilder(path=path, method=method, data=data, headers=Headers(sent))
    module = importlib.import_module(f"functions.{function}")
    answer = getattr(module, function)(Request(builder.get_environ()))
    value = orjson.loads(answer.get_data())
    if answer.status_code != 200:
        raise RuntimeError(f"{method} {path}: {answer.status_code} {value}")
    return value


def _fill(cases: int) -> None:
    from infra.local.token import token_for
    from shared import wiring
    from shared.access import membership

    now_ms = wiring.clock_ms()
    teams = [f"team-{number}" for number in range(TEAMS)]
    for role in _ROLES:
        administration = wiring.accounts().administration
        administration.create(f"{role}@example.org", _PASSWORD, now_ms, user_id=role, name=role)
    for team in teams:
        membership.grant(wiring.store(), f"{team}-chw", team, "chw", now_ms)
        for role in _ROLES:
            membership.grant(wiring.store(), role, team, role, now_ms)
    each = cases // TEAMS
    for team in teams:
        token = token_for(f"{team}-chw")
        for first in range(0, each, _PIECE):
            count = min(_PIECE, each - first)
            rows = corpus.cases(team, count, first=first)
            for number, row in enumerate(rows):
                row["risk_level"] = "red" if number % 20 == 0 else row["risk_level"]
            changes = {"cases": {"created": rows, "updated": [], "deleted": []}}
            if not first:
                patients = corpus.patients(team, each)
                changes["patients"] = {"created": patients, "updated": [], "deleted": []}
            path = f"/api/v1/sync?last_pulled_at={now_ms}&device_id={team}-phone"
            _ask("sync", "POST", path, token, {"changes": changes})
    doctor = token_for("doctor", role="doctor")
    for team in teams:
        for number in range(0, each, 50):
            _sign(f"{team}-case-{number:06d}", doctor)


def _sign(case: str, token: str) -> None:
    where = f"/api/v1/review/cases/{case}"
    seen = _ask("review", "GET", where, token, None)
    body = {"diagnosis_text": "Tinea corporis", "prescription": "Clotrimazole"}
    _ask(
        "review",
        "POST",
        f"{where}/diagnosis",
        token,
        body,
        If_Match=f'"{seen["version"]}"',
        Idempotency_Key=case,
    )


def _pages(repetitions: int) -> dict[str, list[float]]:
    """Milliseconds of each page, by its name; what is no page is left out."""
    from tests.console.browser_in_process import Browser

    frame = importlib.import_module("functions.console").FRAME
    browsers = {role: Browser(frame) for role in _ROLES}
    for role, browser in browsers.items():
        browser.log_in(f"{role}@example.org", _PASSWORD)
    took: dict[str, list[float]] = {}
    for page in frame.pages:
        role = next(
            (each for each in _ROLES if page.right is None or frame.may(each, page.right)), ""
        )
        path = f"/console/{page.path}"
        path = path.replace("cases/{id}", "cases/team-3-case-000040")
        path = path.replace("users/{id}", "users/team-3-chw")
        seen = browsers[role].ask(path)
        if seen.status != 200 or seen.response.mimetype != "text/html":
            continue
        values = []
        for _ in range(repetitions):
            began = time.perf_counter()
            browsers[role].ask(path, headers={"Accept-Encoding": "gzip"})
            values.append((time.perf_counter() - began) * 1000)
        took[page.path] = values
    return took


main(__name__, run)
