"""What became of a dose: the same for every order, repetition and delay of events, as a judge says it."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.products.medmind.doses import DoseEvent, DoseState, state

MINUTE = 60_000
DUE_MS, GRACE_MS = 1_772_323_200_000, 60 * MINUTE


def said(
    kind: str, at: int, *, heard: int | None = None, id: str = "e1", undoes: str = ""
) -> DoseEvent:
    """An event so many minutes after the dose was due."""
    received = at if heard is None else heard
    return DoseEvent(id, kind, DUE_MS + at * MINUTE, DUE_MS + received * MINUTE, undoes=undoes)


def at(minutes: int, *events: DoseEvent) -> DoseState:
    return state(DUE_MS, GRACE_MS, events, DUE_MS + minutes * MINUTE)


@pytest.mark.parametrize(
    ("minutes", "events", "name"),
    [
        (-1, (), "planned"),
        (0, (), "due"),
        (60, (), "due"),
        (61, (), "missed"),
        (5, (said("taken", -10),), "on_time"),  # before its time
        (70, (said("taken", 60),), "on_time"),
        (70, (said("taken", 61),), "late"),
        (70, (said("skipped", 5),), "skipped"),
        (70, (said("skipped", 5), said("taken", 9, id="e2")), "on_time"),  # it is swallowed
        (70, (said("taken", 9), said("skipped", 12, id="e2")), "on_time"),
        (70, (said("taken", 9), said("undone", 12, id="e2", undoes="e1")), "missed"),
        (70, (said("undone", 12, id="e2", undoes="e1"), said("taken", 9, heard=69)), "missed"),
        (70, (said("taken", 9, heard=71),), "missed"),  # not heard of yet
        (70, (said("taken", 9), said("taken", 9)), "on_time"),  # sent twice
    ],
)
def test_what_became_of_it(minutes: int, events: tuple[DoseEvent, ...], name: str) -> None:
    assert at(minutes, *events).name == name


def test_late_proof_amends_a_missed_dose_and_says_when() -> None:
    assert at(61) == DoseState("missed")
    proof = said("taken", 20, heard=600)
    assert at(599, proof).name == "missed"
    found = at(600, proof)
    assert (found.name, found.event, found.amended_ms) == ("on_time", proof, proof.received_ms)
    assert at(70, said("taken", 20)).amended_ms is None


events = st.lists(
    st.builds(
        lambda id, kind, minute, delay, undoes: said(
            kind, minute, heard=minute + delay, id=f"e{id}", undoes=f"e{undoes}"
        ),
        st.integers(0, 5),
        st.sampled_from(("taken", "skipped", "undone")),
        st.integers(-90, 180),
        st.integers(0, 20_000),
        st.integers(0, 5),
    ),
    max_size=8,
    unique_by=lambda each: each.id,
)


def judged(heard: list[DoseEvent], now_ms: int) -> str:
    """The same by another way: every pair is looked at, nothing is sorted."""
    heard = [each for each in heard if each.received_ms <= now_ms]
    living = [
        each
        for each in heard
        if each.kind != "undone"
        and not any(other.kind == "undone" and other.undoes == each.id for other in heard)
    ]
    taken = [each.at_ms for each in living if each.kind == "taken"]
    if taken:
        return "late" if min(taken) > DUE_MS + GRACE_MS else "on_time"
    if living:
        return "skipped"
    if now_ms > DUE_MS + GRACE_MS:
        return "missed"
    return "planned" if now_ms < DUE_MS else "due"


@given(events, st.integers(-120, 40_000), st.integers(0, 2**32))
def test_order_repetition_and_delay_change_nothing(
    heard: list[DoseEvent], minutes: int, seed: int
) -> None:
    now_ms = DUE_MS + minutes * MINUTE
    found = state(DUE_MS, GRACE_MS, heard, now_ms)
    assert found.name == judged(heard, now_ms)
    shuffled = [*heard, *heard]
    random.Random(seed).shuffle(shuffled)
    assert state(DUE_MS, GRACE_MS, shuffled, now_ms) == found


@given(events)
def test_with_time_a_dose_never_becomes_missed_again(heard: list[DoseEvent]) -> None:
    """Once all is heard, only what is heard decides; and nothing is planned after it was due."""
    names = [
        state(DUE_MS, GRACE_MS, heard, DUE_MS + m * MINUTE).name for m in range(30_000, 30_003)
    ]
    assert len(set(names)) == 1
    assert names[0] not in ("planned", "due")
