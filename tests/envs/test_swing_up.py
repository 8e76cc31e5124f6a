import math
import warnings

import gymnasium
import numpy as np
import pytest
from gymnasium.utils.env_checker import check_env
from gymnasium.utils.seeding import np_random
from scipy import stats

from wann_envs import SwingUpEnv

GRAVITY, CART, POLE, LENGTH, FRICTION, TIME_STEP = 9.82, 0.5, 0.5, 0.6, 0.1, 0.01
ANY_STATE = [0.3, -1.2, 2.0, 4.0]


def started(state):
    env = SwingUpEnv()
    env.reset(options={"state": state})
    return env


def random_states(seed, count):
    rng = np.random.default_rng(seed)
    largest = np.array([2.3, 5.0, 7.0, 12.0])
    return rng.uniform(-largest, largest, (count, 4)), rng.uniform(-1.0, 1.0, count)


def reference_step(state, action):
    """Return the next state and the reward, as the reference program's lines compute them."""
    x, x_dot, theta, theta_dot = state
    action = np.clip(action, -1.0, 1.0) * 10.0
    s, c = np.sin(theta), np.cos(theta)
    m_p_l, total_m = POLE * LENGTH, CART + POLE
    xdot_update = (
        -2 * m_p_l * (theta_dot**2) * s
        + 3 * POLE * GRAVITY * s * c
        + 4 * action
        - 4 * FRICTION * x_dot
    ) / (4 * total_m - 3 * POLE * c**2)
    thetadot_update = (
        -3 * m_p_l * (theta_dot**2) * s * c
        + 6 * total_m * GRAVITY * s
        + 6 * (action - FRICTION * x_dot) * c
    ) / (4 * LENGTH * total_m - 3 * m_p_l * c**2)
    after = np.array(
        [
            x + x_dot * TIME_STEP,
            x_dot + xdot_update * TIME_STEP,
            theta + theta_dot * TIME_STEP,
            theta_dot + thetadot_update * TIME_STEP,
        ]
    )
    reward = (np.cos(after[2]) + 1.0) / 2.0 * np.cos(after[0] / 2.4 * (np.pi / 2.0))
    return after, reward


def rod_accelerations(state, action):
    """Return the cart's and the pole's acceleration, m/s^2 and rad/s^2, from mechanics alone.

    The pole is cut into points with a mass (3-point Gauss-Legendre: exact, as the integrands are
    quadratic), whose motion in Cartesian coordinates gives the mass matrix, the centrifugal and the
    weight terms of M(q) q'' = Q.
    """
    _, x_dot, theta, theta_dot = state
    points, shares = np.polynomial.legendre.leggauss(3)
    mass_matrix = np.diag([CART, 0.0])
    forces = np.array([10.0 * action - FRICTION * x_dot, 0.0])
    for point, share in zip(points, shares, strict=True):
        radius = LENGTH * (point + 1.0) / 2.0
        mass = POLE * share / 2.0
        # the point lies at (x - radius sin theta, radius cos theta)
        jacobian = np.array([[1.0, -radius * math.cos(theta)], [0.0, -radius * math.sin(theta)]])
        bend = theta_dot**2 * radius * np.array([math.sin(theta), -math.cos(theta)])
        mass_matrix += mass * jacobian.T @ jacobian
        forces += jacobian.T @ (np.array([0.0, -mass * GRAVITY]) - mass * bend)
    return np.linalg.solve(mass_matrix, forces)


def test_a_step_is_the_reference_programs_step():
    states, actions = random_states(1, 300)
    for state, action in zip(states, actions, strict=True):
        env = started(state)
        _, reward, _, _, _ = env.step(np.array([action]))
        expected_state, expected_reward = reference_step(state, action)
        np.testing.assert_allclose(env.state, expected_state, rtol=1e-13, atol=1e-13)
        assert reward == pytest.approx(expected_reward, rel=1e-13, abs=1e-15)


def test_a_whole_episode_follows_the_reference_program():
    env = SwingUpEnv()
    env.reset(seed=5)
    expected = env.state.copy()
    for index in range(400):
        action = 0.8 * math.sin(index / 9.0)
        env.step(np.array([action]))
        expected, _ = reference_step(expected, action)
    np.testing.assert_allclose(env.state, expected, rtol=1e-6)


def test_accelerations_are_those_of_a_uniform_rod_on_a_cart():
    states, actions = random_states(2, 300)
    for state, action in zip(states, actions, strict=True):
        env = started(state)
        env.step(np.array([action]))
        accelerations = (env.state[[1, 3]] - state[[1, 3]]) / TIME_STEP
        expected = rod_accelerations(state, action)
        np.testing.assert_allclose(accelerations, expected, rtol=1e-9, atol=1e-9)


def test_positions_move_with_the_speeds_from_before_the_step():
    env = started([0.5, 2.0, 1.0, -3.0])
    env.step(np.array([1.0]))
    assert env.state[0] == pytest.approx(0.52, abs=1e-15)
    assert env.state[2] == pytest.approx(0.97, abs=1e-15)


def test_a_positive_action_pushes_the_cart_to_the_right():
    env = started([0.0, 0.0, math.pi, 0.0])
    env.step(np.array([1.0]))
    assert env.state[1] > 0.0


@pytest.mark.parametrize("action", [1.5, 40.0, math.inf])
def test_an_action_beyond_the_bounds_acts_as_the_bound(action):
    for sign in (-1.0, 1.0):
        bounded, beyond = started(ANY_STATE), started(ANY_STATE)
        bounded.step(np.array([sign]))
        beyond.step(np.array([sign * action]))
        np.testing.assert_array_equal(beyond.state, bounded.state)


def test_an_action_that_is_nan_is_refused_and_changes_nothing():
    env = started(ANY_STATE)
    with pytest.raises(ValueError, match="action must be a number, but it is nan"):
        env.step(np.array([math.nan]))
    np.testing.assert_array_equal(env.state, ANY_STATE)


def test_a_step_leaves_the_former_state_and_observation_as_they_were():
    env = SwingUpEnv()
    observation, _ = env.reset(seed=0)
    state = env.state
    kept_state, kept_observation = state.copy(), observation.copy()
    env.step(np.array([1.0]))
    np.testing.assert_array_equal(state, kept_state)
    np.testing.assert_array_equal(observation, kept_observation)


def test_observations_are_float32_of_a_float64_state():
    env = SwingUpEnv()
    observations = [env.reset(seed=3)[0]]
    states = [env.state]
    for _ in range(20):
        observations.append(env.step(np.array([0.3]))[0])
        states.append(env.state)
    for observation, state in zip(observations, states, strict=True):
        x, x_dot, theta, theta_dot = state
        expected = np.array([x, x_dot, np.cos(theta), np.sin(theta), theta_dot])
        assert state.dtype == np.float64
        assert observation.dtype == np.float32
        np.testing.assert_allclose(observation, expected, rtol=1e-7)
        assert env.observation_space.contains(observation)


def test_upright_in_the_middle_earns_one_and_hanging_down_nothing():
    assert started([0.0, 0.0, 0.0, 0.0]).step(np.array([0.0]))[1] == 1.0
    assert started([0.0, 0.0, math.pi, 0.0]).step(np.array([0.0]))[1] == 0.0


def test_the_reward_is_that_of_the_new_state():
    env = started([0.0, 0.0, 0.0, 10.0])
    _, reward, _, _, _ = env.step(np.array([0.0]))
    assert reward == pytest.approx((math.cos(0.1) + 1.0) / 2.0)


@pytest.mark.parametrize("side", [-1.0, 1.0])
def test_an_episode_ends_beyond_the_limit_and_not_on_it(side):
    on_it = started([side * 2.4, 0.0, math.pi, 0.0])
    assert on_it.step(np.array([0.0]))[2] is False
    assert abs(on_it.state[0]) == 2.4
    beyond = started([side * 2.4, side * 1e-13, math.pi, 0.0])
    assert beyond.step(np.array([0.0]))[2] is True
    assert abs(beyond.state[0]) > 2.4


def test_the_pole_may_turn_as_far_as_it_likes():
    assert started([0.0, 0.0, 50.0, 20.0]).step(np.array([0.0]))[2] is False


def test_an_episode_is_cut_off_at_1000_steps():
    env = gymnasium.make("wann_envs:wann/SwingUp-v0")
    env.reset(options={"state": [0.0, 0.0, math.pi, 0.0]})
    ends = [env.step(np.zeros(1, dtype=np.float32))[2:4] for _ in range(1000)]
    assert ends[:-1] == [(False, False)] * 999
    assert ends[-1] == (False, True)


def test_a_start_is_four_normal_numbers_around_the_hanging_pole():
    env = SwingUpEnv()
    env.reset(seed=11)
    starts = []
    for _ in range(4000):
        env.reset()
        starts.append(env.state)
    standardised = (np.array(starts) - [0.0, 0.0, math.pi, 0.0]) / 0.2
    for column in standardised.T:
        assert stats.kstest(column, "norm").pvalue > 0.01
    correlations = np.corrcoef(standardised.T) - np.eye(4)
    assert np.abs(correlations).max() < 0.06


def test_a_start_is_drawn_in_float64_from_the_environments_own_generator():
    env = SwingUpEnv()
    for seed in (0, 1, 123456789):
        env.reset(seed=seed)
        expected = np_random(seed)[0].normal([0.0, 0.0, math.pi, 0.0], 0.2)
        np.testing.assert_array_equal(env.state, expected)


def test_the_same_seed_gives_the_same_episode_whatever_came_before():
    def episode(env, seed):
        observation, _ = env.reset(seed=seed)
        rows = [observation]
        for index in range(50):
            rows.append(env.step(np.array([math.cos(index)]))[0])
        return np.array(rows)

    used, fresh = SwingUpEnv(), SwingUpEnv()
    first = episode(used, 7)
    other = episode(used, 8)
    assert not np.array_equal(first, other)
    np.testing.assert_array_equal(episode(used, 7), first)
    np.testing.assert_array_equal(episode(fresh, 7), first)


def test_a_given_start_leaves_the_random_numbers_alone():
    env, other = SwingUpEnv(), SwingUpEnv()
    env.reset(seed=4, options={"state": ANY_STATE})
    np.testing.assert_array_equal(env.state, ANY_STATE)
    env.reset()
    other.reset(seed=4)
    np.testing.assert_array_equal(env.state, other.state)


def test_a_given_start_is_copied():
    start = np.array(ANY_STATE)
    env = started(start)
    start[:] = 0.0
    np.testing.assert_array_equal(env.state, ANY_STATE)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"stat": ANY_STATE}, "the only reset option is 'state', but 'stat' was given"),
        ({"state": [0.0, 0.0, 0.0]}, r"state must have shape \(4,\), but it has \(3,\)"),
        ({"state": "up"}, r"state must be 4 numbers .*, but it is 'up'"),
        (
            {"state": [0.0, [1.0], 0.0, 0.0]},
            r"state must be 4 numbers .*, but it is \[0.0, \[1.0\]",
        ),
        ({"state": [0.0, 0.0, math.nan, 0.0]}, "state must be finite, but it is .*nan"),
        ({"state": [-2.5, 0.0, 0.0, 0.0]}, r"state\[0\] must be within 2.4 m, but it is -2.5"),
        ({"state": [0.0, 0.0, 0.0, 101.0]}, r"state\[3\] must be within 100 a second, .* 101.0"),
    ],
)
def test_a_start_that_cannot_be_is_refused_and_changes_nothing(options, message):
    env = SwingUpEnv()
    env.reset(seed=4)
    state, numbers = env.state.copy(), env.np_random.bit_generator.state
    with pytest.raises(ValueError, match=message):
        env.reset(seed=9, options=options)
    np.testing.assert_array_equal(env.state, state)
    assert env.np_random.bit_generator.state == numbers


def test_the_fastest_start_allowed_ends_off_the_track_with_finite_numbers():
    for x_dot in (-100.0, 0.0, 100.0):
        for theta_dot in (-100.0, 100.0):
            for theta in np.linspace(-math.pi, math.pi, 9):
                env = started([0.0, x_dot, theta, theta_dot])
                for _ in range(1000):
                    observation, reward, terminated, _, _ = env.step(np.array([0.0]))
                    assert np.isfinite(observation).all()
                    assert math.isfinite(reward)
                    if terminated:
                        break


def test_gymnasiums_checker_finds_nothing_but_the_unbounded_observations():
    env = gymnasium.make("wann_envs:wann/SwingUp-v0", render_mode="rgb_array").unwrapped
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        # position and speeds are unbounded; Gymnasium's own CartPole-v1 gets the same two
        for unbounded in ("minimum value is -infinity", "maximum value is infinity"):
            warnings.filterwarnings("ignore", f".*A Box observation space {unbounded}")
        check_env(env)


def test_rendering_without_a_render_mode_warns_and_shows_nothing():
    env = SwingUpEnv()
    env.reset(seed=0)
    with pytest.warns(UserWarning, match="without render_mode='rgb_array'"):
        assert env.render() is None


def test_another_render_mode_is_refused():
    with pytest.raises(ValueError, match="must be None or 'rgb_array', but it is 'human'"):
        SwingUpEnv(render_mode="human")


def test_there_are_100_frames_in_a_second():
    assert SwingUpEnv.metadata == {"render_modes": ["rgb_array"], "render_fps": 100}
