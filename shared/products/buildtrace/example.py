"""A small house in two issues, as the demo and tests use it: sheets of A3, drawn as PDF.

Coordinates of a plan are mm on paper from its lower left corner, at 1:100.
"""

from __future__ import annotations

import io
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

#: A3 across, mm.
WIDE, HIGH = 420.0, 297.0

_PT = 72 / 25.4

Segment = tuple[float, float, float, float]


@dataclass(frozen=True)
class HousePlan:
    """A sheet: walls, doors (hinge and width), dimensions (from, to, what they say) and words."""

    number: str
    title: str
    revision: str
    date: str
    walls: tuple[Segment, ...] = ()
    doors: tuple[tuple[float, float, float], ...] = ()
    dimensions: tuple[tuple[float, float, float, float, str], ...] = ()
    words: tuple[tuple[float, float, str], ...] = ()
    table: tuple[str, ...] = field(default=())


class _Sheet:
    """Operators of a page, written in mm."""

    def __init__(self) -> None:
        self._said: list[str] = []

    def line(self, x0: float, y0: float, x1: float, y1: float, width: float = 0.25) -> None:
        at = " ".join(f"{each * _PT:.2f}" for each in (x0, y0))
        to = " ".join(f"{each * _PT:.2f}" for each in (x1, y1))
        self._said.append(f"{width * _PT:.2f} w {at} m {to} l S")

    def box(self, x: float, y: float, wide: float, high: float, width: float = 0.25) -> None:
        sides = " ".join(f"{each * _PT:.2f}" for each in (x, y, wide, high))
        self._said.append(f"{width * _PT:.2f} w {sides} re S")

    def quarter(self, x: float, y: float, radius: float) -> None:
        """The swing of a door."""
        k = 0.5523 * radius
        points = (x + radius, y + k, x + k, y + radius, x, y + radius)
        curve = " ".join(f"{each * _PT:.2f}" for each in points)
        self._said.append(f"0.5 w {(x + radius) * _PT:.2f} {y * _PT:.2f} m {curve} c S")
        self.line(x, y, x, y + radius)

    def text(self, x: float, y: float, said: str, size: float = 2.5) -> None:
        plain = said.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
        at = f"{x * _PT:.2f} {y * _PT:.2f} Td"
        self._said.append(f"BT /F1 {size * 1.4 * _PT:.2f} Tf {at} ({plain}) Tj ET")

    def content(self) -> bytes:
        return "\n".join(self._said).encode("latin-1")


def drawn(plan: HousePlan) -> bytes:
    """A plan as the content of a page."""
    sheet = _Sheet()
    sheet.box(10, 10, WIDE - 20, HIGH - 20, 0.7)
    for x0, y0, x1, y1 in plan.walls:
        across = (0, 2) if y0 == y1 else (2, 0)  # two lines, 20 cm of masonry at 1:100
        sheet.line(x0, y0, x1, y1, 0.5)
        sheet.line(x0 + across[0], y0 + across[1], x1 + across[0], y1 + across[1], 0.5)
    for x, y, radius in plan.doors:
        sheet.quarter(x, y, radius)
    for x0, y0, x1, y1, said in plan.dimensions:
        sheet.line(x0, y0, x1, y1, 0.18)
        for x, y in ((x0, y0), (x1, y1)):
            sheet.line(x - 1, y - 1, x + 1, y + 1, 0.35)
        sheet.text((x0 + x1) / 2 - 4, (y0 + y1) / 2 + 1.5, said)
    for x, y, said in plan.words:
        sheet.text(x, y, said, 3)
    for row, said in enumerate(plan.table):
        sheet.box(300, 250 - 8 * row, 100, 8)
        sheet.text(303, 252.5 - 8 * row, said)
    sheet.box(300, 15, 105, 55, 0.5)
    block = (
        (60, f"TITLE: {plan.title}", 3.5),
        (48, f"SHEET NO: {plan.number}", 3.5),
        (38, f"REV: {plan.revision}", 2.5),
        (30, "SCALE: 1:100", 2.5),
        (22, f"DATE: {plan.date}", 2.5),
    )
    for y, said, size in block:
        sheet.text(304, y, said, size)
    return sheet.content()


def pdf(pages: Sequence[bytes]) -> bytes:
    """Pages of A3 as one file, the same for the same pages."""
    out, places = io.BytesIO(), list[int]()
    out.write(b"%PDF-1.7\n")

    def write(body: bytes) -> None:
        places.append(out.tell())
        out.write(b"%d 0 obj\n%s\nendobj\n" % (len(places), body))

    kids = b" ".join(b"%d 0 R" % (4 + 2 * at) for at in range(len(pages)))
    box = b"%.2f %.2f" % (WIDE * _PT, HIGH * _PT)
    write(b"<</Type /Catalog /Pages 2 0 R>>")
    write(b"<</Type /Pages /Count %d /Kids [%s]>>" % (len(pages), kids))
    write(b"<</Type /Font /Subtype /Type1 /BaseFont /Helvetica>>")
    for at, content in enumerate(pages):
        own = b"/Contents %d 0 R /Resources <</Font <</F1 3 0 R>>>>" % (5 + 2 * at)
        write(b"<</Type /Page /Parent 2 0 R /MediaBox [0 0 %s] %s>>" % (box, own))
        write(b"<</Length %d>>stream\n%s\nendstream" % (len(content), content))
    start = out.tell()
    table = b"".join(b"%010d 00000 n \n" % place for place in places)
    size = len(places) + 1
    out.write(b"xref\n0 %d\n0000000000 65535 f \n%s" % (size, table))
    out.write(b"trailer\n<</Size %d /Root 1 0 R>>\nstartxref\n%d\n%%%%EOF\n" % (size, start))
    return out.getvalue()


_OUTER: tuple[Segment, ...] = (
    (30, 90, 230, 90),
    (230, 90, 230, 250),
    (30, 250, 230, 250),
    (30, 90, 30, 250),
)


def house(revision: str) -> tuple[HousePlan, ...]:
    """The sheets of issue C1 or C2."""
    new = revision == "C2"
    date = "2026-11-16" if new else "2026-10-05"
    ground = HousePlan(
        "A-101",
        "GROUND FLOOR",
        revision,
        date,
        walls=(
            *_OUTER,
            (120, 90, 120, 250),
            (120, 170, 230, 170),
            *(((30, 150, 120, 150),) if new else ()),
        ),
        doors=((60, 90, 9), (122, 130, 9), *(((80, 152, 8),) if new else ())),
        dimensions=(
            (30, 80, 120, 80, "9000"),
            (120, 80, 230, 80, "11 050" if new else "11 000"),
            (240, 90, 240, 170, "8000"),
        ),
        words=((60, 210, "LIVING"), (160, 210, "KITCHEN"), (150, 125, "ROOM 2")),
        table=("DOOR  WIDTH  FIRE", "D1  900  -", "D2  900  EI30" if new else "D2  900  -"),
    )
    first = HousePlan(
        "A-102",
        "FIRST FLOOR",
        revision,
        date,
        walls=(*_OUTER, (30, 170, 230, 170)),
        doors=((100, 172, 9),),
        dimensions=((30, 80, 230, 80, "20 000"),),
        words=((60, 210, "BEDROOM 1"), (60, 120, "BEDROOM 2")),
    )
    power = HousePlan(
        "E-101",
        "POWER GROUND FLOOR",
        revision,
        date,
        walls=(*_OUTER, (120, 90, 120, 250)),
        words=(
            (50, 200, "S1"),
            (90, 200, "S2"),
            *(((150, 200, "S3"),) if new else ()),
            (170 if new else 150, 120, "BOARD DB1"),
        ),
    )
    roof = HousePlan("A-103", "ROOF", revision, date, walls=_OUTER, words=((110, 170, "FALL 2%"),))
    return (ground, first, power, *((roof,) if new else ()))


def issue(revision: str) -> bytes:
    """An issue of the house as a PDF."""
    return pdf([drawn(plan) for plan in house(revision)])


def sheets(plans: Iterable[HousePlan]) -> bytes:
    """Any plans as a PDF."""
    return pdf([drawn(plan) for plan in plans])
