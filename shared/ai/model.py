"""The model port: one question to a language model that sees text and images, one answer.

It carries a chat request and says by a class whose fault it was: the
moment's (`ModelBusy`), this answer's (`ModelUnreadable`), the deployment's (`ModelMisconfigured`), this
request's (`ModelRefused`). Adapters: Vertex AI, OpenAI-compatible servers, scripted;
`shared.ai.breaker` stands in front of them and adds `ModelPaused` (nobody was asked).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

#: Code of `ModelRefused` when the model itself declines (content filter, refusal).
MODEL_DECLINED = "model_declined"
#: Model name that means "no value"; also recognised behind Vertex AI's wire format.
SCRIPTED = "scripted"


@dataclass(frozen=True, slots=True)
class Image:
    """A picture for the model: an https link or a `data:image/…;base64,` URL, and its SHA-256 (hex).

    `file_id` says where it is kept. It is not sent.
    """

    url: str
    sha256: str
    file_id: str = ""


@dataclass(frozen=True, slots=True)
class ChatRequest:
    """One chat request. Greedy decoding; `max_tokens` bounds the answer."""

    system: str
    text: str
    images: tuple[Image, ...] = ()
    max_tokens: int = 1024
    temperature: float = 0.0


@dataclass(frozen=True, slots=True)
class Completion:
    """What the model said, and what it took."""

    text: str
    model: str  #: the model's name as the server gave it, or as configured
    version: str
    latency_ms: int
    prompt_tokens: int | None = None
    completion_tokens: int | None = None


class Model(Protocol):
    """Answers one question at a time; safe to call from several threads."""

    def ask(self, question: ChatRequest, timeout_seconds: float) -> Completion:
        """Ask and wait at most `timeout_seconds`.

        Raises `ModelBusy` (408, 429, 5xx, timeout, network; `retry_after_s` when the server named
        it), `ModelUnreadable` (empty, no chat completion, another server's page, endless),
        `ModelMisconfigured` (401, 403, 404, redirects) or `ModelRefused` (400, 413, the model declines).
        """
        ...
