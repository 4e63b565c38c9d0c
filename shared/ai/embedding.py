"""The embedding port: a text's or a photo's place in one space.

Adapters: Vertex AI (a SigLIP), a model of sentences that runs here, and `letters`, which needs none; the
last two place texts alone.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.ai.model import Image


@dataclass(frozen=True, slots=True)
class Embedding:
    """A text's or a photo's place, with the scale and bias that came with it."""

    vector: tuple[float, ...]
    temperature: float
    bias: float


class Embedder(Protocol):
    """Places texts and photos in one space. Safe to share."""

    name: str  #: what stands in the provenance

    def embed(
        self, texts: Sequence[str], images: Sequence[Image], timeout_seconds: float
    ) -> list[Embedding]:
        """One embedding for each text, then for each image, in order.

        Raises `ModelBusy` or `ModelRefused`, also when a single one is missing.
        """
        ...
