"""cloudbuild.yaml runs what runs at a desk, and deploys nothing that is not clean."""

from __future__ import annotations

import json
import re
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest
import yaml
from google.cloud.devtools import cloudbuild_v1

from infra.ci import lock

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / "cloudbuild.yaml"
BUILDER = ROOT / "infra" / "ci" / "builder.yaml"


def load(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(path.read_text("utf-8"))
    return found


STEPS = {step["id"]: step for step in load(BUILD)["steps"]}


def before(step: str) -> set[str]:
    """Every step that must have ended well before this one begins."""
    found: set[str] = set()
    for name in STEPS[step].get("waitFor", ()):
        found |= {name} | before(name)
    return found


def test_every_module_and_file_that_a_step_names_exists() -> None:
    for step in STEPS.values():
        for module in re.findall(r"-m (infra[\w.]*)", step["script"]):
            assert (ROOT / (module.replace(".", "/") + ".py")).exists(), module
        assert (ROOT / step.get("dir", ".")).is_dir()
        for name in re.findall(r"requirements[\w-]*\.txt", step["script"]):
            assert (ROOT / name).exists()


@pytest.mark.parametrize("name", STEPS)
def test_every_script_is_one_for_the_shell(name: str) -> None:
    script = STEPS[name]["script"]
    assert script.startswith("#!/usr/bin/env bash\n")
    assert "set -euo pipefail" in script or script.count("\n") == 2
    done = subprocess.run(["bash", "-n", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("path", [BUILD, BUILDER], ids=lambda path: path.name)
def test_the_pipelines_are_messages_that_cloud_build_reads(path: Path) -> None:
    message = cloudbuild_v1.Build.from_json(json.dumps(load(path)), ignore_unknown_fields=False)
    assert [step.id for step in message.steps] == [step["id"] for step in load(path)["steps"]]


def test_nothing_is_deployed_before_every_check_was_clean() -> None:
    checks = {"check", "vulnerabilities", "tests", "terraform", "package"}
    assert checks <= before("plan")
    assert "plan" in before("apply")
    assert "apply" in before("smoke")


def test_the_pipeline_and_make_run_the_same_checks() -> None:
    make = (ROOT / "Makefile").read_text("utf-8")
    [pytest_] = re.findall(r"-m pytest (--numprocesses .*)", make)
    for command in ("-m infra.ci.check", f"-m pytest {pytest_}"):
        assert command in make
        assert any(command in step["script"] for step in STEPS.values())
    assert STEPS["tests"]["env"] == ["CI=true"]


def test_every_test_is_part_of_one_stage_and_a_push_runs_two_of_three() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["pytest"]
    assert "-m 'not proof and not soak'" in settings["ini_options"]["addopts"]
    make = (ROOT / "Makefile").read_text("utf-8")
    assert "\t$(PYTEST) --durations=10\n" in make
    assert " -m '(proof or hypothesis) and not soak'\n" in make
    assert "\t$(RUN) -m pytest -m soak\n" in make
    assert "-m 'not soak'" in STEPS["tests"]["script"]
    script = (ROOT / ".ci" / "run").read_text("utf-8")
    assert re.findall(r"^stage (\w+)$", script, re.M) == ["test", "proof"]


@pytest.mark.parametrize("path", [BUILD, BUILDER], ids=lambda path: path.name)
def test_builds_run_as_the_deployer_and_log_where_it_may(path: Path) -> None:
    build = load(path)
    assert build["serviceAccount"].endswith("/deploy@${PROJECT_ID}.iam.gserviceaccount.com")
    assert build["options"]["logging"] == "CLOUD_LOGGING_ONLY"
    text = path.read_text("utf-8")
    used = set(re.findall(r"\$\{(_[A-Z]+)\}", text))
    assert used <= set(build["substitutions"])
    assert set(build["substitutions"]) <= used


def test_terraform_gives_the_trigger_the_names_that_the_build_knows() -> None:
    trigger = (ROOT / "terraform" / "ci.tf").read_text("utf-8")
    given = set(re.findall(r"^    (_[A-Z]+) +=", trigger, re.M))
    assert given
    assert given <= set(load(BUILD)["substitutions"])


def test_the_build_packs_the_product_that_functions_are_told() -> None:
    assert load(BUILD)["substitutions"]["_PRODUCT"] == lock.DEFAULT
    trigger = (ROOT / "terraform" / "ci.tf").read_text("utf-8")
    assert re.search(r"_PRODUCT *= *var.product", trigger)


def test_the_image_has_what_the_tests_need_and_comes_from_google() -> None:
    text = (ROOT / "infra" / "ci" / "Dockerfile").read_text("utf-8")
    sources = re.findall(r"^FROM (\S+)", text, re.M)
    assert all(re.match(r"(?:mirror\.)?gcr\.io/", source) for source in sources)
    assert all(":" in source and not source.endswith(":latest") for source in sources)
    for part in ("emulators", "node:20", "terraform:1.11", "java -version"):
        assert part in text
