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
from wann.settings import SWEEP_POINTS, check_fits, spread, sweep, sweep_weights
from wann.tasks.control import ControlTask
from wann.tuning_config import TuningConfig
from wann.tuning_state import (
    Optimizer,
    TuningState,
    load_tuning,
    new_optimizer,
    save_tuning,
    settled,
    state_digest,
)
from wann.version import __version__
from wann.weight_evaluator import WeightEvaluator, gymnasium_returns

METHOD = "cma"
SAVE_INTERVAL = 5.0  # s between two states on disk, at least
VALIDATION_INTERVAL = 10  # generations
LEAST_POPULATION = 32
COMPILED_VALIDATION, PLAYED_VALIDATION = 100, 8  # episodes, with a kernel and without


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
    """CMA-ES over one network's weights; it goes on where it was, and ends with the same bytes."""

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
        self.num_weights = network.topology.num_connections
        if not self.num_weights:
            raise ValueError("the network has no connections, so there are no weights to tune")
        self.task = task
        self.network = network
        self.config = config
        self.digest = _digest(task, network, config)
        folder = None if state_folder is None else Path(state_folder)
        self.path = folder / f"{prefix}tuning-{self.digest[:8]}.safetensors" if folder else None
        has_kernel = kernel_of(task) is not None
        self.validation_episodes = config.validation_episodes or (
            COMPILED_VALIDATION if has_kernel else PLAYED_VALIDATION
        )
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
                while state.generation < self.config.generations and time.monotonic() < deadline:
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

    def _optimizer(self, mean: Float64[np.ndarray, "E"]) -> Optimizer:
        return new_optimizer(mean, self.config.sigma, self.population)

    def _first(self, evaluator: Evaluator, player: WeightEvaluator) -> TuningState:
        """Return the state before the first generation, at the best weights known so far."""
        shared = sweep(
            self.task,
            self.network.topology,
            evaluator,
            weights=sweep_weights(SWEEP_POINTS),
            episodes=self.validation_episodes,
            seed=self.config.seed,
            purpose=Purpose.TRAIN,
        ).best_weight
        starts = [np.full(self.num_weights, shared)]
        if self.network.shared_weight is None:
            starts.append(np.asarray(self.network.weights, dtype=np.float64))
        best, mean = self._validated(starts, player)
        return TuningState(0, settled(self._optimizer(best)), best, mean, shared, player.num_steps)

    def _next(
        self, state: TuningState, player: WeightEvaluator
    ) -> tuple[TuningState, TuningReport]:
        """Return the state after one more generation, and how it went."""
        config = self.config
        number = state.generation + 1
        optimizer = settled(state.optimizer)
        rng = generator(config.seed, Purpose.REPRODUCTION, number)
        optimizer.reseed_rng(int(rng.integers(2**32)))
        candidates = np.stack([optimizer.ask() for _ in range(self.population)])
        seeds = episode_seeds(config.seed, Purpose.TRAIN, number, config.episodes)
        steps_before = player.num_steps
        means = player.returns(candidates, seeds).mean(axis=1)
        optimizer.tell(
            [(each, -mean) for each, mean in zip(candidates, means.tolist(), strict=True)]
        )
        optimizer = settled(optimizer)
        best, best_mean = state.best, state.best_mean
        if number % VALIDATION_INTERVAL == 0:
            likely = [optimizer.mean.copy(), candidates[int(means.argmax())]]
            weights, mean = self._validated(likely, player)
            if mean > best_mean:
                best, best_mean = weights, mean
        num_steps = state.num_steps + player.num_steps - steps_before
        report = TuningReport(
            number,
            config.generations,
            float(means.max()),
            float(means.mean()),
            best_mean,
            float(optimizer.__getstate__()["_sigma"]),
            num_steps,
        )
        state = TuningState(number, optimizer, best, best_mean, state.shared_weight, num_steps)
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
        weights, mean = self._validated([state.best, state.optimizer.mean.copy()], player)
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
                | {"generations": state.generation, "population": self.population},
                "from": self.network.made_by,
            },
        )


def _digest(task: ControlTask, network: Network, config: TuningConfig) -> str:
    """Return what differs when anything but the number of generations and of test episodes does."""
    settings = asdict(config)
    del settings["generations"], settings["test_episodes"]
    return state_digest(network, task.card.table(), {"method": METHOD, **settings})
