"""Run a task's default search for several seeds and write what came out, ready to be read.

    python benchmarks/publish_runs.py --task wann/SwingUp-v0 --seeds 5 --out results/swing-up

Scores are of each run's champion in Gymnasium, in 100 test episodes for each weight that selection
never saw. Writes table.md, runs.csv, curves.svg, and the median seed's champion.json and
champion.svg. The runs themselves go to a temporary folder, or to --keep, where an interrupted
program goes on.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import shlex
import sys
import tempfile
from importlib.metadata import version
from pathlib import Path

import numpy as np

from wann.config import search_config
from wann.export.drawing import save_svg
from wann.network import Network
from wann.records import LoadedRun, load_run
from wann.run import Outcome, Run
from wann.run_files import RunSpec
from wann.tasks import ControlTask, load_task

PACKAGES = ("numpy", "numba", "gymnasium")


def play(task: ControlTask, seed: int, folder: Path) -> tuple[Outcome, LoadedRun]:
    """Return the finished run of one seed."""
    config = search_config(
        [("the card", task.card.search), ("here", {"task": task.id, "seed": seed})]
    )
    run = Run(RunSpec(config, task.card), folder, command=sys.argv)
    outcome = run.execute()
    print(f"seed {seed}: {outcome.champion.scores['mean']:.1f}", file=sys.stderr, flush=True)
    return outcome, load_run(run.paths.name, folder)


def row(seed: int, outcome: Outcome) -> list[object]:
    """Return a seed's row of runs.csv."""
    champion = outcome.champion
    test, topology = champion.scores["test"], champion.topology
    hidden = topology.num_nodes - 1 - topology.num_inputs - topology.num_outputs
    return [
        seed, test["mean"], *test["interval"], *test["mean_by_weight"],
        topology.num_connections, hidden, outcome.generations, outcome.num_steps, outcome.seconds,
    ]  # fmt: skip


def table(task: ControlTask, seeds: list[int], outcomes: list[Outcome]) -> str:
    """Return the scores of all seeds as a Markdown table, with their median and quartiles."""
    weights = outcomes[0].champion.scores["test"]["weights"]
    heads = " | ".join(f"w = {weight:g}" for weight in weights)
    lines = [
        f"| seed | mean over weights (95 % interval) | {heads} | connections | generations | "
        "steps (10^9) | minutes |",
        "| ---: | ---: |" + " ---: |" * (len(weights) + 4),
    ]
    for seed, outcome in zip(seeds, outcomes, strict=True):
        test = outcome.champion.scores["test"]
        low, high = test["interval"]
        means = " | ".join(f"{mean:.1f}" for mean in test["mean_by_weight"])
        lines.append(
            f"| {seed} | {test['mean']:.1f} ({low:.1f} to {high:.1f}) | {means} | "
            f"{outcome.champion.topology.num_connections} | {outcome.generations} | "
            f"{outcome.num_steps / 1e9:.2f} | {outcome.seconds / 60:.1f} |"
        )
    tests = [outcome.champion.scores["test"] for outcome in outcomes]
    low, middle, high = np.percentile([test["mean"] for test in tests], [25, 50, 75])
    sizes = np.median([outcome.champion.topology.num_connections for outcome in outcomes])
    lines.append(f"\nMedian over seeds: {middle:.1f} (quartiles {low:.1f} to {high:.1f}), with a ")
    lines[-1] += f"median of {sizes:g} connections."
    if task.solved is not None:
        solved = [min(test["mean_by_weight"]) >= task.solved for test in tests]
        lines[-1] += f" Solved ({task.solved:g}) for all six weights: {sum(solved)} of {len(tests)}"
        lines[-1] += " seeds."
    return "\n".join(lines) + "\n"


def draw(task: ControlTask, seeds: list[int], runs: list[LoadedRun], path: Path) -> None:
    """Draw each seed's highest held-out mean over the environment steps it took."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "wann"
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(8, 4.5), layout="constrained")
    for seed, run in zip(seeds, runs, strict=True):
        axes.plot(run.metrics["num_steps"].cumsum(), run.metrics["validated"], label=f"seed {seed}")
    axes.set_xlabel("environment steps")
    axes.set_ylabel("held-out mean return over all weights")
    axes.set_title(task.id)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False, loc="lower right")
    figure.savefig(path, metadata={"Date": None})


def write(
    task: ControlTask, seeds: list[int], played: list[tuple[Outcome, LoadedRun]], out: Path
) -> None:
    """Write everything that is published."""
    outcomes = [outcome for outcome, _ in played]
    out.mkdir(parents=True, exist_ok=True)
    made = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    text = (
        f"# {task.id}\n\n{table(task, seeds, outcomes)}\n"
        f"Champions' scores in Gymnasium, {outcomes[0].champion.scores['test']['episodes']} test "
        f"episodes for each weight. Made by `python {shlex.join(sys.argv)}`: Python "
        f"{platform.python_version()}, {made}, {platform.machine()}, {os.cpu_count()} cores.\n\n"
        "![learning curves](curves.svg)\n\n![the champion of the median seed](champion.svg)\n"
    )
    (out / "README.md").write_text(text)
    weights = outcomes[0].champion.scores["test"]["weights"]
    with (out / "runs.csv").open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        columns = ["seed", "mean", "low", "high", *(f"weight {weight:g}" for weight in weights)]
        writer.writerow([*columns, "connections", "hidden", "generations", "num_steps", "seconds"])
        writer.writerows(row(*each) for each in zip(seeds, outcomes, strict=True))
    champion = median_champion([outcome.champion for outcome in outcomes])
    champion.save(out / "champion.json")
    save_svg(champion, out / "champion.svg")
    draw(task, seeds, [run for _, run in played], out / "curves.svg")


def median_champion(champions: list[Network]) -> Network:
    """Return the champion whose score is the median, the lower of two."""
    by_score = sorted(champions, key=lambda each: each.scores["mean"])
    return by_score[(len(by_score) - 1) // 2]


def main() -> None:
    """Run all seeds and write what came out."""
    parser = argparse.ArgumentParser(description="run a task's default search for several seeds")
    parser.add_argument("--task", required=True)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--keep", type=Path)
    asked = parser.parse_args()
    task = load_task(asked.task)
    seeds = list(range(1, asked.seeds + 1))
    with tempfile.TemporaryDirectory() as temporary:
        folder = asked.keep or Path(temporary)
        played = [play(task, seed, folder) for seed in seeds]
        write(task, seeds, played, asked.out)
    print((asked.out / "README.md").read_text())


if __name__ == "__main__":
    main()
