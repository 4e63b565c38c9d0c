"""`python -m infra.messages`: gathers what the console says into `locales/LANGUAGE.po` of each package.

Translations that are there are kept; new messages come in empty, those that nobody says any more go. A
package speaks the languages that it has a file of: an empty one begins a new language.
Prints how many are missing in each language. Translators edit the files with any editor for gettext.
"""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_dir
from babel.messages.pofile import read_po, write_po

_SHARED = Path(__file__).resolve().parents[1] / "shared"

_METHODS = [("**.py", "python"), ("**/templates/**.html", "jinja2.ext:babel_extract")]
_OPTIONS = {"**/templates/**.html": {"trim_blocks": "true", "lstrip_blocks": "true"}}
_KEYWORDS = {
    "_": None,
    "N_": None,
    "gettext": None,
    "ngettext": (1, 2),
    "said": None,
    "many": (1, 2),
}

#: After one of these the extractor takes `[` for a call that never ends, and misses what follows.
_LOST = re.compile(rf"\b({'|'.join(_KEYWORDS)})\[")


def folders() -> Iterator[Path]:
    """Packages that speak to people: the console, and those of products that have translations."""
    yield _SHARED / "console"
    yield from sorted(each.parent for each in (_SHARED / "products").glob("*/*/locales"))


def languages(folder: Path) -> list[str]:
    """The languages that a package has a file of."""
    return sorted(path.stem for path in (folder / "locales").glob("*.po"))


def gathered(folder: Path) -> Catalog:
    """Every message of a package.

    Raises `ValueError` for a file that the extractor lost its way in: a name of its keywords before `[`.
    """
    for path in folder.rglob("*.py"):
        if lost := _LOST.search(path.read_text("utf-8")):
            raise ValueError(f"{path.name}: call {lost[0]!r} something else")
    found = Catalog()
    for _, _, message, comments, context in extract_from_dir(
        folder, _METHODS, _OPTIONS, keywords=_KEYWORDS, strip_comment_tags=True
    ):
        found.add(message, auto_comments=comments, context=context)
    return found


def updated(folder: Path, language: str) -> Catalog:
    """The translations that a package has in a language, with every message that it says now."""
    path = folder / "locales" / f"{language}.po"
    if path.exists():
        with path.open("rb") as source:
            have = read_po(source, locale=language)
    else:
        have = Catalog(locale=language)
    have.update(gathered(folder), no_fuzzy_matching=True)
    have.obsolete.clear()
    return have


def text(catalog: Catalog) -> bytes:
    """As a file: sorted, without dates, so that it changes only when a message does."""
    sorted_catalog = Catalog(locale=catalog.locale, header_comment="", fuzzy=False)
    for message in sorted(catalog, key=lambda each: str(each.id)):
        if message.id:
            sorted_catalog.add(message.id, message.string, context=message.context)
    out = io.BytesIO()
    write_po(out, sorted_catalog, no_location=True, omit_header=True, width=110)
    head = (
        'msgid ""\nmsgstr ""\n'
        '"Content-Type: text/plain; charset=utf-8\\n"\n'
        '"Content-Transfer-Encoding: 8bit\\n"\n'
        f'"Language: {catalog.locale}\\n"\n'
        f'"Plural-Forms: {catalog.plural_forms}\\n"\n\n'
    )
    return head.encode() + out.getvalue()


def missing(catalog: Catalog) -> list[str]:
    """Messages without a translation."""
    return [
        str(message.id)
        for message in catalog
        if message.id
        and not (all(message.string) if isinstance(message.string, tuple) else message.string)
    ]


def main() -> int:
    """Write the files; 1 if a translation is missing."""
    lacking = 0
    for folder in folders():
        for language in languages(folder):
            catalog = updated(folder, language)
            (folder / "locales" / f"{language}.po").write_bytes(text(catalog))
            gone = len(missing(catalog))
            lacking += gone
            print(f"{folder.relative_to(_SHARED)} {language}: {gone} missing of {len(catalog)}")
    return 1 if lacking else 0


if __name__ == "__main__":
    sys.exit(main())
