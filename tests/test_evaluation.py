"""Tests of wann.evaluation: the same scores whatever does the work."""

from __future__ import annotations

import numpy as np
import pytest
from networks import random_network

import wann.activations
from wann.activations import register_activation
from wann.evaluation import LocalEvaluator
from wann.rollout.episodes import rollout_episodes
from wann.tasks import Card, control_task, load_task
from wann.topology import Topologies

CARTPOLE = load_task("CartPole-v1")
WEIGHTS = np.array([-1.0, 0.5])
SEEDS = np.array([3, 14, 159], dtype=np.int64)
NETWORKS = Topologies.stack(
    [random_network(4, 2, size, 2 + 3 * size, seed=size).topology for size in range(9)]
)


@pytest.mark.parametrize("workers", [2, 5])
def test_any_number_of_workers_gives_the_same_scores(workers: int) -> None:
    with LocalEvaluator(CARTPOLE, 1) as alone, LocalEvaluator(CARTPOLE, workers) as together:
        wanted = alone.evaluate(NETWORKS, WEIGHTS, SEEDS)
        scores = together.evaluate(NETWORKS, WEIGHTS, SEEDS)
    np.testing.assert_array_equal(scores.returns, wanted.returns)
    assert scores.num_steps == wanted.num_steps == scores.returns.sum()


def test_a_seed_means_the_same_episode_in_the_kernel_and_in_gymnasium() -> None:
    with LocalEvaluator(CARTPOLE, 1) as evaluator:
        assert evaluator.kernel is not None
        scores = evaluator.evaluate(NETWORKS, WEIGHTS, SEEDS)
    returns, _ = rollout_episodes(CARTPOLE, NETWORKS, WEIGHTS, SEEDS)
    assert np.mean(scores.returns == returns) > 0.95  # rounding differs in the last place


def test_fewer_networks_than_workers_are_evaluated() -> None:
    with LocalEvaluator(CARTPOLE, 64) as evaluator:
        assert evaluator.evaluate(NETWORKS.take(np.array([4])), WEIGHTS, SEEDS).returns.size == 6


def test_a_task_without_a_kernel_is_played_in_python() -> None:
    barto = control_task(
        Card("barto", environment="CartPole-v1", arguments={"sutton_barto_reward": True})
    )
    with LocalEvaluator(barto, 2) as evaluator:
        assert evaluator.kernel is None
        scores = evaluator.evaluate(NETWORKS, WEIGHTS, SEEDS)
    assert set(np.unique(scores.returns)) <= {-1.0, 0.0}


def test_an_activation_of_the_users_own_is_played_in_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for table in ("_by_id", "_by_name"):
        monkeypatch.setattr(wann.activations, table, dict(getattr(wann.activations, table)))
    cube = register_activation("cube", lambda x: x**3)
    own = NETWORKS.take(np.arange(len(NETWORKS)))
    own.activations[own.activations == 11] = cube.id
    assert (own.activations == cube.id).any()
    with LocalEvaluator(CARTPOLE, 1) as evaluator:
        scores = evaluator.evaluate(own, WEIGHTS, SEEDS)
    returns, num_steps = rollout_episodes(CARTPOLE, own, WEIGHTS, SEEDS)
    np.testing.assert_array_equal(scores.returns, returns)
    assert scores.num_steps == num_steps


@pytest.mark.parametrize("workers", [-1, 100_000])
def test_a_number_of_workers_that_cannot_be_is_refused(workers: int) -> None:
    with pytest.raises(ValueError, match=rf"workers must be .*{workers}"):
        LocalEvaluator(CARTPOLE, workers)
