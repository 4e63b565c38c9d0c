"""All functions on one port: the embedded profile's server, also for a single clinic.

    python -m infra.local.server --port 8080

Each function is the Flask app that functions-framework makes of it when deployed; a small router in
front picks one by path. Gunicorn loads it, forks the processes and minds them; in each, waitress takes
the connections (`connections.py`, docs/decisions/0014-clinic-server.md). Push and scheduled functions
answer those who show the secret of the data folder (`private.py`): everybody else gets the same 404 as
for a path that does not exist.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import sys
import uuid
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any

from gunicorn.app.base import BaseApplication
from gunicorn.workers.base import Worker

from infra.local import connections, private
from infra.local.claim import claim
from infra.local.metrics import Metrics
from infra.local.table import REPOSITORY, TABLE, Function, Routes, load
from shared.accounts.throttle import is_loopback
from shared.api.problems import rendered
from shared.errors import ConfigurationFault, NotFound
from shared.files.file import ONE_REQUEST
from shared.settings import current, private_folder

log = logging.getLogger("shared.server")

StartResponse = Callable[..., Any]
Environ = dict[str, Any]
App = Callable[[Environ, StartResponse], Iterable[bytes]]

#: Where Prometheus asks.
METRICS = "/metrics"

#: How WSGI names the header of the secret.
_SECRET = f"HTTP_{private.HEADER.upper().replace('-', '_')}"


def not_found(request_id: str, accept: str | None) -> tuple[bytes, str]:
    """The body of a 404 for a path that nobody serves, and its media type."""
    fault = NotFound("There is nothing at this path; /docs lists what there is.")
    body, kind = rendered(fault.status, fault.body(request_id), accept)
    return json.dumps(body).encode(), kind


class Router:
    """WSGI: hands a request to the function of its path; `secret` opens the private ones.

    `figures` makes the page of metrics, for who shows the secret as a bearer token (Prometheus can).
    `proxies` of ours are in front: forwarded addresses that nobody believes are warned of, once.
    """

    def __init__(
        self,
        functions: Iterable[Function],
        make: Callable[[Function], App],
        secret: str,
        proxies: int = 0,
        figures: Callable[[], bytes] | None = None,
    ) -> None:
        functions = list(functions)
        self._secret = secret
        self._proxies = proxies
        self._figures = figures
        self._routes = Routes(functions)
        self._apps = {function.name: make(function) for function in functions}
        self._private = {
            function.private_path: function for function in functions if function.private_path
        }

    def __call__(self, environ: Environ, start_response: StartResponse) -> Iterable[bytes]:
        # WSGI hands paths as latin-1; table paths are ASCII, so nothing needs decoding to compare
        path = environ.get("PATH_INFO", "")
        function = self._private.get(path)
        shown = environ.pop(_SECRET, "")
        self._warn_of_a_proxy(environ)
        if path == METRICS and self._figures and self._is_bearer(environ):
            start_response("200 OK", [("Content-Type", "text/plain; version=0.0.4")])
            return [self._figures()]
        if function is not None and private.fits(shown, self._secret):
            # Pub/Sub and Scheduler call a function's own address: it sees the root
            environ["PATH_INFO"] = "/"
        else:
            function = self._routes.find(path)
        if function is None:
            request_id = uuid.uuid4().hex
            body, kind = not_found(request_id, environ.get("HTTP_ACCEPT"))
            start_response(
                "404 Not Found",
                [
                    ("Content-Type", kind),
                    ("Content-Length", str(len(body))),
                    ("X-Request-Id", request_id),
                ],
            )
            return [] if environ.get("REQUEST_METHOD") == "HEAD" else [body]
        return self._apps[function.name](environ, start_response)

    def _is_bearer(self, environ: Environ) -> bool:
        scheme, _, shown = environ.get("HTTP_AUTHORIZATION", "").partition(" ")
        return scheme.lower() == "bearer" and private.fits(shown.strip(), self._secret)

    def _warn_of_a_proxy(self, environ: Environ) -> None:
        forwarded = environ.get("HTTP_X_FORWARDED_FOR")
        if self._proxies or not forwarded or is_loopback(environ.get("REMOTE_ADDR") or ""):
            return
        self._proxies = 1  # said once
        log.warning(
            "forwarded addresses arrive from another machine, and TRUSTED_PROXIES is 0: everybody behind "
            "that proxy counts as one caller. If it is yours, set TRUSTED_PROXIES=1."
        )


def framework_app(source: Path) -> Callable[[Function], App]:
    """Makes a function's app as `functions-framework --source … --target …` does."""
    import functions_framework

    def make(function: Function) -> App:
        os.environ["FUNCTION_TARGET"] = function.name  # what main.py reads
        app: App = functions_framework.create_app(function.name, str(source), function.signature)
        return app

    return make


#: How long requests that are at work may finish after SIGTERM, seconds.
_GRACE_SECONDS = 5.0


class _Worker(Worker):
    """One process of the server. Gunicorn starts another one when it ends."""

    limits: connections.ServerLimits
    shared: Callable[[str], bool] = is_loopback

    def run(self) -> None:
        server = connections.Server(
            self.wsgi, self.sockets[0].sock, self.limits, shared=type(self).shared
        )
        while self.alive and os.getppid() == self.ppid:
            self.notify()
            server.step(0.5)
        server.end(_GRACE_SECONDS)


class _Server(BaseApplication):
    def __init__(self, app: App, options: Mapping[str, object]) -> None:
        self._app, self._options = app, options
        super().__init__()

    def load_config(self) -> None:
        for name, value in self._options.items():
            self.cfg.set(name, value)  # type: ignore[union-attr]

    def load(self) -> App:
        return self._app


def main(arguments: list[str] | None = None) -> None:
    """Serve until terminated."""
    parser = argparse.ArgumentParser(prog="python -m infra.local.server")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--workers", type=int, default=1, help="processes")
    parser.add_argument("--threads", type=int, default=16, help="threads of each process")
    parser.add_argument("--source", type=Path, default=REPOSITORY / "main.py")
    parser.add_argument("--table", type=Path, default=TABLE)
    parser.add_argument(
        "--claimed", action="store_true", help="who started this has the data folder"
    )
    chosen = parser.parse_args(arguments)
    settings = current()
    private_folder(settings.data_path, all_of_it=True)
    try:
        _claim = None if chosen.claimed else claim(settings.data_path)  # open as long as we live
    except ConfigurationFault as fault:
        print(fault, file=sys.stderr)
        sys.exit(2)
    _Worker.limits = connections.ServerLimits(
        # a form: the largest file of one request, and the fields beside it
        body_bytes=max(settings.max_body_bytes, ONE_REQUEST + 2**20),
        threads=chosen.threads,
    )
    if settings.trusted_proxies:
        _Worker.shared = lambda _: True
    logging.getLogger("waitress").setLevel(logging.ERROR)  # a warning quotes what was sent
    host = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
    functions = load(chosen.table, settings.product)
    routes = Routes(functions.values())
    metrics = Metrics(settings.data_path, lambda path: getattr(routes.find(path), "name", "own"))
    logging.getLogger("shared").addHandler(metrics)
    server = _Server(
        Router(
            functions.values(),
            framework_app(chosen.source),
            private.secret(settings.data_path),
            settings.trusted_proxies,
            metrics.page,
        ),
        {
            "bind": f"{host}:{chosen.port}",
            "workers": chosen.workers,
            "worker_class": _Worker,
            "loglevel": "error",
            "timeout": 120,  # of a worker's loop, not of a request
            "graceful_timeout": int(_GRACE_SECONDS) + 1,
            # One control socket a user would be shared by all servers of this machine.
            "control_socket_disable": True,
        },
    )
    server.run()


if __name__ == "__main__":
    main()
