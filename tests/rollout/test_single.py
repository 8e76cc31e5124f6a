from __future__ import annotations

import numpy as np
import pytest

import wann.activations
from wann.activations import PAPER_ACTIVATIONS, RELU, SIN, register_activation
from wann.forward import forward
from wann.rollout.single import policy
from wann.topology import Topology

ALL_IDS = [each.id for each in PAPER_ACTIVATIONS]


def random_topology(rng: np.random.Generator, ids: list[int]) -> Topology:
    """Return a valid topology of random size; outputs may feed nodes or have no sources."""
    num_inputs, num_outputs = int(rng.integers(1, 8)), int(rng.integers(1, 5))
    first = 1 + num_inputs
    num_nodes = first + num_outputs + int(rng.integers(0, 30))
    density = rng.uniform(0.02, 0.6)
    sources = [
        np.nonzero(rng.random(node if node >= first else 0) < density)[0]
        for node in range(num_nodes)
    ]
    return Topology(
        num_inputs,
        np.concatenate([[0], np.cumsum([len(each) for each in sources])]).astype(np.int32),
        np.concatenate(sources).astype(np.int32),
        rng.choice(ids, num_nodes).astype(np.uint8),
        rng.permutation(np.arange(first, num_nodes))[:num_outputs].astype(np.int32),
    ).check()


@pytest.mark.parametrize("seed", range(60))
def test_a_policy_gives_what_the_oracle_gives(seed: int) -> None:
    rng = np.random.default_rng(seed)
    topology = random_topology(rng, ALL_IDS)
    inputs = rng.normal(size=(8, topology.num_inputs))
    individual = rng.normal(size=topology.num_connections)
    for weights in (-2.0, 0.5, 0.0, 1, individual):
        expected = forward(topology, weights, inputs)
        network = policy(topology, weights)
        got = np.stack([network(each) for each in inputs])
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-9)


def test_an_outcome_stays_when_the_policy_is_called_again() -> None:
    topology = random_topology(np.random.default_rng(5), [RELU, SIN])
    network = policy(topology, 1.0)
    first = network(np.ones(topology.num_inputs))
    copied = first.copy()
    network(np.full(topology.num_inputs, 3.0))
    np.testing.assert_array_equal(first, copied)


def test_a_registered_activation_is_evaluated_too(monkeypatch: pytest.MonkeyPatch) -> None:
    for table in ("_by_id", "_by_name"):
        monkeypatch.setattr(wann.activations, table, dict(getattr(wann.activations, table)))
    cube = register_activation("cube", lambda x: x**3)
    rng = np.random.default_rng(7)
    topology = random_topology(rng, [cube.id, SIN])
    inputs = rng.normal(size=(1, topology.num_inputs))
    for weights in (0.5, rng.normal(size=topology.num_connections)):
        expected = forward(topology, weights, inputs)[0]
        np.testing.assert_array_equal(policy(topology, weights)(inputs[0]), expected)


def test_weights_and_inputs_of_another_size_are_refused() -> None:
    topology = random_topology(np.random.default_rng(2), ALL_IDS)
    with pytest.raises(ValueError, match=r"weights must have shape \(\d+,\), but they have \(3,\)"):
        policy(topology, np.ones(3))
    with pytest.raises(ValueError, match=r"inputs must have shape \(\d,\), but they have \(50,\)"):
        policy(topology, 1.0)(np.ones(50))
