"""Tests of the tasks' kernels: step for step what Gymnasium's own environment computes."""

import pytest
from physics import assert_most_returns_agree, assert_steps_agree, assert_steps_agree_at

from wann.rollout.compiled import COMPILED_TASKS, compiled_task

FAR_STATES = {  # near the ends of a track, at a wall, at full speed, after many turns
    "CartPole-v1": [2.39, 3.0, 0.2, 3.0],
    "MountainCar-v0": [1.19, 0.07],
    "MountainCarContinuous-v0": [1.19, 0.07],
    "Acrobot-v1": [3.1, 3.1, 12.5, 28.0],
    "Pendulum-v1": [60.0, 8.0],
    "wann/SwingUp-v0": [2.399, 5.0, 300.0, 20.0],
}
every_task = pytest.mark.parametrize(
    "task", [compiled_task(name) for name in FAR_STATES], ids=list(FAR_STATES)
)


def test_every_compiled_task_is_tested_here():
    assert {each.environment_id for each in COMPILED_TASKS} == set(FAR_STATES)


@every_task
def test_every_step_of_20_episodes_is_gymnasiums(task):
    assert_steps_agree(task, num_episodes=20, max_steps=120)


@pytest.mark.slow
@every_task
def test_every_step_of_1000_episodes_is_gymnasiums(task):
    assert_steps_agree(task, num_episodes=1000, max_steps=task.max_steps)


@every_task
def test_a_step_from_a_state_that_is_seldom_reached_is_gymnasiums(task):
    assert_steps_agree_at(task, FAR_STATES[task.environment_id])


@every_task
@pytest.mark.parametrize("each_link", [False, True], ids=["shared weight", "weight a link"])
def test_most_free_running_episodes_give_gymnasiums_return(task, each_link):
    assert_most_returns_agree(task, each_link)
