"""Packages of npm for tests: installed once into the virtual environment's folder, from a lock file."""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path


class NodeMissing(Exception):
    """Node or npm is not installed."""


def install(source: Path, name: str) -> Path:
    """The folder with the packages of `source`'s lock file; made on first use. Raises `NodeMissing`.

    Each lock file has a folder of its own, so checkouts that share an environment do not undo each other's.
    """
    if not shutil.which("node") or not shutil.which("npm"):
        raise NodeMissing("Node and npm are not installed")
    lock = (source / "package-lock.json").read_bytes()
    folder = Path(sys.prefix) / f"{name}-{hashlib.sha256(lock).hexdigest()[:12]}"
    folder.mkdir(exist_ok=True)
    with (folder / "lock").open("w") as alone:  # of two test processes one installs
        fcntl.flock(alone, fcntl.LOCK_EX)
        _fill(folder, source)
    return folder


def _fill(folder: Path, source: Path) -> None:
    done = folder / "installed"
    if done.exists():
        return
    for file in ("package.json", "package-lock.json"):
        shutil.copy(source / file, folder / file)
    subprocess.run(
        ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund", "--silent"],
        cwd=folder,
        check=True,
    )
    done.touch()
