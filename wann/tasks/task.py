"""What a search needs to know of a task, whatever kind it is."""

from __future__ import annotations

from typing import Any, Protocol

import numpy as np
from jaxtyping import Float64, Int64

from wann.seeding import Purpose
from wann.tasks.task_card import TaskCard


class Task(Protocol):
    """A task that networks are evaluated on."""

    @property
    def id(self) -> str:
        """Its name in commands, runs and network files."""
        ...

    @property
    def card(self) -> TaskCard:
        """What its file says, the [search] and [preset.NAME] tables among it."""
        ...

    @property
    def num_inputs(self) -> int:
        """Number of inputs I of a network."""
        ...

    @property
    def num_outputs(self) -> int:
        """Number of outputs O of a network."""
        ...

    @property
    def input_names(self) -> tuple[str, ...]:
        """A name for each input, for pictures."""
        ...

    @property
    def output_names(self) -> tuple[str, ...]:
        """A name for each output, for pictures."""
        ...

    @property
    def action_rule(self) -> str:
        """How outputs become actions: a name that network files carry."""
        ...

    @property
    def offset(self) -> Float64[np.ndarray, "I"]:
        """What is taken from an observation before it is divided by `scale`."""
        ...

    @property
    def scale(self) -> Float64[np.ndarray, "I"]:
        """What an observation is divided by, once `offset` is taken from it."""
        ...

    @property
    def observation_space(self) -> Any:
        """What networks see; as text, it goes into their files."""
        ...

    @property
    def solved(self) -> float | None:
        """The mean return that counts as solved, or None."""
        ...

    @property
    def notes(self) -> tuple[str, ...]:
        """What a user should be told once, a line each."""
        ...

    def seeds(
        self, run_seed: int, purpose: Purpose, generation: int, count: int
    ) -> Int64[np.ndarray, "R"]:
        """Return a seed for each episode, from 0 to 2^31 - 1, common to all genomes and weights.

        purpose: TRAIN, VALIDATION or TEST; its two bits lead, so that the three sets are disjoint.
        """
        ...
