import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wann.checks import nearest, number_in, unknown, whole_number_in

TASKS = ("CartPole-v1", "Acrobot-v1", "wann/SwingUp-v0")


def test_an_unknown_name_is_shown_with_the_nearest_known_one_and_where_to_look():
    error = unknown("task", "Cartpole-v1", TASKS, "`wann tasks` names all")
    wanted = "no task 'Cartpole-v1'; did you mean 'CartPole-v1'? (`wann tasks` names all)"
    assert str(error) == wanted
    assert isinstance(error, ValueError)


def test_a_name_like_no_other_gets_no_suggestion():
    assert str(unknown("task", "zzz", TASKS)) == "no task 'zzz'"
    assert nearest("anything", ()) == ""


def test_a_name_in_other_capitals_is_found():
    assert nearest("WANN/SWINGUP-V0", TASKS) == "; did you mean 'wann/SwingUp-v0'?"


@given(st.floats() | st.integers(), st.integers(-5, 5), st.integers(0, 10))
def test_a_number_comes_back_exactly_when_it_is_finite_and_in_range(value, low, width):
    if math.isfinite(value) and low <= value <= low + width:
        assert number_in("x", value, low, low + width) == value
    else:
        with pytest.raises(ValueError, match="x must be between"):
            number_in("x", value, low, low + width)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, -1, -(10**400)])
def test_a_number_without_an_upper_bound_must_still_be_finite_and_large_enough(value):
    with pytest.raises(ValueError, match=r"rate must be at least 0, but .* was given"):
        number_in("rate", value, 0)


def test_large_bounds_are_written_with_thousands_apart():
    with pytest.raises(ValueError, match="population must be between 2 and 100,000, but 1000000"):
        whole_number_in("population", 1_000_000, 2, 100_000)


def test_an_int_that_no_float_can_hold_is_compared_as_it_is():
    assert whole_number_in("count", 10**400, 1) == 10**400
    with pytest.raises(ValueError, match="count must be between 1 and 5, but 1000"):
        whole_number_in("count", 10**400, 1, 5)


@pytest.mark.parametrize("value", [True, False, "3", None, [3], 3j])
def test_what_is_no_number_is_refused_by_type(value):
    with pytest.raises(TypeError, match="x must be a number, but"):
        number_in("x", value, 0)


@pytest.mark.parametrize("value", [True, 3.0, "3", None])
def test_only_an_int_is_a_whole_number(value):
    with pytest.raises(TypeError, match="x must be a whole number, but"):
        whole_number_in("x", value, 0)


@pytest.mark.parametrize("value", [0, 5, 10])
def test_both_bounds_belong_to_the_range(value):
    assert whole_number_in("x", value, 0, 10) == value
