"""A building site over HTTP: drawings of a few lines and words, and people who compare them."""

from __future__ import annotations

from typing import Any

from infra.cli.local import seed
from shared import wiring
from shared.products.buildtrace.example import issue
from shared.products.buildtrace.tables import STAGE_NAMES
from tests.api.conftest import Api

BEFORE, AFTER = issue("C1"), issue("C2")


class Site:
    """Asks as people of the example project, and runs the jobs that are due."""

    drawing = "demo-ground-floor"
    old, new = "demo-ground-floor-c1", "demo-ground-floor-c2"

    def __init__(self, api: Api, scope: str = "demo") -> None:
        self.api, self.scope = api, scope
        seed(scope)
        self.member = api.token(f"{scope}-foreman")
        self.viewer = api.token(f"{scope}-client")

    def ask(self, method: str, path: str, body: Any = None, token: str = "") -> Any:
        """JSON, or the status of a refusal."""
        said = self.api.ask(method, path, body, token=token or self.member)
        return said.json if said.status_code < 300 else said.status_code

    def upload(self, revision: str, data: bytes, kind: str = "application/pdf") -> Any:
        """A revision's file, in one form."""
        edge = "the-edge-of-a-part"
        fields = {"record_id": revision, "table": "revisions"}
        parts = [
            f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        ]
        parts.append(
            f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="set.pdf"\r\n'
            f"Content-Type: {kind}\r\n\r\n".encode()
        )
        body = b"".join([*parts, data, f"\r\n--{edge}--\r\n".encode()])
        said = self.api.ask(
            "POST",
            "/api/v1/upload",
            body,
            token=self.member,
            headers={"Content-Type": f"multipart/form-data; boundary={edge}"},
        )
        return said.json

    def compare(self, **more: str) -> Any:
        """The latest revision of the example drawing against the one before."""
        return self.ask("POST", "/api/v1/comparisons", {"drawing_id": self.drawing, **more})

    def run(self, rounds: int = 20) -> None:
        """Run what is due, until nothing is."""
        for _ in range(rounds):
            for kind in STAGE_NAMES:
                wiring.runner().run_due(kind, 600)
            if not any(wiring.runner().due(kind) for kind in STAGE_NAMES):
                return

    def comparison(self, name: str) -> Any:
        """A comparison with what belongs to it."""
        return self.ask("GET", f"/api/v1/comparisons/{name}")
