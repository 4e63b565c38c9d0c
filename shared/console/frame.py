"""The frame that pages stand in: finds them, asks who looks, refuses in words, draws the navigation."""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import Enum
from functools import cache, cached_property, partial
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, quote, urlsplit

from flask import Request, Response
from jinja2 import Environment
from msgspec import Struct
from werkzeug.exceptions import HTTPException, RequestEntityTooLarge

from shared.accounts.services import AccountServices
from shared.api.bodies import PAGE
from shared.api.routes import Route, decode
from shared.api.web import Call, serve
from shared.console import cookies
from shared.console.look import FOLDER, FRAME, StaticFile, environment, static_files
from shared.console.page import HOME, KEPT, N_, Page, Pages
from shared.console.visit import Visit, address, inside
from shared.console.words import Words, chosen, spoken, words_of
from shared.errors import (
    Fault,
    Forbidden,
    InvalidRequest,
    NotFound,
    RequestTooLarge,
    Unauthenticated,
)
from shared.settings import Settings

log = logging.getLogger(__name__)

#: What begins another line, and what is nothing in a text: other control characters, marks of byte order.
_BREAKS = re.compile("\r\n|[\r\x0b\x0c\x85\u2028\u2029]")
_UNSEEN = re.compile("[\x00-\x08\x0e-\x1f\x7f-\x9f\ufeff]")

#: Fields of one form.
_MOST_FIELDS = 200

#: What browsers are told of every page.
_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:{images}; "
    "connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
)
_GUARDS = {
    "Referrer-Policy": "same-origin",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
}

#: Where people without a session are sent, and those who must set up a second factor.
LOGIN, FACTOR = "login", "account/second-factor"


#: What ends a session, wherever it is looked at.
_SESSION_OVER = frozenset({"session_ended", "refresh_reused", "account_disabled"})


class StaticAsked(Struct):
    """One static file."""

    tag: str
    name: str


class MenuEntry(NamedTuple):
    """A page in the navigation."""

    page: Page
    where: str
    here: bool


@dataclass(frozen=True)
class Frame:
    """All pages of a deployment, and what they are made with. Threads may share it.

    `api` are the routes that pages ask in this process; `images` an origin beside ours that photos come
    from (empty: none); `form_bytes` the largest file of a form.
    """

    title: str  #: of the product
    packages: Sequence[Pages]
    api: Sequence[Route]
    settings: Settings
    accounts: Callable[[], AccountServices]  #: with the console's own life of sessions
    secret: Callable[[], bytes]
    clock_ms: Callable[[], int]
    may: Callable[[str | None, Enum], bool]
    form_bytes: Callable[[], int]
    images: str = ""

    @property
    def folders(self) -> Mapping[str, Path]:
        """Where templates are, by the name before theirs."""
        return {FRAME: FOLDER, **{each.name: each.folder for each in self.packages}}

    @property
    def pages(self) -> Iterator[Page]:
        """Every page of every package."""
        for package in self.packages:
            yield from package.pages

    @property
    def actions(self) -> Mapping[str, str]:
        """What the audit trail's words mean (`N_`)."""
        return {word: said for package in self.packages for word, said in package.actions.items()}

    @property
    def instead(self) -> tuple[tuple[str, str], ...]:
        """Messages of the frame that a product words anew."""
        return tuple(pair for package in self.packages for pair in package.instead.items())

    def serve(self, request: Request, routes: Sequence[Route]) -> Response:
        """Answer a browser. Never raises."""
        return serve(
            request,
            routes,
            self.settings,
            shows=lambda call: call.request.cookies.get(cookies.SESSION, ""),
            refuse=self.refused,
        )

    def routes(self) -> tuple[Route, ...]:
        """What the function answers: pages, their forms, static files."""
        found = [
            Route("GET", HOME, self._home, secured=False),
            Route(
                "GET",
                f"{HOME}/static/{{tag}}/{{name}}",
                self._static_file,
                secured=False,
                asks=StaticAsked,
            ),
        ]
        for page in self.pages:
            path = f"{HOME}/{page.path}"
            shown = partial(self._show, page)
            found.append(Route("GET", path, shown, asks=page.asks, secured=False))
            if page.acts:
                act = partial(self._act, page)
                found.append(
                    Route("POST", path, act, PAGE, takes=bytes, asks=page.asks, secured=False)
                )
        return tuple(found)

    # --- requests

    def _show(self, page: Page, call: Call, *asked: Any) -> Response:
        visit = self._visit(page, call)
        return self._let_in(visit) or self._shown(visit, *asked)

    def _shown(self, visit: Visit, *asked: Any) -> Response:
        response = visit.page.shows(visit, *asked)
        if visit.holder is None:
            cookies.keep(response, cookies.VISITOR, visit.visitor)
        return response

    def _act(self, page: Page, call: Call, *asked: Any) -> Response:
        visit = self._visit(page, call)
        if (elsewhere := self._let_in(visit)) is not None:
            return elsewhere
        if page.open and visit.holder is not None:
            call.count_stranger()  # a session must not make more tries of passwords than none
        values = self._sent(page, visit)
        token = values.pop(cookies.FIELD, "")
        name = values.pop("act", "")
        try:
            cookies.check_form(call.request, self.secret(), visit.form_holder, token)
            if name == KEPT:  # nothing is done: the page shows what was typed
                visit.typed = {"act": values.pop("was", ""), **values}
                return self._shown(visit, *asked)
            act = page.acts.get(name)
            if act is None:
                raise NotFound("There is no such form.")
            visit.sent = values
            taken = [] if act.takes is None else [decode(values, act.takes, strict=False)]
            return act.does(visit, *asked, *taken)
        except Unauthenticated as fault:
            if visit.holder is not None and fault.code in _SESSION_OVER:
                raise
            visit.fault = fault
        except Fault as fault:
            visit.fault = fault
        call.notes["code"] = visit.fault.code
        visit.typed = {"act": name, **values}
        return _later(self._shown(visit, *asked), visit.fault)

    def _sent(self, page: Page, visit: Visit) -> dict[str, str]:
        """The fields of a form, its file apart. Raises `InvalidRequest`, `RequestTooLarge`."""
        request = visit.call.request
        if not page.takes_file or request.mimetype != "multipart/form-data":
            return _form(visit.call)
        most = self.form_bytes()
        request.max_content_length = most + PAGE.sent
        request.max_form_memory_size, request.max_form_parts = PAGE.sent, _MOST_FIELDS
        try:
            visit.file, fields = request.files.get("file"), request.form.to_dict()
        except RequestEntityTooLarge:
            raise RequestTooLarge(f"A file may have {most} bytes.", field="file") from None
        except HTTPException:
            raise InvalidRequest("The form cannot be read.") from None
        return {name: as_written(value) for name, value in fields.items()}

    def _let_in(self, visit: Visit) -> Response | None:
        """None, or where those go who may not be here (yet). Raises `Forbidden`, `Unauthenticated`."""
        page = visit.page
        if page.open:
            return None
        if visit.holder is None:
            raise Unauthenticated("Log in.", code="token_missing")
        if visit.holder.set_up_needed and not page.sets_up:
            return visit.go(address(FACTOR))
        if not visit.may(page.right):
            raise Forbidden("Your role does not allow this in any of your scopes.")
        return None

    def _visit(self, page: Page, call: Call) -> Visit:
        now_ms = self.clock_ms()
        visitor = cookies.visitor(call.request) or cookies.new_visitor()
        visit = Visit(call, self, page, self.words(call.request), now_ms, visitor=visitor)
        token = call.request.cookies.get(cookies.SESSION, "")
        if token:
            try:
                visit.holder = self.accounts().sessions.holder(token, now_ms, used=not page.quiet)
            except Unauthenticated:
                if not page.open:
                    raise
                call.count_stranger()
            else:
                call.notes["user"] = visit.caller.user_id
                call.admit(visit.caller.user_id)
        return visit

    def _home(self, call: Call) -> Response:
        visit = self._visit(_HOME_PAGE, call)
        if visit.holder is None:
            return visit.go(address(LOGIN))
        return visit.go(self.home_of(visit))

    def home_of(self, visit: Visit) -> str:
        """Where somebody begins: the product's first page, or the first that they may open."""
        if visit.holder is not None and visit.holder.set_up_needed:
            return address(FACTOR)
        named = [each.home for each in reversed(self.packages) if each.home]
        known = {page.path: page for page in self.pages}
        for path in (*named, *known):
            page = known[path]
            stands = not page.open and "{" not in path and (page.menu or path in named)
            if stands and visit.may(page.right):
                return address(path)
        return address("account")

    # --- what pages are made with

    @cached_property
    def languages(self) -> Mapping[str, str]:
        """Codes and own names of the languages in which all pages speak."""
        return spoken(self.folders.values())

    def words(self, request: Request) -> Words:
        """The language of a request."""
        language = chosen(
            request.cookies.get(cookies.LANGUAGE),
            request.headers.get("Accept-Language", ""),
            self.languages,
        )
        zone = self.settings.console_time_zone
        return words_of(language, tuple(self.folders.values()), zone, self.instead)

    def environment(self, words: Words) -> Environment:
        """Templates in a language."""
        folders = tuple(self.folders.items())
        return _environment(folders, words.language, words.zone.key, self.instead)

    def menu(self, visit: Visit) -> list[tuple[str, list[MenuEntry]]]:
        """The navigation of whoever looks: groups, and the pages in them."""
        groups: dict[str, list[MenuEntry]] = {}
        if visit.holder is None or visit.holder.set_up_needed:
            return []
        for package in reversed(self.packages):
            for page in package.pages:
                if page.menu and visit.may(page.right):
                    here = page is visit.page
                    entry = MenuEntry(page, address(page.path), here)
                    groups.setdefault(page.menu, []).append(entry)
        return list(groups.items())

    def static_path(self, name: str) -> str:
        """Where a static file is."""
        return address("static", self._files[name].tag, name)

    @cached_property
    def _files(self) -> Mapping[str, StaticFile]:
        return static_files(self.folders)

    def _static_file(self, call: Call, asked: StaticAsked) -> Response:
        file = self._files.get(asked.name)
        if file is None:
            raise NotFound("There is nothing at this path.")
        packed = call.request.accept_encodings["gzip"] > 0
        response = Response(file.packed if packed else file.whole, content_type=file.kind)
        response.vary.add("Accept-Encoding")
        if packed:
            response.headers["Content-Encoding"] = "gzip"
        right = file.tag == asked.tag
        response.headers["Cache-Control"] = (
            "public, max-age=31536000, immutable" if right else "no-store"
        )
        return response

    def guarded(self, response: Response, call: Call) -> Response:
        """With what browsers are told of every page."""
        images = f" {self.images}" if self.images else ""
        response.headers["Content-Security-Policy"] = _POLICY.format(images=images)
        response.headers.update(_GUARDS)
        return response

    # --- refusals

    def _fault_page(self, visit: Visit, fault: Fault) -> Response:
        """A refusal in the frame of whoever is logged in."""
        request = visit.call.request
        visit.fault = fault
        try:
            if token := request.cookies.get(cookies.SESSION, ""):
                with suppress(Fault):
                    sessions = self.accounts().sessions
                    visit.holder = sessions.holder(token, visit.now_ms, used=False)
            visit.visitor = cookies.visitor(request) or cookies.new_visitor()
            response = visit.show("console/fault.html")
            if visit.holder is None:
                cookies.keep(response, cookies.VISITOR, visit.visitor)
            return response
        except Exception:  # nothing may answer with a stack trace
            log.exception("page crashed", extra={"request_id": visit.call.request_id})
            return self.guarded(_plain(fault), visit.call)

    def _kept(self, call: Call) -> str:
        """A form that came when the session was over, sealed for whoever sent it; empty: none."""
        request = call.request
        if request.method != "POST" or call.route is None:
            return ""
        user_id = self.accounts().sessions.whose(request.cookies.get(cookies.SESSION, ""))
        if user_id is None:
            return ""
        try:
            values = _form(call)
        except Fault:
            return ""
        was = values.pop("act", "")
        secret = {name for name in values if "password" in name or name in ("otp", cookies.FIELD)}
        left = {name: value for name, value in values.items() if name not in secret}
        text = json.dumps([user_id, request.full_path.rstrip("?"), {**left, "was": was}])
        return cookies.signed(self.secret(), text) if any(left.values()) else ""

    def _log_in_again(self, visit: Visit, kept: str, why: str | None) -> Response | None:
        """The log-in in place of the page that a form was sent to: nothing typed is lost."""
        page = next((each for each in self.pages if each.path == LOGIN), None)
        if page is None or page.asks is None:
            return None
        visit.page, visit.kept = page, kept
        visit.visitor = cookies.visitor(visit.call.request) or cookies.new_visitor()
        asked = decode({"next": _back(visit.call.request), "why": why or ""}, page.asks)
        response = self._shown(visit, asked)
        response.status_code = Unauthenticated.status
        return response

    def refused(self, call: Call, fault: Fault) -> Response:
        """A refusal as a page; who has no session is led to the log-in, and back afterwards."""
        call.notes["code"] = fault.code
        visit = Visit(call, self, _FAULT_PAGE, self.words(call.request), self.clock_ms())
        request = call.request
        if isinstance(fault, Unauthenticated):
            over = fault.code if fault.code != "token_missing" else None
            where = address(LOGIN, next=_back(request), why=over)
            if (kept := self._kept(call)) and (again := self._log_in_again(visit, kept, over)):
                response = again
            elif request.headers.get("HX-Request"):
                response = self.guarded(Response(status=204), call)
                response.headers["HX-Redirect"] = where
            else:
                response = visit.go(where)
            if request.cookies.get(cookies.SESSION):
                cookies.drop(response, cookies.SESSION)
            return response
        return _later(self._fault_page(visit, fault), fault)


def _back(request: Request) -> str:
    """The page that somebody wanted, for after the log-in; empty: none that could be named."""
    shown = urlsplit(request.headers.get("HX-Current-URL", ""))  # a part of a page is no page
    whole = quote(request.path), request.query_string.decode("ascii", "replace")
    path, query = (shown.path, shown.query) if shown.path else whole
    where = f"{path}?{query}" if query else path
    return where if inside(where) else ""


def _later(response: Response, fault: Fault) -> Response:
    """With the time after which to try again, where that can help."""
    if fault.retry_after_s is not None or fault.status == 503:
        seconds = 2 if fault.retry_after_s is None else fault.retry_after_s
        response.headers["Retry-After"] = str(max(1, round(seconds)))
    return response


def _plain(fault: Fault) -> Response:
    """A refusal where not even its page can be made."""
    return Response(fault.message, fault.status, content_type="text/plain; charset=utf-8")


def _nothing(_visit: Visit) -> Response:
    raise NotFound("There is nothing at this path.")


#: Pages that are none: where a log-in leads on from, and a refusal.
_HOME_PAGE = Page(path="", shows=_nothing, title="", open=True)
_FAULT_PAGE = Page(path="", shows=_nothing, title=N_("This did not work"), open=True)


def _form(call: Call) -> dict[str, str]:
    """The fields of a form. Raises `InvalidRequest`."""
    kind = call.request.mimetype
    if kind != "application/x-www-form-urlencoded":
        raise InvalidRequest("Send the form as a browser does.")
    try:
        pairs = parse_qsl(
            call.body().decode("ascii"),
            keep_blank_values=True,
            max_num_fields=_MOST_FIELDS,
            errors="strict",
        )
    except ValueError:
        raise InvalidRequest("The form cannot be read.") from None
    return {name: as_written(value) for name, value in pairs}


def as_written(text: str) -> str:
    """A text as its writer saw it: other ends of lines are ends of lines, signs that nobody sees are gone.

    Texts that are pasted from documents have them: soft breaks, page breaks, marks of byte order.
    """
    return _UNSEEN.sub("", _BREAKS.sub("\n", text))


@cache
def _environment(
    folders: tuple[tuple[str, Path], ...],
    language: str,
    zone: str,
    instead: tuple[tuple[str, str], ...],
) -> Environment:
    words = words_of(language, tuple(folder for _, folder in folders), zone, instead)
    return environment(dict(folders), words)
