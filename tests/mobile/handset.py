"""The example app in a browser, before a running back end: what a health worker does with it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, FilePayload, Page, expect

from tests import node_packages
from tests.patience import PATIENCE_SECONDS

MOBILE = Path(__file__).parent.parent.parent / "mobile"

#: A small phone, px.
SIZE = {"width": 360, "height": 740}

#: What browsers say of a network that is gone and of a token that has ended, LokiJS of a new database, and
#: Playwright of itself: no fault of the app.
EXPECTED = re.compile(
    r"net::ERR_(INTERNET_DISCONNECTED|FAILED|ABORTED)|status of 401|"
    r"Deleting database failed because it's blocked|registration blocked by Playwright"
)

expect.set_options(timeout=1000 * PATIENCE_SECONDS)


def build(folder: Path) -> Path:
    """The example's files, built in `folder` as `npm run build` does: the folder of `npm start`."""
    packages = node_packages.install(MOBILE / "example", "care-kit-example")
    without = shutil.ignore_patterns("node_modules", "dist")
    shutil.copytree(MOBILE / "src", folder / "src")
    example = shutil.copytree(MOBILE / "example", folder / "example", ignore=without)
    (example / "node_modules").symlink_to(packages / "node_modules")
    subprocess.run(["npm", "run", "--silent", "build"], cwd=example, check=True)
    return example


@contextmanager
def served(example: Path, server: str) -> Iterator[str]:
    """`npm start` before a back end: the app's address."""
    node = subprocess.Popen(
        ["node", "serve.mjs"],
        cwd=example,
        env={**os.environ, "SERVER": server, "PORT": "0"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert node.stdout is not None
        yield node.stdout.readline().strip()
    finally:
        node.terminate()
        node.wait()


class Handset:
    """One phone: a browser of its own with the app in it. `page` is another one after `kill`."""

    def __init__(self, browser: Browser, url: str, **more: Any) -> None:
        self.url = url
        self.said: list[str] = []
        settings: dict[str, Any] = {"viewport": SIZE, "locale": "en-GB"}
        self.context = browser.new_context(**{**settings, **more})
        self.context.set_default_timeout(1000 * PATIENCE_SECONDS)
        self.context.on("console", lambda message: self._hear(message.type, message.text))
        self.context.on("weberror", lambda error: self.said.append(f"crashed: {error.error}"))
        self.page = self.open()

    def _hear(self, kind: str, text: str) -> None:
        if kind != "verbose" and not EXPECTED.search(text):
            self.said.append(f"{kind}: {text}")

    def open(self) -> Page:
        page = self.context.new_page()
        page.goto(self.url)
        return page

    def kill(self) -> None:
        """The system ends the app without a word, and the user opens it again where it was."""
        where = self.page.url
        self.page.close()
        self.page = self.context.new_page()
        self.page.goto(where)

    def close(self) -> None:
        self.context.close()

    # --- what is touched

    def press(self, name: str) -> None:
        self.page.get_by_role("button", name=name, exact=True).click()

    def follow(self, name: str) -> None:
        self.page.get_by_role("link", name=name, exact=True).click()

    def fill(self, label: str, text: str) -> None:
        self.page.get_by_role("textbox", name=label, exact=True).fill(text)

    def choose(self, *names: str) -> None:
        for name in names:
            self.page.locator("[role=radio], [role=checkbox]").get_by_text(name, exact=True).click()

    def tab(self, name: str) -> None:
        self.page.get_by_role("navigation").get_by_role("link", name=name).click()

    def sees(self, text: str) -> None:
        expect(self.page.get_by_text(text, exact=True).first).to_be_visible()

    def sees_title(self, text: str) -> None:
        expect(self.page.get_by_role("heading", level=1)).to_have_text(text)

    # --- what is done

    def log_in(self, email: str, password: str) -> None:
        box = self.page.get_by_role("textbox", name="E-mail")
        if box.count():
            box.fill(email)
        self.page.get_by_label("Password").fill(password)
        self.press("Log in")
        self.page.get_by_role("navigation").wait_for()

    def register(self, name: str, age: str = "34", village: str = "Kito") -> None:
        self.page.goto(f"{self.url}#/register")
        self.fill("Name", name)
        self.fill("Age in years", age)
        self.choose("Female")
        self.fill("Village", village)
        self.press("Save")
        self.sees_title(name)

    def photograph(self, photo: bytes) -> None:
        """Of the case whose form is open."""
        taken = self.page.locator("[role=img]")
        before = taken.count()
        self.give_photo(photo)
        expect(taken).to_have_count(before + 1)

    def give_photo(self, photo: bytes) -> None:
        file: FilePayload = {"name": "camera.jpg", "mimeType": "image/jpeg", "buffer": photo}
        self.page.set_input_files("input[type=file]", files=[file])

    def fill_in_a_red_case(self, photo: bytes | None = None) -> None:
        """Of the patient who is open."""
        self.follow("New case")
        self.choose("Foot", "Bleeding")
        self.fill("Since how many days?", "60")
        if photo:
            self.photograph(photo)

    def save_case(self) -> str:
        self.press("Save")
        self.page.wait_for_url(re.compile(r"#/case/"))
        self.sees_title("Foot")
        return self.page.url.rpartition("/")[2]

    def sync(self) -> None:
        """By the button, until everything is there."""
        self.tab("Sync")
        self.page.get_by_role(
            "button", name=re.compile("Send and receive now|Try again now")
        ).click()
        self.is_complete()

    def is_complete(self) -> None:
        expect(self.page.get_by_role("banner")).to_contain_text("Everything is sent")
