"""Deciding: what becomes of each record of a push, judged on one snapshot of the store.

`shared/sync/conflict.py` says which value wins. Here stand the questions around it: may the caller write
there, is there a parent, which scope does a new record belong to, what must the phone be told. What is
refused or loses goes to the journal (`shared/sync/journal.py`). Nothing is committed here: `Pusher` commits
the steps.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Any

from shared.access import membership
from shared.access.membership import Caller, Memberships
from shared.access.rights import Action
from shared.errors import StalePush
from shared.records import record
from shared.records.collection import (
    MAX_RECORD_BYTES,
    Catalog,
    Collection,
    Effects,
    RecordFault,
    Turn,
    Type,
)
from shared.records.store import (
    ABSENT,
    MAX_COMMIT_WRITES,
    Document,
    Key,
    Query,
    RecordStore,
    Snapshot,
    patch,
    put,
)
from shared.sync.conflict import (
    Merged,
    Stamp,
    Writer,
    deletion_wins,
    merge,
    must_pull,
    unseen_columns,
)
from shared.sync.digest import RunningDigest
from shared.sync.exchange import Conflict, Entry, Held, Outcome, Push, Refusal
from shared.sync.journal import WRITE_OVERHEAD, Journal, Step, size_of

#: Descendants of deleted records that a push deletes itself; a job goes on with the others.
_MOST_CHILDREN = 2 * MAX_COMMIT_WRITES

#: Values in one query by a list: Firestore's own limit.
_IN_A_QUERY = 30

#: Refusals that may only mean that the phone has not heard of a move yet.
_MAY_BE_LATE = frozenset({"id_unavailable", "unknown_parent", "unknown_scope", "scope_required"})


class _Parent:
    """What a child needs to know of the record it refers to."""

    __slots__ = ("deleted", "document", "fields", "scope_id")

    def __init__(self, fields: Mapping[str, Any], document: Document | None, deleted: bool) -> None:
        self.fields = fields
        self.document = document  #: None: written by this push, nothing to verify within its commit
        self.scope_id: str = fields[record.SCOPE]
        self.deleted = deleted


class Decision:
    """What one snapshot makes of a push: `outcome` for the phone, `steps` for the commit.

    `tried` are conflicts of earlier attempts that may have been committed; those of this one are added.
    """

    def __init__(
        self,
        store: RecordStore,
        catalog: Catalog,
        caller: Caller,
        push: Push,
        now_ms: int,
        reading: Snapshot,
        *,
        keys: Iterable[Key],
        tried: dict[Key, Conflict],
        echo: str,
        clock_tolerance_ms: int,
    ) -> None:
        self.store, self.catalog = store, catalog
        self.caller, self.request, self.now_ms = caller, push, now_ms
        self.asked = set(keys)
        self.documents = dict(reading.documents)
        self.read_at = reading.read_at
        self.echo = echo
        key = membership.key(caller.user_id)
        self.members: Memberships = membership.parse(caller.user_id, self.documents.get(key))
        # Asked several times for each record: the caller's scopes in which each of them is allowed.
        self._read_in, self._write_in = (
            frozenset(s for s, role in self.members.roles.items() if catalog.may(role, action))
            for action in (Action.READ, Action.WRITE)
        )
        self.outcome = Outcome("")
        self.steps: list[Step] = []
        self.tallies: dict[str, RunningDigest] = {}
        self.touched: dict[str, dict[str, list[str]]] = {}  #: scope → table → ids
        self.stale: list[Key] = []
        self.parents: dict[Key, _Parent] = {}
        self.journal = Journal(
            store, catalog, caller, self.members, self.outcome, self.steps, tried, now_ms
        )
        self.bereft: list[Key] = []  #: deleted by this push, with tables that refer to theirs
        offset = push.clock_offset_ms or 0
        self.writer = Writer(
            caller.device,
            caller.user_id,
            push.cursor_ms,
            now_ms,
            offset if offset > clock_tolerance_ms else 0,
            offset,
            clock_tolerance_ms,
            push.pulled_first,
        )

    # --- reading what the first look does not tell

    def load(self, entries: Sequence[Entry]) -> None:
        """Read what the first look, which takes scalars of the records only, has left out.

        Records whole, where a phone sends back maps that the server owns: is its copy stale? And of
        records that the caller may not see, whether they once were in a scope of the caller's.
        """
        wanted = [entry.key for entry in entries if self._sends_maps(entry)]
        for entry in entries:
            wanted += self._revocations(entry)
        if wanted:
            self.documents.update(self.store.read(wanted).documents)

    def _revocations(self, entry: Entry) -> list[Key]:
        """The documents that say whether a record out of the caller's reach has left a scope of theirs."""
        return [
            record.revocation(key, scope_id)
            for key in (entry.key, self._parent_key(entry, entry.coerced and entry.coerced.values))
            if key is not None and self._foreign(key)
            for scope_id in {**self.members.roles, **self.members.left_ms}
        ]

    def _foreign(self, key: Key) -> bool:
        have = self.documents.get(key)
        return have is not None and not self._may_read(have.fields[record.SCOPE])

    def _sends_maps(self, entry: Entry) -> bool:
        if entry.coerced is None or not entry.coerced.sent or self._foreign(entry.key):
            return False
        declared = entry.collection.by_name
        return entry.key in self.documents and any(
            value is not None and declared[name].type is Type.MAP
            for name, value in entry.coerced.sent.items()
        )

    # --- deciding

    def decide(self, entries: Sequence[Entry]) -> None:
        """Fill `outcome` and `steps`. Parents come before children."""
        for refusal in self.request.refusals:
            self.journal.refuse(refusal)
        for entry in entries:
            try:
                if entry.deleting:
                    self._delete(entry)
                else:
                    self._store(entry)
            except RecordFault as fault:
                address = self._moved_to(entry) if fault.code in _MAY_BE_LATE else None
                plain = _refusal(entry, fault)
                refusal = plain if address is None else _refusal(entry, _moved())
                self.journal.refuse(refusal, address, self._place(entry), unless_kept=plain)
                if entry.overtaken:  # that copy holds what came later by the phone's clock
                    raw = {"id": entry.id, **entry.overtaken, "last_modified_at": entry.raw_ms}
                    self.journal.keep(replace(refusal, raw=raw), address, self._place(entry))
                have = self.documents.get(entry.key)
                if have is not None and self._may_read(have.fields[record.SCOPE]):
                    self._hold(entry, have)
                    self.outcome.show[entry.key] = None
            if entry.earlier:
                self.journal.keep_superseded(entry, self._place(entry))
        if self.stale:
            self.journal.store_of_stale_push()
            raise StalePush(
                "Records changed on the server after your last pull. Pull, merge and push again.",
                [(key.collection, key.id) for key in self.stale],
            )
        self._take_children()

    def leave_to_listing(self) -> None:
        """Take out of `outcome.show` what the pull that follows lists anyway.

        It lists each row whose version is after the cursor, also those that this push is about to write,
        except rows that are exactly what the phone sent in this exchange (their echo). On a first sync
        nothing is taken out: it lists no deletions, so a row that is deleted meanwhile must be read by
        its key, or the phone would keep it.
        """
        after = self.request.cursor_ms * 1000
        if after == 0:
            return
        written = {write.key for step in self.steps for write in step.writes}

        def listed(key: Key) -> bool:
            have = self.documents.get(key)
            if key in written:
                return self.read_at >= after
            return (
                have is not None
                and have.version > after
                and have.fields.get(record.ECHO) != self.echo
            )

        self.outcome.show = {key: None for key in self.outcome.show if not listed(key)}

    def _hold(
        self, entry: Entry, have: Document | None, written: Mapping[str, Any] | None = None
    ) -> None:
        """Note which columns of a record that it sent the phone holds as they are stored.

        These are the columns that it sent, and those that it had seen before, unless this push changes
        them (`written`: the fields that it writes) or the phone calls the record new.
        """
        kept: frozenset[str] = frozenset()
        seen = have is not None and have.version <= self.request.cursor_ms * 1000
        if have is not None and seen and entry.raw.get("sync_status") != "new":
            kept = entry.collection.phone_fields
            if written is not None:
                old = have.fields
                kept = frozenset(
                    name for name in kept if name not in written or written[name] == old.get(name)
                )
        version = 0 if have is None or written is not None else have.version
        self.outcome.held[entry.key] = Held(entry, kept, version)

    def _store(self, entry: Entry) -> None:
        have = self.documents.get(entry.key)
        if have is None:
            self._create(entry)
            return
        scope_id = have.fields[record.SCOPE]
        if not self._may_read(scope_id):
            raise _unavailable()
        if not self._may_write(scope_id, entry.collection):
            raise _not_allowed()
        if have.fields.get(record.DELETED) is not None:
            self._lose_to_deletion(entry, have)
            return
        sent = entry.coerced.values if entry.coerced is not None else {}
        if entry.collection.appended and any(
            value != have.fields.get(name) for name, value in sent.items()
        ):
            raise _only_added()
        merged = merge(entry.collection, have, entry, self.writer)
        if merged.differs and must_pull(have, self.writer):
            self.stale.append(entry.key)
            return
        if merged.changed:
            parent = self._parent(entry, merged.values)
            if parent is not None and parent.scope_id != scope_id:
                raise _unknown_parent(entry.collection)
            self._write(entry, have, merged, scope_id, parent)
        else:
            self._leave(entry, have, scope_id, lost=bool(merged.lost))
        if merged.lost:
            self.journal.name(entry, have, "server", merged.reason, merged.lost)

    def _create(self, entry: Entry) -> None:
        spec, coerced = entry.collection, entry.coerced
        if coerced is None:
            raise TypeError("a deletion is not stored")
        values = {**spec.defaults, **coerced.values}
        values = {name: values.get(name) for name in spec.client_fields}
        spec.check_complete(values)
        parent = self._parent(entry, values)
        scope_id = self._scope_of_new(entry, parent)
        self._write(entry, None, Merged(values), scope_id, parent)

    def _leave(self, entry: Entry, have: Document, scope_id: str, *, lost: bool) -> None:
        """Leave the record as it is, and show it to the phone if the phone holds something else."""
        self._accept(entry, scope_id, have.fields.get(record.HASH))
        self._alive(entry, have.fields, have)
        self.journal.name_again(entry, scope_id)
        self._hold(entry, have)
        # A phone that calls the record new does not hold the server's columns yet.
        stale = self._stale_copy(entry, have.fields, new=entry.raw.get("sync_status") == "new")
        stale = stale or entry.raw_ms not in (None, have.fields.get(record.MODIFIED))
        if stale or lost:
            self.outcome.show[entry.key] = None
        self.journal.name_overtaken(entry, have.fields)
        if stale and self.request.pulled_first and have.version <= self.request.cursor_ms * 1000:
            # Its answer has no rows: the next pull must bring what this phone does not hold.
            self.steps.append(Step([record.server_patch(have, {})], WRITE_OVERHEAD))

    def _write(
        self,
        entry: Entry,
        have: Document | None,
        merged: Merged,
        scope_id: str,
        parent: _Parent | None,
    ) -> None:
        spec, values = entry.collection, merged.values
        content_hash, size = entry.hash(scope_id, values)
        if size > MAX_RECORD_BYTES:
            raise RecordFault(
                None, "record_too_large", f"A record may have {MAX_RECORD_BYTES} bytes"
            )
        if have is not None and merged.overwritten:
            yours = {name: values[name] for name in merged.overwritten}
            self.journal.name(entry, have, "client", "unseen_overwrite", yours)
        before = None if have is None else have.fields
        effects: Effects = spec.effects(
            Turn(
                spec.name,
                entry.id,
                scope_id,
                self.caller.user_id,
                values,
                before,
                None if parent is None else parent.fields,
                self.now_ms,
            )
        )
        fields = {
            **(spec.server_defaults if before is None else {}),
            **values,
            **effects.fields,
            record.SCOPE: scope_id,
            record.HASH: content_hash,
            **self._bookkeeping(entry, have, merged),
        }
        after = fields if before is None else {**before, **fields}
        differs = self._stale_copy(entry, after, new=before is None) or (
            entry.raw_ms is not None and fields[record.MODIFIED] != entry.raw_ms
        )
        known = have is None or have.version <= self.request.cursor_ms * 1000
        exact = known and not differs and not entry.overtaken and self._complete_copy(entry, after)
        fields[record.ECHO] = self.echo if exact else None
        self._hold(entry, have, fields)
        if differs:
            self.outcome.show[entry.key] = None
        if have is None:
            own = put(entry.key, fields, ABSENT)
        else:
            own = patch(entry.key, fields, have.version)
        guard = None if parent is None else self._parent_key(entry, values)
        extra = sum(size_of(write) for write in effects.writes)
        self.steps.append(Step([own, *effects.writes], size + WRITE_OVERHEAD + extra, guard))
        self.outcome.bells.extend(effects.bells)
        self.outcome.written += 1
        self.parents[entry.key] = _Parent(after, None, deleted=False)
        self._accept(entry, scope_id, content_hash)
        for name in entry.coerced.unread if entry.coerced else ():
            # What could not be read is stored as such; what was sent is kept for a person to read.
            message = f"{name} could not be read"
            copy = Refusal(spec.name, entry.id, name, "invalid_choice", message, entry.raw)
            self.journal.keep_unread(copy, scope_id)
        self.journal.name_overtaken(entry, after)

    def _bookkeeping(self, entry: Entry, have: Document | None, merged: Merged) -> dict[str, Any]:
        """Who wrote it, and when."""
        own = self._stamp(entry)
        fields: dict[str, Any] = {
            record.AUTHOR: self.caller.user_id,
            record.DEVICE: self.caller.device,
            record.OFFSET: own.offset_ms or None,
            record.DELETED: None,
            record.EDITED: None,
        }
        if have is None:
            created_ms = own.modified_ms
            if entry.created_ms is not None:
                created_ms = min(self.writer.corrected(entry.created_ms), created_ms)
            return fields | {
                record.MODIFIED: own.modified_ms,
                record.RAW_MODIFIED: own.raw_ms,
                record.CREATED: created_ms,
                record.RECEIVED: self.now_ms,
            }
        latest = max(merged.changed.values(), key=lambda stamp: stamp.modified_ms, default=own)
        return fields | {
            record.MODIFIED: max(latest.modified_ms, have.fields.get(record.MODIFIED, 0)),
            record.RAW_MODIFIED: latest.raw_ms,
            record.COLUMNS: merged.columns,
        }

    def _delete(self, entry: Entry) -> None:
        if entry.collection.appended:
            raise _only_added()
        have = self.documents.get(entry.key)
        if have is None:
            self._delete_unknown(entry)
            return
        if not self._may_read(have.fields[record.SCOPE]):
            # A foreign id: accepted without effect, the same answer as for an unknown one. Those
            # who care for a record that moved on are told that it was to be deleted.
            address = self._moved_to(entry)
            if address is not None:
                self.journal.keep(_refusal(entry, _moved()), address)
            self._accept(entry)
            return
        scope_id = have.fields[record.SCOPE]
        if not self._may_write(scope_id, entry.collection):
            raise _not_allowed()
        if have.fields.get(record.DELETED) is not None:
            self._accept(entry, scope_id)
            self.journal.name_again(entry, scope_id)
            self.parents[entry.key] = _Parent(have.fields, have, deleted=True)
            return
        if must_pull(have, self.writer):
            self.stale.append(entry.key)
            return
        deletion = {record.DELETED: True}
        reason = deletion_wins(have, entry, self.writer)
        if reason is not None:
            self.journal.name(entry, have, "server", reason, deletion)
            self._accept(entry, scope_id, have.fields.get(record.HASH))
            self._alive(entry, have.fields, have)
            self.outcome.show[entry.key] = None
            return
        if unseen_columns(have, entry, self.writer):
            self.journal.name(entry, have, "client", "unseen_overwrite", deletion)
        own = self._stamp(entry)
        fields = {
            record.AUTHOR: self.caller.user_id,
            record.DEVICE: self.caller.device,
            record.OFFSET: own.offset_ms or None,
            record.MODIFIED: max(own.modified_ms, have.fields.get(record.MODIFIED, 0) + 1),
            record.RAW_MODIFIED: own.raw_ms,
            record.EDITED: None,
            record.DELETED: self.now_ms,
            record.DELETED_BY: self.caller.user_id,
            record.KEPT: self.now_ms,
            record.HASH: entry.hash(scope_id, None)[0],
            record.ECHO: self.echo,
        }
        writes = [patch(entry.key, fields, have.version)]
        table = entry.collection.name
        if self.catalog.children(table):
            writes.append(self.catalog.cascade(table, entry.id, scope_id, self.now_ms))
            self.bereft.append(entry.key)
        self.steps.append(Step(writes, len(writes) * WRITE_OVERHEAD))
        self.outcome.written += 1
        self.parents[entry.key] = _Parent({**have.fields, **fields}, None, deleted=True)
        self._accept(entry, scope_id)

    def _stamp(self, entry: Entry) -> Stamp:
        """When the phone made a change; one without a time was made now."""
        raw_ms = self.now_ms + self.writer.offset_ms if entry.raw_ms is None else entry.raw_ms
        return self.writer.stamp(raw_ms)

    def _delete_unknown(self, entry: Entry) -> None:
        """A deletion that may have overtaken its creation on the network: the id is kept as deleted.

        Without it, the late creation would bring the record back to every phone. Of several teams
        any will do: the creation is refused wherever it belongs, and other phones know no such id.
        """
        spec = entry.collection
        writable = [scope for scope in self.members.scopes if self._may_write(scope, spec)]
        scope_id = entry.scope_id if entry.scope_id in writable else next(iter(writable), None)
        self._accept(entry, scope_id)
        if scope_id is None:
            return
        own = self._stamp(entry)
        fields = {
            record.SCOPE: scope_id,
            record.AUTHOR: self.caller.user_id,
            record.MODIFIED: own.modified_ms,
            record.RAW_MODIFIED: own.raw_ms,
            record.DELETED: self.now_ms,
            record.DEVICE: self.caller.device,
            record.HASH: entry.hash(scope_id, None)[0],
            record.ECHO: self.echo,
        }
        self.steps.append(Step([put(entry.key, fields, ABSENT)], WRITE_OVERHEAD))
        self.outcome.written += 1
        self.parents[entry.key] = _Parent(fields, None, deleted=True)

    def _take_children(self) -> None:
        """What refers to a record that was just deleted goes with it, and what refers to that.

        The parent's job (`Product.cascade`) stands in its commit all the same: it finds what is stored
        between this look and the commit, and goes on if this push ends half way.
        """
        own = {write.key for step in self.steps for write in step.writes}
        found = 0
        level = self.bereft
        while level and found < _MOST_CHILDREN:
            below: list[Key] = []
            for parent, child in self._children(level):
                if child.key in own:
                    continue
                own.add(child.key)
                write = record.follows(child, parent, self.now_ms, self.caller.user_id)
                self.steps.append(Step([write], WRITE_OVERHEAD, parent))
                self.touched.setdefault(child.fields[record.SCOPE], {}).setdefault(
                    child.key.collection, []
                ).append(child.key.id)
                self.documents[child.key] = child
                below.append(child.key)
                found += 1
            level = below

    def _children(self, parents: Sequence[Key]) -> Iterable[tuple[Key, Document]]:
        by_table: dict[str, list[str]] = {}
        for key in parents:
            by_table.setdefault(key.collection, []).append(key.id)
        for table, ids in by_table.items():
            for collection, name in self.catalog.children(table):
                for at in range(0, len(ids), _IN_A_QUERY):
                    query = Query(
                        collection.name,
                        where=((name, "in", tuple(ids[at : at + _IN_A_QUERY])),),
                        fields=(*record.META, name),
                        limit=_MOST_CHILDREN,
                    )
                    for child in self.store.query(query):
                        if child.fields.get(record.DELETED) is None:
                            yield Key(table, str(child.fields[name])), child

    def _lose_to_deletion(self, entry: Entry, have: Document) -> None:
        """Refuse an edit of a deleted record; its values go to the conflict log."""
        coerced = entry.coerced
        if coerced is None:
            raise TypeError("a deletion is no edit")
        self.journal.name(entry, have, "server", "deleted", coerced.values)
        self.outcome.show[entry.key] = None
        if must_pull(have, self.writer):
            self.stale.append(entry.key)
            return
        self.journal.name_overtaken(entry, have.fields)
        self._alive(entry, have.fields, have, deleted=True)
        message = "This record was deleted. Your values are kept in the conflict log."
        refusal = Refusal(entry.collection.name, entry.id, None, "deleted", message)
        self.journal.refuse(refusal, kept=False)

    def _alive(
        self, entry: Entry, fields: Mapping[str, Any], have: Document, deleted: bool = False
    ) -> None:
        gone = deleted or fields.get(record.DELETED) is not None
        self.parents[entry.key] = _Parent(fields, have, gone)

    # --- the rules about scope and parents

    def _moved_to(self, entry: Entry) -> str | None:
        """The scope to which a record has moved from one of the caller's; None: it was in none of them.

        What the caller's phone still sends about it goes to the inbox of that scope.
        """
        left = self.members.left_ms
        values = entry.coerced.values if entry.coerced is not None else None
        for key in (entry.key, self._parent_key(entry, values)):
            have = None if key is None else self.documents.get(key)
            if key is None or have is None:
                continue
            scope_id: str = have.fields[record.SCOPE]
            if self._may_read(scope_id):
                return None
            once = any(
                record.revocation(key, other) in self.documents
                for other in {**self.members.roles, **left}
            )
            return scope_id if once or scope_id in left else None
        if entry.scope_id is not None:
            return entry.scope_id if entry.scope_id in left else None
        return next(iter(left)) if len(left) == 1 and not self.members.roles else None

    def _may_read(self, scope_id: str) -> bool:
        return scope_id in self._read_in

    def _may_write(self, scope_id: str, spec: Collection) -> bool:
        return scope_id in self._write_in and spec.open_to(self.members.roles.get(scope_id))

    def _scope_of_new(self, entry: Entry, parent: _Parent | None) -> str:
        if parent is not None:
            scope_id = parent.scope_id
        elif entry.scope_id is not None:
            scope_id = entry.scope_id
        elif len(self.members.roles) == 1:
            scope_id = self.members.scopes[0]
        else:
            word = self.catalog.scope_word
            raise RecordFault("scope_id", "scope_required", f"Say which {word} this belongs to")
        if not self._may_read(scope_id):
            word = self.catalog.scope_word
            raise RecordFault("scope_id", "unknown_scope", f"You are not in this {word}")
        if not self._may_write(scope_id, entry.collection):
            raise _not_allowed()
        return scope_id

    def _parent_key(self, entry: Entry, values: Mapping[str, Any] | None) -> Key | None:
        spec = entry.collection.parent
        if spec is None or values is None or values.get(spec.name) is None:
            return None
        return Key(str(spec.references), values[spec.name])

    def _parent(self, entry: Entry, values: Mapping[str, Any]) -> _Parent | None:
        key = self._parent_key(entry, values)
        if key is None:
            return None
        parent = self.parents.get(key)
        if parent is None:
            have = self.documents.get(key)
            if have is None and key not in self.asked:
                have = self._late_parent(key)
            if have is None:
                raise _unknown_parent(entry.collection)
            parent = _Parent(have.fields, have, have.fields.get(record.DELETED) is not None)
        # A foreign parent is answered like an unknown one.
        if not self._may_read(parent.scope_id):
            raise _unknown_parent(entry.collection)
        if parent.deleted:
            spec = entry.collection.parent
            name = spec.name if spec else None
            raise RecordFault(name, "parent_deleted", "The record it belongs to was deleted")
        return parent

    def _late_parent(self, key: Key) -> Document | None:
        """A parent that was not read with the rest: the edit leaves its reference out, so that only the
        stored record names it.
        """
        self.asked.add(key)
        found = self.store.read([key]).documents.get(key)
        if found is not None:
            self.documents[key] = found
        return found

    # --- small questions

    def _stale_copy(self, entry: Entry, after: Mapping[str, Any], *, new: bool) -> bool:
        """Whether the stored row differs from what was sent, in anything but the server's times."""
        coerced, spec = entry.coerced, entry.collection
        if coerced is None:
            return False
        if coerced.altered or any(it != after.get(name) for name, it in coerced.values.items()):
            return True
        role = self.members.roles.get(after[record.SCOPE], "")
        shown = spec.redact(dict(after), role) if coerced.sent else after
        for name, value in coerced.sent.items():
            if value != shown.get(name):
                return True
        sent_scope = entry.raw.get(record.SCOPE)
        if sent_scope is not None and sent_scope != after[record.SCOPE]:
            return True
        return new and not self._complete_copy(entry, after)

    def _complete_copy(self, entry: Entry, after: Mapping[str, Any]) -> bool:
        """Whether the phone sent every field that is stored, so that it holds the whole row."""
        coerced = entry.coerced
        if coerced is None:
            return True
        for name in entry.collection.by_name:
            if (
                after.get(name) is not None
                and name not in coerced.values
                and name not in coerced.sent
            ):
                return False
        return True

    # --- keeping the books

    def _accept(
        self, entry: Entry, scope_id: str | None = None, content_hash: str | None = None
    ) -> None:
        """Tell the phone that the record is settled.

        `scope_id` is the scope it is stored in, for the audit trail; None: it is stored nowhere.
        `content_hash` is that of the stored record, for the digest; None: it is deleted.
        """
        table = entry.collection.name
        if scope_id is not None:
            self.touched.setdefault(scope_id, {}).setdefault(table, []).append(entry.id)
        self.outcome.accepted.setdefault(table, []).append(entry.id)
        if content_hash is not None:
            self.tallies.setdefault(table, RunningDigest()).add(content_hash)

    def _place(self, entry: Entry) -> str | None:
        """The scope that a refused record is about: its own, its parent's, or the one it names."""
        values = entry.coerced.values if entry.coerced is not None else None
        for key in (entry.key, self._parent_key(entry, values)):
            have = None if key is None else self.documents.get(key)
            if have is not None and self._may_read(have.fields[record.SCOPE]):
                return str(have.fields[record.SCOPE])
        return entry.scope_id if entry.scope_id in self.members.roles else None


def _refusal(entry: Entry, fault: RecordFault) -> Refusal:
    table = entry.collection.name
    return Refusal(table, entry.id, fault.field, fault.code, fault.message, entry.raw)


def _moved() -> RecordFault:
    return RecordFault(
        "id",
        "moved",
        "This record is no longer yours. What you sent is kept for those who care now",
    )


def _unavailable() -> RecordFault:
    return RecordFault("id", "id_unavailable", "This id cannot be used here")


def _not_allowed() -> RecordFault:
    return RecordFault(None, "not_allowed", "Your role may not change records of this table here")


def _only_added() -> RecordFault:
    return RecordFault(None, "not_allowed", "Rows of this table are added, not changed or deleted")


def _unknown_parent(spec: Collection) -> RecordFault:
    parent = spec.parent
    name = parent.name if parent else None
    return RecordFault(name, "unknown_parent", "The record it belongs to is not known")
