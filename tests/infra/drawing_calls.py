"""`python -m tests.infra.drawing_calls`: what the stages of a comparison ask of the file store.

Two issues of a house are compared by the deployed functions, on SQLite and a folder, and the overlay is
looked at. Prints a line of JSON, as `photo_calls` does.
"""

from __future__ import annotations

import base64
import hashlib
import json
import os
import tempfile
from typing import Any


def compared() -> dict[str, list[str]]:
    """A comparison's life; who called what."""
    from functions_framework import create_app

    from infra.cli.local import seed
    from infra.local.phone import wall_ms
    from shared import wiring
    from shared.accounts import tokens
    from shared.adapters.file_keys import FileKeys
    from shared.products.buildtrace.example import issue
    from shared.products.buildtrace.tables import STAGE_NAMES
    from tests.infra.photo_calls import Watched

    watched = Watched(wiring.files())
    wiring.files = lambda: watched  # type: ignore[assignment]
    keys = FileKeys(wiring.settings().data_path / "keys")
    seed("demo")
    user = "demo-foreman"
    token = tokens.issue(
        keys.current(), wiring.token_policy(), user_id=user, role="member", now_s=wall_ms() / 1000
    )
    headers = {"Authorization": f"Bearer {token}"}
    clients: dict[str, Any] = {}

    def client(name: str, kind: str = "http") -> Any:
        watched.who = name
        if name not in clients:
            clients[name] = create_app(name, f"functions/{name}.py", kind).test_client()
        return clients[name]

    for label in ("C1", "C2"):
        data = issue(label)
        asked = {"table": "revisions", "record_id": f"demo-ground-floor-{label.lower()}"}
        about = {"key": "set.pdf", "type": "application/pdf", "bytes": len(data)}
        file = {**asked, **about, "sha256": hashlib.sha256(data).hexdigest()}
        [ticket] = (
            client("files")
            .post("/api/v1/files", json={"files": [file]}, headers=headers)
            .json["files"]
        )
        span = {"Content-Range": f"bytes 0-{len(data) - 1}/{len(data)}"}
        said = client("files").put(ticket["upload"]["url"], data=data, headers={**headers, **span})
        assert said.json["state"] == "ready", said.text
    body = {"drawing_id": "demo-ground-floor"}
    made = client("review").post("/api/v1/comparisons", json=body, headers=headers).json
    for kind in (*STAGE_NAMES, *STAGE_NAMES):
        while due := wiring.runner().due(kind, 1):
            bell = {"kind": kind, "job_id": due[0].id, "subject_id": due[0].subject_id}
            message = {
                "data": base64.b64encode(json.dumps(bell).encode()).decode(),
                "messageId": "1",
                "publishTime": "2026-01-01T00:00:00Z",
            }
            said = client(kind, "cloudevent").post(
                f"/projects/p/topics/{kind}", json={"message": message, "subscription": "s"}
            )
            assert said.status_code == 200, said.text
    path = f"/api/v1/comparisons/{made['record']['id']}"
    found = client("review").get(path, headers=headers).json
    assert found["record"]["state"] == "done", found["record"]
    pair = next(each for each in found["parts"]["sheet_pairs"] if each["overlay_url"])
    tile = f"/api/v1/pairs/{pair['id']}/tiles/overlay-0-0-0"
    said = client("review").get(tile, headers=headers)
    assert said.status_code == 200, said.text
    assert said.data.startswith(b"\x89PNG")
    said = client("files").get(pair["overlay_url"], headers=headers)
    assert said.json["links"]["original"], said.text
    return {name: sorted(calls) for name, calls in watched.calls.items()}


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        os.environ.update(
            PRODUCT="buildtrace", DATA_FOLDER=folder, FUNCTION_TARGET="files", LOG_LEVEL="ERROR"
        )
        print(json.dumps(compared()))
