"""The secret by which the local profile's private paths know their callers.

Pub/Sub and Cloud Scheduler show a signed token, and Cloud Run checks it. Here the postman shows a secret
that is made at the first start in the data folder, readable for its owner alone. An address says nothing:
with a reverse proxy on the same machine, everybody comes from this machine.
"""

from __future__ import annotations

import hmac
from pathlib import Path

from shared.adapters.file_keys import FileKeys

#: The header that carries it.
HEADER = "X-Private-Secret"


def secret(data: Path | str) -> str:
    """The secret of a data folder, made on first use."""
    return FileKeys(Path(data) / "keys").secret("private").decode()


def fits(shown: str, known: str) -> bool:
    """Whether a caller showed the secret, in the same time whatever it showed."""
    return hmac.compare_digest(shown.encode("utf-8", "replace"), known.encode())
