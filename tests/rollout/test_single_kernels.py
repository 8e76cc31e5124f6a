"""Tests of wann.rollout.single_kernels: its activations and its forward pass, beside NumPy's."""

from __future__ import annotations

import numpy as np
import pytest
from networks import random_network

from wann.activations import PAPER_ACTIVATIONS, Activation
from wann.forward import forward
from wann.rollout.single_kernels import activate, forward_one


@pytest.mark.parametrize("activation", PAPER_ACTIVATIONS, ids=lambda each: each.name)
def test_every_activation_is_the_tables_at_every_value(activation: Activation) -> None:
    values = np.array([0.0, -0.0, 1e-300, 0.5, -0.5, 1.0, -1.5, 3.7, 1e6, -1e6, 1e200])
    values = np.concatenate([values, [np.inf, -np.inf, np.nan], np.linspace(-5.0, 5.0, 401)])
    with np.errstate(invalid="ignore", over="ignore"):
        expected = activation.function(values)
    got = [activate(activation.id, float(each)) for each in values]
    np.testing.assert_allclose(got, expected, rtol=1e-14, atol=1e-15)


@pytest.mark.parametrize("seed", range(10))
def test_a_node_is_its_activation_of_the_shared_weight_times_the_weighted_sum(seed: int) -> None:
    topology = random_network(4, 2, 6, 20, seed=seed, output_links=True).topology
    rng = np.random.default_rng(seed)
    weights, inputs = rng.normal(size=topology.num_connections), rng.normal(size=4)
    values = np.full(topology.num_nodes, np.nan)  # whatever an earlier call has left
    values[0] = 1.0
    got = forward_one(
        topology.offsets, topology.sources, topology.activations, topology.outputs,
        0.5, weights, inputs, values,
    )  # fmt: skip
    np.testing.assert_allclose(got, forward(topology, 0.5 * weights, inputs[None])[0], rtol=1e-9)
