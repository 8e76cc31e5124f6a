"""Tests of wann.rollout.cartpole: step for step what Gymnasium's own environment computes."""

import pytest
from physics import assert_most_returns_agree, assert_steps_agree, assert_steps_agree_at

from wann.rollout.compiled import compiled_task

TASK = compiled_task("CartPole-v1")


def test_every_step_of_20_episodes_is_gymnasiums():
    assert_steps_agree(TASK, num_episodes=20, max_steps=120)


@pytest.mark.slow
def test_every_step_of_1000_episodes_is_gymnasiums():
    assert_steps_agree(TASK, num_episodes=1000, max_steps=TASK.max_steps)


def test_a_step_near_its_limits_is_gymnasiums():
    assert_steps_agree_at(TASK, [2.39, 3.0, 0.2, 3.0])


def test_most_free_running_episodes_give_gymnasiums_return():
    assert_most_returns_agree(TASK)
