"""Every query that the code can issue has its index in Firestore, and every index has its query.

The whole session listens (tests/conftest.py). Here every place in our code that asks a store is made to
ask once, so that none is forgotten when only some tests run.
"""

from __future__ import annotations

import io
import json
import re
import sqlite3
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from flask import Request
from werkzeug.test import EnvironBuilder

from infra import indexes
from infra.cli import backup
from infra.cli.migrator import Migrator, restamp
from infra.cli.root import main
from infra.local.phone import wall_ms
from shared import wiring
from shared.access import audit, membership
from shared.access.audit import Sealer
from shared.access.membership import Caller
from shared.accounts import invite, session
from shared.accounts.invites import has_records
from shared.adapters.folder import FolderFiles
from shared.adapters.scripted import ScriptedModel
from shared.adapters.sqlite import SqliteStore
from shared.ai.conversation import Terms
from shared.api.web import ask
from shared.export import stream
from shared.export.rows import Wanted
from shared.files.file import CHECK, Settled
from shared.hooks.fan_out import FanOut
from shared.hooks.hooks import Access, Hooks
from shared.jobs import job as jobs
from shared.jobs.job import RetryPolicy
from shared.jobs.runner import Runner
from shared.jobs.sweep import Sweeper
from shared.jobs.transfer import move
from shared.notify.choice import phones_of
from shared.notify.notice import Deliveries, LogNotifier
from shared.privacy.erasure import erase
from shared.privacy.export import export
from shared.products.buildtrace import ocr, processing
from shared.products.buildtrace.files import attachments
from shared.products.buildtrace.product import BUILDTRACE
from shared.products.buildtrace.tables import DIFF, OCR, SUMMARY, begin, begun, made_id
from shared.products.dermadetect.events import EVENTS
from shared.products.dermadetect.fhir import Mapper
from shared.products.dermadetect.numbers import Numbers
from shared.products.dermadetect.quality import WeeklyQuality
from shared.products.dermadetect.review import Review, parse_signature, readings
from shared.products.dermadetect.screen import ReviewDiagnosisRequest
from shared.products.dermadetect.tables import ANALYSE, CATALOG
from shared.products.dermadetect.worklist import WorkList
from shared.products.dermadetect.worklist_query import WorklistQuery
from shared.products.hemoday import reminders
from shared.products.hemoday.household import Households
from shared.products.hemoday.reading import TEXTS
from shared.products.hemoday.tables import CATALOG as FAMILY_TABLES
from shared.products.hemoday.tables import DOCUMENTS
from shared.products.medmind import (
    alert_events,
    circle,
    circle_alerts,
    circle_said,
    device,
    said_before,
    summary_routes,
    understanding,
    voice,
)
from shared.products.medmind.dosing import Dosing
from shared.products.medmind.items import VERSIONS
from shared.products.medmind.plan_facts import PlanFacts
from shared.products.medmind.product import MEDMIND
from shared.products.medmind.report import routes as report
from shared.products.medmind.stock import Stocktaking
from shared.products.medmind.summarising import Summarise
from shared.products.medmind.summary_tables import DAILY, SUMMARIES
from shared.products.medmind.tables import DOSING, STOCK, dosing
from shared.products.product import Parts
from shared.records.store import Key, Query, RecordStore, StoredCollection, put
from shared.settings import Settings
from shared.support import conflicts, deleted, inbox, ledger, moves, stuck_jobs, trail
from shared.sync import journal, receipts
from shared.sync.digest import digest
from shared.sync.pull import Start
from shared.sync.retention import Purger
from tests import shapes
from tests.ai.studio import Studio
from tests.ai.workplace import Workplace
from tests.conftest import SHAPES
from tests.files.conftest import photo
from tests.hemoday.reminding import Home
from tests.medmind.alerting import Circle
from tests.review.conftest import numbers_of
from tests.shapes import Shape, needs_index

#: A year, ms.
YEAR = 366 * 86_400_000


#: What asks for one of several values is sorted: its index has one after the other.
_OF_A_LIST = re.compile(r"json_extract\([^)]*\) IN \(")


class Traced(SqliteStore):
    """Keeps the statements that it runs."""

    def __init__(self, path: Path) -> None:
        super().__init__(path)
        self.statements: dict[str, None] = {}

    def _open(self, process: Any) -> sqlite3.Connection:
        db = super()._open(process)
        db.set_trace_callback(lambda statement: self.statements.setdefault(statement))
        return db


@pytest.fixture
def store(tmp_path: Path) -> Traced:
    return Traced(tmp_path / "records.db")


@pytest.fixture
def asked(store: Traced, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> dict[Shape, set[str]]:
    """What a day of everything asks."""
    before = dict(SHAPES.seen)
    SHAPES.seen.clear()
    place = Workplace(store)
    monkeypatch.setattr(wiring, "store", lambda: store)
    monkeypatch.setattr(wiring, "runner", place.worker)
    place.join("chw1")
    place.join("chw1", "team2")
    place.join("doc1", role="doctor")
    caller = membership.Caller("chw1", "supervisor", "chw1-phone")

    # what phones cause
    phone = place.phone()
    phone.save("patients", "p1", demographics={}, scope_id="team1")
    phone.save("cases", "c1", patient_id="p1", risk_level="red", triage_data={}, image_keys=[])
    phone.sync()
    place.worker().tell_late(place.time + YEAR)
    place.worker().run_due(ANALYSE, 60)
    Deliveries(store, CATALOG, LogNotifier(), place.now_ms).deliver(place.time + YEAR)
    phone.sync()
    # what other systems hear
    hooks = Hooks(store, CATALOG, EVENTS, lambda: b"s" * 32)
    manager = Access(membership.Caller("admin1", "admin", "desk"), ["team1"])
    added, _ = hooks.add(manager, None, "https://hooks.example.org", ["case.red"], place.time)
    FanOut(store, lambda _bells: None, place.now_ms).run(place.time + YEAR)
    assert list(hooks.again(manager, added.endpoint.id, 0, place.time)) == []  # it is on its way
    assert hooks.deliveries(manager, added.endpoint.id)
    # photos: tickets, pieces, a check, a link, the analysis of a case that waited for them
    folder = FolderFiles(tmp_path / "files", b"f" * 32, place.now_ms)
    studio = Studio(store, folder)
    studio.case("a.jpg", name="c-photo", risk="red")
    data = photo(1, (160, 120))
    ticket = studio.ask(data, "a.jpg", "c-photo")
    studio.piece(ticket, data, 0, 9_000)
    studio.piece(ticket, data)
    studio.runner().run_due(CHECK, 120)
    shown = studio.uploads.look(studio.caller, ticket["id"])
    assert studio.uploads.links(shown, place.time)
    studio.runner().run_due(ANALYSE, 60)
    studio.cleaner.clean(place.time + YEAR)
    phone.sync()
    assert has_records(store, ("patients",), "team1")
    digest(store, CATALOG, caller, None)
    digest(store, CATALOG, caller, wall_ms() + 1000)
    # what doctors cause
    doctor = membership.Caller("doc1", "doctor", "desk")
    lists = WorkList(store, CATALOG, unread_ms=0)
    lists.cases(doctor, WorklistQuery(status="TRIAGED"), place.time)
    lists.cases(doctor, WorklistQuery(status="TRIAGED", risk="green"), place.time)
    newest_ms = store.read([Key("settings", "epoch")]).read_at // 1000
    for sought in (WorklistQuery(), WorklistQuery(risk="red"), WorklistQuery(since_ms=newest_ms)):
        lists.cases(doctor, sought, place.time)
    span: dict[str, Any] = {"from_ms": 0, "until_ms": place.time}
    for status in ("PENDING_DIAGNOSIS", "TRIAGED"):
        for worker in (None, "chw1"):
            lists.cases(doctor, WorklistQuery(status=status, worker=worker), place.time)
            lists.cases(doctor, WorklistQuery(status=status, worker=worker, **span), place.time)
    lists.cases(doctor, WorklistQuery(mine=True), place.time)
    lists.cases(doctor, WorklistQuery(patient="p1"), place.time)
    lists.totals(doctor, None, place.time)
    for own in (False, True):
        days = numbers_of({"own": "1" if own else "0"}, place.time)
        Numbers(store).of(doctor, days)
        WeeklyQuality(store).of(doctor, days)
    lists.case(doctor, "c1", place.time)
    assert readings(store, "c1", "team1")
    signature = parse_signature(ReviewDiagnosisRequest("Scabies", verdict="agree"), "k1")
    seen = store.read([Key("cases", "c1")]).documents[Key("cases", "c1")].version
    Review(store, CATALOG, claim_ms=60_000).diagnose(doctor, "c1", signature, seen, place.time)
    lists.cases(doctor, WorklistQuery(unread=True), place.time + 1000)
    lists.unread(place.time + 1000)
    # what supervisors cause: a move that phones are told of later, a deletion, an undelete
    move(store, CATALOG, Key("patients", "p1"), "team2", place.time + 1)
    place.follow()
    list(place.puller.start(caller, Start(1, hold=True), place.time).items)
    phone.delete("patients", "p1")
    phone.sync()
    place.follow()
    for table in CATALOG.collections[:3]:
        gone = deleted.page(store, table, "team2", 1, None).records
        assert bool(gone) is (table.name == "patients")
    conflicts.page(store, "team1", 1, None)
    list(ledger.devices(store, "team1"))
    ledger.register(
        store, membership.Caller("chw1", "chw", "another"), ["team1"], "token", place.time
    )
    phone.save("patients", "p2", demographics={}, scope_id="team1")
    phone.save("cases", "c2", patient_id="p2", risk_level="red", triage_data={}, image_keys=[])
    phone.sync()
    boss = membership.Caller("boss1", "supervisor", "desk")
    for team in ("team1", "team2"):
        place.join("boss1", team, "supervisor")
    p2 = Key("patients", "p2")
    assert moves.move(store, CATALOG, boss, p2, "team2", place.time, dry_run=True).counts
    days_of_all = Wanted(["team1"], list(CATALOG.by_name), since_ms=0)
    assert list(stream.pieces(store, CATALOG, days_of_all, "fhir", boss, place.now_ms, Mapper()))
    list(inbox.entries(store, "team1"))
    membership.members(store, "team1")
    session.live(store, "chw1")
    list(invite.of_scope(store, "team1"))
    # what the schedule causes, a year later too
    Sealer(store).seal(place.time)
    place.time += YEAR
    purge = Purger(store, CATALOG, keep_days=1).purge
    sweeper = Sweeper(
        store,
        place.worker(),
        wiring.doorbell(),
        rung_kinds=(ANALYSE,),
        own_kinds=(),
        clock=place.now_ms,
        rounds={"purged": purge, "receipts": partial(receipts.remove_expired, store)},
    )
    sweeper.sweep()
    # what operators cause
    for named in ("p2", "chw1"):
        export(store, CATALOG, named, place.time)
    erase(store, CATALOG, "p2", place.time, place.follow)
    assert not audit.is_known(store, "team9")
    for scope in audit.stray(store):
        audit.verify(store, scope, list(audit.heads(store)))
    monkeypatch.setattr(wiring, "settings", lambda: Settings(data_folder=str(tmp_path)))
    for words in (
        "jobs list",
        "jobs list --state parked",
        "jobs redrive",
        "users list",
        "scopes",
        "invites list team1",
        "audit tail team1",
        f"records export team1 --to {tmp_path}/rows",
        f"records fhir team1 --to {tmp_path}/fhir",
    ):
        assert main(words.split()) == 0
    for wanted in (trail.TrailWanted("chw1"), trail.TrailWanted(scope_id="team1", from_ms=1)):
        trail.page(store, wanted, None)
    stuck_jobs.listed(store, ["team1"], wall_ms() + YEAR)
    Migrator(store, CATALOG, restamp("patients"), batch=1).run()
    hemoday(store)
    medmind(store)
    buildtrace(store)
    backup.export(store, io.StringIO())
    backup.holds_records(store)
    store.close()
    found = dict(SHAPES.seen)
    SHAPES.seen.update(before)
    return found


def hemoday(store: RecordStore) -> None:
    """What HemoDay asks beside the engine."""
    families = Households(store, FAMILY_TABLES, beside={TEXTS: DOCUMENTS})
    for _ in ("read whole", "what changed since"):
        families.of("team1")
    store.commit([put(Key(DOCUMENTS, "d1"), {"scope_id": "team1"}, None)])
    families.of("team1")  # a document, with its texts
    home = Home(store, wall_ms() + YEAR)
    home.join("anna", "team1", "owner")
    home.remind(remind_at=home.time)
    home.sweep()
    reminders.remove_expired(store, home.time + YEAR)
    phones_of(store, "anna")


#: An event of what was taken as needed.
_TAKEN = {"dose": "i1_00000000_7", "kind": "taken", "scope_id": "team1", "author_id": "anna"}


def medmind(store: RecordStore) -> None:
    """What MedMind asks beside the engine."""
    item, now = Key("medication_plan_items", "i1"), wall_ms()
    kept = [{"since": 0, "starts_on": "2026-03-02", "times": ["08:00"]}]
    fields = {VERSIONS: kept, "scope_id": "team1", "plan_id": "p1", "most_a_day": 1}
    pills = {"medication_id": "m1", "scope_id": "team1"}
    store.commit(
        [
            put(item, {**fields, "frequency": "as_needed"}, None),
            put(Key("medication_plans", "p1"), pills, None),
            put(Key("medications", "m1"), {"name": "Pills", "stock": 9, "scope_id": "team1"}, None),
            put(Key("dose_events", "e1"), {**_TAKEN, "at": now, "heard_at": now}, None),
            put(
                Key("dose_news", "e1"), {**_TAKEN, "item_id": "i1", "dose_id": _TAKEN["dose"]}, None
            ),
            dosing("i1", "team1", now),
        ]
    )
    tasks = {DOSING: Dosing(store), STOCK: Stocktaking(store)}
    runner = Runner(store, tasks, policy=RetryPolicy(), lease_ms=60_000, clock=lambda: now)
    for kind in tasks:
        assert set(runner.run_due(kind, 60).states.values()) == {"queued"}
    circle = Circle(store, wall_ms())
    circle.raises("notice", "low_stock")
    circle.sweep()
    assert circle.told() != []
    alert_events.remove_expired(store, circle.time + YEAR)
    # at a noon in Kolkata: just after midnight a day has ended that nobody took anything on; some days ago,
    # so that the device shows none of these doses
    summed_up(store, now - now % 86_400_000 - 3 * 86_400_000 + 6 * 3_600_000 + 30 * 60_000)
    settings = Settings()

    def nothing(*_: object) -> Any:
        raise AssertionError("it is not asked for")

    parts = Parts(settings, wall_ms, lambda: store, *(nothing,) * 11)
    membership.grant(store, "table-1", "team1", "device", now)
    url = Request(EnvironBuilder(path="/devices/table-1/schedule").get_environ())
    said = ask(url, device.routes(parts), settings, Caller("table-1", "device", "table-1"))
    assert said.status_code == 200
    looked_at(store, parts)
    device.silent(store, now)
    PlanFacts.of(store, "team1", now)
    [place] = said_before.places(["a headache"], None)
    said_before.columns(store, "team1", place, now)
    voice.forgotten(store, nothing, now)
    understanding.remove_expired(store, now)
    reports(store, parts, now)
    for query in ("summaries", "summaries?period=week", "insights", "dashboard"):
        path, _, more = query.partition("?")
        url = Request(EnvironBuilder(path=f"/api/v1/{path}", query_string=more).get_environ())
        membership.grant(store, "doctor-1", "team1", "doctor", now)
        caller = Caller("doctor-1", "doctor", "phone")
        assert ask(url, summary_routes.routes(parts), settings, caller).status_code == 200


def reports(store: RecordStore, parts: Parts, now: int) -> None:
    """A report is listed, and made."""
    membership.grant(store, "doctor-1", "team1", "doctor", now)
    row: dict[str, Any] = {"first_day": "2026-03-01", "last_day": "2026-03-02", "language": "en"}
    row |= {"asked_by": "doctor-1", "asked_at": now, "scope_id": "team1"}
    store.commit([put(Key("health_reports", "r1"), row, None)])
    for path in ("/api/v1/reports", "/api/v1/reports/r1"):
        url = Request(EnvironBuilder(path=path).get_environ())
        caller = Caller("doctor-1", "doctor", "phone")
        assert ask(url, report.routes(parts), parts.settings, caller).status_code == 200


def looked_at(store: RecordStore, parts: Parts) -> None:
    """What people of a circle ask."""
    membership.grant(store, "daughter", "team1", "caregiver", wall_ms())
    caller = Caller("daughter", "caregiver", "console")
    routes = (*circle.routes(parts), *circle_alerts.routes(parts), *circle_said.routes(parts))
    for path in ("doses", "plan", "devices", "alerts", "said"):
        url = Request(EnvironBuilder(path=f"/api/v1/circle/{path}").get_environ())
        assert ask(url, routes, parts.settings, caller).status_code == 200


def buildtrace(store: RecordStore) -> None:
    """What BuildTrace asks beside the engine: a comparison whose sheets and one pair are read already."""
    now, scope = wall_ms(), "team1"
    membership.grant(store, "finn", scope, "owner", now)
    rows: dict[Key, dict[str, Any]] = {
        Key("drawings", "w1"): {"name": "House"},
        Key("comparisons", "k1"): {
            **begun("k1", OCR),
            "drawing_id": "w1",
            "old_revision_id": "v1",
            "new_revision_id": "v2",
        },
    }
    for name in ("v1", "v2"):
        rows[Key("revisions", name)] = {"drawing_id": "w1", "state": "read", "sheet_count": 1}
        sheet = {"revision_id": name, "place": 1, "number": "A-101", "_content": name}
        rows[Key("sheets", f"s-{name}")] = sheet
        rows[Key("sheet_facts", f"s-{name}")] = {"facts": '{"number": "A-101"}'}
    kept = {"comparison_id": "k0", "place": 1, "outcome": "same"}
    kept["_content"] = made_id("v1", "v2", processing.COMPARER)
    rows[Key("sheet_pairs", "p0")] = kept
    rows[Key("changes", "c0")] = {
        "pair_id": "p0",
        "comparison_id": "k0",
        "place": 1,
        "kind": "added",
        "width_mm": 9.0,
        "height_mm": 9.0,
    }
    store.commit([put(key, {**fields, "scope_id": scope}, None) for key, fields in rows.items()])
    store.commit(begin("k1", scope, now))

    def nothing(*_: object) -> Any:
        raise AssertionError("it is not asked for")

    parts = Parts(
        Settings(), wall_ms, lambda: store, *(nothing,) * 8, lambda _bells: None, *(nothing,) * 2
    )
    runner = Runner(
        store,
        BUILDTRACE.tasks(parts),
        policy=RetryPolicy(),
        lease_ms=60_000,
        clock=lambda: now,
    )
    for kind in (OCR, DIFF, DIFF, DIFF, SUMMARY):
        runner.run_due(kind, 600)
    found = store.read([Key("comparisons", "k1")]).documents[Key("comparisons", "k1")]
    assert found.fields["state"] == "done", found.fields
    sheets = ocr.OcrStage(store, nothing, nothing)
    assert sheets._known("v1") is not None
    revision = store.read([Key("revisions", "v1")]).documents[Key("revisions", "v1")]
    attachments()["revisions"].settled(Settled(store, revision, {"set.pdf": "f1"}, now))
    caller = Caller("finn", "owner", "finn-phone")
    for path in (
        "drawings",
        "comparisons/k1",
        "comparisons/k1/changes",
        "comparisons/k1/changes.csv",
        "comparisons/k1/summary.pdf",
    ):
        url = Request(EnvironBuilder(path=f"/api/v1/{path}").get_environ())
        said = ask(url, BUILDTRACE.routes(parts), Settings(), caller)
        assert said.status_code == 200, said.data


def summed_up(store: RecordStore, now: int) -> None:
    """Twice: for the first time, and as something new is there."""
    patient, job = (
        Key("patients", "team1"),
        jobs.create("summaries~team1", SUMMARIES, "patients", "team1", "team1", now),
    )
    taken = {"scope_id": "team1", "item_id": "i2", "state": "on_time", "event_id": "e1"}
    store.commit([put(patient, {"scope_id": "team1", "time_zone": "Asia/Kolkata"}, None)])
    for days in (2, 1):
        fields = {**taken, "due_at": now - days * 86_400_000}
        dose = Key("dose_occurrences", f"i2_00000000_{days:012}")  # taken as needed
        store.commit([put(dose, fields, None), job])
        tasks = {SUMMARIES: Summarise(store, lambda: Terms(ScriptedModel(MEDMIND.draft), 1024, 30))}
        runner = Runner(store, tasks, policy=RetryPolicy(), lease_ms=60_000, clock=lambda: now)
        assert set(runner.run_due(SUMMARIES, 60).states.values()) == {"queued", "done"}
    assert [each.fields["as_needed"] for each in store.query(Query(DAILY))] == [1, 1]


def test_every_place_that_asks_a_store_was_made_to_ask(asked: dict[Shape, set[str]]) -> None:
    places = {place for several in asked.values() for place in several}
    assert shapes.sites() - places == set()


def test_every_shape_has_its_index(asked: dict[Shape, set[str]]) -> None:
    assert [str(shape) for shape in asked if needs_index(shape)] == []
    assert SHAPES.faults() == []


def test_every_index_has_its_query(asked: dict[Shape, set[str]]) -> None:
    """An index that nobody uses is paid for with every write.

    Asked is as DermaDetect asks. Tables of other products have the same indexes, made by `of_table`.
    """
    composite, single, _ = shapes.declared()
    used = {index for shape in asked for index in shapes.indexes_for(shape)}
    deployed = {each.name for each in indexes.declared("dermadetect")}
    made = {index for index in composite | single if index[0] in deployed}
    assert sorted(made - used) == []


def test_sqlite_sorts_and_looks_through_no_collection(
    store: Traced, asked: dict[Shape, set[str]]
) -> None:
    """An index of SQLite has, like Firestore's, only documents with all of its fields: would one serve
    no query any more, SQLite would say nothing and look through everything.
    """
    assert asked
    found = []
    with closing(sqlite3.connect(store._path)) as db:
        for statement in store.statements:
            asks = statement.startswith("SELECT") and ' FROM "c__' in statement
            # but for who wants all of a collection, or looks into lists
            if not asks or '" WHERE TRUE ' in statement or "json_each(" in statement:
                continue
            for row in db.execute(f"EXPLAIN QUERY PLAN {statement}"):
                sorts = "TEMP B-TREE" in row[3] and not _OF_A_LIST.search(statement)
                if sorts or row[3].startswith("SCAN c__"):
                    found.append((row[3], statement))
    assert found == []


def test_the_list_is_made_of_the_declarations() -> None:
    listed = (shapes.ROOT / "infra" / "firestore.indexes.json").read_text("utf-8")
    assert listed == indexes.text(), "make generated"
    deployed = (shapes.ROOT / "infra" / "collections.json").read_text("utf-8")
    assert deployed == indexes.collections(), "make generated"


def test_what_several_modules_declare_of_a_collection_is_one_list() -> None:
    several = [
        StoredCollection("b", (("at",), ("kind", "at desc"))),
        StoredCollection("a"),
        StoredCollection("b", (("at",), ("tags contains",))),
    ]
    asked = {"queryScope": "COLLECTION"}
    assert indexes.document(several) == {
        "indexes": [
            {
                "collectionGroup": "b",
                **asked,
                "fields": [
                    {"fieldPath": "kind", "order": "ASCENDING"},
                    {"fieldPath": "at", "order": "DESCENDING"},
                ],
            }
        ],
        "fieldOverrides": [
            {"collectionGroup": "a", "fieldPath": "*", "indexes": []},
            {"collectionGroup": "b", "fieldPath": "*", "indexes": []},
            {
                "collectionGroup": "b",
                "fieldPath": "at",
                "indexes": [{"order": "ASCENDING", **asked}],
            },
            {
                "collectionGroup": "b",
                "fieldPath": "tags",
                "indexes": [{"arrayConfig": "CONTAINS", **asked}],
            },
        ],
    }


#: Fields whose values rise with the clock, and fields with so few values that they spread nothing.
RISING = {
    "at",
    "created_at",
    "due_at",
    "expires_at",
    "late_at",
    "look_at",
    "signed_at",
    "updated_at",
}
FEW = {"kind", "open", "sealed", "state", "status", "unread", "urgent", "_rank", "_waits"}

#: Indexes that grow at one place all the same, which Firestore bounds at 500 writes a second for the whole
#: deployment, and what writes there.
AT_ONE_PLACE = {
    ("jobs", "due_at"): "a red case, and each attempt",
    ("jobs", "late_at"): "a red case",
    ("jobs", "expires_at"): "an event at an endpoint",
    ("hook_events", "due_at"): "a red case, an analysis, a signature",
    ("hook_events", "expires_at"): "the same",
    ("notices", "due_at"): "an analysis",
    ("notices", "expires_at"): "an analysis",
    ("reviews", "signed_at"): "a signature",
    ("blobs", "look_at"): "a photo",
    ("sessions", "expires_at"): "a log-in, a refreshed token",
    ("throttles", "expires_at"): "a wrong password",
    ("invites", "expires_at"): "an invite",
    ("resets", "expires_at"): "a forgotten password",
    ("spending", "expires_at"): "a day",
    ("voice_utterances", "expires_at"): "something said to a device",
    ("llm_requests", "expires_at"): "the same",
}

#: Indexes of whole days: within one, the ids spread the entries.
BY_DAY = {
    (each, "expires_at") for each in ("devices", "quarantine", "reminded", "notification_events")
}


def test_no_index_at_the_rate_of_syncs_grows_at_one_place() -> None:
    declared = json.loads((shapes.ROOT / "infra" / "firestore.indexes.json").read_text("utf-8"))
    composite = [
        (row["collectionGroup"], [field["fieldPath"] for field in row["fields"]])
        for row in declared["indexes"]
    ]
    single = [
        (row["collectionGroup"], [row["fieldPath"]])
        for row in declared["fieldOverrides"]
        if row["indexes"]
    ]
    found = set()
    for collection, fields in composite + single:
        leading = next((field for field in fields if field not in FEW), None)
        if leading in RISING:
            found.add((collection, leading))
    assert found == set(AT_ONE_PLACE) | BY_DAY


@pytest.mark.parametrize("now_ms", [1, YEAR, YEAR + 86_399_999])
def test_what_is_said_to_end_with_a_day_does(now_ms: int) -> None:
    kept = (ledger.ends(now_ms), ledger.KEPT_MS), (journal.ends(now_ms), journal.KEPT_MS)
    for ends, kept_ms in kept:
        assert ends % 86_400_000 == 0
        assert kept_ms < ends - now_ms <= kept_ms + 86_400_000


def test_every_collection_is_exempt_from_automatic_indexes(
    asked: dict[Shape, set[str]],
) -> None:
    assert {shape.collection for shape in asked} <= shapes.declared()[2]


@pytest.mark.parametrize(
    ("query", "needed"),
    [
        (Query("jobs"), False),
        (Query("jobs", (("state", "in", ["a"]),)), False),
        (Query("jobs", (("kind", "==", "a"),)), True),
        (Query("jobs", (("kind", "==", "a"), ("due_at", "<", 1)), (("due_at", "asc"),)), False),
        (Query("jobs", (("kind", "==", "a"), ("due_at", "<", 1)), (("due_at", "desc"),)), True),
        (Query("jobs", (("state", "==", "a"), ("due_at", "<", 1)), (("due_at", "asc"),)), True),
        (Query("devices", (("scopes", "contains", "a"),)), False),
        (Query("devices", (("scopes", "==", "a"),)), True),
        (Query("new_collection", (("anything", "==", "a"),)), False),
        (Query("new_collection", (("anything", "==", "a"),), (("other", "asc"),)), True),
    ],
    ids=lambda value: str(Shape.of(value)) if isinstance(value, Query) else None,
)
def test_a_shape_without_its_index_is_seen(query: Query, needed: bool) -> None:
    assert needs_index(Shape.of(query)) is needed
