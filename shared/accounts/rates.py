"""How much one address, account or team may ask for: a table, and two ways to count.

Most is counted in this process, in buckets that fill again evenly: it costs no write, and each process
has buckets of its own. What is rare and dear is `kept` in the record store, over all instances and
restarts, as wrong passwords are (`throttle.py`).

An address is asked about only while nobody has shown who is asking: a request with a good token is the
account's, wherever it comes from. So a stranger behind a phone's address does not slow its syncs down.
This machine's own address is never counted: a proxy here that names no phone must not make all phones one.
"""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import NamedTuple

from shared.accounts import throttle
from shared.accounts.throttle import Window
from shared.errors import ConfigurationFault, Contended, TooManyTries
from shared.records.store import RecordStore

#: Buckets of a process. Beyond, the one that rested longest is forgotten; it is full by then, or nearly.
_MOST_BUCKETS = 20_000

#: Tries to count a first sync while others of the team are counted.
_COUNT_ATTEMPTS = 3


class Per(Enum):
    """Whose requests are counted together."""

    ADDRESS = "address"
    ACCOUNT = "account"
    TEAM = "team"


@dataclass(frozen=True, slots=True)
class Rate:
    """At most `amount` in `seconds`. Without `routes`: of everything that no other rate names.

    `amount` 0: no limit. `why` says what the number leaves room for.
    """

    name: str
    per: Per
    amount: int
    seconds: int
    why: str
    routes: tuple[tuple[str, str], ...] = ()
    kept: bool = False


RATES = (
    Rate(
        "strangers",
        Per.ADDRESS,
        1_200,
        60,
        "without a good token there is little to ask; a thousand phones may share an address",
    ),
    Rate(
        "log-ins",
        Per.ADDRESS,
        120,
        60,
        "each costs 19 MiB and some 50 ms; a training of 100 people logs in within a minute",
        (
            ("POST", "/api/v1/auth/login"),
            ("POST", "/api/v1/auth/register"),
            ("POST", "/api/v1/auth/reset"),
            ("POST", "/console/login"),
            ("POST", "/console/reset"),
        ),
    ),
    Rate(
        "refreshes",
        Per.ADDRESS,
        1_200,
        60,
        "apart, so that nothing else at a phone's address keeps it from a new token",
        (("POST", "/api/v1/auth/refresh"),),
    ),
    Rate(
        "requests",
        Per.ACCOUNT,
        3_000,
        60,
        "a phone syncs every 30 s at most; pages and pieces of photos come one after another, so that no "
        "phone comes near",
    ),
    Rate(
        "digests",
        Per.ACCOUNT,
        60,
        600,
        "a digest reads all that a phone holds; a phone asks after a sync that ended oddly",
        (("GET", "/api/v1/sync/digest"),),
    ),
    Rate(
        "tickets",
        Per.ACCOUNT,
        300,
        600,
        "50 photos a request",
        (("POST", "/api/v1/files"),),
    ),
    Rate(
        "first-syncs",
        Per.ACCOUNT,
        300,
        600,
        "on a bad line one breaks off and begins anew every 30 s; with 10,000 records, 300 cost a tenth of "
        "a processor",
        kept=True,
    ),
    Rate(
        "team-first-syncs",
        Per.TEAM,
        1_000,
        600,
        "50 phones that were reset on one day, twenty tries each",
        kept=True,
    ),
)

#: Requests of one account that a process works on at the same time: half of its threads on one's own
#: server, so that nobody has all of them. A phone has one or two.
AT_ONCE = 8


class Standing(NamedTuple):
    """What a bucket of a rate holds: whole ones can be taken."""

    rate: Rate
    held: float

    @property
    def left(self) -> int:
        """Requests that may come at once."""
        return max(0, int(self.held))

    @property
    def full_seconds(self) -> int:
        """Until the bucket is full."""
        missing = self.rate.amount - self.held
        return math.ceil(missing * self.rate.seconds / self.rate.amount)

    @property
    def wait_seconds(self) -> float:
        """Until one can be taken; 0: now."""
        return max(0.0, (1 - self.held) * self.rate.seconds / self.rate.amount)


class Rates:
    """The table with this deployment's numbers, and what this process has counted."""

    def __init__(
        self,
        changed: Mapping[str, tuple[int, int]] | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        changed = changed or {}
        self.rates = tuple(
            replace(rate, amount=changed[rate.name][0], seconds=changed[rate.name][1])
            if rate.name in changed
            else rate
            for rate in RATES
        )
        self._clock = clock
        self._lock = threading.Lock()
        self._buckets: OrderedDict[tuple[str, str], tuple[float, float]] = OrderedDict()
        self._at_work: dict[str, int] = {}

    def take(self, per: Per, who: str, route: tuple[str, str] | None = None) -> list[Standing]:
        """Count one request. Raises `TooManyTries`, and counts nothing then."""
        if per is Per.ADDRESS and throttle.is_loopback(who):
            return []
        with self._lock:
            found = [self._standing(rate, who) for rate in self._asked(per, route)]
            wait = max((each.wait_seconds for each in found), default=0.0)
            if wait:
                raise too_much(wait, found)
            found = [each._replace(held=each.held - 1) for each in found]
            for each in found:
                self._buckets[each.rate.name, who] = (each.held, self._clock())
                self._buckets.move_to_end((each.rate.name, who))
            while len(self._buckets) > _MOST_BUCKETS:
                self._buckets.popitem(last=False)
        return found

    def enter(self, account: str) -> None:
        """A request of an account begins. Raises `TooManyTries` while too many are at work."""
        with self._lock:
            if self._at_work.get(account, 0) >= AT_ONCE:
                raise too_much(1)
            self._at_work[account] = self._at_work.get(account, 0) + 1

    def leave(self, account: str) -> None:
        """It has ended."""
        with self._lock:
            self._at_work[account] -= 1
            if not self._at_work[account]:
                del self._at_work[account]

    def first_sync(
        self, store: RecordStore, account: str, teams: Iterable[str], now_ms: int
    ) -> None:
        """Count a first sync in the store. Raises `TooManyTries`, `StoreUnavailable`.

        Where the count is contended for, the sync goes on uncounted: phones come first.
        """
        own, shared = (self._kept(name) for name in ("first-syncs", "team-first-syncs"))
        gates = [
            throttle.gate(rate.name, Window(rate.amount, rate.seconds * 1000), b"", who)
            for rate, each in ((own, [account]), (shared, teams))
            for who in each
            if rate.amount
        ]
        for _ in range(_COUNT_ATTEMPTS if gates else 0):
            reading = store.read([gate.key for gate in gates])
            wait = max(throttle.wait_ms(gate, reading, now_ms) for gate in gates)
            if wait:
                raise too_much(wait / 1000)
            try:
                store.commit(throttle.count(gates, reading, now_ms))
            except Contended:
                continue
            return

    def _kept(self, name: str) -> Rate:
        [rate] = [rate for rate in self.rates if rate.name == name]
        return rate

    def _asked(self, per: Per, route: tuple[str, str] | None) -> list[Rate]:
        ours = [rate for rate in self.rates if rate.per is per and rate.amount and not rate.kept]
        named = [rate for rate in ours if route in rate.routes]
        if per is Per.ADDRESS and named:
            return named
        return [*named, *(rate for rate in ours if not rate.routes)]

    def _standing(self, rate: Rate, who: str) -> Standing:
        now = self._clock()
        held, at = self._buckets.get((rate.name, who), (float(rate.amount), now))
        grown = held + max(0.0, now - at) * rate.amount / rate.seconds
        return Standing(rate, min(rate.amount, grown))


def too_much(wait_seconds: float, found: Sequence[Standing] = ()) -> TooManyTries:
    """The refusal that says how long to wait."""
    fault = TooManyTries(
        "Too many requests. Wait, then send this one again; nothing is lost.",
        retry_after_s=math.ceil(wait_seconds),
    )
    fault.fields = fields(found)
    return fault


def fields(found: Sequence[Standing]) -> dict[str, str]:
    """RateLimit-Policy and RateLimit (draft-ietf-httpapi-ratelimit-headers-10), from half of a quota on.

    Before that they would only cost bytes on a slow line; the draft leaves it to the server.
    """
    near = [each for each in found if each.held * 2 <= each.rate.amount]
    if not near:
        return {}
    policies = [f'"{each.rate.name}";q={each.rate.amount};w={each.rate.seconds}' for each in near]
    limits = [f'"{each.rate.name}";r={each.left};t={each.full_seconds}' for each in near]
    return {"RateLimit-Policy": ", ".join(policies), "RateLimit": ", ".join(limits)}


def changes(text: str) -> dict[str, tuple[int, int]]:
    """The setting RATE_LIMITS: `name=amount/seconds`, separated by commas."""
    found = {}
    for part in filter(None, (each.strip() for each in text.split(","))):
        name, _, numbers = part.partition("=")
        amount, _, seconds = numbers.partition("/")
        found[name] = int(amount), int(seconds)
    return found


def demand_known(text: str) -> None:
    """Raises `ConfigurationFault` if RATE_LIMITS names a rate that is none."""
    unknown = changes(text).keys() - {rate.name for rate in RATES}
    if unknown:
        raise ConfigurationFault(
            f"RATE_LIMITS names {min(unknown)}, which is no rate", field="RATE_LIMITS"
        )
