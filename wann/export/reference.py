"""The `.out` files of the WANN reference implementation (google/brain-tokyo-workshop)."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from io import BytesIO
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Bool, Float64, Int32, UInt8

from wann.activations import PAPER_ACTIVATIONS, activation_of
from wann.checks import whole_number_in
from wann.files import read_bounded, write_atomically
from wann.network import Network
from wann.strict_json import parse_json, typed
from wann.topology import Topology

if TYPE_CHECKING:
    from wann.export.formats import Options

MAX_NODES = 2_000  # the champions released with the paper have 29 to 106
MAX_LINKS = 250_000
MAX_FIELD = 32  # bytes that a number of the matrix takes at most, in the mean of a row
MAX_COMMENT = 10_000  # bytes of the first line
MAX_BYTES = 12 * MAX_NODES * (MAX_NODES + 1)


def load_out(
    path: str | Path,
    num_inputs: int,
    num_outputs: int,
    *,
    weights: float | Literal["stored"] = 1.0,
    task: str = "",
    input_names: Sequence[str] = (),
    output_names: Sequence[str] = (),
    action: str = "",
) -> Network:
    """Return the network in a `.out` file, less the nodes and links that have no effect.

    The file is a matrix of N rows and N + 1 columns, with commas between: the weight from each
    node (row) to each (column), 0 for no link and NaN for a disabled one, then the node's
    activation id; lines that begin with # are comments. Nodes are the bias, the inputs, hidden ones
    and the outputs, in evaluation order.
    num_inputs, num_outputs: the task's; the file does not hold them, but its links tell: evolution
        gives each hidden node a link in and a link out, which it may disable but never takes away,
        and feeds nothing from an output.
    weights: the shared weight, or "stored" for those in the file, which are what evolution started
        from unless someone tuned them.
    The reference enables disabled links between hidden nodes when it evaluates, and writes them as
    enabled; so the file is what was evaluated. What counts there counts here: a hidden node without
    sources stays when its activation of 0 is not 0. But an unknown activation id, linear there, is
    an error.
    Raises ValueError, naming the file, for anything else, and for more than MAX_NODES nodes.
    """
    whole_number_in("num_inputs", num_inputs, 1)
    whole_number_in("num_outputs", num_outputs, 1)
    if isinstance(weights, str) and weights != "stored":
        raise ValueError(f"weights must be a number or 'stored', not {weights!r}")
    data = read_bounded(path, MAX_BYTES)
    try:
        topology, stored = _read(data, num_inputs, num_outputs)
    except ValueError as error:
        raise ValueError(f"{path} is not a usable .out file: {error}") from None
    return Network(
        topology,
        stored if isinstance(weights, str) else weights,
        task=task,
        input_names=tuple(input_names),
        output_names=tuple(output_names),
        action=action,
    )


def write_out(
    network: Network,
    path: str | Path,
    about: Mapping[str, Any] | None = None,
    options: Options | None = None,
) -> None:
    """Write a network as a `.out` file that `load_out(..., weights="stored")` reads as the same.

    Numbers have 17 significant digits, so that none changes. A hidden node that nothing goes into
    or out of gets a disabled link there, as evolution would have left it. A comment, which the
    reference skips, says how many inputs and outputs there are, and `about`.
    Raises ValueError for what the format cannot hold: an output that feeds a node, a link of weight
    0, an activation that is not the paper's, more than MAX_NODES nodes.
    """
    topology = network.topology
    if topology.num_nodes > MAX_NODES:
        raise ValueError(
            f"a .out file holds at most {MAX_NODES:,} nodes, but the network has "
            f"{topology.num_nodes:,}"
        )
    strange = topology.activations[topology.activations > len(PAPER_ACTIVATIONS)]
    if len(strange):
        name = activation_of(int(strange[0])).name
        raise ValueError(f"a .out file holds the paper's activations, but {name!r} is registered")
    outputs = topology.outputs.tolist()
    feeding = sorted(set(outputs) & set(topology.sources.tolist()))
    if feeding:
        name = network.output_names[outputs.index(feeding[0])]
        raise ValueError(
            f"in a .out file outputs feed nothing, but output {name!r} feeds a node; every other "
            "format keeps it"
        )
    is_output = np.isin(np.arange(topology.num_nodes), outputs)
    order = np.concatenate([np.flatnonzero(~is_output), topology.outputs])
    position = np.empty_like(order)
    position[order] = np.arange(len(order))
    weights = np.broadcast_to(network.weights, topology.num_connections)
    if not weights.all():
        raise ValueError(
            "in a .out file 0 stands for no link, but a link has weight 0; use another weight"
        )
    matrix = np.zeros((topology.num_nodes, topology.num_nodes + 1))
    matrix[position[topology.sources], position[topology.targets()]] = weights
    hidden = np.arange(1 + topology.num_inputs, topology.num_nodes - topology.num_outputs)
    matrix[0, hidden[~matrix[:, hidden].any(axis=0)]] = np.nan
    matrix[hidden[~matrix[hidden, :-1].any(axis=1)], -2] = np.nan
    matrix[:, -1] = topology.activations[order]
    sizes = {"inputs": topology.num_inputs, "outputs": topology.num_outputs}
    lines = [f"# {json.dumps({**sizes, **(about or {})})}"]
    lines += [",".join(f"{each:.17g}" for each in row) for row in matrix.tolist()]
    write_atomically(path, "\n".join(lines) + "\n")


def read_out(path: str | Path) -> Network:
    """Return the network in a file of `write_out`, whose first line says what `load_out` needs.

    Raises ValueError, naming the file, for a file without that line, and as `load_out` does.
    """
    return load_out(path, *_sizes_in(path), weights="stored")


def _sizes_in(path: str | Path) -> tuple[int, int]:
    """Return the numbers of inputs and outputs that a file's first line gives."""
    line = read_bounded(path, MAX_BYTES).split(b"\n", 1)[0]
    try:
        if not line.startswith(b"#"):
            raise ValueError("its first line is no comment")
        if len(line) > MAX_COMMENT:
            raise ValueError("its first line is too long")
        sizes = parse_json(line[1:])
        if not isinstance(sizes, dict):
            raise ValueError("its first line holds no object")
        return typed(sizes, "inputs", int), typed(sizes, "outputs", int)
    except ValueError as error:
        raise ValueError(
            f"{path} does not say its numbers of inputs and outputs ({error}); give them to "
            "`load_out`, or --task on the command line"
        ) from None


def run_out(path: str | Path, inputs: Float64[np.ndarray, "B I"]) -> Float64[np.ndarray, "B O"]:
    """Return the outputs that the reference computes with a file of `write_out`.

    Column after column of the matrix, as `act` does there (WANN/wann_src/ind.py): disabled links
    are 0, dead nodes take part.
    """
    _, num_outputs = _sizes_in(path)
    matrix = np.nan_to_num(np.loadtxt(path, delimiter=",", ndmin=2))
    weights, ids = matrix[:, :-1], matrix[:, -1].astype(int)
    values = np.zeros((len(inputs), len(weights)))
    values[:, 0] = 1.0
    values[:, 1 : 1 + inputs.shape[1]] = inputs
    with np.errstate(over="ignore", invalid="ignore"):
        for node in range(1 + inputs.shape[1], len(weights)):
            total = values @ weights[:, node]
            values[:, node] = activation_of(ids[node]).function(total)
    return values[:, len(weights) - num_outputs :]


def _read(
    data: bytes, num_inputs: int, num_outputs: int
) -> tuple[Topology, Float64[np.ndarray, "E"]]:
    sources: list[Int32[np.ndarray, "K"]] = []
    targets: list[Int32[np.ndarray, "K"]] = []
    weights: list[Float64[np.ndarray, "K"]] = []
    activations: list[int] = []
    is_source: list[bool] = []
    is_target = np.zeros(1, dtype=np.bool_)
    num_links = 0
    num_fixed = 1 + num_inputs + num_outputs
    for node, row in enumerate(_rows(data)):
        if len(row) <= num_fixed:
            sizes = f"{num_inputs} inputs and {num_outputs} outputs"
            came = f"it has {len(row) - 1}"
            raise ValueError(f"{sizes} need {num_fixed} nodes with the bias, but {came}")
        activations.append(_activation(node, float(row[-1])))
        linked = _targets(node, row[:-1], num_inputs)
        is_source.append(bool(row[:-1].any()))  # by disabled links too: NaN counts as true
        is_target = is_target | (row[:-1] != 0.0)
        num_links += len(linked)
        if num_links > MAX_LINKS:
            raise ValueError(f"it has more than {MAX_LINKS:,} links")
        sources.append(np.full(len(linked), node, dtype=np.int32))
        targets.append(linked)
        weights.append(row[linked])
    _check_sizes(num_inputs, num_outputs, np.array(is_source), is_target)
    source, target = np.concatenate(sources), np.concatenate(targets)
    order = np.lexsort((source, target))
    return _live(
        num_inputs,
        num_outputs,
        np.array(activations, dtype=np.uint8),
        source[order],
        target[order],
        np.concatenate(weights)[order],
    )


def _rows(data: bytes) -> Iterator[Float64[np.ndarray, "N+1"]]:
    """Yield the rows of the matrix, after checking that it is N by N + 1 with N in bounds."""
    num_nodes, num_rows = 0, 0
    for line in BytesIO(data):
        if not line.strip() or line.startswith(b"#"):
            continue
        num_commas = line.count(b",")
        num_nodes = num_nodes or num_commas
        if not 1 <= num_nodes <= MAX_NODES:
            raise ValueError(f"it must have 1 to {MAX_NODES:,} nodes, but it has {num_nodes:,}")
        if num_commas != num_nodes:
            came = f"row {num_rows} has {num_commas + 1:,} columns"
            raise ValueError(f"each row must have {num_nodes + 1:,} columns, but {came}")
        if len(line) > MAX_FIELD * (num_nodes + 1):
            raise ValueError(f"row {num_rows} has {len(line):,} bytes, which is too long")
        if num_rows == num_nodes:
            raise ValueError(f"{num_nodes:,} rows were wanted, but it has more")
        yield np.array([_number(num_rows, field) for field in line.split(b",")])
        num_rows += 1
    if num_rows < num_nodes or num_rows == 0:
        raise ValueError(f"{num_nodes or 'some'} rows were wanted, but it has {num_rows}")


def _number(row: int, field: bytes) -> float:
    try:
        return float(field)
    except ValueError:
        came = field[:20].decode(errors="replace")
        raise ValueError(f"row {row} must hold numbers, but it has {came!r}") from None


def _activation(node: int, value: float) -> int:
    known = len(PAPER_ACTIVATIONS)
    if value not in range(1, known + 1):
        raise ValueError(f"activation ids are 1 to {known}, but node {node} has {value:g}")
    return int(value)


def _targets(
    node: int, weights: Float64[np.ndarray, "N"], num_inputs: int
) -> Int32[np.ndarray, "K"]:
    """Return where the links of one row go. Raises ValueError when one may not go there."""
    linked = np.flatnonzero((weights != 0.0) & ~np.isnan(weights)).astype(np.int32)
    if np.isinf(weights).any():
        raise ValueError(f"weights must be finite, but node {node} has one that is infinite")
    if len(linked) and linked[0] <= max(node, num_inputs):
        why = "against the order of the nodes" if linked[0] <= node else "into the bias or an input"
        raise ValueError(f"its link from node {node} to node {linked[0]} goes {why}")
    return linked


def _check_sizes(
    num_inputs: int,
    num_outputs: int,
    is_source: Bool[np.ndarray, "N"],
    is_target: Bool[np.ndarray, "N"],
) -> None:
    """Raise ValueError when a node's links say that it is of another role than these sizes make it.

    is_source, is_target: whether a link goes out of a node or into it, be it enabled or disabled.
    """
    hidden = np.arange(1 + num_inputs, len(is_source) - num_outputs)
    outputs = np.arange(len(is_source) - num_outputs, len(is_source))
    faults = (
        (hidden[~is_target[hidden]], "hidden, but no link goes into it"),
        (hidden[~is_source[hidden]], "hidden, but no link goes out of it"),
        (outputs[is_source[outputs]], "an output, but a link goes out of it"),
    )
    for nodes, fault in faults:
        if len(nodes):
            raise ValueError(
                f"it is of another task than one of {num_inputs} inputs and {num_outputs} outputs: "
                f"node {nodes[0]} would be {fault}"
            )


def _live(
    num_inputs: int,
    num_outputs: int,
    activations: UInt8[np.ndarray, "N"],
    sources: Int32[np.ndarray, "C"],
    targets: Int32[np.ndarray, "C"],
    weights: Float64[np.ndarray, "C"],
) -> tuple[Topology, Float64[np.ndarray, "E"]]:
    """Return the part that has an effect on an output, in the order of the nodes.

    sources, targets: by target, then by source.
    """
    num_nodes = len(activations)
    offsets = np.searchsorted(targets, np.arange(num_nodes + 1))
    links = [slice(*ends) for ends in pairwise(offsets)]
    active = _acts_on_nothing(activations) | (np.arange(num_nodes) <= num_inputs)
    used = np.arange(num_nodes) >= num_nodes - num_outputs
    for node in range(num_nodes):
        active[node] |= active[sources[links[node]]].any()
    for node in reversed(range(num_nodes)):
        used[sources[links[node]]] |= used[node]
    kept = active & used
    kept[: 1 + num_inputs] = True
    kept[num_nodes - num_outputs :] = True
    link_kept = active[sources] & used[targets]
    position = (np.cumsum(kept) - 1).astype(np.int32)
    num_kept = int(kept.sum())
    topology = Topology(
        num_inputs,
        np.searchsorted(position[targets[link_kept]], np.arange(num_kept + 1)).astype(np.int32),
        position[sources[link_kept]],
        activations[kept],
        np.arange(num_kept - num_outputs, num_kept, dtype=np.int32),
    )
    return topology, weights[link_kept]


def _acts_on_nothing(activations: UInt8[np.ndarray, "N"]) -> Bool[np.ndarray, "N"]:
    """Return which nodes give something else than 0 when they get nothing."""
    nothing = np.zeros(1)
    acting = [each.id for each in PAPER_ACTIVATIONS if each.function(nothing)[0] != 0.0]
    return np.isin(activations, acting)
