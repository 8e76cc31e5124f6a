"""`wann show`: a network's table and picture."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from wann.activations import activation_of
from wann.cli.parsing import parse_typed
from wann.cli.stopping import stoppable
from wann.cli.tables import is_of_images, num_hidden, plain_table, print_scores, tuned_line

if TYPE_CHECKING:
    from wann.network import Network
    from wann.topology import Topology

MAX_SHOWN_NODES = 30  # more are better looked at in the picture
MAX_SHOWN_NAMES = 32  # of inputs or outputs; more would fill the screen
DESCRIPTION = "Show a network: the champion of a run, or the one in a file. Draws it as SVG."


@dataclass(frozen=True)
class ShowOptions:
    """What `wann show` is asked for."""

    network: str = field(default="", metadata={"positional": True, "metavar": "RUN|FILE"})
    """A run's name or folder, a network's JSON, or a reference .out file"""
    task: str = field(default="", metadata={"metavar": "ID"})
    """The task of a .out file, which does not say it itself"""
    svg: str = field(default="", metadata={"metavar": "FILE"})
    """Where to draw it, instead of in the run's folder or, for a file, here"""
    debug: bool = field(default=False, metadata={"flag": True})
    """Show the traceback of an error"""


def run_show(argv: Sequence[str], prog: str, console: Console) -> int:
    """Return 0 after printing a network's table to standard output and drawing it.

    Raises ValueError when there is no such network, it is damaged or made for another task, or the
    picture has no place to go to; RuntimeError when the picture cannot be written.
    """
    names = [each.name for each in fields(ShowOptions)]
    typed = parse_typed(argv, prog, DESCRIPTION, {"show": (ShowOptions, names)})
    options = ShowOptions(**typed)
    if not options.network:
        raise ValueError("name what to show: a run, a network's JSON or a reference .out file")
    network, picture, tuned = _found(options)
    output = Console(markup=False, highlight=False, emoji=False)
    output.print(f"network for {network.task}" if network.task else "network", style="bold")
    output.print(_summary_table(network))
    for kind, words in (("test", "in test episodes"), ("validation", "in held-out episodes")):
        if is_summary(network.scores.get(kind)):
            what = "accuracy" if is_of_images(network.scores[kind]) else "mean return"
            output.print(f"\n{what} {words}", style="bold")
            print_scores(output, network.scores[kind])
            break
    if line := tuned_line(tuned.scores):
        output.print(f"\n{line}", soft_wrap=True)
    if len(shown_nodes(network.topology)) <= MAX_SHOWN_NODES:
        meaning = "" if network.shared_weight is None else ", with w for the shared weight"
        output.print(f"\nlayer by layer{meaning}", style="bold")
        output.print(_nodes_table(network))
    _draw(network, picture)
    output.print(f"\npicture  {picture}", soft_wrap=True)
    return 0


def _found(options: ShowOptions) -> tuple[Network, Path, Network]:
    """Return the network that was asked for, where its picture belongs, and its tuned form.

    The last is the network itself where there is no other.
    """
    from wann.cli.sources import champion_of, found_network, is_file_name
    from wann.cli.subjects import TUNED, tuned_network
    from wann.run_files import find_run
    from wann.tasks import load_task

    if options.svg:
        _check_picture(options.svg)
    task = load_task(options.task) if options.task else None
    tuned: Network | None = None
    if is_file_name(options.network):
        file = Path(options.network)
        network = found_network(options.network, Path(), task)
        is_of_run = file.with_name("config.toml").exists()
        picture = (file if is_of_run else Path(file.name)).with_suffix(".svg")
    else:
        paths = find_run(options.network)
        network, picture = champion_of(paths), paths.file("champion.svg")
        tuned, _ = tuned_network(paths.file(TUNED), network)
    if task is not None and network.task != task.id:
        came = f"is for task {network.task!r}" if network.task else "names no task"
        raise ValueError(
            f"--task is for .out files, but {options.network!r} {came}, not {task.id!r}; leave it "
            "out"
        )
    picture = Path(options.svg) if options.svg else picture
    if picture.resolve() == Path(options.network).resolve():
        raise ValueError(f"the picture would replace {options.network!r}; --svg names another file")
    return network, picture, tuned or network


def _check_picture(name: str) -> None:
    path = Path(name)
    if path.suffix.lower() != ".svg" or path.is_dir():
        raise ValueError(f"--svg must be the name of a file that ends in .svg, not {name!r}")
    if not path.parent.is_dir():
        raise ValueError(
            f"--svg {name!r} cannot be written: there is no folder {str(path.parent)!r}"
        )


def _draw(network: Network, picture: Path) -> None:
    from wann.export.drawing import save_svg

    try:
        with stoppable():
            save_svg(network, picture)
    except OSError as error:
        raise RuntimeError(
            f"the picture cannot be written to {str(picture)!r}: {str(error.strerror).lower()}; "
            "--svg chooses another place"
        ) from error


def is_summary(scores: Any) -> bool:
    """Return whether these scores of a network file are a summary of episodes."""
    if not isinstance(scores, dict):
        return False
    columns = [
        scores.get(name)
        for name in ("weights", "mean_by_weight", "deviation_by_weight", "interval")
    ]
    lists = [each for each in columns if isinstance(each, list)]
    numbers = [value for each in lists for value in each] + [scores.get("mean")]
    return (
        len(lists) == 4
        and len(lists[0]) == len(lists[1]) == len(lists[2])
        and len(lists[3]) == 2
        and all(isinstance(value, float | int) for value in numbers)
    )


def shown_nodes(topology: Topology) -> list[int]:
    """Return the nodes that take part: the bias and inputs in use, hidden ones and outputs."""
    used = {int(each) for each in topology.sources}
    first = 1 + topology.num_inputs
    return [node for node in range(topology.num_nodes) if node >= first or node in used]


def _summary_table(network: Network) -> Table:
    topology = network.topology
    table = Table(box=None, show_header=False, pad_edge=False)
    used = {int(each) for each in topology.sources}
    inputs = [name for place, name in enumerate(network.input_names) if place + 1 in used]
    unused = [name for place, name in enumerate(network.input_names) if place + 1 not in used]
    table.add_row("connections", f"{topology.num_connections:,}")
    table.add_row("hidden nodes", f"{num_hidden(topology):,}")
    table.add_row("activations", _activation_counts(topology))
    table.add_row("depth", f"{max(depths(topology))}")
    table.add_row("inputs", f"{len(inputs)} of {topology.num_inputs}: {_listed(inputs)}")
    if unused:
        table.add_row("unused", _listed(unused))
    table.add_row("bias", "used" if 0 in used else "unused")
    outputs = _listed(network.output_names)
    table.add_row("outputs", f"{topology.num_outputs}: {outputs}")
    table.add_row("action rule", network.action or "not given")
    weight = network.shared_weight
    table.add_row("weights", f"{weight:g} on every link" if weight is not None else "one a link")
    if isinstance(label := network.made_by.get("algorithm"), str) and label.isprintable():
        table.add_row("made by", label)
    if isinstance(generation := network.made_by.get("generation"), int):
        table.add_row("found", f"in generation {generation}")
    return table


def _listed(names: Sequence[str]) -> str:
    """Return names with commas between; of many, as the pixels of an image, how many there are."""
    if len(names) > MAX_SHOWN_NAMES:
        return f"{names[0]}, ..., {names[-1]} ({len(names):,})"
    return ", ".join(names) or "none"


def _activation_counts(topology: Topology) -> str:
    first = 1 + topology.num_inputs
    names = [activation_of(int(each)).name for each in topology.activations[first:]]
    return ", ".join(f"{count} {name}" for name, count in Counter(names).most_common())


def depths(topology: Topology) -> list[int]:
    """Return each node's longest path from an input, in links."""
    result = [0] * topology.num_nodes
    for node in range(topology.num_nodes):
        sources = topology.sources[topology.offsets[node] : topology.offsets[node + 1]].tolist()
        result[node] = max((result[source] + 1 for source in sources), default=0)
    return result


def _nodes_table(network: Network) -> Table:
    """Return the network as formulas, a row a node, from the inputs to the outputs."""
    from wann.export.graph import node_names

    topology = network.topology
    names = node_names(network)
    layers = depths(topology)
    table = plain_table("layer", "node", "computes")
    table.columns[1].justify = table.columns[2].justify = "left"
    rows = sorted(
        (layers[node], node) for node in shown_nodes(topology) if node > topology.num_inputs
    )
    previous = -1
    for layer, node in rows:
        label = str(layer) if layer != previous else ""
        table.add_row(label, names[node], formula(network, node, names))
        previous = layer
    return table


def formula(network: Network, node: int, names: Sequence[str]) -> str:
    """Return what a node computes, with w for the shared weight: tanh(w (angle + velocity))."""
    topology = network.topology
    links = range(int(topology.offsets[node]), int(topology.offsets[node + 1]))
    sources = [names[int(topology.sources[link])] for link in links]
    if not sources:
        total = "0"
    elif network.shared_weight is not None:
        total = f"w ({' + '.join(sources)})" if len(sources) > 1 else f"w {sources[0]}"
    else:
        weights = np.asarray(network.weights)[links].tolist()
        terms = [f"{weight:g} {source}" for weight, source in zip(weights, sources, strict=True)]
        total = " + ".join(terms)
    return f"{activation_of(int(topology.activations[node])).name}({total})"
