"""The cart-pole swing-up of Gaier & Ha 2019, which Gymnasium does not have."""

from __future__ import annotations

import math
from typing import Any, ClassVar

import gymnasium
import numpy as np
from numpy.typing import NDArray

from wann_envs.swing_up_picture import draw

GRAVITY = 9.82  # m/s^2
CART_MASS = 0.5  # kg
POLE_MASS = 0.5  # kg
TOTAL_MASS = CART_MASS + POLE_MASS  # kg
POLE_LENGTH = 0.6  # m, of a uniform rod from its axle to its tip
FRICTION = 0.1  # N s/m, between cart and track
LARGEST_FORCE = 10.0  # N, at an action of 1
TIME_STEP = 0.01  # s
TRACK_LIMIT = 2.4  # m, either way from the middle; the episode ends beyond it

START_MEAN = (0.0, 0.0, math.pi, 0.0)  # m, m/s, rad, rad/s: at rest, hanging down
START_DEVIATION = 0.2  # of each of the four, in its own unit
FASTEST_START = 100.0  # m/s and rad/s; from far above it the explicit Euler steps overflow


class SwingUpEnv(gymnasium.Env[NDArray[np.float32], NDArray[np.float32]]):
    """Swing a hanging pole up by pushing its cart, and keep both upright and in the middle.

    Registered as `wann/SwingUp-v0`, cut off after 1000 steps (10 s). The physics, start and reward
    are those of the paper's own program (Gaier & Ha 2019).

    | index | observation (float32)     | from | to  |
    |-------|---------------------------|------|-----|
    | 0     | position of the cart, m   | -inf | inf |
    | 1     | speed of the cart, m/s    | -inf | inf |
    | 2     | cosine of the pole angle  | -1   | 1   |
    | 3     | sine of the pole angle    | -1   | 1   |
    | 4     | speed of the angle, rad/s | -inf | inf |

    Action: one float in [-1, 1], the share of 10 N that pushes the cart towards +x; what is
        beyond is clipped, so that an infinity pushes with 10 N.
    Angle: 0 is upright and pi hangs down; it grows counter-clockwise, so the tip is at
        x - 0.6 sin(angle).
    Reward: (cos(angle) + 1) / 2 * cos(pi / 2 * x / 2.4) after the step, at most 1; a little below
        0 when the step left the track.
    Start: normal, mean (0, 0, pi, 0), standard deviation 0.2, or `options={"state": [4 floats]}`.
    End: terminated beyond 2.4 m on either side.

    state: float64 [4] of position (m), speed (m/s), angle (rad) and its speed (rad/s). Before the
        first reset it is the mean start. A step makes a new array and leaves the old one as it was.

    The reference draws its starts from NumPy's global generator, so its episodes for a seed differ
    from ours; the distribution is the same.
    """

    # Gymnasium declares it on the instance
    metadata: ClassVar[dict[str, Any]] = {  # pyright: ignore[reportIncompatibleVariableOverride]
        "render_modes": ["rgb_array"],
        "render_fps": round(1 / TIME_STEP),
    }

    def __init__(self, render_mode: str | None = None) -> None:
        """Refuse, with a ValueError, a render mode that is neither None nor "rgb_array"."""
        if render_mode not in (None, "rgb_array"):
            raise ValueError(f"render_mode must be None or 'rgb_array', but it is {render_mode!r}")
        self.render_mode = render_mode
        highest = np.array([np.inf, np.inf, 1.0, 1.0, np.inf], dtype=np.float32)
        self.observation_space = gymnasium.spaces.Box(-highest, highest, dtype=np.float32)
        self.action_space = gymnasium.spaces.Box(-1.0, 1.0, (1,), dtype=np.float32)
        self.state: NDArray[np.float64] = np.array(START_MEAN)

    def reset(
        self, *, seed: int | None = None, options: dict[str, Any] | None = None
    ) -> tuple[NDArray[np.float32], dict[str, Any]]:
        """Return the first observation, float32 [5], and an empty dict.

        options: {"state": position, speed, angle, angle's speed} to start from there instead of
            from a random draw; such a reset leaves the random numbers of the next one as they were.
        Raises ValueError, before anything has changed, for another option, a state of another
        shape, one that is not finite, one off the track, and speeds above 100.
        """
        given = _start_from(options or {})
        super().reset(seed=seed)
        if given is None:
            self.state = self.np_random.normal(START_MEAN, START_DEVIATION)
        else:
            self.state = given
        x, x_dot, theta, theta_dot = self.state.tolist()
        observed = (x, x_dot, math.cos(theta), math.sin(theta), theta_dot)
        return np.array(observed, dtype=np.float32), {}

    def step(
        self, action: NDArray[np.float32]
    ) -> tuple[NDArray[np.float32], float, bool, bool, dict[str, Any]]:
        """Return observation float32 [5], reward, terminated, False and an empty dict.

        action: [1]. One explicit Euler step of 0.01 s: positions move with the speeds from before
            the step. All arithmetic is float64; only what is observed is float32.
        Raises ValueError when the action is NaN.
        """
        push = float(action[0])
        if not -1.0 <= push <= 1.0:
            if math.isnan(push):
                raise ValueError("action must be a number, but it is nan")
            push = math.copysign(1.0, push)
        force = LARGEST_FORCE * push
        x, x_dot, theta, theta_dot = self.state.tolist()
        sine = math.sin(theta)
        cosine = math.cos(theta)
        spin = POLE_MASS * POLE_LENGTH * theta_dot * theta_dot * sine  # N
        drive = force - FRICTION * x_dot  # N
        inertia = 4.0 * TOTAL_MASS - 3.0 * POLE_MASS * cosine * cosine  # kg
        # Gaier & Ha 2019, cartpole_swingup.py; a uniform rod on a cart, for m/s^2 and rad/s^2
        x_acceleration = (
            -2.0 * spin + 3.0 * POLE_MASS * GRAVITY * sine * cosine + 4.0 * drive
        ) / inertia
        theta_acceleration = (
            -3.0 * spin * cosine + 6.0 * TOTAL_MASS * GRAVITY * sine + 6.0 * drive * cosine
        ) / (POLE_LENGTH * inertia)
        x += TIME_STEP * x_dot
        theta += TIME_STEP * theta_dot
        x_dot += TIME_STEP * x_acceleration
        theta_dot += TIME_STEP * theta_acceleration
        self.state = np.array((x, x_dot, theta, theta_dot))
        cosine = math.cos(theta)
        observation = np.array((x, x_dot, cosine, math.sin(theta), theta_dot), dtype=np.float32)
        reward = (cosine + 1.0) / 2.0 * math.cos(math.pi / 2.0 * x / TRACK_LIMIT)
        return observation, reward, not -TRACK_LIMIT <= x <= TRACK_LIMIT, False, {}

    def render(self) -> NDArray[np.uint8] | None:
        """Return a picture of the state, uint8 [400, 600, 3], or None without a render mode."""
        if self.render_mode is None:
            gymnasium.logger.warn("render() shows nothing without render_mode='rgb_array'")
            return None
        x, _, theta, _ = self.state.tolist()
        return draw(x, theta, POLE_LENGTH, TRACK_LIMIT)


def _start_from(options: dict[str, Any]) -> NDArray[np.float64] | None:
    """Return the start state in reset's options, float64 [4], or None when they hold none."""
    unknown = sorted(repr(name) for name in options if name != "state")
    if unknown:
        raise ValueError(f"the only reset option is 'state', but {unknown[0]} was given")
    if options.get("state") is None:
        return None
    try:
        state = np.array(options["state"], dtype=np.float64)
    except (TypeError, ValueError):
        wanted = "4 numbers (x, x_dot, theta, theta_dot)"
        raise ValueError(f"state must be {wanted}, but it is {options['state']!r}") from None
    if state.shape != (4,):
        raise ValueError(f"state must have shape (4,), but it has {state.shape}")
    if not np.isfinite(state).all():
        raise ValueError(f"state must be finite, but it is {state.tolist()}")
    if abs(state[0]) > TRACK_LIMIT:
        raise ValueError(f"state[0] must be within {TRACK_LIMIT} m, but it is {state[0]}")
    for index in (1, 3):
        if abs(state[index]) > FASTEST_START:
            wanted = f"within {FASTEST_START:g} a second"
            raise ValueError(f"state[{index}] must be {wanted}, but it is {state[index]}")
    return state
