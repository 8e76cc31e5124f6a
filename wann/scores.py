"""Scores: the returns of a batch of networks, and what selection computes from them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

CONFIDENCE = 0.95
MAX_REASON = 1000  # characters of a fault's reason that are kept


@dataclass(frozen=True)
class Fault:
    """Why a network of a batch has no score.

    index: which of the batch. reason: kept as one line of at most MAX_REASON characters.
    """

    index: int
    reason: str

    def __post_init__(self) -> None:
        line = " ".join(self.reason.encode(errors="replace").decode().split())
        short = line if len(line) <= MAX_REASON else line[: MAX_REASON - 3] + "..."
        object.__setattr__(self, "reason", short)


@dataclass(frozen=True)
class Quarantined:
    """A network that is not scored again.

    key: `Topology.key`. generation, reason: when and why it had no score.
    """

    key: int
    generation: int
    reason: str


@dataclass(frozen=True, eq=False)
class Scores:
    """Returns of G networks under W shared weights in R rollouts each; higher is better.

    returns: [G, W, R]; minus infinity for a rollout that could not be carried out.
    num_steps: environment steps that were simulated to get them.
    faults: networks that must not be tried again, each once; all their returns are minus infinity.
    """

    returns: Float64[np.ndarray, "G W R"]
    num_steps: int = 0
    faults: tuple[Fault, ...] = ()

    def __post_init__(self) -> None:
        object.__setattr__(self, "returns", np.asarray(self.returns, dtype=np.float64))
        if self.returns.ndim != 3 or 0 in self.returns.shape[1:]:
            raise ValueError(f"returns must be [G, W, R], but their shape is {self.returns.shape}")
        is_score = self.returns < np.inf  # neither infinity nor NaN
        if not is_score.all():
            where = tuple(int(each[0]) for each in np.nonzero(~is_score))
            came = f"returns{list(where)} is {self.returns[where]}"
            raise ValueError(f"returns must be numbers or minus infinity, but {came}")
        object.__setattr__(self, "faults", tuple(self.faults))
        _check_faults(self.returns, self.faults)

    @property
    def by_weight(self) -> Float64[np.ndarray, "G W"]:
        """Mean return of each network under each weight."""
        return self.returns.mean(axis=2)

    @property
    def mean(self) -> Float64[np.ndarray, "G"]:
        """Mean return of each network over all weights."""
        return self.by_weight.mean(axis=1)

    @property
    def best(self) -> Float64[np.ndarray, "G"]:
        """Mean return of each network under the weight that suits it best."""
        return self.by_weight.max(axis=1)

    def take(self, indices: Int64[np.ndarray, "K"]) -> Scores:
        """Return the scores and faults of the networks at these indices, in this order."""
        reasons = {each.index: each.reason for each in self.faults}
        taken = enumerate(np.arange(len(self.returns))[indices].tolist())
        faults = tuple(Fault(new, reasons[old]) for new, old in taken if old in reasons)
        return Scores(self.returns[indices], faults=faults)


def _check_faults(returns: Float64[np.ndarray, "G W R"], faults: tuple[Fault, ...]) -> None:
    """Raise ValueError where a fault is not one network's, or that network has a score."""
    found = set()
    for each in faults:
        if not 0 <= each.index < len(returns) or each.index in found:
            raise ValueError(
                f"faults must be of different networks, 0 to {len(returns) - 1}, "
                f"but one is of network {each.index}"
            )
        found.add(each.index)
        if (returns[each.index] > -np.inf).any():
            raise ValueError(
                f"a network with a fault must have minus infinity in all its returns, "
                f"but network {each.index} has {returns[each.index].max()}"
            )


def mean_with_interval(returns: Float64[np.ndarray, "W R"]) -> tuple[float, float, float]:
    """Return the mean over weights and episodes, and its 95 % confidence interval (low, high).

    Student's t over episodes: the weights share the episodes, so an episode's mean over the weights
    is one observation. With one episode, or a return that is not finite, the interval is a point.
    """
    from scipy.special import stdtrit

    mean = float(returns.mean())
    num_episodes = returns.shape[1]
    if num_episodes == 1 or not np.isfinite(returns).all():
        return mean, mean, mean
    reach = float(stdtrit(num_episodes - 1, (1 + CONFIDENCE) / 2)) * standard_error(returns)
    return mean, mean - reach, mean + reach


def standard_error(returns: Float64[np.ndarray, "W R"]) -> float:
    """Return the standard error of the mean over episodes, which all weights share."""
    num_episodes = returns.shape[1]
    if num_episodes == 1 or not np.isfinite(returns).all():
        return 0.0
    return float(returns.mean(axis=0).std(ddof=1) / np.sqrt(num_episodes))


def summarise(
    returns: Float64[np.ndarray, "W R"], weights: Float64[np.ndarray, "W"] | None
) -> dict[str, Any]:
    """Return one network's scores as plain numbers for a file: means, spread, interval.

    weights: the shared ones; None for a network with weights of its own, whose returns are [1, R]
        and whose spread is "deviation".
    """
    mean, low, high = mean_with_interval(returns)
    if weights is None:
        return {
            "episodes": returns.shape[1],
            "mean": mean,
            "interval": [low, high],
            "deviation": float(returns.std()),
            "weights": [],
            "mean_by_weight": [],
            "deviation_by_weight": [],
        }
    return {
        "episodes": returns.shape[1],
        "mean": mean,
        "interval": [low, high],
        "weights": weights.tolist(),
        "mean_by_weight": returns.mean(axis=1).tolist(),
        "deviation_by_weight": returns.std(axis=1).tolist(),
    }
