"""The text of a PDF, read in a process of its own: whatever a PDF does, that process alone pays for it.

As a program it reads a PDF from its standard input and writes each page's text as a line of JSON, as soon
as it has it. Before it reads a byte it bounds its own memory, time and output. What it wrote before it was
stopped counts.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
import unicodedata
from collections.abc import Iterable
from pathlib import Path
from typing import NamedTuple

#: Pages and characters of one PDF that are read.
MOST_PAGES, MOST_CHARACTERS = 200, 100_000

#: Address space, bytes. Python, pdfium and a common page take 30 MB; the PDF itself stands in it, too.
_MEMORY = 256 * 2**20

#: Time on the processor, and by the clock, seconds.
CPU_SECONDS, SECONDS = 15, 30

#: What it may write, bytes.
_OUTPUT = 16 * MOST_CHARACTERS

#: Where pdfium found a hyphen at the end of a line; and one that it did not know for one.
_HYPHEN = re.compile("(?:[\x02\u00ad\ufffe]|(?<=[a-zа-яё])-(?=\r?\n[a-zа-яё]))\\s*")
_CONTROLS = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\x7f\ud800-\udfff\ufffe\uffff]")
_BLANKS, _LINES = re.compile(r"[^\S\n]+"), re.compile(r" ?\n[ \n]*")


class PdfText(NamedTuple):
    """What was read of a PDF. `whole`: every page of it, to its end."""

    text: str
    pages: int
    whole: bool


def read(pdf: Iterable[bytes], seconds: float = SECONDS) -> PdfText | None:
    """The text of a PDF; None if nothing can be read: it is damaged, encrypted, or takes too much."""
    with tempfile.TemporaryFile() as given, tempfile.TemporaryFile() as said:
        for piece in pdf:
            given.write(piece)
        given.seek(0)
        paths = {"PYTHONPATH": os.pathsep.join(sys.path), "PATH": "", "LC_ALL": "C.UTF-8"}
        try:
            done = subprocess.run(  # noqa: S603  our own program, no words of anybody
                [sys.executable, "-P", str(Path(__file__))],  # its folder has words of its own
                stdin=given,
                stdout=said,
                stderr=subprocess.DEVNULL,
                env=paths,
                timeout=seconds,
                check=False,
            )
            whole = done.returncode == 0
        except subprocess.TimeoutExpired:
            whole = False
        said.seek(0)
        lines = said.read(_OUTPUT).split(b"\n")
    pages = [json.loads(line) for line in lines[:-1]]  # the last one is empty, or was cut
    if not pages and not whole:
        return None
    text = "\n".join(page for page in pages if page)
    return PdfText(text[:MOST_CHARACTERS], len(pages), whole)


def plain(text: str) -> str:
    """A page's text as it is searched: letters for ligatures and forms, words joined, lines trimmed."""
    text = unicodedata.normalize("NFKC", _HYPHEN.sub("", text))
    return _LINES.sub("\n", _BLANKS.sub(" ", _CONTROLS.sub("", text))).strip()


def main() -> None:
    """Read the PDF of the standard input. The exit code is 0 if all of it was read."""
    import resource

    for kind, most in (
        (resource.RLIMIT_AS, _MEMORY),
        (resource.RLIMIT_CPU, CPU_SECONDS),
        (resource.RLIMIT_FSIZE, _OUTPUT),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (most, most))
    import pypdfium2

    document = pypdfium2.PdfDocument(sys.stdin.buffer.read())  # type: ignore[no-untyped-call]
    room = MOST_CHARACTERS
    for number in range(min(len(document), MOST_PAGES)):
        page = document[number].get_textpage()
        said = plain(page.get_text_range(0, min(page.count_chars(), room)))
        room -= len(said)
        sys.stdout.write(json.dumps(said) + "\n")
        sys.stdout.flush()
        if room <= 0:
            sys.exit(1)
    sys.exit(0 if len(document) <= MOST_PAGES else 1)


if __name__ == "__main__":
    main()
