"""An absent emulator is seen: a skip at a desk, a failure in CI."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).parents[2]

PROBE = """
import pytest
from tests.conftest import firestore_emulator, pubsub_emulator

@pytest.mark.parametrize("name", ["firestore_emulator", "pubsub_emulator"])
def test_it(name, request):
    request.getfixturevalue(name)
"""


@pytest.mark.parametrize(
    ("ci", "outcome"),
    [("true", "2 failed"), ("1", "2 failed"), ("", "2 skipped"), ("false", "2 skipped")],
)
def test_an_absent_emulator_skips_at_a_desk_and_fails_in_ci(
    ci: str, outcome: str, tmp_path: Path
) -> None:
    (tmp_path / "test_probe.py").write_text(PROBE)
    said = subprocess.run(
        [sys.executable, "-m", "pytest", "-c", os.devnull, "-rs", "--rootdir", tmp_path, tmp_path],
        cwd=REPOSITORY,
        env={**os.environ, "CI": ci, "GOOGLE_CLOUD_SDK": "/no/such/folder"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert outcome in said.stdout, said.stdout
    assert "/no/such/folder is not a folder" in said.stdout
    assert said.returncode == (1 if "failed" in outcome else 0)
