"""`wann tasks`: the list and one task."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.commands import Run
from wann.cli import tasks
from wann.tasks import MissingDependency, available_tasks, shipped_cards


def test_every_card_that_ships_is_listed(wann: Run) -> None:
    pytest.importorskip("Box2D", reason="the extra box2d is not installed")
    ended = wann("tasks")
    assert (ended.code, ended.err) == (0, "")
    lines = [line.split() for line in ended.out.splitlines()]
    starts = {line[0]: line[1:4] for line in lines if line}
    assert starts["wann/SwingUp-v0"] == ["5", "1", "compiled"]
    assert starts["LunarLander-v3"] == ["8", "4", "Python"]
    assert set(shipped_cards()) <= set(starts)


def test_all_tasks_are_named_where_an_error_says_so(wann: Run) -> None:
    hint = wann("tasks", "no-such-task").err.rpartition("(`")[2]
    assert hint == "wann tasks --all` names all)\n"
    ended = wann("tasks", "--all")
    assert (ended.code, ended.err) == (0, "")
    assert ended.out.split() == list(available_tasks())
    assert "Taxi-v4" in ended.out.split()


def test_on_a_terminal_all_tasks_stand_in_columns(
    wann: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setenv("TTY_COMPATIBLE", "1")
    lines = wann("tasks", "--all").out.splitlines()
    assert len(lines) < len(available_tasks()) / 2
    assert max(map(len, lines)) <= 80


def test_one_task_and_all_tasks_exclude_each_other(wann: Run) -> None:
    ended = wann("tasks", "CartPole-v1", "--all")
    assert (ended.code, ended.out) == (2, "")
    assert "--all names every task, but 'CartPole-v1' was given" in ended.err


def test_a_task_shows_its_settings_under_each_preset(wann: Run) -> None:
    ended = wann("tasks", "wann/SwingUp-v0")
    assert ended.code == 0
    assert "5: position, velocity, cos, sin, angular velocity" in ended.out
    (row,) = [line.split() for line in ended.out.splitlines() if "--generations" in line]
    assert row[2] == "1024"  # Gaier & Ha 2019


def test_a_card_of_ones_own_is_shown(folder: Path, wann: Run) -> None:
    (folder / "mine.toml").write_text('task = "mine"\nenvironment = "CartPole-v1"\nmax_steps = 7\n')
    ended = wann("tasks", "mine.toml")
    assert ended.code == 0
    assert "at most 7 steps" in ended.out


def test_an_unknown_task_is_refused_with_the_nearest_one(wann: Run) -> None:
    ended = wann("tasks", "Cartpole-v1")
    assert (ended.code, ended.out) == (2, "")
    assert "did you mean 'CartPole-v1'?" in ended.err


def test_a_task_that_lacks_a_package_says_how_to_get_it(
    wann: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing(name: str, data_dir: str = "") -> None:
        raise MissingDependency(f"{name!r} needs a package; pip install 'wann-search[box2d]'")

    monkeypatch.setattr(tasks, "load_task", missing)
    assert "pip install" in wann("tasks").out
    ended = wann("tasks", "LunarLander-v3")
    assert (ended.code, ended.out) == (3, "")
    assert "pip install 'wann-search[box2d]'" in ended.err
