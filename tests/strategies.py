"""Random genomes for tests: Hypothesis strategies, and builders that a seed determines."""

import dataclasses

import numpy as np
from hypothesis import strategies as st

from wann.activations import LINEAR, PAPER_ACTIVATIONS, SIGMOID, TANH
from wann.config import SearchConfig
from wann.genome import Genome, Genomes
from wann.mutation import mutate
from wann.network import Network
from wann.reproduction import first_generation
from wann.topology import compile

ALL_OPERATORS = SearchConfig(
    population=64,
    tournament=8,
    insert_node=0.2,
    add_connection=0.3,
    enable_connection=0.1,
    change_activation=0.2,
    remove_connection=0.1,
    remove_node=0.1,
    initial_enable=0.5,
)
"""A configuration in which each of the six mutations is likely."""


def genome_of_genes(num_inputs, num_outputs, genes, hidden=()):
    """Return the genome with these genes, (source, target) or (source, target, enabled).

    hidden: the activations of the hidden nodes, which are numbered after the outputs.
    """
    rows = [(*gene, True)[:3] for gene in genes]
    columns = np.array(rows, dtype=np.int32).reshape(-1, 3).T
    fixed = [LINEAR] * (1 + num_inputs + num_outputs)
    return Genome(
        num_inputs,
        num_outputs,
        np.array([*fixed, *hidden], dtype=np.uint8),
        columns[0].copy(),
        columns[1].copy(),
        columns[2].astype(bool),
    ).check()


@st.composite
def genomes(draw, max_inputs=3, max_outputs=3, max_hidden=4, max_genes=14):
    """Return a strategy of genomes: any acyclic genes between any nodes, enabled or not."""
    num_inputs = draw(st.integers(1, max_inputs))
    num_outputs = draw(st.integers(1, max_outputs))
    num_fixed = 1 + num_inputs + num_outputs
    num_hidden = draw(st.integers(0, max_hidden))
    ids = st.sampled_from([each.id for each in PAPER_ACTIVATIONS])
    hidden = draw(st.lists(ids, min_size=num_hidden, max_size=num_hidden))
    computed = draw(st.permutations(range(num_inputs + 1, num_fixed + num_hidden)))
    order = [*range(num_inputs + 1), *computed]
    pairs = [
        (order[early], order[late])
        for late in range(num_inputs + 1, len(order))
        for early in range(late)
    ]
    genes = draw(st.lists(st.sampled_from(pairs), unique=True, max_size=max_genes))
    flags = draw(st.lists(st.booleans(), min_size=len(genes), max_size=len(genes)))
    rows = [(*gene, flag) for gene, flag in zip(genes, flags, strict=True)]
    return genome_of_genes(num_inputs, num_outputs, rows, hidden)


@st.composite
def networks(draw, max_inputs=4):
    """Return a strategy of compiled genomes, with a shared weight or one a link."""
    topology = compile(draw(genomes(max_inputs=max_inputs)))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    own = rng.normal(size=topology.num_connections)
    weights = draw(st.sampled_from([-2.0, 0.0, 0.5, 1.5])) if draw(st.booleans()) else own
    return Network(topology, weights, task="T-v0", action="argmax")


def grown_genomes(seed, count, steps, num_inputs=3, num_outputs=2, config=ALL_OPERATORS):
    """Return `count` genomes, each `steps` random mutations away from a first genome."""
    rng = np.random.default_rng(seed)
    config = config.replace(population=max(count, 2))
    grown = []
    for genome in list(first_generation(num_inputs, num_outputs, config, rng).genomes)[:count]:
        for _ in range(steps):
            genome = mutate(genome, config, rng)  # noqa: PLW2901
        grown.append(genome)
    return grown


def random_dag(rng, num_inputs=3, num_outputs=2, num_hidden=8, density=0.3):
    """Return a genome of random acyclic genes, most of them enabled; outputs may be sources."""
    num_fixed = 1 + num_inputs + num_outputs
    computed = rng.permutation(np.arange(num_inputs + 1, num_fixed + num_hidden)).tolist()
    order = [*range(num_inputs + 1), *computed]
    genes = [
        (order[early], order[late], rng.random() < 0.8)
        for late in range(num_inputs + 1, len(order))
        for early in range(late)
        if rng.random() < density
    ]
    hidden = rng.integers(1, len(PAPER_ACTIVATIONS) + 1, num_hidden).tolist()
    return genome_of_genes(num_inputs, num_outputs, genes, hidden)


def renumbered(genome, rng):
    """Return the same network, its hidden nodes numbered anew and its genes in another order."""
    hidden = np.arange(genome.num_fixed, genome.num_nodes)
    number = np.concatenate([np.arange(genome.num_fixed), rng.permutation(hidden)])
    activations = np.empty_like(genome.activations)
    activations[number] = genome.activations
    order = rng.permutation(len(genome.sources))
    return dataclasses.replace(
        genome,
        activations=activations,
        sources=number[genome.sources[order]].astype(np.int32),
        targets=number[genome.targets[order]].astype(np.int32),
        enabled=genome.enabled[order],
    ).check()


def with_dead_parts(genome):
    """Return the genome with five nodes that compute nothing for any output.

    One leads nowhere, one comes from nowhere, one hangs on that one, and a chain of two has its
    middle disabled.
    """
    first = genome.num_nodes
    output = genome.num_inputs + 1
    extra = [
        (1, first, True),
        (first + 1, output, True),
        (first + 1, first + 2, True),
        (first + 2, output, True),
        (0, first + 3, True),
        (first + 3, first + 4, False),
        (first + 4, output, True),
    ]
    columns = np.array(extra, dtype=np.int32).T
    ids = np.array([TANH, SIGMOID, TANH, LINEAR, SIGMOID], dtype=np.uint8)
    return dataclasses.replace(
        genome,
        activations=np.concatenate([genome.activations, ids]),
        sources=np.concatenate([genome.sources, columns[0]]),
        targets=np.concatenate([genome.targets, columns[1]]),
        enabled=np.concatenate([genome.enabled, columns[2].astype(bool)]),
    ).check()


def assert_same_arrays(left, right):
    """Assert that two dataclasses of arrays are equal, array for array and dtype for dtype."""
    assert type(left) is type(right)
    for each in dataclasses.fields(left):
        one, other = getattr(left, each.name), getattr(right, each.name)
        if isinstance(one, np.ndarray):
            assert one.dtype == other.dtype, each.name
            np.testing.assert_array_equal(one, other, err_msg=each.name)
        else:
            assert one == other, each.name


def stacked(genomes_list):
    """Return genomes as one checked batch."""
    return Genomes.stack(genomes_list).check()
