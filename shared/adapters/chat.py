"""What adapters of the model port share: chat requests in OpenAI's shape, and answers that are bounded.

A timeout of `requests` bounds single socket operations, and an answer has no largest size; the
transport adapter here bounds both. `requests` is imported at the first use: it takes 0.2 s.
"""

from __future__ import annotations

import re
import threading
import time
from collections.abc import Mapping
from typing import Any

from shared.ai.analysis import MODEL_DECLINED
from shared.ai.model import Answer, Question
from shared.errors import ModelBusy, ModelFault, ModelRefused

#: Largest answer that is read, bytes. 8192 tokens are about 32 KB.
MAX_ANSWER_BYTES = 1_000_000
#: Bytes read from an answer at a time.
_READ_BYTES = 65_536
#: A server's Retry-After beyond this many seconds is not believed.
_LONGEST_RETRY_AFTER = 3600.0

#: Statuses below 500 that pass: request timeout, too early, too many requests.
_PASSING = frozenset({408, 425, 429})


class AnswerTooLong(Exception):
    """More came than is read."""


def wire_messages(question: Question) -> list[dict[str, Any]]:
    """A question as a chat: text before images."""
    content: list[dict[str, Any]] = [{"type": "text", "text": question.text}]
    content += [{"type": "image_url", "image_url": {"url": image.url}} for image in question.images]
    return [
        {"role": "system", "content": [{"type": "text", "text": question.system}]},
        {"role": "user", "content": content},
    ]


def bounded_adapter(call: threading.local, most_bytes: int = MAX_ANSWER_BYTES) -> Any:
    """A transport for a session of `requests` whose answers are bounded in size and in total time.

    `call` holds the calling thread's `ends_at` (`time.monotonic`), and receives its `retry_after_s`.
    Raises what `requests` raises, and `AnswerTooLong`.
    """
    import requests
    from requests.adapters import HTTPAdapter
    from urllib3.exceptions import HTTPError, ReadTimeoutError

    def read(raw: Any) -> bytes:
        left = call.ends_at - time.monotonic()
        if left <= 0:
            raise requests.ReadTimeout("The answer was not complete in time.")
        # None once the server has said that it will close: then the request's own timeout holds
        sock = getattr(raw.connection, "sock", None)
        if sock is not None:
            sock.settimeout(left)
        return bytes(raw.read1(_READ_BYTES, decode_content=True))

    class Bounded(HTTPAdapter):
        def send(self, request: Any, *args: Any, **kwargs: Any) -> Any:
            response: Any = super().send(request, *args, **kwargs)
            call.retry_after_s = retry_after(response.headers.get("Retry-After"))
            chunks, size = [], 0
            try:
                # read1 returns what one receive brought, so time is looked at between receives
                while chunk := read(response.raw):
                    size += len(chunk)
                    if size > most_bytes:
                        raise AnswerTooLong
                    chunks.append(chunk)
            except ReadTimeoutError as error:
                raise requests.ReadTimeout("The answer stopped coming.") from error
            except HTTPError as error:
                raise requests.ConnectionError("The answer broke off.") from error
            except BaseException:
                response.close()
                raise
            response._content = b"".join(chunks)
            response._content_consumed = True
            return response

    return Bounded(pool_maxsize=32)


def retry_after(header: str | None) -> float | None:
    """Seconds of a Retry-After header; None when absent, a date, or absurd."""
    if header is None or not re.fullmatch(r"\s*\d{1,6}(\.\d{1,3})?\s*", header):
        return None
    seconds = float(header)
    return seconds if seconds <= _LONGEST_RETRY_AFTER else None


def by_status(server: str, status: int | None, retry_after_s: float | None) -> ModelFault:
    """The fault that an HTTP status means: passing or lasting. `server` is named in the message."""
    if status is not None and (status in _PASSING or status >= 500):
        return ModelBusy(
            f"{server} answered {status}; the job tries again later.", retry_after_s=retry_after_s
        )
    return ModelRefused(
        f"{server} answered {status}; check the endpoint, its permissions and the request."
    )


def read_completion(
    completion: Any, name: str, version: str, latency_ms: int, unreadable: ModelFault
) -> Answer:
    """The answer in an OpenAI chat completion; raises `unreadable` when it is none.

    Raises `ModelRefused` (`model_declined`) when the model or a filter refused to speak.
    """
    try:
        choice = completion["choices"][0]
        message = choice["message"]
    except (KeyError, IndexError, TypeError):
        raise unreadable from None
    usage = completion.get("usage")
    text = _text(message)
    filtered = isinstance(choice, Mapping) and choice.get("finish_reason") == "content_filter"
    if text is None or filtered:
        if filtered or (isinstance(message, dict) and message.get("refusal")):
            raise ModelRefused("The model declined to answer.", code=MODEL_DECLINED)
        raise unreadable
    model = completion.get("model")
    return Answer(
        text=text,
        model=model if isinstance(model, str) and model else name,
        version=version,
        latency_ms=latency_ms,
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
    )


def _text(message: Any) -> str | None:
    """A message's content: a string, or the text parts of a list; None when there is neither."""
    content = message.get("content") if isinstance(message, dict) else None
    if isinstance(content, str):
        return content
    if isinstance(content, list):
        parts = [part.get("text") for part in content if isinstance(part, dict)]
        texts = [part for part in parts if isinstance(part, str)]
        return "".join(texts) if texts else None
    return None


def _count(usage: Any, name: str) -> int | None:
    """A token count; shared endpoints give it as a float."""
    value = usage.get(name) if isinstance(usage, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        return None
    return int(value)
