"""Policies: a network as a function of one observation, for environments that run in Python."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64

from wann.activations import is_compiled
from wann.forward import forward
from wann.kernel_cache import use_kernel_cache
from wann.topology import Topology

Policy: TypeAlias = Callable[[Float64[np.ndarray, "I"]], Float64[np.ndarray, "O"]]


def policy(topology: Topology, weights: float | Float64[np.ndarray, "E"]) -> Policy:
    """Return the function from one vector of inputs [I] to a new array of outputs [O].

    weights: one number that every link shares, or one for each link, as in `wann.forward`.
    Compiled when all activations are the paper's, else the same in NumPy, some 20 times slower.
    It keeps a buffer: give each thread a policy of its own.
    Raises ValueError when there are not as many weights as links.
    """
    shared = isinstance(weights, float | int)
    if not shared and weights.shape != (topology.num_connections,):
        wanted = f"({topology.num_connections},)"
        raise ValueError(f"weights must have shape {wanted}, but they have {weights.shape}")
    if not is_compiled(topology.activations):
        return lambda inputs: forward(topology, weights, inputs[np.newaxis])[0]
    return _compiled(
        topology,
        float(weights) if shared else 1.0,
        np.ones(topology.num_connections) if shared else np.array(weights, dtype=np.float64),
    )


def _compiled(topology: Topology, shared: float, weights: Float64[np.ndarray, "E"]) -> Policy:
    use_kernel_cache()
    from wann.rollout.single_kernels import forward_one

    values = np.zeros(topology.num_nodes)
    values[0] = 1.0  # the bias
    offsets, sources = topology.offsets, topology.sources
    activations, outputs = topology.activations, topology.outputs
    num_inputs = topology.num_inputs

    def act_on(inputs: Float64[np.ndarray, "I"]) -> Float64[np.ndarray, "O"]:
        if inputs.shape != (num_inputs,):
            raise ValueError(
                f"inputs must have shape ({num_inputs},), but they have {inputs.shape}"
            )
        return forward_one(offsets, sources, activations, outputs, shared, weights, inputs, values)

    return act_on
