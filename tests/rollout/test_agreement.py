"""Tests of wann.rollout.agreement: what its single steps and forward passes leave and refuse."""

import numpy as np
import pytest
from networks import random_network

from wann.rollout.agreement import network_outputs, step
from wann.rollout.compiled import compiled_task
from wann.topology import Topologies

CARTPOLE = compiled_task("CartPole-v1")
ONE_NETWORK = Topologies.stack([random_network(4, 2, 3, 8, seed=0).topology])


def test_a_step_leaves_the_states_it_was_given_alone():
    states = np.full((3, 4), 0.01)
    after, _, _, _ = step(CARTPOLE, states, np.zeros((3, 2)), np.zeros(3, np.int64))
    np.testing.assert_array_equal(states, 0.01)
    assert not np.shares_memory(after, states)


def test_each_of_many_environments_steps_as_it_would_alone():
    rng = np.random.default_rng(1)
    states, outputs = rng.normal(0, 0.05, (21, 4)), rng.normal(size=(21, 2))
    together = step(CARTPOLE, states, outputs, np.zeros(21, np.int64))
    for index in range(21):
        one = slice(index, index + 1)
        alone = step(CARTPOLE, states[one], outputs[one], np.zeros(1, np.int64))
        for whole, part in zip(together, alone, strict=True):
            np.testing.assert_array_equal(whole[one], part)


@pytest.mark.parametrize(
    ("states", "outputs", "message"),
    [
        (np.zeros((3, 5)), np.zeros((3, 2)), r"states must have shape \(3, 4\), .* is \(3, 5\)"),
        (np.zeros((3, 4)), np.zeros((3, 1)), r"outputs must have shape \(3, 2\), .* is \(3, 1\)"),
        (np.full((3, 4), np.nan), np.zeros((3, 2)), r"states\[0, 0\] is nan"),
    ],
)
def test_a_step_from_what_does_not_fit_is_refused(states, outputs, message):
    with pytest.raises(ValueError, match=message):
        step(CARTPOLE, states, outputs, np.zeros(3, np.int64))


@pytest.mark.parametrize(
    ("index", "inputs", "message"),
    [
        (1, np.zeros((2, 4)), "no topology 1 in a batch of 1"),
        (0, np.zeros((2, 3)), r"inputs must have shape \(2, 4\), but the shape is \(2, 3\)"),
    ],
)
def test_outputs_of_what_is_not_there_or_does_not_fit_are_refused(index, inputs, message):
    with pytest.raises(ValueError, match=message):
        network_outputs(ONE_NETWORK, index, np.ones(2), inputs)
