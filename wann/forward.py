"""The readable NumPy forward pass: what every faster one is tested against."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from wann.activations import activation_of
from wann.topology import Topology


def forward(
    topology: Topology,
    weights: float | Float64[np.ndarray, "E"],
    inputs: Float64[np.ndarray, "B I"],
) -> Float64[np.ndarray, "B O"]:
    """Return the outputs for a batch of inputs.

    weights: one number that every link shares, or one for each link, in the order of
        `topology.sources`. A weight of 0 keeps its link.
    A node is activation(sum of weight * source); with a shared weight, activation(weight * sum).
    Raises ValueError when shapes do not fit the topology.
    """
    _, values = trace(topology, weights, inputs)
    return values[topology.outputs].T


def trace(
    topology: Topology,
    weights: float | Float64[np.ndarray, "E"],
    inputs: Float64[np.ndarray, "B I"],
) -> tuple[Float64[np.ndarray, "N B"], Float64[np.ndarray, "N B"]]:
    """Return what each node is given and what it gives: its sum before activation, and its value.

    The bias and the inputs are given what they give. Weights and errors as in `forward`.
    """
    if inputs.ndim != 2 or inputs.shape[1] != topology.num_inputs:
        wanted = f"(batch, {topology.num_inputs})"
        raise ValueError(f"inputs must have shape {wanted}, but they have {inputs.shape}")
    shared = isinstance(weights, float | int)
    if not shared and weights.shape != (topology.num_connections,):
        wanted = f"({topology.num_connections},)"
        raise ValueError(f"weights must have shape {wanted}, but they have {weights.shape}")
    values = np.zeros((topology.num_nodes, len(inputs)))
    values[0] = 1.0
    values[1 : 1 + topology.num_inputs] = inputs.T
    sums = values.copy()
    with np.errstate(over="ignore", invalid="ignore"):
        for node in range(1 + topology.num_inputs, topology.num_nodes):
            links = slice(topology.offsets[node], topology.offsets[node + 1])
            incoming = values[topology.sources[links]]
            sums[node] = weights * incoming.sum(axis=0) if shared else weights[links] @ incoming
            values[node] = activation_of(int(topology.activations[node])).function(sums[node])
    return sums, values
