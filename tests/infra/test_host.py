"""A clinic's server as `infra/host` declares it: the image suffices, nothing may do more than it needs.

Container engines do not run here: their files are read. A real Caddy runs in `make soak`.
"""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.local import private
from infra.local.processes import Child, free_port
from infra.local.stack import Stack
from infra.local.table import REPOSITORY
from tests.patience import PATIENCE_SECONDS, until

HOST = REPOSITORY / "infra" / "host"
COMPOSE: dict[str, Any] = yaml.safe_load((HOST / "compose.yaml").read_text("utf-8"))
UNITS = sorted(HOST.glob("*.service")) + sorted(HOST.glob("*.timer"))
DOCKERFILE = (HOST / "Dockerfile").read_text("utf-8").replace("\\\n", " ")


def lines(instruction: str) -> list[str]:
    return re.findall(rf"^{instruction} (.*)$", DOCKERFILE, re.M)


def unit(name: str) -> configparser.ConfigParser:
    parser = configparser.ConfigParser(strict=False, interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read_string((HOST / name).read_text("utf-8"))
    return parser


@pytest.mark.proof
def test_what_the_image_holds_is_enough_to_serve(tmp_path: Path) -> None:
    """Its COPY lines, in a folder of their own, started as its CMD says."""
    app, data = tmp_path / "app", tmp_path / "data"
    app.mkdir()
    for line in lines("COPY"):
        source, target = line.split()
        if (REPOSITORY / source).is_dir():
            shutil.copytree(
                REPOSITORY / source, app / target, ignore=shutil.ignore_patterns("__pycache__")
            )
        else:
            shutil.copy(REPOSITORY / source, app / source)
    [command] = [json.loads(line) for line in lines("CMD")]
    assert command[:3] == ["python", "-m", "infra.local"]
    port = free_port()
    environ = {**os.environ, "DATA_FOLDER": str(data), "TRUSTED_PROXIES": "1"}
    environ.pop("PYTHONPATH", None)
    with Child(
        "server",
        [sys.executable, *command[1:], "--port", str(port)],
        log=tmp_path / "log",
        environ=environ,
        cwd=app,
    ) as server:
        server.wait_ready(lambda: "ready: " in server.tail(50), 120)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/ready") as answer:
            assert answer.status == 200


def test_the_image_runs_as_a_user_who_owns_the_data_alone() -> None:
    assert lines("USER") == ["dermadetect"]
    assert lines("VOLUME") == ["/data"]
    assert "DATA_FOLDER=/data" in " ".join(lines("ENV"))
    assert all(re.search(r":[\w.-]+$", line) for line in lines("FROM"))


def test_compose_gives_no_service_more_than_it_needs() -> None:
    services = COMPOSE["services"]
    assert set(services) == {"server", "proxy", "backup"}
    for name in ("server", "backup"):
        assert services[name]["cap_drop"] == ["ALL"]
        assert services[name]["security_opt"] == ["no-new-privileges:true"]
        assert "ports" not in services[name], "only the proxy is reached from outside"
        assert (HOST / services[name]["build"]["context"]).resolve() == REPOSITORY
        assert (REPOSITORY / services[name]["build"]["dockerfile"]).exists()
    assert services["server"]["read_only"] is True
    assert services["server"]["environment"] == {"TRUSTED_PROXIES": "1"}
    assert all(each["restart"] == "unless-stopped" for each in services.values())
    held = {volume.partition(":")[0] for each in services.values() for volume in each["volumes"]}
    assert {name for name in held if not name.startswith(".")} == set(COMPOSE["volumes"])
    assert (HOST / "Caddyfile").exists()


@pytest.mark.parametrize("path", UNITS, ids=lambda path: path.name)
def test_a_unit_says_what_systemd_knows(path: Path) -> None:
    known = unit(path.name)
    assert known["Unit"]["Description"]
    if path.suffix == ".timer":
        assert known["Timer"]["Persistent"] == "true"
        assert path.with_suffix(".service").exists()
        return
    service = known["Service"]
    for name, value in {
        "User": "dermadetect",
        "UMask": "0077",
        "NoNewPrivileges": "yes",
        "ProtectSystem": "strict",
        "ProtectHome": "yes",
        "CapabilityBoundingSet": "",
    }.items():
        assert service[name] == value, name


def commands() -> list[list[str]]:
    """What the units and compose run, after `python -m`."""
    found = [unit(path.name)["Service"]["ExecStart"] for path in HOST.glob("*.service")]
    found += re.findall(r"python -m [^\n]+", COMPOSE["services"]["backup"]["command"][2])
    return [shlex.split(line.partition("python -m ")[2]) for line in found]


@pytest.mark.proof
@pytest.mark.parametrize("words", commands(), ids=lambda words: " ".join(words[:4]))
def test_a_command_that_is_run_exists_with_its_options(words: list[str]) -> None:
    module, *rest = words
    plain = [word for word in rest if re.fullmatch(r"[a-z]+", word)]
    said = ""
    for upto in range(len(plain) + 1):
        done = subprocess.run(
            [sys.executable, "-m", module, *plain[:upto], "--help"],
            cwd=REPOSITORY,
            capture_output=True,
            text=True,
        )
        assert done.returncode == 0, done.stderr
        said += done.stdout
    for option in (word for word in rest if word.startswith("--")):
        assert option in said


def test_systemd_itself_accepts_the_units(tmp_path: Path) -> None:
    """With a program that is there. Elsewhere than on Linux with systemd the readings above have to do."""
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed: the units were only read")
    for path in UNITS:
        text = path.read_text("utf-8").replace(
            "/opt/dermadetect-cloud/.venv/bin/python", "/bin/true"
        )
        (tmp_path / path.name).write_text(text)
    done = subprocess.run(
        [program, "verify", *(tmp_path / path.name for path in UNITS)],
        capture_output=True,
        text=True,
    )
    assert str(tmp_path) not in done.stderr, done.stderr
    assert not [line for line in done.stderr.splitlines() if "dermadetect" in line]


@pytest.mark.soak
def test_caddy_hands_on_what_phones_may_reach_and_nothing_else(tmp_path: Path) -> None:
    program = shutil.which("caddy")
    assert program, "install caddy, as a clinic does"
    port = free_port()
    with Stack(data=tmp_path / "data", sweep_seconds=3600) as stack:
        environ = {
            **os.environ,
            "DOMAIN": f"http://127.0.0.1:{port}",
            "UPSTREAM": f"127.0.0.1:{stack.port}",
            "XDG_DATA_HOME": str(tmp_path),
            "XDG_CONFIG_HOME": str(tmp_path),
        }
        secret = private.secret(stack.data)

        def asked(path: str, **headers: str) -> int:
            request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", headers=headers)
            try:
                with urllib.request.urlopen(request, timeout=PATIENCE_SECONDS) as answer:
                    return int(answer.status)
            except urllib.error.HTTPError as refused:
                return refused.code
            except OSError:
                return 0

        command = [program, "run", "--config", str(HOST / "Caddyfile"), "--adapter", "caddyfile"]
        with Child("caddy", command, log=tmp_path / "caddy.log", environ=environ):
            until(lambda: asked("/health") == 200, "Caddy")
            assert asked("/openapi.json") == 200
            assert asked("/_push/analyse", **{private.HEADER: secret}) == 404
            assert asked("/_tasks/sweeper", **{private.HEADER: secret}) == 404
            assert asked("/metrics", Authorization=f"Bearer {secret}") == 404
