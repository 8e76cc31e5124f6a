"""Tests of wann.tasks.environment: which environments a name means, and why one cannot be had."""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import gymnasium
import pytest

from wann.tasks import Card, available_tasks, control_task, load_task, shipped_cards
from wann.tasks.faults import EnvironmentFault, MissingDependency


def test_an_id_without_a_version_means_the_newest_and_its_card() -> None:
    assert load_task("CartPole").card is shipped_cards()["CartPole-v1"]
    task = load_task("FrozenLake")
    assert (task.id, task.spec.id) == ("FrozenLake-v1", "FrozenLake-v1")
    assert task.notes == ("'FrozenLake' has no version; the newest, 'FrozenLake-v1', is used",)


def test_a_module_before_an_id_is_imported_first(still_envs: Path) -> None:
    task = load_task("still_envs:Still-v2")
    assert (task.id, task.max_steps, task.num_inputs) == ("still_envs:Still-v2", 7, 3)
    newest = load_task("still_envs:Still")
    assert (newest.id, newest.spec.id) == ("still_envs:Still-v2", "Still-v2")
    assert load_task(newest.id).spec.id == "Still-v2"


def test_all_tasks_are_listed_those_with_cards_first() -> None:
    names = available_tasks()
    assert names[: len(shipped_cards())] == tuple(shipped_cards())
    assert "Taxi-v4" in names
    assert len(set(names)) == len(names)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Cartpole-v1", "no task 'Cartpole-v1'; did you mean 'CartPole-v1'. .`wann tasks --all` n"),
        ("CartPole-v9", "no task 'CartPole-v9'; did you mean 'CartPole-v1'"),
        ("wann/SwingUp-v1", "no task 'wann/SwingUp-v1'; did you mean 'wann/SwingUp-v0'"),
        ("", "no task ''"),
        ("no good id!", "no task 'no good id!'"),
        ("still_envs:Stil-v2", "did you mean 'still_envs:Still-v2'"),
        ("no_such_module:A-v0", "no module 'no_such_module' for 'no_such_module:A-v0'; install"),
        ("no_such.module:A-v0", "no module 'no_such.module'"),
        ("none.toml", "card 'none.toml' cannot be read: No such file"),
    ],
)
def test_an_unknown_task_is_refused_with_the_nearest_name(
    still_envs: Path, name: str, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        load_task(name)


def test_an_extra_that_is_not_installed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco", None)
    for name in [each for each in sys.modules if each.startswith("gymnasium.envs.mujoco")]:
        monkeypatch.delitem(sys.modules, name)
    with pytest.raises(
        MissingDependency, match=r"'HalfCheetah-v5' needs .*pip install 'wann-search\[mujoco\]'"
    ):
        load_task("HalfCheetah-v5")


def test_a_package_that_an_environment_needs_is_named(still_envs: Path) -> None:
    with pytest.raises(MissingDependency, match="'Gone-v0' needs module 'no_such_module_here'"):
        load_task("still_envs:Gone-v0")
    (still_envs / "half.py").write_text("import no_such_module_here")
    with pytest.raises(MissingDependency, match="'half:A-v0' needs module 'no_such_module_here'"):
        load_task("half:A-v0")


def test_a_module_that_fails_when_imported_is_a_fault_of_one_line(still_envs: Path) -> None:
    (still_envs / "broken_envs.py").write_text("raise RuntimeError('first\\nsecond')")
    with pytest.raises(
        EnvironmentFault, match=r"'broken_envs' .*cannot be imported: RuntimeError: first second"
    ):
        load_task("broken_envs:A-v0")


def test_a_wrapper_that_returns_no_environment_is_refused() -> None:
    card = Card("CartPole-v1", wrappers=("builtins:bool",))
    with pytest.raises(
        ValueError, match="wrapper 'builtins:bool' must return a Gymnasium environment, not True"
    ):
        control_task(card)


@pytest.mark.parametrize(
    "text", ['wrappers = ["builtins:bool"]', 'wrappers = ["json:No"]', "arguments = {x = 3}"]
)
def test_what_a_card_cannot_be_made_with_names_the_card(tmp_path: Path, text: str) -> None:
    path = tmp_path / "mine.toml"
    path.write_text(f'task = "mine"\nenvironment = "CartPole-v1"\n{text}\n')
    with pytest.raises(ValueError, match=f"^card '{path}': "):
        load_task(path)


class Raising(gymnasium.Env[Any, Any]):
    def __init__(self) -> None:
        raise OSError("the simulator\nis not running")


class Spaceless(gymnasium.Env[Any, Any]):
    pass


@pytest.mark.parametrize(
    ("made", "error", "message"),
    [
        (Raising, EnvironmentFault, "'Bad-v0' could not be made: OSError: the simulator is not"),
        (Spaceless, ValueError, "'Bad-v0': its environment's observation_space must be a .* None"),
        (dict, EnvironmentFault, "'Bad-v0' could not be made: TypeError: "),
    ],
)
def test_an_environment_that_cannot_be_made_is_one_line(
    registry: None, made: Callable[[], Any], error: type[Exception], message: str
) -> None:
    gymnasium.register("Bad-v0", entry_point=made)
    with pytest.raises(error, match=message) as refused:
        load_task("Bad-v0")
    assert "\n" not in str(refused.value)
