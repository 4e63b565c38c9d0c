"""`python -m infra.cli`: see `infra/cli/root.py`."""

import sys

from infra.cli.root import main

sys.exit(main())
