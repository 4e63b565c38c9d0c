"""A second look at photos: zero-shot triage with MedSigLIP, for cases that the phone did not score.

MedSigLIP gives embeddings and no classes. The score of a photo for a label text is ours:

    sigmoid(cosine(photo, text) · exp(model_temperature) + model_bias)

(`model_temperature` is the model's raw logit scale.) A score is no probability: it means something
only against thresholds that were calibrated on cases of the clinic's own. Without thresholds there
are scores and no triage; without an endpoint, a photo or an answer there is no score, and `status`
says which. Nothing is ever made up. The look can raise a case, like everything else, and never lower it.
"""

from __future__ import annotations

import hashlib
import logging
import math
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from shared.ai.embedding import Embedder, Embedding
from shared.ai.model import Image
from shared.errors import Fault, ModelRefused
from shared.products.dermadetect.analysis.document import SecondLook

log = logging.getLogger(__name__)

#: Name and version of the label texts; raised with every change, since thresholds belong to texts.
LABELS_NAME = "triage-labels-v1"

#: Keys of `triage_data` under which a phone reports that it scored the photos itself.
_PHONE_SCORES = ("score", "scores", "triage_score", "risk_score", "medsiglip_score", "model_score")

#: Seconds that a look may take; the analysis waits for it.
TIMEOUT_SECONDS = 20.0
#: Photos looked at.
_MOST_IMAGES = 6
#: Largest exponent of a logit that a float takes.
_STEEPEST = 700.0


class Label(NamedTuple):
    """One class. `triage` is what a score at or over its threshold means."""

    name: str
    triage: str
    text: str  #: at most 64 of the model's tokens: kept under 25 words


#: Declared texts, worst first. Changing one asks for a new version and new thresholds.
LABELS = (
    Label("red", "red", "a clinical photo of a dangerous skin lesion that needs urgent care"),
    Label("yellow", "yellow", "a clinical photo of a skin disease that a doctor should examine"),
    Label("green", "green", "a clinical photo of healthy skin or a harmless skin mark"),
)
LABELS_SHA256 = hashlib.sha256("\n".join(map("|".join, LABELS)).encode()).hexdigest()


def cosine(one: Sequence[float], other: Sequence[float]) -> float:
    """Cosine of the angle between two vectors of the same length; not 0 long."""
    if len(one) != len(other) or not one:
        raise ModelRefused("The embeddings do not fit one another.")
    lengths = math.hypot(*one) * math.hypot(*other)
    if not lengths or not math.isfinite(lengths):
        raise ModelRefused("An embedding has no direction.")
    return sum(a * b for a, b in zip(one, other, strict=True)) / lengths


def score(image: Embedding, text: Embedding) -> float:
    """How much a photo fits a text, 0 to 1; not a probability."""
    logit = cosine(image.vector, text.vector) * math.exp(min(text.temperature, 20.0)) + text.bias
    if not math.isfinite(logit):
        raise ModelRefused("An embedding's scale or bias is no number.")
    return 1 / (1 + math.exp(-max(-_STEEPEST, min(_STEEPEST, logit))))


def phone_scored(case: Mapping[str, Any]) -> bool:
    """Whether the phone's own model has looked at the photos: a risk level with a score."""
    triage = case.get("triage_data")
    scored = isinstance(triage, dict) and any(
        isinstance(triage.get(key), int | float | dict) and not isinstance(triage.get(key), bool)
        for key in _PHONE_SCORES
    )
    return scored and case.get("risk_level") is not None


class ZeroShot:
    """Looks at photos. `embedder` None: there is no endpoint, so there is no score.

    `thresholds` are scores from 0 to 1 by label; a label without one says nothing.
    """

    def __init__(
        self, embedder: Embedder | None, thresholds: Mapping[str, float] | None = None
    ) -> None:
        self._embedder, self._thresholds = embedder, dict(thresholds or {})

    @property
    def has_endpoint(self) -> bool:
        """Whether photos would be looked at at all."""
        return self._embedder is not None

    def look(self, scored_by_phone: bool, images: Sequence[Image]) -> SecondLook:
        """What the photos score. Never raises a `Fault`: a look that fails says so."""
        if scored_by_phone:
            return self._none("phone_scored")
        if self._embedder is None:
            return self._none("no_endpoint")
        if not images:
            return self._none("no_image")
        texts = [label.text for label in LABELS]
        try:
            found = self._embedder.embed(texts, images[:_MOST_IMAGES], TIMEOUT_SECONDS)
            if len(found) != len(texts) + len(images[:_MOST_IMAGES]):
                raise ModelRefused("There is not one embedding for each text and photo.")
            scores = _scores(found[: len(texts)], found[len(texts) :])
        except Fault as fault:
            log.warning("no second look", extra={"fault": fault.code})
            return self._none("failed")
        return SecondLook("ok", LABELS_NAME, scores, self._triage(scores), self._embedder.name)

    def _none(self, status: str) -> SecondLook:
        return SecondLook(status, LABELS_NAME if status == "failed" else "")

    def _triage(self, scores: Mapping[str, float]) -> str | None:
        """The worst label whose threshold is reached; None without calibrated thresholds."""
        if not self._thresholds:
            return None
        reached = (
            label.triage
            for label in LABELS
            if label.name in self._thresholds and scores[label.name] >= self._thresholds[label.name]
        )
        return next(reached, None)


def _scores(texts: Sequence[Embedding], images: Sequence[Embedding]) -> dict[str, float]:
    """The highest score of any photo, by label: of several photos the worst counts."""
    return {
        label.name: round(max(score(image, text) for image in images), 6)
        for label, text in zip(LABELS, texts, strict=True)
    }
