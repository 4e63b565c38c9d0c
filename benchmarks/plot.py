"""Line charts as small SVG files, without a library: axes from zero, and a legend."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple
from xml.sax.saxutils import escape

_WIDTH, _HEIGHT, _LEFT, _TOP, _BOTTOM = 720, 340, 84, 44, 52
_COLOURS = ("#1b6ca8", "#d1495b", "#2a9d5c", "#8d6cab")

#: Points of a line that are drawn; a pixel cannot show more.
_POINTS = 400


class Line(NamedTuple):
    """A line with its name; x and y have the same length."""

    name: str
    x: Sequence[float]
    y: Sequence[float]


def chart(path: Path, title: str, x_axis: str, y_axis: str, lines: Sequence[Line]) -> None:
    """Write the lines as a chart to `path`."""
    high_x = _round_up(max(max(line.x) for line in lines))
    high_y = _round_up(max(max(line.y) for line in lines))
    right, bottom = _WIDTH - 20, _HEIGHT - _BOTTOM

    def across(value: float) -> float:
        return _LEFT + value / high_x * (right - _LEFT)

    def up(value: float) -> float:
        return bottom - value / high_y * (bottom - _TOP)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_WIDTH} {_HEIGHT}" '
        'font-family="sans-serif" font-size="12" fill="#333">',
        f'<rect width="{_WIDTH}" height="{_HEIGHT}" fill="#fff"/>',
        f'<text x="{_LEFT}" y="18" font-size="14" font-weight="bold">{escape(title)}</text>',
    ]
    for step in range(5):
        x, y = high_x * step / 4, high_y * step / 4
        parts.append(
            f'<path d="M{_LEFT} {up(y):.1f}H{right}" stroke="#ddd"/>'
            f'<text x="{_LEFT - 6}" y="{up(y) + 4:.1f}" text-anchor="end">{y:,.4g}</text>'
            f'<text x="{across(x):.1f}" y="{bottom + 18}" text-anchor="middle">{x:,.4g}</text>'
        )
    for number, line in enumerate(lines):
        colour = _COLOURS[number % len(_COLOURS)]
        every = max(1, len(line.x) // _POINTS)
        points = " ".join(
            f"{across(x):.1f},{up(y):.1f}"
            for x, y in zip(line.x[::every], line.y[::every], strict=True)
        )
        place = _LEFT + number * 215
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{colour}" stroke-width="2"/>'
            f'<path d="M{place} 32h18" stroke="{colour}" stroke-width="3"/>'
            f'<text x="{place + 24}" y="36">{escape(line.name)}</text>'
        )
    middle = (_TOP + bottom) / 2
    parts.append(
        f'<path d="M{_LEFT} {_TOP}V{bottom}H{right}" stroke="#333" fill="none"/>'
        f'<text x="{(_LEFT + right) / 2}" y="{_HEIGHT - 10}" text-anchor="middle">'
        f"{escape(x_axis)}</text>"
        f'<text x="16" y="{middle}" text-anchor="middle" transform="rotate(-90 16 {middle})">'
        f"{escape(y_axis)}</text></svg>\n"
    )
    path.write_text("\n".join(parts), encoding="utf-8")


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 8 or 10 times a power of ten: its quarters are round."""
    power = 1.0
    while power * 10 <= value:
        power *= 10
    while power > value > 0:
        power /= 10
    return next((power * step for step in (1, 2, 4, 8) if power * step >= value), power * 10)
