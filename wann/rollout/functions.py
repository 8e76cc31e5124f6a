"""Sine, exponential and the paper's eleven activations of a vector, within 1e-15 of NumPy's.

A lane loop waits on these more than on anything else, so each is one short polynomial, summed in
pairs (Estrin's scheme), without branches and tables. Coefficients not otherwise marked minimise the
largest error over the reduced range (Remez's algorithm, weighted as stated).
"""

from __future__ import annotations

import math

from numba import njit

from wann.rollout.vector import Vector, clip, copysign, fabs, floor, pow2, rint, select

# How every function that goes into the cached kernels is compiled: into its caller, and without
# counting references to the arrays it is given, which would be an atomic operation each time.
COMPILED = {"error_model": "numpy", "forceinline": True, "_nrt": False}

PI = math.pi
PI_REST = 1.2246467991473532e-16  # pi - PI
# pi / 2 in three parts. The first two have 33 bits, so that k * part is exact for k < 2^20.
# The two polynomials of the quarter turn and these parts: fdlibm, e_rem_pio2.c, k_sin.c, k_cos.c.
HALF_PI_1 = 1.57079632673412561417e00
HALF_PI_2 = 6.07710050630396597660e-11
HALF_PI_3 = 2.02226624879595063154e-21
TWO_OVER_PI = 6.36619772367581382433e-01
LOG2_E = 1.4426950408889634
LN2_1 = 6.93147180369123816490e-01  # ln 2 in two parts; the first has 33 bits
LN2_2 = 1.90821492927058770002e-10


@njit(**COMPILED)
def _sine_of_half_turn(r: Vector) -> Vector:
    """Return sin(r) for r in [-pi/2, pi/2], off by at most 1.1e-16 before rounding."""
    z = r * r
    z2 = z * z
    p01 = -0.1666666666666581 + z * 0.00833333333326288
    p23 = -0.0001984126982009423 + z * 2.7557316077009796e-06
    p45 = -2.505185149712541e-08 + z * 1.6047301199785134e-10
    p46 = p45 + z2 * -7.364646483914944e-13
    return r + (r * z) * (p01 + z2 * (p23 + z2 * p46))


@njit(**COMPILED)
def sin(x: Vector) -> Vector:
    """Return the sine of x, in radians, |x| up to 1e6."""
    turns = rint(x * (0.5 * TWO_OVER_PI))
    r = x - turns * (2.0 * HALF_PI_1)
    r = r - turns * (2.0 * HALF_PI_2)
    r = r - turns * (2.0 * HALF_PI_3)
    half = turns * 0.5
    return _sine_of_half_turn(r) * (1.0 - 4.0 * fabs(half - rint(half)))  # odd: other sign


@njit(**COMPILED)
def cos(x: Vector) -> Vector:
    """Return the cosine of x, in radians, |x| up to 1e6."""
    turns = rint(x * (0.5 * TWO_OVER_PI) - 0.5)
    whole_and_half = turns + 0.5
    r = x - whole_and_half * (2.0 * HALF_PI_1)
    r = r - whole_and_half * (2.0 * HALF_PI_2)
    r = r - whole_and_half * (2.0 * HALF_PI_3)
    half = turns * 0.5
    return _sine_of_half_turn(r) * (4.0 * fabs(half - rint(half)) - 1.0)


@njit(**COMPILED)
def sincos(x: Vector) -> tuple[Vector, Vector]:
    """Return sine and cosine of x, in radians, |x| up to 1e6."""
    quarters = rint(x * TWO_OVER_PI)
    r = x - quarters * HALF_PI_1
    r = r - quarters * HALF_PI_2
    r = r - quarters * HALF_PI_3
    z = r * r
    z2 = z * z
    s01 = -1.66666666666666324348e-01 + z * 8.33333333332248946124e-03
    s23 = -1.98412698298579493134e-04 + z * 2.75573137070700676789e-06
    s45 = -2.50507602534068634195e-08 + z * 1.58969099521155010221e-10
    sine = r + (r * z) * (s01 + z2 * (s23 + z2 * s45))
    c01 = 4.16666666666666019037e-02 + z * -1.38888888888741095749e-03
    c23 = 2.48015872894767294178e-05 + z * -2.75573143513906633035e-07
    c45 = 2.08757232129817482790e-09 + z * -1.13596475577881948265e-11
    cosine = (1.0 - 0.5 * z) + z2 * (c01 + z2 * (c23 + z2 * c45))
    quadrant = quarters - 4.0 * floor(quarters * 0.25)
    swapped = (quadrant == 1.0) | (quadrant == 3.0)
    s = select(swapped, cosine, sine)
    c = select(swapped, sine, cosine)
    return select(quadrant >= 2.0, -s, s), select((quadrant == 1.0) | (quadrant == 2.0), -c, c)


@njit(**COMPILED)
def sin_pi(x: Vector) -> Vector:
    """Return sin(pi x): the sine of the rounded product pi * x, as NumPy's form has it.

    So sin_pi(1) is 1.2e-16 and not 0, which a step function behind it would show.
    """
    turn = PI * (x - 2.0 * rint(0.5 * x))  # from -pi to pi
    y = fabs(turn)
    mirrored = (PI - y) + PI_REST
    return copysign(_sine_of_half_turn(select(y < mirrored, y, mirrored)), turn)


@njit(**COMPILED)
def cos_pi(x: Vector) -> Vector:
    """Return cos(pi x): the cosine of the rounded product pi * x."""
    y = fabs(PI * (x - 2.0 * rint(0.5 * x)))  # at most pi
    return _sine_of_half_turn((0.5 * PI - y) + 0.5 * PI_REST)


@njit(**COMPILED)
def _exponential_of_reduced(r: Vector) -> Vector:
    """Return exp(r) - 1 for |r| up to ln(2) / 2, off by 4e-18 of exp(r) before rounding."""
    r2 = r * r
    r4 = r2 * r2
    p01 = 0.5000000000000011 + r * 0.16666666666666413
    p23 = 0.041666666666530267 + r * 0.008333333333494333
    p45 = 0.001388888894359811 + r * 0.00019841269506780818
    p67 = 2.4801493135722583e-05 + r * 2.755758626414238e-06
    p89 = 2.763023409698288e-07 + r * 2.5000073401347278e-08
    p03 = p01 + r2 * p23
    p47 = p45 + r2 * p67
    return r + r2 * (p03 + r4 * (p47 + r4 * p89))


@njit(**COMPILED)
def exp(x: Vector) -> Vector:
    """Return the exponential of x, which reaches 0 and infinity where NumPy's does."""
    x = clip(x, -746.0, 710.0)
    k = rint(x * LOG2_E)
    r = (x - k * LN2_1) - k * LN2_2
    first = rint(k * 0.5)  # in two factors, since 2^k alone may be too small or too large
    return ((1.0 + _exponential_of_reduced(r)) * pow2(first)) * pow2(k - first)


@njit(**COMPILED)
def tanh(x: Vector) -> Vector:
    """Return the hyperbolic tangent of x, as accurate near 0 as elsewhere."""
    y = -2.0 * fabs(x)
    y = select(y < -44.0, -44.0, y)  # from there on the result is 1
    k = rint(y * LOG2_E)
    r = (y - k * LN2_1) - k * LN2_2
    power = pow2(k)
    below_one = _exponential_of_reduced(r) * power + (power - 1.0)  # exp(y) - 1
    return copysign(-below_one / (2.0 + below_one), x)


@njit(**COMPILED)
def activate(activation_id: int, x: Vector) -> Vector:
    """Return the activation of this id, 1 to 11, of x; formulas in `wann.activations`."""
    if activation_id == 1:
        return x
    if activation_id == 2:
        return select(x > 0.0, 1.0, 0.0)
    if activation_id == 3:
        return sin_pi(x)
    if activation_id == 4:
        return exp((-0.5 * x) * x)
    if activation_id == 5:
        return tanh(x)
    if activation_id == 6:
        return 0.5 * (tanh(0.5 * x) + 1.0)
    if activation_id == 7:
        return -x
    if activation_id == 8:
        return fabs(x)
    if activation_id == 9:
        return select(x < 0.0, 0.0, x)
    if activation_id == 10:
        return cos_pi(x)
    return x * x


@njit(**COMPILED)
def activate_three(
    activation_id: int, a: Vector, b: Vector, c: Vector
) -> tuple[Vector, Vector, Vector]:
    """Return the activation of this id of three vectors, worked out side by side.

    One vector waits most of the time for its own last result; and each constant is loaded once.
    """
    if activation_id == 1:
        return a, b, c
    if activation_id == 2:
        return activate(2, a), activate(2, b), activate(2, c)
    if activation_id == 3:
        return activate(3, a), activate(3, b), activate(3, c)
    if activation_id == 4:
        return activate(4, a), activate(4, b), activate(4, c)
    if activation_id == 5:
        return activate(5, a), activate(5, b), activate(5, c)
    if activation_id == 6:
        return activate(6, a), activate(6, b), activate(6, c)
    if activation_id == 7:
        return activate(7, a), activate(7, b), activate(7, c)
    if activation_id == 8:
        return activate(8, a), activate(8, b), activate(8, c)
    if activation_id == 9:
        return activate(9, a), activate(9, b), activate(9, c)
    if activation_id == 10:
        return activate(10, a), activate(10, b), activate(10, c)
    return activate(11, a), activate(11, b), activate(11, c)
