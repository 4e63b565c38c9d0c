"""The HTTP functions as they are deployed, in this process: functions-framework, main.py, SQLite.

    api           the API with default settings
    start_api     makes one with other settings: start_api(max_body_bytes=2048); of a product that no
                  deployment has with start_api(NOTEBOOKS)

Settings are read once a process and collaborators are cached in `shared.wiring`; so each API starts
with an empty environment, empty caches and freshly imported functions, and leaves nothing behind.
"""

from __future__ import annotations

import importlib
import json
import logging
import os
import pkgutil
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import functions_framework
import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from shared import settings, wiring
from shared.access import membership
from shared.accounts import tokens
from shared.accounts.passwords import Cost, Passwords
from shared.adapters.file_keys import FileKeys
from shared.api.routes import Route, find
from shared.products.known import variables
from shared.products.product import Product

ROOT = Path(__file__).parent.parent.parent

StartApi = Callable[..., "Api"]

#: As little as argon2 takes; what the parameters are is no matter of most tests.
CHEAP = Cost(memory_kib=8, passes=1)


class Api:
    """All HTTP functions on one data folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._clients: dict[str, FlaskClient] = {}
        self.routes = {name: routes(name) for name in _function_names()}

    def function_of(self, method: str, path: str) -> str:
        """The function that serves a path; "status" for one that nobody serves."""
        for name, routes in self.routes.items():
            found = find(routes, path, method)
            if name != "sweeper" and (found.route is not None or found.allowed):
                return name
        return "status"

    def client(self, function: str) -> FlaskClient:
        """A client of one function, started as functions-framework starts it."""
        if function not in self._clients:
            os.environ["FUNCTION_TARGET"] = function
            app = functions_framework.create_app(function, str(ROOT / "main.py"), "http")
            self._clients[function] = app.test_client()
        return self._clients[function]

    def join(self, user: str, scope: str = "team1", role: str | None = None) -> None:
        """Make a user a member of a scope, in the role of newcomers if none is given."""
        role = role or wiring.product().accounts.newcomer
        membership.grant(wiring.store(), user, scope, role, wiring.clock_ms())

    def token(
        self,
        user: str = "chw1",
        role: str | None = None,
        device: str | None = None,
        seconds: int = tokens.ACCESS_SECONDS,
    ) -> str:
        """An access token of a user; already expired if `seconds` is negative."""
        key = FileKeys(self.folder / "keys").current()
        policy = wiring.token_policy()
        return tokens.issue(
            key,
            policy,
            user_id=user,
            role=role or wiring.product().accounts.newcomer,
            now_s=wiring.clock_ms() / 1000,
            device=device,
            seconds=seconds,
        )

    def ask(
        self,
        method: str,
        path: str,
        body: Any = None,
        *,
        token: str | None = None,
        headers: dict[str, str] | None = None,
    ) -> TestResponse:
        """One request. `body` is JSON, or bytes to send as they are."""
        sent = dict(headers or {})
        if token is not None:
            sent["Authorization"] = f"Bearer {token}"
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        if data is not None:
            sent.setdefault("Content-Type", "application/json")
        client = self.client(self.function_of(method, path.partition("?")[0]))
        return client.open(path, method=method, data=data, headers=sent)

    def run_jobs(self) -> None:
        """Run what is due, as the subscribers of the product's topics do."""
        for kind in wiring.product().rung:
            wiring.runner().run_due(kind, 600)


def _function_names() -> list[str]:
    return [module.name for module in pkgutil.iter_modules([str(ROOT / "functions")])]


def routes(function: str) -> tuple[Route, ...]:
    module = importlib.import_module(f"functions.{function}")
    return getattr(module, "ROUTES", ())


def _forget() -> None:
    """Drop everything that was made from the settings of one API."""
    wiring.forget()
    for name in list(sys.modules):
        if name.partition(".")[0] in ("functions", "main"):
            del sys.modules[name]


@pytest.fixture
def start_api(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[StartApi]:
    """Starts the API with settings of one's own; once a test."""
    log = logging.getLogger("shared")
    before = (log.handlers[:], log.level, log.propagate)
    # functions-framework leaves these behind; the monkeypatch puts back what was there
    monkeypatch.setenv("FUNCTION_TARGET", "status")
    monkeypatch.setenv("FUNCTION_SIGNATURE_TYPE", "http")
    monkeypatch.setattr(sys, "path", [*sys.path])
    # what one hash costs is no matter of these tests
    monkeypatch.setattr(Passwords.__init__, "__defaults__", (CHEAP,))
    for name in variables():
        monkeypatch.delenv(name, raising=False)
    _forget()

    def start(served: Product | None = None, /, **chosen: object) -> Api:
        if served is not None:
            monkeypatch.setattr(wiring, "product", lambda: served)
        monkeypatch.setenv("DATA_FOLDER", str(tmp_path))
        for name, value in chosen.items():
            monkeypatch.setenv(name.upper(), str(value))
        settings.current.cache_clear()  # who asked for the time has read them
        return Api(tmp_path)

    yield start
    _forget()
    log.handlers[:], log.level, log.propagate = before


@pytest.fixture
def api(start_api: StartApi) -> Api:
    """The API with default settings."""
    return start_api()
