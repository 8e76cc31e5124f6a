"""The coordinator: ask for networks, tell their scores, and a generation has passed."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from jaxtyping import Float64, Int64

from wann.archive import Archive
from wann.checks import whole_number_in
from wann.config import SearchConfig
from wann.objectives import Measures, objectives_of
from wann.population import Population
from wann.ranking import rank
from wann.reproduction import first_generation, next_generation
from wann.scores import Fault, Quarantined, Scores
from wann.seeding import Purpose, episode_seeds, generator
from wann.topology import Topologies, compile_all

if TYPE_CHECKING:
    from wann.evaluation import Evaluator
    from wann.tasks.faults import EnvironmentFault

VALIDATED_A_GENERATION = 4  # networks at most that a generation may send to held-out episodes
BY_SIZE, BY_BEST_WEIGHT = ("mean", "connections"), ("mean", "best")  # Gaier & Ha 2019, section 3.3

_log = logging.getLogger("wann")


@dataclass(frozen=True)
class GenerationReport:
    """What happened in one generation.

    best, median: mean return over weights and training episodes, of the best and the median genome.
    peak: highest mean return of any genome under one weight.
    connections, median_connections: of the best and the median genome.
    validated: highest held-out mean return in the archive so far; archive_size: its networks.
    distinct: different networks among the genomes. num_steps: environment steps, held-out included.
    """

    generation: int
    best: float
    median: float
    peak: float
    connections: int
    median_connections: float
    validated: float
    archive_size: int
    distinct: int
    num_steps: int


Seeds: TypeAlias = Callable[[int, Purpose, int, int], Int64[np.ndarray, "R"]]
Callback: TypeAlias = Callable[["Coordinator", GenerationReport], bool | None]


@dataclass(frozen=True, eq=False)
class SearchState:
    """All that a search carries from one generation to the next.

    quarantined: networks that had a fault, each once, in the order in which they were found.
    """

    population: Population
    archive: Archive
    quarantined: tuple[Quarantined, ...] = ()

    @property
    def generation(self) -> int:
        """The generation that comes next, counted from 0."""
        return self.population.generation


@dataclass(frozen=True, eq=False)
class _Asked:
    """The different networks of a generation, and each genome's place [G] among them.

    scored: which of them are to be scored, the others being quarantined; `open` is those.
    """

    topologies: Topologies
    places: Int64[np.ndarray, "G"]
    scored: Int64[np.ndarray, "S"]
    open: Topologies


class Coordinator:
    """A search: its state, and the loop that moves it on.

    With an evaluator, `step` and `run` do everything. Without one, score the networks of `ask` in
    a way of your own and `tell` it; the archive then keeps those scores as they are.
    `state` is replaced whole at the end of `tell`, so an interrupted generation leaves no trace.
    A network with a fault, in training or held-out episodes, is quarantined: it is not asked for
    again and ranks last, with minus infinity. Each is a warning of the logger "wann".
    """

    def __init__(
        self,
        config: SearchConfig,
        num_inputs: int,
        num_outputs: int,
        evaluator: Evaluator | None = None,
        state: SearchState | None = None,
    ) -> None:
        """Start a search, or go on from a state.

        evaluator: its `task`, if it has one, says what the seeds are; see `Task.seeds`.
        Raises ValueError when its genomes have other numbers of inputs or outputs, or when these
        are not positive; TypeError when they are no whole numbers.
        """
        whole_number_in("num_inputs", num_inputs, 1)
        whole_number_in("num_outputs", num_outputs, 1)
        if state is None:
            rng = generator(config.seed, Purpose.REPRODUCTION, 0)
            state = SearchState(first_generation(num_inputs, num_outputs, config, rng), Archive())
        genomes = state.population.genomes
        if (genomes.num_inputs, genomes.num_outputs) != (num_inputs, num_outputs):
            raise ValueError(
                f"the population has {genomes.num_inputs} inputs and {genomes.num_outputs} "
                f"outputs, but the task has {num_inputs} and {num_outputs}"
            )
        self.config = config
        self.evaluator = evaluator
        self.state = state
        self._asked: _Asked | None = None
        task = getattr(evaluator, "task", None)
        self._draw: Seeds = episode_seeds if task is None else task.seeds

    @property
    def generation(self) -> int:
        """The generation that `ask` gives next, counted from 0."""
        return self.state.population.generation

    @property
    def archive(self) -> Archive:
        """The non-dominated networks found so far."""
        return self.state.archive

    @property
    def weights(self) -> Float64[np.ndarray, "W"]:
        """Shared weights of this generation."""
        return self._weights(Purpose.TRAIN, self.generation)

    @property
    def seeds(self) -> Int64[np.ndarray, "R"]:
        """Seeds of this generation's training episodes, common to all genomes and weights."""
        config = self.config
        return self._draw(config.seed, Purpose.TRAIN, self.generation, config.episodes)

    def held_out(self, purpose: Purpose) -> tuple[Float64[np.ndarray, "W"], Int64[np.ndarray, "R"]]:
        """Return weights and seeds of the VALIDATION or TEST episodes, the same all run long."""
        config = self.config
        validating = purpose == Purpose.VALIDATION
        count = config.validation_episodes if validating else config.test_episodes
        return self._weights(purpose, 0), self._draw(config.seed, purpose, 0, count)

    def _weights(self, purpose: Purpose, generation: int) -> Float64[np.ndarray, "W"]:
        place = generation * len(Purpose) + int(purpose)
        rng = generator(self.config.seed, Purpose.WEIGHTS, place)
        return self.config.shared_weights.draw(rng)

    def ask(self) -> Topologies:
        """Return the different networks of this generation, to be scored under `weights`.

        Genomes with equal live topologies are asked for once, quarantined ones not at all.
        Raises EnvironmentFault when that leaves none.
        """
        return self._distinct().open

    def _distinct(self) -> _Asked:
        if self._asked is None:
            topologies = compile_all(self.state.population.genomes)
            _, firsts, places = np.unique(topologies.keys, return_index=True, return_inverse=True)
            order = np.argsort(firsts)  # np.unique sorts by key; keep the genomes' order
            rank_of = np.empty_like(order)
            rank_of[order] = np.arange(len(order))
            topologies = topologies.take(firsts[order])
            quarantined = {each.key for each in self.state.quarantined}
            is_open = [key not in quarantined for key in topologies.keys.tolist()]
            if not any(is_open):
                raise _no_score(self.generation, self.state.quarantined[-1].reason)
            scored = np.flatnonzero(is_open)
            some = topologies if all(is_open) else topologies.take(scored)
            self._asked = _Asked(topologies, rank_of[places], scored, some)
        return self._asked

    def tell(self, scores: Scores) -> GenerationReport:
        """Take the scores of the networks that `ask` gave, and breed the next generation.

        Raises TypeError when they are no Scores, ValueError when there are not as many as networks
        or weights, and EnvironmentFault when a fault leaves the generation without any score.
        """
        if not isinstance(scores, Scores):
            raise TypeError(
                f"tell takes wann.Scores, but {type(scores).__name__} was given; "
                "wrap the returns [G, W, R]: Scores(returns)"
            )
        asked = self._distinct()
        if len(scores.returns) != len(asked.open):
            raise ValueError(
                f"{len(asked.open)} networks were asked for, but {len(scores.returns)} were scored"
            )
        if scores.returns.shape[1] != len(self.weights):
            raise ValueError(
                f"networks must be scored under {len(self.weights)} weights, "
                f"but they were under {scores.returns.shape[1]}"
            )
        scores = _of_all(asked, scores)
        if scores.faults and not (scores.returns > -np.inf).any():
            raise _no_score(self.generation, scores.faults[0].reason)
        archive, held_out_steps, held_out_faults = self._archived(asked.topologies, scores)
        rng = generator(self.config.seed, Purpose.REPRODUCTION, self.generation + 1)
        order = self._order(asked, scores)
        population = next_generation(self.state.population, order, self.config, rng)
        num_steps = scores.num_steps + held_out_steps
        report = _report(self.generation, asked, scores, archive, num_steps)
        found = self._faulty(asked.topologies, scores.faults) + held_out_faults
        for each in found:
            _log.warning(
                "generation %d: network %016x is not scored again: %s",
                each.generation,
                each.key,
                each.reason,
            )
        self._asked = None
        self.state = SearchState(population, archive, self.state.quarantined + found)
        return report

    def _archived(
        self, topologies: Topologies, scores: Scores
    ) -> tuple[Archive, int, tuple[Quarantined, ...]]:
        """Return the archive after the best networks' held-out test, its steps and its faults."""
        is_fixed = not self.config.shared_weights.distribution
        chosen = self.archive.candidates(topologies, scores, VALIDATED_A_GENERATION, is_fixed)
        if len(chosen) == 0:
            return self.archive, 0, ()
        candidates = topologies.take(chosen)
        if self.evaluator is None:
            held_out = scores.take(chosen)
        else:
            held_out = self.evaluator.evaluate(candidates, *self.held_out(Purpose.VALIDATION))
        archive = self.archive.add(candidates, held_out, self.generation)
        return archive, held_out.num_steps, self._faulty(candidates, held_out.faults)

    def _faulty(self, topologies: Topologies, faults: tuple[Fault, ...]) -> tuple[Quarantined, ...]:
        keys = topologies.keys.tolist()
        return tuple(Quarantined(keys[each.index], self.generation, each.reason) for each in faults)

    def _order(self, asked: _Asked, scores: Scores) -> Int64[np.ndarray, "G"]:
        """Return the genomes' indices, best first.

        Objectives are the configuration's, or else (mean, fewest connections) with probability
        `pareto_probability` and (mean, best weight) otherwise: one coin a generation. A network
        without any score is last in each of them.
        """
        rng = generator(self.config.seed, Purpose.RANKING, self.generation)
        by_size = rng.random() < self.config.pareto_probability
        names = self.config.objectives or (BY_SIZE if by_size else BY_BEST_WEIGHT)
        topologies = asked.topologies
        measures = Measures(scores.by_weight, topologies.num_connections, topologies.num_hidden)
        objectives = objectives_of(names, measures)
        objectives[~(scores.returns > -np.inf).any(axis=(1, 2))] = -np.inf
        return rank(objectives[asked.places]).order

    def step(self) -> GenerationReport:
        """Run one generation. Raises ValueError when there is no evaluator, else as `tell`."""
        if self.evaluator is None:
            raise ValueError("a coordinator without an evaluator needs ask() and tell()")
        return self.tell(self.evaluator.evaluate(self.ask(), self.weights, self.seeds))

    def run(self, callbacks: Iterable[Callback] = ()) -> Archive:
        """Run the generations that are left and return the archive.

        callbacks: called after each generation with this coordinator and its report; one that
            returns True ends the search there.
        """
        callbacks = tuple(callbacks)
        while self.generation < self.config.generations:
            report = self.step()
            answers = [callback(self, report) for callback in callbacks]
            if any(answers):
                break
        return self.archive


def _of_all(asked: _Asked, scores: Scores) -> Scores:
    """Return the scores of all of a generation's networks; quarantined ones get minus infinity."""
    if asked.open is asked.topologies:
        return scores
    returns = np.full((len(asked.topologies), *scores.returns.shape[1:]), -np.inf)
    returns[asked.scored] = scores.returns
    faults = tuple(Fault(int(asked.scored[each.index]), each.reason) for each in scores.faults)
    return Scores(returns, scores.num_steps, faults)


def _no_score(generation: int, reason: str) -> EnvironmentFault:
    from wann.tasks.faults import EnvironmentFault

    return EnvironmentFault(f"no network of generation {generation} has a score: {reason}")


def _report(
    generation: int, asked: _Asked, scores: Scores, archive: Archive, num_steps: int
) -> GenerationReport:
    means = scores.mean
    best = int(means.argmax())
    sizes = asked.topologies.num_connections
    return GenerationReport(
        generation,
        float(means[best]),
        float(np.median(means[asked.places])),
        float(scores.best.max()),
        int(sizes[best]),
        float(np.median(sizes[asked.places])),
        archive.best_mean,
        len(archive.entries),
        len(asked.topologies),
        num_steps,
    )
