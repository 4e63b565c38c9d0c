"""The services about accounts on either store, with cheap hashes and time as a parameter."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from shared.access import membership
from shared.access.audit import OPERATOR
from shared.access.membership import Caller
from shared.accounts import tokens
from shared.accounts.caller import Me, Origin, check
from shared.accounts.keys import RingKeys, TokenPolicy
from shared.accounts.passwords import Cost, Passwords
from shared.accounts.services import AccountServices, account_services
from shared.accounts.session import Life
from shared.accounts.token_issuer import Tokens
from shared.adapters.file_keys import FileKeys
from shared.errors import Fault
from shared.records.store import RecordStore
from tests.api.conftest import CHEAP, Api, StartApi
from tests.api.conftest import start_api as start_any_api
from tests.neutral.product import NOTEBOOKS
from tests.stores import BOTH, fresh

__all__ = ["start_any_api"]

ACCOUNTS = NOTEBOOKS.accounts

#: Everybody may register and make a scope, and sessions of all roles live equally long.
OPEN = replace(ACCOUNTS, registration="open", scope_makers=None, idle_days={})

#: 1 March 2026, server ms.
NOON = 1_772_366_400_000
MINUTE, DAY = 60_000, 86_400_000
LIFE = 90 * DAY
YEAR = Life(LIFE, 365 * DAY)

PASSWORD = "correct horse battery"
HOME = Origin("192.0.2.1", "phone-1")
AWAY = Origin("198.51.100.7", "elsewhere")


class CountingPasswords(Passwords):
    """Real ones, which count how often argon2 was asked."""

    def __init__(self, cost: Cost = CHEAP) -> None:
        super().__init__(cost)
        self.verified = self.hashed = 0

    def fits(self, stored: str | None, password: str) -> bool:
        self.verified += 1
        return super().fits(stored, password)

    def hash(self, password: str) -> str:
        self.hashed += 1
        return super().hash(password)


class Office:
    """The services, and the means to look behind them."""

    def __init__(self, store: RecordStore, folder: Path) -> None:
        self.store, self.folder = store, folder
        self.passwords = CountingPasswords()
        self.keys = RingKeys(FileKeys(folder / "keys", lambda: NOON / 1000), lambda: NOON / 1000,
                             make=True)  # fmt: skip
        self.policy = TokenPolicy("here", "api", 30, ACCOUNTS.newcomer, NOTEBOOKS.rights.roles)
        self.accounts = self.on(store)

    def on(self, store: RecordStore, **more: Any) -> AccountServices:
        options: dict[str, Any] = {
            "policy": OPEN,
            "passwords": self.passwords,
            "secret": b"s" * 32,
            **more,
        }
        return account_services(
            store, keys=self.keys, token_policy=self.policy, life=YEAR, **options
        )

    def register(self, email: str = "amina@example.org", **more: Any) -> Tokens:
        return self.accounts.registration.register(email, PASSWORD, HOME, NOON, **more)

    def check(self, caller: Caller) -> Me:
        return check(self.store, caller)

    def caller(self, made: Tokens, now_ms: int = NOON) -> Caller:
        return tokens.verify(made.access, self.keys, self.policy, now_ms / 1000)

    def join(self, user: str, scope: str, role: str) -> None:
        membership.grant(self.store, user, scope, role, NOON)


@pytest.fixture(params=BOTH)
def office(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    store = fresh(request.param, request, tmp_path)
    yield Office(store, tmp_path)
    store.close()


@pytest.fixture
def quick(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Office]:
    """On SQLite only: where the store is not the point."""
    store = fresh("sqlite", request, tmp_path)
    yield Office(store, tmp_path)
    store.close()


@pytest.fixture
def start_api(start_any_api: StartApi) -> StartApi:
    """Starts the API of the notebooks with settings of one's own; once a test."""
    return partial(start_any_api, NOTEBOOKS)


@pytest.fixture
def api(start_api: StartApi) -> Api:
    """The API of the notebooks with default settings."""
    return start_api()


def code_of(act: Callable[[], object]) -> str:
    """The code of the fault that `act` raises; "ok" if none."""
    try:
        act()
    except Fault as fault:
        return fault.code
    return "ok"


def together(*acts: Callable[[], Any]) -> list[Any]:
    """Run side by side, starting at one moment; results, or the codes of what was raised."""
    start = threading.Barrier(len(acts))

    def run(act: Callable[[], Any]) -> Any:
        start.wait()
        try:
            return act()
        except Fault as fault:
            return fault.code

    with ThreadPoolExecutor(len(acts)) as pool:
        return list(pool.map(run, acts))


def invite(office: Office, role: str = "member", uses: int = 1, days: float = 7) -> str:
    return office.accounts.invites.make(OPERATOR, "team1", role, days, uses, NOON)[0]


def register(services: AccountServices, email: str, code: str | None, origin: Origin = HOME):  # type: ignore[no-untyped-def]
    return lambda: services.registration.register(email, PASSWORD, origin, NOON, code=code)
