"""MountainCar-v0, as Gymnasium 1.4.0 computes it (classic_control/mountain_car.py, step).

State, float64: position and speed (per step), in the units of the task. Observed as it is.
"""

from __future__ import annotations

from numba import njit

from wann.rollout.functions import COMPILED, cos
from wann.rollout.layout import OBSERVATION, STATE
from wann.rollout.vector import Lanes, Mask, Vector, clip, load, round32, select, splat, store

MIN_POSITION = -1.2  # a wall that stops the car
MAX_POSITION = 0.6
MAX_SPEED = 0.07  # a step
GOAL_POSITION = 0.5
GOAL_SPEED = 0.0  # a step
FORCE = 0.001  # speed a step
GRAVITY = 0.0025  # speed a step


@njit(**COMPILED)
def advance(lanes: Lanes, lane: int, action: Vector) -> tuple[Vector, Mask]:
    """Return (reward, ended) of one step of a chunk of lanes; state and observation move on.

    action: 0 pushes to the left, 1 not at all, 2 to the right.
    """
    position = load(lanes, STATE, lane)
    speed = load(lanes, STATE + 1, lane)
    speed = speed + ((action - 1.0) * FORCE - cos(3.0 * position) * GRAVITY)
    speed = clip(speed, -MAX_SPEED, MAX_SPEED)
    position = clip(position + speed, MIN_POSITION, MAX_POSITION)
    speed = select((position == MIN_POSITION) & (speed < 0.0), 0.0, speed)
    store(lanes, STATE, lane, position)
    store(lanes, STATE + 1, lane, speed)
    store(lanes, OBSERVATION, lane, round32(position))
    store(lanes, OBSERVATION + 1, lane, round32(speed))
    return splat(-1.0), (position >= GOAL_POSITION) & (speed >= GOAL_SPEED)
