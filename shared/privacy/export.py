"""Everything that is stored about a person or a user, for people who ask for their own data.

It holds no password hash, and nothing that anybody could log in with.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Any

from shared.access import audit
from shared.access.audit import OPERATOR
from shared.access.membership import Caller
from shared.privacy import search
from shared.records import record
from shared.records.collection import Catalog
from shared.records.store import Document, Key, Query, RecordStore

Json = dict[str, Any]

#: What of an account, of a session and of a phone's entry is given out. The rest are hashes.
_ACCOUNT = ("email", "name", "phone", "created_at")
_SESSION = ("device", "began_at", "ends_at", "expires_at", "ended")
_PASSKEY = ("name", "added_at", "used_at")


def export(
    store: RecordStore, catalog: Catalog, named: str, now_ms: int, by: Caller = OPERATOR
) -> Json:
    """All that is stored about a person and about a user of that id; nothing if there is neither.

    The reading is itself noted in the audit trail. Times are Unix ms.
    """
    found: Json = {}
    records = search.family(store, catalog, named)
    if about := _person(store, catalog, {search.person(catalog, named), *records}, records):
        found |= about
        search.note(
            store,
            by,
            "export",
            search.by_scope(records, search.entries_about(store, catalog, records)),
            now_ms,
        )
    if about := _user(store, catalog, named):
        found["user"] = about
        store.commit([audit.right(by, "export", now_ms, of=named)])
    if found:
        found["exported_at"] = now_ms
    return found


def _person(
    store: RecordStore, catalog: Catalog, named: Collection[Key], records: Mapping[Key, Document]
) -> Json:
    """All about these records; nothing if there are none, and nothing was refused."""
    tables: Json = {}
    for key, document in records.items():
        tables.setdefault(key.collection, []).append({"id": key.id, **_plain(document.fields)})
    logs = {
        name: [_plain(entry.fields) for entry in search.mentions(store, catalog, name, named)]
        for name in search.LOGS
    }
    if not records and not any(logs.values()):
        return {}
    jobs = [_plain(job.fields) for job in search.jobs_about(store, named)]
    trail = [
        {"id": entry.key.id, **_plain(entry.fields)}
        for entry in store.query(Query("audit"))
        if any(key.id in entry.fields["ids"].get(key.collection, ()) for key in records)
    ]
    files = [{"id": each.key.id, **_plain(each.fields)} for each in search.files_of(store, records)]
    return {"records": tables, **logs, "jobs": jobs, "files": files, "audit": trail}


def _user(store: RecordStore, catalog: Catalog, user_id: str) -> Json:
    places = {name: Key(name, user_id) for name in ("accounts", "memberships", *catalog.of_users)}
    known = store.read(list(places.values())).documents
    account, held = known.get(places["accounts"]), known.get(places["memberships"])
    theirs = {name: known[places[name]] for name in catalog.of_users if places[name] in known}
    devices = [
        _plain(entry.fields)
        for entry in store.query(Query("devices"))
        if entry.fields["user_id"] == user_id
    ]
    if account is None and held is None and not devices:
        return {}
    writers = (record.AUTHOR, *([catalog.maker] if catalog.maker else ()))
    return {
        "id": user_id,
        "account": {} if account is None else _only(account.fields, _ACCOUNT),
        "passkeys": [
            _only(each, _PASSKEY)
            for each in (() if account is None else account.fields.get("passkeys") or ())
        ],
        "memberships": {} if held is None else _plain(held.fields),
        "sessions": [
            _only(entry.fields, _SESSION)
            for entry in store.query(Query("sessions"))
            if entry.fields["user_id"] == user_id
        ],
        "devices": devices,
        **{name: _plain(each.fields) for name, each in theirs.items()},
        "wrote": {
            item.name: [
                each.key.id
                for each in store.query(Query(item.name, fields=writers))
                if user_id in map(each.fields.get, writers)
            ]
            for item in catalog.collections
        },
        "audit": [
            {"id": entry.key.id, **_plain(entry.fields)}
            for entry in store.query(Query("audit"))
            if user_id in (entry.fields["user_id"], *entry.fields["ids"].get("accounts", ()))
        ],
    }


def _only(fields: Mapping[str, Any], names: Iterable[str]) -> Json:
    return {name: fields[name] for name in names if fields.get(name) is not None}


def _plain(fields: Mapping[str, Any]) -> Json:
    """Fields as a person can read them: bookkeeping left out, JSON texts opened."""
    return {
        name: search.opened(value) for name, value in fields.items() if not name.startswith("_")
    }
