"""The one table of activation functions: ids 1 to 11 and formulas of Gaier & Ha 2019.

Every other form of an activation (compiled, drawn, exported) is looked up by the id kept here.
neat-python has functions of the same names that differ; never map by name.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from wann.checks import unknown

Elementwise: TypeAlias = Callable[[np.ndarray], np.ndarray]
OnnxForm: TypeAlias = "str | float | tuple[OnnxForm, ...]"

MAX_ACTIVATION_ID = 255  # an id is kept in one byte


@dataclass(frozen=True)
class Activation:
    """An activation function.

    id: 1 to 11 are the paper's; a registered one gets the next free number.
    name: what files and options call it. formula: for people.
    function: NumPy form, float64 [...] to float64 [...], elementwise.
    c: C99 expression of `x`, of the type REAL that its surroundings define, with <tgmath.h>.
    onnx: an operator and its operands, which are "x", numbers, or operators with theirs.
    A registered activation has no `c` and no `onnx`. The PyTorch form stands in the file that an
    export takes along and can import nothing from here: `wann.export.torch_model`.
    """

    id: int
    name: str
    formula: str
    function: Elementwise
    c: str = ""
    onnx: OnnxForm = ()


def _linear(x: np.ndarray) -> np.ndarray:
    return x


def _step(x: np.ndarray) -> np.ndarray:
    return (x > 0.0).astype(np.float64)


def _sine(x: np.ndarray) -> np.ndarray:
    return np.sin(np.pi * (x - 2.0 * np.round(0.5 * x)))  # reduced first, so that 1e6 is exact


def _gaussian(x: np.ndarray) -> np.ndarray:
    return np.exp(-0.5 * x * x)


def _sigmoid(x: np.ndarray) -> np.ndarray:
    return 0.5 * (np.tanh(0.5 * x) + 1.0)


def _cosine(x: np.ndarray) -> np.ndarray:
    return np.cos(np.pi * (x - 2.0 * np.round(0.5 * x)))


def _relu(x: np.ndarray) -> np.ndarray:
    return np.maximum(x, 0.0)


def _scaled_onnx(operator: str) -> OnnxForm:
    """Return sine or cosine of pi x, x reduced to [-1, 1] first."""
    reduced = ("Sub", "x", ("Mul", 2.0, ("Round", ("Mul", 0.5, "x"))))
    return (operator, ("Mul", math.pi, reduced))


_C_TURNS = "((REAL)3.14159265358979323846 * (x - (REAL)2 * rint((REAL)0.5 * x)))"
PAPER_ACTIVATIONS = (
    Activation(1, "linear", "x", _linear, "x", "x"),
    Activation(
        2, "step", "1 if x > 0 else 0", _step,
        "x > 0 ? (REAL)1 : (REAL)0", ("Where", ("Greater", "x", 0.0), 1.0, 0.0),
    ),
    Activation(3, "sin", "sin(pi x)", _sine, f"sin{_C_TURNS}", _scaled_onnx("Sin")),
    Activation(
        4, "gaussian", "exp(-x^2 / 2)", _gaussian,
        "exp((REAL)-0.5 * x * x)", ("Exp", ("Mul", -0.5, ("Mul", "x", "x"))),
    ),
    Activation(5, "tanh", "tanh(x)", np.tanh, "tanh(x)", ("Tanh", "x")),
    Activation(
        6, "sigmoid", "1 / (1 + exp(-x))", _sigmoid,
        "(REAL)0.5 * (tanh((REAL)0.5 * x) + (REAL)1)", ("Sigmoid", "x"),
    ),
    Activation(7, "inverse", "-x", np.negative, "-x", ("Neg", "x")),
    Activation(8, "abs", "|x|", np.abs, "fabs(x)", ("Abs", "x")),
    Activation(9, "relu", "max(0, x)", _relu, "x < 0 ? (REAL)0 : x", ("Relu", "x")),
    Activation(10, "cos", "cos(pi x)", _cosine, f"cos{_C_TURNS}", _scaled_onnx("Cos")),
    Activation(11, "square", "x^2", np.square, "x * x", ("Mul", "x", "x")),
)  # fmt: skip
LINEAR, STEP, SIN, GAUSSIAN, TANH, SIGMOID, INVERSE, ABS, RELU, COS, SQUARE = (
    each.id for each in PAPER_ACTIVATIONS
)

_by_name = {each.name: each for each in PAPER_ACTIVATIONS}
_by_id = {each.id: each for each in PAPER_ACTIVATIONS}


def activation_names() -> tuple[str, ...]:
    """Return the names of all activations, the paper's first."""
    return tuple(_by_name)


def activation_ids() -> list[int]:
    """Return the ids of all activations, the paper's first."""
    return list(_by_id)


def activation_named(name: str) -> Activation:
    """Return the activation of this name. Raises ValueError with the nearest match."""
    if name not in _by_name:
        raise unknown("activation", name, _by_name)
    return _by_name[name]


def activation_of(activation_id: int) -> Activation:
    """Return the activation of this id. Raises ValueError when there is none."""
    if activation_id not in _by_id:
        known = f"1 to {max(_by_id)}"
        raise ValueError(f"activation ids are {known}, but {activation_id} was given")
    return _by_id[activation_id]


def register_activation(name: str, function: Elementwise, formula: str = "") -> Activation:
    """Return a new activation of the caller's own, known by `name` from now on.

    function: elementwise on float64 arrays of any shape. A network that uses it is evaluated by
        NumPy instead of a compiled kernel.
    Raises ValueError when the name is taken, and when the function changes shape or dtype or is not
    elementwise.
    """
    if not name.isidentifier():
        raise ValueError(f"an activation's name must be an identifier, but {name!r} was given")
    if name in _by_name:
        raise ValueError(f"an activation {name!r} is already registered; choose another name")
    _check_elementwise(name, function)
    if max(_by_id) >= MAX_ACTIVATION_ID:
        raise ValueError(f"at most {MAX_ACTIVATION_ID} activations can be registered")
    added = Activation(max(_by_id) + 1, name, formula or name, function)
    _by_name[name] = added
    _by_id[added.id] = added
    return added


def _check_elementwise(name: str, function: Elementwise) -> None:
    """Raise ValueError when the function changes shape or dtype, or mixes elements."""
    values = np.array([-0.5, 0.25, 1.0, -1.5, 2.0, -2.5])
    whole = None
    for inputs in (values.reshape(1, 6), values.reshape(2, 3), values, values[:3], values[:1]):
        result = function(inputs.copy())
        is_array = isinstance(result, np.ndarray)
        if not is_array or result.shape != inputs.shape or result.dtype != np.float64:
            came = f"{result.dtype} {result.shape}" if is_array else type(result).__name__
            raise ValueError(
                f"activation {name!r} must map float64 {inputs.shape} to the same, not {came}"
            )
        whole = result.ravel() if whole is None else whole
        if not np.allclose(result.ravel(), whole[: inputs.size], equal_nan=True):
            raise ValueError(f"activation {name!r} must be elementwise, but it mixes elements")


def is_compiled(activation_ids: np.ndarray) -> bool:
    """Return whether every id [N] is one of the paper's, which the compiled kernels know."""
    return bool(np.all(activation_ids <= len(PAPER_ACTIVATIONS)))
