"""Genomes: node activations and connection genes, and never a weight."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import IntEnum

import numpy as np
from jaxtyping import Bool, Int32, Int64, UInt8

from wann.activations import LINEAR, activation_ids


class Role(IntEnum):
    """What a node is for. The bias is node 0, inputs follow, then outputs, then hidden nodes."""

    BIAS = 0
    INPUT = 1
    OUTPUT = 2
    HIDDEN = 3


@dataclass(frozen=True, eq=False)
class Genome:
    """A network's structure as evolution edits it: N nodes and C connection genes.

    Nodes are numbered: 0 the bias (constant 1), 1..I inputs, I+1..I+O outputs, then hidden nodes.
    activations: [N] ids of `wann.activations`; the bias and inputs are linear.
    sources, targets: [C] node numbers of each gene. enabled: [C]; a disabled gene carries nothing.
    No two genes join the same pair, none ends in the bias or an input, and all together, the
    disabled ones included, hold no cycle, so that enabling a gene is always safe.
    """

    num_inputs: int
    num_outputs: int
    activations: UInt8[np.ndarray, "N"]
    sources: Int32[np.ndarray, "C"]
    targets: Int32[np.ndarray, "C"]
    enabled: Bool[np.ndarray, "C"]

    @property
    def num_nodes(self) -> int:
        """Number of nodes N: bias, inputs, outputs and hidden."""
        return len(self.activations)

    @property
    def num_fixed(self) -> int:
        """Number of nodes that every genome of this size has; hidden nodes are numbered from it."""
        return 1 + self.num_inputs + self.num_outputs

    def role(self, node: int) -> Role:
        """Return what node number `node` is for."""
        if node == 0:
            return Role.BIAS
        if node <= self.num_inputs:
            return Role.INPUT
        return Role.OUTPUT if node < self.num_fixed else Role.HIDDEN

    def check(self) -> Genome:
        """Return this genome when it keeps every invariant of the class.

        Raises ValueError that names the first gene or node that does not.
        """
        Genomes.stack([self]).check()
        return self


def has_cycle(
    num_nodes: int, sources: Int64[np.ndarray, "C"], targets: Int64[np.ndarray, "C"]
) -> bool:
    """Return whether the directed graph of these C links has a cycle.

    It has one exactly where a node leads to itself or two nodes lead to each other.
    """
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    links = coo_array(
        (np.ones(len(sources), dtype=np.int8), (sources, targets)), shape=(num_nodes, num_nodes)
    )
    num_strong, _ = connected_components(links, connection="strong")
    return num_strong < num_nodes or bool((sources == targets).any())


@dataclass(frozen=True, eq=False)
class Genomes:
    """G genomes of one size of input and output, in flat arrays that kernels take.

    node_offsets: [G+1], genome g's nodes are activations[node_offsets[g]:node_offsets[g+1]].
    gene_offsets: [G+1], the same for sources, targets and enabled.
    Node numbers are those within each genome. See `Genome` for the invariants.
    """

    num_inputs: int
    num_outputs: int
    node_offsets: Int64[np.ndarray, "G_plus_1"]
    activations: UInt8[np.ndarray, "allN"]
    gene_offsets: Int64[np.ndarray, "G_plus_1"]
    sources: Int32[np.ndarray, "allC"]
    targets: Int32[np.ndarray, "allC"]
    enabled: Bool[np.ndarray, "allC"]

    @classmethod
    def stack(cls, genomes: Sequence[Genome]) -> Genomes:
        """Return these genomes as one batch. Raises ValueError when empty or of several sizes."""
        if not genomes:
            raise ValueError("a batch needs at least one genome")
        sizes = {(each.num_inputs, each.num_outputs) for each in genomes}
        if len(sizes) > 1:
            raise ValueError(f"genomes of one batch must have one size, but these have {sizes}")
        return cls(
            genomes[0].num_inputs,
            genomes[0].num_outputs,
            _offsets([each.num_nodes for each in genomes]),
            np.concatenate([each.activations for each in genomes]),
            _offsets([len(each.sources) for each in genomes]),
            np.concatenate([each.sources for each in genomes]),
            np.concatenate([each.targets for each in genomes]),
            np.concatenate([each.enabled for each in genomes]),
        )

    def check(self) -> Genomes:
        """Return this batch when every genome keeps every invariant of `Genome`.

        Raises ValueError that names the first genome, gene or node that does not.
        """
        _check_offsets("node", self.node_offsets, len(self.activations))
        _check_offsets("gene", self.gene_offsets, len(self.sources))
        if len(self.node_offsets) != len(self.gene_offsets):
            raise ValueError("a batch needs as many node offsets as gene offsets")
        if not len(self.sources) == len(self.targets) == len(self.enabled):
            raise ValueError("genomes need as many sources as targets and enabled flags")
        if self.num_inputs < 1 or self.num_outputs < 1 or len(self) < 1:
            raise ValueError("a batch needs a genome, and each at least one input and one output")
        sizes = np.diff(self.node_offsets)
        num_fixed = 1 + self.num_inputs + self.num_outputs
        _refuse("genome {} has too few nodes", sizes < num_fixed)
        known = np.isin(self.activations, activation_ids())
        _refuse("node {} of the batch has an unknown activation", ~known)
        owner = np.repeat(np.arange(len(self)), np.diff(self.gene_offsets))
        sources, targets = self.sources.astype(np.int64), self.targets.astype(np.int64)
        _refuse("gene {} of the batch starts at no node", (sources < 0) | (sources >= sizes[owner]))
        outside = (targets <= self.num_inputs) | (targets >= sizes[owner])
        _refuse("gene {} of the batch ends at no output or hidden node", outside)
        sources += self.node_offsets[owner]
        targets += self.node_offsets[owner]
        if len(np.unique(sources * len(self.activations) + targets)) != len(sources):
            raise ValueError("a genome holds two genes for the same pair of nodes")
        if has_cycle(len(self.activations), sources, targets):
            raise ValueError("a genome's genes form a cycle")
        return self

    def __len__(self) -> int:
        return len(self.node_offsets) - 1

    def __getitem__(self, index: int) -> Genome:
        if not -len(self) <= index < len(self):
            raise IndexError(f"genome {index} of {len(self)}")
        index %= len(self)
        nodes = slice(self.node_offsets[index], self.node_offsets[index + 1])
        genes = slice(self.gene_offsets[index], self.gene_offsets[index + 1])
        return Genome(
            self.num_inputs,
            self.num_outputs,
            self.activations[nodes],
            self.sources[genes],
            self.targets[genes],
            self.enabled[genes],
        )

    def __iter__(self) -> Iterator[Genome]:
        return (self[index] for index in range(len(self)))


def _offsets(sizes: list[int]) -> Int64[np.ndarray, "G_plus_1"]:
    return np.concatenate([[0], np.cumsum(sizes)]).astype(np.int64)


def _check_offsets(kind: str, offsets: Int64[np.ndarray, "G_plus_1"], total: int) -> None:
    falls = (offsets[1:] < offsets[:-1]).any()  # not by np.diff, whose differences can overflow
    if len(offsets) < 2 or offsets[0] != 0 or offsets[-1] != total or falls:
        raise ValueError(f"{kind} offsets must rise from 0 to {total}, one more than the genomes")


def _refuse(message: str, wrong: Bool[np.ndarray, "K"]) -> None:
    if wrong.any():
        raise ValueError(message.format(int(wrong.argmax())))


def minimal_genome(num_inputs: int, num_outputs: int, enabled: Bool[np.ndarray, "C"]) -> Genome:
    """Return a genome without hidden nodes: a gene from the bias and each input to each output.

    enabled: [(I+1)*O], in order of source, then output. Gaier & Ha 2019, the minimal start.
    """
    sources = np.repeat(np.arange(num_inputs + 1, dtype=np.int32), num_outputs)
    outputs = np.arange(num_inputs + 1, num_inputs + 1 + num_outputs, dtype=np.int32)
    targets = np.tile(outputs, num_inputs + 1)
    activations = np.full(1 + num_inputs + num_outputs, LINEAR, dtype=np.uint8)
    return Genome(num_inputs, num_outputs, activations, sources, targets, enabled)
