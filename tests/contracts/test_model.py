"""The model port's promises, kept by every adapter, and through the breaker in front of them.

The adapters with a wire run their real clients against `infra.local.vertex` over TLS; the scripted
model behind that server gets the same script as the one asked directly.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator, Sequence

import pytest

from shared.adapters.openai_compatible import OpenAiCompatibleModel
from shared.adapters.scripted import Behaviour, busy, delay, refuse, say
from shared.ai.breaker import Breaker
from shared.ai.model import ChatRequest, Image, Model
from shared.errors import ModelBusy, ModelRefused, ModelUnreadable
from tests.ai.vertex import running
from tests.neutral.scripted import ScriptedModel, normal
from tests.neutral.summarise import draft, parse
from tests.patience import LATE_SECONDS, PATIENCE_SECONDS

Make = Callable[[Sequence[Behaviour]], Model]

PHOTO = Image("data:image/jpeg;base64,/9j/4AAQSkZJRg==", "a" * 64)
QUESTION = ChatRequest("You summarise notes.", "What is it?", (PHOTO,))
SECONDS = PATIENCE_SECONDS


@pytest.fixture(params=["scripted", "breaker", "vertex", "openai_compatible"])
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    """Makes the adapter under test with a script for its first answers."""
    if request.param == "scripted":
        yield ScriptedModel
        return
    if request.param == "breaker":
        yield lambda script: Breaker(ScriptedModel(script), failures=99, rest_seconds=60)
        return
    with running() as vertex:
        openai = OpenAiCompatibleModel(url=f"{vertex.server.url}/v1", model="medgemma")

        def behind_the_wire(script: Sequence[Behaviour]) -> Model:
            vertex.server.model = ScriptedModel(script)
            return vertex.model if request.param == "vertex" else openai

        yield behind_the_wire


def test_an_answer_has_text_and_says_where_it_comes_from(make: Make) -> None:
    answer = make([]).ask(QUESTION, SECONDS)
    assert parse(answer.text)
    assert (answer.model, answer.version) == ("scripted", "1")
    assert answer.latency_ms >= 0
    assert answer.prompt_tokens == (len(QUESTION.system) + len(QUESTION.text)) // 4
    assert answer.completion_tokens == len(answer.text) // 4


def test_the_same_question_gets_the_same_answer_and_another_gets_another(make: Make) -> None:
    model = make([])
    first = model.ask(QUESTION, SECONDS).text
    assert model.ask(QUESTION, SECONDS).text == first
    assert {model.ask(ChatRequest("", f"Note {i}"), SECONDS).text for i in range(5)} - {first}


@pytest.mark.parametrize("retry_after_s", [None, 7.0])
def test_a_busy_model_says_so_with_the_wait_it_was_given(
    make: Make, retry_after_s: float | None
) -> None:
    with pytest.raises(ModelBusy) as caught:
        make([busy(retry_after_s)]).ask(QUESTION, SECONDS)
    assert caught.value.retryable
    assert caught.value.retry_after_s == retry_after_s


def test_a_model_is_asked_once_per_question_and_answers_again_after_being_busy(make: Make) -> None:
    model = make([busy(), busy()])
    for _ in range(2):
        with pytest.raises(ModelBusy):
            model.ask(QUESTION, SECONDS)
    assert model.ask(QUESTION, SECONDS).text


def test_a_refusal_is_told_from_a_busy_model(make: Make) -> None:
    with pytest.raises(ModelRefused) as caught:
        make([refuse()]).ask(QUESTION, SECONDS)
    # worth another try all the same: servers say 400 of a full GPU too
    assert caught.value.retryable


@pytest.mark.parametrize("text", ["", " \n"])
def test_an_empty_answer_is_none(make: Make, text: str) -> None:
    model = make([say(text)])
    with pytest.raises(ModelUnreadable) as caught:
        model.ask(QUESTION, SECONDS)
    assert caught.value.retryable
    assert model.ask(QUESTION, SECONDS).text


def test_a_slow_answer_within_the_timeout_arrives(make: Make) -> None:
    assert make([delay(0.05, normal)]).ask(QUESTION, SECONDS).text


def test_an_answer_past_the_timeout_is_a_busy_model_and_nobody_waits_for_it(make: Make) -> None:
    model = make([delay(0, normal), delay(LATE_SECONDS, normal)])
    model.ask(QUESTION, SECONDS)  # clients are opened now
    began = time.monotonic()
    with pytest.raises(ModelBusy):
        model.ask(QUESTION, 0.2)
    assert time.monotonic() - began < LATE_SECONDS


@pytest.mark.parametrize(
    "text",
    [
        "no JSON",
        "<unused94>thought\nhm<unused95>{}",
        "línea\n\u2028\t🙂 \\u0000 \x00",
        "x" * 50_000,
    ],
    ids=["prose", "thinking", "unicode", "long"],
)
def test_what_the_model_says_is_passed_on_untouched(make: Make, text: str) -> None:
    assert make([say(text)]).ask(QUESTION, SECONDS).text == text


def test_several_threads_each_get_the_answer_to_their_own_question(make: Make) -> None:
    model = make([])
    wrong: list[str] = []

    def ask(name: int) -> None:
        for i in range(5):
            question = ChatRequest("", f"Thread {name}, note {i}", (PHOTO,))
            if json.loads(model.ask(question, SECONDS).text) != draft(question):
                wrong.append(question.text)

    threads = [threading.Thread(target=ask, args=(name,)) for name in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


def test_a_script_is_used_up_once_however_many_threads_ask(make: Make) -> None:
    model = make([busy()] * 7)
    refused: list[ModelBusy] = []

    def ask() -> None:
        for _ in range(4):
            try:
                model.ask(QUESTION, SECONDS)
            except ModelBusy as error:
                refused.append(error)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(refused) == 7
