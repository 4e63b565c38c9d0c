"""The scripted model with the product's draft, and the behaviours that scripts are made of."""

from __future__ import annotations

from collections.abc import Iterable

from shared.adapters import scripted
from shared.adapters.scripted import Behaviour, answering, busy, refuse, say
from shared.products.dermadetect.scripted import draft

__all__ = ["Behaviour", "ScriptedModel", "busy", "delay", "draft", "normal", "refuse", "say"]

#: Answer as the contract asks.
normal = answering(draft)


class ScriptedModel(scripted.ScriptedModel):
    """Answers as the contract asks when its script is used up."""

    def __init__(self, script: Iterable[Behaviour] = ()) -> None:
        super().__init__(draft, script)


def delay(seconds: float, then: Behaviour = normal) -> Behaviour:
    """Take so long; past the timeout, give up like a server that was too slow."""
    return scripted.delay(seconds, then)
