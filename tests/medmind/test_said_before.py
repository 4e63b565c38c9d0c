"""Has she said this before: earlier words of the same circle that are like the new ones, on both stores."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from shared.errors import ModelBusy
from shared.products.medmind.said_before import columns, places
from shared.products.medmind.voice_tables import SYMPTOMS
from shared.records import record
from shared.records.store import Key, RecordStore, put
from tests.stores import BOTH, fresh

DAY = 86_400_000


@pytest.fixture(params=BOTH)
def store(request: pytest.FixtureRequest, tmp_path: Path) -> RecordStore:
    return fresh(request.param, request, tmp_path)


def say(store: RecordStore, scope: str, what: str, day: int) -> list[str]:
    [place] = places([what], None)
    fields = columns(store, scope, place, day * DAY)
    name = f"{scope}-{day}"
    kept = {record.SCOPE: scope, "at": day * DAY, "what": what, **fields}
    store.commit([put(Key(SYMPTOMS, name), kept, None)])
    return [each["id"] for each in json.loads(fields["said_before"] or "[]")]


def test_earlier_words_of_the_circle_that_are_alike_are_named(store: RecordStore) -> None:
    assert say(store, "one", "my stomach hurts", 1) == []
    assert say(store, "one", "I could not sleep", 2) == []
    assert say(store, "one", "my stomach hurts after eating", 3) == ["one-1"]
    assert say(store, "two", "my stomach hurts after eating", 4) == []  # of another circle
    assert say(store, "one", "my stomach hurts again", 5) == ["one-3", "one-1"]  # the newest first
    assert say(store, "one", "my stomach hurts", 2) == ["one-1"]  # heard late: what came before it
    for day in range(10, 20):
        named = say(store, "one", "my stomach hurts", day)
    assert len(named) == 5


class Down:
    """A model of sentences that does not answer."""

    name = "use-multilingual-3"

    def embed(self, *_: object) -> list[object]:
        raise ModelBusy("down")


def test_without_its_model_letters_place(store: RecordStore) -> None:
    [place] = places(["my stomach hurts"], Down())  # type: ignore[arg-type]
    assert place.by == "letters-1"
    assert places([], None) == []
