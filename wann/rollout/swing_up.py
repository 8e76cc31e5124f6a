"""wann/SwingUp-v0, as `wann_envs.swing_up.SwingUpEnv.step` computes it (Gaier & Ha 2019).

State, float64: position (m), speed (m/s), angle (rad, 0 is upright), its speed (rad/s), and the
angle's sine and cosine, which a step ends with and the next one begins with.
"""

from __future__ import annotations

import math

from numba import njit

from wann.rollout.functions import COMPILED, cos, sincos
from wann.rollout.layout import OBSERVATION, STATE
from wann.rollout.vector import Lanes, Mask, Vector, load, round32, store

GRAVITY = 9.82  # m/s^2
CART_MASS = 0.5  # kg
POLE_MASS = 0.5  # kg
TOTAL_MASS = CART_MASS + POLE_MASS  # kg
POLE_LENGTH = 0.6  # m
FRICTION = 0.1  # N s/m
LARGEST_FORCE = 10.0  # N
TIME_STEP = 0.01  # s
TRACK_LIMIT = 2.4  # m
QUARTER_TURN_PER_TRACK = math.pi / 2.0 / TRACK_LIMIT  # rad/m


@njit(**COMPILED)
def advance(lanes: Lanes, lane: int, action: Vector) -> tuple[Vector, Mask]:
    """Return (reward, ended) of one step of a chunk of lanes; state and observation move on.

    action: share of the largest force, from -1 to 1. Positions move with the speeds from before.
    """
    x = load(lanes, STATE, lane)
    x_dot = load(lanes, STATE + 1, lane)
    theta = load(lanes, STATE + 2, lane)
    theta_dot = load(lanes, STATE + 3, lane)
    sine = load(lanes, STATE + 4, lane)
    cosine = load(lanes, STATE + 5, lane)
    spin = POLE_MASS * POLE_LENGTH * (theta_dot * theta_dot) * sine  # N
    drive = LARGEST_FORCE * action - FRICTION * x_dot  # N
    per_inertia = 1.0 / (4.0 * TOTAL_MASS - 3.0 * POLE_MASS * (cosine * cosine))  # 1/kg
    x_acceleration = (
        3.0 * POLE_MASS * GRAVITY * (sine * cosine) - 2.0 * spin + 4.0 * drive
    ) * per_inertia
    theta_acceleration = (
        6.0 * TOTAL_MASS * GRAVITY * sine + (6.0 * drive - 3.0 * spin) * cosine
    ) * (per_inertia * (1.0 / POLE_LENGTH))
    x = x + TIME_STEP * x_dot
    theta = theta + TIME_STEP * theta_dot
    x_dot = x_dot + TIME_STEP * x_acceleration
    theta_dot = theta_dot + TIME_STEP * theta_acceleration
    sine, cosine = sincos(theta)
    store(lanes, STATE, lane, x)
    store(lanes, STATE + 1, lane, x_dot)
    store(lanes, STATE + 2, lane, theta)
    store(lanes, STATE + 3, lane, theta_dot)
    store(lanes, STATE + 4, lane, sine)
    store(lanes, STATE + 5, lane, cosine)
    store(lanes, OBSERVATION, lane, round32(x))
    store(lanes, OBSERVATION + 1, lane, round32(x_dot))
    store(lanes, OBSERVATION + 2, lane, round32(cosine))
    store(lanes, OBSERVATION + 3, lane, round32(sine))
    store(lanes, OBSERVATION + 4, lane, round32(theta_dot))
    reward = (cosine + 1.0) * 0.5 * cos(QUARTER_TURN_PER_TRACK * x)
    return reward, ~((x >= -TRACK_LIMIT) & (x <= TRACK_LIMIT))
