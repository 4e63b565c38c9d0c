"""`make demo` at a terminal: the console that it names shows the day until somebody ends it."""

from __future__ import annotations

import os
import pty
import re
import signal
import subprocess
import sys
from functools import partial

import pytest

from infra.local import day
from infra.local.table import REPOSITORY
from tests.patience import until


@pytest.mark.proof
def test_at_a_terminal_the_console_stays_up_until_somebody_ends_it() -> None:
    ours, theirs = pty.openpty()
    demo = subprocess.Popen(
        [sys.executable, "-m", "infra.local.demo"],
        cwd=REPOSITORY,
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        # who starts tests in the background starts them without SIGINT
        preexec_fn=partial(signal.signal, signal.SIGINT, signal.default_int_handler),
    )
    os.close(theirs)
    told = ""

    def hears(word: str) -> bool:
        nonlocal told
        told += os.read(ours, 65536).decode()
        return word in told

    try:
        until(lambda: hears("Ctrl-C"), "the end of the story")
        # what it says leads in
        [port] = re.findall(r"http://localhost:(\d+)/console", told)
        for user, _, _ in day.PEOPLE:
            assert day.address(user) in told
            assert "f-password" not in day.page(f"http://127.0.0.1:{port}", "/console/cases", user)
        assert "Baraka M." in day.page(f"http://127.0.0.1:{port}", "/console/cases", "doctor")
        os.killpg(demo.pid, signal.SIGINT)
        until(lambda: hears("The day is over."), "the end")
        assert demo.wait(60) == 0
    finally:
        demo.kill()
        os.close(ours)
