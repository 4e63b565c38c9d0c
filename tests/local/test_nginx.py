"""A clinic's server behind a real nginx: one client attacks, a phone syncs undisturbed.

Marked soak, since a desk may have no nginx; the image of continuous integration has one
(`infra/ci/Dockerfile`). Client addresses are what a balancer in front says (PROXY protocol), since on one
machine all are its own.
"""

from __future__ import annotations

import json
import shutil
import socket
import statistics
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import pytest

from infra.local.processes import free_port
from infra.local.stack import Stack
from tests.e2e.conftest import Deployment
from tests.patience import PATIENCE_SECONDS, until

pytestmark = pytest.mark.soak

CONFIG = Path(__file__).parent.parent.parent / "infra" / "local" / "nginx.conf"
STRANGER, PHONE = "203.0.113.66", "198.51.100.7"

#: Connections of the stranger: under what one nginx process of Debian's default takes (768 with ours).
STALLED = 250


@pytest.fixture(scope="module")
def deployment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Deployment]:
    stack = Stack(profile="local", data=tmp_path_factory.mktemp("data"), sweep_seconds=3600)
    found = Deployment(stack.start())
    found.join("amina", "kito")
    yield found
    found.store.close()
    stack.stop()


@pytest.fixture(scope="module")
def proxy(deployment: Deployment, tmp_path_factory: pytest.TempPathFactory) -> Iterator[int]:
    """The port of an nginx with our configuration, that learns its clients' addresses by PROXY."""
    program = shutil.which("nginx") or "/usr/sbin/nginx"
    folder, port = tmp_path_factory.mktemp("nginx"), free_port()
    site = CONFIG.read_text("utf-8")
    for ours, here in (
        ("listen 443 ssl;", f"listen 127.0.0.1:{port} proxy_protocol;"),
        ("ssl_certificate /etc/ssl/clinic.pem;", "set_real_ip_from 127.0.0.1;"),
        ("ssl_certificate_key /etc/ssl/clinic.key;", "real_ip_header proxy_protocol;"),
        ("127.0.0.1:8080", f"127.0.0.1:{deployment.stack.port}"),
    ):
        assert ours in site
        site = site.replace(ours, here)
    paths = "".join(
        f"{name}_temp_path {folder}/{name};"
        for name in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    )
    (folder / "nginx.conf").write_text(
        f"daemon off; pid {folder}/pid; error_log {folder}/error.log;"
        f"events {{ worker_connections 2000; }} http {{ access_log off; {paths}\n{site}\n}}"
    )
    process = subprocess.Popen([program, "-p", folder, "-c", folder / "nginx.conf"])
    until(lambda: listens(port), "nginx")
    yield port
    process.terminate()
    process.wait()


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port)):
        return True
    return False


def link(port: int, address: str) -> socket.socket:
    found = socket.create_connection(("127.0.0.1", port), timeout=PATIENCE_SECONDS)
    found.sendall(f"PROXY TCP4 {address} 192.0.2.1 40000 443\r\n".encode())
    return found


def ask(port: int, address: str, head: str, body: bytes = b"") -> tuple[int, Any]:
    """Status and JSON of one request."""
    with link(port, address) as connection:
        connection.sendall(
            f"{head}\r\nHost: clinic\r\nConnection: close\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        got = b""
        while block := connection.recv(65_536):
            got += block
    head_of, _, rest = got.partition(b"\r\n\r\n")
    with suppress(ValueError):
        return int(head_of.split()[1]), json.loads(rest)
    return int(head_of.split()[1]), None


class Phone:
    """An honest phone behind the proxy."""

    def __init__(self, port: int, token: str) -> None:
        self.port, self.token, self.pushed = port, token, 0
        self.times: list[float] = []

    def sync(self) -> int:
        self.pushed += 1
        row = {"id": f"p{self.pushed}", "demographics": {}, "last_modified_at": 1_700_000_000}
        body = {"last_sync_timestamp": time.time() - 1, "changes": {"patients": [row]}}
        began = time.perf_counter()
        head = f"POST /api/sync HTTP/1.1\r\nAuthorization: Bearer {self.token}"
        status, said = ask(self.port, PHONE, head, json.dumps(body).encode())
        self.times.append(time.perf_counter() - began)
        assert status == 200, said
        assert said["accepted"] == {"patients": [f"p{self.pushed}"]}
        return status


def stall(port: int, number: int) -> socket.socket | None:
    """A connection that says a part of a request."""
    with suppress(OSError):
        found = link(port, STRANGER if number % 2 else f"203.0.113.{number % 250}")
        found.sendall(
            b"POST /api/sync HTTP/1.1\r\nHost: x\r\n"
            + (b"Content-Length: 999\r\n\r\n{" if number % 3 else b"")
        )
        return found
    return None


def log_in(port: int, forged: str = "") -> int:
    body = json.dumps({"email": "amina@example.org", "password": "no such password"}).encode()
    return ask(port, STRANGER, f"POST /api/v1/auth/login HTTP/1.1{forged}", body)[0]


@contextmanager
def again_and_again(act: Callable[[], object]) -> Iterator[list[object]]:
    """What an act gave, as often as a thread can do it meanwhile."""
    ended, found = threading.Event(), []

    def run() -> None:
        while not ended.is_set():
            with suppress(OSError, IndexError):
                found.append(act())

    threads = [threading.Thread(target=run) for _ in range(4)]
    for thread in threads:
        thread.start()
    try:
        yield found
    finally:
        ended.set()
        for thread in threads:
            thread.join()


def test_a_phone_syncs_while_a_stranger_attacks(deployment: Deployment, proxy: int) -> None:
    phone = Phone(proxy, deployment.token("amina"))
    told = {}

    def syncs(name: str) -> None:
        phone.times.clear()
        for _ in range(15):
            phone.sync()
        told[name] = statistics.median(phone.times), max(phone.times)

    syncs("nobody attacks")
    # stalled connections, through the proxy
    held = [stall(proxy, number) for number in range(STALLED)]
    syncs("stalled")
    for each in held:
        if each is not None:
            each.close()
    # wrong passwords, each under another forged address
    counter = iter(range(10**9))
    forged = "\r\nX-Forwarded-For: 10.1.2."
    with again_and_again(lambda: log_in(proxy, f"{forged}{next(counter) % 250}")) as said:
        syncs("log-ins")
    assert {401, 429} >= set(said)
    assert said.count(429) > said.count(401)
    # a request line of 8 MB
    with again_and_again(lambda: ask(proxy, STRANGER, "GET /" + "a" * 8_000_000)[0]) as said:
        syncs("long lines")
    assert set(said) <= {414, 400}
    # the queue's private paths, with a guessed secret
    head = "POST /_push/analyse HTTP/1.1\r\nX-Private-Secret: guess"
    with again_and_again(lambda: ask(proxy, STRANGER, head, b"{}")[0]) as said:
        syncs("private paths")
    assert set(said) == {404}
    # requests without a token
    with again_and_again(lambda: ask(proxy, STRANGER, "GET /api/v1/jobs/x HTTP/1.1")[0]) as said:
        syncs("no token")
    assert {401, 429} >= set(said)
    # and the phone's own log-in is heard: it fails by its password, not by the stranger's flood
    body = json.dumps({"email": "joseph@example.org", "password": "no such password"}).encode()
    assert ask(proxy, PHONE, "POST /api/v1/auth/login HTTP/1.1", body)[0] == 401
    for name, (middle, worst) in told.items():
        print(f"{name:<16} median {middle * 1000:6.1f} ms, worst {worst * 1000:6.1f} ms")
