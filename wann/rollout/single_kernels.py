"""Compiled twin of `wann.forward` for one observation at a time, with scalars.

Imported when a policy is made, so that `import wann.rollout.single` loads no Numba; called with
checked arguments only.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float64, Int32, UInt8
from numba import njit

from wann.activations import (
    ABS,
    COS,
    GAUSSIAN,
    INVERSE,
    LINEAR,
    RELU,
    SIGMOID,
    SIN,
    STEP,
    TANH,
)


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def activate(activation: int, x: float) -> float:
    """Return one of the paper's 11 activations of `x`; see `wann.activations`."""
    if activation == LINEAR:
        return x
    if activation == STEP:
        return 1.0 if x > 0.0 else 0.0
    if activation == SIN:
        return math.sin(math.pi * (x - 2.0 * np.rint(0.5 * x)))
    if activation == GAUSSIAN:
        return math.exp(-0.5 * x * x)
    if activation == TANH:
        return math.tanh(x)
    if activation == SIGMOID:
        return 0.5 * (math.tanh(0.5 * x) + 1.0)
    if activation == INVERSE:
        return -x
    if activation == ABS:
        return abs(x)
    if activation == RELU:
        return 0.0 if x < 0.0 else x
    if activation == COS:
        return math.cos(math.pi * (x - 2.0 * np.rint(0.5 * x)))
    return x * x


@njit(cache=True, nogil=True, error_model="numpy", fastmath={"contract"})
def forward_one(
    offsets: Int32[np.ndarray, "N+1"],
    sources: Int32[np.ndarray, "E"],
    activations: UInt8[np.ndarray, "N"],
    outputs: Int32[np.ndarray, "O"],
    shared: float,
    weights: Float64[np.ndarray, "E"],
    inputs: Float64[np.ndarray, "I"],
    values: Float64[np.ndarray, "N"],
) -> Float64[np.ndarray, "O"]:
    """Return a new array with the outputs for one vector of inputs.

    A node is activation(shared * sum of weights[link] * source); one of the two is all ones.
    offsets, sources, activations, outputs: those of a `wann.topology.Topology`.
    values: overwritten; values[0] is 1.
    """
    num_inputs = len(inputs)
    for index in range(num_inputs):
        values[1 + index] = inputs[index]
    for node in range(1 + num_inputs, len(activations)):
        total = 0.0
        for link in range(offsets[node], offsets[node + 1]):
            total += weights[link] * values[sources[link]]
        values[node] = activate(activations[node], shared * total)
    result = np.empty(len(outputs))
    for index in range(len(outputs)):
        result[index] = values[outputs[index]]
    return result
