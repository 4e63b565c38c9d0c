"""The inbox: what could not be stored and somebody should look at; taken off with a word."""

from __future__ import annotations

from typing import Annotated
from urllib.parse import quote

from flask import Response
from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.flat import flat
from shared.console.page import N_, Act, Page
from shared.console.pages.team import MENU, Token, names, reason
from shared.console.visit import Visit, address

#: Entries of one page.
_PAGE = 20

#: Ready words with which an entry is taken off the list.
WORDS = (
    N_("Told the sender"),
    N_("Entered again"),
    N_("The person was seen"),
    N_("Nothing to do"),
)


class InboxPageAsked(Struct):
    """Where the list goes on."""

    page: Token = ""


class OutcomeForm(Struct):
    """An entry, and why it needs nobody any more."""

    id: Annotated[str, Meta(max_length=300)]
    word: Annotated[str, Meta(max_length=2000)] = ""


def show_inbox(visit: Visit, asked: InboxPageAsked) -> Response:
    """The list: the urgent first, then the oldest."""
    found = visit.api.get("/api/v1/inbox", page=asked.page, limit=_PAGE)
    scopes = visit.scopes(Action.INBOX)
    return visit.show(
        "console/inbox.html",
        entries=[(each, flat(each["sent"]), reason(each["code"])) for each in found["entries"]],
        next_page=found["next_page"],
        count=found.get("count"),
        names=names(visit, (each["scope_id"] for each in found["entries"])),
        ready=WORDS,
        several=len(scopes) > 1,
    )


def close(visit: Visit, _asked: InboxPageAsked, form: OutcomeForm) -> Response:
    """Take an entry off the list."""
    word = form.word.strip()
    visit.api.post(f"/api/v1/inbox/{quote(form.id, safe='')}/close", {"word": word} if word else {})
    return visit.go(address("inbox"), N_("Done: the entry is off the list. What was sent is kept."))


PAGES = (
    Page(
        path="inbox",
        shows=show_inbox,
        title=N_("Inbox"),
        asks=InboxPageAsked,
        acts={"close": Act(close, OutcomeForm)},
        right=Action.INBOX,
        menu=MENU,
    ),
)
