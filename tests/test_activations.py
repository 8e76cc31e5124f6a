import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from wann import activations
from wann.activations import (
    PAPER_ACTIVATIONS,
    activation_ids,
    activation_named,
    activation_names,
    activation_of,
    is_compiled,
    register_activation,
)

DEFINITIONS = {  # Gaier & Ha 2019, by the math module
    1: ("linear", lambda x: x),
    2: ("step", lambda x: 1.0 if x > 0 else 0.0),
    3: ("sin", lambda x: math.sin(math.pi * math.fmod(x, 2.0))),
    4: ("gaussian", lambda x: math.exp(-min(x * x / 2, 1e4))),
    5: ("tanh", math.tanh),
    6: ("sigmoid", lambda x: 1 / (1 + math.exp(-x)) if x > -700 else 0.0),
    7: ("inverse", lambda x: -x),
    8: ("abs", math.fabs),
    9: ("relu", lambda x: max(0.0, x)),
    10: ("cos", lambda x: math.cos(math.pi * math.fmod(x, 2.0))),
    11: ("square", lambda x: x * x),
}
LARGE = [1e3, 1e6 + 0.25, 1e9 + 0.5, 1e15, 1e100]
VALUES = [0.0, -0.0, 0.5, -0.5, 1.0, 1e-9, -1e-9, 2.0, 3.7, -8.25, 40.0, *LARGE]


@pytest.fixture
def own_table(monkeypatch):
    """The paper's activations alone; registrations do not outlive the test."""
    monkeypatch.setattr(activations, "_by_name", {each.name: each for each in PAPER_ACTIVATIONS})
    monkeypatch.setattr(activations, "_by_id", {each.id: each for each in PAPER_ACTIVATIONS})


def applied(activation, values):
    return activation.function(np.array(values, dtype=np.float64)[None, :])[0]


@pytest.mark.parametrize("activation_id", DEFINITIONS)
def test_an_activation_is_its_formula(activation_id):
    name, definition = DEFINITIONS[activation_id]
    activation = activation_of(activation_id)
    assert activation.name == name
    values = [*VALUES, *(-each for each in LARGE)]
    expected = [definition(value) for value in values]
    with np.errstate(over="ignore"):
        np.testing.assert_allclose(applied(activation, values), expected, rtol=1e-14, atol=2e-16)


def test_the_paper_has_eleven_activations_and_ids_follow_its_order():
    assert activation_ids()[:11] == list(range(1, 12))
    assert activation_names()[:11] == tuple(name for name, _ in DEFINITIONS.values())
    assert [activation_named(each.name) for each in PAPER_ACTIVATIONS] == list(PAPER_ACTIVATIONS)


@given(st.integers(-(2**40), 2**40))
def test_sine_and_cosine_of_whole_numbers_are_exact(whole):
    assert abs(applied(activation_named("sin"), [float(whole)])[0]) < 3e-16
    assert applied(activation_named("cos"), [float(whole)])[0] == (-1.0) ** (whole % 2)


@given(st.floats(-1e6, 1e6))
def test_bounded_activations_stay_in_their_bounds(value):
    for name, low, high in [("tanh", -1, 1), ("sigmoid", 0, 1), ("gaussian", 0, 1), ("sin", -1, 1)]:
        assert low <= applied(activation_named(name), [value])[0] <= high


def test_an_unknown_name_is_refused_with_the_nearest():
    with pytest.raises(ValueError, match="no activation 'tanhh'; did you mean 'tanh'"):
        activation_named("tanhh")


@pytest.mark.parametrize("activation_id", [0, -1, 200])
def test_an_unknown_id_is_refused(activation_id):
    with pytest.raises(ValueError, match=rf"ids are 1 to \d+, but {activation_id} was given"):
        activation_of(activation_id)


def test_a_registered_activation_gets_the_next_id_and_no_kernel(own_table):
    added = register_activation("softplus", lambda x: np.logaddexp(0.0, x), "log(1 + exp(x))")
    assert added.id == 12
    assert activation_named("softplus") is activation_of(12) is added
    assert is_compiled(np.array([1, 11], dtype=np.uint8))
    assert not is_compiled(np.array([1, added.id], dtype=np.uint8))


def test_the_last_id_is_the_largest_that_a_byte_holds(own_table):
    for number in range(12, 256):
        assert register_activation(f"copy{number}", np.tanh).id == number
    with pytest.raises(ValueError, match="at most 255 activations"):
        register_activation("one_more", np.tanh)


@pytest.mark.parametrize("name", ["", "two words", "1st", "a,b"])
def test_a_registered_name_must_be_an_identifier(own_table, name):
    with pytest.raises(ValueError, match="name must be an identifier"):
        register_activation(name, np.tanh)


def test_a_name_is_registered_once(own_table):
    with pytest.raises(ValueError, match="'tanh' is already registered"):
        register_activation("tanh", np.tanh)


@pytest.mark.parametrize(
    ("function", "got"),
    [
        (lambda x: x[0], r"float64 \(6,\)"),
        (lambda x: x.astype(np.float32), r"float32 \(1, 6\)"),
        (lambda x: x > 0, r"bool \(1, 6\)"),
        (lambda x: 1.0, "float"),
    ],
)
def test_a_function_that_changes_shape_or_dtype_is_refused_and_shown(own_table, function, got):
    with pytest.raises(ValueError, match=rf"float64 \(1, 6\) to the same, not {got}$"):
        register_activation("odd", function)
    assert "odd" not in activation_names()


@pytest.mark.parametrize(
    ("function", "got"),
    [
        (lambda x: x[:1], r"float64 \(2, 3\) to the same, not float64 \(1, 3\)"),
        (lambda x: x if x.ndim > 1 else x[:1], r"float64 \(6,\) to the same, not float64 \(1,\)"),
        (lambda x: x - x.mean(), "be elementwise, but it mixes elements"),
        (lambda x: x / np.abs(x).max(axis=-1, keepdims=True), "be elementwise"),
    ],
)
def test_a_function_that_is_not_elementwise_is_refused(own_table, function, got):
    with pytest.raises(ValueError, match=f"activation 'odd' must (map )?{got}"):
        register_activation("odd", function)
    assert "odd" not in activation_names()
