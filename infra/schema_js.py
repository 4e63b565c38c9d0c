"""The phones' database: `python -m infra.schema_js > infra/schema.js`."""

from __future__ import annotations

import sys

from shared import wiring
from shared.api import schema_js

if __name__ == "__main__":
    sys.stdout.write(schema_js.module(wiring.catalog()))
