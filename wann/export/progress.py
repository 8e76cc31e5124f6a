"""The learning curve of a run as a picture."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from wann.export.plot import saved_figure, with_grid

CURVES = (  # column, colour, line width, what the legend says
    ("best", "#9ecae1", 0.8, "best of generation"),
    ("median", "#bdbdbd", 0.8, "median genome"),
    ("validated", "#08519c", 2.0, "held-out best"),
)


def draw_progress(
    metrics: Mapping[str, Sequence[float]],
    path: str | Path,
    score: str = "mean return over all weights",
) -> None:
    """Draw a run's returns and connections over its generations, as SVG.

    metrics: columns of equal length: generation, best, median, validated, connections.
    score: what the returns are of.
    Equal metrics give equal bytes. Raises ValueError when a column is missing.
    """
    wanted = ("generation", "best", "median", "validated", "connections")
    missing = [name for name in wanted if name not in metrics]
    if missing:
        raise ValueError(f"a learning curve needs the columns {wanted}, but {missing} are missing")
    columns = {name: np.asarray(metrics[name], dtype=float) for name in wanted}
    for name in wanted:  # a failed rollout's minus infinity is not drawn
        columns[name] = np.where(np.isfinite(columns[name]), columns[name], np.nan)
    with saved_figure(path) as figure:
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        generation = columns["generation"]
        marker = "o" if len(generation) == 1 else ""  # a line of one point would not be seen
        for name, colour, width, label in CURVES:
            above.plot(generation, columns[name], colour, lw=width, marker=marker, label=label)
        above.set_ylabel(score)
        above.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=len(CURVES), frameon=False)
        below.plot(generation, columns["connections"], "#e6550d", lw=0.8, marker=marker)
        below.yaxis.get_major_locator().set_params(integer=True)
        below.set_ylabel("connections\nof the best")
        below.set_xlabel("generation")
        for axes in (above, below):
            with_grid(axes)
