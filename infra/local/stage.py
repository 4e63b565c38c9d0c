"""Where a product's story is told (`shared.products.product.Stage`): a running back end, over HTTP."""

from __future__ import annotations

import http.client
import json
import secrets
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

from infra.local.phone import Phone, over_http, wall_ms
from shared import wiring

#: Longest wait for an answer, seconds.
_PATIENCE_SECONDS = 60.0


class Unexpected(Exception):
    """The story took a wrong turn."""


def say(text: str) -> None:
    """One line of the story."""
    print(text, flush=True)


def expect(holds: bool, what: str) -> None:
    """Raises `Unexpected` if something is not as the story says."""
    if not holds:
        raise Unexpected(what)


class OnStack:
    """A stage at an address. `clock`: the back end's CLOCK_FILE; None: its clock is not moved."""

    def __init__(self, url: str, clock: Path | None = None) -> None:
        self.url = url
        self._clock = clock
        self._kept: Path | None = None

    def say(self, text: str) -> None:
        """See `Stage.say`."""
        say(text)

    def expect(self, holds: bool, what: str) -> None:
        """See `Stage.expect`."""
        expect(holds, what)

    def wait(self, holds: Callable[[], bool], what: str) -> None:
        """See `Stage.wait`."""
        end = time.monotonic() + _PATIENCE_SECONDS
        while not holds():
            expect(time.monotonic() < end, f"{what} did not come")
            time.sleep(0.2)

    def now_ms(self) -> int:
        """See `Stage.now_ms`."""
        return wall_ms() + (int(self._clock.read_text("ascii")) if self._clock else 0)

    def move_clock(self, to_ms: int) -> None:
        """See `Stage.move_clock`. Raises `Unexpected` if the back end has no file for it."""
        if self._clock is None:
            raise Unexpected("the clock of this back end cannot be moved")
        new = self._clock.with_suffix(".new")
        new.write_text(str(to_ms - wall_ms()), "ascii")
        new.replace(self._clock)  # whoever reads it reads all of it

    def ask(self, method: str, path: str, body: Any = None, token: str = "") -> tuple[int, Any]:
        """See `Stage.ask`."""
        data = body if isinstance(body, bytes | None) else json.dumps(body).encode()
        return self._asked(method, path, data, token, "application/json")[:2]

    def fetch(self, path: str, token: str, tag: str = "") -> tuple[int, Any, str]:
        """See `Stage.fetch`."""
        return self._asked("GET", path, None, token, "application/json", tag)

    def send(self, token: str, file: bytes, file_name: str, **fields: str) -> tuple[int, Any]:
        """See `Stage.send`."""
        mark = secrets.token_hex(16)
        parts = [
            f'--{mark}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()
            for name, value in fields.items()
        ]
        head = f'--{mark}\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"'
        parts += [f"{head}\r\n\r\n".encode(), file, f"\r\n--{mark}--\r\n".encode()]
        kind = f"multipart/form-data; boundary={mark}"
        return self._asked("POST", "/api/v1/upload", b"".join(parts), token, kind)[:2]

    def phone(self, token: str, user: str) -> Phone:
        """See `Stage.phone`."""
        own = tuple(each.name for each in wiring.catalog().collections if each.pushable)
        return Phone(
            over_http(self.url, token), user, f"{user}-phone", clock=self.now_ms, own_tables=own
        )

    def keep(self, name: str, data: bytes) -> str:
        """See `Stage.keep`: in a folder that stays."""
        if self._kept is None:
            self._kept = Path(tempfile.mkdtemp(prefix="demo-files-"))
        (self._kept / name).write_bytes(data)
        return str(self._kept / name)

    def _asked(
        self, method: str, path: str, data: bytes | None, token: str, kind: str, tag: str = ""
    ) -> tuple[int, Any, str]:
        parts = urlsplit(urljoin(self.url, path))
        headers = {"Content-Type": kind, **({"Authorization": f"Bearer {token}"} if token else {})}
        if tag:
            headers["If-None-Match"] = tag
        line = http.client.HTTPConnection(
            parts.hostname or "127.0.0.1", parts.port, timeout=_PATIENCE_SECONDS
        )
        try:
            whole = f"{parts.path}?{parts.query}" if parts.query else parts.path
            line.request(method, whole, data, headers)
            response = line.getresponse()
            answered = response.read()
        finally:
            line.close()
        found = response.headers.get("ETag") or ""
        if answered and response.headers.get_content_type() == "application/json":
            return response.status, json.loads(answered), found
        return response.status, answered, found
