"""The data of a person, and of all that hangs on it, is removed at once.

The record is deleted with its descendants as a phone would, then blanked as the purge does, without the
wait. What is left are ids, so that a phone that comes back is told to drop the record. It may be killed
between any two steps and is repeated without harm; repeated later, it also removes what a phone that
came back has sent since. The audit trail keeps ids and who did what: that is its purpose.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator

from shared.access.audit import OPERATOR
from shared.access.membership import Caller
from shared.errors import Contended
from shared.privacy import search
from shared.records import record
from shared.records.collection import Catalog
from shared.records.insist import insist
from shared.records.store import Document, Key, Query, RecordStore, Write, delete, patch
from shared.sync.retention import Purger

#: Attempts at one record while others write it, and rounds of the whole.
_ATTEMPTS = 20

_A_COMMIT = 200


def erase(
    store: RecordStore,
    catalog: Catalog,
    named: str,
    now_ms: int,
    follow: Callable[[], object],
    drop_blobs: Callable[[Iterable[str]], int] = lambda _blobs: 0,
    by: Caller = OPERATOR,
) -> dict[str, int]:
    """Remove the data of a person and of all that hangs on it; how much was removed, by kind.

    `named` may also be an id that is none, under which something was refused, or the id of an entry
    of the quarantine.

    `follow` runs the jobs that delete children; `drop_blobs` removes those bytes of photos that no
    other record shows. Raises `Contended` when others keep writing the same records: call again.
    """
    key = search.person(catalog, named)
    if search.may_be_stored(key):
        _bury(store, catalog, key, now_ms)
        follow()
    records = search.family(store, catalog, named)
    living = [each.key.id for each in records.values() if not each.fields.get(record.DELETED)]
    if living:
        raise Contended(f"{len(living)} records still wait to be deleted. Call again.")
    # Logs first, and parents last: whoever begins again finds the children by them.
    about = {key, *records, *_erased_before(store, key)}
    logged = list(search.entries_about(store, catalog, about))
    seen = search.by_scope(records, logged)
    told = {"log entries": _drop(store, logged)}
    told["receipts"] = _drop(store, _receipts(store, about))
    told["jobs"] = _drop(store, search.jobs_about(store, about))
    told["phones"] = _forgotten_by_phones(store, about, seen)
    blobs = _let_go(store, list(search.files_of(store, about)), now_ms)
    told["files"] = drop_blobs(blobs)
    told["records"] = sum(
        _blank(store, catalog, each)
        for each in reversed(list(records))
        if _holds_data(records[each])
    )
    if any(told.values()):
        search.note(store, by, "erase", seen, now_ms)
    store.forget_deleted()
    return told


def _let_go(store: RecordStore, files: Iterable[Document], now_ms: int) -> set[str]:
    """The files show nothing any more; the blobs that they showed.

    In the same commit their bytes become due for the sweeper, should we die before we remove them.
    """
    blobs = set()
    for each in files:
        key = Key("blobs", str(each.fields["blob"]))
        there = store.read([key], ("state",)).documents
        due = [patch(key, {"look_at": now_ms}, None)] if key in there else []
        store.commit([delete(each.key), *due])
        blobs.add(key.id)
    return blobs


def _bury(store: RecordStore, catalog: Catalog, key: Key, now_ms: int) -> None:
    """The person becomes a tombstone, and in the same commit a job that takes the children along."""

    def attempt() -> None:
        stored = store.read([key]).documents.get(key)
        if stored is None or stored.fields.get(record.DELETED):
            return
        scope_id = stored.fields[record.SCOPE]
        fields = {
            record.DELETED: now_ms,
            record.KEPT: now_ms,
            record.HASH: record.content_hash(key.id, scope_id, None)[0],
        }
        store.commit(
            [
                record.server_patch(stored, fields),
                catalog.cascade(key.collection, key.id, scope_id, now_ms),
            ]
        )

    insist(attempt, _ATTEMPTS)


def _erased_before(store: RecordStore, key: Key) -> Iterator[Key]:
    """What was erased with the record at an earlier time: blanked records name no parent."""
    for entry in store.query(Query("audit")):
        ids = entry.fields["ids"]
        if entry.fields["action"] == "erase" and key.id in ids.get(key.collection, ()):
            yield from (Key(table, each) for table, several in ids.items() for each in several)


def _holds_data(document: Document) -> bool:
    return document.fields.get(record.KEPT) is not None


def _blank(store: RecordStore, catalog: Catalog, key: Key) -> int:
    purger = Purger(store, catalog, keep_days=0)
    for _ in range(_ATTEMPTS):
        document = store.read([key]).documents[key]
        if not _holds_data(document):
            return 0
        if purger.blank(document):
            return 1
    raise Contended("This record is being changed by others right now. Try again.")


def _forgotten_by_phones(
    store: RecordStore, named: Collection[Key], scopes: Collection[str]
) -> int:
    """The ledger of phones names what they could not deliver, by ids that may be none.

    It also names columns that are not known here, which may be anything; nobody can tell of whom. Those
    of the phones of these scopes go; a phone that has more of them says so with its next push.
    """
    ids, count = {key.id for key in named}, 0
    for phone in store.query(Query("devices", fields=("rejected", "unknown_columns", "scopes"))):
        rejected = phone.fields.get("rejected", [])
        left = [each for each in rejected if each["id"] not in ids]
        own = not set(scopes).isdisjoint(phone.fields.get("scopes", ()))
        if left != rejected or (own and phone.fields.get("unknown_columns")):
            forgotten = {"rejected": left, **({"unknown_columns": None} if own else {})}
            store.commit([patch(phone.key, forgotten, None)])
            count += 1
    return count


def _receipts(store: RecordStore, named: Collection[Key]) -> Iterator[Document]:
    """Receipts of pushes in which values of the records lost: they repeat the values for a week. Also
    those that say of what was refused: under which table and id, which may be names.

    Without its receipt a push that is sent again is decided anew, and finds everything in place.
    """
    ids = {key.id for key in named}
    for receipt in store.query(Query("receipts")):
        verdicts = search.opened(receipt.fields.get("verdicts")) or {}
        if any(Key(each["table"], each["id"]) in named for each in verdicts["conflicts"]) or any(
            each["id"] in ids for each in verdicts["rejected"]
        ):
            yield receipt


def _drop(store: RecordStore, found: Iterable[Document]) -> int:
    writes: list[Write] = [delete(document.key) for document in found]
    for at in range(0, len(writes), _A_COMMIT):
        store.commit(writes[at : at + _A_COMMIT])
    return len(writes)
