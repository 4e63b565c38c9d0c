"""QR codes for cameras of phones."""

from __future__ import annotations

import segno
from markupsafe import Markup


def qr_code(text: str) -> Markup:
    """A text as a QR code, an SVG without styles: dark on light also where the page is dark."""
    made = segno.make(text, error="m", micro=False)
    drawn = made.svg_inline(
        scale=4, border=3, dark="#000", light="#fff", omitsize=True, svgclass="qr"
    )
    return Markup(drawn)  # noqa: S704 - segno draws paths, and no text of ours
