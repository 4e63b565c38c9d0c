"""Mail by SMTP against a server of our own: with and without STARTTLS, TLS and a log-in."""

from __future__ import annotations

import datetime
import email
import logging
import socket
import ssl
import threading
from collections.abc import Iterator
from email.message import Message
from email.policy import default
from pathlib import Path
from typing import Any

import pytest
from aiosmtpd.controller import Controller
from aiosmtpd.smtp import AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.adapters.smtp import SmtpMailer
from shared.errors import ConfigurationFault, MailFault
from shared.notify.mail import Mail, Outbox
from shared.settings import load
from tests.patience import until

USER, PASSWORD = "care", "a mail password"
MAIL = Mail("amina@example.org", "Ein Wort für Amina: नमस्ते", "Grüße\n.\nلينك https://x.example#1\n")


class Keeps:
    """What the server does with mails: it keeps them, or refuses."""

    def __init__(self) -> None:
        self.mails: list[Message] = []
        self.refuses = ""

    async def handle_RCPT(self, _s: Any, _x: Any, envelope: Any, address: str, _o: Any) -> str:
        if self.refuses:
            return self.refuses
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, _server: Any, _session: Any, envelope: Any) -> str:
        self.mails.append(email.message_from_bytes(envelope.content, policy=default))
        return "250 OK"


def right(_s: Any, _x: Any, _e: Any, _m: str, given: Any) -> AuthResult:
    good = isinstance(given, LoginPassword) and given == LoginPassword(
        USER.encode(), PASSWORD.encode()
    )
    return AuthResult(success=good, handled=False)


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """A certificate of 127.0.0.1, and its key."""
    folder = tmp_path_factory.mktemp("tls")
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    import ipaddress

    here = x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))])
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(here, critical=False)
        .sign(key, hashes.SHA256())
    )
    (folder / "cert.pem").write_bytes(made.public_bytes(serialization.Encoding.PEM))
    (folder / "key.pem").write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
    )
    return folder / "cert.pem", folder / "key.pem"


def server_side(certificate: tuple[Path, Path]) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(*certificate)
    return context


@pytest.fixture
def keeps() -> Keeps:
    return Keeps()


@pytest.fixture(params=["none", "starttls", "tls"])
def mailer(
    request: pytest.FixtureRequest, keeps: Keeps, certificate: tuple[Path, Path]
) -> Iterator[SmtpMailer]:
    """One of each kind of server, and who sends by it: without TLS nobody logs in."""
    security = request.param
    options: dict[str, Any] = {}
    if security == "starttls":
        options = {"tls_context": server_side(certificate), "require_starttls": True}
    if security == "tls":
        options = {"ssl_context": server_side(certificate)}
    if security != "none":
        options |= {
            "authenticator": right,
            "auth_required": True,
            "auth_require_tls": security == "starttls",
        }
    controller = Controller(keeps, hostname="127.0.0.1", port=free_port(), **options)
    controller.start()
    yield SmtpMailer(
        "127.0.0.1",
        controller.port,
        security=security,
        sender="care@example.org",
        user="" if security == "none" else USER,
        password="" if security == "none" else PASSWORD,
        context=ssl.create_default_context(cafile=str(certificate[0])),
        timeout_seconds=5,
    )
    controller.stop()


def free_port() -> int:
    with socket.socket() as there:
        there.bind(("127.0.0.1", 0))
        return int(there.getsockname()[1])


def code_of(mailer: SmtpMailer, mail: Mail = MAIL) -> str:
    with pytest.raises(MailFault) as caught:
        mailer.send(mail)
    assert PASSWORD not in str(caught.value)
    assert mail.to not in str(caught.value)
    return caught.value.code


def retryable(mailer: SmtpMailer) -> bool:
    with pytest.raises(MailFault) as caught:
        mailer.send(MAIL)
    return caught.value.retryable


def test_a_mail_arrives_as_it_was_written(mailer: SmtpMailer, keeps: Keeps) -> None:
    mailer.send(MAIL)
    [mail] = keeps.mails
    assert mail["To"] == MAIL.to
    assert mail["From"] == "care@example.org"
    assert mail["Subject"] == MAIL.subject
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Message-ID"].endswith("@example.org>")
    assert mail.get_content().replace("\r\n", "\n") == MAIL.text  # type: ignore[attr-defined]


def test_a_mail_that_is_refused_is_a_fault_that_names_nobody(
    mailer: SmtpMailer, keeps: Keeps
) -> None:
    keeps.refuses = f"550 no mailbox {MAIL.to} here"
    assert code_of(mailer) == "mail_refused"
    assert not retryable(mailer)  # somebody was there, and may have taken it


@pytest.mark.parametrize("to", ["a@b.org\nBcc: c@d.org", "a@b.org\r\n\r\ntext", ""])
def test_an_address_adds_no_header(mailer: SmtpMailer, keeps: Keeps, to: str) -> None:
    with pytest.raises(MailFault):
        mailer.send(Mail(to, "s", "t"))
    assert keeps.mails == []


@pytest.mark.parametrize("mailer", ["starttls", "tls"], indirect=True)
def test_a_wrong_password_is_a_fault(mailer: SmtpMailer, keeps: Keeps) -> None:
    mailer._password = "another password"
    assert code_of(mailer) == "mail_login"
    assert keeps.mails == []


@pytest.mark.parametrize("mailer", ["starttls", "tls"], indirect=True)
def test_a_server_that_nobody_vouches_for_gets_no_password(
    mailer: SmtpMailer, keeps: Keeps
) -> None:
    mailer._context = ssl.create_default_context()
    assert code_of(mailer) == "mail_tls"
    assert keeps.mails == []


@pytest.mark.parametrize("mailer", ["none"], indirect=True)
def test_starttls_is_not_given_up_where_the_server_has_none(
    mailer: SmtpMailer, keeps: Keeps
) -> None:
    mailer._security = "starttls"
    assert code_of(mailer) == "mail_unsupported"
    assert keeps.mails == []


def test_a_server_that_is_down_is_a_fault() -> None:
    down = SmtpMailer("127.0.0.1", free_port(), security="none", sender="a@b.org")
    assert code_of(down) == "mail_failed"
    assert retryable(down)  # nobody was there to take it


def test_a_server_that_says_nothing_keeps_nobody_for_long() -> None:
    with socket.socket() as silent:
        silent.bind(("127.0.0.1", 0))
        silent.listen()
        slow = SmtpMailer(
            "127.0.0.1",
            silent.getsockname()[1],
            security="none",
            sender="a@b.org",
            timeout_seconds=0.2,
        )
        assert code_of(slow) == "mail_failed"


# --- the outbox


class Holds:
    """A mailer that waits until it may go on."""

    def __init__(self) -> None:
        self.go, self.sent, self.begun = threading.Event(), 0, threading.Semaphore(0)

    def send(self, _mail: Mail) -> None:
        self.begun.release()
        self.go.wait(10)
        self.sent += 1


def test_nobody_waits_for_a_mail_and_few_are_sent_at_once(caplog: pytest.LogCaptureFixture) -> None:
    holds = Holds()
    outbox = Outbox(holds)
    for _ in range(4):
        outbox.put(MAIL)
        assert holds.begun.acquire(timeout=10)
    with caplog.at_level(logging.INFO):
        outbox.put(MAIL)
        until(lambda: any(code(each) == "too_many_mails" for each in caplog.records), "a line")
    holds.go.set()
    until(lambda: holds.sent == 4, "four mails")


def code(entry: logging.LogRecord) -> object:
    return getattr(entry, "code", None)


def test_what_cannot_be_sent_is_a_line_with_a_code(caplog: pytest.LogCaptureFixture) -> None:
    down = SmtpMailer("127.0.0.1", free_port(), security="none", sender="a@b.org")
    outbox = Outbox(down, start=lambda act: act())
    with caplog.at_level(logging.INFO):
        outbox.put(MAIL)
        outbox.put(None)
    [line] = caplog.records
    assert (line.getMessage(), code(line)) == ("mail not sent", "mail_failed")
    assert MAIL.to not in str(line.__dict__)


# --- settings

GOOD = {
    "MAILER": "smtp",
    "SMTP_HOST": "mail.example.org",
    "MAIL_FROM": "care@example.org",
    "PUBLIC_URL": "https://care.example.org",
}


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        ({"SMTP_HOST": ""}, "SMTP_HOST"),
        ({"SMTP_HOST": "mail example"}, "SMTP_HOST"),
        ({"MAIL_FROM": ""}, "MAIL_FROM"),
        ({"MAIL_FROM": "Care <care@example.org>\nBcc: x@y.org"}, "MAIL_FROM"),
        ({"PUBLIC_URL": ""}, "PUBLIC_URL"),
        ({"PUBLIC_URL": "https://care.example.org/path"}, "PUBLIC_URL"),
        ({"SMTP_SECURITY": "none"}, "SMTP_SECURITY"),
        ({"SMTP_USER": "care"}, "SMTP_PASSWORD"),
    ],
)
def test_mail_that_cannot_work_stops_the_start_by_name(changed: dict[str, str], named: str) -> None:
    assert load(GOOD).mailer == "smtp"
    with pytest.raises(ConfigurationFault) as caught:
        load({**GOOD, **changed})
    assert caught.value.field == named
