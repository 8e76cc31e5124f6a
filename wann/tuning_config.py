"""What a tuning depends on, by method."""

from __future__ import annotations

from dataclasses import dataclass

from wann.checks import number_in, whole_number_in

METHODS = ("cma", "adam")
MAX_CLIMBS = 20  # so that each has a shared weight of its own to begin at


@dataclass(frozen=True)
class TuningConfig:
    """What a tuning by CMA-ES, from returns alone, depends on."""

    seed: int = 0
    """Where all random numbers come from"""
    generations: int | None = None
    """How many generations in all; none: 5000 where the task is compiled, 300 elsewhere"""
    climbs: int = 0
    """Begin so many, keep the better half, twice as long; 0: 8 where compiled, 1 elsewhere"""
    population: int = 0
    """Candidates a generation; 0: 64, or 4 + 3 ln(weights) if that is more"""
    episodes: int = 8
    """Episodes of each candidate, the same for all of a generation, new in the next"""
    sigma: float = 0.1
    """Standard deviation of the first candidates around where a climb begins"""
    decay: float = 0.01
    """Deviations of the candidates' returns that a mean square weight of 1 costs"""
    validation_episodes: int = 0
    """Episodes to choose in; 0: 500 where the task is compiled, 8 elsewhere"""
    test_episodes: int = 100
    """Episodes that the result is judged in, in Gymnasium"""

    def __post_init__(self) -> None:
        whole_number_in("seed", self.seed, 0, 2**63 - 1)
        if self.generations is not None:
            whole_number_in("generations", self.generations, 0, 1_000_000)
        whole_number_in("climbs", self.climbs, 0, MAX_CLIMBS)
        whole_number_in("population", self.population, 0, 100_000)
        if self.population in (1, 2, 3):
            raise ValueError(f"population must be 0 or at least 4, but {self.population} was given")
        whole_number_in("episodes", self.episodes, 1, 1_000_000)
        number_in("sigma", self.sigma, 1e-9, 1e6)
        number_in("decay", self.decay, 0.0, 1e6)
        whole_number_in("validation_episodes", self.validation_episodes, 0, 1_000_000)
        whole_number_in("test_episodes", self.test_episodes, 1, 1_000_000)


@dataclass(frozen=True)
class GradientConfig:
    """What a tuning by the gradient of the cross-entropy (Adam; Kingma & Ba 2015) depends on."""

    seed: int = 0
    """Where the order of the images comes from"""
    epochs: int = 60
    """How often all training images are seen, at most; the learning rate falls to 0 by then"""
    batch: int = 0
    """Images a step; 0: 250, or all there are if that is less"""
    learning_rate: float = 0.01
    """How far the first step goes; it falls along half a cosine"""
    patience: int = 20
    """Stop after so many epochs without a lower validation cross-entropy; 0: never"""

    def __post_init__(self) -> None:
        whole_number_in("seed", self.seed, 0, 2**63 - 1)
        whole_number_in("epochs", self.epochs, 0, 1_000_000)
        whole_number_in("batch", self.batch, 0, 1_000_000)
        number_in("learning_rate", self.learning_rate, 1e-9, 1e3)
        whole_number_in("patience", self.patience, 0, 1_000_000)
