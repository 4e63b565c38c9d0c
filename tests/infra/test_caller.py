"""Tests are the same in every terminal: also in one that is set up to work on the cloud."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]

#: Asks, after pytest's own set-up, what a test would find.
PROBE = """
import json, os
import tests.conftest
import google.auth
from dataclasses import asdict
from shared import settings
try:
    google.auth.default()
    found = "credentials"
except google.auth.exceptions.DefaultCredentialsError:
    found = "no credentials"
print(json.dumps([asdict(settings.load(os.environ)) == asdict(settings.load({})), found]))
"""


def exported(project: str) -> dict[str, str]:
    """What the runbooks' first block exports."""
    page = (ROOT / "infra" / "runbooks" / "README.md").read_text("utf-8")
    block = re.findall(r"^```sh\n(.*?)^```", page, re.S | re.M)[0]
    found = dict(re.findall(r'\b([A-Z][A-Z_]+)="?([^"\s]+)"?', block))
    assert {"PROJECT", "RECORD_STORE", "JOB_QUEUE", "GOOGLE_CLOUD_PROJECT"} <= set(found)
    return {name: value.replace("$PROJECT", project) for name, value in found.items()}


def test_a_terminal_prepared_for_the_cloud_changes_no_test(tmp_path: Path) -> None:
    key = tmp_path / "application_default_credentials.json"
    key.write_text(
        json.dumps(
            {
                "type": "authorized_user",
                "client_id": "c",
                "client_secret": "s",
                "refresh_token": "r",
            }
        )
    )
    prepared = exported("somebodys-project") | {
        "GOOGLE_APPLICATION_CREDENTIALS": str(key),
        "CLOUDSDK_CONFIG": str(tmp_path),
        "ACCOUNTS_SECRET": "of the cloud, 1234567890",
    }
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        cwd=ROOT,
        env={**os.environ, **prepared},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert json.loads(done.stdout) == [True, "no credentials"]
