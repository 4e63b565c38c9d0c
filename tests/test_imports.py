"""Dependencies point inward, and a function pays only for what it uses (docs/architecture.md).

Our imports are read with `ast`, those inside functions included. What is loaded at start is looked
at in a process of its own.
"""

from __future__ import annotations

import ast
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Mapping
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parent.parent

#: What each package of `shared` imports of the others, exactly; "functions" is the folder beside it.
#: A new line here is a decision: docs/architecture.md draws the graph.
IMPORTS: dict[str, set[str]] = {
    "errors": set(),
    "telemetry": set(),
    "settings": {"errors"},
    "records": {"errors"},
    "access": {"errors", "records"},
    "sync": {"access", "errors", "records"},
    "jobs": {"access", "errors", "records"},
    "files": {"access", "errors", "jobs", "records"},
    "accounts": {"access", "errors", "records"},
    "ai": {"errors", "records"},
    "privacy": {"access", "errors", "records", "sync"},
    "support": {"access", "errors", "jobs", "records", "sync"},
    "notify": {"access", "api", "errors", "records", "support"},
    "export": {"access", "errors", "records"},
    "console": {"access", "accounts", "api", "errors", "settings"},
    "hooks": {"access", "api", "errors", "jobs", "records"},
    "products": {
        "access",
        "accounts",
        "ai",
        "console",
        "export",
        "api",
        "errors",
        "files",
        "hooks",
        "jobs",
        "notify",
        "records",
        "settings",
        "support",
        "sync",
    },
    "adapters": {
        "accounts",
        "ai",
        "errors",
        "export",
        "files",
        "hooks",
        "jobs",
        "notify",
        "records",
    },
    "api": {
        "access",
        "accounts",
        "errors",
        "export",
        "files",
        "jobs",
        "records",
        "settings",
        "support",
        "telemetry",
    },
    "wiring": {
        "access",
        "accounts",
        "adapters",
        "ai",
        "errors",
        "files",
        "hooks",
        "jobs",
        "notify",
        "products",
        "records",
        "settings",
        "sync",
        "telemetry",
    },
    # a function is served by wiring: it names no adapter
    "functions": {
        "access",
        "accounts",
        "api",
        "console",
        "errors",
        "export",
        "files",
        "hooks",
        "products",
        "records",
        "support",
        "sync",
        "telemetry",
        "wiring",
    },
}

#: The one function that imports others: it asks their routes in its own process.
CONSOLE = ROOT / "functions" / "console.py"

#: The only modules that lie in `shared` itself.
LOOSE = {"errors", "settings", "telemetry", "wiring"}

#: The frameworks and services that only some parts may know.
ONLY_IN: dict[str, set[str]] = {
    "google": {"adapters"},
    "sqlite3": {"adapters"},
    "flask": {"api", "console", "functions"},
    "werkzeug": {"api", "console", "functions"},
    "jinja2": {"console"},
    "babel": {"console"},
    "pygal": {"console"},
    "cloudevents": {"functions"},
    "opentelemetry": {"adapters"},
}


def sources() -> list[Path]:
    return [
        path for folder in ("shared", "functions") for path in sorted((ROOT / folder).rglob("*.py"))
    ]


def part_of(path: Path) -> str:
    """The part a file belongs to: `sync` for shared/sync/push.py, `web` for shared/api/web.py."""
    steps = path.relative_to(ROOT).with_suffix("").parts
    return "functions" if steps[0] == "functions" else steps[1]


def module_of(path: Path) -> str:
    steps = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(steps[:-1] if steps[-1] == "__init__" else steps)


@cache
def nodes(path: Path) -> tuple[ast.AST, ...]:
    """What the tests here look at in a file: imports, names, attributes, classes."""
    looked_at = (ast.Import, ast.ImportFrom, ast.Name, ast.Attribute, ast.ClassDef)
    tree = ast.parse(path.read_text(encoding="utf-8"))
    return tuple(node for node in ast.walk(tree) if isinstance(node, looked_at))


@cache
def imported(path: Path) -> tuple[str, ...]:
    """Every module that a file imports, wherever in it; `a.b.c` for `from a.b import c`."""
    found: list[str] = []
    for node in nodes(path):
        if isinstance(node, ast.Import):
            found += (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            found += (f"{node.module}.{alias.name}" for alias in node.names)
    return tuple(found)


def ours(path: Path) -> Iterator[str]:
    """The parts of `shared` (or "functions") that a file imports, itself left out."""
    for name in imported(path):
        first, *rest = name.split(".")
        if first == "functions" and path != CONSOLE:
            yield "functions"
        elif first == "shared" and rest and rest[0] != part_of(path):
            yield rest[0]


FILES = pytest.mark.parametrize("path", sources(), ids=module_of)


def graph() -> dict[str, set[str]]:
    """What each part really imports."""
    found: dict[str, set[str]] = {part_of(path): set() for path in sources()}
    for path in sources():
        found[part_of(path)].update(ours(path))
    return {part: targets for part, targets in found.items() if part != "__init__"}


def test_every_part_has_its_place() -> None:
    assert set(graph()) == set(IMPORTS)
    loose = {path.stem for path in (ROOT / "shared").glob("*.py")} - {"__init__"}
    assert loose == LOOSE


def test_imports_point_inward() -> None:
    assert graph() == IMPORTS


def test_no_package_knows_itself_through_another() -> None:
    list(TopologicalSorter(IMPORTS).static_order())  # raises `CycleError`, which names the circle


def drawn() -> str:
    """The graph as docs/architecture.md shows it: what follows from other arrows is left out."""
    beyond: dict[str, set[str]] = {}
    for part in TopologicalSorter(IMPORTS).static_order():
        beyond[part] = IMPORTS[part].union(*(beyond[target] for target in IMPORTS[part]))
    arrows = [
        f"    {part} --> {target}"
        for part, targets in IMPORTS.items()
        for target in sorted(targets)
        if not any(target in beyond[other] for other in targets)
    ]
    return "\n".join(["```mermaid", "graph LR", *arrows, "```"])


def test_the_architecture_page_draws_the_graph() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text(encoding="utf-8")
    assert drawn() in page, f"draw it anew:\n{drawn()}"


@FILES
def test_only_adapters_know_services_and_only_functions_know_http(path: Path) -> None:
    for name in imported(path):
        assert part_of(path) in ONLY_IN.get(name.partition(".")[0], {part_of(path)}), name


@FILES
def test_only_settings_reads_the_environment(path: Path) -> None:
    if module_of(path) == "shared.settings":
        return
    forbidden = {"environ", "environb", "getenv", "getenvb", "putenv", "load_dotenv"}
    named = {
        node.attr if isinstance(node, ast.Attribute) else node.id
        for node in nodes(path)
        if isinstance(node, ast.Attribute | ast.Name)
    }
    named |= {name.rpartition(".")[2] for name in imported(path)}
    assert named & forbidden == set()


@FILES
def test_nothing_is_imported_by_a_computed_name(path: Path) -> None:
    names = set(imported(path))
    assert not any(name.partition(".")[0] == "importlib" for name in names)
    assert "__import__" not in {n.id for n in nodes(path) if isinstance(n, ast.Name)}


def test_only_wiring_and_what_is_outside_names_adapters() -> None:
    naming = {
        module_of(path)
        for path in sources()
        if part_of(path) != "adapters" and "adapters" in set(ours(path))
    }
    assert naming == {"shared.wiring"}


def reachable(start: str) -> set[str]:
    """Modules of ours that importing `start` may load, through any number of steps."""
    known = {module_of(path): path for path in sources()}
    found: set[str] = set()
    waiting = [name for name in known if name == start or name.startswith(f"{start}.")]
    while waiting:
        name = waiting.pop()
        if name in found:
            continue
        found.add(name)
        for target in imported(known[name]):
            waiting += [item for item in (target, target.rpartition(".")[0]) if item in known]
    return found


def test_sync_never_needs_jobs() -> None:
    # directly or through others
    assert not [name for name in reachable("shared.sync") if name.startswith("shared.jobs")]


# --- what a started function has loaded

#: Clients that cost seconds or hundreds of megabytes; each is loaded at its first use.
COSTLY = (
    "google.cloud.aiplatform",
    "google.cloud.storage",
    "PIL",
    "pillow_heif",
    "google.cloud.pubsub",
    "google.cloud.pubsub_v1",
    "google.cloud.secretmanager",
    "google.cloud.secretmanager_v1",
    "argon2",
    "zxcvbn",
    "vertexai",
    "opentelemetry.sdk",
    "opentelemetry.exporter",
)

#: The collaborators that every sync makes; none of them may connect or load more than it needs.
_MAKE = "from shared import wiring; wiring.pusher(); wiring.puller(); wiring.doorbell()"


def loaded(code: str, tmp_path: Path, **environ: str) -> set[str]:
    """Modules that a new process has loaded after running `code`."""
    return set(said(f"{code}\nimport sys", "sorted(sys.modules)", tmp_path, **environ))


def said(code: str, value: str, tmp_path: Path, **environ: str) -> Any:
    """What an expression is in a new process that has run `code`."""
    script = f"{code}\nimport json; print(json.dumps({value}))"
    ran = subprocess.run(
        [sys.executable, "-c", script],
        cwd=ROOT,
        env={**_plain(os.environ), "DATA_FOLDER": str(tmp_path), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return json.loads(ran.stdout.splitlines()[-1])


def _plain(environ: Mapping[str, str]) -> dict[str, str]:
    """An environment that chooses nothing."""
    kept = ("PATH", "HOME", "LANG", "PYTHONPATH", "VIRTUAL_ENV", "TMPDIR")
    return {name: environ[name] for name in kept if name in environ}


CLOUD = {
    "RECORD_STORE": "firestore",
    "JOB_QUEUE": "pubsub",
    "MODEL": "vertex",
    "VERTEX_ENDPOINT": "1234",
    "TRACE_EXPORTER": "cloud_trace",
    "GOOGLE_CLOUD_PROJECT": "demo-clinic",
    # A client without credentials; it does not connect before it is used.
    "FIRESTORE_EMULATOR_HOST": "127.0.0.1:9",
    "PUBSUB_EMULATOR_HOST": "127.0.0.1:9",
}


@pytest.mark.parametrize("environ", [{}, CLOUD], ids=["local", "cloud"])
@pytest.mark.parametrize("code", ["import functions.sync", f"import functions.sync; {_MAKE}"])
def test_sync_loads_no_client_that_it_does_not_use(
    tmp_path: Path, environ: dict[str, str], code: str
) -> None:
    modules = loaded(code, tmp_path, **environ)
    assert [
        name for name in modules if any(name == c or name.startswith(f"{c}.") for c in COSTLY)
    ] == []
    uses_firestore = bool(environ) and _MAKE in code
    assert ("google.cloud.firestore" in modules) is uses_firestore
    assert ("sqlite3" in modules) is (_MAKE in code and not environ)


@pytest.mark.parametrize("environ", [{}, CLOUD], ids=["local", "cloud"])
def test_what_a_start_loads_is_not_looked_through_for_cycles_again(
    tmp_path: Path, environ: dict[str, str]
) -> None:
    """It would hold up every thread for longer than a sync takes."""
    counts = "[gc.get_freeze_count(), len(gc.get_objects())]"
    kept, left = said(f"import functions.sync, gc; {_MAKE}", counts, tmp_path, **environ)
    assert kept > 20_000
    assert left < kept / 20


@pytest.mark.proof
def test_the_embedded_profile_loads_nothing_of_google_s(tmp_path: Path) -> None:
    modules = loaded(f"import functions.sync; {_MAKE}", tmp_path)
    assert not [name for name in modules if name.startswith(("google.cloud.", "grpc"))]


@pytest.mark.proof
def test_a_collector_of_traces_costs_nothing_at_start(tmp_path: Path) -> None:
    collector = {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"}
    modules = loaded(f"import functions.sync; {_MAKE}", tmp_path, **collector)
    assert not [name for name in modules if name.startswith("opentelemetry")]


@pytest.mark.proof
def test_files_load_the_client_that_is_asked_for(tmp_path: Path) -> None:
    code = "from shared import wiring; wiring.files()"
    assert not [
        name for name in loaded(code, tmp_path) if name.startswith(("google.cloud.", "grpc"))
    ]
    cloud = {
        "FILE_STORE": "gcs",
        "FILES_BUCKET": "photos",
        "FILES_ENDPOINT": "http://127.0.0.1:9",
        "GOOGLE_CLOUD_PROJECT": "demo-clinic",
    }
    modules = loaded(code, tmp_path, **cloud)
    assert "google.cloud.storage" in modules
    assert "google.cloud.firestore" not in modules


def test_main_loads_only_the_function_that_is_asked_for(tmp_path: Path) -> None:
    modules = loaded("import main", tmp_path, FUNCTION_TARGET="status")
    functions = {name for name in modules if name.startswith("functions.")}
    assert functions == {"functions.status"}


def test_a_class_name_has_one_meaning() -> None:
    places: dict[str, set[str]] = {}
    for folder in ("shared", "functions", "infra"):
        for path in (ROOT / folder).rglob("*.py"):
            for node in nodes(path):
                if isinstance(node, ast.ClassDef):
                    places.setdefault(node.name, set()).add(str(path.relative_to(ROOT)))
    assert {name: sorted(found) for name, found in places.items() if len(found) > 1} == {}
