"""Kernels compiled before they are needed: once a machine, in processes of their own.

Compiling takes many seconds and some 200 MB that a process never gives back; loading what another
process has compiled takes a second and little memory.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import IO, TYPE_CHECKING

import numpy as np

from wann.checks import unknown
from wann.kernel_cache import MARKER_SUFFIX, VARIABLE, kernel_sources, use_kernel_cache

if TYPE_CHECKING:
    from wann.tasks.task import Task

COMPILING = "compiling kernels, once (some 15 s)"
PATIENCE = 600.0  # s to wait for another process that compiles
POLL_INTERVAL = 0.02  # s
_log = logging.getLogger("wann")


def groups_for(task: Task, algorithm: str = "wann") -> tuple[str, ...]:
    """Return the groups of kernels that a search on this task and its champion's score need."""
    from wann.rollout.episodes import kernel_of
    from wann.tasks.control import ControlTask

    if not isinstance(task, ControlTask):
        return ("breeding", "images", "ranking")
    if algorithm == "neat":  # which breeds by itself, and has a weight for each link
        return ("tuning", "ranking", "policy") if kernel_of(task) else ("ranking", "policy")
    lanes = ("lanes",) if kernel_of(task) else ()
    return ("breeding", *lanes, "ranking", "policy")


def build_kernels(
    names: Iterable[str] | None = None, announce: Callable[[str], None] | None = None
) -> None:
    """Have these groups of kernels compiled and cached; at once when they are.

    names: of GROUPS; None for all. announce: called with a line to show before a long wait.
    Child processes compile, one for each group, no more at once than cores; other processes that
    ask meanwhile, of the same user and machine, wait for them. Numba is not loaded here.
    Where it fails a warning is logged, and what is missing is compiled when it is first called.
    Raises ValueError for an unknown name.
    """
    chosen = list(GROUPS) if names is None else list(names)
    for name in chosen:
        if name not in GROUPS:
            raise unknown("group of kernels", name, GROUPS)
    folder = use_kernel_cache()
    if not _missing(folder, chosen):
        return
    if announce is not None:
        announce(COMPILING)
    from filelock import FileLock

    try:
        with FileLock(folder / "build.lock", timeout=PATIENCE):
            _run_children(folder, _missing(folder, chosen))
    except OSError as error:  # a Timeout of the lock is one
        _warn(str(error))


def _missing(folder: Path, names: Iterable[str]) -> list[str]:
    """Return the groups that have no marker, the slowest first."""
    wanted = set(names)
    markers = _markers(folder)
    return [name for name in GROUPS if name in wanted and not markers[name].exists()]


def _markers(folder: Path) -> dict[str, Path]:
    """Return for each group the empty file that says that all of it has been compiled.

    Numba takes no kernel that was compiled from a file in another place or of another time, nor by
    another version of Python, so they are part of the name.
    """
    package = Path(__file__).parent
    times = [path.stat().st_mtime_ns for path in kernel_sources(package)]
    stamp = f"{package.resolve()} {sys.implementation.cache_tag} {times}"
    digest = hashlib.sha256(stamp.encode()).hexdigest()[:16]
    return {name: folder / f"{name}-{digest}{MARKER_SUFFIX}" for name in GROUPS}


def _run_children(folder: Path, names: Iterable[str]) -> None:
    """Compile groups in child processes, which end with this function, however it ends."""
    from wann.evaluation import available_cores

    waiting = list(names)
    running: dict[str, tuple[subprocess.Popen[bytes], IO[bytes]]] = {}
    with contextlib.ExitStack() as at_end:
        while waiting or running:
            while waiting and len(running) < available_cores():
                name = waiting.pop(0)
                errors = at_end.enter_context(tempfile.TemporaryFile())
                process = at_end.enter_context(_start(folder, name, errors))
                at_end.callback(process.kill)  # does nothing once it has ended
                running[name] = process, errors
            time.sleep(POLL_INTERVAL)
            for name, (process, errors) in list(running.items()):
                if process.poll() is None:
                    continue
                del running[name]
                if process.returncode != 0:
                    why = _last_line(errors) or f"exit code {process.returncode}"
                    _warn(f"group {name!r}: {why}")


def _start(folder: Path, name: str, errors: IO[bytes]) -> subprocess.Popen[bytes]:
    """Return a new process that compiles a group with the modules this one would load."""
    places = [str(each) or str(Path.cwd()) for each in sys.path]
    return subprocess.Popen(
        [sys.executable, "-P", "-m", "wann.kernel_build", name],  # -P: nothing before PYTHONPATH
        env=os.environ | {VARIABLE: str(folder), "PYTHONPATH": os.pathsep.join(places)},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=errors,
    )


def _last_line(errors: IO[bytes]) -> str:
    errors.seek(0)
    return errors.read().decode(errors="replace").strip().rpartition("\n")[2]


def _warn(what: str) -> None:
    _log.warning("kernels could not be compiled ahead, so a search compiles them itself: %s", what)


def _compile_group(name: str) -> None:
    """Compile a group in this process, and leave its marker when all of it is cached.

    Raises OSError where the cache cannot be written.
    """
    folder = use_kernel_cache()
    GROUPS[name]()
    _markers(folder)[name].touch()


def _breed() -> None:
    from wann.config import SearchConfig
    from wann.reproduction import first_generation, next_generation
    from wann.seeding import Purpose, generator
    from wann.topology import compile_all

    config = SearchConfig(task="any", population=2, tournament=1)
    rng = generator(config.seed, Purpose.REPRODUCTION, 0)
    population = first_generation(1, 1, config, rng)
    compile_all(population.genomes)
    next_generation(population, np.arange(2), config, rng)


def _play_lanes() -> None:
    from wann.genome import minimal_genome
    from wann.rollout.compiled import COMPILED_TASKS, rollout
    from wann.topology import Topologies, compile

    task = COMPILED_TASKS[0]
    num_genes = (task.num_inputs + 1) * task.num_outputs
    genome = minimal_genome(task.num_inputs, task.num_outputs, np.ones(num_genes, dtype=bool))
    rollout(
        task, Topologies.stack([compile(genome)]), np.ones(1), np.zeros((1, task.num_state)),
        np.zeros((1, task.num_inputs)), max_steps=1,
    )  # fmt: skip


def _tune_lanes() -> None:
    from wann.genome import minimal_genome
    from wann.rollout.compiled import COMPILED_TASKS, rollout_weights
    from wann.topology import compile

    task = COMPILED_TASKS[0]
    num_genes = (task.num_inputs + 1) * task.num_outputs
    genome = minimal_genome(task.num_inputs, task.num_outputs, np.ones(num_genes, dtype=bool))
    rollout_weights(
        task, compile(genome), np.ones((1, num_genes)), np.zeros((1, task.num_state)),
        np.zeros((1, task.num_inputs)), max_steps=1,
    )  # fmt: skip


def _see_images() -> None:
    from wann.genome import minimal_genome
    from wann.rollout.images import logits_by_weight, score_images
    from wann.topology import Topologies, compile

    topology = compile(minimal_genome(1, 1, np.ones(2, dtype=bool)))
    images, labels = np.zeros((1, 1), dtype=np.float32), np.zeros(1, dtype=np.int64)
    score_images(Topologies.stack([topology]), np.ones(1), images, labels)
    logits_by_weight(topology, np.ones(1), images)
    logits_by_weight(topology, np.ones((1, 2)), images)


def _rank() -> None:
    from wann.ranking import rank

    rank(np.zeros((2, 2)))


def _act() -> None:
    from wann.genome import minimal_genome
    from wann.rollout.single import policy
    from wann.topology import compile

    policy(compile(minimal_genome(1, 1, np.ones(2, dtype=bool))), 1.0)(np.zeros(1))


# What to call so that a group's kernels are compiled for arguments of the types that a search has,
# the slowest first. No two groups may use the same cached function: two processes that compile it
# for different arguments at the same time spoil its entry in Numba's cache.
GROUPS: dict[str, Callable[[], None]] = {
    "breeding": _breed,
    "lanes": _play_lanes,
    "tuning": _tune_lanes,
    "images": _see_images,
    "ranking": _rank,
    "policy": _act,
}


def _end_with_parent() -> None:
    """Let Linux kill this process when its parent ends; elsewhere it finishes its work."""
    if sys.platform == "linux":
        import ctypes

        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG


if __name__ == "__main__":
    _end_with_parent()
    _compile_group(sys.argv[1])
