"""Texts placed by their letters alone: for "was something like this said before?" where no model runs.

Three letters at a time of each word, folded, counted into places by their checksum (the hashing trick,
Weinberger et al. 2009). Texts that share words or parts of words are near, in any script; what means the
same in other words is not.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from zlib import crc32

from shared.ai.embedding import Embedding
from shared.ai.identifiers import fold
from shared.ai.model import Image
from shared.errors import ModelRefused

#: Places of a vector. Sentences have some 30 threes, so that few of them share a place.
PLACES = 256

_WORD = re.compile(r"[\w\u0900-\u0963]+")


class Letters:
    """The embedding port without a model."""

    name = "letters-1"

    def embed(
        self, texts: Sequence[str], images: Sequence[Image], timeout_seconds: float
    ) -> list[Embedding]:
        """See `shared.ai.embedding.Embedder.embed`. Raises `ModelRefused` for pictures."""
        if images:
            raise ModelRefused("Letters are no pictures.", code="images_not_taken")
        return [Embedding(_placed(text), 0.0, 0.0) for text in texts]


def _placed(text: str) -> tuple[float, ...]:
    places = [0.0] * PLACES
    for word in _WORD.findall(fold(text).casefold()):
        framed = f"_{word}_"
        for at in range(max(1, len(framed) - 2)):
            code = crc32(framed[at : at + 3].encode())
            places[code % PLACES] += 1.0 if code >> 16 & 1 else -1.0
    length = math.sqrt(sum(each * each for each in places)) or 1.0
    return tuple(round(each / length, 5) for each in places)
