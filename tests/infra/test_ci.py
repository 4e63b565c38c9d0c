"""The scripts of the pipeline: each does what its page says, also when something is wrong."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import socket
import subprocess
import sys
import threading
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from infra.ci import guard, leaks, lock, package, smoke
from infra.local.table import load
from tests.conftest import absent
from tests.infra.test_cloudbuild import STEPS

ROOT = Path(__file__).resolve().parents[2]

Answer = Callable[[str, bytes], tuple[int, Any]]


@contextmanager
def server(answer: Answer) -> Iterator[str]:
    """A local server that answers JSON; yields its address."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            status, value = answer(self.path, body)
            data = json.dumps(value).encode()
            self.send_response(status)
            self.send_header("Content-Length", str(len(data)))
            self.end_headers()
            self.wfile.write(data)

        do_POST = do_GET

        def log_message(self, *_: Any) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as running:
        threading.Thread(target=running.serve_forever, args=(0.01,), daemon=True).start()
        yield f"http://127.0.0.1:{running.server_port}"
        running.shutdown()


# --- package


def test_the_archive_is_the_same_whoever_packs_it(tmp_path: Path) -> None:
    first, second = tmp_path / "a.zip", tmp_path / "b" / "b.zip"
    digest = package.pack(first)
    os.utime(ROOT / "main.py")
    assert package.pack(second) == digest
    assert first.read_bytes() == second.read_bytes()
    assert digest == hashlib.sha256(first.read_bytes()).hexdigest()


def test_the_archive_holds_what_runs_and_nothing_else(tmp_path: Path) -> None:
    package.pack(tmp_path / "source.zip")
    with zipfile.ZipFile(tmp_path / "source.zip") as archive:
        names = archive.namelist()
    assert {"main.py", "requirements.txt", "infra/openapi.json"} <= set(names)
    assert {f"functions/{name}.py" for name in load()} <= set(names)
    tops = {name.split("/")[0] for name in names}
    assert tops == {"main.py", "requirements.txt", "functions", "shared", "infra"}
    assert not [name for name in names if name.endswith(".pyc")]


def test_the_archive_of_a_product_has_its_packages_and_no_other_product(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(lock, "deployed", lambda product: "requirements-dev.txt")
    package.pack(tmp_path / "source.zip", "another")
    with zipfile.ZipFile(tmp_path / "source.zip") as archive:
        assert archive.read("requirements.txt") == (ROOT / "requirements-dev.txt").read_bytes()
        names = archive.namelist()
    products = {name.split("/")[2] for name in names if name.startswith("shared/products/")}
    assert products == {"__init__.py", "known.py", "product.py"}
    assert package.files().keys() > package.files("another").keys()


@pytest.mark.proof
@pytest.mark.parametrize(
    "name",
    [name for name, row in load().items() if "dermadetect" in (row.products or ["dermadetect"])],
)
def test_every_function_starts_from_the_archive_alone(name: str, tmp_path: Path) -> None:
    package.pack(tmp_path / "source.zip")
    with zipfile.ZipFile(tmp_path / "source.zip") as archive:
        archive.extractall(tmp_path / "workspace")
    code = (
        "from functions_framework import create_app;"
        f"app = create_app({name!r}, 'main.py', 'http');"
        f"print(app.test_client().get('/health').status_code if {name!r} == 'status' else 200)"
    )
    done = subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path.insert(0, '.'); {code}"],
        cwd=tmp_path / "workspace",
        env={**os.environ, "FUNCTION_TARGET": name},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == "200"


def test_the_statement_names_archive_commit_and_build(tmp_path: Path) -> None:
    assert package.main(["--commit", "abc", "--build", "b1", "--to", str(tmp_path)]) == 0
    said = json.loads((tmp_path / "provenance.json").read_text())
    digest = hashlib.sha256((tmp_path / "source.zip").read_bytes()).hexdigest()
    assert said["subject"][0]["digest"] == {"sha256": digest}
    definition = said["predicate"]["buildDefinition"]
    assert definition["externalParameters"] == {"commit": "abc", "product": lock.DEFAULT}
    run = said["predicate"]["runDetails"]
    assert run["metadata"] == {"invocationId": "b1"}
    materials = hashlib.sha256((tmp_path / "bom.json").read_bytes()).hexdigest()
    assert [each["digest"] for each in run["byproducts"]] == [{"sha256": materials}]


# --- leaks


def assembled(*parts: str) -> str:
    """A key's form, put together here so that this file holds none."""
    return "".join(parts)


KEYS = {
    "private key": assembled("-----BEGIN EC PRIV", "ATE KEY-----\nMHcCAQEEIBkg0000000000000000"),
    "private key as JWK": assembled('{"kty": "OKP", "d": "', "A" * 43, '"}'),
    "key file of a service account": assembled('"private_key', '_id": "', "0a" * 20, '"'),
    "Google API key": assembled("AI", "za", "B" * 35),
    "Google OAuth secret": assembled("GOC", "SPX-", "c" * 28),
    "Google access token": assembled("ya", "29.", "d" * 40),
    "GitHub token": assembled("gh", "p_", "e" * 36),
    "Slack token": assembled("xo", "xb-", "1" * 24),
    "AWS key": assembled("AK", "IA", "F" * 16),
    "password in a URL": assembled("postgres://app:", "hunter22", "@db"),
}


def test_every_form_has_an_example() -> None:
    assert set(KEYS) == set(leaks.FORMS)


@pytest.mark.parametrize("form", KEYS)
def test_a_key_is_found_and_not_repeated(form: str) -> None:
    assert list(leaks.leaks(f"first line\nx = {KEYS[form]} # y\n")) == [(2, form)]


@pytest.mark.parametrize("form", KEYS)
def test_a_line_may_say_that_it_is_harmless(form: str) -> None:
    assert not list(leaks.leaks(f"# leaks: none, an example {KEYS[form]}"))


@pytest.mark.parametrize(
    "text",
    [
        "-----BEGIN PUBLIC KEY-----\nMFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE",
        "sha256 2b261045fb15045e22e8a4ff0543e77cbf316ef6594a0f34797f6da84174a310",
        "PAGE_SECRET: page-secret",
        "http://127.0.0.1:8080/a@b",
        'the text "-----BEGIN PRIVATE KEY-----" in a sentence',
    ],
)
def test_what_is_no_key_is_left_alone(text: str) -> None:
    assert not list(leaks.leaks(text))


def test_the_repository_has_no_leak(capsys: pytest.CaptureFixture[str]) -> None:
    assert leaks.main() == 0, capsys.readouterr().out


# --- known faults


def audit(lock_file: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """What the pipeline asks, of another lock or another server."""
    words = STEPS["vulnerabilities"]["script"].split("\n")[1].split()
    assert words[:2] == ["exec", ".venv/bin/python"]
    assert words[-1] == "requirements-dev.txt"
    return subprocess.run(
        [sys.executable, *words[2:-1], str(lock_file), *options],
        capture_output=True,
        text=True,
        check=False,
    )


def osv(asked: dict[str, str]) -> Answer:
    """OSV, as far as it is recorded; keeps what it is asked."""
    known = json.loads((ROOT / "tests" / "infra" / "osv_pyyaml_5.3.1.json").read_text("utf-8"))

    def answer(path: str, body: bytes) -> tuple[int, Any]:
        question = json.loads(body)
        assert question["package"]["ecosystem"] == "PyPI"
        name, version = question["package"]["name"], question["version"]
        asked[name] = version
        return 200, known if (name, version) == ("pyyaml", "5.3.1") else {}

    return answer


@pytest.mark.proof
def test_a_known_fault_of_a_pinned_package_fails(tmp_path: Path) -> None:
    bad = tmp_path / "requirements.txt"
    bad.write_text(f"pyyaml==5.3.1 \\\n    --hash=sha256:{'0' * 64}\n")
    with server(osv({})) as url:
        done = audit(bad, "--osv-url", url)
    assert done.returncode == 1
    assert re.search(r"pyyaml +5\.3\.1 +PYSEC-2021-142 +5\.4", done.stdout), done.stdout


@pytest.mark.proof
def test_every_package_of_the_lock_is_asked_for() -> None:
    asked: dict[str, str] = {}
    with server(osv(asked)) as url:
        done = audit(ROOT / "requirements-dev.txt", "--osv-url", url)
    assert done.returncode == 0, done.stderr
    locked = lock.pinned("requirements-dev.txt")
    assert {name: locked[name] for name in asked} == asked
    assert locked.keys() - asked.keys() <= {"colorama", "tzdata", "tzlocal"}  # Windows alone


@pytest.mark.proof
def test_not_knowing_is_no_pass() -> None:
    with server(lambda path, body: (503, {})) as url:
        assert audit(ROOT / "requirements-dev.txt", "--osv-url", url).returncode != 0
    gone = audit(ROOT / "requirements-dev.txt", "--osv-url", "http://127.0.0.1:9/v1/query")
    assert gone.returncode != 0
    assert "127.0.0.1" in gone.stderr.splitlines()[-1]


def test_no_package_of_the_lock_has_a_known_fault() -> None:
    try:
        socket.create_connection(("api.osv.dev", 443), timeout=3).close()
    except OSError:
        pytest.skip(
            "not run here: OSV cannot be reached; the pipeline asks it in a step of its own"
        )
    done = audit(ROOT / "requirements-dev.txt")
    assert done.returncode == 0, done.stdout + done.stderr


# --- guard


@pytest.mark.parametrize(
    ("kind", "actions", "lost"),
    [
        ("google_firestore_database", ["delete"], True),
        ("google_firestore_database", ["delete", "create"], True),
        ("google_storage_bucket", ["create", "delete"], True),
        ("google_firestore_database", ["update"], False),
        ("google_firestore_database", ["no-op"], False),
        ("google_firestore_index", ["delete"], True),
        ("google_firestore_field", ["delete", "create"], True),
        ("google_firestore_index", ["create"], False),
        ("google_kms_crypto_key", ["create"], False),
        ("google_storage_bucket_object", ["delete", "create"], False),
    ],
)
def test_a_plan_that_loses_data_is_refused(kind: str, actions: list[str], lost: bool) -> None:
    plan = {"resource_changes": [{"address": "it", "type": kind, "change": {"actions": actions}}]}
    assert list(guard.losses(plan)) == (["it"] if lost else [])


def test_the_guard_reads_a_plan_from_standard_input() -> None:
    kind = "google_storage_bucket"
    lost = {"address": "it", "type": kind, "change": {"actions": ["delete"]}}
    for plan, code in (({}, 0), ({"resource_changes": [lost]}, 1)):
        done = subprocess.run(
            [sys.executable, "-m", "infra.ci.guard"],
            cwd=ROOT,
            input=json.dumps(plan),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code
        assert ("it" in done.stdout) is bool(code)


def test_the_guard_knows_every_kind_that_holds_data() -> None:
    from tests.infra.hcl import resources

    kinds = {kind for kind, _, _ in resources()}
    assert kinds >= guard.KEPT


# --- smoke


def deployment(**changes: tuple[int, Any]) -> Answer:
    good: dict[str, tuple[int, Any]] = {
        "/health": (200, {"status": "ok"}),
        "/ready": (200, {"status": "ready"}),
        "/version": (200, {"version": "0.1.0", "commit": "r1"}),
        "/openapi.json": (200, {"paths": {"/api/sync": {}}}),
        "/api/sync": (401, {"error": {"code": "unauthenticated"}}),
    }
    answers = good | {f"/{key.replace('__', '/')}": value for key, value in changes.items()}
    return lambda path, body: answers[path]


def test_a_deployment_that_is_up_passes() -> None:
    with server(deployment()) as url:
        assert smoke.main([url + "/", "--release", "r1", "--wait", "0"]) == 0
        assert smoke.main([url, "--wait", "0"]) == 0


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"health": (500, {})}, "/health"),
        ({"ready": (503, {"error": {}})}, "/ready"),
        ({"version": (200, {"version": "0.1.0", "commit": "r0"})}, "/version"),
        ({"openapi.json": (200, {})}, "/openapi.json"),
        ({"api__sync": (200, {})}, "/api/sync without a token"),
    ],
)
def test_what_is_wrong_is_named(
    change: dict[str, tuple[int, Any]], named: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with server(deployment(**change)) as url:
        assert smoke.main([url, "--release", "r1", "--wait", "0"]) == 1
    assert capsys.readouterr().out.startswith(named)


def test_no_answer_is_no_crash(capsys: pytest.CaptureFixture[str]) -> None:
    assert smoke.main(["http://127.0.0.1:9", "--wait", "0"]) == 1
    assert "/health" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("login", "sync", "said"),
    [
        ((200, {"access_token": "t", "user_id": "amina"}), (200, {}), "amina has synced: 2 rows"),
        ((401, {"error": {"code": "wrong_credentials"}}), (200, {}), "log-in: 401"),
        ((200, {"access_token": "t", "user_id": "a"}), (503, {"error": {"code": "busy"}}), "sync:"),
    ],
)
def test_the_smoke_test_can_sync_as_a_new_phone(
    login: tuple[int, Any], sync: tuple[int, Any], said: str
) -> None:
    rows = {"server_updates": {"patients": [{}], "cases": [{}]}}

    def answer(path: str, body: bytes) -> tuple[int, Any]:
        if path == "/api/v1/auth/login":
            assert json.loads(body)["email"] == "amina@example.org"
            return login
        return sync[0], {**rows, **sync[1]}

    with server(answer) as url:
        try:
            found = smoke.first_sync(url, url, "amina@example.org", "secret")
        except SystemExit as end:
            found = str(end)
    assert said in found


def test_the_smoke_test_reads_terraform_s_outputs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from infra.local.table import load as functions
    from tests.infra.hcl import TERRAFORM, read

    outputs = {name for block in read(TERRAFORM / "outputs.tf")["output"] for name in block}
    assert {"status_url", "api_urls", "release"} <= outputs
    paths = {path for row in functions().values() for path in row.paths}
    values = {
        "status_url": "https://s",
        "release": "r1",
        "api_urls": dict.fromkeys(paths, "https://a"),
    }
    program = tmp_path / "terraform"
    program.write_text(
        f"#!/bin/sh\necho '{json.dumps({name: {'value': each} for name, each in values.items()})}'\n"
    )
    program.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    assert smoke.deployed("terraform") == ("https://s", "https://a", "https://a", "r1")


def test_the_bootstrap_script_is_one_for_the_shell() -> None:
    from tests.infra.test_runbooks import commands, unknown_to_gcloud

    path = ROOT / "infra" / "bootstrap.sh"
    assert subprocess.run(["bash", "-n", path], check=False).returncode == 0
    if shutil.which("gcloud") is None:
        absent("gcloud is not installed")
    text = path.read_text("utf-8").replace("\\\n", " ")
    lines = [line.strip().removeprefix("if ").removeprefix("! ") for line in text.splitlines()]
    asked = [words for line in lines if line.startswith("gcloud") for words in commands(line)]
    assert len(asked) > 5
    for words in asked:
        if words and words[0] == "gcloud":
            assert unknown_to_gcloud([word.split(">")[0] for word in words if word]) is None, words
