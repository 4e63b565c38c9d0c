"""The read path: everything that changed for a caller since a cursor, nothing missed.

A cursor is a commit time in whole ms. The snapshot is the moment at which the caller's memberships
and the epoch were read; every query reads at that snapshot, and the new cursor is that moment
rounded down. Which documents are newer than the cursor is decided by commit time (`version`), never
by the time stamped while a request was processed. Memberships come from the store, never from the
token.

What a pull lists, by scope:

    held since before the cursor     changes after the cursor
    granted after the cursor         the whole scope
    lost after the cursor            ids, as deletions
    a record moved away              its id, as a deletion, unless the new scope is the caller's too

A cursor from before the epoch (the store was restored from a backup) or from the future gets
everything, no deletions, and `resync`, so that phones offer again what the server lost.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from functools import partial
from itertools import chain
from typing import NamedTuple

import orjson

from shared.access import membership
from shared.access.membership import Caller, Memberships
from shared.access.rights import Action
from shared.errors import InvalidCursor, PageExpired
from shared.records import record
from shared.records.collection import Catalog, Collection
from shared.records.killpoints import reach
from shared.records.store import Change, Document, Key, Position, RecordStore, StoredCollection

#: The settings document that says when this store's history began.
EPOCH = Key("settings", "epoch")

STORED = (StoredCollection("settings"),)

#: Scopes in one query: Firestore allows 30 values of `in`.
SCOPES_A_QUERY = 30

#: Pages are read at the first one's snapshot for this long, ms: it is readable for an hour.
SNAPSHOT_LIFE_MS = 50 * 60_000

#: A page must be asked for within this time, ms: a first sync over a bad line may take days.
PAGE_LIFE_MS = 30 * 86_400_000

#: Pushes that a phone may try before what was taken from it is deleted there.
_CHANCES = 3

#: Revocations that are kept in memory from the question whether any matters to their listing.
_MOST_KEPT = 1000

_MASK_IDS = (record.SCOPE, record.DELETED)


class Segment(NamedTuple):
    """One query of a pull: a table, up to 30 scopes, and after which version (µs).

    `mode`: "rows" (and deletions), "fresh" (rows only: the phone holds nothing yet),
    "lost" (every id as a deletion), "moved" (revocations).
    """

    mode: str
    table: str
    scopes: tuple[str, ...]
    after: int


class Row(NamedTuple):
    """A record for the phone. `role` is the caller's in its scope: what may be shown depends on it."""

    collection: Collection
    document: Document
    role: str


class Gone(NamedTuple):
    """A record that the phone must drop."""

    table: str
    id: str


@dataclass(frozen=True, slots=True)
class Start:
    """What a first page is asked for.

    `show` are rows to send whatever the cursor. `echo` names the exchange (`push.Push.echo`): rows
    that the phone sent in it, exactly as they are stored, are left out. `whole` names tables that
    are sent whole, since the phone's schema has grown. `hold` is for phones that pull before they
    push, and drop unpushed edits of what a pull deletes: records that the caller may no longer have
    are dropped only by the pull after the next push (see `Puller._held_back`).
    """

    cursor_ms: int
    show: Sequence[Key] = ()
    echo: str = ""
    whole: Sequence[str] = ()
    hold: bool = False
    also: Sequence[Key] = ()  #: other documents that the same read should bring (`Pull.also`)


class _State(NamedTuple):
    """What a page token carries: where a pull stands, and for whom."""

    user: str
    began_ms: int
    snapshot: int
    cursor_ms: int
    segments: list[Segment]
    behind: Position | None  #: of the first segment
    echo: str
    held_ms: int | None = None  #: the cursor to hand out at the end, since deletions are held back


@dataclass(slots=True)
class Pull:
    """One answer's worth of changes: consume `items`, then read `cursor_ms` and `next_page`.

    `items` yields `Row` and `Gone` lazily; after it ends, `next_page` is None or a page token, and
    while there is one, `cursor_ms` is still the old cursor.
    """

    cursor_ms: int
    items: Iterator[Row | Gone] = field(default_factory=lambda: iter(()))
    next_page: str | None = None
    resync: str | None = None
    held: bool = False  #: deletions wait for the next pull: sync again soon
    scopes: Sequence[str] = ()  #: the caller's, in the snapshot
    also: Mapping[Key, Document] = field(default_factory=dict)


def _later(segment: Segment, change: Change, snapshot: int) -> bool:
    """Whether a phone wrote it after the snapshot: the next pull brings it."""
    if segment.mode in ("lost", "moved") or change.document.version <= snapshot:
        return False
    return record.client_version(change.document) > snapshot


class Puller:
    """Reads for phones. Safe to share between threads.

    `secret` signs page tokens. `overlap_ms` is how far a grant's clock may differ from commit order.
    `side_by_side`: the store answers over a network, so queries of one pull run at once.
    """

    def __init__(
        self,
        store: RecordStore,
        catalog: Catalog,
        *,
        secret: bytes,
        overlap_ms: int = 300_000,
        side_by_side: bool = False,
    ) -> None:
        self.store, self.catalog = store, catalog
        self._secret, self._overlap_ms = secret, overlap_ms
        self._names = tuple(item.name for item in catalog.collections)
        self._pool = ThreadPoolExecutor(16, "pull") if side_by_side else None

    # --- asking

    def start(
        self,
        caller: Caller,
        start: Start,
        now_ms: int,
        *,
        rows: int | None = None,
        size: int | None = None,
    ) -> Pull:
        """Begin a pull: the first page, of at most `rows` rows or about `size` bytes.

        `start.show` comes first and may go over that, but only by rows that no page would bring.
        Raises `StoreUnavailable`.
        """
        own = membership.key(caller.user_id)
        reading = self.store.read([own, EPOCH, *start.show, *start.also])
        members = membership.parse(caller.user_id, reading.documents.get(own))
        epoch = reading.documents.get(EPOCH)
        snapshot, cursor_ms = reading.read_at, start.cursor_ms
        lost_history = cursor_ms > 0 and (
            cursor_ms * 1000 > snapshot
            or (epoch is not None and cursor_ms < int(epoch.fields.get("started_at", 0)))
        )
        segments = self._plan(members, cursor_ms, lost_history, start.whole)
        held_ms = None
        known: dict[Segment, list[Change]] = {}
        if start.hold:
            segments, held_ms = self._held_back(members, cursor_ms, snapshot, segments, known)
        state = _State(
            caller.user_id, now_ms, snapshot, cursor_ms, segments, None, start.echo, held_ms
        )
        shown, used = self._shown(start, reading.documents, members, rows, size)
        pull = self._page(members, state, rows, size, known, shown=shown, used=used)
        pull.resync = "upload_first" if lost_history else None
        pull.also = {key: reading.documents[key] for key in start.also if key in reading.documents}
        return pull

    def resume(
        self,
        caller: Caller,
        token: str,
        now_ms: int,
        *,
        rows: int | None = None,
        size: int | None = None,
    ) -> Pull:
        """The next page, read at the first page's snapshot, within what the caller may see now.

        When that snapshot is too old to be read, the listing goes on in the state of now, without what
        phones wrote since: the cursor stays that of the first page, so the next sync brings it.
        Raises `InvalidCursor` (not our token, or another user's) and `PageExpired`.
        """
        state = self._open(caller, token)
        own = membership.key(caller.user_id)
        reading = self.store.read([own, EPOCH])
        epoch = reading.documents.get(EPOCH)
        restored = epoch is not None and epoch.version > state.snapshot
        if now_ms - state.began_ms > PAGE_LIFE_MS or restored:
            raise PageExpired("This sync began too long ago. Start it again from your last cursor.")
        old = now_ms - state.began_ms > SNAPSHOT_LIFE_MS
        read_at = max(reading.read_at, state.snapshot) if old else state.snapshot
        members = membership.parse(caller.user_id, reading.documents.get(own))
        return self._page(members, state, rows, size, {}, read_at=read_at)

    # --- planning

    def _plan(
        self, members: Memberships, cursor_ms: int, lost_history: bool, whole: Sequence[str]
    ) -> list[Segment]:
        held = [
            scope for scope in members.scopes if self.catalog.may(members.roles[scope], Action.READ)
        ]
        if cursor_ms == 0 or lost_history:
            return [
                segment
                for table in self._names
                for segment in self._groups("fresh", table, held, 0)
            ]
        # A grant is stamped before it commits, so one stamped a little before the cursor may have
        # been invisible at it: such a scope is sent whole once more, which is harmless.
        recent = cursor_ms - self._overlap_ms
        changed = members.version > cursor_ms * 1000
        new = [scope for scope in held if changed and members.since_ms[scope] > recent]
        old = [scope for scope in held if scope not in new]
        lost = [scope for scope, at in members.left_ms.items() if changed and at > recent]
        after = cursor_ms * 1000
        # Table by table, so that a dialect can write one table after the other while it reads.
        return [
            *self._groups("moved", record.REVOCATIONS, sorted({*held, *lost}), after),
            *(
                segment
                for table in self._names
                for segment in (
                    *self._groups("lost", table, sorted(lost), 0),
                    *self._groups("rows", table, old, 0 if table in whole else after),
                    *self._groups("rows", table, new, 0),
                )
            ),
        ]

    def _held_back(
        self,
        members: Memberships,
        cursor_ms: int,
        snapshot: int,
        segments: list[Segment],
        known: dict[Segment, list[Change]],
    ) -> tuple[list[Segment], int | None]:
        """What to list now, and the cursor to hand out instead of the snapshot's, if it matters.

        A phone that pulls first loses what it has not pushed yet of a record that a pull deletes. So
        records that were taken away after the cursor are not deleted by this pull; its new cursor
        lies a few ms before the first of them. The push that follows delivers the edits (`decision`,
        "moved"). Each further pull brings the cursor a ms nearer, a chance more for a push that the
        network swallowed; the pull from the last of these cursors lists the deletions. No state is
        kept. Revocations that are few are put into `known`: they need not be asked for again.
        """
        taken: list[int] = []  # when, µs
        for segment in segments:
            if segment.mode == "lost":
                left = (members.left_ms[scope] for scope in segment.scopes)
                taken += [at_ms * 1000 for at_ms in left if at_ms > cursor_ms]
            elif segment.mode == "moved":
                kept: list[Change] = []
                found = self.store.changes(segment.table, segment.scopes, segment.after, snapshot)
                for change in found:
                    if len(kept) <= _MOST_KEPT:
                        kept.append(change)
                    if self._moved(change.document, members, set()) is not None:
                        taken.append(change.document.version)
                if len(kept) <= _MOST_KEPT:
                    known[segment] = kept
        before_ms = (min(taken, default=0) - 1) // 1000
        if cursor_ms >= before_ms:
            return segments, None
        waiting = [item for item in segments if item.mode not in ("lost", "moved")]
        return waiting, max(before_ms - _CHANCES + 1, cursor_ms + 1)

    @staticmethod
    def _groups(mode: str, table: str, scopes: Sequence[str], after: int) -> list[Segment]:
        return [
            Segment(mode, table, tuple(scopes[at : at + SCOPES_A_QUERY]), after)
            for at in range(0, len(scopes), SCOPES_A_QUERY)
        ]

    # --- reading

    def _page(
        self,
        members: Memberships,
        state: _State,
        rows: int | None,
        size: int | None,
        known: Mapping[Segment, Sequence[Change]],
        *,
        shown: Sequence[Row | Gone] = (),
        used: int = 0,
        read_at: int | None = None,
    ) -> Pull:
        newest_ms = max(state.snapshot // 1000, 1) if state.held_ms is None else state.held_ms
        pull = Pull(newest_ms, held=state.held_ms is not None, scopes=members.scopes)
        # A scope lost since the first page is no longer listed, whatever the token says.
        segments = [self._still_held(segment, members) for segment in state.segments]
        listings = self._listings(segments, read_at or state.snapshot, state.behind, known)
        skip = {(item.document.key if isinstance(item, Row) else Key(*item)) for item in shown}

        def items() -> Iterator[Row | Gone]:
            yield from shown
            count, weight = len(shown), used
            for at, (segment, listing) in enumerate(zip(segments, listings, strict=True)):
                for change in listing:
                    if change.document.key in skip or _later(segment, change, state.snapshot):
                        continue
                    item = self._item(segment, change.document, members, state.echo, skip)
                    if item is None:
                        continue
                    yield item
                    reach("pull.listing")
                    count += 1
                    weight += _weight(change.document) if size else 0
                    if (rows and count >= rows) or (size and weight >= size):
                        rest = state._replace(segments=segments[at:], behind=change.position)
                        pull.next_page = self._seal(rest)
                        pull.cursor_ms = state.cursor_ms
                        return

        pull.items = items()
        return pull

    def _still_held(self, segment: Segment, members: Memberships) -> Segment:
        if segment.mode in ("lost", "moved"):
            return segment
        held = (s for s in segment.scopes if self.catalog.may(members.roles.get(s), Action.READ))
        return segment._replace(scopes=tuple(held))

    def _listings(
        self,
        segments: Sequence[Segment],
        snapshot: int,
        behind: Position | None,
        known: Mapping[Segment, Sequence[Change]],
    ) -> list[Iterator[Change]]:
        """One lazy listing a segment; over a network, the first document of each is fetched at once."""
        starts: list[Callable[[], Iterator[Change]]] = []
        for at, segment in enumerate(segments):
            if segment in known or not segment.scopes:
                starts.append(partial(iter, known.get(segment, ())))
                continue
            starts.append(
                partial(
                    self.store.changes,
                    segment.table,
                    segment.scopes,
                    segment.after,
                    snapshot,
                    behind=behind if at == 0 else None,
                    fields=_MASK_IDS if segment.mode == "lost" else None,
                    # What the server itself rewrites meanwhile must come too: else the phone's edit
                    # that it still carries would count as seen (`record.client_version`) unseen. And
                    # a lost scope is not listed again.
                    even_if_newer=segment.mode != "moved",
                )
            )
        if self._pool is None:
            return [start() for start in starts]
        return list(self._pool.map(_primed, starts))

    def _item(
        self,
        segment: Segment,
        document: Document,
        members: Memberships,
        echo: str,
        skip: set[Key],
    ) -> Row | Gone | None:
        if segment.mode == "lost":
            return Gone(segment.table, document.key.id)
        if segment.mode == "moved":
            return self._moved(document, members, skip)
        fields = document.fields
        if echo and fields.get(record.ECHO) == echo:
            return None
        if fields.get(record.DELETED) is not None:
            return None if segment.mode == "fresh" else Gone(segment.table, document.key.id)
        role = members.roles.get(fields[record.SCOPE], "")
        return Row(self.catalog.by_name[segment.table], document, role)

    def _moved(self, document: Document, members: Memberships, skip: set[Key]) -> Gone | None:
        fields = document.fields
        key = Key(str(fields["table"]), str(fields["record_id"]))
        back = fields.get("to_scope") == fields[record.SCOPE]
        if back or self.catalog.may(members.roles.get(str(fields.get("to_scope"))), Action.READ):
            return None
        skip.add(key)
        return Gone(*key)

    def _shown(
        self,
        start: Start,
        documents: Mapping[Key, Document],
        members: Memberships,
        rows: int | None,
        size: int | None,
    ) -> tuple[list[Row | Gone], int]:
        """What comes first, and its weight."""
        shown: list[Row | Gone] = []
        used = 0
        for key in start.show:
            document = documents.get(key)
            if document is None:
                continue
            role = members.roles.get(document.fields.get(record.SCOPE, ""))
            if not self.catalog.may(role, Action.READ):
                continue
            if document.fields.get(record.DELETED) is not None:
                shown.append(Gone(*key))  # no page of a first sync would bring it
                continue
            full = (rows and len(shown) >= rows) or (size and used >= size)
            if full and document.version > start.cursor_ms * 1000:
                continue  # it changed after the cursor: a page will bring it
            used += _weight(document) if size else 0
            shown.append(Row(self.catalog.by_name[key.collection], document, str(role)))
        return shown, used

    # --- page tokens

    def _seal(self, state: _State) -> str:
        text = orjson.dumps(tuple(state), default=tuple)
        return base64.urlsafe_b64encode(self._sign(text) + text).decode().rstrip("=")

    def _open(self, caller: Caller, token: str) -> _State:
        try:
            data = base64.urlsafe_b64decode(token.encode() + b"=" * (-len(token) % 4))
        except ValueError:
            data = b""
        if not hmac.compare_digest(data[:32], self._sign(data[32:])):
            raise InvalidCursor("next_page is not one of ours. Start the sync again.", field="page")
        user, began_ms, snapshot, cursor_ms, segments, behind, echo, held_ms = orjson.loads(
            data[32:]
        )
        if user != caller.user_id:
            raise InvalidCursor("next_page is not one of yours. Start again.", field="page")
        plan = [
            Segment(mode, table, tuple(scopes), after) for mode, table, scopes, after in segments
        ]
        place = None if behind is None else Position(*behind)
        return _State(user, began_ms, snapshot, cursor_ms, plan, place, echo, held_ms)

    def _sign(self, text: bytes) -> bytes:
        return hmac.new(self._secret, b"page\n" + text, hashlib.sha256).digest()


def _primed(start: Callable[[], Iterator[Change]]) -> Iterator[Change]:
    listing = start()
    first = next(listing, None)
    return iter(()) if first is None else chain((first,), listing)


def _weight(document: Document) -> int:
    """About how many bytes a row will take in the answer."""
    weight = 200
    for value in document.fields.values():
        if isinstance(value, str):
            weight += len(value)
        else:
            weight += 12 if isinstance(value, int | float) else 400
    return weight
