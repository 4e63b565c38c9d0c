"""Two kinds of phones, as small as they can be and still be what apps do.

`BatchPhone` follows docs/api.md: all unsent edits in one request, the same bytes again until there is
an answer, the answer taken over in the documented order, page after page. `WatermelonPhone` follows
the stock `synchronize()` of WatermelonDB 0.28.0: pull, merge by column, push all that is unsent, 409
begins anew, rejected ids stay unsent.

Both speak HTTP through a line that may fail, know nothing of the server's code, check what no answer
may contain, and tell the ledger what they sent, what was said to it, and what they gave up.
"""

from __future__ import annotations

import http.client
import json
import urllib.parse
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

from tests.dermadetect.fleet.ledger import (
    CLIENT_COLUMNS,
    MARKED,
    Deletion,
    Key,
    Ledger,
    Mark,
    Shade,
    marks_in,
    plain,
)
from tests.patience import PATIENCE_SECONDS

Json = dict[str, Any]
Clock = Callable[[], int]

#: Tables that phones write; the others are the server's.
OWN_TABLES = ("patients", "cases")

TABLES = ("patients", "cases", "diagnoses", "medgemma_queue")

#: How often `synchronize()` is called again after a 409.
_MOST_STALE = 4

#: Pages of one sync after which it counts as endless.
_MOST_PAGES = 400


#: What no server can read, by kind: a column of the record, its value, and how a refusal may call it.
SPOILT: dict[str, tuple[str, Any, tuple[str, ...]]] = {
    "half an emoji": ("", "\ud83d", ("invalid_text", "invalid_json_column")),
    "half an emoji elsewhere": ("mood", "\ud83d", ("invalid_text",)),
    "too large a number": ("", "@1e400@", ("number_out_of_range", "invalid_json_column")),
    "too deep": ("", json.loads("[" * 30 + "]" * 30), ("too_deep",)),
}


class NoAnswer(Exception):
    """Nothing that can be used came back."""


class Answer(NamedTuple):
    """A whole answer: its status, and its body as JSON."""

    status: int
    body: Json

    @property
    def code(self) -> str:
        error = self.body.get("error")
        return str(error.get("code")) if isinstance(error, dict) else ""


@dataclass
class Line:
    """How a phone reaches the server: the address may be a proxy's."""

    host: str
    port: int
    timeout_seconds: float = PATIENCE_SECONDS

    def ask(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str]) -> Answer:
        """Raises `NoAnswer` when the line broke, or what came is no whole JSON."""
        connection = http.client.HTTPConnection(self.host, self.port, timeout=self.timeout_seconds)
        try:
            connection.request(method, path, body, {**headers, "Connection": "close"})
            response = connection.getresponse()
            value = json.loads(response.read())
        except (OSError, http.client.HTTPException, ValueError) as error:
            raise NoAnswer(type(error).__name__) from error
        finally:
            connection.close()
        if not isinstance(value, dict):
            raise NoAnswer("no object")
        return Answer(response.status, value)


class Phone(ABC):
    """What both kinds share: who it is, its clock, and its user's edits.

    `clock` is what the phone believes is now, ms. `scopes` gives the teams that its user is in,
    which the auditor knows from elsewhere. `home` is the team of its new patients; None leaves the
    choice to the server.
    """

    dialect = ""

    def __init__(
        self,
        name: str,
        user: str,
        token: str,
        line: Line,
        ledger: Ledger,
        *,
        device: str,
        clock: Clock,
        scopes: Callable[[], set[str]],
    ) -> None:
        self.name, self.user, self.token, self.line, self.ledger = name, user, token, line, ledger
        self.device, self.clock, self.scopes = device, clock, scopes
        ledger.devices[name] = device
        self.online = True
        self._asked = 0  #: the ledger's number when the last request went out
        self._heard: dict[
            Key, tuple[int, int]
        ] = {}  #: of each row when it came, when it was asked for
        self._got: dict[Key, Json] = {}  #: each row as it came last, columns free of dialect
        self._deleting: dict[Key, tuple[Deletion, Any]] = {}  #: with the record's team

    # --- what a user sees and does

    @abstractmethod
    def live(self, table: str) -> list[str]:
        """Ids that the user can see, in order."""

    @abstractmethod
    def row(self, key: Key) -> Json:
        """A record as the user sees it, columns free of dialect."""

    @abstractmethod
    def write(self, key: Key, values: Json, edited_ms: int) -> None:
        """Store an edit on the phone. `values` are free of dialect."""

    def edit(
        self,
        key: Key,
        columns: Iterable[str],
        edited_ms: int,
        *,
        words: str = "",
        answers: Mapping[str, Any] | None = None,
        adds: bool = False,
        **more: Any,
    ) -> None:
        """The user creates or changes a record: a mark in each of `columns`, and `more` values.

        `words` and `answers` stand beside the mark; `adds`: a list keeps what it had.
        """
        before = self.row(key) if key.id in self.live(key.table) else {}
        values: Json = dict(more)
        for column in columns:
            have = before.get(column) or []
            tag = self.ledger.wrote(
                self.name, key, column, () if column == "image_keys" and adds else marks_in(have)
            )
            if column == "image_keys":
                values[column] = [*have, tag] if adds else [tag]
            else:
                values[column] = {
                    "note": tag,
                    **({"words": words} if words else {}),
                    **(answers or {}),
                }
        risk, had = more.get("risk_level"), before.get("risk_level")
        if risk is not None and risk == had:
            del values["risk_level"]  # apps do not store what is there
        elif risk is not None:
            heard = self._heard.get(key, (0, 0))
            again = risk == self.received(key).get("risk_level")
            self.ledger.shaded(self.name, key, had, risk, *heard, again=again)
        self.write(key, values, edited_ms)

    def received(self, key: Key) -> Json:
        """A record as the server gave it last."""
        return self._got.get(key, {})

    def undo(self, key: Key, column: str, edited_ms: int) -> bool:
        """The user writes the value again that the phone got last; False if it is there."""
        before, after = self.row(key).get(column), self._got.get(key, {}).get(column)
        if not marks_in(after) or plain(before) == plain(after):
            return False
        self.ledger.undid(self.name, key, column, marks_in(before), marks_in(after))
        self.write(key, {column: plain(after)}, edited_ms)
        return True

    def spoil(self, key: Key, kind: str, edited_ms: int) -> None:
        """A new patient that no server can read (`SPOILT`)."""
        column, value, _ = SPOILT[kind]
        tag = self.ledger.wrote(self.name, key, "demographics", ())
        self.ledger.spoiled.add(key)
        text: Json = {"note": tag}
        values = {column: value, "demographics": text} if column else {}
        self.write(key, values or {"demographics": {**text, "bad": value}}, edited_ms)

    # --- backups

    @abstractmethod
    def backup(self) -> Json:
        """All that the phone remembers, as a copy."""

    @abstractmethod
    def restore(self, state: Json) -> None:
        """Be what the phone was at a backup."""

    def set_back(self, state: Json) -> None:
        """Restore a backup; edits that were made since, and that nobody has, are gone."""
        before = marks_in(repr(self.backup()))
        self.restore(state)
        lost = before - marks_in(repr(state))
        for tag in lost & self.ledger.marks.keys():
            self.ledger.marks[tag].restored = True
        self.ledger.copied.add(self.device)
        self.ledger.note(self.name, None, "is set back to its backup")

    @abstractmethod
    def delete(self, key: Key, edited_ms: int) -> None:
        """The user deletes a record."""

    # --- the network

    @abstractmethod
    def sync(self, meanwhile: Callable[[], None] = lambda: None) -> bool:
        """Push and pull; whether it got through. `meanwhile` is what the user does during it."""

    @abstractmethod
    def unsent(self) -> dict[Key, Any]:
        """Records with edits that no server has judged yet, with what would be sent."""

    @abstractmethod
    def refused(self) -> dict[Key, str]:
        """Records whose edits were refused and stay here for their author, with the code."""

    @abstractmethod
    def rows(self) -> dict[Key, Json]:
        """What the phone holds as the server's, columns free of dialect."""

    def _ask(
        self, method: str, path: str, body: bytes | None = None, unit_ms: int = 1000
    ) -> Answer:
        headers = {
            "Authorization": f"Bearer {self.token}",
            "X-Client-Time": str(self.clock() / unit_ms),
            "X-Phone": f"{self.ledger.name}.{self.name}",
        }
        if body is not None:
            headers["Content-Type"] = "application/json"
        self._asked = self.ledger.now
        answer = self.line.ask(method, path, body, headers)
        if answer.status == 500 or answer.status in (401, 403, 404, 405, 413, 415, 426):
            self.ledger.violated(None, f"{self.name}: {answer.status} {answer.code}")
        return answer

    # --- what no answer may contain

    def _check_once(self, lists: Mapping[str, Iterable[str]]) -> None:
        """(c) an id stands in one answer once per table."""
        for table, ids in lists.items():
            seen: set[str] = set()
            for record_id in ids:
                if record_id in seen:
                    key = Key(table, record_id)
                    self.ledger.violated(key, f"{self.name} got {key} twice in one answer")
                seen.add(record_id)

    def _check_scope(self, table: str, row: Json) -> None:
        """(c) no row of a team that the user is not in."""
        scope = row.get("scope_id")
        if scope not in self.scopes():
            key = Key(table, row["id"])
            self.ledger.violated(
                key, f"{self.name} got {key} of {scope}: not a team of {self.user}"
            )

    # --- telling the ledger

    def _has_lost(self, key: Key, scope: Any) -> bool:
        """Whether the user may not see the record any more; `scope` is its team, as the phone knows."""
        if key in self.ledger.moved:
            return True
        return scope not in self.scopes() if scope else self.user in self.ledger.revoked

    def _remember(self, key: Key, row: Json) -> None:
        """A row came, or news of one."""
        self._heard[key] = (self.ledger.now + 1, self._asked)
        self._got[key] = {**self._got.get(key, {}), **row}

    def _own(self, sent: Any) -> list[Mark]:
        """This phone's marks in what it sends of a row; of a deletion only the id is sent.

        Of several entries those that the user left: the others are written over by the same push.
        """
        if _is_deletion(sent):
            return []
        last = {name: value for row in _rows(sent) for name, value in row.items()}
        return self.ledger.own(self.name, last)

    def _own_shades(self, key: Key, sent: Any) -> list[Shade]:
        if _is_deletion(sent):
            return []
        return self.ledger.own_shades(
            self.name, key, [row.get("risk_level") for row in _rows(sent)]
        )

    def _sent(self, rows: Mapping[Key, Any]) -> None:
        for key, row in rows.items():
            for mark in self._own(row):
                mark.again = mark.again or mark.sent
                mark.sent = True
            number = self.ledger.note(self.name, key, f"sends {_brief(row)}")
            for shade in self._own_shades(key, row):
                shade.sent = shade.sent or number

    def _accepted(self, key: Key, row: Any, *, stored: bool) -> None:
        """The server took a record. `stored`: it is what the server held then."""
        if key in self.ledger.spoiled and not _is_deletion(row):
            self.ledger.violated(key, f"{self.name}: {key} cannot be read and was accepted")
        for mark in self._own(row):
            mark.accepted = True
        for undo in [] if _is_deletion(row) else self.ledger.own_undos(self.name, key, _rows(row)):
            undo.accepted = True
        if _is_deletion(row) and key in self._deleting:
            deletion, scope = self._deleting.pop(key)
            deletion.accepted, deletion.void = True, self._has_lost(key, scope)
        red = not _is_deletion(row) and _rows(row)[-1].get("risk_level") == "red"
        if stored and red and key.table == "cases":
            self.ledger.red[key] = self.name
        said = "is told: accepted" + ("" if stored else ", but it lost")
        number = self.ledger.note(self.name, key, said)
        for shade in self._own_shades(key, row):
            shade.accepted = shade.accepted or number

    def _rejected(self, key: Key, row: Any, code: str) -> None:
        unreadable = any(code in codes for _, _, codes in SPOILT.values())
        if unreadable != (key in self.ledger.spoiled) and not _is_deletion(row):
            self.ledger.violated(key, f"{self.name}: {key} was refused as {code}")
        for mark in self._own(row):
            mark.refused = code
        for shade in self._own_shades(key, row):
            shade.refused = True
        if _is_deletion(row) and key in self._deleting:
            self._deleting.pop(key)[0].refused = code
        self.ledger.count("refusals")
        self.ledger.note(self.name, key, f"is told: refused, {code}")


class BatchPhone(Phone):
    """A phone of `POST /api/sync`. Apps differ in how they say what was edited:

    - `partial`: the edited columns only; else the whole row, with what the server put into it
    - `versions`: the `updated_at` of the row that was edited stands beside them (in a whole row it does)
    - `names`: with `changed`, the names of the edited columns
    - `separate`: each edit of a record as an entry of its own; else one that holds them all
    - `dates`: with `created_at`

    `careful`: it keeps two rules of the guide. Each is there for a loss that campaigns without it find:

    - A sync that had to pass over a row, because its user edited the record meanwhile, does not move
      the cursor. Else the server takes that row for seen, and the edit that follows overwrites it
      without a trace in the conflict log.
    - After a complete sync from cursor 0, rows that were neither received nor accepted in it are
      dropped: such a sync brings no deletions, and an earlier one from 0 may have broken off.

    Rows of an answer are laid over those that it holds: of a record that it sent only the news comes.
    """

    dialect = "batch"

    def __init__(
        self,
        *args: Any,
        partial: bool = False,
        versions: bool = False,
        names: bool = False,
        separate: bool = False,
        dates: bool = False,
        limit: int | None = None,
        home: str | None = None,
        careful: bool = True,
        **more: Any,
    ) -> None:
        super().__init__(*args, **more)
        self.partial, self.limit, self.home, self.careful = partial, limit, home, careful
        self.names, self.separate, self.dates = names, separate, dates
        self.versions = versions or not partial
        self._unproven: dict[
            Key, bool
        ] = {}  #: rows that came after the cursor: with their version?
        self.cursor: float = 0
        self._rows: dict[Key, Json] = {}
        self._dirty: dict[Key, Sequence[Json]] = {}  #: entries, in the order of the edits
        self._refused: dict[Key, tuple[str, Json]] = {}
        self._set_aside: dict[Key, Json] = {}  #: refused rows of the present answer
        self._pending: tuple[bytes, dict[Key, Sequence[Json]]] | None = None
        self._passed_over = False
        self._met: set[Key] = set()  #: received or accepted in the present sync

    # --- the user

    def live(self, table: str) -> list[str]:
        return sorted(key.id for key in self._rows if key.table == table)

    def row(self, key: Key) -> Json:
        return self._rows[key]

    def write(self, key: Key, values: Json, edited_ms: int) -> None:
        have = self._rows.get(key)
        changed = set(values)
        if have is None:
            if key.table == "patients" and self.home is not None:
                values = {**values, "scope_id": self.home}
            if self.dates:
                values = {**values, "created_at": edited_ms / 1000}
        self._rows[key] = row = {**(have or {}), **values, "id": key.id}
        waiting = self._dirty.get(key, ())
        new = have is None or (bool(waiting) and waiting[0]["sync_status"] == "new")
        entry = {**values, "id": key.id} if self.partial and have is not None else dict(row)
        if self.versions and row.get("updated_at") is not None:
            entry["updated_at"] = row["updated_at"]
        if waiting and not self.separate:
            changed |= set(waiting[0].get("changed", ()))
            entry = {**waiting[0], **entry}
            waiting = ()
        entry["sync_status"] = "new" if new and not waiting else "dirty"
        entry["last_modified_at"] = edited_ms / 1000
        if self.names:
            entry["changed"] = sorted(changed)
        self._dirty[key] = (*waiting, entry)

    def delete(self, key: Key, edited_ms: int) -> None:
        row = self._rows.pop(key)
        self._deleting[key] = (self.ledger.deleted(self.name, key), row.get("scope_id"))
        when = edited_ms / 1000
        self._dirty[key] = ({"id": key.id, "sync_status": "deleted", "last_modified_at": when},)

    def backup(self) -> Json:
        return {
            name: value.copy() if isinstance(value, dict) else value
            for name, value in vars(self).items()
            if name in _BATCH_STATE
        }

    def restore(self, state: Json) -> None:
        vars(self).update(
            {name: it.copy() if isinstance(it, dict) else it for name, it in state.items()}
        )

    # --- the network

    def sync(self, meanwhile: Callable[[], None] = lambda: None) -> bool:
        if self._pending is None:
            self._pending = self._request()
            self._sent(self._pending[1])
            for key in self._pending[1].keys() & self._unproven.keys():
                for mark in self._own(self._pending[1][key]):
                    if not mark.accepted:
                        mark.proven = mark.by_version = self._unproven[key]
                for shade in self._own_shades(key, self._pending[1][key]):
                    shade.proven = shade.proven and shade.accepted is not None
        data, sent = self._pending
        try:
            answer: Answer | None = self._ask("POST", "/api/sync", data)
        except NoAnswer as error:
            self.ledger.note(self.name, None, f"no answer ({error})")
            answer = None
        meanwhile()
        if answer is None or not self._usable(answer):
            return False
        self._pending, self._passed_over, self._met, self._set_aside = None, False, set(), {}
        cursor = self._apply(answer.body, sent)
        for _ in range(_MOST_PAGES):
            if not answer.body["has_more"]:
                self._finish(cursor)
                return True
            page: Json = {"page": answer.body["next_page"], "device_id": self.device}
            page["last_sync_timestamp"] = self.cursor
            if self.limit:
                page["limit"] = self.limit
            try:
                answer = self._ask("POST", "/api/sync", json.dumps(page).encode())
            except NoAnswer:
                return False
            if not self._usable(answer):
                return False
            cursor = self._apply(answer.body, {})
        self.ledger.violated(None, f"{self.name}: a sync of more than {_MOST_PAGES} pages")
        return False

    def _finish(self, cursor: float) -> None:
        if self.careful and self.cursor == 0:
            for key in self._rows.keys() - self._met - self._dirty.keys():
                del self._rows[key]
                self.ledger.note(self.name, key, "drops it: a sync from 0 did not bring it")
        if not (self.careful and self._passed_over):
            self.cursor = cursor
            self._unproven = {}
        self.ledger.count("syncs")
        self.ledger.note(self.name, None, f"has synced, cursor {self.cursor}")

    def _request(self) -> tuple[bytes, dict[Key, Sequence[Json]]]:
        changes: dict[str, list[Json]] = {}
        for key, entries in self._dirty.items():
            changes.setdefault(key.table, []).extend(entries)
        request: Json = {
            "last_sync_timestamp": self.cursor,
            "changes": changes,
            "device_id": self.device,
        }
        if self.limit:
            request["limit"] = self.limit
        return _bytes(request), dict(self._dirty)

    def _usable(self, answer: Answer) -> bool:
        if answer.status == 200:
            return True
        self.ledger.count(f"answered {answer.status}")
        self.ledger.note(self.name, None, f"is told {answer.status} {answer.code}")
        if answer.status == 400 and answer.code != "invalid_json":  # a cut body is no JSON
            self.ledger.violated(None, f"{self.name}: 400 {answer.code}")
        return False

    def _apply(self, answer: Json, sent: Mapping[Key, Sequence[Json]]) -> float:
        """Take over an answer in the documented order; its cursor."""
        updates, deleted = answer["server_updates"], answer["deleted"]
        self._check_once(
            {
                table: [row["id"] for row in updates.get(table, ())] + deleted.get(table, [])
                for table in TABLES
            }
        )
        self.ledger.count("conflicts", len(answer["conflicts"]))
        lost = {Key(c["table"], c["id"]) for c in answer["conflicts"] if c["winner"] == "server"}
        judged = self._take_verdicts(answer, sent, lost)
        for key in sent.keys() - judged:
            self.ledger.violated(key, f"{self.name}: {key} was sent and got no verdict")
        for table, rows in updates.items():
            for row in rows:
                key = Key(table, row["id"])
                if key not in self._dirty or "scope_id" in row:
                    self._check_scope(table, {**self._held(key), **row})
                self._take(key, row)
        for table, ids in deleted.items():
            for record_id in ids:
                self._drop(Key(table, record_id))
        return float(answer["new_sync_timestamp"])

    def _take_verdicts(
        self, answer: Json, sent: Mapping[Key, Sequence[Json]], lost: set[Key]
    ) -> set[Key]:
        judged = set()
        for table, ids in answer["accepted"].items():
            for record_id in ids:
                key = Key(table, record_id)
                if key not in sent:
                    self.ledger.violated(key, f"{self.name}: {key} was accepted and never sent")
                    continue
                judged.add(key)
                self._met.add(key)
                self._accepted(key, sent[key], stored=key not in lost)
                self._settle(key, sent[key])
        for item in answer["rejected"]:
            key = Key(item["table"], item["id"])
            if key not in sent:
                self.ledger.violated(key, f"{self.name}: {key} was refused and never sent")
                continue
            judged.add(key)
            self._rejected(key, sent[key], item["code"])
            # What the server holds of it, if anything, is in the same answer: the news of it.
            self._refused[key] = (item["code"], sent[key][-1])
            if self._settle(key, sent[key]) and key in self._rows:
                self._set_aside[key] = self._rows.pop(key)
        return judged

    def _settle(self, key: Key, sent: Sequence[Json]) -> bool:
        """These edits are judged; whether there is no later one."""
        waiting = self._dirty.get(key, ())
        if waiting[: len(sent)] == sent:
            if later := waiting[len(sent) :]:
                self._dirty[key] = later
            else:
                self._dirty.pop(key, None)
        return key not in self._dirty

    def _take(self, key: Key, row: Json) -> None:
        self._met.add(key)
        if key in self._dirty:
            self._passed_over = True
            self.ledger.count("passed over")
            self.ledger.note(self.name, key, f"passes over {_brief(row)}: edited meanwhile")
            return
        self._remember(key, row)
        self._unproven[key] = self.versions and "updated_at" in row
        self._rows[key] = {**self._held(key), **row}
        self.ledger.note(self.name, key, f"holds {_brief(self._rows[key])}, new: {_brief(row)}")

    def _held(self, key: Key) -> Json:
        return self._rows.get(key) or self._set_aside.get(key) or {}

    def _drop(self, key: Key) -> None:
        if key in self._dirty:  # the edit goes with the next sync, and will be refused
            return
        if self._rows.pop(key, None) is not None:
            self.ledger.note(self.name, key, "drops it")

    # --- for the auditor

    def unsent(self) -> dict[Key, Any]:
        waiting = {} if self._pending is None else self._pending[1]
        return {**waiting, **self._dirty}

    def refused(self) -> dict[Key, str]:
        return {key: code for key, (code, _) in self._refused.items()}

    def rows(self) -> dict[Key, Json]:
        return dict(self._rows)


class WatermelonPhone(Phone):
    """A phone of `/api/v1/sync`, as `synchronize()` of WatermelonDB does it.

    `home` is written into the `scope_id` of new patients.
    """

    dialect = "watermelon"

    def __init__(self, *args: Any, home: str | None = None, **more: Any) -> None:
        super().__init__(*args, **more)
        self.home = home
        self.ledger.merging.add(self.device)
        self._again = False  #: the server asked for one more sync
        self.pulled_at: int | None = None
        self._receipt = ""  #: of the last push; in memory only
        self._tables: dict[str, dict[str, Json]] = {table: {} for table in TABLES}
        self._refused: dict[Key, str] = {}

    # --- the user

    def live(self, table: str) -> list[str]:
        rows = self._tables[table]
        return sorted(name for name, raw in rows.items() if raw["_status"] != "deleted")

    def row(self, key: Key) -> Json:
        raw = self._tables[key.table][key.id]
        own = CLIENT_COLUMNS.get(key.table, ())
        return {name: plain(value) if name in own else value for name, value in raw.items()}

    def write(self, key: Key, values: Json, edited_ms: int) -> None:
        raw = self._tables[key.table].get(key.id)
        packed: Json = {
            name: json.dumps(value) if isinstance(value, dict | list) else value
            for name, value in values.items()
        }
        packed["last_modified_at"] = edited_ms
        if raw is None:
            scope = self.home if key.table == "patients" else None
            empty = {"scope_id": scope, "created_at": 0, "updated_at": 0}
            fresh = {**empty, **packed, "id": key.id, "_status": "created", "_changed": ""}
            self._tables[key.table][key.id] = fresh
            return
        changed = [name for name in raw["_changed"].split(",") if name]
        changed += [name for name in packed if name not in changed]
        status = "created" if raw["_status"] == "created" else "updated"
        self._tables[key.table][key.id] = {
            **raw,
            **packed,
            "_status": status,
            "_changed": ",".join(changed),
        }

    def delete(self, key: Key, edited_ms: int) -> None:
        raw = self._tables[key.table][key.id]
        self._deleting[key] = (self.ledger.deleted(self.name, key), raw.get("scope_id"))
        self._tables[key.table][key.id] = {**raw, "_status": "deleted"}

    def backup(self) -> Json:
        tables = {table: dict(rows) for table, rows in self._tables.items()}
        return {
            "pulled_at": self.pulled_at,
            "_tables": tables,
            "_refused": dict(self._refused),
            "_got": dict(self._got),
            "_heard": dict(self._heard),
        }

    def restore(self, state: Json) -> None:
        tables = {table: dict(rows) for table, rows in state["_tables"].items()}
        more = {name: dict(state[name]) for name in ("_refused", "_got", "_heard")}
        vars(self).update(pulled_at=state["pulled_at"], _tables=tables, _receipt="", **more)

    # --- the network

    def sync(self, meanwhile: Callable[[], None] = lambda: None) -> bool:
        try:
            for _ in range(_MOST_STALE):
                done = self._synchronize(meanwhile)
                if done is not None and not self._again:
                    self.ledger.count("syncs", int(done))
                    return done
                meanwhile = _nothing
        except NoAnswer as error:
            self.ledger.note(self.name, None, f"no answer ({error})")
        return False

    def _synchronize(self, meanwhile: Callable[[], None]) -> bool | None:
        """One `synchronize()`; None asks for another one, after a 409."""
        more = f"&receipt={self._receipt}" if self._receipt else ""
        path = self._path(f"&schema_version=1&migration=null{more}")
        pulled = self._ask("GET", path, unit_ms=1)
        if not self._usable(pulled):
            return False
        self._apply(pulled.body["changes"])
        self.pulled_at = int(pulled.body["timestamp"])
        self._again = bool(pulled.body.get("sync_again"))
        self.ledger.note(self.name, None, f"has pulled, cursor {self.pulled_at}")
        changes, sent = self._local_changes()
        if not sent:
            meanwhile()
            return True
        self._sent(sent)
        try:
            answer = self._ask("POST", self._path(""), _bytes(changes), unit_ms=1)
        finally:
            meanwhile()
        if answer.status == 409:
            self.ledger.count("stale pushes")
            self.ledger.note(self.name, None, f"is told 409 {_stale(answer.body)}")
            return None
        if not self._usable(answer):
            return False
        self._mark_synced(answer.body, sent)
        self._receipt = (answer.body.get("receipt") or {}).get("id", "")
        return True

    def _path(self, more: str) -> str:
        since = "null" if self.pulled_at is None else str(self.pulled_at)
        device = urllib.parse.quote(self.device)
        return f"/api/v1/sync?last_pulled_at={since}&device_id={device}{more}"

    def _usable(self, answer: Answer) -> bool:
        if answer.status == 200:
            return True
        self.ledger.count(f"answered {answer.status}")
        self.ledger.note(self.name, None, f"is told {answer.status} {answer.code}")
        if answer.status == 400 and answer.code != "invalid_json":
            self.ledger.violated(None, f"{self.name}: 400 {answer.code}")
        return False

    def _apply(self, changes: Mapping[str, Mapping[str, Any]]) -> None:
        self._check_once(
            {
                table: [
                    *(row["id"] for row in sets["created"] + sets["updated"]),
                    *sets["deleted"],
                ]
                for table, sets in changes.items()
            }
        )
        for table, sets in changes.items():
            held = self._tables[table]
            for row in sets["created"] + sets["updated"]:
                self._check_scope(table, row)
                if "_status" in row or "_changed" in row:
                    self.ledger.violated(Key(table, row["id"]), "a row with _status was sent")
                created = any(row is item for item in sets["created"])
                self._take(Key(table, row["id"]), row, created=created)
            for record_id in sets["deleted"]:
                if record_id in held:
                    self._drop(Key(table, record_id))

    def _take(self, key: Key, remote: Json, *, created: bool) -> None:
        held = self._tables[key.table]
        local = held.get(key.id)
        self.ledger.note(self.name, key, f"pulls {_brief(remote)}")
        own = CLIENT_COLUMNS.get(key.table, ())
        self._remember(key, {name: plain(it) if name in own else it for name, it in remote.items()})
        if local is None or (local["_status"] == "deleted" and created):
            held[key.id] = {**remote, "_status": "synced", "_changed": ""}
            return
        if local["_status"] == "deleted":
            return  # the deletion is pushed later
        resolved = {**local, **remote, "_status": local["_status"], "_changed": local["_changed"]}
        for column in filter(None, local["_changed"].split(",")):
            resolved[column] = local.get(column)
            if column in MARKED.get(key.table, ()):
                theirs = remote.get(column)
                self.ledger.merged(self.name, key, column, local.get(column), theirs)
        held[key.id] = resolved

    def _drop(self, key: Key) -> None:
        """A pulled deletion: unsent edits of the row go with it, as in the real client."""
        raw = self._tables[key.table].pop(key.id)
        if raw["_status"] != "synced":
            for mark in self.ledger.own(self.name, raw):
                if not mark.accepted:
                    mark.dropped = True
                    mark.rightly = self._has_lost(key, raw.get("scope_id"))
                    self.ledger.count("dropped by a pulled deletion")
            if key in self._deleting:
                self._deleting.pop(key)[0].dropped = True
        self.ledger.note(self.name, key, f"drops it ({raw['_status']})")

    def _local_changes(self) -> tuple[Json, dict[Key, Json]]:
        changes: Json = {}
        sent: dict[Key, Json] = {}
        for table, rows in self._tables.items():
            sets: dict[str, list[Any]] = {"created": [], "updated": [], "deleted": []}
            for record_id, raw in rows.items():
                if raw["_status"] == "synced":
                    continue
                sent[Key(table, record_id)] = raw
                sets[raw["_status"]].append(record_id if raw["_status"] == "deleted" else raw)
            changes[table] = sets
        return changes, sent

    def _mark_synced(self, answer: Json, sent: Mapping[Key, Json]) -> None:
        rejected = {
            Key(table, name)
            for table, names in answer.get("experimentalRejectedIds", {}).items()
            for name in names
        }
        codes = {
            Key(item["table"], item["id"]): item["code"] for item in answer.get("rejected", ())
        }
        for key in rejected - sent.keys():
            self.ledger.violated(key, f"{self.name}: {key} was refused and never sent")
        for key in rejected - codes.keys():
            self.ledger.violated(key, f"{self.name}: {key} was refused without a code")
        self._refused = {key: codes.get(key, "?") for key in rejected}
        for key, raw in sent.items():
            if key in rejected:
                self._rejected(key, raw, self._refused[key])
                continue
            self._accepted(key, raw, stored=True)
            if raw["_status"] == "deleted":
                self._tables[key.table].pop(key.id, None)
            elif self._tables[key.table].get(key.id) == raw:  # not edited meanwhile
                self._tables[key.table][key.id] = {**raw, "_status": "synced", "_changed": ""}

    # --- for the auditor

    def unsent(self) -> dict[Key, Any]:
        return {
            key: raw for key, raw in self._local_changes()[1].items() if key not in self._refused
        }

    def refused(self) -> dict[Key, str]:
        return dict(self._refused)

    def rows(self) -> dict[Key, Json]:
        """Rows that a refusal keeps unsent are the phone's alone: they are left out."""
        return {
            Key(table, name): self.row(Key(table, name))
            for table, rows in self._tables.items()
            for name, raw in rows.items()
            if raw["_status"] == "synced" or Key(table, name) not in self._refused
            if raw["_status"] != "deleted"
        }

    def keeps(self) -> dict[Key, Json]:
        """Everything that is not synced, refused or not."""
        return self._local_changes()[1]


#: What a batch phone keeps in its database.
_BATCH_STATE = ("cursor", "_rows", "_dirty", "_refused", "_pending", "_got", "_heard", "_unproven")


def _nothing() -> None:
    pass


def _bytes(body: Json) -> bytes:
    """The body of a push, with numbers that no parser takes where a user's input made one."""
    text = json.dumps(body)
    return text.replace('"@1e400@"', "1e400").replace('\\"@1e400@\\"', "1e400").encode()


def _rows(sent: Any) -> Sequence[Json]:
    """The entries of what was sent of a record; a WatermelonDB phone sends one."""
    return sent if isinstance(sent, list | tuple) else (sent,)


def _stale(body: Json) -> str:
    items = body.get("conflicts") or []
    return ", ".join(f"{item['table']}/{item['id']}" for item in items)


def _is_deletion(sent: Any) -> bool:
    last = _rows(sent)[-1]
    return isinstance(last, dict) and (
        last.get("sync_status") == "deleted" or last.get("_status") == "deleted"
    )


def _brief(sent: Any) -> str:
    """What a story needs of a row, or of what was sent of it: its marks and its time."""
    if _is_deletion(sent):
        return "a deletion"
    return " then ".join(_brief_row(row) for row in _rows(sent))


def _brief_row(row: Json) -> str:
    marks = " ".join(sorted(marks_in(row))) or "no marks"
    more = f" {row['risk_level']}" if row.get("risk_level") else ""
    if "changed" in row:
        more += f" changed {','.join(row['changed'])}"
    return f"{marks}{more} at {row.get('last_modified_at')}"
