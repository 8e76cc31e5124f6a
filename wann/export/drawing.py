"""A network as a layered picture: plain SVG text, drawn without any other program."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from wann.activations import activation_of
from wann.export.assembly import feeding
from wann.export.layout import Layers, heights, in_good_order, layers_of
from wann.export.svg import MAX_CHARACTERS, SANS, circle_at, cut, escaped, text_at, text_width
from wann.files import write_atomically
from wann.network import Network
from wann.topology import Topology

if TYPE_CHECKING:
    from wann.export.formats import Options

# All lengths are px.
MARGIN = 30.0
HEADER = 88.0
RADIUS = 17.0  # of a hidden or output node
INPUT_RADIUS = 6.0
LABEL_ROOM = 14.0  # under a hidden or output node
NODE_GAP, INPUT_GAP, TRUNK_GAP = 12.0, 12.0, 9.0
COLUMN_WIDTH, MAX_COLUMN_WIDTH = 88.0, 200.0
TITLE_SIZE, TEXT_SIZE, LABEL_SIZE = 17.0, 12.0, 9.5
MAX_NAME_WIDTH, MAX_LABEL_WIDTH, MAX_TITLE_WIDTH = 190.0, 70.0, 560.0
LEGEND_SWATCH, LEGEND_STROKE, LEGEND_LINE = 10.0, 26.0, 20.0
LINK_WIDTH, TRUNK_WIDTH = 1.4, 0.8
LEAST_WIDTH, MOST_WIDTH = 0.7, 4.5  # of a link whose weight is shown
LOOP_REACH, LOOP_LIFT = 70.0, 40.0  # of a link that goes to the left

BACKGROUND, BORDER, INK, QUIET, FAINT = "#fcfcfd", "#dfe4ea", "#1e293b", "#64748b", "#a3afbf"
INPUT_COLOUR = "#64748b"
POSITIVE, NEGATIVE, ZERO = "#1d4ed8", "#c2410c", "#a3afbf"  # of links whose weight is shown


@dataclass(frozen=True)
class Family:
    """Activations that are drawn in one colour. name: what the legend says."""

    name: str
    colour: str
    activations: tuple[str, ...]


FAMILIES = (
    Family("piecewise linear", "#2563eb", ("linear", "inverse", "abs", "relu")),
    Family("squashing", "#0d9488", ("step", "tanh", "sigmoid")),
    Family("periodic", "#9333ea", ("sin", "cos")),
    Family("bell", "#d97706", ("gaussian",)),
    Family("power", "#e11d48", ("square",)),
)
OTHER_FAMILY = Family("registered", "#475569", ())


@dataclass(frozen=True, eq=False)
class Scene:
    """Where everything stands: x and y of each item of `layers`, and the page around them."""

    network: Network
    layers: Layers
    x: dict[int, float]
    y: dict[int, float]
    width: float
    height: float

    @property
    def topology(self) -> Topology:
        """The network's topology."""
        return self.network.topology


def save_svg(network: Network, path: str | Path) -> None:
    """Write the picture of a network to `path`; whoever reads it sees the old one or the new."""
    write_atomically(path, draw_svg(network))


def write_svg(network: Network, path: Path, about: Mapping[str, Any], options: Options) -> None:
    """Write the picture of a network as `save_svg` does."""
    save_svg(network, path)


def write_svg_outputs(
    network: Network, path: Path, about: Mapping[str, Any], options: Options
) -> None:
    """Write a folder with a picture for each output: what feeds it, and nothing else.

    Files are named by the output's number and name: 3-digit-3.svg.
    """
    path.mkdir()
    digits = len(str(network.topology.num_outputs - 1))
    for index, name in enumerate(network.output_names):
        words = re.sub(r"[^a-zA-Z0-9]+", "-", name).strip("-").lower()[:40]
        file = f"{index:0{digits}d}-{words}".rstrip("-") + ".svg"
        save_svg(feeding(network, [index]), path / file)


def draw_svg(network: Network, *, show_weights: bool | None = None, curves: bool = True) -> str:
    """Return the picture of a network as an SVG document.

    Inputs and the bias stand at the left, outputs at the right, hidden nodes between them by depth;
    each hidden node and output shows its activation. All links of a node leave it as one line that
    branches, in the node's colour. Inputs that feed nothing are faint. The page grows with the
    network; no text is smaller than 9 px, and no node or label lies over another.
    show_weights: draw each link, from its line's last branch on, in the colour of its weight's sign
        and as thick as its weight is large; None does so when each link has its own weight.
    curves: draw each activation as a curve in its node.
    """
    scene = _scene(network)
    shows_weights = network.shared_weight is None if show_weights is None else show_weights
    links = _weighted_links(scene) if shows_weights else _links(scene)
    legend, height = _legend(scene, shows_weights)
    size = f'width="{scene.width:.0f}" height="{height:.0f}"'
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" {size} '
        f'viewBox="0 0 {scene.width:.0f} {height:.0f}" font-family="{SANS}">',
        f"<title>{escaped(network.task[:MAX_CHARACTERS] or 'network')}</title>",
        f'<rect class="page" x="0.5" y="0.5" width="{scene.width - 1:.0f}" '
        f'height="{height - 1:.0f}" rx="10" fill="{BACKGROUND}" stroke="{BORDER}"/>',
        *_title(network),
        f'<g fill="none" stroke-width="{LINK_WIDTH}" stroke-linecap="round">',
        *links,
        "</g>",
        *_inputs(scene),
        *_computed_nodes(scene, curves),
        *legend,
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def _scene(network: Network) -> Scene:
    topology = network.topology
    layers = layers_of(topology)
    columns = in_good_order(layers)
    y = heights(layers, columns, lambda upper, lower: _gap(topology, upper, lower))
    first = columns[0]
    below = max((y[item] for item in first), default=-2 * INPUT_RADIUS - INPUT_GAP)
    for node in range(1 + topology.num_inputs):
        if node not in y:
            below += 2 * INPUT_RADIUS + INPUT_GAP
            y[node] = below
    y = {item: each + HEADER + RADIUS for item, each in y.items()}
    names = [_input_name(network, node) for node in range(1 + topology.num_inputs)]
    names_width = max(text_width(each, TEXT_SIZE) for each in names)
    places = _column_places(layers, y, len(columns), MARGIN + names_width + 10 + INPUT_RADIUS)
    output_width = max(
        text_width(_output_name(network, index), TEXT_SIZE, bold=True)
        for index in range(topology.num_outputs)
    )
    title_width = max(
        text_width(text, size, bold=bold) for text, size, bold in _title_lines(network)
    )
    x = {item: places[layers.column_of[item]] for item in y}
    return Scene(
        network,
        layers,
        x,
        y,
        max(places[-1] + RADIUS + 10 + output_width, MARGIN + title_width) + MARGIN,
        max(y.values()) + RADIUS + LABEL_ROOM,
    )


def _gap(topology: Topology, upper: int, lower: int) -> float:
    """Return the least distance between the centres of two items, one above the other."""
    kinds = [_extent(topology, each) for each in (upper, lower)]
    (_, below, gap_1), (above, _, gap_2) = kinds
    return below + above + max(gap_1, gap_2)


def _extent(topology: Topology, item: int) -> tuple[float, float, float]:
    """Return how far an item reaches up and down, and the gap it needs."""
    if item >= topology.num_nodes:
        return 0.0, 0.0, TRUNK_GAP
    if item <= topology.num_inputs:
        return INPUT_RADIUS, INPUT_RADIUS, INPUT_GAP
    return RADIUS, RADIUS + LABEL_ROOM, NODE_GAP


def _column_places(
    layers: Layers, y: dict[int, float], num_columns: int, first: float
) -> list[float]:
    """Return the x of each column: further apart where links rise or fall far."""
    rises = [0.0] * num_columns
    for steps in layers.trunks.values():
        for start, end in steps:
            column = layers.column_of[end]
            rises[column] = max(rises[column], abs(y[end] - y[start]))
    places = [first]
    for rise in rises[1:]:
        places.append(places[-1] + min(COLUMN_WIDTH + 0.22 * rise, MAX_COLUMN_WIDTH))
    return places


def _family(activation: str) -> Family:
    return next((each for each in FAMILIES if activation in each.activations), OTHER_FAMILY)


def node_colour(topology: Topology, node: int) -> str:
    """Return the colour of a node: that of its activation's family."""
    if node <= topology.num_inputs:
        return INPUT_COLOUR
    return _family(activation_of(int(topology.activations[node])).name).colour


def _links(scene: Scene) -> Iterator[str]:
    """Yield one path for each node that feeds others, and one for each link that goes back."""
    slopes = _slopes(scene)
    for source, steps in sorted(scene.layers.trunks.items()):
        curves = "".join(
            _curve_between(scene, start, end, slopes.get(start, 0.0), slopes.get(end, 0.0))
            for start, end in steps
        )
        colour = node_colour(scene.topology, source)
        yield f'<path d="{curves}" stroke="{colour}" stroke-opacity="0.5"/>'
    for source, target in scene.layers.backward:
        curve = _curve_between(scene, source, target, 0.0, 0.0)
        colour = node_colour(scene.topology, source)
        yield f'<path d="{curve}" stroke="{colour}" stroke-opacity="0.6" stroke-dasharray="4 3"/>'


def _weighted_links(scene: Scene) -> Iterator[str]:
    """Yield the shared parts of the lines, then each link's own part, the strongest last."""
    slopes = _slopes(scene)
    num_nodes = scene.topology.num_nodes
    steps = [
        (source, start, end)
        for source, each in sorted(scene.layers.trunks.items())
        for start, end in each
    ]
    shared = "".join(
        _curve_between(scene, start, end, slopes.get(start, 0.0), slopes.get(end, 0.0))
        for _, start, end in steps
        if end >= num_nodes
    )
    if shared:
        yield f'<path d="{shared}" stroke="{FAINT}" stroke-width="{TRUNK_WIDTH}"/>'
    own = [(source, start, end) for source, start, end in steps if end < num_nodes]
    backward = set(scene.layers.backward)
    own += [(source, source, target) for source, target in scene.layers.backward]
    weight_of = _weights_by_ends(scene.network)
    strongest = _strongest(scene.network)
    for source, start, end in sorted(own, key=lambda each: abs(weight_of[each[0], each[2]])):
        weight = weight_of[source, end]
        curve = _curve_between(scene, start, end, slopes.get(start, 0.0), 0.0)
        look = _look(weight, strongest, dashed=(source, end) in backward)
        yield f'<path d="{curve}" {look}/>'


def _look(weight: float, strongest: float, *, dashed: bool = False) -> str:
    """Return how a link of this weight is drawn: its sign as colour, its size as width."""
    colour = ZERO if weight == 0.0 else POSITIVE if weight > 0.0 else NEGATIVE
    share = abs(weight) / strongest if strongest else 0.0
    width = LEAST_WIDTH + (MOST_WIDTH - LEAST_WIDTH) * share
    dash = ' stroke-dasharray="4 3"' if dashed or weight == 0.0 else ""
    return f'stroke="{colour}" stroke-width="{width:.2f}" stroke-opacity="0.7"{dash}'


def _strongest(network: Network) -> float:
    return float(np.abs(np.asarray(network.weights)).max(initial=0.0))


def _weights_by_ends(network: Network) -> dict[tuple[int, int], float]:
    topology = network.topology
    weights = np.broadcast_to(network.weights, topology.num_connections).tolist()
    ends = zip(topology.sources.tolist(), topology.targets().tolist(), strict=True)
    return dict(zip(ends, weights, strict=True))


def _slopes(scene: Scene) -> dict[int, float]:
    """Return the slope of each trunk in its waypoints: it never swings out beyond its neighbours.

    Harmonic mean of the slopes on both sides, 0 at a turn (Fritsch & Butland 1984).
    """
    left, right = scene.layers.neighbours()
    slopes: dict[int, float] = {}
    for item in range(scene.topology.num_nodes, len(scene.layers.column_of)):
        before, after = left[item][0], right[item]
        y_after = sum(scene.y[each] for each in after) / len(after)
        rise = (scene.y[item] - scene.y[before]) / (scene.x[item] - scene.x[before])
        next_rise = (y_after - scene.y[item]) / (scene.x[after[0]] - scene.x[item])
        turns = rise * next_rise <= 0.0
        slopes[item] = 0.0 if turns else 2 * rise * next_rise / (rise + next_rise)
    return slopes


def _curve_between(scene: Scene, start: int, end: int, start_slope: float, end_slope: float) -> str:
    """Return the path that leaves one item and reaches another to the right, as a cubic.

    A path to the left makes a loop: it leaves to the right and arrives from the left.
    """
    x_1, y_1, x_2, y_2 = scene.x[start], scene.y[start], scene.x[end], scene.y[end]
    reach = (x_2 - x_1) / 2 if x_2 > x_1 else LOOP_REACH
    lift = 0.0 if x_2 > x_1 else LOOP_LIFT
    return (
        f"M{x_1:.1f} {y_1:.1f}"
        f"C{x_1 + reach:.1f} {y_1 + start_slope * reach - lift:.1f}"
        f" {x_2 - reach:.1f} {y_2 - end_slope * reach - lift:.1f}"
        f" {x_2:.1f} {y_2:.1f}"
    )


def _input_name(network: Network, node: int) -> str:
    return "bias" if node == 0 else cut(network.input_names[node - 1], MAX_NAME_WIDTH, TEXT_SIZE)


def _output_name(network: Network, index: int) -> str:
    return cut(network.output_names[index], MAX_NAME_WIDTH, TEXT_SIZE, bold=True)


def _inputs(scene: Scene) -> Iterator[str]:
    used = set(scene.topology.sources.tolist())
    for node in range(1 + scene.topology.num_inputs):
        x, y = scene.x[node], scene.y[node]
        fill, stroke = (INPUT_COLOUR, BACKGROUND) if node in used else (BACKGROUND, FAINT)
        yield circle_at(x, y, INPUT_RADIUS, fill, stroke)
        name = "bias" if node == 0 else scene.network.input_names[node - 1]
        yield text_at(
            x - INPUT_RADIUS - 8,
            y + 0.35 * TEXT_SIZE,
            _input_name(scene.network, node),
            TEXT_SIZE,
            INK if node in used else FAINT,
            anchor="end",
            full=name,
        )


def _computed_nodes(scene: Scene, curves: bool) -> Iterator[str]:
    """Yield the hidden nodes and outputs: a circle, the activation's curve, and its name."""
    output_of = {node: index for index, node in enumerate(scene.topology.outputs.tolist())}
    for node in range(1 + scene.topology.num_inputs, scene.topology.num_nodes):
        x, y, colour = scene.x[node], scene.y[node], node_colour(scene.topology, node)
        activation = activation_of(int(scene.topology.activations[node])).name
        thickness = 2.6 if node in output_of else 1.6
        yield circle_at(x, y, RADIUS, "#ffffff", colour, thickness)
        if curves:
            yield (
                f'<path d="{_curve(int(scene.topology.activations[node]), x, y)}" fill="none" '
                f'stroke="{colour}" stroke-width="1.8" stroke-linejoin="round"/>'
            )
        label = cut(activation, MAX_LABEL_WIDTH, LABEL_SIZE)
        yield text_at(
            x,
            y + RADIUS + LABEL_SIZE + 1.5,
            label,
            LABEL_SIZE,
            QUIET,
            anchor="middle",
            full=activation,
        )
        if node in output_of:
            index = output_of[node]
            yield text_at(
                x + RADIUS + 9,
                y + 0.35 * TEXT_SIZE,
                _output_name(scene.network, index),
                TEXT_SIZE,
                INK,
                bold=True,
                full=scene.network.output_names[index],
            )


def _curve(activation: int, x: float, y: float) -> str:
    """Return the path of an activation from -2 to 2, fitted into its node."""
    inputs = np.linspace(-2.0, 2.0, 33)
    with np.errstate(all="ignore"):
        values = np.nan_to_num(activation_of(activation).function(inputs.reshape(1, -1))[0])
    middle, reach = (values.max() + values.min()) / 2, max(np.ptp(values) / 2, 1e-9)
    points = zip(x + 5.2 * inputs, y - 8.5 * (values - middle) / reach, strict=True)
    return "M" + "L".join(f"{across:.1f} {up:.1f}" for across, up in points)


def _title_lines(network: Network) -> list[tuple[str, float, bool]]:
    """Return the lines above the picture: text, size, bold."""
    topology = network.topology
    num_hidden = topology.num_nodes - 1 - topology.num_inputs - topology.num_outputs
    facts = [_counted(topology.num_connections, "connection"), _counted(num_hidden, "hidden node")]
    shared = network.shared_weight
    facts.append("a weight for each link" if shared is None else f"shared weight {shared:.4g}")
    mean = network.scores.get("mean")
    if isinstance(mean, float | int) and not isinstance(mean, bool):
        facts.append(f"mean return {mean:,.5g}{'' if shared is None else ' over all weights'}")
    title = cut(network.task or "Network", MAX_TITLE_WIDTH, TITLE_SIZE, bold=True)
    return [(title, TITLE_SIZE, True), ("  ·  ".join(facts), TEXT_SIZE, False)]


def _counted(number: int, noun: str) -> str:
    return f"{number:,} {noun}{'' if number == 1 else 's'}"


def _title(network: Network) -> Iterator[str]:
    y = MARGIN + TITLE_SIZE * 0.8
    for text, size, bold in _title_lines(network):
        yield text_at(MARGIN, y, text, size, INK if bold else QUIET, bold=bold)
        y += TITLE_SIZE + 6


def _legend(scene: Scene, shows_weights: bool) -> tuple[list[str], float]:
    """Return what explains the colours that occur, and the height of the page with it."""
    computed = scene.topology.activations[1 + scene.topology.num_inputs :]
    names = {activation_of(each).name for each in set(computed.tolist())}
    present = [each for each in (*FAMILIES, OTHER_FAMILY) if any(_family(n) is each for n in names)]
    entries = [(LEGEND_SWATCH, each.name, _swatch(each.colour)) for each in present]
    if shows_weights:
        entries += [(LEGEND_STROKE, *each) for each in _weight_entries(scene.network)]
    parts: list[str] = []
    x, y = MARGIN, scene.height + MARGIN
    for symbol_width, name, symbol in entries:
        width = symbol_width + 6 + text_width(name, LABEL_SIZE + 1)
        if x > MARGIN and x + width > scene.width - MARGIN:
            x, y = MARGIN, y + LEGEND_LINE
        parts.append(symbol(x, y))
        parts.append(text_at(x + symbol_width + 6, y + 3.7, name, LABEL_SIZE + 1, QUIET))
        x += width + 18
    return parts, y + LEGEND_SWATCH / 2 + MARGIN * 0.8


def _swatch(colour: str) -> Callable[[float, float], str]:
    return lambda x, y: circle_at(x + LEGEND_SWATCH / 2, y, LEGEND_SWATCH / 2, colour)


def _weight_entries(network: Network) -> Iterator[tuple[str, Callable[[float, float], str]]]:
    """Yield the name and symbol of the strongest weight of each sign, and of 0, that occur."""
    weights = np.asarray(network.weights).ravel() if network.topology.num_connections else ()
    strongest = _strongest(network)
    for kind, values in (
        ("positive", [each for each in weights if each > 0.0]),
        ("negative", [each for each in weights if each < 0.0]),
    ):
        if values:
            extreme = max(values, key=abs)
            yield f"{kind} weight, up to {extreme:.3g}", _stroke(extreme, strongest)
    if any(each == 0.0 for each in weights):
        yield "weight 0", _stroke(0.0, strongest)


def _stroke(weight: float, strongest: float) -> Callable[[float, float], str]:
    look = _look(weight, strongest)
    return lambda x, y: f'<path d="M{x:.1f} {y:.1f}L{x + LEGEND_STROKE:.1f} {y:.1f}" {look}/>'
