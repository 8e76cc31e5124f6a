"""Tests of wann.kernel_cache: the folder's name, where it stands, and what crashes leave behind."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

import wann.kernel_cache
from wann.kernel_cache import PREFIX, VARIABLE, kernel_digest, remove_broken, use_kernel_cache

PACKAGE = Path(wann.kernel_cache.__file__).parent
SMALL_KERNEL = """
from numba import njit

@njit(cache=True)
def twice(x):
    return 2.0 * x
"""
RUN_KERNEL = """
from wann.kernel_cache import use_kernel_cache
use_kernel_cache()
from small_kernel import twice
print(twice(21.0), sum(twice.stats.cache_hits.values()))
"""


@pytest.fixture
def fresh(monkeypatch, tmp_path):
    """Return the folder of a user without a cache yet; forgets what the process has chosen."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    (tmp_path / "temporary").mkdir()
    monkeypatch.setattr("tempfile.tempdir", None)
    numba = sys.modules.get("numba")
    if numba is not None:
        monkeypatch.setattr(numba.config, "CACHE_DIR", numba.config.CACHE_DIR)
    use_kernel_cache.cache_clear()
    yield tmp_path
    use_kernel_cache.cache_clear()


@pytest.fixture
def run_small_kernel(fresh):
    """Return a function that runs a cached kernel in a new process: its result and cache hits."""
    (fresh / "small_kernel.py").write_text(SMALL_KERNEL)
    path = os.pathsep.join([str(PACKAGE.parent), str(fresh)])

    def run() -> tuple[float, int]:
        environment = {**os.environ, "PYTHONPATH": path}
        done = subprocess.run(
            [sys.executable, "-c", RUN_KERNEL],
            env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        result, hits = done.stdout.split()
        return float(result), int(hits)

    return run


def test_the_folder_stands_in_the_users_cache_and_numba_is_told(fresh):
    folder = use_kernel_cache()
    assert folder.parent == fresh / "cache" / "wann"
    assert folder.name == PREFIX + kernel_digest(PACKAGE)
    assert os.environ[VARIABLE] == str(folder)
    assert folder.is_dir()


def test_a_folder_named_by_the_user_is_respected(fresh, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(fresh / "mine"))
    assert use_kernel_cache().parent == fresh / "mine"


def test_a_child_process_uses_its_parents_folder(fresh):
    folder = use_kernel_cache()
    use_kernel_cache.cache_clear()  # as in a new process that inherits the environment
    assert use_kernel_cache() == folder


def test_a_parents_folder_of_other_kernels_is_not_used(fresh, monkeypatch):
    monkeypatch.setenv(VARIABLE, str(fresh / "mine" / f"{PREFIX}0123456789abcdef"))
    folder = use_kernel_cache()
    assert folder == fresh / "mine" / (PREFIX + kernel_digest(PACKAGE))


def test_a_cache_that_cannot_be_made_gives_way_to_the_temporary_folder(fresh):
    (fresh / "cache").write_text("a file, not a folder")
    folder = use_kernel_cache()
    assert folder.parent == fresh / "temporary"
    assert folder.stat().st_mode & 0o077 == 0


def test_a_temporary_folder_that_others_can_write_is_not_trusted(fresh):
    (fresh / "cache").write_text("a file, not a folder")
    trap = use_kernel_cache()
    trap.chmod(0o777)
    use_kernel_cache.cache_clear()
    os.environ.pop(VARIABLE)
    assert use_kernel_cache() != trap


def test_a_full_disk_is_not_used(fresh, monkeypatch):
    def usage(folder):
        is_full = Path(folder).is_relative_to(fresh / "cache")
        return shutil._ntuple_diskusage(10**9, 10**9, 0 if is_full else 10**9)

    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert use_kernel_cache().parent == fresh / "temporary"


@pytest.mark.parametrize(
    "edited",
    [
        "ranking_kernels.py",
        "rollout/lanes.py",
        "rollout/cartpole.py",
        "rollout/vector.py",
        "mutation.py",  # its Operator is frozen into reproduction_kernels
        "activations.py",  # its ids are frozen into rollout/single_kernels
    ],
)
def test_an_edit_of_what_kernels_are_made_of_changes_the_digest(tmp_path, edited):
    copy = tmp_path / "wann"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    assert kernel_digest(copy) == kernel_digest(PACKAGE)
    with (copy / edited).open("a") as file:
        file.write("# edited\n")
    assert kernel_digest(copy) != kernel_digest(PACKAGE)


def test_an_edit_of_other_files_does_not_change_the_digest(tmp_path):
    copy = tmp_path / "wann"
    shutil.copytree(PACKAGE, copy, ignore=shutil.ignore_patterns("__pycache__"))
    (copy / "config.py").write_text("# edited\n")
    assert kernel_digest(copy) == kernel_digest(PACKAGE)


def test_it_loads_no_numba(fresh):
    program = (
        "import sys; from wann.kernel_cache import use_kernel_cache;"
        "use_kernel_cache(); print('numba' in sys.modules)"
    )
    environment = {**os.environ, "PYTHONPATH": str(PACKAGE.parent)}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, check=True
    )
    assert done.stdout.strip() == "False"


def test_a_second_process_finds_the_compiled_kernel(run_small_kernel):
    assert run_small_kernel() == (42.0, 0)
    assert run_small_kernel() == (42.0, 1)


def test_cached_files_cut_short_are_compiled_again(run_small_kernel, fresh):
    run_small_kernel()
    _cut(fresh, "nbc", 0.5)
    assert run_small_kernel() == (42.0, 0)
    _cut(fresh, "nbi", 0.5)
    assert run_small_kernel() == (42.0, 0)


@pytest.mark.slow
@pytest.mark.parametrize("suffix", ["nbi", "nbc"])
@pytest.mark.parametrize("kept_share", [0.0, 0.01, 0.999])
def test_a_cached_file_cut_anywhere_is_compiled_again(run_small_kernel, fresh, suffix, kept_share):
    run_small_kernel()
    _cut(fresh, suffix, kept_share)
    assert run_small_kernel() == (42.0, 0)
    assert run_small_kernel() == (42.0, 1)


def _cut(fresh, suffix, kept_share):
    for path in (fresh / "cache").rglob(f"*.{suffix}"):
        content = path.read_bytes()
        path.write_bytes(content[: int(kept_share * len(content))])


@pytest.mark.slow
def test_a_cached_file_of_zeros_is_compiled_again(run_small_kernel, fresh):
    run_small_kernel()
    for path in (fresh / "cache").rglob("*.nbc"):
        path.write_bytes(bytes(path.stat().st_size))
    assert run_small_kernel() == (42.0, 0)


@pytest.mark.slow
def test_a_missing_data_file_is_compiled_again(run_small_kernel, fresh):
    run_small_kernel()
    for path in (fresh / "cache").rglob("*.nbc"):
        path.unlink()
    assert run_small_kernel() == (42.0, 0)
    assert run_small_kernel() == (42.0, 1)


def test_only_old_temporary_files_are_removed(tmp_path):
    (tmp_path / "rollout").mkdir()
    old, new = (tmp_path / "rollout" / f"kernel.nbi.tmp.{each}" for each in ("old", "new"))
    old.touch()
    new.touch()
    long_ago = time.time() - 7200.0
    os.utime(old, (long_ago, long_ago))
    remove_broken(tmp_path)
    assert not old.exists()
    assert new.exists()


@pytest.mark.slow
def test_a_process_killed_while_compiling_leaves_a_cache_that_works(run_small_kernel, fresh):
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(PACKAGE.parent), str(fresh)])}
    for hundredths in range(20, 220, 10):
        shutil.rmtree(fresh / "cache", ignore_errors=True)
        process = subprocess.Popen([sys.executable, "-c", RUN_KERNEL], env=environment)
        time.sleep(hundredths / 100)
        process.send_signal(signal.SIGKILL)
        process.wait()
        assert run_small_kernel()[0] == 42.0
        assert run_small_kernel() == (42.0, 1)
