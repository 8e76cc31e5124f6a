"""Tests of wann.rollout.lanes through its wrappers: networks, lanes, batches and limits."""

import threading
import time

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from networks import random_network

from wann.activations import LINEAR, SQUARE
from wann.forward import forward
from wann.rollout import compiled
from wann.rollout.agreement import network_outputs, step
from wann.rollout.compiled import (
    COMPILED_TASKS,
    compiled_task,
    rollout,
    rollout_pairs,
    rollout_weights,
)
from wann.topology import Topologies, Topology

CARTPOLE = compiled_task("CartPole-v1")
SWING_UP = compiled_task("wann/SwingUp-v0")
WEIGHTS = np.array([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0])


def random_topology(task, num_hidden, num_links, seed):
    return random_network(
        task.num_inputs, task.num_outputs, num_hidden, num_links, seed=seed, output_links=True
    ).topology


def random_topologies(task, count, seed=0):
    rng = np.random.default_rng(seed)
    sizes = rng.integers((0, 1), (30, 60), size=(count, 2)).tolist()
    return Topologies.stack(
        [random_topology(task, *size, seed=1000 * seed + k) for k, size in enumerate(sizes)]
    )


def random_starts(task, count, seed=0, deviation=0.05):
    """Return states and observations to start from; they need not belong together."""
    rng = np.random.default_rng(seed)
    own = rng.normal(0, deviation, (count, task.num_state - 2 * (task.angle_index is not None)))
    states = np.stack([task.complete_state(each) for each in own])
    return states, rng.normal(0, deviation, (count, task.num_inputs))


def assert_close(got, wanted):
    """Assert that values agree as far as the last place of the first layer can have grown."""
    np.testing.assert_allclose(got, wanted, rtol=1e-9, atol=1e-9)


@settings(max_examples=150)
@given(
    st.integers(1, 8), st.integers(1, 4), st.integers(0, 200), st.integers(0, 400),
    st.integers(1, 20), st.sampled_from([-2.0, -0.3, 0.0, 0.5, 1.0]), st.integers(0, 2**31),
)  # fmt: skip
def test_networks_compute_what_forward_does(
    num_inputs, num_outputs, num_hidden, num_links, batch, weight, seed
):
    topology = random_network(
        num_inputs, num_outputs, num_hidden, num_links, seed=seed, output_links=True
    ).topology
    inputs = np.random.default_rng(seed).normal(size=(batch, num_inputs))
    weights = np.full(batch, weight)
    got = network_outputs(Topologies.stack([topology]), 0, weights, inputs)
    wanted = forward(topology, weight, inputs)
    # A step, and a wave of a large number, turn a difference in the last place into one of 1.
    steady = np.abs(wanted - forward(topology, weight * (1 + 1e-13), inputs)) < 1e-9
    assert_close(np.where(steady, got, 0.0), np.where(steady, wanted, 0.0))


@pytest.mark.parametrize("activation_id", range(1, 12))
@pytest.mark.parametrize("batch", [1, 8, 27])
def test_one_node_of_each_activation_computes_what_forward_does(activation_id, batch):
    topology = Topology(
        2,
        np.array([0, 0, 0, 0, 3], np.int32),
        np.array([0, 1, 2], np.int32),
        np.array([1, 1, 1, activation_id], np.uint8),
        np.array([3], np.int32),
    ).check()
    inputs = np.random.default_rng(batch).normal(size=(batch, 2)) * 3
    weights = np.resize(WEIGHTS, batch)
    got = network_outputs(Topologies.stack([topology]), 0, weights, inputs)
    wanted = np.concatenate(
        [forward(topology, float(w), x[None]) for w, x in zip(weights, inputs, strict=True)]
    )
    np.testing.assert_allclose(got, wanted, rtol=1e-14, atol=1e-14)


@pytest.mark.parametrize("task", [CARTPOLE, SWING_UP], ids=["CartPole", "SwingUp"])
def test_returns_do_not_depend_on_the_number_of_lanes(task, monkeypatch):
    topologies = random_topologies(task, 40)
    states, observations = random_starts(task, 7)
    results = []
    for max_lanes in (8, 16, 24, 40, 96):
        monkeypatch.setattr(compiled, "MAX_LANES", max_lanes)
        results.append(rollout(task, topologies, WEIGHTS, states, observations, max_steps=500))
    for returns, num_steps in results:
        np.testing.assert_array_equal(returns, results[0][0])
        assert num_steps == results[0][1]


def test_a_return_does_not_depend_on_what_else_is_in_the_call():
    topologies = random_topologies(SWING_UP, 5)
    states, observations = random_starts(SWING_UP, 9)
    returns, _ = rollout(SWING_UP, topologies, WEIGHTS, states, observations, max_steps=300)
    for genome, weight, start in [(0, 0, 0), (1, 5, 8), (4, 2, 3), (2, 3, 7)]:
        alone, _ = rollout(
            SWING_UP,
            Topologies.stack([topologies[genome]]),
            WEIGHTS[weight : weight + 1],
            states[start : start + 1],
            observations[start : start + 1],
            max_steps=300,
        )
        assert alone[0, 0, 0] == returns[genome, weight, start]


def test_returns_follow_the_order_of_weights_and_starts():
    topologies = random_topologies(SWING_UP, 3)
    states, observations = random_starts(SWING_UP, 5)
    returns, _ = rollout(SWING_UP, topologies, WEIGHTS, states, observations, max_steps=100)
    turned, _ = rollout(
        SWING_UP, topologies, WEIGHTS[::-1], states[::-1], observations[::-1], max_steps=100
    )
    np.testing.assert_array_equal(turned, returns[:, ::-1, ::-1])


def test_a_part_of_a_batch_gives_its_part_of_the_returns():
    topologies = random_topologies(CARTPOLE, 9)
    states, observations = random_starts(CARTPOLE, 4)
    whole, all_steps = rollout(CARTPOLE, topologies, WEIGHTS, states, observations, max_steps=200)
    parts = [
        rollout(CARTPOLE, topologies, WEIGHTS, states, observations, max_steps=200, start=a, stop=b)
        for a, b in [(0, 4), (4, 4), (4, 9)]
    ]
    np.testing.assert_array_equal(np.concatenate([each[0] for each in parts]), whole)
    assert sum(each[1] for each in parts) == all_steps


@pytest.mark.parametrize("max_steps", [1, 2, 17, 500])
def test_episodes_are_cut_at_max_steps_and_only_useful_steps_are_counted(max_steps):
    topologies = random_topologies(CARTPOLE, 6)
    states, observations = random_starts(CARTPOLE, 11)
    returns, num_steps = rollout(
        CARTPOLE, topologies, WEIGHTS, states, observations, max_steps=max_steps
    )
    assert returns.max() <= max_steps
    assert num_steps == returns.sum()  # CartPole's reward is 1 a step


def random_weights(topology, count, seed=0):
    rng = np.random.default_rng(seed)
    return rng.normal(0, 1.5, (count, topology.num_connections))


@pytest.mark.parametrize("task", COMPILED_TASKS, ids=lambda each: each.environment_id)
def test_equal_weights_of_the_links_give_the_bits_of_the_shared_weight(task):
    states, observations = random_starts(task, 5)
    for seed in range(6):
        topology = random_topology(task, 15, 40, seed)
        given = {"offset": np.full(task.num_inputs, 0.1), "scale": np.full(task.num_inputs, 0.7)}
        weights = np.append(WEIGHTS, [0.0, 0.3, -1.7])
        shared, num_steps = rollout(
            task, Topologies.stack([topology]), weights, states, observations,
            max_steps=200, **given,
        )  # fmt: skip
        equal = np.repeat(weights[:, None], topology.num_connections, axis=1)
        each, each_steps = rollout_weights(
            task, topology, equal, states, observations, max_steps=200, **given
        )
        np.testing.assert_array_equal(each, shared[0])
        assert each_steps == num_steps


@pytest.mark.parametrize("task", [CARTPOLE, SWING_UP], ids=["CartPole", "SwingUp"])
def test_weights_of_the_links_do_what_the_network_does_step_by_step(task):
    topology = random_topology(task, 10, 30, seed=8)
    states, observations = random_starts(task, 4)
    weights = random_weights(topology, 6)
    for max_steps in (1, 8):
        got, _ = rollout_weights(task, topology, weights, states, observations, max_steps=max_steps)
        for candidate, row in zip(weights, got, strict=True):
            now, seen, wanted = states, observations, np.zeros(4)
            going = np.ones(4, dtype=bool)
            for number in range(max_steps):
                outputs = forward(topology, candidate, seen)
                now, seen, rewards, ended = step(task, now, outputs, np.full(4, number))
                wanted += np.where(going, rewards, 0.0)
                going &= ~ended
            np.testing.assert_allclose(row, wanted, rtol=1e-9)


def test_returns_of_candidates_do_not_depend_on_lanes_or_company(monkeypatch):
    topology = random_topology(CARTPOLE, 12, 30, seed=6)
    weights = random_weights(topology, 30)
    states, observations = random_starts(CARTPOLE, 7)
    wanted, num_steps = rollout_weights(
        CARTPOLE, topology, weights, states, observations, max_steps=500
    )
    assert len(np.unique(wanted)) > 20  # lanes end at different times and move into gaps
    for max_lanes in (8, 24, 40):
        monkeypatch.setattr(compiled, "MAX_LANES", max_lanes)
        got = rollout_weights(CARTPOLE, topology, weights, states, observations, max_steps=500)
        np.testing.assert_array_equal(got[0], wanted)
        assert got[1] == num_steps
    parts = [
        rollout_weights(
            CARTPOLE, topology, weights, states, observations, max_steps=500, start=a, stop=b
        )
        for a, b in [(0, 11), (11, 11), (11, 12), (12, 30)]
    ]
    np.testing.assert_array_equal(np.concatenate([each[0] for each in parts]), wanted)
    assert sum(each[1] for each in parts) == num_steps


def test_a_pair_is_an_episode_with_weights_of_its_own():
    topology = random_topology(SWING_UP, 12, 30, seed=6)
    states, observations = random_starts(SWING_UP, 50)
    weights = random_weights(topology, 50)
    got, num_steps = rollout_pairs(SWING_UP, topology, weights, states, observations, max_steps=100)
    assert num_steps > 50
    every, _ = rollout_weights(SWING_UP, topology, weights, states, observations, max_steps=100)
    np.testing.assert_array_equal(got, np.diag(every))


def test_a_network_without_links_has_weights_too():
    topology = Topology(
        4, np.zeros(8, np.int32), np.zeros(0, np.int32),
        np.array([LINEAR] * 7, np.uint8), np.array([5, 6], np.int32),
    ).check()  # fmt: skip
    states, observations = random_starts(CARTPOLE, 3)
    got, _ = rollout_weights(
        CARTPOLE, topology, np.zeros((2, 0)), states, observations, max_steps=100
    )
    wanted, _ = rollout(
        CARTPOLE, Topologies.stack([topology]), np.ones(2), states, observations, max_steps=100
    )
    np.testing.assert_array_equal(got, wanted[0])


def test_networks_see_the_scaled_observation():
    # One link with weight 1 and a square: the action is the square of the scaled angle.
    topology = Topology(
        5,
        np.array([0, 0, 0, 0, 0, 0, 0, 1], np.int32),
        np.array([3], np.int32),
        np.array([LINEAR] * 6 + [SQUARE], np.uint8),
        np.array([6], np.int32),
    ).check()
    states, observations = random_starts(SWING_UP, 3)
    offset, scale = np.full(5, 0.3), np.full(5, 2.5)
    weights = np.array([1.0])
    for max_steps in (1, 5):
        got, _ = rollout(
            SWING_UP, Topologies.stack([topology]), weights, states, observations,
            max_steps=max_steps, offset=offset, scale=scale,
        )  # fmt: skip
        now, seen, wanted = states, observations, np.zeros(3)
        for number in range(max_steps):
            outputs = forward(topology, 1.0, (seen - offset) / scale)
            now, seen, rewards, _ = step(SWING_UP, now, outputs, np.full(3, number))
            wanted += rewards
        np.testing.assert_allclose(got[0, 0], wanted, rtol=1e-12)


def test_of_equal_outputs_the_first_acts():
    outputs = np.array([[1.0, 1.0], [1.0, 2.0], [-1.0, -1.0]])
    states = np.zeros((3, 4))
    after, _, _, _ = step(CARTPOLE, states, outputs, np.zeros(3, np.int64))
    assert (np.sign(after[:, 1]) == [-1, 1, -1]).all()


def test_an_output_that_is_nan_counts_as_0():
    states = np.zeros((4, 4))
    outputs = np.array([[np.nan, 1.0], [np.nan, -1.0], [-1.0, np.nan], [np.nan, np.nan]])
    after, _, _, _ = step(CARTPOLE, states, outputs, np.zeros(4, np.int64))
    assert (np.sign(after[:, 1]) == [1, -1, 1, -1]).all()
    states = np.stack([SWING_UP.complete_state(np.zeros(4))] * 2)
    after, _, _, _ = step(SWING_UP, states, np.array([[np.nan], [0.0]]), np.zeros(2, np.int64))
    np.testing.assert_array_equal(after[0], after[1])


def test_an_infinite_output_acts_with_the_largest_force():
    states = np.stack([SWING_UP.complete_state(np.zeros(4))] * 2)
    after, _, _, _ = step(SWING_UP, states, np.array([[np.inf], [1.0]]), np.zeros(2, np.int64))
    np.testing.assert_array_equal(after[0], after[1])


def test_read_only_and_strided_arrays_give_the_same_returns():
    topologies = random_topologies(CARTPOLE, 3)
    states, observations = random_starts(CARTPOLE, 4)
    wanted, _ = rollout(CARTPOLE, topologies, WEIGHTS, states, observations, max_steps=50)
    frozen = Topologies.stack(list(topologies))
    for name in ("node_offsets", "edge_offsets", "offsets", "sources", "activations", "outputs"):
        getattr(frozen, name).flags.writeable = False
    wide = np.repeat(states, 2, axis=1)[:, ::2]
    wide.flags.writeable = False
    got, _ = rollout(CARTPOLE, frozen, WEIGHTS, wide, np.asfortranarray(observations), max_steps=50)
    np.testing.assert_array_equal(got, wanted)
    topology = frozen[0]
    weights = np.asfortranarray(random_weights(topology, 5))
    weights.flags.writeable = False
    got, _ = rollout_weights(CARTPOLE, topology, weights, wide, observations, max_steps=50)
    again, _ = rollout_weights(
        CARTPOLE, topologies[0], weights.copy(), states, observations, max_steps=50
    )
    np.testing.assert_array_equal(got, again)
    from wann.rollout.lanes import rollout_lanes, rollout_link_weights

    assert len(rollout_lanes.signatures) == 1  # nothing was compiled anew
    assert len(rollout_link_weights.signatures) == 1


def test_other_threads_run_while_the_kernel_does():
    topologies = Topologies.stack([random_topology(CARTPOLE, 20, 60, seed=0)])
    states, observations = random_starts(CARTPOLE, 1)
    rollout(CARTPOLE, topologies, WEIGHTS, states, observations, max_steps=1)  # compiles it
    many = topologies.take(np.zeros(30_000, np.int64))
    thread = threading.Thread(
        target=rollout,
        args=(CARTPOLE, many, WEIGHTS, states, observations),
        kwargs={"max_steps": 500},
    )
    thread.start()
    turns = 0
    while thread.is_alive():
        time.sleep(0.001)
        turns += 1
    assert turns > 5
