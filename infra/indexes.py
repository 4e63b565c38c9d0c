"""`python -m infra.indexes`: Firestore's indexes for Terraform, made from the declarations.

`--collections` prints which collections each product's deployment has: Terraform makes their indexes.

Terraform makes these indexes, the SQLite store its own like them, and `infra.cli backup` copies the
collections that stand here. Firestore would index every field by itself; each collection is exempt from
that, and only what a query needs is indexed: what modules declare beside their queries
(`StoredCollection`), and what the engine asks of every product's tables.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterable, Iterator
from typing import Any

from infra.cli import migrator
from shared.access import audit, membership
from shared.accounts import account, forgotten, invite, session, throttle
from shared.ai import spending
from shared.files import file
from shared.hooks import endpoint, event, fan_out
from shared.jobs import job
from shared.notify import notice
from shared.products.known import named, names
from shared.records import record
from shared.records.collection import Collection
from shared.records.store import STAMP, StoredCollection
from shared.settings import Settings
from shared.support import ledger
from shared.sync import journal, pull, receipts

#: What the engine and the tools store beside the records of phones.
ENGINE: tuple[StoredCollection, ...] = (
    *record.STORED,
    *audit.STORED,
    *membership.STORED,
    *job.STORED,
    *file.STORED,
    *journal.STORED,
    *pull.STORED,
    *receipts.STORED,
    *ledger.STORED,
    *account.STORED,
    *invite.STORED,
    *session.STORED,
    *throttle.STORED,
    *forgotten.STORED,
    *notice.STORED,
    *event.STORED,
    *endpoint.STORED,
    *fan_out.STORED,
    *spending.STORED,
    *migrator.STORED,
)

_DIRECTIONS = {
    "": {"order": "ASCENDING"},
    "desc": {"order": "DESCENDING"},
    "contains": {"arrayConfig": "CONTAINS"},
}


def of_table(table: Collection, job_rows: str | None) -> StoredCollection:
    """What the engine asks of a table: pulls by scope, retention, deleted records, children."""
    parents = ((spec.name,) for spec in table.fields if spec.references)
    listed = (record.SCOPE, f"{record.KEPT} desc", "__name__")
    deleted = () if table.name == job_rows else (listed,)
    return StoredCollection(table.name, ((record.SCOPE, STAMP), (record.KEPT,), *deleted, *parents))


def declared(*products: str) -> Iterator[StoredCollection]:
    """What is declared for the engine and every product, or these; a collection may come several times."""
    yield from ENGINE
    for product in map(named, products or names()):
        catalog = product.catalog(Settings())
        yield from (of_table(table, catalog.job_rows) for table in catalog.collections)
        yield from product.stored()


def document(stored: Iterable[StoredCollection]) -> dict[str, list[dict[str, object]]]:
    """The list that Firebase's command line and Terraform read."""
    wanted: dict[str, dict[tuple[str, ...], None]] = {}
    for each in stored:
        wanted.setdefault(each.name, {}).update(dict.fromkeys(each.indexes))
    composite: list[dict[str, object]] = []
    overrides: list[dict[str, object]] = []
    for name, indexes in sorted(wanted.items()):
        overrides.append({"collectionGroup": name, "fieldPath": "*", "indexes": []})
        for index in indexes:
            parts = [_part(field) for field in index]
            if len(parts) > 1:
                asked = [{"fieldPath": path, **kind} for path, kind in parts]
                composite.append(
                    {"collectionGroup": name, "queryScope": "COLLECTION", "fields": asked}
                )
            else:
                [(path, kind)] = parts
                kept = [{**kind, "queryScope": "COLLECTION"}]
                overrides.append({"collectionGroup": name, "fieldPath": path, "indexes": kept})
    return {"indexes": composite, "fieldOverrides": overrides}


def _part(field: str) -> tuple[str, dict[str, Any]]:
    path, _, kind = field.partition(" ")
    if kind.isdecimal():
        return path, {"vectorConfig": {"dimension": int(kind), "flat": {}}}
    return path, _DIRECTIONS[kind]


def text() -> str:
    """The file's text: one index a line, so that a change of one is a change of a line."""
    parts = [
        f'  "{part}": [\n' + ",\n".join(f"    {json.dumps(row)}" for row in rows) + "\n  ]"
        for part, rows in document(declared()).items()
    ]
    return "{\n" + ",\n".join(parts) + "\n}\n"


def collections() -> str:
    """The text that says which collections each product's deployment has, the engine's among them."""
    rows = {name: sorted({each.name for each in declared(name)}) for name in names()}
    lines = (f"  {json.dumps(name)}: {json.dumps(found)}" for name, found in rows.items())
    return "{\n" + ",\n".join(lines) + "\n}\n"


if __name__ == "__main__":
    print(collections() if "--collections" in sys.argv else text(), end="")
