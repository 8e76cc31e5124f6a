"""Measure Ray's two actors against this process: BipedalWalker, compiled swing-up, cost of a call.

    python benchmarks/ray_speed.py [--repeats 3] [--out results/ray-speed]

BipedalWalker-v3, whose environment is Python: the networks of a search that has gone on for a
while, under six weights with the card's episodes. Two actors and one process take turns with the
same networks and seeds; two plain processes that share them tell what the machine itself allows.
Then a whole generation, in which actors also wait while the coordinator ranks and breeds.
Swing-up, which is compiled: the card's population and episodes after an early and a later
generation, two actors and two threads in turns. Something that is not counted comes first, so that
all is warm and costs are known.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from wann.config import SearchConfig, search_config
from wann.coordinator import Coordinator, SearchState
from wann.distributed import RayEvaluator, Usage
from wann.evaluation import Evaluator, LocalEvaluator
from wann.population import Population
from wann.ray_session import ray_session
from wann.reproduction import next_generation
from wann.seeding import Purpose, episode_seeds
from wann.tasks import ControlTask, load_task
from wann.topology import Topologies, compile_all

BIPEDAL_WALKER, SWING_UP = "BipedalWalker-v3", "wann/SwingUp-v0"
ACTORS = 2
SWING_UP_GENERATIONS = (10, 60)  # the card's search has 600; later ones take longer and are easier
TURN_SEEDS = 2  # a weight, of the batches that two actors and one process play in turns
POPULATIONS = (64, 480)  # of BipedalWalker
LEAST_BIPEDAL_WALKER, LEAST_SWING_UP = 1.8, 0.9  # times as fast as locally
MOST_IDLE = 0.15


@dataclass(frozen=True)
class Row:
    """One figure: its measurements, how it is written, and what is wanted of its median."""

    what: str
    values: list[float]
    form: str
    wanted: str = ""
    is_met: bool = True

    def line(self) -> str:
        """Return the row of the table."""
        low, middle, high = (
            self.form.format(each)
            for each in (min(self.values), statistics.median(self.values), max(self.values))
        )
        spread = f"{low} to {high}" if len(self.values) > 1 else ""
        verdict = "" if self.is_met else ": MISSED"
        return f"| {self.what} | {middle} | {spread} | {self.wanted}{verdict} |"


def times(what: str, values: list[float], wanted: float = 0.0) -> Row:
    """Return the row of a ratio."""
    text = f"at least {wanted:g}" if wanted else ""
    return Row(what, values, "{:.2f}", text, statistics.median(values) >= wanted)


def idle(what: str, values: list[float]) -> Row:
    """Return the row of a share of time that actors have nothing to do."""
    is_met = statistics.median(values) < MOST_IDLE
    return Row(what, values, "{:.1%}", f"under {MOST_IDLE:.0%}", is_met)


def card_config(task: ControlTask, population: int) -> SearchConfig:
    """Return the card's search at this population, with few held-out episodes."""
    here = {"task": task.id, "population": population, "validation_episodes": 2}
    return search_config([("the card", task.card.search), ("here", here)])


def search_of(
    task: ControlTask, evaluator: Evaluator, population: int, state: SearchState | None = None
) -> Coordinator:
    """Return a search, which goes on from `state`, widened to this population."""
    config = card_config(task, population)
    if state is not None:
        parents = state.population.genomes
        order, rng = np.arange(len(parents)), np.random.default_rng(0)
        bred = next_generation(Population(parents, 0), order, config, rng)
        state = SearchState(bred, state.archive)
    return Coordinator(config, task.num_inputs, task.num_outputs, evaluator, state)


@dataclass(frozen=True, eq=False)
class Batch:
    """What an evaluator is asked for."""

    topologies: Topologies
    weights: Float64[np.ndarray, "W"]
    seeds: Int64[np.ndarray, "R"]


def batches(search: Coordinator, count: int, num_seeds: int = 0) -> list[Batch]:
    """Return so many batches of the search's networks, each with seeds of its own.

    num_seeds: episodes a weight; 0 for the card's number.
    """
    topologies = compile_all(search.state.population.genomes)
    num_seeds = num_seeds or search.config.episodes
    return [
        Batch(topologies, search.weights, episode_seeds(1, Purpose.TRAIN, number, num_seeds))
        for number in range(count)
    ]


def seconds_of(evaluator: Evaluator, batch: Batch) -> float:
    """Return how long a batch takes."""
    began = time.perf_counter()
    evaluator.evaluate(batch.topologies, batch.weights, batch.seeds)
    return time.perf_counter() - began


def share_elsewhere(number: int, batch: Batch) -> None:
    """Evaluate a process's share of a batch: every second network, where there are two."""
    share = batch.topologies.take(np.arange(number, len(batch.topologies), ACTORS))
    with LocalEvaluator(load_task(BIPEDAL_WALKER), 1) as evaluator:
        evaluator.evaluate(share, batch.weights, batch.seeds)


def seconds_of_processes(pool: ProcessPoolExecutor, batch: Batch) -> float:
    """Return how long plain processes take that share a batch."""
    began = time.perf_counter()
    list(pool.map(share_elsewhere, range(ACTORS), [batch] * ACTORS))
    return time.perf_counter() - began


def idle_in(search: Coordinator, actors: RayEvaluator) -> float:
    """Return the share of a generation that actors have nothing to do, from `ask` to `ask`."""
    actors.usage = Usage()
    began = time.perf_counter()
    search.step()
    search.ask()
    return 1.0 - actors.usage.busy / (ACTORS * (time.perf_counter() - began))


def bipedal_walker(repeats: int, generations: int, populations: tuple[int, ...]) -> list[Row]:
    """Return the figures of a task whose environment is Python."""
    task = load_task(BIPEDAL_WALKER)
    rows: list[Row] = []
    with ray_session("", ACTORS), RayEvaluator(task, ACTORS) as actors:
        search = search_of(task, actors, populations[0])
        for _ in range(generations):
            search.step()
        rows += against_one_process(task, search, actors, repeats)
        for population in populations:
            wide = search_of(task, actors, population, search.state)
            name = f"BipedalWalker, population {population}"
            seconds_of(actors, batches(wide, 1, 1)[0])
            in_step = idle_in(wide, actors)
            usage = actors.usage
            rows.append(idle(f"{name}: actors idle in an evaluation", [1.0 - usage.utilisation]))
            rows += of_calls(name, usage, population)
            rows.append(idle(f"{name}: actors idle in a whole generation", [in_step]))
    return rows


def against_one_process(
    task: ControlTask, search: Coordinator, actors: RayEvaluator, repeats: int
) -> list[Row]:
    """Return how many times as fast as one process two actors are, and two plain processes."""
    first, *asked = batches(search, repeats + 1, TURN_SEEDS)
    by_actors, by_processes = [], []
    with (
        LocalEvaluator(task, 1) as local,
        ProcessPoolExecutor(ACTORS, get_context("spawn")) as pool,
    ):
        seconds_of(actors, first)
        seconds_of_processes(pool, first)
        for batch in asked:
            alone = seconds_of(local, batch)
            by_actors.append(alone / seconds_of(actors, batch))
            by_processes.append(alone / seconds_of_processes(pool, batch))
    name = f"BipedalWalker, population {len(first.topologies)}"
    return [
        times(f"{name}: two actors, times one process", by_actors, LEAST_BIPEDAL_WALKER),
        times(f"{name}: two plain processes, times one", by_processes),
    ]


def swing_up(repeats: int, population: int) -> list[Row]:
    """Return the figures of a compiled task."""
    task = load_task(SWING_UP)
    rows: list[Row] = []
    with (
        LocalEvaluator(task, ACTORS) as local,
        ray_session("", ACTORS),
        RayEvaluator(task, ACTORS) as actors,
    ):
        search = search_of(task, local, population)
        for generation in range(1, max(SWING_UP_GENERATIONS) + 1):
            search.step()
            if generation not in SWING_UP_GENERATIONS:
                continue
            first, *asked = batches(search, repeats + 1)
            for evaluator in (local, actors, actors):
                seconds_of(evaluator, first)
            actors.usage = Usage()
            ratios = [seconds_of(local, each) / seconds_of(actors, each) for each in asked]
            usage = actors.usage
            name = f"swing-up, population {population:,}, generation {generation}"
            rows += [
                times(f"{name}: two actors, times two threads", ratios, LEAST_SWING_UP),
                idle(f"{name}: actors idle in an evaluation", [1.0 - usage.utilisation]),
                *of_calls(name, usage, population * len(asked)),
            ]
    return rows


def of_calls(name: str, usage: Usage, num_networks: int) -> list[Row]:
    """Return what evaluating so many networks cost on the wire and in the driver."""
    return [
        Row(f"{name}: bytes a network on the wire", [usage.bytes_sent / num_networks], "{:,.0f}"),
        Row(f"{name}: networks a chunk", [num_networks / usage.calls], "{:,.1f}"),
        Row(f"{name}: driver, us a chunk", [1e6 * usage.driver / usage.calls], "{:,.0f}"),
        Row(f"{name}: driver, us a network", [1e6 * usage.driver / num_networks], "{:,.0f}"),
    ]


def calls(repeats: int) -> list[Row]:
    """Return what a call takes that does nothing."""
    task = load_task("CartPole-v1")
    values = []
    for _ in range(repeats):
        with ray_session("", ACTORS), RayEvaluator(task, ACTORS) as actors:
            search = search_of(task, actors, 8)
            seconds_of(actors, batches(search, 1)[0])
            values.append(1e3 * actors.call_seconds)
    return [Row("a call that does nothing, to its result, ms", values, "{:.2f}")]


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="measure two actors of Ray against this process")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--generations", type=int, default=5, help="of BipedalWalker before")
    parser.add_argument("--populations", type=int, nargs="+", default=POPULATIONS)
    parser.add_argument("--swing-up", type=int, default=2880, help="population of swing-up")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    lines = ["| what | median | range | wanted |", "| --- | ---: | --- | --- |"]
    met = True
    for measure in (
        lambda: bipedal_walker(asked.repeats, asked.generations, tuple(asked.populations)),
        lambda: swing_up(3 * asked.repeats, asked.swing_up),
        lambda: calls(asked.repeats),
    ):
        for row in measure():
            lines.append(row.line())
            met &= row.is_met
            print(lines[-1], file=sys.stderr, flush=True)
    text = "\n".join(lines) + "\n"
    print(text)
    if asked.out:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "README.md").write_text(page(text))
    raise SystemExit(0 if met else 1)


def page(table: str) -> str:
    """Return the page around the table."""
    names = ("ray", "gymnasium", "numpy", "numba")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return (
        "# Speed of the Ray backend\n\n"
        "Two actors against the local backend, in turns within one run; what is measured stands\n"
        "in `benchmarks/ray_speed.py`. Idle is the share of time in which an actor has no chunk\n"
        "in hand; the driver's time is that of its Python thread.\n\n"
        f"{table}\n"
        f"Made by `python {' '.join(sys.argv)}`: {machine}, {versions}.\n"
    )


if __name__ == "__main__":
    main()
