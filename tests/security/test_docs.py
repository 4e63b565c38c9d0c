"""docs/security.md and docs/privacy.md say what is so: rights, parameters, collections."""

from __future__ import annotations

import json
import re
from typing import Any

import yaml

from shared.access import audit
from shared.accounts import credentials, invite, keys, passwords, tokens
from shared.products.known import variables
from shared.settings import Settings
from tests.infra.hcl import local
from tests.tables import table
from tests.test_docs import PRIVACY, ROOT, SECURITY, text

FUNCTIONS: dict[str, Any] = yaml.safe_load((ROOT / "infra" / "functions.yaml").read_text("utf-8"))

CALLERS = {"http": "anybody", "push": "the queue", "schedule": "the schedule"}


def rights(name: str) -> list[str]:
    """What a function may do, as the table says it."""
    given = {"records": "none", "photos": [], **local("access")[name]}
    said = {True: "yes", False: "no"}
    return [
        given["records"],
        *(said[bool(given.get(right))] for right in ("rings", "model")),
        ", ".join(given["photos"]) or "–",
        said[bool(given.get("signs"))],
    ]


def test_the_table_of_rights_is_that_of_terraform_and_of_the_functions() -> None:
    rows = {row[0].strip("`"): row[1:] for row in table(SECURITY, "function")}
    assert set(rows) == set(local("access"))
    assert set(FUNCTIONS) <= set(rows)
    for name, (caller, *given, secrets) in rows.items():
        assert given == rights(name), name
        if name in FUNCTIONS:
            row = FUNCTIONS[name]
            assert caller == CALLERS[row["trigger"]], name
            named = [*(row.get("secrets") or {}).values(), *row.get("reads_secrets", ())]
            assert secrets == (", ".join(f"`{each}`" for each in named) or "–"), name


def test_numbers_are_those_of_the_code() -> None:
    said = {row[0]: row[1] for name in ("what",) for row in every(name)}
    cost = passwords.Cost()
    assert said["hash"] == (
        f"argon2id, {cost.memory_kib} KiB, {cost.passes} passes, {cost.lanes} lane"
    )
    assert said["length"].startswith(f"{passwords.SHORTEST} to {passwords.LONGEST} characters")
    assert said["access token"].startswith(f"{tokens.ACCESS_SECONDS} s,")
    assert said["longest token looked at"] == f"{tokens.MAX_TOKEN} characters"
    assert f"`REFRESH_DAYS`, {Settings().refresh_days} days" in said["refresh token"]
    assert said["clock difference forgiven"].endswith(f"{Settings().token_leeway_seconds} s")
    tries = credentials.ACCOUNT_TRIES
    waits = f"waits from {tries.first_ms // 1000} s, doubling to {tries.longest_ms // 1000} s"
    assert said["wrong passwords of an account"] == f"{tries.free} free, then {waits}"
    assert said["of an address"].startswith(f"{credentials.ADDRESS_TRIES.free} free")
    assert said["of a place that logged in before"].startswith(
        f"{credentials.FAMILIAR_TRIES.free} free"
    )
    rule = invite.TRIES
    assert said["wrong invite codes"].startswith(f"{rule.most} in {rule.span_ms // 1000} s")
    ahead, kept = keys.AHEAD_SECONDS, keys.KEEP_SECONDS
    assert f"published {ahead} s before it signs, kept {kept} s after" in text(SECURITY)
    assert f"`RETENTION_DAYS`: {Settings().retention_days} days" in text(PRIVACY)
    assert f"`RECEIPT_DAYS`: {Settings().receipt_days} days" in text(PRIVACY)


def every(first: str) -> list[list[str]]:
    """Rows of all tables that begin with this column."""
    found = re.findall(rf"^\| {first} \|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", text(SECURITY), re.M)
    assert len(found) > 2
    return [
        [cell.strip() for cell in row.strip("|").split("|")]
        for part in found
        for row in part.splitlines()
    ]


def test_every_collection_is_in_a_table_of_privacy() -> None:
    indexes = json.loads((ROOT / "infra" / "firestore.indexes.json").read_text("utf-8"))
    stored = {each["collectionGroup"] for each in indexes["fieldOverrides"]}
    named = set(re.findall(r"^\| ([^|]+) \|", text(PRIVACY), re.M))
    listed = {name for cell in named for name in re.findall(r"`(\w+)`", cell)}
    # these hold nothing about people
    assert stored - listed == {"audit_heads", "settings", "scopes", "invites"}


def test_settings_that_are_named_exist() -> None:
    known = variables()
    for document in (SECURITY, PRIVACY):
        for span in re.findall(r"`([A-Z]+_[A-Z_]+)`", text(document)):
            assert span in known, span


def test_the_list_of_changes_of_rights_is_that_of_the_trail() -> None:
    assert {row[0].strip("`"): row[1] for row in table(SECURITY, "action")} == dict(audit.RIGHTS)
