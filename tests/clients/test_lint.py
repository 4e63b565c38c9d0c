"""A linter that others keep finds nothing in the API's description but what is explained here."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from tests.clients.conftest import HERE, OPENAPI

pytestmark = pytest.mark.proof

#: Rule and place (or where it begins): why it stays.
EXPLAINED = {
    ("info-license", "#/info"): "The licence is the owner's to choose.",
    (
        "no-ambiguous-paths",
        "#/paths/~1api~1v1~1files~1links~1{token}",
    ): "Apps have both. They share no method, and no file is called `links`: an id has 32 digits.",
    (
        "no-illogical-composition-keywords",
        "#/components/schemas/SyncRequest/properties/files/items/anyOf/1",
    ): "Anything may be sent: what is no photo is answered with an error of its own, the others are taken.",
    (
        "no-illogical-composition-keywords",
        "#/components/schemas/TicketsRequest/properties/files/items/anyOf/1",
    ): "The same.",
    (
        "no-unused-components",
        "#/components/schemas/BriefSyncAnswer",
    ): "Only who asks for it gets one. As an alternative it would take promises from all types.",
}


def problems(packages: Path, document: Path) -> list[tuple[str, str]]:
    """Rule and place of what the linter says."""
    lint = subprocess.run(
        [
            str(packages / "node_modules" / ".bin" / "redocly"),
            *("lint", str(document), "--config", str(HERE / "redocly.yaml")),
            *("--format", "json", "--max-problems", "10000"),
        ],
        env={**os.environ, "REDOCLY_TELEMETRY": "off", "REDOCLY_SUPPRESS_UPDATE_NOTICE": "true"},
        capture_output=True,
        text=True,
    )
    found = json.loads(lint.stdout)["problems"]
    return [(each["ruleId"], each["location"][0]["pointer"]) for each in found]


def test_the_linter_finds_what_is_explained_and_nothing_else(packages: Path) -> None:
    unused, unexplained = set(EXPLAINED), []
    for rule, place in problems(packages, OPENAPI):
        reasons = {
            each for each in EXPLAINED if each[0] == rule and f"{place}/".startswith(f"{each[1]}/")
        }
        unused -= reasons
        if not reasons:
            unexplained.append((rule, place))
    assert unexplained == []
    assert unused == set(), "these are mended: take them out"


def test_the_linter_would_find_something(packages: Path, tmp_path: Path) -> None:
    said = json.loads(OPENAPI.read_text("utf-8"))
    del said["paths"]["/health"]["get"]["description"]
    said["tags"][0].pop("description")
    said["components"]["schemas"]["Nobody"] = {"type": "object", "description": "Unused."}
    (tmp_path / "openapi.json").write_text(json.dumps(said), "utf-8")
    assert {
        ("operation-description", "#/paths/~1health/get/description"),
        ("tag-description", "#/tags/0/description"),
        ("no-unused-components", "#/components/schemas/Nobody"),
    } <= set(problems(packages, tmp_path / "openapi.json"))
