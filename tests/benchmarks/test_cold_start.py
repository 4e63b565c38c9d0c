"""benchmarks/cold_start.py: what `-X importtime` says is read rightly."""

from __future__ import annotations

import subprocess
import sys

from benchmarks.cold_start import costs
from benchmarks.imports import package_of

SAID = """import time: self [us] | cumulative | imported package
import time:       100 |        100 |     google.protobuf.message
import time:        20 |        120 |   google.cloud.firestore_v1.types
import time:         5 |          5 |   json
import time:        30 |        155 | google.cloud.firestore_v1
import time:         7 |        162 | shared.adapters.firestore
"""


def test_each_package_has_its_own_time_and_who_asked_for_it() -> None:
    found = costs(SAID)
    assert found["google.protobuf"] == (100, "google.cloud.firestore_v1.types")
    assert found["google.cloud.firestore_v1"] == (50, "the start")
    assert found["json"] == (5, "google.cloud.firestore_v1")
    assert found["shared"] == (7, "the start")


def test_what_this_interpreter_prints_is_understood() -> None:
    said = subprocess.run(
        [sys.executable, "-X", "importtime", "-c", "import flask"],
        capture_output=True,
        text=True,
        check=True,
    ).stderr
    found = costs(said)
    assert found["flask"][1] == "the start"
    assert found["werkzeug"][1].startswith("flask")


def test_packages_of_shared_namespaces_are_told_apart() -> None:
    assert package_of("google.cloud.firestore_v1.types.write") == "google.cloud.firestore_v1"
    assert package_of("google.protobuf.message") == "google.protobuf"
    assert package_of("opentelemetry.sdk.trace") == "opentelemetry.sdk"
    assert package_of("flask.json.tag") == "flask"
