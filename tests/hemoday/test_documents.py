"""Documents of a family: a form in one request, as the app sends it, and what becomes of the record."""

from __future__ import annotations

import io
import random
from typing import Any

import pytest

from tests.api.conftest import Api, StartApi

SYNC = "/api/v1/sync?last_pulled_at="

PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog>>endobj\ntrailer<</Root 1 0 R>>\n%%EOF\n"


@pytest.fixture
def api(start_api: StartApi) -> Api:
    api = start_api(product="hemoday")
    for user, family, role in (
        ("anna", "f1", "owner"),
        ("vera", "f1", "viewer"),
        ("carl", "f2", "owner"),
    ):
        api.join(user, family, role)
    row = {"id": "d1", "name": "MRI", "pages": '["p1.pdf"]', "category": "imaging"}
    sets = {"documents": {"created": [row], "updated": [], "deleted": []}}
    assert api.ask("POST", f"{SYNC}null", sets, token=api.token("anna")).status_code == 200
    return api


def send(api: Api, user: str, content: bytes = PDF, name: str = "p1.pdf", **fields: str) -> Any:
    """The answer, with its status."""
    form = {"record_id": "d1", **fields, "file": (io.BytesIO(content), name)}
    response = api.client("files").post(
        "/api/v1/upload", data=form, headers={"Authorization": f"Bearer {api.token(user)}"}
    )
    return {"status": response.status_code, **(response.json or {})}


def test_a_document_comes_in_one_form_and_its_record_says_where_it_is(api: Api) -> None:
    made = send(api, "anna")
    assert (made["status"], made["state"], made["table"]) == (200, "ready", "documents")
    assert send(api, "anna")["id"] == made["id"]  # sent again it is there already
    pulled = api.ask("GET", f"{SYNC}0", token=api.token("vera")).json
    assert pulled is not None
    [document] = pulled["changes"]["documents"]["created"]
    assert (document["file_url"], document["questions"]) == (made["file_url"], None)
    found = api.ask("GET", made["file_url"], token=api.token("vera")).json
    assert found is not None
    link = found["links"]["original"]
    assert api.ask("GET", link[link.index("/api") :]).data == PDF
    assert api.ask("GET", made["file_url"], token=api.token("carl")).status_code == 404


@pytest.mark.parametrize(
    ("user", "content", "fields", "code", "field"),
    [
        ("vera", PDF, {}, "forbidden", None),  # a viewer adds nothing
        ("carl", PDF, {}, "not_found", "record_id"),  # another family's record is none
        ("anna", b"", {}, "file_not_taken", "bytes"),
        ("anna", PDF, {"table": "transfusions"}, "file_not_taken", "table"),
        ("anna", PDF, {"record_id": "../d1"}, "file_not_taken", "record_id"),
        ("anna", PDF, {"name": "virus.exe"}, "file_not_taken", "type"),
    ],
)
def test_a_form_that_cannot_be_taken_says_why(
    api: Api, user: str, content: bytes, fields: dict[str, str], code: str, field: str | None
) -> None:
    said = send(api, user, content, **fields)
    assert (said["error"]["code"], said["error"].get("field")) == (code, field)


@pytest.mark.parametrize("filling", [b"\n", b"\r\n", b"0000 n \n", None])
def test_a_large_document_comes_in_one_form_whatever_is_in_it(
    api: Api, filling: bytes | None
) -> None:
    inside = random.Random(7).randbytes(900_000) if filling is None else filling * 200_000
    content = PDF[:9] + inside + PDF[9:]
    made = send(api, "anna", content)
    assert (made["status"], made.get("state")) == (200, "ready")


def test_what_is_no_form_is_refused(api: Api) -> None:
    token = api.token("anna")
    for headers in ({}, {"Content-Type": "multipart/form-data; boundary=x"}):
        response = api.ask("POST", "/api/v1/upload", b"--x\r\n", token=token, headers=headers)
        assert response.status_code == 400
        assert response.json is not None
        assert response.json["error"]["field"] == "file"
    big = send(api, "anna", PDF, note="x" * 70_000)
    assert (big["status"], big["error"]["code"]) == (413, "request_too_large")
