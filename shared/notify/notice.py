"""Notices: a phone is poked to sync, or its user is told that something waits. At most once each.

The commit that ends a job may store a notice (`notices/{job}`), so there is one exactly if there is a
result. `Deliveries` takes a due notice by compare-and-set before it sends anything: a process that
dies in between sends nothing, two at once send once. What is lost costs nothing but time, since the
next sync brings the same news. A notice holds ids and nothing of the record, and neither does what is
sent.

A phone says where it can be reached with `POST /api/v1/devices/token`; the push token stands in its
entry of the device ledger. Of one result `_MOST_PHONES` are told, those of people who are alerted
(`Action.ALERT`) before all others.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple, Protocol

from shared.access import membership
from shared.access.rights import Action
from shared.errors import Contended, Fault, NotifyFault
from shared.records.collection import Catalog
from shared.records.killpoints import reach
from shared.records.store import (
    Document,
    Key,
    Query,
    RecordStore,
    StoredCollection,
    Write,
    patch,
    put,
)
from shared.support import ledger

log = logging.getLogger(__name__)

COLLECTION = "notices"

STORED = (StoredCollection(COLLECTION, (("due_at",), ("expires_at",))),)

#: Where a phone's entry in the device ledger holds its push token.
TOKEN = ledger.PUSH_TOKEN

#: How long a notice is kept after it was due, ms: long enough to look into a complaint.
_KEPT_MS = 7 * 86_400_000

#: A notice older than this is not sent any more: the phone has synced since, or is off.
_OLDEST_MS = 3_600_000

#: Notices of one round, and phones told of one.
_A_ROUND = 50
_MOST_PHONES = 200


class AlertWords(NamedTuple):
    """What an alert says on a locked screen: that something waits, and nothing of what it is."""

    title: str
    body: str


#: For a product that has no words of its own.
SOMETHING_WAITS = AlertWords("Something waits for you", "Open the app to see it.")

#: What a message is unless it says otherwise: "sync now".
SYNC = "sync"

#: The code of a fault after which the message was certainly not taken: it may be sent again.
NOT_TAKEN = "notify_not_taken"


@dataclass(frozen=True, slots=True)
class Message:
    """What is sent to one phone. `alert`: with words on the screen; else silent.

    A phone shows one message `about` a thing: a later one takes the place of an earlier one.
    """

    token: str
    record_id: str
    alert: bool
    words: AlertWords | None = None  #: None: those of the deployment
    kind: str = SYNC  #: tells the app what it is about
    about: str = SYNC
    data: Mapping[str, str] = field(default_factory=dict)  #: for the app, beside `kind`


class Notifier(Protocol):
    """Sends to one phone. Adapters: FCM, the log."""

    def send(self, message: Message) -> bool:
        """Send once, not again. False: the token is dead and should be forgotten.

        Raises `NotifyFault` when it is not known to have been taken; with the code `NOT_TAKEN`, it was not.
        """
        ...


def due(job_id: str, record_id: str, scope_id: str, now_ms: int) -> Write:
    """The write that makes a notice due; it belongs in the commit of the result."""
    return put(
        Key(COLLECTION, job_id),
        {
            "record_id": record_id,
            "scope_id": scope_id,
            "due_at": now_ms,
            "expires_at": now_ms + _KEPT_MS,
        },
        None,
    )


class Deliveries:
    """Delivers due notices. Safe to share between threads and to run in many processes."""

    def __init__(
        self,
        store: RecordStore,
        catalog: Catalog,
        notifier: Notifier,
        clock: Callable[[], int],
    ) -> None:
        self._store, self._catalog = store, catalog
        self._notifier, self._clock = notifier, clock

    def deliver(self, now_ms: int | None = None) -> int:
        """Send what is due; returns how many notices were taken. Never raises a `NotifyFault`."""
        now_ms = self._clock() if now_ms is None else now_ms
        query = Query(
            COLLECTION,
            where=(("due_at", "<=", now_ms),),
            order=(("due_at", "asc"),),
            limit=_A_ROUND,
        )
        return sum(self._take(found, now_ms) for found in list(self._store.query(query)))

    def deliver_soon(self) -> None:
        """Send what is due, for somebody who has something else to answer for: what fails is left to the
        sweeper. Never raises a `Fault`.
        """
        try:
            self.deliver()
        except Fault as error:
            log.warning("notices left to the sweeper", extra={"code": error.code})

    def _take(self, found: Document, now_ms: int) -> bool:
        token = {"due_at": None, "taken_at": now_ms}
        try:
            self._store.commit([patch(found.key, token, found.version)])
        except Contended:
            return False  # somebody else has it
        reach("notice.taken")
        told = 0
        if now_ms - int(found.fields["due_at"]) <= _OLDEST_MS:
            told = self._tell(found.fields)
        log.info("notice", extra={"notice": found.key.id, "phones": told})
        return True

    def _tell(self, notice: dict[str, Any]) -> int:
        told = 0
        for device, role in phones(self._store, self._catalog, notice["scope_id"]):
            message = Message(
                device.fields[TOKEN],
                str(notice.get("record_id", "")),
                self._catalog.may(role, Action.ALERT),
            )
            try:
                alive = self._notifier.send(message)
            except NotifyFault as fault:
                log.warning("phone not notified", extra={"code": fault.code})
                continue
            told += alive
            if not alive:
                forget(self._store, device)
        return told


def phones(store: RecordStore, catalog: Catalog, scope_id: str) -> Iterator[tuple[Document, str]]:
    """Phones of the scope's members that can be reached, with the member's role now; each token once.

    Those that are alerted come first, so that no other takes their place; and of each user
    the phone that was heard of last before any other. Entries have `user_id`, `attempt_at` and `TOKEN`.
    """
    found = [
        device
        for device in ledger.devices(store, scope_id, ("user_id", TOKEN, "attempt_at"))
        if device.fields.get(TOKEN)
    ]
    found.sort(key=lambda device: -int(device.fields["attempt_at"]))
    users = {str(device.fields["user_id"]) for device in found}
    read = store.read([membership.key(user) for user in sorted(users)]).documents
    of_user: Counter[str] = Counter()
    reached: list[tuple[bool, int, Document, str]] = []
    for device in found:
        user = str(device.fields["user_id"])
        role = membership.role_of(user, read.get(membership.key(user)), scope_id)
        if role is not None and catalog.may(role, Action.READ):
            alert = catalog.may(role, Action.ALERT)
            reached.append((not alert, of_user[user], device, role))
            of_user[user] += 1
    reached.sort(key=lambda each: each[:2])
    seen: set[str] = set()
    for _, _, device, role in reached:
        if device.fields[TOKEN] not in seen and len(seen) < _MOST_PHONES:
            seen.add(device.fields[TOKEN])
            yield device, role


def forget(store: RecordStore, device: Document) -> None:
    """Forget the dead token of a phone, unless it has another one meanwhile. Never raises a `Fault`."""
    try:
        store.commit([patch(device.key, {TOKEN: None}, device.version)])
    except Fault as fault:  # it was renewed meanwhile, or goes next time
        log.warning("dead token kept", extra={"code": fault.code})


class LogNotifier:
    """Sends nothing and says so in the log: for one machine, and where nobody is to be notified."""

    def send(self, message: Message) -> bool:
        """See `Notifier.send`."""
        log.info("notice not sent", extra={"alert": message.alert})
        return True
