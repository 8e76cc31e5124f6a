"""Measure what a user waits for: help, the first generation, memory, the share of checkpoints.

    python benchmarks/startup.py [--repeats 5] [--out results/startup]

Times are of whole processes, from their start, with kernels cached except where a row says cold.
"""

from __future__ import annotations

import argparse
import os
import platform
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

SEARCH = [sys.executable, "-m", "wann", "search"]
CARTPOLE = [*SEARCH, "--task", "CartPole-v1", "--quiet", "--seed", "1"]


def seconds_of_help() -> float:
    """Return how long `wann-search --help` takes."""
    started = time.perf_counter()
    subprocess.run([*SEARCH, "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


def seconds_to_first_generation(environment: dict[str, str] | None = None) -> float:
    """Return the time from the start of a CartPole run to its first row of metrics."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        process = subprocess.Popen(CARTPOLE, cwd=folder, env=environment)
        while process.poll() is None:
            rows = list(Path(folder).glob("results/runs/*/metrics.csv"))
            if rows and rows[0].read_text().count("\n") > 1:
                break
            time.sleep(0.005)
        taken = time.perf_counter() - started
        process.wait()
    return taken


def seconds_of_cold_start() -> float:
    """Return the same with an empty kernel cache."""
    with tempfile.TemporaryDirectory() as cache:
        return seconds_to_first_generation(os.environ | {"NUMBA_CACHE_DIR": cache})


def seconds_of_cartpole() -> float:
    """Return how long a whole CartPole run takes, its 600 test episodes in Gymnasium included."""
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        subprocess.run(CARTPOLE, check=True, cwd=folder)
        return time.perf_counter() - started


def megabytes_of_cartpole() -> float:
    """Return the largest resident memory of a CartPole run; of all children so far, so run last."""
    seconds_of_cartpole()
    return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024


def percent_in_checkpoints() -> float:
    """Return the share of a swing-up run's time that its checkpoints take."""
    from wann import run
    from wann.config import search_config
    from wann.run_files import RunSpec
    from wann.tasks import load_task

    spent = 0.0
    original = run.save_checkpoint

    def timed(*arguments: object) -> None:
        nonlocal spent
        started = time.perf_counter()
        original(*arguments)  # type: ignore[arg-type]
        spent += time.perf_counter() - started

    run.save_checkpoint = timed
    task = load_task("wann/SwingUp-v0")
    config = search_config(
        [("the card", task.card.search), ("here", {"task": task.id, "test_episodes": 2})]
    )
    try:
        with tempfile.TemporaryDirectory() as folder:
            started = time.perf_counter()
            run.Run(RunSpec(config, task.card), folder).execute(time_limit=30.0)
            return 100.0 * spent / (time.perf_counter() - started)
    finally:
        run.save_checkpoint = original


MEASURES: tuple[tuple[str, str, str, Callable[[], float]], ...] = (
    ("`wann-search --help`", "s", "0.5", seconds_of_help),
    (
        "start to first generation of CartPole, kernels cached",
        "s",
        "2",
        seconds_to_first_generation,
    ),
    ("whole CartPole run, kernels cached", "s", "", seconds_of_cartpole),
    ("largest memory of a CartPole run, kernels cached", "MB", "400", megabytes_of_cartpole),
    ("start to first generation, no kernel cached", "s", "", seconds_of_cold_start),
    ("largest memory of a CartPole run, no kernel cached", "MB", "400", megabytes_of_cartpole),
    ("checkpoints' share of 30 s of swing-up", "%", "5", percent_in_checkpoints),
)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="measure start-up, memory and checkpoints")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    lines = ["| what | median | worst | bound | unit |", "| --- | ---: | ---: | ---: | --- |"]
    seconds_to_first_generation()  # fills the cache
    for name, unit, bound, measure in MEASURES:
        slow = measure in (seconds_of_cold_start, percent_in_checkpoints)
        values = [measure() for _ in range(1 if slow else asked.repeats)]
        lines.append(
            f"| {name} | {statistics.median(values):.2f} | {max(values):.2f} | {bound} | {unit} |"
        )
        print(lines[-1], file=sys.stderr, flush=True)
    text = "\n".join(lines) + "\n"
    print(text)
    if asked.out:
        asked.out.mkdir(parents=True, exist_ok=True)
        made = f"python {' '.join(sys.argv)}"
        machine = (
            f"Python {platform.python_version()}, {platform.machine()}, {os.cpu_count()} cores"
        )
        (asked.out / "table.md").write_text(f"{text}\nMade by `{made}`: {machine}.\n")


if __name__ == "__main__":
    main()
