"""Measure what a user waits for: help, the first generation, memory, the share of checkpoints.

    python benchmarks/startup.py [--repeats 5] [--out results/startup]

Times are of whole processes, from their start, with kernels cached except where a row says cold.
"""

from __future__ import annotations

import argparse
import os
import platform
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SEARCH = [sys.executable, "-m", "wann", "search"]
MEASURED = """
import resource, sys
from wann.cli.main import search

code = search(sys.argv[1:])
print(*(resource.getrusage(who).ru_maxrss
        for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)))
sys.exit(code)
"""
CARTPOLE = [
    sys.executable, "-c", MEASURED, "--task", "CartPole-v1", "--quiet", "--seed", "1",
]  # fmt: skip


def seconds_of_help() -> float:
    """Return how long `wann-search --help` takes."""
    started = time.perf_counter()
    subprocess.run([*SEARCH, "--help"], check=True, stdout=subprocess.DEVNULL)
    return time.perf_counter() - started


@dataclass(frozen=True)
class CartPoleRun:
    """What a whole CartPole run took, its 600 test episodes in Gymnasium included.

    first_generation, whole: s from its start to the first row of metrics, and to its end.
    memory, compiling: MB of resident memory at most, of the run itself and of the largest process
        that it started.
    """

    first_generation: float
    whole: float
    memory: float
    compiling: float


def cartpole_run(cache: str = "") -> CartPoleRun:
    """Return what a run takes, with this folder for kernels or the usual one."""
    environment = os.environ | ({"NUMBA_CACHE_DIR": cache} if cache else {})
    first_generation = 0.0
    with tempfile.TemporaryDirectory() as folder:
        started = time.perf_counter()
        process = subprocess.Popen(
            CARTPOLE, cwd=folder, env=environment, stdout=subprocess.PIPE, text=True
        )
        while process.poll() is None:
            rows = list(Path(folder).glob("results/runs/*/metrics.csv"))
            if not first_generation and rows and rows[0].read_text().count("\n") > 1:
                first_generation = time.perf_counter() - started
            time.sleep(0.005)
        whole = time.perf_counter() - started
        own, largest_child = map(float, process.communicate()[0].split())
    return CartPoleRun(first_generation, whole, own / 1024, largest_child / 1024)


def cold_cartpole_run() -> CartPoleRun:
    """Return the same with an empty kernel cache."""
    with tempfile.TemporaryDirectory() as cache:
        return cartpole_run(cache)


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


Row = tuple[str, str, str, Callable[[Any], float]]  # what, unit, bound, which of the values
WARM: tuple[Row, ...] = (
    (
        "start to first generation of CartPole, kernels cached",
        "s",
        "2",
        lambda run: run.first_generation,
    ),
    ("whole CartPole run, kernels cached", "s", "", lambda run: run.whole),
    ("its largest memory", "MB", "400", lambda run: run.memory),
)
COLD: tuple[Row, ...] = (
    (
        "start to first generation of CartPole, no kernel cached",
        "s",
        "20",
        lambda run: run.first_generation,
    ),
    ("largest memory of that run", "MB", "400", lambda run: run.memory),
    ("largest memory of a process that compiles for it", "MB", "400", lambda run: run.compiling),
)


def main() -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="measure start-up, memory and checkpoints")
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--out", type=Path)
    asked = parser.parse_args()
    lines = ["| what | median | worst | bound | unit |", "| --- | ---: | ---: | ---: | --- |"]
    cartpole_run()  # fills the cache
    # The kernel counts what a process held before it became another program, so what makes this
    # process large comes last.
    for measure, repeats, rows in (
        (seconds_of_help, asked.repeats, (("`wann-search --help`", "s", "0.5", float),)),
        (cartpole_run, asked.repeats, WARM),
        (cold_cartpole_run, 1, COLD),
        (
            percent_in_checkpoints,
            1,
            (("checkpoints' share of 30 s of swing-up", "%", "5", float),),
        ),
    ):
        measured = [measure() for _ in range(repeats)]
        for name, unit, bound, chosen in rows:
            values = [chosen(each) for each in measured]
            middle, worst = statistics.median(values), max(values)
            lines.append(f"| {name} | {middle:.2f} | {worst:.2f} | {bound} | {unit} |")
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
