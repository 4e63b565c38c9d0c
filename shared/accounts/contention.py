"""Optimistic concurrency: decide, commit, and decide again where somebody was faster.

A commit carries the version of all that its decision rests on, tallies of wrong tries included; if
something changed, the operation reads and decides again. So tries made side by side are judged one
after the other, and a code for one person admits one.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

from shared.records.insist import insist

#: How often an operation is decided again when others write the same documents.
_ATTEMPTS = 12
_LONGEST_WAIT_SECONDS = 0.32

T = TypeVar("T")


def retried(attempt: Callable[[], T], pause: Callable[[float], None] = time.sleep) -> T:
    """What `attempt` gives, which reads, decides and makes one commit. Raises `Contended` in the end."""
    busy = "This account is being changed by others right now. Try again."
    return insist(attempt, _ATTEMPTS, busy=busy, wait=pause, longest_seconds=_LONGEST_WAIT_SECONDS)
