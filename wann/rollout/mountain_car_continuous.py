"""MountainCarContinuous-v0, as Gymnasium 1.4.0 computes it (continuous_mountain_car.py, step).

State: position and speed (per step), in the units of the task. Gymnasium keeps float64 from reset
to the end of the first step and float32 from then on, and NumPy rounds what it computes with
float32 scalars to float32 at every operation; both are followed here. Observed as it is.
"""

from __future__ import annotations

import numpy as np
from numba import njit

from wann.rollout.functions import COMPILED, cos
from wann.rollout.layout import NUM_STEPS, OBSERVATION, STATE
from wann.rollout.vector import Lanes, Mask, Vector, load, round32, select, splat, store

MIN_POSITION = -1.2  # a wall that stops the car
MAX_POSITION = 0.6
MAX_SPEED = 0.07  # a step
GOAL_POSITION = 0.45
GOAL_SPEED = 0.0  # a step
POWER = 0.0015  # speed a step, at an action of 1
GRAVITY = 0.0025  # speed a step
GOAL_REWARD = 100.0
EFFORT_COST = 0.1  # reward, at an action of 1
POWER_32 = float(np.float32(POWER))


@njit(**COMPILED)
def _rounded_after_first(is_first: Mask, x: Vector) -> Vector:
    return select(is_first, x, round32(x))


@njit(**COMPILED)
def advance(lanes: Lanes, lane: int, action: Vector) -> tuple[Vector, Mask]:
    """Return (reward, ended) of one step of a chunk of lanes; state and observation move on.

    action: share of the power, from -1 to 1, float32-valued.
    """
    is_first = load(lanes, NUM_STEPS, lane) == 0.0
    position = load(lanes, STATE, lane)
    speed = load(lanes, STATE + 1, lane)
    slope = GRAVITY * cos(_rounded_after_first(is_first, 3.0 * position))
    push = round32(round32(action * POWER_32) - round32(slope))  # float32 even in the first step
    speed = _rounded_after_first(is_first, speed + push)
    limit = _rounded_after_first(is_first, splat(MAX_SPEED))
    speed = select(speed > limit, limit, speed)
    speed = select(speed < -limit, -limit, speed)
    position = _rounded_after_first(is_first, position + speed)
    highest = _rounded_after_first(is_first, splat(MAX_POSITION))
    lowest = _rounded_after_first(is_first, splat(MIN_POSITION))
    position = select(position > highest, highest, position)
    position = select(position < lowest, lowest, position)
    speed = select((position == lowest) & (speed < 0.0), 0.0, speed)
    goal = _rounded_after_first(is_first, splat(GOAL_POSITION))
    ended = (position >= goal) & (speed >= GOAL_SPEED)
    position = round32(position)
    speed = round32(speed)
    store(lanes, STATE, lane, position)
    store(lanes, STATE + 1, lane, speed)
    store(lanes, OBSERVATION, lane, position)
    store(lanes, OBSERVATION + 1, lane, speed)
    return select(ended, GOAL_REWARD, 0.0) - action * action * EFFORT_COST, ended
