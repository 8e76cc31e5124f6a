"""Episodes in Gymnasium's own environments: any of them, one step of Python at a time."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from jaxtyping import Float64, Int64

from wann.rollout.compiled import CompiledTask, compiled_task
from wann.rollout.single import Policy, policy
from wann.tasks.control import ControlTask
from wann.tasks.environment import Env
from wann.tasks.faults import EnvironmentFault, describe
from wann.topology import Topologies, Topology


@dataclass(frozen=True)
class Episode:
    """What one episode came to.

    return_: sum of its rewards. num_steps: steps it took.
    """

    return_: float
    num_steps: int


def play(task: ControlTask, env: Env, policy: Policy, seed: int) -> Episode:
    """Return the episode that `policy` plays in `env` from `reset(seed=seed)`.

    env: made by `task.make()`; it may have played before.
    The episode ends when the environment says so, or after `task.max_steps` steps: one that would
    never end is no fault.
    Raises EnvironmentFault, naming environment, seed and step, when the environment raises, gives a
    reward that is not finite, an observation that holds NaN, or one of another shape.
    """
    act = task.act
    return_ = 0.0
    try:
        observation, _ = env.reset(seed=seed)
    except (Exception, SystemExit) as error:
        raise _fault(task, seed, 0, f"reset raised {describe(error)}") from error
    inputs = _inputs(task, seed, 0, observation)
    for step in range(1, task.max_steps + 1):
        action = act(policy(inputs))
        try:
            observation, reward, terminated, truncated, _ = env.step(action)
            ended = bool(terminated or truncated)
        except (Exception, SystemExit) as error:
            raise _fault(task, seed, step, f"step raised {describe(error)}") from error
        return_ += _finite(task, seed, step, reward)
        if math.isinf(return_):
            raise _fault(task, seed, step, "the sum of the rewards is too large for a number")
        inputs = _inputs(task, seed, step, observation)
        if ended:
            return Episode(return_, step)
    return Episode(return_, task.max_steps)


def _inputs(task: ControlTask, seed: int, step: int, observation: Any) -> Float64[np.ndarray, "I"]:
    """Return the network's inputs for an observation that has the right shape and no NaN."""
    try:
        inputs = task.observe(observation)
    except (Exception, SystemExit) as error:
        raise _fault(task, seed, step, f"of the observation, {describe(error)}") from error
    if np.isnan(inputs).any():
        index = int(np.isnan(inputs).argmax())
        raise _fault(task, seed, step, f"observation {task.input_names[index]!r} was nan")
    return inputs


def _finite(task: ControlTask, seed: int, step: int, reward: Any) -> float:
    try:
        if math.isfinite(reward):
            return float(reward)
    except TypeError:
        pass
    raise _fault(task, seed, step, f"the reward must be a finite number, but it was {reward!r}")


def _fault(task: ControlTask, seed: int, step: int, what: str) -> EnvironmentFault:
    return EnvironmentFault(f"environment {task.spec.id!r}, seed {seed}, step {step}: {what}")


def rollout_episodes(
    task: ControlTask,
    topologies: Topologies,
    weights: Float64[np.ndarray, "W"],
    seeds: Int64[np.ndarray, "R"],
    *,
    start: int = 0,
    stop: int | None = None,
) -> tuple[Float64[np.ndarray, "g W R"], int]:
    """Return each network's return in each episode, and how many environment steps it took.

    start, stop: which of the topologies; g = stop - start.
    A return does not depend on what else was played: each episode has an environment of its own,
    or one that resets completely. Raises EnvironmentFault when it misbehaves; see `play`.
    """
    chosen = [topologies[genome] for genome in range(len(topologies))[start:stop]]
    returns = np.empty((len(chosen), len(weights), len(seeds)))
    num_steps = 0
    with contextlib.closing(episodes(task, chosen, weights, seeds)) as played:
        for place, episode in played:
            returns[place] = episode.return_
            num_steps += episode.num_steps
    return returns, num_steps


def episodes(
    task: ControlTask,
    topologies: Iterable[Topology],
    weights: Float64[np.ndarray, "W"],
    seeds: Int64[np.ndarray, "R"],
) -> Generator[tuple[tuple[int, int, int], Episode]]:
    """Yield the place (network, weight, seed) of each episode, and the episode, as it is played.

    Network by network, and of each one seed by seed under all weights. Close it, or go on to its
    end, to close the environment. Raises EnvironmentFault as `play` does.
    """
    with EnvironmentSource(task) as environments:
        for row, topology in enumerate(topologies):
            networks = [policy(topology, weight) for weight in weights.tolist()]
            for layer, seed in enumerate(seeds.tolist()):
                for column, network in enumerate(networks):
                    episode = play(task, environments.next(), network, seed)
                    yield (row, column, layer), episode


def paired_episodes(
    task: ControlTask,
    topology: Topology,
    weights: Sequence[float | Float64[np.ndarray, "E"]],
    seeds: Int64[np.ndarray, "R"],
) -> tuple[Float64[np.ndarray, "R"], int]:
    """Return one network's return in each episode under that episode's own weights, and the steps.

    weights: for each seed a number that all links share, or one a link.
    Raises ValueError when there are not as many weights as seeds, EnvironmentFault as `play` does.
    """
    if len(weights) != len(seeds):
        raise ValueError(
            f"{len(seeds)} episodes need as many weights, but {len(weights)} were given"
        )
    returns = np.empty(len(seeds))
    num_steps = 0
    with EnvironmentSource(task) as environments:
        for place, (each, seed) in enumerate(zip(weights, seeds.tolist(), strict=True)):
            episode = play(task, environments.next(), policy(topology, each), seed)
            returns[place] = episode.return_
            num_steps += episode.num_steps
    return returns, num_steps


class EnvironmentSource:
    """Environments for one episode after another: new ones, or one that resets completely."""

    def __init__(self, task: ControlTask) -> None:
        """Make nothing yet."""
        self.task = task
        self._env: Env | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the environment in hand, if there is one."""
        env, self._env = self._env, None
        if env is not None:
            env.close()

    def next(self) -> Env:
        """Return an environment that shows no trace of earlier episodes after its next reset.

        The one given before is closed, or is this one.
        """
        if self._env is None or not self.task.reuses_environment:
            self.close()
            self._env = self.task.make()
        return self._env


def kernel_of(task: ControlTask) -> CompiledTask | None:
    """Return the compiled kernel that plays exactly this task, or None when there is none.

    Arguments, wrappers or another action rule make it another task than the one compiled.
    """
    kernel = compiled_task(task.spec.id)
    if kernel is None or task.spec.kwargs or task.card.arguments or task.card.wrappers:
        return None
    return kernel if kernel.action == task.action_rule else None


@dataclass(frozen=True, eq=False)
class Starts:
    """Where the episodes of a compiled task begin.

    states: [R, S] as the kernel keeps them. observations: [R, I] as Gymnasium shows them, float64,
        neither moved nor scaled.
    """

    states: Float64[np.ndarray, "R S"]
    observations: Float64[np.ndarray, "R I"]


def starts(task: ControlTask, kernel: CompiledTask, seeds: Int64[np.ndarray, "R"]) -> Starts:
    """Return the states and observations that Gymnasium's own `reset(seed=...)` gives."""
    env = task.make()
    states, observations = [], []
    try:
        for seed in seeds.tolist():
            observation, _ = env.reset(seed=seed)
            states.append(kernel.read_state(env))
            observations.append(task.flatten(observation))
    finally:
        env.close()
    return Starts(np.stack(states), np.stack(observations))
