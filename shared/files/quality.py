"""Advice on a photo: is it good enough to be read, or worth taking again, and why.

Advice only. It never refuses a file, never holds back a record, and says nothing of what is shown. The
same pixels always give the same verdict. What is measured is the same for every product; from where on it
is a defect is the product's to say (`PhotoLimits`).

Measured at fixed scales, so that a phone's resolution does not matter:

`sharpness`   Variance of the Laplacian (Pech-Pacheco et al., "Diatom autofocusing in brightfield
              microscopy", ICPR 2000; compared with others in Pertuz et al., Pattern Recognition 46, 2013),
              in a picture 448 px long after a binomial blur, divided by the variance of all detail: the
              share of the detail that is fine. Noise is fine, too, so its part is estimated (Immerkær,
              "Fast noise variance estimation", CVIU 64, 1996) and taken off.
`brightness`  Brightness (luma, 0 to 255) that the brightest tenth of the picture exceeds.
`burnt`       Share of the middle whose green is clipped.
`glare`       Share of the largest white, colourless area that does not reach the picture's edge: a lamp's
              reflection. What reaches the edge is more likely a white thing.
`short_edge`  The original's shorter edge, px.
`presence`    How far anything in the middle stands out from what surrounds it, in the colour where it
              stands out most.

Contrasts are relative to the local brightness (Weber), as reflectance is: the same structure measures the
same on light and on dark ground.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple, cast

from PIL import Image, ImageChops, ImageMath

from shared.files.file import PhotoLimits

#: What may be wrong, most serious first.
REASONS = ("incomplete", "blurred", "too_dark", "too_bright", "glare", "low_resolution", "framing")

#: Longest edges, px, of the pictures that are measured: detail, white areas, and what stands out.
_DETAIL, _AREAS, _COARSE = 448, 112, 56
#: The middle: this share of each edge is left out on each side.
_MARGIN = 0.2
#: The middle's longest edge where its detail is measured, as in a picture of `_DETAIL` px.
_MIDDLE_DETAIL = 268
#: Green from which a sensor is taken to be full, and the least channel of white without colour.
_CLIPPED, _WHITE = 253, 250
#: What white noise of variance 1 leaves after blur and Laplacian, and after Immerkær's operator.
_NOISE_IN_SHARPNESS, _NOISE_IN_OPERATOR = 0.406, 36.0
#: Added where a relative contrast is taken, of 255, so that noise in black counts for little; and to the
#: variance of detail, so that a picture of nothing is not sharp.
_BLACK, _NOTHING = 8.0, 1e-4


class Quality(NamedTuple):
    """Advice. `reasons` is empty if, and only if, the verdict is "good"."""

    verdict: str  # "good" | "retake"
    reasons: tuple[str, ...]
    measures: Mapping[str, float]
    version: str


def judge(
    image: Image.Image, width: int, height: int, limits: PhotoLimits, *, incomplete: bool = False
) -> Quality:
    """The verdict on a photo: its pixels as RGB, upright, at any scale from 448 px up (smaller only if
    the original is), and the size of the original. `incomplete`: part of it is missing."""
    small = _scaled(image, _DETAIL)
    sharpness = _sharpness(image)
    brightness = _quantile(small.convert("L"), 0.9)
    burnt = _share(_middle(small).getchannel("G"), _CLIPPED)
    glare = _glare(small)
    presence = _presence(small)
    found = {
        "incomplete": incomplete,
        "blurred": sharpness < limits.least_sharpness,
        "too_dark": brightness < limits.least_brightness,
        "too_bright": burnt > limits.most_burnt,
        "glare": glare > limits.most_glare,
        "low_resolution": min(width, height) < limits.least_short_edge,
    }
    # Where blur or light hide what is there, they are the advice; the framing is seen in the next photo.
    hidden = found["blurred"] or found["too_dark"] or found["too_bright"]
    found["framing"] = presence < limits.least_presence and not hidden
    reasons = tuple(reason for reason in REASONS if found[reason])
    measures = {
        "sharpness": round(sharpness, 3),
        "brightness": float(brightness),
        "burnt": round(burnt, 3),
        "glare": round(glare, 4),
        "short_edge": float(min(width, height)),
        "presence": round(presence, 3),
    }
    return Quality("retake" if reasons else "good", reasons, measures, limits.version)


# --- pictures of numbers: mode F, in 32-bit floats


def _map(formula: Any, **pictures: Image.Image) -> Image.Image:
    """A picture from others, pixel by pixel."""
    return cast(Image.Image, ImageMath.lambda_eval(formula, **pictures))


def _power(picture: Image.Image) -> float:
    """The mean of all squares."""
    squares = _map(lambda a: a["x"] * a["x"], x=picture)
    return cast(float, squares.resize((1, 1), Image.Resampling.BOX).getpixel((0, 0)))


def _contrast(picture: Image.Image, cell: int) -> Image.Image:
    """Each pixel against the mean of its surroundings (`cell` px), relative to it."""
    width, height = picture.size
    coarse = (max(1, width // cell), max(1, height // cell))
    mean = picture.resize(coarse, Image.Resampling.BOX).resize(
        picture.size, Image.Resampling.BICUBIC
    )
    return _map(lambda a: (a["x"] - a["m"]) / (a["m"] + _BLACK), x=picture, m=mean)


def _around(picture: Image.Image, formula: Any) -> Image.Image:
    """A formula of each pixel (`c`) and its eight neighbours (`nw`, `n`, `ne`, `w` …); 2 px smaller."""
    width, height = picture.size
    places = {"n": (1, 0), "s": (1, 2), "w": (0, 1), "e": (2, 1), "c": (1, 1)}
    places |= {"nw": (0, 0), "ne": (2, 0), "sw": (0, 2), "se": (2, 2)}
    views = {
        name: picture.crop((x, y, x + width - 2, y + height - 2)) for name, (x, y) in places.items()
    }
    return _map(formula, **views)


def _blur(a: Any) -> Any:
    corners = a["nw"] + a["ne"] + a["sw"] + a["se"]
    return (corners + 2 * (a["n"] + a["s"] + a["w"] + a["e"]) + 4 * a["c"]) / 16


def _laplacian(a: Any) -> Any:
    return a["n"] + a["s"] + a["w"] + a["e"] - 4 * a["c"]


def _immerkaer(a: Any) -> Any:
    corners = a["nw"] + a["ne"] + a["sw"] + a["se"]
    return corners - 2 * (a["n"] + a["s"] + a["w"] + a["e"]) + 4 * a["c"]


# --- measures


def _sharpness(image: Image.Image) -> float:
    """0 for what has no fine detail, about 1 for what is as sharp as its scale allows."""
    middle = _middle(image.convert("L")).convert("F")
    if max(middle.size) < _MIDDLE_DETAIL or min(middle.size) < 16:
        return 1.0  # too small to say; `low_resolution` says so
    detail = _contrast(_scaled(middle, _MIDDLE_DETAIL), 8)
    smooth = _around(detail, _blur)
    noise = _power(_around(detail, _immerkaer)) / _NOISE_IN_OPERATOR
    fine = _power(_around(smooth, _laplacian)) - _NOISE_IN_SHARPNESS * noise
    return max(0.0, fine) / (_power(smooth) + _NOTHING)


def _glare(small: Image.Image) -> float:
    """Share of the largest white area that does not touch the edge."""
    red, green, blue = small.split()
    least = ImageChops.darker(ImageChops.darker(red, green), blue)
    mask = _scaled(least.point([255 * (value >= _WHITE) for value in range(256)]), _AREAS)
    width, height = mask.size
    white = {place for place, value in enumerate(mask.tobytes()) if value >= 128}
    largest = 0
    while white:
        waiting, area, inside = [white.pop()], 0, True
        while waiting:
            y, x = divmod(waiting.pop(), width)
            area += 1
            inside = inside and 0 < x < width - 1 and 0 < y < height - 1
            for near, there in (
                (y * width + x - 1, x > 0),
                (y * width + x + 1, x < width - 1),
                ((y - 1) * width + x, True),
                ((y + 1) * width + x, True),
            ):
                if there and near in white:
                    white.remove(near)
                    waiting.append(near)
        largest = max(largest, area if inside else 0)
    return largest / (width * height)


def _presence(small: Image.Image) -> float:
    """The contrast that a hundredth of the middle exceeds, in the channel where it is largest."""
    coarse = _scaled(small, _COARSE)
    contrasts = [_contrast(channel.convert("F"), 8) for channel in coarse.split()]
    strongest = _map(
        lambda a: a["max"](a["max"](abs(a["r"]), abs(a["g"])), abs(a["b"])),
        **dict(zip("rgb", contrasts, strict=True)),
    )
    inside = _middle(strongest)
    values = sorted(
        cast(float, inside.getpixel((x, y)))
        for y in range(inside.height)
        for x in range(inside.width)
    )
    return values[int(0.99 * (len(values) - 1))]


# --- pixels


def _scaled(picture: Image.Image, edge: int) -> Image.Image:
    """With its longest edge at `edge` px, if it is longer: each pixel a mean of those it stands for."""
    longest = max(picture.size)
    if longest <= edge:
        return picture
    width, height = (max(1, round(side * edge / longest)) for side in picture.size)
    return picture.resize((width, height), Image.Resampling.BOX)


def _middle(picture: Image.Image) -> Image.Image:
    width, height = picture.size
    left, top = int(width * _MARGIN), int(height * _MARGIN)
    return picture.crop((left, top, width - left, height - top))


def _quantile(grey: Image.Image, share: float) -> int:
    """The least value that at least this share of all pixels does not exceed."""
    left = share * grey.width * grey.height
    for value, count in enumerate(grey.histogram()):
        left -= count
        if left <= 0:
            return value
    return 255


def _share(grey: Image.Image, least: int) -> float:
    """The share of pixels that have at least this value."""
    return sum(grey.histogram()[least:]) / (grey.width * grey.height)
