import itertools
import math
import subprocess
import sys
from fractions import Fraction

import moocore
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from wann.ranking import Ranking, crowding_distance, non_dominated, rank

INFINITY = math.inf
SMALL_GRID = st.sampled_from([0.0, 1.0, 2.0, 3.0])
GRID_WITH_INFINITIES = st.sampled_from([-INFINITY, -1.0, -0.0, 0.0, 2.0, INFINITY])
ANY_SCORE = st.floats(allow_nan=False)
FINITE_SCORE = st.integers(-1000, 1000).map(float)


def tables(values, max_points=24):
    """Return a strategy of objectives [G, K] with 1 to 4 columns, up to `max_points` rows."""
    shapes = st.tuples(st.integers(0, max_points), st.integers(1, 4))
    return shapes.flatmap(lambda shape: arrays(np.float64, shape, elements=values))


any_table = st.one_of(tables(SMALL_GRID), tables(GRID_WITH_INFINITIES), tables(ANY_SCORE))


def dominates(better, worse):
    at_least_as_good = all(b >= w for b, w in zip(better, worse, strict=True))
    return at_least_as_good and any(b > w for b, w in zip(better, worse, strict=True))


def fronts_by_peeling(objectives):
    rows = objectives.tolist()
    front = [-1] * len(rows)
    left = set(range(len(rows)))
    number = 0
    while left:
        peeled = [i for i in left if not any(dominates(rows[j], rows[i]) for j in left)]
        for i in peeled:
            front[i] = number
        left -= set(peeled)
        number += 1
    return front


def crowding_by_definition(objectives):
    """Return what the docstring of `crowding_distance` says, word by word, in plain Python."""
    rows = objectives.tolist()
    total = [0.0] * len(rows)
    for column in range(objectives.shape[1]):
        finite = [row[column] for row in rows if math.isfinite(row[column])]
        for i, row in enumerate(rows):
            value = row[column]
            if not math.isfinite(value) or len(finite) == 1:
                total[i] = INFINITY
            elif min(finite) == max(finite):
                total[i] += 0.0
            elif value in (min(finite), max(finite)):
                total[i] = INFINITY
            else:
                next_higher = min(other for other in finite if other > value)
                next_lower = max(other for other in finite if other < value)
                gap = Fraction(next_higher) - Fraction(next_lower)
                spread = Fraction(max(finite)) - Fraction(min(finite))
                total[i] += float(gap / spread / finite.count(value))
    return total


def crowding_by_deb(objectives, orders):
    """Return what the pseudocode of Deb et al. 2002, III-B, gives with these sorted orders."""
    total = np.zeros(len(objectives))
    for values, order in zip(objectives.T, orders, strict=True):
        spread = values.max() - values.min()
        if spread == 0:
            continue
        total[order[0]] = total[order[-1]] = INFINITY
        for before, point, after in zip(order, order[1:], order[2:], strict=False):
            total[point] += (values[after] - values[before]) / spread
    return total


def crowding_by_reference(objectives):
    """Return what nsga_sort.py of brain-tokyo-workshop does: the factor is |1/max - min|."""
    total = np.zeros(len(objectives))
    with np.errstate(divide="ignore", invalid="ignore"):
        for values in objectives.T:
            order = np.argsort(values)
            gaps = np.diff(np.concatenate(([-INFINITY], values[order], [INFINITY])))
            total[order] += (gaps[:-1] + gaps[1:]) * abs(
                np.float64(1) / values.max() - values.min()
            )
    return total


def seeded_tables():
    """Return random, tied, constant, duplicated and infinite objectives for K = 1, 2, 3, 4."""
    parameters = []
    rng = np.random.default_rng(20260101)
    for num_objectives in (1, 2, 3, 4):
        for num_points in (1, 2, 3, 10, 60):
            shape = (num_points, num_objectives)
            random = rng.normal(size=shape)
            constant = random.copy()
            constant[:, -1] = 7.0
            infinite = random.copy()
            infinite[rng.random(shape) < 0.2] = -INFINITY
            infinite[rng.random(shape) < 0.1] = INFINITY
            kinds = {
                "random": random,
                "tied": rng.integers(0, 4, shape).astype(np.float64),
                "constant": constant,
                "equal": np.full(shape, -3.5),
                "duplicated": random[rng.integers(0, num_points, num_points)],
                "infinite": infinite,
                "all failed": np.full(shape, -INFINITY),
            }
            for kind, table in kinds.items():
                name = f"{kind}-{num_points}x{num_objectives}"
                parameters.append(pytest.param(table, id=name))
    return parameters


def check_ranking(objectives):
    """Compare a whole ranking with the definitions."""
    ranking = rank(objectives)
    front = fronts_by_peeling(objectives)
    assert ranking.front.tolist() == front
    for number in set(front):
        members = [i for i in range(len(front)) if front[i] == number]
        expected = crowding_by_definition(objectives[members])
        np.testing.assert_allclose(ranking.crowding[members], expected, rtol=1e-12, atol=1e-300)
    points = [tuple(point) for point in objectives.tolist()]
    copies = [points[:i].count(points[i]) for i in range(len(points))]
    best_first = sorted(
        range(len(front)), key=lambda i: (front[i], copies[i], -ranking.crowding[i], i)
    )
    assert ranking.order.tolist() == best_first
    assert non_dominated(objectives).tolist() == [number == 0 for number in front]


@pytest.mark.parametrize("objectives", seeded_tables())
def test_ranking_is_the_definition_on_seeded_tables(objectives):
    check_ranking(objectives)


@given(any_table)
def test_ranking_is_the_definition_on_any_table(objectives):
    check_ranking(objectives)


@given(any_table)
def test_crowding_is_its_definition_even_where_the_points_are_no_front(objectives):
    expected = crowding_by_definition(objectives)
    np.testing.assert_allclose(crowding_distance(objectives), expected, rtol=1e-12, atol=1e-300)


@given(
    arrays(np.float64, st.tuples(st.integers(2, 5), st.integers(1, 3)), elements=SMALL_GRID),
)
def test_crowding_is_the_mean_of_debs_over_all_orders_of_the_ties(objectives):
    permutations = list(itertools.permutations(range(len(objectives))))
    total = np.zeros(len(objectives))
    for column in objectives.T:
        orders = [order for order in permutations if (np.diff(column[list(order)]) >= 0).all()]
        total += sum(crowding_by_deb(column[:, None], [order]) for order in orders) / len(orders)
    np.testing.assert_allclose(crowding_distance(objectives), total, rtol=1e-12)


@given(st.integers(2, 40), st.integers(1, 4), st.integers(0, 2**32 - 1))
def test_crowding_of_distinct_values_is_debs(num_points, num_objectives, seed):
    rng = np.random.default_rng(seed)
    objectives = rng.permuted(np.tile(np.arange(num_points) ** 1.5, (num_objectives, 1)), axis=1).T
    expected = crowding_by_deb(objectives, np.argsort(objectives, axis=0).T.tolist())
    np.testing.assert_allclose(crowding_distance(objectives), expected, rtol=1e-12)


@pytest.mark.parametrize("num_objectives", [2, 3, 4])
@pytest.mark.parametrize("num_values", [5, 30, 10**6])
def test_fronts_agree_with_moocore_on_large_populations(num_objectives, num_values):
    rng = np.random.default_rng(num_objectives * num_values)
    objectives = rng.integers(-num_values, num_values, (1500, num_objectives)).astype(np.float64)
    expected = moocore.pareto_rank(objectives, maximise=True)
    np.testing.assert_array_equal(rank(objectives).front, expected)


@given(any_table, st.randoms(use_true_random=False))
def test_front_and_crowding_follow_their_points_when_these_are_permuted(objectives, random):
    permutation = list(range(len(objectives)))
    random.shuffle(permutation)
    ranking, permuted = rank(objectives), rank(objectives[permutation])
    np.testing.assert_array_equal(permuted.front, ranking.front[permutation])
    np.testing.assert_array_equal(permuted.crowding, ranking.crowding[permutation])
    np.testing.assert_array_equal(
        crowding_distance(objectives[permutation]), crowding_distance(objectives)[permutation]
    )


@given(tables(FINITE_SCORE), st.integers(-40, 40), st.integers(-500, 500))
def test_units_and_offsets_of_an_objective_cancel(objectives, exponent, offset):
    changed = objectives.copy()
    changed[:, 0] = (changed[:, 0] + offset) * 2.0**exponent
    ranking, again = rank(objectives), rank(changed)
    np.testing.assert_array_equal(again.order, ranking.order)
    np.testing.assert_array_equal(again.crowding, ranking.crowding)


@given(tables(FINITE_SCORE))
def test_turning_every_objective_over_leaves_crowding_as_it_is(objectives):
    np.testing.assert_array_equal(crowding_distance(-objectives), crowding_distance(objectives))


def test_four_points_on_a_line_have_the_crowding_of_the_textbook():
    objectives = np.array([[0.0, 10.0], [1.0, 6.0], [3.0, 5.0], [4.0, 0.0]])
    expected = [INFINITY, 3 / 4 + 5 / 10, 3 / 4 + 6 / 10, INFINITY]
    assert crowding_distance(objectives).tolist() == expected


def test_an_objective_that_is_constant_on_the_front_adds_nothing():
    varied = np.array([[0.0], [1.0], [3.0], [4.0]])
    with_constant = np.hstack([varied, np.full((4, 1), 5.0)])
    assert crowding_distance(with_constant).tolist() == crowding_distance(varied).tolist()


def test_equal_points_have_no_crowding_and_a_lone_point_is_an_end():
    assert crowding_distance(np.full((3, 2), 4.0)).tolist() == [0.0, 0.0, 0.0]
    assert crowding_distance(np.array([[4.0, 4.0]])).tolist() == [INFINITY]


def test_duplicates_share_the_gap_around_them():
    objectives = np.array([[0.0, 4.0], [1.0, 3.0], [1.0, 3.0], [4.0, 0.0]])
    assert crowding_distance(objectives).tolist() == [INFINITY, 1.0, 1.0, INFINITY]


def test_a_failed_rollout_is_infinite_and_left_out_of_the_range():
    objectives = np.array([[-INFINITY], [0.0], [1.0], [3.0], [4.0]])
    assert crowding_distance(objectives).tolist() == [INFINITY, INFINITY, 3 / 4, 3 / 4, INFINITY]


def test_a_range_that_overflows_still_gives_finite_crowding():
    objectives = np.array([[-1.7e308], [-0.85e308], [0.0], [1.7e308]])
    np.testing.assert_allclose(crowding_distance(objectives), [INFINITY, 0.5, 0.75, INFINITY])


def test_failed_rollouts_come_last():
    objectives = np.array([[-INFINITY, -INFINITY], [1.0, 0.5], [2.0, 0.1], [-INFINITY, 0.1]])
    ranking = rank(objectives)
    assert ranking.front.tolist() == [2, 0, 0, 1]
    assert ranking.order.tolist() == [1, 2, 3, 0]


def test_a_duplicate_of_a_non_dominated_point_is_non_dominated():
    objectives = np.array([[1.0, 2.0], [2.0, 1.0], [1.0, 2.0], [1.0, 1.0]])
    assert non_dominated(objectives).tolist() == [True, True, True, False]


def test_negative_zero_equals_zero():
    objectives = np.array([[0.0, 1.0], [-0.0, 1.0], [0.0, -0.0], [-0.0, 0.0]])
    assert rank(objectives).front.tolist() == [0, 0, 1, 1]


def test_copies_of_an_end_come_after_all_different_points_of_their_front():
    objectives = np.array([[0.0, 3.0], [0.0, 3.0], [1.0, 2.0], [0.0, 3.0], [2.0, 1.0], [0.0, 0.0]])
    assert rank(objectives).order.tolist() == [0, 4, 2, 1, 3, 5]


def test_ties_are_broken_by_index():
    assert rank(np.zeros((5, 2))).order.tolist() == [0, 1, 2, 3, 4]


def test_a_reward_that_crosses_zero_does_not_swamp_the_other_objective():
    # Reward and 1/connections. The reference scales the reward's gaps by |1/100 + 100|, not 1/200.
    objectives = np.array([[-100.0, 1.0], [-90.0, 0.99], [95.0, 0.9], [100.0, 0.1]])
    expected = [INFINITY, 195 / 200 + 0.1 / 0.9, 190 / 200 + 0.89 / 0.9, INFINITY]
    np.testing.assert_allclose(crowding_distance(objectives), expected)
    assert rank(objectives).order.tolist() == [0, 3, 2, 1]
    reference = crowding_by_reference(objectives)
    assert reference[1] > reference[2] > 10_000


def test_negative_rewards_give_numbers_where_the_reference_gives_nan():
    objectives = np.array([[-2.0, 1.0], [-1.0, 0.5], [-0.5, 0.25]])  # 1/max equals min
    assert crowding_distance(objectives).tolist() == [INFINITY, 2.0, INFINITY]
    assert np.isnan(crowding_by_reference(objectives)).tolist() == [True, False, True]


def test_a_best_reward_of_zero_gives_numbers_where_the_reference_gives_infinity():
    objectives = np.array([[-2.0, 1.0], [-1.0, 0.5], [0.0, 0.25]])
    assert crowding_distance(objectives).tolist() == [INFINITY, 2.0, INFINITY]
    assert np.isinf(crowding_by_reference(objectives)).all()


@pytest.mark.parametrize("num_objectives", [1, 2, 3])
def test_no_points_give_an_empty_ranking(num_objectives):
    nothing = np.empty((0, num_objectives))
    ranking = rank(nothing)
    assert isinstance(ranking, Ranking)
    for found, dtype in (
        (ranking.order, np.int64),
        (ranking.front, np.int64),
        (ranking.crowding, np.float64),
        (non_dominated(nothing), np.bool_),
        (crowding_distance(nothing), np.float64),
    ):
        assert found.shape == (0,)
        assert found.dtype == dtype


@pytest.mark.parametrize("ask", [rank, non_dominated, crowding_distance])
def test_nan_is_refused_with_its_place(ask):
    objectives = np.zeros((4, 2))
    objectives[3, 1] = np.nan
    with pytest.raises(ValueError, match=r"must not be NaN, but objectives\[3, 1\] is nan"):
        ask(objectives)


@pytest.mark.parametrize("ask", [rank, non_dominated, crowding_distance])
@given(shape=array_shapes(min_dims=3, max_dims=3, max_side=2) | st.sampled_from([(), (3,), (3, 0)]))
def test_an_array_that_is_not_points_by_objectives_is_refused(ask, shape):
    with pytest.raises(ValueError, match=r"at least one objective, but its shape is \("):
        ask(np.zeros(shape))


def test_the_input_is_left_alone_and_may_be_read_only_or_strided():
    values = np.random.default_rng(5).normal(size=(2, 12))
    objectives = values.T[::2]
    before = objectives.copy()
    objectives.flags.writeable = False
    np.testing.assert_array_equal(rank(objectives).order, rank(before).order)
    np.testing.assert_array_equal(objectives, before)


def test_importing_the_module_loads_no_numba():
    command = "import sys, wann.ranking; sys.exit('numba' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", command], check=False).returncode == 0
