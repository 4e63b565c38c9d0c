"""The console: pages for doctors, supervisors and admins, who work beside the phones.

Pages ask the API in this process: the routes of the other functions, with the rights of whoever looks. The
private keys of access tokens are not needed here and never loaded: a browser's session is a cookie.
"""

from __future__ import annotations

from flask import Request, Response

from functions import accounts, files, review, support, sync
from shared import wiring
from shared.console.frame import Frame
from shared.console.pages import PAGES

SETTINGS = wiring.begin()

_PRODUCT = wiring.product()

FRAME = Frame(
    title=_PRODUCT.title,
    packages=(PAGES,) if _PRODUCT.pages is None else (PAGES, _PRODUCT.pages(wiring.parts())),
    api=(*accounts.ROUTES, *support.ROUTES, *review.ROUTES, *sync.ROUTES, *files.ROUTES),
    settings=SETTINGS,
    accounts=wiring.console_accounts,
    secret=wiring.page_secret,
    clock_ms=wiring.clock_ms,
    may=_PRODUCT.rights.may,
    images=wiring.photo_origin(),
    form_bytes=wiring.form_bytes,
)

ROUTES = FRAME.routes()


def console(request: Request) -> Response:
    """Entry point of the function."""
    return FRAME.serve(request, ROUTES)
