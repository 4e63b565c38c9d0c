"""`python -m tests.dermadetect.fleet`: campaigns with chosen seeds; exit code 1 on a violation."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack

from tests.dermadetect.fleet import red
from tests.dermadetect.fleet.campaign import BRIEF, PACE, Plan, run
from tests.dermadetect.fleet.proxy import Proxy
from tests.dermadetect.fleet.server import serving


def main(arguments: Sequence[str] | None = None) -> int:
    """Play the seeds one after the other on one server."""
    parser = argparse.ArgumentParser(prog="python -m tests.dermadetect.fleet")
    parser.add_argument("--seed", type=int, default=1, help="the first one")
    parser.add_argument("--seeds", type=int, default=1, help="how many")
    parser.add_argument("--phones", type=int, default=3)
    parser.add_argument("--ops", type=int, default=60, help="steps of each phone")
    parser.add_argument("--store", choices=("sqlite", "firestore"), default="sqlite")
    parser.add_argument("--faults", choices=("on", "off"), default="on")
    parser.add_argument("--kills", choices=("on", "off"), default="on", help="with faults only")
    parser.add_argument("--transfers", choices=("on", "off"), default="off")
    parser.add_argument(
        "--careful",
        choices=("on", "off"),
        default="on",
        help="off: batch phones move their cursor past rows that they passed over",
    )
    parser.add_argument(
        "--late-pushes",
        choices=("on", "off"),
        default="on",
        help="off: no push of a WatermelonDB phone arrives after later ones",
    )
    parser.add_argument(
        "--red", action="store_true", help="hide the red: signals, a doctor and an odd model"
    )
    parser.add_argument("--verbose", action="store_true", help="the whole story of a violation")
    chosen = parser.parse_args(arguments)
    failed = []
    began = time.monotonic()
    with ExitStack() as stack:
        more = stack.enter_context(red.odd_model()) if chosen.red else None
        server = stack.enter_context(serving(chosen.store, more))
        line = Proxy(server.address, pace=PACE)
        for seed in range(chosen.seed, chosen.seed + chosen.seeds):
            plan = Plan(
                seed,
                chosen.phones,
                chosen.ops,
                faults=chosen.faults == "on",
                kills=chosen.kills == "on",
                transfers=chosen.transfers == "on",
                careful=chosen.careful == "on",
                late_pushes=chosen.late_pushes == "on",
            )
            report = (red.run if chosen.red else run)(server, plan, line)
            print(report.text(None if chosen.verbose else BRIEF), flush=True)
            if report.violations:
                failed.append(seed)
        line.close()
    seconds = time.monotonic() - began
    print(f"{chosen.seeds} seeds in {seconds:.0f} s; {len(failed)} with violations: {failed}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
