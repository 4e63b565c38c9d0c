"""A small reverse proxy: the one public host in front of function processes, like a load balancer.

    python -m infra.local.gateway --port 8080 --upstream sync=9001 --upstream status=9002

Streams both ways, adds `X-Forwarded-For` and `X-Forwarded-Proto`, leaves everything else alone, and
serves public paths only. A request that breaks off is broken off upstream too, an answer that breaks
off is broken off for the caller: nobody takes half a body for a whole one. For tests and
demonstrations on one machine; it checks no sizes and keeps no connections to functions.
"""

from __future__ import annotations

import argparse
import email.errors
import http.client
import json
import signal
import socket
import threading
import uuid
from collections.abc import Iterator, Mapping
from contextlib import closing, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

from infra.local.server import not_found
from infra.local.table import TABLE, Function, Routes, load
from shared.api.problems import JSON, rendered
from shared.errors import InvalidRequest
from shared.settings import current

_BLOCK = 64 * 1024

#: Lines among the headers that are none. (The parser also looks for parts of a multipart body.)
_NO_HEADERS = (
    email.errors.MissingHeaderBodySeparatorDefect,
    email.errors.FirstHeaderLineIsContinuationDefect,
    email.errors.MisplacedEnvelopeHeaderDefect,
)

#: Headers that speak of one connection only (RFC 9110 §7.6.1), and `Expect`, answered here.
_HOP_BY_HOP = frozenset(
    (
        *("connection", "keep-alive", "proxy-authenticate", "proxy-authorization"),
        *("proxy-connection", "te", "trailer", "transfer-encoding", "upgrade", "expect"),
    )
)


class _BrokenOff(Exception):
    """The caller ended before its request did."""


class ReverseProxy(ThreadingHTTPServer):
    """Listens on `address` and forwards to `upstreams`: function name to loopback port."""

    daemon_threads = True
    request_queue_size = 512

    def __init__(
        self,
        address: tuple[str, int],
        functions: Mapping[str, Function],
        upstreams: Mapping[str, int],
    ) -> None:
        if ":" in address[0]:
            self.address_family = socket.AF_INET6
        super().__init__(address, _Handler)
        self.routes = Routes(functions.values())
        self.upstreams = upstreams

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up is none of our business."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = 75  # of an idle or stalled connection, seconds
    server: ReverseProxy

    def forward(self) -> None:
        lengths = self.headers.get_all("Content-Length", [])
        codings = self.headers.get_all("Transfer-Encoding", [])
        if (
            any(isinstance(defect, _NO_HEADERS) for defect in self.headers.defects)
            or (codings and (lengths or [c.strip().lower() for c in codings] != ["chunked"]))
            or len(lengths) > 1
            or not all(length.isascii() and length.isdecimal() for length in lengths)
        ):
            self.send_error(400)  # whose end is in doubt: its rest could be taken for a request
            return
        function = self.server.routes.find(unquote(urlsplit(self.path).path))
        if function is None:
            request_id = uuid.uuid4().hex
            self._answer(404, *not_found(request_id, self.headers.get("Accept")), request_id)
            return
        upstream = http.client.HTTPConnection(
            "127.0.0.1",
            self.server.upstreams[function.name],
            timeout=function.timeout_seconds + 5,
        )
        with closing(upstream):
            try:
                response = self._ask(upstream)
            except _BrokenOff:
                self.close_connection = True
                return
            except (OSError, http.client.HTTPException):
                self._unreachable(function)
                return
            self._relay(response)

    do_GET = do_HEAD = do_POST = do_PUT = do_PATCH = do_DELETE = do_OPTIONS = forward

    def _ask(self, upstream: http.client.HTTPConnection) -> http.client.HTTPResponse:
        upstream.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        named = {name.strip().lower() for name in self.headers.get("Connection", "").split(",")}
        for name, value in self.headers.items():
            if name.lower() not in _HOP_BY_HOP | named | {"x-forwarded-for", "x-forwarded-proto"}:
                upstream.putheader(name, value)
        way = [*self.headers.get_all("X-Forwarded-For", []), self.client_address[0]]
        upstream.putheader("X-Forwarded-For", ", ".join(way))
        upstream.putheader("X-Forwarded-Proto", "http")
        chunked = "chunked" in self.headers.get("Transfer-Encoding", "").lower()
        if chunked:
            upstream.putheader("Transfer-Encoding", "chunked")
        upstream.endheaders()
        body = self._chunks() if chunked else self._counted()
        try:
            for block in body:
                upstream.send(b"%x\r\n%s\r\n" % (len(block), block) if chunked else block)
            if chunked:
                upstream.send(b"0\r\n\r\n")
        except (BrokenPipeError, ConnectionResetError):
            # the function answered before the end ("too large") and takes no more
            self.close_connection = True
            response = upstream.getresponse()
            with suppress(_BrokenOff, OSError):
                for _ in body:  # a caller that still sends would not see the answer
                    pass
            return response
        return upstream.getresponse()

    def _read(self, size: int) -> bytes:
        try:
            return self.rfile.read(size)
        except OSError as error:
            raise _BrokenOff from error

    def _counted(self) -> Iterator[bytes]:
        try:
            left = max(0, int(self.headers.get("Content-Length") or 0))
        except ValueError as error:
            raise _BrokenOff from error
        while left:
            block = self._read(min(left, _BLOCK))
            if not block:
                raise _BrokenOff
            left -= len(block)
            yield block

    def _chunks(self) -> Iterator[bytes]:
        while True:
            try:
                left = int(self.rfile.readline(1024).split(b";")[0], 16)
            except (OSError, ValueError) as error:
                raise _BrokenOff from error
            if left == 0:
                while self.rfile.readline(8192) not in (b"\r\n", b"\n", b""):
                    pass
                return
            while left:
                block = self._read(min(left, _BLOCK))
                if not block:
                    raise _BrokenOff
                left -= len(block)
                yield block
            self._read(2)

    def _relay(self, response: http.client.HTTPResponse) -> None:
        self.send_response_only(response.status, response.reason)
        length = response.getheader("Content-Length")
        for name, value in response.getheaders():
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        bodiless = self.command == "HEAD" or response.status in (204, 304)
        chunked = length is None and not bodiless and self.request_version != "HTTP/1.0"
        if chunked:
            self.send_header("Transfer-Encoding", "chunked")
        elif length is None and not bodiless:
            self.close_connection = True
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if bodiless:
            return
        sent = 0
        try:
            while block := response.read1(_BLOCK):
                self.wfile.write(b"%x\r\n%s\r\n" % (len(block), block) if chunked else block)
                sent += len(block)
        except (OSError, http.client.HTTPException):
            self.close_connection = True  # and no last chunk: the caller sees that it is not whole
            return
        if chunked:
            self.wfile.write(b"0\r\n\r\n")
        elif length is not None and sent < int(length):
            self.close_connection = True

    def _unreachable(self, function: Function) -> None:
        request_id = uuid.uuid4().hex
        error = {
            "code": "unavailable",
            "message": f"The function {function.name} does not answer; try again.",
            "retry_after_s": 1,
            "request_id": request_id,
        }
        self.close_connection = True
        body, kind = rendered(502, {"error": error}, self.headers.get("Accept"))
        self._answer(502, json.dumps(body).encode(), kind, request_id)

    def _answer(self, status: int, body: bytes, kind: str, request_id: str) -> None:
        # an unread body would be taken for the next request
        self.close_connection |= (
            self.headers.get("Content-Length", "0") != "0" or "Transfer-Encoding" in self.headers
        )
        self.send_response_only(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Request-Id", request_id)
        if self.close_connection:
            self.send_header("Connection", "close")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What `http.server` refuses by itself, in our shape."""
        self.close_connection = True
        request_id = uuid.uuid4().hex
        fault = InvalidRequest("This is no request that the server can read.")
        if not hasattr(self, "headers"):
            self.headers = http.client.HTTPMessage()
        self.request_version = "HTTP/1.1"
        self._answer(int(code), json.dumps(fault.body(request_id)).encode(), JSON, request_id)

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet: functions write their own request logs."""


def main(arguments: list[str] | None = None) -> None:
    """Serve until terminated."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.gateway")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--upstream", action="append", default=[], help="NAME=PORT")
    parser.add_argument("--table", type=Path, default=TABLE)
    chosen = parser.parse_args(arguments)
    upstreams = {name: int(port) for name, _, port in (u.partition("=") for u in chosen.upstream)}
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with ReverseProxy(
        (chosen.host, chosen.port), load(chosen.table, current().product), upstreams
    ) as gateway:
        threading.Thread(target=gateway.serve_forever, args=(0.1,), daemon=True).start()
        ended.wait()
        gateway.shutdown()


if __name__ == "__main__":
    main()
