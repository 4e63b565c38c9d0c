"""The list of what waits for a doctor: how much of each, filters, who has a case in hand.

A browser asks a part of it (`NEWS`) again and again: the API says at the price of a read that nothing
changed, and then nothing is shown anew. Otherwise the list comes whole, what is new in it marked and told.
What a browser shows it names by four letters an entry: enough to tell what is new, and no text of anybody.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable, Mapping, Sequence
from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

import msgspec
from msgspec import Meta, Struct

from shared.api.fields import Id
from shared.console.page import N_, Act, Page, Response
from shared.console.visit import Visit, address
from shared.products.dermadetect.pages.case_words import READINGS, RISKS, URGENCIES, WORD_OF
from shared.products.dermadetect.rights import ReviewAction
from shared.products.dermadetect.signal import RANKS
from shared.products.dermadetect.tables import DIAGNOSED, PENDING

#: The page, and the part of it that a browser asks again and again.
LIST, NEWS = "cases", "cases-news"

#: How often a browser asks, seconds.
EVERY_SECONDS = 15

#: A list that did not change is shown anew after this time all the same: it says how long people wait.
_STALE_MS = 10 * 60_000

#: What is red or worse is told as urgent.
_URGENT = RANKS["red"]

#: Columns that may have changed since a signature.
CHANGES = {
    "risk_level": N_("colour"),
    "rules": N_("warning signs"),
    "triage_data": N_("answers"),
    "image_keys": N_("photos"),
    "image_urls": N_("photos"),
    "ai_analysis": N_("reading by the AI"),
}

#: Where the job of the reading stands.
JOBS = {
    "awaiting_files": N_("Waits for photos"),
    "queued": N_("Will be read"),
    "running": N_("Is being read"),
    "failed": N_("Reading failed"),
    "parked": N_("Reading failed"),
    "stale": N_("Will be read"),
    "done": N_("Read"),
}

SEXES = {"female": N_("female"), "male": N_("male"), "other": N_("other sex")}

STATUSES = ((PENDING, N_("Waiting")), (DIAGNOSED, N_("Signed")))

#: What the API says to a doctor who comes second.
_HELD = N_("Another doctor has this case in hand.")

_Word = Annotated[str, Meta(max_length=128)]


class Filters(Struct, kw_only=True):
    """What the list is asked for, as the API names it."""

    scope: _Word = ""
    risk: _Word = ""
    mine: _Word = ""
    changed: _Word = ""
    worker: _Word = ""
    patient: _Word = ""
    first_day: _Word = ""
    last_day: _Word = ""
    status: _Word = ""
    page: Annotated[str, Meta(max_length=2000)] = ""

    def chosen(self) -> dict[str, str]:
        """The filters that are set, without the place."""
        have: dict[str, str] = msgspec.to_builtins(self)
        return {name: have[name] for name in Filters.__struct_fields__[:-1] if have[name]}


class NewsAsked(Filters, kw_only=True):
    """What a browser shows: since when, its entries, where they end, and how much was urgent in all."""

    since: Annotated[str, Meta(pattern=r"^\d{0,15}$")] = ""
    shown: Annotated[str, Meta(max_length=4000)] = ""
    end: Annotated[str, Meta(pattern=r"^(\d{1,2}-\d{1,16})?$")] = ""
    urgent: Annotated[str, Meta(pattern=r"^\d{0,6}$")] = ""


class OfCase(Struct):
    """Which case a button is of."""

    case: Id


class Told(NamedTuple):
    """What is new in a list."""

    entries: frozenset[str] = frozenset()
    urgent: int = 0
    others: int = 0
    elsewhere: bool = False


def show_worklist(visit: Visit, asked: Filters) -> Response:
    """The list: the most urgent first, of them who waits longest."""
    return _shown(visit, asked, _found(visit, asked), "dermadetect/worklist.html")


def show_news(visit: Visit, asked: NewsAsked) -> Response:
    """The list again if anything changed (200), else nothing (204)."""
    if not visit.call.request.headers.get("HX-Request"):  # somebody came here, perhaps by a log-in
        return visit.go(address(LIST, **asked.chosen(), page=asked.page))
    since = int(asked.since or 0)
    fresh = visit.now_ms - since < _STALE_MS
    found = _found(visit, asked, since if fresh else None)
    if not found["changed"]:
        return visit.frame.guarded(Response(status=204), visit.call)
    if fresh and asked.page:
        found = _found(visit, asked)
    return _shown(visit, asked, found, "dermadetect/worklist-news.html", news=asked)


def claim(visit: Visit, asked: Filters, form: OfCase) -> Response:
    """Take a case in hand."""
    held = visit.api.post(f"/api/v1/review/cases/{form.case}/claim")
    until = visit.words.moment(held["claimed_until"])
    return _back(visit, asked, form, N_("You have this case in hand until %(until)s."), until=until)


def release(visit: Visit, asked: Filters, form: OfCase) -> Response:
    """Give a case back."""
    visit.api.post(f"/api/v1/review/cases/{form.case}/release")
    return _back(visit, asked, form, N_("The case is free for others."))


def _back(visit: Visit, asked: Filters, form: OfCase, said: str, **values: str) -> Response:
    """The list again, at the case's row."""
    where = address(LIST, **asked.chosen(), page=asked.page)
    return visit.go(f"{where}#case-{quote(form.case)}", said, **values)


# --- what the API says


def _found(visit: Visit, asked: Filters, since: int | None = None) -> dict[str, Any]:
    """A page of the list; with `since`, if nothing changed, this alone.

    The API tells that of a first page: of another one it is asked with a single entry.
    """
    query: dict[str, object] = {**asked.chosen(), "zone": visit.words.zone.key}
    only_whether = since is not None and bool(asked.page)
    query |= {"limit": 1} if only_whether else {"page": asked.page, "thumbnails": "1"}
    found: dict[str, Any] = visit.api.get("/api/v1/review/cases", **query, since=since)
    return found


def _shown(
    visit: Visit,
    asked: Filters,
    found: Mapping[str, Any],
    template: str,
    news: NewsAsked | None = None,
) -> Response:
    totals = visit.api.get("/api/v1/review/totals", scope=asked.scope)
    urgent = totals["emergency"] + totals["red"] + totals["cannot_be_filed"]
    cases: Sequence[Mapping[str, Any]] = found["cases"]
    unfiled: Sequence[Mapping[str, Any]] = found.get("cannot_be_filed", ())
    last = cases[-1] if found["next_page"] else None
    chosen = asked.chosen()
    plain = not chosen.keys() - {"scope"}
    return visit.show(
        template,
        found=found,
        unfiled=unfiled if plain else [],
        plain=plain,
        unfolded=bool(chosen.keys() - {"risk", "mine", "changed"}),
        totals=totals,
        urgent=urgent,
        told=Told() if news is None else _told(news, cases, unfiled, urgent),
        asked=asked,
        chosen=chosen,
        ask_again=address(
            NEWS,
            **chosen,
            page=asked.page,
            since=found["timestamp"],
            shown=_marks(each["id"] for each in (*unfiled, *cases)),
            end=f"{last['rank']}-{last['created_at']}" if last is not None else "",
            urgent=urgent,
        ),
        every=EVERY_SECONDS,
        scopes=visit.scopes(ReviewAction.REVIEW),
        signs={
            s for s, role in visit.roles.items() if visit.frame.may(role, ReviewAction.DIAGNOSE)
        },
        risks=RISKS,
        word_of=WORD_OF,
        changes=CHANGES,
        urgencies=URGENCIES,
        readings=READINGS,
        jobs=JOBS,
        sexes=SEXES,
        statuses=STATUSES,
    )


# --- what is new


def _mark(entry_id: str) -> str:
    digest = hashlib.sha256(entry_id.encode()).digest()[:3]
    return base64.urlsafe_b64encode(digest).decode()


def _marks(ids: Iterable[str]) -> str:
    return "".join(_mark(each) for each in ids)


def _told(
    news: NewsAsked,
    cases: Sequence[Mapping[str, Any]],
    unfiled: Sequence[Mapping[str, Any]],
    urgent: int,
) -> Told:
    """What a browser does not show yet. What only moved up from the next page is not new."""
    known = {news.shown[at : at + 4] for at in range(0, len(news.shown), 4)}
    end = tuple(map(int, news.end.split("-"))) if news.end else None
    new = [
        each
        for each in cases
        if _mark(each["id"]) not in known
        and (end is None or (each["rank"], each["created_at"] or 0) < end)
    ]
    new_unfiled = [each for each in unfiled if _mark(each["id"]) not in known]
    pressing = len(new_unfiled) + sum(each["rank"] <= _URGENT for each in new)
    return Told(
        frozenset(each["id"] for each in (*new, *new_unfiled)),
        pressing,
        len(new) + len(new_unfiled) - pressing,
        not pressing and urgent > int(news.urgent or urgent),
    )


PAGES = (
    Page(
        path=LIST,
        shows=show_worklist,
        title=N_("Waiting"),
        asks=Filters,
        acts={"claim": Act(claim, OfCase), "release": Act(release, OfCase)},
        right=ReviewAction.REVIEW,
        menu=N_("Patients"),
    ),
    Page(
        path=NEWS,
        shows=show_news,
        title="",
        asks=NewsAsked,
        right=ReviewAction.REVIEW,
        quiet=True,
    ),
)
