"""Networks as sparse masks with signs and a scale: what binarization starts from.

A weight is alpha * M * B: a mask M of the edges there are, signs B of +1 and -1, and a scale
alpha. A network with one shared weight w is exactly that, with alpha = |w| and B = sign(w) on every
edge, so binarizing its weights loses nothing.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float64, Int8, Int32, Int64, UInt8

from wann.activations import activation_of
from wann.export.description import (
    description_of,
    network_of,
    parsed_metadata,
    read_tensors,
    write_tensors,
)
from wann.network import Network
from wann.network_file import MAX_NODES
from wann.topology import Topology

if TYPE_CHECKING:
    from wann.export.formats import Options

FORMAT, VERSION = "wann-masks", 1
MAX_TRIANGLE = 10_000  # nodes of which a matrix [N, N] is made
_KINDS = {
    "edges": ("I32",),
    "signs": ("I8",),
    "scale": ("F64", "F32"),
    "activations": ("U8",),
    "outputs": ("I32",),
}


@dataclass(frozen=True, eq=False)
class Block:
    """All edges into the nodes of one level, as matrices.

    level: 1 for nodes that only the bias and the inputs feed, and so on.
    nodes: [n] those of the level, by activation, then as in the topology. activations: [n] ids.
    sources: [m] all nodes of lower levels, level by level: an edge that skips levels is a column
        like any other.
    mask: [n, m]. signs: [n, m], +1 and -1, and 0 where no edge is.
    scale: alpha, one number or [n, m], 0 where no edge is.
    """

    level: int
    nodes: Int32[np.ndarray, "n"]
    activations: UInt8[np.ndarray, "n"]
    sources: Int32[np.ndarray, "m"]
    mask: Bool[np.ndarray, "n m"]
    signs: Int8[np.ndarray, "n m"]
    scale: float | Float64[np.ndarray, "n m"]

    @property
    def weights(self) -> Float64[np.ndarray, "n m"]:
        """The matrix alpha * (M * B)."""
        return self.scale * (self.mask * self.signs)


@dataclass(frozen=True, eq=False)
class Masks:
    """The edges of a network with the signs and the scale of their weights.

    topology: which edges there are, and each node's activation: the mask's one stored truth.
    signs: [E] +1 or -1; a weight of 0 has +1. scale: alpha, one for all edges or [E]; at least 0.
    description: what the network's file says beside its structure: task, names, offset, scale,
        action, scores, made_by.
    The views, an edge list, a triangle and blocks, are made of these when asked for.
    Raises ValueError when these do not fit each other.
    """

    topology: Topology
    signs: Int8[np.ndarray, "E"]
    scale: float | Float64[np.ndarray, "E"]
    description: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        num_edges = self.topology.num_connections
        if self.signs.shape != (num_edges,) or not (np.abs(self.signs) == 1).all():
            raise ValueError(f"signs must be {num_edges:,} numbers, one an edge, each +1 or -1")
        scale = np.asarray(self.scale)
        if scale.shape not in ((), (num_edges,)) or not (np.isfinite(scale) & (scale >= 0)).all():
            raise ValueError(
                f"a scale must be one finite number, or {num_edges:,}, each at least 0"
            )

    @property
    def weights(self) -> float | Float64[np.ndarray, "E"]:
        """Product alpha * B: one number when all edges have one scale and one sign, else [E]."""
        if isinstance(self.scale, float) and len(set(self.signs.tolist())) <= 1:
            return float(self.scale * self.signs[0]) if len(self.signs) else self.scale
        return np.asarray(self.scale * self.signs, dtype=np.float64)

    @property
    def density(self) -> float:
        """Edges there are, as a fraction of those that a network of as many nodes can have."""
        topology = self.topology
        computed = topology.num_nodes - 1 - topology.num_inputs
        possible = computed * (1 + topology.num_inputs) + computed * (computed - 1) // 2
        return topology.num_connections / possible

    def edge_list(self) -> Int64[np.ndarray, "E 2"]:
        """Return source and target of each edge."""
        return np.column_stack([self.topology.sources, self.topology.targets()]).astype(np.int64)

    def triangular(self) -> Bool[np.ndarray, "N N"]:
        """Return the strictly upper triangular mask, [source, target].

        h = activation((alpha * (M * B)).T @ h), once for each level, gives all nodes' values.
        Raises ValueError when there are more than MAX_TRIANGLE nodes.
        """
        return self._triangle(np.ones(self.topology.num_connections, dtype=np.bool_))

    def triangular_signs(self) -> Int8[np.ndarray, "N N"]:
        """Return B as a matrix [source, target]: +1, -1, and 0 where no edge is."""
        return self._triangle(self.signs)

    def _triangle(self, values: np.ndarray) -> np.ndarray:
        size = self.topology.num_nodes
        if size > MAX_TRIANGLE:
            raise ValueError(
                f"a triangular mask is made of at most {MAX_TRIANGLE:,} nodes, but there are "
                f"{size:,}; use blocks"
            )
        matrix = np.zeros((size, size), dtype=values.dtype)
        matrix[self.topology.sources, self.topology.targets()] = values
        return matrix

    def blocks(self) -> list[Block]:
        """Return the edges level by level, from the inputs up; each skip link is native."""
        topology = self.topology
        levels, targets = topology.levels(), topology.targets()
        order = np.lexsort((np.arange(len(levels)), topology.activations, levels))
        place = np.argsort(order)
        starts = np.searchsorted(levels[order], np.arange(int(levels.max()) + 2))
        blocks: list[Block] = []
        for level in range(1, int(levels.max()) + 1):
            first, last = int(starts[level]), int(starts[level + 1])
            edges = np.flatnonzero(levels[targets] == level)
            rows, columns = place[targets[edges]] - first, place[topology.sources[edges]]
            nodes = order[first:last]
            mask = np.zeros((last - first, first), dtype=np.bool_)
            mask[rows, columns] = True
            signs = np.zeros(mask.shape, dtype=np.int8)
            signs[rows, columns] = self.signs[edges]
            scale = self.scale
            if isinstance(scale, np.ndarray):
                each = np.zeros(mask.shape)
                each[rows, columns] = scale[edges]
                scale = each
            blocks.append(
                Block(
                    level, nodes.astype(np.int32), topology.activations[nodes],
                    order[:first].astype(np.int32), mask, signs, scale,
                )
            )  # fmt: skip
        return blocks

    def to_network(self) -> Network:
        """Return the network that these masks are of."""
        topology, weights = self.topology, self.weights
        return network_of(
            self.description,
            topology.num_inputs,
            [activation_of(each).name for each in _computed(topology)],
            self.edge_list().tolist(),
            topology.outputs.tolist(),
            weights.tolist() if isinstance(weights, np.ndarray) else weights,
        )


def to_masks(network: Network) -> Masks:
    """Return a network as masks. A shared weight w gives alpha = |w| and B = sign(w)."""
    topology, weights = network.topology, network.weights
    each = np.broadcast_to(np.asarray(weights), topology.num_connections)
    signs = np.where(each < 0.0, -1, 1).astype(np.int8)
    scale = abs(weights) if isinstance(weights, float) else np.abs(weights)
    return Masks(topology, signs, scale, description_of(network))


def write_masks(network: Network, path: Path, about: Mapping[str, Any], options: Options) -> None:
    """Write a network's masks to a safetensors file.

    Its arrays: `edges` int32 [2, E] (sources, targets), `signs` int8 [E], `scale` float64 [] or
    [E], `activations` uint8, one id for each node after the inputs, and `outputs` int32 [O].
    about: what else its metadata says.
    """
    masks = to_masks(network)
    topology = network.topology
    tensors = {
        "edges": np.stack([topology.sources, topology.targets()]).astype(np.int32),
        "signs": masks.signs,
        "scale": np.asarray(masks.scale, dtype=np.float64),
        "activations": topology.activations[1 + topology.num_inputs :],
        "outputs": topology.outputs.astype(np.int32),
    }
    metadata = {"format": FORMAT, "version": str(VERSION), "network": masks.description, **about}
    write_tensors(path, tensors, metadata)


def load_masks(path: str | Path) -> Masks:
    """Return the masks in a file.

    Raises ValueError, naming the file and what is wrong, for anything but a file of masks of this
    version; OSError when there is no such file or it cannot be read.
    """
    try:
        return _masks(*read_tensors(path, _KINDS))
    except ValueError as error:
        raise ValueError(f"{path} is not a usable file of masks: {error}") from None


def read_masks(path: str | Path) -> Network:
    """Return the network whose masks a file holds. Raises as `load_masks` does."""
    return load_masks(path).to_network()


def _masks(arrays: dict[str, np.ndarray], metadata: dict[str, str]) -> Masks:
    came = (metadata.get("format", ""), metadata.get("version", ""))
    if came != (FORMAT, str(VERSION)):
        raise ValueError(f"its format must be {FORMAT!r}, version {VERSION}, but it is {came}")
    description = parsed_metadata(metadata, "network")
    edges, scale = arrays["edges"], arrays["scale"]
    names = description.get("inputs")
    if not isinstance(names, list) or not 1 <= len(names) <= MAX_NODES:
        raise ValueError(f"its metadata must name 1 to {MAX_NODES:,} inputs")
    if edges.ndim != 2 or len(edges) != 2 or arrays["signs"].shape != edges.shape[1:]:
        raise ValueError("edges must be [2, E] and signs [E]")
    if scale.shape not in ((), edges.shape[1:]) or scale.size == 0:
        raise ValueError("scale must be one number, or one an edge")
    for name in ("activations", "outputs"):
        if arrays[name].ndim != 1:
            raise ValueError(f"{name} must have one axis, but its shape is {arrays[name].shape}")
    value = float(scale) if scale.ndim == 0 else scale.astype(np.float64)
    network = network_of(
        description,
        len(names),
        [activation_of(each).name for each in arrays["activations"].tolist()],
        edges.T.tolist(),
        arrays["outputs"].tolist(),
        1.0,
    )
    return Masks(network.topology, arrays["signs"], value, description)


def run_masks(path: str | Path, inputs: Float64[np.ndarray, "B I"]) -> Float64[np.ndarray, "B O"]:
    """Return the outputs for a batch of inputs by alpha * (M * B), block by block."""
    masks = load_masks(path)
    topology = masks.topology
    values = np.zeros((topology.num_nodes, len(inputs)))
    values[0] = 1.0
    values[1 : 1 + topology.num_inputs] = inputs.T
    for block in masks.blocks():
        sums = block.weights @ values[block.sources]
        for activation in np.unique(block.activations).tolist():
            rows = block.activations == activation
            values[block.nodes[rows]] = activation_of(activation).function(sums[rows])
    return values[topology.outputs].T


def _computed(topology: Topology) -> list[int]:
    return topology.activations[1 + topology.num_inputs :].tolist()
