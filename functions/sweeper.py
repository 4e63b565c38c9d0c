"""Every minute, by Cloud Scheduler: rings for what is due, runs cascades, clears what expired."""

from __future__ import annotations

from dataclasses import asdict

from flask import Request, Response

from shared import wiring
from shared.api.web import Call, Route, answer, serve

SETTINGS = wiring.begin()


def sweep(call: Call) -> Response:
    """One round; answers with what it did."""
    swept = asdict(wiring.sweeper().sweep())
    call.notes |= swept
    return answer(swept)


ROUTES = (Route("POST", "/", sweep),)


def sweeper(request: Request) -> Response:
    """Entry point of the function."""
    return serve(request, ROUTES, SETTINGS)
