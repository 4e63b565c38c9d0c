"""What models may write and phones may send, from plausible to absurd."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from shared.products.dermadetect import forms, intake
from shared.products.dermadetect.analysis import vocabulary

#: For a busy machine: an example may take its time, drawing one too.
unhurried = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])

#: Any JSON value; keys and words of the contract appear among the noise.
_WORDS = st.sampled_from(
    [
        *vocabulary.STATUSES,
        *vocabulary.URGENCIES,
        *vocabulary.RED_FLAGS,
        *vocabulary.NEXT_STEPS,
        *vocabulary.TRIAGES,
        *vocabulary.LIKELIHOODS,
        *vocabulary.YES_NO,
        "none",
        "DIAGNOSED",
        "apply hydrocortisone 1% twice daily",
    ]
)
texts = st.one_of(_WORDS, st.text(max_size=40), st.characters(categories=["Cs", "Cc", "Cf"]))
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    texts,
)
json_values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(texts, inner, max_size=4),
    max_leaves=10,
)


def _near(vocabulary: tuple[str, ...]) -> st.SearchStrategy[Any]:
    """Mostly a word of the vocabulary."""
    return st.sampled_from(vocabulary) | st.sampled_from(vocabulary).map(str.title) | scalars


def _list_near(vocabulary: tuple[str, ...]) -> st.SearchStrategy[Any]:
    return st.lists(_near(vocabulary), max_size=8) | json_values


#: Objects that look like a draft, each part right or wrong on its own.
drafts = st.fixed_dictionaries(
    {},
    optional={
        "status": _near(vocabulary.DRAFT_STATUSES),
        "urgency": _near(vocabulary.URGENCIES),
        "red_flags": _list_near(vocabulary.RED_FLAGS),
        "differential": st.lists(
            st.fixed_dictionaries(
                {"label": texts | scalars, "likelihood": _near(vocabulary.LIKELIHOODS)},
                optional={"supporting": json_values, "against": json_values},
            )
            | json_values,
            max_size=7,
        )
        | json_values,
        "image_quality": st.fixed_dictionaries(
            {
                "verdict": _near(vocabulary.IMAGE_VERDICTS),
                "issues": _list_near(vocabulary.IMAGE_ISSUES),
            }
        )
        | json_values,
        "morphology": st.fixed_dictionaries(
            {
                "primary_lesion": _near(vocabulary.PRIMARY_LESIONS),
                "colours": _list_near(vocabulary.COLOURS),
                "abcde": st.dictionaries(st.sampled_from(vocabulary.ABCDE), scalars) | json_values,
            }
        )
        | json_values,
        "missing_information": _list_near(vocabulary.MISSING_INFORMATION),
        "suggested_next_steps": _list_near(vocabulary.NEXT_STEPS),
        "uncertainty": st.fixed_dictionaries(
            {"level": _near(vocabulary.UNCERTAINTIES), "note": texts}
        )
        | json_values,
        "confidence": scalars,
        "triage_final": st.sampled_from(vocabulary.TRIAGES),
        "requires_human_review": st.booleans(),
    },
)

#: Drafts that `parse` accepts more often than not.
good_drafts = st.fixed_dictionaries(
    {
        "status": st.sampled_from(vocabulary.DRAFT_STATUSES),
        "urgency": st.sampled_from(vocabulary.URGENCIES),
        "red_flags": st.lists(st.sampled_from(vocabulary.RED_FLAGS), max_size=3),
        "differential": st.lists(
            st.fixed_dictionaries(
                {
                    "label": st.text("abcdefgh ", min_size=1, max_size=100).filter(str.strip),
                    "likelihood": st.sampled_from(vocabulary.LIKELIHOODS),
                    "supporting": st.lists(texts, max_size=7),
                }
            ),
            min_size=1,
            max_size=7,
        ),
    },
    optional={
        "suggested_next_steps": _list_near(vocabulary.NEXT_STEPS),
        "missing_information": _list_near(vocabulary.MISSING_INFORMATION),
        "morphology": json_values,
        "image_quality": json_values,
        "uncertainty": json_values,
        "confidence": scalars,
    },
)

answers = st.one_of(
    st.text(max_size=200),
    json_values.map(json.dumps),
    drafts.map(json.dumps),
    good_drafts.map(json.dumps),
    good_drafts.map(lambda draft: f"```json\n{json.dumps(draft, indent=1)}\n```"),
    good_drafts.map(lambda draft: f"<unused94>thought {{}}\n<unused95>{json.dumps(draft)} Done."),
    st.tuples(good_drafts, st.integers(0, 400)).map(lambda t: json.dumps(t[0])[: t[1]]),
)

#: Triage as a phone or a rule may give it.
triages = st.sampled_from(
    [*vocabulary.TRIAGES, "high", "medium", "low", "RED", " Yellow ", "", "purple"]
) | st.one_of(st.none(), st.integers(), st.booleans(), st.lists(st.text()))


def _english(*tables: forms.Table) -> list[str]:
    """The phrases of a table's English line, as keys, with our own words."""
    phrases = [
        p for table in tables for row in table.values() for p in row.get("en", "").split(",")
    ]
    names = [name for table in tables for name in table]
    return sorted({*names, *("_".join(phrase.split()) for phrase in phrases)} - {""})


ENGLISH_KEYS = _english(forms.SIGNS, forms.OTHERS, forms.QUESTIONS)
REPLY_WORDS = [
    phrase.strip()
    for row in forms.REPLIES.values()
    for phrases in row.values()
    for phrase in phrases.split(",")
]

#: Keys as apps write them: those that rules and intake know, in every spelling, and noise.
KNOWN_KEYS = sorted(
    {*ENGLISH_KEYS, *intake.ANSWERS, *intake._CONTAINERS}
    | {*intake._QUESTION, *intake._ANSWER, "duration_of_it", "started_days_ago"}
)


def _camel(key: str) -> str:
    first, *rest = key.split("_")
    return first + "".join(map(str.title, rest))


keys = st.one_of(
    st.sampled_from(KNOWN_KEYS),
    st.sampled_from(KNOWN_KEYS).map(_camel),
    st.sampled_from(KNOWN_KEYS).map(lambda key: f" {key.upper().replace('_', ' - ')}?"),
    st.text(max_size=12),
)
#: Answers that mean yes, no, a number, a place, a colour, a time, or nothing.
replies = st.one_of(
    st.sampled_from(REPLY_WORDS),
    st.sampled_from(
        ["Yes ", "NO", "not present", "none", "severe", "rapid", "Rapidly", "no fever"]
    ),
    st.sampled_from(["left eyelid", "lowerLip", "Black/brown", "3 weeks", "2 months", "28 d"]),
    st.sampled_from(
        ["38,5", "38.0", "NaN", "ｙｅｓ", "évolution", "oui", "是", "\ud83e\ude78", "\ud83e"]
    ),
    st.sampled_from(KNOWN_KEYS),
    st.sampled_from([0, 1, 1.0, 6, 6.5, 7, 8, 10, 27, 28, 37.9, 38, 45, 45.1, 2**63, 1e300]),
    scalars,
)
#: What a phone may send as `triage_data`: answers, nested, as questions, with parts, or odd.
triage_answers = st.recursive(
    replies,
    lambda inner: st.one_of(
        st.dictionaries(keys, inner, max_size=6),
        st.lists(inner, max_size=4),
        st.fixed_dictionaries(
            {"question": keys, "answer": inner}, optional={"id": keys, "unit": replies}
        ),
        st.fixed_dictionaries({"value": inner}, optional={"unit": replies, "present": inner}),
    ),
    max_leaves=14,
).flatmap(lambda held: st.dictionaries(keys, st.just(held) | replies, max_size=8) | st.just(held))
