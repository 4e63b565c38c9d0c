"""Alerts: something that people of a circle must know of, until somebody looks after it.

    open → acknowledged    somebody who is alerted (`Action.ALERT`) looks after it
      └──────────┴→ ended  it is over by itself: the dose was taken late, the device is heard of

Who raises one stores a note of it (`alert_news`) and the alert's job in the commit that makes it true. The
job writes the row, once whatever is repeated, and hears of actions and of the end in any order: of
several acknowledgements the earliest counts, by the phones' corrected clocks. One that was raised again as
worse is worse from then on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from shared.access import membership
from shared.access.rights import Action
from shared.jobs.job import Job
from shared.jobs.runner import Finish, Task
from shared.notify import notice
from shared.products.medmind.alert_tables import (
    ACKNOWLEDGED,
    ACTIONS,
    ALERTS,
    ENDED,
    OPEN,
    SEVERITIES,
    alert_id,
    look,
)
from shared.products.medmind.rights import RIGHTS
from shared.records import record
from shared.records.store import (
    ABSENT,
    Document,
    Key,
    Query,
    RecordStore,
    StoredCollection,
    Write,
    delete,
    put,
)

#: What was said of alerts and their jobs have not seen yet: `ALERT~raised`, `ALERT~ended`.
NEWS = "alert_news"

STORED = (StoredCollection(NEWS), StoredCollection(ACTIONS, (("alert_id",),)))

_RAISED, _ENDED = "raised", "ended"


def raised(kind: str, subject: str, scope: str, now_ms: int, severity: str) -> tuple[Write, ...]:
    """The writes that raise an alert, for the commit that makes it true; `now_ms`: when it became true.

    The alert's id is made of kind, subject and circle: raising it twice is one alert, also when somebody
    looks after it already or it is over.
    """
    fields = {"kind": kind, "subject": subject, "severity": severity, "at": now_ms}
    return _news(_RAISED, alert_id(kind, subject, scope), scope, now_ms, fields)


def ended(kind: str, subject: str, scope: str, now_ms: int) -> tuple[Write, ...]:
    """The writes that end an alert by itself, whether it was raised or not."""
    return _news(_ENDED, alert_id(kind, subject, scope), scope, now_ms, {"at": now_ms})


def _news(
    what: str, alert: str, scope: str, now_ms: int, fields: Mapping[str, Any]
) -> tuple[Write, ...]:
    news = put(Key(NEWS, f"{alert}~{what}"), {**fields, record.SCOPE: scope}, None)
    return news, look(alert, scope, now_ms)


class Alerting(Task):
    """The task of kind `alert`."""

    longest_seconds = 20.0

    def __init__(self, store: RecordStore) -> None:
        self._store = store

    def work(self, job: Job) -> Finish:
        """Nothing is done outside of the commit."""
        return lambda now_ms: self._finish(job, now_ms)

    def _finish(self, job: Job, now_ms: int) -> Sequence[Write] | None:
        row, news = Key(ALERTS, job.subject_id), job.subject_id
        keys = [Key(NEWS, f"{news}~{what}") for what in (_RAISED, _ENDED)]
        documents = self._store.read([row, *keys]).documents
        heard = [documents.get(key) for key in keys]
        before = documents.get(row)
        gone = [delete(each.key, each.version) for each in heard if each is not None]
        fields = known(before, heard[0], heard[1], self._acts(job))
        if fields is None:
            return gone
        if before is None:
            made = {record.SCOPE: job.scope_id, record.CREATED: now_ms, record.MODIFIED: now_ms}
            told = notice.due(f"alert~{news}", news, job.scope_id, int(fields["raised_at"]))
            return [put(row, {**fields, **made}, ABSENT), told, *gone]
        if all(before.fields.get(name) == value for name, value in fields.items()):
            return gone
        return [record.server_patch(before, {**fields, record.MODIFIED: now_ms}), *gone]

    def _acts(self, job: Job) -> list[Document]:
        """Acknowledgements of those who are alerted now."""
        query = Query(ACTIONS, where=(("alert_id", "==", job.subject_id),))
        found = [
            each
            for each in self._store.query(query)
            if each.fields.get(record.DELETED) is None
            and each.fields.get("action") == "acknowledge"
        ]
        people = {str(each.fields.get("made_by")) for each in found}
        read = self._store.read([membership.key(user) for user in sorted(people)]).documents
        entitled = {
            user
            for user in people
            if RIGHTS.may(
                membership.role_of(user, read.get(membership.key(user)), job.scope_id),
                Action.ALERT,
            )
        }
        return [each for each in found if each.fields.get("made_by") in entitled]


def known(
    before: Document | None,
    raised: Document | None,
    ended: Document | None,
    acts: Sequence[Document],
) -> dict[str, Any] | None:
    """The server's columns of an alert by all that is known of it; None: it was never raised."""
    have: Mapping[str, Any] = {} if before is None else before.fields
    said: Mapping[str, Any] = {} if raised is None else raised.fields
    if not have and not said:
        return None
    fields = {name: have.get(name, said.get(name)) for name in ("kind", "subject")}
    severities = [each["severity"] for each in (have, said) if each]
    fields["severity"] = max(severities, key=SEVERITIES.index)
    fields["raised_at"] = min(
        int(at) for at in (have.get("raised_at"), said.get("at")) if at is not None
    )
    over = have.get("ended_at") or (None if ended is None else ended.fields["at"])
    first = min(acts, key=lambda each: (int(each.fields["at"]), each.key.id), default=None)
    known_at = have.get("acknowledged_at")
    if first is not None and (known_at is None or int(first.fields["at"]) <= int(known_at)):
        fields["acknowledged_by"] = first.fields["made_by"]
        fields["acknowledged_at"] = known_at = int(first.fields["at"])
        fields["note"] = first.fields.get("note") or None
    fields["ended_at"] = over
    fields["state"] = ENDED if over else ACKNOWLEDGED if known_at is not None else OPEN
    return fields
