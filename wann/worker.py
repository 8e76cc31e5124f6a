"""What a worker does: it holds a task and evaluates chunks of networks, in a process of its own."""

from __future__ import annotations

import contextlib
import importlib
import math
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float64, Int64

from wann.activations import (
    PAPER_ACTIVATIONS,
    Activation,
    activation_ids,
    activation_named,
    activation_names,
    activation_of,
    register_activation,
)
from wann.evaluation import LocalEvaluator
from wann.genome import minimal_genome
from wann.kernel_build import build_kernels, groups_for
from wann.rollout.episodes import episodes
from wann.rollout.single import policy
from wann.seeding import Purpose
from wann.tasks import AnyTask, ControlTask
from wann.topology import Topologies, compile
from wann.version import __version__

GROUPS_TO_PLAY = ("lanes", "images", "policy")  # of kernels; the others are for breeding


@dataclass(frozen=True, eq=False)
class ChunkResult:
    """What came of a chunk.

    returns: [K, W, R], NaN where time was up. num_played: episodes, in the order of `Chunk`.
    num_steps: environment steps. seconds: [K] that each network took; a kernel's time is spread
        evenly over the networks it played at once.
    busy: seconds that the worker was at work on the chunk.
    """

    returns: Float64[np.ndarray, "K W R"]
    num_played: int
    num_steps: int
    seconds: Float64[np.ndarray, "K"]
    busy: float


class Worker:
    """Evaluates networks on a task that it keeps. It knows nothing of Ray."""

    def __init__(self) -> None:
        """Wait for a task."""
        self._evaluator: LocalEvaluator | None = None

    def prepare(self, task: AnyTask, activations: Sequence[Activation], version: str) -> int:
        """Take the task, with the activations its user registered; return the process's id.

        version: of wann-search where the search runs. Kernels are compiled, once a node.
        Raises RuntimeError when this process has another version, MissingDependency when something
        that the environment needs is not installed here.
        """
        if version != __version__:
            raise RuntimeError(
                f"a worker has wann-search {__version__}, but the search runs with {version}; "
                "install the same version on all machines"
            )
        register(activations)
        build_kernels(each for each in groups_for(task) if each in GROUPS_TO_PLAY)
        if isinstance(task, ControlTask):
            task.make().close()  # what is missing is found now, not in the first chunk
        self._evaluator = LocalEvaluator(task, workers=1)
        _load_kernels(self._evaluator)
        return os.getpid()

    def ping(self) -> None:
        """Return at once: what this takes is what a call costs."""

    def play(self, packed: bytes, budget: float = math.inf) -> ChunkResult:
        """Return what `evaluate` does for what `pack` has packed."""
        return self.evaluate(*unpack(packed), budget)

    def evaluate(
        self,
        topologies: Topologies,
        weights: Float64[np.ndarray, "W"],
        seeds: Int64[np.ndarray, "R"],
        budget: float = math.inf,
    ) -> ChunkResult:
        """Return the returns of these networks, or of as many as can be had.

        budget: seconds after which no further episode is begun; a kernel plays all of them.
        Raises EnvironmentFault, as LocalEvaluator does.
        """
        started = time.perf_counter()
        evaluator = self._evaluator
        if evaluator is None:
            raise RuntimeError("a worker must be prepared before it evaluates")
        batch = writable(topologies)
        task = evaluator.task
        if evaluator.is_compiled or not isinstance(task, ControlTask):
            scores = evaluator.evaluate(batch, weights, seeds)
            busy = time.perf_counter() - started
            each = np.full(len(batch), busy / max(len(batch), 1))
            size = scores.returns.size
            return ChunkResult(scores.returns, size, scores.num_steps, each, busy)
        returns = np.full((len(batch), len(weights), len(seeds)), np.nan)
        seconds, num_played, num_steps, now = np.zeros(len(batch)), 0, 0, started
        played = episodes(task, batch, weights, seeds)
        with contextlib.closing(played):
            for place, episode in played:
                returns[place] = episode.return_
                num_played += 1
                num_steps += episode.num_steps
                before, now = now, time.perf_counter()
                seconds[place[0]] += now - before
                if now - started > budget:
                    break
        return ChunkResult(returns, num_played, num_steps, seconds, time.perf_counter() - started)


def _load_kernels(evaluator: LocalEvaluator) -> None:
    """Have the kernels loaded, which takes a second, before the first chunk is timed."""
    task = evaluator.task
    no_links = np.zeros((task.num_inputs + 1) * task.num_outputs, dtype=bool)
    idle = compile(minimal_genome(task.num_inputs, task.num_outputs, no_links))
    if evaluator.is_compiled:
        seeds = task.seeds(0, Purpose.TRAIN, 0, 1)
        evaluator.evaluate(Topologies.stack([idle]), np.ones(1), seeds)
    else:
        policy(idle, 1.0)(np.zeros(task.num_inputs))


def own_activations() -> list[Activation]:
    """Return the activations that the user has registered in this process."""
    return [activation_of(each) for each in activation_ids() if each > len(PAPER_ACTIVATIONS)]


def register(activations: Sequence[Activation]) -> None:
    """Make a user's activations known here, under the ids they have where the search runs.

    Raises RuntimeError when another one has that name or id here.
    """
    for each in activations:
        if each.name not in activation_names():
            register_activation(each.name, each.function, each.formula)
        known = activation_named(each.name)
        if known.id != each.id:
            raise RuntimeError(
                f"activation {each.name!r} has id {each.id} where the search runs, but {known.id} "
                "on a worker; register activations in one place only"
            )


def portable(task: AnyTask) -> AnyTask:
    """Return the task in a form that a process can use which never ran the user's script.

    An entry point "__main__:Class" means another module there; the class itself can be sent.
    """
    if not isinstance(task, ControlTask):
        return task
    entry = task.spec.entry_point
    if not isinstance(entry, str) or not entry.startswith("__main__:"):
        return task
    environment = getattr(importlib.import_module("__main__"), entry.partition(":")[2])
    return replace(task, spec=replace(task.spec, entry_point=environment))


def writable(topologies: Topologies) -> Topologies:
    """Return the batch in arrays of this process's own.

    What Ray hands over is read-only, and Numba would compile every kernel anew for such arrays.
    """
    names = ("node_offsets", "edge_offsets", "offsets", "sources", "activations", "outputs", "keys")
    return replace(topologies, **{name: getattr(topologies, name).copy() for name in names})


def pack(
    topologies: Topologies,
    first: int,
    last: int,
    weights: Float64[np.ndarray, "W"],
    seeds: Int64[np.ndarray, "R"],
) -> bytes:
    """Return the networks from `first` up to `last`, weights and seeds, for `unpack`.

    Bytes cost the driver a tenth of what arrays do that are pickled one by one.
    """
    nodes, edges = (
        topologies.node_offsets[first : last + 1],
        topologies.edge_offsets[first : last + 1],
    )
    first_node, last_node, first_edge, last_edge = nodes[0], nodes[-1], edges[0], edges[-1]
    header = (topologies.num_inputs, topologies.num_outputs, last - first, last_node - first_node)
    header += (last_edge - first_edge, len(weights), len(seeds))
    parts = (
        np.array(header, dtype=np.int64),
        weights,
        seeds,
        nodes,
        edges,
        topologies.keys[first:last],
        topologies.offsets[first_node + first : last_node + last],
        topologies.sources[first_edge:last_edge],
        topologies.outputs[first:last],
        topologies.activations[first_node:last_node],
    )
    return b"".join(each.tobytes() for each in parts)


def unpack(
    packed: bytes,
) -> tuple[Topologies, Float64[np.ndarray, "W"], Int64[np.ndarray, "R"]]:
    """Return the networks, weights and seeds that `pack` has packed; arrays cannot be written."""
    place = 0

    def array(count: int, dtype: type) -> np.ndarray:
        nonlocal place
        found = np.frombuffer(packed, dtype, count, place)
        place += found.nbytes
        return found

    num_inputs, num_outputs, count, num_nodes, num_edges, *sizes = array(7, np.int64).tolist()
    weights, seeds = array(sizes[0], np.float64), array(sizes[1], np.int64)
    nodes, edges = array(count + 1, np.int64), array(count + 1, np.int64)
    keys = array(count, np.uint64)
    offsets, sources = array(num_nodes + count, np.int32), array(num_edges, np.int32)
    outputs = array(count * num_outputs, np.int32).reshape(count, num_outputs)
    activations = array(num_nodes, np.uint8)
    topologies = Topologies(
        num_inputs, nodes - nodes[0], edges - edges[0], offsets, sources, activations, outputs, keys
    )
    return topologies, weights, seeds
