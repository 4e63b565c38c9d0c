"""The way of one request, over real sockets: certificates, names, deadlines, what is read of an answer."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest

from shared.adapters.hook_post import HookPost
from shared.errors import HookFault
from shared.hooks.deliver import EndpointAnswer
from tests.hooks.conftest import HERE, Certified, Receiver, certified

NAME = "hooks.example.org"


def to_here(_host: str, _port: int) -> list[str]:
    """Every name is at this machine."""
    return ["127.0.0.1"]


@pytest.fixture
def papers(tmp_path: Path) -> Certified:
    return certified(tmp_path, NAME)


@pytest.fixture
def secure(papers: Certified) -> Iterator[Receiver]:
    made = Receiver(papers.server)
    yield made
    made.close()


def test_the_certificate_is_that_of_the_name_and_the_host_is_the_name(
    secure: Receiver, papers: Certified
) -> None:
    post = HookPost(HERE, context=papers.client, resolve=to_here)
    said = post(f"https://{NAME}:{secure.port}/in", b"{}", {"webhook-id": "msg_1"}, 0)
    assert said == EndpointAnswer(204)
    [seen] = secure.seen
    assert (seen.headers["host"], seen.body) == (f"{NAME}:{secure.port}", b"{}")
    assert seen.headers["webhook-id"] == "msg_1"


@pytest.mark.parametrize("name", ["other.example.org", "localhost", "127.0.0.1"])
def test_a_certificate_of_another_name_is_refused(
    secure: Receiver, papers: Certified, name: str
) -> None:
    post = HookPost(HERE, context=papers.client, resolve=to_here)
    with pytest.raises(HookFault) as caught:
        post(f"https://{name}:{secure.port}/in", b"{}", {}, 0)
    assert (caught.value.code, secure.seen) == ("tls_failed", [])


def test_a_certificate_that_nobody_signed_is_refused(secure: Receiver) -> None:
    with pytest.raises(HookFault) as caught:
        HookPost(HERE, resolve=to_here)(f"https://{NAME}:{secure.port}/in", b"{}", {}, 0)
    assert (caught.value.code, secure.seen) == ("tls_failed", [])


def test_a_name_that_changes_its_mind_is_asked_once(receiver: Receiver) -> None:
    """DNS rebinding: judged as public, connected to as another. Here the second answer would be us."""
    asked: list[str] = []

    def rebinds(host: str, _port: int) -> list[str]:
        asked.append(host)
        return ["127.0.0.1"] if len(asked) > 1 else ["127.0.0.2"]

    post = HookPost(HERE, resolve=rebinds, timeout_seconds=5)
    with pytest.raises(HookFault) as caught:
        post(receiver.url, b"{}", {}, 0)
    assert (caught.value.code, asked, receiver.seen) == ("unreachable", ["localhost"], [])


def test_the_next_address_of_a_name_is_tried(receiver: Receiver) -> None:
    post = HookPost(HERE, resolve=lambda _h, _p: ["::1", "127.0.0.1"], timeout_seconds=5)
    assert post(receiver.url, b"{}", {}, 0).status == 204


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(receiver: Receiver, other: Receiver, status: int) -> None:
    receiver.status, receiver.headers = status, {"Location": other.url}
    assert HookPost(HERE)(receiver.url, b"{}", {}, 0).status == status
    assert other.seen == []


def test_no_proxy_of_the_environment_is_used(
    receiver: Receiver, other: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, f"http://127.0.0.1:{other.port}")
    HookPost(HERE)(receiver.url, b"{}", {}, 0)
    assert (len(receiver.seen), other.seen) == (1, [])


def test_a_host_without_an_address_is_said_so() -> None:
    def none(_host: str, _port: int) -> list[str]:
        raise socket.gaierror

    with pytest.raises(HookFault) as caught:
        HookPost(resolve=none)(f"https://{NAME}", b"{}", {}, 0)
    assert (caught.value.code, caught.value.retryable) == ("host_unknown", True)


# --- answers that never end, or are none


@pytest.fixture
def talk() -> Iterator[Callable[[Callable[[socket.socket], None]], str]]:
    """Serves one connection by hand; the address."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve(how: Callable[[socket.socket], None]) -> str:
        def once() -> None:
            connection, _ = listening.accept()
            with connection:
                try:
                    connection.recv(65536)
                    how(connection)
                except OSError:
                    return  # it hung up, as it should

        threading.Thread(target=once, daemon=True).start()
        return f"http://localhost:{listening.getsockname()[1]}/in"

    yield serve
    listening.close()


def _drip(connection: socket.socket, text: bytes) -> None:
    """A byte at a time for ever: each of them comes well within any timeout of a single read."""
    ended = threading.Event()
    while not ended.wait(0.02):
        connection.sendall(text)


def test_one_deadline_holds_however_slowly_an_answer_comes(
    talk: Callable[[Callable[[socket.socket], None]], str],
) -> None:
    url = talk(lambda connection: _drip(connection, b"X-Filler: 1\r\n"))
    with pytest.raises(HookFault) as caught:
        HookPost(HERE, timeout_seconds=0.3)(url, b"{}", {}, 0)
    assert caught.value.code in ("timeout", "answer_unreadable")


def test_a_head_that_drips_ends_with_the_deadline(
    talk: Callable[[Callable[[socket.socket], None]], str],
) -> None:
    url = talk(lambda connection: _drip(connection, b"H"))
    with pytest.raises(HookFault) as caught:
        HookPost(HERE, timeout_seconds=0.3)(url, b"{}", {}, 0)
    assert caught.value.code == "timeout"


def test_a_body_without_end_is_neither_read_nor_a_failure(
    talk: Callable[[Callable[[socket.socket], None]], str],
) -> None:
    """hands #348: the answer is the status; who goes on talking is not listened to."""

    def endless(connection: socket.socket) -> None:
        connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            connection.sendall(b"10000\r\n" + b"x" * 65536 + b"\r\n")

    assert HookPost(HERE, timeout_seconds=5)(talk(endless), b"{}", {}, 0).status == 200


def test_a_body_that_never_comes_does_not_undo_a_success(
    talk: Callable[[Callable[[socket.socket], None]], str],
) -> None:
    head = b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\n"

    def silent(connection: socket.socket) -> None:
        connection.sendall(head)
        connection.recv(1)

    assert HookPost(HERE, timeout_seconds=0.3)(talk(silent), b"{}", {}, 0).status == 200


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"hello\r\n\r\n",
        b"HTTP/1.1 abc OK\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n" + b"A: b\r\n" * 200 + b"\r\n",
        b"HTTP/1.1 200 " + b"x" * 70_000 + b"\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01",
    ],
)
def test_what_is_no_answer_is_a_fault_and_no_crash(
    talk: Callable[[Callable[[socket.socket], None]], str], answer: bytes
) -> None:
    url = talk(lambda connection: connection.sendall(answer))
    with pytest.raises(HookFault) as caught:
        HookPost(HERE, timeout_seconds=5)(url, b"{}", {}, 0)
    assert caught.value.code in ("answer_unreadable", "unreachable", "timeout")


def test_a_receiver_that_hangs_up_is_a_fault(receiver: Receiver) -> None:
    def hang_up(handler: BaseHTTPRequestHandler) -> bool:
        handler.close_connection = True
        return False

    receiver.before = hang_up
    with pytest.raises(HookFault):
        HookPost(HERE, timeout_seconds=5)(receiver.url, b"{}", {}, 0)


def test_nobody_listens_there(receiver: Receiver) -> None:
    receiver.close()
    with pytest.raises(HookFault) as caught:
        HookPost(HERE)(receiver.url, b"{}", {}, 0)
    assert caught.value.code == "unreachable"
