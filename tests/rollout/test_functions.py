"""Tests of wann.rollout.functions: NumPy's values, over all ranges that a network can reach."""

import numpy as np
import pytest
from numba import njit

from wann.activations import PAPER_ACTIVATIONS
from wann.rollout import functions
from wann.rollout.functions import activate
from wann.rollout.vector import WIDTH, load, store

SPECIAL = np.array([0.0, -0.0, np.inf, -np.inf, np.nan, 1e300, -1e300, 5e-324])


def applied(function, x):
    """Return a function of one vector applied to all of x, whose size is a multiple of WIDTH."""
    rows = np.stack([x, np.zeros_like(x)])

    @njit(error_model="numpy")
    def apply(rows):
        for lane in range(0, rows.shape[1], WIDTH):
            store(rows, 1, lane, function(load(rows, 0, lane)))

    apply(rows)
    return rows[1]


@njit(error_model="numpy")
def _activate_all(activation_id, rows):
    for lane in range(0, rows.shape[1], WIDTH):
        store(rows, 1, lane, activate(activation_id, load(rows, 0, lane)))


def activated(activation_id, x):
    rows = np.stack([x, np.zeros_like(x)])
    _activate_all(activation_id, rows)
    return rows[1]


def points(largest, seed=0, count=40_000):
    """Return points of all magnitudes up to `largest`, and whole and half numbers."""
    rng = np.random.default_rng(seed)
    signs = rng.choice([-1.0, 1.0], count)
    spread = signs * np.exp(rng.uniform(np.log(1e-12), np.log(largest), count))
    even = rng.uniform(-largest, largest, count)
    halves = np.arange(-200, 200) / 4
    return np.concatenate([spread, even, halves[np.abs(halves) <= largest]])


@njit(error_model="numpy")
def _sine_of_pair(x):
    return functions.sincos(x)[0]


@njit(error_model="numpy")
def _cosine_of_pair(x):
    return functions.sincos(x)[1]


@pytest.mark.parametrize(
    ("function", "numpy_function"),
    [
        (functions.sin, np.sin),
        (functions.cos, np.cos),
        (_sine_of_pair, np.sin),
        (_cosine_of_pair, np.cos),
    ],
    ids=["sin", "cos", "sine of sincos", "cosine of sincos"],
)
def test_circular_functions_are_within_1e_15_of_numpys_up_to_a_million_radians(
    function, numpy_function
):
    x = np.concatenate([points(1e4)[: 8 * 10_000], points(1e6)[: 8 * 10_000]])
    turns = np.arange(-4000, 4000) * (np.pi / 4)  # zeros, peaks and borders between quadrants
    x = np.concatenate([x, turns])
    np.testing.assert_allclose(applied(function, x), numpy_function(x), rtol=0, atol=1e-15)
    np.testing.assert_array_equal(applied(function, SPECIAL[2:].repeat(4))[:12], np.nan)


def test_the_exponential_is_numpys_from_underflow_to_overflow():
    x = points(760.0)[: 8 * 10_000]
    with np.errstate(over="ignore"):
        wanted = np.exp(x)
    np.testing.assert_allclose(applied(functions.exp, x), wanted, rtol=1e-15, atol=5e-324)
    wanted = [1, 1, np.inf, 0, np.nan, np.inf, 0, 1]
    np.testing.assert_array_equal(applied(functions.exp, SPECIAL), wanted)


def test_tanh_keeps_its_relative_accuracy_near_zero():
    x = points(50.0)[: 8 * 10_000]
    np.testing.assert_allclose(applied(functions.tanh, x), np.tanh(x), rtol=1e-15, atol=0)
    np.testing.assert_array_equal(applied(functions.tanh, SPECIAL), np.tanh(SPECIAL))


@pytest.mark.parametrize("activation", PAPER_ACTIVATIONS, ids=lambda each: each.name)
@pytest.mark.parametrize("largest", [1.0, 40.0, 1e4, 1e9, 1e300])
def test_every_activation_is_within_1e_15_of_its_numpy_form(activation, largest):
    x = points(largest)
    x = x[: len(x) // WIDTH * WIDTH]
    with np.errstate(all="ignore"):
        wanted = activation.function(x)
    np.testing.assert_allclose(activated(activation.id, x), wanted, rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("activation", PAPER_ACTIVATIONS, ids=lambda each: each.name)
def test_every_activation_of_zero_infinity_and_nan_is_numpys(activation):
    with np.errstate(all="ignore"):
        wanted = activation.function(SPECIAL)
    got = activated(activation.id, SPECIAL)
    np.testing.assert_allclose(got, wanted, rtol=1e-15, atol=1e-15)


@pytest.mark.parametrize("name", ["linear", "step", "inverse", "abs", "relu", "square"])
def test_simple_activations_are_exact(name):
    activation = next(each for each in PAPER_ACTIVATIONS if each.name == name)
    x = points(1e6)[: 8 * 10_000]
    np.testing.assert_array_equal(activated(activation.id, x), activation.function(x))


@pytest.mark.parametrize("name", ["sin", "cos", "gaussian", "tanh"])
def test_a_step_behind_an_activation_decides_as_in_numpy(name):
    activation = next(each for each in PAPER_ACTIVATIONS if each.name == name)
    x = np.concatenate([np.arange(-100.0, 100.0) / 2, np.arange(-1000.0, 1000.0)])
    got = activated(activation.id, x)
    np.testing.assert_array_equal(got > 0.0, activation.function(x) > 0.0)
