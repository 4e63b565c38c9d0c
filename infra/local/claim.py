"""A data folder is served by one server: a second one would answer from stale memory and ring twice."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import IO

from shared.errors import ConfigurationFault

#: The file whose lock says so; it holds the number of the process, and the lock ends with it.
FILE_NAME = "server.lock"


def claim(data: Path) -> IO[str]:
    """Take a data folder until the file that is returned is closed, or the process ends.

    Children inherit it. Raises `ConfigurationFault` naming the process that has it.
    """
    file = (data / FILE_NAME).open("a+")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.seek(0)
        number = file.read().strip() or "unknown"
        file.close()
        raise ConfigurationFault(
            f"the data folder {data} is served already, by process {number}: stop it first, or choose "
            "another folder",
            field="DATA_FOLDER",
        ) from None
    file.truncate(0)
    file.write(str(os.getpid()))
    file.flush()
    return file
