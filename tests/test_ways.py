"""Users' ways, with nothing but the pages: what is pasted there is run here, in the order of the page.

An app developer's is tests/test_tutorial.py. What needs a machine of its own (systemd, a container engine,
a name) is left out; tests/infra/test_host.py reads it.
"""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import sqlite3
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from infra.local.stack import Stack
from tests.conftest import absent
from tests.patience import until
from tests.tables import table
from tests.test_docs import Shell, shell, text

__all__ = ["shell"]

ROOT = Path(__file__).parent.parent
DOCS = ROOT / "docs"
UNIT = ROOT / "infra" / "host" / "dermadetect-cloud-backup.service"

#: Way → page, and the chapters of it that are followed.
WAYS = {
    "an app developer": ("tutorial.md", ()),
    "a clinic's IT": ("self-hosting.md", ("With systemd", "The first phone", "Back up")),
    "a doctor with curl": ("review.md", ("A diagnosis, step by step",)),
    "an analyst": ("data-out.md", ("Rows", "Numbers")),
}


def commands(page: str, *chapters: str, language: str = "sh") -> list[str]:
    """Blocks of a page, or of some of its chapters, without their indentation."""
    parts = re.split(r"^## ", text(DOCS / page), flags=re.M)
    chosen = [part for part in parts if not chapters or part.partition("\n")[0] in chapters]
    assert len(chosen) >= len(chapters), page
    found = []
    for indent, block in re.findall(
        rf"^( *)```{language}\n(.*?)^\1```", "".join(chosen), re.M | re.S
    ):
        found.append("\n".join(line.removeprefix(indent) for line in block.splitlines()))
    return found


def typed(page: str, *chapters: str) -> int:
    """Lines that somebody types or pastes on a way."""
    blocks = [*commands(page, *chapters), *commands(page, *chapters, language="js")]
    return sum(len(block.splitlines()) for block in blocks)


def test_the_index_counts_the_lines_of_each_way() -> None:
    rows = {row[0]: int(row[2]) for row in table(DOCS / "README.md", "who")}
    counted = {who: typed(page, *chapters) for who, (page, chapters) in WAYS.items()}
    assert rows == counted, "a page has other lines than before: write them into docs/README.md"


# --- a doctor


@pytest.mark.proof
def test_a_doctor_s_calls_work_as_pasted(shell: Shell) -> None:
    page, chapters = WAYS["a doctor with curl"]
    first, *then = commands(page, *chapters)
    _, pushed = shell(first)
    assert pushed.split() == ["200"]
    known = first.partition("curl ")[0]
    look = next(each for each in then if re.match(r"curl -s \S+/cases/case-7 -H", each))
    # a reader is slower than the model; a signature while it reads is refused
    until(lambda: '"provenance"' in shell(f"{known}\n{look}")[0], "the case is read")
    _, statuses = shell("\n".join([known, *then]))
    [steps] = re.findall(rf"^## {chapters[0]}\n(.*?)^## ", text(DOCS / page), re.M | re.S)
    stated = []
    for code, times in re.findall(r"[Aa]nswers (\d{3})(?:, (twice|three times))?", steps):
        stated += [code] * {"": 1, "twice": 2, "three times": 3}[times]
    assert statuses.split() == stated


# --- an analyst


@pytest.mark.proof
def test_an_analyst_s_commands_leave_what_the_page_says(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    data = tmp_path / "data"
    with Stack(profile="local", data=data, sweep_seconds=3600):
        run = on(data, tmp_path)
        run(".venv/bin/python -m infra.cli --data .data seed")
        blocks = [block for block in commands("data-out.md") if ".venv/bin/python" in block]
        assert len(blocks) == 3
        for block in blocks:
            run(block)
    assert {"patients.csv", "cases.csv", "dictionary.csv"} <= {
        path.name for path in (tmp_path / "rows").iterdir()
    }
    assert (tmp_path / "fhir" / "Patient.ndjson").stat().st_size
    [question] = commands("data-out.md", language="sql")
    with sqlite3.connect(tmp_path / "numbers.db") as db:
        views = {
            name for (name,) in db.execute("SELECT name FROM sqlite_master WHERE type = 'view'")
        }
        said = {
            name
            for row in table(DOCS / "data-out.md", "view")
            for name in re.findall(r"`(\w+)`", row[0])
        }
        assert said == views
        assert db.execute("SELECT sum(cases) FROM cases_by_week_and_risk").fetchone() == (3,)
        db.execute(question)


def on(data: Path, folder: Path) -> Callable[[str], str]:
    """Runs what a page shows: in a folder, on a data folder."""

    def run(script: str, **more: str) -> str:
        for shown, here in (
            (".venv/bin/python", sys.executable),
            ("--data .data", f"--data {data}"),
        ):
            script = script.replace(shown, here)
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", script],
            cwd=folder, env={**os.environ, "PYTHONPATH": str(ROOT), **more},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, (script, done.stderr)
        return done.stdout

    return run


# --- a clinic's IT


def asked(url: str, body: Any = None, token: str = "") -> tuple[int, Any]:
    request = urllib.request.Request(
        url,
        data=None if body is None else json.dumps(body).encode(),
        headers={"Authorization": f"Bearer {token}"} if token else {},
    )
    try:
        with urllib.request.urlopen(request) as answer:
            return answer.status, json.load(answer)
    except urllib.error.HTTPError as refused:
        return refused.code, json.load(refused)


@pytest.mark.proof
def test_a_clinic_gets_a_first_phone_a_backup_and_another_machine(tmp_path: Path) -> None:
    if shutil.which("bash") is None:
        absent("bash is not installed")
    data, moved, backups = tmp_path / "data", tmp_path / "moved", tmp_path / "backups"
    run = on(data, tmp_path)
    account, invite = commands("self-hosting.md", "The first phone")
    key, _, check = commands("self-hosting.md", "Back up")
    [restore] = commands("self-hosting.md", "Restore, or move to another machine")
    with Stack(profile="local", data=data, sweep_seconds=3600) as stack:
        # given the server of the page, and what its people do by hand
        assert asked(f"{stack.url}/ready")[0] == 200
        assert re.search(r"password, shown only here: \S{12,}$", run(account).strip())
        code = re.findall(r"^\w{6}", run(invite))[0]
        # when a health worker types the code, and syncs
        phone = {
            "email": "amina@clinic.example.org",
            "password": "a long day in Kito",
            "name": "Amina",
        }
        status, login = asked(
            f"{stack.url}/api/v1/auth/register",
            {**phone, "invite_code": code, "device_id": "phone"},
        )
        assert status == 200, login
        token = login["access_token"]
        body = {
            "last_sync_timestamp": 0, "device_id": "phone",
            "changes": {"patients": [{"id": "p1", "sync_status": "new", "last_modified_at": 1}]},
        }  # fmt: skip
        status, answer = asked(f"{stack.url}/api/sync", body, token)
        assert (status, answer["accepted"]["patients"]) == (200, ["p1"])
        # and the nightly unit makes a back-up for the key of the page
        run(f"{key} > key.txt 2> recipient.txt")
        recipient = (tmp_path / "recipient.txt").read_text().split()[-1]
        [nightly] = re.findall(r"^ExecStart=(.*)$", UNIT.read_text(), re.M)
        words = shlex.split(nightly.replace("${BACKUP_RECIPIENT}", recipient))
        assert words[0].endswith(".venv/bin/python")
        places = {
            "/var/lib/dermadetect-cloud": str(data),
            "/var/backups/dermadetect-cloud": str(backups),
        }
        run(shlex.join([".venv/bin/python", *(places.get(word, word) for word in words[1:])]))
    [backup] = backups.iterdir()
    named = f"backups/{backup.name}"
    run(check.replace("backup-….tar.age", named))
    # then another machine goes on where this one ended
    run(
        restore.replace("backup-….tar.age", named).replace("/var/lib/dermadetect-cloud", str(moved))
    )
    with Stack(profile="local", data=moved, sweep_seconds=3600) as stack:
        later = {"last_sync_timestamp": answer["new_sync_timestamp"], "device_id": "phone"}
        status, again = asked(f"{stack.url}/api/sync", later, token)
        assert (status, again["resync"]) == (200, "upload_first")
        assert [each["id"] for each in again["server_updates"]["patients"]] == ["p1"]
