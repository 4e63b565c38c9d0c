"""One request of a page: who looks, in which language, and what the answer is made of."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, unquote, urlencode

from flask import Response

from shared.access.membership import Caller
from shared.accounts.caller import Origin
from shared.accounts.sessions import Holder
from shared.accounts.throttle import client_address
from shared.api.web import Call, compressed
from shared.console import cookies
from shared.console.client import Api
from shared.console.page import HOME, Page
from shared.console.words import Words
from shared.errors import Fault

if TYPE_CHECKING:
    from werkzeug.datastructures import FileStorage

    from shared.console.frame import Frame

#: How long a browser keeps what is to be said on the next page, seconds.
_SAID_SECONDS = 60

#: Longest value in it, characters: a cookie has 4 kB.
_SAID_CHARS = 200

#: Longest path with its query that a log-in leads back to, characters.
LONGEST_BACK = 2000

#: What may stand in it: nothing that a browser or a header reads as something else.
_BACK = re.compile(rf"{HOME}(?:/[A-Za-z0-9._~%-]+)+(?:\?[!-\[\]-~]*)?")


@dataclass
class Visit:
    """What handlers of pages are given. `fault` and `typed` are of a form that was refused."""

    call: Call
    frame: Frame
    page: Page
    words: Words
    now_ms: int
    holder: Holder | None = None  #: None: nobody is logged in
    visitor: str = ""  #: what ties forms to a browser without a session
    fault: Fault | None = None
    typed: Mapping[str, str] = field(default_factory=dict)
    sent: Mapping[str, str] = field(default_factory=dict)  #: all fields of the form that is done
    file: FileStorage | None = None  #: what a form carries, on pages that take one
    kept: str = ""  #: a form that somebody sent whose session was over, sealed: see `Frame.refused`

    # --- who

    @property
    def caller(self) -> Caller:
        """Who looks. Raises `LookupError` on pages that are open."""
        if self.holder is None:
            raise LookupError("nobody is logged in")
        return caller_of(self.holder)

    @property
    def api(self) -> Api:
        """The API, asked as the person who looks."""
        return Api(self.frame.api, self.call.settings, self.caller, self.call.request)

    @property
    def origin(self) -> Origin:
        """Where the browser is."""
        request = self.call.request
        forwarded = ",".join(request.headers.getlist("X-Forwarded-For"))
        proxies = self.call.settings.trusted_proxies
        return Origin(client_address(request.remote_addr, forwarded, proxies), DEVICE)

    @property
    def roles(self) -> Mapping[str, str]:
        """Scope → role of whoever looks."""
        return {} if self.holder is None else self.holder.memberships.roles

    def know_again(self) -> None:
        """Look again who looks, after they changed something of themselves."""
        token = self.call.request.cookies.get(cookies.SESSION, "")
        self.holder = self.frame.accounts().sessions.holder(token, self.now_ms)

    def may(self, right: Enum | None) -> bool:
        """Whether they may do something in at least one of their scopes; None: nothing is needed."""
        return right is None or any(self.frame.may(role, right) for role in self.roles.values())

    def scopes(self, right: Enum) -> list[str]:
        """The scopes in which they may."""
        return [scope for scope, role in sorted(self.roles.items()) if self.frame.may(role, right)]

    @property
    def languages(self) -> Iterable[tuple[str, str]]:
        """Codes and own names of the languages to choose from."""
        return self.frame.languages.items()

    # --- what is answered

    def take_up(self, kept: str, otherwise: str) -> Response:
        """After a log-in: what the same person had typed before, else another page."""
        text = cookies.unsigned(self.frame.secret(), kept) if kept else None
        user_id, where, values = ("", "", {}) if text is None else json.loads(text)
        if self.holder is None or user_id != self.holder.account.user_id:
            return self.go(otherwise)
        return self.show("console/kept.html", where=where, values=values)

    def show(self, template: str, status: int = 200, **values: Any) -> Response:
        """A page made of a template: `console/…` is the frame's, `NAME/…` of that package."""
        fault = self.fault
        env = self.frame.environment(self.words)
        said = self._said()
        text = env.get_template(template).render(
            visit=self,
            words=self.words,
            now_ms=self.now_ms,
            fault=fault,
            typed=self.typed,
            said=said,
            static=self.frame.static_path,
            path=lambda *parts, **query: address(*parts, **query),
            form_token=self.form_token,
            **values,
        )
        response = Response(
            text, fault.status if fault else status, content_type="text/html; charset=utf-8"
        )
        if said:
            cookies.drop(response, cookies.SAID)
        return self.frame.guarded(compressed(response, self.call), self.call)

    def go(self, where: str, said: str = "", **values: str) -> Response:
        """To another page (303), which begins with a message of ours (`N_`), filled with values."""
        response = Response(status=303, headers={"Location": where})
        if said:
            short = {name: value[:_SAID_CHARS] for name, value in values.items()}
            page = unquote(where.partition("?")[0].partition("#")[0])
            text = cookies.signed(self.frame.secret(), json.dumps([said, short, page]))
            cookies.keep(response, cookies.SAID, text, _SAID_SECONDS)
        return self.frame.guarded(response, self.call)

    def again(self, said: str = "", **values: str) -> Response:
        """To the page that the form stood on."""
        request = self.call.request
        query = (
            f"?{request.query_string.decode('ascii', 'replace')}" if request.query_string else ""
        )
        return self.go(f"{quote(request.path)}{query}", said, **values)

    def download(self, body: Any, name: str, kind: str) -> Response:
        """A file: bytes, or pieces that are made while they are sent."""
        response = Response(body, content_type=kind)
        response.headers["Content-Disposition"] = f"attachment; filename*=UTF-8''{quote(name)}"
        return self.frame.guarded(response, self.call)

    @property
    def form_token(self) -> str:
        """The token of a form on this page."""
        return cookies.form_token(self.frame.secret(), self.form_holder)

    @property
    def form_holder(self) -> str:
        """Whom forms are tied to: the session, else the browser."""
        return self.visitor if self.holder is None else self.holder.session.sid

    def _said(self) -> str:
        """What the page before wanted said here. A part of a page leaves it to the next whole one."""
        kept = self.call.request.cookies.get(cookies.SAID)
        if not kept or self.call.request.headers.get("HX-Request"):
            return ""
        text = cookies.unsigned(self.frame.secret(), kept)
        if text is None:
            return ""
        message, values, page = json.loads(text)
        # another tab may ask before the page that it is for
        return self.words.said(message, **values) if page == self.call.request.path else ""


def no_page(visit: Visit) -> Response:
    """For a path that takes a form and shows nothing: to the beginning."""
    return visit.go(address())


#: What sessions of browsers are called where phones name their device.
DEVICE = "console"


def caller_of(holder: Holder) -> Caller:
    """A session's holder as whoever makes a request."""
    held = holder.memberships
    role = held.roles[held.scopes[0]] if held.scopes else ""
    account = holder.account
    return Caller(
        account.user_id,
        role,
        DEVICE,
        holder.session.sid,
        account.name or account.email or account.user_id,
    )


def inside(where: str) -> bool:
    """Whether a path that somebody names is one of a page of ours, and of nothing else."""
    if len(where) > LONGEST_BACK or not _BACK.fullmatch(where):
        return False
    path = unquote(where.partition("?")[0])
    return not {"", ".", ".."}.intersection(path.split("/")[1:]) and "\\" not in path


def address(*parts: str, **query: object) -> str:
    """The path of a page with its query; what is None or empty is left out."""
    path = "/".join([HOME, *(quote(each.strip("/"), safe="/") for each in parts)])
    asked = {name: value for name, value in query.items() if value not in (None, "")}
    return f"{path}?{urlencode(asked)}" if asked else path
