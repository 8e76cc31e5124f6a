"""The learning curve of a run as a picture."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from wann.files import write_atomically


def draw_progress(metrics: Mapping[str, Sequence[float]], path: str | Path) -> None:
    """Draw a run's returns and connections over its generations, as SVG.

    metrics: columns of equal length: generation, best, median, validated, connections.
    Equal metrics give equal bytes. Raises ValueError when a column is missing.
    """
    wanted = ("generation", "best", "median", "validated", "connections")
    missing = [name for name in wanted if name not in metrics]
    if missing:
        raise ValueError(f"a learning curve needs the columns {wanted}, but {missing} are missing")
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    columns = {name: np.asarray(metrics[name], dtype=float) for name in wanted}
    for name in wanted:  # a failed rollout's minus infinity is not drawn
        columns[name] = np.where(np.isfinite(columns[name]), columns[name], np.nan)
    with rc_context({"svg.hashsalt": "wann", "font.size": 9, "svg.fonttype": "none"}):
        figure = Figure(figsize=(8, 5), layout="constrained", facecolor="white")
        FigureCanvasSVG(figure)
        above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 1))
        generation = columns["generation"]
        above.plot(generation, columns["best"], color="#9ecae1", lw=0.8, label="best of generation")
        above.plot(generation, columns["median"], color="#bdbdbd", lw=0.8, label="median genome")
        above.plot(generation, columns["validated"], color="#08519c", lw=2, label="held-out best")
        above.set_ylabel("mean return over all weights")
        above.legend(loc="lower right", frameon=False)
        below.plot(generation, columns["connections"], color="#e6550d", lw=0.8)
        below.set_ylabel("connections\nof the best")
        below.set_xlabel("generation")
        for axes in (above, below):
            axes.grid(alpha=0.25)
            axes.spines[["top", "right"]].set_visible(False)
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    write_atomically(path, text.getvalue())
