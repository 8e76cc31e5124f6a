"""The settings of the paper on images, against the readable forward pass."""

from __future__ import annotations

import importlib

import numpy as np
import pytest
from networks import random_network

from wann.config import SHARED_WEIGHTS
from wann.forward import forward
from wann.image_settings import (
    ImageSetting,
    accuracy_by_class,
    answers_by_weight,
    ensemble,
    image_settings,
    sweep_images,
)
from wann.network import Network
from wann.settings import bootstrap_interval, sweep_weights
from wann.tasks import load_task

TASK = load_task("digits")
NETWORK = random_network(64, 10, 12, 150, seed=4)
TOPOLOGY = NETWORK.topology
TEST = TASK.data.test
INPUTS = TEST.images.astype(np.float64)


def outputs(weights):
    return forward(TOPOLOGY, weights, INPUTS)


def accuracy(weights) -> float:
    return float((outputs(weights).argmax(axis=1) == TEST.labels).mean())


def test_answers_are_those_of_the_readable_forward_pass() -> None:
    shared = np.array([-1.0, 0.5, 1.5])
    own = np.random.default_rng(0).normal(size=(2, TOPOLOGY.num_connections))
    for weights in (shared, own):
        wanted = [outputs(each if each.ndim else float(each)).argmax(axis=1) for each in weights]
        agree = (answers_by_weight(TOPOLOGY, weights, TEST) == wanted).mean()
        assert agree > 0.995  # float32 decides ties otherwise


def test_many_weights_are_worked_on_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    weights = np.linspace(-2, 2, 5)
    whole = answers_by_weight(TOPOLOGY, weights, TEST)
    module = importlib.import_module("wann.image_settings")  # a function has its name in `wann`
    monkeypatch.setattr(module, "MAX_OUTPUTS", 1)
    np.testing.assert_array_equal(answers_by_weight(TOPOLOGY, weights, TEST), whole)


def test_settings_are_accuracies_on_the_test_images() -> None:
    own = np.random.default_rng(1).normal(size=TOPOLOGY.num_connections)
    tuned = Network(TOPOLOGY, own)
    found = image_settings(TASK, NETWORK, best_weight=0.5, tuned=tuned, draws=3, seed=2)
    by_name = {each.name: each.summary() for each in found}
    assert list(by_name) == ["random", "random_shared", "best_shared", "tuned"]
    assert by_name["best_shared"]["mean"] == pytest.approx(accuracy(0.5), abs=0.01)
    assert by_name["tuned"]["mean"] == pytest.approx(accuracy(own), abs=0.01)
    assert by_name["random"]["episodes"] == 3
    assert by_name["tuned"]["images"] == len(TEST)
    again = image_settings(TASK, NETWORK, best_weight=0.5, tuned=tuned, draws=3, seed=2)
    assert [each.summary() for each in again] == [each.summary() for each in found]


def test_a_sweep_is_of_validation_images() -> None:
    swept = sweep_images(TASK, TOPOLOGY, sweep_weights(5))
    images = TASK.data.validation
    wanted = forward(TOPOLOGY, swept.best_weight, images.images.astype(np.float64)).argmax(axis=1)
    assert swept.returns.max() == pytest.approx((wanted == images.labels).mean(), abs=0.01)


def test_an_ensemble_is_the_vote_and_the_mean_of_its_weights() -> None:
    found = ensemble(TASK, TOPOLOGY)
    assert found.weights.tolist() == list(SHARED_WEIGHTS)
    each = np.stack([outputs(weight) for weight in SHARED_WEIGHTS])
    votes = [np.bincount(answers, minlength=10).argmax() for answers in each.argmax(axis=2).T]
    assert found.majority == pytest.approx((votes == TEST.labels).mean(), abs=0.01)
    mean = each.mean(axis=0).argmax(axis=1)
    assert found.mean_logit == pytest.approx((mean == TEST.labels).mean(), abs=0.01)
    alone = ensemble(TASK, TOPOLOGY, np.array([0.5]))
    assert alone.majority == alone.mean_logit == pytest.approx(accuracy(0.5), abs=0.01)


def test_classes_together_are_the_whole() -> None:
    weights = np.array([-1.0, 0.5])
    by_class = accuracy_by_class(TASK, TOPOLOGY, weights)
    assert by_class.shape == (10, 2)
    shares = np.bincount(TEST.labels, minlength=10) / len(TEST)
    whole = (answers_by_weight(TOPOLOGY, weights, TEST) == TEST.labels).mean(axis=1)
    np.testing.assert_allclose(shares @ by_class, whole)


def test_the_interval_is_that_of_drawing_each_image_again() -> None:
    is_right = (np.random.default_rng(3).random(400) < 0.8).astype(np.float64)
    ours = ImageSetting("tuned", is_right).summary()["interval"]
    np.testing.assert_allclose(ours, bootstrap_interval(is_right, 0), atol=0.006)
    assert ImageSetting("tuned", is_right[:1]).summary()["interval"] is None


def test_a_network_of_other_images_is_refused() -> None:
    with pytest.raises(ValueError, match="'digits' needs networks of 64 inputs and 10 outputs"):
        image_settings(TASK, random_network(5, 2, 2, 6, seed=1))
    with pytest.raises(ValueError, match="draws must be between 1 and 1,000,000, but 0 was given"):
        image_settings(TASK, NETWORK, draws=0)
