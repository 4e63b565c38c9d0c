"""Benchmarks report what was measured: arithmetic, page and charts. Nothing here reads a clock."""

from __future__ import annotations

import importlib
import importlib.util
import json
import os
import re
from collections.abc import Mapping
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from xml.etree import ElementTree

import orjson
import pytest

from benchmarks import charts, corpus, kept_alive, page
from benchmarks.measure import Report, Row
from benchmarks.processes import READABLE
from benchmarks.push import ratio
from shared.products.dermadetect.rules import NOTHING, judge
from shared.products.dermadetect.tables import CATALOG
from shared.sync.dialects import batch, watermelon
from tests.conftest import absent


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
    readme.write_text(
        f"before ![a](results/curve.svg)\n{page.BEGIN}\noutdated\n{page.END}\nafter\n"
    )
    results = tmp_path / "results"
    results.mkdir()
    for name in ("gone-ms.svg", "curve.svg"):  # of a benchmark without results; of the text itself
        (results / name).write_text("<svg/>")
    monkeypatch.setattr("benchmarks.measure.RESULTS", results)
    report().save(quick=False)
    report().save(quick=True)

    def draw(asked: Mapping[str, charts.Chart]) -> dict[str, str]:
        return {name: chart.title for name, chart in asked.items()}

    page.write(readme, results, draw)
    text = readme.read_text()
    assert text.startswith("before ")
    assert text.endswith("\nafter\n")
    assert "outdated" not in text
    assert "1 of 2 goals were held." in text
    assert "| at most 1 × | 2.00 ×. too \\| slow | **missed** |" in text
    assert "No stored results: pull," in text
    assert sorted(svg.name for svg in results.glob("*.svg")) == ["curve.svg", "push-ms.svg"]
    assert text.count("### push") == 1  # quick runs do not count
    assert (results / "push-ms.svg").read_text() == "push, ms: ours is 2 times the floor"
    # and again: the same
    page.write(readme, results, draw)
    assert readme.read_text() == text


def row(case: str, who: str, *values: float) -> Row:
    return Row(case, who, "ms", values)


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([row("a", "ours", 2), row("a", "floor", 1), row("b", "ours", 3), row("b", "floor", 6)],
         "ours is 0.5 to 2 times the floor"),
        ([row("a", "ours", 2), row("a", "Kinto", 3), row("b", "ours", 3), row("b", "Kinto", 2)],
         "ours is ahead of every peer in 1 of 2 cases"),
        ([row("a", "model", 1), row("a", "floor", 500)], "up to 0.002 times the floor"),
    ],
)  # fmt: skip
def test_a_chart_says_what_it_shows(rows: list[Row], said: str) -> None:
    assert page.finding(Report("push"), "ms", rows) == f"push, ms: {said}"
    many = [Row(each.case, each.who, "records/s", each.values) for each in rows]
    assert page.finding(Report("push"), "records/s", many).startswith("push, records/s: ")


def test_an_axis_is_logarithmic_from_a_hundredfold_on() -> None:
    assert not charts.wide([1, 99.9])
    assert charts.wide([0, 1, 100])
    assert not charts.wide([0, 0])


def text_of(svg: Path) -> str:
    return " ".join(" ".join(ElementTree.parse(svg).getroot().itertext()).split())


def test_the_page_and_its_charts_say_what_is_stored() -> None:
    part, wanted = page.render(page.stored())
    text = page.README.read_text("utf-8")
    assert part in text, "run: python -m benchmarks --page"
    shown = set(re.findall(r"!\[[^\]]*\]\(results/([\w-]+\.svg)\)", text))
    assert {svg.name for svg in page.RESULTS.glob("*.svg")} == shown > set(wanted)
    for name, chart in wanted.items():
        drawn = text_of(page.RESULTS / name)
        assert chart.title in drawn
        for _, who, median, *_ in chart.rows:
            assert who in drawn
            assert charts.shown(median) in drawn, (name, median)
        assert ("logarithmic" in drawn) is charts.wide([median for _, _, median, *_ in chart.rows])


@pytest.mark.parametrize("svg", sorted(page.RESULTS.glob("*.svg")), ids=lambda svg: svg.stem)
def test_a_chart_fits_a_phone_and_dark_mode(svg: Path) -> None:
    text = svg.read_text("utf-8")
    [width] = re.findall(r'<svg[^>]* width="([\d.]+)pt"', text)
    # letters of 11 points on a screen of 360
    assert 11 * 360 / float(width) > 8
    assert "@media (prefers-color-scheme: dark)" in text
    assert not set(charts.INK) & set(re.findall(r"#\w{6}", text)), "a stand-in was left"


@pytest.mark.proof
def test_charts_are_drawn_as_they_are_stored() -> None:
    _, wanted = page.render(page.stored())
    name = "push-records-s.svg"
    line = charts.Lines("A & B", "minutes", "phones", (("come <in>", [0, 1], [5, 5000]),), least=1)
    try:
        drawn = charts.draw({name: wanted[name], "line.svg": line})
    except charts.NotDrawn as fault:
        absent(str(fault))
    assert drawn[name] == (page.RESULTS / name).read_text("utf-8")
    said = " ".join(ElementTree.fromstring(drawn["line.svg"]).itertext())
    assert {"A & B", "come <in>", "minutes", "phones, logarithmic"} <= {
        each.strip() for each in said.split("\n")
    }


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


def test_long_forms_are_cases_of_their_own_with_the_same_ids() -> None:
    forms, cases = corpus.forms("a", 100), corpus.cases("a", 100)
    assert [row["id"] for row in forms] == [row["id"] for row in cases]
    assert 1000 <= corpus.mean_bytes(forms) <= 1250
    for row in forms:
        said = orjson.loads(row["triage_data"])
        answers = [value for name, value in said.items() if name not in ("score", "note")]
        assert len(answers) == 20
        assert set(answers) <= {"yes", "no", "unsure"}
        assert len(said["note"].split()) == 70
        # red ones would store a job each
        assert judge(said, None, date(2026, 3, 1)) == NOTHING
    assert len({len(repr(orjson.loads(row["triage_data"])["score"])) for row in forms}) > 1


# --- a connection that is kept


class _Echo(BaseHTTPRequestHandler):
    """Says how many bytes of a body came; closes after `/last`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        came = len(self.rfile.read(int(self.headers["Content-Length"])))
        self.answer(orjson.dumps({"came": came, "from": self.client_address[1]}))

    def do_GET(self) -> None:
        self.answer(b"{}")

    def answer(self, data: bytes) -> None:
        self.send_response_only(200)
        self.send_header("Content-Length", str(len(data)))
        if self.path == "/last":
            self.close_connection = True  # without a word, as a server does that has waited enough
        self.end_headers()
        self.wfile.write(data)


def test_a_kept_line_counts_every_byte_both_ways_and_opens_anew_what_was_closed() -> None:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        line = kept_alive.Line(server.server_port, {"X-Own": "1"}, lambda: [os.getpid()], wake="/")
        line.ready()
        line.spent()
        first = line.ask("POST", "/", {"a": "b" * 1000})
        cost = line.spent()
        assert first["came"] == 1008
        assert 1008 < cost.sent < 1300
        head = b"HTTP/1.1 200 OK\r\nContent-Length: \r\n\r\n"
        body = orjson.dumps(first)
        assert cost.received == len(head) + len(str(len(body))) + len(body)
        assert cost.ms >= cost.first_byte_ms > 0
        assert (cost.processor_ms > 0) is READABLE
        line.gzip = True
        packed = line.ask("POST", "/last", {"a": "b" * 1000})
        assert packed["from"] == first["from"]
        assert packed["came"] < 100
        assert line.spent().sent < 400
        line.ready()
        assert line.ask("POST", "/", {})["from"] != first["from"]
        server.shutdown()
