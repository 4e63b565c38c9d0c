"""A clinic's server needs no extra: it starts, syncs, analyses and copies where none can be imported.

`tests/infra/test_wheel.py` installs it for real; here an import hook stands in for what is not installed.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.stack import Stack
from infra.local.table import REPOSITORY
from tests.e2e.conftest import Deployment
from tests.patience import until

#: Python runs it at the start of every process: what the extras bring is not there.
HOOK = """
import sys

GONE = ("google", "grpc", "opentelemetry", "pyarrow", "vertexai")
# functions-framework has a package of its own in this namespace
OWN = ("google", "google.cloud", "google.cloud.functions")

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in GONE and name not in OWN and not name.startswith(OWN[-1]):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)

sys.meta_path.insert(0, Missing())
"""


@pytest.fixture
def light(tmp_path: Path) -> dict[str, str]:
    """An environment in which no extra is installed."""
    folder = tmp_path / "hook"
    folder.mkdir()
    (folder / "sitecustomize.py").write_text(HOOK, "utf-8")
    return {**os.environ, "PYTHONPATH": str(folder)}


def run(*words: str, environ: dict[str, str]) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        cwd=REPOSITORY,
        env=environ,
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.mark.parametrize("module", ["google.cloud.firestore", "grpc", "opentelemetry.sdk"])
def test_the_hook_hides_what_extras_bring(module: str, light: dict[str, str]) -> None:
    assert run("-c", f"import {module}", environ=dict(os.environ)).returncode == 0
    assert "ModuleNotFoundError" in run("-c", f"import {module}", environ=light).stderr


def test_a_red_case_is_synced_analysed_and_backed_up(light: dict[str, str], tmp_path: Path) -> None:
    # given a clinic's server without any extra
    data = tmp_path / "data"
    with Stack(data=data, environ=light, sweep_seconds=3600) as stack:
        place = Deployment(stack)
        place.join("amina", "team1")
        phone = place.phone("amina")

        # when a phone sends a red case
        phone.save("patients", "p1", demographics={"age": 30})
        phone.save("cases", "c1", patient_id="p1", risk_level="red", triage_data={}, image_keys=[])
        phone.sync()

        # then its analysis comes back
        def analysed() -> object:
            phone.sync()
            return phone.rows["cases", "c1"].get("ai_analysis")

        until(analysed, "the analysis")
        place.store.close()

        # and the operators' command copies it all
        command = ("-m", "infra.cli", "--data", str(data))
        done = run(*command, "backup", "export", str(tmp_path / "copy"), environ=light)
        assert done.returncode == 0, done.stderr
        rows = ("records", "export", "team1", "--to", str(tmp_path / "rows"))
        done = run(*command, *rows, environ=light)
        assert (done.returncode, done.stdout[:20]) == (0, "1 patients, 1 cases,"), done


@pytest.mark.parametrize(
    ("settings", "variable", "extra"),
    [
        ({"RECORD_STORE": "firestore", "GOOGLE_CLOUD_PROJECT": "p"}, "RECORD_STORE", "gcp"),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "http://c:4318"}, "OTEL_EXPORTER_OTLP_ENDPOINT", "otlp"),
        ({}, "", ""),
    ],
    ids=["gcp", "otlp", "nothing"],
)
def test_a_setting_whose_extra_is_not_installed_is_refused_with_what_to_install(
    settings: dict[str, str], variable: str, extra: str
) -> None:
    code = (
        f"import sys; sys.path.insert(0, {str(REPOSITORY)!r})\n"
        "from infra.local.installed import demand_installed\n"
        f"from shared.settings import load; demand_installed(load({settings!r}))"
    )
    # -S: without site-packages, so nothing is installed
    alone = run("-I", "-S", "-c", code, environ=dict(os.environ))
    last = (alone.stderr.splitlines() or [""])[-1]
    wanted = f"ConfigurationFault: {variable}.* pip install '.\\[{extra}\\]'" if extra else "$"
    assert re.search(wanted, last), alone.stderr
    assert run("-c", code, environ=dict(os.environ)).returncode == 0
