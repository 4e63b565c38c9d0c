"""A drawing that somebody sent: PDF, PNG, TIFF or JPEG; its pages as pictures and words.

The file is opened by `child` alone, in a process with bounded memory and time: whatever a file does, that
process pays for it. What cannot be used is a `FileRefused` with one of the codes of `REFUSALS`.
"""

from __future__ import annotations

import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

from shared.errors import FileRefused
from shared.products.buildtrace.drawings import child
from shared.products.buildtrace.drawings.ink import without_bed

if TYPE_CHECKING:
    from numpy.typing import NDArray

    #: Rows × columns of bytes: 0 is black, 255 is white.
    Gray = NDArray[Any]

log = logging.getLogger(__name__)

_PROGRAM = Path(child.__file__)

#: Left, top, right, bottom.
Rect = tuple[float, float, float, float]

#: x' = a·x + c·y + e, y' = b·x + d·y + f, as PDF writes it: (a, b, c, d, e, f).
Matrix = tuple[float, float, float, float, float, float]

#: Why a file is not taken, and what to do: code → words.
REFUSALS: Mapping[str, str] = {
    "drawing_broken": "The file cannot be read: it is damaged or cut off. Export or scan it again.",
    "drawing_encrypted": "The file asks for a password. Save it without one and upload it again.",
    "drawing_empty": "The file has no page.",
    "drawing_unknown": "The file is neither PDF nor PNG, TIFF or JPEG.",
    "drawing_too_many_pages": f"The file has more than {child.MOST_PAGES} pages. Split it.",
    "drawing_page_too_large": "A page is larger than 5 by 5 metres, or has too many pixels. "
    "Export it at its paper size.",
    "drawing_too_complex": f"A page has more than {child.MOST_OBJECTS:,} lines and letters. "
    "Export it with fewer, or as a picture.",
    "drawing_too_heavy": "Opening the file takes too much time or memory. Export it again, smaller.",
}

#: By the clock, seconds, without those in which a processor was waited for; and with them.
_SECONDS, _MOST_SECONDS = 5.0, 20.0

#: Seconds in which no file can have used up what its process may use.
_AT_ONCE = 1.0

#: How often the clock is looked at, seconds.
_LOOK_SECONDS = 0.25

#: With fewer words in the file nearly all letters of a sheet are something else.
_FEW_WORDS = 5

#: What a page is shown and compared at, dots per inch: letters of 2.5 mm are 20 pixels high.
DPI = child.DPI


@dataclass(frozen=True)
class SheetWord:
    """A word on a sheet. `angle`: its reading direction in degrees, against the clock; 0 is level.

    `confidence` is 1 for text of the file itself, below for what was read from a picture. `size`: height
    of the letters in points.
    """

    text: str
    rect: Rect
    angle: float = 0.0
    size: float = 0.0
    confidence: float = 1.0


@dataclass(frozen=True)
class PageInfo:
    """A page's size in points, as it is shown."""

    width: float
    height: float


@dataclass(frozen=True, eq=False)
class SheetPage:
    """A page as a picture, with the words that the file itself has.

    `gray`: rows × columns at `dpi`, dark on white. `scan`: nearly all of it is a picture. `dark`: its file
    has it in light on dark.
    """

    drawing: Drawing
    number: int
    dpi: float
    width: float
    height: float
    scan: bool
    gray: Gray
    words: tuple[SheetWord, ...] = ()
    dark: bool = False

    @property
    def scale(self) -> float:
        """Pixels of a point."""
        return self.dpi / 72

    @property
    def pictured(self) -> bool:
        """Whether its letters must be read from the picture: of a scan, and where a CAD program has
        plotted fonts of its own (SHX), which are lines.
        """
        return len(self.words) < _FEW_WORDS

    def rendered(self, matrix: Matrix, width: int, height: int) -> Gray:
        """The page anew: `matrix` takes its points to pixels of a picture of this size."""
        size = (width, height)
        return self.drawing.picture(self.number, self.dpi, matrix, size, self.dark).gray


@dataclass(frozen=True)
class Drawing:
    """A file that can be opened."""

    data: bytes = field(repr=False)
    media_type: str
    pages: tuple[PageInfo, ...]

    def page(self, number: int, dpi: float = 0) -> SheetPage:
        """Page `number` (from 0). Raises `FileRefused`, and `IndexError` if there is none.

        Without `dpi` at `DPI`; a scan of `child.LEAST_DPI` to `DPI` as it is, for nothing is in it that
        more pixels would show.
        """
        self.pages[number]
        return self.picture(number, dpi, None, None)

    def picture(
        self,
        number: int,
        dpi: float,
        matrix: Matrix | None,
        size: tuple[int, int] | None,
        dark: bool | None = None,
    ) -> SheetPage:
        """See `page` and `SheetPage.rendered`."""
        import numpy

        asked = {"do": "page", "number": number, "dpi": dpi, "matrix": matrix, "size": size}
        said, picture = _ask(self.data, {**asked, "type": self.media_type, "dark": dark})
        columns, rows = said["pixels"]
        gray = numpy.frombuffer(picture, numpy.uint8).reshape(rows, columns)
        if said["scan"]:
            gray = without_bed(gray)
        words = tuple(
            SheetWord(text, (left, top, right, bottom), angle, height)
            for text, left, top, right, bottom, angle, height in said["words"]
        )
        info = self.pages[number]
        return SheetPage(
            self,
            number,
            said["dpi"],
            info.width,
            info.height,
            said["scan"],
            gray,
            words,
            said["dark"],
        )


def open_drawing(data: bytes, media_type: str = "") -> Drawing:  # noqa: ARG001
    """Look at a file: what it is (its bytes decide, not its name) and its pages' sizes.

    Takes up to 5 s of a processor. Raises `FileRefused`.
    """
    kind = child.type_of(data[:1024])
    if not kind:
        raise _refused("drawing_unknown")
    said, _ = _ask(data, {"do": "look", "type": kind})
    return Drawing(data, kind, tuple(PageInfo(*size) for size in said["pages"]))


def one_page(data: bytes, number: int) -> bytes:
    """Page `number` of a PDF as a PDF of its own, sound and not encrypted. Raises `FileRefused`."""
    _, pdf = _ask(data, {"do": "cut", "type": child.PDF, "number": number})
    return pdf


def _refused(code: str) -> FileRefused:
    return FileRefused(REFUSALS[code], code=code)


def _ask(data: bytes, asked: Mapping[str, Any]) -> tuple[dict[str, Any], bytes]:
    """What `child` answers: a line of JSON, then bytes. Raises `FileRefused`.

    The child bounds its own time on a processor (`child.CPU_SECONDS`), which does not see it sleep. So
    its clock is bound too, less the time that it stood in the queue for a processor (Linux's
    /proc/<pid>/schedstat): on an idle machine it ends after `_SECONDS`, and on a busy one no good file
    is refused for the others' sake. A process that ends at once without an answer says nothing of the
    file: another one is started, once.
    """
    began = time.monotonic()
    ended, line, rest = _answered(data, asked)
    if (ended or not line) and time.monotonic() - began < _AT_ONCE:
        log.warning("a drawing is opened again", extra={"asked": asked["do"], "ended": ended})
        ended, line, rest = _answered(data, asked)
    if ended or not line:
        log.warning("a drawing was not opened", extra={"asked": asked["do"], "ended": ended})
        raise _refused("drawing_too_heavy")
    answer: dict[str, Any] = json.loads(line)
    if "refused" in answer:
        raise _refused(answer["refused"])
    return answer, rest


def _answered(data: bytes, asked: Mapping[str, Any]) -> tuple[int, bytes, bytes]:
    """How a child ended (0: well), its line, and what it wrote behind it. Raises `FileRefused`."""
    paths = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": "", "LC_ALL": "C.UTF-8"}
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        given.write(data)
        given.seek(0)
        with subprocess.Popen(  # noqa: S603  our own program; the words are numbers and types
            [sys.executable, "-P", str(_PROGRAM), json.dumps(asked)],
            stdin=given,
            stdout=said,
            stderr=subprocess.DEVNULL,
            env=paths,
        ) as running:
            try:
                _await(running)
            finally:
                running.kill()
        said.seek(0)
        return running.returncode, said.readline(), said.read()


def _await(running: subprocess.Popen[bytes], seconds: float = _SECONDS) -> None:
    """Until it ends. Raises `FileRefused` where it takes more than `seconds` of its own."""
    began = time.monotonic()
    while True:
        try:
            running.wait(_LOOK_SECONDS)
        except subprocess.TimeoutExpired:
            taken = time.monotonic() - began
            if taken > _MOST_SECONDS or taken - _queued(running.pid) > seconds:
                raise _refused("drawing_too_heavy") from None
        else:
            return


def _queued(pid: int) -> float:
    """Seconds that a process was ready and had no processor; where Linux does not say, all that may be."""
    try:
        return int(Path(f"/proc/{pid}/schedstat").read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return _MOST_SECONDS
