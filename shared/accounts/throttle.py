"""Slower and slower: how many wrong tries a gate takes, kept in the record store.

A gate is a document of `throttles`: one an account, one an address, one for an address or device
from which an account logged in before. Its tally is written with compare-and-set in the commit that
gives the verdict, so that tries made side by side are counted one by one, over all instances and
restarts. Nothing is locked for ever: a gate only asks to wait.

Names of gates are keyed hashes: the store holds no address and no device in the clear.
"""

from __future__ import annotations

import hashlib
import hmac
import ipaddress
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from shared.errors import TooManyTries
from shared.records.store import (
    ABSENT,
    Document,
    Key,
    RecordStore,
    Snapshot,
    StoredCollection,
    Write,
    delete,
    put,
    verify,
)

COLLECTION = "throttles"

STORED = (StoredCollection(COLLECTION, (("expires_at",),)),)

#: How long a document outlives its last try, ms; then the sweeper may remove it.
_KEPT_MS = 180 * 86_400_000


@dataclass(frozen=True, slots=True)
class Tally:
    """Wrong tries of a gate: how many, since when, the last one; server ms."""

    wrong: int = 0
    since_ms: int = 0
    last_ms: int = 0


class Rule(Protocol):
    """How long a gate asks to wait."""

    def wait_ms(self, tally: Tally, now_ms: int) -> int:
        """From now until the next try is heard; 0: at once."""
        ...

    def counted(self, tally: Tally, now_ms: int) -> Tally:
        """The tally after one more wrong try."""
        ...


@dataclass(frozen=True, slots=True)
class Backoff:
    """`free` wrong tries, then waits that double from `first_ms` to `longest_ms`.

    All is forgotten `forget_ms` after the last wrong try.
    """

    free: int
    first_ms: int = 2_000
    longest_ms: int = 900_000
    forget_ms: int = 86_400_000

    def wait_ms(self, tally: Tally, now_ms: int) -> int:
        past = now_ms - tally.last_ms
        if tally.wrong < self.free or past >= self.forget_ms:
            return 0
        delay = min(self.longest_ms, self.first_ms << min(tally.wrong - self.free, 30))
        # a clock that was set back must not make the wait longer than the delay
        return min(delay, max(0, delay - past))

    def counted(self, tally: Tally, now_ms: int) -> Tally:
        if now_ms - tally.last_ms >= self.forget_ms:
            return Tally(1, now_ms, now_ms)
        return Tally(tally.wrong + 1, tally.since_ms or now_ms, now_ms)


@dataclass(frozen=True, slots=True)
class Window:
    """At most `most` wrong tries in `span_ms`, counted from the first of them."""

    most: int
    span_ms: int

    def wait_ms(self, tally: Tally, now_ms: int) -> int:
        left = tally.since_ms + self.span_ms - now_ms
        return min(self.span_ms, left) if tally.wrong >= self.most and left > 0 else 0

    def counted(self, tally: Tally, now_ms: int) -> Tally:
        if now_ms >= tally.since_ms + self.span_ms:
            return Tally(1, now_ms, now_ms)
        return Tally(tally.wrong + 1, tally.since_ms, now_ms)


@dataclass(frozen=True, slots=True)
class Gate:
    """One counter and its rule. A `familiar` gate is only there once a log-in has made it."""

    key: Key
    rule: Rule
    familiar: bool = False


def gate(kind: str, rule: Rule, secret: bytes, *parts: str, familiar: bool = False) -> Gate:
    """The gate of a kind for an account, an address, or both."""
    text = "\0".join((kind, *parts)).encode()
    name = hmac.new(secret, text, hashlib.sha256).hexdigest()[:40]
    return Gate(Key(COLLECTION, f"{kind}~{name}"), rule, familiar)


def read(store: RecordStore, gates: Sequence[Gate], keys: Sequence[Key]) -> Snapshot:
    """Gates and other documents at one moment."""
    return store.read([*(each.key for each in gates), *keys])


def tally_of(document: Document | None) -> Tally:
    """The tally of a gate's document; none was wrong if there is no document."""
    if document is None:
        return Tally()
    said = document.fields
    return Tally(int(said["wrong"]), int(said["since"]), int(said["last"]))


def wait_ms(gate: Gate, reading: Snapshot, now_ms: int) -> int:
    """How long a gate asks to wait."""
    return gate.rule.wait_ms(tally_of(reading.documents.get(gate.key)), now_ms)


def demand(gates: Sequence[Gate], reading: Snapshot, now_ms: int) -> None:
    """Raises `TooManyTries` if one of the gates asks to wait."""
    longest = max((wait_ms(each, reading, now_ms) for each in gates), default=0)
    if longest > 0:
        raise too_many(longest)


def too_many(wait: int) -> TooManyTries:
    """The refusal that says how long to wait."""
    return TooManyTries(
        "Too many wrong tries. Wait before the next one.", retry_after_s=-(-wait // 1000)
    )


def is_there(gate: Gate, reading: Snapshot) -> bool:
    """Whether a familiar gate was made by an earlier log-in."""
    return gate.key in reading.documents


def count(gates: Sequence[Gate], reading: Snapshot, now_ms: int) -> list[Write]:
    """Writes that count one wrong try at each gate."""
    return [
        _put(each, each.rule.counted(_tally(each, reading), now_ms), reading, now_ms)
        for each in gates
    ]


def forgive(gates: Sequence[Gate], reading: Snapshot, now_ms: int) -> list[Write]:
    """Writes after a right try: a familiar gate stays, with nothing counted; others go."""
    writes = []
    for each in gates:
        if each.familiar:
            known = reading.documents.get(each.key)
            fresh = known is not None and now_ms + _KEPT_MS // 2 < int(known.fields["expires_at"])
            if known is not None and fresh and tally_of(known).wrong == 0:
                writes.append(verify(each.key, known.version))
            else:
                writes.append(_put(each, Tally(), reading, now_ms))
        elif each.key in reading.documents:
            writes.append(delete(each.key, reading.documents[each.key].version))
        else:
            writes.append(verify(each.key, ABSENT))
    return writes


def unchanged(gates: Sequence[Gate], reading: Snapshot) -> list[Write]:
    """Writes that refuse the commit if somebody was counted at a gate meanwhile."""
    return [verify(each.key, _version(each, reading)) for each in gates]


def _tally(gate: Gate, reading: Snapshot) -> Tally:
    return tally_of(reading.documents.get(gate.key))


def _version(gate: Gate, reading: Snapshot) -> int:
    known = reading.documents.get(gate.key)
    return ABSENT if known is None else known.version


def _put(gate: Gate, tally: Tally, reading: Snapshot, now_ms: int) -> Write:
    fields = {"wrong": tally.wrong, "since": tally.since_ms, "last": tally.last_ms}
    return put(gate.key, {**fields, "expires_at": now_ms + _KEPT_MS}, _version(gate, reading))


def is_loopback(address: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        known = ipaddress.ip_address(address.strip("[]"))
    except ValueError:
        return address == "localhost"
    mapped = getattr(known, "ipv4_mapped", None)
    return bool((mapped or known).is_loopback)


def client_address(remote: str | None, forwarded: str, proxies: int) -> str:
    """Who is calling: the `proxies`-th last entry of X-Forwarded-For, or the other end if 0.

    If 0 and the other end is this machine, it is a proxy here, whoever set it up, and its entry counts:
    else all phones behind it were one caller, and one stranger's wrong tries were everybody's.
    Everything before that entry was written by the caller and is not believed. Behind Google's load
    balancer it is the second last: the balancer appends the client's address and its own. An IPv6
    network (/64) is one caller: it is what one subscriber gets.
    """
    entries = [part.strip() for part in forwarded.split(",")] if forwarded else []
    if not proxies and entries and is_loopback(remote or ""):
        proxies = 1
    text = entries[-proxies] if 0 < proxies <= len(entries) else (remote or "")
    try:
        address = ipaddress.ip_address(text.strip("[]"))
    except ValueError:
        return "unknown"
    if isinstance(address, ipaddress.IPv6Address):
        if address.ipv4_mapped is not None:
            return str(address.ipv4_mapped)
        return str(ipaddress.IPv6Network((int(address), 64), strict=False).network_address)
    return str(address)
