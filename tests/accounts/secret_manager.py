"""A local server that speaks Secret Manager's REST wire format, for one secret."""

from __future__ import annotations

import base64
import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any


class SecretManager:
    """Serves `projects/{project}/secrets/{secret}` on loopback. `fail_with` answers that status."""

    def __init__(self, project: str, secret: str) -> None:
        self.name = f"projects/{project}/secrets/{secret}"
        self.versions: list[bytes] = []
        self.fail_with: int | None = None
        self._lock = threading.Lock()
        service = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                self._answer(*service.access(self.path.partition("?")[0]))

            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self._answer(*service.add(self.path.partition("?")[0], body))

            def _answer(self, status: int, said: Any) -> None:
                data = json.dumps(said).encode()
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(data)))
                self.end_headers()
                self.wfile.write(data)

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def access(self, path: str) -> tuple[int, Any]:
        if self.fail_with:
            return _fault(self.fail_with)
        start, _, wanted = path.rpartition("/")
        number, _, verb = wanted.partition(":")
        if start != f"/v1/{self.name}/versions" or verb != "access":
            return _fault(404)
        with self._lock:
            index = len(self.versions) if number == "latest" else int(number)
            if not 1 <= index <= len(self.versions):
                return _fault(404)
            data = base64.b64encode(self.versions[index - 1]).decode()
        return 200, {"name": f"{self.name}/versions/{index}", "payload": {"data": data}}

    def add(self, path: str, body: bytes) -> tuple[int, Any]:
        if self.fail_with:
            return _fault(self.fail_with)
        if path != f"/v1/{self.name}:addVersion":
            return _fault(404)
        with self._lock:
            self.versions.append(base64.b64decode(json.loads(body)["payload"]["data"]))
            index = len(self.versions)
        return 200, {"name": f"{self.name}/versions/{index}", "state": "ENABLED"}

    def __enter__(self) -> SecretManager:
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._server.shutdown()
        self._server.server_close()


def _fault(status: int) -> tuple[int, Any]:
    return status, {"error": {"code": status, "message": "no", "status": "NO"}}
