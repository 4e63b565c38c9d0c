"""Whether what settings ask for is installed: needs nothing itself, so that it can say what is missing."""

from __future__ import annotations

from importlib.metadata import distributions

from shared.errors import ConfigurationFault
from shared.settings import Settings

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
