"""A browser without script, in this process: keeps cookies, fills in the forms of a page, follows links."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from typing import Any
from urllib.parse import urlencode, urljoin, urlsplit

from flask import Request
from werkzeug.test import Client, TestResponse

from shared.api.routes import Route
from shared.console.frame import Frame
from shared.console.page import HOME

#: Where browsers of tests are, unless they say otherwise (RFC 5737).
ADDRESS = "198.51.100.7"

#: Elements that end where they begin.
_VOID = frozenset(
    ("area", "base", "br", "col", "embed", "hr", "img", "input", "link", "meta", "source", "wbr")
)


@dataclass
class Form:
    """A form of a page, with what its fields hold."""

    action: str
    fields: dict[str, str] = field(default_factory=dict)
    names: set[str] = field(default_factory=set)

    @property
    def act(self) -> str:
        return self.fields.get("act", "")


class _Reader(HTMLParser):
    """Forms, links and the text of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.forms: list[Form] = []
        self.links: list[str] = []
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []
        self.open: list[str] = []
        self._form: Form | None = None
        self._select = self._area = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        said = dict(attrs)
        self.tags.append((tag, said))
        if tag not in _VOID:
            self.open.append(tag)
        if tag == "a" and said.get("href"):
            self.links.append(str(said["href"]))
        if tag == "form":
            self._form = Form(said.get("action") or "")
            if (said.get("method") or "get").lower() == "post":
                self.forms.append(self._form)
        if self._form is None:
            return
        name = said.get("name") or ""
        if name:
            self._form.names.add(name)
        if tag == "input" and name:
            chosen = said.get("type") not in ("checkbox", "radio") or "checked" in said
            if chosen and said.get("type") not in ("submit", "file"):
                self._form.fields[name] = said.get("value") or ""
        elif tag == "select":
            self._select = name
        elif tag == "option" and self._select:
            value = said.get("value") or ""
            if "selected" in said or self._select not in self._form.fields:
                self._form.fields[self._select] = value
        elif tag == "textarea":
            self._area = name
            self._form.fields[name] = ""

    def handle_endtag(self, tag: str) -> None:
        if self.open and tag in self.open:
            while self.open.pop() != tag:
                pass
        if tag == "form":
            self._form = None
        elif tag == "select":
            self._select = ""
        elif tag == "textarea":
            self._area = ""

    def handle_data(self, data: str) -> None:
        if self._area and self._form is not None:
            self._form.fields[self._area] += data
        elif not {"script", "style"}.intersection(self.open):
            self.texts.append(data)


@dataclass
class Seen:
    """An answer as a browser has it."""

    where: str
    response: TestResponse
    passed: tuple[TestResponse, ...] = ()  #: the redirects before it

    @property
    def status(self) -> int:
        return self.response.status_code

    @property
    def html(self) -> str:
        data = self.response.get_data()
        if self.response.headers.get("Content-Encoding") == "gzip":
            data = gzip.decompress(data)
        return data.decode()

    @property
    def parsed(self) -> _Reader:
        reader = _Reader()
        reader.feed(self.html)
        return reader

    @property
    def text(self) -> str:
        """What can be read, in one line."""
        return " ".join(" ".join(self.parsed.texts).split())

    def forms(self, act: str = "") -> list[Form]:
        return [each for each in self.parsed.forms if act in ("", each.act)]

    def form(self, act: str) -> Form:
        found = self.forms(act)
        assert found, f"no form {act!r} at {self.where}: {[f.act for f in self.forms()]}"
        return found[0]


class Browser:
    """Somebody's browser, in front of the frame. `clock_ms` is the server's clock."""

    def __init__(
        self,
        frame: Frame,
        *,
        clock_ms: Callable[[], int] | None = None,
        address: str = ADDRESS,
        language: str = "en",
    ) -> None:
        self.frame = frame if clock_ms is None else replace(frame, clock_ms=clock_ms)
        self.routes: Sequence[Route] = self.frame.routes()
        self.client = Client(self._app, TestResponse)
        self.address, self.language = address, language
        self.seen: Seen | None = None

    def _app(self, environ: dict[str, Any], start: Any) -> Any:
        return self.frame.serve(Request(environ), self.routes)(environ, start)

    # --- requests

    def ask(
        self, path: str, method: str = "GET", data: Any = None, headers: Any = None, **more: Any
    ) -> Seen:
        """One request, as it is."""
        sent = {"Accept-Language": self.language, **(headers or {})}
        response = self.client.open(
            path,
            method=method,
            data=data,
            headers=sent,
            environ_overrides={"REMOTE_ADDR": self.address},
            **more,
        )
        return Seen(path, response)

    def open(self, path: str = HOME, **headers: str) -> Seen:
        """A page, after all redirects."""
        return self._followed(self.ask(path, headers=_named(headers)))

    def post(self, path: str, fields: dict[str, str], **headers: str) -> Seen:
        """A form as a browser sends it; what it leads to."""
        return self._followed(
            self.ask(
                path,
                "POST",
                urlencode(fields),
                {
                    "Content-Type": "application/x-www-form-urlencoded",
                    "Sec-Fetch-Site": "same-origin",
                    "Origin": "http://localhost",
                    **_named(headers),
                },
            )
        )

    def act(self, act: str, seen: Seen | None = None, /, **fields: str) -> Seen:
        """Fill in a form of the page that is open, and send it."""
        page = seen or self.seen
        assert page is not None
        form = page.form(act)
        unknown = set(fields) - form.names
        assert not unknown, f"the form {act} has no field {unknown}, but {sorted(form.names)}"
        where = urljoin(page.where, form.action) if form.action else page.where
        return self.post(where, {**form.fields, **fields})

    def _followed(self, seen: Seen) -> Seen:
        passed: list[TestResponse] = []
        while seen.response.status_code in (301, 302, 303, 307, 308):
            passed.append(seen.response)
            assert len(passed) < 8, [each.headers["Location"] for each in passed]
            where = urlsplit(urljoin(seen.where, seen.response.headers["Location"]))
            assert not where.netloc, f"led to another host: {where.geturl()}"
            seen = self.ask(where.geturl())
        seen.passed = tuple(passed)
        self.seen = seen
        return seen

    # --- what every test needs

    def log_in(self, email: str, password: str, where: str = f"{HOME}/login", **more: str) -> Seen:
        self.open(where)
        return self.act("log-in", email=email, password=password, **more)

    def cookie(self, name: str) -> str | None:
        found = self.client.get_cookie(name, "localhost", "/")
        return None if found is None else found.value


def _named(headers: dict[str, str]) -> dict[str, str]:
    return {name.replace("_", "-"): value for name, value in headers.items()}
