"""Acrobot-v1, as Gymnasium 1.4.0 computes it (classic_control/acrobot.py, AcrobotEnv.step, "book").

State, float64: angle of the upper link (rad, 0 hangs down), angle of the lower link to the upper
one (rad), their speeds (rad/s). Observed: cosine and sine of each angle, then the speeds.
With every mass, length and moment of inertia 1 and centres of mass at 0.5, Gymnasium's formulas
shrink to those below.
"""

from __future__ import annotations

import math

from numba import njit

from wann.rollout.functions import COMPILED, sincos
from wann.rollout.layout import OBSERVATION, STATE
from wann.rollout.vector import Lanes, Mask, Vector, clip, load, rint, round32, select, store

GRAVITY = 9.8  # m/s^2
LINK_MASS = 1.0  # kg
LINK_LENGTH = 1.0  # m
LINK_CENTRE = 0.5  # m
LINK_INERTIA = 1.0  # kg m^2
TIME_STEP = 0.2  # s
MAX_SPEED_1 = 4.0 * math.pi  # rad/s
MAX_SPEED_2 = 9.0 * math.pi  # rad/s
GOAL_HEIGHT = 1.0  # m above the axle
TURN = 2.0 * math.pi  # rad

COUPLING = LINK_MASS * LINK_LENGTH * LINK_CENTRE  # kg m^2
OWN_INERTIA = LINK_MASS * LINK_CENTRE**2 + LINK_INERTIA  # kg m^2, of the lower link
BOTH_INERTIA = 2.0 * OWN_INERTIA + LINK_MASS * LINK_LENGTH**2  # kg m^2, without the coupling
WEIGHT_1 = (LINK_MASS * LINK_CENTRE + LINK_MASS * LINK_LENGTH) * GRAVITY  # N m
WEIGHT_2 = LINK_MASS * LINK_CENTRE * GRAVITY  # N m


@njit(**COMPILED)
def _accelerations(
    theta_1: Vector, theta_2: Vector, speed_1: Vector, speed_2: Vector, torque: Vector
) -> tuple[Vector, Vector]:
    """Return both angular accelerations (rad/s^2). Sutton & Barto 1998, section 11.3."""
    sine_1, cosine_1 = sincos(theta_1)
    sine_2, cosine_2 = sincos(theta_2)
    d1 = BOTH_INERTIA + 2.0 * COUPLING * cosine_2
    d2 = OWN_INERTIA + COUPLING * cosine_2
    phi_2 = WEIGHT_2 * (sine_1 * cosine_2 + cosine_1 * sine_2)  # sine of the sum of the angles
    phi_1 = WEIGHT_1 * sine_1 + phi_2 - COUPLING * sine_2 * (speed_2 * (speed_2 + 2.0 * speed_1))
    share = d2 / d1
    acceleration_2 = (torque + share * phi_1 - COUPLING * (speed_1 * speed_1) * sine_2 - phi_2) / (
        OWN_INERTIA - share * d2
    )
    return -(d2 * acceleration_2 + phi_1) / d1, acceleration_2


@njit(**COMPILED)
def _wrapped(theta: Vector) -> Vector:
    """Return the angle plus the whole turns that bring it into [-pi, pi]."""
    theta = theta - TURN * rint(theta * (1.0 / TURN))
    theta = select(theta > math.pi, theta - TURN, theta)
    return select(theta < -math.pi, theta + TURN, theta)


@njit(**COMPILED)
def advance(lanes: Lanes, lane: int, action: Vector) -> tuple[Vector, Mask]:
    """Return (reward, ended) of one step of a chunk of lanes; state and observation move on.

    action: torque on the joint between the links (N m), plus 1: 0, 1 or 2. One step of the classic
    Runge-Kutta method.
    """
    torque = action - 1.0
    half = 0.5 * TIME_STEP
    theta_1 = load(lanes, STATE, lane)
    theta_2 = load(lanes, STATE + 1, lane)
    speed_1 = load(lanes, STATE + 2, lane)
    speed_2 = load(lanes, STATE + 3, lane)
    a1, a2 = _accelerations(theta_1, theta_2, speed_1, speed_2, torque)
    sum_1, sum_2, sum_3, sum_4 = speed_1, speed_2, a1, a2
    later_1, later_2 = speed_1, speed_2
    for stage in range(3):
        ahead = half if stage < 2 else TIME_STEP
        share = 2.0 if stage < 2 else 1.0
        at_1, at_2 = theta_1 + ahead * later_1, theta_2 + ahead * later_2
        later_1, later_2 = speed_1 + ahead * a1, speed_2 + ahead * a2
        a1, a2 = _accelerations(at_1, at_2, later_1, later_2, torque)
        sum_1, sum_2 = sum_1 + share * later_1, sum_2 + share * later_2
        sum_3, sum_4 = sum_3 + share * a1, sum_4 + share * a2
    sixth = TIME_STEP / 6.0
    theta_1 = _wrapped(theta_1 + sixth * sum_1)
    theta_2 = _wrapped(theta_2 + sixth * sum_2)
    speed_1 = clip(speed_1 + sixth * sum_3, -MAX_SPEED_1, MAX_SPEED_1)
    speed_2 = clip(speed_2 + sixth * sum_4, -MAX_SPEED_2, MAX_SPEED_2)
    sine_1, cosine_1 = sincos(theta_1)
    sine_2, cosine_2 = sincos(theta_2)
    store(lanes, STATE, lane, theta_1)
    store(lanes, STATE + 1, lane, theta_2)
    store(lanes, STATE + 2, lane, speed_1)
    store(lanes, STATE + 3, lane, speed_2)
    store(lanes, OBSERVATION, lane, round32(cosine_1))
    store(lanes, OBSERVATION + 1, lane, round32(sine_1))
    store(lanes, OBSERVATION + 2, lane, round32(cosine_2))
    store(lanes, OBSERVATION + 3, lane, round32(sine_2))
    store(lanes, OBSERVATION + 4, lane, round32(speed_1))
    store(lanes, OBSERVATION + 5, lane, round32(speed_2))
    ended = sine_1 * sine_2 - cosine_1 * cosine_2 - cosine_1 > GOAL_HEIGHT
    return select(ended, 0.0, -1.0), ended
