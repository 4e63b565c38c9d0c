"""docs/tutorial.md is followed to the letter: its app is written, its commands are run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.stack import Stack
from tests.conftest import absent
from tests.mobile.conftest import kit as kit
from tests.patience import until
from tests.test_docs import blocks, text

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "tutorial.md"

SHARED = ROOT / "docs" / "shared-phone.md"


#: Each starts a server, and an app in Node.
pytestmark = pytest.mark.proof


@pytest.fixture
def folder(kit: Path, tmp_path: Path) -> Path:
    """Where the reader sits, with the kit built as the page says, and the app that it shows."""
    (tmp_path / "mobile").symlink_to(kit)
    [(said, code)] = blocks(PAGE, "js")
    assert said.endswith("write `app.mjs`:")
    (tmp_path / "app.mjs").write_text(code)
    assert len(code.splitlines()) < 25, "some twenty lines, it says"
    return tmp_path


def test_the_tutorial_works_as_it_is_written(folder: Path) -> None:
    if shutil.which("curl") is None:
        absent("curl is not installed")
    steps = {
        chapter: re.findall(r"```sh\n(.*?)```", part, re.S)
        for chapter, part in re.findall(
            r"^## (\d)\. [^\n]*\n(.*?)(?=^## )", text(PAGE), re.M | re.S
        )
    }
    assert (steps["1"], steps["2"]) == (
        ["make run\n"],
        ["(cd mobile && npm ci && npm run build)\n"],
    )
    said: dict[str, str] = {}
    with Stack(profile="local", data=folder / "data", sweep_seconds=3600) as stack:
        shown = (folder / "app.mjs").read_text().replace("http://127.0.0.1:8080", stack.url)
        (folder / "app.mjs").write_text(shown)
        environ = {**os.environ, "PYTHONPATH": str(ROOT)}

        def run(script: str) -> str:
            for shown, here in (
                (".venv/bin/python", sys.executable),
                ("http://127.0.0.1:8080", stack.url),
                ("--data .data", f"--data {stack.data}"),
            ):
                script = script.replace(shown, here)
            kept = f"{script}\ndeclare -px > kept"
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", f"[ -e kept ] && . ./kept\n{kept}"],
                cwd=folder, env=environ, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert done.returncode == 0, done.stderr
            return done.stdout

        said["3"] = run(steps["3"][0])
        assert said["3"].startswith("log_in ")
        send, look = steps["4"]
        assert run(send) == "rest \n"

        def read() -> bool:
            [[_, case]] = json.loads(run(look).partition("\n")[2])
            return case["status"] == "PENDING_DIAGNOSIS" and bool(case.get("ai_analysis"))

        until(read, "the case is read")
        assert json.loads(run(steps["5"][0]))["status"] == "DIAGNOSED"
        [[_, diagnosis]] = json.loads(run(steps["6"][0]).partition("\n")[2])
        assert diagnosis["diagnosis_text"] == "Tinea pedis"


def test_users_of_one_phone_send_and_see_only_what_is_theirs(folder: Path) -> None:
    """docs/shared-phone.md: the tutorial's app with a file for each user."""
    [(_, named)] = blocks(SHARED, "js")
    app = folder / "app.mjs"
    with Stack(profile="local", data=folder / "data", sweep_seconds=3600) as stack:
        shown = app.read_text().replace("http://127.0.0.1:8080", stack.url)
        app.write_text(named + shown.replace("'phone.json'", "fileOf(process.env.WHO)"))

        def phone(who: str, *words: str, logged_in: bool = True) -> str:
            token = tokens[who] if logged_in else ""
            done = subprocess.run(
                ["node", "app.mjs", *words], cwd=folder, capture_output=True, text=True, check=True,
                env={**os.environ, "WHO": who, "TOKEN": token},
            )  # fmt: skip
            return done.stdout

        tokens = {
            who: subprocess.check_output(
                [sys.executable, "-m", "infra.local", "token", "--data", str(stack.data), "--chw", who,
                 "--scope", f"{who}s-team"], cwd=ROOT, text=True).strip()
            for who in ("amina", "binta")
        }  # fmt: skip
        # given what Amina could not send, and logged out
        phone("amina", "save", "patients", "asha", '{"demographics": {"name": "Asha N."}}')
        assert phone("amina", "sync", logged_in=False).startswith("log_in ")
        # when Binta of another team logs in, syncs, and looks
        assert phone("binta", "sync") == "rest \n"
        assert json.loads(phone("binta", "show", "patients")) == []
        # then it is sent in Amina's name when she is back
        assert phone("amina", "sync") == "rest \n"
        [[_, patient]] = json.loads(phone("amina", "show", "patients"))
        assert (patient["chw_id"], patient["scope_id"]) == ("amina", "aminas-team")
        assert phone("binta", "sync") == "rest \n"
        assert json.loads(phone("binta", "show", "patients")) == []
        devices = {
            json.loads(file.read_text())["device_id"] for file in folder.glob("phone-*.json")
        }
        assert len(devices) == 2
