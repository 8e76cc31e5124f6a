"""Tune the weights of a network on swing-up: candidates a second, with CMA-ES in the loop.

    python benchmarks/tuning_speed.py [--out results/tuning-speed] [--seconds 5]

The network is the paper's released champion (nets/swing.out of WANN_REFERENCE_DIR), 52 connections.
A candidate is a weight for each of them, played in 4 episodes of up to 1,000 steps; the search
starts from the best of the six shared weights, so that most episodes last. `cmaes` proposes a
generation, threads on all cores share its candidates, and `cmaes` is told their mean returns. Its
linear algebra is held to one thread: on 52 x 52 numbers more of them only wait for each other.
Beside it stands what the same candidates take through Gymnasium's own environment and a compiled
policy for one observation, on one core. Exits with 1 where a generation of any size misses the
target.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import version
from pathlib import Path

import numpy as np
from cmaes import CMA
from threadpoolctl import threadpool_limits

from wann.config import SHARED_WEIGHTS
from wann.evaluation import available_cores
from wann.export.reference import load_out
from wann.rollout.compiled import rollout, rollout_weights
from wann.rollout.episodes import kernel_of, play, starts
from wann.rollout.single import policy
from wann.tasks import load_task
from wann.topology import Topologies

TASK = "wann/SwingUp-v0"
SEEDS = np.arange(4)
GENERATIONS_OF = (0, 32, 64, 128)  # candidates; 0 for what CMA-ES proposes
STEP_SIZE = 0.1
MEASURED_IN_PYTHON = 2  # candidates
LEAST_CANDIDATES = 1000.0  # a second


class Tuning:
    """The champion on its task, with the episodes of all candidates."""

    def __init__(self, folder: Path) -> None:
        """Read the champion from the reference's folder."""
        self.task = load_task(TASK)
        kernel = kernel_of(self.task)
        if kernel is None:
            raise SystemExit(f"{TASK} must have a kernel")
        self.kernel = kernel
        self.topology = load_out(folder / "nets" / "swing.out", 5, 1).topology
        self.starts = starts(self.task, kernel, SEEDS)
        returns, _ = rollout(
            kernel,
            Topologies.stack([self.topology]),
            np.array(SHARED_WEIGHTS),
            self.starts.states,
            self.starts.observations,
            max_steps=self.task.max_steps,
        )
        best = int(returns[0].mean(axis=1).argmax())
        self.shared_weight = SHARED_WEIGHTS[best]
        self.shared_score = float(returns[0, best].mean())

    def scores(
        self, candidates: np.ndarray, pool: ThreadPoolExecutor, threads: int
    ) -> tuple[np.ndarray, int]:
        """Return the mean return of each candidate and the steps they took."""

        def part(first: int, last: int) -> tuple[np.ndarray, int]:
            return rollout_weights(
                self.kernel,
                self.topology,
                candidates,
                self.starts.states,
                self.starts.observations,
                max_steps=self.task.max_steps,
                start=first,
                stop=last,
            )

        edges = np.linspace(0, len(candidates), threads + 1).astype(int).tolist()
        parts = list(pool.map(part, edges[:-1], edges[1:]))
        return np.concatenate([each for each, _ in parts]).mean(axis=1), sum(n for _, n in parts)

    def measure(self, size: int, seconds: float) -> dict[str, str]:
        """Return the row of one size of generation, from a run of at least these seconds."""
        mean = np.full(self.topology.num_connections, self.shared_weight)
        search = CMA(mean=mean, sigma=STEP_SIZE, seed=0, population_size=size or None)
        threads = available_cores()
        candidates = steps = 0
        playing, best = 0.0, -np.inf
        with ThreadPoolExecutor(threads) as pool, threadpool_limits(1, "blas"):
            began = time.perf_counter()
            while time.perf_counter() - began < seconds:
                asked = np.stack([search.ask() for _ in range(search.population_size)])
                before = time.perf_counter()
                scores, taken = self.scores(asked, pool, threads)
                playing += time.perf_counter() - before
                search.tell([(x, -score) for x, score in zip(asked, scores, strict=True)])
                candidates, steps = candidates + len(asked), steps + taken
                best = max(best, float(scores.max()))
            whole = time.perf_counter() - began
        return {
            "candidates a generation": f"{search.population_size}",
            "cores": f"{threads}",
            "candidates/s": f"{candidates / whole:.0f}",
            "million steps/s": f"{steps / whole / 1e6:.1f}",
            "share of the rollouts": f"{playing / whole:.0%}",
            "mean steps": f"{steps / candidates / len(SEEDS):.0f}",
            "best mean return": f"{best:.0f}",
        }

    def in_python(self) -> tuple[float, float]:
        """Return candidates a second in Gymnasium's environment, and the largest difference.

        The difference is of an episode's return from the kernel's, which chaos lets grow.
        """
        rng = np.random.default_rng(0)
        shape = (MEASURED_IN_PYTHON, self.topology.num_connections)
        candidates = self.shared_weight + STEP_SIZE * rng.normal(size=shape)
        with ThreadPoolExecutor(1) as pool:
            fast, _ = self.scores(candidates, pool, 1)
        env = self.task.make()
        began = time.perf_counter()
        slow = [
            np.mean([play(self.task, env, act, seed).return_ for seed in SEEDS.tolist()])
            for act in (policy(self.topology, each) for each in candidates)
        ]
        seconds = time.perf_counter() - began
        return MEASURED_IN_PYTHON / seconds, float(np.abs(np.array(slow) - fast).max())


def main() -> None:
    """Measure, print and, if asked to, write the table."""
    parser = argparse.ArgumentParser(description="candidates a second of tuning on swing-up")
    parser.add_argument("--out", type=Path, help="folder for table.md and figures.csv")
    parser.add_argument("--seconds", type=float, default=5.0, help="of each measurement")
    asked = parser.parse_args()
    folder = os.environ.get("WANN_REFERENCE_DIR")
    if not folder:
        raise SystemExit("the released champion is needed: set WANN_REFERENCE_DIR")
    tuning = Tuning(Path(folder))
    tuning.measure(0, 0.1)  # loads the kernel
    rows = []
    for size in GENERATIONS_OF:
        rows.append(tuning.measure(size, asked.seconds))
        print(rows[-1], file=sys.stderr, flush=True)
    rate, difference = tuning.in_python()
    lines = [f"| {' | '.join(rows[0])} |", f"|{' ---: |' * len(rows[0])}"]
    lines += [f"| {' | '.join(row.values())} |" for row in rows]
    table = "\n".join(lines)
    text = f"""# Tuning on swing-up

The released champion, {tuning.topology.num_connections} connections; {len(SEEDS)} episodes a
candidate. Its best shared weight, {tuning.shared_weight:g}, has {tuning.shared_score:.0f} in them.

{table}

One core with Gymnasium's environment: {rate:.2f} candidates/s; the mean returns of
{MEASURED_IN_PYTHON} candidates differ by at most {difference:.2g} from the kernel's.

Made by `python {" ".join(sys.argv)}`; what is measured stands in that file.
{platform.machine()}, Python {platform.python_version()}, Numba {version("numba")},
cmaes {version("cmaes")}.
"""
    print(text)
    if asked.out:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "table.md").write_text(text)
        with (asked.out / "figures.csv").open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
    slowest = min(float(row["candidates/s"]) for row in rows)
    if slowest < LEAST_CANDIDATES:
        raise SystemExit(f"{LEAST_CANDIDATES:.0f} candidates/s are wanted, but it is {slowest:.0f}")


if __name__ == "__main__":
    main()
