"""The conflict log of a team: which value was kept, which was not."""

from __future__ import annotations

from flask import Response

from shared.access.rights import Action
from shared.console.flat import flat
from shared.console.page import N_, Page
from shared.console.pages.team import MENU, TeamAsked, chosen, names, reason
from shared.console.visit import Visit

#: Entries of one page.
_PAGE = 20


def show_conflicts(visit: Visit, asked: TeamAsked) -> Response:
    """The newest first, both sides beside each other."""
    scope = chosen(visit, Action.INBOX, asked.scope)
    found = visit.api.get("/api/v1/conflicts", scope=scope, page=asked.page, limit=_PAGE)
    entries = []
    for each in found["conflicts"]:
        won, lost = dict(flat(each["won"])), dict(flat(each["lost"]))
        rows = [(name, won.get(name), lost.get(name)) for name in {**lost, **won}]
        differing = [row for row in rows if row[1] != row[2]]
        entries.append((each, differing or rows, reason(each["reason"])))
    return visit.show(
        "console/conflicts.html",
        entries=entries,
        next_page=found["next_page"],
        scope=scope,
        scopes=visit.scopes(Action.INBOX),
        names=names(visit, [scope]),
    )


PAGES = (
    Page(
        path="conflicts",
        shows=show_conflicts,
        title=N_("Conflicts"),
        asks=TeamAsked,
        right=Action.INBOX,
        menu=MENU,
    ),
)
