"""Zero-shot triage: the arithmetic by hand, the wire by the real client, and no made-up score."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local import vertex as wire
from shared.adapters.vertex import VertexEmbedder
from shared.ai.embedding import Embedding
from shared.ai.model import Image
from shared.errors import ModelBusy, ModelFault, ModelMisconfigured, ModelRefused
from shared.products.dermadetect import rules, triage
from shared.products.dermadetect.analysis.document import SecondLook, finish
from shared.products.dermadetect.analysis.draft_reading import parse
from shared.products.dermadetect.triage import LABELS, LABELS_SHA256, ZeroShot, phone_scored, score
from tests.ai.test_analysis import PROVENANCE, VALIDATOR, text
from tests.ai.vertex import Vertex, parameters, running
from tests.patience import PATIENCE_SECONDS

PHOTO = Image("data:image/png;base64,AAAA", "a" * 64)
LINK = Image("https://example.org/photo.jpg", "b" * 64)


class Placed:
    """An embedder whose places are given."""

    name = "placed"

    def __init__(self, texts: Sequence[Embedding], images: Sequence[Embedding]) -> None:
        self.found = [*texts, *images]

    def embed(self, *_: object) -> list[Embedding]:
        return self.found


def place(*vector: float, temperature: float = 0.0, bias: float = 0.0) -> Embedding:
    return Embedding(vector, temperature, bias)


#: Photo, text (which carries scale and bias), and the score worked out by hand.
BY_HAND = [
    # the same direction: cosine 1, exp(0) = 1: sigmoid(1)
    (place(3, 4), place(6, 8), 0.731059),
    # a right angle: cosine 0: sigmoid(0)
    (place(1, 0), place(0, 1), 0.5),
    # the opposite: sigmoid(-1)
    (place(1, 0), place(-2, 0), 0.268941),
    # cosine 0.6, exp(ln 10) = 10, bias −5: sigmoid(1)
    (place(1, 0), place(3, 4, temperature=math.log(10), bias=-5), 0.731059),
    # cosine 0.8, exp(ln 112.33) = 112.33, bias −16.5: sigmoid(73.364)
    (place(0, 1), place(3, 4, temperature=math.log(112.33), bias=-16.5), 1.0),
    # cosine 0.12, the same scale and bias: sigmoid(−3.0204)
    (
        place(1, 0),
        place(0.12, math.sqrt(1 - 0.12**2), temperature=math.log(112.33), bias=-16.5),
        0.046512,
    ),
]


@pytest.mark.parametrize(("photo", "label", "expected"), BY_HAND)
def test_the_arithmetic_is_the_documented_one(
    photo: Embedding, label: Embedding, expected: float
) -> None:
    assert score(photo, label) == pytest.approx(expected, abs=1e-6)


numbers = st.floats(allow_nan=True, allow_infinity=True)


@given(st.lists(numbers, max_size=4), st.lists(numbers, max_size=4), numbers, numbers)
def test_any_vectors_give_a_score_from_0_to_1_or_are_refused(
    one: list[float], other: list[float], temperature: float, bias: float
) -> None:
    try:
        found = score(place(*one), place(*other, temperature=temperature, bias=bias))
    except ModelRefused:
        return
    assert 0 <= found <= 1


TEXTS = [place(1, 0), place(0, 1), place(-1, 0)]  # red, yellow, green


def test_the_worst_photo_counts_and_thresholds_decide() -> None:
    embedder = Placed(TEXTS, [place(-1, 0), place(1, 0)])
    look = ZeroShot(embedder, {"red": 0.7, "yellow": 0.4}).look(False, [PHOTO, PHOTO])
    assert look.status == "ok"
    assert look.scores == {"red": 0.731059, "yellow": 0.5, "green": 0.731059}
    assert look.triage == "red"
    assert ZeroShot(embedder, {"red": 0.8, "yellow": 0.4}).look(False, [PHOTO, PHOTO]).triage == (
        "yellow"
    )
    assert ZeroShot(embedder, {"red": 0.8}).look(False, [PHOTO, PHOTO]).triage is None


def test_without_calibrated_thresholds_there_are_scores_and_no_triage() -> None:
    look = ZeroShot(Placed(TEXTS, [place(1, 0)])).look(False, [PHOTO])
    assert look.scores
    assert look.triage is None


@pytest.mark.parametrize(
    ("embedder", "scored", "images", "status"),
    [
        (None, False, [PHOTO], "no_endpoint"),
        (Placed(TEXTS, []), False, [], "no_image"),
        (Placed(TEXTS, [place(1, 0)]), True, [PHOTO], "phone_scored"),
        (Placed(TEXTS, []), False, [PHOTO], "failed"),
        (Placed(TEXTS, [place(0, 0)]), False, [PHOTO], "failed"),
        (Placed(TEXTS, [place(1, 0, 0)]), False, [PHOTO], "failed"),
        (Placed(TEXTS, [place(math.nan, 0)]), False, [PHOTO], "failed"),
    ],
)
def test_no_score_is_made_up_and_the_field_says_why(
    embedder: Any, scored: bool, images: list[Image], status: str
) -> None:
    look = ZeroShot(embedder, {"red": 0.1}).look(scored, images)
    assert (look.status, dict(look.scores), look.triage) == (status, {}, None)


@pytest.mark.parametrize(
    ("case", "scored"),
    [
        ({"risk_level": "green", "triage_data": {"triage_score": 0.2}}, True),
        ({"risk_level": "green", "triage_data": {"scores": {"red": 0.1}}}, True),
        ({"risk_level": None, "triage_data": {"triage_score": 0.2}}, False),
        ({"risk_level": "green", "triage_data": {"itching": True}}, False),
        ({"risk_level": "green", "triage_data": {"score": True}}, False),
        ({"risk_level": "green", "triage_data": None}, False),
    ],
)
def test_the_second_look_is_for_cases_that_the_phone_did_not_score(
    case: dict[str, Any], scored: bool
) -> None:
    assert phone_scored(case) is scored


def test_scores_of_a_phones_model_are_no_answers_of_its_form() -> None:
    """Its labels may be called like signs; the kit keeps them as lists, which no question is read from."""
    seen = {
        "photo": "k1",
        "risk": None,
        "scores": [["bleeding", 0.9], ["ulcer", 1.0]],
        "reached": [],
    }
    look = {
        "status": "done",
        "model": "skin",
        "model_version": "3",
        "thresholds": "1",
        "risk": None,
    }
    form = {"site": "arm", "device_triage": {**look, "photos": [seen]}, "model_score": 1.0}
    assert rules.judge(form, None, date(2026, 11, 30)) == rules.NOTHING
    assert phone_scored({"risk_level": "green", "triage_data": form})


def test_a_second_look_raises_and_never_lowers() -> None:
    for colour, expected in (("red", "red"), ("green", "yellow"), (None, "yellow")):
        document = finish(
            parse(text(urgency="routine", red_flags=[])),
            triage_device="yellow",
            second_look=SecondLook("ok", "l", {"red": 0.9}, colour, "medsiglip"),
            provenance=PROVENANCE,
        )
        VALIDATOR.validate(document)
        assert document["triage_final"] == expected
    lowered = {**document, "triage_final": "green", "triage_device": None}
    lowered["second_look"] = {**document["second_look"], "triage": "red"}
    assert not VALIDATOR.is_valid(lowered)


def test_label_texts_are_declared_and_changing_one_changes_the_version() -> None:
    assert (triage.LABELS_NAME, LABELS_SHA256[:12]) == ("triage-labels-v1", VERSION_1)
    assert [label.triage for label in LABELS] == ["red", "yellow", "green"]
    # under MedSigLIP's 64 tokens, with room: no word of ours takes three
    assert all(len(label.text.split()) <= 20 for label in LABELS)


#: The hash of the texts of version 1. A change of the texts asks for version 2, and thresholds anew.
VERSION_1 = "d1fb9edccfb2"


# --- Vertex AI's wire


@pytest.fixture(name="vertex")
def _vertex() -> Iterator[Vertex]:
    with running() as vertex:
        yield vertex


@pytest.fixture
def embedder(vertex: Vertex) -> VertexEmbedder:
    return VertexEmbedder(**parameters(vertex.server))


@pytest.mark.proof
def test_texts_and_photos_go_out_in_the_documented_shape(
    vertex: Vertex, embedder: VertexEmbedder
) -> None:
    found = embedder.embed(["skin"], [PHOTO, LINK], PATIENCE_SECONDS)
    assert vertex.server.requests == [
        {
            "instances": [
                {"text": "skin"},
                {"image": {"input_bytes": "AAAA"}},
                {"image": {"image_url": LINK.url}},
            ]
        }
    ]
    assert len(found) == 3
    assert len({each.vector for each in found}) == 3
    assert (found[0].temperature, found[0].bias) == (1.0, -1.0)
    look = ZeroShot(embedder).look(False, [PHOTO])
    assert set(look.scores) == {"red", "yellow", "green"}
    assert look.model == "medsiglip"


def _reply(*predictions: Any) -> wire.PlannedFault:
    return wire.reply(json.dumps({"predictions": list(predictions), "deployedModelId": "9"}))


WHOLE = {"embedding": [1, 0], "model_temperature": 1, "model_bias": 0, "input_type": "text"}


@pytest.mark.proof
@pytest.mark.parametrize(
    ("fault", "kind"),
    [
        (_reply({"error": {"code": 3, "message": "no image"}}), ModelRefused),
        (_reply(WHOLE, WHOLE), ModelRefused),
        (_reply({**WHOLE, "embedding": "x"}), ModelRefused),
        (_reply({"embedding": [1, 0]}), ModelRefused),
        (wire.status(429), ModelBusy),
        (wire.status(404), ModelMisconfigured),
        (wire.reset(), ModelBusy),
    ],
)
def test_an_embedding_that_is_missing_is_a_fault(
    vertex: Vertex, embedder: VertexEmbedder, fault: wire.PlannedFault, kind: type[ModelFault]
) -> None:
    embedder.embed(["skin"], [], PATIENCE_SECONDS)
    vertex.server.faults.append(fault)
    with pytest.raises(kind):
        embedder.embed(["skin"], [], PATIENCE_SECONDS)
    vertex.server.faults.append(fault)
    assert ZeroShot(embedder).look(False, [PHOTO]).status == "failed"
