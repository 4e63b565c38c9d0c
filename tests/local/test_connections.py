"""A hostile client holds connections: no thread, not for ever, and nobody else is kept out."""

from __future__ import annotations

import json
import socket
import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any

import pytest

from infra.local.connections import HEAD_BYTES, LINE_BYTES, Server, ServerLimits

LIMITS = ServerLimits(threads=1)

GOOD = b"GET /good HTTP/1.1\r\nHost: x\r\n\r\n"
BODY = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: 10000\r\n\r\n"

#: More than a socket's buffers hold.
LONG = 16 * 2**20

#: How many more pieces a paced answer may bring.
READ = threading.Semaphore(1)


def application(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
    """Says how many bytes of body it got, and whether late; at /long a long answer in pieces."""
    start_response(
        "408 Late" if environ["HTTP_X_BODY_LATE"] else "200 OK", [("Content-Type", "text/plain")]
    )
    if environ["PATH_INFO"] == "/short":
        return iter([b"one", b"two"])
    if environ["PATH_INFO"] == "/long":
        return (bytes(2**16) for _ in range(LONG // 2**16))
    if environ["PATH_INFO"] == "/paced":
        return (bytes(2**16) for _ in range(LONG // 2**16) if READ.acquire(timeout=10))
    return [str(len(environ["wsgi.input"].read())).encode()]


class Clinic:
    """A server whose loop and clock the test moves, and its clients."""

    def __init__(self, limits: ServerLimits) -> None:
        self.now = 0.0
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.server = Server(
            application, self.listening, limits, shared=lambda _: False, clock=lambda: self.now
        )
        self.clients: list[socket.socket] = []

    def connect(self, first: bytes = b"", receive: int = 0) -> socket.socket:
        client = socket.socket()
        if receive:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive)
        client.connect(self.listening.getsockname())
        client.setblocking(False)
        self.clients.append(client)
        own = client.getsockname()
        self.until(lambda: any(each.addr == own for each in self.server.active_channels.values()))
        if first:
            client.sendall(first)
            self.turn()
        return client

    def turn(self) -> None:
        for _ in range(3):
            self.server.step(0.01)

    def pass_seconds(self, seconds: float) -> None:
        """Time goes by in the server; its round of the deadlines comes."""
        self.now += seconds
        self.server.maintenance(0)
        self.turn()

    def until(self, holds: Callable[[], object], patience: int = 500) -> None:
        for _ in range(patience):
            if holds():
                return
            self.server.step(0.01)

    def heard(self, client: socket.socket) -> tuple[bytes, bool]:
        """What has come, and whether the server has closed the connection."""
        got = b""
        for _ in range(1000):
            try:
                block = client.recv(65_536)
            except BlockingIOError:
                if got:
                    return got, False
                self.server.step(0.01)
                continue
            except ConnectionResetError:
                return got, True
            if not block:
                return got, True
            got += block
            self.turn()
        return got, False

    @staticmethod
    def is_readable(client: socket.socket) -> bool:
        with suppress(BlockingIOError):
            return bool(client.recv(1, socket.MSG_PEEK))
        return False

    def is_open(self, client: socket.socket) -> bool:
        self.turn()
        with suppress(BlockingIOError):
            return bool(client.recv(1, socket.MSG_PEEK))
        return True

    def all_of(self, client: socket.socket) -> bytes:
        got, closed = self.heard(client)
        for _ in range(20):
            if closed:
                break
            more, closed = self.heard(client)
            got += more
        assert closed
        return got

    def refusal(self, client: socket.socket) -> tuple[int, str]:
        got = self.all_of(client)
        head, _, body = got.partition(b"\r\n\r\n")
        error = json.loads(body)["error"]
        assert f"X-Request-Id: {error['request_id']}".encode() in head
        assert error["message"]
        return int(head.split()[1]), error["code"]


@pytest.fixture
def clinic() -> Iterator[Clinic]:
    with opened(LIMITS) as found:
        yield found


@contextmanager
def opened(limits: ServerLimits) -> Iterator[Clinic]:
    found = Clinic(limits)
    yield found
    for client in found.clients:
        client.close()
    found.server.end(1)
    found.server.close()


def served(clinic: Clinic) -> bool:
    """Whether somebody new is answered."""
    got, _ = clinic.heard(clinic.connect(GOOD))
    return got.startswith(b"HTTP/1.1 200")


# --- deadlines


def test_headers_that_dribble_are_answered_408(clinic: Clinic) -> None:
    client = clinic.connect(b"POST /api/sync HTTP/1.1\r\nHost: x\r\nX-A: ")
    for _ in range(int(LIMITS.head)):
        client.sendall(b"a")
        clinic.pass_seconds(1)
        assert clinic.is_open(client)
    clinic.pass_seconds(1)
    assert clinic.refusal(client) == (408, "request_timeout")


def test_of_a_body_that_dribbles_the_function_gets_what_has_come(clinic: Clinic) -> None:
    client = clinic.connect(BODY)
    for _ in range(30):
        client.sendall(b" ")
        clinic.pass_seconds(2)
    clinic.pass_seconds(2)
    got = clinic.all_of(client)
    assert got.startswith(b"HTTP/1.1 408")
    assert got.endswith(b"\r\n\r\n30")


def test_of_a_body_that_stops_the_function_gets_what_has_come(clinic: Clinic) -> None:
    client = clinic.connect(BODY + bytes(9_999))
    clinic.pass_seconds(LIMITS.grace)
    assert clinic.is_open(client)
    clinic.pass_seconds(1)
    assert clinic.all_of(client).startswith(b"HTTP/1.1 408")


@pytest.mark.parametrize("ending", ["half", "whole", "reset"])
def test_of_a_body_that_breaks_off_the_function_gets_what_has_come(
    clinic: Clinic, ending: str
) -> None:
    seen = []

    def noting(environ: Any, start: Any) -> Any:
        seen.append((len(environ["wsgi.input"].read()), environ["HTTP_X_BODY_LATE"]))
        return application(environ, start)

    clinic.server.application = noting
    client = clinic.connect(BODY + bytes(5_000))
    clinic.turn()
    if ending == "half":
        client.shutdown(socket.SHUT_WR)
        assert clinic.all_of(client).startswith(b"HTTP/1.1 200")
    else:
        if ending == "reset":
            client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        client.close()
    clinic.until(lambda: not clinic.server.active_channels)
    assert seen == [(5_000, "")]


def test_of_chunks_that_break_off_nobody_takes_a_part_for_the_whole(clinic: Clinic) -> None:
    client = clinic.connect(
        b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n"
    )
    clinic.pass_seconds(LIMITS.grace + 1)
    assert clinic.refusal(client) == (408, "request_timeout")


def test_a_phone_on_a_bad_line_is_heard_out(clinic: Clinic) -> None:
    """200 bytes a second, in pieces with half a minute between them: three times the grace."""
    client = clinic.connect(BODY)
    for _ in range(2):
        clinic.pass_seconds(25)
        client.sendall(bytes(5_000))
        clinic.turn()
    got, _ = clinic.heard(client)
    assert got.startswith(b"HTTP/1.1 200")
    assert got.endswith(b"10000")


def test_the_next_request_of_a_connection_has_time_of_its_own(clinic: Clinic) -> None:
    client = clinic.connect(GOOD)
    clinic.heard(client)
    clinic.pass_seconds(LIMITS.idle - 1)
    client.sendall(GOOD[:20])
    clinic.turn()
    clinic.pass_seconds(LIMITS.head - 1)
    client.sendall(GOOD[20:])
    assert clinic.heard(client)[0].startswith(b"HTTP/1.1 200")


def test_an_answer_in_chunks_ends_by_its_last_one_and_not_by_the_connection(clinic: Clinic) -> None:
    # a phone that is told `Connection: close` takes what came before the line broke for the whole
    client = clinic.connect(GOOD.replace(b"/good", b"/short"))
    head, _ = clinic.heard(client)[0].split(b"\r\n\r\n", 1)
    assert b"transfer-encoding: chunked" in head.lower()
    assert b"connection: close" not in head.lower()
    client.sendall(GOOD)
    assert clinic.heard(client)[0].startswith(b"HTTP/1.1 200")


def test_who_says_nothing_is_let_go(clinic: Clinic) -> None:
    client = clinic.connect()
    clinic.pass_seconds(LIMITS.idle)
    assert clinic.is_open(client)
    clinic.pass_seconds(1)
    assert clinic.heard(client) == (b"", True)


def test_an_answer_that_nobody_reads_holds_no_thread_and_is_dropped(clinic: Clinic) -> None:
    # given one thread, and a client that asks for much and reads nothing
    client = clinic.connect(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n", receive=4096)
    # when somebody else comes, then the thread is free
    assert served(clinic)
    channel = max(clinic.server.active_channels.values(), key=lambda each: each.total_outbufs_len)
    assert not channel.busy
    # and when the time is over, what was kept for the client is given back
    clinic.pass_seconds(LIMITS.grace + 1)
    clinic.pass_seconds(LIMITS.grace + LIMITS.grace)
    assert channel not in clinic.server.active_channels.values()
    client.close()


def test_an_answer_that_is_read_as_it_comes_is_not_kept(clinic: Clinic) -> None:
    # given a client that reads each piece of a long answer before the next one is written
    client = clinic.connect(b"GET /paced HTTP/1.1\r\nHost: x\r\n\r\n")
    [channel] = clinic.server.active_channels.values()
    got, most = 0, 0
    while got < LONG:
        clinic.until(lambda: clinic.is_readable(client))
        got += len(client.recv(2**20))
        kept = (getattr(each.buf, "file", None) for each in channel.outbufs)
        most = max(most, sum(sys.getsizeof(file) for file in kept))
        READ.release()

    # then what was sent is let go: a first sync of 100,000 records has 110 MB
    assert most < LONG / 2


def test_a_thread_that_waits_for_a_reader_is_freed() -> None:
    """An answer longer than what is kept for a slow reader: its thread waits, not for ever."""
    with opened(replace(LIMITS, answer_bytes=2**17)) as clinic:
        clinic.connect(b"GET /long HTTP/1.1\r\nHost: x\r\n\r\n", receive=4096)
        clinic.until(
            lambda: any(c.total_outbufs_len for c in clinic.server.active_channels.values())
        )
        clinic.turn()
        [channel] = clinic.server.active_channels.values()
        assert channel.busy
        clinic.pass_seconds(2 * LIMITS.grace + LONG / LIMITS.bytes_a_second)
        assert served(clinic)


# --- bounds


def test_a_long_request_line_is_answered_414_before_it_ends(clinic: Clinic) -> None:
    client = clinic.connect(b"GET /" + b"a" * LINE_BYTES)
    assert clinic.refusal(client) == (414, "uri_too_long")


def test_a_path_of_nine_thousand_bytes_is_a_path(clinic: Clinic) -> None:
    client = clinic.connect(b"GET /" + b"a" * 9_000 + b" HTTP/1.1\r\nHost: x\r\n\r\n")
    assert clinic.heard(client)[0].startswith(b"HTTP/1.1 200")


def test_long_headers_are_answered_431(clinic: Clinic) -> None:
    client = clinic.connect(b"GET / HTTP/1.1\r\nHost: x\r\nX-A: ")
    with suppress(OSError):
        for _ in range(HEAD_BYTES // 4096):
            client.sendall(b"a" * 4096)
            clinic.turn()
    assert clinic.refusal(client) == (431, "headers_too_large")


def test_a_body_that_announces_too_much_is_answered_413_at_once(clinic: Clinic) -> None:
    most = LIMITS.body_bytes
    head = b"POST /echo HTTP/1.1\r\nHost: x\r\nContent-Length: "
    assert clinic.refusal(clinic.connect(head + str(most + 1).encode() + b"\r\n\r\n")) == (
        413,
        "request_too_large",
    )
    assert clinic.is_open(clinic.connect(head + str(most).encode() + b"\r\n\r\n"))


@pytest.mark.parametrize(
    "sent",
    [
        b"GET / HTTP/1.1\r\nBad Header\r\n\r\n",
        b"nonsense\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: x\r\n\r\n",
        b"POST / HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n",
    ],
)
def test_what_is_no_request_is_answered_in_our_shape(clinic: Clinic, sent: bytes) -> None:
    assert clinic.refusal(clinic.connect(sent)) == (400, "invalid_request")


# --- one makes way for another


@pytest.mark.parametrize("bound", [{"connections": 10}, {"of_address": 10}])
def test_the_longest_stalled_makes_way_for_the_next(bound: dict[str, int]) -> None:
    with opened(replace(LIMITS, **bound)) as clinic:
        # given as many as there may be, half of them in the midst of a body
        held = []
        for number in range(10):
            clinic.now += 1
            held.append(clinic.connect(BODY if number % 2 else GOOD[:20]))
        # when others come, then each is served, and those that stalled longest were closed
        for _ in range(3):
            assert served(clinic)
            clinic.clients.pop().close()
            clinic.turn()
        still = [clinic.is_open(each) for each in held]
        assert still == [False, *[True] * 9]


def test_an_address_that_stands_for_many_may_hold_many() -> None:
    with opened(replace(LIMITS, of_address=3)) as clinic:
        clinic.server.shared = lambda _: True
        held = [clinic.connect(GOOD[:20]) for _ in range(8)]
        assert served(clinic)
        assert all(map(clinic.is_open, held))


@pytest.mark.proof
def test_a_phone_gets_through_while_hundreds_stall() -> None:
    with opened(replace(LIMITS, of_address=32)) as clinic:
        for number in range(200):
            clinic.connect((GOOD[:20], BODY, GOOD[:1])[number % 3])
        assert served(clinic)
        assert len(clinic.server.active_channels) <= 32


# --- the end


def test_the_end_waits_for_what_is_at_work(clinic: Clinic) -> None:
    client = clinic.connect()
    client.sendall(GOOD)
    clinic.until(lambda: any(each.busy for each in clinic.server.active_channels.values()))
    clinic.server.end(5)
    assert clinic.heard(client)[0].startswith(b"HTTP/1.1 200")
