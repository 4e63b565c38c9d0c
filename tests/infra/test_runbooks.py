"""Runbooks: every command is run here, or is marked "not run here" and held against the tools' own lists.

Blocks without the mark run on the embedded store, in the order of their page. For the others: the
shell takes them, Google Cloud's SDK knows command and options, Terraform too; where a tool is not
installed, its part is skipped visibly.
"""

from __future__ import annotations

import importlib.util
import os
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from shared.api.codes import every_code
from shared.api.record_codes import RECORD_CODES
from shared.settings import Settings
from tests.conftest import absent

ROOT = Path(__file__).resolve().parents[2]
RUNBOOKS = sorted((ROOT / "infra" / "runbooks").glob("*.md"))
MARK = "# not run here\n"

#: Programs that runbooks may use; what else is used must be thought about.
PROGRAMS = {
    "bash",
    "cat",
    "cp",
    "curl",
    "date",
    "export",
    "gcloud",
    "make",
    "openssl",
    "terraform",
    "tr",
}


def blocks(path: Path) -> list[str]:
    return re.findall(r"^```sh\n(.*?)^```", path.read_text("utf-8"), re.S | re.M)


def marked() -> list[tuple[str, str]]:
    return [
        (path.name, part) for path in RUNBOOKS for part in blocks(path) if part.startswith(MARK)
    ]


def commands(script: str) -> list[list[str]]:
    """Words of every simple command, also of those within `$(…)` and of a pipe's parts."""
    found = []
    for line in script.splitlines():
        line = line.strip()
        if not line or line.startswith("#"):
            continue
        inner = re.findall(r"\$\(([^()]*)\)", line)
        outer = re.sub(r"\$\([^()]*\)", "VALUE", line)
        for part in [outer, *inner]:
            lexer = shlex.shlex(part, posix=True, punctuation_chars="|&;")
            lexer.whitespace_split = True
            words: list[str] = []
            for word in [*lexer, ";"]:
                if set(word) <= set("|&;"):
                    found.append(words)
                    words = []
                else:
                    words.append(word)
    return [words for words in found if words]


def all_commands() -> list[tuple[str, list[str]]]:
    return [(name, words) for name, script in marked() for words in commands(script)]


@cache
def gcloud_tree() -> dict[str, Any]:
    """The SDK's own list of commands and options, or a skip."""
    program = shutil.which("gcloud")
    if program is None:
        absent("gcloud is not installed")
    file = Path(program).resolve().parents[1] / "data" / "cli" / "gcloud_completions.py"
    spec = importlib.util.spec_from_file_location("gcloud_completions", file)
    if spec is None or spec.loader is None or not file.exists():
        absent("this gcloud has no list of its commands")
    module = importlib.util.module_from_spec(spec)
    before, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        spec.loader.exec_module(module)
    finally:
        sys.dont_write_bytecode = before
    tree: dict[str, Any] = module.STATIC_COMPLETION_CLI_TREE
    return tree


# --- every page


def test_there_are_runbooks_and_the_list_has_them_all() -> None:
    listed = set(re.findall(r"\]\(([\w-]+\.md)\)", (RUNBOOKS[0].parent / "README.md").read_text()))
    assert listed == {path.name for path in RUNBOOKS} - {"README.md"}
    assert len(listed) == 12


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.name)
def test_every_page_says_when_and_how_it_ends(path: Path) -> None:
    said = path.read_text("utf-8")
    if path.name != "README.md":
        assert re.search(r"^\*\*When:\*\*", said, re.M)
        assert re.search(r"^## .*(?:Over\?|Is it up\?|Afterwards)$", said, re.M)
    for target in re.findall(r"\]\(([^)\s]+)\)", said):
        assert (path.parent / target).exists(), target
    for name in re.findall(r"`((?:terraform|infra|shared|docs|tests|functions)/[\w./-]+)`", said):
        assert (ROOT / name).exists() or name.endswith(".terraform.lock.hcl"), name


@pytest.mark.parametrize("path", RUNBOOKS, ids=lambda path: path.name)
def test_settings_variables_and_codes_that_are_named_exist(path: Path) -> None:
    terraform = (ROOT / "terraform" / "variables.tf").read_text("utf-8")
    declared = set(re.findall(r'^variable "(\w+)"', terraform, re.M))
    known = {name.upper() for name in Settings.__dataclass_fields__}
    errors = (ROOT / "shared" / "errors.py").read_text("utf-8")
    codes = set(RECORD_CODES) | {code for group in every_code().values() for code in group}
    codes |= set(re.findall(r'code = "(\w+)"', errors))
    for span in re.findall(r"`([^`\n]+)`", path.read_text("utf-8")):
        if re.fullmatch(r"[A-Z]+_[A-Z_]+", span):
            assert span in known, span
        if re.fullmatch(r"(?:no|unknown|read_only|id|model)_[a-z]+|scope_required", span):
            assert span in codes | declared, span
        if variable := re.match(r"(\w+) = ", span):
            word = variable[1]
            assert re.search(rf'"{word}"|^    {word} ', terraform, re.M), span


def test_a_restore_empties_every_collection_that_there_is() -> None:
    from infra.cli.backup import collections

    page = (ROOT / "infra" / "runbooks" / "restore.md").read_text("utf-8")
    [listed] = re.findall(r"--collection-ids=([a-z_,]+)", page)
    assert listed.split(",") == collections()


# --- blocks that run


@pytest.mark.proof
@pytest.mark.parametrize(
    ("name", "script"),
    [
        pytest.param(path.name, "\n".join(run), id=path.name)
        for path in RUNBOOKS
        if (run := [part for part in blocks(path) if not part.startswith(MARK)])
    ],
)
def test_blocks_without_the_mark_run(name: str, script: str, tmp_path: Path) -> None:
    settings = {spec.upper() for spec in Settings.__dataclass_fields__}
    script = script.replace(".venv/bin/python", shlex.quote(sys.executable))
    (tmp_path / "data").mkdir()
    script = script.replace("-m infra.ci.package", f"-m infra.ci.package --to {tmp_path}")
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", script],
        cwd=ROOT,
        env={key: value for key, value in os.environ.items() if key not in settings}
        | {"DATA_FOLDER": str(tmp_path / "data")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, (name, done.stdout, done.stderr)


# --- blocks that do not


def test_the_shell_takes_every_block() -> None:
    for name, script in marked():
        done = subprocess.run(
            ["bash", "-n", "-c", script], capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, (name, done.stderr)


def test_only_known_programs_are_used() -> None:
    for name, words in all_commands():
        program = words[0]
        if program == ".venv/bin/python":
            assert words[1] == "-m", (name, words)
            module = ROOT.joinpath(*words[2].split("."))
            assert module.with_suffix(".py").exists() or module.is_dir(), (name, words)
        else:
            assert program in PROGRAMS, (name, words)


def unknown_to_gcloud(words: list[str]) -> str | None:
    """What of a gcloud command the SDK does not know."""
    node = gcloud_tree()
    options = set(node["flags"])
    rest = words[1:]
    while rest and rest[0] in node["commands"]:
        node = node["commands"][rest.pop(0)]
        options |= set(node["flags"])
    if node["commands"]:
        return f"no command: {' '.join(words)}"
    for word in rest:
        option = word.partition("=")[0]
        if option.startswith("--") and option not in options:
            positive = option.replace("--no-", "--", 1)
            if positive not in options:
                return f"no option {option}: {' '.join(words)}"
    return None


def test_gcloud_knows_every_command_and_option() -> None:
    gcloud_tree()
    for name, words in all_commands():
        if words[0] == "gcloud":
            assert unknown_to_gcloud(words) is None, name


@pytest.mark.parametrize(
    "line",
    [
        "gcloud firestore databases mend",
        "gcloud secrets versions add x --value=1",
        "gcloud",
    ],
)
def test_a_command_that_gcloud_does_not_have_is_seen(line: str) -> None:
    assert unknown_to_gcloud(line.split()) is not None


@cache
def terraform_options(command: str) -> set[str]:
    if shutil.which("terraform") is None:
        absent("terraform is not installed")
    said = subprocess.run(
        ["terraform", *command.split(), "-help"],
        env={**os.environ, "TF_CLI_CONFIG_FILE": os.devnull, "CHECKPOINT_DISABLE": "1"},
        capture_output=True,
        text=True,
        check=False,
    ).stdout
    return set(re.findall(r"^\s+(-[a-z-]+)", said, re.M))


def test_terraform_knows_every_option() -> None:
    for name, words in all_commands():
        if words[0] == "terraform":
            command = next(word for word in words[1:] if not word.startswith("-"))
            if command == "providers":
                command = " ".join(words[words.index(command) :][:2])
            known = terraform_options(command) | {"-chdir"}
            # a plan's options are those of an apply too
            known |= terraform_options("plan") if command == "apply" else set()
            for word in words[1:]:
                if word.startswith("-"):
                    assert word.partition("=")[0] in known, (name, words)


# --- what Google does not do


def test_no_backup_is_restored_into_another_place() -> None:
    # a backup goes into the project and location of its database only (firestore/docs/backups); the page
    # for an outage of the region once restored one elsewhere
    restoring = {name for name, words in all_commands() if words[1:4] == RESTORE}
    assert restoring == {"restore.md"}
    [page] = [path for path in RUNBOOKS if path.name == "region-outage.md"]
    assert [words for name, words in all_commands() if name == page.name and "import" in words]


RESTORE = ["firestore", "databases", "restore"]


def test_a_restore_stops_every_writer() -> None:
    from tests.infra.hcl import local

    stopped = {
        words[4]
        for name, words in all_commands()
        if name == "restore.md" and words[1:4] == ["run", "services", "set-iam-policy"]
    }
    writers = {
        name.replace("_", "-")
        for name, rights in local("access").items()
        if rights.get("records") == "write"
    }
    assert stopped == writers
    paused = {
        words[4]
        for name, words in all_commands()
        if name == "restore.md" and words[1:4] == ["scheduler", "jobs", "pause"]
    }
    resumed = {
        words[4]
        for name, words in all_commands()
        if name == "restore.md" and words[1:4] == ["scheduler", "jobs", "resume"]
    }
    assert paused == resumed == {"sweeper", "export-records"}
