"""What HemoDay answers beside sync, accounts and files."""

from __future__ import annotations

from collections.abc import Sequence

from shared.api.routes import Route
from shared.products.hemoday import import_routes, reminder_settings, searching, series, timeline
from shared.products.hemoday.household import Households
from shared.products.hemoday.reading import TEXTS
from shared.products.hemoday.report import routes as report
from shared.products.hemoday.search import Search
from shared.products.hemoday.tables import CATALOG, DOCUMENTS
from shared.products.product import Parts


def routes(parts: Parts) -> Sequence[Route]:
    """All of them; they share what they know of families."""
    households = Households(parts.store(), CATALOG, beside={TEXTS: DOCUMENTS})
    return (
        *timeline.routes(parts, households),
        *series.routes(parts, households),
        *searching.routes(parts, Search(households)),
        *report.routes(parts, households),
        *reminder_settings.routes(parts),
        *import_routes.routes(parts, households),
    )
