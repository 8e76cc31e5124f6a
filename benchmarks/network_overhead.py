"""What a network of 100 connections adds to `env.step` in environments that run in Python.

    python benchmarks/network_overhead.py

Prints, for each environment, microseconds of one step with a fixed action, of one step driven by a
network (observation, network, action rule), and the difference, which must be at most 10.
The network's own part is also measured alone, since the difference of two long times is noisy.
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from wann.activations import activation_named
from wann.config import CONTROL_ACTIVATIONS
from wann.rollout.single import policy
from wann.tasks import ControlTask, load_task
from wann.topology import Topology

TASKS = ("CartPole-v1", "Pendulum-v1", "LunarLander-v3")
NUM_CONNECTIONS = 100
NUM_HIDDEN = 30
NUM_STEPS = 10_000
NUM_REPEATS = 5
MOST_MICROSECONDS = 10.0  # that the network may add


def network(num_inputs: int, num_outputs: int, rng: np.random.Generator) -> Topology:
    """Return a random topology with NUM_CONNECTIONS links and NUM_HIDDEN hidden nodes."""
    fixed = 1 + num_inputs
    num_nodes = fixed + NUM_HIDDEN + num_outputs
    computed = range(fixed, num_nodes)
    pairs = [(int(rng.integers(node)), node) for node in computed]
    while len(pairs) < NUM_CONNECTIONS:
        target = int(rng.integers(fixed, num_nodes))
        pair = (int(rng.integers(min(target, fixed + NUM_HIDDEN))), target)
        if pair not in pairs:
            pairs.append(pair)
    pairs.sort(key=lambda pair: (pair[1], pair[0]))
    sizes = np.bincount([target for _, target in pairs], minlength=num_nodes)
    ids = [activation_named(name).id for name in CONTROL_ACTIVATIONS]
    activations = np.ones(num_nodes, dtype=np.uint8)
    activations[fixed : fixed + NUM_HIDDEN] = rng.choice(ids, NUM_HIDDEN)
    return Topology(
        num_inputs,
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32),
        np.array([source for source, _ in pairs], dtype=np.int32),
        activations,
        np.arange(num_nodes - num_outputs, num_nodes, dtype=np.int32),
    ).check()


def driver(task: ControlTask, topology: Topology) -> Callable[[object], object]:
    """Return what chooses an action as `wann.rollout.episodes.play` does, its check included."""
    run, observe, act = policy(topology, 1.0), task.observe, task.act

    def driven(observation: object) -> object:
        inputs = observe(observation)
        if np.isnan(inputs).any():
            raise ValueError("an observation was nan")
        return act(run(inputs))

    return driven


def microseconds(act: Callable[[object], object], task: ControlTask) -> float:
    """Return the median over repeats of a step's time, with `act` choosing its actions."""
    env = task.make()
    times = []
    for repeat in range(NUM_REPEATS):
        observation, _ = env.reset(seed=repeat)
        start = time.perf_counter()
        for _ in range(NUM_STEPS):
            observation, _, terminated, truncated, _ = env.step(act(observation))
            if terminated or truncated:
                observation, _ = env.reset()
        times.append((time.perf_counter() - start) / NUM_STEPS * 1e6)
    env.close()
    return float(np.median(times))


def microseconds_alone(act: Callable[[object], object], task: ControlTask) -> float:
    """Return the median over repeats of the time of `act` alone, on a start's observation."""
    env = task.make()
    observation, _ = env.reset(seed=0)
    env.close()
    times = []
    for _ in range(NUM_REPEATS):
        start = time.perf_counter()
        for _ in range(NUM_STEPS):
            act(observation)
        times.append((time.perf_counter() - start) / NUM_STEPS * 1e6)
    return float(np.median(times))


def main() -> None:
    """Print the table; exit with 1 when a network costs more than it may."""
    parser = argparse.ArgumentParser(description="measure what a network adds to env.step")
    parser.add_argument("--out", type=Path)
    out: Path | None = parser.parse_args().out
    rng = np.random.default_rng(0)
    lines = [
        "| environment | step (us) | with network | added | alone |",
        "| --- |" + " ---: |" * 4,
    ]
    slowest = 0.0
    for name in TASKS:
        task = load_task(name)
        driven = driver(task, network(task.num_inputs, task.num_outputs, rng))
        fixed = task.act(np.zeros(task.num_outputs))
        without = microseconds(lambda _, fixed=fixed: fixed, task)
        with_network = microseconds(driven, task)
        alone = microseconds_alone(driven, task)
        added = with_network - without
        lines.append(f"| {name} | {without:.2f} | {with_network:.2f} | {added:.2f} | {alone:.2f} |")
        slowest = max(slowest, alone)
    text = "\n".join(lines) + "\n"
    print(text)
    if out:
        out.mkdir(parents=True, exist_ok=True)
        made = f"Networks of 100 connections. Made by `python {' '.join(sys.argv)}`."
        (out / "table.md").write_text(f"{text}\n{made}\n")
    if slowest > MOST_MICROSECONDS:
        raise SystemExit(
            f"a network must add at most {MOST_MICROSECONDS} us, but adds {slowest:.2f}"
        )


if __name__ == "__main__":
    main()
