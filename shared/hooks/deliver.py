"""One delivery: an event is posted to an endpoint, at least once, under the same id in every attempt.

A 2xx answer is success. 410 says that nobody lives there any more: the endpoint is disabled. Everything
else is tried again, for about three days, not before `Retry-After`; then the job is parked like any
other, a dead letter. An endpoint that gave no success for `DISABLED_AFTER_MS` is disabled. Nothing is
promised of the order in which events arrive.

An endpoint that does not answer in time, or asks for patience, is left alone by this process for a while:
its other deliveries wait without losing an attempt, so that they neither storm it nor hold up those of
others.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import NamedTuple, Protocol

from shared.errors import Fault, HookEnded, HookFault, HookRests
from shared.hooks import endpoint as hooks
from shared.hooks.endpoint import Endpoint
from shared.hooks.event import body_of
from shared.hooks.signature import headers
from shared.jobs import job as jobs
from shared.jobs.job import Job, RetryPolicy
from shared.jobs.runner import Finish, Task
from shared.records.store import Document, RecordStore, Write

log = logging.getLogger(__name__)

#: Waits double from 20 s to eight hours, with jitter: 22 attempts in about three days.
POLICY = RetryPolicy(attempts=22, base_seconds=20.0, cap_seconds=8 * 3600.0)

#: How long an endpoint may give no success before it is disabled, ms.
DISABLED_AFTER_MS = 5 * 86_400_000

#: How long an endpoint that did not answer is left alone, ms.
REST_MS = 60_000

#: Answers of servers, or of what stands before them, that are overloaded.
_OVERLOADED = frozenset({429, 502, 503, 504})
_GONE = 410


class EndpointAnswer(NamedTuple):
    """What an endpoint said: nothing of the body is kept."""

    status: int
    retry_after_s: float | None = None


class Poster(Protocol):
    """Posts to an address of somebody else's. Adapter: `shared/adapters/hook_post.py`."""

    def __call__(
        self, url: str, body: bytes, headers: Mapping[str, str], now_ms: int
    ) -> EndpointAnswer:
        """Post once, within a bounded time; follows no redirect.

        Raises `HookFault` with a code of its own: address_refused, host_unknown, unreachable, tls_failed,
        timeout, answer_unreadable.
        """
        ...


class Deliver(Task):
    """The task of kind `hooks`. `secret` gives the deployment's, `clock` server ms."""

    longest_seconds = 45.0  # ten for the answer, the rest for a resolver that hangs
    policy = POLICY
    awaited = False

    def __init__(
        self,
        store: RecordStore,
        secret: Callable[[], bytes],
        post: Callable[[], Poster],
        clock: Callable[[], int],
    ) -> None:
        self._store, self._secret, self._post, self._clock = store, secret, post, clock
        self._rests: dict[str, int] = {}  # endpoint → when it may be asked again, ms

    def work(self, job: Job) -> Finish:
        """Post it. An endpoint that was removed makes the delivery stale."""
        have, _, endpoint = self._read(job)
        if have is None or endpoint is None:
            return lambda _now: None
        if endpoint.disabled_at is not None:
            raise HookEnded("The endpoint is disabled.", code="hook_disabled")
        now_ms = self._clock()
        rest_ms = self._rests.get(endpoint.id, 0) - now_ms
        if rest_ms > 0:
            raise HookRests("The endpoint rests.", retry_after_s=rest_ms / 1000)
        name = have.fields["event_id"]
        body = body_of(name, have.fields["event"])
        secrets = endpoint.secrets(self._secret(), now_ms)
        try:
            said = self._post()(
                endpoint.url, body, headers(secrets, name, now_ms // 1000, body), now_ms
            )
        except HookFault:
            self._rests[endpoint.id] = now_ms + REST_MS
            raise
        if said.status // 100 == 2:
            self._rests.pop(endpoint.id, None)
            return lambda _now: self._healthy(job)
        if said.retry_after_s or said.status in _OVERLOADED:
            wait_ms = round(min(said.retry_after_s or 0, POLICY.cap_seconds) * 1000)
            self._rests[endpoint.id] = now_ms + max(wait_ms, REST_MS)
        kind = HookEnded if said.status == _GONE else HookFault
        raise kind(
            f"The endpoint answered {said.status}.",
            code=f"http_{said.status}",
            retry_after_s=said.retry_after_s,
        )

    def late(self, job: Job, code: str, now_ms: int) -> Sequence[Write]:
        """The endpoint is known to fail."""
        return () if code == HookRests.code else self._failed(job, code, now_ms)

    def gave_up(self, job: Job, fault: Fault) -> Finish:
        """The endpoint is known to fail, or to be gone."""
        return lambda now_ms: self._failed(job, fault.code, now_ms)

    def _failed(self, job: Job, code: str, now_ms: int) -> Sequence[Write]:
        _, document, endpoint = self._read(job)
        if endpoint is None or endpoint.disabled_at is not None:
            return ()
        since = endpoint.failing_since
        reason = hooks.FAILING if since and now_ms - since >= DISABLED_AFTER_MS else None
        if code == f"http_{_GONE}":
            reason = hooks.GONE
        if reason is not None:
            said = {"hook": endpoint.id, "scope": job.scope_id, "reason": reason}
            log.error("hook disabled", extra=said)
            changed = replace(endpoint, disabled_at=now_ms, disabled_for=reason)
        elif since is None:
            changed = replace(endpoint, failing_since=now_ms)
        else:
            return ()
        return self._changed(job, document, changed)

    def _healthy(self, job: Job) -> Sequence[Write]:
        _, document, endpoint = self._read(job)
        if endpoint is None or endpoint.failing_since is None:
            return ()
        return self._changed(job, document, replace(endpoint, failing_since=None))

    @staticmethod
    def _changed(job: Job, document: Document | None, changed: Endpoint) -> Sequence[Write]:
        there = hooks.endpoints(document) | {changed.id: changed}
        return (hooks.stored(job.scope_id, there.values(), document),)

    def _read(self, job: Job) -> tuple[Document | None, Document | None, Endpoint | None]:
        """The delivery, its scope's endpoints, and the one that it goes to."""
        own, scope = jobs.key(job.id), hooks.key(job.scope_id)
        found = self._store.read([own, scope]).documents
        have, document = found.get(own), found.get(scope)
        if have is None:
            return None, document, None
        return have, document, hooks.endpoints(document).get(str(have.fields["hook_id"]))
