"""The golden set and its table, worked by hand: 24 synthetic cases and what the scripted model says.

It proves the harness and says nothing about a model.
"""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from benchmarks.triage import script as scripts
from benchmarks.triage.cases import Case, load
from benchmarks.triage.measures import Measures, Share
from benchmarks.triage.reading import CasePath, Reading
from benchmarks.triage.run import Ledger, run
from shared.ai.model import ChatRequest, Completion
from tests.scripted import ScriptedModel

ROOT = Path(__file__).parents[2]
GOLDEN = ROOT / "benchmarks" / "golden"
CASES, SCRIPT = GOLDEN / "cases", GOLDEN / "script.json"

R, Y, G, N = "red", "yellow", "green", None

#: Worked by hand from the cases and the script: id → truth, phone, rules, AI, final, place of the
#: condition (None: not named; "-": no label), how the contract was kept.
EXPECTED: dict[str, tuple[Any, ...]] = {
    "r01": (R, R, R, R, R, 1, "first"),  # the flag comes back from the model
    "r02": (R, Y, N, R, R, 2, "first"),  # two photos, the second one shows it
    "r03": (R, G, R, G, R, N, "first"),  # 39.2 °C
    "r04": (R, Y, N, Y, Y, 3, "first"),  # missed by all
    "r05": (R, R, N, R, R, 1, "repaired"),
    "r06": (R, Y, R, N, R, N, N),  # refused; an ulcer of 40 days
    "r07": (R, G, R, G, R, 2, "first"),  # the model does what the note tells it; bleeding
    "r08": (R, R, N, N, R, N, "broken"),  # broken also after the repair
    "y09": (Y, Y, N, Y, Y, 1, "first"),
    "y10": (Y, G, N, Y, Y, 1, "first"),
    "y11": (Y, Y, N, R, R, 3, "first"),
    "y12": (Y, G, N, G, G, 2, "first"),
    "y13": (Y, R, N, Y, R, 1, "first"),
    "y14": (Y, Y, N, N, Y, N, N),  # busy
    "y15": (Y, Y, R, Y, R, 4, "first"),  # pain 9 of 10
    "y16": (Y, G, N, Y, Y, N, "first"),  # photo of no use, yet soon
    "g17": (G, G, N, G, G, 1, "first"),
    "g18": (G, G, N, Y, Y, 2, "first"),
    "g19": (G, G, N, G, G, 1, "first"),
    "g20": (G, Y, N, G, Y, 3, "first"),  # "Not …" is no hit
    "g21": (G, G, N, N, G, N, "first"),  # photo of no use, routine: no opinion
    "g22": (G, G, N, G, G, 1, "first"),  # thinking and a code fence
    "g23": (G, G, N, R, R, "-", "first"),  # an unknown flag is a flag
    "g24": (G, N, N, G, R, 1, "first"),  # the phone said nothing
}


def golden() -> list[Case]:
    return load(CASES)


def script(path: Path = SCRIPT) -> scripts.Script:
    return scripts.load(path, set(EXPECTED))


def path_of(chosen: scripts.Script, **more: Any) -> CasePath:
    return CasePath(chosen.model, max_tokens=1024, timeout_seconds=30, **more)


def evaluated(
    chosen: scripts.Script | None = None, cases: list[Case] | None = None, **more: Any
) -> list[tuple[Case, Reading]]:
    path = path_of(chosen or script(), **more)
    return run(cases or golden(), path.read, Ledger(None, {}))


def counts(share: Share | None) -> tuple[int, int] | None:
    return share and (share.hits, share.n)


def untimed(found: Measures) -> Measures:
    """Without what a clock decides."""
    return replace(found, cost=found.cost._replace(latency_ms_median=None, latency_ms_p95=None))


def raw_cases() -> dict[str, Any]:
    return {path.stem: json.loads(path.read_text()) for path in sorted(CASES.glob("*.json"))}


def put(folder: Path, name: str, raw: Any) -> None:
    for photo in raw.get("photos", []) if isinstance(raw, dict) else []:
        if isinstance(photo, str) and (CASES / photo).is_file():
            shutil.copy(CASES / photo, folder)
    (folder / f"{name}.json").write_text(raw if isinstance(raw, str) else json.dumps(raw))


def changed(**changes: Any) -> Any:
    """A good case with some of its parts replaced; `labels__triage` goes one deeper, ... removes."""
    raw = json.loads(json.dumps(raw_cases()["r01"]))
    for name, value in changes.items():
        at, *steps = raw, *name.split("__")
        for step in steps[:-1]:
            at = at[step]
        if value is ...:
            del at[steps[-1]]
        else:
            at[steps[-1]] = value
    return raw


class Listening:
    """A model that keeps what it was asked."""

    def __init__(self) -> None:
        self.heard: list[ChatRequest] = []

    def ask(self, question: ChatRequest, timeout_seconds: float) -> Completion:
        self.heard.append(question)
        return ScriptedModel().ask(question, timeout_seconds)
