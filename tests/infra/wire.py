"""What lies between our functions and Google's services, on a bad day: lines, Cloud Run, Pub/Sub's push.

Functions are processes, started as deployed (`running`); stores and queue are the emulators. Only what no
emulator has is made here: a line that is slow, late or cut (`Line`), and Cloud Run's door before a function
that wants a token (`Door`), which the Pub/Sub emulator cannot bring.
"""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa

from infra.local.processes import free_port
from tests.infra import deployed
from tests.infra.hcl import ROOT
from tests.patience import PATIENCE_SECONDS, until

#: Who signs tokens of Google's accounts.
_ISSUER = "https://accounts.google.com"

_BLOCK = 8192


@dataclass
class Running:
    """A function's server: gunicorn's master and its workers, one process group."""

    url: str
    log: Path
    group: int

    def stop_cpu(self) -> None:
        """What Cloud Run does between requests: the instance gets no CPU."""
        os.killpg(self.group, signal.SIGSTOP)

    def give_cpu(self) -> None:
        """The next request is here."""
        os.killpg(self.group, signal.SIGCONT)

    def kill(self) -> None:
        """The instance is gone, also while it has no CPU."""
        os.killpg(self.group, signal.SIGKILL)


@contextmanager
def running(name: str, folder: Path, **environ: str) -> Iterator[Running]:
    """A function with the environment of a deployment, but for `environ`."""
    port = free_port()
    log = folder / f"{name}-{port}.log"
    given = {**deployed.environment(deployed.FUNCTIONS[name], port), "TRACE_EXPORTER": "none"}
    with log.open("wb") as out:
        child = subprocess.Popen(
            [sys.executable, "-m", "functions_framework", "--target", name],
            cwd=ROOT,
            env={"PATH": os.defpath, "NO_PROXY": "127.0.0.1", **given, **environ},
            stdout=out,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    made = Running(f"http://127.0.0.1:{port}", log, child.pid)
    try:
        until(lambda: _answers(port) or child.poll() is not None, f"the start of {name}")
        assert child.poll() is None, log.read_text()
        yield made
    finally:
        with suppress(ProcessLookupError):
            made.kill()
        child.wait()


def _answers(port: int) -> bool:
    with closing(http.client.HTTPConnection("127.0.0.1", port, timeout=5)) as connection:
        try:
            connection.request("GET", "/robots.txt")
            return connection.getresponse().status in (404, 405)
        except OSError:
            return False


class Line:
    """A TCP line to `upstream` ("host:port"), listening at `address`.

    `opens_after_s`: the other end starts with the first connection and answers nobody before. `lives_bytes`
    ends a connection after so many bytes have come down; `cut` ends all of them now. Each may be changed
    while it runs, for later connections.
    """

    def __init__(self, upstream: str) -> None:
        host, _, port = upstream.rpartition(":")
        self._upstream = (host.removeprefix("http://"), int(port))
        self.opens_after_s = 0.0
        self.lives_bytes: int | None = None
        self._began_s: float | None = None
        self._open: set[socket.socket] = set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.address = f"127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def __enter__(self) -> Line:
        return self

    def __exit__(self, *_: object) -> None:
        self._listener.close()
        self.cut()

    def cut(self) -> None:
        """End every connection that is open."""
        self._end(*self._open)

    def _end(self, *ends: socket.socket) -> None:
        for each in ends:
            self._open.discard(each)
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        with suppress(OSError):
            while True:
                near, _ = self._listener.accept()
                threading.Thread(target=self._join, args=(near,), daemon=True).start()

    def _join(self, near: socket.socket) -> None:
        self._began_s = began_s = self._began_s or time.monotonic()
        time.sleep(max(0.0, began_s + self.opens_after_s - time.monotonic()))
        with near, socket.create_connection(self._upstream) as far:
            self._open |= {near, far}
            up = threading.Thread(target=self._carry, args=(near, far, None), daemon=True)
            up.start()
            self._carry(far, near, self.lives_bytes)
            up.join()

    def _carry(self, source: socket.socket, target: socket.socket, most: int | None) -> None:
        with suppress(OSError):
            while block := source.recv(_BLOCK if most is None else min(most, _BLOCK)):
                target.sendall(block)
                most = None if most is None else most - len(block)
        self._end(source, target)


class Door:
    """Cloud Run before a function, and Pub/Sub's push to it: the emulator posts here, without a token.

    A push gets the token that the subscription names (`audience`, `account`) and is sent to `path`. Then
    Cloud Run: 401 for a token that Google did not sign or that has ended, 403 for another audience or an
    account that may not call, 429 for the next `busy` pushes (no instance is free), else the function's.
    """

    def __init__(self, *, uri: str, path: str, audience: str, account: str, invoker: str) -> None:
        self.uri, self.path, self.invoker = uri, path, invoker
        self.audience, self.account = audience, account
        self.function = ""  #: where the function is
        self.busy = 0
        self.answers: list[int] = []
        self.times_s: list[float] = []
        self._google = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._stranger = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        door = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                token = door.token()
                status = door.answer(token, body, self.headers["Content-Type"])
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        """Answer nobody any more."""
        self._server.shutdown()
        self._server.server_close()

    def token(self, *, signed_by_google: bool = True, lives_s: int = 3600, **other: Any) -> str:
        """What Pub/Sub brings; with other claims, an end or a signer that it never would."""
        claims = {
            "iss": _ISSUER,
            "aud": self.audience,
            "email": self.account,
            "email_verified": True,
            "exp": int(time.time()) + lives_s,
            **other,
        }
        return jwt.encode(claims, self._google if signed_by_google else self._stranger, "RS256")

    def judge(self, token: str) -> int:
        """Cloud Run's own answer to a token; 200: it is let in."""
        try:
            claims = jwt.decode(
                token,
                self._google.public_key(),
                algorithms=["RS256"],
                audience=self.uri,
                issuer=_ISSUER,
                options={"require": ["exp", "aud", "iss", "email"]},
            )
        except jwt.InvalidAudienceError:
            return 403
        except jwt.InvalidTokenError:
            return 401
        return 200 if self.invoker == f"serviceAccount:{claims['email']}" else 403

    def answer(self, token: str, body: bytes, kind: str) -> int:
        """What a push gets."""
        status = self.judge(token)
        if status == 200 and self.busy:
            self.busy, status = self.busy - 1, 429
        elif status == 200:
            status = self._ask(token, body, kind)
        self.answers.append(status)
        self.times_s.append(time.monotonic())
        return status

    def _ask(self, token: str, body: bytes, kind: str) -> int:
        host = self.function.removeprefix("http://")
        with closing(http.client.HTTPConnection(host, timeout=PATIENCE_SECONDS)) as connection:
            headers = {"Content-Type": kind, "Authorization": f"Bearer {token}"}
            connection.request("POST", self.path, body, headers)
            return connection.getresponse().status
