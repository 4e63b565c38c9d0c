"""A real browser (Debian's Chromium, driven by Playwright) before a running back end, on both profiles.

Without Chromium these tests skip at a desk and fail in CI; `make browser` installs it.
"""

from __future__ import annotations

import atexit
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, BrowserContext, Page, sync_playwright

from infra.local import day
from infra.local.phone import Phone
from infra.local.stack import Stack
from infra.local.table import REPOSITORY
from tests import node_packages
from tests.conftest import absent
from tests.e2e.conftest import Deployment
from tests.e2e.conftest import deploy as deploy

HERE = Path(__file__).parent

#: Widths of a small phone and of a desk, px.
PHONE, DESK = {"width": 360, "height": 740}, {"width": 1280, "height": 800}

#: Longest wait of a browser for one thing, ms.
_MS = 60_000


def chromium_path() -> str | None:
    """Where it is installed; None: nowhere."""
    return shutil.which("chromium") or shutil.which("chromium-browser")


#: It has no sandbox for root, and no graphics card.
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-quic"]


@pytest.fixture(scope="session")
def chromium() -> Browser:
    """The browser, once a process."""
    found = chromium_path()
    if found is None:
        absent("Chromium is not installed: make browser")
    return _chromium(found)


@cache
def _chromium(path: str) -> Browser:
    """Started once, until the process ends: a fixture would be another one for every folder that imports
    it, and Playwright refuses to be started twice in a process."""
    driver = sync_playwright().start()
    browser = driver.chromium.launch(executable_path=path, args=ARGUMENTS)
    atexit.register(driver.stop)
    return browser


@pytest.fixture(scope="session")
def axe() -> str:
    """axe's script: it finds what keeps people out of a page."""
    try:
        folder = node_packages.install(HERE, "console-browser")
    except node_packages.NodeMissing as error:
        absent(str(error))
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text("utf-8")


@dataclass
class Desk:
    """A running back end with the demo's day in it, and browsers before it."""

    deployment: Deployment
    browser: Browser
    said: list[str] = field(default_factory=list)  #: on browsers' own consoles

    @property
    def url(self) -> str:
        return self.deployment.stack.url

    @contextmanager
    def context(self, **more: Any) -> Iterator[BrowserContext]:
        """A browser that knows nothing yet, and whose complaints are kept."""
        context = self.browser.new_context(**{"viewport": DESK, "locale": "en-GB", **more})
        context.set_default_timeout(_MS)
        context.on(
            "console",
            lambda message: self.said.append(
                f"{message.page and message.page.url}: {message.text}"
            ),
        )
        context.on("weberror", lambda error: self.said.append(f"crashed: {error.error}"))
        try:
            yield context
        finally:
            context.close()

    @contextmanager
    def page(self, user: str = "doctor", **more: Any) -> Iterator[Page]:
        """A page of somebody who has logged in."""
        with self.context(**more) as context:
            page = context.new_page()
            self.log_in(page, user)
            yield page

    def log_in(self, page: Page, user: str, where: str = "/console") -> None:
        page.goto(f"{self.url}{where}")
        page.fill("#f-email", day.address(user))
        page.fill("#f-password", day.PASSWORD)
        page.click("main button[type=submit]")
        page.wait_for_load_state()
        assert "/login" not in page.url, page.inner_text("main")

    def phone(self, user: str) -> Phone:
        phone = self.deployment.phone(user, f"{user}s-phone")
        phone.sync()
        return phone


@pytest.fixture(scope="session")
def desks(deploy: Callable[[str], Deployment], chromium: Browser) -> Callable[[str], Desk]:
    """Desks by profile, each made once."""
    made: dict[str, Desk] = {}

    def make(profile: str) -> Desk:
        if profile not in made:
            made[profile] = with_a_day(Desk(deploy(profile), chromium))
        return made[profile]

    return make


@pytest.fixture(scope="module")
def crowded(chromium: Browser, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    """A desk of its own, for what would fill the others' lists."""
    with Stack(
        profile="local", data=tmp_path_factory.mktemp("crowded"), sweep_seconds=3600
    ) as stack:
        deployment = Deployment(stack)
        yield with_a_day(Desk(deployment, chromium))
        deployment.store.close()


def with_a_day(desk: Desk) -> Desk:
    command = [sys.executable, "-m", "infra.local.day", desk.url, str(desk.deployment.stack.data)]
    subprocess.run(command, cwd=REPOSITORY, check=True, stdout=subprocess.DEVNULL)
    return desk


@pytest.fixture
def desk(desks: Callable[[str], Desk]) -> Iterator[Desk]:
    """The local profile's. At the end no browser has complained."""
    found = desks("local")
    found.said.clear()
    yield found
    assert found.said == []
