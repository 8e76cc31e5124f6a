"""What a network does under many shared weights, as a picture and as a table."""

from __future__ import annotations

import csv
import io
from pathlib import Path

import numpy as np

from wann.export.plot import saved_figure, with_grid
from wann.files import write_atomically
from wann.settings import Sweep

COLUMNS = ("weight", "mean", "deviation", "lower_quartile", "median", "upper_quartile")


def draw_sweep(sweep: Sweep, path: str | Path) -> None:
    """Draw the mean return under each weight, with its quartiles and the best weight, as SVG.

    Equal sweeps give equal bytes. Raises OSError when it cannot be written.
    """
    low, high = np.percentile(sweep.returns, [25, 75], axis=1)
    means = sweep.returns.mean(axis=1)
    best = sweep.best_weight
    with saved_figure(path, height=3.6) as figure:
        axes = figure.subplots()
        if sweep.returns.shape[1] > 1:
            axes.fill_between(sweep.weights, low, high, color="#9ecae1", lw=0, label="quartiles")
        axes.plot(sweep.weights, means, "#08519c", lw=2.0, label="mean")
        label = f"best: {means.max():.1f} at {best:g}"
        axes.plot([best], [means.max()], "o", color="#e6550d", label=label)
        axes.set_xlabel("shared weight")
        axes.set_ylabel("return")
        axes.legend(loc="lower left", bbox_to_anchor=(0, 1), ncols=3, frameon=False)
        with_grid(axes)


def write_sweep(sweep: Sweep, path: str | Path) -> None:
    """Write a row a weight (CSV). Raises OSError when it cannot be written."""
    quartiles = np.percentile(sweep.returns, [25, 50, 75], axis=1)
    columns = [sweep.weights, sweep.returns.mean(axis=1), sweep.returns.std(axis=1), *quartiles]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(np.column_stack(columns).tolist())
    write_atomically(path, text.getvalue())
