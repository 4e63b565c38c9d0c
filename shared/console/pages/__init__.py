"""The frame's own pages: log-in, one's own account, and what every product has."""

from __future__ import annotations

from shared.console.look import FOLDER, FRAME
from shared.console.page import Pages
from shared.console.pages import account, admin, forgotten, language, login

PAGES = Pages(
    name=FRAME,
    folder=FOLDER,
    pages=(*login.PAGES, *language.PAGES, *forgotten.PAGES, *admin.PAGES, *account.PAGES),
)
