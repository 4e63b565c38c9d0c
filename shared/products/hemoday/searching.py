"""Search as it is asked: its route, its pages, and the piece of text in which something was found."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

from msgspec import UNSET, Struct, UnsetType, field

from shared.access import audit
from shared.api.fields import Limit, TextOrNull, must, one_of, says
from shared.api.routes import Route
from shared.api.web import Call, Response, answer
from shared.errors import InvalidCursor, NotFound, StoreUnavailable
from shared.products.hemoday.asked import Scope, family_of
from shared.products.hemoday.search import (
    MOST_WORDS,
    SEARCHED,
    FoundRecord,
    Hit,
    Meant,
    Search,
    title_of,
)
from shared.products.hemoday.tables import CATALOG
from shared.products.hemoday.words import words
from shared.products.product import Parts
from shared.sync import paging

#: Longest question, characters.
LONGEST = 200

#: Entries of one page: unless it is asked otherwise, and at most.
PAGE, MOST = 20, 50

#: Characters of a snippet before the word that it is about, and all in all.
_BEFORE, _SNIPPET = 40, 160

_Table = Annotated[str, one_of(SEARCHED)]
_Day = Annotated[int, must("Unix milliseconds", ge=-(10**14), le=10**14)]


class SearchAsked(Struct):
    """What is looked for, in which family, and where the list goes on."""

    q: Annotated[
        str,
        must(f"1 to {LONGEST} characters", min_length=1, max_length=LONGEST),
        says(f"What somebody typed, in any language; {MOST_WORDS} words of it count."),
    ]
    scope: Scope = UNSET
    table: Annotated[_Table | UnsetType, says("One table alone.")] = UNSET
    since: Annotated[_Day | UnsetType, says("Only of this moment or later, ms.")] = field(
        name="from", default=UNSET
    )
    until: Annotated[_Day | UnsetType, says("Only of before this moment, ms.")] = field(
        name="to", default=UNSET
    )
    limit: Annotated[Limit, says(f"Most entries of one answer; {MOST} at most.")] = PAGE
    page: Annotated[str | UnsetType, says("`next_page` of the answer before.")] = UNSET


class SearchMark(Struct):
    """A word that was found, in UTF-16 code units of the snippet, as JavaScript counts."""

    start: int
    end: int


class SearchEntry(Struct):
    """A record that was found."""

    table: str
    id: str
    date: Annotated[int, says("Unix ms; of a result that of its blood test.")]
    title: Annotated[str, says("What the record is called; empty: nothing.")]
    snippet: Annotated[str, says("The piece of its text that fits best.")]
    marks: Annotated[list[SearchMark], says("Where in the snippet the words are.")]
    parent_id: Annotated[TextOrNull, says("The record that it belongs to, as its blood test.")]


class SearchAnswer(Struct):
    """A page of what was found."""

    scope_id: str
    entries: Annotated[
        list[SearchEntry],
        says("Those with most words of the question: those first that fit best, then the newest."),
    ]
    next_page: Annotated[str | None, says("Send as `page`; null: that was all.")]


def snippet(text: str, start: int, meant: Meant) -> tuple[str, list[SearchMark]]:
    """The piece of a text around a word that begins there, on one line, and where words are in it."""
    begin = max(0, start - _BEFORE)
    if begin:  # not in the middle of a word, unless it is a long one
        begin = 1 + max(text.find(sign, begin, start) for sign in " \n") or begin
    end = begin + _SNIPPET
    if end < len(text):
        end = max(text.rfind(" ", start + 1, end), text.rfind("\n", start + 1, end), 0) or end
    piece = text[begin:end]
    marks = [
        SearchMark(_units(piece[: word.start]), _units(piece[: word.end]))
        for word in words(piece)
        if meant.has(word.form)
    ]
    return piece.replace("\n", " "), marks


def _units(text: str) -> int:
    return len(text.encode("utf-16-le", "surrogatepass")) // 2


def _entry(found: FoundRecord, meant: Meant) -> SearchEntry:
    hit, have = found.hit, found.document.fields
    parent = CATALOG.by_name[hit.table].parent
    piece, marks = snippet(found.text, found.start, meant)
    return SearchEntry(
        hit.table,
        hit.id,
        hit.day,
        title_of(found.document),
        piece,
        marks,
        None if parent is None else have.get(parent.name),
    )


def _token(hit: Hit) -> str:
    return paging.sealed((False, False, hit.day, f"{hit.score}/{hit.table}/{hit.id}"))


def _opened(token: str) -> Hit:
    """Raises `InvalidCursor`."""
    _, _, day, name = paging.opened(token)
    score, table, id = (*name.split("/"), "", "", "")[:3]
    if not score.isdecimal() or len(score) > 9 or not id:
        raise InvalidCursor("page is none of this list. Start it again.", field="page")
    return Hit(int(score), day, table, id)


def _filter(asked: SearchAsked) -> Callable[[int, str], bool] | None:
    table, since, until = asked.table, asked.since, asked.until
    if table is UNSET and since is UNSET and until is UNSET:
        return None
    least = since if isinstance(since, int) else float("-inf")
    most = until if isinstance(until, int) else float("inf")
    return lambda day, name: least <= day < most and table in (UNSET, name)


def routes(parts: Parts, search: Search) -> tuple[Route, ...]:
    """The routes of search."""

    def find(call: Call, asked: SearchAsked) -> Response:
        """Search everything of a family.

        Transfusions, blood tests and their results, reminders, templates, documents and the text of PDFs.
        Words may be begun, or have a slip: one from 4 letters on, two from 8. Indicators are found by any
        of their names, dates as `2026-03-12`, `2026-03` or "March 2026". Servers on the way note addresses:
        an app asks by POST.
        """
        scope = family_of(parts.store(), call.caller, asked.scope)
        after = _opened(asked.page) if isinstance(asked.page, str) else None
        limit = min(asked.limit, MOST)
        found, meant = search.ask(scope, asked.q, limit + 1, after, _filter(asked))
        entries = [_entry(each, meant) for each in found[:limit]]
        last = _token(found[limit - 1].hit) if len(found) > limit else None
        touched: dict[str, list[str]] = {}
        for entry in entries:
            touched.setdefault(entry.table, []).append(entry.id)
        audit.reading(parts.store(), call.caller, "search", {scope: touched}, parts.clock_ms())
        call.notes["entries"] = len(entries)
        return answer(SearchAnswer(scope, entries, last), call=call)

    def find_by_body(call: Call, asked: SearchAsked) -> Response:
        """Search, with the question in the body.

        The same as by GET, without leaving what is looked for in an address.
        """
        return find(call, asked)

    faults = ("invalid_request", "invalid_cursor", NotFound, StoreUnavailable)
    names = (SearchEntry, SearchMark)
    path = "/api/v1/search"
    return (
        Route(
            *("GET", path, find),
            name="search",
            asks=SearchAsked,
            gives=SearchAnswer,
            names=names,
            faults=faults,
        ),
        Route(
            *("POST", path, find_by_body),
            name="searchByBody",
            takes=SearchAsked,
            gives=SearchAnswer,
            names=names,
            faults=faults,
        ),
    )
