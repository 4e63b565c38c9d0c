"""What a model says of a day is taken if it is the facts and nothing else, in every language."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.adapters.scripted import Behaviour, ScriptedModel, busy, refuse, say
from shared.ai.conversation import Terms
from shared.ai.model import ChatRequest
from shared.errors import ContractBroken
from shared.products.medmind.report import told
from shared.products.medmind.report.sentences import (
    LANGUAGES,
    SYMPTOM_NAMES,
    facts,
    fixed,
    numbers_in,
    words_in,
)
from shared.products.medmind.summary import SummaryNumbers
from shared.products.medmind.symptoms import STEMS, symptom
from tests.medmind.summing import Summed
from tests.medmind.test_dosing import DAY as DAY_ONE
from tests.medmind.test_dosing import ms

COUNT = st.integers(0, 120)
ANY = st.builds(
    lambda on_time, late, missed, skipped, left, needed, delay, symptoms: SummaryNumbers(
        on_time + late + missed + skipped + left,
        *(on_time, late, missed, skipped, left, needed),
        delay_minutes=delay,
        symptoms=symptoms,
    ),
    *(COUNT,) * 6,
    st.none() | st.integers(-500, 5000),
    st.dictionaries(st.sampled_from(list(SYMPTOM_NAMES)), st.integers(1, 30), max_size=4),
)
DAY = SummaryNumbers(8, 4, 1, 2, 1, 0, 3, 12, symptoms={"dizziness": 2})


def said(*sentences: str) -> str:
    return json.dumps({"sentences": sentences})


@given(ANY, st.sampled_from(LANGUAGES))
def test_every_number_of_a_text_is_one_of_the_day(found: SummaryNumbers, language: str) -> None:
    text = fixed(found, words_in(language))
    hours = -(-(found.delay_minutes or 0) // 60)
    allowed = {found.due, found.taken, found.missed, found.late, found.skipped, found.open}
    allowed |= {found.as_needed, found.delay_minutes or 0, hours, *found.symptoms.values()}
    assert set(numbers_in(text)) <= allowed
    for count in (found.missed, found.late, found.skipped, found.open, *found.symptoms.values()):
        assert not count or count in numbers_in(text)


@given(ANY, st.sampled_from(LANGUAGES), st.randoms())
def test_the_fixed_text_in_any_order_keeps_the_contract(
    found: SummaryNumbers, language: str, rng: object
) -> None:
    """Each sentence of each language is known as its own fact, and as no other."""
    sentences = [each.sentence for each in facts(found, words_in(language))]
    rng.shuffle(sentences)  # type: ignore[attr-defined]
    assert told.parsed(said(*sentences), found, language) == " ".join(sentences)


@given(ANY, ANY, st.sampled_from(LANGUAGES))
def test_the_text_of_another_day_breaks_it(
    one: SummaryNumbers, other: SummaryNumbers, language: str
) -> None:
    words = words_in(language)
    mine = {each.sentence for each in facts(one, words)}
    theirs = [each.sentence for each in facts(other, words)]
    if not {*theirs} <= mine:
        with pytest.raises(ContractBroken):
            told.parsed(said(*theirs), one, language)


GOOD = "5 of the 8 doses due were taken, 1 dose was taken late and 2 doses were missed."
REST = "1 dose was skipped. Taken as needed: 3 times. Told of dizziness: 2 times."


def test_a_model_may_join_facts() -> None:
    assert told.parsed(said(GOOD, REST), DAY, "en") == f"{GOOD} {REST}"
    fenced = f"```json\n{said(GOOD, REST)}\n```"
    assert told.parsed(fenced, DAY, "en") == f"{GOOD} {REST}"


@pytest.mark.parametrize(
    "bad",
    [
        "6 of the 8 doses due were taken, 1 dose was taken late and 2 doses were missed.",
        "8 of the 5 doses due were taken, 1 dose was taken late and 2 doses were missed.",
        "5 of the 8 doses due were taken, 2 doses were taken late and 1 dose was missed.",
        f"{GOOD} 3 doses were missed.",
        f"{GOOD} She is well.",
        f"{GOOD} Take 2 more doses.",
        f"{GOOD} Stop the medicine.",
        f"{GOOD} See a doctor about the dizziness.",
        f"{GOOD} The dizziness was 2 times after the doses were late.",
        f"{GOOD} Dizziness is caused by missed doses.",
        f"{GOOD} Two doses were missed.",
        f"{GOOD} 90 % were taken.",
        f"{GOOD} Not 2 doses were missed.",
        f"{GOOD} 2 doses were missed or taken.",
        f"{GOOD} 2.5 doses were missed.",
        f"{GOOD} \u202e2 doses were missed.",
        f"{GOOD} <b>2 doses were missed</b>.",
        f"{GOOD} 2 doses were taken.",
        f"{GOOD} 0 doses were still open.",
        f"{GOOD} Were taken.",
        f"{GOOD} http://example.org",
        f"{GOOD} Kamala: 2 doses were missed.",
        f"{GOOD} १२ doses were missed.",
        "5 of the 8 doses due were taken.",
        "",
        "a" * 241,
    ],
)
def test_anything_else_is_refused(bad: str) -> None:
    with pytest.raises(ContractBroken):
        told.parsed(said(bad, REST), DAY, "en")


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "no JSON",
        "{}",
        '{"sentences": "5"}',
        '{"sentences": [5]}',
        '{"sentences": []}',
        json.dumps({"sentences": [GOOD, REST], "advice": "Take more."}),
        json.dumps({"sentences": [GOOD, REST]}) + json.dumps({"sentences": ["Take 9."]}),
        said(*[REST] * 25),
    ],
)
def test_an_answer_of_another_shape_is_refused(answer: str) -> None:
    with pytest.raises(ContractBroken):
        told.parsed(answer, DAY, "en")


@given(st.lists(st.text(max_size=60), max_size=5))
def test_whatever_a_model_writes_is_refused_or_a_fact(sentences: list[str]) -> None:
    with pytest.raises(ContractBroken):
        told.parsed(said(*sentences), DAY, "en")


@given(ANY, st.sampled_from(LANGUAGES))
def test_a_model_gets_facts_and_words_alone(found: SummaryNumbers, language: str) -> None:
    """No name, no reason that somebody typed; and what it should say keeps the contract."""
    personal = replace(found, skip_reasons=("Kamala felt sick",))
    question = told.asked(personal, language)
    assert set(json.loads(question)) == {"language", "facts", "also"}
    assert "Kamala" not in question
    told.parsed(json.dumps(told.draft(question)), found, language)


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("a bad headache since morning", "headache"),
        ("मुझे चक्कर आ रहा है", "dizziness"),
        ("ألم في الركبة", "pain"),
        ("сильная одышка", "breathlessness"),
        ("my left ear rings", "other"),
        (None, "other"),
    ],
)
def test_words_are_counted_by_kind(words: str | None, kind: str) -> None:
    assert symptom(words) == kind
    assert {*STEMS, "other"} == set(SYMPTOM_NAMES)


# --- the job


@pytest.fixture
def circle(tmp_path: Path) -> Iterator[Summed]:
    place = Summed(tmp_path)
    place.item()
    yield place
    place.store.close()


FIXED = "0 of the 2 doses due were taken. 2 doses were missed."
TURNED = "2 doses were missed. 0 of the 2 doses due were taken."


def test_a_day_comes_with_fixed_words_and_a_model_may_put_them_otherwise(circle: Summed) -> None:
    circle.hour(ms(DAY_ONE, 23))
    circle.at = ms(DAY_ONE + timedelta(1), 0)
    circle.runner.run_due("dosing", 60)
    circle.runner.run("summaries~team1")
    row = circle.days[DAY_ONE.isoformat()]
    assert (row["text"], row["language"], row["told_by"]) == (FIXED, "en", "words")
    circle.sweep()
    row = circle.days[DAY_ONE.isoformat()]
    assert (row["text"], row["told_by"]) == (TURNED, "model")
    circle.hour(ms(DAY_ONE + timedelta(1), 2))  # nothing is new, and the text stays
    assert circle.days[DAY_ONE.isoformat()]["text"] == TURNED


@pytest.mark.parametrize(
    "script",
    [
        [say(said("She took all of it. Give her 2 more.")), say(said("2 doses were missed."))],
        [busy(), busy()],
        [refuse()],
        [say("x" * 200_000), say("{" * 10_000)],
    ],
)
def test_a_model_that_is_hostile_or_down_leaves_the_fixed_words(
    circle: Summed, script: list[Behaviour]
) -> None:
    model = ScriptedModel(lambda asked: told.draft(asked.text), script)
    circle.terms = Terms(model, 1024, 30)
    circle.hour(ms(DAY_ONE + timedelta(1), 0))
    row = circle.days[DAY_ONE.isoformat()]
    assert (row["text"], row["told_by"]) == (FIXED, "words")
    states = {each.fields["state"] for each in circle.all("jobs")}
    assert states <= {"queued", "done"}  # nobody is called for it


def test_a_text_of_numbers_that_are_no_more_is_thrown_away(circle: Summed) -> None:
    def late(asked: ChatRequest, _timeout: float) -> str:
        if not circle.get("dose_events", "e1"):
            with suspended(circle):
                circle.says("e1", "i1_20260302_0", "taken", ms(DAY_ONE, 8))
            circle.runner.run_due("dosing", 60)
            circle.runner.run("summaries~team1")
        return json.dumps(told.draft(asked.text))

    circle.terms = Terms(ScriptedModel(lambda asked: told.draft(asked.text), [late]), 1024, 30)
    circle.hour(ms(DAY_ONE + timedelta(1), 0))
    circle.sweep()
    row = circle.days[DAY_ONE.isoformat()]
    assert row["text"] == "1 dose was missed. 1 of the 2 doses due were taken."


@contextmanager
def suspended(circle: Summed) -> Iterator[None]:
    """Pushes are stored, and no sweep follows them."""
    circle.sweep = lambda: None  # type: ignore[method-assign]
    yield
    del circle.sweep


@pytest.mark.parametrize(("code", "language"), [("hi-IN", "hi"), ("AR", "ar"), ("xx", "en")])
def test_a_text_is_in_the_patient_s_language(circle: Summed, code: str, language: str) -> None:
    patient = {"id": "team1", "language": code, "time_zone": "Asia/Kolkata"}
    circle.push(patients=[patient])
    circle.hour(ms(DAY_ONE + timedelta(1), 0))
    row = circle.days[DAY_ONE.isoformat()]
    assert row["language"] == language
    assert ("doses" in row["text"]) == (language == "en")
