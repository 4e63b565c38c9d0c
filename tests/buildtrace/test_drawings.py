"""Drawings: opened, read, matched, compared, drawn over each other. `benchmarks.plans` makes them up."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy
import pypdfium2
import pytest
from PIL import Image, ImageDraw, ImageFilter, ImageFont

from benchmarks import plans
from shared.products.buildtrace.drawings import facts, glyphs, matching, overlay
from shared.products.buildtrace.drawings.aligning import CouldNotAlign
from shared.products.buildtrace.drawings.comparing import Comparison, compare
from shared.products.buildtrace.drawings.document import SheetPage, open_drawing
from shared.products.buildtrace.drawings.ink import ink_of, without_bed
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


def test_librecad_1823_and_draftwright_1352_letters_that_are_lines_are_read(
    pair: tuple[SheetPage, SheetPage, list[plans.Seeded], plans.Sheet],
) -> None:
    # as CAD programs plot their own fonts (SHX): the file has no words
    old, new = replace(pair[0], words=()), replace(pair[1], words=())
    found = plans.score(compare(old, new).changes, pair[2])
    assert (found.missed, found.false, found.wrong) == ([], [], [])
    block = read_sheet(new).title_block
    assert block.number is not None
    assert matching.plain_number(block.number.text) == matching.plain_number(pair[3].number)


def _on_black(data: bytes) -> bytes:
    """A page as its negative, as some CAD programs print what is on their screens."""
    import pypdf
    from pypdf import generic

    writer = pypdf.PdfWriter(io.BytesIO(data))
    page = writer.pages[0]
    whole = f"1 g 0 0 {page.mediabox.width} {page.mediabox.height} re f"
    states = generic.DictionaryObject(
        {generic.NameObject("/BM"): generic.NameObject("/Difference")}
    )
    resources = page["/Resources"]
    assert isinstance(resources, generic.DictionaryObject)
    resources[generic.NameObject("/ExtGState")] = generic.DictionaryObject(
        {generic.NameObject("/Negative"): states}
    )
    contents = page.get_contents()
    assert contents is not None
    drawn = generic.DecodedStreamObject()
    drawn.set_data(
        f"{whole} q ".encode() + contents.get_data() + f" Q q /Negative gs {whole} Q".encode()
    )
    page[generic.NameObject("/Contents")] = writer._add_object(drawn)
    held = io.BytesIO()
    writer.write(held)
    return held.getvalue()


def test_light_on_dark_is_compared_as_dark_on_light(
    pair: tuple[SheetPage, SheetPage, list[plans.Seeded], plans.Sheet],
) -> None:
    sheets = plans.sheet(1, "a"), pair[3]
    old, new = (open_drawing(_on_black(plans.pdf([sheet]))).page(0) for sheet in sheets)
    assert (old.dark, pair[0].dark) == (True, False)
    compared = compare(old, new)
    found = plans.score(compared.changes, pair[2])
    assert (found.missed, found.false, found.wrong) == ([], [], [])
    # the overlay is on white, as ever
    [page] = pypdfium2.PdfDocument(overlay.overlay_pdf(compared, old, new))
    assert numpy.median(page.render(scale=0.2).to_numpy()) == 255


def test_sheets_that_have_nothing_in_common_are_refused_in_words(
    pair: tuple[SheetPage, SheetPage, list[plans.Seeded], plans.Sheet],
) -> None:
    blank, black = numpy.full_like(pair[1].gray, 255), numpy.zeros_like(pair[1].gray)
    for gray in (255 - pair[1].gray, blank, black):
        with pytest.raises(CouldNotAlign, match="sheets"):
            compare(pair[0], replace(pair[1], gray=gray, words=()))


def test_what_is_black_around_a_scanned_sheet_is_not_drawn() -> None:
    paper = numpy.full((600, 800), 240, numpy.uint8)
    paper[200:204, :] = 20  # a line from edge to edge
    paper[300:400, 300:400] = 20  # a column
    assert without_bed(paper) is paper
    bed = numpy.pad(paper, ((60, 12), (90, 30)), constant_values=30)
    found = without_bed(bed)
    assert (found[:60] == 240).all()
    assert (found[:, :90] == 240).all()
    assert (found[-12:] == 240).all()
    assert (found[265:655, 100:880] == paper[205:595, 10:790]).all()
    assert (found[260:264, 120:850] == 20).all()


def _of_pictures(size: tuple[float, float], placed: Sequence[tuple[Image.Image, float]]) -> bytes:
    """A page with pictures from top to bottom; of each its height, in points."""
    width, height = size
    names, content, objects, top = [], [], [], height
    for at, (picture, high) in enumerate(placed):
        held = io.BytesIO()
        picture.save(held, "JPEG")
        names.append(f"/I{at} {5 + at} 0 R")
        top = height - high if high == height else top - high  # a layer, or the next strip
        content.append(f"q {width} 0 0 {high} 0 {top} cm /I{at} Do Q")
        head = (
            f"<</Type/XObject/Subtype/Image/Width {picture.width}/Height {picture.height}"
            "/BitsPerComponent 8/ColorSpace/DeviceGray/Filter/DCTDecode"
            f"/Length {len(held.getvalue())}>>stream\n"
        )
        objects.append(head.encode() + held.getvalue() + b"\nendstream")
    drawn = "\n".join(content)
    return plans.file_of(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
            f"<</Type/Page/Parent 2 0 R/MediaBox[0 0 {width} {height}]/Contents 4 0 R"
            f"/Resources<</XObject<<{' '.join(names)}>>>>>>".encode(),
            f"<</Length {len(drawn)}>>stream\n{drawn}\nendstream".encode(),
            *objects,
        ]
    )


def test_ocrmypdf_36_a_scan_may_be_many_pictures() -> None:
    strip, whole = Image.new("L", (1200, 60), 250), (576.0, 432.0)
    fine, coarse = Image.new("L", (1200, 900), 250), Image.new("L", (600, 450), 240)
    for placed, dpi in (
        ([(strip, 28.8)] * 15, 150),  # strips, as scanners send them
        ([(coarse, 432.0), (fine, 432.0)], 150),  # paper and lines as layers
        ([(strip, 28.8)] * 5, 0),  # a picture on a drawing
    ):
        page = open_drawing(_of_pictures(whole, placed)).page(0)
        assert (page.scan, round(page.dpi)) == (dpi > 0, dpi or 200)


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


def _scan_of(draw: Callable[[ImageDraw.ImageDraw], None], seed: int = 0) -> SheetPage:
    """A small sheet (200 × 150 mm at 150 dpi) that `draw` draws on, with the grain of a scan."""
    picture = Image.new("L", (1180, 886), 245)
    pen = ImageDraw.Draw(picture)
    for place in range(5):  # what stays: enough to lay one sheet on the other by
        pen.rectangle((40 + 220 * place, 620, 200 + 200 * place, 840), outline=20, width=3)
        pen.text((60 + 220 * place, 660 + 20 * place), f"ROOM {place + 1}", 20, font=_font())
    draw(pen)
    held = numpy.asarray(picture, numpy.float32) + numpy.random.default_rng(seed).normal(
        0, 4, (886, 1180)
    )
    soft = Image.fromarray(numpy.clip(held, 0, 255).astype(numpy.uint8)).filter(
        ImageFilter.GaussianBlur(0.6)
    )
    out = io.BytesIO()
    soft.save(out, "PNG", dpi=(150, 150))
    return open_drawing(out.getvalue()).page(0, 150)


def _font() -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(20)


def _schedule(rows: Sequence[str], pitch: int = 32) -> Callable[[ImageDraw.ImageDraw], None]:
    def draw(pen: ImageDraw.ImageDraw) -> None:
        for place, row in enumerate(rows):
            top = 60 + pitch * place
            pen.rectangle((60, top, 760, top + pitch), outline=20, width=2)
            for column, text in enumerate(row.split("|")):
                for at, sign in enumerate(text):  # letters of one width, as drawings have them
                    place_of = (72 + 180 * column + 13 * at, top + pitch / 2)
                    pen.text(place_of, sign, 20, font=_font(), anchor="lm")

    return draw


#: Rows that fit each other's places: moved by five rows nearly all of the table looks as before.
_ROWS = [
    f"D{n:02}|{(7, 9, 8, 9)[n % 4]}00 X 2100|{'GLASS' if n % 3 else 'STEEL'}|FD{30 + 30 * (n % 2)}"
    for n in range(12)
]
_MORE = [*_ROWS[:4], "D99|1250 X 2400|STEEL|FD120", *_ROWS[4:]]
_OTHER = [row.replace("D06", "E06") for row in _MORE]


@pytest.mark.parametrize(
    ("before", "after", "kinds"),
    [
        (_ROWS, _MORE, ["added", "moved"]),
        (_MORE, _ROWS, ["moved", "removed"]),
        (_ROWS, _OTHER, ["added", "moved", "text_changed"]),
    ],
    ids=["more", "less", "more, and a letter of a row that moved"],
)
def test_a_row_in_a_scanned_schedule_is_not_a_change_of_every_row_below(
    before: Sequence[str], after: Sequence[str], kinds: list[str]
) -> None:
    """People ask for it (open-pdf-studio#129): a row is one change, not twenty."""
    found = compare(_scan_of(_schedule(before)), _scan_of(_schedule(after), 1)).changes
    assert sorted(change.kind for change in found) == kinds


def test_letters_below_each_other_in_a_table_are_read_with_their_rows() -> None:
    page = _scan_of(_schedule(["D01|30", "D02|30", "D03|30", "D04|60", "D05|30"], 24))
    strips = list(glyphs.find(ink_of(page.gray, True), 150))
    assert not [strip for strip in strips if strip.upright]
    assert sum(len(strip.letters) >= 2 for strip in strips) >= 10


def test_the_first_digit_of_an_upright_dimension_is_held_against_the_one_before() -> None:
    """A digit that stands alone on one sheet, parted from the others by a comma, does not say how
    it is read.
    """

    def dimension(first: str) -> Callable[[ImageDraw.ImageDraw], None]:
        def draw(pen: ImageDraw.ImageDraw) -> None:
            label = Image.new("L", (120, 30), 245)
            written = ImageDraw.Draw(label)
            written.text((10, 15), first, 20, font=_font(), anchor="mm")
            written.text((29, 2), "850", 20, font=_font())
            pen._image.paste(label.rotate(90, expand=True), (300, 200))  # type: ignore[attr-defined]

        return draw

    [change] = compare(_scan_of(dimension("2")), _scan_of(dimension("1"), 1)).changes
    assert (change.kind, change.old_text[0], change.new_text[0]) == ("dimension_changed", "2", "1")


@pytest.mark.parametrize("gray", [0.0, 0.7, 0.85])
def test_lines_are_found_that_are_drawn_in_grey(gray: float) -> None:
    """Architects draw what exists, and what others do, in grey."""
    lines = " ".join(f"{x} 50 m {x} 550 l S" for x in range(100, 700, 60))
    sheets = [
        f"1 w 0 G {lines} 50 300 m 750 300 l S {more}".encode()
        for more in ("", f"{gray} G 200 100 m 290 190 l S")
    ]
    old, new = (open_drawing(_page_of(content)).page(0) for content in sheets)
    assert [change.kind for change in compare(old, new).changes] == ["added"]


def _page_of(content: bytes) -> bytes:
    return plans.file_of(
        [
            b"<</Type/Catalog/Pages 2 0 R>>",
            b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
            b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 800 600]/Contents 4 0 R>>",
            b"<</Length %d>>stream\n%s\nendstream" % (len(content), content),
        ]
    )


def test_a_fold_through_a_door_makes_no_letter_of_it() -> None:
    """With the fold the door's leaf and swing look like an A, without like a D."""

    def door(fold: bool) -> Callable[[ImageDraw.ImageDraw], None]:
        def draw(pen: ImageDraw.ImageDraw) -> None:
            pen.line((300, 200, 300, 246), 60, 3)
            pen.arc((254, 200, 346, 292), 270, 360, 90, 2)
            if fold:
                pen.line((0, 226, 1180, 226), 170, 5)

        return draw

    assert not compare(_scan_of(door(False)), _scan_of(door(True), 1)).changes
