"""Alerts: something that people of a circle must know of, until somebody looks after it.

    open → acknowledged    a caregiver or a doctor looks after it
      └──────────┴→ ended  it is over by itself: the dose was taken late, the device is heard of

Who raises one stores a note of it (`alert_news`) and the alert's job in the commit that makes it true. The
job writes the row, once whatever is repeated, and hears of actions and of the end in any order: of
several acknowledgements the earliest counts, by the phones' corrected clocks.

Then it tells people, step by step (`escalation.py`), until the alert is open no more: `notification_events`
holds which steps were begun and what became of each way (`shared.notify.telling`), and rows of
`notification_deliveries` say the same to the circle. Whatever tells somebody verifies the alert in the
commit that takes the way, so an acknowledgement stops it at once. An alert that is raised again as worse
begins its steps anew, unless somebody looks after it.

While nobody could be told at all, the row says so (`unreached`), and every five minutes it is looked
whether there is somebody now.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.errors import Contended, Fault
from shared.jobs.job import Job
from shared.jobs.runner import Again, Finish, Task
from shared.notify.telling import Telling
from shared.products.medmind.alert_chain import Chain, Chains
from shared.products.medmind.alert_digest import Digests
from shared.products.medmind.alert_events import EVENTS, kept_until_ms, rows_of
from shared.products.medmind.alert_sending import Sender
from shared.products.medmind.alert_tables import (
    ACKNOWLEDGED,
    ACTIONS,
    ALERTS,
    EMERGENCY,
    ENDED,
    OPEN,
    SEVERITIES,
    alert_id,
    look,
)
from shared.products.medmind.escalation import NOBODY_MS, OLDEST_MS, begins_ms
from shared.products.medmind.rights import RIGHTS
from shared.products.product import Parts
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

log = logging.getLogger(__name__)

#: What was said of alerts and their jobs have not seen yet: `ALERT~SEVERITY`, `ALERT~ended`.
NEWS = "alert_news"

STORED = (StoredCollection(NEWS), StoredCollection(ACTIONS, (("alert_id",),)))

_ENDED = "ended"

#: How long one attempt goes on telling, seconds; well below a lease.
_BUDGET_SECONDS = 20.0

#: Alerts that one worker tells of at the same time: each mostly waits for the store and for FCM.
_SIDE_BY_SIDE = 8


def raised(kind: str, subject: str, scope: str, now_ms: int, severity: str) -> tuple[Write, ...]:
    """The writes that raise an alert, for the commit that makes it true; `now_ms`: when it became true.

    The alert's id is made of kind, subject and circle: raising it twice is one alert, also when somebody
    looks after it already or it is over. Whoever cannot wait for the sweeper's minute rings
    `alert_tables.bell(alert_id(…))` after the commit.
    """
    fields = {"kind": kind, "subject": subject, "severity": severity, "at": now_ms}
    return _news(severity, alert_id(kind, subject, scope), scope, now_ms, fields)


def ended(kind: str, subject: str, scope: str, now_ms: int) -> tuple[Write, ...]:
    """The writes that end an alert by itself, whether it was raised or not."""
    return _news(_ENDED, alert_id(kind, subject, scope), scope, now_ms, {"at": now_ms})


def _news(
    what: str, alert: str, scope: str, now_ms: int, fields: Mapping[str, Any]
) -> tuple[Write, ...]:
    news = put(Key(NEWS, f"{alert}~{what}"), {**fields, record.SCOPE: scope}, None)
    return news, look(alert, scope, now_ms)


@dataclass(frozen=True, slots=True)
class _AlertView:
    """One alert as it was read."""

    id: str
    scope: str
    row: Document | None
    news: Sequence[Document]
    fields: (
        Mapping[str, Any] | None
    )  #: the row's columns by all that is known; None: it was never raised
    chain: Chain | None

    @property
    def stale(self) -> bool:
        """Whether the row does not say yet what is known."""
        have = {} if self.row is None else self.row.fields
        known = self.fields or {}
        return bool(self.news) or any(have.get(name) != value for name, value in known.items())

    @property
    def going(self) -> Chain | None:
        """The chain, unless it is over."""
        chain = self.chain
        return None if chain is None or chain.have.get("over") else chain


class Alerting(Task):
    """The task of kind `alert`: of alerts, and of digests."""

    longest_seconds = 25.0
    side_by_side = _SIDE_BY_SIDE

    def __init__(self, store: RecordStore, parts: Parts) -> None:
        self._store, self._clock = store, parts.clock_ms
        sender = Sender(store, RIGHTS.may, parts)
        self._digests = Digests(store, sender)
        self._chains = Chains(store, sender, self._digests)

    def work(self, job: Job) -> Finish:
        """Tell whom it is time to tell, one after the other."""
        of_digest = job.table == EVENTS
        end = time.monotonic() + _BUDGET_SECONDS
        while time.monotonic() < end:
            try:
                if not (self._digests.step(job) if of_digest else self._step(job)):
                    break
            except Contended:
                continue  # somebody else was faster: look again
        if of_digest:
            return lambda now_ms: self._digests.finish(job, now_ms)
        return lambda now_ms: self._finish(job, now_ms)

    def gave_up(self, job: Job, fault: Fault) -> Finish:
        """An alert is never given up: again in five minutes, and operators see it in the log."""
        log.error("alert not told", extra={"job": job.id, "fault": fault.code})
        return lambda now_ms: Again(now_ms + NOBODY_MS)

    def _view(self, job: Job) -> _AlertView:
        row, event = Key(ALERTS, job.subject_id), Key(EVENTS, job.subject_id)
        keys = [Key(NEWS, f"{job.subject_id}~{what}") for what in (*SEVERITIES, _ENDED)]
        documents = self._store.read([row, event, *keys]).documents
        query = Query(ACTIONS, where=(("alert_id", "==", job.subject_id),))
        acts = [each for each in self._store.query(query) if _counts(each)]
        before, document = documents.get(row), documents.get(event)
        heard = [documents[key] for key in keys[:-1] if key in documents]
        over = documents.get(keys[-1])
        chain = None
        if before is not None and document is not None:
            rows = rows_of(document, self._clock)
            told = Telling(self._store, document, OLDEST_MS, rows)
            chain = Chain(job.subject_id, job.scope_id, before, told)
        news = [*heard, *([] if over is None else [over])]
        fields = known(before, heard, over, acts)
        return _AlertView(job.subject_id, job.scope_id, before, news, fields, chain)

    def _step(self, job: Job) -> bool:
        """One commit, and what is sent after it; False: nothing is to be done now. Raises `Contended`."""
        view, now_ms = self._view(job), self._clock()
        gone = [delete(each.key, each.version) for each in view.news]
        if view.fields is None:  # what ended was never raised
            if gone:
                self._store.commit(gone)
            return False
        if view.row is None:
            self._begin(view, view.fields, gone, now_ms)
            return True
        if view.stale:
            self._change(view, view.row, view.fields, gone, now_ms)
            return True
        if view.going is None:
            return False
        if view.fields["state"] != OPEN:
            self._chains.stop(view.going)
            return False
        return self._chains.step(view.going, now_ms)

    def _begin(
        self, view: _AlertView, fields: Mapping[str, Any], gone: Sequence[Write], now_ms: int
    ) -> None:
        raised_ms = int(fields["raised_at"])
        old = now_ms - raised_ms > OLDEST_MS and fields["severity"] != EMERGENCY
        chain = {
            record.SCOPE: view.scope,
            "base": begins_ms(raised_ms, now_ms),
            "round": 0,
            "looked": now_ms,
            "over": old or None,
            "expires_at": kept_until_ms(now_ms),
        }
        made = {record.SCOPE: view.scope, record.CREATED: now_ms, record.MODIFIED: now_ms}
        row = put(Key(ALERTS, view.id), {**fields, "unreached": True, **made}, ABSENT)
        self._store.commit([row, put(Key(EVENTS, view.id), chain, ABSENT), *gone])

    def _change(
        self,
        view: _AlertView,
        row: Document,
        fields: Mapping[str, Any],
        gone: Sequence[Write],
        now_ms: int,
    ) -> None:
        """The row says what is known now; an open alert that has become worse is told anew."""
        changed = any(row.fields.get(name) != value for name, value in fields.items())
        patched = record.server_patch(row, {**fields, record.MODIFIED: now_ms})
        writes = [patched, *gone] if changed else gone
        worse = row.fields["severity"] != fields["severity"] and fields["state"] == OPEN
        if worse and view.chain is not None:
            number = int(view.chain.have["round"]) + 1
            anew = {"base": now_ms, "looked": now_ms, "round": number}
            cleared = dict.fromkeys(("steps", "told", "over"))
            view.chain.told.note({}, *writes, fields={**anew, **cleared})
        else:
            self._store.commit(writes)

    def _finish(self, job: Job, now_ms: int) -> list[Write] | Again | None:
        """When to look again; nothing, once the alert is open no more or everybody was told."""
        view = self._view(job)
        if view.stale:
            return Again(now_ms)
        chain = view.going
        if view.fields is None or chain is None:
            return []
        if view.fields["state"] != OPEN:
            return Again(now_ms)
        at_ms = chain.next_ms(now_ms) if chain.lives(now_ms) else None
        return [] if at_ms is None else Again(at_ms)


def _counts(action: Document) -> bool:
    """Whether a row of `alert_actions` acknowledges: carers alone write such rows."""
    have = action.fields
    return have.get(record.DELETED) is None and have.get("action") == "acknowledge"


def known(
    before: Document | None,
    raised: Sequence[Document],
    ended: Document | None,
    acts: Sequence[Document],
) -> dict[str, Any] | None:
    """The server's columns of an alert by all that is known of it; None: it was never raised."""
    have: Mapping[str, Any] = {} if before is None else before.fields
    said = [each.fields for each in raised]
    if not have and not said:
        return None
    first_said = have or said[0]
    fields = {name: first_said[name] for name in ("kind", "subject")}
    severities = [each["severity"] for each in (have, *said) if each]
    fields["severity"] = max(severities, key=SEVERITIES.index)
    moments = [have.get("raised_at"), *(each["at"] for each in said)]
    fields["raised_at"] = min(int(at) for at in moments if at is not None)
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
