"""A page writes as a phone with a good line does: by the sync that phones use."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

from shared.console.visit import DEVICE, Visit
from shared.errors import InvalidRequest


def push(
    visit: Visit,
    scope: str,
    rows: Mapping[str, Sequence[Mapping[str, Any]]],
    times: Collection[str] = (),
) -> None:
    """Write rows by table: each with its `id`, and with the columns that somebody changed, or `deleted`.

    `times`: columns whose values are Unix ms. Raises `InvalidRequest` with the code
    for the first row that is refused.
    """
    now_s = visit.now_ms / 1000
    changes = {
        table: [_row(each, scope, now_s, times) for each in several]
        for table, several in rows.items()
        if several
    }
    if not changes:
        return
    asked = {"last_sync_timestamp": now_s - 1, "limit": 1, "changes": changes}
    answer = visit.api.post("/api/sync", {"device_id": DEVICE, **asked})
    for refused in answer["rejected"]:
        raise InvalidRequest(refused["message"], code=refused["code"], field=refused.get("field"))


def _row(
    row: Mapping[str, Any], scope: str, now_s: float, times: Collection[str]
) -> dict[str, Any]:
    if row.get("deleted"):
        return {"id": row["id"], "sync_status": "deleted", "last_modified_at": now_s}
    columns = {name: value for name, value in row.items() if name != "id"}
    seconds = {
        name: value / 1000 for name, value in columns.items() if name in times and value is not None
    }
    return {
        "id": row["id"],
        "scope_id": scope,
        "last_modified_at": now_s,
        "changed": sorted(columns),
        **columns,
        **seconds,
    }
