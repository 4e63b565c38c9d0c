"""The text of PDFs: read whatever they are, found, and gone with their documents."""

from __future__ import annotations

import zlib
from pathlib import Path
from typing import Any

import pytest

from shared import wiring
from shared.access.membership import Caller
from shared.jobs import job as jobs
from shared.products.hemoday import pdf_text
from shared.products.hemoday.reading import KIND, TEXTS
from shared.products.hemoday.tables import CATALOG, DOCUMENTS
from shared.records.store import Key, Query
from shared.support.moves import move
from shared.support.undelete import undelete
from shared.sync.retention import Purger
from tests.api.conftest import Api, StartApi
from tests.files.conftest import photo
from tests.hemoday.family import changes
from tests.hemoday.pdfs import ENCRYPTED, bomb, by_hand, typeset
from tests.hemoday.test_documents import PDF, send

HOUR = 3_600_000

PATHS = b"0 0 m 10 10 l S\n" * 10**6


@pytest.fixture
def api(start_api: StartApi) -> Api:
    api = start_api(product="hemoday")
    for user, family, role in (
        ("anna", "f1", "owner"),
        ("anna", "f2", "owner"),
        ("vera", "f1", "viewer"),
        ("carl", "f2", "owner"),
    ):
        api.join(user, family, role)
    documents = [{"id": f"d{n}", "name": "Letter", "scope_id": "f1", "pages": "[]"} for n in (1, 2)]
    sync(api, changes(documents=documents))
    return api


def sync(api: Api, sets: Any) -> None:
    asked = "/api/v1/sync?last_pulled_at=" + str(wiring.clock_ms() + HOUR)
    assert api.ask("POST", asked, sets, token=api.token("anna")).status_code == 200


def work() -> None:
    """What the sweeper does."""
    for kind in ("transfer", "cascade", "restore", KIND):
        wiring.runner().run_due(kind, 300)


def texts() -> dict[str, Any]:
    return {each.key.id: each.fields for each in wiring.store().query(Query(TEXTS))}


def found(api: Api, question: str, user: str = "vera", family: str = "f1") -> list[Any]:
    answer = api.ask("GET", f"/api/v1/search?q={question}&scope={family}", token=api.token(user))
    assert answer.json is not None
    return [each["id"] for each in answer.json["entries"]]


def test_a_word_inside_a_pdf_finds_its_document(api: Api) -> None:
    made = send(api, "anna", by_hand())
    assert found(api, "ferritin") == []
    work()
    assert found(api, "ferritin") == found(api, "feritin+1450") == found(api, "ферритин") == ["d1"]
    answer = api.ask("GET", "/api/v1/search?q=ferrit", token=api.token("vera")).json
    assert answer is not None
    [entry] = answer["entries"]
    assert (entry["title"], entry["snippet"]) == ("Letter", "Letter Ferritin 1450")
    assert entry["marks"] == [{"start": 7, "end": 15}]
    [text] = texts().values()
    assert (text["record_id"], text["outcome"], text["whole"]) == ("d1", "read", True)
    assert [*texts()] == [made["id"]]


def test_what_a_typesetter_took_apart_is_put_together(api: Api, tmp_path: Path) -> None:
    said = (
        "office hypergammaglobulinaemia thalassaemia haemoglobinopathies гемоглобин "
        "हीमोग्लोबिन हिन्दी आधान"
    )
    send(api, "anna", typeset(said, tmp_path))
    work()
    for word in said.split():
        assert found(api, word) == ["d1"], word


def test_the_same_file_in_another_document_is_found_there_too(api: Api) -> None:
    send(api, "anna", by_hand())
    send(api, "anna", by_hand(), record_id="d2")
    work()
    assert sorted(found(api, "ferritin")) == ["d1", "d2"]


def test_photos_are_not_read(api: Api) -> None:
    send(api, "anna", photo(), name="p1.jpg")
    assert [each for each in wiring.store().query(Query("jobs")) if KIND in each.key.id] == []


@pytest.mark.parametrize(
    ("pdf", "outcome", "pages"),
    [
        (by_hand(box="0 0 100000 100000"), "read", 1),
        (by_hand(b""), "empty", 1),
        (by_hand(b"BT /F1 12 Tf (a\\000b) Tj ET"), "read", 1),
        (by_hand(pages=10_000), "read", pdf_text.MOST_PAGES),
        (by_hand(b"q " * 10**6 + b"BT /F1 12 Tf (deep) Tj ET"), "read", 1),
        (by_hand(b"BT /F1 1 Tf " + b"(Ferritin high) Tj 0 -1 Td " * 20_000 + b"ET"), "read", 1),
        (by_hand(zlib.compress(PATHS * 10), packed=True), "unreadable", 0),
        (bomb(), "unreadable", 0),
        (ENCRYPTED, "unreadable", 0),
    ],
    ids=["huge", "empty", "nul", "pages", "deep", "long", "paths", "bomb", "encrypted"],
)
def test_whatever_a_pdf_is_reading_it_ends_with_an_outcome(
    api: Api, pdf: bytes, outcome: str, pages: int
) -> None:
    send(api, "anna", pdf)
    wiring.runner().run_due("images", 300)  # a large one is checked by a job
    work()
    [text] = texts().values()
    assert (text["outcome"], text["pages"]) == (outcome, pages)
    assert len(text["text"]) <= pdf_text.MOST_CHARACTERS
    assert "\0" not in text["text"]
    [job] = [each for each in wiring.store().query(Query("jobs")) if KIND in each.key.id]
    assert job.fields["state"] == jobs.DONE
    assert sorted(found(api, "letter")) == ["d1", "d2"]


@pytest.mark.parametrize(
    "pdf",
    [b"", b"x", by_hand()[:300], b"%PDF-1.7\n1 0 obj" + b"[" * 10**6, PDF],
    ids=["nothing", "word", "cut", "nested", "pageless"],
)
def test_what_is_no_whole_pdf_has_no_text(pdf: bytes) -> None:
    assert pdf_text.read([pdf]) is None


def test_a_pdf_that_takes_too_long_is_given_up() -> None:
    assert pdf_text.read([by_hand()], seconds=0.001) is None


def test_a_text_is_hidden_with_its_document_comes_back_with_it_and_is_purged(api: Api) -> None:
    send(api, "anna", by_hand())
    work()
    assert found(api, "ferritin") == ["d1"]
    sync(api, {DOCUMENTS: {"created": [], "updated": [], "deleted": ["d1"]}})
    assert found(api, "ferritin") == []
    owner = Caller("anna", "owner", "phone")
    undelete(wiring.store(), wiring.catalog(), owner, Key(DOCUMENTS, "d1"), wiring.clock_ms())
    assert found(api, "ferritin") == ["d1"]
    sync(api, {DOCUMENTS: {"created": [], "updated": [], "deleted": ["d1"]}})
    purger = Purger(wiring.store(), CATALOG, keep_days=0)
    assert purger.purge(wiring.clock_ms() + HOUR) == 1
    assert texts() == {}
    assert found(api, "ferritin") == []


def test_a_job_that_is_late_keeps_nothing_of_what_was_purged(api: Api) -> None:
    send(api, "anna", by_hand())
    sync(api, {DOCUMENTS: {"created": [], "updated": [], "deleted": ["d1"]}})
    assert Purger(wiring.store(), CATALOG, keep_days=0).purge(wiring.clock_ms() + HOUR) == 1
    work()
    assert texts() == {}


@pytest.mark.parametrize("in_between", [True, False], ids=["jobs run", "jobs are late"])
def test_a_text_moves_to_another_family_and_back(api: Api, in_between: bool) -> None:
    send(api, "anna", by_hand())
    work()
    owner = Caller("anna", "owner", "phone")
    assert (found(api, "ferritin"), found(api, "ferritin", "carl", "f2")) == (["d1"], [])
    for to, here, there in (("f2", [], ["d1"]), ("f1", ["d1"], [])):
        key = Key(DOCUMENTS, "d1")
        move(wiring.store(), CATALOG, owner, key, to, wiring.clock_ms(), dry_run=False)
        assert found(api, "ferritin") in ([], here)
        if in_between:
            work()
            assert [each["scope_id"] for each in texts().values()] == [to]
            assert found(api, "ferritin", "carl", "f2") == there
        elif not there:
            assert found(api, "ferritin", "carl", "f2") == []
    work()
    assert (found(api, "ferritin"), found(api, "ferritin", "carl", "f2")) == (["d1"], [])


def test_a_text_that_is_read_after_a_move_is_the_new_family_s(api: Api) -> None:
    send(api, "anna", by_hand())
    owner, key = Caller("anna", "owner", "phone"), Key(DOCUMENTS, "d1")
    move(wiring.store(), CATALOG, owner, key, "f2", wiring.clock_ms(), dry_run=False)
    work()
    assert (found(api, "ferritin"), found(api, "ferritin", "carl", "f2")) == ([], ["d1"])
