"""Child processes that cannot outlive us, and ports for them.

Every child runs under a guard (`guard.py`) that ends the child's whole process group when we stop,
crash or are killed. Output is added to a log file whose end can be shown when a start fails. A log is
never emptied: a start after a crash leaves the evidence, and one that grew is kept beside the new one.
"""

from __future__ import annotations

import os
import secrets
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from types import TracebackType

#: How long a child may take to end after SIGTERM before it is killed, seconds.
GRACE_SECONDS = 8.0

#: A log of more than this is put aside, bytes, and how many of those that were are kept.
LOG_BYTES, LOGS_KEPT = 20 * 2**20, 5

_handed_out: set[int] = set()

_GUARD = Path(__file__).with_name("guard.py")


class StartFailed(Exception):
    """A child ended before it was ready, or did not become ready in time."""


class PortTaken(StartFailed):
    """Another process listens on the port that was asked for."""

    def __init__(self, port: int) -> None:
        super().__init__(f"port {port} is already in use; choose another one, or 0 for a free one")


class Child:
    """One command under guard. `name` is for messages; `log` gets standard output and error."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        *,
        log: Path,
        environ: Mapping[str, str] | None = None,
        cwd: Path | None = None,
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        self.name = name
        self.log = log
        self._grace_seconds = grace_seconds
        log.parent.mkdir(parents=True, exist_ok=True)
        rotate(log)
        with log.open("ab") as output:
            self._began = output.tell()
            self._guard = subprocess.Popen(  # noqa: S603 - commands are ours
                [sys.executable, "-I", "-S", str(_GUARD), str(grace_seconds), *command],
                stdin=subprocess.PIPE,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=None if environ is None else dict(environ),
                cwd=cwd,
                start_new_session=True,  # Ctrl-C at the terminal must reach us alone
            )

    def poll(self) -> int | None:
        """The exit code, None while it runs."""
        return self._guard.poll()

    def tail(self, lines: int = 12) -> str:
        """The end of its log, of what came since its start."""
        try:
            with self.log.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(self._began if size >= self._began else 0)  # put aside meanwhile
                text = file.read().decode("utf-8", "replace")
        except OSError:
            return ""
        return "\n".join(text.rstrip().splitlines()[-lines:])

    def wait_ready(self, ready: Callable[[], bool], timeout_seconds: float) -> None:
        """Return when `ready()` is true; `StartFailed` when the child ends or time is up."""
        deadline = time.monotonic() + timeout_seconds
        pause = 0.02
        while not ready():
            if (code := self.poll()) is not None:
                raise StartFailed(f"{self.name} ended with code {code} at start:\n{self.tail()}")
            if time.monotonic() > deadline:
                raise StartFailed(
                    f"{self.name} was not ready after {timeout_seconds:.0f} s:\n{self.tail()}"
                )
            time.sleep(pause)
            pause = min(0.2, pause * 1.5)

    def let_go(self) -> None:
        """Ask it to end, without waiting."""
        if self._guard.stdin and not self._guard.stdin.closed:
            self._guard.stdin.close()

    def stop(self) -> None:
        """Ask it to end, wait, kill the group if it does not; harmless when it has ended."""
        self.let_go()
        try:
            self._guard.wait(self._grace_seconds + 5)
        except subprocess.TimeoutExpired:  # pragma: no cover - the guard itself is stuck
            self._guard.kill()
            self._guard.wait()

    def kill(self) -> None:
        """SIGKILL to the whole group at once: what a power cut leaves behind."""
        if self.poll() is None and self._guard.stdin and not self._guard.stdin.closed:
            with suppress(BrokenPipeError):
                self._guard.stdin.write(b"k")
                self._guard.stdin.flush()
            self._guard.wait()
        self.let_go()

    def __enter__(self) -> Child:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()


def rotate(log: Path, most_bytes: int = LOG_BYTES, kept: int = LOGS_KEPT) -> bool:
    """Put a log aside that has grown: `server.log` → `server.log.1` → `server.log.2`, the oldest goes.

    Whoever writes keeps its open file: the log is copied, then cut to nothing. A line that is written
    between the two is lost. Returns whether it had grown.
    """
    if not log.exists() or log.stat().st_size <= most_bytes:
        return False
    for number in range(kept - 1, 0, -1):
        with suppress(FileNotFoundError):
            Path(f"{log}.{number}").replace(f"{log}.{number + 1}")
    shutil.copyfile(log, f"{log}.1")
    os.truncate(log, 0)
    return True


def free_port(host: str = "127.0.0.1") -> int:
    """A port that was free a moment ago, and is not handed out twice by this process.

    From below the ranges that systems take outgoing connections' ports from (Linux from 32768,
    others from 49152): a connection cannot take it before the server does. Another process's server
    can: be ready to retry.
    """
    for _ in range(1000):
        port = 20_000 + secrets.randbelow(12_000)
        if port not in _handed_out:
            with suppress(PortTaken):
                claim_port(port, host)
                _handed_out.add(port)
                return port
    raise StartFailed("there is no free port from 20000 to 31999")


def claim_port(port: int, host: str = "127.0.0.1") -> int:
    """`port` if nobody listens on it, a free one for 0; raises `PortTaken`."""
    if port == 0:
        return free_port(host)
    with socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET) as probe:
        # as servers do: a port in TIME_WAIT is free
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise PortTaken(port) from error
    return port
