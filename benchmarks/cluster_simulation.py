"""Simulate 10 to 10,000 actors from what one machine measures, and check it against real runs.

    python benchmarks/cluster_simulation.py [--out results/cluster-simulation]

Measured first, on BipedalWalker-v3, in some minutes:
- two successive generations of a search that has gone on for a while, 24 episodes a network, every
  episode timed in one process;
- the driver: `RayEvaluator` itself with up to 1,000 workers, which are stand-ins in one process
  that answer at once; its thread's seconds are fitted by calls, networks, and workers looked at;
- what a call takes to reach a worker and come back, and what it costs the worker.
The simulation plays one generation, event by event, with `wann.chunks.Schedule` and `Chunk` as they
are. It is compared with real runs of 1, 2 and (on two cores) 4 actors, where the recorded seconds
are stretched by what episodes took there, and with 1,000 stand-ins that sleep ten times as long as
the recorded episodes took.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import heapq
import math
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from wann.chunks import Chunk, Costs, Schedule
from wann.config import SearchConfig
from wann.coordinator import Coordinator, SearchState
from wann.distributed import IN_FLIGHT, RayEvaluator, Usage
from wann.ray_session import ray_session
from wann.rollout.episodes import episodes
from wann.scores import Scores
from wann.tasks import ControlTask, load_task
from wann.topology import Topologies
from wann.version import __version__
from wann.worker import ChunkResult, pack, unpack

TASK = "BipedalWalker-v3"
EPISODES = 4  # a weight; six weights, so 24 a network
ACTORS = (1, 2, 4)  # of real runs
WORKERS = (10, 30, 100, 300, 1000, 3000, 10_000)
POPULATIONS = (192, 480, 4096)
FIRST_EPISODES = 1  # a weight, of the search before
STAND_INS = (1, 100, 1000)
SLEEPERS, STRETCH = 1000, 10.0  # stand-ins that sleep, and how much longer than an episode took
WANTED_WORKERS, WANTED, TOLERANCE = 1000, 0.90, 0.05


@dataclass(frozen=True)
class CallCosts:
    """What there is besides episodes; s.

    Of the driver: call: sending a chunk and taking its result. network: packing one. worker:
    looking whether one has room, each time that results have come.
    latency: from the driver to a worker, and back again. gap: between two chunks of a worker.
    """

    call: float = 0.0
    network: float = 0.0
    worker: float = 0.0
    latency: float = 0.0
    gap: float = 0.0


@dataclass(frozen=True)
class Outcome:
    """One simulated generation.

    seconds: that it took. busy: of all workers together. driver: of the driver. num_calls: chunks.
    """

    num_workers: int
    seconds: float
    busy: float
    driver: float
    num_calls: int

    @property
    def utilisation(self) -> float:
        """Share of the workers' time that they were at work."""
        return self.busy / (self.num_workers * self.seconds)

    @property
    def driver_load(self) -> float:
        """Share of the time that the driver was at work."""
        return self.driver / self.seconds


def simulate(
    seconds: Float64[np.ndarray, "G W R"],
    expected: Float64[np.ndarray, "G"],
    num_workers: int,
    costs: CallCosts,
    driver_seconds: float | None = None,
) -> Outcome:
    """Return how a generation goes in which every episode takes these seconds.

    expected: seconds an episode of each network, which is all that the schedule knows.
    driver_seconds: what the driver is known to work for a call; None for what it did in a
        generation simulated before this one.
    """
    if driver_seconds is None:
        first = simulate(seconds, expected, num_workers, costs, costs.call)
        driver_seconds = first.driver / first.num_calls
    _, num_weights, num_seeds = seconds.shape
    schedule = Schedule(expected, num_weights, num_seeds, num_workers, costs.gap, driver_seconds)
    return _Simulation(seconds[schedule.order], schedule, num_workers, costs).run()


def play(
    seconds: Float64[np.ndarray, "K W R"], budget: float
) -> tuple[int, Float64[np.ndarray, "K"]]:
    """Return how many episodes a worker plays within its budget, and the seconds of each network.

    In the order of `Chunk`; it begins the last one before the budget is spent.
    """
    in_order = np.moveaxis(seconds, 1, 2).reshape(len(seconds), -1)
    ends = np.cumsum(in_order)
    num_played = min(int(np.searchsorted(ends, budget, side="right")) + 1, len(ends))
    is_played = np.arange(len(ends)).reshape(in_order.shape) < num_played
    return num_played, (in_order * is_played).sum(axis=1)


class _Simulation:
    """The loop of `RayEvaluator`, with a clock that is set forward instead of waiting."""

    def __init__(
        self,
        seconds: Float64[np.ndarray, "G W R"],
        schedule: Schedule,
        num_workers: int,
        costs: CallCosts,
    ) -> None:
        self.seconds, self.schedule, self.costs = seconds, schedule, costs
        self.num_workers = num_workers
        self.now = self.driver = self.busy = 0.0
        self.num_calls = 0
        self.left = seconds.size
        self.load = [0] * num_workers  # chunks that a worker has
        self.free = [0.0] * num_workers  # when it has done them
        self.with_room = [list(range(num_workers)), *([] for _ in range(IN_FLIGHT - 1))]  # by load
        self.results: list[tuple[float, int, int, Chunk, int, Any]] = []  # heap, by their arrival

    def run(self) -> Outcome:
        """Return what came of the whole generation."""
        while self.left:
            self._work(self.costs.worker * self.num_workers)
            self._hand_out()
            self.now = max(self.now, self.results[0][0])
            self._take_results()
        return Outcome(self.num_workers, self.now, self.busy, self.driver, self.num_calls)

    def _work(self, seconds: float) -> None:
        """Let the driver be busy."""
        self.now += seconds
        self.driver += seconds

    def _hand_out(self) -> None:
        """Give chunks to workers with room: first to those that have none."""
        for load in range(IN_FLIGHT):
            room = self.with_room[load]
            while room:
                worker = room[0]
                if self.load[worker] != load:  # it is in another list now
                    heapq.heappop(room)
                    continue
                if load and self.schedule.is_ending:
                    return
                budget, chunk = self.schedule.budget, self.schedule.take()
                if chunk is None:
                    return
                heapq.heappop(room)
                self._send(worker, chunk, budget)

    def _send(self, worker: int, chunk: Chunk, budget: float) -> None:
        costs = self.costs
        self._work(0.5 * costs.call + costs.network * chunk.num_networks)
        played, of_networks = play(self.seconds[chunk.place], budget)
        seconds = float(of_networks.sum())
        begin = max(self.free[worker], self.now + costs.latency) + costs.gap
        self.free[worker] = begin + seconds
        self.busy += seconds
        self.num_calls += 1
        arrival = self.free[worker] + costs.latency
        result = (arrival, self.num_calls, worker, chunk, played, of_networks)
        heapq.heappush(self.results, result)
        self._change_load(worker, 1)

    def _change_load(self, worker: int, by: int) -> None:
        self.load[worker] += by
        if self.load[worker] < IN_FLIGHT:
            heapq.heappush(self.with_room[self.load[worker]], worker)

    def _take_results(self) -> None:
        """Take all results that are there."""
        until = self.now
        while self.results and self.results[0][0] <= until:
            _, _, worker, chunk, num_played, seconds = heapq.heappop(self.results)
            self._work(0.5 * self.costs.call)
            self.left -= num_played
            self.schedule.cut_short(chunk, num_played, seconds)
            self._change_load(worker, -1)


@dataclass(frozen=True, eq=False)
class Record:
    """A generation as it was measured in one process.

    seconds: of every episode. expected: of an episode of each network, by the generation before.
    """

    seconds: Float64[np.ndarray, "G W R"]
    expected: Float64[np.ndarray, "G"]

    def drawn(self, population: int) -> Record:
        """Return a generation of this size, its networks drawn from the measured ones."""
        rows = np.random.default_rng(0).integers(len(self.seconds), size=population)
        return Record(self.seconds[rows], self.expected[rows])


class Recorder:
    """An evaluator that times every episode."""

    def __init__(self, task: ControlTask) -> None:
        """Have nothing recorded yet."""
        self.task = task
        self.batches: list[tuple[Topologies, Int64[np.ndarray, "R"]]] = []
        self.seconds: list[Float64[np.ndarray, "G W R"]] = []

    def evaluate(
        self,
        topologies: Topologies,
        weights: Float64[np.ndarray, "W"],
        seeds: Int64[np.ndarray, "R"],
    ) -> Scores:
        """Return the scores, and keep the times of training episodes."""
        returns = np.empty((len(topologies), len(weights), len(seeds)))
        seconds, now = np.empty_like(returns), time.perf_counter()
        for place, episode in episodes(self.task, topologies, weights, seeds):
            before, now = now, time.perf_counter()
            returns[place], seconds[place] = episode.return_, now - before
        if len(seeds) == EPISODES:
            self.batches.append((topologies, seeds))
            self.seconds.append(seconds)
        return Scores(returns)


def evolved(task: ControlTask, population: int, generations: int) -> SearchState:
    """Return a search that has gone on for some generations, with one episode a weight."""
    config = SearchConfig(
        task=task.id, population=population, episodes=FIRST_EPISODES, validation_episodes=2
    )
    with ray_session("", 2), RayEvaluator(task, 2) as evaluator:
        search = Coordinator(config, task.num_inputs, task.num_outputs, evaluator)
        for _ in range(generations):
            search.step()
    return search.state


def recorded(task: ControlTask, state: SearchState) -> Recorder:
    """Return the next two generations, every episode timed."""
    size = len(state.population.genomes)
    config = SearchConfig(task=task.id, population=size, episodes=EPISODES, validation_episodes=2)
    recorder = Recorder(task)
    search = Coordinator(config, task.num_inputs, task.num_outputs, recorder, state)
    for _ in range(2):
        search.step()
    return recorder


def record_of(recorder: Recorder) -> Record:
    """Return the second generation, with what the first lets expect."""
    (first, _), (second, _) = recorder.batches
    costs = Costs()
    costs.learn(first.keys, recorder.seconds[0].mean(axis=(1, 2)))
    return Record(recorder.seconds[1], costs.expected(second.keys))


@dataclass(frozen=True)
class Comparison:
    """A real run and its simulation: shares of the workers' time that they were at work.

    stretch: how much longer episodes took there than alone.
    """

    what: str
    stretch: float
    real: float
    simulated: float


def real_run(
    task: ControlTask, recorder: Recorder, num_actors: int, record: Record, costs: CallCosts
) -> Comparison:
    """Return how busy real actors were in the second generation, and simulated ones are."""
    weights = SearchConfig().shared_weights.draw(np.random.default_rng(0))
    with ray_session("", num_actors), RayEvaluator(task, num_actors) as evaluator:
        for topologies, seeds in recorder.batches:
            evaluator.usage = Usage()
            evaluator.evaluate(topologies, weights, seeds)
        usage = evaluator.usage
    stretch = usage.busy / float(record.seconds.sum())
    outcome = simulate(stretch * record.seconds, stretch * record.expected, num_actors, costs)
    name = f"{num_actors} actor{'s' if num_actors > 1 else ''}"
    return Comparison(name, stretch, usage.utilisation, outcome.utilisation)


class StandIn:
    """Workers in one process that play nothing: they sleep as long as episodes are said to take."""

    def __init__(self, seconds: Float64[np.ndarray, "G W R"]) -> None:
        """Play network number `key` in these seconds; weights and seeds are their own numbers."""
        import asyncio

        self.seconds = seconds
        self.turns = [asyncio.Lock() for _ in range(max(STAND_INS))]

    async def ping(self) -> None:
        """Return at once."""

    async def prepare(self, *arguments: object) -> None:
        """Return at once."""

    async def play(self, worker: int, packed: bytes, budget: float) -> ChunkResult:
        """Return an empty result after the time that it would have taken."""
        import asyncio

        topologies, weights, seeds = unpack(packed)
        places = np.ix_(topologies.keys.astype(int), weights.astype(int), seeds)
        num_played, spent = play(self.seconds[places], budget)
        busy = float(spent.sum())
        if busy:
            async with self.turns[worker]:
                await asyncio.sleep(busy)
        shape = (len(topologies), len(seeds), len(weights))
        is_played = np.arange(math.prod(shape)).reshape(shape) < num_played
        returns = np.where(np.moveaxis(is_played, 1, 2), 0.0, np.nan)
        return ChunkResult(returns, num_played, num_played, spent, busy)


class _Method:
    """A method of a stand-in, called as one of an actor's."""

    def __init__(self, method: Any, *first: object) -> None:
        self.method, self.first = method, first

    def remote(self, *arguments: object) -> Any:
        """Call it with the worker's number first."""
        return self.method.remote(*self.first, *arguments)


class _Handle:
    """What the driver takes for an actor."""

    def __init__(self, actor: Any, worker: int) -> None:
        self.ping, self.prepare = actor.ping, actor.prepare
        self.play = _Method(actor.play, worker)


class _StandIns:
    """What the driver takes for the actors' class."""

    def __init__(self, actor: Any) -> None:
        self.actor, self.count = actor, 0

    def remote(self) -> _Handle:
        """Return one more worker."""
        self.count += 1
        return _Handle(self.actor, self.count - 1)


@dataclass(frozen=True)
class DriverRun:
    """What a driver did with stand-ins: workers, calls, networks sent, rounds, its own seconds."""

    num_workers: int
    num_calls: int
    num_networks: int
    num_rounds: int
    driver: float
    utilisation: float


@contextlib.contextmanager
def stand_ins(
    task: ControlTask, seconds: Float64[np.ndarray, "G W R"], num_workers: int
) -> Iterator[RayEvaluator]:
    """Have an evaluator whose workers are stand-ins. Its parts are exchanged from the outside."""
    import ray

    from wann import distributed

    actor: Any = ray.remote(StandIn).options(num_cpus=1).remote(seconds)
    num_cpus = distributed.num_cpus
    distributed.num_cpus = lambda: num_workers
    try:
        with RayEvaluator(task, num_workers) as evaluator:
            evaluator._actor = _StandIns(actor)
            yield evaluator
    finally:
        distributed.num_cpus = num_cpus
        ray.kill(actor)


def driver_run(
    task: ControlTask, topologies: Topologies, record: Record, num_workers: int, stretch: float
) -> DriverRun:
    """Return what one generation cost the driver when it had this many workers.

    record: what the networks are said to take. stretch: how much longer their workers sleep; 0 for
        not at all.
    """
    num_rounds = 0

    def counting(batch: Any, schedule: Schedule) -> None:
        nonlocal num_rounds
        num_rounds += 1
        RayEvaluator._wait(evaluator, batch, schedule)

    population, num_weights, num_seeds = record.seconds.shape
    numbered = replace(topologies, keys=np.arange(population, dtype=np.uint64))
    weights, seeds = np.arange(float(num_weights)), np.arange(num_seeds)
    scale = stretch or 1.0
    with stand_ins(task, stretch * record.seconds, num_workers) as evaluator:
        first = numbered.take(np.arange(1))
        evaluator.evaluate(first, weights[:1], seeds[:1])
        while not all(each.is_ready for each in evaluator._members):
            evaluator.evaluate(first, weights[:1], seeds[:1])
        evaluator._costs.learn(numbered.keys, scale * record.expected)
        evaluator.usage = Usage()
        evaluator._wait = counting
        evaluator.evaluate(numbered, weights, seeds)
        usage = evaluator.usage
    return DriverRun(
        num_workers, usage.calls, population, num_rounds, usage.driver, usage.utilisation
    )


def fitted(runs: list[DriverRun]) -> tuple[float, float, float]:
    """Return the driver's seconds a call, a network, and a worker in a round.

    They are the least squares of relative errors, none of them below zero.
    """
    from scipy.optimize import nnls

    work = np.array(
        [[each.num_calls, each.num_networks, each.num_rounds * each.num_workers] for each in runs],
        dtype=np.float64,
    )
    driver = np.array([each.driver for each in runs])
    found, _ = nnls(work / driver[:, None], np.ones(len(runs)))
    call, network, worker = found.tolist()
    return call, network, worker


def call_times(task: ControlTask, repeats: int = 200) -> tuple[float, float]:
    """Return a call's latency one way, and what calls that wait in a worker's queue take each."""
    import ray

    from wann.worker import Worker

    actor: Any = ray.remote(Worker).options(num_cpus=1).remote()
    ray.get(actor.prepare.remote(task, [], __version__))
    alone = []
    for _ in range(repeats):
        began = time.perf_counter()
        ray.get(actor.ping.remote())
        alone.append(time.perf_counter() - began)
    began = time.perf_counter()
    ray.get([actor.ping.remote() for _ in range(repeats)])
    gap = (time.perf_counter() - began) / repeats
    ray.kill(actor)
    return max(float(np.median(alone)) - gap, 0.0) / 2.0, gap


@dataclass(frozen=True, eq=False)
class Measured:
    """A generation, costs, bytes a network, and real runs with their simulation."""

    record: Record
    costs: CallCosts
    num_bytes: float
    comparisons: list[Comparison]


def measured(population: int, generations: int) -> Measured:
    """Measure everything; it takes minutes."""
    task = load_task(TASK)
    _say(f"{generations} generations of a search")
    recorder = recorded(task, evolved(task, population, generations))
    record = record_of(recorder)
    _say(f"{record.seconds.size} episodes, {record.seconds.mean():.4f} s each")
    many = record.drawn(max(POPULATIONS))
    topologies = recorder.batches[1][0]
    weights, seeds = np.zeros(record.seconds.shape[1]), recorder.batches[1][1]
    alone = [
        len(pack(topologies, each, each + 1, weights, seeds)) for each in range(len(topologies))
    ]
    rows = np.random.default_rng(0).integers(len(topologies), size=len(many.seconds))
    topologies = topologies.take(rows)
    with ray_session("", 2):
        latency, gap = call_times(task)
        runs = []
        for num_workers in STAND_INS:
            for size in POPULATIONS:
                some = Record(many.seconds[:size], many.expected[:size])
                part = topologies.take(np.arange(size))
                runs.append(driver_run(task, part, some, num_workers, 0.0))
                _say(str(runs[-1]))
        costs = CallCosts(*fitted(runs), latency, gap)
        _say(str(costs))
        asleep = driver_run(task, topologies, many, SLEEPERS, STRETCH)
    outcome = simulate(STRETCH * many.seconds, STRETCH * many.expected, SLEEPERS, costs)
    what = f"{SLEEPERS:,} stand-ins that sleep"
    comparisons = [Comparison(what, STRETCH, asleep.utilisation, outcome.utilisation)]
    _say(str(comparisons[0]))
    for num_actors in ACTORS:
        comparisons.append(real_run(task, recorder, num_actors, record, costs))
        _say(str(comparisons[-1]))
    comparisons = [*comparisons[1:], comparisons[0]]
    return Measured(record, costs, float(np.mean(alone)), comparisons)


def most_workers(record: Record, costs: CallCosts) -> int:
    """Return with how many workers WANTED of their time is used, in steps of a tenth from 10."""
    found, trial = 0, 10
    while trial <= max(WORKERS):
        if simulate(record.seconds, record.expected, trial, costs).utilisation < WANTED:
            break
        found, trial = trial, max(trial + 1, round(trial * 1.1))
    return found


@dataclass(frozen=True, eq=False)
class Curve:
    """One population: its outcomes by workers, and with how many they are still WANTED busy."""

    population: int
    outcomes: list[Outcome]
    most: int


def curves(found: Measured) -> list[Curve]:
    """Return the simulation of all populations and numbers of workers."""
    done = []
    for population in POPULATIONS:
        record = found.record.drawn(population)
        outcomes = [
            simulate(record.seconds, record.expected, num_workers, found.costs)
            for num_workers in WORKERS
        ]
        done.append(Curve(population, outcomes, most_workers(record, found.costs)))
        _say(f"population {population}: {WANTED:.0%} busy up to {done[-1].most} actors")
    return done


def is_large_enough(done: list[Curve]) -> bool:
    """Return whether as many workers as wanted are kept busy at the largest population."""
    return done[-1].most >= WANTED_WORKERS


def is_close(found: Measured) -> bool:
    """Return whether the simulation is as close to the real runs as it must be."""
    return all(abs(each.real - each.simulated) <= TOLERANCE for each in found.comparisons)


def table(found: Measured, done: list[Curve]) -> str:
    """Return the page: what was measured, the comparison, and the table."""
    seconds, costs = found.record.seconds, found.costs
    quantiles = 1e3 * np.quantile(seconds, (0.1, 0.5, 0.9, 0.99))
    lines = [
        "# Simulation of large clusters",
        "",
        f"`{TASK}`, {seconds[0].size} episodes a network; what is measured and simulated stands in",
        "`benchmarks/cluster_simulation.py`.",
        "",
        f"**Episodes**: {seconds.size:,} of {len(seconds)} networks, mean "
        f"{1e3 * seconds.mean():.1f} ms; 10, 50, 90 and 99 % take at most "
        f"{', '.join(f'{each:.1f}' for each in quantiles)} ms, the longest "
        f"{1e3 * seconds.max():.0f} ms.",
        "",
        f"**Calls**: the driver works {1e6 * costs.call:.0f} us for a chunk, "
        f"{1e6 * costs.network:.1f} us for a network and {1e6 * costs.worker:.2f} us for each "
        f"worker when results have come; a call travels {1e6 * costs.latency:.0f} us each way and "
        f"costs the worker {1e6 * costs.gap:.0f} us; a network is {found.num_bytes:,.0f} bytes.",
        "",
        "**Against real runs**: share of the actors' time that they were at work. Stretch is what",
        "episodes took there, in times of what they took alone.",
        "",
        "| what | stretch | real | simulated | difference, points |",
        "| --- | ---: | ---: | ---: | ---: |",
    ]
    for each in found.comparisons:
        difference = 100.0 * (each.simulated - each.real)
        lines.append(
            f"| {each.what} | {each.stretch:.2f} | {each.real:.1%} | {each.simulated:.1%} | "
            f"{difference:+.1f} |"
        )
    lines += [
        "",
        "**Simulated**: how busy the actors are, seconds of a generation, how busy the driver is.",
        "",
        f"| actors | {' | '.join(f'population {each.population:,}' for each in done)} |",
        f"| ---: |{' ---: |' * len(done)}",
    ]
    for row, num_workers in enumerate(WORKERS):
        cells = [
            f"{each.utilisation:.1%}, {each.seconds:.3g} s, {each.driver_load:.0%}"
            for each in (curve.outcomes[row] for curve in done)
        ]
        lines.append(f"| {num_workers:,} | {' | '.join(cells)} |")
    lines.append("")
    for curve in done:
        shortest = min(curve.outcomes, key=lambda each: each.seconds)
        lines.append(
            f"- Population {curve.population:,}: {WANTED:.0%} busy up to {curve.most:,} actors; "
            f"the shortest generation is {shortest.seconds:.3g} s, with {shortest.num_workers:,}, "
            f"and the driver is then {shortest.driver_load:.0%} busy."
        )
    enough = "met" if is_large_enough(done) else "MISSED"
    close = "met" if is_close(found) else "MISSED"
    lines += [
        "",
        f"Wanted: {WANTED_WORKERS:,} actors {WANTED:.0%} busy at population {max(POPULATIONS):,}: "
        f"{enough}; the simulation within {100 * TOLERANCE:.0f} points of real runs: {close}.",
        "",
        "![utilisation](utilisation.svg)",
        "",
        f"Made by `python {' '.join(sys.argv)}`: {_machine()}.",
        "",
    ]
    return "\n".join(lines)


def write_figures(done: list[Curve], path: Path) -> None:
    """Write a row for each population and number of actors."""
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["population", "actors", "utilisation", "seconds", "driver load", "chunks"])
        for curve in done:
            for each in curve.outcomes:
                shares = [f"{value:.4f}" for value in (each.utilisation, each.seconds)]
                load = f"{each.driver_load:.4f}"
                writer.writerow([curve.population, each.num_workers, *shares, load, each.num_calls])


def plot(found: Measured, done: list[Curve], path: Path) -> None:
    """Draw how busy actors and driver are against the number of actors, and the episodes' times."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "wann"
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(
        1, 2, figsize=(11, 4.2), layout="constrained", width_ratios=(2, 1)
    )
    for index, curve in enumerate(done):
        busy = [100 * each.utilisation for each in curve.outcomes]
        load = [100 * each.driver_load for each in curve.outcomes]
        name = f"population {curve.population:,}"
        left.semilogx(WORKERS, busy, "o-", color=f"C{index}", label=f"actors, {name}")
        left.semilogx(WORKERS, load, "s:", color=f"C{index}", markersize=3, label=f"driver, {name}")
    left.axhline(100 * WANTED, color="black", linewidth=0.8, linestyle="--")
    left.set(xlabel="actors", ylabel="at work, % of a generation", ylim=(0, 104))
    left.legend(fontsize=8)
    left.grid(alpha=0.3)
    milliseconds = 1e3 * found.record.seconds.ravel()
    edges = np.geomspace(milliseconds.min(), milliseconds.max(), 40)
    right.hist(milliseconds, bins=edges, color="C7")
    right.set(xscale="log", yscale="log", xlabel="ms an episode, alone", ylabel="episodes")
    figure.savefig(path, metadata={"Date": None})
    plt.close(figure)


def _machine() -> str:
    names = ("ray", "gymnasium", "numpy")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    python = platform.python_version()
    return f"{platform.machine()}, {os.cpu_count()} cores, Python {python}, {versions}"


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def main() -> None:
    """Measure, simulate, print and, if asked to, write the page."""
    parser = argparse.ArgumentParser(description="simulate large clusters")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--population", type=int, default=48, help="of the search that is timed")
    parser.add_argument("--generations", type=int, default=10, help="of the search before")
    asked = parser.parse_args()
    found = measured(asked.population, asked.generations)
    done = curves(found)
    page = table(found, done)
    print(page)
    if asked.out:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "table.md").write_text(page)
        write_figures(done, asked.out / "figures.csv")
        plot(found, done, asked.out / "utilisation.svg")
    raise SystemExit(0 if is_large_enough(done) and is_close(found) else 1)


if __name__ == "__main__":
    main()
