"""Environment steps a second on one core: the compiled rollout against what it replaces.

    python benchmarks/rollout_speed.py [--out FOLDER] [--repeats N]

Swing-up: networks of 29 nodes and 52 connections, 18 episodes each (6 shared weights x 3 seeds),
against a loop that does what the reference of Gaier & Ha 2019 does: `env.step` in Python and one
`np.dot` a node, one episode at a time. Its network must cost at most 50 us a step, or the program
fails: a comparison with a slower loop would say nothing. With WANN_REFERENCE_DIR set, the paper's
released champion is measured as well as a random network of its size.
CartPole: networks of 8 connections against Gymnasium's own vectorised CartPole, which here plays
ready-made random actions and no network, at its best batch size.

Kernels are warm, only steps of episodes that count are counted, the process stays on one core, both
sides take turns in one run, and both are checked to compute the same.
"""

from __future__ import annotations

import argparse
import csv
import os
import platform
import statistics
import time
from collections.abc import Callable
from pathlib import Path

import gymnasium
import numpy as np

import wann_envs  # noqa: F401  # registers wann/SwingUp-v0
from wann.activations import PAPER_ACTIVATIONS, activation_named
from wann.export.reference import load_out
from wann.rollout.compiled import CompiledTask, compiled_task, rollout
from wann.topology import Topologies, Topology

WEIGHTS = np.array([-2.0, -1.0, -0.5, 0.5, 1.0, 2.0])
SEEDS = (0, 1, 2)
NUM_GENOMES = 64  # a call
CHAMPION_ACTIVATIONS = {"linear": 4, "sin": 3, "gaussian": 2, "tanh": 4, "inverse": 6, "relu": 3}
CHAMPION_CONNECTIONS = 52
REFERENCE_STEPS = 3000  # a repeat
VECTOR_SIZES = (64, 1024, 4096, 8192, 16384, 32768, 65536, 262144)
MOST_REFERENCE_MICROSECONDS = 50.0
LEAST_SWING_UP_RATIO = 700.0
LEAST_CARTPOLE_RATIO = 1.5


def random_topology(
    num_inputs: int, num_outputs: int, hidden: list[int], num_links: int
) -> Topology:
    """Return a topology, the same at every call, in which every input and node has an effect.

    hidden: activation ids of the hidden nodes, in any order.
    """
    rng = np.random.default_rng(0)
    first = 1 + num_inputs
    first_output = first + len(hidden)
    num_nodes = first_output + num_outputs
    pairs: set[tuple[int, int]] = set()
    for node in range(first_output - 1, 0, -1):  # every input and hidden node leads somewhere
        pairs.add((node, int(rng.integers(max(node + 1, first), num_nodes))))
    for node in range(first, num_nodes):  # and every other node comes from somewhere
        if all(target != node for _, target in pairs):
            pairs.add((int(rng.integers(min(node, first_output))), node))
    while len(pairs) < num_links:
        source = int(rng.integers(first_output))
        pairs.add((source, int(rng.integers(max(source + 1, first), num_nodes))))
    ordered = sorted(pairs, key=lambda pair: (pair[1], pair[0]))
    sizes = np.bincount([target for _, target in ordered], minlength=num_nodes)
    activations = np.ones(num_nodes, dtype=np.uint8)
    activations[first:first_output] = rng.permutation(hidden)
    return Topology(
        num_inputs,
        np.concatenate([[0], np.cumsum(sizes)]).astype(np.int32),
        np.array([source for source, _ in ordered], dtype=np.int32),
        activations,
        np.arange(first_output, num_nodes, dtype=np.int32),
    ).check()


class ReferenceLoop:
    """One episode at a time, with a dense matrix and one `np.dot` a node, as the reference has it.

    Left out, to its favour: the reference also looks for NaN in the matrix at every step.
    """

    def __init__(self, topology: Topology, weight: float) -> None:
        self.first = 1 + topology.num_inputs
        self.num_nodes = topology.num_nodes
        self.output = int(topology.outputs[0])
        self.functions = [PAPER_ACTIVATIONS[i - 1].function for i in topology.activations]
        self.matrix = np.zeros((self.num_nodes, self.num_nodes))
        self.matrix[topology.sources, topology.targets()] = weight
        self.values = np.zeros((1, self.num_nodes))

    def act(self, observation: np.ndarray) -> np.ndarray:
        """Return the action [1] for an observation [I]."""
        self.values[0, 0] = 1.0
        self.values[0, 1 : self.first] = observation
        for node in range(self.first, self.num_nodes):
            total = np.dot(self.values, self.matrix[:, node]).squeeze()
            self.values[0, node] = self.functions[node](total)
        return self.values[0, self.output : self.output + 1].clip(-1.0, 1.0).astype(np.float32)

    def play(self, env: gymnasium.Env, seed: int, max_steps: int) -> tuple[float, int]:
        """Return the return and the steps of an episode."""
        observation, _ = env.reset(seed=seed)
        total = 0.0
        for number in range(max_steps):
            observation, reward, terminated, _, _ = env.step(self.act(observation))
            total += float(reward)
            if terminated:
                return total, number + 1
        return total, max_steps


def starts(task: CompiledTask) -> tuple[np.ndarray, np.ndarray]:
    """Return the states and observations that the seeds start from."""
    env = gymnasium.make(task.environment_id)
    states, observations = [], []
    for seed in SEEDS:
        observation, _ = env.reset(seed=seed)
        observations.append(observation.astype(np.float64))
        states.append(task.read_state(env))
    return np.array(states), np.array(observations)


def kernel_run(task: CompiledTask, topology: Topology) -> Callable[[], float]:
    """Return what measures the compiled rollout once, in steps a second; its kernel is warm."""
    topologies = Topologies.stack([topology] * NUM_GENOMES)
    states, observations = starts(task)

    def run() -> float:
        start = time.perf_counter()
        _, num_steps = rollout(
            task, topologies, WEIGHTS, states, observations, max_steps=task.max_steps
        )
        return num_steps / (time.perf_counter() - start)

    run()
    return run


def reference_run(topology: Topology) -> Callable[[], float]:
    """Return what measures the reference's way once, in steps a second."""
    env = gymnasium.make("wann/SwingUp-v0").unwrapped
    loops = [ReferenceLoop(topology, float(weight)) for weight in WEIGHTS]

    def run() -> float:
        num_steps = 0
        start = time.perf_counter()
        while num_steps < REFERENCE_STEPS:
            for loop in loops:
                num_steps += loop.play(env, SEEDS[0], REFERENCE_STEPS // len(loops))[1]
        return num_steps / (time.perf_counter() - start)

    run()
    return run


def reference_network_microseconds(topology: Topology) -> float:
    """Return what the network alone costs a step in the reference's way, least of five times."""
    loop = ReferenceLoop(topology, 1.0)
    observation = np.array([0.1, 0.2, 0.3, 0.4, 0.5], dtype=np.float32)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        for _ in range(2000):
            loop.act(observation)
        times.append((time.perf_counter() - start) / 2000 * 1e6)
    return min(times)


def check_same_returns(task: CompiledTask, topology: Topology, num_steps: int = 50) -> None:
    """Fail unless both ways give the same returns; after more steps chaos would part them."""
    env = gymnasium.make(task.environment_id).unwrapped
    states, observations = starts(task)
    topologies = Topologies.stack([topology])
    got, _ = rollout(task, topologies, WEIGHTS, states, observations, max_steps=num_steps)
    wanted = [
        [ReferenceLoop(topology, float(weight)).play(env, seed, num_steps)[0] for seed in SEEDS]
        for weight in WEIGHTS
    ]
    np.testing.assert_allclose(got[0], wanted, rtol=1e-6, atol=1e-6)


def vector_run(num_envs: int) -> Callable[[], float]:
    """Return what measures Gymnasium's vectorised CartPole once, in steps a second."""
    envs = gymnasium.make_vec(
        "CartPole-v1", num_envs=num_envs, vectorization_mode="vector_entry_point"
    )
    envs.reset(seed=0)
    num_calls = max(20, 200_000 // num_envs)
    actions = np.random.default_rng(0).integers(0, 2, (num_calls, num_envs))

    def run() -> float:
        start = time.perf_counter()
        for each in actions:
            envs.step(each)
        return actions.size / (time.perf_counter() - start)

    run()
    return run


def take_turns(runs: dict[str, Callable[[], float]], repeats: int) -> dict[str, list[float]]:
    """Return the quartiles of each measurement, all taken in turn so that they share the noise."""
    rates: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(repeats):
        for name, run in runs.items():
            rates[name].append(run())
    return {name: statistics.quantiles(each, n=4) for name, each in rates.items()}


def swing_up_topologies() -> dict[str, Topology]:
    """Return the networks to measure swing-up with, by what the table calls them."""
    hidden = [
        activation_named(name).id
        for name, count in CHAMPION_ACTIVATIONS.items()
        for _ in range(count)
    ]
    found = {"random": random_topology(5, 1, hidden, CHAMPION_CONNECTIONS)}
    folder = os.environ.get("WANN_REFERENCE_DIR")
    if folder:
        found["released"] = load_out(Path(folder) / "nets" / "swing.out", 5, 1).topology
    return found


def measured(repeats: int) -> list[dict[str, str]]:
    """Return the rows of the table; fails when a target is missed or the comparison is unfair."""
    rows: list[dict[str, str]] = []
    swing_up, cartpole = compiled_task("wann/SwingUp-v0"), compiled_task("CartPole-v1")
    if swing_up is None or cartpole is None:
        raise SystemExit("wann/SwingUp-v0 and CartPole-v1 must have kernels")

    def add(what: str, quartiles: list[float], other: list[float], least: float = 0.0) -> None:
        ratio = quartiles[1] / other[1]
        names = ("steps/s, median", "lower quartile", "upper quartile")
        figures = dict(zip(names, (quartiles[1], quartiles[0], quartiles[2]), strict=True))
        rows.append(
            {
                "what": what,
                **{name: f"{figure:,.0f}" for name, figure in figures.items()},
                "times": f"{ratio:,.2f}" if ratio < 100 else f"{ratio:,.0f}",
            }
        )
        print(
            "  ".join(
                f"{value:>16}" if name != "what" else f"{value:56}"
                for name, value in rows[-1].items()
            )
        )
        if ratio < least:
            raise SystemExit(f"{what} must be at least {least} times as fast, but is {ratio:.2f}")

    for name, topology in swing_up_topologies().items():
        size = f"{topology.num_nodes} nodes, {topology.num_connections} connections"
        check_same_returns(swing_up, topology)
        cost = reference_network_microseconds(topology)
        if cost > MOST_REFERENCE_MICROSECONDS:
            raise SystemExit(
                f"the reference's network costs {cost:.1f} us a step; at most 50 is fair"
            )
        runs = {"loop": reference_run(topology), "kernel": kernel_run(swing_up, topology)}
        rates = take_turns(runs, repeats)
        add(f"swing-up, {name} ({size}), loop, network {cost:.0f} us", rates["loop"], rates["loop"])
        what = f"swing-up, {name}, compiled, 18 episodes"
        add(what, rates["kernel"], rates["loop"], LEAST_SWING_UP_RATIO)

    vectors = take_turns(
        {str(size): vector_run(size) for size in VECTOR_SIZES}, max(3, repeats // 3)
    )
    best = max(vectors, key=lambda size: vectors[size][1])
    topology = random_topology(4, 2, [activation_named("relu").id], 8)
    runs = {"vector": vector_run(int(best)), "kernel": kernel_run(cartpole, topology)}
    rates = take_turns(runs, repeats)
    what = f"CartPole, Gymnasium's make_vec, {best} at once, no network"
    add(what, rates["vector"], rates["vector"])
    what = "CartPole, 8 connections, compiled, 18 episodes"
    add(what, rates["kernel"], rates["vector"], LEAST_CARTPOLE_RATIO)
    return rows


def write(rows: list[dict[str, str]], folder: Path) -> None:
    """Write rollout_speed.csv and rollout_speed.md, which says how and where it was measured."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "rollout_speed.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    versions = ", ".join(
        f"{name} {__import__(name).__version__}" for name in ("numba", "numpy", "gymnasium")
    )
    lines = [
        "# Rollout speed on one core",
        "",
        "`python benchmarks/rollout_speed.py --out FOLDER`; what is measured stands in that file.",
        f"{_processor()}, Python {platform.python_version()}, {versions}.",
        "",
        f"| {' | '.join(rows[0])} |",
        f"|{' --- |' * len(rows[0])}",
        *(f"| {' | '.join(row.values())} |" for row in rows),
        "",
    ]
    (folder / "rollout_speed.md").write_text("\n".join(lines))


def _processor() -> str:
    """Return the processor's name."""
    information = Path("/proc/cpuinfo")
    if information.exists():
        for line in information.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def main() -> None:
    """Measure, print and, if asked to, write the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--out", type=Path, help="folder for rollout_speed.csv and .md")
    parser.add_argument("--repeats", type=int, default=9, help="measurements of each kind")
    options = parser.parse_args()
    if hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    rows = measured(options.repeats)
    if options.out:
        write(rows, options.out)


if __name__ == "__main__":
    main()
