"""Publish one run beside what needs no search: random actions, and the same action all the time.

    python benchmarks/publish_run.py RUN --out results/lunar-lander [--root FOLDER]

RUN is the name or folder of a run that `wann-search` has made, in as many pieces as it took. The
champion's scores are those of its champion.json; the others are played in Gymnasium in the same
test episodes. Writes README.md, curves.svg, champion.json and champion.svg.
"""

from __future__ import annotations

import argparse
import json
import platform
import shlex
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
from gymnasium.spaces import Box, Discrete, MultiDiscrete
from publish_runs import draw

from wann.export.drawing import save_svg
from wann.records import LoadedRun, load_run
from wann.rollout.episodes import EnvironmentSource
from wann.scores import mean_with_interval
from wann.seeding import Purpose, episode_seeds
from wann.tasks import ControlTask, control_task

PACKAGES = ("ray", "numpy", "numba", "gymnasium")
Choice = Callable[[], Any]


def constant_actions(task: ControlTask) -> dict[str, Any]:
    """Return by name the actions that are repeated: every discrete one; low, middle and high."""
    space = task.action_space
    if isinstance(space, Discrete):
        first = int(space.start)
        return {f"always {name!r}": first + place for place, name in enumerate(task.output_names)}
    if isinstance(space, MultiDiscrete):
        return {"always the first": np.asarray(space.start)}
    if isinstance(space, Box):
        middle = 0.5 * (space.low + space.high)
        return {
            "always the lowest": space.low,
            "always the middle": middle.astype(space.dtype),
            "always the highest": space.high,
        }
    return {}


def returns_of(task: ControlTask, choose: Choice, seeds: list[int]) -> np.ndarray:
    """Return what each episode came to under actions that `choose` gives without looking."""
    returns = []
    with EnvironmentSource(task) as environments:
        for seed in seeds:
            env = environments.next()
            env.reset(seed=seed)
            total, ended = 0.0, False
            while not ended:
                _, reward, terminated, truncated, _ = env.step(choose())
                total += float(reward)
                ended = bool(terminated or truncated)
            returns.append(total)
    return np.array(returns)


def line(name: str, returns: np.ndarray) -> str:
    """Return a row of the table. returns: [W, R]."""
    mean, low, high = mean_with_interval(returns)
    return f"| {name} | {mean:.1f} | {low:.1f} to {high:.1f} | {returns.mean(axis=0).std():.1f} |"


def baselines(task: ControlTask, seed: int, num_episodes: int) -> list[str]:
    """Return the rows of random and constant actions, in the run's test episodes."""
    seeds = episode_seeds(seed, Purpose.TEST, 0, num_episodes).tolist()
    task.action_space.seed(seed)
    rows = [line("random actions", returns_of(task, task.action_space.sample, seeds)[np.newaxis])]
    for name, action in constant_actions(task).items():
        rows.append(line(name, returns_of(task, lambda act=action: act, seeds)[np.newaxis]))
    return rows


def page(run: LoadedRun, task: ControlTask, command: str) -> str:
    """Return the page that is published."""
    if run.champion is None:
        raise SystemExit(f"{run.folder} has no champion yet; run it to an end or a time limit")
    test = run.champion.scores["test"]
    low, high = test["interval"]
    rows = [
        f"| champion, weight {weight:g} | {mean:.1f} | | {deviation:.1f} |"
        for weight, mean, deviation in zip(
            test["weights"], test["mean_by_weight"], test["deviation_by_weight"], strict=True
        )
    ]
    rows.append(f"| champion, all weights | {test['mean']:.1f} | {low:.1f} to {high:.1f} | |")
    rows += baselines(task, run.spec.config.seed, test["episodes"])
    config, metrics = run.spec.config, run.metrics
    made = ", ".join(f"{name} {version(name)}" for name in PACKAGES)
    search = " ".join(json.loads((run.folder / "meta.json").read_text())["command"])
    return (
        f"# {task.id}\n\n"
        f"{len(metrics)} generations of {config.population} genomes, {config.episodes} episodes "
        f"for each weight, {metrics['num_steps'].sum() / 1e6:.1f} million environment steps in "
        f"{metrics['seconds'].iloc[-1] / 3600:.2f} hours, seed {config.seed}; champion of "
        f"{run.champion.topology.num_connections} connections. Scores are means of "
        f"{test['episodes']} test episodes in Gymnasium that selection never saw"
        + (f"; {task.solved:g} counts as solved" if task.solved is not None else "")
        + ".\n\n| what acts | mean return | 95 % interval | deviation over episodes |\n"
        "| --- | ---: | ---: | ---: |\n" + "\n".join(rows) + "\n\n"
        f"The run: `{search}` (the last of its pieces). This page: `{command}`. Python "
        f"{platform.python_version()}, {made}, {platform.machine()}.\n\n"
        "![learning curve](curves.svg)\n\n![the champion](champion.svg)\n"
    )


def main() -> None:
    """Publish the run that the command line names."""
    parser = argparse.ArgumentParser(description="publish a run beside random and constant actions")
    parser.add_argument("run")
    parser.add_argument("--root", type=Path, default=Path())
    parser.add_argument("--out", type=Path, required=True)
    asked = parser.parse_args()
    run = load_run(asked.run, asked.root)
    task = control_task(run.spec.card)
    shown = ["benchmarks/publish_run.py", run.folder.name, "--out", str(asked.out)]
    text = page(run, task, f"python {shlex.join(shown)}")
    asked.out.mkdir(parents=True, exist_ok=True)
    (asked.out / "README.md").write_text(text)
    champion = run.champion
    if champion is not None:
        champion.save(asked.out / "champion.json")
        save_svg(champion, asked.out / "champion.svg")
    draw(task, [run.spec.config.seed], [run], asked.out / "curves.svg")
    print(text, file=sys.stderr)


if __name__ == "__main__":
    main()
