"""Writers and readers at once: campaigns of any size that check what they promise.

    python -m tests.reliability.campaigns --store sqlite --seed 7 --versions 10000

The tests run a slice of each, `make soak` runs them long. A campaign works on an empty store and
raises `Broken`, which names the seed and the first faults. Threads make runs differ, a seed repeats
what each device decides to do.

Every value that is written carries a tag of its own, and every commit is noted with its version, so
that afterwards it is known what had been committed before any reader's cursor.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import sys
import tempfile
import threading
import time
import uuid
from bisect import bisect_right
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from infra.local import emulators
from infra.local.phone import Json, Phone, wall_ms
from shared.adapters.firestore import FirestoreStore
from shared.adapters.sqlite import SqliteStore
from shared.errors import Contended, PageExpired
from shared.records.collection import Type
from shared.records.store import Key, Query, RecordStore, Write, put
from shared.sync.pull import EPOCH
from tests.neutral.tables import CATALOG
from tests.stores import BOTH, Interrupted
from tests.sync.clinic import Clinic
from tests.sync.test_pull import move

#: Rows of a page for the reader that asks for small ones.
PAGE_ROWS = 7

#: A push that others beat so often in a row is stuck.
_MOST_ANSWERS_BUSY = 200

#: More pages than any campaign here has records: a sync that never ends.
_ENDLESS = 20_000

_GONE = "(deleted)"

#: Where a record's content is.
_CONTENT = {"notebooks": "cover", "notes": "body"}


class Broken(AssertionError):
    """A promise did not hold."""


@dataclass
class Report:
    """What a campaign did, to judge whether it was work enough."""

    name: str
    seed: object
    versions: int = 0  #: committed versions of records
    syncs: int = 0  #: of the readers
    pages: int = 0  #: most pages of one sync
    busy: int = 0  #: pushes that ended in `Contended` and were sent again
    conflicts: int = 0  #: entries in the conflict log
    resyncs: int = 0  #: answers that asked to upload first
    seconds: float = 0.0
    faults: list[str] = field(default_factory=list)

    def judge(self) -> Report:
        """Itself; raises `Broken` if there are faults."""
        if self.faults:
            some = "\n  ".join(self.faults[:10])
            raise Broken(f"{self.name}, seed {self.seed}: {len(self.faults)} faults\n  {some}")
        return self


# --- what was committed


class Version(NamedTuple):
    """A committed version of a record. `tag` names its value; None: the value stayed as it was."""

    version: int
    tag: str | None
    writer: tuple[str, str]  #: (user, device)
    cursor: int  #: of the push, µs
    held_ms: int  #: `updated_at` of the version that the phone had of the record; 0: none


class History:
    """The versions of every record, in the order of their commits once all writers are done."""

    def __init__(self, versions: int = 0) -> None:
        self.wanted = versions
        self.count = 0
        self.halfway = threading.Event()
        self._lock = threading.Lock()
        self._of: dict[Key, list[Version]] = {}

    def note(self, version: int, writes: Sequence[Write], phone: Phone) -> None:
        with self._lock:
            for write in writes:
                content = _CONTENT.get(write.key.collection)
                if content is None or not write.fields:
                    continue
                tag = None
                if write.fields.get("deleted_at") is not None:
                    tag = _GONE
                elif write.fields.get(content) is not None:
                    tag = tag_of(json.loads(write.fields[content]))
                writer = (phone.user, phone.device)
                held = (
                    phone.dirty.get((write.key.collection, write.key.id), {}).get("updated_at") or 0
                )
                cursor, held_ms = round(phone.cursor * 1000) * 1000, round(held * 1000)
                entry = Version(version, tag, writer, cursor, held_ms)
                self._of.setdefault(write.key, []).append(entry)
                self.count += 1
            if self.count * 2 >= self.wanted:
                self.halfway.set()

    @property
    def full(self) -> bool:
        return self.count >= self.wanted

    def of(self) -> dict[Key, list[Version]]:
        """All versions, each record's in the order of its commits."""
        return {key: sorted(versions) for key, versions in self._of.items()}


class Recorded(Interrupted):
    """A store that notes what is committed for a phone."""

    def __init__(self, inner: RecordStore, history: History) -> None:
        super().__init__(inner)
        self.history = history
        self.phone: Phone

    def commit(self, writes: Sequence[Write]) -> int:
        version = self.inner.commit(writes)
        self.history.note(version, writes, self.phone)
        return version


def tag_of(content: Any) -> str:
    return str(content["tag"]) if isinstance(content, dict) else ""


# --- phones


def insist(phone: Phone, report: Report) -> Json:
    """Sync; when others were faster, send the same request again."""
    for _ in range(_MOST_ANSWERS_BUSY):
        try:
            return phone.sync()
        except Contended as error:
            report.busy += 1
            if not error.retry_after_s:
                raise Broken("busy, but not said when to come back") from error
        except PageExpired:
            continue
    raise Broken(f"{phone.device} was told {_MOST_ANSWERS_BUSY} times to come back")


class Sync(NamedTuple):
    """What a reader got: its cursor afterwards, the store's newest version then, and the changes."""

    cursor: int
    ended: int
    news: dict[Key, str]


class Reader(Phone):
    """A phone that only pulls, and remembers what came when."""

    def __init__(self, *arguments: Any, **more: Any) -> None:
        own = tuple(each.name for each in CATALOG.collections if each.pushable)
        super().__init__(*arguments, own_tables=own, **more)
        self.log: list[Sync] = []
        self.pages = self.most_pages = self.resyncs = 0
        self._news: dict[Key, str] = {}
        self._seen: dict[Any, Json] = {}
        self.twice: list[str] = []
        self.offers = 0  #: records sent with this sync; the answer may bring them once more
        self.most_offers = 0

    def apply(self, answer: Json) -> None:
        super().apply(answer)
        self.pages += 1
        self.most_pages = max(self.most_pages, self.pages)
        if self.pages > _ENDLESS:
            raise Broken(f"{self.device}: a sync of {self.pages} pages, and no end")
        self.resyncs += "resync" in answer
        for table, rows in answer["server_updates"].items():
            for row in rows:
                before = self._seen.get((table, row["id"]))
                if before is not None and not self.offers:
                    self.twice.append(
                        f"{self.device}: page {self.pages} brought {row} after {before}"
                    )
                self._seen[table, row["id"]] = row
        for table, content in _CONTENT.items():
            for row in answer["server_updates"][table]:
                if content in row:  # an answer to a phone's own edit says only what is news
                    self._news[Key(table, row["id"])] = tag_of(row[content])
            for name in answer["deleted"][table]:
                self._news[Key(table, name)] = _GONE

    def sync(self) -> Json:
        # one that begins anew, since its pages are of another epoch, is a sync of its own
        self._seen, self.pages, self.offers = {}, 0, len(self.dirty)
        self.most_offers = max(self.most_offers, self.offers)
        return super().sync()

    def pull(self, store: RecordStore, report: Report) -> None:
        before = self.cursor
        insist(self, report)
        if self.cursor < before:
            report.faults.append(f"{self.device}: the cursor fell from {before} to {self.cursor}")
        ended = store.read([]).read_at if isinstance(store, SqliteStore) else 0
        self.log.append(Sync(round(self.cursor * 1000) * 1000, ended, self._news))
        self._news = {}


def server_rows(store: RecordStore, scopes: Sequence[str], *, times: bool = True) -> dict[Any, Any]:
    """What somebody in these scopes is meant to hold, taken from the documents themselves."""
    rows: dict[Any, Any] = {}
    for item in CATALOG.collections:
        for document in store.query(Query(item.name)):
            have = document.fields
            if have.get("deleted_at") is not None or have["scope_id"] not in scopes:
                continue
            row = {spec.name: have.get(spec.name) for spec in item.fields}
            for spec in item.fields:
                if spec.type is Type.JSON and row[spec.name] is not None:
                    row[spec.name] = json.loads(str(row[spec.name]))
            row["scope_id"] = have["scope_id"]
            if times:
                row["last_modified_at"] = have["last_modified_at"]
                row["updated_at"] = have["updated_at"] // 1000
            rows[item.name, document.key.id] = row
    return rows


def phone_rows(phone: Phone, *, times: bool = True) -> dict[Any, Any]:
    """What a phone holds, in the same form."""
    rows: dict[Any, Any] = {}
    for (table, name), held in phone.rows.items():
        row = {spec.name: held.get(spec.name) for spec in CATALOG.by_name[table].fields}
        row["scope_id"] = held.get("scope_id")
        if times:
            for moment in ("last_modified_at", "updated_at"):
                row[moment] = round(held[moment] * 1000)
        rows[table, name] = row
    return rows


def differences(
    phone: Phone, wanted: Mapping[Any, Any], *, times: bool = True, offered: bool = False
) -> list[str]:
    """Where a phone does not hold what it should, as sentences.

    `offered`: it has sent its records again, and the answer to what one sent brings only news of it:
    no `updated_at`.
    """
    held = phone_rows(phone, times=times)
    if offered:
        for row in (*held.values(), *wanted.values()):
            row.pop("updated_at", None)
    return [
        f"{phone.device} holds {held.get(key)} as {key}, the server {wanted.get(key)}"
        for key in sorted({*held, *wanted})
        if held.get(key) != wanted.get(key)
    ]


def missed(history: History, reader: Reader, *, exact: bool) -> list[str]:
    """Where a reader's cursor passed a version that it had not been given.

    `exact`: the store reads at a snapshot. Otherwise a version may be passed if the record was
    written again before the sync ended: the later version comes with a later cursor.
    """
    versions = history.of()
    places = {
        key: {entry.tag: at for at, entry in enumerate(entries)}
        for key, entries in versions.items()
    }
    commits = sorted(
        (entry.version, key, at)
        for key, entries in versions.items()
        for at, entry in enumerate(entries)
    )
    faults: list[str] = []
    held: dict[Key, int] = {}
    newest: dict[Key, int] = {}
    open_: set[Key] = set()
    done = 0
    for number, sync in enumerate(reader.log):
        for key, tag in sync.news.items():
            place = places[key][tag]
            if place < held.get(key, -1):
                faults.append(f"{reader.device}: {key} went back to {versions[key][place]}")
            held[key] = place
        until = bisect_right(commits, sync.cursor, lo=done, key=lambda commit: commit[0])
        for _, key, place in commits[done:until]:
            newest[key] = place
            open_.add(key)
        done = until
        for key in list(open_):
            place, entries = newest[key], versions[key]
            if held.get(key, -1) >= place or (key not in held and entries[place].tag == _GONE):
                open_.discard(key)
                continue
            again = entries[place + 1].version if place + 1 < len(entries) else None
            if exact or again is None or again > sync.ended:
                faults.append(
                    f"{reader.device}: {key} {entries[place]} had not come when the cursor was "
                    f"{sync.cursor} (sync {number})"
                )
                open_.discard(key)
    return faults


# --- nothing missed


def nothing_missed(
    store: RecordStore,
    seed: object,
    versions: int,
    *,
    writers: int = 8,
    teams: int = 3,
    now_ms: Callable[[], int] = wall_ms,
    new_epoch: bool = False,
    joining: bool = True,
) -> Report:
    """Writers create, edit and delete in some teams while readers poll, whole and page by page.

    Promises: at every sync a reader was given each version committed before its cursor; in the end
    it holds what the server holds, so do a phone that joins half-way and one that leaves a team; no
    sync has more pages than the rows need, or brings a row twice. `new_epoch`: half-way the
    history begins anew. Without `joining` nobody changes teams.
    """
    report = Report("nothing missed", seed)
    began = time.monotonic()
    history = History(versions)
    clinic = Clinic(store)
    clinic.now_ms = now_ms
    names = [f"team{number}" for number in range(teams)]
    for name in names:
        clinic.join("reader", name)
    clinic.join("joiner", names[0])
    clinic.join("leaver", names[0])
    clinic.join("leaver", names[-1])
    readers = [
        Reader(clinic.answer, "reader", "whole"),
        Reader(clinic.answer, "reader", "paged", limit=PAGE_ROWS),
    ]
    movers = [Reader(clinic.answer, name, name) for name in ("joiner", "leaver") if joining]
    writing = threading.Event()
    writing.set()

    def poll(reader: Reader) -> None:
        while writing.is_set():
            reader.pull(store, report)
        reader.pull(store, report)

    def halfway() -> None:
        history.halfway.wait()
        for mover in movers:
            mover.pull(store, report)
        if not new_epoch:  # a phone that lost history drops nothing, so it would not drop this team
            clinic.leave("leaver", names[-1])
        for name in names[1:]:
            clinic.join("joiner", name)
        if new_epoch:
            # A second ahead, so that no reader's cursor can already be later.
            store.commit([put(EPOCH, {"started_at": now_ms() + 1000}, None)])

    records = max(3, min(versions, 2400) // (4 * writers))
    for number in range(writers):
        clinic.join(f"member{number}", names[number % teams])
    with ThreadPoolExecutor(writers + 3) as pool:
        polls = [pool.submit(poll, reader) for reader in readers]
        work = [
            pool.submit(_write, store, history, number, seed, now_ms, records, not new_epoch)
            for number in range(writers)
        ]
        turn = pool.submit(halfway)
        try:
            report.busy += sum(each.result() for each in work)
            turn.result()
        finally:
            history.halfway.set()
            writing.clear()
        for each in polls:
            each.result()
    for mover in movers:
        mover.pull(store, report)
    everything = server_rows(store, names)
    left = {names[0]} | ({names[-1]} if new_epoch else set())
    views = {"joiner": everything, "leaver": server_rows(store, sorted(left))}
    for reader in (*readers, *movers):
        report.faults += differences(
            reader, views.get(reader.user, everything), offered=bool(reader.resyncs)
        )
    for reader in readers:
        report.faults += missed(history, reader, exact=not isinstance(store, SqliteStore))
        report.faults += reader.twice
        report.resyncs += reader.resyncs
        report.syncs += len(reader.log)
    if new_epoch and not all(reader.resyncs for reader in readers):
        report.faults.append("a new epoch, and a reader was not told")
    documents = sum(len(list(store.query(Query(item.name)))) for item in CATALOG.collections)
    report.pages = readers[1].most_pages
    if report.pages > (documents + readers[1].most_offers) // PAGE_ROWS + 1:
        report.faults.append(f"{report.pages} pages for {documents} documents")
    report.versions = history.count
    report.seconds = time.monotonic() - began
    return report.judge()


def _write(
    store: RecordStore,
    history: History,
    number: int,
    seed: object,
    now_ms: Callable[[], int],
    records: int,
    deletes: bool,
) -> int:
    """One device at work until there are versions enough; how often it was told to come back."""
    report = Report("writer", seed)
    random = Random(f"{seed}/writer/{number}")
    recorded = Recorded(store, history)
    clinic = Clinic(recorded, attempts=8)
    clinic.now_ms = now_ms
    phone = recorded.phone = clinic.phone(f"member{number}")
    made = 0
    while not history.full:
        # The first device sends much at once: its commits take longest to become visible.
        for _ in range(40 if number == 0 else random.randint(1, 6)):
            made += 1
            content = {"tag": f"{number}/{made}", "note": "ö" * random.randint(0, 40)}
            held = sorted(phone.rows)
            dice = random.random()
            if len(held) < 2 or (dice < 0.4 and made < 2 * records):
                notebooks = [name for table, name in held if table == "notebooks"]
                if notebooks and random.random() < 0.5:
                    parent = random.choice(notebooks)
                    more: Json = {"notebook_id": parent, "body": content}
                    phone.save("notes", f"c{number}-{made}", **more)
                else:
                    phone.save("notebooks", f"p{number}-{made}", cover=content)
                continue
            table, name = random.choice(held)
            if table not in _CONTENT:
                continue
            if dice > 0.97 and table == "notes" and deletes:
                phone.delete(table, name)
            else:
                edit: Json = {_CONTENT[table]: content}
                phone.save(table, name, **edit)
        insist(phone, report)
    return report.busy


# --- moves


def moved_about(store: RecordStore, seed: object, moves: int) -> Report:
    """Records move between two teams while they are edited; readers are in one, the other, or both.

    Promise: in the end each phone holds exactly the records of its teams, as the server has them.
    """
    report = Report("moved about", seed)
    began = time.monotonic()
    clinic = Clinic(store)
    teams = {"one": ["team1"], "two": ["team2"], "both": ["team1", "team2"]}
    users = {**teams, **dict.fromkeys(("member0", "member1", "member2"), teams["both"])}
    for user, scopes in users.items():
        for scope in scopes:
            clinic.join(user, scope)
    names = [f"p{number}" for number in range(12)]
    first = clinic.phone("member0")
    for number, name in enumerate(names):
        scope = f"team{number % 2 + 1}"
        first.save("notebooks", name, cover={"tag": "first"}, scope_id=scope)
    first.sync()
    readers = [Reader(clinic.answer, user, f"in-{user}") for user in teams]
    moving = threading.Event()
    moving.set()

    def poll(reader: Reader) -> None:
        while moving.is_set():
            reader.pull(store, report)

    def edit(phone: Phone) -> None:
        random = Random(f"{seed}/{phone.user}")
        phone.sync()
        made = 0
        while moving.is_set():
            for name in random.sample(names, 2):
                made += 1
                content = {"tag": f"{phone.user}/{made}"}
                phone.save("notebooks", name, cover=content)
            insist(phone, report)

    def carry() -> None:
        random = Random(f"{seed}/moves")
        done = 0
        while done < moves:
            name = random.choice(names)
            stored = clinic.fields("notebooks", name)
            here = stored["scope_id"]
            with contextlib.suppress(Contended):
                move(clinic, "notebooks", name, here, "team2" if here == "team1" else "team1")
                done += 1

    phones = [clinic.phone(user) for user in ("member0", "member1", "member2")]
    with ThreadPoolExecutor(7) as pool:
        others = [pool.submit(poll, reader) for reader in readers]
        others += [pool.submit(edit, phone) for phone in phones]
        try:
            carry()
        finally:
            moving.clear()
        for each in others:
            each.result()
    for reader in readers:
        reader.pull(store, report)
        report.syncs += len(reader.log)
        report.faults += differences(reader, server_rows(store, users[reader.user]))
    for phone in phones:
        phone.sync()
        wanted = server_rows(store, users[phone.user], times=False)
        report.faults += differences(phone, wanted, times=False)
    report.versions = moves
    report.seconds = time.monotonic() - began
    return report.judge()


# --- writers at once


class Sent(NamedTuple):
    """A value that was sent and answered."""

    at_ms: int
    tag: str
    phone: Phone


def writers_at_once(
    store: RecordStore, seed: object, rounds: int, *, devices: int = 8, shared: int = 5
) -> Report:
    """Devices push into one team, mostly to the same few records, with distinct times of editing.

    Promises: every push ends in an answer or in `Contended`; the latest edit is what is stored;
    every other answered value is in the conflict log, or was overwritten by a device that had seen
    it or by its own; after a last sync no phone holds what the server does not.
    """
    report = Report("writers at once", seed)
    began = time.monotonic()
    history = History()
    clinic = Clinic(store)
    # Two devices of each user: the same author is not the same writer.
    users = [f"member{number // 2}" for number in range(devices)]
    for user in users:
        clinic.join(user)
    random = Random(f"{seed}/times")
    start_ms = wall_ms() - 10_000_000
    times = [start_ms + step for step in range(devices * rounds * 4)]
    # Rising, but for a shuffle of neighbours: about half of the pushes come too late.
    near = devices * 8
    for at in range(0, len(times), near):
        part = times[at : at + near]
        random.shuffle(part)
        times[at : at + near] = part
    sent: list[list[tuple[Key, Sent]]] = [[] for _ in range(devices)]
    together = threading.Barrier(devices)

    def work(number: int) -> Phone:
        own = Random(f"{seed}/device/{number}")
        moments = iter(times[number::devices])
        recorded = Recorded(store, history)
        here = Clinic(recorded, attempts=4)
        phone = recorded.phone = here.phone(users[number], f"device{number}")
        busy = Report("device", seed)
        together.wait()
        for step in range(rounds):
            names = [f"r{place}" for place in own.sample(range(shared), 2)]
            for name in (*names, f"own{number}"):
                at_ms = next(moments)
                content = {"tag": f"{number}/{step}/{name}"}
                phone.save("notebooks", name, at=at_ms / 1000, cover=content)
                answered = Sent(at_ms, content["tag"], phone)
                sent[number].append((Key("notebooks", name), answered))
            insist(phone, busy)
        report.busy += busy.busy
        return phone

    with ThreadPoolExecutor(devices) as pool:
        phones = list(pool.map(work, range(devices)))
    for phone in phones:
        phone.sync()
    wanted = server_rows(store, ["team1"], times=False)
    for phone in phones:
        report.faults += differences(phone, wanted, times=False)
        report.faults += [
            f"{phone.device} was refused {item}" for item in phone.inbox if "code" in item
        ]
    report.faults += _values_lost(clinic, history, [each for device in sent for each in device])
    report.versions = history.count
    report.conflicts = len(clinic.all("conflicts"))
    report.seconds = time.monotonic() - began
    return report.judge()


def _values_lost(
    clinic: Clinic, history: History, sent: Sequence[tuple[Key, Sent]]
) -> Iterator[str]:
    """Values that are neither current nor kept, and records that hold the wrong one."""
    kept: dict[str, set[tuple[Key, str]]] = {"yours": set(), "theirs": set()}
    for entry in clinic.all("conflicts"):
        key = Key(entry.fields["table"], entry.fields["record_id"])
        for side, found in kept.items():
            values = json.loads(entry.fields[side])
            if values.get("cover") is not None:
                found.add((key, tag_of(json.loads(values["cover"]))))
    versions = history.of()
    by_record: dict[Key, list[Sent]] = {}
    for key, value in sent:
        by_record.setdefault(key, []).append(value)
        committed = any(entry.tag == value.tag for entry in versions.get(key, ()))
        if not committed and (key, value.tag) not in kept["yours"]:
            yield f"{key} {value.tag} was answered, and is neither stored nor in the conflict log"
        told = [item for item in value.phone.inbox if item["id"] == key.id and "yours" in item]
        if not committed and all(tag_of(item["yours"]["cover"]) != value.tag for item in told):
            yield f"{key} {value.tag} lost, and its phone was not told"
    for key, values in by_record.items():
        latest = max(values, key=lambda value: value.at_ms)
        current = clinic.fields(*key)
        if current["last_modified_at"] < latest.at_ms:
            yield f"{key} is of {current['last_modified_at']}; the latest edit of {latest.at_ms}"
    for key, entries in versions.items():
        for before, after in pairwise(entries):
            # a pull may hand out what was committed within the ms of its cursor: the row says so
            held = after.held_ms == before.version // 1000
            seen = after.cursor >= before.version or after.writer == before.writer or held
            if not seen and (key, str(before.tag)) not in kept["theirs"]:
                yield f"{key} {before} was overwritten unseen by {after} and is not kept"


# --- by hand


class JumpingClock:
    """A wall clock, µs, that is set anew now and then, by up to `most` either way."""

    def __init__(self, seed: object, most_seconds: int = 1200, chance: float = 0.02) -> None:
        self._random = Random(f"{seed}/clock")
        self._most, self._chance, self._off = most_seconds * 1_000_000, chance, 0
        self._lock = threading.Lock()

    def __call__(self) -> int:
        with self._lock:
            if self._random.random() < self._chance:
                self._off = self._random.randint(-self._most, self._most)
            return time.time_ns() // 1000 + self._off

    def ms(self) -> int:
        return self() // 1000


@contextlib.contextmanager
def _store(kind: str, folder: Path) -> Iterator[RecordStore]:
    if kind == "sqlite":
        store: RecordStore = SqliteStore(folder / f"{uuid.uuid4().hex}.db")
    else:
        store = FirestoreStore(f"soak-{uuid.uuid4().hex[:12]}")
    try:
        yield store
    finally:
        store.close()


def main(arguments: Sequence[str]) -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawTextHelpFormatter
    )
    parser.add_argument("--store", choices=BOTH, default="sqlite")
    parser.add_argument("--seed", default=uuid.uuid4().hex[:8])
    parser.add_argument("--versions", type=int, default=10_000, help="of the first campaign")
    parser.add_argument("--moves", type=int, default=300)
    parser.add_argument("--rounds", type=int, default=100, help="pushes of each device at once")
    chosen = parser.parse_args(arguments)
    with contextlib.ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if chosen.store == "firestore" and "FIRESTORE_EMULATOR_HOST" not in os.environ:
            emulator = emulators.start(emulators.FIRESTORE)
            stack.callback(emulator.stop)
            os.environ["FIRESTORE_EMULATOR_HOST"] = emulator.address
        for run in (
            lambda store: nothing_missed(store, chosen.seed, chosen.versions),
            lambda store: nothing_missed(store, chosen.seed, chosen.versions // 10, teams=33),
            lambda store: nothing_missed(store, chosen.seed, chosen.versions // 10, new_epoch=True),
            lambda store: moved_about(store, chosen.seed, chosen.moves),
            lambda store: writers_at_once(store, chosen.seed, chosen.rounds),
        ):
            with _store(chosen.store, folder) as store:
                print(run(store), flush=True)


if __name__ == "__main__":
    main(sys.argv[1:])
