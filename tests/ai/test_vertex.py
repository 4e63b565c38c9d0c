"""Vertex AI's wire, seen from both ends: what is sent, what is understood, what each failure means."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infra.local import vertex as wire
from infra.local.vertex import PlannedFault, VertexServer
from shared.adapters.chat import MAX_ANSWER_BYTES
from shared.adapters.vertex import VertexModel, fault_of
from shared.ai.model import MODEL_DECLINED, ChatRequest, Completion, Image
from shared.errors import (
    ConfigurationFault,
    ModelBusy,
    ModelFault,
    ModelMisconfigured,
    ModelRefused,
    ModelUnreadable,
)
from tests.ai.vertex import Vertex, running
from tests.patience import LATE_SECONDS, PATIENCE_SECONDS
from tests.scripted import ScriptedModel, say

REPOSITORY = Path(__file__).parents[2]
PHOTO = Image("data:image/jpeg;base64,/9j/4AAQSkZJRg==", "a" * 64)
QUESTION = ChatRequest("You prepare cases.", "What is it?", (PHOTO,), max_tokens=77)
SECONDS = PATIENCE_SECONDS
SECRET = "Amina Diallo, 0791234567"


@pytest.fixture(name="vertex")
def _vertex() -> Iterator[Vertex]:
    with running() as vertex:
        yield vertex


def _completion(**changed: Any) -> dict[str, Any]:
    return {
        "model": "medgemma",
        "choices": [{"message": {"role": "assistant", "content": "said"}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 3, "completion_tokens": 2.0},
        **changed,
    }


def _reply(predictions: object, **more: Any) -> PlannedFault:
    return wire.reply(json.dumps({"predictions": predictions, "deployedModelId": "9", **more}))


# --- what is sent --------------------------------------------------------------------------------


def test_a_question_goes_out_as_one_chat_completions_instance(vertex: Vertex) -> None:
    vertex.model.ask(QUESTION, SECONDS)
    assert vertex.server.requests == [
        {
            "instances": [
                {
                    "@requestFormat": "chatCompletions",
                    "messages": [
                        {
                            "role": "system",
                            "content": [{"type": "text", "text": "You prepare cases."}],
                        },
                        {
                            "role": "user",
                            "content": [
                                {"type": "text", "text": "What is it?"},
                                {"type": "image_url", "image_url": {"url": PHOTO.url}},
                            ],
                        },
                    ],
                    "max_tokens": 77,
                    "temperature": 0.0,
                }
            ]
        }
    ]
    (line, *_) = vertex.server.wire[-1].split(b"\r\n")
    assert line == (
        b"POST /v1/projects/clinic/locations/europe-west4/endpoints/1234567890:predict HTTP/1.1"
    )


def test_the_endpoint_is_described_once_however_many_threads_begin(vertex: Vertex) -> None:
    model = vertex.another()
    threads = [threading.Thread(target=model.ask, args=(QUESTION, SECONDS)) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (vertex.server.endpoint_reads, len(vertex.server.requests)) == (1, 6)


@pytest.mark.parametrize(
    ("endpoint", "asked"),
    [
        ("77", b"projects/clinic/locations/europe-west4/endpoints/77"),
        (
            "projects/7/locations/us-central1/endpoints/5",
            b"projects/7/locations/us-central1/endpoints/5",
        ),
    ],
)
def test_an_endpoint_is_a_number_or_a_full_name(
    vertex: Vertex, endpoint: str, asked: bytes
) -> None:
    vertex.another(endpoint=endpoint).ask(QUESTION, SECONDS)
    assert all(asked in request.split(b"\r\n")[0] for request in vertex.server.wire)


@pytest.mark.parametrize(
    "absurd",
    [
        {"endpoint": ""},
        {"endpoint": "projects/x/endpoints/1"},
        {"endpoint": "https://localhost/"},
        {"project": ""},
        {"location": "Europe"},
        {"credentials": "mine"},
    ],
)
def test_an_absurd_endpoint_stops_the_start(absurd: dict[str, str]) -> None:
    usual = {"project": "clinic", "location": "europe-west4", "endpoint": "1"}
    with pytest.raises(ConfigurationFault) as caught:
        VertexModel(**{**usual, **absurd})  # type: ignore[arg-type]
    assert caught.value.field in ("VERTEX_ENDPOINT", "VERTEX_CREDENTIALS")


def test_a_timeout_over_two_minutes_is_cut_to_what_the_client_can_do(vertex: Vertex) -> None:
    # the client raises ImportError above 120 s without requests-toolbelt
    assert vertex.model.ask(QUESTION, 600).text


@pytest.mark.parametrize(("dedicated", "size"), [(True, 10_000_001), (False, 1_500_001)])
def test_a_question_over_the_endpoints_limit_is_refused_before_it_is_sent(
    vertex: Vertex, dedicated: bool, size: int
) -> None:
    model = vertex.another(dedicated=dedicated)
    with pytest.raises(ModelRefused) as caught:
        model.ask(
            ChatRequest("", "", (Image("data:image/jpeg;base64," + "A" * size, ""),)), SECONDS
        )
    assert caught.value.code == "model_request_too_large"
    assert not vertex.server.wire


# --- what is understood --------------------------------------------------------------------------


@pytest.mark.parametrize("shape", ["object", "list"])
def test_predictions_may_be_an_object_or_a_list(vertex: Vertex, shape: str) -> None:
    vertex.server.predictions = shape
    vertex.server.model = ScriptedModel([say("said")])
    assert vertex.model.ask(QUESTION, SECONDS).text == "said"


@pytest.mark.parametrize(
    ("predictions", "expected"),
    [
        (_completion(), Completion("said", "medgemma", "9", 0, 3, 2)),
        ([_completion(usage=None)], Completion("said", "medgemma", "9", 0)),
        (["plain text"], Completion("plain text", "projects/1/models/2", "9", 0)),
        ("plain text", Completion("plain text", "projects/1/models/2", "9", 0)),
        (
            _completion(model=None, usage={"prompt_tokens": -1, "completion_tokens": True}),
            Completion("said", "projects/1/models/2", "9", 0),
        ),
        (
            _completion(
                choices=[
                    {"message": {"content": [{"type": "text", "text": "sa"}, {"text": "id"}, 1]}}
                ]
            ),
            Completion("said", "medgemma", "9", 0, 3, 2),
        ),
    ],
    ids=["object", "list", "text in a list", "text", "no model, odd usage", "parts"],
)
def test_every_shape_of_answer_is_read(
    vertex: Vertex, predictions: object, expected: Completion
) -> None:
    vertex.server.faults.append(_reply(predictions, model="projects/1/models/2"))
    got = vertex.model.ask(QUESTION, SECONDS)
    assert (got.text, got.model, got.version) == (expected.text, expected.model, expected.version)
    assert (got.prompt_tokens, got.completion_tokens) == (
        expected.prompt_tokens,
        expected.completion_tokens,
    )


@pytest.mark.parametrize(
    "fault",
    [
        wire.reply(f"<html>{SECRET}</html>"),
        wire.reply(""),
        wire.reply("[]"),
        wire.reply("{}"),
        wire.reply("[" * 100_000),
        wire.reply(b"\xff\xfe\x00" + SECRET.encode()),
        _reply(None),
        _reply([]),
        _reply([_completion(), _completion()]),
        _reply([[SECRET]]),
        _reply({"choices": []}),
        _reply({"choices": [SECRET]}),
        _reply({"choices": [{"message": SECRET}]}),
        _reply(_completion(choices=[{"message": {"content": None}}])),
        _reply(_completion(choices=[{"message": {"content": [{"image": SECRET}]}}])),
    ],
    ids=lambda fault: fault.body[:30].decode("ascii", "replace"),
)
def test_an_answer_that_is_no_chat_completion_is_refused_without_quoting_it(
    vertex: Vertex, fault: PlannedFault
) -> None:
    vertex.server.faults.append(fault)
    with pytest.raises(ModelUnreadable) as caught:
        vertex.model.ask(QUESTION, SECONDS)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_an_answer_without_end_is_not_read_to_its_end(vertex: Vertex) -> None:
    long = {"message": {"content": "x" * MAX_ANSWER_BYTES}}
    vertex.server.faults.append(_reply(_completion(choices=[long])))
    with pytest.raises(ModelUnreadable, match="longer than"):
        vertex.model.ask(QUESTION, SECONDS)
    assert vertex.model.ask(QUESTION, SECONDS).text


@pytest.mark.parametrize(
    "choice",
    [
        {"message": {"content": None, "refusal": SECRET}},
        {"message": {"content": "half an ans"}, "finish_reason": "content_filter"},
        {"message": {"content": None}, "finish_reason": "content_filter"},
    ],
)
def test_a_model_that_declines_is_told_from_a_broken_one(
    vertex: Vertex, choice: dict[str, Any]
) -> None:
    vertex.server.faults.append(_reply(_completion(choices=[choice])))
    with pytest.raises(ModelRefused) as caught:
        vertex.model.ask(QUESTION, SECONDS)
    assert caught.value.code == MODEL_DECLINED
    assert SECRET not in caught.value.message


# --- what each failure means ---------------------------------------------------------------------

#: Status → whose fault it is: the request's, the deployment's, the moment's. Both routes must agree.
STATUSES: list[tuple[int, type[ModelFault]]] = [
    *((status, ModelRefused) for status in (400, 409, 413, 422)),
    *((status, ModelMisconfigured) for status in (403, 404, 405)),
    *((status, ModelBusy) for status in (408, 425, 429, 500, 502, 503, 504, 529)),
]


@pytest.mark.parametrize(("status", "kind"), STATUSES)
@pytest.mark.parametrize("route", ["dedicated", "shared"])
def test_a_status_is_busy_or_refused_on_both_routes(
    request: pytest.FixtureRequest, vertex: Vertex, route: str, status: int, kind: type[ModelFault]
) -> None:
    model = request.getfixturevalue("shared_route") if route == "shared" else vertex.model
    body = json.dumps({"error": {"code": status, "message": f"about {SECRET}"}})
    vertex.server.faults.append(wire.status(status, body=body, retry_after="9"))
    with pytest.raises(kind) as caught:
        model.ask(QUESTION, SECONDS)
    assert type(caught.value) is kind
    assert caught.value.retry_after_s == (9.0 if kind is ModelBusy else None)
    assert str(status) in caught.value.message
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    # asked once: the job, not the client, tries again
    assert len(vertex.server.requests) == 1


@pytest.fixture(name="shared_route")
def _shared_route(vertex: Vertex) -> VertexModel:
    """A model on a shared endpoint of the same server, opened."""
    vertex.server.dedicated = False
    vertex.server.predictions = "list"
    model = vertex.another(dedicated=False)
    model.ask(QUESTION, SECONDS)
    vertex.server.requests.clear()
    return model


def test_a_shared_endpoint_answers_lists(vertex: Vertex, shared_route: VertexModel) -> None:
    vertex.server.predictions = "list"
    answer = shared_route.ask(QUESTION, SECONDS)
    assert (answer.model, answer.version) == ("scripted", "1")
    assert isinstance(answer.prompt_tokens, int)


def test_a_shared_endpoint_that_answers_an_object_is_refused_without_quoting_it(
    vertex: Vertex, shared_route: VertexModel
) -> None:
    # the client cannot parse it, and its error holds the whole answer
    vertex.server.predictions = "object"
    vertex.server.model = ScriptedModel([say(SECRET)])
    with pytest.raises(ModelUnreadable) as caught:
        shared_route.ask(QUESTION, SECONDS)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


@pytest.mark.parametrize("header", ["Wed, 21 Oct 2026 07:28:00 GMT", "-1", "99999", "soon", "nan"])
def test_a_wait_that_is_no_sensible_number_is_ignored(vertex: Vertex, header: str) -> None:
    vertex.server.faults.append(wire.status(503, retry_after=header))
    with pytest.raises(ModelBusy) as caught:
        vertex.model.ask(QUESTION, SECONDS)
    assert caught.value.retry_after_s is None


def test_a_wait_belongs_to_the_question_it_was_given_for(vertex: Vertex) -> None:
    vertex.server.faults += [wire.status(429, retry_after="9"), wire.reset()]
    for expected in (9.0, None):
        with pytest.raises(ModelBusy) as caught:
            vertex.model.ask(QUESTION, SECONDS)
        assert caught.value.retry_after_s == expected


def test_anonymous_callers_that_are_turned_away_are_refused(vertex: Vertex) -> None:
    # the client tries to refresh credentials that cannot be refreshed
    vertex.server.faults.append(wire.status(401))
    with pytest.raises(ModelMisconfigured):
        vertex.model.ask(QUESTION, SECONDS)


@pytest.mark.parametrize("fault", [wire.reset(), wire.cut()], ids=["reset", "cut"])
def test_an_answer_that_breaks_off_is_a_busy_model(vertex: Vertex, fault: PlannedFault) -> None:
    vertex.server.faults.append(fault)
    with pytest.raises(ModelBusy):
        vertex.model.ask(QUESTION, SECONDS)
    assert vertex.model.ask(QUESTION, SECONDS).text


@pytest.mark.parametrize(
    "fault",
    [wire.slow(LATE_SECONDS), wire.drip(LATE_SECONDS), wire.drip(LATE_SECONDS, close=True)],
    ids=["silent", "byte by byte", "byte by byte until the end"],
)
def test_no_answer_is_waited_for_past_the_timeout(vertex: Vertex, fault: PlannedFault) -> None:
    vertex.model.ask(QUESTION, SECONDS)
    vertex.server.faults.append(fault)
    began = time.monotonic()
    with pytest.raises(ModelBusy):
        vertex.model.ask(QUESTION, 0.2)
    assert time.monotonic() - began < LATE_SECONDS


def test_nobody_listening_is_a_busy_model(vertex: Vertex) -> None:
    with socket.socket() as reserved:
        reserved.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        port = reserved.getsockname()[1]
        with pytest.raises(ModelBusy):
            vertex.another(api_endpoint=f"https://localhost:{port}").ask(QUESTION, SECONDS)
        vertex.server.dns = f"localhost:{port}"
        with pytest.raises(ModelBusy):
            vertex.another().ask(QUESTION, SECONDS)


def test_a_server_that_cannot_be_trusted_gets_no_question(
    vertex: Vertex, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    wire.certify(tmp_path)
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with pytest.raises(ModelBusy):
        vertex.another().ask(QUESTION, SECONDS)
    assert not vertex.server.wire


@pytest.mark.parametrize(
    ("fault", "kind", "seconds"),
    [
        (wire.status(503), ModelBusy, 0.4),
        (wire.status(429), ModelBusy, 0.4),
        (wire.status(403), ModelMisconfigured, SECONDS),
        (wire.status(404), ModelMisconfigured, SECONDS),
        (wire.reset(), ModelBusy, 0.4),
        (wire.slow(LATE_SECONDS), ModelBusy, 0.4),
        (wire.reply("no JSON"), ModelUnreadable, SECONDS),
    ],
    ids=["503", "429", "403", "404", "reset", "slow", "garbage"],
)
def test_a_failed_description_of_the_endpoint_is_bounded_and_not_kept(
    vertex: Vertex, fault: PlannedFault, kind: type[ModelFault], seconds: float
) -> None:
    # the client itself would try GetEndpoint again for two minutes
    model = vertex.another()
    vertex.server.endpoint_faults.append(fault)
    began = time.monotonic()
    with pytest.raises(kind):
        model.ask(QUESTION, seconds)
    assert time.monotonic() - began < LATE_SECONDS
    assert not vertex.server.requests
    assert model.ask(QUESTION, SECONDS).text


def test_an_endpoint_without_its_name_yet_is_busy(vertex: Vertex) -> None:
    vertex.server.dns = ""
    model = vertex.another()
    with pytest.raises(ModelBusy):
        model.ask(QUESTION, SECONDS)
    vertex.server.dns = None
    assert model.ask(QUESTION, SECONDS).text


def test_a_shared_endpoint_that_is_configured_as_dedicated_says_what_to_do(vertex: Vertex) -> None:
    vertex.server.dedicated = False
    with pytest.raises(ModelMisconfigured, match="VERTEX_DEDICATED=false"):
        vertex.another().ask(QUESTION, SECONDS)


def test_after_a_deployment_s_fault_google_is_asked_anew_where_the_endpoint_is(
    vertex: Vertex,
) -> None:
    model = vertex.another()
    model.ask(QUESTION, SECONDS)
    described = len([raw for raw in vertex.server.wire if raw.startswith(b"GET ")])
    vertex.server.faults.append(wire.status(404))
    with pytest.raises(ModelMisconfigured):
        model.ask(QUESTION, SECONDS)
    assert model.ask(QUESTION, SECONDS).text
    assert len([raw for raw in vertex.server.wire if raw.startswith(b"GET ")]) == described + 1


@pytest.mark.parametrize("text", ["Prompt:\nurgency: one of\nOutput:\nsaid", "said"])
def test_plain_text_is_read_behind_the_question_it_repeats(vertex: Vertex, text: str) -> None:
    """vertex-ai-samples#2799: Gemma's own container."""
    vertex.server.faults.append(_reply([text]))
    assert vertex.model.ask(QUESTION, SECONDS).text.strip() == "said"


def test_every_error_of_the_client_has_its_row() -> None:
    import requests
    from google.api_core import exceptions as api
    from google.auth import exceptions as auth

    table: list[tuple[Exception, type[ModelFault]]] = [
        (api.TooManyRequests("x"), ModelBusy),
        (api.ResourceExhausted("x"), ModelBusy),
        (api.ServiceUnavailable("x"), ModelBusy),
        (api.InternalServerError("x"), ModelBusy),
        (api.BadGateway("x"), ModelBusy),
        (api.GatewayTimeout("x"), ModelBusy),
        (api.DeadlineExceeded("x"), ModelBusy),
        (api.Unknown("x"), ModelBusy),
        (api.Aborted("x"), ModelRefused),
        (api.RetryError("x", cause=Exception()), ModelBusy),
        (api.BadRequest("x"), ModelRefused),
        (api.InvalidArgument("x"), ModelRefused),
        (api.PermissionDenied("x"), ModelMisconfigured),
        (api.Unauthenticated("x"), ModelMisconfigured),
        (api.NotFound("x"), ModelMisconfigured),
        (api.FailedPrecondition("x"), ModelRefused),
        (requests.ReadTimeout("x"), ModelBusy),
        (requests.ConnectTimeout("x"), ModelBusy),
        (requests.ConnectionError("x"), ModelBusy),
        (requests.exceptions.SSLError("x"), ModelBusy),
        (requests.exceptions.ChunkedEncodingError("x"), ModelBusy),
        (requests.exceptions.ContentDecodingError("x"), ModelBusy),
        (requests.exceptions.InvalidURL("x"), ModelMisconfigured),
        (requests.exceptions.JSONDecodeError("x", "y", 0), ModelUnreadable),
        (auth.TransportError("x"), ModelBusy),
        (auth.RefreshError("x", retryable=True), ModelBusy),
        (auth.RefreshError("x"), ModelMisconfigured),
        (auth.DefaultCredentialsError("x"), ModelMisconfigured),
        (ConnectionResetError("x"), ModelBusy),
        (TimeoutError("x"), ModelBusy),
        (BrokenPipeError("x"), ModelBusy),
        (ImportError("x"), ModelMisconfigured),
        (ValueError("Failed to make prediction request. Status code:503, response: x"), ModelBusy),
        (
            ValueError("Failed to make prediction request. Status code:400, response: x"),
            ModelRefused,
        ),
        (
            ValueError(
                "Failed to make prediction request. Status code:400, response: "
                + "x" * 99
                + "Status code:503"
            ),
            ModelRefused,
        ),
        (ValueError("x"), ModelUnreadable),
        (KeyError("x"), ModelUnreadable),
        (RecursionError("x"), ModelUnreadable),
    ]
    wrong = [(error, fault_of(error)) for error, kind in table if type(fault_of(error)) is not kind]
    assert not wrong


# --- cost and start ------------------------------------------------------------------------------


def test_nothing_of_googles_is_imported_before_the_first_question() -> None:
    code = (
        "import sys, shared.adapters.vertex as v, shared.adapters.scripted\n"
        "import shared.products.dermadetect.gateway\n"
        "v.VertexModel(project='p', location='europe-west4', endpoint='1')\n"
        "print([m for m in sys.modules if m.split('.')[0] in ('google', 'requests', 'urllib3')])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    # google is a namespace package that .pth files of the environment touch at start
    assert said.stdout.strip() in ("[]", "['google', 'google.cloud']"), said.stdout


def test_the_server_starts_as_documented_and_serves_whom_it_is_trusted_by(tmp_path: Path) -> None:
    import requests

    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local.vertex", "--tls", tmp_path, "--fault", "429"],
        cwd=REPOSITORY,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ,
    )
    assert process.stdout is not None
    try:
        ready = process.stdout.readline().split()
        assert ready[0] == "ready:"
        url = f"{ready[1]}/v1/projects/p/locations/l/endpoints/1"
        described = requests.get(
            url, verify=str(tmp_path / "ca.pem"), timeout=PATIENCE_SECONDS
        ).json()
        assert described["dedicatedEndpointDns"] == ready[1].removeprefix("https://")
        body = {
            "instances": [
                {
                    "@requestFormat": "chatCompletions",
                    "messages": [{"role": "user", "content": [{"type": "text", "text": "?"}]}],
                    "max_tokens": 5,
                    "temperature": 0,
                }
            ]
        }
        for expected in (429, 200):
            answer = requests.post(
                f"{url}:predict",
                json=body,
                verify=str(tmp_path / "ca.pem"),
                timeout=PATIENCE_SECONDS,
            )
            assert answer.status_code == expected
        with pytest.raises(requests.exceptions.SSLError):
            requests.get(url, verify=True, timeout=PATIENCE_SECONDS)
    finally:
        process.terminate()
        process.wait(PATIENCE_SECONDS)
    assert process.returncode == 0
    assert (tmp_path / "server.pem").stat().st_mode & 0o077 == 0


@pytest.mark.parametrize(
    ("path", "body", "expected"),
    [
        ("/v1/projects/p/locations/l/endpoints/1:predict", b"{}", 400),
        ("/v1/projects/p/locations/l/endpoints/1:predict", b"no JSON", 400),
        ("/v1/projects/p/locations/l/endpoints/1:predict", b'{"instances":[{}]}', 400),
        ("/v1/projects/p/locations/l/endpoints/1:rawPredict", b"{}", 404),
        ("/", b"{}", 404),
        ("/v1/projects/p/locations/l/endpoints/1:predict", b"", 413),
    ],
)
def test_the_server_refuses_what_vertex_ai_would_not_understand(
    vertex: Vertex, path: str, body: bytes, expected: int
) -> None:
    import requests

    answer = requests.post(vertex.server.url + path, data=body, timeout=PATIENCE_SECONDS)
    assert answer.status_code == expected


def test_a_server_ends_with_answers_still_under_way(tmp_path: Path) -> None:
    import requests

    with VertexServer(tmp_path, faults=[wire.slow(LATE_SECONDS)]) as server:
        url = f"{server.url}/v1/projects/p/locations/l/endpoints/1:predict"
        body = {
            "instances": [
                {
                    "@requestFormat": "chatCompletions",
                    "messages": [],
                    "max_tokens": 1,
                    "temperature": 0,
                }
            ]
        }
        began = time.monotonic()
        with pytest.raises(requests.Timeout):
            requests.post(url, json=body, verify=str(server.ca), timeout=0.2)
    assert time.monotonic() - began < LATE_SECONDS
