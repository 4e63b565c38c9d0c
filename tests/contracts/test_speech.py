"""The speech port's promises, kept by every adapter, by its real client against a server of its wire.

The clips are synthetic (espeak-ng). They prove the way from a recording to its text, not that elders are
heard.
"""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from email.parser import BytesParser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from shared.adapters.google_speech import GoogleSpeech
from shared.adapters.openai_speech import OpenAiSpeech
from shared.adapters.sphinx import SphinxSpeech
from shared.ai.speech import Audio, Transcriber, audio_type, is_of_type, seconds, silent, spoken
from shared.errors import ModelBusy, ModelMisconfigured, ModelRefused, ModelUnreadable

CLIPS = Path(__file__).parent / "clips"
PHRASES = ("yes", "no", "call for help", "Call an ambulance!", "what is next")
SECRET = "Kamala, 0791234567"


def clip(name: str) -> bytes:
    return (CLIPS / f"{name}.wav").read_bytes()


#: What the servers hear in these clips.
HEARD = {
    clip(name): text
    for name, text in (
        ("yes", "yes"),
        ("call-for-help", "call for help"),
        ("call-an-ambulance", "call an ambulance"),
    )
}


class Server(ThreadingHTTPServer):
    """Speaks the wire of Speech-to-Text v2 and of OpenAI's transcriptions."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.answer: tuple[int, Any, dict[str, str]] | None = None  #: instead of what is heard
        self.asked: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Answer(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *_: object) -> None:
        pass

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        google = self.path.startswith("/v2/")
        asked = _google(self.path, body) if google else _form(self.headers, body)
        self.server.asked.append(asked)
        text = HEARD.get(asked["audio"], "")
        said: Any = {"text": text.capitalize() + "." if text else ""}
        if google:
            said = {"results": [{"alternatives": [{"transcript": text}]}] if text else []}
        status, value, headers = self.server.answer or (200, said, {})
        data = value if isinstance(value, bytes) else json.dumps(value).encode()
        self.send_response(status)
        for name, each in {"Content-Type": "application/json", **headers}.items():
            self.send_header(name, each)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


def _google(path: str, body: bytes) -> dict[str, Any]:
    value = json.loads(body)
    config = value["config"]
    assert "autoDecodingConfig" in config
    return {
        "path": path.partition("?")[0],
        "audio": base64.b64decode(value["content"]),
        "language": config["languageCodes"],
        "model": config["model"],
    }


def _form(headers: Any, body: bytes) -> dict[str, Any]:
    head = f"Content-Type: {headers['Content-Type']}\r\n\r\n".encode()
    whole: Any = BytesParser().parsebytes(head + body)
    parts: dict[str, Any] = {
        str(each.get_param("name", header="content-disposition")): each
        for each in whole.get_payload()
    }
    file = parts.pop("file")
    return {
        **{name: each.get_payload(decode=True).decode() for name, each in parts.items()},
        "audio": file.get_payload(decode=True),
        "name": file.get_filename(),
        "type": file.get_content_type(),
        "key": headers.get("Authorization"),
    }


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    server = Server()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def server(running: Server) -> Server:
    running.answer, running.asked = None, []
    return running


MAKERS: dict[str, Callable[[Server], Transcriber]] = {
    "google": lambda server: GoogleSpeech(project="clinic", endpoint=server.url),
    "openai_compatible": lambda server: OpenAiSpeech(
        url=f"{server.url}/v1", model="whisper-1", api_key="key-1"
    ),
    "sphinx": lambda _server: SphinxSpeech(),
}


@pytest.fixture(params=MAKERS)
def ears(request: pytest.FixtureRequest, server: Server) -> Transcriber:
    return MAKERS[request.param](server)


@pytest.fixture(params=["google", "openai_compatible"])
def wired(request: pytest.FixtureRequest, server: Server) -> Transcriber:
    return MAKERS[request.param](server)


def audio(data: bytes, **changed: Any) -> Audio:
    return Audio(
        **{"data": data, "type": "audio/wav", "language": "en", "phrases": PHRASES, **changed}
    )


def plain(text: str) -> str:
    return text.lower().strip(".")


@pytest.mark.parametrize("data", HEARD, ids=HEARD.values())
def test_what_was_said_comes_back_with_who_heard_it(ears: Transcriber, data: bytes) -> None:
    heard = ears.transcribe(audio(data), 20)
    assert plain(heard.text) == HEARD[data]
    assert heard.engine
    assert heard.latency_ms >= 0


def test_nothing_said_is_an_empty_text(ears: Transcriber) -> None:
    head = clip("yes")[:44]
    assert ears.transcribe(audio(head + bytes(32_000)), 20).text == ""


def test_several_threads_each_hear_their_own(ears: Transcriber) -> None:
    wrong: list[str] = []

    def listen(data: bytes, text: str) -> None:
        for _ in range(3):
            if plain(ears.transcribe(audio(data), 20).text) != text:
                wrong.append(text)

    threads = [threading.Thread(target=listen, args=each) for each in HEARD.items()]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []


#: Status, answer, headers → the fault, and the wait that is passed on.
FAULTS: dict[str, tuple[int, Any, dict[str, str], type[Exception], float | None]] = {
    "429": (429, {"error": {"message": SECRET}}, {"Retry-After": "9"}, ModelBusy, 9.0),
    "503": (503, {"error": {"message": SECRET}}, {}, ModelBusy, None),
    "500 of a proxy": (500, b"<html>", {"Content-Type": "text/html"}, ModelBusy, None),
    "401": (401, {"error": {"message": SECRET}}, {}, ModelMisconfigured, None),
    "404": (404, {"error": {"message": SECRET}}, {}, ModelMisconfigured, None),
    "400": (400, {"error": {"message": f"bad audio of {SECRET}"}}, {}, ModelRefused, None),
    "a page": (200, b"<html>log in</html>", {"Content-Type": "text/html"}, ModelUnreadable, None),
}


@pytest.mark.parametrize("name", FAULTS)
def test_each_fault_of_the_wire_has_its_class_and_tells_nothing(
    wired: Transcriber, server: Server, name: str
) -> None:
    status, value, headers, kind, wait = FAULTS[name]
    server.answer = status, value, headers
    with pytest.raises(kind) as caught:
        wired.transcribe(audio(clip("yes")), 20)
    assert caught.value.retry_after_s == wait  # type: ignore[attr-defined]
    assert SECRET not in f"{caught.value!r} {caught.value.__cause__!r}"
    assert len(server.asked) == 1  # nothing is sent twice


def test_nobody_there_is_busy() -> None:
    nowhere = "http://127.0.0.1:9"
    for ears in (
        OpenAiSpeech(url=nowhere, model="m"),
        GoogleSpeech(project="clinic", endpoint=nowhere),
    ):
        with pytest.raises(ModelBusy):
            ears.transcribe(audio(clip("yes")), 5)


def test_servers_get_what_they_ask_for(server: Server) -> None:
    MAKERS["openai_compatible"](server).transcribe(audio(clip("yes"), language="hi"), 20)
    MAKERS["google"](server).transcribe(audio(clip("yes"), language="hi"), 20)
    form, google = server.asked
    assert {name: form[name] for name in ("model", "language", "name", "type", "key")} == {
        "model": "whisper-1",
        "language": "hi",
        "name": "a.wav",
        "type": "audio/wav",
        "key": "Bearer key-1",
    }
    assert google["path"] == "/v2/projects/clinic/locations/global/recognizers/_:recognize"
    assert (google["language"], google["model"]) == (["hi-IN"], "long")


@pytest.mark.parametrize("changed", [{"type": "audio/ogg"}, {"language": "hi"}, {"phrases": ()}])
def test_phrases_alone_refuse_what_they_cannot_hear(changed: dict[str, Any]) -> None:
    with pytest.raises(ModelRefused):
        SphinxSpeech().transcribe(audio(clip("yes"), **changed), 5)


@pytest.mark.parametrize(
    "text",
    [
        "Thank you for watching!",
        " you ",
        "[BLANK_AUDIO]",
        "Продолжение следует...",
        "شكرا على المشاهدة",
    ],
)
def test_what_is_written_of_silence_is_nothing(text: str) -> None:
    """faster-whisper#826, whisperIME#57, WhisperAttack#4, pocketshell#452."""
    assert spoken(text) == ""
    assert spoken(f"{text} I fell") != ""


def test_a_recording_says_what_it_is_and_how_long() -> None:
    data = clip("yes")
    assert is_of_type(data, audio_type("audio/x-wav; codecs=1"))
    assert not is_of_type(data, "audio/ogg")
    assert seconds(data, "audio/wav") == pytest.approx(len(data) / 32_000, abs=0.01)
    for length in (0, 10, 30, 43):  # cut anywhere: no crash
        assert seconds(data[:length], "audio/wav") in (None, 0.0)
        assert silent(audio(data[:length])) in (False, True)
    assert not silent(audio(data))
