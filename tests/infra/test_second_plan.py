"""A choice that is changed later takes nobody's rights away, and no key, not even for the time of an apply.

Terraform replaces what it does not know yet: a grant or a key whose value becomes "known after apply" is
taken away and given back. So everything is applied once, with a provider that makes values up, and then
every variable is switched, in as few plans as there are models to choose from: plans are slow, and what is
touched has a name. It is done on a copy without waits, and without the protection of keys.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from tests.infra import planned
from tests.infra.hcl import TERRAFORM, variables
from tests.infra.planned import Terraform

#: Variables with other values than the first apply had.
SWITCHED: Mapping[str, str] = {
    "alert_emails": '["ops@example.org", "more@example.org"]',
    "allowed_origins": '["https://desk.example.org"]',
    "artifact_days": "7",
    "audit_log_days": "30",
    "backup": "{ daily_days = 3, export_days = 7, weekly_days = 14 }",
    "analytics": '{ readers = ["group:analysts@example.org"] }',
    "budget": '{ amount = 100, billing_account = "012345-678901-ABCDEF" }',
    "deletion_protection": "false",
    "environment": '"other"',
    "firestore": "{ customer_key = true }",
    "load_balancer": '{ domain = "api.example.org" }',
    "min_instances": "false",
    "model_cost": "{ daily_cap = 20, hour = 1 }",
    "notifier": '"fcm"',
    "operators": '["group:ops@example.org"]',
    "release": '"r2"',
    "second_look": '{ endpoint = "7" }',
    "secret_days": "30",
    "secret_versions": '{ page-secret = "2" }',
    "settings": '{ LOG_LEVEL = "DEBUG" }',
    "slo": "{ availability = 0.99 }",
    "source_archive": '"../infra/openapi.json"',
    "trigger": '{ approval = true, branch = "main", repository = "r" }',
}

#: One model at a time: each with all of the others.
MODELS: Mapping[str, str] = {
    "medgemma": "{ accept_eula = true }",
    "model_server": '{ name = "m", url = "https://models.example.org/v1" }',
    "vertex": '{ endpoint = "1" }',
}

#: Where everything is, or what it is called: another value is another deployment.
ANOTHER_DEPLOYMENT = {"name", "product", "project", "region"}

#: Who has rights, and keys.
GUARDED = re.compile(r"google_(\w+_iam_(member|binding|policy)|kms_\w+|service_account)$")

FIRST = """
mock_provider "google" {
  mock_resource "google_cloudfunctions2_function" {
    defaults = { service_config = { uri = "https://service.example.run.app" } }
  }

  override_data {
    target = data.google_project.this
    values = { number = "123456789012" }
  }
}

variables {
  alert_emails   = ["ops@example.org"]
  environment    = "test"
  project        = "clinic"
  source_archive = "../infra/functions.yaml"
}

run "first" {
  command = apply
}
"""


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    made = planned.copy(tmp_path_factory.mktemp("second"))
    for path in made.folder.rglob("*.tf"):
        text = re.sub(r'"sleep \d+"', '"true"', path.read_text("utf-8"))
        path.write_text(text.replace("prevent_destroy = true", "prevent_destroy = false"), "utf-8")
    for path in (made.folder / "tests").iterdir():
        path.unlink()
    runs = ""
    for model, value in MODELS.items():
        given = "\n".join(
            f"    {name} = {each}" for name, each in {**SWITCHED, model: value}.items()
        )
        runs += f'run "{model}" {{\n  command = plan\n  variables {{\n{given}\n  }}\n}}\n'
    (made.folder / "tests" / "second.tftest.hcl").write_text(FIRST + runs, "utf-8")
    return made


def test_every_variable_is_switched() -> None:
    declared = set(variables(TERRAFORM / "variables.tf"))
    assert declared - ANOTHER_DEPLOYMENT == {*SWITCHED, *MODELS}


def touched(plan: Mapping[str, Any]) -> Iterator[str]:
    """What becomes of rights and keys that are there: all that is not left alone."""
    for each in plan["resource_changes"]:
        change = each["change"]
        if GUARDED.match(each["type"]) and change["before"] is not None:
            unknown = _true(change.get("after_unknown"))
            if unknown or change["actions"] != ["no-op"]:
                yield f"{each['address']}: {'+'.join(change['actions'])} {unknown}"


def _true(value: Any) -> list[str]:
    """Names of what is unknown."""
    if isinstance(value, dict):
        return [name for name, below in value.items() if below is True or _true(below)]
    return [name for below in value for name in _true(below)] if isinstance(value, list) else []


@pytest.mark.proof
def test_nothing_fails_when_a_variable_is_switched(terraform: Terraform) -> None:
    faults = [said["@message"] for said in terraform.tested if said["@level"] == "error"]
    assert faults == []
    assert set(terraform.plans()) >= set(MODELS)


@pytest.mark.proof
@pytest.mark.parametrize("model", MODELS)
def test_switching_every_variable_leaves_rights_and_keys_alone(
    model: str, terraform: Terraform
) -> None:
    plan = terraform.plans()[model]
    there = [each for each in plan["resource_changes"] if each["change"]["before"] is not None]
    assert sum(1 for each in there if GUARDED.match(each["type"])) > 60
    assert sorted(touched(plan)) == []
