"""The sweeper as it is deployed, against servers that speak FCM's HTTP and SMTP, killed where it hurts."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller

from infra.local.phone import wall_ms
from shared.adapters.sqlite import SqliteStore
from shared.products.hemoday.reminder_words import WORDS
from shared.records.killpoints import aim
from tests.hemoday.reminding import HOUR, MINUTE, Home
from tests.notify.test_fcm import Fcm
from tests.notify.test_mail import Keeps, free_port

ROOT = Path(__file__).parents[2]

#: A minute of the sweeper, at a time that the clock is said to show.
SWEEP = """
import sys
from shared import wiring
wiring.clock_ms = lambda: int(sys.argv[1])
wiring.begin()
swept = wiring.sweeper().sweep()
print(swept.ran, swept.rounds["reminded"])
"""

TOKENS = ("anna-phone", "boris-phone", "vera-phone")


@pytest.fixture
def fcm() -> Iterator[Fcm]:
    made = Fcm()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def keeps() -> Iterator[tuple[Keeps, int]]:
    kept, port = Keeps(), free_port()
    controller = Controller(kept, hostname="127.0.0.1", port=port)
    controller.start()
    yield kept, port
    controller.stop()


class Deployment:
    """A data folder, and sweepers that are processes of their own."""

    def __init__(self, folder: Path, fcm: Fcm, port: int) -> None:
        self.folder, self.kills = folder, folder / "kills"
        self.kills.mkdir()
        self.environ = {
            **os.environ,
            "PRODUCT": "hemoday",
            "DATA_FOLDER": str(folder),
            "NOTIFIER": "fcm",
            "FCM_URL": fcm.url,
            "FCM_CREDENTIALS": "anonymous",
            "GOOGLE_CLOUD_PROJECT": "families",
            "MAILER": "smtp",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(port),
            "SMTP_SECURITY": "none",
            "MAIL_FROM": "care@example.org",
            "PUBLIC_URL": "https://families.example.org",
            "KILL_FOLDER": str(self.kills),
        }

    def home(self, now: int) -> Home:
        return Home(SqliteStore(self.folder / "records.db"), now)

    def sweep(self, now: int) -> int:
        """Run one; its exit status."""
        command = [sys.executable, "-c", SWEEP, str(now)]
        ran = subprocess.run(
            command, env=self.environ, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert ran.returncode in (0, -9), ran.stderr
        return ran.returncode


def shown(fcm: Fcm) -> Counter[str]:
    messages: list[Any] = [body["message"] for _, body in fcm.asked]
    return Counter(each["token"] for each in messages if each["data"]["kind"] == "reminder")


@pytest.mark.parametrize(
    "point",
    [
        pytest.param("job.claimed", marks=pytest.mark.proof),
        pytest.param("job.worked", marks=pytest.mark.proof),
        pytest.param("job.finished", marks=pytest.mark.proof),
        pytest.param("delivery.taken", marks=pytest.mark.proof),
        "delivery.sent",
    ],
)
def test_killed_at_any_point_nobody_is_told_twice_and_a_loss_is_named(
    tmp_path: Path, fcm: Fcm, keeps: tuple[Keeps, int], point: str
) -> None:
    # given a reminder that is due, three phones, and somebody who wants a mail
    kept, port = keeps
    deployment = Deployment(tmp_path, fcm, port)
    home = deployment.home(wall_ms())
    for user, role in (("anna", "owner"), ("boris", "member"), ("vera", "viewer")):
        home.join(user, "team1", role)
        home.reach(user)
    home.account("vera")
    home.choose("vera", mail=True, language="hi")
    due = home.time // MINUTE * MINUTE + HOUR
    home.remind(remind_at=due, title="Exjade 500 mg")
    name = home.row()["next_occurrence"]
    home.store.close()
    # when a sweeper dies, and others follow
    aim(deployment.kills, point)
    assert deployment.sweep(due) == -9
    for later in (1, 20, 40):
        assert deployment.sweep(due + later * MINUTE) == 0
    # then each phone was told once, and the mail sent, or the row says so
    told, home = shown(fcm), deployment.home(due)
    lost = {*TOKENS} - {*told}
    assert all(count == 1 for count in told.values())
    assert len(lost) <= (point == "delivery.taken")
    unsure = point in ("delivery.taken", "delivery.sent")
    assert home.row().get("missed") == ([name] if unsure else None)
    assert len(kept.mails) == 1
    assert kept.mails[0]["Subject"] == WORDS["hi"].title
    # and nothing says what it was about
    assert "Exjade" not in json.dumps(fcm.asked) + str(kept.mails[0])
    home.store.close()
