"""How somebody wants to be reminded: on which phones, by mail or not, in which language, when not.

One document a user, `reminder_settings/{user_id}`; it ends with the account (`Catalog.of_users`). Who has
set nothing is reminded on every phone at any hour, without mails.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any
from zoneinfo import ZoneInfo

import msgspec
from msgspec import Meta, Struct

from shared.access import membership
from shared.access.membership import Caller
from shared.api.fields import MomentOrNull, must, one_of, says
from shared.api.routes import Route
from shared.api.web import Call, Response, answer
from shared.errors import Contended, InvalidRequest, StoreUnavailable
from shared.products.hemoday.reminder_words import LANGUAGES
from shared.products.hemoday.tables import REMINDER_SETTINGS as COLLECTION
from shared.products.product import Parts
from shared.records.insist import insist
from shared.records.store import Document, Key, Query, RecordStore, StoredCollection, put, verify
from shared.records.wall_time import instant, known_zone
from shared.support import ledger

STORED = (StoredCollection(COLLECTION),)

_PATH = "/api/v1/reminders/settings"

#: Most phones that are named.
_MOST = ledger.MOST_OF_A_USER

#: Longest quiet hours: whoever is told less than every third hour of a day is not reminded.
_LONGEST_QUIET = timedelta(hours=16)

_ATTEMPTS = 8

_MINUTES = r"^([01]\d|2[0-3]):[0-5]\d\Z"
Clock = Annotated[str, must("a time of day as 22:00", pattern=_MINUTES), says("HH:MM.")]


class QuietHours(Struct, rename={"begins": "from", "ends": "to"}):
    """Hours of each day in which nothing is sent; what falls in is sent at their end."""

    begins: Clock
    ends: Clock
    time_zone: Annotated[str, Meta(max_length=60), says("Of that clock, as Asia/Kolkata.")]


class ReminderSettings(Struct):
    """How the caller is reminded."""

    devices: Annotated[
        Annotated[list[Annotated[str, Meta(max_length=128)]], Meta(max_length=_MOST)] | None,
        says("Names of the phones that are told (`device` of their tokens); null: all."),
    ] = None
    mail: Annotated[bool, says("Whether a mail is sent, too.")] = False
    quiet_hours: QuietHours | None = None
    language: Annotated[str, one_of(LANGUAGES)] = "en"


class KnownPhone(Struct):
    """A phone that the caller has synced with."""

    device: str
    reachable: Annotated[bool, says("Whether it has sent a push token.")]
    last_seen_at: MomentOrNull


class ReminderSettingsNow(ReminderSettings, kw_only=True):
    """How the caller is reminded, and what there is to choose from."""

    phones: list[KnownPhone]
    mail_is_sent: Annotated[bool, says("Whether this server sends mails at all.")]


@dataclass(frozen=True, slots=True)
class Choice:
    """What a stored document says."""

    devices: frozenset[str] | None = None
    mail: bool = False
    quiet: tuple[str, str, str] | None = None  #: from, to, time zone
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
        """When it may be sent that is due at an instant, Unix ms: then, or at the end of quiet hours.

        They begin and end when the clock first shows so; a time that spring leaves out is an hour later.
        """
        if self.quiet is None:
            return at_ms
        begins, ends, zone = self.quiet
        where = ZoneInfo(zone)
        today = datetime.fromtimestamp(at_ms / 1000, UTC).astimezone(where).date()
        for days in (-1, 0, 1):
            day = today + timedelta(days=days)
            after = day + timedelta(days=1) if ends <= begins else day
            first = instant(datetime.fromisoformat(f"{day}T{begins}"), where)
            last = instant(datetime.fromisoformat(f"{after}T{ends}"), where)
            if first <= at_ms < last:
                return last
        return at_ms


def key(user_id: str) -> Key:
    """Where a user's choice is."""
    return Key(COLLECTION, user_id)


def checked(said: ReminderSettings) -> ReminderSettings:
    """The same. Raises `InvalidRequest` for quiet hours that cannot be."""
    quiet = said.quiet_hours
    if quiet is None:
        return said
    if not known_zone(quiet.time_zone):
        raise InvalidRequest(
            "Name a time zone such as Asia/Kolkata.", field="quiet_hours.time_zone"
        )
    length = _minutes(quiet.ends) - _minutes(quiet.begins)
    if not timedelta() < timedelta(minutes=length % 1440) <= _LONGEST_QUIET:
        hours = _LONGEST_QUIET // timedelta(hours=1)
        raise InvalidRequest(
            f"Quiet hours have an end after their beginning, at most {hours} hours later.",
            field="quiet_hours.to",
        )
    return said


def _minutes(clock: str) -> int:
    return int(clock[:2]) * 60 + int(clock[3:])


def save(
    store: RecordStore,
    caller: Caller,
    said: ReminderSettings,
    wait: Callable[[float], None] = time.sleep,
) -> None:
    """Keep the caller's choice. Raises `InvalidRequest`, `Contended` and `StoreUnavailable`."""
    fields = msgspec.to_builtins(checked(said))

    def step() -> None:
        own = membership.key(caller.user_id)
        held = membership.of(store.read([own]), caller.user_id)
        # an account that ends at this moment must not leave it behind
        store.commit([put(key(caller.user_id), fields, None), verify(own, held.version)])

    insist(step, _ATTEMPTS, wait=wait)


def phones_of(store: RecordStore, user_id: str) -> list[KnownPhone]:
    """The phones of a user, the one that was heard of last first."""
    fields = ("device", "attempt_at", ledger.PUSH_TOKEN)
    query = Query(ledger.COLLECTION, where=(("user_id", "==", user_id),), fields=fields)
    found = sorted(store.query(query), key=lambda each: -int(each.fields.get("attempt_at") or 0))
    return [
        KnownPhone(
            str(each.fields["device"]),
            bool(each.fields.get(ledger.PUSH_TOKEN)),
            each.fields.get("attempt_at"),
        )
        for each in found
    ]


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
