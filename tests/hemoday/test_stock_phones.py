"""Stock WatermelonDB, as npm has it, on HemoDay's tables: a family's phones end with the same records."""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest

from infra.local.stack import Stack
from shared.access import membership
from shared.accounts import tokens
from shared.adapters.file_keys import FileKeys
from shared.adapters.sqlite import SqliteStore
from shared.api import schema_js
from shared.products.hemoday.rights import ROLES
from shared.products.hemoday.tables import CATALOG
from shared.records import record
from shared.records.store import Query
from tests import node_packages
from tests.conftest import absent
from tests.hemoday.test_fleet import COLUMNS, PARENTS, TIMES

ROOT = Path(__file__).parents[2]
SCRIPT = Path(__file__).with_name("family.mjs")

pytestmark = pytest.mark.proof

PEOPLE = {"anna": "owner", "boris": "member", "vera": "viewer"}


def plan(stack: Stack, seed: int, steps: int) -> dict[str, Any]:
    """What the script is to do: whose phones, which tables, which columns."""
    keys = FileKeys(stack.data / "keys")
    policy = tokens.TokenPolicy("dermadetect", "dermadetect-api", roles=ROLES)
    return {
        "url": stack.url,
        "tables": schema_js.tables(CATALOG),
        "columns": COLUMNS,
        "needed": {
            table: {name: 1_772_323_200_000 for each, name in TIMES.items() if each == table}
            for table in COLUMNS
        },
        "parents": PARENTS,
        "people": [
            {
                "user": user,
                "writes": role != "viewer",
                "token": tokens.issue(
                    keys.current(), policy, user_id=user, role=role, now_s=time.time()
                ),
            }
            for user, role in PEOPLE.items()
        ],
        "seed": seed,
        "steps": steps,
    }


def test_stock_phones_of_a_family_converge(tmp_path: Path) -> None:
    try:
        packages = node_packages.install(ROOT / "mobile", "care-kit")
    except node_packages.NodeMissing as error:
        absent(str(error))
    environ = {"PRODUCT": "hemoday"}
    with Stack(profile="local", data=tmp_path, sweep_seconds=3600, environ=environ) as stack:
        store = SqliteStore(stack.data / "records.db")
        for user, role in PEOPLE.items():
            membership.grant(store, user, "family", role, time.time_ns() // 1_000_000)
        ran = subprocess.run(
            ["node", SCRIPT, packages],
            input=json.dumps(plan(stack, seed=4, steps=150)),
            capture_output=True,
            text=True,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        held = json.loads(ran.stdout.splitlines()[-1])
        for table, columns in COLUMNS.items():
            stored = {
                each.key.id: {name: each.fields.get(name) for name in columns}
                for each in store.query(Query(table))
                if each.fields.get(record.DELETED) is None
            }
            for user in PEOPLE:
                mine = held[user][table]
                shown = {
                    name: {column: row[column] for column in columns}
                    for name, row in mine.items()
                    if row["_status"] == "synced"
                }
                assert shown == stored, (user, table)
                # what belongs to a record that somebody else deleted is refused, and stays on its phone
                column, parent = PARENTS.get(table, ("", ""))
                left = [row for row in mine.values() if row["_status"] != "synced"]
                assert all(row[column] not in held[user][parent] for row in left)
            assert stored or table in PARENTS, table
        store.close()
