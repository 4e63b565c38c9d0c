"""`python -m benchmarks.triage`: see the package.

Exit codes: 0 the report is there; 1 a bound was missed (`--min-red-sensitivity`); 2 a setting, case or
script cannot be used, and nothing was asked.
"""

from __future__ import annotations

import argparse
import json
import logging
import platform
import subprocess
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks.triage import script as scripts
from benchmarks.triage.cases import BadInput, Case, load
from benchmarks.triage.measures import AI, FINAL, Measures
from benchmarks.triage.reading import CasePath
from benchmarks.triage.report import Report
from benchmarks.triage.run import Ledger, cases_sha256, run
from shared import wiring
from shared.ai.breaker import Breaker
from shared.ai.model import SCRIPTED, Model
from shared.ai.spending import Prices
from shared.errors import ConfigurationFault
from shared.products.dermadetect import rules
from shared.products.dermadetect.analysis.vocabulary import SCHEMA_VERSION
from shared.products.dermadetect.gateway import PROMPT, prompt
from shared.products.dermadetect.product import second_look
from shared.products.dermadetect.settings import DermaDetectSettings
from shared.products.dermadetect.triage import LABELS_SHA256
from shared.settings import Settings, own

REPOSITORY = Path(__file__).resolve().parents[2]

#: Cases between two lines of progress.
_TOLD_EVERY = 25


def main(arguments: Sequence[str] | None = None) -> int:
    """Evaluate; returns the exit code."""
    chosen = _parser().parse_args(arguments)
    # calls that fail are counted in the report; one line each would drown the progress
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    try:
        settings = wiring.settings()
        cases = load(chosen.cases)
        script = chosen.script and scripts.load(chosen.script, {case.id for case in cases})
        if script and settings.model != SCRIPTED:
            raise BadInput(["--script is for MODEL=scripted"])
        path = _path(settings, script, photos=not chosen.without_photos)
        ledger = Ledger(
            chosen.out,
            conditions(settings, own(DermaDetectSettings), script, not chosen.without_photos),
        )
        if chosen.json:
            chosen.json.touch()  # rather now than after an hour
    except BadInput as bad:
        for problem in bad.problems:
            print(problem, file=sys.stderr)
        return 2
    except (ConfigurationFault, OSError) as fault:
        print(fault, file=sys.stderr)
        return 2
    pairs = run(cases, path.read, ledger, chosen.concurrency, _tell)
    if waiting := sum(reading.again for _, reading in pairs):
        print(f"{waiting} cases met a busy model; --out FILE asks them again", file=sys.stderr)
    models = {f"{found.model} {found.version}".strip() for _, found in pairs if found.model}
    report = Report(pairs, _provenance(settings, cases, sorted(models), script, chosen))
    print(report.as_markdown())
    if chosen.json:
        text = json.dumps(report.as_json(), indent=1, ensure_ascii=False)
        chosen.json.write_text(text + "\n", encoding="utf-8")
    return _gate(report.overall, chosen.min_red_sensitivity, chosen.min_ai_red_sensitivity)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.triage",
        description="Runs labelled cases through the path of the analysis, with the model that the "
        "settings choose (MODEL), and reports how good the triage is.",
    )
    add = parser.add_argument
    add("--cases", type=Path, required=True, metavar="FOLDER", help="the labelled cases")
    add(
        "--out", type=Path, metavar="FILE", help="keep readings here (JSON lines) and go on from it"
    )
    add("--json", type=Path, metavar="FILE", help="the report as JSON")
    add("--concurrency", type=_many, default=1, metavar="N", help="cases at a time, 1 to 64")
    add("--without-photos", action="store_true", help="ask from the facts alone")
    add("--script", type=Path, metavar="FILE", help="what the scripted model says to which case")
    add(
        "--min-red-sensitivity",
        type=_from_0_to_1,
        metavar="X",
        help="exit 1 if the lower bound of the final triage's red sensitivity is under X (0 to 1)",
    )
    add(
        "--min-ai-red-sensitivity",
        type=_from_0_to_1,
        metavar="X",
        help="the same of the model alone: phone and rules cannot cover for it",
    )
    return parser


def _many(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= 64:
        raise argparse.ArgumentTypeError("must be from 1 to 64")
    return int(text)


def _from_0_to_1(text: str) -> float:
    value = float(text)  # its ValueError is argparse's to tell
    if not 0 <= value <= 1:
        raise argparse.ArgumentTypeError("must be from 0 to 1")
    return value


def _path(settings: Settings, script: scripts.Script | None, *, photos: bool) -> CasePath:
    return CasePath(
        script.model if script else _model(settings),
        max_tokens=settings.model_max_tokens,
        timeout_seconds=settings.model_timeout_seconds,
        prices=Prices(settings.price_asked, settings.price_answered, settings.price_hour),
        second_look=second_look(wiring.parts()),
        photos=photos,
    )


def _model(settings: Settings) -> Callable[[str], Model]:
    """The settings' model for every case, behind a breaker as in service."""
    model = Breaker(
        wiring.model(), failures=settings.model_failures, rest_seconds=settings.model_rest_seconds
    )
    return lambda _case_id: model


def conditions(
    settings: Settings,
    second_look: DermaDetectSettings,
    script: scripts.Script | None,
    photos: bool,
) -> dict[str, Any]:
    """What an answer depends on besides its case. An address is no secret, yet only hashed."""
    where = {
        "vertex": (settings.vertex_location, settings.vertex_endpoint),
        "openai_compatible": (settings.model_url, settings.model_name),
    }.get(settings.model, ())
    return {
        "model": [settings.model, *where],
        "script": script and script.sha256,
        "max_tokens": settings.model_max_tokens,
        "photos": photos,
        "prompt": prompt().sha256,
        "contract": SCHEMA_VERSION,
        "rules": rules.VERSION,
        "second_look": [
            settings.siglip_endpoint,
            second_look.triage_red_from,
            second_look.triage_yellow_from,
            LABELS_SHA256,
        ],
    }


def _provenance(
    settings: Settings,
    cases: Sequence[Case],
    models: list[str],
    script: scripts.Script | None,
    chosen: argparse.Namespace,
) -> dict[str, Any]:
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cases": f"{len(cases)}, {cases[0].origin}",
        "cases sha256": cases_sha256(cases),
        "adapter": settings.model,
        "models that answered": models or "none",
        "script sha256": script.sha256 if script else "none",
        "prompt": PROMPT,
        "prompt sha256": prompt().sha256,
        "contract": SCHEMA_VERSION,
        "rules": rules.VERSION,
        "max tokens": settings.model_max_tokens,
        "temperature": 0,
        "prices": [settings.price_asked, settings.price_answered, settings.price_hour],
        "photos": "left out" if chosen.without_photos else "shown",
        "second look": LABELS_SHA256 if settings.siglip_endpoint else "none",
        "code": _commit(),
        "python": platform.python_version(),
    }


def _commit() -> str:
    """The commit of this code and whether files differ from it; unknown outside of git."""
    command = ("git", "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*")
    try:
        done = subprocess.run(
            command, cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=20
        )
    except (OSError, subprocess.TimeoutExpired):
        return "unknown"
    return done.stdout.strip() or "unknown"


def _tell(done: int, of: int) -> None:
    if done % _TOLD_EVERY == 0 or done == of:
        print(f"{done} of {of} cases", file=sys.stderr)


def _gate(found: Measures, least_final: float | None, least_ai: float | None) -> int:
    code = 0
    for who, least in ((FINAL, least_final), (AI, least_ai)):
        if least is None:
            continue
        low, _ = found.opinions[who.name].red_sensitivity.interval
        if low < least:
            print(
                f"red sensitivity, {who.name}: the lower bound {low:.3f} is under {least}",
                file=sys.stderr,
            )
            code = 1
    return code


if __name__ == "__main__":
    sys.exit(main())
