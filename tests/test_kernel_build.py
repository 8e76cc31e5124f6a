"""Kernels are compiled once, in processes of their own, and a search then compiles none."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from filelock import FileLock

from tests.commands import TINY
from wann import kernel_build
from wann.kernel_build import COMPILING, GROUPS, build_kernels, groups_for
from wann.kernel_cache import PREFIX, VARIABLE
from wann.tasks import load_task

ROOT = Path(kernel_build.__file__).parent.parent
QUICK = "policy"  # the group that compiles in a second
BUILD = """
import json, subprocess, sys
from wann.kernel_build import build_kernels

class Counted(subprocess.Popen):
    count = 0

    def __init__(self, *arguments, **options):
        Counted.count += 1
        super().__init__(*arguments, **options)

subprocess.Popen = Counted
lines = []
build_kernels(sys.argv[1:], lines.append)
print(json.dumps([Counted.count, lines, "numba" in sys.modules]))
"""
ACT = """
import numpy as np
from wann.genome import minimal_genome
from wann.rollout.single import policy
from wann.topology import compile

print(policy(compile(minimal_genome(1, 1, np.array([False, True]))), 2.0)(np.array([3.0])))
"""


def environment(cache: Path, places: Path = ROOT) -> dict[str, str]:
    """Return the environment of a process with this kernel cache and the modules of a folder."""
    paths = os.pathsep.join([str(places), str(places / "envs")])
    return os.environ | {VARIABLE: str(cache), "PYTHONPATH": paths}


def start(program: str, cache: Path, *arguments: str, places: Path = ROOT) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-P", "-c", program, *arguments], env=environment(cache, places),
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip


def result(process: subprocess.Popen[str]) -> Any:
    out, err = process.communicate(timeout=300)
    assert (process.returncode, err) == (0, "")
    return out


def build(cache: Path, *names: str, places: Path = ROOT) -> tuple[int, list[str], bool]:
    """Build in a new process: the processes it started, the lines to show, whether Numba loaded."""
    return tuple(json.loads(result(start(BUILD, cache, *names, places=places))))


def files(cache: Path) -> dict[str, int]:
    """Return all that Numba wrote, and when."""
    found = [*cache.rglob("*.nb?"), *cache.rglob("*.nbc.*"), *cache.rglob("*.nbi.*")]
    return {str(path.relative_to(cache)): path.stat().st_mtime_ns for path in found}


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a cache that holds the quick group."""
    cache = tmp_path_factory.mktemp("built")
    assert build(cache, QUICK) == (1, [COMPILING], False)
    return cache


@pytest.fixture
def warnings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> Callable[[], list[str]]:
    """Return what builds the quick group in `tmp_path` and returns the warnings."""

    def build_here() -> list[str]:
        caplog.clear()
        build_kernels([QUICK])
        return [record.getMessage() for record in caplog.records if record.name == "wann"]

    monkeypatch.setattr(kernel_build, "use_kernel_cache", lambda: tmp_path)
    return build_here


def test_a_process_that_uses_built_kernels_compiles_nothing(built: Path) -> None:
    before = files(built)
    assert result(start(ACT, built)) == "[6.]\n"
    assert files(built) == before


def test_built_kernels_are_not_built_again(built: Path) -> None:
    assert build(built, QUICK) == (0, [], False)


def test_processes_that_start_together_compile_once(tmp_path: Path) -> None:
    together = [start(BUILD, tmp_path, QUICK) for _ in range(3)]
    started = [json.loads(result(each))[0] for each in together]
    assert sorted(started) == [0, 0, 1]
    assert build(tmp_path, QUICK) == (0, [], False)


def test_a_half_filled_cache_is_completed(built: Path, tmp_path: Path) -> None:
    cache = tmp_path / "half"
    shutil.copytree(built, cache)
    (marker,) = cache.rglob("*.built")
    marker.unlink()
    for path in cache.rglob("*forward_one*"):
        path.unlink()
    assert files(cache).keys() < files(built).keys()
    assert build(cache, QUICK) == (1, [COMPILING], False)
    assert files(cache).keys() == files(built).keys()
    assert marker.exists()


@pytest.mark.slow
def test_a_file_cut_short_voids_the_markers(built: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cut"
    shutil.copytree(built, cache)
    next(cache.rglob("*forward_one*.nbc")).write_bytes(b"")
    assert build(cache, QUICK)[0] == 1
    assert build(cache, QUICK)[0] == 0


@pytest.mark.slow
def test_markers_of_other_kernels_do_not_count(built: Path, tmp_path: Path) -> None:
    (folder,) = built.iterdir()
    shutil.copytree(folder, tmp_path / f"{PREFIX}0123456789abcdef")
    assert build(tmp_path, QUICK)[0] == 1


@pytest.mark.slow
def test_markers_of_the_same_kernels_elsewhere_do_not_count(built: Path, tmp_path: Path) -> None:
    cache = tmp_path / "cache"
    shutil.copytree(built, cache)
    ignored = shutil.ignore_patterns("__pycache__")
    shutil.copytree(ROOT / "wann", tmp_path / "wann", ignore=ignored)
    assert build(cache, QUICK, places=tmp_path)[0] == 1  # which loads the copy, as this process
    assert build(cache, QUICK, places=tmp_path)[0] == 0
    before = files(cache)
    assert len(before) == 2 * len(files(built))
    assert result(start(ACT, cache, places=tmp_path)) == "[6.]\n"
    assert files(cache) == before


@pytest.mark.slow
def test_a_module_of_that_name_in_the_working_folder_is_not_run(tmp_path: Path) -> None:
    (tmp_path / "wann").mkdir()
    (tmp_path / "wann" / "__init__.py").write_text("raise SystemExit(3)")
    program = f"import os; os.chdir({str(tmp_path)!r})\n{BUILD}"
    assert json.loads(result(start(program, tmp_path / "cache", QUICK)))[0] == 1
    assert build(tmp_path / "cache", QUICK)[0] == 0


def test_a_process_that_fails_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: Callable[[], list[str]]
) -> None:
    monkeypatch.setattr(sys, "executable", shutil.which("false"))
    (warning,) = warnings()
    assert warning.endswith("so a search compiles them itself: group 'policy': exit code 1")
    monkeypatch.setattr(sys, "executable", str(tmp_path / "missing"))
    (warning,) = warnings()
    assert "No such file or directory" in warning
    assert not list(tmp_path.glob("*.built"))


def test_the_last_line_of_a_traceback_is_the_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: Callable[[], list[str]]
) -> None:
    (tmp_path / "numba.py").write_text("raise RuntimeError('broken\\nfor good')")
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    assert warnings()[0].endswith("group 'policy': for good")


def test_a_folder_that_cannot_be_used_is_a_warning(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: Callable[[], list[str]]
) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setattr(kernel_build, "use_kernel_cache", lambda: tmp_path / "file" / "cache")
    (warning,) = warnings()
    assert "kernels could not be compiled ahead" in warning


def test_patience_with_another_process_ends(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, warnings: Callable[[], list[str]]
) -> None:
    monkeypatch.setattr(kernel_build, "PATIENCE", 0.01)
    with FileLock(tmp_path / "build.lock"):
        (warning,) = warnings()
    assert "build.lock" in warning


@pytest.mark.parametrize(
    ("task", "groups"),
    [
        ("CartPole-v1", ("breeding", "lanes", "ranking", "policy")),
        ("LunarLander-v3", ("breeding", "ranking", "policy")),
        ("digits", ("breeding", "images", "ranking")),
    ],
)
def test_a_search_asks_for_the_groups_that_its_task_needs(
    task: str, groups: tuple[str, ...]
) -> None:
    assert groups_for(load_task(task)) == groups


def test_an_unknown_group_is_refused() -> None:
    with pytest.raises(ValueError, match="no group of kernels 'rankin'; did you mean 'ranking'"):
        build_kernels(["rankin"])


def children(process: int) -> list[int]:
    text = Path(f"/proc/{process}/task/{process}/children").read_text()
    return [int(each) for each in text.split()]


def is_running(process: int) -> bool:
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60.0
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.01)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc")
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGKILL, -9)]
)
def test_a_search_stopped_while_kernels_compile_leaves_no_process_and_no_lock(
    tmp_path: Path, number: signal.Signals, code: int
) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "wann", "search", "--task=CartPole-v1", *TINY], cwd=tmp_path,
        env=environment(tmp_path / "cache"), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        text=True,
    )  # fmt: skip
    wait_for(lambda: children(process.pid) and list((tmp_path / "cache").rglob("*.nbc")))
    compiling = children(process.pid)
    process.send_signal(number)
    out, err = process.communicate(timeout=60)
    assert (process.returncode, out, "Traceback" in err) == (code, "", False)
    assert COMPILING in err
    wait_for(lambda: not any(map(is_running, compiling)))
    (lock,) = (tmp_path / "cache").rglob("build.lock")
    with FileLock(lock, timeout=0):
        assert not list(lock.parent.glob("breeding*.built"))


@pytest.fixture(scope="module")
def separately_built(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Return a cache for each group, with nothing but this group."""
    caches = {name: tmp_path_factory.mktemp(name) for name in GROUPS}
    for name, cache in caches.items():
        build(cache, name)
    return caches


@pytest.mark.slow
def test_no_two_groups_compile_the_same_function(separately_built: dict[str, Path]) -> None:
    names = [name for cache in separately_built.values() for name in files(cache)]
    assert len(names) == len(set(names)) > 50


@pytest.mark.slow
@pytest.mark.parametrize("task", ["CartPole-v1", "wann/SwingUp-v0", "Pendulum-v1", "CartPole-v0"])
def test_a_search_compiles_nothing(
    separately_built: dict[str, Path], tmp_path: Path, task: str
) -> None:
    cache = tmp_path / "cache"
    for each in separately_built.values():
        shutil.copytree(each, cache, dirs_exist_ok=True)
    before = files(cache)
    search = [sys.executable, "-m", "wann", "search", *TINY]

    def run(*arguments: str) -> str:
        done = subprocess.run(
            [*search, *arguments], cwd=tmp_path, env=environment(cache), capture_output=True,
            text=True, check=True,
        )  # fmt: skip
        return done.stderr

    assert COMPILING not in run(f"--task={task}")
    (champion,) = tmp_path.glob("results/runs/*/champion.json")
    run(f"--task={task}", "--seed=1", f"--start={champion}", "--generations=2")
    run(f"--task={task}", "--generations=5")  # goes on from the checkpoint
    assert files(cache) == before
