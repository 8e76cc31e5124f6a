"""What a network does under many shared weights, as a picture and as a table."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from wann.export.plot import saved_figure, with_grid
from wann.files import write_atomically
from wann.settings import Sweep

COLUMNS = ("weight", "mean", "deviation", "lower_quartile", "median", "upper_quartile")


def draw_sweep(sweep: Sweep, path: str | Path, unit: str = "return") -> None:
    """Draw the mean under each weight, with quartiles and the best weight, as SVG.

    unit: return or accuracy. Equal sweeps give equal bytes.
    Raises OSError when it cannot be written.
    """
    low, high = np.percentile(sweep.returns, [25, 75], axis=1)
    means = sweep.returns.mean(axis=1)
    best = sweep.best_weight
    with saved_figure(path, height=3.6) as figure:
        axes = figure.subplots()
        if sweep.returns.shape[1] > 1:
            axes.fill_between(sweep.weights, low, high, color="#9ecae1", lw=0, label="quartiles")
        axes.plot(sweep.weights, means, "#08519c", lw=2.0, label="mean")
        shown = f"{means.max():.1%}" if unit == "accuracy" else f"{means.max():.1f}"
        axes.plot([best], [means.max()], "o", color="#e6550d", label=f"best: {shown} at {best:g}")
        axes.set_xlabel("shared weight")
        axes.set_ylabel(unit)
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


def draw_classes(classes: Mapping[str, Any], path: str | Path) -> None:
    """Draw the accuracy of each class under each shared weight as a heat map, as SVG.

    classes: "names" [C], "weights" [W] rising, "accuracy" [C][W], from 0 to 1.
    Equal accuracies give equal bytes. Raises OSError when it cannot be written.
    """
    weights = np.asarray(classes["weights"], dtype=np.float64)
    accuracy = np.asarray(classes["accuracy"], dtype=np.float64)
    middles = 0.5 * (weights[1:] + weights[:-1])
    edges = np.concatenate([weights[:1], middles, weights[-1:]])
    rows = np.arange(len(accuracy) + 1) - 0.5
    with saved_figure(path, height=1.2 + 0.28 * len(accuracy)) as figure:
        axes = figure.subplots()
        colours = axes.pcolormesh(edges, rows, accuracy, cmap="Blues", vmin=0.0, vmax=1.0)
        axes.set_yticks(range(len(accuracy)), classes["names"])
        axes.invert_yaxis()
        axes.set_xlabel("shared weight")
        axes.set_ylabel("class")
        figure.colorbar(colours, ax=axes, label="accuracy", pad=0.01)
