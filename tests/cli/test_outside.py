"""The command as a process: exit codes, the data folder, misspelt settings, and the names of before."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.table import REPOSITORY
from shared.products.known import variables
from tests.patience import PATIENCE_SECONDS


def environ(**more: str) -> dict[str, str]:
    """The environment of this process without settings."""
    ours = set(variables())
    return {name: value for name, value in os.environ.items() if name not in ours} | more


def call(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=REPOSITORY,
        env=environ(**settings),
        capture_output=True,
        text=True,
        check=False,
        stdin=subprocess.DEVNULL,
    )


def cli(*words: str, **settings: str) -> subprocess.CompletedProcess[str]:
    return call("-m", "infra.cli", *words, **settings)


@pytest.mark.proof
@pytest.mark.parametrize(
    "words",
    [
        ["--data", "FOLDER", "jobs", "list"],
        ["grant", "amina", "team1", "--data", "FOLDER"],
        ["--data", "FOLDER", "seed"],
        ["--data", "FOLDER", "token", "--chw", "amina"],
        ["--data", "FOLDER", "backup", "export", "FOLDER-copy"],
    ],
    ids=lambda words: words[2],
)
def test_a_data_folder_that_does_not_exist_is_refused_and_not_made(
    words: list[str], tmp_path: Path
) -> None:
    missing = str(tmp_path / "mistyped")
    said = cli(*(word.replace("FOLDER", missing) for word in words))
    assert said.returncode == 2
    assert f"There is no data folder {missing}." in said.stderr
    # also if a setting names it
    named = [word for word in words if word not in ("--data", "FOLDER")]
    said = cli(*(word.replace("FOLDER", missing) for word in named), DATA_FOLDER=missing)
    assert said.returncode == 2
    assert list(tmp_path.iterdir()) == []


def test_a_refusal_has_a_code_and_a_sentence_and_wrong_use_another_exit_code(
    tmp_path: Path,
) -> None:
    data = ("--data", str(tmp_path))
    refused = cli(*data, "users", "disable", "nobody@example.org")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert re.fullmatch(r"not_found: There is no such account\.\n", refused.stderr)
    refused = cli(*data, "jobs", "list", PAGE_ROWS="many")
    assert (refused.returncode, refused.stdout) == (1, "")
    assert refused.stderr == "configuration: PAGE_ROWS must be of type int\n"
    refused = cli(*data, "records", "export", "team1", "--to", "x", "--table", "mistyped")
    assert (refused.returncode, refused.stderr) == (
        1,
        "invalid_request: There is no table mistyped.\n",
    )
    refused = cli(*data, "backup", "import", str(tmp_path / "no-copy"))
    assert refused.returncode == 1
    assert refused.stderr.startswith(f"file_unusable: {tmp_path}/no-copy: ")
    for words in (["jobs", "list", "--stat", "parked"], ["grant", "amina"], ["mend"], []):
        wrong = cli(*data, *words)
        assert (wrong.returncode, wrong.stdout) == (2, ""), words
        assert "Usage: python -m infra.cli" in wrong.stderr


def test_a_misspelt_setting_is_named_and_nothing_is_stopped_by_it(tmp_path: Path) -> None:
    said = cli("--data", str(tmp_path), "scopes", RECORD_STOR="firestore")
    assert (said.returncode, said.stdout) == (0, "no scopes\n")
    assert said.stderr == "warning: RECORD_STOR is no setting. Did you mean RECORD_STORE?\n"


@pytest.mark.proof
def test_the_words_of_before_still_work_under_the_old_name(tmp_path: Path) -> None:
    def admin(*words: str) -> str:
        said = call("-m", "infra.admin", "--data", str(tmp_path), *words)
        assert (said.returncode, said.stderr) == (0, ""), words
        return said.stdout

    assert admin("grant", "amina", "team1", "--role", "doctor") == "amina is doctor in team1\n"
    assert admin("user", "list") == "no accounts\n"
    assert " admits 2 as chw until " in admin("invite", "team1", "--uses", "2")
    admin("seed")
    assert admin("jobs", "--state", "parked") == "no jobs\n"
    assert admin("redrive") == "0 jobs queued again\n"
    admin("move", "patients", "demo-patient-1", "team1")
    assert admin("audit", "verify", "nowhere").split() == [
        "SCOPE",
        "SEALED",
        "WAITING",
        "nowhere",
        "0",
        "0",
    ]
    assert admin("revoke", "amina", "team1") == "amina is no longer in team1\n"
    script = (
        "import sys; from pathlib import Path; from infra import admin; "
        "admin.use_stack(Path(sys.argv[1])); admin.grant('binta', 'team1', 'chw')"
    )
    assert call("-c", script, str(tmp_path)).returncode == 0
    assert "binta" in cli("--data", str(tmp_path), "members", "team1").stdout
    assert call("-c", script, str(tmp_path / "mistyped")).returncode != 0


@pytest.mark.proof
def test_a_clinic_backs_up_and_restores_on_another_machine(tmp_path: Path) -> None:
    old, new, kept = tmp_path / "old", tmp_path / "new", tmp_path / "kept"
    old.mkdir()
    assert cli("--data", str(old), "seed").returncode == 0
    made = cli("backup", "key")
    recipient, secret = made.stderr.strip(), made.stdout
    assert recipient.startswith("age1")
    assert secret.startswith("AGE-SECRET-KEY-")
    (tmp_path / "key.txt").write_text(f"# of the clinic\n{secret}")
    words = ("--data", str(old), "backup", "create")
    for removed in (0, 1):
        said = cli(*words, str(kept), "--recipient", recipient, "--keep", "1")
        assert (said.returncode, said.stderr) == (0, "")
        assert re.fullmatch(
            rf"\d+ files backed up, {removed} older back-ups removed\n", said.stdout
        )
        [file] = kept.iterdir()
        if not removed:  # names have seconds
            file.rename(kept / "backup-2026-01-01T000000Z.tar.age")
    said = cli("backup", "check", str(file), "--identity", str(tmp_path / "key.txt"))
    assert re.fullmatch(r"sound: \d+ documents, \d+ files, made at \S+Z\n", said.stdout)
    refused = cli(*words, str(kept), "--recipient", "AGE-1")
    assert (refused.returncode, refused.stderr) == (1, "invalid: A recipient begins with age1.\n")
    restore = ("--data", str(new), "backup", "restore", str(file), "--identity")
    assert cli(*restore, str(tmp_path / "no-key")).returncode == 1
    assert not new.exists()
    said = cli(*restore, str(tmp_path / "key.txt"))
    assert (said.returncode, said.stderr) == (0, "")
    assert cli("--data", str(new), "members", "demo").stdout.count("demo-") == 3
    trail = cli("--data", str(new), "audit", "tail").stdout
    assert re.findall(r"Z  (\S+)", trail)[-2:] == ["bring-back", "epoch"]
    assert "not_empty" in cli(*restore, str(tmp_path / "key.txt")).stderr


def test_a_full_disk_is_said_in_words(tmp_path: Path) -> None:
    assert cli("--data", str(tmp_path), "seed").returncode == 0
    recipient = cli("backup", "key").stderr.strip()
    words = ("--data", str(tmp_path), "backup", "create", "-", "--recipient", recipient)
    with Path("/dev/full").open("wb") as full:
        refused = subprocess.run(
            [sys.executable, "-m", "infra.cli", *words],
            cwd=REPOSITORY,
            env=environ(),
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert refused.returncode != 0
    assert refused.stderr.startswith("disk_full: The disk is full.")
    assert "Traceback" not in refused.stderr
    assert not (tmp_path / ".backup").exists()


@pytest.mark.proof
def test_run_and_token_are_those_of_the_local_stack(tmp_path: Path) -> None:
    data = tmp_path / "data"  # made by `run` alone
    words = ["-m", "infra.cli", "--data", str(data), "run", "--port", "0", "--quiet"]
    server = subprocess.Popen(
        [sys.executable, *words],
        cwd=REPOSITORY,
        env=environ(),
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert server.stdout
        assert re.fullmatch(r"ready: http://127\.0\.0\.1:\d+\n", server.stdout.readline())
        for name in ("infra.cli", "infra.local"):
            said = call("-m", name, "token", "--chw", "amina", "--scope", "t", "--data", str(data))
            assert (said.returncode, said.stderr) == (0, "")
            assert re.fullmatch(r"[\w-]+\.[\w-]+\.[\w-]+\n", said.stdout)
        assert "amina" in cli("--data", str(data), "members", "t").stdout
        server.send_signal(signal.SIGTERM)
        assert server.wait(PATIENCE_SECONDS) == 0
    finally:
        server.kill()
        server.communicate()
