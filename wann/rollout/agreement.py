"""Single steps and single forward passes of the compiled kernels, to compare with their oracles."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64, Int64

from wann.kernel_cache import use_kernel_cache
from wann.rollout.compiled import CompiledTask, checked, kernel_arrays, kernel_rules

if TYPE_CHECKING:
    from wann.topology import Topologies


def step(
    task: CompiledTask,
    states: Float64[np.ndarray, "B S"],
    outputs: Float64[np.ndarray, "B O"],
    num_steps: Int64[np.ndarray, "B"],
) -> tuple[
    Float64[np.ndarray, "B S"],
    Float64[np.ndarray, "B I"],
    Float64[np.ndarray, "B"],
    Bool[np.ndarray, "B"],
]:
    """Return states, observations, rewards and ends after one step in B environments.

    states: as `CompiledTask.complete_state` gives them. outputs: what the networks say, before the
        action rule; NaN counts as 0. num_steps: how many steps each episode had before (the first
        step of MountainCarContinuous computes with more digits). No time limit ends an episode.
    Raises ValueError for sizes that do not fit and states that are not finite.
    """
    use_kernel_cache()
    from wann.rollout import lanes

    count = len(states)
    states = checked("states", states, (count, task.num_state)).copy()
    if outputs.shape != (count, task.num_outputs):
        wanted = (count, task.num_outputs)
        raise ValueError(f"outputs must have shape {wanted}, but the shape is {outputs.shape}")
    observations = np.zeros((count, task.num_inputs))
    rewards = np.zeros(count)
    ended = np.zeros(count, dtype=bool)
    lanes.step_lanes(
        lanes.Rules(*kernel_rules(task, math.inf)),
        states,
        np.array(outputs, dtype=np.float64, order="C"),
        np.array(num_steps, dtype=np.int64),
        observations,
        rewards,
        ended,
    )
    return states, observations, rewards, ended


def network_outputs(
    topologies: Topologies,
    index: int,
    weights: Float64[np.ndarray, "B"],
    inputs: Float64[np.ndarray, "B I"],
) -> Float64[np.ndarray, "B O"]:
    """Return the outputs of one network of a batch as the rollout kernel computes them.

    weights: the shared weight for each input. The oracle is `wann.forward.forward`.
    Raises ValueError for sizes that do not fit.
    """
    use_kernel_cache()
    from wann.rollout import lanes

    if not 0 <= index < len(topologies):
        raise ValueError(f"no topology {index} in a batch of {len(topologies)}")
    count = len(weights)
    if inputs.shape != (count, topologies.num_inputs):
        wanted = (count, topologies.num_inputs)
        raise ValueError(f"inputs must have shape {wanted}, but the shape is {inputs.shape}")
    computed = np.zeros((count, topologies.num_outputs))
    lanes.compute_lanes(
        *kernel_arrays(topologies),
        index,
        np.array(weights, dtype=np.float64),
        np.array(inputs, dtype=np.float64, order="C"),
        computed,
    )
    return computed
