"""The frame's own pages: log-in, one's own account, and what every product has."""

from __future__ import annotations

from shared.console.look import FOLDER, FRAME
from shared.console.page import Pages
from shared.console.pages import (
    conflicts,
    deleted,
    devices,
    exports,
    inbox,
    language,
    login,
    members,
    moves,
)

PAGES = Pages(
    name=FRAME,
    folder=FOLDER,
    pages=(
        *login.PAGES,
        *language.PAGES,
        *inbox.PAGES,
        *devices.PAGES,
        *conflicts.PAGES,
        *deleted.PAGES,
        *moves.PAGES,
        *members.PAGES,
        *exports.PAGES,
    ),
)
