"""What a product's people look at and decide: the routes that the product declares."""

from __future__ import annotations

from flask import Request, Response

from shared import wiring
from shared.api.web import serve

SETTINGS = wiring.begin()

ROUTES = tuple(wiring.product().routes(wiring.parts()))


def review(request: Request) -> Response:
    """Entry point of the function."""
    return serve(request, ROUTES, SETTINGS, wiring.caller)
