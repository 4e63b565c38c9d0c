"""Places where a process may die, by name, so that tests can make it die there.

Off unless a folder is armed (`KILL_FOLDER`, refused on Cloud Run). Armed, a process that reaches a
point whose name stands in the folder's file `next` removes the file and kills itself with SIGKILL:
no handler runs, nothing is flushed, exactly one process dies. A new step of a write path is covered
by adding its name to `POINTS` and a line `reach("…")`.
"""

from __future__ import annotations

import os
import signal
from pathlib import Path

#: Every point, in the order of an urgent record's way. `tests/reliability` kills at each of them.
POINTS = (
    "push.read",  # read and decided, nothing committed
    "push.committed_part",  # one of several commits of a big push
    "push.committed",  # everything committed, no doorbell rung
    "sync.rung",  # rung, nothing answered
    "pull.listing",  # in the middle of a page
    "job.claimed",  # claimed, the model not asked
    "job.worked",  # the model answered, nothing written
    "job.finished",  # written, the bell not acknowledged
    "job.postponed",  # put back in the queue, the bell not acknowledged
    "cascade.batch",  # some children deleted, others not
    "transfer.batch",  # some children moved, others not
    "restore.batch",  # some children brought back, others not
    "sweep.rung",  # one bell of a sweep rung
    "notice.taken",  # a notice taken, nobody told
    "delivery.taken",  # one phone of several taken, nothing sent
    "delivery.sent",  # sent, nobody knows of it
    "upload.piece",  # a piece of a photo stored, no document speaks of it
    "upload.added",  # the piece counts, nothing answered
    "check.derived",  # the smaller versions stored, the original not sealed
    "check.sealed",  # all objects of a photo stored, no document speaks of them
)

#: Points of a file's way into a folder, outside of any record's way: `tests/files/test_folder.py`.
FILE_POINTS = (
    "file.drafting",  # half of it written, under no name
    "file.drafted",  # all of it written and on the disk, under no name
    "file.linked",  # it has its name, the draft is there too
)

_armed: Path | None = None


def arm(folder: Path) -> None:
    """Look for the name of the next point in `folder`; see `aim`."""
    global _armed
    _armed = folder


def aim(folder: Path, point: str) -> None:
    """Let the next process that reaches `point` die there."""
    if point not in POINTS + FILE_POINTS:
        raise KeyError(point)
    draft = folder / f".next.{os.getpid()}"
    draft.write_text(point)
    draft.rename(folder / "next")


def reach(point: str) -> None:
    """Die here if that is wanted. Costs nothing when nothing is armed."""
    if _armed is None:
        return
    try:
        if (_armed / "next").read_text() != point:
            return
        # Whoever wins the rename dies; the others live on.
        (_armed / "next").rename(_armed / f"died-{point}-{os.getpid()}")
    except FileNotFoundError:
        return
    os.kill(os.getpid(), signal.SIGKILL)
