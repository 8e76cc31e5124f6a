"""The network file's format, read strictly: see `wann.network` for what is done with it."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import chain
from typing import Any

import numpy as np
from jaxtyping import Float64, Int32, UInt8

from wann.activations import LINEAR, activation_named
from wann.checks import unknown
from wann.config import check_keys
from wann.strict_json import first_not, parse_json, shown, typed
from wann.topology import Topology

FORMAT = "wann-network"
VERSION = 1
MAX_NODES = 50_000
MAX_EDGES = 250_000
ROLES = ("bias", "input", "hidden", "output")
_KEYS = (
    "format", "version", "task", "observation", "action", "inputs", "outputs", "nodes", "edges",
    "weight", "weights", "scores", "made_by",
)  # fmt: skip


@dataclass(frozen=True, eq=False)
class NetworkFile:
    """What a network file holds, field by field as `wann.network.Network` takes it."""

    topology: Topology
    weights: float | Float64[np.ndarray, "E"]
    task: str
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    action: str
    observation_space: str
    offset: tuple[float, ...]
    scale: tuple[float, ...]
    scores: dict[str, Any]
    made_by: dict[str, Any]


def parse_network(data: bytes) -> NetworkFile:
    """Return what the network file of this content holds.

    Raises ValueError that says what is wrong when it is no network file of this version, names
    something unknown, breaks a promise of `Topology`, or is larger than MAX_NODES and MAX_EDGES.
    Takes under 100 MB and a time that grows linearly with the content.
    """
    content = parse_json(data)
    if not isinstance(content, dict):
        raise ValueError(f"an object was wanted, but it is {shown(content)}")
    if typed(content, "format", str) != FORMAT:
        raise ValueError(f"its format must be {FORMAT!r}, but it is {shown(content['format'])}")
    if typed(content, "version", int) != VERSION:
        raise ValueError(f"its version must be {VERSION}, but it is {shown(content['version'])}")
    _check_keys(content, _KEYS, "a network file")
    topology = _topology(typed(content, "nodes", list), typed(content, "edges", list))
    observation = typed(content, "observation", dict)
    _check_keys(observation, ("space", "scale", "offset"), "'observation'")
    return NetworkFile(
        topology,
        _weights(content, topology.num_connections),
        typed(content, "task", str),
        _names(content, "inputs", topology.num_inputs),
        _names(content, "outputs", topology.num_outputs),
        typed(content, "action", str),
        typed(observation, "space", str, "observation "),
        _numbers(observation, "offset", "observation "),
        _numbers(observation, "scale", "observation "),
        typed(content, "scores", dict),
        typed(content, "made_by", dict),
    )


def _topology(nodes: list[Any], edges: list[Any]) -> Topology:
    if len(nodes) > MAX_NODES or len(edges) > MAX_EDGES:
        sizes = f"{len(nodes):,} nodes and {len(edges):,} edges"
        raise ValueError(f"at most {MAX_NODES:,} nodes and {MAX_EDGES:,} edges fit, not {sizes}")
    num_inputs, activations, outputs = _read_nodes(nodes)
    sources, targets = _read_edges(edges, num_inputs, len(nodes))
    offsets = np.searchsorted(targets, np.arange(len(nodes) + 1)).astype(np.int32)
    return Topology(num_inputs, offsets, sources, activations, outputs)


def _read_nodes(
    nodes: list[Any],
) -> tuple[int, UInt8[np.ndarray, "N"], Int32[np.ndarray, "O"]]:
    """Return the number of inputs, each node's activation id, and the outputs' positions."""
    num_inputs = 0
    activations = np.zeros(len(nodes), dtype=np.uint8)
    node_of_output: dict[int, int] = {}
    for node, entry in enumerate(nodes):
        role, activation = _read_node(node, entry)
        if (role == "bias") != (node == 0) or (role == "input" and node != num_inputs + 1):
            raise ValueError(
                f"nodes must be the bias, the inputs, then others; nodes[{node}] is not"
            )
        if role in ("bias", "input") and activation != LINEAR:
            raise ValueError(f"nodes[{node}] is its {role}, whose activation must be 'linear'")
        if role == "output":
            output = typed(entry, "output", int, f"nodes[{node}] ")
            if output in node_of_output:
                raise ValueError(f"nodes[{node}] is output {shown(output)}, which another is too")
            node_of_output[output] = node
        num_inputs += role == "input"
        activations[node] = activation
    if not num_inputs or not node_of_output:
        raise ValueError("its nodes must hold at least one input and one output")
    if set(node_of_output) != set(range(len(node_of_output))):
        raise ValueError("its outputs must be numbered from 0, none left out")
    outputs = [node_of_output[output] for output in range(len(node_of_output))]
    return num_inputs, activations, np.array(outputs, dtype=np.int32)


def _read_node(node: int, entry: Any) -> tuple[str, int]:
    where = f"nodes[{node}]"
    if not isinstance(entry, dict):
        raise ValueError(f"{where} must be an object, but it is {shown(entry)}")
    role = typed(entry, "role", str, f"{where} ")
    if role not in ROLES:
        raise ValueError(f"{where}: {unknown('role', role[:40], ROLES)}")
    known = (
        ("id", "role", "activation", "output") if role == "output" else ("id", "role", "activation")
    )
    _check_keys(entry, known, where)
    if typed(entry, "id", int, f"{where} ") != node:
        raise ValueError(f"{where} must have id {node}, but it has {shown(entry['id'])}")
    name = typed(entry, "activation", str, f"{where} ")
    try:
        return role, activation_named(name[:40]).id
    except ValueError as error:
        raise ValueError(f"{where}: {error}") from None


def _read_edges(
    edges: list[Any], num_inputs: int, num_nodes: int
) -> tuple[Int32[np.ndarray, "E"], Int32[np.ndarray, "E"]]:
    """Return sources and targets of the links, which stand by target, then by source."""
    wrong = first_not(list, edges)
    if wrong is None and not set(map(len, edges)) <= {2}:
        wrong = next(index for index, each in enumerate(edges) if len(each) != 2)
    if wrong is not None:
        raise ValueError(f"edges[{wrong}] must be [source, target], but it is not")
    ends = list(chain.from_iterable(edges))
    wrong = first_not(int, ends)
    if wrong is None and ends and not 0 <= min(ends) <= max(ends) < num_nodes:
        wrong = next(index for index, each in enumerate(ends) if not 0 <= each < num_nodes)
    if wrong is not None:
        came = shown(ends[wrong])
        raise ValueError(f"edges[{wrong // 2}] must join nodes 0 to {num_nodes - 1}, not {came}")
    pairs = np.array(ends, dtype=np.int64).reshape(-1, 2)
    sources, targets = pairs[:, 0], pairs[:, 1]
    _refuse_edge(targets <= num_inputs, pairs, "ends in the bias or an input")
    _refuse_edge(sources >= targets, pairs, "does not go forward in the order of the nodes")
    keys = np.concatenate([[-1], targets * num_nodes + sources])
    _refuse_edge(np.diff(keys) == 0, pairs, "is there twice")
    _refuse_edge(np.diff(keys) < 0, pairs, "is not in the order of target, then source")
    return sources.astype(np.int32), targets.astype(np.int32)


def _refuse_edge(wrong: np.ndarray, pairs: np.ndarray, what: str) -> None:
    if wrong.any():
        index = int(np.flatnonzero(wrong)[0])
        raise ValueError(f"edges[{index}], {pairs[index].tolist()}, {what}")


def _check_keys(content: dict[str, Any], known: tuple[str, ...], where: str) -> None:
    check_keys({key[:40]: None for key in content}, known, where)  # a long key has no near match


def _weights(content: dict[str, Any], num_edges: int) -> float | Float64[np.ndarray, "E"]:
    if ("weight" in content) == ("weights" in content):
        raise ValueError("it must have either 'weight' or 'weights'")
    if "weight" in content:
        return _numbers({"weight": [content["weight"]]}, "weight")[0]
    values = _numbers(content, "weights")
    if len(values) != num_edges:
        raise ValueError(f"{num_edges} weights are needed, one an edge, not {len(values)}")
    return np.array(values, dtype=np.float64)


def _numbers(content: dict[str, Any], key: str, where: str = "") -> tuple[float, ...]:
    values = typed(content, key, list, where)
    if not set(map(type, values)) <= {int, float}:
        wrong = next(each for each in values if type(each) not in (int, float))
        raise ValueError(f"{where}{key!r} must hold numbers, but it has {shown(wrong)}")
    try:
        return tuple(map(float, values))
    except OverflowError:
        raise ValueError(f"{where}{key!r} has a number that is too large for float64") from None


def _names(content: dict[str, Any], key: str, count: int) -> tuple[str, ...]:
    names = typed(content, key, list)
    wrong = first_not(str, names)
    if wrong is not None:
        raise ValueError(f"{key}[{wrong}] must be a string, but it is {shown(names[wrong])}")
    if len(names) != count:
        raise ValueError(f"{key!r} must name its {count} nodes, but it has {len(names)} names")
    return tuple(names)
