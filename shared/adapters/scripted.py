"""The scripted model: a deterministic stand-in for a language model, whose answers mean nothing.

The product gives it the draft that a model should write, as a function of the question. Every answer
names the model `scripted`, so that whoever shows it can say that it means nothing. It is an adapter
under the port's contract, used by the local profile, behind Vertex AI's wire format
(`infra.local.vertex`) and by tests.

Tests give it a script, one behaviour per question; when the script is used up it answers with the draft:

    ScriptedModel(draft, [busy(), busy(), say("no JSON at all"), delay(0.2, answering(draft))])
"""

from __future__ import annotations

import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from shared.ai.model import SCRIPTED, ChatRequest, Completion
from shared.errors import ModelBusy, ModelRefused, ModelUnreadable

#: Makes the answer's text out of a question and its timeout in seconds, or raises a `ModelFault`.
Behaviour = Callable[[ChatRequest, float], str]

#: What a model should say to a question: the same to the same text.
Draft = Callable[[ChatRequest], Mapping[str, Any]]


def answering(draft: Draft) -> Behaviour:
    """Answer with the draft, as JSON."""
    return lambda question, _timeout_seconds: json.dumps(draft(question), sort_keys=True)


def say(text: str) -> Behaviour:
    """Answer with this text, whatever was asked: garbage, a broken contract, thinking."""
    return lambda _question, _timeout_seconds: text


def busy(retry_after_s: float | None = None) -> Behaviour:
    """Be overloaded once. For n times: `[busy()] * n`."""

    def behave(_question: ChatRequest, _timeout_seconds: float) -> str:
        raise ModelBusy("The scripted model is busy.", retry_after_s=retry_after_s)

    return behave


def refuse() -> Behaviour:
    """Refuse the request."""

    def behave(_question: ChatRequest, _timeout_seconds: float) -> str:
        raise ModelRefused("The scripted model refuses this request.")

    return behave


def delay(seconds: float, then: Behaviour) -> Behaviour:
    """Take so long; past the timeout, give up like a server that was too slow."""

    def behave(question: ChatRequest, timeout_seconds: float) -> str:
        time.sleep(min(seconds, timeout_seconds))
        if seconds >= timeout_seconds:
            raise ModelBusy("The scripted model took too long.")
        return then(question, timeout_seconds)

    return behave


class ScriptedModel:
    """Answers each question with its draft; `script` says what the first questions get."""

    def __init__(self, draft: Draft, script: Iterable[Behaviour] = ()) -> None:
        self._normal = answering(draft)
        self._script = deque(script)
        self._lock = threading.Lock()

    def ask(self, question: ChatRequest, timeout_seconds: float) -> Completion:
        """See `shared.ai.model.Model.ask`. Never goes over a network."""
        with self._lock:
            behave = self._script.popleft() if self._script else self._normal
        began = time.monotonic()
        text = behave(question, timeout_seconds)
        if not text.strip():  # as behind a wire, where nothing is no answer
            raise ModelUnreadable("The scripted model said nothing.")
        return Completion(
            text=text,
            model=SCRIPTED,
            version="1",
            latency_ms=int((time.monotonic() - began) * 1000),
            # about four characters of English to a token
            prompt_tokens=(len(question.system) + len(question.text)) // 4,
            completion_tokens=len(text) // 4,
        )
