"""Photos as phones in the field write them: each is taken as it was meant, or refused for a true reason.

Each row names the public report that it comes from.
"""

from __future__ import annotations

import io
import struct
import zlib
from functools import cache

import pytest
from PIL import Image, ImageChops, ImageCms

from shared.errors import FileRefused
from shared.files import container
from shared.files.picture import derive, look
from tests.files.generated import TONES, chunk, encoded, exif, grainy, photo, segment, skin, spot
from tests.files.test_picture import copies, near, refused
from tests.neutral.tables import PHOTO_LIMITS

SIZE = (320, 200)
XMP = b"http://ns.adobe.com/xap/1.0/\x00"


@cache
def upright() -> Image.Image:
    """A photo that is not like itself when it is turned or mirrored."""
    return spot(skin(TONES[5], SIZE), at=(0.25, 0.3))


@cache
def lying() -> Image.Image:
    """The same as a phone that was held upright stores it: orientation 6 shows it."""
    return upright().transpose(Image.Transpose.ROTATE_90)


@cache
def jpeg(*, turned: bool = False, **options: object) -> bytes:
    return encoded(lying() if turned else upright(), "image/jpeg", quality=90, **options)


def behind_start(data: bytes, *segments: bytes) -> bytes:
    return data[:2] + b"".join(segments) + data[2:]


def orientation(value: int, form: int, order: str, *before: bytes) -> bytes:
    """An EXIF block whose orientation is a number of this form."""
    sign = {1: "B", 3: "H", 4: "I", 6: "b", 8: "h", 9: "i"}[form]
    body = struct.pack(order + sign, value).ljust(4, b"\x00")
    entry = struct.pack(order + "HHI", 0x0112, form, 1) + body
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "HI", 42, 8)
    count = struct.pack(order + "H", len(before) + 1)
    return b"Exif\x00\x00" + head + count + b"".join(before) + entry + bytes(4)


def quality(data: bytes) -> tuple[str, ...]:
    return derive(io.BytesIO(data), PHOTO_LIMITS)[1].reasons


def shows(data: bytes, type_: str, tolerance: float = 3) -> bool:
    """Whether it is taken, is whole, and its copy shows the photo upright."""
    assert look(io.BytesIO(data), type_) == (type_, *SIZE)
    assert "incomplete" not in quality(data)
    return near(copies(data, 896)[0], upright(), tolerance)


def _mpo() -> bytes:
    out = io.BytesIO()
    upright().save(out, "MPO", quality=90, save_all=True, append_images=[lying()])
    return out.getvalue()


def _ycck() -> bytes:
    """CMYK as Photoshop writes it: the marker says that its values are inverted."""
    return encoded(upright().convert("CMYK"), "image/jpeg", quality=95)


def _without_tables() -> bytes:
    """A frame of a cheap camera's video: its Huffman tables are those of the standard, and left out."""
    data, kept, at = jpeg(), b"\xff\xd8", 2
    while data[at + 1] != 0xDA:
        end = at + 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        kept += b"" if data[at + 1] == 0xC4 else data[at:end]
        at = end
    return kept + data[at:]


def _samsung_j1() -> bytes:
    data = bytearray(jpeg())
    scan = data.index(b"\xff\xda")
    data[scan + 5 + 2 * data[scan + 4] + 1] = 0
    return bytes(data)


MP4 = struct.pack(">I", 24) + b"ftypmp42" + bytes(12) + struct.pack(">I", 8) + b"mdat" + bytes(900)
SEFT = b"\x00\x00\x01\x0a\x0e\x00\x00\x00Image_UTC_Data1700000000000SEFHj\x00\x00\x00SEFT"
THUMB = encoded(photo(size=(160, 120)), "image/jpeg")
XML = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description %s/></x:xmpmeta>'

JPEGS = {
    # SixLabors/ImageSharp#440, adobe-stock-integration#1659; Pillow's "image file is truncated" (#889)
    "no end marker": jpeg()[:-2],
    "half an end marker": jpeg()[:-1],
    "no end marker, progressive (Pillow#2717)": jpeg(progressive=True)[:-2],
    "no end marker, restarts": jpeg(restart_marker_rows=1)[:-2],
    "no end marker, zeros behind (broken card)": jpeg()[:-2] + bytes(5000),
    "no end marker, ones behind (erased flash)": jpeg()[:-2] + b"\xff" * 5000,
    "no end marker before a second picture": jpeg()[:-2] + THUMB,
    "motion photo, video behind (gkv311/sview#138)": jpeg() + b"MotionPhoto_Data" + MP4,
    "Samsung trailer (UnevenSoftware/LeafPic#295)": jpeg() + SEFT,
    "video and trailer (deckerst/aves#1424)": jpeg() + MP4 + SEFT,
    "two pictures (MPO, gain map; Pillow#1960)": _mpo(),
    "zeros behind the end": jpeg() + bytes(3000),
    "blanks before (TwelveMonkeys#132)": b"\n" + jpeg(),
    "a byte order mark and lines before": b"\xef\xbb\xbf\r\n\r\n" + jpeg(),
    "garbage between segments (xiaozhuai/imageinfo#4)": jpeg().replace(
        b"\xff\xdb", b"\x0a" * 7 + b"\xff\xdb", 1
    ),
    "markers that are filled up": jpeg().replace(b"\xff\xdb", b"\xff\xff\xff\xdb", 1),
    "Invalid SOS parameters (libvips#2309)": _samsung_j1(),
    "no Huffman tables (frames of webcams)": _without_tables(),
    "a thumbnail in EXIF as large as can be": behind_start(
        jpeg(), segment(0xE1, (exif(1) + THUMB).ljust(65_533, b"\x00"))
    ),
    "a megabyte of maker's notes": behind_start(
        jpeg(), *[segment(0xE2, b"MPF\x00" + bytes(60_000))] * 17
    ),
    "a profile that is none": jpeg(icc_profile=b"nonsense" * 40),
    "restart markers": jpeg(restart_marker_rows=1),
    "progressive": jpeg(progressive=True),
}
for _order in "<>":
    for _form in (1, 3, 4, 6, 8, 9):  # nomacs/nomacs#1646, qgis/QGIS#55073: 4
        JPEGS[f"orientation of form {_form}, {_order}"] = behind_start(
            jpeg(turned=True), segment(0xE1, orientation(6, _form, _order))
        )
for _name, _said in {
    "attribute": b'tiff:Orientation="6"',
    "attribute in single quotes": b"tiff:Orientation='6'",
    "element (Pillow#6462)": b"><tiff:Orientation>6</tiff:Orientation",
}.items():
    JPEGS[f"orientation in XMP, {_name}"] = behind_start(
        jpeg(turned=True), segment(0xE1, XMP + XML % _said)
    )
    JPEGS[f"orientation in XMP, none in EXIF, {_name}"] = behind_start(
        jpeg(turned=True), segment(0xE1, exif(0)), segment(0xE1, XMP + XML % _said)
    )
JPEGS["EXIF counts where XMP differs (osxphotos#378)"] = behind_start(
    jpeg(), segment(0xE1, XMP + XML % b'tiff:Orientation="6"'), segment(0xE1, exif(1))
)


@pytest.mark.parametrize("data", JPEGS.values(), ids=JPEGS)
def test_a_jpeg_of_the_field_is_shown_as_it_was_meant(data: bytes) -> None:
    assert shows(data, "image/jpeg")


def _png16() -> bytes:
    """16 bits a channel, as editors write it."""
    width, height = SIZE
    pixels = upright().tobytes()
    rows = (
        b"\x00" + bytes(part for value in row for part in (value, 77))
        for row in (pixels[at : at + 3 * width] for at in range(0, len(pixels), 3 * width))
    )
    head = struct.pack(">IIBBBBB", width, height, 16, 2, 0, 0, 0)
    body = chunk(b"IHDR", head) + chunk(b"IDAT", zlib.compress(b"".join(rows)))
    return b"\x89PNG\r\n\x1a\n" + body + chunk(b"IEND", b"")


def _animated(type_: str) -> bytes:
    others = [Image.new("RGB", SIZE, name) for name in ("white", "black")]
    return encoded(upright(), type_, save_all=True, append_images=others, quality=95)


def _png_with(part: bytes, picture: Image.Image | None = None) -> bytes:
    data = encoded(picture or upright(), "image/png")
    return data[:33] + part + data[33:]


def _xmp_png() -> bytes:
    text = b"XML:com.adobe.xmp\x00\x00\x00\x00\x00" + XML % b'tiff:Orientation="6"'
    return _png_with(chunk(b"iTXt", text), lying())


def _heic(brand: bytes, **options: object) -> bytes:
    data = encoded(upright(), "image/heic", **options)
    return data[:8] + brand + data[12:]


SRGB = ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()

OTHERS = {
    "16-bit PNG": ("image/png", _png16()),
    "APNG": ("image/png", _animated("image/png")),
    "PNG without its end": ("image/png", encoded(upright(), "image/png")[:-12]),
    "PNG with half its end": ("image/png", encoded(upright(), "image/png")[:-5]),
    "PNG with bytes behind": ("image/png", encoded(upright(), "image/png") + bytes(99)),
    "PNG with a wrong sum of a remark": (
        "image/png",
        _png_with(chunk(b"tEXt", b"a\x00b")[:-1] + b"?"),
    ),
    "PNG that XMP turns": ("image/png", _xmp_png()),
    "PNG with a line before": ("image/png", b"\r\n" + encoded(upright(), "image/png")),
    "animated WebP": ("image/webp", _animated("image/webp")),
    "WebP with bytes behind": ("image/webp", encoded(upright(), "image/webp") + b"x" * 99),
    "WebP that XMP turns": (
        "image/webp",
        encoded(lying(), "image/webp", quality=95, xmp=XML % b'tiff:Orientation="6"'),
    ),
    "HEIC of another brand (mif1)": ("image/heic", _heic(b"mif1")),
    "HEIC of another brand (msf1)": ("image/heic", _heic(b"msf1")),
    "HEIC with a video behind": ("image/heic", _heic(b"heic") + MP4),
    "HEIC with a trailer": ("image/heic", _heic(b"heic") + SEFT),
    "HEIC with a profile": ("image/heic", _heic(b"heic", icc_profile=SRGB)),
}


@pytest.mark.parametrize(("type_", "data"), OTHERS.values(), ids=OTHERS)
def test_another_photo_of_the_field_is_shown_as_it_was_meant(type_: str, data: bytes) -> None:
    assert shows(data, type_, 5)


def test_a_webp_without_its_last_byte_is_shown() -> None:
    data = encoded(upright(), "image/webp", quality=95, xmp=b"odd")
    assert data.endswith(b"XMP \x03\x00\x00\x00odd\x00")
    assert shows(data[:-1], "image/webp")


def test_an_avif_that_calls_itself_a_general_picture_is_of_another_type() -> None:
    box = b"ftypmif1" + bytes(4) + b"mif1avifmiaf"
    data = struct.pack(">I", len(box) + 4) + box + bytes(200)
    assert refused(data, "image/heic") == "wrong_type"


@pytest.mark.parametrize("type_", ["image/png", "image/webp", "image/heic"])
def test_a_photo_that_is_called_a_jpeg_is_refused_with_what_it_is(type_: str) -> None:
    # react-native-image-picker#2009: a HEIC of an iPhone
    with pytest.raises(FileRefused) as fault:
        look(io.BytesIO(encoded(upright(), type_)), "image/jpeg")
    assert (fault.value.code, fault.value.found) == ("wrong_type", type_)


def test_cmyk_of_an_editor_keeps_its_colours() -> None:
    [copy] = copies(_ycck(), 896)
    assert near(copy, upright().convert("CMYK").convert("RGB"))


# --- what breaks off


def test_a_jpeg_that_breaks_off_is_shown_as_far_as_it_goes_and_called_incomplete() -> None:
    for options in ({}, {"restart_marker_rows": 1}, {"subsampling": "4:4:4"}):
        data = jpeg(**options)
        for share in (0.4, 0.6, 0.9, 0.999):
            cut = data[: int(len(data) * share)]
            assert look(io.BytesIO(cut), "image/jpeg") == ("image/jpeg", *SIZE)
            assert quality(cut)[0] == "incomplete"
            [copy] = copies(cut, 896)
            top = (0, 0, SIZE[0], int(SIZE[1] * share * 0.4) // 8 * 8)
            assert near(copy.crop(top), copies(data, 896)[0].crop(top), 1)
        assert "incomplete" not in quality(data)


@pytest.mark.parametrize("behind", [b"", bytes(900), b"\xff" * 900], ids=["", "zeros", "ones"])
def test_a_photo_that_ends_in_a_zero_of_its_own_is_whole_without_its_marker(behind: bytes) -> None:
    ends, ground = set(), photo(size=(96, 72))
    for seed in range(40):
        data = encoded(grainy(ground, 40, seed=seed), "image/jpeg", quality=85)[:-2]
        ends.add(data[-1])
        assert "incomplete" not in quality(data + behind)
    assert 0 in ends


@pytest.mark.parametrize("share", [0.3, 0.6, 0.9, 0.97])
def test_a_progressive_jpeg_that_breaks_off_is_shown_coarsely(share: float) -> None:
    data = jpeg(progressive=True)
    cut = data[: int(len(data) * share)]
    assert quality(cut)[0] == "incomplete"
    if share > 0.5:
        assert near(copies(cut, 896)[0], upright(), 12)


@pytest.mark.parametrize("end", [b"", b"\xff\xd9"], ids=["", "ended"])
def test_a_progressive_jpeg_whose_last_scans_never_came_is_incomplete(end: bytes) -> None:
    data = jpeg(progressive=True)
    scans = [at for at in range(len(data)) if data.startswith(b"\xff\xda", at)]
    assert len(scans) > 5
    for scan in scans[1:]:
        assert quality(data[:scan] + end)[0] == "incomplete"
    assert "incomplete" not in quality(data)


ENDINGS = {
    "an end marker": b"\xff\xd9",
    "zeros": bytes(100_000),
    "ones": b"\xff" * 100_000,
    "a marker of nothing": b"\xff\x3a\x12",
    "another photo": THUMB,
    "half a segment": b"\xff\xe1\xf0\x00Exif",
    "text": b"\r\n--boundary--\r\n",
    "unstuffed bytes (TwelveMonkeys#1054)": b"\xff\xcf\x00\x04ab\xff\xc5",
}


@pytest.mark.parametrize("ending", ENDINGS.values(), ids=ENDINGS)
def test_whatever_follows_where_a_jpeg_breaks_off_it_is_incomplete(ending: bytes) -> None:
    data = jpeg()
    cut = data[: len(data) // 2] + ending
    assert look(io.BytesIO(cut), "image/jpeg") == ("image/jpeg", *SIZE)
    assert quality(cut)[0] == "incomplete"


def test_a_jpeg_of_which_nothing_can_be_shown_is_broken() -> None:
    data = jpeg()
    scan = data.index(b"\xff\xda")
    for cut in (data[:scan], data[: scan + 6], data[: scan + 14], data[: scan + 14] + bytes(5000)):
        with pytest.raises(FileRefused) as found:
            derive(io.BytesIO(cut), PHOTO_LIMITS)
        assert found.value.code == "broken_file"


def test_what_a_decoder_is_given_ends_with_an_end_marker_and_holds_no_metadata() -> None:
    data = behind_start(jpeg(turned=True), segment(0xE1, exif(6)), segment(0xE1, XMP + b"Asha"))
    for each in (data, data[:-2], data[: len(data) // 2]):
        given = container.outline("image/jpeg", each).data
        assert given.endswith(b"\xff\xd9")
        assert b"Asha" not in given


def test_the_two_photos_of_these_tests_differ() -> None:
    assert not near(lying().resize(SIZE), upright())
    assert ImageChops.difference(upright(), lying().resize(SIZE)).getbbox()
