"""What gunicorn answers by itself, before any code of ours runs, in our shape of errors.

functions-framework passes gunicorn no options of ours and reads no `GUNICORN_CMD_ARGS`: the class
default is the only way to a longer header, and `write_error` the only way to its error page.
"""

from __future__ import annotations

import json
import uuid
from typing import Any

from gunicorn import util
from gunicorn.config import LimitRequestFieldSize

from shared.errors import InvalidRequest

#: Longest header, bytes: all that Google's front end lets through, so that our own check answers.
_MAX_HEADER = 65_536


def speak_json() -> None:
    """To be called before the server starts."""
    LimitRequestFieldSize.default = _MAX_HEADER
    util.write_error = _write_error


def _write_error(sock: Any, status: int, reason: str, _: str) -> None:
    request_id = uuid.uuid4().hex
    fault = InvalidRequest(f"This is no request that the server can read: {reason}.")
    body = json.dumps(fault.body(request_id))
    head = (
        f"HTTP/1.1 {status} {reason}\r\nConnection: close\r\nContent-Type: application/json\r\n"
        f"X-Request-Id: {request_id}\r\nContent-Length: {len(body)}\r\n\r\n"
    )
    write: Any = util.write_nonblock
    write(sock, (head + body).encode("latin-1"))
