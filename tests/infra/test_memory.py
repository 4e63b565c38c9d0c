"""What the table gives `files` holds, also when many of the largest photos are checked at once.

A photo that is small as a file may be large in memory: a PNG of one colour has 50 megapixels in 200 kB.
The function is started as deployed, with the concurrency of the table, on SQLite and a folder.
"""

from __future__ import annotations

import hashlib
import io
import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from infra.local.phone import wall_ms
from infra.local.processes import free_port
from infra.local.table import load
from shared.accounts import membership, tokens
from shared.accounts.keys import TokenPolicy
from shared.adapters.file_keys import FileKeys
from shared.adapters.sqlite import SqliteStore
from shared.files.picture import MOST_PIXELS_OF
from shared.settings import Settings
from shared.sync.store import Key, put

ROOT = Path(__file__).resolve().parents[2]
FILES = load()["files"]

#: What uploads may need beside a check, MiB: a chunk, its copy and a piece each (shared/adapters/gcs.py);
#: and what the libraries of Google Cloud take more than SQLite and a folder.
UPLOADS_MIB, LIBRARIES_MIB = 12 * FILES.concurrency, 60

#: Most that a check takes, MiB: tests/files/test_picture.py holds every type of photo against it.
CHECK_MIB = 512

#: Photos at once, and how often: each of these takes some 200 MiB, and each is sent by another thread.
AT_ONCE, ROUNDS = 4, 3

#: Longest wait for a start on a loaded machine, and for all checks, seconds.
PATIENCE_SECONDS = 120.0


def largest(colour: int) -> bytes:
    """A PNG of as many pixels as are taken, in a form that costs its decoder most."""
    edge = int(MOST_PIXELS_OF["image/png"] ** 0.5)
    out = io.BytesIO()
    tone = (colour, 120, 90, 200)
    Image.new("RGBA", (edge, edge), tone).save(out, "PNG", compress_level=1)
    return out.getvalue()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """The function with a case to add photos to: port and process id."""
    store = SqliteStore(tmp_path / "records.db")
    membership.grant(store, "amina", "team1", "chw", wall_ms())
    store.commit([put(Key("cases", "c1"), {"scope_id": "team1", "patient_id": "p1"}, None)])
    FileKeys(tmp_path / "keys").current()
    port = free_port()
    child = subprocess.Popen(
        [sys.executable, "-m", "functions_framework", "--target", "files"],
        cwd=ROOT,
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(ROOT),
            "DATA_FOLDER": str(tmp_path),
            "FUNCTION_TARGET": "files",
            "THREADS": str(FILES.concurrency),
            "PORT": str(port),
            "LOG_LEVEL": "ERROR",
        },
    )
    try:
        until = time.monotonic() + PATIENCE_SECONDS
        while not answers(port):
            assert child.poll() is None
            assert time.monotonic() < until
            time.sleep(0.1)
        yield port, child.pid
    finally:
        child.terminate()
        child.wait(30)
        store.close()


def answers(port: int) -> bool:
    try:
        return call(port, "GET", "/no-such-path")[0] == 404
    except OSError:
        return False


def call(port: int, method: str, path: str, body: bytes = b"", token: str = "") -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path, body, {"Authorization": f"Bearer {token}"})
        answer = connection.getresponse()
        return answer.status, json.loads(answer.read() or b"null")
    finally:
        connection.close()


def peak_mib(pid: int) -> int:
    """Most that the server's processes had at once, added up."""
    tree = [pid]
    for each in tree:
        for task in Path(f"/proc/{each}/task").iterdir():
            tree += map(int, (task / "children").read_text().split())
    peaks = [
        re.findall(r"VmHWM:\s+(\d+)", Path(f"/proc/{each}/status").read_text()) for each in tree
    ]
    return sum(int(found[0]) for found in peaks if found) // 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_an_instance_holds_when_the_largest_photos_are_checked_at_once(
    server: tuple[int, int], tmp_path: Path
) -> None:
    port, pid = server
    photos = [largest(colour) for colour in range(AT_ONCE * ROUNDS)]
    assert max(map(len, photos)) <= Settings().check_inline_bytes
    token = tokens.issue(
        FileKeys(tmp_path / "keys").current(),
        TokenPolicy("dermadetect", "dermadetect-api", 30),
        user_id="amina",
        role="chw",
        now_s=wall_ms() / 1000,
    )
    asks = [
        {
            "table": "cases",
            "record_id": "c1",
            "key": f"{at}.png",
            "type": "image/png",
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        for at, data in enumerate(photos)
    ]
    status, said = call(port, "POST", "/api/v1/files", json.dumps({"files": asks}).encode(), token)
    assert status == 200, said
    before = peak_mib(pid)

    def send(at: int) -> tuple[int, Any]:
        return call(port, "PUT", said["files"][at]["upload"]["url"], photos[at], token)

    with ThreadPoolExecutor(AT_ONCE) as threads:
        done = list(threads.map(send, range(len(photos))))
    assert [status for status, _ in done] == [200] * len(photos), done
    # who would wait long is left to a job
    states = [told["state"] for _, told in done]
    assert set(states) <= {"ready", "checking"}
    assert states.count("ready") >= ROUNDS
    cost = peak_mib(pid) - before
    assert cost > 150, "these photos cost nothing: the test says nothing"
    assert cost < CHECK_MIB, "more than one was checked at a time, or a thread keeps what it freed"
    given = int(float(FILES.memory.removesuffix("Gi")) * 1024)
    assert before + CHECK_MIB + UPLOADS_MIB + LIBRARIES_MIB < given
