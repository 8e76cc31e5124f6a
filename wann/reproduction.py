"""From one generation to the next: elites, culling, tournaments, one mutation a child."""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Int32, Int64

from wann.activations import LINEAR
from wann.config import SearchConfig
from wann.genome import Genome, Genomes, minimal_genome
from wann.kernel_cache import use_kernel_cache
from wann.population import Population
from wann.topology import Topology


def first_generation(
    num_inputs: int, num_outputs: int, config: SearchConfig, rng: np.random.Generator
) -> Population:
    """Return generation 0: no hidden nodes, each input-to-output link enabled by chance.

    Each genome has at least one link enabled, and no more than `max_connections`. Gaier & Ha 2019,
    section 3.2.
    """
    num_genes = (num_inputs + 1) * num_outputs
    enabled = rng.random((config.population, num_genes)) < config.initial_enable
    empty = ~enabled.any(axis=1)
    enabled[empty, rng.integers(num_genes, size=config.population)[empty]] = True
    if config.max_connections:
        enabled = _at_most(config.max_connections, enabled, rng)
    genomes = [minimal_genome(num_inputs, num_outputs, each) for each in enabled]
    return Population(Genomes.stack(genomes), 0)


def _at_most(
    limit: int, flags: Bool[np.ndarray, "G C"], rng: np.random.Generator
) -> Bool[np.ndarray, "G C"]:
    """Return the flags with all but `limit` of each row's taken away, drawn at random."""
    draws = np.where(flags, rng.random(flags.shape), np.inf)
    return flags & (draws.argsort(axis=1).argsort(axis=1) < limit)


def generation_from(
    topology: Topology, config: SearchConfig, rng: np.random.Generator
) -> Population:
    """Return generation 0 made of a found network, once, and its mutants.

    Raises ValueError when the network has more than `max_connections`.
    """
    use_kernel_cache()
    from wann.reproduction_kernels import breed

    if 0 < config.max_connections < topology.num_connections:
        raise ValueError(
            f"the start network has {topology.num_connections} connections, "
            f"but max_connections is {config.max_connections}"
        )
    twins = Genomes.stack([genome_of(topology)] * 2)
    one_of_two = config.replace(cull_ratio=0.0, elite_ratio=0.5)  # goes on unchanged
    return Population(breed(twins, np.arange(2), one_of_two, rng), 0)


def genome_of(topology: Topology) -> Genome:
    """Return a genome that computes `topology`, with all its links enabled.

    Links from inputs to outputs that the topology lacks are there too, disabled, as in every genome
    that evolution grows.
    """
    outputs = topology.outputs.tolist()
    first_hidden = 1 + topology.num_inputs + topology.num_outputs
    hidden = [
        node for node in range(1 + topology.num_inputs, topology.num_nodes) if node not in outputs
    ]
    number = {node: node for node in range(1 + topology.num_inputs)}
    number |= {node: 1 + topology.num_inputs + index for index, node in enumerate(outputs)}
    number |= {node: first_hidden + index for index, node in enumerate(hidden)}
    activations = np.full(first_hidden + len(hidden), LINEAR, dtype=np.uint8)
    for node in range(1 + topology.num_inputs, topology.num_nodes):
        activations[number[node]] = topology.activations[node]
    sources = _renumbered(topology.sources, number)
    targets = _renumbered(topology.targets(), number)
    present = set(zip(sources.tolist(), targets.tolist(), strict=True))
    direct = [
        (source, target)
        for source in range(topology.num_inputs + 1)
        for target in range(topology.num_inputs + 1, first_hidden)
        if (source, target) not in present
    ]
    return Genome(
        topology.num_inputs,
        topology.num_outputs,
        activations,
        np.concatenate([sources, np.array([a for a, _ in direct], dtype=np.int32)]),
        np.concatenate([targets, np.array([b for _, b in direct], dtype=np.int32)]),
        np.repeat([True, False], [len(sources), len(direct)]),
    ).check()


def _renumbered(nodes: Int32[np.ndarray, "E"], number: dict[int, int]) -> Int32[np.ndarray, "E"]:
    return np.array([number[node] for node in nodes.tolist()], dtype=np.int32)


def next_generation(
    population: Population,
    order: Int64[np.ndarray, "G"],
    config: SearchConfig,
    rng: np.random.Generator,
) -> Population:
    """Return the generation that follows, of `config.population` genomes.

    order: indices of the genomes, best first. The worst `cull_ratio` cannot be parents;
    `elite_ratio` of the others go on unchanged; every other child is the best of `tournament` draws
    with one mutation. A child whose canonical live topology is in the new generation already is
    mutated again, up to five times. Gaier & Ha 2019, section 3.2.
    """
    use_kernel_cache()
    from wann.reproduction_kernels import breed

    children = breed(population.genomes, np.ascontiguousarray(order, np.int64), config, rng)
    return Population(children, population.generation + 1)
