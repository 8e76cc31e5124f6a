"""Tests of wann.rollout.image_scores against PyTorch's cross-entropy and plain counting."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from networks import random_network

from wann.forward import forward
from wann.rollout.image_scores import (
    LARGEST_OUTPUT,
    bounded,
    grade,
    minus_cross_entropy,
    score_batches,
)
from wann.seeding import Purpose
from wann.tasks import load_task
from wann.topology import Topologies

DIGITS = load_task("digits")
WEIGHTS = np.array([-2.0, 0.5, 1.0])
NETWORKS = Topologies.stack(
    [random_network(64, 10, 8, 80, seed=seed).topology for seed in range(3)]
)


def test_the_cross_entropy_is_pytorchs() -> None:
    rng = np.random.default_rng(2)
    outputs = rng.normal(scale=30.0, size=(50, 7))
    labels = rng.integers(0, 7, 50)
    wanted = torch.nn.functional.cross_entropy(
        torch.from_numpy(outputs), torch.from_numpy(labels), reduction="none"
    )
    np.testing.assert_allclose(-minus_cross_entropy(outputs, labels), wanted.numpy(), rtol=1e-12)


@pytest.mark.parametrize("value", [1e30, 1e300, np.inf, -np.inf, np.nan, -1e300])
def test_every_output_has_a_finite_cross_entropy(value: float) -> None:
    outputs = np.array([[value, 0.0], [0.0, value], [value, value]])
    for label in (0, 1):
        found = minus_cross_entropy(outputs, np.full(3, label))
        assert np.isfinite(found).all()
        assert (found <= 0.0).all()


def test_an_output_that_is_no_number_counts_as_0_and_an_infinite_one_as_the_largest() -> None:
    outputs = np.array([[np.nan, np.inf, -np.inf, 3.0]])
    np.testing.assert_array_equal(bounded(outputs), [[0.0, LARGEST_OUTPUT, -LARGEST_OUTPUT, 3.0]])


@pytest.mark.parametrize("purpose", [Purpose.TRAIN, Purpose.VALIDATION, Purpose.TEST])
def test_a_return_is_minus_the_mean_over_its_batch(purpose: Purpose) -> None:
    seeds = DIGITS.seeds(1, purpose, 0, 2)
    returns, num_images = score_batches(DIGITS, NETWORKS, WEIGHTS, seeds)
    sizes = [len(DIGITS.batch(seed)) for seed in seeds.tolist()]
    assert num_images == 3 * 3 * sum(sizes)
    for layer, seed in enumerate(seeds.tolist()):
        batch = DIGITS.batch(seed)
        for row, topology in enumerate(NETWORKS):
            for column, weight in enumerate(WEIGHTS.tolist()):
                outputs = forward(topology, weight, batch.images.astype(np.float64))
                wanted = torch.nn.functional.cross_entropy(
                    torch.from_numpy(outputs), torch.from_numpy(batch.labels)
                )
                assert np.isclose(returns[row, column, layer], -float(wanted))


def test_the_accuracy_counts_every_image_of_the_split_once() -> None:
    for count in (1, 5):
        graded = grade(DIGITS, NETWORKS[1], WEIGHTS, DIGITS.seeds(0, Purpose.TEST, 0, count))
        test = DIGITS.data.test
        for column, weight in enumerate(WEIGHTS.tolist()):
            answers = forward(NETWORKS[1], weight, test.images.astype(np.float64)).argmax(axis=1)
            assert graded.accuracy_by_weight[column] == np.mean(answers == test.labels)
        assert graded.num_correct.shape == (3, count)
        assert graded.sizes.sum() == 359


def test_no_networks_have_no_scores() -> None:
    none = NETWORKS.take(np.arange(0))
    returns, num_images = score_batches(DIGITS, none, WEIGHTS, DIGITS.seeds(0, Purpose.TEST, 0, 4))
    assert (returns.shape, num_images) == ((0, 3, 4), 0)
