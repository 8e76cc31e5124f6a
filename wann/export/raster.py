"""Our SVG pictures as PNG, painted by Matplotlib: no other program, and a font that it brings."""

from __future__ import annotations

import math
import re
import warnings
from collections.abc import Iterator, Mapping
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from xml.etree import ElementTree

from wann.export.drawing import draw_svg
from wann.files import write_atomically
from wann.network import Network

if TYPE_CHECKING:
    from matplotlib.artist import Artist

    from wann.export.formats import Options

SCALE = 2.0  # pixels a px of the SVG
MAX_SIDE, MAX_PIXELS = 20_000, 24_000_000  # larger pictures are scaled down to these
_STEP = re.compile(r"([MLC])([^MLC]*)")


def write_png(network: Network, path: Path, about: Mapping[str, Any], options: Options) -> None:
    """Write the picture of `draw_svg` as PNG, two pixels for each of its px."""
    write_atomically(path, to_png(draw_svg(network)))


def to_png(svg: str) -> bytes:
    """Return a picture of `wann.export.drawing` or what is made of the same elements as a PNG file.

    These are circles, rectangles, straight and cubic paths, lines of text, and groups that pass on
    their attributes. Equal pictures give equal bytes, with one version of Matplotlib.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    root = ElementTree.fromstring(svg)
    width, height = float(root.attrib["width"]), float(root.attrib["height"])
    scale = min(SCALE, MAX_SIDE / max(width, height), math.sqrt(MAX_PIXELS / (width * height)))
    figure = Figure(figsize=(width / 72, height / 72), dpi=72 * scale)  # so that a point is a px
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0.0, 0.0, 1.0, 1.0))
    axes.set_axis_off()
    axes.set_xlim(0.0, width)
    axes.set_ylim(height, 0.0)
    for order, artist in enumerate(_artists(root, {})):
        artist.set_zorder(order)
        artist.set_clip_on(False)
        axes.add_artist(artist)
    data = BytesIO()
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")  # drawn as a box
        canvas.print_png(data, metadata={"Software": None})
    return data.getvalue()


def _artists(element: ElementTree.Element, inherited: Mapping[str, str]) -> Iterator[Artist]:
    for child in element:
        attributes = {**inherited, **child.attrib}
        match child.tag.rpartition("}")[2]:
            case "g":
                yield from _artists(child, child.attrib)
            case "circle" | "rect" | "path" as kind:
                yield _patch(kind, attributes)
            case "text":
                yield _text(child, attributes)


def _patch(kind: str, attributes: Mapping[str, str]) -> Artist:
    from matplotlib.patches import Circle, FancyBboxPatch, PathPatch

    stroke = attributes.get("stroke", "none")
    dash = attributes.get("stroke-dasharray")
    width = float(attributes.get("stroke-width", "1"))
    look: dict[str, Any] = {
        "facecolor": attributes.get("fill", "black"),
        "edgecolor": stroke,
        "linewidth": 0.0 if stroke == "none" else width,
        "capstyle": "round",
        "joinstyle": "round",
    }
    if "stroke-opacity" in attributes:
        look["edgecolor"] = (stroke, float(attributes["stroke-opacity"]))
    if dash is not None:
        look["linestyle"] = (0, [float(each) / max(width, 1e-9) for each in dash.split()])
    value = {
        name: float(attributes[name])
        for name in ("x", "y", "width", "height", "rx", "cx", "cy", "r")
        if name in attributes
    }
    if kind == "circle":
        return Circle((value["cx"], value["cy"]), value["r"], **look)
    if kind == "rect":
        style = f"round,pad=0,rounding_size={value.get('rx', 0.0)}"
        corner = (value["x"], value["y"])
        return FancyBboxPatch(corner, value["width"], value["height"], boxstyle=style, **look)
    return PathPatch(_path(attributes["d"]), **look)


def _path(text: str) -> Any:
    """Return the path that M, L and C steps with absolute coordinates describe."""
    from matplotlib.path import Path as Outline

    codes: list[int] = []
    points: list[tuple[float, float]] = []
    for letter, rest in _STEP.findall(text):
        numbers = [float(each) for each in rest.split()]
        pairs = list(zip(numbers[::2], numbers[1::2], strict=True))
        code = {"M": Outline.MOVETO, "L": Outline.LINETO, "C": Outline.CURVE4}[letter]
        codes += [int(code)] * len(pairs)
        points += pairs
    return Outline(points, codes)


def _text(element: ElementTree.Element, attributes: Mapping[str, str]) -> Artist:
    from matplotlib.text import Text

    shown = element[-1].tail if len(element) else element.text  # what follows the tooltip
    anchors: dict[str, Literal["left", "center", "right"]] = {
        "start": "left",
        "middle": "center",
        "end": "right",
    }
    return Text(
        float(attributes["x"]),
        float(attributes["y"]),
        shown or "",
        color=attributes["fill"],
        fontsize=float(attributes["font-size"]),
        fontweight="bold" if "font-weight" in attributes else "normal",
        fontfamily="DejaVu Sans",
        horizontalalignment=anchors[attributes.get("text-anchor", "start")],
        verticalalignment="baseline",
        parse_math=False,
    )
