"""Plans of Terraform hold what Google asks of them, in an order in which Google can make it.

`terraform validate` knows names and types. What stopped a first apply on an empty project stands here, each
with the check that would have seen it; docs/operations.md has the list.
"""

from __future__ import annotations

import base64
import bisect
import json
import re
from collections.abc import Sequence
from typing import Any

import pytest

from infra.ci import rules
from infra.local.table import load
from tests.infra import planned
from tests.infra.hcl import ROOT, local, of_kind, resources
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
    faults = [
        said.get("diagnostic", said["@message"])
        for said in terraform.tested
        if said["@level"] == "error"
    ]
    assert summary["status"] == "pass", faults
    assert summary["failed"] == summary["errored"] == 0


# --- the order in which things are made


def test_every_resource_waits_until_the_apis_are_there(terraform: Terraform) -> None:
    ours = {node for node in terraform.graph if re.search(r"(^|\.)google_\w+\.\w+$", node)}
    ours = {node for node in ours if not node.startswith("data.")}
    assert len(ours) > 80
    early = {node for node in ours if "terraform_data.apis" not in terraform.before(node)}
    assert early == {"google_project_service.this"}


def test_no_data_source_waits_for_anything(terraform: Terraform) -> None:
    # one that does is read anew when that changes, and what was made of it is replaced: a grant of the
    # photos' key was, whenever an API was added
    read = {node for node in terraform.graph if re.search(r"(^|\.)data\.", node)}
    assert read == {"data.google_project.this"}
    assert {node: terraform.graph[node] for node in read} == {"data.google_project.this": set()}


@pytest.mark.parametrize(
    ("made", "first"),
    [
        # 404 for up to ten minutes: issue 11102 of the provider
        ("google_monitoring_alert_policy.this", "terraform_data.metrics"),
        ("terraform_data.metrics", "google_logging_metric.counted"),
        ("terraform_data.metrics", "google_logging_metric.measured"),
        # a build fails for good: issue 20571
        ("module.function.google_cloudfunctions2_function.this", "terraform_data.build_grants"),
        ("terraform_data.build_grants", "google_project_iam_member.build"),
        ("terraform_data.build_grants", "google_storage_bucket_iam_member.build"),
        ("terraform_data.build_grants", "google_artifact_registry_repository_iam_member.build"),
        # a secret is read by the first instance, a key used by what is encrypted with it
        (
            "module.function.google_cloudfunctions2_function.this",
            "module.function.terraform_data.grants",
        ),
        (
            "module.function.terraform_data.grants",
            "module.function.google_secret_manager_secret_iam_member.reads",
        ),
        ("google_storage_bucket.photos", "terraform_data.key_grants"),
        ("google_pubsub_topic.jobs", "terraform_data.key_grants"),
        ("google_secret_manager_secret.this", "terraform_data.key_grants"),
        ("google_artifact_registry_repository.functions", "terraform_data.key_grants"),
        ("terraform_data.key_grants", "google_kms_crypto_key_iam_member.agents"),
        ("terraform_data.apis", "google_project_service.this"),
        # an index is built before the code comes that asks by it
        ("module.function.google_cloudfunctions2_function.this", "google_firestore_index.this"),
        ("module.function.google_cloudfunctions2_function.this", "google_firestore_field.this"),
    ],
)
def test_what_google_needs_first_is_made_first(made: str, first: str, terraform: Terraform) -> None:
    assert first in terraform.before(made)


def test_every_wait_waits_and_is_not_repeated_without_a_change() -> None:
    waits = {name: body for kind, name, body in resources() if kind == "terraform_data"}
    assert set(waits) == {"apis", "build_grants", "grants", "key_grants", "metrics"}
    for name, body in waits.items():
        [command] = [each["local-exec"]["command"] for each in body["provisioner"]]
        assert re.fullmatch(r"sleep \d+", command), name
        assert "timestamp" not in body["triggers_replace"], name
    assert waits["metrics"]["provisioner"][0]["local-exec"]["command"] == "sleep 600"


def test_an_alert_never_names_a_check_that_is_gone() -> None:
    [check] = of_kind("google_monitoring_uptime_check_config").values()
    assert check["lifecycle"] == [{"create_before_destroy": True}]


# --- before Terraform: infra/bootstrap.sh


def bootstrap() -> list[list[str]]:
    """Words of every gcloud call of the script, lines joined."""
    text = (ROOT / "infra" / "bootstrap.sh").read_text("utf-8").replace("\\\n", " ")
    return [line.split() for line in text.splitlines() if line.strip().startswith("gcloud ")]


def test_bootstrap_switches_on_every_api_that_terraform_needs(terraform: Terraform) -> None:
    calls = [words for words in bootstrap() if words[1:3] == ["services", "enable"]]
    given = [{word for word in words if word.endswith(".googleapis.com")} for words in calls]
    assert all(len(apis) <= 20 for apis in given), "one call takes twenty"
    plan = terraform.plans()["dev"]
    wanted = {
        after["service"]
        for _, kind, after in rules.resources(plan)
        if kind == "google_project_service"
    }
    assert wanted <= set().union(*given)
    # orgpolicy is asked by the script itself
    assert set().union(*given) - wanted == {"orgpolicy.googleapis.com"}


def test_bootstrap_makes_every_agent_that_terraform_gives_rights_to() -> None:
    text = (ROOT / "infra" / "bootstrap.sh").read_text("utf-8")
    [loop] = re.findall(r"^for service in (.*); do$", text, re.M)
    agents = set(re.findall(r'(\w+) *= "g[\w-]+"', local("agents")))
    assert len(agents) > 4
    assert agents - {"storage"} <= set(loop.split())
    assert "gcloud storage service-agent" in text


def test_whoever_calls_a_function_may_make_the_token_it_brings(terraform: Terraform) -> None:
    # in most projects Google grants this by itself; where an organisation takes that away, every push fails
    agents = {"push": "gcp-sa-pubsub", "schedule": "gcp-sa-cloudscheduler"}
    given = {
        address: after
        for address, kind, after in rules.resources(terraform.plans()["dev"])
        if kind == "google_service_account_iam_member"
    }
    for name, row in load().items():
        found = given.get(f'module.function["{name}"].google_service_account_iam_member.token[0]')
        here = "dermadetect" in (row.products or ["dermadetect"])
        assert (found is not None) is (here and row.trigger in agents), name
        if found:
            assert found["role"] == "roles/iam.serviceAccountTokenCreator"
            assert f"@{agents[row.trigger]}.iam.gserviceaccount.com" in found["member"]


# --- copies that outlive the region


def exporting(bucket: str, database: str) -> dict[str, Any]:
    body = base64.b64encode(b'{"outputUriPrefix": "gs://copies"}').decode()
    uri = "https://firestore.googleapis.com/v1/projects/p/databases/d:exportDocuments"
    return plan_of(
        "google_cloud_scheduler_job",
        {"http_target": [{"uri": uri, "body": body}]},
        ("google_storage_bucket", {"name": "copies", "location": bucket}),
        ("google_firestore_database", {"location_id": database}),
        ("google_project_service", {"service": "storage.googleapis.com"}),
        ("google_project_service", {"service": "firestore.googleapis.com"}),
    )


@pytest.mark.parametrize(
    ("bucket", "database", "works"),
    [
        ("EU", "europe-west1", True),
        ("europe-west1", "europe-west1", True),
        ("ASIA", "asia-northeast1", True),
        ("US", "us-central1", True),
        # where one would put it: refused with 400 "can only operate on buckets spanning location"
        ("europe-west4", "europe-west1", False),
        ("us-central1", "asia-northeast1", False),
        ("EU", "us-central1", False),
    ],
)
def test_an_export_goes_where_firestore_lets_it(bucket: str, database: str, works: bool) -> None:
    found = list(rules.problems(exporting(bucket, database)))
    assert (found == []) is works
    assert works or "does not span" in found[0]


def test_records_are_copied_out_of_the_region(terraform: Terraform) -> None:
    for name in ("dev", "prod"):
        by_address = {
            address: after for address, _, after in rules.resources(terraform.plans()[name])
        }
        bucket = by_address['google_storage_bucket.exports["records"]']
        assert bucket["location"] == "EU", name
        job = by_address['google_cloud_scheduler_job.exports["records"]']
        asked = json.loads(base64.b64decode(job["http_target"][0]["body"]))
        assert asked == {"outputUriPrefix": f"gs://{bucket['name']}"}
        ring = by_address['google_kms_key_ring.exports["records"]']
        assert ring["location"] == "europe"


# --- alerts on percentiles


def percentile(bounds: Sequence[float], values: Sequence[float], share: float) -> float:
    """A percentile as Monitoring reckons it: within the bucket, as if its values lay evenly.

    A bucket holds `lower <= value < upper` (monitoring/api/ref_v3 Distribution); of the last, which has no
    upper bound, the lower one is taken.
    """
    counts = [0] * (len(bounds) + 1)
    for value in values:
        counts[bisect.bisect_right(bounds, value)] += 1
    wanted, before = share * len(values), 0.0
    for bucket, count in enumerate(counts):
        if count and before + count >= wanted:
            lower = bounds[bucket - 1] if bucket else 0.0
            upper = bounds[bucket] if bucket < len(bounds) else lower
            return lower + (upper - lower) * (wanted - before) / count
        before += count
    raise ValueError("no values")


def test_percentiles_lie_where_their_bucket_is() -> None:
    powers = [2.0**n for n in range(33)]
    # what the alert "waiting for more than half an hour" once saw of a job that waited for 18 minutes
    assert percentile(powers, [18 * 60_000], 0.99) > 30 * 60_000
    assert percentile([10, 20], [12], 0.5) == 15
    assert percentile([10, 20], [25], 0.5) == 20


def test_an_alert_on_a_percentile_fires_above_its_threshold_and_not_below(
    terraform: Terraform,
) -> None:
    planned = list(rules.resources(terraform.plans()["dev"]))
    none_of_its_own: dict[str, list[float]] = {}
    bounds = {
        f"{rules.OURS}{after['name']}": next(
            iter(rules.values(after, "bucket_options.explicit_buckets")), none_of_its_own
        ).get("bounds", [2.0**n for n in range(33)])
        for _, kind, after in planned
        if kind == "google_logging_metric"
    }
    seen = 0
    for address, kind, after in planned:
        aligner = "conditions.condition_threshold.aggregations.per_series_aligner"
        if kind != "google_monitoring_alert_policy" or not any(
            word.startswith("ALIGN_PERCENTILE") for word in rules.values(after, aligner)
        ):
            continue
        [condition] = rules.values(after, "conditions.condition_threshold")
        [metric] = re.findall(r'metric\.type="([^"]+)"', condition["filter"])
        above = float(condition["threshold_value"])
        unit = 1 if above < 1000 else 1000
        assert percentile(bounds[metric], [above - unit] * 5, 0.99) < above, address
        assert percentile(bounds[metric], [above] * 5, 0.99) > above, address
        seen += 1
    assert seen >= 2


# --- quotas of a new project


def test_no_function_asks_for_more_processors_than_a_new_project_has() -> None:
    # Cloud Run refuses a service whose instances could take more than the region's quota
    # (CpuAllocPerProjectRegion): 20 vCPU in new projects, seen in many of them
    for name, row in load().items():
        assert row.max_instances * row.cpu <= 20, name


def test_a_first_sync_may_take_an_hour() -> None:
    assert load()["sync"].timeout_seconds == 3600
