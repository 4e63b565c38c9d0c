"""The example app's catalogues have every text of the app, and every word of the server's vocabularies."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from shared.products.dermadetect.analysis import vocabulary

SOURCE = Path(__file__).parent.parent.parent / "mobile" / "example" / "src"
CODE = "\n".join(path.read_text("utf-8") for path in sorted(SOURCE.rglob("*.ts*")))

#: What is passed to `t` by name: values of objects, and both sides of a choice.
_CALLS = re.findall(r"\bt\('([^'/]+)'", CODE)
_CHOICES = re.findall(r"\? '([A-Z][^']+)' : '([A-Z][^']+)'", CODE)
_VALUES = re.findall(r"^\s+\w+: '([A-Z][^']+)',$", CODE, re.M)
TEXTS = {*_CALLS, *_VALUES, *(text for both in _CHOICES for text in both)}
WORDS = {
    *vocabulary.RED_FLAGS,
    *vocabulary.NEXT_STEPS,
    *vocabulary.MISSING_INFORMATION,
    *vocabulary.URGENCIES,
    *re.findall(r"'(\w+)'", " ".join(re.findall(r"(?:SITES|SIGNS) = (\[[^\]]+\])", CODE))),
    *("red", "yellow", "green", "unknown", "female", "male", "none_of_these"),
    *("yes", "site", "note", "duration_days"),
}


def plain(word: str) -> str:
    spaced = word.replace("_", " ")
    return spaced[:1].upper() + spaced[1:]


@pytest.mark.parametrize(
    "path", sorted(SOURCE.glob("languages/*.json")), ids=lambda path: path.stem
)
def test_a_catalogue_is_whole(path: Path) -> None:
    known = json.loads(path.read_text("utf-8"))
    assert len(TEXTS) > 50
    assert sorted((TEXTS | {plain(word) for word in WORDS}) - known.keys()) == []
    for text, said in known.items():
        assert said, text
        assert sorted(re.findall(r"\{\w+\}", said)) == sorted(re.findall(r"\{\w+\}", text)), text
