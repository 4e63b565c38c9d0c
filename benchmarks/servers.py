"""Which HTTP server for a clinic: the same back end behind several, while a stranger holds connections.

    python -m benchmarks.servers                    all that are installed, a table
    python -m benchmarks.servers ours gthread       some of them

Each server runs two processes of 16 threads. While `STALLED` connections dribble (a process of their
own), a phone syncs: one push of a case and the pull behind it, on a new connection. Peers are not in
our requirements: pip install gevent granian hypercorn uvicorn a2wsgi. docs/decisions/0014-clinic-server.md
has the table and what it decided.
"""

from __future__ import annotations

import argparse
import http.client
import importlib.util
import json
import multiprocessing
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from benchmarks import corpus, ours
from infra.local import private
from infra.local.processes import free_port
from infra.local.server import Router, framework_app
from infra.local.table import REPOSITORY, TABLE, load
from shared.access import membership
from shared.accounts import tokens
from shared.accounts.tokens import TokenPolicy
from shared.adapters.file_keys import FileKeys
from shared.adapters.sqlite import SqliteStore
from shared.settings import current

#: Connections of the stranger.
STALLED = 500

#: A sync that takes longer counts as lost, seconds.
PATIENCE = 10.0

#: Syncs under each attack.
SYNCS = 20

_PROCESSES, _THREADS = 2, 16

#: name → the packages that it needs.
SERVERS: Mapping[str, Sequence[str]] = {
    "ours": (),
    "gthread": (),
    "gevent": ("gevent",),
    "granian": ("granian",),
    "hypercorn": ("hypercorn",),
    "uvicorn": ("uvicorn", "a2wsgi"),
}


def application() -> Any:
    """The back end as a WSGI application."""
    secret = private.secret(current().data_path)
    return Router(load(TABLE).values(), framework_app(REPOSITORY / "main.py"), secret)


def asgi() -> Any:
    """The same as an ASGI application."""
    from a2wsgi import WSGIMiddleware

    return WSGIMiddleware(application(), workers=_THREADS)


def command(server: str, port: int) -> list[str]:
    """How a server is started."""
    address, many = f"127.0.0.1:{port}", str(_PROCESSES)
    module = [sys.executable, "-m"]
    app = "benchmarks.servers:application()"
    if server == "ours":
        return [*module, "infra.local.server", "--port", str(port), "--workers", many]
    if server in ("gthread", "gevent"):
        loops = ["--threads", str(_THREADS)] if server == "gthread" else []
        options = ["-k", server, *loops, "-w", many, "-b", address, "--no-control-socket"]
        return [*module, "gunicorn", *options, "--log-level", "error", app]
    if server == "granian":
        options = ["--interface", "wsgi", "--port", str(port), "--workers", many]
        options += ["--blocking-threads", str(_THREADS), "--no-log", "--factory"]
        return [*module, "granian", *options, "benchmarks.servers:application"]
    if server == "hypercorn":
        return [*module, "hypercorn", "-b", address, "-w", many, f"wsgi:{app}"]
    options = ["--port", str(port), "--workers", many, "--log-level", "error", "--factory"]
    return [*module, "uvicorn", *options, "benchmarks.servers:asgi"]


# --- the stranger


def _open(port: int, first: bytes, small: bool = False) -> socket.socket | None:
    link = socket.socket()
    if small:
        link.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    link.settimeout(3)
    try:
        link.connect(("127.0.0.1", port))
        link.sendall(first)
    except OSError:
        link.close()
        return None
    return link


def attack(kind: str, port: int, token: str, ready: Any) -> None:
    """Hold connections until killed; those that the server closes are opened anew."""
    own = f"Host: x\r\nAuthorization: Bearer {token}\r\n"
    first, drop, small = {
        "heads": (b"POST /api/sync HTTP/1.1\r\nHost: x\r\nX-A: ", b"a", False),
        "bodies": (
            f"POST /api/sync HTTP/1.1\r\n{own}Content-Length: 90000\r\n\r\n".encode(),
            b" ",
            False,
        ),
        "readers": (
            f"GET /api/v1/sync?last_pulled_at=null HTTP/1.1\r\n{own}\r\n".encode(),
            b"",
            True,
        ),
        "line": (b"GET /" + b"a" * 8_000_000, b"a", False),
    }[kind]
    count = 16 if kind == "line" else STALLED
    links: list[socket.socket | None] = [None] * count
    while True:
        for number, link in enumerate(links):
            if link is None:
                links[number] = _open(port, first, small)
            elif drop:
                try:
                    link.sendall(drop)
                except OSError:
                    link.close()
                    links[number] = None
        ready.set()
        time.sleep(1)


@contextmanager
def attacked(kind: str, port: int, token: str) -> Iterator[None]:
    """While a stranger attacks."""
    if not kind:
        yield
        return
    ready = multiprocessing.Event()
    stranger = multiprocessing.Process(target=attack, args=(kind, port, token, ready), daemon=True)
    stranger.start()
    try:
        ready.wait(60)
        yield
    finally:
        stranger.kill()
        stranger.join()


# --- the phone


def _ask(
    port: int, token: str, body: bytes, path: str = "/api/sync", method: str = "POST"
) -> float:
    """How long an answer takes, seconds. Raises OSError when it is none."""
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=PATIENCE)
    began = time.perf_counter()
    try:
        link.request(method, path, body, {"Authorization": f"Bearer {token}"})
        answer = link.getresponse()
        answer.read()
        if answer.status != 200:
            raise OSError(f"status {answer.status}")
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        link.close()
    return time.perf_counter() - began


def _push(number: int, stem: str) -> bytes:
    row = {"id": f"{stem}-{number}", "last_modified_at": 1, "demographics": {"name": "A"}}
    now = time.time() - 1
    return json.dumps({"last_sync_timestamp": now, "changes": {"patients": [row]}}).encode()


def syncs(port: int, token: str, stem: str) -> dict[str, Any]:
    """Median and worst of some syncs, ms, and how many were lost; ends early when nothing goes."""
    times, lost = [], 0
    for number in range(SYNCS):
        if lost == 3 and not times:
            break
        try:
            times.append(_ask(port, token, _push(number, stem)) * 1000)
        except OSError:
            lost += 1
        time.sleep(0.05)
    middle = round(statistics.median(times), 1) if times else None
    return {"median_ms": middle, "worst_ms": round(max(times), 1) if times else None, "lost": lost}


def _throughput(one: Callable[[int], float], count: int) -> float:
    began = time.perf_counter()
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(one, range(count)))
    return count / (time.perf_counter() - began)


def speeds(port: int, honest: str, greedy: str) -> dict[str, float]:
    """Requests a second of three kinds, eight at a time and nobody else there."""
    rows = [corpus.watermelon((), corpus.patients(f"t{n}", 500)) for n in range(12)]
    path = f"/api/v1/sync?last_pulled_at={int(time.time() * 1000)}"
    first = "/api/v1/sync?last_pulled_at=null"
    pushed = _throughput(lambda n: _ask(port, honest, rows[n], path), 12)
    synced = _throughput(lambda n: _ask(port, honest, _push(n, "r")), 200)
    pulled = _throughput(lambda _: _ask(port, greedy, b"", first, "GET"), 8)
    return {"push_500": round(pushed, 1), "syncs": round(synced), "pull_10000": round(pulled, 1)}


# --- one server


@contextmanager
def running(server: str, data: Path) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    """A server that serves: its port and process."""
    port = free_port()
    environ = {**os.environ, "DATA_FOLDER": str(data), "LOG_LEVEL": "ERROR"}
    with (data / "server.log").open("wb") as log:
        process = subprocess.Popen(
            command(server, port), env=environ, stdout=log, stderr=log, start_new_session=True
        )
    try:
        for _ in range(300):
            with suppress(OSError):
                link = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
                link.request("GET", "/health")
                if link.getresponse().status == 200:
                    break
            time.sleep(0.1)
        else:
            raise RuntimeError(f"{server} does not start:\n{(data / 'server.log').read_text()}")
        yield port, process
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _megabytes(process: subprocess.Popen[bytes]) -> float:
    """Memory of the whole process group, shared pages counted once."""
    total = 0
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError, ValueError):
            if os.getpgid(int(folder.name)) == process.pid:
                for line in (folder / "smaps_rollup").read_text().splitlines():
                    total += int(line.split()[1]) if line.startswith("Pss:") else 0
    return total / 1024


def measure(server: str) -> dict[str, Any]:
    """All numbers of one server."""
    found: dict[str, Any] = {}
    with tempfile.TemporaryDirectory(prefix="servers-") as folder:
        data = Path(folder)
        data.chmod(0o700)
        store = SqliteStore(data / "records.db")
        keys = FileKeys(data / "keys")
        policy = TokenPolicy("dermadetect", "dermadetect-api", user_claim="chw_id")

        def token(user: str, team: str) -> str:
            membership.grant(store, user, team, "chw", time.time_ns() // 1_000_000)
            now = time.time()
            return tokens.issue(
                keys.current(), policy, user_id=user, role="chw", now_s=now, seconds=36_000
            )

        ours.fill(store, "big", "big", 5000)
        honest, greedy = token("amina", "kito"), token("joseph", "big")
        for kind in ("", "heads", "bodies", "readers", "line"):
            with running(server, data) as (port, process):
                if not kind:
                    found |= speeds(port, honest, greedy)
                    found["start_mb"] = round(_megabytes(process))
                with attacked(kind, port, greedy):
                    found[kind or "alone"] = syncs(port, honest, f"{kind}{server}")
                    found[kind or "alone"]["mb"] = round(_megabytes(process))
        store.close()
    return found


def main() -> None:
    """Measure, or serve."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.servers")
    parser.add_argument("servers", nargs="*", help=", ".join(SERVERS))
    chosen = parser.parse_args()
    for server in chosen.servers or SERVERS:
        if all(importlib.util.find_spec(name) for name in SERVERS[server]):
            print(json.dumps({server: measure(server)}), flush=True)


if __name__ == "__main__":
    main()
