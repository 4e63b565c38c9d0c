"""Connections of the clinic's own server: no thread reads or writes, and every wait has a deadline.

Waitress reads a request whole in one loop before a thread sees it, and writes answers from buffers: who
sends or reads slowly holds a socket and no thread. Added here is what it leaves open: a request that
never ends is answered 408, an answer that nobody reads is dropped, a request line has a bound (414), and
refusals have our shape. Of a body that breaks off a function gets what has come: a photo goes on from
there. Beyond a bound the connection that has stalled longest makes way for the next one,
so that a stranger who holds hundreds of them keeps nobody out, not even behind the same address.
"""

from __future__ import annotations

import json
import socket
import time
import uuid
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from waitress import wasyncore
from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.parser import HTTPRequestParser
from waitress.server import TcpWSGIServer
from waitress.task import ErrorTask, ThreadedTaskDispatcher, WSGITask
from waitress.utilities import Error

from shared.accounts.throttle import is_loopback
from shared.api.web import LATE
from shared.errors import (
    Fault,
    HeadersTooLarge,
    InvalidRequest,
    RequestTimeout,
    RequestTooLarge,
    UriTooLong,
)

#: How WSGI names the header.
_LATE = f"HTTP_{LATE.upper().replace('-', '_')}"

#: Longest request line, bytes: ours have 300.
LINE_BYTES = 2**14

#: Request line and headers together, bytes: what Google's front end lets through.
HEAD_BYTES = 2**16

#: Of an answer, in one buffer; a megabyte of what waits in it is in memory, more in a file.
_BUFFER_BYTES = 2**22


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """Of one process. Times are in seconds.

    A phone on a bad line sends 1 kB/s, and breaks off after a minute of silence. `bytes_a_second` is the
    least that a body must bring, or an answer be taken, on average after `grace`.
    """

    connections: int = 1000
    of_address: int = 128  #: not of a proxy: all phones come from there
    idle: float = 15.0  #: between two requests, and before the first
    head: float = 10.0  #: from the first byte to the end of the headers
    grace: float = 60.0  #: longest silence within a body or an answer
    bytes_a_second: int = 128
    body_bytes: int = 2**25
    answer_bytes: int = 2**26  #: of an answer that waits to be read; beyond, its thread waits too
    threads: int = 16


class _Refused(Error):
    """A fault as waitress answers it."""

    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.code, self.reason = fault.status, _REASONS[fault.status]

    def to_response(self, ident: str | None = None) -> tuple[str, list[tuple[str, str]], bytes]:
        """Status, headers and body."""
        request_id = uuid.uuid4().hex
        body = json.dumps(self.fault.body(request_id)).encode()
        headers = [("Content-Type", "application/json"), ("X-Request-Id", request_id)]
        return f"{self.code} {self.reason}", headers, body


_REASONS = {
    400: "Bad Request",
    408: "Request Timeout",
    413: "Content Too Large",
    414: "URI Too Long",
    431: "Request Header Fields Too Large",
    500: "Internal Server Error",
}


def _fault(error: Error, body_bytes: int) -> Fault:
    """Our words for what waitress refuses by itself; its own may quote headers, tokens too."""
    if error.code == 431:
        return HeadersTooLarge(f"The headers may have {HEAD_BYTES} bytes.")
    if error.code == 413:
        return RequestTooLarge(f"The body may have {body_bytes} bytes. Send it in smaller parts.")
    if error.code == 500:
        return Fault("Something went wrong on our side. Try again later.")
    return InvalidRequest("This is no request that the server can read.")


class _Parser(HTTPRequestParser):
    """Stops at a request line that is too long, before the rest of it is there."""

    error: Any = None

    def received(self, data: bytes) -> int:
        taken: int = super().received(data)
        start = self.header_plus if self.error or not self.headers_finished else b""
        line = getattr(self, "first_line", start.lstrip().partition(b"\r\n")[0])
        if self.body_rcv is None and len(line) > LINE_BYTES:
            self.stop(UriTooLong(f"The request line may have {LINE_BYTES} bytes."))
        return taken

    def stop(self, fault: Fault) -> None:
        """It is answered with this, whatever still comes."""
        self.error, self.completed, self.connection_close = _Refused(fault), True, True


class _Refusal(ErrorTask):
    """The answer to a request that no function sees."""

    def execute(self) -> None:
        error = self.request.error
        if not isinstance(error, _Refused):
            self.request.error = _Refused(_fault(error, self.channel.server.limits.body_bytes))
        super().execute()


class _BodyTask(WSGITask):
    """Tells the function when its body was given up."""

    def get_environment(self) -> dict[str, Any]:
        """WSGI's, and the header `LATE`, whatever the caller said in it."""
        late = "1" if getattr(self.request, "late", False) else ""
        return {**super().get_environment(), _LATE: late}

    def set_close_on_finish(self) -> None:
        """Not because an answer comes in chunks, whose last one ends it.

        With `Connection: close` some phones take what came before a line broke for the whole answer.
        """
        asked = self.request.headers.get("CONNECTION", "").lower() == "close"
        if asked or not self.chunked_response:
            super().set_close_on_finish()


class Channel(HTTPChannel):
    """One connection, and since when it is at what it does."""

    task_class = _BodyTask
    parser_class = _Parser
    error_task_class = _Refusal

    def __init__(
        self, server: Server, sock: socket.socket, addr: Any, *rest: Any, **more: Any
    ) -> None:
        super().__init__(server, sock, addr, *rest, **more)
        # read from the buffer's file again at each try to send: no more than one try can send
        self.sendbuf_len = min(self.sendbuf_len, 2**16)
        self.heard = self.sent_at = self.began = server.clock()
        self.answering_since = 0.0  #: 0: nothing waits to be read
        self.sent = 0  #: bytes of the answer
        self.handed_over = False  #: whether its last request broke off

    def handle_read(self) -> None:
        peer: Any = self.socket
        try:
            data = peer.recv(self.adj.recv_bytes)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self.received(data)
        else:
            self.handle_close()

    def handle_close(self) -> None:
        if self.handed_over and self.requests:
            return  # its function is at work on what has come; the end of that closes it
        if not self._hand_over(late=False):
            super().handle_close()

    def received(self, data: bytes) -> bool:
        now = self.server.clock()
        if self.request is None:
            self.began = now
        self.heard = now
        return bool(super().received(data))

    def send(self, data: bytes, do_close: bool = True) -> int:
        count: int = super().send(data, do_close=do_close)
        if count:
            self.sent_at = self.server.clock()
            self.sent += count
        return count

    def write_soon(self, data: Any) -> int:
        if not self.answering_since:
            self.answering_since = self.sent_at = self.server.clock()
            self.sent = 0
        if self.current_outbuf_count >= _BUFFER_BYTES:
            # Go on in another buffer: one keeps what was sent from it until it is empty. Waitress itself
            # would only where it waits, at 64 MiB.
            self.current_outbuf_count = self.adj.outbuf_high_watermark
        return int(super().write_soon(data))

    @property
    def busy(self) -> bool:
        """Whether a thread works for it, or one of its requests waits for one."""
        return bool(self.requests)

    def stalled(self) -> tuple[int, float]:
        """How soon it makes way for another one: the least first."""
        if self.total_outbufs_len:
            return 3, self.answering_since
        if self.busy:
            return 4, self.began
        if self.request is None:
            return 0, self.heard
        return (2 if self.request.headers_finished else 1), self.began

    def judge(self, now: float) -> None:
        """End it if a deadline is over."""
        limits = self.server.limits
        if self.total_outbufs_len:
            spent = now - self.answering_since
            late = spent > limits.grace + self.sent / limits.bytes_a_second
            if late or now - self.sent_at > limits.grace:
                self.drop()
        elif self.busy:
            return
        else:
            self.answering_since = 0.0
            self._judge_request(now, limits)

    def drop(self) -> None:
        """Close it now: waitress would wait until there is room for what nobody reads."""
        self.will_close = True
        super().handle_close()

    def _judge_request(self, now: float, limits: ServerLimits) -> None:
        request = self.request
        if request is None:
            if now - max(self.heard, self.sent_at) > limits.idle:
                self.drop()
            return
        spent = now - self.began
        if not request.headers_finished:
            late = spent > limits.head
        else:
            allowed = limits.grace + request.body_bytes_received / limits.bytes_a_second
            late = spent > allowed or now - self.heard > limits.grace
        if late and not self._hand_over(late=True):
            self._refuse(RequestTimeout("The request came too slowly. Send it again."))

    def _hand_over(self, *, late: bool) -> bool:
        """Give a function what has come of a body that will not come whole.

        Not without a length: it could be taken for all of it.
        """
        with self.requests_lock:
            request: Any = self.request
            if request is None or self.requests or not request.content_length:
                return False
            self.request = None
            self.handed_over = True
            request.completed, request.late = True, late
            request.headers["CONNECTION"] = "close"
            self.requests.append(request)
            self.server.add_task(self)
        return True

    def _refuse(self, fault: Fault) -> None:
        with self.requests_lock:
            request: Any = self.request
            self.request = None
            if request is None or self.requests:
                return
            request.error, request.completed = _Refused(fault), True
            self.requests.append(request)
            self.server.add_task(self)


class Server(TcpWSGIServer):
    """Serves a WSGI application on a listening socket; `step` is one turn of its loop."""

    channel_class = Channel

    def __init__(
        self,
        application: Any,
        listening: socket.socket,
        limits: ServerLimits,
        *,
        shared: Callable[[str], bool] = is_loopback,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.limits, self.clock = limits, clock
        self.shared = shared  #: whether an address stands for many callers, as a proxy's
        self.map: dict[int, Any] = {}
        dispatcher = ThreadedTaskDispatcher()
        dispatcher.set_thread_count(limits.threads)
        super().__init__(
            application,
            self.map,
            _sock=listening,
            dispatcher=dispatcher,
            adj=Adjustments(
                sockets=[listening],
                ident="",
                # functions read X-Forwarded-For as TRUSTED_PROXIES says
                clear_untrusted_proxy_headers=False,
                recv_bytes=2**16,  # a body in few pieces
                connection_limit=limits.connections + 100,  # we make room before that
                cleanup_interval=1,
                max_request_header_size=HEAD_BYTES,
                max_request_body_size=limits.body_bytes + 1,
                outbuf_high_watermark=limits.answer_bytes,
                log_socket_errors=False,
            ),
            sockinfo=(listening.family, listening.type, listening.proto, listening.getsockname()),
            bind_socket=False,
        )

    def step(self, seconds: float) -> None:
        """Wait so long for something to happen, and do what there is to do."""
        wasyncore.loop(timeout=seconds, use_poll=True, map=self.map, count=1)

    def maintenance(self, now: float) -> None:
        """Called every second by waitress."""
        now = self.clock()
        for channel in list(self.active_channels.values()):
            channel.judge(now)

    def handle_accept(self) -> None:
        super().handle_accept()
        channels = list(self.active_channels.values())
        if not channels:
            return
        address = channels[-1].addr[0]
        ours = [each for each in channels if each.addr[0] == address]
        if len(ours) > self.limits.of_address and not self.shared(address):
            self._make_way(ours[:-1], channels[-1])
        elif len(channels) > self.limits.connections:
            [(busiest, _)] = Counter(each.addr[0] for each in channels).most_common(1)
            crowd = [each for each in channels[:-1] if each.addr[0] == busiest]
            self._make_way(crowd, channels[-1])

    def _make_way(self, others: list[Channel], newest: Channel) -> None:
        longest = min(others, key=Channel.stalled, default=newest)
        (newest if longest.busy else longest).drop()

    def end(self, seconds: float) -> None:
        """Take no more connections, and give those that are at work so long to finish."""
        self.accepting = False
        self.del_channel(self.map)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline and any(
            each.busy or each.total_outbufs_len for each in self.active_channels.values()
        ):
            self.step(0.05)
        self.task_dispatcher.shutdown(timeout=max(0.0, deadline - time.monotonic()))
