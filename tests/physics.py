"""Compiled physics beside Gymnasium's: what the tests of every task compare, step for step."""

import gymnasium
import numpy as np
import pytest
from networks import random_network

import wann_envs  # noqa: F401  # registers wann/SwingUp-v0
from wann.rollout.agreement import step
from wann.rollout.compiled import rollout, rollout_weights
from wann.rollout.single import policy
from wann.topology import Topologies


def action_of(task, outputs):
    """Return Gymnasium's action for a network's outputs: the kernel's action rules in NumPy."""
    outputs = np.where(np.isnan(outputs), 0.0, outputs)
    if task.action == "argmax":
        return int(np.argmax(outputs))
    centre = 0.5 * (task.action_low + task.action_high)
    half_range = 0.5 * (task.action_high - task.action_low)
    return (centre + half_range * np.clip(outputs, -1.0, 1.0)).astype(np.float32)


def random_policy(task, seed):
    """Return a topology, a weight, and what they compute: often a constant, sometimes a skill."""
    rng = np.random.default_rng(seed)
    num_hidden, num_links = rng.integers((0, 1), (20, 40)).tolist()
    topology = random_network(
        task.num_inputs, task.num_outputs, num_hidden, num_links, seed=seed
    ).topology
    weight = float(rng.choice([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0]))
    return topology, weight, policy(topology, weight)


def visited_steps(task, num_episodes, max_steps):
    """Return every step of some episodes: what Gymnasium was in, was told and became."""
    env = gymnasium.make(task.environment_id).unwrapped
    columns = {
        name: [] for name in ("before", "outputs", "number", "after", "seen", "reward", "end")
    }
    for seed in range(num_episodes):
        _, _, act = random_policy(task, seed)
        observation, _ = env.reset(seed=seed)
        for number in range(max_steps):
            outputs = act(observation.astype(np.float64)).copy()
            before = task.read_state(env)
            observation, reward, terminated, _, _ = env.step(action_of(task, outputs))
            row = (before, outputs, number, task.read_state(env), observation, reward, terminated)
            for column, value in zip(columns.values(), row, strict=True):
                column.append(value)
            if terminated:
                break
    return {name: np.array(values) for name, values in columns.items()}


def assert_steps_agree(task, num_episodes, max_steps):
    """Compare every step of some episodes of random networks."""
    steps = visited_steps(task, num_episodes, max_steps)
    assert len(steps["number"]) > 15 * num_episodes
    after, seen, reward, end = step(task, steps["before"], steps["outputs"], steps["number"])
    np.testing.assert_allclose(after, steps["after"], rtol=1e-12, atol=1e-12)
    # A state on the border between two float32 numbers may be seen as either.
    is_same = seen == steps["seen"]
    np.testing.assert_allclose(seen, steps["seen"], rtol=2.0**-23, atol=1e-12)
    assert np.mean(is_same) > 0.9999
    np.testing.assert_allclose(reward, steps["reward"], rtol=1e-12, atol=1e-12)
    np.testing.assert_array_equal(end, steps["end"])


def gymnasium_return(task, act, seed, max_steps):
    env = gymnasium.make(task.environment_id).unwrapped
    observation, _ = env.reset(seed=seed)
    total = 0.0
    for number in range(max_steps):
        outputs = act(observation.astype(np.float64))
        observation, reward, terminated, _, _ = env.step(action_of(task, outputs))
        total += float(reward)
        if terminated:
            return total, number + 1
    return total, max_steps


def starts(task, seeds):
    env = gymnasium.make(task.environment_id)
    observations, states = [], []
    for seed in seeds:
        observation, _ = env.reset(seed=seed)
        observations.append(observation.astype(np.float64))
        states.append(task.read_state(env))
    return np.array(states), np.array(observations)


def assert_most_returns_agree(task, each_link=False):
    """Compare the returns of 30 free-running episodes, of which 9 in 10 must be equal.

    each_link: whether every link has a weight of its own.

    Not all: rounding differs in the last place, and a chaotic motion multiplies that.
    """
    max_steps = min(task.max_steps, 200)
    states, observations = starts(task, range(100, 102))
    is_equal = []
    for number in range(15):
        topology, weight, act = random_policy(task, number)
        if each_link:
            weights = 1.5 * np.random.default_rng(number).normal(size=topology.num_connections)
            act = policy(topology, weights)
            returns, num_steps = rollout_weights(
                task, topology, weights[None], states, observations, max_steps=max_steps
            )
            returns = returns[None]
        else:
            returns, num_steps = rollout(
                task, Topologies.stack([topology]), np.array([weight]), states, observations,
                max_steps=max_steps,
            )  # fmt: skip
        wanted = [gymnasium_return(task, act, seed, max_steps) for seed in range(100, 102)]
        each_is_equal = np.isclose(returns[0, 0], [each[0] for each in wanted], rtol=0, atol=1e-9)
        is_equal += each_is_equal.tolist()
        if each_is_equal.all():
            assert num_steps == sum(each[1] for each in wanted)
    assert np.mean(is_equal) >= 0.9


def assert_steps_agree_at(task, edges):
    """Compare steps from states that episodes seldom reach: combinations of these and half of them.

    edges: a value for each of the environment's own state variables; signs are drawn.
    """
    env = gymnasium.make(task.environment_id).unwrapped
    env.reset(seed=0)
    rng = np.random.default_rng(3)
    for _ in range(200):
        own = rng.choice([-1.0, -0.5, 0.0, 0.5, 1.0], len(edges)) * edges
        if task.environment_id.startswith("MountainCarContinuous"):
            own = own.astype(np.float32)
        env.state = own.copy()
        outputs = rng.normal(size=task.num_outputs)
        before = task.complete_state(np.asarray(own, dtype=np.float64))
        observation, reward, terminated, _, _ = env.step(action_of(task, outputs))
        after, seen, rewards, end = step(task, before[None], outputs[None], np.array([1]))
        np.testing.assert_allclose(after[0], task.read_state(env), rtol=1e-12, atol=1e-12)
        np.testing.assert_allclose(seen[0], observation, rtol=2.0**-23, atol=1e-12)
        assert rewards[0] == pytest.approx(reward, rel=1e-12, abs=1e-12)
        assert end[0] == terminated
        env.steps_beyond_terminated = None
