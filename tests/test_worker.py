"""What a worker does, without Ray."""

from __future__ import annotations

import dataclasses
import pickle
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

import __main__
from tests.misbehaving import misbehaving_task
from tests.networks import random_network
from wann import worker as module
from wann.activations import Activation, activation_named, register_activation
from wann.evaluation import LocalEvaluator
from wann.tasks import load_task
from wann.tasks.control import ControlTask
from wann.topology import Topologies
from wann.version import __version__
from wann.worker import Worker, own_activations, portable, register

WEIGHTS, SEEDS = np.array([-1.0, 1.5]), np.array([5, 1, 7])


def prepared(task: ControlTask) -> Worker:
    worker = Worker()
    worker.prepare(pickle.loads(pickle.dumps(task)), [], __version__)
    return worker


def batch(task: ControlTask) -> Topologies:
    sizes = task.num_inputs, task.num_outputs
    return Topologies.stack([random_network(*sizes, 3, 9, seed=each).topology for each in range(5)])


def as_ray_sends(topologies: Topologies) -> Topologies:
    """Return the batch with arrays that cannot be written."""
    topologies = pickle.loads(pickle.dumps(topologies))
    for each in dataclasses.fields(topologies):
        value = getattr(topologies, each.name)
        if isinstance(value, np.ndarray):
            value.flags.writeable = False
    return topologies


@pytest.mark.parametrize("name", ["CartPole-v1", "MountainCar-v0", "misbehaving"])
def test_a_worker_gives_the_scores_of_a_local_evaluator(name: str, tmp_path: Path) -> None:
    task = misbehaving_task(tmp_path) if name == "misbehaving" else load_task(name)
    result = prepared(task).evaluate(as_ray_sends(batch(task)), WEIGHTS, SEEDS)
    with LocalEvaluator(task, 1) as evaluator:
        expected = evaluator.evaluate(batch(task), WEIGHTS, SEEDS)
    assert result.returns.tobytes() == expected.returns.tobytes()
    assert result.num_steps == expected.num_steps
    assert (result.seconds > 0.0).all()
    assert result.seconds.sum() <= result.busy * (1 + 1e-9)


def test_arrays_that_cannot_be_written_need_no_kernel_of_their_own() -> None:
    from wann.rollout.lanes import rollout_lanes

    task = load_task("CartPole-v1")
    worker = prepared(task)
    before = len(rollout_lanes.signatures)
    worker.evaluate(as_ray_sends(batch(task)), WEIGHTS, SEEDS)
    assert len(rollout_lanes.signatures) == before > 0


def test_a_worker_builds_the_kernels_that_play_and_no_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[list[str]] = []

    def build(names: Iterable[str]) -> None:
        asked.append(sorted(names))

    monkeypatch.setattr(module, "build_kernels", build)
    prepared(load_task("CartPole-v1"))
    prepared(misbehaving_task(tmp_path))
    assert asked == [["lanes", "policy"], ["policy"]]


def test_a_worker_of_another_version_says_so() -> None:
    wanted = f"a worker has wann-search {__version__}, but the search runs with 9.9.9; install"
    with pytest.raises(RuntimeError, match=wanted):
        Worker().prepare(load_task("CartPole-v1"), [], "9.9.9")


def test_a_worker_without_a_task_says_so() -> None:
    with pytest.raises(RuntimeError, match="must be prepared before it evaluates"):
        Worker().evaluate(batch(load_task("CartPole-v1")), WEIGHTS, SEEDS)


def test_activations_of_a_user_are_taken_over_under_the_same_id() -> None:
    added = register_activation("quartic_of_the_worker_test", lambda x: x**4)
    assert added in own_activations()
    register(own_activations())
    assert activation_named("quartic_of_the_worker_test") == added
    elsewhere = Activation(added.id + 40, added.name, added.formula, added.function)
    wanted = f"has id {added.id + 40} where the search runs, but {added.id} on a worker; register"
    with pytest.raises(RuntimeError, match=wanted):
        register([elsewhere])


class Mine(gymnasium.Env[Any, Any]):
    """Stands for a class of the user's script."""


def test_an_environment_of_the_script_itself_is_sent_as_its_class(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(__main__, "Mine", Mine, raising=False)
    task = misbehaving_task(tmp_path)
    assert portable(task) is task
    spec = dataclasses.replace(task.spec, entry_point="__main__:Mine")
    assert portable(dataclasses.replace(task, spec=spec)).spec.entry_point is Mine
