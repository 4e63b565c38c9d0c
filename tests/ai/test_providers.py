"""Several models for a task: asked in order, each with a health of its own by task, within a budget."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from shared import wiring
from shared.adapters.scripted import Behaviour, busy, delay, refuse, say
from shared.adapters.sqlite import SqliteStore
from shared.ai.breaker import Breaker
from shared.ai.conversation import Conversation, Provider, Terms
from shared.ai.model import ChatRequest, Completion, Model
from shared.ai.spending import Prices, SpendingCap
from shared.errors import (
    ConfigurationFault,
    ContractBroken,
    ModelBusy,
    ModelFault,
    ModelPaused,
    ModelRefused,
)
from shared.settings import Settings, load
from tests.ai.vertex import running
from tests.neutral.scripted import ScriptedModel
from tests.neutral.summarise import parse

GOOD = say('{"summary": "good"}')
DEAR = Prices(1e6, 1e6, 0)


class Named:
    """A model that remembers how often it was asked."""

    def __init__(self, *script: Behaviour) -> None:
        self.asked = 0
        self._inner = ScriptedModel([*script, *[GOOD] * 20])

    def ask(self, question: ChatRequest, timeout_seconds: float) -> Completion:
        self.asked += 1
        return self._inner.ask(question, timeout_seconds)


def terms(
    first: Model,
    second: Model,
    *,
    seconds: float = 5.0,
    free: bool = False,
    cap: SpendingCap | None = None,
) -> Terms:
    return Terms(
        first,
        100,
        seconds,
        prices=DEAR if cap else Prices(),
        spending_cap=cap,
        name="first",
        instead=(Provider("second", second, Prices() if free else None),),
    )


def ask(chosen: Terms) -> tuple[str, Conversation]:
    with chosen.begin(1) as talk:
        return talk.ask("Summarise.", "a note", (), parse), talk


@pytest.mark.parametrize(
    ("behaviours", "calls"),
    [
        ([], (1, 0)),
        ([busy()], (1, 1)),  # down
        ([busy(30.0)], (1, 1)),
        ([refuse()], (1, 1)),
        ([say("")], (1, 1)),
        ([say("no JSON"), say("none again")], (2, 1)),  # the contract, twice
        ([say("no JSON")], (2, 0)),  # repaired
    ],
)
def test_the_next_is_asked_when_one_cannot(
    behaviours: list[Behaviour], calls: tuple[int, int]
) -> None:
    first, second = Named(*behaviours), Named()
    said, talk = ask(terms(first, second))
    assert said == "good"
    assert (first.asked, second.asked) == calls
    assert talk.account.provider == ("second" if calls[1] else "first")


def test_a_slow_one_leaves_time_for_the_next() -> None:
    first, second = Named(delay(9, GOOD)), Named()
    said, talk = ask(terms(first, second, seconds=0.2))
    assert (said, talk.account.provider) == ("good", "second")


def test_when_none_can_the_first_that_was_asked_says_why() -> None:
    with pytest.raises(ModelRefused):
        ask(terms(Named(refuse()), Named(busy())))
    resting = Breaker(Named(busy()), failures=1, rest_seconds=60)
    with pytest.raises(ModelBusy):
        ask(terms(resting, Named(busy())))
    with pytest.raises(ModelRefused):  # left alone: of the two the one that was asked
        ask(terms(resting, Named(refuse())))
    with pytest.raises(ContractBroken):
        ask(terms(Named(*[say("none")] * 2), Named(*[say("none")] * 2)))


def test_one_that_fails_in_a_row_is_left_alone_and_the_other_goes_on() -> None:
    first, second = Named(*[busy()] * 20), Named()
    chosen = terms(Breaker(first, failures=2, rest_seconds=60), second)
    for _ in range(6):
        assert ask(chosen)[0] == "good"
    assert (first.asked, second.asked) == (2, 6)


def test_beyond_the_budget_what_costs_nothing_is_asked(tmp_path: Path) -> None:
    cap = SpendingCap(SqliteStore(tmp_path / "records.db"), 0.001, lambda: 1_000)
    first, second = Named(), Named()
    assert ask(terms(first, second, free=True, cap=cap))[1].account.provider == "first"
    for _ in range(3):
        assert ask(terms(first, second, free=True, cap=cap))[1].account.provider == "second"
    assert (first.asked, second.asked) == (1, 3)
    with pytest.raises(ModelPaused):
        ask(terms(first, second, cap=cap))
    own = SpendingCap(SqliteStore(tmp_path / "records.db"), 0.001, lambda: 1_000, "understand")
    assert ask(terms(first, second, cap=own))[1].account.provider == "first"  # a budget of its own


@pytest.fixture
def forgetful() -> Iterator[None]:
    made = (wiring.model, wiring._terms, wiring.store, wiring.product)
    for each in made:
        each.cache_clear()
    yield
    for each in made:
        each.cache_clear()


def test_the_settings_choose_order_and_health_by_task(
    forgetful: None, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    with running() as vertex:
        chosen = load(
            {
                "MODEL_ORDER": "openai_compatible, ollama",
                "MODEL_TASKS": "understand=ollama+openai_compatible",
                "MODEL_BUDGETS": "understand=2.5",
                "MODEL_URL": "http://127.0.0.1:9/v1",  # nobody is there
                "MODEL_NAME": "medgemma",
                "OLLAMA_URL": f"{vertex.server.url}/v1",
                "OLLAMA_MODEL": "gemma3",
                "MODEL_FAILURES": "1",
                "PRICE_ASKED": "1",
                "DATA_FOLDER": str(tmp_path),
            }
        )
        monkeypatch.setattr(wiring, "settings", lambda: chosen)
        vertex.server.model = ScriptedModel([GOOD] * 9)
        general, understand = wiring.terms(), wiring.terms("understand")
        assert [each.name for each in general.providers] == ["openai_compatible", "ollama"]
        assert [each.name for each in understand.providers] == ["ollama", "openai_compatible"]
        assert [each.free for each in understand.providers] == [True, False]
        assert (general.spending_cap is None, understand.spending_cap is None) == (True, False)
        assert wiring.terms() is general
        said, talk = ask(general)
        assert (said, talk.account.provider, talk.account.micros) == ("good", "ollama", 0)
        with pytest.raises(ModelPaused):  # it is left alone here,
            general.model.ask(ChatRequest("", "x"), 1.0)
        with pytest.raises(ModelBusy):  # and still asked for another task
            understand.instead[0].model.ask(ChatRequest("", "x"), 1.0)


def test_one_model_alone_is_asked_as_ever() -> None:
    chosen = load(
        {"MODEL": "openai_compatible", "MODEL_URL": "http://127.0.0.1:1/v1", "MODEL_NAME": "m"}
    )
    assert chosen.order() == chosen.order("understand") == ("openai_compatible",)
    assert Settings().order() == ("scripted",)
    assert chosen.budget("understand") is None


@pytest.mark.parametrize(
    ("given", "field"),
    [
        ({"MODEL_ORDER": "gpt"}, "MODEL_ORDER"),
        ({"MODEL_ORDER": "ollama"}, "OLLAMA_MODEL"),
        ({"MODEL_TASKS": "understand"}, "MODEL_TASKS"),
        ({"MODEL_TASKS": "understand=gpt"}, "MODEL_TASKS"),
        ({"MODEL_TASKS": "understand=vertex"}, "GOOGLE_CLOUD_PROJECT"),
        ({"MODEL_BUDGETS": "understand=lots"}, "MODEL_BUDGETS"),
    ],
)
def test_orders_that_make_no_sense_stop_the_start(given: dict[str, str], field: str) -> None:
    with pytest.raises(ConfigurationFault) as caught:
        load(given)
    assert caught.value.field == field


def test_the_answers_of_the_story_are_what_they_say() -> None:
    assert json.loads(GOOD(ChatRequest("", ""), 1.0)) == {"summary": "good"}
    assert issubclass(ModelPaused, ModelFault)
