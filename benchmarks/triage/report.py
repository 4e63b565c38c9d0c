"""The report: Markdown to read, JSON to compare. Counts, shares and intervals; ids, no clinical text."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from benchmarks.triage.cases import SYNTHETIC
from benchmarks.triage.measures import (
    AI,
    FINAL,
    NO_OPINION,
    OPINIONS,
    SMALL,
    Measures,
    Pair,
    Share,
    by_skin_type,
    measure,
)
from shared.ai.model import SCRIPTED
from shared.products.dermadetect.analysis.vocabulary import TRIAGES

#: Under the heading of a report.
SYNTHETIC_CASES = (
    "SYNTHETIC CASES: this report proves the harness. It says nothing about any model."
)
SCRIPTED_MODEL = "SCRIPTED MODEL: its answers have no clinical value."
REAL_CASES = (
    "The numbers hold for these cases and this labelling only; whom the cases stand for is for the "
    "study to say."
)

#: The fields of `Verdicts` as they are shown.
_VERDICTS = ("red sensitivity", "specificity", "over-triage", "under-triage")

_NOTES = f"""\
- In brackets: cases counted, and Wilson's 95 % interval. "small": fewer than {SMALL} cases; such a number
  must not be read without its interval.
- Red sensitivity: red cases that were called red. Specificity: other cases that were not called red.
  Over-triage: green and yellow cases that were called worse than they are. Under-triage: yellow and
  red cases that were called milder than they are.
- A case without the model's opinion counts against "AI alone" everywhere. Rules only ever say red.
- "final" is the worst of phone, rules, model and second look, with the model asked about every case.
- A condition counts as found when a label is one of the listed names, or bears the listed code; a
  synonym that is not listed counts as missed."""


@dataclass(frozen=True, slots=True)
class Report:
    """Readings and where they come from. `provenance` holds JSON values."""

    pairs: Sequence[Pair]
    provenance: Mapping[str, Any]

    @property
    def overall(self) -> Measures:
        """Of all cases."""
        return measure(self.pairs)

    @property
    def warnings(self) -> list[str]:
        """What a reader must know first."""
        synthetic = any(case.origin == SYNTHETIC for case, _ in self.pairs)
        found = [SYNTHETIC_CASES if synthetic else REAL_CASES]
        if any(reading.model == SCRIPTED for _, reading in self.pairs):
            found.append(SCRIPTED_MODEL)
        return found

    def as_json(self) -> dict[str, Any]:
        """Everything as JSON values."""
        return {
            "warnings": self.warnings,
            "provenance": dict(self.provenance),
            "all": _json(self.overall),
            "skin_types": {name: _json(each) for name, each in by_skin_type(self.pairs).items()},
        }

    def as_markdown(self) -> str:
        """Everything as Markdown."""
        everyone = self.overall
        groups = by_skin_type(self.pairs)
        parts = [
            "# Triage evaluation",
            *(f"**{warning}**" for warning in self.warnings),
            _table(("", ""), [(name, _plain(self.provenance[name])) for name in self.provenance]),
            "## Triage",
            _cases(everyone),
            _verdicts(everyone),
            _model(everyone),
            "## Conditions and contract",
            _table(("measure", "share"), _shares(everyone)),
            _answers(everyone),
            "## By skin type (Fitzpatrick)",
            _groups(groups),
            "## Truth against triage",
            *(_confusion(everyone, each.name) for each in (FINAL, AI)),
            "## What it took",
            _table(("", ""), _cost(everyone)),
            "## How to read this",
            _NOTES,
        ]
        return "\n\n".join(part for part in parts if part) + "\n"


def show(share: Share | None) -> str:
    """`87.5 % (7/8, 52.9–97.8) small`."""
    if share is None:
        return "–"
    if share.value is None:
        return "no cases"
    low, high = share.interval
    small = " small" if share.n < SMALL else ""
    return f"{share.value:.1%} ({share.hits}/{share.n}, {low:.1%}–{high:.1%}){small}".replace(
        "%", " %"
    )


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [head, ["---"] * len(head), *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def _plain(value: object) -> str:
    text = ", ".join(map(str, value)) if isinstance(value, list) else str(value)
    return text.replace("|", "\\|").replace("\n", " ")


def _cases(found: Measures) -> str:
    counts = ", ".join(f"{found.triages[colour]} {colour}" for colour in reversed(TRIAGES))
    return f"{found.cases} cases: {counts}."


def _verdicts(found: Measures) -> str:
    rows = [(each.name, *map(show, found.opinions[each.name])) for each in OPINIONS]
    return _table(("who", *_VERDICTS), rows)


def _model(found: Measures) -> str:
    lines = [
        f"- Red cases that only model or second look caught, of those that phone and rules missed: "
        f"{show(found.caught)}.",
        f"- False alarms that only they raised: {show(found.alarms)}.",
        f"- The server sends the model those cases that phone or rules call red: "
        f"{found.read_in_service} of these {found.cases}. They are red already: what the model adds "
        f"to the triage of the others shows here only.",
        f"- Red cases that the final triage missed: {', '.join(found.missed_red) or 'none'}.",
    ]
    if found.phone_silent:
        lines.append(
            f"- Without the phone's triage: {found.phone_silent}. They count as red for phone and "
            f"final, whatever anybody says."
        )
    return "\n".join(lines)


def _shares(found: Measures) -> list[tuple[str, str]]:
    return [
        ("condition first", show(found.top_1)),
        ("condition among the first three", show(found.top_3)),
        ("schema-valid at the first answer", show(found.valid_first)),
        ("schema-valid after the repair", show(found.valid_repaired)),
    ]


def _answers(found: Measures) -> str:
    lines = [f"- Status: {_words(found.statuses)}."]
    lines.append(f"- No answer: {_words(found.no_answer) or 'none'}.")
    lines.append(f"- Second look: {_words(found.second_looks)}.")
    lines.append(f"- Without an opinion of the model: {found.no_opinion} of {found.cases}.")
    return "\n".join(lines)


def _words(counts: Mapping[str, int]) -> str:
    return ", ".join(f"{name} {count}" for name, count in counts.items())


def _groups(groups: Mapping[str, Measures]) -> str:
    def row(name: str, cells: Sequence[str]) -> tuple[str, ...]:
        return (name, *cells)

    rows = [row("cases", [str(each.cases) for each in groups.values()])]
    for who in OPINIONS:
        for index, measured in enumerate(_VERDICTS):
            shares = [each.opinions[who.name][index] for each in groups.values()]
            if None not in shares:
                rows.append(row(f"{measured}, {who.name}", [show(share) for share in shares]))
    for index, (name, _) in enumerate(_shares(next(iter(groups.values())))):
        rows.append(row(name, [_shares(each)[index][1] for each in groups.values()]))
    return _table(("", *groups), rows)


def _confusion(found: Measures, who: str) -> str:
    table = found.confusion[who]
    silent = any(row[NO_OPINION] for row in table.values())
    columns = (*TRIAGES, NO_OPINION) if silent else TRIAGES
    rows = [
        (f"truth {truth}", *(str(table[truth][colour]) for colour in columns)) for truth in TRIAGES
    ]
    return _table((who, *columns), rows)


def _cost(found: Measures) -> list[tuple[str, str]]:
    cost = found.cost

    def known(value: float | None, unit: str = "") -> str:
        return "not known" if value is None else f"{value:,}{unit}"

    return [
        ("cases with an answer", str(cost.answered)),
        ("calls", str(cost.calls)),
        ("latency of a case, median", known(cost.latency_ms_median, " ms")),
        ("latency of a case, 95th percentile", known(cost.latency_ms_p95, " ms")),
        ("tokens of the questions", known(cost.prompt_tokens)),
        ("tokens of the answers", known(cost.completion_tokens)),
        ("price by the settings, estimate", f"{cost.price_estimate:.4f}"),
        ("photos shown, left out", f"{cost.photos_shown}, {cost.photos_skipped}"),
    ]


def _json(found: Measures) -> dict[str, Any]:
    return {
        "cases": found.cases,
        "triages": found.triages,
        "opinions": {
            name: {
                measured: share and share.as_json()
                for measured, share in zip(verdicts._fields, verdicts, strict=True)
            }
            for name, verdicts in found.opinions.items()
        },
        **{
            name: getattr(found, name).as_json()
            for name in ("top_1", "top_3", "valid_first", "valid_repaired", "caught", "alarms")
        },
        "statuses": found.statuses,
        "no_answer": found.no_answer,
        "second_looks": found.second_looks,
        "no_opinion": found.no_opinion,
        "phone_silent": found.phone_silent,
        "read_in_service": found.read_in_service,
        "confusion": found.confusion,
        "missed_red": list(found.missed_red),
        "cost": found.cost._asdict(),
    }
