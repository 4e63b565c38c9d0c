"""What every benchmark gives: rows of measured values, goals with a verdict, peers that were absent.

A benchmark is a module with `run(quick: bool) -> Report`, and ends with `main(__name__, run)`, so that
it runs alone (`python -m benchmarks.push --quick`) and all together (`python -m benchmarks`). Values of
one `Row` come from one run on one machine, with ours and the floor measured in turn; nothing here is a
test, and no test reads a clock.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from pathlib import Path

#: Where results go, one file for each benchmark.
RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True)
class Row:
    """One thing measured: `values` in `unit`, one for each repetition."""

    case: str  #: what was done: "push 500 new, Firestore"
    who: str  #: "ours", "floor" or a peer's name
    unit: str  #: "ms", "records/s", "MB", "reads" …
    values: tuple[float, ...]
    note: str = ""

    @property
    def median(self) -> float:
        """The middle value."""
        return statistics.median(self.values)

    @property
    def spread(self) -> tuple[float, float]:
        """The least and the largest value."""
        return min(self.values), max(self.values)


@dataclass(frozen=True)
class Goal:
    """A measure that we hold ourselves to, what was found, and why if it was missed."""

    text: str
    found: str
    held: bool
    why: str = ""


@dataclass
class Report:
    """The outcome of one benchmark."""

    name: str
    rows: list[Row] = field(default_factory=list)
    goals: list[Goal] = field(default_factory=list)
    absent: list[str] = field(default_factory=list)  #: peers or parts that could not run, and why

    def row(self, case: str, who: str, unit: str, values: Sequence[float], note: str = "") -> Row:
        """Add a row."""
        made = Row(case, who, unit, tuple(values), note)
        self.rows.append(made)
        return made

    def goal(self, text: str, found: str, held: bool, why: str = "") -> None:
        """Add a goal's verdict; `why` is told if it was missed."""
        self.goals.append(Goal(text, found, held, "" if held else why))

    def table(self) -> str:
        """The report as Markdown: a table of rows with ratios to the floor, then the goals."""
        floors = {row.case: row.median for row in self.rows if row.who == "floor"}
        lines = ["| case | who | median | least – most | × floor |", "|---|---|---:|---:|---:|"]
        for row in self.rows:
            low, high = row.spread
            floor = floors.get(row.case)
            ratio = f"{row.median / floor:.2f}" if floor and row.who != "floor" else ""
            lines.append(
                f"| {row.case} | {row.who} | {_number(row.median)} {row.unit} "
                f"| {_number(low)} – {_number(high)} | {ratio} |"
            )
        for each in self.goals:
            verdict = "held" if each.held else "MISSED"
            lines.append(f"\n**{verdict}**: {each.text}; found {each.found}. {each.why}".rstrip())
        lines.extend(f"\nNot measured: {each}" for each in self.absent)
        return "\n".join(lines)

    def save(self, quick: bool) -> Path:
        """Write `benchmarks/results/<name>.json` (`<name>.quick.json`) and return its path."""
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{self.name}{'.quick' if quick else ''}.json"
        body = {
            "name": self.name,
            "quick": quick,
            "at": datetime.now(UTC).isoformat(timespec="seconds"),
            "machine": {
                "cores": os.cpu_count(),
                "python": platform.python_version(),
                "system": platform.system(),
            },
            "rows": [asdict(row) for row in self.rows],
            "goals": [asdict(goal) for goal in self.goals],
            "absent": self.absent,
        }
        path.write_text(json.dumps(body, indent=1, ensure_ascii=False) + "\n")
        return path


def _number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.3g}"


def main(name: str, run: Callable[[bool], Report]) -> None:
    """Run one benchmark from the command line; does nothing where the module is only imported."""
    if name != "__main__":
        return
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true", help="a small run, within seconds")
    quick = parser.parse_args().quick
    report = run(quick)
    sys.stdout.write(report.table() + "\n")
    report.save(quick)
