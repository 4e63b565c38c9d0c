"""One Vertex AI server and one client of it for the whole session: importing the client costs 2 s."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any, NamedTuple

from infra.local.vertex import VertexServer
from shared.adapters.vertex import VertexModel


class Vertex(NamedTuple):
    server: VertexServer
    model: VertexModel

    def another(self, **changed: Any) -> VertexModel:
        """A model of its own, whose endpoint nobody has asked for yet."""
        return VertexModel(**{**parameters(self.server), **changed})


def parameters(server: VertexServer) -> dict[str, Any]:
    return {
        "project": "clinic",
        "location": "europe-west4",
        "endpoint": "1234567890",
        "api_endpoint": server.url,
        "credentials": "anonymous",
    }


@cache
def _session() -> Vertex:
    # now: a first question's patience would pass with it, on a busy machine all of it
    from google.cloud import aiplatform  # noqa: F401

    server = VertexServer().start()
    atexit.register(server.close)
    return Vertex(server, VertexModel(**parameters(server)))


@contextmanager
def running() -> Iterator[Vertex]:
    """The session's server, well-behaved and empty, and its client; trusted meanwhile."""
    vertex = _session()
    vertex.server.forget()
    before = os.environ.get("REQUESTS_CA_BUNDLE")
    os.environ["REQUESTS_CA_BUNDLE"] = str(vertex.server.ca)
    try:
        yield vertex
    finally:
        vertex.server.forget()
        if before is None:
            del os.environ["REQUESTS_CA_BUNDLE"]
        else:
            os.environ["REQUESTS_CA_BUNDLE"] = before
