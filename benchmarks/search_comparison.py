"""Compare settings of the search on one task: several seeds, the same budget of environment steps.

    python benchmarks/search_comparison.py --task wann/SwingUp-v0 --seeds 5 --steps 3e9 \
        --population 960 --processes 2 --out results/swing-up-settings [--only NAME ...]

Each setting is the task's default, but for --population, with the changes named in SETTINGS. The
score of a run is the highest held-out mean return, over all six weights, of a network with at most
--connections links. Writes table.md, runs.csv (a row a run), curves.csv and curves.svg.
"""

from __future__ import annotations

import argparse
import csv
import platform
import shlex
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

PAPER: dict[str, Any] = {"preset": "gaier2019"}
SETTINGS: dict[str, dict[str, Any]] = {
    "default": {},
    "paper (gaier2019), its population": PAPER,
    "paper's operators, default population": PAPER | {"population": None},
    "paper's tournament of 8": {"tournament": 8},
    "paper's ranking, by size in 8 of 10": {"pareto_probability": 0.8},
    "paper's 3 episodes": {"episodes": 3},
    "no limit of connections": {"max_connections": 0},
    "with removals": {
        "insert_node": 0.25,
        "add_connection": 0.20,
        "enable_connection": 0.05,
        "change_activation": 0.35,
        "remove_connection": 0.10,
        "remove_node": 0.05,
    },
    "more new links, fewer new activations": {
        "insert_node": 0.25,
        "add_connection": 0.40,
        "enable_connection": 0.05,
        "change_activation": 0.30,
    },
    "fresh weights each generation": {"weights": "uniform:-2:2:6"},
}
NUM_POINTS = 60  # of a curve


@dataclass(frozen=True)
class Job:
    """One run: a setting, a seed and a budget in environment steps."""

    setting: str
    task: str
    seed: int
    steps: float
    connections: int
    population: int


def play(job: Job) -> dict[str, Any]:
    """Return the run's score and its curve: held-out best over the share of the budget used."""
    from wann.config import preset_named, search_config
    from wann.coordinator import Coordinator, GenerationReport
    from wann.evaluation import LocalEvaluator
    from wann.tasks import load_task

    task = load_task(job.task)
    changes = dict(SETTINGS[job.setting])
    preset = changes.pop("preset", "")
    layers = [("the card", task.card.search)]
    if preset:
        layers += [(preset, preset_named(preset)), (preset, task.card.presets.get(preset, {}))]
    own = {"task": job.task, "seed": job.seed, "generations": 10_000_000}
    if not preset or "population" in changes:  # else the preset's own
        own["population"] = changes.pop("population", None) or job.population
    config = search_config([*layers, (job.setting, changes), ("here", own)])
    used, started = 0.0, time.perf_counter()
    curve = np.full(NUM_POINTS, np.nan)

    def best(coordinator: Coordinator) -> tuple[float, int]:
        fits = [
            (each.mean, each.topology.num_connections)
            for each in coordinator.archive.entries
            if each.topology.num_connections <= job.connections
        ]
        return max(fits, default=(-np.inf, 0))

    def watch(coordinator: Coordinator, report: GenerationReport) -> bool:
        nonlocal used
        used += report.num_steps
        curve[min(int(used / job.steps * NUM_POINTS), NUM_POINTS - 1) :] = best(coordinator)[0]
        return used >= job.steps

    with LocalEvaluator(task, workers=1) as evaluator:
        coordinator = Coordinator(config, task.num_inputs, task.num_outputs, evaluator)
        coordinator.run([watch])
    score, connections = best(coordinator)
    return {
        "setting": job.setting,
        "seed": job.seed,
        "score": score,
        "connections": connections,
        "generations": coordinator.generation,
        "seconds": time.perf_counter() - started,
        "curve": curve,
    }


def table(runs: list[dict[str, Any]], job: Job) -> str:
    """Return the comparison as a Markdown table, best median first."""
    rows = []
    for setting in dict.fromkeys(run["setting"] for run in runs):
        of = [run for run in runs if run["setting"] == setting]
        scores = np.array([run["score"] for run in of])
        low, median, high = np.percentile(scores, [25, 50, 75])
        rows.append(
            (median, f"| {setting} | {median:.0f} | {low:.0f} to {high:.0f} | {scores.min():.0f} | "
             f"{np.median([run['connections'] for run in of]):.0f} | "
             f"{np.median([run['generations'] for run in of]):.0f} | {len(of)} |")
        )  # fmt: skip
    head = (
        f"Task {job.task}, {job.steps:.3g} environment steps a run, highest held-out mean over "
        f"all weights with at most {job.connections} connections.\n\n"
        "| setting | median | quartiles | worst | connections | generations | seeds |\n"
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: |\n"
    )
    return head + "\n".join(row for _, row in sorted(rows, reverse=True)) + "\n"


def draw(runs: list[dict[str, Any]], job: Job, path: Path) -> None:
    """Draw the median curve of each setting with its quartiles."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "wann"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(9, 5.5), layout="constrained")
    steps = np.linspace(0, job.steps, NUM_POINTS + 1)[1:]
    for setting in dict.fromkeys(run["setting"] for run in runs):
        curves = np.array([run["curve"] for run in runs if run["setting"] == setting])
        low, median, high = np.nanpercentile(curves, [25, 50, 75], axis=0)
        (line,) = axes.plot(steps, median, label=setting, lw=2 if setting == "default" else 1.2)
        axes.fill_between(steps, low, high, color=line.get_color(), alpha=0.08, lw=0)
    axes.set_xlabel("environment steps")
    axes.set_ylabel(f"held-out mean return, at most {job.connections} connections")
    axes.set_title(f"{job.task}: median and quartiles over seeds")
    axes.grid(alpha=0.25)
    axes.legend(fontsize=8, loc="lower right")
    figure.savefig(path, metadata={"Date": None})


def main() -> None:
    """Run the comparison that the command line asks for."""
    parser = argparse.ArgumentParser(description="compare settings of the search on one task")
    parser.add_argument("--task", default="wann/SwingUp-v0")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--steps", type=float, default=3e9)
    parser.add_argument("--connections", type=int, default=52)
    parser.add_argument("--population", type=int, default=960)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--only", nargs="+", choices=list(SETTINGS), default=list(SETTINGS))
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    jobs = [
        Job(setting, asked.task, seed, asked.steps, asked.connections, asked.population)
        for setting in asked.only
        for seed in range(1, asked.seeds + 1)
    ]
    runs = []
    with ProcessPoolExecutor(asked.processes) as pool:
        for run in pool.map(play, jobs):
            runs.append(run)
            shown = {key: value for key, value in run.items() if key != "curve"}
            print(shown, file=sys.stderr, flush=True)
    text = table(runs, jobs[0])
    print(text)
    if asked.out:
        asked.out.mkdir(parents=True, exist_ok=True)
        command = "python " + shlex.join(sys.argv)
        text += (
            f"\nMade by `{command}`, Python {platform.python_version()}, {platform.machine()}.\n"
        )
        (asked.out / "table.md").write_text(text)
        write_csv(runs, jobs[0], asked.out)
        draw(runs, jobs[0], asked.out / "curves.svg")


def write_csv(runs: list[dict[str, Any]], job: Job, folder: Path) -> None:
    """Write runs.csv and curves.csv."""
    with (folder / "runs.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = ["setting", "seed", "score", "connections", "generations", "seconds"]
        writer.writerow(columns)
        writer.writerows([run[name] for name in columns] for run in runs)
    with (folder / "curves.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(["setting", "seed", "steps", "score"])
        steps = np.linspace(0, job.steps, NUM_POINTS + 1)[1:]
        for run in runs:
            for step, score in zip(steps, run["curve"], strict=True):
                if np.isfinite(score):
                    writer.writerow([run["setting"], run["seed"], f"{step:.4g}", f"{score:.6g}"])


if __name__ == "__main__":
    main()
