"""The model port on a server that speaks OpenAI's chat completions: vLLM, Ollama, llama.cpp.

One `POST {url}/chat/completions` a question. Nothing is sent twice, no redirect is followed (a
photo must not travel on), and an answer is bounded in size and in time. Errors carry a status and
a kind, never the server's text, which may repeat personal data.
"""

from __future__ import annotations

import json
import threading
import time
from typing import Any

from shared.adapters.chat import (
    MAX_ANSWER_BYTES,
    AnswerTooLong,
    bounded_adapter,
    by_status,
    read_completion,
    streamed,
    unreadable,
    wire_messages,
)
from shared.ai.model import ChatRequest, Completion
from shared.errors import ModelBusy, ModelMisconfigured, ModelUnreadable

#: Named in messages.
_SERVER = "The model server"

#: What servers call JSON, some for want of a better word; anything else is another server's page (a
#: proxy, a log-in).
_JSON = ("application/json", "text/json", "text/plain", "")
_STREAM = "text/event-stream"


class OpenAiCompatibleModel:
    """A model by its name on a server. `url` ends where `/chat/completions` is added (`…/v1`).

    Opens and imports nothing before the first question.
    """

    def __init__(self, *, url: str, model: str, api_key: str = "") -> None:
        self._address = url.rstrip("/") + "/chat/completions"
        self._name, self._key = model, api_key
        self._call = threading.local()
        self._lock = threading.Lock()
        self._session: Any = None

    def ask(self, question: ChatRequest, timeout_seconds: float) -> Completion:
        """See `shared.ai.model.Model.ask`."""
        import requests

        began = time.monotonic()
        self._call.retry_after_s = None
        self._call.ends_at = began + timeout_seconds
        body = {
            "model": self._name,
            "messages": wire_messages(question),
            "max_tokens": question.max_tokens,
            "temperature": question.temperature,
            "stream": False,
        }
        try:
            response = self._opened().post(
                self._address, json=body, timeout=timeout_seconds, allow_redirects=False
            )
        except AnswerTooLong:
            raise ModelUnreadable(
                f"{_SERVER}'s answer is longer than {MAX_ANSWER_BYTES} bytes."
            ) from None
        except (
            requests.exceptions.InvalidURL,
            requests.exceptions.InvalidSchema,
            requests.exceptions.InvalidHeader,
        ) as error:
            raise ModelMisconfigured(
                f"MODEL_URL cannot be called ({type(error).__name__})."
            ) from None
        except (requests.RequestException, OSError) as error:
            raise ModelBusy(
                f"No answer from the model server ({type(error).__name__}); the job tries again later.",
                retry_after_s=self._call.retry_after_s,
            ) from None
        if response.status_code != 200:
            raise by_status(
                _SERVER,
                response.status_code,
                self._call.retry_after_s,
                response.content.decode("utf-8", "replace"),
            )
        return self._read(response, int((time.monotonic() - began) * 1000))

    def _read(self, response: Any, latency_ms: int) -> Completion:
        kind = response.headers.get("Content-Type", "").partition(";")[0].strip().lower()
        if kind not in _JSON and kind != _STREAM:
            raise unreadable(_SERVER, "its type is not JSON")
        try:
            text = response.content.decode("utf-8-sig")
            completion = streamed(text) if kind == _STREAM else json.loads(text)
        except (ValueError, RecursionError):
            raise unreadable(_SERVER, "it is not JSON") from None
        version = completion.get("system_fingerprint") if isinstance(completion, dict) else None
        return read_completion(
            completion,
            _SERVER,
            self._name,
            version if isinstance(version, str) else "",
            latency_ms,
        )

    def _opened(self) -> Any:
        with self._lock:
            if self._session is None:
                import requests

                session = requests.Session()
                session.mount("https://", bounded_adapter(self._call))
                session.mount("http://", bounded_adapter(self._call))
                if self._key:
                    session.headers["Authorization"] = f"Bearer {self._key}"
                self._session = session
            return self._session
