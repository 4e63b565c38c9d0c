"""docs/webhooks.md: what it shows verifies what we send, and refuses everything else. Python and Node."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from shared.hooks.event import Event
from shared.hooks.signature import headers, secret_of
from shared.products.dermadetect.events import EVENTS
from tests.conftest import absent

GUIDE = (Path(__file__).parents[2] / "docs" / "webhooks.md").read_text("utf-8")

SECRET, OLD, OTHER = (secret_of(b"a deployment's secret", f"hook_{n}", n) for n in (1, 2, 3))
BODY = '{"type":"case.red","data":{"note":"é"}}'.encode()
NAME = "msg_0123456789abcdef"


def _block(language: str) -> str:
    [found] = re.findall(rf"```{language}\n(.*?)```", GUIDE, re.S)
    return str(found)


def _in_python(secret: str, sent: dict[str, str], body: bytes) -> bool:
    scope: dict[str, Any] = {}
    exec(_block("python"), scope)
    return bool(scope["verified"](secret, sent, body))


def _in_node(secret: str, sent: dict[str, str], body: bytes) -> bool:
    node = shutil.which("node")
    if node is None:
        absent("node is not installed")
    asked = json.dumps([secret, sent, body.hex()])
    last = f"const [s, h, b] = {asked}; console.log(verified(s, h, Buffer.from(b, 'hex')))"
    ran = subprocess.run(
        [node, "-e", _block("js") + last], capture_output=True, text=True, check=True
    )
    return ran.stdout.strip() == "true"


Verifier = Callable[[str, dict[str, str], bytes], bool]


@pytest.mark.parametrize("verified", [_in_python, _in_node])
def test_what_the_guide_shows_takes_what_we_send_and_nothing_else(verified: Verifier) -> None:
    now = int(time.time())
    good = headers([SECRET], NAME, now, BODY)
    assert verified(SECRET, good, BODY)
    # after a rotation: whichever of both the receiver has
    both = headers([SECRET, OLD], NAME, now, BODY)
    assert verified(SECRET, both, BODY)
    assert verified(OLD, both, BODY)
    assert not verified(OTHER, both, BODY)
    for bad in (
        {**good, "webhook-id": "msg_x"},
        {**good, "webhook-timestamp": str(now - 1)},
        {**good, "webhook-signature": "v1,"},
        {**good, "webhook-signature": "v1a," + good["webhook-signature"][3:]},
        headers([SECRET], NAME, now - 400, BODY),
        headers([SECRET], NAME, now + 400, BODY),
    ):
        assert not verified(SECRET, bad, BODY)
    # JSON that was read and written again is another text
    assert not verified(SECRET, good, json.dumps(json.loads(BODY)).encode())


def test_each_takes_ten_lines() -> None:
    for language in ("python", "js"):
        lines = [line for line in _block(language).splitlines() if line.strip()]
        begins = next(n for n, line in enumerate(lines) if "verified(" in line)
        assert len(lines) - begins <= 10


def test_the_guide_lists_the_events_that_there_are() -> None:
    def row(event: Event) -> str:
        ids = ", ".join(f"`{name}`" for name in event.ids)
        said = event.doc[0].lower() + event.doc[1:].removesuffix(".")
        return f"| `{event.name}` | {said} | {ids} |"

    assert [row(event) for event in EVENTS if row(event) not in GUIDE] == []
