"""Errors as problem details (RFC 9457), for clients that prefer them to our own shape."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from werkzeug.datastructures import MIMEAccept
from werkzeug.http import parse_accept_header

JSON = "application/json"
PROBLEM = "application/problem+json"

#: `type` begins with this, and the code follows: where `/docs` says what to do about it.
EXPLAINED = "/docs#code-"


def rendered(
    status: int, body: Mapping[str, Any], accept: str | None
) -> tuple[Mapping[str, Any], str]:
    """An error's body (`Fault.body`) as an `Accept` prefers it, and its media type.

    Without a preference it stays as it is.
    """
    accepts = parse_accept_header(accept, MIMEAccept)
    if accepts.quality(PROBLEM) > accepts.quality(JSON):
        return problem(status, body), PROBLEM
    return body, JSON


def problem(status: int, body: Mapping[str, Any]) -> dict[str, Any]:
    """`{type, title, status, detail, code, request_id, …}`: all that the body has, in one object."""
    error = dict(body["error"])
    code, message = error.pop("code"), error.pop("message")
    return {
        "type": EXPLAINED + code,
        "title": code.replace("_", " ").capitalize(),
        "status": status,
        "detail": message,
        "code": code,
        **error,
        **{name: value for name, value in body.items() if name != "error"},
    }
