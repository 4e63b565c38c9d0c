"""What the table gives functions holds: hostile bodies at every route, the largest photos at once.

A body that is small as sent may be large in memory: 29 KB of gzip were a gigabyte of objects, and a PNG of
one colour has 50 megapixels in 200 kB. Functions are started as deployed, with the concurrency of the
table, on SQLite and a folder.
"""

from __future__ import annotations

import gzip
import hashlib
import importlib
import io
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from infra.local.phone import wall_ms
from infra.local.processes import free_port
from infra.local.table import load
from shared.access import membership
from shared.accounts import tokens
from shared.accounts.keys import TokenPolicy
from shared.adapters.file_keys import FileKeys
from shared.adapters.sqlite import SqliteStore
from shared.files.picture import MOST_PIXELS_OF
from shared.records.store import Key, put
from shared.settings import Settings
from tests.patience import PATIENCE_SECONDS, until

ROOT = Path(__file__).resolve().parents[2]

pytestmark = pytest.mark.proof
FILES = load()["files"]

#: What uploads may need beside a check, MiB: a chunk, its copy and a piece each (shared/adapters/gcs.py);
#: and what the libraries of Google Cloud take more than SQLite and a folder.
UPLOADS_MIB, LIBRARIES_MIB = 12 * FILES.concurrency, 60

#: Most that a check takes, MiB: tests/files/test_picture.py holds every type of photo against it.
CHECK_MIB = 512

#: Photos at once, and how often: each of these takes some 200 MiB, and each is sent by another thread.
AT_ONCE, ROUNDS = 4, 3


def largest(colour: int) -> bytes:
    """A PNG of as many pixels as are taken, in a form that costs its decoder most."""
    edge = int(MOST_PIXELS_OF["image/png"] ** 0.5)
    out = io.BytesIO()
    tone = (colour, 120, 90, 200)
    Image.new("RGBA", (edge, edge), tone).save(out, "PNG", compress_level=1)
    return out.getvalue()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[tuple[int, int]]:
    """The function `files` with a case to add photos to: port and process id."""
    with serving("files", tmp_path) as started:
        yield started


@contextmanager
def serving(name: str, folder: Path) -> Iterator[tuple[int, int]]:
    """A function as deployed, with a case in its store: port and process id."""
    store = SqliteStore(folder / "records.db")
    membership.grant(store, "amina", "team1", "chw", wall_ms())
    store.commit([put(Key("cases", "c1"), {"scope_id": "team1", "patient_id": "p1"}, None)])
    FileKeys(folder / "keys").current()
    port = free_port()
    child = subprocess.Popen(
        [sys.executable, "-m", "functions_framework", "--target", name],
        cwd=ROOT,
        env={
            "PATH": os.defpath,
            "PYTHONPATH": str(ROOT),
            "DATA_FOLDER": str(folder),
            "FUNCTION_TARGET": name,
            "THREADS": str(load()[name].threads),
            "PORT": str(port),
            "LOG_LEVEL": "ERROR",
        },
    )
    try:
        until(lambda: answers(port) or child.poll() is not None, "the start")
        assert child.poll() is None
        yield port, child.pid
    finally:
        child.terminate()
        child.wait(PATIENCE_SECONDS)
        store.close()


def answers(port: int) -> bool:
    try:
        return call(port, "GET", "/no-such-path")[0] == 404
    except OSError:
        return False


def call(
    port: int, method: str, path: str, body: bytes = b"", token: str = "", **headers: str
) -> tuple[int, Any]:
    connection = HTTPConnection("127.0.0.1", port, timeout=PATIENCE_SECONDS)
    try:
        connection.request(method, path, body, {"Authorization": f"Bearer {token}", **headers})
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


def token_of_amina(folder: Path) -> str:
    return tokens.issue(
        FileKeys(folder / "keys").current(),
        TokenPolicy("dermadetect", "dermadetect-api", user_claim="chw_id"),
        user_id="amina",
        role="chw",
        now_s=wall_ms() / 1000,
    )


#: JSON that is small for what a parser makes of it, or for what is made of that. What `sync` takes of it
#: costs most: a list of records that are none, and texts of which a character takes four bytes.
HOSTILE: dict[str, bytes] = {
    "objects": b'{"email":"a@b.org","password":"x","a":[' + b"{}," * 4_000_000 + b"0]}",
    "names": b'{"files":{' + b",".join(b'"%x":{}' % i for i in range(1_500_000)) + b"}}",
    "no records": b'{"changes":{"cases":[' + b"0," * 400_000 + b"0]}}",
    "all records that are taken": b'{"changes":{"cases":[' + b"0," * 49_000 + b"0]}}",
    "all records, after a backslash": b'{\\"changes":{"cases":[' + b"{}," * 2_000_000 + b"0]}}",
    "all names that are taken": b'{"changes":{"patients":[{"id":"a","demographics":{'
    + b",".join(b'"%x":{}' % i for i in range(300_000))
    + b"}}]}}",
    "a text": b'{"word":"' + b"x" * 30_000_000 + '\U0001f600"}'.encode(),
    "half a text": b'{"changes":{"cases":[{"id":"a","notes":"'
    + b"x" * 15_000_000
    + b'\\ud800"}]}}',
    "quotation marks": b"[[[[[[[[[[[[[[[[[[[[[[[[[" + b'"' * 30_000_000,
    "escapes": b'{"changes":{"cases":[{"a":"' + b'\\"' * 8_000_000,
}


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("name", ["accounts", "files", "review", "support", "sync"])
def test_no_body_at_any_route_takes_more_memory_than_the_function_has(
    name: str, tmp_path: Path
) -> None:
    function = load()[name]
    module = importlib.import_module(f"functions.{name}")
    routes = [route for route in module.ROUTES if route.method == "POST"]
    packed = {what: gzip.compress(body, 1) for what, body in HOSTILE.items()}
    with serving(name, tmp_path) as (port, pid):
        token = token_of_amina(tmp_path)

        def send(path: str, what: str, plain: bool) -> int:
            if plain:
                body = HOSTILE[what][: 16 * 2**20]
                return call(port, "POST", path, body, token)[0]
            coding = {"Content-Encoding": "gzip"}
            return call(port, "POST", path, packed[what], token, **coding)[0]

        for route in routes:
            path = re.sub(r"\{\w+\}", "c1", route.path)
            with ThreadPoolExecutor(function.concurrency) as threads:
                sent = [
                    threads.submit(send, path, what, plain)
                    for what in HOSTILE
                    for plain in (False, True)
                ]
                answered = [each.result() for each in sent]
            assert max(answered) < 500, (route.path, answered)
        peak = peak_mib(pid)
    assert peak + LIBRARIES_MIB < mib(function.memory)


def mib(memory: str) -> int:
    return int(float(memory[:-2]) * {"Gi": 1024, "Mi": 1}[memory[-2:]])


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux's /proc")
def test_an_instance_holds_when_the_largest_photos_are_checked_at_once(
    server: tuple[int, int], tmp_path: Path
) -> None:
    port, pid = server
    photos = [largest(colour) for colour in range(AT_ONCE * ROUNDS)]
    assert max(map(len, photos)) <= Settings().check_inline_bytes
    token = token_of_amina(tmp_path)
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
    # who would wait long is left to a job: how many, the machine decides; one need never wait
    states = [told["state"] for _, told in done]
    assert set(states) <= {"ready", "checking"}
    assert "ready" in states
    cost = peak_mib(pid) - before
    assert cost > 150, "these photos cost nothing: the test says nothing"
    assert cost < CHECK_MIB, "more than one was checked at a time, or a thread keeps what it freed"
    assert before + CHECK_MIB + UPLOADS_MIB + LIBRARIES_MIB < mib(FILES.memory)
