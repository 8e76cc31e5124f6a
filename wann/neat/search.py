"""A run of neat-python with our tasks, episodes and archive: the baseline of `--algorithm neat`."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Int64

from wann.archive import Archive
from wann.config import SearchConfig
from wann.coordinator import VALIDATED_A_GENERATION, GenerationReport
from wann.neat.genomes import neat_config, network_parts
from wann.neat.state import (
    NeatState,
    OwnRandom,
    first_population,
    from_arrays,
    network_key,
    to_arrays,
)
from wann.network_evaluator import NetworkEvaluator, WeightedTopology
from wann.seeding import Purpose, episode_seeds, generator
from wann.topology import Topologies

if TYPE_CHECKING:
    import neat


class NeatSearch:
    """A run of neat-python: what `Coordinator` is for a search, and shown and kept in the same way.

    Population, speciation, crossover, mutation and weights are neat-python's; fitness is the mean
    return over the episodes of the generation, which all genomes share. The archive takes its
    networks by held-out episodes, as that of a search does.
    `state` is replaced whole at the end of `step`, so an interrupted generation leaves no trace.
    neat-python's random numbers follow from the run's seed; Python's own are left as they were.
    """

    def __init__(
        self,
        config: SearchConfig,
        num_inputs: int,
        num_outputs: int,
        evaluator: NetworkEvaluator,
        state: NeatState | None = None,
    ) -> None:
        """Start a run, or go on from a state.

        Raises ValueError when the configuration is not one of algorithm "neat", or when the state
        is damaged or of another task.
        """
        if config.algorithm != "neat":
            raise ValueError(f"algorithm must be 'neat' here, but it is {config.algorithm!r}")
        self.config = config
        self.evaluator = evaluator
        self._sizes = num_inputs, num_outputs
        self._neat = neat_config(config, num_inputs, num_outputs)
        self._population: neat.Population | None = None
        if state is None:
            drawn = generator(config.seed, Purpose.REPRODUCTION, 0).integers(0, 1 << 63)
            self._random = OwnRandom(int(drawn))
            self._population = first_population(self._neat, self._random)
            arrays = to_arrays(self._population, self._random)
            state = NeatState(arrays, Archive(), num_inputs, num_outputs)
        if (state.num_inputs, state.num_outputs) != (num_inputs, num_outputs):
            raise ValueError(
                f"the population has {state.num_inputs} inputs and {state.num_outputs} outputs, "
                f"but the task has {num_inputs} and {num_outputs}"
            )
        self.state = state
        self._restored()

    @property
    def generation(self) -> int:
        """The generation that comes next, counted from 0."""
        return self.state.generation

    @property
    def archive(self) -> Archive:
        """The non-dominated networks so far, by held-out scores."""
        return self.state.archive

    def held_out(self, purpose: Purpose) -> tuple[None, Int64[np.ndarray, "R"]]:
        """Return no shared weights, and the seeds of the VALIDATION or TEST episodes."""
        config = self.config
        is_test = purpose == Purpose.TEST
        count = config.test_episodes if is_test else config.validation_episodes
        return None, episode_seeds(config.seed, purpose, 0, count)

    def step(self) -> GenerationReport:
        """Run one generation. Raises what the evaluator raises."""
        population = self._restored()
        members = list(population.population.values())
        networks = [network_parts(each, *self._sizes) for each in members]
        keys = [network_key(*each) for each in networks]
        topologies = Topologies.stack([topology for topology, _ in networks], keys)
        seeds = episode_seeds(
            self.config.seed, Purpose.TRAIN, self.generation, self.config.episodes
        )
        scores = self.evaluator.evaluate(networks, seeds)
        for genome, fitness in zip(members, scores.mean.tolist(), strict=True):
            genome.fitness = fitness
        chosen = self.archive.candidates(topologies, scores, VALIDATED_A_GENERATION)
        archive, held_out_steps = self._archived(topologies, networks, chosen)
        sizes = topologies.num_connections
        best = int(scores.mean.argmax())
        report = GenerationReport(
            generation=self.generation,
            best=float(scores.mean[best]),
            median=float(np.median(scores.mean)),
            peak=float(scores.mean[best]),
            connections=int(sizes[best]),
            median_connections=float(np.median(sizes)),
            validated=archive.best_mean,
            archive_size=len(archive.entries),
            distinct=len(set(keys)),
            num_steps=scores.num_steps + held_out_steps,
        )
        self._population = None  # until the next generation is whole
        with self._random.in_place():
            population.run(lambda genomes, config: None, 1)  # their fitness is known
        reproduction: Any = population.reproduction
        reproduction.ancestors.clear()
        self.state = NeatState(to_arrays(population, self._random), archive, *self._sizes)
        self._population = population
        return report

    def _restored(self) -> neat.Population:
        """Return the population of `state`."""
        if self._population is None:
            self._population, self._random = from_arrays(self.state.arrays, self._neat)
        return self._population

    def _archived(
        self,
        topologies: Topologies,
        networks: list[WeightedTopology],
        chosen: Int64[np.ndarray, "K"],
    ) -> tuple[Archive, int]:
        """Return the archive after the chosen networks' held-out test, and its steps."""
        if len(chosen) == 0:
            return self.archive, 0
        candidates = [networks[index] for index in chosen.tolist()]
        held_out = self.evaluator.evaluate(candidates, self.held_out(Purpose.VALIDATION)[1])
        weights = [each for _, each in candidates]
        archive = self.archive.add(topologies.take(chosen), held_out, self.generation, weights)
        return archive, held_out.num_steps

    def run(
        self, callbacks: Iterable[Callable[[Any, GenerationReport], bool | None]] = ()
    ) -> Archive:
        """Run the generations that are left and return the archive; see `Coordinator.run`."""
        callbacks = tuple(callbacks)
        while self.generation < self.config.generations:
            report = self.step()
            answers = [callback(self, report) for callback in callbacks]
            if any(answers):
                break
        return self.archive
