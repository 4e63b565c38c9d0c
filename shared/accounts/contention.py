"""Optimistic concurrency: decide, commit, and decide again where somebody was faster.

A commit carries the version of all that its decision rests on, tallies of wrong tries included; if
something changed, the operation reads and decides again. So tries made side by side are judged one
after the other, and a code for one person admits one.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from typing import TypeVar

from shared.errors import Contended

#: How often an operation is decided again when others write the same documents.
_ATTEMPTS = 12

T = TypeVar("T")


def retried(attempt: Callable[[], T], pause: Callable[[float], None] = time.sleep) -> T:
    """What `attempt` gives, which reads, decides and makes one commit. Raises `Contended` in the end."""
    for number in range(_ATTEMPTS):
        try:
            return attempt()
        except Contended:
            if number == _ATTEMPTS - 1:
                raise
            # jitter, not security
            pause(random.uniform(0, 0.01 * 2 ** min(number, 5)))  # noqa: S311
    raise AssertionError("unreachable")
