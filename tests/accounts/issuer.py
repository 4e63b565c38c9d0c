"""A local issuer: a discovery document, keys, and tokens signed with them. Faults on demand."""

from __future__ import annotations

import json
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric import rsa


class Issuer:
    """Listens on loopback. `down` answers 503, `answers` replaces what a path says."""

    def __init__(self) -> None:
        self.private = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.kid = "outside-1"
        self.down = False
        self.answers: dict[str, bytes] = {}
        self.asked: list[str] = []
        issuer = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: Any) -> None:
                pass

            def do_GET(self) -> None:
                issuer.asked.append(self.path)
                data = issuer.answer(self.path)
                redirect = data is not None and data.startswith(b"->")
                status = 503 if issuer.down else 404 if data is None else 302 if redirect else 200
                self.send_response(status)
                if redirect and data is not None:
                    self.send_header("Location", data[2:].decode())
                self.send_header("Content-Length", str(len(data or b"")))
                self.end_headers()
                self.wfile.write(data or b"")

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def answer(self, path: str) -> bytes | None:
        if path in self.answers:
            return self.answers[path]
        if path == "/.well-known/openid-configuration":
            said = {"issuer": self.url, "jwks_uri": f"{self.url}/keys"}
            return json.dumps(said).encode()
        return self.jwks().encode() if path == "/keys" else None

    def jwks(self, **more: Any) -> str:
        public: dict[str, Any] = jwt.algorithms.RSAAlgorithm.to_jwk(
            self.private.public_key(), as_dict=True
        )
        return json.dumps({"keys": [{**public, "kid": self.kid, "use": "sig", **more}]})

    def token(self, key: Any = None, alg: str = "RS256", kid: str = "", **claims: Any) -> str:
        now = int(time.time())
        said = {
            "iss": self.url,
            "aud": "our-app",
            "sub": "somebody",
            "iat": now,
            "exp": now + 900,
            **claims,
        }
        said = {name: value for name, value in said.items() if value is not None}
        return jwt.encode(
            said, key or self.private, algorithm=alg, headers={"kid": kid or self.kid}
        )

    def __enter__(self) -> Issuer:
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
