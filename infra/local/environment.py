"""The settings of a local stack, left in its data folder for tools that work on the same stores."""

from __future__ import annotations

import json
import os
from importlib.metadata import distributions
from pathlib import Path

from shared.errors import ConfigurationFault
from shared.settings import Settings
from shared.wiring import forget

#: Written by the stack into its data folder: the environment of its functions.
STACK_ENVIRONMENT = "environment.json"


#: Extras of pyproject.toml that settings may ask for, each with a package of its own.
_EXTRAS = {"gcp": "google-cloud-firestore", "otlp": "opentelemetry-exporter-otlp-proto-http"}


def demand_installed(settings: Settings) -> None:
    """Raises `ConfigurationFault`, with setting and extra, if packages for settings are missing."""
    asked = {"gcp": next(iter(settings.google), "")}
    asked["otlp"] = settings.otel_exporter_otlp_endpoint and "OTEL_EXPORTER_OTLP_ENDPOINT"
    for extra, setting in asked.items():
        if setting and not list(distributions(name=_EXTRAS[extra])):
            raise ConfigurationFault(
                f"{setting} needs packages that are not installed: pip install '.[{extra}]'",
                field=setting.partition("=")[0],
            )


def use_stack(folder: Path) -> None:
    """Take over the environment of the local stack that runs (or ran) in `folder`: same stores, same keys.

    Raises `ConfigurationFault` for a folder that does not exist: a new store is never what was meant.
    """
    if not folder.is_dir():
        raise ConfigurationFault(f"There is no data folder {folder}.", field="DATA_FOLDER")
    known = folder / STACK_ENVIRONMENT
    if known.exists():
        os.environ.update(json.loads(known.read_text()))
    os.environ["DATA_FOLDER"] = str(folder)
    forget()
