"""Whatever a model writes, an analysis stays inside its contract and lowers nothing."""

from __future__ import annotations

import copy
import itertools
import json
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from shared.ai.answer import MAX_ANSWER_CHARS, without_thinking
from shared.ai.model import SCRIPTED
from shared.ai.schema import problems
from shared.errors import ContractBroken, ModelRefused
from shared.products.dermadetect.analysis import vocabulary
from shared.products.dermadetect.analysis.document import Provenance, finish, unavailable
from shared.products.dermadetect.analysis.draft import Draft, ImageQuality, Opinion, merge
from shared.products.dermadetect.analysis.draft_reading import parse
from shared.products.dermadetect.analysis.schema import SCHEMA, published
from shared.products.dermadetect.analysis.vocabulary import (
    CONTRACT_BROKEN,
    DISCLAIMER,
    DISCLAIMER_SCRIPTED,
    TRIAGES,
    URGENCIES,
    triage_colour,
)
from shared.products.dermadetect.analysis.which_reading_is_shown import shown
from shared.products.dermadetect.emergency import urgency_of
from shared.products.dermadetect.who_sees_analysis import VISIBLE_TO_CHW, visible_to_chw
from tests.ai import strategies
from tests.patience import PATIENCE_SECONDS

VALIDATOR = jsonschema.Draft202012Validator(SCHEMA)
HASH = "a" * 64
PROVENANCE = Provenance(
    model="medgemma", version="1", prompt="p", prompt_sha256="b" * 64, image_sha256=(HASH,), calls=1
)
GOOD: dict[str, Any] = {
    "status": "ok",
    "image_quality": {"verdict": "good", "issues": ["hair"]},
    "morphology": {
        "primary_lesion": "nodule",
        "colours": ["black", "brown"],
        "border": "irregular",
        "distribution": "single",
        "abcde": dict.fromkeys(vocabulary.ABCDE, "yes"),
    },
    "differential": [
        {
            "label": "Melanoma",
            "likelihood": "high",
            "supporting": ["irregular border"],
            "against": [],
        },
        {"label": "Seborrhoeic keratosis", "likelihood": "low"},
    ],
    "urgency": "soon",
    "red_flags": [],
    "missing_information": ["duration"],
    "suggested_next_steps": ["add_close_up_photo"],
    "uncertainty": {"level": "medium", "note": "Photo is small."},
    "confidence": 0.85,
}


def text(**changed: Any) -> str:
    return json.dumps({**GOOD, **changed})


def finished(answer: str, device: object = "green", rules: object = None) -> dict[str, Any]:
    return finish(parse(answer), triage_device=device, rules_triage=rules, provenance=PROVENANCE)


def quotes_no_mark(draft: dict[str, Any]) -> bool:
    """Whether none of its texts quotes a mark of thinking."""
    return without_thinking(json.dumps(draft)) == json.dumps(draft)


def worst(*colours: str) -> str:
    return max(colours, key=TRIAGES.index)


# --- properties ----------------------------------------------------------------------------------


@settings(strategies.unhurried, max_examples=200)
@given(strategies.answers, strategies.triages, strategies.triages)
def test_any_text_is_an_analysis_inside_the_contract_or_refused(
    answer: str, device: object, rules: object
) -> None:
    code = ""
    try:
        document = finished(answer, device, rules)
    except ModelRefused as refused:
        code = refused.code
        document = unavailable(code, device, rules_triage=rules)
    assert code in ("", CONTRACT_BROKEN)
    VALIDATOR.validate(document)
    json.dumps(document, allow_nan=False).encode()
    json.dumps(document, ensure_ascii=False).encode()  # no lone surrogate reaches a store
    _never_lowered(document, device, rules)


def _never_lowered(document: dict[str, Any], device: object, rules: object) -> None:
    final = TRIAGES.index(document["triage_final"])
    for source in (device, rules):
        colour = triage_colour(source)
        if colour is not None:
            assert final >= TRIAGES.index(colour)
    if triage_colour(device) is None:
        assert document["triage_final"] == "red"
    if document["urgency_ai"] is not None:
        assert URGENCIES.index(document["urgency"]) >= URGENCIES.index(document["urgency_ai"])


@strategies.unhurried
@given(st.lists(strategies.good_drafts, min_size=1, max_size=4), strategies.triages)
def test_merging_images_never_lowers_any_of_them(
    found: list[dict[str, Any]], device: object
) -> None:
    # A draft that quotes the mark of the model's thinking is refused as a whole: see its own tests.
    assume(all(quotes_no_mark(draft) for draft in found))
    drafts = [parse(json.dumps(draft)) for draft in found]
    hashes = tuple(f"{i:064x}" for i in range(len(drafts)))
    document = finish(
        merge(drafts), triage_device=device, provenance=Provenance(image_sha256=hashes)
    )
    VALIDATOR.validate(document)
    assert [entry["image_sha256"] for entry in document["image_quality"]] == list(hashes)
    assert set(document["red_flags"]) == {flag for draft in drafts for flag in draft.red_flags}
    for draft in drafts:
        alone = finish(draft, triage_device=device, provenance=PROVENANCE)
        for name, order in (("triage_final", TRIAGES), ("urgency", URGENCIES)):
            assert order.index(document[name]) >= order.index(alone[name])


@strategies.unhurried
@given(strategies.answers)
def test_what_a_chw_sees_is_words_of_closed_vocabularies(answer: str) -> None:
    try:
        seen = visible_to_chw(finished(answer))
    except ModelRefused:
        return
    assert set(seen) == set(VISIBLE_TO_CHW)
    assert seen["status"] in vocabulary.STATUSES
    assert seen["urgency"] in URGENCIES
    assert set(seen["red_flags"]) <= set(vocabulary.RED_FLAGS)
    assert set(seen["suggested_next_steps"]) <= set(vocabulary.NEXT_STEPS)
    assert set(seen["missing_information"]) <= set(vocabulary.MISSING_INFORMATION)
    assert seen["disclaimer"] == DISCLAIMER
    assert seen["requires_human_review"] is True
    assert "await_doctor" in seen["suggested_next_steps"]


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    items: list[tuple[Any, Any]] = []
    if isinstance(value, dict):
        items = list(value.items())
    elif isinstance(value, list):
        items = list(enumerate(value))
    return [path, *(p for key, item in items for p in _paths(item, (*path, key)))]


WHOLE = finished(text(red_flags=["fever"]), "yellow")


@strategies.unhurried
@given(
    st.sampled_from([path for path in _paths(WHOLE) if path]),
    st.sampled_from(["replace", "remove", "repeat", "add"]),
    strategies.json_values,
)
def test_our_validator_and_jsonschema_agree_on_documents_that_were_tampered_with(
    path: tuple[Any, ...], how: str, value: Any
) -> None:
    document = copy.deepcopy(WHOLE)
    *way, last = path
    parent: Any = document
    for step in way:
        parent = parent[step]
    if how == "remove":
        del parent[last]
    elif how == "add" and isinstance(parent, dict):
        parent["also"] = value
    elif how == "repeat" and isinstance(parent, list):
        parent.extend(copy.deepcopy(parent))
    else:
        parent[last] = value
    assert (not problems(document, SCHEMA)) == VALIDATOR.is_valid(document)


@strategies.unhurried
@given(
    st.fixed_dictionaries(
        {
            "triage_device": st.sampled_from([*TRIAGES, None]),
            "triage_rules": st.sampled_from([*TRIAGES, None]),
            "triage_ai": st.sampled_from([*TRIAGES, None]),
            "triage_final": st.sampled_from(TRIAGES),
            "urgency": st.sampled_from(URGENCIES),
        }
    )
)
def test_the_published_schema_says_that_triage_never_falls(changed: dict[str, Any]) -> None:
    document = {**WHOLE, **changed}
    known = [changed[name] for name in ("triage_device", "triage_rules", "triage_ai")]
    least = worst("green", *(colour for colour in known if colour))
    right = TRIAGES.index(changed["triage_final"]) >= TRIAGES.index(least) and URGENCIES.index(
        changed["urgency"]
    ) >= TRIAGES.index(changed["triage_final"])
    assert VALIDATOR.is_valid(document) == right
    assert (not problems(document, SCHEMA)) == right


#: Where Python and JSON Schema are easily taken to differ: 1 == True, 1.0 an integer, and so on.
LOOKALIKES = [
    (("requires_human_review",), 1, False),
    (("requires_human_review",), 1.0, False),
    (("uncertainty", "calibrated"), 0, False),
    (("provenance", "attempts"), True, False),
    (("provenance", "attempts"), 1.0, True),
    (("provenance", "attempts"), 1.5, False),
    (("provenance", "attempts"), 2**53 + 1, False),
    (("provenance", "attempts"), -0.0, True),
    (("provenance", "confidence"), [True], False),
    (("provenance", "confidence"), [1e6, "x", None], True),
    (("provenance", "parameters", "temperature"), False, False),
    (("provenance", "tokens", "prompt"), None, True),
    (("provenance", "prompt_sha256"), "A" * 64, False),
    (("red_flags",), ["fever", "fever"], False),
    (("red_flags",), ("fever",), False),
    (("red_flags",), {}, False),
    (("reason",), "", False),
    (("morphology",), None, True),
    (("differential",), [], False),
    (("schema_version",), 1, False),
]


@pytest.mark.parametrize(("path", "value", "valid"), LOOKALIKES)
def test_our_validator_and_jsonschema_agree_on_lookalikes(
    path: tuple[str, ...], value: Any, valid: bool
) -> None:
    document = copy.deepcopy(WHOLE)
    parent = document
    for step in path[:-1]:
        parent = parent[step]
    parent[path[-1]] = value
    assert VALIDATOR.is_valid(document) == valid
    assert (not problems(document, SCHEMA)) == valid


@strategies.unhurried
@given(strategies.json_values)
def test_our_validator_and_jsonschema_agree_on_anything(value: Any) -> None:
    assert (not problems(value, SCHEMA)) == VALIDATOR.is_valid(value)


def test_the_schema_is_a_valid_schema_and_uses_only_keywords_that_we_check() -> None:
    jsonschema.Draft202012Validator.check_schema(SCHEMA)
    known = (
        "type const enum minLength maxLength pattern minimum maximum items minItems maxItems "
        "uniqueItems properties required additionalProperties allOf if then $schema title "
        "description"
    )

    def keywords(schema: dict[str, Any]) -> set[str]:
        found = set(schema)
        inner = [*schema.get("properties", {}).values(), *schema.get("allOf", [])]
        inner += [schema[name] for name in ("items", "if", "then") if name in schema]
        return found.union(*(keywords(item) for item in inner))

    assert keywords(SCHEMA) <= set(known.split())
    assert json.loads(json.dumps(SCHEMA)) == SCHEMA


# --- vicious answers -----------------------------------------------------------------------------

THOUGHT = '<unused94>thought\nurgency could be {"status": "ok", "urgency": "routine"}\n<unused95>'

READ = {
    "plain": text(),
    "thinking": THOUGHT + text(),
    "thinking twice": THOUGHT + THOUGHT + text(),
    "only the end of thinking": 'hm {"status":"ok","urgency":"routine"}<unused95>' + text(),
    "fence": f"```json\n{text()}\n```",
    "fence without end": f"```json\n{text()}",
    "prose around": f"Here {{you}} are: {text()} Hope {{this}} helps.",
    "other objects around": f'{{"note": 1}} {text()} {{"a": {{}}}}',
    "bom": "\ufeff" + text(),
    "extra keys": text(status_of_case="DIAGNOSED", triage_final="green", diagnosis="x"),
    "pretty": json.dumps(GOOD, indent=4),
    "upper case": text(status="OK", urgency=" Soon "),
}


@pytest.mark.parametrize("answer", READ.values(), ids=READ.keys())
def test_an_answer_in_any_wrapping_is_read(answer: str) -> None:
    assert parse(answer) == parse(text())


#: Answers that are not JSON, or not the contract's, and can be meant in one way only. With the reports.
TOLERATED = {
    "trailing comma (deer-flow#2372)": text()[:-1] + ",}",
    "twice the same (letta#269)": text() + "\n" + text(),
    "smart quotes": text().replace('"', "”"),
    "smart quotes in pairs": text().replace('": "', "”: “").replace('"', "“"),
    "single quotes (plugnplai#57)": text().replace('"', "'"),
    "escaped quotes": text().replace('"', '\\"'),
    "escaped as HTML": text().replace('"', "&quot;"),
    "a line break in a text": text().replace("Photo is", "Photo\nis"),
    "a comment": text().replace('{"status"', '{// the case\n"status"'),
    "no quotes at keys": text().replace('"status"', "status").replace('"urgency"', "urgency"),
    "a missing comma": text().replace('", "urgency"', '" "urgency"').replace("], ", "] "),
    "JSON as a text": json.dumps(text()),
    "wrapped": json.dumps({"analysis": GOOD}),
    "wrapped twice": json.dumps({"result": {"ai_analysis": GOOD}, "status": "success"}),
    "wrapped as a text": json.dumps({"response": text()}),
    "in a list": json.dumps([GOOD]),
    "wrapped, badly": '{"analysis": ' + text()[:-1] + ",},}",
    "a key twice, the same": text()[:-1] + ', "status": "ok"}',
    "think": '<think>{"status": "ok", "urgency": "routine"}</think>' + text(),
    "only the end of think": 'hm {"status":"ok","urgency":"routine"}</think>' + text(),
    "thinking of Mistral": "[THINK]{}[/THINK]" + text(),
    "channels of gpt-oss": "<|channel|>analysis<|message|>{}<|end|><|channel|>final<|message|>"
    + text(),
    "a fence that is none": "```python\nprint()\n```\n" + text()[:-1] + ",}",
    "prose with braces before": "The status {you} asked for: " + text()[:-1] + ",}",
    "keys in capitals": text().replace('"status"', '"Status"').replace('"red_flags"', '"Red Flags"'),
    "keys in camel case": text().replace('"red_flags"', '"redFlags"'),
    "status with a remark": text(status="OK - image usable"),
    "urgency with a remark": text(urgency="Soon (within 14 days)"),
    "urgency as a list": text(urgency=["soon"]),
    "urgency as an object": text(urgency={"level": "soon", "why": ""}),
    "urgency denied above": text(urgency="soon, not an emergency"),
    "flags answered": text(red_flags={"fever": False, "bleeding": "no", "pregnancy": None}),
    "flags denied": text(red_flags=["none observed", "fever: no"]),
    "likelihood with a degree": text(
        differential=[{**GOOD["differential"][0], "likelihood": "Very High (90 %)"},
                      "Seborrhoeic keratosis (low)"]
    ),
}  # fmt: skip


@pytest.mark.parametrize("answer", TOLERATED.values(), ids=TOLERATED.keys())
def test_an_answer_that_can_be_meant_in_one_way_only_is_understood(answer: str) -> None:
    assert parse(answer) == parse(text())


def test_a_differential_by_name_is_understood() -> None:
    named = {"Melanoma": {"likelihood": "high"}, "Seborrhoeic keratosis": "low"}
    assert parse(text(differential=named)).differential == (
        Opinion("melanoma", "high"),
        Opinion("seborrhoeic keratosis", "low"),
    )


@pytest.mark.parametrize("number", ["NaN", "-Infinity"])
def test_a_number_that_is_none_costs_that_number(number: str) -> None:
    draft = parse(text(confidence="@").replace('"@"', number))
    assert (draft.status, draft.urgency) == ("ok", "soon")


#: Everything that says emergency where an urgency is asked for.
EMERGENCIES = [
    "Emergency (now)", "EMERGENCY", "emergency!", "**emergency**", "Emergency - refer now",
    "urgent/emergency", "emergent", "Immediate", "now", "emergency, not routine", ["emergency"],
    {"level": "Emergency"}, {"routine": False, "emergency": True}, "medical emergency",
    "routine? no, emergency", "ＥＭＥＲＧＥＮＣＹ", "emer\u200bgency", "Emergencia", "ASAP",
]  # fmt: skip


@pytest.mark.parametrize("urgency", EMERGENCIES, ids=str)
def test_an_answer_that_says_emergency_in_any_form_is_an_emergency(urgency: Any) -> None:
    assert parse(text(urgency=urgency)).urgency == "emergency"


@pytest.mark.parametrize(
    ("answer", "urgency"),
    [
        (text(urgency="emergency", differential="?"), "emergency"),
        (text(urgency="emergency", status="?"), "emergency"),
        (text(urgency="emergency")[:-20], "emergency"),
        (text(urgency="emergency") + text(urgency="routine"), "emergency"),
        (text(urgency="routine")[:-1] + ', "urgency": "emergency"}', "emergency"),
        ("**Urgency:** Emergency\n**Findings:** necrosis", "emergency"),
        ("Urgency - urgent", "urgent"),
        ("This is a medical emergency. Take care.", "emergency"),
        ("next: refer_now", "emergency"),
        ("This is not an emergency.", None),
        ("If it spreads, seek emergency care.", None),
        ('urgency: one of ["routine", "soon", "urgent", "emergency"]', None),
        ("<think>urgency: emergency</think>I cannot help.", None),
        ("I'm sorry, I cannot help with medical images.", None),
    ],
)
def test_an_urgency_is_heard_in_an_answer_that_cannot_be_read(
    answer: str, urgency: str | None
) -> None:
    with pytest.raises(ContractBroken) as caught:
        parse(answer)
    assert caught.value.urgency == urgency
    document = unavailable(caught.value.code, "green", urgency=urgency)
    VALIDATOR.validate(document)
    assert document["urgency"] == (urgency or "routine")
    assert document["differential"] == []


def test_a_hostile_answer_is_read_in_bounded_time() -> None:
    began = time.process_time()
    for hostile in (
        '{"status": ' * 20_000 + "}" * 20_000,
        "{status:" + "'" * 30_000 + "}",
        '{"status": ""' * 3_000 + "}" * 3_000,
        "urgency " * 16_000,
        "urgency" + " " * 130_000,
        "<think>" * 18_000,
        '{"status": "' + "\\" * 30_000 + '"}',
    ):
        with pytest.raises(ContractBroken):
            parse(hostile)
    assert time.process_time() - began < PATIENCE_SECONDS


BROKEN = {
    "empty": "",
    "refusal in prose": "I'm sorry, I cannot help with medical images.",
    "thinking cut off": "<unused94>thought\n" + text(),
    "answer then thinking cut off inside": text()[:80] + "<unused94>" + text()[80:],
    "truncated": text()[:-20],
    "a list": f"[{text()[:-1]}",
    "two answers": text() + text(urgency="routine"),
    "a key twice": text()[:-1] + ', "urgency": "routine"}',
    "too deep": '{"status":' + "[" * 50_000,
    "braces": "{" * 100_000,
    "nested braces": '{"a":' * 50_000,
    "number too long": '{"status": "ok", "urgency": "soon", "n": ' + "9" * 5000 + "}",
    "no status": json.dumps({k: v for k, v in GOOD.items() if k != "status"}),
    "no urgency": json.dumps({k: v for k, v in GOOD.items() if k != "urgency"}),
    "no red flags": json.dumps({k: v for k, v in GOOD.items() if k != "red_flags"}),
    "invented status": text(status="DIAGNOSED"),
    "status of failures": text(status="unavailable"),
    "invented urgency": text(urgency="none"),
    "urgency is denied": text(urgency="not urgent"),
    "two urgencies": text() + "\nUrgency: emergency",
    "a flag twice, once badly": text()[:-1] + ', "red_flags": ["fever"],}',
    "two spellings of a key": text()[:-1] + ', "Red Flags": ["fever"]}',
    "truncated in single quotes": text()[:-20].replace('"', "'"),
    "thinking in other marks cut off": "<think>" + text(),
    "no differential": text(differential=[]),
    "differential in prose": text(differential="melanoma"),
    "entry without label": text(differential=[{"likelihood": "low"}]),
    "label of control characters": text(
        differential=[{"label": "\u202e\x00", "likelihood": "low"}]
    ),
    "percent for likelihood": text(differential=[{"label": "x", "likelihood": "85%"}]),
    "more than is read": " " * MAX_ANSWER_CHARS + text(),
}


@pytest.mark.parametrize("answer", BROKEN.values(), ids=BROKEN.keys())
def test_an_answer_that_can_be_read_in_two_ways_or_in_none_breaks_the_contract(answer: str) -> None:
    with pytest.raises(ModelRefused) as caught:
        parse(answer)
    assert caught.value.code == CONTRACT_BROKEN


def test_what_is_wrong_is_said_without_quoting_the_answer() -> None:
    with pytest.raises(ModelRefused) as caught:
        parse(text(urgency="Amina Diallo", differential=[{"label": "x", "likelihood": "Amina"}]))
    assert caught.value.message == (
        "urgency must be one of routine, soon, urgent, emergency. "
        "differential[0].likelihood must be low, med or high."
    )


@pytest.mark.parametrize(
    ("given_flags", "kept"),
    [
        (["Rapid Growth", "rapid-growth", "rapid_growth"], ("rapid_growth",)),
        (["looks angry"], ("other",)),
        (["fever", {"flag": "bleeding"}], ("fever", "other")),
        (["none"], ()),
        (["None."], ()),
        ([None, "", False, [], "no red flags"], ()),
        ("bleeding", ("bleeding",)),
        ("none", ()),
        (None, ()),
        ([True], ("other",)),
        ({"fever": True, "bleeding": False, "redness": "yes"}, ("fever", "other")),
        ({"present": ["fever"], "absent": ["bleeding"]}, ("fever",)),
        ("fever, rapid growth; looks angry", ("fever", "rapid_growth", "other")),
        (["fever since Tuesday", "Bleeding (heavy)"], ("fever", "bleeding")),
        (["no fever"], ("other",)),
        (list(vocabulary.RED_FLAGS) * 50, vocabulary.RED_FLAGS),
    ],
)
def test_an_unknown_red_flag_is_still_a_red_flag(given_flags: Any, kept: tuple[str, ...]) -> None:
    assert parse(text(red_flags=given_flags)).red_flags == kept


@pytest.mark.parametrize(
    ("given_confidence", "kept"),
    [
        (0.85, 0.85),
        (1, 1.0),
        ("about 90 %", "about 90 %"),
        ("x" * 100, "x" * 40),
        (None, None),
        (True, None),
        ({"p": 1}, None),
        (10**400, None),
        (1e300, None),
    ],
)
def test_confidence_is_kept_as_the_model_gave_it(given_confidence: Any, kept: Any) -> None:
    document = finished(text(confidence=given_confidence))
    assert document["provenance"]["confidence"] == [kept]
    assert document["uncertainty"]["calibrated"] is False


def test_drugs_doses_and_procedures_cannot_be_suggested() -> None:
    steps = [
        "apply hydrocortisone 1%",
        "prescribe doxycycline 100 mg",
        "excise",
        "biopsy",
        "reassure: benign",
        "add_close_up_photo",
    ]
    document = finished(text(suggested_next_steps=steps))
    assert document["suggested_next_steps"] == [
        "refer_within_2_weeks",
        "await_doctor",
        "add_close_up_photo",
    ]


def test_lists_and_texts_are_bounded_and_cleaned() -> None:
    endless = {
        "label": "Mel\u202eano\x00ma \ud800" + "x" * 300,
        "likelihood": "Medium",
        "supporting": ["y" * 300] * 10,
        "against": "one\n\nreason",
    }
    draft = parse(text(differential=[endless] * 20, missing_information=["age"] * 99))
    assert len(draft.differential) == 5
    first = draft.differential[0]
    assert first.label.startswith("Mel ano ma x")
    assert (len(first.label), first.likelihood) == (80, "med")
    assert first.supporting == ("y" * 160,) * 5
    assert first.against == ("one reason",)
    assert draft.missing_information == ("age",)


# --- triage: the whole space ---------------------------------------------------------------------

# device × rules × the model's urgency × a red flag
AI_COLOUR = {"routine": "green", "soon": "yellow", "urgent": "red", "emergency": "red"}


@pytest.mark.parametrize(
    ("device", "rules", "urgency", "flagged"),
    list(itertools.product(TRIAGES, (None, *TRIAGES), URGENCIES, (False, True))),
)
def test_triage_is_the_worst_of_device_rules_and_model(
    device: str, rules: str | None, urgency: str, flagged: bool
) -> None:
    answer = text(urgency=urgency, red_flags=["fever"] if flagged else [])
    document = finished(answer, device, rules)
    model = worst(AI_COLOUR[urgency], "red" if flagged else "green")
    expected = worst(device, rules or "green", model)
    assert (document["triage_device"], document["triage_rules"]) == (device, rules)
    assert (document["triage_ai"], document["triage_final"]) == (model, expected)
    # what the CHW reads beside the colour is no milder than the colour
    assert AI_COLOUR[document["urgency"]] == expected
    if urgency == "emergency":
        assert document["urgency"] == "emergency"


@pytest.mark.parametrize(
    ("level", "colour"),
    [("high", "red"), ("Medium", "yellow"), (" low ", "green"), ("RED", "red"), ("green", "green")],
)
def test_risk_levels_of_older_phones_are_understood(level: str, colour: str) -> None:
    assert finished(text(urgency="routine"), level)["triage_final"] == colour


@pytest.mark.parametrize("level", [None, "", "purple", 3, ["red"], {}, "x" * 1000])
def test_a_triage_that_cannot_be_read_counts_as_the_worst(level: object) -> None:
    document = finished(text(urgency="routine"), level)
    assert (document["triage_device"], document["triage_final"]) == (None, "red")
    assert unavailable("model_busy", level)["triage_final"] == "red"
    if level is not None:
        assert finished(text(urgency="routine"), "green", level)["triage_final"] == "red"


@pytest.mark.parametrize("status", ["insufficient_image", "not_skin", "refused"])
def test_a_model_that_saw_nothing_does_not_say_harmless(status: str) -> None:
    document = finished(text(status=status, urgency="routine", differential=[]), "yellow")
    assert (document["status"], document["triage_ai"]) == (status, None)
    assert (document["triage_final"], document["urgency"]) == ("yellow", "soon")
    urgent = finished(text(status=status, urgency="urgent", differential=[]), "yellow")
    assert urgent["triage_final"] == "red"


@pytest.mark.parametrize(
    ("urgency", "suggested", "expected"),
    [
        ("routine", ["see_again_in_2_weeks"], ["await_doctor", "see_again_in_2_weeks"]),
        ("routine", ["refer_now"], ["refer_now", "await_doctor"]),
        ("soon", [], ["refer_within_2_weeks", "await_doctor"]),
        ("urgent", ["see_again_in_2_weeks"], ["refer_within_3_days", "await_doctor"]),
        (
            "emergency",
            ["refer_within_2_weeks", "see_again_in_2_weeks", "check_temperature"],
            ["refer_now", "await_doctor", "check_temperature"],
        ),
        (
            "routine",
            list(vocabulary.NEXT_STEPS[3:]),
            ["await_doctor", *vocabulary.NEXT_STEPS[4:8]],
        ),
    ],
)
def test_the_first_step_follows_the_urgency_and_no_step_contradicts_it(
    urgency: str, suggested: list[str], expected: list[str]
) -> None:
    document = finished(text(urgency=urgency, suggested_next_steps=suggested))
    assert document["suggested_next_steps"] == expected


def test_an_unusable_photo_is_asked_for_again() -> None:
    document = finished(text(status="insufficient_image"))
    assert "retake_photo" in document["suggested_next_steps"]


# --- several images ------------------------------------------------------------------------------


def test_the_best_status_and_the_likeliest_condition_lead() -> None:
    first = Draft(
        "insufficient_image", "routine", image_quality=(ImageQuality("unusable", ("blur",)),)
    )
    second = Draft(
        "ok",
        "soon",
        differential=(Opinion("Tinea", "low", ("ring",)), Opinion("Eczema", "med")),
        primary_lesion="plaque",
        confidence=(0.5,),
    )
    third = Draft(
        "ok",
        "urgent",
        red_flags=("fever",),
        differential=(Opinion("TINEA", "high", ("scale",)),),
        abcde={**Draft("ok", "soon").abcde, "border": "yes"},
        uncertainty="low",
        confidence=("high",),
    )
    merged = merge([first, second, third])
    assert (merged.status, merged.urgency, merged.red_flags) == ("ok", "urgent", ("fever",))
    assert merged.differential == (
        Opinion("Tinea", "high", ("ring", "scale")),
        Opinion("Eczema", "med"),
    )
    assert (merged.primary_lesion, merged.abcde["border"]) == ("plaque", "yes")
    assert merged.image_quality[0] == ImageQuality("unusable", ("blur",))
    assert merged.uncertainty == "high"
    assert merged.confidence == (None, 0.5, "high")


def test_one_draft_is_itself_and_none_is_an_error() -> None:
    draft = parse(text())
    assert merge([draft]) is draft
    with pytest.raises(ValueError, match="nothing"):
        merge([])


# --- readings one after another ------------------------------------------------------------------

readings = st.one_of(
    st.builds(
        lambda draft, device, seen: finish(
            parse(json.dumps(draft)),
            triage_device=device,
            provenance=Provenance(image_sha256=(HASH,) * seen),
        ),
        strategies.good_drafts.filter(quotes_no_mark),
        st.sampled_from(TRIAGES),
        st.integers(0, 3),
    ),
    st.builds(
        lambda code, device, urgency: unavailable(code, device, urgency=urgency),
        st.sampled_from(["model_busy", CONTRACT_BROKEN, "model_declined"]),
        st.sampled_from(TRIAGES),
        st.sampled_from([None, *URGENCIES]),
    ),
)


@strategies.unhurried
@given(st.lists(readings, min_size=1, max_size=5))
def test_a_later_reading_takes_nothing_away(found: list[dict[str, Any]]) -> None:
    document: dict[str, Any] | None = None
    for reading in found:
        before, document = document, shown(document, reading)
        VALIDATOR.validate(document)
        if before is not None:
            assert set(document["red_flags"]) >= set(before["red_flags"])
            kept = {step for step in before["suggested_next_steps"] if "photo" not in step}
            referred = {step for step in kept if step.startswith("refer")}
            again = {"see_again_in_2_weeks"}
            assert set(document["suggested_next_steps"]) >= kept - referred - again
            assert not referred or document["suggested_next_steps"][0].startswith("refer")
    assert document is not None
    together = urgency_of(document["red_flags"]).urgency  # flags of several may be an emergency
    worst = max((each["urgency"] for each in found), key=URGENCIES.index)
    final = max((each["triage_final"] for each in found), key=TRIAGES.index)
    assert document["urgency"] == (together or worst)
    assert document["triage_final"] == ("red" if together else final)
    if any(each["status"] == "ok" for each in found):
        assert document["status"] == "ok"
    latest = found[-1]
    assert document["triage_device"] == latest["triage_device"]


def test_of_several_readings_the_most_urgent_is_shown_with_its_origin() -> None:
    def reading(urgency: str, model: str, **more: Any) -> dict[str, Any]:
        draft = parse(text(urgency=urgency, **more))
        return finish(draft, triage_device="red", provenance=replace(PROVENANCE, model=model))

    first = reading("emergency", "one", red_flags=["necrosis"])
    second = reading("urgent", "two", red_flags=["fever"])
    for pair in ((first, second), (second, first)):
        joined = shown(*pair)
        assert (joined["urgency"], joined["provenance"]["model"]) == ("emergency", "one")
        assert set(joined["red_flags"]) == {"necrosis", "fever"}
    # equals: the later one
    assert shown(first, reading("emergency", "three"))["provenance"]["model"] == "three"


def test_an_analysis_of_an_older_release_is_joined_too() -> None:
    old = finished(text(urgency="emergency", red_flags=["necrosis"]))
    for name in ("images_unread", "image_files", "read_at"):
        del old["provenance"][name]
    VALIDATOR.validate(shown(old, unavailable("model_busy", "red")))
    for odd in ({"urgency": "emergency"}, {"urgency": 3, "red_flags": "x", "provenance": None}):
        joined = shown(odd, unavailable("model_busy", "red"))
        VALIDATOR.validate(joined)
        assert joined["status"] == "unavailable"
    assert shown({"urgency": "emergency"}, first := finished(text()))["urgency"] == "emergency"
    assert shown(None, first) == first


# --- failures and constants ----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reason", "status", "written"),
    [
        ("contract_broken", "parse_failed", "contract_broken"),
        ("model_declined", "refused", "model_declined"),
        ("model_refused", "unavailable", "model_refused"),
        ("attempts_used_up", "unavailable", "attempts_used_up"),
        ("Amina Diallo said no", "unavailable", "unspecified"),
        ("", "unavailable", "unspecified"),
        ("x" * 65, "unavailable", "unspecified"),
        ("code\n", "unavailable", "unspecified"),
    ],
)
def test_a_failure_is_a_whole_document_that_sends_the_case_to_a_doctor(
    reason: str, status: str, written: str
) -> None:
    document = unavailable(reason, "red", provenance=Provenance(attempts=8))
    VALIDATOR.validate(document)
    assert (document["status"], document["reason"]) == (status, written)
    assert (document["urgency"], document["urgency_ai"]) == ("urgent", None)
    assert document["suggested_next_steps"] == ["refer_within_3_days", "await_doctor"]
    assert document["provenance"]["attempts"] == 8
    assert document["requires_human_review"] is True


def test_rules_count_when_the_model_is_unavailable() -> None:
    assert unavailable("model_busy", "green", rules_triage="red")["triage_final"] == "red"
    assert unavailable("model_busy", "yellow", rules_triage="green")["triage_final"] == "yellow"


def test_the_published_contract_is_current() -> None:
    committed = Path(__file__).parents[2] / "docs" / "ai-analysis.schema.json"
    assert committed.read_text("utf-8") == published(), "run: make generated"


def test_an_analysis_cannot_diagnose() -> None:
    names = {path[-1] for path in _paths(SCHEMA["properties"]) if path}
    assert not names & {"diagnosis", "diagnosed", "final_diagnosis", "prescription", "review"}
    assert not {"DIAGNOSED", "diagnosed"} & set(vocabulary.STATUSES)


def test_a_scripted_answer_says_at_the_place_chws_read_that_it_means_nothing() -> None:
    scripted = finish(parse(text()), triage_device="red", provenance=Provenance(model=SCRIPTED))
    assert visible_to_chw(scripted)["disclaimer"] == DISCLAIMER_SCRIPTED
    assert finished(text())["disclaimer"] == DISCLAIMER


def test_a_stored_analysis_of_another_shape_shows_no_more_than_the_list() -> None:
    assert visible_to_chw({}) == {}
    assert visible_to_chw({"differential": [], "urgency": "soon", "x": 1}) == {"urgency": "soon"}


def test_a_provenance_out_of_bounds_is_refused_rather_than_stored() -> None:
    for wrong in (
        Provenance(latency_ms=-1),
        Provenance(prompt_sha256="no hash"),
        Provenance(image_sha256=("a" * 64,) * 17),
        Provenance(prompt_tokens=2**60),
    ):
        with pytest.raises(ModelRefused):
            finish(parse(text()), triage_device="red", provenance=wrong)
