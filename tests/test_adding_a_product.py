"""docs/adding-a-product.md is followed to the letter: its files are written, its commands are run."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest

from shared.products.product import Product
from tests.conftest import absent
from tests.patience import until
from tests.tables import table
from tests.test_docs import blocks, text

ROOT = Path(__file__).parent.parent
PAGE = ROOT / "docs" / "adding-a-product.md"

#: What a deployment needs of the tree.
TREE = ("functions", "infra", "shared", "main.py", "pyproject.toml")

PACKAGE = "shared/products/notebooks/"


def written() -> dict[str, str]:
    """The files of the product: each block of code behind a line that is its path."""
    files = {
        said.strip("`:"): code
        for language in ("python", "html")
        for said, code in blocks(PAGE, language)
        if re.fullmatch(r"`[\w./]+`:", said)
    }
    assert {name.removeprefix(PACKAGE) for name in files} == {
        *("tables.py", "count.py", "shelf.py", "product.py"),
        "templates/shelf.html",
    }
    return {**files, f"{PACKAGE}__init__.py": ""}


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of this tree with the product in it."""
    copy = tmp_path_factory.mktemp("product") / "tree"
    copy.mkdir()
    hidden = shutil.ignore_patterns("__pycache__")
    for name in TREE:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, copy / name, ignore=hidden)
        else:
            shutil.copy2(ROOT / name, copy / name)
    for name, code in written().items():
        (copy / name).parent.mkdir(parents=True, exist_ok=True)
        (copy / name).write_text(code)
    [row] = [code for said, code in blocks(PAGE, "python") if "before the last line" in said]
    insert(copy / "shared" / "products" / "known.py", row, before="    raise ConfigurationFault(")
    insert(
        copy / "shared" / "settings.py",
        '"notebooks", ',
        before='"dermadetect", "hemoday", "medmind", "buildtrace"',
    )
    insert(copy / "infra" / "functions.yaml", "/notebooks, ", before="/api/v1/review/cases, ")
    return copy


def insert(file: Path, code: str, *, before: str) -> None:
    have = file.read_text()
    assert have.count(before) == 1, f"{file.name} has changed: the page does not say where"
    file.write_text(have.replace(before, code + before))


class Desk:
    """Two terminals: in one the back end runs, in the other the commands of the page."""

    def __init__(self, tree: Path, folder: Path) -> None:
        self.tree, self.data, self.kept = tree, folder / "data", folder / "kept"
        (folder / ".curlrc").write_text('write-out = "%{stderr}%{http_code} "\n')
        self.environ = {**os.environ, "PRODUCT": "notebooks", "CURL_HOME": str(folder)}
        self.log = folder / "log"
        self.server = subprocess.Popen(
            [
                *(sys.executable, "-m", "infra.local", "--port", "0", "--data", str(self.data)),
                *("--sweep-seconds", "1", "--quiet", "--workers", "1"),
            ],
            cwd=tree,
            env=self.environ,
            stdout=subprocess.PIPE,
            stderr=self.log.open("w"),
            text=True,
        )
        assert self.server.stdout is not None
        self.url = self.server.stdout.readline().removeprefix("ready: ").strip()
        assert self.url, self.log.read_text()

    def run(self, script: str) -> tuple[str, list[str]]:
        """What a block of commands prints, and the statuses that curl got; variables stay."""
        for shown, here in (
            (".venv/bin/python", sys.executable),
            ("http://127.0.0.1:8080", self.url),
            (".data", str(self.data)),
        ):
            script = script.replace(shown, here)
        before = f". {self.kept}\n" if self.kept.exists() else ""
        done = subprocess.run(
            [
                "bash",
                "-euo",
                "pipefail",
                "-c",
                f"{before}{script}\ndeclare -p URL TOKEN >{self.kept}",
            ],
            cwd=self.tree,
            env=self.environ,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout, done.stderr.split()

    def stop(self) -> None:
        self.server.terminate()
        self.server.wait()
        if self.server.stdout is not None:
            self.server.stdout.close()


@pytest.fixture(scope="module")
def desk(tree: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    if shutil.which("curl") is None:
        absent("curl is not installed")
    desk = Desk(tree, tmp_path_factory.mktemp("desk"))
    yield desk
    desk.stop()


def holds(said: str, printed: str) -> bool:
    """Whether an answer shows what the page says of it."""
    if "both are accepted" in said:
        accepted = json.loads(printed)["accepted"]
        return bool(accepted == {"notebooks": ["birds"], "notes": ["heron"]})
    if "the words are counted" in said:
        return rows(printed) == {"birds": None, "trees": None, "heron": 6, "oak": 3}
    if "The page shows it" in said:
        told = re.findall(r"<td>(.*?)<td>(\d+) words", printed)
        return told == [("Birds &amp; bees", "6"), ("Trees", "3")]
    if "without rows" in said:
        return rows(printed) == {}
    return True


def rows(printed: str) -> dict[str, Any]:
    """Every row of a pull by WatermelonDB: its id, and how many words it has."""
    changes = json.loads(printed)["changes"]
    return {
        row["id"]: row.get("words")
        for sets in changes.values()
        for row in (*sets["created"], *sets["updated"])
    }


@pytest.mark.proof
def test_what_the_page_shows_works_as_pasted(desk: Desk) -> None:
    start, prepare, *calls = blocks(PAGE, "sh")
    assert "infra.local" in start[1]
    desk.run(prepare[1])
    assert len(calls) == sum("nswers" in said for said, _ in calls)
    for said, script in calls:
        [stated] = re.findall(r"[Aa]nswers (\d{3})", said)

        def right(said: str = said, script: str = script, stated: str = stated) -> bool:
            printed, statuses = desk.run(script)
            assert statuses == [stated], (said, printed)
            shown = holds(said, printed)
            assert shown or ("Within a minute" in said and '"words":null' in printed), printed
            return shown

        until(right, said, every_seconds=0.5)

    # and browsers are told to load and run nothing but the page's own style
    printed, _ = desk.run('curl -s -D - $URL/notebooks -H "Authorization: Bearer $TOKEN"')
    [policy] = re.findall(r"Content-Security-Policy: (.*)", printed)
    assert policy.startswith("default-src 'none'; style-src 'sha256-")


@pytest.mark.proof
def test_the_code_of_the_page_is_written_as_ours_is(tree: Path) -> None:
    for command in (["check"], ["format", "--check"]):
        done = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--no-cache", PACKAGE],
            cwd=tree,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout


def test_the_page_explains_every_member_of_a_product() -> None:
    listed = [row[0].strip("`") for row in table(PAGE, "member")]
    assert listed == [each.name for each in fields(Product)]


def test_the_page_is_short_and_leads_somewhere() -> None:
    assert len(text(PAGE).split()) < 2_000  # half an hour
    for path in re.findall(r"`((?:shared|infra|tests)/[\w/.]+)`", text(PAGE)):
        assert path.startswith(PACKAGE) or (ROOT / path).exists(), path
