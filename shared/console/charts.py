"""Charts as SVG in the page: drawn by pygal, dressed by the console's own style sheet.

pygal brings styles and a script of its own; both go, so that the page's policy holds, and so that a chart
follows the page's colours in light and dark. Beside every chart stands its table. What has no value but
nothing is not drawn: the table says so.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from xml.etree import ElementTree

from markupsafe import Markup

_SVG = "{http://www.w3.org/2000/svg}"


def bars(labels: Sequence[str], series: Mapping[str, Sequence[float | None]], title: str) -> Markup:
    """Bars side by side: a group a label, a bar a series."""
    from pygal.graph.bar import Bar

    return _drawn(Bar, labels, series, title)


def stacked(
    labels: Sequence[str], series: Mapping[str, Sequence[float | None]], title: str
) -> Markup:
    """Bars of which the parts add up."""
    from pygal.graph.stackedbar import StackedBar

    return _drawn(StackedBar, labels, series, title)


def lines(
    labels: Sequence[str], series: Mapping[str, Sequence[float | None]], title: str
) -> Markup:
    """A line a series; what is None is a gap."""
    from pygal.graph.line import Line

    return _drawn(Line, labels, series, title)


def _drawn(
    kind: type, labels: Sequence[str], series: Mapping[str, Sequence[float | None]], title: str
) -> Markup:
    if not any(each for values in series.values() for each in values):
        return Markup("")
    chart = kind(
        width=720,
        height=260,
        css=(),
        js=(),
        no_prefix=True,
        disable_xml_declaration=True,
        show_legend=False,
        margin=8,
        margin_right=32,
        truncate_label=-1,
        min_scale=3,
        max_scale=5,
        dots_size=3,
        allow_interruptions=True,
    )
    chart.x_labels = list(labels)
    for name, values in series.items():
        chart.add(name, list(values))
    root = chart.render_tree()
    _undress(root)
    root.attrib |= {"class": "chart", "role": "img", "aria-label": title}
    root.attrib.pop("id", None)
    ElementTree.register_namespace("", _SVG.strip("{}"))
    return Markup(ElementTree.tostring(root, encoding="unicode"))  # noqa: S704 - pygal escapes texts


def _undress(node: ElementTree.Element) -> None:
    """Without styles, scripts, notes and what only pygal's script would read."""
    for child in list(node):
        named = child.tag if isinstance(child.tag, str) else ""
        if not named or named.rpartition("}")[2] in ("style", "script", "desc"):
            node.remove(child)
        else:
            _undress(child)
    node.attrib.pop("style", None)
