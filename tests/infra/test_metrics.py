"""Metrics count the lines that functions really write, and what is drawn or alerts has a metric."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

import pytest

from infra.local.table import load
from tests.infra.hcl import ROOT, TERRAFORM, local, of_kind
from tests.infra.logging_query import matches, value_at

COUNTED: Mapping[str, Mapping[str, Any]] = local("counted")
MEASURED: Mapping[str, Mapping[str, Any]] = local("measured")

#: Fields of a line that Cloud Logging takes out of jsonPayload.
_TAKEN = ("severity", "time")


def resolved(text: str) -> str:
    """A string of Terraform with the locals in it put in, as it is sent to Google."""
    while names := re.findall(r"\$\{local\.(\w+)\}", text):
        for name in names:
            text = text.replace(f"${{local.{name}}}", local(name))
    return text.replace('\\"', '"')


def whole(each: Mapping[str, Any]) -> str:
    """The filter of a metric, as metrics.tf puts it together."""
    text = resolved(f"${{local.from_functions}} {each['filter']}")
    return f"{text} jsonPayload.{each['field']}>=0" if "field" in each else text


@pytest.fixture(scope="module")
def entries() -> list[dict[str, Any]]:
    """What Cloud Logging would hold after everything happened once."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.infra.log_lines"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr
    found: list[dict[str, Any]] = []
    service = ""
    for line in map(json.loads, done.stdout.splitlines()):
        if set(line) == {"service"}:
            service = line["service"]
            continue
        payload = {name: value for name, value in line.items() if name not in _TAKEN}
        resource = {"type": "cloud_run_revision", "labels": {"service_name": service}}
        found.append({"severity": line["severity"], "resource": resource, "jsonPayload": payload})
    return found


def test_metrics_are_put_together_as_this_test_does_it() -> None:
    counted, measured = (of_kind("google_logging_metric")[name] for name in ("counted", "measured"))
    assert counted["filter"] == "${local.from_functions} ${each.value.filter}"
    assert measured["filter"] == (
        "${local.from_functions} ${each.value.filter} jsonPayload.${each.value.field}>=0"
    )
    assert measured["value_extractor"] == "EXTRACT(jsonPayload.${each.value.field})"


@pytest.mark.proof
@pytest.mark.parametrize("name", [*COUNTED, *MEASURED])
def test_every_metric_finds_a_line_that_was_really_written(
    name: str, entries: list[dict[str, Any]]
) -> None:
    metric = {**COUNTED, **MEASURED}[name]
    found = [entry["jsonPayload"] for entry in entries if matches(whole(metric), entry)]
    assert found
    assert len(found) < len(entries) / 2, "it counts what it should not"
    for payload in found:
        for label in metric.get("labels", ()):
            assert isinstance(value_at(payload, label), str), (label, payload)
        if "field" in metric:
            assert isinstance(value_at(payload, metric["field"]), int | float)


@pytest.mark.proof
@pytest.mark.parametrize("name", [*COUNTED, *MEASURED])
def test_every_message_that_a_metric_names_is_one_that_was_written(
    name: str, entries: list[dict[str, Any]]
) -> None:
    written = {entry["jsonPayload"]["message"] for entry in entries}
    text = whole({**COUNTED, **MEASURED}[name])
    [said] = re.findall(r'jsonPayload\.message=(\([^()]*\)|"[^"]*")', text)
    assert set(re.findall(r'"([^"]+)"', said)) <= written
    for service in re.findall(r'service_name="([^"]+)"', text):
        assert service in {function.replace("_", "-") for function in load()}


@pytest.mark.proof
def test_lines_say_what_they_should(entries: list[dict[str, Any]]) -> None:
    def counts(name: str, label: str) -> set[str]:
        return {
            entry["jsonPayload"][label] for entry in entries if matches(whole(COUNTED[name]), entry)
        }

    assert counts("jobs_moved", "state") == {"done", "parked", "failed", "queued"}
    assert counts("jobs_parked", "fault") == {"model_busy"}
    assert counts("jobs_failed", "fault") == {"contract_broken", "http_410"}
    assert counts("hooks_disabled", "reason") == {"gone"}
    assert counts("model_calls_failed", "fault") == {"model_busy", "model_misconfigured"}
    assert counts("deployments_at_fault", "fault") == {"model_misconfigured"}
    assert counts("files_refused", "code") == {"wrong_type"}
    assert counts("cleaning_left", "code") == {"files_unavailable"}
    assert counts("uploads_ended", "check") == {"done"}
    prices = [
        entry["jsonPayload"]["price_micros"]
        for entry in entries
        if matches(whole(MEASURED["model_price_micros"]), entry)
    ]
    assert prices == [100, 0, 0, 1000]


@pytest.mark.proof
def test_no_line_tells_of_a_patient(entries: list[dict[str, Any]]) -> None:
    for entry in entries:
        for word in ("demographics", "triage_data", "patient"):
            assert word not in json.dumps(entry["jsonPayload"]), entry


def test_every_metric_is_seen_and_everything_seen_is_a_metric() -> None:
    shown = (TERRAFORM / "dashboard.tf").read_text("utf-8")
    alerts = (TERRAFORM / "alerts.tf").read_text("utf-8")
    alerting = set(re.findall(r'google_logging_metric\.(?:counted|measured)\["(\w+)"\]', alerts))
    drawn = set(re.findall(r"user_([a-z_]+)\{", shown))
    for names, query in re.findall(r'for name in \[([^\]]*)\] :\s*"(.*)"', shown):
        for suffix in re.findall(r"user_\$\{name\}([a-z_]*)\{", query):
            drawn |= {name + suffix for name in re.findall(r'"(\w+)"', names)}
    # a distribution is drawn by its sum or its buckets
    known = set(COUNTED) | {name + part for name in MEASURED for part in ("_sum", "_bucket")}
    assert drawn <= known
    seen = alerting | {re.sub(r"_(?:sum|bucket)$", "", name) for name in drawn}
    assert seen == {*COUNTED, *MEASURED}


@pytest.mark.parametrize(
    ("query", "fits"),
    [
        ('jsonPayload.message="request"', True),
        ('jsonPayload.message="REQUEST"', True),
        ('jsonPayload.message="requests"', False),
        ('jsonPayload.message=("a" OR "request")', True),
        ('jsonPayload.message=("a" OR "b")', False),
        ("jsonPayload.status>=400", True),
        ("jsonPayload.status>=402", False),
        ("jsonPayload.rows>=0", False),
        ("jsonPayload.rounds.late>=0", True),
        ("jsonPayload.nothing>=0", False),
        ('"late"', True),
        ('"early"', False),
        ('jsonPayload.message="request" (jsonPayload.status>=400 OR jsonPayload.rows>0)', True),
        ('jsonPayload.message="request" (jsonPayload.status>=500 OR jsonPayload.rows>0)', False),
    ],
)
def test_filters_are_read_as_cloud_logging_reads_them(query: str, fits: bool) -> None:
    payload = {"message": "request", "status": 401, "rows": None, "rounds": {"late": 0}}
    assert matches(query, {"jsonPayload": payload}) is fits


@pytest.mark.parametrize("query", ['a!="b"', "NOT a", "a=~b"])
def test_a_filter_that_this_reader_does_not_know_is_no_quiet_yes(query: str) -> None:
    with pytest.raises(ValueError, match="not understood"):
        matches(query, {})


@pytest.mark.proof
def test_the_list_of_failing_devices_finds_refused_syncs(entries: list[dict[str, Any]]) -> None:
    text = resolved(local("failing_devices"))
    found = [entry["jsonPayload"] for entry in entries if matches(text, entry)]
    assert {payload["status"] for payload in found} == {200, 401, 500}
    assert all(payload.get("rejected") or payload["status"] >= 400 for payload in found)
