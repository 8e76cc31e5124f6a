from __future__ import annotations

import math

import numpy as np
import pytest
from gymnasium import spaces
from gymnasium.spaces.utils import flatten

from wann.tasks.spaces import (
    action_rules,
    actor,
    check_action_size,
    check_observation_size,
    element_names,
    flat_size,
    observer,
)

OBSERVATION_SPACES = (
    spaces.Box(-1.0, 1.0, (4,), np.float32),
    spaces.Box(-np.inf, np.inf, (2, 3), np.float64),
    spaces.Box(0, 255, (4, 4, 3), np.uint8),
    spaces.Box(-1.0, 1.0, (), np.float32),
    spaces.Discrete(5),
    spaces.Discrete(3, start=-1),
    spaces.MultiDiscrete([3, 2, 4]),
    spaces.MultiDiscrete([[2, 3], [4, 2]], start=[[1, 0], [-2, 5]]),
    spaces.MultiDiscrete([3, 2], dtype=np.int32),
    spaces.MultiBinary(6),
    spaces.MultiBinary((2, 3)),
    spaces.Tuple((spaces.Discrete(32), spaces.Discrete(11), spaces.Discrete(2))),
    spaces.Dict(
        {
            "goal": spaces.Box(-1.0, 1.0, (2,), np.float32),
            "arm": spaces.Tuple((spaces.MultiBinary(2), spaces.Discrete(3))),
        }
    ),
)
UNUSABLE_SPACES = (
    spaces.Text(5),
    spaces.Sequence(spaces.Discrete(2)),
    spaces.Graph(spaces.Box(0.0, 1.0, (2,)), None),
    spaces.OneOf((spaces.Discrete(2), spaces.Box(0.0, 1.0, (2,)))),
    spaces.Tuple((spaces.Discrete(2), spaces.Text(3))),
)


def plain(space: spaces.Space):
    size = flat_size(space)
    return observer(space, np.zeros(size), np.ones(size))


@pytest.mark.parametrize("space", OBSERVATION_SPACES, ids=str)
def test_an_observation_is_flattened_as_gymnasium_does(space: spaces.Space) -> None:
    space.seed(1)
    observe = plain(space)
    for _ in range(20):
        observation = space.sample()
        inputs = observe(observation)
        assert inputs.dtype == np.float64
        np.testing.assert_array_equal(inputs, np.float64(flatten(space, observation)))
        assert len(inputs) == flat_size(space) == len(set(element_names(space)))


def test_a_flattened_observation_is_no_view_of_the_environments_own() -> None:
    observation = np.zeros(3)
    inputs = plain(spaces.Box(-1.0, 1.0, (3,), np.float64))(observation)
    observation[:] = 7.0
    np.testing.assert_array_equal(inputs, [0.0, 0.0, 0.0])


def test_an_input_is_the_observation_less_offset_over_scale() -> None:
    observe = observer(spaces.MultiBinary(2), np.array([1.0, -1.0]), np.array([2.0, 4.0]))
    np.testing.assert_array_equal(observe(np.array([1, 0])), [0.0, 0.25])


@pytest.mark.parametrize(
    ("space", "observation", "message"),
    [
        (OBSERVATION_SPACES[0], np.zeros(5, np.float32), r"shape must be \(4,\), but it is \(5,\)"),
        (OBSERVATION_SPACES[0], np.zeros((4, 1)), r"shape must be \(4,\), but it is \(4, 1\)"),
        (OBSERVATION_SPACES[0], [[1.0], 2.0], "inhomogeneous"),
        (spaces.Discrete(5), 5, "value 5 is not in the observation space"),
        (spaces.Discrete(3, start=-1), -2, "value -2 is not in"),
        (spaces.MultiDiscrete([3, 2]), np.array([0, 2]), r"value \[0, 2\] is not in"),
        (spaces.Tuple((spaces.Discrete(2),) * 2), (0,), "must have 2 parts, but it has 1"),
    ],
)
def test_an_observation_outside_its_space_is_refused(
    space: spaces.Space, observation: object, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        plain(space)(observation)


@pytest.mark.parametrize("space", UNUSABLE_SPACES, ids=lambda space: type(space).__name__)
def test_a_space_that_no_network_can_read_is_named_with_a_wrapper(space: spaces.Space) -> None:
    with pytest.raises(ValueError, match=r"cannot read observations of .*TransformObservation"):
        check_observation_size(space)


@pytest.mark.parametrize(
    "space", [*UNUSABLE_SPACES, OBSERVATION_SPACES[-1]], ids=lambda space: type(space).__name__
)
def test_a_space_that_no_network_can_act_in_is_named_with_a_wrapper(space: spaces.Space) -> None:
    with pytest.raises(ValueError, match=r"cannot give actions of .*TransformAction"):
        check_action_size(space)


def test_sizes_that_no_network_has_are_refused() -> None:
    with pytest.raises(ValueError, match=r"1 to 4,096 inputs, but .* gives 27,648; .*GreyPixels"):
        check_observation_size(spaces.Box(0, 255, (96, 96, 3), np.uint8))
    with pytest.raises(ValueError, match="gives 0; wrap"):
        check_observation_size(spaces.Box(0.0, 1.0, (0,)))
    with pytest.raises(ValueError, match=r"1 to 4,096 outputs, but .* needs 5,000"):
        check_action_size(spaces.Discrete(5000))


def test_elements_are_named_by_their_place_and_value() -> None:
    assert element_names(OBSERVATION_SPACES[-1]) == (
        "x.arm[0][0]", "x.arm[0][1]", "x.arm[1]=0", "x.arm[1]=1", "x.arm[1]=2",
        "x.goal[0]", "x.goal[1]",
    )  # fmt: skip
    assert element_names(spaces.Discrete(2, start=5), "action") == ("action=5", "action=6")
    assert element_names(spaces.MultiDiscrete([2, 1], start=[0, 3])) == (
        "x[0]=0", "x[0]=1", "x[1]=3",
    )  # fmt: skip


ACTION_SPACES = (
    spaces.Discrete(4),
    spaces.Discrete(3, start=-1),
    spaces.MultiDiscrete([3, 2, 4]),
    spaces.MultiDiscrete([[2, 3], [4, 2]], start=[[1, 0], [-2, 5]]),
    spaces.MultiBinary(3),
    spaces.MultiBinary((2, 2)),
    spaces.Box(-2.0, 2.0, (1,), np.float32),
    spaces.Box(np.float32([-1.0, 0.0, 0.0]), np.float32([1.0, 1.0, 3.0])),
    spaces.Box(-1.0, 1.0, (2, 2), np.float64),
    spaces.Box(-1.0, 1.0, (), np.float32),
    spaces.Box(0, 255, (3,), np.uint8),
    spaces.Box(-5, 5, (2,), np.int64),
    spaces.Box(-np.inf, np.inf, (2,), np.float32),
    spaces.Box(-np.inf, np.inf, (2,), np.float64),
    spaces.Box(0.0, np.inf, (2,), np.float32),
    spaces.Box(np.iinfo(np.int64).min + 2, np.iinfo(np.int64).max - 2, (2,), np.int64),
)
WILD = (0.0, -0.0, 0.3, -1.7, 1e3, -1e30, 1e300, -1e300, math.inf, -math.inf, math.nan)


@pytest.mark.parametrize("space", ACTION_SPACES, ids=str)
def test_whatever_the_outputs_are_the_action_is_in_its_space(space: spaces.Space) -> None:
    rng = np.random.default_rng(3)
    for rule in action_rules(space):
        act = actor(space, rule)
        for _ in range(200):
            action = act(rng.choice(WILD, check_action_size(space)))
            assert space.contains(action), (rule, action)


def test_argmax_takes_the_first_largest_output_and_adds_the_spaces_start() -> None:
    act = actor(spaces.Discrete(3, start=-1), "argmax")
    assert [act(np.array(each)) for each in ([1.0, 5.0, 5.0], [-1.0, -2.0, -3.0])] == [0, -1]
    assert isinstance(act(np.zeros(3)), np.int64)


def test_argmax_groups_takes_the_first_largest_output_of_each_group() -> None:
    act = actor(spaces.MultiDiscrete([3, 2], start=[10, 20]), "argmax-groups")
    np.testing.assert_array_equal(act(np.array([0.0, 2.0, 2.0, -1.0, -0.5])), [11, 21])


def test_positive_sets_the_bits_whose_outputs_are_above_zero() -> None:
    act = actor(spaces.MultiBinary(4), "positive")
    np.testing.assert_array_equal(act(np.array([0.1, 0.0, -1.0, math.inf])), [1, 0, 0, 1])


BOUNDED = spaces.Box(np.float32([-2.0, 0.0]), np.float32([2.0, 1.0]))


def test_clip_maps_minus_one_to_one_onto_the_bounds() -> None:
    act = actor(BOUNDED, "clip")
    action = act(np.array([0.5, 0.5]))
    np.testing.assert_array_equal(action, np.float32([1.0, 0.75]))
    assert action.dtype == np.float32
    np.testing.assert_array_equal(act(np.array([-3.0, 3.0])), [-2.0, 1.0])


def test_tanh_squashes_before_it_maps_onto_the_bounds() -> None:
    act = actor(BOUNDED, "tanh")
    expected = np.float32([2.0 * math.tanh(0.3), 0.5 + 0.5 * math.tanh(-4.0)])
    np.testing.assert_array_equal(act(np.array([0.3, -4.0])), expected)


def test_identity_passes_outputs_on_inside_the_bounds() -> None:
    act = actor(spaces.Box(0.0, np.inf, (3,), np.float32), "identity")
    np.testing.assert_array_equal(act(np.array([-1.0, 2.5, 1e5])), np.float32([0.0, 2.5, 1e5]))


def test_actions_of_a_whole_number_box_are_rounded() -> None:
    act = actor(spaces.Box(0, 255, (2,), np.uint8), "clip")
    action = act(np.array([0.004, 1.0]))
    np.testing.assert_array_equal(action, [128, 255])
    assert action.dtype == np.uint8


@pytest.mark.parametrize("space", ACTION_SPACES, ids=str)
def test_an_output_that_is_nan_counts_as_zero(space: spaces.Space) -> None:
    size = check_action_size(space)
    outputs = np.where(np.arange(size) % 2 == 0, math.nan, -1.0)
    for rule in action_rules(space):
        act = actor(space, rule)
        np.testing.assert_array_equal(act(outputs), act(np.where(np.isnan(outputs), 0.0, outputs)))


def test_a_rule_that_is_not_for_the_space_is_refused() -> None:
    with pytest.raises(ValueError, match=r"no action rule for Discrete\(2\) 'clip' \(argmax\)"):
        actor(spaces.Discrete(2), "clip")
    with pytest.raises(ValueError, match=r"no action rule for Box.* 'tanh'.*identity"):
        actor(ACTION_SPACES[12], "tanh")
