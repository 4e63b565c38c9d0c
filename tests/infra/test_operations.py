"""docs/operations.md is true: what it names exists, and its list of files is complete."""

from __future__ import annotations

import re
from pathlib import Path

from tests.infra.hcl import TERRAFORM, variables

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "operations.md"
TEXT = PAGE.read_text("utf-8")


def test_every_link_and_path_leads_somewhere() -> None:
    for target in re.findall(r"\]\(([^)\s]+)\)", TEXT):
        assert (PAGE.parent / target.partition("#")[0]).exists(), target
    for name in re.findall(r"`((?:terraform|infra|tests|docs)/[\w./-]+)`", TEXT):
        assert (ROOT / name).exists() or name.endswith(".terraform.lock.hcl"), name


def test_every_file_of_terraform_is_named() -> None:
    for path in TERRAFORM.glob("*.tf"):
        if path.name not in ("outputs.tf", "versions.tf"):
            assert f"terraform/{path.name}" in TEXT, path.name


def test_every_variable_that_is_named_exists() -> None:
    declared = variables(TERRAFORM / "variables.tf")
    [table] = re.findall(r"^\| variable \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", TEXT, re.M)
    assert set(re.findall(r"^\| `(\w+)`", table, re.M)) <= set(declared)
