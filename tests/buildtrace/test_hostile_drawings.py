"""Files that would break who opens them: each is refused in words, with a code, within bounds."""

from __future__ import annotations

import io
import subprocess
import sys
import zlib
from pathlib import Path

import pytest
from PIL import Image

from benchmarks import plans
from shared.errors import FileRefused
from shared.products.buildtrace.drawings import child, document
from shared.products.buildtrace.drawings.document import REFUSALS, _await, open_drawing


def _pdf(content: bytes = b"", box: str = "[0 0 600 400]", pages: int = 1, more: str = "") -> bytes:
    packed = zlib.compress(content, 9)
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        f"<</Type/Pages/Count {pages}/Kids[{'3 0 R ' * pages}]>>".encode(),
        f"<</Type/Page/Parent 2 0 R/MediaBox{box}/Contents 4 0 R{more}>>".encode(),
        b"<</Filter/FlateDecode/Length %d>>stream\n%s\nendstream" % (len(packed), packed),
    ]
    return plans.file_of(objects)


def _locked() -> bytes:
    import pypdf

    writer = pypdf.PdfWriter(io.BytesIO(_pdf()))
    writer.encrypt("secret", algorithm="RC4-128")
    held = io.BytesIO()
    writer.write(held)
    return held.getvalue()


def _png(width: int, height: int) -> bytes:
    """A picture of this size in a few kilobytes: its header says so, its pixels are all one."""
    held = io.BytesIO()
    Image.new("1", (16, 16)).save(held, "PNG")
    raw = bytearray(held.getvalue())
    raw[16:24] = width.to_bytes(4, "big") + height.to_bytes(4, "big")
    raw[29:33] = zlib.crc32(raw[12:29]).to_bytes(4, "big")
    return bytes(raw)


def _noise() -> bytes:
    held = io.BytesIO()
    Image.effect_noise((300, 300), 90).save(held, "PNG")
    return held.getvalue()


HOSTILE = {
    "a text": (b"just words", "drawing_unknown"),
    "nothing": (b"", "drawing_unknown"),
    "a PDF's head alone": (b"%PDF-1.7\n", "drawing_broken"),
    "a PDF that is cut off": (plans.pdf([plans.sheet(3)])[:300], "drawing_broken"),
    "with a password": (_locked(), "drawing_encrypted"),
    "a thousand pages": (_pdf(pages=1000), "drawing_too_many_pages"),
    "10⁵ points wide": (_pdf(box="[0 0 100000 100000]"), "drawing_page_too_large"),
    "a picture of 10⁵ × 10⁵ pixels": (_png(100_000, 100_000), "drawing_page_too_large"),
    "a PNG that is cut off": (_noise()[:9000], "drawing_broken"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_file_is_refused_in_words(name: str) -> None:
    data, code = HOSTILE[name]
    with pytest.raises(FileRefused) as refused:
        open_drawing(data)
    assert refused.value.code == code
    assert refused.value.message == REFUSALS[code]


def test_a_million_paths_are_refused_within_the_bounds() -> None:
    paths = b"0 0 m 9 9 l S\n" * 1_000_000  # 14 MB in 40 kB
    with pytest.raises(FileRefused) as refused:
        open_drawing(_pdf(paths)).page(0)
    assert refused.value.code in ("drawing_too_complex", "drawing_too_heavy")


def test_a_bomb_of_zeros_costs_its_own_process_alone() -> None:
    zeros = zlib.compressobj(9)
    once = b"".join(zeros.compress(bytes(2**20)) for _ in range(1500)) + zeros.flush()
    packed = zlib.compress(once, 9)  # 1.5 GB in 4 kB
    objects = [
        b"<</Type/Catalog/Pages 2 0 R>>",
        b"<</Type/Pages/Count 1/Kids[3 0 R]>>",
        b"<</Type/Page/Parent 2 0 R/MediaBox[0 0 600 400]/Contents 4 0 R>>",
        b"<</Filter[/FlateDecode/FlateDecode]/Length %d>>stream\n%s\nendstream"
        % (len(packed), packed),
    ]
    with pytest.raises(FileRefused) as refused:
        open_drawing(plans.file_of(objects)).page(0, 20)
    assert refused.value.code == "drawing_too_heavy"


def test_what_waits_without_working_is_ended_by_the_clock() -> None:
    with subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"]) as sleeping:
        try:
            with pytest.raises(FileRefused, match="too much time"):
                _await(sleeping, 0.3)
        finally:
            sleeping.kill()


@pytest.mark.parametrize(("own", "shown"), [(150, 150), (200, 200), (72, 200), (300, 200)])
def test_a_scan_is_shown_with_its_own_dots_unless_they_are_too_few_or_too_many(
    own: int, shown: int
) -> None:
    held = io.BytesIO()
    Image.effect_noise((300, 300), 90).save(held, "PNG", dpi=(own, own))
    page = open_drawing(held.getvalue()).page(0)
    assert (round(page.dpi), page.gray.shape[1]) == (shown, round(300 * shown / own))


def test_every_refusal_says_what_to_do() -> None:
    assert all(text.endswith(".") and len(text.split()) >= 5 for text in REFUSALS.values())
    assert child.CPU_SECONDS <= 5


@pytest.mark.parametrize(("deaths", "opened"), [(1, True), (2, False)])
def test_a_process_that_dies_at_once_says_nothing_of_the_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, deaths: int, opened: bool
) -> None:
    dies = tmp_path / "dies.py"
    dies.write_text(
        f"""
import os, runpy
from pathlib import Path
marks = Path({str(tmp_path / "marks")!r})
marks.mkdir(exist_ok=True)
if len(list(marks.iterdir())) < {deaths}:
    (marks / str(os.getpid())).touch()
    os.kill(os.getpid(), 9)
runpy.run_path({child.__file__!r}, run_name="__main__")
"""
    )
    monkeypatch.setattr(document, "_PROGRAM", dies)
    if opened:
        assert len(open_drawing(_pdf()).pages) == 1
        return
    with pytest.raises(FileRefused) as refused:
        open_drawing(_pdf())
    assert refused.value.code == "drawing_too_heavy"
