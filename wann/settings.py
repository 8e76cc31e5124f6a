"""The four settings of Gaier & Ha 2019: a network judged with weights that were not tuned, or were.

Random individual weights and a random shared one are drawn anew for each episode, from U(-2, 2) by
default; the best shared weight is chosen on validation episodes; tuned weights come from
`wann.tuning`, for images `wann.gradient_tuning`. All four are judged on the same test episodes, in
Gymnasium's own environment.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64

from wann.checks import number_in, whole_number_in
from wann.evaluation import Evaluator
from wann.network import Network
from wann.scores import CONFIDENCE
from wann.seeding import Purpose, episode_seeds, generator
from wann.tasks import ControlTask, Task
from wann.topology import Topologies, Topology
from wann.weight_evaluator import gymnasium_returns

LOW, HIGH = -2.0, 2.0  # where the paper draws weights from, and sweeps
SWEEP_POINTS = 41
MAX_EPISODES = 1_000_000
RESAMPLES = 9_999  # of the bootstrap
REFINEMENTS = 2  # of a sweep
CLOSER = 3  # best weights that a refinement looks at closer
STEPS = 5  # that it divides a gap into

Weights = float | Float64[np.ndarray, "E"]


@dataclass(frozen=True)
class PaperRow:
    """What Gaier & Ha 2019 report of a task: mean and standard deviation over 100 trials.

    settings: by the name of the setting; for images test accuracy, and None where the article gives
        no deviation. connections: links of their network.
    """

    settings: dict[str, tuple[float, float | None]]
    connections: int


PAPER = {
    "wann/SwingUp-v0": PaperRow(
        {
            "random": (57.0, 121.0),
            "random_shared": (515.0, 58.0),
            "best_shared": (723.0, 16.0),
            "tuned": (932.0, 6.0),
        },
        52,
    ),
    "BipedalWalker-v3": PaperRow(
        {
            "random": (-46.0, 54.0),
            "random_shared": (51.0, 108.0),
            "best_shared": (261.0, 58.0),
            "tuned": (332.0, 1.0),
        },
        210,
    ),
    "CarRacing-v3": PaperRow(
        {
            "random": (-69.0, 31.0),
            "random_shared": (375.0, 177.0),
            "best_shared": (608.0, 161.0),
            "tuned": (893.0, 74.0),
        },
        245,
    ),
    "mnist": PaperRow(
        {
            "random_shared": (0.820, 0.187),
            "best_shared": (0.919, None),
            "tuned": (0.942, None),
            "majority": (0.916, None),
        },
        1849,
    ),
}


@dataclass(frozen=True, eq=False)
class Setting:
    """How a network did in one of the settings.

    name: random, random_shared, best_shared or tuned. values: [R] returns, one an episode. weight:
        the shared weight, where it is one.
    """

    name: str
    values: Float64[np.ndarray, "R"]
    weight: float | None = None

    def summary(self, seed: int = 0) -> dict[str, Any]:
        """Return mean, spread and interval as plain numbers; seed: of the bootstrap."""
        return {"weight": self.weight} | spread(self.values, seed)


@dataclass(frozen=True, eq=False)
class Sweep:
    """A network's returns under many shared weights: [W] weights, [W, R] returns."""

    weights: Float64[np.ndarray, "W"]
    returns: Float64[np.ndarray, "W R"]

    @property
    def best_weight(self) -> float:
        """The weight of highest mean return, the first of equals."""
        return float(self.weights[self.returns.mean(axis=1).argmax()])


def spread(values: Float64[np.ndarray, "R"], seed: int = 0) -> dict[str, Any]:
    """Return mean, deviation, median, quartiles and interval of the mean, as plain numbers.

    "deviation" is the standard deviation of the values themselves (ddof 0). "interval" is the 95 %
    percentile bootstrap's (Efron & Tibshirani 1993, section 13.3), None of a single value.
    Raises ValueError when there are no values.
    """
    if not len(values):
        raise ValueError("a mean needs at least one value, but there are none")
    low, median, high = np.percentile(values, [25, 50, 75]).tolist()
    return {
        "episodes": len(values),
        "mean": float(values.mean()),
        "deviation": float(values.std()),
        "median": median,
        "quartiles": [low, high],
        "interval": bootstrap_interval(values, seed),
    }


def bootstrap_interval(values: Float64[np.ndarray, "R"], seed: int) -> list[float] | None:
    """Return the 95 % percentile bootstrap interval of the mean; None of fewer than 2 values."""
    if len(values) < 2:
        return None
    rng = np.random.default_rng(seed)
    tail = 50.0 * (1.0 - CONFIDENCE)
    # in blocks: resamples x values would be gigabytes for a test set of 10,000 images
    size = max(1, 1_000_000 // len(values))
    means = [
        values[rng.integers(len(values), size=(min(size, RESAMPLES - first), len(values)))].mean(1)
        for first in range(0, RESAMPLES, size)
    ]
    return np.percentile(np.concatenate(means), [tail, 100.0 - tail]).tolist()


def sweep(
    task: ControlTask,
    topology: Topology,
    evaluator: Evaluator,
    *,
    weights: Float64[np.ndarray, "W"],
    episodes: int,
    seed: int = 0,
    purpose: Purpose = Purpose.VALIDATION,
) -> Sweep:
    """Return what a network does under these shared weights and, closer, around the best of them.

    weights: rising. REFINEMENTS times, the gaps beside each of the best CLOSER weights are divided
        by STEPS. The result holds all weights that were tried.
    episodes: how many, the same ones for every weight. purpose: of the episodes.
    Raises ValueError when the network does not fit the task, there are no episodes or fewer than 2
    weights; what `evaluator` raises.
    """
    check_fits(topology, task)
    whole_number_in("episodes", episodes, 1, MAX_EPISODES)
    alone = Topologies.stack([topology])
    seeds = episode_seeds(seed, purpose, 0, episodes)
    return refined_sweep(lambda each: evaluator.evaluate(alone, each, seeds).returns[0], weights)


def refined_sweep(
    play: Callable[[Float64[np.ndarray, "V"]], Float64[np.ndarray, "V R"]],
    weights: Float64[np.ndarray, "W"],
) -> Sweep:
    """Return what `play` gives for these weights and, closer, around the best of them; see `sweep`.

    Raises ValueError when there are fewer than 2 weights or they do not rise.
    """
    if len(weights) < 2 or (np.diff(weights) <= 0).any():
        raise ValueError("a sweep needs at least 2 weights that rise, each one once")
    returns = play(weights)
    for _ in range(REFINEMENTS):
        new = _closer(weights, returns.mean(axis=1))
        more = play(new)
        order = np.argsort(np.concatenate([weights, new]), kind="stable")
        weights = np.concatenate([weights, new])[order]
        returns = np.concatenate([returns, more])[order]
    return Sweep(weights, returns)


def _closer(
    weights: Float64[np.ndarray, "W"], means: Float64[np.ndarray, "W"]
) -> Float64[np.ndarray, "V"]:
    """Return new weights that divide the gaps beside the best ones evenly."""
    best = np.argsort(-means, kind="stable")[:CLOSER]
    gaps = {gap for place in best.tolist() for gap in (place - 1, place)}
    inside = [gap for gap in sorted(gaps) if 0 <= gap < len(weights) - 1]
    shares = np.arange(1, STEPS) / STEPS
    new = [weights[gap] + shares * (weights[gap + 1] - weights[gap]) for gap in inside]
    return np.setdiff1d(np.concatenate(new).round(12), weights)


def sweep_weights(
    points: int, low: float = LOW, high: float = HIGH, also: tuple[float, ...] = ()
) -> Float64[np.ndarray, "W"]:
    """Return evenly spaced weights from `low` to `high`, and those in `also`, each once, rising.

    Raises ValueError when `points` is below 2 or the range is empty.
    """
    whole_number_in("points", points, 2, 10_001)
    number_in("low", low, -1e6, 1e6)
    number_in("high", high, -1e6, 1e6)
    if low >= high:
        raise ValueError(f"a range of weights must rise, but it goes from {low:g} to {high:g}")
    even = np.linspace(low, high, points).round(12)  # so that 0.7 is not 0.7000000000000002
    return np.unique(np.concatenate([even + 0.0, np.array(also, dtype=np.float64)]))


def evaluate_settings(
    task: ControlTask,
    network: Network,
    *,
    best_weight: float | None = None,
    tuned: Network | None = None,
    episodes: int = 100,
    seed: int = 0,
    low: float = LOW,
    high: float = HIGH,
) -> tuple[Setting, ...]:
    """Return a network's returns in the settings of the paper that it can be in, in their order.

    best_weight: chosen on other episodes than these; by default the network's own shared weight. A
        network without either is in no such setting. tuned: the same topology with weights of its
        own; by default `network`, when it has such.
    episodes: each setting's, the same test episodes in all of them. low, high: of the random
        weights, which are uniform and new in each episode.
    Measured in Gymnasium, also where a kernel exists. Raises ValueError when there are no episodes
    or a network does not fit, EnvironmentFault when the environment misbehaves.
    """
    check_fits(network.topology, task)
    whole_number_in("episodes", episodes, 1, MAX_EPISODES)
    shared, individual = random_weights(network.topology, episodes, seed, low, high)
    chosen: list[tuple[str, list[Weights], float | None]] = [
        ("random", list(individual), None),
        ("random_shared", shared.tolist(), None),
    ]
    for name, weights in chosen_weights(network, best_weight, tuned):
        weight = weights if isinstance(weights, float) else None
        chosen.append((name, [weights] * episodes, weight))
    seeds = episode_seeds(seed, Purpose.TEST, 0, episodes)
    return tuple(
        Setting(name, gymnasium_returns(task, network.topology, weights, seeds)[0], weight)
        for name, weights, weight in chosen
    )


def random_weights(
    topology: Topology, count: int, seed: int, low: float, high: float
) -> tuple[Float64[np.ndarray, "R"], Float64[np.ndarray, "R E"]]:
    """Return `count` shared weights and as many vectors of individual ones, uniform, of a seed."""
    rng = generator(seed, Purpose.WEIGHTS, 0)
    shared = rng.uniform(low, high, count)
    return shared, rng.uniform(low, high, (count, topology.num_connections))


def chosen_weights(
    network: Network, best_weight: float | None, tuned: Network | None
) -> list[tuple[str, Weights]]:
    """Return the settings in which nothing is random, and the weights in them.

    The arguments are those of `evaluate_settings`. Raises ValueError when `tuned` has another
    topology.
    """
    if tuned is None and network.shared_weight is None:
        tuned = network
    if tuned is not None and not same_topology(tuned.topology, network.topology):
        raise ValueError(
            "the tuned network must have the topology it was tuned from, but it has another; tune "
            "this one"
        )
    best_weight = network.shared_weight if best_weight is None else best_weight
    chosen: list[tuple[str, Weights]] = []
    if best_weight is not None:
        chosen.append(("best_shared", float(best_weight)))
    if tuned is not None:
        chosen.append(("tuned", tuned.weights))
    return chosen


def same_topology(one: Topology, other: Topology) -> bool:
    """Return whether weights of the links of one topology are those of the other's links."""
    return one.num_inputs == other.num_inputs and all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("offsets", "sources", "activations", "outputs")
    )


def check_has_links(topology: Topology) -> None:
    """Raise ValueError when a network has no connections."""
    if not topology.num_connections:
        raise ValueError("the network has no connections, so there are no weights to tune")


def check_fits(topology: Topology, task: Task) -> None:
    """Raise ValueError when a network has not the task's numbers of inputs and outputs."""
    sizes = (topology.num_inputs, topology.num_outputs)
    if sizes != (task.num_inputs, task.num_outputs):
        raise ValueError(
            f"task {task.id!r} needs networks of {task.num_inputs} inputs and {task.num_outputs} "
            f"outputs, but this one has {sizes[0]} and {sizes[1]}"
        )
