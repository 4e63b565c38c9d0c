"""Charts as SVG in the page: drawn by pygal, dressed by the console's own style sheet.

pygal brings styles and a script of its own; both go, so that the page's policy holds, and so that a chart
follows the page's colours in light and dark. Beside every chart stands its table. What has no value but
nothing is not drawn: the table says so.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any
from xml.etree import ElementTree

from markupsafe import Markup

#: Marks at the axis of counts; above, pygal chooses some.
_MOST_MARKS = 8

_SVG = "{http://www.w3.org/2000/svg}"


def bars(labels: Sequence[str], series: Mapping[str, Sequence[float | None]], title: str) -> Markup:
    """Bars side by side: a group a label, a bar a series."""
    from pygal.graph.bar import Bar

    return _drawn(Bar, labels, series, title)


def stacked(
    labels: Sequence[str], series: Mapping[str, Sequence[float | None]], title: str
) -> Markup:
    """Bars of which the parts add up. A few whole things are counted at the axis as such."""
    from pygal.graph.stackedbar import StackedBar

    most = max((sum(filter(None, each)) for each in zip(*series.values(), strict=True)), default=0)
    whole = all(isinstance(each, int | None) for values in series.values() for each in values)
    marks = range(int(most) + 1) if whole and most <= _MOST_MARKS else None
    return _drawn(StackedBar, labels, series, title, marks)


def lines(
    labels: Sequence[str], series: Mapping[str, Sequence[float | None]], title: str
) -> Markup:
    """A line a series; what is None is a gap."""
    from pygal.graph.line import Line

    return _drawn(Line, labels, series, title)


def over_time(
    series: Mapping[str, Sequence[tuple[float, float]]],
    title: str,
    named: Callable[[float], str],
    marks: int = 5,
) -> Markup:
    """Points joined by lines, at their places in time: `named` says a moment (ms) below the chart."""
    from pygal.graph.xy import XY

    moments = [at for points in series.values() for at, _ in points]
    if not moments:
        return Markup("")
    first, last = min(moments), max(moments)
    steps = [first + (last - first) * part / (marks - 1) for part in range(marks)]
    chart = _empty(XY, x_value_formatter=named)
    chart.x_labels = steps if last > first else [first]
    for name, points in series.items():
        chart.add(name, list(points))
    return _rendered(chart, title)


def _drawn(
    kind: type,
    labels: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    title: str,
    marks: Sequence[int] | None = None,
) -> Markup:
    if not any(each for values in series.values() for each in values):
        return Markup("")
    chart = _empty(kind)
    chart.x_labels = list(labels)
    if marks is not None:
        chart.y_labels = list(marks)
    for name, values in series.items():
        chart.add(name, list(values))
    return _rendered(chart, title)


def _empty(kind: type, **more: Any) -> Any:
    return kind(
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
        **more,
    )


def _rendered(chart: Any, title: str) -> Markup:
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
