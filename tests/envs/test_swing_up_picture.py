"""Tests of wann_envs.swing_up_picture: what stands where in the picture that `render` gives."""

import math

import numpy as np
import pytest

from wann_envs import SwingUpEnv

POLE_COLOUR = (224, 142, 52)


def drawn(state):
    env = SwingUpEnv(render_mode="rgb_array")
    env.reset(options={"state": state})
    return env.render()


@pytest.mark.parametrize("theta", [0.0, 0.7, math.pi / 2, 2.5, math.pi, -2.0, -0.4, 20.0])
@pytest.mark.parametrize("x", [0.0, -1.37, 2.1])
def test_the_poles_tip_is_drawn_where_it_is(x, theta):
    picture = drawn([x, 0.0, theta, 0.0])
    rows, columns = np.nonzero((picture == POLE_COLOUR).all(axis=2))
    axle = np.array([300.0 + 100.0 * x, 190.0])
    direction = np.array([-math.sin(theta), -math.cos(theta)])
    offsets = np.stack([columns, rows], axis=1) + 0.5 - axle
    along = offsets @ direction
    across = offsets @ [direction[1], -direction[0]]
    assert 58.5 <= along.max() <= 60.5
    assert np.abs(across).max() <= 5.0
    assert abs(across.mean()) < 0.1


def test_the_picture_shows_the_cart_where_it_is_and_nothing_else_moves():
    left, right = drawn([-1.0, 0.0, 0.0, 0.0]), drawn([1.0, 0.0, 0.0, 0.0])
    assert left.shape == (400, 600, 3)
    assert left.dtype == np.uint8
    changed = np.nonzero((left != right).any(axis=(0, 2)))[0]
    assert set(changed) <= {*range(175, 226), *range(375, 426)}
    np.testing.assert_array_equal(left[170:212, 175:226], right[170:212, 375:426])


def test_the_mirrored_state_gives_the_mirrored_picture():
    picture = drawn([1.1, 0.0, 0.8, 0.0]).astype(int)
    mirrored = drawn([-1.1, 0.0, -0.8, 0.0]).astype(int)
    moving = slice(100, 212)
    np.testing.assert_allclose(picture[moving, 330:480], mirrored[moving, 120:270][:, ::-1], atol=1)


def test_edges_of_a_slanted_pole_are_smooth():
    picture = drawn([0.0, 0.0, 0.5, 0.0])
    around_the_tip = picture[130:170, 255:300].reshape(-1, 3)
    assert len(np.unique(around_the_tip, axis=0)) > 20


def test_a_picture_may_be_changed_without_changing_the_next():
    env = SwingUpEnv(render_mode="rgb_array")
    env.reset(seed=0)
    first = env.render()
    kept = first.copy()
    first[:] = 0
    np.testing.assert_array_equal(env.render(), kept)


def test_a_cart_far_outside_the_picture_is_left_out():
    env = SwingUpEnv(render_mode="rgb_array")
    env.reset(options={"state": [2.4, 100.0, 0.0, 0.0]})
    for _ in range(10):
        env.step(np.array([0.0]))
    assert not (env.render() == POLE_COLOUR).all(axis=2).any()
