"""Tests of wann.tasks.image_pixels against definitions by brute force."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wann.tasks.image_pixels import area_weights, deskewed, linear_weights, luminance, resized

RNG = np.random.default_rng(7)


def test_luminance_weighs_red_green_and_blue() -> None:
    colours = np.zeros((1, 2, 2, 3), dtype=np.float32)
    colours[0, 0, 0] = (1.0, 0.0, 0.0)
    colours[0, 0, 1] = (0.0, 1.0, 0.0)
    colours[0, 1, 0] = (0.0, 0.0, 1.0)
    colours[0, 1, 1] = 1.0
    np.testing.assert_allclose(luminance(colours)[0], [[0.299, 0.587], [0.114, 1.0]], rtol=1e-6)


def test_halving_by_area_is_the_mean_of_two_by_two() -> None:
    images = RNG.random((3, 8, 8)).astype(np.float32)
    wanted = images.reshape(3, 4, 2, 4, 2).mean(axis=(2, 4))
    np.testing.assert_allclose(resized(images, 4, "area"), wanted, rtol=1e-5)


@given(st.integers(1, 12), st.integers(1, 12))
def test_area_weights_are_those_of_repeated_pixels(old: int, new: int) -> None:
    fine = np.repeat(np.eye(old), new, axis=0)  # [old * new, old]: each pixel cut into `new`
    np.testing.assert_allclose(
        area_weights(old, new), fine.reshape(new, old, old).mean(axis=1), atol=1e-12
    )


@given(st.integers(1, 12), st.integers(1, 12))
def test_linear_weights_interpolate_at_the_centres_of_pixels(old: int, new: int) -> None:
    pixels = np.arange(old)
    for row, weights in enumerate(linear_weights(old, new)):
        centre = (row + 0.5) * old / new - 0.5
        assert np.isclose(weights.sum(), 1.0)
        assert np.isclose(weights @ pixels, np.interp(centre, pixels, pixels))


def deskewed_by_the_book(image: np.ndarray) -> np.ndarray:
    """Return one image without its slant, pixel by pixel."""
    height, width = image.shape
    mass = sum(map(sum, image.tolist()))
    mean_y = sum(y * image[y, x] for y in range(height) for x in range(width)) / mass
    mean_x = sum(x * image[y, x] for y in range(height) for x in range(width)) / mass
    mu02 = mu11 = 0.0
    for y in range(height):
        for x in range(width):
            mu02 += (y - mean_y) ** 2 * image[y, x]
            mu11 += (y - mean_y) * (x - mean_x) * image[y, x]
    if abs(mu02) < 1e-2:
        return image
    skew = mu11 / mu02
    result = np.zeros_like(image)

    def pixel(y: int, x: int) -> float:
        return float(image[y, x]) if 0 <= x < width else 0.0

    for y in range(height):
        for x in range(width):
            place = x + skew * y - 0.5 * height * skew
            left = math.floor(place)
            share = place - left
            result[y, x] = (1 - share) * pixel(y, left) + share * pixel(y, left + 1)
    return result


def test_deskewing_moves_each_row_by_its_share_of_the_slant() -> None:
    images = RNG.random((5, 9, 7)).astype(np.float32) ** 4
    images[0] *= np.tri(9, 7)  # a clear slant
    wanted = np.stack([deskewed_by_the_book(each) for each in images])
    np.testing.assert_allclose(deskewed(images), wanted, atol=1e-5)
    assert np.abs(wanted[0] - images[0]).max() > 0.1


def test_a_slanted_stroke_stands_upright_afterwards() -> None:
    stroke = np.zeros((1, 16, 16), dtype=np.float32)
    for y in range(2, 14):
        stroke[0, y, 3 + 3 * y // 4] = 1.0
    upright = deskewed(stroke)[0]
    columns = upright.sum(axis=0)
    assert np.sort(columns)[-2:].sum() > 11.9  # all 12 pixels, in two columns
    assert np.sort(stroke[0].sum(axis=0))[-2:].sum() < 5


@pytest.mark.parametrize("value", [0.0, 1e-5])
def test_an_empty_image_is_left_as_it_is(value: float) -> None:
    images = np.full((2, 4, 4), value, dtype=np.float32)
    np.testing.assert_array_equal(deskewed(images), images)
