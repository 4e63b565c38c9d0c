"""The example circle and another one, with accounts and browsers, and a clock that can be moved."""

from __future__ import annotations

import importlib
import json
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from infra.cli.local import seed
from infra.local.phone import wall_ms
from shared import wiring
from shared.console.page import HOME
from tests.api.conftest import Api, StartApi
from tests.console.browser_in_process import Browser, Seen

PASSWORD = "a rather long pass phrase"


@dataclass
class Home:
    """See the module's docstring."""

    api: Api
    clock: Path
    browsers: dict[str, Browser] = field(default_factory=dict)
    accounts: set[str] = field(default_factory=set)

    def browser(self, user: str) -> Browser:
        """The browser of somebody who has logged in."""
        if user not in self.browsers:
            email = f"{user}@example.org"
            if user not in self.accounts:
                made = wiring.accounts().administration.create
                made(email, PASSWORD, wiring.clock_ms(), user_id=user, name=user.title())
                self.accounts.add(user)
            browser = Browser(importlib.import_module("functions.console").FRAME)
            browser.log_in(email, PASSWORD)
            self.browsers[user] = browser
        return self.browsers[user]

    def open(self, page: str, user: str = "demo-daughter") -> Seen:
        """A page."""
        return self.browser(user).open(f"{HOME}/{page}")

    def act(self, act: str, page: Seen, user: str = "demo-daughter", /, **fields: str) -> Seen:
        """A form of a page that is open."""
        return self.browser(user).act(act, page, **fields)

    def move(self, to_ms: int) -> None:
        """Put the server's clock to a moment; sessions of browsers may be over by then."""
        self.browsers.clear()
        self.clock.write_text(str(to_ms - wall_ms()), "ascii")

    def run(self) -> None:
        """All jobs that are due."""
        for kind in wiring.product().tasks(wiring.parts()):
            wiring.runner().run_due(kind, 60)

    def ask(self, path: str, user: str = "demo-daughter", body: Any = None) -> Any:
        """What the API says."""
        method = "GET" if body is None else "POST"
        said = self.api.ask(method, path, body, token=self.api.token(user))
        return said.json if said.status_code < 300 else said.status_code

    def push(self, user: str = "demo-daughter", **rows: list[dict[str, Any]]) -> Any:
        """Rows as a phone writes them, by table."""
        now_s = wiring.clock_ms() / 1000
        changes = {
            table: [{"scope_id": "demo", "last_modified_at": now_s, **row} for row in several]
            for table, several in rows.items()
        }
        seen = {"last_sync_timestamp": now_s - 0.001, "device_id": f"{user}-phone", "limit": 1}
        return self.ask("/api/sync", user, {**seen, "changes": changes})

    def doses(self, **query: str) -> list[Any]:
        """Doses as pages are told them."""
        asked = "&".join(f"{name}={value}" for name, value in {"scope": "demo", **query}.items())
        found: list[Any] = self.ask(f"/api/v1/circle/doses?{asked}")["doses"]
        return found


def home(start_api: StartApi, folder: Path, at_ms: int) -> Home:
    """The example circle at a moment."""
    clock = folder / "clock"
    clock.write_text(json.dumps(at_ms - wall_ms()), "ascii")
    api = start_api(product="medmind", clock_file=str(clock))
    seed("demo", lived=True)
    api.join("carl", "others", "caregiver")
    made = Home(api, clock)
    made.run()
    return made
