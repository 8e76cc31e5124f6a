import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats
from strategies import (
    ALL_OPERATORS,
    assert_same_arrays,
    genome_of_genes,
    genomes,
    grown_genomes,
    random_dag,
)

from wann.config import OPERATORS, SearchConfig
from wann.forward import forward
from wann.genome import Genomes, minimal_genome
from wann.mutation import below, mutate
from wann.population import Population
from wann.reproduction import first_generation, generation_from, genome_of, next_generation
from wann.topology import compile, compile_all

UNCHANGING = SearchConfig(  # a child is a copy of its parent: there is no node to change
    **(dict.fromkeys(OPERATORS, 0.0) | {"change_activation": 1.0}), tournament=3
)


def told_apart(count):
    """Return a population whose genome k enables the genes that are the bits of k + 1."""
    bits = (np.arange(1, count + 1)[:, None] >> np.arange(12)) & 1
    return Population(Genomes.stack([minimal_genome(11, 1, each == 1) for each in bits]), 3)


def numbers(population):
    """Return which genomes of `told_apart` these are."""
    return [int((each.enabled << np.arange(12)).sum()) - 1 for each in population.genomes]


def breed_by_definition(population, order, config, rng):
    """Return the children that the docstring of `next_generation` describes."""
    parents = [population.genomes[int(index)] for index in order]
    num_parents = len(parents) - int(config.cull_ratio * len(parents))
    num_elites = int(config.elite_ratio * num_parents)
    children = parents[:num_elites][: config.population]
    keys = {compile(each).key() for each in children}
    while len(children) < config.population:
        winner = min(below(rng, num_parents) for _ in range(config.tournament))
        child = parent = parents[winner]
        for _ in range(6):
            child = mutate(child, config, rng)
            topology = compile(child)
            if 0 < config.max_connections < topology.num_connections:
                child = parent
            elif topology.key() not in keys:
                keys.add(topology.key())
                break
        children.append(child)
    return Genomes.stack(children)


@pytest.mark.parametrize(
    "changes",
    [
        {},
        {"output_links": True, "population": 50},
        {"max_connections": 14},
        {"cull_ratio": 0.0, "elite_ratio": 0.0, "tournament": 1},
        {"cull_ratio": 0.9, "elite_ratio": 0.99, "population": 7},
        {"cull_ratio": 0.99, "elite_ratio": 0.99, "population": 7},
    ],
)
def test_a_generation_is_bred_by_its_definition(changes):
    config = ALL_OPERATORS.replace(population=24).replace(**changes)
    start = Genomes.stack(grown_genomes(61, 30, 12))
    rng, twin = np.random.default_rng(8), np.random.default_rng(8)
    population = Population(start, 5)
    for generation in range(6, 10):
        order = np.random.default_rng(generation).permutation(len(population))
        expected = breed_by_definition(population, order, config, twin)
        population = next_generation(population, order, config, rng)
        assert_same_arrays(population.genomes.check(), expected)
        assert population.generation == generation
        assert len(population) == config.population
        assert rng.bit_generator.state == twin.bit_generator.state


def test_elites_go_on_unchanged_and_in_order():
    population = told_apart(40)
    order = np.random.default_rng(1).permutation(40)
    config = ALL_OPERATORS.replace(population=40, cull_ratio=0.25, elite_ratio=0.5)
    children = next_generation(population, order, config, np.random.default_rng(2))
    for rank in range(15):  # 40 less 10 culled, half of them
        assert_same_arrays(children.genomes[rank], population.genomes[int(order[rank])])


@pytest.mark.parametrize("tournament", [1, 2, 5])
def test_a_parent_is_the_best_of_a_tournament_and_never_one_of_the_culled(tournament):
    population, count = told_apart(30), 6000
    order = np.random.default_rng(3).permutation(30)
    config = UNCHANGING.replace(
        population=count, tournament=tournament, elite_ratio=0.0, cull_ratio=0.2
    )
    children = next_generation(population, order, config, np.random.default_rng(4))
    rank_of = {int(index): rank for rank, index in enumerate(order)}
    found = np.bincount([rank_of[each] for each in numbers(children)], minlength=30)
    assert found[24:].tolist() == [0] * 6
    worse = np.arange(24, -1, -1) / 24  # share of the parents that rank r or lower, r = 0, 1, ...
    chance = worse[:-1] ** tournament - worse[1:] ** tournament
    assert stats.chisquare(found[:24], count * chance).pvalue > 1e-3


def test_hardly_a_child_repeats_another():
    config = SearchConfig(population=200)
    rng = np.random.default_rng(5)
    population = first_generation(4, 2, config, rng)
    for _ in range(15):
        population = next_generation(population, np.arange(200), config, rng)
    num_elites = int(0.2 * 160)
    keys = compile_all(population.genomes).keys[num_elites:]
    assert len(np.unique(keys)) > 0.95 * len(keys)


def test_a_child_that_can_only_repeat_is_kept_after_five_more_tries():
    config = UNCHANGING.replace(population=30)
    population = told_apart(5)
    children = next_generation(population, np.arange(5), config, np.random.default_rng(6))
    assert len(children) == 30
    assert set(numbers(children)) <= set(range(4))


def test_no_network_grows_past_the_most_connections_it_may_have():
    config = SearchConfig(population=60, max_connections=9, add_connection=0.45, insert_node=0.0)
    rng = np.random.default_rng(9)
    population = first_generation(5, 2, config, rng)
    largest = []
    for _ in range(40):
        largest.append(compile_all(population.genomes).num_connections.max())
        population = next_generation(population, rng.permutation(60), config, rng)
    assert set(largest) == {9}


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_first_generation_enables_each_link_by_chance_and_at_least_one(share):
    config = SearchConfig(population=400, initial_enable=share)
    population = first_generation(6, 3, config, np.random.default_rng(10))
    population.genomes.check()
    assert (population.generation, len(population)) == (0, 400)
    flags = np.array([each.enabled for each in population.genomes])
    assert flags.any(axis=1).all()
    if share == 0.0:
        assert (flags.sum(axis=1) == 1).all()
        assert stats.chisquare(flags.sum(axis=0)).pvalue > 1e-3
    else:
        assert stats.binomtest(int(flags.sum()), flags.size, share).pvalue > 1e-3
    assert all(each.num_nodes == each.num_fixed for each in population.genomes)


@given(st.integers(0, 2**32 - 1), st.integers(1, 6))
def test_the_first_generation_has_no_more_links_than_it_may(seed, limit):
    config = SearchConfig(population=30, max_connections=limit, initial_enable=0.9)
    population = first_generation(4, 2, config, np.random.default_rng(seed))
    flags = np.array([each.enabled for each in population.genomes])
    assert flags.sum(axis=1).max() <= limit
    assert flags.sum(axis=1).min() >= 1


def test_the_same_generator_gives_the_same_generations():
    runs = []
    for _ in range(2):
        rng = np.random.default_rng(12)
        population = first_generation(3, 2, ALL_OPERATORS, rng)
        for _ in range(5):
            population = next_generation(population, np.arange(64), ALL_OPERATORS, rng)
        runs.append(population)
    assert_same_arrays(runs[0].genomes, runs[1].genomes)
    other = next_generation(runs[0], np.arange(64), ALL_OPERATORS, np.random.default_rng(13))
    again = next_generation(runs[0], np.arange(64), ALL_OPERATORS, np.random.default_rng(14))
    assert compile_all(other.genomes).keys.tolist() != compile_all(again.genomes).keys.tolist()


@settings(max_examples=50)
@given(genomes())
def test_a_network_survives_being_made_a_genome(genome):
    topology = compile(genome)
    again = genome_of(topology).check()
    assert compile(again).key() == topology.key()
    pairs = set(zip(again.sources.tolist(), again.targets.tolist(), strict=True))
    outputs = range(again.num_inputs + 1, again.num_fixed)
    assert pairs >= {(node, output) for node in range(again.num_inputs + 1) for output in outputs}
    assert again.enabled.sum() == topology.num_connections


def test_a_network_made_a_genome_computes_the_same():
    rng = np.random.default_rng(15)
    for _ in range(30):
        topology = compile(random_dag(rng))
        inputs = rng.normal(size=(4, 3))
        again = compile(genome_of(topology))
        np.testing.assert_allclose(
            forward(again, -0.5, inputs), forward(topology, -0.5, inputs), rtol=1e-9, atol=1e-9
        )


def test_a_generation_from_a_network_is_that_network_and_its_mutants():
    topology = compile(random_dag(np.random.default_rng(16)))
    population = generation_from(topology, ALL_OPERATORS, np.random.default_rng(17))
    topologies = compile_all(population.genomes.check())
    assert (population.generation, len(population)) == (0, 64)
    assert topologies[0].key() == topology.key()
    assert (topologies.keys == topologies.keys[0]).sum() == 1
    assert len(np.unique(topologies.keys)) > 0.95 * 64
    assert abs(topologies.num_connections - topology.num_connections).max() < 20


def test_a_start_network_with_too_many_links_is_refused():
    topology = compile(genome_of_genes(2, 1, [(0, 3), (1, 3), (2, 3)]))
    with pytest.raises(ValueError, match="network has 3 connections, but max_connections is 2"):
        generation_from(topology, SearchConfig(max_connections=2), np.random.default_rng(0))
