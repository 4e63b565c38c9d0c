"""A local server that speaks Vertex AI's wire format over TLS, answered by the scripted model.

    python -m infra.local.vertex --port 8963 --tls .data/vertex-tls
    ready: https://localhost:8963

Part of the emulator profile: the real client library calls it as it would call Google. The process
that analyses (the `analyse` function) gets, besides what it has anyway,

    MODEL=vertex
    GOOGLE_CLOUD_PROJECT=<any project id; the emulators' own>
    VERTEX_ENDPOINT=<any number, like 1234567890>
    VERTEX_API_ENDPOINT=https://localhost:8963
    VERTEX_CREDENTIALS=anonymous
    REQUESTS_CA_BUNDLE=<FOLDER>/ca.pem        (--tls FOLDER; written before `ready:` is printed)

VERTEX_LOCATION and VERTEX_DEDICATED keep their defaults. Where the environment names a proxy, add
`localhost` to NO_PROXY. REQUESTS_CA_BUNDLE replaces the usual roots for every https call made with
`requests` in that process, so set it for that process alone. Processes that do not analyse need
none of these.

The same server speaks two more formats, so that every adapter of a model is tried over a wire:
`/v1/chat/completions` as OpenAI, vLLM and Ollama speak it (`MODEL=openai_compatible`,
`MODEL_URL=https://localhost:8963/v1`), and embeddings as MedSigLIP's container gives them (instances
with `text` or `image`; made of the input's hash, they mean nothing).

It serves `GetEndpoint` (with `dedicatedEndpointDns` and `createTime`; without the latter the client
asks again before every prediction) and `:predict` with `@requestFormat: chatCompletions`. The
client goes to the dedicated name with https whatever is configured, hence TLS with a certificate of
our own. Listens on loopback only; checks no credentials.
"""

from __future__ import annotations

import argparse
import datetime
import hashlib
import ipaddress
import json
import re
import signal
import socket
import ssl
import struct
import sys
import tempfile
import threading
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from shared.adapters.scripted import ScriptedModel
from shared.ai.model import ChatRequest, Completion, Image, Model
from shared.errors import ModelBusy, ModelFault, ModelUnreadable
from shared.products.dermadetect.scripted import draft

#: Longest request body taken, bytes; a little over the 10 MB of real dedicated endpoints.
MAX_BODY_BYTES = 12_000_000
#: Seconds a question to the model behind may take. The client's own timeout is usually shorter.
MODEL_SECONDS = 120.0

_CHAT = "/v1/chat/completions"
_ENDPOINT = re.compile(r"/v1/(projects/[^/]+/locations/[^/]+/endpoints/[^/:]+)(:predict)?")


@dataclass(frozen=True, slots=True)
class PlannedFault:
    """How one prediction goes wrong. Made by the functions below, used up one per request."""

    kind: str
    status: int = 0
    seconds: float = 0.0
    body: bytes = b""
    retry_after: str | None = None
    close: bool = False
    content_type: str = ""


def status(code: int, *, retry_after: str | None = None, body: str | None = None) -> PlannedFault:
    """Answer with this HTTP status and an error body like Google's (or with `body`)."""
    error = {"error": {"code": code, "message": "The request failed.", "status": "FAILED"}}
    text = json.dumps(error) if body is None else body
    return PlannedFault("status", status=code, body=text.encode(), retry_after=retry_after)


def reset() -> PlannedFault:
    """Promise a body, send half of it, reset the connection."""
    return PlannedFault("reset")


def cut() -> PlannedFault:
    """Promise a body, send half of it, close the connection in good order."""
    return PlannedFault("cut")


def slow(seconds: float) -> PlannedFault:
    """Answer rightly, but only after so long."""
    return PlannedFault("slow", seconds=seconds)


def drip(seconds: float, *, close: bool = False) -> PlannedFault:
    """Send the answer byte by byte over so long: no single read ever times out.

    `close` announces the connection's end, after which clients read without their socket at hand.
    """
    return PlannedFault("drip", seconds=seconds, close=close)


def reply(body: bytes | str, *, content_type: str = "") -> PlannedFault:
    """Answer 200 with exactly this body, as this type (default: JSON)."""
    data = body.encode() if isinstance(body, str) else body
    return PlannedFault("reply", body=data, content_type=content_type)


def flood(size: int) -> PlannedFault:
    """Answer 200 with so many bytes, for as long as anybody reads them."""
    return PlannedFault("flood", status=size)


class VertexServer:
    """The server as a context manager; `requests` holds predictions' bodies, `wire` all bytes.

    `folder` gets `ca.pem` and `server.pem` (a temporary one when None). `predictions` says how
    answers are shaped (`object` as MedGemma's container does, or `list`); `dedicated=False` plays a
    shared endpoint. `faults` are used up by the first predictions, `endpoint_faults` by the first
    GetEndpoints. All of these may be changed while it runs.
    """

    def __init__(
        self,
        folder: Path | str | None = None,
        port: int = 0,
        *,
        model: Model | None = None,
        predictions: str = "object",
        dedicated: bool = True,
        faults: Iterable[PlannedFault] = (),
        keep_requests: bool = True,
    ) -> None:
        self._temporary = tempfile.TemporaryDirectory() if folder is None else None
        self.folder = Path(self._temporary.name if self._temporary else str(folder))
        self.model: Model = model or ScriptedModel(draft)
        self.predictions = predictions
        self.dedicated = dedicated
        self.dns: str | None = None  #: answered instead of `localhost:PORT` when set
        self.faults: deque[PlannedFault] = deque(faults)
        self.endpoint_faults: deque[PlannedFault] = deque()
        self.requests: list[dict[str, Any]] = []
        self.flooded = 0  #: bytes that a flood got rid of
        self.wire: list[bytes] = []  #: request line, headers and body of every request
        self.endpoint_reads = 0
        self._keep = keep_requests
        self._closing = threading.Event()
        certify(self.folder)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.folder / "server.pem")
        self._server = _TlsServer(("127.0.0.1", port), _handler_for(self))
        self._server.context = context
        self.port: int = self._server.server_address[1]
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.05,), daemon=True
        )

    @property
    def url(self) -> str:
        """The address for VERTEX_API_ENDPOINT."""
        return f"https://localhost:{self.port}"

    @property
    def ca(self) -> Path:
        """The file for REQUESTS_CA_BUNDLE."""
        return self.folder / "ca.pem"

    def forget(self) -> None:
        """Well-behaved again, with nothing recorded."""
        self.model = ScriptedModel(draft)
        self.predictions, self.dedicated, self.dns = "object", True, None
        self.faults.clear()
        self.endpoint_faults.clear()
        self.requests.clear()
        self.flooded = 0
        self.wire.clear()
        self.endpoint_reads = 0

    def start(self) -> VertexServer:
        self._thread.start()
        return self

    def close(self) -> None:
        """Stop listening; answers under way are dropped."""
        self._closing.set()
        if self._thread.is_alive():
            self._server.shutdown()
        self._server.server_close()
        if self._temporary is not None:
            self._temporary.cleanup()

    def __enter__(self) -> VertexServer:
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    # --- what the handler asks ---

    def record(self, head: bytes, body: bytes) -> None:
        if self._keep:
            self.wire.append(head + b"\r\n" + body)

    def wait(self, seconds: float) -> None:
        """Sleep, but not past the server's end."""
        self._closing.wait(seconds)

    def endpoint(self, name: str) -> dict[str, Any]:
        """The resource as GetEndpoint answers it."""
        self.endpoint_reads += 1
        resource: dict[str, Any] = {
            "name": name,
            "displayName": "local",
            "createTime": "2026-01-01T00:00:00Z",
            "updateTime": "2026-01-01T00:00:00Z",
        }
        if self.dedicated:
            resource["dedicatedEndpointEnabled"] = True
            resource["dedicatedEndpointDns"] = (
                f"localhost:{self.port}" if self.dns is None else self.dns
            )
        return resource

    def predict(self, body: dict[str, Any]) -> tuple[int, dict[str, Any], float | None]:
        """Status, body and Retry-After of a prediction that goes well or fails in the model."""
        if self._keep:
            self.requests.append(body)
        embedded = _embeddings(body)
        if embedded is not None:
            return 200, {"predictions": embedded, "deployedModelId": "2"}, None
        try:
            question = _question(body)
        except (KeyError, TypeError, ValueError, IndexError) as error:
            return 400, _error(400, f"Not a chat completion request: {error!r}"), None
        try:
            answer = self.model.ask(question, MODEL_SECONDS)
        except ModelBusy as error:
            return 429, _error(429, error.message), error.retry_after_s
        except ModelUnreadable:
            answer = Completion("", "", "", 0)
        except ModelFault as error:
            return 400, _error(400, error.message), None
        if "instances" not in body:
            return 200, self._completion(answer), None
        completion = self._completion(answer)
        return (
            200,
            {
                "predictions": completion if self.predictions == "object" else [completion],
                "deployedModelId": "1",
                "model": "projects/0/locations/local/models/scripted",
                "modelDisplayName": answer.model,
                "modelVersionId": answer.version,
            },
            None,
        )

    @staticmethod
    def _completion(answer: Completion) -> dict[str, Any]:
        return {
            "id": "chatcmpl-local",
            "object": "chat.completion",
            "created": 1767225600,
            "model": answer.model,
            "choices": [
                {
                    "index": 0,
                    "message": {"role": "assistant", "content": answer.text},
                    "finish_reason": "stop",
                }
            ],
            "usage": {
                "prompt_tokens": answer.prompt_tokens,
                "completion_tokens": answer.completion_tokens,
                "total_tokens": (answer.prompt_tokens or 0) + (answer.completion_tokens or 0),
            },
            "system_fingerprint": answer.version,
        }


def _embeddings(body: dict[str, Any]) -> list[dict[str, Any]] | None:
    """What MedSigLIP's container answers to texts and images; None if these are none."""
    instances = body.get("instances")
    if not isinstance(instances, list) or not all(
        isinstance(each, dict) and ("text" in each) != ("image" in each) for each in instances
    ):
        return None
    return [
        {
            "embedding": [byte / 255 - 0.5 for byte in hashlib.sha256(_bytes(each)).digest()],
            "input_type": "text" if "text" in each else "image",
            "model_temperature": 1.0,
            "model_bias": -1.0,
        }
        for each in instances
    ]


def _question(body: dict[str, Any]) -> ChatRequest:
    if "instances" in body:
        (instance,) = body["instances"]
        if instance["@requestFormat"] != "chatCompletions":
            raise ValueError("unknown @requestFormat")
    else:
        instance = body
        if not instance["model"] or instance["stream"] is not False:
            raise ValueError("no model is named, or the answer should be streamed")
    system, text, images = "", "", []
    for message in instance["messages"]:
        for part in message["content"]:
            if part["type"] == "image_url":
                images.append(Image(part["image_url"]["url"], ""))
            elif message["role"] == "system":
                system += part["text"]
            else:
                text += part["text"]
    return ChatRequest(
        system,
        text,
        tuple(images),
        max_tokens=int(instance["max_tokens"]),
        temperature=float(instance["temperature"]),
    )


def _error(code: int, message: str) -> dict[str, Any]:
    return {"error": {"code": code, "message": message, "status": "FAILED"}}


class _TlsServer(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    context: ssl.SSLContext

    def get_request(self) -> tuple[socket.socket, Any]:
        connection, address = super().get_request()
        # The handshake waits for the handler's thread: a client that stalls blocks nobody else.
        wrapped = self.context.wrap_socket(
            connection, server_side=True, do_handshake_on_connect=False
        )
        return wrapped, address

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that hang up are expected here."""
        if not isinstance(sys.exception(), OSError):
            super().handle_error(request, client_address)


def _handler_for(vertex: VertexServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        timeout = 60
        disable_nagle_algorithm = True  # else head and body wait 40 ms for each other

        def do_GET(self) -> None:
            self._record(b"")
            path = _ENDPOINT.fullmatch(self.path.partition("?")[0])
            if path is None or path[2]:
                self._send(404, _bytes(_error(404, "No such path.")))
                return
            fault = vertex.endpoint_faults.popleft() if vertex.endpoint_faults else None
            answer = _bytes(vertex.endpoint(path[1]))
            if fault is None:
                self._send(200, answer)
            else:
                self._misbehave(fault, answer)

        def do_POST(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            if not 0 < length <= MAX_BODY_BYTES:
                self.close_connection = True
                self._send(413, _bytes(_error(413, "The body is missing or too large.")))
                return
            raw = self.rfile.read(length)
            self._record(raw)
            path = _ENDPOINT.fullmatch(self.path.partition("?")[0])
            known = self.path == _CHAT or path is not None
            try:
                body = json.loads(raw)
            except ValueError:
                body = None
            asks = self.path == _CHAT or (path is not None and bool(path[2]))
            if not asks or not isinstance(body, dict):
                self._send(400 if known else 404, _bytes(_error(400, "Not a prediction.")))
                return
            fault = vertex.faults.popleft() if vertex.faults else None
            if fault is not None and fault.kind in ("status", "reply", "flood"):
                vertex.requests.append(body)
                self._misbehave(fault, b"")
                return
            code, answer, retry_after = vertex.predict(body)
            if fault is not None:
                self._misbehave(fault, _bytes(answer))
            else:
                self._send(
                    code, _bytes(answer), None if retry_after is None else f"{retry_after:g}"
                )

        def _record(self, raw: bytes) -> None:
            headers = "".join(f"{name}: {value}\r\n" for name, value in self.headers.items())
            vertex.record(f"{self.requestline}\r\n{headers}".encode("utf-8", "replace"), raw)

        def _misbehave(self, fault: PlannedFault, answer: bytes) -> None:
            if fault.kind == "status":
                self._send(fault.status, fault.body, fault.retry_after)
            elif fault.kind == "reply":
                self._head(200, len(fault.body), content_type=fault.content_type)
                self.wfile.write(fault.body)
            elif fault.kind == "flood":
                self._head(200, fault.status)
                while vertex.flooded < fault.status:
                    self.wfile.write(b"x" * 65_536)
                    vertex.flooded += 65_536
            elif fault.kind == "slow":
                vertex.wait(fault.seconds)
                self._send(200, answer)
            elif fault.kind == "drip":
                self._head(200, len(answer), close=fault.close)
                pause = fault.seconds / max(1, len(answer))
                for byte in answer:
                    self.wfile.write(bytes([byte]))
                    vertex.wait(pause)
            else:
                self._head(200, len(answer))
                self.wfile.write(answer[: len(answer) // 2])
                self.close_connection = True
                if fault.kind == "reset":
                    # lingering for 0 seconds: close sends RST and drops what is unsent
                    self.connection.setsockopt(
                        socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
                    )

        def _send(self, code: int, body: bytes, retry_after: str | None = None) -> None:
            self._head(code, len(body), retry_after)
            self.wfile.write(body)

        def _head(
            self,
            code: int,
            length: int,
            retry_after: str | None = None,
            *,
            close: bool = False,
            content_type: str = "",
        ) -> None:
            self.send_response(code)
            if close:
                self.send_header("Connection", "close")
            self.send_header("Content-Type", content_type or "application/json; charset=UTF-8")
            self.send_header("Content-Length", str(length))
            if retry_after is not None:
                self.send_header("Retry-After", retry_after)
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Quiet: bodies hold what a real model would see."""

    return Handler


def _bytes(value: object) -> bytes:
    return json.dumps(value).encode()


def certify(folder: Path) -> None:
    """Write `ca.pem` (to be trusted) and `server.pem` (key and certificate for localhost, 30 days).

    Made anew at every start: nothing here is worth keeping, and a stale certificate is a riddle.
    """
    folder.mkdir(parents=True, exist_ok=True)
    now = datetime.datetime.now(datetime.UTC)
    authority_key = ec.generate_private_key(ec.SECP256R1())
    authority_name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "dermadetect local CA")])
    key = ec.generate_private_key(ec.SECP256R1())

    def builder(name: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(authority_name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(hours=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(authority_key.public_key()),
                critical=False,
            )
        )

    authority = (
        builder(authority_name, authority_key.public_key())
        .add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        .add_extension(
            x509.KeyUsage(
                digital_signature=True,
                content_commitment=False,
                key_encipherment=False,
                data_encipherment=False,
                key_agreement=False,
                key_cert_sign=True,
                crl_sign=True,
                encipher_only=False,
                decipher_only=False,
            ),
            critical=True,
        )
        .sign(authority_key, hashes.SHA256())
    )
    leaf = (
        builder(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")]), key.public_key())
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(
            x509.SubjectAlternativeName(
                [x509.DNSName("localhost"), x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]
            ),
            critical=False,
        )
        .add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False)
        .sign(authority_key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    private = key.private_bytes(
        pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )
    server_file = folder / "server.pem"
    server_file.touch(mode=0o600)
    server_file.write_bytes(private + leaf.public_bytes(pem))
    (folder / "ca.pem").write_bytes(authority.public_bytes(pem))


def _fault(word: str) -> PlannedFault:
    """A fault from the command line: a status code, `reset`, `cut`, `slow:SECONDS`, `drip:…`."""
    kind, _, seconds = word.partition(":")
    if kind.isdigit():
        return status(int(kind))
    if kind in ("reset", "cut"):
        return PlannedFault(kind)
    if kind in ("slow", "drip"):
        return PlannedFault(kind, seconds=float(seconds or 1))
    raise argparse.ArgumentTypeError(f"{word}: a status code, reset, cut, slow:2 or drip:2")


def main(arguments: list[str] | None = None) -> None:
    """Serve until interrupted or terminated."""
    parser = argparse.ArgumentParser(
        prog="python -m infra.local.vertex",
        description="Vertex AI's wire format, scripted answers.",
    )
    parser.add_argument("--port", type=int, default=0, help="0: any free port")
    parser.add_argument("--tls", type=Path, required=True, help="folder for ca.pem and server.pem")
    parser.add_argument("--list", action="store_true", help="answer predictions as a list")
    parser.add_argument("--shared", action="store_true", help="play a shared endpoint")
    parser.add_argument(
        "--fault",
        type=_fault,
        action="append",
        default=[],
        help="how the next prediction fails: 429, 503, reset, cut, slow:2, drip:2; may be repeated",
    )
    chosen = parser.parse_args(arguments)
    server = VertexServer(
        chosen.tls,
        chosen.port,
        predictions="list" if chosen.list else "object",
        dedicated=not chosen.shared,
        faults=chosen.fault,
        keep_requests=False,
    )
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    with server:
        print(f"ready: {server.url}", flush=True)
        ended.wait()


if __name__ == "__main__":
    main()
