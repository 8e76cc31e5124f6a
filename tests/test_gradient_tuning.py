"""Tuning by gradient: what a gradient is, what is learnt, and that it can be stopped."""

from __future__ import annotations

import dataclasses
import math
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from networks import random_network

import wann.gradient_tuning
from wann.activations import STEP
from wann.export.pytorch import to_torch
from wann.forward import forward
from wann.gradient_tuning import (
    GradientReport,
    GradientTuning,
    loss_and_gradient,
)
from wann.image_settings import image_settings
from wann.network import Network
from wann.rollout.image_scores import minus_cross_entropy
from wann.tasks import ImageSet, ImageTask, load_task
from wann.topology import Topology
from wann.tuning_config import GradientConfig

TASK = load_task("digits")
SMALL = GradientConfig(epochs=4, batch=300, seed=3)


def layered(num_hidden: int = 6, activation: int = 5) -> Topology:
    """Return 64 inputs, of which 16 feed the hidden nodes; these and the bias feed 10 outputs."""
    inputs = np.arange(1, 65, 4, dtype=np.int32)
    hidden = np.arange(65, 65 + num_hidden, dtype=np.int32)
    degrees = [0] * 65 + [len(inputs)] * num_hidden + [1 + num_hidden] * 10
    fed = [np.concatenate([[0], hidden]).astype(np.int32)] * 10
    return Topology(
        64,
        np.concatenate([[0], np.cumsum(degrees)]).astype(np.int32),
        np.concatenate([*[inputs] * num_hidden, *fed]),
        np.array([1] * 65 + [activation] * num_hidden + [1] * 10, dtype=np.uint8),
        np.arange(65 + num_hidden, 75 + num_hidden, dtype=np.int32),
    ).check()


def start() -> np.ndarray:
    """Return weights of `layered()`: random ones, and above them those of least squares."""
    train = TASK.data.train
    into = np.random.default_rng(0).normal(scale=0.5, size=(6, 16))
    hidden = np.tanh(train.images[:, ::4] @ into.T)
    with_bias = np.concatenate([np.ones((len(train), 1)), hidden], axis=1)
    out = np.linalg.lstsq(with_bias, np.eye(10)[train.labels], rcond=None)[0].T
    return np.concatenate([into.ravel(), out.ravel()])


NETWORK = Network(layered(), start(), task="digits", action="softmax")


def tuned(
    config: GradientConfig = SMALL,
    folder: Path | None = None,
    network: Network = NETWORK,
    task: ImageTask = TASK,
    **options,
) -> Network:
    return GradientTuning(task, network, config, folder).run(**options)


def interrupt_at(epoch: int):
    def watch(report: GradientReport) -> None:
        if report.epoch == epoch:
            raise KeyboardInterrupt

    return watch


def with_images(split: str, images: ImageSet) -> ImageTask:
    return dataclasses.replace(TASK, data=dataclasses.replace(TASK.data, **{split: images}))


def test_the_gradient_is_that_of_finite_differences() -> None:
    network = random_network(5, 3, 6, 30, seed=7, shared=False)
    smooth = network.topology.activations.copy()
    smooth[smooth == STEP] = 5
    network = dataclasses.replace(
        network, topology=dataclasses.replace(network.topology, activations=smooth)
    )
    rng = np.random.default_rng(1)
    images, labels = rng.random((9, 5)), rng.integers(3, size=9)
    module = to_torch(network, each=True, dtype="float64")
    loss, gradient = loss_and_gradient(module, torch.tensor(images), torch.tensor(labels))

    def loss_at(weights: np.ndarray) -> float:
        return -minus_cross_entropy(forward(network.topology, weights, images), labels).mean()

    weights = np.asarray(network.weights)
    assert loss == pytest.approx(loss_at(weights))
    step = 1e-6 * np.eye(len(weights))
    wanted = [(loss_at(weights + each) - loss_at(weights - each)) / 2e-6 for each in step]
    np.testing.assert_allclose(gradient.numpy(), wanted, atol=1e-6, rtol=1e-4)


def test_epochs_are_those_of_adam_by_hand() -> None:
    """Adam as in Kingma & Ba 2015, algorithm 1, in NumPy; gradients by hand, of two layers."""
    task = with_images("train", TASK.data.train.take(np.arange(50)))
    config = GradientConfig(epochs=3, batch=20, learning_rate=0.02, seed=4)
    network = tuned(dataclasses.replace(config, patience=0), task=task)
    steps = 3 * 3
    train = task.data.train
    weights = np.asarray(NETWORK.weights, dtype=np.float64)
    start = GradientTuning(task, NETWORK, config)._first().weights
    np.testing.assert_array_equal(start, weights.astype(np.float32))
    moment, square, found = np.zeros_like(weights), np.zeros_like(weights), []
    step = 0
    for epoch in range(1, 4):
        order = wann.gradient_tuning.generator(4, wann.gradient_tuning.Purpose.TRAIN, epoch)
        order = order.permutation(50)
        for chosen in (order[:20], order[20:40], order[40:]):
            gradient = by_hand(weights, train.take(chosen))
            rate = 0.02 * 0.5 * (1 + math.cos(math.pi * step / steps))
            step += 1
            moment = 0.9 * moment + 0.1 * gradient
            square = 0.999 * square + 0.001 * gradient**2
            change = moment / (1 - 0.9**step) / (np.sqrt(square / (1 - 0.999**step)) + 1e-8)
            weights = weights - rate * change
        found.append(weights)
    kept = network.made_by["tuning"]["kept_epoch"]
    assert kept > 0
    np.testing.assert_allclose(network.weights, found[kept - 1], atol=2e-5)


def by_hand(weights: np.ndarray, images: ImageSet) -> np.ndarray:
    """Return the gradient of the cross-entropy of `layered()` with tanh inside."""
    pixels = images.images[:, ::4].astype(np.float64)
    into, out = weights[:96].reshape(6, 16), weights[96:].reshape(10, 7)
    hidden = np.tanh(pixels @ into.T)
    with_bias = np.concatenate([np.ones((len(images), 1)), hidden], axis=1)
    logits = with_bias @ out.T
    softmax = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    error = (softmax - np.eye(10)[images.labels]) / len(images)
    back = (error @ out[:, 1:]) * (1 - hidden**2)
    return np.concatenate([(back.T @ pixels).ravel(), (error.T @ with_bias).ravel()])


def test_tuned_weights_tell_more_images_apart_than_any_shared_one() -> None:
    config = GradientConfig(epochs=25, batch=100, learning_rate=0.05)
    network = tuned(config)
    best = network.scores["best_shared"]
    for split in ("train", "validation", "test"):
        assert network.scores[split]["accuracy"] > best[split]["accuracy"] + 0.5
        assert network.scores[split]["mean"] > best[split]["mean"]


def test_links_that_are_not_there_stay_absent() -> None:
    network = tuned()
    for name in ("offsets", "sources", "activations", "outputs"):
        before, after = (getattr(each.topology, name) for each in (NETWORK, network))
        np.testing.assert_array_equal(before, after)
    module = to_torch(network)
    with torch.no_grad():
        changed = torch.tensor(TASK.data.test.images).clone()
        changed[:, 1::4] = 9.0  # pixels without a link
        np.testing.assert_array_equal(module(changed), module(torch.tensor(TASK.data.test.images)))


def test_what_lies_behind_step_nodes_stays_as_it_was() -> None:
    network = tuned(network=Network(layered(activation=STEP), 1.0))
    weights = np.asarray(network.weights)
    shared = np.float32(network.scores["best_shared"]["weight"])
    assert (weights[:96] == shared).all()
    assert (weights[96:] != shared).any()


def test_the_order_of_images_follows_from_the_seed() -> None:
    assert tuned().to_json() == tuned().to_json()
    other = tuned(dataclasses.replace(SMALL, seed=4))
    assert not np.array_equal(np.asarray(other.weights), np.asarray(tuned().weights))


@pytest.mark.parametrize("epoch", [1, 3, 4])
def test_a_tuning_that_was_stopped_goes_on_to_the_same_bytes(tmp_path: Path, epoch: int) -> None:
    whole = tuned()
    with pytest.raises(KeyboardInterrupt):
        tuned(folder=tmp_path, watch=[interrupt_at(epoch)])
    seen: list[int] = []
    again = tuned(folder=tmp_path, watch=[lambda report: seen.append(report.epoch)])
    assert seen == list(range(epoch + 1, 5))
    assert again.to_json() == whole.to_json()


def test_an_epoch_that_was_begun_is_begun_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = tuned()
    calls = 0
    real = loss_and_gradient

    def stops(*arguments):
        nonlocal calls
        calls += 1
        if calls == 7:  # in the middle of the second epoch, of four batches each
            raise KeyboardInterrupt
        return real(*arguments)

    monkeypatch.setattr(wann.gradient_tuning, "loss_and_gradient", stops)
    with pytest.raises(KeyboardInterrupt):
        tuned(folder=tmp_path)
    assert tuned(folder=tmp_path).to_json() == whole.to_json()


@pytest.mark.slow
def test_a_killed_tuning_goes_on_to_the_same_bytes(tmp_path: Path) -> None:
    program = f"""
import os, signal, sys
from pathlib import Path
import wann.gradient_tuning
from wann.gradient_tuning import GradientTuning
from wann.network import load_network
from wann.tasks import load_task
from wann.tuning_config import GradientConfig

def kill(report):
    if report.epoch == 3:
        os.kill(os.getpid(), signal.SIGKILL)

wann.gradient_tuning.SAVE_INTERVAL = 0.0
network = load_network(Path({str(tmp_path)!r}) / "net.json")
GradientTuning(load_task("digits"), network, {SMALL!r}, {str(tmp_path)!r}).run(watch=[kill])
"""
    NETWORK.save(tmp_path / "net.json")
    ended = subprocess.run([sys.executable, "-c", program], env=os.environ, check=False)
    assert ended.returncode == -signal.SIGKILL
    seen: list[int] = []
    again = tuned(folder=tmp_path, watch=[lambda report: seen.append(report.epoch)])
    assert seen == [3, 4]  # the second was saved
    assert again.to_json() == tuned().to_json()


def test_bytes_do_not_depend_on_the_threads_that_are_set() -> None:
    before = torch.get_num_threads()
    found = []
    try:
        for number in (1, 2):
            torch.set_num_threads(number)
            found.append(tuned().to_json())
            assert torch.get_num_threads() == number
    finally:
        torch.set_num_threads(before)
    assert found[0] == found[1]


def test_test_images_change_no_weight() -> None:
    rng = np.random.default_rng(0)
    test = TASK.data.test
    other = ImageSet(rng.random(test.images.shape, dtype=np.float32), test.labels[::-1].copy())
    network = tuned(task=with_images("test", other))
    np.testing.assert_array_equal(np.asarray(network.weights), np.asarray(tuned().weights))
    assert network.scores["validation"] == tuned().scores["validation"]
    assert network.scores["test"] != tuned().scores["test"]


def test_what_is_kept_has_the_lowest_validation_cross_entropy() -> None:
    reports: list[GradientReport] = []
    config = dataclasses.replace(SMALL, epochs=12, learning_rate=0.5)  # too far to be steady
    network = tuned(config, watch=[reports.append])
    found = [each.validation for each in reports]
    kept = network.made_by["tuning"]["kept_epoch"]
    assert kept == 1 + int(np.argmin(found))
    assert -network.scores["validation"]["mean"] == min(found)
    assert network.scores["validation"]["accuracy"] == reports[kept - 1].accuracy


def test_patience_ends_a_tuning_that_finds_nothing_better(tmp_path: Path) -> None:
    reports: list[GradientReport] = []
    config = dataclasses.replace(SMALL, epochs=50, learning_rate=900.0, patience=2)
    network = tuned(config, tmp_path, watch=[reports.append])
    assert len(reports) == reports[-1].best_epoch + 2 < 50
    again = tuned(config, tmp_path, watch=[lambda report: pytest.fail("it had ended")])
    assert again.to_json() == network.to_json()


def test_without_time_the_best_start_is_what_there_is(tmp_path: Path) -> None:
    shared = tuned(folder=tmp_path, network=Network(layered(), 1.0), time_limit=0)
    best = shared.scores["best_shared"]
    assert set(np.asarray(shared.weights).tolist()) == {float(np.float32(best["weight"]))}
    assert shared.scores["validation"]["accuracy"] == pytest.approx(
        best["validation"]["accuracy"], abs=0.01
    )
    assert shared.made_by["tuning"]["epochs"] == 0
    own = tuned(time_limit=0)
    np.testing.assert_array_equal(own.weights, np.asarray(NETWORK.weights).astype(np.float32))


def test_scores_are_those_that_an_evaluation_finds() -> None:
    network = tuned()
    best = network.scores["best_shared"]
    found = {
        each.name: each.summary()["mean"]
        for each in image_settings(
            TASK, NETWORK, best_weight=best["weight"], tuned=network, draws=1
        )
    }
    assert network.scores["test"]["accuracy"] == found["tuned"]
    assert best["test"]["accuracy"] == found["best_shared"]
    outputs = forward(
        network.topology, np.asarray(network.weights), TASK.data.test.images.astype(np.float64)
    )
    wanted = minus_cross_entropy(outputs, TASK.data.test.labels).mean()
    assert network.scores["mean"] == pytest.approx(wanted, abs=1e-4)


def test_a_gradient_that_is_not_finite_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(module, images, labels):
        return math.inf, torch.full_like(module.weight, math.nan)

    monkeypatch.setattr(wann.gradient_tuning, "loss_and_gradient", broken)
    network = tuned()
    np.testing.assert_array_equal(network.weights, np.asarray(NETWORK.weights).astype(np.float32))
    assert network.made_by["tuning"]["kept_epoch"] == 0


def test_outputs_that_overflow_are_scored_and_tuned() -> None:
    topology = layered(activation=11)
    huge = Network(topology, np.full(topology.num_connections, 1e30))
    network = tuned(network=huge)
    assert np.isfinite(network.scores["mean"])


def test_other_images_or_settings_have_a_state_of_their_own(tmp_path: Path) -> None:
    tuned(folder=tmp_path, time_limit=0)
    tuned(dataclasses.replace(SMALL, batch=200), tmp_path, time_limit=0)
    fewer = with_images("train", TASK.data.train.take(np.arange(400)))
    tuned(folder=tmp_path, task=fewer, time_limit=0)
    tuned(folder=tmp_path, task=with_images("test", TASK.data.validation), time_limit=0)
    assert len(list(tmp_path.iterdir())) == 3


def test_a_damaged_state_is_refused(tmp_path: Path) -> None:
    tuned(folder=tmp_path, time_limit=0)
    (path,) = tmp_path.iterdir()
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match=r"no state of this tuning: .*; remove the file to begin"):
        tuned(folder=tmp_path)


def test_networks_that_cannot_be_tuned_are_refused() -> None:
    with pytest.raises(ValueError, match="'digits' needs networks of 64 inputs and 10 outputs"):
        GradientTuning(TASK, random_network(5, 1, 2, 6, seed=1), SMALL)
    no_links = dataclasses.replace(
        layered(), offsets=np.zeros(82, np.int32), sources=np.zeros(0, np.int32)
    ).check()
    with pytest.raises(ValueError, match="no connections, so there are no weights to tune"):
        GradientTuning(TASK, Network(no_links, 1.0), SMALL)
    with pytest.raises(ValueError, match="batch must be at most the number of training images"):
        GradientTuning(TASK, NETWORK, GradientConfig(batch=100_000))


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({"epochs": -1}, "epochs must be between 0 and 1,000,000, but -1 was given"),
        ({"batch": -1}, "batch must be between 0 and 1,000,000, but -1 was given"),
        ({"learning_rate": 0.0}, "learning_rate must be between 1e-09 and"),
        ({"learning_rate": math.nan}, "learning_rate must be between 1e-09 and"),
        ({"patience": -2}, "patience must be between 0 and"),
        ({"seed": -1}, "seed must be between 0"),
    ],
)
def test_settings_that_cannot_be_are_refused(values: dict, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        GradientConfig(**values)
