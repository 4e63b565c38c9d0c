"""Fetches a small text from a configured address: published keys, a discovery document.

Follows no redirects, reads no more than a bound, and answers every failure with `KeysUnavailable`.
"""

from __future__ import annotations

import urllib.error
import urllib.request
from typing import Any

from shared.errors import KeysUnavailable

#: Longest wait for an answer, seconds: a request may be waiting behind it.
TIMEOUT_SECONDS = 5.0

#: Longest text taken, bytes.
_MOST_BYTES = 256 * 1024


class _Stay(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *_: Any, **__: Any) -> None:
        return None


_OPENER = urllib.request.build_opener(_Stay)


def get(url: str) -> str:
    """The text at an http or https address."""
    if not url.startswith(("https://", "http://127.0.0.1:", "http://localhost:")):
        raise KeysUnavailable("Keys are fetched by https only.")
    try:
        with _OPENER.open(url, timeout=TIMEOUT_SECONDS) as answer:
            data: bytes = answer.read(_MOST_BYTES + 1)
    except (OSError, ValueError) as error:  # URLError and HTTPException's kin among them
        raise KeysUnavailable("The source of keys does not answer.") from error
    except Exception as error:  # http.client's own: broken answers
        raise KeysUnavailable("The source of keys does not answer.") from error
    if len(data) > _MOST_BYTES:
        raise KeysUnavailable("The source of keys answers too much.")
    return data.decode("utf-8", "replace")
