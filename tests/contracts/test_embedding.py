"""What places texts: one vector of length 1 for each, in order; like texts are nearer than others."""

from __future__ import annotations

import math
from itertools import product

import pytest

from shared.adapters.sentences import Sentences
from shared.ai.embedding import Embedder
from shared.ai.letters import Letters
from shared.ai.model import Image
from shared.errors import ModelRefused
from shared.products.medmind.said_before import _PLACES

#: Of one meaning, in nearly the same words; each is unlike all others.
PAIRS = (
    ("my stomach hurts", "my stomach hurts after eating"),
    ("I could not sleep", "I slept badly, could not sleep at all"),
    ("болит колено", "колено опять болит"),
    ("घुटने में दर्द है", "मेरे घुटने में दर्द हो रहा है"),
    ("ركبتي تؤلمني", "ركبتي تؤلمني اليوم"),
)

_MADE: dict[str, Embedder] = {}


@pytest.fixture(params=["letters", "sentences"])
def embedder(request: pytest.FixtureRequest) -> Embedder:
    makers: dict[str, type[Letters] | type[Sentences]] = {
        "letters": Letters,
        "sentences": Sentences,
    }
    return _MADE.setdefault(request.param, makers[request.param]())


def test_each_text_has_its_place_in_order(embedder: Embedder) -> None:
    texts = [each for pair in PAIRS for each in pair] + ["", "x" * 200, "🙂"]
    found = embedder.embed(texts, (), 60)
    assert len({len(each.vector) for each in found}) == 1
    for again, before in zip(embedder.embed(texts[:2], (), 60), found, strict=False):
        assert again.vector == pytest.approx(before.vector, abs=1e-3)
    for each in found[: 2 * len(PAIRS)]:
        assert math.sqrt(sum(part * part for part in each.vector)) == pytest.approx(1, abs=1e-3)
    assert embedder.embed([], (), 60) == []


def test_like_texts_are_nearer_than_others_and_the_threshold_is_between(embedder: Embedder) -> None:
    one, other = (
        [each.vector for each in embedder.embed([pair[side] for pair in PAIRS], (), 60)]
        for side in (0, 1)
    )
    near = {
        (a, b): sum(x * y for x, y in zip(one[a], other[b], strict=True))
        for a, b in product(range(len(PAIRS)), repeat=2)
    }
    assert min(near[at, at] for at in range(len(PAIRS))) >= _PLACES[embedder.name][1]
    assert max(value for (a, b), value in near.items() if a != b) < _PLACES[embedder.name][1]


def test_pictures_are_refused(embedder: Embedder) -> None:
    with pytest.raises(ModelRefused):
        embedder.embed([], [Image("https://x.example/a.jpg", "a" * 64)], 5)
