"""`terraform show -json PLAN | python -m infra.ci.rules`: what Google would refuse of a plan.

The provider's schema knows names and types of arguments; that an account's id has six characters or
that a service takes no audit configuration stands in code and pages, and is found by the first apply.
`google_rules.yaml` holds those rules as data, with their sources. Beyond single arguments a plan is held
against three more: its APIs are switched on, every metric that an alert or chart names exists, and no chart
asks for metrics by a pattern, which Monitoring's PromQL does not draw. Exit code 1 names what is wrong.

Looks at values that the plan knows; what is known after the apply only is left alone.
"""

from __future__ import annotations

import base64
import json
import re
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

import yaml

#: Metrics of Google's services that we name: type → kind of value (monitoring/api/metrics_gcp).
METRICS: Mapping[str, str] = {
    "aiplatform.googleapis.com/prediction/online/replicas": "INT64",
    "firestore.googleapis.com/document/read_ops_count": "INT64",
    "firestore.googleapis.com/document/write_ops_count": "INT64",
    "monitoring.googleapis.com/uptime_check/check_passed": "BOOL",
    "pubsub.googleapis.com/subscription/num_undelivered_messages": "INT64",
    "pubsub.googleapis.com/subscription/oldest_unacked_message_age": "INT64",
    "run.googleapis.com/container/instance_count": "INT64",
    "run.googleapis.com/request_count": "INT64",
    "run.googleapis.com/request_latencies": "DISTRIBUTION",
    "serviceruntime.googleapis.com/quota/exceeded": "BOOL",
}

#: Metrics made of log lines are named like this, then by us.
OURS = "logging.googleapis.com/user/"


@cache
def rules() -> dict[str, dict[str, Any]]:
    """The table: resource type → `api`, `source`, `rules`."""
    text = Path(__file__).with_name("google_rules.yaml").read_text("utf-8")
    found: dict[str, dict[str, Any]] = yaml.safe_load(text)
    return found


def values(value: Any, path: str) -> Iterator[Any]:
    """Everything at a dotted path, through lists; what is null or unknown is left out."""
    if isinstance(value, list):
        for each in value:
            yield from values(each, path)
    elif not path:
        if value is not None:
            yield value
    elif isinstance(value, dict):
        name, _, rest = path.partition(".")
        yield from values(value.get(name), rest)


def fault(value: Any, rule: Mapping[str, Any]) -> str | None:
    """What is wrong with one value; None: nothing."""
    text = str(value)
    if "pattern" in rule and not re.fullmatch(rule["pattern"], text):
        return f"is not {rule['pattern']}"
    if "one_of" in rule and text not in {str(each) for each in rule["one_of"]}:
        return "is none of those that there are"
    if len(text) < rule.get("shortest", 0) or len(text) > rule.get("longest", len(text)):
        return f"has {len(text)} characters"
    if "least" in rule or "most" in rule:
        number = float(text.removesuffix("s"))
        if number < rule.get("least", number) or number > rule.get("most", number):
            return f"is not from {rule.get('least')} to {rule.get('most')}"
    return None


def resources(plan: Mapping[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    """Address, type and planned values of what a plan keeps or makes, with our provider."""
    for change in plan.get("resource_changes", ()):
        kept = change.get("mode", "managed") == "managed" and change["change"].get("after")
        if kept and change["type"].startswith("google_"):
            yield change["address"], change["type"], kept


def prometheus_names(plan: Mapping[str, Any]) -> set[str]:
    """Names by which PromQL knows the metrics that there are once this plan is applied.

    Of a distribution these are `_bucket`, `_sum` and `_count`; otherwise the name itself
    (cloud.google.com/monitoring/promql/promql-mapping).
    """
    kinds = dict(METRICS)
    for _, kind, after in resources(plan):
        if kind == "google_logging_metric":
            kinds[OURS + after["name"]] = after["metric_descriptor"][0]["value_type"]
    names = set()
    for metric, value_type in kinds.items():
        domain, _, path = metric.partition("/")
        name = f"{domain.replace('.', '_')}:{re.sub(r'[^a-zA-Z0-9]', '_', path)}"
        ends = ("_bucket", "_sum", "_count") if value_type == "DISTRIBUTION" else ("",)
        names |= {name + end for end in ends}
    return names


def queries(dashboard: Any) -> Iterator[str]:
    """Every PromQL query of a dashboard."""
    if isinstance(dashboard, dict):
        for name, value in dashboard.items():
            if name == "prometheusQuery":
                yield value
            else:
                yield from queries(value)
    elif isinstance(dashboard, list):
        for each in dashboard:
            yield from queries(each)


def exported_elsewhere(
    address: str, kind: str, after: Mapping[str, Any], found: list[tuple[str, str, dict[str, Any]]]
) -> Iterator[str]:
    """A scheduled export into a bucket that does not span the database's location.

    Firestore answers 400 "This database can only operate on buckets spanning location asia or
    asia-northeast1": its own region, or its continent's multi-region.
    """
    target: Mapping[str, Any] = {}
    if kind == "google_cloud_scheduler_job":
        target = next(values(after, "http_target"), {})
    if target.get("uri", "").endswith(":exportDocuments") and target.get("body"):
        prefix = json.loads(base64.b64decode(target["body"]))["outputUriPrefix"]
        bucket = prefix.removeprefix("gs://").partition("/")[0]
        [database] = [each["location_id"] for _, kind, each in found if kind.endswith("e_database")]
        for _, other, each in found:
            if other == "google_storage_bucket" and each["name"] == bucket:
                span = each["location"].lower()
                if span not in (database, database.split("-")[0].replace("europe", "eu")):
                    yield f"{address}: {bucket} in {span} does not span {database}"


def problems(plan: Mapping[str, Any]) -> Iterator[str]:
    """What Google would refuse, or never show."""
    found = list(resources(plan))
    enabled = {after["service"] for _, kind, after in found if kind == "google_project_service"}
    charted = prometheus_names(plan)
    logged = {after["name"] for _, kind, after in found if kind == "google_logging_metric"}
    for address, kind, after in found:
        known = rules().get(kind)
        if known is None:
            yield f"{address}: nobody has looked at {kind} yet (infra/ci/google_rules.yaml)"
            continue
        if known["api"] not in enabled:
            yield f"{address}: {known['api']} is not switched on"
        for path, rule in known.get("rules", {}).items():
            for value in values(after, path):
                if wrong := fault(value, rule):
                    yield f"{address}: {path} {value!r} {wrong} ({known['source']})"
        for metric in re.findall(r'metric\.type="([^"]+)"', json.dumps(after).replace('\\"', '"')):
            if metric not in METRICS and metric.removeprefix(OURS) not in logged:
                yield f"{address}: no metric {metric}"
        yield from exported_elsewhere(address, kind, after, found)
        if kind == "google_monitoring_dashboard":
            for query in queries(json.loads(after["dashboard_json"])):
                if "__name__" in query:
                    yield f"{address}: asks for metrics by a pattern: {query}"
                for name in re.findall(r"\b\w+_googleapis_com:\w+", query):
                    if name not in charted:
                        yield f"{address}: no metric {name}"


def main() -> int:
    """Read a plan from standard input, print what is wrong with it."""
    wrong = list(problems(json.load(sys.stdin)))
    print("\n".join(wrong) if wrong else "nothing that Google is known to refuse")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
