"""Charts of the benchmarks as SVG: bars and lines, drawn by matplotlib.

matplotlib is no dependency of ours: `draw` runs this module in an environment of its own
(`benchmarks/requirements.txt`), with the charts as JSON on standard input. They are narrow enough for a
phone, letters stay letters, colours follow the reader's dark mode. Where values differ a hundredfold, the
axis is logarithmic and says so.
"""

from __future__ import annotations

import json
import subprocess
import sys
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.measure import Row

_REQUIREMENTS = Path(__file__).with_name("requirements.txt")

#: From this ratio of the largest to the least value on, an axis is logarithmic.
_WIDE = 100

#: Characters of a title that fit into one line.
_LINE = 54

#: Width of a chart, inches of 72 points: its letters can be read on a phone's 360 points.
_WIDTH = 6.2

#: Points of a line that are drawn; a pixel cannot show more.
_POINTS = 400

#: What stands for a colour until it becomes one of the reader's: light, dark.
INK = {
    "#010101": ("#24292f", "#d8dee4"),
    "#020202": ("#ffffff", "#0d1117"),
    "#030303": ("#d0d7de", "#3b434b"),
}

_OURS, _PARTS, _FLOOR = "#2f81f7", "#79b8ff", "#8b949e"
_OTHERS = ("#d4803a", "#5f9e3d", "#a371f7", "#d1495b", "#3aa6a0")


class NotDrawn(Exception):
    """What draws cannot be installed here."""


@dataclass(frozen=True)
class Bars:
    """Medians of rows, a group for each case, each with a line from least to most."""

    title: str
    unit: str
    rows: tuple[tuple[str, str, float, float, float], ...]  #: case, who, median, least, most


@dataclass(frozen=True)
class Lines:
    """Lines over time; `dashed` are bounds."""

    title: str
    x_axis: str
    y_axis: str
    lines: tuple[tuple[str, Sequence[float], Sequence[float]], ...]  #: name, x, y
    dashed: tuple[str, ...] = ()
    least: float | None = None  #: where a logarithmic axis begins; None: it is linear


Chart = Bars | Lines


def bars(title: str, unit: str, rows: Sequence[Row]) -> Bars:
    """A chart of rows."""
    return Bars(title, unit, tuple((row.case, row.who, row.median, *row.spread) for row in rows))


def shown(value: float) -> str:
    """A number as a bar says it."""
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


def wide(values: Sequence[float]) -> bool:
    """Whether values differ so much that a linear axis would hide the small ones."""
    positive = [value for value in values if value > 0]
    return bool(positive) and max(positive) >= _WIDE * min(positive)


def draw(charts: Mapping[str, Chart]) -> dict[str, str]:
    """The SVG of each chart, by file name. Raises `NotDrawn` where matplotlib cannot be installed."""
    from tests.infra import deployed

    try:
        python = deployed.python_with(_REQUIREMENTS, "benchmarks")
    except deployed.NotInstalled as error:
        raise NotDrawn(f"matplotlib is not installed: {error}") from None
    asked = {
        name: {"kind": type(chart).__name__, **asdict(chart)} for name, chart in charts.items()
    }
    done = subprocess.run(
        [str(python), "-m", "benchmarks.charts"],
        cwd=_REQUIREMENTS.parents[1], input=json.dumps(asked), capture_output=True, text=True, check=True,
    )  # fmt: skip
    found: dict[str, str] = json.loads(done.stdout)
    return found


# --- in matplotlib's own environment


def _main() -> None:
    import matplotlib as mpl

    mpl.use("svg")
    ink, paper, grid = INK
    mpl.rcParams.update({
        "svg.fonttype": "none", "svg.hashsalt": "benchmarks", "font.family": "sans-serif", "font.size": 11,
        "text.color": ink, "axes.edgecolor": grid, "axes.labelcolor": ink, "xtick.color": ink,
        "ytick.color": ink, "figure.facecolor": paper, "axes.facecolor": paper, "grid.color": grid,
        "axes.spines.top": False, "axes.spines.right": False, "legend.frameon": False,
    })  # fmt: skip
    made = {}
    for name, asked in json.load(sys.stdin).items():
        kind = asked.pop("kind")
        made[name] = _svg(_bars(**asked) if kind == "Bars" else _lines(**asked), asked["title"])
    json.dump(made, sys.stdout)


def _colours(names: Sequence[str]) -> dict[str, str]:
    found, others = {}, iter(_OTHERS * 3)
    for name in dict.fromkeys(names):
        if name in ("ours", "floor"):
            found[name] = _OURS if name == "ours" else _FLOOR
        else:
            found[name] = _PARTS if name.startswith("ours") else next(others)
    return found


def _bars(title: str, unit: str, rows: Sequence[Sequence[Any]]) -> Any:
    """Each case is text across the chart with its bars below; the value stands behind its bar."""
    from matplotlib.figure import Figure
    from matplotlib.ticker import MaxNLocator

    cases = {row[0]: textwrap.wrap(row[0], _LINE + 14) for row in rows}
    height = 0.24 * (len(rows) + sum(0.5 + 0.9 * len(text) for text in cases.values())) + 1
    figure = Figure(figsize=(_WIDTH, height))
    axes = figure.subplots()
    colours = _colours([row[1] for row in rows])
    logarithmic = wide([row[2] for row in rows])
    start = min(row[2] for row in rows if row[2] > 0) / 3 if logarithmic else 0.0
    end = max(row[4] for row in rows)
    y, ticks = 0.0, []
    for case, text in cases.items():
        y += 0.5 + 0.9 * len(text)
        axes.annotate("\n".join(text), (0.02, y - 0.6), xycoords=("figure fraction", "data"),
                      fontweight="bold", va="bottom", annotation_clip=False)  # fmt: skip
        for _, who, median, low, high in (row for row in rows if row[0] == case):
            axes.barh(y, max(median - start, 0), left=start, height=0.72, color=colours[who])
            axes.plot([low, high], [y, y], color=next(iter(INK)), linewidth=1)
            axes.annotate(shown(median), (max(high, median, start), y), xytext=(5, 0),
                          textcoords="offset points", va="center")  # fmt: skip
            ticks.append((y, who))
            y += 1
    if logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(start, end * (end / start) ** 0.2)
    else:
        axes.set_xlim(0, end * 1.2)
        axes.xaxis.set_major_locator(MaxNLocator(5))
        axes.xaxis.set_major_formatter(lambda value, _: f"{value:,.10g}")
    axes.set_ylim(y - 0.3, 0)
    axes.set_yticks([at for at, _ in ticks], [who for _, who in ticks])
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(f"{unit}{', logarithmic' if logarithmic else ''}")
    axes.xaxis.grid(visible=True)
    axes.set_axisbelow(True)
    axes.spines["left"].set_visible(False)
    _titled(figure, title, height)
    return figure


def _lines(
    title: str,
    x_axis: str,
    y_axis: str,
    lines: Sequence[Any],
    dashed: Sequence[str],
    least: float | None,
) -> Any:
    from matplotlib.figure import Figure

    height = 3.9 + 0.2 * len(lines)
    figure = Figure(figsize=(_WIDTH, height))
    axes = figure.subplots()
    for (name, x, y), colour in zip(lines, (_OURS, "#d1495b", "#5f9e3d", "#a371f7"), strict=False):
        every = max(1, len(x) // _POINTS)
        style = "--" if name in dashed else "-"
        axes.plot(x[::every], y[::every], style, label=name, color=colour, linewidth=2)
    if least is not None:
        axes.set_yscale("log")
        axes.set_ylim(bottom=least)
    else:
        axes.set_ylim(bottom=0)
        axes.yaxis.set_major_formatter(lambda value, _: f"{value:,.0f}")
    axes.set_xlim(0, max(max(x) for _, x, _ in lines))
    axes.set_xlabel(x_axis)
    axes.set_title(f"{y_axis}{'' if least is None else ', logarithmic'}", loc="left", fontsize=11)
    axes.grid(visible=True)
    axes.legend(loc="upper center", bbox_to_anchor=(0.5, -0.26), ncols=1)
    _titled(figure, title, height)
    return figure


def _titled(figure: Any, title: str, height: float) -> None:
    lines = textwrap.wrap(title, _LINE)
    figure.text(0.02, 1 - 0.1 / height, "\n".join(lines), fontweight="bold", fontsize=12, va="top")
    figure.tight_layout(rect=(0, 0, 1, 1 - (0.1 + 0.22 * len(lines)) / height))


def _svg(figure: Any, title: str) -> str:
    import io

    out = io.StringIO()
    figure.savefig(out, format="svg", metadata={"Date": None, "Title": title})
    text = out.getvalue()
    for place, stand_in in enumerate(INK):
        text = text.replace(stand_in, f"var(--c{place})")
    return text.replace("<defs>", f"<style>{''.join(_style())}</style>\n <defs>", 1)


def _style() -> Iterator[str]:
    for mode, query in enumerate(("", "@media (prefers-color-scheme: dark)")):
        said = ";".join(f"--c{place}:{pair[mode]}" for place, pair in enumerate(INK.values()))
        yield f"{query}{{svg{{{said}}}}}" if query else f"svg{{{said}}}"


if __name__ == "__main__":
    _main()
