"""The look that all plots share, and how one becomes a file."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from wann.files import write_atomically

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@contextmanager
def saved_figure(path: str | Path, width: float = 8.0, height: float = 5.0) -> Iterator[Figure]:
    """Give an empty figure, which is written to `path` as SVG at the end of this context.

    width, height: inches. Equal plots give equal
    bytes. Raises OSError when it cannot be written.
    """
    from matplotlib import rc_context
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with rc_context({"svg.hashsalt": "wann", "font.size": 9, "svg.fonttype": "none"}):
        figure = Figure(figsize=(width, height), layout="constrained", facecolor="white")
        FigureCanvasSVG(figure)
        yield figure
        text = io.StringIO()
        figure.savefig(text, format="svg", metadata={"Date": None})
    write_atomically(path, text.getvalue())


def with_grid(axes: Axes) -> None:
    """Give axes a faint grid instead of a frame."""
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
