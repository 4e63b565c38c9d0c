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
    An undo supersedes what it was written over, and must not be undone itself by a value that came
    before it. A mark stands in the column that it was written into, and nowhere else.
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
(f) An edit of one column never undoes an edit of another one: what overwrote a value unseen, as the
    conflict log says, was written into that column on that device, and not before the value that it
    overwrote was written over it.
(g) Seen beats clocks: nothing that lost by its time was written over the value that it lost to, on
    the device that sent it, if that could say so (its cursor or the row's version). Left out are
    devices whose clock was set, or which were set back, where both values are their own: there only
    their own clock can tell which one is later. Nor does (f) ask for the edits of such a device: what
    its other life has written over is an edit to this one.
(h) `risk_level` only grows between those who do not know of each other. A colour that was acknowledged
    and is above the stored one was lowered by somebody who may have seen it, or is named. One that was
    lowered by somebody who saw all that there was does not come back. No colour loses to a lower one
    by its time; but a WatermelonDB phone lays its own over what it pulls, and a set clock may turn
    round two choices of one device.

Each check is a function of plain values, so that tests can plant what it must find.
"""

from __future__ import annotations

import http.client
import json
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from shared.records.store import Key as StoreKey
from shared.records.store import Query, RecordStore
from tests.dermadetect.fleet.ledger import CLIENT_COLUMNS, Key, Ledger, Mark, Shade, marks_in, plain
from tests.dermadetect.fleet.phones import TABLES, Phone
from tests.dermadetect.fleet.server import Server
from tests.patience import PATIENCE_SECONDS

Json = dict[str, Any]
Content = dict[Key, tuple[tuple[str, Any], ...]]

#: Rows of a page of the auditor's own pull.
_PAGE_ROWS = 7

#: Syncs after the auditor's first one in which the server's own writes may come.
_MOST_FOLLOWING = 20

#: What `risk_level` may be, from the least urgent.
COLOURS = ("green", "yellow", "red")

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


class Clash(NamedTuple):
    """An entry of the conflict log. `yours` and `theirs` are columns."""

    key: Key
    winner: str
    reason: str
    device: str
    yours: Json
    theirs: Json


@dataclass
class Evidence:
    """What the store says at the end, as far as the checks need it."""

    stored: dict[Key, Json] = field(default_factory=dict)
    current: dict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))
    #: marks that were stored once, by record: overwritten, or overwriting
    once: dict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))
    #: marks in the conflict log or in quarantine, by record
    kept: dict[Key, set[str]] = field(default_factory=lambda: defaultdict(set))
    columns: dict[tuple[Key, str], set[str]] = field(default_factory=lambda: defaultdict(set))
    clashes: list[Clash] = field(default_factory=list)
    colours: dict[Key, set[str]] = field(
        default_factory=lambda: defaultdict(set)
    )  #: named, by record
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
        for column, value in _own(key.table, document.fields).items():
            found.columns[key, column] = marks_in(value)
            found.current[key] |= marks_in(value)
    for document in store.query(Query("conflicts")):
        if Key(document.fields["table"], document.fields["record_id"]) in keys:
            _take_conflict(found, document.fields)
    for user in sorted(members):
        for document in store.query(Query("quarantine", where=(("author_id", "==", user),))):
            key = Key(document.fields["table"], document.fields["record_id"])
            raw = document.fields["raw"]
            found.kept[key] |= marks_in(raw)
            found.colours[key] |= {colour for colour in COLOURS if f'"{colour}"' in raw}
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
    sides = json.loads(fields["yours"]), json.loads(fields["theirs"])
    found.clashes.append(Clash(key, fields["winner"], fields["reason"], fields["device"], *sides))
    found.colours[key] |= {str(side.get("risk_level")) for side in sides}
    yours, theirs = (marks_in(side) for side in sides)
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
    for undo in ledger.undos:
        for tag in undo.before - undo.after:
            heirs[tag] |= undo.after
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


def check_columns(ledger: Ledger, found: Evidence) -> None:
    """(b) each mark in its own column, (f) and (g) of the conflict log."""
    for (key, column), tags in found.columns.items():
        for tag in tags & ledger.marks.keys():
            mark = ledger.marks[tag]
            if (mark.key, mark.column) != (key, column):
                ledger.violated(key, f"{tag} of {mark.key}.{mark.column} stands in {key}.{column}")
    for clash in found.clashes:
        for column in clash.yours.keys() & clash.theirs.keys():
            yours, theirs = marks_in(clash.yours[column]), marks_in(clash.theirs[column])
            over = theirs - yours
            if over and clash.winner == "client" and clash.reason == "unseen_overwrite":
                _check_overwritten(ledger, clash, column, yours, over)
            if over and clash.winner == "server" and clash.reason in ("older", "equal"):
                _check_lost(ledger, clash, column, yours, over)


def _check_overwritten(
    ledger: Ledger, clash: Clash, column: str, yours: set[str], over: set[str]
) -> None:
    """(f)"""
    undone = {
        tag
        for undo in ledger.undos
        if (undo.key, undo.column) == (clash.key, column)
        and ledger.devices.get(undo.phone) == clash.device
        for tag in undo.after
    }
    own = {tag for tag in yours if _device(ledger, tag) == clash.device}
    if clash.device in ledger.copied:
        return  # the twin's whole row may look like an undo of what this device wrote
    known = set().union(*(_seen_by(ledger, tag) for tag in over)) if over else set()
    if yours and not (own - known) and not (yours & undone):
        ledger.violated(
            clash.key,
            f"{_list(yours)} came back over {_list(over)} in {clash.key}.{column} without an edit",
        )


def _check_lost(ledger: Ledger, clash: Clash, column: str, yours: set[str], over: set[str]) -> None:
    """(g)"""
    # What somebody went back to is a value anew, and what a phone laid over the one that it pulled.
    again = {tag for undo in ledger.undos if undo.key == clash.key for tag in undo.after}
    known = ledger.marks
    again |= {tag for tag in over & known.keys() if known[tag].laid_over or known[tag].again}
    if clash.device in ledger.set_clocks | ledger.copied:
        again |= {tag for tag in over if _device(ledger, tag) == clash.device}
    for tag in sorted(yours):
        seen = _seen_by(ledger, tag) & over - again
        if seen and _device(ledger, tag) == clash.device and _is_proven(ledger, ledger.marks[tag]):
            ledger.violated(
                clash.key,
                f"{tag} lost {clash.key}.{column} as {clash.reason} to {_list(seen)}, which it had seen",
            )


def _is_proven(ledger: Ledger, mark: Mark) -> bool:
    """Whether the server could know what the writer of this had seen."""
    others = {
        other.phone
        for other in ledger.marks.values()
        if other.key == mark.key and other.column != mark.column
    } | {shade.phone for shade in ledger.shades if shade.key == mark.key}
    return mark.proven and not (mark.by_version and others - {mark.phone})


def _device(ledger: Ledger, tag: str) -> str | None:
    mark = ledger.marks.get(tag)
    return None if mark is None else ledger.devices.get(mark.phone)


def _seen_by(ledger: Ledger, tag: str) -> set[str]:
    """What a mark was written over, and what that was written over."""
    waiting, seen = [tag], set[str]()
    while waiting:
        mark = ledger.marks.get(waiting.pop())
        new = (mark.before if mark else set()) - seen
        seen |= new
        waiting += new
    return seen


def check_undos(ledger: Ledger, found: Evidence) -> None:
    """(b) An undo stands until somebody who may have seen it writes again. Lists may grow together."""
    for undo in ledger.undos:
        gone = undo.before - undo.after
        back = found.columns[undo.key, undo.column] & gone
        if undo.column == "image_keys" or not back or not undo.accepted:
            continue
        again = any(
            later.key == undo.key and later.column == undo.column and back <= later.after
            for later in ledger.undos
            if later.number > undo.number
        )
        merged = all(ledger.marks[tag].laid_over for tag in back)
        # The twin of a phone may still send what the phone has undone: it does not know of that.
        merged |= ledger.devices.get(undo.phone) in ledger.copied
        named = any(
            (clash.key == undo.key and undo.after & marks_in(clash.yours.get(undo.column)))
            or (
                clash.reason == "unseen_overwrite"
                and clash.key == undo.key
                and undo.after & marks_in(clash.theirs.get(undo.column))
            )
            for clash in found.clashes
        )
        if not (again or merged or named):
            ledger.violated(
                undo.key, f"{undo.phone}'s undo of {_list(gone)} was acknowledged and is undone"
            )


def check_colours(ledger: Ledger, found: Evidence) -> None:
    """(h)"""
    for clash in found.clashes:
        if "risk_level" not in clash.yours:  # a deletion
            continue
        mine, theirs = (_height(side.get("risk_level")) for side in (clash.yours, clash.theirs))
        over = clash.winner == "client" and clash.reason == "unseen_overwrite" and mine < theirs
        under = clash.winner == "server" and clash.reason != "deleted" and mine > theirs
        if (over and clash.device not in ledger.merging) or (
            under and clash.device not in ledger.set_clocks | ledger.copied
        ):
            ledger.violated(
                clash.key,
                f"a lower colour won in {clash.key} ({clash.winner} {clash.reason}, by {clash.device}):"
                f" {clash.yours['risk_level']}, {clash.theirs.get('risk_level')}",
            )
    of_key: dict[Key, list[Shade]] = defaultdict(list)
    for shade in ledger.shades:
        of_key[shade.key].append(shade)
    for key, shades in of_key.items():
        fields = found.stored.get(key)
        if fields is None or fields.get("deleted_at") is not None:
            continue
        now = _height(fields.get("risk_level"))
        for shade in shades:
            if shade.accepted is None or shade.again or shade.value in found.colours[key]:
                continue
            if ledger.devices[shade.phone] in ledger.copied & ledger.set_clocks:
                continue  # nobody can tell which of its lives saw what, and when
            if _height(shade.value) > now and not _lowered(ledger, shade, shades):
                ledger.violated(
                    key, f"{shade.value} of {key} was acknowledged to {shade.phone} and is lost"
                )
            elif not shade.proven or _is_overtaken(ledger, shade, shades):
                continue
            elif _height(shade.value) < now and not _raised(ledger, shade, shades, now):
                ledger.violated(
                    key, f"{shade.phone} lowered {key} to {shade.value}, and it came back"
                )


def _is_overtaken(ledger: Ledger, shade: Shade, others: Iterable[Shade]) -> bool:
    """Whether the same phone chose another colour later."""
    return any(
        ledger.is_same_device(other.phone, shade.phone) and other.number > shade.number
        for other in others
    )


def _lowered(ledger: Ledger, shade: Shade, others: Iterable[Shade]) -> bool:
    """Whether somebody chose less who may have seen this colour."""
    return any(
        _height(other.before) >= _height(shade.value) > _height(other.value)
        and (
            other.seen > (shade.sent or shade.number)
            or ledger.devices[other.phone] in ledger.copied
            or (ledger.is_same_device(other.phone, shade.phone) and other.number > shade.number)
        )
        for other in others
    )


def _raised(ledger: Ledger, shade: Shade, others: Iterable[Shade], now: int) -> bool:
    """Whether the stored height may be the choice of somebody that this one had not seen."""
    copied = ledger.devices.get(shade.phone) in ledger.copied
    return any(
        _height(other.value) == now
        and (copied or other.number > shade.number or not _surely_seen(ledger, shade, other))
        for other in others
    )


def _surely_seen(ledger: Ledger, shade: Shade, other: Shade) -> bool:
    if ledger.is_same_device(other.phone, shade.phone):
        return True
    return other.accepted is not None and other.accepted <= shade.sure


def _height(colour: Any) -> int:
    return COLOURS.index(colour) + 1 if colour in COLOURS else 0


def _list(tags: Iterable[str]) -> str:
    return ", ".join(sorted(tags)) or "nothing"


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
        if mark.accepted or mark.refused is not None or mark.restored:
            continue
        if mark.tag in unsent[mark.phone]:
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
    check_columns(ledger, found)
    check_undos(ledger, found)
    check_colours(ledger, found)
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
        connection = http.client.HTTPConnection(host, port, timeout=PATIENCE_SECONDS)
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
