"""The part of `python -m infra.admin` that answers people who ask about their own data.

    export ID [--to FILE]    everything that is stored about a patient or a user, as one JSON file; a
                             patient's photos beside it, in a folder of the same name
    erase PATIENT            the data of a patient and of all that hangs on it is gone, at once. Also what
                             was refused under an id that is none ("asha n."), or, by its own id, an
                             entry of the inbox

An export is written to a file that only its maker may read, never printed. It holds no password hash,
and nothing that anybody could log in with.

Erasing deletes the record with its descendants as a phone would, then blanks them as the purge does,
without the wait. What is left are ids, so that a phone that comes back is told to drop the record. It
may be killed between any two steps and is repeated without harm; repeated later, it also removes what a
phone that came back has sent since. The audit trail keeps ids and who did what: that is its purpose.

Both read whole logs, since nobody searches them otherwise: on a large deployment that takes minutes.
What was refused is found by any id of the family that it names, whatever its table and its own id say.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from shared.access import audit
from shared.access.audit import OPERATOR
from shared.access.membership import Caller
from shared.errors import Contended, Fault
from shared.files.store import FileStore
from shared.records import record
from shared.records.collection import Catalog
from shared.records.store import Document, Key, Query, RecordStore, Write, delete, patch

Json = dict[str, Any]

#: The table that people are in.
_PEOPLE = "patients"

#: Logs with values of records, and where in an entry the values are (JSON text).
_LOGS: dict[str, tuple[str, ...]] = {
    "conflicts": ("yours", "theirs"),
    "quarantine": ("raw",),
    "readings": (),  # of a record that is there, or was
    "reviews": (),
    "notices": (),
}

#: What of an account, of a session and of a phone's entry is given out. The rest are hashes.
_ACCOUNT = ("email", "name", "created_at")
_SESSION = ("device", "began_at", "expires_at", "ended")

#: Attempts at one record while others write it, and rounds of the whole.
_ATTEMPTS = 20

_A_COMMIT = 200


def add_commands(commands: Any) -> None:
    """Add our commands to the parser of `infra.admin`."""
    export = commands.add_parser("export", help="all that is stored about a patient or user")
    export.add_argument("id")
    export.add_argument("--to", type=Path, help="the file; else export-ID.json")
    erase = commands.add_parser("erase", help="remove a patient's data, and all that hangs on it")
    erase.add_argument("id")


def run(chosen: argparse.Namespace) -> str | None:
    """Run one of our commands and say what was done; None if it is none of ours."""
    from shared import wiring
    from shared.jobs import cascade

    if chosen.command not in ("export", "erase"):
        return None
    if chosen.command == "export" and not record.valid_id(chosen.id):
        raise Fault("An id is 1 to 128 of A-Z a-z 0-9 _ -.", code="invalid_request")
    store, catalog, now_ms = wiring.store(), wiring.catalog(), wiring.clock_ms()
    if chosen.command == "export":
        found = export(store, catalog, chosen.id, now_ms, wiring.operator())
        if not found:
            return f"nothing is stored about {chosen.id}"
        file = chosen.to or Path(f"export-{chosen.id}.json")
        _write(file, found)
        photos = _photos(store, wiring.files, found.get("files", ()), file.with_suffix(""))
        return f"{file}: {', '.join(found)}" + (f"; {photos} photos" if photos else "")

    def follow() -> None:
        wiring.runner().answer(cascade.KIND, None, 120.0)

    told = erase(
        store, catalog, chosen.id, now_ms, follow, wiring.cleaner().drop, wiring.operator()
    )
    counts = ", ".join(f"{number} {name}" for name, number in told.items() if number)
    return f"erased {chosen.id}: {counts}" if counts else f"nothing is stored about {chosen.id}"


def _write(file: Path, found: Json) -> None:
    handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(handle, "w", encoding="utf-8") as out:
        os.fchmod(out.fileno(), 0o600)  # also if the file was there
        json.dump(found, out, indent=2, ensure_ascii=False)
        out.write("\n")


def _photos(
    store: RecordStore, files: Callable[[], FileStore], shown: Iterable[Json], folder: Path
) -> int:
    """Copy the originals of these files into a folder that only its maker may read; how many."""
    from shared.files.file import BLOBS, READY, original_name

    count = 0
    for each in shown:
        key = Key(BLOBS, each["blob"])
        blob = store.read([key]).documents.get(key)
        if blob is None or blob.fields["state"] != READY:
            continue
        folder.mkdir(mode=0o700, exist_ok=True)
        ending = each["type"].partition("/")[2]
        handle = os.open(
            folder / f"{each['id']}.{ending}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600
        )
        with os.fdopen(handle, "wb") as out:
            for block in files().read(original_name(blob)):
                out.write(block)
        count += 1
    return count


# --- giving out


def export(
    store: RecordStore, catalog: Catalog, named: str, now_ms: int, by: Caller = OPERATOR
) -> Json:
    """All that is stored about a patient and about a user of that id; nothing if there is neither.

    The reading is itself noted in the audit trail. Times are Unix ms.
    """
    found: Json = {}
    records = _family(store, catalog, named)
    if about := _patient(store, catalog, {Key(_PEOPLE, named), *records}, records):
        found |= about
        _note(store, by, "export", _scopes(records, _logged(store, catalog, records)), now_ms)
    if about := _user(store, catalog, named):
        found["user"] = about
        store.commit([audit.right(by, "export", now_ms, of=named)])
    if found:
        found["exported_at"] = now_ms
    return found


def _patient(
    store: RecordStore, catalog: Catalog, named: Collection[Key], records: Mapping[Key, Document]
) -> Json:
    """All about these records; nothing if there are none, and nothing was refused."""
    tables: Json = {}
    for key, document in records.items():
        tables.setdefault(key.collection, []).append({"id": key.id, **_plain(document.fields)})
    logs = {
        name: [_plain(entry.fields) for entry in _mentions(store, catalog, name, named)]
        for name in _LOGS
    }
    if not records and not any(logs.values()):
        return {}
    jobs = [_plain(job.fields) for job in _jobs(store, named)]
    trail = [
        {"id": entry.key.id, **_plain(entry.fields)}
        for entry in store.query(Query("audit"))
        if any(key.id in entry.fields["ids"].get(key.collection, ()) for key in records)
    ]
    files = [{"id": each.key.id, **_plain(each.fields)} for each in _files(store, records)]
    return {"records": tables, **logs, "jobs": jobs, "files": files, "audit": trail}


def _user(store: RecordStore, catalog: Catalog, user_id: str) -> Json:
    places = {name: Key(name, user_id) for name in ("accounts", "memberships")}
    known = store.read(list(places.values())).documents
    account, held = (known.get(place) for place in places.values())
    devices = [
        _plain(entry.fields)
        for entry in store.query(Query("devices"))
        if entry.fields["user_id"] == user_id
    ]
    if account is None and held is None and not devices:
        return {}
    return {
        "id": user_id,
        "account": {} if account is None else _only(account.fields, _ACCOUNT),
        "memberships": {} if held is None else _plain(held.fields),
        "sessions": [
            _only(entry.fields, _SESSION)
            for entry in store.query(Query("sessions"))
            if entry.fields["user_id"] == user_id
        ],
        "devices": devices,
        "wrote": {
            item.name: [
                each.key.id
                for each in store.query(Query(item.name, fields=(record.AUTHOR, "chw_id")))
                if user_id in (each.fields.get(record.AUTHOR), each.fields.get("chw_id"))
            ]
            for item in catalog.collections
        },
        "audit": [
            {"id": entry.key.id, **_plain(entry.fields)}
            for entry in store.query(Query("audit"))
            if user_id in (entry.fields["user_id"], *entry.fields["ids"].get("accounts", ()))
        ],
    }


def _files(store: RecordStore, records: Iterable[Key]) -> Iterator[Document]:
    """The files of records."""
    for key in records:
        for each in store.query(Query("files", where=(("record_id", "==", key.id),))):
            if each.fields.get("table") == key.collection:
                yield each


def _only(fields: Mapping[str, Any], names: Iterable[str]) -> Json:
    return {name: fields[name] for name in names if fields.get(name) is not None}


def _plain(fields: Mapping[str, Any]) -> Json:
    """Fields as a person can read them: bookkeeping left out, JSON texts opened."""
    return {name: _opened(value) for name, value in fields.items() if not name.startswith("_")}


def _opened(value: Any) -> Any:
    if isinstance(value, str) and value[:1] in ("{", "["):
        try:
            return json.loads(value)
        except ValueError:
            return value
    return value


# --- erasing


def erase(
    store: RecordStore,
    catalog: Catalog,
    patient: str,
    now_ms: int,
    follow: Callable[[], object],
    drop_blobs: Callable[[Iterable[str]], int] = lambda _blobs: 0,
    by: Caller = OPERATOR,
) -> dict[str, int]:
    """Remove the data of a patient and of all that hangs on it; how much was removed, by kind.

    `patient` may also be an id that is none, under which something was refused, or the id of an entry
    of the quarantine.

    `follow` runs the jobs that delete children; `drop_blobs` removes those bytes of photos that no
    other record shows. Raises `Contended` when others keep writing the same records: call again.
    """
    key = Key(_PEOPLE, patient)
    if record.valid_id(patient):
        _bury(store, catalog, key, now_ms)
        follow()
    records = _family(store, catalog, patient)
    living = [each.key.id for each in records.values() if not each.fields.get(record.DELETED)]
    if living:
        raise Contended(f"{len(living)} records still wait to be deleted. Call again.")
    # Logs first, and parents last: whoever begins again finds the children by them.
    named = {key, *records, *_erased_before(store, key)}
    logged = list(_logged(store, catalog, named))
    seen = _scopes(records, logged)
    told = {"log entries": _drop(store, logged)}
    told["receipts"] = _drop(store, _receipts(store, named))
    told["jobs"] = _drop(store, _jobs(store, named))
    told["phones"] = _forgotten_by_phones(store, named, seen)
    blobs = _let_go(store, list(_files(store, named)), now_ms)
    told["files"] = drop_blobs(blobs)
    told["records"] = sum(
        _blank(store, catalog, each)
        for each in reversed(list(records))
        if _holds_data(records[each])
    )
    if any(told.values()):
        _note(store, by, "erase", seen, now_ms)
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
    """The patient becomes a tombstone, and in the same commit a job that takes the children along."""
    for _ in range(_ATTEMPTS):
        stored = store.read([key]).documents.get(key)
        if stored is None or stored.fields.get(record.DELETED):
            return
        scope_id = stored.fields[record.SCOPE]
        fields = {
            record.DELETED: now_ms,
            record.KEPT: now_ms,
            record.HASH: record.content_hash(key.id, scope_id, None)[0],
        }
        try:
            store.commit(
                [
                    record.server_patch(stored, fields),
                    catalog.cascade(key.collection, key.id, scope_id, now_ms),
                ]
            )
        except Contended:
            continue
        return
    raise Contended("This record is being changed by others right now. Try again.")


def _family(store: RecordStore, catalog: Catalog, patient: str) -> dict[Key, Document]:
    """The patient and everything below it, parents first."""
    if not record.valid_id(patient):
        return {}
    key = Key(_PEOPLE, patient)
    found = dict(store.read([key]).documents)
    waiting = [*found]
    while waiting:
        parent = waiting.pop(0)
        for collection, field in catalog.children(parent.collection):
            for child in store.query(Query(collection.name, where=((field, "==", parent.id),))):
                if child.key not in found:
                    found[child.key] = child
                    waiting.append(child.key)
    return found


def _erased_before(store: RecordStore, key: Key) -> Iterator[Key]:
    """What was erased with the record at an earlier time: blanked records name no parent."""
    for entry in store.query(Query("audit")):
        ids = entry.fields["ids"]
        if entry.fields["action"] == "erase" and key.id in ids.get(key.collection, ()):
            yield from (Key(table, each) for table, several in ids.items() for each in several)


def _holds_data(document: Document) -> bool:
    return document.fields.get(record.KEPT) is not None


def _blank(store: RecordStore, catalog: Catalog, key: Key) -> int:
    from shared.sync.retention import Purger

    purger = Purger(store, catalog, keep_days=0)
    for _ in range(_ATTEMPTS):
        document = store.read([key]).documents[key]
        if not _holds_data(document):
            return 0
        if purger.blank(document):
            return 1
    raise Contended("This record is being changed by others right now. Try again.")


def _logged(store: RecordStore, catalog: Catalog, named: Collection[Key]) -> Iterator[Document]:
    for name in _LOGS:
        yield from _mentions(store, catalog, name, named)


def _mentions(
    store: RecordStore, catalog: Catalog, log: str, named: Collection[Key]
) -> Iterator[Document]:
    """Entries of a log that are about one of the records, or that name one in what they hold."""
    ids = {key.id for key in named}
    for entry in store.query(Query(log)):
        have = entry.fields
        table, about = str(have.get("table")), str(have.get("record_id", have.get("case_id")))
        if table in catalog.by_name:
            # An id is one of its table. What names another record in other columns hangs on it.
            meant = Key(table, about) in named
            texts = [_without_id(_opened(have.get(name))) for name in _LOGS[log]]
        else:
            meant = about in ids or entry.key.id in ids
            texts = [_opened(have.get(name)) for name in _LOGS[log]]
        if meant or entry.key.id in ids or any(_names(text, ids) for text in texts):
            yield entry


def _without_id(said: Any) -> Any:
    return {k: v for k, v in said.items() if k != "id"} if isinstance(said, dict) else said


def _names(said: Any, ids: Collection[str]) -> bool:
    """Whether a value, or any inside it, is one of the ids; text that is no JSON may quote one."""
    waiting = [said]
    while waiting:
        each = waiting.pop()
        if isinstance(each, dict):
            waiting += each.values()
        elif isinstance(each, list):
            waiting += each
        elif isinstance(each, str):
            if each in ids:
                return True
            try:
                waiting.append(json.loads(each) if each[:1] in ("{", "[", '"') else None)
            except (ValueError, RecursionError):
                if any(json.dumps(name) in each for name in ids):
                    return True
    return False


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
        verdicts = _opened(receipt.fields.get("verdicts")) or {}
        if any(Key(each["table"], each["id"]) in named for each in verdicts["conflicts"]) or any(
            each["id"] in ids for each in verdicts["rejected"]
        ):
            yield receipt


def _jobs(store: RecordStore, named: Collection[Key]) -> Iterator[Document]:
    """Jobs about the records: the name of one holds a hash of what the model looked at."""
    for job in store.query(Query("jobs", fields=("table", "subject_id"))):
        if Key(str(job.fields.get("table")), str(job.fields.get("subject_id"))) in named:
            yield job


def _drop(store: RecordStore, found: Iterable[Document]) -> int:
    writes: list[Write] = [delete(document.key) for document in found]
    for at in range(0, len(writes), _A_COMMIT):
        store.commit(writes[at : at + _A_COMMIT])
    return len(writes)


def _scopes(
    records: Mapping[Key, Document], logged: Iterable[Document]
) -> dict[str, dict[str, list[str]]]:
    """Scope → table → ids, of records and of what was refused: that one by its entry's own id."""
    seen: dict[str, dict[str, list[str]]] = {}
    refused = [entry for entry in logged if entry.key.collection == "quarantine"]
    for document in (*records.values(), *refused):
        scope_id = str(document.fields.get(record.SCOPE) or audit.DEPLOYMENT)
        tables = seen.setdefault(scope_id, {})
        tables.setdefault(document.key.collection, []).append(document.key.id)
    return seen


def _note(
    store: RecordStore,
    by: Caller,
    action: str,
    seen: Mapping[str, Mapping[str, list[str]]],
    now_ms: int,
) -> None:
    """Who did what to which records, by scope; ids alone."""
    for scope_id, touched in seen.items():
        store.commit(audit.entries(by, action, scope_id, touched, now_ms))
