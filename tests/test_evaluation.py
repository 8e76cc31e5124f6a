"""Tests of wann.evaluation: the same scores whatever does the work."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from networks import random_network

import wann.activations
import wann.evaluation
from wann.activations import register_activation
from wann.evaluation import LocalEvaluator
from wann.rollout.compiled import CompiledTask
from wann.rollout.episodes import Starts, rollout_episodes, starts
from wann.rollout.image_scores import score_batches
from wann.seeding import Purpose
from wann.tasks import Card, control_task, load_task
from wann.tasks.control import ControlTask
from wann.topology import Topologies

CARTPOLE = load_task("CartPole-v1")
WEIGHTS = np.array([-1.0, 0.5])
SEEDS = np.array([3, 14, 159], dtype=np.int64)


def random_networks(num_inputs: int, num_outputs: int) -> Topologies:
    """Return nine networks of rising size."""
    shapes = [(size, 2 + 3 * size) for size in range(9)]
    return Topologies.stack(
        [
            random_network(num_inputs, num_outputs, *shape, seed=seed).topology
            for seed, shape in enumerate(shapes)
        ]
    )


NETWORKS = random_networks(4, 2)


@pytest.mark.parametrize("workers", [2, 5])
@pytest.mark.parametrize("name", ["CartPole-v1", "wann/SwingUp-v0"])
def test_any_number_of_workers_gives_the_same_scores(name: str, workers: int) -> None:
    task = load_task(name)
    networks = random_networks(task.num_inputs, task.num_outputs)
    with LocalEvaluator(task, 1) as alone, LocalEvaluator(task, workers) as together:
        assert together.is_compiled
        wanted = alone.evaluate(networks, WEIGHTS, SEEDS)
        scores = together.evaluate(networks, WEIGHTS, SEEDS)
    np.testing.assert_array_equal(scores.returns, wanted.returns)
    assert scores.num_steps == wanted.num_steps
    assert len(np.unique(scores.returns)) > 8


def test_the_steps_of_all_workers_are_counted() -> None:
    with LocalEvaluator(CARTPOLE, 3) as evaluator:
        scores = evaluator.evaluate(NETWORKS, WEIGHTS, SEEDS)
    assert scores.num_steps == scores.returns.sum()  # CartPole gives 1 for each step


def test_a_seed_means_the_same_episode_in_the_kernel_and_in_gymnasium() -> None:
    with LocalEvaluator(CARTPOLE, 1) as evaluator:
        assert evaluator.is_compiled
        scores = evaluator.evaluate(NETWORKS, WEIGHTS, SEEDS)
    returns, _ = rollout_episodes(CARTPOLE, NETWORKS, WEIGHTS, SEEDS)
    assert np.mean(scores.returns == returns) > 0.95  # rounding differs in the last place


@pytest.mark.parametrize("workers", [1, 2])
def test_the_same_seeds_begin_their_episodes_without_another_reset(
    workers: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[int]] = []

    def counted(task: ControlTask, kernel: CompiledTask, seeds: np.ndarray) -> Starts:
        asked.append(seeds.tolist())
        return starts(task, kernel, seeds)

    monkeypatch.setattr(wann.evaluation, "starts", counted)
    with LocalEvaluator(CARTPOLE, workers) as evaluator:
        first, again = (evaluator.evaluate(NETWORKS, WEIGHTS, SEEDS) for _ in range(2))
        others = evaluator.evaluate(NETWORKS, WEIGHTS, SEEDS[::-1])
    assert asked == [[3, 14, 159], [159, 14, 3]]
    assert first.returns.tobytes() == again.returns.tobytes()
    assert others.returns.tobytes() == first.returns[:, :, ::-1].tobytes()


def test_one_worker_plays_a_large_batch_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    with LocalEvaluator(CARTPOLE, 1) as evaluator:
        whole = evaluator.evaluate(NETWORKS, WEIGHTS, SEEDS)
        monkeypatch.setattr(wann.evaluation, "UNINTERRUPTED", 4)
        parts = evaluator.evaluate(NETWORKS, WEIGHTS, SEEDS)
    assert parts.returns.tobytes() == whole.returns.tobytes()
    assert parts.num_steps == whole.num_steps


def test_fewer_networks_than_workers_are_evaluated() -> None:
    with LocalEvaluator(CARTPOLE, 64) as evaluator:
        assert evaluator.evaluate(NETWORKS.take(np.array([4])), WEIGHTS, SEEDS).returns.size == 6


def test_a_task_without_a_kernel_is_played_in_python() -> None:
    barto = control_task(
        Card("barto", environment="CartPole-v1", arguments={"sutton_barto_reward": True})
    )
    with LocalEvaluator(barto, 2) as evaluator:
        assert not evaluator.is_compiled
        scores = evaluator.evaluate(NETWORKS, WEIGHTS, SEEDS)
    assert set(np.unique(scores.returns)) <= {-1.0, 0.0}


@pytest.mark.parametrize("replaced", [(11,), tuple(range(1, 12))])
def test_only_networks_with_an_activation_of_the_users_own_are_played_in_python(
    monkeypatch: pytest.MonkeyPatch, replaced: tuple[int, ...]
) -> None:
    for table in ("_by_id", "_by_name"):
        monkeypatch.setattr(wann.activations, table, dict(getattr(wann.activations, table)))
    cube = register_activation("cube", lambda x: x**3)
    mixed = NETWORKS.take(np.arange(len(NETWORKS)))
    mixed.activations[np.isin(mixed.activations, replaced)] = cube.id
    is_own = np.array([bool((each.activations == cube.id).any()) for each in mixed])
    assert is_own.any()
    assert is_own.all() == (len(replaced) == 11)
    in_python: list[int] = []

    def watched(*arguments: Any) -> tuple[np.ndarray, int]:
        in_python.extend(arguments[1].keys.tolist())
        return rollout_episodes(*arguments)

    monkeypatch.setattr(wann.evaluation, "rollout_episodes", watched)
    with LocalEvaluator(CARTPOLE, 2) as evaluator:
        scores = evaluator.evaluate(mixed, WEIGHTS, SEEDS)
        compiled = evaluator.evaluate(NETWORKS, WEIGHTS, SEEDS)
    returns, _ = rollout_episodes(CARTPOLE, mixed, WEIGHTS, SEEDS)
    np.testing.assert_array_equal(scores.returns[is_own], returns[is_own])
    np.testing.assert_array_equal(scores.returns[~is_own], compiled.returns[~is_own])
    assert in_python == mixed.keys[is_own].tolist()
    assert scores.num_steps == scores.returns.sum()


@pytest.mark.parametrize("workers", [-1, 100_000])
def test_a_number_of_workers_that_cannot_be_is_refused(workers: int) -> None:
    with pytest.raises(ValueError, match=rf"workers must be .*{workers}"):
        LocalEvaluator(CARTPOLE, workers)


DIGITS = load_task("digits")
IMAGE_NETWORKS = random_networks(64, 10)


@pytest.mark.parametrize("purpose", [Purpose.TRAIN, Purpose.TEST])
def test_images_are_scored_in_the_kernel_as_by_forward(purpose: Purpose) -> None:
    seeds = DIGITS.seeds(4, purpose, 2, 3)
    with LocalEvaluator(DIGITS, 2) as evaluator:
        assert evaluator.is_compiled
        scores = evaluator.evaluate(IMAGE_NETWORKS, WEIGHTS, seeds)
    wanted, num_images = score_batches(DIGITS, IMAGE_NETWORKS, WEIGHTS, seeds)
    np.testing.assert_allclose(scores.returns, wanted, rtol=1e-4)
    assert scores.num_steps == num_images


def test_any_number_of_workers_gives_images_the_same_scores() -> None:
    seeds = DIGITS.seeds(4, Purpose.VALIDATION, 0, 3)
    with LocalEvaluator(DIGITS, 1) as alone, LocalEvaluator(DIGITS, 5) as together:
        wanted = alone.evaluate(IMAGE_NETWORKS, WEIGHTS, seeds)
        scores = together.evaluate(IMAGE_NETWORKS, WEIGHTS, seeds)
    np.testing.assert_array_equal(scores.returns, wanted.returns)
    assert len(np.unique(scores.returns)) > 30


def test_networks_with_an_activation_of_the_users_own_see_images_in_python(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for table in ("_by_id", "_by_name"):
        monkeypatch.setattr(wann.activations, table, dict(getattr(wann.activations, table)))
    cube = register_activation("cube", lambda x: x**3)
    mixed = IMAGE_NETWORKS.take(np.arange(len(IMAGE_NETWORKS)))
    mixed.activations[mixed.activations == 11] = cube.id
    is_own = np.array([bool((each.activations == cube.id).any()) for each in mixed])
    assert is_own.any()
    assert not is_own.all()
    seeds = DIGITS.seeds(4, Purpose.VALIDATION, 0, 2)
    with LocalEvaluator(DIGITS, 2) as evaluator:
        scores = evaluator.evaluate(mixed, WEIGHTS, seeds)
        compiled = evaluator.evaluate(IMAGE_NETWORKS, WEIGHTS, seeds)
    wanted, num_images = score_batches(DIGITS, mixed, WEIGHTS, seeds)
    np.testing.assert_array_equal(scores.returns[is_own], wanted[is_own])
    np.testing.assert_array_equal(scores.returns[~is_own], compiled.returns[~is_own])
    assert scores.num_steps == num_images
