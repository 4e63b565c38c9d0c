"""The speech port: what was said in a recording, as text.

Adapters: Google Speech-to-Text, servers that speak OpenAI's transcriptions (vLLM, whisper.cpp), and
PocketSphinx, which runs here and knows the phrases that it is given, no others. One contract for all of
them (`tests/contracts/test_speech.py`). Their faults are those of models (`shared.errors.ModelFault`).

Whisper writes something where nobody spoke, most often the same few sentences of film credits; `spoken`
takes those for nothing (faster-whisper#826, whisperIME#57, pocketshell#452).
"""

from __future__ import annotations

import io
import re
import struct
import wave
from dataclasses import dataclass
from typing import Protocol

#: Media types of recordings, and how their bytes begin: (offset, bytes) of which one must be there.
AUDIO_TYPES: dict[str, tuple[tuple[int, bytes], ...]] = {
    "audio/wav": ((8, b"WAVE"),),
    "audio/flac": ((0, b"fLaC"),),
    "audio/ogg": ((0, b"OggS"),),
    "audio/webm": ((0, b"\x1aE\xdf\xa3"),),
    "audio/mpeg": ((0, b"ID3"), (0, b"\xff\xfb"), (0, b"\xff\xf3"), (0, b"\xff\xf2")),
    "audio/mp4": ((4, b"ftyp"),),
}

#: Other names of these types.
_OTHER_NAMES = {
    "audio/x-wav": "audio/wav",
    "audio/wave": "audio/wav",
    "audio/vnd.wave": "audio/wav",
    "audio/x-flac": "audio/flac",
    "audio/opus": "audio/ogg",
    "audio/mp3": "audio/mpeg",
    "audio/m4a": "audio/mp4",
    "audio/x-m4a": "audio/mp4",
}

#: Sentences that Whisper writes of silence, without signs; nobody says them to a machine.
_OF_SILENCE = frozenset(
    {
        *(
            "you",
            "thank you for watching",
            "thanks for watching",
            "blank audio",
            "silence",
            "music",
        ),
        *("please subscribe", "subtitles by the amara org community", "sous titrage st 501"),
        *("sous titres realises par la communaute d amara org", "продолжение следует"),
        *("субтитры сделал dimatorzok", "редактор субтитров а семкин корректор а егорова"),
        *("شكرا على المشاهدة", "اشتركوا في القناة", "ترجمة نانسي قنقر", "देखने के लिए धन्यवाद"),
    }
)

#: A wave whose samples all stay below this (of 32,768) is silence: -50 dB of full scale.
_SILENT_PEAK = 100


@dataclass(frozen=True, slots=True)
class Audio:
    """A recording. `language` as `en`; `phrases` are what is likely to be said."""

    data: bytes
    type: str
    language: str
    phrases: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said; an empty text: nothing."""

    text: str
    engine: str  #: what heard it
    latency_ms: int


class Transcriber(Protocol):
    """Hears one recording at a time; safe to call from several threads."""

    def transcribe(self, audio: Audio, timeout_seconds: float) -> Transcript:
        """What was said, after at most `timeout_seconds`.

        Raises `ModelBusy`, `ModelUnreadable`, `ModelMisconfigured` or `ModelRefused` as models do.
        """
        ...


def audio_type(said: str) -> str:
    """A media type by its own name, without parameters."""
    plain = said.partition(";")[0].strip().lower()
    return _OTHER_NAMES.get(plain, plain)


def is_of_type(data: bytes, type: str) -> bool:
    """Whether bytes begin as a recording of this type does."""
    marks = AUDIO_TYPES.get(type, ())
    return any(data[at : at + len(mark)] == mark for at, mark in marks)


def seconds(data: bytes, type: str) -> float | None:
    """How long a recording is; None for types whose length is not read, and for broken ones."""
    if type != "audio/wav":
        return None
    try:
        with wave.open(io.BytesIO(data)) as found:
            frame = found.getsampwidth() * found.getnchannels()
            # what is there, whatever the header says: a stream is written before its length is known
            return float(min(found.getnframes(), len(data) // frame) / found.getframerate())
    except (wave.Error, EOFError, ZeroDivisionError, struct.error):
        return None


def silent(audio: Audio) -> bool:
    """Whether nothing at all is in it: told of 16-bit waves alone, of all others it is not known."""
    if audio.type != "audio/wav":
        return False
    try:
        with wave.open(io.BytesIO(audio.data)) as found:
            if found.getsampwidth() != 2:
                return False
            samples = memoryview(found.readframes(found.getnframes()))
    except (wave.Error, EOFError, struct.error):
        return False
    whole = samples[: len(samples) // 2 * 2].cast("h")
    return max(whole, default=0) < _SILENT_PEAK and min(whole, default=0) > -_SILENT_PEAK


def spoken(text: str) -> str:
    """A transcript as it stands for what was said: without what is written of silence."""
    plain = " ".join(re.sub(r"[\W_]+", " ", text.casefold()).split())
    plain = plain.replace("é", "e").replace("à", "a")
    return "" if plain in _OF_SILENCE else " ".join(text.split())
