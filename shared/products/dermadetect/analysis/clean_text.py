"""Foreign text as it may be stored and shown: one line, printable, bounded."""

from __future__ import annotations

import re

#: Control characters, lone surrogates (no store takes them), marks that reorder or hide text.
_UNPRINTABLE = re.compile(
    "[\x00-\x1f\x7f-\x9f\ud800-\udfff\u200b\u200e\u200f\u2028-\u202e\u2060-\u206f\ufeff\ufff0-\uffff]+"
)


def clean(value: object, limit: int) -> str:
    """A text fit to store and show: one line, no control or reordering characters, bounded.

    Anything but a string gives the empty text.
    """
    if not isinstance(value, str):
        return ""
    # cut before the regular expressions see it, and again after
    text = _UNPRINTABLE.sub(" ", value[: 4 * limit])
    return " ".join(text.split())[:limit].strip()
