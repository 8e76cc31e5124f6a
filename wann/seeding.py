"""Where every random number of a run comes from: the run's seed, a purpose, and a place."""

from __future__ import annotations

from enum import IntEnum

import numpy as np
from jaxtyping import Int64

EPISODE_BITS = 29  # an episode's seed fits in 31 bits: two of purpose, 29 drawn


class Purpose(IntEnum):
    """What random numbers are drawn for; episodes of different purposes never share a seed."""

    TRAIN = 0
    VALIDATION = 1
    TEST = 2
    REPRODUCTION = 3
    WEIGHTS = 4
    RANKING = 5


def generator(run_seed: int, purpose: Purpose, generation: int) -> np.random.Generator:
    """Return the generator for one purpose in one generation, the same on every machine."""
    return np.random.Generator(
        np.random.PCG64(np.random.SeedSequence((run_seed, int(purpose), generation)))
    )


def episode_seeds(
    run_seed: int, purpose: Purpose, generation: int, count: int
) -> Int64[np.ndarray, "R"]:
    """Return one seed an episode, from 0 to 2^31 - 1, common to all genomes and weights.

    purpose: TRAIN, VALIDATION or TEST; its two bits lead, so that the three sets are disjoint.
    """
    drawn = [
        np.random.SeedSequence((run_seed, int(purpose), generation, episode)).generate_state(1)[0]
        for episode in range(count)
    ]
    low = np.array(drawn, dtype=np.int64) & ((1 << EPISODE_BITS) - 1)
    return (int(purpose) << EPISODE_BITS) | low
