"""Populations: the genomes of a generation."""

from __future__ import annotations

from dataclasses import dataclass

from wann.genome import Genomes


@dataclass(frozen=True, eq=False)
class Population:
    """The genomes of one generation, which are counted from 0."""

    genomes: Genomes
    generation: int

    def __len__(self) -> int:
        return len(self.genomes)
