"""Prints `.env.example`: every setting, of every product.

`python -m infra.env_example > .env.example`
"""

from __future__ import annotations

from shared import settings
from shared.products.known import variables


def text() -> str:
    """The file as it should be."""
    return settings.example(variables())


if __name__ == "__main__":
    print(text(), end="")
