"""The API's description of all functions: `python -m infra.openapi > infra/openapi.json`.

With `--compact` on one line: as products keep theirs (`shared/products/PRODUCT/openapi.json`).
"""

from __future__ import annotations

import sys

from functions import accounts, files, review, status, support, sync
from shared import wiring
from shared.api.openapi.document import Described, text


def described() -> Described:
    """What this deployment serves."""
    product, catalog = wiring.product(), wiring.catalog()
    return Described(
        title=product.title,
        catalog=catalog,
        routes={
            "sync": sync.ROUTES,
            "files": files.ROUTES,
            "support": support.ROUTES,
            "review": review.ROUTES,
            "accounts": accounts.ROUTES,
            "status": status.ROUTES,
        },
        schemas=product.schemas(catalog),
        examples=product.examples(),
    )


if __name__ == "__main__":
    sys.stdout.write(text(described(), compact="--compact" in sys.argv))
