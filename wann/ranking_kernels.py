"""Compiled kernels of `wann.ranking`: fronts, and the crowding of all fronts in one pass.

With sorting, P points cost O(P log P) for the crowding and, with K <= 2 objectives, for the fronts;
with more objectives the fronts cost at worst O(K P^2), when all points are one front.

Imported at first use, so `import wann.ranking` loads no Numba; called with checked arguments only.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64, Int64
from numba import njit


@njit(cache=True, nogil=True, error_model="numpy")
def _is_dominated_by_front(
    points: Float64[np.ndarray, "P K"],
    newest_member: Int64[np.ndarray, "P"],
    older_member: Int64[np.ndarray, "P"],
    front: int,
    point: int,
) -> bool:
    """Return whether a member of `front` dominates `point`.

    The point is later in the sorted order and equals no member: every member is at least as good in
    the first objective already, so only the others are compared.
    """
    num_objectives = points.shape[1]
    member = newest_member[front]
    while member >= 0:
        dominates = True
        for k in range(1, num_objectives):
            if points[member, k] < points[point, k]:
                dominates = False
                break
        if dominates:
            return True
        if num_objectives <= 2:
            # With two objectives the newest member has the front's best second value: ask no other.
            return False
        member = older_member[member]
    return False


@njit(cache=True, nogil=True, error_model="numpy")
def fronts_of_sorted(points: Float64[np.ndarray, "P K"]) -> Int64[np.ndarray, "P"]:
    """Return each point's front, 0 for the non-dominated. ENS-BS, Zhang et al. 2015.

    points: C-contiguous, in descending lexicographic order, so that no point dominates an earlier
        one. Equal points are neighbours in it and share a front.
    """
    num_points, num_objectives = points.shape
    front = np.empty(num_points, np.int64)
    newest_member = np.empty(num_points, np.int64)  # of each front
    older_member = np.empty(num_points, np.int64)  # of the same front, -1 at its first
    num_fronts = 0
    for point in range(num_points):
        if point > 0:
            equal = True
            for k in range(num_objectives):
                if points[point, k] != points[point - 1, k]:
                    equal = False
                    break
            if equal:
                front[point] = front[point - 1]
                continue
        # A front dominates a point only if all fronts before it do: find the first that does not.
        low, high = 0, num_fronts
        while low < high:
            middle = (low + high) // 2
            if _is_dominated_by_front(points, newest_member, older_member, middle, point):
                low = middle + 1
            else:
                high = middle
        if low == num_fronts:
            newest_member[low] = -1
            num_fronts += 1
        front[point] = low
        older_member[point] = newest_member[low]
        newest_member[low] = point
    return front


@njit(cache=True, nogil=True, error_model="numpy")
def group_by_front(
    indices: Int64[np.ndarray, "P"],
    front: Int64[np.ndarray, "P"],
    starts: Int64[np.ndarray, "F+1"],
) -> Int64[np.ndarray, "P"]:
    """Return `indices` front after front, in each front in the order they came (a counting sort).

    indices: a permutation.
    starts: where each of the F fronts begins in a list sorted by front; ends with P.
    """
    grouped = np.empty_like(indices)
    place = starts.copy()
    for index in indices:
        grouped[place[front[index]]] = index
        place[front[index]] += 1
    return grouped


@njit(cache=True, nogil=True, error_model="numpy")
def crowding_of_fronts(
    columns: Float64[np.ndarray, "K P"],
    by_value: Int64[np.ndarray, "K P"],
    front: Int64[np.ndarray, "P"],
    starts: Int64[np.ndarray, "F+1"],
) -> Float64[np.ndarray, "P"]:
    """Return each point's `crowding_distance` in its front.

    by_value: the indices that sort each column upwards, ties in any order.
    starts: where each of the F fronts begins in a list sorted by front; ends with P.
    """
    num_objectives, num_points = columns.shape
    crowding = np.zeros(num_points)
    for k in range(num_objectives):
        values = columns[k]
        members = group_by_front(by_value[k], front, starts)
        for f in range(starts.size - 1):
            first, stop = starts[f], starts[f + 1]
            while first < stop and values[members[first]] == -np.inf:
                crowding[members[first]] = np.inf
                first += 1
            while first < stop and values[members[stop - 1]] == np.inf:
                stop -= 1
                crowding[members[stop]] = np.inf
            if first == stop:
                continue
            if stop - first == 1:
                crowding[members[first]] = np.inf
                continue
            lowest, highest = values[members[first]], values[members[stop - 1]]
            if lowest == highest:
                continue
            unit = 1.0
            if highest - lowest == np.inf:  # the range of finite values can overflow; halves cannot
                unit = 0.5
            spread = highest * unit - lowest * unit
            begin = first
            while begin < stop:
                value = values[members[begin]]
                end = begin + 1
                while end < stop and values[members[end]] == value:
                    end += 1
                if value in (lowest, highest):
                    share = np.inf
                else:
                    gap = values[members[end]] * unit - values[members[begin - 1]] * unit
                    share = gap / spread / (end - begin)
                for position in range(begin, end):
                    crowding[members[position]] += share
                begin = end
    return crowding
