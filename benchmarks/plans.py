"""Made-up construction drawings, changes of them that are known, and scans of them.

`sheet` draws an A1 sheet: a floor plan of rooms with walls, doors, windows, furniture, hatches and
dimensions, details, a schedule, notes and a title block, in one of two drawing styles. `revise` changes
known things of it and says which. `pdf` writes sheets as vectors; `scan` renders a page as a scanner
would: turned, scaled, stretched, blurred, noisy, stained, folded. Everything follows from its seed.

Lengths are millimetres on paper, y down, as people measure drawings.
"""

from __future__ import annotations

import io
import math
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

WIDTH, HEIGHT = 841.0, 594.0
_PT = 72 / 25.4

Box = tuple[float, float, float, float]


@dataclass(frozen=True)
class Item:
    """Something drawn. A stroke: width, points, closed or not, grey of its fill or None."""

    kind: str
    box: Box
    strokes: tuple[tuple[float, tuple[tuple[float, float], ...], bool, float | None], ...] = ()
    text: str = ""
    at: tuple[float, float] = (0.0, 0.0)
    height: float = 2.5
    angle: float = 0.0
    room: Box = (0, 0, 0, 0)

    def moved(self, dx: float, dy: float) -> Item:
        """The same elsewhere."""
        a, b, c, d = self.box
        strokes = tuple(
            (w, tuple((x + dx, y + dy) for x, y in points), closed, fill)
            for w, points, closed, fill in self.strokes
        )
        at = (self.at[0] + dx, self.at[1] + dy)
        return replace(self, box=(a + dx, b + dy, c + dx, d + dy), strokes=strokes, at=at)


@dataclass(frozen=True)
class Seeded:
    """A change that was made: what, where on the new sheet (and before), its size in mm, its texts."""

    kind: str
    box: Box
    old_box: Box | None = None
    old: str = ""
    new: str = ""
    title_block: bool = False

    @property
    def size(self) -> float:
        """Its larger side; of a text the height of its letters."""
        if self.kind in ("text_changed", "dimension_changed"):
            return min(self.box[2] - self.box[0], self.box[3] - self.box[1])
        return max(self.box[2] - self.box[0], self.box[3] - self.box[1])


@dataclass
class Sheet:
    """A sheet and everything on it. `views`: boxes of parts that may move; `rows`: of its schedule."""

    style: str
    number: str
    title: str
    revision: str
    items: list[Item] = field(default_factory=list)
    views: list[Box] = field(default_factory=list)
    rows: list[tuple[float, list[str]]] = field(default_factory=list)

    def copy(self) -> Sheet:
        """Its own list of the same items."""
        return replace(self, items=list(self.items), rows=list(self.rows))


_ROOMS = (
    "OFFICE",
    "MEETING",
    "STORE",
    "LOBBY",
    "KITCHEN",
    "CORRIDOR",
    "PLANT",
    "SERVER",
    "LAB",
    "ARCHIVE",
    "WC",
    "SHOWER",
    "LOUNGE",
    "RECEPTION",
    "PRINT",
    "CLEANER",
    "RISER",
    "STAIR",
    "LIFT",
    "WORKSHOP",
    "BEDROOM",
    "BATH",
    "LIVING",
    "DINING",
    "GARAGE",
    "UTILITY",
)
_NOTES = (
    "ALL DIMENSIONS ARE IN MILLIMETRES UNLESS NOTED OTHERWISE",
    "DO NOT SCALE FROM THIS DRAWING",
    "FIRE DOORS TO BE FD60 WITH INTUMESCENT STRIPS",
    "CONCRETE GRADE C32/40 COVER 35 MM",
    "STEEL GRADE S355 TO EN 10025",
    "ALL WORKS TO COMPLY WITH LOCAL REGULATIONS",
    "CHECK ALL LEVELS ON SITE BEFORE WORK STARTS",
    "PARTITIONS 100 MM METAL STUD WITH 2 LAYERS OF BOARD",
    "SLAB THICKNESS 225 MM UNLESS SHOWN",
    "REFER TO STRUCTURAL DRAWINGS S-201 TO S-214",
    "SEAL ALL PENETRATIONS FOR 120 MINUTES",
    "SOCKETS AT 450 MM ABOVE FLOOR",
    "WATERPROOFING TO WET AREAS UP TO 1800 MM",
    "DOOR CLOSERS TO ALL ESCAPE DOORS",
    "CEILING HEIGHT 2700 MM IN OFFICES",
    "INSULATION 140 MM MINERAL WOOL",
    "HANDRAILS AT 900 MM",
    "GLAZING 6/16/6 ARGON FILLED",
)
_TITLES = (
    "GROUND FLOOR PLAN",
    "FIRST FLOOR PLAN",
    "ROOF PLAN",
    "BASEMENT PLAN",
    "REFLECTED CEILING PLAN",
    "FURNITURE LAYOUT",
    "FIRE STRATEGY PLAN",
    "SETTING OUT PLAN",
    "DRAINAGE LAYOUT",
    "LIGHTING LAYOUT",
    "POWER LAYOUT",
    "FOUNDATION PLAN",
)


def words(
    text: str,
    x: float,
    y: float,
    height: float = 2.5,
    kind: str = "text",
    angle: float = 0.0,
    style: str = "a",
    room: Box = (0, 0, 0, 0),
) -> Item:
    """Text with its baseline from (x, y); `angle` 0, or 90: upwards."""
    long = len(text) * height * (0.84 if style == "b" else 0.93)
    if style == "a":
        long = sum(_WIDE.get(sign, 0.6) for sign in text) * height / 0.718
    box = (x, y - height, x + long, y) if not angle else (x - height, y - long, x, y)
    return Item(kind, box, (), text, (x, y), height, angle, room)


#: Helvetica's widths of what these sheets write, in ems.
_WIDE = {
    **dict.fromkeys("0123456789", 0.556),
    **dict.fromkeys(" ./,:I'", 0.278),
    **dict.fromkeys("-()", 0.333),
    **dict.fromkeys("ABEKPSVXY", 0.667),
    **dict.fromkeys("CDHNRUw", 0.722),
    **dict.fromkeys("GOQ", 0.778),
    **dict.fromkeys("FTZLJ", 0.6),
    "M": 0.833,
    "W": 0.944,
}


def lines(kind: str, *strokes: Any, room: Box = (0, 0, 0, 0)) -> Item:
    """Strokes (width, points[, closed[, fill]]) as an item."""
    full = tuple((s[0], tuple(s[1]), *(s[2:] + (False, None)[len(s) - 2 :])) for s in strokes)
    xs = [x for s in full for x, _ in s[1]]
    ys = [y for s in full for _, y in s[1]]
    return Item(kind, (min(xs), min(ys), max(xs), max(ys)), full, room=room)


def _arc(
    x: float, y: float, r: float, a: float, b: float, n: int = 14
) -> list[tuple[float, float]]:
    return [
        (x + r * math.cos(a + (b - a) * i / n), y + r * math.sin(a + (b - a) * i / n))
        for i in range(n + 1)
    ]


def _rect(a: float, b: float, c: float, d: float) -> list[tuple[float, float]]:
    return [(a, b), (c, b), (c, d), (a, d)]


def furniture(rng: random.Random, x: float, y: float, room: Box) -> Item:
    """A symbol of 4 to 16 mm: table with chairs, WC, basin, column, cupboard, socket, luminaire."""
    which = rng.randrange(8)
    s = rng.uniform(0.8, 1.3)
    w = 0.18
    if which == 0:
        a, b = 9 * s, 5 * s
        chairs = [
            (w, _rect(x + i * a / 3 + 0.6, y - 2, x + i * a / 3 + 2.4, y - 0.5), True)
            for i in range(3)
        ]
        return lines("furniture", (0.25, _rect(x, y, x + a, y + b), True), *chairs, room=room)
    if which == 1:
        return lines(
            "furniture",
            (w, _rect(x, y, x + 4 * s, y + 1.5 * s), True),
            (w, _arc(x + 2 * s, y + 3.6 * s, 1.8 * s, 0, 2 * math.pi, 20), True),
            room=room,
        )
    if which == 2:
        return lines(
            "furniture",
            (w, _rect(x, y, x + 5 * s, y + 4 * s), True),
            (w, _arc(x + 2.5 * s, y + 2 * s, 1.3 * s, 0, 2 * math.pi, 18), True),
            room=room,
        )
    if which == 3:
        return lines("furniture", (0.3, _rect(x, y, x + 4 * s, y + 4 * s), True, 0.0), room=room)
    if which == 4:
        a, b = 12 * s, 4 * s
        return lines(
            "furniture",
            (0.25, _rect(x, y, x + a, y + b), True),
            (w, [(x, y), (x + a, y + b)]),
            (w, [(x + a, y), (x, y + b)]),
            room=room,
        )
    if which == 5:
        return lines(
            "furniture",
            (0.25, _arc(x + 2 * s, y + 2 * s, 2 * s, 0, 2 * math.pi, 20), True),
            (w, [(x, y + 2 * s), (x + 4 * s, y + 2 * s)]),
            (w, [(x + 2 * s, y), (x + 2 * s, y + 4 * s)]),
            room=room,
        )
    if which == 6:
        a, b = 8 * s, 15 * s
        return lines(
            "furniture",
            (0.25, _rect(x, y, x + a, y + b), True),
            (w, _rect(x + 0.8, y + 0.8, x + a - 0.8, y + 3.5), True),
            (w, [(x, y + 5), (x + a, y + 5)]),
            room=room,
        )
    return lines(
        "furniture",
        (0.35, [(x, y + 3 * s), (x + 1.7 * s, y), (x + 3.4 * s, y + 3 * s)], True),
        (0.25, [(x + 1.7 * s, y - 1.5), (x + 1.7 * s, y)]),
        room=room,
    )


def hatch(room: Box, step: float, cross: bool = False) -> Item:
    """45° lines through a rectangle, as one item."""
    a, b, c, d = room
    strokes: list[Any] = []
    for sign in (1, -1) if cross else (1,):
        at = a - (d - b)
        while at < c:
            # x runs from `at`, y from the bottom up (or down for the other direction)
            x0, x1 = max(a, at), min(c, at + (d - b))
            if x1 - x0 > 0.3:
                y0, y1 = d - (x0 - at), d - (x1 - at)
                if sign < 0:
                    y0, y1 = b + d - y0, b + d - y1
                strokes.append((0.13, [(x0, y0), (x1, y1)]))
            at += step
    return replace(lines("hatch", *strokes, room=room), box=room)


def door(x: float, y: float, wide: float, side: int, across: bool, room: Box) -> Item:
    """A leaf and its swing; `side` ±1, `across`: in a wall that runs upwards."""
    quarter = math.pi / 2
    if across:
        leaf = [(x, y), (x + side * wide, y)]
        swing = _arc(x, y, wide, 0 if side > 0 else math.pi, quarter)
    else:
        leaf = [(x, y), (x, y + side * wide)]
        swing = _arc(x, y, wide, side * quarter, 0)
    return lines("door", (0.35, leaf), (0.13, swing), room=room)


def dimension(x0: float, y0: float, x1: float, y1: float, text: str, style: str) -> list[Item]:
    """A dimension line with ticks or arrows (level or upright), and its text."""
    upright = abs(x1 - x0) < abs(y1 - y0)
    strokes: list[Any] = [(0.13, [(x0, y0), (x1, y1)])]
    for x, y, way in ((x0, y0, 1), (x1, y1, -1)):
        if style == "a":
            strokes.append((0.25, [(x - 1, y + 1), (x + 1, y - 1)]))
        elif upright:
            strokes.append(
                (0.13, [(x, y), (x - 0.6, y + way * 2), (x + 0.6, y + way * 2)], True, 0.0)
            )
        else:
            strokes.append(
                (0.13, [(x, y), (x + way * 2, y - 0.6), (x + way * 2, y + 0.6)], True, 0.0)
            )
        far = (x - 3, y) if upright else (x, y - 3)
        near = (x + 3, y) if upright else (x, y + 3)
        strokes.append((0.13, [far, near]))
    label = words(text, 0, 0, 2.5, "dimension", 90 if upright else 0, style)
    if upright:
        long = label.box[3] - label.box[1]
        label = words(text, x0 - 0.9, (y0 + y1) / 2 + long / 2, 2.5, "dimension", 90, style)
    else:
        long = label.box[2] - label.box[0]
        label = words(text, (x0 + x1) / 2 - long / 2, y0 - 0.9, 2.5, "dimension", 0, style)
    return [lines("dimline", *strokes), label]


def sheet(seed: int, style: str | None = None, dense: bool = False) -> Sheet:
    """An A1 sheet. `dense`: hatches in most rooms, twice as many symbols."""
    rng = random.Random(f"sheet {seed}")
    style = style or rng.choice("ab")
    made = Sheet(
        style,
        f"{rng.choice('ASEM')}-{rng.randrange(100, 600)}",
        f"{rng.choice(_TITLES)} {rng.choice(('BLOCK', 'ZONE', 'WING'))} {rng.randrange(1, 30)}",
        rng.choice("ABC"),
    )
    put = made.items.append
    thick = 0.5 if style == "a" else 0.9
    put(lines("frame", (0.7, _rect(20, 10, 831, 584), True)))
    for i in range(1, 10):
        put(lines("frame", (0.25, [(20 + i * 81.1, 10), (20 + i * 81.1, 5)])))
        put(words(str(i), 20 + i * 81.1 - 40, 8.5, 2.5, "frame", 0, style))
    # --- the floor plan
    rooms: list[Box] = []

    def split(box: Box, depth: int) -> None:
        a, b, c, d = box
        wide, high = c - a, d - b
        if depth == 0 or (wide < 75 and high < 75) or (depth < 3 and rng.random() < 0.12):
            rooms.append(box)
            return
        if wide > high:
            at = a + wide * rng.uniform(0.35, 0.65)
            parts = (a, b, at, d), (at, b, c, d)
        else:
            at = b + high * rng.uniform(0.35, 0.65)
            parts = (a, b, c, at), (a, at, c, d)
        for part in parts:
            split(part, depth - 1)

    plan = (60 + rng.uniform(0, 10), 70 + rng.uniform(0, 10), 560.0, 420 + rng.uniform(0, 20))
    split(plan, 5)
    t = 1.2 if style == "a" else 0.9
    for a, b, c, d in rooms:
        room = (a, b, c, d)
        gap = a + (c - a) * rng.uniform(0.2, 0.5)
        wide = rng.uniform(6, 9)
        if style == "a":
            inner = _rect(a + t, b + t, c - t, d - t)
            put(lines("wall", (thick, [inner[0], inner[1], inner[2], (gap + wide, d - t)])))
            put(lines("wall", (thick, [(gap, d - t), inner[3], inner[0]])))
        else:
            put(lines("wall", (thick, [(gap + wide, d), (c, d), (c, b), (a, b), (a, d), (gap, d)])))
        put(door(gap, d - t, wide, -1, False, room))
        name = rng.choice(_ROOMS)
        put(words(name, a + 5, b + 8, rng.choice((2.5, 3.5)), "text", 0, style, room))
        put(words(f"{rng.randrange(101, 499)}", a + 5, b + 13, 2.5, "text", 0, style, room))
        area = f"{rng.randrange(8, 90)}.{rng.randrange(10)} M2"
        put(words(area, a + 5, b + 18, 2.5, "text", 0, style, room))
        if rng.random() < (0.8 if dense else 0.25):
            low = (a + 4, b + 22, c - 4, d - 14)
            if low[2] - low[0] > 12 and low[3] - low[1] > 12:
                put(
                    hatch(
                        low, rng.choice((1.5, 2.5, 4) if dense else (2.5, 4, 6)), rng.random() < 0.3
                    )
                )
                continue
        for _ in range((8 if dense else 4) + int((c - a) * (d - b) / 1500)):
            x, y = rng.uniform(a + 4, c - 20), rng.uniform(b + 22, d - 26)
            piece = furniture(rng, x, y, room)
            if inside(piece.box, room, 3) and free(made, piece.box, 1.5):
                put(piece)
        if d - b > 60 and c - a > 45:
            x = a + (c - a) * rng.uniform(0.4, 0.7)
            stub = lines("partition", (thick, [(x, d - 12 - (d - b) * 0.2), (x, d - 2)]), room=room)
            if free(made, stub.box, 1.0):
                put(stub)
    # --- dimension chains and the grid
    xs = sorted({round(box[0], 3) for box in rooms} | {plan[2]})
    ys = sorted({round(box[1], 3) for box in rooms} | {plan[3]})
    for level, marks in ((plan[1] - 14, xs), (plan[1] - 26, xs[:: max(1, len(xs) // 4)])):
        for x0, x1 in pairwise(marks):
            if x1 - x0 > 12:
                for item in dimension(x0, level, x1, level, _measure(x1 - x0, style), style):
                    put(item)
    for y0, y1 in pairwise(ys):
        if y1 - y0 > 14:
            for item in dimension(
                plan[0] - 14, y0, plan[0] - 14, y1, _measure(y1 - y0, style), style
            ):
                put(item)
    for i, x in enumerate(xs[:: 2 if style == "a" else 1]):
        put(lines("grid", (0.13, [(x, plan[3] + 4), (x, plan[3] + 22)])))
        put(lines("grid", (0.25, _arc(x, plan[3] + 26, 4, 0, 2 * math.pi, 24), True)))
        put(words(chr(65 + i % 26), x - 1.2, plan[3] + 27.2, 2.5, "frame", 0, style))
    for _ in range(10 if style == "b" else 4):  # leaders with notes
        room = rng.choice(rooms)
        x, y = rng.uniform(room[0] + 6, room[2] - 30), rng.uniform(room[1] + 24, room[3] - 12)
        label = f"{rng.choice(('TYPE', 'REF', 'LEVEL', 'SOFFIT', 'FFL'))} {rng.randrange(10, 999)}"
        text = words(label, x, y, 2.5, "text", 0, style, room)
        leader = lines("leader", (0.18, [(x - 3, y + 5), (x - 1, y + 1), (x + 18, y + 1)]))
        around = (text.box[0] - 4, text.box[1], text.box[2], y + 6)
        if free(made, around, 0.5) and inside(around, room, 2):
            put(text)
            put(leader)
    # --- details
    for k in range(2):
        a, b = 585 + k * 122, 30.0
        box = (a, b, a + 108, b + 92)
        made.views.append((a - 2, b - 2, a + 110, b + 106))
        step = rng.choice((2, 3, 4))
        put(lines("detail", (thick, _rect(a + 10, b + 10, a + 50, b + 84), True)))
        put(replace(hatch((a + 10, b + 10, a + 50, b + 84), step), kind="detail"))
        for i in range(rng.randrange(3, 7)):
            y = b + 14 + i * 12
            put(
                lines(
                    "detail", (0.25, [(a + 50, y), (a + 62, y), (a + 62, y + 5), (a + 50, y + 5)])
                )
            )
            part = rng.choice(("SEALANT", "BOARD", "BOLT", "PLATE", "MEMBRANE"))
            label = f"{part} {rng.randrange(6, 60)} MM"
            put(words(label, a + 66, y + 3.5, 2.5, "text", 0, style, box))
        for item in dimension(a + 10, b + 5, a + 50, b + 5, _measure(40, style), style):
            put(item)
        put(words(f"DETAIL {rng.randrange(1, 40)}", a + 10, b + 96, 3.5, "text", 0, style, box))
        put(words(f"SCALE 1:{rng.choice((5, 10, 20))}", a + 10, b + 101, 2.5, "detail", 0, style))
    # --- the schedule
    for i in range(rng.randrange(10, 18)):
        cells = [
            f"D{i + 1:02}",
            f"{rng.randrange(7, 12) * 100} X 2100",
            rng.choice(("OAK", "STEEL", "ASH", "GLASS", "PAINTED")),
            rng.choice(("FD30", "FD60", "FD90", "NONE")),
            f"{rng.randrange(1, 40)} OFF",
        ]
        made.rows.append((5.5, cells))
    made.items += schedule(made)
    # --- notes
    put(words("NOTES", 585, 300, 3.5, "frame", 0, style))
    for i, note in enumerate(rng.sample(_NOTES, 12)):
        put(words(f"{i + 1}. {note}", 585, 308 + i * 5, 2.5, "note", 0, style))
    made.items += title_items(made, rng)
    return made


def _measure(mm: float, style: str) -> str:
    real = round(mm * 50 / 5) * 5
    return f"{real:,}" if style == "b" and real >= 1000 else str(real)


def schedule(made: Sheet) -> list[Item]:
    """The table of doors: a line of head, its rows, lines between."""
    x, y = 585.0, 150.0
    found = [words("DOOR SCHEDULE", x, y - 3, 3.5, "frame", 0, made.style)]
    widths = (18, 40, 32, 26, 24)
    rows = [(6.5, ["NO", "SIZE", "LEAF", "FIRE", "COUNT"]), *made.rows]
    for index, (high, cells) in enumerate(rows):
        at = x
        found.append(lines("table", (0.18, [(x, y), (x + sum(widths), y)])))
        for cell, wide in zip(cells, widths, strict=True):
            kind = "cell" if index else "frame"
            found.append(words(cell, at + 1.5, y + high - 1.6, 2.5, kind, 0, made.style))
            found.append(lines("table", (0.18, [(at, y), (at, y + high)])))
            at += wide
        found.append(lines("table", (0.18, [(at, y), (at, y + high)])))
        y += high
    found.append(lines("table", (0.18, [(x, y), (x + sum(widths), y)])))
    return found


def title_items(made: Sheet, rng: random.Random) -> list[Item]:
    """The title block at the bottom right, in the style's own form."""
    s = made.style
    a, b = 651.0, 494.0
    found = [lines("title", (0.5, _rect(a, b, 831, 584), True))]
    for y in (b + 18, b + 36, b + 54, b + 72):
        found.append(lines("title", (0.25, [(a, y), (831, y)])))
    place = rng.choice(("HARBOUR", "STATION", "MILL", "PARK"))
    project = f"{place} {rng.choice(('HOUSE', 'COURT', 'QUARTER'))}"
    rows: list[tuple[str, str, float, float, float]] = [
        ("PROJECT", project, a, b, 4.0),
        ("TITLE" if s == "a" else "DRAWING TITLE", made.title, a, b + 18, 4.0),
        ("SCALE", "1:50", a, b + 36, 3.5),
        ("DATE", f"{rng.randrange(1, 29):02}.{rng.randrange(1, 13):02}.2026", a + 60, b + 36, 3.5),
        ("DRAWN", rng.choice(("J. SMITH", "A. KOHL", "M. ROSSI")), a + 120, b + 36, 3.5),
        ("SHEET NO" if s == "a" else "DRAWING NO", made.number, a, b + 54, 5.0),
        ("REV", made.revision, a + 130, b + 54, 5.0),
    ]
    for label, value, x, y, high in rows:
        found.append(words(label, x + 2, y + 5, 2.0, "title", 0, s))
        kind = {"REV": "revision", "DATE": "date"}.get(label, "title")
        found.append(words(value, x + 2, y + 8 + high, high, kind, 0, s))
    for x in (a + 60, a + 120):
        found.append(lines("title", (0.25, [(x, b + 36), (x, b + 54)])))
    found.append(lines("title", (0.25, [(a + 130, b + 54), (a + 130, b + 72)])))
    found.append(words("FOR CONSTRUCTION", a + 2, b + 84, 5.0, "title", 0, s))
    return found


# --- changes


def inside(box: Box, room: Box, margin: float) -> bool:
    """Does a box lie in a room, a margin from its walls?"""
    return (
        box[0] > room[0] + margin
        and box[1] > room[1] + margin
        and box[2] < room[2] - margin
        and box[3] < room[3] - margin
    )


def apart(one: Box, other: Box, margin: float) -> bool:
    """Are two boxes a margin from each other?"""
    return (
        one[2] + margin < other[0]
        or other[2] + margin < one[0]
        or one[3] + margin < other[1]
        or other[3] + margin < one[1]
    )


def free(made: Sheet, box: Box, margin: float, but: Item | None = None) -> bool:
    """Is nothing drawn in a box? A wall's box is its strokes."""
    for item in made.items:
        if item is but or item.kind in ("frame", "title", "grid"):
            continue
        if item.kind == "wall":
            for _, points, _, _ in item.strokes:
                for (x0, y0), (x1, y1) in pairwise(points):
                    stroke = (min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
                    if not apart(stroke, box, margin):
                        return False
        elif not apart(item.box, box, margin):
            return False
    return True


def joined(one: Box, other: Box) -> Box:
    """The box around two."""
    return (
        min(one[0], other[0]),
        min(one[1], other[1]),
        max(one[2], other[2]),
        max(one[3], other[3]),
    )


def _digit(rng: random.Random, text: str) -> str:
    """Another text by one sign: a digit if there is one, else a letter."""
    places = [i for i, sign in enumerate(text) if sign.isdigit()] or [
        i for i, sign in enumerate(text) if sign.isalpha()
    ]
    at = rng.choice(places)
    signs = "0123456789" if text[at].isdigit() else "ABCDEFGHKLMNPRSTUXZ"
    return text[:at] + rng.choice([sign for sign in signs if sign != text[at]]) + text[at + 1 :]


#: What `revise` may do, and how often.
EDITS = (
    ("text", 4),
    ("dimension", 3),
    ("remove", 3),
    ("add", 3),
    ("move", 3),
    ("flip", 1),
    ("partition", 1),
    ("hatch", 1),
    ("note", 1),
)


def revise(
    old: Sheet, seed: int, count: int = 10, touching: bool = False, also: Sequence[str] = ()
) -> tuple[Sheet, list[Seeded]]:
    """The next revision: `count` changes, a new revision letter and date.

    Changes are at least 10 mm from each other; if `touching`, half of them are 3 to 9 mm from another.
    `also`: "view" moves a detail, "row" inserts a row into the schedule.
    """
    rng = random.Random(f"revise {seed}")
    new = old.copy()
    new.revision = chr(ord(old.revision) + 1)
    said: list[Seeded] = []
    taken: list[Box] = []
    if "row" in also:
        at = rng.randrange(2, len(old.rows) - 2)
        cells = ["D99", "1250 X 2400", "STEEL", "FD120", "7 OFF"]
        new.rows.insert(at, (5.5, cells))
        tables = {id(item) for item in old.items if item.kind in ("table", "cell")}
        heads = {"DOOR SCHEDULE", "NO", "SIZE", "LEAF", "FIRE", "COUNT"}
        new.items = [i for i in new.items if id(i) not in tables and i.text not in heads]
        new.items += schedule(new)
        top = 150 + 6.5 + at * 5.5
        said.append(Seeded("added", (585, top, 725, top + 5.5), new=" ".join(cells)))
        taken.append((575, 130, 735, 290))
    if "view" in also:
        a, b, c, d = old.views[1]
        dx, dy = -rng.uniform(4, 8), rng.uniform(6, 12)
        part = [item for item in old.items if inside(item.box, (a, b, c, d), -0.1)]
        held = {id(item) for item in part}
        new.items = [item for item in new.items if id(item) not in held]
        new.items += [item.moved(dx, dy) for item in part]
        tight = part[0].box
        for item in part:
            tight = joined(tight, item.box)
        moved = (tight[0] + dx, tight[1] + dy, tight[2] + dx, tight[3] + dy)
        said.append(Seeded("moved", moved, tight))
        taken.append(joined(moved, tight))
    margin = 10.0
    kinds = [kind for kind, weight in EDITS for _ in range(weight)]
    tries = 0
    while len(said) - len(also) < count and tries < 3000:
        tries += 1
        close = touching and said and rng.random() < 0.5
        made = _edit(rng, new, rng.choice(kinds))
        if made is None:
            continue
        gone, come, change = made
        whole = joined(change.box, change.old_box) if change.old_box else change.box
        if not all(apart(whole, box, 3.0 if close else margin) for box in taken):
            continue
        if close and all(apart(whole, box, 9.0) for box in taken):
            continue
        new.items = [item for item in new.items if not any(item is each for each in gone)] + come
        said.append(change)
        taken.append(whole)
    for index, item in enumerate(new.items):
        if item.kind == "revision":
            new.items[index] = words(new.revision, *item.at, item.height, "revision", 0, old.style)
        elif item.kind == "date":
            text = _digit(rng, item.text)
            new.items[index] = words(text, *item.at, item.height, "date", 0, old.style)
        else:
            continue
        changed = new.items[index]
        said.append(
            Seeded("text_changed", changed.box, item.box, item.text, changed.text, title_block=True)
        )
    return new, said


def _edit(
    rng: random.Random, made: Sheet, what: str
) -> tuple[list[Item], list[Item], Seeded] | None:
    """One change: what goes, what comes, and what is said of it; None: it did not come off."""

    def any_of(*kinds: str) -> Item | None:
        found = [item for item in made.items if item.kind in kinds]
        return rng.choice(found) if found else None

    if what in ("text", "dimension"):
        item = any_of(*(("dimension",) if what == "dimension" else ("text", "note", "cell")))
        if item is None:
            return None
        if what == "text" and item.kind == "text" and rng.random() < 0.3 and item.text in _ROOMS:
            text = rng.choice([name for name in _ROOMS if name != item.text and len(name) < 8])
        else:
            text = _digit(rng, item.text)
        x, y = item.at
        other = words(text, x, y, item.height, item.kind, item.angle, made.style, item.room)
        kind = "dimension_changed" if what == "dimension" else "text_changed"
        return [item], [other], Seeded(kind, joined(item.box, other.box), item.box, item.text, text)
    if what == "remove":
        item = any_of("furniture")
        return ([item], [], Seeded("removed", item.box, item.box)) if item else None
    if what in ("add", "move"):
        item = any_of("furniture")
        if item is None:
            return None
        room = item.room
        if what == "add":
            x, y = rng.uniform(room[0] + 4, room[2] - 8), rng.uniform(room[1] + 20, room[3] - 12)
            piece = furniture(rng, x, y, room)
            if not inside(piece.box, room, 3) or not free(made, piece.box, 1.0):
                return None
            return [], [piece], Seeded("added", piece.box)
        dx, dy = rng.uniform(-15, 15), rng.uniform(-15, 15)
        other = item.moved(dx, dy)
        if math.hypot(dx, dy) < 2 or not inside(other.box, room, 3):
            return None
        if not free(made, other.box, 1.0, item):
            return None
        return [item], [other], Seeded("moved", other.box, item.box)
    if what == "flip":
        item = any_of("door")
        if item is None:
            return None
        middle = (item.box[0] + item.box[2]) / 2
        strokes = tuple(
            (w, tuple((2 * middle - x, y) for x, y in points), closed, fill)
            for w, points, closed, fill in item.strokes
        )
        return [item], [replace(item, strokes=strokes)], Seeded("replaced", item.box, item.box)
    if what == "partition":
        item = any_of("partition", "wall")
        if item is None:
            return None
        if item.kind == "partition":
            return [item], [], Seeded("removed", item.box, item.box)
        rooms = {each.room for each in made.items if each.kind == "door"}
        a, b, c, d = rng.choice(sorted(rooms))
        x = rng.uniform(a + 10, c - 10)
        piece = lines(
            "partition", (0.5, [(x, d - rng.uniform(15, 40)), (x, d - 2.5)]), room=(a, b, c, d)
        )
        if not free(made, piece.box, 0.8) or piece.box[1] < b + 20:
            return None
        return [], [piece], Seeded("added", piece.box)
    if what == "hatch":
        item = any_of("hatch")
        if item is None or rng.random() < 0.5:
            rooms = {each.room for each in made.items if each.kind == "furniture"}
            if not rooms:
                return None
            a, b, c, d = rng.choice(sorted(rooms))
            x, y = rng.uniform(a + 4, c - 16), rng.uniform(b + 20, d - 16)
            area = (x, y, x + rng.uniform(8, 14), y + rng.uniform(8, 14))
            if not inside(area, (a, b, c, d), 2) or not free(made, area, 1.0):
                return None
            return [], [hatch(area, rng.choice((1.5, 2.0, 3.0)))], Seeded("added", area)
        return [item], [], Seeded("removed", item.box, item.box)
    notes = [item for item in made.items if item.kind == "note"]
    if not notes:
        return None
    last = max(notes, key=lambda item: item.at[1])
    text = f"{len(notes) + 1}. {rng.choice(_NOTES)}"
    item = words(text, 585, last.at[1] + 5, 2.5, "note", 0, made.style)
    return [], [item], Seeded("added", item.box, new=text)


# --- files


def content(made: Sheet) -> bytes:
    """The page's content stream."""
    out = [f"{_PT:.6f} 0 0 {-_PT:.6f} 0 {HEIGHT * _PT:.4f} cm 1 J 1 j"]
    for item in made.items:
        for width, points, closed, fill in item.strokes:
            path = " ".join(
                f"{x:.3f} {y:.3f} {'l' if i else 'm'}" for i, (x, y) in enumerate(points)
            )
            end = ("b" if fill is not None else "s") if closed else "S"
            tone = f"{fill} g " if fill is not None else ""
            out.append(f"{width} w {tone}{path} {end}")
        if item.text:
            cap = 0.718 if made.style == "a" else 0.571
            size = item.height / cap
            text = item.text.replace("\\", r"\\").replace("(", r"\(").replace(")", r"\)")
            x, y = item.at
            turn = "1 0 0 -1" if not item.angle else "0 -1 -1 0"
            wide = "" if made.style == "a" else "80 Tz "
            out.append(f"BT 0 g /F1 {size:.3f} Tf {wide}{turn} {x:.3f} {y:.3f} Tm ({text}) Tj ET")
    return "\n".join(out).encode("latin-1")


def pdf(sheets: Sequence[Sheet]) -> bytes:
    """Sheets as a PDF of vectors, one page each."""
    import zlib

    fonts = {"a": "Helvetica", "b": "Courier"}
    objects: list[bytes] = [b"<</Type/Catalog/Pages 2 0 R>>", b""]
    pages = []
    for made in sheets:
        held = zlib.compress(content(made), 6)
        first = len(objects) + 1
        pages.append(first)
        size = f"[0 0 {WIDTH * _PT:.3f} {HEIGHT * _PT:.3f}]"
        font = f"<</Type/Font/Subtype/Type1/BaseFont/{fonts[made.style]}>>"
        objects += [
            f"<</Type/Page/Parent 2 0 R/MediaBox{size}/Contents {first + 1} 0 R"
            f"/Resources<</Font<</F1 {first + 2} 0 R>>>>>>".encode(),
            b"<</Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (len(held), held),
            font.encode(),
        ]
    kids = " ".join(f"{page} 0 R" for page in pages)
    objects[1] = f"<</Type/Pages/Count {len(pages)}/Kids[{kids}]>>".encode()
    return file_of(objects)


def file_of(objects: Sequence[bytes]) -> bytes:
    """A PDF of these objects, numbered from 1; the first is its catalog."""
    out = io.BytesIO()
    out.write(b"%PDF-1.7\n")
    places = []
    for number, held in enumerate(objects, 1):
        places.append(out.tell())
        out.write(b"%d 0 obj\n" % number + held + b"\nendobj\n")
    start = out.tell()
    out.write(b"xref\n0 %d\n0000000000 65535 f \n" % (len(objects) + 1))
    for place in places:
        out.write(b"%010d 00000 n \n" % place)
    out.write(b"trailer<</Size %d/Root 1 0 R>>\nstartxref\n%d\n%%%%EOF" % (len(objects) + 1, start))
    return out.getvalue()


@dataclass(frozen=True)
class Scan:
    """A scanned page: a file, its dots per inch, and where a point of the page (mm) is on it (pixels)."""

    data: bytes
    media_type: str
    dpi: float
    place: Callable[[float, float], tuple[float, float]]


def scan(
    made: Sheet,
    seed: int,
    dpi: float = 150,
    turn: float = 5.0,
    size: float = 0.05,
    damage: float = 1.0,
) -> Scan:
    """Scan a sheet: turned by up to `turn` degrees, scaled by up to `size`; `damage` 0 is a clean scan.

    Also: up to 3 pixels of smooth stretch, blur of 0.4 to 0.9 pixels, noise, uneven light, stains, two
    folds, JPEG of quality 35 to 80.
    """
    import cv2
    import numpy

    from shared.products.buildtrace.drawings.document import open_drawing

    rng = random.Random(f"scan {seed}")
    angle = math.radians(rng.uniform(-turn, turn))
    share = 1 + rng.uniform(-size, size)
    per = dpi / 25.4
    columns, rows = int(WIDTH * per * 1.09), int(HEIGHT * per * 1.13)
    k = share * dpi / 72
    cos, sin = math.cos(angle) * k, math.sin(angle) * k
    cx, cy = WIDTH * _PT / 2, HEIGHT * _PT / 2
    e = columns / 2 - (cos * cx - sin * cy) + rng.uniform(-20, 20)
    f = rows / 2 - (sin * cx + cos * cy) + rng.uniform(-20, 20)
    drawing = open_drawing(pdf([made]), "application/pdf")
    gray = drawing.picture(0, dpi, (cos, sin, -sin, cos, e, f), (columns, rows)).gray
    waves = [
        (
            rng.uniform(-1.5, 1.5) * damage,
            rng.uniform(0.3, 0.9),
            rng.uniform(0, 6),
            rng.random() < 0.5,
        )
        for _ in range(4)
    ]

    def off(x: Any, y: Any) -> tuple[Any, Any]:
        u, v = x / columns * 2 * math.pi, y / columns * 2 * math.pi
        dx = dy = 0.0
        for high, often, phase, along in waves:
            value = high * numpy.sin(often * (u if along else v) + phase)
            if along:
                dy = dy + value
            else:
                dx = dx + value
        return dx, dy

    xs, ys = numpy.meshgrid(
        numpy.arange(columns, dtype=numpy.float32), numpy.arange(rows, dtype=numpy.float32)
    )
    dx, dy = off(xs, ys)
    picture = cv2.remap(
        gray,
        (xs + dx).astype(numpy.float32),
        (ys + dy).astype(numpy.float32),
        cv2.INTER_CUBIC,
        borderValue=255,
    )
    del dx, dy
    noise = numpy.random.default_rng(seed)
    blur = rng.uniform(0.4, 0.9) if damage else 0.4
    held = cv2.GaussianBlur(picture, (0, 0), blur).astype(numpy.float32)
    held = 255 - (255 - held) * rng.uniform(0.75, 1.0)
    if damage:
        held *= 1 - 0.12 * damage * (
            0.5 + 0.5 * numpy.sin(xs / columns * rng.uniform(1, 4) + rng.uniform(0, 6))
        )
        for _ in range(int(4 * damage)):
            x, y, r = rng.uniform(0, columns), rng.uniform(0, rows), rng.uniform(60, 260)
            a, b = max(0, int(x - 3 * r)), max(0, int(y - 3 * r))
            c, d = min(columns, int(x + 3 * r)), min(rows, int(y + 3 * r))
            if c > a and d > b:
                far = ((xs[b:d, a:c] - x) ** 2 + (ys[b:d, a:c] - y) ** 2) / (r * r)
                held[b:d, a:c] *= 1 - rng.uniform(0.05, 0.25) * numpy.exp(-far)
        for at, upright in ((rng.uniform(0.3, 0.7), True), (rng.uniform(0.3, 0.7), False)):
            line = (xs - at * columns) if upright else (ys - at * rows)
            held *= 1 - rng.uniform(0.05, 0.18) * damage * numpy.exp(
                -((line / rng.uniform(1.5, 4)) ** 2)
            )
    held += noise.normal(0, rng.uniform(2, 7) if damage else 1.5, held.shape).astype(numpy.float32)
    done = numpy.clip(held, 0, 255).astype(numpy.uint8)
    quality = rng.randrange(35, 80) if damage else 85
    _, jpeg = cv2.imencode(".jpg", done, [cv2.IMWRITE_JPEG_QUALITY, quality])
    raw = bytearray(jpeg.tobytes())
    # JFIF's density: dots per inch
    raw[13] = 1
    raw[14:18] = int(dpi).to_bytes(2, "big") * 2

    def place(x: float, y: float) -> tuple[float, float]:
        u, v = x * _PT, y * _PT
        px, py = cos * u - sin * v + e - 0.5, sin * u + cos * v + f - 0.5
        qx, qy = px, py
        for _ in range(4):
            sx, sy = off(numpy.float64(qx), numpy.float64(qy))
            qx, qy = px - float(sx), py - float(sy)
        return qx, qy

    return Scan(bytes(raw), "image/jpeg", dpi, place)


# --- what was found


@dataclass(frozen=True)
class Score:
    """Seeded changes that were found and missed, changes that nobody made, and kinds told wrong."""

    found: list[Seeded]
    missed: list[Seeded]
    false: list[Any]
    wrong: list[tuple[Seeded, list[Any]]]


#: Kinds that say the same of what may be either: a bare number is a text or a measure.
_ALIKE = {"text_changed": "text", "dimension_changed": "text"}


def score(
    changes: Sequence[Any],
    seeded: Sequence[Seeded],
    place: Callable[[Box], Box] | None = None,
    margin: float = 1.0,
) -> Score:
    """Hold found changes (points) against seeded ones. `place`: their mm → points of the new page.

    One is found if a change touches it, `margin` mm around it counted; a change that touches none is false.
    """

    def on_page(box: Box) -> Box:
        if place is not None:
            return place(box)
        a, b, c, d = (each * _PT for each in box)
        return a, b, c, d

    found: list[Seeded] = []
    missed: list[Seeded] = []
    wrong: list[tuple[Seeded, list[Any]]] = []
    used: set[int] = set()
    for each in seeded:
        boxes = [on_page(box) for box in (each.box, each.old_box) if box]
        hits = [
            index
            for index, change in enumerate(changes)
            if any(
                not apart(rect, box, margin * _PT)
                for box in boxes
                for rect in (change.rect, change.old_rect)
                if rect
            )
        ]
        if not hits:
            missed.append(each)
            continue
        found.append(each)
        used.update(hits)
        kinds = {_ALIKE.get(changes[index].kind, changes[index].kind) for index in hits}
        if _ALIKE.get(each.kind, each.kind) not in kinds:
            wrong.append((each, [changes[index] for index in hits]))
    false = [change for index, change in enumerate(changes) if index not in used]
    return Score(found, missed, false, wrong)
