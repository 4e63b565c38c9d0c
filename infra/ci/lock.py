"""`make lock`: every package of the functions and of the tests, pinned with its hashes.

`requirements.in` and `requirements-dev.in` say what we want; `requirements.txt` and `requirements-dev.txt`
what that brings, with the hashes of all files that Python 3.11 could install. pip refuses any other file,
at a desk, in the pipeline and when Google builds a function. Both come from one resolution, so what is
tested is what is deployed. Versions stay as they are unless a `.in` file or `--upgrade` asks for others.
"""

from __future__ import annotations

import argparse
import json
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[2]

#: What we want → what it brings.
FILES = {"requirements.in": "requirements.txt", "requirements-dev.in": "requirements-dev.txt"}

_HEAD = "# Made of {source} by `make lock`: do not edit.\n"


def wanted(source: str) -> list[str]:
    """Requirements of a `.in` file, without those that it takes from another."""
    lines = (REPOSITORY / source).read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith(("#", "-r"))]


def pinned(target: str) -> dict[str, str]:
    """Name → version of every package of a lock; nothing if there is none yet."""
    path = REPOSITORY / target
    text = path.read_text("utf-8") if path.exists() else ""
    return dict(re.findall(r"^([a-z0-9.-]+)==([^\s;]+)", text, re.M))


def main(arguments: Sequence[str] | None = None) -> int:
    """Resolve, and write both locks."""
    parser = argparse.ArgumentParser(prog="python -m infra.ci.lock", description=__doc__)
    parser.add_argument("uv", help="the program that resolves")
    parser.add_argument("--upgrade", action="store_true", help="take the newest of what ours bring")
    chosen = parser.parse_args(arguments)
    kept = {} if chosen.upgrade else pinned("requirements-dev.txt")
    for source in FILES:  # what a .in file says counts, not what the lock said
        for requirement in wanted(source):
            kept.pop(re.split(r"[\[=]", requirement)[0].lower(), None)
    run, tests = (json.dumps(wanted(source)) for source in FILES)
    project = (
        '[project]\nname = "all"\nversion = "0"\nrequires-python = "==3.11.*"\n'
        f"dependencies = {run}\n[dependency-groups]\ndev = {tests}\n[tool.uv]\npackage = false\n"
        f"constraint-dependencies = {json.dumps([f'{name}=={at}' for name, at in kept.items()])}\n"
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").write_text(project, "utf-8")
        for source, target in FILES.items():
            groups = ["--no-default-groups"] if source == "requirements.in" else []
            form = ["--format", "requirements-txt", "--no-annotate", "--no-header", *groups]
            done = subprocess.run(  # noqa: S603 - the program that the caller names
                [str(Path(chosen.uv).resolve()), "export", "--quiet", *form],
                cwd=folder,
                stdout=subprocess.PIPE,
                text=True,
                check=True,
            )
            text = _HEAD.format(source=source) + done.stdout
            (REPOSITORY / target).write_text(text, "utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
