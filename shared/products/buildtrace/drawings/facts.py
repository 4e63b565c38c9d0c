"""What a comparison found, as facts for a summary, and as plain sentences without a model.

Facts are JSON-able. Every sentence names the changes that it speaks of, by id; numbers are
counted, never said twice.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from shared.products.buildtrace.drawings.comparing import KINDS, Comparison, SheetChange

#: The first letter of a sheet's number → whose work it shows (US National CAD Standard, discipline
#: designators).
TRADES: Mapping[str, str] = {
    "A": "architecture",
    "B": "geotechnics",
    "C": "civil works",
    "E": "electrical",
    "F": "fire protection",
    "G": "general",
    "H": "hazardous materials",
    "I": "interiors",
    "L": "landscape",
    "M": "mechanical",
    "P": "plumbing",
    "S": "structure",
    "T": "telecommunications",
}

_DONE = {
    "added": "added",
    "removed": "removed",
    "moved": "moved",
    "replaced": "replaced",
    "text_changed": "changed in wording",
    "dimension_changed": "changed in measure",
}


def trade_of(number: str) -> str:
    """The trade of a sheet number; "general" if its letter says none."""
    return TRADES.get(number.strip()[:1].upper(), "general")


def facts_of(comparison: Comparison, number: str = "", title: str = "") -> dict[str, Any]:
    """A sheet's facts: its number, title and trade, counts by kind, and each change with its place.

    Changes are numbered from 1 in their order, as clouds of the overlay are. What changed in the
    title block (date, revision) is counted apart.
    """
    found = comparison.changes
    drawn = [change for change in found if change.region != "title_block"]
    return {
        "sheet": number,
        "title": title,
        "trade": trade_of(number),
        "counts": {kind: sum(change.kind == kind for change in drawn) for kind in KINDS},
        "title_block_changes": len(found) - len(drawn),
        "alignment_error_px": round(comparison.alignment.error, 2),
        "changes": [
            {
                "id": change.id,
                "cloud": place,
                "kind": change.kind,
                "region": change.region,
                "where": where(change, comparison.width, comparison.height),
                "width_mm": change.width_mm,
                "height_mm": change.height_mm,
                "old_text": change.old_text,
                "new_text": change.new_text,
                "moved_mm": _moved(change),
                "confidence": change.confidence,
            }
            for place, change in enumerate(found, 1)
        ],
    }


def where(change: SheetChange, width: float, height: float) -> str:
    """The ninth of the sheet that a change is in: "top left", "centre", "bottom"."""
    x = (change.rect[0] + change.rect[2]) / 2 / width
    y = (change.rect[1] + change.rect[3]) / 2 / height
    across = "left" if x < 1 / 3 else "right" if x > 2 / 3 else ""
    down = "top" if y < 1 / 3 else "bottom" if y > 2 / 3 else ""
    return f"{down} {across}".strip() or "centre"


def _moved(change: SheetChange) -> float | None:
    """How far something moved, mm on paper."""
    if change.kind != "moved" or change.old_rect is None:
        return None
    dx, dy = change.rect[0] - change.old_rect[0], change.rect[1] - change.old_rect[1]
    return round(float((dx * dx + dy * dy) ** 0.5 / 72 * 25.4), 1)


def sentences(facts: Mapping[str, Any]) -> list[dict[str, Any]]:
    """A sheet's changes as English sentences: {"text", "changes": ids}. The first counts them all."""
    changes: Sequence[Mapping[str, Any]] = facts["changes"]
    name = f"Sheet {facts['sheet']}" if facts["sheet"] else "The sheet"
    if not changes:
        return [{"text": f"{name}: nothing changed.", "changes": []}]
    drawn = [each for each in changes if each["region"] != "title_block"]
    block = [each for each in changes if each["region"] == "title_block"]
    counts = Counter(each["kind"] for each in drawn)
    told = ", ".join(f"{counts[kind]} {_DONE[kind]}" for kind in KINDS if counts[kind])
    many = f"{len(drawn)} change{'' if len(drawn) == 1 else 's'}"
    said = [
        {
            "text": f"{name}: {many} ({told})."
            if drawn
            else f"{name}: only the title block changed.",
            "changes": [each["id"] for each in drawn or block],
        }
    ]
    said += [{"text": sentence(each), "changes": [each["id"]]} for each in drawn]
    texts = [f"“{each['old_text']}” → “{each['new_text']}”" for each in block if each["new_text"]]
    if block and drawn:
        more = f": {'; '.join(texts)}" if texts else ""
        said.append(
            {"text": f"The title block changed{more}.", "changes": [each["id"] for each in block]}
        )
    return said


def sentence(each: Mapping[str, Any]) -> str:
    """One change in words."""
    place = f"Cloud {each['cloud']}, {each['where']}: "
    size = f"{each['width_mm']:g} × {each['height_mm']:g} mm"
    if each["kind"] in ("text_changed", "dimension_changed"):
        what = "measure" if each["kind"] == "dimension_changed" else "text"
        if each["old_text"] and each["new_text"]:
            return f"{place}{what} changed from “{each['old_text']}” to “{each['new_text']}”."
        return f"{place}{what} changed."
    if each["kind"] == "moved" and each["moved_mm"] is not None:
        return f"{place}moved by {each['moved_mm']:g} mm on paper ({size})."
    quoted = each["new_text"] if each["kind"] == "added" else each["old_text"]
    words = f"“{quoted}” " if quoted else ""
    return f"{place}{words}{each['kind']} ({size})."


def by_trade(sheets: Iterable[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Counts of all sheets' facts by trade: {trade: {"sheets": numbers, "counts": by kind}}."""
    found: dict[str, dict[str, Any]] = {}
    for facts in sheets:
        held = found.setdefault(facts["trade"], {"sheets": [], "counts": dict.fromkeys(KINDS, 0)})
        held["sheets"].append(facts["sheet"])
        for kind, count in facts["counts"].items():
            held["counts"][kind] += count
    return dict(sorted(found.items()))
