"""Is it up, is it ready, which release, and what does the API look like. Needs no token."""

from __future__ import annotations

from functools import cache
from pathlib import Path

from flask import Request, Response

from shared import wiring
from shared.api.web import Call, Route, answer, html_page, serve
from shared.sync.pull import EPOCH

SETTINGS = wiring.begin()

_OPENAPI = Path(__file__).parent.parent / "infra" / "openapi.json"


def health(_: Call) -> Response:
    """The process answers."""
    return answer({"status": "ok"})


def ready(_: Call) -> Response:
    """The record store answers too."""
    wiring.store().read([EPOCH], ["started_at"])
    return answer({"status": "ready"})


def version(_: Call) -> Response:
    """Which release, of which product."""
    return answer({"version": SETTINGS.service_version, "product": SETTINGS.product})


@cache
def _openapi() -> bytes:
    return _OPENAPI.read_bytes()


def openapi(_: Call) -> Response:
    """The API's description, OpenAPI 3.1."""
    return Response(_openapi(), content_type="application/json")


def docs(call: Call) -> Response:
    """The same for people."""
    from shared.api.openapi.document import page

    return html_page(page(_openapi()), call)


ROUTES = (
    Route("GET", "/health", health),
    Route("GET", "/ready", ready),
    Route("GET", "/version", version),
    Route("GET", "/openapi.json", openapi),
    Route("GET", "/docs", docs),
)


def status(request: Request) -> Response:
    """Entry point of the function."""
    return serve(request, ROUTES, SETTINGS)
