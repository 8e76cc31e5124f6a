"""Tests of wann.rollout.vector: each operation, lane by lane, against NumPy."""

import numpy as np
import pytest
from numba import njit

from wann.rollout import vector
from wann.rollout.vector import (
    WIDTH,
    WIDTH32,
    bits,
    clip,
    copysign,
    fabs,
    floor,
    load,
    load_flat,
    pow2,
    product,
    rint,
    round32,
    select,
    splat,
    splat32,
    store,
)

LEFT = np.array([1.5, -2.5, 0.0, -0.0, 3.7, np.nan, np.inf, -1e30])
RIGHT = np.array([1.5, 2.0, -1.0, 4.0, 3.6, 1.0, -np.inf, 1e-30])


@njit
def _arithmetic(rows):
    a, b = load(rows, 0, 0), load(rows, 1, 0)
    store(rows, 2, 0, a + b)
    store(rows, 3, 0, a - b)
    store(rows, 4, 0, a * b)
    store(rows, 5, 0, a / b)
    store(rows, 6, 0, -a)
    store(rows, 7, 0, 2.0 * a - 1)
    store(rows, 8, 0, splat(3) / b)


@njit
def _rounding(rows):
    a, b = load(rows, 0, 0), load(rows, 1, 0)
    store(rows, 2, 0, rint(a))
    store(rows, 3, 0, floor(a))
    store(rows, 4, 0, fabs(a))
    store(rows, 5, 0, copysign(a, b))
    store(rows, 6, 0, round32(a))
    store(rows, 7, 0, clip(a, -1.0, 2.0))


@njit
def _comparisons(rows):
    a, b = load(rows, 0, 0), load(rows, 1, 0)
    store(rows, 2, 0, select(a < b, 1.0, 0.0))
    store(rows, 3, 0, select(a <= b, 1.0, 0.0))
    store(rows, 4, 0, select(a > b, 1.0, 0.0))
    store(rows, 5, 0, select(a >= b, 1.0, 0.0))
    store(rows, 6, 0, select(a == b, 1.0, 0.0))
    store(rows, 7, 0, select((a < b) | (a == b), a, b))
    store(rows, 8, 0, select((a > 0.0) & ~(b > 0.0), a, b))
    return bits(a > 0.0)


@njit
def _powers(rows):
    store(rows, 1, 0, pow2(load(rows, 0, 0)))


@njit
def _rounded_product(rows):
    a, b = load(rows, 0, 0), load(rows, 1, 0)
    store(rows, 2, 0, product(a, b) - 1.0)
    store(rows, 3, 0, a * b - 1.0)


@njit
def _same_of_float32(rows):
    a, b = load(rows, 0, 0), load(rows, 1, 0)
    store(rows, 2, 0, a + b)
    store(rows, 3, 0, a - 2.0 * b)
    store(rows, 4, 0, -a / b)
    store(rows, 5, 0, copysign(rint(a), b))
    store(rows, 6, 0, clip(fabs(a), 1, 2.0))
    store(rows, 7, 0, select(~(a < b) & (a >= 0.0), a, splat32(3)))
    store(rows, 8, 0, product(a, b) + load_flat(rows, 3))
    return bits((a == b) | (a > b))


@njit
def _shift(rows):
    store(rows, 1, 3, load(rows, 0, 5))
    store(rows, 2, 0, load_flat(rows, 4))


def rows_of(*given, count=9):
    rows = np.zeros((count, WIDTH))
    rows[: len(given)] = given
    return rows


def test_arithmetic_is_numpys():
    rows = rows_of(LEFT, RIGHT)
    _arithmetic(rows)
    with np.errstate(all="ignore"):
        wanted = [
            LEFT + RIGHT, LEFT - RIGHT, LEFT * RIGHT, LEFT / RIGHT, -LEFT, 2 * LEFT - 1, 3 / RIGHT
        ]  # fmt: skip
    np.testing.assert_array_equal(rows[2:], wanted)


def test_rounding_and_signs_are_numpys():
    rows = rows_of(LEFT, RIGHT)
    _rounding(rows)
    wanted = [
        np.round(LEFT), np.floor(LEFT), np.abs(LEFT), np.copysign(LEFT, RIGHT),
        LEFT.astype(np.float32), np.clip(LEFT, -1, 2),
    ]  # fmt: skip
    np.testing.assert_array_equal(rows[2:8], wanted)


def test_comparisons_choose_lane_by_lane_and_are_false_for_nan():
    rows = rows_of(LEFT, RIGHT)
    positive = _comparisons(rows)
    wanted = [
        LEFT < RIGHT, LEFT <= RIGHT, LEFT > RIGHT, LEFT >= RIGHT, LEFT == RIGHT,
        np.where(LEFT <= RIGHT, LEFT, RIGHT), np.where((LEFT > 0) & ~(RIGHT > 0), LEFT, RIGHT),
    ]  # fmt: skip
    np.testing.assert_array_equal(rows[2:], wanted)
    assert positive == sum(1 << lane for lane in range(WIDTH) if LEFT[lane] > 0)


@pytest.mark.parametrize("first", [-1022, -5, 0, 1016])
def test_powers_of_two_are_exact(first):
    rows = rows_of(np.arange(first, first + WIDTH), count=2)
    _powers(rows)
    np.testing.assert_array_equal(rows[1], 2.0 ** rows[0])


def test_a_product_is_rounded_before_it_is_added_to():
    tiny = 2.0**-30
    rows = rows_of(np.full(WIDTH, 1 + tiny), np.full(WIDTH, 1 - tiny))
    _rounded_product(rows)
    np.testing.assert_array_equal(rows[2], 0.0)  # 1 - 2^-60 rounds to 1
    assert set(rows[3]) <= {0.0, -(2.0**-60)}  # whichever the processor has


def test_loads_and_stores_may_start_anywhere():
    rows = np.arange(3.0 * 16).reshape(3, 16)
    _shift(rows)
    np.testing.assert_array_equal(rows[1, 3 : 3 + WIDTH], np.arange(5.0, 5.0 + WIDTH))
    np.testing.assert_array_equal(rows[2, :WIDTH], np.arange(4.0, 4.0 + WIDTH))


def test_float32_vectors_do_the_same_with_twice_as_many_lanes():
    left, right = np.tile(LEFT, 2).astype(np.float32), np.tile(RIGHT, 2).astype(np.float32)
    left[8:] += 1
    rows = np.zeros((9, WIDTH32), np.float32)
    rows[:2] = left, right
    set_bits = _same_of_float32(rows)
    with np.errstate(all="ignore"):
        wanted = [
            left + right, left - 2 * right, -left / right, np.copysign(np.round(left), right),
            np.clip(np.abs(left), 1, 2), np.where(~(left < right) & (left >= 0), left, 3),
            left * right + np.concatenate([left, right])[3:19],
        ]  # fmt: skip
    np.testing.assert_allclose(rows[2:], wanted, rtol=1e-7)
    assert set_bits == sum(1 << lane for lane in range(WIDTH32) if left[lane] >= right[lane])


@pytest.mark.parametrize("first", [-126, 0, 112])
def test_float32_powers_of_two_are_exact(first):
    rows = np.zeros((2, WIDTH32), np.float32)
    rows[0] = np.arange(first, first + WIDTH32)
    _powers(rows)
    np.testing.assert_array_equal(rows[1], 2.0 ** rows[0])


def test_the_chunk_of_the_python_side_is_the_kernels():
    from wann.rollout.compiled import LANES_PER_CHUNK

    assert LANES_PER_CHUNK == vector.WIDTH
