"""`python -m infra.ci.vulnerabilities`: asks OSV which installed packages have known faults.

Asks about every package of this environment at its exact version, also those that others brought.
Exit code 1 if one has a fault that is not in `ACCEPTED`, 2 if OSV does not answer: not knowing is
no pass. It needs the internet, so it runs in Cloud Build and not in `make test`. API:
https://google.github.io/osv.dev/post-v1-querybatch/ (at most 1,000 questions a request).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import urllib.request
from collections.abc import Iterator, Mapping, Sequence
from importlib.metadata import distributions

OSV = "https://api.osv.dev"

#: Faults that do not concern us: id → why, and until when that is believed.
ACCEPTED: Mapping[str, str] = {}

#: Longest wait for one answer, seconds.
_TIMEOUT_SECONDS = 30

#: Most questions in a request (OSV's bound).
_BATCH = 1000


def installed() -> list[tuple[str, str]]:
    """Name (as indexes spell it: small letters, hyphens) and version of every package, sorted."""
    return sorted(
        {
            (re.sub(r"[-_.]+", "-", each.metadata["Name"]).lower(), each.version)
            for each in distributions()
        }
    )


def faults(packages: Sequence[tuple[str, str]], url: str = OSV) -> Iterator[tuple[str, str, str]]:
    """Name, version and id of each known fault. Raises `OSError` if there is no answer."""
    for start in range(0, len(packages), _BATCH):
        asked = packages[start : start + _BATCH]
        queries = [
            {"package": {"name": name, "ecosystem": "PyPI"}, "version": version}
            for name, version in asked
        ]
        request = urllib.request.Request(  # noqa: S310 (a fixed https address, or a test's own)
            f"{url}/v1/querybatch",
            json.dumps({"queries": queries}).encode(),
            {"Content-Type": "application/json"},
        )
        with urllib.request.urlopen(request, timeout=_TIMEOUT_SECONDS) as answer:  # noqa: S310
            results = json.load(answer)["results"]
        for (name, version), result in zip(asked, results, strict=True):
            for fault in result.get("vulns", ()):
                yield name, version, fault["id"]


def main(arguments: Sequence[str] | None = None) -> int:
    """Ask, print what is known."""
    parser = argparse.ArgumentParser(prog="python -m infra.ci.vulnerabilities", description=__doc__)
    parser.add_argument("--osv", default=OSV, help="address of the OSV API")
    chosen = parser.parse_args(arguments)
    packages = installed()
    try:
        found = list(faults(packages, chosen.osv))
    except (OSError, ValueError, KeyError) as error:
        print(f"OSV did not answer: {type(error).__name__}", file=sys.stderr)
        return 2
    bad = [fault for fault in found if fault[2] not in ACCEPTED]
    for name, version, fault_id in found:
        note = ACCEPTED.get(fault_id)
        print(f"{name} {version}: {fault_id}" + (f" (accepted: {note})" if note else ""))
    print(f"{len(packages)} packages, {len(bad)} faults")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main())
