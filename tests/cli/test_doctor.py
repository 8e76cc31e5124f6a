"""`wann doctor`: everything in place, or what is not."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.commands import Run
from wann.cli import doctor
from wann.tasks import Card


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
    def broken(card: Card) -> None:
        raise ImportError("gymnasium is broken")

    monkeypatch.setattr("wann.tasks.control_task", broken)
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


@pytest.fixture
def no_cluster(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return the folder in which `ray start` would note an address; no cluster is known here."""
    monkeypatch.delenv("RAY_ADDRESS", raising=False)
    monkeypatch.setenv("RAY_TMPDIR", str(folder))
    (folder / "ray").mkdir()
    return folder / "ray"


@pytest.fixture
def address() -> Iterator[str]:
    """Return an address where somebody answers."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield f"127.0.0.1:{server.getsockname()[1]}"


def line_on_the_cluster(wann: Run) -> str:
    return next(line for line in wann("doctor").out.splitlines() if line.startswith("Ray cluster"))


def test_where_there_is_no_cluster_a_search_starts_its_own_ray(no_cluster: Path, wann: Run) -> None:
    assert "none here" in line_on_the_cluster(wann)


def test_a_cluster_started_on_this_machine_is_named(
    no_cluster: Path, address: str, wann: Run
) -> None:
    (no_cluster / "ray_current_cluster").write_text(f"{address}\n")
    assert f"{address}, for --ray-address auto: answers" in line_on_the_cluster(wann)


def test_the_cluster_of_ray_address_is_named_before_the_one_on_this_machine(
    no_cluster: Path, address: str, wann: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    (no_cluster / "ray_current_cluster").write_text("127.0.0.1:9")
    monkeypatch.setenv("RAY_ADDRESS", address)
    assert f"{address}, from RAY_ADDRESS: answers" in line_on_the_cluster(wann)


@pytest.mark.parametrize("wrong", ["127.0.0.1:9", "127.0.0.1:99999", "nonsense", "::", "a:b:c"])
def test_an_address_without_a_cluster_is_told_and_does_no_harm(
    no_cluster: Path, wann: Run, monkeypatch: pytest.MonkeyPatch, wrong: str
) -> None:
    monkeypatch.setenv("RAY_ADDRESS", wrong)
    assert f"{wrong}, from RAY_ADDRESS: nobody answers" in line_on_the_cluster(wann)
