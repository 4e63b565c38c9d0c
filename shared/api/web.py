"""HTTP for every function: bodies in, answers out, one shape of errors, one log line a request.

A function is a list of routes; `serve` finds the handler, and turns whatever happens into an
answer: a `Fault` into its status and code, anything else into a 500 that says nothing of the inside. Who
prefers problem details (RFC 9457) gets errors in that shape.
Every answer tells browsers to keep nothing, run nothing and show it in no frame; other origins get in by
`CORS_ORIGINS` alone.
"""

from __future__ import annotations

import base64
import gzip
import hashlib
import io
import logging
import re
import threading
import time
import uuid
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from itertools import chain
from typing import Any

import msgspec
import orjson
from flask import Request, Response
from msgspec import Struct

from shared import telemetry
from shared.access.membership import Caller
from shared.accounts.rates import Per, Rates, changes, fields
from shared.accounts.throttle import client_address
from shared.api import bodies
from shared.api.bodies import FORM, Limits
from shared.api.links import next_link
from shared.api.problems import rendered
from shared.api.routes import Found, Route, arguments, decode, find
from shared.errors import (
    AppTooOld,
    Contended,
    Fault,
    InvalidJson,
    InvalidRequest,
    MethodNotAllowed,
    NotFound,
    RequestTimeout,
    RequestTooLarge,
    TooManyTries,
    Unauthenticated,
    UnsupportedEncoding,
    UriTooLong,
)
from shared.records.record import MAX_DEPTH, MOST_SECONDS, too_deep
from shared.settings import Settings

__all__ = [
    "Call",
    "Response",
    "Route",
    "Who",
    "answer",
    "ask",
    "compressed",
    "html_page",
    "serve",
    "streamed",
    "tagged",
]

log = logging.getLogger(__name__)

#: Answers shorter than this are not worth compressing, bytes.
_GZIP_FROM = 1400

#: Speed matters more than the last per cent: level 5 is a third faster than the default 9.
_GZIP_LEVEL = 5

#: A streamed answer is written in pieces of about this many bytes.
_STREAM_PIECE = 2**15

#: A header that the local server sets where it has given up waiting for the rest of the body.
LATE = "X-Body-Late"

#: Longest path with its query, bytes: ours have 300. The server of the local profile refuses earlier.
_URI_BYTES = 2**14

#: Unwanted bodies are read up to this many bytes, in pieces of this many.
_DRAIN_BYTES = 64 * 2**20
_DRAIN_PIECE = 2**16

#: A body beyond these bytes or values is large. One at a time is worked on in an instance: an instance has
#: memory for a few of them, and on one processor that is no slower. Those that come meanwhile wait, while
#: they are still small (what was sent), at most so many seconds.
_LARGE_BYTES = 2**20
_LARGE_VALUES = 15_000
_LARGE_WAIT_SECONDS = 60.0
_LARGE = threading.BoundedSemaphore(1)

#: What every answer says to browsers, unless its handler knows better. An answer of ours is data: it
#: loads nothing, runs nothing, and nothing may frame it.
_GUARDS = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; frame-ancestors 'none'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}

#: What a web app of an allowed origin may send and read. No cookies exist here, so credentials are never
#: allowed.
_CORS_METHODS = "GET, POST, PUT, PATCH, DELETE"
_CORS_HEADERS = (
    "Authorization, Content-Encoding, Content-Range, Content-Type, Idempotency-Key, If-Match, "
    "If-None-Match, X-App-Version, X-Client-Time, X-Request-Id"
)
_CORS_EXPOSED = "ETag, Link, Range, RateLimit, RateLimit-Policy, Retry-After, Upgrade, X-Request-Id"

#: How long a browser may keep the answer to a preflight, seconds.
_CORS_SECONDS = 600

_REQUEST_ID = re.compile(r"[A-Za-z0-9._/=-]{1,128}")
_VERSION = re.compile(r"\d{1,6}(\.\d{1,6}){0,3}")

#: X-Cloud-Trace-Context: TRACE/SPAN;o=1, the span in decimal digits.
_OLDER_TRACE = re.compile(r"([0-9a-f]{32})(?:/(\d{1,19}))?(?:;o=([01]))?$")


@dataclass(slots=True)
class Call:
    """One request on its way. Handlers add what the log line should say to `notes`."""

    request: Request
    request_id: str
    settings: Settings
    notes: dict[str, Any] = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)  #: added to the answer, also to a refusal
    route: Route | None = None  #: once it is found
    large: bool = False  #: whether its body is the one large body of this instance
    account: str | None = None  #: whose request this is, once a token has shown it
    shown: Caller | None = None  #: who asks, if the route needs a token

    def admit(self, account: str) -> None:
        """It is this account's request: count it there. Raises `TooManyTries`."""
        rates = rates_of(self.settings)
        self.headers |= fields(rates.take(Per.ACCOUNT, account, self._route))
        rates.enter(account)
        self.account = account

    def leave(self) -> None:
        """The request has ended, its answer is written."""
        account, self.account = self.account, None
        if account is not None:
            rates_of(self.settings).leave(account)

    def count_stranger(self) -> None:
        """Nobody has shown who this is: count the request at its address. Raises `TooManyTries`."""
        forwarded = ",".join(self.request.headers.getlist("X-Forwarded-For"))
        address = client_address(self.request.remote_addr, forwarded, self.settings.trusted_proxies)
        self.headers |= fields(rates_of(self.settings).take(Per.ADDRESS, address, self._route))

    @property
    def caller(self) -> Caller:
        """Who asks; only handlers of routes that need a token may want to know."""
        if self.shown is None:
            raise LookupError("nobody has been asked who calls")
        return self.shown

    @property
    def limits(self) -> Limits:
        """What the body may be."""
        return FORM if self.route is None else self.route.limits

    @property
    def _route(self) -> tuple[str, str]:
        return self.request.method, self.request.path

    def body(self) -> bytes:
        """The body, inflated, within the limits of its route and of the settings.

        Raises `RequestTooLarge`, naming the limit, `UnsupportedEncoding`, `InvalidJson`, and `Contended` if
        other large bodies take too long.
        """
        data = self._inflated(self._sent())
        values, most = bodies.count_values(data, self.limits.values), self.limits.values
        if values > most:
            raise RequestTooLarge(
                f"The body holds more than {most} values and names. Send it in smaller parts."
            )
        if values > _LARGE_VALUES:
            self._alone()
        return data

    def _sent(self) -> bytes:
        cap = min(self.limits.sent, self.settings.max_body_bytes)
        length = self.request.content_length
        if length is not None and length > cap:
            raise bodies.too_large(cap)
        data = _take(self.request, cap + 1)
        if len(data) > cap:
            raise bodies.too_large(cap)
        if length is not None and len(data) < length:
            if self.request.headers.get(LATE):
                raise RequestTimeout("The body came too slowly. Send it again.")
            raise InvalidJson("The body is shorter than its Content-Length.")
        self.notes["bytes_in"] = len(data)
        return data

    def _inflated(self, data: bytes) -> bytes:
        encoding = self.request.headers.get("Content-Encoding", "identity").strip().lower()
        if encoding in ("", "identity"):
            if len(data) > _LARGE_BYTES:
                self._alone()
            return data
        if encoding not in ("gzip", "x-gzip"):
            raise UnsupportedEncoding("Send the body as it is, or with Content-Encoding: gzip.")
        whole = bytearray()
        cap = min(self.limits.inflated, self.settings.max_inflated_bytes)
        for piece in bodies.inflated(data, cap):
            whole += piece
            if len(whole) > _LARGE_BYTES:
                self._alone()
        return bytes(whole)

    def _alone(self) -> None:
        """Wait until no other body of this instance is large."""
        if not self.large and not _LARGE.acquire(timeout=_LARGE_WAIT_SECONDS):
            raise Contended("Others are sending much at this moment. Try again.", retry_after_s=10)
        self.large = True

    def let_others(self) -> None:
        """The answer is made: the next large body may come."""
        if self.large:
            self.large = False
            _LARGE.release()

    def json(self) -> tuple[Any, bytes]:
        """The body as JSON, and its inflated bytes. Raises `InvalidJson`."""
        data = self.body()
        try:
            value = orjson.loads(data)
        except orjson.JSONDecodeError:
            raise InvalidJson(
                "The body must be JSON in UTF-8, without NaN or lone surrogates."
            ) from None
        if too_deep(data):
            raise InvalidJson(f"The body nests deeper than {MAX_DEPTH} levels.")
        return value, data

    def client_time_ms(self, unit_ms: int = 1000) -> int | None:
        """The phone's clock, from `X-Client-Time` in Unix seconds, or in units of so many ms.

        None if it did not say.
        """
        text = self.request.headers.get("X-Client-Time")
        if text is None:
            return None
        name = "X-Client-Time"
        try:
            seconds = float(text)
        except ValueError:
            seconds = -1.0
        if not 0 <= seconds < float("inf"):
            unit = "seconds" if unit_ms == 1000 else "milliseconds"
            raise InvalidRequest(f"X-Client-Time must be Unix {unit}.", field=name)
        if unit_ms == 1000 and seconds > MOST_SECONDS:
            raise InvalidRequest(
                "X-Client-Time is in milliseconds; this endpoint counts seconds.",
                code="time_in_milliseconds",
                field=name,
            )
        if unit_ms == 1 and 0 < seconds < MOST_SECONDS:
            raise InvalidRequest(
                "X-Client-Time is in seconds; this endpoint counts milliseconds.",
                code="time_in_seconds",
                field=name,
            )
        return round(min(seconds * unit_ms, 1e16))

    def bearer(self) -> str:
        """The bearer token, or an empty string."""
        scheme, _, token = self.request.headers.get("Authorization", "").partition(" ")
        return token.strip() if scheme.lower() == "bearer" else ""

    def check_app_version(self) -> None:
        """Raises `AppTooOld` if the app names a version below the minimum."""
        least = self.settings.min_app_version
        named = self.request.headers.get("X-App-Version", "")
        if least and _VERSION.fullmatch(named) and _parts(named) < _parts(least):
            self.headers["Upgrade"] = f"app/{least}"
            raise AppTooOld(f"This app is too old. Update it to version {least} or later.")


@cache
def rates_of(settings: Settings) -> Rates:
    """What this process counts."""
    return Rates(changes(settings.rate_limits))


def _parts(version: str) -> tuple[int, ...]:
    numbers = [int(part) for part in version.split(".")]
    return tuple(numbers + [0] * (4 - len(numbers)))


def _take(request: Request, size: int) -> bytes:
    """Up to `size` bytes of the body. Raises `InvalidJson` when they do not come whole."""
    try:
        return request.stream.read(size)
    except Exception:  # the HTTP server's own classes: chunks that are none, a caller who hung up
        raise InvalidJson("The body is cut short, or its chunks are broken.") from None


def compressed(response: Response, call: Call) -> Response:
    """The answer, compressed if that is worth while and the caller accepts it."""
    if len(data := response.get_data()) >= _GZIP_FROM:
        response.vary.add("Accept-Encoding")
        if call.request.accept_encodings["gzip"] > 0:
            response.set_data(gzip.compress(data, _GZIP_LEVEL, mtime=0))
            response.headers["Content-Encoding"] = "gzip"
    return response


def answer(value: Any, status: int = 200, *, call: Call | None = None) -> Response:
    """A JSON answer, compressed if the caller accepts it; a list with a `Link` to its next page."""
    data = orjson.dumps(value, default=_plain)
    response = Response(data, status, content_type="application/json")
    if call is None:
        return response
    if link := next_link(call.request, value):
        response.headers["Link"] = link
    return compressed(response, call)


def tagged(value: Any, call: Call, *, of: Any, version: int | None = None) -> Response:
    """A JSON answer with an `ETag` of a part of it; 304 if the caller has it already.

    With a version the tag begins with it, for `If-Match`.
    """
    tag = hashlib.sha256(orjson.dumps(of)).hexdigest()[:32]
    if version is not None:
        tag = f"{version}.{tag}"
    call.headers["ETag"] = f'W/"{tag}"'
    if call.request.if_none_match.contains_weak(tag):
        response = Response(status=304)
        response.headers["Cache-Control"] = "no-store"
        return response
    return answer(value, call=call)


def _plain(value: Any) -> Any:
    if isinstance(value, Struct):
        return msgspec.to_builtins(value)
    raise TypeError(type(value).__name__)


def download(body: Any, name: str, kind: str) -> Response:
    """An answer that is saved as a file: bytes, or pieces that are made while they are sent.

    `name` is of our own making: letters, digits, dots, hyphens and underscores of ASCII.
    """
    response = Response(body, content_type=kind)
    response.headers["Content-Disposition"] = f'attachment; filename="{name}"'
    return response


def html_page(text: str, call: Call) -> Response:
    """A page for people. Its own styles and scripts are named by their hashes; it may load nothing else."""
    call.headers["Content-Security-Policy"] = (
        f"default-src 'none'; style-src {_hashes(text, 'style')}; script-src {_hashes(text, 'script')}; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    )
    return Response(text, content_type="text/html; charset=utf-8")


def _hashes(text: str, tag: str) -> str:
    """What stands in the elements of a tag, as a content security policy names it."""
    parts = re.findall(rf"<{tag}>(.*?)</{tag}>", text, re.DOTALL)
    hashed = [base64.b64encode(hashlib.sha256(part.encode()).digest()).decode() for part in parts]
    return " ".join(f"'sha256-{each}'" for each in hashed) or "'none'"


def streamed(pieces: Iterator[bytes], call: Call) -> Response:
    """A JSON answer that is written while it is made, compressed if the caller accepts it.

    A fault in the middle cuts the connection: the caller gets broken JSON, never a short answer
    that looks whole. Faults before the first piece are answered as usual.
    """
    first = next(pieces, b"")
    body: Iterator[bytes] = _gathered(chain((first,), pieces))
    headers = {"Vary": "Accept-Encoding"}
    if call.request.accept_encodings["gzip"] > 0:
        body = _gzipped(body)
        headers["Content-Encoding"] = "gzip"
    return Response(body, headers=headers, content_type="application/json")


def _gathered(pieces: Iterator[bytes]) -> Iterator[bytes]:
    """Small pieces put together: a write a row would cost more than the row."""
    waiting: list[bytes] = []
    size = 0
    for piece in pieces:
        waiting.append(piece)
        size += len(piece)
        if size >= _STREAM_PIECE:
            yield b"".join(waiting)
            waiting, size = [], 0
    yield b"".join(waiting)


def _gzipped(pieces: Iterator[bytes]) -> Iterator[bytes]:
    engine = zlib.compressobj(_GZIP_LEVEL, zlib.DEFLATED, 31)
    for piece in pieces:
        if packed := engine.compress(piece):
            yield packed
    yield engine.flush()


#: Says who calls, by the access token. Raises `Unauthenticated`, `KeysUnavailable`, `TooManyTries`.
Who = Callable[[Call], Caller]


def _bearer(call: Call) -> str:
    return call.bearer()


def serve(
    request: Request,
    routes: Sequence[Route],
    settings: Settings,
    who: Who | None = None,
    *,
    shows: Callable[[Call], str] = _bearer,
    refuse: Callable[[Call, Fault], Response] | None = None,
) -> Response:
    """Answer a request. Never raises.

    `who` is asked before a body is read, for routes that need a token; without it handlers ask themselves.
    `shows` is what a caller shows to say who it is (empty: nothing), `refuse` the answer to what failed.
    """
    began = time.monotonic()
    call = Call(request, _request_id(request), settings)
    found = find(routes, request.path, request.method)
    manner = _Manner(who, shows, refuse or _refuse)
    with telemetry.span(
        f"{request.method} {_known(request.path, routes, found)}", _parent(request), "server"
    ) as span:
        response = _answered(call, found, manner, began)
        span.note("http.response.status_code", response.status_code)
    # after the last byte: exporters are loaded when nobody waits
    response.call_on_close(telemetry.answered)
    return response


def _known(path: str, routes: Sequence[Route], found: Found) -> str:
    """The route that a path fits, with its names for ids: a span must not tell whom it is about."""
    route = found.route
    if route is None and found.allowed:
        route = find(routes, path, found.allowed[0]).route
    return "unknown" if route is None else route.path


@dataclass(frozen=True, slots=True)
class _Manner:
    """How a function meets its callers: see `serve`."""

    who: Who | None
    shows: Callable[[Call], str]
    refuse: Callable[[Call, Fault], Response]


def _answered(call: Call, found: Found, manner: _Manner, began: float) -> Response:
    request = call.request
    try:
        response = _admitted(call, found, manner)
    except Fault as fault:
        response = manner.refuse(call, fault)
    except Exception:  # the last line of defence: the caller must get our shape, whatever broke
        log.exception("request crashed", extra={"request_id": call.request_id})
        response = manner.refuse(call, Fault("Something went wrong on our side. Try again later."))
    finally:
        call.let_others()
    if response.is_streamed:
        response.response = _until_end(response.response, call)
        response.call_on_close(call.leave)
    else:
        call.leave()
    _drain(request)
    response.headers.update(call.headers)
    response.headers["X-Request-Id"] = call.request_id
    _guard(call, response)
    log.info(
        "request",
        extra={
            "request_id": call.request_id,
            "method": request.method,
            "path": request.path[:200],
            "status": response.status_code,
            "ms": round((time.monotonic() - began) * 1000, 1),
            "bytes_out": response.content_length,
            **call.notes,
        },
    )
    return response


def _admitted(call: Call, found: Found, manner: _Manner) -> Response:
    """The answer, or a refusal if the caller asks too often."""
    if len(call.request.full_path) > _URI_BYTES:
        raise UriTooLong(f"The path with its query may have {_URI_BYTES} bytes.")
    shown = manner.shows(call)
    if not shown:
        call.count_stranger()
    try:
        return _preflight(call, found) or _dispatch(call, found, manner.who)
    except Unauthenticated:
        if shown:  # it shows nobody
            call.count_stranger()
        raise


def _until_end(pieces: Any, call: Call) -> Iterator[bytes]:
    """The pieces; after the last one the request has ended."""
    try:
        yield from pieces
    finally:
        call.leave()


def _guard(call: Call, response: Response) -> None:
    """The headers that browsers heed."""
    for name, value in _GUARDS.items():
        response.headers.setdefault(name, value)
    if call.settings.hsts_seconds:
        seconds = call.settings.hsts_seconds
        response.headers["Strict-Transport-Security"] = f"max-age={seconds}; includeSubDomains"
    if call.settings.origins:
        response.vary.add("Origin")  # a cache must not give one origin's answer to another
    if origin := _allowed_origin(call):
        response.headers["Access-Control-Allow-Origin"] = origin
        response.headers["Access-Control-Expose-Headers"] = _CORS_EXPOSED


def _allowed_origin(call: Call) -> str | None:
    """The origin of the web app that asks, if it may: compared whole, letter by letter."""
    origin = call.request.headers.get("Origin")
    return origin if origin in call.settings.origins else None


def _preflight(call: Call, found: Found) -> Response | None:
    """The answer to a browser that asks whether a web app may ask; None for any other request."""
    request = call.request
    asks = request.method == "OPTIONS" and "Access-Control-Request-Method" in request.headers
    if not asks or _allowed_origin(call) is None:
        return None
    if found.route is None and not found.allowed:
        return None
    headers = {
        "Access-Control-Allow-Methods": _CORS_METHODS,
        "Access-Control-Allow-Headers": _CORS_HEADERS,
        "Access-Control-Max-Age": str(_CORS_SECONDS),
    }
    return Response(status=204, headers=headers)


def _dispatch(call: Call, found: Found, who: Who | None) -> Response:
    route = found.route
    if route is None and found.allowed:
        methods = call.headers["Allow"] = ", ".join(found.allowed)
        raise MethodNotAllowed(f"This path answers {methods}.")
    if route is None:
        raise NotFound("There is nothing at this path.")
    call.route = route
    if who is not None and route.secured:
        call.shown = who(call)
        call.notes["user"] = call.shown.user_id
    request = call.request
    asked = arguments(route, found.arguments, request.args)
    parts: list[Any] = [call] if asked is None else [call, asked]
    if route.takes is not None and issubclass(route.takes, Struct):
        sent = request.content_length or "Transfer-Encoding" in request.headers
        value = call.json()[0] if sent or route.body_needed else {}
        parts.append(decode(value, route.takes))
    return route.handler(*parts)


def ask(request: Request, routes: Sequence[Route], settings: Settings, caller: Caller) -> Response:
    """Answer a request that is made in this process for somebody who is known. Raises faults.

    What a route demands of its callers' roles, and what it leaves in the trail, is as for any other.
    """
    call = Call(request, _request_id(request), settings)
    return _dispatch(call, find(routes, request.path, request.method), lambda _call: caller)


def _drain(request: Request) -> None:
    """Take what is left of a body that nobody wanted, a piece at a time.

    The framework reads the rest into memory before it answers, so that the connection survives; an
    endless body of somebody without a token must not cost memory, so beyond a bound it is not read.
    A handler's own limit (`max_content_length`) ends here: past it the caller is still sending, and
    would see a broken connection instead of the answer.
    """
    if request.max_content_length is not None:
        request.max_content_length = None
        vars(request).pop("stream", None)  # it is made anew, without that limit
    with suppress(InvalidJson):  # broken off: there is nothing left to take
        for _ in range(_DRAIN_BYTES // _DRAIN_PIECE):
            if not _take(request, _DRAIN_PIECE):
                return
    request.stream = io.BytesIO()


def _refuse(call: Call, fault: Fault) -> Response:
    call.notes["code"] = fault.code
    if isinstance(fault, TooManyTries):
        call.headers |= fault.fields
    body, kind = rendered(
        fault.status, fault.body(call.request_id), call.request.headers.get("Accept")
    )
    response = answer(body, fault.status)
    response.content_type = kind
    response.vary.add("Accept")
    if fault.retry_after_s is not None:
        response.headers["Retry-After"] = str(max(1, round(fault.retry_after_s)))
    elif fault.status == 503:
        response.headers["Retry-After"] = "2"
    if fault.status == 401:
        response.headers["WWW-Authenticate"] = "Bearer"
    return response


def _request_id(request: Request) -> str:
    given = request.headers.get("X-Request-Id", "")
    return given if _REQUEST_ID.fullmatch(given) else uuid.uuid4().hex


def _parent(request: Request) -> str:
    """The span that called us, as W3C traceparent; made of Google's older header if need be."""
    if parent := request.headers.get("traceparent", ""):
        return parent
    older = _OLDER_TRACE.match(request.headers.get("X-Cloud-Trace-Context", ""))
    if older is None:
        return ""
    return f"00-{older[1]}-{int(older[2] or 0):016x}-0{older[3] or 0}"
