"""Mail by SMTP (RFC 5321), with the standard library.

TLS either from the first byte (`tls`, RFC 8314) or after STARTTLS (`starttls`, RFC 3207); certificates are
verified. `none` is for a server on this machine. A password never goes over a line without TLS but to this
machine.
"""

from __future__ import annotations

import smtplib
import ssl
from email.message import EmailMessage
from email.policy import SMTP
from email.utils import formatdate, make_msgid

from shared.errors import MailFault
from shared.notify.mail import Mail

#: Longest wait for one answer of the server, seconds. A mail takes some ten of them.
TIMEOUT_SECONDS = 10.0


class SmtpMailer:
    """Hands mails to one server, each on a connection of its own. Threads may share it."""

    def __init__(
        self,
        host: str,
        port: int,
        *,
        security: str,
        sender: str,
        user: str = "",
        password: str = "",
        context: ssl.SSLContext | None = None,
        timeout_seconds: float = TIMEOUT_SECONDS,
    ) -> None:
        self._host, self._port, self._security = host, port, security
        self._sender, self._user, self._password = sender, user, password
        self._context, self._timeout_seconds = context, timeout_seconds

    def send(self, mail: Mail) -> None:
        """See `shared.notify.mail.Mailer.send`."""
        message, reached = self._message(mail), False
        try:
            with self._connected() as server:
                reached = True
                if self._user:
                    server.login(self._user, self._password)
                server.send_message(message)
        # Texts of servers may repeat addresses and passwords: neither text nor cause is kept.
        except smtplib.SMTPAuthenticationError:
            raise MailFault("The mail server refuses SMTP_USER.", code="mail_login") from None
        except (
            smtplib.SMTPSenderRefused,
            smtplib.SMTPRecipientsRefused,
            smtplib.SMTPDataError,
        ):
            raise MailFault("The mail server refuses the mail.", code="mail_refused") from None
        except ssl.SSLError:
            raise MailFault("The mail server's TLS cannot be trusted.", code="mail_tls") from None
        except smtplib.SMTPNotSupportedError:
            raise MailFault(
                "The mail server has no STARTTLS, or takes no log-in.", code="mail_unsupported"
            ) from None
        except (smtplib.SMTPException, OSError, UnicodeError) as error:
            fault = MailFault(f"The mail server fails ({type(error).__name__}).")
            fault.retryable = not reached
            raise fault from None

    def _connected(self) -> smtplib.SMTP:
        if self._security == "tls":
            return smtplib.SMTP_SSL(
                self._host, self._port, timeout=self._timeout_seconds, context=self._trusted()
            )
        server = smtplib.SMTP(self._host, self._port, timeout=self._timeout_seconds)
        if self._security == "starttls":
            try:
                server.starttls(context=self._trusted())
            except BaseException:
                server.close()
                raise
        return server

    def _trusted(self) -> ssl.SSLContext:
        return self._context or ssl.create_default_context()

    def _message(self, mail: Mail) -> EmailMessage:
        message = EmailMessage(policy=SMTP)
        # A header takes no line break: `EmailMessage` refuses one (ValueError), and so nobody adds headers.
        try:
            message["From"], message["To"], message["Subject"] = self._sender, mail.to, mail.subject
        except ValueError:
            raise MailFault("The mail has no usable address.", code="mail_refused") from None
        message["Date"] = formatdate()
        message["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2].strip(">"))
        message["Auto-Submitted"] = "auto-generated"  # RFC 3834: no holiday answers
        message.set_content(mail.text)
        return message
