"""No child outlives its starter, however that one ends; ports and absent tools are said plainly."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from infra.local import emulators
from infra.local.processes import (
    Child,
    PortTaken,
    StartFailed,
    claim_port,
    free_port,
    rotate,
)
from tests.conftest import absent
from tests.patience import PATIENCE_SECONDS, until

REPOSITORY = Path(__file__).parents[2]

#: A child that starts a grandchild which ignores SIGTERM, and writes down both ids.
STUBBORN = """
import os, signal, subprocess, sys, time
signal.signal(signal.SIGTERM, signal.SIG_IGN)
if len(sys.argv) == 2:
    subprocess.Popen([sys.executable, __file__, sys.argv[1], "grandchild"])
with open(sys.argv[1], "a") as f:
    f.write(f"{os.getpid()}\\n")
time.sleep(600)
"""

#: Who starts tests in the background starts them without SIGINT.
STARTER = """
import signal, sys, time
from pathlib import Path
from infra.local.processes import Child
signal.signal(signal.SIGINT, signal.default_int_handler)
Child("stubborn", [sys.executable, sys.argv[1], sys.argv[2]], log=Path(sys.argv[3]),
      grace_seconds=0.2)
time.sleep(600)
"""


def alive(pid: int) -> bool:
    """Whether a process runs; a zombie does not."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    stat = Path(f"/proc/{pid}/stat")
    return not stat.exists() or stat.read_text().rpartition(")")[2].split()[0] != "Z"


@pytest.fixture
def stubborn(tmp_path: Path) -> Path:
    script = tmp_path / "stubborn.py"
    script.write_text(textwrap.dedent(STUBBORN))
    return script


def pids(file: Path) -> list[int]:
    until(lambda: file.exists() and len(file.read_text().split()) == 2, "both have begun")
    return [int(line) for line in file.read_text().split()]


@pytest.mark.parametrize("ending", ["stop", "kill"])
def test_stopping_a_child_ends_its_whole_group(ending: str, stubborn: Path, tmp_path: Path) -> None:
    child = Child(
        "stubborn",
        [sys.executable, str(stubborn), str(tmp_path / "pids")],
        log=tmp_path / "log",
        grace_seconds=0.2,
    )
    family = pids(tmp_path / "pids")
    getattr(child, ending)()
    until(lambda: not any(map(alive, family)), "the end of both")
    assert child.poll() is not None
    child.stop()  # harmless


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL, signal.SIGINT])
def test_children_end_with_a_killed_starter(
    number: signal.Signals, stubborn: Path, tmp_path: Path
) -> None:
    arguments = [str(stubborn), str(tmp_path / "pids"), str(tmp_path / "log")]
    starter = subprocess.Popen([sys.executable, "-c", STARTER, *arguments], cwd=REPOSITORY)
    family = pids(tmp_path / "pids")
    starter.send_signal(number)
    starter.wait(PATIENCE_SECONDS)
    until(lambda: not any(map(alive, family)), "the end of both")


@pytest.mark.skipif(sys.platform != "linux", reason="PR_SET_PDEATHSIG is Linux's")
def test_a_child_ends_when_its_guard_is_killed(tmp_path: Path) -> None:
    child = Child(
        "sleep", ["sh", "-c", f"echo $$ > {tmp_path}/pid; exec sleep 600"], log=tmp_path / "log"
    )
    file = tmp_path / "pid"
    until(lambda: file.exists() and file.read_text().strip() != "", "the child has begun")
    os.kill(child._guard.pid, signal.SIGKILL)
    until(lambda: not alive(int(file.read_text())), "its end")
    child.stop()


def test_exit_codes_come_through(tmp_path: Path) -> None:
    for command, code in (("exit 7", 7), ("kill -TERM $$", 143), ("exit 0", 0)):
        child = Child("sh", ["sh", "-c", command], log=tmp_path / "log")
        until(lambda child=child: child.poll() is not None, "its end")
        assert child.poll() == code
        child.stop()


def test_a_child_that_ends_at_start_is_reported_with_its_last_words(tmp_path: Path) -> None:
    child = Child("speaker", ["sh", "-c", "echo no such luck; exit 3"], log=tmp_path / "log")
    with pytest.raises(StartFailed, match="speaker ended with code 3 at start:\nno such luck"):
        child.wait_ready(lambda: False, PATIENCE_SECONDS)
    child.stop()


def test_a_command_that_does_not_exist_is_reported(tmp_path: Path) -> None:
    child = Child("nothing", [str(tmp_path / "nothing")], log=tmp_path / "log")
    with pytest.raises(StartFailed, match="No such file"):
        child.wait_ready(lambda: False, PATIENCE_SECONDS)
    child.stop()


def test_a_port_in_use_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        with pytest.raises(PortTaken, match=str(port)):
            claim_port(port)
    assert claim_port(port) == port
    assert 1024 < claim_port(0) < 65536


@pytest.mark.parametrize(
    ("environ", "missing"),
    [
        ({"PATH": ""}, "Google Cloud SDK is not installed"),
        ({"PATH": "", "GOOGLE_CLOUD_SDK": "/no/such/folder"}, "GOOGLE_CLOUD_SDK=/no/such/folder"),
        ({"PATH": "", "GOOGLE_CLOUD_SDK": "{empty}"}, "components install cloud-firestore"),
        ({"PATH": "", "CLOUDSDK_ROOT": "{installed}"}, "no java in PATH"),
        ({"CLOUDSDK_ROOT": "{installed}", "JAVA_HOME": "/no/java"}, "JAVA_HOME=/no/java"),
    ],
)
def test_what_is_missing_is_named(environ: dict[str, str], missing: str, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    script = tmp_path / "installed" / emulators.FIRESTORE.script
    script.parent.mkdir(parents=True)
    script.write_text("")
    folders = {"empty": tmp_path / "empty", "installed": tmp_path / "installed"}
    environ = {name: value.format(**folders) for name, value in environ.items()}
    with pytest.raises(emulators.EmulatorMissing, match=missing):
        emulators.start(emulators.FIRESTORE, environ=environ)


def test_a_package_that_is_missing_is_named() -> None:
    absent_one = emulators.STORAGE._replace(script="no_such_package")
    with pytest.raises(emulators.EmulatorMissing, match=r"pip install -r requirements-dev\.txt"):
        emulators.start(absent_one)


def test_a_bucket_is_made_once(storage_emulator: str) -> None:
    address = storage_emulator.removeprefix("http://")
    for _ in range(2):
        emulators.make_bucket(address, "made-once")
    assert emulators._answers(int(address.rpartition(":")[2]), "/storage/v1/b/made-once")


@pytest.mark.parametrize(
    "kind",
    [
        pytest.param(emulators.FIRESTORE, marks=pytest.mark.proof),
        pytest.param(emulators.PUBSUB, marks=pytest.mark.proof),
        emulators.STORAGE,
    ],
    ids=["firestore", "pubsub", "storage"],
)
def test_an_emulator_serves_at_once_and_leaves_no_java(kind: emulators.EmulatorKind) -> None:
    try:
        emulator = emulators.start(kind)
    except emulators.EmulatorMissing as error:
        absent(str(error))
    port = int(emulator.address.rpartition(":")[2])
    with pytest.raises(PortTaken):
        emulators.start(kind, port=port)
    assert emulators._answers(port, kind.probe)
    emulator.stop()
    assert not emulators._answers(port, kind.probe)
    assert free_port() > 0


# --- logs ---


def test_a_start_leaves_what_the_last_one_said_and_shows_its_own_words(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    log.write_text("the cause of the crash\n")
    child = Child("child", [sys.executable, "-c", "print('new words')"], log=log)
    try:
        until(lambda: child.poll() is not None, "its end")
        assert child.tail() == "new words"
        assert log.read_text() == "the cause of the crash\nnew words\n"
    finally:
        child.stop()


def test_a_log_that_has_grown_is_put_aside_and_the_oldest_goes(tmp_path: Path) -> None:
    log = tmp_path / "child.log"
    with log.open("ab") as writer:  # stays open, as a child's does
        for number in range(5):
            writer.write(f"{number} and more\n".encode())
            writer.flush()
            assert rotate(log, most_bytes=3, kept=3)
            assert not rotate(log, most_bytes=3, kept=3)
        writer.write(b"5")
        writer.flush()
    kept = {path.name: path.read_text()[0] for path in tmp_path.iterdir()}
    assert kept == {"child.log": "5", "child.log.1": "4", "child.log.2": "3", "child.log.3": "2"}
