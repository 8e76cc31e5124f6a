"""The paper's eleven activations of a float32 vector, within 2e-7 of NumPy's of that number.

The twin of `wann.rollout.functions`, with shorter polynomials: the rounding of float32 hides what
more terms would add. Coefficients minimise the largest relative error (Lawson's algorithm).
"""

from __future__ import annotations

from numba import njit

from wann.rollout.functions import COMPILED, LN2_1, LOG2_E
from wann.rollout.vector import Vector, copysign, fabs, pow2, rint, select

# ln 2 in two parts; the first has 12 bits, so that k * part is exact.
LN2_HIGH = 0.693359375
LN2_LOW = LN2_1 - LN2_HIGH
PI_REST = 3.8981718325193755e-17  # (pi - its float64) / pi
LEAST_EXPONENT = -87.0  # exp of it is still an ordinary float32
ZERO_EXPONENT = -745.2  # from there on float64's exp is 0


@njit(**COMPILED)
def _sine_of_half_turns(y: Vector) -> Vector:
    """Return sin(pi y) for y in [-1/2, 1/2], off by 5e-9 of it before rounding."""
    z = y * y
    p01 = 3.141592636895394 + z * -5.167709827423096
    p23 = 2.550069808959961 + z * -0.5982421040534973
    return y * (p01 + (z * z) * (p23 + (z * z) * 0.07756038755178452))


@njit(**COMPILED)
def sin_pi(x: Vector) -> Vector:
    """Return sin(pi x), with the signs of NumPy's float64 form where it is all but 0.

    So sin_pi(1) is 1.2e-16 and not 0, which a step function behind it would show.
    """
    turn = x - 2.0 * rint(0.5 * x)  # exact, from -1 to 1
    y = fabs(turn)
    mirrored = (1.0 - y) + PI_REST
    return copysign(_sine_of_half_turns(select(y < mirrored, y, mirrored)), turn)


@njit(**COMPILED)
def cos_pi(x: Vector) -> Vector:
    """Return cos(pi x), with the signs of NumPy's float64 form where it is all but 0."""
    y = fabs(x - 2.0 * rint(0.5 * x))
    return _sine_of_half_turns((0.5 - y) + 0.5 * PI_REST)


@njit(**COMPILED)
def _exponential_of_reduced(r: Vector) -> Vector:
    """Return exp(r) - 1 for |r| up to ln(2) / 2, off by 3e-9 of exp(r) before rounding."""
    r2 = r * r
    p01 = 0.4999999345096787 + r * 0.16666520679002145
    p23 = 0.0416683874912321 + r * 0.008368711136649422
    return r + r2 * (p01 + r2 * (p23 + r2 * 0.001381461038824935))


@njit(**COMPILED)
def exp_of_negative(x: Vector) -> Vector:
    """Return the exponential of x, at most 0: never below 1e-38 unless float64 would give 0."""
    y = select(x < LEAST_EXPONENT, LEAST_EXPONENT, x)
    k = rint(y * LOG2_E)
    r = (y - k * LN2_HIGH) - k * LN2_LOW
    power = pow2(k)
    return select(x < ZERO_EXPONENT, 0.0, power + power * _exponential_of_reduced(r))


@njit(**COMPILED)
def tanh(x: Vector) -> Vector:
    """Return the hyperbolic tangent of x, as accurate near 0 as elsewhere."""
    y = -2.0 * fabs(x)
    y = select(y < -18.0, -18.0, y)  # from there on the result is 1
    k = rint(y * LOG2_E)
    r = (y - k * LN2_HIGH) - k * LN2_LOW
    power = pow2(k)
    below_one = _exponential_of_reduced(r) * power + (power - 1.0)  # exp(y) - 1
    return copysign(-below_one / (2.0 + below_one), x)


@njit(**COMPILED)
def sigmoid(x: Vector) -> Vector:
    """Return the logistic function of x, as accurate near 0 as elsewhere."""
    e = exp_of_negative(-fabs(x))
    return select(x < 0.0, e, 1.0) / (1.0 + e)


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
        return exp_of_negative((-0.5 * x) * x)
    if activation_id == 5:
        return tanh(x)
    if activation_id == 6:
        return sigmoid(x)
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
def _each(
    activation_id: int, a: Vector, b: Vector, c: Vector, d: Vector
) -> tuple[Vector, Vector, Vector, Vector]:
    return (
        activate(activation_id, a),
        activate(activation_id, b),
        activate(activation_id, c),
        activate(activation_id, d),
    )


@njit(**COMPILED)
def activate_four(
    activation_id: int, a: Vector, b: Vector, c: Vector, d: Vector
) -> tuple[Vector, Vector, Vector, Vector]:
    """Return the activation of this id of four vectors, worked out side by side.

    The id is looked up once, and no vector waits for its own last result.
    """
    if activation_id == 1:
        return a, b, c, d
    if activation_id == 2:
        return _each(2, a, b, c, d)
    if activation_id == 3:
        return _each(3, a, b, c, d)
    if activation_id == 4:
        return _each(4, a, b, c, d)
    if activation_id == 5:
        return _each(5, a, b, c, d)
    if activation_id == 6:
        return _each(6, a, b, c, d)
    if activation_id == 7:
        return _each(7, a, b, c, d)
    if activation_id == 8:
        return _each(8, a, b, c, d)
    if activation_id == 9:
        return _each(9, a, b, c, d)
    if activation_id == 10:
        return _each(10, a, b, c, d)
    return _each(11, a, b, c, d)
