"""Exact numbers that must not grow unnoticed: what starting loads, what a sync asks of the store.

    python -m benchmarks.ledger            # compares with benchmarks/ledger.json; exit code 1 if it differs
    python -m benchmarks.ledger --write    # renews it

`tests/benchmarks/test_ledger.py` compares too. A number that grew is a cost that somebody should have
meant; one that shrank is a win to be kept: both are written down by renewing the ledger in the same
commit. Unlike times these numbers are the same on every machine. One thing is not ours: when another
release of a package is installed than the ledger knows, its number of modules is not compared. A
package that the ledger does not know is growth whoever brought it.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from collections.abc import Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import imports
from infra.local.emulators import firestore_emulator
from infra.local.table import load
from shared.products.known import names

LEDGER = Path(__file__).with_name("ledger.json")

RENEW = "python -m benchmarks.ledger --write"

#: The state of `sync` after its first request: everything that a sync uses is made.
MADE = "sync, after its first request"

Counts = dict[str, Any]


def row(product: str, name: str) -> str:
    """What a function of a product's deployment is called here."""
    return f"{product}: {name}"


def starts() -> Counts:
    """Per product and function: packages loaded at start with their modules; and all packages' releases."""
    wanted = {
        row(product, name): (name, "", product)
        for product in names()
        for name in load(product=product)
    }
    wanted |= {row(product, MADE): ("sync", imports.MADE, product) for product in names()}
    with ThreadPoolExecutor(2) as pool:
        running = {name: pool.submit(imports.loaded, *each) for name, each in wanted.items()}
    releases: dict[str, str] = {}
    found = {}
    for name, each in running.items():
        packages = each.result()
        found[name] = {
            "modules": sum(package.modules for package in packages.values()),
            "packages": {package: have.modules for package, have in packages.items()},
        }
        releases |= {package: have.release for package, have in packages.items() if have.release}
    return {"starts": found, "releases": dict(sorted(releases.items()))}


def operations(kind: str) -> Counts:
    """`port` or, with FIRESTORE_EMULATOR_HOST set, also `client`: situation → counts.

    Raises `RuntimeError` with the end of what went wrong.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.counts", kind],
        cwd=imports.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(f"counting failed:\n{done.stderr[-2000:]}")
    found: Counts = json.loads(done.stdout.splitlines()[-1])
    return found


def known() -> Counts:
    """The ledger as it is kept."""
    found: Counts = json.loads(LEDGER.read_text("utf-8"))
    return found


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[str]:
    """A sentence for each number of `now` that is not the ledger's; only its sections are compared."""
    said: list[str] = []
    old, new = before.get("releases", {}), now.get("releases", {})
    moved = {package for package in new if package in old and new[package] != old[package]}
    for section in sorted(now.keys() - {"releases"}):
        have, want = dict(_leaves(now[section])), dict(_leaves(before.get(section, {})))
        for name in sorted(have.keys() | want.keys()):
            if section == "starts" and (name[-1] in moved or (moved and name[-1] == "modules")):
                continue
            text = _said(want.get(name), have.get(name))
            if text:
                said.append(f"{section}: {' / '.join(name)} {text}")
    if said:
        said.append(
            f"If that is meant, renew the ledger and say why in the commit: {RENEW}. "
            "What shrank is a win: renewing keeps it."
        )
    return said


def _leaves(tree: Mapping[str, Any], *above: str) -> list[tuple[tuple[str, ...], int]]:
    found: list[tuple[tuple[str, ...], int]] = []
    for name, value in tree.items():
        if isinstance(value, Mapping):
            found += _leaves(value, *above, name)
        else:
            found.append(((*above, name), value))
    return found


def _said(before: int | None, now: int | None) -> str:
    if before == now:
        return ""
    if before is None:
        return f"is new: {now}"
    if now is None:
        return f"is gone (was {before})"
    return f"{'grew' if now > before else 'shrank'} from {before} to {now}"


def measured() -> Counts:
    """Everything that the ledger holds. Starts a Firestore emulator unless one is named."""
    found = {
        "about": f"Exact counts, kept by tests/benchmarks/test_ledger.py. Renew: {RENEW}",
        **starts(),
    }
    if os.environ.get("FIRESTORE_EMULATOR_HOST"):
        return found | operations("firestore")
    with firestore_emulator() as address:
        os.environ["FIRESTORE_EMULATOR_HOST"] = address
        try:
            return found | operations("firestore")
        finally:
            del os.environ["FIRESTORE_EMULATOR_HOST"]


def main() -> int:
    """Compare, or renew with `--write`; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.ledger")
    parser.add_argument("--write", action="store_true", help="keep what is found")
    write = parser.parse_args().write
    now = measured()
    before = known() if LEDGER.exists() else {}
    said = differences(before, {name: now[name] for name in now if name != "about"})
    if write:
        LEDGER.write_text(_compact(now), encoding="utf-8")
        print("\n".join(["written:", *said[:-1]] if said else ["nothing to renew"]))
        return 0
    print("\n".join(said) or "Nothing grew, nothing shrank.")
    return 1 if said else 0


def _compact(found: Counts) -> str:
    """JSON with a line for each situation: a diff then names what changed."""
    lines = ["{", f' "about": {json.dumps(found["about"])},']
    sections = [name for name in found if name != "about"]
    for section in sections:
        lines.append(f" {json.dumps(section)}: {{")
        rows = [f"  {json.dumps(k)}: {json.dumps(v)}" for k, v in found[section].items()]
        lines.append(",\n".join(rows))
        lines.append(" }" + ("," if section != sections[-1] else ""))
    return "\n".join([*lines, "}"]) + "\n"


if __name__ == "__main__":
    sys.exit(main())
