"""Tuning: the best weight that all links share, and then a weight for each link.

Episodes of four kinds never mix: weights are compared in training episodes, new ones each
generation; what is kept is chosen in validation episodes; and it is judged in test episodes.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

import numpy as np
from jaxtyping import Float64

from wann.evaluation import Evaluator
from wann.network import Network
from wann.rollout.episodes import kernel_of
from wann.seeding import Purpose, episode_seeds, generator
from wann.settings import (
    SWEEP_POINTS,
    Sweep,
    check_fits,
    check_has_links,
    spread,
    sweep,
    sweep_weights,
)
from wann.tasks.control import ControlTask
from wann.tuning_config import TuningConfig
from wann.tuning_state import (
    SAVE_INTERVAL,
    Climb,
    Optimizer,
    TuningState,
    load_tuning,
    new_optimizer,
    save_tuning,
    settled,
    state_digest,
    state_path,
)
from wann.version import __version__
from wann.weight_evaluator import WeightEvaluator, gymnasium_returns

METHOD = "cma"
VALIDATION_INTERVAL = 20  # generations
LEAST_POPULATION = 64
FIRST_TURN = 100  # generations of each climb before the first are dropped
WIDER = 3.0  # times as far are the first candidates of every second climb


@dataclass(frozen=True)
class _Effort:
    """What a tuning is worth where a kernel plays, and where an environment in Python does."""

    generations: int
    climbs: int
    validation_episodes: int


COMPILED, PLAYED = _Effort(5000, 8, 500), _Effort(300, 1, 8)


@dataclass(frozen=True)
class TuningReport:
    """A generation of a tuning.

    best, mean: of the candidates' mean returns in training episodes. validated: highest mean return
        in validation episodes so far. sigma: the step size of CMA-ES.
    """

    generation: int
    generations: int
    best: float
    mean: float
    validated: float
    sigma: float
    num_steps: int


Watch: TypeAlias = Callable[[TuningReport], None]


class Tuning:
    """CMA-ES over one network's weights; it goes on where it was, and ends with the same bytes.

    Several climbs race (successive halving, Jamieson & Talwalkar 2016): each plays FIRST_TURN
    generations, the better half in validation episodes plays on twice as long, until one is left,
    which has all further generations. Candidates are compared by their mean return less a decay of
    large weights, as in the paper's own program, which adds it to ranks.
    """

    def __init__(
        self,
        task: ControlTask,
        network: Network,
        config: TuningConfig,
        state_folder: Path | str | None = None,
        prefix: str = "",
    ) -> None:
        """Prepare; nothing is written yet.

        state_folder: where the state is kept, in a file whose name begins with `prefix` and tells
            these settings from others; None to keep it nowhere.
        Raises ValueError when the network does not fit the task or has no links.
        """
        check_fits(network.topology, task)
        check_has_links(network.topology)
        self.num_weights = network.topology.num_connections
        self.task = task
        self.network = network
        self.config = config
        self.digest = _digest(task, network, config)
        self.path = state_path(state_folder, prefix, self.digest)
        effort = PLAYED if kernel_of(task) is None else COMPILED
        given = config.generations
        self.generations = effort.generations if given is None else given
        self.num_climbs = config.climbs or effort.climbs
        self.validation_episodes = config.validation_episodes or effort.validation_episodes
        self.population = config.population or max(
            LEAST_POPULATION, 4 + math.floor(3 * math.log(self.num_weights))
        )
        self.state: TuningState | None = None
        self._saved_at = -math.inf

    def run(
        self,
        evaluator: Evaluator,
        workers: int = 0,
        time_limit: float | None = None,
        watch: Iterable[Watch] = (),
    ) -> Network:
        """Return the network with tuned weights, judged in test episodes in Gymnasium.

        evaluator: plays shared weights. workers: threads that play the others; 0 for all cores.
        time_limit: seconds after which no further generation starts. watch: told of each one.
        Any exception, Ctrl+C included, saves the state before it goes on its way.
        Raises EnvironmentFault, OSError, and ValueError for a damaged state.
        """
        deadline = math.inf if time_limit is None else time.monotonic() + time_limit
        if self.path is not None and self.path.exists():
            start = np.zeros(self.num_weights)
            self.state = load_tuning(self.path, self.digest, self._optimizer(start))
        with WeightEvaluator(self.task, self.network.topology, workers) as player:
            state = self.state or self._first(evaluator, player)
            self.state = state
            try:
                while state.generation < self.generations and time.monotonic() < deadline:
                    state, report = self._next(state, player)
                    self.state = state
                    for each in watch:
                        each(report)
                    if time.monotonic() - self._saved_at > SAVE_INTERVAL:
                        self.save()
            finally:
                self.save()
            return self._finished(state, player)

    @property
    def is_begun(self) -> bool:
        """Whether there is a state to go on from."""
        return self.state is not None or (self.path is not None and self.path.exists())

    def save(self) -> None:
        """Write the state, if there is one and a place for it."""
        if self.path is not None and self.state is not None:
            save_tuning(self.state, self.digest, self.path)
        self._saved_at = time.monotonic()

    def _optimizer(self, mean: Float64[np.ndarray, "E"], place: int = 0) -> Optimizer:
        """Return a climb's CMA-ES: of two that begin at the same weights one takes wide steps."""
        sigma = self.config.sigma * (WIDER if place % 2 else 1.0)
        return new_optimizer(mean, sigma, self.population)

    def _first(self, evaluator: Evaluator, player: WeightEvaluator) -> TuningState:
        """Return the state before the first generation, at the best weights known so far."""
        found = sweep(
            self.task,
            self.network.topology,
            evaluator,
            weights=sweep_weights(SWEEP_POINTS),
            episodes=self.validation_episodes,
            seed=self.config.seed,
            purpose=Purpose.TRAIN,
        )
        shared = found.best_weight
        known = [np.full(self.num_weights, shared)]
        if self.network.shared_weight is None:
            known.append(np.asarray(self.network.weights, dtype=np.float64))
        best, mean = self._validated(known, player)
        starts = [best, *self._starts(found)]
        climbs = tuple(
            Climb(settled(self._optimizer(starts[place // 2], place)))
            for place in range(self.num_climbs)
        )
        return TuningState(0, climbs, best, mean, shared, player.num_steps)

    def _starts(self, found: Sweep) -> list[Float64[np.ndarray, "E"]]:
        """Return where all climbs but the first two begin: shared weights, the better ones first.

        The range that was swept is cut into one part for two climbs; they begin at its best weight.
        """
        edges = np.linspace(found.weights[0], found.weights[-1], (self.num_climbs + 1) // 2 + 1)[
            1:-1
        ]
        parts = np.searchsorted(edges, found.weights).tolist()
        best_of_part: dict[int, float] = {}
        for place in np.argsort(-found.returns.mean(axis=1), kind="stable").tolist():
            best_of_part.setdefault(parts[place], float(found.weights[place]))
        return [np.full(self.num_weights, each) for each in list(best_of_part.values())[1:]]

    def _next(
        self, state: TuningState, player: WeightEvaluator
    ) -> tuple[TuningState, TuningReport]:
        """Return the state after one more generation, and how it went."""
        config = self.config
        number = state.generation + 1
        turn = turn_of(number, self.num_climbs)
        climb = state.climbs[turn.place]
        optimizer = settled(climb.optimizer)
        rng = generator(config.seed, Purpose.REPRODUCTION, number)
        optimizer.reseed_rng(int(rng.integers(2**32)))
        candidates = np.stack([optimizer.ask() for _ in range(self.population)])
        seeds = episode_seeds(config.seed, Purpose.TRAIN, number, config.episodes)
        steps_before = player.num_steps
        means = player.returns(candidates, seeds).mean(axis=1)
        costs = config.decay * (candidates**2).mean(axis=1) - _standardized(means)
        optimizer.tell(list(zip(candidates, costs.tolist(), strict=True)))
        optimizer = settled(optimizer)
        best, best_mean = state.best, state.best_mean
        own_mean = climb.best_mean
        if turn.is_last or number % VALIDATION_INTERVAL == 0:
            weights, mean = self._validated([optimizer.mean.copy()], player)
            own_mean = max(own_mean, mean)
            if mean > best_mean:
                best, best_mean = weights, mean
        climbs = list(state.climbs)
        climbs[turn.place] = Climb(optimizer, own_mean)
        if turn.is_last and turn.place == len(climbs) - 1:
            climbs = sorted(climbs, key=lambda each: -each.best_mean)[: math.ceil(len(climbs) / 2)]
        num_steps = state.num_steps + player.num_steps - steps_before
        report = TuningReport(
            number,
            self.generations,
            float(means.max()),
            float(means.mean()),
            best_mean,
            float(optimizer.__getstate__()["_sigma"]),
            num_steps,
        )
        state = TuningState(number, tuple(climbs), best, best_mean, state.shared_weight, num_steps)
        return state, report

    def _validated(
        self, candidates: list[Float64[np.ndarray, "E"]], player: WeightEvaluator
    ) -> tuple[Float64[np.ndarray, "E"], float]:
        """Return the best of some weights in validation episodes, and its mean return there."""
        seeds = episode_seeds(self.config.seed, Purpose.VALIDATION, 0, self.validation_episodes)
        means = player.returns(np.stack(candidates), seeds).mean(axis=1)
        place = int(means.argmax())
        return candidates[place], float(means[place])

    def _finished(self, state: TuningState, player: WeightEvaluator) -> Network:
        """Return the tuned network with its scores, those of the last mean being looked at too."""
        config = self.config
        last = state.climbs[turn_of(state.generation + 1, self.num_climbs).place].optimizer.mean
        weights, mean = self._validated([state.best, last.copy()], player)
        seeds = episode_seeds(config.seed, Purpose.TEST, 0, config.test_episodes)
        scores = {}
        for name, each in (("tuned", weights), ("shared", state.shared_weight)):
            returns, _ = gymnasium_returns(
                self.task, self.network.topology, [each] * len(seeds), seeds
            )
            scores[name] = spread(returns, config.seed)
        return dataclasses.replace(
            self.network,
            weights=weights,
            task=self.task.id,
            scores={
                "mean": scores["tuned"]["mean"],
                "validation": {"episodes": self.validation_episodes, "mean": mean},
                "test": scores["tuned"],
                "best_shared": {"weight": state.shared_weight, "test": scores["shared"]},
            },
            made_by={
                "version": __version__,
                "tuning": {"method": METHOD}
                | asdict(config)
                | {
                    "generations": state.generation,
                    "climbs": self.num_climbs,
                    "population": self.population,
                },
                "from": self.network.made_by,
            },
        )


@dataclass(frozen=True)
class Turn:
    """Whose generation it is: a climb's place, and whether it is the last one of its turn."""

    place: int
    is_last: bool


def turn_of(generation: int, num_climbs: int) -> Turn:
    """Return whose turn it is in a generation, counted from 1, of a race of so many climbs.

    Depends on nothing else, so that a tuning can be made longer.
    """
    length = FIRST_TURN
    passed = generation - 1
    while num_climbs > 1:
        if passed < num_climbs * length:
            return Turn(passed // length, passed % length == length - 1)
        passed -= num_climbs * length
        num_climbs = math.ceil(num_climbs / 2)
        length *= 2
    return Turn(0, False)


def _standardized(values: Float64[np.ndarray, "K"]) -> Float64[np.ndarray, "K"]:
    """Return values of mean 0 and deviation 1, or zeros where all are the same."""
    around = values - values.mean()
    deviation = values.std()
    return around / deviation if deviation > 0 else np.zeros_like(around)


def _digest(task: ControlTask, network: Network, config: TuningConfig) -> str:
    """Return what differs when anything but the number of generations and of test episodes does."""
    settings = asdict(config)
    del settings["generations"], settings["test_episodes"]
    return state_digest(network, task.card.table(), {"method": METHOD, **settings})
