import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from scipy import stats

from wann.scores import (
    MAX_REASON,
    Fault,
    Scores,
    mean_with_interval,
    standard_error,
    summarise,
)

returns_of_one = arrays(
    np.float64,
    array_shapes(min_dims=2, max_dims=2, min_side=2, max_side=7),
    elements=st.floats(-1000, 1000),
)


@given(arrays(np.float64, array_shapes(min_dims=3, max_dims=3), elements=st.floats(-1e6, 1e6)))
def test_means_and_best_are_their_definition(returns):
    scores = Scores(returns)
    for genome, by_weight in enumerate(returns.tolist()):
        means = [math.fsum(row) / len(row) for row in by_weight]
        np.testing.assert_allclose(scores.by_weight[genome], means, atol=1e-9)
        np.testing.assert_allclose(scores.mean[genome], math.fsum(means) / len(means), atol=1e-9)
        np.testing.assert_allclose(scores.best[genome], max(means), atol=1e-9)


def test_a_failed_rollout_makes_the_mean_minus_infinity_and_leaves_the_best_weight():
    scores = Scores(np.array([[[1.0, 3.0], [-math.inf, 9.0]], [[-math.inf] * 2] * 2]))
    assert scores.mean.tolist() == [-math.inf, -math.inf]
    assert scores.best.tolist() == [2.0, -math.inf]


def test_scores_taken_follow_their_indices():
    scores = Scores(np.arange(12.0).reshape(3, 2, 2), num_steps=7)
    taken = scores.take(np.array([2, 0]))
    assert taken.mean.tolist() == [scores.mean[2], scores.mean[0]]


def test_faults_taken_follow_their_networks():
    returns = np.zeros((4, 2, 2))
    returns[[1, 3]] = -math.inf
    scores = Scores(returns, faults=(Fault(3, "third"), Fault(1, "first")))
    taken = scores.take(np.array([3, 0, 1, 3]))
    assert taken.faults == (Fault(0, "third"), Fault(2, "first"), Fault(3, "third"))
    assert scores.take(np.array([0, 2])).faults == ()


def test_a_faults_reason_is_one_line_of_bounded_length():
    assert Fault(0, "it\nbroke \u2028 here").reason == "it broke here"
    assert Fault(0, "lone \udc80").reason == "lone ?"
    long = Fault(0, "x" * 5000).reason
    assert (len(long), long[-3:]) == (MAX_REASON, "...")
    assert Fault(0, long).reason == long


@pytest.mark.parametrize("indices", [(2,), (-1,), (1, 1)])
def test_a_fault_must_be_one_networks(indices):
    returns = np.full((2, 1, 1), -math.inf)
    with pytest.raises(
        ValueError, match=rf"different networks, 0 to 1, .* of network {indices[0]}"
    ):
        Scores(returns, faults=tuple(Fault(each, "broke") for each in indices))


def test_a_network_with_a_fault_must_have_no_score():
    returns = np.full((2, 1, 2), -math.inf)
    returns[1, 0, 1] = 3.0
    with pytest.raises(ValueError, match=r"minus infinity in all .* but network 1 has 3\.0"):
        Scores(returns, faults=(Fault(1, "broke"),))


@pytest.mark.parametrize("dtype", [np.float32, np.int64, np.bool_])
def test_returns_of_another_number_type_become_float64(dtype, unchecked):
    with unchecked():
        assert Scores(np.ones((2, 1, 1), dtype=dtype)).returns.dtype == np.float64


@pytest.mark.parametrize("shape", [(3,), (3, 2), (3, 0, 2), (3, 2, 0), (1, 1, 1, 1)])
def test_returns_of_another_shape_are_refused(shape):
    with pytest.raises(ValueError, match=r"returns must be \[G, W, R\], but their shape is"):
        Scores(np.zeros(shape))


@pytest.mark.parametrize(("value", "shown"), [(math.nan, "nan"), (math.inf, "inf")])
def test_a_return_that_is_no_score_is_refused_with_its_place(value, shown):
    returns = np.zeros((3, 2, 2))
    returns[2, 0, 1] = value
    with pytest.raises(ValueError, match=rf"returns\[2, 0, 1\] is {shown}"):
        Scores(returns)


@given(returns_of_one)
def test_the_interval_is_students_over_the_episodes(returns):
    episodes = returns.mean(axis=0)
    spread = stats.sem(episodes)
    mean, low, high = mean_with_interval(returns)
    assert mean == pytest.approx(episodes.mean(), abs=1e-9)
    assert standard_error(returns) == pytest.approx(spread, abs=1e-9)
    if spread > 1e-9:
        expected = stats.t.interval(0.95, len(episodes) - 1, episodes.mean(), spread)
        assert (low, high) == pytest.approx(expected, abs=1e-7)


def test_the_interval_covers_the_truth_as_often_as_it_says():
    rng = np.random.default_rng(12)
    covered = 0
    for _ in range(2000):
        shared = rng.normal(size=8)  # an episode that is hard is hard for all weights
        returns = 5.0 + shared + 0.1 * rng.normal(size=(6, 8))
        _, low, high = mean_with_interval(returns)
        covered += low <= 5.0 <= high
    assert stats.binomtest(covered, 2000, 0.95).pvalue > 1e-3


@pytest.mark.parametrize(
    "returns", [np.array([[3.0], [5.0]]), np.full((2, 3), 4.0), np.array([[4.0, -math.inf]])]
)
def test_one_episode_no_spread_or_a_failure_give_a_point(returns):
    mean, low, high = mean_with_interval(returns)
    assert mean == low == high
    assert standard_error(returns) == 0.0


def test_a_summary_is_plain_numbers():
    returns = np.array([[1.0, 3.0], [5.0, 5.0]])
    summary = summarise(returns, np.array([-1.0, 2.0]))
    _, low, high = mean_with_interval(returns)
    assert summary == {
        "episodes": 2,
        "mean": 3.5,
        "interval": [low, high],
        "weights": [-1.0, 2.0],
        "mean_by_weight": [2.0, 5.0],
        "deviation_by_weight": [1.0, 0.0],
    }
    assert all(type(each) in (int, float, list) for each in summary.values())
