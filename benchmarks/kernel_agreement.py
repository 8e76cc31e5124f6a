"""Compare every compiled task with Gymnasium's own environment, step by step and running free.

    python benchmarks/kernel_agreement.py [--episodes 1000] [--out results/kernel-agreement]

Step by step: from every state that episodes visit in Gymnasium, one kernel step against one
Gymnasium step. Running free: the same episodes from the same seeds, played by both to the end.
Networks are random: mutants of minimal starts, another one each episode, each with one of the
six shared weights. Exits with 1 where a task agrees less than it should.
"""

from __future__ import annotations

import argparse
import platform
import sys
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

import numpy as np

from wann.config import SHARED_WEIGHTS, SearchConfig
from wann.reproduction import first_generation, next_generation
from wann.rollout.agreement import step
from wann.rollout.compiled import COMPILED_TASKS, CompiledTask, rollout
from wann.rollout.episodes import kernel_of, rollout_episodes, starts
from wann.rollout.single import policy
from wann.tasks import ControlTask, load_task
from wann.topology import Topologies, compile_all

NETWORKS = 200
GENERATIONS = 40  # of mutation without selection
ROW_BATCH = 4096
LARGEST_DIFFERENCE = 1e-12  # of one step, in units of max(1, |value|)
FEWEST_EQUAL = 0.98  # share of free-running episodes; chaotic motion multiplies rounding
MOST_STANDARD_ERRORS = 3.0  # between the mean returns


@dataclass
class StepAgreement:
    """Largest differences of the steps seen so far."""

    steps: int = 0
    state: float = 0.0
    reward: float = 0.0
    observation: float = 0.0
    other_ends: int = 0


def random_networks(task: ControlTask, seed: int) -> Topologies:
    """Return networks that evolution without selection leads to."""
    config = SearchConfig(population=NETWORKS, tournament=1, elite_ratio=0.0, cull_ratio=0.0)
    rng = np.random.default_rng(seed)
    population = first_generation(task.num_inputs, task.num_outputs, config, rng)
    for _ in range(GENERATIONS):
        population = next_generation(population, rng.permutation(NETWORKS), config, rng)
    return compile_all(population.genomes)


def compare_steps(
    task: ControlTask, kernel: CompiledTask, networks: Topologies, episodes: int
) -> StepAgreement:
    """Return how far kernel steps are from Gymnasium's, from all states visited."""
    env = task.make()
    seen = StepAgreement()
    rows: list[tuple[np.ndarray, ...]] = []
    for seed in range(episodes):
        act = policy(networks[seed % NETWORKS], SHARED_WEIGHTS[seed % len(SHARED_WEIGHTS)])
        observation, _ = env.reset(seed=seed)
        for number in range(task.max_steps):
            outputs = act(task.observe(observation)).copy()
            before = kernel.read_state(env)
            observation, reward, ended, cut, _ = env.step(task.act(outputs))
            after = kernel.read_state(env)
            rows.append((before, outputs, number, after, observation, reward, ended))
            if ended or cut:
                break
        if len(rows) >= ROW_BATCH or seed == episodes - 1:
            take_in(seen, kernel, rows)
            rows.clear()
    env.close()
    return seen


def take_in(seen: StepAgreement, kernel: CompiledTask, rows: list[tuple[np.ndarray, ...]]) -> None:
    """Add a batch of Gymnasium's steps to what was seen."""
    columns = [np.array(column) for column in zip(*rows, strict=True)]
    before, outputs, number, after, observation, reward, ended = columns
    ours = step(kernel, before, outputs, number)
    seen.steps += len(rows)
    seen.state = max(seen.state, float(relative(ours[0], after).max()))
    seen.reward = max(seen.reward, float(relative(ours[2], reward).max()))
    seen.observation = max(seen.observation, float(relative(ours[1], observation).max()))
    seen.other_ends += int((ours[3] != ended).sum())


def relative(ours: np.ndarray, theirs: np.ndarray) -> np.ndarray:
    """Return differences, in units of max(1, |value|)."""
    return np.abs(ours - theirs) / np.maximum(1.0, np.abs(theirs))


def compare_runs(
    task: ControlTask, kernel: CompiledTask, networks: Topologies, episodes: int
) -> tuple[float, float, float]:
    """Return the share of equal episodes, both mean returns' difference, and its standard error."""
    chosen = networks.take(np.arange(min(episodes, NETWORKS)))
    seeds = np.arange(max(1, episodes // len(chosen)))
    theirs = np.empty((len(chosen), len(seeds)))
    ours = np.empty_like(theirs)
    begin = starts(task, kernel, seeds)
    for index in range(len(chosen)):
        one = chosen.take(np.array([index]))
        weights = np.array([SHARED_WEIGHTS[index % len(SHARED_WEIGHTS)]])
        theirs[index] = rollout_episodes(task, one, weights, seeds)[0][0, 0]
        ours[index] = rollout(
            kernel, one, weights, begin.states, begin.observations, max_steps=task.max_steps
        )[0][0, 0]
    difference = ours - theirs
    same = np.abs(difference) <= 1e-9 * np.maximum(1.0, np.abs(theirs))
    spread = np.sqrt((ours.var() + theirs.var()) / ours.size)
    return float(same.mean()), float(difference.mean()), float(spread)


def broken_bounds(seen: StepAgreement, same: float, errors: float) -> list[str]:
    """Return what a task's agreement lacks; nothing where it is as close as it should be."""
    found = [
        f"{name} differs by {value:.1e}, more than {LARGEST_DIFFERENCE:.0e}"
        for name, value in (
            ("state", seen.state),
            ("reward", seen.reward),
            ("observation", seen.observation),
        )
        if not value <= LARGEST_DIFFERENCE
    ]
    if seen.other_ends:
        found.append(f"{seen.other_ends} steps end otherwise")
    if not same >= FEWEST_EQUAL:
        found.append(f"{same:.1%} of the free episodes are equal, fewer than {FEWEST_EQUAL:.0%}")
    if not errors <= MOST_STANDARD_ERRORS:
        found.append(f"mean returns are {errors:.2g} standard errors apart")
    return found


def main() -> int:
    """Compare all tasks, print the table and return the exit code."""
    parser = argparse.ArgumentParser(description="compare kernels with Gymnasium")
    parser.add_argument("--episodes", type=int, default=1000)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    lines = [
        "| task | steps compared | largest difference: state | reward | observation | "
        "ends not equal | free episodes equal to 1e-9 | difference of mean returns | "
        "in standard errors |",
        "| --- | ---: | ---: | ---: | ---: | ---: | ---: | ---: | ---: |",
    ]
    broken: list[str] = []
    for number, compiled in enumerate(COMPILED_TASKS):
        task = load_task(compiled.environment_id)
        kernel = kernel_of(task)
        if kernel is None:
            raise RuntimeError(f"{task.id} has lost its kernel")
        networks = random_networks(task, number)
        seen = compare_steps(task, kernel, networks, asked.episodes)
        same, difference, spread = compare_runs(task, kernel, networks, asked.episodes)
        errors = abs(difference) / spread if spread else 0.0
        lines.append(
            f"| {task.id} | {seen.steps:,} | {seen.state:.1e} | {seen.reward:.1e} | "
            f"{seen.observation:.1e} | {seen.other_ends} | {same:.1%} | "
            f"{difference:.2g} | {errors:.2g} |"
        )
        print(lines[-1], file=sys.stderr, flush=True)
        broken += [f"{task.id}: {each}" for each in broken_bounds(seen, same, errors)]
    text = "\n".join(lines) + "\n"
    print(text)
    if asked.out:
        asked.out.mkdir(parents=True, exist_ok=True)
        made = (
            f"Differences are in units of max(1, |value|). Made by `python {' '.join(sys.argv)}`: "
            f"Gymnasium {version('gymnasium')}, NumPy {version('numpy')}, "
            f"Numba {version('numba')}, {platform.machine()}.\n"
        )
        (asked.out / "table.md").write_text(f"{text}\n{made}")
    for each in broken:
        print(each, file=sys.stderr)
    return 1 if broken else 0


if __name__ == "__main__":
    sys.exit(main())
