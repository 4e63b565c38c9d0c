"""Two sheets laid over each other, with a cloud around each change; changes are checked and talked about.

Without script the whole sheet is one picture, and the list of changes leads to each. With script
(`buildtrace.js`) it is zoomed and moved, made of the tiles that are in sight.
"""

from __future__ import annotations

import hashlib
import secrets
from collections.abc import Mapping, Sequence
from typing import Annotated, Any
from urllib.parse import quote

from msgspec import Meta, Struct

from shared.access.rights import Action
from shared.console.page import N_, Act, Page, Response
from shared.console.push import push
from shared.console.visit import Visit, address
from shared.errors import Forbidden, InvalidRequest, NotFound
from shared.products.buildtrace.pages.comparison import (
    comparison_of,
    comparison_path,
    labels_of,
    may_write,
)
from shared.products.buildtrace.pages.drawings import to_file
from shared.products.buildtrace.pages.words import FAULTS, KINDS, LAYERS, OUTCOMES, PARTS, REGIONS

#: How far a cloud keeps from what changed, mm on paper.
_AWAY_MM = 1.5

_Id = Annotated[str, Meta(max_length=128)]


class OverlayAsked(Struct):
    """Which pair of which comparison; `change`: the change that is looked at."""

    id: _Id
    pair: _Id
    change: _Id = ""


class TilePageAsked(Struct):
    """Which picture."""

    pair: _Id
    name: Annotated[str, Meta(max_length=40)]


class CheckChangeForm(Struct):
    """A change was looked at; `checked` empty: it was not."""

    change: _Id
    checked: Annotated[str, Meta(max_length=1)] = ""


class RemarkForm(Struct):
    """What somebody says of a change. `id` is the form's own: sent twice it is one."""

    change: _Id
    id: _Id
    comment: Annotated[str, Meta(max_length=5000)]


# --- what is shown


def show_overlay(visit: Visit, asked: OverlayAsked) -> Response:
    """The pair, and its changes."""
    found = comparison_of(visit, asked.id)
    pairs = found["parts"].get("sheet_pairs", [])
    at = _place(pairs, asked.pair)
    pair, changes = pairs[at], _changes(visit, asked)
    sheet = _sheet(visit, found["record"], pair)
    for each in changes:
        each["checked"] = any(remark["checked"] for remark in each["remarks"])
        each["points"], each["at"] = _cloud(each, pair["tiles"], sheet)
    return visit.show(
        "buildtrace/overlay.html",
        comparison=found["record"],
        labels=labels_of(visit, found["record"]),
        pair=pair,
        tiles=pair["tiles"],
        previous=pairs[at - 1] if at else None,
        following=pairs[at + 1] if at + 1 < len(pairs) else None,
        changes=changes,
        current=asked.change,
        may_write=may_write(visit, pair),
        new_id=lambda: secrets.token_urlsafe(16),
        layers=LAYERS,
        outcomes=OUTCOMES,
        kinds=KINDS,
        regions=REGIONS,
        places=PARTS,
        faults=FAULTS,
    )


def show_tile(visit: Visit, asked: TilePageAsked) -> Response:
    """A picture of an overlay, for the browser of whoever may see it."""
    pair, name = (quote(each, safe="") for each in (asked.pair, asked.name))
    answer = visit.api.file(f"/api/v1/pairs/{pair}/tiles/{name}")
    response = Response(answer.get_data(), content_type=answer.content_type)
    response.headers["Cache-Control"] = "private, max-age=86400"
    return visit.frame.guarded(response, visit.call)


def show_pdf(visit: Visit, asked: OverlayAsked) -> Response:
    """To the overlay as PDF."""
    pairs = comparison_of(visit, asked.id)["parts"].get("sheet_pairs", [])
    return to_file(visit, pairs[_place(pairs, asked.pair)]["overlay_url"])


def _place(pairs: Sequence[Mapping[str, Any]], name: str) -> int:
    found = next((at for at, each in enumerate(pairs) if each["id"] == name), None)
    if found is None:
        raise NotFound("There is no such sheet in this comparison.", field="pair")
    return found


def _changes(visit: Visit, asked: OverlayAsked) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    behind: str | None = ""
    while behind is not None:
        path = f"{comparison_path(asked.id)}/changes"
        page = visit.api.get(path, pair=asked.pair, behind=behind)
        found += page["changes"]
        behind = page["next"]
    return found


def _sheet(
    visit: Visit, comparison: Mapping[str, Any], pair: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The new sheet, on which clouds are measured."""
    path = f"/api/v1/revisions/{quote(comparison['new_revision_id'], safe='')}"
    try:
        sheets = visit.api.get(path)["parts"].get("sheets", [])
    except NotFound:  # deleted since
        sheets = []
    return next((each for each in sheets if each["id"] == pair["new_sheet_id"]), {})


def _cloud(
    change: Mapping[str, Any], tiles: Mapping[str, Any] | None, sheet: Mapping[str, Any]
) -> tuple[str, tuple[float, float, float, float] | None]:
    """The corners of a change's cloud as SVG has them, and left, top, width, height around it.

    In pixels of the largest picture; nothing where either is not known.
    """
    sides = sheet.get("width_mm"), sheet.get("height_mm")
    if not tiles or not all(sides):
        return "", None
    x, y = (tiles[side] / mm for side, mm in zip(("width", "height"), sides, strict=True))
    left, top = change["x_mm"], change["y_mm"]
    right, bottom = left + change["width_mm"], top + change["height_mm"]
    flat = (change["outline"] or {}).get("mm") or []
    if len(flat) < 6:
        flat = [left, top, right, top, right, bottom, left, bottom]
    flat_x, flat_y = flat[::2], flat[1::2]
    middle = (min(flat_x) + max(flat_x)) / 2, (min(flat_y) + max(flat_y)) / 2
    corners = [
        tuple(
            at + (_AWAY_MM if at >= centre else -_AWAY_MM)
            for at, centre in zip(each, middle, strict=True)
        )
        for each in zip(flat_x, flat_y, strict=False)
    ]
    points = " ".join(f"{each[0] * x:.1f},{each[1] * y:.1f}" for each in corners)
    left, right = min(each[0] for each in corners), max(each[0] for each in corners)
    top, bottom = min(each[1] for each in corners), max(each[1] for each in corners)
    box = (left * x, top * y, (right - left) * x, (bottom - top) * y)
    return points, tuple(round(each, 1) for each in box)


# --- what is done


def check(visit: Visit, asked: OverlayAsked, form: CheckChangeForm) -> Response:
    """A change was looked at, or is to be looked at again."""
    change = _change(visit, asked, form.change)
    if form.checked:
        name = hashlib.sha256(f"{form.change}~checked".encode()).hexdigest()[:32]
        rows = [{"id": name, "change_id": form.change, "checked": True}]
    else:
        rows = [
            {"id": each["id"], "checked": False} for each in change["remarks"] if each["checked"]
        ]
    push(visit, change["scope_id"], {"remarks": rows})
    return _back(visit, asked, change)


def remark(visit: Visit, asked: OverlayAsked, form: RemarkForm) -> Response:
    """Say something of a change."""
    change = _change(visit, asked, form.change)
    if not form.comment.strip():
        raise InvalidRequest(N_("Write something."), field="comment")
    row = {"id": form.id, "change_id": form.change, "comment": form.comment.strip()}
    push(visit, change["scope_id"], {"remarks": [row]})
    return _back(visit, asked, change)


def _change(visit: Visit, asked: OverlayAsked, name: str) -> dict[str, Any]:
    """A change that whoever looks may speak of. Raises `Forbidden`, `NotFound`."""
    found = next((each for each in _changes(visit, asked) if each["id"] == name), None)
    if found is None:
        raise NotFound("There is no such change of this sheet.", field="change")
    if not may_write(visit, found):
        raise Forbidden("Your role in this project does not allow this.")
    return found


def _back(visit: Visit, asked: OverlayAsked, change: Mapping[str, Any]) -> Response:
    where = address("comparisons", asked.id, "sheets", asked.pair, change=change["id"])
    return visit.go(f"{where}#change-{change['place']}")


_SHEET = "comparisons/{id}/sheets/{pair}"

PAGES = (
    Page(
        path=_SHEET,
        shows=show_overlay,
        title=N_("Sheet"),
        asks=OverlayAsked,
        acts={"check": Act(check, CheckChangeForm), "remark": Act(remark, RemarkForm)},
        right=Action.READ,
    ),
    Page(
        path=f"{_SHEET}/overlay.pdf",
        shows=show_pdf,
        title="",
        asks=OverlayAsked,
        right=Action.READ,
    ),
    Page(
        path="pairs/{pair}/tiles/{name}",
        shows=show_tile,
        title="",
        asks=TilePageAsked,
        right=Action.READ,
        quiet=True,
    ),
)
