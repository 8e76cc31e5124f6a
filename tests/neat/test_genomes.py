"""What a genome of neat-python computes, against neat-python's own network."""

from __future__ import annotations

from configparser import ConfigParser

import neat
import numpy as np
import pytest

from tests.neat.conftest import Grow
from wann.activations import PAPER_ACTIVATIONS
from wann.config import SearchConfig
from wann.forward import forward
from wann.neat.genomes import SETTINGS, neat_settings, network_parts
from wann.topology import Topology

ALL = tuple(each.name for each in PAPER_ACTIVATIONS)
SMOOTH = tuple(each for each in ALL if each not in ("step", "square"))


def outputs_there(
    genome: neat.DefaultGenome, config: neat.Config, inputs: np.ndarray
) -> np.ndarray:
    network = neat.nn.FeedForwardNetwork.create(genome, config)
    return np.array([network.activate(row.tolist()) for row in inputs])


@pytest.mark.parametrize("activations", [("tanh",), ("sin",), ("inverse", "sigmoid"), SMOOTH])
@pytest.mark.parametrize("sizes", [(1, 1), (5, 1), (4, 3)])
def test_a_network_computes_what_neat_python_computes(
    grow: Grow, sizes: tuple[int, int], activations: tuple[str, ...]
) -> None:
    genomes, config = grow(*sizes, activations, rounds=30, seed=7)
    inputs = np.random.default_rng(1).normal(size=(20, sizes[0]))
    hidden = 0
    for genome in genomes:
        topology, weights = network_parts(genome, *sizes)
        topology.check()
        hidden += topology.num_nodes - 1 - sum(sizes)
        wanted = outputs_there(genome, config, inputs)
        np.testing.assert_allclose(forward(topology, weights, inputs), wanted, rtol=1e-9, atol=1e-9)
    assert hidden > 0


@pytest.mark.parametrize("name", ALL)
def test_every_activation_is_ours_and_not_neat_pythons_of_the_same_name(
    grow: Grow, name: str
) -> None:
    (genome, *_), config = grow(3, 2, (name,), rounds=0, seed=2)
    inputs = np.random.default_rng(3).normal(scale=3.0, size=(50, 3))
    topology, weights = network_parts(genome, 3, 2)
    np.testing.assert_allclose(
        forward(topology, weights, inputs),
        outputs_there(genome, config, inputs),
        rtol=1e-9,
        atol=1e-9,
    )


def one_link(grow: Grow) -> tuple[neat.DefaultGenome, neat.Config]:
    """Return a genome of input -1 -> output 0 with weight 0.5, bias 0.25 and response 2."""
    (genome, *_), config = grow(2, 1, ("linear",), rounds=0, seed=1)
    del genome.connections[(-2, 0)]
    genome.connections[(-1, 0)].weight = 0.5
    genome.nodes[0].bias, genome.nodes[0].response = 0.25, 2.0
    return genome, config


def links(topology: Topology) -> list[tuple[int, int]]:
    return list(zip(topology.sources.tolist(), topology.targets().tolist(), strict=True))


def test_the_bias_becomes_a_link_and_the_response_a_factor(grow: Grow) -> None:
    topology, weights = network_parts(one_link(grow)[0], 2, 1)
    assert links(topology) == [(0, 3), (1, 3)]
    assert weights.tolist() == [0.25, 1.0]


def test_a_bias_of_zero_adds_no_link_unless_the_node_has_no_other(grow: Grow) -> None:
    genome, _ = one_link(grow)
    genome.nodes[0].bias = 0.0
    assert links(network_parts(genome, 2, 1)[0]) == [(1, 3)]
    genome.connections[(-1, 0)].enabled = False
    topology, weights = network_parts(genome, 2, 1)
    assert links(topology) == [(0, 3)]
    assert weights.tolist() == [0.0]


def test_what_leads_to_no_output_and_what_is_disabled_is_left_out(grow: Grow) -> None:
    genome, config = one_link(grow)
    settings = config.genome_config
    genome.nodes[5] = genome.create_node(settings, 5)
    genome.add_connection(settings, -1, 5, 1.0, True, innovation=50)
    assert network_parts(genome, 2, 1)[0].num_nodes == 4
    genome.add_connection(settings, 5, 0, 1.0, False, innovation=51)
    assert network_parts(genome, 2, 1)[0].num_nodes == 4
    genome.connections[(5, 0)].enabled = True
    assert network_parts(genome, 2, 1)[0].num_nodes == 5


def test_the_settings_are_what_neat_python_reads() -> None:
    config = SearchConfig(algorithm="neat", population=30, activations=("tanh", "sin"))
    read = ConfigParser()
    read.read_string(neat_settings(config, 4, 2))
    assert set(read.sections()) == set(SETTINGS)
    assert read["NEAT"]["pop_size"] == "30"
    assert read["DefaultGenome"]["activation_options"] == "wann_tanh wann_sin"
    assert (read["DefaultGenome"]["num_inputs"], read["DefaultGenome"]["num_outputs"]) == ("4", "2")
