import dataclasses
import json
import runpy
import subprocess
import sys

import neat
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.networks import random_network
from tests.strategies import networks
from wann.activations import PAPER_ACTIVATIONS, activation_named
from wann.export.formats import export_network
from wann.export.neat_python import (
    SCALED,
    evaluate_genome,
    from_neat,
    neat_population,
    run_neat,
    to_neat,
    write_neat,
)
from wann.network import Network

SEEDS = st.integers(0, 2**32 - 1)


def random_inputs(network, batch=20, seed=0):
    return np.random.default_rng(seed).normal(size=(batch, network.topology.num_inputs))


def close(found, expected):
    np.testing.assert_allclose(found, expected, rtol=1e-9, atol=1e-9)


@settings(max_examples=60, deadline=None)
@given(networks())
def test_a_genome_computes_in_neat_python_what_the_network_does(network):
    inputs = random_inputs(network)
    genome, config = to_neat(network)
    close(evaluate_genome(genome, config, inputs), network(inputs))
    again = from_neat(genome, config)
    close(again(inputs), network(inputs))
    if network.shared_weight != 0.0:
        assert again.topology.check().key() == network.topology.key()


@pytest.mark.parametrize("activation", PAPER_ACTIVATIONS, ids=lambda each: each.name)
def test_every_activation_is_the_same_over_there(activation):
    network = random_network(2, 2, 3, 12, seed=3, shared=False, output_links=True)
    ids = network.topology.activations.copy()
    ids[3:] = activation.id
    network = Network(dataclasses.replace(network.topology, activations=ids), network.weights)
    inputs = random_inputs(network, 200)
    genome, config = to_neat(network)
    with np.errstate(over="ignore", invalid="ignore"):
        close(evaluate_genome(genome, config, inputs), network(inputs))


@pytest.mark.parametrize("value", [1e200, -1e200, 1e6 + 0.5, np.inf, -np.inf])
def test_extreme_values_are_the_same_over_there(value):
    topology = random_network(1, 11, 0, 0, seed=0).topology
    sources = np.ones(11, dtype=np.int32)
    offsets = np.array([0, 0, *range(12)], dtype=np.int32)
    ids = np.array([1, 1, *range(1, 12)], dtype=np.uint8)
    outputs = np.arange(2, 13, dtype=np.int32)
    network = Network(
        dataclasses.replace(
            topology, sources=sources, offsets=offsets, activations=ids, outputs=outputs
        ),
        1.0,
    )
    inputs = np.array([[value]])
    with np.errstate(over="ignore", invalid="ignore"):
        close(evaluate_genome(*to_neat(network), inputs), network(inputs))


def their_genome(activations=("identity",), seed=0, num_hidden=3, aggregation="sum"):
    """Return a genome of neat-python with these activations, and its configuration."""
    rng = np.random.default_rng(seed)
    _, config = to_neat(random_network(2, 2, 0, 2, seed=0))
    genome = neat.DefaultGenome(5)
    keys = [-1, -2, *range(2, 2 + num_hidden), 0, 1]
    for key in keys[2:]:
        node = neat.genes.DefaultNodeGene(key)
        node.bias, node.response = rng.normal(), rng.normal()
        node.activation, node.aggregation = str(rng.choice(activations)), aggregation
        node.time_constant = 1.0
        genome.nodes[key] = node
    for late in range(2, len(keys)):
        for early in range(late):
            if rng.random() < 0.7:
                pair = (keys[early], keys[late])
                link = neat.genes.DefaultConnectionGene(pair, innovation=1)
                link.weight, link.enabled = rng.normal() * 3, bool(rng.random() < 0.8)
                genome.connections[pair] = link
    return genome, config


@pytest.mark.parametrize("activation", [*SCALED, "wann_cos"])
@pytest.mark.parametrize("seed", range(5))
def test_their_activations_are_folded_into_the_weights(activation, seed):
    genome, config = their_genome([activation], seed)
    network = from_neat(genome, config)
    inputs = 4.0 * random_inputs(network, 100)
    expected = evaluate_genome(genome, config, inputs)
    np.testing.assert_allclose(network(inputs), expected, rtol=1e-9, atol=1e-8)
    network.topology.check()


def test_sines_are_the_same_where_neat_python_holds_them():
    genome, config = their_genome(["sin"], num_hidden=0)
    network = from_neat(genome, config)
    inputs = np.linspace(-40.0, 40.0, 81).repeat(2).reshape(-1, 2)
    close(network(inputs), evaluate_genome(genome, config, inputs))


@settings(max_examples=40, deadline=None)
@given(SEEDS, st.lists(st.sampled_from([*SCALED, "wann_step", "wann_inverse"]), min_size=1))
def test_mixed_genomes_compute_the_same_here(seed, activations):
    genome, config = their_genome(activations, seed, num_hidden=5)
    network = from_neat(genome, config)
    inputs = random_inputs(network)
    if not {"wann_step", "sin"} & set(activations):  # a jump, and a slope of 5 a node
        expected = evaluate_genome(genome, config, inputs)
        np.testing.assert_allclose(network(inputs), expected, rtol=1e-6, atol=1e-6)
    network.topology.check()


REFUSED = ["elu", "lelu", "selu", "softplus", "inv", "log", "exp", "hat", "cube"]


@pytest.mark.parametrize("activation", REFUSED)
def test_an_activation_that_is_none_of_ours_is_refused_by_name(activation):
    with pytest.raises(ValueError, match=f"has activation '{activation}'; only identity, abs"):
        from_neat(*their_genome([activation]))


def test_every_activation_of_neat_python_is_either_read_or_refused():
    known = set(neat.activations.ActivationFunctionSet().functions)
    assert known == set(SCALED) | set(REFUSED)


def test_an_activation_of_the_genomes_own_is_refused_even_under_a_known_name():
    genome, config = their_genome(["tanh"])
    config.genome_config.add_activation("tanh", lambda x: x)
    with pytest.raises(ValueError, match="an activation 'tanh' that is the genome's own"):
        from_neat(genome, config)


@pytest.mark.parametrize("aggregation", ["product", "max", "mean"])
def test_other_aggregations_are_refused(aggregation):
    with pytest.raises(ValueError, match=f"aggregation 'sum', but it has '{aggregation}'"):
        from_neat(*their_genome(aggregation=aggregation))


def test_recurrent_genomes_are_refused():
    genome, config = their_genome()
    genome.connections[1, 2] = neat.genes.DefaultConnectionGene((1, 2), innovation=9)
    genome.connections[2, 1] = neat.genes.DefaultConnectionGene((2, 1), innovation=10)
    for pair in ((1, 2), (2, 1)):
        genome.connections[pair].weight, genome.connections[pair].enabled = 1.0, True
    with pytest.raises(ValueError, match="must not have a cycle"):
        from_neat(genome, config)
    config.genome_config.feed_forward = False
    with pytest.raises(ValueError, match="allows recurrent links"):
        from_neat(genome, config)


def test_a_genome_whose_links_name_no_node_is_refused():
    genome, config = their_genome()
    genome.connections[9, 0] = neat.genes.DefaultConnectionGene((9, 0), innovation=9)
    genome.connections[9, 0].weight, genome.connections[9, 0].enabled = 1.0, True
    with pytest.raises(ValueError, match="name a node 9, which it does not have"):
        from_neat(genome, config)


def test_infinite_weights_are_refused():
    genome, config = their_genome()
    for link in genome.connections.values():
        link.weight = float("inf")
    with pytest.raises(ValueError, match="must hold finite numbers"):
        from_neat(genome, config)


def test_a_module_makes_the_genome_without_our_package(tmp_path):
    network = random_network(3, 2, 10, 40, seed=1, shared=False)
    write_neat(network, tmp_path / "champion.py")
    inputs = random_inputs(network, 5)
    with np.errstate(over="ignore", invalid="ignore"):
        expected = network(inputs)
    close(run_neat(tmp_path / "champion.py", inputs), expected)
    program = (
        "import sys; sys.modules['wann'] = None\n"
        "import json, neat, champion\n"
        "net = neat.nn.FeedForwardNetwork.create(*champion.make())\n"
        "print(json.dumps([net.activate(row) for row in json.loads(sys.argv[1])]))\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program, json.dumps(inputs.tolist())],
        cwd=tmp_path,
        env={"PYTHONPATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=True,
    )
    close(np.array(json.loads(done.stdout)), expected)


def test_a_registered_activation_is_handed_over_in_python_but_not_in_a_module(tmp_path):
    from wann.activations import register_activation

    name = "softsign_for_neat"
    try:
        added = activation_named(name)
    except ValueError:
        added = register_activation(name, lambda x: x / (1.0 + np.abs(x)))
    network = random_network(2, 1, 1, 5, seed=0)
    ids = network.topology.activations.copy()
    ids[3:] = added.id
    network = Network(dataclasses.replace(network.topology, activations=ids), 1.5)
    inputs = random_inputs(network)
    genome, config = to_neat(network)
    close(evaluate_genome(genome, config, inputs), network(inputs))
    close(from_neat(genome, config)(inputs), network(inputs))
    with pytest.raises(ValueError, match=f"activation '{name}' is registered, and its function"):
        write_neat(network, tmp_path / "champion.py")


def fitness_of(genome, config):
    inputs = np.linspace(-1.0, 1.0, 11).reshape(-1, 1)
    return -float(np.abs(evaluate_genome(genome, config, inputs)[:, 0] - inputs[:, 0] ** 3).sum())


def test_evolution_goes_on_from_the_network_and_never_falls_below_it():
    network = random_network(1, 1, 3, 8, seed=4)
    genome, config = to_neat(network, population=30)
    population = neat_population(genome, config, seed=1)
    assert len(population.population) == 30
    start = fitness_of(genome, config)

    def evaluate(genomes, config):
        for _, each in genomes:
            each.fitness = fitness_of(each, config)

    best = population.run(evaluate, 8)
    assert best.fitness > start
    inputs = random_inputs(network)
    close(from_neat(best, config)(inputs), evaluate_genome(best, config, inputs))
    innovations = [each.innovation for each in best.connections.values()]
    assert len(set(innovations)) == len(innovations)


def test_a_population_of_one_is_refused():
    with pytest.raises(ValueError, match="population must be at least 2"):
        to_neat(random_network(1, 1, 0, 2, seed=0), population=1)


def test_an_export_is_checked_and_says_so(tmp_path):
    network = random_network(4, 2, 12, 40, seed=1, shared=False)
    check = export_network(network, "neat", tmp_path / "net.py")
    assert check.worst < 1.0
    about = runpy.run_path(str(tmp_path / "net.py"))["ABOUT"]
    assert about["check"]["max_difference"] == check.max_difference
