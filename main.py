"""Where Cloud Run functions and the local stack enter: imports only the function that is asked for.

`FUNCTION_TARGET` names it, as deployed; its module `functions/<name>.py` has a callable of that name.
"""

import importlib
import os

from shared.adapters.http_server import speak_json

speak_json()

_target = os.environ["FUNCTION_TARGET"]
globals()[_target] = getattr(importlib.import_module(f"functions.{_target}"), _target)
