"""What a function finds on Google Cloud: its environment, a Python with its lock, the archive."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import venv
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from infra.ci import lock, package
from infra.local.table import Function, load
from tests.infra.hcl import local

#: What the platform itself sets (cloud.google.com/run/docs/container-contract and the buildpacks).
PLATFORM = ("FUNCTION_TARGET", "FUNCTION_SIGNATURE_TYPE", "K_SERVICE", "PORT")

#: Values that Terraform takes from elsewhere, as a deployment without a model would have them; None: unset.
_BARE: Mapping[str, str | None] = {
    "PRODUCT": lock.DEFAULT,
    "FIRESTORE_DATABASE": "(default)",
    "GOOGLE_CLOUD_PROJECT": "clinic",
    "SOURCE_COMMIT": "r1",
    "SIGNING_KEYS_SECRET": "signing-keys",
    "TOKEN_JWKS_URL": "https://accounts-123456789012.europe-west1.run.app/.well-known/jwks.json",
    "TRUSTED_PROXIES": "1",
    "FILES_BUCKET": "clinic-photos",
    "CORS_ORIGINS": None,
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


def environment(
    function: Function, port: int, *, model: str = "scripted", product: str = lock.DEFAULT
) -> dict[str, str]:
    """Everything that a function's process has in its environment, and nothing else of ours."""
    told = {} if product == lock.DEFAULT else {"PRODUCT": product}
    return {
        **settings(model),
        **told,
        **function.environment,
        **{variable: f"{variable} of this deployment, 1234567890" for variable in function.secrets},
        "THREADS": str(function.threads),
        "MALLOC_ARENA_MAX": "2",
        "FUNCTION_TARGET": function.name,
        # Terraform deploys pushed functions with an address, so the platform says "http" of all.
        "FUNCTION_SIGNATURE_TYPE": "http",
        "K_SERVICE": function.name.replace("_", "-"),
        "PORT": str(port),
    }


FUNCTIONS = load()


class NotInstalled(Exception):
    """Requirements cannot be installed here; the message says why."""


def clean_python(product: str = lock.DEFAULT) -> Path:
    """A Python that has a product's lock installed, and nothing else. Raises `NotInstalled`."""
    wanted = lock.deployed(product)
    shared = wanted == lock.deployed(lock.DEFAULT)
    return python_with(package.REPOSITORY / wanted, "clean" if shared else f"{product}-clean")


def python_with(wanted: Path, name: str) -> Path:
    """A Python with these requirements alone; made once for their state, in the user's cache.

    Raises `NotInstalled`.
    """
    digest = hashlib.sha256(wanted.read_bytes() + sys.version.encode()).hexdigest()[:16]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "dermadetect-tests"
    folder = cache / f"{name}-{digest}"
    if not folder.exists():
        cache.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(dir=cache))
        venv.create(made, with_pip=True)
        command = ["-m", "pip", "install", "-q", "--no-compile", "-r", str(wanted)]
        done = subprocess.run(
            [str(made / "bin" / "python"), *command], capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            shutil.rmtree(made)
            raise NotInstalled(f"pip cannot install {wanted.name}: {done.stderr[-500:]}")
        for old in cache.glob(f"{name}-*"):
            shutil.rmtree(old, ignore_errors=True)
        with suppress(OSError):  # another session was faster
            made.rename(folder)
    return folder / "bin" / "python"


def unpack(folder: Path, product: str = lock.DEFAULT) -> Path:
    """A product's archive, made in `folder` and unpacked as the platform does it; where it is."""
    package.pack(folder / "source.zip", product)
    with zipfile.ZipFile(folder / "source.zip") as archive:
        archive.extractall(folder / "workspace")
    return folder / "workspace"
