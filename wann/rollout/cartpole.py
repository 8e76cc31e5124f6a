"""CartPole-v1, as Gymnasium 1.4.0 computes it (envs/classic_control/cartpole.py, CartPoleEnv.step).

State, float64: position (m), speed (m/s), angle (rad), its speed (rad/s). Observed as it is.
"""

from __future__ import annotations

import math

from numba import njit

from wann.rollout.functions import COMPILED, sincos
from wann.rollout.layout import OBSERVATION, STATE
from wann.rollout.vector import Lanes, Mask, Vector, load, round32, select, splat, store

GRAVITY = 9.8  # m/s^2
CART_MASS = 1.0  # kg
POLE_MASS = 0.1  # kg
TOTAL_MASS = POLE_MASS + CART_MASS  # kg
HALF_POLE_LENGTH = 0.5  # m
POLE_MASS_LENGTH = POLE_MASS * HALF_POLE_LENGTH  # kg m
PER_TOTAL_MASS = 1.0 / TOTAL_MASS  # 1/kg
FORCE = 10.0  # N
TIME_STEP = 0.02  # s
TRACK_LIMIT = 2.4  # m
ANGLE_LIMIT = 12 * 2 * math.pi / 360  # rad


@njit(**COMPILED)
def advance(lanes: Lanes, lane: int, action: Vector) -> tuple[Vector, Mask]:
    """Return (reward, ended) of one step of a chunk of lanes; state and observation move on.

    action: 0 pushes to the left, 1 to the right.
    """
    x = load(lanes, STATE, lane)
    x_dot = load(lanes, STATE + 1, lane)
    theta = load(lanes, STATE + 2, lane)
    theta_dot = load(lanes, STATE + 3, lane)
    force = select(action == 1.0, FORCE, -FORCE)
    sine, cosine = sincos(theta)
    temp = (force + POLE_MASS_LENGTH * (theta_dot * theta_dot) * sine) * PER_TOTAL_MASS
    theta_acceleration = (GRAVITY * sine - cosine * temp) / (
        HALF_POLE_LENGTH * (4.0 / 3.0 - POLE_MASS * PER_TOTAL_MASS * (cosine * cosine))
    )
    x_acceleration = temp - POLE_MASS_LENGTH * PER_TOTAL_MASS * theta_acceleration * cosine
    x = x + TIME_STEP * x_dot
    x_dot = x_dot + TIME_STEP * x_acceleration
    theta = theta + TIME_STEP * theta_dot
    theta_dot = theta_dot + TIME_STEP * theta_acceleration
    store(lanes, STATE, lane, x)
    store(lanes, STATE + 1, lane, x_dot)
    store(lanes, STATE + 2, lane, theta)
    store(lanes, STATE + 3, lane, theta_dot)
    store(lanes, OBSERVATION, lane, round32(x))
    store(lanes, OBSERVATION + 1, lane, round32(x_dot))
    store(lanes, OBSERVATION + 2, lane, round32(theta))
    store(lanes, OBSERVATION + 3, lane, round32(theta_dot))
    off_track = (x < -TRACK_LIMIT) | (x > TRACK_LIMIT)
    fallen = (theta < -ANGLE_LIMIT) | (theta > ANGLE_LIMIT)
    return splat(1.0), off_track | fallen
