"""Sends to one way of a person: a phone, a mail, a webhook. What is sent says nothing of the patient.

A way is named `USER~DEVICE`, `USER@mail`, `USER@webhook` or `USER@digest`. A webhook is posted to again
while it is not known to have taken it: receivers know a message by its id (`webhook-id`).
"""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

import orjson

from shared.access import membership
from shared.access.rights import Action
from shared.accounts import people
from shared.errors import HookFault
from shared.hooks.deliver import Poster
from shared.hooks.signature import headers
from shared.notify.mail import Mailer
from shared.notify.notice import TOKEN, Message, Notifier, phones
from shared.notify.telling import GONE, MAIL, MISSED, SENT, WAITING, clear, mail, push, user_of
from shared.products.medmind import alert_settings, alert_words
from shared.products.medmind.alert_settings import AlertChoice, hook_secret
from shared.products.medmind.alert_tables import BY_MAIL, DIGEST, PHONE, WEBHOOK
from shared.products.medmind.escalation import CircleMember
from shared.products.product import Parts
from shared.records.store import Document, Key, RecordStore
from shared.support import ledger

log = logging.getLogger(__name__)

#: Kinds of messages for the app: show an alert, take it off the screen.
SHOW, CLEAR = "alert", "alert_clear"

HOOK, AT_DIGEST = "@webhook", f"@{DIGEST}"

#: Answers after which a webhook is posted to again, besides 5xx.
_LATER = frozenset({408, 425, 429})


class Said(NamedTuple):
    """What is told: ids and how urgent it is."""

    id: str  #: of the alert, or of the digest
    link_id: str  #: of what the link shows; empty: all of them
    severity: str  #: or `digest`
    scope: str
    at_ms: int
    step: str


class Reached(NamedTuple):
    """Somebody as they may be told now."""

    choice: AlertChoice
    device: Document | None = None  #: of a phone
    email: str = ""  #: of a mail


def way_of(name: str) -> str:
    """By which way a name is told."""
    if "~" in name:
        return PHONE
    return {MAIL: BY_MAIL, HOOK: WEBHOOK, AT_DIGEST: DIGEST}[name[name.rindex("@") :]]


class Sender:
    """Knows the people of a circle and how they are reached."""

    def __init__(
        self,
        store: RecordStore,
        may: Callable[[str | None, Action], bool],
        parts: Parts,
    ) -> None:
        self._store, self._may, self._parts = store, may, parts
        self.clock = parts.clock_ms

    @property
    def notifier(self) -> Notifier:
        """Who sends to phones."""
        return self._parts.notifier()

    def circle(self, scope: str) -> tuple[list[CircleMember], dict[str, AlertChoice]]:
        """Everybody in a circle, and how they want to be told."""
        found = list(membership.everybody(self._store, scope))
        places = {user: alert_settings.key(user) for user, _, _ in found}
        read = self._store.read(list(places.values())).documents if places else {}
        choices = {user: AlertChoice.of(read.get(place)) for user, place in places.items()}
        members = [
            CircleMember(user, role, since, choices[user].turn) for user, role, since in found
        ]
        return members, choices

    def ways(self, scope: str, choices: Mapping[str, AlertChoice]) -> dict[str, list[list[str]]]:
        """Names by user, a list a way, in the order of the ways; those that cannot work are left out."""
        catalog = self._parts.catalog()
        devices: dict[str, list[str]] = {}
        for device, _ in phones(self._store, catalog, scope):
            devices.setdefault(str(device.fields["user_id"]), []).append(device.key.id)
        found: dict[str, list[list[str]]] = {}
        for user, choice in choices.items():
            named = {
                PHONE: [
                    each
                    for each in devices.get(user, ())
                    if choice.devices is None or each.removeprefix(f"{user}~") in choice.devices
                ],
                BY_MAIL: [f"{user}{MAIL}"] if self._mailer() is not None else [],
                WEBHOOK: [f"{user}{HOOK}"] if choice.hook is not None else [],
            }
            found[user] = [named[way] for way in choice.ways if named[way]]
        return found

    def reached(self, scope: str, name: str) -> Reached | None:
        """How a way is reached now; None: it is not to be told any more, or cannot be."""
        user, way = user_of(name), way_of(name)
        own, chosen, account = (
            membership.key(user),
            alert_settings.key(user),
            people.account_key(user),
        )
        place = Key(ledger.COLLECTION, name)
        keys = [own, chosen, *([place] if way == PHONE else [account] if way == BY_MAIL else [])]
        documents = self._store.read(keys).documents
        role = membership.role_of(user, documents.get(own), scope)
        choice = AlertChoice.of(documents.get(chosen))
        if not self._may(role, Action.READ) or (way not in choice.ways and way != DIGEST):
            return None
        if way == PHONE:
            device = documents.get(place)
            wanted = choice.devices is None or name.removeprefix(f"{user}~") in choice.devices
            if device is None or not device.fields.get(TOKEN) or not wanted:
                return None
            return Reached(choice, device)
        if way == BY_MAIL:
            have = documents.get(account)
            email = "" if have is None else str(have.fields.get("email") or "")
            return Reached(choice, email=email) if email else None
        return None if way == WEBHOOK and choice.hook is None else Reached(choice)

    def send(self, said: Said, name: str, to: Reached) -> str:
        """Send once; the state that the way has then."""
        way = way_of(name)
        if to.device is not None:
            message = self._message(said, str(to.device.fields[TOKEN]), to.choice.language)
            return push(self._store, self.notifier, to.device, message)
        if way == BY_MAIL:
            mailer = self._mailer()
            if mailer is None:
                return GONE
            words = alert_words.mail(said.severity, said.step, to.choice.language, self._link(said))
            return mail(mailer, to.email, *words)
        return self._post(said, name, to.choice)

    def clear(self, said: Said, names: Iterable[str]) -> None:
        """Take it off the screens of phones."""
        keys = [Key(ledger.COLLECTION, name) for name in names if way_of(name) == PHONE]
        found = self._store.read(keys).documents.values() if keys else ()
        tokens = [str(each.fields[TOKEN]) for each in found if each.fields.get(TOKEN)]
        clear(self.notifier, (self._message(said, token) for token in tokens))

    def _mailer(self) -> Mailer | None:
        return self._parts.mailer()

    def _link(self, said: Said) -> str:
        anchor = f"#{said.link_id}" if said.link_id else ""
        return f"{self._parts.settings.public_url}/console/calls?scope={said.scope}{anchor}"

    def _message(self, said: Said, token: str, language: str = "") -> Message:
        shows = bool(language)
        words = alert_words.alert(said.severity, said.step, language) if shows else None
        data = {"alert_id": said.link_id, "severity": said.severity, "link": self._link(said)}
        return Message(token, said.id, shows, words, SHOW if shows else CLEAR, said.id, data)

    def _post(self, said: Said, name: str, choice: AlertChoice) -> str:
        hook, now_ms = choice.hook, self.clock()
        if hook is None:
            return GONE
        words = alert_words.alert(said.severity, said.step, choice.language)
        at = datetime.fromtimestamp(said.at_ms / 1000, UTC).isoformat(timespec="milliseconds")
        data = {
            "alert_id": said.link_id,
            "severity": said.severity,
            "to": hook.to,
            "text": f"{words.title}. {words.body}",
            "link": self._link(said),
        }
        mark = hashlib.sha256(f"{said.id}\n{name}\n{hook.id}".encode()).hexdigest()
        body = orjson.dumps({"type": SHOW, "timestamp": at, "data": data})
        secrets = [hook_secret(self._parts.hooks_secret(), hook)]
        signed = headers(secrets, f"msg_{mark[:32]}", now_ms // 1000, body)
        poster: Poster = self._parts.poster()
        try:
            status = poster(hook.url, body, signed, now_ms).status
        except HookFault as fault:
            log.warning("webhook not told", extra={"code": fault.code})
            return WAITING
        if status // 100 == 2:
            return SENT
        log.warning("webhook not told", extra={"code": f"http_{status}"})
        return WAITING if status >= 500 or status in _LATER else MISSED
