"""The sweeper as it is deployed, against servers that speak FCM's HTTP, SMTP and webhooks, killed where it
hurts.
"""

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
from shared.adapters.file_keys import FileKeys
from shared.adapters.sqlite import SqliteStore
from shared.products.medmind.alert_settings import hook_secret
from shared.records.killpoints import aim
from tests.hooks.conftest import Receiver
from tests.hooks.test_deliver import is_signed
from tests.medmind.alerting import MINUTE, Circle
from tests.notify.test_fcm import Fcm
from tests.notify.test_mail import Keeps, free_port

ROOT = Path(__file__).parents[2]

#: A minute of the sweeper, at a time that the clock is said to show.
SWEEP = """
import sys
from shared import wiring
wiring.clock_ms = lambda: int(sys.argv[1])
wiring.begin()
print(wiring.sweeper().sweep().ran)
"""

TOKENS = {"anna-phone", "boris-phone", "rao-phone", "kamala-phone"}


@pytest.fixture
def fcm() -> Iterator[Fcm]:
    made = Fcm()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def keeps() -> Iterator[tuple[Keeps, int]]:
    kept, port = Keeps(), free_port()
    controller = Controller(kept, hostname="127.0.0.1", port=port)
    controller.start()
    yield kept, port
    controller.stop()


class Sweepers:
    """A data folder, and sweepers that are processes of their own."""

    def __init__(self, folder: Path, fcm: Fcm, port: int) -> None:
        self.folder, self.kills = folder, folder / "kills"
        self.kills.mkdir()
        self.environ = {
            **os.environ,
            "PRODUCT": "medmind",
            "DATA_FOLDER": str(folder),
            "NOTIFIER": "fcm",
            "FCM_URL": fcm.url,
            "FCM_CREDENTIALS": "anonymous",
            "GOOGLE_CLOUD_PROJECT": "circles",
            "MAILER": "smtp",
            "SMTP_HOST": "127.0.0.1",
            "SMTP_PORT": str(port),
            "SMTP_SECURITY": "none",
            "MAIL_FROM": "care@example.org",
            "HOOK_NETWORKS": "127.0.0.0/8",
            "PUBLIC_URL": "https://circles.example.org",
            "KILL_FOLDER": str(self.kills),
        }

    def sweep(self, now: int) -> int:
        """Run one; its exit status."""
        command = [sys.executable, "-c", SWEEP, str(now)]
        ran = subprocess.run(
            command, env=self.environ, cwd=ROOT, capture_output=True, text=True, check=False
        )
        assert ran.returncode in (0, -9), ran.stderr
        return ran.returncode


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
    tmp_path: Path, fcm: Fcm, keeps: tuple[Keeps, int], receiver: Receiver, point: str
) -> None:
    # given a circle of four, one of whom wants mails and posts, too, and a call for help
    kept, port = keeps
    sweepers = Sweepers(tmp_path, fcm, port)
    due = wall_ms() // MINUTE * MINUTE + 60 * MINUTE
    circle = Circle(SqliteStore(tmp_path / "records.db"), due)
    circle.account("anna")
    ways = ["phone", "mail", "webhook"]
    store, networks = circle.store, "127.0.0.0/8"
    hook = circle.choose("anna", ways=ways, hook=receiver.url, networks=networks, language="ru")
    alert = circle.raises("emergency", "call_for_help", "metformin")
    store.close()
    # when a sweeper dies, and others follow
    aim(sweepers.kills, point)
    assert sweepers.sweep(due) == -9
    for later in (1, 20, 40):
        assert sweepers.sweep(due + later * MINUTE) == 0
    # then each phone was told once, mail and post went out, or the deliveries say so
    messages: list[Any] = [body["message"] for _, body in fcm.asked]
    told = Counter(each["token"] for each in messages)
    circle = Circle(SqliteStore(tmp_path / "records.db"), due, family=False)
    states = circle.deliveries(alert)
    assert all(count == 1 for count in told.values())
    lost = {user for (user, way), state in states.items() if (way, state) == ("phone", "missed")}
    assert lost == ({"kamala"} if point.startswith("delivery.") else set())
    assert {f"{user}-phone" for user in lost} | {*told} == TOKENS
    assert [mail["Subject"] for mail in kept.mails] == ["Сейчас нужна помощь"]
    assert hook is not None
    secret = hook_secret(FileKeys(tmp_path / "keys").secret("hooks"), hook)
    assert [is_signed(seen, secret) for seen in receiver.seen] == [True]
    # and nothing says what it was about
    assert "metformin" not in json.dumps(fcm.asked) + str(kept.mails[0]) + str(receiver.seen)
    circle.store.close()
