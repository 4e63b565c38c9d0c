"""What the PDF of a comparison says, in one language, as the plain data that `report.typ` sets.

Sheets and trades are counted of the changes themselves. Each change is a row under the number of its
cloud: it says in the reader's language what the sentences of rules say in English. What a model wrote of a
sheet stands before its rows, as it is. Nothing is left out without a word: what is beyond a bound is
counted.
"""

from __future__ import annotations

import base64
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from shared.console.page import N_
from shared.console.words import Words
from shared.export.letters import ltr, own
from shared.products.buildtrace.drawings.facts import trade_of
from shared.products.buildtrace.pages.words import KINDS, OUTCOMES, PARTS, REGIONS
from shared.products.buildtrace.tables import DONE

Row = Mapping[str, Any]

#: Changes and sheets of one report: what is beyond is counted, and in the CSV.
MOST_CHANGES, MOST_SHEETS = 1000, 400

#: Sheets that are shown as a picture; the others show their clouds alone.
MOST_PICTURES = 40

TRADE_NAMES: Mapping[str, str] = {
    "architecture": N_("architecture"),
    "geotechnics": N_("geotechnics"),
    "civil works": N_("civil works"),
    "electrical": N_("electrical"),
    "fire protection": N_("fire protection"),
    "general": N_("general"),
    "hazardous materials": N_("hazardous materials"),
    "interiors": N_("interiors"),
    "landscape": N_("landscape"),
    "mechanical": N_("mechanical"),
    "plumbing": N_("plumbing"),
    "structure": N_("structure"),
    "telecommunications": N_("telecommunications"),
}


#: Signs for a diameter that fonts of reports lack, as the letter that stands for it everywhere.
_DIAMETER = str.maketrans("⌀∅", "ØØ")


class Compared(NamedTuple):
    """All that a report is made of: columns of records, with their `id`."""

    drawing: str
    old: tuple[str, str]  #: what the revision before is called, and its day
    new: tuple[str, str]
    comparison: Row
    pairs: Sequence[Row]
    papers: Mapping[str, tuple[float, float]]  #: pair → width and height of its sheet, mm
    changes: Sequence[Row]  #: in the order of their sheets
    remarks: Mapping[str, Sequence[Row]]  #: of the first `MOST_CHANGES`, by change
    paragraphs: Mapping[str, str]  #: sheet → what a model wrote of it
    pictures: Mapping[str, bytes]  #: pair → its overlay as a small PNG


def content(found: Compared, words: Words, now_ms: int) -> dict[str, Any]:
    """The report as data."""
    said = words.said
    over = found.comparison.get("state") == DONE
    name = found.drawing or said("Drawing without a name")
    labels = ltr(f"{_text(found.old[0], 30)} → {_text(found.new[0], 30)}")
    made = said("Made on %(day)s", day=words.day(now_ms))
    of_pair = _by_pair(found.changes[:MOST_CHANGES])
    return {
        "language": words.language,
        "direction": words.direction,
        "title": said("What changed"),
        "name": _text(name, 80),
        "short_name": _text(name, 30),
        "subtitle": labels,
        "facts": _facts(found, words),
        "page": said("Page"),
        "note": f"{labels} · {made}",
        "empty": None
        if over
        else said("This comparison is not finished. Here is what is known so far."),
        "cards": _cards(found, words),
        "lists": [],
        "overview": [_trades(found, words), _sheets(found, words)],
        "details_title": said("Changes of each sheet"),
        "legend": said(
            "Orange is only on the sheet before, blue only on the sheet after. "
            "Numbers are those of the clouds."
        ),
        "details": [
            _detail(pair, of_pair[str(pair["id"])], found, words)
            for pair in found.pairs
            if str(pair["id"]) in of_pair
        ],
        "more": _more(len(found.changes) - MOST_CHANGES, words),
    }


def _by_pair(changes: Sequence[Row]) -> Mapping[str, list[Row]]:
    found: dict[str, list[Row]] = {}
    for each in changes:
        found.setdefault(str(each["pair_id"]), []).append(each)
    return found


def _facts(found: Compared, words: Words) -> list[list[str]]:
    ended_ms = found.comparison.get("ended_at")
    facts = [
        [words.said(name), " · ".join(_text(each, 30) for each in revision if each)]
        for name, revision in ((N_("Before"), found.old), (N_("After"), found.new))
    ]
    return [*facts, *([[words.said("Compared"), words.day(ended_ms)]] if ended_ms else [])]


def _cards(found: Compared, words: Words) -> list[dict[str, Any]]:
    said = words.said
    outcomes = Counter(str(each["outcome"]) for each in found.pairs)
    told = [_many(count, OUTCOMES[each].name, words) for each, count in outcomes.items()]
    listed = found.changes[:MOST_CHANGES]
    checked = sum(_checked(each, found) for each in listed)
    of = said("of %(count)s", count=words.number(len(listed)))
    return [
        _card(said("Sheets"), len(found.pairs), " · ".join(told), words),
        _card(said("Changes"), len(found.changes), _counted(found.changes, words), words),
        _card(said("Checked"), checked, of, words),
    ]


def _card(label: str, value: int, line: str, words: Words) -> dict[str, Any]:
    lines = [line] if line else []
    return {"label": label, "value": words.number(value), "unit": "", "lines": lines}


def _trades(found: Compared, words: Words) -> dict[str, Any]:
    of_pair = _by_pair(found.changes)
    by: dict[str, list[Row]] = {}
    for pair in found.pairs:
        by.setdefault(trade_of(str(pair.get("number") or "")), []).append(pair)
    rows = []
    for trade in sorted(by):
        changes = [each for pair in by[trade] for each in of_pair.get(str(pair["id"]), ())]
        told = _counted(changes, words) or words.said("nothing changed")
        name = _capital(words.said(TRADE_NAMES.get(trade, trade)))
        sheets = ", ".join(_text(_number(pair), 20) for pair in by[trade][:_A_TRADE])
        more = _more(len(by[trade]) - _A_TRADE, words)
        rows.append([name, f"{sheets} {more}".strip(), told])
    head = (N_("Trade"), N_("Sheets"), N_("Changes"))
    return _table(words.said("By trade"), head, (0, 1, 1), rows, "", words)


#: Sheets that are named of one trade.
_A_TRADE = 40


def _sheets(found: Compared, words: Words) -> dict[str, Any]:
    said = words.said
    rows = []
    for pair in found.pairs[:MOST_SHEETS]:
        outcome = said(OUTCOMES[str(pair["outcome"])].name)
        if pair.get("renamed"):
            renamed = said("had another number or title")
            outcome = f"{outcome} · {renamed}"
        counts = pair.get("counts") or {}
        told = [_many(counts[kind], KINDS[kind], words) for kind in KINDS if counts.get(kind)]
        rows.append(
            [
                _text(_number(pair), 30),
                _text(pair.get("title") or "", 80),
                outcome,
                " · ".join(told) or "–",
            ]
        )
    head = (N_("Sheet"), N_("Title"), N_("Outcome"), N_("Changes"))
    more = _more(len(found.pairs) - MOST_SHEETS, words)
    return _table(said("By sheet"), head, (0, 1.5, 1, 2.5), rows, more, words)


def _detail(pair: Row, changes: Sequence[Row], found: Compared, words: Words) -> dict[str, Any]:
    said = words.said
    number = _number(pair)
    wide, high = found.papers.get(str(pair["id"]), (0.0, 0.0))
    head = (N_("What"), N_("Where"), N_("Before"), N_("After"), N_("Remarks"))
    return {
        "number": _text(number, 30),
        "title": _text(pair.get("title") or "", 80),
        "counts": _counted(changes, words),
        "written": _text(found.paragraphs.get(number, ""), 6000)
        if number in found.paragraphs
        else "",
        "head": [said("No."), *map(said, head)],
        "rows": [_change(each, found, words) for each in changes],
        "map": {
            "said": said("Where the changes are on sheet %(sheet)s", sheet=_text(number, 30)),
            "wide": wide,
            "high": high,
            "picture": _picture(found.pictures.get(str(pair["id"]))),
            "clouds": [_cloud(each) for each in changes] if wide and high else [],
        },
    }


def _change(change: Row, found: Compared, words: Words) -> list[str]:
    said = words.said
    where = [
        said(PARTS.get(str(change.get("part")), "")),
        said(REGIONS.get(str(change.get("region")), "")),
    ]
    size = " × ".join(
        words.number(round(float(change.get(side) or 0), 1)) for side in ("width_mm", "height_mm")
    )
    kind = said(KINDS.get(str(change["kind"]), str(change["kind"])))
    if change.get("moved_mm") is not None:
        kind = said(
            "moved by %(mm)s mm on paper", mm=words.number(round(float(change["moved_mm"]), 1))
        )
    told = found.remarks.get(str(change["id"]), ())
    comments = [_text(each["comment"], 200) for each in told if each.get("comment")]
    checked = [said("checked")] if _checked(change, found) else []
    return [
        str(change["place"]),
        kind,
        " · ".join([*filter(None, where), ltr(f"{size} mm".replace(" ", _STAY))]),
        _text(change.get("old_text") or "", 160),
        _text(change.get("new_text") or "", 160),
        " · ".join([*checked, *comments]),
    ]


def _cloud(change: Row) -> dict[str, Any]:
    """A cloud's corners in mm, as far as they can be drawn; its box if it has none."""
    x, y = float(change.get("x_mm") or 0), float(change.get("y_mm") or 0)
    wide, high = float(change.get("width_mm") or 0), float(change.get("height_mm") or 0)
    flat = (change.get("outline") or {}).get("mm") or ()
    corners = list(zip(flat[::2], flat[1::2], strict=False))
    if len(corners) < 3:
        corners = [(x, y), (x + wide, y), (x + wide, y + high), (x, y + high)]
    return {"number": str(change["place"]), "corners": corners}


def _picture(png: bytes | None) -> str:
    """A PNG as Typst takes it with data that are text: within an SVG."""
    if png is None:
        return ""
    held = f"data:image/png;base64,{base64.b64encode(png).decode()}"
    box = 'width="100" height="100"'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" {box}>'
        f'<image {box} preserveAspectRatio="none" href="{held}"/></svg>'
    )


def _number(pair: Row) -> str:
    return str(pair.get("number") or pair["place"])


def _checked(change: Row, found: Compared) -> bool:
    return any(each.get("checked") for each in found.remarks.get(str(change["id"]), ()))


def _counted(changes: Iterable[Row], words: Words) -> str:
    counts = Counter(str(each["kind"]) for each in changes)
    return " · ".join(
        _many(counts[kind], name, words) for kind, name in KINDS.items() if counts[kind]
    )


def _many(count: int, name: str, words: Words) -> str:
    """A number and what it counts, which stay on one line."""
    return f"{words.number(count)} {words.said(name)}".replace(" ", _STAY)


_STAY = "\u00a0"


def _text(text: object, longest: int) -> str:
    """A text of somebody, or of a drawing."""
    return own(str(text).translate(_DIAMETER), longest)


def _capital(text: str) -> str:
    return f"{text[:1].upper()}{text[1:]}"


def _table(
    title: str,
    head: Sequence[str],
    widths: Sequence[float],
    rows: list[list[str]],
    more: str,
    words: Words,
) -> dict[str, Any]:
    return {
        "title": title,
        "text": "" if rows else words.said("None."),
        "head": [words.said(each) for each in head],
        "widths": list(widths),
        "rows": rows,
        "more": more,
    }


def _more(over: int, words: Words) -> str:
    if over <= 0:
        return ""
    return words.many("%(num)s more is not shown.", "%(num)s more are not shown.", over)
