"""`terraform show -json PLAN | python -m infra.ci.guard`: refuses a plan that would lose data.

A pipeline applies what nobody has read. So it never deletes or replaces what holds data or opens it, nor
an index that older revisions ask by: that is done by a person, with the runbooks. Exit code 1 names what
the plan would lose.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping
from typing import Any

#: Kinds of resources that hold data, or the keys to it.
KEPT = frozenset(
    {
        "google_firestore_backup_schedule",
        "google_firestore_database",
        # no data, but a roll-back: revisions from before ask by an index that new code needs no more
        "google_firestore_field",
        "google_firestore_index",
        "google_kms_crypto_key",
        "google_kms_key_ring",
        "google_logging_project_bucket_config",
        "google_pubsub_subscription",
        "google_pubsub_topic",
        "google_secret_manager_secret",
        "google_storage_bucket",
    }
)


def losses(plan: Mapping[str, Any]) -> Iterator[str]:
    """Addresses of kept resources that the plan deletes or replaces."""
    for change in plan.get("resource_changes", ()):
        if change["type"] in KEPT and "delete" in change["change"]["actions"]:
            yield change["address"]


def main() -> int:
    """Read a plan from standard input, print what it would lose."""
    lost = list(losses(json.load(sys.stdin)))
    for address in lost:
        print(f"would be deleted or replaced: {address}")
    return 1 if lost else 0


if __name__ == "__main__":
    sys.exit(main())
