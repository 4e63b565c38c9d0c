"""The evaluation as it is run: going on after a stop, the command with its exit codes, every adapter."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.triage import script as scripts
from benchmarks.triage.__main__ import conditions
from benchmarks.triage.cases import Case, load
from benchmarks.triage.measures import Measures, measure
from benchmarks.triage.reading import CasePath, Reading
from benchmarks.triage.report import SCRIPTED_MODEL, SYNTHETIC_CASES, Report
from benchmarks.triage.run import Ledger, run
from shared.ai.model import ChatRequest, Completion, Model
from shared.products.dermadetect import rules
from shared.products.dermadetect.gateway import prompt
from shared.products.dermadetect.settings import DermaDetectSettings
from shared.settings import load as settings
from shared.settings import read
from tests.ai import pictures
from tests.ai.vertex import Vertex, running
from tests.benchmarks.golden import (
    CASES,
    EXPECTED,
    GOLDEN,
    ROOT,
    SCRIPT,
    G,
    R,
    changed,
    evaluated,
    golden,
    path_of,
    put,
    raw_cases,
    script,
    untimed,
)

pytestmark = pytest.mark.proof

# --- going on


class Counting:
    """A path that notes whom it was asked about."""

    def __init__(self, path: CasePath) -> None:
        self.path = path
        self.asked: list[str] = []

    def read(self, case: Case) -> Reading:
        self.asked.append(case.id)
        return self.path.read(case)


def go(
    out: Path, chosen: scripts.Script, more: int = 1, **conditions: Any
) -> tuple[Measures, list[str]]:
    path = Counting(path_of(chosen))
    pairs = run(golden(), path.read, Ledger(out, conditions), more)
    return untimed(measure(pairs)), sorted(path.asked)


def test_a_second_run_asks_only_what_was_busy(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    first, asked = go(out, script())
    assert asked == sorted(EXPECTED)
    second, asked = go(out, script())
    assert asked == ["y14"]
    assert second == first


def test_another_label_or_photo_asks_anew(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    go(out, script())
    folder = tmp_path / "cases"
    shutil.copytree(CASES, folder)
    raw = raw_cases()["g17"]
    raw["labels"]["triage"] = R
    put(folder, "g17", raw)
    (folder / "g19.png").write_bytes(pictures.png(shade=7))
    path = Counting(path_of(script()))
    run(load(folder), path.read, Ledger(out, {}))
    assert sorted(path.asked) == ["g17", "g19", "y14"]


def test_under_other_conditions_everything_is_asked_anew(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    go(out, script(), prompt="one")
    assert go(out, script(), prompt="two")[1] == sorted(EXPECTED)


def test_the_conditions_are_all_that_an_answer_depends_on() -> None:
    served = {
        "MODEL": "openai_compatible",
        "MODEL_URL": "http://localhost:8000/v1",
        "MODEL_NAME": "medgemma-4b",
    }
    vertex = {"MODEL": "vertex", "VERTEX_ENDPOINT": "1", "GOOGLE_CLOUD_PROJECT": "clinic"}
    environs: list[dict[str, str]] = [
        {},
        {"MODEL_MAX_TOKENS": "2048"},
        {"TRIAGE_RED_FROM": "0.5"},
        served,
        {**served, "MODEL_NAME": "medgemma-27b"},
        {**served, "MODEL_URL": "http://localhost:8001/v1"},
        vertex,
        {**vertex, "VERTEX_ENDPOINT": "2"},
    ]
    usual = DermaDetectSettings()
    found = [
        conditions(settings(environ), read(environ, DermaDetectSettings), None, True)
        for environ in environs
    ]
    found += [
        conditions(settings({}), usual, None, False),
        conditions(settings({}), usual, script(), True),
    ]
    texts = {json.dumps(each, sort_keys=True) for each in found}
    assert len(texts) == len(found) == 10
    assert {"prompt": prompt().sha256, "rules": rules.VERSION}.items() <= found[0].items()


def test_a_run_that_died_goes_on_where_it_was(tmp_path: Path) -> None:
    # given a whole run; cases are asked one by one, so lines are in the cases' order
    out, cut = tmp_path / "out.jsonl", tmp_path / "cut.jsonl"
    whole, _ = go(out, script())
    written = out.read_bytes()
    for kept in range(0, len(written), 997):
        # when it was cut anywhere
        cut.write_bytes(written[:kept])
        done = sorted(EXPECTED)[: sum(map(complete, written[:kept].splitlines()))]
        found, asked = go(cut, script())
        # then the rest is asked, the busy one again, and what was written after the cut is found
        assert asked == sorted({*EXPECTED} - {*done} | {"y14"})
        assert found == whole
        assert go(cut, script())[1] == ["y14"]


def complete(line: bytes) -> bool:
    return line.startswith(b"{") and line.endswith(b"}")


def test_the_number_at_a_time_changes_nothing(tmp_path: Path) -> None:
    one, _ = go(tmp_path / "one", script())
    many, _ = go(tmp_path / "many", script(), 8)
    assert many == one
    assert go(tmp_path / "many", script())[1] == ["y14"]


def test_nothing_of_a_patient_or_of_the_model_s_words_is_kept(tmp_path: Path) -> None:
    out = tmp_path / "out.jsonl"
    pairs = evaluated()
    go(out, script())
    report = Report(pairs, {"at": "now"})
    texts = (out.read_text(), report.as_markdown(), json.dumps(report.as_json()))
    for word in ("Asha", "0791234567", "rains", "shingles", "elanoma", "scalp"):
        for text in texts:
            assert word not in text


# --- the command


def command(*words: object, **environ: str) -> subprocess.CompletedProcess[str]:
    kept = {name: os.environ[name] for name in ("PATH", "REQUESTS_CA_BUNDLE") if name in os.environ}
    return subprocess.run(
        [sys.executable, "-m", "benchmarks.triage", *map(str, words)],
        cwd=ROOT,
        env={**kept, "NO_PROXY": "localhost,127.0.0.1", **environ},
        capture_output=True,
        text=True,
        check=False,
    )


def test_the_command_reports_the_golden_set(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = command("--cases", CASES, "--script", SCRIPT, "--json", report, "--concurrency", 4)
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith("# Triage evaluation\n\n**SYNTHETIC CASES:")
    assert "| final | 87.5 % (7/8, 52.9 %–97.8 %) small | 68.8 % (11/16" in done.stdout
    found = json.loads(report.read_text())
    assert found["warnings"] == [SYNTHETIC_CASES, SCRIPTED_MODEL]
    final = found["all"]["opinions"]["final"]["red_sensitivity"]
    assert (final["hits"], final["n"], final["small"]) == (7, 8, True)
    assert list(found["skin_types"]) == ["I-II", "III-IV", "V-VI", "unknown"]
    assert found["provenance"]["adapter"] == "scripted"
    assert len(found["provenance"]["prompt sha256"]) == 64
    assert "1 cases met a busy model" in done.stderr


def test_the_command_of_the_document_works_as_pasted() -> None:
    text = (ROOT / "docs" / "ai.md").read_text(encoding="utf-8")
    shown = re.findall(r"([^\n]*)\n\n```sh\n\S*python -m benchmarks.triage (.*)\n```", text)
    ran = [words for said, words in shown if "Not run here" not in said]
    assert len(ran) == 1
    done = command(*ran[0].split())
    assert done.returncode == 0, done.stderr
    assert "24 cases: 8 red, 8 yellow, 8 green." in done.stdout


def test_photos_can_be_left_out(tmp_path: Path) -> None:
    report = tmp_path / "report.json"
    done = command("--cases", CASES, "--without-photos", "--json", report)
    assert done.returncode == 0, done.stderr
    found = json.loads(report.read_text())
    assert (found["all"]["cost"]["photos_shown"], found["all"]["cost"]["calls"]) == (0, 24)
    assert found["provenance"]["photos"] == "left out"


@pytest.mark.parametrize(
    ("option", "least", "code"),
    [
        ("--min-red-sensitivity", "0.52", 0),  # the lower bound is 0.5291
        ("--min-red-sensitivity", "0.54", 1),
        ("--min-ai-red-sensitivity", "0.13", 0),  # 0.1368
        ("--min-ai-red-sensitivity", "0.14", 1),
    ],
)
def test_a_bound_that_is_missed_ends_with_1(option: str, least: str, code: int) -> None:
    done = command("--cases", CASES, "--script", SCRIPT, option, least)
    assert done.returncode == code
    assert ("is under" in done.stderr) == bool(code)


def test_without_red_cases_no_bound_is_met(tmp_path: Path) -> None:
    put(tmp_path, "a", changed(labels__triage=G))
    done = command("--cases", tmp_path, "--min-red-sensitivity", "0.01")
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("words", "environ", "said"),
    [
        (["--cases", "nowhere"], {}, "nowhere: there is no such folder"),
        (["--cases", ROOT / "docs" / "decisions"], {}, "holds no case"),
        (["--cases", CASES, "--script", "nowhere.json"], {}, "nowhere.json: cannot be read"),
        (["--cases", CASES, "--out", "nowhere/out"], {}, "nowhere/out: cannot be written"),
        (["--cases", CASES, "--json", "nowhere/out"], {}, "nowhere/out"),
        (["--cases", CASES, "--concurrency", "0"], {}, "--concurrency"),
        (["--cases", CASES, "--min-red-sensitivity", "95"], {}, "--min-red-sensitivity"),
        (["--cases", CASES], {"MODEL": "vertex"}, "GOOGLE_CLOUD_PROJECT is needed"),
        (
            ["--cases", CASES, "--script", SCRIPT],
            {"MODEL": "openai_compatible", "MODEL_URL": "http://localhost:1", "MODEL_NAME": "m"},
            "--script is for MODEL=scripted",
        ),
    ],
)
def test_what_cannot_be_used_ends_with_2_and_no_report(
    words: list[Any], environ: dict[str, str], said: str
) -> None:
    done = command(*words, **environ)
    assert (done.returncode, done.stdout) == (2, "")
    assert said in done.stderr
    assert "Traceback" not in done.stderr


@pytest.fixture(name="vertex")
def _vertex() -> Iterator[Vertex]:
    with running() as vertex:
        yield vertex


@pytest.mark.parametrize("adapter", ["vertex", "openai_compatible"])
def test_every_adapter_gives_the_report_that_its_model_deserves(
    adapter: str, vertex: Vertex, tmp_path: Path
) -> None:
    # given a server with a model that calls everything green
    always_green = script(GOLDEN / "always-green.json")
    before, vertex.server.model = vertex.server.model, Everywhere(always_green)
    environ = {
        "vertex": {
            "GOOGLE_CLOUD_PROJECT": "clinic",
            "VERTEX_LOCATION": "europe-west4",
            "VERTEX_ENDPOINT": "1234567890",
            "VERTEX_API_ENDPOINT": vertex.server.url,
            "VERTEX_CREDENTIALS": "anonymous",
        },
        "openai_compatible": {"MODEL_URL": f"{vertex.server.url}/v1", "MODEL_NAME": "medgemma"},
    }[adapter]
    report = tmp_path / "report.json"
    try:
        done = command("--cases", CASES, "--json", report, MODEL=adapter, **environ)
    finally:
        vertex.server.model = before
    # then the report is that of the same model without a wire
    assert done.returncode == 0, done.stderr
    found = json.loads(report.read_text())
    here = Report(evaluated(always_green), {}).as_json()
    assert found["provenance"]["adapter"] == adapter
    for measured in ("opinions", "confusion", "top_1", "valid_first", "no_answer", "missed_red"):
        assert found["all"][measured] == here["all"][measured]
    assert found["all"]["cost"]["calls"] == len(vertex.server.requests) == 25


class Everywhere:
    """A server's model: every question gets what a script says to questions of no list."""

    def __init__(self, chosen: scripts.Script) -> None:
        self._script = chosen

    def ask(self, question: ChatRequest, timeout_seconds: float) -> Completion:
        model: Model = self._script.model("")
        return model.ask(question, timeout_seconds)
