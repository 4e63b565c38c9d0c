"""Who is told of one thing: a document holds what became of each phone, mail and other way.

Its field `told` maps the name of a way (`USER~DEVICE`, `USER@mail`) to `state`, `at` (when to look at it
again, or since when it is so) and `due` (when it was to be told), server ms. Every step is a
compare-and-set:

    waiting → taken → sent
       │        ├──→ missed    nobody knows whether it was sent: the process died, or there was no answer
       │        └──→ waiting   it was certainly not taken: again in two minutes
       ├──→ missed             too old
       └──→ gone               is not to be told any more, or cannot be reached

So a way is sent a thing once at most, whoever dies where and however many try.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from shared.errors import MailFault, NotifyFault
from shared.notify.mail import Mail, Mailer
from shared.notify.notice import NOT_TAKEN, Message, Notifier, forget
from shared.records.insist import insist
from shared.records.killpoints import reach
from shared.records.store import Document, RecordStore, Write, patch

log = logging.getLogger(__name__)

WAITING, TAKEN, SENT, MISSED, GONE = "waiting", "taken", "sent", "missed", "gone"

#: States in which a way is still to be told, or may be.
OPEN = (WAITING, TAKEN)

MAIL = "@mail"

#: After this, who took a way and said nothing of it is dead, ms: longer than any send takes.
TAKING_MS = 5 * 60_000

#: When what was not taken is sent again, ms.
RETRY_MS = 2 * 60_000

_ATTEMPTS = 8

State = dict[str, Any]

#: Other writes of a commit that changes the states of some ways.
Beside = Callable[[Mapping[str, State]], Sequence[Write]]


def user_of(name: str) -> str:
    """Whose way it is."""
    at = name.find("~")
    return name[:at] if at >= 0 else name.rpartition("@")[0]


class Ready(NamedTuple):
    """How a way is told."""

    at_ms: int  #: when it may be told; later than now: not yet
    send: Callable[[], str]  #: tells it; the state that it has then
    guards: Sequence[Write] = ()  #: what must still hold when it is taken


def waiting(due_ms: int) -> State:
    """A way that is to be told at a moment."""
    return {"state": WAITING, "due": due_ms, "at": due_ms}


@dataclass(frozen=True, slots=True)
class Telling:
    """One thing as its document was read. What changes it raises `Contended` if others were faster."""

    store: RecordStore
    document: Document
    oldest_ms: int  #: so long after it was due a way is not told any more
    beside: Beside = lambda _changed: ()

    @property
    def ways(self) -> dict[str, State]:
        """What became of each way."""
        return dict(self.document.fields.get("told") or {})

    @property
    def next_ms(self) -> int | None:
        """When somebody must look at a way again; None: never."""
        waits = (
            each["at"] + (TAKING_MS if each["state"] == TAKEN else 0)
            for each in self.ways.values()
            if each["state"] in OPEN
        )
        return min(waits, default=None)

    def note(
        self, changed: Mapping[str, State], *also: Write, fields: Mapping[str, Any] | None = None
    ) -> None:
        """Note what some ways have become, with other fields of the document."""
        told = {"told": {**self.ways, **changed}} if changed else {}
        write = patch(self.document.key, {**told, **(fields or {})}, self.document.version)
        self.store.commit([write, *self.beside(changed), *also])

    def given_up(self) -> dict[str, State]:
        """Ways that nobody could tell, as missed."""
        return {
            name: {**each, "state": MISSED}
            for name, each in self.ways.items()
            if each["state"] in OPEN
        }

    def tell(self, name: str, now_ms: int, ready: Callable[[State], Ready | None]) -> bool:
        """Go on with one way; False: not now. `ready` gives None for one that is to be told no more."""
        state = self.ways[name]
        if state["state"] not in OPEN:
            return False
        if state["state"] == TAKEN:
            if now_ms - state["at"] < TAKING_MS:
                return False
            return self._became(name, MISSED, now_ms)
        if now_ms < state["at"]:
            return False
        if now_ms - state["due"] > self.oldest_ms:
            return self._became(name, MISSED, now_ms)
        found = ready(state)
        if found is None:
            return self._became(name, GONE, now_ms)
        if found.at_ms > now_ms:
            self.note({name: {**state, **waiting(found.at_ms)}})
            return True
        self._became(name, TAKEN, now_ms, *found.guards)
        reach("delivery.taken")
        reached = found.send()
        reach("delivery.sent")
        insist(lambda: self._settle(name, now_ms, reached), _ATTEMPTS, unreachable=3)
        return True

    def _became(self, name: str, state: str, at_ms: int, *also: Write) -> bool:
        self.note({name: {**self.ways[name], "state": state, "at": at_ms}}, *also)
        return True

    def _settle(self, name: str, taken_ms: int, state: str) -> None:
        """Note what became of a way that this process took, unless it was begun anew meanwhile."""
        document = self.store.read([self.document.key]).documents.get(self.document.key)
        if document is None:
            return
        now = Telling(self.store, document, self.oldest_ms, self.beside)
        have = now.ways.get(name)
        if have is None or (have["state"], have["at"]) != (TAKEN, taken_ms):
            return
        at_ms = taken_ms + RETRY_MS if state == WAITING else taken_ms
        now.note({name: {**have, "state": state, "at": at_ms}})


def push(store: RecordStore, notifier: Notifier, device: Document, message: Message) -> str:
    """Send to a phone; the state that it has then."""
    try:
        alive = notifier.send(message)
    except NotifyFault as fault:
        log.warning("phone not told", extra={"code": fault.code})
        return WAITING if fault.code == NOT_TAKEN else MISSED
    if not alive:
        forget(store, device)
    return SENT if alive else GONE


def mail(mailer: Mailer, to: str, subject: str, text: str) -> str:
    """Send a mail; the state that it has then."""
    try:
        mailer.send(Mail(to, subject, text))
    except MailFault as fault:
        log.warning("mail not sent", extra={"code": fault.code})
        return WAITING if fault.retryable else MISSED
    return SENT


def clear(notifier: Notifier, messages: Iterable[Message]) -> None:
    """Take a thing off screens. What fails is told by the next sync, too."""
    for message in messages:
        try:
            notifier.send(message)
        except NotifyFault as fault:
            log.warning("not cleared", extra={"code": fault.code})
