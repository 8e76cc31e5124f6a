"""Tests of wann.rollout.mountain_car_continuous: what it has that no other task has."""

import gymnasium
import numpy as np

from wann.rollout.agreement import step
from wann.rollout.compiled import compiled_task

TASK = compiled_task("MountainCarContinuous-v0")


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
