"""Questions to a model about one piece of work: ask, check, have it repaired once, account for it.

What is asked and what an answer must be is the product's: it gives a text, pictures, and a parser that
raises `ContractBroken`. Here is what every product needs: what people wrote is data inside a fence that it
cannot close, pictures leave without metadata, every question counts against one time budget and the
day's cap, and leaves a log line.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeVar

from shared.ai.model import ChatRequest, Completion, Image, Model
from shared.ai.pictures import without_metadata
from shared.ai.spending import Prices, SpendingCap
from shared.errors import ContractBroken, ModelBusy, ModelFault, ModelPaused

log = logging.getLogger(__name__)

Parsed = TypeVar("Parsed")

#: Characters of a broken answer that are shown to the model again for repair.
_REPAIR_CHARS = 4000
#: Seconds below which a further question is not begun.
_LEAST_SECONDS = 0.05


def as_data(value: object) -> str:
    """JSON that holds no angle bracket: it can neither close the fence nor be a control token."""
    text = json.dumps(value, ensure_ascii=False, sort_keys=True, allow_nan=False)
    text = text.encode("utf-8", "replace").decode("utf-8")  # lone surrogates become "?"
    return text.replace("<", "\\u003c").replace(">", "\\u003e")


@dataclass(slots=True)
class Usage:
    """What a conversation has taken so far."""

    calls: int = 0
    latency_ms: int = 0
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    models: list[tuple[str, str]] = field(default_factory=list)  #: name and version of each answer
    micros: int = 0  #: price estimate, millionths
    provider: str = ""  #: who answered last, by the name in the settings

    def add(self, answer: Completion, micros: int, provider: str = "") -> None:
        """One more answer."""
        self.provider = provider
        self.micros += micros
        self.latency_ms += max(0, answer.latency_ms)
        self.prompt_tokens = _sum(self.prompt_tokens, answer.prompt_tokens)
        self.completion_tokens = _sum(self.completion_tokens, answer.completion_tokens)
        self.models.append((answer.model, answer.version))


@dataclass(frozen=True, slots=True)
class Provider:
    """A model by its name in the settings. `prices`: None: those of the terms."""

    name: str
    model: Model
    prices: Prices | None = None

    @property
    def free(self) -> bool:
        """Whether asking it costs nothing."""
        return self.prices == Prices()


class Conversation:
    """What is asked for one piece of work, until its time is used up. Of one thread."""

    def __init__(self, terms: Terms, providers: tuple[Provider, ...] = ()) -> None:
        self._terms = terms
        self._providers = providers or terms.providers
        self._ends_at = terms.clock() + terms.longest_seconds
        self.account = Usage()

    def ask(
        self,
        system: str,
        text: str,
        images: tuple[Image, ...],
        parse: Callable[[str], Parsed],
        broken: Callable[[ContractBroken], None] = lambda _fault: None,
    ) -> Parsed:
        """A parsed answer, after at most one repair. `broken` is told of each that breaks the contract.

        Of several models the next is asked when one fails, is left alone, or breaks the contract twice.
        Raises what the model raises (of several the first that was asked), `ModelBusy` when no time is
        left, `ContractBroken` when the repaired answer is no better.
        """
        images = tuple(map(without_metadata, images))
        faults: list[ModelFault] = []
        for provider in self._providers:
            if faults and not self.time_left():
                break
            try:
                return self._answered(provider, system, text, images, parse, broken)
            except ModelFault as fault:
                faults.append(fault)
                if len(self._providers) > 1:
                    log.warning(
                        "model passed over", extra={"model": provider.name, "fault": fault.code}
                    )
        raise next((fault for fault in faults if fault.attempted), faults[0])

    def _answered(
        self,
        provider: Provider,
        system: str,
        text: str,
        images: tuple[Image, ...],
        parse: Callable[[str], Parsed],
        broken: Callable[[ContractBroken], None],
    ) -> Parsed:
        answer = self._asked(provider, system, text, images)
        try:
            return parse(answer.text)
        except ContractBroken as fault:
            broken(fault)
            repair = (
                f"{text}\n\nAn earlier answer to this task could not be used: {fault.message}\n"
                f"That answer was, as a JSON string: {as_data(answer.text[:_REPAIR_CHARS])}\n"
                "Write the whole JSON object again, following the rules above."
            )
        try:
            return parse(self._asked(provider, system, repair, images).text)
        except ContractBroken as fault:
            broken(fault)
            raise

    def time_left(self) -> float:
        """Seconds that a question may still take; 0 when none should be begun."""
        left = self._ends_at - self._terms.clock()
        return left if left >= _LEAST_SECONDS else 0.0

    def _asked(
        self, provider: Provider, system: str, text: str, images: tuple[Image, ...]
    ) -> Completion:
        terms, account, seconds = self._terms, self.account, self.time_left()
        prices = terms.prices if provider.prices is None else provider.prices
        if not seconds:
            raise ModelBusy("The time for this analysis is used up; the job tries again later.")
        question = ChatRequest(system, text, images, max_tokens=terms.max_tokens)
        began = terms.clock()
        try:
            answer = provider.model.ask(question, min(terms.timeout_seconds, seconds))
        except ModelFault as fault:
            took_ms = round((terms.clock() - began) * 1000)
            if fault.attempted:  # it answered, or kept us waiting: the machine was busy with us
                account.calls += 1
                account.micros += prices.micros(None, None, took_ms)
            log.warning("model call failed", extra={"fault": fault.code, "latency_ms": took_ms})
            raise
        account.calls += 1
        micros = prices.micros(answer.prompt_tokens, answer.completion_tokens, answer.latency_ms)
        account.add(answer, micros, provider.name)
        log.info(
            "model call",
            extra={
                "latency_ms": answer.latency_ms,
                "prompt_tokens": answer.prompt_tokens,
                "completion_tokens": answer.completion_tokens,
                "price_micros": micros,
                "call": account.calls,
                "model": answer.model,
                "images": len(images),
            },
        )
        return answer


@dataclass(frozen=True, slots=True)
class Terms:
    """Whom conversations are with, and what one may take. Safe to share between threads.

    `instead` are asked in their order when `model` fails or breaks its contract. `timeout_seconds` bounds
    one answer, `budget_seconds` a whole conversation, `max_tokens` what is answered to a question. Every
    call is estimated by `prices`; `spending_cap` keeps the day's cap.
    """

    model: Model
    max_tokens: int
    timeout_seconds: float
    budget_seconds: float | None = None  #: None: twice the timeout
    clock: Callable[[], float] = time.monotonic
    prices: Prices = Prices()  # noqa: RUF009  it is frozen
    spending_cap: SpendingCap | None = None
    name: str = ""  #: of `model`, in the settings
    own_prices: Prices | None = None  #: of `model`; None: `prices`
    instead: tuple[Provider, ...] = ()

    @property
    def providers(self) -> tuple[Provider, ...]:
        """All of them, in the order in which they are asked."""
        return (Provider(self.name, self.model, self.own_prices), *self.instead)

    @property
    def longest_seconds(self) -> float:
        """How long a conversation may take."""
        return 2 * self.timeout_seconds if self.budget_seconds is None else self.budget_seconds

    @contextmanager
    def begin(self, questions: int) -> Iterator[Conversation]:
        """A conversation of at most `questions`, each repaired at most once, within the day's cap.

        The most that it may cost is taken before, the rest given back. When the cap is reached, models
        that cost nothing are asked alone; raises `ModelPaused` if there are none: nobody was asked.
        """
        conversation = Conversation(self)
        if self.spending_cap is None:
            yield conversation
            return
        most = self.prices.most(2 * questions, self.max_tokens, self.longest_seconds)
        try:
            day = self.spending_cap.take(most)
        except ModelPaused:
            free = tuple(each for each in self.providers if each.free)
            if not free:
                raise
            yield Conversation(self, free)
            return
        try:
            yield conversation
        finally:
            self.spending_cap.settle(day, most, conversation.account.micros)


def _sum(one: int | None, other: int | None) -> int | None:
    if one is None or other is None:
        return other if one is None else one
    return one + other
