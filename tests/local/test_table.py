"""functions.yaml says what can be deployed and served; what makes no sense is refused by name."""

from __future__ import annotations

import importlib
import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from infra.local.server import App, Router
from infra.local.table import REPOSITORY, TABLE, Function, Routes, load, subscribers
from shared import wiring
from shared.errors import ConfigurationFault
from shared.products.known import named, names
from shared.settings import Settings

FUNCTIONS = load()


@pytest.mark.parametrize("name", FUNCTIONS)
def test_every_function_has_a_module_with_a_callable_of_its_name(name: str) -> None:
    module = importlib.import_module(f"functions.{name}")
    assert callable(getattr(module, name))


def test_every_module_of_functions_is_in_the_table() -> None:
    modules = {path.stem for path in (REPOSITORY / "functions").glob("[!_]*.py")}
    assert modules == set(FUNCTIONS)


@pytest.mark.parametrize(
    "name", [each.name for each in FUNCTIONS.values() if each.trigger == "http"]
)
def test_the_table_sends_a_function_all_that_its_routes_answer_and_no_more(name: str) -> None:
    served = [route.path for route in importlib.import_module(f"functions.{name}").ROUTES]
    if name == "review":  # the one whose routes are the products'
        served = [route.path for each in names() for route in named(each).routes(wiring.parts())]
    table = Routes(FUNCTIONS.values())
    for path in served:
        assert table.find(re.sub(r"{\w+}", "x", path)) is FUNCTIONS[name], path
    for sent in FUNCTIONS[name].paths:
        home = sent.removesuffix("*")
        answered = [
            path for path in served if path == sent or (home != sent and path.startswith(home))
        ]
        assert answered, sent


def test_secrets_and_environment_are_settings() -> None:
    variables = {name.upper() for name in Settings.__dataclass_fields__}
    for function in FUNCTIONS.values():
        assert set(function.secrets) | set(function.environment) <= variables


def test_a_lease_outlives_every_function_that_works_on_jobs() -> None:
    settings = Settings()
    for function in FUNCTIONS.values():
        if function.topics:
            assert function.timeout_seconds < settings.lease_seconds


def test_every_kind_has_a_subscriber_and_one_for_its_dead_letters() -> None:
    kinds = subscribers(FUNCTIONS.values())
    assert kinds["analyse"] == (FUNCTIONS["analyse"], FUNCTIONS["dead_letters"])
    assert len({dead.name for _, dead in kinds.values()}) == 1  # the dispatcher knows one


@pytest.mark.parametrize(
    ("name", "change", "problem"),
    [
        ("sync", {"paths": []}, "paths"),
        ("sync", {"paths": ["api/sync"]}, "paths"),
        ("sync", {"paths": ["/api/*/x"]}, "paths"),
        ("sync", {"paths": ["/health"]}, "shares /health"),
        ("sync", {"topics": ["other"]}, "topics"),
        ("sync", {"ingress": "internal"}, "ingress"),
        ("sync", {"trigger": "cron"}, "trigger"),
        ("sync", {"cpu": 0.5}, "cpu"),
        ("sync", {"concurrency": 0}, "concurrency"),
        ("sync", {"max_instances": 0}, "max_instances"),
        ("sync", {"memroy": "1Gi"}, "memroy"),
        ("sync", {"memory": None}, "memory"),
        ("analyse", {"ingress": "public"}, "ingress"),
        ("analyse", {"timeout_seconds": 600}, "timeout_seconds"),
        ("analyse", {"ack_deadline_seconds": 601}, "ack_deadline_seconds"),
        ("analyse", {"max_delivery_attempts": 4}, "max_delivery_attempts"),
        ("analyse", {"min_backoff_seconds": 700}, "max_backoff_seconds"),
        ("analyse", {"topics": ["letters"]}, "letters-dead"),
        ("analyse", {"topics": ["Analyse!"]}, "topics"),
        ("sweeper", {"schedule": ""}, "schedule"),
        ("sweeper", {"paths": ["/sweep"]}, "paths"),
    ],
)
def test_an_absurd_table_is_refused_by_name(
    name: str, change: dict[str, Any], problem: str, tmp_path: Path
) -> None:
    rows = yaml.safe_load(TABLE.read_text())
    rows[name] |= change
    rows[name] = {key: value for key, value in rows[name].items() if value is not None}
    file = tmp_path / "functions.yaml"
    file.write_text(yaml.safe_dump(rows))
    with pytest.raises(ConfigurationFault, match=problem) as caught:
        load(file)
    assert caught.value.field in FUNCTIONS


def function(name: str, *paths: str) -> Function:
    return Function(
        name=name,
        description="",
        trigger="http" if paths else "push",
        memory="512Mi",
        cpu=1,
        concurrency=1,
        timeout_seconds=1,
        min_instances=0,
        max_instances=1,
        ingress="public",
        paths=paths,
    )


ROWS = (function("a", "/a", "/a/*", "/a/b/exact"), function("b", "/a/b/*"), function("push"))


@pytest.mark.parametrize(
    ("path", "served_by"),
    [
        ("/a", "a"),
        ("/a/", None),
        ("/a/x", "a"),
        ("/a/x/y", "a"),
        ("/ax", None),
        ("/a/b/x", "b"),  # the longest pattern
        ("/a/b/exact", "a"),  # before any pattern
        ("/", None),
        ("", None),
        ("//a", None),
        ("/_push/push", None),
        ("/A", None),
    ],
)
def test_public_paths_find_their_function(path: str, served_by: str | None) -> None:
    found = Routes(ROWS).find(path)
    assert (found.name if found else None) == served_by


@pytest.mark.parametrize(
    ("shown", "opens"),
    [
        ({}, False),
        ({"HTTP_X_PRIVATE_SECRET": ""}, False),
        ({"HTTP_X_PRIVATE_SECRET": "known "}, False),
        ({"HTTP_X_PRIVATE_SECRET": "KNOWN"}, False),
        ({"HTTP_X_PRIVATE_SECRET": "\xe9"}, False),
        ({"HTTP_X_PRIVATE_SECRET": "known"}, True),
        ({"HTTP_X_PRIVATE_SECRET": "known", "HTTP_X_FORWARDED_FOR": "10.0.0.1"}, True),
    ],
)
def test_private_paths_answer_those_who_show_the_secret(shown: dict[str, str], opens: bool) -> None:
    def make(function: Function) -> App:
        def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
            start_response("200 OK", [])
            assert "HTTP_X_PRIVATE_SECRET" not in environ
            return [f"{function.name} sees {environ['PATH_INFO']}".encode()]

        return app

    said: list[str] = []
    asked = {"REMOTE_ADDR": "127.0.0.1", "PATH_INFO": "/_push/push", "REQUEST_METHOD": "POST"}
    router = Router(ROWS, make, "known")
    body = b"".join(router({**asked, **shown}, lambda status, headers: said.append(status)))
    assert said == ["200 OK" if opens else "404 Not Found"]
    assert (body == b"push sees /") is opens


def test_main_imports_only_the_function_that_is_asked_for() -> None:
    import subprocess
    import sys

    code = (
        "import runpy, sys; namespace = runpy.run_path('main.py');"
        "print(callable(namespace['status']), [m for m in sys.modules if m[:10] == 'functions.'])"
    )
    said = subprocess.run(
        [sys.executable, "-c", code],
        cwd=REPOSITORY,
        env={**os.environ, "FUNCTION_TARGET": "status"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert said.stdout.strip() == "True ['functions.status']"


def test_forwarded_addresses_that_nobody_believes_are_warned_of_once(
    caplog: pytest.LogCaptureFixture,
) -> None:
    def make(function: Function) -> App:
        def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> list[bytes]:
            start_response("200 OK", [])
            return [b""]

        return app

    def asked(router: Router, forwarded: str, remote: str) -> int:
        caplog.clear()
        environ = {"PATH_INFO": "/health", "REQUEST_METHOD": "GET", "REMOTE_ADDR": remote}
        router({**environ, **({"HTTP_X_FORWARDED_FOR": forwarded} if forwarded else {})}, print)
        return sum("TRUSTED_PROXIES" in line.getMessage() for line in caplog.records)

    believed, unbelieved = Router(ROWS, make, "known", 1), Router(ROWS, make, "known")
    assert asked(believed, "192.0.2.7", "172.18.0.2") == 0
    assert asked(unbelieved, "", "172.18.0.2") == 0
    assert asked(unbelieved, "192.0.2.7", "127.0.0.1") == 0
    assert asked(unbelieved, "192.0.2.7", "172.18.0.2") == 1
    assert asked(unbelieved, "192.0.2.8", "172.18.0.2") == 0
