"""`python -m infra.local`: the whole back end by one command.

    python -m infra.local                         embedded: SQLite, folder, scripted model
    python -m infra.local --profile emulator      emulators of Google's stores, Vertex wire format
    python -m infra.local token --chw ID          a token for the running stack (`infra/cli/local.py`)

Prints `ready: http://127.0.0.1:PORT` once everything serves, then the logs of all processes to
standard error, at a terminal in a form for people. Ctrl-C or SIGTERM ends everything. Exit code 2: it
cannot start like this, and one sentence says why; 1: a process failed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import NoReturn

from infra.local.emulators import EmulatorMissing
from infra.local.processes import PortTaken, StartFailed
from infra.local.readable import readable
from infra.local.stack import Stack
from shared.errors import ConfigurationFault


@dataclass(frozen=True, slots=True)
class StackOptions:
    """How the back end is to run. `data`: None takes DATA_FOLDER; `port` 0 any free one."""

    profile: str
    port: int
    host: str
    data: Path | None
    sweep_seconds: float
    workers: int | None
    seed: bool
    quiet: bool


class _Ended(BaseException):
    """A signal asked us to end."""


def _on_signal(_number: int, _frame: FrameType | None) -> NoReturn:
    # a second one while we are ending: our children end with us
    for each in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(each, lambda *_: os._exit(130))
    raise _Ended


def _sizes(folder: Path) -> dict[Path, int]:
    """How long each log is, bytes."""
    return {path: path.stat().st_size for path in folder.glob("*.log")}


def _follow(folder: Path, read: dict[Path, int], ended: threading.Event) -> None:
    """Copy what is added to the log files to standard error, each line with its file's name.

    `read` says how much of each was there before.
    """
    last = False
    while not last:
        last = ended.wait(0.3)
        for path in sorted(folder.glob("*.log")):
            with path.open("rb") as file:
                if path.stat().st_size < read.get(path, 0):  # put aside meanwhile
                    read[path] = 0
                file.seek(read.get(path, 0))
                block = file.read()
            whole = block[: block.rfind(b"\n") + 1]
            read[path] = read.get(path, 0) + len(whole)
            for line in whole.decode("utf-8", "replace").splitlines():
                shown = readable(line, colours=True) if sys.stderr.isatty() else line
                print(f"{path.stem:>12} | {shown}", file=sys.stderr)


def _seed(data: Path) -> None:
    """Example data, and a token of the first in it to paste."""
    from infra.cli.local import seed
    from infra.local.environment import use_stack
    from infra.local.token import token_for

    use_stack(data)
    users = seed("demo", lived=True)
    if not users:
        return
    print(f"example data of {', '.join(users)}; a token of {users[0]}:\n")
    print(token_for(users[0]), flush=True)


def serve(chosen: StackOptions) -> int:
    """Run until told to end; the exit code."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, _on_signal)
    ended = threading.Event()
    follower: threading.Thread | None = None
    stack: Stack | None = None
    try:
        stack = Stack(
            profile=chosen.profile,
            data=chosen.data,
            port=chosen.port,
            host=chosen.host,
            sweep_seconds=chosen.sweep_seconds,
            workers=chosen.workers,
        )
        before = _sizes(stack.logs)
        stack.start()
        print(f"ready: {stack.url}", flush=True)
        print(f"logs: {stack.logs}", file=sys.stderr)
        if chosen.seed:
            _seed(stack.data)
        if not chosen.quiet:
            follower = threading.Thread(
                target=_follow, args=(stack.logs, before, ended), daemon=True
            )
            follower.start()
        stack.wait()
    except _Ended:
        return 0
    except (PortTaken, EmulatorMissing, ConfigurationFault) as error:
        print(error, file=sys.stderr)
        return 2
    except StartFailed as error:
        print(error, file=sys.stderr)
        return 1
    finally:
        if stack is not None:
            stack.stop()
        ended.set()
        if follower is not None:
            follower.join()
    return 0


def main(arguments: list[str] | None = None) -> int:
    """Run until told to end, or print a token; the exit code."""
    from infra.cli import local, root

    words = sys.argv[1:] if arguments is None else arguments
    if words[:1] == ["token"]:
        return root.main(words[1:], local.token, "python -m infra.local token")
    return root.main(words, local.run, "python -m infra.local")


if __name__ == "__main__":
    sys.exit(main())
