"""How long a photo takes: is it what it says, its copies, its verdict. On one core.

The floor is the least that any such service does with the same pinned decoder: decode at full size and
make the larger copy. Photos are generated; a 12-megapixel JPEG is brought to about 800 kB. Times are of the
processor, all threads together: what one core takes that has nothing else to do.
"""

from __future__ import annotations

import io
import time
from collections.abc import Callable

from PIL import Image

from benchmarks.measure import Report, main
from shared.files import picture
from shared.products.dermadetect.photo_limits import PHOTO_LIMITS
from tests.files.generated import encoded, photo

#: A phone's main camera.
SIZE = (4032, 3024)
GOAL_MS = 300


def run(quick: bool) -> Report:
    """Measure each type of photo; ours and the floor in turn."""
    report = Report("files")
    times = 5 if quick else 25
    ground = photo(size=(1600, 1200)).resize(SIZE, Image.Resampling.BICUBIC)
    for type_ in ("image/jpeg",) if quick else picture.PHOTOS:
        data = _as_jpeg(ground) if type_ == "image/jpeg" else encoded(ground, type_)
        case = f"12 megapixels, {type_.removeprefix('image/')}, {len(data) // 1000:,} kB"
        look, derive, floor = [], [], []
        for _ in range(times):
            look.append(_ms(lambda: picture.look(io.BytesIO(data), type_)))  # noqa: B023
            derive.append(_ms(lambda: picture.derive(io.BytesIO(data), PHOTO_LIMITS)))  # noqa: B023
            if type_ != "image/heic":
                floor.append(_ms(lambda: _plainly(data)))  # noqa: B023
        both = [one + other for one, other in zip(look, derive, strict=True)]
        made = report.row(case, "ours", "ms", both, "look, copies, verdict")
        report.row(case, "ours: look", "ms", look)
        report.row(case, "ours: copies and verdict", "ms", derive)
        if floor:
            report.row(case, "floor", "ms", floor, "decode at full size, one copy")
        if type_ == "image/jpeg":
            report.goal(
                f"a 12-megapixel JPEG of 800 kB in at most {GOAL_MS} ms on one core",
                f"{made.median:.0f} ms",
                made.median <= GOAL_MS,
            )
    return report


def _as_jpeg(ground: Image.Image) -> bytes:
    """The best quality that stays below 800 kB."""
    return next(
        data
        for quality in range(95, 5, -5)
        if len(data := encoded(ground, "image/jpeg", quality=quality)) <= 800_000
    )


def _plainly(data: bytes) -> None:
    image = Image.open(io.BytesIO(data)).convert("RGB")
    image.thumbnail((896, 896), Image.Resampling.LANCZOS)
    image.save(io.BytesIO(), "JPEG", quality=picture.JPEG_QUALITY)


def _ms(work: Callable[[], object]) -> float:
    begin = time.process_time()
    work()
    return (time.process_time() - begin) * 1000


main(__name__, run)
