"""`python -m benchmarks [--quick] [NAME …]`: every benchmark, each in a clean process.

Prints the table of each. A full run also stores its results and writes them into
`benchmarks/README.md`. A goal that is missed is a finding; a benchmark that breaks, or takes longer than
its limit, is named, the others run all the same, and the exit code is 1.
"""

from __future__ import annotations

import argparse
import importlib.util
import subprocess
import sys
import time
from pathlib import Path

from benchmarks import page

ROOT = Path(__file__).resolve().parents[1]

#: Longest time of one benchmark, seconds. Together they should stay below 20 minutes, quick ones
#: below 3; the peers' first run also installs them.
LIMIT_SECONDS, QUICK_LIMIT_SECONDS = 600, 180


def main() -> int:
    """Run them; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="small runs; nothing is stored")
    parser.add_argument("--page", action="store_true", help="only write the page anew")
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(page.MODULES))
    chosen = parser.parse_args()
    if unknown := set(chosen.names) - set(page.MODULES):
        parser.error(f"there is no {', '.join(sorted(unknown))}")
    broken = []
    for name in () if chosen.page else chosen.names or page.MODULES:
        if importlib.util.find_spec(f"benchmarks.{name}") is None:
            _say(f"\n## {name}: this benchmark is not there\n")
        elif not _ran(name, chosen.quick):
            broken.append(name)
    if not chosen.quick:
        page.write()
        _say(f"\nwritten: {page.README.relative_to(ROOT)}")
    if broken:
        _say(f"\nbroken: {', '.join(broken)}")
    return 1 if broken else 0


def _ran(name: str, quick: bool) -> bool:
    _say(f"\n## {name}\n")
    began = time.monotonic()
    command = [sys.executable, "-m", f"benchmarks.{name}", *(["--quick"] if quick else [])]
    limit = QUICK_LIMIT_SECONDS if quick else LIMIT_SECONDS
    try:
        code = subprocess.run(command, cwd=ROOT, timeout=limit, check=False).returncode
    except subprocess.TimeoutExpired:
        _say(f"{name} took longer than {limit} s")
        return False
    _say(f"\n{name}: {time.monotonic() - began:.0f} s" + (f", exit code {code}" if code else ""))
    return code == 0


def _say(text: str) -> None:
    print(text, flush=True)


if __name__ == "__main__":
    sys.exit(main())
