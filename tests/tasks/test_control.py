from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import gymnasium
import numpy as np
import pytest

from wann.tasks import Card, Task, available_tasks, control_task, load_task, shipped_cards


def test_a_shipped_task_has_its_cards_names_and_its_environments_limits() -> None:
    task: Task = load_task("CartPole-v1")
    assert (task.id, task.num_inputs, task.num_outputs) == ("CartPole-v1", 4, 2)
    assert task.input_names == ("position", "velocity", "angle", "angular velocity")
    assert task.output_names == ("left", "right")
    assert (task.action_rule, task.max_steps, task.solved) == ("argmax", 500, 475)
    assert task.notes == ()
    np.testing.assert_array_equal(task.offset, np.zeros(4))
    np.testing.assert_array_equal(task.scale, np.ones(4))


CONTROL = [name for name, card in shipped_cards().items() if isinstance(card, Card)]


@pytest.mark.parametrize("name", sorted(CONTROL))
def test_every_shipped_card_loads(name: str) -> None:
    if name in ("BipedalWalker-v3", "CarRacing-v3", "LunarLander-v3"):
        pytest.importorskip("Box2D", reason="the extra box2d is not installed")
    task = load_task(name)
    assert task.id == name
    assert task.notes == ()
    outputs = np.linspace(-1.5, 1.5, task.num_outputs)
    assert task.action_space.contains(task.act(outputs))


def test_the_swing_up_is_found_under_all_its_names() -> None:
    for name in ("wann/SwingUp-v0", "wann_envs:wann/SwingUp-v0", "wann_envs:wann/SwingUp"):
        task = load_task(name)
        assert (task.id, task.spec.id) == ("wann/SwingUp-v0", "wann/SwingUp-v0")
        assert task.card is shipped_cards()["wann/SwingUp-v0"]


def test_an_environment_without_a_limit_gets_one_and_says_so(still_envs: Path) -> None:
    task = load_task("still_envs:Still-v0")
    assert task.max_steps == 1000
    assert task.notes == (
        "environment 'Still-v0' has no limit of steps; episodes are cut after 1,000 "
        "(max_steps in a card changes it)",
    )
    card = Card("still", environment="still_envs:Still-v0", max_steps=5)
    assert (control_task(card).max_steps, control_task(card).notes) == (5, ())


def test_a_cards_limit_cuts_episodes_of_the_made_environment(still_envs: Path) -> None:
    env = control_task(Card("still_envs:Still-v2", max_steps=3)).make()
    env.reset(seed=0)
    assert [env.step(0)[3] for _ in range(3)] == [False, False, True]


def test_arguments_wrappers_names_and_scales_of_a_card_are_used(still_envs: Path) -> None:
    path = still_envs / "two.toml"
    path.write_text(
        'task = "still two"\nenvironment = "still_envs:Still-v2"\narguments = { size = 3 }\n'
        'wrappers = ["still_envs:Doubled"]\noutputs = ["no", "yes"]\nsolved = 3\n'
        'inputs = ["a", "b", "c", "d", "e", "f"]\nscale = [1, 2, 1, 1, 1, 1]\n'
        "offset = [0, 1, 0, 0, 0, 0]\n"
    )
    for name in (path, str(path)):
        task = load_task(name)
        assert (task.id, task.num_inputs, task.solved) == ("still two", 6, 3)
        assert (task.input_names[5], task.output_names) == ("f", ("no", "yes"))
        inputs = task.observe(task.make().reset(seed=1)[0])
        np.testing.assert_array_equal(inputs, [0.0, -0.5, 0.0, 0.0, 0.0, 0.0])
        np.testing.assert_array_equal(task.flatten(np.ones(6)), np.ones(6))


def test_a_task_can_be_pickled_and_made_where_nothing_was_registered(still_envs: Path) -> None:
    task = load_task("still_envs:Still-v2")
    task.observe(np.zeros(3))
    task.act(np.zeros(2))
    pickled = pickle.dumps(task)
    del gymnasium.registry["Still-v2"]
    again = pickle.loads(pickled)
    assert again.make().spec.id == "Still-v2"
    assert again.act(np.array([0.0, 1.0])) == 1
    np.testing.assert_array_equal(again.scale, task.scale)


def test_an_environment_registered_in_this_process_is_a_task(registry: None) -> None:
    gymnasium.register(
        "mine/Cart-v3", entry_point="gymnasium.envs.classic_control.cartpole:CartPoleEnv"
    )
    task = load_task("mine/Cart-v3")
    assert (task.id, task.num_inputs, task.input_names[0]) == ("mine/Cart-v3", 4, "x[0]")
    assert "mine/Cart-v3" in available_tasks()


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"inputs": ("a", "b")}, "'Still': inputs must have a value for each of 3 inputs, but 2"),
        ({"outputs": ("a",)}, "outputs must have a value for each of 2 outputs, but 1 are given"),
        ({"scale": (1.0,) * 4}, "scale must have a value for each of 3 inputs, but 4 are given"),
        ({"offset": (1.0,)}, "offset must have a value for each of 3 inputs, but 1 are given"),
        ({"action": "clip"}, r"no action rule for Discrete\(2\) 'clip' \(argmax\)"),
        ({"arguments": {"sise": 3}}, "does not take the arguments .'sise': 3.: TypeError: .*sise"),
        ({"wrappers": ("still_envs:Double",)}, "no class 'Double' in module .*mean 'Doubled'"),
        ({"wrappers": ("still_envs:not_callable",)}, "no class 'not_callable' in module"),
        ({"wrappers": ("nowhere:Double",)}, "no module 'nowhere' for 'nowhere:Double'"),
    ],
)
def test_a_card_that_does_not_fit_its_environment_is_refused(
    still_envs: Path, changes: dict[str, Any], message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        control_task(Card("Still", environment="still_envs:Still-v2", **changes))


def test_a_card_file_that_does_not_fit_is_named(still_envs: Path) -> None:
    path = still_envs / "bad.toml"
    path.write_text('task = "still_envs:Still-v2"\nscale = [1]\n')
    with pytest.raises(ValueError, match=r"card '.*bad.toml': scale must have a value for each"):
        load_task(path)


def test_images_too_large_for_a_network_are_refused_with_a_wrapper() -> None:
    pytest.importorskip("Box2D", reason="the extra box2d is not installed")
    with pytest.raises(ValueError, match=r"'racing': .* gives 27,648; .*GreyPixels for images"):
        control_task(Card("racing", environment="CarRacing-v3"))
