"""`python -m tests.infra.photo_calls`: what each function asks of the file store, in a photo's life.

The deployed functions run in one process, on SQLite and a folder. A photo is asked for, sent in pieces of
which one breaks off, checked at once; another is checked by a job; the case is read by the model; what
belongs to nothing is removed. Prints a line of JSON: function → sorted "method folder".
"""

from __future__ import annotations

import base64
import hashlib
import importlib
import io
import json
import os
import re
import tempfile
from collections.abc import Iterable, Iterator
from typing import Any

from shared.files.store import FileStore, Stored

_PASSWORD = "a rather long pass phrase"


class Watched:
    """A file store in front of another that notes who asks it for what."""

    def __init__(self, inner: FileStore) -> None:
        self.inner = inner
        self.who = ""
        self.calls: dict[str, set[str]] = {}

    def _note(self, method: str, name: str) -> None:
        self.calls.setdefault(self.who, set()).add(f"{method} {name.split('/')[0]}")

    def put(self, name: str, data: Iterable[bytes], media_type: str) -> None:
        self._note("put", name)
        self.inner.put(name, data, media_type)

    def read(self, name: str) -> Iterator[bytes]:
        self._note("read", name)
        return self.inner.read(name)

    def stat(self, name: str) -> Stored | None:
        self._note("stat", name)
        return self.inner.stat(name)

    def delete(self, names: Iterable[str]) -> None:
        names = list(names)
        for name in names:
            self._note("delete", name)
        self.inner.delete(names)

    def list(self, prefix: str, *, behind: str = "", limit: int = 1000) -> list[Stored]:
        self._note("list", prefix)
        return self.inner.list(prefix, behind=behind, limit=limit)

    def link(self, name: str, *, media_type: str, file_name: str, seconds: int, now_ms: int) -> str:
        self._note("link", name)
        return self.inner.link(
            name, media_type=media_type, file_name=file_name, seconds=seconds, now_ms=now_ms
        )

    def session(self, name: str, media_type: str, size: int, origin: str = "") -> str | None:
        self._note("session", name)
        return self.inner.session(name, media_type, size, origin)

    def close(self) -> None:
        self.inner.close()


def live() -> dict[str, list[str]]:
    """A photo's life; who called what."""
    from flask import Request
    from functions_framework import create_app
    from werkzeug.datastructures import FileStorage
    from werkzeug.test import EnvironBuilder

    from infra.local.phone import Phone, wall_ms
    from shared import wiring
    from shared.access import membership
    from shared.access.membership import Caller
    from shared.accounts import tokens
    from shared.adapters.file_keys import FileKeys
    from shared.console.client import Api
    from shared.records.store import Key, delete
    from shared.settings import Settings
    from tests.files.conftest import photo

    watched = Watched(wiring.files())
    wiring.files = lambda: watched  # type: ignore[assignment]
    keys = FileKeys(wiring.settings().data_path / "keys")
    membership.grant(wiring.store(), "amina", "team1", "chw", wall_ms())
    token = tokens.issue(
        keys.current(), wiring.token_policy(), user_id="amina", role="chw", now_s=wall_ms() / 1000
    )
    headers = {"Authorization": f"Bearer {token}"}
    clients: dict[str, Any] = {}

    def client(name: str, kind: str = "http") -> Any:
        watched.who = name
        if name not in clients:
            clients[name] = create_app(name, f"functions/{name}.py", kind).test_client()
        return clients[name]

    def ring(name: str, job: Any) -> None:
        bell = json.dumps({"kind": job.kind, "job_id": job.id, "subject_id": job.subject_id})
        message = {"data": base64.b64encode(bell.encode()).decode(), "messageId": "1"}
        message["publishTime"] = "2026-01-01T00:00:00Z"
        said = client(name, "cloudevent").post(
            f"/projects/p/topics/{job.kind}", json={"message": message, "subscription": "s"}
        )
        assert said.status_code == 200, said.text

    def send(body: Any, _: Phone) -> Any:
        said = client("sync").post("/api/sync", json=body, headers=headers)
        assert said.status_code == 200, said.text
        return said.json

    def due(kind: str) -> list[Any]:
        return wiring.runner().due(kind, 10)

    phone = Phone(send, "amina", "amina-phone")
    phone.save("patients", "p1", demographics={"age": 30})
    named = ["small.jpg", "large.jpg"]
    phone.save("cases", "c1", patient_id="p1", risk_level="red", triage_data={}, image_keys=named)
    phone.sync()

    # --- files: one photo in two pieces, one of which breaks off early; one too large to be checked at once
    photos = {"small.jpg": photo(1, (640, 480)), "large.jpg": photo(2, (1200, 900), 95)}
    most = int(os.environ["CHECK_INLINE_BYTES"])
    assert len(photos["small.jpg"]) <= most < len(photos["large.jpg"])
    asks = [
        {
            "table": "cases",
            "record_id": "c1",
            "key": key,
            "type": "image/jpeg",
            "bytes": len(data),
            "sha256": hashlib.sha256(data).hexdigest(),
        }
        for key, data in photos.items()
    ]
    said = client("files").post(
        "/api/v1/files", json={"files": asks, "direct": True}, headers=headers
    )
    tickets = {each["key"]: each for each in said.json["files"]}
    for key, data in photos.items():
        # (first byte, last byte, bytes that arrive)
        pieces = [(0, 9_999, 10_000), (10_000, len(data) - 1, 100), (10_000, len(data) - 1, None)]
        for first, last, arrive in pieces:
            body = data[first : last + 1][:arrive]
            span = {"Content-Range": f"bytes {first}-{last}/{len(data)}"}
            said = client("files").put(
                tickets[key]["upload"]["url"], data=body, headers={**headers, **span}
            )
            assert said.status_code in (200, 308), said.text
        state = "ready" if key == "small.jpg" else "checking"
        assert said.json["state"] == state, said.json
    # --- images, analyse
    [job] = due("images")
    ring("images", job)
    [job] = due("analyse")
    ring("analyse", job)
    said = client("files").post(
        f"/api/v1/files/{tickets['small.jpg']['id']}/complete", headers=headers
    )
    assert said.status_code == 200, said.text
    for ticket in tickets.values():
        said = client("files").get(f"/api/v1/files/{ticket['id']}", headers=headers)
        assert said.json["state"] == "ready", said.json
        assert set(said.json["links"]) == {"original", "896", "448"}
    # an upload that never ends, and one whose bytes went to the file store itself and are not there
    said = client("files").post(
        "/api/v1/files",
        json={"files": [{**asks[0], "key": "third.jpg", "sha256": "0" * 64}]},
        headers=headers,
    )
    [third] = said.json["files"]
    said = client("files").post(f"/api/v1/files/{third['id']}/complete", headers=headers)
    assert said.status_code == 409, said.text
    # --- the doctors' desk, the minute's round
    client("review").get("/api/v1/review/cases/c1", headers=headers)
    membership.grant(wiring.store(), "amina", "team1", "doctor", wall_ms())
    said = client("review").get("/api/v1/review/cases?thumbnails=1", headers=headers)
    assert said.json["cases"][0]["thumbnail"]["url"], said.text
    # --- the same list, in a browser
    wiring.accounts().administration.create(
        "amina@example.org", _PASSWORD, wall_ms(), user_id="amina", name=None
    )
    page = client("console").get("/console/login")
    token = re.findall(r'name="token" value="([^"]+)"', page.text)[0]
    fields = {"act": "log-in", "token": token, "email": "amina@example.org", "password": _PASSWORD}
    said = client("console").post("/console/login", data=fields)
    assert said.status_code == 303, said.text
    for path in ("cases", "cases/c1", f"photos/{tickets['small.jpg']['id']}/original"):
        said = client("console").get(f"/console/{path}")
        assert said.status_code in (200, 303), said.text
    membership.grant(wiring.store(), "amina", "team1", "chw", wall_ms())
    # --- a page that takes a file (`Page.takes_file`) sends it as the person who looks
    watched.who, amina = "console", Caller("amina", "chw", "console")
    asked = Request(EnvironBuilder().get_environ())
    api = Api(importlib.import_module("functions.console").FRAME.api, Settings(), amina, asked)
    page_file = FileStorage(io.BytesIO(photo(3, (320, 240))), "page.jpg")
    sent = api.upload("/api/v1/upload", {"record_id": "c1", "key": "page.jpg"}, page_file)
    assert sent["state"] == "ready", sent
    client("sweeper").post("/")
    hour = 3_600_000
    for later in (2 * hour, 40 * 24 * hour):
        wiring.cleaner().clean(wiring.clock_ms() + later)
    # a case that is gone takes its photos along
    wiring.store().commit([delete(Key("files", each["id"])) for each in tickets.values()])
    for _ in range(3):
        wiring.cleaner().clean(wiring.clock_ms() + 90 * 24 * hour)
    return {name: sorted(calls) for name, calls in watched.calls.items()}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            DATA_FOLDER=folder,
            FUNCTION_TARGET="files",
            LOG_LEVEL="ERROR",
            CHECK_INLINE_BYTES="150000",
        )
        print(json.dumps(live()))
