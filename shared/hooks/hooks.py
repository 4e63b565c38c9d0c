"""What is done with endpoints: add, change, remove, rotate, test, and what became of deliveries.

Everything is one commit with its entry in the audit trail, guarded by what it rests on. A secret is
answered once, where it is made.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.access import audit, membership
from shared.access.membership import Caller
from shared.access.rights import Action
from shared.errors import Forbidden, InvalidRequest, NotFound
from shared.hooks import endpoint as hooks
from shared.hooks import event as events
from shared.hooks.address import Network, target
from shared.hooks.endpoint import SWITCHED_OFF, Endpoint
from shared.hooks.event import Event
from shared.hooks.fan_out import bell, delivery
from shared.hooks.signature import secret_of
from shared.jobs.job import COLLECTION as JOBS
from shared.jobs.job import DONE, FAILED, PARKED, STALE, Job
from shared.records import record
from shared.records.bell import Bell
from shared.records.collection import Catalog
from shared.records.insist import insist
from shared.records.store import Document, Query, RecordStore, Write, verify

#: The event of `test`, which every endpoint gets.
TEST = "hooks.test"

#: The one answer for what is not there and for what the caller may not see.
NO_HOOK = "There is no such endpoint, or none that you may see."

#: Deliveries that are shown of an endpoint, and events that are delivered again at a time.
_MOST_SHOWN, _MOST_AGAIN = 100, 400

_ATTEMPTS = 5

#: What a delivery's state is called; any other is on its way.
_STATES = {DONE: "delivered", FAILED: "failed", PARKED: "failed", STALE: "dropped"}


@dataclass(frozen=True, slots=True)
class Access:
    """Who asks, in which scopes they may, and what must still hold when it is stored."""

    by: Caller
    scopes: Collection[str]
    guards: tuple[Write, ...] = ()


@dataclass(frozen=True, slots=True)
class ScopeEndpoint:
    """An endpoint, and the document of its scope as it was read."""

    scope_id: str
    endpoint: Endpoint
    document: Document | None


@dataclass(frozen=True, slots=True)
class DeliveryReport:
    """What became of one event at one endpoint. `last_status` is what it answered at last, if it failed."""

    event_id: str
    type: str
    at: int
    state: str
    attempts: int
    last_status: int | None
    last_fault: str | None
    next_attempt_at: int | None


@dataclass(frozen=True, slots=True)
class Hooks:
    """Endpoints of scopes. Safe to share between threads; all times are server ms.

    `secret` gives the deployment's secret, `allowed` networks beside the public one.
    """

    store: RecordStore
    catalog: Catalog
    events: Sequence[Event]
    secret: Callable[[], bytes]
    allowed: Sequence[Network] = ()

    def access(self, caller: Caller) -> Access:
        """Where a caller may manage endpoints. Raises `Forbidden` if nowhere."""
        own = membership.key(caller.user_id)
        held = membership.of(self.store.read([own]), caller.user_id)
        scopes = held.scopes_where(lambda role: self.catalog.may(role, Action.HOOKS))
        return Access(caller, scopes, (verify(own, held.version),))

    def listed(self, access: Access) -> list[ScopeEndpoint]:
        """All endpoints, by scope."""
        found = self.store.read([hooks.key(each) for each in access.scopes]).documents
        return [
            ScopeEndpoint(scope, each, document)
            for scope in access.scopes
            if (document := found.get(hooks.key(scope)))
            for each in hooks.endpoints(document).values()
        ]

    def find(self, access: Access, hook_id: str) -> ScopeEndpoint:
        """One endpoint. Raises `NotFound`, also for one that is somebody else's."""
        for place in self.listed(access):
            if place.endpoint.id == hook_id:
                return place
        raise NotFound(NO_HOOK)

    def add(
        self, access: Access, scope_id: str | None, url: str, wanted: Iterable[str], now_ms: int
    ) -> tuple[ScopeEndpoint, str]:
        """A new endpoint and its secret. `scope_id` None: the only one.

        Raises `InvalidRequest` (hook_address, hook_taken, too_many_hooks) and `Forbidden`.
        """
        if scope_id is None and len(access.scopes) > 1:
            raise InvalidRequest("Say which scope the endpoint is for.", field="scope_id")
        scope = scope_id or next(iter(access.scopes))
        if scope not in access.scopes:
            raise Forbidden("Your role does not allow this in this scope.")
        target(url, self.allowed)
        made = Endpoint(
            f"hook_{secrets.token_hex(12)}",
            url,
            self._known(wanted),
            now_ms,
            access.by.user_id,
        )

        def attempt() -> None:
            document = self.store.read([hooks.key(scope)]).documents.get(hooks.key(scope))
            there = hooks.endpoints(document)
            if len(there.keys() - {made.id}) >= hooks.MOST:
                raise InvalidRequest(
                    f"There are {hooks.MOST} endpoints already. Remove one first.",
                    code="too_many_hooks",
                )
            _demand_other(there.values(), made)
            self._store(access, ScopeEndpoint(scope, made, document), "add-hook", now_ms)

        insist(attempt, _ATTEMPTS)
        return ScopeEndpoint(scope, made, None), secret_of(self.secret(), made.id, made.generation)

    def change(
        self,
        access: Access,
        hook_id: str,
        now_ms: int,
        *,
        url: str | None = None,
        wanted: Iterable[str] | None = None,
        enabled: bool | None = None,
    ) -> ScopeEndpoint:
        """What is given is changed. Enabling it forgets its failures. Raises as `add`, and `NotFound`."""
        said: dict[str, object] = {}
        if url is not None:
            target(url, self.allowed)
            said["url"] = url
        if wanted is not None:
            said["events"] = self._known(wanted)
        if enabled is True:
            said |= dict.fromkeys(("failing_since", "disabled_at", "disabled_for"))
        if enabled is False:
            said |= {"disabled_at": now_ms, "disabled_for": SWITCHED_OFF}

        def changed(endpoint: Endpoint) -> Endpoint:
            return replace(endpoint, **said)  # type: ignore[arg-type]

        return self._change(access, hook_id, changed, "change-hook", now_ms)

    def rotate(self, access: Access, hook_id: str, now_ms: int) -> tuple[ScopeEndpoint, str]:
        """A new secret; the one before signs along for a day. Raises `NotFound`."""

        def rotated(endpoint: Endpoint) -> Endpoint:
            return replace(endpoint, generation=endpoint.generation + 1, rotated_at=now_ms)

        place = self._change(access, hook_id, rotated, "rotate-hook", now_ms)
        made = place.endpoint
        return place, secret_of(self.secret(), made.id, made.generation)

    def remove(self, access: Access, hook_id: str, now_ms: int) -> None:
        """It is sent nothing any more, what waits included. Raises `NotFound`."""

        def attempt() -> None:
            place = self.find(access, hook_id)
            self._store(access, place, "remove-hook", now_ms, gone=True)

        insist(attempt, _ATTEMPTS)

    def test(self, access: Access, hook_id: str, now_ms: int) -> tuple[str, Bell]:
        """A delivery of a test; its event's id, and the bell to ring. Raises `NotFound`."""
        place = self.find(access, hook_id)
        name = events.event_id(TEST, hook_id, secrets.token_hex(16))
        have = {
            "type": TEST,
            "table": hooks.COLLECTION,
            "record_id": hook_id,
            record.SCOPE: place.scope_id,
            "ids": {"hook_id": hook_id},
            "path": f"/api/v1/hooks/{hook_id}",
            "at": now_ms,
        }
        made = delivery(name, have, hook_id, now_ms)
        self.store.commit([made, *access.guards])
        return name, bell(made)

    def deliveries(self, access: Access, hook_id: str) -> list[DeliveryReport]:
        """What was sent to an endpoint, or is to be, the newest first. Raises `NotFound`."""
        self.find(access, hook_id)
        query = Query(
            JOBS,
            where=(("hook_id", "==", hook_id),),
            order=(("created_at", "desc"),),
            limit=_MOST_SHOWN,
        )
        return [_shown(document) for document in self.store.query(query)]

    def again(
        self, access: Access, hook_id: str, since_ms: int, now_ms: int
    ) -> Iterator[Sequence[Bell]]:
        """Deliver the events since then that the endpoint wants and was not delivered, in batches.

        Those that failed, and those that happened while it was disabled. Raises `NotFound` and `Contended`:
        call again. Gives the bells to ring.
        """
        place = self.find(access, hook_id)
        behind: tuple[object, ...] | None = None
        while True:
            query = Query(
                events.COLLECTION,
                where=((record.SCOPE, "==", place.scope_id), ("at", ">=", since_ms)),
                order=(("at", "asc"),),
                limit=_MOST_AGAIN,
                start_after=behind,
            )
            found = list(self.store.query(query))
            made = [
                delivery(each.key.id, each.fields, hook_id, now_ms)
                for each in found
                if each.fields["type"] in place.endpoint.events
            ]
            known = self.store.read([each.key for each in made], ("state",)).documents
            due = [
                each
                for each in made
                if each.key not in known or known[each.key].fields["state"] in (PARKED, FAILED)
            ]
            if due:
                self.store.commit(due)
                yield [bell(each) for each in due]
            if len(found) < _MOST_AGAIN:
                return
            behind = (found[-1].fields["at"], found[-1].key.id)

    def _change(
        self,
        access: Access,
        hook_id: str,
        changed: Callable[[Endpoint], Endpoint],
        action: str,
        now_ms: int,
    ) -> ScopeEndpoint:
        def attempt() -> ScopeEndpoint:
            place = self.find(access, hook_id)
            after = replace(place, endpoint=changed(place.endpoint))
            _demand_other(hooks.endpoints(place.document).values(), after.endpoint)
            self._store(access, after, action, now_ms)
            return after

        return insist(attempt, _ATTEMPTS)

    def _store(
        self, access: Access, place: ScopeEndpoint, action: str, now_ms: int, *, gone: bool = False
    ) -> None:
        there = hooks.endpoints(place.document) | {place.endpoint.id: place.endpoint}
        if gone:
            del there[place.endpoint.id]
        touched: Mapping[str, list[str]] = {hooks.COLLECTION: [place.endpoint.id]}
        trail = audit.entries(access.by, action, place.scope_id, touched, now_ms)
        kept = hooks.stored(place.scope_id, there.values(), place.document)
        self.store.commit([kept, *access.guards, *trail])

    def _known(self, wanted: Iterable[str]) -> tuple[str, ...]:
        names = [each.name for each in self.events]
        asked = list(dict.fromkeys(wanted))
        if not asked or not set(asked) <= set(names):
            raise InvalidRequest(f"events must be some of {', '.join(names)}.", field="events")
        return tuple(asked)


def _demand_other(there: Iterable[Endpoint], made: Endpoint) -> None:
    if any(each.url == made.url and each.id != made.id for each in there):
        raise InvalidRequest(
            "This address is an endpoint of the scope already. Change that one.",
            code="hook_taken",
            field="url",
        )


def _shown(document: Document) -> DeliveryReport:
    job, have = Job.of(document), document.fields
    faults = [step["fault"] for step in job.history if step.get("fault")]
    fault = faults[-1] if faults and job.state != DONE else None
    status = fault.removeprefix("http_") if fault else ""
    return DeliveryReport(
        have["event_id"],
        have["event"]["type"],
        have["event"]["at"],
        _STATES.get(job.state, "waiting"),
        job.attempts,
        int(status) if status.isdecimal() else None,
        fault,
        job.due_at if job.state == "queued" else None,
    )
