"""Ranking by several objectives: dominance, fronts and crowding. Higher is better.

NSGA-II, Deb et al. 2002.
"""

from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float64, Int64

from wann.kernel_cache import use_kernel_cache


@dataclass(frozen=True)
class Ranking:
    """A population from best to worst, and why.

    order: indices of the points, best first: front by front; inside a front first copies before
        second copies of equal points, and so on, then by crowding (far apart first), then by index.
    front: 0 is non-dominated, 1 is non-dominated once front 0 is taken away, and so on.
    crowding: each point's crowding distance inside its own front; can be infinite, is never NaN.
    """

    order: Int64[np.ndarray, "G"]
    front: Int64[np.ndarray, "G"]
    crowding: Float64[np.ndarray, "G"]


def rank(objectives: Float64[np.ndarray, "G K"]) -> Ranking:
    """Return the points' order, fronts and crowding distances.

    objectives: a row a point, higher is better in every column, any K >= 1; -inf (a failed rollout)
        and inf are values like others. No points give an empty ranking.
    Equal points share a front and a crowding distance, which follow them when they are permuted.
    In the order, the copy of lowest index stands for the point and the others come after all
    different points of the front: else copies of an end, infinitely far apart, would fill it.
    Deb et al. 2002, sections III-A and III-B.

    Departs from the reference (brain-tokyo-workshop, nsga_sort.py) in the crowding distance: there
    the factor of an objective is |1/max - min| in place of 1/(max - min), so that scales do not
    cancel and some ends become NaN.
    Raises ValueError when a score is NaN or when the array is not [G, K] with K >= 1.
    """
    use_kernel_cache()
    from wann import ranking_kernels

    points = _checked(objectives)
    front = _fronts(points)
    starts = _starts(front)
    crowding = _crowding(points, front, starts)
    within = np.lexsort((-crowding, _copy_number(points)))
    order = ranking_kernels.group_by_front(within, front, starts)
    return Ranking(order=order, front=front, crowding=crowding)


def non_dominated(objectives: Float64[np.ndarray, "G K"]) -> Bool[np.ndarray, "G"]:
    """Return which points no other point dominates: front 0 of `rank`.

    objectives: a row a point, higher is better. A point dominates another if it is at least as good
        in every objective and better in one, so a duplicate of a non-dominated point is
        non-dominated.
    Raises ValueError when a score is NaN or when the array is not [G, K] with K >= 1.
    """
    return _fronts(_checked(objectives)) == 0


def crowding_distance(
    objectives: Float64[np.ndarray, "points objectives"],
) -> Float64[np.ndarray, "points"]:
    """Return how far apart each point's neighbours are, summed over the objectives.

    objectives: one front; higher is better. Each objective is scaled by its own range, so units
        cancel; an objective that is constant on the front adds nothing.
    Points at either end of an objective get infinity. Deb et al. 2002, section III-B.

    Ties: in a list sorted by an objective, the gaps of points with the same value depend on which
    of them comes first; each gets the mean over all their orders. So m points that share a value
    between the ends get (next higher value - next lower value) / range / m each (m = 1 is Deb's
    distance), and all points that share the lowest or the highest value are ends. The result
    follows the points when they are permuted, and duplicates get the same.

    An infinite value makes its point infinite and is left out of the range; the objective's ends
    are then those of its finite values. The only point with a finite value is an end, so a front of
    one point gets infinity.
    Raises ValueError when a score is NaN (a failed rollout must be scored before ranking) or when
    the array is not [points, objectives] with at least one objective.
    """
    points = _checked(objectives)
    front = np.zeros(len(points), dtype=np.int64)
    return _crowding(points, front, _starts(front))


def _checked(objectives: Float64[np.ndarray, "G K"]) -> Float64[np.ndarray, "G K"]:
    """Return the objectives as a C-contiguous, writable copy: the kernels compile for this only.

    Raises ValueError when a score is NaN or when the array is not [G, K] with K >= 1.
    """
    points = np.array(objectives, dtype=np.float64, order="C")
    if points.ndim != 2 or points.shape[1] == 0:
        raise ValueError(
            "objectives must be an array [points, objectives] with at least one objective, "
            f"but its shape is {points.shape}"
        )
    missing = np.isnan(points)
    if missing.any():
        row, column = np.argwhere(missing)[0]
        raise ValueError(
            f"objectives must not be NaN, but objectives[{row}, {column}] is nan; "
            "score a failed rollout (-inf is allowed) before ranking"
        )
    return points


def _fronts(points: Float64[np.ndarray, "G K"]) -> Int64[np.ndarray, "G"]:
    """Return each point's front, 0 for the non-dominated."""
    use_kernel_cache()
    from wann import ranking_kernels

    best_first = np.lexsort(-points.T[::-1])
    front = np.empty(len(points), dtype=np.int64)
    front[best_first] = ranking_kernels.fronts_of_sorted(points[best_first])
    return front


def _copy_number(points: Float64[np.ndarray, "G K"]) -> Int64[np.ndarray, "G"]:
    """Return how many points of lower index are equal to each point."""
    by_value = np.lexsort(points.T)  # stable: copies stay in order of index
    ordered = points[by_value]
    is_new = np.ones(len(points), dtype=bool)
    is_new[1:] = (ordered[1:] != ordered[:-1]).any(axis=1)
    places = np.arange(len(points))
    numbers = np.empty(len(points), dtype=np.int64)
    numbers[by_value] = places - np.maximum.accumulate(np.where(is_new, places, 0))
    return numbers


def _starts(front: Int64[np.ndarray, "G"]) -> Int64[np.ndarray, "F_plus_1"]:
    """Return where each front begins in a list sorted by front; the last entry is G."""
    num_fronts = int(front.max(initial=-1)) + 1
    starts = np.zeros(num_fronts + 1, dtype=np.int64)
    np.cumsum(np.bincount(front, minlength=num_fronts), out=starts[1:])
    return starts


def _crowding(
    points: Float64[np.ndarray, "G K"],
    front: Int64[np.ndarray, "G"],
    starts: Int64[np.ndarray, "F_plus_1"],
) -> Float64[np.ndarray, "G"]:
    """Return the crowding distance of each point inside its own front, all fronts in one pass."""
    use_kernel_cache()
    from wann import ranking_kernels

    columns = np.array(points.T, order="C")
    return ranking_kernels.crowding_of_fronts(columns, np.argsort(columns, axis=1), front, starts)
