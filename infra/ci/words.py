"""`python -m infra.ci.words`: do the documents show the tables that the red-flag rules use?

`docs/ai.md` shows the table of emergencies and the words in English, `docs/ai-words.md` every word in
every language, for a clinician and for speakers of the languages to read. `--write` makes both anew.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from shared.products.dermadetect import emergency, forms

REPOSITORY = Path(__file__).resolve().parents[2]
AI = REPOSITORY / "docs" / "ai.md"
WORDS = REPOSITORY / "docs" / "ai-words.md"

LANGUAGES = {
    "en": "English",
    "fr": "French",
    "sw": "Swahili",
    "hi": "Hindi",
    "pt": "Portuguese",
    "es": "Spanish",
    "ar": "Arabic",
    "xx": "signs and others",
}
TABLES: dict[str, tuple[str, forms.Table]] = {
    "replies": ("What an answer says", forms.REPLIES),
    "signs": ("Red flags", forms.SIGNS),
    "opposites": ("Questions of which no is the red flag", forms.OPPOSITES),
    "others": ("Signs that only add to others", forms.OTHERS),
    "questions": ("Questions with a number, a time, a place or a list", forms.QUESTIONS),
    "places": ("Places and colours", forms.PLACES),
    "units": ("Units", forms.UNITS),
    "numbers": ("Numbers in words", forms.NUMBERS),
    "times": ("Times and ages in words", forms.TIMES),
    "speeds": ("How fast it grows", forms.SPEEDS),
}


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("<", "&lt;")


def _name(word: str) -> str:
    return word.replace("_", " ")


def emergencies() -> str:
    """The table of emergencies, as Markdown."""
    rows = [
        f"| {' + '.join(map(_name, row.flags))} | {row.why} | [{_cell(row.source)}]({row.url}) |"
        for row in emergency.ROWS
    ]
    head = f"Version {emergency.VERSION}, {emergency.DATED}, **{emergency.STATUS}**."
    return "\n".join((head, "", "| all of these | may be | source |", "|---|---|---|", *rows))


def english() -> str:
    """Replies, signs and questions in English, as Markdown."""
    head = "| we say | forms and people write | also in |"
    lines = [f"Version {forms.VERSION}.", "", head, "|---|---|---|"]
    for table in (forms.REPLIES, forms.SIGNS, forms.OTHERS, forms.QUESTIONS):
        for name, languages in table.items():
            also = ", ".join(code for code in languages if code != "en") or "–"
            lines.append(f"| {_name(name)} | {_cell(languages.get('en', '–'))} | {also} |")
    return "\n".join(lines)


def every_word() -> str:
    """`docs/ai-words.md`."""
    return "\n".join(_every_word()) + "\n"


def _every_word() -> Iterator[str]:
    yield "# Words that the red-flag rules understand"
    yield ""
    yield (
        "Made of `shared/products/dermadetect/forms.py` by `python -m infra.ci.words --write`. "
        "To be confirmed by a clinician and by speakers of each language. A wrong yes costs a "
        "look, a wrong no is silent: read the rows *no* and *over* first."
    )
    for title, table in TABLES.values():
        yield f"\n## {title}\n"
        yield "| we say | language | words |"
        yield "|---|---|---|"
        for name, languages in table.items():
            for code, phrases in languages.items():
                yield f"| {_name(name)} | {LANGUAGES[code]} | {_cell(phrases)} |"


def shown(document: str) -> str:
    """`docs/ai.md` with its made parts made anew."""
    for name, part in (("emergencies", emergencies()), ("words", english())):
        begin, end = f"<!-- made: {name} -->\n", "\n<!-- end -->"
        before, found, rest = document.partition(begin)
        if not found or end not in rest:
            raise SystemExit(f"{AI.name} has no place for {name}.")
        document = before + begin + part + end + rest.partition(end)[2]
    return document


def main(arguments: list[str] | None = None) -> int:
    """0: the documents are current; 1: they are not."""
    parser = argparse.ArgumentParser(prog="python -m infra.ci.words", description=__doc__)
    parser.add_argument("--write", action="store_true", help="make the documents anew")
    write = parser.parse_args(arguments).write
    current = True
    old = WORDS.read_text("utf-8") if WORDS.exists() else ""
    for path, before, after in (
        (AI, AI.read_text("utf-8"), shown(AI.read_text("utf-8"))),
        (WORDS, old, every_word()),
    ):
        if before == after:
            continue
        if write:
            path.write_text(after, "utf-8")
        else:
            print(
                f"{path.relative_to(REPOSITORY)} is not current: python -m infra.ci.words --write"
            )
            current = False
    return 0 if current else 1


if __name__ == "__main__":
    sys.exit(main())
