"""The kit's own tests, as `npm test` runs them."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import pytest

OPENAPI = Path(__file__).parents[2] / "infra" / "openapi.json"


def run(folder: Path, **environ: str) -> None:
    done = subprocess.run(
        ["node", "dist/test/all.js"],
        cwd=folder,
        env={**os.environ, "CARE_OPENAPI": str(OPENAPI), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    parts = re.split(r"^(?=not ok|ok )", done.stdout, flags=re.M)
    failed = [part for part in parts if part.startswith("not ok")]
    assert done.returncode == 0, "".join(failed)[:4000] or done.stderr[-4000:]


def test_the_kits_own_tests_pass(kit: Path) -> None:
    run(kit)


@pytest.mark.proof
def test_the_kits_own_tests_pass_with_sqlite(sqlite_kit: Path) -> None:
    run(sqlite_kit, KIT_NEEDS_SQLITE="1")
