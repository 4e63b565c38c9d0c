"""Benchmarks report what was measured: arithmetic, page and charts. Nothing here reads a clock."""

from __future__ import annotations

import importlib
import importlib.util
import json
from pathlib import Path
from xml.etree import ElementTree

import orjson
import pytest

from benchmarks import corpus, page
from benchmarks.measure import Report
from benchmarks.push import ratio
from shared.products.dermadetect.tables import CATALOG
from shared.sync.dialects import batch, watermelon


def report() -> Report:
    made = Report("push")
    made.row("push, 500", "ours", "ms", (90, 110, 100))
    made.row("push, 500", "floor", "ms", (60, 40, 50))
    made.row("push, 1", "ours", "ms", (0.5,))
    made.goal("at most 3 ×", "2.00 ×", True)
    made.goal("at most 1 ×", "2.00 ×", False, "too | slow")
    made.absent.append("Kinto: not installed")
    return made


def test_a_row_tells_its_middle_and_its_spread() -> None:
    row = report().rows[0]
    assert row.median == 100
    assert row.spread == (90, 110)


def test_the_table_compares_with_the_floor_of_the_same_case() -> None:
    table = report().table()
    assert "| push, 500 | ours | 100 ms | 90 – 110 | 2.00 |" in table
    assert "| push, 500 | floor | 50 ms | 40 – 60 |  |" in table
    assert "| push, 1 | ours | 0.5 ms | 0.5 – 0.5 |  |" in table
    assert "**held**: at most 3 ×" in table
    assert "**MISSED**: at most 1 ×" in table
    assert "Not measured: Kinto: not installed" in table


def test_a_ratio_is_the_middle_of_the_ratios_of_values_measured_in_turn() -> None:
    # A machine that is busy for a while slows both: 2 × each time, although the medians say less.
    assert ratio((2, 200, 4), (1, 100, 2)) == 2
    with pytest.raises(ValueError, match="zip"):
        ratio((1, 2), (1,))


def test_the_page_is_made_of_stored_results(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    readme = tmp_path / "README.md"
    readme.write_text(f"before\n{page.BEGIN}\noutdated\n{page.END}\nafter\n")
    results = tmp_path / "results"
    results.mkdir()
    (results / "gone-ms.svg").write_text("of a benchmark that has no results")
    monkeypatch.setattr("benchmarks.measure.RESULTS", results)
    report().save(quick=False)
    report().save(quick=True)
    page.write(readme, results)
    text = readme.read_text()
    assert text.startswith("before\n")
    assert text.endswith("\nafter\n")
    assert "outdated" not in text
    assert "1 of 2 goals were held." in text
    assert "| at most 1 × | 2.00 ×. too \\| slow | **missed** |" in text
    assert "No stored results: pull," in text
    assert [svg.name for svg in results.glob("*.svg")] == ["push-ms.svg"]
    assert text.count("### push") == 1  # quick runs do not count
    assert "push, 500" in (results / "push-ms.svg").read_text()
    # and again: the same
    page.write(readme, results)
    assert readme.read_text() == text


def test_a_chart_draws_every_row_to_one_scale() -> None:
    rows = report().rows[:2]
    drawn = page.chart("a < b", rows)
    ElementTree.fromstring(drawn)
    assert "a &lt; b" in drawn
    widths = [float(part.split('"')[0]) for part in drawn.split('width="')[3:]]
    assert widths[0] == pytest.approx(2 * widths[1], rel=0.01)


def test_the_page_says_what_is_stored() -> None:
    part, charts = page.render(page.stored())
    text = page.README.read_text("utf-8")
    assert part in text, "run: python -m benchmarks --page"
    assert {svg.name for svg in page.RESULTS.glob("*.svg")} == set(charts)
    for name, content in charts.items():
        assert (page.RESULTS / name).read_text("utf-8") == content


def test_stored_results_are_of_full_runs() -> None:
    for name in page.MODULES:
        path = page.RESULTS / f"{name}.json"
        if path.exists():
            body = json.loads(path.read_text("utf-8"))
            assert (body["name"], body["quick"]) == (name, False)


PRESENT = [name for name in page.MODULES if importlib.util.find_spec(f"benchmarks.{name}")]


def test_what_is_promised_is_there() -> None:
    assert {"push", "pull", "peers", "operations"} <= set(PRESENT)


@pytest.mark.parametrize("name", PRESENT)
def test_every_benchmark_can_be_imported_without_running(name: str) -> None:
    assert callable(importlib.import_module(f"benchmarks.{name}").run)


# --- the records


def test_both_dialects_carry_the_same_records() -> None:
    rows, people = corpus.cases("a", 20), corpus.patients("a", 20)
    common = {"fingerprint": "f", "client_time_ms": None, "now_ms": corpus.WRITTEN_MS}
    pushed = watermelon.parse_push(
        orjson.loads(corpus.watermelon(rows, people)),
        CATALOG,
        cursor_ms=0,
        **common,  # type: ignore[arg-type]
    )
    synced = batch.parse(orjson.loads(corpus.batch(rows, people)), CATALOG, **common)  # type: ignore[arg-type]
    assert not pushed.refusals
    assert not synced.push.refusals
    assert len(pushed.entries) == 22
    for one, other in zip(pushed.entries, synced.push.entries, strict=True):
        assert one.coerced is not None
        assert other.coerced is not None
        assert one.hash("team", one.coerced.values) == other.hash("team", other.coerced.values)
        assert one.raw_ms == other.raw_ms


def test_records_are_about_a_kilobyte_and_the_same_in_every_run() -> None:
    rows = corpus.cases("a", 200)
    assert 850 <= corpus.mean_bytes(rows) <= 1150
    assert rows == corpus.cases("a", 200)
    assert rows[150:] == corpus.cases("a", 50, first=150)


def test_an_edit_is_other_content_at_a_later_time() -> None:
    [older], [first], [later] = (corpus.cases("a", 1, edit=edit) for edit in (-1, 0, 1))
    assert older["last_modified_at"] < first["last_modified_at"] < later["last_modified_at"]
    assert len({row["triage_data"] for row in (older, first, later)}) == 3


def test_no_case_is_red_by_a_rule() -> None:
    from shared.products.dermadetect import rules

    for row in corpus.cases("a", 300):
        about = orjson.dumps({"age": 30}).decode()
        assert rules.judge(row["triage_data"], about, None).triage is None  # type: ignore[arg-type]
