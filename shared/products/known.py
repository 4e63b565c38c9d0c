"""The products that there are, by name. Each is imported when it is asked for."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any

from shared.errors import ConfigurationFault
from shared.products.product import Product
from shared.settings import Settings


def names() -> tuple[str, ...]:
    """Every name that `PRODUCT` may have."""
    [choices] = (spec.metadata["choices"] for spec in fields(Settings) if spec.name == "product")
    return tuple(choices)


def named(name: str) -> Product:
    """The product of this name. Raises `ConfigurationFault`."""
    if name == "dermadetect":
        from shared.products.dermadetect.product import DERMADETECT

        return DERMADETECT
    if name == "hemoday":
        from shared.products.hemoday.product import HEMODAY

        return HEMODAY
    if name == "medmind":
        from shared.products.medmind.product import MEDMIND

        return MEDMIND
    if name == "buildtrace":
        from shared.products.buildtrace.product import BUILDTRACE

        return BUILDTRACE
    raise ConfigurationFault(f"there is no product {name}", field="PRODUCT")


def settings_of(name: str) -> type[Any] | None:
    """What a product adds to the settings: a dataclass of `shared.settings.setting`; None: nothing.

    Apart from the product, so that a function that starts need not load it.
    """
    if name == "dermadetect":
        from shared.products.dermadetect.settings import DermaDetectSettings

        return DermaDetectSettings
    if name == "medmind":
        from shared.products.medmind.settings import MedMindSettings

        return MedMindSettings
    if name == "buildtrace":
        from shared.products.buildtrace.settings import BuildTraceSettings

        return BuildTraceSettings
    return None


def variables(*products: str) -> dict[str, Field[Any]]:
    """Every setting by the name of its variable: the engine's, then those of each product, or of these."""
    kinds = (Settings, *map(settings_of, products or names()))
    return {spec.name.upper(): spec for kind in kinds if kind for spec in fields(kind)}
