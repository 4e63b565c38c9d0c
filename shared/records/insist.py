"""Compare and set, made anew while others are faster: the one loop for it."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import TypeVar

from shared.errors import Contended, StoreUnavailable

T = TypeVar("T")

#: The pause before another attempt is a random part of this, doubled with each: "full jitter", which keeps
#: those who met once from meeting again (AWS Architecture Blog, "Exponential Backoff And Jitter", 2015).
_FIRST_WAIT_SECONDS = 0.01


def insist(
    attempt: Callable[[], T],
    attempts: int,
    *,
    busy: str = "This record is being changed by others right now. Try again.",
    retry_after_s: float | None = None,
    unreachable: int = 1,
    wait: Callable[[float], None] | None = None,
    longest_seconds: float = 0.6,
) -> T:
    """What `attempt` returns, made up to `attempts` times while it raises `Contended`.

    An attempt reads, decides and commits. `Contended` says that others wrote in between, or that our
    own commit got through and its answer was lost: in either case an attempt that reads afresh finds out.
    Before each further one `wait` sleeps for up to 0.02 s, 0.04 s and so on, at most `longest_seconds`;
    None: no pause, for what is rarely contended.

    `StoreUnavailable` is borne until the `unreachable`-th time; the same reading afresh settles what
    became of the commit. Anything else that an attempt raises goes on at once.

    Raises `Contended` (`busy`, `retry_after_s`) after the last attempt, or its `StoreUnavailable`.
    """
    failure: Contended | StoreUnavailable | None = None
    unanswered = 0
    for number in range(attempts):
        if number and wait is not None:
            longest = min(_FIRST_WAIT_SECONDS * 2**number, longest_seconds)
            wait(random.uniform(0, longest))  # noqa: S311  jitter, not a secret
        try:
            return attempt()
        except Contended as contended:
            failure = contended
        except StoreUnavailable as fault:
            failure, unanswered = fault, unanswered + 1
            if unanswered == unreachable:
                raise
    if isinstance(failure, StoreUnavailable):
        raise failure
    raise Contended(busy, retry_after_s=retry_after_s) from failure
