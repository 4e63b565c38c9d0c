"""The engine knows no product: its packages hold no word of one, in code, texts or comments.

Looked at are whole files. A name is taken apart first: `red_case`, `redCase` and "red-case" are the words
*red* and *case*. `WORDS` are never said. *Case* is an English word, too, so only a case that is a record
counts (`A_CASE`): as a part of a name, in quotes as a name, or after a word that makes it a thing ("the
case", "red cases", "case's"). "In any case", "in that case", "lower case" and "the cases of a rule" pass.
"""

from __future__ import annotations

import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent

#: What no product may be named in: packages, and the modules right in a package.
ENGINE = (
    *(
        "infra/cli",
        "shared/access",
        "shared/accounts",
        "shared/adapters",
        "shared/ai",
        "shared/api",
    ),
    *(
        "shared/export",
        "shared/files",
        "shared/hooks",
        "shared/jobs",
        "shared/notify",
        "shared/privacy",
    ),
    *("shared/records", "shared/support", "shared/sync"),
)
LOOSE = ("shared",)

WORDS = frozenset(
    word
    for line in (
        # DermaDetect
        "dermadetect medgemma medsiglip chw chws patient patients doctor doctors nurse nurses",
        "supervisor supervisors triage triaged triages lesion lesions skin diagnose diagnosed",
        "diagnoses diagnosis prescription prescriptions clinic clinics clinical clinician",
        # the products to come
        "hemoday medmind buildtrace transfusion transfusions hemoglobin ferritin dose doses dosage",
        "symptom symptoms caregiver caregivers drawing drawings blueprint blueprints",
    )
    for word in line.split()
)

A_CASE = re.compile(
    r"""
    (?<!snake)(?<!lower)(?<!upper)(?<!any)_cases?(?![a-z])     # red_case
    | (?<![A-Za-z])(?i:cases?)_(?!\s)                  # case_id, CASE_ID
    | (?<![A-Za-z])Cases?(?=[A-Z])|(?<=[a-z])Cases?\b  # CaseId, RedCase
    | ["'`/]cases?["'`/]                               # "cases"
    | \bcase's\b
    | (?<!in\ )(?<!In\ )\b(?i:a|an|the|this|its|each|every|one|red|urgent|open|whose|another)\ case\b
    | \b(?i:a|red|urgent|open|its|their)\ cases\b
    """,
    re.VERBOSE,
)

#: Text that must say such a word, by file, and why.
NEEDED = {
    # labels in front of numbers that identify somebody, in the texts of any product
    "shared/ai/identifiers.py": {"patient"},
    # the server whose wire format is spoken: github.com/Google-Health/medsiglip
    "shared/adapters/vertex.py": {"medsiglip"},
    # `token --chw`: people have it in their scripts, beside `--user`
    "infra/cli/local.py": {"chw"},
    # notices that an early release stored, and that are still to be found
    "shared/privacy/search.py": {"case_"},
    # JavaScript's `toLowerCase`
    "shared/api/openapi/page.py": {"Case"},
    # names and defaults of variables that deployments have set: PRODUCT, TOKEN_ISSUER
    "shared/settings.py": {"dermadetect", "hemoday", "medmind", "buildtrace"},
}


def words(text: str) -> set[str]:
    """Every word of a text, in lower case: whole, and taken apart at humps and underscores."""
    found = re.findall(r"[A-Za-z]+", text) + re.findall(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])", text)
    return {each.lower() for each in found}


def said(text: str) -> set[str]:
    """Words of products in a text."""
    return (words(text) & WORDS) | {each.group().strip() for each in A_CASE.finditer(text)}


def sources() -> list[str]:
    found = [path for package in ENGINE for path in (ROOT / package).rglob("*.py")]
    found += [path for package in LOOSE for path in (ROOT / package).glob("*.py")]
    return sorted(str(path.relative_to(ROOT)) for path in found)


@pytest.mark.parametrize("name", sources())
def test_the_engine_says_no_word_of_a_product(name: str) -> None:
    found = said((ROOT / name).read_text()) - NEEDED.get(name, set())
    assert not found, sorted(found)


def test_exceptions_are_needed() -> None:
    for name, allowed in NEEDED.items():
        assert allowed <= said((ROOT / name).read_text()), name


SAID = (
    *(
        "red_case",
        "case_id",
        "CaseList",
        '"cases"',
        "a red case",
        "the case's photos",
        "every case",
    ),
    *(
        "chw_id",
        "CHW",
        "visibleToChw",
        "MedGemma",
        "patients",
        "PATIENT_ID",
        "doctor_id",
        "DoseEvent",
    ),
)

ENGLISH = (
    *("in any case", "in that case", "in lower case", "snake_case", "just in case", "case-folded"),
    *(
        "The cases, in their order",
        "CASE WHEN dead THEN 1 END",
        "patiently",
        "showcase",
        "bookcase",
    ),
)


@pytest.mark.parametrize("text", SAID)
def test_a_word_of_a_product_is_found(text: str) -> None:
    assert said(text)


@pytest.mark.parametrize("text", ENGLISH)
def test_english_is_no_word_of_a_product(text: str) -> None:
    assert not said(text)
