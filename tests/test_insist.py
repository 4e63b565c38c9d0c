"""Compare and set is made anew while others are faster, and no longer."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from shared.errors import Contended, InvalidRequest, StoreUnavailable
from shared.records.insist import insist

FASTER, SILENT = Contended("somebody was faster"), StoreUnavailable("no answer")


def attempts(*outcomes: Exception | str) -> tuple[Callable[[], str], list[Exception | str]]:
    """An attempt that ends in these ways, one after the other, and those that are left."""
    left = list(outcomes)

    def attempt() -> str:
        outcome = left.pop(0)
        if isinstance(outcome, Exception):
            raise outcome
        return outcome

    return attempt, left


@pytest.mark.parametrize(
    ("outcomes", "unreachable", "ends", "left"),
    [
        (("done",), 1, "done", 0),
        ((FASTER, FASTER, "done"), 1, "done", 0),
        ((FASTER, FASTER, FASTER, "done"), 1, Contended, 1),
        ((SILENT, "done"), 1, StoreUnavailable, 1),
        ((SILENT, "done"), 2, "done", 0),
        ((SILENT, FASTER, SILENT, "done"), 2, StoreUnavailable, 1),
        ((FASTER, FASTER, SILENT, "done"), 2, StoreUnavailable, 1),
        ((InvalidRequest("no"), "done"), 2, InvalidRequest, 1),
    ],
)
def test_what_can_pass_is_tried_again_and_nothing_else(
    outcomes: tuple[Exception | str, ...],
    unreachable: int,
    ends: str | type[Exception],
    left: int,
) -> None:
    attempt, waiting = attempts(*outcomes)
    if isinstance(ends, str):
        assert insist(attempt, 3, unreachable=unreachable) == ends
    else:
        with pytest.raises(ends):
            insist(attempt, 3, unreachable=unreachable)
    assert len(waiting) == left


def test_who_gives_up_says_what_the_caller_chose() -> None:
    with pytest.raises(Contended, match="too many") as caught:
        insist(attempts(FASTER)[0], 1, busy="too many", retry_after_s=3)
    assert caught.value.retry_after_s == 3
    assert caught.value.__cause__ is FASTER


def test_pauses_grow_to_their_bound_and_none_comes_before_the_first_attempt() -> None:
    slept: list[float] = []
    attempt, _ = attempts(*[FASTER] * 11, "done")
    assert insist(attempt, 12, wait=slept.append, longest_seconds=0.5) == "done"
    bounds = [min(0.01 * 2**number, 0.5) for number in range(1, 12)]
    assert len(slept) == len(bounds)
    assert all(0 <= pause <= bound for pause, bound in zip(slept, bounds, strict=True))
