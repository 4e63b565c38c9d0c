"""A clinic's machine burns: its phones go on with the new one, and nothing that they hold is lost."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from infra.local import photos
from infra.local.stack import Stack
from infra.local.table import REPOSITORY
from tests.e2e.conftest import Deployment
from tests.e2e.test_main_job import red_day, until_analysed


def command(data: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "infra.cli", "--data", str(data), *words],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    )


@pytest.mark.proof
def test_what_came_after_the_nightly_backup_comes_back_from_the_phones(tmp_path: Path) -> None:
    # given a red case with its photo, read; and a back-up made while the server runs
    old = Deployment(Stack(data=tmp_path / "old", sweep_seconds=3600).start())
    try:
        old.join("amina", "kito")
        phone, token = old.phone("amina"), old.token("amina")
        photo = photos.generated(7)
        (name,) = red_day(phone, "before", photo=photo)
        phone.sync()
        (ticket,) = phone.tickets.values()
        photos.send(old.stack.url, token, ticket, photo)
        read = until_analysed(phone, name)
        made = command(tmp_path, "backup", "key")
        recipient = made.stderr.strip()
        (tmp_path / "key.txt").write_text(made.stdout)
        kept = tmp_path / "kept"
        command(old.stack.data, "backup", "create", str(kept), "--recipient", recipient)
        # and a day of work after it: another red case, an edit
        (late,) = red_day(phone, "after")
        phone.save("cases", name, triage_data={"site": "foot", "duration_days": 61})
        phone.sync()
        until_analysed(phone, late)
    finally:  # when the machine is gone
        old.stack.kill()
        old.store.close()
    (file,) = kept.iterdir()
    identity = ("--identity", str(tmp_path / "key.txt"))
    command(tmp_path / "new", "backup", "restore", str(file), *identity)
    with Stack(data=tmp_path / "new", sweep_seconds=3600) as stack:
        new = Deployment(stack)
        # then the same phone goes on with the token it has, and the server has what it lost
        again = new.phone("amina")
        again.send, again.rows, again.cursor = again.send, phone.rows, phone.cursor
        answer = again.sync()
        assert answer["resync"] == "upload_first"
        again.sync()
        assert not again.dirty
        fresh = new.phone("amina", "another-phone")
        fresh.sync()
        assert (fresh.row("cases", name) or {})["triage_data"]["duration_days"] == 61
        assert (until_analysed(fresh, late))["risk_level"] == "red"
        assert (fresh.row("cases", name) or {})["image_urls"] == read["image_urls"]
        # and the photo is there
        [url] = read["image_urls"]
        shown = photos.look(stack.url, token, url.rpartition("/")[2])
        assert photos.fetch(stack.url, shown["links"]["original"]) == photo
        new.store.close()
