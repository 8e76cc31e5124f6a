"""Compare EnvPool with Gymnasium: steps a second on one core, and whether a seed means the same.

    python benchmarks/envpool_speed.py [--out results/envpool]

EnvPool plays environments in C++, many at once; it is no dependency, and this program ends with 3
where it is not installed. Both get random actions, drawn before the clock starts. Gymnasium has one
environment, EnvPool as many as are stated, in one thread. Each takes the best of three turns;
seconds are the processor's, so that it matters little what else runs.
"""

from __future__ import annotations

import argparse
import os
import platform
import sys
import time
from importlib.metadata import distribution, version
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np

TASKS = ("LunarLander-v3", "BipedalWalker-v3")
POOLS = (1, 24, 64)  # environments in a pool
SEEDS = 50
TURNS, SECONDS = 3, 2.0
NUM_ACTIONS = 64  # drawn beforehand, and used again


def envpool() -> Any:
    """Return the module, or end with a line that says what to do."""
    try:
        import envpool as module  # pyright: ignore[reportMissingImports]
    except ImportError:
        print("envpool is not installed; try: pip install envpool==1.2.5", file=sys.stderr)
        raise SystemExit(3) from None
    return module


def actions(space: gymnasium.Space[Any], count: int) -> list[np.ndarray]:
    """Return some batches of random actions, each for so many environments."""
    rng = np.random.default_rng(0)
    if isinstance(space, gymnasium.spaces.Box):
        shape = (count, *space.shape)
        drawn = [rng.uniform(space.low, space.high, shape) for _ in range(NUM_ACTIONS)]
        return [each.astype(np.float32) for each in drawn]
    if isinstance(space, gymnasium.spaces.Discrete):
        return [rng.integers(space.n, size=count).astype(np.int32) for _ in range(NUM_ACTIONS)]
    raise TypeError(f"actions must be of a Box or Discrete, but the space is {space}")


def steps_a_second_of_gymnasium(name: str) -> float:
    """Return the speed of one environment, resets included."""
    env = gymnasium.make(name)
    chosen = [each[0] for each in actions(env.action_space, 1)]
    speeds = []
    for turn in range(TURNS):
        env.reset(seed=turn)
        began, steps = time.process_time(), 0
        while time.process_time() - began < SECONDS:
            _, _, terminated, truncated, _ = env.step(chosen[steps % NUM_ACTIONS])
            steps += 1
            if terminated or truncated:
                env.reset()
        speeds.append(steps / (time.process_time() - began))
    env.close()
    return max(speeds)


def steps_a_second_of_envpool(name: str, count: int) -> float:
    """Return the speed of a pool of so many environments, which reset by themselves."""
    pool = envpool().make(name, env_type="gymnasium", num_envs=count, num_threads=1, seed=0)
    pool.reset()
    chosen = actions(gymnasium.make(name).action_space, count)
    speeds = []
    for _ in range(TURNS):
        began, rounds = time.process_time(), 0
        while time.process_time() - began < SECONDS:
            pool.step(chosen[rounds % NUM_ACTIONS])
            rounds += 1
        speeds.append(rounds * count / (time.process_time() - began))
    return max(speeds)


def share_of_equal_starts(name: str) -> float:
    """Return for which share of seeds both show the same first observation, to float32's digits."""
    env = gymnasium.make(name)
    equal = 0
    for seed in range(SEEDS):
        wanted, _ = env.reset(seed=seed)
        pool = envpool().make(name, env_type="gymnasium", num_envs=1, num_threads=1, seed=seed)
        found, _ = pool.reset()
        equal += np.allclose(found[0], wanted, rtol=1e-5, atol=1e-6)
    env.close()
    return equal / SEEDS


def megabytes() -> float:
    """Return what EnvPool's own files take."""
    files = distribution("envpool").files or []
    places = [Path(str(each.locate())) for each in files]
    return sum(each.stat().st_size for each in places if each.is_file()) / 1e6


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="compare EnvPool with Gymnasium")
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    envpool()
    pools = [f"EnvPool, {each} at once" for each in POOLS]
    lines = [
        f"| task | Gymnasium | {' | '.join(pools)} | seeds with an equal first observation |",
        "| --- |" + " ---: |" * (len(POOLS) + 2),
    ]
    for name in TASKS:
        speeds = [steps_a_second_of_gymnasium(name)]
        speeds += [steps_a_second_of_envpool(name, each) for each in POOLS]
        cells = [f"{each:,.0f}" for each in speeds]
        equal = f"{share_of_equal_starts(name):.0%} of {SEEDS}"
        lines.append(f"| {name} | {' | '.join(cells)} | {equal} |")
        print(lines[-1], file=sys.stderr, flush=True)
    text = page("\n".join(lines))
    print(text)
    if asked.out:
        asked.out.mkdir(parents=True, exist_ok=True)
        (asked.out / "table.md").write_text(text)


def page(table: str) -> str:
    """Return the page around the table."""
    names = ("envpool", "gymnasium", "numpy")
    versions = ", ".join(f"{name} {version(name)}" for name in names)
    machine = f"{platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}"
    return (
        "# EnvPool beside Gymnasium\n\n"
        "Environment steps in a second of processor time, under random actions, and for how many\n"
        "seeds both begin with the same observation.\n\n"
        f"{table}\n\n"
        "EnvPool is not offered as an engine: where its seeds begin other episodes than\n"
        "`gymnasium.make(id).reset(seed=s)`, a score could not be had again in Gymnasium, nor by\n"
        "a worker without EnvPool. "
        f"Its own files take {megabytes():.0f} MB.\n\n"
        f"Made by `python {' '.join(sys.argv)}`: {machine}, {versions}.\n"
    )


if __name__ == "__main__":
    main()
