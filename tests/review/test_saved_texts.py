"""Texts that doctors keep: their own, bounded, gone with the account; on both stores."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import pytest

from shared import wiring
from shared.errors import InvalidRequest, NotFound
from shared.privacy.export import export
from shared.products.dermadetect.saved_texts import MOST, TEXT_CHARS, SavedTexts
from shared.products.dermadetect.tables import CATALOG
from shared.records.store import Key, Write
from tests.api.conftest import Api, StartApi, api, start_api
from tests.api.test_openapi import keeps_its_word
from tests.review.conftest import Practice, doctor
from tests.stores import Interrupted

__all__ = ["StartApi", "api", "start_api"]

TEXTS = "/api/v1/review/texts"


def test_a_text_is_added_changed_and_removed(practice: Practice) -> None:
    kept = SavedTexts(practice.store)
    assert kept.of(doctor()) == []
    kept.save(doctor(), "t1", "Ringworm", "Cream, twice a day.")
    kept.save(doctor(), "t2", " eczema \n mild ", " Ointment. \n Every day. ")
    kept.save(doctor(), "t1", "Ringworm", "Cream, once a day.")
    assert kept.of(doctor()) == [
        {"id": "t2", "name": "eczema mild", "text": "Ointment. \n Every day."},
        {"id": "t1", "name": "Ringworm", "text": "Cream, once a day."},
    ]
    # nobody else has them
    assert kept.of(doctor("doc2")) == []
    kept.remove(doctor(), "t1")
    assert [each["id"] for each in kept.of(doctor())] == ["t2"]
    for who, name in ((doctor(), "t1"), (doctor("doc2"), "t2")):
        with pytest.raises(NotFound):
            kept.remove(who, name)


def test_they_are_bounded(practice: Practice) -> None:
    kept = SavedTexts(practice.store)
    for field, name, text in (
        ("name", " ", "x"),
        ("name", "n" * 81, "x"),
        ("text", "n", " \n"),
        ("text", "n", "x" * (TEXT_CHARS + 1)),
    ):
        with pytest.raises(InvalidRequest) as caught:
            kept.save(doctor(), "t1", name, text)
        assert caught.value.field == field
    for number in range(MOST):
        kept.save(doctor(), f"t{number}", "n", "💊" * TEXT_CHARS)
    with pytest.raises(InvalidRequest):
        kept.save(doctor(), "one-more", "n", "x")
    kept.save(doctor(), "t0", "changed", "x")
    assert len(kept.of(doctor())) == MOST


def test_two_windows_lose_nothing_of_each_other(practice: Practice) -> None:
    count = itertools.count()

    def other_window(_writes: Sequence[Write]) -> None:
        if next(count) == 0:
            SavedTexts(practice.store).save(doctor(), "t1", "a", "x")

    quick = Interrupted(practice.store, before=other_window)
    SavedTexts(quick, wait=lambda _seconds: None).save(doctor(), "t2", "b", "y")
    assert [each["id"] for each in SavedTexts(practice.store).of(doctor())] == ["t1", "t2"]


def test_they_are_given_out_with_the_account_and_end_with_it(api: Api) -> None:
    api.join("doc1", role="doctor")
    token = api.token("doc1")
    body = {"name": "Ringworm", "text": "Cream."}
    for method, path, sent, status in (
        ("PUT", f"{TEXTS}/t1", body, 200),
        ("PUT", f"{TEXTS}/t1", body, 200),
        ("PUT", f"{TEXTS}/t2", {"name": "n"}, 400),
        ("PUT", f"{TEXTS}/__x__", body, 400),
        ("GET", TEXTS, None, 200),
        ("DELETE", f"{TEXTS}/t9", None, 404),
    ):
        response = api.ask(method, path, sent, token=token)
        assert response.status_code == status, response.get_data(as_text=True)
        keeps_its_word(method, path, response)
    told = export(wiring.store(), CATALOG, "doc1", wiring.clock_ms())["user"]
    assert told["saved_texts"]["texts"] == {"t1": body}
    wiring.accounts().deletion.delete("doc1", wiring.clock_ms())
    assert not wiring.store().read([Key("saved_texts", "doc1")]).documents
