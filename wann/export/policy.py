"""Networks as policies: from an environment's observation to an action."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from jaxtyping import Float64

from wann.forward import forward
from wann.network import Network

if TYPE_CHECKING:
    from gymnasium import Space

    from wann.tasks import ControlTask

Outputs = Callable[[Float64[np.ndarray, "I"]], Float64[np.ndarray, "O"]]


@dataclass(frozen=True, eq=False)
class Policy:
    """A callable that plays an environment: `action = policy(observation)`.

    rule: how outputs become an action. inputs: from an observation to the network's inputs [I].
    outputs: from inputs to outputs [O]. act: from outputs to an action.
    """

    rule: str
    inputs: Callable[[Any], Float64[np.ndarray, "I"]]
    outputs: Outputs
    act: Callable[[Float64[np.ndarray, "O"]], Any]

    def __call__(self, observation: Any) -> Any:
        """Return the action for an observation of the environment's space."""
        return self.act(self.outputs(self.inputs(observation)))


def to_policy(
    network: Network,
    task: ControlTask | None = None,
    *,
    observation_space: Space[Any] | None = None,
    action_space: Space[Any] | None = None,
    library: Literal["numpy", "torch"] = "numpy",
    weight: float | None = None,
) -> Policy:
    """Return the network as a policy for an environment.

    task: whose spaces it has; by default the one that the network names. Or give the spaces of an
        environment of your own.
    The network's own offset, scale and action rule are used; where it names no rule, the task's or
    the space's first.
    library: what computes the outputs: the readable NumPy pass, or PyTorch in float64.
    weight: shared weight in place of the network's own.
    Raises ValueError when the network does not fit the spaces, or names no task and no spaces were
    given; what `wann.tasks.load_task` raises.
    """
    from wann.tasks import load_control_task
    from wann.tasks.spaces import action_rules, actor, check_action_size, flat_size, observer

    if library not in ("numpy", "torch"):
        raise ValueError(f"library must be 'numpy' or 'torch', but {library!r} was given")
    if (observation_space is None) != (action_space is None):
        raise ValueError("give both an observation space and an action space, or neither")
    rule = network.action
    if observation_space is None or action_space is None:
        if task is None:
            if not network.task:
                raise ValueError("the network names no task; give one, or both spaces")
            task = load_control_task(network.task)
        observation_space, action_space = task.observation_space, task.action_space
        rule = rule or task.action_rule
    topology = network.topology
    sizes = (topology.num_inputs, topology.num_outputs)
    wanted = (flat_size(observation_space), check_action_size(action_space))
    if sizes != wanted:
        raise ValueError(
            f"a policy for these spaces needs {wanted[0]} inputs and {wanted[1]} outputs, but the "
            f"network has {sizes[0]} and {sizes[1]}"
        )
    offset = np.array(network.offset or (0.0,) * sizes[0])
    scale = np.array(network.scale or (1.0,) * sizes[0])
    rule = rule or action_rules(action_space)[0]
    weights = network.weights if weight is None else float(weight)
    outputs: Outputs = lambda inputs: forward(topology, weights, inputs[None])[0]  # noqa: E731
    if library == "torch":
        outputs = _torch_outputs(network, weight)
    return Policy(
        rule, observer(observation_space, offset, scale), outputs, actor(action_space, rule)
    )


def _torch_outputs(network: Network, weight: float | None) -> Outputs:
    import torch

    from wann.export.pytorch import to_torch

    module = to_torch(network, weight=weight, dtype="float64", form="edges", trainable=False)

    def outputs(inputs: Float64[np.ndarray, "I"]) -> Float64[np.ndarray, "O"]:
        return module(torch.from_numpy(inputs[None]))[0].numpy()

    return outputs
