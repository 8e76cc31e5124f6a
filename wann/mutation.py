"""The six mutations, each a pure function from a genome to a child of it.

These are the readable twins of `wann.reproduction_kernels`: the same draws from the same
generator give the same child. Gaier & Ha 2019, section 3.2, names the first, second and fourth.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from enum import IntEnum
from typing import TypeAlias

import numpy as np
from jaxtyping import Bool, UInt8

from wann.activations import activation_named
from wann.config import OPERATORS, SearchConfig
from wann.genome import Genome


class Operator(IntEnum):
    """The mutations, in the order of `wann.config.OPERATORS`."""

    INSERT_NODE = 0
    ADD_CONNECTION = 1
    ENABLE_CONNECTION = 2
    CHANGE_ACTIVATION = 3
    REMOVE_CONNECTION = 4
    REMOVE_NODE = 5


@dataclasses.dataclass(frozen=True)
class MutationRules:
    """What the operators need to know of a configuration.

    activations: [A] ids that a hidden node may have. output_links: whether outputs may be sources.
    """

    activations: UInt8[np.ndarray, "A"]
    output_links: bool

    @classmethod
    def of(cls, config: SearchConfig) -> MutationRules:
        """Return the rules that a configuration asks for."""
        ids = [activation_named(name).id for name in config.activations]
        return cls(np.array(ids, dtype=np.uint8), config.output_links)


Mutation: TypeAlias = Callable[[Genome, MutationRules, np.random.Generator], Genome]


def below(rng: np.random.Generator, count: int) -> int:
    """Return a whole number from 0 to count - 1, each as likely; one draw from `rng`."""
    return int(rng.random() * count)


def mutate(genome: Genome, config: SearchConfig, rng: np.random.Generator) -> Genome:
    """Return a child that differs by one mutation, or the genome where that one cannot be made."""
    draw = rng.random()
    chosen = int(np.searchsorted(np.cumsum(config.operators), draw, side="right"))
    operator = Operator(min(chosen, len(OPERATORS) - 1))
    return MUTATIONS[operator](genome, MutationRules.of(config), rng)


def insert_node(genome: Genome, rules: MutationRules, rng: np.random.Generator) -> Genome:
    """Return a child with a new node in the middle of an enabled gene, which is disabled."""
    enabled = np.flatnonzero(genome.enabled)
    if len(enabled) == 0:
        return genome
    gene = enabled[below(rng, len(enabled))]
    activation = rules.activations[below(rng, len(rules.activations))]
    node = np.int32(genome.num_nodes)
    flags = genome.enabled.copy()
    flags[gene] = False
    return dataclasses.replace(
        genome,
        activations=np.append(genome.activations, activation),
        sources=np.append(genome.sources, [genome.sources[gene], node]).astype(np.int32),
        targets=np.append(genome.targets, [node, genome.targets[gene]]).astype(np.int32),
        enabled=np.append(flags, [True, True]),
    )


def add_connection(genome: Genome, rules: MutationRules, rng: np.random.Generator) -> Genome:
    """Return a child with a gene between two nodes that had none, without closing a cycle.

    Sources are tried in random order; the first with a legal target wins and a legal target is
    drawn. Legal is judged by reachability: layers, as in the public reference, forbid more.
    """
    sources = [
        node
        for node in range(genome.num_nodes)
        if rules.output_links or not genome.num_inputs < node < genome.num_fixed
    ]
    for tried in range(len(sources)):
        pick = tried + below(rng, len(sources) - tried)  # a step of Fisher & Yates's shuffle
        sources[tried], sources[pick] = sources[pick], sources[tried]
        source = sources[tried]
        forbidden = ancestors(genome, source)
        forbidden[source] = True
        forbidden[genome.targets[genome.sources == source]] = True
        forbidden[: genome.num_inputs + 1] = True
        targets = np.flatnonzero(~forbidden)
        if len(targets) > 0:
            target = targets[below(rng, len(targets))]
            return dataclasses.replace(
                genome,
                sources=np.append(genome.sources, np.int32(source)),
                targets=np.append(genome.targets, np.int32(target)),
                enabled=np.append(genome.enabled, True),
            )
    return genome


def ancestors(genome: Genome, node: int) -> Bool[np.ndarray, "N"]:
    """Return which nodes reach `node` over genes, the disabled ones included."""
    found = np.zeros(genome.num_nodes, dtype=bool)
    waiting = [node]
    while waiting:
        for source in genome.sources[genome.targets == waiting.pop()].tolist():
            if not found[source]:
                found[source] = True
                waiting.append(source)
    return found


def enable_connection(genome: Genome, rules: MutationRules, rng: np.random.Generator) -> Genome:
    """Return a child with one disabled gene enabled."""
    disabled = np.flatnonzero(~genome.enabled)
    if len(disabled) == 0:
        return genome
    flags = genome.enabled.copy()
    flags[disabled[below(rng, len(disabled))]] = True
    return dataclasses.replace(genome, enabled=flags)


def change_activation(genome: Genome, rules: MutationRules, rng: np.random.Generator) -> Genome:
    """Return a child in which one hidden node has another activation."""
    num_hidden = genome.num_nodes - genome.num_fixed
    if num_hidden == 0:
        return genome
    node = genome.num_fixed + below(rng, num_hidden)
    others = rules.activations[rules.activations != genome.activations[node]]
    if len(others) == 0:
        return genome
    changed = genome.activations.copy()
    changed[node] = others[below(rng, len(others))]
    return dataclasses.replace(genome, activations=changed)


def remove_connection(genome: Genome, rules: MutationRules, rng: np.random.Generator) -> Genome:
    """Return a child without one of the enabled genes."""
    enabled = np.flatnonzero(genome.enabled)
    if len(enabled) == 0:
        return genome
    kept = np.ones(len(genome.sources), dtype=bool)
    kept[enabled[below(rng, len(enabled))]] = False
    return _with_genes(genome, kept)


def remove_node(genome: Genome, rules: MutationRules, rng: np.random.Generator) -> Genome:
    """Return a child without one of the hidden nodes and without the genes that met it."""
    num_hidden = genome.num_nodes - genome.num_fixed
    if num_hidden == 0:
        return genome
    node = genome.num_fixed + below(rng, num_hidden)
    child = _with_genes(genome, (genome.sources != node) & (genome.targets != node))
    return dataclasses.replace(
        child,
        activations=np.delete(genome.activations, node),
        sources=child.sources - (child.sources > node).astype(np.int32),
        targets=child.targets - (child.targets > node).astype(np.int32),
    )


def _with_genes(genome: Genome, kept: Bool[np.ndarray, "C"]) -> Genome:
    return dataclasses.replace(
        genome,
        sources=genome.sources[kept],
        targets=genome.targets[kept],
        enabled=genome.enabled[kept],
    )


MUTATIONS: tuple[Mutation, ...] = (
    insert_node,
    add_connection,
    enable_connection,
    change_activation,
    remove_connection,
    remove_node,
)
