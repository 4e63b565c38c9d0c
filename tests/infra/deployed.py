"""The environment that a function has on Google Cloud, taken from the table and from Terraform."""

from __future__ import annotations

from collections.abc import Mapping

from infra.local.table import Function, load
from tests.infra.hcl import local

#: What the platform itself sets (cloud.google.com/run/docs/container-contract and the buildpacks).
PLATFORM = ("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE", "K_SERVICE", "PORT")

#: Values that Terraform takes from elsewhere, as a deployment without a model would have them; None: unset.
_BARE: Mapping[str, str | None] = {
    "FIRESTORE_DATABASE": "(default)",
    "GOOGLE_CLOUD_PROJECT": "clinic",
    "SERVICE_VERSION": "r1",
    "SIGNING_KEYS_SECRET": "signing-keys",
    "TOKEN_JWKS_URL": "https://accounts-123456789012.europe-west4.run.app/.well-known/jwks.json",
    "TRUSTED_PROXIES": "1",
    "MODEL": "scripted",
    "MODEL_URL": None,
    "MODEL_NAME": None,
    "VERTEX_LOCATION": "europe-west4",
    "VERTEX_DEDICATED": "true",
    "DAILY_COST_CAP": "0",
    "PRICE_ASKED": "0",
    "PRICE_ANSWERED": "0",
    "PRICE_HOUR": "0",
    "SIGLIP_ENDPOINT": None,
    "TRIAGE_RED_FROM": None,
    "TRIAGE_YELLOW_FROM": None,
    "NOTIFIER": "log",
}

#: What other deployments have instead, by their model.
_CHOSEN: Mapping[str, Mapping[str, str | None]] = {
    "scripted": {},
    "vertex": {
        "MODEL": "vertex",
        "VERTEX_ENDPOINT": "projects/clinic/locations/europe-west4/endpoints/1",
        "DAILY_COST_CAP": "20",
        "PRICE_HOUR": "1.15",
        "SIGLIP_ENDPOINT": "7",
        "TRIAGE_RED_FROM": "0.6",
        "TRIAGE_YELLOW_FROM": "0",
        "NOTIFIER": "fcm",
    },
    "openai_compatible": {
        "MODEL": "openai_compatible",
        "MODEL_URL": "https://models.example.org/v1",
        "MODEL_NAME": "google/medgemma-4b-it",
    },
}

MODELS = tuple(_CHOSEN)


def settings(model: str = "scripted") -> dict[str, str]:
    """What Terraform sets for every function of a deployment with such a model."""
    found: dict[str, str | None] = {**local("usual"), **local("decided")}
    computed = {name for name, value in found.items() if value is None or "${" in value}
    assert computed == set(_BARE), "a setting that Terraform computes has no example here"
    found |= {**_BARE, **_CHOSEN[model]}
    return {name: value for name, value in found.items() if value is not None}


def environment(function: Function, port: int, *, model: str = "scripted") -> dict[str, str]:
    """Everything that a function's process has in its environment, and nothing else of ours."""
    return {
        **settings(model),
        **function.environment,
        **{variable: f"{variable} of this deployment, 1234567890" for variable in function.secrets},
        "THREADS": str(function.concurrency),
        "FUNCTION_TARGET": function.name,
        # Terraform deploys pushed functions with an address, so the platform says "http" of all.
        "FUNCTION_SIGNATURE_TYPE": "http",
        "K_SERVICE": function.name.replace("_", "-"),
        "PORT": str(port),
    }


FUNCTIONS = load()
