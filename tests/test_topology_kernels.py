import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from strategies import ALL_OPERATORS, assert_same_arrays, genomes, grown_genomes, random_dag

from wann.genome import Genomes
from wann.reproduction import first_generation, next_generation
from wann.topology import Topologies, compile, compile_all


def check_kernel(several):
    """Compare the compiled twin with the readable one, array for array."""
    compiled = compile_all(Genomes.stack(several))
    assert_same_arrays(compiled, Topologies.stack([compile(genome) for genome in several]))


@pytest.mark.parametrize("output_links", [False, True])
@pytest.mark.parametrize(("num_inputs", "num_outputs"), [(1, 1), (5, 1), (4, 3)])
def test_the_kernel_compiles_what_hundreds_of_generations_made(
    num_inputs, num_outputs, output_links
):
    config = ALL_OPERATORS.replace(output_links=output_links, population=40)
    rng = np.random.default_rng(100 * num_inputs + output_links)
    population = first_generation(num_inputs, num_outputs, config, rng)
    for _ in range(400):
        population = next_generation(population, rng.permutation(40), config, rng)
    population.genomes.check()
    assert compile_all(population.genomes).num_connections.mean() > 25
    check_kernel(list(population.genomes))


@given(st.lists(genomes(max_inputs=1, max_outputs=1, max_hidden=5), min_size=1, max_size=4))
def test_the_kernel_compiles_any_genes(several):
    check_kernel(several)


def test_the_kernel_compiles_dense_and_sparse_graphs():
    rng = np.random.default_rng(8)
    for density in (0.0, 0.05, 0.3, 1.0):
        check_kernel([random_dag(rng, 3, 3, 12, density) for _ in range(10)])


def test_a_network_does_not_depend_on_its_neighbours_in_the_batch():
    several = grown_genomes(21, 6, 60) + grown_genomes(22, 6, 1)
    batch = compile_all(Genomes.stack(several))
    for genome, found in zip(several, batch, strict=True):
        assert_same_arrays(compile_all(Genomes.stack([genome]))[0], found)
