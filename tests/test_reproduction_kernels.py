import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ALL_OPERATORS, assert_same_arrays, genomes, grown_genomes, random_dag

from wann.config import OPERATORS
from wann.genome import Genome
from wann.mutation import MutationRules, mutate
from wann.reproduction_kernels import NUM_LIST_ROWS, insert_key, mutate_one, power_of_two_above


def kernel_child(genome, config, rng):
    """Return the child that the compiled twin makes."""
    rules = MutationRules.of(config)
    num_nodes, num_genes = genome.num_nodes, len(genome.sources)
    room = max(num_nodes, num_genes) + 2
    nodes, on = np.zeros(num_nodes + 1, dtype=np.uint8), np.zeros(num_genes + 2, dtype=bool)
    genes = np.zeros((2, num_genes + 2), dtype=np.int32)
    nodes[:num_nodes], on[:num_genes] = genome.activations, genome.enabled
    genes[0, :num_genes], genes[1, :num_genes] = genome.sources, genome.targets
    num_nodes, num_genes = mutate_one(
        rng, nodes, genes, on, num_nodes, num_genes, genome.num_inputs, genome.num_fixed,
        np.cumsum(config.operators), rules.activations, rules.output_links,
        np.empty((NUM_LIST_ROWS, room), dtype=np.int32), np.empty(room, dtype=np.int32),
    )  # fmt: skip
    return Genome(
        genome.num_inputs,
        genome.num_outputs,
        nodes[:num_nodes],
        genes[0, :num_genes],
        genes[1, :num_genes],
        on[:num_genes],
    )


def check_twins(genome, config, seed):
    """Compare the twins' children, and what they leave of the generator."""
    rng, twin = np.random.default_rng(seed), np.random.default_rng(seed)
    child = mutate(genome, config, rng)
    assert_same_arrays(kernel_child(genome, config, twin), child)
    assert rng.bit_generator.state == twin.bit_generator.state
    return child


def only(name, output_links):
    shares = dict.fromkeys(OPERATORS, 0.0) | {name: 1.0}
    return ALL_OPERATORS.replace(**shares, output_links=output_links)


@pytest.mark.parametrize("output_links", [False, True])
@pytest.mark.parametrize("name", OPERATORS)
def test_each_operator_makes_the_child_of_its_readable_twin(name, output_links):
    config = only(name, output_links)
    rng = np.random.default_rng(41)
    several = grown_genomes(40, 25, 60, config=ALL_OPERATORS.replace(output_links=output_links))
    several += grown_genomes(42, 10, 0) + [random_dag(rng) for _ in range(40)]
    for genome in several:
        for seed in range(4):
            check_twins(genome, config, seed)


@given(genomes(), st.booleans(), st.integers(0, 2**32 - 1))
def test_any_genome_gets_the_child_of_the_readable_twin(genome, output_links, seed):
    check_twins(genome, ALL_OPERATORS.replace(output_links=output_links), seed)


@pytest.mark.parametrize("activations", [("tanh",), ("linear", "step", "square")])
def test_the_twins_agree_down_long_lines_of_descent(activations):
    config = ALL_OPERATORS.replace(activations=activations)
    for line, start in enumerate(grown_genomes(50, 3, 0)):
        genome = start
        for step in range(300):
            genome = check_twins(genome, config, 1000 * line + step)


@given(st.lists(st.integers(0, 40) | st.integers(0, 2**64 - 1), max_size=30))
def test_a_key_is_inserted_once(values):
    table = np.full(power_of_two_above(3 * len(values)), -1, dtype=np.int64)
    keys = np.empty(len(values), dtype=np.uint64)
    seen = set()
    for index, value in enumerate(values):
        assert insert_key(table, keys, np.uint64(value), index) == (value not in seen)
        seen.add(value)


@pytest.mark.parametrize(
    ("count", "power"), [(0, 1), (1, 2), (2, 4), (3, 4), (1023, 1024), (1024, 2048)]
)
def test_the_table_is_a_power_of_two_above_its_keys(count, power):
    assert power_of_two_above(count) == power
