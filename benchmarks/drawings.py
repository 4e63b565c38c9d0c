"""BuildTrace's comparison of drawings: made-up A1 sheets with known changes, as vectors and as scans.

    python -m benchmarks.drawings --quick            # four pairs of each
    python -m benchmarks.drawings --only vectors     # a hundred pairs: some ten minutes of a processor
    python -m benchmarks.drawings --only scans       # a hundred: half an hour
    python -m benchmarks.drawings --only unchanged   # twenty; and --only "scans at 200": four
    python -m benchmarks.drawings                    # all that is not there yet

Every pair that was compared is kept in `results/drawings.pairs.jsonl`, with a line of progress: a part
that is run alone, or was stopped, goes on where it was, and the report is of all pairs that are there.
`--anew` begins from nothing. `--count 10` makes ten pairs of each part.

Sheets come from `plans`; seeds here are none that thresholds were chosen on. Every second pair is a *hard*
one: dense hatches, changes 3 to 9 mm from each other, a detail that moved, a row inserted into a
schedule. Scans are turned by up to 5° and scaled by up to 5 %, stretched, blurred, noisy, stained,
folded, JPEG of quality 35 to 80, at 150 dpi. A change is *found* if a cloud touches it; a cloud that
touches none is *false*. Each comparison runs in a process of its own, through all stages: both sheets
read, compared from their files' bytes, overlay PDF, tiles, sentences. Times are of the processor and
by the clock, one pair at a time; the clock says something on an idle machine alone.

Beside it: a plain pixel difference of the two pictures, and ImageMagick's `compare` with 20 % of
fuzz, whose differing pixels are gathered into clouds in the same way.
"""

from __future__ import annotations

import argparse
import json
import math
import multiprocessing
import shutil
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks import plans
from benchmarks.measure import RESULTS, Report, main

#: Parts with their pairs: how they are made, at how many dots per inch, how many.
PARTS = {
    "vectors": ("vectors", 150, 100),
    "scans": ("scans", 150, 100),
    "unchanged": ("unchanged", 150, 20),
    "scans at 200": ("scans", 200, 4),
}

#: Pairs that were compared.
_KEPT = RESULTS / "drawings.pairs.jsonl"

#: The first seed: those below were used to choose thresholds.
_HELD_OUT = 50_000

_PT = 72 / 25.4


def _make(folder: str, seed: int, how: str, dpi: int) -> None:
    """Write a pair's files and what was changed (points of the new file)."""
    hard = seed % 2 == 1
    old = plans.sheet(seed, dense=hard)
    also = ("view", "row") if hard else ()
    new, seeded = plans.revise(old, seed, 10, touching=hard, also=also)
    if how == "unchanged":
        new, seeded = old, []
    place = None
    corners = []
    if how == "vectors":
        files = [plans.pdf([sheet]) for sheet in (old, new)]
    else:
        scans = (
            plans.scan(old, seed, dpi, turn=4.7, size=0.047),
            plans.scan(new, seed + 1, dpi, turn=0.3, size=0.003),
        )
        files = [scan.data for scan in scans]
        place = scans[1].place
        for x, y in ((20, 10), (831, 10), (20, 584), (831, 584)):
            corners.append([scan.place(x, y) for scan in scans])

    def on_page(box: plans.Box | None) -> plans.Box | None:
        if box is None:
            return None
        if place is None:
            a, b, c, d = (each * _PT for each in box)
            return a, b, c, d
        points = [place(x, y) for x in (box[0], box[2]) for y in (box[1], box[3])]
        xs = [x * 72 / dpi for x, _ in points]
        ys = [y * 72 / dpi for _, y in points]
        return min(xs), min(ys), max(xs), max(ys)

    said = [
        {
            "kind": each.kind,
            "size": each.size,
            "box": on_page(each.box),
            "old_box": on_page(each.old_box),
            "old": each.old,
            "new": each.new,
        }
        for each in seeded
    ]
    base = Path(folder) / f"{how}-{seed}-{dpi}"
    base.with_suffix(".json").write_text(json.dumps({"seeded": said, "corners": corners}))
    for which, data in zip(("old", "new"), files, strict=True):
        base.with_suffix(f".{which}").write_bytes(data)


def _compare(folder: str, seed: int, how: str, dpi: int, beside: bool) -> dict[str, Any]:
    """Compare a pair from its files; what was found, and what it took."""
    import resource
    import time

    from shared.products.buildtrace import processing
    from shared.products.buildtrace.drawings import facts, overlay
    from shared.products.buildtrace.drawings.comparing import CouldNotAlign, compare, opened_pair

    base = Path(folder) / f"{how}-{seed}-{dpi}"
    truth = json.loads(base.with_suffix(".json").read_text())

    def used() -> float:
        own, theirs = (
            resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
        )
        return own.ru_utime + own.ru_stime + theirs.ru_utime + theirs.ru_stime

    began, clock = used(), time.monotonic()
    files = [base.with_suffix(f".{which}").read_bytes() for which in ("old", "new")]
    for data in files:
        processing.read_sheet(processing.opened(data, ""), 0)
    said: dict[str, Any] = {"seed": seed, "how": how, "dpi": dpi, "corners": []}
    said["reading"] = used() - began
    pages = opened_pair((files[0], "", 0), (files[1], "", 0))
    at = pages[1].dpi
    try:
        found = compare(pages[0], pages[1])
    except CouldNotAlign as refused:
        return {**said, "refused": refused.message, "seeded": len(truth["seeded"])}
    pdf = overlay.overlay_pdf(found, pages[0], pages[1])
    size = len(pdf) + sum(len(tile.png) for tile in overlay.tiles(found))
    facts.sentences(facts.facts_of(found, "A-101"))
    said["seconds"], said["clock"] = used() - began, time.monotonic() - clock
    said["memory"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    said["megabytes"] = size / 1e6
    for old, new in truth["corners"]:
        x, y = found.aligned.field.new_of(*old)
        said["corners"].append(math.hypot(x - new[0], y - new[1]))
    seeded = [
        plans.Seeded(
            each["kind"],
            tuple(each["box"]),
            tuple(each["old_box"]) if each["old_box"] else None,
            each["old"],
            each["new"],
        )
        for each in truth["seeded"]
    ]
    score = plans.score(found.changes, seeded, place=lambda box: box)
    sizes = {tuple(each["box"]): each["size"] for each in truth["seeded"]}
    said["found"] = [(each.kind, sizes[each.box]) for each in score.found]
    said["missed"] = [(each.kind, sizes[each.box]) for each in score.missed]
    said["false"] = [(each.kind, each.rect, each.old_text, each.new_text) for each in score.false]
    said["wrong"] = len(score.wrong)
    texts = [each for each in score.found if each.old and each.new]
    told = {(change.old_text.strip(), change.new_text.strip()) for change in found.changes}
    said["texts"] = (sum((each.old, each.new) in told for each in texts), len(texts))
    if beside:
        said["beside"] = {
            name: _judged(mask, seeded, at) for name, mask in _beside(pages[0].gray, pages[1].gray)
        }
    return said


def _beside(old: Any, new: Any) -> Iterator[tuple[str, Any]]:
    """What others would show: masks of differing pixels."""
    import cv2
    import numpy

    rows, columns = (min(sides) for sides in zip(old.shape, new.shape, strict=True))
    old, new = old[:rows, :columns], new[:rows, :columns]
    yield "a pixel difference", cv2.absdiff(old, new) > 64
    if shutil.which("compare") is None:
        return
    with tempfile.TemporaryDirectory() as folder:
        names = [str(Path(folder) / name) for name in ("a.png", "b.png", "c.png")]
        for name, held in zip(names, (old, new), strict=False):
            cv2.imwrite(name, held)
        words = ["compare", "-metric", "AE", "-fuzz", "20%", "-compose", "src"]
        words += ["-highlight-color", "black", "-lowlight-color", "white", *names]
        subprocess.run(words, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, check=False)
        shown = cv2.imread(names[2], cv2.IMREAD_GRAYSCALE)
        if shown is not None:
            yield "ImageMagick's compare", (shown < 128).astype(numpy.uint8)


def _judged(mask: Any, seeded: Sequence[plans.Seeded], dpi: float) -> tuple[int, int, int]:
    """Found, missed and false clouds of a mask of pixels."""
    import cv2
    import numpy

    spread = cv2.dilate(mask.astype(numpy.uint8), numpy.ones((9, 9), numpy.uint8))
    count, _, stats, _ = cv2.connectedComponentsWithStats(spread)

    class Cloud:
        kind = "replaced"
        old_rect = None

        def __init__(self, box: Any) -> None:
            x, y, wide, high = (float(each) * 72 / dpi for each in box[:4])
            self.rect = (x, y, x + wide, y + high)

    clouds = [Cloud(stats[index]) for index in range(1, count) if stats[index][4] > 100]
    if len(clouds) > 3000:  # all of the sheet: each found, and everything false
        return len(seeded), 0, len(clouds)
    score = plans.score(clouds, seeded, place=lambda box: box)
    return len(score.found), len(score.missed), len(score.false)


Job = tuple[int, str, int, bool]


def _of(said: dict[str, Any]) -> tuple[int, str, int]:
    return said["seed"], said["how"], said["dpi"]


def _run(jobs: Sequence[Job], kept: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    """Every pair that is not kept: made in one process, compared in a new one, so that memory is that
    of comparing; one at a time, so that both processors are its own.
    """
    context = multiprocessing.get_context("spawn")
    there = {_of(each) for each in kept}
    left = [job for job in jobs if job[:3] not in there]
    with tempfile.TemporaryDirectory() as folder:
        for number, job in enumerate(left, 1):
            with ProcessPoolExecutor(1, context, max_tasks_per_child=1) as alone:
                alone.submit(_make, folder, *job[:3]).result()
                said = alone.submit(_compare, folder, *job).result()
            for path in Path(folder).iterdir():
                path.unlink()
            sys.stderr.write(
                f"{number} of {len(left)}: {job[1]} {job[0]} at {job[2]} dpi, "
                f"{said.get('seconds', 0):.1f} s of a processor, {said.get('clock', 0):.1f} s, "
                f"missed {len(said.get('missed', ()))}, false {len(said.get('false', ()))} "
                f"{said.get('refused', '')}\n"
            )
            sys.stderr.flush()
            yield said


def _f1(some: Sequence[dict[str, Any]]) -> tuple[float, float, float]:
    """Recall, precision and F1 of pairs; one that was refused has missed all."""
    hits = sum(len(each.get("found", ())) for each in some)
    missed = sum(len(each.get("missed", ())) + each.get("seeded", 0) for each in some)
    false = sum(len(each.get("false", ())) for each in some)
    recall = hits / max(1, hits + missed)
    precision = hits / max(1, hits + false)
    return recall, precision, 2 * recall * precision / max(1e-9, recall + precision)


def run(quick: bool, only: str = "", count: int = 0, anew: bool = False) -> Report:
    """A part, or all, as a report of all pairs that are there."""
    report = Report("drawings")
    kept: list[dict[str, Any]] = []
    if not quick and not anew and _KEPT.exists():
        kept = [json.loads(line) for line in _KEPT.read_text().splitlines()]
    jobs: list[Job] = []
    for name, (how, dpi, most) in PARTS.items():
        if only in ("", name):
            first = _HELD_OUT + 1000 * (how == "unchanged")
            number = min(most, count or most, 4 if quick else most)
            beside = how != "unchanged" and dpi == 150
            jobs += [
                (seed, how, dpi, beside and seed < first + 4)
                for seed in range(first, first + number)
            ]
    if not quick:
        RESULTS.mkdir(exist_ok=True)
        if anew:
            _KEPT.unlink(missing_ok=True)
    for said in _run(jobs, kept):
        kept.append(said)
        if not quick:
            with _KEPT.open("a") as file:
                file.write(json.dumps(said) + "\n")
    told(report, kept)
    return report


def told(report: Report, found: Sequence[dict[str, Any]]) -> None:
    """Rows and goals of what was found."""
    groups = {
        "vectors": [each for each in found if each["how"] == "vectors"],
        "scans, 150 dpi": [each for each in found if each["how"] == "scans" and each["dpi"] == 150],
        "scans, 200 dpi": [each for each in found if each["how"] == "scans" and each["dpi"] == 200],
    }
    for name, some in groups.items():
        if not some:
            continue
        recall, precision, f1 = _f1(some)
        for what, value in (("recall", recall), ("precision", precision), ("F1", f1)):
            report.row(f"{name}: {what}", "ours", "", [value], f"{len(some)} pairs")
        done = [each for each in some if "seconds" in each]
        if not done:
            continue
        report.row(f"{name}: processor", "ours", "s", [each["seconds"] for each in done])
        report.row(f"{name}: of it reading", "ours", "s", [each["reading"] for each in done])
        report.row(f"{name}: clock", "ours", "s", [each["clock"] for each in done])
        report.row(f"{name}: PDF and tiles", "ours", "MB", [each["megabytes"] for each in done])
        report.row(f"{name}: memory", "ours", "MB", [each["memory"] for each in done])
        right, all_of_them = (sum(each["texts"][i] for each in done) for i in (0, 1))
        report.row(f"{name}: texts read right", "ours", "", [right / max(1, all_of_them)])
        wrong = sum(each["wrong"] for each in done) / max(
            1, sum(len(each["found"]) for each in done)
        )
        report.row(f"{name}: another kind told", "ours", "", [wrong])
        kinds = sorted({kind for each in done for kind, _ in (*each["found"], *each["missed"])})
        for kind in kinds:
            hits = sum(k == kind for each in done for k, _ in each["found"])
            miss = sum(k == kind for each in done for k, _ in each["missed"])
            report.row(f"{name}: recall of {kind}", "ours", "", [hits / (hits + miss)])
        for low, high in ((0, 3), (3, 6), (6, 15), (15, 1000)):
            hits = sum(low <= size < high for each in done for _, size in each["found"])
            miss = sum(low <= size < high for each in done for _, size in each["missed"])
            if hits + miss:
                label = f"{low} to {high} mm" if high < 1000 else f"{low} mm and more"
                report.row(f"{name}: recall of {label}", "ours", "", [hits / (hits + miss)])
        for other in ("a pixel difference", "ImageMagick's compare"):
            beside = [each["beside"][other] for each in done if other in each.get("beside", {})]
            if beside:
                hits, miss, false = (sum(each[i] for each in beside) for i in (0, 1, 2))
                report.row(f"{name}: recall", other, "", [hits / max(1, hits + miss)])
                report.row(f"{name}: precision", other, "", [hits / max(1, hits + false)])
    vectors, scanned = groups["vectors"], groups["scans, 150 dpi"]
    same = [each for each in found if each["how"] == "unchanged"]
    if vectors:
        report.goal("F1 of vectors is 1.0", f"{_f1(vectors)[2]:.4f}", _f1(vectors)[2] >= 1)
    if scanned:
        report.goal("F1 of scans is .97 or more", f"{_f1(scanned)[2]:.4f}", _f1(scanned)[2] >= 0.97)
    if same:
        clouds = sum(len(each.get("false", ())) for each in same) / len(same)
        text = "at most 0.1 false clouds in an unchanged scan"
        report.goal(text, f"{clouds:.2f} of {len(same)}", clouds <= 0.1)
    corners = sorted(corner for each in found if each["dpi"] == 150 for corner in each["corners"])
    if corners:
        p95 = corners[math.ceil(0.95 * len(corners)) - 1]
        report.row("corner error, 95th percentile", "ours", "px", [p95], "150 dpi")
        report.goal("corners are off by 0.5 px at most (p95)", f"{p95:.2f} px", p95 <= 0.5)
    for name, some, most in (("vectors", vectors, 4), ("scans", scanned, 10)):
        for what, key in (("processor", "seconds"), ("clock", "clock")):
            times = [each[key] for each in some if key in each]
            if times:
                middle = statistics.median(times)
                text = f"an A1 pair of {name} takes {most} s at most through all stages: {what}"
                report.goal(text, f"{middle:.1f} s (median), {max(times):.1f} s", middle <= most)
    memory = [each["memory"] for each in found if "memory" in each]
    if memory:
        report.goal("1.2 GB at most", f"{max(memory):,.0f} MB", max(memory) <= 1229)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--only", choices=list(PARTS), default="")
    parser.add_argument("--count", type=int, default=0)
    parser.add_argument("--anew", action="store_true")
    own, rest = parser.parse_known_args()
    sys.argv[1:] = rest
    main(__name__, lambda quick: run(quick, own.only, own.count, own.anew))
