"""Phones with the kit against a server that answers as told: every error ends as the guide says.

The stories of this folder run them against the real one.
"""

from __future__ import annotations

import gzip
import json
import subprocess
import threading
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import parse_qs

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis
from hypothesis import strategies as st

from shared.api import schema_js
from shared.products.dermadetect.tables import CATALOG
from shared.records import record
from shared.records.collection import Catalog, Collection, Field, Owner, Type
from shared.sync.dialects import watermelon
from shared.sync.digest import RunningDigest
from tests.mobile import BatchPhone, Json, KitPhone, SyncFailed
from tests.mobile.conftest import BUILT
from tests.tables import table
from tests.test_docs import GUIDE

pytestmark = pytest.mark.proof


# --- a server that answers as told


class Asked(NamedTuple):
    """A request as it came; `body` inflated."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes

    def value(self) -> Any:
        return json.loads(self.body)


Answer = tuple[int, Json | bytes] | tuple[int, Json | bytes, dict[str, str]]


class Scripted:
    """Answers by `reply`, and gives new tokens; keeps what it was asked."""

    def __init__(self) -> None:
        self.asked: list[Asked] = []
        self.reply: Callable[[Asked], Answer] = lambda _: (500, {})
        outer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None: ...

            def answer(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                if self.headers.get("Content-Encoding") == "gzip":
                    body = gzip.decompress(body)
                asked = Asked(self.command, self.path, dict(self.headers.items()), body)
                status, value, *more = outer.answer(asked)
                data = value if isinstance(value, bytes) else json.dumps(value).encode()
                self.send_response(status)
                for name, text in (more[0] if more else {}).items():
                    self.send_header(name, text)
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

            do_GET = do_POST = do_PUT = answer

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        threading.Thread(target=self.server.serve_forever, args=(0.02,), daemon=True).start()

    def answer(self, asked: Asked) -> Answer:
        if asked.path == "/api/v1/auth/refresh":
            return 200, {"access_token": "second", "refresh_token": "third"}
        self.asked.append(asked)
        return self.reply(asked)

    def close(self) -> None:
        self.server.shutdown()
        self.server.server_close()


@pytest.fixture
def server() -> Iterator[Scripted]:
    made = Scripted()
    yield made
    made.close()


@pytest.fixture
def melon(server: Scripted, kit: Path) -> Iterator[KitPhone]:
    with KitPhone(kit, server.url, "first", "aminas-phone", fresh="second") as phone:
        yield phone


@pytest.fixture
def batch(server: Scripted, kit: Path) -> Iterator[BatchPhone]:
    with BatchPhone(kit, server.url, "first", "aminas-phone", fresh="second") as phone:
        yield phone


def error(code: str) -> Json:
    return {"error": {"code": code, "message": "…", "request_id": "r1"}}


def melon_answer(asked: Asked) -> Answer:
    if asked.method == "GET":
        return 200, {"changes": {}, "timestamp": 1772323260000}
    return 200, {"receipt": {"id": "r", "digest": {}}}


def batch_answer(asked: Asked) -> Answer:
    changes = asked.value().get("changes", {})
    return 200, {
        "new_sync_timestamp": 1772323260,
        "server_updates": {},
        "deleted": {},
        "accepted": {table: [row["id"] for row in rows] for table, rows in changes.items()},
        "conflicts": [],
        "rejected": [],
        "has_more": False,
        "next_page": None,
        "clock_offset_ms": 0,
        "receipt": None if not changes else {"id": "r", "digest": {}},
    }


# --- what follows from every error

#: Errors that only an answer to a push can be.
OF_PUSHES = {"stale_push", "request_too_large", "invalid_json", "unsupported_encoding"}


def test_the_watermelon_client_does_what_the_guide_says(server: Scripted, melon: KitPhone) -> None:
    melon.create("patients", "p1", demographics="{}")
    for code, status, expected, *_ in table(GUIDE, "error code"):
        name = code.strip("`")

        def reply(asked: Asked, name: str = name, status: str = status) -> Answer:
            if name in OF_PUSHES and asked.method == "GET":
                return melon_answer(asked)
            return int(status), error(name)

        server.reply = reply
        said = melon.call()
        assert (said["next"], said["code"]) == (expected.strip("`"), name), said
        assert melon.unsynced()
    server.reply = melon_answer
    assert melon.call()["next"] == "rest"
    assert not melon.unsynced()


def test_the_batch_client_does_what_the_guide_says(server: Scripted, batch: BatchPhone) -> None:
    batch.save("patients", "p1", demographics={})
    for code, status, _, expected, *_ in table(GUIDE, "error code"):
        if expected == "–":
            continue
        name = code.strip("`")
        answer = (int(status), error(name))
        server.reply = lambda _, answer=answer: answer
        said = batch.call()
        assert (said["next"], said["code"]) == (expected.strip("`"), name), said
        assert list(batch.kept("edit/")) == ["edit/patients/p1"]
    server.reply = batch_answer
    assert batch.call()["next"] == "rest"
    assert batch.kept("edit/") == {}


@pytest.mark.parametrize("kind", [KitPhone, BatchPhone])
def test_what_passes_is_tried_again_later_and_later(
    server: Scripted, kit: Path, kind: type[KitPhone | BatchPhone]
) -> None:
    with kind(kit, server.url, "t", "d") as phone:
        server.reply = lambda _: (503, error("busy"), {"Retry-After": "400"})
        for _ in range(12):
            seconds = phone.call()["seconds"]
            assert 400 <= seconds <= 700
        # full jitter: the pauses differ, and grow up to five minutes
        server.reply = lambda _: (500, error("internal"))
        pauses = [phone.call()["seconds"] for _ in range(30)]
        assert max(pauses) <= 300
        assert max(pauses) > 60
        assert len(set(pauses)) == 30
        # no network, an answer that is cut, a page of a proxy
        for broken in (b'{"changes":{"patients"', b"<html>"):
            server.reply = lambda _, broken=broken: (200, broken)
            assert phone.call()["next"] == "retry"
        server.reply = lambda _: (502, b"<html>")
        assert phone.call()["next"] == "retry"
        phone.settings(url="http://127.0.0.1:9")
        assert phone.call()["next"] == "retry"


@pytest.mark.parametrize("kind", [KitPhone, BatchPhone])
def test_an_expired_token_is_refreshed_once_and_the_sync_goes_on(
    server: Scripted, kit: Path, kind: type[KitPhone | BatchPhone]
) -> None:
    def reply(asked: Asked) -> Answer:
        if asked.headers["Authorization"] != "Bearer second":
            return 401, error("token_expired")
        return melon_answer(asked) if "v1" in asked.path else batch_answer(asked)

    server.reply = reply
    with kind(kit, server.url, "first", "d", fresh="second") as phone:
        assert phone.call()["next"] == "rest"
        assert len(server.asked) == 2


# --- what the requests say


def test_a_watermelon_phone_says_who_it_is(server: Scripted, melon: KitPhone) -> None:
    server.reply = melon_answer
    melon.create("patients", "p1", demographics=json.dumps({"note": "x" * 2000}))
    melon.sync()
    pull, push = server.asked
    assert pull.path.startswith("/api/v1/sync?last_pulled_at=null&schema_version=1&migration=null&")
    assert push.path == "/api/v1/sync?last_pulled_at=1772323260000&device_id=aminas-phone"
    assert {"device_id=aminas-phone", "created_as_updated=1", "limit=500"} <= set(
        pull.path.split("&")
    )
    for asked in (pull, push):
        assert asked.headers["X-App-Version"] == "1.4.0"
        assert 1e12 < float(asked.headers["X-Client-Time"]) < 1e14
    assert push.headers["Content-Encoding"] == "gzip"
    assert push.value()["patients"]["created"][0]["id"] == "p1"


def test_a_batch_phone_says_who_it_is(server: Scripted, batch: BatchPhone) -> None:
    server.reply = batch_answer
    batch.save("patients", "p1", demographics={"note": "x" * 2000})
    batch.sync()
    [asked] = server.asked
    assert asked.headers["X-App-Version"] == "1.4.0"
    assert 1e9 < float(asked.headers["X-Client-Time"]) < 1e11
    assert asked.headers["Content-Encoding"] == "gzip"
    body = asked.value()
    assert (body["device_id"], body["last_sync_timestamp"]) == ("aminas-phone", 0)
    [row] = body["changes"]["patients"]
    assert (row["sync_status"], row["id"]) == ("new", "p1")


def test_an_installation_makes_its_id_once(server: Scripted, melon: KitPhone) -> None:
    melon.reset()
    made = melon.do("device")
    assert record.valid_id(made)
    assert melon.do("device") == made
    melon.reset()
    assert melon.do("device") != made


def test_a_batch_request_without_an_answer_is_sent_again_as_it_was(
    server: Scripted, batch: BatchPhone
) -> None:
    batch.save("patients", "p1", demographics={"v": 1})
    server.reply = lambda _: (503, error("busy"))
    batch.call()
    batch.save("patients", "p1", demographics={"v": 2})
    batch.call()
    server.reply = batch_answer
    batch.call()
    first, second, third, fourth = (asked.body for asked in server.asked)
    assert first == second == third != fourth
    assert json.loads(fourth)["changes"]["patients"][0]["demographics"] == {"v": 2}
    assert batch.kept("edit/") == {}


# --- what a batch phone names, and what it takes over


def sent_by(asked: Asked) -> Json:
    [[row]] = asked.value()["changes"].values()
    return dict(row)


def test_a_batch_phone_names_what_changed_until_it_is_accepted(
    server: Scripted, batch: BatchPhone
) -> None:
    # given a new record: all of it is new
    batch.save("cases", "c1", triage_data={"v": 1})
    batch.save("cases", "c1", image_keys=["1"])
    server.reply = batch_answer
    batch.call()
    assert "changed" not in sent_by(server.asked[-1])
    # when it is edited twice, and the answer to the first edit is lost
    batch.save("cases", "c1", triage_data={"v": 2})
    server.reply = lambda _: (503, error("busy"))
    batch.call()
    batch.save("cases", "c1", image_keys=["2"])
    [edit] = batch.kept("edit/").values()
    assert set(edit["changed"]) == {"triage_data", "image_keys"}
    server.reply = batch_answer
    batch.call()
    # then the same bytes come first, and after them only what has changed since; whole rows each time
    first, again, later = (sent_by(asked) for asked in server.asked[1:4])
    assert first == again
    assert (first["changed"], first["triage_data"]) == (["triage_data"], {"v": 2})
    assert (later["changed"], later["image_keys"]) == (["image_keys"], ["2"])
    assert later["triage_data"] == {"v": 2}
    assert first["created_at"] == later["created_at"]
    assert batch.kept("edit/") == {}


def test_news_of_a_record_are_laid_over_what_the_phone_holds(
    server: Scripted, batch: BatchPhone
) -> None:
    def reply(asked: Asked) -> Answer:
        status, value, *_ = batch_answer(asked)
        assert isinstance(value, dict)
        news = {"id": "p1", "scope_id": "team", "chw_id": "amina"}
        return status, {**value, "server_updates": {"patients": [news]}}

    server.reply = reply
    batch.save("patients", "p1", demographics={"v": 1})
    batch.call()
    row = batch.row("patients", "p1")
    assert row is not None
    assert (row["demographics"], row["chw_id"], row["scope_id"]) == ({"v": 1}, "amina", "team")


@pytest.mark.parametrize("kind", [KitPhone, BatchPhone])
def test_what_the_server_left_out_is_logged_for_the_developer(
    server: Scripted, kit: Path, kind: type[KitPhone | BatchPhone]
) -> None:
    left = {"table": "patients", "field": "colour", "code": "unknown_column", "message": "…"}

    def reply(asked: Asked) -> Answer:
        status, value, *_ = melon_answer(asked) if "v1" in asked.path else batch_answer(asked)
        assert isinstance(value, dict)
        return status, {**value, "ignored": [left]} if asked.method == "POST" else value

    server.reply = reply
    with kind(kit, server.url, "t", "d") as phone:
        if isinstance(phone, KitPhone):
            phone.create("patients", "p1", demographics="{}")
        else:
            phone.save("patients", "p1", demographics={})
        assert phone.call()["next"] == "rest"
        [said] = phone.logged()
        assert "unknown_column" in said
        assert "colour" in said


# --- pages


def paged(asked: Asked) -> tuple[str | None, int]:
    """The page and the limit that a request names."""
    if asked.method == "POST":
        return asked.value().get("page"), asked.value()["limit"]
    query = parse_qs(asked.path.partition("?")[2])
    return (query["page"][0] if "page" in query else None), int(query["limit"][0])


def page_answer(asked: Asked, follows: str | None) -> Answer:
    status, value, *_ = melon_answer(asked) if "v1" in asked.path else batch_answer(asked)
    assert isinstance(value, dict)
    return status, {**value, "has_more": follows is not None, "next_page": follows}


@pytest.mark.parametrize("kind", [KitPhone, BatchPhone])
def test_a_page_that_fails_is_asked_for_again_with_half_the_rows(
    server: Scripted, kit: Path, kind: type[KitPhone | BatchPhone]
) -> None:
    def reply(asked: Asked) -> Answer:
        page, limit = paged(asked)
        if limit > 100:
            return 200, b'{"changes":{"pati'  # the line broke
        return page_answer(asked, {None: "two", "two": "three", "three": None}[page])

    server.reply = reply
    with kind(kit, server.url, "t", "d") as phone:
        for _ in range(9):
            if phone.call()["next"] == "rest":
                break
            phone.restart()
        taken = [page for page, limit in map(paged, server.asked) if limit <= 100]
        assert taken == [None, "two", "three"]
        sizes = [limit for _, limit in map(paged, server.asked)]
        assert sizes[:3] == [500, 250, 125]
        assert min(sizes) >= 25


@pytest.mark.parametrize("code", ["page_expired", "invalid_cursor"])
@pytest.mark.parametrize("kind", [KitPhone, BatchPhone])
def test_a_page_that_is_too_old_begins_the_listing_anew(
    server: Scripted, kit: Path, kind: type[KitPhone | BatchPhone], code: str
) -> None:
    server.reply = lambda asked: (
        page_answer(asked, "two") if paged(asked)[0] is None else (410, error(code))
    )
    with kind(kit, server.url, "t", "d") as phone:
        phone.call()
        server.reply = lambda asked: page_answer(asked, "two" if paged(asked)[0] is None else None)
        assert phone.call()["next"] == "rest"
        assert [page for page, _ in map(paged, server.asked)] == [None, "two", None, "two"]


def test_a_long_pull_that_holds_deletions_back_comes_in_one_go(
    server: Scripted, melon: KitPhone
) -> None:
    """Its timestamp lies before the deletions; that of a last page would skip them for ever."""
    server.reply = melon_answer
    melon.sync()
    held = {"changes": {}, "timestamp": 1772323260005, "sync_again": True}

    def reply(asked: Asked) -> Answer:
        if "limit=" in asked.path and "last_pulled_at=1772323260000" in asked.path:
            return 200, {**held, "timestamp": 1772323260000, "has_more": True, "next_page": "two"}
        return 200, held if "last_pulled_at=1772323260000" in asked.path else {
            **held, "sync_again": False,
        }  # fmt: skip

    server.reply = reply
    melon.sync()
    paths = [asked.path for asked in server.asked[1:]]
    assert not any("page=" in path for path in paths)
    assert ["limit=" in path for path in paths] == [True, False, True]
    assert "last_pulled_at=1772323260005" in paths[-1]


def test_edits_go_before_the_next_page_and_their_own_page_is_left_alone(
    server: Scripted, batch: BatchPhone
) -> None:
    # given a listing that has broken off at its second page, and an edit
    server.reply = lambda asked: (
        page_answer(asked, "two") if paged(asked)[0] is None else (503, error("busy"))
    )
    batch.call()
    batch.save("patients", "p1", demographics={})
    asked_before = len(server.asked)

    def reply(asked: Asked) -> Answer:
        if not asked.value().get("changes"):
            return page_answer(asked, None)
        status, value, *_ = page_answer(asked, "another listing")
        assert isinstance(value, dict)
        news = [{"id": "p1", "chw_id": "amina"}, {"id": "of others", "demographics": {}}]
        return status, {**value, "server_updates": {"patients": news}, "deleted": {"cases": ["c1"]}}

    # when the phone syncs
    server.reply = reply
    assert batch.call()["next"] == "rest"
    # then the edit went alone, the listing went on, and one more sync brings what the edit led to
    pages = [
        (len(asked.value().get("changes", {})), *paged(asked))
        for asked in server.asked[asked_before:]
    ]
    assert pages == [(1, None, 1), (0, "two", 500), (0, None, 500)]
    assert set(batch.kept("row/")) == {"row/patients/p1"}
    assert batch.kept("row/")["row/patients/p1"]["chw_id"] == "amina"
    assert batch.kept("reading") == batch.kept("sent") == {}


def test_a_row_that_was_edited_again_is_passed_over_and_the_cursor_waits(
    server: Scripted, batch: BatchPhone
) -> None:
    batch.save("patients", "p1", demographics={"v": 1})
    server.reply = lambda _: (503, error("busy"))
    batch.call()
    batch.save("patients", "p1", demographics={"v": 2})

    def reply(asked: Asked) -> Answer:
        status, value, *_ = batch_answer(asked)
        assert isinstance(value, dict)
        row = {"id": "p1", "demographics": {"v": "theirs"}, "scope_id": "team"}
        return status, {**value, "server_updates": {"patients": [row]}}

    server.reply = reply
    batch.call()
    _, again, edit, *_ = server.asked
    assert again.value() == server.asked[0].value()
    # nobody has looked at that row: the cursor may not say so
    assert edit.value()["last_sync_timestamp"] == 0
    assert sent_by(edit)["demographics"] == {"v": 2}


def test_edits_whose_request_breaks_off_again_and_again_go_in_halves(
    server: Scripted, batch: BatchPhone
) -> None:
    for number in range(4):
        batch.save("patients", f"p{number}", demographics={})

    def reply(asked: Asked) -> Answer:
        if len(asked.value().get("changes", {}).get("patients", ())) > 2:
            return 200, b'{"accepted":{"pati'
        return batch_answer(asked)

    server.reply = reply
    assert [batch.call()["next"] for _ in range(4)] == ["retry", "retry", "retry", "rest"]
    assert batch.kept("edit/") == {}
    first, again, once_more, half, *_ = server.asked
    assert first.body == again.body == once_more.body
    assert len(half.value()["changes"]["patients"]) == 2


# --- large pushes, refusals, receipts


def too_large(limit: int) -> Callable[[Asked], Answer]:
    def reply(asked: Asked) -> Answer:
        if asked.method == "GET":
            return melon_answer(asked)
        body = asked.value()
        sets = body.get("changes", body)
        count = sum(
            len(rows) if isinstance(rows, list) else sum(map(len, rows.values()))
            for rows in sets.values()
        )
        if count > limit:
            return 413, error("request_too_large")
        return melon_answer(asked) if "v1" in asked.path else batch_answer(asked)

    return reply


def test_a_watermelon_push_that_is_too_large_goes_in_parts(
    server: Scripted, melon: KitPhone
) -> None:
    for number in range(5):
        melon.create("cases", f"c{number}", patient_id="p0", triage_data="{}")
        melon.create("patients", f"p{number}", demographics="{}")
    server.reply = too_large(3)
    melon.sync()
    assert not melon.unsynced()
    sent = [
        (table, row["id"])
        for asked in server.asked
        if asked.method == "POST"
        for table, sets in asked.value().items()
        for row in sets["created"]
    ]
    taken = sent[10:]  # the first request was refused whole; so was a half of it, each time
    order = list(dict.fromkeys(reversed(taken)))[::-1]
    assert {name for _, name in order} == {f"{kind}{n}" for kind in "pc" for n in range(5)}
    assert [table for table, _ in order] == ["patients"] * 5 + ["cases"] * 5


def test_a_batch_push_that_is_too_large_goes_in_parts(server: Scripted, batch: BatchPhone) -> None:
    for number in range(5):
        batch.save("cases", f"c{number}", patient_id="p0")
        batch.save("patients", f"p{number}", demographics={})
    server.reply = too_large(3)
    assert batch.call()["next"] == "rest"
    assert batch.kept("edit/") == {}
    small = [asked.value()["changes"] for asked in server.asked]
    tables = [name for sets in small for name, rows in sets.items() if len(rows) <= 3]
    assert tables.index("patients") < tables.index("cases")


def test_a_cursor_that_the_server_does_not_know_starts_anew(
    server: Scripted, batch: BatchPhone
) -> None:
    server.reply = batch_answer
    batch.call()
    server.reply = lambda _: (400, error("invalid_cursor"))
    batch.call()
    server.reply = batch_answer
    batch.call()
    assert [asked.value()["last_sync_timestamp"] for asked in server.asked] == [0, 1772323260, 0]


@pytest.mark.parametrize("code", ["moved", "deleted", "unknown_parent"])
def test_a_record_that_is_not_the_phones_any_more_is_dropped(
    server: Scripted, melon: KitPhone, code: str
) -> None:
    def reply(asked: Asked) -> Answer:
        if asked.method == "GET":
            return melon_answer(asked)
        refused = {"table": "cases", "id": "c1", "field": None, "code": code, "message": "…"}
        return 200, {
            "receipt": {"id": "r", "digest": {}},
            "experimentalRejectedIds": {"cases": ["c1"]},
            "rejected": [refused],
        }

    server.reply = reply
    melon.create("cases", "c1", patient_id="p1", triage_data="{}")
    melon.sync()
    [notice] = melon.shown()
    assert (notice["code"], notice["row"]["patient_id"]) == (code, "p1")
    let_go = code != "unknown_parent"
    assert (melon.rows("cases") == {}) is let_go
    assert melon.unsynced() is not let_go


def test_a_receipt_that_does_not_fit_leads_to_a_check(server: Scripted, melon: KitPhone) -> None:
    empty = {"count": 0, "hash": "0" * 64}

    def reply(asked: Asked) -> Answer:
        if "digest" in asked.path:
            tables = {item.name: empty for item in CATALOG.collections}
            return 200, {"timestamp": 1772323260000, "current": True, "tables": tables}
        if "replacement" in asked.path:
            sets: Json = {"created": [], "updated": [], "deleted": []}
            changes = {item.name: sets for item in CATALOG.collections}
            whole: Json = {"changes": changes, "timestamp": 1772323260001}
            return 200, {**whole, "experimentalStrategy": "replacement"}
        status, value, *_ = melon_answer(asked)
        if asked.method == "POST":
            value = {"receipt": {"id": "r", "digest": {"patients": {"count": 1, "hash": "0" * 64}}}}
        return status, value

    server.reply = reply
    melon.create_many("patients", [{"id": "p1", "demographics": "{}", "scope_id": "team"}])
    assert melon.call()["next"] == "rest"
    # the digest said that the server does not hold it: replaced
    assert any("digest" in asked.path for asked in server.asked)
    assert any("replacement" in asked.path for asked in server.asked)
    assert melon.rows("patients") == {}
    assert melon.do("storage", name="in_doubt") is None


def test_a_batch_receipt_that_does_not_fit_leads_to_a_check(
    server: Scripted, batch: BatchPhone
) -> None:
    empty = {"count": 0, "hash": "0" * 64}

    def reply(asked: Asked) -> Answer:
        if "digest" in asked.path:
            tables = {item.name: empty for item in CATALOG.collections}
            return 200, {"timestamp": 1772323260000, "current": True, "tables": tables}
        status, value, *_ = batch_answer(asked)
        assert isinstance(value, dict)
        if asked.value().get("changes"):
            value = {
                **value,
                "receipt": {"id": "r", "digest": {"patients": {"count": 1, "hash": "0"}}},
            }
        return status, value

    server.reply = reply
    batch.save("patients", "p1", demographics={}, scope_id="team")
    assert batch.call()["next"] == "rest"
    paths = [asked.path for asked in server.asked]
    assert paths[1] == "/api/v1/sync/digest?last_pulled_at=1772323260000"
    assert batch.kept("row/") == batch.kept("in_doubt") == {}


def test_errors_of_the_apps_own_code_are_reported(melon: KitPhone, server: Scripted) -> None:
    server.reply = lambda _: (200, {"changes": {}, "timestamp": "no number"})
    assert melon.call()["next"] == "report"
    with pytest.raises(SyncFailed, match="timestamp"):
        melon.sync()


# --- digests

EVERYTHING = Catalog(
    name="everything",
    scope_word="team",
    cascade=CATALOG.cascade,
    roles=CATALOG.roles,
    may=CATALOG.may,
    collections=(
        Collection("parents", "…", (Field("note", Type.STRING, "…"),)),
        Collection(
            "things",
            "One field of each type.",
            (
                Field("text", Type.STRING, "…"),
                Field("choice", Type.STRING, "…", choices=("a", "b")),
                Field("parent_id", Type.STRING, "…", references="parents"),
                Field("number", Type.NUMBER, "…"),
                Field("whole", Type.INTEGER, "…"),
                Field("flag", Type.BOOLEAN, "…"),
                Field("moment", Type.TIME, "…"),
                Field("json", Type.JSON, "…"),
                Field("strings", Type.STRINGS, "…"),
                Field("theirs", Type.STRING, "…", Owner.SERVER),
            ),
        ),
    ),
)

_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
_numbers = st.one_of(
    st.integers(-(2**53) + 1, 2**53 - 1),
    st.floats(-1e15, 1e15, allow_nan=False),
    st.sampled_from([0.0, -0.0, 1e-7, 1.5e-9, 5e-324, 0.1 + 0.2]),
)
_json = st.recursive(
    st.none() | st.booleans() | _numbers | _texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_texts, inner, max_size=3),
    max_leaves=8,
)
_things = st.fixed_dictionaries(
    {},
    optional={
        "text": _texts,
        "choice": st.sampled_from(["a", "b", ""]),
        "parent_id": st.sampled_from(["p1", ""]),
        "number": _numbers,
        "whole": st.integers(-(2**53) + 1, 2**53 - 1),
        "flag": st.booleans(),
        "moment": st.integers(0, 10**14),
        # as an app may have written it: in any order, with blanks
        "json": st.one_of(
            st.just(""), st.dictionaries(_texts, _json, max_size=4).map(lambda v: json.dumps(v, indent=1))
        ),
        "strings": st.one_of(st.just(""), st.lists(_texts, max_size=3).map(json.dumps)),
        "theirs": _texts,
    },
)  # fmt: skip

_SCRIPT = """
import { readFileSync } from 'node:fs'
import { tableDigest } from './dist/src/sync/digest.js'
import { sha256 } from './dist/src/sha256.js'
const { rows, kinds } = JSON.parse(readFileSync(0, 'utf8'))
console.log(JSON.stringify(rows.map((row) => tableDigest([row], kinds, sha256))))
"""


@hypothesis(max_examples=12, deadline=None)
@given(st.lists(_things, min_size=30, max_size=60))
@pytest.mark.usefixtures("kit")
def test_a_phone_computes_the_servers_hash_of_every_record(things: list[Json]) -> None:
    rows = [{**thing, "id": f"t{at}", "scope_id": "team"} for at, thing in enumerate(things)]
    kinds = schema_js.contents(EVERYTHING)["things"]
    done = subprocess.run(
        ["node", "--input-type=module", "-e", _SCRIPT],
        cwd=BUILT,
        input=json.dumps({"rows": rows, "kinds": kinds}),
        capture_output=True,
        text=True,
        check=True,
    )
    assert json.loads(done.stdout) == [digest_of(row) for row in rows]


def digest_of(row: Json) -> Json:
    """What the server makes of a row that a phone pushes."""
    push = watermelon.parse_push(
        {"things": {"created": [], "updated": [row], "deleted": []}},
        EVERYTHING,
        cursor_ms=0,
        fingerprint="",
        client_time_ms=None,
        now_ms=0,
    )
    assert not push.refusals, push.refusals
    [entry] = push.entries
    assert entry.coerced is not None
    tally = RunningDigest()
    tally.add(record.content_hash(row["id"], row["scope_id"], entry.coerced.values)[0])
    return tally.value()


def test_the_schema_says_how_a_digest_reads_each_column_of_the_phones() -> None:
    assert schema_js.contents(EVERYTHING) == {
        "parents": {"note": "value"},
        "things": {
            "text": "value", "choice": "word", "parent_id": "word", "number": "value",
            "whole": "value", "flag": "value", "moment": "value", "json": "json",
            "strings": "list",
        },
    }  # fmt: skip
    assert schema_js.contents(CATALOG)["medgemma_queue"] == {}
