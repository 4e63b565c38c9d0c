"""What is known of telling an alert or a digest: a document each, and its rows for the circle.

`notification_events/ALERT` holds since when the steps count (`base`), which were begun (`steps`), and what
became of each way (`told`). `notification_events/digest~USER~CIRCLE~HOUR` holds the alerts that wait for a
digest. Rows of `notification_deliveries` are written in the commits that change these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping

from shared.notify.telling import Beside, State, user_of
from shared.products.medmind.alert_sending import way_of
from shared.products.medmind.alert_tables import DELIVERIES
from shared.records import record
from shared.records.store import (
    Document,
    Key,
    Query,
    RecordStore,
    StoredCollection,
    Write,
    put,
    remove_found,
)

EVENTS = "notification_events"

STORED = (StoredCollection(EVENTS, (("expires_at",),)),)

_DAY_MS = 86_400_000

#: How long what is known of telling an alert is kept, ms.
_KEPT_MS = 60 * _DAY_MS

#: Documents that are removed in a round.
_MOST_REMOVED = 400


def kept_until_ms(now_ms: int) -> int:
    """When it goes: whole days, so that a morning crowds no place of an index."""
    return (now_ms + _KEPT_MS) // _DAY_MS * _DAY_MS + _DAY_MS


def rows_of(chain: Document, clock: Callable[[], int]) -> Beside:
    """The rows of ways that change, of an alert's document."""
    scope, number = str(chain.fields[record.SCOPE]), int(chain.fields["round"])

    def rows(changed: Mapping[str, State]) -> list[Write]:
        alert = chain.key.id
        return [row(alert, number, scope, name, each, clock()) for name, each in changed.items()]

    return rows


def row(alert: str, number: int, scope: str, name: str, state: State, now_ms: int) -> Write:
    """The row of one way of an alert, in one round of its steps."""
    mark = hashlib.sha256(f"{number}\n{name}".encode()).hexdigest()[:16]
    fields = {
        "alert_id": alert,
        "user_id": user_of(name),
        "way": way_of(name),
        "step": state["step"],
        "state": state["state"],
        "due_at": state["due"],
        "at": state["at"],
        record.SCOPE: scope,
        record.CREATED: state["due"],
        record.MODIFIED: now_ms,
    }
    return put(Key(DELIVERIES, f"{alert}-{mark}"), fields, None)


def remove_expired(store: RecordStore, now_ms: int) -> int:
    """Remove what is known of telling alerts long ago; how many."""
    query = Query(
        EVENTS,
        where=(("expires_at", "<=", now_ms),),
        order=(("expires_at", "asc"),),
        limit=_MOST_REMOVED,
        fields=("expires_at",),
    )
    return remove_found(store, query)
