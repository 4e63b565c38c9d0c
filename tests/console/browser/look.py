"""What is wrong with a page as a browser shows it: axe's findings, scrolling sideways, its weight."""

from __future__ import annotations

import gzip
from typing import Any
from urllib.parse import urlsplit

from playwright.sync_api import Page, Response

#: Bytes of HTML, style and script of a page with gzip, before photos.
MOST_BYTES = 60_000

_WIDE = """() => {
  const most = document.documentElement.clientWidth;
  if (document.documentElement.scrollWidth <= most) return [];
  return [...document.querySelectorAll("body *")]
    .filter((each) => {
      const box = each.getBoundingClientRect();
      return box.right > most + 1 || box.left < -1;
    })
    .slice(0, 5).map((each) => each.outerHTML.slice(0, 200));
}"""


def found_by_axe(page: Page, script: str) -> list[str]:
    """What axe finds, in a line each. The context must let scripts past the page's policy."""
    if not page.evaluate("() => 'axe' in window"):
        page.add_script_tag(content=script)
    said: dict[str, Any] = page.evaluate(
        "() => axe.run(document, {resultTypes: ['violations'], runOnly: "
        "['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})"
    )
    return [
        f"{each['id']}: {each['help']}: {node['html'][:200]} {_detail(node)}"
        for each in said["violations"]
        for node in each["nodes"][:3]
    ]


def _detail(node: dict[str, Any]) -> str:
    return " ".join(check["message"] for check in [*node["any"], *node["all"]])[:200]


def sideways(page: Page) -> list[str]:
    """What makes a page wider than its window; the page itself if nothing in it is."""
    wide: list[str] = page.evaluate(_WIDE)
    if not wide and page.evaluate(
        "() => document.documentElement.scrollWidth > document.documentElement.clientWidth"
    ):
        return [page.url]
    return wide


class Weight:
    """What a page weighs with gzip, as it is sent, without photos."""

    def __init__(self, page: Page) -> None:
        self.parts: dict[str, int] = {}
        page.on("response", self._note)

    def _note(self, response: Response) -> None:
        counts = response.request.resource_type in ("document", "stylesheet", "script")
        if counts and response.status == 200:
            path = urlsplit(response.url).path
            self.parts[path] = len(gzip.compress(response.body(), 5))

    @property
    def whole(self) -> int:
        return sum(self.parts.values())
