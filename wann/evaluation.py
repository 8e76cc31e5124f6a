"""Evaluators: from networks, weights and seeds to scores, on this machine."""

from __future__ import annotations

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Protocol, Self, TypeAlias

import numpy as np
from jaxtyping import Float64, Int64

from wann.activations import is_compiled
from wann.checks import whole_number_in
from wann.config import MAX_WORKERS
from wann.rollout.compiled import CompiledTask, rollout
from wann.rollout.episodes import Starts, kernel_of, rollout_episodes, starts
from wann.rollout.image_scores import score_batches
from wann.rollout.images import score_images
from wann.scores import Scores
from wann.tasks import AnyTask, ControlTask, ImageSet, ImageTask
from wann.topology import Topologies

CHUNKS_A_WORKER = 8  # small enough that no worker waits long for the last one
UNINTERRUPTED = 256  # networks that one worker plays before it can notice Ctrl+C


class Evaluator(Protocol):
    """Scores networks. Equal arguments give equal scores, whatever does the work."""

    def evaluate(
        self,
        topologies: Topologies,
        weights: Float64[np.ndarray, "W"],
        seeds: Int64[np.ndarray, "R"],
    ) -> Scores:
        """Return each network's return under each shared weight in each seed's episode."""
        ...


def available_cores() -> int:
    """Return how many cores this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


# Plays the networks from `first` up to `last` in a kernel: their returns [g, W, R], and how many
# steps of an environment, or images, that took.
Part: TypeAlias = Callable[[int, int], tuple[Float64[np.ndarray, "g W R"], int]]


def has_kernel(task: AnyTask) -> bool:
    """Return whether a compiled kernel evaluates networks on this task."""
    return isinstance(task, ImageTask) or kernel_of(task) is not None


class LocalEvaluator:
    """Evaluates on this machine: threads over compiled kernels, or Gymnasium's own environment.

    A kernel serves where the task has one, for the networks whose activations are all the paper's;
    everything else runs in Python, in one thread. Close it, or use it in a `with`, to end its
    threads.
    """

    def __init__(self, task: AnyTask, workers: int = 0) -> None:
        """Serve `task` with this many threads; 0 stands for all cores that may be used.

        Raises ValueError when `workers` is negative.
        """
        whole_number_in("workers", workers, 0, MAX_WORKERS)
        self.task = task
        self.workers = workers or available_cores()
        self.is_compiled = has_kernel(task)
        self._pool = ThreadPoolExecutor(self.workers, "evaluate")
        self._starts: tuple[bytes, Starts] | None = None  # of the latest seeds
        self._batches: tuple[bytes, list[ImageSet]] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End the threads; what they still have in hand they finish."""
        self._pool.shutdown(wait=False, cancel_futures=True)

    def evaluate(
        self,
        topologies: Topologies,
        weights: Float64[np.ndarray, "W"],
        seeds: Int64[np.ndarray, "R"],
    ) -> Scores:
        """Return each network's return under each shared weight in each seed's episode.

        Raises EnvironmentFault when a Python environment misbehaves.
        """
        if not self.is_compiled or len(topologies) == 0:
            return Scores(*_in_python(self.task, topologies, weights, seeds))
        if is_compiled(topologies.activations):
            return self._in_kernel(topologies, weights, seeds)
        returns = np.empty((len(topologies), len(weights), len(seeds)))
        of_a_user = np.array([not is_compiled(each.activations) for each in topologies])
        own, others = np.flatnonzero(of_a_user), np.flatnonzero(~of_a_user)
        returns[own], num_steps = _in_python(self.task, topologies.take(own), weights, seeds)
        if len(others):
            scores = self._in_kernel(topologies.take(others), weights, seeds)
            returns[others] = scores.returns
            num_steps += scores.num_steps
        return Scores(returns, num_steps)

    def _in_kernel(
        self,
        topologies: Topologies,
        weights: Float64[np.ndarray, "W"],
        seeds: Int64[np.ndarray, "R"],
    ) -> Scores:
        """Return the scores of at least one network, all of the paper's activations."""
        part = self._kernel_part(topologies, weights, seeds)
        if self.workers == 1:  # a thread would cost more than a small batch takes
            num_chunks, map_parts = -(-len(topologies) // UNINTERRUPTED), map
        else:
            num_chunks, map_parts = self.workers * CHUNKS_A_WORKER, self._pool.map
        edges = np.linspace(0, len(topologies), min(num_chunks, len(topologies)) + 1).astype(int)
        parts = list(map_parts(part, edges[:-1].tolist(), edges[1:].tolist()))
        return Scores(np.concatenate([each for each, _ in parts]), sum(each for _, each in parts))

    def _kernel_part(
        self,
        topologies: Topologies,
        weights: Float64[np.ndarray, "W"],
        seeds: Int64[np.ndarray, "R"],
    ) -> Part:
        """Return what plays a part of these networks in the task's kernel."""
        if isinstance(self.task, ImageTask):
            return _image_part(topologies, weights, self._batches_of(self.task, seeds))
        kernel = kernel_of(self.task)
        if kernel is None:
            raise RuntimeError(f"task {self.task.id!r} has no kernel")
        beginning = self._starts_of(self.task, kernel, seeds)
        return _episode_part(self.task, kernel, topologies, weights, beginning)

    def _starts_of(
        self, task: ControlTask, kernel: CompiledTask, seeds: Int64[np.ndarray, "R"]
    ) -> Starts:
        """Return where the episodes begin; a search asks for the same ones again and again."""
        key = seeds.tobytes()
        if self._starts is None or self._starts[0] != key:
            self._starts = key, starts(task, kernel, seeds)
        return self._starts[1]

    def _batches_of(self, task: ImageTask, seeds: Int64[np.ndarray, "R"]) -> list[ImageSet]:
        """Return the seeds' images; the chunks of a generation ask for the same ones in turn."""
        key = seeds.tobytes()
        if self._batches is None or self._batches[0] != key:
            self._batches = key, [task.batch(seed) for seed in seeds.tolist()]
        return self._batches[1]


def _in_python(
    task: AnyTask,
    topologies: Topologies,
    weights: Float64[np.ndarray, "W"],
    seeds: Int64[np.ndarray, "R"],
) -> tuple[Float64[np.ndarray, "G W R"], int]:
    """Return the returns of any networks, and the steps or images that they took."""
    if isinstance(task, ImageTask):
        return score_batches(task, topologies, weights, seeds)
    return rollout_episodes(task, topologies, weights, seeds)


def _episode_part(
    task: ControlTask,
    kernel: CompiledTask,
    topologies: Topologies,
    weights: Float64[np.ndarray, "W"],
    beginning: Starts,
) -> Part:
    def part(first: int, last: int) -> tuple[Float64[np.ndarray, "g W R"], int]:
        return rollout(
            kernel,
            topologies,
            weights,
            beginning.states,
            beginning.observations,
            max_steps=task.max_steps,
            offset=task.offset,
            scale=task.scale,
            start=first,
            stop=last,
        )

    return part


def _image_part(
    topologies: Topologies, weights: Float64[np.ndarray, "W"], batches: list[ImageSet]
) -> Part:
    num_images = sum(len(each) for each in batches)

    def part(first: int, last: int) -> tuple[Float64[np.ndarray, "g W R"], int]:
        scores = [
            score_images(topologies, weights, each.images, each.labels, first, last)[0]
            for each in batches
        ]
        return np.stack(scores, axis=2), (last - first) * len(weights) * num_images

    return part
