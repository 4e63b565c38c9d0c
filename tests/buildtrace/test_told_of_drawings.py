"""What people who compare drawings with other tools have reported, tried here. Each names its report."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from benchmarks import plans
from shared.products.buildtrace.drawings import overlay
from shared.products.buildtrace.drawings.comparing import Comparison, CouldNotAlign, compare
from shared.products.buildtrace.drawings.document import SheetPage, open_drawing
from shared.products.buildtrace.drawings.matching import SheetFacts, match, sheet_facts
from shared.products.buildtrace.drawings.reading import is_dimension, read_sheet


def _pages(*sheets: plans.Sheet, dpi: float = 120) -> list[SheetPage]:
    drawing = open_drawing(plans.pdf(sheets))
    return [drawing.page(number, dpi) for number in range(len(sheets))]


def _compared(old: plans.Sheet, new: plans.Sheet, dpi: float = 120) -> Comparison:
    one, other = _pages(old, new, dpi=dpi)
    return compare(one, other)


@pytest.fixture(scope="module")
def sheet() -> plans.Sheet:
    return plans.sheet(11, "a")


def test_an_inserted_row_is_not_all_rows(sheet: plans.Sheet) -> None:
    """pdfcompare#151: one row is new, and every row below it was shown as changed."""
    new, seeded = plans.revise(sheet, 11, 0, also=("row",))
    found = _compared(sheet, new)
    score = plans.score(found.changes, seeded)
    assert not score.missed
    below = [change for change in found.changes if change.region == "drawing"]
    assert len(below) <= 4  # the row, those below as one, a border
    assert any(change.kind == "moved" for change in below)


def test_a_view_that_moved_is_one_change(sheet: plans.Sheet) -> None:
    """kiri#42: a detail was pushed aside on the sheet, and everything in it counted as changed."""
    new, _ = plans.revise(sheet, 12, 0, also=("view",))
    moved = [change for change in _compared(sheet, new).changes if change.region == "drawing"]
    assert [change.kind for change in moved] == ["moved"]


def test_large_changes_are_blocks_not_scattered_pixels(sheet: plans.Sheet) -> None:
    """pdfcompare#129: a hatched area came as hundreds of specks."""
    new = sheet.copy()
    new.items.append(plans.hatch((300, 480, 340, 520), 2.0))
    [change] = _compared(sheet, new).changes
    assert change.kind == "added"
    assert change.width_mm == pytest.approx(40, abs=2)


def test_sizes_are_in_millimetres(sheet: plans.Sheet) -> None:
    """pdfcompare#12: tolerances in pixels mean something else at every resolution."""
    new = sheet.copy()
    new.items.append(plans.lines("furniture", (0.25, plans._rect(300, 480, 320, 490), True)))
    for dpi in (100, 200):
        [change] = _compared(sheet, new, dpi=dpi).changes
        assert change.width_mm == pytest.approx(20, abs=0.7)
        assert change.height_mm == pytest.approx(10, abs=0.7)


def test_both_an_overlay_and_side_by_side(sheet: plans.Sheet) -> None:
    """open-pdf-studio#225 and #56: the one shows what, the other shows how; people want both."""
    new, _ = plans.revise(sheet, 13, 3)
    pages = _pages(sheet, new)
    found = compare(pages[0], pages[1])
    over = open_drawing(overlay.overlay_pdf(found, pages[0], pages[1]))
    beside = open_drawing(overlay.side_by_side(found, pages[0], pages[1]))
    assert over.pages[0].width == pytest.approx(pages[1].width, abs=1)
    assert beside.pages[0].width == pytest.approx(2 * pages[1].width, abs=1)
    assert not over.page(0, 60).scan  # vectors are kept


def test_nothing_changed_is_nothing_shown(sheet: plans.Sheet) -> None:
    """Identical files gave a page of noise: anti-aliasing of two exports is not a change."""
    moved = sheet.copy()
    moved.items = list(reversed(sheet.items))  # drawn in another order
    assert not _compared(sheet, moved).changes


def test_a_shift_by_a_fraction_of_a_pixel_is_no_change(sheet: plans.Sheet) -> None:
    """An export with another margin: all of the sheet lies elsewhere, and nothing else is new."""
    moved = sheet.copy()
    moved.items = [item.moved(1.37, -0.61) for item in sheet.items]
    found = _compared(sheet, moved)
    assert not found.changes
    assert math.hypot(*found.alignment.shift) == pytest.approx(
        math.hypot(1.37, 0.61) / 25.4 * 72, abs=0.05
    )


def test_another_drawing_is_refused_in_words() -> None:
    """Two files were mixed up, and the tool coloured all of both."""
    with pytest.raises(CouldNotAlign, match="same drawing"):
        _compared(plans.sheet(21, "a"), plans.sheet(22, "b"))


@pytest.mark.parametrize(
    ("one", "other"), [("A-100", "A100"), ("a 100", "A-100"), ("A.100", "A100")]
)
def test_a_sheet_number_is_one_however_it_is_written(one: str, other: str) -> None:
    """Procore links "A-100" and leaves "A100" alone."""
    facts = SheetFacts(one, "PLAN"), SheetFacts(other, "PLAN")
    [pair] = match(facts[:1], facts[1:]).pairs
    assert not pair.renamed


def test_a_new_sheet_in_between_does_not_shift_all_pairs() -> None:
    """Sheets were renumbered behind an inserted one, and each was compared with its neighbour."""
    sheets = [replace(plans.sheet(seed, "a"), number=f"A-{100 + seed}") for seed in range(31, 35)]
    facts = [sheet_facts(page, read_sheet(page)) for page in _pages(*sheets, dpi=60)]
    renumbered = [
        facts[0],
        *(replace(each, number=f"A-{133 + at}") for at, each in enumerate(facts[1:])),
    ]
    found = match(facts, renumbered)
    assert [(pair.old, pair.new) for pair in found.pairs] == [(0, 0), (1, 1), (2, 2), (3, 3)]
    assert len(found.renamed) == 3


@pytest.mark.parametrize(
    ("text", "verdict"),
    [
        ("3,600", True),
        ("12'-6\"", True),
        ("Ø20", True),
        ("2.50 m", True),
        ("FD60", False),
        ("OAK", False),
    ],
)
def test_measures_are_told_from_other_texts(text: str, verdict: bool) -> None:
    """A changed measure was listed among spelling corrections."""
    assert is_dimension(text) is verdict


def test_shuffled_sheets_find_each_other_without_their_numbers() -> None:
    """A set was bound in another order, and scanned without a readable title block."""
    old = [plans.sheet(70_000 + at) for at in range(8)]
    new = [plans.revise(each, at, 5)[0] for at, each in enumerate(old)]
    order = [3, 0, 7, 1, 6, 2, 5, 4]
    facts = [
        [
            replace(sheet_facts(page, read_sheet(page)), number="", title="")
            for page in _pages(*sheets, dpi=40)
        ]
        for sheets in (old, [new[at] for at in order])
    ]
    assert [(pair.old, pair.new) for pair in match(*facts).pairs] == [
        (at, place) for place, at in enumerate(order)
    ]
