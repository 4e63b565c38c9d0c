"""What a function has loaded once it is started as deployed: modules by package, and who asked for them.

    loaded("sync")              # {"flask": Package(modules=24, release="flask 3.1.3"), …}

The process is a new one with the environment that Terraform gives the function
(`tests/infra/deployed.py`), started through `functions_framework.create_app` as the framework does.
Modules of the standard library are not counted: they come with Python's patch release.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
from collections import Counter
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import NamedTuple

from infra.ci import lock
from tests.infra import deployed

ROOT = Path(__file__).resolve().parents[1]

#: Namespaces that many distributions share: their packages are told apart one level further in.
_SHARED = {"google": 2, "google.cloud": 3, "opentelemetry": 2}

#: Makes what a first sync makes (`tests/test_imports.py` keeps it lazy): store, engine, doorbell.
MADE = "from shared import wiring; wiring.pusher(); wiring.puller(); wiring.doorbell()"

_START = """
import sys
before = set(sys.modules)
import functions_framework, json, os
functions_framework.create_app(os.environ["FUNCTION_TARGET"], "main.py")
{then}
found = {{name: getattr(module, "__file__", None) for name, module in sys.modules.items()
         if name not in before}}
print(json.dumps(found))
"""


class Package(NamedTuple):
    """A package's modules that are loaded, and the release of its distribution."""

    modules: int
    release: str


def environment(name: str) -> dict[str, str]:
    """What a started function has in its environment; the clients it makes connect nowhere."""
    return {
        "PATH": os.defpath,
        **deployed.environment(deployed.FUNCTIONS[name], 8080),
        "FIRESTORE_EMULATOR_HOST": "127.0.0.1:9",
        "PUBSUB_EMULATOR_HOST": "127.0.0.1:9",
    }


def package_of(module: str) -> str:
    """`google.cloud.firestore_v1` for everything below it, `flask` for `flask.json.tag`."""
    parts = module.split(".")
    depth = 1
    while depth < len(parts) and (deeper := _SHARED.get(".".join(parts[:depth]))):
        depth = deeper
    return ".".join(parts[:depth])


def loaded(name: str, then: str = "", product: str = lock.DEFAULT) -> dict[str, Package]:
    """Packages that a started function has loaded, ours under `shared` and `functions`.

    `then` is code that runs after the start of a deployment of that product. Raises `RuntimeError` with
    the end of a failed start.
    """
    done = subprocess.run(
        [sys.executable, "-c", _START.format(then=then)],
        cwd=ROOT,
        env={**environment(name), "PRODUCT": product},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"{name} does not start:\n{done.stderr[-2000:]}")
    modules: dict[str, str | None] = json.loads(done.stdout.splitlines()[-1])
    counts: Counter[str] = Counter()
    releases: dict[str, str] = {}
    for module, file in modules.items():
        if file is None:
            continue
        if module.partition(".")[0] in ("shared", "functions"):
            counts[module.partition(".")[0]] += 1
        elif (release := _release(file)) is not None:
            package = package_of(module)
            counts[package] += 1
            releases[package] = release
    return {each: Package(counts[each], releases.get(each, "")) for each in sorted(counts)}


def _release(file: str) -> str | None:
    """The distribution that installed a file, like "flask 3.1.3"; None: not installed by one."""
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        if file.startswith(folder + os.sep):
            return _releases().get(os.path.relpath(file, folder), "unknown")
    return None


@cache
def _releases() -> dict[str, str]:
    found = {}
    for each in metadata.distributions():
        release = f"{each.metadata['Name'].lower()} {each.version}"
        # RECORD's lines are "path,hash,size"; `each.files` parses them for seconds
        for line in (each.read_text("RECORD") or "").splitlines():
            found[line.partition(",")[0]] = release
    return found
