"""Measure the coordinator's share of a generation's time on swing-up.

    python benchmarks/generation_share.py [--out results/generation-share]

A generation is timed as a run does it, with all cores, from a population that has grown. The
coordinator's share is all that is not evaluation: compile, archive, rank, breed.
"""

from __future__ import annotations

import argparse
import platform
import sys
import time
from pathlib import Path

import numpy as np
from jaxtyping import Float64, Int64

from wann.config import SearchConfig
from wann.coordinator import Coordinator
from wann.evaluation import LocalEvaluator
from wann.scores import Scores
from wann.tasks import load_task
from wann.topology import Topologies

POPULATIONS = (192, 4096)
GROWN, MEASURED = 60, 40  # generations


class TimedEvaluator:
    """An evaluator that adds up the time it takes."""

    def __init__(self, evaluator: LocalEvaluator) -> None:
        """Wrap an evaluator."""
        self.evaluator = evaluator
        self.seconds = 0.0

    def evaluate(
        self,
        topologies: Topologies,
        weights: Float64[np.ndarray, "W"],
        seeds: Int64[np.ndarray, "R"],
    ) -> Scores:
        """Return the evaluator's scores."""
        started = time.perf_counter()
        scores = self.evaluator.evaluate(topologies, weights, seeds)
        self.seconds += time.perf_counter() - started
        return scores


def share(population: int) -> tuple[float, float, float]:
    """Return a generation's milliseconds, the coordinator's part of them, and connections."""
    task = load_task("wann/SwingUp-v0")
    config = SearchConfig(task=task.id, population=population, generations=10_000)
    with LocalEvaluator(task) as evaluator:
        timed = TimedEvaluator(evaluator)
        search = Coordinator(config, task.num_inputs, task.num_outputs, timed)
        for _ in range(GROWN):
            search.step()
        timed.seconds = 0.0
        started = time.perf_counter()
        reports = [search.step() for _ in range(MEASURED)]
        whole = time.perf_counter() - started
    connections = float(np.mean([report.median_connections for report in reports]))
    return 1e3 * whole / MEASURED, 1e3 * (whole - timed.seconds) / MEASURED, connections


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="measure the coordinator's share of a generation")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    lines = [
        "| population | median connections | ms a generation | ms of the coordinator | share |",
        "| ---: | ---: | ---: | ---: | ---: |",
    ]
    for population in POPULATIONS:
        whole, coordinator, connections = share(population)
        lines.append(
            f"| {population:,} | {connections:.0f} | {whole:.1f} | {coordinator:.1f} | "
            f"{coordinator / whole:.1%} |"
        )
        print(lines[-1], file=sys.stderr, flush=True)
    text = "\n".join(lines) + "\n"
    print(text)
    if asked.out:
        asked.out.mkdir(parents=True, exist_ok=True)
        made = f"Made by `python {' '.join(sys.argv)}`: {platform.machine()}. Target: under 10 %.\n"
        (asked.out / "table.md").write_text(f"{text}\n{made}")


if __name__ == "__main__":
    main()
