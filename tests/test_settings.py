"""The four settings of the paper, and the sweep that chooses the best shared weight."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.stats
from networks import random_network

from wann.evaluation import LocalEvaluator
from wann.export.reference import load_out
from wann.network import Network
from wann.rollout.episodes import rollout_episodes
from wann.scores import Scores
from wann.seeding import Purpose, episode_seeds
from wann.settings import (
    CLOSER,
    PAPER,
    REFINEMENTS,
    STEPS,
    bootstrap_interval,
    evaluate_settings,
    spread,
    sweep,
    sweep_weights,
)
from wann.tasks import load_task
from wann.topology import Topologies

CARTPOLE = load_task("CartPole-v1")
NETWORK = random_network(4, 2, 3, 12, seed=5)


class Curve:
    """An evaluator whose returns are a known function of the weight, with noise by the seed."""

    def __init__(self, function) -> None:
        self.function = function
        self.asked: list[float] = []
        self.seeds: list[list[int]] = []

    def evaluate(self, topologies, weights, seeds) -> Scores:
        self.asked += weights.tolist()
        self.seeds.append(seeds.tolist())
        noise = np.sin(seeds.astype(np.float64))
        return Scores((self.function(weights)[:, None] + noise)[None])


def settings_by_name(network: Network = NETWORK, **options):
    found = evaluate_settings(CARTPOLE, network, **({"episodes": 4} | options))
    return {each.name: each for each in found}


def test_a_spread_is_numpys() -> None:
    values = np.random.default_rng(0).normal(size=50)
    found = spread(values)
    assert found["episodes"] == 50
    assert found["mean"] == values.mean()
    assert found["deviation"] == values.std()
    assert found["median"] == np.median(values)
    assert found["quartiles"] == np.percentile(values, [25, 75]).tolist()


def test_the_interval_is_that_of_scipys_bootstrap() -> None:
    values = np.random.default_rng(1).exponential(size=80)
    theirs = scipy.stats.bootstrap((values,), np.mean, n_resamples=9_999, method="percentile")
    ours = bootstrap_interval(values, 0)
    assert ours is not None
    wide = theirs.confidence_interval.high - theirs.confidence_interval.low
    np.testing.assert_allclose(ours, theirs.confidence_interval, atol=0.03 * wide)
    assert ours == bootstrap_interval(values, 0)


def test_one_value_has_no_interval_and_no_value_no_mean() -> None:
    assert spread(np.array([3.0]))["interval"] is None
    assert spread(np.array([3.0, 3.0]))["interval"] == [3.0, 3.0]
    with pytest.raises(ValueError, match="a mean needs at least one value, but there are none"):
        spread(np.array([]))


def test_weights_of_a_sweep_are_even_and_each_there_once() -> None:
    assert sweep_weights(5).tolist() == [-2.0, -1.0, 0.0, 1.0, 2.0]
    assert sweep_weights(3, -1.0, 1.0, also=(0.3, 1.0)).tolist() == [-1.0, 0.0, 0.3, 1.0]
    assert 0.7 in sweep_weights(41).tolist()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((1,), "points must be between 2 and 10,001, but 1 was given"),
        ((5, 1.0, 1.0), "a range of weights must rise, but it goes from 1 to 1"),
        ((5, float("nan")), "low must be between"),
    ],
)
def test_a_range_without_weights_is_refused(arguments, message) -> None:
    with pytest.raises(ValueError, match=message):
        sweep_weights(*arguments)


def test_a_sweep_looks_closer_around_the_best_weights() -> None:
    peak = 0.777
    curve = Curve(lambda weights: -np.abs(weights - peak))
    swept = sweep(CARTPOLE, NETWORK.topology, curve, weights=sweep_weights(41), episodes=3, seed=7)
    assert abs(swept.best_weight - peak) <= 0.5 * 0.1 / STEPS**REFINEMENTS + 1e-9
    assert (np.diff(swept.weights) > 0).all()
    assert sorted(curve.asked) == swept.weights.tolist()
    np.testing.assert_allclose(
        swept.returns.mean(axis=1) - swept.returns.mean(axis=1).max(),
        -np.abs(swept.weights - peak) + np.abs(swept.best_weight - peak),
    )
    validation = episode_seeds(7, Purpose.VALIDATION, 0, 3).tolist()
    assert curve.seeds == [validation] * (1 + REFINEMENTS)


def test_a_sweep_finds_a_peak_between_the_weights_of_the_grid() -> None:
    curve = Curve(lambda weights: 1.0 - weights**2 + 5.0 * (np.abs(weights - 0.24) < 0.01))
    swept = sweep(CARTPOLE, NETWORK.topology, curve, weights=sweep_weights(5), episodes=1)
    assert CLOSER == 3
    assert swept.best_weight == 0.24


def test_a_sweep_at_the_end_of_the_range_stays_in_it() -> None:
    swept = sweep(
        CARTPOLE, NETWORK.topology, Curve(lambda each: each), weights=sweep_weights(3), episodes=1
    )
    assert swept.best_weight == 2.0
    assert swept.weights.min() == -2.0


def test_a_sweep_needs_weights_that_rise() -> None:
    for weights in (np.array([1.0]), np.array([1.0, 0.0]), np.array([1.0, 1.0])):
        with pytest.raises(ValueError, match="at least 2 weights that rise, each one once"):
            sweep(CARTPOLE, NETWORK.topology, Curve(lambda each: each), weights=weights, episodes=1)


def test_the_best_shared_weight_is_played_in_test_episodes_in_gymnasium() -> None:
    seeds = episode_seeds(11, Purpose.TEST, 0, 4)
    alone = Topologies.stack([NETWORK.topology])
    wanted, _ = rollout_episodes(CARTPOLE, alone, np.array([0.5]), seeds)
    best = settings_by_name(best_weight=0.5, seed=11)["best_shared"]
    assert best.weight == 0.5
    np.testing.assert_array_equal(best.values, wanted[0, 0])


def test_a_networks_own_shared_weight_is_the_best_one_known() -> None:
    assert settings_by_name()["best_shared"].weight == NETWORK.shared_weight


def test_random_weights_are_new_in_each_episode_and_repeatable() -> None:
    first, again = settings_by_name(episodes=12), settings_by_name(episodes=12)
    other = settings_by_name(episodes=12, seed=1)
    for name in ("random", "random_shared"):
        np.testing.assert_array_equal(first[name].values, again[name].values)
        assert not np.array_equal(first[name].values, other[name].values)
        assert len(np.unique(first[name].values)) > 2


def test_random_weights_of_a_narrow_range_do_as_the_weight_does() -> None:
    found = settings_by_name(best_weight=0.5, low=0.5, high=0.5 + 1e-12)
    for name in ("random", "random_shared"):
        np.testing.assert_array_equal(found[name].values, found["best_shared"].values)


def test_a_network_is_in_the_settings_that_it_has_weights_for() -> None:
    assert list(settings_by_name()) == ["random", "random_shared", "best_shared"]
    weights = np.full(NETWORK.topology.num_connections, 0.5)
    own = Network(NETWORK.topology, weights)
    assert list(settings_by_name(own)) == ["random", "random_shared", "tuned"]
    found = settings_by_name(tuned=own, best_weight=0.5)
    np.testing.assert_array_equal(found["tuned"].values, found["best_shared"].values)


def test_what_does_not_fit_is_refused() -> None:
    with pytest.raises(ValueError, match="episodes must be between 1 and 1,000,000, but 0 was"):
        settings_by_name(episodes=0)
    other = random_network(4, 2, 2, 9, seed=6, shared=False)
    with pytest.raises(ValueError, match="must have the topology it was tuned from"):
        settings_by_name(tuned=other)
    with pytest.raises(ValueError, match="'CartPole-v1' needs networks of 4 inputs and 2 outputs"):
        settings_by_name(random_network(3, 1, 2, 6, seed=1))


def test_the_papers_rows_are_of_settings_there_are() -> None:
    known = {"random", "random_shared", "best_shared", "tuned", "majority"}
    for task, row in PAPER.items():
        assert set(row.settings) <= known
        assert task == "mnist" or set(row.settings) == known - {"majority"}


@pytest.mark.slow
@pytest.mark.skipif(
    "WANN_REFERENCE_DIR" not in os.environ,
    reason="WANN_REFERENCE_DIR must name the folder that holds nets/swing.out",
)
def test_the_released_champion_has_its_known_scores() -> None:
    task = load_task("wann/SwingUp-v0")
    network = load_out(Path(os.environ["WANN_REFERENCE_DIR"], "nets", "swing.out"), 5, 1)
    with LocalEvaluator(task) as evaluator:
        swept = sweep(task, network.topology, evaluator, weights=sweep_weights(41), episodes=100)
    means = dict(zip(swept.weights.tolist(), swept.returns.mean(axis=1).tolist(), strict=True))
    known = {-2.0: 558, -1.5: 636, -1.0: 687, -0.5: 521, 0.5: 521, 0.8: 707, 1.0: 702, 2.0: 688}
    for weight, mean in known.items():  # an independent implementation's, 100 other episodes
        assert means[weight] == pytest.approx(mean, abs=45 if weight <= -1.5 else 25)
    found = evaluate_settings(task, network, best_weight=swept.best_weight)
    means = {each.name: float(each.values.mean()) for each in found}
    assert means["best_shared"] >= 707
    assert means["random_shared"] == pytest.approx(538, abs=60)
    assert means["random"] == pytest.approx(55, abs=40)
