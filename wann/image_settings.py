"""The four settings of Gaier & Ha 2019 for networks that tell images apart, and ensembles.

What a setting is judged by is accuracy: the share of the test images whose largest output, of equal
ones the first, is their label's. Weights are chosen on validation images.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Float64, Int64

from wann.activations import is_compiled
from wann.checks import whole_number_in
from wann.config import SHARED_WEIGHTS
from wann.forward import forward
from wann.network import Network
from wann.rollout.image_scores import bounded
from wann.rollout.images import logits_by_weight
from wann.scores import CONFIDENCE
from wann.settings import (
    HIGH,
    LOW,
    MAX_EPISODES,
    RESAMPLES,
    Setting,
    Sweep,
    check_fits,
    chosen_weights,
    random_weights,
    refined_sweep,
)
from wann.tasks import ImageSet, ImageTask
from wann.topology import Topology

MAX_OUTPUTS = 2_000_000  # numbers that are kept at once


@dataclass(frozen=True, eq=False)
class ImageSetting:
    """How a network does on the test images with weights that are not random.

    is_right: [n], of each image. weight: the shared weight, where it is one.
    """

    name: str
    is_right: Float64[np.ndarray, "n"]
    weight: float | None = None

    def summary(self, seed: int = 0) -> dict[str, Any]:
        """Return accuracy and its interval as plain numbers; seed: of the bootstrap.

        Resampled images are right as often as binomial chance has it, so that is what is drawn:
        the same distribution as drawing each. The interval is None of a single image.
        """
        count, mean = len(self.is_right), float(self.is_right.mean())
        means = np.random.default_rng(seed).binomial(count, mean, RESAMPLES) / count
        tail = 50.0 * (1.0 - CONFIDENCE)
        interval = np.percentile(means, [tail, 100.0 - tail]).tolist() if count > 1 else None
        nothing = dict.fromkeys(("deviation", "median", "quartiles"))
        return {
            "weight": self.weight,
            "images": count,
            "mean": mean,
            "interval": interval,
        } | nothing


@dataclass(frozen=True, eq=False)
class Ensemble:
    """What one network answers under several shared weights together.

    weights: [W]. majority: accuracy of the class that most of them answer, of equal ones the first.
    mean_logit: accuracy of the class whose outputs have the largest mean.
    """

    weights: Float64[np.ndarray, "W"]
    majority: float
    mean_logit: float


def outputs_by_weight(
    topology: Topology,
    weights: Float64[np.ndarray, "W"] | Float64[np.ndarray, "W E"],
    images: ImageSet,
) -> Iterator[Float64[np.ndarray, "n O"]]:
    """Yield the outputs for all images under each weight or vector of weights, one by one.

    All finite: 0 for NaN and what float32 holds at most. Compiled where the activations are the
    paper's, else by `wann.forward`.
    """
    if not is_compiled(topology.activations):
        inputs = images.images.astype(np.float64)
        for each in weights:
            yield bounded(forward(topology, each if each.ndim else float(each), inputs))
        return
    step = max(1, MAX_OUTPUTS // (len(images) * topology.num_outputs))
    for first in range(0, len(weights), step):
        yield from logits_by_weight(topology, weights[first : first + step], images.images)


def answers_by_weight(
    topology: Topology,
    weights: Float64[np.ndarray, "W"] | Float64[np.ndarray, "W E"],
    images: ImageSet,
) -> Int64[np.ndarray, "W n"]:
    """Return the class that the network answers for each image under each weight."""
    answers = [each.argmax(axis=1) for each in outputs_by_weight(topology, weights, images)]
    return np.array(answers, dtype=np.int64).reshape(len(weights), len(images))


def sweep_images(task: ImageTask, topology: Topology, weights: Float64[np.ndarray, "W"]) -> Sweep:
    """Return the accuracy [W, 1] on the validation images under these weights and closer ones."""
    check_fits(topology, task)
    held_out = task.data.validation

    def play(tried: Float64[np.ndarray, "V"]) -> Float64[np.ndarray, "V 1"]:
        right = answers_by_weight(topology, tried, held_out) == held_out.labels
        return right.mean(axis=1, keepdims=True)

    return refined_sweep(play, weights)


def image_settings(
    task: ImageTask,
    network: Network,
    *,
    best_weight: float | None = None,
    tuned: Network | None = None,
    draws: int = 100,
    seed: int = 0,
    low: float = LOW,
    high: float = HIGH,
) -> tuple[Setting | ImageSetting, ...]:
    """Return a network's accuracy on the test images in the settings that it can be in, in order.

    draws: of random weights, each judged on all images. All else as in `evaluate_settings`.
    """
    check_fits(network.topology, task)
    whole_number_in("draws", draws, 1, MAX_EPISODES)
    test, topology = task.data.test, network.topology
    shared, individual = random_weights(topology, draws, seed, low, high)

    def accuracy(weights: Float64[np.ndarray, "W *E"]) -> Float64[np.ndarray, "W"]:
        return (answers_by_weight(topology, weights, test) == test.labels).mean(axis=1)

    found: list[Setting | ImageSetting] = [
        Setting("random", accuracy(individual)),
        Setting("random_shared", accuracy(shared)),
    ]
    for name, weights in chosen_weights(network, best_weight, tuned):
        answers = answers_by_weight(topology, np.array([weights]), test)[0]
        weight = weights if isinstance(weights, float) else None
        found.append(ImageSetting(name, (answers == test.labels).astype(np.float64), weight))
    return tuple(found)


def ensemble(
    task: ImageTask,
    topology: Topology,
    weights: Float64[np.ndarray, "W"] | None = None,
) -> Ensemble:
    """Return the accuracy on the test images of all these weights together.

    weights: by default those of the search. Each has one vote.
    """
    test = task.data.test
    weights = np.array(SHARED_WEIGHTS) if weights is None else weights
    votes = np.zeros((len(test), topology.num_outputs))
    total = np.zeros_like(votes)
    for outputs in outputs_by_weight(topology, weights, test):
        votes[np.arange(len(test)), outputs.argmax(axis=1)] += 1.0
        total += outputs
    majority, mean_logit = (
        float((each.argmax(axis=1) == test.labels).mean()) for each in (votes, total)
    )
    return Ensemble(weights, majority, mean_logit)


def accuracy_by_class(
    task: ImageTask, topology: Topology, weights: Float64[np.ndarray, "W"]
) -> Float64[np.ndarray, "C W"]:
    """Return the share of each class's test images that is told rightly under each weight."""
    test = task.data.test
    right = answers_by_weight(topology, weights, test) == test.labels
    return np.stack(
        [right[:, test.labels == each].mean(axis=1) for each in range(task.num_outputs)]
    )
