"""Posts events to the endpoints of others, on sockets of its own.

The name is resolved once, all that it resolves to is judged (`shared/hooks/address.py`), and one of these
very addresses is connected to: a name that changes its mind in between (DNS rebinding) changes nothing.
TLS and the header Host go by the name. No redirect is followed, no proxy is used, one deadline holds for
everything but the resolver, and of the answer no more than its status, one header and a few bytes are
read.
"""

from __future__ import annotations

import http.client
import io
import socket
import ssl
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from email.utils import parsedate_to_datetime
from functools import cached_property
from typing import Any, cast

from shared.errors import HookFault, InvalidRequest
from shared.hooks.address import Network, Target, may_reach, target
from shared.hooks.deliver import EndpointAnswer

#: How long a delivery may take from the connection to the answer, seconds.
TIMEOUT_SECONDS = 10.0

#: Bytes of an answer's body that are read, and thrown away.
_MOST_BYTES = 4096

#: Addresses of one name that are tried.
_MOST_TRIED = 4

_AGENT = "cloud-hooks/1"


def resolve(host: str, port: int) -> list[str]:
    """The addresses of a name. Raises `OSError`."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(each[4][0]) for each in found))


class HookPost:
    """See `shared.hooks.deliver.Poster`. Safe to share between threads.

    `allowed` are networks beside the public one; `context` says whose certificates are trusted.
    """

    def __init__(
        self,
        allowed: Sequence[Network] = (),
        *,
        context: ssl.SSLContext | None = None,
        resolve: Callable[[str, int], Sequence[str]] = resolve,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._allowed, self._given, self._resolve = allowed, context, resolve
        self._timeout_seconds = timeout_seconds

    @cached_property
    def _context(self) -> ssl.SSLContext:
        return self._given or ssl.create_default_context()

    def __call__(
        self, url: str, body: bytes, headers: Mapping[str, str], now_ms: int
    ) -> EndpointAnswer:
        """See `Poster`."""
        try:
            where = target(url, self._allowed)
            addresses = self._judged(where)
            end = time.monotonic() + self._timeout_seconds
            with self._connected(where, addresses, end) as connection:
                connection.settimeout(_left(end))
                connection.sendall(_request(where, body, headers))
                return _answer(connection, end, now_ms)
        except InvalidRequest as fault:
            raise HookFault(fault.message, code="address_refused") from fault
        except TimeoutError as error:
            raise HookFault("No answer came in time.", code="timeout") from error
        except ssl.SSLError as error:
            raise HookFault("The certificate cannot be trusted.", code="tls_failed") from error
        except http.client.HTTPException as error:
            raise HookFault("What came is no answer.", code="answer_unreadable") from error
        except (OSError, ValueError) as error:
            raise HookFault("Nobody answers there.", code="unreachable") from error

    def _judged(self, where: Target) -> Sequence[str]:
        try:
            found = self._resolve(where.host, where.port)
        except (OSError, UnicodeError) as error:
            raise HookFault("The host has no address.", code="host_unknown") from error
        # All of them: a name with a public address and one of ours is a trap.
        if not found or not all(may_reach(each, self._allowed) for each in found):
            raise HookFault("The host is at no public address.", code="address_refused")
        return found[:_MOST_TRIED]

    def _connected(self, where: Target, addresses: Sequence[str], end: float) -> socket.socket:
        for place, address in enumerate(addresses, 1):
            try:
                plain = socket.create_connection((address, where.port), _left(end))
                break
            except OSError:
                if place == len(addresses):
                    raise
        if not where.secure:
            return plain
        try:
            plain.settimeout(_left(end))
            return self._context.wrap_socket(plain, server_hostname=where.host)
        except BaseException:
            plain.close()
            raise


def _left(end: float) -> float:
    left = end - time.monotonic()
    if left <= 0:
        raise TimeoutError
    return left


def _request(where: Target, body: bytes, headers: Mapping[str, str]) -> bytes:
    lines = {
        "Host": where.authority,
        "User-Agent": _AGENT,
        "Content-Type": "application/json",
        "Content-Length": str(len(body)),
        "Accept": "*/*",
        "Connection": "close",
        **headers,
    }
    head = "".join(f"{name}: {value}\r\n" for name, value in lines.items())
    return f"POST {where.path} HTTP/1.1\r\n{head}\r\n".encode("ascii") + body


class _Within(io.RawIOBase):
    """Reads from a socket until a deadline, however slowly the bytes come."""

    def __init__(self, connection: socket.socket, end: float) -> None:
        self._connection, self._end = connection, end

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        self._connection.settimeout(_left(self._end))
        return self._connection.recv_into(buffer)

    def makefile(self, *_: Any, **__: Any) -> io.BufferedReader:
        """What `http.client` asks a socket for."""
        return io.BufferedReader(self)


def _answer(connection: socket.socket, end: float, now_ms: int) -> EndpointAnswer:
    said = http.client.HTTPResponse(cast("socket.socket", _Within(connection, end)), method="POST")
    said.begin()
    # The status is what counts; a receiver that is still talking is heard out for a moment.
    with suppress(OSError, ValueError, http.client.HTTPException):
        said.read(_MOST_BYTES)
    return EndpointAnswer(said.status, _seconds(said.headers.get("Retry-After"), now_ms))


def _seconds(text: str | None, now_ms: int) -> float | None:
    """`Retry-After`, seconds or a date, as seconds from now; None if it says nothing."""
    if text is None:
        return None
    with suppress(ValueError, TypeError, OverflowError):
        wait = (
            float(text)
            if text.strip().isdecimal()
            else parsedate_to_datetime(text).timestamp() - now_ms / 1000
        )
        return wait if wait > 0 else None
    return None
