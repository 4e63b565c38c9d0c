"""The speech port by PocketSphinx, which runs here: English, and the phrases that it is given, no others.

A decoder with a grammar makes a phrase of whatever it hears. So two listen, one that follows every
thought to its end and one that gives up early, and only what both of them heard, from its first word to its
last, counts. Waves alone, since nothing here decodes others.
"""

from __future__ import annotations

import io
import re
import struct
import tempfile
import threading
import time
import wave
from array import array
from functools import lru_cache
from typing import Any

from shared.ai.speech import Audio, Transcript, silent
from shared.errors import ModelMisconfigured, ModelRefused

#: What its acoustic model was made of, samples a second.
_RATE = 16_000

#: How far behind the best guess others are followed: far, and as the library does.
_BEAMS: tuple[dict[str, float], ...] = ({"beam": 1e-100, "wbeam": 1e-80, "pbeam": 1e-100}, {})

#: Quiet before and behind, samples: it takes the first sounds for noise otherwise.
_PAD = 4_000


class SphinxSpeech:
    """One decoder a set of phrases; one recording at a time."""

    def __init__(self) -> None:
        self._lock = threading.Lock()

    def transcribe(self, audio: Audio, timeout_seconds: float) -> Transcript:
        """See `shared.ai.speech.Transcriber.transcribe`. Raises `ModelRefused` for what it cannot hear."""
        began = time.monotonic()
        if audio.type != "audio/wav" or not audio.phrases or audio.language != "en":
            raise ModelRefused("It hears waves of English, and phrases.", code="speech_unsupported")
        if silent(audio):
            return Transcript("", "sphinx", 0)
        samples = _samples(audio.data)
        phrases = tuple(sorted({_plain(each) for each in audio.phrases}))
        with self._lock:
            heard = {_heard(each, samples) for each in _decoders(phrases)}
        took = int((time.monotonic() - began) * 1000)
        text = heard.pop() if len(heard) == 1 else ""
        return Transcript(text if text in phrases else "", "sphinx", took)


def _heard(decoder: Any, samples: bytes) -> str:
    decoder.start_utt()
    decoder.process_raw(samples, no_search=False, full_utt=True)
    decoder.end_utt()
    found = decoder.hyp()
    return "" if found is None else str(found.hypstr)


@lru_cache(maxsize=4)
def _decoders(phrases: tuple[str, ...]) -> tuple[Any, ...]:
    try:
        import pocketsphinx
    except ImportError:
        raise ModelMisconfigured("SPEECH=sphinx needs the package pocketsphinx.") from None
    library: Any = pocketsphinx
    folder = library.get_model_path("en-us")
    made = []
    for beams in _BEAMS:
        each = library.Decoder(
            hmm=f"{folder}/en-us",
            dict=f"{folder}/cmudict-en-us.dict",
            lm=None,
            loglevel="FATAL",
            bestpath=False,
            **beams,
        )
        said = [phrase for phrase in phrases if all(map(each.lookup_word, phrase.split()))]
        if not said:
            raise ModelRefused("It knows the words of no phrase.", code="speech_unsupported")
        with tempfile.NamedTemporaryFile("w", suffix=".gram") as file:
            file.write(f"#JSGF V1.0;\ngrammar said;\npublic <said> = {' | '.join(said)};\n")
            file.flush()
            each.add_jsgf_file("said", file.name)
        each.activate_search("said")
        made.append(each)
    return tuple(made)


def _plain(phrase: str) -> str:
    return " ".join(re.sub(r"[^a-z' ]+", " ", phrase.lower()).split())


def _samples(data: bytes) -> bytes:
    """The samples of a wave as the model wants them: one channel of 16 bits, at its own rate."""
    try:
        with wave.open(io.BytesIO(data)) as found:
            rate, channels, width = (
                found.getframerate(),
                found.getnchannels(),
                found.getsampwidth(),
            )
            frames = found.readframes(found.getnframes())
    except (wave.Error, EOFError, struct.error):
        raise ModelRefused("The recording is no wave.", code="speech_unsupported") from None
    if width != 2 or not rate or not channels:
        raise ModelRefused("It hears waves of 16 bits.", code="speech_unsupported")
    all_of_it = array("h", frames[: len(frames) // 2 * 2])
    one = all_of_it[::channels]
    count = len(one) * _RATE // rate
    taken = array("h", (_between(one, place * rate / _RATE) for place in range(count)))
    quiet = array("h", [(place * 7919) % 41 - 20 for place in range(_PAD)])
    return (quiet + taken + quiet).tobytes()


def _between(samples: array[int], place: float) -> int:
    """The sample at a place between two, on the line between them."""
    at = int(place)
    if at + 1 >= len(samples):
        return samples[-1]
    part = place - at
    return int(samples[at] * (1 - part) + samples[at + 1] * part)
