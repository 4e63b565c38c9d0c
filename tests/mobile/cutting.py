"""A network between a phone and a server that breaks every connection after some bytes of a body.

It passes bytes on as they come, in small blocks, so that the server holds the beginning of what broke off.
It counts body bytes of requests as they reach it, heads apart, and bytes of answers as they pass. Bodies
need a `Content-Length`, as phones send them.
"""

from __future__ import annotations

import socket
import socketserver
import threading
from collections.abc import Callable
from contextlib import suppress

from tests.patience import PATIENCE_SECONDS

_BLOCK = 4096


class _Cut(Exception):
    """The line is dead."""


class CuttingProxy:
    """Serves from its own threads until `close`. Plans may be changed at any time:

    `cut_after`     body bytes after which a connection breaks; None: never
    `cut_answers_every`  bytes of answers after which the line breaks, whichever connection brings them
    `brings`        bytes of answers that the line still brings before it is `down`; None: any
    `at`            (so many body bytes in all, what is called there); then the connection breaks
    `lose_answer`   "METHOD path-ending": the next request like this reaches the server, its answer is lost
    `down`          connections are refused
    """

    def __init__(self, upstream: tuple[str, int]) -> None:
        self.cut_after: int | None = None
        self.cut_answers_every: int | None = None
        self.brings: int | None = None
        self.at: tuple[int, Callable[[], None]] | None = None
        self.lose_answer = ""
        self.down = False
        self.body_bytes = self.answer_bytes = 0
        self._since_break = 0
        self.breaks = 0
        self.requests: list[str] = []
        proxy, self._upstream = self, upstream

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError, _Cut):
                    proxy._serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}"
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def _serve(self, client: socket.socket) -> None:
        """Requests of one connection, one after the other, until it breaks."""
        if self.down:
            return
        with socket.create_connection(self._upstream, PATIENCE_SECONDS) as server:
            client.settimeout(PATIENCE_SECONDS)
            lost = threading.Event()
            threading.Thread(target=self._answers, args=(server, client, lost), daemon=True).start()
            sent, rest = 0, b""
            try:
                while True:
                    head, rest = _head(client, rest)
                    line = head.split(b"\r\n", 1)[0].decode("latin-1").rpartition(" ")[0]
                    self.requests.append(line)
                    method, _, ending = self.lose_answer.partition(" ")
                    if method and line.startswith(method) and line.endswith(ending):
                        self.lose_answer = ""
                        lost.set()
                    server.sendall(head)
                    left = _length(head)
                    while left:
                        block = rest[:left] or client.recv(min(_BLOCK, left))
                        rest = rest[len(block) :]
                        if not block:
                            return
                        left -= len(block)
                        sent += len(block)
                        self._count(len(block))
                        server.sendall(block)
                        if self.cut_after is not None and sent >= self.cut_after:
                            raise _Cut
            except _Cut:
                self.breaks += 1
            finally:
                # the server reads to the end of what came; the phone's line is simply gone
                with suppress(OSError):
                    server.shutdown(socket.SHUT_WR)
                with suppress(OSError):
                    client.shutdown(socket.SHUT_RDWR)

    def _answers(self, server: socket.socket, client: socket.socket, lost: threading.Event) -> None:
        """Pass answers on, as they come; the first byte of a lost one breaks the connection."""
        with suppress(OSError):
            while block := server.recv(_BLOCK):
                self.answer_bytes += len(block)
                self._since_break += len(block)
                every = self.cut_answers_every
                if every is not None and self._since_break >= every:
                    self._since_break = 0
                    self.breaks += 1
                    lost.set()
                if self.brings is not None:
                    self.brings -= len(block)
                    self.down = self.down or self.brings < 0
                if lost.is_set() or self.down:
                    client.shutdown(socket.SHUT_RDWR)
                    return
                client.sendall(block)
        with suppress(OSError):
            client.shutdown(socket.SHUT_RDWR)

    def _count(self, size: int) -> None:
        self.body_bytes += size
        if self.at is not None and self.body_bytes >= self.at[0]:
            (_, call), self.at = self.at, None
            call()
            raise _Cut


def _head(client: socket.socket, data: bytes) -> tuple[bytes, bytes]:
    """The head of the next request, and what of its body came with it. Raises `OSError` at the end."""
    while b"\r\n\r\n" not in data:
        block = client.recv(_BLOCK)
        if not block:
            raise OSError("the phone has hung up")
        data += block
    head, mark, rest = data.partition(b"\r\n\r\n")
    return head + mark, rest


def _length(head: bytes) -> int:
    for line in head.lower().split(b"\r\n"):
        name, _, value = line.partition(b":")
        if name == b"content-length":
            return int(value)
    return 0
