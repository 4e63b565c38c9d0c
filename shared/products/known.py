"""The products that there are, by name. Each is imported when it is asked for."""

from __future__ import annotations

from shared.errors import ConfigurationFault
from shared.products.product import Product


def named(name: str) -> Product:
    """The product of this name. Raises `ConfigurationFault`."""
    if name == "dermadetect":
        from shared.products.dermadetect.product import DERMADETECT

        return DERMADETECT
    raise ConfigurationFault(f"there is no product {name}", field="PRODUCT")
