"""What the scripted model says to which case: for proving the harness, never for judging a model.

A script is one JSON file:

    {
      "cases": {"r05": [{"say": "no JSON"}, {"draft": {"urgency": "urgent"}}]},
      "otherwise": {"draft": {"urgency": "routine", "red_flags": []}}
    }

A case's list is used up question by question (photos and repairs are questions); `otherwise` answers
all the rest, without it the scripted model's own answer does. A behaviour is one of

    {"draft": {…}}     the model's own draft with these keys replaced
    {"say": "…"}       this text
    {"busy": null}     overloaded
    {"refuse": null}   refused for good
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import Any

from benchmarks.triage.cases import BadInput, read_json
from shared.adapters import scripted
from shared.adapters.scripted import Behaviour, ScriptedModel
from shared.ai.model import ChatRequest, Model
from shared.products.dermadetect.gateway import MAX_IMAGES
from shared.products.dermadetect.scripted import draft

#: The most questions that one case makes: each photo and its repair.
_MOST_QUESTIONS = 2 * MAX_IMAGES


class Script:
    """Gives each case a scripted model of its own, so that the order of cases changes nothing."""

    def __init__(
        self, cases: Mapping[str, list[Behaviour]], otherwise: Behaviour, sha256: str
    ) -> None:
        self._cases, self._otherwise = dict(cases), otherwise
        self.sha256 = sha256

    def model(self, case_id: str) -> Model:
        """The model that answers this case."""
        listed = self._cases.get(case_id, [])
        return ScriptedModel(draft, [*listed, *[self._otherwise] * (_MOST_QUESTIONS - len(listed))])


def load(path: Path, case_ids: Collection[str]) -> Script:
    """The script in a file. Raises `BadInput` naming file and field."""
    raw = read_json(path)
    cases = raw.get("cases", {})
    if not raw.keys() <= {"cases", "otherwise"} or not isinstance(cases, dict):
        raise BadInput([f"{path.name}: must hold cases (an object), otherwise or both"])
    read: dict[str, list[Behaviour]] = {}
    for case_id, behaviours in cases.items():
        where = f"{path.name}: cases.{case_id}"
        if case_id not in case_ids:
            raise BadInput([f"{where} is no case of the folder"])
        if not isinstance(behaviours, list) or len(behaviours) > _MOST_QUESTIONS:
            raise BadInput([f"{where} must be a list of at most {_MOST_QUESTIONS} behaviours"])
        read[case_id] = [_behaviour(each, f"{where}[{i}]") for i, each in enumerate(behaviours)]
    otherwise = scripted.answering(draft)
    if "otherwise" in raw:
        otherwise = _behaviour(raw["otherwise"], f"{path.name}: otherwise")
    return Script(read, otherwise, hashlib.sha256(path.read_bytes()).hexdigest())


def _behaviour(raw: object, where: str) -> Behaviour:
    if isinstance(raw, dict) and len(raw) == 1:
        [(kind, value)] = raw.items()
        if kind == "draft" and isinstance(value, dict):
            return _draft(value)
        if kind == "say" and isinstance(value, str):
            return scripted.say(value)
        if value is None and kind == "busy":
            return scripted.busy()
        if value is None and kind == "refuse":
            return scripted.refuse()
    raise BadInput([f"{where} must be one of draft, say, busy, refuse"])


def _draft(changes: Mapping[str, Any]) -> Behaviour:
    def behave(question: ChatRequest, _timeout_seconds: float) -> str:
        return json.dumps({**draft(question), **changes}, sort_keys=True)

    return behave
