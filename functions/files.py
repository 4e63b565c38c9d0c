"""Photos: tickets, pieces of uploads, what became of them, short-lived links to look at them."""

from __future__ import annotations

import re
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextvars import copy_context

from flask import Request, Response

from shared import wiring
from shared.access import audit
from shared.access.membership import Caller
from shared.api.bodies import PAGE
from shared.api.web import Call, Route, answer, serve
from shared.errors import (
    InvalidRequest,
    RequestTooLarge,
    StoreUnavailable,
    UnsupportedEncoding,
)
from shared.files.disposition import attachment
from shared.files.file import CHECK
from shared.files.uploads import Progress, parse_range
from shared.records.bell import Bell

SETTINGS = wiring.begin()

#: What is read of a body at once, bytes: what a broken connection may cost at most.
_BLOCK = 4096

#: A photo of 50 megapixels takes up to 460 MB to check: one at a time in an instance. A usual one takes a
#: tenth of a second; who would wait longer than this, in seconds, is left to the function `images`.
#: And always in the same thread: what a thread has freed glibc keeps for that thread, so that 16 threads
#: would hold 16 photos although only one is being checked.
_ONE = threading.BoundedSemaphore(1)
_CHECKS = ThreadPoolExecutor(1, "check")
_LONGEST_WAIT_SECONDS = 2.0

_ORIGIN = re.compile(r"https?://[A-Za-z0-9.:\[\]-]{1,200}")


def ask(call: Call) -> Response:
    """Tickets for files of records."""
    caller = wiring.caller(call)
    call.notes |= {"user": caller.user_id}
    body, _ = call.json()
    if not isinstance(body, dict):
        raise InvalidRequest("The body must be an object with files.", field="files")
    direct = body.get("direct", False)
    if not isinstance(direct, bool):
        raise InvalidRequest("direct must be true or false.", field="direct")
    asks = wiring.tickets().parse(body.get("files"))
    asked = wiring.tickets().ask(caller, asks, wiring.clock_ms())
    wiring.ring(asked.bells)
    if direct:
        origin = call.request.headers.get("Origin", "")
        origin = origin if _ORIGIN.fullmatch(origin) else ""
        for each in asked.answers:
            if each.get("state") == "upload":
                each["upload"]["direct_url"] = wiring.uploads().session(caller, each["id"], origin)
    call.notes |= {
        "asked": len(asked.answers),
        "ready": sum(each.get("state") == "ready" for each in asked.answers),
        "rejected": sum("error" in each for each in asked.answers),
    }
    return answer({"files": asked.answers}, call=call)


def receive(call: Call) -> Response:
    """A piece of a file, or the question how far it is."""
    caller = wiring.caller(call)
    call.notes |= {"user": caller.user_id, "file": call.arguments["id"]}
    request = call.request
    if request.headers.get("Content-Encoding", "identity").strip().lower() not in ("", "identity"):
        raise UnsupportedEncoding("Send a file's bytes as they are.")
    span = parse_range(request.headers.get("Content-Range"), request.content_length)
    if span is None:
        raise InvalidRequest(
            "Say which bytes these are.", code="invalid_range", field="Content-Range"
        )
    if span.total > SETTINGS.file_bytes:
        raise RequestTooLarge(f"A file may have {SETTINGS.file_bytes} bytes.")
    progress = wiring.uploads().receive(
        caller, call.arguments["id"], span, _body(request), wiring.clock_ms()
    )
    call.notes |= {"offset": span.first, "received": progress.received}
    return _told(call, caller, progress)


def complete(call: Call) -> Response:
    """All bytes are there: needed for files that went to the file store itself."""
    caller = wiring.caller(call)
    call.notes |= {"user": caller.user_id, "file": call.arguments["id"]}
    progress = wiring.uploads().complete(caller, call.arguments["id"], wiring.clock_ms())
    return _told(call, caller, progress)


def show(call: Call) -> Response:
    """What became of a file, and where it can be looked at for some minutes."""
    caller = wiring.caller(call)
    call.notes |= {"user": caller.user_id, "file": call.arguments["id"]}
    progress = wiring.uploads().look(caller, call.arguments["id"])
    now_ms = wiring.clock_ms()
    links = wiring.uploads().links(progress, now_ms)
    value = {**progress.value(), **links}
    if links:
        seen = {value["scope_id"]: {"files": [value["id"]]}}
        audit.reading(wiring.store(), caller, "read_file", seen, now_ms)
    return answer(value, call=call)


def follow(call: Call) -> Response:
    """What a link of our own leads to (the file store is a folder). The link is the permission."""
    found = wiring.open_link(call.arguments["token"])
    response = Response(found.pieces, content_type=found.file.type)
    response.headers["Content-Length"] = str(found.file.size)
    response.headers["Content-Disposition"] = attachment(found.file_name)
    return response


def _told(call: Call, caller: Caller, progress: Progress) -> Response:
    """200 with the file when all bytes are here, else 308 with how far it is."""
    if progress.open:
        if progress.received:
            call.headers["Range"] = f"bytes=0-{progress.received - 1}"
        return answer(progress.value(), 308, call=call)
    if progress.job_id is not None:
        progress = _check(call, caller, progress, progress.job_id)
    return answer(progress.value(), call=call)


def _check(call: Call, caller: Caller, progress: Progress, job_id: str) -> Progress:
    """Small files are checked while the phone waits, one at a time; the others by a job."""
    if progress.blob.fields["bytes"] <= SETTINGS.check_inline_bytes and _ONE.acquire(
        timeout=_LONGEST_WAIT_SECONDS
    ):
        try:
            check = _CHECKS.submit(copy_context().run, wiring.runner().run, job_id)
            call.notes["check"] = check.result()
        except StoreUnavailable as fault:
            call.notes["check"] = fault.code
        finally:
            _ONE.release()
    else:
        wiring.ring((Bell(CHECK, job_id, progress.blob.key.id),))
        call.notes["check"] = "rung"
    return wiring.uploads().look(caller, progress.file.key.id)


def _body(request: Request) -> Iterator[bytes]:
    """The body as far as it comes: a connection that breaks ends it."""
    while True:
        try:
            block = request.stream.read(_BLOCK)
        except Exception:  # the HTTP server's own classes: a caller who hung up
            return
        if not block:
            return
        yield block


ROUTES = (
    Route("POST", "/api/v1/files", ask, PAGE),
    Route("GET", "/api/v1/files/{id}", show),
    Route("PUT", "/api/v1/files/{id}/content", receive),
    Route("POST", "/api/v1/files/{id}/complete", complete),
    Route("GET", "/api/v1/files/links/{token}", follow),
)


def files(request: Request) -> Response:
    """Entry point of the function."""
    return serve(request, ROUTES, SETTINGS)
