"""How somebody is told of alerts: by which ways in which order, when not, and in which language.

One document a user, `notification_channels/{user_id}`; it ends with the account (`Catalog.of_users`). Who
has set nothing is told on every phone at any hour, and by mail where no phone can be reached.

A webhook is signed as Standard Webhooks are (`shared.hooks.signature`). Its secret is shown once, when
the address is set or the secret renewed.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from shared.access import membership
from shared.access.membership import Caller
from shared.api.fields import TextOrNull, one_of, says
from shared.api.routes import Route
from shared.api.web import Call, Response, answer
from shared.errors import Contended, InvalidRequest, StoreUnavailable
from shared.hooks.address import LONGEST, Network, target
from shared.hooks.signature import secret_of
from shared.notify.choice import (
    Clock,
    KnownPhone,
    Quiet,
    QuietHours,
    check_quiet,
    check_zone,
    phones_of,
)
from shared.products.medmind.alert_tables import BY_MAIL, CHANNELS, PHONE, WEBHOOK
from shared.products.medmind.alert_words import LANGUAGES
from shared.products.product import Parts
from shared.records.insist import insist
from shared.records.store import Document, Key, RecordStore, StoredCollection, put, verify
from shared.support import ledger

STORED = (StoredCollection(CHANNELS),)

_PATH = "/api/v1/notifications/settings"
_ATTEMPTS = 8

_Way = Annotated[str, one_of((PHONE, BY_MAIL, WEBHOOK))]

#: Of who has set nothing.
_USUAL = (PHONE, BY_MAIL)


class DigestHour(Struct):
    """When notices of a day come as one message."""

    at: Clock
    time_zone: Annotated[str, Meta(max_length=60), says("Of that clock, as Asia/Kolkata.")]


class WebhookWay(Struct):
    """Where alerts are posted: a service of one's own that sends a text message, or calls."""

    url: Annotated[str, Meta(max_length=LONGEST), says("https, at a public address.")]
    to: Annotated[str, Meta(max_length=60), says("Given along: whom the service is to reach.")] = ""
    renew: Annotated[bool, says("Make another secret.")] = False


class AlertSettings(Struct):
    """How the caller is told of alerts."""

    ways: Annotated[
        Annotated[list[_Way], Meta(max_length=3)],
        says("In their order: the next one is taken when the one before has failed."),
    ] = msgspec.field(default_factory=lambda: list(_USUAL))
    devices: Annotated[
        Annotated[
            list[Annotated[str, Meta(max_length=128)]], Meta(max_length=ledger.MOST_OF_A_USER)
        ]
        | None,
        says("Names of the phones that are told (`device` of their tokens); null: all."),
    ] = None
    webhook: WebhookWay | None = None
    quiet_hours: QuietHours | None = None
    digest: Annotated[DigestHour | None, says("Null: notices come one by one.")] = None
    language: Annotated[str, one_of(LANGUAGES)] = "en"
    turn: Annotated[
        Annotated[int, Meta(ge=1, le=9)] | None,
        says("Of several caregivers, in which turn; null: after those who say, as they came."),
    ] = None


class AlertSettingsNow(AlertSettings, kw_only=True):
    """How the caller is told, and what there is to choose from."""

    webhook_secret: Annotated[TextOrNull, says("Shown once, when it was made.")] = None
    phones: list[KnownPhone]
    mail_is_sent: Annotated[bool, says("Whether this server sends mails at all.")]


@dataclass(frozen=True, slots=True)
class OwnHook:
    """Where a user's alerts are posted."""

    id: str
    url: str
    to: str


@dataclass(frozen=True, slots=True)
class AlertChoice:
    """What a stored document says."""

    ways: tuple[str, ...] = _USUAL
    devices: frozenset[str] | None = None
    hook: OwnHook | None = None
    quiet: Quiet | None = None
    digest: tuple[str, str] | None = None  #: at, time zone
    language: str = "en"
    turn: int | None = None

    @classmethod
    def of(cls, document: Document | None) -> AlertChoice:
        """Of a user; what holds for everybody who has set nothing, if there is none."""
        if document is None:
            return cls()
        have: Mapping[str, Any] = document.fields
        devices, hook = have.get("devices"), have.get("webhook")
        quiet, digest = have.get("quiet_hours"), have.get("digest")
        return cls(
            tuple(have["ways"]),
            None if devices is None else frozenset(devices),
            None if hook is None else OwnHook(hook["id"], hook["url"], hook["to"]),
            None if quiet is None else (quiet["from"], quiet["to"], quiet["time_zone"]),
            None if digest is None else (digest["at"], digest["time_zone"]),
            str(have["language"]),
            have.get("turn"),
        )


def key(user_id: str) -> Key:
    """Where a user's choice is."""
    return Key(CHANNELS, user_id)


def hook_secret(deployment: bytes, hook: OwnHook) -> str:
    """What signs posts to a webhook."""
    return secret_of(deployment, f"alerts~{hook.id}", 0)


def checked(said: AlertSettings, networks: tuple[Network, ...] = ()) -> AlertSettings:
    """The same. Raises `InvalidRequest` for what cannot be."""
    check_quiet(said.quiet_hours)
    if said.digest is not None:
        check_zone(said.digest.time_zone, "digest.time_zone")
    if len(set(said.ways)) != len(said.ways):
        raise InvalidRequest("Name each way once.", field="ways")
    if said.webhook is not None:
        try:
            target(said.webhook.url, networks)
        except InvalidRequest as fault:
            raise InvalidRequest(fault.message, code=fault.code, field="webhook.url") from None
    elif WEBHOOK in said.ways:
        raise InvalidRequest("Say where the webhook is.", field="webhook")
    return said


def save(
    store: RecordStore,
    caller: Caller,
    said: AlertSettings,
    networks: tuple[Network, ...] = (),
    wait: Callable[[float], None] = time.sleep,
) -> OwnHook | None:
    """Keep the caller's choice; the webhook, if it has another secret from now on.

    Raises `InvalidRequest`, `Contended` and `StoreUnavailable`.
    """
    fields: dict[str, Any] = msgspec.to_builtins(checked(said, networks))
    own, place = membership.key(caller.user_id), key(caller.user_id)

    def step() -> OwnHook | None:
        reading = store.read([own, place])
        held = membership.of(reading, caller.user_id)
        before, made = AlertChoice.of(reading.documents.get(place)).hook, None
        if said.webhook is not None:
            kept = before is not None and before.url == said.webhook.url and not said.webhook.renew
            name = before.id if kept and before is not None else secrets.token_hex(8)
            hook = OwnHook(name, said.webhook.url, said.webhook.to)
            fields["webhook"] = {"id": hook.id, "url": hook.url, "to": hook.to}
            made = None if kept else hook
        # an account that ends at this moment must not leave it behind
        store.commit([put(place, fields, None), verify(own, held.version)])
        return made

    return insist(step, _ATTEMPTS, wait=wait)


def routes(parts: Parts) -> tuple[Route, ...]:
    """The choice, for its owner."""

    def now(caller: Caller, made: OwnHook | None = None) -> AlertSettingsNow:
        store, place = parts.store(), key(caller.user_id)
        found = store.read([place]).documents.get(place)
        said = msgspec.convert({} if found is None else found.fields, AlertSettings)
        return AlertSettingsNow(
            **{name: getattr(said, name) for name in AlertSettings.__struct_fields__},
            webhook_secret=None if made is None else hook_secret(parts.hooks_secret(), made),
            phones=phones_of(store, caller.user_id),
            mail_is_sent=parts.settings.mailer != "off",
        )

    def show_alert_settings(call: Call) -> Response:
        """How the caller is told of alerts.

        By which ways in which order, in which language, when it must be quiet, and when notices come.
        """
        return answer(now(call.caller), call=call)

    def save_alert_settings(call: Call, body: AlertSettings) -> Response:
        """Choose how to be told of alerts.

        What is left out is as if nothing had been chosen. It holds for all circles of the caller. The
        secret of a new webhook is in this answer and never again.
        """
        made = save(parts.store(), call.caller, body, tuple(parts.settings.networks))
        return answer(now(call.caller, made), call=call)

    return (
        Route(
            "GET",
            _PATH,
            show_alert_settings,
            name="getAlertSettings",
            gives=AlertSettingsNow,
            names=(QuietHours, KnownPhone, DigestHour, WebhookWay),
            faults=(StoreUnavailable,),
        ),
        Route(
            "PUT",
            _PATH,
            save_alert_settings,
            name="putAlertSettings",
            takes=AlertSettings,
            gives=AlertSettingsNow,
            names=(QuietHours, KnownPhone, DigestHour, WebhookWay),
            faults=("invalid_request", "hook_address", Contended, StoreUnavailable),
        ),
    )
