"""The stack, started for real in both profiles: everything serves, and nothing is left behind."""

from __future__ import annotations

import base64
import http.client
import json
import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
import uuid
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from infra.local import private
from infra.local.environment import STACK_ENVIRONMENT
from infra.local.stack import PROFILES, Stack
from infra.local.table import REPOSITORY
from shared.adapters.pubsub import PubSubDoorbell
from shared.adapters.sqlite import SqliteStore
from shared.adapters.sqlite_queue import FILE_NAME, SqliteDoorbell
from shared.errors import ConfigurationFault
from shared.jobs.queue import Doorbell
from shared.records.bell import Bell
from shared.records.store import Key, put
from tests.patience import PATIENCE_SECONDS, until

pytestmark = pytest.mark.proof

#: Marks every process of one stack: environments are inherited, and /proc shows them.
MARK = "STACK_TEST_MARK"


def call(
    url: str, method: str, path: str, body: bytes | None = None, **headers: str
) -> tuple[int, str]:
    """Status and body of one request."""
    connection = http.client.HTTPConnection(url.removeprefix("http://"), timeout=PATIENCE_SECONDS)
    try:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        connection.request(method, path, body, named)
        response = connection.getresponse()
        return response.status, response.read().decode()
    finally:
        connection.close()


def push(bell: Bell) -> bytes:
    """A push request's body."""
    data = base64.b64encode(json.dumps(bell._asdict()).encode()).decode()
    message = {
        "data": data,
        "attributes": {},
        "messageId": "1",
        "publishTime": "2026-01-01T00:00:00Z",
    }
    return json.dumps({"message": message, "subscription": "projects/p/subscriptions/s"}).encode()


def marked(mark: str) -> dict[int, str]:
    """Living processes that inherited the mark, with their command lines."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={mark}".encode() in (folder / "environ").read_bytes():
                command = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode()
                if command:  # a zombie has none
                    found[int(folder.name)] = command
        except OSError:
            continue
    return found


needs_proc = pytest.mark.skipif(not Path("/proc/self/environ").exists(), reason="reads /proc")


# --- with the functions of the product ---


@pytest.fixture(scope="module", params=PROFILES)
def stack(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Stack]:
    if request.param == "emulator":  # the session's emulators serve
        request.getfixturevalue("firestore_emulator")
        request.getfixturevalue("pubsub_emulator")
        request.getfixturevalue("storage_emulator")
    project = f"test-{uuid.uuid4().hex[:12]}"
    with Stack(
        profile=request.param,
        data=tmp_path_factory.mktemp("stack"),
        environ={"GOOGLE_CLOUD_PROJECT": project},
    ) as stack:
        yield stack


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("GET", "/health", 200, '"ok"'),
        ("HEAD", "/health", 200, ""),
        ("GET", "/ready", 200, '"ready"'),
        ("GET", "/version", 200, '"dermadetect"'),
        ("GET", "/api/sync", 405, "method_not_allowed"),
        ("POST", "/api/sync", 401, "token_"),
        ("GET", "/", 404, "not_found"),
        ("GET", "/api", 404, "not_found"),
        ("GET", "/api/sync/more", 404, "not_found"),
        ("GET", "/robots.txt", 404, "not_found"),
        ("POST", "/_tasks/other", 404, "not_found"),
        ("POST", "/_push/", 404, "not_found"),
    ],
)
def test_public_paths_are_served_by_their_functions(
    stack: Stack, method: str, path: str, status: int, says: str
) -> None:
    answered, body = call(stack.url, method, path, b"{}" if method == "POST" else None)
    assert answered == status
    assert says in body
    assert (body == "") == (method == "HEAD")


def test_its_settings_lead_to_a_file_store_that_works(stack: Stack) -> None:
    code = """
from shared import wiring
wiring.files().put("originals/local/a", [b"x"], "image/jpeg")
assert wiring.files() is wiring.files()
print(type(wiring.files()).__name__, wiring.files().stat("originals/local/a").size)
"""
    ran = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env=stack.environ,
        capture_output=True,
        text=True,
        check=False,
    )
    kind = "GcsFiles" if stack.profile == "emulator" else "FolderFiles"
    assert ran.stdout == f"{kind} 1\n", ran.stderr


@pytest.mark.parametrize(
    ("host", "proxies", "starts"),
    [
        ("0.0.0.0", "", False),
        ("::", "", False),
        ("192.0.2.1", "", False),
        ("0.0.0.0", "0", True),
        ("0.0.0.0", "1", True),
        ("127.0.0.1", "", True),
        ("::1", "", True),
        ("localhost", "", True),
    ],
)
def test_who_serves_other_machines_says_how_many_proxies_are_in_front(
    tmp_path: Path, host: str, proxies: str, starts: bool
) -> None:
    def make() -> Stack:
        return Stack(data=tmp_path, host=host, environ={"TRUSTED_PROXIES": proxies})

    if starts:
        assert make().host == host
    else:
        with pytest.raises(
            ConfigurationFault, match=f"TRUSTED_PROXIES is needed with --host {host}"
        ):
            make()


def test_a_stranger_behind_the_same_proxy_locks_nobody_out(stack: Stack) -> None:
    """Through whichever proxy stands in front: the address is the phone's."""

    def ask(path: str, address: str, **body: str) -> tuple[int, str]:
        data = json.dumps({"password": "correct horse battery", **body}).encode()
        return call(stack.url, "POST", f"/api/v1/auth/{path}", data, X_Forwarded_For=address)

    if stack.profile == "emulator":
        pytest.skip("its gateway is the proxy, and whoever asks here comes from one machine")
    stem, stranger, phone = uuid.uuid4().hex[:8], "203.0.113.66", "198.51.100.7"
    tried = [ask("login", stranger, email=f"no{i}{stem}@example.org")[0] for i in range(25)]
    assert tried[0] == 401
    assert tried[-1] == 429, "the stranger is slowed down"
    for _ in range(6):
        ask("register", stranger, email=f"e{stem}@example.org", invite_code="AAAAAA")
    assert ask("login", phone, email=f"amina{stem}@example.org")[0] == 401
    status, said = ask("register", phone, email=f"amina{stem}@example.org", invite_code="AAAAAA")
    assert (status, json.loads(said)["error"]["code"]) == (403, "invite_invalid")


def test_private_functions_are_not_found_by_those_who_have_no_secret(stack: Stack) -> None:
    """Whatever their address: with a proxy on this machine, everybody comes from here."""
    body = push(Bell("analyse", "j", "c"))
    for path in ("/_push/analyse", "/_push/dead_letters", "/_tasks/sweeper"):
        for way in ({}, {"X_Private_Secret": "x" * 64}, {"X_Private_Secret": ""}):
            assert call(stack.url, "POST", path, body, **way)[0] == 404


def test_the_secret_of_private_functions_is_its_owners_alone(stack: Stack) -> None:
    [secret] = stack.own_headers.values()
    path = stack.data / "keys" / "private.secret"
    assert path.read_text() == secret
    assert len(secret) >= 32
    assert path.stat().st_mode & 0o777 == 0o600
    assert secret not in (stack.data / STACK_ENVIRONMENT).read_text()
    for log in stack.logs.iterdir():
        assert secret not in log.read_text(), log
    for each in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            assert secret.encode() not in each.read_bytes()


def test_private_functions_are_called_with_the_secret(stack: Stack) -> None:
    for name, body in (
        ("sweeper", b"{}"),
        ("analyse", push(Bell("analyse", "no-such-job", "c"))),
        ("dead_letters", push(Bell("analyse", "no-such-job", "c"))),
    ):
        url, slash, path = stack.address(name).removeprefix("http://").partition("/")
        headers = {"Content_Type": "application/json", **stack.own_headers}
        status, said = call(url, "POST", slash + path, body, **headers)
        assert status == 200, said


def test_a_bell_reaches_its_subscriber_through_the_queue(stack: Stack) -> None:
    doorbell: Doorbell
    if stack.profile == "emulator":
        doorbell = PubSubDoorbell(stack.environ["GOOGLE_CLOUD_PROJECT"])
        log = stack.logs / "analyse.log"
    else:
        doorbell = SqliteDoorbell(stack.data / FILE_NAME)
        log = stack.logs / "server.log"
    job = uuid.uuid4().hex
    doorbell.ring(Bell("analyse", job, "c"))
    until(lambda: job in log.read_text(), f"{job} in {log}")
    doorbell.close()


def test_the_sweeper_is_called_at_once(stack: Stack) -> None:
    log = stack.logs / ("sweeper.log" if stack.profile == "emulator" else "server.log")
    until(lambda: '"rung"' in log.read_text(), "a sweep")


def test_figures_for_prometheus_are_of_all_processes_and_for_who_shows_the_secret(
    stack: Stack,
) -> None:
    if stack.profile == "emulator":  # Google Cloud makes them of the log lines
        assert call(stack.url, "GET", "/metrics")[0] == 404
        return
    bearer = {"Authorization": f"Bearer {private.secret(stack.data)}"}
    for shown in ("", "Bearer guessed", "Basic x"):
        headers = {"Authorization": shown} if shown else {}
        assert call(stack.url, "GET", "/metrics", None, **headers)[0] == 404

    def figures() -> dict[str, float]:
        status, text = call(stack.url, "GET", "/metrics", None, **bearer)
        assert status == 200
        lines = (line.rpartition(" ") for line in text.splitlines() if line[:1] not in ("#", ""))
        return {name: float(value) for name, _, value in lines}

    asked = 'requests_seconds_count{function="status",status="200"}'
    before = figures().get(asked, 0)
    for _ in range(30):  # more than one process takes some
        call(stack.url, "GET", "/health")
    after = figures()
    assert after[asked] == before + 30
    assert after["disk_free_bytes"] > 0
    assert after["records_bytes"] > 0
    until(lambda: "sweep_oldest_seconds" in figures(), "a sweep")
    call(stack.url, "GET", "/metrics?x", None, **bearer)
    assert not any("/" in name for name in figures()), "paths are no labels: they hold ids"


def test_the_stack_comes_back_after_a_power_cut(stack: Stack) -> None:
    stack.check()
    url = stack.url
    stack.kill()
    with pytest.raises(OSError):  # noqa: PT011 - refused or reset
        call(url, "GET", "/health")
    stack.start()
    assert stack.url == url
    assert call(url, "GET", "/ready")[0] == 200


# --- with functions of our own, to look inside ---

FUNCTIONS = """
import json, os, pathlib, functions_framework
seen = pathlib.Path(os.environ["DATA_FOLDER"]) / "seen"

def note(*words):
    with open(seen, "a") as f:
        f.write(" ".join(map(str, words)) + "\\n")

def hello(request):
    return {"path": request.path, "from": request.headers.get("X-Forwarded-For"),
            "target": os.environ["FUNCTION_TARGET"]}

def take(event):
    message = event.get_data()["message"]
    job = json.loads(__import__("base64").b64decode(message["data"]))["job_id"]
    note("take", job)
    if job.startswith("refuse"):
        raise RuntimeError("refused")

def dead(event):
    message = event.get_data()["message"]
    job = json.loads(__import__("base64").b64decode(message["data"]))["job_id"]
    note("dead", job, message["attributes"]["CloudPubSubDeadLetterSourceDeliveryCount"])

def tick(request):
    note("tick", request.path, request.method)
    return ""
"""

REST = (
    "description: d, memory: 512Mi, cpu: 1, concurrency: 4, timeout_seconds: 30,"
    " min_instances: 0, max_instances: 1"
)
TABLE = f"""
hello: {{trigger: http, paths: [/hello, /hello/*], ingress: public, {REST}}}
take: {{trigger: push, topics: [thing], ingress: internal, {REST}}}
dead: {{trigger: push, topics: [thing-dead], ingress: internal, {REST}}}
tick: {{trigger: schedule, schedule: "* * * * *", ingress: internal, {REST}}}
"""


@pytest.fixture(params=PROFILES)
def small(request: pytest.FixtureRequest, tmp_path: Path) -> Stack:
    """A stack of four small functions, not started."""
    if request.param == "emulator":
        request.getfixturevalue("pubsub_emulator")
    (tmp_path / "main.py").write_text(textwrap.dedent(FUNCTIONS))
    (tmp_path / "functions.yaml").write_text(TABLE)
    return Stack(
        profile=request.param,
        data=tmp_path / "data",
        sweep_seconds=0.2,
        min_backoff_seconds=0.1,
        source=tmp_path / "main.py",
        table=tmp_path / "functions.yaml",
        environ={
            "GOOGLE_CLOUD_PROJECT": f"test-{uuid.uuid4().hex[:12]}",
            "RECORD_STORE": "sqlite",  # these functions keep no records and ask no model
            "MODEL": "scripted",
        },
    )


def test_bells_ticks_and_paths_reach_functions_as_in_the_cloud(small: Stack) -> None:
    def seen() -> list[str]:
        file = small.data / "seen"
        return file.read_text().splitlines() if file.exists() else []

    def doorbell() -> PubSubDoorbell | SqliteDoorbell:
        if small.profile == "emulator":
            return PubSubDoorbell(small.environ["GOOGLE_CLOUD_PROJECT"])
        return SqliteDoorbell(small.data / FILE_NAME)

    with small:
        # http functions see the path that was asked for
        said = json.loads(call(small.url, "GET", "/hello/a/b")[1])
        forwarded = "127.0.0.1" if small.profile == "emulator" else None
        assert (said["path"], said["from"]) == ("/hello/a/b", forwarded)
        # the scheduled one is called at its root, again and again
        until(lambda: seen().count("tick / POST") >= 3, "three ticks")
        # an acknowledged bell comes once, a refused one five times and then as a dead letter
        bells = doorbell()
        bells.ring(Bell("thing", "refuse-1", "c"))
        bells.ring(Bell("thing", "once", "c"))
        until(lambda: "dead refuse-1 5" in seen(), "the dead letter")
        assert seen().count("take refuse-1") == 5
        assert seen().count("take once") == 1
        # a bell rung while everything is down is delivered by the next stack
        small.kill()
        bells.ring(Bell("thing", "later", "c"))
        small.start()
        until(lambda: "take later" in seen(), "the bell rung meanwhile")
        bells.close()


# --- the command ---


@pytest.mark.skipif(os.geteuid() != 0, reason="acts as another user of the machine")
def test_another_user_of_the_machine_reads_nothing() -> None:
    def readable() -> set[str]:
        look = ["find", str(data), "-mindepth", "1", "-readable", "-printf", "%P\n"]
        told = subprocess.run(
            look, user=65534, group=65534, extra_groups=[], capture_output=True, text=True
        )
        return set(told.stdout.split())

    with tempfile.TemporaryDirectory() as above:
        # given a data folder that an earlier release left open to everybody, its log in use
        Path(above).chmod(0o755)
        data = Path(above, "data")
        for folder in (data, data / "keys", data / "logs", data / "files"):
            folder.mkdir()
            folder.chmod(0o755)
        store = SqliteStore(data / "records.db")
        store.commit([put(Key("patients", "p"), {"scope_id": "s"}, None)])
        (data / "keys" / "page.secret").write_bytes(b"s" * 48)
        for name in ("keys/page.secret", "logs/gateway.log", "files/photo", "records.db-wal"):
            (data / name).touch()
        for each in data.rglob("*.*"):
            each.chmod(0o644)
        assert {"records.db-wal", "keys/page.secret"} <= readable()
        # when the server starts there, and writes, though its user lets others read by default
        with command("--port", "0", "--data", str(data), "--seed", "--quiet", umask=0) as (run, _):
            url_of(run)
            assert run.stdout is not None
            run.stdout.readline()
            # then nobody else sees a thing, and the folder's mode is not all that stops them
            assert readable() == set()
            wide = ["find", str(data), "-perm", "/077"]
            assert subprocess.run(wide, capture_output=True, text=True).stdout == ""
            assert (data / "queue.db").exists()
        store.close()


def test_a_data_folder_that_all_users_share_is_refused(tmp_path: Path) -> None:
    tmp_path.chmod(0o1777)
    with pytest.raises(ConfigurationFault, match="DATA_FOLDER"):
        Stack(data=tmp_path).start()
    assert tmp_path.stat().st_mode & 0o7777 == 0o1777


@pytest.mark.proof
def test_a_data_folder_is_served_by_one_server(tmp_path: Path) -> None:
    """A second one is refused in words, by both commands; when the first ends, the next may."""
    with command("--port", "0", "--data", str(tmp_path), "--quiet") as (first, _):
        url_of(first)
        with command("--port", "0", "--data", str(tmp_path)) as (second, _):
            assert second.wait(PATIENCE_SECONDS) == 2
            assert second.stderr is not None
            assert f"is served already, by process {first.pid}" in second.stderr.read()
        lone = subprocess.run(
            [sys.executable, "-m", "infra.local.server", "--port", "0"],
            cwd=REPOSITORY,
            env={**os.environ, "DATA_FOLDER": str(tmp_path)},
            capture_output=True,
            text=True,
        )
        assert (lone.returncode, "is served already" in lone.stderr) == (2, True), lone.stderr
        assert "Traceback" not in lone.stderr
    full = {"LEAST_FREE_MEGABYTES": str(10**9)}
    with command("--port", "0", "--data", str(tmp_path), "--quiet", environ=full) as (third, _):
        url = url_of(third)
        assert call(url, "GET", "/health")[0] == 200
        status, said = call(url, "GET", "/ready")
        assert (status, "store_unavailable" in said) == (503, True), "its disk is nearly full"


@contextmanager
def command(
    *arguments: str, environ: dict[str, str] | None = None, umask: int = -1
) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """`python -m infra.local …` and the mark of its processes."""
    mark = uuid.uuid4().hex
    process = subprocess.Popen(
        [sys.executable, "-m", "infra.local", *arguments],
        cwd=REPOSITORY,
        env={**os.environ, **(environ or {}), MARK: mark},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        umask=umask,
    )
    try:
        yield process, mark
    finally:
        if process.poll() is None:
            process.kill()
        process.communicate()


def url_of(process: subprocess.Popen[str]) -> str:
    assert process.stdout
    line = process.stdout.readline()
    found = re.fullmatch(r"ready: (http://127\.0\.0\.1:\d+)\n", line)
    assert found, (line, process.communicate())
    return found[1]


@needs_proc
@pytest.mark.parametrize(
    ("number", "code"),
    [(signal.SIGTERM, 0), (signal.SIGINT, 0), (signal.SIGHUP, 0), (signal.SIGKILL, -9)],
)
def test_a_signal_ends_everything(number: signal.Signals, code: int, tmp_path: Path) -> None:
    with command("--port", "0", "--data", str(tmp_path)) as (process, mark):
        assert call(url_of(process), "GET", "/health")[0] == 200
        assert len(marked(mark)) > 4
        process.send_signal(number)
        assert process.wait(PATIENCE_SECONDS) == code
        if code == 0:
            assert marked(mark) == {}  # at once: it has waited for them
        until(lambda: not marked(mark), "the end of all processes")


@pytest.mark.proof
@needs_proc
def test_the_emulator_profile_ends_with_its_java(
    firestore_emulator: str, pubsub_emulator: str, tmp_path: Path
) -> None:
    own = {"FIRESTORE_EMULATOR_HOST": "", "PUBSUB_EMULATOR_HOST": "", "FILES_ENDPOINT": ""}
    arguments = ("--profile", "emulator", "--port", "0", "--data", str(tmp_path), "--quiet")
    with command(*arguments, environ=own) as (process, mark):
        url = url_of(process)
        assert call(url, "GET", "/ready")[0] == 200
        running = " ".join(marked(mark).values())
        for part in (
            *("cloud-firestore-emulator.jar", "pubsub-emulator"),
            *("gcp_storage_emulator", "infra.local.vertex"),
        ):
            assert part in running
        for name in ("sync", "status", "analyse", "dead_letters", "sweeper"):
            assert f"--target {name} " in running
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
        assert marked(mark) == {}


@needs_proc
def test_a_signal_during_the_start_ends_everything(tmp_path: Path) -> None:
    with command("--port", "0", "--data", str(tmp_path)) as (process, mark):
        until(lambda: len(marked(mark)) > 1, "the first child")
        process.terminate()
        assert process.wait(PATIENCE_SECONDS) == 0
        until(lambda: not marked(mark), "the end of all processes")


@needs_proc
def test_a_part_that_dies_is_reported_and_ends_the_stack(tmp_path: Path) -> None:
    with command("--port", "0", "--data", str(tmp_path), "--quiet") as (process, mark):
        url_of(process)
        (postman,) = [
            pid
            for pid, line in marked(mark).items()
            if "infra.local.postman" in line and "guard.py" not in line
        ]
        os.kill(postman, signal.SIGKILL)
        _, said = process.communicate(timeout=PATIENCE_SECONDS)
        assert process.returncode == 1
        assert "postman ended with code 137" in said
        assert marked(mark) == {}


@pytest.mark.parametrize("profile", PROFILES)
def test_a_port_in_use_is_said_in_a_sentence(profile: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        arguments = ("--profile", profile, "--port", port, "--data", str(tmp_path))
        with command(*arguments) as (process, _):
            out, said = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, out) == (2, "")
    assert said == f"port {port} is already in use; choose another one, or 0 for a free one\n"


@pytest.mark.parametrize(
    ("arguments", "environ", "said"),
    [
        (["--profile", "emulator"], {"GOOGLE_CLOUD_SDK": "/none"}, "GOOGLE_CLOUD_SDK=/none is not"),
        ([], {"LEASE_SECONDS": "soon"}, "LEASE_SECONDS must be of type int"),
        ([], {"RECORD_STORE": "paper"}, "RECORD_STORE must be one of sqlite, firestore"),
        ([], {"MODEL": "vertex"}, "GOOGLE_CLOUD_PROJECT is needed with MODEL=vertex"),
    ],
)
def test_what_keeps_it_from_starting_is_said_in_a_sentence(
    arguments: list[str], environ: dict[str, str], said: str, tmp_path: Path
) -> None:
    environ = {"FIRESTORE_EMULATOR_HOST": "", "PUBSUB_EMULATOR_HOST": "", **environ}
    given = ("--port", "0", "--data", str(tmp_path), *arguments)
    with command(*given, environ=environ) as (process, mark):
        out, error = process.communicate(timeout=PATIENCE_SECONDS)
    assert (process.returncode, out) == (2, "")
    assert said in error
    assert len(error.splitlines()) == 1
    assert marked(mark) == {}


def test_a_function_that_cannot_be_loaded_fails_the_start_with_its_reason(
    small: Stack,
) -> None:
    source = small._source
    source.write_text("import no_such_module\n")
    from infra.local.processes import StartFailed

    with pytest.raises(StartFailed, match="no_such_module"):
        small.start()
    assert small.children() == []
