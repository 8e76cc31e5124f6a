"""The one table of objectives: what a generation's networks can be ranked by. Higher is better."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64


@dataclass(frozen=True, eq=False)
class Measures:
    """What objectives are computed from, for G networks.

    by_weight: [G, W] mean return under each shared weight; minus infinity where it failed.
    num_connections, num_hidden: live links and live hidden nodes.
    """

    by_weight: Float64[np.ndarray, "G W"]
    num_connections: Int64[np.ndarray, "G"]
    num_hidden: Int64[np.ndarray, "G"]


def mean(measures: Measures) -> Float64[np.ndarray, "G"]:
    """Return the mean return over all shared weights."""
    return measures.by_weight.mean(axis=1)


def best(measures: Measures) -> Float64[np.ndarray, "G"]:
    """Return the mean return under the weight that suits a network best."""
    return measures.by_weight.max(axis=1)


def worst(measures: Measures) -> Float64[np.ndarray, "G"]:
    """Return the mean return under the weight that suits a network least."""
    return measures.by_weight.min(axis=1)


def connections(measures: Measures) -> Float64[np.ndarray, "G"]:
    """Return the number of live links, negative: fewer are better."""
    return -measures.num_connections.astype(np.float64)


def hidden(measures: Measures) -> Float64[np.ndarray, "G"]:
    """Return the number of live hidden nodes, negative: fewer are better."""
    return -measures.num_hidden.astype(np.float64)


OBJECTIVES: dict[str, Callable[[Measures], Float64[np.ndarray, "G"]]] = {
    each.__name__: each for each in (mean, best, worst, connections, hidden)
}


def objectives_of(names: tuple[str, ...], measures: Measures) -> Float64[np.ndarray, "G K"]:
    """Return the named objectives, a column each. Names are keys of OBJECTIVES."""
    return np.column_stack([OBJECTIVES[name](measures) for name in names])
