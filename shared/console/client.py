"""The console asks the API in its own process: same routes, same rights, same trail, no network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

import orjson
from flask import Request, Response
from werkzeug.datastructures import FileStorage, Headers, MultiDict
from werkzeug.test import EnvironBuilder

from shared.access.membership import Caller
from shared.api.routes import Route
from shared.api.web import ask
from shared.settings import Settings


class Api:
    """What somebody may ask, as they would by HTTP. Faults are raised as they are.

    `address` is where the person's browser is, as the proxies named it.
    """

    def __init__(
        self, routes: Sequence[Route], settings: Settings, caller: Caller, request: Request
    ) -> None:
        self._routes, self._settings = routes, settings
        self._caller, self._request = caller, request

    def get(self, path: str, **query: object) -> Any:
        """The answer to a GET, as JSON says it. What is None or empty is not asked."""
        return orjson.loads(self._answer("GET", path, query).get_data())

    def file(self, path: str, **query: object) -> Response:
        """The answer to a GET that is a file: its pieces are made while it is sent."""
        return self._answer("GET", path, query)

    def post(self, path: str, body: Mapping[str, object] | None = None, **headers: str) -> Any:
        """The answer to a POST; `if_match="1"` is sent as If-Match."""
        return self.send("POST", path, body, **headers)

    def send(
        self, method: str, path: str, body: Mapping[str, object] | None = None, **headers: str
    ) -> Any:
        """The answer to another method."""
        return orjson.loads(self._answer(method, path, {}, body or {}, headers).get_data())

    def upload(self, path: str, fields: Mapping[str, str], file: FileStorage) -> Any:
        """The answer to a form with a file, `file`."""
        form = MultiDict[str, Any]({**fields, "file": file})
        return orjson.loads(self._answer("POST", path, {}, form=form).get_data())

    def piece(self, path: str, data: bytes, first: int, total: int) -> Any:
        """The answer to a piece of a file: bytes from `first` on, of `total`."""
        said = f"bytes {first}-{first + len(data) - 1}/{total}" if data else f"bytes */{total}"
        headers = {"content_range": said}
        return orjson.loads(self._answer("PUT", path, {}, headers=headers, form=data).get_data())

    def _answer(
        self,
        method: str,
        path: str,
        query: Mapping[str, object],
        body: Mapping[str, object] | None = None,
        headers: Mapping[str, str] | None = None,
        form: MultiDict[str, Any] | bytes | None = None,
    ) -> Response:
        asked = {name: value for name, value in query.items() if value not in (None, "")}
        builder = EnvironBuilder(
            path=path,
            method=method,
            query_string=urlencode(asked),
            data=form if body is None else orjson.dumps(body),
            content_type=None if body is None else "application/json",
            headers=Headers(self._headers(headers or {})),
            environ_base={"REMOTE_ADDR": self._request.remote_addr or ""},
        )
        request = Request(builder.get_environ())
        return ask(request, self._routes, self._settings, self._caller)

    def _headers(self, more: Mapping[str, str]) -> dict[str, str]:
        passed = ("X-Forwarded-For", "X-Request-Id")
        have = {
            name: self._request.headers[name] for name in passed if name in self._request.headers
        }
        return have | {name.replace("_", "-").title(): value for name, value in more.items()}
