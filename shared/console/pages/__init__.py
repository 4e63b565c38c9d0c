"""The frame's own pages: log-in, one's own account, and what every product has."""

from __future__ import annotations

from shared.console.look import FOLDER, FRAME
from shared.console.page import Pages
from shared.console.pages import (
    account,
    admin,
    conflicts,
    deleted,
    devices,
    exports,
    forgotten,
    inbox,
    language,
    login,
    members,
    moves,
)
from shared.console.pages.trail import ACTIONS

PAGES = Pages(
    name=FRAME,
    folder=FOLDER,
    pages=(
        *login.PAGES,
        *language.PAGES,
        *forgotten.PAGES,
        *inbox.PAGES,
        *devices.PAGES,
        *conflicts.PAGES,
        *deleted.PAGES,
        *moves.PAGES,
        *members.PAGES,
        *exports.PAGES,
        *admin.PAGES,
        *account.PAGES,
    ),
    actions=ACTIONS,
)
