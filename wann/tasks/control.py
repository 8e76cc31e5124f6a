"""Control tasks: a Gymnasium environment, seen as a network's inputs and outputs."""

from __future__ import annotations

from dataclasses import dataclass, fields
from functools import cached_property
from typing import Any

import numpy as np
from gymnasium import Space
from gymnasium.envs.registration import EnvSpec
from jaxtyping import Float64, Int64

from wann.seeding import Purpose, episode_seeds
from wann.tasks.card import Card
from wann.tasks.environment import Env, make_environment, resolve_spec
from wann.tasks.spaces import (
    Act,
    Observe,
    action_rules,
    actor,
    check_action_size,
    check_observation_size,
    element_names,
    observer,
)

RESETS_COMPLETELY = (  # where the entry points of environments begin that a reset makes as new
    "gymnasium.envs.classic_control",
    "gymnasium.envs.toy_text",
    "gymnasium.envs.box2d.lunar_lander",
    "wann_envs.",
)
DEFAULT_MAX_STEPS = 1000  # of an environment that declares no limit and whose card sets none


@dataclass(frozen=True, eq=False)
class ControlTask:
    """A Gymnasium environment as a task; see `wann.tasks.task.Task` for the common fields.

    spec: the registered environment, resolved, so that a worker which never imported the module
        that registered it can make it.
    observation_space, action_space: those a network sees, outside all wrappers.
    It can be pickled.
    """

    id: str
    card: Card
    spec: EnvSpec
    observation_space: Space[Any]
    action_space: Space[Any]
    input_names: tuple[str, ...]
    output_names: tuple[str, ...]
    action_rule: str
    offset: Float64[np.ndarray, "I"]
    scale: Float64[np.ndarray, "I"]
    max_steps: int
    notes: tuple[str, ...] = ()

    @property
    def num_inputs(self) -> int:
        """Number of inputs I: of numbers in a flattened observation."""
        return len(self.input_names)

    @property
    def num_outputs(self) -> int:
        """Number of outputs O that the action rule needs."""
        return len(self.output_names)

    @property
    def solved(self) -> float | None:
        """Mean return that counts as solved: the card's, else the environment's own, else None."""
        solved = self.spec.reward_threshold if self.card.solved is None else self.card.solved
        return None if solved is None else float(solved)

    @property
    def reuses_environment(self) -> bool:
        """Whether one environment may play many episodes: the card's word, else what is known.

        An environment whose reset leaves something of the episode before (BipedalWalker-v3 keeps
        its physics world) would give returns that depend on who played what.
        """
        if self.card.reuse_environment is not None:
            return self.card.reuse_environment
        is_wrapped = bool(self.card.wrappers or self.spec.additional_wrappers)
        return not is_wrapped and str(self.spec.entry_point).startswith(RESETS_COMPLETELY)

    def seeds(
        self, run_seed: int, purpose: Purpose, generation: int, count: int
    ) -> Int64[np.ndarray, "R"]:
        """Return a seed for each episode; see `wann.seeding.episode_seeds`."""
        return episode_seeds(run_seed, purpose, generation, count)

    def make(self, render_mode: str | None = None) -> Env:
        """Return a new environment with the card's arguments and wrappers.

        It cuts an episode after `max_steps` of its own steps.
        Raises what `wann.tasks.environment.make_environment` raises.
        """
        arguments = dict(self.card.arguments)
        if render_mode is not None:
            arguments["render_mode"] = render_mode
        return make_environment(self.spec, arguments, self.card.wrappers, self.max_steps)

    @cached_property
    def flatten(self) -> Observe:
        """The function from an observation to flat numbers [I], neither moved nor scaled."""
        size = self.num_inputs
        return observer(self.observation_space, np.zeros(size), np.ones(size))

    @cached_property
    def observe(self) -> Observe:
        """The function from an observation to a network's inputs; see `spaces.observer`."""
        return observer(self.observation_space, self.offset, self.scale)

    @cached_property
    def act(self) -> Act:
        """The function from a network's outputs to an action; see `spaces.actor`."""
        return actor(self.action_space, self.action_rule)

    def __getstate__(self) -> dict[str, Any]:
        return {each.name: getattr(self, each.name) for each in fields(self)}  # no closures


def control_task(card: Card) -> ControlTask:
    """Return the task that a card describes. Raises as `wann.tasks.load_task` does."""
    spec = resolve_spec(card.environment)
    max_steps = card.max_steps or spec.max_episode_steps
    try:
        environment = make_environment(
            spec, card.arguments, card.wrappers, max_steps or DEFAULT_MAX_STEPS
        )
    except ValueError as error:
        raise ValueError(f"{card.where}: {error}") from error
    try:
        observation_space = _space(environment, "observation_space")
        action_space = _space(environment, "action_space")
        return _fitted(card, spec, observation_space, action_space, max_steps)
    except ValueError as error:
        raise ValueError(f"{card.where}: {error}") from None
    finally:
        environment.close()


def _space(environment: Env, name: str) -> Space[Any]:
    space = getattr(environment, name, None)
    if not isinstance(space, Space):
        raise ValueError(f"its environment's {name} must be a Gymnasium space, but it is {space!r}")
    return space


def _fitted(
    card: Card,
    spec: EnvSpec,
    observation_space: Space[Any],
    action_space: Space[Any],
    max_steps: int | None,
) -> ControlTask:
    num_inputs = check_observation_size(observation_space)
    num_outputs = check_action_size(action_space)
    rule = card.action or action_rules(action_space)[0]
    actor(action_space, rule)  # raises when the rule is not for this space
    return ControlTask(
        id=card.task,
        card=card,
        spec=spec,
        observation_space=observation_space,
        action_space=action_space,
        input_names=_one_each("inputs", card.inputs, num_inputs)
        or element_names(observation_space),
        output_names=_one_each("outputs", card.outputs, num_outputs)
        or element_names(action_space, "action"),
        action_rule=rule,
        offset=_numbers(_one_each("offset", card.offset, num_inputs) or (0.0,) * num_inputs),
        scale=_numbers(_one_each("scale", card.scale, num_inputs) or (1.0,) * num_inputs),
        max_steps=max_steps or DEFAULT_MAX_STEPS,
        notes=_notes(card, spec, max_steps),
    )


def _one_each(key: str, values: tuple[Any, ...], size: int) -> tuple[Any, ...]:
    """Return the card's list when it is empty or has one value for each input or output."""
    if values and len(values) != size:
        kind = "output" if key == "outputs" else "input"
        raise ValueError(
            f"{key} must have a value for each of {size} {kind}s, but {len(values)} are given"
        )
    return values


def _numbers(values: tuple[Any, ...]) -> Float64[np.ndarray, "I"]:
    return np.array(values, dtype=np.float64)


def _notes(card: Card, spec: EnvSpec, max_steps: int | None) -> tuple[str, ...]:
    notes = []
    if card.environment.rpartition(":")[2] != spec.id:
        notes.append(f"{card.environment!r} has no version; the newest, {spec.id!r}, is used")
    if max_steps is None:
        notes.append(
            f"environment {spec.id!r} has no limit of steps; episodes are cut after "
            f"{DEFAULT_MAX_STEPS:,} (max_steps in a card changes it)"
        )
    return tuple(notes)
