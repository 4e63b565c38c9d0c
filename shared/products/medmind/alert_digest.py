"""Digests: notices of a circle that somebody wants as one message, at an hour of theirs.

An alert's step that meets such a person adds the alert to the document of the digest, whose job is due at
the hour. Then alerts that are open no more are left out, and what is left is told by the person's ways, as
an alert is: once, by compare-and-set.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from shared.jobs import job as jobs
from shared.jobs.job import Job
from shared.jobs.runner import Again
from shared.notify.telling import GONE, MISSED, OPEN, SENT, Ready, State, Telling, waiting
from shared.products.medmind.alert_events import EVENTS, kept_until_ms, row
from shared.products.medmind.alert_sending import AT_DIGEST, Said, Sender
from shared.products.medmind.alert_tables import ALERT, ALERTS, DIGEST, STOPPED
from shared.products.medmind.alert_tables import OPEN as UNANSWERED
from shared.products.medmind.escalation import OLDEST_MS
from shared.records import record
from shared.records.store import ABSENT, Key, RecordStore, Write, patch, put

#: Rows of one digest that are brought up to date.
_MOST_ROWS = 400


class _Digest(NamedTuple):
    told: Telling
    open: list[str]  #: alerts that are still open

    @property
    def have(self) -> Mapping[str, Any]:
        return self.told.document.fields


class Digests:
    """Gathers alerts, and tells of them together."""

    def __init__(self, store: RecordStore, sender: Sender) -> None:
        self._store, self._sender = store, sender

    def gather(
        self, scope: str, alert: str, user: str, due_ms: int, about: Mapping[str, Any], now_ms: int
    ) -> Sequence[Write]:
        """The writes that add an alert to a digest; `about`: its step and round."""
        name = f"{DIGEST}~{user}~{scope}~{due_ms}"
        key = Key(EVENTS, name)
        before = self._store.read([key]).documents.get(key)
        if before is not None:
            alerts = {**before.fields["alerts"], alert: dict(about)}
            return (patch(key, {"alerts": alerts}, before.version),)
        fields = {
            record.SCOPE: scope,
            "user_id": user,
            "due": due_ms,
            "alerts": {alert: dict(about)},
            "expires_at": kept_until_ms(now_ms),
        }
        job = jobs.create(f"{ALERT}~{name}", ALERT, EVENTS, name, scope, now_ms, due_ms=due_ms)
        return put(key, fields, ABSENT), job

    def step(self, job: Job) -> bool:
        """Do what comes next; False: nothing is to be done now. Raises `Contended`."""
        digest, now_ms = self._read(job), self._sender.clock()
        if digest is None or now_ms < int(digest.have["due"]) or not digest.open:
            return False
        scope, ways = str(digest.have[record.SCOPE]), digest.told.ways
        said = Said(job.subject_id, "", DIGEST, scope, int(digest.have["due"]), "")

        def tell(name: str) -> bool:
            def ready(_state: State) -> Ready | None:
                to = self._sender.reached(scope, name)
                return to and Ready(now_ms, lambda: self._sender.send(said, name, to))

            return digest.told.tell(name, now_ms, ready)

        if any(map(tell, ways)):
            return True
        if any(each["state"] in (*OPEN, SENT) for each in ways.values()):
            return False
        added = self._next_way(digest, scope, now_ms)
        if added:
            digest.told.note(added)
        return bool(added)

    def _next_way(self, digest: _Digest, scope: str, now_ms: int) -> dict[str, State]:
        user, ways = str(digest.have["user_id"]), digest.told.ways
        _, choices = self._sender.circle(scope)
        if user not in choices:
            return {}
        several = self._sender.ways(scope, {user: choices[user]})[user]
        names = next((each for each in several if not set(each) & set(ways)), ())
        return {name: waiting(now_ms) for name in names}

    def _read(self, job: Job) -> _Digest | None:
        key = Key(EVENTS, job.subject_id)
        document = self._store.read([key]).documents.get(key)
        if document is None:
            return None
        keys = [Key(ALERTS, alert) for alert in document.fields["alerts"]]
        rows = self._store.read(keys, ("state",)).documents
        alive = [key.id for key, row in rows.items() if row.fields.get("state") == UNANSWERED]
        return _Digest(Telling(self._store, document, OLDEST_MS), alive)

    def finish(self, job: Job, now_ms: int) -> Sequence[Write] | Again:
        """When to look again, or the end: the rows of its alerts say what became of it."""
        digest = self._read(job)
        if digest is None:
            return []
        due_ms = int(digest.have["due"])
        if now_ms < due_ms:
            return Again(due_ms)
        if digest.told.next_ms is not None:
            return Again(max(digest.told.next_ms, now_ms))
        states = {each["state"] for each in digest.told.ways.values()}
        became = next((each for each in (SENT, MISSED) if each in states), GONE)
        name, scope = f"{digest.have['user_id']}{AT_DIGEST}", str(digest.have[record.SCOPE])
        rows: list[Write] = []
        for alert, each in digest.have["alerts"].items():
            told = became if alert in digest.open else STOPPED
            state: State = {"state": told, "due": due_ms, "at": now_ms, "step": each["step"]}
            rows.append(row(alert, each["round"], scope, name, state, now_ms))
        return rows[:_MOST_ROWS]
