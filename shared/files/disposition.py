"""The name under which a browser saves a download, as a Content-Disposition header (RFC 6266)."""

from __future__ import annotations

import unicodedata
from urllib.parse import quote

#: Longest file name given, characters: file systems stop at 255 bytes, and UTF-8 takes up to 4 each.
_MOST_CHARACTERS = 60

#: Characters that separate folders or mean something else on some system.
_ELSEWHERE = str.maketrans(dict.fromkeys('/\\:*?"<>|', "_"))


def safe_name(file_name: str) -> str:
    """The file name without what could deceive a reader or a file system; "file" if nothing is left.

    Controls, invisible marks and marks of direction (they make `gpj.exe` read like `exe.jpg`) go,
    separators become `_`, and it neither begins nor ends with a dot or a blank.
    """
    whole = unicodedata.normalize("NFC", file_name).translate(_ELSEWHERE)
    kept = "".join(
        each for each in whole if not unicodedata.category(each).startswith(("C", "Zl", "Zp"))
    )
    stem, dot, ending = kept.strip(". ").rpartition(".")
    if dot and len(ending) <= 10:
        return stem[: _MOST_CHARACTERS - len(ending) - 1].rstrip(". ") + dot + ending
    return kept.strip(". ")[:_MOST_CHARACTERS].rstrip(". ") or "file"


def attachment(file_name: str) -> str:
    """The header's value: ASCII, with the name in UTF-8 beside it where it needs that (RFC 8187)."""
    name = safe_name(file_name)
    # `%` too: some browsers decode it in the plain name (RFC 6266, appendix D).
    plain = "".join(each if each.isascii() and each != "%" else "_" for each in name)
    if plain == name:
        return f'attachment; filename="{name}"'
    return f"attachment; filename=\"{plain}\"; filename*=UTF-8''{quote(name, safe='')}"
