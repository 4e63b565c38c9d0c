"""A local server that plays Cloud Storage for one bucket and IAM's signBlob, and fails on demand.

Unlike the emulator it keeps `ifGenerationMatch=0`, records every request as it came, and signs with
an RSA key of its own. What it knows of the wire: JSON API `storage/v1`, resumable uploads, IAM v1.
"""

from __future__ import annotations

import base64
import json
import re
import socket
import struct
import threading
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs, unquote, urlsplit

import google_crc32c
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from tests.patience import PATIENCE_SECONDS

BUCKET = "clinic-photos"
SIGNER = "files@clinic.iam.gserviceaccount.com"


@cache
def _key() -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(65537, 2048)


_OBJECT = re.compile(rf"/(?:download/)?storage/v1/b/{BUCKET}/o/([^/?]+)")


@dataclass(frozen=True)
class Seen:
    """A request as it came."""

    method: str
    path: str
    query: dict[str, list[str]]
    headers: dict[str, str]  #: names in lower case
    body: bytes


@dataclass(frozen=True)
class Fault:
    """How one answer fails. `lost`: the work is done, the answer never comes. `only`: the method."""

    kind: str  #: status, reset, slow, cut, short, garbled, lost
    status: int = 0


@dataclass
class _Object:
    data: bytes
    type: str
    generation: int


class GoogleServer:
    """See the module. `faults` are used up one by one, `always` fails every request."""

    def __init__(self) -> None:
        self.key = _key()
        self.objects: dict[str, _Object] = {}
        self.seen: list[Seen] = []
        self.faults: deque[Fault] = deque()
        self.always: Fault | None = None
        self.failing: Callable[[Seen], bool] = lambda _seen: True  #: whom faults meet
        self.before: Callable[[Seen], None] = lambda _seen: None
        self._uploads: dict[str, dict[str, Any]] = {}
        self._ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._server.block_on_close = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def have(self, name: str, data: bytes, media_type: str = "image/jpeg") -> None:
        """Somebody has stored a file."""
        self.objects[name] = _Object(data, media_type, 1_000_000 + len(self.objects))

    def fault_for(self, seen: Seen) -> Fault | None:
        if not self.failing(seen):
            return None
        return self.faults.popleft() if self.faults else self.always

    def wait(self) -> None:
        """Longer than any client has patience."""
        self._ended.wait(PATIENCE_SECONDS)

    def answer(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        """Status, headers and body of a request that does not fail."""
        if seen.path.endswith(":signBlob"):
            return 200, {}, json.dumps({"keyId": "1", "signedBlob": self._signed(seen)}).encode()
        if seen.path == f"/upload/storage/v1/b/{BUCKET}/o":
            return self._begin(seen) if seen.method == "POST" else self._continue(seen)
        if seen.path == f"/storage/v1/b/{BUCKET}/o":
            return self._list(seen)
        found = _OBJECT.fullmatch(seen.path)
        name = unquote(found[1]) if found else ""
        if name not in self.objects:
            return 404, {}, b'{"error": {"message": "No such object"}}'
        if seen.method == "DELETE":
            del self.objects[name]
            return 204, {}, b""
        if seen.query.get("alt") == ["media"]:
            return self._media(seen, self.objects[name])
        return 200, {}, json.dumps(self._resource(name)).encode()

    def _signed(self, seen: Seen) -> str:
        data = base64.b64decode(json.loads(seen.body)["payload"])
        return base64.b64encode(
            self.key.sign(data, padding.PKCS1v15(), hashes.SHA256())
        ).decode()  # fmt: skip

    def _resource(self, name: str) -> dict[str, Any]:
        each = self.objects[name]
        crc32c = google_crc32c.Checksum(each.data).digest()
        return {
            "name": name,
            "bucket": BUCKET,
            "generation": str(each.generation),
            "size": str(len(each.data)),
            "contentType": each.type,
            "crc32c": base64.b64encode(crc32c).decode(),
            "timeCreated": "2026-03-01T12:00:00.250Z",
            "mediaLink": "https://elsewhere.invalid/stolen",
        }

    def _media(self, seen: Seen, each: _Object) -> tuple[int, dict[str, str], bytes]:
        if seen.query.get("generation", [str(each.generation)]) != [str(each.generation)]:
            return 404, {}, b""
        size = len(each.data)
        start, end = re.fullmatch(r"bytes=(\d+)-(\d+)", seen.headers["range"]).groups()  # type: ignore[union-attr]
        part = each.data[int(start) : int(end) + 1]
        said = f"bytes {start}-{int(start) + len(part) - 1}/{size}"
        return 206, {"Content-Range": said, "Content-Type": each.type}, part

    def _list(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        """Pages of 2, whatever is asked for: servers may give less."""
        prefix = seen.query.get("prefix", [""])[0]
        begin = seen.query.get("pageToken", seen.query.get("startOffset", [""]))[0]
        found = sorted(n for n in self.objects if n.startswith(prefix) and n >= begin)
        said: dict[str, Any] = {"items": [self._resource(name) for name in found[:2]]}
        if len(found) > 2:
            said["nextPageToken"] = found[2]
        return 200, {}, json.dumps(said).encode()

    def _begin(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        name = json.loads(seen.body)["name"]
        if seen.query.get("ifGenerationMatch") == ["0"] and name in self.objects:
            return 412, {}, b'{"error": {"message": "conditionNotMet"}}'
        number = f"secret-session-{len(self._uploads)}"
        self._uploads[number] = {
            "name": name,
            "type": seen.headers["x-upload-content-type"],
            "once": seen.query.get("ifGenerationMatch") == ["0"],
            "data": b"",
            "done": False,
        }
        where = f"{self.url}{seen.path}?uploadType=resumable&upload_id={number}"
        return 200, {"Location": where}, b""

    def _continue(self, seen: Seen) -> tuple[int, dict[str, str], bytes]:
        upload = self._uploads[seen.query["upload_id"][0]]
        sent, total = re.fullmatch(r"bytes (.+)/(.+)", seen.headers["content-range"]).groups()  # type: ignore[union-attr]
        if not upload["done"]:
            start = len(upload["data"]) if sent == "*" else int(sent.partition("-")[0])
            upload["data"] = upload["data"][:start] + seen.body
            if total != str(len(upload["data"])):
                return 308, {"Range": f"bytes=0-{len(upload['data']) - 1}"}, b""
            if upload["once"] and upload["name"] in self.objects:
                return 412, {}, b'{"error": {"message": "conditionNotMet"}}'
            self.have(upload["name"], upload["data"], upload["type"])
            upload["done"] = True
        return 200, {}, json.dumps(self._resource(upload["name"])).encode()

    def __enter__(self) -> GoogleServer:
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()


def _handler(google: GoogleServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True

        def log_message(self, *_: Any) -> None:
            pass

        def _serve(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            parts = urlsplit(self.path)
            headers = {name.lower(): value for name, value in self.headers.items()}
            body = self.rfile.read(length)
            seen = Seen(
                self.command, parts.path, parse_qs(parts.query, True), headers, body
            )  # fmt: skip
            google.seen.append(seen)
            google.before(seen)
            fault = google.fault_for(seen)
            if fault is None:
                self._send(*google.answer(seen))
            elif fault.kind == "status":
                text = f"secret answer about {self.path}".encode()
                self._send(fault.status, {}, json.dumps({"error": {"message": str(text)}}).encode())
            elif fault.kind == "slow":
                google.wait()
                self.close_connection = True
            elif fault.kind in ("reset", "lost"):
                if fault.kind == "lost":
                    google.answer(seen)
                self._reset()
            else:
                self._spoil(fault.kind, *google.answer(seen))

        do_GET = do_POST = do_PUT = do_DELETE = _serve

        def _spoil(self, kind: str, status: int, headers: dict[str, str], body: bytes) -> None:
            if kind == "garbled":  # one bit, length as said
                self._send(status, headers, body[:-1] + bytes([body[-1] ^ 1]))
            elif kind == "short":  # cut, but the length says that this is all
                self._send(status, headers, body[: len(body) // 2])
            else:  # cut: the connection ends in the middle
                self._send(status, headers, body[: len(body) // 2], length=len(body) or 10)
                self._reset()

        def _reset(self) -> None:
            self.close_connection = True
            # lingering for 0 seconds: close sends RST
            self.wfile.flush()
            self.connection.setsockopt(
                socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
            )  # fmt: skip

        def _send(
            self, status: int, headers: dict[str, str], body: bytes, *, length: int | None = None
        ) -> None:
            self.send_response(status)
            for name, value in {"Content-Type": "application/json", **headers}.items():
                self.send_header(name, value)
            if status != 204:
                self.send_header("Content-Length", str(len(body) if length is None else length))
            self.end_headers()
            self.wfile.write(body)

    return Handler
