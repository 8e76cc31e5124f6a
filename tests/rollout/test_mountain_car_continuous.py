"""Tests of wann.rollout.mountain_car_continuous: step for step what Gymnasium computes."""

import gymnasium
import numpy as np
import pytest
from physics import assert_most_returns_agree, assert_steps_agree, assert_steps_agree_at

from wann.rollout.agreement import step
from wann.rollout.compiled import compiled_task

TASK = compiled_task("MountainCarContinuous-v0")


def test_every_step_of_20_episodes_is_gymnasiums():
    assert_steps_agree(TASK, num_episodes=20, max_steps=120)


@pytest.mark.slow
def test_every_step_of_1000_episodes_is_gymnasiums():
    assert_steps_agree(TASK, num_episodes=1000, max_steps=TASK.max_steps)


def test_a_step_at_the_wall_and_at_full_speed_is_gymnasiums():
    assert_steps_agree_at(TASK, [1.19, 0.07])


def test_most_free_running_episodes_give_gymnasiums_return():
    assert_most_returns_agree(TASK)


def test_the_first_step_keeps_float64():
    states = np.array([[-0.5123456789012345, 0.0]] * 2)
    after, _, _, _ = step(TASK, states, np.zeros((2, 1)), np.array([0, 1]))
    env = gymnasium.make(TASK.environment_id).unwrapped
    env.reset(seed=0)
    for row, dtype in ((0, np.float64), (1, np.float32)):
        env.state = states[row].astype(dtype)
        wanted, _, _, _, _ = env.step(np.zeros(1, np.float32))
        if dtype is np.float32:
            states[row] = env.state
        else:
            np.testing.assert_array_equal(after[row], wanted)
