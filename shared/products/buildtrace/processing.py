"""What stages ask of `drawings`: sheets read, matched and compared, as plain columns of records.

Each heavy library is loaded by the first call that needs it.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import orjson

from shared.errors import FileRefused
from shared.products.buildtrace.tables import (
    ADDED,
    CHANGED,
    NOT_ALIGNED,
    PENDING,
    REMOVED,
    SAME,
    UNREADABLE,
)

if TYPE_CHECKING:
    from shared.products.buildtrace.drawings.document import Drawing
    from shared.products.buildtrace.drawings.matching import SheetFacts

#: What reads and what compares: another version looks at everything anew.
READER, COMPARER = "reader-3", "comparer-4"

#: Columns of sheets, pairs and changes that are found here.
SHEET_COLUMNS = (
    *("number", "title", "revision", "scale", "confidence", "scanned", "width_mm", "height_mm"),
    *("words", "fault", "message"),
)
PAIR_COLUMNS = ("error_px", "tiles", "fault", "message")
CHANGE_COLUMNS = (
    *("kind", "region", "x_mm", "y_mm", "width_mm", "height_mm", "old_text", "new_text"),
    *("confidence", "outline", "old_place", "part", "moved_mm"),
)

_MM = 25.4 / 72


class SheetFound(NamedTuple):
    """A sheet's columns, and what it is known by as JSON."""

    columns: Mapping[str, Any]
    facts: str


class PairFound(NamedTuple):
    """What became of a pair; `overlay` a PDF, `pictures` its tiles by layer and zoom (`packed`)."""

    outcome: str
    columns: Mapping[str, Any]
    changes: Sequence[Mapping[str, Any]]
    overlay: bytes | None
    pictures: Mapping[str, bytes]


def packed(tiles: Mapping[str, bytes]) -> bytes:
    """Tiles as one object: stores take some 20 ms for each, and a sheet has hundreds.

    A line of JSON says where each is behind it, by `column-row`.
    """
    places, at = {}, 0
    for name, png in tiles.items():
        places[name] = [at, len(png)]
        at += len(png)
    return orjson.dumps(places) + b"\n" + b"".join(tiles.values())


def unpacked(pack: bytes, name: str) -> bytes | None:
    """A tile of such an object; None: it has none of this name."""
    head, _, tiles = pack.partition(b"\n")
    place = orjson.loads(head).get(name)
    return None if place is None else tiles[place[0] : place[0] + place[1]]


def opened(data: bytes, media_type: str) -> Drawing:
    """A file, looked at in a process of its own. Raises `FileRefused`."""
    from shared.products.buildtrace.drawings.document import open_drawing

    return open_drawing(data, media_type)


def read_sheet(drawing: Drawing, number: int) -> SheetFound:
    """What stands on a page, from 0. One that cannot be shown says why."""
    from shared.products.buildtrace.drawings import reading
    from shared.products.buildtrace.drawings.matching import sheet_facts

    size = drawing.pages[number]
    paper = {"width_mm": round(size.width * _MM, 1), "height_mm": round(size.height * _MM, 1)}
    try:
        page = drawing.page(number)
    except FileRefused as fault:
        return SheetFound({**paper, "fault": fault.code, "message": fault.message}, "{}")
    text = reading.read_sheet(page)
    block, facts = text.title_block, sheet_facts(page, text)
    said = {
        name: found.text if (found := getattr(block, name)) else None
        for name in ("number", "title", "revision", "scale")
    }
    columns = {
        **said,
        **paper,
        "confidence": round(facts.number_confidence, 3),
        "scanned": page.scan,
        "words": len(text.words),
    }
    return SheetFound(columns, _packed(facts))


def _packed(facts: SheetFacts) -> str:
    kept = {
        "number": facts.number,
        "title": facts.title,
        "revision": facts.revision,
        "number_confidence": facts.number_confidence,
        "words": sorted(facts.words),
        "ink": base64.b64encode(facts.ink).decode(),
    }
    return orjson.dumps(kept).decode()


def _unpacked(text: str) -> SheetFacts:
    from shared.products.buildtrace.drawings.matching import SheetFacts

    kept = orjson.loads(text or "{}")
    return SheetFacts(
        str(kept.get("number") or ""),
        str(kept.get("title") or ""),
        str(kept.get("revision") or ""),
        float(kept.get("number_confidence") or 0),
        frozenset(kept.get("words") or ()),
        base64.b64decode(kept.get("ink") or ""),
    )


Placed = tuple[str, Mapping[str, Any], str]


def matched(old: Sequence[Placed], new: Sequence[Placed]) -> list[dict[str, Any]]:
    """Columns of pairs, in the order of the new sheets, then what was removed.

    Sheets as id, columns and facts.
    """
    from shared.products.buildtrace.drawings.matching import match

    found = match([_unpacked(each[2]) for each in old], [_unpacked(each[2]) for each in new])
    rows: list[tuple[int, int, dict[str, Any]]] = []
    for pair in found.pairs:
        one, other = old[pair.old], new[pair.new]
        columns = {
            **_named(other),
            "old_sheet_id": one[0],
            "new_sheet_id": other[0],
            "renamed": pair.renamed,
            "why": pair.why,
            "outcome": PENDING,
        }
        faults = [each[1] for each in (one, other) if each[1].get("fault")]
        if faults:
            columns |= {
                "outcome": UNREADABLE,
                "fault": faults[0]["fault"],
                "message": faults[0]["message"],
            }
        rows.append((0, pair.new, columns))
    for at in found.added:
        rows.append((0, at, {**_named(new[at]), "new_sheet_id": new[at][0], "outcome": ADDED}))
    for at in found.removed:
        rows.append((1, at, {**_named(old[at]), "old_sheet_id": old[at][0], "outcome": REMOVED}))
    return [columns for _, _, columns in sorted(rows, key=lambda row: row[:2])]


def _named(sheet: Placed) -> dict[str, Any]:
    return {"number": sheet[1].get("number"), "title": sheet[1].get("title")}


def compared(old: tuple[bytes, str, int], new: tuple[bytes, str, int]) -> PairFound:
    """Two pages, each as the bytes of its file, their type and its number from 0."""
    from shared.products.buildtrace.drawings.comparing import CouldNotAlign, compare, opened_pair
    from shared.products.buildtrace.drawings.facts import facts_of
    from shared.products.buildtrace.drawings.overlay import TILE, overlay_pdf, tiles, zooms

    try:
        before, after = opened_pair(old, new)
        found = compare(before, after)
        overlay = overlay_pdf(found, before, after)
    except FileRefused as fault:
        return PairFound(UNREADABLE, {"fault": fault.code, "message": fault.message}, (), None, {})
    except CouldNotAlign as fault:
        words = {"fault": "could_not_align", "message": str(fault)}
        return PairFound(NOT_ALIGNED, words, (), None, {})
    pictures: dict[str, dict[str, bytes]] = {}
    for each in tiles(found):
        pictures.setdefault(f"{each.layer}-{each.zoom}", {})[f"{each.x}-{each.y}"] = each.png
    rows, across = found.aligned.new.shape
    shown = {"side": TILE, "width": across, "height": rows, "zooms": zooms(found)}
    told = {each["id"]: each for each in facts_of(found)["changes"]}
    changes = []
    for each in found.as_json()["changes"]:
        more = {"part": told[each["id"]]["where"], "moved_mm": told[each["id"]]["moved_mm"]}
        changes.append({**dict(_change(each)), **more})
    outcome = CHANGED if changes else SAME
    columns = {"error_px": round(float(found.alignment.error), 2), "tiles": shown}
    packs = {name: packed(level) for name, level in pictures.items()}
    return PairFound(outcome, columns, changes, overlay, packs)


def _change(change: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    left, top, right, bottom = (round(float(each) * _MM, 1) for each in change["rect"])
    yield "kind", change["kind"]
    yield "region", change["region"]
    yield "x_mm", left
    yield "y_mm", top
    yield "width_mm", round(right - left, 1)
    yield "height_mm", round(bottom - top, 1)
    yield "old_text", change["old_text"][:2000] or None
    yield "new_text", change["new_text"][:2000] or None
    yield "confidence", float(change["confidence"])
    points = [round(float(each) * _MM, 1) for point in change["outline"][:200] for each in point]
    yield "outline", {"mm": points}
    if change["old_rect"]:
        yield "old_place", {"mm": [round(float(each) * _MM, 1) for each in change["old_rect"]]}
