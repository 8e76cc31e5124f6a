"""`wann doctor`: everything in place, or what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import Run
from wann.cli import doctor


def test_a_sound_installation_is_told_so(wann: Run) -> None:
    ended = wann("doctor")
    assert (ended.code, ended.err) == (0, "")
    for text in ("wann-search", "numba", "cores", "GPU", "kernel cache", "extra box2d"):
        assert text in ended.out
    assert "BROKEN" not in ended.out


def test_a_missing_package_is_exit_code_1(wann: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(doctor, "ESSENTIAL", ("numpy", "not-there"))
    ended = wann("doctor")
    assert ended.code == 1
    assert "a search cannot run here: see not-there" in ended.err


def test_tasks_that_cannot_be_loaded_are_exit_code_1(
    wann: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(name: str) -> None:
        raise ImportError("gymnasium is broken")

    monkeypatch.setattr("wann.tasks.load_task", broken)
    ended = wann("doctor")
    assert ended.code == 1
    assert "ImportError: gymnasium is broken" in ended.out


def test_gpus_are_those_the_driver_names(
    folder: Path, wann: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    program = folder / "nvidia-smi"
    program.write_text("#!/bin/sh\necho 'Big GPU'\necho 'Small GPU'\n")
    program.chmod(0o755)
    monkeypatch.setattr(doctor.shutil, "which", lambda _: str(program))
    assert "Big GPU, Small GPU" in wann("doctor").out


def test_a_driver_that_fails_does_no_harm(
    folder: Path, wann: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(doctor.shutil, "which", lambda _: "/bin/false")
    ended = wann("doctor")
    assert ended.code == 0
    assert "the driver does not answer" in ended.out
