"""How much of what is refused is kept: a push's entries for the quarantine, and the room left for them.

Of a caller who is in no scope `MOST_OF_OTHERS` entries a day are kept. A person looks at each: it is
what somebody who was put out by mistake, or whose phone comes late, may still say, and not enough to
fill an inbox. The rest stays on the phone, and is refused without the word that it is kept: the phone
would drop it.

What is kept is decided when all is known, by one read: of the entries, which may be there, and of the
day's tally.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass

from shared.accounts.membership import Caller
from shared.sync.exchange import Refusal
from shared.sync.store import ABSENT, Key, RecordStore, Write, put

#: What is kept of one person who is in no scope, entries a day.
MOST_OF_OTHERS = 30

_DAY_MS = 86_400_000


@dataclass(frozen=True, slots=True)
class Candidate:
    """An entry that is kept if there is room. `told`: its place in `Outcome.rejected`, and what stands
    there if it is not kept.
    """

    write: Write
    told: tuple[int, Refusal] | None = None


class Quota:
    """The entries of one push. `member`: the caller is in a scope, and of members all is kept."""

    def __init__(self, store: RecordStore, caller: Caller, member: bool, now_ms: int) -> None:
        self._store, self._member, self._now_ms = store, member, now_ms
        text = f"{caller.user_id}\n{now_ms // _DAY_MS}"
        self._key = Key("throttles", f"kept~{hashlib.sha256(text.encode()).hexdigest()[:40]}")
        self._candidates: list[Candidate] = []

    def ask(self, write: Write, told: tuple[int, Refusal] | None = None) -> None:
        """Keep an entry, if there is room."""
        self._candidates.append(Candidate(write, told))

    def settle(self, rejected: list[Refusal]) -> Iterator[Write]:
        """What is to be written, the day's tally first: a kill after it costs room, never the bound.

        A refused record that is sent again is kept once, stays closed if somebody closed it, and takes
        no room again. `rejected` is told what is not kept.
        """
        asked, self._candidates = self._candidates, []
        if not asked:
            return
        keys = dict.fromkeys(each.write.key for each in asked)
        own = () if self._member else (self._key,)
        known = self._store.read([*keys, *own], ("at", "kept")).documents
        tally = known.get(self._key)
        before = 0 if tally is None else int(tally.fields["kept"])
        kept: dict[Key, Write] = {}
        for each in asked:
            key = each.write.key
            if key in known:
                continue
            if key in kept or self._member or before + len(kept) < MOST_OF_OTHERS:
                kept[key] = each.write
            elif each.told is not None:
                place, refusal = each.told
                rejected[place] = refusal
        if kept and not self._member:
            ends = (self._now_ms // _DAY_MS + 2) * _DAY_MS
            fields = {"kept": before + len(kept), "expires_at": ends}
            yield put(self._key, fields, ABSENT if tally is None else tally.version)
        yield from kept.values()
