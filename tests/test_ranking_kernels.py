"""Tests of wann.ranking_kernels: what the wrappers of `wann.ranking` rely on."""

import numpy as np
import pytest

from wann.ranking import crowding_distance
from wann.ranking_kernels import crowding_of_fronts, fronts_of_sorted, group_by_front


def starts_of(front):
    return np.concatenate([[0], np.cumsum(np.bincount(front))])


def sorted_points(rng, num_points, num_objectives):
    """Return points in descending lexicographic order, many of them equal."""
    points = rng.integers(0, 5, (num_points, num_objectives)).astype(np.float64)
    return np.ascontiguousarray(points[np.lexsort(-points.T[::-1])])


@pytest.mark.parametrize("num_objectives", [1, 2, 3])
@pytest.mark.parametrize("seed", range(5))
def test_a_points_front_is_one_behind_the_last_that_dominates_it(num_objectives, seed):
    points = sorted_points(np.random.default_rng(seed), 60, num_objectives)
    front = fronts_of_sorted(points)
    for point, number in zip(points, front, strict=True):
        dominates = (points >= point).all(axis=1) & (points > point).any(axis=1)
        assert number == 1 + front[dominates].max(initial=-1)


@pytest.mark.parametrize("seed", range(5))
def test_points_are_grouped_by_front_in_the_order_they_came(seed):
    rng = np.random.default_rng(seed)
    front, indices = rng.integers(0, 6, 50), rng.permutation(50)
    wanted = indices[np.argsort(front[indices], kind="stable")]
    np.testing.assert_array_equal(group_by_front(indices, front, starts_of(front)), wanted)


@pytest.mark.parametrize("seed", range(5))
def test_crowding_is_each_fronts_own_whichever_way_ties_are_sorted(seed):
    rng = np.random.default_rng(seed)
    points = sorted_points(rng, 60, 3)
    front = fronts_of_sorted(points)
    columns = np.ascontiguousarray(points.T)
    wanted = np.empty(len(points))
    for number in range(front.max() + 1):
        wanted[front == number] = crowding_distance(points[front == number])
    for _ in range(3):
        by_value = np.stack([np.lexsort([rng.random(len(points)), each]) for each in columns])
        crowding = crowding_of_fronts(columns, by_value, front, starts_of(front))
        np.testing.assert_allclose(crowding, wanted, rtol=1e-12)
