"""Photos made by rule: skin of ten tones with a spot on it, and each defect that a photo can have.

The same seed makes the same pixels. Texture and spot change reflectance by a factor, as they do on real
skin, so that a photo of a dark tone differs from that of a light one by its tone alone.
"""

from __future__ import annotations

import io
import random
import struct
import zlib
from functools import cache

import pillow_heif
from PIL import Image, ImageChops, ImageDraw, ImageFilter

#: The ten tones of the Monk Skin Tone Scale, lightest first (skintone.google, sRGB).
TONES = (
    (246, 237, 228),
    (243, 231, 219),
    (247, 234, 208),
    (234, 218, 186),
    (215, 189, 150),
    (160, 126, 86),
    (130, 92, 67),
    (96, 65, 52),
    (58, 49, 42),
    (41, 36, 32),
)
SIZE = (1600, 1200)


def noise(size: tuple[int, int], cell: int, seed: int) -> Image.Image:
    """Grey noise around 128, whose grains are `cell` px wide."""
    small = (size[0] // cell + 2, size[1] // cell + 2)
    grains = random.Random(seed).randbytes(small[0] * small[1])
    grown = Image.frombytes("L", small, grains)
    if cell > 1:
        grown = grown.resize((small[0] * cell, small[1] * cell), Image.Resampling.BICUBIC)
    return grown.crop((0, 0, *size))


@cache
def relief(size: tuple[int, int], seed: int) -> Image.Image:
    """Furrows, mottling, a side that is nearer to the light, and a sensor's grain; 128 is the mean."""
    made = Image.new("L", size, 128)
    wide = size[0]
    for cell, strength in ((max(1, wide // 220), 0.12), (max(2, wide // 40), 0.04), (1, 0.03)):
        made = ImageChops.add(made, noise(size, cell, seed + cell).point(_around(strength)))
        made = ImageChops.subtract(made, Image.new("L", size, round(128 * strength)))
    light = Image.linear_gradient("L").resize(size).point(_around(0.06))
    made = ImageChops.add(made, light)
    return ImageChops.subtract(made, Image.new("L", size, round(128 * 0.06)))


def _around(strength: float) -> list[int]:
    return [round(value * strength) for value in range(256)]


def skin(tone: tuple[int, int, int], size: tuple[int, int] = SIZE, *, seed: int = 1) -> Image.Image:
    """Plain skin, sharp and well lit."""
    ground = relief(size, seed)
    channels = [
        ground.point([min(255, round(value * shade / 128)) for shade in range(256)])
        for value in tone
    ]
    return Image.merge("RGB", channels)


def spot(
    picture: Image.Image,
    at: tuple[float, float] = (0.5, 0.5),
    radius: float = 0.12,
    factors: tuple[float, float, float] = (0.62, 0.5, 0.48),
) -> Image.Image:
    """A pigmented spot with an uneven edge; place and radius as shares of the width and height."""
    width, height = picture.size
    mask = Image.new("L", picture.size)
    draw = ImageDraw.Draw(mask)
    chance = random.Random(7)
    for _ in range(24):
        x = at[0] * width + chance.gauss(0, 0.4) * radius * width
        y = at[1] * height + chance.gauss(0, 0.4) * radius * width
        r = radius * width * chance.uniform(0.3, 0.7)
        draw.ellipse((x - r, y - r, x + r, y + r), fill=chance.randint(170, 255))
    mask = mask.filter(ImageFilter.GaussianBlur(width / 900))
    darker = Image.merge(
        "RGB",
        [
            channel.point([round(value * factor) for value in range(256)])
            for channel, factor in zip(picture.split(), factors, strict=True)
        ],
    )
    return Image.composite(darker, picture, mask)


def photo(
    tone: tuple[int, int, int] = TONES[5], size: tuple[int, int] = SIZE, *, seed: int = 1
) -> Image.Image:
    """A good photo: a spot in the middle of textured skin."""
    return spot(skin(tone, size, seed=seed))


def blurred(picture: Image.Image, radius: float) -> Image.Image:
    """Out of focus; the radius is in px of a picture 448 px wide."""
    return picture.filter(ImageFilter.GaussianBlur(radius * picture.width / 448))


def grainy(picture: Image.Image, strength: float, seed: int = 3) -> Image.Image:
    """With a sensor's noise: `strength` is its greatest deviation, of 255."""
    rough = noise(picture.size, 1, seed).point(_around(strength / 128))
    half = Image.new("RGB", picture.size, (round(strength),) * 3)
    return ImageChops.subtract(ImageChops.add(picture, Image.merge("RGB", [rough] * 3)), half)


def exposed(picture: Image.Image, stops: float) -> Image.Image:
    """With so many stops more (or less) light, clipped as a sensor clips."""

    def shade(value: int) -> int:
        linear = ((value / 255 + 0.055) / 1.055) ** 2.4 if value > 10 else value / 255 / 12.92
        linear = min(1.0, linear * 2.0**stops)
        coded = 12.92 * linear if linear <= 0.0031308 else 1.055 * linear ** (1 / 2.4) - 0.055
        return round(255 * coded)

    return picture.point([shade(value) for value in range(256)] * 3)


def glaring(
    picture: Image.Image, radius: float = 0.1, at: tuple[float, float] = (0.55, 0.45)
) -> Image.Image:
    """With a lamp's reflection on it: burnt out in the middle, fading at its edge."""
    width, height = picture.size
    x, y, r = at[0] * width, at[1] * height, radius * width
    mask = Image.new("L", picture.size)
    ImageDraw.Draw(mask).ellipse((x - r, y - r, x + r, y + r), fill=255)
    mask = mask.filter(ImageFilter.GaussianBlur(width / 100))
    return Image.composite(Image.new("RGB", picture.size, "white"), picture, mask)


# --- files


def encoded(picture: Image.Image, type_: str, **options: object) -> bytes:
    """The picture as a file of a media type."""
    out = io.BytesIO()
    if type_ == "image/heic":
        pillow_heif.from_pillow(picture).save(
            out, quality=70, enc_params={"preset": "ultrafast"}, **options
        )
    else:
        picture.save(out, type_.removeprefix("image/").upper(), **options)  # type: ignore[arg-type]
    return out.getvalue()


def chunk(name: bytes, body: bytes) -> bytes:
    """A chunk of a PNG."""
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def segment(marker: int, body: bytes) -> bytes:
    """A segment of a JPEG."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def exif(orientation: int, order: str = ">") -> bytes:
    """An EXIF block that says which way is up, and where the photo was taken."""
    mark = b"MM\x00\x2a" if order == ">" else b"II\x2a\x00"
    entries = [
        struct.pack(order + "HHI", 0x010E, 2, 14) + struct.pack(order + "I", 8 + 2 + 24 + 4),
        struct.pack(order + "HHIHH", 0x0112, 3, 1, orientation, 0),
    ]
    directory = struct.pack(order + "H", len(entries)) + b"".join(entries) + bytes(4)
    return b"Exif\x00\x00" + mark + struct.pack(order + "I", 8) + directory + b"GPS of Asha N\x00"
