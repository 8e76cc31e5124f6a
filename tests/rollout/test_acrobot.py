"""Tests of wann.rollout.acrobot: step for step what Gymnasium's own environment computes."""

import pytest
from physics import assert_most_returns_agree, assert_steps_agree, assert_steps_agree_at

from wann.rollout.compiled import compiled_task

TASK = compiled_task("Acrobot-v1")


def test_every_step_of_20_episodes_is_gymnasiums():
    assert_steps_agree(TASK, num_episodes=20, max_steps=120)


@pytest.mark.slow
def test_every_step_of_1000_episodes_is_gymnasiums():
    assert_steps_agree(TASK, num_episodes=1000, max_steps=TASK.max_steps)


def test_a_step_where_angles_wrap_and_at_full_speed_is_gymnasiums():
    assert_steps_agree_at(TASK, [3.1, 3.1, 12.5, 28.0])


def test_most_free_running_episodes_give_gymnasiums_return():
    assert_most_returns_agree(TASK)
