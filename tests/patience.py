"""How long tests wait, the same everywhere: a limit ends a run that hangs, it is no promise of speed.

A machine may be many times slower than the one a test was written on, or busy with other work. Waiting
longer costs nothing where things go well. So no test asserts that something was fast, and none has a
limit of its own.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

#: Longest wait for what must come, seconds.
PATIENCE_SECONDS = 300.0

#: How late an answer is that nobody may wait for, seconds: whoever gives up in time, however slowly, has
#: done so long before. Shorter than the runs of planted faults, which must fail and not hang.
LATE_SECONDS = 30.0

T = TypeVar("T")


def until(look: Callable[[], T], what: str, every_seconds: float = 0.05) -> T:
    """What `look` gives, as soon as that is true; fails with `what` if it never is."""
    end = time.monotonic() + PATIENCE_SECONDS
    while not (found := look()):
        assert time.monotonic() < end, f"{what}: still not after {PATIENCE_SECONDS:.0f} s"
        time.sleep(every_seconds)
    return found
