"""Endpoints of a neutral product on each store, and receivers that are real HTTP servers."""

from __future__ import annotations

import ssl
import threading
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from shared.access import membership
from shared.access.membership import Caller
from shared.adapters.hook_post import HookPost
from shared.hooks import event as events
from shared.hooks.deliver import Deliver, Poster
from shared.hooks.event import Event
from shared.hooks.fan_out import KIND, FanOut
from shared.hooks.hooks import Access, Hooks, ScopeEndpoint
from shared.jobs import job as jobs
from shared.jobs.job import Job, RetryPolicy
from shared.jobs.runner import Runner
from shared.records.bell import Bell
from shared.records.store import Key, Query, RecordStore, put
from tests import stores
from tests.neutral.tables import CATALOG

HERE = (ip_network("127.0.0.0/8"), ip_network("::1/128"))
SECRET = b"a deployment's own secret, of 32 characters"
LEASE_MS = 600_000

NOTE_RED = Event("note.red", "A note became red.", "notes", ("note_id",), "/api/v1/notes/{note_id}")
NOTE_SIGNED = Event(
    "note.signed", "A note was signed.", "notes", ("note_id",), "/api/v1/notes/{note_id}"
)


class Seen(NamedTuple):
    """A request as a receiver got it."""

    path: str
    headers: dict[str, str]
    body: bytes


class Receiver:
    """A receiver on a port of its own. `says` is its answer: a status, and headers."""

    def __init__(self, context: ssl.SSLContext | None = None) -> None:
        self.seen: list[Seen] = []
        self.status = 204
        self.headers: dict[str, str] = {}
        self.before: Callable[[BaseHTTPRequestHandler], bool] = lambda _handler: True
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                headers = {name.lower(): value for name, value in self.headers.items()}
                receiver.seen.append(Seen(self.path, headers, body))
                if not receiver.before(self):
                    return
                self.send_response(receiver.status)
                for name, value in receiver.headers.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                """Nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._server.daemon_threads = True
        if context is not None:
            self._server.socket = context.wrap_socket(self._server.socket, server_side=True)
        self.port = self._server.server_address[1]
        self.url = f"{'http' if context is None else 'https'}://localhost:{self.port}/in?key=1"
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


class Certified(NamedTuple):
    """A certificate for some names: what its server shows, and what its clients trust."""

    server: ssl.SSLContext
    client: ssl.SSLContext


def certified(folder: Path, *names: str) -> Certified:
    """A certificate that signs itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    named = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "a receiver")])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(named)
        .issuer_name(named)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([_general(name) for name in names]), False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), True)
        .sign(key, hashes.SHA256())
    )
    text = made.public_bytes(serialization.Encoding.PEM)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    path = folder / "receiver.pem"
    path.write_bytes(private + text)
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(path)
    return Certified(server, ssl.create_default_context(cadata=text.decode()))


def _general(name: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ip_address(name))
    except ValueError:
        return x509.DNSName(name)


class Desk:
    """Endpoints, events and workers on a store, with a time that tests move by hand."""

    def __init__(self, store: RecordStore) -> None:
        self.store = store
        self.time = 1_800_000_000_000
        self.rung: list[Bell] = []
        self.hooks = Hooks(store, CATALOG, (NOTE_RED, NOTE_SIGNED), lambda: SECRET, HERE)
        self.post: Poster = HookPost(HERE, timeout_seconds=5)

    def now(self) -> int:
        return self.time

    def access(self, user: str = "admin1", team: str = "team1", role: str = "admin") -> Access:
        """What a member of a team may do, who is made one."""
        membership.grant(self.store, user, team, role, self.time)
        return self.hooks.access(Caller(user, role, "desk"))

    def endpoint(
        self, url: str, *wanted: str, team: str = "team1"
    ) -> tuple[ScopeEndpoint, str, Access]:
        """A new endpoint of a team, its secret, and who made it."""
        access = self.access(f"admin-of-{team}", team)
        place, secret = self.hooks.add(access, team, url, wanted or ("note.red",), self.time)
        return place, secret, access

    def happen(self, name: str, team: str = "team1", event: Event = NOTE_RED) -> str:
        """A record changes, and its event is in the commit; the event's id."""
        known = event.happened(team, {"note_id": name}, self.time, once=str(self.time))
        self.store.commit([put(Key("notes", name), {"scope_id": team}, None), known])
        return known.key.id

    def fan_out(self, store: RecordStore | None = None) -> int:
        return FanOut(store or self.store, self.rung.extend, self.now).run(self.time)

    def worker(self, store: RecordStore | None = None) -> Runner:
        """A new process that delivers."""
        task = Deliver(store or self.store, lambda: SECRET, lambda: self.post, self.now)
        usual = RetryPolicy(3, 20.0, 3600.0)
        return Runner(
            store or self.store, {KIND: task}, policy=usual, lease_ms=LEASE_MS, clock=self.now
        )

    def deliver(self, store: RecordStore | None = None) -> dict[str, str]:
        """Fan out and send what is due; job → state."""
        self.fan_out(store)
        return self.worker(store).run_due(KIND, 120).states

    def jobs(self) -> list[Job]:
        return [Job.of(each) for each in self.store.query(Query(jobs.COLLECTION))]

    def job(self) -> Job:
        [only] = self.jobs()
        return only

    def events(self) -> list[str]:
        return [each.key.id for each in self.store.query(Query(events.COLLECTION))]

    def until_due(self) -> int:
        """Go on to the next attempt; how long that was, ms."""
        due = self.job().due_at
        assert due is not None
        passed, self.time = due - self.time, due
        return passed


@pytest.fixture(params=stores.BOTH)
def desk(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Desk]:
    store = stores.fresh(request.param, request, tmp_path)
    yield Desk(store)
    store.close()


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Desk]:
    """On SQLite alone: for what no store decides."""
    store = stores.SqliteStore(tmp_path / "records.db")
    yield Desk(store)
    store.close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()


@pytest.fixture
def other() -> Iterator[Receiver]:
    made = Receiver()
    yield made
    made.close()
