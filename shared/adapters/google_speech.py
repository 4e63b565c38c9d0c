"""The speech port on Google Speech-to-Text v2, by its own client over REST.

One `recognize` a recording, of at most a minute and 10 MB (Google's bounds of that call), whose format the
service finds out. Nothing is kept there: no recognizer is made, the empty one (`_`) is asked.
"""

from __future__ import annotations

import threading
import time
from typing import Any

from shared.adapters.chat import by_status
from shared.ai.speech import Audio, Transcript, spoken
from shared.errors import ModelBusy, ModelFault, ModelMisconfigured, ModelUnreadable

#: Named in messages.
_SERVER = "Speech-to-Text"

#: What is asked for a language: most models want a place beside it.
_LOCALES = {
    "en": "en-US",
    "hi": "hi-IN",
    "ar": "ar-EG",
    "ru": "ru-RU",
    "fr": "fr-FR",
    "sw": "sw-KE",
}


class GoogleSpeech:
    """Speech-to-Text of a project. `endpoint`: another address (a test server); empty: Google's."""

    def __init__(
        self, *, project: str, location: str = "global", model: str = "long", endpoint: str = ""
    ) -> None:
        self._name = f"projects/{project}/locations/{location}/recognizers/_"
        self._location, self._model, self._endpoint = location, model, endpoint
        self._lock = threading.Lock()
        self._client: Any = None

    def transcribe(self, audio: Audio, timeout_seconds: float) -> Transcript:
        """See `shared.ai.speech.Transcriber.transcribe`."""
        import requests
        from google.api_core import exceptions
        from google.auth.exceptions import GoogleAuthError
        from google.cloud.speech_v2.types import cloud_speech
        from google.protobuf.json_format import ParseError

        began = time.monotonic()
        request = cloud_speech.RecognizeRequest(
            recognizer=self._name,
            config=cloud_speech.RecognitionConfig(
                auto_decoding_config=cloud_speech.AutoDetectDecodingConfig(),
                language_codes=[_LOCALES.get(audio.language, audio.language)],
                model=self._model,
            ),
            content=audio.data,
        )
        try:
            answer = self._opened().recognize(request=request, timeout=timeout_seconds, retry=None)
            parts = [
                each.alternatives[0].transcript for each in answer.results if each.alternatives
            ]
        except GoogleAuthError as error:
            raise ModelMisconfigured(
                f"{_SERVER}: no credentials ({type(error).__name__})."
            ) from None
        except exceptions.GoogleAPICallError as error:
            raise _fault(error) from None
        except (requests.RequestException, OSError) as error:
            raise ModelBusy(f"No answer from {_SERVER} ({type(error).__name__}).") from None
        except (ParseError, ValueError, TypeError) as error:  # a page that is no answer of this API
            raise ModelUnreadable(f"{_SERVER} cannot be read ({type(error).__name__}).") from None
        took = int((time.monotonic() - began) * 1000)
        return Transcript(spoken(" ".join(parts)), f"google {self._model}", took)

    def _opened(self) -> Any:
        with self._lock:
            if self._client is None:
                from google.api_core.client_options import ClientOptions
                from google.auth.credentials import AnonymousCredentials
                from google.cloud.speech_v2 import SpeechClient
                from google.cloud.speech_v2.services.speech.transports.rest import (
                    SpeechRestTransport,
                )

                if self._endpoint:
                    scheme, _, host = self._endpoint.rpartition("://")
                    transport = SpeechRestTransport(
                        host=host,
                        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
                        url_scheme=scheme or "https",
                    )
                    self._client = SpeechClient(transport=transport)
                else:
                    place = "" if self._location == "global" else f"{self._location}-"
                    options = ClientOptions(api_endpoint=f"{place}speech.googleapis.com")
                    self._client = SpeechClient(transport="rest", client_options=options)
            return self._client


def _fault(error: Any) -> ModelFault:
    status = getattr(error, "code", None)
    wait = getattr(getattr(error, "response", None), "headers", {}).get("Retry-After")
    seconds = float(wait) if wait and wait.isdecimal() else None
    return by_status(_SERVER, int(status) if status else None, seconds, str(error))
