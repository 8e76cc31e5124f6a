"""What the tests of several formats share."""

import dataclasses

import numpy as np
from hypothesis import strategies as st

from tests.networks import random_network
from tests.strategies import genomes
from wann.activations import PAPER_ACTIVATIONS
from wann.export.formats import comparable
from wann.forward import forward
from wann.network import Network
from wann.topology import Topology, compile

WEIGHTS = (-2.0, -0.5, 0.0, 0.7, 1.5)


@st.composite
def networks(draw):
    """Return a strategy of networks with links: a small genome's, one weight shared or one each."""
    topology = draw(genomes().map(compile).filter(lambda each: each.num_connections > 0))
    weight = draw(st.sampled_from(WEIGHTS))
    if draw(st.booleans()):
        return Network(topology, weight)
    rng = np.random.default_rng(draw(st.integers(0, 99)))
    return Network(topology, rng.normal(size=topology.num_connections))


def every_activation(weight=0.7):
    """Return a network of one input, with an output for each activation: act(w (1 + x))."""
    count = len(PAPER_ACTIVATIONS)
    return Network(
        Topology(
            1,
            np.array([0, 0, *range(0, 2 * count + 1, 2)], dtype=np.int32),
            np.array([0, 1] * count, dtype=np.int32),
            np.array([1, 1, *(each.id for each in PAPER_ACTIVATIONS)], dtype=np.uint8),
            np.arange(2, 2 + count, dtype=np.int32),
        ).check(),
        weight,
    )


def large_network(num_links=5000, *, shared=False):
    """Return a deep network of so many links, whose values stay moderate."""
    network = random_network(
        40,
        10,
        num_links // 5,
        num_links + num_links // 20,
        seed=7,
        shared=shared,
        output_links=True,
    )
    topology = network.topology
    sources = np.diff(topology.offsets)[topology.targets()]
    weights = 0.1 if shared else np.asarray(network.weights) / (4.0 * sources)
    return dataclasses.replace(network, weights=weights, task="", action="")


def some_inputs(network, num_rows=33, seed=0):
    """Return random inputs [B, I]."""
    rng = np.random.default_rng(seed)
    return rng.normal(size=(num_rows, network.topology.num_inputs))


def assert_computes(outputs, network, inputs, dtype="float64"):
    """Assert that outputs are the network's, where rounding does not decide a step."""
    wanted = forward(network.topology, network.weights, inputs)
    kept, allowed = comparable(network, inputs, dtype)
    assert outputs.shape == wanted.shape
    assert (np.abs(outputs - wanted) <= allowed[:, None])[kept].all()
    return kept.sum()


def assert_same_network(left, right):
    """Assert that two networks are equal in all that a network file holds."""
    assert left.to_json() == right.to_json()
