"""Others beside us, in one run on one machine: what they take to store and to hand out the same cases.

    Kinto          on PostgreSQL and in memory; `batch` of PUTs, `_since`
    PouchDB Server in memory; `_bulk_docs`, `_changes`
    Flask          with SQLAlchemy on SQLite, row by row (`peer_flask.py`)
    transactional  Google's client, `@firestore.transactional` for each document, on the emulator

Each peer lives in an environment of its own below `.build/peers`, installed with pinned versions at
the first run. One that cannot be installed or started is named with the reason and left out. They do less
than we do: none checks rights, rules or references, only PouchDB keeps what lost. All of them run
side by side, idle but for the one that is asked, and take turns.
"""

from __future__ import annotations

import http.client
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from base64 import b64encode
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Any, NamedTuple, Protocol
from urllib.parse import quote

import orjson

from benchmarks import corpus, emulator, ours
from benchmarks.emulator import Absent
from benchmarks.measure import Report, main
from benchmarks.ours import Answer, request
from benchmarks.processes import descendants
from infra.local.processes import Child, StartFailed, free_port
from shared.records import record

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / ".build" / "peers"

#: What is installed, by peer; what these depend on comes as the registries have it.
PYTHON = {
    "kinto": ("kinto[postgresql]==26.5.0",),
    "flask": ("flask==3.1.3", "sqlalchemy==2.1.9", "gunicorn==27.0.1"),
}
NODE = {"pouchdb": ("pouchdb-server@4.2.0",)}

PUSHED, QUICK_PUSHED = 500, 100
FIRST, QUICK_FIRST = 2_500, 300
REPETITIONS, QUICK_REPETITIONS = 4, 2
#: Turns that do not count.
_WARM_UP = 1
TEAM = "team"
_INSTALL_SECONDS = 300
_START_SECONDS = 60.0


class Peer(Protocol):
    """One that stores and hands out cases."""

    def push(self, rows: Sequence[corpus.Row], edited: bool) -> float:
        """Store rows; ms."""
        ...

    def mark(self) -> Any:
        """A cursor of now."""
        ...

    def pull(self, since: Any) -> Answer:
        """What changed since a cursor; None: everything."""
        ...


# --- ours


class _Ours:
    """Our SQLite or Firestore profile, in the WatermelonDB dialect."""

    def __init__(self, served: ours.Ours) -> None:
        self._served = served
        self._who = served.grant("amina", TEAM)

    def patients(self, prefix: str, cases: int) -> None:
        for rows in corpus.parts(corpus.patients(prefix, cases), 400):
            self._served.push(self._who, corpus.watermelon([], rows), self.mark())

    def push(self, rows: Sequence[corpus.Row], edited: bool) -> float:
        body = corpus.watermelon(rows, kind="updated" if edited else "created")
        return self._served.push(self._who, body, self.mark()).total_ms

    def mark(self) -> int:
        return self._served.cursor_ms(self._who)

    def pull(self, since: Any) -> Answer:
        return self._served.pull(self._who, since or 0)


# --- Kinto


class _Kinto:
    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/v1"
        token = b64encode(b"amina:secret").decode()
        self._headers = {"Authorization": f"Basic {token}", "Content-Type": "application/json"}
        self._path = "/buckets/care/collections/cases/records"
        for path in ("/buckets/care", "/buckets/care/collections/cases"):
            request("PUT", self._url + path, None, self._headers, expect=(200, 201))

    def push(self, rows: Sequence[corpus.Row], edited: bool) -> float:
        calls = [
            {
                "method": "PUT",
                "path": f"/v1{self._path}/{row['id']}",
                # its own last_modified is the server's time
                "body": {"data": {**corpus.plain(row), "id": row["id"]}},
            }
            for row in rows
        ]
        body = orjson.dumps({"requests": calls})
        answer = request("POST", f"{self._url}/batch", body, self._headers)
        for each in answer.json()["responses"]:
            if each["status"] not in (200, 201):
                raise RuntimeError(f"Kinto refused a record: {each['status']}")
        return answer.total_ms

    def mark(self) -> str:
        answer = request("HEAD", self._url + self._path, None, self._headers)
        return answer.headers["etag"].strip('"')

    def pull(self, since: Any) -> Answer:
        after = "" if since is None else f"?_since={quote(chr(34) + since + chr(34))}"
        return request("GET", self._url + self._path + after, None, self._headers)


@contextmanager
def _kinto_in_memory() -> Iterator[Peer]:
    with _kinto("memory", "") as peer:
        yield peer


@contextmanager
def _kinto_on_postgresql() -> Iterator[Peer]:
    with postgresql() as url, _kinto("postgresql", url) as peer:
        yield peer


@contextmanager
def _kinto(backend: str, url: str) -> Iterator[Peer]:
    scripts = python_environment("kinto")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-kinto-") as folder:
        ini = Path(folder) / "kinto.ini"
        lines = [
            "[server:main]",
            "use = egg:waitress#main",
            "host = 127.0.0.1",
            f"port = {port}",
            "threads = 16",
            "[app:main]",
            "use = egg:kinto",
            "kinto.userid_hmac_secret = benchmark",
            "kinto.bucket_create_principals = system.Authenticated",
            "multiauth.policies = basicauth",
            # so that 500 are one request, and a pull is one answer
            f"kinto.batch_max_requests = {PUSHED}",
            "kinto.storage_max_fetch_size = 200000",
            *(
                f"kinto.{part}_backend = kinto.core.{part}.{backend}"
                for part in ("storage", "permission", "cache")
            ),
            *(f"kinto.{part}_url = {url}" for part in ("storage", "permission", "cache") if url),
            "[loggers]",
            "keys = root",
            "[handlers]",
            "keys = console",
            "[formatters]",
            "keys = plain",
            "[logger_root]",
            "level = ERROR",
            "handlers = console",
            "[handler_console]",
            "class = StreamHandler",
            "args = (sys.stderr,)",
            "formatter = plain",
            "[formatter_plain]",
            "format = %(message)s",
        ]
        ini.write_text("\n".join(lines) + "\n")
        kinto = str(scripts / "kinto")
        if url:
            _run([kinto, "migrate", "--ini", str(ini)], "Kinto's tables could not be made")
        command = [kinto, "start", "--ini", str(ini), "--port", str(port)]
        with _served("Kinto", command, port, "/v1/__heartbeat__", Path(folder)):
            yield _Kinto(port)


@contextmanager
def postgresql() -> Iterator[str]:
    """A PostgreSQL of our own for the length of the block: its URL. Raises `Absent`."""
    binaries = _postgresql_binaries()
    port = free_port()
    # Its owner must not be root, and sockets are addressed in 107 bytes.
    with tempfile.TemporaryDirectory(prefix="bench-pg-", ignore_cleanup_errors=True) as folder:
        data = Path(folder) / "data"
        as_owner: list[str] = []
        if os.geteuid() == 0:
            try:
                shutil.chown(folder, "postgres", "postgres")
            except LookupError:
                raise Absent("PostgreSQL: it does not run as root; make a user postgres") from None
            as_owner = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", "--"]
        _run(
            [
                *(*as_owner, str(binaries / "initdb"), "-D", str(data)),
                *("-U", "kinto", "-A", "trust", "-E", "UTF8", "--locale=C"),
            ],
            "PostgreSQL: initdb failed",
            cwd=Path("/"),
        )
        command = [*as_owner, str(binaries / "postgres"), "-D", str(data), "-p", str(port)]
        command += ["-k", folder, "-c", "listen_addresses=127.0.0.1"]
        with tempfile.TemporaryDirectory(prefix="bench-pg-log-") as logs:
            child = Child("PostgreSQL", command, log=Path(logs) / "log", cwd=Path("/"))
            try:
                ready = [str(binaries / "pg_isready"), "-q", "-h", "127.0.0.1", "-p", str(port)]
                child.wait_ready(
                    lambda: subprocess.run(ready, check=False).returncode == 0, _START_SECONDS
                )
                yield f"postgresql://kinto@127.0.0.1:{port}/postgres"
            except StartFailed as error:
                raise Absent(str(error)) from error
            finally:
                child.stop()


def _postgresql_binaries() -> Path:
    for folder in [*sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)]:
        if (folder / "initdb").exists():
            return folder
    found = shutil.which("initdb")
    if found is None:
        raise Absent("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    return Path(found).resolve().parent


# --- PouchDB Server


class Started(NamedTuple):
    """A peer that serves."""

    port: int
    child: Child

    def processes(self) -> list[int]:
        """The ids of all of its processes."""
        return descendants(self.child._guard.pid)


class _PouchDb:
    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/cases"
        self._revisions: dict[str, str] = {}
        request("PUT", self._url, None, {}, expect=(201,))

    def push(self, rows: Sequence[corpus.Row], edited: bool) -> float:
        documents = []
        for row in rows:
            document = {**corpus.plain(row), "_id": row["id"]}
            if edited:
                document["_rev"] = self._revisions[row["id"]]
            documents.append(document)
        body = orjson.dumps({"docs": documents})
        headers = {"Content-Type": "application/json"}
        answer = request("POST", f"{self._url}/_bulk_docs", body, headers, expect=(201,))
        for each in answer.json():
            self._revisions[each["id"]] = each["rev"]
        return answer.total_ms

    def mark(self) -> int:
        said = request("GET", self._url).json()
        return int(said["update_seq"])

    def pull(self, since: Any) -> Answer:
        return request("GET", f"{self._url}/_changes?since={since or 0}&include_docs=true")


@contextmanager
def _pouchdb() -> Iterator[Peer]:
    with pouchdb_server() as started:
        yield _PouchDb(started.port)


@contextmanager
def pouchdb_server() -> Iterator[Started]:
    """A PouchDB Server that keeps everything in memory. Raises `Absent`."""
    command = node_environment("pouchdb") / "pouchdb-server"
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-pouchdb-") as folder:
        words = [str(command), "--in-memory", "--host", "127.0.0.1", "--port", str(port)]
        words += ["--no-stdout-logs", "--config", str(Path(folder) / "config.json")]
        with _served("PouchDB Server", words, port, "/", Path(folder)) as child:
            yield Started(port, child)


# --- Flask


class _Flask:
    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/sync"

    def push(self, rows: Sequence[corpus.Row], edited: bool) -> float:
        body = orjson.dumps({"cases": [corpus.plain(row) for row in rows]})
        return request("POST", self._url, body, {"Content-Type": "application/json"}).total_ms

    def mark(self) -> int:
        time.sleep(0.002)  # its cursor is a clock: what follows shall be later
        return time.time_ns() // 1_000_000 - 1

    def pull(self, since: Any) -> Answer:
        return request("GET", f"{self._url}?since={since or 0}")


@contextmanager
def _flask() -> Iterator[Peer]:
    with flask_server() as started:
        yield _Flask(started.port)


@contextmanager
def flask_server() -> Iterator[Started]:
    """`peer_flask.py` under gunicorn, as many processes and threads as ours. Raises `Absent`."""
    scripts = python_environment("flask")
    port = free_port()
    with tempfile.TemporaryDirectory(prefix="bench-flask-") as folder:
        shutil.copy(Path(__file__).with_name("peer_flask.py"), folder)
        command = [str(scripts / "gunicorn"), "--workers", "2", "--threads", "16", "--preload"]
        command += ["--bind", f"127.0.0.1:{port}", "--chdir", folder, "--keep-alive", "300"]
        command += ["peer_flask:app"]
        environ = {**os.environ, "PEER_DATABASE": str(Path(folder) / "peer.db")}
        with _served(
            "Flask", command, port, "/sync?since=9999999999999", Path(folder), environ
        ) as child:
            yield Started(port, child)


# --- starting and installing


@contextmanager
def _served(
    name: str,
    command: Sequence[str],
    port: int,
    path: str,
    folder: Path,
    environ: dict[str, str] | None = None,
) -> Iterator[Child]:
    child = Child(name, command, log=folder / "log", cwd=folder, environ=environ)

    def answers() -> bool:
        try:
            connection = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
            connection.request("GET", path)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False

    try:
        child.wait_ready(answers, _START_SECONDS)
        yield child
    except StartFailed as error:
        raise Absent(str(error)) from error
    finally:
        child.stop()


def python_environment(name: str) -> Path:
    """The scripts of a peer's virtual environment, made at the first call. Raises `Absent`."""
    home, packages = FOLDER / name / "venv", PYTHON[name]
    if not _installed(home, packages):
        shutil.rmtree(home, ignore_errors=True)
        _run([sys.executable, "-m", "venv", str(home)], f"{name}: no virtual environment")
        _run(
            [
                *(str(home / "bin" / "pip"), "install", "--quiet", "--disable-pip-version-check"),
                *packages,
            ],
            f"{name}: {', '.join(packages)} could not be installed",
        )
        (home / ".installed").write_text("\n".join(packages))
    return home / "bin"


def node_environment(name: str) -> Path:
    """The commands of a peer's npm folder, made at the first call. Raises `Absent`."""
    home, packages = FOLDER / name, NODE[name]
    if shutil.which("npm") is None or shutil.which("node") is None:
        raise Absent(f"{name}: Node and npm are not installed")
    if not _installed(home, packages):
        home.mkdir(parents=True, exist_ok=True)
        (home / "package.json").write_text('{"private": true}')
        _run(
            # without scripts: compiling its databases takes minutes, and it runs in memory
            ["npm", "install", "--ignore-scripts", "--no-audit", "--no-fund", *packages],
            f"{name}: {', '.join(packages)} could not be installed",
            cwd=home,
        )
        (home / ".installed").write_text("\n".join(packages))
    return home / "node_modules" / ".bin"


def there(name: str) -> bool:
    """Whether a peer is installed."""
    if name in NODE:
        return _installed(FOLDER / name, NODE[name])
    return _installed(FOLDER / name / "venv", PYTHON[name])


def _installed(home: Path, packages: Sequence[str]) -> bool:
    note = home / ".installed"
    return note.exists() and note.read_text() == "\n".join(packages)


def _run(command: Sequence[str], failed: str, cwd: Path | None = None) -> None:
    try:
        subprocess.run(
            command, check=True, capture_output=True, timeout=_INSTALL_SECONDS, cwd=cwd, text=True
        )
    except subprocess.CalledProcessError as error:
        lines = (error.stderr or error.stdout or "").strip().splitlines()
        raise Absent(f"{failed}: {lines[-1] if lines else error.returncode}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise Absent(f"{failed}: {error}") from error


# --- the run


class _Entrant(NamedTuple):
    name: str
    needs: str  #: what is installed for it
    serve: Callable[[], AbstractContextManager[Peer]]


PEERS = (
    _Entrant("Kinto, PostgreSQL", "kinto", _kinto_on_postgresql),
    _Entrant("Kinto, memory", "kinto", _kinto_in_memory),
    _Entrant("PouchDB Server, memory", "pouchdb", _pouchdb),
    _Entrant("Flask and SQLAlchemy, SQLite", "flask", _flask),
)


def run(quick: bool) -> Report:
    """Everybody who is there; a quick run installs nobody."""
    report = Report("peers")
    with ExitStack() as stack:
        present: dict[str, Peer] = {"ours": _Ours(stack.enter_context(ours.serve("sqlite")))}
        try:
            address = stack.enter_context(emulator.firestore())
            served = stack.enter_context(ours.serve("firestore", address))
            present["ours, Firestore emulator"] = _Ours(served)
        except Absent as absent:
            report.absent.append(str(absent))
        for entrant in PEERS:
            if quick and not there(entrant.needs):
                report.absent.append(f"{entrant.name}: the full run installs it")
                continue
            try:
                present[entrant.name] = stack.enter_context(entrant.serve())
            except Absent as absent:
                report.absent.append(f"{entrant.name}: {absent}")
        _push_and_pull(report, present, quick)
        if "ours, Firestore emulator" in present:
            _transactional(report, present["ours, Firestore emulator"], quick)
    _judge(report, QUICK_PUSHED if quick else PUSHED)
    return report


def _push_and_pull(report: Report, present: dict[str, Peer], quick: bool) -> None:
    repetitions = QUICK_REPETITIONS if quick else REPETITIONS
    pushed, first = (QUICK_PUSHED, QUICK_FIRST) if quick else (PUSHED, FIRST)
    turns = _WARM_UP + repetitions
    found: dict[tuple[str, str, str], list[float]] = {}

    def note(case: str, who: str, unit: str, value: float, counts: bool) -> None:
        if counts:
            found.setdefault((case, who, unit), []).append(value)

    for peer in present.values():
        if isinstance(peer, _Ours):
            peer.patients("p", max(first, pushed * turns) + 200 * turns)
    for turn in range(turns):
        counts = turn >= _WARM_UP
        new = corpus.cases("p", pushed, first=turn * pushed)
        edited = corpus.cases("p", pushed, first=turn * pushed, edit=1)
        for who, peer in present.items():
            taken_ms = peer.push(new, False)
            note(f"push of {pushed} new", who, "records/s", pushed / taken_ms * 1000, counts)
            since = peer.mark()
            taken_ms = peer.push(edited, True)
            note(f"push of {pushed} edited", who, "records/s", pushed / taken_ms * 1000, counts)
            answer = peer.pull(since)
            _check(who, answer, pushed)
            note(f"pull of {pushed} changed", who, "ms", answer.total_ms, counts)
            note(f"pull of {pushed} changed, first byte", who, "ms", answer.first_byte_ms, counts)
    for at in range(pushed * turns, first, pushed):
        rows = corpus.cases("p", min(pushed, first - at), first=at)
        for peer in present.values():
            peer.push(rows, False)
    held = max(first, pushed * turns)
    for turn in range(1 + repetitions):
        for who, peer in present.items():
            answer = peer.pull(None)
            _check(who, answer, held)
            note(f"pull of all {held:,}", who, "ms", answer.total_ms, turn > 0)
            note(f"pull of all {held:,}, first byte", who, "ms", answer.first_byte_ms, turn > 0)
    for n, at in ((1, held), (100, held + turns * 100)):
        for turn in range(turns):
            rows = corpus.cases("p", n, first=at + turn * n)
            for who, peer in present.items():
                note(f"push of {n} new", who, "ms", peer.push(rows, False), turn >= _WARM_UP)
    order = list(dict.fromkeys(case for case, _, _ in found))
    for (case, who, unit), values in sorted(
        found.items(), key=lambda each: order.index(each[0][0])
    ):
        report.row(case, who, unit, values)


def _check(who: str, answer: Answer, least: int) -> None:
    """Every case names its first photo once: nobody hands out less than was asked for."""
    found = answer.body.count(b"-photo-1")
    if found < least:
        raise RuntimeError(f"{who} brought {found} of {least} records")


def _transactional(report: Report, own: Peer, quick: bool) -> None:
    """A transaction for each document, as the client's documentation shows it, beside one push."""
    from google.cloud import firestore

    client = emulator.bare_client()
    count = 20 if quick else 100

    @firestore.transactional
    def store(transaction: Any, reference: Any, row: corpus.Row) -> None:
        snapshot = reference.get(transaction=transaction)
        known = snapshot.get(record.MODIFIED) if snapshot.exists else 0
        if known < row["last_modified_at"]:
            transaction.set(
                reference, {**corpus.plain(row), "updated_at": firestore.SERVER_TIMESTAMP}
            )

    if isinstance(own, _Ours):
        own.patients("t", count)
    case = f"Firestore emulator: push of {count} new"
    values: dict[str, list[float]] = {"ours": [], "a transaction for each document": []}
    for turn in range(1 + (QUICK_REPETITIONS if quick else REPETITIONS)):
        rows = corpus.cases("t", count)
        for row in rows:
            row["id"] = f"turn{turn}-{row['id']}"
        mine_ms = own.push(rows, False)
        began = time.perf_counter()
        for row in rows:
            store(client.transaction(), client.collection("bare").document(row["id"]), row)
        theirs_ms = (time.perf_counter() - began) * 1000
        if turn:
            for name, taken_ms in zip(values, (mine_ms, theirs_ms), strict=True):
                values[name].append(count / taken_ms * 1000)
    for name, rates in values.items():
        report.row(case, name, "records/s", rates)


def _judge(report: Report, pushed: int) -> None:
    rows = {(row.case, row.who): row for row in report.rows}
    push = f"push of {pushed} new"
    kinto = rows.get((push, "Kinto, PostgreSQL"))
    for name in ("ours", "ours, Firestore emulator"):
        mine = rows.get((push, name))
        if kinto is not None and mine is not None:
            times = statistics.median(a / b for a, b in zip(mine.values, kinto.values, strict=True))
            text = f"{push}, {name}: at least 6 × Kinto on PostgreSQL"
            report.goal(text, f"{times:.1f} ×", times >= 6)
    for case in dict.fromkeys(row.case for row in report.rows):
        others = [row for row in report.rows if row.case == case and not row.who.startswith("ours")]
        mine = rows.get((case, "ours"))
        if mine is None or not others:
            continue
        more_is_better = mine.unit == "records/s"
        best = (max if more_is_better else min)(others, key=lambda row: row.median)
        held = mine.median >= best.median if more_is_better else mine.median <= best.median
        report.goal(
            f"{case}: ahead of every peer",
            f"{mine.median:,.0f} {mine.unit}, the best of the others {best.median:,.0f} ({best.who})",
            held,
            "It reads nothing: all is in its memory."
            if "memory" in best.who
            else "It checks no token and no rights, and notes in no trail what it hands out.",
        )


main(__name__, run)
