"""FCM's wire, against a local server: what is sent, what each answer means, what never leaves."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest

from shared.adapters.fcm import FcmNotifier
from shared.errors import NotifyFault
from shared.notify.notice import NOT_TAKEN, AlertWords, LogNotifier, Message, Notifier

WORDS = AlertWords("Something waits", "Open the app.")
POKE = Message("phone-token", "case-77", alert=False)
CALL = Message("doctor-token", "case-77", alert=True)


class Fcm:
    """A server that answers `status` with `body` and keeps what it was sent."""

    def __init__(self) -> None:
        self.status, self.body = 200, '{"name": "projects/clinic/messages/1"}'
        self.asked: list[tuple[str, Any]] = []
        fcm = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                raw = self.rfile.read(int(self.headers["Content-Length"]))
                fcm.asked.append((self.path, json.loads(raw)))
                self.send_response(fcm.status)
                self.send_header("Content-Length", str(len(fcm.body)))
                self.end_headers()
                self.wfile.write(fcm.body.encode())

            def log_message(self, format: str, *args: Any) -> None:
                return

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_address[1]}"
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()


@pytest.fixture
def fcm() -> Iterator[Fcm]:
    made = Fcm()
    yield made
    made.server.shutdown()
    made.server.server_close()


@pytest.fixture
def notifier(fcm: Fcm) -> FcmNotifier:
    return FcmNotifier("clinic", WORDS, url=fcm.url, credentials="anonymous")


def test_a_phone_gets_a_silent_message(fcm: Fcm, notifier: FcmNotifier) -> None:
    assert notifier.send(POKE) is True
    [(path, body)] = fcm.asked
    assert path == "/v1/projects/clinic/messages:send"
    message = body["message"]
    assert message["token"] == "phone-token"
    assert message["data"] == {"kind": "sync"}
    assert "notification" not in message
    assert message["android"]["collapse_key"] == "sync"
    assert message["apns"]["headers"]["apns-push-type"] == "background"


def test_a_doctor_sees_words_and_none_about_the_case(fcm: Fcm, notifier: FcmNotifier) -> None:
    notifier.send(CALL)
    [(_, body)] = fcm.asked
    assert body["message"]["notification"] == {"title": WORDS.title, "body": WORDS.body}
    assert "case-77" not in json.dumps(body)


def test_a_message_about_a_thing_has_words_of_its_own_and_takes_the_place_of_an_earlier_one(
    fcm: Fcm, notifier: FcmNotifier
) -> None:
    about = "thing~" + "x" * 80
    words = AlertWords("It is time", "Look.")
    call = Message("phone", "r1", True, words, "bell", about, {"bell": "7", "kind": "x"})
    notifier.send(call)
    notifier.send(Message("phone", "r1", alert=False, kind="bell", about=about))
    loud, silent = (body["message"] for _, body in fcm.asked)
    assert loud["notification"] == {"title": "It is time", "body": "Look."}
    assert loud["data"] == {"bell": "7", "kind": "bell"}
    # four keys a phone is what FCM keeps apart: none is used
    assert "collapse_key" not in loud["android"]
    assert loud["android"]["notification"] == {"tag": about}
    collapsed = loud["apns"]["headers"]["apns-collapse-id"]
    assert len(collapsed) == 64
    assert silent["apns"]["headers"]["apns-collapse-id"] == collapsed
    assert "notification" not in {**silent, **silent["android"]}


@pytest.mark.parametrize(
    ("status", "body"),
    [(404, "{}"), (400, '{"error": {"details": [{"errorCode": "UNREGISTERED"}]}}')],
)
def test_a_dead_token_is_known_by_its_answer(
    fcm: Fcm, notifier: FcmNotifier, status: int, body: str
) -> None:
    fcm.status, fcm.body = status, body
    assert notifier.send(POKE) is False


@pytest.mark.parametrize("status", [301, 400, 401, 403, 429, 500, 503])
def test_any_other_answer_is_a_fault_that_quotes_nothing(
    fcm: Fcm, notifier: FcmNotifier, status: int
) -> None:
    fcm.status, fcm.body = status, '{"error": "phone-token"}'
    with pytest.raises(NotifyFault) as caught:
        notifier.send(POKE)
    assert "phone-token" not in caught.value.message
    assert (caught.value.code == NOT_TAKEN) is (status in (429, 503))
    assert len(fcm.asked) >= 1


def test_nobody_listening_is_a_fault() -> None:
    with pytest.raises(NotifyFault):
        FcmNotifier("clinic", WORDS, url="http://127.0.0.1:9", credentials="anonymous").send(POKE)


def test_the_log_takes_everything_and_names_no_token(caplog: pytest.LogCaptureFixture) -> None:
    notifier: Notifier = LogNotifier()
    with caplog.at_level("INFO"):
        assert notifier.send(CALL) is True
    assert "doctor-token" not in caplog.text + str([r.__dict__ for r in caplog.records])
