"""The ring of signing keys in Google Secret Manager: one secret, a version a ring.

Secret Manager numbers versions and adds them without a condition. So each version says which one it
`follows`, and counts only if that is the one right before it: of two rings saved side by side the
first counts, the second is skipped by every reader, and its writer is refused.

Needs `secretmanager.versions.access` to load, and `secretmanager.versions.add` to rotate.
"""

from __future__ import annotations

import json
from typing import Any

from google.api_core import exceptions as api
from google.auth import credentials as auth
from google.auth.exceptions import GoogleAuthError
from google.cloud import secretmanager_v1

from shared.accounts.keys import Ring, parse_ring
from shared.errors import ConfigurationFault, Contended, KeysUnavailable

#: How long one call may take, seconds.
TIMEOUT_SECONDS = 10.0


class SecretManagerKeys:
    """The ring in secret `secret` of a project. `endpoint` is another address (REST, no credentials)."""

    def __init__(self, project: str, secret: str, *, endpoint: str = "") -> None:
        self._secret = f"projects/{project}/secrets/{secret}"
        options = {"api_endpoint": endpoint} if endpoint else None
        who = auth.AnonymousCredentials() if endpoint else None  # type: ignore[no-untyped-call]
        self._client: Any = secretmanager_v1.SecretManagerServiceClient(
            credentials=who, transport="rest" if endpoint else None, client_options=options
        )

    def load(self) -> tuple[Ring, int]:
        """See `KeyStore`."""
        try:
            text, newest = self._text("latest")
            version = newest
            while json.loads(text).get("follows") != version - 1:  # a refused one
                text, version = self._text(str(version - 1))
        except api.NotFound:  # no such secret, or no version of it
            return Ring(), 0
        except _FAULTS as error:
            raise _unavailable(error) from error
        except (ValueError, AttributeError):
            raise ConfigurationFault("the secret of the signing keys holds no ring") from None
        return parse_ring(text), newest

    def save(self, ring: Ring, expect: int) -> int:
        """See `KeyStore`."""
        try:
            _, version = self.load()
            if version != expect:
                raise Contended("the signing keys changed meanwhile")
            added = self._add(json.dumps({**json.loads(ring.text()), "follows": expect}))
            if added != expect + 1:
                raise Contended("the signing keys changed meanwhile")
        except api.NotFound as error:
            raise ConfigurationFault(
                "the secret of the signing keys does not exist: make it first",
                field="SIGNING_KEYS_SECRET",
            ) from error
        except _FAULTS as error:
            raise _unavailable(error) from error
        return added

    def _text(self, version: str) -> tuple[str, int]:
        answer = self._client.access_secret_version(
            name=f"{self._secret}/versions/{version}", retry=None, timeout=TIMEOUT_SECONDS
        )
        return answer.payload.data.decode(), _number(answer.name)

    def _add(self, text: str) -> int:
        answer = self._client.add_secret_version(
            parent=self._secret,
            payload={"data": text.encode()},
            retry=None,
            timeout=TIMEOUT_SECONDS,
        )
        return _number(answer.name)


def _number(name: str) -> int:
    return int(name.rpartition("/")[2])


def _unavailable(error: Exception) -> KeysUnavailable:
    said = "refused this service's identity" if isinstance(error, _REFUSED) else "did not answer"
    return KeysUnavailable(f"Secret Manager {said}.")


_REFUSED = (api.PermissionDenied, api.Unauthenticated, GoogleAuthError)

#: What calls raise; the REST transport lets errors of the network through as they are.
_FAULTS = (api.GoogleAPICallError, GoogleAuthError, OSError)
