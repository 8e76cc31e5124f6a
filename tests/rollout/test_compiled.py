"""Tests of wann.rollout.compiled: which tasks there are, and what the wrapper refuses."""

import subprocess
import sys

import gymnasium
import numpy as np
import pytest
from networks import random_network

import wann_envs  # noqa: F401  # registers wann/SwingUp-v0
from wann.activations import register_activation
from wann.rollout.compiled import (
    COMPILED_TASKS,
    compiled_task,
    num_lanes_for,
    rollout,
    rollout_pairs,
    rollout_weights,
)
from wann.topology import Topologies, Topology

CARTPOLE = compiled_task("CartPole-v1")


def arguments(**changes):
    """Return the arguments of a good call of `rollout` with some of them changed."""
    network = random_network(4, 2, 3, 8, seed=0)
    good = {
        "task": CARTPOLE,
        "topologies": Topologies.stack([network.topology]),
        "weights": np.array([1.0, 2.0]),
        "states": np.zeros((3, 4)),
        "observations": np.zeros((3, 4)),
        "max_steps": 10,
    }
    return {**good, **changes}


@pytest.mark.parametrize("task", COMPILED_TASKS, ids=lambda each: each.environment_id)
def test_sizes_bounds_and_limits_are_gymnasiums(task):
    spec = gymnasium.spec(task.environment_id)
    env = gymnasium.make(task.environment_id)
    assert spec.max_episode_steps == task.max_steps
    assert env.observation_space.shape == (task.num_inputs,)
    if task.action == "argmax":
        assert isinstance(env.action_space, gymnasium.spaces.Discrete)
        assert (env.action_space.start, env.action_space.n) == (0, task.num_outputs)
    else:
        assert env.action_space.shape == (task.num_outputs,)
        assert env.action_space.low.tolist() == [task.action_low]
        assert env.action_space.high.tolist() == [task.action_high]


def test_a_module_in_front_of_the_id_makes_no_difference():
    assert compiled_task("wann_envs:wann/SwingUp-v0") == compiled_task("wann/SwingUp-v0")


@pytest.mark.parametrize("name", ["LunarLander-v3", "CartPole", "CartPole-v0", ""])
def test_other_environments_have_no_kernel(name):
    assert compiled_task(name) is None


def test_a_state_is_read_without_sharing_memory():
    env = gymnasium.make("CartPole-v1")
    env.reset(seed=0)
    state = CARTPOLE.read_state(env)
    state[:] = 9.0
    assert np.abs(env.unwrapped.state).max() < 0.1


def test_importing_the_wrapper_loads_no_numba():
    program = "import sys, wann.rollout.compiled; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False).returncode == 0


@pytest.mark.parametrize(
    ("num_jobs", "num_lanes"), [(1, 8), (8, 8), (9, 16), (18, 24), (96, 96), (100, 56), (600, 88)]
)
def test_lanes_are_whole_chunks_that_the_episodes_fill(num_jobs, num_lanes):
    assert num_lanes_for(num_jobs) == num_lanes


def test_no_topologies_no_weights_and_no_starts_give_empty_returns():
    assert rollout(**arguments(start=0, stop=0))[0].shape == (0, 2, 3)
    assert rollout(**arguments(weights=np.zeros(0)))[0].shape == (1, 0, 3)
    empty = np.zeros((0, 4))
    returns, num_steps = rollout(**arguments(states=empty, observations=empty))
    assert returns.shape == (1, 2, 0)
    assert num_steps == 0


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"weights": np.array([1.0, np.nan])}, r"weights must be finite, but weights\[1\] is nan"),
        (
            {"weights": np.ones((2, 2))},
            r"weights must have shape \(2,\), but the shape is \(2, 2\)",
        ),
        (
            {"states": np.zeros((3, 5))},
            r"states must have shape \(3, 4\), but the shape is \(3, 5\)",
        ),
        ({"states": np.full((3, 4), np.inf)}, r"states must be finite, but states\[0, 0\] is inf"),
        ({"observations": np.zeros((2, 4))}, r"observations must have shape \(3, 4\)"),
        ({"offset": np.zeros(3)}, r"offset must have shape \(4,\), but the shape is \(3,\)"),
        ({"scale": np.array([1.0, 0.0, 1.0, 1.0])}, r"scale must not be 0, but scale\[1\] is"),
        ({"max_steps": 0}, "max_steps must be at least 1, but 0 was given"),
        ({"start": 1, "stop": 0}, "no topologies 1 to 0 in a batch of 1"),
        ({"stop": 2}, "no topologies 0 to 2 in a batch of 1"),
        (
            {"topologies": Topologies.stack([random_network(5, 1, 0, 3, seed=0).topology])},
            "CartPole-v1 needs networks of 4 inputs and 2 outputs, but these have 5 and 1",
        ),
    ],
)
def test_what_does_not_fit_is_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        rollout(**arguments(**changes))


@pytest.mark.parametrize(
    ("weights", "changes", "message"),
    [
        (np.ones((2, 7)), {}, r"weights must have shape \(2, 6\), but the shape is \(2, 7\)"),
        (np.ones(6), {}, r"weights must have shape \(6, 6\), but the shape is \(6,\)"),
        (np.full((2, 6), np.inf), {}, r"weights must be finite, but weights\[0, 0\] is inf"),
        (np.ones((2, 6)), {"stop": 3}, "no weights 0 to 3 among 2"),
        (np.ones((2, 6)), {"max_steps": 0}, "max_steps must be at least 1, but 0 was given"),
        (np.ones((2, 6)), {"states": np.zeros((3, 5))}, r"states must have shape \(3, 4\)"),
        (np.ones((2, 6)), {"observations": np.zeros((2, 4))}, "observations must have shape"),
        (np.ones((2, 6)), {"scale": np.zeros(4)}, r"scale must not be 0, but scale\[0\] is"),
        (np.ones((2, 6)), {"task": compiled_task("Acrobot-v1")}, "Acrobot-v1 needs networks of 6"),
    ],
)
def test_weights_of_links_that_do_not_fit_are_refused(weights, changes, message):
    topology = arguments()["topologies"][0]
    assert topology.num_connections == 6
    given = {**arguments(), "topology": topology, "weights": weights, **changes}
    del given["topologies"]
    with pytest.raises(ValueError, match=message):
        rollout_weights(**given)


def test_as_many_weights_as_episodes_are_needed_for_pairs():
    given = {**arguments(), "topology": arguments()["topologies"][0], "weights": np.ones((2, 6))}
    del given["topologies"]
    with pytest.raises(ValueError, match=r"weights must have shape \(3, 6\), .* is \(2, 6\)"):
        rollout_pairs(**given)


def test_no_candidates_and_no_starts_give_empty_returns():
    given = {**arguments(), "topology": arguments()["topologies"][0], "weights": np.ones((2, 6))}
    del given["topologies"]
    assert rollout_weights(**given, start=1, stop=1)[0].shape == (0, 3)
    empty = np.zeros((0, 4))
    returns, num_steps = rollout_weights(**{**given, "states": empty, "observations": empty})
    assert (returns.shape, num_steps) == ((2, 0), 0)


def test_a_registered_activation_is_refused():
    added = register_activation("only_in_this_test", lambda x: x * 2.0)
    topology = Topology(
        4,
        np.array([0, 0, 0, 0, 0, 0, 1, 1], np.int32),
        np.array([1], np.int32),
        np.array([1, 1, 1, 1, 1, added.id, 1], np.uint8),
        np.array([5, 6], np.int32),
    ).check()
    with pytest.raises(ValueError, match="a registered activation has no compiled form"):
        rollout(**arguments(topologies=Topologies.stack([topology])))
