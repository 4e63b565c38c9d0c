"""What adapters of the model port share: chat requests in OpenAI's shape, and answers that are bounded.

What servers really answer is read here: reasoning beside or instead of the content, an error inside a
200, tool calls nobody asked for, a stream although none was wanted.

A timeout of `requests` bounds single socket operations, and an answer has no largest size; the
transport adapter here bounds both. `requests` is imported at the first use: it takes 0.2 s.
"""

from __future__ import annotations

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

from shared.ai.model import MODEL_DECLINED, ChatRequest, Completion
from shared.errors import (
    ModelBusy,
    ModelFault,
    ModelMisconfigured,
    ModelRefused,
    ModelUnreadable,
)

#: Largest answer that is read, bytes. 8192 tokens are about 32 KB.
MAX_ANSWER_BYTES = 1_000_000
#: Bytes read from an answer at a time.
_READ_BYTES = 65_536
#: A server's Retry-After beyond this many seconds is not believed.
_LONGEST_RETRY_AFTER = 3600.0

#: Statuses below 500 that pass: request timeout, too early, too many requests.
_PASSING = frozenset({408, 425, 429})
#: Statuses that a setting or a deployment must heal; redirects too, since none is followed.
_DEPLOYMENT = frozenset({401, 402, 403, 404, 405, 407, 410})
#: Words of a passing fault in the text of a 400: vLLM and TGI say so of a full GPU (vllm#11109).
_PASSING_WORDS = re.compile(
    r"out of memory|overload|temporar|try again|is loading|still loading|not ready|unavailable"
    r"|rate.?limit|too many requests|capacity|exhausted|timed? ?out|is busy",
    re.IGNORECASE,
)
#: Characters of an error's text in which they are looked for.
_SAID_CHARS = 4000
#: Parts of a message that are no answer but the way to it.
_THINKING_PARTS = ("thinking", "reasoning", "reasoning_text", "redacted_thinking", "thought")


class AnswerTooLong(Exception):
    """More came than is read."""


def wire_messages(question: ChatRequest) -> list[dict[str, Any]]:
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


def by_status(
    server: str, status: int | None, retry_after_s: float | None, said: str = ""
) -> ModelFault:
    """The fault that an HTTP status means. `server` is named in the message.

    `said` is the server's own text: looked at, never shown, since it may repeat personal data.
    """
    if status is not None:
        # some say 400 where they mean 503
        full = 400 <= status < 500 and _PASSING_WORDS.search(said[:_SAID_CHARS])
        if status in _PASSING or status >= 500 or (full and status not in _DEPLOYMENT):
            return ModelBusy(
                f"{server} answered {status}; the job tries again later.",
                retry_after_s=retry_after_s,
            )
        if status in _DEPLOYMENT or 300 <= status < 400:
            return ModelMisconfigured(
                f"{server} answered {status}; check its address, the model's name, key and "
                "permissions. Jobs wait meanwhile."
            )
    return ModelRefused(f"{server} answered {status}; check the request and the model.")


def read_completion(
    completion: Any, server: str, name: str, version: str, latency_ms: int
) -> Completion:
    """The answer in an OpenAI chat completion, as servers really write it.

    Raises `ModelUnreadable` when there is none, `ModelRefused` (`model_declined`) when the model or a
    filter refused to speak, and what an error inside means (`by_status`).
    """
    if isinstance(completion, list) and len(completion) == 1:
        completion = completion[0]
    choice = _choice(completion)
    error = _error(choice) or (_error(completion) if choice is None else None)
    if error is not None:
        raise by_status(server, error[0], None, error[1]) if error[0] else unreadable(server)
    message = choice.get("message", {"content": choice.get("text")}) if choice else None
    if choice is None or not isinstance(message, Mapping):
        raise unreadable(server, "a part is missing")
    text = _text(message.get("content"))
    if choice.get("finish_reason") == "content_filter" or (not text and message.get("refusal")):
        raise ModelRefused("The model declined to answer.", code=MODEL_DECLINED)
    text = text or _misplaced(message)
    if not text:
        raise unreadable(server, "it is empty")
    usage, model = completion.get("usage"), completion.get("model")
    return Completion(
        text=text,
        model=model if isinstance(model, str) and model else name,
        version=version,
        latency_ms=latency_ms,
        prompt_tokens=_count(usage, "prompt_tokens"),
        completion_tokens=_count(usage, "completion_tokens"),
    )


def unreadable(server: str, why: str = "an error stands in its place") -> ModelFault:
    """The fault of an answer that is none."""
    return ModelUnreadable(
        f"{server}'s answer is no chat completion ({why}); the job tries again later."
    )


def streamed(body: str) -> Any:
    """The completion that the events of a stream add up to; None when it broke off.

    Some proxies stream although `stream` is false.
    """
    texts: list[str] = []
    whole: dict[str, Any] | None = None
    for line in body.splitlines():
        data = line.removeprefix("data:").strip()
        if not line.startswith("data:") or not data:
            continue
        if data == "[DONE]":
            message = {"content": "".join(texts)}
            return None if whole is None else {**whole, "choices": [{"message": message}]}
        event = json.loads(data)
        choice = _choice(event)
        if choice is None:
            if isinstance(event, dict) and event.get("error"):
                return event
            continue
        whole = event if whole is None else whole
        delta = choice.get("delta")
        texts.append(_text(delta.get("content")) if isinstance(delta, Mapping) else "")
    return None


def _choice(completion: Any) -> Mapping[str, Any] | None:
    """The first choice; Ollama's own shape has a message instead."""
    if not isinstance(completion, Mapping):
        return None
    choices = completion.get("choices")
    if isinstance(choices, list) and choices and isinstance(choices[0], Mapping):
        return choices[0]
    return completion if isinstance(completion.get("message"), Mapping) else None


def _error(place: Any) -> tuple[int | None, str] | None:
    """Status (None: it says none) and text of an error that came inside a 200; None without one.

    LiteLLM, OpenRouter: `{"error": {"code": 503, …}}`, the code a text at times, in the answer or in a
    choice. vLLM: `{"object": "error", "code": 400, …}`.
    """
    if not isinstance(place, Mapping):
        return None
    error = place.get("error") or (place if place.get("object") == "error" else None)
    if not error:
        return None
    held = error if isinstance(error, Mapping) else {}
    codes = [held.get(name) for name in ("code", "status", "status_code")]
    found = (code for code in codes if isinstance(code, int | str) and str(code).isdigit())
    status = next((int(code) for code in found if 400 <= int(code) < 600), None)
    return status, json.dumps(error)


def _text(content: Any) -> str:
    """A message's content: a string, or the text parts of a list, without thinking; else empty."""
    if isinstance(content, str):
        return content if content.strip() else ""
    if isinstance(content, list):
        texts = (
            part.get("text")
            for part in content
            if isinstance(part, Mapping) and part.get("type") not in _THINKING_PARTS
        )
        return _text("".join(text for text in texts if isinstance(text, str)))
    return ""


def _misplaced(message: Mapping[str, Any]) -> str:
    """An answer that a server's parser took for something else, where nothing else is said.

    A tool call that nobody offered, or reasoning that is one JSON object from end to end (a reasoning
    parser before a model that does not think). Reasoning with prose in it is no answer.
    """
    for text in _elsewhere(message):
        bare = re.sub(r"\A\s*(?:```\w*)?\s*|\s*(?:```)?\s*\Z", "", text)
        if bare[:1] == "{" and bare[-1:] == "}":
            try:
                json.loads(bare)
            except (ValueError, RecursionError):
                continue
            return bare
    return ""


def _elsewhere(message: Mapping[str, Any]) -> Iterator[str]:
    calls = message.get("tool_calls")
    calls = calls if isinstance(calls, list) else []
    called = [call.get("function") for call in calls if isinstance(call, Mapping)]
    called.append(message.get("function_call"))
    functions = [each for each in called if isinstance(each, Mapping)]
    if len(functions) == 1 and isinstance(functions[0].get("arguments"), str):
        yield functions[0]["arguments"]
    for name in ("reasoning_content", "reasoning", "thinking"):
        if isinstance(message.get(name), str):
            yield message[name]


def _count(usage: Any, name: str) -> int | None:
    """A token count; shared endpoints give it as a float."""
    value = usage.get(name) if isinstance(usage, dict) else None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < 2**53:
        return None
    return int(value)
