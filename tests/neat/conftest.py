"""neat-python as the baseline runs it, on a small task."""

from __future__ import annotations

import random
from collections.abc import Callable

import neat
import pytest

from wann.config import SearchConfig
from wann.neat.genomes import neat_config
from wann.neat.state import OwnRandom

Grow = Callable[..., tuple[list[neat.DefaultGenome], neat.Config]]


@pytest.fixture
def grow() -> Grow:
    """Return what gives genomes after many of neat-python's mutations, and their configuration."""

    def grow(
        num_inputs: int, num_outputs: int, activations: tuple[str, ...], rounds: int, seed: int
    ) -> tuple[list[neat.DefaultGenome], neat.Config]:
        settings = SearchConfig(algorithm="neat", activations=activations, population=8)
        config = neat_config(settings, num_inputs, num_outputs)
        config.genome_config.response_mutate_rate = 0.5  # a run keeps it at 1
        config.genome_config.response_mutate_power = 0.5
        config.genome_config.enabled_mutate_rate = 0.1
        with OwnRandom(seed).in_place():
            genomes = list(neat.Population(config).population.values())
            for genome in genomes:
                for _ in range(random.randint(0, rounds)):
                    genome.mutate(config.genome_config)
        return genomes, config

    return grow
