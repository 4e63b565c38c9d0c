"""A bad network between phones and a server: an HTTP proxy that fails by a seeded choice.

    python -m tests.dermadetect.fleet.proxy --listen 9000 --upstream 127.0.0.1:8080 --seed 7 --rate 0.3

    lose_request   closed before anything is forwarded
    lose_answer    forwarded, the answer is thrown away
    repeat         sent twice at once, either answer is given
    late           answered, and sent again after later requests of the same phone
    hold           closed; it arrives for the first time after later requests of the same phone
    cut_request    the body breaks off, the line is closed
    cut_answer     the answer breaks off
    refuse         a 503 with Retry-After of our own
    slow           50 kbit/s in both directions

A phone is known by its `X-Phone` header, else by its token, else by its address; what happens to its
n-th request depends on the seed, the phone and n alone. One request a connection. Bodies need a
`Content-Length`. What is held back is delivered before the answer to a later request goes out, or by
`release`.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import socket
import socketserver
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from random import Random
from typing import NamedTuple

from tests.patience import PATIENCE_SECONDS

FAULTS = (
    "lose_request",
    "lose_answer",
    "repeat",
    "late",
    "hold",
    "cut_request",
    "cut_answer",
    "refuse",
    "slow",
)

#: 50 kbit/s.
SLOW_BYTES_A_SECOND = 6250.0

_PIECE = 1024
_MOST_HEAD = 64 * 1024


class Fate(NamedTuple):
    """What happens to one request. `part` is where a body is cut; `later` how many requests later a
    held one arrives; `second`: the second answer is given."""

    fault: str = ""
    part: float = 0.5
    later: int = 1
    second: bool = False


#: Decides by phone, number of its request (from 1), and "METHOD path" without the query.
Decide = Callable[[str, int, str], Fate]

#: Told of every fault: the phone, what happens, the body of its request.
Watch = Callable[[str, str, bytes], None]


def _unwatched(_phone: str, _what: str, _body: bytes) -> None:
    pass


def fair(_phone: str, _number: int, _what: str) -> Fate:
    """Nothing happens to anybody."""
    return Fate()


def seeded(seed: object, rate: float = 0.3, weights: Mapping[str, float] | None = None) -> Decide:
    """Faults for `rate` of the requests, by weight (each 1 unless it is named)."""
    chances = [(weights or {}).get(fault, 1.0) for fault in FAULTS]

    def decide(phone: str, number: int, _what: str) -> Fate:
        random = Random(f"{seed}/{phone}/{number}")
        fault = random.choices(FAULTS, chances)[0] if random.random() < rate else ""
        return Fate(fault, random.random(), random.randint(1, 4), random.random() < 0.5)

    return decide


class _Request(NamedTuple):
    head: bytes
    body: bytes
    phone: str
    what: str  #: "METHOD path"


@dataclass
class _Held:
    request: _Request
    due: int  #: the phone's request number from which on it is delivered


class Proxy:
    """Serves from its own threads on `port` until `close`. `decide` may be replaced at any time.

    `pace` scales the time that a slow line takes: 1 is real. `counts` counts faults by kind.
    """

    def __init__(
        self,
        upstream: tuple[str, int],
        decide: Decide = fair,
        *,
        port: int = 0,
        pace: float = 1.0,
    ) -> None:
        self.upstream, self.decide, self.pace = upstream, decide, pace
        self.watch: Watch = _unwatched
        self.counts: Counter[str] = Counter()
        self._numbers: Counter[str] = Counter()
        self._held: dict[str, list[_Held]] = defaultdict(list)
        self._lock = threading.Lock()
        proxy = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                with suppress(OSError):
                    proxy._serve(self.request)

        class Server(socketserver.ThreadingTCPServer):
            allow_reuse_address = True
            daemon_threads = True
            request_queue_size = 64

        self._server = Server(("127.0.0.1", port), Handler)
        self.port: int = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def forget(self) -> None:
        """Begin anew for other phones: counters and held requests are dropped."""
        with self._lock:
            self.counts.clear()
            self._numbers.clear()
            self._held.clear()

    def release(self) -> int:
        """Deliver everything that is held back; how many requests that were."""
        with self._lock:
            held = [item for items in self._held.values() for item in items]
            self._held.clear()
        for item in held:
            self._deliver(item.request)
        return len(held)

    # --- one request

    def _serve(self, client: socket.socket) -> None:
        client.settimeout(PATIENCE_SECONDS)
        request = _read(client)
        if request is None:
            return
        with self._lock:
            self._numbers[request.phone] += 1
            number = self._numbers[request.phone]
            fate = self.decide(request.phone, number, request.what)
            if fate.fault:
                self.counts[fate.fault] += 1
            if fate.fault in ("late", "hold"):
                self._held[request.phone].append(_Held(request, number + fate.later))
        if fate.fault:
            self.watch(request.phone, fate.fault, request.body)
        answer = self._suffer(request, fate)
        self._deliver_due(request.phone, number)
        if answer is None:
            return
        if fate.fault == "cut_answer":
            answer = answer[: int(len(answer) * fate.part)]
        self._send(client, answer, slow=fate.fault == "slow")

    def _suffer(self, request: _Request, fate: Fate) -> bytes | None:
        """The answer that reaches the phone, if one does."""
        match fate.fault:
            case "lose_request" | "hold":
                return None
            case "lose_answer":
                self._ask(request)
                return None
            case "repeat":
                return self._ask_twice(request)[fate.second]
            case "cut_request":
                short = request.body[: int(len(request.body) * fate.part)]
                if short == request.body:  # there is no body: the head breaks off
                    return None
                return self._ask(request._replace(body=short), hang_up=True)
            case "refuse":
                return _busy()
            case "slow":
                return self._ask(request, slow=True)
        return self._ask(request)

    def _ask_twice(self, request: _Request) -> tuple[bytes | None, bytes | None]:
        answers: list[bytes | None] = [None, None]

        def ask(place: int) -> None:
            answers[place] = self._ask(request)

        other = threading.Thread(target=ask, args=(1,))
        other.start()
        ask(0)
        other.join()
        return answers[0], answers[1]

    def _deliver_due(self, phone: str, number: int) -> None:
        with self._lock:
            due = [item for item in self._held[phone] if item.due <= number]
            self._held[phone] = [item for item in self._held[phone] if item.due > number]
        for item in due:
            self._deliver(item.request)

    def _deliver(self, request: _Request) -> None:
        answer = self._ask(request) or b"no answer"
        first = answer.split(b"\r\n", 1)[0].decode("latin-1")
        self.watch(request.phone, f"delivered late: {first}", request.body)

    # --- lines

    def _ask(self, request: _Request, *, slow: bool = False, hang_up: bool = False) -> bytes | None:
        """The server's whole answer; None if there is none."""
        try:
            with socket.create_connection(self.upstream, PATIENCE_SECONDS) as server:
                self._send(server, request.head + request.body, slow=slow)
                if hang_up:
                    server.shutdown(socket.SHUT_WR)
                answer = bytearray()
                while piece := server.recv(65536):
                    answer += piece
                return bytes(answer) or None
        except OSError:
            return None

    def _send(self, line: socket.socket, data: bytes, *, slow: bool) -> None:
        if not slow:
            line.sendall(data)
            return
        for at in range(0, len(data), _PIECE):
            piece = data[at : at + _PIECE]
            time.sleep(len(piece) / SLOW_BYTES_A_SECOND * self.pace)
            line.sendall(piece)


def _read(client: socket.socket) -> _Request | None:
    """One request, told to close its line afterwards; None if it breaks off."""
    data = bytearray()
    while b"\r\n\r\n" not in data:
        piece = client.recv(65536)
        if not piece or len(data) > _MOST_HEAD:
            return None
        data += piece
    head, _, body = bytes(data).partition(b"\r\n\r\n")
    first, *lines = head.split(b"\r\n")
    headers = {
        name.strip().lower().decode("latin-1"): value.strip().decode("latin-1")
        for name, _, value in (line.partition(b":") for line in lines)
    }
    length = int(headers.get("content-length", "0"))
    while len(body) < length:
        piece = client.recv(65536)
        if not piece:
            return None
        body += piece
    kept = [line for line in lines if not line.lower().startswith(b"connection:")]
    head = b"\r\n".join([first, *kept, b"Connection: close", b"", b""])
    what = first.decode("latin-1").rpartition(" ")[0].partition("?")[0]
    return _Request(head, body[:length], _phone(headers, client), what)


def _phone(headers: Mapping[str, str], client: socket.socket) -> str:
    named = headers.get("x-phone")
    if named:
        return named
    token = headers.get("authorization")
    if token:
        return hashlib.sha256(token.encode()).hexdigest()[:12]
    return str(client.getpeername()[0])


def _busy() -> bytes:
    error = {"code": "busy", "message": "The network says no.", "retry_after_s": 1}
    body = json.dumps({"error": error}).encode()
    head = (
        "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
        f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
    )
    return head.encode() + body


def main(arguments: list[str] | None = None) -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--listen", type=int, default=9000, help="port")
    parser.add_argument("--upstream", default="127.0.0.1:8080")
    parser.add_argument("--seed", default="1")
    parser.add_argument("--rate", type=float, default=0.3, help="share of requests with a fault")
    parser.add_argument("--only", choices=FAULTS, action="append", help="these faults alone")
    parser.add_argument("--pace", type=float, default=1.0, help="scale of a slow line's time")
    chosen = parser.parse_args(arguments)
    host, _, port = chosen.upstream.rpartition(":")
    weights = {fault: float(fault in chosen.only) for fault in FAULTS} if chosen.only else None
    decide = seeded(chosen.seed, chosen.rate, weights)
    proxy = Proxy((host, int(port)), decide, port=chosen.listen, pace=chosen.pace)
    print(f"ready: 127.0.0.1:{proxy.port} → {chosen.upstream}", flush=True)
    try:
        while True:
            time.sleep(5)
            print(dict(proxy.counts), flush=True)
    except KeyboardInterrupt:
        proxy.close()


if __name__ == "__main__":
    main()
