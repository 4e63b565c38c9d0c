"""A caller that means harm, on a plain socket: it may send what no HTTP library would.

Every answer it gets must be ours: the documented status and code in our JSON shape, nothing of the
inside in it, nothing stored by it. Both profiles answer alike.
"""

from __future__ import annotations

import json
import re
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import pytest

from shared.records.store import Query
from tests.e2e.conftest import PROFILES, Deployment, deploy
from tests.patience import PATIENCE_SECONDS

__all__ = ["deploy"]

Json = dict[str, Any]
Pairs = list[tuple[str, str]]

#: In names, notes and tokens that are sent; must be in no log and in no refusal.
MARK = "Zx9Marker7Qy"

#: Everything that a hostile request could leave behind. Receipts and devices are kept for good ones.
KEPT = ("patients", "cases", "diagnoses", "medgemma_queue", "jobs", "quarantine", "receipts")

#: What no answer may show: traces, modules, class names, another server's error page.
_INSIDE = re.compile(
    r"Traceback|File \"|line \d+, in|\bshared[./]|functions[./]\w+\.py|site-packages|\w+Error\b|"
    r"\w+Exception\b|object at 0x|<html|<!doctype|gunicorn|werkzeug|sqlite|orjson",
    re.IGNORECASE,
)


class Answer(NamedTuple):
    """What came back over the wire; `status` 0 if the connection was closed without an answer."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


#: What the tests of this folder tried: (test, how it was answered) → inputs.
TRIED: Counter[tuple[str, str]] = Counter()


def tried(status: int) -> None:
    """Count an input that was sent, by how it was answered."""
    kinds = {0: "cut", 2: "taken", 4: "refused"}
    TRIED["", kinds.get(status // 100, "failed")] += 1


class Attacker:
    """Sends bytes to a deployment's public port."""

    def __init__(self, deployment: Deployment, user: str) -> None:
        self.deployment, self.user = deployment, user
        self.token = deployment.token(user)

    def raw(
        self,
        data: bytes,
        *,
        port: int | None = None,
        half_close: bool = False,
        method: str = "",
    ) -> Answer:
        """Send bytes as they are and read one answer."""
        address = ("127.0.0.1", port or self.deployment.stack.port)
        with socket.create_connection(address, timeout=PATIENCE_SECONDS) as link:
            try:
                link.sendall(data)
                if half_close:
                    link.shutdown(socket.SHUT_WR)
            except (BrokenPipeError, ConnectionResetError):
                pass  # it answered before the end and takes no more
            answer = _read(link, method or data.split(b" ", 1)[0].decode("latin-1"))
        tried(answer.status)
        return answer

    def ask(
        self,
        method: str,
        path: str,
        body: bytes | None = None,
        headers: Pairs | None = None,
        *,
        port: int | None = None,
    ) -> Answer:
        """One request with exactly these headers (latin-1), beside Host and Content-Length."""
        lines = [f"{method} {path} HTTP/1.1", "Host: x", "Connection: close"]
        lines += [f"{name}: {value}" for name, value in headers or []]
        if body is not None and not any(n.lower() == "content-length" for n, _ in headers or []):
            lines.append(f"Content-Length: {len(body)}")
        head = "\r\n".join([*lines, "", ""]).encode("latin-1")
        return self.raw(head + (body or b""), port=port, method=method)

    def sync(self, body: Any, headers: Pairs | None = None, *, token: str | None = None) -> Answer:
        """`POST /api/sync` with a good token. `body` is JSON, or bytes to send as they are."""
        data = body if isinstance(body, bytes) else json.dumps(body).encode()
        about = [("Authorization", f"Bearer {token or self.token}"), *(headers or [])]
        return self.ask("POST", "/api/sync", data, about)

    def kept(self) -> dict[str, set[str]]:
        """The ids of everything that is stored."""
        store = self.deployment.store
        return {name: {d.key.id for d in store.query(Query(name, fields=("at",)))} for name in KEPT}


def _read(link: socket.socket, method: str) -> Answer:
    data = b""
    try:
        while block := link.recv(65536):
            data += block
            head, ended, rest = data.partition(b"\r\n\r\n")
            length = re.search(rb"(?i)\r\ncontent-length: *(\d+)", head)
            if ended and (method == "HEAD" or (length and len(rest) >= int(length[1]))):
                break
    except ConnectionResetError:
        pass
    if not data:
        return Answer(0, {}, b"")
    head, _, rest = data.partition(b"\r\n\r\n")
    first, *lines = head.decode("latin-1").split("\r\n")
    headers = {
        name.strip().lower(): value.strip()
        for name, _, value in (line.partition(":") for line in lines)
    }
    if headers.get("transfer-encoding") == "chunked":
        rest = _unchunked(rest)
    return Answer(int(first.split()[1]), headers, rest)


def _unchunked(data: bytes) -> bytes:
    whole = b""
    while data:
        size, _, data = data.partition(b"\r\n")
        whole += data[: int(size, 16)]
        data = data[int(size, 16) + 2 :]
    return whole


def fault_of(answer: Answer, status: int, code: str, field: str | None = None) -> str | None:
    """What is wrong with a refusal; None if it is exactly the clear answer that was expected."""
    if answer.status != status:
        return f"{answer.status} instead of {status}: {answer.body[:200]!r}"
    if found := shows_inside(answer):
        return found
    if answer.headers.get("content-type") != "application/json":
        return f"type {answer.headers.get('content-type')}: {answer.body[:200]!r}"
    error = answer.json.get("error", {})
    if error.get("code") != code or error.get("field") != field or not error.get("message"):
        return f"{error} instead of {code} ({field})"
    if not error.get("request_id") or error["request_id"] != answer.headers.get("x-request-id"):
        return f"request id: {error}, {answer.headers}"
    return None


def shows_inside(answer: Answer) -> str | None:
    """What of the inside, or of what was sent, an answer shows."""
    text = answer.body.decode("utf-8", "replace")
    found = _INSIDE.search(text)
    if found or MARK in text:
        return f"shows {found.group() if found else MARK}: {text[:200]}"
    return None


@pytest.fixture(scope="session", params=PROFILES)
def deployment(request: pytest.FixtureRequest, deploy: Callable[[str], Deployment]) -> Deployment:
    """The running back end of a profile, for the whole session."""
    return deploy(request.param)


@pytest.fixture(scope="session")
def attacker(deployment: Deployment) -> Attacker:
    """Somebody with a good token, member of one team."""
    deployment.join("hostile-chw", "hostile-team")
    return Attacker(deployment, "hostile-chw")


@pytest.fixture
def untouched(attacker: Attacker) -> Iterator[None]:
    """What the test sends must leave nothing behind."""
    before = attacker.kept()
    yield
    assert attacker.kept() == before


@pytest.fixture(autouse=True)
def _counted(request: pytest.FixtureRequest) -> Iterator[None]:
    """Book what is sent to the test that sends it."""
    yield
    for (test, kind), count in list(TRIED.items()):
        if not test:
            del TRIED[test, kind]
            TRIED[request.function.__name__, kind] += count


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """How many inputs were tried, and how they were answered, when this folder is run alone."""
    for (test, kind), count in sorted(TRIED.items()):
        terminalreporter.write_line(f"hostile inputs: {test} {kind} {count:,}")
