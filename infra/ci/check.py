"""`python -m infra.ci.check`: style, types, secrets. The same at a desk, in CI and in Cloud Build.

Exit code 0 if everything is clean, 1 if anything is not; every check runs.
"""

from __future__ import annotations

import subprocess
import sys

CHECKS = (
    ("style", ("ruff", "check", ".")),
    ("format", ("ruff", "format", "--check", ".")),
    ("types", ("mypy",)),
    ("secrets", ("infra.ci.leaks",)),
)


def main() -> int:
    """Run every check, print what fails."""
    failed = []
    for name, command in CHECKS:
        print(f"{name}: {' '.join(command)}", flush=True)
        if subprocess.run([sys.executable, "-m", *command], check=False).returncode:  # noqa: S603
            failed.append(name)
    print(f"failed: {', '.join(failed)}" if failed else "clean", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
