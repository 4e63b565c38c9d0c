"""The checkers of the folder that INFRA_TOOLS names find nothing.

They hold Terraform against the provider's own schema and cloudbuild.yaml against Cloud Build's
message, without a registry and without Google Cloud. The Makefile names the folder beside the
repository. Where INFRA_TOOLS names none, as in cloudbuild.yaml, the real provider is asked instead
(test_plans.py, which fails in CI if that is not there either), and test_cloudbuild.py reads the message.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from shared.products.known import names
from tests.conftest import absent
from tests.infra.hcl import ENVIRONMENTS, ROOT, TERRAFORM, read

#: Longest a checker may take on a loaded machine, seconds.
TIMEOUT_SECONDS = 900


def tool(name: str) -> Path:
    """A checker of the folder that INFRA_TOOLS names; a skip if it names none."""
    folder = os.environ.get("INFRA_TOOLS", "")
    if not folder:
        pytest.skip(f"no {name}: INFRA_TOOLS names no folder (the real provider: test_plans.py)")
    path = (ROOT / folder / name).resolve()
    if not path.is_file():
        absent(f"no {name} in {folder}")
    return path


def run(*command: str | Path) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [str(part) for part in command],
        cwd=ROOT,
        env={**os.environ, "CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
        check=False,
        timeout=TIMEOUT_SECONDS,
    )


def copy(folder: Path) -> None:
    """What Terraform reads, as it is in the repository."""
    shutil.copytree(
        TERRAFORM,
        folder / "terraform",
        ignore=shutil.ignore_patterns(".terraform", ".terraform.lock.hcl"),
    )
    shutil.copytree(ROOT / "infra", folder / "infra", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".env.example", folder)


def test_the_configuration_fits_the_provider_s_schema() -> None:
    done = run(sys.executable, tool("tfcheck"), TERRAFORM)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_pipelines_fit_cloud_build_s_message() -> None:
    done = run(sys.executable, tool("cloudbuildcheck"), "cloudbuild.yaml", "infra/ci/builder.yaml")
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.proof
@pytest.mark.parametrize(
    "what", ["validate"]
)  # "test": test_plans.py, which looks at the plans too
def test_terraform_itself_takes_the_configuration(what: str, tmp_path: Path) -> None:
    checker = tool("tfvalidate")
    if shutil.which("terraform") is None:
        absent("terraform is not installed")
    # of a copy: the checker packs the whole tree, and other tests write beside it meanwhile
    copy(tmp_path)
    done = run("git", "init", "--quiet", tmp_path)
    assert done.returncode == 0, done.stderr
    done = run(checker, tmp_path / "terraform", what)
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_plans_that_are_tested_are_those_of_the_environments() -> None:
    tested = {
        name: block["variables"][0]
        for run in read(TERRAFORM / "tests" / "environments.tftest.hcl")["run"]
        for name, block in run.items()
    }
    others = {name: tested.pop(name) for name in names() if name in tested}
    assert tested == {path.name: read(path / "terraform.tfvars") for path in ENVIRONMENTS}
    assert others
    assert all(given["product"] == name for name, given in others.items())


def test_checkov_finds_nothing() -> None:
    if shutil.which("checkov") is None:
        # Not a failure in CI: it needs a hundred packages of its own, which nothing else here needs.
        pytest.skip("checkov is not installed")
    done = run("checkov", "--directory", TERRAFORM, "--skip-download", "--compact", "--quiet")
    assert done.returncode == 0, done.stdout + done.stderr


def test_every_waived_finding_has_a_reason() -> None:
    waived = [
        line
        for path in (*TERRAFORM.rglob("*.tf"), ROOT / "infra" / "ci" / "Dockerfile")
        for line in path.read_text("utf-8").splitlines()
        if "checkov:skip" in line
    ]
    assert waived
    for line in waived:
        assert re.search(r"# checkov:skip=CKV2?_[A-Z]+_\d+: [A-Z].{20,}\.$", line), line


def test_with_a_registry_in_reach_terraform_init_and_validate_pass(tmp_path: Path) -> None:
    if shutil.which("terraform") is None:
        absent("terraform is not installed")
    copy(tmp_path)
    command = ["terraform", f"-chdir={tmp_path / 'terraform'}"]
    environ = {**os.environ, "CHECKPOINT_DISABLE": "1", "TF_REGISTRY_CLIENT_TIMEOUT": "5"}
    environ["TF_REGISTRY_DISCOVERY_RETRY"] = "0"

    def terraform(*words: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [*command, *words],
            env=environ,
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )

    made = terraform("init", "-backend=false", "-input=false", "-no-color")
    if made.returncode != 0 and "registry" in made.stderr:
        # Not a failure in CI: cloudbuild.yaml does the same in an image that reaches it.
        pytest.skip("terraform reaches no registry")
    assert made.returncode == 0, made.stderr
    checked = terraform("validate", "-no-color")
    assert checked.returncode == 0, checked.stdout + checked.stderr
