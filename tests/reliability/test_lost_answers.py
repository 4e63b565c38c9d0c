"""Answers of the store that are lost: what was committed counts, and nothing is done twice.

On Firestore the real client talks through a gRPC proxy that loses answers; on SQLite a commit that
got through raises. Every push is compared with the same push on a store that loses nothing.

    loss         Firestore                                   SQLite
    refused      UNAVAILABLE before the commit               StoreUnavailable before the commit
    unavailable  UNAVAILABLE after the commit                StoreUnavailable after the commit
    aborted      ABORTED after the commit                    Contended after the commit
    exhausted    RESOURCE_EXHAUSTED after the commit
    never        no answer after the commit; a deadline
"""

from __future__ import annotations

import random
import secrets
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import grpc
import pytest
from google.cloud.firestore_v1.types import firestore as rpc

from infra.local.phone import Json, Phone, wall_ms
from shared.adapters.firestore import FirestoreStore
from shared.adapters.scripted import busy
from shared.adapters.sqlite import SqliteStore
from shared.ai.model import ChatRequest
from shared.errors import Contended, StoreFault, StoreUnavailable
from shared.jobs import job as jobs
from shared.records import record
from shared.records.store import Key, Query, RecordStore, Write, put
from shared.sync.pull import Puller
from tests import stores
from tests.jobs.conftest import LEASE_MS, Workplace
from tests.neutral.scripted import ScriptedModel, normal
from tests.neutral.tables import CATALOG
from tests.reliability.grpc_proxy import Fault, GrpcProxy
from tests.stores import Interrupted

#: What a commit touches: (collection, id, the `state` it writes or None).
Touched = Sequence[tuple[str, str, Any]]
Wants = Callable[[Touched], bool]

CODES = {
    "refused": grpc.StatusCode.UNAVAILABLE,
    "unavailable": grpc.StatusCode.UNAVAILABLE,
    "aborted": grpc.StatusCode.ABORTED,
    "exhausted": grpc.StatusCode.RESOURCE_EXHAUSTED,
    "never": grpc.StatusCode.UNAVAILABLE,
}
LOSSES = (
    *(("sqlite", loss) for loss in ("refused", "unavailable", "aborted")),
    *(("firestore", loss) for loss in CODES),
)

#: More than one commit holds.
MANY = 620

#: Chance of a fault in the random workload, and how long it is.
CHANCE = 0.2
SYNCS = 30


class Line:
    """A store over a line that can be cut (`store`), and the same store in good order (`truth`)."""

    def __init__(
        self, kind: str, request: pytest.FixtureRequest, folder: Path, timeout_seconds: float
    ) -> None:
        self.lost = 0
        self._plans: list[tuple[Wants, str]] = []
        self._after = ""
        self.proxy: GrpcProxy | None = None
        self.truth: RecordStore
        self.store: RecordStore
        if kind == "sqlite":
            self.truth = stores.fresh(kind, request, folder)
            self.store = Interrupted(self.truth, before=self._before_commit, after=self._got)
            return
        self.proxy = GrpcProxy(request.getfixturevalue("firestore_emulator"))
        project = f"lost-{secrets.token_hex(6)}"
        self.truth = FirestoreStore(project)
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("FIRESTORE_EMULATOR_HOST", self.proxy.address)
            # also how long a commit waits for an answer that never comes
            self.store = FirestoreStore(project, timeout_seconds=timeout_seconds)
        self.proxy.weather = self._weather

    def close(self) -> None:
        self.store.close()
        self.truth.close()
        if self.proxy is not None:
            self.proxy.close()

    def lose(self, wants: Wants, loss: str) -> None:
        """Let the next commit that `wants` fail like this."""
        self._plans.append((wants, loss))

    def storm(self, chance: float, dice: random.Random) -> None:
        """From now on every commit fails with this chance, and so does every streamed answer."""
        self._dice, self._chance = dice, chance

    _dice: random.Random | None = None
    _chance = 0.0

    def _loss(self, touched: Touched) -> str:
        for at, (wants, loss) in enumerate(self._plans):
            if wants(touched):
                del self._plans[at]
                self.lost += 1
                return loss
        if self._dice is not None and self._dice.random() < self._chance:
            self.lost += 1
            # a commit that was refused for good and yet happened is not in Firestore's promises
            return self._dice.choice(("refused", "unavailable", "exhausted"))
        return ""

    # SQLite: the commit is stopped before, or its answer after

    def _before_commit(self, writes: Sequence[Write]) -> None:
        loss = self._loss([(*w.key, w.fields.get("state")) for w in writes])
        if loss == "refused":
            raise StoreUnavailable("refused")
        self._after = loss

    def _got(self, writes: Sequence[Write]) -> None:
        loss, self._after = self._after, ""
        if loss == "aborted":
            raise Contended("the answer was lost")
        if loss:
            raise StoreUnavailable("the answer was lost")

    # Firestore: the proxy asks for every call

    def _weather(self, method: str, request: bytes) -> Fault | None:
        if method == "Commit":
            touched = touched_by(request)
            loss = self._loss(touched) if touched else ""
            if not loss:
                return None
            kind = {"refused": "refuse", "never": "hang"}.get(loss, "lose")
            return Fault(method, kind, CODES[loss])
        if self._dice is not None and self._dice.random() < self._chance:
            return Fault(method, "cut", after=self._dice.randrange(6))
        return None


def touched_by(request: bytes) -> Touched:
    """What a Commit request touches; nothing for the adapter's bow to the emulator's turnstile."""
    touched = []
    for write in rpc.CommitRequest.pb(rpc.CommitRequest.deserialize(request)).writes:
        _, collection, name = (write.update.name or write.delete).rsplit("/", 2)
        if collection != "emulator":
            state = write.update.fields["state"].string_value if write.update.name else ""
            touched.append((collection, name, state or None))
    return touched


def any_commit(touched: Touched) -> bool:
    return bool(touched)


def taking_a_job_to(state: str) -> Wants:
    return lambda touched: any(
        collection == jobs.COLLECTION and now == state for collection, _, now in touched
    )


@pytest.fixture
def reference(tmp_path: Path) -> Iterator[Workplace]:
    """Where the same is done and nothing is lost."""
    store = SqliteStore(tmp_path / "reference.db")
    yield Workplace(store)
    store.close()


@pytest.fixture
def line_of(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[..., Line]]:
    """Lines to a fresh store of a kind."""
    made: list[Line] = []

    def make(kind: str, timeout_seconds: float = 1.5) -> Line:
        made.append(Line(kind, request, tmp_path, timeout_seconds))
        return made[-1]

    yield make
    for line in made:
        line.close()


def settle(place: Workplace) -> None:
    """Wait until the store's clock shows a later ms: what is committed now is seen by a next pull."""
    began = wall_ms()
    while wall_ms() < began + 3:
        place.store.read(())


def insist(phone: Phone, body: Json) -> Json:
    """Send as an app does: the same again until there is an answer."""
    for _ in range(60):
        try:
            return phone.send(body, phone)
        except (StoreUnavailable, Contended):
            continue
    raise AssertionError("no answer after 60 attempts")


def verdicts(answer: Json) -> Json:
    """What an answer says about the push, whatever the store's times."""
    told = {name: answer[name] for name in ("accepted", "conflicts", "rejected", "deleted")}
    told["rows"] = {
        table: sorted(row["id"] for row in rows) for table, rows in answer["server_updates"].items()
    }
    return told


def log_of(store: RecordStore) -> set[str]:
    """Ids of the conflict log: hashes of what its entries say."""
    return {document.key.id for document in store.query(Query("conflicts"))}


def refused(store: RecordStore) -> list[tuple[str, ...]]:
    """What stands in quarantine, without the rows as they were sent: those carry server times."""
    names = ("table", "record_id", "code", "device", record.AUTHOR)
    entries = (document.fields for document in store.query(Query("quarantine")))
    return sorted(tuple(str(entry[name]) for name in names) for entry in entries)


def content(place: Workplace) -> dict[Key, Any]:
    """Every record's values as phones know them; None for a tombstone."""
    found: dict[Key, Any] = {}
    for spec in CATALOG.collections:
        for document in place.all(spec.name):
            have = document.fields
            found[document.key] = (
                None
                if have.get(record.DELETED) is not None
                else {name: have.get(name) for name in spec.client_fields}
            )
    return found


# --- pushes


def single(place: Workplace) -> tuple[Phone, int]:
    """A notebook and a red note."""
    phone = place.phone()
    phone.save("notebooks", "p1", at=1000, cover={"age": 30})
    phone.save("notes", "c1", at=1000, notebook_id="p1", mark="red", body={"s": 1})
    return phone, 1


def seen_by_another(place: Workplace, *names: str) -> Phone:
    """Patients that member1's phone holds, edited since by member2 without member1's phone knowing."""
    place.join("member2")
    phone, other = place.phone(), place.phone("member2")
    for name in names:
        phone.save("notebooks", name, at=1000, cover={"age": 1})
    phone.sync()
    settle(place)
    other.sync()
    settle(place)
    phone.sync()
    settle(place)
    for name in names:
        other.save("notebooks", name, at=2000, cover={"age": 2})
    other.sync()
    settle(place)
    return phone


def unseen_overwrite(place: Workplace) -> tuple[Phone, int]:
    """One later edit than another's that was not seen, and one earlier."""
    phone = seen_by_another(place, "p1", "p2")
    phone.save("notebooks", "p1", at=3000, cover={"age": 3})
    phone.save("notebooks", "p2", at=1500, cover={"age": 4})
    return phone, 0


def deletion(place: Workplace) -> tuple[Phone, int]:
    """A notebook with three notes is deleted, although another edited it."""
    phone = seen_by_another(place, "p1")
    for number in range(3):
        phone.save("notes", f"c{number}", at=1000, notebook_id="p1", mark="green")
    phone.sync()
    settle(place)
    phone.delete("notebooks", "p1", at=3000)
    return phone, 0


SMALL = (single, unseen_overwrite, deletion)


@pytest.mark.parametrize(("kind", "loss"), LOSSES)
@pytest.mark.parametrize("story", SMALL)
def test_a_push_whose_answer_is_lost_is_judged_as_if_it_were_not(
    line_of: Callable[..., Line], reference: Workplace, kind: str, loss: str, story: Any
) -> None:
    # given what happens where nothing is lost
    reference.join("member1")
    phone, _ = story(reference)
    wanted = verdicts(phone.sync())
    # when the answer of the push's commit is lost
    line = line_of(kind)
    place = Workplace(line.truth)
    place.time = reference.time
    place.join("member1")
    phone, red = story(place)
    phone.send = place.on(line.store).answer
    line.lose(any_commit, loss)
    answer = phone.sync()
    # then the phone hears the same, and everything is there once
    assert line.lost == 1
    assert verdicts(answer) == wanted
    assert content(place) == content(reference)
    assert log_of(line.truth) == log_of(reference.store)
    assert len(place.jobs()) == red
    assert [job.id for job in place.jobs("cascade")] == [j.id for j in reference.jobs("cascade")]
    # and sent again it is the same again
    before = {document.key: document.version for document in place.all("notebooks")}
    assert place.on(line.store).answer({**phone.request()}, phone)["rejected"] == []
    assert {document.key: document.version for document in place.all("notebooks")} == before


@pytest.mark.parametrize("kind", stores.BOTH)
@pytest.mark.parametrize("story", [unseen_overwrite, deletion])
def test_a_push_that_got_no_answer_at_all_is_answered_rightly_when_sent_again(
    line_of: Callable[..., Line], reference: Workplace, kind: str, story: Any
) -> None:
    # given a push that got through although the server itself could not tell
    reference.join("member1")
    wanted = verdicts(story(reference)[0].sync())
    line = line_of(kind)
    place = Workplace(line.truth)
    place.join("member1")
    phone, _ = story(place)
    body = phone.request()
    line.lose(any_commit, "refused")
    line.lose(any_commit, "unavailable")
    with pytest.raises(StoreUnavailable):
        place.on(line.store).answer(body, phone)
    # when the phone sends it again, thrice
    answers = [place.answer(body, phone) for _ in range(3)]
    # then it hears what it would have heard
    assert [verdicts(answer) for answer in answers] == [wanted] * 3
    assert content(place) == content(reference)
    assert len(log_of(line.truth)) == len(log_of(reference.store))


@pytest.mark.proof
@pytest.mark.parametrize(
    ("kind", "loss", "lost"),
    [
        ("sqlite", "unavailable", "first"),
        ("sqlite", "unavailable", "last"),
        ("sqlite", "aborted", "both"),
        ("firestore", "unavailable", "both"),
    ],
)
@pytest.mark.parametrize("ends", ["edit", "deletion"])
def test_a_big_push_that_loses_an_answer_is_completed_and_reported_whole(
    line_of: Callable[..., Line],
    reference: Workplace,
    request: pytest.FixtureRequest,
    kind: str,
    loss: str,
    lost: str,
    ends: str,
) -> None:
    def story(place: Workplace) -> Phone:
        place.join("member1")
        phone = seen_by_another(place, "p1")
        if ends == "edit":
            phone.save("notebooks", "p1", at=3000, cover={"age": 3})
        else:
            phone.delete("notebooks", "p1", at=3000)
        phone.save("notebooks", "p2", at=1000, cover={"age": 9})
        phone.save("notes", "red", at=1000, notebook_id="p2", mark="red", body={})
        for number in range(MANY):
            name = f"c{number:03}"
            phone.save("notes", name, at=1000, notebook_id="p2", mark="green", body={})
        return phone

    wanted = verdicts(story(reference).sync())
    line = line_of(kind)
    place = Workplace(line.truth)
    phone = story(place)
    phone.send = place.on(line.store).answer
    if lost in ("first", "both"):
        line.lose(lambda touched: ("notebooks", "p1", None) in touched, loss)
    if lost in ("last", "both"):
        line.lose(lambda touched: any(table == "receipts" for table, _, _ in touched), loss)
    first = insist(phone, phone.request())
    phone.apply(first)
    assert line.lost == (2 if lost == "both" else 1)
    told = verdicts(first)
    # the order of ids is the order of the tables' edits; rows may fill another page
    assert told["accepted"] == wanted["accepted"]
    assert told["rejected"] == wanted["rejected"]
    assert told["conflicts"] == wanted["conflicts"]
    assert content(place) == content(reference)
    assert len(log_of(line.truth)) == len(log_of(reference.store)) == 1
    assert len(place.jobs()) == 1


@pytest.mark.parametrize("kind", stores.BOTH)
def test_a_cascade_that_loses_its_answers_leaves_no_child_alive(
    line_of: Callable[..., Line], kind: str
) -> None:
    line = line_of(kind)
    place = Workplace(line.truth)
    place.join("member1")
    phone, _ = deletion(place)
    phone.sync()
    place.revive("c0", "c1", "c2")
    (job,) = place.jobs("cascade")
    worker = place.worker(store=line.store)
    line.lose(lambda touched: any(table == "notes" for table, _, _ in touched), "unavailable")
    assert worker.run(job.id) == "queued"
    # it is tried again soon, and that attempt loses the answers of its claim and its end
    place.time += 60_000
    line.lose(taking_a_job_to("running"), "unavailable")
    line.lose(taking_a_job_to("done"), "unavailable")
    assert worker.run(job.id) == "done"
    worker.run_due("cascade", 120)
    assert line.lost == 3
    assert all(note.fields[record.DELETED] for note in place.all("notes"))
    assert {each.state for each in place.jobs("cascade")} == {"done"}


# --- jobs


class Asked:
    """How often the model was asked."""

    def __init__(self, busy_first: int = 0) -> None:
        self.count = 0
        self._busy = busy_first

    def __call__(self, question: ChatRequest, timeout: float) -> str:
        self.count += 1
        return (busy() if self.count <= self._busy else normal)(question, timeout)


@pytest.mark.parametrize(
    ("kind", "loss"),
    LOSSES,
)
def test_a_claim_whose_answer_is_lost_is_still_ones_own(
    line_of: Callable[..., Line], kind: str, loss: str
) -> None:
    line, asked = line_of(kind), Asked()
    place = Workplace(line.truth)
    place.join("member1")
    job_id = place.red_note()
    worker = place.worker(ScriptedModel([asked] * 4), line.store)
    line.lose(taking_a_job_to("running"), loss)
    assert worker.run(job_id) == "done"
    once(place, line, job_id, asked)


@pytest.mark.parametrize(("kind", "loss"), LOSSES)
def test_a_result_whose_answer_is_lost_is_not_computed_again(
    line_of: Callable[..., Line], kind: str, loss: str
) -> None:
    line, asked = line_of(kind), Asked()
    place = Workplace(line.truth)
    place.join("member1")
    job_id = place.red_note()
    worker = place.worker(ScriptedModel([asked] * 4), line.store)
    line.lose(taking_a_job_to("done"), loss)
    assert worker.run(job_id) == "done"
    once(place, line, job_id, asked)
    stored = place.get("notes", "c1")
    assert worker.run(job_id) == "done"  # the bell comes again
    assert place.get("notes", "c1") == stored


def once(place: Workplace, line: Line, job_id: str, asked: Asked) -> None:
    assert line.lost == 1
    assert asked.count == 1
    fields = place.fields("jobs", job_id)
    assert fields["attempts"] == 1
    assert [entry["state"] for entry in fields["history"]] == ["queued", "running", "done"]
    assert place.row() == ("done", 1)
    assert place.fields("notes", "c1")["summary"]["status"] == "ok"


@pytest.mark.parametrize(("kind", "loss"), LOSSES)
def test_a_postponement_whose_answer_is_lost_costs_no_attempt(
    line_of: Callable[..., Line], kind: str, loss: str
) -> None:
    line, asked = line_of(kind), Asked(busy_first=1)
    place = Workplace(line.truth)
    place.join("member1")
    job_id = place.red_note()
    worker = place.worker(ScriptedModel([asked] * 4), line.store)
    line.lose(taking_a_job_to("queued"), loss)
    if loss == "aborted":
        assert worker.run(job_id) == "held"
    else:
        with pytest.raises(StoreUnavailable):
            worker.run(job_id)
    assert line.lost == 1
    # a postponement that happened is due soon, one that did not when the lease ends
    due = place.fields("jobs", job_id)["due_at"] - place.time
    assert due == LEASE_MS if loss == "refused" else due <= 20_000
    assert worker.run(job_id) == "held"
    place.time += due
    assert worker.run(job_id) == "done"
    assert asked.count == 2
    assert place.fields("jobs", job_id)["attempts"] == 2
    assert place.row() == ("done", 2)


# --- pulls: streams that end in the middle

CUTS = (
    (grpc.StatusCode.UNAVAILABLE, True),
    (grpc.StatusCode.INTERNAL, True),
    (grpc.StatusCode.ABORTED, True),
    (grpc.StatusCode.UNKNOWN, True),
    (grpc.StatusCode.RESOURCE_EXHAUSTED, True),
    (grpc.StatusCode.DEADLINE_EXCEEDED, True),
    (grpc.StatusCode.CANCELLED, False),
    (grpc.StatusCode.DATA_LOSS, False),
)


def shelf_of(line: Line) -> list[Key]:
    """60 documents of one scope, in two commits."""
    keys = [Key("things", f"t{number:03}") for number in range(60)]
    for part in (keys[:30], keys[30:]):
        line.truth.commit([put(key, {"scope_id": "s", "n": int(key.id[1:])}, None) for key in part])
    return keys


@pytest.mark.proof
@pytest.mark.parametrize(
    ("code", "passing"),
    CUTS,
)
def test_a_stream_that_is_cut_is_complete_or_a_fault_never_short(
    line_of: Callable[..., Line], code: grpc.StatusCode, passing: bool
) -> None:
    line = line_of("firestore", timeout_seconds=5)
    keys = shelf_of(line)
    proxy = line.proxy
    assert proxy is not None
    now = line.truth.read(()).read_at
    listings: dict[str, Callable[[], list[Key]]] = {
        "query": lambda: [d.key for d in line.store.query(Query("things", order=(("n", "asc"),)))],
        "limit": lambda: [
            d.key for d in line.store.query(Query("things", order=(("n", "asc"),), limit=60))
        ],
        "changes": lambda: [c.document.key for c in line.store.changes("things", ["s"], 0, now)],
        "read": lambda: sorted(line.store.read(keys).documents),
    }
    for name, listing in listings.items():
        method = "BatchGetDocuments" if name == "read" else "RunQuery"
        for after in (0, 29, 60):
            # the rest is cut once more: behind the last document that arrived
            proxy.faults = [Fault(method, "cut", code, after=at) for at in (after, 3)]
            if not passing:
                with pytest.raises(StoreFault) as caught:
                    listing()
                assert caught.value.retryable
                proxy.faults = []
            found = listing()
            assert found == keys, (name, after, code)


@pytest.mark.proof
def test_a_pull_through_cut_streams_gets_every_row(line_of: Callable[..., Line]) -> None:
    line = line_of("firestore", timeout_seconds=30)
    place = Workplace(line.truth)
    place.join("member1")
    place.join("doc1", role="doctor")
    author = place.phone()
    author.save("notebooks", "p1", at=1000, cover={"age": 30})
    for number in range(70):
        name = f"c{number:02}"
        author.save("notes", name, at=1000, notebook_id="p1", mark="green", body={})
    author.sync()
    assert line.proxy is not None

    def of_cases(request: bytes) -> bool:
        return b"notes" in request

    for limit in (None, 25):
        line.proxy.met.clear()
        line.proxy.faults = [
            *(Fault("RunQuery", "cut", wants=of_cases, after=at) for at in (1, 7, 2, 20, 0, 3)),
            Fault("BatchGetDocuments", "cut", after=1),
        ]
        reader = place.phone("doc1", limit=limit)
        served = place.on(line.store)
        served.puller = Puller(line.store, CATALOG, secret=b"s" * 32, side_by_side=True)
        reader.send = served.answer
        reader.sync()
        assert len(line.proxy.met) == 7
        assert {name for table, name in reader.rows if table == "notes"} == {
            f"c{number:02}" for number in range(70)
        }


@pytest.mark.proof
def test_a_store_that_stays_away_is_a_fault_that_says_try_again(
    line_of: Callable[..., Line],
) -> None:
    line = line_of("firestore")
    keys = shelf_of(line)
    assert line.proxy is not None
    line.proxy.weather = lambda method, _request: Fault(method, "cut", after=20)
    # each stream brings 20 more, but the end is never heard of: all or a fault
    taken: list[Key] = []
    listing = line.store.query(Query("things"))
    with pytest.raises(StoreUnavailable):
        taken.extend(document.key for document in listing)
    assert taken == keys
    # and a reading is all or nothing
    with pytest.raises(StoreUnavailable):
        line.store.read(keys)
    line.proxy.weather = lambda method, _request: Fault(method, "refuse")
    with pytest.raises(StoreUnavailable):
        list(line.store.query(Query("things")))


# --- everything at random


def workload(place: Workplace, dice: random.Random) -> None:
    """A few days of three phones of one team, the same for the same dice; then the workers' night."""
    place.join("member1")
    place.join("member2")
    phones = [
        place.phone("member1"),
        place.phone("member2"),
        place.phone("member1", "member1-tablet"),
    ]
    notebooks = [f"p{number}" for number in range(4)]
    notes = [f"c{number}" for number in range(6)]
    for turn in range(1, SYNCS + 1):
        phone = dice.choice(phones)
        for _ in range(dice.randrange(4)):
            at = 1000 + turn * 10 - dice.choice((0, 0, 0, 15))
            kind, name = dice.randrange(10), dice.choice(notes)
            notebook = dice.choice(notebooks)
            if kind == 0:
                table, name = dice.choice((("notebooks", notebook), ("notes", name)))
                phone.delete(table, name, at=at)
            elif kind < 4:
                phone.save("notebooks", notebook, at=at, cover={"age": dice.randrange(90)})
            else:
                phone.save(
                    "notes",
                    name,
                    at=at,
                    notebook_id=f"p{int(name[1:]) % 4}",
                    mark=dice.choice(("red", "green")),
                    body={"n": dice.randrange(3)},
                )
        settle(place)
        answer = insist(phone, phone.request())
        phone.apply(answer)
        while answer["has_more"]:
            page = {"last_sync_timestamp": phone.cursor, "page": answer["next_page"]}
            answer = insist(phone, page)
            phone.apply(answer)


def night(place: Workplace, seen: RecordStore) -> None:
    """Workers come by until nothing is left to do."""
    worker = place.worker(store=seen, attempts=60)
    for _ in range(60):
        left = [
            job for kind in ("cascade", "summarise") for job in place.jobs(kind)
            if job.state not in jobs.FINAL
        ]  # fmt: skip
        if not left:
            return
        for job in left:
            try:
                worker.run(job.id)
            except StoreUnavailable:
                continue
        place.time += LEASE_MS
    raise AssertionError("jobs are stuck")


class Seen(Workplace):
    """A workplace whose phones reach it over the line; what is looked at is the truth."""

    def __init__(self, line: Line, now_ms: int) -> None:
        super().__init__(line.truth)
        self.time = now_ms
        self._served = self.on(line.store)

    def answer(self, body: Json, phone: Phone) -> Json:
        return self._served.answer(body, phone)


@pytest.mark.parametrize("kind", stores.BOTH)
@pytest.mark.parametrize("seed", [20261121, None])
def test_faults_at_random_change_nothing_in_the_end(
    line_of: Callable[..., Line], reference: Workplace, kind: str, seed: int | None
) -> None:
    seed = seed or secrets.randbelow(10**9)
    print(f"seed {seed}")
    # given what becomes of the workload where nothing fails
    workload(reference, random.Random(seed))
    night(reference, reference.store)
    # when every fifth commit or stream fails
    line = line_of(kind)
    place = Seen(line, reference.time)
    line.storm(CHANCE, random.Random(seed + 1))
    workload(place, random.Random(seed))
    night(place, line.store)
    faults = line.lost + (len(line.proxy.met) if line.proxy else 0)
    assert faults, f"seed {seed}: nothing failed"
    # then the records, the logs and the jobs are the same
    where = f"seed {seed}"
    assert content(place) == content(reference), where
    assert log_of(line.truth) == log_of(reference.store), where
    assert refused(line.truth) == refused(reference.store), where
    assert {job.id for job in place.jobs()} == {job.id for job in reference.jobs()}, where
    for job in place.jobs():
        states = [entry["state"] for entry in job.history]
        assert job.state in ("done", "stale"), (where, job.id)
        assert states.count(job.state) == 1, (where, job.id)
