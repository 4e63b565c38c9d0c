"""The documents are true: what they name exists, what they show works, their tables are complete.

Commands and calls are taken out of the text and run. A document that shows something new is checked
without a change here.
"""

from __future__ import annotations

import ast
import hashlib
import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

import shared.products.dermadetect.faults  # noqa: F401  its codes are listed, too
from infra.ci import lock
from infra.cli.command import OperatorCommand
from infra.cli.root import main
from infra.local.stack import Stack
from infra.local.table import load
from shared import errors
from shared.api.codes import every_code
from shared.api.record_codes import RECORD_CODES
from shared.files.codes import FILE_CODES
from shared.products import known
from shared.products.dermadetect.tables import CATALOG
from shared.records import record
from shared.settings import VERSION
from tests.audit.test_tampering import NOTHING, OUTSIDE, TAMPERINGS
from tests.conftest import absent
from tests.patience import until
from tests.tables import table

ROOT = Path(__file__).parent.parent
README, API = ROOT / "README.md", ROOT / "docs" / "api.md"
CHANGELOG = ROOT / "CHANGELOG.md"
GUIDE = ROOT / "docs" / "mobile-guide.md"
ARCHITECTURE, PICTURE = ROOT / "docs" / "architecture.md", ROOT / "docs" / "architecture.svg"
DECISIONS = sorted((ROOT / "docs" / "decisions").glob("*.md"))
REVIEW, AI = ROOT / "docs" / "review.md", ROOT / "docs" / "ai.md"
PHOTOS = ROOT / "docs" / "photos.md"
SECURITY, PRIVACY = ROOT / "docs" / "security.md", ROOT / "docs" / "privacy.md"
DOCUMENTS = [
    README,
    CHANGELOG,
    ROOT / "CONTRIBUTING.md",
    ROOT / "SECURITY.md",
    API,
    GUIDE,
    REVIEW,
    AI,
    PHOTOS,
    ROOT / "docs" / "self-hosting.md",
    *(
        ROOT / "docs" / name
        for name in ("README.md", "tutorial.md", "shared-phone.md", "glossary.md")
    ),
    ROOT / "docs" / "data-out.md",
    ARCHITECTURE,
    SECURITY,
    PRIVACY,
    *DECISIONS,
]

#: Runs a script: what it printed, and the statuses that curl got.
Shell = Callable[[str], tuple[str, str]]

#: A word with such an ending, and no folder, is a file at the top.
SUFFIXES = {".md", ".py", ".toml", ".txt", ".yaml"}


def text(document: Path) -> str:
    return document.read_text(encoding="utf-8")


def blocks(document: Path, language: str) -> list[tuple[str, str]]:
    """Fenced blocks of a language, each with the paragraph before it."""
    whole = text(document)
    found = re.finditer(rf"\n\n```{language}\n(.*?)```", whole, re.S)
    return [(whole[: match.start()].rpartition("\n\n")[2], match[1]) for match in found]


def spans(document: Path) -> set[str]:
    """What stands between backticks in running text."""
    prose = re.sub(r"```.*?```", "", text(document), flags=re.S)
    return set(re.findall(r"`([^`\n]+)`", prose))


def code(document: Path) -> list[str]:
    """Every line of code: spans, and lines of fenced blocks."""
    fenced = re.findall(r"```\w*\n(.*?)```", text(document), re.S)
    return [*sorted(spans(document)), *(line for part in fenced for line in part.splitlines())]


def named(document: Path, first: str) -> list[str]:
    return [row[0].strip("`") for row in table(document, first)]


# --- what is named exists


def paths_of(document: Path) -> set[str]:
    """Files and folders of this repository that a document names."""
    folders = {path.name for path in ROOT.iterdir() if path.is_dir()} - {".data", ".venv"}
    found = {
        span
        for span in spans(document)
        if re.fullmatch(r"[\w.*/-]+", span)
        and (span.partition("/")[0] in folders or Path(span).suffix in SUFFIXES)
    }
    for _, tree in blocks(document, "text"):
        found |= {
            line.split()[0] for line in tree.splitlines() if re.match(r"[\w/.]+\s{2,}\w", line)
        }
    return {path for path in found if "/" in path or "." in path}


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_path_exists(document: Path) -> None:
    for path in paths_of(document):
        there = any(ROOT.glob(path.rstrip("/"))) if "*" in path else (ROOT / path).exists()
        assert there, path


def test_the_readme_shows_every_folder_of_code() -> None:
    shown = paths_of(README)
    for folder in (path for path in (ROOT / "shared").iterdir() if (path / "__init__.py").exists()):
        assert f"shared/{folder.name}/" in shown


def targets() -> set[str]:
    return set(re.findall(r"^([a-z-]+):", text(ROOT / "Makefile"), re.M))


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: path.name)
def test_every_make_command_has_a_rule(document: Path) -> None:
    for line in code(document):
        for target in re.findall(r"\bmake ([a-z-]+)", line):
            assert target in targets(), line


def test_the_readme_lists_every_make_command() -> None:
    assert {name for name in named(README, "command") if name.startswith("make ")} == {
        f"make {target}" for target in targets()
    }


def modules() -> list[tuple[str, ...]]:
    """Every `python -m …` of the documents but the operators' command: module, its command, its options."""
    found = set()
    for document in DOCUMENTS:
        for line in code(document):
            for words in re.findall(r"python -m ([\w.]+(?: [\w./-]+)*)", line):
                module, *rest = words.split()
                if module == "infra.cli":
                    continue
                options = [word for word in rest if word.startswith("--")]
                while rest and rest[0].startswith("--"):
                    del rest[:2]  # an option with its value, before the command
                command = rest[:1] if rest and re.fullmatch(r"[a-z]+", rest[0]) else []
                found.add((module, *command, *options))
    return sorted(found)


@pytest.mark.parametrize("words", modules(), ids=" ".join)
def test_every_module_can_be_called_like_this(words: tuple[str, ...]) -> None:
    options = [word for word in words if word.startswith("--")]
    commands = [word for word in words[1:] if not word.startswith("--")]
    above = help_of(words[0])
    said = help_of(words[0], *commands) if commands else ""
    assert said != above, "an unknown command gets the help of its module"
    for option in options:
        assert option in above + said


def calls_of_the_cli() -> list[tuple[tuple[str, ...], bool]]:
    """Words behind the operators' command on any page, and whether that is to be pasted."""
    found = set()
    pages = [path for part in (".", "docs", "docs/decisions", "infra/runbooks", "benchmarks")
             for path in (ROOT / part).glob("*.md")]  # fmt: skip
    for page in pages:
        quoted = spans(page)
        for line in code(page):
            for call in re.findall(r"(?:python -m infra\.cli|care-server)\b(?![./])([^\n]*)", line):
                lexer = shlex.shlex(call, posix=True, punctuation_chars="|&;<>()")
                lexer.whitespace_split, lexer.commenters = True, ""
                words = takewhile(lambda word: not set(word) <= set("|&;<>()…"), lexer)
                found.add((tuple(words), line not in quoted))
    return sorted(found)


@pytest.fixture
def parse(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """Lets Click parse the words of a call without running it: the exit code."""
    monkeypatch.setattr(OperatorCommand, "invoke", lambda *_: None)
    return lambda *words: main(words)


@pytest.mark.parametrize(("words", "pasted"), calls_of_the_cli(), ids=str)
def test_every_call_of_the_cli_is_one(
    words: tuple[str, ...], pasted: bool, parse: Callable[..., int]
) -> None:
    # a page may name a command without its arguments
    assert parse(*words) == 0 or (not pasted and parse(*words, "--help") == 0)


@pytest.mark.parametrize(
    "words",
    ["grant amina", "jobs list --stat parked", "jobs list --state lost", "jobs mend", "admin"],
)
def test_a_call_that_the_cli_does_not_take_is_seen(words: str, parse: Callable[..., int]) -> None:
    assert parse(*words.split()) == 2


def help_of(*words: str) -> str:
    done = subprocess.run(
        [sys.executable, "-m", *words, "--help"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def test_every_setting_that_is_named_exists() -> None:
    variables = set(known.variables())
    variables |= {"FUNCTION_TARGET"}
    words = {
        word for item in CATALOG.collections for spec in item.fields for word in spec.choices or ()
    }
    for document in DOCUMENTS:
        for span in spans(document):
            if re.fullmatch(r"[A-Z][A-Z_]{3,}", span) and span not in words:
                assert span in variables, (document.name, span)


# --- the calls of the README


@pytest.fixture(scope="module")
def shell(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shell]:
    """Runs what the README shows against a running back end: what curl printed, and statuses."""
    if shutil.which("curl") is None:
        absent("curl is not installed")
    folder = tmp_path_factory.mktemp("readme")
    (folder / ".curlrc").write_text('write-out = "%{stderr}%{http_code} "\n')
    with Stack(profile="local", data=folder / "data", sweep_seconds=3600) as stack:
        known = {"CURL_HOME": str(folder)}

        def run(script: str) -> tuple[str, str]:
            for shown, here in (
                (".venv/bin/python", sys.executable),
                ("http://127.0.0.1:8080", stack.url),
                (".data", str(stack.data)),
            ):
                script = script.replace(shown, here)
            done = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", script],
                cwd=ROOT,
                env={**os.environ, **known},
                capture_output=True,
                text=True,
                check=False,
            )
            assert done.returncode == 0, done.stderr
            return done.stdout, done.stderr

        [prepare] = [part for _, part in blocks(README, "sh") if "TOKEN=$(" in part]
        url, token = run(f'{prepare}\necho "$URL"; echo "$TOKEN"')[0].split()
        known |= {"URL": url, "TOKEN": token}
        yield run


def calls() -> list[tuple[str, str]]:
    return [(said, part) for said, part in blocks(README, "sh") if part.count("curl ")]


def holds(said: str, answer: Any) -> bool:
    """Whether an answer shows what the README says of it."""
    if "everything of her teams" in said:
        return answer["new_sync_timestamp"] > 0 and answer["accepted"] == {}
    if "both records are accepted" in said:
        [case] = answer["server_updates"]["cases"]
        accepted = {"patients": ["patient-1"], "cases": ["case-1"]}
        return answer["accepted"] == accepted and case["status"] == "PENDING_DIAGNOSIS"
    if "now has `ai_analysis`" in said:
        [case] = answer["server_updates"]["cases"]
        return case["ai_analysis"] is not None
    if "`next_page` asks for those that follow" in said:
        rows = answer["server_updates"]
        return not rows["patients"] and len(rows["cases"]) == 1
    return True


@pytest.mark.proof
def test_every_call_of_the_readme_works_as_pasted(shell: Shell) -> None:
    for said, script in calls():
        [stated] = re.findall(r"[Aa]nswers (\d{3})", said)

        def right(said: str = said, script: str = script, stated: str = stated) -> bool:
            printed, statuses = shell(script)
            assert statuses.split() == [stated] * script.count("curl "), said
            answer = json.loads(printed)
            # other calls are right at once
            assert holds(said, answer) or "It takes about a second" in said, answer
            return holds(said, answer)

        until(right, said)


@pytest.mark.proof
def test_every_call_of_the_guide_s_accounts_works_as_pasted(shell: Shell) -> None:
    chapter = [
        (said, part) for said, part in blocks(API, "sh") if "/auth/" in part or "CODE" in part
    ]
    printed, statuses = shell("\n".join(part for _, part in chapter))
    stated = [code for said, _ in chapter for code in re.findall(r"[Aa]nswers (\d{3})", said)]
    assert len(stated) == sum(part.count("curl ") for _, part in chapter) >= 8
    assert statuses.split() == stated
    lines = printed.replace("}{", "}\n{").splitlines()
    first, me, invite, members, one, two, listed, ended, out = map(json.loads, lines)
    assert me["scopes"][0]["role"] == "supervisor"
    assert len(invite["invite_code"]) == 6
    assert [each["name"] for each in members["members"] if each["name"]] == ["Amina"]
    assert first["refresh_token"] != one["refresh_token"] == two["refresh_token"]
    assert [each["current"] for each in listed["sessions"]] == [True, False]
    assert ended == out == {}


@pytest.mark.proof
def test_every_call_of_the_guide_s_photos_works_as_pasted(shell: Shell) -> None:
    chapter = [
        (said, part) for said, part in blocks(API, "sh") if "photo.jpg" in part or "FILE" in part
    ]
    printed, statuses = shell("\n".join(part for _, part in chapter))
    stated = [code for said, _ in chapter for code in re.findall(r"[Aa]nswers (\d{3})", said)]
    assert len(stated) == sum(part.count("curl ") for _, part in chapter) == 6
    assert statuses.split() == stated
    piece, asked, whole = map(json.loads, printed.replace("}{", "}\n{").splitlines())
    assert piece["upload"]["offset"] == asked["upload"]["offset"] == 65536
    assert whole["state"] == "ready"


def test_the_readme_shows_five_calls_and_a_refusal() -> None:
    assert [said[2:3] for said, _ in calls()[:-1]] == ["1", "2", "3", "4", "5"]
    assert "answers 401" in calls()[-1][0]


@pytest.mark.proof
def test_a_real_answer_has_the_documented_fields_and_no_others(shell: Shell) -> None:
    answer = json.loads(shell(calls()[1][1])[0])
    documented = [re.findall(r"\w+", row[0]) for row in table(API, "answer field")]
    assert {name for names in documented for name in names} == {
        *answer,
        *("resync", "files", "ignored"),
    }


# --- tables are complete


def inner_codes() -> set[str]:
    """Codes of the tree of errors that no answer carries."""

    def below(kind: type[errors.Fault]) -> Iterator[type[errors.Fault]]:
        yield kind
        for child in kind.__subclasses__():
            if child.__module__ == errors.__name__:
                yield from below(child)

    answered = {name for codes in every_code().values() for name in codes}
    return {kind.code for kind in below(errors.Fault)} - answered


def test_the_guide_lists_exactly_the_codes_of_error_answers() -> None:
    statuses = {
        name: {str(kind.status) for kind, codes in every_code().items() if name in codes}
        for codes in every_code().values()
        for name in codes
    }
    listed = table(API, "code")
    assert {row[0].strip("`"): {row[1]} for row in listed} == statuses
    assert len(listed) == len(statuses)


def test_the_guide_lists_exactly_the_codes_that_stay_inside() -> None:
    assert sorted(named(API, "inner code")) == sorted(inner_codes())


def test_the_guide_lists_exactly_the_codes_of_refused_records() -> None:
    # RECORD_CODES itself is held against the sources by tests/api/test_openapi.py
    assert sorted(named(API, "record code")) == sorted(RECORD_CODES)


def test_the_guide_lists_exactly_the_codes_of_photos() -> None:
    # FILE_CODES itself is held against the sources by tests/api/test_openapi.py
    assert sorted(named(API, "file code")) == sorted(FILE_CODES)


def test_the_guide_shows_every_column() -> None:
    rows = table(API, "table")
    shown: dict[str, set[str]] = {}
    current = ""
    for row in rows:
        current = row[0].strip("`") or current
        shown.setdefault(current, set()).update(re.findall(r"`(\w+)`", row[1]))
    assert shown == {item.name: {spec.name for spec in item.fields} for item in CATALOG.collections}


def test_the_guide_shows_the_hash_of_its_record() -> None:
    [shown] = [part.strip() for said, part in blocks(API, "json") if "canonical JSON" in said]
    content = json.loads(shown)
    known, _ = record.content_hash(content["id"], content["scope"], content["fields"])
    assert hashlib.sha256(shown.encode()).hexdigest() == known
    assert f"The hash of the object above is `{known}`" in text(API)


def test_text_and_picture_of_the_architecture_name_every_function() -> None:
    drawn = " ".join(ElementTree.parse(PICTURE).getroot().itertext())
    for name in load():
        assert re.search(rf"\b{name}\b", drawn)
        assert f"`{name}`" in text(ARCHITECTURE)


@pytest.mark.parametrize("document", DECISIONS, ids=lambda path: path.name)
def test_every_decision_is_dated_and_whole(document: Path) -> None:
    said = text(document)
    assert re.search(r"^Date: \d{4}-\d{2}-\d{2}\.", said, re.M)
    heads = re.findall(r"^## (.*)$", said, re.M)
    assert heads == ["Context", "Decision", "Consequences", "Alternatives"]


def test_every_dependency_is_explained() -> None:
    [document] = [path for path in DECISIONS if "dependencies" in path.name]
    cells = " ".join(row.split("|")[1] for row in text(document).splitlines() if row[:1] == "|")
    explained = set(re.findall(r"[\w-]+", cells.lower()))
    for requirement in lock.wanted("requirements-dev.txt"):
        [name] = re.findall(r"^[A-Za-z][\w-]*", requirement)
        assert name.lower() in explained, name


def test_the_changelog_begins_with_the_version_of_the_code() -> None:
    form = re.compile(r"(\d+)\.(\d+)\.(\d+) \((\d{4}-\d\d-\d\d|not yet released)\)")
    found = [form.fullmatch(name) for name in re.findall(r"^## (.*)$", text(CHANGELOG), re.M)]
    headings = [heading.groups() for heading in found if heading]
    assert len(headings) == len(found), "a heading is like: 0.2.0 (2027-01-31)"
    assert ".".join(headings[0][:3]) == VERSION
    assert "not yet released" not in [when for _, _, _, when in headings[1:]]
    numbers = [tuple(int(each) for each in heading[:3]) for heading in headings]
    assert numbers == sorted(set(numbers), reverse=True)


# --- the sources


def sources() -> list[Path]:
    found = [
        path
        for folder in ("shared", "functions", "infra")
        for path in sorted((ROOT / folder).rglob("*.py"))
    ]
    return [ROOT / "main.py", *(path for path in found if path.read_bytes())]


@pytest.mark.parametrize("path", sources(), ids=lambda path: str(path.relative_to(ROOT)))
def test_every_module_says_what_it_is_for(path: Path) -> None:
    assert ast.get_docstring(ast.parse(text(path)))


def files() -> list[Path]:
    """What belongs to the project: tracked, or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "-z"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:  # an unpacked archive
        return [path for path in ROOT.rglob("*") if not any(p[0] == "." for p in path.parts[1:])]
    return [ROOT / name for name in listed.stdout.split("\0") if name]


#: Folders of somebody's machine, and hosts of package registries.
UNWANTED = re.compile(
    r"(?<![\w.$~-])/(?:work|root|home|Users)/\w"
    r"|\b(?:pypi|pythonhosted|npmjs)\.(?:org|com|io)\b|\bproxy\.golang\b"
)


def test_nothing_names_paths_of_a_machine_or_hosts_of_a_package_registry() -> None:
    for path in files():
        if path.is_file():
            found = UNWANTED.search(path.read_bytes().decode("utf-8", "replace"))
            assert found is None, (path.relative_to(ROOT), found)


def test_every_tampering_of_the_page_is_done() -> None:
    said = [row[0] for row in table(SECURITY, "tampering")]
    assert [r for r in said if not any(r.startswith(done) for done, _, _ in TAMPERINGS)] == []
    for row, found in ((r[0], r[1]) for r in table(SECURITY, "tampering")):
        [by] = {by for done, _, by in TAMPERINGS if row.startswith(done)}
        assert (by == OUTSIDE) == (found == OUTSIDE), row
        assert (by == NOTHING) == found.startswith(NOTHING), row
