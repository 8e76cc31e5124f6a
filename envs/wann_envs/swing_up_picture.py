"""The picture of the swing-up, drawn with NumPy alone.

Every shape is its signed distance: a pixel is covered by as much as its centre lies inside, from
half a pixel out to half a pixel in, which smooths all edges. Points are (column, row) in pixels.
"""

from __future__ import annotations

import functools
import math

import numpy as np
from numpy.typing import NDArray

HEIGHT = 400  # pixels
WIDTH = 600  # pixels
SCALE = 100.0  # pixels/m: 3 m to either side of the middle
AXLE_ROW = 190.0  # pixels from the top
RAIL_ROW = 212.0  # pixels from the top; the cart's wheels run on it
FLOOR_ROW = 330.0  # pixels from the top

CART_HALF_SIZE = (24.0, 12.0)  # pixels
WHEEL_RADIUS = 6.0  # pixels
WHEEL_OFFSET = 14.0  # pixels from the cart's middle
POLE_RADIUS = 4.5  # pixels

PAPER = (250, 249, 246)  # red, green, blue, as all colours here
FLOOR = (238, 235, 228)
GOAL = (206, 214, 205)
STEEL = (112, 119, 130)
LIMIT = (196, 78, 70)
INK = (45, 52, 64)
CART = (58, 96, 140)
POLE = (224, 142, 52)

Point = tuple[float, float]
Colour = tuple[int, int, int]
Picture = NDArray[np.uint8]


def draw(x: float, theta: float, pole_length: float, track_limit: float) -> Picture:
    """Return cart, pole and track, uint8 [400, 600, 3].

    x, pole_length and track_limit: m. theta: rad, 0 upright, growing counter-clockwise.
    The pole's tip is drawn at column 300 + 100 (x - pole_length sin theta) and row
    190 - 100 pole_length cos theta. What lies outside the picture is left out.
    """
    picture = _background(pole_length, track_limit).copy()
    axle = (WIDTH / 2 + SCALE * x, AXLE_ROW)
    reach = SCALE * pole_length - POLE_RADIUS  # the rounded end is the tip
    end = (axle[0] - reach * math.sin(theta), axle[1] - reach * math.cos(theta))
    for side in (-WHEEL_OFFSET, WHEEL_OFFSET):
        wheel = (axle[0] + side, RAIL_ROW - WHEEL_RADIUS)
        _bar(picture, wheel, wheel, WHEEL_RADIUS, INK)
    _box(picture, axle, CART_HALF_SIZE, 5.0, CART)
    _bar(picture, axle, end, POLE_RADIUS, POLE)
    _bar(picture, axle, axle, 3.0, INK)
    return picture


@functools.cache
def _background(pole_length: float, track_limit: float) -> Picture:
    """Return what does not move: floor, rail, where the tip should be, where the track ends."""
    picture = np.full((HEIGHT, WIDTH, 3), PAPER, dtype=np.uint8)
    picture[int(FLOOR_ROW) :] = FLOOR
    middle = WIDTH / 2
    limit = SCALE * track_limit
    goal_row = AXLE_ROW - SCALE * pole_length
    for column in np.arange(middle - limit, middle + limit, 16.0).tolist():
        _bar(picture, (column + 4.0, goal_row), (column + 12.0, goal_row), 1.0, GOAL)
    rail_row = RAIL_ROW + 2.5
    rail_end = limit + CART_HALF_SIZE[0] + 6.0
    for side in (-1.0, 1.0):
        foot = middle + side * (rail_end - 8.0)
        _bar(picture, (foot, rail_row), (foot, FLOOR_ROW), 3.0, STEEL)
        _bar(picture, (foot - 16.0, FLOOR_ROW), (foot + 16.0, FLOOR_ROW), 3.0, STEEL)
        stop = middle + side * rail_end
        _bar(picture, (stop, rail_row), (stop, rail_row - 18.0), 3.0, STEEL)
    _bar(
        picture,
        (middle - rail_end, rail_row),
        (middle + rail_end, rail_row),
        2.5,
        STEEL,
    )
    for side in (-1.0, 1.0):
        mark = middle + side * limit
        _bar(picture, (mark, rail_row + 6.0), (mark, rail_row + 13.0), 1.5, LIMIT)
    _bar(picture, (middle, rail_row + 6.0), (middle, rail_row + 13.0), 1.5, STEEL)
    picture.flags.writeable = False
    return picture


def _bar(picture: Picture, start: Point, end: Point, radius: float, colour: Colour) -> None:
    """Draw a straight bar with round ends; with `start` and `end` the same it is a disc."""
    centre = ((start[0] + end[0]) / 2, (start[1] + end[1]) / 2)
    along = (end[0] - start[0], end[1] - start[1])
    half_size = (abs(along[0]) / 2 + radius, abs(along[1]) / 2 + radius)
    patch, columns, rows = _patch(picture, centre, half_size)
    columns, rows = columns - start[0], rows - start[1]
    squared_length = max(along[0] ** 2 + along[1] ** 2, 1e-12)
    share = np.clip((columns * along[0] + rows * along[1]) / squared_length, 0.0, 1.0)
    distance = np.hypot(columns - share * along[0], rows - share * along[1]) - radius
    _blend(patch, distance, colour)


def _box(
    picture: Picture,
    centre: Point,
    half_size: Point,
    corner_radius: float,
    colour: Colour,
) -> None:
    """Draw an upright box with round corners."""
    patch, columns, rows = _patch(picture, centre, half_size)
    across = np.abs(columns - centre[0]) - half_size[0] + corner_radius
    down = np.abs(rows - centre[1]) - half_size[1] + corner_radius
    outside = np.hypot(np.maximum(across, 0.0), np.maximum(down, 0.0))
    inside = np.minimum(np.maximum(across, down), 0.0)
    _blend(patch, outside + inside - corner_radius, colour)


def _patch(
    picture: Picture, centre: Point, half_size: Point
) -> tuple[Picture, NDArray[np.float64], NDArray[np.float64]]:
    """Return the pixels a shape can touch, as a view, with their centres' columns and rows."""
    left, right = (
        min(max(math.floor(centre[0] + side * (half_size[0] + 1.0)), 0), WIDTH) for side in (-1, 1)
    )
    top, bottom = (
        min(max(math.floor(centre[1] + side * (half_size[1] + 1.0)), 0), HEIGHT) for side in (-1, 1)
    )
    columns = np.arange(left, right, dtype=np.float64)[None, :] + 0.5
    rows = np.arange(top, bottom, dtype=np.float64)[:, None] + 0.5
    return picture[top:bottom, left:right], columns, rows


def _blend(patch: Picture, distance: NDArray[np.float64], colour: Colour) -> None:
    """Paint `colour` over the patch, as much as each pixel is covered."""
    coverage = np.clip(0.5 - distance, 0.0, 1.0)[:, :, None]
    patch[:] = np.rint(patch + coverage * (np.array(colour) - patch))
