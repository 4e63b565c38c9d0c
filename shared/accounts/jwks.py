"""Published keys of elsewhere: kept, renewed behind the scenes, and never lost to an outage.

Keys are fetched when the first token asks. Then: a copy older than `FRESH_SECONDS` is renewed in the
background while the old one serves; an unknown key id makes one fetch at once, at most every
`AGAIN_SECONDS` however many tokens name it; a source that is down changes nothing that is known. As long as
nothing is known, the source is asked again after `COLD_SECONDS`: it may be starting.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence

from shared.accounts.keys import ALGORITHMS, TokenPolicy, VerificationKey, parse_jwks
from shared.errors import KeysUnavailable

log = logging.getLogger(__name__)

#: How old a copy may get before it is renewed, seconds; half the time a new key is published ahead.
FRESH_SECONDS = 300.0

#: Least time between two fetches, seconds.
AGAIN_SECONDS = 60.0

#: The same while there are no keys at all, seconds. `accounts` scales to zero: its first answer may take
#: longer than a fetch waits, and until there are keys every phone is refused.
COLD_SECONDS = 2.0


class RemoteKeys:
    """The keys of a JWKS that `fetch` gets as text. Threads may share it.

    `clock` is in seconds. `start` runs a renewal beside the request that noticed.
    """

    def __init__(
        self,
        fetch: Callable[[], str],
        clock: Callable[[], float],
        *,
        algorithms: Sequence[str] = ALGORITHMS,
        outside: TokenPolicy | None = None,
        start: Callable[[Callable[[], None]], None] | None = None,
    ) -> None:
        self._fetch, self._clock = fetch, clock
        self._algorithms, self._outside = algorithms, outside
        self._start = start or _in_background
        self._lock = threading.Lock()
        self._keys: dict[str, VerificationKey] = {}
        self._fetched_s = self._tried_s = float("-inf")

    def published(self) -> Sequence[VerificationKey]:
        """See `PublishedKeys`: those of the copy."""
        if not self._keys:
            self._renew()
        return list(self._keys.values())

    def find(self, kid: str) -> VerificationKey | None:
        """The key of that id, or None. Raises `KeysUnavailable` while no keys could be had."""
        found = self._keys.get(kid)
        if found is None:
            self._renew()
            found = self._keys.get(kid)
        elif self._clock() - self._fetched_s >= FRESH_SECONDS and self._may_try():
            self._start(self._renew)
        if found is None and not self._keys:
            raise KeysUnavailable("The keys of the issuer cannot be had. Try again.")
        return found

    def _may_try(self) -> bool:
        least_s = AGAIN_SECONDS if self._keys else COLD_SECONDS
        return not 0 <= self._clock() - self._tried_s < least_s

    def _renew(self) -> None:
        with self._lock:  # whoever waits here finds it done
            if not self._may_try():
                return
            self._tried_s = self._clock()
            try:
                text = self._fetch()
                self._keys = parse_jwks(text, self._algorithms, outside=self._outside)
                self._fetched_s = self._clock()
            except (KeysUnavailable, ValueError) as error:
                # from its end: those who waited for this one do not each begin another
                self._tried_s = self._clock()
                log.warning("keys not renewed", extra={"fault": type(error).__name__})


def _in_background(act: Callable[[], None]) -> None:
    threading.Thread(target=act, daemon=True).start()
