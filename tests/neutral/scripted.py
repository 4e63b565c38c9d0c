"""The scripted model that summarises notes."""

from __future__ import annotations

from collections.abc import Iterable

from shared.adapters import scripted
from shared.adapters.scripted import Behaviour, answering
from tests.neutral.summarise import draft

#: Answer as the contract asks.
normal = answering(draft)


class ScriptedModel(scripted.ScriptedModel):
    """Answers as the contract asks when its script is used up."""

    def __init__(self, script: Iterable[Behaviour] = ()) -> None:
        super().__init__(draft, script)
