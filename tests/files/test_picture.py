"""Is a file what it says, and are its copies nothing but pixels? Hostile files included."""

from __future__ import annotations

import contextlib
import gzip
import io
import logging
import random
import struct
import subprocess
import sys
import warnings
import zipfile
import zlib
from functools import cache
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, ImageChops, ImageCms, ImageFile, ImageStat

from shared.errors import FileRefused
from shared.files import container
from shared.files.picture import (
    DOCUMENTS,
    EDGES,
    MOST_PIXELS,
    MOST_PIXELS_OF,
    PHOTOS,
    Looked,
    derive,
    look,
)
from tests.files.generated import TONES, chunk, encoded, exif, photo, segment, skin, spot
from tests.neutral.tables import PHOTO_LIMITS

ROOT = Path(__file__).parents[2]
PDF = b"%PDF-1.7\n1 0 obj << /Type /Catalog >> endobj\ntrailer << >>\nstartxref\n9\n%%EOF\n"


@cache
def sample(type_: str, size: tuple[int, int] = (320, 240)) -> bytes:
    return encoded(photo(size=size), type_)


def refused(data: bytes, declared: str) -> str:
    """The code; and `derive` agrees that nothing can be made of it."""
    with pytest.raises(FileRefused) as found:
        look(io.BytesIO(data), declared)
    assert found.value.__cause__ is None
    return found.value.code


def answer(data: bytes, declared: str) -> str | Looked:
    """What a file is, or the code with which it is refused."""
    try:
        return look(io.BytesIO(data), declared)
    except FileRefused as error:
        return error.code


def copies(data: bytes, *edges: int) -> list[Image.Image]:
    made, _ = derive(io.BytesIO(data), PHOTO_LIMITS, edges or EDGES)
    return [Image.open(io.BytesIO(each.data)) for each in made]


def near(one: Image.Image, other: Image.Image, tolerance: float = 3) -> bool:
    """Whether two pictures show the same, but for what compression does to the finest detail."""
    assert one.size == other.size
    difference = ImageChops.difference(*(each.convert("RGB").reduce(4) for each in (one, other)))
    return max(ImageStat.Stat(difference).mean) < tolerance


# --- is it what it says?


@pytest.mark.parametrize("type_", PHOTOS)
def test_a_photo_of_each_type_is_taken(type_: str) -> None:
    assert look(io.BytesIO(sample(type_)), type_) == (type_, 320, 240)


def test_a_document_has_no_size() -> None:
    assert look(io.BytesIO(PDF), "application/pdf") == ("application/pdf", None, None)


@pytest.mark.parametrize("data", [b"II*\0\x08\0\0\0rest", b"MM\0*\0\0\0\x08rest"])
def test_a_scan_is_taken_as_it_is(data: bytes) -> None:
    assert look(io.BytesIO(data), "image/tiff") == ("image/tiff", None, None)
    assert refused(data[:8], "image/tiff") == "broken_file"
    assert refused(data, "image/png") == "wrong_type"


@pytest.mark.parametrize("type_", ["image/jpeg", "image/png"])
def test_a_picture_that_is_a_scan_may_have_any_size(type_: str) -> None:
    # A1 at 300 dots per inch
    large = _header_says(type_, 9933, 7016)
    assert look(io.BytesIO(large), type_, scan=True) == (type_, 9933, 7016)
    assert refused(large, type_) == "too_many_pixels"
    for data, code in ((large[:20], "broken_file"), (sample("image/webp"), "wrong_type")):
        with pytest.raises(FileRefused) as found:
            look(io.BytesIO(data), type_, scan=True)
        assert found.value.code == code


@pytest.mark.parametrize("declared", [*PHOTOS, *DOCUMENTS, "image/svg+xml", "text/html", ""])
@pytest.mark.parametrize("type_", [*PHOTOS, *DOCUMENTS])
def test_a_type_that_differs_from_the_content_is_refused(declared: str, type_: str) -> None:
    data = PDF if type_ in DOCUMENTS else sample(type_)
    if declared == type_:
        assert look(io.BytesIO(data), declared).type == type_
    else:
        assert refused(data, declared) == "wrong_type"


def _zip() -> bytes:
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("photo.jpg", bytes(10_000_000))
    return out.getvalue()


OTHERS = {
    "nothing": b"",
    "one byte": b"\xff",
    "html": b"<!doctype html><script>alert(1)</script>",
    "svg": b'<svg xmlns="http://www.w3.org/2000/svg" onload="alert(1)"/>',
    "svg with declaration": b'<?xml version="1.0"?><svg xmlns="http://www.w3.org/2000/svg"/>',
    "zip bomb": _zip(),
    "gzip bomb": gzip.compress(bytes(10_000_000)),
    "windows program": b"MZ" + bytes(500),
    "linux program": b"\x7fELF" + bytes(500),
    "script": b"#!/bin/sh\nrm -rf /\n",
    "gif": encoded(Image.new("RGB", (9, 9)), "image/gif"),
    "bmp": encoded(Image.new("RGB", (9, 9)), "image/bmp"),
    "tiff": encoded(Image.new("RGB", (9, 9)), "image/tiff"),
    "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
    "avif": b"\x00\x00\x00\x20ftypavif" + bytes(50),
    "mp4": b"\x00\x00\x00\x20ftypisom" + bytes(50),
    "html before a jpeg": b"<html>\xff\xd8\xff",
}


@pytest.mark.parametrize("data", OTHERS.values(), ids=OTHERS)
def test_everything_else_is_refused_whatever_its_name(data: bytes) -> None:
    for declared in (*PHOTOS, *DOCUMENTS, "image/svg+xml"):
        assert refused(data, declared) == "wrong_type"
    with pytest.raises(FileRefused, match="another type"):
        derive(io.BytesIO(data), PHOTO_LIMITS)


def test_no_copies_are_made_of_a_document() -> None:
    with pytest.raises(FileRefused) as found:
        derive(io.BytesIO(PDF), PHOTO_LIMITS)
    assert found.value.code == "wrong_type"


def test_a_cut_document_is_broken() -> None:
    assert refused(PDF[:-8], "application/pdf") == "broken_file"
    assert refused(PDF + bytes(2000), "application/pdf") == "broken_file"


@pytest.mark.parametrize("share", [0.02, 0.3, 0.6, 0.9, 0.999])
@pytest.mark.parametrize("type_", PHOTOS)
def test_a_cut_photo_is_broken(type_: str, share: float) -> None:
    if type_ == "image/jpeg" and share > 0.02:
        return  # it decodes in part: test_field_photos.py
    data = sample(type_)
    assert refused(data[: int(len(data) * share)], type_) == "broken_file"


@pytest.mark.parametrize("keep", [12, 16, 30])
@pytest.mark.parametrize("type_", PHOTOS)
def test_a_beginning_alone_is_broken(type_: str, keep: int) -> None:
    assert refused(sample(type_)[:keep].ljust(16, b"\x00"), type_) == "broken_file"


def _header_says(type_: str, width: int, height: int) -> bytes:
    """A small file whose header promises another size."""
    data = sample(type_)
    if type_ == "image/jpeg":
        at = data.index(b"\xff\xc0") + 5
        return data[:at] + struct.pack(">HH", height, width) + data[at + 4 :]
    if type_ == "image/png":
        head = chunk(b"IHDR", struct.pack(">II", width, height) + data[24:29])
        return data[:8] + head + data[33:]
    if type_ == "image/webp":
        at = data.index(b"\x9d\x01\x2a") + 3
        return data[:at] + struct.pack("<HH", width, height) + data[at + 4 :]
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", width, height) + data[at + 8 :]


@pytest.mark.parametrize("type_", PHOTOS)
def test_too_many_pixels_are_refused_by_the_header(
    type_: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Pillow's own limit is one for the whole process, and somebody may take it away
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", None)
    edge = int(MOST_PIXELS_OF[type_] ** 0.5) + 2
    bomb = _header_says(type_, edge, edge)
    assert refused(bomb, type_) == "too_many_pixels"
    with pytest.raises(FileRefused) as found:
        derive(io.BytesIO(bomb), PHOTO_LIMITS)
    assert found.value.code == "too_many_pixels"


def test_the_process_s_limits_are_set_too() -> None:
    assert Image.MAX_IMAGE_PIXELS == MOST_PIXELS
    assert ImageFile.LOAD_TRUNCATED_IMAGES is False


@pytest.mark.parametrize("type_", PHOTOS)
def test_a_header_that_promises_another_size_is_no_way_around(type_: str) -> None:
    for size in ((32, 32), (3200, 2400)):
        lying = _header_says(type_, *size)
        found = answer(lying, type_)
        # libjpeg fills what is missing with grey, or stops early
        assert found == "broken_file" or found == (type_, *size)


def _png_with(name: bytes, body: bytes) -> bytes:
    data = sample("image/png")
    return data[:33] + chunk(name, body) + data[33:]


@pytest.mark.parametrize(
    ("name", "before"),
    [(b"zTXt", b"k\x00\x00"), (b"iCCP", b"k\x00\x00"), (b"iTXt", b"k\x00\x01\x00\x00\x00")],
)
def test_a_chunk_that_inflates_without_measure_is_broken(name: bytes, before: bytes) -> None:
    bomb = _png_with(name, before + zlib.compress(bytes(200_000_000), 9))
    assert refused(bomb, "image/png") == "broken_file"


def test_a_jpeg_of_endless_scans_is_broken() -> None:
    data = encoded(photo(size=(320, 240)), "image/jpeg", progressive=True)
    last = data.rindex(b"\xff\xda")
    assert look(io.BytesIO(data), "image/jpeg").width == 320
    assert refused(data[:last] + data[last:-2] * 100 + data[-2:], "image/jpeg") == "broken_file"


def test_a_file_of_countless_pieces_is_broken() -> None:
    data = sample("image/png")
    many = data[:33] + chunk(b"puPp", b"") * (container.MOST_PARTS + 1) + data[33:]
    assert refused(many, "image/png") == "broken_file"
    data = sample("image/jpeg")
    many = data[:2] + segment(0xFE, b"") * (container.MOST_PARTS + 1) + data[2:]
    assert refused(many, "image/jpeg") == "broken_file"


def _exif_bomb() -> bytes:
    """A directory whose every entry claims all of the block: read naively, gigabytes."""
    head = b"Exif\x00\x00II\x2a\x00" + struct.pack("<IH", 8, 60_000)
    entries = b"".join(struct.pack("<HHII", tag, 7, 2_000_000, 8) for tag in range(60_000))
    return (head + entries).ljust(3_000_000, b"\x00")


def test_an_exif_directory_that_points_at_itself_is_not_read() -> None:
    bomb = _exif_bomb()
    pieces = [bomb[at : at + 60_000] for at in range(6, len(bomb), 60_000)]
    data = sample("image/jpeg")
    marked = b"".join(segment(0xE1, b"Exif\x00\x00" + piece) for piece in pieces)
    with warnings.catch_warnings():
        warnings.simplefilter("error")  # Pillow would warn of each entry
        assert look(io.BytesIO(data[:2] + marked + data[2:]), "image/jpeg").width == 320
        assert look(io.BytesIO(_png_with(b"eXIf", bomb[6:])), "image/png").width == 320


@pytest.mark.parametrize("type_", PHOTOS)
def test_nothing_of_exif_is_logged(type_: str, caplog: pytest.LogCaptureFixture) -> None:
    data = encoded(photo(size=(320, 240)), type_, exif=exif(1))
    assert b"Asha" in data
    with caplog.at_level(logging.DEBUG):
        Image.open(io.BytesIO(sample("image/png")))  # Pillow does log
        assert "PIL" in caplog.text
        look(io.BytesIO(data), type_)
        derive(io.BytesIO(data), PHOTO_LIMITS)
    assert "Asha" not in caplog.text


@pytest.mark.parametrize(
    "block",
    [b"", b"Exif\x00\x00", b"Exif\x00\x00MM\x00\x2a", exif(9), exif(0), exif(6)[:20], b"\xff" * 60],
    ids=range(7),
)
def test_exif_that_makes_no_sense_is_passed_over(block: bytes) -> None:
    data = sample("image/jpeg")
    marked = data[:2] + segment(0xE1, block) + data[2:]
    assert look(io.BytesIO(marked), "image/jpeg") == ("image/jpeg", 320, 240)
    assert near(copies(marked)[0], copies(data)[0], 0.1)


def lopsided() -> Image.Image:
    """A photo that is not like itself when it is turned or mirrored."""
    return spot(skin(TONES[5], (320, 200)), at=(0.25, 0.3))


def test_a_lopsided_photo_is_never_like_itself() -> None:
    upright = lopsided()
    for turn in Image.Transpose:
        assert not near(upright.transpose(turn).resize(upright.size), upright)


@pytest.mark.parametrize("order", ["<", ">"])
@pytest.mark.parametrize("type_", ["image/jpeg", "image/png", "image/webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
def test_every_orientation_is_made_upright(type_: str, orientation: int, order: str) -> None:
    upright = lopsided()
    turns = {1: None, 2: 0, 3: 3, 4: 1, 5: 5, 6: 2, 7: 6, 8: 4}  # from upright to how it is stored
    turn = turns[orientation]
    stored = upright if turn is None else upright.transpose(Image.Transpose(turn))
    data = encoded(stored, type_, exif=exif(orientation, order))
    assert b"Asha" in data
    assert look(io.BytesIO(data), type_) == (type_, 320, 200)
    [copy] = copies(data, 896)
    assert near(copy, upright)
    assert b"Asha" not in derive(io.BytesIO(data), PHOTO_LIMITS)[0][0].data


def test_heic_is_turned_once() -> None:
    upright = lopsided()
    data = encoded(upright.transpose(Image.Transpose.ROTATE_90), "image/heic", exif=exif(6))
    assert look(io.BytesIO(data), "image/heic") == ("image/heic", 320, 200)
    assert near(copies(data)[0], upright)


# --- copies


@pytest.mark.parametrize("type_", PHOTOS)
def test_copies_fit_their_edges_and_are_never_enlarged(type_: str) -> None:
    data = sample(type_, (1400, 1000))
    made, quality = derive(io.BytesIO(data), PHOTO_LIMITS)
    assert [(each.edge, each.width, each.height) for each in made] == [
        (896, 896, 640),
        (448, 448, 320),
    ]
    for each in made:
        opened = Image.open(io.BytesIO(each.data))
        assert (opened.format, opened.mode, opened.size) == (
            "JPEG",
            "RGB",
            (each.width, each.height),
        )
    assert quality.measures["short_edge"] == 1000
    small = copies(sample(type_))
    assert [each.size for each in small] == [(320, 240), (320, 240)]


def test_copies_show_the_photo() -> None:
    original = photo(size=(3000, 2000))
    for each in copies(encoded(original, "image/jpeg", quality=95)):
        assert near(each, original.resize(each.size, Image.Resampling.LANCZOS), 4)


PAYLOAD = b"<script>alert('patient-4711')</script>"


def _polyglots() -> dict[str, tuple[str, bytes]]:
    jpeg, png, webp = (sample(f"image/{name}") for name in ("jpeg", "png", "webp"))
    return {
        "html in a jpeg's comment": ("image/jpeg", jpeg[:2] + segment(0xFE, PAYLOAD) + jpeg[2:]),
        "html in a jpeg's unknown segment": (
            "image/jpeg",
            jpeg[:2] + segment(0xE9, PAYLOAD) + jpeg[2:],
        ),
        "xmp of a jpeg": (
            "image/jpeg",
            jpeg[:2] + segment(0xE1, b"http://ns.adobe.com/xap/1.0/\x00" + PAYLOAD) + jpeg[2:],
        ),
        "video behind a jpeg": ("image/jpeg", jpeg + b"MotionPhoto_Data" + PAYLOAD),
        "zip behind a jpeg": ("image/jpeg", jpeg + _zip() + PAYLOAD),
        "second jpeg behind a jpeg": ("image/jpeg", jpeg + jpeg[:300] + PAYLOAD),
        "html in a png": ("image/png", _png_with(b"tEXt", b"Comment\x00" + PAYLOAD)),
        "zip behind a png": ("image/png", png + _zip() + PAYLOAD),
        "html behind a webp": ("image/webp", webp + PAYLOAD),
        "html in a heic": (
            "image/heic",
            encoded(photo(size=(320, 240)), "image/heic", xmp=PAYLOAD),
        ),
    }


@pytest.mark.parametrize("name", _polyglots())
def test_nothing_of_a_polyglot_is_in_its_copies(name: str) -> None:
    type_, data = _polyglots()[name]
    assert PAYLOAD in data
    assert look(io.BytesIO(data), type_) == (type_, 320, 240)
    made, _ = derive(io.BytesIO(data), PHOTO_LIMITS)
    for each in made:
        assert b"4711" not in each.data
        assert _segments(each.data) <= {0xE0, 0xDB, 0xC0, 0xC4, 0xDA, 0xD9}  # JFIF and the picture


def _segments(data: bytes) -> set[int]:
    found, at = set(), 2
    while data[at + 1] not in (0xDA, 0xD9):
        found.add(data[at + 1])
        at += 2 + int.from_bytes(data[at + 2 : at + 4], "big")
    assert data.endswith(b"\xff\xd9")
    return found


def test_a_phone_s_jpeg_of_several_pictures_is_its_first() -> None:
    first, second = photo(size=(320, 240)), Image.new("RGB", (160, 120), "blue")
    out = io.BytesIO()
    first.save(out, "MPO", save_all=True, append_images=[second])
    data = out.getvalue()
    assert Image.open(io.BytesIO(data)).format == "MPO"
    assert look(io.BytesIO(data), "image/jpeg") == ("image/jpeg", 320, 240)
    assert near(copies(data)[0], first)


@pytest.mark.parametrize("type_", ["image/png", "image/webp"])
def test_an_animation_is_its_first_picture(type_: str) -> None:
    first, second = photo(size=(320, 240)), Image.new("RGB", (320, 240), "blue")
    data = encoded(first, type_, save_all=True, append_images=[second])
    assert near(copies(data)[0], first)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16"])
def test_every_kind_of_png_becomes_rgb(mode: str) -> None:
    original = photo(size=(320, 240))
    if mode == "I;16":
        grey = original.convert("L")
        made = Image.frombytes("I;16", grey.size, b"".join(bytes((0, v)) for v in grey.tobytes()))
        expected = grey
    else:
        made = original.convert(mode)
        expected = made.convert("RGB")
    [copy] = copies(encoded(made, "image/png"), 896)
    assert copy.mode == "RGB"
    assert near(copy, expected, 12 if mode == "1" else 5)


@pytest.mark.parametrize("type_", ["image/png", "image/webp", "image/heic"])
def test_what_is_transparent_becomes_white(type_: str) -> None:
    clear = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    [copy] = copies(encoded(clear, type_), 896)
    assert min(low for low, _ in copy.getextrema()) >= 250  # type: ignore[misc]


def test_a_transparent_colour_of_a_palette_becomes_white() -> None:
    picture_ = Image.new("P", (64, 64), 3)
    picture_.putpalette([0, 0, 0] * 256)
    [copy] = copies(encoded(picture_, "image/png", transparency=3), 896)
    assert copy.getpixel((32, 32)) == (255, 255, 255)


def test_grey_and_cmyk_jpegs_become_rgb() -> None:
    original = photo(size=(320, 240))
    for mode in ("L", "CMYK"):
        made = original.convert(mode)
        [copy] = copies(encoded(made, "image/jpeg", quality=95), 896)
        assert near(copy, made.convert("RGB"))


def _profile_of_swapped_colours() -> bytes:
    """sRGB with red and blue changed: whoever reads the profile sees it at once."""
    data = bytearray(ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes())
    tags = {bytes(data[132 + 12 * n : 136 + 12 * n]): 132 + 12 * n for n in range(data[131])}
    red, blue = tags[b"rXYZ"], tags[b"bXYZ"]
    one, other = data[red + 4 : red + 12], data[blue + 4 : blue + 12]
    data[red + 4 : red + 12], data[blue + 4 : blue + 12] = other, one
    return bytes(data)


@pytest.mark.parametrize("type_", PHOTOS)
def test_colours_follow_the_photo_s_own_profile(type_: str) -> None:
    red = Image.new("RGB", (64, 64), (200, 40, 40))
    data = encoded(red, type_, icc_profile=_profile_of_swapped_colours())
    made, _ = derive(io.BytesIO(data), PHOTO_LIMITS)
    shown = Image.open(io.BytesIO(made[0].data))
    assert near(shown, Image.new("RGB", (64, 64), (40, 40, 200)), 8)
    assert "icc_profile" not in shown.info


@pytest.mark.parametrize(
    "profile", [b"x", bytes(4000), random.Random(1).randbytes(3000)], ids=range(3)
)
@pytest.mark.parametrize("type_", ["image/jpeg", "image/png", "image/webp"])
def test_a_profile_that_makes_no_sense_is_passed_over(type_: str, profile: bytes) -> None:
    original = photo(size=(320, 240))
    assert near(copies(encoded(original, type_, icc_profile=profile))[0], original)


@pytest.mark.parametrize("size", [(1, 1), (1, 2000), (2000, 1), (897, 3), (2, 60_000)])
def test_odd_sizes_have_copies(size: tuple[int, int]) -> None:
    data = encoded(Image.new("RGB", size, "brown"), "image/png")
    assert look(io.BytesIO(data), "image/png")[1:] == size
    for each, edge in zip(copies(data), EDGES, strict=True):
        assert max(each.size) <= edge
        assert min(each.size) >= 1


# --- whatever comes

HOSTILE = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


@HOSTILE
@given(data=st.data(), type_=st.sampled_from(PHOTOS))
def test_altered_photos_are_taken_or_refused_and_nothing_else(
    data: st.DataObject, type_: str
) -> None:
    altered = bytearray(sample(type_, (160, 120)))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, max(0, len(altered) - 1)))
        do = data.draw(st.sampled_from(("flip", "set", "cut", "drop", "insert", "splice")))
        if do == "flip" and altered:
            altered[at] ^= 1 << data.draw(st.integers(0, 7))
        elif do == "set":
            altered[at : at + 4] = data.draw(
                st.sampled_from((b"\x00" * 4, b"\xff" * 4, b"\x7f\xff\xff\xff"))
            )
        elif do == "cut":
            del altered[at:]
        elif do == "drop":
            del altered[at : at + data.draw(st.integers(1, 64))]
        elif do == "insert":
            altered[at:at] = data.draw(st.binary(max_size=32))
        else:
            other = sample(data.draw(st.sampled_from(PHOTOS)), (160, 120))
            begin = data.draw(st.integers(0, len(other) - 1))
            altered[at:at] = other[begin : begin + 500]
    _taken_or_refused(bytes(altered), type_)


@HOSTILE
@given(tail=st.binary(max_size=300), type_=st.sampled_from(PHOTOS))
def test_any_bytes_behind_a_true_beginning_are_refused_or_taken(tail: bytes, type_: str) -> None:
    for keep in (3, 12, 16, 40):
        _taken_or_refused(sample(type_, (160, 120))[:keep] + tail, type_)


@HOSTILE
@given(st.binary(max_size=400))
def test_any_exif_has_an_orientation(block: bytes) -> None:
    for head in (b"", b"Exif\x00\x00II\x2a\x00", b"MM\x00\x2a\x00\x00\x00\x08"):
        assert 1 <= container.orientation(head + block) <= 8


def _taken_or_refused(data: bytes, type_: str) -> None:
    found = answer(data, type_)
    assert found in ("wrong_type", "broken_file", "too_many_pixels") or found[0] == type_
    with contextlib.suppress(FileRefused):
        made, _ = derive(io.BytesIO(data), PHOTO_LIMITS)
        assert [each.edge for each in made] == list(EDGES)


# --- memory

_MEASURED = """
import resource, sys
from shared.files import picture
from tests.neutral.tables import PHOTO_LIMITS
with open(sys.argv[1], "rb") as file:
    found = picture.look(file, sys.argv[2])
    assert found.width * found.height > 0.97 * picture.MOST_PIXELS_OF[sys.argv[2]]
    made, _ = picture.derive(file, PHOTO_LIMITS)
assert max(made[0][2:]) == 896
# of this process alone: ru_maxrss would begin with what its parent had when it was started
[peak] = [line.split()[1] for line in open("/proc/self/status") if line.startswith("VmHWM")]
print(int(peak) // 1024)
"""


def _largest(kind: str, folder: Path) -> tuple[Path, str]:
    """A photo of as many pixels as are taken; the form that costs its decoder most."""
    type_ = f"image/{kind.split()[0]}"
    edge = int(MOST_PIXELS_OF[type_] ** 0.5) // 8 * 8
    ground = photo(size=(800, 600)).resize((edge, edge))
    options: dict[str, object] = {}
    if kind == "jpeg progressive":
        ground, options = ground.convert("CMYK"), {"progressive": True, "quality": 50}
    elif kind == "png":
        ground, options = ground.convert("RGBA"), {"compress_level": 1}
        ground.putalpha(200)
    elif kind == "webp":
        options = {"lossless": True, "quality": 0, "method": 0}
    path = folder / "largest"
    path.write_bytes(encoded(ground, type_, **options))
    return path, type_


@pytest.mark.proof
@pytest.mark.parametrize("kind", ["jpeg", "jpeg progressive", "png", "webp", "heic"])
def test_the_largest_photo_stays_under_512_mb(kind: str, tmp_path: Path) -> None:
    path, type_ = _largest(kind, tmp_path)
    ran = subprocess.run(
        [sys.executable, "-c", _MEASURED, path, type_],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert int(ran.stdout) < 512
