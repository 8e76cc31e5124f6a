"""One network under many weights: the same returns, whatever plays it."""

from __future__ import annotations

import numpy as np
import pytest
from networks import random_network

from wann.activations import register_activation
from wann.rollout.episodes import paired_episodes, play
from wann.rollout.single import policy
from wann.tasks import load_task
from wann.topology import Topology
from wann.weight_evaluator import EPISODES_A_CALL, WeightEvaluator, gymnasium_returns

TASK = load_task("CartPole-v1")
TOPOLOGY = random_network(4, 2, 3, 12, seed=5).topology
WEIGHTS = np.random.default_rng(2).normal(size=(3, TOPOLOGY.num_connections))
SEEDS = np.array([3, 14, 159, 26], dtype=np.int64)


def return_of(weights, seed: int, topology: Topology = TOPOLOGY) -> float:
    env = TASK.make()
    try:
        return play(TASK, env, policy(topology, weights), seed).return_
    finally:
        env.close()


def test_each_episode_is_played_under_its_own_weights() -> None:
    weights = [0.5, WEIGHTS[0], -1.0, WEIGHTS[1]]
    returns, num_steps = gymnasium_returns(TASK, TOPOLOGY, weights, SEEDS)
    wanted = [return_of(each, int(seed)) for each, seed in zip(weights, SEEDS, strict=True)]
    assert returns.tolist() == wanted
    assert num_steps == sum(wanted)  # CartPole gives 1 a step
    assert len(set(wanted)) > 1


def test_many_episodes_come_back_in_their_order() -> None:
    seeds = np.arange(2 * EPISODES_A_CALL + 3)
    whole, _ = gymnasium_returns(TASK, TOPOLOGY, [0.5] * len(seeds), seeds)
    for place in (0, EPISODES_A_CALL - 1, EPISODES_A_CALL, len(seeds) - 1):
        assert whole[place] == return_of(0.5, place)
    assert gymnasium_returns(TASK, TOPOLOGY, [], seeds[:0])[0].tolist() == []


@pytest.mark.parametrize("function", [gymnasium_returns, paired_episodes])
def test_each_episode_needs_weights(function) -> None:
    with pytest.raises(ValueError, match="4 episodes need"):
        function(TASK, TOPOLOGY, [1.0], SEEDS)


def test_candidates_play_the_same_episodes() -> None:
    with WeightEvaluator(TASK, TOPOLOGY, 2) as evaluator:
        returns = evaluator.returns(WEIGHTS, SEEDS)
        assert evaluator.num_steps == returns.sum()
    wanted = [[return_of(each, int(seed)) for seed in SEEDS] for each in WEIGHTS]
    np.testing.assert_array_equal(returns, wanted)


def test_a_network_with_an_activation_of_a_users_own_is_played_in_python() -> None:
    own = register_activation("softsign_of_weights", lambda x: x / (1.0 + np.abs(x)))
    activations = TOPOLOGY.activations.copy()
    activations[5:] = own.id
    topology = Topology(
        4, TOPOLOGY.offsets, TOPOLOGY.sources, activations, TOPOLOGY.outputs
    ).check()
    with WeightEvaluator(TASK, topology) as evaluator:
        assert evaluator.kernel is None
        returns = evaluator.returns(WEIGHTS, SEEDS)
    assert returns[1, 2] == return_of(WEIGHTS[1], 159, topology)
