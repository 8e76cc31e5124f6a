"""Children a second of the coordinator on one core: mutate, compile, rank, archive and save.

    python benchmarks/coordinator_speed.py [--out FOLDER] [--repeats N]

A generation is `Coordinator.step` with an evaluator that gives ready-made random scores, and a
checkpoint after it (in a run, checkpoints are rarer). Populations from 64 to 16,384 at about 50
connections, and networks of 10 to 500 connections at a population of 4,096; each part alone as
well. Times are medians over repeats from the same state, kernels are warm, and the process stays on
one core. Printed and, with --out, written as coordinator_speed.csv and coordinator_speed.png.
"""

from __future__ import annotations

import argparse
import csv
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from wann.archive import Archive
from wann.checkpoint import Checkpoint, save_checkpoint
from wann.config import SearchConfig
from wann.coordinator import VALIDATED_A_GENERATION, Coordinator, SearchState
from wann.genome import Genomes
from wann.population import Population
from wann.ranking import rank
from wann.reproduction import first_generation, next_generation
from wann.scores import Scores
from wann.topology import Topologies, compile_all

NUM_INPUTS, NUM_OUTPUTS = 5, 1  # swing-up's
POPULATIONS = (64, 128, 192, 256, 512, 1024, 2048, 4096, 8192, 16_384)
CONNECTIONS = (10, 20, 50, 100, 200, 500)
USUAL_CONNECTIONS, USUAL_POPULATION = 50, 4096
NUM_GROWN = 256  # different genomes that larger populations repeat before they mutate
LEAST_CHILDREN = 20_000  # a second, at USUAL_CONNECTIONS, for populations of at least
FROM_POPULATION = 192
PARTS = ("breed", "compile", "rank", "archive", "step", "save", "step and save")
GROWING = {  # operators under which networks get larger quickly
    "insert_node": 0.3,
    "add_connection": 0.5,
    "enable_connection": 0.0,
    "change_activation": 0.2,
}


class ReadyScores:
    """An evaluator that costs nothing: the same random returns every time."""

    def __init__(self, population: int, config: SearchConfig) -> None:
        """Draw returns for this many networks, six weights, and training or held-out episodes."""
        rng = np.random.default_rng(0)
        self.train = rng.normal(size=(population, 6, config.episodes))
        self.held_out = rng.normal(size=(VALIDATED_A_GENERATION, 6, config.validation_episodes))

    def evaluate(self, topologies: Topologies, weights: np.ndarray, seeds: np.ndarray) -> Scores:
        """Return the first of the ready returns."""
        ready = self.train if len(seeds) == self.train.shape[2] else self.held_out
        return Scores(ready[: len(topologies)])


def grown(connections: int) -> Genomes:
    """Return NUM_GROWN genomes whose median number of live connections is about this."""
    config = SearchConfig(population=NUM_GROWN, max_connections=connections + 5)
    config = config.replace(**GROWING)
    rng = np.random.default_rng(connections)
    population = first_generation(NUM_INPUTS, NUM_OUTPUTS, config, rng)
    sizes = compile_all(population.genomes).num_connections
    while np.median(sizes) < connections:
        population = next_generation(population, np.argsort(-sizes, kind="stable"), config, rng)
        sizes = compile_all(population.genomes).num_connections
    return population.genomes


def start(genomes: Genomes, config: SearchConfig) -> SearchState:
    """Return a state of `config.population` different genomes and an archive of a few."""
    several = list(genomes)
    repeated = [several[index % len(several)] for index in range(config.population)]
    rng = np.random.default_rng(1)
    order = rng.permutation(config.population)
    population = next_generation(Population(Genomes.stack(repeated), 0), order, config, rng)
    state = SearchState(population, Archive())
    search = coordinator(config, state)
    for _ in range(3):
        search.step()
    return SearchState(population, search.archive)


def coordinator(config: SearchConfig, state: SearchState) -> Coordinator:
    """Return a coordinator at this state whose evaluator costs nothing."""
    evaluator = ReadyScores(config.population, config)
    return Coordinator(config, NUM_INPUTS, NUM_OUTPUTS, evaluator, state)


def seconds(work: Callable[[], object], repeats: int) -> float:
    """Return the median time of some work, after one call that is not counted."""
    work()
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        work()
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def measure(genomes: Genomes, num_genomes: int, repeats: int, folder: Path) -> dict[str, float]:
    """Return seconds a generation for each of PARTS, and the median number of connections."""
    config = SearchConfig(population=num_genomes)
    state = start(genomes, config)
    search = coordinator(config, state)
    asked, evaluator = search.ask(), ReadyScores(num_genomes, config)
    scores = evaluator.evaluate(asked, search.weights, search.seeds)
    sizes = compile_all(state.population.genomes).num_connections
    objectives = np.random.default_rng(2).normal(size=(num_genomes, 1))
    objectives = np.column_stack([objectives, -sizes])
    order = rank(objectives).order
    rng = np.random.default_rng(3)
    held_out = Scores(evaluator.held_out)

    def archive() -> None:
        chosen = state.archive.candidates(asked, scores, VALIDATED_A_GENERATION)
        if len(chosen):
            state.archive.add(asked.take(chosen), held_out.take(np.arange(len(chosen))))

    def step() -> SearchState:
        fresh = Coordinator(config, NUM_INPUTS, NUM_OUTPUTS, evaluator, state)
        fresh.step()
        return fresh.state

    def save(saved: SearchState = state) -> None:
        save_checkpoint(Checkpoint(saved, "", 0, 0.0), folder / "checkpoint")

    work: dict[str, Callable[[], object]] = {
        "breed": lambda: next_generation(state.population, order, config, rng),
        "compile": lambda: compile_all(state.population.genomes),
        "rank": lambda: rank(objectives),
        "archive": archive,
        "step": step,
        "save": save,
        "step and save": lambda: save(step()),
    }
    times = {part: seconds(work[part], repeats) for part in PARTS}
    return times | {"connections": float(np.median(sizes))}


def exponent(xs: list[float], ys: list[float]) -> float:
    """Return the slope of the straight line through the logarithms."""
    return float(np.polyfit(np.log(xs), np.log(ys), 1)[0])


def table(repeats: int) -> list[dict[str, float]]:
    """Return a row for each population and size of network, printed as it is measured."""
    usual = [(each, USUAL_CONNECTIONS) for each in POPULATIONS]
    others = [(USUAL_POPULATION, each) for each in CONNECTIONS if each != USUAL_CONNECTIONS]
    print("population connections children/s  | us a child: " + ", ".join(PARTS))
    rows = []
    genomes = {connections: grown(connections) for connections in CONNECTIONS}
    with tempfile.TemporaryDirectory() as folder:
        for num_genomes, connections in [*usual, *others]:
            enough = repeats * max(1, 1024 // num_genomes)
            row = measure(genomes[connections], num_genomes, enough, Path(folder))
            row |= {"population": num_genomes, "wanted": connections}
            row["children a second"] = num_genomes / row["step and save"]
            rows.append(row)
            each = " ".join(f"{row[part] / num_genomes * 1e6:7.2f}" for part in PARTS)
            sizes = f"{num_genomes:10,} {row['connections']:11.0f}"
            print(f"{sizes} {row['children a second']:10,.0f}  | {each}", flush=True)
    return rows


def summarise(rows: list[dict[str, float]]) -> bool:
    """Print the exponents and whether the target is met; return the latter."""
    of_population = [row for row in rows if row["wanted"] == USUAL_CONNECTIONS]
    large = [row for row in of_population if row["population"] >= 1024]
    of_size = [row for row in rows if row["population"] == USUAL_POPULATION]
    of_size = [row for row in of_size if row["wanted"] >= USUAL_CONNECTIONS]
    of_size.sort(key=lambda row: row["connections"])
    for part in ("breed", "compile", "step", "step and save"):
        in_population = exponent([row["population"] for row in large], [row[part] for row in large])
        in_size = exponent([row["connections"] for row in of_size], [row[part] for row in of_size])
        fits = f"population^{in_population:.2f} from 1,024, connections^{in_size:.2f} from 50"
        print(f"{part}: {fits}")
    p_log_p = [row["population"] * math.log(row["population"]) for row in large]
    relative = exponent(p_log_p, [row["step and save"] for row in large])
    print(f"against P log P: exponent {relative:.2f}")
    counted = [row for row in of_population if row["population"] >= FROM_POPULATION]
    slowest = min(counted, key=lambda row: row["children a second"])
    met = slowest["children a second"] >= LEAST_CHILDREN
    print(
        f"slowest from {FROM_POPULATION} genomes: {slowest['children a second']:,.0f} children/s "
        f"at {slowest['population']:,} (at least {LEAST_CHILDREN:,}: {'met' if met else 'MISSED'})"
    )
    return met


def plot(rows: list[dict[str, float]], path: Path) -> None:
    """Draw time a generation against population and against connections, both logarithmic."""
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    figure, (left, right) = plt.subplots(1, 2, figsize=(11, 4.5), layout="constrained")
    chosen = [row for row in rows if row["wanted"] == USUAL_CONNECTIONS]
    _draw(left, chosen, "population", lambda x: x * math.log(x), "P log P")
    left.set_xlabel(f"population P (about {USUAL_CONNECTIONS} connections)")
    chosen = [row for row in rows if row["population"] == USUAL_POPULATION]
    chosen.sort(key=lambda row: row["connections"])
    _draw(right, chosen, "connections", lambda x: x, "linear")
    right.set_xlabel(f"live connections, median (population {USUAL_POPULATION:,})")
    left.set_ylabel("milliseconds a generation, one core")
    right.legend(fontsize=8)
    figure.savefig(path, dpi=120)


def _draw(
    axes: Any,
    rows: list[dict[str, float]],
    name: str,
    law: Callable[[float], float],
    law_name: str,
) -> None:
    xs = [row[name] for row in rows]
    for part in PARTS:
        axes.loglog(xs, [1e3 * row[part] for row in rows], "o-", markersize=3, label=part)
    scale = 1e3 * rows[-1]["step and save"] / law(xs[-1])
    axes.loglog(xs, [scale * law(x) for x in xs], "k--", linewidth=1, label=law_name)
    axes.grid(alpha=0.3)


def main() -> None:
    """Measure, print, and write the table and the plot if a folder is given."""
    parser = argparse.ArgumentParser(description="Children a second of the coordinator")
    parser.add_argument("--out", type=Path)
    parser.add_argument("--repeats", type=int, default=7)
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})
    rows = table(options.repeats)
    met = summarise(rows)
    if options.out:
        options.out.mkdir(parents=True, exist_ok=True)
        with (options.out / "coordinator_speed.csv").open("w", newline="") as file:
            columns = ["population", "connections", "children a second", *PARTS]
            writer = csv.DictWriter(file, columns, extrasaction="ignore")
            writer.writeheader()
            writer.writerows(rows)
        plot(rows, options.out / "coordinator_speed.png")
    raise SystemExit(0 if met else 1)


if __name__ == "__main__":
    main()
