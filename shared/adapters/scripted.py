"""The scripted model: a deterministic stand-in for a language model, without any clinical value.

It writes the draft that a model should write, as a function of the question's text, and says in
every answer that it means nothing (model name `scripted`, label, uncertainty note; the contract
adds its own disclaimer). It is an adapter under the port's contract, used by the local profile,
behind Vertex AI's wire format (`infra.local.vertex`) and by tests.

Tests give it a script, one behaviour per question; when the script is used up it answers normally:

    ScriptedModel([busy(), busy(), say("no JSON at all"), delay(0.2)])
"""

from __future__ import annotations

import hashlib
import json
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from shared.ai import analysis
from shared.ai.model import Answer, Question
from shared.errors import ModelBusy, ModelRefused, ModelUnreadable

#: Makes the answer's text out of a question and its timeout in seconds, or raises a `ModelFault`.
Behaviour = Callable[[Question, float], str]

NO_VALUE = "Scripted test answer without any clinical value."


def draft(question: Question) -> dict[str, Any]:
    """The draft for a question: the same text always gives the same draft, other texts others.

    Answers in the patient's data that name a red flag with `true` come back as that flag.
    """
    digest = hashlib.sha256(question.text.encode("utf-8", "replace")).digest()
    flags = [flag for flag in analysis.RED_FLAGS if f'"{flag}": true' in question.text]

    def pick(byte: int, words: tuple[str, ...]) -> str:
        return words[digest[byte] % len(words)]

    return {
        "status": "ok",
        "image_quality": {"verdict": "usable" if question.images else "unclear", "issues": []},
        "morphology": {
            "primary_lesion": pick(0, analysis.PRIMARY_LESIONS),
            "colours": [pick(1, analysis.COLOURS)],
            "border": pick(2, analysis.BORDERS),
            "distribution": pick(3, analysis.DISTRIBUTIONS),
            "abcde": {name: pick(4 + i, analysis.YES_NO) for i, name in enumerate(analysis.ABCDE)},
        },
        "differential": [
            {
                "label": f"Scripted entry {digest[10] % 100} (no clinical value)",
                "likelihood": "low",
                "supporting": [],
                "against": [NO_VALUE],
            }
        ],
        "urgency": "urgent" if flags else pick(11, analysis.URGENCIES[:3]),
        "red_flags": flags,
        "missing_information": [pick(12, analysis.MISSING_INFORMATION)],
        "suggested_next_steps": ["look_for_more_lesions"],
        "uncertainty": {"level": "high", "note": NO_VALUE},
        "confidence": 0,
    }


def normal(question: Question, _timeout_seconds: float) -> str:
    """Answer as the contract asks."""
    return json.dumps(draft(question), sort_keys=True)


def say(text: str) -> Behaviour:
    """Answer with this text, whatever was asked: garbage, a broken contract, thinking."""
    return lambda _question, _timeout_seconds: text


def busy(retry_after_s: float | None = None) -> Behaviour:
    """Be overloaded once. For n times: `[busy()] * n`."""

    def behave(_question: Question, _timeout_seconds: float) -> str:
        raise ModelBusy("The scripted model is busy.", retry_after_s=retry_after_s)

    return behave


def refuse() -> Behaviour:
    """Refuse the request."""

    def behave(_question: Question, _timeout_seconds: float) -> str:
        raise ModelRefused("The scripted model refuses this request.")

    return behave


def delay(seconds: float, then: Behaviour = normal) -> Behaviour:
    """Take so long; past the timeout, give up like a server that was too slow."""

    def behave(question: Question, timeout_seconds: float) -> str:
        time.sleep(min(seconds, timeout_seconds))
        if seconds >= timeout_seconds:
            raise ModelBusy("The scripted model took too long.")
        return then(question, timeout_seconds)

    return behave


class ScriptedModel:
    """Answers the contract deterministically; `script` says what the first questions get."""

    def __init__(self, script: Iterable[Behaviour] = ()) -> None:
        self._script = deque(script)
        self._lock = threading.Lock()

    def ask(self, question: Question, timeout_seconds: float) -> Answer:
        """See `shared.ai.model.Model.ask`. Never goes over a network."""
        with self._lock:
            behave = self._script.popleft() if self._script else normal
        began = time.monotonic()
        text = behave(question, timeout_seconds)
        if not text.strip():  # as behind a wire, where nothing is no answer
            raise ModelUnreadable("The scripted model said nothing.")
        return Answer(
            text=text,
            model=analysis.SCRIPTED,
            version="1",
            latency_ms=int((time.monotonic() - began) * 1000),
            # about four characters of English to a token
            prompt_tokens=(len(question.system) + len(question.text)) // 4,
            completion_tokens=len(text) // 4,
        )
