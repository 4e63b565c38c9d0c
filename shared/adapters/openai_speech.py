"""The speech port on a server that speaks OpenAI's transcriptions: vLLM, whisper.cpp, OpenAI.

One `POST {url}/audio/transcriptions` a recording, as a form. Of the answer only `text` is read: not every
server gives more (vllm#14818).
"""

from __future__ import annotations

import threading
import time
from typing import Any

from shared.adapters.chat import AnswerTooLong, bounded_adapter, by_status, unreadable
from shared.ai.speech import Audio, Transcript, spoken
from shared.errors import ModelBusy, ModelMisconfigured

#: Named in messages.
_SERVER = "The speech server"

#: Names of files by type: servers tell formats by them.
_NAMES = {
    "audio/wav": "a.wav",
    "audio/flac": "a.flac",
    "audio/ogg": "a.ogg",
    "audio/webm": "a.webm",
    "audio/mpeg": "a.mp3",
    "audio/mp4": "a.m4a",
}


class OpenAiSpeech:
    """A model by its name on a server. `url` ends where `/audio/transcriptions` is added (`…/v1`)."""

    def __init__(self, *, url: str, model: str, api_key: str = "") -> None:
        self._address = url.rstrip("/") + "/audio/transcriptions"
        self._model, self._key = model, api_key
        self._call = threading.local()

    def transcribe(self, audio: Audio, timeout_seconds: float) -> Transcript:
        """See `shared.ai.speech.Transcriber.transcribe`."""
        import requests

        began = time.monotonic()
        self._call.retry_after_s = None
        self._call.ends_at = began + timeout_seconds
        try:
            response = self._opened().post(
                self._address,
                data={
                    "model": self._model,
                    "language": audio.language,
                    "response_format": "json",
                    "temperature": "0",
                },
                files={"file": (_NAMES.get(audio.type, "a"), audio.data, audio.type)},
                timeout=timeout_seconds,
                allow_redirects=False,
            )
        except AnswerTooLong:
            raise unreadable(_SERVER, "it is too long") from None
        except (
            requests.exceptions.InvalidURL,
            requests.exceptions.InvalidSchema,
            requests.exceptions.InvalidHeader,
        ) as error:
            raise ModelMisconfigured(
                f"SPEECH_URL cannot be called ({type(error).__name__})."
            ) from None
        except (requests.RequestException, OSError) as error:
            raise ModelBusy(
                f"No answer from the speech server ({type(error).__name__}); tried again later.",
                retry_after_s=self._call.retry_after_s,
            ) from None
        if response.status_code != 200:
            said = response.content.decode("utf-8", "replace")
            raise by_status(_SERVER, response.status_code, self._call.retry_after_s, said)
        text = self._text(response)
        took = int((time.monotonic() - began) * 1000)
        return Transcript(spoken(text), f"openai_compatible {self._model}", took)

    @staticmethod
    def _text(response: Any) -> str:
        try:
            value = response.json()
        except ValueError:
            raise unreadable(_SERVER, "it is not JSON") from None
        text = value.get("text") if isinstance(value, dict) else None
        if not isinstance(text, str):
            raise unreadable(_SERVER, "it has no text")
        return text

    def _opened(self) -> Any:
        """A session of this thread."""
        session = getattr(self._call, "session", None)
        if session is None:
            import requests

            session = self._call.session = requests.Session()
            session.mount("https://", bounded_adapter(self._call))
            session.mount("http://", bounded_adapter(self._call))
            if self._key:
                session.headers["Authorization"] = f"Bearer {self._key}"
        return session
