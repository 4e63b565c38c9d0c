"""How somebody wants to be reminded: on which phones, by mail or not, in which language, when not.

One document a user, `reminder_settings/{user_id}`; it ends with the account (`Catalog.of_users`). Who has
set nothing is reminded on every phone at any hour, without mails.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Annotated, Any

import msgspec
from msgspec import Meta, Struct

from shared.access import membership
from shared.access.membership import Caller
from shared.api.fields import one_of, says
from shared.api.routes import Route
from shared.api.web import Call, Response, answer
from shared.errors import Contended, StoreUnavailable
from shared.notify.choice import (
    KnownPhone,
    Quiet,
    QuietHours,
    check_quiet,
    phones_of,
    quiet_until,
)
from shared.products.hemoday.reminder_words import LANGUAGES
from shared.products.hemoday.tables import REMINDER_SETTINGS as COLLECTION
from shared.products.product import Parts
from shared.records.insist import insist
from shared.records.store import Document, Key, RecordStore, StoredCollection, put, verify
from shared.support import ledger

STORED = (StoredCollection(COLLECTION),)

_PATH = "/api/v1/reminders/settings"

#: Most phones that are named.
_MOST = ledger.MOST_OF_A_USER

_ATTEMPTS = 8


class ReminderSettings(Struct):
    """How the caller is reminded."""

    devices: Annotated[
        Annotated[list[Annotated[str, Meta(max_length=128)]], Meta(max_length=_MOST)] | None,
        says("Names of the phones that are told (`device` of their tokens); null: all."),
    ] = None
    mail: Annotated[bool, says("Whether a mail is sent, too.")] = False
    quiet_hours: QuietHours | None = None
    language: Annotated[str, one_of(LANGUAGES)] = "en"


class ReminderSettingsNow(ReminderSettings, kw_only=True):
    """How the caller is reminded, and what there is to choose from."""

    phones: list[KnownPhone]
    mail_is_sent: Annotated[bool, says("Whether this server sends mails at all.")]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a stored document says."""

    devices: frozenset[str] | None = None
    mail: bool = False
    quiet: Quiet | None = None
    language: str = "en"

    @classmethod
    def of(cls, document: Document | None) -> Choice:
        """Of a user; what holds for everybody who has set nothing, if there is none."""
        if document is None:
            return cls()
        have: Mapping[str, Any] = document.fields
        devices, quiet = have.get("devices"), have.get("quiet_hours")
        return cls(
            None if devices is None else frozenset(devices),
            bool(have.get("mail")),
            None if quiet is None else (quiet["from"], quiet["to"], quiet["time_zone"]),
            str(have.get("language") or "en"),
        )

    def chooses(self, device: str) -> bool:
        """Whether a phone is one that is told."""
        return self.devices is None or device in self.devices

    def quiet_until(self, at_ms: int) -> int:
        """When it may be sent that is due at an instant, Unix ms: then, or at the end of quiet hours."""
        return quiet_until(self.quiet, at_ms)


def key(user_id: str) -> Key:
    """Where a user's choice is."""
    return Key(COLLECTION, user_id)


def save(
    store: RecordStore,
    caller: Caller,
    said: ReminderSettings,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Keep the caller's choice. Raises `InvalidRequest`, `Contended` and `StoreUnavailable`."""
    check_quiet(said.quiet_hours)
    fields = msgspec.to_builtins(said)

    def step() -> None:
        own = membership.key(caller.user_id)
        held = membership.of(store.read([own]), caller.user_id)
        # an account that ends at this moment must not leave it behind
        store.commit([put(key(caller.user_id), fields, None), verify(own, held.version)])

    insist(step, _ATTEMPTS, wait=wait)


def routes(parts: Parts) -> tuple[Route, ...]:
    """The choice, for its owner."""

    def now(caller: Caller) -> ReminderSettingsNow:
        found = parts.store().read([key(caller.user_id)]).documents.get(key(caller.user_id))
        said = msgspec.convert({} if found is None else found.fields, ReminderSettings)
        return ReminderSettingsNow(
            devices=said.devices,
            mail=said.mail,
            quiet_hours=said.quiet_hours,
            language=said.language,
            phones=phones_of(parts.store(), caller.user_id),
            mail_is_sent=parts.settings.mailer != "off",
        )

    def show_reminder_settings(call: Call) -> Response:
        """How the caller is reminded.

        On which phones, by mail or not, in which language, and when it must be quiet.
        """
        return answer(now(call.caller), call=call)

    def save_reminder_settings(call: Call, body: ReminderSettings) -> Response:
        """Choose how to be reminded.

        What is left out is as if nothing had been chosen. It holds for all families of the caller.
        """
        save(parts.store(), call.caller, body)
        return answer(now(call.caller), call=call)

    return (
        Route(
            "GET",
            _PATH,
            show_reminder_settings,
            name="getReminderSettings",
            gives=ReminderSettingsNow,
            names=(QuietHours, KnownPhone),
            faults=(StoreUnavailable,),
        ),
        Route(
            "PUT",
            _PATH,
            save_reminder_settings,
            name="putReminderSettings",
            takes=ReminderSettings,
            gives=ReminderSettingsNow,
            names=(QuietHours, KnownPhone),
            faults=("invalid_request", Contended, StoreUnavailable),
        ),
    )
