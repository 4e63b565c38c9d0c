"""The settings of a local stack, left in its data folder for tools that work on the same stores."""

from __future__ import annotations

import json
import os
from pathlib import Path

from shared.errors import ConfigurationFault
from shared.wiring import forget

#: Written by the stack into its data folder: the environment of its functions.
STACK_ENVIRONMENT = "environment.json"


def use_stack(folder: Path) -> None:
    """Take over the environment of the local stack that runs (or ran) in `folder`: same stores, same keys.

    Raises `ConfigurationFault` for a folder that does not exist: a new store is never what was meant.
    """
    if not folder.is_dir():
        raise ConfigurationFault(f"There is no data folder {folder}.", field="DATA_FOLDER")
    known = folder / STACK_ENVIRONMENT
    if known.exists():
        os.environ.update(json.loads(known.read_text()))
    os.environ["DATA_FOLDER"] = str(folder)
    forget()
