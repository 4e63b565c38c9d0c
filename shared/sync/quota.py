"""How much of what is refused is kept: a push's entries for the quarantine, and the room left for them.

Room is counted by day, for each person and for each scope that an entry is about. Entries with a signal
and the rest have room of their own, so that the one never takes that of the other. People who are in no
scope have little, and none of that of the members: a person looks at each of theirs. It is what somebody
who was put out by mistake, or whose phone comes late, may still say, and not enough to fill an inbox.

What finds no room stays on the phone, as every refused record does. It is refused without the word that
it is kept: the phone would drop it.

What is kept is decided when all is known, by one read of the entries, which may be there, and of the
day's tallies; a read for each `_A_READ` entries, until the room is used up.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from shared.access.membership import Caller
from shared.records import record
from shared.records.store import ABSENT, Document, Key, RecordStore, Write, put
from shared.sync.exchange import Refusal

#: Entries kept of a member a day, with a signal and without: more than the worst day of a phone brings.
MOST_OF_A_MEMBER = 1_000

#: Entries of all members a day that are about one scope, with a signal and without.
MOST_IN_A_SCOPE = 10_000

#: Entries kept a day of one person who is in no scope, and of all of them in one scope's inbox.
MOST_OF_OTHERS = 30
MOST_OF_OTHERS_IN_A_SCOPE = 300

#: Entries that are looked for in one read.
_A_READ = 500

#: What a tally counts apart.
_CLASSES = ("urgent", "rest", "others")

_DAY_MS = 86_400_000


#: `journal.refused`: the copy of a refused record, whose it is, who sent it, when (server ms).
MakesCopy = Callable[[Refusal, Mapping[str, Any], Caller, int], Write]


@dataclass(frozen=True, slots=True)
class _Asked:
    """An entry that is kept if there is room."""

    refusal: Refusal
    whose: Mapping[str, Any]  #: as `journal.refused` takes it
    told: (
        tuple[int, Refusal] | None
    )  #: a place in `Outcome.rejected`, and what is said there if not

    @property
    def urgent(self) -> bool:
        return bool(self.whose["urgent"])

    @property
    def outlives(self) -> bool:
        """Whether it is kept although the push it belongs to is refused whole."""
        return bool(self.whose["late"] or self.whose["urgent"])


class Quota:
    """What one push would keep. `member`: the caller is in a scope. `copy` makes an entry of a refusal."""

    def __init__(
        self, store: RecordStore, caller: Caller, member: bool, now_ms: int, copy: MakesCopy
    ) -> None:
        self._copy = copy
        self._store, self._caller, self._member, self._now_ms = store, caller, member, now_ms
        self._asked: list[_Asked] = []
        self._tallies: dict[Key, Document | None] = {}
        self._counts: dict[Key, dict[str, int]] = {}

    def ask(
        self, refusal: Refusal, whose: Mapping[str, Any], told: tuple[int, Refusal] | None = None
    ) -> None:
        """Keep a copy of what is refused, if there is room."""
        self._asked.append(_Asked(refusal, whose, told))

    def settle(self, rejected: list[Refusal], *, stale: bool = False) -> Iterator[Write]:
        """What is to be written, the tallies first: a kill after them costs room, never the bound.

        A refused record that is sent again is kept once, stays closed if somebody closed it, and takes
        no room again. `rejected` is told what is not kept. `stale`: the push is refused whole, and only
        signals and what comes late are kept of it.
        """
        asked = [each for each in self._asked if each.outlives or not stale]
        asked.sort(key=lambda each: not each.urgent)
        self._asked = []
        kept: dict[Key, Write] = {}
        for at in range(0, len(asked), _A_READ):
            hopeful: list[tuple[_Asked, Write]] = []
            for each in asked[at : at + _A_READ]:
                if self._full(each):
                    _decline(each, rejected)
                else:
                    copy = self._copy(each.refusal, each.whose, self._caller, self._now_ms)
                    hopeful.append((each, copy))
            known = self._look(hopeful)
            for each, copy in hopeful:
                if copy.key in known:
                    continue
                if copy.key in kept or self._take(each):
                    kept[copy.key] = copy
                else:
                    _decline(each, rejected)
        if kept:
            yield from self._tallied()
        yield from kept.values()

    def _look(self, hopeful: list[tuple[_Asked, Write]]) -> Mapping[Key, Document]:
        """The entries that are there already; and, once, the tallies that these fall under."""
        if not hopeful:
            return {}
        tallies = {key for each, _ in hopeful for key, _, _ in self._bounds(each)}
        tallies -= self._tallies.keys()
        entries = dict.fromkeys(copy.key for _, copy in hopeful)
        found = self._store.read([*entries, *tallies], ("at", *_CLASSES)).documents
        for key in tallies:
            have = self._tallies[key] = found.get(key)
            fields = {} if have is None else have.fields
            self._counts[key] = {name: int(fields.get(name, 0)) for name in _CLASSES}
        return found

    def _bounds(self, each: _Asked) -> Iterator[tuple[Key, str, int]]:
        """The tallies that an entry falls under: whose, which of its counts, and how far it may go."""
        kind = "others" if not self._member else "urgent" if each.urgent else "rest"
        yield self._person, kind, MOST_OF_A_MEMBER if self._member else MOST_OF_OTHERS
        scope_id = each.whose[record.SCOPE]
        if scope_id is not None:
            most = MOST_IN_A_SCOPE if self._member else MOST_OF_OTHERS_IN_A_SCOPE
            yield self._tally_of("scope", scope_id), kind, most

    @property
    def _person(self) -> Key:
        return self._tally_of("person", self._caller.user_id)

    def _tally_of(self, what: str, name: str) -> Key:
        text = f"{what}\n{name}\n{self._now_ms // _DAY_MS}"
        return Key("throttles", f"kept~{hashlib.sha256(text.encode()).hexdigest()[:40]}")

    def _full(self, each: _Asked) -> bool:
        """Whether it is known that no room is left."""
        return any(
            key in self._counts and self._counts[key][kind] >= most
            for key, kind, most in self._bounds(each)
        )

    def _take(self, each: _Asked) -> bool:
        if self._full(each):
            return False
        for key, kind, _ in self._bounds(each):
            self._counts[key][kind] += 1
        return True

    def _tallied(self) -> Iterator[Write]:
        """The tallies. That of the person holds to the entry; that of a scope, which many write at the
        same time, may miss some of them, so that no phone waits for another.
        """
        ends = (self._now_ms // _DAY_MS + 2) * _DAY_MS
        for key, counts in self._counts.items():
            have = self._tallies[key]
            version = ABSENT if have is None else have.version
            expect = version if key == self._person else None
            yield put(key, {**counts, "expires_at": ends}, expect)


def _decline(each: _Asked, rejected: list[Refusal]) -> None:
    if each.told is not None:
        place, refusal = each.told
        rejected[place] = refusal
