"""The API's description of all functions: `python -m infra.openapi > infra/openapi.json`."""

from __future__ import annotations

import sys

from functions import accounts, files, review, status, sync
from shared import wiring
from shared.api.openapi.document import Described, text
from shared.products.dermadetect.examples import EXAMPLES


def described() -> Described:
    """What this deployment serves."""
    return Described(
        title="DermaDetect",
        catalog=wiring.catalog(),
        routes={
            "sync": sync.ROUTES,
            "files": files.ROUTES,
            "review": review.ROUTES,
            "accounts": accounts.ROUTES,
            "status": status.ROUTES,
        },
        examples=EXAMPLES["dermadetect"],
    )


if __name__ == "__main__":
    sys.stdout.write(text(described()))
