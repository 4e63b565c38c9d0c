"""`make lock`: every package of the functions and of the tests, pinned with its hashes.

`requirements.in` and `requirements-dev.in` say what we want; `requirements.txt` and `requirements-dev.txt`
what that brings, with the hashes of all files that Python 3.11 could install. pip refuses any other file,
at a desk, in the pipeline and when Google builds a function. A product that needs more than all others do
says so in `requirements/<product>.in`: the lock beside it has all that its deployment installs, others
install nothing of it, and tests install everything. The locks come from one resolution, so what is tested
is what is deployed. Versions stay as they are unless a `.in` file or `--upgrade` asks for others.
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

from shared.settings import Settings

REPOSITORY = Path(__file__).resolve().parents[2]


def locks(repository: Path = REPOSITORY) -> dict[str, str]:
    """What we want → what it brings: every deployment's, those of products that add to it, the tests'."""
    added = sorted(path.stem for path in (repository / "requirements").glob("*.in"))
    return {
        "requirements.in": "requirements.txt",
        **{f"requirements/{product}.in": f"requirements/{product}.txt" for product in added},
        "requirements-dev.in": "requirements-dev.txt",
    }


#: The locks that there are.
FILES = locks()

#: The product of a deployment that names none.
DEFAULT = Settings().product


def sources_of(product: str) -> list[str]:
    """The `.in` files of a product's deployment; the last one's lock has all that it installs."""
    return [name for name in ("requirements.in", f"requirements/{product}.in") if name in FILES]


def deployed(product: str) -> str:
    """The lock of a product's deployment."""
    return FILES[sources_of(product)[-1]]


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
    """Resolve, and write the locks."""
    parser = argparse.ArgumentParser(prog="python -m infra.ci.lock", description=__doc__)
    parser.add_argument("uv", help="the program that resolves")
    parser.add_argument("--upgrade", action="store_true", help="take the newest of what ours bring")
    chosen = parser.parse_args(arguments)
    kept = {} if chosen.upgrade else pinned("requirements-dev.txt")
    for source in FILES:  # what a .in file says counts, not what the lock said
        for requirement in wanted(source):
            kept.pop(re.split(r"[\[=]", requirement)[0].lower(), None)
    core, *others = FILES
    groups = {Path(source).stem: wanted(source) for source in others}
    project = (
        '[project]\nname = "all"\nversion = "0"\nrequires-python = "==3.11.*"\n'
        f"dependencies = {json.dumps(wanted(core))}\n[tool.uv]\npackage = false\ndefault-groups = []\n"
        f"constraint-dependencies = {json.dumps([f'{name}=={at}' for name, at in kept.items()])}\n"
        "[dependency-groups]\n"
        + "".join(f"{name} = {json.dumps(asked)}\n" for name, asked in groups.items())
    )
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "pyproject.toml").write_text(project, "utf-8")
        for source, target in FILES.items():
            chosen_groups = {core: [], others[-1]: ["--all-groups"]}.get(
                source, ["--group", Path(source).stem]
            )
            form = ["--format", "requirements-txt", "--no-annotate", "--no-header", *chosen_groups]
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
