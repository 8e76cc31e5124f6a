"""Episodes that a network plays so that its exported file can be compared where it will be used."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float64

from wann.network import CONTROL_RULES, Network

if TYPE_CHECKING:
    from wann.export.policy import Policy
    from wann.tasks import ControlTask

DISCRETE_RULES = ("argmax", "argmax-groups", "positive")


@dataclass(frozen=True, eq=False)
class Visited:
    """What a network saw: its inputs [B, I] in some episodes, and what acts for it."""

    inputs: Float64[np.ndarray, "B I"]
    episodes: int
    policy: Policy | None

    def same_actions(
        self, left: Float64[np.ndarray, "B O"], right: Float64[np.ndarray, "B O"]
    ) -> Bool[np.ndarray, "B"]:
        """Return in which rows both outputs lead to the same action; actions of a Box all do."""
        same = np.ones(len(left), dtype=np.bool_)
        if self.policy is not None and self.policy.rule in DISCRETE_RULES:
            for row, (one, other) in enumerate(zip(left, right, strict=True)):
                same[row] = np.array_equal(self.policy.act(one), self.policy.act(other))
        return same


def visited(
    network: Network, task: ControlTask | None, num_episodes: int, max_steps: int
) -> Visited:
    """Return what a network sees in episodes of a task, each cut after `max_steps`.

    task: None for the one that the network names, which is then left out when it cannot be played
        here, or is "module:Id": a file from elsewhere must not have a module imported.
    """
    from wann.export.policy import to_policy

    nothing = Visited(np.zeros((0, network.topology.num_inputs)), 0, None)
    if task is None:
        if not network.task or ":" in network.task or network.action not in CONTROL_RULES:
            return nothing
        from wann.tasks import load_control_task

        try:
            task = load_control_task(network.task)
        except (ValueError, ImportError, RuntimeError):
            return nothing
        if (task.num_inputs, task.num_outputs) != (
            network.topology.num_inputs,
            network.topology.num_outputs,
        ):
            return nothing
    policy = to_policy(network, task)
    environment = task.make()
    rows: list[Float64[np.ndarray, "I"]] = []
    try:
        for seed in range(num_episodes):
            observation, _ = environment.reset(seed=seed)
            for _ in range(max_steps):
                rows.append(policy.inputs(observation))
                observation, _, terminated, truncated, _ = environment.step(policy(observation))
                if terminated or truncated:
                    break
    finally:
        environment.close()
    return Visited(np.array(rows), num_episodes, policy)
