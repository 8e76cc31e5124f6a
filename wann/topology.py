"""Topologies: what a genome computes, with everything dead left out, ready to be evaluated."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Int32, Int64, UInt8, UInt64

from wann.activations import activation_ids
from wann.genome import Genome, Genomes
from wann.kernel_cache import use_kernel_cache

MASK_64 = (1 << 64) - 1


@dataclass(frozen=True, eq=False)
class Topology:
    """The live part of a network, in evaluation order: N nodes and E links, without weights.

    Node 0 is the bias (constant 1), nodes 1..I are the inputs, used or not. A node comes after
    all its sources.
    offsets: [N+1]; node n sums over sources[offsets[n]:offsets[n+1]].
    sources: [E] node positions, ascending within a node.
    activations: [N] ids; those of the bias and the inputs are linear and never applied.
    outputs: [O] positions of the output nodes, in the task's order. An output without sources
        gives its activation of 0.
    """

    num_inputs: int
    offsets: Int32[np.ndarray, "N_plus_1"]
    sources: Int32[np.ndarray, "E"]
    activations: UInt8[np.ndarray, "N"]
    outputs: Int32[np.ndarray, "O"]

    @property
    def num_nodes(self) -> int:
        """Number of nodes N: the bias, all inputs, live hidden nodes and all outputs."""
        return len(self.activations)

    @property
    def num_outputs(self) -> int:
        """Number of outputs O."""
        return len(self.outputs)

    @property
    def num_connections(self) -> int:
        """Number of live links E: the complexity that the search keeps low."""
        return len(self.sources)

    def targets(self) -> Int32[np.ndarray, "E"]:
        """Return the node that each link ends in."""
        return np.repeat(np.arange(self.num_nodes, dtype=np.int32), np.diff(self.offsets))

    def levels(self) -> Int32[np.ndarray, "N"]:
        """Return each node's longest path: 0 for the bias and inputs, at least 1 for the others."""
        levels = [0] * (1 + self.num_inputs)
        ends = self.offsets.tolist()
        for node in range(1 + self.num_inputs, self.num_nodes):
            sources = self.sources[ends[node] : ends[node + 1]].tolist()
            levels.append(1 + max((levels[each] for each in sources), default=0))
        return np.array(levels, dtype=np.int32)

    def key(self) -> int:
        """Return 64 bits that are equal for two topologies that differ only in their node order."""
        hashes = node_hashes(self)
        return topology_key([hashes[node] for node in self.outputs], hashes[1 + self.num_inputs :])

    def check(self) -> Topology:
        """Return this topology when it keeps every promise of the class.

        Raises ValueError that names the first node or link that does not.
        """
        if self.num_inputs < 1 or self.num_outputs < 1 or self.num_nodes <= self.num_inputs + 1:
            raise ValueError("a topology needs at least one input and one output")
        falls = (self.offsets[1:] < self.offsets[:-1]).any()  # np.diff's differences can overflow
        if len(self.offsets) != self.num_nodes + 1 or self.offsets[0] != 0 or falls:
            raise ValueError("a topology's offsets must rise from 0, one more than its nodes")
        if self.offsets[-1] != self.num_connections:
            raise ValueError(
                f"offsets end at {self.offsets[-1]}, but there are {self.num_connections} links"
            )
        if self.offsets[1 + self.num_inputs] != 0:
            raise ValueError("no link may end in the bias or an input")
        for source, target in zip(self.sources.tolist(), self.targets().tolist(), strict=True):
            if not 0 <= source < target:
                raise ValueError(f"link {source} -> {target} does not follow the evaluation order")
        if not np.isin(self.activations, activation_ids()).all():
            raise ValueError("a topology has a node of unknown activation")
        falls = np.diff(self.sources) <= 0
        if (falls & (np.diff(self.targets()) == 0)).any():
            raise ValueError("a topology's links must rise by source within a node, each one once")
        outputs = self.outputs.tolist()
        if len(set(outputs)) != len(outputs) or not all(
            self.num_inputs < node < self.num_nodes for node in outputs
        ):
            raise ValueError(f"outputs must be distinct nodes after the inputs, not {outputs}")
        return self


@dataclass(frozen=True, eq=False)
class Topologies:
    """G topologies of one size of input and output, in flat arrays that kernels take.

    node_offsets, edge_offsets: [G+1]. Topology g's links of node n are
        sources[edge_offsets[g] + offsets[i]] for i = node_offsets[g] + g + n, up to the next.
    offsets: all the topologies' own offsets, [N+1] each, one after the other.
    outputs: [G, O]. keys: [G], see `Topology.key`.
    """

    num_inputs: int
    node_offsets: Int64[np.ndarray, "G_plus_1"]
    edge_offsets: Int64[np.ndarray, "G_plus_1"]
    offsets: Int32[np.ndarray, "allN_plus_G"]
    sources: Int32[np.ndarray, "allE"]
    activations: UInt8[np.ndarray, "allN"]
    outputs: Int32[np.ndarray, "G O"]
    keys: UInt64[np.ndarray, "G"]

    @classmethod
    def stack(cls, topologies: Sequence[Topology], keys: Sequence[int] | None = None) -> Topologies:
        """Return these as one batch.

        keys: to tell them apart by, instead of `Topology.key`.
        Raises ValueError when there are none, or several sizes.
        """
        if not topologies:
            raise ValueError("a batch needs at least one topology")
        sizes = {(each.num_inputs, each.num_outputs) for each in topologies}
        if len(sizes) > 1:
            raise ValueError(f"topologies of one batch must have one size, but these have {sizes}")
        return cls(
            topologies[0].num_inputs,
            np.concatenate([[0], np.cumsum([each.num_nodes for each in topologies])]),
            np.concatenate([[0], np.cumsum([each.num_connections for each in topologies])]),
            np.concatenate([each.offsets for each in topologies]),
            np.concatenate([each.sources for each in topologies]),
            np.concatenate([each.activations for each in topologies]),
            np.stack([each.outputs for each in topologies]),
            np.array(
                [each.key() for each in topologies] if keys is None else keys, dtype=np.uint64
            ),
        )

    @property
    def num_outputs(self) -> int:
        """Number of outputs O."""
        return self.outputs.shape[1]

    @property
    def nbytes(self) -> int:
        """Size of all arrays, in bytes."""
        return sum(each.nbytes for each in vars(self).values() if isinstance(each, np.ndarray))

    @property
    def num_connections(self) -> Int64[np.ndarray, "G"]:
        """Number of live links of each topology."""
        return np.diff(self.edge_offsets)

    @property
    def num_hidden(self) -> Int64[np.ndarray, "G"]:
        """Number of live hidden nodes of each topology."""
        return np.diff(self.node_offsets) - 1 - self.num_inputs - self.num_outputs

    def __len__(self) -> int:
        return len(self.node_offsets) - 1

    def __getitem__(self, index: int) -> Topology:
        if not -len(self) <= index < len(self):
            raise IndexError(f"topology {index} of {len(self)}")
        index %= len(self)
        first, last = self.node_offsets[index], self.node_offsets[index + 1]
        return Topology(
            self.num_inputs,
            self.offsets[first + index : last + index + 1],
            self.sources[self.edge_offsets[index] : self.edge_offsets[index + 1]],
            self.activations[first:last],
            self.outputs[index],
        )

    def __iter__(self) -> Iterator[Topology]:
        return (self[index] for index in range(len(self)))

    def check(self) -> Topologies:
        """Return this batch when its arrays fit and every topology keeps its promises.

        Raises ValueError that names the first array, node or link that does not.
        """
        count = len(self)
        if count < 1 or len(self.edge_offsets) != count + 1 or self.outputs.shape[0] != count:
            raise ValueError("a batch's offsets and outputs must be for the same topologies")
        if len(self.keys) != count or len(self.offsets) != len(self.activations) + count:
            raise ValueError("a batch's keys and offsets must be for the same topologies")
        for offsets, total in (
            (self.node_offsets, len(self.activations)),
            (self.edge_offsets, len(self.sources)),
        ):
            falls = (offsets[1:] < offsets[:-1]).any()  # np.diff's differences can overflow
            if offsets[0] != 0 or offsets[-1] != total or falls:
                raise ValueError(f"a batch's offsets must rise from 0 to {total}")
        for topology, key in zip(self, self.keys, strict=True):
            if topology.check().key() != int(key):
                raise ValueError(f"a topology's key is {topology.key()}, but {key} is stored")
        return self

    def take(self, indices: Int64[np.ndarray, "K"]) -> Topologies:
        """Return the topologies at these indices, in this order, as a batch of their own."""
        nodes = _ranges(self.node_offsets, indices)
        edges = _ranges(self.edge_offsets, indices)
        with_ends = _ranges(self.node_offsets + np.arange(len(self) + 1), indices)
        return Topologies(
            self.num_inputs,
            _restarted(self.node_offsets, indices),
            _restarted(self.edge_offsets, indices),
            self.offsets[with_ends],
            self.sources[edges],
            self.activations[nodes],
            self.outputs[indices],
            self.keys[indices],
        )


def _restarted(
    offsets: Int64[np.ndarray, "G_plus_1"], indices: Int64[np.ndarray, "K"]
) -> Int64[np.ndarray, "K+1"]:
    return np.concatenate([[0], np.cumsum(offsets[indices + 1] - offsets[indices])])


def _ranges(
    offsets: Int64[np.ndarray, "G_plus_1"], indices: Int64[np.ndarray, "K"]
) -> Int64[np.ndarray, "M"]:
    """Return the positions offsets[i]..offsets[i+1]-1 of every i in `indices`, in that order."""
    ends = _restarted(offsets, indices)
    shift = np.repeat(offsets[indices] - ends[:-1], np.diff(ends))
    return np.arange(ends[-1]) + shift


def compile(genome: Genome) -> Topology:
    """Return what `genome` computes: its live nodes in canonical evaluation order.

    Live is what lies on a path of enabled genes from the bias or an input to an output; the bias,
    all inputs and all outputs are kept. Hidden nodes, and outputs that feed other nodes, come in
    order of depth (longest path), then of `node_hash`; outputs that feed nothing come last.
    Two genomes that differ only in dead parts or in node order give topologies of equal key, and
    equal ones unless several of their nodes compute the same.
    This is the readable twin of `topology_kernels.compile_genomes`.
    """
    links = _live_links(genome)
    incoming: dict[int, list[int]] = {}
    for source, target in links:
        incoming.setdefault(target, []).append(source)
    depths, hashes = _depths_and_hashes(genome, incoming)
    outputs = range(genome.num_inputs + 1, genome.num_fixed)
    feeding = {source for source, _ in links}
    last = [node for node in outputs if node not in feeding]
    middle = [node for node in sorted(incoming.keys() | set(outputs)) if node not in last]
    middle.sort(key=lambda node: (depths[node], hashes[node]))
    order = [*range(genome.num_inputs + 1), *middle, *last]
    position = {node: place for place, node in enumerate(order)}
    sources = [sorted(position[each] for each in incoming.get(node, [])) for node in order]
    return Topology(
        genome.num_inputs,
        np.concatenate([[0], np.cumsum([len(each) for each in sources])]).astype(np.int32),
        np.array([source for each in sources for source in each], dtype=np.int32),
        genome.activations[order],
        np.array([position[node] for node in outputs], dtype=np.int32),
    )


def _live_links(genome: Genome) -> list[tuple[int, int]]:
    """Return the enabled links that lie on a path from the bias or an input to an output."""
    enabled = genome.enabled
    links = list(
        zip(genome.sources[enabled].tolist(), genome.targets[enabled].tolist(), strict=True)
    )
    fed = _reached(range(genome.num_inputs + 1), links)
    used = _reached(range(genome.num_inputs + 1, genome.num_fixed), [(b, a) for a, b in links])
    return sorted((source, target) for source, target in links if source in fed and target in used)


def _reached(start: Iterable[int], links: list[tuple[int, int]]) -> set[int]:
    followers: dict[int, list[int]] = {}
    for source, target in links:
        followers.setdefault(source, []).append(target)
    reached, waiting = set(start), list(start)
    while waiting:
        for target in followers.get(waiting.pop(), []):
            if target not in reached:
                reached.add(target)
                waiting.append(target)
    return reached


def _depths_and_hashes(
    genome: Genome, incoming: dict[int, list[int]]
) -> tuple[dict[int, int], dict[int, int]]:
    """Return each live node's longest path from the inputs, and its hash."""
    nodes = range(genome.num_inputs + 1)
    depths = dict.fromkeys(nodes, 0)
    hashes = {node: input_hash(node) for node in nodes}
    outputs = range(genome.num_inputs + 1, genome.num_fixed)
    waiting = [*incoming.keys() | set(outputs)]
    while waiting:  # a node waits on the stack until all its sources are done
        node = waiting[-1]
        sources = incoming.get(node, [])
        missing = [source for source in sources if source not in depths]
        if missing:
            waiting += missing
            continue
        waiting.pop()
        depths[node] = 1 + max((depths[source] for source in sources), default=0)
        activation = int(genome.activations[node])
        hashes[node] = node_hash(activation, [hashes[source] for source in sources])
    return depths, hashes


def mix(bits: int) -> int:
    """Return 64 well-mixed bits (the finalizer of SplitMix64; Steele, Lea & Flood 2014)."""
    bits &= MASK_64
    bits = ((bits ^ (bits >> 30)) * 0xBF58476D1CE4E5B9) & MASK_64
    bits = ((bits ^ (bits >> 27)) * 0x94D049BB133111EB) & MASK_64
    return bits ^ (bits >> 31)


def input_hash(node: int) -> int:
    """Return the hash of the bias (0) or an input (its number)."""
    return mix(0x9E3779B97F4A7C15 * (node + 1))


def node_hash(activation: int, source_hashes: list[int]) -> int:
    """Return a node's hash: equal for nodes that compute the same function of the inputs."""
    return mix(0xD1B54A32D192ED03 * (activation + 1) + sum(mix(each) for each in source_hashes))


def node_hashes(topology: Topology) -> list[int]:
    """Return every node's hash [N], from the inputs up; independent of the node order."""
    hashes = [input_hash(node) for node in range(1 + topology.num_inputs)]
    for node in range(1 + topology.num_inputs, topology.num_nodes):
        sources = topology.sources[topology.offsets[node] : topology.offsets[node + 1]]
        hashes.append(
            node_hash(int(topology.activations[node]), [hashes[source] for source in sources])
        )
    return hashes


def topology_key(output_hashes: list[int], computed_hashes: list[int]) -> int:
    """Return a topology's key: its outputs in order and the bag of all its computed nodes.

    Equal keys mean the same function and as many links, so one score serves for both.
    """
    key = 0
    for each in output_hashes:
        key = mix((key + each) & MASK_64)
    return mix(key + sum(mix(each ^ 0xA5A5A5A5A5A5A5A5) for each in computed_hashes))


def compile_all(genomes: Genomes) -> Topologies:
    """Return what each of the G genomes computes; see `compile`. Compiled."""
    use_kernel_cache()
    from wann.topology_kernels import compile_genomes

    return compile_genomes(genomes)
