"""Example data: a site's people and one drawing. Names are invented; ids are fixed for a scope."""

from __future__ import annotations

from shared.products.buildtrace.rights import MEMBER, OWNER, VIEWER
from shared.products.product import Seed


def seed(scope: str) -> Seed:
    """The example project."""
    people = (
        (f"{scope}-architect", OWNER),
        (f"{scope}-foreman", MEMBER),
        (f"{scope}-client", VIEWER),
    )
    drawing = f"{scope}-ground-floor"
    return Seed(
        people,
        (
            ("drawings", drawing, {"name": "Ground floor", "discipline": "Architecture"}),
            (
                "revisions",
                f"{drawing}-c1",
                {"drawing_id": drawing, "label": "C1", "issued_on": "2026-10-05"},
            ),
            (
                "revisions",
                f"{drawing}-c2",
                {"drawing_id": drawing, "label": "C2", "issued_on": "2026-11-16"},
            ),
        ),
    )
