"""What carries messages, mails and posts in tests: it writes down what it gets, or fails as told."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from shared.errors import HookFault, MailFault, NotifyFault
from shared.hooks.deliver import EndpointAnswer
from shared.notify.mail import Mail
from shared.notify.notice import Message


class Killed(BaseException):
    """The process ends here: no handler of ours runs."""


@dataclass
class Post:
    """Each list holds the moment first."""

    sent: list[tuple[int, Message]] = field(default_factory=list)
    mails: list[tuple[int, Mail]] = field(default_factory=list)
    posts: list[tuple[int, str, dict[str, str], bytes]] = field(default_factory=list)
    clock: Callable[[], int] = lambda: 0
    #: By token: what is raised for what is shown, or False for a dead token.
    answers: dict[str, BaseException | bool] = field(default_factory=dict)
    mail_fault: MailFault | None = None
    #: By address: a status, or what is raised.
    endpoints: dict[str, int | HookFault] = field(default_factory=dict)
    meanwhile: Callable[[], None] = lambda: None  #: happens while something is sent

    def deliver(self, message: Message) -> bool:
        """See `Notifier.send`."""
        answer = self.answers.get(message.token, True)
        if isinstance(answer, NotifyFault) and message.alert:
            raise answer
        if isinstance(answer, bool) and not answer:
            return False
        self.sent.append((self.clock(), message))
        self.meanwhile()
        if isinstance(answer, Killed):
            raise answer
        return True

    def mail(self, mail: Mail) -> None:
        """See `Mailer.send`."""
        if self.mail_fault is not None:
            raise self.mail_fault
        self.mails.append((self.clock(), mail))
        self.meanwhile()

    def post(
        self, url: str, body: bytes, headers: Mapping[str, str], now_ms: int
    ) -> EndpointAnswer:
        """See `Poster`."""
        answer = self.endpoints.get(url, 200)
        self.posts.append((now_ms, url, dict(headers), body))
        self.meanwhile()
        if isinstance(answer, HookFault):
            raise answer
        return EndpointAnswer(answer)


class PostNotifier:
    """The part of a post that sends to phones."""

    def __init__(self, post: Post) -> None:
        self.send = post.deliver


class PostMailer:
    """The part of a post that sends mails."""

    def __init__(self, post: Post) -> None:
        self.send = post.mail
