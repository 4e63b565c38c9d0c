"""Plans of Terraform hold what Google asks of them, in an order in which Google can make it.

`terraform validate` knows names and types. What stopped a first apply on an empty project stands here, each
with the check that would have seen it; docs/operations.md has the list.
"""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from infra.ci import rules
from tests.infra import planned
from tests.infra.hcl import resources
from tests.infra.planned import Terraform


@pytest.fixture(scope="module")
def terraform(tmp_path_factory: pytest.TempPathFactory) -> Terraform:
    return planned.copy(tmp_path_factory.mktemp("terraform"))


# --- single values


def test_no_plan_holds_what_google_refuses(terraform: Terraform) -> None:
    plans = terraform.plans()
    assert {"dev", "prod", "notices_by_fcm", "endpoint_of_our_own", "photos"} <= set(plans)
    found = {problem for plan in plans.values() for problem in rules.problems(plan)}
    assert sorted(found) == []


def test_every_type_that_we_use_has_been_looked_at_and_no_other_is_listed() -> None:
    assert {kind for kind, _, _ in resources() if kind.startswith("google_")} == set(rules.rules())
    for kind, known in rules.rules().items():
        assert known["source"], kind
        assert re.fullmatch(r"[a-z]+\.googleapis\.com", known["api"]), kind
        for rule in known.get("rules", {}).values():
            assert set(rule) <= {"pattern", "one_of", "shortest", "longest", "least", "most"}


def plan_of(
    kind: str, after: dict[str, Any], *others: tuple[str, dict[str, Any]]
) -> dict[str, Any]:
    """A plan of one resource and its API, and of others."""
    api = rules.rules().get(kind, {}).get("api", "")
    planned = [("google_project_service", {"service": api}), (kind, after), *others]
    planned.append(("google_project_service", {"service": "serviceusage.googleapis.com"}))
    return {
        "resource_changes": [
            {"address": f"{each}.it", "type": each, "change": {"after": values}}
            for each, values in planned
        ]
    }


def chart(query: str) -> dict[str, str]:
    data = {"widget": {"xyChart": {"dataSets": [{"timeSeriesQuery": {"prometheusQuery": query}}]}}}
    return {"dashboard_json": json.dumps({"tiles": [data]})}


DOCUMENTS = "firestore_googleapis_com:document_read_ops_count"
LATENCY = {"name": "age_ms", "metric_descriptor": [{"value_type": "DISTRIBUTION"}]}


@pytest.mark.parametrize(
    ("kind", "after", "said"),
    [
        # what the first plan on an empty project would have met
        ("google_service_account", {"account_id": "build"}, "account_id 'build'"),
        ("google_project_iam_audit_config", {"service": "firestore.googleapis.com"}, "service"),
        (
            "google_project_iam_audit_config",
            {"service": "iamcredentials.googleapis.com"},
            "service",
        ),
        ("google_monitoring_dashboard", chart('rate({__name__=~"firestore.*"}[5m])'), "a pattern"),
        # the same kinds
        ("google_service_account", {"account_id": "a" * 31}, "account_id"),
        ("google_service_account", {"account_id": "fn-sync", "description": "x" * 257}, "257"),
        ("google_monitoring_dashboard", chart("run_googleapis_com:requests"), "no metric"),
        (
            "google_monitoring_alert_policy",
            {"x": 'metric.type="run.googleapis.com/x"'},
            "no metric",
        ),
        ("google_pubsub_subscription", {"name": "a", "ack_deadline_seconds": 601}, "601"),
        ("google_pubsub_subscription", {"message_retention_duration": "60s"}, "'60s'"),
        ("google_storage_bucket", {"name": "Photos"}, "name"),
        ("google_firestore_database", {"location_id": "europe-west99"}, "location_id"),
        ("google_cloud_scheduler_job", {"attempt_deadline": "3600s"}, "attempt_deadline"),
        (
            "google_cloudfunctions2_function",
            {"service_config": [{"timeout_seconds": 3601}]},
            "3601",
        ),
        ("google_compute_security_policy", {"rule": [{"description": "x" * 65}]}, "65 characters"),
        ("google_redis_instance", {"name": "x"}, "nobody has looked"),
    ],
)
def test_what_google_refuses_is_seen(kind: str, after: dict[str, Any], said: str) -> None:
    found = list(rules.problems(plan_of(kind, after)))
    assert [problem for problem in found if said in problem], found


@pytest.mark.parametrize(
    ("kind", "after"),
    [
        ("google_service_account", {"account_id": "deploy", "description": None}),
        ("google_monitoring_dashboard", chart(f"rate({DOCUMENTS}[5m])")),
        ("google_monitoring_dashboard", chart("logging_googleapis_com:user_age_ms_bucket")),
        ("google_pubsub_subscription", {"ack_deadline_seconds": 600}),
        ("google_cloudfunctions2_function", {"service_config": [{"timeout_seconds": 3600}]}),
        ("google_storage_bucket", {"name": "clinic-photos", "lifecycle_rule": []}),
    ],
)
def test_what_google_takes_is_left_alone(kind: str, after: dict[str, Any]) -> None:
    logging = ("google_project_service", {"service": "logging.googleapis.com"})
    assert (
        list(rules.problems(plan_of(kind, after, logging, ("google_logging_metric", LATENCY))))
        == []
    )


def test_an_api_that_is_not_switched_on_is_seen() -> None:
    plan = plan_of("google_kms_key_ring", {"name": "ring"})
    plan["resource_changes"] = plan["resource_changes"][1:]
    [problem] = rules.problems(plan)
    assert problem.endswith("cloudkms.googleapis.com is not switched on")


def test_terraform_s_own_tests_pass(terraform: Terraform) -> None:
    [summary] = [said["test_summary"] for said in terraform.tested if "test_summary" in said]
    faults = [said["@message"] for said in terraform.tested if said["@level"] == "error"]
    assert summary["status"] == "pass", faults
    assert summary["failed"] == summary["errored"] == 0
