"""neat-python's state as arrays, and its random numbers apart from everyone else's."""

from __future__ import annotations

import random

import numpy as np
import pytest

from wann.archive import Archive
from wann.config import SearchConfig
from wann.neat.genomes import neat_config
from wann.neat.state import (
    ARRAYS,
    NeatState,
    OwnRandom,
    first_population,
    from_arrays,
    network_key,
    to_arrays,
)
from wann.topology import Topology

CONFIG = SearchConfig(algorithm="neat", population=20, activations=("tanh", "sin"))


def evolve(population, own_random, generations):
    for _ in range(generations):
        for genome in population.population.values():
            biases = sum(each.bias for each in genome.nodes.values())
            genome.fitness = biases - 0.1 * len(genome.connections)
        with own_random.in_place():
            population.run(lambda genomes, config: None, 1)


def grown(generations, seed=4):
    own_random = OwnRandom(seed)
    population = first_population(neat_config(CONFIG, 3, 2), own_random)
    evolve(population, own_random, generations)
    return population, own_random


def same(one, other):
    return all(np.array_equal(one[name], other[name], equal_nan=True) for name in ARRAYS)


def test_a_population_comes_back_from_its_arrays():
    arrays = to_arrays(*grown(12))
    assert len(set(arrays["species.keys"])) > 1
    assert same(to_arrays(*from_arrays(arrays, neat_config(CONFIG, 3, 2))), arrays)


@pytest.mark.parametrize("generations", [0, 1, 12])
def test_a_restored_population_goes_on_as_the_one_it_was_made_from(generations):
    population, own_random = grown(generations)
    restored = from_arrays(to_arrays(population, own_random), neat_config(CONFIG, 3, 2))
    evolve(population, own_random, 25)
    evolve(*restored, 25)
    assert same(to_arrays(*restored), to_arrays(population, own_random))
    assert population.generation == generations + 25


def test_another_seed_gives_another_population():
    assert not same(to_arrays(*grown(1, seed=4)), to_arrays(*grown(1, seed=5)))


def test_the_random_numbers_of_others_are_left_as_they_were_even_after_an_error():
    random.seed(1)
    wanted = [random.random() for _ in range(3)]
    random.seed(1)
    own_random = OwnRandom(9)
    found = [random.random()]
    with own_random.in_place():
        theirs = [random.random()]
    found.append(random.random())

    def fail():
        with own_random.in_place():
            theirs.append(random.random())
            raise RuntimeError("stop")

    with pytest.raises(RuntimeError, match="stop"):
        fail()
    found.append(random.random())
    assert found == wanted
    alone = random.Random(9)
    assert theirs == [alone.random(), alone.random()]


def damaged(name, change):
    arrays = to_arrays(*grown(5))
    values = arrays[name].copy()
    change(values)
    return NeatState(arrays | {name: values}, Archive(), 3, 2)


def test_arrays_that_do_not_fit_each_other_are_refused():
    def absent(values):
        values[0] = 10**6

    cases = [
        ("species.representatives", "has a genome that is not in the population"),
        ("members.keys", "has a genome that is not in the population"),
        ("links.targets", "has links between nodes that it does not have"),
    ]
    for name, message in cases:
        with pytest.raises(ValueError, match=message):
            damaged(name, absent).check()
    cut = to_arrays(*grown(5))
    cut["links.weights"] = cut["links.weights"][:-1]
    with pytest.raises(ValueError, match="zip"):
        NeatState(cut, Archive(), 3, 2).check()


def test_a_cycle_is_refused():
    arrays = to_arrays(*grown(0))
    node = 2  # hidden, with a link to itself
    arrays["nodes.keys"] = np.insert(arrays["nodes.keys"], 0, node)
    arrays["links.sources"][0] = arrays["links.targets"][0] = node
    for name in ("biases", "responses", "activations"):
        arrays[f"nodes.{name}"] = np.insert(arrays[f"nodes.{name}"], 0, 1)
    arrays["nodes.offsets"][1:] += 1
    with pytest.raises(ValueError, match="cycle"):
        NeatState(arrays, Archive(), 3, 2).check()


def test_a_network_key_differs_with_any_weight_link_or_activation():
    topology = Topology(
        1,
        np.array([0, 0, 0, 2], dtype=np.int32),
        np.array([0, 1], dtype=np.int32),
        np.array([1, 1, 5], dtype=np.uint8),
        np.array([2], dtype=np.int32),
    )
    other = Topology(
        1, topology.offsets, topology.sources, np.array([1, 1, 6], np.uint8), topology.outputs
    )
    weights = np.array([0.5, -0.5])
    keys = {
        network_key(topology, weights),
        network_key(other, weights),
        network_key(topology, weights + 1e-15),
    }
    assert len(keys) == 3
    assert network_key(topology, weights.copy()) in keys
