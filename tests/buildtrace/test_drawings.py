"""Drawings: opened, read, matched, compared, drawn over each other. `benchmarks.plans` makes them up."""

from __future__ import annotations

import pytest

from benchmarks import plans
from shared.products.buildtrace.drawings import facts, overlay
from shared.products.buildtrace.drawings.comparing import Comparison, compare
from shared.products.buildtrace.drawings.document import SheetPage, open_drawing
from shared.products.buildtrace.drawings.reading import read_sheet


@pytest.fixture(scope="module")
def pair() -> tuple[SheetPage, SheetPage, list[plans.Seeded], plans.Sheet]:
    """Two revisions as vectors, and what was changed."""
    old = plans.sheet(1, "a")
    new, seeded = plans.revise(old, 1)
    drawing = open_drawing(plans.pdf([old, new]))
    return drawing.page(0), drawing.page(1), seeded, new


@pytest.fixture(scope="module")
def comparison(pair: tuple[SheetPage, SheetPage, list[plans.Seeded], plans.Sheet]) -> Comparison:
    """What is found between them."""
    return compare(pair[0], pair[1])


def test_every_seeded_change_of_vectors_is_found_and_nothing_else(
    pair: tuple[SheetPage, SheetPage, list[plans.Seeded], plans.Sheet], comparison: Comparison
) -> None:
    found = plans.score(comparison.changes, pair[2])
    assert not found.missed
    assert not found.false


def test_the_title_block_says_number_title_revision_and_scale(
    pair: tuple[SheetPage, SheetPage, list[plans.Seeded], plans.Sheet],
) -> None:
    block = read_sheet(pair[1]).title_block
    said = [each.text if each else None for each in (block.number, block.title, block.revision)]
    assert said == [pair[3].number, pair[3].title, pair[3].revision]
    assert block.scale is not None
    assert block.scale.text == "1:50"


def test_an_overlay_has_the_same_bytes_each_time(
    pair: tuple[SheetPage, SheetPage, list[plans.Seeded], plans.Sheet], comparison: Comparison
) -> None:
    again = compare(pair[0], pair[1])
    assert [change.id for change in again.changes] == [change.id for change in comparison.changes]
    one, other = (overlay.overlay_pdf(each, pair[0], pair[1]) for each in (comparison, again))
    assert one == other


def test_every_sentence_names_changes_that_there_are(comparison: Comparison) -> None:
    known = {change.id for change in comparison.changes}
    said = facts.sentences(facts.facts_of(comparison, "A-101"))
    assert len(said) > len(known) / 2
    assert all(set(each["changes"]) <= known and each["changes"] for each in said)
