"""Mail: the port, and the outbox that sends one without keeping anybody waiting.

Mails of ours hold links and words of our own, never anything of a record. Nobody waits for one: what
cannot be sent is a log line with a code, and whoever misses it asks again.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from shared.errors import Fault

log = logging.getLogger(__name__)

#: Mails that one process sends at the same time. Beyond, they are dropped: a server that does not answer
#: must not collect threads.
_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Mail:
    """One mail in plain text, to one address."""

    to: str
    subject: str
    text: str


class Mailer(Protocol):
    """Who carries mail."""

    def send(self, mail: Mail) -> None:
        """Hand a mail to a server. Raises `MailFault`; the mail may have been sent all the same."""
        ...


class Outbox:
    """Sends beside the request. An answer that waited for a mail would tell whether there was one.

    `start` runs something beside the caller. An instance that is stopped meanwhile, or gets no processor
    time once it has answered (Cloud Run between requests), sends late or not at all.
    """

    def __init__(
        self, mailer: Mailer, start: Callable[[Callable[[], None]], None] | None = None
    ) -> None:
        self._mailer, self._start = mailer, start or _beside
        self._room = threading.BoundedSemaphore(_AT_ONCE)

    def put(self, mail: Mail | None) -> None:
        """Send a mail, soon; None: do the same without one. Never raises."""
        self._start(lambda: self._send(mail))

    def _send(self, mail: Mail | None) -> None:
        if mail is None:
            return
        if not self._room.acquire(blocking=False):
            log.error("mail not sent", extra={"code": "too_many_mails"})
            return
        try:
            self._mailer.send(mail)
        except Fault as fault:
            log.error("mail not sent", extra={"code": fault.code})
        except Exception as error:  # a thread of its own: nobody else would tell
            log.error("mail not sent", extra={"code": type(error).__name__})
        else:
            log.info("mail sent")
        finally:
            self._room.release()


def _beside(act: Callable[[], None]) -> None:
    threading.Thread(target=act, name="mail", daemon=True).start()
