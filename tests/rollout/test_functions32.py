"""Tests of wann.rollout.functions32: NumPy's values of the same float32 numbers."""

import numpy as np
import pytest
from numba import njit

from wann.activations import PAPER_ACTIVATIONS
from wann.rollout.functions32 import activate, activate_four
from wann.rollout.vector import WIDTH32, load, store

SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e38, -1e38, 1e-45] * 8, np.float32)


@njit(error_model="numpy")
def _activate_all(activation_id, rows):
    for lane in range(0, rows.shape[1], WIDTH32):
        store(rows, 1, lane, activate(activation_id, load(rows, 0, lane)))


@njit(error_model="numpy")
def _activate_by_four(activation_id, rows):
    for lane in range(0, rows.shape[1], 4 * WIDTH32):
        a, b, c, d = activate_four(
            activation_id,
            load(rows, 0, lane),
            load(rows, 0, lane + WIDTH32),
            load(rows, 0, lane + 2 * WIDTH32),
            load(rows, 0, lane + 3 * WIDTH32),
        )
        store(rows, 1, lane, a)
        store(rows, 1, lane + WIDTH32, b)
        store(rows, 1, lane + 2 * WIDTH32, c)
        store(rows, 1, lane + 3 * WIDTH32, d)


def activated(activation, x, kernel=_activate_all):
    rows = np.stack([x, np.zeros_like(x)])
    kernel(activation.id, rows)
    return rows[1]


def wanted(activation, x):
    with np.errstate(all="ignore"):
        return activation.function(x.astype(np.float64)).astype(np.float32)


def points(largest, seed=0, count=40_000):
    """Return float32 points of all magnitudes up to `largest`, and whole and half numbers."""
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1.0, 1.0], count)
    spread = signs * np.exp(rng.uniform(np.log(1e-12), np.log(largest), count))
    even = rng.uniform(-largest, largest, count)
    halves = np.arange(-200, 200) / 4
    found = np.concatenate([spread, even, halves[np.abs(halves) <= largest]]).astype(np.float32)
    return found[: len(found) // 64 * 64]


@pytest.mark.parametrize("activation", PAPER_ACTIVATIONS, ids=lambda each: each.name)
@pytest.mark.parametrize("largest", [1.0, 40.0, 1e4, 1e9, 1e38])
def test_every_activation_is_within_2e_7_of_its_numpy_form(activation, largest):
    x = points(largest)
    np.testing.assert_allclose(
        activated(activation, x), wanted(activation, x), rtol=2e-7, atol=2e-7
    )


@pytest.mark.parametrize("name", ["sin", "tanh"])
def test_waves_and_tanh_keep_their_relative_accuracy_near_zero(name):
    activation = next(each for each in PAPER_ACTIVATIONS if each.name == name)
    x = points(1.0)
    np.testing.assert_allclose(
        activated(activation, x), wanted(activation, x), rtol=3e-7, atol=2e-16
    )


@pytest.mark.parametrize("activation", PAPER_ACTIVATIONS, ids=lambda each: each.name)
def test_every_activation_of_zero_infinity_and_nan_is_numpys(activation):
    np.testing.assert_allclose(
        activated(activation, SPECIAL), wanted(activation, SPECIAL), rtol=2e-7, atol=2e-16
    )


@pytest.mark.parametrize("name", ["linear", "step", "inverse", "abs", "relu", "square"])
def test_simple_activations_are_exact(name):
    activation = next(each for each in PAPER_ACTIVATIONS if each.name == name)
    x = points(1e6)
    np.testing.assert_array_equal(activated(activation, x), wanted(activation, x))


@pytest.mark.parametrize("name", ["sin", "cos", "gaussian", "tanh"])
def test_a_step_behind_an_activation_decides_as_in_numpy(name):
    activation = next(each for each in PAPER_ACTIVATIONS if each.name == name)
    x = np.concatenate([np.arange(-96.0, 96.0) / 2, np.arange(-960.0, 960.0)]).astype(np.float32)
    exact = activation.function(x.astype(np.float64))
    np.testing.assert_array_equal(activated(activation, x) > 0.0, exact > 0.0)


@pytest.mark.parametrize("activation", PAPER_ACTIVATIONS, ids=lambda each: each.name)
def test_four_vectors_side_by_side_give_the_bits_of_one(activation):
    x = points(40.0)
    np.testing.assert_array_equal(
        activated(activation, x, _activate_by_four), activated(activation, x)
    )
