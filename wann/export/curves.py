"""Learning curves of several groups of runs in one picture: medians with quartiles."""

from __future__ import annotations

import io
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Float64

from wann.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes

COLOURS = (
    "#08519c", "#e6550d", "#31a354", "#756bb1", "#636363", "#d6216e", "#8c6d31", "#17becf",
)  # fmt: skip
QUARTILES = (25, 50, 75)  # percentiles


@dataclass(frozen=True, eq=False)
class Band:
    """One group's curve: places on the horizontal axis, and each run's values there.

    NaN stands where a run has no value.
    """

    places: Float64[np.ndarray, "points"]
    values: Float64[np.ndarray, "runs points"]


@dataclass(frozen=True)
class Panel:
    """A part of the picture: its axes' names, and each group's band by its label."""

    across: str
    up: str
    bands: Mapping[str, Band]
    integers: bool = False


def draw_curves(
    rows: Sequence[Sequence[Panel]],
    path: str | Path,
    title: str,
    heights: Sequence[float] | None = None,
) -> None:
    """Draw each group's median over its runs, and a band between the quartiles, as SVG.

    rows: panels from the top to the bottom; those of a row share their vertical axis. heights: of
    the rows, in proportion. A group has one colour in all panels; the legend counts its runs.
    Equal bands give equal bytes.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    heights = heights or [1] * len(rows)
    with rc_context({"svg.hashsalt": "wann", "font.size": 9, "svg.fonttype": "none"}):
        size = (8 if len(rows[0]) == 1 else 11, 1.5 + 3.2 * sum(heights) / heights[0])
        figure = Figure(figsize=size, layout="constrained", facecolor="white")
        FigureCanvasSVG(figure)
        all_axes = figure.subplots(
            len(rows), len(rows[0]), sharex="col", sharey="row", height_ratios=heights,
            squeeze=False,
        )  # fmt: skip
        lines: dict[str, Any] = {}
        for axes_of_row, row in zip(all_axes, rows, strict=True):
            for place, (axes, panel) in enumerate(zip(axes_of_row, row, strict=True)):
                lines |= _draw_panel(axes, panel)
                if place == 0:
                    axes.set_ylabel(panel.up)
        for axes, panel in zip(all_axes[-1], rows[-1], strict=True):
            axes.set_xlabel(panel.across)
        figure.suptitle(title, x=0.01, ha="left", fontsize=10)
        handles = list(lines.values())
        figure.legend(
            handles, list(lines), loc="outside lower left", ncols=min(len(lines), 2), frameon=False
        )
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    write_atomically(path, text.getvalue())


def _draw_panel(axes: Axes, panel: Panel) -> dict[str, Any]:
    """Draw a panel's bands and return the median line of each, by what the legend says."""
    from matplotlib.ticker import MaxNLocator

    lines: dict[str, Any] = {}
    for number, (label, band) in enumerate(panel.bands.items()):
        colour = COLOURS[number % len(COLOURS)]
        style = "-" if number < len(COLOURS) else "--"
        marker = "o" if len(band.places) == 1 else ""  # a line of one point would not be seen
        if band.values.size:
            low, median, high = _quartiles(band.values)
            axes.fill_between(band.places, low, high, color=colour, alpha=0.15, lw=0)
        else:
            median = np.empty(0)
        (line,) = axes.plot(band.places, median, color=colour, lw=1.8, ls=style, marker=marker)
        count = len(band.values)
        lines[f"{label} ({count} run{'' if count == 1 else 's'})"] = line
    if panel.integers:
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    return lines


def _quartiles(values: Float64[np.ndarray, "runs points"]) -> Float64[np.ndarray, "3 points"]:
    """Return lower quartile, median and upper quartile over the runs that have a value."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RuntimeWarning)  # of points where no run has one
        return np.nanpercentile(values, QUARTILES, axis=0)
