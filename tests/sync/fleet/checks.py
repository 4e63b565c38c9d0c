"""The auditor: after silence, looks at phones, answers and store from outside.

(a) The rows of every phone are what its user may see: the same ids in every table, and the same
    values in the columns that phones own, as a new installation gets in the batch dialect, page by
    page, and in the WatermelonDB dialect. Deleted records are nowhere.
(b) No acknowledged value is lost. A value is a mark (see `ledger`). Acknowledged is a mark in a record
    that the phone saw in `accepted`, or in a WatermelonDB push that was answered 2xx without naming
    the record in `experimentalRejectedIds`. It must be
      - in the stored record (a tombstone keeps its data), or
      - in the conflict log or in quarantine, or
      - superseded: there is a chain of marks, each written over the one before by a phone that showed
        it (`before`) or had merged over it (`laid_over`), to one that is in the stored record or was
        (it stands in the conflict log as overwritten, or as the overwriting one).
    So a value that lost the conflict it was in does not excuse the loss of the one it was based on.
    An acknowledged deletion must be a tombstone, or stand in the conflict log as lost or in the inbox
    of those who care for the record by now, or be of a
    record that the server does not know, or that its user may not see, or could not then: such a
    deletion is accepted without effect.
(c) No row twice in one answer, no row of a team that the user is not in: the phones look at every
    answer; here again at what they hold.
(d) No edit vanishes: what was not acknowledged waits unsent on its phone, or was refused with a code,
    or was written over by its own user, or is accounted for as in (b). A WatermelonDB phone drops
    unsent edits of a record whose deletion it pulls; then the record must be gone for its user, or
    have been so then (a team was lost and won again).
(e) Every case that was accepted and stored as red has a job of kind `analyse`.

Each check is a function of plain values, so that tests can plant what it must find.
"""

from __future__ import annotations

import http.client
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from shared.sync.store import Key as StoreKey
from shared.sync.store import Query, RecordStore
from tests.sync.fleet.ledger import CLIENT_COLUMNS, Key, Ledger, marks_in, plain
from tests.sync.fleet.phones import TABLES, Phone
from tests.sync.fleet.server import Server

Json = dict[str, Any]
Content = dict[Key, tuple[tuple[str, Any], ...]]

#: Rows of a page of the auditor's own pull.
_PAGE_ROWS = 7

#: Syncs after the auditor's first one in which the server's own writes may come.
_MOST_FOLLOWING = 20

_FINAL = ("done", "failed", "parked", "stale")


def content(rows: Mapping[Key, Json]) -> Content:
    """Of each row what (a) compares: the phones' own columns and the team, free of dialect."""
    return {
        key: tuple(
            (name, json.dumps(plain(row.get(name)), sort_keys=True))
            for name in (*CLIENT_COLUMNS.get(key.table, ()), "scope_id")
        )
        for key, row in rows.items()
    }


@dataclass
class Evidence:
    """What the store says at the end, as far as the checks need it."""

    stored: dict[Key, Json] = field(default_factory=dict)
    current: dict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))
    #: marks that were stored once, by record: overwritten, or overwriting
    once: dict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))
    #: marks in the conflict log or in quarantine, by record
    kept: dict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))
    lost_deletions: set[Key] = field(default_factory=set)
    jobs: set[str] = field(default_factory=set)  #: cases with a job of kind analyse

    def stored_ever(self, key: Key) -> set[str]:
        return self.current[key] | self.once[key]


def gather(store: RecordStore, ledger: Ledger, members: Mapping[str, set[str]]) -> Evidence:
    """Read records, conflict log, quarantine and jobs."""
    found = Evidence()
    keys = {mark.key for mark in ledger.marks.values()} | {item.key for item in ledger.deletions}
    for document in store.read([StoreKey(*key) for key in sorted(keys)]).documents.values():
        key = Key(*document.key)
        found.stored[key] = document.fields
        found.current[key] = marks_in(_own(key.table, document.fields))
    for document in store.query(Query("conflicts")):
        if Key(document.fields["table"], document.fields["record_id"]) in keys:
            _take_conflict(found, document.fields)
    for user in sorted(members):
        for document in store.query(Query("quarantine", where=(("author_id", "==", user),))):
            key = Key(document.fields["table"], document.fields["record_id"])
            found.kept[key] |= marks_in(document.fields["raw"])
            if document.fields.get("late"):  # of a record that had moved on: its people were told
                found.lost_deletions.add(key)
    for case in sorted(ledger.red):
        query = Query("jobs", where=(("subject_id", "==", case.id),))
        if any(document.fields["kind"] == "analyse" for document in store.query(query)):
            found.jobs.add(case.id)
    return found


def _own(table: str, fields: Json) -> Json:
    return {name: fields.get(name) for name in CLIENT_COLUMNS.get(table, ())}


def _take_conflict(found: Evidence, fields: Json) -> None:
    key = Key(fields["table"], fields["record_id"])
    yours, theirs = marks_in(fields["yours"]), marks_in(fields["theirs"])
    found.kept[key] |= yours | theirs
    found.once[key] |= theirs
    if fields["winner"] == "client":
        found.once[key] |= yours
    if json.loads(fields["yours"]).get("deleted_at"):
        found.lost_deletions.add(key)


# --- the checks


def check_views(phone: Phone, view: Mapping[Key, Json], name: str, ledger: Ledger) -> None:
    """(a) against the view of a new installation."""
    held, wanted = content(phone.rows()), content(view)
    kept = phone.unsent().keys()
    for key in sorted(held.keys() - wanted.keys() - kept):
        ledger.violated(
            key, f"{phone.name} holds {key}, a new {name} phone of {phone.user} does not"
        )
    for key in sorted(wanted.keys() - held.keys() - phone.refused().keys()):
        ledger.violated(key, f"{phone.name} lacks {key}, a new {name} phone of {phone.user} has it")
    for key in sorted(held.keys() & wanted.keys()):
        if held[key] != wanted[key]:
            mine, theirs = dict(held[key]), dict(wanted[key])
            other = {column: (mine[column], theirs[column]) for column in mine}
            told = {column: both for column, both in other.items() if both[0] != both[1]}
            ledger.violated(key, f"{phone.name} holds {key} unlike a new {name} phone: {told}")


def check_values(ledger: Ledger, found: Evidence) -> None:
    """(b) for every acknowledged value."""
    heirs = heirs_of(ledger)
    for mark in ledger.marks.values():
        if mark.accepted and not accounted(mark.tag, mark.key, heirs, found):
            ledger.violated(
                mark.key,
                f"{mark.tag} of {mark.key}.{mark.column} was acknowledged to {mark.phone} and is lost"
                f" (stored now: {' '.join(sorted(found.current[mark.key])) or 'nothing'})",
            )


def heirs_of(ledger: Ledger) -> dict[str, set[str]]:
    """Of each mark those that were written over it, directly, by somebody who had seen it."""
    heirs: dict[str, set[str]] = defaultdict(set)
    for mark in ledger.marks.values():
        for tag in mark.before | mark.laid_over:
            heirs[tag].add(mark.tag)
    return heirs


def accounted(tag: str, key: Key, heirs: Mapping[str, set[str]], found: Evidence) -> bool:
    """Whether a value is there, kept, or superseded by one that was stored."""
    if tag in found.current[key] or tag in found.kept[key]:
        return True
    stored = found.stored_ever(key)
    waiting, seen = list(heirs.get(tag, ())), {tag}
    while waiting:
        heir = waiting.pop()
        if heir in stored:
            return True
        if heir not in seen:
            seen.add(heir)
            waiting += heirs.get(heir, ())
    return False


def check_deletions(ledger: Ledger, found: Evidence, views: Mapping[str, Iterable[Key]]) -> None:
    """(b) for every acknowledged deletion, (d) for the others. `views`: what each phone may see."""
    for item in ledger.deletions:
        fields = found.stored.get(item.key)
        gone = fields is None or fields.get("deleted_at") is not None
        unseen = item.void or item.key not in views[item.phone]
        if item.accepted and not (gone or unseen or item.key in found.lost_deletions):
            ledger.violated(
                item.key, f"{item.phone}'s deletion of {item.key} was acknowledged, lost"
            )


def check_unacknowledged(phones: Sequence[Phone], ledger: Ledger, found: Evidence) -> None:
    """(d) for every edit that was not acknowledged."""
    heirs = heirs_of(ledger)
    by_name = {phone.name: phone for phone in phones}
    unsent = {name: _marks(phone.unsent()) for name, phone in by_name.items()}
    deleted = {(item.phone, item.key) for item in ledger.deletions}
    for mark in ledger.marks.values():
        if mark.accepted or mark.refused is not None or mark.tag in unsent[mark.phone]:
            continue
        if (mark.phone, mark.key) in deleted or accounted(mark.tag, mark.key, heirs, found):
            continue
        if any(ledger.marks[tag].phone == mark.phone for tag in heirs.get(mark.tag, ())):
            continue
        if mark.dropped and (mark.rightly or mark.key not in by_name[mark.phone].rows()):
            continue
        ledger.violated(
            mark.key, f"{mark.tag} of {mark.key} was never acknowledged and has vanished"
        )


def _marks(rows: Mapping[Key, Any]) -> set[str]:
    return {tag for row in rows.values() for tag in marks_in(row)}


def check_scopes(phone: Phone, scopes: set[str], ledger: Ledger) -> None:
    """(c) for what a phone holds."""
    for key, row in phone.rows().items():
        if row.get("scope_id") not in scopes:
            scope = row.get("scope_id")
            ledger.violated(key, f"{phone.name} holds {key} of {scope}: not a team of {phone.user}")


def check_jobs(ledger: Ledger, found: Evidence) -> None:
    """(e)"""
    for key, name in ledger.red.items():
        if key.id not in found.jobs:
            ledger.violated(key, f"red {key} was accepted from {name} and has no job")


# --- looking


def unfinished_cascades(store: RecordStore, teams: Iterable[str]) -> bool:
    """Whether a deletion has still to reach children."""
    for team in teams:
        query = Query("jobs", where=(("scope_id", "==", team),))
        for document in store.query(query):
            fields = document.fields
            if fields["kind"] != "analyse" and fields["state"] not in _FINAL:
                return True
    return False


def audit(
    phones: Sequence[Phone], ledger: Ledger, server: Server, members: Mapping[str, set[str]]
) -> None:
    """All checks; what is wrong goes into the ledger."""
    views: dict[str, set[Key]] = {}
    for phone in phones:
        pull = Pulls(server, phone)
        for name, view in (("batch", pull.batch()), ("watermelon", pull.watermelon())):
            check_views(phone, view, name, ledger)
            views[phone.name] = set(view)
        check_scopes(phone, members[phone.user], ledger)
    found = gather(server.store, ledger, members)
    for key, fields in found.stored.items():
        holders = [name for name, view in views.items() if key in view]
        if fields.get("deleted_at") is not None and holders:
            ledger.violated(key, f"{key} is deleted and still sent to {holders[0]}")
    check_values(ledger, found)
    check_deletions(ledger, found, views)
    check_unacknowledged(phones, ledger, found)
    check_jobs(ledger, found)
    heirs = heirs_of(ledger)
    for mark in ledger.marks.values():
        ledger.count("acknowledged", int(mark.accepted))
        only_merged = mark.accepted and not accounted(
            mark.tag, mark.key, _without_merges(ledger), found
        )
        ledger.count("superseded by a merge only", int(only_merged and mark.tag in heirs))


def _without_merges(ledger: Ledger) -> dict[str, set[str]]:
    heirs: dict[str, set[str]] = defaultdict(set)
    for mark in ledger.marks.values():
        for tag in mark.before:
            heirs[tag].add(mark.tag)
    return heirs


class Pulls:
    """A new installation of a phone's user, straight to the server."""

    def __init__(self, server: Server, phone: Phone) -> None:
        self._server, self._phone = server, phone

    def batch(self) -> dict[Key, Json]:
        """All pages, then what changed while they were read, until nothing does."""
        view: dict[Key, Json] = {}
        answer = self._pages(view, 0)
        for _ in range(_MOST_FOLLOWING):
            deleted = answer["deleted"].items()
            if not any(answer["server_updates"].values()) and not any(ids for _, ids in deleted):
                break
            answer = self._pages(view, answer["new_sync_timestamp"])
        return view

    def _pages(self, view: dict[Key, Json], cursor: float) -> Json:
        """Take over one sync; its last answer, with all rows and deletions of the sync."""
        body: Json = {"last_sync_timestamp": cursor, "device_id": "auditor", "limit": _PAGE_ROWS}
        updates: dict[str, list[Json]] = {}
        deleted: dict[str, list[str]] = {}
        while True:
            answer = self._ask("POST", "/api/sync", json.dumps(body).encode())
            for table, rows in answer["server_updates"].items():
                self._add(view, table, rows, once=cursor == 0)
                updates.setdefault(table, []).extend(rows)
            for table, ids in answer["deleted"].items():
                for record_id in ids:
                    view.pop(Key(table, record_id), None)
                deleted.setdefault(table, []).extend(ids)
            if cursor == 0 and any(deleted.values()):
                self._phone.ledger.violated(None, "a first sync brought deletions")
            if not answer["has_more"]:
                return {**answer, "server_updates": updates, "deleted": deleted}
            body = {"page": answer["next_page"], "device_id": "auditor", "limit": _PAGE_ROWS}

    def watermelon(self) -> dict[Key, Json]:
        """The first pull, then what changed while it was read, until nothing does."""
        view: dict[Key, Json] = {}
        since = "null"
        for _ in range(_MOST_FOLLOWING):
            path = f"/api/v1/sync?last_pulled_at={since}&device_id=auditor"
            answer = self._ask("GET", f"{path}&schema_version=1&migration=null", None)
            changed = False
            for table, sets in answer["changes"].items():
                if sets["created" if since != "null" else "updated"]:
                    self._phone.ledger.violated(None, f"a pull since {since} mixed up {table}")
                self._add(view, table, sets["created"])
                self._add(view, table, sets["updated"], once=False)
                for record_id in sets["deleted"]:
                    view.pop(Key(table, record_id), None)
                changed |= bool(sets["updated"] or sets["deleted"])
            if since != "null" and not changed:
                break
            since = str(answer["timestamp"])
        return view

    def _add(
        self, view: dict[Key, Json], table: str, rows: Iterable[Json], *, once: bool = True
    ) -> None:
        for row in rows:
            key = Key(table, row["id"])
            if once and key in view:
                self._phone.ledger.violated(key, f"a first sync brought {key} twice")
            if table not in TABLES:
                self._phone.ledger.violated(key, f"a first sync brought the unknown table {table}")
            view[key] = row

    def _ask(self, method: str, path: str, body: bytes | None) -> Json:
        host, port = self._server.address
        connection = http.client.HTTPConnection(host, port, timeout=60)
        try:
            headers = {"Authorization": f"Bearer {self._phone.token}"}
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            value: Json = json.loads(response.read())
        finally:
            connection.close()
        if response.status != 200:
            raise AssertionError(f"the auditor's pull: {response.status} {value}")
        return value
