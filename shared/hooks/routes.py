"""What administrators of a scope call: its endpoints, secrets, deliveries. Times in ms."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

from msgspec import Struct

from shared.api.fields import (
    NULL,
    Count,
    CountOrNull,
    Id,
    Moment,
    MomentOrNull,
    TextOrNull,
    must,
    names,
    says,
    schema,
)
from shared.api.routes import Route
from shared.api.web import Call, Response, answer
from shared.errors import Contended, Forbidden, NotFound, StoreUnavailable
from shared.hooks.address import LONGEST
from shared.hooks.endpoint import FAILING, GONE, SWITCHED_OFF
from shared.hooks.hooks import NO_HOOK, Access, Hooks, ScopeEndpoint
from shared.records.bell import Bell

_HOME = "/api/v1/hooks"

_Url = Annotated[
    str,
    must(f"a text of up to {LONGEST} characters", max_length=LONGEST),
    says(
        "Where events are posted: https, at a public address. It may hold a secret of its own in its path; "
        "nothing writes it to a log."
    ),
]
_Events = Annotated[list[str], says("Names of events, at least one.", minItems=1)]
_Reason = Annotated[str | None, schema(**NULL, enum=[GONE, FAILING, SWITCHED_OFF])]


class HookRequest(Struct):
    """A new endpoint."""

    url: _Url
    events: _Events
    scope_id: Annotated[Id, says("Needed by who manages several.")] | None = None


class HookChangeRequest(Struct):
    """What is to change; the rest stays."""

    url: _Url | None = None
    events: _Events | None = None
    enabled: Annotated[bool, says("True forgets failures, too.")] | None = None


class HookPlainRequest(Struct):
    """Nothing more is to be said."""


class OneHook(Struct):
    """Arguments of the path."""

    id: Annotated[Id, names(NO_HOOK), says("An endpoint's id.")]


class Hook(Struct):
    """An endpoint."""

    id: str
    scope_id: str
    url: _Url
    events: _Events
    enabled: bool
    disabled_for: _Reason
    failing_since: Annotated[
        MomentOrNull, says("Of the first failure after the last success; null: none.")
    ]
    previous_secret_until: Annotated[
        MomentOrNull, says("Until then the secret before the last rotation signs along.")
    ]
    created_at: Moment
    created_by: str


class HookSecret(Struct):
    """An endpoint with its secret, which is shown this once."""

    hook: Hook
    secret: Annotated[str, says("`whsec_` and base64, as in Standard Webhooks.")]


class HookList(Struct):
    """All endpoints that the caller manages, and the events that there are."""

    hooks: list[Hook]
    events: list[str]


class HookRemoved(Struct):
    """It is gone."""

    id: str
    removed: bool


class HookTested(Struct):
    """A test is on its way."""

    event_id: Annotated[str, says("What `webhook-id` will say.")]


class HookDelivery(Struct):
    """One event on its way to an endpoint."""

    event_id: str
    type: str
    at: Annotated[Moment, says("When it happened.")]
    state: Annotated[str, schema(enum=["waiting", "delivered", "failed", "dropped"])]
    attempts: Count
    last_status: Annotated[CountOrNull, says("What the endpoint answered, if it was no success.")]
    last_fault: Annotated[TextOrNull, says("`http_503`, `timeout`, `address_refused` …")]
    next_attempt_at: MomentOrNull


class HookDeliveries(Struct):
    """The last hundred, the newest first."""

    deliveries: list[HookDelivery]


class HookRoutes:
    """Answers administrators. `ring` rings for what was just stored and never raises."""

    def __init__(
        self,
        hooks: Callable[[], Hooks],
        clock_ms: Callable[[], int],
        ring: Callable[[Sequence[Bell]], None],
    ) -> None:
        self._hooks, self._clock_ms, self._ring = hooks, clock_ms, ring

    def list_hooks(self, call: Call) -> Response:
        """The endpoints of the caller's scopes.

        Of those in which the role allows to manage them. Secrets are not shown.
        """
        hooks, access = self._asked(call)
        shown = [self._shown(place) for place in hooks.listed(access)]
        return answer(HookList(shown, [each.name for each in hooks.events]), call=call)

    def add_hook(self, call: Call, body: HookRequest) -> Response:
        """Register an endpoint.

        Answers with its secret, once: keep it. A scope has up to ten endpoints.
        """
        hooks, access = self._asked(call)
        place, secret = hooks.add(access, body.scope_id, body.url, body.events, self._clock_ms())
        call.notes["hook"] = place.endpoint.id
        return answer(HookSecret(self._shown(place), secret), call=call)

    def change_hook(self, call: Call, asked: OneHook, body: HookChangeRequest) -> Response:
        """Change an endpoint, disable it, or enable it again."""
        hooks, access = self._asked(call)
        place = hooks.change(
            access,
            asked.id,
            self._clock_ms(),
            url=body.url,
            wanted=body.events,
            enabled=body.enabled,
        )
        return answer(self._shown(place), call=call)

    def remove_hook(self, call: Call, asked: OneHook) -> Response:
        """Remove an endpoint.

        What waits for it is dropped.
        """
        hooks, access = self._asked(call)
        hooks.remove(access, asked.id, self._clock_ms())
        return answer(HookRemoved(asked.id, True), call=call)

    def try_hook(self, call: Call, asked: OneHook, _: HookPlainRequest) -> Response:
        """Send a test event.

        `hooks.test`, signed and delivered like any other; look at the deliveries for what came of it.
        """
        hooks, access = self._asked(call)
        name, bell = hooks.test(access, asked.id, self._clock_ms())
        self._ring([bell])
        return answer(HookTested(name), call=call)

    def rotate_hook(self, call: Call, asked: OneHook, _: HookPlainRequest) -> Response:
        """Make a new secret.

        For a day every delivery is signed with both, so that a receiver may change over when it likes.
        """
        hooks, access = self._asked(call)
        place, secret = hooks.rotate(access, asked.id, self._clock_ms())
        return answer(HookSecret(self._shown(place), secret), call=call)

    def list_deliveries(self, call: Call, asked: OneHook) -> Response:
        """What became of the events of an endpoint.

        Kept for 30 days.
        """
        hooks, access = self._asked(call)
        found = hooks.deliveries(access, asked.id)
        shown = [
            HookDelivery(**{name: getattr(each, name) for name in HookDelivery.__struct_fields__})
            for each in found
        ]
        return answer(HookDeliveries(shown), call=call)

    def _asked(self, call: Call) -> tuple[Hooks, Access]:
        hooks = self._hooks()
        return hooks, hooks.access(call.caller)

    def _shown(self, place: ScopeEndpoint) -> Hook:
        have = place.endpoint
        return Hook(
            have.id,
            place.scope_id,
            have.url,
            list(have.events),
            have.disabled_at is None,
            have.disabled_for,
            have.failing_since,
            have.previous_until(self._clock_ms()),
            have.created_at,
            have.created_by,
        )


_READS = (Forbidden, StoreUnavailable)
_WRITES = (Forbidden, Contended, StoreUnavailable)
_ADDRESS = ("invalid_request", "hook_address", "hook_taken")
_SHOWN = ("Cache-Control", "Content-Encoding")


def routes(
    hooks: Callable[[], Hooks],
    clock_ms: Callable[[], int],
    ring: Callable[[Sequence[Bell]], None],
) -> Sequence[Route]:
    """The routes of endpoints, which the function `support` serves."""
    here = HookRoutes(hooks, clock_ms, ring)
    one = f"{_HOME}/{{id}}"
    return (
        Route(
            "GET",
            _HOME,
            here.list_hooks,
            name="listHooks",
            gives=HookList,
            faults=_READS,
            answer_headers=_SHOWN,
        ),
        Route(
            "POST",
            _HOME,
            here.add_hook,
            name="addHook",
            takes=HookRequest,
            gives=HookSecret,
            faults=(*_ADDRESS, "too_many_hooks", *_WRITES),
            answer_headers=_SHOWN,
        ),
        Route(
            "PATCH",
            one,
            here.change_hook,
            name="changeHook",
            asks=OneHook,
            takes=HookChangeRequest,
            gives=Hook,
            faults=(*_ADDRESS, NotFound, *_WRITES),
            answer_headers=_SHOWN,
        ),
        Route(
            "DELETE",
            one,
            here.remove_hook,
            name="removeHook",
            asks=OneHook,
            gives=HookRemoved,
            faults=(NotFound, *_WRITES),
            answer_headers=_SHOWN,
        ),
        Route(
            "POST",
            f"{one}/test",
            here.try_hook,
            name="testHook",
            asks=OneHook,
            takes=HookPlainRequest,
            body_needed=False,
            gives=HookTested,
            faults=(NotFound, *_WRITES),
            answer_headers=_SHOWN,
        ),
        Route(
            "POST",
            f"{one}/rotate",
            here.rotate_hook,
            name="rotateHook",
            asks=OneHook,
            takes=HookPlainRequest,
            body_needed=False,
            gives=HookSecret,
            faults=(NotFound, *_WRITES),
            answer_headers=_SHOWN,
        ),
        Route(
            "GET",
            f"{one}/deliveries",
            here.list_deliveries,
            name="listHookDeliveries",
            asks=OneHook,
            gives=HookDeliveries,
            faults=(NotFound, *_READS),
            answer_headers=_SHOWN,
        ),
    )
