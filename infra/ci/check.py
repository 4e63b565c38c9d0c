"""`python -m infra.ci.check`: style, types, secrets. The same at a desk, in CI and in Cloud Build.

Exit code 0 if everything is clean, 1 if anything is not; every check runs. The last lines are the commands
that repeat what failed.
"""

from __future__ import annotations

import shlex
import subprocess
import sys
from collections.abc import Iterable

CHECKS = (
    ("style", ("ruff", "check", ".")),
    ("format", ("ruff", "format", "--check", ".")),
    ("types", ("mypy",)),
    ("secrets", ("infra.ci.leaks",)),
)


def main(checks: Iterable[tuple[str, tuple[str, ...]]] = CHECKS) -> int:
    """Run every check, print what fails."""
    failed = []
    for name, command in checks:
        print(f"{name}: {' '.join(command)}", flush=True)
        if subprocess.run([sys.executable, "-m", *command], check=False).returncode:  # noqa: S603
            failed.append((name, command))
    print(f"failed: {', '.join(name for name, _ in failed)}" if failed else "clean", flush=True)
    for _, command in failed:
        print(f"again: .venv/bin/python -m {shlex.join(command)}", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
