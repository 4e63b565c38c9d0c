"""docs/capacity.md: its operations are counted, its sums are calculated."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from infra.local.table import load
from tests.infra.operations import MANY, ONE

pytestmark = pytest.mark.proof

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "capacity.md").read_text("utf-8")

READ, WRITE = 0.03 / 100_000, 0.09 / 100_000
SYNC_SECONDS, DAYS = 0.3, 22

#: Cloud Storage: operations of class A and B, and a GiB and month.
CLASS_A, CLASS_B, GIB_MONTH = 0.005 / 1000, 0.0004 / 1000, 0.020

#: Of a red case; pieces of 64 KiB of a photo of 800 kB, and what is kept of it, bytes.
PHOTOS, PIECES, KEPT = 2, 13, 980_000

#: How long a piece takes on the page's network, seconds.
PIECE_SECONDS = 5.0


def table(first: str) -> dict[str, list[str]]:
    """Rows of the table whose head begins like this, by their first cell."""
    [rows] = re.findall(rf"^\| *{first} *\|.*\n\|[-| ]+\|\n((?:\|.*\n)+)", PAGE, re.M)
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows.splitlines()]
    return {row[0]: row[1:] for row in cells}


def at(formula: str, n: int) -> int:
    """What `10 + 3n` is for an n."""
    return sum(
        int(part.removesuffix("n") or 1) * (n if part.endswith("n") else 1)
        for part in formula.split(" + ")
    )


FORMULAS = {name: tuple(cells) for name, cells in table("situation").items()}


@pytest.fixture(scope="module")
def counted() -> dict[str, dict[str, int]]:
    done = subprocess.run(
        [sys.executable, "-m", "tests.infra.operations"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    found: dict[str, dict[str, int]] = json.loads(done.stdout.splitlines()[-1])
    return found


@pytest.mark.parametrize(
    ("row", "situation"),
    [
        ("a sync with nothing new", "nothing new"),
        ("a sync that sends n green cases", "send {}"),
        ("a sync that sends n red cases", "send {} red"),
        ("a sync that receives n rows", "receive {}"),
        ("n analyses", "analyse {}"),
        ("n analyses under a daily cap, in addition", "cap {}"),
        ("telling a team of two phones of n analyses", "tell {}"),
        ("a round of the sweeper with nothing to do", "sweep nothing"),
        ("tickets for n photos of a case", "ask {}"),
        ("a photo that comes in n pieces", "pieces {}"),
        ("n checks of photos", "check {}"),
        ("n looks at a photo, with links", "look {}"),
        ("an analysis that reads n photos, in addition", "read {}"),
        ("tidying up after n photos", "tidy {}"),
    ],
)
def test_what_the_page_says_is_what_is_counted(
    row: str, situation: str, counted: dict[str, dict[str, int]]
) -> None:
    reads, writes = FORMULAS[row]
    for n in (ONE, MANY):
        have = counted[situation.format(n)]
        assert (have["reads"], have["writes"]) == (at(reads, n), at(writes, n))
        assert have["deletes"] == 0


def test_every_row_is_counted_and_an_idle_sync_writes_nothing() -> None:
    assert len(FORMULAS) == 14
    assert FORMULAS["a sync with nothing new"][1] == "0"


def day() -> tuple[float, float]:
    """Reads and writes of the page's day, sealing included."""

    def both(row: str, n: int) -> tuple[int, int]:
        return at(FORMULAS[row][0], n), at(FORMULAS[row][1], n)

    parts = [
        (4.0, both("a sync with nothing new", 0)),
        (2.0, both("a sync that sends n green cases", 5)),
        (2.0, both("a sync that receives n rows", 10)),
        # of the records that were sent, half a red case: what it costs more, its analysis, its notice
        (0.5, (1, 3)),
        (0.5, both("n analyses", 1)),
        (0.5, both("telling a team of two phones of n analyses", 1)),
        # its two photos, each in 13 pieces, looked at once by a doctor
        (0.5, both("tickets for n photos of a case", PHOTOS)),
        (0.5 * PHOTOS, both("a photo that comes in n pieces", PIECES)),
        (0.5, both("n checks of photos", PHOTOS)),
        (0.5, both("n looks at a photo, with links", PHOTOS)),
        (0.5, both("an analysis that reads n photos, in addition", PHOTOS)),
        (0.5, both("tidying up after n photos", PHOTOS)),
        (4.0 + 0.5 * PHOTOS, (1, 1)),
    ]
    return sum(n * each[0] for n, each in parts), sum(n * each[1] for n, each in parts)


def test_the_worked_sizes_are_calculated() -> None:
    reads, writes = day()
    assert f"{reads:g} reads and {writes:g} writes a day" in PAGE
    rows = table(r"\| 1 \| 100 \| 10,000")
    sizes = (1, 100, 10_000, 100_000)
    one_sync = SYNC_SECONDS * (0.000024 + 0.0000025) + 0.0000004
    for column, workers in enumerate(sizes):

        def said(row: str, column: int = column) -> float:
            return float(rows[row][column].replace(",", "").split()[0])

        peak = "syncs a second at the peak (ten times the mean of eight hours)"
        assert said("reads a day") == pytest.approx(workers * reads, abs=0.5)
        assert said("writes a day") == pytest.approx(workers * writes, abs=0.5)
        assert said(peak) == pytest.approx(workers * 8 / 28_800 * 10, abs=0.5)
        assert said("red cases a day") == workers / 2
        month = DAYS * workers * (reads * READ + writes * WRITE)
        assert said("Firestore a month") == pytest.approx(month, abs=0.005)
        month = DAYS * workers * 8 * one_sync
        assert said("Cloud Run for syncs a month") == pytest.approx(month, abs=0.005)
        month = DAYS * workers * 0.5 * PHOTOS * one_photo()
        assert said("taking photos a month") == pytest.approx(month, abs=0.005)
        year = DAYS * 12 * workers * 0.5 * PHOTOS * KEPT / 2**30
        assert said("photos after a year, GiB") == pytest.approx(year, abs=0.05)
        assert said("keeping those, a month") == pytest.approx(year * GIB_MONTH, abs=0.005)


def one_photo() -> float:
    """Price of taking a photo: the function's time, and operations of Cloud Storage. As the page says."""
    files = load()["files"]
    gib = float(files.memory.removesuffix("Gi"))
    slot = (files.cpu * 0.000024 + gib * 0.0000025) / files.concurrency
    # each piece is asked for, stored, and at last read twice; the check stores three objects
    class_a = PIECES + 3 + 2
    class_b = PIECES + 3 + 2 * PIECES
    return PIECES * (PIECE_SECONDS * slot + 0.0000004) + class_a * CLASS_A + class_b * CLASS_B


def test_the_price_of_a_photo_is_calculated() -> None:
    [said] = re.findall(r"\*\*A photo\*\* .*?about (0\.\d+)\s+dollars", PAGE, re.S)
    assert float(said) == pytest.approx(one_photo(), rel=0.02)


def test_the_bounds_that_are_named_are_those_of_the_code() -> None:
    from shared.access import audit
    from shared.files import cleaning
    from shared.jobs import sweep

    functions = load()
    analyse, sync = functions["analyse"], functions["sync"]
    assert f"{analyse.max_instances} instances · {analyse.concurrency} requests" in PAGE
    assert f"{sync.max_instances} instances · {sync.concurrency} requests" in PAGE
    assert f"seals up to {audit._ROUNDS} times {audit._A_ROUND} audit entries a round" in PAGE
    assert f"rings {sweep._MOST_BELLS} a round" in PAGE
    files, images = functions["files"], functions["images"]
    assert f"{files.max_instances} instances · {files.concurrency} requests" in PAGE
    assert f"{images.max_instances} instances, one check each" in PAGE
    assert images.concurrency == 1
    assert f"looks at {cleaning._A_ROUND} blobs and {cleaning._OBJECTS_A_ROUND} objects" in PAGE
