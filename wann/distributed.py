"""RayEvaluator: the same scores, worked out by actors on this machine or a cluster."""

from __future__ import annotations

import contextlib
import logging
import math
import queue
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, Self

import numpy as np
from jaxtyping import Float64, Int64

from wann.checks import number_in, whole_number_in
from wann.chunks import Chunk, Costs, Schedule
from wann.config import MAX_WORKERS, PATIENCE
from wann.ray_session import ClusterFault, cause_of, num_cpus, store_task
from wann.scores import Fault, Scores
from wann.tasks import AnyTask
from wann.tasks.faults import EnvironmentFault, text_of
from wann.topology import Topologies
from wann.version import __version__
from wann.worker import ChunkResult, Worker, own_activations, pack

IN_FLIGHT = 2  # chunks that an actor has: one in hand, one waiting
TRIALS = 3  # fresh workers in which a network must fail, alone, before it is given up
SHORTEST_DEADLINE = 300.0  # s for a chunk whose time is known from earlier ones
DEADLINE_FACTOR = 100.0  # times what a chunk was expected to take
FIRST_DEADLINE = 900.0  # s for the first episodes, of which nothing is known
PREPARATION_LIMIT = 600.0  # s for a worker to get ready; it may have to compile kernels
PINGS = 20  # calls that the cost of a call is measured by
USUAL_CALL_SECONDS = 0.0005  # until it is measured
USUAL_DRIVER_SECONDS = 0.0003  # of this process for a call, until it is measured
CHECK_SECONDS = 0.5  # between two looks at deadlines

logger = logging.getLogger("wann")


@dataclass
class Usage:
    """What an evaluator's workers did; sums over its batches.

    wall: seconds in `evaluate`. available: seconds that workers were there in that time, over all
    of them; busy: seconds that they worked on chunks. calls: chunks; episodes: of all of them.
    bytes_sent: of networks, weights and seeds. driver: seconds that this process's thread worked.
    lost: workers that had to be replaced.
    """

    wall: float = 0.0
    available: float = 0.0
    busy: float = 0.0
    calls: int = 0
    episodes: int = 0
    bytes_sent: int = 0
    driver: float = 0.0
    lost: int = 0

    @property
    def utilisation(self) -> float:
        """Share of the workers' time in `evaluate` that they were at work, 0 to 1."""
        return self.busy / self.available if self.available else 0.0


@dataclass(frozen=True, eq=False)
class _Call:
    """A chunk that a worker has, the future of its result, and the seconds it may take."""

    future: Future[ChunkResult]
    chunk: Chunk
    limit: float
    is_suspect: bool


@dataclass(eq=False)
class _Member:
    """An actor of the pool and what it has in hand.

    arrival: done when its process runs, and None from then on. preparation: the same for its being
    ready. since: when it began with what it does, as far as can be seen from here. attempts: starts
    in its place that have failed, in a row. is_gone: whether it has been dismissed. served: chunks
    it has finished.
    """

    actor: Any
    arrival: Future[None] | None
    preparation: Future[int] | None
    since: float
    attempts: int = 0
    is_gone: bool = False
    calls: deque[_Call] = field(default_factory=deque)
    served: int = 0

    @property
    def is_ready(self) -> bool:
        """Whether it takes chunks."""
        return self.preparation is None

    @property
    def is_fresh(self) -> bool:
        """Whether it is ready and has never done anything."""
        return self.is_ready and not self.served and not self.calls

    @property
    def head(self) -> Future[Any] | None:
        """The future of what it does now; None when that is nothing."""
        if self.arrival is not None:
            return self.arrival
        if self.preparation is not None:
            return self.preparation
        return self.calls[0].future if self.calls else None


class RayEvaluator:
    """Evaluates on Ray actors; the same bytes as `LocalEvaluator`, whatever workers come and go.

    Use it within a `wann.ray_session.ray_session`. Actors are kept from batch to batch, one for
    each CPU of the cluster (or `workers`), and their number follows nodes that come and go between
    batches.

    A worker that is lost, raises or passes its deadline is replaced, and its chunks are played
    again; a network that fails alone in three fresh workers is given up: it scores minus infinity
    and is listed in `Scores.faults`.
    """

    def __init__(
        self,
        task: AnyTask,
        workers: int = 0,
        deadline: float = 0.0,
        patience: float = PATIENCE,
    ) -> None:
        """Serve `task` with this many actors; 0 stands for all CPUs of the cluster.

        deadline: seconds a worker may take over one chunk; 0 for a limit that follows from what
            earlier chunks took. patience: seconds without any worker before `evaluate` gives up.
        Raises ValueError when the cluster has fewer CPUs than workers are wanted, ClusterFault when
        the task does not fit into its object stores.
        """
        import ray

        whole_number_in("workers", workers, 0, MAX_WORKERS)
        number_in("deadline", deadline, 0.0)
        number_in("patience", patience, 0.0)
        self.task = task
        self.workers = workers
        self.deadline = deadline
        self.patience = patience
        self.usage = Usage()
        self.call_seconds = USUAL_CALL_SECONDS
        self._is_call_measured = False
        self._costs = Costs()
        self._members: list[_Member] = []
        self._done: queue.SimpleQueue[_Member] = queue.SimpleQueue()  # workers that have answered
        self._next_check = 0.0  # when deadlines are to be looked at
        self._given_up = 0  # places for workers in which none could start
        self._num_cpus = num_cpus()
        if workers > self._num_cpus:
            raise ValueError(
                f"{workers} workers are wanted, but the cluster has {self._num_cpus} CPUs; leave "
                "--workers out to use them all"
            )
        self._actor: Any = ray.remote(Worker).options(num_cpus=1, scheduling_strategy="SPREAD")
        self._task = store_task(task)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """End all actors, whatever they have in hand."""
        while self._members:
            self._dismiss(self._members[-1])

    def evaluate(
        self,
        topologies: Topologies,
        weights: Float64[np.ndarray, "W"],
        seeds: Int64[np.ndarray, "R"],
    ) -> Scores:
        """Return each network's return under each shared weight in each seed's episode.

        Raises EnvironmentFault when networks fail and none succeeds, MissingDependency or
        ValueError when a worker lacks something that the task needs, ClusterFault when there has
        been no worker for `patience` seconds.
        """
        shape = (len(topologies), len(weights), len(seeds))
        if 0 in shape:
            return Scores(np.empty(shape))
        started, worked = time.monotonic(), time.thread_time()
        expected = self._costs.expected(topologies.keys)
        try:
            self._fit()
            schedule = Schedule(
                expected,
                len(weights),
                len(seeds),
                len(self._members),
                self.call_seconds,
                self.usage.driver / self.usage.calls if self.usage.calls else USUAL_DRIVER_SECONDS,
            )
            batch = _Batch(topologies, schedule.order, weights, seeds)
            self._work(batch, schedule)
        finally:  # what is still in flight belongs to a batch that has failed or was interrupted
            for member in [each for each in self._members if each.calls]:
                self._dismiss(member)
            wall = time.monotonic() - started
            self.usage.wall += wall
            self.usage.driver += time.thread_time() - worked
            self.usage.available += wall * sum(each.is_ready for each in self._members)
        self._costs.learn(topologies.keys, batch.seconds())
        return batch.scores()

    def _work(self, batch: _Batch, schedule: Schedule) -> None:
        """Have every episode of the batch played."""
        last_seen = time.monotonic()  # when there was a worker
        while batch.left:
            self._hand_out(batch, schedule)
            self._wait(batch, schedule)
            if any(member.arrival is None for member in self._members):
                last_seen = time.monotonic()
            elif time.monotonic() - last_seen > self.patience:
                raise ClusterFault(
                    f"no worker has been there for {self.patience:g} s: the cluster is down, or "
                    f"others hold all of its {num_cpus()} CPUs; what was found is saved, and "
                    "--resume goes on"
                )

    def _fit(self) -> None:
        """Have as many actors as the cluster allows, started or starting."""
        now = num_cpus()
        if now != self._num_cpus:
            self._num_cpus, self._given_up = now, 0
        wanted = max(min(self.workers or MAX_WORKERS, now) - self._given_up, 1)
        starting = [each for each in self._members if not each.is_ready]
        for member in starting[: max(len(self._members) - wanted, 0)]:
            self._dismiss(member)
        while len(self._members) < wanted:
            self._start()

    def _start(self, attempts: int = 0) -> None:
        """Add a new actor, which prepares itself. attempts: how often that has failed before."""
        actor = self._actor.remote()
        arrival = actor.ping.remote().future()
        preparation = actor.prepare.remote(self._task, own_activations(), __version__).future()
        member = _Member(actor, arrival, preparation, time.monotonic(), attempts)
        self._members.append(member)
        self._announce(member, arrival)
        self._announce(member, preparation)

    def _announce(self, member: _Member, future: Future[Any]) -> None:
        """Have `_wait` told when this is done; to ask for all of them costs far more."""
        future.add_done_callback(lambda _: self._done.put(member))

    def _dismiss(self, member: _Member) -> None:
        import ray
        from ray import exceptions

        self._members.remove(member)
        member.is_gone = True
        with contextlib.suppress(exceptions.RayError, ValueError):
            ray.kill(member.actor)

    def _replace(self, member: _Member) -> None:
        self._dismiss(member)
        self._start()
        self.usage.lost += 1

    def _hand_out(self, batch: _Batch, schedule: Schedule) -> None:
        """Give every worker that has too little to do the next chunk."""
        self._hand_out_suspects(batch, schedule)
        ready = [each for each in self._members if each.is_ready and len(each.calls) < IN_FLIGHT]
        for depth in range(IN_FLIGHT):
            for member in ready:
                if len(member.calls) != depth:
                    continue
                if depth and schedule.is_ending:
                    return
                if any(call.is_suspect for call in member.calls):
                    continue  # what fails must have been alone
                budget = schedule.budget
                chunk = batch.next(schedule)
                if chunk is None:
                    return
                self._send(member, batch, chunk, budget, self._limit(schedule.expected(chunk)))

    def _hand_out_suspects(self, batch: _Batch, schedule: Schedule) -> None:
        """Give each chunk that has failed alone to a worker that has done nothing before."""
        batch.suspects = deque(each for each in batch.suspects if not batch.has_given_up(each))
        while batch.suspects:
            member = next((each for each in self._members if each.is_fresh), None)
            if member is None:
                idle = [each for each in self._members if not each.calls and each.served]
                if idle:
                    self._dismiss(idle[0])
                    self._start()
                return
            chunk = batch.suspects.popleft()
            limit = self._limit(schedule.expected(chunk))
            self._send(member, batch, chunk, math.inf, limit, is_suspect=True)

    def _send(
        self,
        member: _Member,
        batch: _Batch,
        chunk: Chunk,
        budget: float,
        limit: float,
        is_suspect: bool = False,
    ) -> None:
        weights, seeds = batch.weights[slice(*chunk.weights)], batch.seeds[slice(*chunk.seeds)]
        packed = pack(batch.topologies, *chunk.networks, weights, seeds)
        future = member.actor.play.remote(packed, budget).future()
        if not member.calls:
            member.since = time.monotonic()
        member.calls.append(_Call(future, chunk, limit, is_suspect))
        self._announce(member, future)
        self.usage.calls += 1
        self.usage.bytes_sent += len(packed)

    def _wait(self, batch: _Batch, schedule: Schedule) -> None:
        """Take what has come: results, new workers, faults; wait for the first of them.

        One at a time leaves the queue: if its fault ends the batch, the others wait for the next.
        """
        with contextlib.suppress(queue.Empty):
            for _ in range(max(self._done.qsize(), 1)):
                member = self._done.get(timeout=CHECK_SECONDS)
                while not member.is_gone and member.head is not None and member.head.done():
                    if member.is_ready:
                        self._take(member, batch, schedule)
                    else:
                        self._welcome(member)
        self._enforce_deadlines(batch, schedule)

    def _limit(self, expected: float) -> float:
        """Return the seconds that a worker may take over a chunk of which this is expected."""
        if self.deadline:
            return self.deadline
        if math.isnan(expected):
            return FIRST_DEADLINE
        return max(SHORTEST_DEADLINE, DEADLINE_FACTOR * expected)

    def _enforce_deadlines(self, batch: _Batch, schedule: Schedule) -> None:
        now = time.monotonic()
        if now < self._next_check:
            return
        self._next_check = now + CHECK_SECONDS
        for member in list(self._members):
            if member.arrival is not None or member.head is None:
                continue
            limit = member.calls[0].limit if member.is_ready else PREPARATION_LIMIT
            if now - member.since <= limit:
                continue
            if member.is_ready:
                reason = f"it was not done after {limit:.3g} s (--deadline)"
                self._failed(member, batch, schedule, reason)
            else:
                self._not_started(member, _WorkerLost(f"a worker was not ready after {limit:g} s"))

    def _welcome(self, member: _Member) -> None:
        """Take note that a worker's process runs, or that it is ready, or say why not."""
        from ray import exceptions

        try:
            if member.head is not None:
                member.head.result()
            if member.arrival is not None:
                member.arrival, member.since = None, time.monotonic()
                return
            if not self._is_call_measured:
                self.call_seconds = _call_seconds(member.actor)
                self._is_call_measured = True
        except exceptions.RayError as error:
            self._not_started(member, _start_fault(error))
        else:
            member.preparation = None

    def _not_started(self, member: _Member, fault: Exception) -> None:
        """Start another worker in the place of one that could not; or do without; or give up."""
        self._dismiss(member)
        attempts = member.attempts + 1
        if isinstance(fault, EnvironmentFault | _WorkerLost) and attempts < TRIALS:
            logger.debug("a worker could not start: %s", fault)
            self._start(attempts)
            self.usage.lost += 1
            return
        if not any(each.is_ready for each in self._members):
            raise fault from None
        self._given_up += 1
        logger.warning("one worker cannot start, the search goes on without it: %s", fault)

    def _take(self, member: _Member, batch: _Batch, schedule: Schedule) -> None:
        """Take the result of a worker's first chunk."""
        from ray import exceptions

        call = member.calls[0]
        try:
            result = call.future.result()
        except exceptions.RayTaskError as error:
            cause = cause_of(error)
            if not isinstance(cause, EnvironmentFault):
                raise cause from None
            self._failed(member, batch, schedule, text_of(cause))
        except exceptions.RayError as error:
            self._failed(member, batch, schedule, _loss(error))
        else:
            member.calls.popleft()
            member.served += 1
            member.since = time.monotonic()
            batch.take(call.chunk, result, schedule)
            self.usage.busy += result.busy
            self.usage.episodes += result.num_played
            if schedule.is_guess:
                schedule.learn(self.usage.busy / self.usage.episodes)

    def _failed(self, member: _Member, batch: _Batch, schedule: Schedule, reason: str) -> None:
        """Replace a worker and see that its chunks are played by others."""
        first, *rest = member.calls
        was_fresh = not member.served
        for call in reversed(rest):  # those it had not begun
            schedule.give_back(call.chunk)
        logger.debug("a worker is replaced: %s", reason)
        self._replace(member)
        batch.fail(first.chunk, schedule, reason, was_fresh)


class _Batch:
    """A batch on its way: what came back, what is suspected, what is given up."""

    def __init__(
        self,
        topologies: Topologies,
        order: Int64[np.ndarray, "G"],
        weights: Float64[np.ndarray, "W"],
        seeds: Int64[np.ndarray, "R"],
    ) -> None:
        self.order = order
        self.topologies, self.weights, self.seeds = topologies.take(order), weights, seeds
        shape = (len(topologies), len(weights), len(seeds))
        self.returns = np.full(shape, np.nan)
        self.left = self.returns.size  # episodes without a return
        self.suspects: deque[Chunk] = deque()  # each of one network that has failed alone
        self.num_steps = 0
        self._seconds = np.zeros(len(topologies))
        self._failures: dict[int, int] = {}  # by network: fresh workers in which it failed alone
        self._faults: dict[int, str] = {}

    def next(self, schedule: Schedule) -> Chunk | None:
        """Return the schedule's next chunk, less those of networks that are given up."""
        chunk = schedule.take()
        while chunk is not None and self.has_given_up(chunk):
            chunk = schedule.take()
        return chunk

    def has_given_up(self, chunk: Chunk) -> bool:
        """Return whether a chunk is of a network that has failed too often in another one."""
        return chunk.num_networks == 1 and chunk.networks[0] in self._faults

    def take(self, chunk: Chunk, result: ChunkResult, schedule: Schedule) -> None:
        """Put returns where they belong, and see that the others are played as well."""
        if self.has_given_up(chunk):
            return
        self.returns[chunk.place] = result.returns
        self.left -= result.num_played
        self.num_steps += result.num_steps
        self._seconds[chunk.place[0]] += result.seconds
        schedule.cut_short(chunk, result.num_played, result.seconds)

    def fail(self, chunk: Chunk, schedule: Schedule, reason: str, was_fresh: bool) -> None:
        """Take note of a chunk that could not be played, and see that it is tried again, alone."""
        if chunk.num_networks > 1:
            for part in reversed(chunk.alone()):
                schedule.give_back(part)
            return
        if self.has_given_up(chunk):
            return
        network = chunk.networks[0]
        self._failures[network] = self._failures.get(network, 0) + was_fresh
        if self._failures[network] < TRIALS:
            self.suspects.append(chunk)
            return
        self._faults[network] = reason
        self.left -= int(np.isnan(self.returns[network]).sum())
        self.returns[network] = -np.inf
        if len(self._faults) >= TRIALS and not np.isfinite(self.returns).any():
            raise EnvironmentFault(reason)  # nothing succeeds: the networks are not to blame

    def seconds(self) -> Float64[np.ndarray, "G"]:
        """Return seconds an episode, in the order of the batch; NaN for a network given up."""
        seconds = self._seconds / (len(self.weights) * len(self.seeds))
        seconds[list(self._faults)] = np.nan
        return seconds[np.argsort(self.order)]

    def scores(self) -> Scores:
        """Return the scores, which are all there, in the order of the batch."""
        found = sorted((int(self.order[place]), why) for place, why in self._faults.items())
        faults = tuple(Fault(index, reason) for index, reason in found)
        return Scores(self.returns[np.argsort(self.order)], self.num_steps, faults)


class _WorkerLost(ClusterFault):
    """A worker's process ended while it prepared itself."""


def _loss(error: Exception) -> str:
    """Return one line on how a worker was lost."""
    text = text_of(error)
    _, found, detail = str(error).partition("Worker exit detail:")
    if "OutOfMemory" in type(error).__name__ or "memory usage threshold" in text:
        return "its worker was killed because memory ran out"
    if "node" in text and "died" in text and not found:
        return "its worker's machine was lost"
    return f"its worker died: {detail.split('.')[0].strip()}" if found else "its worker died"


def _call_seconds(actor: Any) -> float:
    """Return what each of several calls takes that wait at an actor, as two in flight do."""
    import ray

    ray.get(actor.ping.remote())
    started = time.monotonic()
    ray.get([actor.ping.remote() for _ in range(PINGS)])
    return (time.monotonic() - started) / PINGS


def _start_fault(error: Exception) -> Exception:
    """Return what to tell of a worker that could not start."""
    from ray import exceptions

    if not isinstance(error, exceptions.RayTaskError):
        text = str(error)
        if "failed to import" in text or "No module named 'wann'" in text:
            return ClusterFault(
                "a worker cannot import wann: install the same version of wann-search on every "
                f"machine of the cluster{_place(text)}"
            )
        return _WorkerLost(f"workers die while they start: {_loss(error)}")
    return cause_of(error)


def _place(text: str) -> str:
    """Return " (at ADDRESS)" when an error of Ray's says where it happened."""
    _, found, rest = text.partition("ip: ")
    return f" (it is missing at {rest.split()[0]})" if found and rest.split() else ""
