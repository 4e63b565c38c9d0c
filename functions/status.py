"""Is it up, is it ready, which release, and what does the API look like. Needs no token."""

from __future__ import annotations

from functools import cache, partial
from pathlib import Path
from typing import Annotated

from flask import Request, Response
from msgspec import Struct

from shared import wiring
from shared.api.fields import says, schema
from shared.api.web import Call, Route, answer, html_page, serve
from shared.errors import StoreUnavailable
from shared.sync.pull import EPOCH

SETTINGS = wiring.begin()

_ROOT = Path(__file__).parent.parent

#: The description of this deployment's API: its product's own, else that of the repository.
_OPENAPI = next(
    path
    for path in (
        _ROOT / "shared" / "products" / SETTINGS.product / "openapi.json",
        _ROOT / "infra" / "openapi.json",
    )
    if path.exists()
)


class Configuration(Struct):
    """What a deployment is put together of: names of parts, no addresses."""

    product: str
    version: str
    record_store: Annotated[str, says("As `RECORD_STORE` names it.")]
    job_queue: Annotated[str, says("As `JOB_QUEUE` names it.")]
    file_store: Annotated[str, says("As `FILE_STORE` names it.")]
    model: Annotated[str, says("As `MODEL` names it.")]


class Health(Struct):
    """It is up."""

    status: Annotated[str, schema(const="ok")]
    configuration: Configuration


class Readiness(Struct):
    """It can serve."""

    status: Annotated[str, schema(const="ready")]


class Version(Struct):
    """The release, the commit if the deployment names it, and the product."""

    version: str
    commit: str | None
    product: str


_OBJECT = {"type": "object", "additionalProperties": True}

#: OpenAPI's own schema says the rest.
_DOCUMENT = {
    "type": "object",
    "properties": {
        "openapi": {"type": "string"},
        "info": _OBJECT,
        "paths": _OBJECT,
        "components": _OBJECT,
    },
    "required": ["openapi", "info", "paths", "components"],
    "additionalProperties": True,
}


def health(_: Call) -> Response:
    """Is it up, and what is it put together of.

    Answers as long as the process lives; asks nothing else.
    """
    of = {name: getattr(SETTINGS, name) for name in Configuration.__struct_fields__}
    return answer(Health("ok", Configuration(**of)))


def ready(_: Call) -> Response:
    """Can it serve.

    Asks the record store too, and whether its disk has room.
    """
    wiring.demand_room()
    wiring.store().read([EPOCH], ["started_at"])
    return answer(Readiness("ready"))


def version(_: Call) -> Response:
    """Which release of which product.

    For bug reports.
    """
    return answer(Version(SETTINGS.version, SETTINGS.source_commit or None, SETTINGS.product))


@cache
def _openapi() -> bytes:
    return _OPENAPI.read_bytes()


def openapi(_: Call) -> Response:
    """This description for programs.

    OpenAPI 3.1, for code generators and editors.
    """
    return Response(_openapi(), content_type="application/json")


def docs(call: Call) -> Response:
    """This description for people.

    One page in groups, with a search; readable on a phone, and without its script.
    """
    from shared.api.openapi.page import page

    return html_page(page(_openapi()), call)


_open = partial(Route, "GET", secured=False, answer_headers=())

ROUTES = (
    _open("/health", health, name="getHealth", gives=Health),
    _open("/ready", ready, name="getReadiness", gives=Readiness, faults=(StoreUnavailable,)),
    _open("/version", version, name="getVersion", gives=Version),
    _open("/openapi.json", openapi, name="getOpenApi", gives=_DOCUMENT),
    _open("/docs", docs, name="getDocs", gives=str, media="text/html"),
)


def status(request: Request) -> Response:
    """Entry point of the function."""
    return serve(request, ROUTES, SETTINGS)
