"""Returns of one network under many weights: what tuning and the four settings need."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Self

import numpy as np
from jaxtyping import Float64, Int64

from wann.activations import is_compiled
from wann.checks import whole_number_in
from wann.config import MAX_WORKERS
from wann.evaluation import available_cores
from wann.ray_session import run_tasks
from wann.rollout.compiled import CompiledTask, rollout_weights
from wann.rollout.episodes import kernel_of, paired_episodes, starts
from wann.tasks.control import ControlTask
from wann.topology import Topologies, Topology

EPISODES_A_CALL = 16  # of an environment in Python, so that workers share them
CHUNKS_A_WORKER = 2  # larger ones keep the lanes of a kernel busier


def gymnasium_returns(
    task: ControlTask,
    topology: Topology,
    weights: Sequence[float | Float64[np.ndarray, "E"]],
    seeds: Int64[np.ndarray, "R"],
) -> tuple[Float64[np.ndarray, "R"], int]:
    """Return the return of each episode under its own weights in Gymnasium, and the steps.

    Within a `wann.ray_session` its workers play. Raises what `paired_episodes` and `run_tasks` do.
    """
    if len(weights) != len(seeds):
        raise ValueError(
            f"{len(seeds)} episodes need as many weights, but {len(weights)} were given"
        )
    alone = Topologies.stack([topology])
    calls = [
        (task, alone, list(weights[first : first + EPISODES_A_CALL]), part)
        for first in range(0, len(seeds), EPISODES_A_CALL)
        if len(part := seeds[first : first + EPISODES_A_CALL])
    ]
    played = run_tasks(_paired_episodes, calls)
    returns = np.concatenate([np.empty(0), *(each for each, _ in played)])
    return returns, sum(steps for _, steps in played)


def _paired_episodes(
    task: ControlTask,
    alone: Topologies,
    weights: Sequence[float | Float64[np.ndarray, "E"]],
    seeds: Int64[np.ndarray, "R"],
) -> tuple[Float64[np.ndarray, "R"], int]:
    """Return what `paired_episodes` does of a batch of one network, which Ray can send."""
    return paired_episodes(task, alone[0], weights, seeds)


class WeightEvaluator:
    """Plays one network with weights of its links that differ from candidate to candidate.

    In threads over a compiled kernel where the task has one and the activations are the paper's;
    else in Gymnasium, in this process or on the workers of a `wann.ray_session`. Close it, or use
    it in a `with`, to end its threads.
    """

    def __init__(self, task: ControlTask, topology: Topology, workers: int = 0) -> None:
        """Serve one network of `task` with this many threads; 0 for all cores that may be used."""
        whole_number_in("workers", workers, 0, MAX_WORKERS)
        self.task = task
        self.topology = topology
        self.workers = workers or available_cores()
        self.kernel = kernel_of(task) if is_compiled(topology.activations) else None
        self.num_steps = 0
        self._pool = ThreadPoolExecutor(self.workers, "weights")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def returns(
        self, weights: Float64[np.ndarray, "K E"], seeds: Int64[np.ndarray, "R"]
    ) -> Float64[np.ndarray, "K R"]:
        """Return the return of each candidate in each episode; all play the same episodes.

        `num_steps` counts the environment steps it took. Raises EnvironmentFault when an
        environment in Python misbehaves.
        """
        if self.kernel is None:
            each = [vector for vector in weights for _ in seeds]
            flat, num_steps = gymnasium_returns(
                self.task, self.topology, each, np.tile(seeds, len(weights))
            )
            self.num_steps += num_steps
            return flat.reshape(len(weights), len(seeds))
        return self._in_kernel(self.kernel, weights, seeds)

    def _in_kernel(
        self,
        kernel: CompiledTask,
        weights: Float64[np.ndarray, "K E"],
        seeds: Int64[np.ndarray, "R"],
    ) -> Float64[np.ndarray, "K R"]:
        task = self.task
        beginning = starts(task, kernel, seeds)

        def part(first: int, last: int) -> tuple[Float64[np.ndarray, "k R"], int]:
            return rollout_weights(
                kernel,
                self.topology,
                weights,
                beginning.states,
                beginning.observations,
                max_steps=task.max_steps,
                offset=task.offset,
                scale=task.scale,
                start=first,
                stop=last,
            )

        num_chunks = min(len(weights), self.workers * CHUNKS_A_WORKER)
        edges = np.linspace(0, len(weights), num_chunks + 1).astype(int).tolist()
        parts = list(self._pool.map(part, edges[:-1], edges[1:]))
        self.num_steps += sum(num_steps for _, num_steps in parts)
        return np.concatenate([np.empty((0, len(seeds))), *(returns for returns, _ in parts)])
