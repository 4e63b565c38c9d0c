"""`make lock`: every package of functions, of a clinic's server and of tests, pinned with its hashes.

`pyproject.toml` says what we want; the locks what that brings, with the hashes of all files that Python
3.11 could install. pip refuses any other file: at a desk, in the pipeline, when Google builds a function. A
product that needs more than all others do says so in an extra of its name: `requirements/<product>.txt`
has all that its deployment installs, `requirements/<product>-host.txt` what a server of one's own does,
others install nothing of it, and tests install everything. The locks
come from one resolution, so what is tested is what is deployed. Versions stay as they are unless
`pyproject.toml` or `--upgrade` asks for others.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Sequence
from pathlib import Path

from shared.products.known import names
from shared.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]

_PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]

#: What everybody needs, and the extras beside it.
CORE: list[str] = _PROJECT["dependencies"]
EXTRAS: dict[str, list[str]] = _PROJECT["optional-dependencies"]

#: The extra of everything that is deployed on Google Cloud.
_CLOUD = "gcp"


def locks(extras: Sequence[str], products: Sequence[str]) -> dict[str, tuple[str, ...]]:
    """Lock → the extras that are in it: a clinic's server, functions, products that add to them, tests."""
    return {
        "requirements-host.txt": (),
        "requirements.txt": (_CLOUD,),
        **{
            f"requirements/{name}{host}.txt": (*cloud, name)
            for name in products
            if name in extras
            for host, cloud in (("", (_CLOUD,)), ("-host", ()))
        },
        "requirements-dev.txt": tuple(extras),
    }


#: The locks that there are.
LOCKS = locks(list(EXTRAS), names())

#: The product of a deployment that names none.
DEFAULT = Settings().product

_HEAD = "# Made of pyproject.toml by `make lock`: do not edit.\n"


def deployed(product: str) -> str:
    """The lock of a product's deployment on Google Cloud."""
    own = f"requirements/{product}.txt"
    return own if own in LOCKS else "requirements.txt"


def wanted(target: str) -> list[str]:
    """What a lock was asked for, without what that brings."""
    asked = [*CORE, *(each for extra in LOCKS[target] for each in EXTRAS[extra])]
    return list(dict.fromkeys(asked))


def pinned(target: str) -> dict[str, str]:
    """Name → version of every package of a lock; nothing if there is none yet."""
    path = REPOSITORY / target
    text = path.read_text("utf-8") if path.exists() else ""
    return dict(re.findall(r"^([a-z0-9.-]+)==([^\s;]+)", text, re.M))


def main(arguments: Sequence[str] | None = None) -> int:
    """Resolve, and write the locks."""
    parser = argparse.ArgumentParser(prog="python -m infra.ci.lock", description=__doc__)
    parser.add_argument("uv", help="the program that resolves")
    parser.add_argument("--upgrade", action="store_true", help="take the newest of what ours bring")
    chosen = parser.parse_args(arguments)
    kept = {} if chosen.upgrade else pinned("requirements-dev.txt")
    for requirement in wanted("requirements-dev.txt"):  # what we ask for counts, not the lock
        kept.pop(re.split(r"[\[=]", requirement)[0].lower(), None)
    project = (
        '[project]\nname = "all"\nversion = "0"\nrequires-python = "==3.11.*"\n'
        f"dependencies = {json.dumps(CORE)}\n[tool.uv]\npackage = false\n"
        f"constraint-dependencies = {json.dumps([f'{name}=={at}' for name, at in kept.items()])}\n"
        "[project.optional-dependencies]\n"
        + "".join(f"{name} = {json.dumps(asked)}\n" for name, asked in EXTRAS.items())
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").write_text(project, "utf-8")
        for target, extras in LOCKS.items():
            form = ["--format", "requirements-txt", "--no-annotate", "--no-header"]
            form += [word for extra in extras for word in ("--extra", extra)]
            done = subprocess.run(  # noqa: S603 - the program that the caller names
                [str(Path(chosen.uv).resolve()), "export", "--quiet", *form],
                cwd=folder,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            path = REPOSITORY / target
            path.parent.mkdir(exist_ok=True)
            path.write_text(_HEAD + done.stdout, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
