"""The environment that a function has on Google Cloud, taken from the table and from Terraform."""

from __future__ import annotations

import re

from infra.local.table import Function, load
from tests.infra.hcl import local

#: What the platform itself sets (cloud.google.com/run/docs/container-contract and the buildpacks).
PLATFORM = ("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE", "K_SERVICE", "PORT")

#: Values that Terraform takes from elsewhere, as one deployment would have them.
_FROM_ELSEWHERE = {
    "var.project": "clinic",
    "google_firestore_database.this.name": "(default)",
    "var.release": "r1",
    "one(local.read_directly)": "signing-keys",
    "local.endpoint": "projects/clinic/locations/europe-west4/endpoints/1",
    "var.vertex.location": "europe-west4",
}


def settings(*, model: bool = False) -> dict[str, str]:
    """What Terraform sets for every function; `model`: with an endpoint."""
    text = local("settings")
    found = {}
    for name, value in re.findall(r"\b([A-Z][A-Z_]{2,})\s*=\s*([^\n,}]+)", text):
        value = value.strip()
        if name.startswith("VERTEX_") and not model:
            continue
        if name == "MODEL":
            value = '"vertex"' if model else '"scripted"'
        elif name == "TRUSTED_PROXIES":
            value = '"1"'
        elif name == "TOKEN_JWKS_URL":
            value = '"https://accounts-123456789012.europe-west4.run.app/.well-known/jwks.json"'
        found[name] = value.strip('"') if value.startswith('"') else _FROM_ELSEWHERE[value]
    return found


def environment(function: Function, port: int, *, model: bool = False) -> dict[str, str]:
    """Everything that a function's process has in its environment, and nothing else of ours."""
    return {
        **settings(model=model),
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
