"""Pendulum-v1, as Gymnasium 1.4.0 computes it (classic_control/pendulum.py, PendulumEnv.step).

State, float64: angle (rad, 0 is upright), its speed (rad/s), and the angle's sine and cosine, which
a step ends with and the next one begins with. NumPy computes with the float32 action in float32
until the product meets the float64 state; this is followed here.
"""

from __future__ import annotations

import math

import numpy as np
from numba import njit

from wann.rollout.functions import COMPILED, sincos
from wann.rollout.layout import OBSERVATION, STATE
from wann.rollout.vector import (
    Lanes,
    Mask,
    Vector,
    clip,
    floor,
    load,
    round32,
    select,
    square32,
    store,
)

GRAVITY = 10.0  # m/s^2
MASS = 1.0  # kg
LENGTH = 1.0  # m
TIME_STEP = 0.05  # s
MAX_SPEED = 8.0  # rad/s
MAX_TORQUE = 2.0  # N m
SPEED_COST = 0.1  # reward per (rad/s)^2
TORQUE_COST_32 = float(np.float32(0.001))  # reward per (N m)^2
FALL = 3.0 * GRAVITY / (2.0 * LENGTH)  # rad/s^2
PER_INERTIA = 3.0 / (MASS * LENGTH**2)  # 1/(kg m^2), exact in float32
TURN = 2.0 * math.pi  # rad


@njit(**COMPILED)
def _from_upright(theta: Vector) -> Vector:
    """Return the angle as numpy's ((theta + pi) % (2 pi)) - pi gives it, from -pi to pi."""
    shifted = theta + math.pi
    rest = shifted - TURN * floor(shifted * (1.0 / TURN))
    rest = select(rest < 0.0, rest + TURN, rest)
    return select(rest >= TURN, rest - TURN, rest) - math.pi


@njit(**COMPILED)
def advance(lanes: Lanes, lane: int, action: Vector) -> tuple[Vector, Mask]:
    """Return (reward, ended) of one step of a chunk of lanes; state and observation move on.

    action: torque (N m), from -2 to 2, float32-valued. No step ends the episode.
    """
    theta = load(lanes, STATE, lane)
    theta_dot = load(lanes, STATE + 1, lane)
    sine = load(lanes, STATE + 2, lane)
    torque = clip(action, -MAX_TORQUE, MAX_TORQUE)
    angle = _from_upright(theta)
    effort = round32(TORQUE_COST_32 * square32(torque))
    cost = angle * angle + SPEED_COST * (theta_dot * theta_dot) + effort
    theta_dot = theta_dot + (FALL * sine + round32(PER_INERTIA * torque)) * TIME_STEP
    theta_dot = clip(theta_dot, -MAX_SPEED, MAX_SPEED)
    theta = theta + theta_dot * TIME_STEP
    sine, cosine = sincos(theta)
    store(lanes, STATE, lane, theta)
    store(lanes, STATE + 1, lane, theta_dot)
    store(lanes, STATE + 2, lane, sine)
    store(lanes, STATE + 3, lane, cosine)
    store(lanes, OBSERVATION, lane, round32(cosine))
    store(lanes, OBSERVATION + 1, lane, round32(sine))
    store(lanes, OBSERVATION + 2, lane, round32(theta_dot))
    return -cost, theta < -math.inf  # never
