"""The evaluator of networks that have weights of their own, as those of neat-python."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from typing import Self, TypeAlias

import numpy as np
from jaxtyping import Float64, Int64

from wann.activations import is_compiled
from wann.backend import uses_ray
from wann.config import Backend
from wann.evaluation import CHUNKS_A_WORKER, available_cores
from wann.ray_session import num_cpus, ray_session, run_tasks
from wann.rollout.compiled import rollout_weights
from wann.rollout.episodes import Starts, kernel_of, paired_episodes, starts
from wann.scores import Scores
from wann.tasks.control import ControlTask
from wann.topology import Topologies, Topology

WeightedTopology: TypeAlias = tuple[Topology, Float64[np.ndarray, "E"]]


class NetworkEvaluator:
    """Scores networks under their own weights: threads over kernels, or Gymnasium's environment.

    A kernel serves where the task has one, for the networks whose activations are all the paper's.
    Close it, or use it in a `with`, to end its threads.
    """

    def __init__(self, task: ControlTask, workers: int = 0, on_cluster: bool = False) -> None:
        """Serve `task` with this many threads; 0 stands for all cores that may be used.

        on_cluster: work on the machines of the `ray_session` that is open instead.
        """
        self.task = task
        self.workers = workers or available_cores()
        self.on_cluster = on_cluster
        self._pool = ThreadPoolExecutor(self.workers, "networks")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(wait=False, cancel_futures=True)

    def evaluate(
        self, networks: Sequence[WeightedTopology], seeds: Int64[np.ndarray, "R"]
    ) -> Scores:
        """Return each network's return [G, 1, R] in each seed's episode.

        Raises EnvironmentFault when an environment misbehaves, ClusterFault as `run_tasks` does.
        """
        kernel = kernel_of(self.task)
        begun = starts(self.task, kernel, seeds) if kernel else None
        workers = num_cpus() if self.on_cluster else self.workers
        calls = [
            (self.task, begun, Topologies.stack([each for each, _ in part], [0] * len(part)),
             [each for _, each in part], seeds)
            for part in _parts(networks, workers * CHUNKS_A_WORKER)
        ]  # fmt: skip
        if self.on_cluster:
            played = run_tasks(_play, calls)
        else:
            played = list(self._pool.map(lambda call: _play(*call), calls))
        returns = np.concatenate([each for each, _ in played])
        return Scores(returns[:, np.newaxis], sum(steps for _, steps in played))


def _parts(networks: Sequence[WeightedTopology], count: int) -> list[Sequence[WeightedTopology]]:
    """Return the networks in at most `count` runs of about equal length."""
    edges = np.linspace(0, len(networks), min(count, len(networks)) + 1).astype(int).tolist()
    return [networks[first:last] for first, last in pairwise(edges)]


def _play(
    task: ControlTask,
    begun: Starts | None,
    topologies: Topologies,
    weights: Sequence[Float64[np.ndarray, "E"]],
    seeds: Int64[np.ndarray, "R"],
) -> tuple[Float64[np.ndarray, "G R"], int]:
    """Return the return of each network in each episode, and how many steps that took.

    begun: where the episodes begin, of a task that has a kernel.
    """
    kernel = kernel_of(task)
    returns = np.empty((len(topologies), len(seeds)))
    num_steps = 0
    for row, (topology, own) in enumerate(zip(topologies, weights, strict=True)):
        if kernel and begun and is_compiled(topology.activations):
            played, steps = rollout_weights(
                kernel,
                topology,
                own[np.newaxis],
                begun.states,
                begun.observations,
                max_steps=task.max_steps,
                offset=task.offset,
                scale=task.scale,
            )
            returns[row] = played[0]
        else:
            returns[row], steps = paired_episodes(task, topology, [own] * len(seeds), seeds)
        num_steps += steps
    return returns, num_steps


@contextlib.contextmanager
def open_network_evaluator(task: ControlTask, backend: Backend) -> Iterator[NetworkEvaluator]:
    """Have an evaluator of networks with their own weights in here.

    Raises what `ray_session` and the evaluator raise.
    """
    if not uses_ray(backend, task):
        with NetworkEvaluator(task, backend.workers) as evaluator:
            yield evaluator
        return
    with (
        ray_session(backend.cluster, backend.workers),
        NetworkEvaluator(task, on_cluster=True) as evaluator,
    ):
        yield evaluator
