"""The model port on Vertex AI: a model behind an endpoint, called by google-cloud-aiplatform.

The wire is `:predict` with `@requestFormat: chatCompletions`; the answer's `predictions` is an
OpenAI chat completion, or a list that holds one. Importing the client library costs 2 s and 190 MB,
so nothing of Google's is imported before the first question.

What the library (2.7.0) does that this module works around, each seen against `infra.local.vertex`:
- it chooses the dedicated route by what GetEndpoint says and ignores `use_dedicated_endpoint`;
- on that route every HTTP error is a bare `ValueError` with the status and the *response's text* in
  its message (and on the shared route a `ParseError` with the whole answer). The text may repeat
  personal data, so such an error is never chained or shown;
- GetEndpoint is retried for two minutes whatever timeout is asked for, so it is called here, once
  and bounded, and its answer is handed to the library;
- a timeout bounds single socket operations, and an answer has no largest size: the session given to
  the library bounds both on the dedicated route (limit: on the shared route nothing does);
- `timeout > 120` raises `ImportError` without requests-toolbelt, so 120 is the longest here.

The library's address and credentials are set for the whole process (`aiplatform.init`): one
endpoint host per process.
"""

from __future__ import annotations

import json
import logging
import re
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

from shared.adapters.chat import (
    MAX_ANSWER_BYTES,
    AnswerTooLong,
    bounded_adapter,
    by_status,
    read_completion,
    retry_after,
    unreadable,
    wire_messages,
)
from shared.ai.embedding import Embedding
from shared.ai.model import ChatRequest, Completion, Image
from shared.errors import (
    ConfigurationFault,
    ModelBusy,
    ModelFault,
    ModelMisconfigured,
    ModelRefused,
    ModelUnreadable,
)

#: Longest wait for one answer, seconds; beyond it the client needs requests-toolbelt.
MAX_TIMEOUT_SECONDS = 120.0
#: Longest wait of a shared endpoint, seconds (Google's limit).
SHARED_TIMEOUT_SECONDS = 60.0
#: Largest request, bytes: Google's limits for dedicated and shared endpoints.
MAX_REQUEST_BYTES = 10_000_000
MAX_SHARED_REQUEST_BYTES = 1_500_000
#: Longest wait for GetEndpoint, seconds; it is asked once per process.
ENDPOINT_TIMEOUT_SECONDS = 15.0

_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_NUMBER = re.compile(r"[0-9A-Za-z_-]{1,128}")
_NAME = re.compile(r"projects/([^/]+)/locations/([a-z0-9-]+)/endpoints/([0-9A-Za-z_-]{1,128})")
#: Named in messages.
_SERVER = "Vertex AI"
_STATUS = re.compile(r"Status code:\s*(\d{3})")

_importing = threading.Lock()


class VertexModel:
    """A model on a Vertex AI endpoint. One cached client; safe to use from several threads.

    `endpoint` is its number or full name; `dedicated` says whether it has its own DNS name;
    `api_endpoint` another address of the API (`https://localhost:8963`); `credentials` is `default`
    (the function's own account) or `anonymous` (a test server).

    Raises `ConfigurationFault` for an endpoint that cannot be one. Opens and imports nothing.
    """

    def __init__(
        self,
        *,
        project: str,
        location: str,
        endpoint: str,
        dedicated: bool = True,
        api_endpoint: str = "",
        credentials: str = "default",
    ) -> None:
        named = _NAME.fullmatch(endpoint)
        if named is None and _NUMBER.fullmatch(endpoint):
            named = _NAME.fullmatch(f"projects/{project}/locations/{location}/endpoints/{endpoint}")
        if named is None:
            raise ConfigurationFault(
                "VERTEX_ENDPOINT must be an endpoint's number or "
                "projects/…/locations/…/endpoints/…, with a project and a location",
                field="VERTEX_ENDPOINT",
            )
        if credentials not in ("default", "anonymous"):
            raise ConfigurationFault(
                "VERTEX_CREDENTIALS must be default or anonymous", field="VERTEX_CREDENTIALS"
            )
        self._name = named[0]
        self._project = named[1]
        self._location = named[2]
        self._dedicated = dedicated
        self._api_endpoint = api_endpoint
        self._credentials = credentials
        self._lock = threading.Lock()
        self._endpoint: Any = None
        self._call = threading.local()

    def ask(self, question: ChatRequest, timeout_seconds: float) -> Completion:
        """See `shared.ai.model.Model.ask`. Waits at most 120 s (60 s on a shared endpoint)."""
        began = time.monotonic()
        prediction = self.predict([wire_instance(question)], timeout_seconds)
        return _answer(prediction, int((time.monotonic() - began) * 1000))

    def predict(self, instances: list[dict[str, Any]], timeout_seconds: float) -> Any:
        """The client's prediction for some instances; faults and bounds are those of `ask`."""
        began = time.monotonic()
        seconds = min(timeout_seconds, MAX_TIMEOUT_SECONDS)
        if not self._dedicated:
            seconds = min(seconds, SHARED_TIMEOUT_SECONDS)
        self._check_size(instances)
        self._call.retry_after_s = None
        self._call.ends_at = began + seconds
        try:
            endpoint = self._opened(seconds)
            left = self._call.ends_at - time.monotonic()
            if left <= 0:
                raise ModelBusy("Vertex AI took too long to describe the endpoint.")
            return endpoint.predict(
                instances=instances, use_dedicated_endpoint=self._dedicated, timeout=left
            )
        except ModelFault:
            raise
        except Exception as error:
            # The client raises errors of five libraries and bare built-in ones; the table answers
            # all of them, what it does not know as unreadable.
            fault = fault_of(error, self._call.retry_after_s)
            if fault.outage:  # after a redeploy Google must be asked anew where the endpoint is
                self._endpoint = None
            raise fault from (error if _quotes_nothing(error) else None)

    def _check_size(self, instances: list[dict[str, Any]]) -> None:
        limit = MAX_REQUEST_BYTES if self._dedicated else MAX_SHARED_REQUEST_BYTES
        if len(json.dumps({"instances": instances})) > limit:
            raise ModelRefused(
                f"The question is larger than the {limit} bytes that the endpoint takes; "
                "send a smaller image or a link.",
                code="model_request_too_large",
            )

    def _opened(self, seconds: float) -> Any:
        """The client's endpoint, made and described by Google once, then cached."""
        endpoint = self._endpoint
        if endpoint is not None:
            return endpoint
        if not self._lock.acquire(timeout=seconds):
            raise ModelBusy("Another question is still waiting for Vertex AI's endpoint.")
        try:
            if self._endpoint is None:
                left = max(0.05, self._call.ends_at - time.monotonic())
                self._endpoint = self._open(min(left, ENDPOINT_TIMEOUT_SECONDS))
            return self._endpoint
        finally:
            self._lock.release()

    def _open(self, seconds: float) -> Any:
        with _importing:
            import google.auth
            from google.auth.credentials import AnonymousCredentials
            from google.cloud import aiplatform

            # At DEBUG these write request bodies, that is personal data and photos.
            for name in ("google.auth.transport.requests", "google.cloud.aiplatform_v1"):
                logging.getLogger(name).setLevel(logging.INFO)
            if self._credentials == "anonymous":
                credentials: Any = AnonymousCredentials()  # type: ignore[no-untyped-call]
            else:
                credentials, _ = google.auth.default(scopes=_SCOPES)
            aiplatform.init(
                project=self._project,
                location=self._location,
                credentials=credentials,
                api_endpoint=self._api_endpoint or None,
                api_transport="rest",  # survives gunicorn's fork, and is what the tests run
            )
            endpoint = aiplatform.Endpoint(
                self._name,
                project=self._project,
                location=self._location,
                credentials=credentials,
            )
            if not self._dedicated:
                # made now, while the process-wide settings are ours
                endpoint._prediction_client  # noqa: B018
        resource = endpoint.api_client.get_endpoint(name=self._name, retry=None, timeout=seconds)
        if self._dedicated and not resource.dedicated_endpoint_enabled:
            raise ModelMisconfigured(
                "The endpoint has no DNS name of its own; set VERTEX_DEDICATED=false "
                "or deploy the model to a dedicated endpoint."
            )
        if resource.dedicated_endpoint_enabled and not resource.dedicated_endpoint_dns:
            raise ModelBusy("The endpoint has no DNS name yet; it is still being made.")
        endpoint._gca_resource = resource
        endpoint.authorized_session = _bounded_session(credentials, self._call)
        return endpoint


def wire_instance(question: ChatRequest) -> dict[str, Any]:
    """One instance of `:predict`: a chat request in OpenAI's shape, text before images."""
    return {
        "@requestFormat": "chatCompletions",
        "messages": wire_messages(question),
        "max_tokens": question.max_tokens,
        "temperature": question.temperature,
    }


def _bounded_session(credentials: Any, call: threading.local) -> Any:
    """A session for the library whose answers are bounded in size and in total time.

    `call` holds the calling thread's `ends_at`, and receives its `retry_after_s`.
    """
    from google.auth.transport.requests import AuthorizedSession

    session = AuthorizedSession(credentials)  # type: ignore[no-untyped-call]
    session.mount("https://", bounded_adapter(call, MAX_ANSWER_BYTES))
    return session


# --- errors ------------------------------------------------------------------------------------


def fault_of(error: Exception, retry_after_s: float | None = None) -> ModelFault:
    """The `ModelFault` for whatever the client library raised.

    The message says the kind of error and a status; never the error's own text, which may quote
    the request.
    """
    for kind, answer in _table():
        if isinstance(error, kind):
            return answer(error, retry_after_s)
    return _unreadable(error, retry_after_s)


_Row = tuple[type[Exception], Callable[[Any, float | None], ModelFault]]


def _table() -> tuple[_Row, ...]:
    """Errors of the client in the order in which they are looked up: subclasses first."""
    import requests
    from google.api_core import exceptions as api
    from google.auth.exceptions import GoogleAuthError

    return (
        (AnswerTooLong, _too_long),
        (ImportError, _not_installed),
        # shared endpoints and GetEndpoint
        (api.RetryError, _passing),
        (api.GoogleAPICallError, _api_call),
        # no token: the metadata server may be back soon, missing credentials are not
        (GoogleAuthError, _credentials),
        # before ValueError: some of requests' are both
        (requests.exceptions.InvalidURL, _no_address),
        (requests.exceptions.InvalidSchema, _no_address),
        (requests.exceptions.MissingSchema, _no_address),
        (requests.exceptions.InvalidJSONError, _unreadable),
        (requests.RequestException, _passing),
        # dedicated endpoints: a bare ValueError with the status in its text
        (ValueError, _bare),
        (OSError, _passing),
    )


def _quotes_nothing(error: Exception) -> bool:
    """Whether an error's text comes from this side of the wire, so that it may be logged."""
    return isinstance(error, OSError | ImportError) or type(error).__module__.startswith(
        "google.auth."
    )


def _too_long(_error: Exception, _after: float | None) -> ModelFault:
    return ModelUnreadable(f"Vertex AI's answer is longer than {MAX_ANSWER_BYTES} bytes.")


def _not_installed(error: Exception, _after: float | None) -> ModelFault:
    return ModelMisconfigured(f"The Vertex AI client is not installed completely: {error}")


def _passing(error: Exception, after: float | None) -> ModelFault:
    return ModelBusy(
        f"No answer from Vertex AI ({type(error).__name__}); the job tries again later.",
        retry_after_s=after,
    )


def _api_call(error: Any, after: float | None) -> ModelFault:
    status = None if error.code is None else int(error.code)
    if status is None:  # gRPC's UNKNOWN has no HTTP status
        return _passing(error, after)
    headers = getattr(error.response, "headers", {})
    wait = after or retry_after(headers.get("Retry-After"))
    return by_status(_SERVER, status, wait, str(error.message))


def _credentials(error: Any, after: float | None) -> ModelFault:
    from google.auth.exceptions import TransportError

    if error.retryable or isinstance(error, TransportError):
        return _passing(error, after)
    return ModelMisconfigured(
        f"Vertex AI cannot be called with these credentials ({type(error).__name__})."
    )


def _bare(error: Exception, after: float | None) -> ModelFault:
    # matched at the start only: the text after it is the response's
    status = _STATUS.search(str(error)[:80])
    if status is None:
        return _unreadable(error, after)
    return by_status(_SERVER, int(status[1]), after, str(error))


def _no_address(error: Exception, _after: float | None) -> ModelFault:
    return ModelMisconfigured(f"The endpoint cannot be called ({type(error).__name__}).")


def _unreadable(error: Exception, _after: float | None) -> ModelFault:
    return unreadable(_SERVER, type(error).__name__)


# --- answers -----------------------------------------------------------------------------------


def _answer(prediction: Any, latency_ms: int) -> Completion:
    """The answer in a prediction: an object, or a list that holds one, or a list of plain text.

    Raises what `read_completion` raises. Plain text repeats the question before the answer on some
    containers (`Prompt: … Output: …`, vertex-ai-samples#2799).
    """
    completion = prediction.predictions
    if isinstance(completion, list) and len(completion) == 1:
        completion = completion[0]
    version = str(prediction.model_version_id or prediction.deployed_model_id or "")
    name = str(prediction.model_resource_name or "")
    if isinstance(completion, str):
        if completion.startswith("Prompt:"):
            completion = completion.rpartition("\nOutput:")[2]
        if not completion.strip():
            raise unreadable(_SERVER, "it is empty")
        return Completion(completion, name, version, latency_ms)
    return read_completion(completion, _SERVER, name, version, latency_ms)


class VertexEmbedder:
    """MedSigLIP on a Vertex AI endpoint (`shared.ai.embedding.Embedder`).

    Instances are `{"text": …}` and `{"image": {"input_bytes": …}}` or `{"image": {"image_url": …}}`;
    each prediction is `{"embedding", "input_type", "model_temperature", "model_bias"}` or
    `{"error": …}` (Google-Health/medsiglip, `serving/predictor.py`). Parameters as for `VertexModel`.
    Answers are read up to `MAX_ANSWER_BYTES`: some 40 embeddings.
    """

    name = "medsiglip"

    def __init__(self, **endpoint: Any) -> None:
        self._endpoint = VertexModel(**endpoint)

    def embed(
        self, texts: Sequence[str], images: Sequence[Image], timeout_seconds: float
    ) -> list[Embedding]:
        """See `shared.ai.embedding.Embedder.embed`."""
        instances: list[dict[str, Any]] = [{"text": text} for text in texts]
        instances += [{"image": _wire_image(image)} for image in images]
        found = self._endpoint.predict(instances, timeout_seconds).predictions
        if not isinstance(found, list) or len(found) != len(instances):
            raise _unreadable_embedding()
        return [_embedding(each) for each in found]


def _wire_image(image: Image) -> dict[str, str]:
    head, comma, data = image.url.partition(";base64,")
    if comma and head.startswith("data:"):
        return {"input_bytes": data}
    return {"image_url": image.url}


def _embedding(prediction: Any) -> Embedding:
    try:
        vector = tuple(float(part) for part in prediction["embedding"])
        scale = float(prediction["model_temperature"]), float(prediction["model_bias"])
    except (KeyError, TypeError, ValueError):
        raise _unreadable_embedding() from None
    return Embedding(vector, *scale)


def _unreadable_embedding() -> ModelFault:
    return ModelRefused(
        "Vertex AI's answer holds no embedding for a text or a photo; "
        "check that the endpoint serves MedSigLIP."
    )
