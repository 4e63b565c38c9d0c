"""Terraform itself on a copy of the configuration: its plans, its graph, without Google Cloud.

The provider is the stand-in of the folder that INFRA_TOOLS names (it knows the schema and nothing else),
or the real one where a registry is in reach, as in cloudbuild.yaml. Without either a test that needs it is
skipped at a desk and fails in CI.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

from tests.conftest import absent
from tests.infra.hcl import ROOT, TERRAFORM

#: Longest that Terraform may take on a loaded machine, seconds.
TIMEOUT_SECONDS = 900

#: State in a file of the copy, and keys that a test may take down again.
_OVERRIDE = 'terraform {\n  backend "local" {}\n}\n'


def stand_in() -> Path | None:
    """The folder of the provider's stand-in, ready to be used; None: there is none."""
    folder = os.environ.get("INFRA_TOOLS", "")
    tool = (ROOT / folder / "tfvalidate").resolve()
    if not folder or not tool.is_file():
        return None
    cache = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    plugins = Path(os.environ.get("TFVALIDATE_CACHE") or f"{cache}/tfvalidate") / "plugins"
    if not plugins.is_dir():  # the tool makes it
        subprocess.run([tool, TERRAFORM], capture_output=True, check=True, timeout=TIMEOUT_SECONDS)
    return plugins


@dataclass
class Terraform:
    """Terraform on a copy in `folder`, made by `copy`."""

    folder: Path
    environ: dict[str, str] = field(default_factory=dict)

    def run(self, *words: str) -> subprocess.CompletedProcess[str]:
        """`terraform WORDS` in the copy; it never waits for an answer."""
        return subprocess.run(
            ["terraform", *words],
            cwd=self.folder,
            env={**os.environ, **self.environ, "CHECKPOINT_DISABLE": "1", "TF_INPUT": "0"},
            capture_output=True,
            text=True,
            check=False,
            timeout=TIMEOUT_SECONDS,
        )

    @cached_property
    def tested(self) -> list[dict[str, Any]]:
        """What `terraform test` says, line by line, each run with its plan."""
        done = self.run("test", "-json", "-verbose")
        return [json.loads(line) for line in done.stdout.splitlines() if line.startswith("{")]

    def plans(self) -> dict[str, dict[str, Any]]:
        """The plan of every run of terraform/tests that has one, by the run's name."""
        return {said["@testrun"]: said["test_plan"] for said in self.tested if "test_plan" in said}

    @cached_property
    def graph(self) -> dict[str, set[str]]:
        """What each resource waits for, directly: address without keys → addresses."""
        done = self.run("graph")
        assert done.returncode == 0, done.stderr
        found: dict[str, set[str]] = {
            node: set() for node in re.findall(r'^\s+"([^"]+)" \[', done.stdout, re.M)
        }
        for node, other in re.findall(r'^\s+"([^"]+)" -> "([^"]+)"', done.stdout, re.M):
            found.setdefault(node, set()).add(other)
        return found

    def before(self, node: str) -> set[str]:
        """Everything that is there before a resource is made."""
        found: set[str] = set()
        left = [node]
        while left:
            new = self.graph.get(left.pop(), set()) - found
            found |= new
            left += new
        return found


def copy(folder: Path) -> Terraform:
    """A copy of what Terraform reads, initialised. Skips or fails where no provider is to be had."""
    if shutil.which("terraform") is None:
        absent("terraform is not installed")
    shutil.copytree(
        TERRAFORM,
        folder / "terraform",
        ignore=shutil.ignore_patterns(".terraform", ".terraform.lock.hcl"),
    )
    shutil.copytree(ROOT / "infra", folder / "infra", ignore=shutil.ignore_patterns("__pycache__"))
    shutil.copy(ROOT / ".env.example", folder)
    made = Terraform(folder / "terraform")
    (made.folder / "backend_override.tf").write_text(_OVERRIDE)
    plugins = stand_in()
    words = ["init", "-input=false", "-no-color"]
    if plugins is None:
        made.environ["TF_REGISTRY_CLIENT_TIMEOUT"] = "5"
        made.environ["TF_REGISTRY_DISCOVERY_RETRY"] = "0"
    else:
        tools = (ROOT / os.environ["INFRA_TOOLS"]).resolve()
        made.environ["GOOGLE_PROVIDER_SCHEMA"] = str(tools / "google-provider-schema.json")
        made.environ["TF_CLI_CONFIG_FILE"] = os.devnull
        words.append(f"-plugin-dir={plugins}")
    done = made.run(*words)
    if done.returncode != 0 and plugins is None and "registry" in done.stderr:
        absent("no provider: no registry is in reach, and INFRA_TOOLS names no stand-in")
    assert done.returncode == 0, done.stdout + done.stderr
    return made
