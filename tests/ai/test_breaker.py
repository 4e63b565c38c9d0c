"""The breaker: a dead model is left alone, one that is back is asked again, by one question first."""

from __future__ import annotations

import threading

import pytest

from shared.ai.breaker import Breaker
from shared.ai.model import ChatRequest
from shared.errors import ModelFault, ModelMisconfigured, ModelPaused
from tests.patience import PATIENCE_SECONDS
from tests.scripted import Behaviour, ScriptedModel, busy, normal, refuse

QUESTION = ChatRequest("", "What is it?")


class Place:
    """A breaker that opens after three failures and rests for a minute, by a clock of ours."""

    def __init__(self, *script: Behaviour) -> None:
        self.now = 0.0
        self.asked = 0

        def counted(behave: Behaviour) -> Behaviour:
            def count(question: ChatRequest, seconds: float) -> str:
                self.asked += 1
                return behave(question, seconds)

            return count

        model = ScriptedModel([counted(each) for each in (*script, *[normal] * 9)])
        self.breaker = Breaker(model, failures=3, rest_seconds=60, clock=lambda: self.now)

    def ask(self) -> str:
        try:
            return self.breaker.ask(QUESTION, 1).text and "answered"
        except ModelFault as fault:
            return type(fault).__name__


def test_after_failures_in_a_row_nobody_is_asked_until_the_rest_is_over() -> None:
    place = Place(*[busy()] * 3)
    assert [place.ask() for _ in range(5)] == ["ModelBusy"] * 3 + ["ModelPaused"] * 2
    assert place.asked == 3
    place.now = 59.9
    assert place.ask() == "ModelPaused"
    place.now = 60
    assert [place.ask() for _ in range(2)] == ["answered"] * 2


def test_a_pause_says_how_long_and_is_no_attempt() -> None:
    place = Place(*[busy()] * 3)
    for _ in range(3):
        place.ask()
    place.now = 20
    with pytest.raises(ModelPaused) as caught:
        place.breaker.ask(QUESTION, 1)
    assert caught.value.retryable
    assert not caught.value.attempted
    assert caught.value.retry_after_s == 40


def test_a_failed_trial_opens_it_again_at_once() -> None:
    place = Place(*[busy()] * 4)
    for _ in range(3):
        place.ask()
    place.now = 61
    assert [place.ask() for _ in range(2)] == ["ModelBusy", "ModelPaused"]


def test_failures_that_are_not_in_a_row_open_nothing() -> None:
    place = Place(busy(), busy(), normal, busy(), busy(), normal)
    assert "ModelPaused" not in [place.ask() for _ in range(6)]


def test_a_deployment_at_fault_is_left_alone_too() -> None:
    def wrong_key(_question: ChatRequest, _seconds: float) -> str:
        raise ModelMisconfigured("401")

    place = Place(*[wrong_key] * 3)
    assert [place.ask() for _ in range(4)] == [*["ModelMisconfigured"] * 3, "ModelPaused"]
    place.now = 61
    assert place.ask() == "answered"


def test_a_refusal_is_an_answer() -> None:
    place = Place(busy(), busy(), refuse(), busy(), busy())
    assert [place.ask() for _ in range(5)].count("ModelPaused") == 0


def test_a_crash_during_the_trial_does_not_lock_it_for_good() -> None:
    def crash(_question: ChatRequest, _seconds: float) -> str:
        raise RuntimeError

    place = Place(*[busy()] * 3, crash)
    for _ in range(3):
        place.ask()
    place.now = 61
    with pytest.raises(RuntimeError):
        place.breaker.ask(QUESTION, 1)
    place.now = 122
    assert place.ask() == "answered"


def test_one_question_tries_while_the_others_wait() -> None:
    inside, go = threading.Event(), threading.Event()

    def slow(question: ChatRequest, seconds: float) -> str:
        inside.set()
        go.wait(PATIENCE_SECONDS)
        return normal(question, seconds)

    place = Place(*[busy()] * 3, slow)
    for _ in range(3):
        place.ask()
    place.now = 61
    said: list[str] = []
    trial = threading.Thread(target=lambda: said.append(place.ask()))
    trial.start()
    assert inside.wait(PATIENCE_SECONDS)
    assert [place.ask() for _ in range(3)] == ["ModelPaused"] * 3
    go.set()
    trial.join()
    assert said == ["answered"]
    assert place.ask() == "answered"
