"""`python -m tests.mobile.shots [FOLDER]` (`make shots`): pictures of the example app, on a phone.

In `.build/shots` unless a folder is named. With `docs/pictures` as the folder: those of the mobile guide.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from playwright.sync_api import expect, sync_playwright

from infra.local import day, photos
from infra.local.stack import Stack
from tests.console.browser.conftest import ARGUMENTS, chromium_path
from tests.console.browser.shots import FOLDER, save
from tests.mobile.handset import Handset, build, served

#: A picture's longest size, bytes.
MOST_BYTES = 120_000


def main(words: list[str]) -> int:
    """Take them; the exit code."""
    folder = Path(words[0]) if words else FOLDER
    folder.mkdir(parents=True, exist_ok=True)
    with (
        tempfile.TemporaryDirectory() as data,
        Stack(profile="local", data=data, workers=2, sweep_seconds=2.0) as stack,
        served(build(Path(data) / "build"), stack.url) as url,
        sync_playwright() as driver,
    ):
        day.whole(stack.url, Path(data))
        email, password = day.address("amina"), day.PASSWORD
        browser = driver.chromium.launch(executable_path=chromium_path(), args=ARGUMENTS)
        phone = Handset(browser, url, timezone_id="Africa/Nairobi", device_scale_factor=2)
        phone.log_in(email, password)
        a_day(phone, folder)
        browser.close()
    return 0


def a_day(phone: Handset, folder: Path) -> None:
    """Five pictures of it, the last one in the dark."""

    def shoot(name: str) -> None:
        save(phone.page.screenshot(), folder / f"mobile-{name}.png", MOST_BYTES)

    phone.is_complete()
    phone.sees("Rehema S.")
    shoot("patients")
    phone.context.set_offline(True)
    phone.sees("No network.")
    phone.register("Neema K.", "41", "Pande")
    phone.fill_in_a_red_case(photos.generated(21, (1200, 900)))
    shoot("triage")
    phone.save_case()
    shoot("offline")
    phone.context.set_offline(False)
    phone.sees("What the AI says")
    phone.is_complete()
    shoot("reading")
    phone.tab("Sync")
    expect(phone.page.get_by_role("heading", name="Sent and received")).to_be_visible()
    phone.page.emulate_media(color_scheme="dark")
    shoot("sync")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
