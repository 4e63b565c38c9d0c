"""Links between pages lead somewhere, to the chapter that they name, and the index knows every page."""

from __future__ import annotations

import re
from collections import Counter
from functools import cache
from pathlib import Path

import pytest

from tests.test_docs import files

ROOT = Path(__file__).parent.parent
INDEX = ROOT / "docs" / "README.md"
PAGES = sorted(path for path in files() if path.suffix == ".md" and path.is_file())


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return re.sub(r"^( *)```.*?^\1```", "", page.read_text("utf-8"), flags=re.M | re.S)


def links(page: Path) -> list[str]:
    """Targets of links and pictures that are no addresses."""
    found = re.findall(r"\]\(([^)\s]+)\)", re.sub(r"`[^`\n]*`", "", prose(page)))
    return [each for each in found if not re.match(r"[a-z]+:", each)]


@cache
def chapters(page: Path) -> set[str]:
    """Anchors of a page's headings, as GitHub makes them; one that comes again is counted."""
    met: Counter[str] = Counter()
    anchors = set()
    for heading in re.findall(r"^#{1,6} (.+)$", prose(page), re.M):
        shown = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading)
        anchor = re.sub(r"[^\w\- ]", "", shown.lower()).replace(" ", "-")
        anchors.add(f"{anchor}-{met[anchor]}" if met[anchor] else anchor)
        met[anchor] += 1
    return anchors


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_to_a_file_and_a_chapter(page: Path) -> None:
    for target in links(page):
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), target
        if anchor and file.suffix == ".md":
            assert anchor in chapters(file), target


def test_the_index_leads_to_every_page() -> None:
    found = {(INDEX.parent / each.partition("#")[0]).resolve() for each in links(INDEX)}
    pages = {page for page in PAGES if page.is_relative_to(INDEX.parent)} - {INDEX}
    assert pages <= found, sorted(map(str, pages - found))


def test_a_link_that_leads_nowhere_is_seen(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(
        "# A page\n\n## What's `new`\n\n```sh\n# no heading\n```\n\n[x](gone.md), [y](#what)\n"
    )
    assert chapters(page) == {"a-page", "whats-new"}
    with pytest.raises(AssertionError, match="gone"):
        test_every_link_leads_to_a_file_and_a_chapter(page)
    page.write_text("# A page\n\n[y](#what)\n")
    chapters.cache_clear()
    with pytest.raises(AssertionError, match="what"):
        test_every_link_leads_to_a_file_and_a_chapter(page)
